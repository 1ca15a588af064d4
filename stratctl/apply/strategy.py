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

from stratctl.apply.calls import Caller, Said, open_problem
from stratctl.apply.resources import create, create_with, replace_metadata, set_flags
from stratctl.apply.standing import Standing
from stratctl.apply.trading import Trading
from stratctl.apply.words import Breaker, CallWork, Pace, StrategyResult, StrategyWork, Writer
from stratctl.core.errors import PlanStale, ProviderError
from stratctl.core.event import Event, Receipt, Unfinished
from stratctl.core.state import Verb

AFTER_BARRIER = (Verb.REBALANCE, Verb.FLAGS)


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
        self.standing = Standing(work, caller)
        self.trading = Trading(self.standing, breaker)
        self.replan = replan

    def result(self) -> StrategyResult:
        at = self.standing
        numbers = [each.call.number for each in at.work.calls]
        return StrategyResult(
            strategy=at.work.strategy,
            strategy_id=at.strategy_id,
            head_slot=at.head_slot,
            outcomes=tuple(at.outcomes),
            done=tuple(at.done),
            left=tuple(number for number in numbers if number not in at.done),
            problems=tuple(at.problems),
            requests=at.caller.requests,
            interrupted=at.interrupted,
        )

    # --- the order --------------------------------------------------------------------------------

    def steps(self) -> Said[None]:
        at = self.standing
        for left in at.work.unproven:
            why = "an earlier run left it without an end; nothing new is sent before it has one"
            problem = open_problem(left.intent, "E_STRATEGY_OPEN", why, left.operation_id)
            yield from at.stop(problem)
        if at.stopped:
            return
        # Not "yield from": a receipt is sent in, and a tuple cannot take it.
        for satisfied in at.work.satisfied:  # noqa: UP028 — a tuple takes no receipt
            yield satisfied
        yield from self.trading.forfeit(exiting=False, participants=None)
        if at.work.resume is not None:
            yield from self._resume(at.work.resume)
        for each in at.work.calls:
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
        at = self.standing
        if at.stopped or each.call.number in at.done or at.asked_to_stop():
            return
        match each.call.verb:
            case Verb.CREATE:
                yield from create(at, each)
            case Verb.METADATA:
                yield from replace_metadata(at, each)
            case Verb.FLAGS:
                yield from set_flags(at, each)
            case _:
                yield from self.trading.call(each)

    def _barrier(self) -> Said[Sequence[CallWork]]:
        """Rebalance and flag calls, planned again when something moved before them."""
        at = self.standing
        approved = [each for each in at.work.calls if each.call.verb in AFTER_BARRIER]
        if at.stopped or not approved or not at.outcomes:
            return approved
        replanned = yield from self._replanned()
        if replanned is None:
            return ()
        wanted = [each for each in replanned if each.call.verb in AFTER_BARRIER]
        # A call that is wanted no more has its result: live already shows what it was to bring.
        still = {each.call.number for each in wanted}
        at.done += [each.call.number for each in approved if each.call.number not in still]
        return wanted

    def _behind(self) -> Said[Sequence[CallWork]]:
        """Partial sells that fit only what a rebalance leaves, as far as they do fit now.

        Live and the journal are asked, whatever this run did before: who was not rebalanced, or
        not to what was expected, keeps what it holds, and its sell waits for the next plan.
        """
        at = self.standing
        approved = [each for each in at.work.calls if each.call.after_rebalance]
        if at.stopped or not approved:
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
            yield from at.say(at.problem("E_SELL_WAITS", why, waiting))
        return wanted

    def _replanned(self) -> Said[Sequence[CallWork] | None]:
        """What is still wanted of approved calls after the barrier; None stops the Strategy."""
        at = self.standing
        approved = [
            each
            for each in at.work.calls
            if each.call.verb in AFTER_BARRIER or each.call.after_rebalance
        ]
        try:
            wanted = self.replan()
            extra = _rows(wanted) - _rows(approved)
            if extra:
                raise PlanStale(f"the new plan wants more than was approved: {min(extra)[1]}")
        except PlanStale as error:
            yield from at.stop(at.problem("E_PLAN_STALE", error.summary))
            return None
        except ProviderError as error:
            yield from at.stop(at.problem("E_READ_FAILED", error.summary))
            return None
        return wanted

    def _resume(self, before: Unfinished) -> Said[None]:
        """Bring a call of an earlier run to its end first."""
        at = self.standing
        if at.asked_to_stop():
            return
        if before.intent.verb is Verb.CREATE:
            yield from create_with(at, before.intent, before)
            at.done += [c.call.number for c in at.work.calls if c.call.verb is Verb.CREATE]
        else:
            yield from self.trading.resume(before)


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
