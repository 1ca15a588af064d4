"""A small client for the tests: signs by itself, and holds every answer to the contract."""

import base64
import hmac
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx

from stratctl.sandbox import Sandbox, open_sandbox
from stratctl.sandbox.auth import Credential
from stratctl.sandbox.clock import ManualClock
from tests.sandbox import contract

BASKET = {"BTC": "0.50", "ETH": "0.30", "SOL": "0.20"}


def signature(secret: str, message: bytes) -> str:
    """The documented signature, written down a second time."""
    key = base64.b64decode(secret)
    return base64.b64encode(hmac.new(key, message, sha256).digest()).decode()


def signed_headers(
    credential: Credential, wall_ms: int, method: str, target: str, body: bytes
) -> dict[str, str]:
    """The four authentication headers."""
    timestamp = str(wall_ms // 1000)
    signed = body if method != "GET" else b"{}"
    message = f"{timestamp}{method}{target}".encode() + signed
    return {
        "X-SCX-API-KEY": credential.key,
        "X-SCX-PASSPHRASE": credential.passphrase,
        "X-SCX-TIMESTAMP": timestamp,
        "X-SCX-SIGNED": signature(credential.secret, message),
    }


class Answer(NamedTuple):
    """Status, decoded body (None when there is none) and headers."""

    status: int
    body: Any
    headers: httpx.Headers

    @property
    def message(self) -> Any:
        """What is in the envelope."""
        return self.body["message"]


class Platform:
    """A platform on the sandbox. `strict` holds every answer to the contract."""

    def __init__(self, sandbox: Sandbox, clock: ManualClock, *, strict: bool = True) -> None:
        self.sandbox = sandbox
        self.clock = clock
        self.strict = strict
        self.client = httpx.Client(transport=sandbox.transport(), base_url="https://provider.test")
        self._requests = 0

    def call(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        request_id: str | None = "",
        credential: Credential | None = None,
    ) -> Answer:
        """One signed request; a mutation gets a fresh request id unless one is given."""
        content = b"" if body is None else json.dumps(body).encode()
        who = credential or self.sandbox.credentials.write
        headers = signed_headers(who, self.clock.wall_ms(), method, target, content)
        if request_id == "" and method != "GET":
            self._requests += 1
            request_id = str(uuid.UUID(int=self._requests, version=4))
        if request_id:
            headers["X-REQUEST-ID"] = request_id
        if content:
            headers["Content-Type"] = "application/json"
        response = self.client.request(method, target, content=content, headers=headers)
        answer = Answer(
            response.status_code,
            json.loads(response.content) if response.content else None,
            response.headers,
        )
        if self.strict:
            contract.check(method, target, answer.status, answer.body)
        return answer

    def get(self, path: str, **query: Any) -> Answer:
        """One signed GET."""
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any, request_id: str = "") -> Answer:
        """One signed POST."""
        return self.call("POST", path, body, request_id=request_id)

    def patch(self, path: str, body: Any, request_id: str = "") -> Answer:
        """One signed PATCH."""
        return self.call("PATCH", path, body, request_id=request_id)

    def strategy(self, currency: str = "USD", **metadata: Any) -> str:
        """A new Strategy's id."""
        body = {"quoted_currency": currency, "metadata": metadata}
        return str(self.post("/strategies", body).message["id"])

    def start(
        self,
        strategy: str,
        verb: str,
        who: Mapping[str, str] | list[str],
        weights: Mapping[str, str] | None = None,
        *,
        auto_rebalance: bool = True,
        request_id: str = "",
    ) -> Answer:
        """Send one verb; `who` is codes, or codes and amounts."""
        body: dict[str, Any] = {}
        if verb != "liquidate":
            body["allocations"] = allocations(weights or BASKET)
        body["participants"] = participants(verb, who, auto_rebalance=auto_rebalance)
        return self.post(f"/strategies/{strategy}/{verb}", body, request_id)

    def run(
        self,
        strategy: str,
        verb: str,
        who: Mapping[str, str] | list[str],
        weights: Mapping[str, str] | None = None,
        *,
        auto_rebalance: bool = True,
    ) -> "Outcome":
        """Send one verb, wait until it is terminal, and verify the books in full."""
        answer = self.start(strategy, verb, who, weights, auto_rebalance=auto_rebalance)
        assert answer.status == 202, answer.body
        self.settle()
        return self.outcome(answer.message["id"])

    def settle(self, seconds: int = 5) -> None:
        """Let Operations finish, then recompute the books."""
        self.sandbox.advance(seconds)
        assert self.sandbox.control("books")["balanced"]

    def outcome(self, operation: str) -> "Outcome":
        """An Operation and its Executions by participant."""
        found = self.get(f"/strategies/operations/{operation}").message
        executions = self.all_rows("/strategies/executions", operation_id=operation)
        return Outcome(found, {item["participant_code"]: item for item in executions})

    def all_rows(self, path: str, **query: Any) -> list[Any]:
        """Every row of a cursor-paged list."""
        return self.all_rows_from(path, "", **query)

    def all_rows_from(self, path: str, token: str, **query: Any) -> list[Any]:
        """Every row from a page token on."""
        rows: list[Any] = []
        while True:
            page = self.get(path, **query, page_token=token).message
            rows += next(value for key, value in page.items() if key != "next_page_token")
            token = page["next_page_token"]
            if not token:
                return rows

    def holdings(self, strategy: str, participant: str) -> dict[str, str]:
        """What a Trader holds, by GET /accounts."""
        rows = self.get("/accounts", account_owner=participant, account_label=strategy).message
        return {row["asset"]: row["balance"] for row in rows}

    def float_balance(self, currency: str = "USD") -> str:
        """The novated float, by the documented query."""
        rows = self.get(
            "/accounts",
            asset=currency,
            account_owner="00SCXM",
            account_group="PLAT01",
            account_label="general",
            account_type="available",
        ).message
        return str(rows[0]["balance"]) if rows else "0.00"


