"""The journal over any store: verified when it is opened, durable before it says so, and silent
for ever after a doubt.

A store keeps bytes: a local directory (``directory.py``) or a branch of a Git remote
(``branch.py``). An entry is durable when ``append`` returns: as durable as the store can make it at
once, and an intent as durable as the store ever can, because a request may follow it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import JournalError, JournalUnavailable
from stratctl.core.event import Event, Intent, Receipt, Unfinished
from stratctl.core.packed import Packed
from stratctl.core.report import AuditReport
from stratctl.core.state import Booked
from stratctl.core.tables import Workspace
from stratctl.journal.bindings import Contradiction
from stratctl.journal.booked import book
from stratctl.journal.chain import Chain, read
from stratctl.journal.directory import Directory, Disk
from stratctl.journal.record import (
    NO_PREVIOUS,
    Entry,
    Genesis,
    Takeover,
    Word,
    decode,
    document,
    encode,
)
from stratctl.journal.verify import Held, unheld, verify


class Store(Protocol):
    """A journal's bytes, locked for one writer. Every method may raise JournalUnavailable, and
    after a doubt nothing is written any more."""

    @property
    def left_open(self) -> Takeover | None:
        """The holder before us, when it did not let go of the lock: what it wrote last may be
        lost."""

    def read(self) -> bytes:
        """The whole journal."""

    def cut(self, size: int) -> None:
        """Drop what stands behind the first ``size`` bytes."""

    def write(self, data: bytes) -> None:
        """Put whole lines behind everything written before; never called twice at once."""

    def share(self) -> None:
        """Come back when everything written before the call would survive the loss of this
        machine, or as much as the store can survive. May be called from several threads."""

    def close(self) -> None:
        """Share what is left and let go of the lock."""


class Place(Protocol):
    """Where the journal of one environment is kept."""

    def read(self) -> bytes:
        """The whole journal without a lock; nothing where there is none. Raises
        JournalUnavailable and JournalRolledBack."""

    def unlock(self, nonce: str) -> str | None:
        """Let the next writer in though the holder, who is answered, did not let go. None where
        nobody is kept out. Raises LockHeld when another lock than that one is held."""

    def open(self) -> Store:
        """Lock it. Raises LockHeld, JournalUnavailable and JournalRolledBack."""


Closed = Callable[[Sequence[Entry]], None]
"""Told the entries of a journal that was closed, when all of them are surely kept. What it raises
comes out of ``close``."""


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
    """The journal of an environment in a local directory; see ``open_at``."""
    place = Directory(directory / environment, disk)
    return open_at(place, environment, realm, clock=clock, run=run)


def open_at(
    place: Place,
    environment: str,
    realm: str,
    *,
    clock: Callable[[], datetime],
    run: str,
    closed: Closed = lambda entries: None,
) -> Journal:
    """Lock, verify and repair the journal of an environment, or begin it.

    ``run`` names this process's run in every entry that it appends, and ``closed`` is told at the
    end. Raises LockHeld, JournalTampered, JournalForeign (another realm, environment or a newer
    version), JournalRolledBack and JournalUnavailable.
    """
    store = place.open()
    try:
        chain = read(store.read(), realm=realm, environment=environment)
        if chain.torn:
            store.cut(chain.sound)
        journal = Journal(chain, store, clock=clock, run=run, closed=closed)
        if chain.unended:
            journal.end_last_line()
        if not chain.entries:
            journal.append(Genesis(realm=realm, environment=environment))
        elif store.left_open is not None:
            journal.append(store.left_open)
    except JournalError:
        with contextlib.suppress(JournalError):
            store.close()
        raise
    return journal


def read_journal(directory: Path, environment: str, realm: str | None = None) -> Reading:
    """The journal of an environment in a local directory; see ``read_at``."""
    return read_at(Directory(directory / environment), environment, realm)


def read_at(place: Place, environment: str, realm: str | None = None) -> Reading:
    """Read without the lock and without changing anything. An absent journal is empty.

    Raises JournalTampered, JournalForeign, JournalRolledBack and JournalUnavailable.
    """
    return Reading(read(place.read(), realm=realm, environment=environment))


def audit(place: Place, environment: str, held: Held = unheld) -> AuditReport:
    """Verify the journal; what is wrong with its bytes is a finding. Raises JournalRolledBack and
    JournalUnavailable."""
    return verify(place.read(), environment=environment, held=held)


class Reading:
    """A verified journal, as it was when it was read."""

    def __init__(self, chain: Chain) -> None:
        self._entries = list(chain.entries)
        self._bindings = chain.bindings
        self._last: tuple[int, Workspace, Booked] | None = None
        """What was booked last: of how many entries, and where."""
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

    def booked(self, workspace: Workspace, further: Sequence[Event | Word] = ()) -> Booked:
        """What the entries book, with the participants as a table of the workspace; and what they
        would book with these behind them."""
        entries = self.entries()
        if further:
            more = (Entry(seq=0, at="", run="", event=word, digest=self.head) for word in further)
            return book((*entries, *more), workspace)
        # An apply asks before and after it looked for what is open, mostly with nothing new.
        last = self._last
        if last is None or last[:2] != (len(entries), workspace):
            self._last = last = (len(entries), workspace, book(entries, workspace))
        return last[2]

    def unfinished(self) -> tuple[Unfinished, ...]:
        """Trading and CREATE calls without an end, in the order of their intents."""
        return self._bindings.unfinished()


# --- writing -------------------------------------------------------------------------------------


class Journal(Reading):
    """The journal, locked and open for appending. Safe to use from several threads."""

    def __init__(
        self,
        chain: Chain,
        store: Store,
        *,
        clock: Callable[[], datetime],
        run: str,
        closed: Closed,
    ) -> None:
        super().__init__(chain)
        self._tell = closed
        self._store = store
        self._clock = clock
        self._run = run
        self._broken = ""
        self._appending = False
        self._closed = False
        self._turn = threading.Lock()

    def append(self, event: Event | Word) -> Receipt:
        """Make one event durable. Raises as ``append_all`` does."""
        (receipt,) = self.append_all([event])
        return receipt

    def append_all(self, events: Sequence[Event | Word]) -> tuple[Receipt, ...]:
        """Make several events durable together: one write.

        Intents are shared before this returns; everything else is shared with them or at the end.
        Raises JournalError when an event contradicts the journal (an id that carries another
        body, an attempt without an intent, a second outcome), and JournalUnavailable when it is
        not certain that all of them are kept; then this journal accepts nothing more.
        """
        with self._turn:
            if self._broken or self._appending:
                raise JournalUnavailable(self._broken or "an append to it was interrupted")
            # Memory that runs out, or a second Ctrl-C, may leave a line in the store that we do
            # not know of: another thread must not write behind it.
            self._appending = True
            entries, lines = self._prepare(events)
            with self._doubting():
                self._store.write(b"".join(lines))
            self._entries += entries
            self._appending = False
            for entry in entries:
                rows = getattr(entry.event, "rows", None)
                if isinstance(rows, Packed):
                    rows.deflate()
        if any(isinstance(event, Intent) for event in events):
            # Outside the turn: while one Strategy's intent travels, the others go on.
            with self._doubting():
                self._store.share()
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
        """Share what is left and let go of the lock. Closing again does nothing. Raises
        JournalUnavailable."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            sound = not (self._broken or self._appending)
            self._broken = self._broken or "the journal is closed"
            self._store.close()
            if sound:
                self._tell(self._entries)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What ended the run says more than that its last entries could not be shared either.
        with contextlib.suppress(*[JournalError] if error is not None else []):
            self.close()

    def end_last_line(self) -> None:
        """Give the last entry the line feed that a cut write left out."""
        with self._doubting():
            self._store.write(b"\n")

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
                self._bindings.admit(entry.event)
            except Contradiction as error:
                contradiction = f"an event contradicts the journal: {error}"
                self._appending = False
                if entries:
                    # Those before it are admitted and will not be written: accept no more.
                    self._broken = contradiction
                raise JournalError(contradiction) from error
            prev = entry.digest
            entries.append(entry)
            lines.append(line)
        return entries, lines

    @contextlib.contextmanager
    def _doubting(self) -> Iterator[None]:
        """After an error of the store nobody can know what it keeps: nothing more is written."""
        try:
            yield
        except JournalError as error:
            self._broken = self._broken or error.summary
            raise
