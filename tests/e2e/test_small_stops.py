"""A stop stops little: one participant, one Strategy or one currency, and the others go on."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from stratctl import pipeline
from stratctl.apply.words import Pace
from stratctl.core.errors import GuardRefused
from stratctl.core.event import Attempt, Event, Intent, Problem, Receipt
from stratctl.core.slots import create_id
from stratctl.core.state import Verb
from stratctl.pipeline import applying
from stratctl.pipeline.session import Session
from stratctl.view import human
from tests.e2e.machines import Machines
from tests.e2e.world import Project, Sandbox, acknowledged, blocked_of, rows_of, verbs


@pytest.fixture
def two(project: Project, sandbox: Sandbox) -> tuple[Project, list[str]]:
    """Two settled Strategies with two participants each, and two more codes."""
    codes = sandbox.participants(6)
    project.strategy("core")
    project.strategy("theme", {"SOL": "1"})
    project.cohort("members", "core", dict.fromkeys(codes[:2], "100.00"))
    project.cohort("fans", "theme", dict.fromkeys(codes[2:4], "100.00"))
    project.save()
    project.settle()
    return project, codes


def raise_both(project: Project, codes: list[str]) -> None:
    """Declare a top-up in each Strategy."""
    project.line("members", codes[0])["contributed"] = "150.00"
    project.line("fans", codes[2])["contributed"] = "150.00"
    project.save()


def bought(project: Project, short: str, code: str) -> Decimal:
    """What went in for one participant."""
    return project.witness(short).moved[code].bought


def test_one_participant_is_rejected(two: tuple[Project, list[str]]) -> None:
    """A participant who may not trade is held back with the reason; the others settle."""
    project, codes = two
    for code in codes[:2]:
        project.line("members", code)["contributed"] = "150.00"
    project.save()
    project.sandbox.standing(codes[0], "locked", "compliance")
    assert blocked_of(project.plan()) == {codes[0]: "standing"}
    assert project.apply().exit_code == 0
    assert (bought(project, "core", codes[0]), bought(project, "core", codes[1])) == (
        Decimal("100.00"),
        Decimal("150.00"),
    )


def test_an_unknown_code_is_refused_alone(project: Project, sandbox: Sandbox) -> None:
    """A code that the provider does not know keeps nobody else from being enrolled."""
    codes = [*sandbox.participants(3), "ZZZZZ9"]
    project.strategy("core")
    project.cohort("members", "core", dict.fromkeys(codes, "100.00"))
    project.save()
    report = project.apply()
    assert report.exit_code in (0, 5)
    found = project.witness("core")
    assert {code for code, moved in found.moved.items() if moved.settled} == set(codes[:3])
    assert "ZZZZZ9" in blocked_of(project.plan())


def test_a_duplicate_strategy_stops_itself_only(two: tuple[Project, list[str]]) -> None:
    """A Strategy that the provider has twice is stopped; the other one goes on."""
    project, codes = two
    raise_both(project, codes)
    request_id = create_id("sandbox", project.name("core"))
    body = b'{"quoted_currency":"USD","metadata":{}}'
    # A provider that forgot the id: the same create call makes a second Strategy.
    with project.sandbox.switched(key_retention_seconds="1"):
        project.sandbox.control("advance", {"seconds": 5})
        answer = project.sandbox._signed("POST", "/strategies", body, request_id=request_id)
        assert answer.status_code in (200, 201), answer.text
    plan = project.plan()
    assert blocked_of(plan) == {codes[0]: "strategy_stopped"}
    assert project.apply().exit_code == 0
    assert bought(project, "theme", codes[2]) == Decimal("150.00")
    assert bought(project, "core", codes[0]) == Decimal("100.00")


@pytest.mark.parametrize("fault", ["500_before", "malformed"])
def test_a_strategy_in_trouble_stops_itself_only(
    two: tuple[Project, list[str]], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests of one Strategy that get no answer leave the other one alone."""
    project, codes = two
    raise_both(project, codes)
    monkeypatch.setattr(Pace, "__init__", _hurried(Pace.__init__))
    path = f"/strategies/{project.strategy_id('core')}/top-up"
    project.sandbox.fault(fault, path, count=9 if fault == "500_before" else 1)
    report = project.apply()
    assert bought(project, "theme", codes[2]) == Decimal("150.00")
    if fault == "500_before":
        assert report.exit_code == 6
        (problem,) = report.problems
        assert (problem.strategy, problem.code) == (project.name("core"), "E_OUTCOME_UNKNOWN")
        project.sandbox.control("fault", method="DELETE")
        assert project.apply().exit_code == 0
    assert bought(project, "core", codes[0]) == Decimal("150.00")


