"""One machine that dies at each of its ports in turn, and its successor."""

from __future__ import annotations

from tests.sim.chance import Chance
from tests.sim.shape import ALONE, Shape, Version
from tests.sim.world import Universe
from tests.worlds import Declared, World, strategy

PEOPLE = [
    [Declared("P00001", "1000"), Declared("P00002", "800")],
    [Declared("P00001", "1500"), Declared("P00002", "800", withdrawn="100")],
]
VERSIONS = tuple(
    Version(number, World(declared=rows, strategies=[strategy(rebalance_on="change")]))
    for number, rows in enumerate(PEOPLE, start=1)
)
MOVED = {"P00001": [150_000, 0], "P00002": [80_000, 10_000]}


def dies_everywhere(how: str, *, step: int = 1, twice: bool = False) -> int:
    """How many deaths it took. ``twice``: its successor dies at its seventh port."""
    shape = Shape(
        arrangement=ALONE,
        machines=1,
        runs=0,
        real=False,
        versions=VERSIONS,
        switches={},
        faults=0,
        permille=0,
        approves=False,
    )
    deaths = 0
    while True:
        world = Universe(Chance(0, replay=()), shape)
        (machine,) = world.machines
        world.scheduler.spawn("first", lambda m=machine: m.run(VERSIONS[0]))  # type: ignore[misc]  # run at once
        world.scheduler.run()
        machine.dies_at, machine.dies_how = machine.points + 1 + deaths * step, how
        world.scheduler.spawn("dies", lambda m=machine: m.run(VERSIONS[1]))  # type: ignore[misc]  # run at once
        world.scheduler.run()
        if machine.ended[-1] == "0":
            return deaths
        deaths += 1
        if twice:
            machine.dies_at = machine.points + 7
            world.scheduler.spawn("again", lambda m=machine: m.run(VERSIONS[1]))  # type: ignore[misc]  # run at once
            world.scheduler.run()
        world.settle()
        world.invariants.at_the_end()
        moved = {code: sums for (_, code), sums in world.invariants.moved().items()}
        assert moved == MOVED, f"{how} at port {deaths * step}: {moved}"
        world.sandbox.close()
