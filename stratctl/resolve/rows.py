"""Participants: the rows of every source -> one table of totals, in SQL beside its meaning.

What the cohorts, their currencies and the types of columns rule out is never looked for. What
remains is looked for in columns; a finding fetches the rows that it names, and never more than 100.
Totals stay where they were read: the desired rows are a view that adds what is the same for a
whole source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.state import DESIRED_KEY, DESIRED_ROWS, ENTRY_MEMBERS, NamedEntry
from stratctl.core.tables import Table, Workspace
from stratctl.documents import MANAGEABLE, Read, Strategy
from stratctl.resolve.book import MEMBER_ROWS, Book
from stratctl.resolve.entries import ENTRY_AMOUNTS, entry_members, named_entries
from stratctl.resolve.strategies import CohortPlan, Declared

_DIGITS_MAX = 17
AMOUNT_MAX_MINOR = 10**_DIGITS_MAX - 1
"""15 digits before the point where two follow it, as one amount may have."""


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
    book = Book.of(declared.cohorts, currencies, workspace)
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


# --- checks ----------------------------------------------------------------------------------


def _scales(book: Book) -> list[Diagnostic]:
    """Amounts with more decimals than the currency has; trailing zeros are none."""
    columns = [
        *((piece, column) for piece in book.listed for column in ("contributed", "withdrawn")),
        *((piece, "amount") for piece in book.funded),
    ]
    decimals = "length(split_part(text, '.', 2))"
    parts = [
        f"SELECT source, line, '{column} ' || text || ' has more decimals (' "
        f"|| {decimals} || ') than its currency ({piece.digits})' AS detail FROM (SELECT source, "
        f"line, rtrim(CAST({column} AS VARCHAR), '0') AS text FROM {piece.rows}) "
        f"WHERE {decimals} > {piece.digits}"
        for piece, column in columns
        if piece.decimals(column) > piece.digits
    ]
    if not parts:
        return []
    sql = " UNION ALL ".join(parts)
    return book.findings("E_AMOUNT_SCALE", sql, "round it yourself: nothing is rounded here")


_ELSEWHERE = """' || CASE WHEN other_has_lines THEN 'at ' || other_file || ':' || other_line
    ELSE 'in row ' || other_line || ' of ' || other_file END"""
"""Goes on inside a text of SQL with where another row stands."""


def _repeats(book: Book) -> list[Diagnostic]:
    """A participant that two rows of one Strategy name: each but the first is a finding."""
    if not _somebody_twice(book):
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
            FROM {book.members} r {book.with_cohort()}
            WHERE (c.strategy, r.participant_code) IN (
                SELECT (c.strategy, r.participant_code) FROM {book.members} r {book.with_cohort()}
                GROUP BY c.strategy, r.participant_code HAVING count(*) > 1)
            WINDOW place AS (
                PARTITION BY c.strategy, r.participant_code ORDER BY p.file, r.line, r.source)
        ) WHERE nth > 1"""
    return book.findings("E_DUP_PARTICIPANT", sql, "one row per participant and Strategy")


def _somebody_twice(book: Book) -> bool:
    """Whether two rows of one Strategy may name one participant; hardly ever when they do not."""
    several = len({plan.members.read.document.strategy for plan in book.plans}) > 1
    who = "hash(c.strategy, r.participant_code)" if several else "hash(r.participant_code)"
    cohorts = book.with_cohort() if several else ""
    # Sorting the hashes takes less time, and half the memory, of grouping the codes.
    (twice,) = book.workspace.one(
        f"""
        SELECT bool_or(who = before) FROM (
            SELECT who, lag(who) OVER (ORDER BY who) AS before
            FROM (SELECT {who} AS who FROM {book.members} r {cohorts}))
        """
    )
    return bool(twice)


def _repeated_amounts(book: Book) -> list[Diagnostic]:
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


def _strangers(book: Book) -> list[Diagnostic]:
    """Money for somebody who is not in the cohort; nothing is said of cohorts read in part."""
    sql = f"""
        SELECT r.source, r.line, r.participant_code || ' is not in ' || c.cohort AS detail
        FROM {book.amounts} r {book.with_cohort()}
        WHERE c.complete AND NOT EXISTS (
            SELECT 1 FROM {book.members} m JOIN {book.places} mp ON mp.source = m.source
            WHERE mp.cohort_id = p.cohort_id AND m.participant_code = r.participant_code)"""
    return book.findings("E_UNKNOWN_PARTICIPANT", sql, "add the participant to the cohort first")


