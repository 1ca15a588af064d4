"""From a project root to warnings: read for every environment, resolve, look around, lint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stratctl.lint import Surroundings, lint
from stratctl.load import listing, read_project
from stratctl.pipeline.configuring import resolve_each
from stratctl.pipeline.provenance import tracked_files

if TYPE_CHECKING:
    from stratctl.core.diagnostic import Diagnostic
    from stratctl.core.state import Live
    from stratctl.core.tables import Workspace


def lint_project(
    root: Path, environment: str | None, workspace: Workspace, live: Live | None = None
) -> tuple[Diagnostic, ...]:
    """Every warning about a project. ``live`` is that of ``environment``.

    Tables of every environment are read, whichever is looked at: a table that only another one
    names is not unused. Raises InputError and UsageError.
    """
    documents = read_project(root, environment, workspace, every_environment=True)
    chosen = documents.environments if environment is None else (documents.environment,)
    configurations = tuple(resolve_each(documents, chosen, workspace).values())
    surroundings = Surroundings(
        listing(root, documents.digests), tracked_files(root, documents.digests)
    )
    return lint(documents, configurations, surroundings, live)
