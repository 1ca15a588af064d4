"""Bytes -> text that shows a reviewer everything that a parser will see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.documents import problem

_FORBIDDEN_SHOWN_MAX = 20
_LENGTH_SHOWN_MAX = 60

FORBIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline; U+0085 is among them
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # invisible
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, line separators, direction
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # format controls
    "\U000e0000-\U000e0fff"  # tags and variation selectors
    "]"
)
"""Characters that a person cannot see, or that make one line look like another."""

_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\n\r"
"""What most files are made of: read here at the speed of memory, because tables can be large."""


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
    if not data.translate(None, _PLAIN) and "\r" not in text:
        return text, []
    hidden = [
        problem_of_character(found[0], _place(text[: found.start()], file))
        for found in islice(FORBIDDEN.finditer(text), _FORBIDDEN_SHOWN_MAX)
    ]
    return ("" if hidden else text), hidden


def split_lines(text: str) -> Iterator[str]:
    """The lines one by one, each with its end: a list of them would be larger than the text."""
    begin = 0
    while (end := text.find("\n", begin) + 1) > 0:
        yield text[begin:end]
        begin = end
    if begin < len(text):
        yield text[begin:]


def problem_of_character(character: str, span: Span) -> Diagnostic:
    """The finding about one character that must not be there."""
    return problem(
        "E_UNICODE_CONTROL",
        f"U+{ord(character):04X} cannot be seen, but a parser reads it",
        span,
        "save the file with LF line ends" if character == "\r" else "delete it",
    )


def shown(text: str) -> str:
    """Text in a sentence: short, in quotes, and with nothing in it that hides."""
    return ascii(text if len(text) <= _LENGTH_SHOWN_MAX else f"{text[:57]}...")


def quoted(text: str) -> str:
    """Text as it is written in quotes in YAML."""
    return f'"{text}"' if '"' not in text and "\\" not in text else f"'{text}'"


def strange_character(text: str) -> str:
    """Names a character that looks like another one, which nobody could see otherwise."""
    strange = next((c for c in text if not c.isascii() or not c.isprintable()), None)
    return "" if strange is None else f" (with U+{ord(strange):04X})"


def _place(before: str, file: str) -> Span:
    return Span(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
