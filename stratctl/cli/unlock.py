"""``stratctl unlock``"""

from __future__ import annotations

import click

from stratctl.cli.commands import Command
from stratctl.cli.exits import Exit
from stratctl.cli.state import State


@click.command(cls=Command)
@click.argument("nonce")
@click.pass_obj
def unlock(state: State, nonce: str) -> int:
    """Let the next apply in after a machine was lost.

    A journal on a Git branch is locked by a lease of ten minutes, because nobody can see whether a
    machine that is silent still runs. Whoever is kept out is told the nonce of the lock; unlocking
    names it, so that no other lock is broken than the one that was looked at. The holder, should it
    still run, is stopped at its next push, and what it may have sent is looked up before anything
    else. Money moves once even if you were wrong about it.

    The lock of a journal in a directory ends with its process and needs no unlocking.

    \b
    Exit codes:
      0  nobody is kept out any more
      8  another lock is held, or its process runs

    \b
    Examples:
      stratctl unlock 5f0c2a9be4d17733
    """
    from stratctl import pipeline
    from stratctl.view.text import safe

    holder = pipeline.unlock(state.root(), nonce, environment=state.env)
    said = f"Unlocked. It was held by {safe(holder)}." if holder else "Nothing is locked."
    state.console.note(f"{said}\n")
    return Exit.DONE
