"""A small project on disk, and what declaring it says."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import duckdb

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import InputError
from stratctl.core.settings import Configuration
from stratctl.core.tables import Workspace
from stratctl.load import read_project
from stratctl.pipeline.linting import lint_project
from stratctl.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]

BASE = {
    "stratctl.yaml": (
        "kind: Project\nversion: 1\nenvironments:\n  sandbox: {realm: sandbox, endpoint: sandbox, "
        "platform_code: PLAT01, funding_model: novated}\n"
    ),
    "policy.yaml": "kind: Policy\nversion: 1\n",
    "strategies/blue-chip.yaml": (
        "kind: Strategy\nversion: 1\nname: blue-chip\nquoted_currency: USD\n"
        "allocations: {BTC: 0.50, ETH: 0.30, SOL: 0.20}\n"
    ),
    "strategies/founders.yaml": (
        "kind: Cohort\nversion: 1\nname: founders\nstrategy: blue-chip\n"
        "participants:\n  - {participant_code: CUST01, contributed: 15000.00}\n"
    ),
}
"""A project without a mistake, over which a test lays its own files."""


class Project:
    """A project folder of a test."""

    def __init__(self, root: Path, files: dict[str, str | bytes] | None = None) -> None:
        self.root = root
        self.environ: dict[str, str] = {}
        for name, text in {**BASE, **(files or {})}.items():
            self.write(name, text)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write one file; an empty text removes nothing, it is an empty file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def parquet(self, name: str, sql: str) -> Path:
        """Write the result of a query as Parquet."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
        return path

    def database(self, name: str, sql: str) -> None:
        """Run one statement in a file of SQLite's, which it makes where there is none."""
        connection = sqlite3.connect(self.root / name)
        connection.execute(sql)
        connection.commit()
        connection.close()

    def run(self, source: str) -> None:
        """A few lines that make what text cannot show."""
        (self.root / "strategies/cohorts").mkdir(parents=True, exist_ok=True)
        names = {
            "write": self.write,
            "parquet": self.parquet,
            "database": self.database,
            "environ": self.environ,
            "git": self.git,
            "root": self.root,
            "os": os,
        }
        exec(source, names)  # the examples of docs/diagnostics.md, which this repository wrote

    def declare(self, environment: str | None = None) -> Configuration:
        """Read and resolve it. Raises InputError."""
        return declared(self.root, environment, self.environ or None)

    def says(self, environment: str | None = None) -> tuple[Diagnostic, ...]:
        """Every finding, of warnings too."""
        try:
            return self.declare(environment).desired.warnings
        except InputError as error:
            return error.diagnostics

    def lints(self) -> tuple[Diagnostic, ...]:
        """Every finding of lint, of everything in every environment."""
        try:
            return lint_project(self.root, None, shared_workspace())
        except InputError as error:
            return error.diagnostics

    def git(self, *words: str) -> None:
        """Run Git in the project."""
        git(self.root, *words)

    def codes(self, environment: str | None = None) -> list[str]:
        """The codes of every finding, in reading order."""
        return [found.code for found in self.says(environment)]


def git(root: Path, *words: str) -> None:
    """Run Git in a folder; it has to succeed."""
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


@cache
def shared_workspace() -> Workspace:
    """One engine for many small projects: starting one costs more than reading a project."""
    return Workspace()


def declared(
    root: Path, environment: str | None = None, environ: Mapping[str, str] | None = None
) -> Configuration:
    """What a project folder says. Raises InputError."""
    workspace = shared_workspace()
    documents = read_project(root, environment, workspace, environ=environ)
    return resolve(documents, environment, workspace)


def shown(diagnostics: tuple[Diagnostic, ...]) -> str:
    """Findings as text, each with everything that it carries."""
    blocks = [
        f"{found.span}: {found.severity} {found.code}: {found.summary}\n"
        f"    {found.detail}\n    {found.hint or '-'}\n"
        for found in diagnostics
    ]
    return "".join(blocks) or "nothing\n"
