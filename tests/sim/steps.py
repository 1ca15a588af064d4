"""What people do with a journal beside applying: each is a run of its own, and may die like one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.event import Event
from stratctl.journal.record import Halt, Resume, Word
from stratctl.pipeline import adopting
from stratctl.pipeline.recovering import resolve_open_calls

if TYPE_CHECKING:
    from tests.sim.machine import Machine


def recover(machine: Machine) -> str:
    """Resolve the calls that are open, and send nothing."""
    assert machine.version is not None
    with machine.session(machine.version) as session:
        resolved = resolve_open_calls(
            session,
            wait=machine.world.chance.happens(500),
            progress=_silently,
            watch=machine.heard,
            stopping=lambda: machine.stopping,
        )
    machine.world.invariants.sent_nothing(machine, "recover")
    return "130" if resolved.interrupted else "6" if resolved.open else "0"


def halt(machine: Machine) -> str:
    """Nobody applies from here on."""
    return _written(machine, Halt(exits_only=False, reason="a person says so"))


def resume(machine: Machine) -> str:
    """Applying is allowed again."""
    return _written(machine, Resume(reason="a person says so"))


def adopt(machine: Machine, operation_id: str) -> str:
    """Book an Operation of somebody else, whose money is declared."""
    assert machine.version is not None
    with machine.session(machine.version) as session:
        adopted = adopting.adopt(
            session, operation_id, approve=lambda strangers: None, progress=_silently
        )
    machine.world.invariants.sent_nothing(machine, "adopt")
    return "5" if adopted.problems else "0"


def rebuild(machine: Machine) -> str:
    """Book what a lost journal knew, from the provider."""
    assert machine.version is not None
    with machine.session(machine.version) as session:
        adopted = adopting.rebuild(
            session, None, progress=_silently, stopping=lambda: machine.stopping
        )
    machine.world.invariants.sent_nothing(machine, "rebuild")
    return "5" if adopted.problems else "0"


def _silently(what: str, done: int, total: int | None) -> None:
    """Nobody watches."""


def _written(machine: Machine, word: Event | Word) -> str:
    assert machine.version is not None
    with machine.session(machine.version) as session, session.open_journal() as journal:
        journal.append(word)
    machine.world.invariants.sent_nothing(machine, "halt")
    return "0"


STEPS = (recover, halt, resume, recover)
