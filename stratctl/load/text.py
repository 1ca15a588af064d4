"""Bytes -> text that shows a reviewer everything that a parser will see."""

from __future__ import annotations

import re
from itertools import islice

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.documents import problem

_FORBIDDEN_SHOWN_MAX = 20

FORBIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline; U+0085 is among them
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # invisible
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, line separators, direction
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
    "\U000e0000-\U000e0fff"  # tags and variation selectors
    "]"
)
"""Characters that a person cannot see, or that make one line look like another."""


def decode(data: bytes, file: str) -> tuple[str, list[Diagnostic]]:
    """Strict UTF-8 without a byte order mark, NULs or characters that hide something.

    CRLF line ends become LF. The text is empty when it cannot be used at all.
    """
    start = Span(file, 1, 1)
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        hint = "save the file as UTF-8 without a byte order mark"
        return "", [problem("E_ENCODING", "it begins with a byte order mark", start, hint)]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place(data[: error.start].decode("utf-8", "replace"), file)
        detail = f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8"
        return "", [problem("E_ENCODING", detail, place, "save the file as UTF-8")]
    if "\x00" in text:
        place = _place(text[: text.index("\x00")], file)
        return "", [problem("E_ENCODING", "it holds a NUL character", place, "save it as UTF-8")]
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text, []
    hidden = [
        problem_of_character(found[0], _place(text[: found.start()], file))
        for found in islice(FORBIDDEN.finditer(text), _FORBIDDEN_SHOWN_MAX)
    ]
    return ("" if hidden else text), hidden


def problem_of_character(character: str, span: Span) -> Diagnostic:
    """The finding about one character that must not be there."""
    return problem(
        "E_UNICODE_CONTROL",
        f"U+{ord(character):04X} cannot be seen, but a parser reads it",
        span,
        "delete it",
    )


def _place(before: str, file: str) -> Span:
    return Span(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
