"""One target under Hypothesis, whose inputs have the shape of what people write.

    python -m tests.fuzz.shaped TARGET SECONDS

prints the number of executions. A finding is shrunk and written down, and the search goes on.
"""

from __future__ import annotations

import contextlib
import faulthandler
import sys
import time
from collections.abc import Collection
from dataclasses import replace

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.fuzz.findings import WORK, keep, trouble
from tests.fuzz.limits import UNENDING_SECONDS
from tests.fuzz.shapes import SHAPES
from tests.fuzz.targets import TARGETS, Target


class _Found(AssertionError):
    """Tells Hypothesis to look for a smaller input."""


def search(target: Target, shape: SearchStrategy[bytes], seconds: float) -> int:
    """Look for trouble for some time and keep it; the number of inputs that were tried."""
    deadline = time.monotonic() + seconds
    target = watched(target)
    known: set[str] = set()
    tried = 0
    while time.monotonic() < deadline:
        more, smallest = turn(target, shape, known, deadline, time.time_ns())
        tried += more
        for name, data in smallest.items():
            known.add(name)
            keep(target, name, data)
    return tried


def watched(target: Target) -> Target:
    """The same target, which ends the process when an input is not answered; the input stays."""
    last = WORK / target.name / "last"
    last.parent.mkdir(parents=True, exist_ok=True)

    def check(data: bytes) -> None:
        last.write_bytes(data)
        faulthandler.dump_traceback_later(UNENDING_SECONDS, exit=True)
        try:
            target.check(data)
        finally:
            faulthandler.cancel_dump_traceback_later()

    return replace(target, check=check)


def turn(
    target: Target,
    shape: SearchStrategy[bytes],
    known: Collection[str],
    deadline: float,
    number: int,
) -> tuple[int, dict[str, bytes]]:
    """Some hundred inputs: how many were tried, and the smallest for each trouble that is new.

    ``number`` decides which inputs.
    """
    smallest: dict[str, bytes] = {}
    tried = 0

    @seed(number)
    @settings(
        max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(shape)
    def look(data: bytes) -> None:
        nonlocal tried
        if time.monotonic() > deadline and not smallest:
            return
        tried += 1
        found = trouble(target, data)
        if found is not None and found.name not in known:
            smallest[found.name] = data
            raise _Found(found.name)

    with contextlib.suppress(_Found, ExceptionGroup):
        look()
    return tried, smallest


if __name__ == "__main__":
    name, time_given = sys.argv[1:]
    print(search(TARGETS[name], SHAPES[name], float(time_given)))
