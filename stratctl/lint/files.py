"""Files that nobody reads, and files that others may not have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.documents import warning

if TYPE_CHECKING:
    from stratctl.documents import Cohort, Documents, Read

TABLES_UNDER = "strategies/"
TABLE_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True)
class Surroundings:
    """What lies around the files that were read. Names are relative to the project's root."""

    files: frozenset[str]
    """Every file under strategies/ and beside those that were read, as the folder spells it."""
    tracked: frozenset[str] | None
    """Every file that Git tracks, as Git spells it; None for a project outside Git."""


def unused_tables(documents: Documents, surroundings: Surroundings) -> Iterator[Diagnostic]:
    """Tables under strategies/ that no document names: a payment that was prepared, or is over."""
    used = {name.casefold() for name in documents.digests}
    for name in sorted(surroundings.files):
        table = PurePosixPath(name).suffix.casefold() in TABLE_SUFFIXES
        if table and name.startswith(TABLES_UNDER) and name.casefold() not in used:
            hint = "name it in a cohort's source, funding or payouts, or delete it"
            yield warning("W_UNUSED_FILE", f"no document names {name}", Span(name), hint)


def perhaps_not_shared(documents: Documents, surroundings: Surroundings) -> Iterator[Diagnostic]:
    """Files that were read here and that another copy of the project may not have."""
    tracked = surroundings.tracked
    places = _named_at(documents)
    everything = surroundings.files | (tracked or frozenset())
    spellings = _by_folded_name(everything)
    for name in sorted(documents.digests):
        others = sorted(spellings[name.casefold()] - {name})
        span = places.get(name, Span(name))
        if others and (name not in surroundings.files or (tracked and name not in tracked)):
            detail = f"{name} is spelt {others[0]} where it is kept"
            hint = "spell both the same: not every system ignores upper and lower case"
        elif others:
            detail = f"{name} and {others[0]} differ only in upper and lower case"
            hint = "rename one: some systems can keep only one of them"
        elif tracked is not None and name not in tracked:
            detail, hint = f"Git does not track {name}", f"git add {name}"
        else:
            continue
        yield warning("W_UNTRACKED", detail, span, hint)


def _by_folded_name(names: Iterable[str]) -> defaultdict[str, set[str]]:
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        spellings[name.casefold()].add(name)
    return spellings


def _named_at(documents: Documents) -> Mapping[str, Span]:
    """Where each file that a document names is named; the cohort where only that is known."""
    places: dict[str, Span] = {}
    for members in documents.cohorts:
        named = dict(_tables_of(members.read))
        for name in members.files:
            places.setdefault(name, named.get(name, members.read.span))
    return places


def _tables_of(cohort: Read[Cohort]) -> Iterator[tuple[str, Span]]:
    written, places = cohort.document, cohort.places
    folder = PurePosixPath(places.file).parent
    if places.written("source", "file"):
        yield _normal(folder, str(places.root["source"]["file"])), places.value("source", "file")
    for label in ("funding", "payouts"):
        for index, entry in enumerate(getattr(written, label)):
            if entry.file is not None:
                yield _normal(folder, entry.file), places.value(label, index, "file")


def _normal(folder: PurePosixPath, path: str) -> str:
    """A path without its steps up and back."""
    steps: list[str] = []
    for step in (folder / path).parts:
        if step != "..":
            steps.append(step)
        else:
            steps.pop()
    return "/".join(steps)
