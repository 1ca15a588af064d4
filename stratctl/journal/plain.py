"""A plain line of the journal <-> what it says, at the speed of C; None for every other line.

What is plain is read into a value of the line's own shape and written again. Where that gives the
same bytes, they are the canonical form of that value: no member was lost, doubled, out of place or
of another kind. So nothing is decided here but that a line is good. A line that is not plain, whose
text is written in another way here, as ``\\u00e9`` is, or that does not fit, is for the strict
reader (``record.py``), which alone says what is wrong. That both say the same of any line is a law
in tests/journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from hashlib import sha256
from operator import attrgetter
from typing import Any, NamedTuple, get_type_hints

import msgspec

from stratctl.core.event import Intent, IntentRow, Outcome, RowOutcome
from stratctl.core.packed import Packed
from stratctl.journal.merkle import root

ROWS: dict[type, type] = {Intent: IntentRow, Outcome: RowOutcome}
"""Whose rows are many, and kept as text."""

_SORTED = msgspec.json.Encoder(order="sorted")
_AS_SHAPED = msgspec.json.Encoder()
_NO_HASH = "0" * 64
_NO_HASH_YET = f'"h":"{_NO_HASH}'.encode()
_BAD = (ValueError, RecursionError)
"""What msgspec raises, also for what is too long or too deep for it, or is half a character."""


class Said(NamedTuple):
    """What a plain line says."""

    seq: int
    prev: str
    v: int
    t: str
    run: str
    h: str
    event: Any


def plain_lines(types: Mapping[str, type], *, version: int) -> dict[bytes, PlainLine]:
    """How each type of line that can be plain is, by the line's word for it."""
    plain = {name: kind for name, kind in types.items() if _may_be_plain(kind)}
    return {name.encode(): PlainLine(name, kind, version) for name, kind in plain.items()}


def name_in(line: bytes) -> bytes:
    """What a line says that it is; anything where it says nothing of the kind.

    Within a text the quotes have a backslash before them.
    """
    begins = line.rfind(b'"type":"') + 8
    return line[begins : line.find(b'"', begins)]


class PlainLine:
    """Reads and writes plain lines of one type."""

    def __init__(self, name: str, kind: type, version: int) -> None:
        hints = get_type_hints(kind)
        own = [field.name for field in fields(kind)]
        envelope = {"h": str, "prev": str, "run": str, "seq": int, "t": str, "type": str, "v": int}
        said = envelope | {each: hints[each] for each in own}
        self._rows = _Rows(ROWS[kind]) if "rows" in own else None
        if self._rows is not None:
            said |= {"rows": msgspec.Raw, "rows_root": str}
        self._name = name
        self._version = version
        self._kind = kind
        self._has_body = "body" in own
        self._shape: Any = _shape(f"{name}_line", said)
        self._decode = msgspec.json.Decoder(self._shape).decode
        self._names = own
        self._envelope = attrgetter("seq", "prev", "v", "t", "run", "h")
        self._own = attrgetter("seq", *own)

    def read(self, line: bytes) -> Said | None:
        """What it says, when it is plain and all of its digests fit."""
        if not _is_plain(line):
            return None
        try:
            said: Any = self._decode(line)
            again = _SORTED.encode(said)
        except _BAD:
            return None
        if again != line or said.type != self._name:
            return None
        return self._checked(line, said)

    def write(self, event: Any, *, seq: int, prev: str, at: str, run: str) -> bytes | None:
        """The line that says it, without its line feed; None where that is not plain."""
        said = {name: getattr(event, name) for name in self._names}
        try:
            if self._rows is not None:
                text, said["rows_root"] = self._rows.write(event.rows)
                said["rows"] = msgspec.Raw(text)
            envelope = {"v": self._version, "seq": seq, "prev": prev, "t": at, "run": run}
            shaped = self._shape(type=self._name, h=_NO_HASH, **envelope, **said)
            line = _SORTED.encode(shaped)
        except _BAD:
            return None
        if not _is_plain(line):
            return None
        begins = line.find(_NO_HASH_YET) + len(_NO_HASH_YET) - len(_NO_HASH)
        h = self._hash(line, shaped).encode()
        return line[:begins] + h + line[begins + len(h) :]

    def _checked(self, line: bytes, said: Any) -> Said | None:
        """The line is the canonical form of ``said``, but for what is within its rows."""
        if self._has_body and sha256(said.body.encode()).hexdigest() != said.body_sha256:
            return None
        if self._hash(line, said) != said.h:
            return None
        if self._rows is not None:
            text = bytes(said.rows)
            found = self._rows.read(text)
            if found is None:
                return None
            rows, rows_root = found
            if rows_root != said.rows_root:
                return None
            said.rows = Packed(text, len(rows), self._rows.kind, read=rows)
        seq, prev, v, t, run, h = self._envelope(said)
        return Said(seq, prev, v, t, run, h, self._kind(*self._own(said)[1:]))

    def _hash(self, line: bytes, said: Any) -> str:
        """``h`` of the line, whatever stands there."""
        beside = [(b'"h":', len(said.h) + 2)]
        if self._has_body:
            beside.insert(0, (b'"body":', len(_SORTED.encode(said.body))))
        if self._rows is not None:
            beside.append((b'"rows":', len(bytes(said.rows))))
        return sha256(_without(line, beside)).hexdigest()


class _Rows:
    """Reads and writes the rows of one kind of call."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        shape: Any = _shape(f"{kind.__name__}_row", get_type_hints(kind))
        self._decode = msgspec.json.Decoder(list[shape]).decode
        self._written = (b"", "")
        """What was written last, and its tree's head: a journal reads it back at once."""

    def read(self, text: bytes) -> tuple[list[Any], str] | None:
        """Each of them, and the head of the tree over them; None where they are not plain."""
        try:
            rows = self._decode(text)
            lines = _AS_SHAPED.encode_lines(rows)
        except _BAD:
            return None
        # A line feed within a text is escaped: each of these ends a row.
        if b"[" + lines[:-1].replace(b"\n", b",") + b"]" != text:
            return None
        written, head = self._written
        return rows, head if text == written else root(lines.split(b"\n")[:-1])

    def write(self, rows: Sequence[Any]) -> tuple[bytes, str]:
        """Their text, and the head of the tree over them."""
        leaves = _SORTED.encode_lines(rows).split(b"\n")[:-1]
        self._written = written = b"[" + b",".join(leaves) + b"]", root(leaves)
        return written


def _is_plain(line: bytes) -> bool:
    """DEL and all that is outside ASCII are written as they are here, and escaped in a journal: so
    a line that has them escaped is not written again as it was."""
    return line.isascii() and b"\x7f" not in line


def _may_be_plain(kind: type) -> bool:
    """Rows that are not known to be many are the strict reader's."""
    return kind in ROWS or "rows" not in (field.name for field in fields(kind))


def _shape(name: str, members: dict[str, Any]) -> type[msgspec.Struct]:
    """Members in the order in which they are written."""
    return msgspec.defstruct(name, sorted(members.items()), forbid_unknown_fields=True, gc=False)


def _without(line: bytes, beside: Sequence[tuple[bytes, int]]) -> bytes:
    """The line without these members: how each begins, and how long the rest of it is. They stand
    in this order, and none of them is the last.

    A quote that is followed by a colon ends a member's name: within a text it has a backslash
    before it. No value within a line has members of these names that begin so.
    """
    kept, done = [], 0
    for begins, size in beside:
        at = line.find(begins, done)
        kept.append(line[done:at])
        done = at + len(begins) + size + 1
    kept.append(line[done:])
    return b"".join(kept)
