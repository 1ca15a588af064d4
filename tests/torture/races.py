"""Two applies at once, with the locks off."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from stratctl.journal import branch
from tests.e2e.world import Project
from tests.replaced import replaced
from tests.torture.ground import GOES_ON, Case, Ground

NAMES = ("forked", "shared", "git")
"""Each has a journal of its own from here on; both write one file; both push to one branch."""

STOPPED = ("JournalTampered", "JournalUnavailable", "_Moved", "LockHeld", "PlanStale")
"""What a machine may say that finds another one in its journal."""

PHASES = {"forked": ("begin", "rise"), "shared": ("begin", "change"), "git": ("begin", "change")}
"""Partial sells need the shared journal, because the provider does not show what was asked for."""


@contextlib.contextmanager
def lock_ignored() -> Iterator[None]:
    """A machine that comes in whoever holds the branch."""
    with replaced(branch, "_left_open", lambda head, now: None):
        yield


def once(ground: Ground, name: str, number: int) -> bool:
    """The race of a seed. Both converge afterwards, and each flow moved exactly once."""
    chance = Random(f"{name} {number}")
    case = ground.case(chance.choice(PHASES[name]), git=name == "git")
    other = case if name == "shared" else _elsewhere(case)
    with ground.sandbox.switched(latency_ms=str(chance.choice((0, 5, 15, 30)))):
        first = _start(case, name)
        time.sleep(chance.choice((0, 0, 0.02, 0.1, 0.3)))
        second = _start(other, name)
        ended = [ground.machines.wait(pid) for pid in (first, second)]
    assert all(each.code in GOES_ON or each.error in STOPPED for each in ended), ended
    for each in (case, other):
        each.forked = name == "shared"
        each.bring_home()
        each.judge()
    return True


def _start(case: Case, name: str) -> int:
    if name == "git":
        return case.start(inside=[["tests.torture.races", "lock_ignored"]])
    return case.start(no_lock=True)


def _elsewhere(case: Case) -> Case:
    """The same project on another machine."""
    root = case.project.root.with_name(case.project.root.name + "-other")
    shutil.copytree(case.project.root, root)
    project = object.__new__(Project)
    project.__dict__ |= {**case.project.__dict__, "root": root}
    return replace(case, project=project)
