"""The workflows: what every one must obey, and what their shell steps do to a running sandbox.

The steps are taken from the files as they are and run by bash, with what the runner would have put
around them: the variables, the summary file, the outputs file. The only stranger is ``gh``, which
stands for GitHub and keeps its comments in a file.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def load(name: str) -> dict[Any, Any]:
    """A workflow, parsed. (YAML 1.1 reads the key ``on`` as true.)"""
    found: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    return found


def steps(workflow: Mapping[Any, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step, with the name of its job."""
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            yield name, step


# What every workflow must obey.


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned(path: Path) -> None:
    """An action is named by a full commit and its version, an image by its digest."""
    for line in path.read_text().splitlines():
        if "uses:" in line:
            assert re.fullmatch(
                r"\s*(?:- )?uses: (?:"
                r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
                r"|docker://[\w./-]+:[\w.]+@sha256:[0-9a-f]{64})",
                line,
            ), line


def test_an_action_has_one_version() -> None:
    """All workflows use the same commit of an action."""
    used: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, version in re.findall(r"uses: (\S+?)@(.*)", path.read_text()):
            used.setdefault(action, set()).add(version)
    assert {action: versions for action, versions in used.items() if len(versions) > 1} == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_starts_with_no_rights(path: Path) -> None:
    """No workflow has rights; each job names its own, and none may write to the repository."""
    workflow = load(path.name)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        written = {name for name, right in job["permissions"].items() if right == "write"}
        assert written <= {"pull-requests"}
        assert job["timeout-minutes"] <= 45


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_started_by_what_it_may_trust(path: Path) -> None:
    """Workflows start on pull requests and pushes to main: nothing hands a fork our secrets."""
    triggers = load(path.name)[True]
    assert set(triggers) <= {"push", "pull_request"}
    assert triggers.get("push", {"branches": ["main"]}) == {"branches": ["main"]}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_value_is_pasted_into_a_script(path: Path) -> None:
    """A script holds no expression: values reach it through the environment, quoted."""
    for _, step in steps(load(path.name)):
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_check_out_leaves_no_token(path: Path) -> None:
    """The token of the check-out is not left in the workspace for later steps to find."""
    for _, step in steps(load(path.name)):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_only_apply_sees_the_key_that_can_write() -> None:
    """The write key is in one step of one job, behind the environment whose rules are approval."""
    seen = {
        (path.name, job, step["name"])
        for path in WORKFLOWS
        for job, step in steps(load(path.name))
        if "STRATCTL_WRITE_" in json.dumps(step)
    }
    assert seen == {("apply.yml", "apply", "Apply")}
    assert load("apply.yml")["jobs"]["apply"]["environment"].startswith("apply-")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_secret_needs_an_environment(path: Path) -> None:
    """A job that is given a secret names the environment that holds it."""
    for job in load(path.name)["jobs"].values():
        assert "secrets." not in json.dumps(job) or job["environment"]


def test_what_is_proposed_is_never_run() -> None:
    """Pull requests are planned by the base branch's code: the root holds that, always."""
    for job in load("plan.yml")["jobs"].values():
        trusted, proposed = (
            step["with"] for step in job["steps"] if "checkout" in step.get("uses", "")
        )
        assert trusted["ref"] == "${{ github.event.pull_request.base.sha }}"
        assert "path" not in trusted
        assert proposed["path"] == "proposed"


def test_an_apply_is_never_cancelled_for_another() -> None:
    """Applies wait for each other in one constant group."""
    concurrency = load("apply.yml")["concurrency"]
    assert concurrency == {"group": "stratctl-apply", "cancel-in-progress": False}


def test_a_signal_reaches_apply() -> None:
    """The step's process becomes stratctl, so that a cancelled job signals it."""
    (script,) = (
        step["run"] for _, step in steps(load("apply.yml")) if " apply " in step.get("run", "")
    )
    assert script.strip().splitlines()[-2].startswith("exec ")


