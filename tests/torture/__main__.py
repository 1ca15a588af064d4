"""``python -m tests.torture``: real processes, sockets and files, and everything that goes wrong.

First a planted bug must be found. Then every case must be green: after it, each flow has moved
exactly once, nothing is lost, and the journal verifies. What fails can be seen again by its name.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.torture.chains import PARTS, PLANTED, Chain, chains, find_planted, run


def main(arguments: list[str]) -> int:
    """The exit code: 0 when everything was green."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this; may be repeated")
    parser.add_argument("--case", metavar="PART/NAME/NUMBER", help="one of them again")
    parser.add_argument("--seed", type=int, default=1, help="the first seed of races and schedules")
    parser.add_argument("--one-in", type=int, default=1, help="try one in so many")
    # One more than there are cores: some of them wait for a clock and not for a core.
    parser.add_argument("--jobs", type=int, default=3)
    asked = parser.parse_args(arguments)
    if asked.case:
        return _one(asked.case)
    parts = asked.part or list(PARTS)
    began = time.monotonic()
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        found = pool.map(find_planted, *zip(*PLANTED, strict=True))
        for (bug, part, name), number in zip(PLANTED, found, strict=True):
            said = f"money moved twice in {part}/{name}/{number}" if number else "NOT FOUND"
            print(f"planted {bug}: {said}", flush=True)
            if not number:
                return 1
        todo = [
            pool.submit(run, chain) for chain in chains(parts, seed=asked.seed, one_in=asked.one_in)
        ]
        counts, failed = _gathered(todo)
    seconds = time.monotonic() - began
    for part in parts:
        print(f"{counts[part]:6} {PARTS[part].about}")
    print(
        f"in {len(todo)} chains, {seconds:.0f} s: {f'{failed} FAILED' if failed else 'all green'}"
    )
    return 1 if failed else 0


def _gathered(todo: list[Future[tuple[Chain, int]]]) -> tuple[Counter[str], int]:
    """How many of each part were green, and how many chains broke."""
    counts: Counter[str] = Counter()
    failed = 0
    for future in as_completed(todo):
        error = future.exception()
        if error is not None:
            failed += 1
            traceback.print_exception(error)
            continue
        chain, met = future.result()
        counts[chain.part] += met
        print(f"{chain.part}/{chain.name}: {met} green", flush=True)
    return counts, failed


def _one(case: str) -> int:
    part, _, rest = case.partition("/")
    name, _, number = rest.rpartition("/")
    _, met = run(Chain(part, name, range(int(number), int(number) + 1)))
    print(f"{case}: green{'' if met else ', and there was nothing to meet'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
