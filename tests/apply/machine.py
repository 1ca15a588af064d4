"""A machine that applies against the model: a journal of its own, a small planner, and crashes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from stratctl.apply import (
    Breaker,
    CallWork,
    Pace,
    StrategyResult,
    StrategyWork,
    apply_strategy,
    recover,
)
from stratctl.core.event import Event, IntentRow, Receipt, Unfinished
from stratctl.core.plan import Call
from stratctl.core.slots import call_id
from stratctl.core.state import Booked, Vector, Verb
from stratctl.core.tables import Workspace
from stratctl.journal.directory import LocalDisk
from stratctl.journal.store import Journal, open_journal
from tests.apply.world import ModelWriter, Provider

R = TypeVar("R")

REALM = "sandbox"
STRATEGY = "blue-chip"
STRATEGY_ID = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
VECTOR = Vector(
    (("BTC", 500_000_000_000_000_000), ("ETH", 300_000_000_000_000_000), ("SOL", 2 * 10**17))
)
WORKSPACE = Workspace()
PACE = Pace(poll_first=1.0, attempts=6)


class Crash(Exception):
    """The machine lost its power."""


class SwiftFile:
    """A file whose writes are not waited for: a crash here is an exception, not a power cut."""

    def __init__(self, file: Any) -> None:
        self.write, self.close = file.write, file.close

    def sync(self) -> None:
        """Nothing to wait for."""


class SwiftDisk(LocalDisk):
    """Files without fsync."""

    def append(self, path: Path) -> Any:
        """Open for appending."""
        return SwiftFile(super().append(path))


def journal_in(directory: Path, provider: Provider, *, run: str = "run") -> Journal:
    """The machine's journal, on the world's clock."""
    return open_journal(
        directory,
        "dev",
        REALM,
        clock=lambda: datetime.fromtimestamp(provider.now, UTC),
        run=run,
        disk=SwiftDisk(),
    )


def a_call(verb: Verb, rows: Iterable[IntentRow], *, number: int = 1, target: str = "") -> CallWork:
    """One call of the basket."""
    chosen = tuple(sorted(rows, key=lambda row: row.participant_code))
    call = Call(
        number=number,
        strategy=STRATEGY,
        strategy_id=STRATEGY_ID,
        currency="USD",
        verb=verb,
        vector=None if verb is Verb.LIQUIDATE else VECTOR,
        target_text=target,
        target_epoch=0,
        rows=len(chosen),
        amount_minor=sum(row.amount_minor or 0 for row in chosen),
        slot=None,
        body_json="",
    )
    return CallWork(call, chosen)


def a_work(
    calls: tuple[CallWork, ...], *, head_slot: int = 0, resume: Unfinished | None = None
) -> StrategyWork:
    """The basket's work."""
    return StrategyWork(
        strategy=STRATEGY,
        strategy_id=STRATEGY_ID,
        realm=REALM,
        currency="USD",
        head_slot=head_slot,
        calls=calls,
        resume=resume,
    )


def booked_rows(booked: Booked) -> dict[str, dict[str, Any]]:
    """The bookings by participant code."""
    return {row[1]: dict(zip(booked.rows.schema, row, strict=True)) for row in booked.rows.rows()}


def head_slot(provider: Provider) -> int:
    """The highest slot of our chain that the provider holds; the chain must be dense."""
    slots = [n for n in range(1, 60) if call_id(REALM, STRATEGY_ID, n) in provider.operations]
    assert slots == list(range(1, len(slots) + 1)), f"slots are dense, not {slots}"
    assert len(slots) == len(provider.operations), "every Operation has an id of our chain"
    return len(slots)


@dataclass
class Machine:
    """Plans from its own journal and applies, until it crashes or is done."""

    provider: Provider
    directory: Path
    declared: Mapping[str, int]
    """participant_code -> contributed in minor units"""
    steps_to_crash: int | None = None
    """How many times an event is about to be, or was just, written before the power goes."""
    problems: list[str] = field(default_factory=list)
    writer_of: Callable[[Provider, Iterable[str]], ModelWriter] = ModelWriter

    def send(self, calls: Iterable[CallWork]) -> StrategyResult:
        """One apply of these calls."""
        return self.run(calls=calls)

    def run(
        self, faults: Iterable[str] = (), calls: Iterable[CallWork] | None = None
    ) -> StrategyResult:
        """One apply: recover, plan unless the calls are given, resume, send."""
        writer = self.writer_of(self.provider, faults)
        with journal_in(self.directory, self.provider) as journal:
            recovered = self._drive(recover(journal.unfinished(), writer, pace=PACE), journal)
            resume = recovered.open[0] if recovered.open else None
            booked = journal.booked(WORKSPACE)
            planned = self.plan(booked) if calls is None else tuple(calls)
            work = a_work(planned, head_slot=self._head(booked), resume=resume)
            steps = apply_strategy(
                work,
                writer,
                breaker=Breaker(),
                stopping=lambda: False,
                replan=lambda: (),
                pace=PACE,
            )
            result = self._drive(steps, journal)
        self.problems += [problem.code for problem in result.problems]
        return result

    def _head(self, booked: Booked) -> int:
        known = max((each.slot for each in booked.operations), default=0)
        return max(known, head_slot(self.provider) if not self.provider.lag else known)

    def plan(self, booked: Booked) -> tuple[CallWork, ...]:
        """What was declared and is neither booked nor pending: top-ups, then enrolments."""
        rows_now = booked_rows(booked)
        wanted: dict[Verb, list[IntentRow]] = {Verb.TOP_UP: [], Verb.ENROLL: []}
        for code, total in self.declared.items():
            row = rows_now.get(code, {})
            if row.get("busy") or row.get("parked"):
                continue
            contributed = row.get("contributed_minor", 0)
            missing = total - contributed - row.get("pending_in_minor", 0)
            assert missing >= 0, f"{code} is booked at more than was declared"
            if missing and contributed:
                wanted[Verb.TOP_UP].append(IntentRow(code, missing))
            elif missing:
                wanted[Verb.ENROLL].append(IntentRow(code, missing, True))
        return tuple(
            a_call(verb, rows, number=number)
            for number, (verb, rows) in enumerate(wanted.items(), start=1)
            if rows
        )

    def _drive(self, steps: Generator[Event, Receipt, R], journal: Journal) -> R:
        try:
            event = next(steps)
            while True:
                self._maybe_crash()
                receipt = journal.append(event)
                self._maybe_crash()
                event = steps.send(receipt)
        except StopIteration as ended:
            result: R = ended.value
            return result
        finally:
            steps.close()

    def _maybe_crash(self) -> None:
        if self.steps_to_crash is not None:
            self.steps_to_crash -= 1
            if self.steps_to_crash < 0:
                self.steps_to_crash = None
                raise Crash
