"""Where words go: results to standard output, everything else to standard error."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


WIDTH_MIN, WIDTH_MAX = 80, 100


class Console:
    """Two streams that outlive their readers.

    A reader that goes away (``stratctl plan | head``, a closed terminal) must not stop an apply
    half-way or change its exit code, so a broken pipe only silences its stream.
    """

    def __init__(self) -> None:
        self.quiet = False
        self.colors = True
        self._lock = threading.RLock()
        self._progress: _Line | _Lines | None = None

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
            self.pause()
            _write(sys.stderr, text)

    def ask(self, question: str) -> str:
        """The line that is typed at the question; nothing when the terminal is closed.

        A signal ends the wait whenever it comes. Inside ``readline`` alone it would not: one that
        another thread gets, or that comes just before the read begins, waits for the line.
        """
        self.error(question)
        with _signals_heard() as signals:
            select.select([sys.stdin, signals], [], [])
        return sys.stdin.readline()

    @property
    def colors_results(self) -> bool:
        """Whether standard output shows colours."""
        return self.colors and sys.stdout.isatty()

    @property
    def colors_errors(self) -> bool:
        """Whether standard error shows colours."""
        return self.colors and sys.stderr.isatty()

    @property
    def width(self) -> int:
        """Columns to lay results out for: a terminal's own, between 80 and 100; elsewhere 100.

        What is piped or saved is the same text wherever it was made.
        """
        if not sys.stdout.isatty():
            return WIDTH_MAX
        return max(WIDTH_MIN, min(WIDTH_MAX, shutil.get_terminal_size().columns))

    # --- progress ---------------------------------------------------------------------------

    def progress(self, what: str, done: int, total: int | None) -> None:
        """How far long work is: one moving line on a terminal, now and then a line elsewhere."""
        if self.quiet:
            return
        with self._lock:
            if self._progress is None:
                self._progress = _Line(color=self.colors) if sys.stderr.isatty() else _Lines()
            self._progress.show(what, done)

    def pause(self) -> None:
        """Take it away, because something else is written; it comes back by itself."""
        with self._lock:
            if self._progress is not None:
                self._progress.close()
                self._progress = None

    def close(self) -> None:
        """Nothing more is shown."""
        self.pause()


@contextmanager
def _signals_heard() -> Iterator[socket.socket]:
    """What becomes readable when a signal comes, whichever thread gets it."""
    heard, told = socket.socketpair()
    with heard, told:
        told.setblocking(False)
        before = signal.set_wakeup_fd(told.fileno())
        try:
            yield heard
        finally:
            signal.set_wakeup_fd(before)


def _write(stream: IO[str], text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # Later writes, and Python's own flush at exit, go nowhere instead of failing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Line:
    """One line that moves, until something else is written."""

    def __init__(self, *, color: bool) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            console=RichConsole(stderr=True, no_color=not color),
            transient=True,
        )
        self._counts = Counts()
        self._task: TaskID = self._progress.add_task("")
        self._progress.start()

    def show(self, what: str, done: int) -> None:
        self._counts.take(what, done)
        self._progress.update(self._task, description=self._counts.latest())

    def close(self) -> None:
        self._progress.stop()


class _Lines:
    """A line where nothing else was said for a while, so that a log shows that work goes on."""

    EVERY_SECONDS = 5

    def __init__(self) -> None:
        self._counts = Counts()
        self._said = time.monotonic()

    def show(self, what: str, done: int) -> None:
        self._counts.take(what, done)
        now = time.monotonic()
        if now - self._said >= self.EVERY_SECONDS:
            self._said = now
            _write(sys.stderr, f"{self._counts.news()}\n")

    def close(self) -> None:
        """Lines stay."""


class Counts:
    """How far each of several things is that are counted side by side."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._news: dict[str, int] = {}

    def take(self, what: str, done: int) -> None:
        """``what`` has come to ``done``."""
        # What moved last stands first.
        self._counts = {what: done, **{k: v for k, v in self._counts.items() if k != what}}
        self._news[what] = done

    def latest(self) -> str:
        """The few that moved last."""
        return self._listed(dict(list(self._counts.items())[:SHOWN]))

    def news(self) -> str:
        """Everything that moved since this was asked last."""
        text = self._listed(self._news)
        self._news = {}
        return text

    @staticmethod
    def _listed(counts: dict[str, int]) -> str:
        return ", ".join(f"{done:,} {what}" for what, done in sorted(counts.items()))


SHOWN = 3
"""Counts that are shown side by side on one line of a terminal."""
