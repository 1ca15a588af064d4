"""Old configuration cannot act: only what descends from the last applied commit may apply."""

import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from stratctl.core.errors import InputError, PlanStale
from stratctl.pipeline import applying
from stratctl.pipeline.provenance import provenance_of, refuse_old_configuration
from stratctl.pipeline.session import Session
from tests.e2e.world import Project, Sandbox


@pytest.fixture
def grown(project: Project, sandbox: Sandbox) -> tuple[Project, str, list[str]]:
    """Two applied commits, the second one with a top-up; and the first one's id."""
    return grow(project, sandbox.participants(3))


def grow(project: Project, codes: list[str]) -> tuple[Project, str, list[str]]:
    """Apply twice."""
    project.strategy("core")
    project.cohort("members", "core", dict.fromkeys(codes[:2], "100.00"))
    project.save("first")
    project.settle()
    first = project.git("rev-parse", "HEAD")
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save("second")
    project.settle()
    return project, first, codes


def refused(project: Project, **more: object) -> PlanStale:
    """The refusal of an apply that sent nothing."""
    before = project.sandbox.mutations()
    with pytest.raises(PlanStale) as caught:
        project.apply(**more)  # type: ignore[arg-type]  # the options are written once for all cases
    assert caught.value.exit_code == 4
    assert project.sandbox.mutations() == before
    return caught.value


def test_an_older_commit(grown: tuple[Project, str, list[str]]) -> None:
    """A checkout of a commit before the last applied one is refused, even with new rows in it."""
    project, first, _ = grown
    project.git("checkout", "--quiet", first)
    assert "does not descend" in str(refused(project))


def test_another_branch(grown: tuple[Project, str, list[str]]) -> None:
    """A branch that left before the last applied commit is refused, whatever it declares."""
    project, first, codes = grown
    project.git("checkout", "--quiet", "-b", "side", first)
    project.line("members", codes[1])["contributed"] = "170.00"
    project.save("side")
    assert "does not descend" in str(refused(project))
    project.git("checkout", "--quiet", "main")
    project.git("merge", "--quiet", "--strategy", "ours", "--message", "merge", "side")
    assert project.apply().exit_code == 0


def test_a_shallow_clone_that_cannot_tell(
    grown: tuple[Project, str, list[str]], tmp_path: Path
) -> None:
    """A clone without the last applied commit is refused and told what to ask its checkout for."""
    project, _, codes = grown
    for amount in ("155.00", "160.00"):
        project.line("members", codes[0])["contributed"] = amount
        project.save()
    clone = tmp_path / "clone"
    project.git("clone", "--quiet", "--depth", "1", project.root.as_uri(), str(clone))
    shutil.copytree(project.root / ".stratctl", clone / ".stratctl")
    error = refused(project, root=clone)
    assert "fetch-depth: 0" in error.hint
    project.git("fetch", "--quiet", "--unshallow", at=clone)
    assert project.apply(root=clone).exit_code == 0


def test_a_shallow_clone_that_can_tell(
    grown: tuple[Project, str, list[str]], tmp_path: Path
) -> None:
    """A shallow clone that holds the last applied commit may apply."""
    project, _, codes = grown
    project.line("members", codes[0])["contributed"] = "155.00"
    project.save()
    clone = tmp_path / "clone"
    project.git("clone", "--quiet", "--depth", "2", project.root.as_uri(), str(clone))
    shutil.copytree(project.root / ".stratctl", clone / ".stratctl")
    assert project.apply(root=clone).exit_code == 0


def test_a_dirty_tree(grown: tuple[Project, str, list[str]]) -> None:
    """Uncommitted changes act in no production realm, and may elsewhere."""
    project, _, _ = grown
    (project.root / "strategies" / "note.txt").write_text("not committed", encoding="utf-8")
    assert project.apply().exit_code == 0
    with Session(project.root, None, project.environ) as session:
        booked = session.read_journal().booked(session.workspace)
        for realm in ("prod", "prod-eu"):
            environment = replace(session.environment, realm=realm)
            provenance = provenance_of(project.root, environment)
            with pytest.raises(PlanStale, match="not committed"):
                refuse_old_configuration(provenance, environment, booked)


def test_totals_never_go_backwards(grown: tuple[Project, str, list[str]]) -> None:
    """A declared total below what has moved is an error with its line, on top of any commit."""
    project, _, codes = grown
    project.line("members", codes[0])["contributed"] = "120.00"
    project.save()
    before = project.sandbox.mutations()
    with pytest.raises(InputError) as caught:
        project.apply()
    (problem,) = caught.value.diagnostics
    assert problem.code == "E_DECLARED_BACKWARDS"
    assert problem.span is not None
    assert problem.span.file.endswith("members.yaml")
    assert project.sandbox.mutations() == before


def test_a_generation_outside_git(project: Project, sandbox: Sandbox) -> None:
    """Outside Git a generation takes the commit's place: it may not fall, nor go missing."""
    codes = sandbox.participants(2)
    project.strategy("core")
    project.cohort("members", "core", dict.fromkeys(codes, "100.00"))
    project.project["generation"] = 7
    project.save()
    shutil.rmtree(project.root / ".git")
    project.git = lambda *words, at=None: ""  # type: ignore[method-assign]  # this copy has no Git
    project.settle()

    def with_generation(generation: int | None) -> None:
        project.project["generation"] = generation
        if generation is None:
            del project.project["generation"]
        project.save()

    with_generation(6)
    assert "generation 6 is older than 7" in str(refused(project))
    with_generation(None)
    assert "generation: 8" in refused(project).hint
    for generation in (7, 8):
        project.line("members", codes[0])["contributed"] = f"{100 + 50 * generation}.00"
        with_generation(generation)
        project.settle()
    assert project.witness("core").moved[codes[0]].bought == Decimal("500.00")


def test_outside_git_after_a_commit(grown: tuple[Project, str, list[str]]) -> None:
    """Once a commit was applied, a copy without its history is refused."""
    project, _, _ = grown
    shutil.rmtree(project.root / ".git")
    assert "not a Git checkout" in str(refused(project))


def test_git_is_not_redirected(
    grown: tuple[Project, str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """GIT_DIR and its kin in the environment do not change whose history is asked."""
    project, first, _ = grown
    monkeypatch.setenv("GIT_DIR", str(project.root / "nowhere"))
    monkeypatch.setenv("GIT_WORK_TREE", "/")
    project.git("checkout", "--quiet", first)
    assert "does not descend" in str(refused(project))


def test_canary_old_configuration_that_nobody_refuses(
    grown: tuple[Project, str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the refusal an old branch acts, and its test fails: the law can fail."""
    project, _, codes = grown
    monkeypatch.setattr(applying, "refuse_old_configuration", lambda *_: None)
    with pytest.raises(pytest.fail.Exception):
        test_another_branch(grown)
    assert project.witness("core").moved[codes[1]].bought == Decimal("170.00")
