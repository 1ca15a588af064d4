"""What every cohort lists, gathered: one table of cohorts, one of sources, two of their rows.

Rows stay where they were read: the tables of rows are views that add what is the same for a whole
source, as long as few tables take part. Findings about rows are made here, too, because a row knows
no more of its place than its source and its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.money import minor_digits
from stratctl.core.tables import Schema, Table, Workspace
from stratctl.core.words import count
from stratctl.documents import MANAGEABLE, Entries, problem
from stratctl.resolve.strategies import CohortPlan

SHOWN_MAX = 100

SOURCES = {
    "source": "INTEGER",
    "cohort_id": "INTEGER",
    "entry_id": "INTEGER",
    "entry": "VARCHAR",
    "sign": "INTEGER",
    "file": "VARCHAR",
    "has_lines": "BOOLEAN",
    "rows": "VARCHAR",
    "part": "INTEGER",
}
"""Where rows came from. ``entry`` is a funding key, ``entry_id`` tells those of one cohort
apart, ``sign`` is 1 for money in, -1 for out. ``rows`` is the table that the rows are in, and
``part`` tells them from others in it."""

COHORTS = {
    "cohort_id": "INTEGER",
    "strategy": "VARCHAR",
    "cohort": "VARCHAR",
    "digits": "INTEGER",
    "unit": "BIGINT",
    "flag": "BOOLEAN",
    "overrides_flag": "BOOLEAN",
    "target": "INTEGER",
    "membership": "BOOLEAN",
    "funding": "BOOLEAN",
    "allocations": "BOOLEAN",
    "flags": "BOOLEAN",
    "held": "BOOLEAN",
    "complete": "BOOLEAN",
}

MEMBER_ROWS = {
    "source": "INTEGER",
    "participant_code": "VARCHAR",
    "contributed_minor": "BIGINT",
    "withdrawn_minor": "BIGINT",
    "exited": "BOOLEAN",
    "auto_rebalance": "BOOLEAN",
    "line": "INTEGER",
}
"""A NULL is what was not said."""

AMOUNT_ROWS = {
    "source": "INTEGER",
    "participant_code": "VARCHAR",
    "amount_minor": "BIGINT",
    "line": "INTEGER",
}

_VIEWED_MAX = 8
"""Tables that are read where they stand; more of them are copied together, so that no query has
hundreds of parts."""


@dataclass(frozen=True)
class Book:
    """Everything that cohorts list, and where it stands."""

    workspace: Workspace
    plans: tuple[CohortPlan, ...]
    cohorts: Table
    """COHORTS"""
    places: Table
    """SOURCES"""
    sources: tuple[Entries, ...]
    """By number."""
    listed: tuple[Piece, ...]
    funded: tuple[Piece, ...]
    members: Table
    """MEMBER_ROWS"""
    amounts: Table
    """AMOUNT_ROWS"""

    @staticmethod
    def of(
        plans: Sequence[CohortPlan], currencies: Mapping[str, str], workspace: Workspace
    ) -> Book:
        """The book of some cohorts. ``currencies``: of each Strategy."""
        sources: list[Entries] = []
        of_sources: list[tuple[Any, ...]] = []
        listed: list[_Source] = []
        funded: list[_Source] = []

        def add(
            cohort: int, entry: tuple[int, str | None, int], entries: Entries, into: list[_Source]
        ) -> None:
            digits = minor_digits(currencies[plans[cohort].members.read.document.strategy])
            into.append(_Source(len(sources), entries, digits))
            place = (entries.file, entries.has_lines, entries.rows.name, entries.part)
            of_sources.append((len(sources), cohort, *entry, *place))
            sources.append(entries)

        for cohort, plan in enumerate(plans):
            written = plan.members.read.document
            for entries in plan.members.entries:
                add(cohort, (0, None, 0), entries, listed)
            # Several sources may be one entry: a pattern names many files. Numbers tell entries
            # of one cohort apart, those of payouts from below.
            for index, entries in plan.members.funding:
                add(cohort, (index + 1, written.funding[index].key, 1), entries, funded)
            for index, entries in plan.members.payouts:
                add(cohort, (-index - 1, written.payouts[index].key, -1), entries, funded)
        of_cohorts = [_cohort_row(number, plan, currencies) for number, plan in enumerate(plans)]
        cohorts = workspace.table("cohorts", COHORTS, list(zip(*of_cohorts, strict=True)))
        places = workspace.table("sources", SOURCES, list(zip(*of_sources, strict=True)))
        members = _pieces(listed, places, cohorts)
        amounts = _pieces(funded, places, cohorts)
        return Book(
            workspace,
            tuple(plans),
            cohorts,
            places,
            tuple(sources),
            members,
            amounts,
            _together(workspace, "members", MEMBER_ROWS, [_member_rows(each) for each in members]),
            _together(workspace, "amounts", AMOUNT_ROWS, [_amount_rows(each) for each in amounts]),
        )

    def with_cohort(self, rows: str = "r") -> str:
        """A clause that joins rows with their source, ``p``, and its cohort, ``c``."""
        return (
            f"JOIN {self.places} p ON p.source = {rows}.source "
            f"JOIN {self.cohorts} c ON c.cohort_id = p.cohort_id"
        )

    def findings(self, code: str, sql: str, hint: str) -> list[Diagnostic]:
        """One finding per row (source, line, detail) of a query, and how many more there are."""
        rows = self.workspace.rows(
            f"SELECT q.source, q.line, q.detail FROM ({sql}) q "
            f"JOIN {self.places} p ON p.source = q.source "
            f"ORDER BY p.file, q.line, q.detail LIMIT {SHOWN_MAX + 1}"
        )
        found = []
        for source, line, detail in rows[:SHOWN_MAX]:
            entries = self.sources[source]
            said = detail if entries.has_lines else f"{detail}, {entries.where(line)}"
            found.append(problem(code, said, entries.span(line), hint))
        if len(rows) > SHOWN_MAX:
            (total,) = self.workspace.one(f"SELECT count(*) FROM ({sql})")
            last = found[-1]
            more = f"{last.detail}; and {count(total - SHOWN_MAX, 'more row')} like it"
            found[-1] = problem(code, more, last.span, hint)
        return found


def _cohort_row(number: int, plan: CohortPlan, currencies: Mapping[str, str]) -> tuple[Any, ...]:
    written = plan.members.read.document
    digits = minor_digits(currencies[written.strategy])
    flag = True if written.auto_rebalance is None else written.auto_rebalance
    managed = [part in written.managed for part in MANAGEABLE]
    return (
        *(number, written.strategy, written.name, digits, 10**digits),
        *(flag, written.rebalance_opted_out, plan.target),
        *managed,
        *(plan.held, plan.members.complete),
    )


# --- tables of rows --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """The rows of one file or list, and how many decimals the currency of its cohort has."""

    number: int
    entries: Entries
    digits: int


@dataclass(frozen=True)
class Piece:
    """Rows that stand in one table and count in currencies with so many decimals."""

    table: Table
    digits: int
    rows: str
    """What stands after FROM: the rows, each with its ``source``."""

    def decimals(self, column: str) -> int:
        """How fine the amounts of a column can be: the scale of DECIMAL(precision,scale)."""
        return int(self.table.schema[column].removesuffix(")").rpartition(",")[2])


def _pieces(sources: Sequence[_Source], places: Table, cohorts: Table) -> tuple[Piece, ...]:
    """One for each source with a table of its own; one a table and scale for those that share."""
    pieces: dict[tuple[str, int], Piece] = {}
    for each in sources:
        table = each.entries.rows
        if each.entries.part is None:
            rows = f"(SELECT {each.number} AS source, * FROM {table})"
        else:
            rows = f"""(
                SELECT s.source, r.* FROM {table} r JOIN (
                    SELECT p.source, p.part FROM {places} p
                    JOIN {cohorts} c ON c.cohort_id = p.cohort_id
                    WHERE p.rows = '{table}' AND c.digits = {each.digits}
                ) s ON s.part = r.part)"""
        pieces[table.name, each.digits] = Piece(table, each.digits, rows)
    return tuple(pieces.values())


def _member_rows(piece: Piece) -> str:
    return (
        f"SELECT source, participant_code, {_minor(piece, 'contributed')} AS contributed_minor, "
        f"{_minor(piece, 'withdrawn')} AS withdrawn_minor, "
        f"exited, auto_rebalance, line FROM {piece.rows}"
    )


def _amount_rows(piece: Piece) -> str:
    return (
        f"SELECT source, participant_code, {_minor(piece, 'amount')} AS amount_minor, line "
        f"FROM {piece.rows}"
    )


def _minor(piece: Piece, amount: str) -> str:
    """An exact decimal -> minor units. Finer ones would be rounded, so those are looked for."""
    scale = piece.decimals(amount)
    return f"CAST(CAST({amount} AS DECIMAL(38,{scale})) * {10**piece.digits} AS BIGINT)"


def _together(workspace: Workspace, name: str, schema: Schema, parts: Sequence[str]) -> Table:
    if len(parts) > _VIEWED_MAX:
        return workspace.gathered(name, schema, parts)
    if not parts:
        return workspace.table(name, schema)
    return workspace.view(name, schema, " UNION ALL ".join(parts))
