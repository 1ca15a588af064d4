"""The tour of the README is run, word for word, by a new user."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
_EXITS = re.compile(r"\s+# exits with (\d+)$")
_WAIT = (
    "for _ in $(seq 100); do test -s .stratctl/sandbox.json && break; sleep 0.1; done;"
    " test -s .stratctl/sandbox.json || exit 98"
)


def _tour() -> list[str]:
    text = README.read_text(encoding="utf-8").partition("## A ten-minute tour")[2]
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def _script(commands: list[str]) -> str:
    """Each command must end as the README says; the sandbox is stopped whatever happens."""
    lines = ["trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    for command in commands:
        exits = _EXITS.search(command)
        lines.append(_EXITS.sub("", command))
        if command.endswith("&"):
            lines.append(_WAIT)
        else:
            expected = exits[1] if exits else "0"
            lines.append(f"code=$?; test $code -eq {expected} || {{ echo exited $code; exit 99; }}")
    return "\n".join(lines)


def test_every_command_of_the_tour_does_what_the_readme_says(
    tmp_path: Path, warm_stratctl: Path
) -> None:
    """The commands run in order in one shell, and each exits as the text promises."""
    commands = _tour()

    assert len(commands) > 15
    said, code = _run(_script(commands), tmp_path, warm_stratctl)

    assert code == 0, said
    assert said.count("No changes. Live matches the configuration.") == 1
    assert "The journal of sandbox holds" in said


def _run(script: str, folder: Path, program: Path) -> tuple[str, int]:
    """What a script said and its exit code; nothing that it started outlives it."""
    shell = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=300)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    return said, shell.returncode
