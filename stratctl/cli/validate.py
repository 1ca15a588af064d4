"""``stratctl validate``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stratctl.cli.commands import Command
from stratctl.cli.exits import Exit
from stratctl.cli.options import format_option
from stratctl.cli.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratctl.core.diagnostic import Diagnostic


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@format_option("text", "json", "github")
@click.pass_obj
def validate(state: State, paths: tuple[str, ...], chosen: str | None) -> int:
    """Check everything that needs no network.

    Every mistake of every file is reported at once, each with its line, a code, the reason and
    the way out. With PATHs only findings in those files or folders are shown; the exit code still
    speaks for the whole project, because its files depend on each other.

    \b
    Examples:
      stratctl validate
      stratctl validate strategies/blue-chip.yaml
      stratctl validate --format github      # annotations in a workflow
    """
    from stratctl import pipeline
    from stratctl.core.errors import InputError
    from stratctl.view import diagnostics

    state.choose(chosen)
    root = state.root()
    good = ""
    try:
        configuration = pipeline.validate(root, environment=state.env)
        found: Sequence[Diagnostic] = configuration.desired.warnings
        good, code = diagnostics.no_problems(configuration), Exit.DONE
    except InputError as error:
        found, code = error.diagnostics, Exit.ERROR
    shown = [one for one in found if _under(one, root, paths)]
    state.console.result(_text(state, shown, good))
    if len(shown) < len(found):
        state.console.note(f"{len(found) - len(shown):,} more in other files.\n")
    return code


def _text(state: State, found: list[Diagnostic], good: str) -> str:
    from stratctl.view import diagnostics, json

    if state.format == "json":
        return json.diagnostics(found)
    if state.format == "github":
        return diagnostics.github(found)
    if good and not found:
        return good
    return diagnostics.text(found, state.sources(found), color=state.console.colors_results)


def _under(finding: Diagnostic, root: Path, paths: tuple[str, ...]) -> bool:
    """Whether a finding is in one of the paths, which count from here; all are, without paths."""
    if not paths:
        return True
    if finding.span is None:
        return False
    place = (root / finding.span.file).resolve()
    return any(place.is_relative_to(Path(path).resolve()) for path in paths)
