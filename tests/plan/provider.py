"""What the provider would do with a plan, in plain Python and exact fractions.

Buys at fixed prices, sells by the caller's weights, liquidation, and rebalances whose legs below
the minimum are skipped and whose sells and buys pay for each other. It shares nothing with the
planner but the words of the plan.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from stratctl.core.money import format_units, parse_units
from stratctl.core.plan import Call, Plan
from stratctl.core.state import Verb
from tests.plan.generate import PRICES
from tests.worlds import Holder, World

UNIT = 10**24


def amount_of(holder: Holder, asset: str) -> Fraction:
    """The quantity held, exactly."""
    return Fraction(parse_units(holder.holds.get(asset, "0"), 24), UNIT)


def worth(holder: Holder, prices: dict[str, str]) -> dict[str, Fraction]:
    """The value of each holding in the quoted currency."""
    return {
        asset: amount_of(holder, asset) * Fraction(prices[asset])
        for asset in holder.holds
        if asset in prices
    }


def settle(world: World, plan: Plan) -> World:
    """The world after every call of the plan settled, prices frozen, without spread or fee."""
    holders = {(h.strategy, h.code): h for h in world.holders}
    absent = set(world.absent)
    by_call: dict[int, list[tuple[str, int | None, bool | None]]] = {}
    for number, code, amount, flag, *_ in plan.rows.rows():
        by_call.setdefault(number, []).append((code, amount, flag))
    rejected = refused(world, plan)
    for call in plan.calls:
        if call.verb is Verb.CREATE:
            absent.discard(call.strategy)
        for code, amount, flag in by_call.get(call.number, []):
            key = (call.strategy, code)
            if call.verb is Verb.PARTIAL_SELL and key in rejected:
                continue
            before = holders.get(key) or Holder(
                code, contributed="0", target=None, trader=False, strategy=call.strategy
            )
            holders[key] = _after(world, before, call, amount, flag)
    for name, code, text, epoch in plan.satisfied.rows():
        holders[name, code] = replace(holders[name, code], target=text, epoch=epoch)
    for name, code, money_in, money_out in plan.forfeits.rows():
        before = holders.get((name, code)) or Holder(
            code, contributed="0", target=None, trader=False, strategy=name
        )
        holders[name, code] = _flowed(before, money_in, money_out)
    return replace(world, holders=list(holders.values()), absent=tuple(sorted(absent)))


def refused(world: World, plan: Plan) -> set[tuple[str, str]]:
    """Who would be paid more of an asset than is held: without a price only the provider knows."""
    holders = {(h.strategy, h.code): worth(h, _market(world)) for h in world.holders}
    calls = {call.number: call for call in plan.calls if call.verb is Verb.PARTIAL_SELL}
    return {
        (call.strategy, code)
        for number, code, amount, *_ in plan.rows.rows()
        if (call := calls.get(number)) and call.vector
        for asset, weight in call.vector.weights_e18
        if asset not in world.prices
        and Fraction(amount * weight, 100 * 10**18) > holders[call.strategy, code].get(asset, 0)
    }


def _after(
    world: World, holder: Holder, call: Call, amount: int | None, flag: bool | None
) -> Holder:
    weights = {} if call.vector is None else dict(call.vector.weights_e18)
    shares = {asset: Fraction(weight, 10**18) for asset, weight in weights.items()}
    cash = Fraction(amount or 0, 100)
    settled = replace(holder, parked=None)
    match call.verb:
        case Verb.LIQUIDATE:
            return replace(settled, holds={}, exited=True)
        case Verb.FLAGS:
            assert flag is not None
            return replace(settled, flag=flag)
        case Verb.PARTIAL_SELL:
            deltas = {asset: -cash * share for asset, share in shares.items()}
            return _flowed(_traded(world, settled, deltas), 0, amount or 0)
        case Verb.TOP_UP | Verb.ENROLL:
            deltas = {asset: cash * share for asset, share in shares.items()}
            bought = _flowed(_traded(world, settled, deltas), amount or 0, 0)
            bought = replace(bought, trader=True, exited=False)
            if call.verb is Verb.TOP_UP:
                return bought
            assert flag is not None
            return replace(bought, flag=flag, target=call.target_text, epoch=call.target_epoch)
        case Verb.REBALANCE:
            moved = _traded(world, settled, _rebalance_legs(world, settled, shares))
            moved = replace(moved, rebalanced=world.as_of)
            return replace(moved, target=call.target_text, epoch=call.target_epoch)
    raise AssertionError(call.verb)


def _rebalance_legs(
    world: World, holder: Holder, shares: dict[str, Fraction]
) -> dict[str, Fraction]:
    values = worth(holder, _market(world))
    whole = sum(values.values(), Fraction(0))
    least = Fraction(world.minimum_leg)
    wanted = {
        asset: shares.get(asset, Fraction(0)) * whole - values.get(asset, Fraction(0))
        for asset in {*shares, *values}
    }
    legs = {asset: delta for asset, delta in wanted.items() if delta and abs(delta) >= least}
    proceeds = -sum((delta for delta in legs.values() if delta < 0), Fraction(0))
    buys = sum((delta for delta in legs.values() if delta > 0), Fraction(0))
    traded = min(proceeds, buys)
    return {
        asset: delta * traded / (buys if delta > 0 else proceeds) for asset, delta in legs.items()
    }


def _market(world: World) -> dict[str, str]:
    """The provider trades at prices that it may not have shown."""
    return {**PRICES, **world.prices}


def _traded(world: World, holder: Holder, deltas: dict[str, Fraction]) -> Holder:
    holds = dict(holder.holds)
    for asset, delta in deltas.items():
        quantity = amount_of(holder, asset) + delta / Fraction(_market(world)[asset])
        assert quantity >= 0, f"{holder.code} would hold less than nothing of {asset}"
        holds[asset] = format_units(int(quantity * UNIT), 24)
    return replace(holder, holds={asset: text for asset, text in holds.items() if text != "0"})


def _flowed(holder: Holder, money_in: int, money_out: int) -> Holder:
    return replace(
        holder,
        contributed=_plus(holder.contributed, money_in),
        withdrawn=_plus(holder.withdrawn, money_out),
    )


def _plus(text: str, minor: int) -> str:
    return format_units(parse_units(text, 2) + minor, 2)
