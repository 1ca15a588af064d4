"""``stratctl recover``"""

from __future__ import annotations

import os

import click

from stratctl.cli.commands import Command
from stratctl.cli.options import format_option
from stratctl.cli.state import State
from stratctl.cli.watching import Watching


@click.command(cls=Command)
@click.option(
    "--no-wait",
    "impatient",
    is_flag=True,
    help="Leave open what may still be under way, instead of waiting up to three minutes.",
)
@format_option("text", "json")
@click.pass_obj
def recover(state: State, *, impatient: bool, chosen: str | None) -> int:
    """Find out what became of calls that were left open.

    A run that was killed, or lost its connection, leaves calls in the journal of which nobody knows
    whether they were carried out. The next apply finds out before it does anything else; this does
    the same and nothing more. It plans nothing and sends nothing, so that it needs no approval and
    no key that writes.

    Each call is looked up by its request id. What the provider knows is followed to its end and
    booked. What it does not know is given up once nothing of it can be under way any more, 180 s
    after it was last signed. What was given up is planned again.

    \b
    Exit codes:
      0  nothing is open any more
      5  the same, and some participants were rejected
      6  a call is still open
      8  an apply is running

    \b
    Examples:
      stratctl recover
      stratctl recover --no-wait --json | jq '.open'
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings
    from stratctl.view import json, report
    from stratctl.view.story import Story

    state.choose(chosen)
    watcher = Watching(state, Story(verbose=bool(state.verbose)))
    # A signal only asks: nothing is sent, and what was found out is written down.
    state.graceful = True
    result = pipeline.recover(
        state.root(),
        environment=state.env,
        environ=Surroundings(os.environ),
        wait=not impatient,
        progress=state.console.progress,
        watch=watcher,
        stopping=state.stopping,
    )
    watcher.end()
    code = state.exit_code(result.exit_code)
    console = state.console
    if state.format == "json":
        console.result(json.resolved(result, code))
    else:
        shown = report.resolved(result, color=console.colors_results, width=console.width)
        console.result(shown)
    return code
