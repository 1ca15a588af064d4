"""One line of the journal: canonical JSON whose bytes are fixed by what it says.

::

    {"h":"…","prev":"…","run":"…","seq":7,"t":"2026-11-21T09:00:00Z","type":"attempt","v":1, …}

Keys are sorted, text is ASCII with escapes, numbers are integers, and every field of the event is
there. ``h`` is the sha256 of this line without ``h`` and without what may be shown in parts or
left out, its ``rows`` and ``body``: for these stand ``rows_root``, the head of a tree over the
rows (``merkle.py``), and ``body_sha256``. ``prev`` is ``h`` of the line before. A line that says
the same thing in other bytes is no line.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from stratctl.core.described import described
from stratctl.core.errors import JournalForeign, JournalTampered
from stratctl.core.event import (
    Abandoned,
    Answer,
    Attempt,
    Event,
    Forfeited,
    Intent,
    Outcome,
    Problem,
    Satisfied,
)
from stratctl.core.packed import Packed
from stratctl.core.state import Verb
from stratctl.journal import plain
from stratctl.journal.merkle import root
from stratctl.journal.words import JOURNAL_WORDS

VERSION = 1
_CANONICAL = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True)
NO_PREVIOUS = "0" * 64
"""``prev`` of the first line."""
BESIDE = ("rows", "body")
"""What ``h`` covers by its digest."""


# --- what only the journal says ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Genesis:
    """The first line: whose journal this is, for good."""

    realm: str
    environment: str


@dataclass(frozen=True, slots=True)
class Run:
    """An apply begins. What it was approved to do, and from which configuration."""

    plan_digest: str
    configuration: str
    commit: str | None
    generation: int | None
    acknowledgements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """An apply ended. ``complete``: every call of the plan has a result."""

    commit: str | None
    generation: int | None
    plan_digest: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Flows that an apply found wanted and did not send. They wait until they move, are forfeited,
    or are wanted no more. A Strategy of which none waits is named when the journal begins with it.
    """

    strategy: str
    strategy_id: str
    """Empty for a Strategy that does not exist yet."""
    since: str
    """RFC 3339: when that apply read live, or earlier where the journal does not reach back."""
    participants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitOver:
    """Flows that are not wanted any more though nothing of them moved: they wait no longer."""

    strategy: str
    strategy_id: str
    participants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unparked:
    """Refused rows may be tried again. Empty ``strategy_id`` and ``participants`` mean all."""

    acknowledgement: str
    strategy_id: str = ""
    participants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdoptedOperation:
    """An Operation that is booked from now on."""

    operation_id: str
    request_id: str
    """Empty when the provider shows none."""
    slot: int | None
    """None for an Operation that is not of our chain."""
    verb: Verb


@dataclass(frozen=True, slots=True)
class AdoptedRow:
    """What one participant's Executions moved."""

    participant_code: str
    contributed_minor: int
    withdrawn_minor: int
    exited: bool | None
    """True: sold out; False: bought again; None: neither."""
    mixed: bool
    """Some legs executed and others failed: counted in full and busy until a person decides."""
    rebalanced_at: int | None
    """Unix seconds of the last rebalance that traded."""
    parked: str | None = None
    """The refusal that nobody acknowledged; only totals tell it, an Operation does not."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The lost journal whose signed totals open this one."""

    entries: int
    digest: str
    """``h`` of the last of these entries."""
    at: str
    """RFC 3339: when the totals were made."""
    key: str
    """The public key that signed them, in base64."""
    acknowledgements: tuple[str, ...]
    """Those that were used up."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """Operations that no intent here bound, booked for good: from their Executions, or from the
    signed totals of a journal that was lost."""

    strategy: str
    strategy_id: str
    operations: tuple[AdoptedOperation, ...]
    rows: tuple[AdoptedRow, ...]
    opening: Opening | None = None
    """None: booked from Executions."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Every apply stops, or only exits stay allowed, until a Resume."""

    exits_only: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Applying is allowed again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Takeover:
    """The lock of a run that ended without letting go was taken over. What that run wrote last may
    be lost with its machine: each of its calls without an answer may have been sent."""

    holder: str
    at: int
    """Unix seconds. It signed nothing after this."""


Word = Genesis | Run | Applied | Waiting | WaitOver | Unparked | Adopted | Halt | Resume | Takeover
"""What the journal says beside the events of apply."""

TYPES: Mapping[str, type] = {
    kind.__name__.lower(): kind
    for kind in (
        Genesis,
        Run,
        Applied,
        Waiting,
        WaitOver,
        Unparked,
        Adopted,
        Halt,
        Resume,
        Takeover,
        Intent,
        Attempt,
        Answer,
        Outcome,
        Abandoned,
        Forfeited,
        Satisfied,
        Problem,
    )
}
NAMES = {kind: name for name, kind in TYPES.items()}


# --- lines and entries ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One line, understood."""

    seq: int
    at: str
    """When it was written, by the writer's clock. The order is ``seq``, never this."""
    run: str
    event: Event | Word
    digest: str
    """``h`` of the line: what the next line calls ``prev``."""


