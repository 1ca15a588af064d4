"""What this very plan's earlier, interrupted runs have already done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stratctl.core.event import Intent
from stratctl.journal.record import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratctl.core.plan import Plan
    from stratctl.journal.record import Entry


@dataclass(frozen=True, slots=True)
class PlanHistory:
    """Slots that the plan's own runs have bound, and acknowledgements that they have used.

    Both would otherwise look like somebody else's: a moved fence, a spent acknowledgement.
    """

    slots: frozenset[tuple[str, int]]
    """(strategy id, slot)"""
    acknowledgements: frozenset[str]

    @classmethod
    def of(cls, entries: Sequence[Entry], approved: Plan | None) -> PlanHistory:
        """Read the journal for runs of the approved plan; empty without one."""
        if approved is None:
            return cls(frozenset(), frozenset())
        digest = approved.digest
        runs = {
            entry.run
            for entry in entries
            if isinstance(entry.event, Run) and entry.event.plan_digest == digest
        }
        intents = [
            entry.event
            for entry in entries
            if entry.run in runs and isinstance(entry.event, Intent)
        ]
        return cls(
            slots=frozenset((intent.strategy_id, intent.slot) for intent in intents if intent.slot),
            acknowledgements=frozenset(
                used for intent in intents for used in intent.acknowledgements
            ),
        )
