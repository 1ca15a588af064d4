"""Case folders: input laid over a small good project, all findings, and why the case exists."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.declare.world import ROOT, Project, shown

CASES = sorted(path for path in (ROOT / "tests" / "cases" / "declare").iterdir() if path.is_dir())

_TOUCHES_THE_NETWORK = frozenset(
    {
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.sendmsg",
        "socket.sendto",
    }
)
_watch: list[list[str]] = []
"""Where to write what was tried; empty while nobody watches, because hooks cannot be removed."""


def _forbid(event: str, _: object) -> None:
    if _watch and event in _TOUCHES_THE_NETWORK:
        _watch[-1].append(event)
        raise RuntimeError(f"{event} while a case is read")


sys.addaudithook(_forbid)


@pytest.fixture
def tried() -> Iterator[list[str]]:
    """What is tried with the network; each try is refused by the interpreter itself."""
    _watch.append([])
    yield _watch[-1]
    _watch.pop()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_answered_as_written_down(
    case: Path, tmp_path: Path, golden: Callable[[Path, str], None], tried: list[str]
) -> None:
    """Every finding of a case, with its place, its words and its way out, is what was reviewed.

    The network is not touched meanwhile.
    """
    project = Project(tmp_path)
    shutil.copytree(case / "input", tmp_path, dirs_exist_ok=True, symlinks=True)
    found = project.lints() if case.name.startswith("lint-") else project.says()
    golden(case / "expected.txt", shown(found))
    assert tried == []


def test_the_guard_would_see_a_call(tried: list[str]) -> None:
    """The canary: a connection, a look-up and a datagram are each refused and written down."""
    with pytest.raises(RuntimeError, match=r"socket\.connect"), socket.socket() as stream:
        stream.connect(("127.0.0.1", 9))
    with pytest.raises(RuntimeError, match=r"socket\.getaddrinfo"):
        socket.create_connection(("localhost", 9))
    with (
        pytest.raises(RuntimeError, match=r"socket\.sendto"),
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.sendto(b"", ("127.0.0.1", 9))
    assert tried == ["socket.connect", "socket.getaddrinfo", "socket.sendto"]


def test_every_case_says_why_it_exists() -> None:
    """A case that nobody can explain is not kept."""
    assert len(CASES) >= 180
    assert all((case / "why.md").read_text("utf-8").strip() for case in CASES)


def test_every_case_has_another_input() -> None:
    """Two folders with the same input would be one class counted twice."""
    inputs: dict[tuple[tuple[str, bytes], ...], str] = {}
    for case in CASES:
        files = sorted(path for path in (case / "input").rglob("*") if path.is_file())
        content = tuple((str(path.relative_to(case)), path.read_bytes()) for path in files)
        assert inputs.setdefault(content, case.name) == case.name
