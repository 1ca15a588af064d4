"""Global options, colours, streams, signals and bugs."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from stratctl.cli.commands import Command
from stratctl.cli.console import Console, Counts
from stratctl.cli.exits import Exit
from stratctl.cli.init import FILES
from stratctl.cli.outputs import write_outputs
from stratctl.cli.running import run
from stratctl.cli.schema import KINDS
from stratctl.cli.state import State

ROOT = Path(__file__).parents[2]


def state_after(*words: str) -> State:
    """The state that a command sees which is called with these words."""
    seen = State()

    @click.command(cls=Command)
    def probe() -> None:
        """Do nothing."""

    probe.main(list(words), standalone_mode=False, obj=seen)
    return seen


def test_options_are_taken() -> None:
    """Each global option reaches the state."""
    state = state_after("--env", "prod", "--no-color", "--no-input", "-q", "-vv", "--json")
    assert (state.env, state.no_color, state.input, state.quiet) == ("prod", True, False, True)
    assert (state.verbose, state.json, state.format) == (2, True, "json")
    assert not state.console.colors
    assert state.console.quiet


def test_a_format_of_its_own_wins_over_json() -> None:
    """``--format text --json`` shows text."""
    state = state_after("--json")
    assert state.choose("text") == "text"
    assert state_after("--json").choose(None) == "json"
    assert state_after().choose(None) == "text"


@pytest.mark.parametrize("variable", ["STRATCTL_NO_COLOR", "NO_COLOR"])
def test_colours_can_be_switched_off(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both variables that people know are obeyed, before any command's name."""
    monkeypatch.setenv(variable, "1")
    state = State()
    assert run(["schema"], state) == Exit.DONE
    assert not state.console.colors


