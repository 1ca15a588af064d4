"""One schedule's world: the provider, the machines, the weather, and what must always hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from stratctl.core.tables import Workspace
from stratctl.sandbox.embed import Sandbox, open_sandbox
from stratctl.sandbox.messages import Request, Response
from stratctl.sandbox.provider import Provider
from tests.sim.chance import Chance
from tests.sim.disk import Disk
from tests.sim.history import ARRIVED, FAULT, History
from tests.sim.invariants import Invariants
from tests.sim.machine import Machine
from tests.sim.remote import Remote
from tests.sim.scheduler import Scheduler
from tests.sim.shape import ALONE, BRANCH, PRIVATE, UNLOCKED, Shape
from tests.sim.space import PlainSpace
from tests.sim.weather import Weather
from tests.worlds import PRICES

T = TypeVar("T")

USUAL = {
    "operations_lag_seconds": "0",
    "executions_lag_seconds": "0",
    "accounts_lag_seconds": "0",
    "unknown_operation_status": "off",
    "unknown_execution_status": "off",
    "failing_assets": "",
}
"""Where switches stand when the faults are over; the others are how this provider is."""

SIGNATURE_SECONDS = 60


class SimClock:
    """The provider's clock is true."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self._scheduler.now_ms


class Universe:
    """Everything that a schedule consists of."""

    def __init__(self, chance: Chance, shape: Shape, *, switching: int = 300) -> None:
        self.chance, self.shape = chance, shape
        self.scheduler = Scheduler(chance, switching=switching)
        self.workspace = Workspace() if shape.real else PlainSpace()
        self.sandbox: Sandbox = open_sandbox(
            clock=SimClock(self.scheduler),
            prices=PRICES,
            switches={"index_value": "price", **shape.switches},
        )
        self.clock = self.sandbox.clock
        self.provider: Provider = self.sandbox.provider
        self.provider.open(self.clock)
        self.sandbox.control(
            "participants", {"participants": [{"participant_code": code} for code in shape.codes]}
        )
        self.merged = 1
        """How many versions of the configuration are merged by now."""
        self.versions = shape.versions
        self.declared_foreign: set[str] = set()
        """Participants whose declared totals contain what somebody else moved for them."""
        self.faults_left = shape.faults
        self.calm = False
        self.closed_until_ms = 0
        """Until then the provider's address does not answer."""
        self.counts: Counter[str] = Counter()
        self.limits: Counter[str] = Counter()
        """How often a documented limit kept an invariant from holding."""
        self.history = History(self)
        self.forced: list[str] = []
        """Faults that happen at the first place where each of them can, one after the other: a
        name, or a part of where it is, a bar, and a name."""
        self._arrived: list[dict[str, Any]] = []
        self.script: Callable[[Machine, str], None] = lambda machine, port: None
        """What a named scenario does at a port."""
        shared = shape.arrangement not in (ALONE, PRIVATE)
        common, self.remote = Disk(), Remote()
        self.machines = [
            Machine(
                self,
                f"m{number}",
                common if shared else Disk(),
                locks=shape.arrangement != UNLOCKED,
                shared=shared,
            )
            for number in range(1, shape.machines + 1)
        ]
        self.weather = Weather(self)
        self.invariants = Invariants(self)
        for name in shape.switches:
            self.reached(name)
        if shared and shape.machines > 1:
            self.reached("two_unlocked" if shape.arrangement == UNLOCKED else "two_locked")
        if not shared and shape.machines > 1:
            self.reached("forked")
        self.scheduler.after_step = self.invariants.after_step

    # --- the schedule -----------------------------------------------------------------------------

    def run(self) -> None:
        """Faults and all, then the calm in which everything must come to its end."""
        for machine in self.machines:
            self.scheduler.spawn(machine.name, machine.operate)
        self.scheduler.spawn("weather", self.weather.blow)
        self.scheduler.run()
        self.settle()
        self.invariants.at_the_end()

    def settle(self) -> None:
        """No more faults; each machine applies the newest version until nothing is left."""
        self.calm = True
        self.closed_until_ms = 0
        self.provider.faults.clear()
        self.sandbox.control("switches", USUAL)
        self.sandbox.control("price", {"BTC": PRICES["BTC"]})
        self.sandbox.control("float", {"currency": "USD", "balance": "1000000.00"})
        self.merged = len(self.shape.versions)
        for machine in self.machines:
            machine.skew_ms = 0
        # Who shares a journal with the first has nothing of its own to bring to an end.
        for machine in self.machines[:1] if self.machines[0].shared else self.machines:
            self.scheduler.spawn(f"{machine.name} settles", machine.settle)
            self.scheduler.run()

    # --- what everything asks ---------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return self.scheduler.now_ms

    @property
    def changes(self) -> int:
        """How many rows the provider has ever changed."""
        # The witness looks inside.
        connection = self.provider.world.store._connection
        return connection.total_changes

    @property
    def on_a_branch(self) -> bool:
        """Whether the journal is on a branch of a Git remote."""
        return self.shape.arrangement == BRANCH

    @property
    def digest(self) -> str:
        """What happened, in one word."""
        return self.scheduler.digest

    def fault(self, what: str, options: Sequence[T], *, often: int = 1) -> T | None:
        """One of these faults, if there is to be one here; ``often`` times as likely as usual."""
        for forced in self.forced[:1]:
            where, _, name = forced.rpartition("|")
            fitting = [one for one in options if str(getattr(one, "name", one)) == name]
            fitting = fitting if where in what else []
            if fitting:
                self.forced.pop(0)
                self.scheduler.note(f"! {what} {forced}")
                return fitting[0]
        if self.calm or self.faults_left <= 0 or not options or not self.shape.permille:
            return None
        if not self.chance.happens(self.shape.permille * often):
            return None
        self.faults_left -= 1
        found = options[self.chance.below(len(options))]
        self.scheduler.note(f"! {what} {getattr(found, 'name', found)}")
        return found

    def reached(self, kind: str, machine: Machine | None = None, about: str = "") -> None:
        """A kind of fault has really happened."""
        self.counts[kind] += 1
        self.history.add(FAULT, kind, machine, about)

    def limited(self, reason: str) -> None:
        """An invariant does not hold here, for a reason that docs/exactly-once.md gives."""
        self.limits[reason] += 1

    def latency_ms(self) -> int:
        """How long an answer takes."""
        return 20 if self.calm else 20 + 60 * self.chance.below(8)

    # --- requests ---------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """The provider gets a request, and before it those that were late."""
        answer = self.provider.handle(request, self.clock)
        if any(self.counts[kind] for kind in ("late", "later", "too_late")):
            self._notice_arrivals()
        return answer

    def _notice_arrivals(self) -> None:
        """What was under way has come to the provider."""
        for entry in self.provider.log():
            came = entry["fault"] == "late" and entry["status"]
            if came and not any(entry is each for each in self._arrived):
                self._arrived.append(entry)
                self.history.add(ARRIVED, str(entry["status"]), about=entry["request_id"] or "")

    def late_requests(self) -> list[Request]:
        """Requests that are under way and whose signatures will be alive when they arrive."""
        return [
            each.request
            for each in self.provider._delayed
            if each.wall_ms // 1000 - int(each.request.headers["x-scx-timestamp"])
            <= SIGNATURE_SECONDS
        ]
