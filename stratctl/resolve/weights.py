"""Target weights: declared ones exactly as they are, computed ones from declared ones.

Computed weights are rounded once, to 8 decimals, by largest remainder, so that they add up to
exactly 1. A blend of a computed Strategy takes that Strategy's rounded weights, because those are
what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.money import (
    WEIGHT_DIGITS,
    WEIGHT_ONE_E18,
    format_weight,
    parse_units,
    parse_weight,
    split_exactly,
)
from stratctl.core.state import Target, Vector
from stratctl.documents import Documents, Places, Read, Strategy, problem
from stratctl.resolve.names import unknown_strategy

WEIGHT_DECIMALS = 8
"""Decimals of computed weights."""

_COMPUTED_ONE = 10**WEIGHT_DECIMALS
_COMPUTED_UNIT_E18 = 10 ** (WEIGHT_DIGITS - WEIGHT_DECIMALS)

Weights = dict[str, int]
"""Asset or Strategy -> weight in 10⁻¹⁸."""


def resolve_weights(
    strategies: Sequence[Read[Strategy]], documents: Documents, problems: list[Diagnostic]
) -> dict[str, Target]:
    """Strategy -> its target. One whose weights have problems is left out."""
    graph = _Graph(strategies, documents, problems)
    for read in sorted(strategies, key=lambda read: read.span):
        graph.target(read.document.name)
    return {name: target for name, target in graph.targets.items() if target is not None}


def declared_target(
    allocations: Mapping[str, str],
    exits: Sequence[str],
    places: Places,
    problems: list[Diagnostic],
) -> Target | None:
    """The target that ``allocations`` and ``exits`` of a document declare, or None."""
    weights = _declared(allocations, places, "allocations", problems)
    return _target(weights, exits, "", places, problems)


class _Graph:
    """Strategies that take their weights from each other, resolved depth first."""

    def __init__(
        self,
        strategies: Sequence[Read[Strategy]],
        documents: Documents,
        problems: list[Diagnostic],
    ) -> None:
        self.targets: dict[str, Target | None] = {}
        self._known = {read.document.name: read for read in strategies}
        self._documents = documents
        self._problems = problems
        self._path: list[str] = []

    def target(self, name: str) -> Target | None:
        if name in self.targets:
            return self.targets[name]
        read = self._known[name]
        self._path.append(name)
        weights, provenance = self._weights(read)
        self._path.pop()
        if name not in self.targets:
            strategy, places = read.document, read.places
            made = _target(weights, strategy.exits, provenance, places, self._problems)
            self.targets[name] = made
        return self.targets[name]

    def _weights(self, read: Read[Strategy]) -> tuple[Weights | None, str]:
        strategy, places = read.document, read.places
        source = strategy.weight_source
        computed: Mapping[str, int] | None
        if strategy.allocations is not None:
            return _declared(strategy.allocations, places, "allocations", self._problems), ""
        if strategy.equal_weight is not None:
            computed = dict.fromkeys(strategy.equal_weight, 1)
            said = f"equal weight of {len(strategy.equal_weight)} assets"
        elif strategy.blend is not None:
            computed, said = self._blended(strategy.blend, places)
        else:
            mirrored = self._source(str(strategy.mirror), places.value("mirror"))
            if mirrored is not None and strategy.cap is None:
                return dict(mirrored.vector.weights_e18), f"mirror of {strategy.mirror}"
            computed = None if mirrored is None else dict(mirrored.vector.weights_e18)
            said = f"mirror of {strategy.mirror}"
        if computed is None:
            return None, said
        if strategy.cap is not None:
            said = f"{said}, capped at {strategy.cap}"
        rounded = _rounded(computed, strategy.cap, places, source, self._problems)
        return rounded, said

    def _blended(self, blend: Mapping[str, str], places: Places) -> tuple[Weights | None, str]:
        shares = _declared(blend, places, "blend", self._problems)
        sources = {name: self._source(name, places.key("blend", name)) for name in blend}
        said = "blend of " + ", ".join(f"{name} {share}" for name, share in sorted(blend.items()))
        mixed: Weights = {}
        for name, source in sorted(sources.items()):
            if source is None or shares is None:
                return None, said
            for asset, weight_e18 in source.vector.weights_e18:
                mixed[asset] = mixed.get(asset, 0) + shares[name] * weight_e18
        return mixed, said

    def _source(self, name: str, span: Span) -> Target | None:
        if name in self._path:
            circle = " -> ".join([*self._path[self._path.index(name) :], name])
            hint = "let one of them declare its allocations"
            self._problems.append(problem("E_WEIGHT_CYCLE", circle, span, hint))
            self.targets[self._path[-1]] = None
            return None
        if name not in self._known:
            said = unknown_strategy(self._documents, name, self._known)
            if said is not None:
                self._problems.append(problem("E_UNKNOWN_STRATEGY", said[0], span, said[1]))
            return None
        return self.target(name)


def _declared(
    written: Mapping[str, str], places: Places, label: str, problems: list[Diagnostic]
) -> Weights | None:
    """Weights as integers when each is above 0 and they add up to exactly 1."""
    weights = {name: parse_weight(text) for name, text in written.items()}
    zero = [name for name, weight in weights.items() if not weight]
    for name in zero:
        hint = "to sell it in full, name it in exits; else leave it out"
        span = places.value(label, name)
        problems.append(problem("E_WEIGHT_RANGE", f"{name} has weight 0", span, hint))
    total = sum(weights.values())
    if total == WEIGHT_ONE_E18:
        return None if zero else weights
    terms = " + ".join(written.values())
    gap = format_weight(abs(WEIGHT_ONE_E18 - total))
    direction = "more" if total < WEIGHT_ONE_E18 else "less"
    detail = f"{terms} = {format_weight(total)}"
    hint = f"they need {gap} {direction}"
    problems.append(problem("E_WEIGHT_SUM", detail, places.key(label), hint))
    return None


def _rounded(
    computed: Mapping[str, int],
    cap: str | None,
    places: Places,
    source: str,
    problems: list[Diagnostic],
) -> Weights | None:
    """Computed proportions as weights of 8 decimals that add up to exactly 1."""
    if cap is None:
        units = split_exactly(_COMPUTED_ONE, list(computed.items()))
    else:
        capped = _capped(computed, cap, places, problems)
        if capped is None:
            return None
        units = capped
    lost = sorted(asset for asset, share in units.items() if not share)
    for asset in lost:
        detail = f"{asset} comes out smaller than 0.00000001"
        hint = "leave it out of what is blended"
        problems.append(problem("E_WEIGHT_RANGE", detail, places.key(source), hint))
    return None if lost else {name: share * _COMPUTED_UNIT_E18 for name, share in units.items()}


def _capped(
    computed: Mapping[str, int], cap: str, places: Places, problems: list[Diagnostic]
) -> Weights | None:
    """Shares with none above the cap: what a capped asset loses, the others gain in proportion."""
    span = places.value("cap")
    cap_e18 = parse_units(cap, WEIGHT_DIGITS)
    cap_units, finer = divmod(cap_e18, _COMPUTED_UNIT_E18)
    if finer or not 0 < cap_units <= _COMPUTED_ONE:
        detail = f"{cap} is not above 0, at most 1, with at most {WEIGHT_DECIMALS} decimals"
        problems.append(problem("E_CAP", detail, span, "write for example 0.25"))
        return None
    if cap_units * len(computed) < _COMPUTED_ONE:
        least = format_weight(WEIGHT_ONE_E18 // len(computed))
        detail = f"{len(computed)} assets of at most {cap} do not add up to 1"
        problems.append(problem("E_CAP", detail, span, f"a cap of at least about {least} fits"))
        return None
    full: set[str] = set()
    while True:
        left = _COMPUTED_ONE - cap_units * len(full)
        free = {asset: ratio for asset, ratio in computed.items() if asset not in full}
        whole = sum(free.values())
        over = {asset for asset, ratio in free.items() if Fraction(left * ratio, whole) > cap_units}
        if not over:
            shared = split_exactly(left, list(free.items())) if free else {}
            return dict.fromkeys(full, cap_units) | shared
        full |= over


def _target(
    weights: Weights | None,
    exits: Sequence[str],
    provenance: str,
    places: Places,
    problems: list[Diagnostic],
) -> Target | None:
    both = [asset for asset in exits if weights is not None and asset in weights]
    for asset in both:
        detail = f"{asset} has a weight and is in exits"
        span = places.value("exits", list(exits).index(asset))
        problems.append(problem("E_EXIT_ALLOCATED", detail, span, "keep one of them"))
    if weights is None or both:
        return None
    return Target(Vector(tuple(sorted(weights.items()))), tuple(sorted(exits)), provenance)
