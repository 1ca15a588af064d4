"""What the global options say, for every command; and the project they point at."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from stratctl.cli.console import Console
from stratctl.cli.exits import Exit

if TYPE_CHECKING:
    from stratctl.core.diagnostic import Diagnostic


@dataclass
class State:
    """One run's global options, the same before and after the command's name."""

    env: str | None = None
    chdir: str | None = None
    no_color: bool = False
    input: bool | None = None
    quiet: bool = False
    verbose: int = 0
    json: bool = False
    format: str = "text"
    """How results and errors are shown; set by the command that has a choice."""
    signal: int | None = None
    """The first signal that asked us to stop."""
    graceful: bool = False
    """Whether the first signal only asks (an apply), instead of stopping at once."""
    console: Console = field(default_factory=Console)
    _root: Path | None = None

    # --- options ------------------------------------------------------------------------------

    def take(self, context: click.Context) -> None:
        """Take the global options out of a command's parameters; what is given last wins."""
        for option in GLOBAL:
            value = context.params.pop(option.name)
            if context.get_parameter_source(option.name) is not ParameterSource.DEFAULT:
                setattr(self, option.name, value)
                if option.name == "chdir":
                    os.chdir(value)
        self.console.quiet = self.quiet
        self.console.colors = not self.no_color and not os.environ.get("NO_COLOR")
        self.format = "json" if self.json else "text"

    def choose(self, chosen: str | None) -> str:
        """The format of this command: its own ``--format``, else ``--json``, else text."""
        self.format = chosen or self.format
        return self.format

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to answer a question."""
        if self.input is False:
            return False
        return sys.stdin.isatty() and sys.stderr.isatty()

    # --- the project --------------------------------------------------------------------------

    def root(self) -> Path:
        """The project: the nearest folder, from here upwards, that holds stratctl.yaml.

        Raises UsageError when there is none.
        """
        from stratctl.load import find_root

        self._root = find_root(Path.cwd())
        return self._root

    def sources(self, found: Iterable[Diagnostic]) -> Mapping[str, Sequence[str]]:
        """The lines of the files that findings name, for their carets."""
        sources: dict[str, Sequence[str]] = {}
        for name in {one.span.file for one in found if one.span}:
            path = self._root / name if self._root else None
            if path and path.is_file() and path.stat().st_size < SOURCE_BYTES_MAX:
                text = path.read_text(encoding="utf-8", errors="replace")
                sources[name] = text.split("\n")
        return sources

    # --- how it ends --------------------------------------------------------------------------

    def stopping(self) -> bool:
        """Whether a signal asked us to start nothing new."""
        return self.signal is not None

    def exit_code(self, code: int) -> int:
        """The code of the process: an interruption says which signal it was."""
        if code == Exit.INTERRUPTED and self.signal == signal.SIGTERM:
            return Exit.TERMINATED
        return code


SOURCE_BYTES_MAX = 5_000_000


# --- the options themselves --------------------------------------------------------------------


def global_options(*, environment: bool) -> list[click.Option]:
    """Every global option. Harmless ones have a variable too, read once, for the group.

    Which environment is meant, approval and acknowledgements have none: a variable that is
    forgotten in a shell must not decide where money moves.
    """

    def option(*declarations: str, variable: str | None = None, **rest: Any) -> click.Option:
        return click.Option(declarations, envvar=variable if environment else None, **rest)

    return [
        option("-e", "--env", help="The environment, as stratctl.yaml names it.", metavar="NAME"),
        option(
            "--chdir",
            help="Run as if started in this folder.",
            type=click.Path(exists=True, file_okay=False),
            metavar="DIR",
        ),
        option("--no-color", is_flag=True, help="No colours.", variable="STRATCTL_NO_COLOR"),
        option(
            "--input/--no-input", default=None, help="Whether to ask. Without: when at a terminal."
        ),
        option(
            "-q", "--quiet", is_flag=True, help="Less: summaries only.", variable="STRATCTL_QUIET"
        ),
        option("-v", "--verbose", count=True, help="More: every row. -vv: tracebacks of bugs."),
        option("--json", is_flag=True, help="Results and errors as JSON on standard output."),
    ]


GLOBAL = global_options(environment=False)
