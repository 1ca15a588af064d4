"""The provider: one request in, one response out, nothing else.

Given the same store, settings, requests and clock it does the same thing again. It needs no
framework: a server and an in-process transport are two faces of it.
"""

import threading
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stratctl.sandbox.auth import Credential, Gate, check_may_write, make_credential
from stratctl.sandbox.bodies import QUOTED_CURRENCIES
from stratctl.sandbox.books import PROVIDER, Account, Books, Posting, outside_account
from stratctl.sandbox.clock import Clock, SystemClock, http_date
from stratctl.sandbox.control import PREFIX, Control
from stratctl.sandbox.engine import Engine
from stratctl.sandbox.faults import Fault, Faults, answer_instead, spoil
from stratctl.sandbox.funding import Funding
from stratctl.sandbox.ids import derive
from stratctl.sandbox.market import Market
from stratctl.sandbox.messages import (
    ApiError,
    Request,
    Response,
    json_response,
    not_found,
)
from stratctl.sandbox.paging import Pages
from stratctl.sandbox.participants import Participants
from stratctl.sandbox.routes import Routes
from stratctl.sandbox.settlement import Settlement
from stratctl.sandbox.store import Store
from stratctl.sandbox.switches import Switches
from stratctl.sandbox.world import Call, Settings, World

RATE_LIMIT_REQUESTS = 2_000
RATE_LIMIT_WINDOW_MS = 10_000
LOG_LENGTH = 1_000

__all__ = ["Provider", "Request", "Response", "Settings", "Store"]


@dataclass(frozen=True, slots=True)
class _Delayed:
    """A request that is still on its way."""

    request: Request
    due_ms: int
    wall_ms: int


