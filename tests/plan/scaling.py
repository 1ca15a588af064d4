"""The same world in other units: prices, quantities and money that are multiples of what they were.

Only factors that keep every value an exact decimal are used, so that nothing may round otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from stratctl.core.money import format_units, parse_units
from stratctl.core.plan import Plan
from stratctl.core.settings import CAP_RULES
from tests.plan.planned import Refused, answer_of
from tests.worlds import Holder, World

DEARER = tuple(Fraction(factor) for factor in ("1", "2", "4", "5", "10", "1/2", "1/4", "1/5"))
"""What every price is multiplied by."""
RICHER = (1, 2, 4, 5, 10)
"""What every amount of money is multiplied by."""
MONEY_RULES = ("cash_in", *CAP_RULES)


def scale_free(world: World, dearer: Fraction, richer: int) -> None:
    """I13: prices that are all dearer, of as much less, change nothing at all in a plan.

    As many times the money in every way gives the same calls of the same people at the same
    weights, of as many times the money, and holds the same people back. Whether a cent more would
    have fitted is no part of it: texts that name a smallest amount and estimates are in whole
    cents.
    """
    planned, again = answer_of(world), answer_of(scaled(world, dearer, richer))
    if isinstance(planned, Refused) or isinstance(again, Refused):
        assert isinstance(again, Refused)
        assert isinstance(planned, Refused)
        assert again.code == planned.code
    elif richer == 1:
        assert replace(again.plan, prices=planned.plan.prices) == planned.plan
        assert again.lines == planned.lines
    else:
        assert _decided(again.plan, 1) == _decided(planned.plan, richer)


def scaled(world: World, dearer: Fraction, richer: int) -> World:
    """The world with other prices, and with as many times the money."""

    def money(text: str) -> str:
        return _times(text, Fraction(richer), 2)

    def holder(has: Holder) -> Holder:
        return replace(
            has,
            holds={a: _times(text, richer / dearer, 24) for a, text in has.holds.items()},
            contributed=money(has.contributed),
            withdrawn=money(has.withdrawn),
            tolerance=money(has.tolerance),
        )

    return replace(
        world,
        declared=[
            replace(said, contributed=money(said.contributed), withdrawn=money(said.withdrawn))
            for said in world.declared
        ],
        holders=[holder(has) for has in world.holders],
        prices={asset: _times(price, dearer, 8) for asset, price in world.prices.items()},
        float_usd=money(world.float_usd),
        guards={
            rule: Fraction(str(limit)) * richer if rule in MONEY_RULES else limit
            for rule, limit in world.guards.items()
        },
        minimum_leg=money(world.minimum_leg),
        minimum_account=money(world.minimum_account),
        sent_lately=tuple((of, ins * richer, outs * richer) for of, ins, outs in world.sent_lately),
    )


def _decided(plan: Plan, richer: int) -> dict[str, Any]:
    """What a plan decides, with its money multiplied."""
    return {
        "calls": [replace(call, amount_minor=call.amount_minor * richer) for call in plan.calls],
        "rows": [(n, code, _maybe(m, richer), *more) for n, code, m, *more in _rows(plan)],
        "blocked": [row[:3] for row in plan.blocked.rows()],
        "satisfied": plan.satisfied.rows(),
        "forfeits": [(*who, i * richer, o * richer) for *who, i, o in plan.forfeits.rows()],
        "findings": [
            (each.rule, Fraction(each.measured) * (richer if each.rule in MONEY_RULES else 1))
            for each in plan.findings
        ],
        "fences": plan.fences,
        "certificates": plan.certificates,
        "floats": [(need.currency, need.needed_minor * richer) for need in plan.floats],
        "cash": [
            (each.strategy, each.cash_in_minor * richer, each.cash_out_minor * richer)
            for each in plan.impacts
        ],
        "drift": [replace(each, deposit_minor=0) for each in plan.cohorts],
    }


def _rows(plan: Plan) -> list[tuple[Any, ...]]:
    return [row[:6] for row in plan.rows.rows()]


def _maybe(amount_minor: int | None, richer: int) -> int | None:
    return None if amount_minor is None else amount_minor * richer


def _times(text: str, factor: Fraction, digits: int) -> str:
    units = parse_units(text, digits) * factor
    assert units.denominator == 1, f"{text} times {factor} is no decimal of {digits} digits"
    return format_units(int(units), digits)
