"""Transitions: weights that move to new ones by steps of one size, on days that are declared.

Step k of n is the point ``before + k / n * (after - before)``, for everybody and from midnight UTC
of its day on. What the weights are is a function of the declaration and the date alone, so every
plan of a day gives the same, nothing has to be remembered, and nobody is a step behind the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.money import format_weight
from stratctl.core.state import Target, TransitionStep, WeightProvenance
from stratctl.documents import Read, Strategy, problem
from stratctl.resolve.declared import Weights, declared_weights, vector_of
from stratctl.resolve.proportions import step_unit, stepped


@dataclass(frozen=True, slots=True)
class Steps:
    """A transition that can be taken."""

    before: Weights
    days: tuple[str, ...]
    """The first day of each step."""


def steps_of(read: Read[Strategy], problems: list[Diagnostic]) -> Steps | None:
    """The steps of a Strategy; None when it has none, or none that can be taken."""
    written, places = read.document.transition, read.places
    if written is None:
        return None
    before = declared_weights(written.before, places, problems, "transition", "before")
    first = date.fromisoformat(written.begins).toordinal()
    last = first + (written.steps - 1) * written.every_days
    if last > date.max.toordinal():
        detail = f"the last of {written.steps} steps is after {date.max}"
        span = places.value("transition", "begins")
        problems.append(problem("E_TRANSITION", detail, span, "begin earlier"))
        return None
    if before is None:
        return None
    days = range(first, last + 1, written.every_days)
    return Steps(before, tuple(date.fromordinal(day).isoformat() for day in days))


def at_step(
    read: Read[Strategy], steps: Steps, target: Target, day: str, problems: list[Diagnostic]
) -> Target | None:
    """The target of a day on the way to this one."""
    after = dict(target.vector.weights_e18)
    found = [*_lost(read, steps, target), *_too_fine(read, steps, after)]
    problems.extend(found)
    if found:
        return None
    number = sum(begun <= day for begun in steps.days)
    vector = vector_of(stepped(steps.before, after, number, len(steps.days)))
    span = read.places.key("transition")
    step = TransitionStep(
        number=number,
        steps=len(steps.days),
        before=vector_of(steps.before),
        after=target.vector,
        next_on=steps.days[number] if number < len(steps.days) else None,
        span=span,
    )
    rule = target.provenance or WeightProvenance(
        rule="allocations",
        span=read.places.key("allocations"),
        sources=(),
        uncapped=target.vector,
        cap_e18=None,
        cap_span=None,
        vector=target.vector,
    )
    return Target(
        vector=vector,
        exits=tuple(asset for asset in target.exits if asset not in vector.assets),
        provenance=replace(rule, vector=vector, step=step),
        span=span if step.next_on else target.span,
    )


def _lost(read: Read[Strategy], steps: Steps, target: Target) -> list[Diagnostic]:
    """The last step sells what only the old weights have, and a sale in full has to be named."""
    named = {*target.vector.assets, *target.exits}
    return [
        problem(
            "E_TRANSITION",
            f"{asset} has a weight before and none after, and is no exit",
            read.places.key("transition", "before", asset),
            f"to sell it in full by the last step write exits: [{asset}]; otherwise allocate it",
        )
        for asset in sorted(set(steps.before) - named)
    ]


def _too_fine(read: Read[Strategy], steps: Steps, after: Weights) -> list[Diagnostic]:
    """Every step has to move every asset that moves at all; otherwise some would go to and fro."""
    unit = step_unit(steps.before, after)
    number = len(steps.days)
    moves = {
        asset: abs(after.get(asset, 0) - steps.before.get(asset, 0))
        for asset in sorted({*steps.before, *after})
    }
    return [
        problem(
            "E_TRANSITION",
            f"{asset} moves by {format_weight(moved)} in {number} steps; the smallest step is"
            f" {format_weight(unit)}",
            read.places.key("transition"),
            f"write steps: {max(1, moved // unit)} or fewer, or leave its weight as it was",
        )
        for asset, moved in moves.items()
        if 0 < moved < number * unit
    ]
