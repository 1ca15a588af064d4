"""Participant codes that a person cannot tell apart."""

from __future__ import annotations

from stratctl.core.diagnostic import Diagnostic
from stratctl.lint.places import Rows

LOOK_ALIKES = ("O0", "IL1", "B8", "S5", "Z2")
"""Characters that look like the last one of their group in many typefaces."""

_FROM = "".join(group[:-1] for group in LOOK_ALIKES)
_TO = "".join(group[-1] * (len(group) - 1) for group in LOOK_ALIKES)


ALIKE_ROWS = {"strategy": "VARCHAR", "seen": "VARCHAR"}
"""What several codes of a Strategy look like."""


def look_alikes(rows: Rows) -> list[Diagnostic]:
    """Codes of one Strategy that are the same once look-alikes are one: all but the first."""
    space = rows.table.workspace
    seen = f"translate(participant_code, '{_FROM}', '{_TO}')"
    alike = space.select(
        "alike",
        ALIKE_ROWS,
        f"SELECT strategy, {seen} AS seen FROM {rows.table} GROUP BY ALL HAVING count(*) > 1",
    )
    sql = f"""
        SELECT file, line, strategy, participant_code, first_code, first_file, first_line
        FROM (
            SELECT *, row_number() OVER place AS nth,
                first_value(participant_code) OVER place AS first_code,
                first_value(file) OVER place AS first_file,
                first_value(line) OVER place AS first_line
            FROM (SELECT *, {seen} AS seen FROM {rows.table}) JOIN {alike} USING (strategy, seen)
            WINDOW place AS (PARTITION BY strategy, seen ORDER BY file, line, participant_code)
        ) WHERE nth > 1"""

    def telling(strategy: str, code: str, first: str, file: str, line: int) -> tuple[str, str]:
        detail = f"{code} looks like {first} at {rows.place(file, line)}, both in {strategy}"
        return detail, "make sure that both are meant, and that each has its own amount"

    found = rows.findings("W_CONFUSABLE", sql, telling)
    space.run(f"DROP TABLE {alike}")
    return found
