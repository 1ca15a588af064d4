"""Case folders: input laid over a small good project, all findings, and why the case exists."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.declare.world import ROOT, Project, shown

CASES = sorted(path for path in (ROOT / "tests" / "cases" / "declare").iterdir() if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_answered_as_written_down(
    case: Path, tmp_path: Path, golden: Callable[[Path, str], None]
) -> None:
    """Every finding of a case, with its place, its words and its way out, is what was reviewed."""
    project = Project(tmp_path)
    shutil.copytree(case / "input", tmp_path, dirs_exist_ok=True)
    golden(case / "expected.txt", shown(project.says()))


def test_every_case_says_why_it_exists() -> None:
    """A case that nobody can explain is not kept."""
    assert len(CASES) >= 80
    assert all((case / "why.md").read_text("utf-8").strip() for case in CASES)
