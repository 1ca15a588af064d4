"""Once: whatever crashes, retries, races or is lost, each declared unit of money moves once.

What moved is read from the provider's Executions. Processes are real, and so is kill -9.
"""

import os
import shutil
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from stratctl import pipeline
from stratctl.core.errors import JournalUnavailable, LockHeld
from stratctl.pipeline.session import Session
from tests.e2e.machines import Machines, eventually
from tests.e2e.world import LEG, Project, verbs

BEGIN_STEPS = 14
"""Journal appends of ``begin``, genesis and the last word included."""

CHANGE_STEPS = 25
"""Journal appends of ``change``."""

TORTURE = "STRATCTL_TORTURE" in os.environ
"""``make torture`` dies at every append. The tests die at some of them, because the protocol's own
tests already kill a real process at every one."""

T = TypeVar("T")


def some(cases: Iterable[T], *, one_in: int) -> list[T]:
    """Every case in the torture, one in so many in the tests."""
    return list(cases)[:: 1 if TORTURE else one_in]


BEGIN = some(range(1, BEGIN_STEPS + 1), one_in=8)
DURABLE = some((("after", step) for step in range(1, CHANGE_STEPS + 1)), one_in=24)
TORN = some((("torn", step) for step in (1, 2, 3, 4, 5, 25)), one_in=5)
"""A line of each kind, torn in its middle: run, intent, attempt, answer, outcome, end."""


def begin(project: Project) -> list[str]:
    """Declare a Strategy that does not exist yet, with three participants in two calls."""
    codes = project.sandbox.participants(4)
    project.policy["calls"] = {"participants": 2}
    project.strategy("core")
    project.cohort("members", "core", dict.fromkeys(codes[:3], "100.00"))
    project.save()
    return codes


def began(project: Project, codes: list[str]) -> None:
    """What the provider must have done for ``begin``: this, and nothing more."""
    found = project.witness("core")
    assert found.strategies == 1
    assert found.types() == ["enrollment"] * 2
    assert {code: moved.bought for code, moved in found.moved.items()} == dict.fromkeys(
        codes[:3], Decimal("100.00")
    )


def change(project: Project, codes: list[str]) -> None:
    """Declare a top-up, a partial sell, an exit, an enrolment, new weights and so a rebalance."""
    one, two, three, new = codes
    project.line("members", one)["contributed"] = "150.00"
    project.line("members", two)["withdrawn"] = "40.00"
    project.line("members", three)["status"] = "exited"
    project.documents["members"]["participants"].append(
        {"participant_code": new, "contributed": "70.00"}
    )
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.save()


def changed(project: Project, codes: list[str]) -> None:
    """What the provider must have done for ``begin`` and ``change``: this, and nothing more."""
    one, two, three, new = codes
    found = project.witness("core")
    assert {code: moved.bought for code, moved in found.moved.items()} == {
        one: Decimal("150.00"),
        two: Decimal("100.00"),
        three: Decimal("100.00"),
        new: Decimal("70.00"),
    }
    assert abs(found.moved[two].sold - Decimal("40.00")) <= 2 * LEG
    flows = [kind for kind in found.types() if kind != "rebalance"]
    assert sorted(flows) == ["enrollment"] * 3 + ["liquidation", "partial_sell", "top_up"]
    assert found.moved[three].settled == {"enrollment": 1, "liquidation": 1}
    for code in (one, two):
        assert found.moved[code].settled["rebalance"] == 1
    assert new not in [c for c in codes if found.moved[c].settled.get("rebalance")]


def finish(project: Project, warm: Machines) -> None:
    """Apply once more where rebalances were left for the next plan; then nothing is left."""
    plan = project.plan()
    assert {verb for _, verb, _ in verbs(plan)} <= {"rebalance", "flags"}, verbs(plan)
    if plan.calls:
        assert warm.apply(project).code == 0
        plan = project.plan()
    assert verbs(plan) == []


# --- kill -9 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", BEGIN)
def test_killed_while_it_begins(project: Project, warm: Machines, step: int) -> None:
    """kill -9 at any append of a first apply: a second apply enrolls everybody exactly once."""
    codes = begin(project)
    assert warm.apply(project, kill=["after", step]).killed
    assert warm.apply(project).code == 0
    began(project, codes)
    finish(project, warm)


