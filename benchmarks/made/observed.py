"""``stratctl apply plan.zip`` in this process, and what is observed of its requests.

``python -m benchmarks.made.observed SEEN POSTS`` writes into the file SEEN how long it took, how
much of that at least one request was under way, when the first POST was, CPU and peak memory. With
POSTS above 0 it kills itself where it would send one more than so many.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


class Observer:
    """When at least one request was under way."""

    def __init__(self, posts_max: int) -> None:
        self._lock = threading.Lock()
        self._posts_max = posts_max
        self._posts = 0
        self._under_way = 0
        self._since = 0.0
        self.waited = 0.0
        self.waited_before = 0.0
        self.requests = 0
        self.first_post = 0.0
        self.mib_before = 0.0

    def around(self, exchange: Any) -> Any:
        """The same exchange, observed."""

        def observed(*given: Any, **named: Any) -> Any:
            self._begin(named.get("method", "GET"))
            try:
                return exchange(*given, **named)
            finally:
                self._end()

        return observed

    def _begin(self, method: str) -> None:
        with self._lock:
            now = time.perf_counter()
            if method != "GET":
                self._posts += 1
                if not self.first_post:
                    self.first_post, self.mib_before = now, peak_mib()
                    self.waited_before = self.waited
                if self._posts_max and self._posts > self._posts_max:
                    os.kill(os.getpid(), signal.SIGKILL)
            self.requests += 1
            if not self._under_way:
                self._since = now
            self._under_way += 1

    def _end(self) -> None:
        with self._lock:
            self._under_way -= 1
            if not self._under_way:
                self.waited += time.perf_counter() - self._since


def peak_mib() -> float:
    """Of this process, until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Apply, and write down what was observed."""
    began = time.perf_counter()
    from stratctl.cli import main as stratctl
    from stratctl.live import client
    from stratctl.live.connections import ReadingTransport

    seen, posts_max = Path(sys.argv[1]), int(sys.argv[2])
    observer = Observer(posts_max)
    vars(client)["exchange"] = observer.around(vars(client)["exchange"])
    # Reads have no method to name.
    ReadingTransport.get = observer.around(ReadingTransport.get)  # type: ignore[method-assign]  # to observe it is what this is for
    sys.argv[1:] = ["apply", "plan.zip"]
    try:
        stratctl()
    finally:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        said = {
            "wall": time.perf_counter() - began,
            "waited": observer.waited,
            "before": observer.first_post - began,
            "waited_before": observer.waited_before,
            "requests": observer.requests,
            "cpu": usage.ru_utime + usage.ru_stime,
            "mib": peak_mib(),
            "mib_before": observer.mib_before,
        }
        seen.write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main()
