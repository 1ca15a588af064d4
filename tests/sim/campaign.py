"""What the workers of a campaign do; they import this and not the command."""

from __future__ import annotations

from dataclasses import replace

from tests.sim.invariants import Invariants, Violation
from tests.sim.schedule import REAL_EVERY, Result, run_schedule
from tests.sim.sweep import dies_everywhere

PLANTED_SCHEDULES_MAX = 600
TWICE_EVERY = 50
"""Every so many seeds the schedule is run a second time, and must leave the same trace."""


def run_some(seeds: range) -> list[Result]:
    """Clean ones without their lines; the first that fails ends it."""
    results = []
    for seed in seeds:
        result = run_schedule(seed)
        if seed % TWICE_EVERY == 0 and not result.failure:
            result = _twice(result)
        results.append(result)
        if result.failure:
            break
    return results


def _twice(result: Result) -> Result:
    try:
        Invariants.i12_same_seed_same_trace(result.digest, run_schedule(result.seed).digest)
    except Violation as violation:
        return replace(result, failure=str(violation))
    return result


def find_planted(bug: str) -> tuple[str, int, str]:
    """(bug, how many schedules it took, what was found)"""
    for seed in range(1, PLANTED_SCHEDULES_MAX + 1):
        if seed % REAL_EVERY == 0:
            continue  # The cheap ones find them sooner.
        result = run_schedule(seed, bug=bug)
        if result.failure:
            return bug, seed, result.failure
    return bug, PLANTED_SCHEDULES_MAX, ""


def sweep(how: tuple[str, bool]) -> str:
    """Die at every port, and the second time also in the recovery from that."""
    kind, twice = how
    deaths = dies_everywhere(kind, twice=twice)
    return f"{kind} at {deaths} ports{', and again in recovery' if twice else ''}: each moved once"
