"""Plans for laws: made once per world, kept as plain rows, in workspaces that do not grow old."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from hashlib import sha256
from random import Random, SystemRandom
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from stratctl.core.errors import InputError
from stratctl.core.plan import Plan
from stratctl.core.tables import Workspace
from tests.worlds import World

Law = Callable[[World], None]

NOT_YET = b""

PLANS_PER_WORKSPACE = 50
PLANS_AT_HAND = 64
"""Of the worlds asked last; those of the worlds that all laws see are all kept, but packed."""


@dataclass(frozen=True)
class Kept:
    """The rows of a table, after its workspace is gone."""

    kept: tuple[tuple[Any, ...], ...]

    def rows(self, order: str = "ALL") -> list[tuple[Any, ...]]:
        """As Table.rows."""
        assert order == "ALL"
        return list(self.kept)

    def __len__(self) -> int:
        return len(self.kept)


@dataclass(frozen=True)
class Planned:
    """A plan without tables, or the code of the error that stands in its place."""

    plan: Plan
    lines: tuple[str, ...]
    """What its digest covers."""


class Refused(Exception):
    """The world makes no plan; ``code`` and ``subjects`` say why."""

    def __init__(self, code: str, details: tuple[str, ...]) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


class Bench:
    """Plans each world once, in a workspace that is replaced now and then, because tables pile up
    in it."""

    def __init__(self, *, threads: int | None = None) -> None:
        """``threads``: of an engine that optimises; without them that of all tests, which does as
        it is told."""
        self.threads = threads
        self.plans = 0
        self.workspace = Workspace(threads=threads)
        self._asked = lru_cache(maxsize=PLANS_AT_HAND)(self._answer)
        self._packed: dict[_Asked, bytes] = {}

    def answer(self, world: World) -> Planned | Refused:
        """The plan, or why there is none, as a value."""
        return self._asked(_Asked(world))

    def keep(self, asked: Iterable[_Asked]) -> None:
        """Plan these worlds once, however many others are asked in between."""
        self._packed.update((each, NOT_YET) for each in asked)

    def forget(self) -> None:
        """Plan everything anew: the planner is another one from here on."""
        self._asked.cache_clear()
        self._packed = dict.fromkeys(self._packed, NOT_YET)

    def _answer(self, asked: _Asked) -> Planned | Refused:
        if packed := self._packed.get(asked, NOT_YET):
            return pickle.loads(packed)  # type: ignore[no-any-return]  # as packed below
        found = self._planned(asked.world)
        if asked in self._packed:
            self._packed[asked] = pickle.dumps(found)
        return found

    def _planned(self, world: World) -> Planned | Refused:
        try:
            plan = world.plan(self.space())
        except InputError as error:
            said = error.diagnostics
            return Refused(said[0].code, tuple(each.detail for each in said))
        lines = tuple(plan.binding_text().splitlines())
        kept: dict[str, Any] = {
            name: Kept(tuple(getattr(plan, name).rows()))
            for name in ("rows", "blocked", "satisfied", "forfeits")
        }
        return Planned(replace(plan, **kept), lines)

    def space(self) -> Workspace:
        """A workspace for one more plan."""
        self.plans += 1
        if self.plans % PLANS_PER_WORKSPACE == 0:
            self.workspace = Workspace(threads=self.threads)
        return self.workspace


def plan_of(world: World) -> Planned:
    """The plan of a world. Raises Refused."""
    found = answer_of(world)
    if isinstance(found, Refused):
        raise found
    return found


def answer_of(world: World) -> Planned | Refused:
    """The plan, or why there is none, as a value; asked once for all laws."""
    return _bench.answer(world)


def forget() -> None:
    """Plan everything anew: the planner is another one from here on."""
    _bench.forget()


class _Asked:
    """A world as a key: two with the same description are the same question."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.digest = sha256(repr(world).encode()).digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self.digest == other.digest


_bench = Bench()

_SEED = 2026 if settings().derandomize else SystemRandom().randrange(2**32)


def law(asked: Callable[[], st.SearchStrategy[World]]) -> Callable[[Law], Callable[[], None]]:
    """A law of every such world. All laws of a process see the same worlds, each drawn and planned
    once; a profile that searches anew searches other worlds in every process."""

    def held(test: Law) -> Callable[[], None]:
        def every() -> None:
            for world in _drawn(asked):
                try:
                    test(world)
                except Exception:  # noqa: BLE001 - whatever it is, the search below raises it
                    break
            else:
                return
            # The same worlds once more, by the search that makes the one that breaks it small.
            seed(_SEED)(given(asked())(test))()
            raise AssertionError("a law that was broken holds now: it depends on what ran before")

        for name in ("__name__", "__module__", "__doc__"):  # not its signature: there is no fixture
            setattr(every, name, getattr(test, name))
        return pytest.mark.hypothesis(every)

    return held


@cache
def _drawn(asked: Callable[[], st.SearchStrategy[World]]) -> tuple[World, ...]:
    worlds: dict[_Asked, World] = {}

    @seed(_SEED)
    @given(asked())
    def draw(world: World) -> None:
        worlds.setdefault(_Asked(world), world)

    draw()
    _bench.keep(worlds)
    return tuple(worlds.values())


def dice(world: World) -> Random:
    """Choices that depend on the world alone, so that all laws go on seeing the same worlds."""
    return Random(repr(world))
