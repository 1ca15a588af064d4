"""What may be said next: which body each request id carries, and how far its call has come.

The same rules hold when an entry is appended and when a journal is read: an id never carries two
bodies, nothing is sent that was not written down, and nothing ends twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
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
    Unfinished,
)
from stratctl.core.packed import asked
from stratctl.core.slots import call_id, create_id
from stratctl.core.state import TRADING_VERBS, Verb
from stratctl.journal.record import Adopted, Genesis, Takeover, Word

REFUSALS = frozenset(
    {
        AnswerClass.REFUSED,
        AnswerClass.ACCESS_REFUSED,
        AnswerClass.NOT_FOUND,
        AnswerClass.NOT_SENT,
    }
)
"""Answers that prove that their own attempt was not carried out."""

COMMITS = frozenset({AnswerClass.COMMITTED, AnswerClass.SLOT_TAKEN})
"""Answers that prove that the id is used: by this body, or by another one."""


_PATCHES = (Verb.METADATA, Verb.FLAGS)
"""A PATCH may be written down again under the same id: it is idempotent and read back."""


class Contradiction(ValueError):
    """An entry that cannot follow the entries before it."""


@dataclass
class Bound:
    """One request id, bound to one body."""

    intent: Intent
    attempts: dict[int, int] = field(default_factory=dict)
    """number -> signed_at"""
    answers: dict[int, AnswerClass] = field(default_factory=dict)
    operation_id: str = ""
    committed: bool = False
    taken: bool = False
    """Committed, but with another body."""
    left_open_at: int | None = None
    """A run that could have sent it lost its last entries; it signed nothing after this."""
    outcome: Outcome | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    """participant_code -> how much was asked for, until the call has its end."""

    @property
    def in_doubt(self) -> bool:
        """Some attempt may have been carried out."""
        return self.left_open_at is not None or any(
            self.answers.get(number) not in REFUSALS for number in self.attempts
        )

    @property
    def possible(self) -> bool:
        """The call was carried out, or may have been: its rows count in full."""
        return self.committed or self.in_doubt

    @property
    def signed_last(self) -> int | None:
        signed = [*self.attempts.values(), self.left_open_at]
        return max((at for at in signed if at is not None), default=None)


class Bindings:
    """Every request id that the journal speaks of."""

    def __init__(self, *, admitted: bool = False) -> None:
        """``admitted``: all that comes was admitted before, in this order, so that what calls say
        is not checked again."""
        self._admitted = admitted
        self.realm: str | None = None
        self._bound: dict[str, Bound] = {}
        self._waiting: dict[str, set[int]] = {}
        """strategy_id -> slots that are bound and not known to be committed"""
        self._adopted: set[str] = set()
        """ids of Operations, and their request ids, that were booked without an intent of ours"""
        self._carriers: dict[str, set[str]] = {}
        """key of a named entry -> request ids of the intents that carry it"""

    def __iter__(self) -> Iterator[Bound]:
        """Every bound id in the order of the intents; abandoned ones are bound no more."""
        return iter(self._bound.values())

    def __getitem__(self, request_id: str) -> Bound:
        return self._bound[request_id]

    def unfinished(self) -> tuple[Unfinished, ...]:
        """Trading and CREATE calls without an end, in order."""
        return tuple(
            Unfinished(
                intent=bound.intent,
                attempts=max(bound.attempts, default=0),
                signed_last=bound.signed_last,
                in_doubt=bound.in_doubt,
                operation_id=bound.operation_id,
                taken=bound.taken,
            )
            for bound in self
            if _has_no_end(bound)
        )

    def admit(self, event: Event | Word) -> None:
        """Take the event in. Raises Contradiction, and then nothing has changed."""
        if (self.realm is None) is not isinstance(event, Genesis):
            raise Contradiction("a journal begins with its genesis, and has one")
        match event:
            case Genesis():
                self.realm = event.realm
            case Intent():
                self._bind(event)
            case Attempt():
                self._attempt(event)
            case Answer():
                self._answer(event)
            case Outcome():
                self._end(event)
            case Abandoned():
                self._abandon(event)
            case Takeover():
                for bound in self:
                    if _has_no_end(bound) and not bound.committed:
                        bound.left_open_at = event.at
            case Adopted():
                self._adopt(event)
            case Forfeited():
                if any(came < 0 or went < 0 for _, came, went in event.rows):
                    raise Contradiction("a forfeited amount is negative")
            case _:
                pass

    def _bind(self, intent: Intent) -> None:
        bound = self._bound.get(intent.request_id)
        limits: Mapping[str, int] = {}
        if not self._admitted:
            limits = _limits(intent)
            self._check_id(intent, bound)
        if bound is None or intent.verb in _PATCHES:
            kept = limits if intent.verb in TRADING_VERBS else {}
            self._bound[intent.request_id] = Bound(intent, limits=kept)
            for entry in intent.entries:
                self._carriers.setdefault(entry.key, set()).add(intent.request_id)
        if intent.slot and bound is None:
            self._waiting.setdefault(intent.strategy_id, set()).add(intent.slot)

    def _check_id(self, intent: Intent, bound: Bound | None) -> None:
        """The id is its slot's, and free for this body."""
        if intent.request_id != self._expected_id(intent):
            raise Contradiction("the intent's request id is not its slot's")
        if intent.request_id in self._adopted:
            raise Contradiction(f"{intent.request_id} is used up")
        if bound is not None and bound.intent.body_sha256 != intent.body_sha256:
            raise Contradiction(f"{intent.request_id} is bound to another body")
        if bound is not None and bound.committed and intent.verb not in _PATCHES:
            raise Contradiction(f"{intent.request_id} is used up")
        self._agree_about_entries(intent)

    def _adopt(self, adopted: Adopted) -> None:
        """Nothing is booked twice, and a slot's Operation carries its slot's id."""
        codes = [row.participant_code for row in adopted.rows]
        if len(set(codes)) != len(codes):
            raise Contradiction("what is adopted names a participant twice")
        if any(min(row.contributed_minor, row.withdrawn_minor) < 0 for row in adopted.rows):
            raise Contradiction("an adopted amount is negative")
        assert self.realm is not None
        known = self._adopted.union(self._bound, (one.operation_id for one in self))
        for each in adopted.operations:
            if each.slot is not None:
                expected = call_id(self.realm, adopted.strategy_id, each.slot)
                if each.request_id != expected:
                    raise Contradiction("an adopted request id is not its slot's")
            ids = {each.operation_id, each.request_id} - {""}
            if not each.operation_id or known & ids:
                raise Contradiction(f"operation {each.operation_id} is booked already")
            known |= ids
        self._adopted.update(
            one for each in adopted.operations for one in (each.operation_id, each.request_id)
        )
        self._adopted.discard("")

    def _agree_about_entries(self, intent: Intent) -> None:
        """A named entry has one Strategy and one content for good."""
        for entry in intent.entries:
            for request_id in self._carriers.get(entry.key, ()):
                other = self._bound[request_id].intent
                if other.strategy_id != intent.strategy_id or entry not in other.entries:
                    raise Contradiction(f"the entry {entry.key} is bound to another content")

    def _expected_id(self, intent: Intent) -> str:
        assert self.realm is not None
        if intent.verb in TRADING_VERBS:
            if not intent.slot:
                raise Contradiction("a trading call has a slot")
            return call_id(self.realm, intent.strategy_id, intent.slot)
        if intent.slot is not None:
            raise Contradiction(f"a {intent.verb} has no slot")
        if intent.verb is Verb.CREATE:
            return create_id(self.realm, intent.strategy)
        # A PATCH's id also depends on when its resource was last updated, which is not journaled.
        return intent.request_id

    def _attempt(self, attempt: Attempt) -> None:
        bound = self._of(attempt.request_id)
        if attempt.number != max(bound.attempts, default=0) + 1:
            raise Contradiction("attempts are numbered 1, 2, 3 …")
        if bound.outcome is not None:
            raise Contradiction("a call that has ended is not sent again")
        slot = bound.intent.slot
        if slot and min(self._waiting.get(bound.intent.strategy_id, {slot}), default=slot) < slot:
            raise Contradiction("the slot before it has no answer yet")
        bound.attempts[attempt.number] = attempt.signed_at

    def _answer(self, answer: Answer) -> None:
        bound = self._of(answer.request_id)
        if answer.number and answer.number not in bound.attempts:
            raise Contradiction("an answer needs its attempt")
        if answer.answer in COMMITS:
            if bound.operation_id and answer.resource_id != bound.operation_id:
                raise Contradiction("one request id became two resources")
            bound.operation_id = answer.resource_id
            bound.committed = True
            bound.taken = bound.taken or answer.answer is AnswerClass.SLOT_TAKEN
            self._free(bound.intent)
        if answer.number:
            bound.answers[answer.number] = answer.answer

    def _end(self, outcome: Outcome) -> None:
        bound = self._of(outcome.request_id)
        if bound.outcome is not None:
            if bound.outcome != outcome:
                raise Contradiction("a call has two different outcomes")
            return
        if outcome.operation_id != bound.operation_id or not bound.committed:
            raise Contradiction("an outcome needs the commit of its own Operation")
        intent = bound.intent
        if (outcome.slot, outcome.strategy_id) != (intent.slot, intent.strategy_id):
            raise Contradiction("an outcome is of its intent's slot")
        if outcome.proven:
            if outcome.verb is not intent.verb or bound.taken:
                raise Contradiction("another body's outcome proves nothing")
            if not self._admitted:
                _check_rows(bound.limits, outcome)
        bound.outcome = outcome
        bound.limits = {}

    def _abandon(self, abandoned: Abandoned) -> None:
        bound = self._of(abandoned.request_id)
        if bound.committed:
            raise Contradiction("a committed call cannot be abandoned")
        del self._bound[abandoned.request_id]
        for entry in bound.intent.entries:
            self._carriers[entry.key].discard(abandoned.request_id)
        self._free(bound.intent)

    def _free(self, intent: Intent) -> None:
        if intent.slot:
            self._waiting[intent.strategy_id].discard(intent.slot)

    def _of(self, request_id: str) -> Bound:
        bound = self._bound.get(request_id)
        if bound is None:
            raise Contradiction(f"{request_id} has no intent")
        return bound


