"""recover and adopt: what became of calls, and what others moved, without sending anything."""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stratctl import pipeline
from stratctl.apply import calls
from stratctl.apply.words import Pace
from stratctl.cli.exits import Exit
from stratctl.cli.running import run
from stratctl.core.errors import JournalUnavailable, LockHeld
from stratctl.core.event import Answer, Attempt, Event
from stratctl.core.surroundings import Surroundings
from stratctl.live.clockwork import real_clockwork
from stratctl.pipeline import adopting, session
from tests.e2e.test_ceiling import by_hand
from tests.e2e.test_once import began, begin, change
from tests.e2e.world import Project, blocked_of, rows_of, silent, verbs
from tests.journal.remotes import bare

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


# --- a lost journal ------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No three minutes between two readings."""
    monkeypatch.setattr(Pace, "__init__", _without_quarantine(Pace.__init__))


@pytest.mark.usefixtures("at_once")
def test_a_lost_journal_is_rebuilt_from_the_provider(
    project: Project, recover: Recover, capsys: pytest.CaptureFixture[str]
) -> None:
    """What moved is booked as it was declared, and the next plan is empty.

    Cents that legs do not show are not sent later, and the next change moves alone.
    """
    codes = begin(project)
    project.line("members", codes[0])["contributed"] = "100.01"
    project.save()
    project.settle()
    change(project, codes)
    project.line("members", codes[0])["contributed"] = "150.03"
    project.save()
    while verbs(project.plan()):
        project.settle()
    project.journal.unlink()
    code, said = recover("--from-server")
    assert (code, said["problems"]) == (Exit.DONE, [])
    (strategy,) = said["strategies"]
    assert len(strategy["operations"]) == len(project.witness("core").operations)
    assert (strategy["contributed"], strategy["withdrawn"]) == ("420.03", "40.00")
    assert strategy["differences"] == []
    assert verbs(project.plan()) == []
    assert run(["--chdir", str(project.root), "audit", "verify"]) == Exit.DONE
    capsys.readouterr()
    project.assert_nothing_left()
    assert recover("--from-server")[1]["strategies"] == []
    project.line("members", codes[0])["contributed"] = "200.03"
    project.save()
    assert rows_of(project.plan()) == [("top_up", codes[0], 5000)]


@pytest.mark.usefixtures("at_once")
def test_nothing_is_rebuilt_while_something_is_in_flight(
    project: Project, recover: Recover
) -> None:
    """An Operation without an end does not show whom it concerns: the journal stays as it was."""
    begin(project)
    with project.sandbox.switched(settling_ms="60000"):
        kill_at(project, Answer, number=2)
        code, said = recover("--from-server")
        assert code == Exit.REFUSED
        assert "recover first" in said["error"]["hint"]
        project.journal.unlink()
        code, said = recover("--from-server")
    assert (code, said["strategies"]) == (Exit.INDETERMINATE, [])
    assert [problem["code"] for problem in said["problems"]] == ["E_OPERATION_OPEN"]
    project.sandbox.control("advance", {"seconds": 100})
    code, said = recover("--from-server")
    (strategy,) = said["strategies"]
    assert (code, strategy["contributed"], len(strategy["differences"])) == (0, "200.00", 0)
    assert len(rows_of(project.plan())) == 1


def test_what_comes_to_light_in_between_stops_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that was under way when the journal was lost arrives before it is read again."""
    codes = begin(project)
    project.settle()
    project.journal.unlink()
    rows = [{"participant_code": codes[0], "amount": "30.00"}]

    def arrives(seconds: float) -> None:
        assert seconds == 180
        by_hand(project, "top-up", {"participants": rows})

    monkeypatch.setattr(adopting, "WAIT_PIECE_SECONDS", 180)
    clockwork = replace(real_clockwork(), sleep=arrives)
    monkeypatch.setattr(session, "real_clockwork", lambda: clockwork)
    result = pipeline.recover_from_server(
        project.root,
        environment=None,
        environ=Surroundings(project.environ),
        progress=silent,
        stopping=lambda: False,
    )
    assert result.exit_code == Exit.INDETERMINATE
    assert [problem.code for problem in result.problems] == ["E_STALE_READ"]
    assert result.strategies == ()


def test_a_rebuilding_can_be_broken_off(project: Project) -> None:
    """Whoever stops it while it waits has booked nothing."""
    begin(project)
    project.settle()
    project.journal.unlink()
    result = pipeline.recover_from_server(
        project.root,
        environment=None,
        environ=Surroundings(project.environ),
        progress=silent,
        stopping=lambda: True,
    )
    assert (result.interrupted, result.exit_code, result.strategies) == (True, 130, ())


# --- somebody else's Operation -------------------------------------------------------------------


def test_a_foreign_operation_is_adopted_once_it_is_declared(
    project: Project, recover: Recover, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until then it is refused with the totals that lack it; afterwards nobody is held back."""
    codes = begin(project)
    project.settle()
    rows = [{"participant_code": codes[1], "amount": "33.00"}]
    by_hand(project, "top-up", {"participants": rows})
    foreign = project.witness("core").operations[-1]["id"]

    def adopt(operation: str) -> tuple[int, dict[str, Any]]:
        before = project.sandbox.mutations()
        code = run(["--chdir", str(project.root), "adopt", operation, "--json"])
        assert project.sandbox.mutations() == before
        return code, json.loads(capsys.readouterr().out)

    code, said = adopt(foreign)
    assert code == Exit.REFUSED
    assert f"{codes[1]}: contributed 100.00 must be 133.00" in said["error"]["summary"]
    project.line("members", codes[1])["contributed"] = "183.00"
    project.save()
    assert blocked_of(project.plan()) == {codes[1]: "foreign_operation"}
    code, said = adopt(foreign.upper())
    (strategy,) = said["strategies"]
    assert (code, strategy["operations"]) == (Exit.DONE, [{"type": "top_up", "id": foreign}])
    assert rows_of(project.plan()) == [("top_up", codes[1], 5000)]
    assert run(["--chdir", str(project.root), "audit", "verify"]) == Exit.DONE
    capsys.readouterr()
    for operation, why in (
        (foreign, "is booked already"),
        (project.witness("core").operations[0]["id"], "is booked already"),
        ("5f6f1e7c-6f0b-4a52-8a0a-0b6b0a3c9d11", "no declared Strategy has an Operation"),
    ):
        code, said = adopt(operation)
        assert code == Exit.USAGE
        assert why in said["error"]["summary"]


