"""``stratctl plan`` of large books as a whole process, beside its floor, and its peak memory.

The cohort is in Parquet and live comes from a snapshot; a project has one Strategy of three assets.
The floor, in the same run and also a whole process, reads the same files with the bare engine: one
full outer join of the same columns on the same keys, a decision, the rows that differ, and what
each asset adds up to. Floor and command alternate; medians. ``show`` reads the plan of a book that
is all new.

``python benchmarks/plan_book.py 100000 1000000 10000000`` measures those sizes; the last takes
some minutes and 10 GB of disk and memory, and twice the memory where everybody is new, which is
left out where it is not there. ``--case changed`` measures one case only. With three sizes it fits
t = a + b·n to each pair of neighbours: b may grow by half. That is judged by CPU, because what
is waited for depends on who else is at work. Exits with 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.made.book import STRATEGY_ID

SIZES = (100_000, 1_000_000)
CASES = ("changed", "settled", "new")
MANY = 10_000_000
"""From this size on a case runs once."""
NEW_GIB = 1.7
"""What a plan takes for every million members that are new; less free memory leaves it out."""
RUNS = 3

LIMITS = {100_000: (2.0, 1.5), 1_000_000: (8.0, 1.5), MANY: (90.0, 8.0)}
"""Seconds and GiB of a plan in which one in a hundred changed."""
SAVED_SIZE = 1_000_000
SAVED_MB_MAX = 20
SHOW_SECONDS_MAX = 2.0
WRITE_SECONDS_MAX = 3.0
GROWTH_MAX = 1.5

FLOOR = f"""
import duckdb, sys
engine = duckdb.connect()
engine.execute('''
    CREATE TABLE differing AS
    SELECT *, declared.contributed_minor - live.contributed_minor AS flow_minor
    FROM (SELECT participant_code, '{STRATEGY_ID}' AS strategy_id,
            (contributed * 100)::BIGINT AS contributed_minor
          FROM 'strategies/cohorts/members.parquet') AS declared
    FULL JOIN 'rows.parquet' AS live USING (strategy_id, participant_code)
    WHERE declared.contributed_minor IS DISTINCT FROM live.contributed_minor
       OR live.target_text IS DISTINCT FROM 'BTC 0.5, ETH 0.3, SOL 0.2' OR busy IS NOT NULL
       OR parked IS NOT NULL OR exited OR has_foreign OR NOT auto_rebalance OR trader_id IS NULL
''')
engine.execute("SELECT asset, sum(quantity_e24) FROM 'holdings.parquet' GROUP BY asset").fetchall()
"""

WRITE = """
import time
from dataclasses import replace
from pathlib import Path
from stratctl import pipeline
plan = replace(pipeline.read_plan(Path("plan.zip")))  # which forgets the digest
began = time.perf_counter()
pipeline.write_plan(plan, Path("again.zip"))
print(time.perf_counter() - began)
"""


@dataclass(frozen=True)
class Run:
    """One finished process."""

    seconds: float
    cpu: float
    gib: float
    said: str
    """What it printed."""


def main() -> None:
    """Measure every size and case, print one line each, and fail when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--case", choices=CASES, action="append")
    options = parser.parse_args()
    missed: list[str] = []
    for case in options.case or CASES:
        grown = []
        for size in sorted(options.sizes):
            needed, free = NEW_GIB * size / 10**6, free_gib()
            if case == "new" and needed > free:
                print(f"plan, {size:,}, new: left out, {needed:.0f} GiB needed, {free:.0f} free")
                continue
            with tempfile.TemporaryDirectory() as folder:
                grown.append((size, measure(Path(folder), case, size, missed)))
        growth(case, grown, missed)
    if missed:
        sys.exit(f"over the limit: {', '.join(missed)}")


def free_gib() -> float:
    """Memory that a new process may have."""
    said = Path("/proc/meminfo").read_text(encoding="ascii").partition("MemAvailable:")[2]
    return int(said.split()[0]) / 2**20


