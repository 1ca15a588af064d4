"""Guards: on by default, without a hole for small numbers, widened once, by number and by rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from stratctl.core.plan import Acknowledgement, GuardFinding, Plan
from stratctl.core.state import MoneySent, Target
from stratctl.core.tables import Workspace
from stratctl.journal.booked import book
from stratctl.pipeline.planning import sent_lately
from tests.plan.generate import PRICES
from tests.worlds import OPEN_GUARDS, Declared, Holder, World, holdings_worth, strategy, vector

TARGET = holdings_worth(PRICES, BTC="500", ETH="300", SOL="200")
STRICT = {
    "liquidations": 0,
    "asset_exits": 0,
    "removals": 0,
    "removals_share": "0.1",
    "cash_in": 100,
    "turnover": "0.2",
    "avoidable_sells": "0.0025",
    "partial_sell_share": "0.9",
}
"""The limits of a new project, smaller where a test book is small."""


def holder(code: str, **changes: Any) -> Holder:
    """A Trader that holds the declared target, worth 1,000."""
    return replace(Holder(code, TARGET), **changes)


def priced(**said: Any) -> World:
    """A world at prices that make every value an exact decimal."""
    return World(**{"prices": dict(PRICES), **said})


def leaving(**changes: Any) -> World:
    """Two of two hundred leave."""
    people = [f"P{n}" for n in range(200)]
    base = priced(
        declared=[Declared(code, exited=code in ("P0", "P1")) for code in people],
        holders=[holder(code) for code in people],
        guards={**OPEN_GUARDS, "liquidations": 0},
    )
    return replace(base, **changes)


def said(number: str = "2", rule: str = "liquidations", **changes: Any) -> Acknowledgement:
    """An acknowledgement of one rule."""
    base = Acknowledgement("leavers", ((rule, number),), "asked for", "2026-12-31")
    return replace(base, **changes)


def stops(plan: Plan) -> set[str]:
    """The rules that stop a plan."""
    return {finding.rule for finding in plan.findings if finding.stops}


def test_a_breach_stops_a_plan_that_is_still_whole() -> None:
    """The plan says what it would do, what stops it, and which number would widen it."""
    plan = leaving().plan()
    (finding,) = plan.findings
    assert plan.stopped
    assert len(plan.calls) == 2
    assert (finding.rule, finding.measured, finding.limit) == ("liquidations", "2", "0")
    assert "--ack liquidations=2" in finding.hint


@pytest.mark.parametrize(
    ("acknowledgement", "stopped"),
    [
        (said("2"), False),
        (said("3"), False),
        (said("1"), True),
        (said("2", rule="removals"), True),
        (said(expires="2026-11-21"), False),
        (said(expires="2026-11-20"), True),
    ],
    ids=["the number", "a larger one", "a smaller one", "another rule", "last day", "expired"],
)
def test_an_acknowledgement_widens_its_rule_to_its_number(
    acknowledgement: Acknowledgement, stopped: bool
) -> None:
    """It names rule and number, and lives to the end of its last day."""
    plan = leaving(acknowledgements=(acknowledgement,)).plan()
    assert plan.stopped is stopped
    assert plan.acknowledgements == (() if stopped else (acknowledgement,))


def test_an_acknowledgement_is_used_once() -> None:
    """What the journal remembers as used widens nothing; said anew in other words it does."""
    first = said()
    used = leaving(acknowledgements=(first,), used=frozenset({first.id})).plan()
    assert used.stopped
    again = said(reason="asked for again")
    renewed = leaving(acknowledgements=(first, again), used=frozenset({first.id})).plan()
    assert not renewed.stopped
    assert renewed.acknowledgements == (again,)


def test_the_order_of_acknowledgements_decides_nothing() -> None:
    """Of two that would do, the same one is used whichever file was read first."""
    one, other = said(name="a"), said(name="b")
    plans = [leaving(acknowledgements=order).plan() for order in ((one, other), (other, one))]
    assert plans[0].digest == plans[1].digest


def test_an_acknowledgement_is_bound_into_the_plan() -> None:
    """A plan that relies on one has another digest than with another reason."""
    plans = [leaving(acknowledgements=(said(reason=text),)).plan() for text in ("a", "b")]
    assert plans[0].digest != plans[1].digest


def test_an_acknowledgement_that_nothing_needs_is_kept() -> None:
    """What no finding relies on is not bound, and so not used up."""
    plan = leaving(guards=OPEN_GUARDS, acknowledgements=(said(),)).plan()
    assert plan.acknowledgements == ()


def finding(world: World, rule: str) -> GuardFinding | None:
    """What a rule found in the plan of a world."""
    return next((f for f in world.plan().findings if f.rule == rule), None)


def test_shares_have_no_hole_for_a_small_book() -> None:
    """One of one participant vanishes: that is one, and all of them."""
    world = priced(holders=[holder("P1")], guards={**OPEN_GUARDS, "removals_share": "0.1"})
    found = finding(world, "removals_share")
    assert found is not None
    assert found.measured == "1.0000"


def test_counts_have_no_hole_for_a_large_book() -> None:
    """Six of a thousand vanish: a small share, and still more than five."""
    codes = [f"P{n}" for n in range(1000)]
    world = priced(
        declared=[Declared(code) for code in codes[6:]],
        holders=[holder(code) for code in codes],
        guards={**OPEN_GUARDS, "removals": 5, "removals_share": "0.1"},
    )
    assert stops(world.plan()) == {"removals"}


@pytest.mark.parametrize(("amount", "stopped"), [("1100.00", False), ("1100.01", True)])
def test_cash_in_is_strict_at_its_limit(amount: str, stopped: bool) -> None:
    """Exactly the limit passes; a cent more stops."""
    world = priced(
        declared=[Declared("P1", amount)],
        holders=[holder("P1")],
        guards={**OPEN_GUARDS, "cash_in": 100},
    )
    assert world.plan().stopped is stopped


def test_a_huge_amount_meets_the_guard_and_not_the_engine() -> None:
    """The largest amount that can be declared is planned, measured and stopped."""
    world = priced(
        declared=[Declared("P1", "999999999999999.99"), Declared("P2", "999999999999999.99")],
        holders=[holder("P1", target="BTC 1")],
        guards=STRICT,
    )
    assert "cash_in" in stops(world.plan())


@pytest.mark.parametrize(("withdrawn", "stopped"), [("900", False), ("900.01", True)])
def test_a_payout_of_nearly_everything_is_an_exit(withdrawn: str, stopped: bool) -> None:
    """The share is exact: 0.9 passes, a cent more stops and is shown rounded up."""
    world = priced(
        declared=[Declared("P1", withdrawn=withdrawn)],
        holders=[holder("P1")],
        guards={**OPEN_GUARDS, "partial_sell_share": "0.9"},
    )
    found = finding(world, "partial_sell_share")
    assert (found is not None) is stopped
    if found:
        assert found.measured == "0.9001"


def test_a_payout_that_no_price_measures_counts_as_everything() -> None:
    """Without prices the share is unknown, and an unknown share stops."""
    world = priced(
        declared=[Declared("P1", withdrawn="100")],
        holders=[holder("P1")],
        prices={},
        guards={**OPEN_GUARDS, "partial_sell_share": "0.9", "turnover": "0.2"},
    )
    plan = world.plan()
    assert [call.verb.value for call in plan.calls] == ["partial_sell"]
    assert stops(plan) == {"partial_sell_share", "turnover"}


@pytest.mark.parametrize(
    ("bitcoin", "ether", "stopped"), [("700", "200", False), ("700.01", "199.99", True)]
)
def test_turnover_is_one_way_sells_over_managed_value(
    bitcoin: str, ether: str, stopped: bool
) -> None:
    """Selling a fifth of the book passes; more than a fifth stops."""
    holds = holdings_worth(PRICES, BTC=bitcoin, ETH=ether, SOL="100")
    world = priced(
        declared=[Declared("P1")],
        holders=[holder("P1", holds=holds, target="BTC 0.7, ETH 0.2, SOL 0.1")],
        guards={**OPEN_GUARDS, "turnover": "0.2"},
    )
    assert world.plan().stopped is stopped


def test_a_named_exit_needs_its_own_number() -> None:
    """exits: [SOL] is a word that sells, and the guard counts it."""
    world = priced(
        declared=[Declared("P1")],
        holders=[holder("P1")],
        strategies=[strategy(targets=(Target(vector(BTC="0.6", ETH="0.4"), ("SOL",)),))],
        guards={**OPEN_GUARDS, "asset_exits": 0},
    )
    found = finding(world, "asset_exits")
    assert found is not None
    assert found.subject == "assets to sell in full (SOL from blue)"


def test_sells_that_a_better_topup_would_spare_are_measured() -> None:
    """A top-up at target weights and a rebalance in one plan sell what was just bought."""
    world = priced(
        declared=[Declared("P1", "1600")],
        holders=[
            holder(
                "P1", holds=holdings_worth(PRICES, BTC="560", ETH="270", SOL="170"), target="BTC 1"
            )
        ],
        strategies=[strategy(targets=(Target(vector(BTC="0.5", ETH="0.3", SOL="0.2"), ()),))],
        guards={**OPEN_GUARDS, "avoidable_sells": "0.0025"},
    )
    found = finding(world, "avoidable_sells")
    assert found is not None
    assert found.measured == "0.0600"


@pytest.mark.parametrize(
    ("cap", "measured", "subject"),
    [
        (
            {"cap_participant": "299.99"},
            "300.00",
            "USD into the market for P2, the most for one participant; 1 above the cap",
        ),
        (
            {"cap_call": "399.99"},
            "400.00",
            "USD into the market by call 2 (2 participants), the most by one call; 1 above the cap",
        ),
        ({"cap_run": "399.99"}, "400.00", "USD into the market by this plan"),
        (
            {"cap_day": "999.99"},
            "1000.00",
            "USD into the market in 24 hours: 600.00 sent before, 400.00 by this plan",
        ),
    ],
    ids=["participant", "call", "run", "day"],
)
def test_a_cap_says_what_is_above_it(cap: dict[str, str], measured: str, subject: str) -> None:
    """Money out stands beside it and is not netted; exactly the cap passes."""
    (rule,) = cap
    world = priced(
        declared=[
            Declared("P1", "1100"),
            Declared("P2", "1300"),
            Declared("P3", withdrawn="200"),
        ],
        holders=[holder("P1"), holder("P2"), holder("P3")],
        guards={**OPEN_GUARDS, **cap},
        sent_lately=(("EUR", 900_00, 900_00), ("USD", 600_00, 0)),
    )
    (found,) = world.plan().findings
    assert (found.measured, found.subject) == (measured, subject)
    for number in (measured, "1000000"):
        assert not replace(world, guards={**OPEN_GUARDS, rule: number}).plan().findings
    widened = replace(world, acknowledgements=(said(measured, rule=rule),)).plan()
    assert not widened.stopped


def test_a_full_day_stops_nothing_that_adds_nothing() -> None:
    """What was sent already is not measured again by a plan that moves no money."""
    world = priced(
        declared=[Declared("P1")],
        holders=[holder("P1")],
        strategies=[strategy(targets=(Target(vector(BTC="1"), ("ETH", "SOL")),))],
        guards={**OPEN_GUARDS, "cap_day": "1"},
        sent_lately=(("USD", 900_00, 0),),
    )
    plan = world.plan()
    assert [call.verb.value for call in plan.calls] == ["rebalance"]
    assert not plan.findings


def test_a_day_slides_and_knows_what_may_still_be_sent() -> None:
    """A call counts for 24 hours after its newest signature; one in doubt counts at any age."""
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    yesterday = int(noon.timestamp()) - 24 * 3600
    sent = (
        MoneySent("USD", 1_00, 0, yesterday - 1),
        MoneySent("USD", 2_00, 0, yesterday),
        MoneySent("USD", 0, 4_00, yesterday + 1),
        MoneySent("EUR", 8_00, 0, None),
    )
    booked = replace(book((), Workspace()), sent=sent)
    assert sent_lately(booked, noon) == (("EUR", 8_00, 0), ("USD", 2_00, 4_00))


@pytest.mark.parametrize(
    ("model", "available", "stopped"),
    [("novated", "999.99", True), ("novated", "1000", False), ("direct", "0", False)],
)
def test_a_known_shortage_of_the_float_stops_where_the_float_pays(
    model: str, available: str, stopped: bool
) -> None:
    """Only under novated funding is the float what buys are paid from."""
    world = priced(declared=[Declared("P1")], funding_model=model, float_usd=available)
    assert ("float" in stops(world.plan())) is stopped
