"""Target weights: declared ones exactly as they are, computed ones from declared ones.

Computed weights are rounded once, to 8 decimals, by largest remainder, so that they add up to
exactly 1. A blend of a computed Strategy takes that Strategy's rounded weights, because those are
what it holds. Where there is nothing to compute nothing is rounded: a mirror, which is a blend of
one, holds exactly what its source holds, unless a cap cuts into it.

Weights may move by steps on set days, and with them those of every Strategy that takes them. So
each has a course: what its target is from which day on. No clock is read here; who plans knows the
day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice, pairwise

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.money import WEIGHT_DIGITS, WEIGHT_ONE_E18, format_weight, parse_units
from stratctl.core.state import (
    Course,
    Target,
    Vector,
    WeightProvenance,
    WeightSource,
    target_on,
)
from stratctl.documents import Documents, Places, Read, Strategy, problem
from stratctl.resolve.circles import circles, in_order
from stratctl.resolve.declared import (
    Weights,
    declared_target,
    declared_weights,
    target_of,
    vector_of,
)
from stratctl.resolve.names import unknown_strategy
from stratctl.resolve.proportions import UNIT_E18, WEIGHT_DECIMALS, capped, exceeds, rounded
from stratctl.resolve.transitions import at_step, steps_of

CIRCLES_SHOWN_MAX = 100

_Uses = dict[str, dict[str, Span]]
"""Strategy -> the Strategies whose weights it takes, and where it names each."""


def resolve_weights(
    strategies: Sequence[Read[Strategy]], documents: Documents, problems: list[Diagnostic]
) -> dict[str, Course]:
    """Strategy -> its target by days. One whose weights have problems is left out."""
    known = {read.document.name: read for read in sorted(strategies, key=lambda read: read.span)}
    named = {name: dict(_named(read)) for name, read in known.items()}
    problems.extend(_unknown(named, documents))
    uses = {name: {o: at for o, at in used.items() if o in known} for name, used in named.items()}
    problems.extend(_circular(uses))
    courses: dict[str, Course] = {}
    for name in in_order({name: tuple(used) for name, used in uses.items()}):
        used = {one: courses[one] for one in uses[name] if one in courses}
        course = _course_of(known[name], used, problems)
        if course is not None:
            courses[name] = course
    return courses


# --- who takes weights from whom -------------------------------------------------------------


def _named(read: Read[Strategy]) -> Iterator[tuple[str, Span]]:
    """The Strategies whose weights a document takes, each with its place."""
    written, places = read.document, read.places
    if written.mirror is not None:
        yield written.mirror, places.value("mirror")
    for name in written.blend or ():
        yield name, places.key("blend", name)


def _unknown(named: _Uses, documents: Documents) -> Iterator[Diagnostic]:
    for used in named.values():
        for name, span in used.items():
            if name not in named and (said := unknown_strategy(documents, name, named)):
                yield problem("E_UNKNOWN_STRATEGY", said[0], span, said[1])


def _circular(uses: _Uses) -> Iterator[Diagnostic]:
    """Each circle as its path: every step with the place where the name before it takes it."""
    plain = {name: tuple(used) for name, used in uses.items()}
    for circle in islice(circles(plain), CIRCLES_SHOWN_MAX):
        steps = [f" -> {one} ({uses[name][one]})" for name, one in pairwise(circle)]
        detail = f"{circle[0]}{''.join(steps)}"
        hint = "let one of them declare its allocations"
        yield problem("E_WEIGHT_CYCLE", detail, uses[circle[0]][circle[1]], hint)


# --- one Strategy ----------------------------------------------------------------------------


def _course_of(
    read: Read[Strategy], used: Mapping[str, Course], problems: list[Diagnostic]
) -> Course | None:
    """The target of every day on which it is another one, by its own steps or by a source's."""
    steps = steps_of(read, problems)
    moved = {day for course in used.values() for day, _ in course}
    found: list[Diagnostic] = []
    days = sorted({"", *moved, *(steps.days if steps else ())})
    course = []
    for day in days:
        sources = {name: target_on(theirs, day) for name, theirs in used.items()}
        target = _target_of(read, sources, found, for_good=day == days[-1])
        if target is not None and steps is not None:
            target = at_step(read, steps, target, day, found)
        if target is not None:
            course.append((day, target))
    problems.extend(dict.fromkeys(found))
    lost = len(course) < len(days) or (steps is None and read.document.transition is not None)
    return None if lost else tuple(course)


