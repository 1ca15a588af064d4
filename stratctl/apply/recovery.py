"""What became of calls that an earlier run left without an end. Only looks up; sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from stratctl.apply.calls import Caller, Said, abandon
from stratctl.apply.words import Pace, Recovered, Writer
from stratctl.core.errors import ProviderError
from stratctl.core.event import (
    Answer,
    AnswerClass,
    Event,
    Intent,
    Outcome,
    Problem,
    Receipt,
    Unfinished,
)
from stratctl.core.state import Verb


def recover(
    unfinished: Sequence[Unfinished],
    writer: Writer,
    *,
    wanted: Callable[[Unfinished], bool] = lambda _: True,
    wait: bool = False,
    stopping: Callable[[], bool] = lambda: False,
    pace: Pace | None = None,
) -> Generator[Event, Receipt, Recovered]:
    """Bring each call to its outcome, or let go of it where that is safe, or leave it open.

    A call that the provider knows is followed to its outcome. One that it does not know is
    abandoned when no attempt can have been carried out; else it stays open while it is ``wanted``,
    and is abandoned when it is not and the quarantine is over. ``wait`` waits for that.
    """
    recovery = _Recovery(Caller(writer, pace or Pace(), stopping), wanted, wait=wait)
    for each in unfinished:
        if stopping():
            recovery.open.append(each)
        else:
            yield from recovery.bring_home(each)
    return Recovered(tuple(recovery.outcomes), tuple(recovery.open), tuple(recovery.problems))


class _Recovery:
    def __init__(self, caller: Caller, wanted: Callable[[Unfinished], bool], *, wait: bool) -> None:
        self.caller = caller
        self.wanted = wanted
        self.wait = wait
        self.outcomes: list[Outcome] = []
        self.open: list[Unfinished] = []
        self.problems: list[Problem] = []

    def bring_home(self, each: Unfinished) -> Said[None]:
        if each.operation_id:
            yield from self._conclude(each.intent, each.operation_id, taken=each.taken)
            return
        try:
            found = yield from self._look_up(each)
        except ProviderError as error:
            problem = Problem(
                each.intent.strategy,
                "E_READ_FAILED",
                f"request {each.intent.request_id} cannot be looked up: {error.summary}",
                indeterminate=each.in_doubt,
            )
            self.problems.append(problem)
            self.open.append(each)
            yield problem
            return
        if found is not None and each.intent.verb is not Verb.CREATE:
            taken = found.answer is AnswerClass.SLOT_TAKEN
            yield from self._conclude(each.intent, found.resource_id, taken=taken)

    def _look_up(self, each: Unfinished) -> Said[Answer | None]:
        """Look the id up; unknown to the provider, abandon it or leave it open."""
        intent = each.intent
        found = yield from self.caller.look_up(intent)
        if found is not None:
            return found
        if not each.in_doubt:
            yield from abandon(intent, "no attempt was carried out")
            return None
        assert each.signed_last is not None, "a doubt comes from an attempt"
        over = each.signed_last + self.caller.pace.quarantine
        if self.wanted(each) or not self._is_over(over):
            self.open.append(each)
            return None
        found = yield from self.caller.look_up(intent)
        if found is None:
            yield from abandon(intent, "unknown to the provider after the quarantine")
        return found

    def _is_over(self, moment: int) -> bool:
        if self.wait:
            return self.caller.pause_until(moment)
        return self.caller.writer.now() >= moment

    def _conclude(self, intent: Intent, operation_id: str, *, taken: bool) -> Said[None]:
        concluded = yield from self.caller.conclude(intent, operation_id, taken=taken)
        if concluded.problem is not None:
            self.problems.append(concluded.problem)
        if concluded.outcome is not None:
            self.outcomes.append(concluded.outcome)
