"""What happened in a schedule, in order: faults, requests, events of the journal, runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sim.ledger import Line
    from tests.sim.machine import Machine
    from tests.sim.world import Universe

FAULT, ASKED, SENT, ANSWERED, ARRIVED, EVENT, BEGAN, ENDED, CUT = (
    "fault",
    "asked",
    "sent",
    "answered",
    "arrived",
    "event",
    "began",
    "ended",
    "cut",
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened."""

    place: int
    """Its number in the history."""
    at: float
    """Seconds of true time."""
    what: str
    name: str
    """The kind of a fault, the type of an event, the end of a run, the status of an answer."""
    machine: str = ""
    run: str = ""
    about: str = ""
    """A request id, or the target of a request that only reads."""
    more: Any = None


class History:
    """All facts of a schedule."""

    def __init__(self, world: Universe) -> None:
        self._world = world
        self.facts: list[Fact] = []

    def add(
        self,
        what: str,
        name: str,
        machine: Machine | None = None,
        about: str = "",
        more: Any = None,
    ) -> None:
        """Something happened now."""
        self.facts.append(
            Fact(
                place=len(self.facts),
                at=self._world.now_ms / 1000,
                what=what,
                name=name,
                machine=machine.name if machine else "",
                run=machine.run_name if machine else "",
                about=about,
                more=more,
            )
        )

    def written(self, machine: Machine, line: Line) -> None:
        """A line of a journal has become durable."""
        self.add("durable", line["type"], machine, line.get("request_id", ""), line)

    def of(self, what: str, name: str = "") -> Iterator[Fact]:
        """Every fact of a kind."""
        for fact in self.facts:
            if fact.what == what and (not name or fact.name == name):
                yield fact

    def after(
        self,
        fact: Fact,
        what: str = "",
        name: str = "",
        *,
        about: str = "",
        same_run: bool = False,
        same_machine: bool = False,
    ) -> Iterator[Fact]:
        """What came after a fact, as far as it is like that."""
        for later in self.facts[fact.place + 1 :]:
            if what and later.what != what:
                continue
            if name and later.name != name:
                continue
            if about and about not in later.about:
                continue
            if same_machine and later.machine != fact.machine:
                continue
            if same_run and later.run != fact.run:
                continue
            yield later

    def before(self, fact: Fact, what: str, name: str = "", *, about: str = "") -> list[Fact]:
        """What came before a fact, the newest first."""
        return [
            earlier
            for earlier in reversed(self.facts[: fact.place])
            if earlier.what == what
            and (not name or earlier.name == name)
            and (not about or earlier.about == about)
        ]