@pytest.mark.parametrize(("mode", "step"), [*DURABLE, *TORN])
def test_killed_while_it_changes(project: Project, warm: Machines, mode: str, step: int) -> None:
    """kill -9 at any append of an apply with every verb: a second apply moves each flow once.

    Where it died in a torn line the second apply plans afresh; else it is given the same plan.
    """
    codes = begin(project)
    project.settle()
    change(project, codes)
    saved = project.root / "plan.zip"
    pipeline.write_plan(project.plan(), saved)
    approved = {"plan": str(saved)} if mode == "after" else {}
    assert warm.apply(project, kill=[mode, step], **approved).killed
    assert warm.apply(project, **approved).code == 0
    finish(project, warm)
    changed(project, codes)


def test_no_step_is_missing(project: Project, warm: Machines) -> None:
    """The kill tests above name every append there is: one more would never come."""
    codes = begin(project)
    assert not warm.apply(project, kill=["after", BEGIN_STEPS + 1]).killed
    lines = project.journal.read_text(encoding="utf-8").splitlines()
    assert len(lines) == BEGIN_STEPS
    change(project, codes)
    assert not warm.apply(project, kill=["after", CHANGE_STEPS + 1]).killed
    assert (
        len(project.journal.read_text(encoding="utf-8").splitlines()) - len(lines) == CHANGE_STEPS
    )
    changed(project, codes)


@pytest.mark.parametrize(
    ("fault", "kind", "path"),
    some(
        [
            ("timeout_before", "enrollment", "/enroll"),
            ("timeout_after", "enrollment", "/enroll"),
            ("timeout_before", "partial_sell", "/partial-sell"),
            ("timeout_after", "partial_sell", "/partial-sell"),
            ("timeout_after", "liquidation", "/liquidate"),
            ("timeout_after", "rebalance", "/rebalance"),
            ("late", "enrollment", "/enroll"),
            ("late", "partial_sell", "/partial-sell"),
        ],
        one_in=3,
    ),
)
def test_killed_while_it_waits_for_an_answer(
    project: Project, warm: Machines, fault: str, kind: str, path: str
) -> None:
    """kill -9 between a request and its answer, carried out or not: each flow moves once."""
    codes = begin(project)
    project.settle()
    change(project, codes)
    late: dict[str, Any] = {"seconds": 20} if fault == "late" else {}
    project.sandbox.fault(fault, path, **late)
    pid = warm.start(project)
    eventually(lambda: any(entry["fault"] == fault for entry in project.sandbox.log()[-20:]))
    assert warm.kill(pid).killed
    before = project.witness("core").types().count(kind)
    assert before == (2 if kind == "enrollment" else 0) + (fault == "timeout_after")
    assert warm.apply(project).code == 0
    # A request that was late arrives now, and finds its place taken by its own twin.
    project.sandbox.control("advance", {"seconds": 20})
    finish(project, warm)
    changed(project, codes)


def test_what_recovery_found_is_reported(project: Project, warm: Machines) -> None:
    """The end of a call that a killed apply had sent is in the next one's report, refusals too."""
    codes = begin(project)
    project.policy["calls"] = {"participants": 1000}
    project.save()
    project.sandbox.fault("timeout_after", "/enroll")
    pid = warm.start(project, gate=[2, str(project.root / ".stratctl" / "gate")])
    eventually((project.root / ".stratctl" / "gate.reached").exists)
    project.sandbox.standing(codes[1], "locked", "compliance")
    (project.root / ".stratctl" / "gate").touch()
    eventually(lambda: project.witness("core").types() == ["enrollment"])
    assert warm.kill(pid).killed
    report = project.apply()
    assert report.exit_code == 5
    assert [code for _, code, _ in report.rejected] == [codes[1]]
    (tally,) = report.tallies
    assert (tally.verb.value, tally.settled, tally.rejected) == ("enroll", 2, 1)
    assert (tally.currency, tally.amount_minor) == ("USD", 20_000)
    assert warm.apply(project).code == 0


def test_what_was_resumed_is_reported(project: Project, warm: Machines) -> None:
    """A call that a killed apply had announced and the next one sends is in that one's report."""
    codes = begin(project)
    project.settle()
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    assert warm.apply(project, kill=["after", 3]).killed
    report = project.apply()
    (tally,) = report.tallies
    assert (tally.verb.value, tally.settled) == ("top_up", 1)
    assert (tally.currency, tally.amount_minor) == ("USD", 5_000)


