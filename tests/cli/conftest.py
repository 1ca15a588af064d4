"""A project with a running sandbox, and the command line to use on it."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stratctl.cli.running import run
from stratctl.journal.store import open_journal
from tests.journal.story import REALM, Clock, everything

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    """What one run of the command line said, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class World:
    """A scaffolded project beside a sandbox that knows its participants."""

    root: Path
    endpoint: str
    program: Path
    """A ``stratctl`` for where it has to be a process of its own."""
    capsys: pytest.CaptureFixture[str]

    def __call__(self, line: str) -> Said:
        """Run one command line, blanks between its words, in the project."""
        self.capsys.readouterr()
        code = run(line.split())
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def control(self, name: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the sandbox something, or tell it."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.endpoint}/_sandbox/{name}", data) as answer:
            return json.load(answer)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change one place of one file."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, (name, old)
        path.write_text(text.replace(old, new), encoding="utf-8")

    def spawn(self, *words: str) -> subprocess.Popen[str]:
        """Start a command line as a process of its own."""
        return subprocess.Popen(
            [self.program, *words],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def world(
    tmp_path: Path,
    warm_stratctl: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[World]:
    """A project made by init, in which a sandbox is running."""
    assert run(["-q", "init", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path)
    # Operations end at once: what is waited for here is never the point.
    fast = [f"--switch={name}_ms=0" for name in ("validating", "pricing", "settling")]
    process = subprocess.Popen(
        [
            *[str(warm_stratctl), "sandbox", "--port", "0", "--participants", "20", "--seed", "7"],
            *fast,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    said = process.stdout
    assert said
    try:
        ready = json.loads(said.readline())
        for line in Path(ready["credentials"]).read_text().splitlines():
            name, _, value = line.partition("=")
            monkeypatch.setenv(name, value)
        yield World(tmp_path, ready["endpoint"], warm_stratctl, capsys)
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
        said.close()


@dataclass(frozen=True)
class Auditor:
    """A project with a journal, and no provider."""

    root: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Said:
        """Run one command line in the project."""
        self.capsys.readouterr()
        code = run(words)
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)

    @property
    def journal(self) -> Path:
        """Its open segment."""
        return self.root / ".stratctl" / "journal" / "sandbox" / "journal.jsonl"


@pytest.fixture
def auditor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Auditor:
    """Sixty entries, of which none is open."""
    assert run(["-q", "init", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path)
    place = tmp_path / ".stratctl" / "journal"
    with open_journal(place, "sandbox", REALM, clock=Clock(), run="run-1") as journal:
        for event in everything()[:-3]:
            journal.append(event)
    return Auditor(tmp_path, capsys)
