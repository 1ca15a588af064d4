"""Small worlds for the tests of the client: a sandbox, a clock turned by hand, canned answers."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import httpx

from stratctl.core.diagnostic import Span
from stratctl.core.event import Answer, AnswerClass, Intent
from stratctl.core.secret import Secret
from stratctl.core.slots import call_id, create_id
from stratctl.core.state import (
    BOOKED_ROWS,
    Booked,
    BookedOperation,
    DesiredStrategy,
    Drift,
    Live,
    OpenIntent,
    Verb,
)
from stratctl.core.tables import Workspace
from stratctl.live.auth import Credentials
from stratctl.live.client import ReadClient, WriteClient
from stratctl.live.clockwork import Clockwork
from stratctl.live.limiter import Limiter
from stratctl.live.reader import Reader
from stratctl.live.transport import Endpoint
from stratctl.live.writer import Writer
from stratctl.sandbox import Sandbox, open_sandbox

ENDPOINT = Endpoint("http://localhost")
FLOAT_ACCOUNT = ("00SCXM", "PLAT01", "general")
BLUE_CHIP = (("BTC", "0.5"), ("ETH", "0.3"), ("SOL", "0.2"))


@dataclass
class HandClock:
    """Time that passes only when somebody sleeps; chance that always says the same."""

    now: float = 1_000_000.0
    wall_offset: float = 0.0
    chance: float = 0.5
    sleeps: list[float] = field(default_factory=list)
    on_sleep: Callable[[float], None] = lambda seconds: None

    def clockwork(self) -> Clockwork:
        """The clockwork that is handed in. The wall clock is real: servers check signatures."""
        return Clockwork(
            wall=lambda: time.time() + self.wall_offset,
            monotonic=lambda: self.now,
            sleep=self._sleep,
            random=lambda: self.chance,
        )

    def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        self.on_sleep(seconds)


def secret_credentials(key: str, secret: str, passphrase: str) -> Credentials:
    """Credentials from plain text."""
    return Credentials(Secret(key), Secret(secret), Secret(passphrase))


ANY_CREDENTIALS = secret_credentials("a-key", "c2VjcmV0LXNlY3JldA==", "a-passphrase")

Responder = Callable[[httpx.Request], httpx.Response]


def answering(*answers: httpx.Response | Exception) -> tuple[httpx.BaseTransport, list[str]]:
    """A transport that gives these answers in turn, then the last one for good; and what it saw."""
    left = itertools.chain(answers, itertools.repeat(answers[-1]))
    seen: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.raw_path.decode()}")
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return httpx.MockTransport(respond), seen


def json_answer(document: object, status: int = 200, **headers: str) -> httpx.Response:
    """A JSON answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, content=json.dumps(document).encode())


def read_client(transport: httpx.BaseTransport, clock: HandClock | None = None) -> ReadClient:
    """A read client over any transport."""
    clockwork = (clock or HandClock()).clockwork()
    return ReadClient(
        endpoint=ENDPOINT,
        credentials=ANY_CREDENTIALS,
        transport=transport,
        clockwork=clockwork,
        limiter=Limiter(clockwork),
    )


def write_client(transport: httpx.BaseTransport, clock: HandClock | None = None) -> WriteClient:
    """A write client over any transport."""
    clockwork = (clock or HandClock()).clockwork()
    return WriteClient(
        endpoint=ENDPOINT,
        credentials=ANY_CREDENTIALS,
        transport=transport,
        clockwork=clockwork,
        limiter=Limiter(clockwork),
    )


def declared(name: str = "blue-chip", **fields: Any) -> DesiredStrategy:
    """A declared Strategy of which only what is given matters."""
    half = Fraction(1, 2)
    plain: dict[str, Any] = {
        "name": name,
        "quoted_currency": "USD",
        "metadata_json": None,
        "targets": (),
        "rebalance_on": "change",
        "rebalance_epoch": 0,
        "drift": Drift(half, half, half),
        "hold": False,
        "provider_id": None,
        "previously": (),
        "live_cohort": None,
        "span": Span("strategies/x.yaml", 1, 1),
    }
    return DesiredStrategy(**{**plain, **fields})


def booked(
    workspace: Workspace,
    rows: Sequence[Mapping[str, object]] = (),
    *,
    operations: tuple[BookedOperation, ...] = (),
    open_intents: tuple[OpenIntent, ...] = (),
    strategy_ids: tuple[tuple[str, str], ...] = (),
) -> Booked:
    """What a journal knows; nothing by default."""
    nothing: dict[str, object] = {
        name: 0 if kind == "BIGINT" else None for name, kind in BOOKED_ROWS.items()
    }
    full = [
        {**nothing, "busy": False, "exited": False, "rebalanced_at": None, **row} for row in rows
    ]
    columns = [[row[name] for row in full] for name in BOOKED_ROWS]
    return Booked(
        known=bool(rows or operations or open_intents or strategy_ids),
        rows=workspace.table("booked", BOOKED_ROWS, columns),
        operations=operations,
        open_intents=open_intents,
        strategy_ids=strategy_ids,
        applied_commit=None,
        applied_generation=None,
        used_acknowledgements=frozenset(),
        halted=None,
        head="",
    )


