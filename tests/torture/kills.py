"""kill -9 at the n-th durable step of an apply, for n = 1, 2, … until it lives to its end.

``change`` has every verb but the creation, which ``begin`` has. The next apply has the disk as it
was left, or a fresh one; or it is killed too, and the one after it finds what both have left.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from tests.torture.ground import Ground

NAMES = tuple(
    map(
        "/".join,
        product(("begin", "change"), ("torn", "written", "next"), ("kept", "fresh", "again")),
    )
)


def once(ground: Ground, name: str, number: int) -> bool:
    """Whether it was killed. Then another apply ends what it began."""
    phase, how, disk = name.split("/")
    case = ground.case(phase)
    ended = case.apply(inside=[_dying(how, number)])
    assert ended.killed or ended.code == 0, ended
    if disk == "fresh":
        case.lose_disk()
    if disk == "again" and ended.killed:
        # Where in its recovery differs from death to death.
        case.apply(inside=[_dying("written", 1 + number % 5)])
    case.bring_home()
    case.judge()
    return ended.killed


def _dying(how: str, number: int) -> list[Any]:
    return ["tests.torture.calls", "dying", how, number]