def test_killed_before_a_strategy_was_known_to_be_created(project: Project, warm: Machines) -> None:
    """kill -9 between the creation of a Strategy and its answer: it is not created twice."""
    codes = begin(project)
    project.sandbox.fault("timeout_after", "/strategies")
    pid = warm.start(project)
    eventually(lambda: project.witness("core").strategies == 1)
    assert warm.kill(pid).killed
    assert warm.apply(project).code == 0
    began(project, codes)
    finish(project, warm)


@pytest.mark.parametrize(
    ("first", "again"), some([(8, 1), (9, 1), (9, 2), (9, 3), (10, 2)], one_in=3)
)
def test_killed_again_while_it_recovers(
    project: Project, warm: Machines, first: int, again: int
) -> None:
    """kill -9 in the recovery from a kill -9, and in the recovery from that: each flow once."""
    codes = begin(project)
    assert warm.apply(project, kill=["after", first]).killed
    assert warm.apply(project, kill=["after", again]).killed
    assert warm.apply(project, kill=["torn", again]).killed
    assert warm.apply(project).code == 0
    began(project, codes)
    finish(project, warm)


# --- answers that prove nothing -------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    some(
        [
            "reset_before",
            "reset_after",
            "500_before",
            "502_after",
            "503",
            "409",
            "malformed",
            "truncated",
        ],
        one_in=3,
    ),
)
def test_an_answer_that_proves_nothing(project: Project, fault: str) -> None:
    """Whatever becomes of the answer, one apply brings every flow home exactly once."""
    codes = begin(project)
    for path in ("/strategies", "/enroll"):
        project.sandbox.fault(fault, path, skip=1 if path == "/enroll" else 0)
    project.settle()
    began(project, codes)
    assert verbs(project.plan()) == []


# --- races and losses -----------------------------------------------------------------------------


def test_two_applies_with_the_lock(project: Project, warm: Machines) -> None:
    """Of two applies at once one works and the other is told who holds the lock (exit 8)."""
    codes = begin(project)
    with project.sandbox.switched(latency_ms="20"):
        ended = [warm.wait(pid) for pid in [warm.start(project), warm.start(project)]]
    assert sorted(each.code for each in ended) == [0, 8]
    (refused,) = (each for each in ended if each.code == 8)
    assert (refused.error, "pid " in refused.text) == ("LockHeld", True)
    began(project, codes)
    finish(project, warm)


def test_a_held_lock_is_refused(project: Project) -> None:
    """While somebody holds the journal, apply sends nothing and exits 8."""
    begin(project)
    before = project.sandbox.mutations()
    with Session(project.root, None, project.environ) as session, session.open_journal():
        with pytest.raises(LockHeld) as caught:
            project.apply()
        project.plan()
    assert caught.value.exit_code == 8
    assert project.sandbox.mutations() == before


def forked(project: Project, name: str) -> Project:
    """The same project on another machine, with a journal of its own from here on."""
    root = project.root.with_name(name)
    shutil.copytree(project.root, root)
    other = object.__new__(Project)
    other.__dict__ |= {**project.__dict__, "root": root}
    return other


@pytest.mark.parametrize(
    ("order", "latency_ms"),
    some([("begin", "0"), ("begin", "15"), ("rise", "15"), ("rise", "0")], one_in=2),
)
def test_two_applies_without_any_lock(
    project: Project, warm: Machines, order: str, latency_ms: str
) -> None:
    """Two machines with forked journals and no lock: no money goes in twice."""
    codes = begin(project)
    if order == "rise":
        project.settle()
        rise(project, codes)
    other = forked(project, "other")
    with project.sandbox.switched(latency_ms=latency_ms):
        pids = [warm.start(each, no_lock=True) for each in (project, other)]
        ended = [warm.wait(pid) for pid in pids]
    assert all(each.code in (0, 4, 5, 6) for each in ended), ended
    converge(project, warm)
    converge(other, warm)
    if order == "begin":
        began(project, codes)
    else:
        risen(project, codes)