def intent(
    verb: Verb,
    path: str,
    body: Mapping[str, object],
    request_id: str,
    *,
    strategy_id: str = "",
    slot: int | None = None,
) -> Intent:
    """An intent to send this body."""
    text = json.dumps(body, separators=(",", ":"))
    return Intent(
        strategy="blue-chip",
        strategy_id=strategy_id,
        verb=verb,
        slot=slot,
        request_id=request_id,
        method="PATCH" if verb in (Verb.METADATA, Verb.FLAGS) else "POST",
        path=path,
        body=text,
        body_sha256=hashlib.sha256(text.encode()).hexdigest(),
        currency="USD",
        rows=(),
        vector_text="",
        target_text="",
        target_epoch=0,
        acknowledgements=(),
        fence_head=0,
    )


_PATHS = {
    Verb.ENROLL: "enroll",
    Verb.TOP_UP: "top-up",
    Verb.PARTIAL_SELL: "partial-sell",
    Verb.REBALANCE: "rebalance",
    Verb.LIQUIDATE: "liquidate",
}


def call(
    verb: Verb,
    strategy_id: str,
    slot: int,
    amounts: Mapping[str, str | None],
    *,
    request_id: str = "",
    allocations: Sequence[tuple[str, str]] = BLUE_CHIP,
) -> Intent:
    """A trading call; ``amounts`` by participant, None where the verb has none."""
    body: dict[str, object] = {}
    if verb is not Verb.LIQUIDATE:
        body["allocations"] = [
            {"underlying_currency": asset, "weight": weight} for asset, weight in allocations
        ]
    rows: list[dict[str, object]] = []
    for code, amount in amounts.items():
        row: dict[str, object] = {"participant_code": code}
        if amount is not None:
            row["amount"] = amount
        if verb is Verb.ENROLL:
            row["auto_rebalance"] = True
        rows.append(row)
    body["participants"] = rows
    return intent(
        verb,
        f"/strategies/{strategy_id}/{_PATHS[verb]}",
        body,
        request_id or call_id("sandbox", strategy_id, slot),
        strategy_id=strategy_id,
        slot=slot,
    )


class World:
    """A sandbox with the project's two clients on it, and a clock that drives both."""

    def __init__(self, participants: int = 40, switches: Mapping[str, str] | None = None) -> None:
        self.sandbox: Sandbox = open_sandbox(participants=participants, switches=switches or {})
        self.clock = HandClock(on_sleep=self.sandbox_sleeps)
        self.clockwork = self.clock.clockwork()
        self.limiter = Limiter(self.clockwork)
        keys = self.sandbox.credentials
        self.read_client = ReadClient(
            endpoint=ENDPOINT,
            credentials=secret_credentials(keys.read.key, keys.read.secret, keys.read.passphrase),
            transport=self.sandbox.transport(),
            clockwork=self.clockwork,
            limiter=self.limiter,
        )
        write = WriteClient(
            endpoint=ENDPOINT,
            credentials=secret_credentials(
                keys.write.key, keys.write.secret, keys.write.passphrase
            ),
            transport=self.sandbox.transport(),
            clockwork=self.clockwork,
            limiter=self.limiter,
        )
        self.writer = Writer(write, self.read_client, self.clockwork)
        self.workspace = Workspace()

    def sandbox_sleeps(self, seconds: float) -> None:
        """Whoever waits, the sandbox's Operations go on meanwhile."""
        self.sandbox.advance(f"{seconds:.3f}")

    def settle(self) -> None:
        """Let every Operation come to its end."""
        self.sandbox.advance(5)

    def fault(self, kind: str, **fields: Any) -> None:
        """Let the next request that fits meet a fault."""
        self.sandbox.control("fault", {"kind": kind, **fields})

    def send(self, intent: Intent) -> Answer:
        """Sign and send, once."""
        return self.writer.send(self.writer.sign(intent), 1)

    def create(self, name: str = "blue-chip", **body: object) -> str:
        """Create a Strategy and return its id."""
        wanted = {"quoted_currency": "USD", "metadata": {}, **body}
        answer = self.send(intent(Verb.CREATE, "/strategies", wanted, create_id("sandbox", name)))
        assert answer.answer is AnswerClass.COMMITTED, answer
        return answer.resource_id

    def commit(self, intent: Intent) -> str:
        """Send a call that must be accepted, let it settle, and return its Operation's id."""
        answer = self.send(intent)
        assert answer.answer is AnswerClass.COMMITTED, answer
        self.settle()
        return answer.resource_id

    def read(self, *strategies: DesiredStrategy, known: Booked | None = None) -> Live:
        """Read live."""
        return Reader(self.read_client, self.clockwork).read(
            realm="sandbox",
            declared=strategies or (declared(),),
            float_account=FLOAT_ACCOUNT,
            booked=known or booked(self.workspace),
            workspace=self.workspace,
            as_of="2026-01-02T03:04:05Z",
            price_assets=(),
            progress=lambda subject, rows: None,
        )

    def rows(self, live: Live) -> dict[str, dict[str, Any]]:
        """The live rows by participant, for worlds with one Strategy."""
        names = list(live.rows.schema)
        return {row[1]: dict(zip(names, row, strict=True)) for row in live.rows.rows()}
