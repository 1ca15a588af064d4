"""The journal on a disk: locked, durable before it says so, and silent for ever after a doubt."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from stratctl.core.errors import (
    JournalError,
    JournalForeign,
    JournalTampered,
    JournalUnavailable,
    LockHeld,
)
from stratctl.core.event import Problem
from stratctl.core.state import Verb
from stratctl.journal.chain import read
from stratctl.journal.directory import AppendOnly, Directory, LocalDisk
from stratctl.journal.record import Genesis, Resume
from stratctl.journal.store import Journal, audit, open_journal, read_journal
from tests.journal.story import ENVIRONMENT, REALM, Clock, attempt, everything, intent, write

FIRST = intent(Verb.ENROLL, 1, [("CUST01", 100)])


def opened(directory: Path, **changes: Any) -> Journal:
    """The journal of the story's environment."""
    said: dict[str, Any] = {"clock": Clock(), "run": "run-1"} | changes
    return open_journal(directory, ENVIRONMENT, REALM, **said)


class FailingDisk(LocalDisk):
    """Counts operations, and fails the chosen one as a disk does."""

    def __init__(self, fail_at: int, how: str) -> None:
        self.left = fail_at
        self.how = how

    def now(self) -> bool:
        """Whether this operation is the one."""
        self.left -= 1
        return self.left == -1

    def read(self, path: Path) -> bytes:
        """Read, or fail."""
        if self.now():
            raise OSError(5, "Input/output error")
        return super().read(path)

    def append(self, path: Path) -> AppendOnly:
        """Open, or fail."""
        if self.now():
            raise OSError(28, "No space left on device")
        return FailingFile(super().append(path), self)

    def cut(self, path: Path, size: int) -> None:
        """Cut, or fail."""
        if self.now():
            raise OSError(5, "Input/output error")
        super().cut(path, size)


