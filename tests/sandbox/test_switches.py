"""Every open question: each position of each switch, and that none is left untested."""

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from stratctl.sandbox.messages import Request
from stratctl.sandbox.switches import SWITCHES, Switches, UnknownSwitch
from tests.sandbox.platform import Platform, allocations, open_platform, participants

TESTED: set[tuple[str, str]] = {("participants_max", "2"), ("failing_assets", "ETH")}


def position(**switches: str) -> Callable[[Callable[[Platform], None]], Callable[[], None]]:
    """Run a test with switches in these positions, and remember that they were tested."""
    TESTED.update(switches.items())

    def decorate(test: Callable[[Platform], None]) -> Callable[[], None]:
        def run() -> None:
            with open_platform(strict=False, switches=switches) as platform:
                test(platform)

        run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
        return run

    return decorate


def every(name: str) -> tuple[str, ...]:
    """All positions of a switch, for a test that is parametrized with them."""
    (switch,) = (switch for switch in SWITCHES if switch.name == name)
    TESTED.update((name, value) for value in switch.positions)
    return switch.positions


def each(name: str, expected: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """All positions of a switch, each with what it should lead to."""
    return list(zip(every(name), expected, strict=True))


def an_id(number: int = 1) -> str:
    """A request id."""
    return str(uuid.UUID(int=number, version=4))


# Requests, replays and shapes


@pytest.mark.parametrize("answer", every("same_id_other_body"))
@pytest.mark.parametrize("verb", ["enroll", "top-up"])
def test_the_same_id_with_another_body(answer: str, verb: str) -> None:
    """The first Operation is replayed or the request refused, also with another verb."""
    with open_platform(switches={"same_id_other_body": answer}) as platform:
        strategy = platform.strategy()
        first = platform.start(strategy, "enroll", {"P00001": "5.00"}, request_id=an_id())
        other = platform.start(strategy, verb, {"P00001": "7.00"}, request_id=an_id())
        assert other.status == (200 if answer == "replay" else int(answer))
        if answer == "replay":
            assert other.message["id"] == first.message["id"]
            assert other.message["type"] == "enrollment"
        assert len(platform.all_rows("/strategies/operations")) == 1


@position(idempotency_scope="type")
def test_the_verb_may_be_part_of_the_key(platform: Platform) -> None:
    """The same id on another verb is another Operation."""
    strategy = platform.strategy()
    platform.start(strategy, "enroll", {"P00001": "5.00"}, request_id=an_id())
    second = platform.start(strategy, "top-up", {"P00001": "7.00"}, request_id=an_id())
    assert (second.status, second.message["type"]) == (202, "top_up")


@position(replay_status="original")
def test_a_replay_may_answer_as_at_first(platform: Platform) -> None:
    """201 and 202 again."""
    strategy = platform.strategy()
    for _ in range(2):
        created = platform.post("/strategies", {"quoted_currency": "USD"}, an_id(20))
        started = platform.start(strategy, "enroll", {"P00001": "5.00"}, request_id=an_id(21))
        assert (created.status, started.status) == (201, 202)


@position(key_retention_seconds="60")
def test_request_ids_may_be_forgotten(platform: Platform) -> None:
    """Within the time a replay, after it a second Operation."""
    strategy = platform.strategy()
    one = platform.start(strategy, "enroll", {"P00001": "5.00"}, request_id=an_id())
    platform.sandbox.advance(60)
    again = platform.start(strategy, "enroll", {"P00001": "5.00"}, request_id=an_id())
    assert again.message["id"] == one.message["id"]
    platform.sandbox.advance(1)
    later = platform.start(strategy, "enroll", {"P00001": "5.00"}, request_id=an_id())
    assert later.message["id"] != one.message["id"]


@position(envelope="bare")
def test_resources_may_come_bare(platform: Platform) -> None:
    """No `message` around resources and pages of strategies."""
    created = platform.post("/strategies", {"quoted_currency": "USD"})
    assert created.body["quoted_currency"] == "USD"
    assert platform.get("/strategies").body["strategies"] == [created.body]


@position(envelope="bare_create")
def test_only_the_created_strategy_may_come_bare(platform: Platform) -> None:
    """As the guide prints it."""
    created = platform.post("/strategies", {"quoted_currency": "USD"})
    assert created.body["quoted_currency"] == "USD"
    assert platform.get("/strategies").message["strategies"] == [created.body]


@position(time_shape="milliseconds")
def test_time_may_come_in_milliseconds(platform: Platform) -> None:
    """The guide's shape."""
    message = platform.get("/time").message
    assert message == {
        "epoch": platform.clock.wall_ms(),
        "epoch_units": "milliseconds",
        "iso_8601": "2026-04-17T10:30:00.000Z",
    }


@position(auth_failure="403")
def test_authentication_may_fail_with_403(platform: Platform) -> None:
    """As the specification describes it."""
    assert platform.client.get("/strategies").status_code == 403


@position(not_found_body="empty")
def test_a_404_may_have_no_body(platform: Platform) -> None:
    """The by-id errors have no schema."""
    answer = platform.get(f"/strategies/{an_id()}")
    assert (answer.status, answer.body) == (404, None)


@position(trader_id_version="3")
def test_trader_ids_may_be_of_version_three(platform: Platform) -> None:
    """As in a published example."""
    platform.run(platform.strategy(), "enroll", {"P00001": "5.00"})
    (trader,) = platform.all_rows("/strategies/traders")
    assert uuid.UUID(trader["id"]).version == 3


@position(executed_at_unset="null")
def test_executed_at_may_be_null(platform: Platform) -> None:
    """Before an Instruction is executed."""
    assert pending_leg(platform)["executed_at"] is None


@position(executed_at_unset="absent")
def test_executed_at_may_be_absent(platform: Platform) -> None:
    """Before an Instruction is executed."""
    assert "executed_at" not in pending_leg(platform)


def pending_leg(platform: Platform) -> dict[str, Any]:
    """A leg that has not traded yet."""
    operation = platform.start(platform.strategy(), "enroll", {"P00001": "5.00"}).message["id"]
    platform.sandbox.advance("0.3")
    return platform.outcome(operation).legs("P00001")["BTC"]


@position(list_order="newest_first")
def test_lists_may_show_the_newest_first(platform: Platform) -> None:
    """The same rows the other way round, over all pages."""
    ids = [platform.strategy() for _ in range(5)]
    rows = platform.all_rows("/strategies", page_size=2)
    assert [row["id"] for row in rows] == ids[::-1]


@position(list_order="newest_first", page_token_kind="offset")
def test_offsets_may_show_a_row_twice(platform: Platform) -> None:
    """A row that is inserted between pages pushes another onto the next page."""
    ids = [platform.strategy() for _ in range(4)]
    first = platform.get("/strategies", page_size=2).message
    platform.strategy()
    rest = platform.all_rows_from("/strategies", first["next_page_token"], page_size=2)
    seen = [row["id"] for row in first["strategies"] + rest]
    assert seen == [ids[3], ids[2], ids[2], ids[1], ids[0]]


@position(page_token_kind="offset")
def test_offsets_page_through_everything(platform: Platform) -> None:
    """Without insertions every row comes once."""
    ids = [platform.strategy() for _ in range(5)]
    assert [row["id"] for row in platform.all_rows("/strategies", page_size=2)] == ids


@position(rate_limit="on")
def test_the_rate_limit_blocks_for_ten_seconds(platform: Platform) -> None:
    """2,000 requests in 10 s pass, the next is 429, and so is everything for 10 s."""
    for _ in range(2000):
        assert platform.client.get("/time").status_code == 200
    refused = platform.client.get("/time")
    assert (refused.status_code, refused.text) == (429, "Too Many Requests")
    platform.clock.move(9_999)
    assert platform.client.get("/time").status_code == 429
    platform.clock.move(1)
    assert platform.client.get("/time").status_code == 200


# Bodies


@pytest.mark.parametrize("status", every("participants_max_status"))
def test_calls_may_be_limited_in_size(status: str) -> None:
    """One participant too many is refused with either status."""
    switches = {"participants_max": "2", "participants_max_status": status}
    with open_platform(switches=switches) as platform:
        strategy = platform.strategy()
        who = {"P00001": "5.00", "P00002": "5.00", "P00003": "5.00"}
        assert platform.start(strategy, "enroll", who).status == int(status)
        who.popitem()
        assert platform.start(strategy, "enroll", who).status == 202


@position(weight_decimals_max="4")
def test_weights_may_be_limited_in_decimals(platform: Platform) -> None:
    """Four decimals pass, five are refused."""
    strategy = platform.strategy()
    for weights, status in (
        ({"BTC": "0.3333", "ETH": "0.6667"}, 202),
        ({"BTC": "0.33333", "ETH": "0.66667"}, 400),
    ):
        assert platform.start(strategy, "enroll", {"P00001": "5.00"}, weights).status == status


@position(zero_weight="400")
def test_a_zero_weight_may_be_refused_outside_a_rebalance(platform: Platform) -> None:
    """A rebalance still takes it: there it means an exit."""
    strategy = platform.strategy()
    weights = {"BTC": "1", "ETH": "0"}
    refused = platform.start(strategy, "enroll", {"P00001": "5.00"}, weights)
    assert refused.body == {"errors": ["body/allocations/1/weight must be > 0"]}
    assert platform.start(strategy, "rebalance", ["P00001"], weights).status == 202


def test_a_zero_weight_has_no_leg_by_default(platform: Platform) -> None:
    """It is accepted and buys nothing."""
    weights = {"BTC": "1", "ETH": "0"}
    outcome = platform.run(platform.strategy(), "enroll", {"P00001": "5.00"}, weights)
    assert set(outcome.legs("P00001")) == {"BTC"}


@position(unknown_asset="rejected")
def test_an_unknown_asset_may_reject_each_participant(platform: Platform) -> None:
    """Accepted, then refused for everybody; the asset's text comes back as it was."""
    weights = {'NO"COIN': "1"}
    outcome = platform.run(platform.strategy(), "enroll", {"P00001": "5.00"}, weights)
    assert outcome.of("P00001") == (
        "rejected",
        'instrument NO"COIN/USD not enabled for participant',
    )


@position(duplicate_participant="each")
def test_a_duplicated_participant_may_be_taken_twice(platform: Platform) -> None:
    """Two top-ups in one call; of two enrollments or sells the second is rejected."""
    strategy = platform.strategy()

    def twice(verb: str) -> list[tuple[str, str]]:
        who = participants(verb, {"P00001": "10.00"}) * 2
        body = {"allocations": allocations({"BTC": "1"}), "participants": who}
        operation = platform.post(f"/strategies/{strategy}/{verb}", body).message["id"]
        platform.settle()
        rows = platform.all_rows("/strategies/executions", operation_id=operation)
        return [(row["status"], row["status_reason"]) for row in rows]

    assert twice("enroll") == [("settled", ""), ("rejected", "trader_already_enrolled")]
    assert twice("top-up") == [("settled", ""), ("settled", "")]
    held = ("rejected", "balance held by concurrent operation")
    assert twice("partial-sell") == [("settled", ""), held]


def test_a_duplicated_participant_is_refused_by_default(platform: Platform) -> None:
    """With the place of the second one."""
    body = {"participants": participants("liquidate", ["P00001", "P00001"])}
    answer = platform.post(f"/strategies/{platform.strategy()}/liquidate", body)
    assert answer.body == {"errors": ["body/participants/1/participant_code must be unique"]}


@pytest.mark.parametrize(
    ("meaning", "expected"),
    each("rebalance_empty_list", ({"P00001"}, set(), None)),
)
def test_an_empty_list_in_a_rebalance(meaning: str, expected: set[str] | None) -> None:
    """It may mean everybody with the flag, nobody, or a mistake."""
    with open_platform(switches={"rebalance_empty_list": meaning}) as platform:
        strategy = platform.strategy()
        platform.run(strategy, "enroll", {"P00001": "10.00"})
        answer = platform.start(strategy, "rebalance", [], {"BTC": "1"})
        if expected is None:
            assert answer.status == 400
        else:
            platform.settle()
            assert set(platform.outcome(answer.message["id"]).executions) == expected


# Operations over time


@position(validating_ms="2000", pricing_ms="3000", settling_ms="4000")
def test_each_stage_takes_its_time(platform: Platform) -> None:
    """Durations are whatever the switches say."""
    operation = platform.start(platform.strategy(), "enroll", {"P00001": "5.00"}).message["id"]
    seen = []
    for seconds in (1.999, 0.001, 2.999, 0.001, 3.999, 0.001):
        platform.sandbox.advance(seconds)
        seen.append(platform.outcome(operation).operation["status"])
    assert seen == ["validating", "pricing", "pricing", "settling", "settling", "settled"]


@position(rebalance_queue="none")
def test_rebalances_may_run_side_by_side(platform: Platform) -> None:
    """Two of one Strategy settle at the same time."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "10.00", "P00002": "10.00"})
    ids = [
        platform.start(strategy, "rebalance", [code], {"BTC": "1"}).message["id"]
        for code in ("P00001", "P00002")
    ]
    platform.sandbox.advance("0.5")
    assert [platform.outcome(name).operation["status"] for name in ids] == ["settled"] * 2


@position(executions_listed="terminal")
def test_executions_may_be_listed_at_the_end_only(platform: Platform) -> None:
    """Nothing while it runs, everything once it is terminal."""
    operation = platform.start(platform.strategy(), "enroll", {"P00001": "5.00"}).message["id"]
    platform.sandbox.advance("0.4")
    assert platform.outcome(operation).executions == {}
    platform.sandbox.advance("0.1")
    assert set(platform.outcome(operation).executions) == {"P00001"}


@position(executions_listed="terminal", executions_lag_seconds="5")
def test_executions_may_come_after_the_end(platform: Platform) -> None:
    """A terminal Operation may have no Executions to show for some seconds."""
    operation = platform.start(platform.strategy(), "enroll", {"P00001": "5.00"}).message["id"]
    platform.sandbox.advance("0.5")
    outcome = platform.outcome(operation)
    assert (outcome.operation["status"], outcome.executions) == ("settled", {})
    platform.sandbox.advance(5)
    assert platform.outcome(operation).of("P00001") == ("settled", "")


@position(executions_lag_seconds="5")
def test_executions_may_be_listed_late(platform: Platform) -> None:
    """Counted from the start when they are listed from the start."""
    operation = platform.start(platform.strategy(), "enroll", {"P00001": "5.00"}).message["id"]
    platform.sandbox.advance("4.9")
    assert platform.outcome(operation).executions == {}
    platform.sandbox.advance("0.1")
    assert set(platform.outcome(operation).executions) == {"P00001"}


@position(operations_lag_seconds="5")
def test_operations_may_be_listed_late(platform: Platform) -> None:
    """Not in the list and not by request id, but by its own id at once."""
    answer = platform.start(platform.strategy(), "enroll", {"P00001": "5.00"}, request_id=an_id())
    operation = answer.message["id"]
    assert platform.all_rows("/strategies/operations", request_id=an_id()) == []
    assert platform.get(f"/strategies/operations/{operation}").status == 200
    platform.sandbox.advance(5)
    assert len(platform.all_rows("/strategies/operations", request_id=an_id())) == 1


@position(accounts_lag_seconds="10")
def test_accounts_may_be_behind(platform: Platform) -> None:
    """They show what was, down to the accounts that were not yet or are no more."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    assert platform.holdings(strategy, "P00001") == {}
    platform.sandbox.advance(20)
    before = platform.get("/accounts", account_label=strategy).message
    assert {row["asset"] for row in before} == {"BTC", "ETH", "SOL"}
    platform.run(strategy, "rebalance", ["P00001"], {"BTC": "1"})
    assert platform.get("/accounts", account_label=strategy).message == before
    platform.sandbox.advance(20)
    assert set(platform.holdings(strategy, "P00001")) == {"BTC"}


@pytest.mark.parametrize("status", every("no_executions_status"))
def test_an_operation_without_executions(status: str) -> None:
    """Its reason is no_executions; its status is open."""
    with open_platform(switches={"no_executions_status": status}) as platform:
        strategy = platform.strategy()
        body = {"allocations": allocations({"BTC": "1"})}
        answer = platform.post(f"/strategies/{strategy}/rebalance", body)
        platform.settle()
        assert platform.outcome(answer.message["id"]).status == (status, "no_executions")


@pytest.mark.parametrize("status", every("partial_success_status"))
def test_a_mixed_outcome(status: str) -> None:
    """Its reason is partial_success; its status is open."""
    with open_platform(switches={"partial_success_status": status}) as platform:
        who = {"P00001": "5.00", "ZZZZZZ": "5.00"}
        outcome = platform.run(platform.strategy(), "enroll", who)
        assert outcome.status == (status, "partial_success")


@position(unknown_operation_status="settling")
def test_an_unknown_status_may_appear_on_the_way(platform: Platform) -> None:
    """In place of settling; the end is known again."""
    operation = platform.start(platform.strategy(), "enroll", {"P00001": "5.00"}).message["id"]
    platform.sandbox.advance("0.3")
    assert platform.outcome(operation).operation["status"] == "reconciling"
    platform.sandbox.advance("0.2")
    assert platform.outcome(operation).operation["status"] == "settled"


@position(unknown_operation_status="terminal")
def test_an_unknown_status_may_appear_at_the_end(platform: Platform) -> None:
    """In place of every terminal status."""
    outcome = platform.run(platform.strategy(), "enroll", {"P00001": "5.00"})
    assert outcome.operation["status"] == "reconciling"


@position(unknown_execution_status="on")
def test_an_unknown_execution_status_may_appear(platform: Platform) -> None:
    """In place of settled."""
    outcome = platform.run(platform.strategy(), "enroll", {"P00001": "5.00"})
    assert outcome.of("P00001")[0] == "under_review"


@position(latency_ms="120")
def test_answers_may_take_time(platform: Platform) -> None:
    """The face that sends the answer is told to wait."""
    answer = platform.sandbox.provider.handle(Request("GET", "/time", {}), platform.clock)
    assert answer.delay_ms == 120


# Money


@position(funding_model="direct")
def test_participants_may_pay_themselves(platform: Platform) -> None:
    """Each from its own account under the platform; what one lacks another cannot lend."""
    platform.sandbox.control(
        "float", {"currency": "USD", "balance": "100.00", "participant_codes": ["P00001"]}
    )
    strategy = platform.strategy()
    outcome = platform.run(strategy, "enroll", {"P00001": "60.00", "P00002": "10.00"})
    assert outcome.of("P00001") == ("settled", "")
    assert outcome.of("P00002") == ("rejected", "insufficient_funds")
    (row,) = platform.get("/accounts", account_owner="P00001", asset="USD").message
    assert (row["account_label"], row["balance"]) == ("general", "40.00")
    refused = platform.start(strategy, "top-up", {"P00001": "30.00"}).message["id"]
    platform.sandbox.advance("0.2")
    second = platform.start(strategy, "top-up", {"P00001": "30.00"}).message["id"]
    platform.settle()
    assert platform.outcome(refused).of("P00001") == ("settled", "")
    assert platform.outcome(second).of("P00001") == ("rejected", "insufficient_funds")


@position(funding_model="standard")
def test_the_platform_may_pay(platform: Platform) -> None:
    """From its own account at the provider."""
    platform.run(platform.strategy(), "enroll", {"P00001": "60.00"})
    query = {"account_owner": "PLAT01", "account_group": "00SCXM", "asset": "USD"}
    (row,) = platform.get("/accounts", **query).message
    assert row["balance"] == "999999940.00"


@position(float_reserved_at="settling")
def test_money_may_be_reserved_late(platform: Platform) -> None:
    """While the first is pricing the second passes; at pricing the second is refused."""
    platform.sandbox.control("float", {"currency": "USD", "balance": "100.00"})
    strategy = platform.strategy()
    one = platform.start(strategy, "enroll", {"P00001": "100.00"}).message["id"]
    platform.sandbox.advance("0.2")
    assert platform.sandbox.control("float")["reserved"]["USD"] == "0.00"
    two = platform.start(strategy, "enroll", {"P00002": "50.00"}).message["id"]
    platform.settle()
    assert platform.outcome(one).of("P00001") == ("settled", "")
    assert platform.outcome(two).of("P00002") == ("rejected", "insufficient_funds")


@position(proceeds_to="label")
def test_proceeds_may_stay_in_the_label(platform: Platform) -> None:
    """The fiat of a sell shows as a row of the Trader's label."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "1"})
    before = platform.float_balance()
    platform.run(strategy, "partial-sell", {"P00001": "40.00"}, {"BTC": "1"})
    assert platform.holdings(strategy, "P00001")["USD"] == "40.00"
    assert platform.float_balance() == before


@pytest.mark.parametrize(("rounding", "first"), each("leg_rounding", ("0.34", "0.33", "0.33")))
def test_legs_may_be_rounded_in_three_ways(rounding: str, first: str) -> None:
    """Only the largest remainder adds up; what is not in a leg is not paid."""
    with open_platform(switches={"leg_rounding": rounding}) as platform:
        before = Decimal(platform.float_balance())
        third = "0.333333333333333333"
        weights = {"BTC": "0.333333333333333334", "ETH": third, "SOL": third}
        outcome = platform.run(platform.strategy(), "enroll", {"P00001": "1.00"}, weights)
        legs = [leg["amount"] for leg in outcome.legs("P00001").values()]
        assert legs == [first, "0.33", "0.33"]
        assert before - Decimal(platform.float_balance()) == sum(map(Decimal, legs))


@position(spread_bps="50")
def test_a_spread_works_against_the_customer(platform: Platform) -> None:
    """Buys above and sells below the middle."""
    strategy = platform.strategy()
    bought = platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "1"})
    sold = platform.run(strategy, "liquidate", ["P00001"])
    assert bought.legs("P00001")["BTC"]["price"] == "60300.00"
    assert sold.legs("P00001")["BTC"]["price"] == "59700.00"
    assert sold.legs("P00001")["BTC"]["total_notional"] == "99.00"


@position(fee_bps="100")
def test_fees_are_kept_by_the_provider(platform: Platform) -> None:
    """Inside the amount of a buy, off the proceeds of a sell, all in the fees' book."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "1"})
    assert platform.holdings(strategy, "P00001")["BTC"] == "0.00165000"
    platform.run(strategy, "liquidate", ["P00001"])
    assert platform.float_balance() == "999999998.01"
    assert platform.sandbox.control("books")["sums"]["USD"]["fees"] == "1.99"


@position(instrument_minimum="5.00")
def test_one_minimum_for_all(platform: Platform) -> None:
    """A leg of 4.99 is too small, one of 5.00 is not."""
    outcome = platform.run(
        platform.strategy(), "enroll", {"P00001": "5.00", "P00002": "4.99"}, {"BTC": "1"}
    )
    assert outcome.of("P00001") == ("settled", "")
    assert outcome.of("P00002") == ("rejected", "below_instrument_minimum")


@position(buy_below_minimum="skip", instrument_minimum="5.00")
def test_small_legs_of_a_buy_may_be_skipped(platform: Platform) -> None:
    """The other legs trade and only they are paid; all too small skips the Execution."""
    before = Decimal(platform.float_balance())
    weights = {"BTC": "0.9", "ETH": "0.1"}
    outcome = platform.run(
        platform.strategy(), "enroll", {"P00001": "40.00", "P00002": "5.00"}, weights
    )
    assert outcome.of("P00001") == ("settled", "")
    assert outcome.legs("P00001")["ETH"]["status"] == "skipped"
    assert outcome.of("P00002") == ("skipped", "below_instrument_minimum")
    assert before - Decimal(platform.float_balance()) == 36


@position(partial_sell_below_minimum="instruction_rejected", instrument_minimum="5.00")
def test_a_small_slice_may_be_rejected_alone(platform: Platform) -> None:
    """As the guide has it: a status that no Instruction should have."""
    strategy = platform.strategy()
    weights = {"BTC": "0.9", "ETH": "0.1"}
    platform.run(strategy, "enroll", {"P00001": "100.00"}, weights)
    outcome = platform.run(strategy, "partial-sell", {"P00001": "40.00"}, weights)
    assert outcome.of("P00001") == ("settled", "")
    assert outcome.legs("P00001")["ETH"]["status"] == "rejected"
    small = platform.run(strategy, "partial-sell", {"P00001": "5.00"}, weights)
    assert small.of("P00001") == ("rejected", "below_instrument_minimum")


@position(rebalance_below_minimum="reject", instrument_minimum="5.00")
def test_a_small_delta_may_reject_the_trader(platform: Platform) -> None:
    """In a sell, and in a buy."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "0.5", "ETH": "0.5"})
    small_sell = {"BTC": "0.53", "ETH": "0.47"}
    small_buy = {"BTC": "0.4", "ETH": "0.57", "SOL": "0.03"}
    for weights in (small_sell, small_buy):
        outcome = platform.run(strategy, "rebalance", ["P00001"], weights)
        assert outcome.of("P00001") == ("rejected", "below_instrument_minimum")


@position(instrument_minimum="5.00")
def test_a_small_delta_is_skipped_by_default(platform: Platform) -> None:
    """The proceeds go to the legs that are large enough."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "0.5", "ETH": "0.5"})
    weights = {"BTC": "0.4", "ETH": "0.57", "SOL": "0.03"}
    legs = platform.run(strategy, "rebalance", ["P00001"], weights).legs("P00001")
    assert legs["SOL"]["status"] == "skipped"
    assert legs["ETH"]["total_notional"] == legs["BTC"]["total_notional"] == "10.00"


@position(exit_below_minimum="skip", instrument_minimum="5.00")
def test_dust_may_stay(platform: Platform) -> None:
    """An exit or a liquidation under the minimum may be skipped."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "30.00"})
    platform.sandbox.control("price", {"SOL": "15.00"})
    outcome = platform.run(strategy, "liquidate", ["P00001"])
    assert outcome.legs("P00001")["SOL"]["status"] == "skipped"
    assert set(platform.holdings(strategy, "P00001")) == {"SOL"}
    again = platform.run(strategy, "liquidate", ["P00001"])
    assert again.of("P00001") == ("skipped", "below_instrument_minimum")


@position(instrument_minimum="5.00")
def test_dust_is_sold_by_default(platform: Platform) -> None:
    """A full exit goes through whatever it is worth."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "30.00"})
    platform.sandbox.control("price", {"SOL": "0.15"})
    platform.run(strategy, "liquidate", ["P00001"])
    assert platform.holdings(strategy, "P00001") == {}


@position(oversell="credit_check_text")
def test_an_oversold_slice_may_be_named(platform: Platform) -> None:
    """The documented text of the credit check."""
    assert oversold(platform).of("P00001") == (
        "rejected",
        "insufficient ETH balance for sell leg",
    )


@position(oversell="clamp")
def test_an_oversold_slice_may_be_cut(platform: Platform) -> None:
    """Only what is held is sold."""
    outcome = oversold(platform)
    assert outcome.of("P00001") == ("settled", "")
    assert outcome.legs("P00001")["ETH"]["total_notional"] == "30.00"


def oversold(platform: Platform) -> Any:
    """A partial sell of 40 dollars of ETH where 30 are held."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    return platform.run(strategy, "partial-sell", {"P00001": "80.00"}, {"BTC": "0.5", "ETH": "0.5"})


@position(index_value="price")
def test_the_index_may_be_the_price(platform: Platform) -> None:
    """Without the hour's lag."""
    platform.sandbox.control("price", {"BTC": "1.50"})
    answer = platform.get("/index", underlying="BTC", quoted_currency="USD")
    assert answer.body["value"] == 1.5


@position(price_age_seconds="900")
def test_prices_may_be_old(platform: Platform) -> None:
    """The timestamp in symbol_data lies back."""
    answer = platform.get("/market_data/symbol_data", underlying="BTC", quoted_currency="USD")
    ((_, data),) = answer.body
    assert data["marketDataMap"][0][1]["lastTimestamp"]["seconds"] == 1776421800 - 900


@pytest.mark.parametrize(("use", "left"), each("label_cash", ("7.00", None)))
def test_cash_in_the_label(use: str, left: str | None) -> None:
    """A rebalance leaves it alone, or buys with it too."""
    with open_platform(switches={"label_cash": use}) as platform:
        strategy = platform.strategy()
        platform.run(strategy, "enroll", {"P00001": "93.00"}, {"BTC": "1"})
        cash = {"owner": "P00001", "label": strategy, "asset": "USD", "change": "7.00"}
        platform.sandbox.control("account", cash)
        weights = {"BTC": "0.5", "ETH": "0.5"}
        platform.run(strategy, "rebalance", ["P00001"], weights)
        held = platform.holdings(strategy, "P00001")
        assert held.get("USD") == left
        worth = Decimal(held["ETH"]) * 3000
        assert abs(worth - (Decimal("46.50") if left else 50)) < Decimal("0.01")


@pytest.mark.parametrize("status", every("failed_leg_execution"))
def test_a_failed_leg(status: str) -> None:
    """One leg fails at the market, the others are executed; the money of the failed leg stays."""
    switches = {"failing_assets": "ETH", "failed_leg_execution": status}
    with open_platform(strict=False, switches=switches) as platform:
        strategy = platform.strategy()
        before = Decimal(platform.float_balance())
        outcome = platform.run(strategy, "enroll", {"P00001": "100.00"})
        assert outcome.of("P00001")[0] == status
        legs = outcome.legs("P00001")
        assert (legs["ETH"]["status"], legs["BTC"]["status"]) == ("failed", "executed")
        assert before - Decimal(platform.float_balance()) == 70
        alone = platform.run(strategy, "top-up", {"P00001": "10.00"}, {"ETH": "1"})
        assert alone.of("P00001") == ("rejected", "liquidity unavailable")


@position(failing_assets="ETH")
def test_a_failed_buy_of_a_rebalance_leaves_cash(platform: Platform) -> None:
    """The proceeds stay in the label."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "1"})
    platform.run(strategy, "rebalance", ["P00001"], {"BTC": "0.5", "ETH": "0.5"})
    assert platform.holdings(strategy, "P00001")["USD"] == "50.00"


# Traders


@position(buys_take_holds="yes")
def test_top_ups_may_take_holds(platform: Platform) -> None:
    """A top-up during a rebalance is rejected, and the other way round."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    held = ("rejected", "balance held by concurrent operation")
    platform.start(strategy, "rebalance", ["P00001"], {"BTC": "1"})
    assert platform.run(strategy, "top-up", {"P00001": "9.00"}).of("P00001") == held
    platform.start(strategy, "top-up", {"P00001": "9.00"})
    assert platform.run(strategy, "liquidate", ["P00001"]).of("P00001") == held


@position(missing_trader="trader_not_enrolled")
def test_a_missing_trader_may_be_called_not_enrolled(platform: Platform) -> None:
    """The difference between the two reasons is undocumented."""
    outcome = platform.run(platform.strategy(), "top-up", {"P00001": "9.00"})
    assert outcome.of("P00001") == ("rejected", "trader_not_enrolled")


@pytest.mark.parametrize("answer", every("reenroll_after_liquidation"))
def test_enrolling_after_a_liquidation(answer: str) -> None:
    """Refused because the Trader exists, or the same Trader buys again."""
    with open_platform(switches={"reenroll_after_liquidation": answer}) as platform:
        strategy = platform.strategy()
        first = platform.run(strategy, "enroll", {"P00001": "50.00"})
        platform.run(strategy, "liquidate", ["P00001"])
        again = platform.run(strategy, "enroll", {"P00001": "50.00"})
        if answer == "reject":
            assert again.of("P00001") == ("rejected", "trader_already_enrolled")
            return
        assert again.of("P00001") == ("settled", "")
        one, two = first.executions["P00001"], again.executions["P00001"]
        assert one["trader_id"] == two["trader_id"]
        third = platform.run(strategy, "enroll", {"P00001": "50.00"})
        assert third.of("P00001") == ("rejected", "trader_already_enrolled")


@pytest.mark.parametrize("answer", every("topup_after_liquidation"))
def test_topping_up_after_a_liquidation(answer: str) -> None:
    """Refused as not enrolled, or bought."""
    with open_platform(switches={"topup_after_liquidation": answer}) as platform:
        strategy = platform.strategy()
        platform.run(strategy, "enroll", {"P00001": "50.00"})
        platform.run(strategy, "liquidate", ["P00001"])
        again = platform.run(strategy, "top-up", {"P00001": "50.00"})
        expected = ("rejected", "trader_not_enrolled") if answer == "reject" else ("settled", "")
        assert again.of("P00001") == expected


@position(rebalance_default_scope="flag")
def test_the_default_scope_may_include_empty_traders(platform: Platform) -> None:
    """Everybody with the flag; who holds nothing is skipped."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "50.00", "P00002": "50.00"})
    platform.run(strategy, "liquidate", ["P00002"])
    body = {"allocations": allocations({"BTC": "1"})}
    answer = platform.post(f"/strategies/{strategy}/rebalance", body)
    platform.settle()
    outcome = platform.outcome(answer.message["id"])
    assert outcome.status == ("settled", "partial_success")
    assert outcome.of("P00002") == ("skipped", "no_holdings")


@position(closing_only_may_sell="no")
def test_closing_only_participants_may_be_refused(platform: Platform) -> None:
    """Whether a strategy may close for them is undocumented."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "50.00"})
    row = {"participant_code": "P00001", "status": "locked", "reason_code": "user_request"}
    platform.sandbox.control("participants", {"participants": [row]})
    outcome = platform.run(strategy, "liquidate", ["P00001"])
    assert outcome.of("P00001") == ("rejected", "participant_not_approved")


# The table


def test_every_position_is_tested() -> None:
    """A new switch or position needs a test above that turns it."""
    wanted = {
        (switch.name, value)
        for switch in SWITCHES
        for value in switch.positions
        if value != switch.default
    }
    assert wanted - TESTED == set()
    assert {switch.name for switch in SWITCHES} - {name for name, _ in TESTED} == set()


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_the_table_is_sound(switch: Any) -> None:
    """The default is a position, the meaning is said, and the default can be set."""
    assert switch.default in switch.positions or not switch.positions
    assert switch.meaning.endswith(".")
    Switches({switch.name: switch.default})


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("colour", "red", "there is no switch 'colour'"),
        ("envelope", "paper", "envelope is one of wrapped, bare, bare_create; not 'paper'"),
        ("latency_ms", "-1", "latency_ms is a whole number; not '-1'"),
    ],
)
def test_wrong_switches_are_refused(name: str, value: str, error: str) -> None:
    """Unknown names and positions, with the way out."""
    with pytest.raises(UnknownSwitch, match=error.replace("?", "")):
        Switches({name: value})
