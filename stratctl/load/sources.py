"""The rows of a cohort: from its document, from files, or from a database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.tables import Workspace
from stratctl.documents import (
    Cohort,
    Entries,
    Items,
    Members,
    Read,
    TableSource,
    problem,
    warning,
)
from stratctl.load.explain import nearest
from stratctl.load.files import PROJECT_FILE, Folder, Refused
from stratctl.load.members import to_entries
from stratctl.load.tables import (
    AMOUNTS,
    MEMBERS,
    Answer,
    Query,
    Sheet,
    read_query,
    read_table,
)


@dataclass(frozen=True)
class Sources:
    """Where rows may come from. What is wrong with them is added to ``problems``."""

    folder: Folder
    workspace: Workspace
    environ: Mapping[str, str] | None
    """Addresses of connections; without it nothing is connected to."""
    connections: tuple[str, ...] | None = None
    """Those that the project names; None while that is not known."""
    problems: list[Diagnostic] = field(default_factory=list)

    def members(
        self, cohorts: Sequence[Read[Cohort]], environment: str | None
    ) -> tuple[Members, ...]:
        """Cohorts with their rows; without them where they are not in the environment."""
        wanted = [each for each in cohorts if _belongs(each.document, environment)]
        inline = _Inline.of(wanted, self.workspace)
        return tuple(
            self._members(cohort, inline)
            if _belongs(cohort.document, environment)
            else Members(cohort, (), (), (), (), (), complete=True)
            for cohort in cohorts
        )

    def _members(self, cohort: Read[Cohort], inline: _Inline) -> Members:
        document, places = cohort.document, cohort.places
        before = len(self.problems)
        files: list[str] = []
        entries: list[Entries] = []
        answers: list[tuple[str, str]] = []
        if isinstance(rows := places.root.get("participants"), Items):
            entries.append(inline.entries(places.file, rows))
        source = document.source
        if isinstance(source, TableSource) and source.file is not None:
            span = places.value("source", "file")
            found, names = self.tables(source.file, places.file, span, MEMBERS)
            self._as_meant(source.file, source.sha256, places.value("source", "sha256"), names)
            entries += found
            files += names
        elif isinstance(source, TableSource):
            answer = self._answer(source, cohort)
            if answer is not None:
                entries.append(answer.entries)
                answers.append((answer.asked, answer.sha256))
        funding = self._named(cohort, "funding", inline, files)
        payouts = self._named(cohort, "payouts", inline, files)
        complete = len(self.problems) == before
        return Members(
            cohort, tuple(entries), funding, payouts, tuple(files), tuple(answers), complete
        )

    def tables(
        self, path: str, by: str, span: Span, sheet: Sheet
    ) -> tuple[list[Entries], list[str]]:
        """The rows of a file, or of every file that a pattern stands for, and their names."""
        try:
            names = self.folder.matching(path, by)
        except Refused as refused:
            self.problems.append(refused.at(span))
            return [], []
        read = [read_table(self.folder, name, sheet, self.workspace, span) for name in names]
        for _, problems in read:
            self.problems.extend(problems)
        return [entries for entries, _ in read if entries is not None], names

    def _named(
        self, cohort: Read[Cohort], label: str, inline: _Inline, files: list[str]
    ) -> tuple[tuple[int, Entries], ...]:
        """The rows of the named entries, with their places in the list."""
        places = cohort.places
        made: list[tuple[int, Entries]] = []
        for index, entry in enumerate(getattr(cohort.document, label)):
            if entry.file is None:
                rows = places.root[label][index]["participants"]
                found = [inline.entries(places.file, rows)]
            else:
                span = places.value(label, index, "file")
                found, names = self.tables(entry.file, places.file, span, AMOUNTS)
                written = places.value(label, index, "sha256")
                self._as_meant(entry.file, entry.sha256, written, names)
                files += names
            made.extend((index, entries) for entries in found)
        return tuple(made)

    def _as_meant(self, path: str, sha256: str | None, span: Span, names: list[str]) -> None:
        """Hold the content of a file to the digest beside its name."""
        if sha256 is None:
            return
        if "*" in path:
            detail, hint = f"{path} stands for several files", "name one file, or delete sha256"
            self.problems.append(problem("E_FILE_DIGEST", detail, span, hint))
            return
        for name in names:
            found = self.folder.digests.get(name, sha256)  # of what cannot be read there is none
            if found != sha256:
                detail = f"{name} has {found}, and {sha256} is written here"
                hint = "see what has changed in the file, then write its digest"
                self.problems.append(problem("E_FILE_DIGEST", detail, span, hint))

    def _answer(self, source: TableSource, cohort: Read[Cohort]) -> Answer | None:
        """What a database answers; None where it is not asked, or answers badly."""
        sql, connection = source.sql, source.connection
        assert sql is not None
        assert connection is not None
        called = f"the query of {cohort.document.name}"
        span = cohort.places.value("source", "connection")
        known = self.connections
        if known is not None and connection not in known:
            hint = nearest(connection, list(known)) if known else "list it under connections"
            detail = f"{PROJECT_FILE} names no {connection!a}"
            self.problems.append(problem("E_UNKNOWN_CONNECTION", detail, span, hint))
            return None
        if self.environ is None or known is None:
            hint = "nothing is connected to here; plan and apply run it"
            self.problems.append(warning("W_NOT_READ", f"{called} was not run", span, hint))
            return None
        asked_at = cohort.places.value("source", "sql")
        answer, problems = read_query(
            Query(sql, connection, called, asked_at, span),
            self.environ,
            self.folder.root,
            MEMBERS,
            self.workspace,
        )
        self.problems.extend(problems)
        return answer


def _belongs(cohort: Cohort, environment: str | None) -> bool:
    return environment is None or cohort.environments is None or environment in cohort.environments


@dataclass(frozen=True)
class _Inline:
    """The rows that stand inside documents, by the file and the place of their lists."""

    parts: Mapping[tuple[str, tuple[int, int]], Entries]

    @staticmethod
    def of(cohorts: Sequence[Read[Cohort]], workspace: Workspace) -> _Inline:
        members = [
            (each.places.file, rows)
            for each in cohorts
            if isinstance(rows := each.places.root.get("participants"), Items)
        ]
        amounts = [(each.places.file, rows) for each in cohorts for rows in _amounts(each)]
        made = [
            *to_entries(members, MEMBERS, workspace),
            *to_entries(amounts, AMOUNTS, workspace),
        ]
        lists = (*members, *amounts)
        return _Inline(
            {(file, rows.place): entries for (file, rows), entries in zip(lists, made, strict=True)}
        )

    def entries(self, file: str, rows: Items) -> Entries:
        return self.parts[file, rows.place]


def _amounts(cohort: Read[Cohort]) -> Iterator[Items]:
    root = cohort.places.root
    for label in ("funding", "payouts"):
        for entry in root.get(label, ()):
            if isinstance(rows := entry.get("participants"), Items):
                yield rows
