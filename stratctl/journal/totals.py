"""Signed totals: what a journal books, in short, so that a machine that lost it need not ask the
provider for all of it again.

::

    {"at": …, "content": …, "digest": …, "entries": 68, "environment": …, "key": …, "realm": …,
     "root": …, "signature": …, "size": 4711, "v": 1}
    {"type": "adopted", …}
    {"type": "forfeited", …}  …

The first line names the head of the journal (``heads.py``) and fixes the bytes of all other lines
by their sha256 and number. Its signature is Ed25519 over ``stratctl/totals/v1``, a zero byte, and
the canonical JSON of the line without it. The others are what a new journal begins with, in the
words of ``record.py``: per Strategy every Operation that has its end, and what it moved. What has
no end is not among them, and is read from the provider like everything that is newer.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stratctl.core.errors import JournalForeign, JournalRolledBack, JournalTampered
from stratctl.core.event import Forfeited, Satisfied
from stratctl.core.secret import Secret
from stratctl.core.state import TRADING_VERBS
from stratctl.core.words import count
from stratctl.journal.bindings import Bindings, Contradiction
from stratctl.journal.booked import MIXED, Fold, Row, folded
from stratctl.journal.heads import Head, public_key_of, signature_of, unfit
from stratctl.journal.record import (
    Adopted,
    AdoptedOperation,
    AdoptedRow,
    Applied,
    Entry,
    Genesis,
    Halt,
    Misshapen,
    Opening,
    canonical,
    said_by,
    said_in,
)

_CONTEXT = b"stratctl/totals/v1\0"
_VERSION = 1
_GZIP = b"\x1f\x8b"
_HEADER_BYTES_MAX = 1 << 14

Record = Adopted | Forfeited | Satisfied | Applied | Halt
"""What totals say."""

Rows = Sequence[tuple[str, Row]]
"""Ascending by participant."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals whose signature fits."""

    head: Head
    """Of the journal that they are taken from."""
    records: tuple[Record, ...]
    """What a journal begins with that goes on from them."""

    @property
    def operations(self) -> int:
        """How many have their end in them."""
        return sum(len(one.operations) for one in self.records if isinstance(one, Adopted))

    @property
    def participants(self) -> int:
        """How many of each Strategy are in them, added up."""
        return sum(len(one.rows) for one in self.records if isinstance(one, Adopted))


class NoTotals(ValueError):
    """A text that is no totals."""


# --- writing -------------------------------------------------------------------------------------


def signed_totals(entries: Sequence[Entry], head: Head, key: Secret) -> bytes | None:
    """The totals of a verified journal, compressed: the same bytes for the same journal, time and
    key. ``head`` is that of all these entries. None for a journal that has bound no Strategy."""
    public_key = public_key_of(key)
    records = list(records_of(entries, head, public_key))
    if not any(isinstance(one, Adopted) for one in records):
        return None
    content = b"".join(canonical(said_by(one)) + b"\n" for one in records)
    said = asdict(head) | {
        "v": _VERSION,
        "content": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "key": public_key,
    }
    del said["signature"]
    header = canonical(said | {"signature": signature_of(key, _message(said))})
    return gzip.compress(header + b"\n" + content, compresslevel=6, mtime=0)


def records_of(entries: Sequence[Entry], head: Head, public_key: str) -> Iterator[Record]:
    """What a journal must begin with to book what has its end in this one."""
    fold = folded(entries)
    names = fold.names()
    newest = {strategy_id: name for name, strategy_id in names.items()}
    operations = _operations(fold)
    opening = Opening(head.entries, head.digest, head.at, public_key, tuple(sorted(fold.used)))
    for name, strategy_id in names.items():
        if name != newest[strategy_id]:
            # Of a Strategy that was renamed the earlier names are bound, and say no more.
            yield Adopted(name, strategy_id, (), (), opening)
            continue
        own, ended = sorted(fold.rows.get(strategy_id, {}).items()), operations[strategy_id]
        yield Adopted(name, strategy_id, tuple(ended), tuple(_rows(own)), opening)
        yield from _closed(name, strategy_id, own)
    if fold.commit is not None or fold.generation is not None:
        yield Applied(fold.commit, fold.generation, "", complete=True)
    if fold.halt is not None:
        yield fold.halt


def _operations(fold: Fold) -> dict[str, list[AdoptedOperation]]:
    """By Strategy, those that have their end; adopted ones first."""
    found: dict[str, list[AdoptedOperation]] = defaultdict(list)
    for known in fold.adopted:
        found[known.strategy_id].append(
            AdoptedOperation(known.operation_id, known.request_id, known.slot or None, known.verb)
        )
    for bound in fold.bindings:
        end = bound.outcome
        if end is not None and bound.intent.verb in TRADING_VERBS:
            found[end.strategy_id].append(
                AdoptedOperation(end.operation_id, end.request_id, end.slot, end.verb)
            )
    return found


def _rows(rows: Rows) -> Iterator[AdoptedRow]:
    for code, row in rows:
        contributed_minor = row.contributed_minor + row.pending_in_minor
        withdrawn_minor = row.withdrawn_minor + row.pending_out_minor
        moved = contributed_minor or withdrawn_minor or row.rebalanced_at is not None
        if moved or row.exited or row.busy or row.parked is not None:
            yield AdoptedRow(
                participant_code=code,
                contributed_minor=contributed_minor,
                withdrawn_minor=withdrawn_minor,
                exited=row.exited or None,
                mixed=row.busy,
                rebalanced_at=row.rebalanced_at,
                parked=None if row.parked == MIXED else row.parked,
            )


