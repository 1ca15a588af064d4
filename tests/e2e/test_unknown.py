"""Unknown is a state: 202 is no success, and a status that nobody documents is no end."""

import pytest

from stratctl.apply.words import Pace
from stratctl.core import state
from stratctl.core.event import Outcome
from tests.e2e.machines import Machines, eventually
from tests.e2e.test_once import began, begin
from tests.e2e.world import Project, Sandbox, blocked_of, rows_of, verbs


def test_accepted_is_not_settled(project: Project, warm: Machines) -> None:
    """While an Operation runs nothing is booked as settled, and apply waits for its end."""
    codes = begin(project)
    with project.sandbox.switched(settling_ms="3000"):
        pid = warm.start(project)
        eventually(lambda: "POST" in {e["method"] for e in project.sandbox.log()[-5:]})
        eventually(lambda: len(project.witness("core").operations) == 1)
        assert '"OUTCOME"' not in project.journal.read_text(encoding="utf-8").upper()
        assert [one for one in project.status().strategies if one.in_flight]
        project.sandbox.control("advance", {"seconds": 5})
        eventually(lambda: len(project.witness("core").operations) == 2)
        project.sandbox.control("advance", {"seconds": 5})
        assert warm.wait(pid).code == 0
    began(project, codes)


@pytest.mark.parametrize("position", ["settling", "terminal"])
def test_an_unknown_status_never_ends(
    project: Project, monkeypatch: pytest.MonkeyPatch, position: str
) -> None:
    """A status that is in no list is shown, never taken for an end, and exits 6."""
    codes = begin(project)
    monkeypatch.setattr(Pace, "__init__", _impatient(Pace.__init__))
    settling_ms = "60000" if position == "settling" else "0"
    with project.sandbox.switched(unknown_operation_status=position, settling_ms=settling_ms):
        report = project.apply()
        assert report.exit_code == 6
        (problem,) = report.problems
        assert (problem.code, problem.indeterminate) == ("E_OPERATION_OPEN", True)
        assert len(project.witness("core").operations) == 1
        (strategy,) = project.status().strategies
        assert strategy.in_flight
        assert_open(project, codes)
    project.sandbox.control("advance", {"seconds": 100})
    assert project.apply().exit_code == 0
    assert project.apply().exit_code == 0
    began(project, codes)


def test_unknown_executions_never_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Execution whose status is in no list leaves its call open: exit 6, nothing booked."""
    codes = begin(project)
    monkeypatch.setattr(Pace, "__init__", _impatient(Pace.__init__))
    with project.sandbox.switched(unknown_execution_status="on"):
        report = project.apply()
        assert report.exit_code == 6
        assert [problem.code for problem in report.problems] == ["E_EXECUTIONS_INCOMPLETE"]
        assert_open(project, codes)
    assert project.apply().exit_code == 0
    assert project.apply().exit_code == 0
    began(project, codes)


def assert_open(project: Project, codes: list[str]) -> None:
    """Nothing is planned for those in the open call, and its Strategy gets no other one."""
    in_the_call = set(project.witness("core").moved)
    assert {code for _, code, _ in rows_of(project.plan())} == set(codes[:3]) - in_the_call
    assert len(in_the_call) == 2
    before = project.sandbox.mutations()
    assert project.apply().exit_code == 6
    assert project.sandbox.mutations() == before


def _impatient(init: object) -> object:
    def patience(pace: Pace, **said: object) -> None:
        init(
            pace,
            **{"poll_seconds": 1, "poll_step": 0.1, "poll_max": 0.2, "execution_reads": 2, **said},
        )  # type: ignore[operator]  # a dict of mixed values

    return patience


def test_partial_success_is_read_row_by_row(project: Project, sandbox: Sandbox) -> None:
    """Of a call that succeeded in part, each participant has its own end: exit 5."""
    codes = begin(project)
    project.policy["calls"] = {"participants": 1000}
    project.save()
    plan = project.plan()
    # Locked after it was planned: the provider rejects this one, and only this one.
    sandbox.standing(codes[1], "locked", "compliance")
    report = project.apply(watch=lambda event: None)
    assert blocked_of(plan) == {}
    assert report.exit_code in (0, 5)
    found = project.witness("core")
    assert {code for code, moved in found.moved.items() if moved.settled} == {codes[0], codes[2]}


def test_a_participant_locked_at_the_last_moment(project: Project, sandbox: Sandbox) -> None:
    """Who is locked between the last read and the request is rejected alone, and parked."""
    codes = begin(project)
    project.policy["calls"] = {"participants": 1000}
    project.save()
    outcomes: list[Outcome] = []

    def watch(event: object) -> None:
        if type(event).__name__ == "Attempt":
            sandbox.standing(codes[1], "locked", "compliance")
        if isinstance(event, Outcome):
            outcomes.append(event)

    report = project.apply(watch=watch)
    assert report.exit_code == 5
    assert [(strategy, code) for strategy, code, _ in report.rejected] == [
        (project.name("core"), codes[1])
    ]
    (outcome,) = outcomes
    assert {row.participant_code: row.result.value for row in outcome.rows} == {
        codes[0]: "settled",
        codes[1]: "rejected",
        codes[2]: "settled",
    }
    assert outcome.status_reason == "partial_success"
    sandbox.standing(codes[1], "approved")
    # Parked: it takes an acknowledgement, or a person, to send it again.
    plan = project.plan()
    assert (verbs(plan), blocked_of(plan)) == ([], {codes[1]: "parked"})
    assert project.witness("core").moved[codes[1]].bought == 0


def test_canary_an_unknown_status_that_ends(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an unknown status counts as an end, its test fails: the law can fail."""
    monkeypatch.setattr(state, "TERMINAL", state.TERMINAL | {"reconciling"})
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test_an_unknown_status_never_ends(project, monkeypatch, "terminal")
