"""A trace in plain words, for whoever reads a failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stratctl.core.slots import call_id
from tests.apply.machine import REALM, STRATEGY_ID
from tests.model.explore import Explored
from tests.model.world import Body, Move, Request

NAMES = "ABCDEF"
_SLOTS = {call_id(REALM, STRATEGY_ID, slot): f"slot {slot}" for slot in range(1, 33)}


def story(found: Explored) -> Iterator[str]:
    """What happened, a numbered line for each step, and what was wrong in the end."""
    for number, move in enumerate(found.trace, start=1):
        yield f"{number:>2}. {told(move)}"
    if found.failure:
        yield f"    {found.failure}"


def told(move: Move) -> str:
    """One step."""
    who = NAMES[move.machine]
    what = " and ".join(_call(each) for each in move.requests)
    match move.kind:
        case "merge":
            return f"version {move.version + 1} of the configuration is merged"
        case "plan":
            return f"{who} runs version {move.version + 1}{_seen(move)} and sends {what}"
        case "repeat":
            return f"{who} hears nothing and sends {what} again"
        case "hear":
            return f"{who} hears that {_id(move.requests[0].id)} is used"
        case "crash":
            return f"{who} crashes and loses its disk"
        case "land":
            return f"the provider keeps {what}"
        case "duplicate":
            return f"{what} arrives: its id is used, and nothing changes"
        case "lose":
            return f"{what} is lost on its way"
        case "abandon":
            return f"nobody knows {what} after the quarantine: it is abandoned"
    return f"the provider {move.kind}s {move.participant} of {_id(move.requests[0].id)}"


def _seen(move: Move) -> str:
    """What a view lacks."""
    missing = [f"{_id(each.id)} is not listed yet" for each in move.missing]
    hidden = [f"{_id(move.hidden)} shows no Executions yet"] if move.hidden else []
    return f", where {' and '.join((*missing, *hidden))}," if missing or hidden else ""


def _call(request: Request) -> str:
    return f"{_rows(request.body)} as {_id(request.id)}"


def _rows(body: Body) -> str:
    return " and ".join(f"{amount} for {who}" for who, amount in body)


def _id(request_id: str) -> str:
    """Slots by their number: their ids say nothing to the eye."""
    bare, _, suffix = request_id.partition(" ")
    return f"{_SLOTS[bare]} {suffix}".rstrip() if bare in _SLOTS else f"({request_id})"


def verdict(found: Explored) -> str:
    """In one line: how it ended."""
    if not found.failure:
        return f"no violation in {found.states:,} states"
    return f"{found.failure}, after {len(found.trace)} steps"


def lines(found: Sequence[tuple[str, Explored]]) -> Iterator[str]:
    """A table of schemes and verdicts."""
    width = max(len(name) for name, _ in found)
    for name, each in found:
        yield f"{name:<{width}}  {verdict(each)}"
