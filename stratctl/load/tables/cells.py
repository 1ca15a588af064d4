"""What a reader found -> narrow, exact columns, in one pass; and a finding for each bad cell.

One pass converts every cell and judges its row. Only when some row is bad is the source looked at
again, for the words. Amounts become decimals of two places, or of eight where some row has more
than two, so that the type of a column says how fine its amounts can be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.tables import Table, Workspace
from stratctl.core.words import count
from stratctl.documents import AMOUNT_TYPES, ENTRY_ROWS, FUNDING_ROWS, Entries, problem
from stratctl.documents.grammar import AMOUNT, NAME, PARTICIPANT_CODE
from stratctl.load.text import strange_character

ROWS_MAX = 20_000_000
SHOWN_MAX = 100
"""Mistakes of one table that are reported one by one."""

_COARSE_DIGITS = 2
_AMOUNT_DIGITS_MAX = 8
_AMOUNT_LIMIT = 10**15
"""15 digits before the point."""

AMOUNT_COLUMNS = ("contributed", "withdrawn", "amount")
_EXACT = re.compile(r"DECIMAL\([0-9]+,(?P<scale>[0-9]+)\)|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")


@dataclass(frozen=True)
class Sheet:
    """A kind of table: the columns that people write, and what their checked rows look like."""

    schema: Mapping[str, str]
    columns: tuple[str, ...]
    required: tuple[str, ...]


MEMBERS = Sheet(
    ENTRY_ROWS,
    ("participant_code", "contributed", "withdrawn", "status", "auto_rebalance"),
    ("participant_code",),
)
AMOUNTS = Sheet(FUNDING_ROWS, ("participant_code", "amount"), ("participant_code", "amount"))
LEDGER = Sheet(
    {
        "participant_code": "VARCHAR",
        "strategy": "VARCHAR",
        "contributed": "AMOUNT",
        "withdrawn": "AMOUNT",
        "line": "INTEGER",
    },
    ("participant_code", "strategy", "contributed", "withdrawn"),
    ("participant_code", "strategy", "contributed", "withdrawn"),
)
"""What a platform's own books say of each participant; nothing that is declared."""

_MADE_FROM = {"exited": "status"}
"""Where a checked column is called otherwise than the written one."""


@dataclass(frozen=True)
class Found:
    """Rows as a reader found them: what stands after FROM, and the type of each known column."""

    file: str
    source: str
    kinds: Mapping[str, str]
    """Written column -> its type: VARCHAR, BOOLEAN, or an exact number."""
    first_line: int | None = None
    """The line of the first row where every row has one line. None: the source is a table with a
    column ``line``, which is dropped when it has been read."""
    has_lines: bool = True
    place: Callable[[int, str], Span] | None = None
    """Line and column -> where that cell begins; the line, or the file alone, where not known."""
    sparse: bool = False
    """A row may leave out what others say: one written by hand, not a column of a table."""
    in_parts: bool = False
    """The rows of several sources, told apart by a column ``part`` beside their ``line``."""
    is_csv: bool = False
    """An empty cell says nothing, and a spreadsheet executes one that begins like a formula."""

    @property
    def carried(self) -> dict[str, str]:
        """Columns that are taken over as they are."""
        names = ("line",) if self.first_line is None else ()
        return dict.fromkeys((*names, "part") if self.in_parts else names, "INTEGER")

    def span(self, line: int, column: str) -> Span:
        """The place of a cell, as near as it is known."""
        if self.place is not None:
            return self.place(line, column)
        return Span(self.file, line, 1) if self.has_lines else Span(self.file)


class Batches:
    """Rows that arrive as Python values, some at a time, and leave as one table."""

    def __init__(self, workspace: Workspace, schema: Mapping[str, str]) -> None:
        self._workspace = workspace
        self._schema = schema
        self._table = workspace.table("raw", schema)

    def add(self, columns: Sequence[Sequence[Any]]) -> None:
        """One sequence per column."""
        batch = self._workspace.table("batch", self._schema, columns)
        self._workspace.run(f"INSERT INTO {self._table} SELECT * FROM {batch}")
        self._workspace.run(f"DROP TABLE {batch}")

    def table(self) -> str:
        """The name of the table with everything that was added."""
        return self._table.name