def converge(project: Project, warm: Machines) -> None:
    """After at most two more applies nothing is left."""
    for _ in range(2):
        if not verbs(project.plan()):
            return
        ended = warm.apply(project)
        assert ended.code in (0, 5), ended
    assert verbs(project.plan()) == []


def test_the_lost_journal_moves_no_money_in(project: Project, warm: Machines) -> None:
    """With the journal gone, what went in is read from the provider, and only a rise goes in."""
    codes = begin(project)
    project.settle()
    shutil.rmtree(project.root / ".stratctl")
    assert verbs(project.plan()) == []
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    assert warm.apply(project).code == 0
    bought = {code: moved.bought for code, moved in project.witness("core").moved.items()}
    assert bought == {
        codes[0]: Decimal("150.00"),
        codes[1]: Decimal("100.00"),
        codes[2]: Decimal("100.00"),
    }
    finish(project, warm)


def test_the_lost_journal_after_every_verb(project: Project, warm: Machines) -> None:
    """With the journal gone after every verb, nothing of it is sent again."""
    codes = begin(project)
    project.settle()
    change(project, codes)
    project.settle()
    changed(project, codes)
    shutil.rmtree(project.root / ".stratctl")
    before = project.sandbox.mutations()
    assert warm.apply(project).code == 0
    assert project.sandbox.mutations() == before
    assert verbs(project.plan()) == []


@pytest.mark.parametrize("step", some([9, 10], one_in=2))
def test_the_journal_lost_in_the_middle(project: Project, warm: Machines, step: int) -> None:
    """Killed around a request, its journal gone with the machine: each is enrolled once."""
    codes = begin(project)
    assert warm.apply(project, kill=["after", step]).killed
    shutil.rmtree(project.root / ".stratctl")
    assert warm.apply(project).code == 0
    began(project, codes)
    finish(project, warm)


def test_ci_without_a_persistent_journal_is_refused(project: Project) -> None:
    """Where CI is set, a journal that would die with the runner is refused; a kept one is not."""
    begin(project)
    project.environ["CI"] = "1"
    before = project.sandbox.mutations()
    with pytest.raises(JournalUnavailable, match="CI"):
        project.apply()
    assert project.sandbox.mutations() == before
    project.project["journal"]["persistent"] = True
    project.save()
    project.settle()


def rise(project: Project, codes: list[str], amount: str = "150.00") -> None:
    """Declare a top-up of one participant and the enrolment of another."""
    project.line("members", codes[0])["contributed"] = amount
    lines = project.documents["members"]["participants"]
    if len(lines) == 3:
        lines.append({"participant_code": codes[3], "contributed": "70.00"})
    project.save()


def risen(project: Project, codes: list[str], amount: str = "150.00") -> None:
    """What the provider must have done for ``begin`` and ``rise``: this, and nothing more."""
    bought = {code: moved.bought for code, moved in project.witness("core").moved.items()}
    expected = (amount, "100.00", "100.00", "70.00")
    assert bought == dict(zip(codes, map(Decimal, expected), strict=True))


@pytest.mark.parametrize("attempt", some([1, 2], one_in=2))
def test_a_paused_machine_that_comes_back(project: Project, warm: Machines, attempt: int) -> None:
    """A machine stops with a request on its lips, another finishes, the first goes on.

    Its requests are duplicates, and no money goes in twice."""
    codes = begin(project)
    project.settle()
    rise(project, codes)
    other = forked(project, "other")
    with warm.paused(project, attempt) as release:
        assert warm.apply(other).code == 0
        risen(project, codes)
        assert release().code in (0, 4, 5), "the late one"
    risen(project, codes)
    converge(project, warm)
    converge(other, warm)
    risen(project, codes)


# --- canaries -------------------------------------------------------------------------------------


def test_canary_ids_that_are_not_slots_spend_twice(project: Project, warm: Machines) -> None:
    """With ids that are not slots, the machine that comes back pays twice: the law can fail."""
    codes = begin(project)
    project.settle()
    rise(project, codes)
    other = forked(project, "other")
    with warm.paused(project, 1, own_ids_from=3) as release:
        assert warm.apply(other).code == 0
        release()
    with pytest.raises(AssertionError):
        risen(project, codes)
    assert project.witness("core").moved[codes[0]].bought == Decimal("200.00")