def _hurried(init: object) -> object:
    def hurried(pace: Pace, **said: object) -> None:
        init(pace, **{"backoff": 0.01, "attempts": 2, "quarantine": 1, **said})  # type: ignore[operator]  # a dict of mixed values

    return hurried


def test_a_refused_row_is_parked_alone(two: tuple[Project, list[str]]) -> None:
    """A 400 that names a participant parks it; the rest of the body is sent without it."""
    project, codes = two
    project.documents["members"]["participants"] += [
        {"participant_code": code, "contributed": "100.00"} for code in codes[4:]
    ]
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()

    def watch(event: object) -> None:
        if type(event).__name__ == "Attempt":
            project.sandbox.standing(codes[4], "closed")

    report = project.apply(watch=watch)
    assert report.exit_code == 5
    assert bought(project, "core", codes[5]) == Decimal("100.00")
    assert bought(project, "core", codes[0]) == Decimal("150.00")


# --- the float ------------------------------------------------------------------------------------


def test_a_short_float_is_a_guard_for_novated(two: tuple[Project, list[str]]) -> None:
    """With novated funding a known shortage stops the plan, and names its number."""
    project, codes = two
    raise_both(project, codes)
    with project.sandbox.floating("99.99"):
        plan = project.plan()
        assert [finding.rule for finding in plan.findings if finding.stops] == ["float"]
        before = project.sandbox.mutations()
        with pytest.raises(GuardRefused) as caught:
            project.apply()
        assert "--ack float=100.00" in caught.value.hint
        assert project.sandbox.mutations() == before
    assert project.apply().exit_code == 0


@pytest.mark.parametrize("model", ["direct", "standard"])
def test_a_short_float_is_a_warning_otherwise(two: tuple[Project, list[str]], model: str) -> None:
    """With other funding a shortage is said and stops nothing."""
    project, codes = two
    raise_both(project, codes)
    project.environment["funding_model"] = model
    project.save()
    with project.sandbox.floating("1.00"):
        plan = project.plan()
    assert not plan.stopped
    (need,) = plan.floats
    assert need.short_minor == 9_900
    assert "short by USD 99.00" in human.plan(plan)


def test_a_float_that_runs_out_stops_buys_only(two: tuple[Project, list[str]]) -> None:
    """The first insufficient_funds stops further buys in its currency; sells still go."""
    project, codes = two
    project.policy["calls"] = {"participants": 1}
    project.line("members", codes[0])["contributed"] = "1000.00"
    project.line("members", codes[1])["contributed"] = "1000.00"
    project.line("fans", codes[2])["withdrawn"] = "40.00"
    project.save()
    with project.sandbox.floating("1200.00"):
        report = project.apply(acknowledgements=(acknowledged(float="10000.00"),))
    assert report.exit_code == 5
    assert [reason for _, _, reason in report.rejected] == ["insufficient_funds"]
    core = project.witness("core").moved
    assert sorted([core[codes[0]].bought, core[codes[1]].bought]) == [
        Decimal("100.00"),
        Decimal("1000.00"),
    ]
    assert project.witness("theme").moved[codes[2]].settled["partial_sell"] == 1


# --- source: live ---------------------------------------------------------------------------------


def test_live_cohorts(project: Project, sandbox: Sandbox) -> None:
    """source: live aligns the Traders that exist, in allocations and flags, and funds nobody."""
    codes = sandbox.participants(4)
    project.strategy("core")
    project.cohort("seed", "core", dict.fromkeys(codes[:3], "100.00"))
    project.save()
    project.settle()
    del project.documents["seed"]
    project.cohort(
        "everybody",
        "core",
        None,
        source="live",
        manages=["allocations", "flags"],
        auto_rebalance=True,
    )
    # Their app tops somebody up: expected, and none of our business.
    body = {
        "participants": [{"participant_code": codes[0], "amount": "50.00"}],
        "allocations": [{"underlying_currency": "BTC", "weight": "1"}],
    }
    sandbox.post(f"/strategies/{project.strategy_id('core')}/top-up", body)
    trader = project.witness("core").traders[codes[1]]
    answer = sandbox._signed(
        "PATCH", f"/strategies/traders/{trader['id']}", b'{"auto_rebalance":false}'
    )
    assert answer.status_code == 200
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.save()
    plan = project.plan()
    assert {verb for verb, _, _ in rows_of(plan)} <= {"rebalance", "flags"}
    project.settle()
    project.settle()
    found = project.witness("core")
    assert found.traders[codes[1]]["auto_rebalance"] is True
    assert all(found.moved[code].settled["rebalance"] >= 1 for code in codes[:3])
    assert set(found.types()) == {"enrollment", "top_up", "rebalance"}
    project.assert_nothing_left()


