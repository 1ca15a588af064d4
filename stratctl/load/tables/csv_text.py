"""CSV -> cells, strictly, and matched by name.

Python reads it and words every finding. But a file can be so plain that no two readers could differ
about it: printable ASCII without a quote, one line feed per row, no empty line, and as many commas
as the header asks for in each row. Such a file the engine only splits, all columns named and
text, nothing guessed; where it disagrees in any way, Python reads the file after all.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import duckdb

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.tables import Table, Workspace, literal
from stratctl.core.words import count
from stratctl.documents import Entries, problem
from stratctl.load.explain import nearest
from stratctl.load.files import Folder
from stratctl.load.tables.cells import (
    ROWS_MAX,
    Batches,
    Found,
    Mistakes,
    Sheet,
    as_pattern,
    checked,
    converted,
    too_many,
)
from stratctl.load.text import decode, split_lines

CELL_LENGTH_MAX = 256
HEADER_SHOWN_MAX = 20
"""Wrong columns that are reported one by one; a table of these has five."""
BATCH_ROWS = 50_000
"""Rows that exist as Python objects at a time."""

_CHUNK_BYTES = 1 << 20
_PLAIN = bytes(range(0x20, 0x7F)).replace(b'"', b"") + b"\n"


def read_csv(
    folder: Folder, name: str, sheet: Sheet, workspace: Workspace
) -> tuple[Entries | None, list[Diagnostic]]:
    """The rows of a CSV file, or every mistake in it. Raises Refused."""
    with folder.held(name) as held:
        plain = _plain(held.stream, name, sheet)
        table = plain and _split(held.path, plain, name, sheet, workspace)
    if table:
        return Entries(name, True, table), []
    return read_strictly(folder.read(name), name, sheet, workspace)


# --- plain files -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plain:
    """The shape of a file that nobody can misread."""

    header: tuple[str, ...]
    rows: int


def _plain(stream: BinaryIO, file: str, sheet: Sheet) -> _Plain | None:
    """The shape of a plain file; None for every other."""
    first = stream.readline(_CHUNK_BYTES)
    if not first.endswith(b"\n") or first.translate(None, _PLAIN):
        return None
    header = tuple(first.decode("ascii").removesuffix("\n").split(","))
    if _header_problems(header, ",".join(header), file, sheet):
        return None
    lines = commas = 0
    last = b"\n"
    while chunk := stream.read(_CHUNK_BYTES):
        if chunk.translate(None, _PLAIN) or b"\n\n" in chunk or last + chunk[:1] == b"\n\n":
            return None
        lines += chunk.count(b"\n")
        commas += chunk.count(b",")
        last = chunk[-1:]
    rows = lines + (last != b"\n")
    if not 0 < rows <= ROWS_MAX or commas != rows * (len(header) - 1):
        return None
    return _Plain(header, rows)


def _split(
    path: Path, plain: _Plain, file: str, sheet: Sheet, workspace: Workspace
) -> Table | None:
    """The rows of a plain file; None where one is bad, or the engine sees other rows than there
    are."""
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in plain.header)
    source = (
        f"read_csv({literal(as_pattern(path))}, auto_detect = false, header = false, skip = 1, "
        f"columns = {{{columns}}}, delim = ',', quote = '', escape = '', new_line = '\\n', "
        f"strict_mode = true, null_padding = false, ignore_errors = false)"
    )
    kinds = dict.fromkeys(plain.header, "VARCHAR")
    try:
        table, rows = converted(
            Found(file, source, kinds, first_line=2, is_csv=True), sheet, workspace
        )
    except duckdb.Error:
        return None
    return table if rows == plain.rows else None


# --- every other file ------------------------------------------------------------------------


def read_strictly(
    data: bytes, file: str, sheet: Sheet, workspace: Workspace
) -> tuple[Entries | None, list[Diagnostic]]:
    """The rows of a CSV text, or every mistake in it."""
    text, problems = decode(data, file)
    if problems:
        return None, problems
    rows = text.count("\n")
    if rows > ROWS_MAX:
        return None, [too_many(file, rows)]
    text = text.rstrip("\n")
    mistakes = Mistakes(file)
    records = _records(text, mistakes)
    _, header = next(records, (1, []))
    if not header or mistakes.count:
        hint = f"begin with: {','.join(sheet.columns)}"
        empty = [problem("E_CSV_HEADER", "the file is empty", Span(file, 1, 1), hint)]
        return None, mistakes.told() or empty
    lines = _Lines(text)
    found = _header_problems(header, lines[1], file, sheet)
    if found:
        # The rows are read all the same: what is wrong with their shape is worth saying, too.
        for _ in records:
            pass
        return None, [*found, *mistakes.told()]
    schema = {**dict.fromkeys(header, "VARCHAR"), "line": "INTEGER"}
    batches = Batches(workspace, schema)
    while batch := list(islice(records, BATCH_ROWS)):
        cells = zip(*(cells for _, cells in batch), strict=True)
        batches.add([*cells, [line for line, _ in batch]])

    def place(line: int, column: str) -> Span:
        return Span(file, line, column_of(lines[line], header.index(column)))

    kinds = dict.fromkeys(header, "VARCHAR")
    rest = Found(file, batches.table(), kinds, place=place, is_csv=True)
    return checked(rest, sheet, workspace, mistakes)


def _records(text: str, mistakes: Mistakes) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every row that has as many cells as the first, which is the header."""
    width: int | None = None
    current = [""]
    reader = csv.reader(_remembering(split_lines(text), current), strict=True)
    line = 1
    try:
        for cells in reader:
            if reader.line_num != line:
                detail = f"the cell goes on until line {reader.line_num}"
                mistakes.add("E_CSV_NEWLINE", detail, line, "write the cell in one line")
            elif max(map(len, cells), default=0) > CELL_LENGTH_MAX:
                long = next(place for place, c in enumerate(cells) if len(c) > CELL_LENGTH_MAX)
                detail = f"it has {len(cells[long]):,} characters; the limit is {CELL_LENGTH_MAX}"
                column = column_of(current[0], long)
                mistakes.add("E_CSV_FIELD", detail, line, "shorten it", column=column)
            elif width is None or len(cells) == width:
                width = len(cells)
                yield line, cells
            else:
                detail = f"found {count(len(cells), 'cell')}; the header has {width}"
                mistakes.add("E_CSV_COLUMNS", detail, line, "look for a missing or extra comma")
            line = reader.line_num + 1
    except csv.Error as error:
        code = "E_CSV_FIELD" if "field larger" in str(error) else "E_CSV_QUOTE"
        mistakes.add(code, str(error), line, "close or remove it")


