"""A sandbox process, projects of a few participants, and a witness that reads what happened.

The sandbox is started once and shared: the names of Strategies decide who they are, so that tests
with names of their own do not meet. The witness signs its own requests and reads the provider's
Executions; what our journal believes is never asked.
"""

from __future__ import annotations

import base64
import hmac
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import httpx

from stratctl import pipeline
from stratctl.core.event import Event
from stratctl.core.plan import Acknowledgement, Plan
from stratctl.core.report import Applied, Status
from stratctl.core.surroundings import Surroundings

ROOT = Path(__file__).resolve().parents[2]
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LEG = Decimal("0.01")
"""What one leg of a cut amount may differ by."""

BASKET = {"BTC": "0.50", "ETH": "0.30", "SOL": "0.20"}
WIDE = {
    "liquidations": 100,
    "asset_exits": 10,
    "removals": 100,
    "removals_share": "1.0",
    "cash_in": "10000000.00",
    "turnover": "1.0",
    "avoidable_sells": "1.0",
    "partial_sell_share": "1.0",
}
"""Guards that let everything through, for tests that are not about guards."""


class Sandbox:
    """One running sandbox process, its controls, and a signed witness.

    ``program`` are the words that start it, and ``now`` is its wall clock.
    """

    def __init__(
        self,
        folder: Path,
        *switches: str,
        program: Sequence[str] = ("-m", "stratctl.sandbox"),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self._now = now
        credentials = folder / "credentials"
        command = [sys.executable, *program, "--credentials", str(credentials)]
        # Operations end at once and no price lags: what is waited for here is never the point.
        fast = ("validating_ms=0", "pricing_ms=0", "settling_ms=0", "index_value=price")
        for switch in (*fast, *switches):
            command += ["--switch", switch]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.endpoint: str = json.loads(self._process.stdout.readline())["endpoint"]
        lines = credentials.read_text(encoding="utf-8").splitlines()
        self.environ = dict(line.split("=", 1) for line in lines)
        self._http = httpx.Client(base_url=self.endpoint, trust_env=False)
        self._codes = itertools.count(1)

    def close(self) -> None:
        """Stop the process cleanly."""
        self._http.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    # --- controls ---------------------------------------------------------------------------------

    def control(self, name: str, body: Any = None, *, method: str = "") -> Any:
        """Ask or tell the sandbox itself."""
        chosen = method or ("GET" if body is None else "POST")
        answer = self._http.request(chosen, f"/_sandbox/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, kind: str, path: str = "", *, method: str = "POST", **more: Any) -> None:
        """Let a fault wait for its request."""
        self.control("fault", {"kind": kind, "method": method, "path": path, **more})

    @contextmanager
    def switched(self, **positions: str) -> Iterator[None]:
        """Turn switches and turn them back."""
        table = self.control("switches")
        before = {name: table[name]["value"] for name in positions}
        self.control("switches", positions)
        try:
            yield
        finally:
            self.control("switches", before)

    @contextmanager
    def priced(self, **prices: str) -> Iterator[None]:
        """Other prices, and the earlier ones afterwards."""
        before = self.control("price")
        self.control("price", prices)
        try:
            yield
        finally:
            self.control("price", {asset: before[asset] for asset in prices})

    @contextmanager
    def floating(self, balance: str) -> Iterator[None]:
        """Another balance of the float, and the earlier one afterwards."""
        before = self.control("float")["balances"]["USD"]
        self.control("float", {"currency": "USD", "balance": balance})
        try:
            yield
        finally:
            self.control("float", {"currency": "USD", "balance": before})

    def participants(self, count: int) -> list[str]:
        """Approved participants that nobody else uses."""
        codes = [self.code() for _ in range(count)]
        self.control("participants", {"participants": [{"participant_code": c} for c in codes]})
        return codes

    def code(self) -> str:
        """A code that is not a participant yet."""
        number, text = next(self._codes), ""
        while number:
            number, digit = divmod(number, 36)
            text = DIGITS[digit] + text
        return "E" + text.rjust(5, "0")

    def standing(self, code: str, status: str, reason_code: str = "") -> None:
        """Give a participant another standing."""
        wanted = {"participant_code": code, "status": status, "reason_code": reason_code}
        self.control("participants", {"participants": [wanted]})

    def log(self) -> list[dict[str, Any]]:
        """The last 1,000 requests to the provider's own routes."""
        return list(self.control("requests")["requests"])

    @contextmanager
    def recorded(self) -> Iterator[list[dict[str, Any]]]:
        """The requests that arrive meanwhile; there may be at most some hundreds."""
        mark = f"/time?mark={uuid.uuid4()}"
        self._http.get(mark)
        heard: list[dict[str, Any]] = []
        yield heard
        log = self.log()
        (first,) = (number for number, entry in enumerate(log) if entry["target"] == mark)
        heard += log[first + 1 :]

    def mutations(self) -> int:
        """How many requests that are no GET were ever carried out or refused."""
        counts: Mapping[str, int] = self.control("stats")["requests"]
        return sum(count for route, count in counts.items() if not route.startswith("GET "))

    def is_balanced(self) -> bool:
        """Whether the double-entry books add up, recomputed in full."""
        return bool(self.control("books")["balanced"])

    # --- the witness ------------------------------------------------------------------------------

    def get(self, path: str, **query: str) -> Any:
        """What the provider says, in its envelope or without one."""
        target = f"{path}?{httpx.QueryParams(query)}" if query else path
        answer = self._signed("GET", target)
        assert answer.status_code == 200, answer.text
        document = answer.json()
        return document.get("message", document)

    def post(self, path: str, body: Any) -> Any:
        """A mutation that stratctl knows nothing of."""
        answer = self._signed("POST", path, json.dumps(body).encode())
        assert answer.status_code < 300, answer.text
        return answer.json()["message"]

    def listed(self, path: str, name: str, **query: str) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        token = ""
        while True:
            page = self.get(
                path, **query, page_size="200", **({"page_token": token} if token else {})
            )
            found += page[name]
            token = page.get("next_page_token", "")
            if not token:
                return found

    def _signed(
        self, method: str, target: str, body: bytes = b"", *, request_id: str = ""
    ) -> httpx.Response:
        role = "READ" if method == "GET" else "WRITE"
        timestamp = str(int(self._now()))
        message = f"{timestamp}{method}{target}".encode() + (body if method != "GET" else b"{}")
        secret = base64.b64decode(self.environ[f"STRATCTL_{role}_SECRET"])
        headers = {
            "X-SCX-API-KEY": self.environ[f"STRATCTL_{role}_KEY"],
            "X-SCX-PASSPHRASE": self.environ[f"STRATCTL_{role}_PASSPHRASE"],
            "X-SCX-TIMESTAMP": timestamp,
            "X-SCX-SIGNED": base64.b64encode(hmac.new(secret, message, sha256).digest()).decode(),
            "Content-Type": "application/json",
        }
        if method != "GET":
            headers["X-REQUEST-ID"] = request_id or str(uuid.uuid4())
        return self._http.request(method, target, content=body, headers=headers)


@dataclass
class Moved:
    """What the provider's Executions say about one participant of one Strategy."""

    bought: Decimal = Decimal(0)
    sold: Decimal = Decimal(0)
    settled: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Operation type -> settled Executions."""


@dataclass
class Witness:
    """Everything that happened to one Strategy, as the provider tells it."""

    strategies: int
    """How many the provider has under this Strategy's label."""
    operations: list[Any]
    moved: dict[str, Moved]
    traders: dict[str, Any]

    def types(self) -> list[str]:
        """The types of its Operations, oldest first."""
        return [operation["type"] for operation in self.operations]


class Project:
    """A project of its own in a Git repository: documents in memory, written by ``save``."""

    def __init__(self, root: Path, sandbox: Sandbox, tag: str, **settings: Any) -> None:
        self.root = root
        self.sandbox = sandbox
        self.tag = tag
        self.environ: dict[str, str] = dict(sandbox.environ)
        self.environment: dict[str, Any] = {
            "realm": settings.pop("realm", "sandbox"),
            "endpoint": sandbox.endpoint,
            "platform_code": "PLAT01",
            "funding_model": settings.pop("funding_model", "novated"),
            "float_account": {"owner": "00SCXM", "group": "PLAT01", "label": "general"},
        }
        self.project: dict[str, Any] = {
            "kind": "Project",
            "version": 1,
            "environments": {"local": self.environment},
            "journal": {"directory": ".stratctl/journal"},
        }
        self.policy: dict[str, Any] = {"kind": "Policy", "version": 1, "guards": dict(WIDE)}
        self.documents: dict[str, dict[str, Any]] = {}
        assert not settings, settings
        (root / "strategies").mkdir(parents=True)
        (root / ".gitignore").write_text(".stratctl/\n*.zip\n", encoding="utf-8")
        # Without its template: fifteen sample files per project, made and removed for nothing.
        self.git("init", "--quiet", "--template=", "--initial-branch", "main")

    # --- declaring --------------------------------------------------------------------------------

    def name(self, short: str) -> str:
        """A name that no other test uses."""
        return f"{self.tag}-{short}"

    def strategy(self, short: str, allocations: Mapping[str, str] = BASKET, **more: Any) -> str:
        """Declare a Strategy and answer with its name."""
        name = self.name(short)
        self.documents[short] = {
            "kind": "Strategy",
            "version": 1,
            "name": name,
            "quoted_currency": "USD",
            "metadata": {"label": name},
            "allocations": dict(allocations),
            **more,
        }
        return name

    def cohort(
        self, short: str, strategy: str, amounts: Mapping[str, Any] | None, **more: Any
    ) -> dict[str, Any]:
        """Declare a cohort; an amount is what was contributed, or the whole line."""
        document: dict[str, Any] = {
            "kind": "Cohort",
            "version": 1,
            "name": self.name(short),
            "strategy": self.name(strategy),
            **more,
        }
        if amounts is not None:
            document["participants"] = [
                {
                    "participant_code": code,
                    **(said if isinstance(said, dict) else {"contributed": said}),
                }
                for code, said in amounts.items()
            ]
        self.documents[short] = document
        return document

    def acknowledge(self, short: str, expires: str = "2099-12-31", **rules: Any) -> None:
        """Declare an Acknowledgement."""
        self.documents[short] = {
            "kind": "Acknowledgement",
            "version": 1,
            "name": self.name(short),
            "rules": rules,
            "reason": "reviewed in a test",
            "expires": expires,
        }

    def line(self, cohort: str, code: str) -> dict[str, Any]:
        """A participant's line, to be changed."""
        lines: list[dict[str, Any]] = self.documents[cohort]["participants"]
        return next(line for line in lines if line["participant_code"] == code)

    def save(self, message: str = "change") -> None:
        """Write every document (JSON is YAML) and commit."""
        for old in (self.root / "strategies").glob("*.yaml"):
            old.unlink()
        for short, document in self.documents.items():
            path = self.root / "strategies" / f"{short}.yaml"
            path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        for name, document in (("stratctl.yaml", self.project), ("policy.yaml", self.policy)):
            (self.root / name).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def git(self, *words: str, at: Path | None = None) -> str:
        """Git with nobody's configuration."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.com",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.com",
        }
        done = subprocess.run(
            ["git", *words],
            cwd=at or self.root,
            env=environ,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.root / ".stratctl" / "journal" / "local" / "journal.jsonl"

    # --- the verbs --------------------------------------------------------------------------------

    def plan(self, *, root: Path | None = None, **more: Any) -> Plan:
        """Plan against live."""
        return pipeline.plan(
            root or self.root,
            environment=None,
            environ=Surroundings(self.environ),
            progress=silent,
            **more,
        )

    def apply(
        self,
        approved: Plan | None = None,
        *,
        root: Path | None = None,
        approve: Callable[[Plan], None] = lambda plan: None,
        acknowledgements: Sequence[Acknowledgement] = (),
        expect_digest: str | None = None,
        watch: Callable[[Event], None] = lambda event: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Applied:
        """Apply, approved by whoever is handed in."""
        return pipeline.apply(
            root or self.root,
            environment=None,
            environ=Surroundings(self.environ),
            approved=approved,
            expect_digest=expect_digest,
            acknowledgements=acknowledgements,
            approve=approve,
            progress=silent,
            watch=watch,
            stopping=stopping,
        )

    def status(self) -> Status:
        """A summary of live."""
        return pipeline.status(
            self.root, environment=None, environ=Surroundings(self.environ), progress=silent
        )

    def settle(self) -> Applied:
        """Apply, and hold it to having done everything."""
        report = self.apply()
        assert report.exit_code == 0, (report.problems, report.rejected)
        return report

    def assert_nothing_left(self) -> None:
        """A further apply finds an empty plan and sends nothing."""
        before = self.sandbox.mutations()

        def refuse(plan: Plan) -> None:
            assert verbs(plan) == [], verbs(plan)

        assert self.apply(approve=refuse).exit_code == 0
        assert self.sandbox.mutations() == before

    # --- what happened ----------------------------------------------------------------------------

    def strategy_id(self, short: str) -> str:
        """The provider's id, found by the label that every test Strategy carries."""
        (found,) = self._found(short)
        return cast(str, found["id"])

    def witness(self, short: str) -> Witness:
        """Read everything that the provider has about one Strategy."""
        found = self._found(short)
        if not found:
            return Witness(0, [], {}, {})
        strategy_id = found[0]["id"]
        operations = self.sandbox.listed(
            "/strategies/operations", "operations", strategy_id=strategy_id
        )
        moved: dict[str, Moved] = defaultdict(Moved)
        for operation in operations:
            for execution in self.sandbox.listed(
                "/strategies/executions",
                "executions",
                strategy_id=strategy_id,
                operation_id=operation["id"],
            ):
                _count(moved[execution["participant_code"]], operation["type"], execution)
        traders = self.sandbox.listed("/strategies/traders", "traders", strategy_id=strategy_id)
        return Witness(
            len(found), operations, dict(moved), {t["participant_code"]: t for t in traders}
        )

    def _found(self, short: str) -> list[Any]:
        name = self.name(short)
        return [
            strategy
            for strategy in self.sandbox.listed("/strategies", "strategies")
            if strategy["metadata"].get("label") == name
        ]


def _count(moved: Moved, kind: str, execution: Any) -> None:
    if execution["status"] != "settled":
        return
    moved.settled[kind] += 1
    for leg in execution["instructions"]:
        if leg["status"] != "executed":
            continue
        if kind in ("enrollment", "top_up"):
            moved.bought += Decimal(leg["amount"])
        elif kind == "partial_sell":
            moved.sold += Decimal(leg["total_notional"])


def verbs(plan: Plan) -> list[tuple[str, str, int]]:
    """A plan in short: (Strategy, verb, rows) of each call."""
    return [(call.strategy, call.verb.value, call.rows) for call in plan.calls]


def rows_of(plan: Plan) -> list[tuple[str, str, int | None]]:
    """A plan's rows: (verb, participant, amount)."""
    said = {call.number: call.verb.value for call in plan.calls}
    return [
        (said[call], code, amount)
        for call, code, amount in plan.rows.workspace.rows(
            f"SELECT call, participant_code, amount_minor FROM {plan.rows} ORDER BY ALL"
        )
    ]


def blocked_of(plan: Plan) -> dict[str, str]:
    """Participant -> why nothing is sent for it."""
    return {code: reason for _, code, reason, *_ in plan.blocked.rows()}


def silent(what: str, done: int, total: int | None) -> None:
    """Nobody watches the progress."""


def acknowledged(**rules: str) -> Acknowledgement:
    """An acknowledgement as the command line makes one."""
    return Acknowledgement(
        name="typed", rules=tuple(rules.items()), reason="a test", expires="2099-12-31"
    )
