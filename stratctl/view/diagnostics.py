"""Findings and errors for a person: every finding with its line and a caret, and why a run failed.

``plain`` says what every other format of findings carries too: the same facts, in the same words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from stratctl.core.diagnostic import Diagnostic, Severity, Span
from stratctl.core.errors import (
    AccessRefused,
    BadResponse,
    InputError,
    JournalUnavailable,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PlanFileError,
    PlanStale,
    ReadStale,
    StratctlError,
)
from stratctl.core.settings import Configuration
from stratctl.view.text import Paint, count, safe

Sources = Mapping[str, Sequence[str]]
"""File -> its lines, for the carets. A file that is not there is shown without."""

CARET_LINE_MAX = 160
"""Characters of a source line that are shown; of a longer one, those around the place."""

WORDS_MAX = 2_000
"""Characters of a detail or a hint; what stands in a file must not push the rest out of sight."""


def plain(diagnostic: Diagnostic) -> Diagnostic:
    """The facts of a finding as every format tells them.

    Words are on one line and nothing in them acts. A place in a file has a line and a column, or
    neither. The file's name is left as it is: a format shows it or spells it out as it can.
    """
    span = diagnostic.span
    if span is not None:
        span = Span(span.file, span.line, max(1, span.column)) if span.line else Span(span.file)
    return replace(
        diagnostic,
        code=safe(diagnostic.code),
        summary=safe(diagnostic.summary),
        detail=safe(diagnostic.detail, longest=WORDS_MAX),
        hint=safe(diagnostic.hint, longest=WORDS_MAX),
        span=span,
    )


def worst_first(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Errors before warnings, else in the order in which they are read; each ``plain``."""
    found = map(plain, diagnostics)
    return sorted(found, key=lambda one: one.severity is not Severity.ERROR)


def text(diagnostics: Iterable[Diagnostic], sources: Sources, *, color: bool = False) -> str:
    """Every finding with its place, its line and a caret, then how many there are."""
    paint = Paint(color)
    found = list(diagnostics)
    shown: list[str] = []
    for diagnostic in found:
        shown += [*lines(diagnostic, sources, paint), ""]
    return "\n".join([*shown, tally(found)]) + "\n"


def no_problems(configuration: Configuration) -> str:
    """What there is and where it was checked, when nothing is wrong with it."""
    desired, chosen = configuration.desired, configuration.environment.name
    participants, cohorts = desired.rows.workspace.one(
        f"SELECT count(DISTINCT participant_code), count(DISTINCT cohort) FROM {desired.rows}"
    )
    cohorts += sum(strategy.live_cohort is not None for strategy in desired.strategies)
    there = (
        f"{count(len(desired.strategies), 'Strategy', 'Strategies')}, {count(cohorts, 'cohort')}, "
        f"{count(participants, 'participant')}"
    )
    *others, last = map(safe, configuration.checked or (chosen,))
    where = f"{', '.join(others)} and {last}" if others else last
    return f"No problems in {where}. {safe(chosen)} has {there}.\n"


def tally(found: Sequence[Diagnostic]) -> str:
    """``2 errors, 1 warning.``"""
    errors = sum(one.severity is Severity.ERROR for one in found)
    warnings = len(found) - errors
    if not found:
        return "No problems found."
    parts = [count(errors, "error")] if errors else []
    return ", ".join(parts + ([count(warnings, "warning")] if warnings else [])) + "."


def lines(diagnostic: Diagnostic, sources: Sources, paint: Paint) -> Iterator[str]:
    """``file:line:col: error E_CODE: summary``, then source line, detail and way out."""
    found = plain(diagnostic)
    color = "red" if found.severity is Severity.ERROR else "yellow"
    yield heading(found, paint(color, f"{found.severity.value} {found.code}"))
    if found.span:
        yield from _caret(found.span, sources)
    if found.detail:
        yield f"    {found.detail}"
    if found.hint:
        yield f"    hint: {found.hint}"


def heading(found: Diagnostic, what: str = "") -> str:
    """``file:line:col: error E_CODE: summary``, as editors and log scanners know it."""
    where = f"{safe(str(found.span))}: " if found.span else ""
    return f"{where}{what or f'{found.severity.value} {found.code}'}: {found.summary}"


def _caret(span: Span, sources: Sources) -> Iterator[str]:
    if not 1 <= span.line <= len(sources.get(span.file, ())):
        return
    source = sources[span.file][span.line - 1].rstrip("\r\n")
    number = str(span.line)
    # Of a line that is too long, what stands around the place is shown.
    start = max(0, min(span.column - CARET_LINE_MAX // 2, len(source) - CARET_LINE_MAX))
    end = start + CARET_LINE_MAX
    first, last = "…" if start else "", "…" if end < len(source) else ""
    # Tabs and characters that act are shown as escapes; the caret moves along with them.
    before = first + safe(source[start : span.column - 1])
    yield f"    {number} | {first}{safe(source[start:end])}{last}"
    yield f"    {' ' * len(number)} | {' ' * _columns(before)}^"


def _columns(text: str) -> int:
    """Columns that a terminal gives to a text: two to wide characters, none to accents."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


# --- errors ----------------------------------------------------------------------------------

_WAYS_OUT: Mapping[type[StratctlError], str] = {
    NotSent: "nothing was sent; check the network and the endpoint in stratctl.yaml",
    OutcomeUnknown: "apply again: it finds out first, and sends nothing twice",
    AccessRefused: "check the credentials, their rights, and that this address is allowed",
    NotFound: "check platform_code and endpoint in stratctl.yaml, and provider ids",
    BadResponse: "nothing was sent; try again, and report it to the provider if it stays",
    ReadStale: "nothing was sent; try again in a minute",
    PlanStale: "plan again",
    PlanFileError: "make it with stratctl plan --out FILE",
    JournalUnavailable: "nothing was sent; make the journal's directory readable and writable",
}
"""What to do where the error itself does not say."""


def way_out(error: StratctlError) -> str:
    """What a person can do about an error; empty when nobody knows."""
    return error.hint or _WAYS_OUT.get(type(error), "")


def error_text(error: StratctlError, sources: Sources, *, color: bool = False) -> str:
    """An error of the tree for a person: what, why, the way out."""
    if isinstance(error, InputError):
        return text(error.diagnostics, sources, color=color)
    paint = Paint(color)
    shown = [f"{paint('red', 'error')}: {safe(error.summary, longest=2_000)}"]
    if hint := way_out(error):
        shown.append(f"    hint: {safe(hint)}")
    return "\n".join(shown) + "\n"