def test_unmanaged_traders_are_counted_and_left_alone(
    two: tuple[Project, list[str]],
) -> None:
    """Traders that no cohort names take no part in a rebalance, and are counted."""
    project, codes = two
    project.documents["members"]["participants"].pop(0)
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.save()
    plan = project.plan()
    assert plan.unmanaged == 1
    assert rows_of(plan) == [("rebalance", codes[1], None)]
    project.settle()
    assert project.witness("core").moved[codes[0]].settled == {"enrollment": 1}
    (status, _) = project.status().strategies
    assert (status.traders, status.declared, status.unmanaged) == (2, 1, 1)


def test_allocations_only(two: tuple[Project, list[str]]) -> None:
    """A cohort that manages allocations only neither funds, enrolls nor sells anybody."""
    project, codes = two
    project.documents["members"]["manages"] = ["allocations"]
    project.documents["members"]["participants"] = [
        {"participant_code": code} for code in (*codes[:2], codes[4])
    ]
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.save()
    assert [verb for _, verb, _ in verbs(project.plan())] == ["rebalance"]
    project.settle()
    assert bought(project, "core", codes[0]) == Decimal("100.00")
    project.assert_nothing_left()


# --- halt, hold and target ------------------------------------------------------------------------


def test_halt_and_resume(two: tuple[Project, list[str]]) -> None:
    """A halt stops every apply with 3 until it is lifted."""
    project, codes = two
    raise_both(project, codes)
    pipeline.halt(project.root, environment=None, environ={}, exits_only=False, reason="a test")
    before = project.sandbox.mutations()
    with pytest.raises(GuardRefused, match="halted") as caught:
        project.apply()
    assert caught.value.exit_code == 3
    assert project.sandbox.mutations() == before
    assert project.status().halted == "all"
    pipeline.resume(project.root, environment=None, environ={}, reason="over")
    assert project.apply().exit_code == 0
    assert bought(project, "core", codes[0]) == Decimal("150.00")


def around_now() -> str:
    """A window that is open for another hour."""
    now = datetime.now(UTC)
    first, last = (f"{now + timedelta(hours=hours):%Y-%m-%d %H:%M}" for hours in (-1, 1))
    return f"{first} to {last} UTC"


