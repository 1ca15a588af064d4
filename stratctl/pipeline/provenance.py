"""Where a configuration comes from: its commit, and whether it may act after what was applied."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from stratctl.core.errors import PlanStale

if TYPE_CHECKING:
    from stratctl.core.settings import Environment
    from stratctl.core.state import Booked

_GIT_SECONDS_MAX = 30
_DECLARING = ("stratctl.yaml", "strategies", "*.yaml", "*.yml")
"""What can change what is declared; a saved plan or a build beside it makes no tree dirty."""

_DECLARING_THOUGH_IGNORED = (
    "stratctl.yaml",
    "policy.yaml",
    *(f"strategies/*.{suffix}" for suffix in ("yaml", "yml", "csv", "jsonl", "ndjson", "parquet")),
)
"""What is read even where Git was told not to see it."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The configuration's place in history. Without Git only ``generation`` orders it."""

    root: Path
    commit: str | None
    dirty: bool
    generation: int | None


def provenance_of(root: Path, environment: Environment) -> Provenance:
    """Ask Git. A root whose project file is not tracked counts as outside Git."""
    tracked = _git(root, "ls-files", "--error-unmatch", "stratctl.yaml")
    commit = _git(root, "rev-parse", "--verify", "HEAD^{commit}")
    if tracked is None or commit is None:
        return Provenance(root, None, dirty=False, generation=environment.generation)
    status = ("status", "--porcelain", "--untracked-files=all")
    changed = _git(root, *status, "--", *_DECLARING)
    ignored = _git(root, *status, "--ignored", "--", *_DECLARING_THOUGH_IGNORED)
    dirty = changed != "" or ignored != ""
    return Provenance(root, commit.strip(), dirty=dirty, generation=environment.generation)


def tracked_files(root: Path, read: Iterable[str]) -> frozenset[str] | None:
    """Every file below the root that Git tracks, added ones too; None for a root outside Git.

    A file that was ``read`` through a link counts when both it and the link are tracked.
    """
    listed = _git(root, "ls-files", "-z", "--recurse-submodules")
    names = frozenset(listed.split("\0")) if listed else frozenset()
    if "stratctl.yaml" not in names:
        return None
    real = root.resolve()
    shared = {
        name
        for name in map(PurePosixPath, read)
        if (root / name).resolve().relative_to(real).as_posix() in names
        and any(str(step) in names for step in (name, *name.parents))
    }
    return names - frozenset(read) | {str(name) for name in shared}


def refuse_old_configuration(
    provenance: Provenance, environment: Environment, booked: Booked
) -> None:
    """Old configuration cannot act. Raises PlanStale.

    In Git the configuration must descend from the commit that was applied last; a clone that is
    too shallow to tell is refused. Outside Git a ``generation`` that never falls takes its place.
    """
    if provenance.commit is None:
        _refuse_fallen_generation(provenance, environment, booked)
        return
    if provenance.dirty and environment.production:
        raise PlanStale(
            "the work tree has changes that are not committed",
            hint=f"realm {environment.realm} applies committed configuration only",
        )
    applied = booked.applied_commit
    if applied is None or _descends(provenance, applied):
        return
    raise PlanStale(
        f"commit {provenance.commit[:12]} does not descend from {applied[:12]},"
        " which was applied last",
        hint="this is an old or another branch's configuration; apply the tip",
    )


def _descends(provenance: Provenance, applied: str) -> bool:
    answer = _run(provenance.root, "merge-base", "--is-ancestor", applied, "HEAD")
    if answer.returncode == 0:
        return True
    shallow = _git(provenance.root, "rev-parse", "--is-shallow-repository")
    if shallow and shallow.strip() == "true":
        raise PlanStale(
            f"this shallow clone cannot tell whether it descends from {applied[:12]}",
            hint="check out with fetch-depth: 0 (or run git fetch --unshallow)",
        )
    return False


def _refuse_fallen_generation(
    provenance: Provenance, environment: Environment, booked: Booked
) -> None:
    last, now = booked.applied_generation, provenance.generation
    if booked.applied_commit is not None:
        raise PlanStale(
            f"commit {booked.applied_commit[:12]} was applied last and this is not a Git checkout",
            hint="apply from a clone that holds its history",
        )
    if now is None and (last is not None or environment.production):
        raise PlanStale(
            "outside Git the project file needs a generation",
            hint=f"add generation: {(last or 0) + 1} to stratctl.yaml",
        )
    if last is not None and now is not None and now < last:
        raise PlanStale(
            f"generation {now} is older than {last}, which was applied last",
            hint="this is an old configuration; apply the newest",
        )


def _git(root: Path, *words: str) -> str | None:
    answer = _run(root, *words)
    return answer.stdout if answer.returncode == 0 else None


def _run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Git with an environment of its own, so that nobody's GIT_DIR redirects the question."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env={**clean, "LC_ALL": "C"},
            timeout=_GIT_SECONDS_MAX,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(["git", *words], 127, "", str(error))
