"""recover: what became of calls that were left open, without planning or sending anything."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from stratctl import pipeline
from stratctl.apply import calls
from stratctl.apply.words import Pace
from stratctl.cli.exits import Exit
from stratctl.cli.running import run
from stratctl.core.event import Answer, Attempt, Event
from stratctl.core.surroundings import Surroundings
from tests.e2e.test_once import began, begin
from tests.e2e.world import Project, rows_of

Recover = Callable[..., tuple[int, dict[str, Any]]]


class Killed(Exception):
    """The process ends here."""


@pytest.fixture
def recover(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Recover:
    """Run the command with the key that reads, and hold it to sending nothing."""
    for name, value in project.environ.items():
        if "_READ_" in name:
            monkeypatch.setenv(name, value)

    def recovered(*words: str) -> tuple[int, dict[str, Any]]:
        before = project.sandbox.mutations()
        code = run(["--chdir", str(project.root), "recover", "--json", *words])
        assert project.sandbox.mutations() == before
        return code, json.loads(capsys.readouterr().out)

    return recovered


def kill_at(project: Project, kind: type[Event], *, number: int) -> None:
    """Apply, and die when the n-th event of a kind is durable."""
    left = number

    def watch(event: Event) -> None:
        nonlocal left
        left -= isinstance(event, kind)
        if not left:
            raise Killed

    with pytest.raises(Killed):
        project.apply(watch=watch)


def test_nothing_open_needs_no_provider(project: Project, recover: Recover) -> None:
    """Where every call has its end nobody is asked, not even whether the sandbox is there."""
    begin(project)
    project.environment["endpoint"] = "http://127.0.0.1:9"
    project.save()
    code, said = recover()
    assert (code, said["found"], said["open"]) == (Exit.DONE, 0, [])


def test_what_was_carried_out_is_booked(project: Project, recover: Recover) -> None:
    """A call that was answered and not followed is followed to its end, and never sent again."""
    codes = begin(project)
    kill_at(project, Answer, number=2)
    code, said = recover()
    assert (code, said["found"], said["open"], said["abandoned"]) == (Exit.DONE, 1, [], [])
    (tally,) = said["tallies"]
    assert (tally["verb"], tally["settled"], tally["amount"]) == ("enroll", 2, "200.00")
    assert len(rows_of(project.plan())) == 1
    project.settle()
    began(project, codes)
    project.assert_nothing_left()


def test_what_never_arrived_is_given_up_and_planned_again(
    project: Project,
    recover: Recover,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It may be under way for three minutes; when they are over its slot is free."""
    codes = begin(project)
    kill_at(project, Attempt, number=2)
    code, said = recover("--no-wait")
    assert code == Exit.INDETERMINATE
    (left,) = said["open"]
    assert (left["slot"], left["verb"], left["participants"]) == (1, "enroll", 2)
    assert said["abandoned"] == []
    monkeypatch.setattr(Pace, "__init__", _without_quarantine(Pace.__init__))
    code, said = recover()
    assert (code, said["open"], said["abandoned"]) == (Exit.DONE, [], [left])
    assert len(rows_of(project.plan())) == 3
    project.settle()
    began(project, codes)
    assert run(["--chdir", str(project.root), "audit", "verify"]) == Exit.DONE
    assert "holds" in capsys.readouterr().out


def test_a_wait_can_be_broken_off(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is told, and a stop leaves the call open."""
    begin(project)
    kill_at(project, Attempt, number=2)
    monkeypatch.setattr(calls, "PAUSE_MAX", 0.01)
    waits: list[str] = []
    result = pipeline.recover(
        project.root,
        environment=None,
        environ=Surroundings(project.environ),
        wait=True,
        progress=lambda what, done, total: waits.append(what),
        watch=lambda event: None,
        stopping=lambda: bool(waits),
    )
    assert waits == ["seconds waited for what may be under way"]
    assert (len(result.open), result.interrupted, result.exit_code) == (1, True, 130)


def _without_quarantine(init: Any) -> Any:
    def impatient(pace: Pace, **said: Any) -> None:
        init(pace, **{"quarantine": 0, **said})

    return impatient