# What the shell steps do.

GH = '''\
"""Stands for GitHub's own command: lists, adds and changes the comments of one file."""

import json, os, pathlib, sys

store = pathlib.Path(os.environ["FAKE_GITHUB"])
comments = json.loads(store.read_text())
assert os.environ["GH_TOKEN"], "gh needs a token"
arguments = sys.argv[1:]
assert arguments.pop(0) == "api"
method = arguments[arguments.index("--method") + 1] if "--method" in arguments else "GET"
(path,) = (argument for argument in arguments if argument.startswith("repos/"))
if method == "GET":
    assert path == "repos/owner/name/issues/7/comments" and "--paginate" in arguments
    for comment in comments:
        marked = comment["body"].startswith(os.environ["MARK"])
        if marked and comment["login"] == "github-actions[bot]":
            print(comment["id"])
    sys.exit()
field = arguments[arguments.index("--field") + 1]
assert field.startswith("body=@")
body = pathlib.Path(field.removeprefix("body=@")).read_text()
assert len(body) <= 65536, "GitHub refuses a longer comment"
if method == "POST":
    assert path == "repos/owner/name/issues/7/comments"
    comments.append({"id": len(comments) + 1, "login": "github-actions[bot]", "body": body})
else:
    assert method == "PATCH"
    at = path.removeprefix("repos/owner/name/issues/comments/")
    (comment,) = (each for each in comments if at == str(each["id"]))
    comment["body"] = body
store.write_text(json.dumps(comments))
'''

# Stands in where only the length of a plan matters: stratctl keeps its own Markdown short.
LONG = "#!/usr/bin/env bash\nyes '| é | a row of a very long plan |' | head -n 60000\n"


