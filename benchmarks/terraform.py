"""``stratctl plan`` beside ``terraform plan`` of as many built-in resources, in the same run.

Both plan 10,000 things that exist, of which one in a hundred has changed: members of a cohort in
Parquet beside a snapshot, and ``terraform_data`` counted in the shortest configuration there is,
beside a local state. Applying that many takes terraform minutes, so it applies one, and the state
gets as many more like it. Whole processes; the CPU counts, because what is waited for depends on
who else is at work. Ours is the median of some runs, terraform runs once: it takes minutes.

Two ratios: of the whole processes, and of what each planned participant takes, which is the plan of
10,000 less a plan of one, so that starting either program counts for nothing. Exits with 1 when
the second is under its limit. Where terraform is not installed there is nothing to compare with:
that is printed, and nothing is measured.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PARTICIPANTS = 10_000
RUNS = 3
FASTER_MIN = 100.0
"""CPU of terraform over ours, for each planned participant."""

CONFIGURATION = """
variable "things" { default = 1 }
variable "more" { default = 0 }
resource "terraform_data" "thing" {
  count = var.things
  input = 1000 + count.index % 977 + (count.index % 100 == 0 ? var.more : 0)
}
"""


@dataclass(frozen=True)
class Run:
    """One finished process, or what one takes less than another."""

    seconds: float
    cpu: float

    def __sub__(self, other: Run) -> Run:
        return Run(self.seconds - other.seconds, self.cpu - other.cpu)


def main() -> None:
    """Print one line a tool and the two ratios; fail when we are not that much faster."""
    terraform = shutil.which("terraform")
    if terraform is None:
        print("skipped: terraform is not installed, so there is nothing to compare with")
        return
    with tempfile.TemporaryDirectory() as folder:
        books = {size: ours(Path(folder) / f"ours-{size}", size) for size in (1, PARTICIPANTS)}
        states = {
            size: theirs(Path(folder) / f"theirs-{size}", size, terraform)
            for size in (1, PARTICIPANTS)
        }
        stratctl = [sys.executable, "-m", "stratctl", "plan", "--snapshot", "live.zip"]
        plan = [terraform, "plan", "-input=false", "-no-color", "-var", "more=500"]
        runs: dict[tuple[str, int], list[Run]] = {}
        for size in (1, PARTICIPANTS):
            changed = len(range(0, size, 100))
            said = f"{changed:,} to top up"
            runs["stratctl", size] = [run(stratctl, books[size], said) for _ in range(RUNS)]
            counted = [*plan, "-var", f"things={size}"]
            said = f"Plan: 0 to add, {changed} to change, 0 to destroy."
            runs["terraform", size] = [run(counted, states[size], said)]
    medians = {
        which: Run(
            statistics.median(one.seconds for one in some),
            statistics.median(one.cpu for one in some),
        )
        for which, some in runs.items()
    }
    each = {}
    for tool in ("stratctl", "terraform"):
        whole, one = medians[tool, PARTICIPANTS], medians[tool, 1]
        each[tool] = (whole - one).cpu / (PARTICIPANTS - 1)
        print(
            f"{tool:9} plan of {PARTICIPANTS:,}: {whole.cpu:6.2f} s of CPU, waited"
            f" {whole.seconds:6.2f} s; of one {one.cpu:4.2f} s of CPU; each further"
            f" {each[tool] * 1e6:6.1f} µs of CPU"
        )
    whole_ratio = medians["terraform", PARTICIPANTS].cpu / medians["stratctl", PARTICIPANTS].cpu
    # Ours can come out as nothing at all between two runs; a microsecond is the least we claim.
    ratio = each["terraform"] / max(each["stratctl"], 1e-6)
    print(
        f"each participant {ratio:.0f} x faster (at least {FASTER_MIN:g} x); as whole processes"
        f" {whole_ratio:.1f} x"
    )
    sys.exit(ratio < FASTER_MIN)


def ours(root: Path, size: int) -> Path:
    """A project with its snapshot."""
    run([sys.executable, "-m", "benchmarks.made.book", str(root), "changed", str(size)], ROOT)
    return root


def theirs(root: Path, size: int, terraform: str) -> Path:
    """A configuration whose resources exist; the plan of it says what has changed."""
    root.mkdir()
    (root / "main.tf").write_text(CONFIGURATION, encoding="utf-8")
    run([terraform, "init", "-input=false", "-no-color"], root)
    run([terraform, "apply", "-auto-approve", "-input=false", "-no-color"], root)
    file = root / "terraform.tfstate"
    state = json.loads(file.read_text(encoding="utf-8"))
    (declared,) = state["resources"]
    (made,) = declared["instances"]
    declared["instances"] = [another(made, number) for number in range(size)]
    file.write_text(json.dumps(state), encoding="utf-8")
    return root


def another(made: dict[str, Any], number: int) -> dict[str, Any]:
    """An instance like one that terraform has made, with an id and a value of its own."""
    value = {"type": "number", "value": 1000 + number % 977}
    attributes = {**made["attributes"], "id": str(uuid.UUID(int=number + 1))}
    attributes |= {"input": value, "output": value}
    return {**made, "index_key": number, "attributes": attributes}


def run(command: list[str], root: Path, says: str = "") -> Run:
    """Run a command to its end. A failure, or another answer, ends the benchmark."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} exited with {done.returncode}: {done.stderr[-500:]}")
    if says not in done.stdout:
        sys.exit(f"{' '.join(command)} does not say {says!r}: {done.stdout[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, cpu)


if __name__ == "__main__":
    main()