class Mistakes:
    """The findings of one table: the first hundred, and how many there are."""

    def __init__(self, file: str) -> None:
        self.count = 0
        self.file = file
        self._shown: list[Diagnostic] = []

    @property
    def room(self) -> int:
        return SHOWN_MAX - len(self._shown)

    def add(self, code: str, detail: str, line: int, hint: str = "", *, column: int = 1) -> None:
        """A mistake in a line."""
        self.count += 1
        if self.room > 0:
            self._shown.append(problem(code, detail, Span(self.file, line, column), hint))

    def extend(self, shown: Sequence[Diagnostic], total: int) -> None:
        """Some of ``total`` more mistakes, no more of them than there is room."""
        self.count += total
        self._shown.extend(shown)

    def told(self) -> list[Diagnostic]:
        """What is shown; the last says how many more there are."""
        hidden = self.count - len(self._shown)
        if not hidden:
            return list(self._shown)
        *others, last = self._shown
        detail = f"{last.detail}; and {count(hidden, 'more mistake')} in this table"
        return [*others, problem(last.code, detail, last.span, last.hint)]


def exact_scale(kind: str) -> int | None:
    """Decimals of an exact number type; None where the type is another."""
    match = _EXACT.fullmatch(kind)
    return int(match["scale"] or 0) if match else None


def checked(
    found: Found, sheet: Sheet, workspace: Workspace, mistakes: Mistakes | None = None
) -> tuple[Entries | None, list[Diagnostic]]:
    """The rows as the sheet has them, or every mistake: those given, and the bad cells.

    Raises duckdb.Error where the source cannot be read.
    """
    mistakes = mistakes or Mistakes(found.file)
    table, rows = converted(found, sheet, workspace)
    if table is None:
        _add_bad_cells(found, sheet, workspace, mistakes)
    if found.first_line is None:
        workspace.run(f"DROP TABLE {found.source}")
    if rows > ROWS_MAX:
        return None, [too_many(found.file, rows)]
    if mistakes.count:
        return None, mistakes.told()
    if table is None or not rows:
        return None, [no_rows(found, sheet)]
    return Entries(found.file, found.has_lines, table), []


