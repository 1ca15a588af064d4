"""The journal beside somebody else's record of the same: a platform's ledger, or the provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stratctl.apply.proof import Incomplete, judge, nobody
from stratctl.core.diagnostic import Span
from stratctl.core.errors import InputError, NotFound
from stratctl.core.event import Intent, Outcome
from stratctl.core.ledgers import LedgerDifference, LiveDifference, Reconciliation
from stratctl.core.money import PRICE_DIGITS, format_amount, minor_digits
from stratctl.core.words import count
from stratctl.documents import problem
from stratctl.journal.record import Adopted
from stratctl.live.accounting import count_operation, merged
from stratctl.live.reader import Reader
from stratctl.live.writer import Writer
from stratctl.load.files import Folder
from stratctl.load.tables import LEDGER, read_table

if TYPE_CHECKING:
    from stratctl.core.event import RowOutcome
    from stratctl.core.report import Progress
    from stratctl.core.tables import Table
    from stratctl.journal.record import Entry
    from stratctl.journal.store import Reading
    from stratctl.live.accounting import Counted
    from stratctl.live.strategies import Unbooked
    from stratctl.pipeline.session import Session

AT_ONCE = 4
"""Operations that are read side by side; the provider's rate limit is shared by all of them."""

NAMES = dict.fromkeys(("strategy", "strategy_id", "currency"), "VARCHAR") | {"unit_e8": "BIGINT"}


# --- a platform's ledger -------------------------------------------------------------------------


def with_ledger(session: Session, path: Path) -> Reconciliation:
    """Who is missing from the ledger, extra in it, or different. Raises InputError."""
    ledger, file = _read_ledger(session, path)
    reading = session.read_journal()
    names = _names(session, reading)
    _refuse_twice(session, ledger, names, file)
    booked = reading.booked(session.workspace).rows
    unit = 10**PRICE_DIGITS
    joined = f"""
        WITH named AS (
            SELECT coalesce(n.strategy_id, l.strategy) AS place, l.participant_code,
                   CAST(CAST(contributed AS DECIMAL(23,8)) * {unit} AS HUGEINT) AS in_e8,
                   CAST(CAST(coalesce(withdrawn, 0) AS DECIMAL(23,8)) * {unit} AS HUGEINT) AS out_e8
            FROM {ledger} l LEFT JOIN {names} n USING (strategy)
        ), shown AS (
            SELECT strategy_id, arg_max(strategy, rowid) AS strategy,
                   any_value(currency) AS currency, any_value(unit_e8) AS unit_e8
            FROM {names} GROUP BY strategy_id
        ), counted AS (
            SELECT b.strategy_id AS place, participant_code,
                   CAST(contributed_minor AS HUGEINT) * unit_e8 AS in_e8,
                   CAST(withdrawn_minor AS HUGEINT) * unit_e8 AS out_e8,
                   pending_in_minor, pending_out_minor
            FROM {booked} b JOIN shown USING (strategy_id)
        ), beside AS (
            SELECT place, participant_code, j.place IS NOT NULL AS in_journal,
                   l.place IS NOT NULL AS in_ledger,
                   coalesce(j.in_e8, 0) AS journal_in, coalesce(l.in_e8, 0) AS ledger_in,
                   coalesce(j.out_e8, 0) AS journal_out, coalesce(l.out_e8, 0) AS ledger_out,
                   coalesce(pending_in_minor, 0) AS pending_in,
                   coalesce(pending_out_minor, 0) AS pending_out
            FROM counted j FULL JOIN named l USING (place, participant_code)
        )
    """
    (compared,) = session.workspace.one(f"{joined} SELECT count(*) FROM beside")
    rows = session.workspace.rows(
        f"""{joined}
        SELECT CASE WHEN NOT in_ledger THEN 'missing' WHEN NOT in_journal THEN 'extra'
                    ELSE 'different' END,
               participant_code, coalesce(s.strategy, place) AS strategy, coalesce(s.currency, ''),
               journal_in, ledger_in, journal_out, ledger_out, pending_in, pending_out
        FROM beside LEFT JOIN shown s ON s.strategy_id = place
        WHERE journal_in <> ledger_in OR journal_out <> ledger_out
        ORDER BY strategy, participant_code
        """
    )
    return Reconciliation(
        environment=session.environment.name,
        against=str(path),
        head=reading.head,
        compared=compared,
        ledger=tuple(LedgerDifference(*row) for row in rows),
    )


