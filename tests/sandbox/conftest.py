"""Fixtures of the sandbox's tests."""

from collections.abc import Iterator

import pytest

from tests.sandbox.platform import Platform, open_platform


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A platform on a fresh sandbox with ten approved participants."""
    with open_platform() as opened:
        yield opened
