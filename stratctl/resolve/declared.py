"""Declared weights: exactly what is written, once it adds up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.money import WEIGHT_ONE_E18, format_weight, parse_weight
from stratctl.core.state import Target, Vector, WeightProvenance
from stratctl.documents import Places, problem

Weights = dict[str, int]
"""Asset or Strategy -> weight in 10⁻¹⁸."""

TERMS_SHOWN_MAX = 20
"""Weights that are written out in their sum."""


def declared_target(
    allocations: Mapping[str, str],
    exits: Sequence[str],
    places: Places,
    problems: list[Diagnostic],
) -> Target | None:
    """The target that ``allocations`` and ``exits`` of a document declare, or None."""
    weights = declared_weights(allocations, places, problems, "allocations")
    vector = None if weights is None else vector_of(weights)
    return target_of(vector, exits, None, places, problems)


def declared_weights(
    written: Mapping[str, str], places: Places, problems: list[Diagnostic], *path: str
) -> Weights | None:
    """The weights at this path as integers, when each is above 0 and they add up to exactly 1."""
    weights = {name: parse_weight(text) for name, text in written.items()}
    zero = [name for name, weight in weights.items() if not weight]
    hints = {"allocations": "to sell it in full, name it in exits; else leave it out"}
    for name in zero:
        span = places.value(*path, name)
        detail, hint = f"{name} has weight 0", hints.get(path[0], "leave it out")
        problems.append(problem("E_WEIGHT_RANGE", detail, span, hint))
    total = sum(weights.values())
    if total == WEIGHT_ONE_E18:
        return None if zero else weights
    many = len(written) > TERMS_SHOWN_MAX
    terms = f"the sum of {len(written)} weights" if many else " + ".join(written.values())
    gap = format_weight(abs(WEIGHT_ONE_E18 - total))
    direction = "more" if total < WEIGHT_ONE_E18 else "less"
    detail = f"{terms} = {format_weight(total)}"
    hint = f"they need {gap} {direction}"
    problems.append(problem("E_WEIGHT_SUM", detail, places.key(*path), hint))
    return None


def vector_of(weights: Mapping[str, int]) -> Vector:
    """The same weights in the order of their assets."""
    return Vector(tuple(sorted(weights.items())))


def target_of(
    vector: Vector | None,
    exits: Sequence[str],
    provenance: WeightProvenance | None,
    places: Places,
    problems: list[Diagnostic],
) -> Target | None:
    """A target, when nothing that it allocates is an exit as well."""
    both = [asset for asset in exits if vector is not None and asset in vector.assets]
    for asset in both:
        detail = f"{asset} has a weight and is in exits"
        span = places.value("exits", list(exits).index(asset))
        problems.append(problem("E_EXIT_ALLOCATED", detail, span, "keep one of them"))
    if vector is None or both:
        return None
    span = provenance.span if provenance else places.key("allocations")
    return Target(vector, tuple(sorted(exits)), provenance, span)
