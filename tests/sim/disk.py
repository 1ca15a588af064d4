"""A disk that keeps what was synced, and of the rest what chance leaves.

What was written and not synced is there for whoever reads while the machine runs, survives the
death of a process, and after a loss of power is a prefix, sometimes with NULs behind it. After an
fsync that failed nobody knows: the pages count as clean and may never have been written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stratctl.core.errors import LockHeld
from stratctl.journal.segments import FILE
from tests.sim.history import CUT
from tests.sim.ledger import Ledger

if TYPE_CHECKING:
    from tests.sim.machine import Machine


JOURNAL = Path("/journal/sandbox") / FILE


class File:
    """What is in a file: as whoever reads it sees it, and as a loss of power would leave it."""

    def __init__(self) -> None:
        self.seen = b""
        self.durable = b""
        self.synced = b""
        """What an fsync reported as durable."""
        self.spoiled = ""
        """Why its bytes are not what its writers wrote any more; empty when they are."""
        self.ledger = Ledger()
        """The durable lines, understood."""

    def spoil(self, place: int) -> None:
        """A bit of what is there flips."""
        data = bytearray(self.seen)
        data[place] ^= 1
        self.seen = self.durable = self.synced = bytes(data)
        self.spoiled = f"byte {place} was changed"


class Disk:
    """Files by path, and who holds which lock. Machines may share one, and not see each other's
    locks."""

    def __init__(self) -> None:
        self.files: dict[Path, File] = {}
        self.locks: dict[Path, Machine] = {}
        self.named: set[Path] = set()
        """Files whose names are durable."""

    def file(self, path: Path) -> File:
        return self.files.setdefault(path, File())

    @property
    def journal(self) -> File:
        """The one file that a journal in a directory is here."""
        return self.file(JOURNAL)

    def lose_power(self, machine: Machine) -> None:
        """What is left when the machine comes back."""
        chance = machine.world.chance
        for path, file in sorted(self.files.items()):
            tail = file.seen[len(file.durable) :] if file.seen.startswith(file.durable) else b""
            kept = chance.below(len(tail) + 1) if tail else 0
            torn = b"\0" * 7 if kept < len(tail) and chance.happens(250) else b""
            if tail:
                machine.world.reached("torn_write", machine)
            file.durable += tail[:kept] + torn
            file.seen = file.durable
            if path not in self.named:
                file.seen = file.durable = b""

    def let_go(self, machine: Machine) -> None:
        """Locks end with their process."""
        self.locks = {path: who for path, who in self.locks.items() if who is not machine}


class MachineDisk:
    """The disk as one run on one machine sees it: the port of the journal's store."""

    def __init__(self, machine: Machine, disk: Disk, *, locks: bool) -> None:
        self._machine, self._disk, self._locks = machine, disk, locks

    def make(self, home: Path) -> None:
        """Directories need no making here."""
        self._machine.disk_port("make")

    def lock(self, path: Path) -> _Lock:
        """Raises LockHeld when another machine on this disk holds it, if locks work here."""
        self._machine.disk_port("lock")
        holder = self._disk.locks.get(path)
        if holder is not None and self._locks:
            raise LockHeld(f"{holder.name} holds it", hint="wait")
        self._disk.locks[path] = self._machine
        return _Lock(self._machine, self._disk, path)

    def read(self, path: Path) -> bytes:
        """The file as it is seen."""
        self._machine.disk_port("read")
        return self._disk.file(path).seen

    def append(self, path: Path) -> AppendTo:
        """Open for appending; the name is durable then. The journal is in the middle of an append:
        nobody else goes on here."""
        self._machine.crash_point("open")
        self._disk.named.add(path)
        return AppendTo(self._machine, self._disk.file(path))

    def cut(self, path: Path, size: int) -> None:
        """Cut the tail off, durably."""
        self._machine.disk_port("cut")
        file = self._disk.file(path)
        self._machine.world.history.add(CUT, "torn", self._machine)
        file.seen = file.durable = file.seen[:size]
        file.synced = file.synced[:size] if size < len(file.synced) else file.seen


class _Lock:
    def __init__(self, machine: Machine, disk: Disk, path: Path) -> None:
        self._machine, self._disk, self._path = machine, disk, path

    def release(self) -> None:
        """Let it go, unless it is somebody else's by now."""
        if self._disk.locks.get(self._path) is self._machine:
            del self._disk.locks[self._path]


class AppendTo:
    """A file that is open for appending. Its methods are called with the journal's own lock held,
    so that nobody else goes on in the middle of them."""

    def __init__(self, machine: Machine, file: File) -> None:
        self._machine, self._file = machine, file

    def write(self, data: bytes) -> int:
        """All of it, or what a fault leaves of it."""
        kind = self._machine.disk_fault("write", ("disk_full", "short_write"))
        if kind:
            self._file.seen += data[: self._machine.world.chance.below(len(data))]
            if kind == "disk_full":
                raise OSError(28, "No space left on device")
            return len(data) - 1
        self._machine.crash_point("write", tear=lambda part: self._tear(data, part))
        self._file.seen += data
        return len(data)

    def sync(self) -> None:
        """Durable from here on, unless a fault says otherwise."""
        kind = self._machine.disk_fault("sync", ("fsync_error",))
        if kind:
            if self._machine.world.chance.happens(500):
                self._file.durable = self._file.seen
            raise OSError(5, "Input/output error")
        self._machine.crash_point("sync")
        self._file.durable = self._file.synced = self._file.seen
        self._machine.crash_point("synced")

    def close(self) -> None:
        """Nothing is lost by closing, and nothing won."""

    def _tear(self, data: bytes, part: int) -> None:
        self._file.seen += data[: part % len(data)]
