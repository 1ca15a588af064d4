"""The n-th write, fsync, rename or open of an apply fails, for n = 1, 2, … until none is met."""

from __future__ import annotations

from itertools import product

from tests.torture.calls import ERRORS
from tests.torture.ground import Ground

NAMES = tuple(map("/".join, product(("begin", "change"), ERRORS, ("kept", "fresh"))))


def once(ground: Ground, name: str, number: int) -> bool:
    """Whether the call was met. Then another apply, with that disk or a fresh one, ends it."""
    phase, kind, disk = name.split("/")
    case = ground.case(phase)
    told = case.project.root.with_suffix(".told")
    inside = ["tests.torture.calls", "failing", kind, number, str(told)]
    ended = case.apply(inside=[inside], cold=kind == "open")
    met = int(told.read_text(encoding="ascii")) >= number
    # A library may do without some file of its own; nothing else that failed is passed over.
    survived = ended.code == 0 and (not met or kind == "open")
    assert survived or (met and ended.error), ended
    if disk == "fresh":
        case.lose_disk()
    case.bring_home()
    case.judge()
    return met