def _read_ledger(session: Session, path: Path) -> tuple[Table, str]:
    """Its rows, and how it is called in findings."""
    file = path.resolve()
    inside = file.is_relative_to(session.root)
    folder = session.root if inside else file.parent
    name = file.relative_to(folder).as_posix()
    entries, found = read_table(Folder(folder), name, LEDGER, session.workspace, Span(name))
    if entries is None:
        raise InputError(found)
    return entries.rows, name


def _refuse_twice(session: Session, ledger: Table, names: Table, file: str) -> None:
    """A Strategy may be written by any name that it had; a participant of it stands there once."""
    twice = session.workspace.rows(
        f"""
        SELECT max(line), participant_code, max(strategy), min(line)
        FROM {ledger} LEFT JOIN {names} USING (strategy)
        GROUP BY coalesce(strategy_id, strategy), participant_code HAVING count(*) > 1
        ORDER BY 1 LIMIT 100
        """
    )
    if twice:
        raise InputError(
            [
                problem(
                    "E_DUP_PARTICIPANT",
                    f"{code} of {strategy} stands in row {first} already",
                    Span(file, line, 1),
                    "add the rows up: one for each participant of a Strategy",
                )
                for line, code, strategy, first in twice
            ]
        )


def _names(session: Session, reading: Reading) -> Table:
    """Every name that a Strategy of the journal had, the newest last, with its currency."""
    named: dict[tuple[str, str], str] = {}
    currencies: dict[str, str] = {}
    for entry in reading.entries():
        event = entry.event
        if isinstance(event, Intent | Adopted) and event.strategy_id:
            named.pop((event.strategy, event.strategy_id), None)
            named[event.strategy, event.strategy_id] = ""
            if isinstance(event, Intent):
                currencies[event.strategy_id] = event.currency
    ids = [strategy_id for _, strategy_id in named]
    money = [currencies.get(strategy_id, "") for strategy_id in ids]
    units = [10 ** (PRICE_DIGITS - minor_digits(currency)) for currency in money]
    columns = [[name for name, _ in named], ids, money, units]
    return session.workspace.table("names", NAMES, columns)


# --- the provider --------------------------------------------------------------------------------


def with_live(session: Session, progress: Progress) -> Reconciliation:
    """Every Operation of the journal as the provider shows it now, and what the journal lacks."""
    reading = session.read_journal()
    lookout = Writer(None, session.reads, session.clockwork)
    ended = list(_ended(reading.entries()))
    with session.clockwork.workers(AT_ONCE) as pool:
        checks = [pool.submit(_differences, lookout, intent, end) for intent, end in ended]
        found: list[LiveDifference] = []
        for done, check in enumerate(checks, start=1):
            found += check.result()
            progress("Operations of the journal", done, len(checks))
    adopted = [entry.event for entry in reading.entries() if isinstance(entry.event, Adopted)]
    for each in adopted:
        found += _adopted_differences(lookout, each)
    unbooked = Reader(session.reads, session.clockwork).unbooked(
        realm=session.environment.realm,
        declared=session.configuration.desired.strategies,
        booked=reading.booked(session.workspace),
        progress=lambda subject, rows: progress(subject, rows, None),
    )
    for one in unbooked:
        found += _unknown(one)
    return Reconciliation(
        environment=session.environment.name,
        against="",
        head=reading.head,
        compared=len(ended) + sum(len(each.operations) for each in adopted),
        live=tuple(found),
    )


def _ended(entries: Sequence[Entry]) -> Iterator[tuple[Intent, Outcome]]:
    """Each call with its end, once."""
    calls: dict[str, Intent] = {}
    seen = set()
    for entry in entries:
        event = entry.event
        if isinstance(event, Intent):
            calls[event.request_id] = event
        elif isinstance(event, Outcome) and event.request_id not in seen:
            seen.add(event.request_id)
            yield calls[event.request_id], event


