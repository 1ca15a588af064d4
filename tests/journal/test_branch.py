"""A journal on a Git branch: what a network, other writers and a clever remote can do to it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from stratctl.core.errors import (
    JournalError,
    JournalRolledBack,
    JournalTampered,
    JournalUnavailable,
    LockHeld,
)
from stratctl.core.event import AnswerClass, Problem
from stratctl.core.state import Verb
from stratctl.journal import branch
from stratctl.journal.branch import GitBranch
from stratctl.journal.git import Git, GitFailed
from stratctl.journal.heads import head_of, held_against
from stratctl.journal.record import Takeover
from stratctl.journal.store import Journal, audit, open_at, read_at
from stratctl.journal.verify import totals_of
from tests.journal.remotes import Web, bare, clone, git, plant, web
from tests.journal.story import ENVIRONMENT, REALM, START, Clock, answer, attempt, intent, settled

REF = f"refs/heads/journals/{ENVIRONMENT}"
FIRST = intent(Verb.ENROLL, 1, [("CUST01", 100)])
SECOND = intent(Verb.TOP_UP, 2, [("CUST01", 50)])


@dataclass
class Line:
    """A remote and the machines that write to it."""

    at: Path
    remote: Path
    address: str
    machines: int = 0

    def machine(self) -> Path:
        """A repository that has seen nothing yet."""
        self.machines += 1
        return clone(self.at / f"machine{self.machines}", self.address)

    def place(self, machine: Path, *, later: timedelta = timedelta()) -> GitBranch:
        """The journal as it is seen from a machine."""
        clock = Clock()
        clock.at += later
        return GitBranch(
            machine, "origin", "journals", ENVIRONMENT, clock=clock, pause=lambda _: None
        )

    def opened(self, machine: Path, *, later: timedelta = timedelta()) -> Journal:
        """The journal, locked."""
        place = self.place(machine, later=later)
        return open_at(place, ENVIRONMENT, REALM, clock=Clock(), run="run-1")

    def head(self) -> str:
        """The commit that the branch stands at."""
        return git(self.remote, "rev-parse", REF)

    def commits(self) -> int:
        """How many there are."""
        return int(git(self.remote, "rev-list", "--count", REF))


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A remote behind file://."""
    remote = bare(tmp_path / "remote.git")
    return Line(tmp_path, remote, remote.as_uri())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Web]]:
    """A folder of remotes behind http."""
    root = tmp_path_factory.mktemp("served")
    with web(root) as started:
        yield root, started


@pytest.fixture
def away(served: tuple[Path, Web], tmp_path: Path) -> tuple[Line, Web]:
    """A remote behind http, and what can go wrong on the way."""
    root, server = served
    remote = bare(root / f"{tmp_path.name}.git")
    return Line(tmp_path, remote, f"{server.address}/{remote.name}"), server


def test_what_follows_an_intent_travels_with_the_next_one(line: Line) -> None:
    """One push takes the lock, one goes out for each intent, one lets go."""
    with line.opened(line.machine()) as journal:
        for event in (*settled(FIRST), *settled(SECOND)):
            journal.append(event)
    assert line.commits() == 4
    assert len(read_at(line.place(line.machine()), ENVIRONMENT).entries()) == 9


def test_intents_that_come_while_one_travels_travel_together(line: Line) -> None:
    """However many Strategies wait, the next push carries all of them."""
    with line.opened(line.machine()) as journal:
        before = line.commits()
        store = journal._store
        assert isinstance(store, branch.GitStore)
        for name in ("a", "b", "c"):
            store.write(b"")
            journal.append(Problem(name, "E_X", ""))
        with store._pushing:
            threads = [threading.Thread(target=store.share) for _ in range(5)]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join()
        assert line.commits() == before + 1


def test_a_push_whose_answer_is_lost_has_happened(away: tuple[Line, Web]) -> None:
    """The remote is asked where it stands, and nothing is written twice."""
    line, server = away
    with line.opened(line.machine()) as journal:
        server.lose_replies = 1
        assert journal.append(FIRST).digest == FIRST.body_sha256
        assert server.lose_replies == 0
        journal.append(attempt(FIRST))
    assert line.commits() == 3
    assert len(read_at(line.place(line.machine()), ENVIRONMENT).entries()) == 3


