"""Lists are read to their end, and distrusted on the way."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.errors import BadResponse, ProviderError
from stratctl.core.state import Float, Price
from stratctl.live import lists, market, wire
from stratctl.live.lists import NUMBERED_READS_MAX, cursor_pages, numbered_pages
from stratctl.live.pages import PARTICIPANTS, TRADERS, PagesOf
from tests.live.worlds import answering, json_answer, read_client

ID = "b1c2d3e4-f5a6-4789-bcde-f01234567890"


def trader(number: int) -> dict[str, object]:
    """A Trader."""
    return {
        "id": f"b1c2d3e4-f5a6-4789-bcde-{number:012d}",
        "strategy_id": ID,
        "participant_code": f"P{number:05d}",
        "auto_rebalance": True,
    }


def test_a_cursor_is_followed_to_its_end() -> None:
    """Page by page, with the token that the page before gave."""
    first = {"traders": [trader(1)], "next_page_token": "a/b"}
    transport, seen = answering(json_answer(first), json_answer({"traders": [trader(2)]}))
    counts: list[int] = []
    pages = list(
        cursor_pages(
            read_client(transport),
            "/strategies/traders",
            {"strategy_id": ID},
            TRADERS,
            counts.append,
        )
    )
    assert [wire.values(page.participant_code) for page in pages] == [["P00001"], ["P00002"]]
    assert counts == [1, 2]
    assert seen[1].endswith(f"strategy_id={ID}&page_size=200&page_token=a%2Fb")


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"], ["a", "b", "c", "b"]])
def test_a_circle_ends_at_the_second_sight_of_a_token(tokens: list[str]) -> None:
    """With one request more than there are different pages, at most."""
    transport, seen = answering(
        *[json_answer({"traders": [], "next_page_token": token}) for token in tokens]
    )
    with pytest.raises(BadResponse, match="circle"):
        list(cursor_pages(read_client(transport), "/x", {}, TRADERS))
    assert len(seen) == len(tokens)


def test_a_page_larger_than_asked_for_is_refused() -> None:
    """201 rows where 200 were asked for."""
    transport, _ = answering(json_answer({"traders": [trader(n) for n in range(201)]}))
    with pytest.raises(BadResponse, match="a page of 201"):
        list(cursor_pages(read_client(transport), "/x", {}, TRADERS))


def test_a_list_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """New tokens for ever do not hold us for ever."""
    monkeypatch.setattr(lists, "PAGES_MAX", 5)
    count = 0

    def respond(request: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        return json_answer({"traders": [], "next_page_token": str(count)})

    with pytest.raises(BadResponse, match="no end"):
        list(cursor_pages(read_client(httpx.MockTransport(respond)), "/x", {}, TRADERS))
    assert count == 5


BROKEN = ['{"traders": [], "next_page_token": "z"', '{"next_page_token": "z", "traders": 1}', "[]"]
"""Pages that cannot be trusted, whatever they say is next."""


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([*BROKEN, ""])), max_size=4),
    st.booleans(),
    st.integers(0, 4),
)
def test_what_is_read_ahead_is_what_is_read_in_turn(
    said: list[tuple[int, str]], wrapped: bool, back: int
) -> None:
    """The same pages or the same refusal.

    Pages come broken at first, and the last one may lead back to another. None is asked for without
    need but those that a broken one names.
    """
    traders = {n: [trader(10 * n + k) for k in range(rows)] for n, (rows, _) in enumerate(said)}
    last = len(said) - 1

    def read(beside: Executor | None) -> tuple[list[Any], list[str]]:
        asked: list[str] = []
        broken = {str(n): text for n, (_, text) in enumerate(said) if text}

        def respond(request: httpx.Request) -> httpx.Response:
            token = request.url.params.get("page_token", "0")
            asked.append(token)
            if token in broken:
                return httpx.Response(200, content=broken.pop(token))
            if not token.isdigit() or int(token) > last:
                return json_answer({"errors": ["no such page"]}, 400)
            following = str(int(token) + 1) if int(token) < last else str(back) * (back < last)
            page = {"traders": traders[int(token)], "next_page_token": following}
            return json_answer({"message": page} if wrapped else page)

        client = read_client(httpx.MockTransport(respond))
        pages = cursor_pages(client, "/x", {}, TRADERS, beside=beside)
        return list(outcomes(pages)), asked

    found, asked = read(None)
    with ThreadPoolExecutor(1) as beside:
        ahead, asked_ahead = read(beside)
    assert ahead == found
    spare = [token for token in asked_ahead if token != "z"]
    assert set(spare) == set(asked)
    assert len(spare) <= len(asked) + 1


def outcomes(pages: Iterator[wire.TraderColumns]) -> Iterator[object]:
    """Each page's codes, and what ended the reading."""
    try:
        for page in pages:
            yield wire.values(page.participant_code)
    except ProviderError as error:
        yield type(error), error.summary


