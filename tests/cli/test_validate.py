"""``stratctl validate``: every problem of every file and environment, in one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stratctl.cli.running import run
from tests.declare.world import ROOT, Project

TWO = (
    "kind: Project\nversion: 1\nenvironments:\n"
    "  b: {realm: sandbox, endpoint: sandbox, platform_code: PLAT01, funding_model: novated}\n"
    "  a: {realm: sandbox, endpoint: sandbox, platform_code: PLAT01, funding_model: novated}\n"
)

STRATEGY = (
    "kind: Strategy\nversion: 1\nname: {name}\nquoted_currency: {currency}\n"
    "environments: [{environment}]\nallocations: {{BTC: {weight}}}\n"
)


def validate(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    """The exit code, and code and place of every finding."""
    capsys.readouterr()
    code = run(["--chdir", str(root), *words, "validate", "--format", "json"])
    found = json.loads(capsys.readouterr().out)["diagnostics"]
    return code, [f"{one['code']} {one['span']['file']}:{one['span']['line']}" for one in found]


def test_a_run_says_its_result_and_nothing_else(tmp_path: Path) -> None:
    """Also when the process ends, where libraries like to complain about what they still hold."""
    Project(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "stratctl", "--chdir", str(tmp_path), "validate"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("No problems in sandbox.")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_environment_is_reported_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake of one environment hides no mistake, and no warning, of another."""

    def strategy(name: str, environment: str, weight: str, currency: str = "USD") -> str:
        return STRATEGY.format(name=name, environment=environment, weight=weight, currency=currency)

    wrong = {
        "stratctl.yaml": TWO,
        "strategies/x.yaml": strategy("sx", "a", "0.9"),
        "strategies/y.yaml": strategy("sy", "b", "0.8"),
        "strategies/z.yaml": strategy("sz", "b", "1", "SEK"),
    }
    project = Project(tmp_path, dict(wrong))
    assert validate(tmp_path, capsys) == (
        1,
        [
            "E_WEIGHT_SUM strategies/x.yaml:6",
            "E_WEIGHT_SUM strategies/y.yaml:6",
            "W_CURRENCY strategies/z.yaml:4",
        ],
    )
    assert validate(tmp_path, capsys, "--env", "a") == (1, ["E_WEIGHT_SUM strategies/x.yaml:6"])
    for name in ("x", "y"):
        project.write(
            f"strategies/{name}.yaml",
            strategy(f"s{name}", "a", "1"),
        )
    assert validate(tmp_path, capsys) == (0, ["W_CURRENCY strategies/z.yaml:4"])


def test_no_environment_has_to_be_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Validating is about all of them; only what is about one asks which."""
    Project(tmp_path, {"stratctl.yaml": TWO})
    assert run(["--chdir", str(tmp_path), "validate"]) == 0
    assert capsys.readouterr().out.startswith("No problems in a and b. a has 1 Strategy,")
    assert run(["--chdir", str(tmp_path), "plan"]) == 64


def test_a_broken_project_file_hides_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other documents and their tables are looked at all the same, and the policy is known."""
    Project(
        tmp_path,
        {
            "stratctl.yaml": "kind: Project\nversion: 1\n",
            "strategies/policy.yaml": "kind: Policy\nversion: 1\n",
            "strategies/blue-chip.yaml": "kind: Strategy\nversion: 2\n",
            "strategies/founders.yaml": (
                "kind: Cohort\nversion: 1\nname: founders\nstrategy: blue-chip\n"
                "source: {file: cohorts/m.csv}\n"
            ),
            "strategies/cohorts/m.csv": "participant_code,contributed\nCUST1,1.00\n",
        },
    )
    code, found = validate(tmp_path, capsys)
    assert code == 1
    assert [one for one in found if "blue-chip" not in one] == [
        "E_MISSING_KEY stratctl.yaml:1",
        "E_CODE_SYNTAX strategies/cohorts/m.csv:2",
    ]
    assert "E_VERSION strategies/blue-chip.yaml:2" in found