def _closed(name: str, strategy_id: str, rows: Rows) -> Iterator[Forfeited | Satisfied]:
    """Flows that are closed for good, and the targets that were reached."""
    given_up = tuple(
        (code, row.forfeited_in_minor, row.forfeited_out_minor)
        for code, row in rows
        if row.forfeited_in_minor or row.forfeited_out_minor
    )
    if given_up:
        yield Forfeited(name, strategy_id, given_up)
    reached: dict[tuple[str, int], list[str]] = defaultdict(list)
    for code, row in rows:
        if row.target_text is not None:
            reached[row.target_text, row.target_epoch or 0].append(code)
    for (target, epoch), codes in sorted(reached.items()):
        yield Satisfied(name, strategy_id, target, epoch, tuple(codes))


# --- reading -------------------------------------------------------------------------------------


def read_totals(data: bytes, public_key: str) -> Totals:
    """Totals that this key signed.

    Nothing behind the first line is looked at, or unpacked, before its signature fits. Raises
    NoTotals for a file that is something else, JournalTampered for one that proves nothing, and
    JournalForeign for one that a newer version wrote.
    """
    header, rest = _first_line(data)
    try:
        said = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise NoTotals("they are no totals of a journal") from error
    if type(said) is not dict or {key: type(value) for key, value in said.items()} != _KINDS:
        raise NoTotals("they are no totals that are known here")
    _check_signature(said, public_key)
    if said["v"] != _VERSION:
        raise JournalForeign(
            f"the totals are of version {said['v']}",
            hint="a newer stratctl wrote them: use that version",
        )
    content = rest(said["size"])
    if (len(content), hashlib.sha256(content).hexdigest()) != (said["size"], said["content"]):
        raise _tampered("what they say is not what was signed")
    head = Head(**{key: said[key] for key in _HEAD})
    return Totals(head, _records(content, head))


_HEAD = ("realm", "environment", "entries", "digest", "root", "at", "key")
_KINDS = dict.fromkeys((*_HEAD, "content", "signature"), str) | dict.fromkeys(
    ("v", "entries", "size"), int
)


def refuse_foreign(totals: Totals, *, realm: str, environment: str) -> None:
    """Totals are of one journal. Raises JournalForeign."""
    for word, said, wanted in (
        ("realm", totals.head.realm, realm),
        ("environment", totals.head.environment, environment),
    ):
        if said != wanted:
            raise JournalForeign(f"the totals are of {word} {said!r}, not {wanted!r}")


def refuse_older(totals: Totals, kept: Head) -> None:
    """Totals that do not hold what a kept head held. Raises JournalForeign and
    JournalRolledBack."""
    refuse_foreign(totals, realm=kept.realm, environment=kept.environment)
    head = totals.head
    if head.entries < kept.entries:
        lacking = count(kept.entries - head.entries, "entry", "entries")
        raise JournalRolledBack(
            f"the totals of {head.at} are older than the kept head of {kept.at}, by {lacking}",
            hint="take the newest totals; what is in none of them is read from the provider",
        )
    if head.entries == kept.entries and (head.digest, head.root) != (kept.digest, kept.root):
        raise JournalTampered(
            f"the totals are of another journal than the kept head: entry {head.entries} differs"
        )


def _check_signature(said: dict[str, Any], public_key: str) -> None:
    if said["key"] != public_key:
        raise _tampered(f"they are signed with the key {said['key']}")
    unsigned = {key: value for key, value in said.items() if key != "signature"}
    if unfit(public_key, said["signature"], _message(unsigned)):
        raise _tampered("their signature does not fit them")


def _records(content: bytes, head: Head) -> tuple[Record, ...]:
    """Held to the rules of a journal. Raises JournalTampered."""
    admitted = Bindings()
    admitted.admit(Genesis(realm=head.realm, environment=head.environment))
    found: list[Record] = []
    try:
        for line in content.splitlines():
            record = said_in(json.loads(line))
            if not isinstance(record, Record):
                raise Misshapen(record)
            admitted.admit(record)
            found.append(record)
    except (ValueError, RecursionError) as error:  # Misshapen and Contradiction are ValueErrors
        why = str(error) if isinstance(error, Contradiction) else f"line {len(found) + 2} is none"
        raise _tampered(f"they contradict themselves: {why}") from error
    return tuple(found)


def _first_line(data: bytes) -> tuple[bytes, Callable[[int], bytes]]:
    """The first line, and what reads so many bytes behind it. Raises NoTotals."""
    unpacker = zlib.decompressobj(wbits=31) if data.startswith(_GZIP) else None

    def unpacked(packed: bytes, size: int) -> bytes:
        try:
            return unpacker.decompress(packed, size) if unpacker else packed[:size]
        except zlib.error as error:
            raise NoTotals("they cannot be unpacked") from error

    begin = unpacked(data, _HEADER_BYTES_MAX)
    header, _, behind = begin.partition(b"\n")

    def rest(size: int) -> bytes:
        left = unpacker.unconsumed_tail if unpacker else data[len(begin) :]
        # One byte more than there may be, so that a longer content is another one.
        return behind + unpacked(left, max(size - len(behind), 0) + 1)

    return header, rest


def _message(said: dict[str, Any]) -> bytes:
    return _CONTEXT + canonical(said)


def _tampered(why: str) -> JournalTampered:
    return JournalTampered(
        f"the totals prove nothing: {why}",
        hint="take them from where they were kept, or recover without them",
    )
