"""One project folder -> Documents. What is wrong is collected, so that it is reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from stratctl.core.diagnostic import Diagnostic, Span, in_reading_order
from stratctl.core.errors import InputError, UsageError
from stratctl.core.tables import Workspace
from stratctl.core.words import count
from stratctl.documents import (
    DECLARED,
    KINDS,
    Acknowledgement,
    Cohort,
    Document,
    Documents,
    Items,
    Node,
    Places,
    Policy,
    Project,
    Read,
    Strategy,
    problem,
)
from stratctl.load import tables
from stratctl.load.check import FINDINGS_MAX, check
from stratctl.load.explain import nearest
from stratctl.load.files import PROJECT_FILE, STRATEGIES, Folder, Refused
from stratctl.load.members import suspicious
from stratctl.load.sources import Sources
from stratctl.load.yaml import BYTES_MAX, read_yaml

BYTES_TOTAL_MAX = 16 << 20
"""Of all YAML files together; tables are not counted."""

Kind = TypeVar("Kind", bound=Document)


def read_project(
    root: Path,
    environment: str | None,
    workspace: Workspace,
    *,
    every_environment: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Documents:
    """Read everything that a project says for one environment.

    ``environment`` None means the project's ``default_environment``, or its only one; with
    ``every_environment`` it need not be said, and tables of cohorts that are not in it are read.

    ``environ`` has the addresses of connections. Without it nothing is connected to: queries are
    not run, and a warning for each says so.

    Raises InputError when the project file itself cannot be used, with what is wrong in the other
    files beside it, and UsageError when the environment is unknown or not said. Every other finding
    is in ``Documents.problems``.
    """
    reader = _Reader.of(Folder(root), workspace, environ)
    project = reader.only(PROJECT_FILE, Project)
    if project is None:
        reader.everything_else()
        raise InputError(in_reading_order(reader.problems))
    reader.sources = replace(reader.sources, connections=project.document.connections)
    if every_environment and environment is None and not project.document.default_environment:
        environment = min(project.document.environments)
    chosen = _choose(project.document, environment)
    policy = reader.policy(project)
    shared = list(reader.folder.documents())
    if not shared:
        hint = f"declare a Strategy in {STRATEGIES}/"
        reader.problems.append(
            problem("E_EMPTY_CONFIG", f"no document under {STRATEGIES}/", Span(PROJECT_FILE), hint)
        )
    read = [found for name in shared for found in reader.documents(name) if name != policy[0]]
    wanted = None if every_environment else chosen
    shared_files = tuple(sorted(reader.folder.digests))
    members = reader.sources.members(_of(read, Cohort), wanted)
    return Documents(
        environment=chosen,
        project=project,
        policy=policy[1],
        strategies=tuple(_of(read, Strategy)),
        cohorts=members,
        acknowledgements=tuple(_of(read, Acknowledgement)),
        digests=dict(reader.folder.digests),
        shared_files=shared_files,
        problems=in_reading_order(reader.problems),
        broken=None if reader.nameless else frozenset(reader.broken),
        lines=reader.lines,
        weights=tuple(reader.weights),
    )


def read_project_file(
    root: Path, environment: str | None, workspace: Workspace
) -> tuple[Read[Project], str]:
    """The project file alone, and the environment that is chosen.

    For halting and auditing, which must work while anything else is broken. Raises InputError and
    UsageError as ``read_project`` does.
    """
    return _Reader.of(Folder(root), workspace).project(environment)


def document_files(root: Path) -> list[str]:
    """Every file of a project that holds documents, ascending, broken ones too.

    A policy that the project file does not name readably is left out.
    """
    folder = Folder(root)
    found = {PROJECT_FILE, *folder.documents()}
    try:
        project = read_yaml(folder.read(PROJECT_FILE), PROJECT_FILE)
        named = (document.get("policy") for document in project.documents)
        policy = next((path for path in named if isinstance(path, str)), POLICY_DEFAULT)
        found.add(folder.named(policy, PROJECT_FILE))
    except Refused:
        return sorted(found)
    return sorted(name for name in found if (folder.root / name).exists())


POLICY_DEFAULT: str = Project.model_fields["policy"].default


def _choose(project: Project, environment: str | None) -> str:
    known = sorted(project.environments)
    default = project.default_environment
    if default is not None and default not in known:
        default = known[0]  # a finding of resolve's; until then everything else is read
    chosen = environment or default or (known[0] if len(known) == 1 else None)
    if chosen is None:
        raise UsageError(
            f"the project has several environments: {', '.join(known)}",
            hint="name one with --env, or set default_environment in stratctl.yaml",
        )
    if chosen not in known:
        raise UsageError(f"there is no environment {chosen!r}", hint=nearest(chosen, known))
    return chosen


def _of(read: list[Read[Any]], kind: type[Kind]) -> list[Read[Kind]]:
    return [cast("Read[Kind]", found) for found in read if isinstance(found.document, kind)]


@dataclass
class _Reader:
    folder: Folder
    sources: Sources
    problems: list[Diagnostic]
    broken: set[str] = field(default_factory=set)
    weights: list[Read[Strategy]] = field(default_factory=list)
    nameless: bool = False
    """Some document could not be read as far as its name."""
    bytes_read: int = 0
    lines: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, folder: Folder, workspace: Workspace, environ: Mapping[str, str] | None = None
    ) -> _Reader:
        sources = Sources(folder, workspace, environ)
        return cls(folder, sources, sources.problems)

    def project(self, environment: str | None) -> tuple[Read[Project], str]:
        """The project file and the chosen environment. Raises InputError and UsageError."""
        project = self.only(PROJECT_FILE, Project)
        if project is None:
            raise InputError(in_reading_order(self.problems))
        return project, _choose(project.document, environment)

    def everything_else(self) -> None:
        """Look for mistakes in the documents and tables of a project whose own file is broken.

        Nobody knows then which of the files is the policy, so one may be anywhere.
        """
        names = list(self.folder.documents())
        kinds = (*DECLARED, "Policy")
        read = [found for name in names for found in self.documents(name, kinds)]
        self.sources.members(_of(read, Cohort), None)

    def only(self, name: str, kind: type[Kind], named_at: Span | None = None) -> Read[Kind] | None:
        """A file that holds one document of one kind."""
        found = list(self.documents(name, (kind.__name__,), named_at))
        for second in found[1:]:
            detail = f"{name} holds one {kind.__name__} only"
            self.problems.append(
                problem("E_KIND_MISPLACED", detail, second.span, "keep one document")
            )
        return cast("Read[Kind]", found[0]) if found else None

    def policy(self, project: Read[Project]) -> tuple[str, Read[Policy] | None]:
        """The policy's file and what it says."""
        named_at = project.places.value("policy")
        try:
            name = self.folder.named(project.document.policy, PROJECT_FILE)
        except Refused as refused:
            self.problems.append(refused.at(named_at))
            return "", None
        return name, self.only(name, Policy, named_at)

    def documents(
        self,
        name: str,
        kinds: tuple[str, ...] = DECLARED,
        named_at: Span | None = None,
    ) -> Iterator[Read[Document]]:
        """The documents of a file that keep to their schemas; the others become findings."""
        try:
            reading = read_yaml(self._bytes(name), name)
        except Refused as refused:
            self.problems.append(refused.at(named_at or Span(name)))
            self.nameless = True
            return
        self.lines[name] = reading.lines
        self.problems.extend(reading.problems)
        self.nameless |= not reading.complete
        before = len(self.problems)
        for root in reading.documents:
            if len(self.problems) - before > FINDINGS_MAX:
                self._leave_out_the_rest()
                return
            read = self._document(root, Places(name, root), kinds)
            if read is not None:
                yield read
                continue
            self._beside(root, Places(name, root))
            if type(declared := root.get("name")) is str:
                self.broken.add(declared)
            else:
                self.nameless = True

    def _beside(self, root: Node, places: Places) -> None:
        """Look at what a mistake elsewhere in its document would hide: tables and weights."""
        named: list[tuple[Any, tuple[str | int, ...], tables.Sheet]]
        named = [(root.get("source"), ("source", "file"), tables.MEMBERS)]
        for label in ("funding", "payouts"):
            entries = root.get(label)
            for index, entry in enumerate(entries if isinstance(entries, Items) else ()):
                named.append((entry, (label, index, "file"), tables.AMOUNTS))
        for entry, path, sheet in named:
            file = entry.get("file") if isinstance(entry, Node) else None
            span = places.value(*path)
            if type(file) is str and not any(span == told.span for told in self.problems):
                self.sources.tables(file, places.file, span, sheet)
        part = Node(root.place)
        part.update(kind="Strategy", version=1, name="part", quoted_currency="USD")
        part.update({key: root[key] for key in ("allocations", "exits") if key in root})
        part.key_places = dict.fromkeys(part, root.place) | root.key_places
        part.value_places = dict.fromkeys(part, root.place) | root.value_places
        document, _ = check("Strategy", part, Places(places.file, part))
        if isinstance(document, Strategy):
            self.weights.append(Read(document, places))

    def _leave_out_the_rest(self) -> None:
        """Stop at a file whose documents have more findings than anybody reads."""
        last = self.problems.pop()
        detail = f"{last.detail}; the rest of this file is not looked at"
        self.problems.append(replace(last, detail=detail))
        self.nameless = True

    def _bytes(self, name: str) -> bytes:
        """A YAML file, one byte more at most than it may have. Raises Refused."""
        data = self.folder.read(name, BYTES_MAX + 1)
        together = self.bytes_read + len(data)
        if together > BYTES_TOTAL_MAX:
            detail = f"with {name} the YAML files have {together:,} bytes"
            hint = f"at most {BYTES_TOTAL_MAX:,} are read: put participants into tables"
            raise Refused("E_FILE_SIZE", detail, hint)
        self.bytes_read = together
        return data

    def _document(
        self, root: Node, places: Places, kinds: tuple[str, ...]
    ) -> Read[Document] | None:
        kind = root.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            said = f"kind is {kind!a}" if "kind" in root else "there is no kind"
            hint = nearest(str(kind or ""), list(kinds))
            self.problems.append(problem("E_KIND", said, places.value("kind"), hint))
            return None
        if kind not in kinds:
            detail = f"{places.file} holds {' and '.join(kinds)}, not {kind}"
            hint = f"Project: {PROJECT_FILE}; Policy: the file it names; the rest: {STRATEGIES}/"
            self.problems.append(problem("E_KIND_MISPLACED", detail, places.value("kind"), hint))
            return None
        thin, hidden = _thinned(root)
        document, problems = check(kind, thin, Places(places.file, thin))
        if hidden:
            last = problems.pop()
            detail = f"{last.detail}; {count(hidden, 'more row')} of this list not looked at"
            problems.append(problem(last.code, detail, last.span, last.hint))
        self.problems.extend(problems)
        return None if document is None else Read(document, places)


