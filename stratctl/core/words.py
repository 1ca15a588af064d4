"""Words that several stages say in the same way."""

from __future__ import annotations


def count(number: int, word: str, plural: str = "") -> str:
    """``1 call``, ``1,000 calls``."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"