class Provider:
    """A whole provider over one store. Safe to call from several threads."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.world = _open_world(store, settings)
        self.faults = Faults()
        self._settings = settings
        self._lock = threading.RLock()
        self._routes = Routes()
        self._control = Control(self)
        self._clock: Clock = SystemClock()
        self._offset_ms = int(store.get("offset_ms") or 0)
        self._delayed: list[_Delayed] = []
        self._arrivals: deque[int] = deque()
        self._blocked_until_ms = 0
        self._counts: Counter[str] = Counter()
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self._answers = 0
        self._is_open = False
        self.read_credential = _credential(store, may_write=False)
        self.write_credential = _credential(store, may_write=True)
        self._gate = Gate({key.key: key for key in (self.read_credential, self.write_credential)})

    def open(self, clock: Clock) -> None:
        """On a fresh store: prices, participants and full floats, as of now. Raises ValueError."""
        with self._lock:
            self._clock = clock
            if not self._is_open:
                self._is_open = True
                if self.world.store.get("opened_ms") is None:
                    self._open_books()

    def handle(self, request: Request, clock: Clock) -> Response:
        """Answer one request at the time that the clock shows."""
        with self._lock:
            self.open(clock)
            self._deliver_delayed()
            if request.target.startswith(PREFIX):
                self.world.engine.run_due(self.now_ms())
                return self._control.handle(request)
            answer, fault = self._meet_faults(request)
            self._record(request, answer, fault)
            delay_ms = self.world.switches.number("latency_ms")
            return replace(answer, delay_ms=delay_ms) if delay_ms else answer

    def now_ms(self) -> int:
        """Sandbox time: the wall clock plus what was advanced."""
        return self._wall_ms() + self._offset_ms

    def advance(self, milliseconds: int) -> None:
        """Move sandbox time forward and let Operations follow."""
        self._offset_ms += milliseconds
        with self.world.store.transaction():
            self.world.store.put("offset_ms", str(self._offset_ms))
        self._deliver_delayed()
        self.world.engine.run_due(self.now_ms())

    def stats(self) -> dict[str, Any]:
        """Counts of requests by route since the start, and of rows."""
        store = self.world.store
        tables = ("strategy", "trader", "operation", "execution", "trade", "account", "participant")
        statuses = store.rows("SELECT status, count(*) FROM operation GROUP BY status")
        return {
            "requests": dict(self._counts),
            "rows": {name: store.value(f"SELECT count(*) FROM {name}") for name in tables},
            "operations": dict(statuses),
        }

    def log(self) -> list[dict[str, Any]]:
        """The last requests, oldest first."""
        return list(self._log)

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            self.world.store.close()

    # One request

    def _meet_faults(self, request: Request) -> tuple[Response, Fault | None]:
        fault = self.faults.take(request)
        if fault is None:
            return self._serve(request, self._wall_ms()), None
        if not fault.before:
            return spoil(fault, request, self._serve(request, self._wall_ms())), fault
        if fault.kind == "late":
            later_ms = fault.seconds * 1000
            self._delayed.append(
                _Delayed(request, self.now_ms() + later_ms, self._wall_ms() + later_ms)
            )
        return answer_instead(fault), fault

    def _serve(self, request: Request, wall_ms: int) -> Response:
        """Admit, route, answer; an error rolls back what the handler wrote."""
        now_ms = self.now_ms()
        if self._is_over_the_limit(wall_ms):
            return answer_instead(Fault("429"))
        self.world.engine.run_due(now_ms)
        parts = urlsplit(request.target)
        route = self._routes.find(request.method, parts.path)
        self._counts[f"{request.method} {parts.path if route is None else route[0]}"] += 1
        try:
            credential = self._admit(request, parts.path, wall_ms)
            if route is None:
                raise not_found()
            _, handler, ids = route
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            call = Call(request, self.world, ids, query, now_ms, wall_ms)
            if request.method == "GET":
                answer = handler(call)
            else:
                check_may_write(credential)
                with self.world.store.transaction():
                    answer = handler(call)
        except ApiError as error:
            answer = _error(error)
        return self._with_headers(request, answer, wall_ms)

    def _admit(self, request: Request, path: str, wall_ms: int) -> Credential:
        """Who sent it; `GET /time` is for everybody. Raises ApiError."""
        if path == "/time":
            return self.read_credential
        failure = int(self.world.switches["auth_failure"])
        return self._gate.admit(request, wall_ms=wall_ms, failure=failure)

    def _with_headers(self, request: Request, answer: Response, wall_ms: int) -> Response:
        """The request id is echoed; the server makes one up for those who sent none."""
        self._answers += 1
        given = request.header("x-request-id")
        name = given or derive(self.world.seed, "answer", self._answers)
        headers = {"date": http_date(wall_ms // 1000), **answer.headers, "x-request-id": name}
        return replace(answer, headers=headers)

    def _is_over_the_limit(self, wall_ms: int) -> bool:
        """The documented limit: 2,000 requests per rolling 10 s, then blocked for 10 s."""
        if self.world.switches["rate_limit"] == "off":
            return False
        if wall_ms < self._blocked_until_ms:
            return True
        arrivals = self._arrivals
        while arrivals and arrivals[0] <= wall_ms - RATE_LIMIT_WINDOW_MS:
            arrivals.popleft()
        arrivals.append(wall_ms)
        if len(arrivals) <= RATE_LIMIT_REQUESTS:
            return False
        self._blocked_until_ms = wall_ms + RATE_LIMIT_WINDOW_MS
        return True

    def _deliver_delayed(self) -> None:
        """Requests that were late arrive now; their signatures are as old as they are."""
        now_ms = self.now_ms()
        arriving = [item for item in self._delayed if item.due_ms <= now_ms]
        self._delayed = [item for item in self._delayed if item.due_ms > now_ms]
        for item in sorted(arriving, key=lambda item: item.due_ms):
            self._record(item.request, self._serve(item.request, item.wall_ms), Fault("late"))

    def _record(self, request: Request, answer: Response, fault: Fault | None) -> None:
        self._log.append(
            {
                "method": request.method,
                "target": request.target,
                "request_id": request.header("x-request-id"),
                "status": answer.status,
                "fault": "" if fault is None else fault.kind,
            }
        )

    def _wall_ms(self) -> int:
        return self._clock.wall_ms()

    def _open_books(self) -> None:
        store = self.world.store
        now_ms = self.now_ms()
        with store.transaction():
            store.put("opened_ms", str(now_ms))
            self.world.market.open(self._settings.prices, now_ms)
            self.world.participants.create(self._settings.participants, now_ms)
            posting = Posting(0, now_ms, "deposit")
            cents = int(self._settings.float_balance.replace(".", ""))
            for currency in QUOTED_CURRENCIES:
                for owner, group in (
                    (PROVIDER, self.world.platform),
                    (self.world.platform, PROVIDER),
                ):
                    posting.move(Account("float", owner, group, "general", currency), cents)
                    posting.move(outside_account(currency), -cents)
            self.world.books.post(posting)


def _open_world(store: Store, settings: Settings) -> World:
    """Put the parts together; what the state file says wins over the settings."""
    with store.transaction():
        if store.get("seed") is None:
            store.put("seed", str(settings.seed))
            store.put("platform", settings.platform)
        for name, value in settings.switches.items():
            Switches({name: value})
            store.put(f"switch/{name}", value)
    stored = store.rows("SELECT substr(name, 8), value FROM meta WHERE name LIKE 'switch/%'")
    seed, platform = int(store.get("seed") or 0), str(store.get("platform"))
    switches = Switches(dict(stored))
    market = Market(store)
    books = Books(store, seed=seed, platform=platform)
    participants = Participants(store)
    funding = Funding(store, switches, books, platform)
    settlement = Settlement(
        store=store,
        switches=switches,
        market=market,
        books=books,
        funding=funding,
        seed=seed,
        platform=platform,
    )
    engine = Engine(
        store=store,
        switches=switches,
        market=market,
        books=books,
        participants=participants,
        funding=funding,
        settlement=settlement,
        seed=seed,
    )
    return World(
        store=store,
        switches=switches,
        market=market,
        books=books,
        participants=participants,
        funding=funding,
        settlement=settlement,
        engine=engine,
        pages=Pages(store),
        seed=seed,
        platform=platform,
    )


def _credential(store: Store, *, may_write: bool) -> Credential:
    """The key of this state file: made from the seed once, then kept."""
    name = "credential/write" if may_write else "credential/read"
    kept = store.get(name)
    if kept is not None:
        key, secret, passphrase = kept.split(" ")
        return Credential(key, secret, passphrase, may_write)
    made = make_credential(int(store.get("seed") or 0), may_write=may_write)
    with store.transaction():
        store.put(name, f"{made.key} {made.secret} {made.passphrase}")
    return made


def _error(error: ApiError) -> Response:
    return Response(error.status) if error.body is None else json_response(error.status, error.body)
