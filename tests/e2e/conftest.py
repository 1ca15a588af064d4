"""Fixtures of the end-to-end tests: one sandbox process per worker, a project per test."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.machines import Machines
from tests.e2e.world import Project, Sandbox

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox process that all tests of a worker share."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    sandbox.close()


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The shared sandbox; no fault outlives a test, and its books balance afterwards."""
    yield running
    running.control("fault", method="DELETE")
    assert running.is_balanced()


@pytest.fixture
def new_project(sandbox: Sandbox, tmp_path: Path) -> Callable[..., Project]:
    """Make projects; each has names and participants of its own."""

    def make(**settings: Any) -> Project:
        number = next(_NUMBERS)
        return Project(tmp_path / f"project{number}", sandbox, f"t{number}", **settings)

    return make


@pytest.fixture
def project(new_project: Callable[..., Project]) -> Project:
    """An empty project."""
    return new_project()


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A warm process that all tests of a worker start their applies from."""
    opened = Machines(tmp_path_factory.mktemp("machines"))
    yield opened
    opened.close()
