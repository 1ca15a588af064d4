"""Every state that can be reached, nearest first, so that the first failure is the shortest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.model.world import Bounds, Move, Scheme, State, moves, start

Judge = Callable[[State, Scheme, Bounds], str]
"""What is wrong with a state; empty when nothing is."""


@dataclass(frozen=True, slots=True)
class Explored:
    """What was found."""

    states: int
    """How many were looked at: all there are, unless there is a failure."""
    failure: str = ""
    trace: tuple[Move, ...] = ()


def explore(scheme: Scheme, bounds: Bounds, judges: Sequence[Judge]) -> Explored:
    """Breadth first, until a judge finds a failure or nothing new can be reached.

    Machines are alike: two states that differ only in which is which are one.
    """
    first = start(bounds)
    came_from: dict[State, tuple[State, Move] | None] = {_key(first): None}
    frontier = [first]
    while frontier:
        reached = []
        for state in frontier:
            for move, after in moves(state, scheme, bounds):
                key = _key(after)
                if key in came_from:
                    continue
                came_from[key] = state, move
                reached.append(after)
                for judge in judges:
                    if failure := judge(after, scheme, bounds):
                        return Explored(len(came_from), failure, _trace(came_from, after))
        frontier = reached
    return Explored(len(came_from))


def shortest(scheme: Scheme, worlds: Sequence[Bounds], judge: Judge) -> Explored:
    """The shortest failure in any of these worlds; without one, how many states they have."""
    found = [explore(scheme, bounds, [judge]) for bounds in worlds]
    failures = [each for each in found if each.failure]
    if failures:
        return min(failures, key=lambda each: len(each.trace))
    return Explored(sum(each.states for each in found))


def _key(state: State) -> State:
    return state._replace(machines=tuple(sorted(state.machines)))


def _trace(came_from: dict[State, tuple[State, Move] | None], last: State) -> tuple[Move, ...]:
    steps = []
    before = came_from[_key(last)]
    while before is not None:
        state, move = before
        steps.append(move)
        before = came_from[_key(state)]
    return tuple(reversed(steps))
