"""The world of the model: machines, a network without manners, and a provider that keeps ids once.

A state is a tuple of tuples. ``moves`` lists everything that may happen next, and the adversary
chooses: it delays, reorders, repeats and loses requests, keeps answers back, makes machines lose
their disk, shows lists that lack what is newest, runs jobs of old commits again, and decides each
participant's fate. A delayed request is one that has not landed yet; an answer that is late or
lost is one that has not been heard. What it can *not* do is what the proof rests on: the provider
keeps one body per request id, atomically.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

Body = tuple[tuple[str, int], ...]
"""(participant, amount), in ascending order."""

Declared = tuple[tuple[str, int], ...]
"""(participant, what it shall have contributed over all time)."""

UNDECIDED, SETTLED, REJECTED = "?", "+", "-"


class Request(NamedTuple):
    """A call: its id and what it moves."""

    id: str
    body: Body


class Operation(NamedTuple):
    """What the provider made of a request."""

    id: str
    body: Body
    fates: str
    """One letter for each participant."""

    @property
    def finished(self) -> bool:
        """Nothing more happens to it."""
        return UNDECIDED not in self.fates


class State(NamedTuple):
    """Everything that can make a difference later."""

    operations: tuple[Operation, ...] = ()
    """What the provider has, sorted: their order says nothing."""
    air: tuple[Request, ...] = ()
    """Under way, sorted; a copy for each time it was sent."""
    machines: tuple[tuple[Request, ...], ...] = ()
    """What each machine has sent and not heard of. It is all that its disk keeps."""
    merged: int = 0
    """The newest version of the configuration that is merged."""
    sent: int = 0
    journal: tuple[Request, ...] = ()
    """Bodies bound to slots 1, 2 …, where machines share a journal."""


class View(NamedTuple):
    """What a machine goes by when it plans."""

    version: int
    declared: Declared
    listed: tuple[Operation, ...]
    hidden: str
    """A finished Operation whose Executions are not shown yet; empty when all are."""
    sent: int
    journal: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to choose request ids."""

    name: str
    plan: Callable[[View, int], tuple[Request, ...]]
    """View, participants that one call holds -> the calls that a machine sends now."""
    shares_journal: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of the world is looked at."""

    versions: tuple[Declared, ...]
    """What the configuration declares, oldest version first."""
    machines: int = 2
    sends: int = 3
    """Requests that leave machines, repetitions included."""
    stale: int = 1
    """How many Operations a list may lack."""
    participants: int = 2
    """How many one call holds."""


class Move(NamedTuple):
    """What happens, for the trace."""

    kind: str
    machine: int = 0
    version: int = 0
    missing: tuple[Operation, ...] = ()
    hidden: str = ""
    requests: tuple[Request, ...] = ()
    participant: str = ""


def start(bounds: Bounds) -> State:
    """Nothing has happened."""
    return State(machines=((),) * bounds.machines)


def moves(state: State, scheme: Scheme, bounds: Bounds) -> Iterator[tuple[Move, State]]:
    """Everything that may happen next, and what comes of it."""
    if state.merged + 1 < len(bounds.versions):
        yield Move("merge", version=state.merged + 1), state._replace(merged=state.merged + 1)
    for machine, waiting in enumerate(state.machines):
        if waiting:
            yield from _waits(state, scheme, bounds, machine)
        elif state.sent < bounds.sends:
            yield from _plans(state, scheme, bounds, machine)
    yield from _network(state)
    yield from _fates(state)
    if scheme.shares_journal:
        yield from _let_go(state)


def _plans(
    state: State, scheme: Scheme, bounds: Bounds, machine: int
) -> Iterator[tuple[Move, State]]:
    """A machine reads what the adversary shows it, and sends what it takes to be missing."""
    reached = set()
    for version in range(state.merged, -1, -1):
        for missing, hidden, view in _views(state, bounds, version):
            requests = scheme.plan(view, bounds.participants)
            if not requests or state.sent + len(requests) > bounds.sends:
                continue
            if requests in reached:
                continue
            reached.add(requests)
            journal = state.journal
            if scheme.shares_journal and requests[0] not in journal:
                journal = (*journal, *requests)
            yield (
                Move("plan", machine, version, missing, hidden, requests),
                state._replace(
                    air=tuple(sorted((*state.air, *requests))),
                    machines=_with(state.machines, machine, requests),
                    sent=state.sent + len(requests),
                    journal=journal,
                ),
            )


def _views(
    state: State, bounds: Bounds, version: int
) -> Iterator[tuple[tuple[Operation, ...], str, View]]:
    """Fresh first, so that a trace blames staleness only where it is to blame."""
    finished = [each.id for each in state.operations if each.finished]
    for lacking in range(min(bounds.stale, len(state.operations)) + 1):
        for missing in combinations(state.operations, lacking):
            listed = tuple(each for each in state.operations if each not in missing)
            for hidden in ("", *finished):
                if hidden in {each.id for each in missing}:
                    continue
                declared = bounds.versions[version]
                view = View(version, declared, listed, hidden, state.sent, state.journal)
                yield missing, hidden, view


def _waits(
    state: State, scheme: Scheme, bounds: Bounds, machine: int
) -> Iterator[tuple[Move, State]]:
    """A machine that has sent something hears of it, sends it again, or loses its disk."""
    waiting = state.machines[machine]
    used = {each.id for each in state.operations}
    for request in waiting:
        if request.id in used:
            rest = tuple(each for each in waiting if each != request)
            heard = state._replace(machines=_with(state.machines, machine, rest))
            yield Move("hear", machine, requests=(request,)), heard
        # A paused sender finds out that its slot was bound to another body in the meantime.
        allowed = request in state.journal or not scheme.shares_journal
        if allowed and state.sent < bounds.sends:
            again = state._replace(air=tuple(sorted((*state.air, request))), sent=state.sent + 1)
            yield Move("repeat", machine, requests=(request,)), again
    yield Move("crash", machine), state._replace(machines=_with(state.machines, machine, ()))


def _network(state: State) -> Iterator[tuple[Move, State]]:
    """A request lands, and is kept if nothing has its id yet; or it is lost."""
    for request in dict.fromkeys(state.air):
        place = state.air.index(request)
        gone = state._replace(air=state.air[:place] + state.air[place + 1 :])
        taken = any(each.id == request.id for each in state.operations)
        if not taken:
            operation = Operation(request.id, request.body, UNDECIDED * len(request.body))
            kept = tuple(sorted((*gone.operations, operation)))
            yield Move("land", requests=(request,)), gone._replace(operations=kept)
        # Of a request whose id is taken the provider keeps nothing: it lands as if it were lost.
        yield Move("duplicate" if taken else "lose", requests=(request,)), gone


def _fates(state: State) -> Iterator[tuple[Move, State]]:
    """The provider settles or rejects each participant, in any order."""
    for place, operation in enumerate(state.operations):
        for index, (participant, _) in enumerate(operation.body):
            if operation.fates[index] != UNDECIDED:
                continue
            for kind, fate in (("settle", SETTLED), ("reject", REJECTED)):
                fates = operation.fates[:index] + fate + operation.fates[index + 1 :]
                decided = operation._replace(fates=fates)
                operations = (*state.operations[:place], decided, *state.operations[place + 1 :])
                request = Request(operation.id, operation.body)
                yield (
                    Move(kind, requests=(request,), participant=participant),
                    state._replace(operations=operations),
                )


def _let_go(state: State) -> Iterator[tuple[Move, State]]:
    """The newest binding is given up after the quarantine: unknown, and nothing is under way."""
    if not state.journal:
        return
    newest = state.journal[-1]
    kept = {each.id for each in state.operations}
    if newest.id not in kept.union(each.id for each in state.air):
        yield Move("abandon", requests=(newest,)), state._replace(journal=state.journal[:-1])


def _with(
    machines: tuple[tuple[Request, ...], ...], machine: int, waiting: tuple[Request, ...]
) -> tuple[tuple[Request, ...], ...]:
    return (*machines[:machine], waiting, *machines[machine + 1 :])