def _thinned(root: Node) -> tuple[Node, int]:
    """The document with its long lists cut down to the rows that need a close look, or one.

    The rows that are left keep their places. Also the number of rows that would need a close look
    but are too many.
    """
    thin, hidden = _with_fewer(root, tables.MEMBERS)
    for label in ("funding", "payouts"):
        if isinstance(entries := root.get(label), Items):
            fewer = Items(entries.place)
            fewer.places = entries.places
            for entry in entries:
                cut, more = (
                    _with_fewer(entry, tables.AMOUNTS) if isinstance(entry, Node) else (entry, 0)
                )
                fewer.append(cut)
                hidden += more
            thin = _replaced(thin, label, fewer)
    return thin, hidden


def _with_fewer(root: Node, sheet: tables.Sheet) -> tuple[Node, int]:
    rows = root.get("participants")
    if not isinstance(rows, Items) or len(rows) < 2:
        return root, 0
    closely = suspicious(rows, sheet)
    keep = closely[: tables.SHOWN_MAX] or [0]
    fewer = Items(rows.place)
    fewer.extend(rows[place] for place in keep)
    fewer.places = [rows.places[place] for place in keep]
    return _replaced(root, "participants", fewer), len(closely[tables.SHOWN_MAX :])


def _replaced(root: Node, key: str, value: Items) -> Node:
    copy = Node(root.place)
    copy.update(root)
    copy.key_places, copy.value_places = root.key_places, root.value_places
    copy[key] = value
    return copy
