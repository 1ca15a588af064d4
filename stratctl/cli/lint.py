"""``stratctl lint``"""

from __future__ import annotations

import os
from pathlib import Path

import click

from stratctl.cli.commands import Command
from stratctl.cli.exits import Exit
from stratctl.cli.options import format_option
from stratctl.cli.state import State
from stratctl.cli.validate import FORMATS, report


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@format_option(*FORMATS)
@click.option("--strict", is_flag=True, help="Exit with 1 when there is a warning.")
@click.option(
    "--ignore", multiple=True, metavar="CODE", help="Leave out warnings of this code. Repeatable."
)
@click.option("--live", is_flag=True, help="Also ask the provider who is on the platform.")
@click.option(
    "--snapshot",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The same, from a saved copy of what is live; needs no credentials.",
)
@click.pass_obj
def lint(
    state: State,
    *,
    paths: tuple[str, ...],
    chosen: str | None,
    strict: bool,
    ignore: tuple[str, ...],
    live: bool,
    snapshot: Path | None,
) -> int:
    """Warn about what is allowed and probably not meant.

    Codes that look alike, contributions too small to enroll with, drift bands wider than a weight,
    weights with needless zeros, tables that nothing names, and files that others may not have.
    With --live or --snapshot also cohorts of whom the platform knows nobody. Mistakes are reported
    as validate does; validate itself leaves these warnings out. docs/diagnostics.md has an entry
    for each code.

    \b
    Exit codes:
      0  no errors; there may be warnings
      1  an error, or, with --strict, a warning

    \b
    Examples:
      stratctl lint
      stratctl lint strategies/founders.yaml
      stratctl lint --strict --ignore W_CONFUSABLE
      stratctl -e prod lint --snapshot live.snapshot
    """
    from stratctl import pipeline
    from stratctl.core.errors import InputError
    from stratctl.core.surroundings import Surroundings
    from stratctl.documents import SUMMARIES

    if live and snapshot:
        raise click.UsageError("--live and --snapshot are two ways to say it: give one")
    warnings = [code for code in SUMMARIES if code.startswith("W_")]
    for ignored in ignore:
        if ignored not in warnings:
            raise click.UsageError(f"--ignore {ignored}: the codes are {', '.join(warnings)}")
    state.choose(chosen)
    root = state.root()
    try:
        every = pipeline.lint(
            root,
            environment=state.env,
            environ=Surroundings(os.environ),
            snapshot=snapshot,
            live=live,
            progress=state.console.progress,
        )
    except InputError as error:
        report(state, root, error.diagnostics, "", Exit.ERROR, paths)
        return Exit.ERROR
    found = [one for one in every if one.code not in ignore]
    code = Exit.ERROR if strict and found else Exit.DONE
    report(state, root, found, "Nothing to warn about.\n", code, paths)
    return code