def executable(path: Path, text: str) -> None:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@dataclass
class Runner:
    """A machine that runs steps: its temporary folder, its workspace, and what steps left."""

    temp: Path
    workspace: Path
    environment: str
    credentials: Mapping[str, str]
    stratctl: str
    """The program of that name."""
    outcome: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        executable(self.temp / "stratctl" / "bin" / "stratctl", self.stratctl)
        (self.temp / "stratctl" / "bin" / "python").symlink_to(sys.executable)
        executable(self.temp / "bin" / "gh", f"#!{sys.executable}\n{GH}")
        self.comments_file.write_text("[]")
        self.summary.touch()
        self.outputs_file.touch()

    @property
    def comments_file(self) -> Path:
        return self.temp / "comments.json"

    @property
    def summary(self) -> Path:
        return self.temp / "summary.md"

    @property
    def outputs_file(self) -> Path:
        return self.temp / "outputs"

    @property
    def comments(self) -> list[dict[str, Any]]:
        """The comments of the pull request."""
        found: list[dict[str, Any]] = json.loads(self.comments_file.read_text())
        return found

    @property
    def outputs(self) -> dict[str, str]:
        """What steps wrote for other steps; the last one said wins."""
        return dict(line.split("=", 1) for line in self.outputs_file.read_text().splitlines())

    def run(
        self, workflow: str, job: str, name: str, **replaced: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one step of a workflow as the runner would; ``replaced`` overrides its variables."""
        document = load(workflow)
        (step,) = (step for step in document["jobs"][job]["steps"] if step["name"] == name)
        declared = {**document.get("env", {}), **document["jobs"][job].get("env", {})}
        declared |= step.get("env", {})
        variables = {
            variable: EXPRESSION.sub(lambda found: self.value(found.group(1)), str(text))
            for variable, text in declared.items()
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            capture_output=True,
            text=True,
            timeout=120,
            env={
                "PATH": f"{self.temp / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.temp),
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_OUTPUT": str(self.outputs_file),
                "GITHUB_REPOSITORY": "owner/name",
                "GITHUB_STEP_SUMMARY": str(self.summary),
                "RUNNER_TEMP": str(self.temp),
                "FAKE_GITHUB": str(self.comments_file),
                **variables,
                **replaced,
            },
        )
        if "id" in step:
            self.outcome[step["id"]] = "success" if done.returncode == 0 else "failure"
        return done

    def value(self, expression: str) -> str:
        """What the runner would put in an expression's place. An unknown one is a KeyError."""
        if expression.startswith("secrets."):
            return self.credentials[expression.removeprefix("secrets.")]
        if expression.startswith("needs.plan.outputs."):
            return self.outputs[expression.removeprefix("needs.plan.outputs.")]
        return {
            "vars.STRATCTL_ENVIRONMENT": self.environment,
            "github.token": "token-of-the-run",
            "github.event.pull_request.number": "7",
            "github.server_url": "https://github.example",
            "github.repository": "owner/name",
            "github.run_id": "42",
            "steps.plan.outcome": self.outcome.get("plan", ""),
        }[expression]


STRATEGY = """\
kind: Strategy
version: 1
name: basket
quoted_currency: USD
allocations: {BTC: 0.50, ETH: 0.50}
---
kind: Cohort
version: 1
name: first
strategy: basket
participants:
"""


def examples() -> tuple[dict[str, Any], str, list[str]]:
    """The project file of this repository, its sandbox environment, and codes that exist there."""
    project = yaml.safe_load((ROOT / "stratctl.yaml").read_text())
    (environment,) = (
        name for name, said in project["environments"].items() if said["endpoint"] == "sandbox"
    )
    codes = [
        str(participant["participant_code"])
        for path in sorted((ROOT / "strategies").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        for participant in document.get("participants", [])
    ]
    return project, environment, codes


def declare(project: Path, amounts: list[str]) -> None:
    """Commit a basket whose first participants have contributed so much."""
    _, _, codes = examples()
    rows = (
        f"  - {{participant_code: {code}, contributed: {amount}}}\n"
        for code, amount in zip(codes, amounts, strict=False)
    )
    (project / "strategies" / "basket.yaml").write_text(STRATEGY + "".join(rows))
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Declare")


def git(project: Path, *arguments: str) -> None:
    """Run git in the project, as a person who is nobody in particular."""
    person = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", *person, *arguments], cwd=project, check=True, capture_output=True)


@pytest.fixture
def bare(tmp_path: Path) -> Runner:
    """A runner with an empty workspace, and with stratctl replaced by a program that says a lot."""
    (tmp_path / "workspace").mkdir()
    keys = [f"STRATCTL_READ_{part}" for part in ("KEY", "SECRET", "PASSPHRASE")]
    return Runner(tmp_path / "temp", tmp_path / "workspace", "cert", dict.fromkeys(keys, "x"), LONG)


@pytest.fixture
def runner(tmp_path: Path, warm_stratctl: Path) -> Iterator[Runner]:
    """A runner whose workspace holds a proposed project, and a sandbox that the project finds."""
    workspace = tmp_path / "workspace"
    project = workspace / "proposed"
    (project / "strategies").mkdir(parents=True)
    said, environment, _ = examples()
    said["journal"] = {"directory": ".stratctl/journal", "persistent": True}
    (project / "stratctl.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    shutil.copy(ROOT / "policy.yaml", project)
    (project / ".gitignore").write_text(".stratctl/\n")
    git(project, "init", "--quiet", "--initial-branch", "main")
    declare(project, ["1500.00", "500.00"])

    temp = tmp_path / "temp"
    credentials = temp / "credentials"
    sandbox = subprocess.Popen(
        [
            *(str(warm_stratctl), "--chdir", str(project), "sandbox", "--port", "0"),
            *("--participants", "5000", "--credentials", str(credentials)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert sandbox.stdout is not None
        assert json.loads(sandbox.stdout.readline())
        lines = credentials.read_text().splitlines()
        lines.append(f"STRATCTL_HEAD_KEY={b64encode(b'k' * 32).decode()}")
        keys = dict(line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
        yield Runner(temp, workspace, environment, keys, warm_stratctl.read_text())
    finally:
        sandbox.terminate()
        sandbox.communicate(timeout=20)


def test_a_proposal_is_planned_and_shown_once(runner: Runner) -> None:
    """A plan is in the summary and in one comment, which the next push edits in place."""
    assert runner.run("plan.yml", "validate", "Validate").returncode == 0
    assert runner.run("plan.yml", "validate", "Check the layout").returncode == 0

    planned = runner.run("plan.yml", "plan", "Plan")
    assert planned.returncode == 0, planned.stderr
    assert "basket" in runner.summary.read_text()
    commented = runner.run("plan.yml", "plan", "Comment")
    assert commented.returncode == 0, commented.stderr
    (comment,) = runner.comments
    assert "2,000.00" in comment["body"]

    declare(runner.workspace / "proposed", ["1500.00", "900.00"])
    assert runner.run("plan.yml", "plan", "Plan").returncode == 0
    assert runner.run("plan.yml", "plan", "Comment").returncode == 0
    (edited,) = runner.comments
    assert edited["id"] == comment["id"]
    assert "2,400.00" in edited["body"]

    shown = json.dumps(runner.comments) + runner.summary.read_text()
    assert not [name for name, secret in runner.credentials.items() if secret in shown]


def test_a_mistake_is_annotated_where_it_is(runner: Runner) -> None:
    """Validation of a bad file fails and points at the line in GitHub's own words."""
    file = runner.workspace / "proposed" / "strategies" / "basket.yaml"
    file.write_text(file.read_text().replace("BTC: 0.50", "BTC: 0.40"))
    validated = runner.run("plan.yml", "validate", "Validate")
    assert validated.returncode == 1
    assert re.search(r"^::error file=\S*strategies/basket\.yaml,line=\d+", validated.stdout, re.M)


def test_a_failed_plan_says_so_in_the_comment(runner: Runner) -> None:
    """Without a plan the comment points at the log, and the job has failed."""
    file = runner.workspace / "proposed" / "strategies" / "basket.yaml"
    file.write_text("kind: Strategy\n")
    assert runner.run("plan.yml", "plan", "Plan").returncode == 1
    assert runner.run("plan.yml", "plan", "Comment").returncode == 0
    (comment,) = runner.comments
    assert "https://github.example/owner/name/actions/runs/42" in comment["body"]


def test_a_refused_plan_is_shown_all_the_same(runner: Runner) -> None:
    """A guard fails the job, and the comment says that the plan it shows would be refused."""
    declare(runner.workspace / "proposed", ["9000000.00", "9000000.00"])
    assert runner.run("plan.yml", "plan", "Plan").returncode == 3
    assert runner.run("plan.yml", "plan", "Comment").returncode == 0
    (comment,) = runner.comments
    assert "would be refused" in comment["body"]
    assert "18,000,000.00" in comment["body"]


def test_a_long_plan_is_cut_below_githubs_limits(bare: Runner) -> None:
    """Of two megabytes the summary gets under 1 MiB, the comment under 60,000 characters."""
    assert bare.run("plan.yml", "plan", "Plan").returncode == 0
    assert 900_000 < bare.summary.stat().st_size < 1 << 20
    assert bare.summary.read_text().endswith("|\n")

    commented = bare.run("plan.yml", "plan", "Comment")
    assert commented.returncode == 0, commented.stderr
    (comment,) = bare.comments
    assert 50_000 < len(comment["body"]) < 60_000
    assert comment["body"].endswith("|\n")
    assert "Shortened" in comment["body"]


def test_the_longest_summary_of_an_apply_is_cut_too(bare: Runner) -> None:
    """The plan of the tip obeys the same limit."""
    assert bare.run("apply.yml", "plan", "Plan").returncode == 0
    assert 900_000 < bare.summary.stat().st_size < 1 << 20


def test_somebody_elses_comment_is_left_alone(bare: Runner) -> None:
    """A person who copies the hidden mark does not get their comment overwritten."""
    assert bare.run("plan.yml", "plan", "Plan").returncode == 0
    assert bare.run("plan.yml", "plan", "Comment").returncode == 0
    (ours,) = bare.comments
    theirs = {"id": 1, "login": "somebody", "body": ours["body"]}
    bare.comments_file.write_text(json.dumps([theirs]))
    assert bare.run("plan.yml", "plan", "Comment").returncode == 0
    assert bare.comments[0] == theirs
    assert len(bare.comments) == 2


def test_another_environment_has_another_comment(bare: Runner) -> None:
    """The mark names environment and root, so two plans of one pull request stand side by side."""
    assert bare.run("plan.yml", "plan", "Plan").returncode == 0
    for environment in ("cert", "prod", "cert"):
        bare.environment = environment
        assert bare.run("plan.yml", "plan", "Comment").returncode == 0
    assert len(bare.comments) == 2


def test_what_was_merged_is_planned_published_and_applied(runner: Runner, tmp_path: Path) -> None:
    """The tip is planned, its digest handed on, that file applied, and then nothing is left."""
    runner.workspace = runner.workspace / "proposed"
    journal = tmp_path / "disk"
    for job in ("plan", "apply"):
        assert (
            runner.run("apply.yml", job, "Link the journal", JOURNAL=str(journal)).returncode == 0
        )

    planned = runner.run("apply.yml", "plan", "Plan")
    assert planned.returncode == 0, planned.stderr
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=runner.workspace, capture_output=True, text=True
    )
    assert runner.outputs["changes"] == "true"
    assert runner.outputs["commit"] == head.stdout.strip()
    assert runner.outputs["digest"] in runner.summary.read_text()

    applied = runner.run("apply.yml", "apply", "Apply")
    assert applied.returncode == 0, applied.stderr
    assert list(journal.rglob("*.jsonl")), "the journal lies on the disk that outlives the run"
    assert list(runner.workspace.glob(kept_heads())), "the head is where it is taken from"
    assert runner.run("apply.yml", "apply", "Verify the log").returncode == 0

    assert runner.run("apply.yml", "plan", "Plan").returncode == 0
    assert runner.outputs["changes"] == "false"


def kept_heads() -> str:
    """What the artifact with the signed head is made of."""
    jobs = load("apply.yml")["jobs"]["apply"]["steps"]
    (step,) = (step for step in jobs if step["name"] == "Keep the signed head")
    return str(step["with"]["path"])


def test_another_plan_than_the_approved_one_is_refused(runner: Runner, tmp_path: Path) -> None:
    """A file whose digest is not the one that was handed on is not applied."""
    runner.workspace = runner.workspace / "proposed"
    journal = str(tmp_path / "disk")
    assert runner.run("apply.yml", "plan", "Link the journal", JOURNAL=journal).returncode == 0
    assert runner.run("apply.yml", "plan", "Plan").returncode == 0
    assert runner.run("apply.yml", "apply", "Apply", DIGEST="0" * 64).returncode == 4
    assert not list((tmp_path / "disk").rglob("*.jsonl"))


def test_every_step_that_runs_stratctl_is_run_here() -> None:
    """No shell step of plan.yml and apply.yml, but the installation, goes without a test."""
    tested = set(
        re.findall(
            r'"((?:plan|apply)\.yml)", (?:"(\w+)"|job), "([^"]+)"', Path(__file__).read_text()
        )
    )
    named = {(workflow, name) for workflow, _, name in tested}
    shell = {
        (workflow, step["name"])
        for workflow in ("plan.yml", "apply.yml")
        for _, step in steps(load(workflow))
        if "run" in step and step["name"] != "Install stratctl"
    }
    assert shell == named