def _remembering(lines: Iterator[str], current: list[str]) -> Iterator[str]:
    """The lines; the one that was handed out last is ``current``."""
    for current[0] in lines:
        yield current[0]


class _Lines:
    """The lines of a text by their numbers; where they end is found out when one is asked for."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __getitem__(self, line: int) -> str:
        begin, end = self._ends[line - 1] + 1, self._ends[line]
        return self._text[begin:end]

    @cached_property
    def _ends(self) -> array[int]:
        ends = array("q", [-1])
        while (end := self._text.find("\n", ends[-1] + 1)) >= 0:
            ends.append(end)
        ends.append(len(self._text))
        return ends


def _header_problems(header: Sequence[str], line: str, file: str, sheet: Sheet) -> list[Diagnostic]:
    known = list(sheet.columns)
    span = Span(file, 1, 1)
    if len(header) == 1 and header[0] not in known:
        hint = f"separate by commas: {','.join(known)}"
        return [problem("E_CSV_HEADER", f"one column called {header[0][:60]!a}", span, hint)]
    found: list[Diagnostic] = []
    seen: set[str] = set()
    for name, column in zip(header, columns_of(line), strict=True):
        place = Span(file, 1, column)
        if name not in known:
            detail = f"the column {name[:60]!a}"
            found.append(problem("E_CSV_HEADER", detail, place, nearest(name, known)))
        elif name in seen:
            detail = f"the column {name} occurs before"
            found.append(problem("E_CSV_HEADER", detail, place, "keep one of them"))
        seen.add(name)
        if len(found) == HEADER_SHOWN_MAX:
            return [*found, _too_wide(header, span, known)]
    found += [
        problem("E_CSV_HEADER", f"there is no column {name}", span, f"add {name}")
        for name in sheet.required
        if name not in header
    ]
    return found


def _too_wide(header: Sequence[str], span: Span, known: Sequence[str]) -> Diagnostic:
    detail = f"it has {len(header):,} columns, and more of them are wrong"
    return problem("E_CSV_HEADER", detail, span, f"known here: {', '.join(known)}")


def column_of(line: str, cell: int) -> int:
    """The column in which a cell of a line begins."""
    return next(islice(columns_of(line), cell, None))


def columns_of(line: str) -> Iterator[int]:
    """The column in which each cell of a line begins."""
    line = line.removesuffix("\n")
    place = 0
    while place <= len(line):
        found = _CELL.match(line, place)
        assert found, "a cell may be empty, so there is always one"
        yield place + 1
        place = found.end() + 1


_CELL = re.compile(r'"(?:[^"]|"")*"|[^,]*')
