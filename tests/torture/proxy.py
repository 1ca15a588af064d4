"""Applies over a wire on which a seeded schedule of faults befalls the requests."""

from __future__ import annotations

from random import Random

from tests.torture.ground import GOES_ON, Ground
from tests.torture.wire import Schedule, wire

NAMES = ("kept", "fresh")
"""The disk of the second apply."""


def once(ground: Ground, name: str, number: int) -> bool:
    """The schedule of a seed. Whether anything befell anybody."""
    seed = f"{name} {number}"
    chance = Random(seed)
    with wire(ground.sandbox.endpoint) as between:
        case = ground.case(chance.choice(("begin", "change", "change")), endpoint=between.endpoint)
        # What came before happened under other ids.
        between.schedule = Schedule(seed)
        for between.schedule.apply in range(1, chance.choice((1, 2, 3)) + 1):
            between.victim = case.start()
            ended = ground.machines.wait(between.victim)
            assert ended.killed or ended.error or ended.code in GOES_ON, ended
            between.victim = 0
            if name == "fresh" and between.schedule.apply == 1:
                case.lose_disk()
        between.calm()
        case.bring_home()
        case.judge()
        if name == "kept":
            assert all(len(bodies) == 1 for bodies in between.bodies.values())
        return bool(between.happened)
