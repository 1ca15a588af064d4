"""What the YAML parser says about broken syntax -> a finding with a place to look and a way out.

The parser notices a mistake where it can go on no longer, which may be many lines after the
quote or bracket that was never closed; both places are named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.documents import problem

_NEVER_ENDED = ("scanning a quoted scalar", "scanning a simple key")
"""What the parser was reading when it noticed; the mistake is where that began."""

_HINTS = (
    (
        "could not find expected ':'",
        "write a colon and a blank after the key, which has 1,024 characters at most",
    ),
    ("unexpected end of stream", "close the quote"),
    ("mapping values are not allowed", "line the keys up, and put text with a colon in quotes"),
    ("cannot start any token", "put text that begins with % @ or ` in quotes"),
    ("expected alphabetic or numeric character", "put text that begins with * or & in quotes"),
    ("invalid Unicode", "write the character itself"),
    ("escape", "write \\\\ for a backslash, or put the text in single quotes"),
    ("expected ',' or", "close the bracket, and put text with a colon, comma or bracket in quotes"),
    ("expected key", "line the keys up, and look for a quote or bracket too many"),
    ("expected '-' indicator", "line the dashes up, or indent what belongs to the last one"),
    ("expected <document start>", "begin every further document with ---"),
)
"""(what the parser said, the way out)"""

_STRANGE_BLANK = re.compile(r"[^\S \t\n]")
# From the last bracket before the mark: from every bracket on, long lines would take for ever.
_SWALLOWED = re.compile(r"[\[{][^\[\]{}]*\s#")


def place_of(mark: Any, lines: Sequence[str]) -> tuple[int, int]:
    """Line and column of a mark. What is missing after a last line without an end is missing there,
    where the parser would name one more line."""
    if mark.line < len(lines):
        return mark.line + 1, mark.column + 1
    return len(lines), len(lines[-1]) + 1


def explained(error: Any, file: str, lines: Sequence[str]) -> Diagnostic:
    """The finding about an error of the parser (``yaml.MarkedYAMLError``)."""
    begun, noticed = error.context_mark, error.problem_mark
    said = ", ".join(part for part in (error.context, error.problem) if part)
    mark = begun if begun and _never_ended(error, lines) else noticed or begun
    if mark is None:
        return problem("E_YAML_SYNTAX", said, Span(file, 1, 1), "check blanks and brackets")
    if begun and begun.line != mark.line and "flow" in error.context:
        said += f"; it begins in line {begun.line + 1}, column {begun.column + 1}"
    first = min(mark.line, begun.line) if begun else mark.line
    looked_at = lines[max(first - 1, 0) : mark.line + 1]
    span = Span(file, *place_of(mark, lines))
    return problem("E_YAML_SYNTAX", said, span, _way_out(said, looked_at))


def _never_ended(error: Any, lines: Sequence[str]) -> bool:
    """Whether the mistake is where something began rather than where it was noticed."""
    noticed, context = error.problem_mark, error.context or ""
    file_ends = noticed is not None and not "".join(lines[noticed.line :])[noticed.column :].strip()
    return any(part in context for part in _NEVER_ENDED) or ("flow" in context and file_ends)


def _way_out(said: str, lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    if re.match(r" *\t", "".join(lines[-1:])):
        return "indent with blanks, not tabs"
    if strange := _STRANGE_BLANK.search(text):
        return f"U+{ord(strange[0]):04X} only looks like a blank: write a blank instead"
    if any(_SWALLOWED.search(line) for line in lines):
        return "a # after a blank begins a comment, which swallows the rest of its line"
    return next((hint for part, hint in _HINTS if part in said), "check blanks, colons, brackets")