class Outcome(NamedTuple):
    """A terminal Operation and its Executions by participant."""

    operation: dict[str, Any]
    executions: dict[str, dict[str, Any]]

    @property
    def status(self) -> tuple[str, str]:
        """Status and reason of the Operation."""
        return self.operation["status"], self.operation["status_reason"]

    def of(self, participant: str) -> tuple[str, str]:
        """Status and reason of one Execution."""
        execution = self.executions[participant]
        return execution["status"], execution["status_reason"]

    def legs(self, participant: str) -> dict[str, dict[str, Any]]:
        """Instructions of one Execution by asset."""
        found = self.executions[participant]["instructions"]
        return {leg["underlying_currency"]: leg for leg in found}


def allocations(weights: Mapping[str, str]) -> list[dict[str, str]]:
    """Allocations of a body."""
    return [{"underlying_currency": asset, "weight": text} for asset, text in weights.items()]


def participants(
    verb: str, who: Mapping[str, str] | list[str], *, auto_rebalance: bool = True
) -> list[dict[str, Any]]:
    """Participants of a body, as each verb wants them."""
    if not isinstance(who, Mapping):
        return [{"participant_code": code} for code in who]
    rows: list[dict[str, Any]] = [
        {"participant_code": code, "amount": amount} for code, amount in who.items()
    ]
    if verb == "enroll":
        for row in rows:
            row["auto_rebalance"] = auto_rebalance
    return rows


@contextmanager
def open_platform(*, strict: bool = True, **settings: Any) -> Iterator[Platform]:
    """A platform on a fresh sandbox with a clock that stands still."""
    clock = ManualClock()
    settings = {"participants": 10, **settings}
    with open_sandbox(clock=clock, **settings) as sandbox:
        yield Platform(sandbox, clock, strict=strict)