def _unmanaged(book: Book) -> list[Diagnostic]:
    """What a row says about something that its cohort does not manage would never come true."""
    if all(set(MANAGEABLE) <= set(each.members.read.document.managed) for each in book.plans):
        return []
    said = (
        ("contributed", "r.contributed_minor IS NOT NULL", "funding"),
        ("withdrawn", "r.withdrawn_minor IS NOT NULL", "funding"),
        ("status exited", "r.exited", "membership"),
        ("auto_rebalance", "r.auto_rebalance IS NOT NULL", "flags"),
    )
    sql = " UNION ALL ".join(
        f"SELECT r.source, r.line, r.participant_code || ' has {what}, but ' || c.cohort "
        f"|| ' does not manage {part}' AS detail "
        f"FROM {book.members} r {book.with_cohort()} WHERE NOT c.{part} AND {condition}"
        for what, condition, part in said
    )
    return book.findings("E_MANAGES", sql, "delete it here, or let the cohort manage it")


def _not_positive(book: Book, totals: Table) -> list[Diagnostic]:
    sql = f"""
        SELECT t.source, t.line, t.participant_code || ' has contributed nothing' AS detail
        FROM {totals} t {book.with_cohort("t")}
        WHERE c.funding AND c.complete AND coalesce(t.contributed_minor, 0) = 0
        UNION ALL
        SELECT r.source, r.line, r.participant_code || ' has the amount 0' AS detail
        FROM {book.amounts} r WHERE r.amount_minor = 0"""
    hint = "say what was paid in; to leave somebody out, leave the row out"
    return book.findings("E_AMOUNT_NOT_POSITIVE", sql, hint)


def _too_large(book: Book, totals: Table) -> list[Diagnostic]:
    """Only sums can be: a single amount has at most 15 digits before the point."""
    if not book.funded:
        return []
    sql = f"""
        SELECT t.source, t.line, 'the total of ' || t.participant_code || ' has '
            || length(CAST(greatest(t.contributed_minor, t.withdrawn_minor) // c.unit AS VARCHAR))
            || ' digits before the point; at most ' || ({_DIGITS_MAX} - c.digits)
            || ' are accepted' AS detail
        FROM {totals} t {book.with_cohort("t")}
        WHERE greatest(t.contributed_minor, t.withdrawn_minor) > {AMOUNT_MAX_MINOR}"""
    return book.findings("E_AMOUNT_SIZE", sql, "look for a point that is missing")


# --- totals ----------------------------------------------------------------------------------

TOTALS = MEMBER_ROWS | {"contributed_minor": "HUGEINT", "withdrawn_minor": "HUGEINT"}
"""HUGEINT until the size is checked: a sum of BIGINT is one, and never leaves this file."""


def _totals(book: Book) -> Table:
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
            FROM {book.amounts} r {book.with_cohort()}
            GROUP BY p.cohort_id, r.participant_code)
        SELECT r.source, r.participant_code,
            CAST(coalesce(r.contributed_minor, 0) AS HUGEINT) + coalesce(f.paid_in, 0)
                AS contributed_minor,
            CAST(coalesce(r.withdrawn_minor, 0) AS HUGEINT) + coalesce(f.paid_out, 0)
                AS withdrawn_minor,
            r.exited, r.auto_rebalance, r.line
        FROM {book.members} r {book.with_cohort()}
        LEFT JOIN flows f
            ON f.cohort_id = p.cohort_id AND f.participant_code = r.participant_code""",
    )


def _entry_amounts(book: Book) -> Table:
    """ENTRY_AMOUNTS"""
    return book.workspace.view(
        "entry_amounts",
        ENTRY_AMOUNTS,
        f"""
        SELECT p.entry AS key, CASE WHEN p.sign > 0 THEN 'funding' ELSE 'payouts' END AS kind,
            c.strategy, r.participant_code, r.amount_minor
        FROM {book.amounts} r {book.with_cohort()}""",
    )


def _entry_spans(plans: Sequence[CohortPlan]) -> dict[str, Span]:
    return {
        entry.key: plan.members.read.places.value(label, index, "key")
        for plan in plans
        for label in ("funding", "payouts")
        for index, entry in enumerate(getattr(plan.members.read.document, label))
    }


def _desired(book: Book, totals: Table) -> Table:
    """DESIRED_ROWS, once nobody is found in them twice."""
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
        FROM {totals} t {book.with_cohort("t")}""",
    ).keyed(*DESIRED_KEY)
