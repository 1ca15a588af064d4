"""One schedule from one seed: run it, and when it fails make it small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from tests.sim.bugs import PLANTED
from tests.sim.chance import Chance
from tests.sim.matrix import reacted
from tests.sim.shape import a_shape
from tests.sim.world import Universe

REAL_EVERY = 10
"""Every so many seeds the real planner and pipeline run, and not the plain planner."""

SHRINKING_RUNS_MAX = 250


@dataclass(frozen=True)
class Result:
    """What became of a schedule."""

    seed: int
    digest: str
    counts: Counter[str]
    steps: int
    failure: str = ""
    """Empty, or what was found in one line."""
    reacted: frozenset[tuple[int, str]] = frozenset()
    """(row of the matrix, kind of fault) whose fault happened and whose reaction was seen."""
    limits: tuple[str, ...] = ()
    """Documented limits that kept an invariant from holding."""
    choices: tuple[int, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The invariant, or the name of the error."""
        return self.failure.partition(":")[0]


def run_schedule(seed: int, *, replay: Sequence[int] | None = None, bug: str = "") -> Result:
    """Run it to its end. With ``replay`` its choices are these; with ``bug`` one is planted."""
    chance = Chance(seed, replay)
    world = Universe(chance, a_shape(chance, real=seed % REAL_EVERY == 0))
    failure = ""
    with PLANTED[bug]() if bug else nullcontext():
        try:
            world.run()
        except Exception as error:  # noqa: BLE001 — whatever a schedule lets through is its finding
            said = str(error)
            failure = (
                said if said[:1] == "I" and ":" in said[:4] else f"{type(error).__name__}: {said}"
            )
    world.sandbox.close()
    return Result(
        seed=seed,
        digest=world.digest,
        counts=world.counts,
        steps=world.scheduler.steps,
        failure=failure,
        reacted=frozenset(reacted(world.history)),
        limits=tuple(sorted(world.limits)),
        choices=tuple(chance.made),
        lines=tuple(world.scheduler.lines),
    )


def minimised(failed: Result, *, bug: str = "") -> Result:
    """The same kind of failure with as few choices that are not dull as a short search finds.

    Delta debugging: cut the end off, then turn runs of choices, ever shorter, into dull ones.
    """
    best = failed
    left = SHRINKING_RUNS_MAX

    def fails(choices: Sequence[int]) -> Result | None:
        nonlocal left
        left -= 1
        result = run_schedule(failed.seed, replay=choices, bug=bug)
        return result if result.kind == failed.kind else None

    size = max(1, len(best.choices) // 2)
    while size and left > 0:
        place, changed = 0, False
        while place < len(best.choices) and left > 0:
            tried = list(best.choices)
            part = tried[place : place + size]
            if any(part):
                tried[place : place + size] = [0] * len(part)
                found = fails(tried)
                if found is not None:
                    best, changed = found, True
            place += size
        if not changed:
            size //= 2
    return best
