"""What every store of journals keeps to: one suite, run on a directory and on a Git branch."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from stratctl.core.errors import (
    JournalForeign,
    JournalTampered,
    JournalUnavailable,
    LockHeld,
)
from stratctl.core.event import Problem
from stratctl.core.state import Verb
from stratctl.journal import branch, directory
from stratctl.journal.branch import GitBranch
from stratctl.journal.directory import AppendOnly, Directory, LocalDisk
from stratctl.journal.record import Genesis, Resume
from stratctl.journal.store import Journal, Place, audit, open_at, read_at
from tests.journal.remotes import bare, clone, git, plant
from tests.journal.story import ENVIRONMENT, REALM, Clock, attempt, everything, intent

FIRST = intent(Verb.ENROLL, 1, [("CUST01", 100)])


@dataclass
class Kept:
    """A journal's place, and what may happen to it."""

    here: Place
    elsewhere: Callable[[], Place]
    """The same journal, as a machine sees it that has never seen it before."""
    plant: Callable[[bytes], None]
    """Put other bytes where the journal is, behind everybody's back."""
    lose: Callable[[], None]
    """From now on the place can neither be read nor written."""

    names: Callable[[], list[str]]
    """The files that it is kept in."""

    def opened(self, place: Place | None = None) -> Journal:
        """The journal, locked."""
        return open_at(place or self.here, ENVIRONMENT, REALM, clock=Clock(), run="run-1")

    def data(self) -> bytes:
        """The journal's bytes, as another machine reads them."""
        return self.elsewhere().read()


class Unplugged(LocalDisk):
    """A disk that can be pulled out."""

    def __init__(self) -> None:
        self.gone = False

    def check(self) -> None:
        """Raise what a disk raises that is not there."""
        if self.gone:
            raise OSError(5, "Input/output error")

    def read(self, path: Path) -> bytes:
        """Read, unless it is gone."""
        self.check()
        return super().read(path)

    def append(self, path: Path) -> AppendOnly:
        """Open, unless it is gone."""
        self.check()
        file = super().append(path)
        write = file.write

        def checked(data: bytes) -> int:
            self.check()
            return write(data)

        file.write = checked  # type: ignore[method-assign]  # one file of this test's own
        return file


def _directory(at: Path) -> Kept:
    home = at / "kept" / ENVIRONMENT
    disk = Unplugged()

    def plant_here(data: bytes) -> None:
        home.mkdir(parents=True, exist_ok=True)
        (home / "journal.jsonl").write_bytes(data)

    def lose() -> None:
        disk.gone = True

    def names() -> list[str]:
        return sorted(path.name for path in home.iterdir())

    return Kept(Directory(home, disk), lambda: Directory(home), plant_here, lose, names)


def _git_branch(at: Path) -> Kept:
    remote = bare(at / "remote.git")
    machines = iter(range(100))

    def machine() -> Place:
        repository = clone(at / f"machine{next(machines)}", remote.as_uri())
        return GitBranch(
            repository, "origin", "journals", ENVIRONMENT, clock=Clock(), pause=lambda _: None
        )

    def plant_here(data: bytes) -> None:
        plant(remote, f"refs/heads/journals/{ENVIRONMENT}", {"journal.jsonl": data})

    def lose() -> None:
        remote.rename(at / "lost")

    def names() -> list[str]:
        ref = f"refs/heads/journals/{ENVIRONMENT}"
        return git(remote, "ls-tree", "--name-only", ref).split()

    return Kept(machine(), machine, plant_here, lose, names)


