"""Participants: the rows of every source -> one table of totals, in SQL beside its meaning.

A source belongs to one cohort, so what its cohort, its currency and the types of its columns rule
out is never looked for. What remains is looked for in columns; a finding fetches the rows that it
names, and never more than 100. Totals stay where they were read: the desired rows are a view that
adds what is the same for a whole source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.money import minor_digits
from stratctl.core.state import DESIRED_ROWS, ENTRY_MEMBERS, NamedEntry
from stratctl.core.tables import Schema, Table, Workspace
from stratctl.core.words import count
from stratctl.documents import MANAGEABLE, Entries, Read, Strategy, problem
from stratctl.resolve.entries import ENTRY_AMOUNTS, entry_members, named_entries
from stratctl.resolve.strategies import CohortPlan, Declared

SHOWN_MAX = 100
_DIGITS_MAX = 17
AMOUNT_MAX_MINOR = 10**_DIGITS_MAX - 1
"""15 digits before the point where two follow it, as one amount may have."""

SOURCES = {
    "source": "INTEGER",
    "cohort_id": "INTEGER",
    "entry_id": "INTEGER",
    "entry": "VARCHAR",
    "sign": "INTEGER",
    "file": "VARCHAR",
    "has_lines": "BOOLEAN",
}
"""Where rows came from. ``entry`` is a funding key, ``entry_id`` tells those of one cohort
apart, ``sign`` is 1 for money in, -1 for out."""

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
"""Sources that are read where they stand; more of them are copied together, so that no query has
hundreds of parts."""


@dataclass(frozen=True)
class Rows:
    """What all sources come to."""

    desired: Table
    """DESIRED_ROWS"""
    entries: tuple[NamedEntry, ...] = ()
    """Ascending by key."""
    entry_members: Table | None = None
    """ENTRY_MEMBERS; None where the rows have problems."""


def resolve_rows(
    declared: Declared,
    strategies: Sequence[Read[Strategy]],
    workspace: Workspace,
    problems: list[Diagnostic],
) -> Rows:
    """Totals and named entries; empty when the rows have problems, which are appended."""
    currencies = {read.document.name: read.document.quoted_currency for read in strategies}
    book = _Book.of(declared.cohorts, currencies, workspace)
    before = len(problems)
    problems.extend(_scales(book))
    exact = len(problems) == before
    of_entries = (_repeated_amounts, _strangers) if book.funded else ()
    for check in (_repeats, *of_entries, _unmanaged):
        problems.extend(check(book))
    if not exact:  # totals would be cut off, and findings about them false
        return Rows(workspace.table("desired", DESIRED_ROWS))
    totals = _totals(book)
    problems.extend(_not_positive(book, totals))
    problems.extend(_too_large(book, totals))
    if len(problems) > before:
        return Rows(workspace.table("desired", DESIRED_ROWS))
    desired = _desired(book, totals)
    if not book.funded:
        return Rows(desired, entry_members=workspace.table("entry_members", ENTRY_MEMBERS))
    amounts = _entry_amounts(book)
    return Rows(
        desired,
        named_entries(amounts, _entry_spans(declared.cohorts)),
        entry_members(amounts),
    )


@dataclass(frozen=True)
class _Source:
    """The rows of one file or list, the cohort that they belong to, and its currency's decimals."""

    number: int
    cohort: CohortPlan
    digits: int
    entries: Entries

    @property
    def strategy(self) -> str:
        return self.cohort.members.read.document.strategy

    def decimals(self, column: str) -> int:
        """How fine the amounts of a column can be: the scale of DECIMAL(precision,scale)."""
        return int(self.entries.rows.schema[column].removesuffix(")").rpartition(",")[2])


