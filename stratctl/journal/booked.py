"""Entries -> what they book: per participant, what our own calls moved and what may still move.

A settled row counts with the amount that was asked for; a call that was carried out, or may have
been, counts in full until its outcome is booked. That upper bound is what keeps a later plan from
declaring the same unit of money twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter

import msgspec

from stratctl.core.event import (
    Abandoned,
    Forfeited,
    Intent,
    Outcome,
    RowOutcome,
    RowResult,
    Satisfied,
)
from stratctl.core.packed import Ended, asked, ended
from stratctl.core.state import (
    BOOKED_ROWS,
    TRADING_VERBS,
    WAITING_ROWS,
    Booked,
    BookedOperation,
    BoundEntry,
    MoneySent,
    OpenIntent,
    Verb,
    waiting_place,
)
from stratctl.core.tables import Table, Workspace
from stratctl.journal.bindings import Bindings, Bound
from stratctl.journal.record import (
    Adopted,
    Applied,
    Entry,
    Halt,
    Resume,
    Run,
    Unparked,
    Waiting,
    WaitOver,
)

MONEY_IN = (Verb.TOP_UP, Verb.ENROLL)
MONEY_OUT = (Verb.PARTIAL_SELL,)
MOVES_MONEY = (*MONEY_IN, *MONEY_OUT)

SWITCH_VERB = frozenset({"trader_not_enrolled", "trader_already_enrolled"})
"""Refusals that say only that the next plan must use the other verb. They are kept for it and
stop nothing."""

RETRY_ONCE = "balance held"
"""How the text of the one refusal begins that passes by itself: it is retried once, in a new
slot."""

MIXED = "mixed_outcome"

_MOVED = (RowResult.SETTLED, RowResult.SKIPPED)
"""Results after which a flow waits no more; what is left of it is a new one. A flow that was
refused waits on."""

_MAY_HAVE_MOVED = (RowResult.SETTLED, RowResult.MIXED)


def book(entries: Iterable[Entry], workspace: Workspace) -> Booked:
    """Fold a verified journal."""
    return folded(entries).booked(workspace)


def booked_totals(
    entries: Iterable[Entry], names: Sequence[str]
) -> dict[tuple[str, str], tuple[int, ...]]:
    """Some totals of ``book``, in the order of their names, by Strategy's id and participant.

    Without its tables, and without those who have none but zeros.
    """
    fold = folded(entries)
    fold.count_open_calls()
    totals_of = attrgetter(*names)
    nothing = (0,) * len(names)
    return {
        (strategy_id, code): totals
        for strategy_id, rows in fold.rows.items()
        for code, row in rows.items()
        if (totals := totals_of(row)) != nothing
    }


def folded(entries: Iterable[Entry]) -> Fold:
    """What these entries of a verified journal book."""
    fold = Fold()
    for entry in entries:
        fold.take(entry)
    return fold


class Row(msgspec.Struct, gc=False):
    """One participant of one Strategy. Until open calls are counted only mixed outcomes are
    pending."""

    contributed_minor: int = 0
    withdrawn_minor: int = 0
    pending_in_minor: int = 0
    pending_out_minor: int = 0
    forfeited_in_minor: int = 0
    forfeited_out_minor: int = 0
    busy: bool = False
    target_text: str | None = None
    target_epoch: int | None = None
    exited: bool = False
    parked: str | None = None
    rebalanced_at: int | None = None
    held: int = 0
    """How many refusals in a row said that the balance is held by another Operation."""


class Fold:
    """A journal's entries, taken one by one."""

    def __init__(self) -> None:
        self.bindings = Bindings(admitted=True)
        self.rows: dict[str, dict[str, Row]] = {}
        """strategy_id -> participant_code -> what is booked"""
        self.strategy_ids: dict[str, str] = {}
        self.used: set[str] = set()
        self.runs: dict[str, Run] = {}
        self.commit: str | None = None
        self.generation: int | None = None
        self.halt: Halt | None = None
        self.head = ""
        self.waits: dict[tuple[str, str], str] = {}
        """(place, participant_code) -> since"""
        self.seen: set[str] = set()
        self.adopted: list[BookedOperation] = []
        self.written: dict[str, Entry] = {}
        """request_id -> the entry that bound it"""

    def take(self, entry: Entry) -> None:
        event = entry.event
        self.head = entry.digest
        if isinstance(event, Outcome | Abandoned):
            # Before it is admitted: an abandoned intent is bound no more afterwards.
            self._end(event, self.bindings[event.request_id].intent)
        self.bindings.admit(event)
        match event:
            case Run():
                self.runs[entry.run] = event
            case Intent():
                self.written.setdefault(event.request_id, entry)
                self.seen.add(event.strategy_id)
                self.used.update(event.acknowledgements)
                self._applied(self.runs.get(entry.run))
            case Abandoned():
                self.written.pop(event.request_id, None)
            case Applied():
                self._applied(event)
            case Forfeited():
                for code, came, went in event.rows:
                    row = self._row(event.strategy_id, code)
                    row.forfeited_in_minor += came
                    row.forfeited_out_minor += went
                    self._waits_no_more(event.strategy, event.strategy_id, code)
            case Adopted():
                self._adopt(event)
            case Satisfied():
                for code in event.participants:
                    row = self._row(event.strategy_id, code)
                    row.target_text, row.target_epoch = event.target_text, event.target_epoch
            case Waiting():
                self._wait(event)
            case WaitOver():
                for code in event.participants:
                    self.waits.pop((waiting_place(event.strategy, event.strategy_id), code), None)
            case Unparked():
                self._unpark(event)
            case Halt():
                self.halt = event
            case Resume():
                self.halt = None
            case _:
                pass

    def _adopt(self, event: Adopted) -> None:
        """Taken over as it is: what waits was in no Operation."""
        self.strategy_ids[event.strategy] = event.strategy_id
        self.used.update(event.opening.acknowledgements if event.opening else ())
        self.adopted += [
            BookedOperation(
                strategy_id=event.strategy_id,
                slot=each.slot or 0,
                request_id=each.request_id,
                operation_id=each.operation_id,
                verb=each.verb,
                done=True,
            )
            for each in event.operations
        ]
        for moved in event.rows:
            row = self._row(event.strategy_id, moved.participant_code)
            row.contributed_minor += moved.contributed_minor
            row.withdrawn_minor += moved.withdrawn_minor
            row.exited = row.exited if moved.exited is None else moved.exited
            row.rebalanced_at = moved.rebalanced_at or row.rebalanced_at
            row.parked = moved.parked or row.parked
            if moved.mixed:
                row.busy, row.parked = True, MIXED

    def _wait(self, event: Waiting) -> None:
        place = waiting_place(event.strategy, event.strategy_id)
        self.seen.add(event.strategy_id)
        for code in event.participants:
            self.waits[place, code] = min(event.since, self.waits.get((place, code), event.since))

    def _waits_no_more(self, strategy: str, strategy_id: str, code: str) -> None:
        """Nor does what was remembered before the Strategy existed."""
        if not self.waits:
            return
        for place in (strategy_id, waiting_place(strategy, "")):
            self.waits.pop((place, code), None)

    def _row(self, strategy_id: str, code: str) -> Row:
        return self._rows(strategy_id).setdefault(code, Row())

    def _rows(self, strategy_id: str) -> dict[str, Row]:
        return self.rows.setdefault(strategy_id, {})

    def _applied(self, said: Run | Applied | None) -> None:
        """A configuration counts as applied with its first intent: an older one may act no more."""
        if said is not None:
            self.commit = said.commit if said.commit is not None else self.commit
            self.generation = said.generation if said.generation is not None else self.generation

    def _end(self, event: Outcome | Abandoned, intent: Intent) -> None:
        if isinstance(event, Abandoned):
            for code, reason in event.parked:
                self._row(intent.strategy_id, code).parked = reason
            return
        if self.bindings[event.request_id].outcome is not None:
            return  # the same outcome, journaled again
        signed = self.bindings[event.request_id].signed_last
        # What was asked for says nothing about another body's Operation.
        proven = asked(intent.rows) if event.proven and event.verb in MOVES_MONEY else ()
        limits = {row.participant_code: row.amount_minor or 0 for row in proven}
        aimed = event.proven and intent.target_text
        rows = self._rows(event.strategy_id)
        for end in ended(event.rows):
            code, result = end.participant_code, end.result
            row = rows.get(code)
            if row is None:
                row = rows[code] = Row()
            _settle(row, end, event.verb, limits.get(code, 0))
            if result not in _MOVED:
                continue
            if event.verb is not Verb.REBALANCE:
                self._waits_no_more(event.strategy, event.strategy_id, code)
            elif result is RowResult.SETTLED:
                row.rebalanced_at = signed
            if aimed:
                row.target_text, row.target_epoch = intent.target_text, intent.target_epoch

    def _unpark(self, event: Unparked) -> None:
        self.used.add(event.acknowledgement)
        named = frozenset(event.participants)
        for strategy_id, rows in self.rows.items():
            for code, row in rows.items() if event.strategy_id in ("", strategy_id) else ():
                if (not named or code in named) and row.parked != MIXED:
                    row.parked, row.held = None, 0

    def _entries(self) -> tuple[BoundEntry, ...]:
        """Each named entry by its first intent that was not abandoned: what never can be carried
        out binds nothing."""
        first: dict[str, BoundEntry] = {}
        for bound in self.bindings:
            intent, written = bound.intent, self.written[bound.intent.request_id]
            run = self.runs.get(written.run)
            for content in intent.entries:
                known = first.setdefault(
                    content.key,
                    BoundEntry(
                        content=content,
                        strategy=intent.strategy,
                        strategy_id=intent.strategy_id,
                        currency=intent.currency,
                        run=written.run,
                        commit=run.commit if run else None,
                        at=written.at,
                        committed=False,
                    ),
                )
                first[content.key] = replace(known, committed=known.committed or bound.committed)
        return tuple(first[key] for key in sorted(first))

    def count_open_calls(self) -> None:
        """A call that may have been carried out, and has no outcome, counts in full. At the end,
        and once."""
        for bound in self.bindings:
            if bound.intent.verb in TRADING_VERBS and bound.possible and bound.outcome is None:
                self._count_in_full(bound.intent)

    def names(self) -> dict[str, str]:
        """The provider's id of each Strategy that was bound, by each name that it had."""
        found = dict(self.strategy_ids)
        for bound in self.bindings:
            if bound.intent.strategy_id or bound.committed:
                found[bound.intent.strategy] = bound.intent.strategy_id or bound.operation_id
        return found

    def booked(self, workspace: Workspace) -> Booked:
        """All of it, with what is open counted in full."""
        self.count_open_calls()
        operations, open_intents = [], []
        for bound in self.bindings:
            intent = bound.intent
            if intent.verb in TRADING_VERBS and bound.committed:
                assert intent.slot is not None, "a trading call has a slot"
                operations.append(
                    BookedOperation(
                        strategy_id=intent.strategy_id,
                        slot=intent.slot,
                        request_id=intent.request_id,
                        operation_id=bound.operation_id,
                        verb=intent.verb,
                        done=bound.outcome is not None,
                    )
                )
        for left in self.bindings.unfinished():
            if not left.operation_id:
                open_intents.append(
                    OpenIntent(
                        strategy=left.intent.strategy,
                        strategy_id=left.intent.strategy_id,
                        slot=left.intent.slot or 0,
                        request_id=left.intent.request_id,
                        verb=left.intent.verb,
                        body=left.intent.body,
                        signed_last=left.signed_last if left.in_doubt else None,
                    )
                )
        return Booked(
            known=bool(self.head),
            rows=self._table(workspace),
            operations=(*self.adopted, *operations),
            open_intents=tuple(open_intents),
            strategy_ids=tuple(sorted(self.names().items())),
            applied_commit=self.commit,
            applied_generation=self.generation,
            used_acknowledgements=frozenset(self.used),
            halted=_halted(self.halt),
            head=self.head,
            entries=self._entries(),
            waiting=workspace.table(
                "waiting",
                WAITING_ROWS,
                [
                    [place for place, _ in self.waits],
                    [code for _, code in self.waits],
                    list(self.waits.values()),
                ],
            ),
            strategies_seen=frozenset(self.seen - {""}),
            sent=tuple(_sent(bound) for bound in self.bindings if _moves_money(bound)),
        )

    def _count_in_full(self, intent: Intent) -> None:
        for wanted in asked(intent.rows):
            row = self._row(intent.strategy_id, wanted.participant_code)
            row.busy = True
            _add_pending(row, intent.verb, wanted.amount_minor or 0)

    def _table(self, workspace: Workspace) -> Table:
        keys = [(one, code) for one in sorted(self.rows) for code in sorted(self.rows[one])]
        rows = [self.rows[strategy_id][code] for strategy_id, code in keys]
        columns = [[key[0] for key in keys], [key[1] for key in keys]]
        columns += [[getattr(row, name) for row in rows] for name in list(BOOKED_ROWS)[2:]]
        return workspace.table("booked", BOOKED_ROWS, columns)


