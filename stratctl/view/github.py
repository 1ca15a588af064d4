"""Findings as workflow commands, which GitHub Actions shows beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from stratctl.core.diagnostic import Diagnostic
from stratctl.view.diagnostics import worst_first
from stratctl.view.text import safe


def commands(diagnostics: Iterable[Diagnostic], *, prefix: str = "") -> str:
    """One command a line, the worst first: GitHub shows about ten of a kind and drops the rest.

    ``prefix`` leads from the top of the Git repository, from which GitHub counts, to the project.
    """
    return "".join(f"{_command(one, prefix)}\n" for one in worst_first(diagnostics))


def _command(found: Diagnostic, prefix: str) -> str:
    properties = {}
    if found.span:
        properties["file"] = safe(prefix + found.span.file, longest=4_096)
        if found.span.line:
            line, column = str(found.span.line), str(found.span.column)
            properties |= {"line": line, "endLine": line, "col": column}
    properties["title"] = f"{found.code}: {found.summary}"
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    hint = f"\nhint: {found.hint}" if found.hint else ""
    return f"::{found.severity.value} {listed}::{_data(found.detail + hint)}"


def _data(value: str) -> str:
    """A workflow command ends at its line; ``%`` begins an escape."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