def encode(event: Event | Word, *, seq: int, prev: str, at: str, run: str) -> bytes:
    """The line that says ``event`` at place ``seq``, with its line feed."""
    known = _PLAIN.get(NAMES[type(event)].encode())
    line = known.write(event, seq=seq, prev=prev, at=at, run=run) if known is not None else None
    return line + b"\n" if line is not None else encode_strictly(event, seq, prev, at, run)


def encode_strictly(event: Event | Word, seq: int, prev: str, at: str, run: str) -> bytes:
    """The same for every event, and several times slower."""
    envelope = {"v": VERSION, "seq": seq, "prev": prev, "t": at, "run": run}
    said = {**said_by(event), **envelope}
    if "rows" in said:
        said["rows_root"] = _root(said["rows"])
    return canonical(said | {"h": _hash(said)}) + b"\n"


def decode(line: bytes, *, seq: int, prev: str) -> Entry:
    """Read the line (without its line feed) that must stand at place ``seq`` after ``prev``.

    Raises JournalTampered when it is not exactly what ``encode`` wrote there, and JournalForeign
    when it is intact but of a version or type that is not known here.
    """
    known = _PLAIN.get(plain.name_in(line))
    read = known.read(line) if known is not None else None
    if read is not None and (read.seq, read.prev, read.v) == (seq, prev, VERSION):
        return Entry(seq=seq, at=read.t, run=read.run, event=read.event, digest=read.h)
    return decode_strictly(line, seq=seq, prev=prev)


def decode_strictly(line: bytes, *, seq: int, prev: str) -> Entry:
    """The same for every line, and several times slower: here it is decided what is wrong."""
    said = document(line, seq=seq)
    envelope = _ENVELOPE.keys()
    if said.keys() < envelope or said["seq"] != seq or said["prev"] != prev:
        raise _tampered(seq, "it does not follow the line before it")
    if said["v"] != VERSION or said["type"] not in TYPES:
        raise JournalForeign(
            f"the journal's line {seq} is of version {said['v']!r}, type {said['type']!r}",
            hint="a newer stratctl wrote it: use that version",
        )
    kind = TYPES[said["type"]]
    try:
        at, run = _TEXT.read(said["t"]), _TEXT.read(said["run"])
        own = {k: v for k, v in said.items() if k not in envelope and k != "rows_root"}
        event = _SHAPES[kind].read(own)
    except Misshapen as error:
        raise _tampered(seq, f"it is not a proper {said['type']!r}") from error
    if kind in plain.ROWS:
        packed: Packed[Any] = Packed(canonical(said["rows"]), len(event.rows), plain.ROWS[kind])
        event = replace(event, rows=packed)
    return Entry(seq=seq, at=at, run=run, event=event, digest=said["h"])


def document(line: bytes, *, seq: int) -> dict[str, Any]:
    """A line as JSON, after its own hashes and its canonical form were checked.

    Raises JournalTampered.
    """
    try:
        said = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise _tampered(seq, "it is not JSON") from error
    if not isinstance(said, dict) or not isinstance(said.get("h"), str):
        raise _tampered(seq, "it carries no hash")
    if _hash(said) != said["h"] or canonical(said) != line:
        raise _tampered(seq, "its hash does not fit what it says")
    if _root(said["rows"]) != said.get("rows_root") if "rows" in said else "rows_root" in said:
        raise _tampered(seq, "the hash of its rows does not fit them")
    if "body" in said and _sha256(str(said["body"]).encode()) != said.get("body_sha256"):
        raise _tampered(seq, "the hash of its body does not fit it")
    return said


def said_by(event: Event | Word) -> dict[str, Any]:
    """What an event says, with its type and without its place in a journal."""
    return {**_plain(event), "type": NAMES[type(event)]}


def said_in(said: Any) -> Event | Word:
    """The event that says this. Raises Misshapen, also for a type that is not known."""
    kind = said.get("type") if type(said) is dict else None
    if type(kind) is not str or kind not in TYPES:
        raise Misshapen(said)
    own = {key: value for key, value in said.items() if key != "type"}
    event: Event | Word = _SHAPES[TYPES[kind]].read(own)
    return event


