"""A journal's bytes -> its entries, or the exact line where they stop being a journal.

A write that was cut short leaves a *torn tail*: no final line feed, or NULs. Nothing was sent on
its strength, because its writer was never told that it is durable. A complete line that does not
fit is something else: somebody, or a bad disk, changed what was written.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass

from stratctl.core.diagnostic import Diagnostic, Severity
from stratctl.core.errors import JournalForeign, JournalTampered
from stratctl.core.words import count
from stratctl.journal.bindings import Bindings, Contradiction
from stratctl.journal.record import NO_PREVIOUS, Entry, Genesis, decode


@dataclass(frozen=True)
class Chain:
    """A journal that holds together."""

    entries: tuple[Entry, ...]
    bindings: Bindings
    sound: int
    """How many bytes stand; what follows them is torn."""
    unended: bool
    """The last entry is whole and lacks only its line feed."""
    torn: int
    """How many bytes of the tail are to be cut off."""
    warnings: tuple[Diagnostic, ...]

    @property
    def head(self) -> str:
        """Digest of the newest entry; empty for an empty journal."""
        return self.entries[-1].digest if self.entries else ""


def read(data: bytes, *, realm: str | None = None, environment: str | None = None) -> Chain:
    """Verify a journal from its first byte to its last.

    Raises JournalTampered with the line that breaks the chain, and JournalForeign when it is of
    another realm or environment than asked for, or of a newer version.
    """
    entries: list[Entry] = []
    bindings = Bindings()
    sound = 0
    # One after the other: all of them at once would be the whole journal once more.
    while (end := data.find(b"\n", sound)) >= 0:
        _take(data[sound:end], entries, bindings)
        sound = end + 1
    tail = data[sound:]
    kept = tail.rstrip(b"\0")
    unended = _is_whole(kept, seq=len(entries) + 1)
    if unended:
        _take(kept, entries, bindings)
        sound += len(kept)
    _check_owner(entries, realm, environment)
    return Chain(
        entries=tuple(entries),
        bindings=bindings,
        sound=sound,
        unended=unended,
        torn=len(data) - sound,
        warnings=(*_torn_tail(tail), *_backward_clock(entries)),
    )


def _take(line: bytes, entries: list[Entry], bindings: Bindings) -> None:
    seq = len(entries) + 1
    entry = decode(line, seq=seq, prev=entries[-1].digest if entries else NO_PREVIOUS)
    try:
        bindings.admit(entry.event)
    except Contradiction as error:
        raise JournalTampered(
            f"the journal contradicts itself in line {seq}: {error}",
            seq=seq,
            hint="restore the journal from a copy; nothing is applied with a changed journal",
        ) from error
    entries.append(entry)


def _is_whole(tail: bytes, *, seq: int) -> bool:
    """Whether the tail is a whole line without its line feed, rather than a piece of one.

    A cut write leaves the beginning of a line, never a whole one with something behind it.
    """
    try:
        _, end = json.JSONDecoder().raw_decode(tail.decode("latin-1"))
    except (ValueError, RecursionError):
        return False
    if end != len(tail):
        raise JournalTampered(f"the journal was changed: line {seq} has no proper end", seq=seq)
    return True


def _check_owner(entries: list[Entry], realm: str | None, environment: str | None) -> None:
    if not entries:
        return
    genesis = entries[0].event
    assert isinstance(genesis, Genesis), "bindings admit nothing else first"
    for word, asked, written in (
        ("realm", realm, genesis.realm),
        ("environment", environment, genesis.environment),
    ):
        if asked is not None and asked != written:
            raise JournalForeign(
                f"the journal is of {word} {written!r}, not {asked!r}",
                hint=f"a journal's {word} is fixed for good: name another journal directory",
            )


def _torn_tail(tail: bytes) -> list[Diagnostic]:
    if not tail:
        return []
    return [
        Diagnostic(
            code="W_TORN_TAIL",
            summary="the journal's last write was cut short",
            detail=f"{count(len(tail), 'byte')} at the end of the journal, not completed",
            hint="nothing was sent on their strength; the next apply repairs the file",
            severity=Severity.WARNING,
        )
    ]


def _backward_clock(entries: list[Entry]) -> list[Diagnostic]:
    """A clock that went backwards is said; the order of entries is their sequence alone."""
    for before, after in itertools.pairwise(entries):
        if after.at < before.at:
            return [
                Diagnostic(
                    code="W_JOURNAL_CLOCK",
                    summary="the clock went backwards between two journal entries",
                    detail=f"line {after.seq} says {after.at}, the line before it {before.at}",
                    hint="entries count by their sequence; set this machine's clock",
                    severity=Severity.WARNING,
                )
            ]
    return []