def _halted(halt: Halt | None) -> str | None:
    if halt is None:
        return None
    return "exits_only" if halt.exits_only else "all"


def _moves_money(bound: Bound) -> bool:
    return bound.possible and bound.intent.verb in MOVES_MONEY


def _sent(bound: Bound) -> MoneySent:
    """Rows that were refused or skipped moved nothing; without an outcome every row counts."""
    if bound.outcome is None:
        amounts = [row.amount_minor for row in asked(bound.intent.rows)]
    else:
        rows = ended(bound.outcome.rows)
        amounts = [row.amount_minor for row in rows if row.result in _MAY_HAVE_MOVED]
    amount_minor = sum(filter(None, amounts))
    incoming = bound.intent.verb in MONEY_IN
    return MoneySent(
        currency=bound.intent.currency,
        in_minor=amount_minor if incoming else 0,
        out_minor=0 if incoming else amount_minor,
        signed_last=bound.signed_last if bound.committed else None,
    )


def _settle(row: Row, outcome: RowOutcome | Ended, verb: Verb, asked_minor: int) -> None:
    """Book one participant's part of an Operation."""
    amount_minor = outcome.amount_minor or 0
    if outcome.result is RowResult.MIXED:
        row.busy, row.parked = True, MIXED
        _add_pending(row, verb, amount_minor)
        return
    if outcome.result is RowResult.REJECTED:
        _park(row, outcome.reason)
        return
    short = verb in MOVES_MONEY and amount_minor < asked_minor
    row.held, row.parked = 0, (outcome.reason or outcome.result.value) if short else None
    if verb is Verb.LIQUIDATE:
        row.exited = True
    if outcome.result is RowResult.SETTLED:
        if verb in MONEY_IN:
            row.contributed_minor += amount_minor
            row.exited = False
        if verb in MONEY_OUT:
            row.withdrawn_minor += amount_minor


def _park(row: Row, reason: str) -> None:
    if reason in SWITCH_VERB:
        row.held, row.parked = 0, reason
        return
    row.held = row.held + 1 if reason.startswith(RETRY_ONCE) else 0
    if row.held != 1:
        row.parked = reason or "rejected"


def _add_pending(row: Row, verb: Verb, amount_minor: int) -> None:
    if verb in MONEY_IN:
        row.pending_in_minor += amount_minor
    if verb in MONEY_OUT:
        row.pending_out_minor += amount_minor
