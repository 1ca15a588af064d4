"""Time, sleep, chance and what runs side by side, handed in: simulation turns them by hand."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clockwork:
    """What the edge may wait on and be surprised by."""

    wall: Callable[[], float]
    """Unix seconds, for signatures only: it may jump."""
    monotonic: Callable[[], float]
    """Seconds that never go backwards, for deadlines, limits and leases."""
    sleep: Callable[[float], None]
    random: Callable[[], float]
    """Uniform in [0, 1), for jitter."""
    workers: Callable[[int], Executor] = ThreadPoolExecutor
    """At most so many things at a time, to be used as a context."""


def real_clockwork() -> Clockwork:
    """The machine's own."""
    return Clockwork(
        wall=time.time,
        monotonic=_asleep_or_awake,
        sleep=time.sleep,
        # Jitter only has to differ between machines; nobody gains by guessing it.
        random=random.random,
    )


def _asleep_or_awake() -> float:
    """Seconds that also pass while the machine sleeps, where ``time.monotonic`` stands still on
    Linux: the lease of a journal's lock ends all the same."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
