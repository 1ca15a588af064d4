"""What this very plan's earlier runs have already done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from stratctl.core.event import Abandoned, Answer, AnswerClass, Intent, Outcome
from stratctl.core.state import Verb
from stratctl.journal.record import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stratctl.core.plan import Plan
    from stratctl.journal.record import Entry

DoneRow = tuple[str, str, str, str]
"""(strategy, verb, vector, participant_code)"""


@dataclass(frozen=True, slots=True)
class PlanHistory:
    """What the plan's own runs have bound, used and finished.

    Slots and acknowledgements would otherwise look like somebody else's: a moved fence, a spent
    acknowledgement. A row that has its result has used up its approval.
    """

    slots: frozenset[tuple[str, int]]
    """(strategy id, slot)"""
    acknowledgements: frozenset[str]
    done: frozenset[DoneRow]

    @classmethod
    def of(cls, entries: Sequence[Entry], approved: Plan | None) -> PlanHistory:
        """Read the journal for runs of the approved plan; empty without one."""
        if approved is None:
            return cls(frozenset(), frozenset(), frozenset())
        runs: set[str] = set()
        own: dict[str, Intent] = {}
        used: set[str] = set()
        done: set[DoneRow] = set()
        for entry in entries:
            event = entry.event
            if isinstance(event, Run) and event.plan_digest == approved.digest:
                runs.add(entry.run)
            elif isinstance(event, Intent) and entry.run in runs:
                own[event.request_id] = event
                used.update(event.acknowledgements)
            elif isinstance(event, Abandoned):
                # Its slot is free, and may be somebody else's afterwards.
                own.pop(event.request_id, None)
            elif isinstance(event, Outcome) and not event.proven:
                own.pop(event.request_id, None)
            elif _ends(event, own):
                done.update(_rows(own[event.request_id]))
        slots = frozenset((call.strategy_id, call.slot) for call in own.values() if call.slot)
        return cls(slots=slots, acknowledgements=frozenset(used), done=frozenset(done))


def _ends(event: object, own: dict[str, Intent]) -> TypeGuard[Outcome | Answer]:
    """Whether it is the result of a call of our own; a flag has no other than its answer."""
    if isinstance(event, Outcome):
        return event.request_id in own
    return (
        isinstance(event, Answer)
        and event.answer is AnswerClass.COMMITTED
        and event.request_id in own
        and own[event.request_id].verb is Verb.FLAGS
    )


def _rows(intent: Intent) -> Iterator[DoneRow]:
    for row in intent.rows:
        yield intent.strategy, intent.verb.value, intent.vector_text, row.participant_code
