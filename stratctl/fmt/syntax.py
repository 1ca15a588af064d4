"""YAML text -> its documents as a tree in which every comment hangs on what it speaks of.

The parser's events say where each key and value stands. Nothing but blanks, punctuation and
comments can lie in the gaps between them, so what stands after a ``#`` there is a comment:

- one that stands alone on its line speaks of what follows in the same block; of the end of a
  block that is closing if it is indented like that block;
- one that has something before it on its line speaks of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

BLANK = ""
"""Stands among comments for a blank line."""
SPACE = " \t"
"""All that YAML passes over; whatever else looks like a blank is what somebody wrote."""

_HEADER = re.compile(r"[|>][-+0-9]*[ \t]*(#.*)?")


@dataclass(slots=True)
class Scalar:
    """A key or a value: its text, and how it was written."""

    text: str
    style: str
    """Empty for a plain one; else the quote, or the sign of a block."""
    source: str
    broken: bool
    """Written on more than one line."""

    @property
    def plain(self) -> bool:
        return not self.style


@dataclass(slots=True)
class Collection:
    """A mapping or a sequence."""

    mapping: bool
    flow: bool
    column: int
    """Where its entries stood, for a block."""
    entries: list[Entry] = field(default_factory=list)
    end: list[str] = field(default_factory=list)
    """Comments after the last entry."""

    def comments(self) -> Iterator[str]:
        for entry in self.entries:
            yield from entry.comments()
        yield from (line for line in self.end if line)


@dataclass(slots=True)
class Entry:
    """A key with its value, or an item of a sequence."""

    above: list[str]
    """Comments and blank lines before it."""
    key: Scalar | None = None
    value: Scalar | Collection | None = None
    """None until it is read; afterwards an empty value is a plain scalar without text."""
    beside: list[str] = field(default_factory=list)
    """Comments on the line of its key or at the end of its value, in their order."""

    def comments(self) -> Iterator[str]:
        yield from (line for line in self.above if line)
        yield from self.beside
        if isinstance(self.value, Collection):
            yield from self.value.comments()


@dataclass(slots=True)
class Document:
    """One document, which is a mapping."""

    marked: bool
    """Written with ``---`` before it."""
    before: list[str] = field(default_factory=list)
    """Comments before the first marker of the file."""
    beside: list[str] = field(default_factory=list)
    """A comment on the line of the marker."""
    head: list[str] = field(default_factory=list)
    """What speaks of the whole document, whichever key comes first: everything above the last
    blank line that is above the first key; all of it, if there is none."""
    mapping: Collection = field(default_factory=lambda: Collection(True, False, 0))

    def comments(self) -> Iterator[str]:
        yield from (line for line in (*self.before, *self.beside, *self.head) if line)
        yield from self.mapping.comments()


def parse(text: str) -> list[Document]:
    """The documents of a text that the reader accepts."""
    return _Builder(text).run()


@dataclass(slots=True)
class _Builder:
    text: str
    documents: list[Document] = field(default_factory=list)
    _open: list[tuple[Collection, Entry]] = field(default_factory=list)
    """Collections that are being read, each with the entry whose value it is."""
    _closing: list[Collection] = field(default_factory=list)
    """Blocks that ended since the last entry, the innermost first: comments may belong to them."""
    _pending: list[tuple[str, int]] = field(default_factory=list)
    """Blank lines and comments that stand alone, with their columns, until it is known whose."""
    _beside: list[str] | None = None
    """Where a comment on the same line goes."""
    _position: int = 0

    def run(self) -> list[Document]:
        for event in yaml.parse(self.text, Loader=yaml.CSafeLoader):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._start(event, mapping=kind is yaml.MappingStartEvent)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end(event)
            elif kind is yaml.DocumentStartEvent:
                self._start_document(event)
            elif kind is yaml.DocumentEndEvent:
                self._end_document(event)
        self._gap(len(self.text))
        self._to_the_last_document()
        return self.documents

    # --- documents ---------------------------------------------------------------------------

    def _start_document(self, event: Any) -> None:
        self._gap(event.start_mark.index)
        document = Document(event.explicit)
        if event.explicit:
            if self.documents:
                self._to_the_last_document()
            else:
                document.before = [line for line, _ in self._pending]
                self._pending = []
            self._beside = document.beside
            self._position = event.end_mark.index
        self.documents.append(document)

    def _end_document(self, event: Any) -> None:
        self._gap(event.start_mark.index)
        self._pending = [(line, -1) for line in self._above(-1)]
        self._to_the_last_document()
        self._beside = self.documents[-1].mapping.end
        self._position = event.end_mark.index

    def _to_the_last_document(self) -> None:
        self.documents[-1].mapping.end += [line for line, _ in self._pending]
        self._pending = []

    # --- nodes -------------------------------------------------------------------------------

    def _scalar(self, event: Any) -> None:
        start, end = event.start_mark, event.end_mark
        source = self.text[start.index : end.index]
        scalar = Scalar(event.value, event.style or "", source, start.line != end.line)
        collection, _ = self._open[-1]
        waiting = self._waiting()
        if waiting is not None:
            waiting.value = scalar
            if not source:
                return  # Its place is after the colon, or wherever the parser missed it.
        self._gap(start.index)
        if waiting is not None:
            entry = waiting
            self._lift(entry)
        else:
            entry = self._entry(collection)
            if collection.mapping:
                entry.key = scalar
            else:
                entry.value = scalar
        self._beside = entry.beside
        self._position = end.index
        if scalar.style in ("|", ">"):
            # What the parser takes for its end lies after the blank lines that follow.
            self._position = start.index + len(source.rstrip(SPACE + "\n"))
            header = _HEADER.match(source)
            if header and header[1]:
                entry.beside.append(header[1].rstrip(SPACE))

    def _start(self, event: Any, *, mapping: bool) -> None:
        start = event.start_mark
        self._gap(start.index)
        collection = Collection(mapping, event.flow_style, start.column)
        owner = self._waiting()
        if owner is not None:
            if collection.flow:
                self._lift(owner)
        elif self._open:
            owner = self._entry(self._open[-1][0])
        else:
            document = self.documents[-1]
            document.mapping = collection
            owner = Entry([], beside=document.head)
        owner.value = collection
        self._open.append((collection, owner))
        if collection.flow and self.text[start.index] in "{[":
            self._position = event.end_mark.index
            self._beside = owner.beside

    def _end(self, event: Any) -> None:
        self._gap(event.start_mark.index)
        collection, owner = self._open.pop()
        if collection.flow:
            collection.end = [line for line, _ in self._pending]
            self._pending = []
            self._beside = owner.beside if self._open else collection.end
            self._position = event.end_mark.index
        else:
            self._closing.append(collection)

    def _entry(self, collection: Collection) -> Entry:
        """The next entry of a collection, with what stands above it."""
        above = self._above(collection.column)
        if not collection.entries and len(self._open) == 1:
            cut = len(above) - above[::-1].index(BLANK) if BLANK in above else len(above)
            self.documents[-1].head += above[:cut]
            above = above[cut:]
        entry = Entry(above)
        collection.entries.append(entry)
        return entry

    def _waiting(self) -> Entry | None:
        """The entry whose key was read and whose value was not."""
        if not self._open or not self._open[-1][0].mapping or not self._open[-1][0].entries:
            return None
        last = self._open[-1][0].entries[-1]
        return last if last.value is None else None

    # --- comments ----------------------------------------------------------------------------

    def _gap(self, end: int) -> None:
        """Take the comments and blank lines between here and ``end``."""
        gap = self.text[self._position : end]
        start, self._position = self._position, end
        if "#" not in gap and gap.count("\n") < 2:
            return
        lines = gap.split("\n")
        at_start = start == 0
        for number, line in enumerate(lines):
            punctuation, sign, comment = line.partition("#")
            if sign:
                alone = not punctuation.strip(SPACE) and (number > 0 or at_start)
                self._take(sign + comment.rstrip(SPACE), punctuation, alone=alone)
            elif 0 < number < len(lines) - 1 and not line.strip(SPACE):
                self._pending.append((BLANK, 0))

    def _take(self, comment: str, punctuation: str, *, alone: bool) -> None:
        if alone:
            self._pending.append((comment, len(punctuation)))
        elif "-" in punctuation or "?" in punctuation:
            # After the sign of an entry that is still to come: it speaks of that one.
            self._pending.append((comment, -1))
        else:
            assert self._beside is not None, "something stands before it on its line"
            self._beside.append(comment)

    def _lift(self, entry: Entry) -> None:
        """Comments between a key and its value go above the key."""
        entry.above += [line for line, _ in self._pending if line]
        self._pending = []

    def _above(self, column: int) -> list[str]:
        """What of the pending lines stands above the next entry, which begins at ``column``.

        The others stand at the ends of the blocks that closed before it.
        """
        closing, pending = self._closing, self._pending
        self._closing, self._pending = [], []
        level = 0
        above: list[str] = []
        blank = False
        for line, indent in pending:
            if line == BLANK:
                blank = True
                continue
            level = _level(closing, level, indent, column)
            target = above if level == len(closing) else closing[level].end
            target += [BLANK, line] if blank else [line]
            blank = False
        return [*above, BLANK] if blank else above


def _level(closing: list[Collection], level: int, indent: int, column: int) -> int:
    """Which closing block a comment belongs to, from ``level`` outwards; the next entry's, if none.

    It is the innermost one that is not deeper than the comment; of two that both begin where the
    comment does, the outer one. A comment that is deeper than the next entry belongs to some block
    that closes, if there is one.
    """
    if indent <= column:
        return len(closing)
    while level < len(closing) - 1 and (
        closing[level].column > indent
        or closing[level].column == closing[level + 1].column == indent
    ):
        level += 1
    return level
