"""``stratctl schema`` and ``stratctl completion``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stratctl.cli.commands import Command, stratctl
from stratctl.cli.exits import Exit
from stratctl.cli.state import State
from stratctl.cli.writing import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping

SUFFIX = ".schema.json"
KINDS = (
    *("project", "policy", "document", "strategy", "cohort", "acknowledgement"),
    *("plan", "journal", "diagnostics"),
)
SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command)
@click.argument("kind", required=False, type=click.Choice(KINDS), metavar="[KIND]")
@click.option(
    "--write",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write every schema into this folder.",
)
@click.pass_obj
def schema(state: State, kind: str | None, write: Path | None) -> int:
    """Show or write the JSON Schemas.

    KIND is project, policy, document, strategy, cohort, acknowledgement, plan, journal or
    diagnostics. Without KIND they are listed, each with what it describes. `document` is any of
    those that stand under strategies/, so that one schema serves all files there.

    Editors find the schemas in a folder of the project. `init` writes it; write it again after
    an upgrade.

    \b
    Examples:
      stratctl schema
      stratctl schema strategy
      stratctl schema --write schemas
    """
    if kind and write:
        raise click.UsageError("KIND shows one schema, --write writes all of them")
    if write:
        for name in write_schemas(write):
            state.console.note(f"{name}\n")
    elif kind:
        state.console.result(_text(all_schemas()[kind + SUFFIX]))
    else:
        said = {name: all_schemas()[name + SUFFIX]["description"] for name in KINDS}
        if state.json:
            state.console.result(_text(said))
        else:
            state.console.result("".join(_line(name, text) for name, text in said.items()))
    return Exit.DONE


def all_schemas() -> Mapping[str, Mapping[str, Any]]:
    """File name -> schema of everything that stratctl reads or writes."""
    from stratctl.core import plan_json
    from stratctl.documents import schemas
    from stratctl.journal import record
    from stratctl.view import json as json_view

    return {
        **schemas(),
        f"plan{SUFFIX}": plan_json.schema(),
        f"journal{SUFFIX}": record.schema(),
        f"diagnostics{SUFFIX}": json_view.diagnostics_schema(),
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema; the paths, ascending. Raises UsageError."""
    files = schema_files(folder)
    for path, content in files.items():
        write_file(path, content)
    return list(files)


def schema_files(folder: Path) -> dict[Path, str]:
    """Path -> text of every schema, as ``write_schemas`` writes them."""
    return {folder / name: _text(content) for name, content in sorted(all_schemas().items())}


def _line(name: str, description: str) -> str:
    """A kind and the first sentence about it."""
    return f"{name:<17}{description.partition('. ')[0].rstrip('.')}.\n"


def _text(content: Mapping[str, Any]) -> str:
    """Keys keep the order of the models, which is the order for readers."""
    return json.dumps(content, indent=2) + "\n"


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_obj
def completion(state: State, shell: str) -> int:
    """Print the completion script of a shell.

    \b
    Examples:
      stratctl completion bash > ~/.local/share/bash-completion/completions/stratctl
      stratctl completion fish > ~/.config/fish/completions/stratctl.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, "click knows the shells that are offered"
    script = found(stratctl, {}, "stratctl", "_STRATCTL_COMPLETE").source()
    state.console.result(script + "\n")
    return Exit.DONE
