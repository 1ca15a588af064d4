"""What apply says, in order: each event is made durable by the journal before apply goes on.

An apply generator yields events and receives a Receipt for each. It sends nothing for an Intent
whose Receipt does not carry that body's digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from stratctl.core.state import EntryContent, Verb


@dataclass(frozen=True, slots=True)
class IntentRow:
    """One participant of a call. ``amount_minor`` is None for verbs without an amount."""

    participant_code: str
    amount_minor: int | None = None
    auto_rebalance: bool | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """A call written down before it is sent. The id never carries another body."""

    strategy: str
    strategy_id: str
    """Empty for CREATE: the provider has not issued it yet."""
    verb: Verb
    slot: int | None
    """None for CREATE, METADATA and FLAGS, which have ids of their own."""
    request_id: str
    method: str
    path: str
    body: str
    body_sha256: str
    currency: str
    rows: Sequence[IntentRow]
    vector_text: str
    target_text: str
    target_epoch: int
    acknowledgements: tuple[str, ...]
    """Ids of the acknowledgements that it relies on; the first intent uses them up."""
    fence_head: int
    """The chain's head slot when it was bound."""
    entries: tuple[EntryContent, ...] = ()
    """Named entries whose money is among its rows, but for those that an earlier commit carried."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The request is signed and about to be sent, once."""

    request_id: str
    number: int
    signed_at: int
    """Unix seconds in the signature; it dies 60 s later."""


class AnswerClass(StrEnum):
    """What an answer to a money request proves."""

    COMMITTED = "committed"
    SLOT_TAKEN = "slot_taken"
    REFUSED = "refused"
    ACCESS_REFUSED = "access_refused"
    NOT_FOUND = "not_found"
    NOT_SENT = "not_sent"
    RATE_LIMITED = "rate_limited"
    RETRY_FRIENDLY = "retry_friendly"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for an attempt, or what a look-up by request id found."""

    request_id: str
    number: int
    """The attempt; 0 for a look-up."""
    answer: AnswerClass
    status: int
    resource_id: str
    """The Operation's id (the Strategy's for CREATE); empty when none is known."""
    detail: str
    errors: tuple[str, ...] = ()


class RowResult(StrEnum):
    """What became of one participant of an Operation, from its Execution."""

    SETTLED = "settled"
    SKIPPED = "skipped"
    REJECTED = "rejected"
    MIXED = "mixed"
    """Some legs executed and others failed: busy at the full amount until a person decides."""


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """One participant's Execution, decided."""

    participant_code: str
    result: RowResult
    reason: str
    execution_id: str
    amount_minor: int | None
    """What counts towards the totals: the requested amount of a settled flow (of a buy with
    skipped legs, the executed part); of a mixed flow the full amount, which stays pending; 0 for
    the rest; None where the verb has no amount."""
    trade_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """An Operation is terminal and complete: every participant's Execution is accounted for."""

    strategy: str
    strategy_id: str
    verb: Verb
    slot: int
    request_id: str
    operation_id: str
    status: str
    status_reason: str
    rows: Sequence[RowOutcome]
    proven: bool
    """False: the provider carried out another body than we sent; its figures are booked."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The intent is never sent again; its slot is free. Only after proof or quarantine."""

    strategy: str
    request_id: str
    slot: int | None
    reason: str
    parked: tuple[tuple[str, str], ...] = ()
    """(participant_code, reason) of rows that the refusal named."""


@dataclass(frozen=True, slots=True)
class Forfeited:
    """Flows of exiting participants that never moved, closed for good."""

    strategy: str
    strategy_id: str
    rows: tuple[tuple[str, int, int], ...]
    """(participant_code, forfeited_in_minor, forfeited_out_minor)"""


@dataclass(frozen=True, slots=True)
class Satisfied:
    """Participants who hold a changed target within the minimum leg; no call was needed."""

    strategy: str
    strategy_id: str
    target_text: str
    target_epoch: int
    participants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stops a row or a Strategy, for people and for the exit code.

    ``indeterminate``: an outcome is open, not failed.
    """

    strategy: str
    code: str
    detail: str
    participants: tuple[str, ...] = ()
    indeterminate: bool = False


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A call of the journal without its end: what recovery and a later apply start from."""

    intent: Intent
    attempts: int
    signed_last: int | None
    """Unix seconds of the newest Attempt's signature; None when it was never sent."""
    in_doubt: bool
    """Some Attempt has no answer, or one that does not prove that nothing was carried out."""
    operation_id: str
    """The Operation that the provider named; empty while it is not known to be committed."""
    taken: bool = False
    """That Operation came of another body under the same id."""


Event = Intent | Attempt | Answer | Outcome | Abandoned | Forfeited | Satisfied | Problem


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an event is durable. ``digest`` is an Intent's body digest, else empty."""

    seq: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One leg of an Execution, texts exactly as the provider sent them."""

    asset: str
    side: str
    amount: str
    amount_type: str
    status: str
    status_reason: str
    price: str
    quantity: str
    total_notional: str
    trade_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Execution:
    """One participant's part of an Operation, as the provider lists it."""

    id: str
    operation_id: str
    participant_code: str
    status: str
    status_reason: str
    instructions: tuple[Instruction, ...]
