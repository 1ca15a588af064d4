"""A Git remote with one branch, and a repository on each machine: under the real journal store.

Objects are bytes by their digest, as Git has them; what a machine asks of the remote passes ports,
and a push may be lost on its way there or on its way back. A push is the fsync here: what the
branch holds is durable, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1
from typing import TYPE_CHECKING

from stratctl.journal.git import LOCAL_SECONDS, Git, GitFailed
from stratctl.journal.segments import FILE
from tests.sim.disk import File

if TYPE_CHECKING:
    from tests.sim.machine import Machine
    from tests.sim.scheduler import Scheduler

PUSH_FAULTS = ("push_lost", "push_unanswered")
FAILED_MS = 2_000


class Remote:
    """What stands on the branch."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.head = ""
        self.file = File()
        """The open segment on the branch: durable as it is."""

    def take(self, objects: Mapping[str, bytes], commit: str) -> None:
        """A push has arrived."""
        self.objects.update(objects)
        self.stand_at(commit)

    def before(self, commit: str) -> str:
        """The commit that this one was made upon."""
        return _field(self.objects, commit, "parent")

    def stand_at(self, commit: str) -> None:
        """The branch is there from now on."""
        self.head = commit
        tree = _tree(self.objects, commit)
        blob = self.objects[tree[FILE].split()[-1]] if FILE in tree else b""
        self.file.seen = self.file.durable = self.file.synced = blob


class FakeGit(Git):
    """The commands of one machine's repository."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._objects: dict[str, bytes] = {}
        self._refs: dict[str, str] = {}
        self.machine: Machine | None = None
        """Who runs the commands now."""

    def __call__(
        self,
        *words: str,
        data: bytes = b"",
        seconds: float = LOCAL_SECONDS,
        environ: Mapping[str, str] | None = None,
    ) -> bytes:
        """What the command prints. Raises GitFailed."""
        del seconds
        match words:
            case ("check-ref-format", _):
                return b""
            case ("remote", "get-url", "--", name):
                return name.encode()
            case ("for-each-ref", _, ref):
                return self._refs.get(ref, "").encode()
            case ("update-ref", ref, commit):
                self._refs[ref] = commit
                return b""
            case ("hash-object", "-w", "--stdin"):
                return self._keep(data)
            case ("mktree", "-z"):
                return self._keep(data)
            case ("commit-tree", tree, *parents):
                when = (environ or {}).get("GIT_COMMITTER_DATE", "")
                said = [f"tree {tree}", *(f"parent {name}" for name in parents[1:]), when]
                return self._keep("\n".join(said).encode())
            case ("cat-file", "blob", name):
                return self._objects[name]
            case ("ls-tree", "-z", "--full-tree", commit):
                return self._objects[_field(self._objects, commit, "tree")]
            case ("merge-base", "--is-ancestor", commit, head):
                if commit not in self._ancestry(head):
                    raise GitFailed("is no ancestor", code=1)
                return b""
            case ("ls-remote", *_, ref):
                self._travel("ls-remote")
                return f"{self._remote.head}\t{ref}\n".encode() if self._remote.head else b""
            case ("fetch", *_, commit):
                self._travel("fetch")
                assert commit in self._remote.objects, "only what stands there is fetched"
                self._objects.update(self._remote.objects)
                return b""
            case ("push", *options, spec):
                self._push(options, spec.partition(":")[0])
                return b""
        raise AssertionError(f"git {words[0]} is not known here")

    def _push(self, options: list[str], made: str) -> None:
        machine = self.machine
        assert machine is not None
        machine.port("git push")
        fault = machine.world.fault("push", PUSH_FAULTS, often=6)
        if fault:
            machine.world.reached(fault, machine)
        (lease,) = (word for word in options if word.startswith("--force-with-lease="))
        fits = lease.rpartition(":")[2] == self._remote.head
        if fault != "push_lost" and fits:
            self._remote.take(self._objects, made)
        machine.sleep_ms(machine.world.latency_ms())
        machine.port("git push is over")
        if fault:
            machine.sleep_ms(FAILED_MS)
            raise GitFailed("the remote end hung up unexpectedly", code=128)
        if not fits:
            raise GitFailed("! [rejected] (stale info)", code=1)

    def _travel(self, what: str) -> None:
        machine = self.machine
        assert machine is not None
        machine.world.history.add("git", what, machine)
        machine.port(f"git {what}")

    def _keep(self, data: bytes) -> bytes:
        name = sha1(data, usedforsecurity=False).hexdigest()
        self._objects[name] = data
        return name.encode()

    def _ancestry(self, head: str) -> set[str]:
        found: set[str] = set()
        while head and head not in found:
            found.add(head)
            head = _field(self._objects, head, "parent")
        return found


class Baton:
    """A lock for tasks of the schedule: whoever waits for it lets the others go on."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            self._scheduler.sleep(5)
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False


def _field(objects: Mapping[str, bytes], commit: str, name: str) -> str:
    for line in objects[commit].decode().splitlines():
        if line.startswith(f"{name} "):
            return line.removeprefix(f"{name} ")
    return ""


def _tree(objects: Mapping[str, bytes], commit: str) -> dict[str, str]:
    said = objects[_field(objects, commit, "tree")].decode().split("\0")
    pairs = (entry.partition("\t") for entry in said if entry)
    return {name: about for about, _, name in pairs}