@pytest.fixture(params=[_directory, _git_branch], ids=["directory", "git"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """Each kind of store."""
    made: Kept = request.param(tmp_path)
    return made


def test_an_intent_is_kept_before_its_receipt_is_given(kept: Kept) -> None:
    """A machine that has seen nothing yet reads it while the writer is still at work.

    It reads everything when the writer has closed.
    """
    with kept.opened() as journal:
        assert journal.append(FIRST).digest == FIRST.body_sha256
        events = [e.event for e in read_at(kept.elsewhere(), ENVIRONMENT, REALM).entries()]
        assert events == [Genesis(REALM, ENVIRONMENT), FIRST]
        journal.append(attempt(FIRST))
    reading = read_at(kept.elsewhere(), ENVIRONMENT, REALM)
    assert [e.event for e in reading.entries()] == [*events, attempt(FIRST)]
    assert reading.head == journal.head


def test_a_journal_goes_on_where_it_ended_on_a_machine_that_never_saw_it(kept: Kept) -> None:
    """One chain, whoever writes it; the audit holds."""
    told = everything()
    middle = len(told) // 2
    with kept.opened() as journal:
        journal.append_all(told[:middle])
    with kept.opened(kept.elsewhere()) as journal:
        journal.append_all(told[middle:])
    reading = read_at(kept.elsewhere(), ENVIRONMENT, REALM)
    assert [e.event for e in reading.entries()[1:]] == told
    report = audit(kept.elsewhere(), ENVIRONMENT)
    assert report.holds
    assert report.entries == len(told) + 1


def test_full_segments_are_closed_and_compressed(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal reads the same, goes on, and takes less room."""
    told = everything()
    with kept.opened() as journal:
        journal.append_all(told[:20])
    for module in (branch, directory):
        monkeypatch.setattr(module, "SEGMENT_BYTES", 2000)
    for part in (told[20:30], told[30:40], told[40:]):
        with kept.opened(kept.elsewhere()) as journal:
            journal.append_all(part)
    names = kept.names()
    assert names[:2] == ["00000001.jsonl.gz", "00000002.jsonl.gz"]
    reading = read_at(kept.elsewhere(), ENVIRONMENT, REALM)
    assert [e.event for e in reading.entries()[1:]] == told
    assert audit(kept.elsewhere(), ENVIRONMENT).holds


def test_an_absent_journal_is_empty(kept: Kept) -> None:
    """And reading makes none."""
    assert read_at(kept.here, ENVIRONMENT, REALM).entries() == ()
    assert kept.data() == b""


def test_a_torn_tail_is_said_and_repaired(kept: Kept) -> None:
    """What stands before it stays, what was cut short is gone, and the chain goes on."""
    with kept.opened() as journal:
        journal.append(FIRST)
    sound = kept.data()
    kept.plant(sound + b'{"h":"torn')
    reading = read_at(kept.elsewhere(), ENVIRONMENT, REALM)
    assert [warning.code for warning in reading.warnings] == ["W_TORN_TAIL"]
    with kept.opened() as journal:
        journal.append(attempt(FIRST))
    assert kept.data().startswith(sound + b'{"h":')
    again = read_at(kept.elsewhere(), ENVIRONMENT, REALM)
    assert [e.event for e in again.entries()[1:]] == [FIRST, attempt(FIRST)]
    assert "W_TORN_TAIL" not in [warning.code for warning in again.warnings]


def test_a_last_line_without_its_end_gets_it(kept: Kept) -> None:
    """A whole entry is kept, though its write was cut short."""
    with kept.opened() as journal:
        journal.append(FIRST)
    sound = kept.data()
    kept.plant(sound[:-1])
    with kept.opened() as journal:
        journal.append(attempt(FIRST))
    assert kept.data().startswith(sound)
    assert len(kept.data().splitlines()) == 3


def test_a_whole_line_that_does_not_fit_is_tampering(kept: Kept) -> None:
    """It is neither read nor written to, and whoever tries holds no lock afterwards."""
    with kept.opened() as journal:
        journal.append(FIRST)
    kept.plant(kept.data().replace(b"CUST01", b"CUST02"))
    for _ in range(2):
        with pytest.raises(JournalTampered, match="line 2"):
            kept.opened(kept.elsewhere())
    with pytest.raises(JournalTampered, match="line 2"):
        read_at(kept.elsewhere(), ENVIRONMENT)
    assert not audit(kept.elsewhere(), ENVIRONMENT).holds


def test_a_second_writer_waits_for_the_first(kept: Kept) -> None:
    """The error says who holds it; reading needs no lock; the lock ends with its holder."""
    with kept.opened() as journal:
        with pytest.raises(LockHeld, match="another apply holds the journal: pid "):
            kept.opened(kept.elsewhere())
        journal.append(FIRST)
        assert read_at(kept.elsewhere(), ENVIRONMENT).head == journal.head
    kept.opened(kept.elsewhere()).close()


def test_the_journal_of_another_realm_is_refused(kept: Kept) -> None:
    """And the lock is free again."""
    kept.opened().close()
    with pytest.raises(JournalForeign):
        open_at(kept.here, ENVIRONMENT, "prod", clock=Clock(), run="run-1")
    kept.opened().close()


def test_a_place_that_is_gone_is_said_and_nothing_can_follow(kept: Kept) -> None:
    """No receipt is given for what could not be kept, nor for anything after it.

    Without the place nothing begins.
    """
    journal = kept.opened()
    journal.append(FIRST)
    kept.lose()
    with pytest.raises(JournalUnavailable):
        journal.append(intent(Verb.TOP_UP, 2, [("CUST01", 5)]))
    for _ in range(2):
        with pytest.raises(JournalUnavailable):
            journal.append(Resume("again"))
    with contextlib.suppress(JournalUnavailable):
        journal.close()
    with pytest.raises(JournalUnavailable):
        kept.opened()
    with pytest.raises(JournalUnavailable):
        read_at(kept.here, ENVIRONMENT)


def test_strategies_side_by_side_share_one_chain(kept: Kept) -> None:
    """Their entries stand one after the other, none is lost."""
    with kept.opened() as journal:

        def work(name: str) -> None:
            for number in range(5):
                journal.append(Problem(name, "E_X", str(number)))

        threads = [threading.Thread(target=work, args=(f"s{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        journal.append(Resume("all of them"))
    entries = read_at(kept.elsewhere(), ENVIRONMENT, REALM).entries()
    assert len(entries) == 17
    details = [e.event.detail for e in entries if isinstance(e.event, Problem)]
    assert sorted(details) == sorted("01234" * 3)