class Later(Executor):
    """Does what it is given when somebody waits for it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        class Waited(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                return fn(*args, **kwargs)

        return Waited()


def test_the_next_page_is_asked_for_before_a_page_was_looked_at() -> None:
    """And the last one is looked at by who waits for it."""
    first = {"traders": [trader(1)], "next_page_token": "a"}
    transport, seen = answering(json_answer(first), json_answer({"traders": [trader(2)]}))
    requests: list[int] = []

    def look(document: Any) -> wire.Page[wire.TraderColumns]:
        requests.append(len(seen))
        return wire.traders_page(document)

    looking = PagesOf(look)
    assert len(list(cursor_pages(read_client(transport), "/x", {}, looking, beside=Later()))) == 2
    assert requests == [2, 2]


def participants(total: Callable[[int], int]) -> tuple[httpx.BaseTransport, list[int]]:
    """A page-numbered list whose length is a function of how often it was asked for."""
    asked: list[int] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(int(request.url.params["page"]))
        code = f"P{asked[-1]:05d}"
        return json_answer(
            {
                "message": [{"participant_code": code, "status": "approved"}],
                "total_pages": total(len(asked)),
            }
        )

    return httpx.MockTransport(respond), asked


def test_numbered_pages_are_read_in_order() -> None:
    """All of them; a list of none has one empty page."""
    transport, asked = participants(lambda nth: 3)
    pages = numbered_pages(read_client(transport), "/x", {}, PARTICIPANTS)
    assert [page.participant_code for page in pages] == ["P00001\n", "P00002\n", "P00003\n"]
    assert asked == [1, 2, 3]
    transport, _ = answering(json_answer({"message": [], "total_pages": 0}))
    (page,) = numbered_pages(read_client(transport), "/x", {}, PARTICIPANTS)
    assert wire.values(page.participant_code) == []


def test_a_numbered_list_that_changes_its_length_is_read_again() -> None:
    """Once is read again; for ever is refused."""
    transport, asked = participants(lambda nth: 2 if nth == 1 else 3)
    pages = numbered_pages(read_client(transport), "/x", {}, PARTICIPANTS)
    assert len(pages) == 3
    assert asked == [1, 2, 1, 2, 3]
    transport, asked = participants(lambda nth: 2 + nth)
    with pytest.raises(BadResponse, match="changed its length"):
        numbered_pages(read_client(transport), "/x", {}, PARTICIPANTS)
    assert len(asked) == 2 * NUMBERED_READS_MAX


def test_an_absurd_number_of_pages_is_refused() -> None:
    """A list does not make us ask a million times."""
    transport, asked = participants(lambda nth: 10**9)
    with pytest.raises(BadResponse, match="claims 1000000000 pages"):
        numbered_pages(read_client(transport), "/x", {}, PARTICIPANTS)
    assert asked == [1]


# --- prices and the float, which are short lists ----------------------------------------------


def account(balance: str, **fields: object) -> dict[str, object]:
    """The float's row."""
    plain = {
        "account_id": ID,
        "account_owner": "00SCXM",
        "account_label": "general",
        "account_type": "available",
        "asset": "USD",
        "balance": balance,
        "last_update": 1,
    }
    return {**plain, **fields}


