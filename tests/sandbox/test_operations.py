"""Operations: their course over time, their Executions, and what each verb does."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.platform import BASKET, Platform, open_platform

# Over time


def test_an_operation_goes_through_its_statuses(platform: Platform) -> None:
    """validating, pricing, settling, settled, with the times of those moments."""
    strategy = platform.strategy()
    operation = platform.start(strategy, "enroll", {"P00001": "100.00"}).message["id"]
    seen = []
    for _ in range(6):
        seen.append(platform.outcome(operation).operation["status"])
        platform.sandbox.advance("0.1")
    assert seen == ["validating", "validating", "pricing", "settling", "settling", "settled"]


def test_by_default_an_operation_takes_no_more_than_a_second(platform: Platform) -> None:
    """The defaults of the three durations together."""
    switches = platform.sandbox.provider.world.switches
    names = ("validating_ms", "pricing_ms", "settling_ms")
    assert sum(switches.number(name) for name in names) <= 1000


def test_it_does_not_matter_when_somebody_looks() -> None:
    """A sandbox that is polled and one that is left alone end up the same."""
    ends = []
    for step in ("0.05", "10"):
        with open_platform(seed=3) as platform:
            strategy = platform.strategy()
            platform.start(strategy, "enroll", {"P00001": "100.00"})
            platform.start(strategy, "enroll", {"P00001": "70.00", "P00002": "30.00"})
            for _ in range(int(10 / float(step))):
                platform.sandbox.advance(step)
                platform.get("/strategies/operations")
            ends.append(
                (
                    platform.all_rows("/strategies/operations"),
                    platform.all_rows("/strategies/executions"),
                    platform.get("/accounts").message,
                )
            )
    assert ends[0] == ends[1]


def test_the_same_seed_gives_the_same_ids() -> None:
    """Two sandboxes with one seed agree to the last id; another seed does not."""

    def ids(seed: int) -> list[str]:
        with open_platform(seed=seed) as platform:
            platform.run(platform.strategy(), "enroll", {"P00001": "100.00"})
            rows = platform.all_rows("/strategies/executions")
            return [rows[0]["id"], rows[0]["trader_id"], *rows[0]["instructions"][0]["trade_ids"]]

    assert ids(1) == ids(1)
    assert not set(ids(1)) & set(ids(2))


def test_executions_show_their_legs_before_they_trade(platform: Platform) -> None:
    """Awaiting without legs, then pending legs once priced; a rebalance's buys wait."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    weights = {"BTC": "0.1", "ETH": "0.9"}
    operation = platform.start(strategy, "rebalance", ["P00001"], weights).message["id"]
    before = platform.outcome(operation).executions["P00001"]
    assert (before["status"], before["instructions"]) == ("awaiting_execution", [])
    platform.sandbox.advance("0.4")
    legs = platform.outcome(operation).legs("P00001")
    assert {asset: leg["status"] for asset, leg in legs.items()} == {
        "BTC": "pending",
        "SOL": "pending",
        "ETH": "waiting_proceeds",
    }


# Enroll and top-up


def test_an_enrollment_buys_at_the_weights(platform: Platform) -> None:
    """Legs add up to the amount in cents; the float pays; the Trader exists with its flag."""
    strategy = platform.strategy()
    before = Decimal(platform.float_balance())
    outcome = platform.run(strategy, "enroll", {"P00001": "100.01"}, auto_rebalance=False)
    assert outcome.status == ("settled", "")
    assert outcome.of("P00001") == ("settled", "")
    legs = outcome.legs("P00001")
    assert {asset: leg["amount"] for asset, leg in legs.items()} == {
        "BTC": "50.01",
        "ETH": "30.00",
        "SOL": "20.00",
    }
    assert legs["BTC"]["quantity"] == "0.0008335"
    assert platform.holdings(strategy, "P00001") == {
        "BTC": "0.00083350",
        "ETH": "0.010000000000000000",
        "SOL": "0.133333333",
    }
    assert before - Decimal(platform.float_balance()) == Decimal("100.01")
    (trader,) = platform.all_rows("/strategies/traders")
    assert trader["auto_rebalance"] is False
    assert trader["account_label"] == strategy
    assert trader["id"] == outcome.executions["P00001"]["trader_id"]