def as_pattern(path: Path) -> str:
    """A path as the engine takes it, which would read *, ? and [ as wildcards."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


# --- one pass --------------------------------------------------------------------------------


def converted(found: Found, sheet: Sheet, workspace: Workspace) -> tuple[Table | None, int]:
    """The rows as the sheet has them, None where some are bad; and how many there are."""
    for amount_type in AMOUNT_TYPES:
        table = _convert(found, sheet, workspace, amount_type)
        rows, broken, finer = workspace.one(
            f"SELECT count(*), count(*) FILTER (verdict = 1), count(*) FILTER (verdict = 2) "
            f"FROM {table}"
        )
        if not broken and not finer:
            return _shown_as(table, found, sheet, workspace), rows
        workspace.run(f"DROP TABLE {table}")
        if broken:
            return None, rows
    raise AssertionError("the finest amounts are finer than their grammar")


def _convert(found: Found, sheet: Sheet, workspace: Workspace, amount_type: str) -> Table:
    """Every column converted, and a verdict on each row: 1 is bad, 2 too fine for the type."""
    schema: dict[str, str] = {}
    values: list[str] = []
    broken: list[str] = []
    finer: list[str] = []
    for column, kind in sheet.schema.items():
        written = _MADE_FROM.get(column, column)
        if written not in found.kinds:
            continue
        is_amount = written in AMOUNT_COLUMNS
        schema[column] = amount_type if is_amount else kind
        condition = _broken(found, written)
        if is_amount:
            amount = f"TRY_CAST({_value(found, written)} AS {amount_type})"
            values.append(f"{amount} AS {column}")
            if amount_type == AMOUNT_TYPES[0]:
                finer.append(_finer(found, written))
                condition = (
                    f"CASE WHEN {_usual(found, written, amount)} THEN false ELSE {condition} END"
                )
        else:
            values.append(f"{_meaning(found, written)} AS {column}")
        broken.append(condition)
    schema |= found.carried
    values += found.carried
    verdict = (
        f"CASE WHEN {' OR '.join(broken)} THEN 1 "
        f"WHEN {' OR '.join(finer) or 'false'} THEN 2 ELSE 0 END"
    )
    return workspace.select(
        "cells",
        {**schema, "verdict": "UTINYINT"},
        f"SELECT {', '.join(values)}, CAST({verdict} AS UTINYINT) AS verdict FROM {found.source}",
    )


def _shown_as(table: Table, found: Found, sheet: Sheet, workspace: Workspace) -> Table:
    """All columns of the sheet: what nobody wrote is NULL, and a row's line follows its place."""
    schema = {
        column: table.schema.get(column, AMOUNT_TYPES[0] if kind == "AMOUNT" else kind)
        for column, kind in {**sheet.schema, **found.carried}.items()
    }
    # The engine numbers the rows of a committed table in the order in which they were put into it.
    place = f"CAST(rowid + {found.first_line} AS INTEGER)"
    columns = [
        column
        if column in table.schema
        else f"{place if column == 'line' else f'CAST(NULL AS {kind})'} AS {column}"
        for column, kind in schema.items()
    ]
    return workspace.view("entries", schema, f"SELECT {', '.join(columns)} FROM {table}")


def _value(found: Found, column: str) -> str:
    """The cell as it was written, NULL where nothing was."""
    kind = found.kinds[column]
    if kind == "VARCHAR":
        return f"nullif({column}, '')" if found.is_csv and found.first_line is None else column
    if column in AMOUNT_COLUMNS and (exact_scale(kind) or 0) > _AMOUNT_DIGITS_MAX:
        return f"CAST({column} AS VARCHAR)"
    return column


def _is_number(found: Found, column: str) -> bool:
    scale = exact_scale(found.kinds[column])
    return scale is not None and scale <= _AMOUNT_DIGITS_MAX


def _meaning(found: Found, column: str) -> str:
    value = _value(found, column)
    if column == "status":
        return f"({value} = 'exited')"
    if column == "auto_rebalance" and found.kinds[column] == "VARCHAR":
        return f"({value} = 'true')"
    return value


def _broken(found: Found, column: str) -> str:
    """The condition under which a cell breaks its grammar; it is never NULL."""
    value = _value(found, column)
    if column == "participant_code":
        return f"coalesce(NOT regexp_full_match({value}, '{PARTICIPANT_CODE}'), true)"
    if column == "strategy":
        return f"coalesce(NOT regexp_full_match({value}, '{NAME}'), true)"
    if column in AMOUNT_COLUMNS:
        missing = "false" if column == "withdrawn" or found.sparse else "true"
        if _is_number(found, column):
            limit = f"{_AMOUNT_LIMIT}.{'0' * (exact_scale(found.kinds[column]) or 0)}"
            return f"coalesce({value} < 0 OR {value} >= {limit.removesuffix('.')}, {missing})"
        return f"coalesce(NOT regexp_full_match({value}, '{AMOUNT}'), {missing})"
    if column == "auto_rebalance" and found.kinds[column] == "BOOLEAN":
        return "false"
    accepted = "'active', 'exited'" if column == "status" else "'true', 'false'"
    return f"coalesce({value} NOT IN ({accepted}), false)"


def _usual(found: Found, column: str, amount: str) -> str:
    """Whether an amount is as most are, two decimals and nothing odd: cheaper than its grammar."""
    if _is_number(found, column):
        return "false"
    same = f"CAST({amount} AS VARCHAR) = {_value(found, column)}"
    return f"{same} AND {amount} >= 0 AND {amount} < {_AMOUNT_LIMIT}.00"


