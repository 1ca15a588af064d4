"""What an unquoted scalar of YAML is: decided by its text alone, so that nothing is guessed."""

from __future__ import annotations

import re
from decimal import Decimal

from stratctl.documents.grammar import Doubtful


def plain_scalar(text: str) -> bool | int | Decimal | str:
    """What an unquoted scalar is: true, false, an exact number, text, or Doubtful text."""
    if text and text[0] not in _FIRST_OF_DOUBTFUL:
        return text
    if text == "true":
        return True
    if text == "false":
        return False
    if len(text) <= _DECIMAL_LENGTH_MAX and (number := _DECIMAL.fullmatch(text)):
        return Decimal(text) if number[2] else int(text)
    for reading, pattern in _READINGS:
        if pattern.fullmatch(text):
            return Doubtful(text, reading)
    return text


_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
_DECIMAL_LENGTH_MAX = 40
_FIRST_OF_DOUBTFUL = frozenset("+-.0123456789~=<yYnNtTfFoO")
_READINGS = (
    ("null", re.compile(r"~|null|Null|NULL|")),
    (
        "a boolean",
        re.compile(
            r"y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
        ),
    ),
    (
        "a number",
        re.compile(
            r"[-+]?0[bB][01_]+|[-+]?0[oO]?[0-7_]+|[-+]?0[xX][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*"
            r"|[-+]?([0-9][0-9_]*)?\.[0-9_]*([eE][-+]?[0-9]+)?"
            r"|[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+"
            r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
            re.ASCII,
        ),
    ),
    ("a time", re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", re.ASCII)),
    ("a date", re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?", re.ASCII)),
    ("a special key", re.compile(r"=|<<")),
)
"""What YAML 1.1 or 1.2 may read an unquoted scalar as; ``y`` and ``n`` are in the 1.1 text."""
