"""Every choice of a schedule, drawn from its seed, written down, and fit to be made again.

A choice of 0 is always the dull one: no fault, nobody else's turn. So a schedule becomes simpler
when its choices become zeros, and that is how a failing one is minimised.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """Draws from a seed; with ``replay`` these choices instead, and dull ones when they run out."""

    def __init__(self, seed: int, replay: Sequence[int] | None = None) -> None:
        self._random = random.Random(seed)
        self._replay = None if replay is None else list(replay)
        self.made: list[int] = []

    def below(self, limit: int) -> int:
        """A number in [0, limit); every one is as likely as another."""
        return self._said(lambda: self._random.randrange(limit), limit)

    def happens(self, permille: int) -> bool:
        """Whether something that happens so often in a thousand times happens now."""
        return bool(self._said(lambda: int(self._random.randrange(1000) < permille), 2))

    def pick(self, options: Sequence[T]) -> T:
        """One of these; the first is the dull one."""
        return options[self.below(len(options))]

    def _said(self, draw: object, limit: int) -> int:
        assert callable(draw)
        if self._replay is None:
            choice = int(draw())
        else:
            place = len(self.made)
            choice = self._replay[place] % limit if place < len(self._replay) else 0
        self.made.append(choice)
        return choice