def measure(root: Path, case: str, size: int, missed: list[str]) -> Run:
    """Print a line about one book; its medians."""
    # In a process of its own: a child's peak is never less than its parent's size when it began.
    run([sys.executable, "-m", "benchmarks.made.book", str(root), case, str(size)], root)
    for member in ("rows", "holdings"):
        # The floor reads what is in the snapshot, without taking it out first.
        taken = f"import zipfile; zipfile.ZipFile('live.zip').extract('{member}.parquet')"
        run([sys.executable, "-c", taken], root)
    plan = [sys.executable, "-m", "stratctl", "plan", "--snapshot", "live.zip"]
    plan += ["--out", "plan.zip"]
    floors, runs = [], []
    for _ in range(runs_of(size)):
        floors.append(run([sys.executable, "-c", FLOOR], root))
        runs.append(run(plan, root))
    seconds, floor = (statistics.median(one.seconds for one in some) for some in (runs, floors))
    cpu, floor_cpu = (statistics.median(one.cpu for one in some) for some in (runs, floors))
    gib, floor_gib = (max(one.gib for one in some) for some in (runs, floors))
    name = f"plan, {size:,}, {case}"
    limit = LIMITS.get(size) if case == "changed" else None
    if limit and (seconds > limit[0] or gib > limit[1]):
        missed.append(name)
    said = f" (limit {limit[0]:g} s, {limit[1]:g} GiB)" if limit else ""
    print(
        f"{name:25} {seconds:6.2f} s, {cpu:6.2f} s of CPU, {gib:5.2f} GiB{said}; floor"
        f" {floor:5.2f} s, {floor_cpu:5.2f} s of CPU, {floor_gib:5.2f} GiB:"
        f" {seconds / floor:4.1f} x, of CPU {cpu / floor_cpu:4.1f} x",
        flush=True,
    )
    if case == "new":
        saved(root, size, missed)
    return Run(seconds, cpu, gib, "")


def saved(root: Path, size: int, missed: list[str]) -> None:
    """Print how large the file of a plan is, and what writing and showing it take."""
    megabytes = (root / "plan.zip").stat().st_size / 10**6
    show = [sys.executable, "-m", "stratctl", "show", "plan.zip"]
    shows = [run(show, root) for _ in range(runs_of(size))]
    shown, shown_cpu = (statistics.median(some) for some in zip(*map(times, shows), strict=True))
    write = [sys.executable, "-c", WRITE]
    wrote = statistics.median(float(run(write, root).said) for _ in range(runs_of(size)))
    limits = f" (limits {SAVED_MB_MAX} MB, {WRITE_SECONDS_MAX:g} s, {SHOW_SECONDS_MAX:g} s)"
    print(
        f"plan file of {size:,} enrolments: {megabytes:.1f} MB, written in {wrote:.2f} s, shown in"
        f" {shown:.2f} s, {shown_cpu:.2f} s of CPU{limits if size == SAVED_SIZE else ''}",
        flush=True,
    )
    over = megabytes > SAVED_MB_MAX or wrote > WRITE_SECONDS_MAX or shown > SHOW_SECONDS_MAX
    if size == SAVED_SIZE and over:
        missed.append(f"plan file of {size:,}")


def growth(case: str, measured: list[tuple[int, Run]], missed: list[str]) -> None:
    """Print t = a + b·n through each two neighbouring sizes, and how b grows."""
    slopes = []
    for (fewer, before), (more, after) in itertools.pairwise(measured):
        (b, b_cpu) = (
            (last - first) / (more - fewer)
            for first, last in zip(times(before), times(after), strict=True)
        )
        print(
            f"{case}, {fewer:,} to {more:,}: {before.seconds - b * fewer:.2f} s + {b * 1e6:.2f} µs"
            f" each; of CPU {before.cpu - b_cpu * fewer:.2f} s + {b_cpu * 1e6:.2f} µs each",
            flush=True,
        )
        slopes.append(b_cpu)
    if len(slopes) > 1:
        grown = slopes[-1] / slopes[0]
        print(f"{case}: b grows {grown:.2f} x (limit {GROWTH_MAX:g} x)", flush=True)
        if grown > GROWTH_MAX:
            missed.append(f"growth, {case}")


def runs_of(size: int) -> int:
    """How often a size is measured."""
    return 1 if size >= MANY else RUNS


def times(one: Run) -> tuple[float, float]:
    """What was waited, and CPU."""
    return one.seconds, one.cpu


def run(command: list[str], root: Path) -> Run:
    """Run a command to its end. A failure ends the benchmark."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = root / "said"
    began = time.perf_counter()
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=root, env=environ, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} exited with {process.returncode}")
    cpu, gib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20
    return Run(seconds, cpu, gib, said.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