def test_a_remote_that_wants_credentials_is_asked_with_those_of_git(
    away: tuple[Line, Web],
) -> None:
    """With none there is no prompt and no wait; what a remote's address carries is not repeated."""
    line, server = away
    machine = line.machine()
    server.token = "s3cret"
    try:
        with pytest.raises(JournalUnavailable) as stopped:
            line.opened(machine)
        address = line.address.replace("http://", "http://x:wr0ng@")
        git(machine, "remote", "set-url", "origin", address)
        with pytest.raises(JournalUnavailable) as wrong:
            line.opened(machine)
        assert "wr0ng" not in str(stopped.value) + str(wrong.value)
        git(machine, "remote", "set-url", "origin", line.address)
        git(machine, "config", "credential.helper", "!echo username=x; echo password=s3cret; :")
        with line.opened(machine) as journal:
            journal.append(FIRST)
    finally:
        server.token = ""


def test_a_remote_that_goes_away_stops_before_anything_is_sent(line: Line) -> None:
    """No receipt, nothing more accepted; the next run says that the last one did not let go."""
    machine = line.machine()
    journal = line.opened(machine)
    journal.append(FIRST)
    line.remote.rename(line.at / "away")
    for event in (SECOND, attempt(FIRST)):
        with pytest.raises(JournalUnavailable, match="could not be pushed"):
            journal.append(event)
    journal.close()
    (line.at / "away").rename(line.remote)
    with pytest.raises(LockHeld, match="at most until 2026-11-21T09:1"):
        line.opened(line.machine())
    with line.opened(line.machine(), later=timedelta(hours=1)) as journal:
        (left,) = journal.unfinished()
        assert left.intent == FIRST


def test_a_journal_that_cannot_be_closed_says_so(line: Line) -> None:
    """What was not pushed is no record."""
    journal = line.opened(line.machine())
    journal.append(FIRST)
    journal.append(attempt(FIRST))
    line.remote.rename(line.at / "away")
    with pytest.raises(JournalUnavailable, match="could not be pushed"):
        journal.close()
    journal.close()


def test_a_lost_machine_may_have_sent_what_it_wrote_down(line: Line) -> None:
    """Its attempts were never pushed, so the call is in doubt.

    It counts in full, and the quarantine begins with the end of the lease. A call that was known to
    be committed stays what it was.
    """
    known = intent(Verb.TOP_UP, 1, [("CUST02", 70)])
    lost = line.opened(line.machine())
    for event in (known, attempt(known), answer(known, AnswerClass.COMMITTED), SECOND):
        lost.append(event)
    lost.append(attempt(SECOND))
    with line.opened(line.machine(), later=timedelta(hours=1)) as journal:
        assert isinstance(journal.entries()[-1].event, Takeover)
        committed, open_call = journal.unfinished()
        assert not committed.in_doubt or committed.operation_id
        assert open_call.intent == SECOND
        assert open_call.in_doubt
        assert open_call.attempts == 0
        lease = START + timedelta(seconds=branch.LEASE_SECONDS)
        assert open_call.signed_last is not None
        assert abs(open_call.signed_last - lease.timestamp()) < 20
        pending = {code: sums[2] for (_, code), sums in totals_of(journal.entries()).items()}
        assert pending == {"CUST01": 50, "CUST02": 70}
    assert audit(line.place(line.machine()), ENVIRONMENT).holds
    with pytest.raises(JournalError, match="took the journal"):
        lost.append(intent(Verb.TOP_UP, 3, [("CUST02", 70)]))
    with line.opened(line.machine()) as journal:
        assert not [e for e in journal.entries()[6:] if isinstance(e.event, Takeover)]


