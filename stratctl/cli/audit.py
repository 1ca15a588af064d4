"""``stratctl audit``"""

from __future__ import annotations

import click

from stratctl.cli.commands import Group
from stratctl.cli.exits import Exit
from stratctl.cli.options import format_option
from stratctl.cli.state import State


@click.group(cls=Group)
def audit() -> None:
    """Read and verify the journal.

    The journal is the append-only record of what was meant, sent and answered.
    """


@audit.command()
@format_option("text", "json")
@click.pass_obj
def log(state: State, chosen: str | None) -> int:
    """Print the journal, one entry on a line, oldest first.

    \b
    Examples:
      stratctl audit log | tail
      stratctl audit log --format json | jq 'select(.type == "outcome")'
    """
    from stratctl import pipeline
    from stratctl.view import json, report

    as_json = state.choose(chosen) == "json"
    for entry in pipeline.audit_log(state.root(), environment=state.env):
        line = json.entry(entry) if as_json else f"{report.journal_line(entry)}\n"
        state.console.result(line)
    return Exit.DONE


@audit.command()
@format_option("text", "json")
@click.pass_obj
def verify(state: State, chosen: str | None) -> int:
    """Check the journal against its chain and its sums.

    Every line against the one before it, and the totals by a second reckoning. One changed byte is
    an error (exit code 1).

    \b
    Examples:
      stratctl audit verify
    """
    from stratctl import pipeline
    from stratctl.view import json, report

    state.choose(chosen)
    found = pipeline.audit_verify(state.root(), environment=state.env)
    if state.format == "json":
        state.console.result(json.audit(found))
    else:
        state.console.result(report.audit(found, color=state.console.colors_results))
    return Exit.DONE if found.holds else Exit.ERROR