def test_a_trader_exists_only_once_its_enrollment_is_priced(platform: Platform) -> None:
    """Until then trader_id and account_label are empty."""
    strategy = platform.strategy()
    operation = platform.start(strategy, "enroll", {"P00001": "100.00"}).message["id"]
    execution = platform.outcome(operation).executions["P00001"]
    assert (execution["trader_id"], execution["account_label"]) == ("", "")
    platform.sandbox.advance("0.3")
    assert platform.outcome(operation).executions["P00001"]["account_label"] == strategy


def test_one_rejection_does_not_touch_the_others(platform: Platform) -> None:
    """Each participant is one Execution with its own reason; the whole is partial_success."""
    platform.sandbox.control(
        "participants", {"participants": [{"participant_code": "P00002", "status": "locked"}]}
    )
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00003": "10.00"})
    who = {"P00001": "10.00", "P00002": "10.00", "P00003": "10.00", "ZZZZZZ": "10.00"}
    outcome = platform.run(strategy, "enroll", who)
    assert outcome.status == ("settled", "partial_success")
    assert {code: outcome.of(code) for code in who} == {
        "P00001": ("settled", ""),
        "P00002": ("rejected", "participant_not_approved"),
        "P00003": ("rejected", "trader_already_enrolled"),
        "ZZZZZZ": ("rejected", "participant_not_found"),
    }
    assert outcome.executions["ZZZZZZ"]["trader_id"] == ""


def test_two_enrollments_at_once_enroll_once(platform: Platform) -> None:
    """The second finds a Trader when it comes to create one."""
    strategy = platform.strategy()
    one = platform.start(strategy, "enroll", {"P00001": "10.00"}).message["id"]
    two = platform.start(strategy, "enroll", {"P00001": "20.00"}).message["id"]
    platform.settle()
    assert platform.outcome(one).of("P00001") == ("settled", "")
    assert platform.outcome(two).of("P00001") == ("rejected", "trader_already_enrolled")
    assert platform.outcome(two).status == ("failed", "all_rejected")


