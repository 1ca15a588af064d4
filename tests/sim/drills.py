"""One fault by itself, in a world in which nothing else happens: so each row of the matrix is
reached in every campaign, and its reaction seen, whatever the seeds bring.

One machine applies a first version; then the fault, as it applies the second; then everything comes
to rest, and every invariant holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.sim import steps
from tests.sim.chance import Chance
from tests.sim.disk import Disk
from tests.sim.machine import word_of
from tests.sim.matrix import reacted
from tests.sim.runs import apply_really, plan_really
from tests.sim.scheduler import PowerLoss
from tests.sim.shape import ALONE, BRANCH, LOCKED, PRIVATE, UNLOCKED, Shape, Version
from tests.sim.world import Universe
from tests.worlds import Declared, World, strategy

if TYPE_CHECKING:
    from tests.sim.machine import Machine

P, Q = "P00001", "P00002"
HOURS = 3_600_000
Act = Callable[[Universe], None]
"""What happens between the first version and the second, before anything comes to rest."""


@dataclass(frozen=True, slots=True)
class Drill:
    """What brings one kind of fault about."""

    act: Act
    arrangement: str = ALONE
    real: bool = False
    second: str = "1500"
    """What the second version declares for the first participant."""
    sold: str = "100"
    """What it declares as withdrawn for the other one."""
    switches: dict[str, str] = field(default_factory=dict)


def _versions(second: str, sold: str) -> tuple[Version, ...]:
    more = "800" if sold != "0" else "900"
    rows = (
        [Declared(P, "1000"), Declared(Q, "800")],
        [Declared(P, second), Declared(Q, more, withdrawn=sold)],
        [Declared(P, "1700"), Declared(Q, more, withdrawn=sold)],
    )
    return tuple(
        Version(number, World(declared=declared, strategies=[strategy(rebalance_on="change")]))
        for number, declared in enumerate(rows, start=1)
    )


def drilled(kind: str) -> tuple[str, str, frozenset[tuple[int, str]]]:
    """(kind, what failed or nothing, rows whose reaction was seen)"""
    drill = DRILLS[kind]
    shape = Shape(
        arrangement=drill.arrangement,
        machines=1 if drill.arrangement == ALONE else 2,
        runs=0,
        real=drill.real,
        versions=_versions(drill.second, drill.sold),
        switches=drill.switches,
        faults=0,
        permille=0,
        approves=False,
    )
    world, failure = Universe(Chance(1), shape), ""
    try:
        _apply(world, (world.machines[0], 1))
        drill.act(world)
        world.script = _quiet
        world.forced.clear()
        world.settle()
        world.invariants.at_the_end()
    except Exception as error:  # noqa: BLE001 — whatever a drill lets through is its finding
        failure = f"{type(error).__name__}: {error}"
    met = frozenset(reacted(world.history))
    world.sandbox.close()
    return kind, failure, met


# --- what drills are made of ----------------------------------------------------------------------


def _apply(world: Universe, *runs: tuple[Machine, int]) -> None:
    """These machines apply these versions, side by side."""
    for machine, number in runs:
        version = world.versions[number - 1]
        world.scheduler.spawn(machine.name, lambda m=machine, v=version: m.run(v))  # type: ignore[misc]  # bound now
    world.scheduler.run()


def _wait(world: Universe, milliseconds: int) -> None:
    world.scheduler.spawn("time", lambda: world.scheduler.sleep(milliseconds))
    world.scheduler.run()


def _quiet(machine: Machine, port: str) -> None:
    """Nothing happens at a port."""


def _meets(*faults: str) -> Drill:
    """The second apply meets these faults, one after the other."""

    def act(world: Universe) -> None:
        world.forced += faults
        _apply(world, (world.machines[0], 2))

    return Drill(act)


def _at(port: str, happens: Callable[[Universe, Machine], None], *, skip: int = 0) -> Act:
    """Something happens once, when the second apply comes to a port."""

    def act(world: Universe) -> None:
        left = [skip]

        def script(machine: Machine, where: str) -> None:
            if left and port in where:
                left[0] -= 1
                if left[0] < 0:
                    left.clear()
                    happens(world, machine)

        world.script = script
        _apply(world, (world.machines[0], 2))

    return act


def _before(happens: Act) -> Act:
    """Something happens, then the second version is applied."""

    def act(world: Universe) -> None:
        happens(world)
        _apply(world, (world.machines[0], 2))

    return act


def _dies(how: str) -> Drill:
    def die(world: Universe, machine: Machine) -> None:
        machine.die(how)
        raise PowerLoss

    return Drill(_at("= Answer", die))


def _pauses(seconds: int) -> Drill:
    def pause(world: Universe, machine: Machine) -> None:
        world.reached("paused", machine, str(seconds))
        machine.sleep_ms(seconds * 1000)

    return Drill(_at("> POST", pause))


def _switched(kind: str, **positions: str) -> Drill:
    def act(world: Universe) -> None:
        world.reached(kind)
        world.sandbox.control("switches", positions)

    return Drill(_before(act))


def _dies_twice(world: Universe) -> None:
    for port in ("> POST", "> GET /strategies/operations"):

        def script(machine: Machine, where: str, port: str = port) -> None:
            if port in where:
                machine.die("killed")
                raise PowerLoss

        world.script = script
        _apply(world, (world.machines[0], 2))


def _closes_one(world: Universe) -> None:
    wanted = {"participant_code": P, "status": "locked", "reason_code": "compliance"}
    world.sandbox.control("participants", {"participants": [wanted]})
    world.reached("person_closed")


def _closes_everybody(world: Universe) -> None:
    for code in (P, Q):
        wanted = {"participant_code": code, "status": "locked", "reason_code": "compliance"}
        world.sandbox.control("participants", {"participants": [wanted]})
    world.reached("all_rejected")


def _float_low(world: Universe) -> None:
    world.reached("float_low")
    world.sandbox.control("float", {"currency": "USD", "balance": "300.00"})


def _foreign(world: Universe) -> None:
    world.weather.foreign_operation()
    _wait(world, 60_000)


def _restart(world: Universe, machine: Machine) -> None:
    world.reached("restart")
    world.weather.restart()


def _clog(world: Universe, machine: Machine) -> None:
    world.closed_until_ms = world.now_ms + 400_000


def _skew(world: Universe) -> None:
    world.reached("skew")
    world.machines[0].skew_ms = 90_000


def _never_arrives(world: Universe) -> None:
    """A request is in doubt for longer than the provider remembers ids."""
    world.forced += ["lost_before"] * 6
    _apply(world, (world.machines[0], 2))
    world.forced.clear()
    _wait(world, 30 * HOURS)


def _flip(world: Universe) -> None:
    world.weather.flip_a_bit()


def _old_job(world: Universe) -> None:
    machine = world.machines[0]
    _apply(world, (machine, 2))
    world.reached("old_configuration", machine)
    _apply(world, (machine, 1))


def _price(world: Universe) -> None:
    """Approved, then everything costs half as much again, then applied."""
    machine = world.machines[0]
    version = world.versions[1]

    def run() -> None:
        approved = plan_really(machine, version)
        world.reached("price")
        world.sandbox.control("price", {"BTC": "90000", "ETH": "4500", "SOL": "225"})
        machine.run(version, lambda: word_of(apply_really(machine, version, approved)))

    world.scheduler.spawn(machine.name, run)
    world.scheduler.run()


def _both(world: Universe) -> None:
    one, other = world.machines
    _apply(world, (one, 2), (other, 2))


def _other_body(mode: str) -> Drill:
    """Two machines that know nothing of each other want the same slot for different bodies: one
    still has the first version, and starts a little later than it looked."""

    def act(world: Universe) -> None:
        one, other = world.machines
        waited: list[int] = []

        def script(machine: Machine, where: str) -> None:
            if machine is one and where.startswith("> POST") and not waited:
                waited.append(1)
                machine.sleep_ms(30_000)

        world.script = script

        def later() -> None:
            world.scheduler.sleep(10_000)
            other.run(world.versions[2])

        world.scheduler.spawn(other.name, later)
        _apply(world, (one, 2))

    return Drill(act, PRIVATE, sold="0", switches={"same_id_other_body": mode})


def _told(how: str) -> Drill:
    return Drill(_at("> POST", lambda world, machine: machine.told_to_stop(how)))


def _rolled_back(world: Universe) -> None:
    """An administrator winds the branch back, and after it was noticed puts it right again."""
    remote = world.remote
    newest = remote.head
    world.reached("rolled_back")
    remote.file.spoiled = "the branch was wound back"
    remote.stand_at(remote.before(newest))
    _apply(world, (world.machines[0], 2))
    remote.stand_at(newest)
    remote.file.spoiled = ""


def _step(world: Universe, step: Callable[[Machine], str], number: int = 2) -> str:
    """Something other than an apply; how it ended."""
    machine, version = world.machines[0], world.versions[number - 1]
    world.scheduler.spawn(machine.name, lambda: machine.run(version, lambda: step(machine)))
    world.scheduler.run()
    return machine.ended[-1]


def _halted(world: Universe) -> None:
    assert _step(world, steps.halt) == "0"
    before = world.invariants.mutations
    _apply(world, (world.machines[0], 2))
    assert world.machines[0].ended[-1] == "GuardRefused"
    assert world.invariants.mutations == before
    assert _step(world, steps.resume) == "0"
    _apply(world, (world.machines[0], 2))
    assert world.invariants.mutations > before


def _recovered(world: Universe) -> None:
    _dies("killed").act(world)
    assert any(not call.ended for call in world.machines[0].journal.ledger)
    world.script = _quiet
    assert _step(world, steps.recover) == "0"
    assert all(call.ended for call in world.machines[0].journal.ledger)


def _adopted(world: Universe) -> None:
    """Somebody else moved 77; it is declared, adopted, and only the rest is sent."""
    world.weather.foreign_operation(P)
    _wait(world, 60_000)
    world.declared_foreign.add(P)
    ((name,),) = world.provider.world.store.rows(
        "SELECT id FROM operation WHERE request_id = ?", tuple(world.weather.foreign)
    )
    assert _step(world, lambda machine: steps.adopt(machine, name)) == "0"
    _apply(world, (world.machines[0], 2))
    assert sorted(world.invariants.moved().values())[-1] == [157_700, 0]


def _rebuilt(world: Universe) -> None:
    """The journal is lost with its disk, and built anew before anything else is applied."""
    machine = world.machines[0]
    machine.disk, machine.lost_journal = Disk(), True
    assert _step(world, steps.rebuild, 1) == "0"
    world.invariants.at_the_end()
    world.limits.clear()
    _apply(world, (machine, 2))
    world.invariants.at_the_end()
    assert not world.limits


NET = (
    ("lost_before", "lost_after", "late", "later", "too_late", "reset_before", "reset_after"),
    ("half_json", "get_reset", "get_half_json", "limited", "limited_for", "get_limited", "503"),
    ("500_after", "502_before", "502_after", "504_before", "504_after", "401", "403", "1020"),
    ("not_json", "html", "get_html", "get_not_json", "echo_other_id", "short_list"),
    ("drop_execution", "repeat_token", "drop_item", "backwards", "two_terminals"),
    ("disk_full", "fsync_error", "short_write", "exhausted"),
)

DRILLS: dict[str, Drill] = {
    **{name: _meets(name) for some in NET for name in some},
    "refused_in_doubt": _meets("lost_before", "refused"),
    "torn_write": _meets("death at write|power_lost"),
    "killed": _dies("killed"),
    "power_lost": _dies("power_lost"),
    "runner_lost": _dies("runner_lost"),
    "died_twice": Drill(_dies_twice),
    "paused": _pauses(200),
    "clog": Drill(_at("> POST", _clog)),
    "restart": Drill(_at("= Answer", _restart)),
    "unknown_status": _switched("unknown_status", unknown_operation_status="terminal"),
    "failing_asset": _switched(
        "failing_asset", failing_assets="SOL", failed_leg_execution="settled"
    ),
    "executions_lag_seconds": Drill(
        _before(lambda world: None), switches={"executions_lag_seconds": "45"}
    ),
    "operations_lag_seconds": Drill(_both, PRIVATE, switches={"operations_lag_seconds": "45"}),
    "skew": Drill(_before(_skew)),
    "bit_flipped": Drill(_before(_flip)),
    "two_locked": Drill(_both, LOCKED),
    "two_unlocked": Drill(_both, UNLOCKED),
    "forked": Drill(_both, PRIVATE),
    "push_lost": Drill(_meets("push_lost").act, BRANCH),
    "push_unanswered": Drill(_meets("push_unanswered").act, BRANCH),
    "rolled_back": Drill(_rolled_back, BRANCH),
    "interrupted": _told("interrupted"),
    "terminated": _told("terminated"),
    "halted": Drill(_halted),
    "recovered": Drill(_recovered),
    "adopted": Drill(_adopted, real=True, second="1577", sold="0"),
    "rebuilt": Drill(_rebuilt, real=True),
    "old_configuration": Drill(_old_job),
    "person_closed": Drill(_before(_closes_one), sold="0"),
    "all_rejected": Drill(_before(_closes_everybody)),
    "price": Drill(_price, real=True),
    "float_low": Drill(_before(_float_low)),
    "foreign": Drill(_before(_foreign)),
    "key_retention_seconds": Drill(_never_arrives, switches={"key_retention_seconds": "86400"}),
    "idempotency_scope": Drill(
        lambda world: _meets("later").act(world), switches={"idempotency_scope": "type"}
    ),
    **{f"other_body_{mode}": _other_body(mode) for mode in ("replay", "400", "409", "422")},
}
"""Kind of fault -> how it is brought about. Together they reach every row of the matrix; some are
no faults, and what people do."""
