"""Drift bands inside which an asset can fall to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.money import WEIGHT_ONE_E18, format_ratio, format_weight
from stratctl.documents import warning

if TYPE_CHECKING:
    from stratctl.core.settings import Configuration
    from stratctl.core.state import DesiredStrategy, Drift
    from stratctl.documents import Documents


def bands_without_a_floor(
    documents: Documents, configuration: Configuration
) -> Iterator[Diagnostic]:
    """Weights that fit whole inside every band, so that losing all of them breaches none.

    The relative band is a part of the weight: below 1 it is always the narrower one, and then no
    absolute band is too wide.
    """
    for strategy in configuration.desired.strategies:
        drift = strategy.drift
        inside = sorted(
            (weight_e18, asset)
            for asset, weight_e18 in _smallest_weights(strategy).items()
            if _hides(drift, Fraction(weight_e18, WEIGHT_ONE_E18))
        )
        if not inside:
            continue
        assets = ", ".join(f"{asset} {format_weight(weight_e18)}" for weight_e18, asset in inside)
        detail = (
            f"in {strategy.name} {assets} can fall to nothing inside the bands: absolute "
            f"{format_ratio(drift.absolute)}, relative {format_ratio(drift.relative)}, portfolio "
            f"{format_ratio(drift.portfolio)}"
        )
        hint = "a relative band below 1, such as 0.25, is breached by every asset in time"
        yield warning("W_BAND_WIDER", detail, _place(documents, strategy), hint)


def _hides(drift: Drift, weight: Fraction) -> bool:
    """Whether an asset of this weight that is gone breaches nothing.

    Its own distance is the weight, and so is half the sum of all distances, because what it lost
    the others have.
    """
    return drift.relative >= 1 and min(drift.absolute, drift.portfolio) >= weight


def _smallest_weights(strategy: DesiredStrategy) -> dict[str, int]:
    """Asset -> its smallest weight in the Strategy and in cohorts with allocations of their own."""
    smallest: dict[str, int] = {}
    for target in strategy.targets:
        for asset, weight_e18 in target.vector.weights_e18:
            smallest[asset] = min(weight_e18, smallest.get(asset, weight_e18))
    return smallest


def _place(documents: Documents, strategy: DesiredStrategy) -> Span:
    """Where the relative band is set, which is the one to change; else where the Strategy is."""
    for read in documents.strategies:
        if read.span == strategy.span and read.places.written("policy", "drift", "relative"):
            return read.places.value("policy", "drift", "relative")
    policy = documents.policy
    if policy is not None and policy.places.written("drift", "relative"):
        return policy.places.value("drift", "relative")
    return strategy.span
