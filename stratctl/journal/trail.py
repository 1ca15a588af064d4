"""What somebody asks of a journal: the entries of a participant, a Strategy, a run or a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from stratctl.core.event import (
    Abandoned,
    Answer,
    Attempt,
    Event,
    Forfeited,
    Intent,
    Outcome,
    Problem,
    Satisfied,
)
from stratctl.core.report import TrailRow
from stratctl.core.state import Verb
from stratctl.journal.record import (
    NAMES,
    Adopted,
    Applied,
    Entry,
    Halt,
    Opening,
    Resume,
    Run,
    Takeover,
    Unparked,
    Waiting,
    WaitOver,
    Word,
)

_LISTS = (Problem, Satisfied, Unparked, Waiting, WaitOver)
"""What names participants and no amounts."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for. Empty text asks for all; several must all fit."""

    participant: str = ""
    strategy: str = ""
    """As it was called when the entry was written."""
    run: str = ""
    """How the run's id begins."""
    request_id: str = ""
    """How the id begins."""
    since: str = ""
    """RFC 3339 in UTC, as entries say it, or how such a time begins."""
    until: str = ""
    """The same; what begins with it is still wanted."""

    def takes(self, entry: Entry, call: Intent | None) -> bool:
        """Whether this entry, which may be about a call, is asked for."""
        event = entry.event
        strategy = call.strategy if call else getattr(event, "strategy", "")
        return (
            entry.run.startswith(self.run)
            and (not self.strategy or strategy == self.strategy)
            and (not self.participant or self.participant in participants_of(event, call))
            and (
                not self.request_id
                or any(each.startswith(self.request_id) for each in _request_ids(event))
            )
            and entry.at[: len(self.since)] >= self.since
            and entry.at[: len(self.until)] <= self.until
        )


def trail(
    entries: Iterable[Entry], wanted: Wanted
) -> Iterator[tuple[Entry, Intent | None, dict[str, str]]]:
    """The entries that are asked for, each with the call that it is about, and with the currencies
    known by then, by Strategy's id."""
    calls: dict[str, Intent] = {}
    currencies: dict[str, str] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, Intent):
            # An id that was given up may be bound again, to another body.
            calls[event.request_id] = event
            if event.strategy_id:
                currencies[event.strategy_id] = event.currency
        call = None
        if isinstance(event, Intent | Attempt | Answer | Outcome | Abandoned):
            call = calls[event.request_id]
        if wanted.takes(entry, call):
            yield entry, call, currencies


def participants_of(event: Event | Word, call: Intent | None) -> set[str]:
    """Whom an entry concerns: those whom it names, and those of its call."""
    found = {row.participant_code for row in call.rows} if call else set()
    if isinstance(event, Outcome | Adopted):
        # Of an Operation that was not ours the Executions tell whom it concerned.
        found |= {row.participant_code for row in event.rows}
    elif isinstance(event, Forfeited):
        found |= {code for code, _, _ in event.rows}
    elif isinstance(event, _LISTS):
        found |= set(event.participants)
    return found


def _request_ids(event: Event | Word) -> list[str]:
    if isinstance(event, Adopted):
        return [each.request_id for each in event.operations]
    return [getattr(event, "request_id", "")]


# --- as rows of a table ------------------------------------------------------------------------


def rows_of(
    entry: Entry, call: Intent | None, currencies: dict[str, str], participant: str = ""
) -> Iterator[TrailRow]:
    """One row for each participant of an entry, or for one of them; one row where it has none."""
    event = entry.event
    whole = TrailRow(
        seq=entry.seq,
        at=entry.at,
        run=entry.run,
        type=NAMES[type(event)],
        strategy=call.strategy if call else getattr(event, "strategy", ""),
        verb=_verb(event, call),
        slot=getattr(event, "slot", None) if call is None else call.slot,
        request_id=getattr(event, "request_id", ""),
        operation_id=_operation_id(event),
        currency=call.currency if call else currencies.get(getattr(event, "strategy_id", ""), ""),
        reason=_reason(event),
        result=event.answer.value if isinstance(event, Answer) else "",
    )
    rows = [row for row in _each(event, whole) if participant in ("", row.participant_code)]
    yield from rows or [whole]


def _each(event: Event | Word, whole: TrailRow) -> Iterator[TrailRow]:
    if isinstance(event, Intent):
        for asked in event.rows:
            yield _moving(whole, asked.participant_code, event.verb, asked.amount_minor)
    elif isinstance(event, Outcome):
        for row in event.rows:
            moved = _moving(whole, row.participant_code, event.verb, row.amount_minor)
            yield replace(moved, result=row.result.value, reason=row.reason)
    elif isinstance(event, Adopted):
        for one in event.rows:
            yield replace(
                whole,
                participant_code=one.participant_code,
                in_minor=one.contributed_minor,
                out_minor=one.withdrawn_minor,
                result="mixed" if one.mixed else "settled",
            )
    elif isinstance(event, Forfeited):
        for code, came, went in event.rows:
            yield replace(whole, participant_code=code, in_minor=came, out_minor=went)
    elif isinstance(event, Abandoned):
        for code, why in event.parked:
            yield replace(whole, participant_code=code, result="refused", reason=why)
    elif isinstance(event, _LISTS):
        for code in event.participants:
            yield replace(whole, participant_code=code)


def _moving(whole: TrailRow, code: str, verb: Verb, amount_minor: int | None) -> TrailRow:
    went = verb is Verb.PARTIAL_SELL
    return replace(
        whole,
        participant_code=code,
        in_minor=None if went else amount_minor,
        out_minor=amount_minor if went else None,
    )


def _verb(event: Event | Word, call: Intent | None) -> str:
    # Under an id of ours the provider may have carried out something else.
    if isinstance(event, Outcome):
        return event.verb.value
    return call.verb.value if call else ""


def _operation_id(event: Event | Word) -> str:
    if isinstance(event, Answer):
        return event.resource_id
    return event.operation_id if isinstance(event, Outcome) else ""


def _reason(event: Event | Word) -> str:
    """What an entry says in words, or by a digest."""
    match event:
        case Answer():
            return "; ".join(filter(None, (event.detail, *event.errors)))
        case Problem():
            return f"{event.code}: {event.detail}"
        case Outcome():
            return event.status_reason
        case Abandoned() | Halt() | Resume():
            return event.reason
        case Takeover():
            return event.holder
        case Run() | Applied():
            return f"plan {event.plan_digest}" if event.plan_digest else ""
        case Unparked():
            return event.acknowledgement
        case Adopted(opening=Opening() as opening):
            return f"signed totals of {opening.entries:,} entries, {opening.at}"
        case _:
            return ""