def read_float(*rows: dict[str, object]) -> Float:
    """The float that these rows are."""
    transport, _ = answering(json_answer({"message": list(rows), "total_pages": 1}))
    return market.read_float(read_client(transport), "USD", ("00SCXM", "PLAT01", "general"))


@pytest.mark.parametrize(
    ("balance", "minor"),
    [("5091.100000000000000000", 509110), ("0.999", 99), ("-3.50", -350), ("0", 0)],
)
def test_the_float_is_its_available_balance_in_whole_cents(balance: str, minor: int) -> None:
    """What is less than a cent buys nothing; an overdraft is below zero."""
    assert read_float(account(balance)) == Float("USD", minor, "00SCXM/PLAT01/general")


def test_a_float_without_a_row_is_empty() -> None:
    """The provider lists accounts with a balance only; rows of others are not the float."""
    assert read_float().available_minor == 0
    assert (
        read_float(account("1", account_label="x"), account("1", asset="EUR")).available_minor == 0
    )


def test_a_float_that_is_several_accounts_is_refused() -> None:
    """One row twice is one account; two accounts are a question nobody may guess at."""
    assert read_float(account("5"), account("5")).available_minor == 500
    with pytest.raises(BadResponse, match="E_FLOAT"):
        read_float(account("5"), account("5", account_id=ID.replace("b1", "b2")))
    with pytest.raises(BadResponse, match="no balance"):
        read_float(account("9" * 20))


def read_price(symbol: httpx.Response, index: httpx.Response) -> Price | None:
    """The price of BTC in USD from two answers."""

    def respond(request: httpx.Request) -> httpx.Response:
        return index if request.url.path == "/index" else symbol

    return market.read_price(read_client(httpx.MockTransport(respond)), "BTC", "USD")


def quoted(value: str) -> httpx.Response:
    """symbol_data with one price."""
    return json_answer([["BTC", {"marketDataMap": [["USD", {"price": {"value": value}}]]}]])


def test_prices_are_cut_to_eight_decimals_and_nothing_else() -> None:
    """No digit before the eighth decimal passes through a binary float."""
    index = httpx.Response(200, content=b'{"value":123456789012345.123456789}')
    price = read_price(quoted("1234567.123456789"), index)
    assert price == Price("BTC", "USD", 123456712345678, 12345678901234512345678)
    small = read_price(quoted("0.00000612"), httpx.Response(200, content=b'{"value":6.12e-6}'))
    assert small == Price("BTC", "USD", 612, 612)


def test_a_price_may_lack_an_index_and_an_index_a_price() -> None:
    """Without the mean the price stands alone; without the price there is none."""
    assert read_price(quoted("5"), httpx.Response(404)) == Price("BTC", "USD", 5 * 10**8, None)
    assert read_price(quoted("0"), httpx.Response(404)) is None
    assert read_price(json_answer([]), json_answer({"value": 5})) is None
    assert read_price(httpx.Response(404), json_answer({"value": 5})) is None
    assert read_price(json_answer({"errors": ["no"]}, 400), json_answer({"value": 5})) is None
    assert read_price(quoted("5"), json_answer({"errors": ["no"]}, 400)) == Price(
        "BTC", "USD", 5 * 10**8, None
    )


def test_a_price_that_cannot_be_trusted_is_none() -> None:
    """Sixteen digits before the point, no number, no JSON: that pair has no price."""
    assert read_price(quoted("1234567890123456"), httpx.Response(404)) is None
    assert read_price(quoted("-5"), httpx.Response(404)) is None
    assert read_price(httpx.Response(200, content=b"<html>"), httpx.Response(404)) is None
