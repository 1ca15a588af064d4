"""Parquet -> cells, by the engine; a column whose type loses or hides exact values is refused."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.tables import Workspace, literal
from stratctl.documents import Entries, problem
from stratctl.load.explain import nearest
from stratctl.load.files import Folder
from stratctl.load.tables.cells import (
    AMOUNT_COLUMNS,
    ROWS_MAX,
    Found,
    Sheet,
    as_pattern,
    checked,
    exact_scale,
    too_many,
)


def read_parquet(
    folder: Folder, name: str, sheet: Sheet, workspace: Workspace
) -> tuple[Entries | None, list[Diagnostic]]:
    """The rows of a Parquet file, or every mistake in it. Raises Refused."""
    with folder.held(name) as held:
        source = f"read_parquet({literal(as_pattern(held.path))}, hive_partitioning = false)"
        try:
            kinds = dict(row[:2] for row in workspace.rows(f"DESCRIBE SELECT * FROM {source}"))
            problems = column_problems(kinds, name, sheet)
            (count,) = workspace.one(f"SELECT count(*) FROM {source}")
            if count > ROWS_MAX:
                problems.append(too_many(name, count))
            if problems:
                return None, problems
            found = Found(name, source, kinds, first_line=1, has_lines=False)
            return checked(found, sheet, workspace)
        except duckdb.Error as error:
            detail = str(error).splitlines()[0][:200].replace(str(held.path), name)
            hint = "write it as Parquet again"
            return None, [problem("E_TABLE_FORMAT", detail, Span(name), hint)]


def column_problems(kinds: Mapping[str, str], file: str, sheet: Sheet) -> list[Diagnostic]:
    """Columns that are unknown or missing, and types that lose or hide exact values."""
    known = list(sheet.columns)
    span = Span(file)
    found = [
        problem("E_TABLE_COLUMNS", f"the column {name[:60]!a}", span, nearest(name, known))
        for name in kinds
        if name not in known
    ]
    found += [
        problem("E_TABLE_COLUMNS", f"there is no column {name}", span, f"add {name}")
        for name in sheet.required
        if name not in kinds
    ]
    for name, kind in kinds.items():
        if name in AMOUNT_COLUMNS and kind != "VARCHAR" and exact_scale(kind) is None:
            hint = "use DECIMAL(18,2), BIGINT or text: a binary float does not hold cents exactly"
            found.append(problem("E_TABLE_TYPE", f"{name} is {kind}", span, hint))
        if name in {"participant_code", "strategy", "status"} and kind != "VARCHAR":
            found.append(problem("E_TABLE_TYPE", f"{name} is {kind}", span, "use text (VARCHAR)"))
        if name == "auto_rebalance" and kind != "BOOLEAN":
            found.append(problem("E_TABLE_TYPE", f"{name} is {kind}", span, "use BOOLEAN"))
    return found
