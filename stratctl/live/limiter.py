"""At most so many requests in a rolling window, for all threads and both clients together."""

from __future__ import annotations

import threading
from collections import deque

from stratctl.live.clockwork import Clockwork

REQUESTS_MAX = 1_000
WINDOW_SECONDS = 10.0
"""Half of what the provider allows per source address, so that a neighbour does not block us."""


class Limiter:
    """A rolling window of the provider's rate limit, and the pause after it said "too many"."""

    def __init__(
        self,
        clockwork: Clockwork,
        *,
        requests_max: int = REQUESTS_MAX,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self._clockwork = clockwork
        self._requests_max = requests_max
        self._window_seconds = window_seconds
        self._started: deque[float] = deque()
        self._closed_until = 0.0
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many requests were let through so far."""
        return self._taken

    def take(self) -> None:
        """Wait until one more request may start. Threads may take at the same time."""
        while (seconds := self._wait_or_take()) > 0:
            self._clockwork.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Let nobody start for this long: the provider blocks the whole address, not a thread."""
        with self._lock:
            self._closed_until = max(
                self._closed_until, self._clockwork.monotonic() + max(0.0, seconds)
            )

    def _wait_or_take(self) -> float:
        """Seconds to wait before asking again; 0 when the request may start now."""
        with self._lock:
            now = self._clockwork.monotonic()
            if now < self._closed_until:
                return self._closed_until - now
            while self._started and self._started[0] <= now - self._window_seconds:
                self._started.popleft()
            if len(self._started) >= self._requests_max:
                return self._started[0] + self._window_seconds - now
            self._started.append(now)
            self._taken += 1
            return 0.0