def test_a_top_up_buys_at_its_own_weights(platform: Platform) -> None:
    """In proportion to the supplied allocations, not to holdings; only for Traders."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "1"})
    outcome = platform.run(
        strategy, "top-up", {"P00001": "60.00", "P00002": "1.00"}, {"ETH": "1.0"}
    )
    assert outcome.of("P00001") == ("settled", "")
    assert outcome.of("P00002") == ("rejected", "trader_not_found")
    assert platform.holdings(strategy, "P00001")["ETH"] == "0.020000000000000000"


def test_the_float_runs_out_in_the_order_of_the_body(platform: Platform) -> None:
    """Who comes first is served; the rest is rejected for insufficient_funds."""
    platform.sandbox.control("float", {"currency": "USD", "balance": "150.00"})
    who = {"P00001": "100.00", "P00002": "60.00", "P00003": "50.00"}
    outcome = platform.run(platform.strategy(), "enroll", who)
    assert [outcome.of(code)[1] for code in who] == ["", "insufficient_funds", ""]
    assert platform.float_balance() == "0.00"


def test_what_is_reserved_cannot_be_spent_twice(platform: Platform) -> None:
    """An Operation that is still running has already taken its money."""
    platform.sandbox.control("float", {"currency": "USD", "balance": "100.00"})
    strategy = platform.strategy()
    one = platform.start(strategy, "enroll", {"P00001": "100.00"}).message["id"]
    platform.sandbox.advance("0.2")
    two = platform.start(strategy, "enroll", {"P00002": "0.50"}).message["id"]
    platform.settle()
    assert platform.outcome(one).of("P00001") == ("settled", "")
    assert platform.outcome(two).of("P00002") == ("rejected", "insufficient_funds")


def test_a_leg_below_the_minimum_rejects_the_buy(platform: Platform) -> None:
    """0.02 for most instruments, 0.01 for stablecoins."""
    strategy = platform.strategy()
    weights = {"BTC": "0.9", "USDC.ETH": "0.1"}
    outcome = platform.run(
        strategy, "enroll", {"P00001": "0.10", "P00002": "0.04", "P00003": "0.01"}, weights
    )
    assert outcome.of("P00001") == ("settled", "")
    assert outcome.of("P00002") == ("rejected", "below_instrument_minimum")
    assert outcome.of("P00003") == ("rejected", "below_instrument_minimum")


def test_all_traders_of_an_operation_get_one_price(platform: Platform) -> None:
    """A price that moves while it runs does not matter; each Operation has its own lock."""
    strategy = platform.strategy()
    who = {f"P0000{n}": "100.00" for n in range(1, 6)}
    operation = platform.start(strategy, "enroll", who).message["id"]
    platform.sandbox.advance("0.4")
    platform.sandbox.control("price", {"BTC": "90000.00"})
    platform.settle()
    prices = {platform.outcome(operation).legs(code)["BTC"]["price"] for code in who}
    assert prices == {"60000.00"}
    later = platform.run(strategy, "top-up", {"P00001": "9.00"}, {"BTC": "1"})
    assert later.legs("P00001")["BTC"]["price"] == "90000.00"


def test_euro_strategies_are_priced_and_paid_in_euro(platform: Platform) -> None:
    """The price is the ratio of two dollar prices; the euro float pays."""
    strategy = platform.strategy("EUR")
    platform.sandbox.control("price", {"EUR": "1.25"})
    outcome = platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "1"})
    leg = outcome.legs("P00001")["BTC"]
    assert (leg["quoted_currency"], leg["price"]) == ("EUR", "48000.00")
    assert platform.float_balance("EUR") == "999999900.00"
    assert platform.float_balance("USD") == "1000000000.00"


def test_blocked_instruments_reject_the_participant(platform: Platform) -> None:
    """The documented text names the pair."""
    row = {"participant_code": "P00001", "blocked_assets": ["ETH"]}
    platform.sandbox.control("participants", {"participants": [row]})
    outcome = platform.run(platform.strategy(), "enroll", {"P00001": "9.00"})
    reason = "instrument ETH/USD not enabled for participant"
    assert outcome.of("P00001") == ("rejected", reason)


# Partial sell


def test_a_partial_sell_brings_the_amount(platform: Platform) -> None:
    """Sized by the supplied weights, paid to the float; quantities are rounded down."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "1000.00"})
    before = Decimal(platform.float_balance())
    outcome = platform.run(strategy, "partial-sell", {"P00001": "100.00"})
    legs = outcome.legs("P00001")
    assert legs["BTC"]["side"] == "sell"
    assert legs["BTC"]["amount_type"] == "quantity"
    assert legs["BTC"]["quantity"] == "0.00083333"
    assert sum(Decimal(leg["total_notional"]) for leg in legs.values()) == Decimal("100.00")
    assert Decimal(platform.float_balance()) - before == Decimal("100.00")


def test_a_partial_sell_is_rejected_as_a_whole(platform: Platform) -> None:
    """One slice that is too small, or larger than the holding, rejects the participant."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00", "P00002": "100.00"})
    held = platform.holdings(strategy, "P00001")
    weights = {"BTC": "0.9999", "ETH": "0.0001"}
    outcome = platform.run(
        strategy, "partial-sell", {"P00001": "10.00", "P00002": "60.00"}, weights
    )
    assert outcome.of("P00001") == ("rejected", "below_instrument_minimum")
    assert outcome.of("P00002") == ("rejected", "insufficient_funds")
    assert outcome.executions["P00001"]["instructions"] == []
    assert platform.holdings(strategy, "P00001") == held


# Rebalance


def values(platform: Platform, strategy: str, code: str) -> dict[str, Decimal]:
    """Holdings in dollars at the default prices."""
    prices = {name: Decimal(p) for name, p in platform.sandbox.control("price").items()}
    held = platform.holdings(strategy, code)
    return {asset: Decimal(units) * prices[asset] for asset, units in held.items()}


def test_a_rebalance_reaches_the_weights(platform: Platform) -> None:
    """Sells, then buys with exactly the proceeds: no money comes or goes."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "1000.00"}, {"BTC": "0.7", "ETH": "0.3"})
    before = platform.float_balance()
    outcome = platform.run(strategy, "rebalance", ["P00001"])
    assert outcome.status == ("settled", "")
    legs = outcome.legs("P00001")
    sold = sum(Decimal(leg["total_notional"]) for leg in legs.values() if leg["side"] == "sell")
    bought = sum(Decimal(leg["amount"]) for leg in legs.values() if leg["side"] == "buy")
    assert sold == bought == Decimal("200.00")
    assert platform.float_balance() == before
    for asset, value in values(platform, strategy, "P00001").items():
        assert abs(value - 1000 * Decimal(BASKET[asset])) <= Decimal("0.01")


