"""The command table: names, help lines, and where each command lives.

The help lines stand here and not only in the commands, so that ``stratctl --help`` imports none
of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from stratctl import __version__
from stratctl.cli.exits import Exit
from stratctl.cli.state import GLOBAL, State, global_options

COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("init", "Scaffold a project that validates."),
    "validate": ("validate", "Check everything that needs no network."),
    "fmt": ("fmt", "Lay documents out in the canonical way."),
    "lint": ("lint", "Warn about what is allowed and probably not meant."),
    "plan": ("plan", "Show what would be sent, and what it moves in money."),
    "show": ("plan", "Show a saved plan, stale ones too."),
    "apply": ("apply", "Send what is approved, each call exactly once."),
    "status": ("status", "Summarise what is live."),
    "snapshot": ("status", "Save what is live, for plans without credentials."),
    "audit": ("audit", "Read and verify the journal."),
    "recover": ("recover", "Find out what became of calls that were left open."),
    "adopt": ("recover", "Take an Operation that is not ours into the declared totals."),
    "unlock": ("unlock", "Let the next apply in after a machine was lost."),
    "halt": ("halt", "Stop every apply until resume."),
    "resume": ("halt", "Allow applying again."),
    "schema": ("schema", "Show or write the JSON Schemas."),
    "sandbox": ("sandbox", "Run a local provider to try things on."),
    "completion": ("schema", "Print the completion script of a shell."),
}
"""Name -> (module under stratctl.cli, help line), in the order of a first day."""


class Command(click.Command):
    """A command that takes the global options too, after its own name."""

    def __init__(self, *arguments: Any, **rest: Any) -> None:
        super().__init__(*arguments, **rest)
        self.params = [*self.params, *global_options(environment=False)]

    def invoke(self, ctx: click.Context) -> Any:
        """Hand the global options to the state, the rest to the function."""
        ctx.ensure_object(State).take(ctx)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What is the command's own first, then what every command takes."""
        shared = {option.name for option in GLOBAL}
        for title, those in (("Options", False), ("Options of every command", True)):
            options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
            chosen = [one for one in options if (one.name in shared) is those]
            records = [record for one in chosen if (record := one.get_help_record(ctx))]
            with formatter.section(title):
                formatter.write_dl(records)


class Group(click.Group):
    """A few commands under one name."""

    command_class = Command


class TopGroup(click.Group):
    """All commands, each imported when it is run or its own help is asked for."""

    def __init__(self, *arguments: Any, **rest: Any) -> None:
        super().__init__(*arguments, **rest)
        self.params = [*self.params, *global_options(environment=True)]

    def invoke(self, ctx: click.Context) -> Any:
        """Take the global options that stand before the command's name."""
        ctx.ensure_object(State).take(ctx)
        return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and take the command from it."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"stratctl.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's help lines, without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


EXIT_CODES = "\b\nExit codes:\n" + "".join(f"  {code:>3}  {code.meaning}\n" for code in Exit)


@click.group(
    cls=TopGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="stratctl")
def stratctl() -> None:
    """Portfolio Strategies on zerohash as code.

    Declare Strategies, allocations and cohorts in YAML; plan shows the difference to what is live
    and what it moves in money; apply sends the fewest calls, each exactly once.

    \b
    A first day:
      stratctl init demo && cd demo
      stratctl sandbox --participants 100 &
      set -a; . .stratctl/credentials; set +a
      stratctl plan
      stratctl apply
    """