def test_whom_no_cohort_declares_a_person_must_take_in(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are shown, and what moved for them is typed, or approved by an option; else refused."""
    for name, value in project.environ.items():
        if "_READ_" in name:
            monkeypatch.setenv(name, value)
    codes = begin(project)
    project.settle()
    one = {"participant_code": codes[3], "amount": "41.00", "auto_rebalance": True}
    by_hand(project, "enroll", {"participants": [one]})
    stranger = project.witness("core").operations[-1]["id"]
    before = project.journal.read_bytes()

    def adopt(*words: str, typed: bytes = b"") -> tuple[int, str]:
        """At a terminal, where somebody has typed ahead."""
        leader, follower = os.openpty()
        with os.fdopen(follower, closefd=False) as keyboard, os.fdopen(follower, "w") as screen:
            monkeypatch.setattr(sys, "stdin", keyboard)
            monkeypatch.setattr(sys, "stderr", screen)
            os.write(leader, typed)
            code = run(["--chdir", str(project.root), "adopt", stranger, *words])
        told = b""
        with os.fdopen(leader, "rb", buffering=0) as reading, contextlib.suppress(OSError):
            # A terminal that nobody has open any more ends with an error.
            while part := reading.read(1 << 16):
                told += part
        return code, told.decode()

    for (code, told), why in (
        (adopt("--no-input"), "nobody is there to approve this Operation"),
        (adopt(typed=b"41\n"), "the total was not typed"),
        (adopt(typed=b"\x04"), "(in + out) to adopt it: 41.00"),
    ):
        assert code == Exit.APPROVAL
        assert f"{codes[3]}: USD 41.00 in, USD 0.00 out" in told
        assert why in told
    assert project.journal.read_bytes() == before
    assert adopt(typed=b"41.00\n")[0] == Exit.DONE
    assert project.journal.read_bytes() != before
    project.journal.write_bytes(before)
    assert adopt("--no-input", "--auto-approve")[0] == Exit.DONE
    monkeypatch.undo()
    project.assert_nothing_left()


# --- a lost machine ------------------------------------------------------------------------------


def test_the_lock_of_a_lost_machine_is_opened_by_its_nonce(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is kept out is told the nonce; then it applies, and the record says who was there."""
    codes = begin(project)
    remote = bare(tmp_path / "remote.git")
    project.git("remote", "add", "origin", remote.as_uri())
    project.project["journal"] = {"git": {}}
    project.save()
    project.settle()
    lost = session.Session(project.root, None, {}).open_journal()
    with pytest.raises(LockHeld) as held:
        project.settle()
    nonce = held.value.hint.rpartition("stratctl unlock ")[2]
    unlock = ["--chdir", str(project.root), "unlock"]
    assert run([*unlock, "0" * 16]) == Exit.LOCKED
    assert run([*unlock, nonce]) == Exit.DONE
    assert "Unlocked. It was held by pid " in capsys.readouterr().err
    assert run([*unlock, nonce]) == Exit.DONE
    assert "Nothing is locked." in capsys.readouterr().err
    project.assert_nothing_left()
    began(project, codes)
    with pytest.raises(JournalUnavailable):
        lost.close()
    assert run(["--chdir", str(project.root), "audit", "log"]) == Exit.DONE
    assert "takeover" in capsys.readouterr().out
