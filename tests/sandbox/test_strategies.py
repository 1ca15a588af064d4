"""The sixteen strategy endpoints: shapes, idempotency, bodies, paging, filters."""

import uuid
from typing import Any

import pytest

from stratctl.sandbox.participants import code_of
from tests.sandbox.platform import (
    BASKET,
    Platform,
    allocations,
    open_platform,
    participants,
    signed_headers,
)

VERBS = {
    "enroll": "enrollment",
    "top-up": "top_up",
    "partial-sell": "partial_sell",
    "rebalance": "rebalance",
    "liquidate": "liquidation",
}
NOBODY = "00000000-0000-4000-8000-000000000000"


def a_body(verb: str) -> dict[str, Any]:
    """A valid body of a verb for one participant."""
    who: Any = ["P00001"] if verb in ("rebalance", "liquidate") else {"P00001": "100.00"}
    body: dict[str, Any] = {"participants": participants(verb, who)}
    if verb != "liquidate":
        body["allocations"] = allocations(BASKET)
    return body


# Strategies


def test_a_strategy_keeps_what_it_was_given(platform: Platform) -> None:
    """Created with 201, read back alike, its request id the one that was sent."""
    request_id = "de35c49b-2b38-45c7-b17c-c698bc817fa0"
    body = {"quoted_currency": "USD", "metadata": {"z": 1, "a": {"n": None, "x": [True, 1.10]}}}
    answer = platform.post("/strategies", body, request_id)
    assert answer.status == 201
    assert answer.headers["x-request-id"] == request_id
    created = answer.message
    assert created["request_id"] == request_id
    assert created["metadata"] == body["metadata"]
    assert created["created_at"] == "2026-04-17T10:30:00Z"
    assert platform.get(f"/strategies/{created['id']}").message == created


def test_metadata_numbers_keep_their_digits(platform: Platform) -> None:
    """A number in metadata comes back digit by digit."""
    content = b'{"quoted_currency":"USD","metadata":{"n":12345678901234567.890}}'
    headers = {"X-REQUEST-ID": str(uuid.UUID(int=9, version=4))}
    signed = signed_headers(
        platform.sandbox.credentials.write,
        platform.clock.wall_ms(),
        "POST",
        "/strategies",
        content,
    )
    answer = platform.client.post("/strategies", content=content, headers={**signed, **headers})
    assert b'"metadata":{"n":12345678901234567.890}' in answer.content


def test_metadata_is_replaced_as_a_whole(platform: Platform) -> None:
    """PATCH does not merge, `{}` clears, and the update is dated."""
    strategy = platform.strategy(a=1, b=2)
    platform.sandbox.advance(60)
    patched = platform.patch(f"/strategies/{strategy}", {"metadata": {"c": 3}}).message
    assert patched["metadata"] == {"c": 3}
    assert patched["updated_at"] == "2026-04-17T10:31:00Z"
    assert platform.patch(f"/strategies/{strategy}", {"metadata": {}}).message["metadata"] == {}


def test_a_strategy_may_have_no_metadata(platform: Platform) -> None:
    """metadata is null when it was never given."""
    created = platform.post("/strategies", {"quoted_currency": "EUR"}).message
    assert created["metadata"] is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "body/quoted_currency is required"),
        ({"quoted_currency": 1}, "body/quoted_currency must be string"),
        (
            {"quoted_currency": "BTC"},
            "body/quoted_currency must be equal to one of the allowed values",
        ),
        ({"quoted_currency": "USD", "metadata": []}, "body/metadata must be object"),
    ],
)
def test_a_wrong_strategy_body_is_refused(
    platform: Platform, body: dict[str, Any], error: str
) -> None:
    """Each mistake has its text."""
    answer = platform.post("/strategies", body)
    assert (answer.status, answer.body) == (400, {"errors": [error]})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "body/metadata is required"),
        ({"metadata": None}, "body/metadata must be object"),
        ({"metadata": "x"}, "body/metadata must be object"),
    ],
)
def test_a_wrong_metadata_patch_is_refused(
    platform: Platform, body: dict[str, Any], error: str
) -> None:
    """metadata must be there and an object."""
    answer = platform.patch(f"/strategies/{platform.strategy()}", body)
    assert (answer.status, answer.body) == (400, {"errors": [error]})


