"""An apply as it happens: a line when a call is sent, and one when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from stratctl.core.event import (
    Abandoned,
    Answer,
    AnswerClass,
    Attempt,
    Event,
    Forfeited,
    Intent,
    Outcome,
    Problem,
    RowResult,
    Satisfied,
)
from stratctl.core.state import Verb
from stratctl.view.report import problem_lines
from stratctl.view.summary import DONE
from stratctl.view.text import BLOCKED, INDETERMINATE, SYMBOLS, WORDS, Paint, count, money, safe


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is told of a request later. Not its rows: of a large book they are too many to keep."""

    strategy: str
    verb: Verb
    at: float


@dataclass
class Story:
    """Remembers what was sent when, because answers and ends name a request only by its id.

    Times are seconds of any clock that only goes forward. Flag changes are one request per Trader
    and are told once per Strategy, when the last one of them is done.
    """

    verbose: bool = False
    _sent: dict[str, _Sent] = field(default_factory=dict)
    _flags: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    """Strategy -> flags that are set, when it began, and when the last one was set."""

    def tell(self, event: Event, now: float) -> list[str]:
        """The lines for an event; none for those that only the journal needs."""
        if self.verbose:
            return self._everything(event, now)
        if isinstance(event, Intent) and event.verb is Verb.FLAGS:
            self._sent[event.request_id] = _Sent(event.strategy, event.verb, now)
            return []
        flag = self._flag(event)
        if flag is not None:
            number, began, _ = self._flags.get(flag.strategy, (0, flag.at, now))
            self._flags[flag.strategy] = (number + 1, began, now)
            return []
        before = self._end_of_flags(getattr(event, "strategy", ""))
        return before + self._lines(event, now)

    def end(self) -> list[str]:
        """What is still to be told when nothing more happens."""
        return [line for strategy in sorted(self._flags) for line in self._end_of_flags(strategy)]

    # --- flags ----------------------------------------------------------------------------------

    def _flag(self, event: Event) -> _Sent | None:
        """The flag change that this event completes."""
        if not isinstance(event, Answer) or event.answer is not AnswerClass.COMMITTED:
            return None
        sent = self._sent.get(event.request_id)
        if sent is None or sent.verb is not Verb.FLAGS:
            return None
        return self._sent.pop(event.request_id)

    def _end_of_flags(self, strategy: str) -> list[str]:
        if strategy not in self._flags:
            return []
        number, began, ended = self._flags.pop(strategy)
        done = count(number, *DONE[Verb.FLAGS])
        return [f"{SYMBOLS[Verb.FLAGS]} {safe(strategy)}: {done}{_took(ended - began)}"]

    # --- one event ------------------------------------------------------------------------------

    def _everything(self, event: Event, now: float) -> list[str]:
        match event:
            case Intent():
                slot = f" (slot {event.slot})" if event.slot is not None else ""
                return [f"{line}{slot}" for line in self._lines(event, now)]
            case Attempt():
                number = f", attempt {event.number}" if event.number > 1 else ""
                return [f"  sending {event.request_id}{number}"]
            case Answer() if event.answer is AnswerClass.COMMITTED:
                became = f" as {safe(event.resource_id)}" if event.resource_id else ""
                return [f"  accepted {event.request_id}{became}", *self._lines(event, now)]
        return self._lines(event, now)

    def _lines(self, event: Event, now: float) -> list[str]:
        match event:
            case Intent():
                self._sent[event.request_id] = _Sent(event.strategy, event.verb, now)
                return [_intent(event)]
            case Attempt():
                again = f"  sending {event.request_id} again, attempt {event.number}"
                return [again] if event.number > 1 else []
            case Answer():
                return self._answer(event, now)
            case Outcome():
                return [self._outcome(event, now)]
            case Abandoned():
                people = count(len(event.parked), "participant")
                parked = f", {people} parked" if event.parked else ""
                about = self._about(event.request_id, event.strategy)
                return [f"{BLOCKED} {about}: not sent again: {safe(event.reason)}{parked}"]
            case Forfeited():
                accounts = count(len(event.rows), "account")
                return [f"  {safe(event.strategy)}: {accounts} of flows closed"]
            case Satisfied():
                number = count(len(event.participants), "participant")
                return [f"  {safe(event.strategy)}: {number} already within the minimum leg"]
            case Problem():
                return problem_lines(event, Paint(color=False))

    def _answer(self, answer: Answer, now: float) -> list[str]:
        sent = self._sent.get(answer.request_id)
        if answer.answer is AnswerClass.COMMITTED:
            if sent is None or sent.verb not in (Verb.CREATE, Verb.METADATA):
                return []
            done = "created" if sent.verb is Verb.CREATE else "metadata updated"
            return [f"  {safe(sent.strategy)}: {done}{_took(now - sent.at)}"]
        status = f" ({answer.status})" if answer.status else ""
        said = safe("; ".join((answer.detail, *answer.errors)).strip("; "))
        about = self._about(answer.request_id)
        return [f"{INDETERMINATE} {about}: {answer.answer.value}{status}: {said}"]

    def _about(self, request_id: str, strategy: str = "") -> str:
        """The call that a request id stands for."""
        sent = self._sent.get(request_id)
        if sent:
            return f"{safe(sent.strategy)}: {WORDS[sent.verb]} {request_id}"
        return f"{safe(strategy)}: {request_id}" if strategy else request_id

    def _outcome(self, outcome: Outcome, now: float) -> str:
        numbers = dict.fromkeys(RowResult, 0)
        for row in outcome.rows:
            numbers[row.result] += 1
        said = {result: result.value for result in RowResult}
        said[RowResult.SETTLED] = DONE[outcome.verb][1]
        figures = [f"{number:,} {said[result]}" for result, number in numbers.items() if number]
        sent = self._sent.get(outcome.request_id)
        took = _took(now - sent.at) if sent else ""
        status = "" if outcome.status == "settled" else f" ({safe(outcome.status)})"
        symbol = " " if outcome.proven else INDETERMINATE
        doubt = "" if outcome.proven else ", not what was sent"
        what = ", ".join(figures) or f"nothing to {WORDS[outcome.verb]}"
        return f"{symbol} {safe(outcome.strategy)}: {what}{took}{status}{doubt}"


def _intent(intent: Intent) -> str:
    amounts = [row.amount_minor for row in intent.rows if row.amount_minor is not None]
    amount = f", {money(sum(amounts), intent.currency)}" if amounts else ""
    rows = f" {count(len(intent.rows), 'participant')}" if intent.rows else ""
    symbol, word = SYMBOLS[intent.verb], WORDS[intent.verb]
    return f"{symbol} {safe(intent.strategy)}: {word}{rows}{amount}"


def _took(seconds: float) -> str:
    """How long, where it was long enough to notice."""
    return f" in {seconds:,.1f} s" if seconds >= 0.1 else ""
