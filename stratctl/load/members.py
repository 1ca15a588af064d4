"""Members that stand inside a document: lists of mappings -> columns.

Ten thousand of them are fine, so they are not validated one keyword at a time: a row that plainly
keeps to the schema goes straight into columns, and only the others are looked at closely.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stratctl.core.tables import Workspace
from stratctl.documents import Entries, Items, Node
from stratctl.documents.grammar import AMOUNT, PARTICIPANT_CODE, source_text
from stratctl.load.tables.cells import Found, Sheet, checked

_CODE = re.compile(PARTICIPANT_CODE, re.ASCII)
_AMOUNT = re.compile(AMOUNT, re.ASCII)
_STATUS = frozenset({"active", "exited"})


def suspicious(rows: Items, sheet: Sheet) -> list[int]:
    """Places of the rows that do not plainly keep to the schema."""
    known = frozenset(sheet.columns)
    return [place for place, row in enumerate(rows) if not _plain(row, known, sheet.required)]


def to_entries(
    lists: Sequence[tuple[str, Items]], sheet: Sheet, workspace: Workspace
) -> list[Entries]:
    """The rows of each list, which keep to the schema, as columns; every list has its file.

    One table holds them all: a table of its own for each of many short lists would take longer
    than everything else together.
    """
    if not lists:
        return []
    rows = [row for _, items in lists for row in items]
    kinds = {
        column: "BOOLEAN" if column == "auto_rebalance" else "VARCHAR"
        for column in sheet.columns
        if any(column in row for row in rows)
    }
    columns: list[list[Any]] = [[source_text(row.get(column)) for row in rows] for column in kinds]
    columns.append([line for _, items in lists for line, _ in items.places])
    columns.append([part for part, (_, items) in enumerate(lists) for _ in items])
    table = workspace.table("inline", {**kinds, "line": "INTEGER", "part": "INTEGER"}, columns)
    found = Found("", table.name, kinds, sparse=True, in_parts=True)
    checked_rows, problems = checked(found, sheet, workspace)
    assert checked_rows is not None, problems  # the schema has the same grammars
    return [
        replace(checked_rows, file=file, part=part, column=_beginning(items))
        for part, (file, items) in enumerate(lists)
    ]


def _beginning(rows: Items) -> int:
    """The column in which each row begins; 1 where they begin in different ones."""
    begins = {column for _, column in rows.places}
    return begins.pop() if len(begins) == 1 else 1


def _plain(row: Any, known: frozenset[str], required: tuple[str, ...]) -> bool:
    if type(row) is not Node or any(name not in row for name in required):
        return False
    return all(name in known and _fits(name, value) for name, value in row.items())


def _fits(name: str, value: Any) -> bool:
    if name == "participant_code":
        return type(value) is str and _CODE.fullmatch(value) is not None
    if name == "status":
        return type(value) is str and value in _STATUS
    if name == "auto_rebalance":
        return type(value) is bool
    text = source_text(value)
    return type(text) is str and _AMOUNT.fullmatch(text) is not None
