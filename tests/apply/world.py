"""A model of the provider for the laws of apply: a register that keeps the first body of an id.

It is an oracle, not a copy of the provider: a plain put-if-absent register with a clock, Executions
and the ways in which a network and a list can deceive. ``ModelWriter`` is one machine's way to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from stratctl.core.event import Answer, AnswerClass, Execution, Instruction, Intent
from stratctl.core.money import parse_amount, parse_units
from stratctl.core.state import LiveOperation, LiveStrategy, Verb

START = 1_760_000_000
SIGNATURE_SECONDS = 60
OPERATION_SECONDS = 2
TYPES = {
    "enroll": "enrollment",
    "top-up": "top_up",
    "partial-sell": "partial_sell",
    "rebalance": "rebalance",
    "liquidate": "liquidation",
}

OK = "ok"
LOST_BEFORE = "lost before it arrived"
LOST_AFTER = "lost after it was carried out"
DELAYED = "delayed for 30 s"
LATE_TWICE = "carried out, and once more 30 s later"
NOT_SENT = "never left"
LIMITED = "429"
BUSY = "503"
ERROR_AFTER = "500 after it was carried out"
FAULTS = (
    OK,
    LOST_BEFORE,
    LOST_AFTER,
    DELAYED,
    LATE_TWICE,
    NOT_SENT,
    LIMITED,
    BUSY,
    ERROR_AFTER,
)


@dataclass
class Operation:
    """What the register keeps under an id."""

    id: str
    request_id: str
    strategy_id: str
    kind: str
    body: str
    at: int

    @property
    def participants(self) -> list[dict[str, Any]]:
        """The participants of the body, in its order."""
        listed: list[dict[str, Any]] = json.loads(self.body)["participants"]
        return listed


@dataclass
class Provider:
    """The register and everything that can be set about it."""

    mode: str = "replay"
    """What the same id with another body gets: replay, 400, 409 or 422."""
    lag: int = 0
    """Seconds until a look-up shows a new Operation."""
    execution_lag: int = 0
    """Seconds after the end until all Executions of an Operation are listed."""
    rejects: dict[str, str] = field(default_factory=dict)
    """participant_code -> reason of its Execution's rejection."""
    refused: frozenset[str] = frozenset()
    """Codes that make a whole body a 400."""
    naming: bool = True
    """Whether the 400 names them."""
    legs: dict[str, str] = field(default_factory=dict)
    """participant_code -> status of its last leg."""
    silent: bool = False
    """Operations end without any Execution, and say so."""
    now: int = START
    operations: dict[str, Operation] = field(default_factory=dict)
    strategies: dict[str, LiveStrategy] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    """path of a PATCH -> its body"""
    bodies: dict[str, set[str]] = field(default_factory=dict)
    """request_id -> every body that was ever sent under it"""
    waiting: list[tuple[int, Intent, int]] = field(default_factory=list)
    """(arrives, intent, signed_at) of requests that are still on their way"""

    def wait(self, seconds: float) -> None:
        """Time passes; what was on its way arrives."""
        self.now += max(1, round(seconds))
        due = [each for each in self.waiting if each[0] <= self.now]
        self.waiting = [each for each in self.waiting if each[0] > self.now]
        for _, intent, signed_at in due:
            self.receive(intent, signed_at)

    def receive(self, intent: Intent, signed_at: int) -> tuple[int, str, tuple[str, ...]]:
        """(status, resource id, errors) for a request that arrives now."""
        self.bodies.setdefault(intent.request_id, set()).add(intent.body)
        if self.now - signed_at > SIGNATURE_SECONDS:
            return 401, "", ("timestamp",)
        if intent.verb is Verb.CREATE:
            return self._create(intent)
        if intent.method == "PATCH":
            self.flags[intent.path] = intent.body
            return 200, intent.path.rsplit("/", 1)[1], ()
        known = self.operations.get(intent.request_id)
        if known is not None:
            if known.body != intent.body and self.mode != "replay":
                return int(self.mode), "", ("request id was used",)
            return 200, known.id, ()
        bad = [row.participant_code for row in intent.rows if row.participant_code in self.refused]
        if bad:
            return 400, "", (f"invalid participants: {', '.join(bad)}",) if self.naming else ("no",)
        made = Operation(
            id=f"00000000-0000-4000-8000-{len(self.operations) + 1:012d}",
            request_id=intent.request_id,
            strategy_id=intent.strategy_id,
            kind=TYPES[intent.path.rsplit("/", 1)[1]],
            body=intent.body,
            at=self.now,
        )
        self.operations[intent.request_id] = made
        return 202, made.id, ()

    def _create(self, intent: Intent) -> tuple[int, str, tuple[str, ...]]:
        if intent.request_id not in self.strategies:
            said = json.loads(intent.body)
            self.strategies[intent.request_id] = LiveStrategy(
                id=f"b1c2d3e4-f5a6-4789-bcde-{len(self.strategies):012d}",
                name=intent.strategy,
                request_id=intent.request_id,
                quoted_currency=said["quoted_currency"],
                metadata_json=json.dumps(said.get("metadata")),
                updated_at="2026-11-21T09:00:00Z",
                operations=(),
            )
        return 201, self.strategies[intent.request_id].id, ()

    def by_id(self, operation_id: str) -> Operation:
        """The Operation with this id."""
        (found,) = (each for each in self.operations.values() if each.id == operation_id)
        return found

    def show(self, operation: Operation) -> LiveOperation:
        """The Operation as a read shows it now."""
        over = self.now >= operation.at + OPERATION_SECONDS
        statuses = {row["participant_code"] in self.rejects for row in operation.participants}
        ended = "failed" if statuses == {True} else "settled"
        return LiveOperation(
            id=operation.id,
            request_id=operation.request_id,
            type=operation.kind,
            status=ended if over else "settling",
            status_reason=self._reason(statuses) if over else "",
            allocations=tuple(
                (each["underlying_currency"], each["weight"])
                for each in json.loads(operation.body).get("allocations", ())
            ),
            created_at=str(operation.at),
            slot=None,
        )

    def _reason(self, rejected: set[bool]) -> str:
        if self.silent:
            return "no_executions"
        return "partial_success" if len(rejected) == 2 else ""

    def executions(self, operation: Operation) -> tuple[Execution, ...]:
        """Its Executions as far as they are listed now."""
        listed = [] if self.silent else operation.participants
        if self.now < operation.at + OPERATION_SECONDS + self.execution_lag:
            listed = listed[: len(listed) // 2]
        return tuple(self._execution(operation, row) for row in listed)

    def _execution(self, operation: Operation, row: dict[str, Any]) -> Execution:
        code = row["participant_code"]
        reason = self.rejects.get(code, "")
        return Execution(
            id=f"{operation.id}/{code}",
            operation_id=operation.id,
            participant_code=code,
            status="rejected" if reason else "settled",
            status_reason=reason,
            instructions=() if reason else tuple(self._legs(operation, row)),
        )

    def _legs(self, operation: Operation, row: dict[str, Any]) -> Iterator[Instruction]:
        vector = json.loads(operation.body).get("allocations", ())
        amount = row.get("amount")
        for place, each in enumerate(vector):
            buys = operation.kind in ("enrollment", "top_up")
            # Every leg is cut to the cent, so legs add up to a little less than was asked for.
            cents = parse_amount(amount, "USD") if amount else 100
            cents = cents * parse_units(each["weight"], 18) // 10**18
            text = f"{cents // 100}.{cents % 100:02d}"
            last = place == len(vector) - 1
            yield Instruction(
                asset=each["underlying_currency"],
                side="buy" if buys else "sell",
                amount=text if buys else "0.01",
                amount_type="notional" if buys else "quantity",
                status=self.legs.get(row["participant_code"], "executed") if last else "executed",
                status_reason="",
                price="1.00",
                quantity=text,
                total_notional=text,
                trade_ids=(f"trade-{operation.id}-{row['participant_code']}-{place}",),
            )

    def moved_minor(self, kinds: Iterable[str] = ("enrollment", "top_up")) -> dict[str, int]:
        """The truth: what was requested and not rejected, per participant."""
        moved: dict[str, int] = {}
        for operation in self.operations.values():
            if operation.kind in kinds:
                for row in operation.participants:
                    code = row["participant_code"]
                    if code not in self.rejects:
                        moved[code] = moved.get(code, 0) + parse_amount(row["amount"], "USD")
        return moved


@dataclass(frozen=True)
class ModelSigned:
    """An intent with the second of its signature."""

    intent: Intent
    signed_at: int


class ModelWriter:
    """One machine's way to the provider. Each transmission takes the next fault."""

    def __init__(self, provider: Provider, faults: Iterable[str] = ()) -> None:
        self.provider = provider
        self.faults = iter(faults)
        self.sent = 0

    def sign(self, intent: Intent) -> ModelSigned:
        """Signed now."""
        return ModelSigned(intent, self.provider.now)

    def send(self, signed: ModelSigned, number: int) -> Answer:
        """One transmission, deceived by the next fault."""
        self.sent += 1
        fault, intent, world = next(self.faults, OK), signed.intent, self.provider
        if fault == NOT_SENT:
            return self._answer(intent, number, AnswerClass.NOT_SENT)
        if fault in (LIMITED, BUSY):
            limited = fault == LIMITED
            known = AnswerClass.RATE_LIMITED if limited else AnswerClass.RETRY_FRIENDLY
            return self._answer(intent, number, known, 429 if limited else 503)
        if fault in (DELAYED, LATE_TWICE):
            world.waiting.append((world.now + 30, intent, signed.signed_at))
        if fault in (LOST_BEFORE, DELAYED):
            return self._answer(intent, number, AnswerClass.UNKNOWN)
        status, resource_id, errors = world.receive(intent, signed.signed_at)
        if fault in (LOST_AFTER, ERROR_AFTER):
            status_shown = 500 if fault == ERROR_AFTER else 0
            return self._answer(intent, number, AnswerClass.UNKNOWN, status_shown)
        if status in (200, 201, 202):
            return self._committed(intent, number, resource_id, status)
        known = {400: AnswerClass.REFUSED, 401: AnswerClass.ACCESS_REFUSED}.get(
            status, AnswerClass.UNKNOWN
        )
        return self._answer(intent, number, known, status, errors=errors)

    def look_up(self, intent: Intent) -> Answer | None:
        """What a look-up by the id shows now."""
        world = self.provider
        if intent.method == "PATCH":
            if world.flags.get(intent.path) != intent.body:
                return None
            trader_id = intent.path.rsplit("/", 1)[1]
            return self._answer(intent, 0, AnswerClass.COMMITTED, 200, trader_id)
        if intent.verb is Verb.CREATE:
            live = world.strategies.get(intent.request_id)
            if live is None:
                return None
            return self._answer(intent, 0, AnswerClass.COMMITTED, 200, live.id)
        known = world.operations.get(intent.request_id)
        if known is None or world.now < known.at + world.lag:
            return None
        return self._committed(intent, 0, known.id, 200)

    def _committed(self, intent: Intent, number: int, resource_id: str, status: int) -> Answer:
        """The echo shows type and allocations, and nothing else of the body."""
        known = self.provider.operations.get(intent.request_id)
        same = known is None or (
            known.kind == TYPES[intent.path.rsplit("/", 1)[1]]
            and json.loads(known.body).get("allocations")
            == json.loads(intent.body).get("allocations")
        )
        proved = AnswerClass.COMMITTED if same else AnswerClass.SLOT_TAKEN
        return self._answer(intent, number, proved, status, resource_id)

    @staticmethod
    def _answer(
        intent: Intent,
        number: int,
        proved: AnswerClass,
        status: int = 0,
        resource_id: str = "",
        errors: tuple[str, ...] = (),
    ) -> Answer:
        return Answer(intent.request_id, number, proved, status, resource_id, "model", errors)

    def operation(self, operation_id: str) -> LiveOperation:
        """The Operation now."""
        return self.provider.show(self.provider.by_id(operation_id))

    def executions(self, strategy_id: str, operation_id: str) -> tuple[Execution, ...]:
        """Its Executions now."""
        return self.provider.executions(self.provider.by_id(operation_id))

    def strategy(self, strategy_id: str, *, name: str) -> LiveStrategy:
        """The Strategy now."""
        (found,) = (s for s in self.provider.strategies.values() if s.id == strategy_id)
        return found

    def wait(self, seconds: float) -> None:
        """The whole world waits."""
        self.provider.wait(seconds)

    def now(self) -> int:
        """The provider's clock is ours."""
        return self.provider.now
