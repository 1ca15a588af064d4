"""Second opinions on a document: what it means, and which comments it holds, found another way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import yaml

from stratctl.documents import Items, Node
from stratctl.documents.grammar import Doubtful
from stratctl.load.yaml import read_yaml
from tests.fmt.generate import ANYWHERE, TOKEN


def meaning(text: str) -> list[Any]:
    """The documents as the project's reader sees them: structure, texts and kinds of scalars."""
    reading = read_yaml(text.encode(), "file.yaml")
    assert not reading.problems, reading.problems
    return [_meaning(document) for document in reading.documents]


def _meaning(value: Any) -> Any:
    if isinstance(value, Node):
        return {key: _meaning(inner) for key, inner in value.items()}
    if isinstance(value, Items):
        return [_meaning(inner) for inner in value]
    if isinstance(value, Doubtful):
        return ("doubtful", value.reading, str(value))
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    return (type(value).__name__, text)


class _Listener(yaml.scanner.Scanner, yaml.reader.Reader):
    """The scanner written in Python, which passes over every comment, and now says which."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        self.heard: list[tuple[int, str]] = []

    def scan_to_next_token(self) -> None:
        before = self.index
        super().scan_to_next_token()
        self._hear(before, self.index)

    def scan_block_scalar_ignored_line(self, start_mark: Any) -> None:
        before = self.index
        super().scan_block_scalar_ignored_line(start_mark)
        self._hear(before, self.index)

    def _hear(self, start: int, end: int) -> None:
        passed = self.buffer[self.pointer - (end - start) : self.pointer]
        at = start
        for line in passed.split("\n"):
            blanks, sign, comment = line.partition("#")
            if sign:
                self.heard.append((at + len(blanks), (sign + comment).rstrip(" \0")))
            at += len(line) + 1


def comments(text: str) -> list[tuple[int, str]]:
    """(place, comment) of every comment. Tabs become blanks, which this scanner insists on."""
    listener: Any = _Listener(text.replace("\t", " "))
    while listener.check_token():
        listener.get_token()
    return list(listener.heard)


def astray(text: str) -> list[str]:
    """Comments of a generated document that stand beside none of the neighbours they name."""
    heard = comments(text)
    places = [
        (found.start(), found[0])
        for found in TOKEN.finditer(text)
        if not any(start <= found.start() < start + len(comment) for start, comment in heard)
    ]
    lost = []
    for start, comment in heard:
        near = comment.partition(" near ")[2].split() or [ANYWHERE]
        line = text.rfind("\n", 0, start)
        before = [token for place, token in places if line < place < start]
        before = before or [token for place, token in places if place < start][-1:]
        after = [token for place, token in places if place > start][:1]
        if near != [ANYWHERE] and not set(near) & {*before, *after}:
            lost.append(comment)
    return lost
