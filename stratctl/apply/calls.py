"""One call's way from its intent to its proven outcome.

::

    intent ─► attempt ─► answer ─┬─ committed, slot taken ────────────────► its Operation
      ▲          ▲               ├─ refused ── look-up ─┬─ unknown ───────► abandoned
      │          │               │                      └─ found ─────────► its Operation
      │          └── same bytes ─┼─ in doubt ── look-up ─┬─ unknown, again
      │                          │                       └─ found ────────► its Operation
      │                          └─ access refused, not found ────────────► stop
      └─ a slot gets another body only after it was abandoned

    its Operation ─► poll until terminal ─► read Executions until complete ─► outcome

Nothing is sent before the event that announces it is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from stratctl.apply.proof import NO_EXECUTIONS, Conflict, Incomplete, Proven, judge, nobody
from stratctl.apply.words import Pace, Writer
from stratctl.core.errors import AccessRefused, JournalUnavailable, ProviderError
from stratctl.core.event import (
    Abandoned,
    Answer,
    AnswerClass,
    Attempt,
    Event,
    Execution,
    Intent,
    Outcome,
    Problem,
    Receipt,
    Unfinished,
)
from stratctl.core.state import LiveOperation
from stratctl.core.words import count

T = TypeVar("T")
Said = Generator[Event, Receipt, T]

COMMITS = (AnswerClass.COMMITTED, AnswerClass.SLOT_TAKEN)
ENDS = (*COMMITS, AnswerClass.ACCESS_REFUSED, AnswerClass.NOT_FOUND)
"""Answers after which sending the same bytes again is pointless."""

PAUSE_MAX = 5.0
"""Long waits are taken in pieces, so that a request to stop is heard."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How far a call was brought: the last answer, or None when it is still open."""

    answer: Answer | None
    in_doubt: bool
    stopped: bool = False
    """It is open because a stop was asked for."""

    @property
    def committed(self) -> bool:
        return self.answer is not None and self.answer.answer in COMMITS

    @property
    def refused(self) -> bool:
        """A refusal that frees the id: nothing was carried out under it."""
        return self.answer is not None and self.answer.answer is AnswerClass.REFUSED

    @property
    def reason(self) -> str:
        """Why it was refused, in the provider's words."""
        assert self.answer is not None, "a refusal is an answer"
        return "; ".join(self.answer.errors) or self.answer.detail or "refused"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a committed call came to. Without an outcome it is still open; with a Problem the
    Strategy stops."""

    outcome: Outcome | None
    problem: Problem | None


class Caller:
    """Sends calls and finds out what became of them; the journal hears of each step first."""

    def __init__(self, writer: Writer, pace: Pace, stopping: Callable[[], bool]) -> None:
        self.writer = writer
        self.pace = pace
        self.stopping = stopping
        self.requests = 0

    # --- sending ---------------------------------------------------------------------------------

    def send(self, intent: Intent, before: Unfinished | None = None) -> Said[Ending]:
        """Bring one intent to an answer that proves something, within the allowed tries.

        ``before``: what an earlier run has already done for the same intent.
        """
        receipt = yield intent
        if receipt.digest != intent.body_sha256:
            raise JournalUnavailable(
                f"the journal holds another body for {intent.request_id}",
                hint="nothing was sent; run audit verify",
            )
        number = before.attempts if before else 0
        doubt = before.signed_last if before and before.in_doubt else None
        if before is not None:
            found = yield from self._found(intent)
            if found is not None:
                return Ending(found, in_doubt=doubt is not None)
        for tries in range(1, self.pace.attempts + 1):
            if self.stopping():
                return Ending(None, in_doubt=doubt is not None, stopped=True)
            number += 1
            signed = self.writer.sign(intent)
            yield Attempt(intent.request_id, number, signed.signed_at)
            self.requests += 1
            answer = self.writer.send(signed, number)
            yield answer
            if answer.answer is AnswerClass.REFUSED:
                return (yield from self._refused(intent, answer, doubt))
            if answer.answer in ENDS:
                return Ending(answer, in_doubt=doubt is not None)
            if answer.answer is not AnswerClass.NOT_SENT:
                doubt = signed.signed_at
            self.pause(self._delay(answer, tries))
            found = yield from self._found(intent)
            if found is not None:
                return Ending(found, in_doubt=doubt is not None)
        return Ending(None, in_doubt=doubt is not None)

    def _refused(self, intent: Intent, answer: Answer, doubt: int | None) -> Said[Ending]:
        """A refusal proves that its own attempt was not carried out. An earlier attempt, signed at
        ``doubt``, may still be, until its signature and the provider's queues have surely expired.

        A provider that refuses a used id with another body says 400 too: only a look-up tells.
        """
        in_doubt = doubt is not None
        if doubt is not None and not self.pause_until(doubt + self.pace.quarantine):
            return Ending(None, in_doubt, stopped=True)
        try:
            found = yield from self.look_up(intent)
        except ProviderError:
            return Ending(None, in_doubt)
        return Ending(found or answer, in_doubt)

    def _found(self, intent: Intent) -> Said[Answer | None]:
        """A look-up whose failure is no proof of anything: the same bytes are sent again."""
        try:
            return (yield from self.look_up(intent))
        except ProviderError:
            return None

    def look_up(self, intent: Intent) -> Said[Answer | None]:
        """What the provider has under the intent's id. Raises ProviderError."""
        found = self.writer.look_up(intent)
        if found is not None:
            yield found
        return found

    def _delay(self, answer: Answer, tries: int) -> float:
        delay = self.pace.delay(tries)
        return delay + (
            self.pace.rate_limited if answer.answer is AnswerClass.RATE_LIMITED else 0.0
        )

    def pause(self, seconds: float) -> bool:
        """Wait. False: a stop was asked for before it was over.

        Seconds that were waited are counted, not read from the clock, which may jump.
        """
        while seconds > 0:
            if self.stopping():
                return False
            piece = min(seconds, PAUSE_MAX)
            self.writer.wait(piece)
            seconds -= piece
        return True

    def pause_until(self, moment: int) -> bool:
        """Wait for a Unix second. False: a stop was asked for before it came."""
        return self.pause(float(moment - self.writer.now()))

    # --- finding out ------------------------------------------------------------------------------

    def conclude(self, intent: Intent, operation_id: str, *, taken: bool) -> Said[Conclusion]:
        """Follow a committed call to its outcome, or to the Problem that leaves it open."""
        operation = self._terminal(intent, operation_id)
        if isinstance(operation, Problem):
            yield operation
            return Conclusion(None, operation)
        verdict = self._verdict(intent, operation, taken=taken)
        if isinstance(verdict, Incomplete):
            problem = open_problem(intent, "E_EXECUTIONS_INCOMPLETE", verdict.why, operation_id)
            yield problem
            return Conclusion(None, problem)
        assert intent.slot is not None, "only a trading call becomes an Operation"
        outcome = Outcome(
            strategy=intent.strategy,
            strategy_id=intent.strategy_id,
            verb=verdict.verb if isinstance(verdict, Conflict) else intent.verb,
            slot=intent.slot,
            request_id=intent.request_id,
            operation_id=operation_id,
            status=operation.status,
            status_reason=operation.status_reason,
            rows=verdict.rows,
            proven=isinstance(verdict, Proven),
        )
        yield outcome
        if isinstance(verdict, Conflict):
            problem = Problem(
                intent.strategy,
                "E_SLOT_CONFLICT",
                f"slot {intent.slot} (Operation {operation_id}) carries another body than ours: "
                f"{verdict.why}; the provider's figures are booked, plan again",
            )
            yield problem
            return Conclusion(outcome, problem)
        return Conclusion(outcome, None)

    def _terminal(self, intent: Intent, operation_id: str) -> LiveOperation | Problem:
        """Poll until the Operation is terminal. An unknown status never is."""
        waited, step, why = 0.0, self.pace.poll_first, "it is not terminal yet"
        while True:
            try:
                operation = self.writer.operation(operation_id)
            except AccessRefused as error:
                return open_problem(intent, "E_ACCESS_REFUSED", error.summary, operation_id)
            except ProviderError as error:
                why = error.summary
            else:
                if operation.terminal:
                    return operation
                why = f"its status is {operation.status!r}"
            if waited >= (self.pace.stop_seconds if self.stopping() else self.pace.poll_seconds):
                return open_problem(intent, "E_OPERATION_OPEN", why, operation_id)
            self.writer.wait(step)
            waited += step
            step = min(max(step, self.pace.poll_step) * self.pace.poll_factor, self.pace.poll_max)

    def _verdict(
        self, intent: Intent, operation: LiveOperation, *, taken: bool
    ) -> Proven | Conflict | Incomplete:
        """Read the Executions until they are complete.

        An empty list is believed when the Operation says ``no_executions`` and it is seen twice;
        another body is believed when the same figures were seen several times in a row.
        """
        verdict: Proven | Conflict | Incomplete = Incomplete("its Executions were not read")
        step, equal, before = self.pace.poll_step, 0, None
        for reading in range(self.pace.execution_reads):
            if reading:
                self.writer.wait(step)
                step = min(step * self.pace.poll_factor, self.pace.poll_max)
            try:
                seen = self.writer.executions(intent.strategy_id, operation.id)
            except ProviderError as error:
                verdict = Incomplete(error.summary)
                continue
            equal, before = (equal + 1 if seen == before else 1), seen
            verdict = judge(intent, operation, seen, taken=taken)
            if isinstance(verdict, Proven):
                return verdict
            if isinstance(verdict, Conflict) and equal >= self.pace.conflict_reads:
                return verdict
            if self._nothing(operation, seen) and equal >= 2 and not taken:
                return nobody(intent)
        return verdict if isinstance(verdict, Incomplete) else Incomplete("they keep changing")

    @staticmethod
    def _nothing(operation: LiveOperation, seen: tuple[Execution, ...]) -> bool:
        return not seen and operation.status_reason == NO_EXECUTIONS


def abandon(intent: Intent, reason: str, parked: tuple[tuple[str, str], ...] = ()) -> Said[None]:
    """Free the intent's slot. Only after proof or quarantine."""
    yield Abandoned(intent.strategy, intent.request_id, intent.slot, reason, parked)


def open_problem(intent: Intent, code: str, why: str, operation_id: str = "") -> Problem:
    """A call whose outcome is open, not failed."""
    what = f"Operation {operation_id}" if operation_id else f"request {intent.request_id}"
    participants = tuple(row.participant_code for row in intent.rows)
    return Problem(
        intent.strategy,
        code,
        f"{intent.verb} of {count(len(participants), 'participant')}, {what}: {why}",
        participants,
        indeterminate=True,
    )
