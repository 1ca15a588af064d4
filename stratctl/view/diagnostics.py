"""Findings and errors: text with a caret, annotations for GitHub, and the one line of an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from stratctl.core.diagnostic import Diagnostic, Severity
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
    """``file:line:col: error E_CODE: summary``, then detail, source line and way out."""
    where = f"{safe(str(diagnostic.span))}: " if diagnostic.span else ""
    color = "red" if diagnostic.severity is Severity.ERROR else "yellow"
    severity = paint(color, f"{diagnostic.severity.value} {safe(diagnostic.code)}")
    yield f"{where}{severity}: {safe(diagnostic.summary)}"
    yield from _caret(diagnostic, sources)
    if diagnostic.detail:
        yield f"    {safe(diagnostic.detail)}"
    if diagnostic.hint:
        yield f"    hint: {safe(diagnostic.hint)}"


def _caret(diagnostic: Diagnostic, sources: Sources) -> Iterator[str]:
    span = diagnostic.span
    if span is None or not 1 <= span.line <= len(sources.get(span.file, ())):
        return
    source = sources[span.file][span.line - 1].rstrip("\r\n")
    if len(source) > CARET_LINE_MAX:
        return
    number = str(span.line)
    # Tabs and characters that act are shown as escapes; the caret moves along with them.
    before = safe(source[: max(0, span.column - 1)])
    yield f"    {number} | {safe(source)}"
    if span.column:
        yield f"    {' ' * len(number)} | {' ' * len(before)}^"


# --- GitHub ----------------------------------------------------------------------------------


def github(diagnostics: Iterable[Diagnostic]) -> str:
    """Workflow commands, the worst first: GitHub shows about ten of a kind and drops the rest."""
    found = sorted(diagnostics, key=lambda one: one.severity is not Severity.ERROR)
    return "".join(f"{_annotation(one)}\n" for one in found)


def _annotation(diagnostic: Diagnostic) -> str:
    command = "error" if diagnostic.severity is Severity.ERROR else "warning"
    properties = {}
    if diagnostic.span:
        properties["file"] = diagnostic.span.file
        if diagnostic.span.line:
            properties |= {"line": str(diagnostic.span.line), "col": str(diagnostic.span.column)}
    properties["title"] = f"{diagnostic.code}: {diagnostic.summary}"
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    hint = f" Hint: {diagnostic.hint}" if diagnostic.hint else ""
    return f"::{command} {listed}::{_data(diagnostic.detail + hint)}"


def _data(value: str) -> str:
    """A workflow command ends at its line; ``%`` begins an escape."""
    return safe(value).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


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
