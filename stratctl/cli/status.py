"""``stratctl status`` and ``stratctl snapshot``"""

from __future__ import annotations

import os
from pathlib import Path

import click

from stratctl.cli.commands import Command
from stratctl.cli.exits import Exit
from stratctl.cli.options import format_option
from stratctl.cli.state import State


@click.command(cls=Command)
@format_option("text", "json")
@click.pass_obj
def status(state: State, chosen: str | None) -> int:
    """Summarise what is live.

    Strategies, Traders, drift, Operations in flight, float, and where the journal stands.

    \b
    Examples:
      stratctl status
      stratctl status --env prod --format json
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings
    from stratctl.view import json, report

    state.choose(chosen)
    found = pipeline.status(
        state.root(),
        environment=state.env,
        environ=Surroundings(os.environ),
        progress=state.console.progress,
    )
    if state.format == "json":
        state.console.result(json.status(found))
    else:
        state.console.result(report.status(found, color=state.console.colors_results))
    return Exit.DONE


@click.command(cls=Command)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to save it.",
)
@click.pass_obj
def snapshot(state: State, out: Path) -> int:
    """Save what is live, for plans without credentials.

    It holds what customers hold: keep it where you would keep that.

    \b
    Examples:
      stratctl snapshot --out live.snapshot
      stratctl plan --snapshot live.snapshot
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings

    pipeline.snapshot(
        state.root(),
        environment=state.env,
        environ=Surroundings(os.environ),
        path=out,
        progress=state.console.progress,
    )
    state.console.note(f"Saved as {out}\n")
    return Exit.DONE
