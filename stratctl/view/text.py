"""How everything is written: safe text, money, counts, places, colour."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from stratctl.core.diagnostic import Span
from stratctl.core.money import format_amount
from stratctl.core.state import Verb
from stratctl.core.words import count as count

UNSAFE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder what is read, or cannot be seen."""

SYMBOLS = {
    Verb.CREATE: "+",
    Verb.METADATA: "~",
    Verb.LIQUIDATE: "-",
    Verb.PARTIAL_SELL: "v",
    Verb.TOP_UP: "^",
    Verb.ENROLL: "+",
    Verb.REBALANCE: "~",
    Verb.FLAGS: "~",
}
BLOCKED, INDETERMINATE, ALLOWED = "x", "!", "="

WIDTH = 100
"""Columns. Text that is not for one terminal is always laid out for this many."""

WORDS = {
    Verb.CREATE: "create",
    Verb.METADATA: "update metadata",
    Verb.LIQUIDATE: "liquidate",
    Verb.PARTIAL_SELL: "partial sell",
    Verb.TOP_UP: "top up",
    Verb.ENROLL: "enroll",
    Verb.REBALANCE: "rebalance",
    Verb.FLAGS: "set auto_rebalance",
}
"""The word always stands beside the symbol: neither glyph nor colour is the only sign."""


def safe(text: str, *, longest: int = 400) -> str:
    """Text from a file or the provider, on one line and without anything that acts.

    Control, bidirectional and invisible characters are shown as their code point, and text that
    would push the rest out of sight is cut, visibly.
    """
    if len(text) <= longest and text.isascii() and text.isprintable():
        return text
    cut = text[:longest]
    shown = "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in UNSAFE else char for char in cut
    )
    left_out = len(text) - len(cut)
    return f"{shown}… ({left_out:,} more characters)" if left_out else shown


def money(amount_minor: int, currency: str) -> str:
    """``USD 61,500.00``."""
    return f"{safe(currency)} {digits(amount_minor, currency)}"


def percent(share_e6: int) -> str:
    """A share in percent with two decimals, rounded half up: for eyes, not for decisions."""
    hundredths = (share_e6 + 50) // 100
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def digits(amount_minor: int, currency: str) -> str:
    """``61,500.00``: the amount without its currency, with all its decimals."""
    sign, magnitude = ("-" if amount_minor < 0 else ""), abs(amount_minor)
    whole, point, fraction = format_amount(magnitude, currency).partition(".")
    return f"{sign}{int(whole):,}{point}{fraction}"


def place(file: str | None, line: int | None) -> str:
    """``strategies/founders.yaml:9``, or nothing for what no file declares."""
    if not file:
        return ""
    return f"{safe(file)}:{line}" if line else safe(file)


def span_text(span: Span | None, otherwise: str = "") -> str:
    """``policy.yaml:9:30``."""
    return otherwise if span is None else safe(str(span))


def wrapped(
    text: str, width: int, *, first: str = "", rest: str = "", after_commas: bool = False
) -> list[str]:
    """Lines of at most ``width`` columns, broken at blanks only, so that no name or amount is torn.

    Lines after the first begin with ``rest``: indented, no text from a file can pass for a line of
    ours. ``after_commas`` keeps together what stands between two commas or semicolons.
    """
    # No text holds a NUL: ``safe`` shows it as its code point.
    kept = re.sub(r"(?<![,;]) ", "\0", text) if after_commas else text
    lines = textwrap.wrap(
        kept,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines] or [first.rstrip()]


def marked(symbol: str, text: str, paint: Paint, style: str, width: int) -> list[str]:
    """Lines that begin with a symbol in its colour, wrapped below it."""
    first, *rest = wrapped(text, width, first=f"{symbol} ", rest="    ")
    return [paint(style, symbol) + first[len(symbol) :], *rest]


@dataclass(frozen=True, slots=True)
class Paint:
    """Colour where the reader's terminal shows it, plain text elsewhere."""

    color: bool

    def __call__(self, style: str, text: str) -> str:
        """``text`` in the style called ``style``."""
        if not self.color or not text:
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

COLORS = {
    Verb.CREATE: "green",
    Verb.METADATA: "yellow",
    Verb.LIQUIDATE: "red",
    Verb.PARTIAL_SELL: "red",
    Verb.TOP_UP: "green",
    Verb.ENROLL: "green",
    Verb.REBALANCE: "yellow",
    Verb.FLAGS: "yellow",
}


def columns(rows: Sequence[tuple[str, ...]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Lines of aligned cells: the columns in ``right`` to the right, empty ones left out."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            if width
        ).rstrip()
        for row in rows
    ]
