"""What must never be."""

from __future__ import annotations

from tests.model.explore import Judge
from tests.model.world import REJECTED, SETTLED, Body, Bounds, Scheme, State, View


def judges(scheme: Scheme) -> tuple[Judge, ...]:
    """What a scheme that must hold is held to; only a shared journal keeps an id to one body."""
    money: tuple[Judge, ...] = (moved_too_much, stuck)
    return (*money, two_bodies) if scheme.shares_journal else money


def moved_too_much(state: State, scheme: Scheme, bounds: Bounds) -> str:
    """More has moved, or may still move, than any merged version declares."""
    del scheme
    totals = dict(bounds.versions[state.merged])
    for operation in state.operations:
        for (participant, amount), fate in zip(operation.body, operation.fates, strict=True):
            if fate != REJECTED:
                totals[participant] = totals.get(participant, 0) - amount
    for participant, left in sorted(totals.items()):
        if left < 0:
            declared = dict(bounds.versions[state.merged]).get(participant, 0)
            return f"{participant} gets {declared - left}, declared are {declared}"
    return ""


def stuck(state: State, scheme: Scheme, bounds: Bounds) -> str:
    """All is quiet, money is missing, and whoever comes now with no log at all cannot send it."""
    if state.air or not all(each.finished for each in state.operations):
        return ""
    declared = bounds.versions[state.merged]
    missing = dict(declared)
    for operation in state.operations:
        for (participant, amount), fate in zip(operation.body, operation.fates, strict=True):
            missing[participant] = missing.get(participant, 0) - amount * (fate == SETTLED)
    short = " and ".join(f"{left} for {who}" for who, left in sorted(missing.items()) if left > 0)
    if not short:
        return ""
    view = View(state.merged, declared, state.operations, "", state.sent, state.journal)
    requests = scheme.plan(view, bounds.participants)
    used = {each.id for each in state.operations}
    if requests and requests[0].id not in used:
        return ""
    return f"{short} will never move: " + (
        "the request id that would carry it is used up" if requests else "nothing is sent for it"
    )


def two_bodies(state: State, scheme: Scheme, bounds: Bounds) -> str:
    """One request id carries two bodies at once."""
    del scheme, bounds
    bodies: dict[str, Body] = {}
    carried = [(each.id, each.body) for each in state.operations]
    carried += [(each.id, each.body) for each in state.air]
    for request_id, body in carried:
        if bodies.setdefault(request_id, body) != body:
            return "one request id carries two bodies"
    return ""
