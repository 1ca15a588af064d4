"""A journal in a local directory, ``<directory>/<environment>/``: its segments, and its lock.

What is written is durable at once: one write, one fsync. After a write or an fsync that failed
nobody can know what is on the disk, so that file is never written again by this process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from stratctl.core.errors import JournalTampered, JournalUnavailable, LockHeld
from stratctl.journal.segments import FILE, SEGMENT_BYTES, close, join, name_of

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


# --- the place and the store -------------------------------------------------------------------


class Directory:
    """Where the journal of one environment is, in a local directory."""

    def __init__(self, home: Path, disk: Disk | None = None) -> None:
        self._home = home
        self._disk = disk or LocalDisk()

    def read(self) -> bytes:
        """The whole journal without a lock; nothing where there is none. Raises
        JournalUnavailable and JournalTampered."""
        closed, opened = _segments(self._disk, self._home)
        return b"".join((*closed, opened))

    def open(self) -> DirectoryStore:
        """Lock it for writing; the directory is made. Raises LockHeld and JournalUnavailable."""
        with _as_unavailable(self._home):
            self._disk.make(self._home)
            lock = self._disk.lock(self._home / LOCK)
        return DirectoryStore(self._home, self._disk, lock)

    def unlock(self, nonce: str) -> None:
        """Nothing is ever left locked here: the lock ends with its process, which alone can be
        ended. Raises LockHeld while it runs."""
        del nonce
        path = self._home / LOCK
        if path.exists():
            with _as_unavailable(path):
                self._disk.lock(path).release()


class DirectoryStore:
    """The bytes of a journal on this machine's disk, locked for this process."""

    left_open = None
    """A lock ends with its process, and whatever that wrote is on the disk."""

    def __init__(self, home: Path, disk: Disk, lock: Lock) -> None:
        self._home = home
        self._path = home / FILE
        self._disk = disk
        self._lock = lock
        self._file: AppendOnly | None = None
        self._closed = 0
        """How many segments are."""
        self._before = 0
        """How many bytes of lines they hold."""
        self._size = 0
        """Of the open one."""

    def read(self) -> bytes:
        """The whole journal. Raises JournalUnavailable and JournalTampered."""
        closed, opened = _segments(self._disk, self._home)
        self._closed, self._before = len(closed), sum(map(len, closed))
        self._size = len(opened)
        if closed and not opened:
            # Closed and perhaps not emptied by a writer that died between the two.
            with _as_unavailable(self._path):
                if self._disk.read(self._path):
                    self._disk.cut(self._path, 0)
        return b"".join((*closed, opened))

    def cut(self, size: int) -> None:
        """Cut a torn tail off, durably. Raises JournalUnavailable and JournalTampered."""
        if size < self._before:
            raise JournalTampered("the journal was changed: a closed segment is torn")
        with _as_unavailable(self._path):
            self._disk.cut(self._path, size - self._before)
        self._size = size - self._before

    def write(self, data: bytes) -> None:
        """Make it durable behind everything before it. Raises JournalUnavailable."""
        if self._file is None:
            with _as_unavailable(self._path):
                self._file = self._disk.append(self._path)
        try:
            if self._size >= SEGMENT_BYTES:
                self._close_segment()
            _add(self._file, data)
            self._size += len(data)
        except OSError as error:
            raise JournalUnavailable(
                f"{self._path} could not be made durable: {error}",
                hint="nothing more is sent; repair the disk, then run apply again",
            ) from error

    def _close_segment(self) -> None:
        """Compress the open segment into a file of its own, and begin an empty one."""
        path = self._home / name_of(self._closed + 1)
        if self._disk.read(path):
            # What a writer left that died here; the open segment has all of it.
            self._disk.cut(path, 0)
        file = self._disk.append(path)
        try:
            _add(file, close(self._disk.read(self._path)))
        finally:
            file.close()
        self._disk.cut(self._path, 0)
        self._closed, self._size = self._closed + 1, 0

    def share(self) -> None:
        """What was written survives as long as the disk does."""

    def close(self) -> None:
        """Let go of the file and the lock."""
        if self._file is not None:
            self._file.close()
        self._lock.release()


def _segments(disk: Disk, home: Path) -> tuple[list[bytes], bytes]:
    """The lines of the closed segments and of the open one. Raises JournalUnavailable and
    JournalTampered.

    The open one is read first: what is closed meanwhile is then seen twice, and never not at all.
    """
    with _as_unavailable(home / FILE):
        opened = disk.read(home / FILE)
        closed: list[bytes] = []
        while data := disk.read(home / name_of(len(closed) + 1)):
            closed.append(data)
    return join(closed, opened)


def _add(file: AppendOnly, data: bytes) -> None:
    """Durably. Raises OSError, after which nobody knows what is in the file."""
    written = file.write(data)
    if written != len(data):
        raise OSError(f"only {written} of {len(data)} bytes were written")
    file.sync()


# --- the disk and the lock ------------------------------------------------------------------------


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
