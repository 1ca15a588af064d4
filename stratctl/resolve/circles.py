"""Names that use each other: the order in which each comes after what it uses, and the circles."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

Uses = Mapping[str, Sequence[str]]
"""Name -> the names that it uses, each of them a name of the mapping."""


def in_order(uses: Uses) -> Iterator[str]:
    """Each name after everything that it uses; names on or behind a circle never come."""
    sorter = TopologicalSorter(uses)
    with suppress(CycleError):  # what stands before every circle can still be had
        sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        yield from ready
        sorter.done(*ready)


def circles(uses: Uses) -> Iterator[tuple[str, ...]]:
    """Circles as ``(a, b, a)``: shortest ones that together hold every use on any circle.

    There may be more circles than anybody could read, but whoever breaks one use of each of these
    has no use left that closed them, and none is told twice.
    """
    free = set(in_order(uses))
    told: set[tuple[str, str]] = set()
    left = {
        name: [one for one in used if one not in free]
        for name, used in uses.items()
        if name not in free
    }
    for name, used in left.items():
        for one in used:
            way_back = () if (name, one) in told else _shortest_way(left, one, name)
            if way_back:
                circle = (name, *way_back)
                told.update(pairwise(circle))
                yield circle


def _shortest_way(uses: Uses, start: str, end: str) -> tuple[str, ...]:
    """The names from start to end, both included; empty when there is no way."""
    came_from: dict[str, str] = {}
    waiting = deque([start])
    while waiting and start != end and end not in came_from:
        name = waiting.popleft()
        for one in uses[name]:
            if one not in came_from and one != start:
                came_from[one] = name
                waiting.append(one)
    if start != end and end not in came_from:
        return ()
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))
