"""A journal on a branch of a Git remote, for machines whose disks die with the job.

::

    refs/heads/<branch>/<environment> ── commit ── tree ─┬─ 00000001.jsonl.gz   closed segments
                                                         ├─ journal.jsonl       the open one
                                                         └─ lock                while one applies

The remote is the truth, and a push is the fsync: fast forward, with a lease on the head that was
read, so that it is a compare-and-swap. A second writer loses it, and so does a writer whose remote
was wound back. An intent is pushed before its request goes out; what follows it travels with the
next intent, whichever Strategy's that is, or at the end. What a lost machine did not push can be
asked of the provider again; that it may have sent, the next holder writes down (``Takeover``).

Only objects and one ref below ``refs/stratctl/`` are written into the local repository: that ref
is the newest head that a writer here has seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from stratctl.core.errors import (
    JournalError,
    JournalRolledBack,
    JournalTampered,
    JournalUnavailable,
    LockHeld,
)
from stratctl.journal.git import NETWORK_SECONDS, Git, GitFailed
from stratctl.journal.record import Takeover
from stratctl.journal.segments import FILE, SEGMENT_BYTES, close, join, name_of

LOCK = "lock"

LEASE_SECONDS = 600.0
"""How long a lock holds without a push. Every push renews it, and half of it gone, the next entry
does: who was asleep for longer than a lease sends nothing before it holds one again."""

PAUSES = (1.0, 2.0)
"""Seconds before a push that did not arrive is sent again."""

_HEX = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_BLOB = "100644 blob"


class GitBranch:
    """Where the journal of one environment is: a branch of a remote of the project's repository."""

    def __init__(
        self,
        root: Path,
        remote: str,
        branch: str,
        environment: str,
        *,
        clock: Callable[[], datetime],
        git: Git | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._git = git or Git(root)
        self._pause = pause
        self._remote = remote
        self._branch = f"{branch}/{environment}"

    def read(self) -> bytes:
        """The whole journal without a lock; nothing where there is none. Raises
        JournalUnavailable and JournalRolledBack."""
        closed, opened = self._line().fetched().segments()
        return b"".join((*closed, opened))

    def open(self) -> GitStore:
        """Take the lock with a push. Raises LockHeld, JournalUnavailable, JournalRolledBack and
        JournalTampered."""
        line = self._line()
        return GitStore(line, line.fetched(), clock=self._clock, monotonic=self._monotonic)

    def unlock(self, nonce: str) -> str | None:
        """Let the next writer in before the lease is over; see ``Place.unlock``.

        The lock stays where it is, as one that was given away: until its lease would have ended its
        holder may still send what it has shared, and the next one writes that down. Whatever the
        holder pushes afterwards is refused.
        """
        line = self._line()
        head = line.fetched()
        lock = _lock(head)
        if lock is None or lock.free(now=self._clock().timestamp()):
            return None
        if lock.nonce != nonce:
            raise _held(lock)
        line.advance(head, {LOCK: replace(lock, given_away=True).line()})
        return lock.owner

    def _line(self) -> _Line:
        return _Line(self._git, self._remote, self._branch, self._clock, self._pause)


class GitStore:
    """The bytes of a journal on a branch, locked for this process."""

    def __init__(
        self,
        line: _Line,
        head: _Head,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line
        self._clock = clock
        self._monotonic = monotonic
        self._nonce = os.urandom(8).hex()
        self._owner = f"pid {os.getpid()} on {socket.gethostname()}"
        self._turn = threading.Lock()
        """Who holds it changes what is to be pushed."""
        self._pushing = threading.Lock()
        """Who holds it pushes for everybody who waits for it."""
        self._head = head
        closed, opened = head.segments()
        self._closed = b"".join(closed)
        self._segments = len(closed)
        self._before = 0
        """How many bytes of lines are closed."""
        self._data = bytearray(opened)
        """The open segment."""
        self._written = 0
        self._shared = 0
        self._lease_ends = 0.0
        self._broken: JournalError | None = None
        self.left_open = _left_open(head, now=clock().timestamp())
        try:
            self._push(lock=True)
        except _Moved as error:
            text = f"another apply holds the journal: {error.holder}"
            raise LockHeld(text, hint=_WAIT) from error

    def read(self) -> bytes:
        """The whole journal, as it was when it was opened; to be asked for once."""
        whole, self._before, self._closed = self._closed + self._data, len(self._closed), b""
        return whole

    def cut(self, size: int) -> None:
        """Drop a torn tail; the next push is without it. Raises JournalTampered."""
        if size < self._before:
            raise JournalTampered("the journal was changed: a closed segment is torn")
        with self._turn:
            del self._data[size - self._before :]
            self._written += 1

    def write(self, data: bytes) -> None:
        """Keep it for the next push. Raises JournalUnavailable when the lease cannot be renewed:
        then somebody else may hold the journal, and nothing may follow from what is written."""
        if self._monotonic() > self._lease_ends - LEASE_SECONDS / 2:
            self._share(renew=True)
        with self._turn:
            self._data += data
            self._written += 1

    def share(self) -> None:
        """Push everything that was written before the call, unless somebody's push carries it.
        Raises JournalUnavailable and JournalRolledBack."""
        self._share(renew=False)

    def close(self) -> None:
        """Push what is left, without the lock. Raises JournalUnavailable and JournalRolledBack;
        then the lock ends with its lease."""
        with self._pushing:
            if self._broken is None:
                self._push(lock=False)

    def _share(self, *, renew: bool) -> None:
        with self._turn:
            wanted = self._written
        with self._pushing:
            if self._broken is not None:
                raise self._broken
            if renew or self._shared < wanted:
                self._push(lock=True)

    def _push(self, *, lock: bool) -> None:
        began = self._monotonic()
        with self._turn:
            data, written = bytes(self._data), self._written
        # Not before anything was written: what was found may have a torn tail.
        full = len(data) >= SEGMENT_BYTES and written > 0
        files = {name_of(self._segments + 1): close(data), FILE: b""} if full else {FILE: data}
        if lock:
            expires = int(self._clock().timestamp() + LEASE_SECONDS)
            files[LOCK] = _Lock(owner=self._owner, nonce=self._nonce, expires=expires).line()
        try:
            self._head = self._line.advance(self._head, files)
        except JournalError as error:
            self._broken = error
            raise
        if full:
            self._segments += 1
            with self._turn:
                del self._data[: len(data)]
        self._shared = written
        self._lease_ends = began + LEASE_SECONDS


# --- the lock ------------------------------------------------------------------------------------

_WAIT = "wait for it to end; one whose machine was lost holds it until its lease is over"


@dataclass(frozen=True)
class _Lock:
    """Who applies, and until when nobody else may."""

    owner: str
    nonce: str
    expires: int
    given_away: bool = False
    """Somebody unlocked it: the next one may come in, and the holder may still be sending."""

    def free(self, *, now: float) -> bool:
        return self.given_away or self.expires <= now

    def line(self) -> bytes:
        """As it stands in the commit."""
        return json.dumps(asdict(self), sort_keys=True).encode() + b"\n"


def _lock(head: _Head) -> _Lock | None:
    """The lock that stands in a commit. Raises JournalTampered."""
    if LOCK not in head.files:
        return None
    try:
        said = json.loads(head.read(LOCK))
        return _Lock(
            owner=str(said["owner"]),
            nonce=str(said["nonce"]),
            expires=int(said["expires"]),
            given_away=said["given_away"] is True,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise JournalTampered(
            "the journal's lock cannot be read", hint="restore the branch's last good commit"
        ) from error


def _left_open(head: _Head, *, now: float) -> Takeover | None:
    """The holder whose lease is over, or was given away. Raises LockHeld while it is not."""
    lock = _lock(head)
    if lock is None:
        return None
    if not lock.free(now=now):
        raise _held(lock)
    return Takeover(holder=lock.owner, at=lock.expires)


def _held(lock: _Lock) -> LockHeld:
    until = datetime.fromtimestamp(lock.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return LockHeld(
        f"another apply holds the journal: {lock.owner}, at most until {until}"
        f" (nonce {lock.nonce})",
        hint=f"{_WAIT}, or until stratctl unlock {lock.nonce}",
    )


class _Moved(JournalUnavailable):
    """Somebody else wrote the journal while we held it."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(
            f"another apply took the journal from this one: {holder} ({name})",
            hint="nothing more is sent here; wait for it to end, then apply again",
        )
        self.holder = holder


@contextlib.contextmanager
def _as_unavailable(what: str) -> Iterator[None]:
    """Git's errors change their name at the door."""
    try:
        yield
    except GitFailed as error:
        raise JournalUnavailable(
            f"{what}: {error.text}", hint="nothing is applied without a journal"
        ) from error


# --- the remote's branch -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Head:
    """A commit of the branch and what it holds; without one, nothing."""

    git: Git
    commit: str
    files: dict[str, str]
    """name -> mode, type and object, as Git writes them in a tree"""

    def segments(self) -> tuple[list[bytes], bytes]:
        """The lines of the closed segments and of the open one. Raises JournalUnavailable and
        JournalTampered."""
        closed: list[bytes] = []
        while name_of(len(closed) + 1) in self.files:
            closed.append(self.read(name_of(len(closed) + 1)))
        return join(closed, self.read(FILE))

    def read(self, name: str) -> bytes:
        """The bytes of a file; nothing where there is none. Raises JournalUnavailable."""
        if name not in self.files:
            return b""
        with _as_unavailable("the journal's branch cannot be read"):
            return self.git("cat-file", "blob", self.files[name].split()[-1])


class _Line:
    """One branch of one remote: what stands there, and the next commit on top of it."""

    def __init__(
        self,
        git: Git,
        remote: str,
        branch: str,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
    ) -> None:
        self._git = git
        self._remote = remote
        self._clock = clock
        self._pause = pause
        self._ref = f"refs/heads/{branch}"
        self._memory = f"refs/stratctl/journal/{remote}/{branch}"
        self._name = f"{remote}, branch {branch}"

    def fetched(self) -> _Head:
        """What stands there now, with its objects. Raises JournalUnavailable, and JournalRolledBack
        when a writer here has seen more."""
        with _as_unavailable(f"the journal cannot be read: {self._name}"):
            self._git("check-ref-format", self._ref)
            self._git("remote", "get-url", "--", self._remote)
            # Remembered before it is asked for: what a writer here pushes meanwhile is no loss.
            known = self._known()
            commit = self._remote_head()
            if commit not in ("", known):
                self._fetch(commit)
        head = self._at(commit)
        if known and not self._holds(head, known):
            raise self._rolled_back(head, known)
        return head

    def advance(self, head: _Head, files: dict[str, bytes]) -> _Head:
        """Push the next commit: these files, and others as they were; a lock that is not among
        them is gone. Raises JournalUnavailable and JournalRolledBack."""
        with _as_unavailable(f"the journal cannot be written: {self._name}"):
            kept = {name: entry for name, entry in head.files.items() if name != LOCK}
            for name, data in files.items():
                kept[name] = f"{_BLOB} {self._git.text('hash-object', '-w', '--stdin', data=data)}"
            tree = "".join(f"{entry}\t{name}\0" for name, entry in sorted(kept.items()))
            made = self._commit(
                self._git.text("mktree", "-z", data=tree.encode("utf-8", "surrogateescape")), head
            )
        self._send(head, made)
        with _as_unavailable(f"the journal's head cannot be remembered: {self._name}"):
            self._git("update-ref", self._memory, made)
        return _Head(self._git, made, kept)

    def _commit(self, tree: str, head: _Head) -> str:
        at = f"{int(self._clock().timestamp())} +0000"
        parents = ["-p", head.commit] if head.commit else []
        said = self._git(
            *("commit-tree", tree, *parents),
            data=b"journal\n",
            environ={"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at},
        )
        return said.decode("ascii").strip()

    def _send(self, head: _Head, made: str) -> None:
        """Fast forward from ``head`` to ``made``, or fail; what became of a push whose answer was
        lost is asked of the remote."""
        failure = self._push_once(head, made)
        for seconds in PAUSES:
            if failure is None:
                return
            self._pause(seconds)
            failure = self._push_once(head, made)
        if failure is not None:
            raise self._unshared(failure) from failure

    def _push_once(self, head: _Head, made: str) -> GitFailed | None:
        """Why the commit did not arrive; None when it did, whatever the push said."""
        try:
            self._git(
                *("push", "--quiet", "--no-verify", "--no-recurse-submodules"),
                f"--force-with-lease={self._ref}:{head.commit}",
                *("--", self._remote, f"{made}:{self._ref}"),
                seconds=NETWORK_SECONDS,
            )
        except GitFailed as failure:
            try:
                found = self._remote_head()
            except GitFailed as error:
                raise self._unshared(error) from failure
            if found not in (made, head.commit):
                raise self._moved(head, found) from failure
            return None if found == made else failure
        return None

    def _unshared(self, error: Exception) -> JournalUnavailable:
        return JournalUnavailable(
            f"the journal could not be pushed to {self._name}: {error}",
            hint="nothing more is sent; the next apply asks the provider what became of the rest",
        )

    def _moved(self, head: _Head, found: str) -> JournalError:
        """The remote does not stand where it was left: wound back, or taken by somebody else."""
        try:
            if found:
                self._fetch(found)
            there = self._at(found)
            if head.commit and not self._holds(there, head.commit):
                return self._rolled_back(there, head.commit)
            lock = _lock(there)
        except (GitFailed, JournalTampered) as error:
            return self._unshared(error)
        holder = lock.owner if lock and not lock.given_away else "somebody who is done"
        return _Moved(self._name, holder)

    def _rolled_back(self, head: _Head, known: str) -> JournalRolledBack:
        where = head.commit[:12] or "nowhere"
        return JournalRolledBack(
            f"E_JOURNAL_ROLLBACK: the journal was wound back: {self._name} stands at {where} and"
            f" lacks {known[:12]}, which was there before",
            hint=f"push {known[:12]} to the branch again (git log {self._memory} shows it); nothing"
            " is applied with a journal that lost entries",
        )

    # --- questions to git, which may all raise GitFailed --------------------------------------

    def _remote_head(self) -> str:
        said = self._git.text(
            "ls-remote", "--quiet", "--", self._remote, self._ref, seconds=NETWORK_SECONDS
        )
        heads = [line.split("\t") for line in said.splitlines()]
        found = next((commit for commit, name in heads if name == self._ref), "")
        if found and not _HEX.fullmatch(found):
            raise GitFailed(f"the remote names {found[:80]!r} as its head", code=1)
        return found

    def _fetch(self, commit: str) -> None:
        """Get a commit by its name; no ref, no tag and no FETCH_HEAD is written for it."""
        self._git(
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            *("--no-recurse-submodules", "--refmap=", "--", self._remote, commit),
            seconds=NETWORK_SECONDS,
        )

    def _known(self) -> str:
        """The newest head that a writer here has seen; nothing in a new clone."""
        return self._git.text("for-each-ref", "--format=%(objectname)", self._memory)

    # --- what a commit holds -------------------------------------------------------------------

    def _at(self, commit: str) -> _Head:
        """Raises JournalUnavailable."""
        if not commit:
            return _Head(self._git, "", {})
        with _as_unavailable(f"the journal cannot be read: {self._name}"):
            said = self._git("ls-tree", "-z", "--full-tree", commit)
        listed = said.decode("utf-8", "surrogateescape").split("\0")
        entries = [entry.split("\t", 1) for entry in listed if entry]
        return _Head(self._git, commit, {name: said for said, name in entries})

    def _holds(self, head: _Head, commit: str) -> bool:
        """Whether the head has the commit among its ancestors."""
        if not head.commit:
            return False
        with _as_unavailable(f"the journal cannot be read: {self._name}"):
            try:
                self._git("merge-base", "--is-ancestor", commit, head.commit)
            except GitFailed as error:
                if error.code == 1:
                    return False
                raise
        return True