@dataclass(frozen=True)
class _Book:
    """Everything that cohorts list, and where it stands."""

    workspace: Workspace
    cohorts: Table
    places: Table
    """SOURCES"""
    listed: tuple[_Source, ...]
    funded: tuple[_Source, ...]
    members: Table
    """MEMBER_ROWS"""
    amounts: Table
    """AMOUNT_ROWS"""

    @staticmethod
    def of(
        plans: Sequence[CohortPlan], currencies: Mapping[str, str], workspace: Workspace
    ) -> _Book:
        places: list[tuple[int, int, int, str | None, int, str, bool]] = []
        listed: list[_Source] = []
        funded: list[_Source] = []

        def add(
            cohort: int, entry: tuple[int, str | None, int], entries: Entries, into: list[_Source]
        ) -> None:
            source = len(places)
            plan = plans[cohort]
            digits = minor_digits(currencies[plan.members.read.document.strategy])
            places.append((source, cohort, *entry, entries.file, entries.has_lines))
            into.append(_Source(source, plan, digits, entries))

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
        cohorts = [_cohort_row(number, plan, currencies) for number, plan in enumerate(plans)]
        return _Book(
            workspace,
            workspace.table("cohorts", COHORTS, list(zip(*cohorts, strict=True))),
            workspace.table("sources", SOURCES, list(zip(*places, strict=True))),
            tuple(listed),
            tuple(funded),
            _union(workspace, "members", MEMBER_ROWS, [_member_rows(each) for each in listed]),
            _union(workspace, "amounts", AMOUNT_ROWS, [_amount_rows(each) for each in funded]),
        )

    def repeats_somebody(self, strategy: str) -> bool:
        """Whether two rows of one Strategy name one participant."""
        sources = [str(each.number) for each in self.listed if each.strategy == strategy]
        named = f"FROM {self.members} WHERE source IN ({', '.join(sources)})"
        # Counting the groups takes less time than count(DISTINCT …) of the same column.
        (repeated,) = self.workspace.one(
            f"SELECT (SELECT count(*) {named}) > "
            f"(SELECT count(*) FROM (SELECT participant_code {named} GROUP BY participant_code))"
        )
        return bool(repeated)

    def findings(self, code: str, sql: str, hint: str) -> list[Diagnostic]:
        """One finding per row (source, line, detail) of a query, and how many more there are."""
        rows = self.workspace.rows(
            f"SELECT q.source, q.line, q.detail FROM ({sql}) q "
            f"JOIN {self.places} p ON p.source = q.source "
            f"ORDER BY p.file, q.line, q.detail LIMIT {SHOWN_MAX + 1}"
        )
        sources = {each.number: each.entries for each in (*self.listed, *self.funded)}
        found = []
        for source, line, detail in rows[:SHOWN_MAX]:
            entries = sources[source]
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


def _member_rows(source: _Source) -> str:
    return (
        f"SELECT {source.number} AS source, participant_code, "
        f"{_minor(source, 'contributed')} AS contributed_minor, "
        f"{_minor(source, 'withdrawn')} AS withdrawn_minor, "
        f"exited, auto_rebalance, line FROM {source.entries.rows}"
    )


def _amount_rows(source: _Source) -> str:
    return (
        f"SELECT {source.number} AS source, participant_code, "
        f"{_minor(source, 'amount')} AS amount_minor, line FROM {source.entries.rows}"
    )


def _minor(source: _Source, amount: str) -> str:
    """An exact decimal -> minor units. Finer ones would be rounded, so _scales comes first."""
    scale = source.decimals(amount)
    return f"CAST(CAST({amount} AS DECIMAL(38,{scale})) * {10**source.digits} AS BIGINT)"


def _union(workspace: Workspace, name: str, schema: Schema, parts: Sequence[str]) -> Table:
    if not parts:
        return workspace.table(name, schema)
    gather = workspace.view if len(parts) <= _VIEWED_MAX else workspace.select
    return gather(name, schema, " UNION ALL ".join(parts))


# --- checks ----------------------------------------------------------------------------------


def _scales(book: _Book) -> list[Diagnostic]:
    """Amounts with more decimals than the currency has; trailing zeros are none."""
    columns = [
        *((each, column) for each in book.listed for column in ("contributed", "withdrawn")),
        *((each, "amount") for each in book.funded),
    ]
    decimals = "length(split_part(text, '.', 2))"
    parts = [
        f"SELECT {each.number} AS source, line, '{column} ' || text || ' has more decimals (' "
        f"|| {decimals} || ') than its currency ({each.digits})' AS detail FROM "
        f"(SELECT line, rtrim(CAST({column} AS VARCHAR), '0') AS text FROM {each.entries.rows}) "
        f"WHERE {decimals} > {each.digits}"
        for each, column in columns
        if each.decimals(column) > each.digits
    ]
    if not parts:
        return []
    sql = " UNION ALL ".join(parts)
    return book.findings("E_AMOUNT_SCALE", sql, "round it yourself: nothing is rounded here")


