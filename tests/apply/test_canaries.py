"""Planted bugs: each breaks a law, and the laws' own checks notice each of them.

A law whose test cannot fail proves nothing. Every bug below is put into the real code for one
test, and a fixed set of scenarios must go wrong: money moved twice or never, an id with two
bodies, or the journal refusing what it was told.
"""

import hashlib
import itertools
import uuid
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stratctl.apply import body, calls, proof
from stratctl.apply.proof import Incomplete, Proven, Verdict
from stratctl.core.errors import JournalError
from stratctl.core.event import Answer, Event, Execution, Intent, Receipt, RowOutcome, RowResult
from stratctl.core.slots import call_id
from stratctl.core.state import LiveOperation
from stratctl.journal import bindings, booked
from stratctl.journal.store import Journal
from tests.apply.machine import Crash, Machine
from tests.apply.test_two_machines import Rival
from tests.apply.world import (
    FAULTS,
    LOST_AFTER,
    LOST_BEFORE,
    START,
    ModelSigned,
    ModelWriter,
    Provider,
)

DECLARED = {"CUST01": 10_000, "CUST02": 25_000}
Plant = Callable[[pytest.MonkeyPatch], None]


class Forgetful(Machine):
    """A machine whose journal says that a write is durable before it is on the disk."""

    def _drive(self, steps: Generator[Event, Receipt, Any], journal: Journal) -> Any:
        unwritten: list[Event] = []
        try:
            event = next(steps)
            while True:
                unwritten.append(event)
                digest = event.body_sha256 if isinstance(event, Intent) else ""
                self._maybe_crash()
                event = steps.send(Receipt(0, digest))
        except StopIteration as ended:
            journal.append_all(unwritten)
            return ended.value


class NewIds(ModelWriter):
    """Signs each further attempt under a new id."""

    def __init__(self, provider: Provider, faults: Iterable[str] = ()) -> None:
        super().__init__(provider, faults)
        self.seen: set[str] = set()

    def sign(self, intent: Intent) -> ModelSigned:
        """With a new id from the second attempt on."""
        if intent.request_id in self.seen:
            intent = replace(intent, request_id=str(uuid.UUID(int=len(self.seen), version=4)))
        self.seen.add(intent.request_id)
        return super().sign(intent)


class NewBodies(ModelWriter):
    """Signs each further attempt with other bytes."""

    sends = 0

    def sign(self, intent: Intent) -> ModelSigned:
        """The same, said otherwise."""
        self.sends += 1
        return super().sign(replace(intent, body=intent.body + " " * (self.sends - 1)))


def once(
    directory: Path, machine_of: Callable[..., Machine] = Machine, *, lag: int = 20, **how: Any
) -> list[str]:
    """Crash at each step with each deception, apply again; what went wrong."""
    wrong = []
    for steps, fault in itertools.product(range(0, 10, 2), FAULTS):
        provider = Provider(lag=lag, execution_lag=6)
        machine = machine_of(provider, directory / f"{steps} {fault}", DECLARED, **how)
        machine.steps_to_crash = steps
        try:
            for faults in ([fault], [], [], []):
                try:
                    machine.run(faults)
                except Crash:
                    provider.wait(1)
                machine.steps_to_crash = None
            provider.wait(120)
            machine.run()
        except (JournalError, AssertionError) as error:
            wrong.append(f"{steps} {fault}: {error}")
            continue
        if provider.moved_minor() != DECLARED:
            wrong.append(f"{steps} {fault}: {provider.moved_minor()}")
        if any(len(bodies) > 1 for bodies in provider.bodies.values()):
            wrong.append(f"{steps} {fault}: an id with two bodies")
    return wrong


def rivalry(directory: Path) -> list[str]:
    """Two machines with different rows and no lock, in many orders; what went wrong."""
    wrong = []
    for turn, order in enumerate(itertools.product([0, 1], repeat=6)):
        provider = Provider()
        rivals = (
            Rival(directory / f"{turn}a", provider, {"CUST01": 10_000}, []),
            Rival(directory / f"{turn}b", provider, {"CUST01": 15_000}, []),
        )
        steps = [*order, *[0] * 20, *[1] * 20]
        try:
            for who in steps:
                rivals[who].step()
                provider.wait(1)
        except JournalError as error:
            wrong.append(str(error))
        if provider.moved_minor()["CUST01"] > 15_000:
            wrong.append(f"{order}: {provider.moved_minor()}")
        for rival in rivals:
            booked_minor = sum(
                row.amount_minor or 0
                for entry in rival.journal.entries()
                for row in getattr(entry.event, "rows", ())
                if getattr(row, "result", None) == "settled"
            )
            if booked_minor > provider.moved_minor()["CUST01"]:
                wrong.append(f"{order}: {booked_minor} booked, {provider.moved_minor()} moved")
            rival.journal.close()
    return wrong


