"""Booking what no intent of this journal bound: a lost journal, or somebody else's Operation.

The provider's Executions say what an Operation moved, to a minor unit a leg. Where the declared
totals agree with that they are what was asked for, and are booked, for good: the next plan would
otherwise send a cent, or sell one, for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from stratctl.apply import Pace
from stratctl.core.errors import GuardRefused, UsageError
from stratctl.core.event import Problem
from stratctl.core.money import format_amount
from stratctl.core.report import Adoption, Difference, Opened, Strangers, StrategyAdopted
from stratctl.core.state import OPERATION_TYPES
from stratctl.core.words import count
from stratctl.journal.record import (
    Adopted,
    AdoptedOperation,
    AdoptedRow,
    Applied,
    Genesis,
    Halt,
    Resume,
    Takeover,
)
from stratctl.live.accounting import FOREIGN, MIXED, PENDING, Counted, merged
from stratctl.live.reader import Reader
from stratctl.pipeline.provenance import refuse_old_configuration

if TYPE_CHECKING:
    from stratctl.core.report import Progress
    from stratctl.core.state import Booked, LiveOperation, LiveStrategy
    from stratctl.journal.store import Journal
    from stratctl.journal.totals import Totals
    from stratctl.live.accounting import Count
    from stratctl.live.strategies import Unbooked
    from stratctl.pipeline.session import Session

WAIT_PIECE_SECONDS = 5
"""The wait between two readings is taken in pieces, so that a request to stop is heard."""

NAMED = 5
"""Participants that a refusal names."""

Sums = Mapping[str, tuple[int, int]]
"""participant_code -> (money in, money out)"""


# --- a lost journal ------------------------------------------------------------------------------


def rebuild(
    session: Session,
    totals: Totals | None,
    *,
    progress: Progress,
    stopping: Callable[[], bool],
) -> Adoption:
    """Book every Operation of our chains that the journal does not know.

    With ``totals`` an empty journal begins with them, and only Operations are read that are not
    among them. Nothing may be in flight, and nothing may come to light while the quarantine passes:
    what is read before it and after it must be the same. Raises PlanStale for an old configuration.
    """
    with session.open_journal() as journal:
        opening = totals.records if totals else ()
        if totals:
            _refuse_begun(journal)
        booked = journal.booked(session.workspace, opening)
        environment, provenance = session.configuration.environment, session.provenance
        refuse_old_configuration(provenance, environment, booked)
        _refuse_open_calls(journal)
        first = _read(session, booked, progress)
        problems = _in_flight(first) or _contradictions(first, booked)
        lost = bool(opening) or any(operation.slot for one in first for operation, _ in one.counts)
        interrupted = False
        if lost and not problems:
            interrupted = not _wait(session, progress, stopping)
            if not interrupted and _read(session, booked, progress) != first:
                why = "two readings three minutes apart differ: something is still happening"
                problems = [Problem("", "E_STALE_READ", why, indeterminate=True)]
        adopted: list[StrategyAdopted] = []
        if lost and not problems and not interrupted:
            records = []
            for one in first:
                own = [each for each in one.counts if each[0].slot is not None]
                if own:
                    record, said = _adoption(session, booked, one.strategy, own)
                    records.append(record)
                    adopted.append(said)
            # What was applied last is not known; from now on nothing older may act.
            commit, generation = provenance.commit, environment.generation
            last = Applied(commit, generation, "", complete=True)
            journal.append_all([*opening, *records, last])
        return Adoption(
            environment=environment.name,
            strategies=tuple(adopted),
            problems=tuple(problems),
            interrupted=interrupted,
            journal_head=journal.head,
            requests=session.reads.requests,
            opened=_opened(totals) if totals else None,
        )


def _opened(totals: Totals) -> Opened:
    return Opened(
        at=totals.head.at,
        entries=totals.head.entries,
        digest=totals.head.digest,
        operations=totals.operations,
        participants=totals.participants,
    )


def _refuse_begun(journal: Journal) -> None:
    """Beside what a journal already books, totals would count twice."""
    entries = journal.entries()
    if not all(isinstance(entry.event, _EMPTY) for entry in entries):
        raise GuardRefused(
            f"the journal is not lost: it has {count(len(entries), 'entry', 'entries')}",
            hint="totals open an empty journal; what this one lacks is booked with: stratctl"
            " recover --from-server",
        )


_EMPTY = (Genesis, Takeover, Halt, Resume)
"""What a journal may say and book nothing."""


def _refuse_open_calls(journal: Journal) -> None:
    left = journal.unfinished()
    if left:
        raise GuardRefused(
            f"the journal has {count(len(left), 'call')} without an end",
            hint="run stratctl recover first",
        )


def _in_flight(reads: Sequence[Unbooked]) -> list[Problem]:
    """Why what the provider shows now is not the last word; the first reason of each Strategy."""
    problems = []
    for one in reads:
        why = one.strategy.problem or next(
            (why for operation, counted in one.counts if (why := _unfinished(operation, counted))),
            "",
        )
        if why:
            code, _, detail = why.partition(": ")
            problems.append(Problem(one.strategy.name, code, detail, indeterminate=True))
    return problems


def _contradictions(reads: Sequence[Unbooked], booked: Booked) -> list[Problem]:
    """Where totals say another slot of an Operation than its id at the provider does."""
    slots = {one.operation_id: one.slot for one in booked.operations}
    return [
        Problem(one.strategy.name, "E_OPERATION_DIVERGED", detail, indeterminate=True)
        for one in reads
        for operation in one.strategy.operations
        if slots.get(operation.id, operation.slot or 0) != (operation.slot or 0)
        for detail in (f"Operation {operation.id} is not slot {slots[operation.id]}",)
    ]


def _unfinished(operation: LiveOperation, counted: Count) -> str:
    if not operation.terminal:
        return f"E_OPERATION_OPEN: Operation {operation.id} is {operation.status}"
    waiting = next((row for row in counted.rows if row.busy in (PENDING, FOREIGN)), None)
    if waiting is not None:
        who = waiting.participant_code
        return f"E_OPERATION_OPEN: Operation {operation.id} has no end yet for {who}"
    return counted.problem


def _wait(session: Session, progress: Progress, stopping: Callable[[], bool]) -> bool:
    """Let the quarantine pass. False: a stop was asked for."""
    whole, waited = Pace().quarantine, 0
    while waited < whole:
        if stopping():
            return False
        piece = min(WAIT_PIECE_SECONDS, whole - waited)
        session.clockwork.sleep(piece)
        waited += piece
        progress("seconds waited before everything is read again", waited, whole)
    return True


# --- somebody else's Operation -------------------------------------------------------------------


def adopt(
    session: Session,
    operation_id: str,
    *,
    approve: Callable[[Strangers], None],
    progress: Progress,
) -> Adoption:
    """Book one Operation that is not of our chain, once the declared totals contain it.

    Where it concerns people whom no cohort declares, ``approve`` is asked for them, and raises
    ApprovalMissing. Raises UsageError for an Operation that is not there or booked already, and
    GuardRefused for one without an end, or one that is not declared.
    """
    with session.open_journal() as journal:
        booked = journal.booked(session.workspace)
        environment = session.configuration.environment
        refuse_old_configuration(session.provenance, environment, booked)
        reads = _read(session, booked, progress)
        strategy, operation, counted = _found(reads, operation_id.lower())
        why = _unfinished(operation, counted)
        if why:
            raise GuardRefused(why, hint="adopt it when it has ended")
        record, said = _adoption(session, booked, strategy, [(operation, counted)])
        _refuse_undeclared(said)
        strangers = _strangers(session, record, said)
        if strangers.rows:
            approve(strangers)
        journal.append(record)
        return Adoption(
            environment=environment.name,
            strategies=(said,),
            problems=(),
            interrupted=False,
            journal_head=journal.head,
            requests=session.reads.requests,
        )


def _found(
    reads: Sequence[Unbooked], operation_id: str
) -> tuple[LiveStrategy, LiveOperation, Count]:
    for one in reads:
        for operation, counted in one.counts:
            if operation.id == operation_id:
                if operation.slot is not None:
                    raise UsageError(
                        f"Operation {operation_id} is slot {operation.slot} of our own chain",
                        hint="a journal that lacks it is rebuilt with: stratctl recover"
                        " --from-server",
                    )
                return one.strategy, operation, counted
        if any(operation.id == operation_id for operation in one.strategy.operations):
            raise UsageError(f"Operation {operation_id} is booked already")
    raise UsageError(
        f"no declared Strategy has an Operation {operation_id}",
        hint="stratctl status shows the Strategies; adopt takes the id of an Operation",
    )


def _refuse_undeclared(said: StrategyAdopted) -> None:
    """Adopted money that nobody declares would stop the next plan: totals do not go backwards."""
    short = [
        each
        for each in said.differences
        if each.declared_in_minor < each.moved_in_minor
        or each.declared_out_minor < each.moved_out_minor
    ]
    if not short:
        return
    named = "; ".join(_should_be(each, said.currency) for each in short[:NAMED])
    more = f"; and {len(short) - NAMED:,} more" if len(short) > NAMED else ""
    raise GuardRefused(
        f"the declared totals of {count(len(short), 'participant')} lack this Operation: "
        f"{named}{more}",
        hint="declare what it moved first, then adopt it",
    )


def _strangers(session: Session, record: Adopted, said: StrategyAdopted) -> Strangers:
    """Of them no declared total says whether it was meant: a person must."""
    desired = session.configuration.desired.rows
    declared = {
        code
        for (code,) in desired.workspace.rows(
            f"SELECT participant_code FROM {desired} WHERE strategy = $1", [record.strategy]
        )
    }
    return Strangers(
        strategy=said.strategy,
        currency=said.currency,
        operation=said.operations[0],
        rows=tuple(
            (row.participant_code, row.contributed_minor, row.withdrawn_minor)
            for row in record.rows
            if row.participant_code not in declared
        ),
    )


def _should_be(each: Difference, currency: str) -> str:
    parts = [
        f"{word} {format_amount(declared, currency)} must be {format_amount(moved, currency)}"
        for word, declared, moved in (
            ("contributed", each.declared_in_minor, each.moved_in_minor),
            ("withdrawn", each.declared_out_minor, each.moved_out_minor),
        )
        if declared < moved
    ]
    return f"{each.participant_code}: {' and '.join(parts)}"


# --- both ----------------------------------------------------------------------------------------


def _read(session: Session, booked: Booked, progress: Progress) -> tuple[Unbooked, ...]:
    return Reader(session.reads, session.clockwork).unbooked(
        realm=session.environment.realm,
        declared=session.configuration.desired.strategies,
        booked=booked,
        progress=lambda subject, rows: progress(subject, rows, None),
    )


def _adoption(
    session: Session,
    booked: Booked,
    strategy: LiveStrategy,
    counts: Sequence[tuple[LiveOperation, Count]],
) -> tuple[Adopted, StrategyAdopted]:
    """The record of these Operations, and what is said about it."""
    declared = _declared(session, strategy.name)
    before = _booked(session, booked, strategy.id)
    rows, differences = [], []
    for row in merged(row for _, counted in counts for row in counted.rows):
        code = row.participant_code
        was_in, was_out = before.get(code, (0, 0))
        moved_in, moved_out = row.contributed_minor, row.withdrawn_minor
        if code in declared:
            said_in, said_out = declared[code]
            near_in = abs(said_in - was_in - moved_in) <= row.tolerance_minor
            near_out = abs(said_out - was_out - moved_out) <= row.tolerance_minor
            moved_in = max(said_in - was_in, 0) if near_in else moved_in
            moved_out = max(said_out - was_out, 0) if near_out else moved_out
            if not (near_in and near_out):
                differences.append(
                    Difference(code, said_in, was_in + moved_in, said_out, was_out + moved_out)
                )
        rows.append(_row(row, moved_in, moved_out))
    return (
        Adopted(
            strategy=strategy.name,
            strategy_id=strategy.id,
            operations=tuple(_operation(operation) for operation, _ in counts),
            rows=tuple(rows),
        ),
        StrategyAdopted(
            strategy=strategy.name,
            currency=strategy.quoted_currency,
            operations=tuple((operation.type, operation.id) for operation, _ in counts),
            participants=len(rows),
            contributed_minor=sum(row.contributed_minor for row in rows),
            withdrawn_minor=sum(row.withdrawn_minor for row in rows),
            differences=tuple(differences),
        ),
    )


def _operation(operation: LiveOperation) -> AdoptedOperation:
    return AdoptedOperation(
        operation_id=operation.id,
        request_id=operation.request_id,
        slot=operation.slot,
        verb=OPERATION_TYPES[operation.type],
    )


def _row(row: Counted, contributed_minor: int, withdrawn_minor: int) -> AdoptedRow:
    return AdoptedRow(
        participant_code=row.participant_code,
        contributed_minor=contributed_minor,
        withdrawn_minor=withdrawn_minor,
        exited=row.exited,
        mixed=row.busy == MIXED,
        rebalanced_at=row.rebalanced_at,
    )


def _declared(session: Session, strategy: str) -> Sums:
    """Where funding is managed: elsewhere nothing is declared, and nothing can differ."""
    desired = session.configuration.desired
    return {
        code: (came, went)
        for code, came, went in desired.rows.workspace.rows(
            f"""
            SELECT participant_code, contributed_minor, withdrawn_minor FROM {desired.rows}
            WHERE strategy = $1 AND manages_funding ORDER BY participant_code
            """,
            [strategy],
        )
    }


def _booked(session: Session, booked: Booked, strategy_id: str) -> Sums:
    return {
        code: (came, went)
        for code, came, went in session.workspace.rows(
            f"""
            SELECT participant_code,
                   contributed_minor + pending_in_minor + forfeited_in_minor,
                   withdrawn_minor + pending_out_minor + forfeited_out_minor
            FROM {booked.rows} WHERE strategy_id = $1 ORDER BY participant_code
            """,
            [strategy_id],
        )
    }
