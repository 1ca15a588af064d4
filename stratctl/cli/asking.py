"""How a person approves at a terminal: by typing an amount that stands there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stratctl.cli.state import State


def ask_for(total: str, state: State, *, what: str, question: str, otherwise: str, no: str) -> None:
    """Come back when somebody has typed ``total`` at the ``question``. Raises ApprovalMissing.

    ``what`` would be approved, ``otherwise`` is how that is said without a terminal, and ``no``
    what it means when it was not.
    """
    from stratctl.core.errors import ApprovalMissing

    if not state.interactive:
        raise ApprovalMissing(f"nobody is there to approve this {what}", hint=otherwise)
    if _figures(state.console.ask(f"{question}: {total}\n> ")) != _figures(total):
        raise ApprovalMissing("the total was not typed", hint=no)


def _figures(typed: str) -> str:
    """What was typed without blanks and thousands separators."""
    return re.sub(r"[\s,]", "", typed).upper()
