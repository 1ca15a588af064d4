"""Faults on demand: each kind, whom it meets, and what the provider did meanwhile."""

import uuid
from typing import Any

import httpx
import pytest

from stratctl.sandbox.faults import KINDS, Fault
from tests.sandbox.platform import Platform, open_platform, signed_headers

ENROLL = {"kind": "", "method": "POST", "path": "/enroll"}


def enroll(platform: Platform, strategy: str, request_id: str) -> Any:
    """An enrollment, its faults and all."""
    return platform.start(strategy, "enroll", {"P00001": "50.00"}, request_id=request_id)


def operations(platform: Platform, request_id: str) -> int:
    """How many Operations the provider knows by a request id."""
    return len(platform.all_rows("/strategies/operations", request_id=request_id))


def new_id(number: int = 1) -> str:
    """A request id."""
    return str(uuid.UUID(int=1000 + number, version=4))


@pytest.mark.parametrize(
    ("kind", "error", "commits"),
    [
        ("timeout_before", httpx.ReadTimeout, False),
        ("timeout_after", httpx.ReadTimeout, True),
        ("reset_before", httpx.ReadError, False),
        ("reset_after", httpx.ReadError, True),
    ],
)
def test_broken_connections(
    platform: Platform, kind: str, error: type[Exception], commits: bool
) -> None:
    """No answer; the request may or may not have counted; the same bytes then find out."""
    strategy = platform.strategy()
    platform.sandbox.control("fault", {**ENROLL, "kind": kind})
    with pytest.raises(error):
        enroll(platform, strategy, new_id())
    assert operations(platform, new_id()) == int(commits)
    assert enroll(platform, strategy, new_id()).status == (200 if commits else 202)
    assert operations(platform, new_id()) == 1


@pytest.mark.parametrize(
    ("kind", "status", "commits"),
    [
        ("401", 401, False),
        ("403", 403, False),
        ("408", 408, False),
        ("409", 409, False),
        ("429", 429, False),
        ("500_before", 500, False),
        ("500_after", 500, True),
        ("502_before", 502, False),
        ("502_after", 502, True),
        ("503", 503, False),
        ("504_before", 504, False),
        ("504_after", 504, True),
        ("1020", 403, False),
        ("html", 200, True),
    ],
)
def test_error_answers(kind: str, status: int, commits: bool) -> None:
    """Each status, before or after the request counted."""
    with open_platform(strict=False) as platform:
        strategy = platform.strategy()
        platform.sandbox.control("fault", {**ENROLL, "kind": kind})
        response = raw_enroll(platform, strategy)
        assert response.status_code == status
        assert operations(platform, new_id()) == int(commits)


def raw_enroll(platform: Platform, strategy: str) -> httpx.Response:
    """The bytes of an answer to an enrollment."""
    target = f"/strategies/{strategy}/enroll"
    body = (
        b'{"allocations":[{"underlying_currency":"BTC","weight":"1"}],"participants":'
        b'[{"participant_code":"P00001","amount":"50.00","auto_rebalance":true}]}'
    )
    credential = platform.sandbox.credentials.write
    headers = signed_headers(credential, platform.clock.wall_ms(), "POST", target, body)
    headers["X-REQUEST-ID"] = new_id()
    return platform.client.post(target, content=body, headers=headers)


def test_a_503_may_be_retried_and_says_so() -> None:
    """The documented header and body."""
    with open_platform() as platform:
        platform.sandbox.control("fault", {"kind": "503"})
        answer = platform.get("/strategies")
        assert (answer.status, answer.headers["zh-allow-retry"]) == (503, "true")
        assert answer.body == {"error": "Service Unavailable"}


@pytest.mark.parametrize("retry_after", ["", "10"])
def test_a_429_is_plain_text(platform: Platform, retry_after: str) -> None:
    """With and without Retry-After."""
    platform.sandbox.control("fault", {"kind": "429", "retry_after": retry_after})
    answer = platform.client.get("/time")
    assert (answer.status_code, answer.text) == (429, "Too Many Requests")
    assert answer.headers.get("retry-after", "") == retry_after