# Idempotency


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("request_id", "error"),
    [
        (None, "headers/x-request-id is required"),
        ("7", "headers/x-request-id must be UUID v4"),
        ("bd92c25a-eaf8-3e95-ab7a-59f3e2275234", "headers/x-request-id must be UUID v4"),
        ("bd92c25aeaf84e95ab7a59f3e2275234", "headers/x-request-id must be UUID v4"),
        ("bd92c25a-eaf8-4e95-cb7a-59f3e2275234", "headers/x-request-id must be UUID v4"),
    ],
)
def test_mutations_need_a_v4_request_id(
    platform: Platform, method: str, request_id: str | None, error: str
) -> None:
    """Missing, malformed, and of another version or variant: all refused."""
    target = "/strategies" if method == "POST" else f"/strategies/{platform.strategy()}"
    body = {"quoted_currency": "USD", "metadata": {}}
    answer = platform.call(method, target, body, request_id=request_id)
    assert (answer.status, answer.body) == (400, {"errors": [error]})


def test_creating_twice_with_one_id_creates_once(platform: Platform) -> None:
    """A replay answers 200 with the same Strategy."""
    request_id = str(uuid.UUID(int=1, version=4))
    first = platform.post("/strategies", {"quoted_currency": "USD"}, request_id)
    second = platform.post("/strategies", {"quoted_currency": "USD"}, request_id.upper())
    assert (first.status, second.status) == (201, 200)
    assert first.message == second.message
    assert len(platform.all_rows("/strategies")) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_sent_twice_with_one_id_runs_once(platform: Platform, verb: str) -> None:
    """202, then 200 with the same Operation, in whatever status it is by then."""
    strategy = platform.strategy()
    request_id = str(uuid.UUID(int=2, version=4))
    path = f"/strategies/{strategy}/{verb}"
    first = platform.post(path, a_body(verb), request_id)
    assert (first.status, first.message["type"]) == (202, VERBS[verb])
    assert first.message["status"] == "validating"
    platform.settle()
    second = platform.post(path, a_body(verb), request_id)
    assert second.status == 200
    assert second.message["id"] == first.message["id"]
    assert second.message["status"] in ("settled", "failed", "skipped")
    assert len(platform.all_rows("/strategies/operations")) == 1


def test_one_id_on_two_strategies_is_two_operations(platform: Platform) -> None:
    """The key is the pair of strategy and request id."""
    request_id = str(uuid.UUID(int=3, version=4))
    ids = {
        platform.start(
            platform.strategy(), "enroll", {"P00001": "5.00"}, request_id=request_id
        ).message["id"]
        for _ in range(2)
    }
    assert len(ids) == 2
    found = platform.all_rows("/strategies/operations", request_id=request_id)
    assert {operation["id"] for operation in found} == ids


def test_the_order_of_members_does_not_make_another_body(platform: Platform) -> None:
    """The same content in another spelling is a replay even where other bodies are refused."""
    with open_platform(switches={"same_id_other_body": "409"}) as strict:
        request_id = str(uuid.UUID(int=4, version=4))
        one = {"quoted_currency": "USD", "metadata": {"a": 1, "b": 2}}
        two = {"metadata": {"b": 2, "a": 1}, "quoted_currency": "USD"}
        assert strict.post("/strategies", one, request_id).status == 201
        assert strict.post("/strategies", two, request_id).status == 200


def test_a_refused_body_does_not_use_up_the_id(platform: Platform) -> None:
    """After a 400 the same id may carry a corrected body."""
    request_id = str(uuid.UUID(int=5, version=4))
    assert platform.post("/strategies", {}, request_id).status == 400
    assert platform.post("/strategies", {"quoted_currency": "USD"}, request_id).status == 201


def test_a_replayed_patch_changes_nothing(platform: Platform) -> None:
    """The replay of an older patch answers with what is there now."""
    strategy = platform.strategy()
    path = f"/strategies/{strategy}"
    first = str(uuid.UUID(int=6, version=4))
    platform.patch(path, {"metadata": {"n": 1}}, first)
    platform.patch(path, {"metadata": {"n": 2}})
    assert platform.patch(path, {"metadata": {"n": 1}}, first).message["metadata"] == {"n": 2}


