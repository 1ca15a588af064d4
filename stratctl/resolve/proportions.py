"""Proportions -> weights of 8 decimals that add up to exactly 1, with or without a cap."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import gcd

from stratctl.core.money import WEIGHT_DIGITS, WEIGHT_ONE_E18, split_exactly

WEIGHT_DECIMALS = 8
"""Decimals of computed weights."""

UNIT_E18: int = 10 ** (WEIGHT_DIGITS - WEIGHT_DECIMALS)
"""The smallest difference between two computed weights."""

_ONE: int = 10**WEIGHT_DECIMALS

Ratios = Mapping[str, int]
"""Asset -> its part of the whole, in any unit; each above 0."""


def rounded(ratios: Ratios) -> dict[str, int]:
    """Weights in 10⁻¹⁸ by largest remainder."""
    return _weights(split_exactly(_ONE, list(ratios.items())))


def exceeds(ratios: Ratios, cap_units: int) -> bool:
    """Whether any asset's exact part of the whole is above the cap, in units of 10⁻⁸."""
    return bool(_above(ratios, _ONE, cap_units))


def capped(ratios: Ratios, cap_units: int) -> dict[str, int]:
    """Weights with none above the cap: what a capped asset loses, the others gain in proportion.

    That may lift others above the cap, so it goes on until nothing is. The cap must be one that so
    many assets can keep; then never all that are left are above it, and the last split has someone
    to go to. Rounding happens once, at the end, and lifts nothing above the cap: whoever is lifted
    was below it by less than the unit.
    """
    assert cap_units * len(ratios) >= _ONE, "the cap can be kept"
    full: set[str] = set()
    free = dict(ratios)
    while over := _above(free, _ONE - cap_units * len(full), cap_units):
        full |= over
        free = {asset: ratio for asset, ratio in free.items() if asset not in over}
    left = _ONE - cap_units * len(full)
    return _weights(dict.fromkeys(full, cap_units) | split_exactly(left, list(free.items())))


def stepped(before: Ratios, after: Ratios, step: int, steps: int) -> dict[str, int]:
    """Weights in 10⁻¹⁸ on a straight line: ``step / steps`` of the way from one to the other.

    Both add up to exactly 1 in 10⁻¹⁸, and so does every step, by largest remainder. A weight is
    never outside its two ends, because these are whole units: it is cut to a unit or lifted to the
    next, and whose exact share is whole never receives one. What has no weight is left out.
    """
    exact = {
        asset: before.get(asset, 0) * (steps - step) + after.get(asset, 0) * step
        for asset in sorted({*before, *after})
    }
    unit = step_unit(before, after)
    some = [(asset, ratio) for asset, ratio in exact.items() if ratio]
    return {
        asset: share * unit for asset, share in split_exactly(WEIGHT_ONE_E18 // unit, some).items()
    }


def step_unit(before: Ratios, after: Ratios) -> int:
    """The unit of steps between these weights: that of computed ones, or finer where they are."""
    return gcd(UNIT_E18, *before.values(), *after.values())


def _above(ratios: Ratios, units: int, cap_units: int) -> set[str]:
    """The assets whose exact share of so many units is above the cap."""
    whole = sum(ratios.values())
    return {a for a, ratio in ratios.items() if Fraction(units * ratio, whole) > cap_units}


def _weights(units: Mapping[str, int]) -> dict[str, int]:
    return {asset: share * UNIT_E18 for asset, share in units.items()}
