"""Each declared unit of money moves exactly once, whatever is lost, late, repeated or crashes."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.apply.machine import Crash, Machine, head_slot
from tests.apply.world import FAULTS, LOST_AFTER, OK, Provider

CODES = ("CUST01", "CUST02", "CUST03")
amounts = st.dictionaries(st.sampled_from(CODES), st.integers(1, 10_000_000), min_size=1)
faults = st.lists(st.sampled_from(FAULTS), max_size=8)
RUNS_MAX = 12


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place for one journal."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def settle(machine: Machine, deceptions: list[str]) -> int:
    """Apply again and again, first with deceptions, then without; how many runs it took."""
    for run in range(1, RUNS_MAX):
        try:
            result = machine.run(deceptions)
        except Crash:
            machine.provider.wait(1)
            continue
        deceptions = []
        if not result.outcomes and not result.left and not result.problems:
            return run
    raise AssertionError(f"not settled after {RUNS_MAX} runs: {machine.problems}")


def check_once(machine: Machine) -> None:
    """The laws: exactly once, one body per id, dense slots, nothing sent after the end."""
    provider = machine.provider
    provider.wait(120)
    assert provider.moved_minor() == dict(machine.declared)
    assert all(len(bodies) == 1 for bodies in provider.bodies.values())
    before = head_slot(provider)
    assert machine.run().requests == 0
    assert head_slot(provider) == before


@settings(max_examples=settings().max_examples // 3)
@given(declared=amounts, deceptions=faults, lag=st.integers(0, 40), late=st.integers(0, 20))
def test_every_flow_moves_once_through_any_deception(
    declared: dict[str, int], deceptions: list[str], lag: int, late: int
) -> None:
    """Lost, late, repeated and limited requests, slow lists and slow Executions change nothing."""
    with tempfile.TemporaryDirectory() as directory:
        provider = Provider(lag=lag, execution_lag=late)
        machine = Machine(provider, Path(directory), declared)
        settle(machine, deceptions)
        check_once(machine)


@settings(max_examples=settings().max_examples // 3)
@given(
    declared=amounts,
    deceptions=faults,
    crashes=st.lists(st.integers(0, 25), max_size=4),
    lag=st.integers(0, 40),
)
def test_every_flow_moves_once_through_any_crashes(
    declared: dict[str, int], deceptions: list[str], crashes: list[int], lag: int
) -> None:
    """I2 and I3: a machine that loses its power before or after any write goes on where it was.

    Each flow moves exactly once, an id never has another body, and one more apply sends nothing."""
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(Provider(lag=lag), Path(directory), declared)
        for steps in crashes:
            machine.steps_to_crash = steps
            try:
                machine.run(deceptions)
            except Crash:
                machine.provider.wait(3)
        machine.steps_to_crash = None
        settle(machine, [])
        check_once(machine)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("steps", range(20))
def test_a_crash_at_each_step_and_a_second_apply(steps: int, fault: str, directory: Path) -> None:
    """Whichever write was the last, with whichever deception: the second apply finishes it."""
    machine = Machine(Provider(lag=5), directory, {"CUST01": 10_000, "CUST02": 25_000})
    machine.steps_to_crash = steps
    try:
        machine.run([fault])
    except Crash:
        machine.provider.wait(1)
    machine.steps_to_crash = None
    settle(machine, [])
    check_once(machine)


def test_a_second_identical_amount_is_a_second_flow(directory: Path) -> None:
    """The same hundred dollars declared twice move twice: ids do not depend on amounts."""
    machine = Machine(Provider(), directory, {"CUST01": 10_000})
    settle(machine, [OK])
    machine.declared = {"CUST01": 20_000}
    settle(machine, [LOST_AFTER])
    check_once(machine)
    assert head_slot(machine.provider) == 2
