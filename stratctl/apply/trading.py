"""Calls that trade: one slot after the other, each from its intent to its outcome.

A refusal parks the rows that it names and frees the slot; a doubt about a call stops the Strategy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stratctl.apply.body import trading_intent
from stratctl.apply.calls import Ending, Said, abandon
from stratctl.apply.proof import MONEY_IN
from stratctl.apply.standing import Standing
from stratctl.apply.words import Breaker, CallWork
from stratctl.core.errors import ProviderError
from stratctl.core.event import (
    AnswerClass,
    Forfeited,
    Intent,
    IntentRow,
    Outcome,
    Problem,
    RowOutcome,
    RowResult,
    Unfinished,
)
from stratctl.core.packed import packed
from stratctl.core.state import Verb

FLOAT_RAN_OUT = "insufficient_funds"


class Trading:
    """Uses the slots of one Strategy, strictly one by one."""

    def __init__(self, standing: Standing, breaker: Breaker) -> None:
        self.standing = standing
        self.breaker = breaker
        self.mixed: set[str] = set()
        """Participants of whom some legs executed and others failed in this run."""
        self.checked_head = False
        self._selling: frozenset[str] | None = None

    def call(self, each: CallWork) -> Said[None]:
        """Send the rows in one call. A refusal parks the rows that it names; when it names none,
        the rows are halved until single rows can be parked."""
        at, call = self.standing, each.call
        if call.verb in MONEY_IN and self.breaker.tripped(call.currency):
            why = f"the {call.currency} float ran out earlier in this run"
            yield from at.say(at.problem("E_FLOAT_SHORT", why, each.rows))
            return
        # Whose sell is in doubt gets no money in by the same run: a person decides first.
        clear = tuple(row for row in each.rows if row.participant_code not in self.mixed)
        groups: list[Sequence[IntentRow]] = [clear]
        if not groups[0]:
            return
        while groups and not at.stopped:
            if at.asked_to_stop():
                return
            rows = groups.pop(0)
            intent = trading_intent(at.work, each, rows, strategy_id=at.id, head_slot=at.head_slot)
            if not (yield from self._slot_is_free(intent)):
                return
            ending = yield from self._send(intent)
            if ending.refused:
                groups[:0] = yield from self._divide(intent, ending)
        at.finish(call.number)

    def resume(self, before: Unfinished) -> Said[None]:
        """Send a call of an earlier run first: same id, same bytes."""
        at, intent = self.standing, before.intent
        if intent.slot != at.head_slot + 1:
            why = f"slot {intent.slot} is open and {at.head_slot} is the newest that was read"
            yield from at.stop(at.problem("E_PLAN_STALE", why, intent.rows))
            return
        ending = yield from self._send(intent, before)
        if ending.refused:
            yield from self._divide(intent, ending)

    def forfeit(self, *, exiting: bool, participants: set[str] | None) -> Said[None]:
        """Close what was declared and never moved: at once for those who hold nothing to sell,
        after their sale for the others."""
        work, strategy_id = self.standing.work, self.standing.strategy_id
        if not work.forfeits:
            return
        if self._selling is None:
            sales = [each for each in work.calls if each.call.verb is Verb.LIQUIDATE]
            self._selling = frozenset(row.participant_code for each in sales for row in each.rows)
        rows = tuple(
            row
            for row in work.forfeits
            if (row[0] in self._selling) is exiting
            and (participants is None or row[0] in participants)
        )
        if rows and strategy_id:
            yield Forfeited(work.strategy, strategy_id, rows)

    def _slot_is_free(self, intent: Intent) -> Said[bool]:
        """Before the first new slot: an id that the provider already knows means that the read was
        behind, and that somebody else's call stands where ours would."""
        at = self.standing
        if self.checked_head:
            return True
        try:
            found = at.caller.writer.look_up(intent)
        except ProviderError as error:
            yield from at.stop(at.problem("E_READ_FAILED", error.summary))
            return False
        if found is not None:
            why = (
                f"slot {intent.slot} is used by {found.resource_id}, which was not read; plan again"
            )
            yield from at.stop(at.problem("E_PLAN_STALE", why))
            return False
        self.checked_head = True
        return True

    def _send(self, intent: Intent, before: Unfinished | None = None) -> Said[Ending]:
        """One slot, from intent to outcome."""
        at = self.standing
        ending = yield from at.caller.send(intent, before)
        if ending.refused:
            return ending
        if not ending.committed:
            yield from at.leave_open(intent, ending)
            return ending
        assert ending.answer is not None
        assert intent.slot is not None
        at.head_slot = intent.slot
        taken = ending.answer.answer is AnswerClass.SLOT_TAKEN
        concluded = yield from at.caller.conclude(intent, ending.answer.resource_id, taken=taken)
        if concluded.problem is not None:
            at.problems.append(concluded.problem)
            at.stopped = True
        if concluded.outcome is not None:
            yield from self._book(intent, concluded.outcome)
        return ending

    def _book(self, intent: Intent, outcome: Outcome) -> Said[None]:
        at = self.standing
        at.outcomes.append(_remembered(outcome))
        mixed = [row.participant_code for row in outcome.rows if row.result is RowResult.MIXED]
        self.mixed.update(mixed)
        if mixed:
            why = f"Operation {outcome.operation_id}: some legs executed and others failed"
            yield from at.say(Problem(at.work.strategy, "E_EXECUTION_MIXED", why, tuple(mixed)))
        if outcome.verb in MONEY_IN and any(row.reason == FLOAT_RAN_OUT for row in outcome.rows):
            self.breaker.open(intent.currency)
        if outcome.verb is Verb.LIQUIDATE and outcome.proven:
            gone = {
                row.participant_code
                for row in outcome.rows
                if row.result in (RowResult.SETTLED, RowResult.SKIPPED)
            }
            yield from self.forfeit(exiting=True, participants=gone)

    def _divide(self, intent: Intent, ending: Ending) -> Said[list[Sequence[IntentRow]]]:
        """What to send in place of a refused body. The slot is free once it is abandoned."""
        assert ending.answer is not None
        at, reason = self.standing, ending.reason
        named = [row for row in intent.rows if _names(ending.answer.errors, row)]
        parked = named or (intent.rows if len(intent.rows) == 1 else ())
        refused = tuple((row.participant_code, reason) for row in parked)
        yield from abandon(intent, reason, refused)
        if parked:
            yield from at.say(at.problem("E_ROWS_REFUSED", reason, tuple(parked)))
            rest = tuple(row for row in intent.rows if row not in parked)
            return [rest] if rest else []
        middle = len(intent.rows) // 2
        return [intent.rows[:middle], intent.rows[middle:]]


def _remembered(outcome: Outcome) -> Outcome:
    """Without the provider's ids of each row, which the journal has, and packed: they are most of
    what a run of a million rows would hold on to."""
    kept = [
        RowOutcome(row.participant_code, row.result, row.reason, "", row.amount_minor)
        for row in outcome.rows
    ]
    return replace(outcome, rows=packed(kept, RowOutcome))


def _names(errors: Sequence[str], row: IntentRow) -> bool:
    """Whether an error speaks of the row: its code stands there as a word of its own."""
    return any(
        row.participant_code in "".join(c if c.isalnum() else " " for c in error).split()
        for error in errors
    )