@pytest.mark.parametrize(
    "variable",
    [
        "STRATCTL_ENV",
        "STRATCTL_AUTO_APPROVE",
        "STRATCTL_ACK",
        "STRATCTL_ACKS",
        "STRATCTL_REASON",
        "STRATCTL_EXPECT_DIGEST",
        "STRATCTL_CHDIR",
        "STRATCTL_INPUT",
    ],
)
def test_no_variable_decides_where_money_moves(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment, approval and acknowledgements come from the command line only."""
    monkeypatch.setenv(variable, "prod")
    state = State()
    run(["schema"], state)
    assert (state.env, state.chdir, state.input) == (None, None, None)


def test_chdir_is_undone(tmp_path: Path) -> None:
    """A run from elsewhere leaves the process where it was."""
    before = Path.cwd()
    assert run(["--chdir", str(tmp_path), "status"]) == Exit.USAGE
    assert Path.cwd() == before


def test_nobody_is_there_to_answer_a_pipe() -> None:
    """Without a terminal nothing is asked."""
    assert not State().interactive
    assert not State(input=False).interactive


# --- streams ---------------------------------------------------------------------------------


def test_quiet_silences_talk_and_never_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Notes and progress go away, results and errors stay."""
    console = Console()
    console.quiet = True
    console.note("note\n")
    console.progress("reading", 1, 2)
    console.result("result\n")
    console.error("error\n")
    assert capsys.readouterr() == ("result\n", "error\n")


def test_short_work_says_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """A log has no line for what is done before anybody wonders."""
    console = Console()
    for done in range(101):
        console.progress("reading", done, 100)
    console.close()
    assert capsys.readouterr().err == ""


def test_long_work_says_now_and_then_where_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every few seconds of silence a line says what moved since the last one."""
    seconds = iter([0.0, 1.0, 4.0, 5.0, 10.0])
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr("stratctl.cli.console.time", clock)
    console = Console()
    console.progress("traders", 200, None)
    console.progress("holdings", 1_000, None)
    assert capsys.readouterr().err == ""
    console.progress("traders", 400, None)
    console.progress("traders", 600, None)
    assert capsys.readouterr().err == "1,000 holdings, 400 traders\n600 traders\n"


def test_a_terminal_s_line_shows_what_moved_last() -> None:
    """However many things are counted side by side, they fit on one line."""
    counts = Counts()
    for number in range(9):
        counts.take(f"traders of {number}", 200)
    counts.take("traders of 0", 400)
    assert counts.latest() == "400 traders of 0, 200 traders of 7, 200 traders of 8"


@pytest.mark.parametrize(("columns", "width"), [(40, 80), (90, 90), (200, 100)])
def test_results_fit_the_terminal_between_80_and_100(
    columns: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal's own width counts within reason; a pipe always gets the same text."""
    monkeypatch.setenv("COLUMNS", str(columns))
    assert Console().width == 100
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert Console().width == width


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sees bars, and text written meanwhile stands whole on lines of its own."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    console = Console()
    console.progress("reading [bold]", 1, 2)
    console.error("a [red]warning[/red]\n")
    console.pause()
    console.progress("reading", 2, 2)
    console.close()
    assert "a [red]warning[/red]" in terminal.getvalue()
    assert console.colors_errors


def test_a_reader_that_goes_away_changes_nothing() -> None:
    """A closed pipe neither fails the command nor changes its exit code."""
    script = (
        "import sys, time; from stratctl.cli.console import Console; console = Console()\n"
        "for _ in range(50):\n    console.result('x' * 10000)\n"
        "sys.exit(5)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.wait(timeout=30) == 5
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_signal_ends_a_question_whichever_thread_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C at a question is heard even where it does not interrupt the read."""
    reading, writing = os.pipe()
    heard, missed = threading.Event(), []

    def interrupt() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        if not heard.wait(10):
            missed.append(os.write(writing, b"so that the read ends\n"))

    another = threading.Timer(0.1, interrupt)
    # A shell lets what it starts in the background ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with os.fdopen(reading) as terminal, os.fdopen(writing, "wb"):
        monkeypatch.setattr(sys, "stdin", terminal)
        another.start()
        with pytest.raises(KeyboardInterrupt):
            Console().ask("> ")
        heard.set()
        another.join()
    signal.signal(signal.SIGINT, before)
    assert not missed


def test_a_terminal_that_knows_only_ascii_is_enough(tmp_path: Path) -> None:
    """Characters that it cannot show are escaped, and the exit code does not change for them."""
    assert run(["-q", "init", str(tmp_path)]) == Exit.DONE
    broken = tmp_path / "strategies" / "blue-chip.yaml"
    text = broken.read_text().replace("0.20} # exactly", "0.25} # pr\u00e9cis\u00e9ment")
    broken.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "stratctl", "--chdir", str(tmp_path), "validate"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert done.stderr == b""
    assert b"pr\\xe9cis\\xe9ment" in done.stdout
    assert done.returncode == Exit.ERROR


# --- signals and bugs ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)]
)
def test_a_signal_has_its_own_code(number: signal.Signals, code: Exit, tmp_path: Path) -> None:
    """A command that is stopped while it waits ends with 130 or 143, and says so."""
    pipe = tmp_path / "plan.zip"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "stratctl", "show", str(pipe)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Opening our end returns when the command has opened its own; then it waits for bytes.
    with pipe.open("wb"):
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Interrupted." in said
    assert "Traceback" not in said


BUG = (
    "import stratctl.cli.state as state\n"
    "def root(self):\n"
    "    secret = 'hunter2'\n"
    "    raise ZeroDivisionError('broken')\n"
    "state.State.root = root\n"
    "from stratctl.cli import main; main()"
)


@pytest.mark.parametrize("flags", [[], ["-vv"]])
def test_a_bug_is_said_to_be_one(flags: list[str]) -> None:
    """A bug ends with 1 and its place; a traceback only on request, and never a variable."""
    done = subprocess.run(
        [sys.executable, "-c", BUG, "status", *flags], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == Exit.ERROR
    assert done.stderr.startswith("stratctl has a bug: ZeroDivisionError at ")
    assert ("Traceback" in done.stderr) == bool(flags)
    assert "hunter2" not in done.stderr.replace("secret = 'hunter2'", "")
    assert done.stdout == ""


# --- outputs ---------------------------------------------------------------------------------


def test_outputs_cannot_end_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value with line feeds and heredoc words sets one output and nothing else."""
    target = tmp_path / "outputs"
    monkeypatch.setenv("GITHUB_OUTPUT", str(target))
    hostile = {
        "plan_path": "x\nEOF\nhas_changes<<EOF\nfalse\nEOF",
        "plan_digest": "x\n",
        "cash_in": "a=b<<c",
        "exit_code": "0",
        "liquidations": "",
    }
    write_outputs(hostile)
    assert parse_outputs(target.read_text()) == hostile


def test_without_a_workflow_no_outputs_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell without GITHUB_OUTPUT is left alone."""
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    write_outputs({"exit_code": "0"})


def parse_outputs(text: str) -> dict[str, str]:
    """Outputs as a workflow reads them: assignments, and heredocs that end at their own mark."""
    found: dict[str, str] = {}
    lines = iter(text.removesuffix("\n").split("\n"))
    for line in lines:
        if re.match("[a-z_]+=", line):
            name, _, said = line.partition("=")
            found[name] = said
        else:
            name, _, mark = line.partition("<<")
            value = []
            for inner in lines:
                if inner == mark:
                    break
                value.append(inner)
            found[name] = "\n".join(value)
    return found


def test_a_finding_shows_its_source_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line with the mistake is shown with a caret, in text and as annotation and JSON."""
    assert run(["-q", "init", str(tmp_path)]) == Exit.DONE
    broken = tmp_path / "strategies" / "blue-chip.yaml"
    broken.write_text(broken.read_text().replace("0.20", "0.25"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(["validate"]) == Exit.ERROR
    text = capsys.readouterr().out
    assert "strategies/blue-chip.yaml:7:" in text
    assert "| allocations: {BTC: 0.50, ETH: 0.30, SOL: 0.25}" in text
    assert run(["validate", "--format", "github"]) == Exit.ERROR
    assert capsys.readouterr().out.startswith("::error file=strategies/blue-chip.yaml,line=7,")
    assert run(["validate", "--format", "json"]) == Exit.ERROR
    assert json.loads(capsys.readouterr().out)["summary"].startswith("1 error")
    assert run(["validate", "strategies/founders.yaml"]) == Exit.ERROR
    captured = capsys.readouterr()
    assert captured.out == "No problems found.\n"
    assert captured.err == "1 more in other files.\n"
    assert run(["validate", "strategies"]) == Exit.ERROR
    assert "blue-chip.yaml:7:" in capsys.readouterr().out
    for line in ("plan", "plan --format markdown", "plan --json"):
        assert run(line.split()) == Exit.ERROR
    captured = capsys.readouterr()
    assert "the configuration has problems" in captured.out
    assert "strategies/blue-chip.yaml:7:" in captured.err


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second init refuses, names what is there, and a .gitignore keeps its lines."""
    (tmp_path / ".gitignore").write_text("*.pyc\n.stratctl/\n", encoding="utf-8")
    assert run(["init", str(tmp_path)]) == Exit.DONE
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n.stratctl/\nplan.zip\n"
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run(["init", str(tmp_path)]) == Exit.USAGE
    said = capsys.readouterr().err
    more = len(FILES) + len(KINDS) - 1
    assert f"{tmp_path / 'stratctl.yaml'} and {more} more of its files exist already" in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert run(["--chdir", str(tmp_path), "validate"]) == Exit.DONE


def test_init_leaves_the_settings_of_an_editor_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody's own settings stay, and what to add to them is said."""
    (tmp_path / ".vscode").mkdir()
    settings = tmp_path / ".vscode" / "settings.json"
    settings.write_text("{} // mine\n", encoding="utf-8")
    assert run(["init", str(tmp_path)]) == Exit.DONE
    assert settings.read_text(encoding="utf-8") == "{} // mine\n"
    assert "settings.json is left as it is" in capsys.readouterr().err
    assert (tmp_path / ".vscode" / "extensions.json").is_file()