# Bodies of the verbs


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", "body must be valid JSON"), (b"[]", "body must be object"), (b"\xff", "body must be")],
)
def test_a_body_that_is_no_object_is_refused(
    platform: Platform, verb: str, content: bytes, error: str
) -> None:
    """Empty, an array, bytes that are no text."""
    target = f"/strategies/{platform.strategy()}/{verb}"
    signed = signed_headers(
        platform.sandbox.credentials.write, platform.clock.wall_ms(), "POST", target, content
    )
    headers = {**signed, "X-REQUEST-ID": str(uuid.UUID(int=7, version=4))}
    answer = platform.client.post(target, content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"][0].startswith(error)


def refusals(platform: Platform, verb: str, **changed: Any) -> list[str]:
    """The errors of a body with some members changed, or left out when they are ..."""
    body = {**a_body(verb), **changed}
    kept = {name: value for name, value in body.items() if value is not ...}
    answer = platform.post(f"/strategies/{platform.strategy()}/{verb}", kept)
    assert answer.status == 400, answer.body
    return list(answer.body["errors"])


@pytest.mark.parametrize("verb", ["enroll", "top-up", "partial-sell", "rebalance"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (..., "body/allocations is required"),
        ({}, "body/allocations must be array"),
        ([], "body/allocations must NOT have fewer than 1 items"),
        (["BTC"], "body/allocations/0 must be object"),
        (
            [{"underlying_currency": "BTC"}],
            "body/allocations/0/weight is required",
        ),
        ([{"weight": "1"}], "body/allocations/0/underlying_currency is required"),
        (
            [{"underlying_currency": "BTC", "weight": 1}],
            "body/allocations/0/weight must be string",
        ),
        (
            [{"underlying_currency": "BTC", "weight": "1e0"}],
            "body/allocations/0/weight must be a decimal string",
        ),
        (
            [{"underlying_currency": "BTC", "weight": "-1"}],
            "body/allocations/0/weight must be a decimal string",
        ),
        (
            [{"underlying_currency": "BTC", "weight": "1.01"}],
            "body/allocations/0/weight must be <= 1",
        ),
        (
            allocations({"BTC": "0.5", "ETH": "0.4999"}),
            "body/allocations weights must sum to 1",
        ),
        (
            allocations({"BTC": "0.5", "ETH": "0.5001"}),
            "body/allocations weights must sum to 1",
        ),
        (
            allocations({"BTC": "0.5"}) + allocations({"BTC": "0.5"}),
            "body/allocations/1/underlying_currency must be unique",
        ),
        (
            allocations({"NOCOIN": "1"}),
            "body/allocations/0/underlying_currency must be a supported asset",
        ),
        (
            allocations({"USD": "1"}),
            "body/allocations/0/underlying_currency must be a supported asset",
        ),
    ],
)
def test_wrong_allocations_are_refused(
    platform: Platform, verb: str, value: Any, error: str
) -> None:
    """Each mistake has its text, in every verb that has allocations."""
    assert error in refusals(platform, verb, allocations=value)


@pytest.mark.parametrize("verb", ["enroll", "top-up", "partial-sell", "liquidate"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (..., "body/participants is required"),
        ("P00001", "body/participants must be array"),
        ([], "body/participants must NOT have fewer than 1 items"),
        (["P00001"], "body/participants/0 must be object"),
        ([{}], "body/participants/0/participant_code is required"),
        (
            [{"participant_code": "p00001"}],
            'body/participants/0/participant_code must match pattern "^[A-Z0-9]{6}$"',
        ),
        (
            [{"participant_code": "P00001\n"}],
            'body/participants/0/participant_code must match pattern "^[A-Z0-9]{6}$"',
        ),
    ],
)
def test_wrong_participants_are_refused(
    platform: Platform, verb: str, value: Any, error: str
) -> None:
    """Each mistake has its text, in every verb that needs participants."""
    assert error in refusals(platform, verb, participants=value)


@pytest.mark.parametrize("verb", ["enroll", "top-up", "partial-sell"])
@pytest.mark.parametrize(
    ("amount", "error"),
    [
        (None, "is required"),
        (100, "must be string"),
        ("0", "must be > 0"),
        ("0.00", "must be > 0"),
        ("-5.00", "must be a decimal string with at most 2 decimal places"),
        ("1.005", "must be a decimal string with at most 2 decimal places"),
        ("1e3", "must be a decimal string with at most 2 decimal places"),
        ("1_000", "must be a decimal string with at most 2 decimal places"),
        ("9" * 20, "must be a decimal string with at most 2 decimal places"),
    ],
)
def test_wrong_amounts_are_refused(platform: Platform, verb: str, amount: Any, error: str) -> None:
    """Amounts are positive decimal strings in cents."""
    row = {**a_body(verb)["participants"][0], "amount": amount}
    assert refusals(platform, verb, participants=[row]) == [f"body/participants/0/amount {error}"]


def test_enrolling_needs_the_flag(platform: Platform) -> None:
    """auto_rebalance is required, and a boolean; the other verbs do not ask for it."""
    row = {"participant_code": "P00001", "amount": "5.00"}
    path = "body/participants/0/auto_rebalance"
    assert refusals(platform, "enroll", participants=[row]) == [f"{path} is required"]
    text = {**row, "auto_rebalance": "true"}
    assert refusals(platform, "enroll", participants=[text]) == [f"{path} must be boolean"]


def test_all_mistakes_are_told_at_once(platform: Platform) -> None:
    """One answer lists every error of the body."""
    rows = [{"participant_code": "bad", "amount": "x", "auto_rebalance": 1}, 7]
    errors = refusals(platform, "enroll", participants=rows, allocations=[])
    assert len(errors) == 5


def test_unknown_members_are_ignored(platform: Platform) -> None:
    """A member that the provider does not know changes nothing."""
    strategy = platform.strategy()
    answer = platform.post(f"/strategies/{strategy}/enroll", {**a_body("enroll"), "note": "hello"})
    assert answer.status == 202


def test_trader_patches_are_checked(platform: Platform) -> None:
    """auto_rebalance is required and a boolean."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    (trader,) = platform.all_rows("/strategies/traders")
    path = f"/strategies/traders/{trader['id']}"
    assert platform.patch(path, {}).body == {"errors": ["body/auto_rebalance is required"]}
    assert platform.patch(path, {"auto_rebalance": 0}).body == {
        "errors": ["body/auto_rebalance must be boolean"]
    }
    patched = platform.patch(path, {"auto_rebalance": False}).message
    assert patched["auto_rebalance"] is False
    assert platform.get(path).message == patched


# Reading


@pytest.mark.parametrize(
    "path",
    [
        "/strategies/{}",
        "/strategies/operations/{}",
        "/strategies/traders/{}",
        "/strategies/executions/{}",
    ],
)
def test_unknown_ids_are_404_and_broken_ones_400(platform: Platform, path: str) -> None:
    """An id nobody has, and one that is no UUID."""
    assert platform.get(path.format(NOBODY)).status == 404
    answer = platform.get(path.format("not-an-id"))
    assert answer.status == 400
    assert answer.body["errors"][0].endswith('must match format "uuid"')


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_on_an_unknown_strategy_are_404(platform: Platform, verb: str) -> None:
    """Nothing is accepted for a Strategy that does not exist."""
    assert platform.post(f"/strategies/{NOBODY}/{verb}", a_body(verb)).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/positions"),
        ("GET", "/orders"),
        ("POST", "/strategies/operations"),
        ("DELETE", f"/strategies/{NOBODY}"),
        ("PUT", f"/strategies/{NOBODY}"),
    ],
)
def test_what_the_provider_does_not_have_is_404(platform: Platform, method: str, path: str) -> None:
    """Nothing can be deleted, and unknown paths are not found."""
    answer = platform.call(method, path)
    assert (answer.status, answer.body) == (404, {"error": "Not Found"})


def a_crowd(platform: Platform) -> str:
    """A Strategy with ten Traders, one of them without the flag, and a rejected enrollment."""
    strategy = platform.strategy()
    nine = {f"P0000{n}": "100.00" for n in range(1, 10)}
    platform.run(strategy, "enroll", {**nine, "ZZZZZZ": "100.00"})
    platform.run(strategy, "enroll", {"P0000A": "100.00"}, auto_rebalance=False)
    return strategy


def test_pages_follow_one_cursor(platform: Platform) -> None:
    """Every row once, in one order, whatever the page size; the last token is empty."""
    strategy = a_crowd(platform)
    everyone = platform.all_rows("/strategies/traders", strategy_id=strategy)
    assert len(everyone) == 10
    for size in (1, 3, 10, 200):
        rows = platform.all_rows("/strategies/traders", strategy_id=strategy, page_size=size)
        assert rows == everyone
    first = platform.get("/strategies/traders", page_size=10).message
    assert first["next_page_token"] == ""


def test_rows_added_between_pages_are_not_lost(platform: Platform) -> None:
    """A keyset cursor shows old rows once and new ones at the end."""
    strategy = a_crowd(platform)
    first = platform.get("/strategies/traders", page_size=4).message
    platform.run(platform.strategy(), "enroll", {"P00001": "9.00"})
    rest = platform.all_rows_from("/strategies/traders", first["next_page_token"])
    ids = [row["id"] for row in first["traders"] + rest]
    assert len(ids) == len(set(ids)) == 11
    assert strategy in {row["strategy_id"] for row in rest}


def test_default_page_is_fifty(platform: Platform) -> None:
    """page_size defaults to 50."""
    platform.sandbox.control("participants", {"count": 60})
    who = {code_of(n): "10.00" for n in range(1, 61)}
    platform.run(platform.strategy(), "enroll", who)
    page = platform.get("/strategies/traders").message
    assert len(page["traders"]) == 50
    assert page["next_page_token"] != ""


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"page_size": "0"}, "query/page_size must be integer >= 1"),
        ({"page_size": "many"}, "query/page_size must be integer >= 1"),
        ({"page_size": "201"}, "query/page_size must be <= 200"),
        ({"page_token": "!"}, "query/page_token is invalid"),
        ({"page_token": "é"}, "query/page_token is invalid"),
        ({"page_token": "bm8="}, "query/page_token is invalid"),
    ],
)
@pytest.mark.parametrize("path", ["", "/operations", "/traders", "/executions"])
def test_wrong_paging_is_refused(
    platform: Platform, path: str, query: dict[str, str], error: str
) -> None:
    """Sizes outside 1 to 200, and tokens that are not ours."""
    answer = platform.get(f"/strategies{path}", **query)
    assert (answer.status, answer.body) == (400, {"errors": [error]})


def test_traders_can_be_filtered(platform: Platform) -> None:
    """By strategy, participant and flag, and by all of them."""
    strategy = a_crowd(platform)
    other = platform.strategy()
    platform.run(other, "enroll", {"P00001": "50.00"})

    def count(**query: str) -> int:
        return len(platform.all_rows("/strategies/traders", **query))

    assert count() == 11
    assert count(strategy_id=strategy) == 10
    assert count(strategy_id=NOBODY) == 0
    assert count(participant_code="P00001") == 2
    assert count(auto_rebalance="false") == 1
    assert count(strategy_id=other, participant_code="P00001", auto_rebalance="true") == 1
    assert platform.get("/strategies/traders", auto_rebalance="yes").status == 400


def test_operations_can_be_filtered(platform: Platform) -> None:
    """By strategy, request id, type and status."""
    strategy = a_crowd(platform)
    platform.run(strategy, "liquidate", ["P00001"])

    def types(**query: str) -> list[str]:
        return [row["type"] for row in platform.all_rows("/strategies/operations", **query)]

    assert types() == ["enrollment", "enrollment", "liquidation"]
    assert types(type="liquidation") == ["liquidation"]
    assert types(status="settled", strategy_id=strategy) == types()
    assert types(status="failed") == []
    request_id = platform.all_rows("/strategies/operations")[0]["request_id"]
    assert types(request_id=request_id.upper()) == ["enrollment"]
    assert platform.get("/strategies/operations", type="top-up").status == 400
    assert platform.get("/strategies/operations", status="done").status == 400


def test_executions_can_be_filtered(platform: Platform) -> None:
    """By strategy, operation, participant and status; each reads back alone."""
    strategy = a_crowd(platform)
    operations = platform.all_rows("/strategies/operations")

    def count(**query: str) -> int:
        return len(platform.all_rows("/strategies/executions", **query))

    assert count(strategy_id=strategy) == 11
    assert count(operation_id=operations[1]["id"]) == 1
    assert count(operation_id=NOBODY) == 0
    assert count(participant_code="P00001") == 1
    assert count(status="rejected") == 1
    assert platform.get("/strategies/executions", status="executed").status == 400
    for row in platform.all_rows("/strategies/executions"):
        assert platform.get(f"/strategies/executions/{row['id']}").message == row
