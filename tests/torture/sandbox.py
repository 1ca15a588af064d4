"""``python -m tests.torture.sandbox BEGAN …``: the sandbox, with a clock that runs faster."""

from __future__ import annotations

import sys

from stratctl.sandbox import __main__ as program
from stratctl.sandbox import server
from tests.replaced import replaced
from tests.torture.clock import Clock


class Hurried:
    """The wall clock as the sandbox is told it."""

    def __init__(self, began: float) -> None:
        self._clock = Clock(began)

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return int(self._clock.wall() * 1000)


if __name__ == "__main__":
    clock = Hurried(float(sys.argv.pop(1)))
    with replaced(server, "SystemClock", lambda: clock):
        program.main()
