"""Same input, same bytes: whatever the hash seed, zone, locale, and order of files and rows."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from stratctl import pipeline
from stratctl.pipeline import planning
from stratctl.plan import worked_out
from tests.e2e.world import ROOT, Project, Sandbox, silent

PLAN = """
import os, sys
from pathlib import Path
from stratctl import pipeline
root, snapshot, out = map(Path, sys.argv[1:])
plan = pipeline.plan(
    root, environment=None, environ=os.environ, snapshot=snapshot, progress=lambda *_: None
)
pipeline.write_plan(plan, out)
print(plan.digest)
"""


@pytest.fixture
def pictured(project: Project, sandbox: Sandbox, tmp_path: Path) -> tuple[Project, Path]:
    """A project with every verb to plan, and a snapshot of live."""
    codes = sandbox.participants(12)
    project.strategy("core")
    project.strategy("theme", {"SOL": "0.25", "ETH": "0.75"})
    project.cohort("members", "core", dict.fromkeys(codes[:6], "100.00"))
    project.cohort("fans", "theme", dict.fromkeys(codes[3:9], "80.00"))
    project.save()
    project.settle()
    project.line("members", codes[0])["contributed"] = "150.00"
    project.line("members", codes[1])["withdrawn"] = "40.00"
    project.line("members", codes[2])["status"] = "exited"
    project.line("members", codes[4])["auto_rebalance"] = False
    project.cohort("new", "core", dict.fromkeys(codes[9:], "70.00"))
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.save()
    path = tmp_path / "snapshot"
    pipeline.snapshot(
        project.root, environment=None, environ=project.environ, path=path, progress=silent
    )
    return project, path


def planned(project: Project, snapshot: Path, out: Path, **environ: str) -> tuple[str, bytes]:
    """Plan in a process of its own; the digest and the file."""
    done = subprocess.run(
        [sys.executable, "-c", PLAN, str(project.root), str(snapshot), str(out)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **project.environ, **environ},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip(), out.read_bytes()


def test_seed_zone_and_locale(pictured: tuple[Project, Path], tmp_path: Path) -> None:
    """The same plan under another hash seed, zone and locale is the same file, byte by byte."""
    project, snapshot = pictured
    files = {
        planned(project, snapshot, tmp_path / f"plan{number}.zip", **environ)
        for number, environ in enumerate(
            (
                {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"},
                {"PYTHONHASHSEED": "99", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"},
            )
        )
    }
    assert len(files) == 1
    ((digest, _),) = files
    assert digest == project.plan().digest


def shuffled(project: Project) -> None:
    """Write the same documents under other file names, with lines in another order."""
    order = random.Random(5)
    for document in project.documents.values():
        order.shuffle(document.get("participants", []))
    for path in (project.root / "strategies").glob("*.yaml"):
        path.unlink()
    names = list(project.documents)
    order.shuffle(names)
    text = "\n---\n".join(json.dumps(project.documents[name]) for name in names)
    (project.root / "strategies" / "all.yaml").write_text(text + "\n", encoding="utf-8")


def test_files_and_lines_in_another_order(pictured: tuple[Project, Path]) -> None:
    """The same declarations in other files and another order are the same calls and rows.

    What is bound of the configuration, its digest and its commit, differs as it must.
    """
    project, snapshot = pictured
    before = project.plan(snapshot=snapshot).binding_text().splitlines()
    shuffled(project)
    after = project.plan(snapshot=snapshot).binding_text().splitlines()
    assert before[1:] == after[1:]
    assert before[0] != after[0]


def test_live_and_its_snapshot(pictured: tuple[Project, Path]) -> None:
    """A plan from a snapshot is the plan from live."""
    project, snapshot = pictured
    lines = [project.plan(snapshot=path).binding_text().splitlines() for path in (None, snapshot)]
    assert lines[0] == lines[1]


def test_pages_in_another_order(pictured: tuple[Project, Path]) -> None:
    """Lists that come newest first make the same plan."""
    project, _ = pictured
    before = project.plan().binding_text().splitlines()
    with project.sandbox.switched(list_order="newest_first", page_token_kind="offset"):
        assert project.plan().binding_text().splitlines() == before


def test_canary_a_plan_with_chance_in_it(
    pictured: tuple[Project, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where calls are numbered in any order, two plans differ: the law can fail."""
    flips = iter((False, True))

    def careless(*arguments: object) -> object:
        made = worked_out(*arguments)  # type: ignore[arg-type]  # the arguments come as a list
        calls = made.plan.calls[::-1] if next(flips) else made.plan.calls
        object.__setattr__(made.plan, "calls", calls)
        return made

    monkeypatch.setattr(planning, "worked_out", careless)
    with pytest.raises(AssertionError):
        test_live_and_its_snapshot(pictured)