def test_closed_windows(two: tuple[Project, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside its windows apply refuses with 3 and sends nothing; plan says when the next opens."""
    project, codes = two
    project.policy["windows"] = {"blackout": ["2000-01-01 to 2100-12-31 America/New_York"]}
    raise_both(project, codes)
    window = project.plan().window
    assert window is not None
    assert project.status().window == window
    assert (window.open, window.changes_at) == (False, "2101-01-01T05:00:00Z")
    before = project.sandbox.mutations()
    with pytest.raises(GuardRefused, match=r"blackout 2000-01-01 .* opens at 2101") as caught:
        project.apply()
    assert caught.value.exit_code == 3
    assert project.sandbox.mutations() == before
    # Time passes from the approval on, so that the window closes before the first request.
    project.policy["windows"] = {"allow": [around_now()]}
    project.save()
    later: list[timedelta] = []
    real = Session.now
    monkeypatch.setattr(Session, "now", lambda self: real(self) + sum(later, timedelta()))
    with pytest.raises(GuardRefused, match="no allowed window is open; none is in sight"):
        project.apply(approve=lambda plan: later.append(timedelta(hours=2)))
    assert project.sandbox.mutations() == before


def test_a_window_that_closes_meanwhile(
    two: tuple[Project, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that is being sent ends, no other starts, and the next apply goes on."""
    project, codes = two
    project.policy |= {
        "windows": {"allow": [around_now()]},
        "calls": {"participants": 1},
    }
    for code in codes[:2]:
        project.line("members", code)["contributed"] = "150.00"
    project.save()
    later: list[timedelta] = []
    real = Session.now
    monkeypatch.setattr(Session, "now", lambda self: real(self) + sum(later, timedelta()))

    def close(event: Event) -> None:
        if isinstance(event, Attempt) and not later:
            later.append(timedelta(hours=2))

    applied = project.apply(watch=close)
    assert applied.exit_code == 5
    assert [problem.code for problem in applied.problems] == ["E_WINDOW_CLOSED"]
    assert sum(bought(project, "core", code) for code in codes[:2]) == Decimal("250.00")
    later.clear()
    assert project.apply().exit_code == 0
    assert sum(bought(project, "core", code) for code in codes[:2]) == Decimal("300.00")


def test_halt_but_for_exits(two: tuple[Project, list[str]], warm: Machines) -> None:
    """With exits only, people get their money out and nothing else moves; then it resumes."""
    project, codes = two
    raise_both(project, codes)
    project.line("members", codes[1])["status"] = "exited"
    project.line("fans", codes[3])["withdrawn"] = "40.00"
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.save()
    pipeline.halt(project.root, environment=None, environ={}, exits_only=True, reason="a test")
    assert project.status().halted == "exits_only"
    assert project.apply().exit_code == 0
    core, theme = project.witness("core"), project.witness("theme")
    assert core.types() == ["enrollment", "liquidation"]
    assert theme.types() == ["enrollment", "partial_sell"]
    pipeline.resume(project.root, environment=None, environ={}, reason="over")
    assert warm.apply(project).code == 0
    assert bought(project, "core", codes[0]) == Decimal("150.00")
    project.assert_nothing_left()


def test_an_interrupted_buy_waits_for_the_halt(
    two: tuple[Project, list[str]], warm: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A buy that a crash left without an answer is not sent again while only exits may go."""
    project, codes = two
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    assert warm.apply(project, kill=["after", 3]).killed
    pipeline.halt(project.root, environment=None, environ={}, exits_only=True, reason="a test")
    monkeypatch.setattr(Pace, "__init__", _hurried(Pace.__init__))
    before = project.sandbox.mutations()
    assert project.apply().exit_code == 0
    assert project.sandbox.mutations() == before
    pipeline.resume(project.root, environment=None, environ={}, reason="over")
    assert project.apply().exit_code == 0
    assert bought(project, "core", codes[0]) == Decimal("150.00")


def test_hold(two: tuple[Project, list[str]]) -> None:
    """A held Strategy is frozen; the other one goes on."""
    project, codes = two
    project.documents["core"]["hold"] = True
    raise_both(project, codes)
    assert blocked_of(project.plan()) == {codes[0]: "hold"}
    project.settle()
    assert bought(project, "core", codes[0]) == Decimal("100.00")
    assert bought(project, "theme", codes[2]) == Decimal("150.00")


def test_interrupted(two: tuple[Project, list[str]]) -> None:
    """Asked to stop, an apply ends the call it is in, starts no other, and exits 130."""
    project, codes = two
    project.policy["calls"] = {"participants": 1}
    for code in codes[:2]:
        project.line("members", code)["contributed"] = "150.00"
    project.save()
    stop: list[bool] = []

    def watch(event: object) -> None:
        if type(event).__name__ == "Attempt":
            stop.append(True)

    report = project.apply(watch=watch, stopping=lambda: bool(stop))
    assert (report.exit_code, report.interrupted) == (130, True)
    assert project.witness("core").types() == ["enrollment", "top_up"]
    assert project.apply().exit_code == 0
    assert project.witness("core").types() == ["enrollment", "top_up", "top_up"]


def test_no_strategy_waits_for_another_one(
    project: Project, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six of them each begin their first request before any of them is answered."""
    names = ["core", "theme", "third", "fourth", "fifth", "sixth"]
    for name, code in zip(names, sandbox.participants(len(names)), strict=True):
        project.strategy(name, {"BTC": "1"})
        project.cohort(f"of-{name}", name, {code: "100.00"})
    project.save()
    begun = threading.Barrier(len(names))
    append = applying._Apply._append

    def together(run: applying._Apply, event: Event) -> Receipt:
        if isinstance(event, Intent) and event.verb is Verb.CREATE:
            begun.wait(timeout=30)
        return append(run, event)

    monkeypatch.setattr(applying._Apply, "_append", together)
    assert project.apply().exit_code == 0
    assert {project.witness(name).types() == ["enrollment"] for name in names} == {True}


def test_target_one_strategy(two: tuple[Project, list[str]]) -> None:
    """A plan for one Strategy has nothing of the other in it, and says that it is not all."""
    project, codes = two
    raise_both(project, codes)
    plan = project.plan(target=[project.name("theme")])
    assert (verbs(plan), plan.complete) == ([(project.name("theme"), "top_up", 1)], False)


def test_canary_one_stop_that_stops_everything(
    two: tuple[Project, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one Strategy's trouble stops all, the other does not settle: the law can fail."""
    monkeypatch.setattr(applying, "STRATEGIES_AT_ONCE", 1)
    append = applying._Apply._append

    def alarmed(run: applying._Apply, event: Event) -> Receipt:
        if isinstance(event, Problem):
            run._failed.set()
        return append(run, event)

    monkeypatch.setattr(applying._Apply, "_append", alarmed)
    with pytest.raises(AssertionError):
        test_a_strategy_in_trouble_stops_itself_only(two, "500_before", monkeypatch)