def test_weight_zero_and_missing_assets_are_sold_in_full(platform: Platform) -> None:
    """An exit sells the exact balance, named with weight 0 or not named at all."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "1000.00"})
    sol = platform.holdings(strategy, "P00001")["SOL"]
    outcome = platform.run(strategy, "rebalance", ["P00001"], {"BTC": "1", "ETH": "0"})
    assert Decimal(outcome.legs("P00001")["SOL"]["amount"]) == Decimal(sol)
    assert set(platform.holdings(strategy, "P00001")) == {"BTC"}


def test_a_second_rebalance_has_nothing_to_do(platform: Platform) -> None:
    """With frozen prices the deltas that remain are below the minimum."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "777.77"})
    platform.run(strategy, "rebalance", ["P00001"], {"BTC": "0.333", "ETH": "0.667"})
    again = platform.run(strategy, "rebalance", ["P00001"], {"BTC": "0.333", "ETH": "0.667"})
    assert again.status == ("skipped", "all_skipped")
    assert again.of("P00001") == ("skipped", "below_instrument_minimum")


def test_the_default_scope_is_the_flag_and_a_balance(platform: Platform) -> None:
    """Traders without the flag, and those that hold nothing, are left out."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00", "P00003": "100.00"})
    platform.run(strategy, "enroll", {"P00002": "100.00"}, auto_rebalance=False)
    platform.run(strategy, "liquidate", ["P00003"])
    weights = [{"underlying_currency": "BTC", "weight": "1"}]
    answer = platform.post(f"/strategies/{strategy}/rebalance", {"allocations": weights})
    platform.settle()
    assert set(platform.outcome(answer.message["id"]).executions) == {"P00001"}


def test_listed_participants_override_the_flag(platform: Platform) -> None:
    """Exactly those that are listed, with the documented reasons for the others."""
    row = {"participant_code": "P00004", "status": "closed"}
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00", "P00003": "100.00"})
    platform.run(strategy, "enroll", {"P00002": "100.00", "P00004": "9.00"}, auto_rebalance=False)
    platform.run(strategy, "liquidate", ["P00003"])
    platform.sandbox.control("participants", {"participants": [row]})
    codes = ["P00002", "P00003", "P00004", "P00005", "ZZZZZZ"]
    outcome = platform.run(strategy, "rebalance", codes, {"BTC": "1"})
    assert [outcome.of(code) for code in codes] == [
        ("settled", ""),
        ("skipped", "no_holdings"),
        ("rejected", "participant inactive or not found"),
        ("rejected", "trader_not_found"),
        ("rejected", "participant inactive or not found"),
    ]


def test_a_patched_flag_counts_for_the_next_rebalance(platform: Platform) -> None:
    """An Operation in flight keeps its scope."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    (trader,) = platform.all_rows("/strategies/traders")
    body = {"allocations": [{"underlying_currency": "BTC", "weight": "1"}]}
    first = platform.post(f"/strategies/{strategy}/rebalance", body).message["id"]
    platform.patch(f"/strategies/traders/{trader['id']}", {"auto_rebalance": False})
    second = platform.post(f"/strategies/{strategy}/rebalance", body).message["id"]
    platform.settle()
    assert platform.outcome(first).of("P00001") == ("settled", "")
    assert platform.outcome(second).status == ("skipped", "no_executions")


