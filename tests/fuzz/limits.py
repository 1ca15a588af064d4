"""What one input may cost: a second of the processor, and half a gibibyte beyond the baseline."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

SECONDS_MAX = 1.0
"""Processor time of one reading, so that a busy machine does not make a slow reader."""
AGAIN = 2
"""Neighbours on the machine only ever add to a reading's time, so the least of three is what it
costs."""
UNENDING_SECONDS = 10
"""A reading that takes more than its second is found when it ends; this is for one that does not,
and by the clock."""
MEMORY_MAX_MIB = 512

Result = TypeVar("Result")


class Costly(AssertionError):
    """A reading that took too long or too much memory."""


def within_limits(
    read: Callable[[], Result],
    *,
    seconds_max: float = SECONDS_MAX,
    memory_max_mib: int = MEMORY_MAX_MIB,
) -> Result:
    """The result of a reading that keeps to both limits. Raises Costly.

    The baseline of the memory is what the process holds when the reading begins: the interpreter,
    the libraries and the engine are in it. What readings leave behind is held to a limit for the
    whole process (see guided.py).
    """
    before, begun = _baseline_kib(), time.process_time()
    try:
        return read()
    finally:
        # Of an answer that is raised, too: it is no excuse.
        taken, grown = time.process_time() - begun, (peak_kib() - before) >> 10
        if grown > memory_max_mib:
            raise Costly(f"a reading took {grown:,} MiB of memory")
        for _ in range(AGAIN if taken > seconds_max else 0):
            taken = min(taken, _seconds(read))
        if taken > seconds_max:
            raise Costly(f"a reading took {taken:.1f} s of the processor")


def _seconds(read: Callable[[], object]) -> float:
    begun = time.process_time()
    with suppress(Exception):
        read()
    return time.process_time() - begun


def peak_kib() -> int:
    """The most that this process held in memory, in KiB, since it began or was last reset."""
    if not _STATUS.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak >> 10 if sys.platform == "darwin" else peak
    # Not ru_maxrss, in which a child of a large process begins with the peak of its parent.
    return int(_STATUS.read_text().partition("VmHWM:")[2].split(maxsplit=1)[0])


def _baseline_kib() -> int:
    """What the process holds now, and its peak counts from there; else the peak until now."""
    if _PEAK_RESET.exists():
        _PEAK_RESET.write_text("5")
    return peak_kib()


_STATUS = Path("/proc/self/status")
_PEAK_RESET = Path("/proc/self/clear_refs")
