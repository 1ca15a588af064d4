"""Time as the sandbox is told it: milliseconds since the Unix epoch."""

import time
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """The wall clock. Signatures and `GET /time` use it; Operations use it plus an offset."""

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...


class SystemClock:
    """The clock of this machine."""

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that stands still until it is moved, for tests and simulation."""

    def __init__(self, start_ms: int = 1_776_421_800_000) -> None:
        self._now_ms = start_ms

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self._now_ms

    def move(self, milliseconds: int) -> None:
        """Move the wall clock; backwards is allowed, as real clocks do it too."""
        self._now_ms += milliseconds


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=16)
def http_date(seconds: int) -> str:
    """The Date header of an answer."""
    return formatdate(seconds, usegmt=True)


def rfc3339(milliseconds: int) -> str:
    """RFC 3339 in UTC with whole seconds, the shape of every documented example."""
    return _second(milliseconds // 1000)
