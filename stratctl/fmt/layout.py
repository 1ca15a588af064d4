"""A tree with comments -> canonical text.

Blocks are indented by two blanks. A list or mapping that was written on one line in brackets stays
there, and each participant goes there, where it fits and nothing in it has a comment.
"""

from __future__ import annotations

import re
import textwrap

from stratctl.fmt.order import Shape, shape_of
from stratctl.fmt.quoting import inline, is_text
from stratctl.fmt.syntax import BLANK, SPACE, Collection, Document, Entry, Scalar

WIDTH = 100

_KEY_LENGTH_MAX = 1000
"""A longer key needs a question mark; the parser's limit is 1,024."""

_PLAIN_IN_BRACKETS = re.compile(r"[\w./+-]([\w ./+-]*[\w./+-])?")
"""Plain text of a block that says the same between brackets."""


def laid_out(documents: list[Document]) -> str:
    """The canonical text of some documents."""
    lines: list[str] = []
    for number, document in enumerate(documents):
        lines += _spaced(document.before, first=True)
        if document.marked or number:
            lines.append(" ".join(["---", *document.beside]))
        lines += _document(document)
    return "\n".join(lines) + "\n"


def _document(document: Document) -> list[str]:
    mapping, head = document.mapping, document.head
    if not mapping.entries:
        return [*_spaced([*head, *mapping.end], first=True, last=True), "{}"]
    above, lines = _block(mapping, 0, shape_of(mapping))
    return [*_spaced([*head, *above], first=True), *lines]


# --- blocks ----------------------------------------------------------------------------------


def _block(collection: Collection, indent: int, shape: Shape) -> tuple[list[str], list[str]]:
    """What stands above the first entry, not indented, and every line from that entry on."""
    entries = shape.ordered(collection)
    first, lines = _entry(entries[0], indent, shape.of(entries[0]))
    for entry in entries[1:]:
        above, own = _entry(entry, indent, shape.of(entry))
        lines += _indented(_spaced(above), indent)
        lines += own
    lines += _indented(_spaced(collection.end, last=True), indent)
    return first, lines


def _entry(entry: Entry, indent: int, shape: Shape) -> tuple[list[str], list[str]]:
    """What stands above an entry, not indented, and its own lines."""
    head = " " * indent + (_key(entry.key, indent) if entry.key else "-")
    above = entry.above.copy()
    value = entry.value
    if not entry.key and isinstance(value, Collection):
        above += _taken_from_first(value, shape)
    assert value is not None, "every key and item that was read has a value"
    if isinstance(value, Scalar):
        lines = _scalar(value, head, indent)
    elif (text := _on_one_line(value, shape)) and len(head) + 1 + len(text) <= WIDTH:
        lines = [f"{head} {text}"]
    elif value.entries:
        return _entry_of_block(entry, above, head, indent, shape)
    else:
        lines = [f"{head} {'{}' if value.mapping else '[]'}"]
        above += [line for line in value.end if line]
    *others, last = entry.beside or [BLANK]
    lines[0] = f"{lines[0]} {last}".rstrip(SPACE)
    return [*above, *others], lines


def _taken_from_first(item: Collection, shape: Shape) -> list[str]:
    """What stands above the first entry of an item: the same line, so it goes above the dash.

    It is taken before anything else is decided, because it is not inside the item any more.
    """
    first = shape.ordered(item)[:1]
    above = _spaced(first[0].above, first=True) if first else []
    for entry in first:
        entry.above = []
    return above


def _entry_of_block(
    entry: Entry, above: list[str], head: str, indent: int, shape: Shape
) -> tuple[list[str], list[str]]:
    """A key above its block, or a dash before the first line of one."""
    assert isinstance(entry.value, Collection), "scalars are no blocks of entries"
    inner = indent + 2
    first, lines = _block(entry.value, inner, shape)
    first = _spaced(first, first=True)
    if not entry.key:
        lines[0] = f"{head} {lines[0][inner:]}"
        return [*above, *entry.beside, *first], lines
    beside, others = entry.beside[:1], entry.beside[1:]
    return above, [
        " ".join([head, *beside]),
        *_indented(first, inner),
        *lines,
        *_indented(others, inner),
    ]