_ELSEWHERE = """' || CASE WHEN other_has_lines THEN 'at ' || other_file || ':' || other_line
    ELSE 'in row ' || other_line || ' of ' || other_file END"""
"""Goes on inside a text of SQL with where another row stands."""


def _repeats(book: _Book) -> list[Diagnostic]:
    """A participant that two rows of one Strategy name: each but the first is a finding."""
    if not any(map(book.repeats_somebody, {each.strategy for each in book.listed})):
        return []
    sql = f"""
        SELECT source, line, participant_code || ' of ' || strategy || ' is also {_ELSEWHERE}
            AS detail
        FROM (
            SELECT r.source, r.line, r.participant_code, c.strategy,
                row_number() OVER place AS nth,
                first_value(p.file) OVER place AS other_file,
                first_value(p.has_lines) OVER place AS other_has_lines,
                first_value(r.line) OVER place AS other_line
            FROM {book.members} r {_with_cohort(book)}
            WHERE (c.strategy, r.participant_code) IN (
                SELECT (c.strategy, r.participant_code) FROM {book.members} r {_with_cohort(book)}
                GROUP BY c.strategy, r.participant_code HAVING count(*) > 1)
            WINDOW place AS (
                PARTITION BY c.strategy, r.participant_code ORDER BY p.file, r.line, r.source)
        ) WHERE nth > 1"""
    return book.findings("E_DUP_PARTICIPANT", sql, "one row per participant and Strategy")


def _repeated_amounts(book: _Book) -> list[Diagnostic]:
    """A participant that stands twice under one funding key."""
    sql = f"""
        SELECT source, line, participant_code || ' is also {_ELSEWHERE} || ' under the key '
            || entry AS detail
        FROM (
            SELECT r.source, r.line, r.participant_code, p.entry, row_number() OVER place AS nth,
                first_value(p.file) OVER place AS other_file,
                first_value(p.has_lines) OVER place AS other_has_lines,
                first_value(r.line) OVER place AS other_line
            FROM {book.amounts} r JOIN {book.places} p ON p.source = r.source
            WINDOW place AS (
                PARTITION BY p.cohort_id, p.entry_id, r.participant_code
                ORDER BY p.file, r.line, r.source)
        ) WHERE nth > 1"""
    return book.findings("E_DUP_PARTICIPANT", sql, "add the amounts up in one row")


def _strangers(book: _Book) -> list[Diagnostic]:
    """Money for somebody who is not in the cohort; nothing is said of cohorts read in part."""
    sql = f"""
        SELECT r.source, r.line, r.participant_code || ' is not in ' || c.cohort AS detail
        FROM {book.amounts} r {_with_cohort(book)}
        WHERE c.complete AND NOT EXISTS (
            SELECT 1 FROM {book.members} m JOIN {book.places} mp ON mp.source = m.source
            WHERE mp.cohort_id = p.cohort_id AND m.participant_code = r.participant_code)"""
    return book.findings("E_UNKNOWN_PARTICIPANT", sql, "add the participant to the cohort first")


def _unmanaged(book: _Book) -> list[Diagnostic]:
    """What a row says about something that its cohort does not manage would never come true."""
    said = (
        ("contributed", "contributed IS NOT NULL", "funding"),
        ("withdrawn", "withdrawn IS NOT NULL", "funding"),
        ("status exited", "exited", "membership"),
        ("auto_rebalance", "auto_rebalance IS NOT NULL", "flags"),
    )
    parts = [
        f"SELECT {each.number} AS source, line, participant_code || ' has {what}, but "
        f"{each.cohort.members.read.document.name} does not manage {part}' AS detail "
        f"FROM {each.entries.rows} WHERE {condition}"
        for each in book.listed
        for what, condition, part in said
        if part not in each.cohort.members.read.document.managed
    ]
    if not parts:
        return []
    sql = " UNION ALL ".join(parts)
    return book.findings("E_MANAGES", sql, "delete it here, or let the cohort manage it")


def _not_positive(book: _Book, totals: Table) -> list[Diagnostic]:
    sql = f"""
        SELECT t.source, t.line, t.participant_code || ' has contributed nothing' AS detail
        FROM {totals} t {_with_cohort(book, "t")}
        WHERE c.funding AND c.complete AND coalesce(t.contributed_minor, 0) = 0
        UNION ALL
        SELECT r.source, r.line, r.participant_code || ' has the amount 0' AS detail
        FROM {book.amounts} r WHERE r.amount_minor = 0"""
    hint = "say what was paid in; to leave somebody out, leave the row out"
    return book.findings("E_AMOUNT_NOT_POSITIVE", sql, hint)