class FailingFile:
    """A file of the failing disk."""

    def __init__(self, file: AppendOnly, disk: FailingDisk) -> None:
        self.file, self.disk = file, disk
        self.writes_after_failure = 0
        self.failed = False

    def write(self, data: bytes) -> int:
        """Write all, a part, or nothing."""
        assert not self.failed, "a file that failed is never written again"
        if self.disk.now():
            self.failed = True
            if self.disk.how == "short":
                return self.file.write(data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return self.file.write(data)

    def sync(self) -> None:
        """Sync, or fail."""
        if self.disk.now():
            self.failed = True
            raise OSError(5, "Input/output error")
        self.file.sync()

    def close(self) -> None:
        """Close."""
        self.file.close()


@pytest.mark.parametrize("how", ["error", "short"])
@pytest.mark.parametrize("fail_at", range(12))
def test_whichever_disk_operation_fails_nothing_is_said_to_be_durable(
    fail_at: int, how: str, tmp_path: Path
) -> None:
    """Each receipt that was given is on the disk; after a failure there is never another one."""
    (tmp_path / ENVIRONMENT).mkdir()
    path = tmp_path / ENVIRONMENT / "journal.jsonl"
    path.write_bytes(b'{"torn')
    receipts = []
    try:
        with opened(tmp_path, disk=FailingDisk(fail_at, how)) as journal:
            for event in (FIRST, attempt(FIRST), Problem("s", "E_X", ""), Resume("x")):
                try:
                    receipts.append(journal.append(event))
                except JournalUnavailable:
                    with pytest.raises(JournalUnavailable):
                        journal.append(Resume("again"))
    except JournalUnavailable:
        assert not receipts
    chain = read(path.read_bytes())
    assert len(chain.entries) >= max((receipt.seq for receipt in receipts), default=0)
    with opened(tmp_path) as journal:
        # What was written beyond the last receipt may be there or not; the next apply goes on.
        journal.append(Resume("later"))
    assert read(path.read_bytes()).torn == 0


def test_a_receipt_carries_the_digest_of_an_intent(tmp_path: Path) -> None:
    """And of nothing else."""
    with opened(tmp_path) as journal:
        assert journal.append(FIRST).digest == FIRST.body_sha256
        assert journal.append(attempt(FIRST)).digest == ""
        assert [entry.seq for entry in journal.entries()] == [1, 2, 3]


def test_an_id_never_carries_two_bodies(tmp_path: Path) -> None:
    """A used slot takes no other body, and what was refused leaves no trace."""
    other = intent(Verb.ENROLL, 1, [("CUST01", 900)])
    with opened(tmp_path) as journal:
        journal.append(FIRST)
        with pytest.raises(JournalError, match="bound to another body"):
            journal.append(other)
        journal.append(attempt(FIRST))
    assert [entry.seq for entry in read_journal(tmp_path, ENVIRONMENT).entries()] == [1, 2, 3]


def test_several_events_become_durable_together_or_not_at_all(tmp_path: Path) -> None:
    """One that contradicts spoils all, and the journal accepts no more."""
    with opened(tmp_path) as journal:
        assert len(journal.append_all([FIRST, attempt(FIRST)])) == 2
        with pytest.raises(JournalError):
            journal.append_all([attempt(FIRST, 2), attempt(FIRST, 2)])
        with pytest.raises(JournalUnavailable):
            journal.append(Resume("x"))
    assert len(read_journal(tmp_path, ENVIRONMENT).entries()) == 3


def test_many_threads_append_to_one_chain(tmp_path: Path) -> None:
    """Strategies run side by side; their entries stand one after the other."""
    with opened(tmp_path) as journal:

        def work(name: str) -> None:
            for number in range(20):
                journal.append(Problem(name, "E_X", str(number)))

        threads = [threading.Thread(target=work, args=(f"s{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    entries = read_journal(tmp_path, ENVIRONMENT, REALM).entries()
    assert len(entries) == 81
    for name in ("s0", "s3"):
        mine = [e.event for e in entries if isinstance(e.event, Problem)]
        details = [problem.detail for problem in mine if problem.strategy == name]
        assert details == [str(number) for number in range(20)]


def test_a_second_apply_finds_the_lock_held(tmp_path: Path) -> None:
    """The error names the process and the machine; the lock ends with its holder."""
    with opened(tmp_path), pytest.raises(LockHeld, match=f"pid {os.getpid()} on "):
        opened(tmp_path)
    opened(tmp_path).close()


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    """The lock is the operating system's: it dies with its process, however that ends."""
    program = (
        "import sys, datetime, pathlib, time\n"
        "from stratctl.journal.store import open_journal\n"
        "open_journal(pathlib.Path(sys.argv[1]), 'dev', 'sandbox',"
        " clock=lambda: datetime.datetime.now(datetime.UTC), run='r')\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(LockHeld, match=f"pid {process.pid} "):
        opened(tmp_path)
    process.kill()
    process.wait()
    process.stdout.close()
    opened(tmp_path).close()


def test_a_directory_needs_no_unlocking(tmp_path: Path) -> None:
    """Its lock ends with its process: nothing is ever left to be opened, nor anything broken."""
    place = Directory(tmp_path / ENVIRONMENT)
    place.unlock("any")
    assert not list(tmp_path.iterdir())
    with opened(tmp_path), pytest.raises(LockHeld, match=f"pid {os.getpid()} on "):
        place.unlock("any")
    place.unlock("any")
    opened(tmp_path).close()


def test_reading_needs_no_lock_and_writes_nothing(tmp_path: Path) -> None:
    """An absent journal is empty and stays absent; one that is being written can be read."""
    assert read_journal(tmp_path, ENVIRONMENT).entries() == ()
    assert list(tmp_path.iterdir()) == []
    with opened(tmp_path) as journal:
        reading = read_journal(tmp_path, ENVIRONMENT, REALM)
        assert reading.entries() == journal.entries()
        assert reading.head == journal.head != ""


def test_documents_are_the_lines_as_they_stand(tmp_path: Path) -> None:
    """`audit log` shows what is in the file."""
    path = write(tmp_path, everything())
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert list(read_journal(tmp_path, ENVIRONMENT).documents()) == lines


def test_the_journal_belongs_to_one_realm(tmp_path: Path) -> None:
    """It begins with its realm; opening it with another one is refused and frees the lock."""
    with opened(tmp_path) as journal:
        assert journal.entries()[0].event == Genesis(REALM, ENVIRONMENT)
    with pytest.raises(JournalForeign):
        open_journal(tmp_path, ENVIRONMENT, "prod", clock=Clock(), run="r")
    opened(tmp_path).close()


def test_a_tampered_journal_is_not_opened(tmp_path: Path) -> None:
    """Neither for writing nor for reading; the audit says where it breaks."""
    path = write(tmp_path, everything())
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalTampered):
        opened(tmp_path)
    with pytest.raises(JournalTampered):
        read_journal(tmp_path, ENVIRONMENT)
    report = audit(Directory(tmp_path / ENVIRONMENT), ENVIRONMENT)
    assert not report.holds
    assert "line 2" in report.findings[0]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A file where the directory should be, and a directory where the file should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnavailable, match="cannot be opened"):
        opened(tmp_path / "file")
    (tmp_path / ENVIRONMENT / "journal.jsonl").mkdir(parents=True)
    with pytest.raises(JournalUnavailable, match="cannot be opened"):
        opened(tmp_path)
    with pytest.raises(JournalUnavailable):
        read_journal(tmp_path, ENVIRONMENT)
    (tmp_path / "other" / "lock").mkdir(parents=True)
    with pytest.raises(JournalUnavailable):
        open_journal(tmp_path, "other", REALM, clock=Clock(), run="r")


def test_a_closed_journal_accepts_nothing(tmp_path: Path) -> None:
    """Who lost the lock must not write."""
    journal = opened(tmp_path)
    journal.close()
    with opened(tmp_path) as another:
        journal.close()
        with pytest.raises(JournalUnavailable, match="closed"):
            journal.append(Resume("x"))
        another.append(Resume("y"))


class StarvedDisk(LocalDisk):
    """Memory runs out when the second write has reached the file."""

    def append(self, path: Path) -> AppendOnly:
        """Open for appending."""
        return StarvedFile(super().append(path))


class StarvedFile:
    """Its file."""

    def __init__(self, file: AppendOnly) -> None:
        self.file, self.writes = file, 0
        self.sync, self.close = file.sync, file.close

    def write(self, data: bytes) -> int:
        """Write, and the second time do not come back."""
        self.writes += 1
        written = self.file.write(data)
        if self.writes == 2:
            raise MemoryError
        return written


def test_nothing_follows_an_append_that_did_not_come_back(tmp_path: Path) -> None:
    """The line may be in the file: another thread that wrote behind it would break the chain."""
    with opened(tmp_path, disk=StarvedDisk()) as journal:
        with pytest.raises(MemoryError):
            journal.append(FIRST)
        with pytest.raises(JournalUnavailable, match="interrupted"):
            journal.append(FIRST)
    with opened(tmp_path) as journal:
        assert [type(entry.event) for entry in journal.entries()] == [Genesis, type(FIRST)]
