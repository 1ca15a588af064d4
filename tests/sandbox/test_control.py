"""`/_sandbox/…`: what it does, what it refuses, and the sandbox inside a process."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stratctl.sandbox import open_sandbox
from stratctl.sandbox.clock import ManualClock, SystemClock
from stratctl.sandbox.messages import Request
from stratctl.sandbox.participants import code_of
from stratctl.sandbox.switches import SWITCHES
from tests.sandbox.platform import BASKET, Platform, allocations, open_platform


def test_the_index_lists_every_endpoint(platform: Platform) -> None:
    """Each GET in it answers."""
    index = platform.sandbox.control("")
    assert len(index) > 15
    for entry in index:
        method, _, path = entry.partition(" ")
        if method == "GET":
            platform.sandbox.control(path.removeprefix("/_sandbox/"))


def test_unknown_control_endpoints_are_404(platform: Platform) -> None:
    """With the name that was asked for."""
    with pytest.raises(ValueError, match="no GET /_sandbox/weather"):
        platform.sandbox.control("weather")


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("price", {"BTC": "cheap"}, "the price of BTC is not a positive decimal"),
        ("price", {"BTC": "0"}, "the price of BTC is not a positive decimal"),
        ("price", {"BTC": None}, "the price of BTC is not a positive decimal"),
        ("price", {'B"TC': "1"}, "not an asset code"),
        ("advance", {"seconds": -1}, "seconds is a number"),
        ("advance", {}, "seconds is a number"),
        ("lag", {"mail": 1}, "a lag is one of"),
        ("lag", {"accounts": "long"}, "accounts_lag_seconds is a whole number"),
        ("float", {"currency": "BTC", "balance": "1"}, "currency is USD or EUR"),
        ("float", {"balance": "1.005"}, "currency is USD or EUR"),
        ("account", {"asset": "NONE"}, "no such asset"),
        ("account", {"asset": "USD", "owner": "me", "change": "1"}, "owner is a participant code"),
        ("account", {"asset": "USD", "owner": "P00001", "change": "1.005"}, "at most 2 places"),
        ("account", {"asset": "USD", "owner": "P00001", "change": "-1"}, "would become negative"),
        (
            "account",
            {"asset": "USD", "owner": "P00001", "change": "1", "label": 'a"b'},
            "label at most 40",
        ),
        ("participants", {"participants": [{"participant_code": "x"}]}, "not a participant code"),
        (
            "participants",
            {"participants": [{"participant_code": "P00001", "status": "happy"}]},
            "not a participant status",
        ),
        ("participants", {"count": "many"}, "invalid literal"),
        ("switches", {"colour": "red"}, "there is no switch"),
    ],
)
def test_wrong_control_bodies_are_refused(
    platform: Platform, name: str, body: dict[str, Any], error: str
) -> None:
    """400 with the reason, and nothing is changed."""
    before = platform.sandbox.control("books")
    with pytest.raises(ValueError, match=error):
        platform.sandbox.control(name, body)
    assert platform.sandbox.control("books") == before


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff", b"NaN"])
def test_control_bodies_are_objects(platform: Platform, content: bytes) -> None:
    """Anything else is 400."""
    request = Request("POST", "/_sandbox/price", {}, content)
    assert platform.sandbox.provider.handle(request, platform.clock).status == 400


def test_numbers_are_read_as_written(platform: Platform) -> None:
    """A price may be a JSON number; its digits count, not a binary fraction."""
    request = Request("POST", "/_sandbox/price", {}, b'{"BTC": 60000.1000000000000001, "ETH": 7}')
    assert platform.sandbox.provider.handle(request, platform.clock).status == 200
    prices = platform.sandbox.control("price")
    assert (prices["BTC"], prices["ETH"]) == ("60000.1000000000000001", "7.00")


def test_switches_show_their_table(platform: Platform) -> None:
    """Every switch with its value, default, positions and meaning; a change shows."""
    table = platform.sandbox.control("switches")
    assert set(table) == {switch.name for switch in SWITCHES}
    assert all(row["value"] == row["default"] and row["meaning"] for row in table.values())
    wanted = {"envelope": "bare", "latency_ms": 5, "rate_limit": True}
    changed = platform.sandbox.control("switches", wanted)
    assert changed == {"envelope": "bare", "latency_ms": "5", "rate_limit": "on"}
    assert platform.sandbox.control("switches")["envelope"]["value"] == "bare"


def test_lag_turns_the_switches_behind_it(platform: Platform) -> None:
    """One call sets how late each list is."""
    platform.sandbox.control("lag", {"operations": 3, "executions": 4, "accounts": 5})
    table = platform.sandbox.control("switches")
    names = ("operations_lag_seconds", "executions_lag_seconds", "accounts_lag_seconds")
    assert [table[name]["value"] for name in names] == ["3", "4", "5"]


def test_stats_and_requests_tell_what_happened(platform: Platform) -> None:
    """Counts by route, rows by table, and the last requests with their ids."""
    strategy = platform.strategy()
    request_id = "808dd60f-4ae1-464b-990f-8ccb8bb970ac"
    platform.start(strategy, "enroll", {"P00001": "5.00"}, request_id=request_id)
    stats = platform.sandbox.control("stats")
    assert stats["requests"] == {"POST /strategies": 1, "POST /strategies/{}/enroll": 1}
    assert (stats["rows"]["operation"], stats["operations"]) == (1, {"validating": 1})
    last = platform.sandbox.control("requests")["requests"][-1]
    assert last == {
        "method": "POST",
        "target": f"/strategies/{strategy}/enroll",
        "request_id": request_id,
        "status": 202,
        "fault": "",
    }


def test_money_is_not_taken_from_under_an_operation(platform: Platform) -> None:
    """What a running Operation counts on stays where it is."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "1"})
    platform.start(strategy, "top-up", {"P00001": "50.00"})
    platform.start(strategy, "liquidate", ["P00001"])
    platform.sandbox.advance("0.2")
    with pytest.raises(ValueError, match="less than what running Operations need"):
        platform.sandbox.control("float", {"currency": "USD", "balance": "49.99"})
    taken = {"owner": "P00001", "label": strategy, "asset": "BTC", "change": "-0.001"}
    with pytest.raises(ValueError, match="nothing can be taken while Operations run"):
        platform.sandbox.control("account", taken)
    with pytest.raises(ValueError, match="cannot change while Operations run"):
        platform.sandbox.control("switches", {"funding_model": "direct"})
    platform.settle()
    platform.sandbox.control("float", {"currency": "USD", "balance": "0"})
    assert platform.sandbox.control("float")["balances"]["USD"] == "0.00"


