"""Where words go: results to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Console:
    """Two streams that outlive their readers.

    A reader that goes away (``stratctl plan | head``, a closed terminal) must not stop an apply
    half-way or change its exit code, so a broken pipe only silences its stream.
    """

    def __init__(self) -> None:
        self.quiet = False
        self.colors = True
        self._lock = threading.RLock()
        self._bars: _Bars | _Lines | None = None

    # --- words ------------------------------------------------------------------------------

    def result(self, text: str) -> None:
        """What was asked for."""
        with self._lock:
            self.pause()
            _write(sys.stdout, text)

    def note(self, text: str) -> None:
        """What is good to know while waiting; silent with --quiet."""
        if not self.quiet:
            self.error(text)

    def error(self, text: str) -> None:
        """What must be known."""
        with self._lock:
            if self._bars is not None and sys.stderr.isatty():
                self._bars.above(text)
            else:
                _write(sys.stderr, text)

    @property
    def colors_results(self) -> bool:
        """Whether standard output shows colours."""
        return self.colors and sys.stdout.isatty()

    @property
    def colors_errors(self) -> bool:
        """Whether standard error shows colours."""
        return self.colors and sys.stderr.isatty()

    # --- progress ---------------------------------------------------------------------------

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Where long work is: a bar on a terminal, now and then a line elsewhere."""
        if self.quiet:
            return
        with self._lock:
            if self._bars is None:
                self._bars = _Bars(color=self.colors) if sys.stderr.isatty() else _Lines()
            self._bars.show(what, done, total)

    def pause(self) -> None:
        """Take the bars away, because something else is written; they come back by themselves."""
        with self._lock:
            if self._bars is not None:
                self._bars.close()
                self._bars = None

    def close(self) -> None:
        """Nothing more is shown."""
        self.pause()


def _write(stream: IO[str], text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # Later writes, and Python's own flush at exit, go nowhere instead of failing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Bars:
    """Progress bars below whatever else is written."""

    def __init__(self, *, color: bool) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            console=RichConsole(stderr=True, no_color=not color),
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, what: str, done: int, total: int | None) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._tasks[what], completed=done, total=total)

    def above(self, text: str) -> None:
        self._progress.console.print(text, end="", markup=False, highlight=False)

    def close(self) -> None:
        self._progress.stop()


class _Lines:
    """A line when something begins and when it ends, and one every few seconds between."""

    EVERY_SECONDS = 5

    def __init__(self) -> None:
        self._shown: dict[str, float] = {}

    def show(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        begins, ends = what not in self._shown, done == total
        if not (begins or ends or now - self._shown[what] >= self.EVERY_SECONDS):
            return
        self._shown[what] = now
        of = f" of {total:,}" if total is not None else ""
        self.above(f"{what}: {done:,}{of}\n")

    def above(self, text: str) -> None:
        _write(sys.stderr, text)

    def close(self) -> None:
        """Lines stay."""
