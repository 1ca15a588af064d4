"""A journal on a Git branch: a machine is lost with its disk, and a new clone goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stratctl import pipeline
from stratctl.core.errors import JournalUnavailable, LockHeld
from stratctl.core.surroundings import Surroundings
from tests.e2e.machines import Machines, eventually
from tests.e2e.world import Project
from tests.journal.remotes import bare

BRANCH = "refs/heads/stratctl-journal/local"


@pytest.fixture
def remote(project: Project, tmp_path: Path) -> Path:
    """The remote that the project's repository is pushed to."""
    at = bare(tmp_path / "remote.git")
    project.project["journal"] = {"git": {}}
    project.git("remote", "add", "origin", at.as_uri())
    return at


def declare(project: Project, codes: list[str]) -> None:
    """One Strategy, everybody with 100."""
    project.strategy("basket")
    project.cohort("everybody", "basket", dict.fromkeys(codes, "100.00"))
    project.save()
    project.git("push", "--quiet", "origin", "main")


def another_clone(project: Project, remote: Path) -> Path:
    """Another machine's clone; it has never seen the journal."""
    fresh = project.root.with_name(project.root.name + "-elsewhere")
    project.git("clone", "--quiet", "--single-branch", remote.as_uri(), str(fresh))
    return fresh


@pytest.mark.parametrize(
    "die_at", [["Attempt", 2], ["Answer", 2]], ids=lambda at: "-".join(map(str, at))
)
def test_a_lost_machine_is_replaced_by_a_new_clone(
    die_at: list[object], project: Project, remote: Path, warm: Machines
) -> None:
    """Killed between the push of an intent and its request, or after the request.

    Its disk is lost with everything that was not pushed. While its lease lasts nobody applies;
    then a new clone finishes what it began, and each flow moved exactly once.
    """
    codes = project.sandbox.participants(2)
    declare(project, codes)
    assert warm.apply(project, die_at=die_at, lease=1.5).killed
    fresh = another_clone(project, remote)
    shutil.rmtree(project.root)

    def finished() -> bool:
        try:
            return project.apply(root=fresh).exit_code == 0
        except LockHeld:
            return False

    eventually(finished)
    seen = project.witness("basket")
    assert seen.strategies == 1
    assert {code: moved.bought for code, moved in seen.moved.items()} == dict.fromkeys(codes, 100)
    assert len(seen.operations) == 1
    project.root = fresh
    project.assert_nothing_left()
    entries = list(pipeline.audit_log(fresh, environment=None))
    assert [said["type"] for said in entries].count("takeover") == 1
    assert pipeline.audit_verify(fresh, environment=None).holds


def test_nothing_is_sent_when_the_remote_cannot_be_reached(project: Project, remote: Path) -> None:
    """Neither at the beginning nor when it goes away before an intent is pushed."""
    declare(project, project.sandbox.participants(1))
    before = project.sandbox.mutations()
    gone = remote.with_name("gone.git")

    def pull_the_plug(plan: object) -> None:
        remote.rename(gone)

    with pytest.raises(JournalUnavailable, match="could not be pushed") as stopped:
        project.apply(approve=pull_the_plug)
    assert stopped.value.exit_code == 1
    with pytest.raises(JournalUnavailable, match="cannot be read"):
        project.apply()
    assert project.sandbox.mutations() == before


def test_a_ci_runner_may_use_it(project: Project, remote: Path) -> None:
    """Its disk dies with the job; the branch does not. One push for each intent and two more."""
    declare(project, project.sandbox.participants(1))
    report = pipeline.apply(
        project.root,
        environment=None,
        environ=Surroundings({**project.environ, "CI": "true"}),
        approved=None,
        expect_digest=None,
        acknowledgements=(),
        approve=lambda plan: None,
        progress=lambda what, done, total: None,
        watch=lambda event: None,
        stopping=lambda: False,
    )
    assert report.exit_code == 0
    types = [said["type"] for said in pipeline.audit_log(project.root, environment=None)]
    commits = project.git("rev-list", "--count", BRANCH, at=remote)
    assert int(commits) == types.count("intent") + 2
    project.assert_nothing_left()
