"""What every test shares: how hard to search, a clean environment, and golden files."""

import gc
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.engine import for_small_books
from tests.warm_cli import warm_cli

# "quick" searches the same cases every time, so that a change and not luck turns a test red;
# "laws" searches anew for as long as it takes, every worker its share of the examples of every
# law. No deadline: machines differ, laws do not.
settings.register_profile("quick", max_examples=200, derandomize=True, deadline=None)
settings.register_profile(
    "laws",
    max_examples=10_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("STRATCTL_HYPOTHESIS_PROFILE", "quick"))

LONG = (
    "plan/test_laws.py",
    "e2e/test_once.py",
    "cli/test_verbs.py",
    "apply/test_kill.py",
    "house/test_readme.py",
    "plan/test_sharing.py",
    "e2e/test_bodies.py",
    "house/test_workflows.py",
)
"""What takes longest, longest first: each worker takes a file at a time, and the last decides."""

# Variables that change what stratctl does or shows, beside its own.
AMBIENT = ("CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let one command rewrite the golden files."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files instead of comparing with them",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""

    @cache
    def place(file: Path) -> int:
        name = file.relative_to(Path(__file__).parent).as_posix()
        return LONG.index(name) if name in LONG else len(LONG)

    items.sort(key=lambda item: place(item.path))


def pytest_collection_finish() -> None:
    """What was imported and collected stays, so that looking through it for garbage is rare."""
    gc.set_threshold(20_000, 20, 50)
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let go of it in the usual way, or the engine says at length what was not."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def small_books() -> None:
    """The engine is set up for few rows."""
    for_small_books()


@pytest.fixture(scope="session")
def warm_stratctl() -> Iterator[Path]:
    """A ``stratctl`` whose processes need no start-up, alone in its folder."""
    with warm_cli() as program:
        yield program


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credential, switch or sign of CI leaks from the person's shell into a test."""
    for name in list(os.environ):
        if name.startswith("STRATCTL_") or name in AMBIENT:
            monkeypatch.delenv(name)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a whole text with a checked-in file, or write it with --update-golden."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        assert path.exists(), f"{path} is missing: run pytest with --update-golden to write it"
        assert path.read_text(encoding="utf-8") == text

    return compare