def test_rebalances_of_a_strategy_queue_and_liquidations_pass(platform: Platform) -> None:
    """The second rebalance stays validating; a liquidation of another Trader does not wait."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {f"P0000{n}": "100.00" for n in (1, 2, 3)})
    first = platform.start(strategy, "rebalance", ["P00001"], {"BTC": "1"}).message["id"]
    second = platform.start(strategy, "rebalance", ["P00002"], {"BTC": "1"}).message["id"]
    third = platform.start(strategy, "liquidate", ["P00003"]).message["id"]
    platform.sandbox.advance("0.6")
    ids = (first, second, third)
    statuses = [platform.outcome(name).operation["status"] for name in ids]
    assert statuses == ["settled", "pricing", "settled"]
    platform.settle()
    assert platform.outcome(second).status == ("settled", "")


# Liquidate


def test_a_liquidation_sells_everything(platform: Platform) -> None:
    """The Trader stays as a record; who holds nothing is skipped."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, auto_rebalance=False)
    before = Decimal(platform.float_balance())
    outcome = platform.run(strategy, "liquidate", ["P00001"])
    assert outcome.operation["allocations"] == []
    assert outcome.of("P00001") == ("settled", "")
    assert platform.holdings(strategy, "P00001") == {}
    assert Decimal(platform.float_balance()) - before == Decimal("100.00")
    assert len(platform.all_rows("/strategies/traders")) == 1
    again = platform.run(strategy, "liquidate", ["P00001", "P00002"])
    assert again.of("P00001") == ("skipped", "no_holdings")
    assert again.of("P00002") == ("rejected", "trader_not_found")
    alone = platform.run(strategy, "liquidate", ["P00001"])
    assert alone.status == ("skipped", "all_skipped")


@pytest.mark.parametrize(
    ("status", "reason_code", "verb", "expected"),
    [
        ("locked", "user_request", "liquidate", "settled"),
        ("locked", "user_request", "partial-sell", "settled"),
        ("locked", "user_request", "top-up", "rejected"),
        ("locked", "compliance_issue", "liquidate", "rejected"),
        ("pending_disable", "user_request", "liquidate", "settled"),
        ("pending_unlock", "user_request", "liquidate", "rejected"),
        ("disabled", "", "liquidate", "rejected"),
    ],
)
def test_closing_only_participants_may_close(
    platform: Platform, status: str, reason_code: str, verb: str, expected: str
) -> None:
    """Locked or pending_disable at the user's own request may sell, and nothing else may."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    row = {"participant_code": "P00001", "status": status, "reason_code": reason_code}
    platform.sandbox.control("participants", {"participants": [row]})
    who: Any = ["P00001"] if verb == "liquidate" else {"P00001": "10.00"}
    assert platform.run(strategy, verb, who).of("P00001")[0] == expected


# Holds


@pytest.mark.parametrize("first", ["partial-sell", "rebalance", "liquidate"])
@pytest.mark.parametrize("second", ["partial-sell", "rebalance", "liquidate"])
def test_a_held_balance_fails_the_second_operation(
    platform: Platform, first: str, second: str
) -> None:
    """Only that Trader is rejected, in the documented words, and the hold ends with the first."""
    if (first, second) == ("rebalance", "rebalance"):
        platform.sandbox.control("switches", {"rebalance_queue": "none"})
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00", "P00002": "100.00"})

    def who(verb: str, *codes: str) -> Any:
        return dict.fromkeys(codes, "5.00") if verb == "partial-sell" else list(codes)

    one = platform.start(strategy, first, who(first, "P00001"), {"BTC": "1"}).message["id"]
    two = platform.start(strategy, second, who(second, "P00001", "P00002"), {"BTC": "1"})
    platform.settle()
    assert platform.outcome(one).of("P00001") == ("settled", "")
    held = platform.outcome(two.message["id"])
    assert held.of("P00001") == ("rejected", "balance held by concurrent operation")
    assert held.of("P00002") == ("settled", "")
    platform.run(strategy, "top-up", {"P00001": "50.00"}, {"ETH": "1"})
    assert platform.run(strategy, "liquidate", ["P00001"]).of("P00001") == ("settled", "")


def test_a_rejected_sell_leaves_no_hold(platform: Platform) -> None:
    """What ended before any trade does not block the next Operation."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    refused = platform.run(strategy, "partial-sell", {"P00001": "900.00"})
    assert refused.status == ("failed", "all_rejected")
    assert platform.run(strategy, "liquidate", ["P00001"]).status == ("settled", "")


def test_buys_do_not_wait_for_holds(platform: Platform) -> None:
    """A top-up passes while a rebalance of the same Trader runs."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    platform.start(strategy, "rebalance", ["P00001"], {"BTC": "1"})
    outcome = platform.run(strategy, "top-up", {"P00001": "9.00"})
    assert outcome.of("P00001") == ("settled", "")