def schema() -> dict[str, Any]:
    """JSON Schema of one line, for people who read the journal with their own tools."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:stratctl:journal:{VERSION}",
        "title": "Journal",
        "description": "One line of the journal: an event, made durable before anything follows "
        "from it. h is the sha256 of the line without h, rows and body, for which rows_root and "
        "body_sha256 stand; prev is h of the line before.",
        "oneOf": [_schema_of(name, kind) for name, kind in TYPES.items()],
    }


def _schema_of(name: str, kind: type) -> dict[str, Any]:
    """What a line of one type holds, in the words of that type."""
    own = _SHAPES[kind].schema["properties"]
    said = (
        _ENVELOPE
        | {"type": {"const": name}}
        | own
        | ({"rows_root": _HASH} if "rows" in own else {})
    )
    words = {"title": kind.__name__, "description": (kind.__doc__ or "").partition("\n")[0]}
    return words | described(_object(said), JOURNAL_WORDS, name)


def _tampered(seq: int, why: str) -> JournalTampered:
    return JournalTampered(
        f"the journal was changed: line {seq} does not fit the chain, {why}",
        seq=seq,
        hint="restore the journal from a copy; nothing is applied with a changed journal",
    )


def canonical(value: object) -> bytes:
    """The one way in which a value is written."""
    return _CANONICAL.encode(value).encode()


def _hash(said: Mapping[str, Any]) -> str:
    """``h`` of what a line says."""
    left_out = ("h", *BESIDE)
    return _sha256(canonical({key: said[key] for key in said if key not in left_out}))


def _root(rows: Any) -> str:
    """The tree's head over the canonical text of each row."""
    return root(map(canonical, rows if isinstance(rows, list) else [rows]))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _plain(value: Any) -> Any:
    """A value of events as JSON-able data."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if is_dataclass(kind):
        return {name: _plain(getattr(value, name)) for name in _members(kind)}
    if isinstance(value, tuple | Packed):
        return [_plain(part) for part in value]
    return value


_AS_THEY_ARE = (str, int, bool, type(None))
"""What most of it is, in millions of rows."""


@cache
def _members(kind: Any) -> tuple[str, ...]:
    """The fields of a dataclass."""
    return tuple(field.name for field in fields(kind))


# --- shapes: how each type in an event is read, and its schema ----------------------------------


class Misshapen(ValueError):
    """A value of another shape than the event has."""


@dataclass(frozen=True, slots=True)
class _Shape:
    read: Callable[[Any], Any]
    schema: dict[str, Any]


def _shape(hint: Any) -> _Shape:
    """The shape of a type as it is written in an event's dataclass."""
    if get_origin(hint) in (Union, types.UnionType):
        (inner,) = (part for part in get_args(hint) if part is not type(None))
        return _optional(_shape(inner))
    if get_origin(hint) is Sequence:
        return _sequence(_shape(get_args(hint)[0]))
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        if parts[-1] is Ellipsis:
            return _sequence(_shape(parts[0]))
        return _fixed([_shape(part) for part in parts])
    if issubclass(hint, StrEnum):
        return _enumeration(hint)
    return _record(hint) if is_dataclass(hint) else _exactly(hint)


def _exactly(kind: type) -> _Shape:
    """``type() is``, not ``isinstance``: true is no integer here, and no float is anything."""

    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise Misshapen(value)
        return value

    return _Shape(read, {"type": {str: "string", int: "integer", bool: "boolean"}[kind]})


def _optional(inner: _Shape) -> _Shape:
    def read(value: Any) -> Any:
        return None if value is None else inner.read(value)

    return _Shape(read, {"anyOf": [inner.schema, {"type": "null"}]})


def _enumeration(kind: type[StrEnum]) -> _Shape:
    known = {member.value: member for member in kind}

    def read(value: Any) -> Any:
        if type(value) is not str or value not in known:
            raise Misshapen(value)
        return known[value]

    return _Shape(read, {"enum": sorted(known)})


def _sequence(inner: _Shape) -> _Shape:
    read_part = inner.read

    def read(value: Any) -> Any:
        if type(value) is not list:
            raise Misshapen(value)
        return tuple([read_part(part) for part in value])

    return _Shape(read, {"type": "array", "items": inner.schema})


def _fixed(inner: list[_Shape]) -> _Shape:
    def read(value: Any) -> Any:
        if type(value) is not list or len(value) != len(inner):
            raise Misshapen(value)
        return tuple([shape.read(part) for shape, part in zip(inner, value, strict=True)])

    parts = [shape.schema for shape in inner]
    return _Shape(read, {"type": "array", "prefixItems": parts, "items": False})


def _record(kind: Any) -> _Shape:
    hints = get_type_hints(kind)
    shapes = [(field.name, _shape(hints[field.name])) for field in fields(kind)]
    readers = [(name, shape.read) for name, shape in shapes]
    names = {name for name, _ in readers}

    def read(value: Any) -> Any:
        if type(value) is not dict or value.keys() != names:
            raise Misshapen(value)
        return kind(*[read_field(value[name]) for name, read_field in readers])

    return _Shape(read, _object({name: shape.schema for name, shape in shapes}))


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": sorted(properties),
        "additionalProperties": False,
    }


_TEXT = _shape(str)
_SHAPES = {kind: _shape(kind) for kind in TYPES.values()}
_PLAIN = plain.plain_lines(TYPES, version=VERSION)
_HASH = {"type": "string", "pattern": "^[0-9a-f]+$", "minLength": 64, "maxLength": 64}
_ENVELOPE: dict[str, Any] = {
    "v": {"const": VERSION},
    "seq": {"type": "integer", "minimum": 1},
    "prev": _HASH,
    "t": {"type": "string"},
    "run": {"type": "string"},
    "type": {"type": "string"},
    "h": _HASH,
}
