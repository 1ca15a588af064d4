"""Tables of participants -> narrow columns of exact values, every bad cell named with its line.

===========  ==================================================================================
source       how it is read
===========  ==================================================================================
CSV          by Python, strictly; a file that plainly cannot be misread is split by the engine
JSON lines   by Python, the text of each number kept
Parquet      by the engine; a column whose type loses digits is refused
SQL          by the database, read-only; what loses digits is refused
===========  ==================================================================================

Columns are matched by name, because engines match by position, so that swapped headers would swap
money in and money out. No row becomes a Python object that outlives a batch.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.tables import Workspace
from stratctl.documents import Entries
from stratctl.load.files import Folder, Refused
from stratctl.load.tables.cells import AMOUNTS, LEDGER, MEMBERS, SHOWN_MAX, Sheet
from stratctl.load.tables.csv_text import read_csv
from stratctl.load.tables.json_lines import read_json_lines
from stratctl.load.tables.parquet import read_parquet
from stratctl.load.tables.sql import Answer, Query, read_query

__all__ = [
    "AMOUNTS",
    "LEDGER",
    "MEMBERS",
    "SHOWN_MAX",
    "SUFFIXES",
    "Answer",
    "Query",
    "Sheet",
    "read_query",
    "read_table",
]

_READERS = {
    ".csv": read_csv,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
}
SUFFIXES = tuple(_READERS)


def read_table(
    folder: Folder, name: str, sheet: Sheet, workspace: Workspace, named_at: Span
) -> tuple[Entries | None, list[Diagnostic]]:
    """The rows of a file, or what is wrong in it.

    ``named_at`` is where a document names the file; findings about the file as a whole stand there.
    """
    reader = _READERS.get(PurePosixPath(name).suffix.lower())
    try:
        if reader is None:
            hint = "save it as CSV, JSON lines or Parquet, with that suffix"
            raise Refused("E_TABLE_FORMAT", f"{name} is none of {', '.join(SUFFIXES)}", hint)
        return reader(folder, name, sheet, workspace)
    except Refused as refused:
        return None, [refused.at(named_at)]