def pending_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may have been carried out does not count until it is known."""
    monkeypatch.setattr(booked.Fold, "_count_in_full", lambda *_: None)


def body_in_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Request ids depend on what is sent, on both sides."""
    real = body.trading_intent

    def hashed(*args: Any, **kwargs: Any) -> Intent:
        intent = real(*args, **kwargs)
        digest = hashlib.sha256(intent.body.encode()).digest()[:16]
        return replace(intent, request_id=str(uuid.UUID(bytes=digest, version=4)))

    monkeypatch.setattr("stratctl.apply.trading.trading_intent", hashed)
    monkeypatch.setattr(bindings.Bindings, "_expected_id", lambda _, intent: intent.request_id)


def no_completeness_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Executions that can be seen are taken for all."""
    real = proof.judge

    def hasty(
        intent: Intent, operation: LiveOperation, executions: Sequence[Execution], *, taken: bool
    ) -> Verdict:
        listed = {execution.participant_code for execution in executions}
        rows = tuple(row for row in intent.rows if row.participant_code in listed)
        if not rows:
            return Proven(())
        return real(replace(intent, rows=rows), operation, executions, taken=taken)

    monkeypatch.setattr(calls, "judge", hasty)
    monkeypatch.setattr(bindings, "_check_rows", lambda *_: None)


def proof_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The echo is taken for the whole truth."""
    real = proof.judge

    def trusting(
        intent: Intent, operation: LiveOperation, executions: Sequence[Execution], *, taken: bool
    ) -> Verdict:
        verdict = real(intent, operation, executions, taken=taken)
        if isinstance(verdict, Incomplete):
            return verdict
        settled = RowResult.SETTLED
        return Proven(
            tuple(
                RowOutcome(row.participant_code, settled, "", "", row.amount_minor)
                for row in intent.rows
            )
        )

    monkeypatch.setattr(calls, "judge", trusting)


def no_quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal frees the slot at once, whatever was sent before it."""
    monkeypatch.setattr(calls.Caller, "pause_until", lambda *_: True)


class Moody(Provider):
    """Refuses a participant at first, and not later."""

    def receive(self, intent: Intent, signed_at: int) -> tuple[int, str, tuple[str, ...]]:
        """As always, by the mood of the moment."""
        self.refused = frozenset({"CUST02"} if self.now < START + 20 else ())
        return super().receive(intent, signed_at)


class Slow(ModelWriter):
    """Its first request is on its way for 40 seconds."""

    def send(self, signed: ModelSigned, number: int) -> Answer:
        """Keep the first one back."""
        if number == 1 and not self.sent:
            self.provider.waiting.append((START + 40, signed.intent, signed.signed_at))
        return super().send(signed, number)


def patience(directory: Path) -> list[str]:
    """A refusal comes while an earlier attempt is still on its way; what went wrong."""
    machine = Machine(Moody(), directory, DECLARED, writer_of=Slow)
    machine.run([LOST_BEFORE])
    machine.provider.wait(120)
    return [f"{len(sent)} bodies" for sent in machine.provider.bodies.values() if len(sent) > 1]


def test_without_a_bug_every_scenario_holds(tmp_path: Path) -> None:
    """The scenarios themselves are sound."""
    assert once(tmp_path / "once") == []
    assert rivalry(tmp_path / "rivalry") == []
    assert patience(tmp_path / "patience") == []


@pytest.mark.parametrize(
    ("plant", "scenarios"),
    [
        (pending_not_counted, once),
        (body_in_the_id, rivalry),
        (no_completeness_check, once),
        (proof_skipped, rivalry),
        (no_quarantine, patience),
    ],
)
def test_a_planted_bug_is_caught(
    plant: Plant,
    scenarios: Callable[[Path], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The same scenarios go wrong with it."""
    plant(monkeypatch)
    assert scenarios(tmp_path) != []


def test_an_intent_that_is_not_durable_before_the_send_is_caught(tmp_path: Path) -> None:
    """A crash then loses what was sent, and it is sent again in the next slot."""
    assert once(tmp_path / "sound", lag=0) == []
    assert once(tmp_path / "forgetful", Forgetful, lag=0) != []


@pytest.mark.parametrize("writer_of", [NewIds, NewBodies])
def test_a_retry_with_another_id_or_other_bytes_is_caught(
    writer_of: type[ModelWriter], tmp_path: Path
) -> None:
    """Only the same bytes under the same id are the same call."""
    assert once(tmp_path, writer_of=writer_of) != []


def test_the_journal_refuses_an_id_that_is_not_its_slots(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second line of defence: a body in the id never reaches the provider."""
    monkeypatch.setattr(body, "call_id", lambda *_: call_id("sandbox", str(uuid.UUID(int=7)), 1))
    machine = Machine(Provider(), tmp_path, DECLARED)
    with pytest.raises(JournalError, match="not its slot's"):
        machine.run([LOST_AFTER])
    assert not machine.provider.operations
