"""``stratctl halt`` and ``stratctl resume``"""

from __future__ import annotations

import os

import click

from stratctl.cli.commands import Command
from stratctl.cli.exits import Exit
from stratctl.cli.state import State


@click.command(cls=Command)
@click.option("--exits-only", is_flag=True, help="Let liquidations and partial sells through.")
@click.option("--reason", required=True, metavar="TEXT", help="Why. It is written down.")
@click.pass_obj
def halt(state: State, exits_only: bool, reason: str) -> int:
    """Stop every apply until resume.

    The halt is an entry of the journal, so it holds for everybody who applies with it.

    \b
    Examples:
      stratctl halt --reason "prices look wrong"
      stratctl halt --exits-only --reason "no new money today"
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings

    pipeline.halt(
        state.root(),
        environment=state.env,
        environ=Surroundings(os.environ),
        exits_only=exits_only,
        reason=reason,
    )
    what = "Only exits are applied" if exits_only else "Nothing is applied"
    state.console.note(f"{what} until stratctl resume.\n")
    return Exit.DONE


@click.command(cls=Command)
@click.option("--reason", required=True, metavar="TEXT", help="Why. It is written down.")
@click.pass_obj
def resume(state: State, reason: str) -> int:
    """Allow applying again.

    \b
    Examples:
      stratctl resume --reason "prices are fine"
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings

    pipeline.resume(
        state.root(), environment=state.env, environ=Surroundings(os.environ), reason=reason
    )
    state.console.note("Applying is allowed again.\n")
    return Exit.DONE
