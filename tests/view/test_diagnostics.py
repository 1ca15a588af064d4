"""Findings and errors as people see them."""

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
    """A whole file, a line past the end or an unknown file show no source."""
    for line in (0, 9):
        assert " | " not in diagnostics.text([finding(line=line)], SOURCE)
    assert " | " not in diagnostics.text([finding()], {})


def shown_source(column: int, source: str) -> tuple[str, str]:
    """The source line and the caret line of a finding."""
    text = diagnostics.text([finding(1, column)], {"strategies/a.yaml": [source]})
    _, line, caret, *_ = text.split("\n")
    return line, caret


def test_of_a_long_line_the_part_around_the_place_is_shown() -> None:
    """The caret stands below the same character as in the file, wherever that is."""
    source = "".join(chr(ord("a") + place % 26) for place in range(500))
    for column in (1, 79, 81, 250, 421, 500):
        line, caret = shown_source(column, source)
        assert len(line) < 180
        assert line[caret.index("^")] == source[column - 1]
        assert line.startswith("    1 | …") == (column > 80)
        assert line.endswith("…") == (column < 420)


def test_the_caret_counts_what_a_terminal_shows() -> None:
    """A wide character takes two columns and an accent of its own none."""
    assert shown_source(3, "日本x")[1] == "      |     ^"
    assert shown_source(4, "e\u0301xy")[1] == "      |   ^"


def test_findings_are_counted() -> None:
    """Errors and warnings are counted apart, and nothing found is said."""
    found = [finding(), finding(severity=Severity.WARNING), finding(severity=Severity.WARNING)]
    assert diagnostics.text(found, {}).endswith("1 error, 2 warnings.\n")
    assert diagnostics.text([], {}) == "No problems found.\n"


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
