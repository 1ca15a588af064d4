"""Documents -> the desired state of one environment: defaults, references, weights, totals.

Pure: tables in, tables out. Every finding is collected and raised together with those of reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from stratctl.core.diagnostic import Diagnostic, Severity, in_reading_order
from stratctl.core.errors import InputError
from stratctl.core.settings import Configuration, Environment
from stratctl.core.state import Desired
from stratctl.core.tables import Workspace
from stratctl.documents import Documents, Project, Read
from stratctl.resolve.declared import declared_target
from stratctl.resolve.names import check_names, within
from stratctl.resolve.rows import resolve_rows
from stratctl.resolve.settings import acknowledgements, environment_of, policy_of
from stratctl.resolve.strategies import resolve_strategies
from stratctl.resolve.weights import resolve_weights

__all__ = ["resolve", "resolve_environment"]


def resolve(documents: Documents, environment: str | None, workspace: Workspace) -> Configuration:
    """What the project's files say for one environment; None is the one that was chosen.

    Raises InputError with every problem of reading and of meaning, in reading order.
    """
    chosen = environment or documents.environment
    problems: list[Diagnostic] = list(documents.problems)
    strategies = within(documents.strategies, chosen)
    cohorts = [members for members in documents.cohorts if within((members.read,), chosen)]
    check_names(documents, strategies, cohorts, chosen, problems)
    weights = resolve_weights(strategies, documents, problems)
    for part in documents.weights:
        written = part.document
        declared_target(written.allocations or {}, written.exits, part.places, problems)
    settings = environment_of(documents.project, chosen, problems)
    policy = policy_of(documents.policy, problems)
    declared = resolve_strategies(strategies, cohorts, weights, policy, chosen, problems)
    rows = resolve_rows(declared, strategies, workspace, problems)
    accepted = acknowledgements(within(documents.acknowledgements, chosen))
    if any(found.severity is Severity.ERROR for found in problems):
        raise InputError(in_reading_order(problems))
    files = {*documents.shared_files, *(file for members in cohorts for file in members.files)}
    answers = [answer for members in cohorts for answer in members.answers]
    digest = _digest(sorted([*((name, documents.digests[name]) for name in files), *answers]))
    desired = Desired(
        declared.strategies,
        rows.desired,
        digest,
        in_reading_order(problems),
        rows.entries,
        rows.entry_members,
    )
    return Configuration(settings, policy, desired, accepted)


def resolve_environment(project: Read[Project], environment: str) -> Environment:
    """One environment by the project file alone. Raises InputError for problems of that file."""
    problems: list[Diagnostic] = []
    settings = environment_of(project, environment, problems)
    if problems:
        raise InputError(in_reading_order(problems))
    return settings


def _digest(files: Iterable[tuple[str, str]]) -> str:
    hasher = hashlib.sha256()
    for name, content in files:
        hasher.update(f"{len(name)} {name} {content}\n".encode())
    return hasher.hexdigest()