def _limits(intent: Intent) -> Mapping[str, int]:
    """An intent carries its own body, and asks for something of each participant once: for how
    much, at most."""
    if hashlib.sha256(intent.body.encode()).hexdigest() != intent.body_sha256:
        raise Contradiction("the intent's digest is not its body's")
    rows = asked(intent.rows)
    limits = {row.participant_code: row.amount_minor or 0 for row in rows}
    if len(limits) != len(rows):
        raise Contradiction("the intent names a participant twice")
    if min([row.amount_minor for row in rows if row.amount_minor is not None], default=1) <= 0:
        raise Contradiction("the intent carries an amount that is not positive")
    return limits


def _check_rows(limits: Mapping[str, int], outcome: Outcome) -> None:
    """A proven outcome speaks of each participant once and books no more than was asked for."""
    rows = asked(outcome.rows)
    if len(rows) != len(limits) or {row.participant_code for row in rows} != limits.keys():
        raise Contradiction("a proven outcome names its intent's participants, each once")
    for row in rows:
        if not 0 <= (row.amount_minor or 0) <= limits[row.participant_code]:
            raise Contradiction("a proven outcome books at most what was asked for")


def _has_no_end(bound: Bound) -> bool:
    if bound.intent.verb is Verb.CREATE:
        return not bound.committed
    return bound.intent.verb in TRADING_VERBS and bound.outcome is None
