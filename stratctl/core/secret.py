"""Text that must never be shown: keys and passphrases."""

from __future__ import annotations

from typing import NoReturn

HIDDEN = "‹secret›"


class Secret:
    """Text that only ``reveal`` gives out.

    It prints, formats and logs as ‹secret› and refuses to be pickled, copied or written as JSON,
    so that neither a traceback with its locals nor a careless dump can carry it away.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Use it inside an expression, never bind it to a name."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, specification: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")
