"""Drift per cohort, one participant after another, in plain Python."""

from __future__ import annotations

from collections import defaultdict

from stratctl.core.money import parse_units
from stratctl.core.plan import CohortDrift, Plan
from stratctl.core.state import Verb
from tests.plan.laws import rows_of
from tests.worlds import Holder, World

ONE_E18 = 10**18
TOUCHING = (Verb.TOP_UP, Verb.PARTIAL_SELL, Verb.REBALANCE)


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
    # Below nothing only until the rebalance that a partial sell stands behind.
    flowed = {a: v + part(flow_e8, weights.get(a, 0)) for a, v in before.items()}
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
