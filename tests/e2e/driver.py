"""Applies in processes that can be killed: everything is imported once, each apply is a fork.

Reads one JSON object per line from its standard input and answers each with one. ``start`` forks
a child that applies and writes its result beside the project; ``wait`` says how a child ended.
The children of several ``start`` run side by side.

A child dies by SIGKILL at the journal append that its order names: in the middle
of it (``torn``) or when it is durable (``after``). With a ``gate`` it stops before its n-th request
is sent, announced and durable, until a file appears: a machine that was paused and comes back.
With ``die_at`` it dies as soon as its n-th event of a kind is written down. And whatever contexts
are named by ``inside`` (module, name, arguments), it applies in them.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stratctl import pipeline
from stratctl.apply import body
from stratctl.core.errors import StratctlError
from stratctl.core.event import Attempt
from stratctl.core.slots import call_id
from stratctl.journal import bindings, branch, directory
from stratctl.view import report as views
from tests.engine import for_small_books
from tests.replaced import replaced

# Verbs import their stages when they begin; here it is done once, so that no fork has to.
for stage in ("stratctl.pipeline.applying", "stratctl.live.snapshot", "stratctl.plan.explain"):
    importlib.import_module(stage)


def main() -> None:
    """Serve orders until the input ends, with the modules that are named imported too."""
    for module in sys.argv[1:]:
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        answer = _start(order) if order["do"] == "start" else _wait(order["pid"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _start(order: dict[str, Any]) -> dict[str, Any]:
    pid = os.fork()
    if pid:
        return {"pid": pid}
    # Nothing of the child may come back into this loop.
    try:
        os.setsid()
        _child(order)
    finally:
        if sys.exc_info()[0]:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(0)


def _wait(pid: int) -> dict[str, Any]:
    _, status = os.waitpid(pid, 0)
    return {"killed": os.WIFSIGNALED(status)}


def _child(order: dict[str, Any]) -> None:
    result = Path(order["result"])
    said: dict[str, Any]
    for_small_books()
    with contextlib.ExitStack() as stack:
        if order.get("no_lock"):
            stack.enter_context(_unlocked())
        if order.get("lease"):
            stack.enter_context(replaced(branch, "LEASE_SECONDS", order["lease"]))
        if order.get("own_ids_from"):
            for module in (body, bindings):
                own = _own_ids_from(order["own_ids_from"])
                stack.enter_context(replaced(module, "call_id", own))
        if order.get("kill"):
            mode, number = order["kill"]
            stack.enter_context(_dying(mode, number))
        for module_name, name, *given in order.get("inside", ()):
            context = getattr(importlib.import_module(module_name), name)
            stack.enter_context(context(*given))
        try:
            said = _apply(order)
        except StratctlError as error:
            said = {"error": type(error).__name__, "code": error.exit_code, "text": str(error)}
    result.write_text(json.dumps(said), encoding="utf-8")


def _apply(order: dict[str, Any]) -> dict[str, Any]:
    attempts = 0
    seen: Counter[str] = Counter()
    die_at = order.get("die_at")
    gate: tuple[int, str] = tuple(order.get("gate", (0, "")))

    def watch(event: object) -> None:
        nonlocal attempts
        attempts += isinstance(event, Attempt)
        kind = type(event).__name__
        seen[kind] += 1
        if [kind, seen[kind]] == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if isinstance(event, Attempt) and attempts == gate[0]:
            Path(gate[1] + ".reached").touch()
            while not Path(gate[1]).exists():
                time.sleep(0.01)

    approved = pipeline.read_plan(Path(order["plan"])) if order.get("plan") else None
    report = pipeline.apply(
        Path(order["root"]),
        environment=None,
        environ=order["environ"],
        approved=approved,
        expect_digest=None,
        acknowledgements=(),
        approve=lambda plan: None,
        progress=lambda what, done, total: None,
        watch=watch,
        stopping=lambda: False,
    )
    problems = [[problem.code, problem.detail] for problem in report.problems]
    return {
        "code": report.exit_code,
        "problems": problems,
        "text": views.applied(report),
    }


@contextlib.contextmanager
def _dying(mode: str, number: int) -> Iterator[None]:
    """Die at the ``number``-th append of this process, counted from 1."""
    write, sync = directory._LocalFile.write, directory._LocalFile.sync
    written = synced = 0

    def dying_write(file: Any, data: bytes) -> int:
        nonlocal written
        written += 1
        if written == number and mode == "torn":
            write(file, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(file, data)

    def dying_sync(file: Any) -> None:
        nonlocal synced
        synced += 1
        sync(file)
        if synced == number and mode == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    with (
        replaced(directory._LocalFile, "write", dying_write),
        replaced(directory._LocalFile, "sync", dying_sync),
    ):
        yield


def _own_ids_from(first: int) -> Callable[[str, str, int], str]:
    """A planted bug: from this slot on, ids that two machines do not agree on."""

    def own(realm: str, strategy_id: str, slot: int) -> str:
        return call_id(realm, strategy_id, slot + os.getpid() if slot >= first else slot)

    return own


@contextlib.contextmanager
def _unlocked() -> Iterator[None]:
    """A machine on which the journal's lock does not work."""
    with replaced(fcntl, "flock", lambda number, operation: None):
        yield


if __name__ == "__main__":
    main()
