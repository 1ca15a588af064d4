"""A machine that applies: its disk, its clock, its deaths, and what it does after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stratctl.core.errors import GuardRefused, JournalTampered, PlanStale, StratctlError
from stratctl.core.event import Event
from stratctl.core.plan import Plan
from stratctl.core.report import Applied
from stratctl.core.secret import Secret
from stratctl.journal.branch import GitBranch
from stratctl.journal.directory import Directory
from stratctl.journal.store import Place
from stratctl.live.auth import Credentials
from stratctl.live.client import ReadClient
from stratctl.live.clockwork import Clockwork
from stratctl.live.connections import ReadingTransport
from stratctl.live.limiter import Limiter
from stratctl.live.reader import THREADS_MAX
from stratctl.live.transport import Endpoint
from stratctl.live.writer import Writer
from stratctl.pipeline.provenance import Provenance
from stratctl.pipeline.session import Session
from tests.sim.disk import JOURNAL, Disk, File, MachineDisk
from tests.sim.history import BEGAN, ENDED, EVENT
from tests.sim.net import Net
from tests.sim.plain import apply_plainly
from tests.sim.remote import Baton, FakeGit
from tests.sim.runs import apply_really, plan_really
from tests.sim.scheduler import InTurn, PowerLoss, Task, Workers
from tests.sim.space import PlainSpace
from tests.sim.steps import STEPS, resume

if TYPE_CHECKING:
    import httpx

    from stratctl.core.report import Progress
    from stratctl.core.settings import Configuration
    from stratctl.core.state import Booked, Live
    from stratctl.journal.store import Journal
    from tests.sim.shape import Version
    from tests.sim.world import Universe

GAPS_SECONDS = (1, 5, 30, 120)
PAUSES_SECONDS = (5, 55, 200, 600)
DEATHS = ("killed", "power_lost", "runner_lost")
SIGNALS = ("interrupted", "terminated")
PATIENCE_MS = 10_000
"""How long whoever sends SIGTERM waits before SIGKILL."""
SETTLING_RUNS_MAX = 6
"""So often a machine is let try; what is allowed is for I4."""


class Machine:
    """Somebody's runner."""

    def __init__(
        self, world: Universe, name: str, disk: Disk, *, locks: bool, shared: bool
    ) -> None:
        self.world, self.name, self.disk = world, name, disk
        self.locks, self.shared = locks, shared
        self.git = FakeGit(world.remote)
        """Its repository, where the journal is on a branch."""
        self.skew_ms = 0
        self.sent_at_stop = 0
        """What the current run had sent when it was told to stop."""
        self._dies_ms = 0
        """When a run that was told to stop is killed; 0: nobody waits for it to stop."""
        self.lost_journal = False
        """A journal of this machine was lost or given up: another one began."""
        self.running = False
        self.stopping = False
        self.requests = 0
        self.began_ms = 0
        self._asked_before = 0
        self.sent = 0
        """Mutations of the current run."""
        self.points = 0
        """Where this machine could have died so far."""
        self.dies_at = -1
        self.dies_how = ""
        self.runs = 0
        self.version: Version | None = None
        self.ended: list[str] = []
        """How each run ended: an exit code, the name of an error, or a death."""
        self._task: Task | None = None
        self._children: list[Task] = []
        self._dying = ""
        self._deaths_in_a_row = 0

    # --- what it does -----------------------------------------------------------------------------

    def operate(self) -> None:
        """Some applies, whatever becomes of each."""
        for _ in range(self.world.shape.runs):
            self.world.scheduler.sleep(self.world.chance.pick(GAPS_SECONDS) * 1000)
            self.run(self._some_version(), self._some_step())

    def settle(self) -> None:
        """With faults off: apply until an apply has nothing to do, then once more."""
        newest = self.world.versions[-1]
        if self._halted:
            self.world.scheduler.sleep(self._lease_ms)
            self.run(newest, partial(resume, self))
        for runs in range(1, SETTLING_RUNS_MAX + 1):
            self.world.scheduler.sleep(self._lease_ms)
            before = self.world.invariants.mutations
            self.run(newest)
            if self.world.invariants.mutations == before and self.ended[-1] in ("0", "parked"):
                self.world.invariants.settled(self, runs)
                return
        self.world.invariants.settled(self, SETTLING_RUNS_MAX + 1)

    @property
    def _halted(self) -> bool:
        """Whether the newest word about it, durable or not yet, is a halt."""
        seen = self.journal.seen
        return seen.rfind(b'"type":"halt"') > seen.rfind(b'"type":"resume"')

    @property
    def _lease_ms(self) -> int:
        """Until then a dead machine's lock is over, and its requests are dead."""
        return 700_000 if self.world.on_a_branch else 400_000

    def run(self, version: Version, act: Callable[[], str] | None = None) -> None:
        """One apply in a process of its own, to its end or its death; or ``act``, which answers how
        it ended."""
        world, self.version = self.world, version
        self._task, self._children = world.scheduler.current, []
        self.stopping, self._dying, self.sent, self._dies_ms = False, "", 0, 0
        self.runs += 1
        self.running = True
        self.begins()
        world.merged = max(world.merged, version.number)
        world.scheduler.note(f"applies version {version.number}")
        world.history.add(BEGAN, str(version.number), self)
        failed: Exception | None = None
        try:
            ended = self._apply(version) if act is None else act()
        except PowerLoss:
            self._task.killed = False
            for child in self._children:
                world.scheduler.wait_for(child)
            self._after_death()
            ended = self._dying
        except StratctlError as error:
            failed, ended = error, type(error).__name__
            if isinstance(error, PlanStale):
                world.reached("stale_plan", self)
            if isinstance(error, GuardRefused) and "parked:" in str(error):
                ended = "parked"
            # Where a lock is on a branch, the holder is told by its process.
            told = type(error).__name__ if world.on_a_branch else str(error)
            world.scheduler.note(f"refused: {told}")
            if isinstance(error, JournalTampered):
                self._give_the_journal_up()
        except MemoryError:
            ended = "exhausted"
        finally:
            self.running = False
            self.disk.let_go(self)
        world.scheduler.note(f"ends with {ended}")
        if ended in DEATHS and self.ended[-1:] == [ended] and not self.sent:
            world.reached("died_twice", self)
        self.ended.append(ended)
        world.history.add(ENDED, ended, self, more=failed)
        world.invariants.ran(self, failed)

    def begins(self) -> None:
        """From here on the calls and the time of a run count."""
        self.began_ms, self._asked_before = self.world.now_ms, self.requests

    @property
    def run_name(self) -> str:
        """The name of the current run, as the journal has it."""
        return f"{self.name}-{self.runs}"

    @property
    def journal(self) -> File:
        """The bytes of its journal."""
        return self.world.remote.file if self.world.on_a_branch else self.disk.journal

    def _some_step(self) -> Callable[[], str] | None:
        """Mostly an apply; or what else people do with a journal."""
        if not self.world.chance.happens(150):
            return None
        step = self.world.chance.pick(STEPS)
        self.world.scheduler.note(f"step {step.__name__}")
        return partial(step, self)

    def _some_version(self) -> Version:
        """The newest that is merged, or an old checkout."""
        world = self.world
        back = world.chance.below(world.merged) if world.chance.happens(250) else 0
        if back:
            world.reached("old_configuration")
        return world.shape.versions[world.merged - 1 - back]

    def _apply(self, version: Version) -> str:
        if not self.world.shape.real:
            return apply_plainly(self, version)
        approved: Plan | None = None
        if self.world.shape.approves and not self.world.calm:
            approved = plan_really(self, version)
            self.world.scheduler.sleep(self.world.chance.pick((1, 60, 20_000)) * 1000)
            self.begins()
            version = self._some_version() if self.world.chance.happens(150) else version
        report = apply_really(self, version, approved)
        return word_of(report)

    # --- its end ----------------------------------------------------------------------------------

    def crash_point(self, where: str, tear: Callable[[int], None] | None = None) -> None:
        """Here the machine may die. ``tear`` leaves a part of what was being written."""
        self.points += 1
        how: str | None
        if self.points == self.dies_at:
            how = self.dies_how
        else:
            how = self.world.fault(f"death at {where}", (*DEATHS, "exhausted", *SIGNALS))
        if how in SIGNALS and not self.stopping:
            self.told_to_stop(how)
            return
        if how in SIGNALS or (self._dies_ms and self.world.now_ms >= self._dies_ms):
            how = "killed"
        if how == "exhausted":
            self.world.reached("exhausted", self)
            raise MemoryError(where)
        if how is None:
            return
        if tear is not None:
            tear(self.world.chance.below(1000))
            self.world.reached("torn_write", self)
        self.die("killed" if self.shared and not self.world.on_a_branch else how)
        raise PowerLoss

    def told_to_stop(self, how: str) -> None:
        """SIGINT, or SIGTERM: whoever sends the second does not wait for long."""
        self.stopping, self.sent_at_stop = True, self.sent
        self.world.reached(how, self)
        if how == "terminated":
            self._dies_ms = self.world.now_ms + PATIENCE_MS

    def die(self, how: str) -> None:
        """Whatever runs here goes on with a PowerLoss, but for who called this."""
        self._dying = how
        self.world.reached(how, self)
        for task in (self._task, *self._children):
            if task is not None and task is not self.world.scheduler.current and not task.done:
                self.world.scheduler.kill(task)

    def _after_death(self) -> None:
        if self._dying == "power_lost":
            self.disk.lose_power(self)
        if self._dying == "runner_lost":
            self.disk, self.git = Disk(), FakeGit(self.world.remote)
            self.lost_journal = not self.world.on_a_branch
        self.skew_ms = 0

    def _give_the_journal_up(self) -> None:
        """A person stops everything that uses it, and begins another one."""
        self.world.reached("tampered", self)
        old, fresh = self.disk, Disk()
        for machine in self.world.machines:
            if machine.disk is old:
                machine.disk, machine.lost_journal = fresh, True
                if machine is not self and machine.running:
                    machine.die("killed")

    # --- its ports --------------------------------------------------------------------------------

    def port(self, what: str) -> None:
        """Something leaves the machine or arrives: others may come first, and it may die or be
        paused."""
        self.world.scheduler.note(what)
        self.world.invariants.i10_bounded(
            self, self.requests - self._asked_before, (self.world.now_ms - self.began_ms) // 1000
        )
        self.world.script(self, what)
        self.crash_point(what.split(" ")[0])
        pause = self.world.fault("pause", PAUSES_SECONDS)
        if pause is not None:
            self.world.reached("paused", self, str(pause))
            self.sleep_ms(pause * 1000)
        self.world.scheduler.port()

    def sleep_ms(self, milliseconds: int) -> None:
        """Time passes on this machine."""
        self.world.scheduler.sleep(milliseconds)

    def disk_port(self, what: str) -> None:
        """A file is opened or read."""
        self.world.scheduler.note(f"disk {what}")
        self.crash_point(what)
        self.world.scheduler.port()

    def disk_fault(self, what: str, kinds: Sequence[str]) -> str:
        """The fault that a write or an fsync meets; empty for none."""
        found = self.world.fault(f"disk {what}", kinds)
        if found:
            self.world.reached(found, self)
        return found or ""

    def heard(self, event: Event) -> None:
        """An event is in the journal."""
        self.world.history.add(EVENT, type(event).__name__, self, _request_of(event), event)
        self.port(f"= {type(event).__name__}")

    def born(self, task: Task) -> None:
        """Something runs beside the main thread of the current run."""
        self._children.append(task)

    def wall(self) -> float:
        """The machine's clock."""
        return (self.world.now_ms + self.skew_ms) / 1000

    def workers(self, threads: int) -> Executor:
        """Reading is done one after another; Strategies are applied side by side."""
        if threads == THREADS_MAX:
            return InTurn()
        return Workers(self.world.scheduler, self.born)

    def session(self, version: Version) -> SimSession:
        """One run's edges."""
        return SimSession(self, version)