@pytest.mark.parametrize(("kind", "text"), [("502_before", "502 Bad"), ("1020", "Error 1020")])
def test_edges_answer_with_pages(platform: Platform, kind: str, text: str) -> None:
    """HTML where JSON was expected."""
    platform.sandbox.control("fault", {"kind": kind})
    answer = platform.client.get("/time")
    assert answer.headers["content-type"].startswith("text/html")
    assert text in answer.text


@pytest.mark.parametrize("kind", ["malformed", "truncated"])
def test_bodies_that_are_no_json(kind: str) -> None:
    """The request counted; its answer is good for nothing."""
    with open_platform() as platform:
        strategy = platform.strategy()
        platform.sandbox.control("fault", {**ENROLL, "kind": kind})
        response = raw_enroll(platform, strategy)
        assert response.status_code == 202
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            response.json()
        assert operations(platform, new_id()) == 1


@pytest.mark.parametrize(("seconds", "commits"), [(30, True), (61, False)])
def test_a_late_request_arrives_after_its_retry(
    platform: Platform, seconds: int, commits: bool
) -> None:
    """What was thought lost arrives; after the signature's minute it is refused."""
    strategy = platform.strategy()
    platform.sandbox.control("fault", {**ENROLL, "kind": "late", "seconds": seconds})
    with pytest.raises(httpx.ReadTimeout):
        enroll(platform, strategy, new_id())
    assert operations(platform, new_id()) == 0
    platform.sandbox.advance(seconds)
    assert operations(platform, new_id()) == int(commits)
    arrived = platform.sandbox.control("requests")["requests"]
    assert [row["status"] for row in arrived if row["fault"] == "late"] == [
        0,
        202 if commits else 401,
    ]


def test_a_late_request_is_a_duplicate_of_its_retry(platform: Platform) -> None:
    """The retry counted first; the late one finds it."""
    strategy = platform.strategy()
    platform.sandbox.control("fault", {**ENROLL, "kind": "late", "seconds": 5})
    with pytest.raises(httpx.ReadTimeout):
        enroll(platform, strategy, new_id())
    assert enroll(platform, strategy, new_id()).status == 202
    platform.sandbox.advance(10)
    assert operations(platform, new_id()) == 1


def a_list(platform: Platform) -> list[str]:
    """Six Strategies."""
    return [platform.strategy() for _ in range(6)]


def test_a_page_may_be_short(platform: Platform) -> None:
    """Half of the rows and no next page."""
    ids = a_list(platform)
    platform.sandbox.control("fault", {"kind": "short_page"})
    page = platform.get("/strategies", page_size=4).message
    assert [row["id"] for row in page["strategies"]] == ids[:2]
    assert page["next_page_token"] == ""


def test_a_page_may_miss_a_row(platform: Platform) -> None:
    """The first one is gone; the rest and the token are right."""
    ids = a_list(platform)
    platform.sandbox.control("fault", {"kind": "drop_item"})
    page = platform.get("/strategies", page_size=4).message
    assert [row["id"] for row in page["strategies"]] == ids[1:4]
    rest = platform.all_rows_from("/strategies", page["next_page_token"])
    assert [row["id"] for row in rest] == ids[4:]


def test_a_token_may_repeat(platform: Platform) -> None:
    """The next page is the first again, and then itself."""
    ids = a_list(platform)
    platform.sandbox.control("fault", {"kind": "repeat_token", "count": 2})
    first = platform.get("/strategies", page_size=2).message
    token = first["next_page_token"]
    again = platform.get("/strategies", page_size=2, page_token=token).message
    assert [row["id"] for row in again["strategies"]] == ids[:2]
    assert again["next_page_token"] == token


