"""A finding for a person: where, which code, what, why, and the way out. Values, never raised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is. Only ``error`` stops."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """A place in a file a person wrote. ``file`` is relative to the project root.

    Lines and columns count from 1; 0 means that the whole file is meant.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column or 1}"


Settings = tuple[tuple[str, Span], ...]
"""What somebody wrote, by its keys joined with dots, and where. Defaults are not in it."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    ``code`` is stable and documented. ``summary`` is fixed text, the same words every time, so
    that readers learn to recognise it; ``detail`` carries the particulars and the numbers;
    ``hint`` is the way out.
    """

    code: str
    summary: str
    detail: str
    hint: str = ""
    span: Span | None = None
    severity: Severity = Severity.ERROR


ALIKE_MAX = 200
"""Findings of one code in one file: nobody reads more, and whoever mends these runs again."""


def in_reading_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort by file, place and code, and drop exact repeats; late, just before showing.

    Of more findings alike than anybody reads, the last that is kept says how many there are.
    """
    unique = dict.fromkeys(diagnostics)
    alike: dict[tuple[str, str], list[Diagnostic]] = {}
    for found in sorted(unique, key=_place):
        alike.setdefault((found.span.file if found.span else "", found.code), []).append(found)
    kept = [found for group in alike.values() for found in _few(group)]
    return tuple(sorted(kept, key=_place))


def _place(found: Diagnostic) -> tuple[Span, str, str]:
    return found.span or Span(""), found.code, found.detail


def _few(alike: list[Diagnostic]) -> list[Diagnostic]:
    hidden = len(alike) - ALIKE_MAX
    if hidden <= 0:
        return alike
    *others, last = alike[:ALIKE_MAX]
    return [*others, replace(last, detail=f"{last.detail}; and {hidden:,} more like it")]
