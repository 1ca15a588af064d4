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

FORMATS = ("text", "json", "github", "sarif", "junit")
"""How findings are shown."""


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@format_option(*FORMATS)
@click.pass_obj
def validate(state: State, paths: tuple[str, ...], chosen: str | None) -> int:
    """Check everything that needs no network.

    Every mistake of every file is reported at once, each with its line, a code, the reason and
    the way out. With PATHs only findings in those files or folders are shown; the exit code still
    speaks for the whole project, because its files depend on each other.

    Every format carries the same findings, on standard output. Files in github and sarif count
    from the top of the Git repository, where GitHub looks for them; the others from the project.

    \b
    Examples:
      stratctl validate
      stratctl validate strategies/blue-chip.yaml
      stratctl validate --format github      # annotations in a workflow
      stratctl validate --format sarif > findings.sarif
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
    report(state, root, found, good, code, paths)
    return code


def report(
    state: State,
    root: Path,
    found: Sequence[Diagnostic],
    good: str,
    code: Exit,
    paths: tuple[str, ...],
) -> None:
    """Show the findings under the paths in the chosen format; ``good`` is said when all is well."""
    from stratctl.view import diagnostics

    shown = [one for one in found if _under(one, root, paths)]
    said = good if good and not shown else f"{diagnostics.tally(shown)}\n"
    if state.format == "text":
        sources, color = state.sources(shown), state.console.colors_results
        text = diagnostics.text(shown, sources, color=color) if shown else said
        state.console.result(text)
    else:
        command = click.get_current_context().command_path
        state.console.result(_for_machines(state.format, command, shown, code, root))
        state.console.note(said)
    if len(shown) < len(found):
        state.console.note(f"{len(found) - len(shown):,} more in other files.\n")


def _for_machines(
    name: str, command: str, found: Sequence[Diagnostic], code: int, root: Path
) -> str:
    """The findings in one of the formats that no person reads as it is."""
    from stratctl import __version__
    from stratctl.load.shipped import shipped
    from stratctl.view import github, json, junit, sarif

    if name == "json":
        return json.diagnostics(found, code)
    if name == "github":
        return github.commands(found, prefix=_from_the_top(root))
    if name == "junit":
        return junit.report(found, command=command)
    return sarif.log(
        found,
        command=command,
        version=__version__,
        help_texts=sarif.explanations(shipped("docs/diagnostics.md")),
        prefix=_from_the_top(root),
    )


def _from_the_top(root: Path) -> str:
    """What leads to the project from the top of its Git repository; nothing outside of one."""
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            within = root.relative_to(folder).as_posix()
            return "" if within == "." else f"{within}/"
    return ""


def _under(finding: Diagnostic, root: Path, paths: tuple[str, ...]) -> bool:
    """Whether a finding is in one of the paths, which count from here; all are, without paths."""
    if not paths:
        return True
    if finding.span is None:
        return False
    place = (root / finding.span.file).resolve()
    return any(place.is_relative_to(Path(path).resolve()) for path in paths)
