"""Pages that are read at once are read as they are with care, and every other page is."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.errors import BadResponse
from stratctl.live import wire
from stratctl.live.pages import (
    ACCOUNTS,
    EXECUTIONS,
    OPERATIONS,
    PARTICIPANTS,
    STRATEGIES,
    TRADERS,
    InDoubt,
    PagesOf,
)
from stratctl.live.wire import BODY_BYTES_MAX

ID = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
OTHER = "bd92c25a-eaf8-3e95-ab7a-59f3e2275234"

ACCOUNT = {
    "asset": "BTC",
    "account_owner": "CUST01",
    "account_type": "available",
    "account_group": "PLAT01",
    "account_label": ID,
    "balance": "-1.50",
    "account_id": OTHER,
    "last_update": 1715459200000,
}
PARTICIPANT = {
    "participant_code": "CUST01",
    "participant_name": "Ada",
    "email": "ada@example.com",
    "status": "approved",
    "reason_code": "",
    "jurisdiction_code": "US-IL",
    "limits": ["x"],
    "updated_at": 1715459200000,
}
TRADER = {
    "id": OTHER,
    "strategy_id": ID,
    "participant_code": "CUST01",
    "account_label": ID,
    "auto_rebalance": True,
    "created_at": "2026-04-17T10:00:00Z",
    "updated_at": "2026-04-17T10:00:01Z",
}


def accounts_page(rows: list[Any]) -> Any:
    """As documented."""
    return {"message": rows, "page": 1, "total_pages": 7}


def participants_page(rows: list[Any]) -> Any:
    """As documented."""
    return {"message": rows, "page": 1, "page_size": 100, "total_pages": 7, "count": 601}


def traders_page(rows: list[Any]) -> Any:
    """As documented."""
    return {"message": {"traders": rows, "next_page_token": "a:b"}}


DOCUMENTED: dict[str, tuple[PagesOf[Any], Any]] = {
    "accounts": (ACCOUNTS, accounts_page([ACCOUNT, {**ACCOUNT, "account_id": ID}])),
    "participants": (PARTICIPANTS, participants_page([PARTICIPANT, {**PARTICIPANT, "limits": []}])),
    "traders": (TRADERS, traders_page([TRADER, {**TRADER, "auto_rebalance": False, "id": ID}])),
}
documented = pytest.mark.parametrize("name", DOCUMENTED)


def outcome(read: Any, raw: Any) -> tuple[str, Any]:
    """What is said against a page, or else what it holds."""
    try:
        return "", read(raw)
    except BadResponse as error:
        return error.summary, None


def carefully(pages_of: PagesOf[Any], raw: bytes) -> Any:
    """A page as it is read where nothing is taken for granted."""
    return pages_of.with_care(wire.parse(raw))


@documented
def test_a_page_as_documented_is_read_at_once(name: str) -> None:
    """With or without blanks, in any order of its fields, to the same columns."""
    pages_of, document = DOCUMENTED[name]
    assert pages_of.at_once is not None
    for raw in (
        json.dumps(document),
        json.dumps(document, separators=(",", ":")),
        json.dumps(document, indent=1, sort_keys=True),
    ):
        assert pages_of.at_once(raw.encode()) == carefully(pages_of, raw.encode())


MEMBER = re.compile(r'"\w+":')
ODD = [
    *["null", "true", "[]", "{}", "[1]", '[{"a":1,"a":2}]', '{"a":1}', "NaN", "[[[["],
    *["0", "-0", "-1", "1", "1.0", "1e2", "9" * 18, "9" * 19, '"1"', '"01"', '"1."', '"\u0663"'],
    *['""', '"true"', '"a:b"', '"a\\nb"', '"\\u003a"', '"\\ud800"', '"ABCDEFG"', '"A"', "'a'"],
    *[f'"{ID}"', f'"{ID.upper()}"', f'"{ID}\\n{ID}"', f'"{ID[:-1]}"'],
]


@documented
def test_what_is_in_doubt_is_read_with_care(name: str) -> None:
    """Each value replaced by odd ones, each field renamed, added, doubled or gone: the same."""
    pages_of, document = DOCUMENTED[name]
    raw = json.dumps(document, separators=(",", ":"))
    for found in MEMBER.finditer(raw):
        before, member, after = raw[: found.start()], found[0], raw[found.end() :]
        _, end = json.JSONDecoder().raw_decode(after)
        bodies = [before + '"other":' + after, before + after[end:].removeprefix(",")]
        for value in ODD:
            bodies += [
                before + member + value + after[end:],
                f'{before}"other":{value},{member}{after}',
                f"{before}{member}{value},{member}{after}",
            ]
        for body in bodies:
            assert_the_same(pages_of, body.encode())


@given(st.sampled_from(sorted(DOCUMENTED)), st.data())
def test_a_page_with_one_byte_changed_is_read_with_care(name: str, data: st.DataObject) -> None:
    """It is the page that it is with care, or refused in the same words."""
    pages_of, document = DOCUMENTED[name]
    body = json.dumps(document).encode()
    place = data.draw(st.integers(0, len(body) - 1))
    assert_the_same(pages_of, body[:place] + data.draw(st.binary(max_size=1)) + body[place + 1 :])


def assert_the_same(pages_of: PagesOf[Any], body: bytes) -> None:
    """A page is read as it is with care."""
    assert outcome(pages_of.read, body) == outcome(lambda body: carefully(pages_of, body), body)


@documented
def test_twins_are_found_wherever_they_are(name: str) -> None:
    """Each key of each object, twice, with a value that hides its colons or has more of them."""
    pages_of, document = DOCUMENTED[name]
    raw = json.dumps(document, separators=(",", ":"))
    # Where colons are escaped a text has more of them than its source: that could make up for one.
    for source in (raw, raw.replace("T10:", "T10\\u003a"), raw.replace("a:b", "a\\u003ab")):
        for found in MEMBER.finditer(source):
            value = source[found.end() :]
            _, end = json.JSONDecoder().raw_decode(value)
            for twin in (value[:end], '"x"', '":"', '"\\u003a"'):
                body = source[: found.start()] + found[0] + twin + "," + source[found.start() :]
                with pytest.raises(BadResponse, match="occurs twice"):
                    pages_of.read(body.encode())


def test_a_page_that_is_too_large_is_refused() -> None:
    """However plain it is."""
    pages_of, document = DOCUMENTED["accounts"]
    with pytest.raises(BadResponse, match="larger than"):
        pages_of.read(json.dumps(document).encode() + b" " * BODY_BYTES_MAX)


@documented
@pytest.mark.parametrize("rows", [[], [None], [{}]], ids=["none", "null", "empty"])
def test_rows_that_are_none_are_left_to_care(name: str, rows: list[Any]) -> None:
    """No rows are a page of none, and rows without their fields are refused."""
    pages_of, _ = DOCUMENTED[name]
    wrap = {"accounts": accounts_page, "participants": participants_page, "traders": traders_page}
    body = json.dumps(wrap[name](rows)).encode()
    assert pages_of.at_once is not None
    with pytest.raises(InDoubt):
        pages_of.at_once(body)
    assert_the_same(pages_of, body)


def test_other_lists_are_always_read_with_care() -> None:
    """They are short, or have rows within rows."""
    for pages_of, name in ((STRATEGIES, "strategies"), (OPERATIONS, "operations")):
        assert pages_of.at_once is None
        assert pages_of.read(json.dumps({"message": {name: []}}).encode()).count == 0
    assert EXECUTIONS.at_once is None