def test_money_moved_by_hand_is_a_deposit_or_a_withdrawal(platform: Platform) -> None:
    """In the movements of the account, and in the book of the outside."""
    for change in ("5.00", "-2.00"):
        platform.sandbox.control("account", {"owner": "P00001", "asset": "USD", "change": change})
    (account,) = platform.get("/accounts", account_owner="P00001").message
    moved = platform.get(f"/accounts/{account['account_id']}/movements").message
    assert [(row["movement_type"], row["change"]) for row in moved] == [
        ("deposit", "5.00"),
        ("withdrawal", "-2.00"),
    ]
    platform.sandbox.control(
        "account", {"owner": "00SCXM", "asset": "USD", "change": "1.00", "group": "PLAT01"}
    )
    assert platform.sandbox.control("books")["sums"]["USD"]["participants"] == "3.00"


@pytest.mark.parametrize(
    ("number", "code"), [(1, "P00001"), (29, "P0000Y"), (30, "P00010"), (30**5 - 1, "PYYYYY")]
)
def test_participant_codes_follow_the_documented_sequence(number: int, code: str) -> None:
    """P and the number in base 30, without letters that look like a digit."""
    assert code_of(number) == code


def test_there_are_no_more_codes_than_there_are() -> None:
    """Five places of base 30."""
    with pytest.raises(ValueError, match="no more than"):
        code_of(30**5)


def test_an_embedded_sandbox_follows_the_clock_of_the_machine() -> None:
    """Without a clock of one's own an Operation takes its half second."""
    with open_sandbox(participants=1, switches={"settling_ms": "0"}) as sandbox:
        assert isinstance(sandbox.clock, SystemClock)
        now = sandbox.control("time")["now_ms"]
        assert abs(now - SystemClock().wall_ms()) < 5_000


def test_many_threads_may_call_at_once() -> None:
    """Twenty parallel POSTs with one id make one Operation; different ids make each their own."""
    with open_platform(participants=40) as platform:
        strategy = platform.strategy()
        body = {
            "allocations": allocations(BASKET),
            "participants": [
                {"participant_code": "P00001", "amount": "10.00", "auto_rebalance": True}
            ],
        }
        path, request_id = f"/strategies/{strategy}/enroll", "3c3b1f60-9c64-4f4a-8a41-3b0f0f7c2c11"
        with ThreadPoolExecutor(8) as pool:
            same = list(pool.map(lambda _: platform.post(path, body, request_id), range(20)))
            reads = list(pool.map(lambda _: platform.get("/strategies/traders"), range(20)))
        assert sorted(answer.status for answer in same) == [200] * 19 + [202]
        assert len({answer.message["id"] for answer in same}) == 1
        assert {answer.status for answer in reads} == {200}
        assert len(platform.all_rows("/strategies/operations")) == 1


def test_a_clock_that_jumps_back_does_no_harm() -> None:
    """Operations wait until their time has come again."""
    clock = ManualClock()
    with open_sandbox(participants=1, clock=clock) as sandbox:
        platform = Platform(sandbox, clock)
        operation = platform.start(platform.strategy(), "enroll", {"P00001": "9.00"}).message["id"]
        clock.move(-3_600_000)
        assert platform.outcome(operation).operation["status"] == "validating"
        assert platform.get("/index", underlying="BTC", quoted_currency="USD").status == 200
        clock.move(3_600_000 + 1_000)
        assert platform.outcome(operation).operation["status"] == "settled"
