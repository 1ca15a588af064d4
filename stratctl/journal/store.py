"""The journal in a local directory: ``<directory>/<environment>/journal.jsonl``, and its lock.

An entry is durable when ``append`` returns: one write, one fsync. After a write or an fsync that
failed nobody can know what is on the disk, so that file is never written again by this process,
and everything that would need it is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import JournalError, JournalUnavailable, LockHeld
from stratctl.core.event import Event, Intent, Receipt, Unfinished
from stratctl.core.report import AuditReport
from stratctl.core.state import Booked
from stratctl.core.tables import Workspace
from stratctl.journal.bindings import Contradiction
from stratctl.journal.booked import book
from stratctl.journal.chain import Chain, read
from stratctl.journal.record import (
    NO_PREVIOUS,
    Entry,
    Genesis,
    Word,
    decode,
    document,
    encode,
)
from stratctl.journal.verify import verify

FILE = "journal.jsonl"
LOCK = "lock"


class AppendOnly(Protocol):
    """A file that is open for appending."""

    def write(self, data: bytes) -> int: ...

    def sync(self) -> None: ...

    def close(self) -> None: ...


class Lock(Protocol):
    """What is held until it is let go, or its process ends."""

    def release(self) -> None: ...


class Disk(Protocol):
    """The few things a journal needs from a file system. Every method may raise OSError; ``lock``
    raises LockHeld when somebody else has it."""

    def make(self, home: Path) -> None: ...

    def lock(self, path: Path) -> Lock: ...

    def read(self, path: Path) -> bytes: ...

    def append(self, path: Path) -> AppendOnly: ...

    def cut(self, path: Path, size: int) -> None: ...


# --- opening and reading -------------------------------------------------------------------------


def open_journal(
    directory: Path,
    environment: str,
    realm: str,
    *,
    clock: Callable[[], datetime],
    run: str,
    disk: Disk | None = None,
) -> Journal:
    """Lock, verify and repair the journal of an environment, or begin it.

    ``run`` names this process's run in every entry that it appends. Raises LockHeld,
    JournalTampered, JournalForeign (another realm, environment or a newer version) and
    JournalUnavailable.
    """
    disk = disk or LocalDisk()
    home = directory / environment
    with _as_unavailable(home):
        disk.make(home)
        lock = disk.lock(home / LOCK)
    try:
        with _as_unavailable(home):
            data = disk.read(home / FILE)
        chain = read(data, realm=realm, environment=environment)
        with _as_unavailable(home):
            if chain.torn:
                disk.cut(home / FILE, chain.sound)
            file = disk.append(home / FILE)
    except JournalError:
        lock.release()
        raise
    journal = Journal(chain, file, lock, clock=clock, run=run, path=home / FILE)
    try:
        if chain.unended:
            journal.end_last_line()
        if not chain.entries:
            journal.append(Genesis(realm=realm, environment=environment))
    except JournalError:
        journal.close()
        raise
    return journal


def read_journal(directory: Path, environment: str, realm: str | None = None) -> Reading:
    """Read without the lock and without changing anything. An absent journal is empty.

    Raises JournalTampered, JournalForeign and JournalUnavailable.
    """
    return Reading(read(_bytes(directory, environment), realm=realm, environment=environment))


def audit(directory: Path, environment: str, workspace: Workspace) -> AuditReport:
    """Verify the journal on disk; what is wrong with it is a finding. Raises
    JournalUnavailable."""
    return verify(_bytes(directory, environment), environment=environment, workspace=workspace)


def _bytes(directory: Path, environment: str) -> bytes:
    path = directory / environment / FILE
    with _as_unavailable(path):
        return LocalDisk().read(path)


class Reading:
    """A verified journal, as it was when it was read."""

    def __init__(self, chain: Chain) -> None:
        self._entries = list(chain.entries)
        self._bindings = chain.bindings
        self.warnings: tuple[Diagnostic, ...] = chain.warnings

    @property
    def head(self) -> str:
        """Digest of the newest entry; empty for an empty journal."""
        return self._entries[-1].digest if self._entries else ""

    def entries(self) -> tuple[Entry, ...]:
        """Every entry, oldest first."""
        return tuple(self._entries)

    def documents(self) -> Iterator[dict[str, Any]]:
        """Every line as JSON-able data, for people's own tools."""
        prev = NO_PREVIOUS
        for entry in self._entries:
            line = encode(entry.event, seq=entry.seq, prev=prev, at=entry.at, run=entry.run)
            yield document(line[:-1], seq=entry.seq)
            prev = entry.digest

    def booked(self, workspace: Workspace) -> Booked:
        """What the entries book, with the participants as a table of the workspace."""
        return book(self.entries(), workspace)

    def unfinished(self) -> tuple[Unfinished, ...]:
        """Trading and CREATE calls without an end, in the order of their intents."""
        return self._bindings.unfinished()