def _finer(found: Found, column: str) -> str:
    """The condition under which an amount has more decimals than the coarse type."""
    if _is_number(found, column):
        return "true" if (exact_scale(found.kinds[column]) or 0) > _COARSE_DIGITS else "false"
    return f"coalesce({_value(found, column)} LIKE '%.{'_' * _COARSE_DIGITS}_%', false)"


# --- bad cells -------------------------------------------------------------------------------


def _add_bad_cells(found: Found, sheet: Sheet, workspace: Workspace, mistakes: Mistakes) -> None:
    raw = found.source
    line = "line"
    if found.first_line is not None:
        raw = str(
            workspace.select(
                "raw", found.kinds, f"SELECT {', '.join(found.kinds)} FROM {found.source}"
            )
        )
        line = f"CAST(rowid + {found.first_line} AS INTEGER)"
    bad = " UNION ALL ".join(
        f"SELECT {line} AS line, '{column}' AS field, CAST({_value(found, column)} AS VARCHAR) "
        f"AS cell FROM {raw} WHERE {_broken(found, column)}"
        for column in sheet.columns
        if column in found.kinds
    )
    (total,) = workspace.one(f"SELECT count(*) FROM ({bad})")
    rows = workspace.rows(
        f"SELECT * FROM ({bad}) ORDER BY line, field LIMIT {max(0, mistakes.room):d}"
    )
    mistakes.extend([_bad_cell(found, *row) for row in rows], total)
    if found.first_line is not None:
        workspace.run(f"DROP TABLE {raw}")


def _bad_cell(found: Found, line: int, field: str, cell: str | None) -> Diagnostic:
    span = found.span(line, field)
    where = "" if found.has_lines else f" in row {line} of {found.file}"
    said = f"{field}{where} is {_short(cell)}"
    if found.is_csv and cell and cell[0] in "=+-@\t":
        hint = "write what is meant without it; an amount has no sign: do not just drop a minus"
        return problem("E_CSV_FORMULA", said, span, hint)
    if field == "participant_code":
        hint = "a code is six characters of A-Z and 0-9"
        if cell and re.fullmatch(r"[0-9]\.[0-9]+E\+?[0-9]+|[0-9]+-[A-Za-z]{3}|[0-9]{1,5}", cell):
            hint += "; a spreadsheet has changed it: format the column as text first"
        return problem("E_CODE_SYNTAX", said + strange_character(cell or ""), span, hint)
    if field == "strategy":
        return problem("E_NAME_SYNTAX", said, span, "write the Strategy's name")
    if field == "status":
        return problem("E_TABLE_STATUS", said, span, "write active or exited, or leave it empty")
    if field == "auto_rebalance":
        return problem("E_TABLE_FLAG", said, span, "write true or false, or leave it empty")
    if cell is None:
        detail = f"{field}{where} is empty"
        return problem("E_AMOUNT_MISSING", detail, span, "write the amount")
    hint = "digits with at most one point: no sign, exponent, blank, separator or currency"
    return problem("E_AMOUNT_SYNTAX", said, span, hint)


# --- findings of several readers -------------------------------------------------------------


def too_many(file: str, rows: int) -> Diagnostic:
    """More rows than one table may have."""
    detail = f"{rows:,} rows; the limit is {ROWS_MAX:,}"
    return problem("E_TABLE_ROWS", detail, Span(file), "split it into several cohorts")


def no_rows(found: Found, sheet: Sheet) -> Diagnostic:
    """A table without rows: omission is never a sale."""
    span = Span(found.file, 1, 1) if found.has_lines else Span(found.file)
    hint = "" if sheet is LEDGER else "to sell what they hold, list them with status exited"
    return problem("E_EMPTY_TABLE", "the table has no rows", span, hint)


def _short(text: str | None) -> str:
    return "empty" if text is None else ascii(text if len(text) <= 60 else f"{text[:57]}...")
