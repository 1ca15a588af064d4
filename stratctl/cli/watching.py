"""Telling an apply, or a recovery, as it happens."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stratctl.cli.state import State

if TYPE_CHECKING:
    from stratctl.core.event import Event
    from stratctl.view.story import Story


@dataclass(frozen=True)
class Watching:
    """Says each event that is worth a line, as it happens; Strategies run side by side."""

    state: State
    story: Story
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Event) -> None:
        with self.lock:
            self._say(self.story.tell(event, time.monotonic()))

    def end(self) -> None:
        """Nothing more happens."""
        self._say(self.story.end())

    def _say(self, lines: list[str]) -> None:
        if lines:
            self.state.console.note("".join(f"{line}\n" for line in lines))
