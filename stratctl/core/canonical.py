"""Canonical text: one way to write a value, so that equal plans have equal bytes.

Each value is one line of JSON: ASCII, no spaces, keys ascending. The engine writes the lines of a
table itself, ten times as fast as they could be written here, as long as its text is plain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from stratctl.core.tables import Table

_PLAIN = r"[ !#-\[\]-~]*"
"""Text that is itself in JSON: printable ASCII without a quotation mark or a backslash."""


def canonical(value: object) -> str:
    """A value as one line, without its end."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)


def canonical_rows(table: Table, columns: Sequence[str], label: str = "") -> Iterator[bytes]:
    """Every row of some columns as a line, ascending; all lines of one first value together.

    A line is a list of its values, after ``label`` where one is given.
    """
    named = ", ".join(columns)
    texts = [column for column in columns if table.schema[column] == "VARCHAR"]
    plain = " AND ".join(f"coalesce(regexp_full_match({each}, '{_PLAIN}'), true)" for each in texts)
    written = table.workspace.rows(
        f"""
        SELECT string_agg(line, chr(10) ORDER BY {named}) || chr(10), bool_and(plain)
        FROM (
            SELECT {named}, {plain or "true"} AS plain,
                json_array({f"'{label}', {named}" if label else named})::VARCHAR AS line
            FROM {table}
        ) GROUP BY {columns[0]} ORDER BY {columns[0]}
        """,
        of=table,
    )
    if all(is_plain for _, is_plain in written):
        for lines, _ in written:
            yield lines.encode()
        return
    for row in table.workspace.rows(f"SELECT {named} FROM {table} ORDER BY {named}"):
        yield canonical([label, *row] if label else list(row)).encode() + b"\n"
