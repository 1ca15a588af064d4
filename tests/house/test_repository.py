"""Laws about the repository itself: what may lie in it, and what its files may say."""

import ast
import json
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

import stratctl

ROOT = Path(__file__).parents[2]

TOP_LEVEL = {
    # what it is
    "pyproject.toml",
    "stratctl",
    "strategies",
    "schemas",
    "tests",
    ".github",
    # what stands beside it
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "benchmarks",
    "docs",
    "policy.yaml",
    "requirements",
    "stratctl.yaml",
}

LOCKS = ("build.txt", "dev.txt", "fuzz.txt", "runtime.txt")


@cache
def tracked() -> list[Path]:
    """Every file that Git keeps and that is on the disk, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    paths = [Path(name) for name in listed.stdout.split("\0") if name]
    return [path for path in paths if (ROOT / path).is_file()]


@cache
def texts() -> list[tuple[Path, str]]:
    """Every tracked file that is text, with its text."""
    found = []
    for path in tracked():
        raw = (ROOT / path).read_bytes()
        if b"\0" not in raw:
            # Some cases hold bytes that are no text; their other bytes count all the same.
            found.append((path, raw.decode(errors="replace")))
    return found


@cache
def python_files() -> list[tuple[Path, ast.Module]]:
    """Every tracked Python file, parsed."""
    return [(path, ast.parse(text)) for path, text in texts() if path.suffix == ".py"]


def lock_lines(lock: str) -> list[str]:
    """The requirements of a lock: continued lines joined, comments left out."""
    text = (ROOT / "requirements" / lock).read_text().replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def test_nothing_else_lies_at_the_top() -> None:
    """The top level holds what the project is made of, and nothing else."""
    assert {path.parts[0] for path in tracked()} <= TOP_LEVEL


def test_no_file_names_a_machine() -> None:
    """No tracked file holds a path that exists on one person's machine only."""
    somebodys = re.compile(r"(?<![\w.}])/(?:home|root|Users|work|mnt|opt)/")
    named = {
        f"{path}:{text[: found.start()].count(chr(10)) + 1}"
        for path, text in texts()
        if path != Path(__file__).relative_to(ROOT)
        for found in somebodys.finditer(text)
    }
    assert not named


def test_every_file_ends_and_no_line_trails() -> None:
    """Text files are plain: no carriage return, no trailing blank, a newline at the end."""
    untidy = {
        str(path)
        for path, text in texts()
        if text
        # Cases hold what people send, tidy or not; the corpus holds what no person would.
        and path.parts[:2] != ("tests", "cases")
        and path.parts[:3] != ("tests", "fuzz", "corpus")
        and path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ""}
        and ("\r" in text or not text.endswith("\n") or re.search(r"[ \t]$", text, re.MULTILINE))
    }
    assert not untidy


def test_the_lock_of_the_language_server_names_no_host() -> None:
    """Every npm package is pinned by version and hash; where it comes from is the machine's."""
    lock = json.loads((ROOT / "tests" / "editor" / "package-lock.json").read_text())
    own = json.loads((ROOT / "tests" / "editor" / "package.json").read_text())["dependencies"]
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", entry["version"]), name
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", entry["integrity"]), name
        assert "resolved" not in entry, name
    for name, version in own.items():
        assert packages[f"node_modules/{name}"]["version"] == version


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host(lock: str) -> None:
    """A lock holds names, versions and hashes: no index, no link, no host, no path."""
    text = (ROOT / "requirements" / lock).read_text()
    assert "://" not in text
    for line in lock_lines(lock):
        assert re.fullmatch(
            r"[a-z0-9._-]+==[A-Za-z0-9.+!-]+(?: ; [a-z_ <>=!\"'0-9.]+)?"
            r"(?:\s+--hash=sha256:[0-9a-f]{64})+",
            line,
        ), line


