"""JSON lines -> cells: one flat object per line, and the text of each number as it stands there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.tables import Workspace
from stratctl.documents import Entries
from stratctl.load.explain import nearest
from stratctl.load.files import Folder
from stratctl.load.tables.cells import (
    AMOUNT_COLUMNS,
    ROWS_MAX,
    Batches,
    Found,
    Mistakes,
    Sheet,
    checked,
    too_many,
)
from stratctl.load.text import decode, split_lines

LINE_LENGTH_MAX = 4096
BATCH_ROWS = 50_000
"""Rows that exist as Python objects at a time."""


def read_json_lines(
    folder: Folder, name: str, sheet: Sheet, workspace: Workspace
) -> tuple[Entries | None, list[Diagnostic]]:
    """The rows of a file of JSON lines, or every mistake in it. Raises Refused."""
    text, problems = decode(folder.read(name), name)
    if problems:
        return None, problems
    text = text.rstrip("\n")
    lines = text.count("\n") + 1
    if lines > ROWS_MAX:
        return None, [too_many(name, lines)]
    mistakes = Mistakes(name)
    schema = {
        column: "BOOLEAN" if column == "auto_rebalance" else "VARCHAR" for column in sheet.columns
    }
    batches = Batches(workspace, {**schema, "line": "INTEGER"})
    written: set[str] = set()
    rows = _rows(text, sheet, mistakes, written)
    while batch := list(islice(rows, BATCH_ROWS)):
        batches.add(list(zip(*batch, strict=True)))
    # A column that some row has is asked of every row, as in a table with a header.
    kinds = {column: schema[column] for column in schema if column in {*written, *sheet.required}}
    return checked(Found(name, batches.table(), kinds), sheet, workspace, mistakes)


def _rows(
    text: str, sheet: Sheet, mistakes: Mistakes, written: set[str]
) -> Iterator[tuple[Any, ...]]:
    """(cells in the sheet's order, line) of every line that is an object of known keys.

    ``written`` takes the keys that occur.
    """
    decoder = json.JSONDecoder(
        object_pairs_hook=_Object,
        parse_float=_Number,
        parse_int=_Number,
        parse_constant=_no_number,
    )
    for line, text_of_line in enumerate(split_lines(text), start=1):
        try:
            row = _object(decoder, text_of_line.removesuffix("\n"))
            written.update(row)
            yield (*_cells(row, sheet), line)
        except _Odd as odd:
            mistakes.add(odd.code, odd.detail, line, odd.hint)


class _Odd(Exception):
    """What is wrong with a line."""

    def __init__(self, code: str, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint


class _Number(str):
    """The text of a number, exactly as it was written."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """The pairs of an object, those that repeat a key too."""


def _no_number(text: str) -> Any:
    raise _Odd("E_JSON_NUMBER", f"{text} is not a number of JSON", "write the amount")


def _object(decoder: json.JSONDecoder, written: str) -> dict[str, Any]:
    shape = 'write one object in each line: {"participant_code": "CUST01", …}'
    if len(written) > LINE_LENGTH_MAX:
        detail = f"the line has {len(written):,} characters; the limit is {LINE_LENGTH_MAX:,}"
        raise _Odd("E_JSON_SHAPE", detail, shape)
    try:
        pairs = decoder.decode(written)
    except json.JSONDecodeError as error:
        said = f"{error.msg}, column {error.colno}" if written else "the line is empty"
        raise _Odd("E_JSON_SYNTAX", said, "check quotes, colons, commas and brackets") from error
    except RecursionError as error:
        raise _Odd("E_JSON_SHAPE", "the line is nested", shape) from error
    if not isinstance(pairs, _Object):
        raise _Odd("E_JSON_SHAPE", "the line is not an object", shape)
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Odd("E_JSON_DUPKEY", f"{twice[:60]!a} occurs twice", "keep one of them")
    for key, value in pairs:
        if isinstance(value, list):
            raise _Odd("E_JSON_SHAPE", f"the value of {key[:60]!a} is nested", shape)
    return made


def _cells(row: dict[str, Any], sheet: Sheet) -> Iterator[Any]:
    """The cells of a line; null is what was not said. Raises _Odd."""
    for key in row:
        if key not in sheet.columns:
            raise _Odd("E_UNKNOWN_KEY", f"{key[:60]!a}", nearest(key, list(sheet.columns)))
    for column in sheet.columns:
        yield _cell(column, row.get(column))


def _cell(column: str, value: Any) -> Any:
    if value is None:
        return None
    if column == "auto_rebalance":
        if not isinstance(value, bool):
            detail = f"auto_rebalance is {_said(value)}"
            raise _Odd("E_TABLE_FLAG", detail, "write true or false, or leave it out")
        return value
    if isinstance(value, bool) or (isinstance(value, _Number) and column not in AMOUNT_COLUMNS):
        wanted = "a number or text" if column in AMOUNT_COLUMNS else "text"
        raise _Odd("E_TABLE_TYPE", f"{column} is {_said(value)}", f"write it as {wanted}")
    # What is no ASCII keeps to no grammar, but must travel as far as the finding about it.
    return str(value).encode("ascii", "backslashreplace").decode("ascii")


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, _Number) else ascii(value)
