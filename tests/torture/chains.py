"""What is tried, and what the workers do with it; they import this and not the command."""

from __future__ import annotations

import atexit
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from tests.torture import failing, kills, proxy, pushes, races
from tests.torture.ground import Ground, ground
from tests.torture.story import MovedWrong

CHUNK = 5
"""Seeds that a worker tries in a row; few, so that no worker is left alone at the end."""

CASES_MAX = 40
"""Cases on one ground: to open one takes as long as some cases, and its sandbox forgets nothing."""

PLANTED = (("own_ids", "races", "forked"), ("new_ids", "proxy", "kept"))
"""A bug, and where it must be found."""

PLANTED_TRIES_MAX = 20


@dataclass(frozen=True)
class Part:
    """One way to torture."""

    about: str
    names: tuple[str, ...]
    once: Callable[[Ground, str, int], bool]
    """Try one. False where there was nothing to meet."""
    count: int = 0
    """How many seeds in all; 0: one after another until there is nothing to meet."""


PARTS = {
    "failing": Part("system calls that failed, one at a time", failing.NAMES, failing.once),
    "pushes": Part("pushes of the journal that failed or killed", pushes.NAMES, pushes.once),
    "kills": Part("deaths by kill -9 at a durable step", kills.NAMES, kills.once),
    "races": Part("races of two applies without locks", races.NAMES, races.once, count=200),
    "proxy": Part("schedules of faults on the wire", proxy.NAMES, proxy.once, count=500),
}


@dataclass(frozen=True)
class Chain:
    """Numbers of one kind that are tried on one ground."""

    part: str
    name: str
    numbers: range | None = None
    """None: 1, 2, 3 …"""
    one_in: int = 1

    def case(self, number: int) -> str:
        """What a person types to see one again."""
        return f"{self.part}/{self.name}/{number}"


def chains(parts: list[str], *, seed: int, one_in: int) -> Iterator[Chain]:
    """All of them, the long ones first."""
    for part in parts:
        names, count = PARTS[part].names, -(-PARTS[part].count // one_in)
        if not count:
            for name in sorted(names, reverse=True):
                yield Chain(part, name, one_in=one_in)
            continue
        for place, name in enumerate(names):
            # As even as it goes: what is left over goes to the first ones.
            mine = count // len(names) + (place < count % len(names))
            for start in range(seed, seed + mine, CHUNK):
                yield Chain(part, name, range(start, min(start + CHUNK, seed + mine)))


@dataclass(frozen=True)
class Tried:
    """What became of a chain."""

    chain: Chain
    met: int
    """How many there were to meet."""
    seconds: float


def run(chain: Chain) -> Tried:
    """Try each number. What fails is raised, and its name printed."""
    part = PARTS[chain.part]
    # Where in its first few a chain begins differs from chain to chain.
    first = 1 + sum(chain.name.encode()) % chain.one_in
    met = 0
    began = time.monotonic()
    for number in chain.numbers or itertools.count(first, chain.one_in):
        green = False
        try:
            touched = part.once(GROUNDS.next(), chain.name, number)
            green = True
        finally:
            if not green:
                print(f"FAILED, again: make torture CASE={chain.case(number)}", flush=True)
                GROUNDS.leave()
        if not touched and chain.numbers is None:
            break
        # A schedule in which nothing befell anybody is one of its seeds all the same.
        met += touched or part.count > 0
    # A fault that never strikes would leave everything green.
    alone = chain.one_in > 1 or chain.numbers is not None
    assert met or alone, f"{chain.part}/{chain.name}: there was nothing to meet"
    return Tried(chain, met, time.monotonic() - began)


class Grounds:
    """The ground on which this process tries its cases, and another one after some of them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._ground: Ground | None = None
        self._cases = 0

    def next(self) -> Ground:
        """Where the next case may happen."""
        if self._ground is None or self._cases == CASES_MAX:
            self.leave()
            self._ground = self._stack.enter_context(ground())
        self._cases += 1
        return self._ground

    def leave(self) -> None:
        """Close it: what a case that failed has left there must not meet another one."""
        self._ground, self._cases = None, 0
        self._stack.close()


GROUNDS = Grounds()
atexit.register(GROUNDS.leave)


def find_planted(bug: str, part: str, name: str) -> int:
    """How many numbers it took until money moved twice; 0 when it never did."""
    with ground() as at:
        at.planted = bug
        for number in range(1, PLANTED_TRIES_MAX + 1):
            try:
                PARTS[part].once(at, name, number)
            except MovedWrong:
                return number
            except AssertionError:
                continue  # It was noticed in another way: that is another safeguard.
    return 0
