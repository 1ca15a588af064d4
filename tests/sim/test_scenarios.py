"""Histories with names: each was, or would have been, a way to move money twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from stratctl.core.settings import Configuration
from stratctl.core.state import DESIRED_ROWS
from stratctl.core.tables import Workspace
from stratctl.sandbox.faults import Fault
from tests.sim.chance import Chance
from tests.sim.machine import Machine
from tests.sim.scheduler import PowerLoss
from tests.sim.shape import ALONE, PRIVATE, TARGETS, UNLOCKED, Shape, Version
from tests.sim.world import Universe
from tests.worlds import Declared, World, strategy

DEATHS = ("killed", "power_lost", "runner_lost")
P = "P00001"


def versions(*declared: list[Declared]) -> tuple[Version, ...]:
    """Configurations of one Strategy, merged one after another."""
    return tuple(
        Version(number, World(declared=rows, strategies=[strategy(rebalance_on="change")]))
        for number, rows in enumerate(declared, start=1)
    )


def universe(
    arrangement: str, merged: tuple[Version, ...], *, real: bool = False, **switches: str
) -> Universe:
    """Two machines, or one, without a fault that the scenario does not name."""
    return Universe(
        Chance(0, replay=()),
        Shape(
            arrangement=arrangement,
            machines=1 if arrangement == ALONE else 2,
            runs=0,
            real=real,
            versions=merged,
            switches=switches,
            faults=0,
            permille=0,
            approves=False,
        ),
    )


def applied(world: Universe, *machines: tuple[Machine, Version]) -> list[str]:
    """These machines apply side by side; how each ended."""
    for machine, version in machines:
        world.scheduler.spawn(machine.name, lambda m=machine, v=version: m.run(v))  # type: ignore[misc]  # bound now, one by one
    world.scheduler.run()
    return [machine.ended[-1] for machine, _ in machines]


def settled(world: Universe) -> dict[str, list[int]]:
    """Everything comes to rest and every invariant holds; what moved, by participant."""
    world.settle()
    world.invariants.at_the_end()
    return {code: moved for (_, code), moved in world.invariants.moved().items()}


def pausing(machine: Machine, at: str, seconds: int) -> Callable[[Machine, str], None]:
    """A script that lets a machine stand still, once, before something leaves it."""
    left = [1]

    def script(who: Machine, port: str) -> None:
        if who is machine and port.endswith(at) and left:
            left.clear()
            who.sleep_ms(seconds * 1000)

    return script


@pytest.mark.parametrize("mode", ["replay", "400", "409", "422"])
def test_another_body_in_the_slot_is_noticed_with_private_journals(mode: str) -> None:
    """Two machines with journals of their own and different configurations want slot 1."""
    both = versions([Declared(P, "1000")], [Declared(P, "1500")])
    world = universe(PRIVATE, both, same_id_other_body=mode)
    one, other = world.machines
    applied(world, (one, replace(both[0], world=replace(both[0].world, declared=[]))))
    world.script = pausing(one, "/enroll", 30)
    applied(world, (one, both[0]), (other, both[1]))
    assert world.counts[f"other_body_{mode}"]
    assert settled(world) == {P: [150_000, 0]}


@pytest.mark.parametrize("seconds", [20, 55, 70, 600])
def test_a_paused_sender_that_wakes_after_a_rebind_moves_nothing(seconds: int) -> None:
    """Another machine has used the slot for another body meanwhile; old signatures are dead."""
    both = versions([Declared(P, "1000")], [Declared(P, "1500")])
    world = universe(UNLOCKED, both)
    one, other = world.machines
    applied(world, (one, replace(both[0], world=replace(both[0].world, declared=[]))))
    world.script = pausing(one, "/enroll", seconds)
    applied(world, (one, both[0]), (other, both[1]))
    assert settled(world) == {P: [150_000, 0]}


@pytest.mark.parametrize("real", [False, True])
def test_a_stale_intent_is_not_sent_after_the_configuration_was_reverted(real: bool) -> None:
    """The request was lost and its top-up is declared no more: it is given up, not repeated."""
    history = versions([Declared(P, "1000")], [Declared(P, "1500")], [Declared(P, "1000")])
    world = universe(ALONE, history, real=real)
    (machine,) = world.machines
    assert applied(world, (machine, history[0])) == ["0"]
    world.provider.faults.add(Fault("timeout_before", method="POST"))
    world.script = dying_at("= Answer")
    assert applied(world, (machine, history[1])) == ["killed"]
    world.script = lambda who, port: None
    assert settled(world) == {P: [100_000, 0]}


def dying_at(at: str) -> Callable[[Machine, str], None]:
    """A script that kills whoever reaches this port."""

    def script(who: Machine, port: str) -> None:
        if port == at:
            who.die("killed")
            raise PowerLoss

    return script


def test_a_strategy_whose_metadata_was_wiped_is_still_known() -> None:
    """Who a Strategy is does not stand in its metadata: no second one is created."""
    history = versions([Declared(P, "1000")], [Declared(P, "1500")])
    world = universe(PRIVATE, history)
    one, other = world.machines
    assert applied(world, (one, history[0])) == ["0"]
    store = world.provider.world.store
    with store.transaction():
        store.write("UPDATE strategy SET metadata = NULL", ())
    assert applied(world, (other, history[1])) == ["0"]
    assert len(store.rows("SELECT id FROM strategy")) == 1
    assert settled(world) == {P: [150_000, 0]}


@pytest.mark.parametrize("real", [False, True])
def test_an_old_job_that_is_run_again_sends_nothing(real: bool) -> None:
    """From an old checkout, with the newest journal and with none."""
    history = versions(
        [Declared(P, "1000")], [Declared(P, "1500")], [Declared(P, "1500", withdrawn="100")]
    )
    world = universe(PRIVATE, history, real=real)
    one, other = world.machines
    for version in history:
        assert applied(world, (one, version)) == ["0"]
    before = world.invariants.mutations
    for version in history[:2]:
        assert applied(world, (one, version)) == ["PlanStale"]
    assert applied(world, (other, history[0])) == ["InputError"]
    assert applied(world, (other, history[1])) in (["0"], ["InputError"])
    assert world.invariants.mutations == before
    assert settled(world) == {P: [150_000, 10_000]}


class Renamed(Version):
    """The same people in a cohort, a file and an order of other names."""

    def configuration(self, space: Workspace) -> Configuration:
        """As declared, elsewhere."""
        made = super().configuration(space)
        rows = space.select(
            "renamed",
            DESIRED_ROWS,
            f"SELECT * REPLACE ('others' AS cohort, 'strategies/others.yaml' AS file)"
            f" FROM {made.desired.rows} ORDER BY participant_code DESC",
        )
        return replace(made, desired=replace(made.desired, rows=rows))


def test_a_renamed_cohort_moves_nothing() -> None:
    """Whose money it is has nothing to do with the name of a cohort or a file."""
    (first,) = versions([Declared(P, "1000"), Declared("P00002", "700")])
    world = universe(ALONE, (first, Renamed(2, first.world)), real=True)
    (machine,) = world.machines
    assert applied(world, (machine, first)) == ["0"]
    before = world.invariants.mutations
    assert settled(world) == {P: [100_000, 0], "P00002": [70_000, 0]}
    assert world.invariants.mutations == before


@pytest.mark.parametrize("real", [False, True])
def test_a_participant_that_is_declared_elsewhere_is_not_funded_twice(real: bool) -> None:
    """Money stands in one Strategy: funding it in another is refused before anything is sent."""
    two = [strategy("blue", rebalance_on="change"), strategy("gold", rebalance_on="change")]
    history = tuple(
        Version(n, World(declared=[Declared(P, "1000", strategy=name)], strategies=two))
        for n, name in enumerate(("blue", "gold"), start=1)
    )
    world = universe(ALONE, history, real=real)
    (machine,) = world.machines
    assert applied(world, (machine, history[0])) == ["0"]
    before = world.invariants.mutations
    assert applied(world, (machine, history[1])) == ["InputError"]
    assert world.invariants.mutations == before


@pytest.mark.parametrize("lag", ["45", "300"])
def test_a_lagging_account_read_sells_and_rebalances_once(lag: str) -> None:
    """Holdings that are behind what was settled lead to a later plan, never to a second flow."""
    (first,) = versions([Declared(P, "1000")])
    second = Version(
        2,
        World(
            declared=[Declared(P, "1300", withdrawn="0")],
            strategies=[strategy(rebalance_on="change", targets=(TARGETS[1],))],
        ),
    )
    third = replace(
        second, number=3, world=replace(second.world, declared=[Declared(P, "1300", "200")])
    )
    world = universe(ALONE, (first, second, third), real=True, accounts_lag_seconds=lag)
    (machine,) = world.machines
    world.scheduler.spawn("time", lambda: world.scheduler.sleep(400_000))
    world.scheduler.run()
    for version in (first, second, third):
        applied(world, (machine, version))
    assert settled(world) == {P: [130_000, 20_000]}
    kinds = [row[0] for row in world.provider.world.store.rows("SELECT type FROM operation")]
    assert sorted(set(kinds)) == sorted(kinds)


def test_death_at_any_port_with_any_disk_moves_everything_once() -> None:
    """Every eleventh port here; ``make sim`` dies at each of them."""
    for how in DEATHS:
        assert swept(how, step=11) > 3


def swept(how: str, *, step: int) -> int:
    """Die at every so-many-th port until there is none left; how many deaths."""
    from tests.sim.sweep import dies_everywhere

    return dies_everywhere(how, step=step)
