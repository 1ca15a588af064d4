"""A sample of the simulation, and what its tables must say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.bugs import PLANTED
from tests.sim.canaries import CANARIES
from tests.sim.drills import DRILLS, drilled
from tests.sim.faults import GET_FAULTS, POST_FAULTS
from tests.sim.invariants import Violation
from tests.sim.matrix import ROWS, unreached
from tests.sim.schedule import minimised, run_schedule
from tests.sim.shape import ALONE
from tests.sim.test_scenarios import applied, settled, universe, versions
from tests.worlds import Declared

ROOT = Path(__file__).parents[2]
DRILLED = {*DRILLS, "partly_rejected", "stale_plan"}
"""With two that come along with others."""

QUICK = ("fsync_skipped", "lock_only", "body_in_the_id", "no_completeness_check")
"""Planted bugs that are found within some ten schedules; ``make sim`` finds all of them."""


def test_schedules_of_faults_leave_every_invariant_whole() -> None:
    """A few seeds of the plain planner, and one of the whole pipeline."""
    for seed in (*range(1, 16), 20):
        result = run_schedule(seed)
        assert not result.failure, f"{result.failure}; again: make sim SEED={seed} COUNT=1"


def test_the_same_seed_gives_the_same_trace_in_another_process() -> None:
    """Also where sets are iterated in another order."""
    said = "from tests.sim.schedule import run_schedule as r; print(r(3).digest, r(10).digest)"
    answers = {
        subprocess.run(
            [sys.executable, "-c", said],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


@pytest.mark.parametrize("kind", ["later", "other_body_400", "rolled_back"])
def test_a_fault_by_itself_is_met_with_its_reaction(kind: str) -> None:
    """And everything comes to rest with every invariant whole; ``make sim`` does it with all."""
    _, failure, met = drilled(kind)
    assert not failure
    assert kind in {name for _, name in met}


@pytest.mark.parametrize("bug", QUICK)
def test_a_planted_bug_is_found(bug: str) -> None:
    """A simulation that never fails proves nothing."""
    assert any(run_schedule(seed, bug=bug).failure for seed in range(1, 16))


def test_a_planted_violation_is_found_by_its_own_invariant() -> None:
    """Every invariant has one at least; without it all of them are content."""
    history = versions([Declared("P00001", "1000")])
    world = universe(ALONE, history)
    assert applied(world, (world.machines[0], history[0])) == ["0"]
    settled(world)
    for invariant, planted, look in CANARIES:
        with planted(world), pytest.raises(Violation, match=rf"^{invariant}: "):
            look(world.invariants)
        world.machines[0].sent = 0
        world.scheduler.lines.clear()
        world.invariants.at_the_end()
    assert {name for name, *_ in CANARIES} == {f"I{number}" for number in range(1, 13)}


def test_a_failing_schedule_becomes_smaller_and_still_fails() -> None:
    """The same finding, with fewer choices that are not dull."""
    failed = run_schedule(1, bug="fsync_skipped")
    small = minimised(failed, bug="fsync_skipped")
    assert small.kind == failed.kind == "I2"
    assert sum(map(bool, small.choices)) < sum(map(bool, failed.choices))
    again = run_schedule(failed.seed, replay=small.choices, bug="fsync_skipped")
    assert again.digest == small.digest


def test_every_row_of_the_matrix_has_its_faults_or_its_reason() -> None:
    """Fifty-six rows; each kind of fault has the reaction that is wanted, and a drill."""
    assert [row.number for row in ROWS] == list(range(1, 57))
    assert all(bool(row.reactions) != bool(row.instead) for row in ROWS)
    assert {r.number for r, _ in unreached(set())} == {r.number for r in ROWS if not r.instead}
    assert not unreached(
        {(r.number, kind) for r in ROWS for kind in r.reactions if kind in DRILLED}
    )
    assert len(PLANTED) == 7
    faults = (*POST_FAULTS, *GET_FAULTS)
    assert len({fault.name for fault in faults}) == len({*map(id, faults)})