def test_who_slept_longer_than_the_lease_sends_nothing(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next entry, whatever it is, needs the lease; who took over meanwhile has it."""
    monkeypatch.setattr(branch, "LEASE_SECONDS", -10.0)
    slow = line.opened(line.machine())
    slow.append(FIRST)
    monkeypatch.setattr(branch, "LEASE_SECONDS", 600.0)
    with line.opened(line.machine(), later=timedelta(hours=1)):
        with pytest.raises(JournalUnavailable, match="took the journal"):
            slow.append(attempt(FIRST))
        with pytest.raises(JournalUnavailable):
            slow.append(attempt(FIRST))


def test_a_lease_is_renewed_by_whatever_is_written_after_half_of_it(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an apply that goes on keeps it."""
    monkeypatch.setattr(branch, "LEASE_SECONDS", 0.0)
    with line.opened(line.machine()) as journal:
        before = line.commits()
        journal.append(Problem("s", "E_X", ""))
        assert line.commits() == before + 1


def test_two_who_take_the_lock_at_once_do_not_both_get_it(line: Line) -> None:
    """Both saw it free; the push decides."""
    machines = [line.place(line.machine()) for _ in range(2)]
    heads = [each._line().fetched() for each in machines]
    taken = branch.GitStore(machines[0]._line(), heads[0], clock=Clock())
    with pytest.raises(LockHeld, match="another apply holds the journal: pid "):
        branch.GitStore(machines[1]._line(), heads[1], clock=Clock())
    taken.close()


def test_a_remote_that_was_wound_back_under_a_writer_is_noticed(line: Line) -> None:
    """The lease on the old head fails, and what the branch lacks is named."""
    journal = line.opened(line.machine())
    first = line.head()
    journal.append(FIRST)
    second = line.head()
    git(line.remote, "update-ref", REF, first)
    with pytest.raises(JournalRolledBack, match=f"E_JOURNAL_ROLLBACK.*lacks {second[:12]}"):
        journal.append(SECOND)


@pytest.mark.parametrize("how", ["older", "deleted", "replaced"])
def test_a_remote_that_was_wound_back_between_runs_is_noticed(how: str, line: Line) -> None:
    """A machine that has seen more neither writes nor reads until what is lacking is back.

    A machine that has never seen it cannot know.
    """
    machine = line.machine()
    with line.opened(machine) as journal:
        journal.append(FIRST)
    newest = line.head()
    if how == "older":
        git(line.remote, "update-ref", REF, f"{newest}~1")
    else:
        git(line.remote, "update-ref", "-d", REF)
    if how == "replaced":
        plant(line.remote, REF, {"journal.jsonl": b""})
    for _ in range(2):
        with pytest.raises(JournalRolledBack, match=f"lacks {newest[:12]}"):
            line.opened(machine)
    with pytest.raises(JournalRolledBack):
        read_at(line.place(machine), ENVIRONMENT)
    read_at(line.place(line.machine()), ENVIRONMENT)
    git(machine, "push", "--quiet", "--force", "origin", f"{newest}:{REF}")
    line.opened(machine).close()


def test_a_machine_that_never_saw_it_finds_it_by_a_kept_head(line: Line) -> None:
    """A branch that was pushed back is a whole journal to a new clone, but for who kept a head."""
    with line.opened(line.machine()) as journal:
        for event in settled(FIRST):
            journal.append(event)
        kept = head_of(journal.entries(), "2026-11-21T10:00:00Z").line()
    git(line.remote, "update-ref", REF, f"{line.head()}~1")
    report = partial(audit, line.place(line.machine()), ENVIRONMENT)
    assert report().holds
    (finding,) = report(partial(held_against, [("kept", kept)], "")).findings
    assert finding.startswith("kept: the journal was cut off: it had 5 entries")


def test_the_users_work_is_left_alone(line: Line) -> None:
    """No hook runs, and no file, index, branch or tag changes.

    What stands beside the journal on its branch stays there.
    """
    machine = line.machine()
    (machine / "staged").write_text("staged")
    git(machine, "add", "staged")
    for hook in ("pre-push", "reference-transaction", "post-index-change"):
        script = machine / ".git" / "hooks" / hook
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\ntouch {machine}/ran-{hook}\n")
        script.chmod(0o755)
    index = (machine / ".git" / "index").read_bytes()
    plant(line.remote, REF, {"NOTES": b"ours"})
    with line.opened(machine) as journal:
        journal.append(FIRST)
    assert sorted(path.name for path in machine.iterdir()) == [".git", "staged"]
    assert (machine / ".git" / "index").read_bytes() == index
    assert git(machine, "for-each-ref", "refs/heads", "refs/tags") == ""
    assert git(line.remote, "ls-tree", "--name-only", REF).split() == ["NOTES", "journal.jsonl"]
    assert git(line.remote, "log", "-1", "--format=%an %ae", REF) == "stratctl stratctl@localhost"


def test_git_learns_nothing_of_the_environment_but_what_it_needs(line: Line) -> None:
    """Not the provider's keys, and nobody's GIT_DIR."""
    machine = line.machine()
    git(machine, "config", "alias.told", "!env")
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(machine),
        "STRATCTL_WRITE_SECRET": "s3cret",
        "GIT_DIR": "/elsewhere",
        "GIT_SSH_COMMAND": "false",
        "https_proxy": "http://proxy",
    }
    told = dict(one.split("=", 1) for one in Git(machine, environ).text("told").splitlines())
    assert told["https_proxy"] == "http://proxy"
    assert told["GIT_TERMINAL_PROMPT"] == "0"
    assert "STRATCTL_WRITE_SECRET" not in told
    assert told.get("GIT_DIR") != "/elsewhere"
    assert "GIT_SSH_COMMAND" not in told


