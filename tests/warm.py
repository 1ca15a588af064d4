"""Processes that need no start-up: each is a fork of one that has imported what it will use.

``python -m tests.warm MODULE`` reads a JSON array per line from its standard input, calls
``MODULE.run`` with it in a new process, and answers with that process's exit code, negative for a
signal, and the text that ``run`` returned.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self


class Warm:
    """Starts processes that call the ``run`` of a module, one after another."""

    def __init__(self, module: str, environ: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", module],
            cwd=Path(__file__).parents[1],
            env={**os.environ, **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *said: str) -> tuple[int, str]:
        """Run once; the exit code and the text."""
        asks, answers = self._process.stdin, self._process.stdout
        assert asks is not None
        assert answers is not None
        print(json.dumps(said), file=asks, flush=True)
        code, text = json.loads(answers.readline())
        return code, text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.__exit__(kind, error, trace)


def main() -> None:
    """Fork until the input ends."""
    run = importlib.import_module(sys.argv[1]).run
    for line in sys.stdin:
        print(json.dumps(_forked(run, json.loads(line))), flush=True)


def _forked(run: Callable[..., str], said: list[str]) -> tuple[int, str]:
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.write(writing, run(*said).encode())
            code = 0
        finally:
            # Nothing of the child may come back into the loop of its parent.
            if code:
                traceback.print_exc()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


if __name__ == "__main__":
    main()
