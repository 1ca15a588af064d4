"""``stratctl init``"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from stratctl.cli.commands import Command
from stratctl.cli.exits import Exit
from stratctl.cli.state import State
from stratctl.cli.writing import write_file

PROJECT = """\
# yaml-language-server: $schema=schemas/project.schema.json
kind: Project
version: 1
default_environment: sandbox

environments:
  # The local provider: `stratctl sandbox` starts it.
  sandbox:
    realm: sandbox
    endpoint: sandbox
    platform_code: PLAT01
    funding_model: novated
    float_account: {owner: 00SCXM, group: PLAT01, label: general}
  # The provider's certification environment. Replace the platform code by your own.
  cert:
    realm: cert
    endpoint: https://api.cert.zerohash.com
    platform_code: PLAT01
    funding_model: novated

# Everything that is ever sent is written here first. Say persistent: true only where this
# directory survives the machine.
journal:
  directory: .stratctl/journal
  persistent: false

policy: policy.yaml
"""

POLICY = """\
# yaml-language-server: $schema=schemas/policy.schema.json
# Limits for everything that is planned. What is not said here has the safe default: no
# liquidations and no asset exits without an acknowledgement, at most 100,000.00 of new money and
# a fifth of all holdings sold in one plan.
kind: Policy
version: 1

guards:
  liquidations: 0
  asset_exits: 0
  cash_in: 100000.00
  turnover: 0.20
"""

STRATEGY = """\
# yaml-language-server: $schema=../schemas/document.schema.json
kind: Strategy
version: 1
name: blue-chip
quoted_currency: USD
metadata: {platform_label: Blue Chip Crypto}
allocations: {BTC: 0.50, ETH: 0.30, SOL: 0.20} # exactly 1 in all
"""

COHORT = """\
# yaml-language-server: $schema=../schemas/document.schema.json
# Both totals are over all time and only rise: a rise of contributed is a top-up, a rise of
# withdrawn is a partial sell. Leaving somebody out sells nothing; status: exited does.
kind: Cohort
version: 1
name: founders
strategy: blue-chip
auto_rebalance: true
participants:
  - {participant_code: P00001, contributed: 15000.00}
  - {participant_code: P00002, contributed: 5000.00}
"""

IGNORED = (".stratctl/", "plan.zip")

FILES = {
    "stratctl.yaml": PROJECT,
    "policy.yaml": POLICY,
    "strategies/blue-chip.yaml": STRATEGY,
    "strategies/founders.yaml": COHORT,
}

EDITOR: Mapping[str, Mapping[str, object]] = {
    ".vscode/settings.json": {
        "yaml.schemas": {
            "schemas/project.schema.json": "stratctl.yaml",
            "schemas/policy.schema.json": "policy.yaml",
            "schemas/document.schema.json": ["strategies/**/*.yaml", "strategies/**/*.yml"],
        }
    },
    ".vscode/extensions.json": {"recommendations": ["redhat.vscode-yaml"]},
}
"""What an editor needs for files without a first line of ours; somebody's own is left as it is."""


@click.command(cls=Command)
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def init(state: State, folder: Path) -> int:
    """Scaffold a project that validates.

    Writes a project file, a policy, one Strategy with one cohort, the JSON Schemas and the editor
    settings that use them into FOLDER. No file is overwritten.

    With the schemas in the project, an editor that knows yaml-language-server completes, explains
    and checks what is written, without a network.

    \b
    Examples:
      stratctl init
      stratctl init portfolios && cd portfolios && stratctl validate
    """
    from stratctl.cli.schema import schema_files
    from stratctl.core.errors import UsageError

    files = {folder / name: content for name, content in FILES.items()}
    files |= schema_files(folder / "schemas")
    there = [path for path in files if path.exists()]
    if there:
        more = f" and {len(there) - 1} more of its files" if len(there) > 1 else ""
        raise UsageError(
            f"{there[0]}{more} exist already", hint="init writes into a place that has none of them"
        )
    for path, content in files.items():
        write_file(path, content)
        state.console.note(f"{path}\n")
    for name, settings in EDITOR.items():
        _offer(state, folder / name, settings)
    _ignore(folder / ".gitignore")
    state.console.note("Next: stratctl validate, then stratctl sandbox and stratctl plan.\n")
    return Exit.DONE


def _offer(state: State, path: Path, settings: Mapping[str, object]) -> None:
    """Write settings of the editor, or say what to add to those that are there."""
    if path.exists():
        wanted = json.dumps(settings)
        state.console.note(f"{path} is left as it is. For editing with checks, add: {wanted}\n")
    else:
        write_file(path, json.dumps(settings, indent=2) + "\n")
        state.console.note(f"{path}\n")


def _ignore(path: Path) -> None:
    """Add the lines that keep local state out of Git, where they are missing."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    missing = [line for line in IGNORED if line not in lines]
    write_file(path, "".join(f"{line}\n" for line in [*lines, *missing]))