# --- writing -------------------------------------------------------------------------------------


class Journal(Reading):
    """The journal, locked and open for appending. Safe to use from several threads."""

    def __init__(
        self,
        chain: Chain,
        file: AppendOnly,
        lock: Lock,
        *,
        clock: Callable[[], datetime],
        run: str,
        path: Path,
    ) -> None:
        super().__init__(chain)
        self._file = file
        self._lock = lock
        self._clock = clock
        self._run = run
        self._path = path
        self._broken = ""
        self._closed = False
        self._turn = threading.Lock()

    def append(self, event: Event | Word) -> Receipt:
        """Make one event durable. Raises as ``append_all`` does."""
        (receipt,) = self.append_all([event])
        return receipt

    def append_all(self, events: Sequence[Event | Word]) -> tuple[Receipt, ...]:
        """Make several events durable together: one write, one fsync.

        Raises JournalError when an event contradicts the journal (an id that carries another
        body, an attempt without an intent, a second outcome), and JournalUnavailable when it is
        not certain that all of them are on the disk; then this journal accepts nothing more.
        """
        with self._turn:
            if self._broken:
                raise JournalUnavailable(self._broken)
            entries, lines = self._prepare(events)
            self._write(b"".join(lines))
            self._entries += entries
        return tuple(
            Receipt(
                seq=entry.seq,
                digest=entry.event.body_sha256 if isinstance(entry.event, Intent) else "",
            )
            for entry in entries
        )

    def unfinished(self) -> tuple[Unfinished, ...]:
        """As of now, while other threads may be appending."""
        with self._turn:
            return super().unfinished()

    def close(self) -> None:
        """Let go of the file and the lock. Closing again does nothing."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            self._broken = self._broken or "the journal is closed"
            self._file.close()
            self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end_last_line(self) -> None:
        """Give the last entry the line feed that a cut write left out."""
        self._write(b"\n")

    def _prepare(self, events: Sequence[Event | Word]) -> tuple[list[Entry], list[bytes]]:
        entries: list[Entry] = []
        lines: list[bytes] = []
        seq, prev = len(self._entries), self.head or NO_PREVIOUS
        at = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for event in events:
            seq += 1
            line = encode(event, seq=seq, prev=prev, at=at, run=self._run)
            # Read back what will be written: a line that cannot be read must never be written.
            entry = decode(line[:-1], seq=seq, prev=prev)
            try:
                self._bindings.admit(event)
            except Contradiction as error:
                contradiction = f"an event contradicts the journal: {error}"
                if entries:
                    # Those before it are admitted and will not be written: accept no more.
                    self._broken = contradiction
                raise JournalError(contradiction) from error
            prev = entry.digest
            entries.append(entry)
            lines.append(line)
        return entries, lines

    def _write(self, data: bytes) -> None:
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(f"only {written} of {len(data)} bytes were written")
            self._file.sync()
        except OSError as error:
            self._broken = f"{self._path} could not be made durable: {error}"
            raise JournalUnavailable(
                self._broken,
                hint="nothing more is sent; repair the disk, then run apply again",
            ) from error


class LocalDisk:
    """Files of this machine."""

    def make(self, home: Path) -> None:
        """Make the directory, and make its name, and those above it that are new, durable."""
        new = [path for path in (home, *home.parents) if not path.exists()]
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in new:
            _sync_directory(path.parent)

    def lock(self, path: Path) -> Lock:
        """Lock the journal's own file for this process."""
        return _Lock(path)

    def read(self, path: Path) -> bytes:
        """The whole file; nothing for a file that does not exist."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""

    def append(self, path: Path) -> AppendOnly:
        """Open for appending. A new file's name is made durable too."""
        file = _LocalFile(path)
        _sync_directory(path.parent)
        return file

    def cut(self, path: Path, size: int) -> None:
        """Cut a torn tail off, durably."""
        with path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())


class _LocalFile:
    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> int:
        return os.write(self._number, data)

    def sync(self) -> None:
        os.fsync(self._number)

    def close(self) -> None:
        os.close(self._number)


class _Lock:
    """An exclusive lock that dies with its process; the file says who holds it."""

    def __init__(self, path: Path) -> None:
        with _as_unavailable(path):
            self._number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(self._number, 200, 0).decode(errors="replace").strip()
                os.close(self._number)
                raise LockHeld(
                    f"another apply holds the journal: {holder or 'it is just starting'}",
                    hint="wait for it to end; its lock ends with its process",
                ) from error
            os.ftruncate(self._number, 0)
            os.pwrite(self._number, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._number)


def _sync_directory(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def _as_unavailable(path: Path) -> Iterator[None]:
    """Foreign errors change their name at the door."""
    try:
        yield
    except OSError as error:
        raise JournalUnavailable(
            f"the journal cannot be opened: {path}: {error.strerror or error}",
            hint="nothing is applied without a journal",
        ) from error