def test_numbered_pages_may_lose_rows_too(platform: Platform) -> None:
    """Half of the accounts and no further page, or one account less."""
    platform.run(platform.strategy(), "enroll", {"P00001": "50.00"})
    accounts = platform.get("/accounts").message
    platform.sandbox.control("fault", {"kind": "short_page"})
    platform.sandbox.control("fault", {"kind": "drop_item"})
    assert platform.get("/accounts").message == accounts[: len(accounts) // 2]
    assert platform.get("/accounts").message == accounts[1:]


@pytest.mark.parametrize("kind", ["short_page", "drop_item", "repeat_token"])
def test_page_faults_leave_other_answers_alone(kind: str) -> None:
    """A resource, a bare array, an answer without a body: none is a page."""
    with open_platform(switches={"not_found_body": "empty"}) as platform:
        strategy = platform.strategy()
        platform.sandbox.control("fault", {"kind": kind, "count": 3})
        assert platform.get(f"/strategies/{strategy}").message["id"] == strategy
        pair = {"underlying": "BTC", "quoted_currency": "USD"}
        assert len(platform.get("/market_data/symbol_data", **pair).body) == 1
        assert platform.get(f"/strategies/{new_id()}").body is None


def test_any_text_may_be_replaced() -> None:
    """Unknown enum values, statuses that go backwards, wrong echoes: all of them."""
    with open_platform(strict=False) as platform:
        outcome = platform.run(platform.strategy(), "enroll", {"P00001": "50.00"})
        platform.sandbox.control(
            "fault",
            {"kind": "replace", "path": "/operations", "find": "settled", "with": "pricing"},
        )
        path = f"/strategies/operations/{outcome.operation['id']}"
        assert platform.get(path).message["status"] == "pricing"
        assert platform.get(path).message["status"] == "settled"


# Whom a fault meets


def test_a_fault_meets_its_own_requests_only(platform: Platform) -> None:
    """By method and part of the path, after `skip` of them, `count` times."""
    strategy = platform.strategy()
    fault = {**ENROLL, "kind": "500_before", "skip": 1, "count": 2}
    platform.sandbox.control("fault", fault)
    assert platform.get("/strategies").status == 200
    assert platform.start(strategy, "liquidate", ["P00001"]).status == 202
    statuses = [enroll(platform, strategy, new_id(n)).status for n in range(4)]
    assert statuses == [202, 500, 500, 202]


def test_faults_happen_in_the_order_they_were_set(platform: Platform) -> None:
    """One after the other, and then no more."""
    for kind in ("500_before", "503"):
        platform.sandbox.control("fault", {"kind": kind})
    assert [platform.get("/strategies").status for _ in range(3)] == [500, 503, 200]


def test_faults_can_be_listed_and_forgotten(platform: Platform) -> None:
    """What waits is shown; DELETE forgets it."""
    platform.sandbox.control("fault", {"kind": "replace", "find": "a", "with": "b", "count": 3})
    listed = platform.sandbox.control("fault")
    assert set(listed["kinds"]) == set(KINDS)
    assert [(row["kind"], row["with"], row["count"]) for row in listed["waiting"]] == [
        ("replace", "b", 3)
    ]
    platform.sandbox.control("fault", method="DELETE")
    assert platform.sandbox.control("fault")["waiting"] == []


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({}, "kind is one of"),
        ({"kind": "earthquake"}, "not 'earthquake'"),
        ({"kind": "503", "colour": 1}, "a fault has no 'colour'"),
        ({"kind": "503", "count": "1"}, "count is not int: '1'"),
    ],
)
def test_wrong_faults_are_refused(platform: Platform, wanted: dict[str, Any], error: str) -> None:
    """With what is wrong about them."""
    with pytest.raises(ValueError, match=error):
        platform.sandbox.control("fault", wanted)


def test_control_requests_meet_no_faults(platform: Platform) -> None:
    """The way to switch faults off stays open."""
    platform.sandbox.control("fault", {"kind": "timeout_before", "count": 1000})
    platform.sandbox.control("fault", method="DELETE")
    assert platform.get("/strategies").status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_whether_the_request_counts(kind: str) -> None:
    """The table's words and the behaviour agree."""
    words = KINDS[kind]
    processed = "never processed" not in words and kind not in ("401", "403", "429", "1020", "late")
    assert Fault(kind).before is not processed
