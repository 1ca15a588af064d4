"""One thing at a time, in virtual time: who goes on is a choice of the schedule.

Apply is ordinary synchronous code, so each simulated machine runs it in a thread of its own, and
the threads pass one baton. Only who holds it runs, and it is handed over at ports only: when a
request leaves or its answer arrives, when somebody sleeps, when a file is opened. So nothing
depends on the operating system's scheduler, and the same choices give the same run.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from tests.sim.chance import Chance

START_MS = 1_776_421_800_000
STEPS_MAX = 20_000
HISTORY = 400
"""How many of the last lines of a run are kept for people."""


class PowerLoss(BaseException):
    """The machine is gone. No handler of the program may stop this, and none may run on."""


class Over(BaseException):
    """The schedule has ended, because something was found: every task unwinds."""


class Task:
    """Something that runs on a machine, until it is done."""

    def __init__(self, name: str, work: Callable[[], Any], *, awaited: bool) -> None:
        self.name = name
        self.awaited = awaited
        """Somebody asks for its result, and hears of its error."""
        self.work = work
        self.wakes_ms = 0
        self.waits_for: Task | None = None
        self.killed = False
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.turn = threading.Lock()
        self.turn.acquire()


class Scheduler:
    """Virtual time, the tasks, and the baton."""

    def __init__(self, chance: Chance, *, switching: int) -> None:
        self.chance = chance
        self.now_ms = START_MS
        self.after_step: Callable[[], None] = lambda: None
        """Called with the baton held, after whatever a task did up to its port."""
        self.steps = 0
        self.lines: deque[str] = deque(maxlen=HISTORY)
        self.noted = 0
        """How many lines there were so far."""
        self._switching = switching
        """How often in a thousand times somebody else may go on at a port."""
        self._hash = hashlib.sha256()
        self._tasks: list[Task] = []
        self._current: Task | None = None
        self._ended = threading.Lock()
        self._ended.acquire()
        self.failure: BaseException | None = None

    # --- from outside -----------------------------------------------------------------------------

    def run(self) -> None:
        """Until every task is done. Raises what a task let through, and what was found."""
        if self._tasks:
            self._hand_to(self._next(None))
            self._ended.acquire()
        for task in self._tasks:
            if self.failure is None and not task.awaited:
                self.failure = task.error
        self._tasks.clear()
        if self.failure is not None:
            raise self.failure

    def spawn(self, name: str, work: Callable[[], Any], *, awaited: bool = False) -> Task:
        """A further task, which begins when it is its turn."""
        task = Task(name, work, awaited=awaited)
        self._tasks.append(task)
        threading.Thread(target=self._live, args=(task,), name=name, daemon=True).start()
        return task

    @property
    def digest(self) -> str:
        """What happened so far, in one word."""
        return self._hash.hexdigest()

    def note(self, line: str) -> None:
        """Something happened: part of the trace."""
        name = self._current.name if self._current else "world"
        text = f"{self.now_ms - START_MS:>9} {name}: {line}"
        self._hash.update(text.encode())
        self.lines.append(text)
        self.noted += 1

    # --- from a task, which holds the baton -------------------------------------------------------

    def port(self) -> None:
        """A port was reached: look at the invariants, then somebody goes on."""
        self.steps += 1
        self._look()
        ready = [task for task in self._ready() if task is not self._current]
        if ready and self.chance.happens(self._switching):
            self._switch(ready[self.chance.below(len(ready))])
        self._go_on()

    def sleep(self, milliseconds: int) -> None:
        """Let virtual time pass for this task."""
        task = self._self()
        task.wakes_ms = self.now_ms + max(1, milliseconds)
        self._look()
        self._switch(self._next(task))
        self._go_on()

    def wait_for(self, other: Task) -> None:
        """Until another task is done."""
        task = self._self()
        while not other.done:
            task.waits_for = other
            self._switch(self._next(task))
            task.waits_for = None
            self._go_on()

    def kill(self, task: Task) -> None:
        """Its machine is gone: it goes on with a PowerLoss, wherever it waits."""
        task.killed, task.wakes_ms, task.waits_for = True, 0, None

    @property
    def current(self) -> Task:
        return self._self()

    # --- the baton --------------------------------------------------------------------------------

    def _live(self, task: Task) -> None:
        task.turn.acquire()
        try:
            self._go_on()
            task.result = task.work()
        except (Exception, PowerLoss, Over) as error:  # noqa: BLE001 — carried to whoever waits
            task.error = error
            if isinstance(error, AssertionError):
                self._fail(error)
        task.done = True
        left = [one for one in self._tasks if not one.done]
        if not left:
            self._ended.release()
            return
        try:
            self._look()
            following = self._next(task)
        except (Exception, Over) as error:  # noqa: BLE001 — a broken schedule is told once
            self._fail(error)
            following = left[0]
        self._hand_to(following)

    def _look(self) -> None:
        if self.failure is None:
            try:
                assert self.steps < STEPS_MAX, "the schedule does not end"
                self.after_step()
            except Exception as error:
                self._fail(error)
                raise Over from error

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        for task in self._tasks:
            task.wakes_ms, task.waits_for = 0, None

    def _go_on(self) -> None:
        """What a task that gets the baton hears first."""
        if self.failure is not None:
            raise Over
        if self._self().killed:
            raise PowerLoss

    def _self(self) -> Task:
        assert self._current is not None, "only a task waits"
        return self._current

    def _ready(self) -> list[Task]:
        return [
            task
            for task in self._tasks
            if not task.done
            and task.wakes_ms <= self.now_ms
            and (task.waits_for is None or task.waits_for.done)
        ]

    def _next(self, leaving: Task | None) -> Task:
        """Who goes on; time passes until somebody can."""
        ready = self._ready()
        if not ready:
            sleeping = [
                task.wakes_ms
                for task in self._tasks
                if not task.done and (task.waits_for is None or task.waits_for.done)
            ]
            assert sleeping, "everybody waits for somebody"
            self.now_ms = max(self.now_ms, min(sleeping))
            ready = self._ready()
        if len(ready) == 1 or self.failure is not None:
            return ready[0]
        return ready[self.chance.below(len(ready))]

    def _switch(self, other: Task) -> None:
        task = self._self()
        if other is task:
            return
        self._hand_to(other)
        task.turn.acquire()

    def _hand_to(self, task: Task) -> None:
        self._current = task
        task.turn.release()


class Workers(Executor):
    """What runs side by side on one machine: each thing is a task of the schedule."""

    def __init__(self, scheduler: Scheduler, born: Callable[[Task], None]) -> None:
        self._scheduler = scheduler
        self._born = born
        self._tasks: list[Task] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it as a task; its Future lets the others go on while it is waited for."""
        name = f"{self._scheduler.current.name}/{len(self._tasks)}"
        task = self._scheduler.spawn(name, lambda: fn(*args, **kwargs), awaited=True)
        self._tasks.append(task)
        self._born(task)
        return _Awaited(self._scheduler, task)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for all of them."""
        for task in self._tasks:
            if wait and not self._scheduler.current.killed:
                self._scheduler.wait_for(task)


class _Awaited(Future[Any]):
    """A Future whose ``result`` gives the baton away."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        super().__init__()
        self._scheduler, self._task = scheduler, task

    def result(self, timeout: float | None = None) -> Any:
        """The result, or what it raised."""
        self._scheduler.wait_for(self._task)
        if self._task.error is not None:
            raise self._task.error
        return self._task.result


class InTurn(Executor):
    """Side by side, and as it happens one after another: for reading, where nothing is at stake."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it now. A PowerLoss goes straight through."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 — a Future carries whatever was raised
            future.set_exception(error)
        return future
