"""How weights were computed, in words."""

from __future__ import annotations

from collections.abc import Iterator

from stratctl.core.money import format_weight
from stratctl.core.state import TransitionStep, Vector, WeightProvenance
from stratctl.view.text import count, safe, span_text

SHOWN = 10
"""Sources, and assets that a cap changes, before the rest is counted."""


def text(found: WeightProvenance) -> str:
    """``blend of blue-chip 0.6 + defi 0.4 (strategies/mix.yaml:5:1), capped at 0.25 (…): …``."""
    said = f"{_capped(found)}"
    return said if found.step is None else f"{said}; {_step(found.step, found.vector)}"


def _step(step: TransitionStep, vector: Vector) -> str:
    """``step 2 of 4 from BTC 0.7, ETH 0.3 to BTC 0.5, ETH 0.5 (…): BTC 0.6, ETH 0.4; the next on
    2026-12-15``."""
    ends = f"from {_vector(step.before)} to {_vector(step.after)} ({span_text(step.span)})"
    number = f"step {step.number}" if step.number else "before the first step"
    said = f"{number} of {step.steps} {ends}: {_vector(vector)}"
    return f"{said}; the next on {step.next_on}" if step.next_on else said


def _vector(vector: Vector) -> str:
    return safe(_listed(vector.text.split(", "), ", ", "assets"))


def _capped(found: WeightProvenance) -> str:
    said = f"{_rule(found)} ({span_text(found.span)})"
    if found.cap_e18 is None:
        return said
    cap = f"{format_weight(found.cap_e18)} ({span_text(found.cap_span)})"
    cuts = "; ".join(_cuts(found))
    return (
        f"{said}, capped at {cap}: {cuts}" if cuts else f"{said}, no asset is above the cap {cap}"
    )


def _rule(found: WeightProvenance) -> str:
    if found.rule == "allocations":
        return "declared weights"
    if found.rule == "mirror":
        return f"mirror of {safe(found.sources[0].strategy)}"
    if found.rule == "blend":
        parts = [
            f"{safe(source.strategy)} {format_weight(source.share_e18)}" for source in found.sources
        ]
        return f"blend of {_listed(parts, ' + ', 'Strategies')}"
    return f"equal weight of {count(len(found.vector.assets), 'asset')}"


def _cuts(found: WeightProvenance) -> Iterator[str]:
    """Who the cap cut, who it lifted up to itself, and that the others share the rest."""
    weights = dict((found.step.after if found.step else found.vector).weights_e18)
    cut, lifted = [], []
    for asset, before_e18 in found.uncapped.weights_e18:
        if weights[asset] < before_e18 and weights[asset] == found.cap_e18:
            cut.append(f"{safe(asset)} capped from {format_weight(before_e18)}")
        elif weights[asset] > before_e18 and weights[asset] == found.cap_e18:
            lifted.append(f"{safe(asset)} raised to it from {format_weight(before_e18)}")
    if not cut:
        return
    yield _listed([*cut, *lifted], ", ", "assets")
    if len(cut) + len(lifted) < len(weights):
        yield "the others gain in proportion"


def _listed(parts: list[str], between: str, what: str) -> str:
    hidden = len(parts) - SHOWN
    more = f" and {hidden:,} more {what}" if hidden > 0 else ""
    return between.join(parts[:SHOWN]) + more
