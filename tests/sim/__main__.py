"""``python -m tests.sim``: run schedules, and when one fails print how to see it again.

First each planted bug must be found, then one machine dies at each of its ports, with each kind of
disk that its successor may find, then each fault happens by itself; then every schedule of the
seeds asked for must be clean, and in every row of the fault matrix that applies the reaction that
it demands must have been seen.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.sim.bugs import PLANTED
from tests.sim.campaign import find_planted, run_some, sweep
from tests.sim.drills import DRILLS, drilled
from tests.sim.matrix import ROWS, unreached
from tests.sim.schedule import Result, minimised, run_schedule

CHUNK = 20
SWEEPS = (("killed", False), ("power_lost", False), ("runner_lost", False), ("power_lost", True))
FULL_COUNT = 2_000
"""From so many schedules on, a row of the matrix whose reaction was never seen is a failure."""


def main(arguments: list[str]) -> int:
    """The exit code: 0 when everything that must hold did."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=FULL_COUNT, help="0 runs until stopped")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trace", action="store_true", help="print every line of each schedule")
    asked = parser.parse_args(arguments)
    if asked.trace or asked.count == 1:
        return _one(asked.seed)
    began = time.monotonic()
    met: set[tuple[int, str]] = set()
    in_schedules: set[tuple[int, str]] = set()
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        if asked.count == 0 or asked.count >= FULL_COUNT:
            for bug, seed, failure in pool.map(find_planted, sorted(PLANTED)):
                if not failure:
                    print(f"the planted bug {bug} was not found in {seed} schedules")
                    return 1
                print(f"planted {bug}: found by schedule {seed}, {failure}", flush=True)
            for said in pool.map(sweep, SWEEPS):
                print(said, flush=True)
            for kind, failure, reactions in pool.map(drilled, DRILLS):
                if failure:
                    print(f"the fault {kind} by itself: {failure}")
                    return 1
                met |= reactions
            print(f"{len(DRILLS)} faults by themselves: every invariant whole", flush=True)
        limits: Counter[str] = Counter()
        done = 0
        for results in pool.map(run_some, _chunks(asked.seed, asked.count)):
            for result in results:
                if result.failure:
                    pool.shutdown(wait=False, cancel_futures=True)
                    return _tell(result)
                in_schedules |= result.reacted
                limits.update(result.limits)
                done += 1
            if done % 500 < CHUNK:
                print(
                    f"{done} schedules in {time.monotonic() - began:.0f} s, all clean", flush=True
                )
    print(f"{done} schedules from seed {asked.seed}: clean, {time.monotonic() - began:.0f} s")
    for reason, number in sorted(limits.items()):
        print(f"documented limit in {number} schedules: {reason}")
    applies = [row for row in ROWS if row.reactions]
    missing, alone = unreached(met | in_schedules), unreached(in_schedules)
    print(
        f"fault matrix: in {len(applies) - len(missing)} of {len(applies)} rows that apply the"
        f" fault was met with the reaction it demands ({len(applies) - len(alone)} in schedules of"
        f" chance alone); {len(ROWS) - len(applies)} do not apply"
    )
    for row, kinds in missing:
        print(f"row {row.number}, {row.fault}: no reaction was seen to {', '.join(kinds)}")
    return 1 if missing and done >= FULL_COUNT else 0


def _chunks(seed: int, count: int) -> Iterator[range]:
    starts = itertools.count(seed, CHUNK) if not count else range(seed, seed + count, CHUNK)
    for start in starts:
        yield range(start, start + CHUNK if not count else min(start + CHUNK, seed + count))


def _one(seed: int) -> int:
    result = run_schedule(seed)
    print("\n".join(result.lines))
    print(f"seed {seed}: {result.steps} steps, trace {result.digest}")
    return _tell(result) if result.failure else 0


def _tell(failed: Result) -> int:
    print(f"seed {failed.seed} fails: {failed.failure}")
    print("making it smaller …", flush=True)
    small = minimised(failed)
    print("\n".join(small.lines))
    chosen = sum(1 for choice in small.choices if choice)
    print(f"\n{small.failure}")
    print(f"{chosen} choices that are not dull, of {len(failed.choices)} choices at first")
    print(f"again: make sim SEED={failed.seed} COUNT=1")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
