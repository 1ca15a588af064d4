"""Tables of participants: CSV and Parquet -> columns of exact text.

CSV is read by Python, strictly, and its columns are matched by name: engines match by position, so
that swapped headers would swap money in and money out. Parquet is read by the engine, and a column
whose type loses digits is refused. Either way each value must keep to its grammar; what does not is
reported with its line, and no row becomes a Python object of its own on the way.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.tables import Workspace, literal
from stratctl.core.words import count
from stratctl.documents import ENTRY_ROWS, FUNDING_ROWS, Entries, problem
from stratctl.documents.grammar import AMOUNT, PARTICIPANT_CODE
from stratctl.load.explain import nearest
from stratctl.load.files import Folder, Refused
from stratctl.load.text import decode, strange_character

ROWS_MAX = 20_000_000
CELL_LENGTH_MAX = 256
SHOWN_MAX = 100
"""Bad cells of one file that are reported one by one."""

_AMOUNTS = ("contributed", "withdrawn", "amount")
_EXACT_TYPES = re.compile(r"VARCHAR|DECIMAL\([0-9]+,[0-9]+\)|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")


@dataclass(frozen=True)
class Sheet:
    """A kind of table: its columns, and what its checked rows look like."""

    schema: dict[str, str]
    required: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column for column in self.schema if column != "line")


MEMBERS = Sheet(ENTRY_ROWS, ("participant_code",))
AMOUNTS = Sheet(FUNDING_ROWS, ("participant_code", "amount"))


def read_table(
    folder: Folder, name: str, sheet: Sheet, workspace: Workspace, named_at: Span
) -> tuple[Entries | None, list[Diagnostic], tuple[str, ...]]:
    """The rows of a file, what is wrong in it, and its lines for showing (CSV only).

    ``named_at`` is where a document names the file; findings about the file as a whole stand there.
    """
    suffix = Path(name).suffix.lower()
    try:
        if suffix == ".csv":
            return _read_csv(folder.read(name), name, sheet, workspace)
        if suffix == ".parquet":
            with folder.held(name) as path:
                entries, problems = _read_parquet(path, name, sheet, workspace)
            return entries, problems, ()
        hint = "save it as CSV or Parquet, with that suffix"
        raise Refused("E_TABLE_FORMAT", f"{name} is neither .csv nor .parquet", hint)
    except Refused as refused:
        return None, [refused.at(named_at)], ()


# --- CSV -------------------------------------------------------------------------------------


def _read_csv(
    data: bytes, file: str, sheet: Sheet, workspace: Workspace
) -> tuple[Entries | None, list[Diagnostic], tuple[str, ...]]:
    text, problems = decode(data, file)
    if problems:
        return None, problems, ()
    if text.count("\n") > ROWS_MAX:
        return None, [_too_many(file, text.count("\n"))], ()
    lines = tuple(text.split("\n"))
    records, problems = _records(text, lines, file)
    if not records:
        hint = f"begin with: {','.join(sheet.columns)}"
        found = problems or [problem("E_CSV_HEADER", "the file is empty", Span(file, 1, 1), hint)]
        return None, found, lines
    first, header = records[0]
    problems += _header_problems(header, lines[first - 1], file, sheet)
    if any(found.code == "E_CSV_HEADER" for found in problems):
        return None, problems, lines
    body = records[1:]
    if not body and not problems:
        return None, [_no_rows(Span(file, 1, 1))], lines
    columns = list(zip(*(cells for _, cells in body), strict=True)) if body else []
    raw = workspace.table(
        "csv",
        {**dict.fromkeys(header, "VARCHAR"), "line": "INTEGER"},
        [*columns, [line for line, _ in body]] if body else (),
    )
    cells = Cells(Entries(file, True, raw), tuple(header), lines)
    problems += _formulas(cells)
    made, more = _checked(cells, sheet, empty_is_nothing=True, known=problems)
    return (None if problems or more else made), problems + more, lines


def _records(
    text: str, lines: Sequence[str], file: str
) -> tuple[list[tuple[int, list[str]]], list[Diagnostic]]:
    """(line, cells) of every row that has as many cells as the header; header first."""
    problems: list[Diagnostic] = []
    records: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text.rstrip("\n") + "\n", newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if reader.line_num != line:
                detail = f"the cell goes on until line {reader.line_num}"
                hint = "write the cell in one line"
                problems.append(problem("E_CSV_NEWLINE", detail, Span(file, line, 1), hint))
            elif max(map(len, cells), default=0) > CELL_LENGTH_MAX:
                long = next(place for place, c in enumerate(cells) if len(c) > CELL_LENGTH_MAX)
                detail = f"it has {len(cells[long]):,} characters; the limit is {CELL_LENGTH_MAX}"
                span = Span(file, line, column_of(lines[line - 1], long))
                problems.append(problem("E_CSV_FIELD", detail, span, "shorten it"))
            elif not records or len(cells) == len(records[0][1]):
                records.append((line, cells))
            else:
                detail = f"found {count(len(cells), 'cell')}; the header has {len(records[0][1])}"
                hint = "look for a missing or extra comma"
                problems.append(problem("E_CSV_COLUMNS", detail, Span(file, line, 1), hint))
            line = reader.line_num + 1
    except csv.Error as error:
        code = "E_CSV_FIELD" if "field larger" in str(error) else "E_CSV_QUOTE"
        problems.append(problem(code, str(error), Span(file, line, 1), "close or remove it"))
    return records, problems


def _header_problems(header: Sequence[str], line: str, file: str, sheet: Sheet) -> list[Diagnostic]:
    known = list(sheet.columns)
    span = Span(file, 1, 1)
    places = [Span(file, 1, column_of(line, place)) for place in range(len(header))]
    if len(header) == 1 and header[0] not in known:
        hint = f"separate by commas: {','.join(known)}"
        return [problem("E_CSV_HEADER", f"one column called {header[0][:60]!a}", span, hint)]
    found = [
        problem("E_CSV_HEADER", f"the column {name[:60]!a}", place, nearest(name, known))
        for name, place in zip(header, places, strict=True)
        if name not in known
    ]
    found += [
        problem("E_CSV_HEADER", f"the column {name} occurs before", place, "keep one of them")
        for number, (name, place) in enumerate(zip(header, places, strict=True))
        if name in known and name in header[:number]
    ]
    found += [
        problem("E_CSV_HEADER", f"there is no column {name}", span, f"add {name}")
        for name in sheet.required
        if name not in header
    ]
    return found


def column_of(line: str, cell: int) -> int:
    """The column in which a cell of a line begins."""
    place = 0
    for _ in range(cell):
        found = _CELL.match(line, place)
        assert found, "a cell may be empty, so there is always one"
        place = found.end() + 1
    return place + 1


_CELL = re.compile(r'"(?:[^"]|"")*"|[^,]*')


def _formulas(cells: Cells) -> list[Diagnostic]:
    """Cells that a spreadsheet would execute, in whatever column they stand."""
    hint = "remove the first character"
    rows = cells.entries.rows
    return [
        problem("E_CSV_FORMULA", f"{column} is {_short(value)}", cells.span(line, column), hint)
        for column in cells.columns
        for line, value in rows.workspace.rows(
            f"SELECT line, {column} FROM {rows} "
            f"WHERE left({column}, 1) IN ('=', '+', '-', '@', chr(9)) "
            f"ORDER BY line LIMIT {SHOWN_MAX}"
        )
    ]


# --- Parquet ---------------------------------------------------------------------------------


def _read_parquet(
    path: Path, file: str, sheet: Sheet, workspace: Workspace
) -> tuple[Entries | None, list[Diagnostic]]:
    escaped = re.sub(r"([*?\[])", r"[\1]", str(path))
    source = f"read_parquet({literal(escaped)}, file_row_number = true, hive_partitioning = false)"
    try:
        types = {
            row[0]: row[1]
            for row in workspace.rows(f"DESCRIBE SELECT * FROM {source}")
            if row[0] != "file_row_number"
        }
        problems = _column_problems(types, file, sheet)
        (rows,) = workspace.one(f"SELECT count(*) FROM {source}")
        if rows > ROWS_MAX:
            problems.append(_too_many(file, rows))
        if problems:
            return None, problems
        texts = ", ".join(f"CAST({column} AS VARCHAR) AS {column}" for column in types)
        raw = workspace.select(
            "parquet",
            {**dict.fromkeys(types, "VARCHAR"), "line": "INTEGER"},
            f"SELECT {texts}, CAST(file_row_number + 1 AS INTEGER) AS line FROM {source}",
        )
    except duckdb.Error as error:
        detail = str(error).splitlines()[0][:200].replace(str(path), file)
        return None, [problem("E_TABLE_FORMAT", detail, Span(file), "write it as Parquet again")]
    if not len(raw):
        return None, [_no_rows(Span(file))]
    cells = Cells(Entries(file, False, raw), tuple(types))
    made, problems = _checked(cells, sheet, empty_is_nothing=False, known=[])
    return (None if problems else made), problems


def _column_problems(types: dict[str, str], file: str, sheet: Sheet) -> list[Diagnostic]:
    known = list(sheet.columns)
    span = Span(file)
    found = [
        problem("E_TABLE_COLUMNS", f"the column {name[:60]!a}", span, nearest(name, known))
        for name in types
        if name not in known
    ]
    found += [
        problem("E_TABLE_COLUMNS", f"there is no column {name}", span, f"add {name}")
        for name in sheet.required
        if name not in types
    ]
    for name, kind in types.items():
        if name in _AMOUNTS and not _EXACT_TYPES.fullmatch(kind):
            hint = "use DECIMAL(18,2), BIGINT or text: a binary float does not hold cents exactly"
            found.append(problem("E_TABLE_TYPE", f"{name} is {kind}", span, hint))
        if name in {"participant_code", "status"} and kind != "VARCHAR":
            found.append(problem("E_TABLE_TYPE", f"{name} is {kind}", span, "use text (VARCHAR)"))
        if name == "auto_rebalance" and kind != "BOOLEAN":
            found.append(problem("E_TABLE_TYPE", f"{name} is {kind}", span, "use BOOLEAN"))
    return found


# --- rows ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cells:
    """The texts of a table before they are looked at, and where each stands."""

    entries: Entries
    columns: tuple[str, ...]
    """As the table has them."""
    lines: tuple[str, ...] = ()
    """Of the file; none for a table without lines."""

    def span(self, line: int, column: str) -> Span:
        """The place of a cell; the file alone where there are no lines to point at."""
        if not self.lines:
            return self.entries.span(line)
        place = column_of(self.lines[line - 1], self.columns.index(column))
        return Span(self.entries.file, line, place)


def _checked(
    cells: Cells,
    sheet: Sheet,
    *,
    empty_is_nothing: bool,
    known: Sequence[Diagnostic],
) -> tuple[Entries, list[Diagnostic]]:
    """The rows as the sheet has them, and a finding for each cell that breaks its grammar.

    Cells whose line is in ``known`` already are not reported again.
    """
    entries, columns = cells.entries, cells.columns
    raw = entries.rows
    values = {
        column: (f"nullif({column}, '')" if empty_is_nothing else column)
        if column in columns
        else "NULL"
        for column in sheet.columns
    }
    problems = _bad_cells(cells, {c: v for c, v in values.items() if c in columns}, known)
    casts = ", ".join(
        f"CAST({value} AS {sheet.schema[column]}) AS {column}" for column, value in values.items()
    )
    if problems or known:
        return entries, problems
    table = raw.workspace.select("entries", sheet.schema, f"SELECT {casts}, line FROM {raw}")
    raw.workspace.run(f"DROP TABLE {raw}")
    return Entries(entries.file, entries.has_lines, table), []


def _bad_cells(
    cells: Cells, values: dict[str, str], known: Sequence[Diagnostic]
) -> list[Diagnostic]:
    raw = cells.entries.rows
    told = {found.span.line for found in known if found.span}
    tests = {
        column: f"SELECT line, '{column}' AS field, {value} AS cell FROM {raw} "
        f"WHERE {_broken(column, value)}"
        for column, value in values.items()
    }
    bad = f"({' UNION ALL '.join(tests.values())})"
    (total,) = raw.workspace.one(f"SELECT count(*) FROM {bad}")
    shown = raw.workspace.rows(f"SELECT * FROM {bad} ORDER BY line, field LIMIT {SHOWN_MAX}")
    problems = [_bad_cell(cells, *row) for row in shown if row[0] not in told or not row[0]]
    if total > SHOWN_MAX:
        last = problems[-1]
        detail = f"{last.detail}; and {count(total - SHOWN_MAX, 'more cell')} like it in this file"
        problems[-1] = problem(last.code, detail, last.span, last.hint)
    return problems


def _broken(column: str, value: str) -> str:
    """The condition under which a value of a column breaks its grammar."""
    if column == "participant_code":
        return f"{value} IS NULL OR NOT regexp_full_match({value}, '{PARTICIPANT_CODE}')"
    if column in ("contributed", "amount"):
        return f"{value} IS NULL OR NOT regexp_full_match({value}, '{AMOUNT}')"
    if column == "withdrawn":
        return f"NOT regexp_full_match({value}, '{AMOUNT}')"
    accepted = "'active', 'exited'" if column == "status" else "'true', 'false'"
    return f"{value} NOT IN ({accepted})"


def _bad_cell(cells: Cells, line: int, field: str, cell: str | None) -> Diagnostic:
    entries, span = cells.entries, cells.span(line, field)
    where = "" if entries.has_lines else f" in {entries.where(line)}"
    said = f"{field}{where} is {_short(cell)}"
    if field == "participant_code":
        hint = "a code is six characters of A-Z and 0-9"
        if cell and re.fullmatch(r"[0-9]\.[0-9]+E\+?[0-9]+|[0-9]+-[A-Za-z]{3}|[0-9]{1,5}", cell):
            hint += "; a spreadsheet has changed it: format the column as text first"
        return problem("E_CODE_SYNTAX", said + strange_character(cell or ""), span, hint)
    if field == "status":
        return problem("E_TABLE_STATUS", said, span, "write active or exited, or leave it empty")
    if field == "auto_rebalance":
        return problem("E_TABLE_FLAG", said, span, "write true or false, or leave it empty")
    if cell is None:
        detail = f"{field}{where} is empty"
        return problem("E_AMOUNT_MISSING", detail, span, "write the amount")
    hint = "digits with at most one point: no sign, exponent, blank, separator or currency"
    return problem("E_AMOUNT_SYNTAX", said, span, hint)


def _too_many(file: str, rows: int) -> Diagnostic:
    detail = f"{rows:,} rows; the limit is {ROWS_MAX:,}"
    return problem("E_TABLE_ROWS", detail, Span(file), "split it into several cohorts")


def _no_rows(span: Span) -> Diagnostic:
    hint = "to sell what they hold, list them with status exited"
    return problem("E_EMPTY_TABLE", "the table has no rows", span, hint)


def _short(text: str | None) -> str:
    return "empty" if text is None else ascii(text if len(text) <= 60 else f"{text[:57]}...")
