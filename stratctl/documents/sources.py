"""What was read, and where: the value that travels from ``load`` to ``resolve``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from stratctl.core.diagnostic import Diagnostic, Settings, Span
from stratctl.core.tables import Table
from stratctl.documents.kinds import (
    Acknowledgement,
    Cohort,
    Document,
    Policy,
    Project,
    Strategy,
)

Kind = TypeVar("Kind", bound=Document, covariant=True)

AMOUNT_TYPES = ("DECIMAL(18,2)", "DECIMAL(23,8)")
"""An amount as it was written, exactly. The finer type where some row has more decimals than two,
so that most tables need not be looked at again for their decimals."""

ENTRY_ROWS = {
    "participant_code": "VARCHAR",
    "contributed": "AMOUNT",
    "withdrawn": "AMOUNT",
    "exited": "BOOLEAN",
    "auto_rebalance": "BOOLEAN",
    "line": "INTEGER",
}
"""The members of a cohort as one source lists them; AMOUNT is one of AMOUNT_TYPES. A NULL is what
was not said. ``line``: of the file; the row number in a source without lines."""

FUNDING_ROWS = {"participant_code": "VARCHAR", "amount": "AMOUNT", "line": "INTEGER"}
"""One named contribution or payout, likewise."""


class Node(dict[str, Any]):
    """A mapping as it was read: its place, and those of its keys and of their values."""

    __slots__ = ("key_places", "place", "value_places")

    def __init__(self, place: tuple[int, int]) -> None:
        super().__init__()
        self.place = place
        self.key_places: dict[str, tuple[int, int]] = {}
        self.value_places: dict[str, tuple[int, int]] = {}


class Items(list[Any]):
    """A sequence as it was read: its place, and those of its items."""

    __slots__ = ("place", "places")

    def __init__(self, place: tuple[int, int]) -> None:
        super().__init__()
        self.place = place
        self.places: list[tuple[int, int]] = []


@dataclass(frozen=True)
class Places:
    """Where in its file each part of a document stands."""

    file: str
    root: Node

    def value(self, *path: str | int) -> Span:
        """The place of a value; of the nearest thing around it when it was not written."""
        return self._find(path, of_key=False)

    def key(self, *path: str | int) -> Span:
        """The place of the last key in a path."""
        return self._find(path, of_key=True)

    def written(self, *path: str | int) -> bool:
        """Whether the document says it, rather than leaving it to its default."""
        found: Any = self.root
        for step in path:
            if isinstance(found, Node) and step in found:
                found = found[str(step)]
            elif isinstance(found, Items) and isinstance(step, int) and step < len(found):
                found = found[step]
            else:
                return False
        return True

    def settings(self) -> Settings:
        """Every value that the document says, with its place."""
        return tuple(_settings(self.file, self.root, ""))

    def _find(self, path: Sequence[str | int], *, of_key: bool) -> Span:
        found: Any = self.root
        line, column = self.root.place
        for depth, step in enumerate(path):
            if isinstance(found, Node) and step in found:
                key = str(step)
                last = of_key and depth == len(path) - 1
                line, column = (found.key_places if last else found.value_places)[key]
                found = found[key]
            elif isinstance(found, Items) and isinstance(step, int) and step < len(found):
                line, column = found.places[step]
                found = found[step]
            else:
                break
        return Span(self.file, line, column)


def _settings(file: str, node: Node, above: str) -> Iterator[tuple[str, Span]]:
    for key, value in node.items():
        path = f"{above}{key}"
        yield path, Span(file, *node.value_places[key])
        if isinstance(value, Node):
            yield from _settings(file, value, f"{path}.")


@dataclass(frozen=True)
class Read(Generic[Kind]):
    """A document that keeps to its schema, and where its parts stand."""

    document: Kind
    places: Places

    @property
    def span(self) -> Span:
        """Where people look for it: at its name, or at its kind."""
        return self.places.value("name" if self.places.written("name") else "kind")


@dataclass(frozen=True)
class Entries:
    """The rows of one source, as a column table whose texts keep to their grammars."""

    file: str
    """The file that the rows stand in."""
    has_lines: bool
    """False where ``line`` counts rows (Parquet, SQL)."""
    rows: Table
    """ENTRY_ROWS or FUNDING_ROWS, and a column ``part`` where several sources share the table."""
    part: int | None = None
    """The rows are those with this ``part``; None where they are all of the table's."""
    column: int = 1
    """The column in which each row begins; 1 where rows begin in different ones."""
    asked_at: Span | None = None
    """Where the query stands whose rows these are; they stand in no file then."""

    def span(self, line: int) -> Span:
        """The place of a row; the query or the file where there are no lines to point at."""
        if self.asked_at is not None:
            return self.asked_at
        return Span(self.file, line, self.column) if self.has_lines else Span(self.file)

    def where(self, line: int) -> str:
        """A row's place in words."""
        return f"{self.file}:{line}" if self.has_lines else f"row {line} of {self.file}"


@dataclass(frozen=True)
class Members:
    """A cohort with the rows of its sources. Sources that could not be read are left out."""

    read: Read[Cohort]
    entries: tuple[Entries, ...]
    funding: tuple[tuple[int, Entries], ...]
    """(place in the cohort's ``funding`` list, rows)"""
    payouts: tuple[tuple[int, Entries], ...]
    files: tuple[str, ...]
    """Tables that were read for it."""
    answers: tuple[tuple[str, str], ...]
    """(what was asked, sha256 of the rows) of its query."""
    complete: bool
    """False when a source has problems of its own: absence proves nothing then."""


@dataclass(frozen=True)
class Documents:
    """Everything that was read for one environment (or for every one), and what was wrong."""

    environment: str
    """The one that was chosen."""
    project: Read[Project]
    policy: Read[Policy] | None
    """None when it could not be read."""
    strategies: tuple[Read[Strategy], ...]
    cohorts: tuple[Members, ...]
    acknowledgements: tuple[Read[Acknowledgement], ...]
    digests: Mapping[str, str]
    """File -> sha256 of its bytes, for every file that was read."""
    shared_files: tuple[str, ...]
    """Files that belong to every environment: all but the tables."""
    problems: tuple[Diagnostic, ...]
    broken: frozenset[str] | None
    """Names of Strategies whose documents have problems; None when some are not known by name."""
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """YAML file -> its lines, for showing a finding in its place."""
    weights: tuple[Read[Strategy], ...] = ()
    """Sound allocations of documents that are broken elsewhere, in the shape of a Strategy that
    says nothing else: for finding what is wrong in them, never for planning."""

    @property
    def environments(self) -> tuple[str, ...]:
        return tuple(sorted(self.project.document.environments))

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(sorted(self.digests))