def test_the_locks_agree() -> None:
    """What runs and what builds is locked to the same versions and hashes as everything."""
    everything = {line.split("==")[0]: line for line in lock_lines("dev.txt")}
    for lock in ("build.txt", "runtime.txt"):
        for line in lock_lines(lock):
            assert everything[line.split("==")[0]] == line


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """Every dependency in pyproject.toml is in the lock that is installed for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def missing(wanted: list[str], lock: str) -> set[str]:
        names = {re.split(r"[^A-Za-z0-9_-]", entry)[0].lower() for entry in wanted}
        return names - {line.split("==")[0] for line in lock_lines(lock)}

    assert not missing(project["dependencies"], "runtime.txt")
    assert not missing(project["optional-dependencies"]["dev"], "dev.txt")


def test_the_version_is_said_once() -> None:
    """The package, the project file and the changelog speak of the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == stratctl.__version__
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_python_file_says_what_it_is_for() -> None:
    """A Python file begins with a docstring."""
    assert not [str(path) for path, tree in python_files() if not ast.get_docstring(tree)]


def test_every_test_says_what_is_true() -> None:
    """A test has a docstring that begins with one whole sentence on one line."""
    silent = []
    for path, tree in python_files():
        if path.parts[0] != "tests":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = (ast.get_docstring(node) or "").split("\n\n")[0]
                if not said.endswith((".", ":", "?", "!")) or "\n" in said:
                    silent.append(f"{path}:{node.lineno} {node.name}")
    assert not silent


SILENCED = re.compile(r"#\s*(?:noqa|type:\s*ignore|ruff:\s*noqa|zizmor:\s*ignore)\b(.*)")
REASONED = re.compile(r"(?:: ?[A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*|\[[a-z, -]+\])\s+\W*\w.{8,}")


def unexplained(text: str) -> list[str]:
    """The comments in a text that silence a rule without naming it and saying why."""
    return [found[0] for found in SILENCED.finditer(text) if not REASONED.match(found[1])]


def test_every_silenced_rule_has_its_reason() -> None:
    """A comment that silences a rule names the rule and says why, on the same line."""
    assert not {
        str(path): unexplained(text)
        for path, text in texts()
        if path.suffix in {".py", ".yml"} and path != Path(__file__).relative_to(ROOT)
        if unexplained(text)
    }


@pytest.mark.parametrize(
    ("line", "explained"),
    [
        ("x = 1  # noqa", False),
        ("x = 1  # noqa: E501", False),
        ("x = 1  # type: ignore[arg-type]", False),
        ("x = 1  # type: ignore  # the stub is wrong", False),
        ("x = 1  # type: ignore[arg-type]  # the stub forgets None", True),
        ("x = 1  # noqa: BLE001 - a plugin may raise anything", True),
        ("x = 1  # ignore the first line", True),
    ],
)
def test_a_reason_is_recognised(line: str, explained: bool) -> None:
    """A rule without a reason, and a reason without a rule, are both found."""
    assert (not unexplained(line)) is explained


def test_no_test_mocks() -> None:
    """Fakes are plain functions or the sandbox: nothing imports a mocking library."""
    mocking = {"mock", "unittest.mock", "pytest_mock", "responses", "respx"}
    importers = [
        str(path)
        for path, tree in python_files()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and mocking & {alias.name for alias in node.names})
        or (isinstance(node, ast.ImportFrom) and node.module in mocking)
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "unittest"
            and "mock" in {alias.name for alias in node.names}
        )
    ]
    assert not importers


MAY_SKIP = {"tests/declare/postgresql.py", "tests/editor/test_editor.py"}
"""What needs more than make and Python: skipped with the reason where that is missing."""


def test_no_test_is_skipped() -> None:
    """A test runs or is not there: none is skipped for less than a missing program."""
    excused = re.compile(r"pytest\.(?:skip|xfail|importorskip)|pytest\.mark\.(?:skip|skipif|xfail)")
    assert not [
        str(path)
        for path, text in texts()
        if path.parts[0] == "tests"
        and path.suffix == ".py"
        and path != Path(__file__).relative_to(ROOT)
        and str(path) not in MAY_SKIP
        and excused.search(text)
    ]
