"""One digest of many leaves, from which each leaf can be proven without showing the others.

The tree and its audit paths are those of RFC 6962, section 2.1: a leaf is hashed behind a 0, two
nodes behind a 1, and the left half of a tree is the largest power of two below its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from operator import add
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

_LEAF, _NODE = sha256(b"\0"), sha256(b"\1")
"""What each of them is hashed behind. To copy one that has begun takes less than to begin one."""


class Tree:
    """All the levels over some leaves: the hashes of the leaves first, the head last."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        level = list(_hashed(_LEAF, leaves))
        self._levels = [level]
        while len(level) > 1:
            # A node without a partner moves up as it is: so the left half is a power of two.
            alone = level[len(level) & ~1 :]
            level = [*_hashed(_NODE, map(add, level[::2], level[1::2])), *alone]
            self._levels.append(level)

    @property
    def root(self) -> str:
        """The tree's head in hexadecimal; of nothing, the hash of nothing."""
        top = self._levels[-1]
        return (top[0] if top else sha256(b"").digest()).hex()

    def path(self, place: int) -> tuple[str, ...]:
        """The audit path of the leaf at ``place`` (from 0): what it is hashed with on its way to
        the head, the lowest first, in hexadecimal."""
        if not 0 <= place < len(self._levels[0]):
            raise IndexError(place)
        found = []
        for level in self._levels[:-1]:
            if place ^ 1 < len(level):
                found.append(level[place ^ 1].hex())
            place //= 2
        return tuple(found)


def _hashed(behind: _Hash, parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        found = behind.copy()
        found.update(part)
        yield found.digest()


def root(leaves: Iterable[bytes]) -> str:
    """The head of the tree over these leaves."""
    return Tree(leaves).root


def root_from(leaf: bytes, place: int, size: int, path: Sequence[str]) -> str | None:
    """The head of a tree of ``size`` leaves that this path proves ``leaf`` to be in at ``place``.
    None for a path that leads nowhere."""
    if not 0 <= place < size:
        return None
    found, steps, last = sha256(b"\0" + leaf).digest(), iter(path), size - 1
    while last:
        if place ^ 1 <= last:
            step = next(steps, None)
            if step is None:
                return None
            other = bytes.fromhex(step)
            pair = other + found if place & 1 else found + other
            found = sha256(b"\1" + pair).digest()
        place, last = place // 2, last // 2
    return None if next(steps, None) is not None else found.hex()
