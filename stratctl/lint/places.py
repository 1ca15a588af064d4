"""Rows of the desired state and where they stand, for findings that a query makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.tables import Table
from stratctl.documents import warning

if TYPE_CHECKING:
    from stratctl.core.settings import Configuration
    from stratctl.documents import Documents

SHOWN_MAX = 100
"""Rows of one kind of finding that are reported one by one."""

Telling = Callable[..., tuple[str, str]]
"""The columns of a row after its place -> (detail, hint)."""


@dataclass(frozen=True)
class Rows:
    """DESIRED_ROWS of one environment, and which files have rows but no lines."""

    table: Table
    unlined: frozenset[str]

    @classmethod
    def of(cls, documents: Documents, configuration: Configuration) -> Rows:
        sources = [entries for members in documents.cohorts for entries in members.entries]
        unlined = frozenset(entries.file for entries in sources if not entries.has_lines)
        return cls(configuration.desired.rows, unlined)

    def place(self, file: str, line: int) -> str:
        """Where a row stands, in words."""
        return f"row {line} of {file}" if file in self.unlined else f"{file}:{line}"

    def findings(self, code: str, sql: str, telling: Telling) -> list[Diagnostic]:
        """A warning per row of a query, which begins with ``file, line``, and how many more."""
        space = self.table.workspace
        (count,) = space.one(f"SELECT count(*) FROM ({sql})")
        rows = space.rows(f"SELECT * FROM ({sql}) ORDER BY ALL LIMIT {SHOWN_MAX}")
        found = [self._finding(code, row, telling) for row in rows]
        if count > SHOWN_MAX:
            last = found[-1]
            more = f"{last.detail}; {count - SHOWN_MAX:,} more rows are like these"
            found[-1] = warning(code, more, last.span, last.hint)
        return found

    def _finding(self, code: str, row: tuple[Any, ...], telling: Telling) -> Diagnostic:
        file, line, *rest = row
        detail, hint = telling(*rest)
        if file in self.unlined:
            return warning(code, f"row {line}: {detail}", Span(file), hint)
        return warning(code, detail, Span(file, line), hint)