def _too_large(book: _Book, totals: Table) -> list[Diagnostic]:
    """Only sums can be: a single amount has at most 15 digits before the point."""
    if not book.funded:
        return []
    sql = f"""
        SELECT t.source, t.line, 'the total of ' || t.participant_code || ' has '
            || length(CAST(greatest(t.contributed_minor, t.withdrawn_minor) // c.unit AS VARCHAR))
            || ' digits before the point; at most ' || ({_DIGITS_MAX} - c.digits)
            || ' are accepted' AS detail
        FROM {totals} t {_with_cohort(book, "t")}
        WHERE greatest(t.contributed_minor, t.withdrawn_minor) > {AMOUNT_MAX_MINOR}"""
    return book.findings("E_AMOUNT_SIZE", sql, "look for a point that is missing")


# --- totals ----------------------------------------------------------------------------------

TOTALS = MEMBER_ROWS | {"contributed_minor": "HUGEINT", "withdrawn_minor": "HUGEINT"}
"""HUGEINT until the size is checked: a sum of BIGINT is one, and never leaves this file."""


def _totals(book: _Book) -> Table:
    """Declared totals with everything that was funded and paid out under a key."""
    if not book.funded:
        return book.members
    return book.workspace.select(
        "totals",
        TOTALS,
        f"""
        WITH flows AS (
            SELECT p.cohort_id, r.participant_code,
                sum(CASE WHEN p.sign > 0 THEN r.amount_minor ELSE 0 END) AS paid_in,
                sum(CASE WHEN p.sign < 0 THEN r.amount_minor ELSE 0 END) AS paid_out
            FROM {book.amounts} r {_with_cohort(book)}
            GROUP BY p.cohort_id, r.participant_code)
        SELECT r.source, r.participant_code,
            CAST(coalesce(r.contributed_minor, 0) AS HUGEINT) + coalesce(f.paid_in, 0)
                AS contributed_minor,
            CAST(coalesce(r.withdrawn_minor, 0) AS HUGEINT) + coalesce(f.paid_out, 0)
                AS withdrawn_minor,
            r.exited, r.auto_rebalance, r.line
        FROM {book.members} r {_with_cohort(book)}
        LEFT JOIN flows f
            ON f.cohort_id = p.cohort_id AND f.participant_code = r.participant_code""",
    )


def _entry_amounts(book: _Book) -> Table:
    """ENTRY_AMOUNTS"""
    return book.workspace.view(
        "entry_amounts",
        ENTRY_AMOUNTS,
        f"""
        SELECT p.entry AS key, CASE WHEN p.sign > 0 THEN 'funding' ELSE 'payouts' END AS kind,
            c.strategy, r.participant_code, r.amount_minor
        FROM {book.amounts} r {_with_cohort(book)}""",
    )


def _entry_spans(plans: Sequence[CohortPlan]) -> dict[str, Span]:
    return {
        entry.key: plan.members.read.places.value(label, index, "key")
        for plan in plans
        for label in ("funding", "payouts")
        for index, entry in enumerate(getattr(plan.members.read.document, label))
    }


def _with_cohort(book: _Book, rows: str = "r") -> str:
    return (
        f"JOIN {book.places} p ON p.source = {rows}.source "
        f"JOIN {book.cohorts} c ON c.cohort_id = p.cohort_id"
    )


def _desired(book: _Book, totals: Table) -> Table:
    return book.workspace.view(
        "desired",
        DESIRED_ROWS,
        f"""
        SELECT c.strategy, t.participant_code, c.cohort,
            CAST(coalesce(t.contributed_minor, 0) AS BIGINT) AS contributed_minor,
            CAST(coalesce(t.withdrawn_minor, 0) AS BIGINT) AS withdrawn_minor,
            coalesce(t.exited, false) AS exited,
            coalesce(t.auto_rebalance, c.flag) AS auto_rebalance, c.overrides_flag, c.target,
            c.membership AS manages_membership, c.funding AS manages_funding,
            c.allocations AS manages_allocations, c.flags AS manages_flags,
            c.held, p.file, t.line
        FROM {totals} t {_with_cohort(book, "t")}""",
    )
