"""A journal of enrolments that went well, of the sizes that a benchmark asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from uuid import UUID

from stratctl.core.event import (
    Answer,
    AnswerClass,
    Attempt,
    Event,
    Intent,
    IntentRow,
    Outcome,
    RowOutcome,
    RowResult,
)
from stratctl.core.slots import call_id
from stratctl.core.state import Verb
from stratctl.journal.record import NO_PREVIOUS, Genesis, Run, Word, encode

REALM, ENVIRONMENT = "sandbox", "dev"
STRATEGY, STRATEGY_ID = "blue-chip", "b1c2d3e4-f5a6-4789-bcde-f01234567890"
TARGET = "BTC 0.5, ETH 0.3, SOL 0.2"
LEGS = 3
"""Each leg of an Execution has a trade."""


def lines(calls: int, rows: int) -> bytes:
    """Each of ``calls`` enrols ``rows`` participants in four lines."""
    told, prev = [], NO_PREVIOUS
    for seq, event in enumerate(events(calls, rows), start=1):
        line = encode(event, seq=seq, prev=prev, at="2026-11-21T09:00:00Z", run="run-1")
        prev = json.loads(line)["h"]
        told.append(line)
    return b"".join(told)


def events(calls: int, rows: int) -> Iterator[Event | Word]:
    """What these lines say."""
    yield Genesis(REALM, ENVIRONMENT)
    yield Run("0" * 64, "0" * 64, "0" * 40, 1, ())
    for slot in range(1, calls + 1):
        codes = [f"{number:06X}" for number in range((slot - 1) * rows, slot * rows)]
        intent = enrolment(slot, codes)
        yield intent
        yield Attempt(intent.request_id, 1, 1_000)
        yield Answer(intent.request_id, 1, AnswerClass.COMMITTED, 202, issued("o", slot), "")
        yield outcome(intent, codes)


def enrolment(slot: int, codes: list[str]) -> Intent:
    """An intent for these participants, of 100.00 each."""
    said = [{"amount": "100.00", "auto_rebalance": True, "participant_code": c} for c in codes]
    body = json.dumps({"participants": said}, separators=(",", ":"))
    return Intent(
        strategy=STRATEGY,
        strategy_id=STRATEGY_ID,
        verb=Verb.ENROLL,
        slot=slot,
        request_id=call_id(REALM, STRATEGY_ID, slot),
        method="POST",
        path=f"/strategies/{STRATEGY_ID}/enroll",
        body=body,
        body_sha256=sha256(body.encode()).hexdigest(),
        currency="USD",
        rows=tuple(IntentRow(code, 10_000, auto_rebalance=True) for code in codes),
        vector_text=TARGET,
        target_text=TARGET,
        target_epoch=0,
        acknowledgements=(),
        fence_head=slot - 1,
    )


def outcome(intent: Intent, codes: list[str]) -> Outcome:
    """Everybody's Execution settled."""
    assert intent.slot is not None
    return Outcome(
        strategy=STRATEGY,
        strategy_id=STRATEGY_ID,
        verb=intent.verb,
        slot=intent.slot,
        request_id=intent.request_id,
        operation_id=issued("o", intent.slot),
        status="settled",
        status_reason="",
        rows=tuple(
            RowOutcome(
                code,
                RowResult.SETTLED,
                "",
                issued("e", code),
                10_000,
                tuple(issued("t", code, leg) for leg in range(LEGS)),
            )
            for code in codes
        ),
        proven=True,
    )


def issued(*of: object) -> str:
    """An id as a provider would issue it, always the same."""
    return str(UUID(bytes=sha256(repr(of).encode()).digest()[:16], version=4))
