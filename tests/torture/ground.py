"""Where it happens: a sandbox, machines, and projects in which something is to be done."""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratctl import pipeline
from tests.e2e.machines import Ended, Machines
from tests.e2e.world import Project, Sandbox, verbs
from tests.engine import for_small_books
from tests.journal.remotes import bare
from tests.torture.clock import Clock
from tests.torture.story import PHASES, SHORT, begin

HEAD_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
"""Every apply keeps a signed head, so that there are files that are written and renamed."""

APPLIES_MAX = 5
"""Applies until nothing is left, at most."""

IMPORTED = (
    "deepdiff",
    "stratctl.pipeline.keeping",
    *(f"tests.torture.{name}" for name in ("calls", "clock", "planted", "pushes", "races")),
)
"""What an apply would import under way, which took it longer than all else that it does."""

GOES_ON = (0, 4, 5, 6)
"""Ends after which another apply goes on: done, stale, in part, indeterminate."""


class Ground:
    """A sandbox and machines whose clocks run faster."""

    def __init__(self, folder: Path, machines: Machines) -> None:
        self.folder = folder
        self.machines = machines
        self.planted = ""
        """The name of a bug that all machines have, and that must be found."""
        self.began = time.time()
        program = ("-m", "tests.torture.sandbox", repr(self.began))
        self.sandbox = Sandbox(folder, program=program, now=Clock(self.began).wall)
        self._numbers = itertools.count(1)

    @functools.cached_property
    def cold(self) -> Machines:
        """Machines that import under way, where the files of a library cannot be opened either."""
        folder = self.folder / "cold"
        folder.mkdir()
        return Machines(folder)

    def close(self) -> None:
        """Stop the sandbox, and the cold machines if there were any."""
        if "cold" in vars(self):
            self.cold.close()
        self.sandbox.close()

    def case(self, phase: str, *, git: bool = False, endpoint: str = "") -> Case:
        """A project in which everything before the phase has happened and the phase is declared.

        Its provider is the sandbox, or what stands before it at another endpoint.
        """
        number = next(self._numbers)
        root = self.folder / f"project{number}"
        project = Project(root, self.sandbox, f"t{number}")
        project.environ["STRATCTL_HEAD_KEY"] = HEAD_KEY
        project.environment["endpoint"] = endpoint or self.sandbox.endpoint
        if git:
            project.project["journal"] = {"git": {}}
            project.git("remote", "add", "origin", bare(root.with_suffix(".git")).as_uri())
        case = Case(self, project, phase, begin(project))
        if phase != "begin":
            with case.within():
                project.settle()
            PHASES[phase].declare(project, case.codes)
        if git:
            project.git("push", "--quiet", "origin", "main")
        return case


@dataclass
class Case:
    """One project, one thing to be done, and what becomes of it."""

    ground: Ground
    project: Project
    phase: str

    codes: list[str]
    disks: int = 1
    """How many it has had."""
    forked: bool = False
    """Two wrote one journal without a lock, so that it may be none any more."""

    @property
    def endpoint(self) -> str:
        """Where its provider is."""
        return str(self.project.environment["endpoint"])

    @property
    def contexts(self) -> list[list[Any]]:
        """What all processes of this machine run in: module, name and arguments."""
        clock = ["tests.torture.clock", "hurried", self.endpoint, self.ground.began]
        if not self.ground.planted:
            return [clock]
        machine = f"{self.project.root} {self.disks}"
        return [clock, ["tests.torture.planted", self.ground.planted, machine]]

    @contextlib.contextmanager
    def within(self) -> Iterator[None]:
        """This process is one of them."""
        with contextlib.ExitStack() as stack:
            for module, name, *given in self.contexts:
                stack.enter_context(getattr(importlib.import_module(module), name)(*given))
            yield

    def start(self, *, inside: Sequence[Sequence[Any]] = (), **order: Any) -> int:
        """Begin an apply in a process of its own, in these contexts."""
        contexts = [*self.contexts, *inside]
        return self.ground.machines.start(self.project, inside=contexts, **order)

    def apply(self, *, inside: Sequence[Sequence[Any]] = (), cold: bool = False) -> Ended:
        """Apply in a process of its own, or of a cold machine's, and wait for its end."""
        machines = self.ground.cold if cold else self.ground.machines
        return machines.apply(self.project, inside=[*self.contexts, *inside])

    def lose_disk(self) -> None:
        """The machine is gone; another one has a fresh clone and, at most, what was pushed."""
        root = self.project.root
        self.disks += 1
        if "git" not in self.project.project["journal"]:
            shutil.rmtree(root / ".stratctl", ignore_errors=True)
            return
        fresh = root.with_name(root.name + "-fresh")
        origin = self.project.git("remote", "get-url", "origin")
        self.project.git("clone", "--quiet", "--single-branch", origin, str(fresh))
        shutil.rmtree(root)
        fresh.rename(root)

    def bring_home(self) -> None:
        """Apply as a person would until nothing is left."""
        for _ in range(APPLIES_MAX):
            PHASES[self.phase].at_most(self.project.witness(SHORT), self.codes)
            ended = self.apply()
            if ended.error == "LockHeld":
                self._unlock(ended.text)
            elif ended.error == "JournalTampered" and self.forked:
                self.lose_disk()
            else:
                assert ended.code in GOES_ON, ended
            if ended.code == 0 and not self.left():
                return
        raise AssertionError(f"after {APPLIES_MAX} applies there is still {self.left()}")

    def left(self) -> list[tuple[str, str, int]]:
        """What a plan would still do."""
        with self.within():
            return verbs(self.project.plan())

    def judge(self) -> None:
        """Every flow moved exactly once, nothing is lost, and the journal verifies."""
        PHASES[self.phase].exactly(self.project.witness(SHORT), self.codes)
        with self.within():
            report = pipeline.audit_verify(self.project.root, environment=None)
        assert report.holds, report
        assert self.project.sandbox.is_balanced()

    def _unlock(self, said: str) -> None:
        """Whoever held the journal is surely gone: open it to the next one."""
        found = re.search(r"nonce ([0-9a-f]+)", said)
        assert found, said
        with self.within():
            pipeline.unlock(self.project.root, found[1], environment=None)


@contextlib.contextmanager
def ground(machines: Machines | None = None) -> Iterator[Ground]:
    """A ground in a folder of its own, with these machines or its own."""
    for_small_books()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if machines is None:
            machines = Machines(folder, *IMPORTED)
            stack.callback(machines.close)
        opened = Ground(folder, machines)
        stack.callback(opened.close)
        yield opened
