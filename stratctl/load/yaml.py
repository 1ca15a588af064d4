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
from stratctl.load.text import FORBIDDEN, decode, problem_of_character

BYTES_MAX = 1 << 20
DEPTH_MAX = 20
NODES_MAX = 200_000
"""10,000 members inline take 70,000."""

_SHOWN_MAX = 100
"""Findings in one file, after which the rest is not looked at."""


class Broken(str):
    """Stands for a value that was refused, so that one mistake is reported once."""

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
        detail = f"it has {len(data):,} bytes; the limit is {BYTES_MAX:,}"
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
    hint = "delete the file or the empty document; nothing is ever sold because a file is empty"
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
"""The key of a value that belongs nowhere, because its key was refused."""


class _Composer:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._stack: list[_Frame] = []
        self._nodes = 0

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
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            said = ", ".join(part for part in (error.context, error.problem) if part)
            tab = "\t" in self._line(line)
            hint = "indent with blanks, not tabs" if tab else "check blanks, colons and brackets"
            self._report("E_YAML_SYNTAX", said, (line, column), hint)
            raise _Stop from error

    def _give_up(self) -> None:
        """Forget the document that was being read: half of it would only cause false findings."""
        self._reading.complete = False
        if self._stack and isinstance(self._stack[0].container, Node):
            self._reading.documents.pop()

    def _line(self, number: int) -> str:
        return "".join(self._reading.lines[number - 1 : number])

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
            self._open(event, Node(_place(event)))
        elif kind is yaml.SequenceStartEvent:
            self._open(event, Items(_place(event)))
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._count()
            hint = "write the value out"
            self._report("E_YAML_ALIAS", f"the alias *{event.anchor}", _place(event), hint)
            self._put(Broken(), _place(event))
        elif kind is yaml.DocumentStartEvent and (event.version or event.tags):
            self._report("E_YAML_TAG", "a % directive", _place(event), "delete it")

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            detail = f"more than {NODES_MAX:,} values"
            hint = "put participants into a CSV or Parquet table"
            self._report("E_YAML_NODES", detail, (0, 0), hint)
            raise _Stop

    def _plain(self, event: Any) -> bool:
        """Report what decorates a value; a tagged one means something that is not accepted."""
        if event.anchor is not None:
            hint = "write the value out where it is needed"
            self._report("E_YAML_ALIAS", f"the anchor &{event.anchor}", _place(event), hint)
        if event.tag is not None:
            self._report("E_YAML_TAG", f"the tag {event.tag}", _place(event), "delete it")
        return event.tag is None

    def _open(self, event: Any, container: Node | Items) -> None:
        self._count()
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
            self._stack[-1].key = _SKIPPED

    def _scalar(self, event: Any) -> None:
        self._count()
        place = _place(event)
        text = event.value
        plain = event.style is None or event.style == ""
        if event.style == '"' and (hidden := FORBIDDEN.search(text)):
            self._add(problem_of_character(hidden[0], self._span(place)))
        value: Any = text
        if event.anchor is not None or event.tag is not None:
            value = text if self._plain(event) else Broken(text)
        if plain and type(value) is str:
            value = plain_scalar(text)
        top = self._stack[-1] if self._stack else None
        if top is not None and top.key is None and isinstance(top.container, Node):
            self._key(top, top.container, value, text, place)
        else:
            self._put(value, place)

    def _key(
        self, frame: _Frame, mapping: Node, value: Any, text: str, place: tuple[int, int]
    ) -> None:
        frame.key, frame.key_place = text, place
        if isinstance(value, Broken):
            frame.key = _SKIPPED
        elif text == "<<":
            self._report("E_YAML_MERGE", "the key <<", place, "write the keys out")
            frame.key = _SKIPPED
        elif type(value) is not str and not (text == "on" and frame.name == "rebalance"):
            reading = value.reading if isinstance(value, Doubtful) else "a number or a boolean"
            self._must_be_quoted(text, reading, place)
        if text in mapping and frame.key is not _SKIPPED:
            line, column = mapping.key_places[text]
            self._report(
                "E_YAML_DUPKEY",
                f"{text!r} is in line {line}, column {column}, and again here",
                place,
                "keep one of them",
            )
            mapping[text] = Broken()
            frame.key = _SKIPPED

    def _must_be_quoted(self, text: str, reading: str, place: tuple[int, int]) -> None:
        detail = f"{text or 'nothing'} can be read as {reading}"
        self._report("E_TYPE_STRING_REQUIRED", detail, place, f'quote it: "{text}"')

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
        if key is None:  # an alias in the place of a key
            frame.key = _SKIPPED
            return
        if key is not _SKIPPED:
            container[key] = value
            container.key_places[key] = frame.key_place
            container.value_places[key] = place
        frame.key = None

    def _document(self, value: Any, place: tuple[int, int]) -> None:
        if isinstance(value, Node):
            self._reading.documents.append(value)
        elif isinstance(value, Doubtful) and not value:
            self._add(_empty(self._span(place)))
        elif not isinstance(value, Broken):
            detail = "a document is a mapping"
            self._report("E_TYPE", detail, place, "begin it with kind: and version:")


def _place(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1
