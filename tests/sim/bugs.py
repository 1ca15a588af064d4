"""Bugs planted into the program, each of which the simulation must find."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from stratctl.apply import body, calls, proof, strategy, trading
from stratctl.apply.standing import Standing
from stratctl.apply.words import Pace
from stratctl.core.event import Execution, Intent, RowOutcome, RowResult
from stratctl.journal import bindings, booked, directory
from stratctl.live import accounting, strategies


@contextmanager
def _replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _pending_not_counted() -> AbstractContextManager[None]:
    """What is not finished counts as nothing: neither its amount nor that its rows are busy."""

    def nothing(*_: object) -> None: ...

    def count_operation(*said: Any, **more: Any) -> accounting.Count:
        found = accounting.count_operation(*said, **more)
        rows = (row for row in found.rows if row.busy != accounting.PENDING)
        return replace(found, rows=tuple(rows), problem="")

    return _replaced(
        (booked.Fold, "_count_in_full", nothing),
        (strategies, "count_operation", count_operation),
    )


def _body_in_the_id() -> AbstractContextManager[None]:
    """An id for what is sent, in place of one for where it stands."""
    make = body.trading_intent

    def trading_intent(*said: Any, **more: Any) -> Intent:
        intent = make(*said, **more)
        digest = hashlib.sha256(f"{intent.slot}{intent.body}".encode()).digest()[:16]
        return replace(intent, request_id=str(uuid.UUID(bytes=digest, version=4)))

    return _replaced(
        (trading, "trading_intent", trading_intent),
        (bindings.Bindings, "_expected_id", lambda self, intent: intent.request_id),
    )


def _no_completeness_check() -> AbstractContextManager[None]:
    """Whoever is in no Execution that is listed was not part of it."""

    def judge(intent: Intent, operation: Any, seen: Any, *, taken: bool) -> Any:
        listed = {execution.participant_code for execution in seen}
        verdict = proof.judge(
            replace(intent, rows=tuple(r for r in intent.rows if r.participant_code in listed)),
            operation,
            seen,
            taken=taken,
        )
        if not seen:
            verdict = proof.Proven(())
        if not isinstance(verdict, proof.Proven):
            return verdict
        lost = [r for r in intent.rows if r.participant_code not in listed]
        amount = 0 if intent.verb in proof.WITH_AMOUNT else None
        nobody = tuple(
            RowOutcome(row.participant_code, RowResult.SKIPPED, "", "", amount) for row in lost
        )
        return proof.Proven(
            tuple(sorted((*verdict.rows, *nobody), key=lambda r: r.participant_code))
        )

    def complete(operation: object, executions: tuple[Execution, ...]) -> str:
        return ""

    return _replaced(
        (calls, "judge", judge),
        (strategies, "incompleteness", complete),
        (accounting, "incompleteness", complete),
    )


def _fsync_skipped() -> AbstractContextManager[None]:
    """The journal says durable when it has only written."""

    def write(self: Any, data: bytes) -> None:
        self._file = self._file or self._disk.append(self._path)
        self._file.write(data)

    return _replaced((directory.DirectoryStore, "write", write))


def _lock_only() -> AbstractContextManager[None]:
    """Ids of chance: only the lock keeps two machines apart."""
    made: list[int] = []

    def own(realm: str, strategy_id: str, slot: int) -> str:
        made.append(slot)
        return str(uuid.UUID(int=len(made) << 64, version=4))

    return _replaced(
        (body, "call_id", own),
        (bindings.Bindings, "_expected_id", lambda self, intent: intent.request_id),
    )


def _slot_skipped_after_400() -> AbstractContextManager[None]:
    """A refusal uses its slot up."""
    divide = trading.Trading._divide

    def skipping(self: Any, *said: Any) -> Any:
        groups = yield from divide(self, *said)
        self.standing.head_slot += 1
        return groups

    return _replaced((trading.Trading, "_divide", skipping))


def _pipelined_slots() -> AbstractContextManager[None]:
    """The next slot is used while nobody knows what became of the last."""

    stop = Standing.leave_open

    def going_on(self: Any, intent: Intent, ending: Any) -> Any:
        if intent.slot is None:
            yield from stop(self, intent, ending)
        else:
            self.head_slot += 1

    return _replaced(
        (Standing, "leave_open", going_on),
        (strategy, "Pace", lambda: Pace(attempts=1)),
    )


PLANTED: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "pending_not_counted": _pending_not_counted,
    "body_in_the_id": _body_in_the_id,
    "no_completeness_check": _no_completeness_check,
    "fsync_skipped": _fsync_skipped,
    "lock_only": _lock_only,
    "slot_skipped_after_400": _slot_skipped_after_400,
    "pipelined_slots": _pipelined_slots,
}
