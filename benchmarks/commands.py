"""How long the commands take as whole processes, beside their floors, and their peak memory.

==============  ==============================================  =======================
line            what runs                                       floor, in the same run
==============  ==============================================  =======================
help            ``stratctl --help``                             Python importing click
plan, all new   the example set, on an empty provider           Python importing duckdb
apply           that plan, against the sandbox over loopback    -
plan, settled   the same set again: nothing to do               Python importing duckdb
plan, snapshot  100,000 participants, Parquet, 1 % changed      Python importing duckdb
==============  ==============================================  =======================

Medians of several runs (apply runs once per fresh sandbox). Exits with 1 when a limit is missed.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks.made.book import make_book

STRATCTL = (sys.executable, "-m", "stratctl")
BOOK = 100_000


@dataclass(frozen=True)
class Run:
    """One finished process."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Line:
    """One line of the table: medians, and what they are held against."""

    name: str
    runs: Sequence[Run]
    limit_seconds: float
    floor: Sequence[Run] = ()
    limit_mib: float = 0

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak_mib(self) -> float:
        return statistics.median(run.peak_mib for run in self.runs)

    @property
    def missed(self) -> bool:
        over = bool(self.limit_mib) and self.peak_mib > self.limit_mib
        return over or self.seconds > self.limit_seconds

    def __str__(self) -> str:
        floor = statistics.median(run.seconds for run in self.floor) if self.floor else 0
        ratio = f"{self.seconds / floor:5.1f} x floor" if floor else " " * 13
        limits = f"{self.limit_seconds:g} s" + (f", {self.limit_mib:g} MiB" * bool(self.limit_mib))
        measured = f"{self.seconds:7.3f} s  {self.peak_mib:6.0f} MiB"
        return (
            f"{self.name:16} {len(self.runs):2} runs  {measured}"
            f"  {ratio}  limit {limits}{'  MISSED' if self.missed else ''}"
        )


def main() -> None:
    """Measure everything, print the table."""
    lines = [
        Line(
            "help",
            repeat(15, lambda: run([*STRATCTL, "--help"])),
            limit_seconds=0.150,
            floor=repeat(15, lambda: run([sys.executable, "-c", "import click"])),
        )
    ]
    engine = repeat(5, lambda: run([sys.executable, "-c", "import duckdb"]))
    with sandboxed_examples() as (root, environ):
        plan = [*STRATCTL, "plan", "--out", "plan.zip"]
        new = repeat(3, lambda: run(plan, root, environ))
        lines.append(Line("plan, all new", new, limit_seconds=2, floor=engine))
        apply = [run([*STRATCTL, "apply", "plan.zip"], root, environ)]
        lines.append(Line("apply", apply, limit_seconds=20))
        settled = repeat(3, lambda: run(plan, root, environ))
        lines.append(Line("plan, settled", settled, limit_seconds=5, floor=engine))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_book(root, "changed", BOOK)
        plan = [*STRATCTL, "plan", "--snapshot", "live.zip", "--out", "plan.zip"]
        book = repeat(3, lambda: run(plan, root, dict(os.environ)))
        lines.append(Line("plan, snapshot", book, limit_seconds=5, floor=engine, limit_mib=600))
    for line in lines:
        print(line)
    sys.exit(any(line.missed for line in lines))


def repeat(times: int, once: Callable[[], Run]) -> list[Run]:
    """Run once without counting, to warm the caches, then ``times`` times."""
    once()
    return [once() for _ in range(times)]


def run(command: Sequence[str], cwd: Path = PROJECT, environ: dict[str, str] | None = None) -> Run:
    """Run a command to its end. What it prints is dropped; a failure ends the benchmark."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} exited with {process.returncode}:\n{said.decode()}")
    return Run(seconds, usage.ru_maxrss / 1024)


@contextmanager
def sandboxed_examples() -> Iterator[tuple[Path, dict[str, str]]]:
    """A copy of the example set with a sandbox of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(PROJECT / "strategies", root / "strategies")
        for name in ("stratctl.yaml", "policy.yaml"):
            shutil.copy(PROJECT / name, root / name)
        environ = {k: v for k, v in os.environ.items() if not k.startswith("STRATCTL_")}
        environ.pop("CI", None)
        sandbox = subprocess.Popen(
            [*STRATCTL, "sandbox", "--participants=5000", "--credentials=credentials"],
            cwd=root,
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert sandbox.stdout is not None
        json.loads(sandbox.stdout.readline())
        try:
            for line in (root / "credentials").read_text(encoding="utf-8").splitlines():
                name, _, value = line.partition("=")
                environ[name] = value
            yield root, environ
        finally:
            sandbox.terminate()
            sandbox.wait(timeout=30)


if __name__ == "__main__":
    main()