def test_a_git_that_does_not_come_back_is_ended_with_all_that_it_started(line: Line) -> None:
    """The wait is bounded, and nothing is left behind."""
    machine = line.machine()
    git(machine, "config", "core.sshCommand", "sleep 60.125; :")
    began = time.monotonic()
    with pytest.raises(GitFailed, match=r"longer than 0\.3 s"):
        Git(machine)("ls-remote", "--", "ssh://nowhere/journal", seconds=0.3)
    assert time.monotonic() - began < 10
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 60.125" not in left.stdout


def test_a_project_without_its_remote_is_said(line: Line) -> None:
    """Nothing that is configured becomes an address, an option or another repository."""
    machine = line.machine()
    for remote in ("elsewhere", "--upload-pack=touch", str(line.remote)):
        place = GitBranch(machine, remote, "journals", ENVIRONMENT, clock=Clock())
        with pytest.raises(JournalUnavailable, match="the journal cannot be read"):
            place.read()
    place = GitBranch(machine, "origin", "a..b", ENVIRONMENT, clock=Clock())
    with pytest.raises(JournalUnavailable, match="the journal cannot be read"):
        place.read()
    outside = GitBranch(line.at, "origin", "journals", ENVIRONMENT, clock=Clock())
    with pytest.raises(JournalUnavailable, match="not a git repository"):
        outside.read()
    lacking = GitBranch(
        machine, "origin", "journals", ENVIRONMENT, clock=Clock(), git=Git(machine, {"PATH": "/"})
    )
    with pytest.raises(JournalUnavailable, match="git cannot be started"):
        lacking.read()


def test_a_lock_is_given_away_by_its_nonce(line: Line) -> None:
    """The next one comes in at once, and no other nonce opens anything.

    It writes down until when the holder may have sent, and the holder's next push is refused.
    """
    lost = line.opened(line.machine())
    lost.append(FIRST)
    lost.append(attempt(FIRST))
    place = line.place(line.machine())
    with pytest.raises(LockHeld) as held:
        place.open()
    nonce = held.value.hint.rpartition("stratctl unlock ")[2]
    with pytest.raises(LockHeld, match=f"nonce {nonce}"):
        place.unlock("another")
    assert str(place.unlock(nonce)).startswith("pid ")
    assert place.unlock(nonce) is None
    with line.opened(line.machine()) as journal:
        taken = journal.entries()[-1].event
        assert isinstance(taken, Takeover)
        (left,) = journal.unfinished()
        assert left.in_doubt
        assert left.signed_last == taken.at
        assert taken.at > START.timestamp() + branch.LEASE_SECONDS
        with pytest.raises(JournalUnavailable, match="another apply took the journal"):
            lost.append(SECOND)
    assert place.unlock(nonce) is None


def test_whoever_is_unlocked_is_told_so(line: Line) -> None:
    """Even before anybody else came in, the holder writes nothing more."""
    lost = line.opened(line.machine())
    place = line.place(line.machine())
    with pytest.raises(LockHeld) as held:
        place.open()
    place.unlock(held.value.hint.rpartition("stratctl unlock ")[2])
    with pytest.raises(JournalUnavailable, match="from this one: somebody who is done"):
        lost.append(FIRST)


def test_a_lock_that_nobody_wrote_is_tampering(line: Line) -> None:
    """Whoever can change the branch can do so; nothing goes on until a person has looked."""
    plant(line.remote, REF, {"lock": b"{}"})
    with pytest.raises(JournalTampered, match="lock cannot be read"):
        line.opened(line.machine())
