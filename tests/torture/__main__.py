"""``python -m tests.torture``: real processes, sockets and files, and everything that goes wrong.

First a planted bug must be found. Then every case must be green: after it, each flow has moved
exactly once, nothing is lost, and the journal verifies. What fails can be seen again by its name.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.torture.chains import PARTS, PLANTED, Chain, Tried, chains, find_planted, run


def main(arguments: list[str]) -> int:
    """The exit code: 0 when everything was green."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this; may be repeated")
    parser.add_argument("--case", metavar="PART/NAME/NUMBER", help="one of them again")
    parser.add_argument("--seed", type=int, default=1, help="the first seed of races and schedules")
    parser.add_argument("--one-in", type=int, default=1, help="try one in so many")
    # More than there are cores: most of them wait for a clock and not for a core.
    parser.add_argument("--jobs", type=int, default=6)
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
        todo = {
            pool.submit(run, chain): chain
            for chain in chains(parts, seed=asked.seed, one_in=asked.one_in)
        }
        counts, failed = _gathered(todo, asked.jobs)
    seconds = time.monotonic() - began
    for part in parts:
        print(f"{counts[part]:6} {PARTS[part].about}")
    print(
        f"in {len(todo)} chains, {seconds:.0f} s: {f'{failed} FAILED' if failed else 'all green'}"
    )
    return 1 if failed else 0


def _gathered(todo: dict[Future[Tried], Chain], jobs: int) -> tuple[Counter[str], int]:
    """How many of each part were green, and how many chains broke."""
    counts: Counter[str] = Counter()
    failed = 0
    left = Left(todo.values(), jobs)
    for future in as_completed(todo):
        left.remaining.remove(todo[future])
        error = future.exception()
        if error is not None:
            failed += 1
            traceback.print_exception(error)
            continue
        tried = future.result()
        counts[tried.chain.part] += tried.met
        left.tried[tried.chain.part].append(tried)
        print(f"{tried.chain.part}/{tried.chain.name}: {tried.met} green, {left}", flush=True)
    return counts, failed


class Left:
    """How long it will take until all is tried: an estimate from what was."""

    def __init__(self, chains: Iterable[Chain], jobs: int) -> None:
        self.remaining = [*chains]
        self.tried: dict[str, list[Tried]] = defaultdict(list)
        """Of each part."""
        self._jobs = jobs

    def __str__(self) -> str:
        seconds = sum(self._seconds(chain) for chain in self.remaining) / self._jobs
        return f"{len(self.remaining)} chains and about {seconds / 60:.0f} min left"

    def _seconds(self, chain: Chain) -> float:
        """As chains of its part took, or of any part before there is one of its own."""
        alike = self.tried[chain.part] or [*itertools.chain.from_iterable(self.tried.values())]
        if chain.numbers is None:
            return sum(each.seconds for each in alike) / len(alike)
        cases = sum(max(1, each.met) for each in alike)
        return len(chain.numbers) * sum(each.seconds for each in alike) / cases


def _one(case: str) -> int:
    part, _, rest = case.partition("/")
    name, _, number = rest.rpartition("/")
    tried = run(Chain(part, name, range(int(number), int(number) + 1)))
    print(f"{case}: green{'' if tried.met else ', and there was nothing to meet'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
