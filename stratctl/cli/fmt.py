"""``stratctl fmt``"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stratctl.cli.commands import Command
from stratctl.cli.exits import Exit
from stratctl.cli.state import State

if TYPE_CHECKING:
    from stratctl.core.report import Formatted

STDIN = "<stdin>"


@click.command(cls=Command)
@click.argument(
    "paths",
    nargs=-1,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    metavar="[PATH]...",
)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if something would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@click.pass_obj
def fmt(state: State, paths: tuple[Path, ...], check: bool, diff: bool) -> int:
    """Lay documents out in the canonical way.

    Rewrites the project file, the policy and strategies/**/*.yaml in place and lists those that
    changed. Comments, digits and the order of rows stay; keys stand in the order of the schemas.
    With PATHs only those files, or the project's documents in those folders; with - standard input
    is formatted to standard output.

    What a document says never changes. A file with mistakes in its YAML is reported and left alone;
    the exit code is 1 then.

    \b
    Examples:
      stratctl fmt
      stratctl fmt strategies/blue-chip.yaml
      stratctl fmt --check --diff            # in a workflow
      stratctl fmt - < draft.yaml            # in an editor
    """
    from stratctl import pipeline
    from stratctl.core.errors import InputError
    from stratctl.view import formatting, json

    writes = not (check or diff)
    if Path("-") not in paths:
        results = pipeline.fmt(_root(state, paths), paths, writes=writes)
    elif len(paths) == 1:
        data = sys.stdin.buffer.read()
        results = [pipeline.fmt_bytes(data, STDIN)]
    else:
        raise click.UsageError("- stands alone: there is one standard output")
    problems = [found for result in results for found in result.problems]
    changes = check and any(result.changed for result in results)
    code = Exit.ERROR if problems or changes else Exit.DONE
    if state.format == "json":
        state.console.result(json.formatting(results, code))
        return code
    state.console.result(_text(results, paths, diff=diff, writes=writes))
    if paths != (Path("-"),):
        state.console.note(formatting.summary(results, writes=writes))
    if problems:
        raise InputError(problems)
    return code


def _root(state: State, paths: tuple[Path, ...]) -> Path | None:
    """The project; none is needed for files that are named."""
    from stratctl.core.errors import UsageError

    try:
        return state.root()
    except UsageError:
        if not paths:
            raise
        return None


def _text(results: list[Formatted], paths: tuple[Path, ...], *, diff: bool, writes: bool) -> str:
    from stratctl.view import formatting

    if diff:
        return formatting.differences(results)
    if writes and paths == (Path("-"),):
        return results[0].after
    return formatting.names(results)
