"""Applies in other processes, from the side of the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.world import ROOT, Project


@dataclass(frozen=True)
class Ended:
    """How an apply in another process ended."""

    killed: bool
    code: int
    error: str
    text: str
    problems: list[list[str]]


class Machines:
    """Starts applies in processes of their own. Each is a fork of one warm process, which has
    imported ``modules`` too."""

    def __init__(self, folder: Path, *modules: str) -> None:
        self._folder = folder
        self._started = 0
        self._results: dict[int, Path] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.driver", *modules],
            cwd=ROOT,
            env={key: value for key, value in os.environ.items() if key != "CI"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the warm process; its children have ended before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def start(self, project: Project, *, root: Path | None = None, **order: Any) -> int:
        """Begin an apply in a new process; answers with its process id."""
        self._started += 1
        result = self._folder / f"result{self._started}.json"
        said = {
            "do": "start",
            "root": str(root or project.root),
            "environ": project.environ,
            "result": str(result),
            **order,
        }
        pid = int(self._ask(said)["pid"])
        self._results[pid] = result
        return pid

    def wait(self, pid: int) -> Ended:
        """Wait for its end."""
        killed = bool(self._ask({"do": "wait", "pid": pid})["killed"])
        result = self._results.pop(pid)
        said = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
        return Ended(
            killed=killed,
            code=said.get("code", -1),
            error=said.get("error", ""),
            text=said.get("text", ""),
            problems=said.get("problems", []),
        )

    def apply(self, project: Project, **order: Any) -> Ended:
        """Apply in a new process and wait for its end."""
        return self.wait(self.start(project, **order))

    def kill(self, pid: int) -> Ended:
        """kill -9."""
        os.kill(pid, signal.SIGKILL)
        return self.wait(pid)

    @contextmanager
    def paused(self, project: Project, attempt: int, **order: Any) -> Iterator[Callable[[], Ended]]:
        """An apply that stands still before it sends its n-th request.

        The function that is given lets it go on and waits for its end.
        """
        self._started += 1
        gate = self._folder / f"gate{self._started}"
        pid = self.start(project, gate=[attempt, str(gate)], **order)

        def release() -> Ended:
            gate.touch()
            return self.wait(pid)

        eventually(gate.with_name(gate.name + ".reached").exists)
        try:
            yield release
        finally:
            # Nobody stands still for ever because a test failed.
            gate.touch()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def machines(folder: Path) -> Iterator[Machines]:
    """A warm process to start applies from."""
    opened = Machines(folder)
    try:
        yield opened
    finally:
        opened.close()


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
