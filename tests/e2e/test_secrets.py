"""Secrets appear nowhere: not in output, plan, journal, snapshot, error or traceback."""

import base64
import gzip
import io
import json
import os
import subprocess
import traceback
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from stratctl import pipeline
from stratctl.core.errors import ProviderError
from stratctl.core.surroundings import Surroundings
from stratctl.live import transport
from stratctl.pipeline.session import Session
from tests.e2e.world import Project, Sandbox, silent


class Ears:
    """Hears everything that is written, and knows every form of every secret."""

    def __init__(self, project: Project, program: Path) -> None:
        self.project = project
        self._program = program
        self.heard: list[tuple[str, bytes]] = []
        self.forms = {
            form: name
            for name, value in project.environ.items()
            if name.startswith("STRATCTL_")
            for form in _forms(value)
        }
        assert len(self.forms) > 30

    def listen(self, *words: str, environ: dict[str, str] | None = None) -> int:
        """Run the command line and hear both of its streams."""
        done = subprocess.run(
            [self._program, *words],
            cwd=self.project.root,
            env={
                "PATH": os.environ["PATH"],
                **self.project.environ,
                **(environ or {}),
            },
            capture_output=True,
            check=False,
        )
        self.heard.append((" ".join(words), done.stdout + done.stderr))
        assert b"has a bug" not in done.stderr, done.stderr.decode()
        return done.returncode

    def collect(self, *folders: Path) -> None:
        """Every file below these folders, and the members of those that are archives."""
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    self.heard += _members(str(path), path.read_bytes())

    def told(self) -> list[tuple[str, str]]:
        """(where, which variable) of every secret that was heard."""
        return [
            (where, name)
            for where, data in self.heard
            for form, name in self.forms.items()
            if form in data
        ]


def _members(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, data
    if data.startswith(b"\x1f\x8b"):
        yield f"{name}: unpacked", gzip.decompress(data)
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield f"{name}:{member}", archive.read(member)


def _forms(value: str) -> set[bytes]:
    """A secret as people and programs write it."""
    raw = value.encode()
    decoded = [raw]
    if value.endswith("="):
        decoded.append(base64.b64decode(value))
    forms = {
        quote(value, safe="").encode(),
        json.dumps(value)[1:-1].encode(),
        repr(value)[1:-1].encode(),
    }
    for data in decoded:
        forms |= {data, data.hex().encode(), data.hex().upper().encode()}
        forms |= {base64.b64encode(data), base64.urlsafe_b64encode(data)}
        forms |= {base64.b64encode(data).rstrip(b"="), base64.urlsafe_b64encode(data).rstrip(b"=")}
    return forms


@pytest.fixture
def ears(project: Project, sandbox: Sandbox, warm_stratctl: Path) -> Ears:
    """A project with something to do, and ears."""
    codes = sandbox.participants(3)
    project.strategy("core")
    project.cohort("members", "core", dict.fromkeys(codes, "100.00"))
    project.save()
    key = base64.b64encode(b"the key that signs heads, 32 by.")
    project.environ["STRATCTL_HEAD_KEY"] = key.decode()
    return Ears(project, warm_stratctl)


def test_when_all_goes_well(ears: Ears, tmp_path: Path) -> None:
    """plan, apply, status and audit, in several formats: no secret in what they write."""
    assert ears.listen("-v", "plan", "--out", "plan.zip") == 0
    assert ears.listen("plan", "--format", "markdown") == 0
    assert ears.listen("-v", "apply", "plan.zip", "--auto-approve") == 0
    assert ears.listen("--json", "status") == 0
    assert ears.listen("audit", "log") == 0
    path = tmp_path / "snapshot"
    pipeline.snapshot(
        ears.project.root,
        environment=None,
        environ=ears.project.environ,
        path=path,
        progress=silent,
    )
    ears.collect(ears.project.root, tmp_path)
    for name in ("journal.jsonl", "heads/local.json", "totals/local.jsonl.gz"):
        assert any(where.endswith(name) for where, _ in ears.heard)
    assert ears.told() == []


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        ("401", "GET"),
        ("reset_after", "POST"),
        ("html", "POST"),
        ("1020", "POST"),
    ],
)
def test_when_it_goes_wrong(ears: Ears, fault: str, method: str) -> None:
    """Refused, interrupted or answered with nonsense: no secret in errors, journal or output."""
    ears.project.sandbox.fault(fault, "/strategies", method=method, count=2)
    ears.listen("-v", "apply", "--auto-approve")
    ears.collect(ears.project.root)
    assert ears.told() == []


def test_when_the_credentials_are_wrong(ears: Ears) -> None:
    """Credentials that cannot be used are named by their variable, never by their value."""
    for name, value in (
        ("STRATCTL_READ_SECRET", "this is not base64, and secret!"),
        ("STRATCTL_READ_KEY", "a key with\nanother line"),
        ("STRATCTL_READ_PASSPHRASE", "péss phräse"),
        ("STRATCTL_HEAD_KEY", "c2hvcnQ= and secret"),
    ):
        verb = ("audit", "head") if "HEAD" in name else ("plan",)
        assert ears.listen(*verb, environ={name: value}) == 64
        _, output = ears.heard[-1]
        assert name.encode() in output
        for part in value.split("\n"):
            assert part.encode() not in output
    assert ears.told() == []


@pytest.mark.parametrize("trouble", ["401", "400", "reset_after", "nobody"])
def test_tracebacks_with_their_locals(ears: Ears, trouble: str) -> None:
    """What a careless crash reporter would send, with every local variable in it: no secret."""
    project = ears.project
    path, wanted = "/strategies", {"page_size": "x"} if trouble == "400" else {}
    if trouble == "nobody":
        project.environment["endpoint"] = "http://127.0.0.1:9"
        project.save()
    elif trouble != "400":
        project.sandbox.fault(trouble, path, method="GET", count=99)
    with Session(project.root, None, Surroundings(project.environ)) as session:
        session.clockwork = replace(session.clockwork, sleep=lambda seconds: None)
        with pytest.raises(ProviderError) as caught:
            session.reads.get(path, wanted, decode=str)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = "".join(report.format())
    assert "self = " in shown
    ears.heard.append(("traceback", shown.encode()))
    assert ears.told() == []


def test_a_traceback_from_the_top(ears: Ears) -> None:
    """A whole plan that fails, from the verb down, with every local variable in it: no secret."""
    ears.project.sandbox.fault("401", "/strategies", method="GET", count=2)
    with pytest.raises(ProviderError) as caught:
        ears.project.plan()
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = "".join(report.format())
    assert "environ = ‹" in shown
    ears.heard.append(("traceback", shown.encode()))
    assert ears.told() == []


def test_canary_a_talkative_error(ears: Ears, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an error shows the headers that were sent, the ears hear it: the law can fail."""
    renamed = transport._our_name

    def talkative(error: Exception) -> Exception:
        return type(renamed(error))(f"sent with {ears.project.environ['STRATCTL_READ_PASSPHRASE']}")

    monkeypatch.setattr(transport, "_our_name", talkative)
    ears.project.sandbox.fault("reset_before", "/enroll")
    ears.project.apply()
    ears.collect(ears.project.root)
    named = {name for _, name in ears.told()}
    assert "STRATCTL_READ_PASSPHRASE" in named
