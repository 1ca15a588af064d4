"""Drift per cohort: the figures that a computation in plain Python gives, and how they are said."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from stratctl.core.money import parse_units
from stratctl.core.plan import CohortDrift, Plan
from stratctl.core.state import Target, Verb
from stratctl.plan import cohorts
from tests.plan.generate import PRICES, worlds
from tests.plan.laws import rows_of
from tests.plan.planned import Refused, answer_of, law
from tests.worlds import Declared, Holder, World, holdings_worth, strategy, vector

ONE_E18 = 10**18
HALF = vector(BTC="0.5", ETH="0.5")
TOUCHING = (Verb.TOP_UP, Verb.PARTIAL_SELL, Verb.REBALANCE)


def skewed(*people: Declared, **changes: Any) -> World:
    """Everybody holds 600 and 400 of what should be two equal halves."""
    holds = holdings_worth(PRICES, BTC="600", ETH="400")
    world = World(
        declared=list(people),
        holders=[Holder(said.code, holds, target="BTC 0.6, ETH 0.4") for said in people],
        strategies=[strategy(targets=(Target(HALF, ()),))],
        prices=dict(PRICES),
    )
    return replace(world, **changes)


def test_a_rebalance_repairs_the_drift_and_the_deposit_that_would_is_named() -> None:
    """600 and 400 are a tenth off equal halves; 200 more would make both 600."""
    (cohort,) = skewed(Declared("P1"), Declared("P2")).plan().cohorts
    assert (cohort.participants, cohort.before_e6, cohort.after_e6) == (2, 100_000, 0)
    assert (cohort.deposit_minor, cohort.beyond_deposits) == (40_000, 0)


def test_no_deposit_repairs_what_is_to_be_sold_in_full() -> None:
    """Whoever holds a named exit cannot be brought to the target without a sell."""
    exits = strategy(targets=(Target(vector(ETH="1"), ("BTC",)),))
    (cohort,) = skewed(Declared("P1"), strategies=[exits]).plan().cohorts
    assert (cohort.before_e6, cohort.after_e6) == (600_000, 0)
    assert (cohort.deposit_minor, cohort.beyond_deposits) == (0, 1)


def test_a_leg_below_its_minimum_leaves_its_drift() -> None:
    """With a minimum of 150 the legs of 100 are not carried out, and nobody is rebalanced."""
    world = skewed(Declared("P1"), Declared("P2", contributed="1100"), minimum_leg="150")
    assert world.plan().cohorts == ()


def test_where_no_drift_is_repaired_none_is_measured() -> None:
    """Top-ups at target weights and enrolments say nothing about drift."""
    plan = replace(
        skewed(Declared("P1", contributed="1200")),
        strategies=[strategy(targets=(Target(HALF, ()),), rebalance_on="never")],
    ).plan()
    assert [call.verb for call in plan.calls] == [Verb.TOP_UP]
    assert plan.cohorts == ()


def test_a_shared_top_up_repairs_drift_without_a_rebalance() -> None:
    """200 at the weights that are needed bring 600 and 400 to equal halves."""
    world = skewed(
        Declared("P1", contributed="1200"),
        strategies=[strategy(targets=(Target(HALF, ()),), rebalance_on="drift")],
        cash_flow="shared",
    )
    plan = world.plan()
    assert [call.verb for call in plan.calls] == [Verb.TOP_UP]
    (cohort,) = plan.cohorts
    assert cohort.before_e6 == 100_000
    assert cohort.after_e6 < 50_000
    assert (cohort.deposit_minor, cohort.beyond_deposits) == (0, 0)


def test_a_rebalance_to_the_edge_leaves_what_the_band_allows() -> None:
    """Back to the edge of the band: less drift than before, and not none."""
    world = skewed(
        Declared("P1"),
        strategies=[strategy(targets=(Target(HALF, ()),), rebalance_on="drift")],
        destination="edge",
    )
    world = replace(world, holders=[replace(world.holders[0], target=HALF.text)])
    (cohort,) = world.plan().cohorts
    assert cohort.before_e6 == 100_000
    assert 0 < cohort.after_e6 < 50_000


@law(worlds)
def test_drift_per_cohort_is_what_plain_python_makes_of_it(world: World) -> None:
    """Before, after, and the smallest deposits, one participant after another."""
    answer = answer_of(world)
    if not isinstance(answer, Refused):
        assert answer.plan.cohorts == drifts(world, answer.plan)


def drifts(world: World, plan: Plan) -> tuple[CohortDrift, ...]:
    """The same figures without SQL, for plans that send no other vectors than the declared ones."""
    strategies = {each.name: each for each in world.strategies}
    repaired = {call.strategy for call in plan.calls if call.verb is Verb.REBALANCE}
    touched: dict[tuple[str, str], dict[Verb, int]] = defaultdict(dict)
    for name, verb, _, code, amount, _ in rows_of(plan):
        if name in repaired and verb in TOUCHING:
            touched[name, code][verb] = amount or 0
    holders = {(each.strategy, each.code): each for each in world.holders}
    targets = {(each.strategy, each.code): each.target for each in world.declared}
    strategy_of = {call.number: call.strategy for call in plan.calls}
    cohort_of = {(strategy_of[row[0]], row[1]): row[7] for row in plan.rows.rows()}
    found: dict[tuple[str, str], list[int]] = {}
    for key, verbs in sorted(touched.items()):
        live_cohort = strategies[key[0]].live_cohort
        index = targets.get(key, live_cohort.target if live_cohort else 0)
        weights = dict(strategies[key[0]].targets[index].rebalance_vector.weights_e18)
        person = measured(world, holders[key], weights, verbs)
        if person is not None:
            sums = found.setdefault((key[0], cohort_of[key]), [0] * 7)
            sums[:] = [a + b for a, b in zip(sums, (1, *person), strict=True)]
    return tuple(
        CohortDrift(name, "USD", cohort, people, ratio(off, v), ratio(end_off, end), deposit, none)
        for (name, cohort), (people, off, v, end_off, end, deposit, none) in sorted(found.items())
    )


def measured(
    world: World, holder: Holder, weights: dict[str, int], verbs: dict[Verb, int]
) -> tuple[int, int, int, int, int, int] | None:
    """(off, whole, off after, whole after, deposit, whether none would do); None: unpriced."""
    held = {asset: text for asset, text in holder.holds.items() if parse_units(text, 24)}
    needed = {*held, *(asset for asset, weight in weights.items() if weight)}
    if needed - set(world.prices):
        return None
    before = {
        asset: parse_units(held.get(asset, "0"), 24) // 10**12 * price_e8(world, asset) // 10**12
        if asset in world.prices
        else 0
        for asset in {*weights, *held}
    }
    flow_e8 = (verbs.get(Verb.TOP_UP, 0) - verbs.get(Verb.PARTIAL_SELL, 0)) * 10**6
    flowed = {a: max(0, v + part(flow_e8, weights.get(a, 0))) for a, v in before.items()}
    after, whole = dict(flowed), sum(flowed.values())
    if Verb.REBALANCE in verbs:
        for asset, value in flowed.items():
            delta = part(whole, weights.get(asset, 0)) - value
            if abs(delta) >= max(1, parse_units(world.minimum_leg, 8)):
                after[asset] += delta
    holds_exit = any(value and not weights.get(asset) for asset, value in before.items())
    deposit, none = 0, 0
    if Verb.REBALANCE in verbs and holds_exit:
        none = 1
    elif Verb.REBALANCE in verbs:
        grown = max(-(-v * ONE_E18 // weights[a]) for a, v in before.items() if weights.get(a))
        deposit = -(-(grown - sum(before.values())) // 10**6)
    before_off = off(before, sum(before.values()), weights)
    return (*before_off, *off(after, whole, weights), deposit, none)


def off(values: dict[str, int], whole: int, weights: dict[str, int]) -> tuple[int, int]:
    """How far all holdings together are from their weights of the whole, and the whole."""
    return sum(abs(part(whole, weights.get(a, 0)) - v) for a, v in values.items()), whole


def part(amount: int, weight: int) -> int:
    """A part of an amount, cut towards zero."""
    size = abs(amount) * weight // ONE_E18
    return size if amount >= 0 else -size


def price_e8(world: World, asset: str) -> int:
    """The price in 10⁻⁸."""
    return parse_units(world.prices[asset], 8)


def ratio(off_e8: int, whole_e8: int) -> int:
    """Half of one over the other, in millionths, rounded up."""
    return -(-off_e8 * 500_000 // whole_e8) if whole_e8 else 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("abs(delta_e8) >= greatest(minimum_e8, 1)", "abs(delta_e8) > 30 * minimum_e8"),
        ("rebalanced AND NOT holds_exit", "rebalanced"),
        ("needed_e8 - whole_e8", "needed_e8 - end_e8 // 2"),
        ("ELSE -1 END", "ELSE 1 END"),
    ],
)
def test_a_planted_bug_is_noticed(right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wrong text makes other figures than plain Python of a world that shows it."""
    assert right in cohorts._SUMS
    both = strategy(targets=(Target(vector(ETH="1"), ("BTC",)), Target(HALF, ())))
    paid_out = Declared("P3", target=1, withdrawn="100", flag=False)
    world = skewed(Declared("P1"), Declared("P2", target=1), paid_out, strategies=[both])
    plan = world.plan()
    assert plan.cohorts == drifts(world, plan)
    monkeypatch.setattr(cohorts, "_SUMS", cohorts._SUMS.replace(right, wrong))
    assert world.plan().cohorts != drifts(world, plan)


def test_two_flows_of_one_participant_are_measured_once() -> None:
    """A partial sell and a top-up of one participant move what is left of both, and hold once."""
    world = World(
        declared=[Declared("P1", "1100", withdrawn="200")],
        holders=[Holder("P1", holdings_worth(PRICES, BTC="700", ETH="250", SOL="50"))],
        strategies=[strategy(rebalance_on="drift")],
        prices=dict(PRICES),
        both_directions="send",
    )
    (drift,) = world.plan().cohorts
    assert (drift.participants, drift.before_e6, drift.after_e6) == (1, 200_000, 0)
    assert drift.deposit_minor == 400_00
