"""The answer to a query -> cells: rows have numbers instead of lines, and a digest of their own."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.tables import Workspace
from stratctl.documents import AMOUNT_TYPES, Entries
from stratctl.load.files import Refused
from stratctl.load.tables.cells import (
    ROWS_MAX,
    Batches,
    Found,
    Mistakes,
    Sheet,
    checked,
    too_many,
)
from stratctl.load.tables.databases import Result, answered
from stratctl.load.tables.parquet import column_problems

VARIABLE = "STRATCTL_CONNECTION_"
BATCH_ROWS = 50_000
"""Rows that exist as Python objects at a time."""


@dataclass(frozen=True)
class Query:
    """What is asked of which connection, and where a document says so."""

    sql: str
    connection: str
    called: str
    """In words: "the query of founders"."""
    asked_at: Span
    connected_at: Span

    @property
    def variable(self) -> str:
        """The environment's name for the address."""
        return VARIABLE + self.connection.upper().replace("-", "_")


@dataclass(frozen=True)
class Answer:
    """Checked rows and what they are bound by, since no file of the project holds them."""

    entries: Entries
    asked: str
    sha256: str


def read_query(
    query: Query, environ: Mapping[str, str], root: Path, sheet: Sheet, workspace: Workspace
) -> tuple[Answer | None, list[Diagnostic]]:
    """The rows that a database answers with, or what is wrong with them or on the way."""
    address = environ.get(query.variable)
    try:
        if not address:
            hint = f"set {query.variable} to the address of {query.connection}"
            raise Refused("E_CONNECTION", f"{query.variable} is not set", hint)
        sql = query.sql.rstrip().rstrip(";")
        mistakes = Mistakes(query.called)
        with answered(address, sql, root) as result:
            found, problems = _gathered(result, query, sheet, workspace, mistakes)
    except Refused as refused:
        of_connection = refused.code == "E_CONNECTION"
        return None, [refused.at(query.connected_at if of_connection else query.asked_at)]
    entries = None
    if found is not None:
        entries, problems = checked(found, sheet, workspace, mistakes)
    problems = [replace(one, span=query.asked_at) for one in problems]
    if entries is None:
        return None, problems
    entries = replace(entries, asked_at=query.asked_at)
    return Answer(entries, f"{query.called} to {query.connection}", digest_of(entries)), problems


def _gathered(
    result: Result, query: Query, sheet: Sheet, workspace: Workspace, mistakes: Mistakes
) -> tuple[Found | None, list[Diagnostic]]:
    """The rows as a table, or why they are none that can be checked."""
    untyped = {name: "BOOLEAN" if name == "auto_rebalance" else "VARCHAR" for name in result.kinds}
    typed = {name: kind or untyped[name] for name, kind in result.kinds.items()}
    problems = column_problems(typed, query.called, sheet)
    if problems:
        return None, problems
    batches = Batches(workspace, {**untyped, "line": "INTEGER"})
    rows = _numbered(result, mistakes)
    while batch := list(islice(rows, BATCH_ROWS)):
        batches.add(list(zip(*batch, strict=True)))
        if batch[-1][-1] > ROWS_MAX:
            return None, [too_many(query.called, batch[-1][-1])]
    return Found(query.called, batches.table(), untyped, has_lines=False), []


def _numbered(result: Result, mistakes: Mistakes) -> Iterator[tuple[Any, ...]]:
    """The rows with their numbers; those with a value of a wrong type become mistakes."""
    names = list(result.kinds)
    untyped = any(not kind for kind in result.kinds.values())
    for number, row in enumerate(result.rows, start=1):
        cells: Sequence[Any] = row
        if untyped:
            wrong = [name for name, cell in zip(names, row, strict=True) if not _fits(name, cell)]
            if wrong:
                kind = {float: "a binary float", bytes: "bytes", int: "a number"}
                said = kind[type(row[names.index(wrong[0])])]
                detail = f"{wrong[0]} in row {number} of {mistakes.file} is {said}"
                hint = "keep codes as text, amounts as text or as an integer"
                mistakes.add("E_TABLE_TYPE", detail, number, hint)
                continue
            cells = [_plain(name, cell) for name, cell in zip(names, row, strict=True)]
        yield (*cells, number)


def _fits(column: str, cell: Any) -> bool:
    """Whether a value of a database without column types can stand in a column."""
    if column == "auto_rebalance":
        return cell is None or (type(cell) is int and cell in (0, 1))
    if type(cell) is int:
        return column not in {"participant_code", "status"}
    return cell is None or type(cell) is str


def _plain(column: str, cell: Any) -> Any:
    if cell is None or type(cell) is str:
        return cell
    return bool(cell) if column == "auto_rebalance" else str(cell)


def digest_of(entries: Entries) -> str:
    """sha256 over the rows in canonical text: the order in which they came is no part of it.

    By the last character of the code, so that no more than a part of the rows is text at a time.
    """
    finest = AMOUNT_TYPES[-1]
    said = ", ".join(
        f"coalesce(CAST({value} AS VARCHAR), '-')"
        for value in (
            "participant_code",
            *(f"CAST({amount} AS {finest})" for amount in ("contributed", "withdrawn")),
            "exited",
            "auto_rebalance",
        )
    )
    hasher = hashlib.sha256()
    for last in string.digits + string.ascii_uppercase:
        (part,) = entries.rows.workspace.one(
            f"SELECT sha256(coalesce(string_agg(said, chr(10) ORDER BY said), '')) FROM "
            f"(SELECT concat_ws(' ', {said}) AS said FROM {entries.rows} "
            f"WHERE right(participant_code, 1) = '{last}')"
        )
        hasher.update(str(part).encode())
    return hasher.hexdigest()