def _differences(lookout: Writer, intent: Intent, end: Outcome) -> list[LiveDifference]:
    """One call: the same proof that decided its end, on what the provider shows today."""
    said = partial(LiveDifference, strategy=end.strategy, operation_id=end.operation_id)
    try:
        operation = lookout.operation(end.operation_id, slot=end.slot)
    except NotFound:
        why = f"slot {end.slot}: the provider does not know this Operation"
        return [said(kind="missing", participant_code="", detail=why)]
    executions = lookout.executions(end.strategy_id, end.operation_id)
    if not executions:
        rows: Sequence[RowOutcome] = nobody(intent).rows
    else:
        verdict = judge(intent, operation, executions, taken=not end.proven)
        if isinstance(verdict, Incomplete):
            why = f"slot {end.slot}: its end is in doubt again: {verdict.why}"
            return [said(kind="different", participant_code="", detail=why)]
        rows = verdict.rows
    found = []
    if operation.status != end.status:
        why = f"slot {end.slot}: {end.status} in the journal, {operation.status} at the provider"
        found.append(said(kind="different", participant_code="", detail=why))
    journal = {row.participant_code: row for row in end.rows}
    shown = {row.participant_code: row for row in rows}
    for code in sorted(journal.keys() | shown.keys()):
        one, other = journal.get(code), shown.get(code)
        if one != other:
            kind = "extra" if one is None else "missing" if other is None else "different"
            why = f"slot {end.slot}: " + _beside(one, other, intent.currency)
            found.append(said(kind=kind, participant_code=code, detail=why))
    return found


def _beside(one: RowOutcome | None, other: RowOutcome | None, currency: str) -> str:
    """What differs, the most important first."""
    first, second = _row_text(one, currency), _row_text(other, currency)
    if one and other and first == second:
        first, second = f"Execution {one.execution_id}", f"Execution {other.execution_id}"
        if first == second:
            what = "trades" if one.trade_ids != other.trade_ids else "reasons"
            return f"{first} has other {what} in the journal than at the provider"
    return f"{first} in the journal, {second} at the provider"


def _row_text(row: RowOutcome | None, currency: str) -> str:
    if row is None:
        return "nothing"
    if row.amount_minor is None:
        return row.result.value
    return f"{row.result.value} {currency} {format_amount(row.amount_minor, currency)}"


def _adopted_differences(lookout: Writer, event: Adopted) -> list[LiveDifference]:
    """What was booked from Executions, to the minor units that these leave open."""
    said = partial(LiveDifference, strategy=event.strategy)
    currency = lookout.strategy(event.strategy_id, name=event.strategy).quoted_currency
    found: list[LiveDifference] = []
    counted: list[Counted] = []
    for each in event.operations:
        try:
            operation = lookout.operation(each.operation_id, slot=each.slot)
        except NotFound:
            why = "adopted: the provider does not know this Operation"
            found.append(
                said(
                    kind="missing",
                    operation_id=each.operation_id,
                    participant_code="",
                    detail=why,
                )
            )
            continue
        executions = lookout.executions(event.strategy_id, each.operation_id)
        counted += count_operation(operation, executions, currency, in_flight=False).rows
    shown: Mapping[str, Counted] = {row.participant_code: row for row in merged(counted)}
    for row in event.rows if not found else ():
        live = shown.get(row.participant_code)
        moved = (live.contributed_minor, live.withdrawn_minor) if live else (0, 0)
        near = live.tolerance_minor if live else 0
        pairs = zip((row.contributed_minor, row.withdrawn_minor), moved, strict=True)
        if any(abs(booked - seen) > near for booked, seen in pairs):
            figures = [
                f"{format_amount(came, currency)} in, {format_amount(went, currency)} out"
                for came, went in ((row.contributed_minor, row.withdrawn_minor), moved)
            ]
            why = f"adopted: {currency} {figures[0]} in the journal, {figures[1]} at the provider"
            found.append(
                said(
                    kind="different",
                    operation_id="",
                    participant_code=row.participant_code,
                    detail=why,
                )
            )
    return found


def _unknown(one: Unbooked) -> Iterator[LiveDifference]:
    """Operations that the journal lacks, and what keeps a Strategy from being read."""
    strategy = one.strategy
    if strategy.problem:
        yield LiveDifference("different", strategy.name, "", "", strategy.problem)
    for operation, counted in one.counts:
        came = sum(row.contributed_minor for row in counted.rows)
        went = sum(row.withdrawn_minor for row in counted.rows)
        money = strategy.quoted_currency
        detail = (
            f"{operation.type}, {operation.status}, {count(len(counted.rows), 'participant')},"
            f" {money} {format_amount(came, money)} in, {format_amount(went, money)} out:"
            " the journal does not know this Operation"
        )
        yield LiveDifference("extra", strategy.name, operation.id, "", detail)