def _target_of(
    read: Read[Strategy],
    targets: Mapping[str, Target],
    problems: list[Diagnostic],
    *,
    for_good: bool,
) -> Target | None:
    """The target of a Strategy whose sources have theirs already, if they have any.

    ``for_good``: no other one follows on a later day. Until then an exit may have a weight.
    """
    written, places = read.document, read.places
    if written.allocations is not None:
        exits = _exits(written.exits, written.allocations, for_good)
        return declared_target(written.allocations, exits, places, problems)
    provenance = _computed(read, targets, problems)
    if provenance is None:
        return None
    exits = _exits(written.exits, provenance.vector.assets, for_good)
    return target_of(provenance.vector, exits, provenance, places, problems)


def _exits(exits: Sequence[str], allocated: Collection[str], for_good: bool) -> tuple[str, ...]:
    return tuple(asset for asset in exits if for_good or asset not in allocated)


def _computed(
    read: Read[Strategy], targets: Mapping[str, Target], problems: list[Diagnostic]
) -> WeightProvenance | None:
    """What a Strategy's rule comes to, and how."""
    written, places = read.document, read.places
    sources = _sources(read, targets, problems)
    if sources is None:
        return None
    ratios = _mixed(sources) if sources else dict.fromkeys(written.equal_weight or (), 1)
    uncapped = sources[0].vector if len(sources) == 1 else vector_of(rounded(ratios))
    vector, cap_units = uncapped, None
    if written.cap is not None:
        cap_units = _cap(written.cap, len(ratios), places, problems)
        if cap_units is None:
            return None
        if exceeds(ratios, cap_units):
            vector = vector_of(capped(ratios, cap_units))
    rule = written.weight_source
    if not _all_above_zero(vector, places.key(rule), problems):
        return None
    return WeightProvenance(
        rule=rule,
        span=places.key(rule),
        sources=sources,
        uncapped=uncapped,
        cap_e18=None if cap_units is None else cap_units * UNIT_E18,
        cap_span=None if cap_units is None else places.key("cap"),
        vector=vector,
    )


def _sources(
    read: Read[Strategy], targets: Mapping[str, Target], problems: list[Diagnostic]
) -> tuple[WeightSource, ...] | None:
    """What the weights are taken from, ascending by name; None when something of it is missing."""
    written, places = read.document, read.places
    shares: Weights | None = {}
    if written.mirror is not None:
        shares = {written.mirror: WEIGHT_ONE_E18}
    elif written.blend is not None:
        shares = declared_weights(written.blend, places, problems, "blend")
    named = dict(_named(read))
    if shares is None or any(name not in targets for name in named):
        return None
    return tuple(
        WeightSource(name, shares[name], targets[name].vector, span)
        for name, span in sorted(named.items())
    )


def _mixed(sources: Sequence[WeightSource]) -> Weights:
    """Proportions, exactly: each source's weights times its share."""
    mixed: Weights = {}
    for source in sources:
        for asset, weight_e18 in source.vector.weights_e18:
            mixed[asset] = mixed.get(asset, 0) + source.share_e18 * weight_e18
    return mixed


def _cap(cap: str, assets: int, places: Places, problems: list[Diagnostic]) -> int | None:
    """The cap in units of computed weights, when it can be kept by so many assets."""
    span = places.value("cap")
    one = WEIGHT_ONE_E18 // UNIT_E18
    cap_units, finer = divmod(parse_units(cap, WEIGHT_DIGITS), UNIT_E18)
    if finer or not 0 < cap_units <= one:
        detail = f"{cap} is not above 0, at most 1, with at most {WEIGHT_DECIMALS} decimals"
        problems.append(problem("E_CAP", detail, span, "write for example 0.25"))
        return None
    if cap_units * assets < one:
        most, least = format_weight(cap_units * assets * UNIT_E18), -(-one // assets)
        detail = f"{assets} assets of at most {cap} add up to {most} at most, not to 1"
        hint = (
            f"the smallest cap that {assets} assets can keep is {format_weight(least * UNIT_E18)}"
        )
        problems.append(problem("E_CAP", detail, span, hint))
        return None
    return cap_units


def _all_above_zero(vector: Vector, span: Span, problems: list[Diagnostic]) -> bool:
    lost = [asset for asset, weight in vector.weights_e18 if not weight]
    for asset in lost:
        detail = f"{asset} comes out smaller than {format_weight(UNIT_E18)}"
        hint = "leave it out of what is blended"
        problems.append(problem("E_WEIGHT_RANGE", detail, span, hint))
    return not lost
