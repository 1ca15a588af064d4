"""docs/cli.md is what the command line says of itself."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]

OPENING = """\
# Command line

Written by `make schemas` from what each command says of itself; a test compares.
"""


def told(*command: str) -> str:
    """What a command answers to --help, at a fixed width."""
    run = subprocess.run(
        [sys.executable, "-c", "from stratctl.cli import main; main()", *command, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return re.sub(r"^Usage: -c\b", "Usage: stratctl", run.stdout)


def commands(text: str) -> list[str]:
    """The names under "Commands:" in a help text."""
    listed = text.partition("\nCommands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  (\S+)", listed, re.MULTILINE)


def reference(*command: str) -> str:
    """The chapter of a command, and those of its own commands."""
    text = told(*command)
    chapter = f"\n## `{' '.join(('stratctl', *command))}`\n\n```text\n{text.rstrip()}\n```\n"
    return chapter + "".join(reference(*command, name) for name in commands(text))


def test_the_reference_is_what_the_commands_say(golden: Callable[[Path, str], None]) -> None:
    """Every command's help is in docs/cli.md, word for word."""
    text = reference()
    assert text.count("\n## ") > 5, "the list of commands was not found in the help text"
    golden(ROOT / "docs" / "cli.md", OPENING + text)
