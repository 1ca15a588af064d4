"""Rows of calls as text, as the journal has them, read anew at each look.

A million Executions as objects are two gigabytes, and as text a fifth of that. What goes over all
of them asks for no more of a row than it needs, which takes a third of the time.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, overload

import msgspec

from stratctl.core.event import IntentRow, RowOutcome, RowResult

R = TypeVar("R")


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What counts of an IntentRow; of a RowOutcome, whom it is about and how much."""

    participant_code: str
    amount_minor: int | None


class Ended(msgspec.Struct, frozen=True, gc=False):
    """What counts of a RowOutcome."""

    participant_code: str
    result: RowResult
    reason: str
    amount_minor: int | None


class Packed(Sequence[R]):
    """Rows that are equal to a tuple of them. The text is canonical JSON, proven to be such rows by
    whoever packs it.

    ``read``: what it was proven with, which has at least what ``asked`` is for. Whoever asks first
    gets it, and it is kept no longer; so rules that look once at every line read no row twice.
    """

    __slots__ = ("_held", "_read", "_size", "kind")

    def __init__(
        self, text: bytes, size: int, kind: type[R], *, read: Sequence[Any] | None = None
    ) -> None:
        self._held = text, False
        """The text, and whether it is deflated: one value, because threads read it."""
        self.kind = kind
        self._size = size
        self._read = read

    @property
    def text(self) -> bytes:
        """The canonical JSON."""
        held, deflated = self._held
        return zlib.decompress(held) if deflated else held

    def deflate(self) -> None:
        """Take less memory from now on, and longer to be read: for rows that are probably never
        looked at again."""
        held, deflated = self._held
        if not deflated:
            self._held, self._read = (zlib.compress(held, level=1), True), None

    def asked(self) -> Sequence[Any]:
        """Each row, with at least what counts of an IntentRow."""
        found, self._read = self._read, None
        return _ASKED.decode(self.text) if found is None else found

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[R]:
        return iter(self._all())

    @overload
    def __getitem__(self, place: int) -> R: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[R, ...]: ...

    def __getitem__(self, place: int | slice) -> R | tuple[R, ...]:
        return self._all()[place]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Packed):
            return self.kind is other.kind and self.text == other.text
        return self._all() == other

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def _all(self) -> tuple[R, ...]:
        rows: tuple[R, ...] = _WHOLE[self.kind].decode(self.text)
        return rows


def packed(rows: Sequence[R], kind: type[R]) -> Packed[R]:
    """The same rows, in as little memory as they take."""
    found = Packed(_SORTED.encode(rows), len(rows), kind)
    found.deflate()
    return found


def asked(
    rows: Sequence[IntentRow] | Sequence[RowOutcome],
) -> Sequence[IntentRow | RowOutcome | Asked]:
    """Each row of a call, for whoever needs no more than whom it is about and how much."""
    return rows.asked() if isinstance(rows, Packed) else rows


def ended(rows: Sequence[RowOutcome]) -> Sequence[RowOutcome | Ended]:
    """Each row of an outcome, for whoever needs no more than what counts."""
    return _ENDED.decode(rows.text) if isinstance(rows, Packed) else rows


_SORTED = msgspec.json.Encoder(order="sorted")
_ASKED = msgspec.json.Decoder(list[Asked])
_ENDED = msgspec.json.Decoder(list[Ended])
_WHOLE: dict[type, msgspec.json.Decoder[Any]] = {
    IntentRow: msgspec.json.Decoder(tuple[IntentRow, ...]),
    RowOutcome: msgspec.json.Decoder(tuple[RowOutcome, ...]),
}
