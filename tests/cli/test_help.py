"""Help, usage errors, and what the command line must not import to answer."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from stratctl.cli.commands import COMMANDS, Command, Group, stratctl
from stratctl.cli.exits import Exit
from stratctl.cli.running import run
from stratctl.cli.schema import KINDS, SHELLS
from stratctl.cli.state import GLOBAL

ROOT = Path(__file__).parents[2]
HEAVY = {
    "deepdiff",
    "duckdb",
    "httpx",
    "jsonschema",
    "msgspec",
    "pydantic",
    "rich",
    "starlette",
    "uvicorn",
    "yaml",
}


def every_command() -> dict[str, click.Command]:
    """All commands, by the words that call them."""
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = stratctl.get_command(click.Context(stratctl), name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {child}": one for child, one in command.commands.items()}
    return found


def test_help_loads_nothing_heavy() -> None:
    """The top help answers from click and the standard library alone."""
    script = (
        "import sys; from stratctl.cli.running import run; code = run(['--help']); "
        "loaded = {name.partition('.')[0] for name in sys.modules}; "
        "print('LOADED', ' '.join(sorted(loaded)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.partition("LOADED ")[2].split())
    assert "click" in loaded
    assert not loaded & HEAVY


def test_help_imports_no_command() -> None:
    """The help lines come from the table, not from the commands."""
    script = (
        "import sys; from stratctl.cli.running import run; run(['--help']); "
        "print('LOADED', ' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.partition("LOADED ")[2].split())
    assert not loaded & {f"stratctl.cli.{module}" for module, _ in COMMANDS.values()}


def test_a_plan_is_shown_without_what_makes_or_applies_one() -> None:
    """Importing the verbs imports none of their stages: showing a large plan has no time for it."""
    script = "import sys; import stratctl.pipeline; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "stratctl.planfile" in loaded
    stages = {f"stratctl.{name}" for name in ("apply", "journal", "live", "load", "plan")}
    assert not loaded & (stages | HEAVY)


def test_the_module_runs_like_the_command() -> None:
    """``python -m stratctl`` is the console script."""
    done = subprocess.run(
        [sys.executable, "-m", "stratctl", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"stratctl, version \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("words", every_command())
def test_every_help_runs(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command explains itself, global options included."""
    assert run([*words.split(), "--help"]) == Exit.DONE
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: stratctl {words} ")
    if isinstance(every_command()[words], Command):
        assert "Examples:" in shown
        assert "--no-input" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    """The line in the table is the first line of the command's own help."""
    help_text = every_command()[name].help or ""
    assert help_text.splitlines()[0] == COMMANDS[name][1]


def test_every_command_takes_the_global_options() -> None:
    """No command was made without them."""
    for words, command in every_command().items():
        if not isinstance(command, Group):
            names = {parameter.name for parameter in command.params}
            assert names >= {option.name for option in GLOBAL}, words


@pytest.mark.parametrize(
    "line",
    [
        "",
        "frobnicate",
        "--frobnicate",
        "plan --frobnicate",
        "plan --format html",
        "plan --ack liquidations=3",
        "plan --reason because",
        "plan --ack frobnications=3 --reason because",
        "plan --ack liquidations=many --reason because",
        "plan --ack liquidations=1e3 --reason because",
        "plan --ack liquidations --reason because",
        "plan --ack turnover=1 --ack turnover=2 --reason because",
        "plan --snapshot /nowhere/at/all",
        "apply /nowhere/at/all",
        "show",
        "snapshot",
        "halt",
        "audit",
        "audit frobnicate",
        "schema frobnicate",
        "schema plan --write x",
        "sandbox --port 99999",
        "completion powershell",
        "--chdir /nowhere/at/all plan",
        "validate --env",
    ],
)
def test_a_usage_error_is_64_and_nothing_else(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing mistake can never read as "changes present", and standard output stays clean."""
    (tmp_path / "stratctl.yaml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = line.split()
    assert run(words) == Exit.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


@pytest.mark.parametrize("command", ["plan", "apply", "status", "validate", "audit verify"])
def test_no_project_is_a_usage_error(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Outside any project the command says what it looked for."""
    monkeypatch.chdir(tmp_path)
    assert run(command.split()) == Exit.USAGE
    assert "stratctl.yaml" in capsys.readouterr().err


def test_an_error_is_json_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json, before or after the command's name, failure is JSON with the same code."""
    monkeypatch.chdir(tmp_path)
    for line in ("--json status", "status --json", "status --format json"):
        assert run(line.split()) == Exit.USAGE
        captured = capsys.readouterr()
        assert json.loads(captured.out)["error"]["exit_code"] == Exit.USAGE
        assert captured.err == ""


def test_an_error_is_markdown_where_a_comment_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pull request learns why there is no plan; the log has it as text."""
    monkeypatch.chdir(tmp_path)
    assert run(["plan", "--format", "markdown"]) == Exit.USAGE
    captured = capsys.readouterr()
    assert captured.out.startswith("### stratctl: no plan")
    assert captured.err.startswith("error: ")


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each shell gets a script that calls back into stratctl."""
    assert run(["completion", shell]) == Exit.DONE
    assert "_STRATCTL_COMPLETE" in capsys.readouterr().out


def test_completion_completes() -> None:
    """The call that the script makes lists commands."""
    done = subprocess.run(
        [sys.executable, "-m", "stratctl"],
        cwd=ROOT,
        env={
            **os.environ,
            "_STRATCTL_COMPLETE": "bash_complete",
            "COMP_WORDS": "stratctl va",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout == "plain,validate\n"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_schema(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind that is offered is a JSON Schema of the one dialect."""
    assert run(["schema", kind]) == Exit.DONE
    dialect = "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(capsys.readouterr().out)["$schema"] == dialect


def test_the_kinds_are_all_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is listed, what is written and what is checked in are the same schemas."""
    assert run(["schema"]) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(KINDS)
    assert all(line.endswith(".") and len(line) <= 100 for line in lines)
    assert run(["--json", "schema"]) == Exit.DONE
    assert list(json.loads(capsys.readouterr().out)) == list(KINDS)
    assert run(["schema", "--write", str(tmp_path / "new")]) == Exit.DONE
    written = {path.name for path in (tmp_path / "new").iterdir()}
    assert written == {f"{kind}.schema.json" for kind in KINDS}
    assert written == {path.name for path in (ROOT / "schemas").glob("*.json")}


def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no folder can be made, the person who chose it is told so."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    for line in (["schema", "--write"], ["init"]):
        assert run([*line, str(tmp_path / "file" / "folder")]) == Exit.USAGE
        assert "cannot be written: Not a directory" in capsys.readouterr().err
