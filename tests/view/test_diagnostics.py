"""Findings and errors as people and GitHub see them."""

from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.diagnostic import Diagnostic, Severity, Span
from stratctl.core.errors import InputError, PlanStale, UsageError
from stratctl.view import diagnostics

SOURCE = {"strategies/a.yaml": ["kind: Strategy", "\tallocations: {BTC: 0.5}", "x" * 500]}


def finding(line: int = 2, column: int = 2, severity: Severity = Severity.ERROR) -> Diagnostic:
    """A finding in the source above."""
    span = Span("strategies/a.yaml", line, column)
    return Diagnostic(
        "E_WEIGHTS", "Weights must sum to 1", "they sum to 0.5", "add 0.5", span, severity
    )


def test_a_finding_shows_its_line_and_a_caret() -> None:
    """Place, code, summary, source line, caret, detail and hint stand together."""
    assert diagnostics.text([finding()], SOURCE) == (
        "strategies/a.yaml:2:2: error E_WEIGHTS: Weights must sum to 1\n"
        "    2 | \\u0009allocations: {BTC: 0.5}\n"
        "      |       ^\n"
        "    they sum to 0.5\n"
        "    hint: add 0.5\n"
        "\n"
        "1 error.\n"
    )


def test_a_finding_without_a_readable_line_has_no_caret() -> None:
    """A whole file, a line past the end, a very long line or an unknown file show no source."""
    for line in (0, 3, 9):
        assert " | " not in diagnostics.text([finding(line=line)], SOURCE)
    assert " | " not in diagnostics.text([finding()], {})
    assert "^" not in diagnostics.text([finding(column=0)], SOURCE)


def test_findings_are_counted() -> None:
    """Errors and warnings are counted apart, and nothing found is said."""
    found = [finding(), finding(severity=Severity.WARNING), finding(severity=Severity.WARNING)]
    assert diagnostics.text(found, {}).endswith("1 error, 2 warnings.\n")
    assert diagnostics.text([], {}) == "No problems found.\n"


def test_the_worst_annotation_comes_first() -> None:
    """GitHub shows about ten of a kind, so errors stand before warnings."""
    lines = diagnostics.github([finding(severity=Severity.WARNING), finding()]).splitlines()
    assert lines == [
        "::error file=strategies/a.yaml,line=2,col=2,title=E_WEIGHTS%3A Weights must sum to 1"
        "::they sum to 0.5 Hint: add 0.5",
        "::warning file=strategies/a.yaml,line=2,col=2,title=E_WEIGHTS%3A Weights must sum to 1"
        "::they sum to 0.5 Hint: add 0.5",
    ]


def test_an_annotation_may_have_no_place() -> None:
    """A finding about a whole file has no line, and one about nothing has no file."""
    whole = Diagnostic("E_X", "S", "d", span=Span("a.yaml"))
    assert diagnostics.github([whole]) == "::error file=a.yaml,title=E_X%3A S::d\n"
    assert diagnostics.github([Diagnostic("E_X", "S", "d")]) == "::error title=E_X%3A S::d\n"


texts = st.sampled_from(
    [
        "::error::x",
        "a\n::set-output name=x::y",
        "a\r\n::stop-commands::t",
        "%0A::add-mask::x",
        ",b=c",
    ]
) | st.text(max_size=40)


@given(texts)
def test_no_text_becomes_a_workflow_command(text: str) -> None:
    """Whatever the configuration says, one finding is one command with the same properties."""
    shown = diagnostics.github([Diagnostic(text, text, text, text, Span(text, 3, 4))])
    assert shown.count("\n") == 1
    assert shown.startswith("::error ")
    assert "\r" not in shown
    properties = shown.removeprefix("::error ").split("::", 1)[0]
    assert [one.split("=", 1)[0] for one in properties.split(",")] == [
        "file",
        "line",
        "col",
        "title",
    ]
    assert ":" not in properties


def test_an_error_says_the_way_out() -> None:
    """An error is its summary and its hint; an InputError is its findings."""
    stale = PlanStale("the plan no longer fits", hint="plan again")
    assert diagnostics.error_text(stale, {}) == (
        "error: the plan no longer fits\n    hint: plan again\n"
    )
    assert "hint" not in diagnostics.error_text(UsageError("x"), {})
    assert "    hint: plan again\n" in diagnostics.error_text(PlanStale("x"), {})
    assert "E_WEIGHTS" in diagnostics.error_text(InputError([finding()]), {})
    assert "\x1b[31m" in diagnostics.error_text(stale, {}, color=True)