def _request_of(event: Event) -> str:
    return str(getattr(event, "request_id", ""))


def word_of(report: Applied) -> str:
    """The exit code, but for what waits for a person."""
    if report.exit_code == 5 and not report.problems:
        return "parked"
    return str(report.exit_code)


class SimSession(Session):
    """A session whose every edge is simulated."""

    def __init__(self, machine: Machine, version: Version) -> None:
        world = machine.world
        self._machine = machine
        self._applies = True
        self.root = Path("/project")
        self.environ = {}
        self.workspace = world.workspace if world.shape.real else PlainSpace()
        self.clockwork = Clockwork(
            wall=machine.wall,
            monotonic=lambda: world.now_ms / 1000,
            sleep=lambda seconds: machine.sleep_ms(round(seconds * 1000)),
            random=lambda: world.chance.below(100) / 100,
            workers=machine.workers,
        )
        self.run = machine.run_name
        self.configuration = (
            version.configuration(self.workspace)
            if world.shape.real
            else version.plain_configuration()
        )
        self.environment = self.configuration.environment
        self.provenance = Provenance(
            self.root, None, dirty=False, generation=self.environment.generation
        )
        self._limiter = Limiter(self.clockwork)
        self._close = []
        self._clients: dict[str, Any] = {}

    @property
    def reads(self) -> ReadClient:
        """As it is, but for its lock."""
        return cast(ReadClient, self._once("reads"))

    @property
    def writer(self) -> Writer:
        """As it is, but for its lock."""
        return cast(Writer, self._once("writer"))

    def read_live(self, configuration: Configuration, booked: Booked, progress: Progress) -> Live:
        """As it is; and what of it was not believed is told."""
        live = super().read_live(configuration, booked, progress)
        self._machine.world.invariants.distrusts(
            self._machine, {each.id or "": each.problem or "" for each in live.strategies}
        )
        return live

    def _once(self, name: str) -> object:
        """Python 3.11 holds a lock of all sessions together while a cached property is made, and
        making a client waits for the network: here another machine may go on meanwhile."""
        if name not in self._clients:
            self._clients[name] = getattr(Session, name).func(self)
        return self._clients[name]

    @property
    def journal_place(self) -> Place:
        """On the machine's own disk, or on the branch."""
        if self._machine.world.on_a_branch:
            git = self._machine.git
            git.machine = self._machine
            return GitBranch(
                self.root,
                "origin",
                "journal",
                self.environment.name,
                clock=self.now,
                git=git,
                monotonic=self.clockwork.monotonic,
                pause=self.clockwork.sleep,
            )
        disk = MachineDisk(self._machine, self._machine.disk, locks=self._machine.locks)
        return Directory(JOURNAL.parent, disk)

    def open_journal(self) -> Journal:
        """As it is; but a lock that is held while something is pushed lets the others go on."""
        journal = super().open_journal()
        if self._machine.world.on_a_branch:
            scheduler = self._machine.world.scheduler
            for owner, name in ((journal, "_turn"), (journal._store, "_pushing")):
                setattr(owner, name, Baton(scheduler))
        return journal

    def _connection(
        self, prefix: str, connect: Callable[[Endpoint], ReadingTransport | httpx.BaseTransport]
    ) -> dict[str, Any]:
        keys = self._machine.world.provider
        key = keys.write_credential if prefix == "STRATCTL_WRITE" else keys.read_credential
        return {
            "endpoint": Endpoint.parse("https://provider.example"),
            "credentials": Credentials(Secret(key.key), Secret(key.secret), Secret(key.passphrase)),
            "transport": Net(self._machine),
            "clockwork": self.clockwork,
            "limiter": self._limiter,
        }
