"""From a project root to a Configuration, whole or narrowed to some Strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic, in_reading_order
from stratctl.core.errors import InputError, UsageError
from stratctl.core.state import DESIRED_ROWS
from stratctl.core.tables import Workspace
from stratctl.load import read_project, read_project_file
from stratctl.resolve import resolve, resolve_environment

if TYPE_CHECKING:
    from stratctl.core.plan import Acknowledgement
    from stratctl.core.settings import Configuration, Environment
    from stratctl.documents import Documents


def configure(
    root: Path,
    environment: str | None,
    workspace: Workspace,
    acknowledgements: Sequence[Acknowledgement] = (),
    environ: Mapping[str, str] | None = None,
) -> Configuration:
    """Read and resolve one environment. Raises InputError with every problem at once.

    Without ``environ`` no network is touched, and what only a database knows is not looked at.
    """
    documents = read_project(root, environment, workspace, environ=environ)
    configuration = resolve(documents, environment, workspace)
    return replace(
        configuration,
        acknowledgements=(*configuration.acknowledgements, *acknowledgements),
    )


def chosen_environment(root: Path, environment: str | None, workspace: Workspace) -> Environment:
    """The environment by the project file alone. Raises InputError and UsageError."""
    project, name = read_project_file(root, environment, workspace)
    return resolve_environment(project, name)


def resolve_every_environment(root: Path) -> Configuration:
    """Read once, resolve each environment, and answer with the chosen one.

    Its warnings are those of all. Raises InputError with every problem of every environment.
    """
    workspace = Workspace()
    documents = read_project(root, None, workspace, every_environment=True)
    resolved = resolve_each(documents, documents.environments, workspace)
    found = [warning for one in resolved.values() for warning in one.desired.warnings]
    chosen = resolved[documents.environment]
    desired = replace(chosen.desired, warnings=in_reading_order(found))
    return replace(chosen, desired=desired, checked=documents.environments)


def resolve_each(
    documents: Documents, environments: Sequence[str], workspace: Workspace
) -> dict[str, Configuration]:
    """Environment -> what it comes to. Raises InputError with the problems of all of them, and
    then also their warnings."""
    resolved: dict[str, Configuration] = {}
    found: list[Diagnostic] = []
    for name in environments:
        try:
            resolved[name] = resolve(documents, name, workspace)
        except InputError as error:
            found.extend(error.diagnostics)
        else:
            found.extend(resolved[name].desired.warnings)
    if len(resolved) < len(environments):
        raise InputError(in_reading_order(found))
    return resolved


def narrowed(
    configuration: Configuration, *, target: Sequence[str], exclude: Sequence[str]
) -> Configuration:
    """Only the targeted Strategies, without the excluded ones. Raises UsageError for a name that
    is not declared: a typing error must not turn into an empty plan."""
    desired = configuration.desired
    known = [strategy.name for strategy in desired.strategies]
    unknown = sorted({*target, *exclude} - set(known))
    if unknown:
        raise UsageError(
            f"no Strategy is called {', '.join(unknown)}",
            hint=f"declared are {', '.join(known)}",
        )
    chosen = [name for name in known if (not target or name in target) and name not in exclude]
    if chosen == known:
        return configuration
    rows = desired.rows.workspace.select(
        "narrowed",
        DESIRED_ROWS,
        f"SELECT * FROM {desired.rows} WHERE list_contains($1::VARCHAR[], strategy)",
        [chosen],
    )
    strategies = tuple(s for s in desired.strategies if s.name in chosen)
    entries = tuple(entry for entry in desired.entries if entry.strategy in chosen)
    return replace(
        configuration,
        desired=replace(desired, strategies=strategies, rows=rows, entries=entries),
    )
