"""YAML text -> mappings and lists whose scalars keep their text and their place.

Made from the parser's events, because composing objects would already have decided what a scalar
means: ``010`` would be 8, ``NO`` would be false, ``12:30:00`` would be 45000, and of two equal keys
the last would win. What is accepted is a small, plain part of YAML; several documents are fine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.documents import Items, Node, problem
from stratctl.documents.grammar import Doubtful
from stratctl.documents.scalars import plain_scalar
from stratctl.load.syntax import explained, place_of
from stratctl.load.text import FORBIDDEN, decode, problem_of_character, quoted, shown

BYTES_MAX = 1 << 20
DEPTH_MAX = 20
NODES_MAX = 200_000
"""10,000 members inline take 70,000."""

_SHOWN_MAX = 100
"""Findings in one file, after which the rest is not looked at."""


class Broken(str):
    """Stands for a value or key that was refused, so that one mistake is reported once.

    A mapping with such a key is known to be incomplete: nothing else is called missing in it.
    """

    __slots__ = ()


@dataclass
class Reading:
    """What one file holds: its documents in order, and what was wrong on the way."""

    file: str
    documents: list[Node] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    lines: tuple[str, ...] = ()
    complete: bool = True
    """False when something in the file could not be read at all."""


def read_yaml(data: bytes, file: str) -> Reading:
    """Read one file. Nothing is raised; every finding is in the result."""
    reading = Reading(file)
    if len(data) > BYTES_MAX:
        reading.complete = False
        detail = f"it has more than {BYTES_MAX:,} bytes"
        hint = "put participants into a CSV or Parquet table"
        reading.problems.append(problem("E_FILE_SIZE", detail, Span(file), hint))
        return reading
    text, problems = decode(data, file)
    reading.problems.extend(problems)
    if problems:
        reading.complete = False
        return reading
    reading.lines = tuple(text.split("\n"))
    _Composer(reading).run(text)
    if not reading.documents and not reading.problems:
        reading.problems.append(_empty(Span(file, 1, 1)))
    return reading


def _empty(span: Span) -> Diagnostic:
    hint = "write something, or delete it: nothing is ever sold because a file is empty"
    return problem("E_EMPTY_CONFIG", "a document without any content", span, hint)


class _Stop(Exception):
    """The rest of the file cannot be read, or a limit says that it is not looked at."""


class _Frame:
    """A container that is being filled. ``key`` is None while a mapping waits for one."""

    __slots__ = ("as_key", "container", "key", "key_place", "name")

    def __init__(self, container: Node | Items, name: str | None, as_key: bool) -> None:
        self.container = container
        self.name = name
        self.as_key = as_key
        self.key: str | None = None
        self.key_place = (0, 0)


_SKIPPED = Broken("")
"""The key of a value that belongs nowhere, because its key stands there already."""


class _Composer:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._stack: list[_Frame] = []
        self._nodes = 0
        self._begun = (1, 1)

    def run(self, text: str) -> None:
        try:
            self._parse(text)
        except _Stop:
            self._give_up()

    def _parse(self, text: str) -> None:
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            self._add(explained(error, self._reading.file, self._reading.lines))
            raise _Stop from error

    def _give_up(self) -> None:
        """Forget the document that was being read: half of it would only cause false findings."""
        self._reading.complete = False
        documents = self._reading.documents
        if documents and self._stack and documents[-1] is self._stack[0].container:
            documents.pop()

    def _report(self, code: str, detail: str, place: tuple[int, int], hint: str = "") -> None:
        self._add(problem(code, detail, self._span(place), hint))

    def _add(self, found: Diagnostic) -> None:
        problems = self._reading.problems
        if len(problems) < _SHOWN_MAX:
            problems.append(found)
            return
        detail = f"{found.detail}; what else is wrong in this file is not looked for"
        problems.append(replace(found, detail=detail))
        raise _Stop

    def _span(self, place: tuple[int, int]) -> Span:
        return Span(self._reading.file, *place)

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            self._open(event, Node(self._place(event)))
        elif kind is yaml.SequenceStartEvent:
            self._open(event, Items(self._place(event)))
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._count(event)
            hint = "write the value out"
            self._report("E_YAML_ALIAS", f"the alias *{event.anchor}", self._place(event), hint)
            self._put(Broken(f"*{event.anchor}"), self._place(event))
        elif kind is yaml.DocumentStartEvent:
            self._begun = self._place(event)
            if event.version or event.tags:
                self._report("E_YAML_TAG", "a % directive", self._begun, "delete it")

    def _place(self, event: Any) -> tuple[int, int]:
        return place_of(event.start_mark, self._reading.lines)

    def _count(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            detail = f"more than {NODES_MAX:,} keys and values"
            hint = "put participants into a CSV or Parquet table"
            self._report("E_YAML_NODES", detail, self._place(event), hint)
            raise _Stop

    def _plain(self, event: Any) -> bool:
        """Report what decorates a value; a tagged one means something that is not accepted."""
        if event.anchor is not None:
            hint = "write the value out where it is needed"
            self._report("E_YAML_ALIAS", f"the anchor &{event.anchor}", self._place(event), hint)
        if event.tag is not None:
            self._report("E_YAML_TAG", f"the tag {event.tag}", self._place(event), "delete it")
        return event.tag is None

    def _open(self, event: Any, container: Node | Items) -> None:
        self._count(event)
        plain = self._plain(event)
        if len(self._stack) >= DEPTH_MAX:
            detail, hint = f"deeper than {DEPTH_MAX} levels", "check the brackets and blanks"
            self._report("E_YAML_DEPTH", detail, container.place, hint)
            raise _Stop
        top = self._stack[-1] if self._stack else None
        as_key = top is not None and isinstance(top.container, Node) and top.key is None
        name = top.key if top is not None else None
        if as_key:
            detail, hint = "a mapping or list is used as a key", "check colons and question marks"
            self._report("E_YAML_KEY", detail, container.place, hint)
        elif plain:
            self._put(container, container.place)
        else:
            self._put(Broken(), container.place)
        self._stack.append(_Frame(container, name, as_key))

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.as_key:
            self._put(Broken(), frame.container.place)

    def _scalar(self, event: Any) -> None:
        self._count(event)
        place = self._place(event)
        text = event.value
        value: Any = text
        if event.style == '"' and (hidden := FORBIDDEN.search(text)):
            self._add(problem_of_character(hidden[0], self._span(place)))
            value = Broken(text)
        if event.anchor is not None or event.tag is not None:
            value = value if self._plain(event) else Broken(text)
        if (event.style is None or event.style == "") and type(value) is str:
            value = plain_scalar(text)
        top = self._stack[-1] if self._stack else None
        if top is None or not isinstance(top.container, Node):
            self._put(value, place)
        elif top.key is None:
            self._key(top, top.container, value, text, place)
        elif not text and isinstance(value, Doubtful) and self._stands_alone(place):
            self._report_alone(top.key, top.key_place)
            top.key = Broken(top.key)
            self._put(value, place)
        else:
            self._put(value, place)

    def _line(self, place: tuple[int, int]) -> str:
        """The text of a line; nothing behind the last one, where the file ends."""
        return "".join(self._reading.lines[place[0] - 1 : place[0]])

    def _stands_alone(self, place: tuple[int, int]) -> bool:
        """Whether no colon announced the value that is not there."""
        before = self._line(place)[: place[1] - 1].rstrip()
        return bool(before) and not before.endswith(":")

    def _report_alone(self, key: str, place: tuple[int, int]) -> None:
        hint = "write KEY: VALUE with a blank after the colon, and no comma inside a number"
        detail = f"{shown(key)} stands alone where a key and its value belong"
        self._report("E_YAML_KEY", detail, place, hint)

    def _key(
        self, frame: _Frame, mapping: Node, value: Any, text: str, place: tuple[int, int]
    ) -> None:
        frame.key, frame.key_place = text, place
        if isinstance(value, Broken):
            frame.key = value
        elif text == "<<":
            self._report("E_YAML_MERGE", "the key <<", place, "write the keys out")
            frame.key = Broken(text)
        elif type(value) is not str and not (text == "on" and frame.name == "rebalance"):
            self._must_be_quoted(text, value, place)
        if text in mapping and not isinstance(frame.key, Broken):
            line, column = mapping.key_places[text]
            self._report(
                "E_YAML_DUPKEY",
                f"{shown(text)} is in line {line}, column {column}, and again here",
                place,
                "keep one of them",
            )
            mapping[text] = Broken()
            frame.key = _SKIPPED

    def _must_be_quoted(self, text: str, value: Any, place: tuple[int, int]) -> None:
        behind = self._line(place)[place[1] - 1 + len(text) :].lstrip()
        if not text:
            detail = "there is no key before the colon"
            self._report("E_YAML_KEY", detail, place, "write the key, or delete the colon")
        elif behind[:1] not in {",", "}"}:  # else it stands alone, which is said next
            kind = "a boolean" if isinstance(value, bool) else "a number"
            reading = value.reading if isinstance(value, Doubtful) else kind
            detail = f"{text} can be read as {reading}"
            self._report("E_TYPE_STRING_REQUIRED", detail, place, f"quote it: {quoted(text)}")

    def _put(self, value: Any, place: tuple[int, int]) -> None:
        if not self._stack:
            self._document(value, place)
            return
        frame = self._stack[-1]
        container = frame.container
        if isinstance(container, Items):
            container.append(value)
            container.places.append(place)
            return
        key = frame.key
        if key is None:  # an alias, mapping or list in the place of a key: refused already
            frame.key, frame.key_place = value, place
            return
        if key is not _SKIPPED:
            container[key] = Broken() if type(key) is Broken else value
            container.key_places[key] = frame.key_place
            container.value_places[key] = place
        frame.key = None

    def _document(self, value: Any, place: tuple[int, int]) -> None:
        if isinstance(value, Node):
            self._reading.documents.append(value)
        elif isinstance(value, Doubtful) and not value:
            self._add(_empty(self._span(self._begun)))
        else:
            self._reading.complete = False
            if not isinstance(value, Broken):
                detail = "a document is a mapping"
                self._report("E_TYPE", detail, place, "begin it with kind: and version:")
