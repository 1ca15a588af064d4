"""Money that could not move for more than a week waits for somebody to say that it should."""

from datetime import UTC, datetime, timedelta

import pytest

from stratctl.core.errors import GuardRefused
from stratctl.core.tables import Workspace
from stratctl.journal.record import Waiting
from stratctl.journal.store import open_journal, read_journal
from tests.e2e.world import Project, Sandbox, acknowledged, blocked_of, rows_of


def waiting(project: Project) -> dict[str, str]:
    """Participant -> since when the journal knows its flow to wait."""
    reading = read_journal(project.journal.parents[1], "local", "sandbox")
    table = reading.booked(Workspace()).waiting
    assert table is not None
    return {code: since for _, code, since in table.rows()}


def aged(project: Project, codes: list[str], *, days: int) -> None:
    """Write the journal as it would be, had these flows been seen that long ago."""
    since = datetime.now(UTC) - timedelta(days=days)
    record = Waiting(
        strategy=project.name("core"),
        strategy_id=project.strategy_id("core"),
        since=since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        participants=tuple(sorted(codes)),
    )
    with open_journal(
        project.journal.parents[1],
        "local",
        "sandbox",
        clock=lambda: datetime.now(UTC),
        run="an-earlier-run",
    ) as journal:
        journal.append(record)


def test_a_hold_of_weeks_is_not_forgotten(project: Project, sandbox: Sandbox) -> None:
    """Held, let go, stale, acknowledged: sent once, by the very call that uses the word up."""
    one, two = sandbox.participants(2)
    project.strategy("core")
    members = project.cohort("members", "core", {one: "100.00", two: "100.00"})
    project.save()
    project.settle()

    members["hold"] = True
    project.line("members", one)["contributed"] = "150.00"
    project.line("members", two)["contributed"] = "140.00"
    project.save()
    project.settle()
    assert set(waiting(project)) == {one, two}
    written = project.journal.read_bytes()
    project.settle()
    assert project.journal.read_bytes() == written, "a flow is written down once"

    aged(project, [one, two], days=8)
    del members["hold"]
    project.line("members", two)["contributed"] = "100.00"
    project.save()
    approved = project.plan()
    assert blocked_of(approved) == {one: "stale_flow"}
    project.settle()
    assert set(waiting(project)) == {one}
    assert project.witness("core").moved[one].bought == 100

    project.acknowledge("late", stale_flows=1)
    project.save()
    assert rows_of(project.plan()) == [("top_up", one, 5_000)]
    project.settle()
    assert project.witness("core").moved[one].bought == 150
    assert waiting(project) == {}
    project.assert_nothing_left()

    project.line("members", two)["contributed"] = "140.00"
    project.save()
    aged(project, [two], days=8)
    assert blocked_of(project.plan()) == {two: "stale_flow"}, "the word is used up"
    assert project.apply(acknowledgements=[acknowledged(stale_flows="1")]).exit_code == 0
    assert project.witness("core").moved[two].bought == 140


def test_what_a_guard_stopped_for_a_week_is_stale(project: Project, sandbox: Sandbox) -> None:
    """A limit that is lifted later lets nothing of it go by itself."""
    (one,) = sandbox.participants(1)
    project.strategy("core")
    project.cohort("members", "core", {one: "100.00"})
    project.save()
    project.settle()

    project.policy["guards"]["cash_in"] = "10.00"
    project.line("members", one)["contributed"] = "150.00"
    project.save()
    with pytest.raises(GuardRefused):
        project.apply()
    assert set(waiting(project)) == {one}
    approved = project.plan(acknowledgements=[acknowledged(cash_in="50.00")])
    aged(project, [one], days=8)
    report = project.apply(approved)
    assert report.exit_code == 0
    assert project.witness("core").moved[one].bought == 100, "approved when it was young"

    both = acknowledged(cash_in="50.00", stale_flows="1")
    assert project.apply(acknowledgements=[both]).exit_code == 0
    assert project.witness("core").moved[one].bought == 150
