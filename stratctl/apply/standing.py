"""How far one Strategy has come in this run: what all of its calls share, and how it stops."""

from __future__ import annotations

from collections.abc import Sequence

from stratctl.apply.calls import Caller, Ending, Said, open_problem
from stratctl.apply.words import StrategyWork
from stratctl.core.event import AnswerClass, Intent, IntentRow, Outcome, Problem


class Standing:
    """Where a Strategy stands. Its calls are made one after the other; each looks here first."""

    def __init__(self, work: StrategyWork, caller: Caller) -> None:
        self.work = work
        self.caller = caller
        self.strategy_id = work.strategy_id
        self.head_slot = work.head_slot
        self.outcomes: list[Outcome] = []
        self.problems: list[Problem] = []
        self.done: list[int] = []
        """Numbers of the calls that have a result, good or bad."""
        self.stopped = False
        self.interrupted = False

    @property
    def id(self) -> str:
        """The provider's id of the Strategy, which exists by now."""
        assert self.strategy_id is not None, "a call needs its Strategy's id"
        return self.strategy_id

    def finish(self, number: int) -> None:
        """A call has its result, unless the Strategy was stopped within it."""
        if not self.stopped:
            self.done.append(number)

    def asked_to_stop(self) -> bool:
        """Whether a stop was asked for, which stops the Strategy here."""
        asked = self.caller.stopping()
        if asked:
            self._interrupt()
        return asked

    def problem(self, code: str, why: str, rows: Sequence[IntentRow] = ()) -> Problem:
        """A Problem of this Strategy, about these rows."""
        return Problem(self.work.strategy, code, why, tuple(row.participant_code for row in rows))

    def say(self, problem: Problem) -> Said[None]:
        """Report it, and go on."""
        self.problems.append(problem)
        yield problem

    def stop(self, problem: Problem) -> Said[None]:
        """Report it; nothing more is sent."""
        self.stopped = True
        yield from self.say(problem)

    def leave_open(self, intent: Intent, ending: Ending) -> Said[None]:
        """The call got no answer that lets it go on: the Strategy stops."""
        if ending.stopped:
            self._interrupt()
        answer = ending.answer
        if answer is None and ending.in_doubt:
            why = "the provider gave no answer that proves anything"
            yield from self.stop(open_problem(intent, "E_OUTCOME_UNKNOWN", why))
            return
        if answer is None:
            if not ending.stopped:
                why = "nothing was carried out yet; apply again"
                yield from self.stop(self.problem("E_NOT_SENT", why, intent.rows))
            return
        refused = answer.answer is AnswerClass.ACCESS_REFUSED
        code = "E_ACCESS_REFUSED" if refused else "E_NOT_FOUND"
        problem = self.problem(code, answer.detail or f"status {answer.status}", intent.rows)
        if ending.in_doubt:
            problem = open_problem(intent, code, answer.detail)
        yield from self.stop(problem)

    def _interrupt(self) -> None:
        self.interrupted = True
        self.stopped = True