def _key(key: Scalar, indent: int) -> str:
    text = inline(key)
    return f"{text}:" if len(text) <= _KEY_LENGTH_MAX else f"? {text}\n{' ' * indent}:"


def _indented(lines: list[str], indent: int) -> list[str]:
    return [f"{' ' * indent}{line}".rstrip(SPACE) for line in lines]


def _spaced(lines: list[str], *, first: bool = False, last: bool = False) -> list[str]:
    """Without two blank lines in a row, and without one at the beginning or end of a block."""
    before = [BLANK if first else "#", *lines[:-1]]
    kept = [line for line, previous in zip(lines, before, strict=False) if line or previous]
    while last and kept and kept[-1] == BLANK:
        kept.pop()
    return kept


# --- scalars ---------------------------------------------------------------------------------


def _scalar(scalar: Scalar, head: str, indent: int) -> list[str]:
    """The lines of an entry with a scalar; text of several lines is kept as it is laid out."""
    content = " " * (indent + 2)
    if lines := _lines_of_block(scalar):
        sign = scalar.style + ("" if scalar.text.endswith("\n") else "-")
        return [f"{head} {sign}", *((content + line).rstrip(SPACE) for line in lines)]
    text = inline(scalar)
    if scalar.broken and len(head) + 1 + len(text) > WIDTH and _folds(scalar):
        width = max(WIDTH - len(content), 20)
        wrapped = textwrap.wrap(scalar.text, width, break_long_words=False, break_on_hyphens=False)
        return [f"{head} >-", *(content + line for line in wrapped)]
    return [f"{head} {text}".rstrip(SPACE)]


def _lines_of_block(scalar: Scalar) -> list[str]:
    """The lines of a literal or folded block without their indentation.

    None for any other scalar, and for a block whose blanks at the beginning or end of a line would
    be invisible: quotes show those.
    """
    text = scalar.text
    if scalar.style not in ("|", ">") or not text.strip(SPACE + "\n") or text[0] in " \t\n":
        return []
    lines = scalar.source.rstrip(SPACE + "\n").split("\n")[1:]
    indent = len(lines[0]) - len(lines[0].lstrip(" "))
    lines = [line[indent:] for line in lines]
    hidden = text.endswith("\n\n") or re.search(r"[ \t]$", text, re.MULTILINE)
    return [] if hidden or any(line != line.rstrip(SPACE) for line in lines) else lines


def _folds(scalar: Scalar) -> bool:
    """Whether its text can be broken at blanks and read back as it is."""
    words = scalar.text.split(" ")
    return is_text(scalar.text) and all(words) and not re.search(r"[\n\t]", scalar.text)


# --- brackets --------------------------------------------------------------------------------


def _on_one_line(collection: Collection, shape: Shape) -> str | None:
    """A collection between brackets; None where it has to be a block."""
    if not collection.entries:
        return None
    if not (collection.flow or shape.row) or any(collection.comments()):
        return None
    parts: list[str] = []
    for entry in shape.ordered(collection):
        key, value = entry.key, entry.value
        for scalar in (key, value):
            if isinstance(scalar, Scalar) and not _fits_in_brackets(scalar, collection.flow):
                return None
        assert value is not None
        text = inline(value) if isinstance(value, Scalar) else _inner(value, shape.of(entry))
        if text is None:
            return None
        parts.append(f"{inline(key)}: {text}" if key else text)
    return f"{{{', '.join(parts)}}}" if collection.mapping else f"[{', '.join(parts)}]"


def _inner(collection: Collection, shape: Shape) -> str | None:
    if not collection.entries and not collection.end:
        return "{}" if collection.mapping else "[]"
    return _on_one_line(collection, shape)


def _fits_in_brackets(scalar: Scalar, flow: bool) -> bool:
    """Not what is empty or a block; plain text of a block only if brackets cannot change it."""
    if scalar.style in ("|", ">"):
        return False
    quoted = not scalar.plain or inline(scalar) != scalar.text
    if quoted or (flow and scalar.text):
        return True
    return _PLAIN_IN_BRACKETS.fullmatch(scalar.text) is not None
