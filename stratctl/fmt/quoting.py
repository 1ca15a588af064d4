"""A key or a value -> its text on one line, in quotes only where it needs them.

What was written without quotes stays without: it may be a number, whose digits are the author's.
What was written in quotes loses them where nothing can read the text as anything but text.
"""

from __future__ import annotations

import re

from stratctl.documents.scalars import plain_scalar
from stratctl.fmt.syntax import Scalar

_HARMLESS = re.compile(r"([\w/(]|\.{1,2}/)([\w /.+()&'%~;=-]|:(?=[\w/]))*(?<! )")
"""Text that no parser takes for punctuation, in a block or between brackets."""

_SIGN = re.compile(r"[-?:]|(---|\.\.\.)( .*)?")
"""Text between brackets that begins an entry or ends a document where there are none."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


def inline(scalar: Scalar) -> str:
    """A scalar on one line."""
    text = scalar.text
    if scalar.plain and "\n" not in text and not _SIGN.fullmatch(text):
        return text
    if is_text(text) and _HARMLESS.fullmatch(text):
        return text
    return _quoted(text)


def is_text(text: str) -> bool:
    """Whether it is text even without quotes, to every version of YAML."""
    return type(plain_scalar(text)) is str


def _quoted(text: str) -> str:
    """In double quotes; in single ones where that saves every escape."""
    if re.search(r'["\\]', text) and not re.search(r"['\n\t]", text):
        return f"'{text}'"
    return f'"{text.translate(_ESCAPES)}"'
