"""A journal with something of everything in it, for tests that damage, read and count it."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stratctl.core.event import (
    Abandoned,
    Answer,
    AnswerClass,
    Attempt,
    Event,
    Forfeited,
    Intent,
    IntentRow,
    Outcome,
    Problem,
    RowOutcome,
    RowResult,
    Satisfied,
)
from stratctl.core.slots import call_id, create_id
from stratctl.core.state import Verb
from stratctl.journal.record import (
    Adopted,
    AdoptedOperation,
    AdoptedRow,
    Applied,
    Halt,
    Resume,
    Run,
    Takeover,
    Unparked,
    Word,
)
from stratctl.journal.segments import FILE
from stratctl.journal.store import open_journal

REALM = "sandbox"
ENVIRONMENT = "dev"
STRATEGY = "blue-chip"
STRATEGY_ID = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
START = datetime(2026, 11, 21, 9, tzinfo=UTC)


class Clock:
    """A second later each time."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


def intent(
    verb: Verb,
    slot: int | None,
    rows: Sequence[tuple[str, int | None]],
    *,
    target: str = "",
    body: str = "",
    acknowledgements: tuple[str, ...] = (),
) -> Intent:
    """An intent whose body is made of its rows."""
    bytes_sent = body or repr((verb.value, tuple(rows)))
    named = tuple(IntentRow(code, amount) for code, amount in rows)
    return Intent(
        strategy=STRATEGY,
        strategy_id="" if verb is Verb.CREATE else STRATEGY_ID,
        verb=verb,
        slot=slot,
        request_id=call_id(REALM, STRATEGY_ID, slot) if slot else create_id(REALM, STRATEGY),
        method="POST",
        path="/strategies",
        body=bytes_sent,
        body_sha256=hashlib.sha256(bytes_sent.encode()).hexdigest(),
        currency="USD",
        rows=named,
        vector_text="BTC 1",
        target_text=target,
        target_epoch=1 if target else 0,
        acknowledgements=acknowledgements,
        fence_head=(slot or 1) - 1,
    )


def attempt(of: Intent, number: int = 1, signed_at: int = 1_000) -> Attempt:
    """An attempt of an intent."""
    return Attempt(of.request_id, number, signed_at)


def answer(
    of: Intent, kind: AnswerClass = AnswerClass.COMMITTED, number: int = 1, resource: str = ""
) -> Answer:
    """An answer to an attempt; a commit names its Operation after the slot."""
    commits = kind in (AnswerClass.COMMITTED, AnswerClass.SLOT_TAKEN)
    return Answer(of.request_id, number, kind, 202, resource or operation(of) * commits, "")


def operation(of: Intent) -> str:
    """The Operation's id in these stories."""
    return f"operation-{of.slot}"


def outcome(
    of: Intent,
    results: Sequence[tuple[str, RowResult, str, int | None]],
    *,
    proven: bool = True,
) -> Outcome:
    """An outcome with the given rows."""
    return Outcome(
        strategy=STRATEGY,
        strategy_id=STRATEGY_ID,
        verb=of.verb,
        slot=of.slot or 0,
        request_id=of.request_id,
        operation_id=operation(of),
        status="settled",
        status_reason="",
        rows=tuple(
            RowOutcome(code, result, reason, f"execution-{code}", amount, ("trade-1",))
            for code, result, reason, amount in results
        ),
        proven=proven,
    )


def these(*events: Event | Word) -> list[Event | Word]:
    """Entries in order."""
    return list(events)


def committed(of: Intent) -> list[Event | Word]:
    """A call from its intent to its commit."""
    return [of, attempt(of), answer(of)]


def settled(of: Intent) -> list[Event | Word]:
    """A call that went well from its intent to its outcome."""
    rows = [(row.participant_code, RowResult.SETTLED, "", row.amount_minor) for row in of.rows]
    return [*committed(of), outcome(of, rows)]


def everything() -> list[Event | Word]:
    """Each kind of entry at least once, about sixty in all."""
    create = intent(Verb.CREATE, None, [])
    refused = intent(Verb.TOP_UP, 10, [("CUST01", 100), ("CUST02", 900)], body="refused")
    open_call = intent(Verb.PARTIAL_SELL, 11, [("CUST01", 250)])
    told: list[Event | Word] = [
        Run("plan", "configuration", "commit-1", 1, ("ack-1",)),
        create,
        attempt(create),
        Answer(create.request_id, 1, AnswerClass.COMMITTED, 201, STRATEGY_ID, "made"),
    ]
    for slot in range(1, 10):
        told += settled(
            intent(
                Verb.ENROLL if slot == 1 else Verb.TOP_UP, slot, [("CUST01", 100), ("CUST02", 7)]
            )
        )
    told += [
        refused,
        attempt(refused),
        Answer(refused.request_id, 1, AnswerClass.REFUSED, 400, "", "no", ("CUST02 is é",)),
        Abandoned(STRATEGY, refused.request_id, 10, "refused", (("CUST02", "is é"),)),
        *settled(intent(Verb.TOP_UP, 10, [("CUST01", 100)], acknowledgements=("ack-1",))),
        Forfeited(STRATEGY, STRATEGY_ID, (("CUST03", 5, 6),)),
        Satisfied(STRATEGY, STRATEGY_ID, "BTC 1", 2, ("CUST01", "CUST02")),
        Problem(STRATEGY, "E_ROWS_REFUSED", "is é", ("CUST02",)),
        Applied("commit-1", 1, "plan", complete=True),
        Unparked("ack-2", STRATEGY_ID, ("CUST02",)),
        Halt(exits_only=True, reason="look"),
        Resume("looked"),
        adopted(0, rows=[AdoptedRow("CUST02", 33, 0, None, mixed=False, rebalanced_at=None)]),
        Takeover("pid 7 on a lost machine", 900),
        Run("plan-2", "configuration", "commit-2", 2, ()),
        open_call,
        attempt(open_call),
        answer(open_call, AnswerClass.UNKNOWN),
    ]
    return told


def adopted(*slots: int, rows: Sequence[AdoptedRow] = ()) -> Adopted:
    """Operations of our chain that no intent bound; slot 0 is somebody else's."""
    return Adopted(
        STRATEGY,
        STRATEGY_ID,
        tuple(
            AdoptedOperation(
                f"operation-{slot}",
                call_id(REALM, STRATEGY_ID, slot) if slot else "",
                slot or None,
                Verb.TOP_UP,
            )
            for slot in slots
        ),
        tuple(rows),
    )


def write(directory: Path, told: Sequence[Event | Word]) -> Path:
    """A journal file that says it."""
    with open_journal(directory, ENVIRONMENT, REALM, clock=Clock(), run="run-1") as journal:
        for event in told:
            journal.append(event)
    return directory / ENVIRONMENT / FILE
