"""One Strategy's calls, in the plan's order, each exactly once.

::

    resume ─► create, metadata ─► liquidate ─► partial sell ─► top up ─► enroll
           ─► barrier: all ours terminal, plan again, never more than approved
           ─► rebalance
           ─► again, where a partial sell stands behind it: what fits now is sold, the rest waits
           ─► flags

A doubt about one participant parks that participant; a doubt about a call stops the Strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from stratctl.apply.body import create_intent, flag_intent, metadata_intent, trading_intent
from stratctl.apply.calls import Caller, Ending, Said, abandon, open_problem
from stratctl.apply.proof import MONEY_IN
from stratctl.apply.words import Breaker, CallWork, Pace, StrategyResult, StrategyWork, Writer
from stratctl.core.errors import PlanStale, ProviderError
from stratctl.core.event import (
    AnswerClass,
    Event,
    Forfeited,
    Intent,
    IntentRow,
    Outcome,
    Problem,
    Receipt,
    RowOutcome,
    RowResult,
    Unfinished,
)
from stratctl.core.state import Verb

AFTER_BARRIER = (Verb.REBALANCE, Verb.FLAGS)
FLOAT_RAN_OUT = "insufficient_funds"


def apply_strategy(
    work: StrategyWork,
    writer: Writer,
    *,
    breaker: Breaker,
    stopping: Callable[[], bool],
    replan: Callable[[], Sequence[CallWork]],
    pace: Pace | None = None,
) -> Generator[Event, Receipt, StrategyResult]:
    """Carry out one Strategy's part of an approved plan.

    Every event must be durable before its Receipt is sent back. ``replan`` is called at the
    barrier when a trading call was made before it, and before calls that stand behind a rebalance.
    It returns those of all these calls, and of REBALANCE and FLAGS, that are wanted and can be
    carried out as things are then. Raises JournalUnavailable for a receipt that carries another
    body's digest; everything else becomes a Problem of the result.
    """
    run = _StrategyRun(work, Caller(writer, pace or Pace(), stopping), breaker, replan)
    yield from run.steps()
    return run.result()


class _StrategyRun:
    def __init__(
        self,
        work: StrategyWork,
        caller: Caller,
        breaker: Breaker,
        replan: Callable[[], Sequence[CallWork]],
    ) -> None:
        self.work = work
        self.caller = caller
        self.breaker = breaker
        self.replan = replan
        self.strategy_id = work.strategy_id
        self.head_slot = work.head_slot
        self.outcomes: list[Outcome] = []
        self.mixed: set[str] = set()
        """Participants of whom some legs executed and others failed in this run."""
        self.problems: list[Problem] = []
        self.done: list[int] = []
        self.stopped = False
        self.interrupted = False
        self.checked_head = False

    def result(self) -> StrategyResult:
        numbers = [each.call.number for each in self.work.calls]
        return StrategyResult(
            strategy=self.work.strategy,
            strategy_id=self.strategy_id,
            head_slot=self.head_slot,
            outcomes=tuple(self.outcomes),
            done=tuple(self.done),
            left=tuple(number for number in numbers if number not in self.done),
            problems=tuple(self.problems),
            requests=self.caller.requests,
            interrupted=self.interrupted,
        )

    # --- the order --------------------------------------------------------------------------------

    def steps(self) -> Said[None]:
        for left in self.work.unproven:
            why = "an earlier run left it without an end; nothing new is sent before it has one"
            problem = open_problem(left.intent, "E_STRATEGY_OPEN", why, left.operation_id)
            yield from self._stop(problem)
        if self.stopped:
            return
        # Not "yield from": a receipt is sent in, and a tuple cannot take it.
        for satisfied in self.work.satisfied:  # noqa: UP028 — a tuple takes no receipt
            yield satisfied
        yield from self._forfeit(exiting=False, participants=None)
        if self.work.resume is not None:
            yield from self._resume(self.work.resume)
        for each in self.work.calls:
            if each.call.verb not in AFTER_BARRIER and not each.call.after_rebalance:
                yield from self._call(each)
        last = yield from self._barrier()
        for each in last:
            if each.call.verb is Verb.REBALANCE:
                yield from self._call(each)
        for each in (yield from self._behind()):
            yield from self._call(each)
        for each in last:
            if each.call.verb is Verb.FLAGS:
                yield from self._call(each)

    def _call(self, each: CallWork) -> Said[None]:
        if self.stopped or each.call.number in self.done:
            return
        if self.caller.stopping():
            self._interrupt()
            return
        match each.call.verb:
            case Verb.CREATE:
                yield from self._create(each)
            case Verb.METADATA:
                yield from self._metadata(each)
            case Verb.FLAGS:
                yield from self._flags(each)
            case _:
                yield from self._trade(each)

    def _barrier(self) -> Said[Sequence[CallWork]]:
        """Rebalance and flag calls, planned again when something moved before them."""
        approved = [each for each in self.work.calls if each.call.verb in AFTER_BARRIER]
        if self.stopped or not approved or not self.outcomes:
            return approved
        replanned = yield from self._replanned()
        if replanned is None:
            return ()
        wanted = [each for each in replanned if each.call.verb in AFTER_BARRIER]
        # A call that is wanted no more has its result: live already shows what it was to bring.
        still = {each.call.number for each in wanted}
        self.done += [each.call.number for each in approved if each.call.number not in still]
        return wanted

    def _behind(self) -> Said[Sequence[CallWork]]:
        """Partial sells that fit only what a rebalance leaves, as far as they do fit now.

        Live and the journal are asked, whatever this run did before: who was not rebalanced, or
        not to what was expected, keeps what it holds, and its sell waits for the next plan.
        """
        approved = [each for each in self.work.calls if each.call.after_rebalance]
        if self.stopped or not approved:
            return ()
        replanned = yield from self._replanned()
        if replanned is None:
            return ()
        wanted = [each for each in replanned if each.call.after_rebalance]
        ready = {(each.call.number, row.participant_code) for each in wanted for row in each.rows}
        waiting = [
            row
            for each in approved
            for row in each.rows
            if (each.call.number, row.participant_code) not in ready
        ]
        if waiting:
            why = "what is to be sold is not held, because its rebalance has not brought it"
            yield from self._say(self._problem("E_SELL_WAITS", why, waiting))
        return wanted

    def _replanned(self) -> Said[Sequence[CallWork] | None]:
        """What is still wanted of approved calls after the barrier; None stops the Strategy."""
        approved = [
            each
            for each in self.work.calls
            if each.call.verb in AFTER_BARRIER or each.call.after_rebalance
        ]
        try:
            wanted = self.replan()
            extra = _rows(wanted) - _rows(approved)
            if extra:
                raise PlanStale(f"the new plan wants more than was approved: {min(extra)[1]}")
        except PlanStale as error:
            yield from self._stop(self._problem("E_PLAN_STALE", error.summary))
            return None
        except ProviderError as error:
            yield from self._stop(self._problem("E_READ_FAILED", error.summary))
            return None
        return wanted

    # --- trading calls ----------------------------------------------------------------------------

    def _trade(self, each: CallWork) -> Said[None]:
        """Send the rows in one call. A refusal parks the rows that it names; when it names none,
        the rows are halved until single rows can be parked."""
        call = each.call
        if call.verb in MONEY_IN and self.breaker.tripped(call.currency):
            why = f"the {call.currency} float ran out earlier in this run"
            yield from self._say(self._problem("E_FLOAT_SHORT", why, each.rows))
            return
        # Whose sell is in doubt gets no money in by the same run: a person decides first.
        clear = tuple(row for row in each.rows if row.participant_code not in self.mixed)
        groups: list[Sequence[IntentRow]] = [clear]
        if not groups[0]:
            return
        while groups and not self.stopped:
            if self.caller.stopping():
                self._interrupt()
                return
            rows = groups.pop(0)
            intent = trading_intent(
                self.work,
                each,
                rows,
                strategy_id=self._id(),
                head_slot=self.head_slot,
            )
            if not (yield from self._slot_is_free(intent)):
                return
            ending = yield from self._send(intent)
            if ending.refused:
                groups[:0] = yield from self._divide(intent, ending)
        if not self.stopped:
            self.done.append(call.number)

    def _slot_is_free(self, intent: Intent) -> Said[bool]:
        """Before the first new slot: an id that the provider already knows means that the read was
        behind, and that somebody else's call stands where ours would."""
        if self.checked_head:
            return True
        try:
            found = self.caller.writer.look_up(intent)
        except ProviderError as error:
            yield from self._stop(self._problem("E_READ_FAILED", error.summary))
            return False
        if found is not None:
            why = (
                f"slot {intent.slot} is used by {found.resource_id}, which was not read; plan again"
            )
            yield from self._stop(self._problem("E_PLAN_STALE", why))
            return False
        self.checked_head = True
        return True

    def _send(self, intent: Intent, before: Unfinished | None = None) -> Said[Ending]:
        """One slot, from intent to outcome."""
        ending = yield from self.caller.send(intent, before)
        if ending.refused:
            return ending
        if not ending.committed:
            yield from self._open(intent, ending)
            return ending
        assert ending.answer is not None
        assert intent.slot is not None
        self.head_slot = intent.slot
        taken = ending.answer.answer is AnswerClass.SLOT_TAKEN
        concluded = yield from self.caller.conclude(intent, ending.answer.resource_id, taken=taken)
        if concluded.problem is not None:
            self.problems.append(concluded.problem)
            self.stopped = True
        if concluded.outcome is not None:
            yield from self._book(intent, concluded.outcome)
        return ending

    def _book(self, intent: Intent, outcome: Outcome) -> Said[None]:
        self.outcomes.append(_remembered(outcome))
        mixed = [row.participant_code for row in outcome.rows if row.result is RowResult.MIXED]
        self.mixed.update(mixed)
        if mixed:
            why = f"Operation {outcome.operation_id}: some legs executed and others failed"
            yield from self._say(
                Problem(self.work.strategy, "E_EXECUTION_MIXED", why, tuple(mixed))
            )
        if outcome.verb in MONEY_IN and any(row.reason == FLOAT_RAN_OUT for row in outcome.rows):
            self.breaker.open(intent.currency)
        if outcome.verb is Verb.LIQUIDATE and outcome.proven:
            gone = {
                row.participant_code
                for row in outcome.rows
                if row.result in (RowResult.SETTLED, RowResult.SKIPPED)
            }
            yield from self._forfeit(exiting=True, participants=gone)

    def _divide(self, intent: Intent, ending: Ending) -> Said[list[Sequence[IntentRow]]]:
        """What to send in place of a refused body. The slot is free once it is abandoned."""
        assert ending.answer is not None
        reason = "; ".join(ending.answer.errors) or ending.answer.detail or "refused"
        named = [row for row in intent.rows if _names(ending.answer.errors, row)]
        parked = named or (intent.rows if len(intent.rows) == 1 else ())
        refused = tuple((row.participant_code, reason) for row in parked)
        yield from abandon(intent, reason, refused)
        if parked:
            yield from self._say(self._problem("E_ROWS_REFUSED", reason, tuple(parked)))
            rest = tuple(row for row in intent.rows if row not in parked)
            return [rest] if rest else []
        middle = len(intent.rows) // 2
        return [intent.rows[:middle], intent.rows[middle:]]

    def _open(self, intent: Intent, ending: Ending) -> Said[None]:
        """The call got no answer that lets it go on: the Strategy stops."""
        if ending.stopped:
            self._interrupt()
        answer = ending.answer
        if answer is None and ending.in_doubt:
            why = "the provider gave no answer that proves anything"
            yield from self._stop(open_problem(intent, "E_OUTCOME_UNKNOWN", why))
            return
        if answer is None:
            if not ending.stopped:
                why = "nothing was carried out yet; apply again"
                yield from self._stop(self._problem("E_NOT_SENT", why, intent.rows))
            return
        refused = answer.answer is AnswerClass.ACCESS_REFUSED
        code = "E_ACCESS_REFUSED" if refused else "E_NOT_FOUND"
        problem = self._problem(code, answer.detail or f"status {answer.status}", intent.rows)
        if ending.in_doubt:
            problem = open_problem(intent, code, answer.detail)
        yield from self._stop(problem)

    def _resume(self, before: Unfinished) -> Said[None]:
        """Send a call of an earlier run first: same id, same bytes."""
        intent = before.intent
        if self.caller.stopping():
            self._interrupt()
            return
        if intent.verb is Verb.CREATE:
            yield from self._create_with(intent, before)
            self.done += [c.call.number for c in self.work.calls if c.call.verb is Verb.CREATE]
            return
        if intent.slot != self.head_slot + 1:
            why = f"slot {intent.slot} is open and {self.head_slot} is the newest that was read"
            yield from self._stop(self._problem("E_PLAN_STALE", why, intent.rows))
            return
        ending = yield from self._send(intent, before)
        if ending.refused:
            yield from self._divide(intent, ending)

    # --- create, metadata, flags: no slot, checked by reading back --------------------------------

    def _create(self, each: CallWork) -> Said[None]:
        yield from self._create_with(create_intent(self.work, each.call), None)
        if not self.stopped:
            self.done.append(each.call.number)

    def _create_with(self, intent: Intent, before: Unfinished | None) -> Said[None]:
        ending = yield from self.caller.send(intent, before)
        if ending.refused:
            yield from self._refused(intent, ending)
            self.stopped = True
        elif not ending.committed:
            yield from self._open(intent, ending)
        else:
            assert ending.answer is not None
            yield from self._adopt(intent, ending.answer.resource_id)

    def _adopt(self, intent: Intent, strategy_id: str) -> Said[None]:
        """Take a created Strategy as ours when it reads back as it was declared."""
        try:
            live = self.caller.writer.strategy(strategy_id, name=self.work.strategy)
        except ProviderError as error:
            yield from self._stop(self._problem("E_READ_FAILED", error.summary))
            return
        if (live.request_id, live.quoted_currency) != (intent.request_id, intent.currency):
            why = f"Strategy {strategy_id} reads back as {live.quoted_currency} {live.request_id}"
            yield from self._stop(self._problem("E_READ_BACK", why))
            return
        self.strategy_id, self.head_slot = strategy_id, 0

    def _metadata(self, each: CallWork) -> Said[None]:
        try:
            live = self.caller.writer.strategy(self._id(), name=self.work.strategy)
        except ProviderError as error:
            yield from self._stop(self._problem("E_READ_FAILED", error.summary))
            return
        intent = metadata_intent(
            self.work,
            each.call,
            strategy_id=self._id(),
            updated_at=live.updated_at,
            head_slot=self.head_slot,
        )
        yield from self._patch(intent)
        if not self.stopped:
            self.done.append(each.call.number)

    def _flags(self, each: CallWork) -> Said[None]:
        for row, trader in zip(each.rows, each.traders, strict=True):
            if self.stopped:
                return
            if self.caller.stopping():
                self._interrupt()
                return
            intent = flag_intent(
                self.work,
                each.call,
                row,
                trader,
                strategy_id=self._id(),
                head_slot=self.head_slot,
            )
            yield from self._patch(intent)
        if not self.stopped:
            self.done.append(each.call.number)

    def _patch(self, intent: Intent) -> Said[None]:
        ending = yield from self.caller.send(intent)
        if ending.refused:
            yield from self._refused(intent, ending)
            return
        if not ending.committed:
            yield from self._open(intent, ending)
            return
        try:
            shown = self.caller.writer.look_up(intent)
        except ProviderError as error:
            yield from self._say(self._problem("E_READ_FAILED", error.summary, intent.rows))
            return
        if shown is None:
            why = f"{intent.path} was answered and does not show the new value"
            yield from self._say(self._problem("E_READ_BACK", why, intent.rows))

    def _refused(self, intent: Intent, ending: Ending) -> Said[None]:
        assert ending.answer is not None
        reason = "; ".join(ending.answer.errors) or ending.answer.detail or "refused"
        yield from abandon(intent, reason)
        yield from self._say(self._problem("E_CALL_REFUSED", reason, intent.rows))

    # --- small things -----------------------------------------------------------------------------

    def _forfeit(self, *, exiting: bool, participants: set[str] | None) -> Said[None]:
        """Close what was declared and never moved: at once for those who hold nothing to sell,
        after their sale for the others."""
        selling = {
            row.participant_code
            for each in self.work.calls
            if each.call.verb is Verb.LIQUIDATE
            for row in each.rows
        }
        rows = tuple(
            row
            for row in self.work.forfeits
            if (row[0] in selling) is exiting and (participants is None or row[0] in participants)
        )
        if rows and self.strategy_id:
            yield Forfeited(self.work.strategy, self.strategy_id, rows)

    def _id(self) -> str:
        assert self.strategy_id is not None, "a call needs its Strategy's id"
        return self.strategy_id

    def _interrupt(self) -> None:
        self.interrupted = True
        self.stopped = True

    def _problem(self, code: str, why: str, rows: Sequence[IntentRow] = ()) -> Problem:
        return Problem(self.work.strategy, code, why, tuple(row.participant_code for row in rows))

    def _say(self, problem: Problem) -> Said[None]:
        self.problems.append(problem)
        yield problem

    def _stop(self, problem: Problem) -> Said[None]:
        self.stopped = True
        yield from self._say(problem)


def _rows(calls: Sequence[CallWork]) -> set[tuple[str, str, str, str, int, int, bool | None]]:
    """What calls after the barrier do, row by row."""
    return {
        (
            each.call.verb.value,
            row.participant_code,
            each.call.vector.text if each.call.vector else "",
            each.call.target_text,
            each.call.target_epoch,
            row.amount_minor or 0,
            row.auto_rebalance,
        )
        for each in calls
        for row in each.rows
    }


def _remembered(outcome: Outcome) -> Outcome:
    """Without the provider's ids of each row, which the journal has: they are most of what a run of
    a million rows would hold on to."""
    return replace(
        outcome,
        rows=tuple(
            [
                RowOutcome(row.participant_code, row.result, row.reason, "", row.amount_minor)
                for row in outcome.rows
            ]
        ),
    )


def _names(errors: Sequence[str], row: IntentRow) -> bool:
    """Whether an error speaks of the row: its code stands there as a word of its own."""
    return any(
        row.participant_code in "".join(c if c.isalnum() else " " for c in error).split()
        for error in errors
    )
