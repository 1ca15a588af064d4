"""Heads of the journal and its totals, made and signed, and held against it or built upon; and
evidence that is proven by them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stratctl.core.errors import JournalUnavailable, UsageError
from stratctl.journal.evidence import VERIFIER, bundle
from stratctl.journal.heads import (
    Head,
    NoHead,
    contradiction,
    doubt_of,
    head_of,
    held_against,
    is_public_key,
    key_from,
    read_head,
    sign,
)
from stratctl.journal.totals import (
    NoTotals,
    Totals,
    read_totals,
    refuse_foreign,
    refuse_older,
    signed_totals,
)
from stratctl.journal.verify import unheld
from stratctl.load.shipped import shipped
from stratctl.pipeline.session import HEAD_KEY, timestamp

if TYPE_CHECKING:
    from stratctl.core.secret import Secret
    from stratctl.journal.record import Entry
    from stratctl.journal.store import Closed
    from stratctl.journal.trail import Wanted
    from stratctl.journal.verify import Held
    from stratctl.pipeline.session import Session

HEADS = Path(".stratctl", "heads")
"""Where each run leaves its head, below the project root, for whoever keeps it elsewhere."""

TOTALS = Path(".stratctl", "totals")
"""Where it leaves its totals."""


def head_keeper(session: Session) -> Closed:
    """What writes the signed head and totals of a journal that was closed. Raises UsageError for a
    key that is none."""
    key = key_from(session.environ, HEAD_KEY)
    assert key is not None, "nothing is kept without one"
    return partial(_keep, session, key)


def head_now(session: Session) -> Head:
    """The head of the journal as it is. Raises UsageError where it has not begun."""
    return _head(session, key_from(session.environ, HEAD_KEY), _begun(session))


def evidence(session: Session, wanted: Wanted, kept: Path | None) -> bytes:
    """A bundle of evidence against a head: the kept one, or that of now. Raises UsageError."""
    key = key_from(session.environ, HEAD_KEY)
    entries = _begun(session)
    head = _kept_head(kept, entries) if kept else _head(session, key, entries)
    made = bundle(entries[: head.entries], head, wanted, shipped(f"docs/{VERIFIER}"))
    if made is None:
        raise UsageError(
            "the journal has nothing about that", hint="see what it has with: stratctl audit log"
        )
    return made


def _kept_head(path: Path, entries: Sequence[Entry]) -> Head:
    """Raises UsageError for a file that is no head of this journal."""
    try:
        head = read_head(path.read_bytes())
    except (OSError, NoHead) as error:
        raise UsageError(f"{path} cannot be used: {error}") from error
    why = contradiction(head, entries) or doubt_of(head, "")
    if why:
        raise UsageError(f"{path} cannot be used: {why}")
    return head


def totals_now(session: Session) -> bytes:
    """The signed totals of the journal as it is. Raises UsageError."""
    key = key_from(session.environ, HEAD_KEY)
    if key is None:
        raise UsageError(
            f"{HEAD_KEY} is not set, and totals that nobody signed are of no use",
            hint="set it to 32 bytes in base64: openssl rand -base64 32",
        )
    entries = _begun(session)
    made = signed_totals(entries, head_of(entries, timestamp(session.now())), key)
    if made is None:
        raise UsageError("the journal has bound no Strategy yet", hint="apply does, then come back")
    return made


def opening_totals(session: Session, path: Path, public_key: str, kept: Path | None) -> Totals:
    """Totals that a new journal may begin with. Raises UsageError for a file that is none, and
    JournalError for one of somebody else, of another environment, or older than a kept head."""
    _check_public_key(public_key)
    try:
        totals = read_totals(path.read_bytes(), public_key)
        head = read_head(kept.read_bytes()) if kept else None
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error
    except NoTotals as error:
        raise UsageError(f"{path} cannot be used: {error}") from error
    except NoHead as error:
        raise UsageError(f"{kept} cannot be used: {error}") from error
    environment = session.environment
    refuse_foreign(totals, realm=environment.realm, environment=environment.name)
    if head:
        why = doubt_of(head, public_key)
        if why:
            raise UsageError(f"{kept} cannot be used: {why}")
        refuse_older(totals, head)
    return totals


def _begun(session: Session) -> tuple[Entry, ...]:
    """The entries of a journal that has some. Raises UsageError."""
    entries = session.read_journal().entries()
    if not entries:
        raise UsageError(
            "the journal has no entry yet", hint="the first apply begins it; then it has a head"
        )
    return entries


def kept_heads(paths: Sequence[Path], public_key: str) -> Held:
    """How a journal is held against these files. Raises UsageError for one that cannot be read."""
    if public_key:
        _check_public_key(public_key)
    if public_key and not paths:
        raise UsageError("a public key is nothing without a head", hint="name one with --head")
    if not paths:
        return unheld
    kept = []
    for path in paths:
        try:
            kept.append((str(path), path.read_bytes()))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return partial(held_against, kept, public_key)


def _check_public_key(public_key: str) -> None:
    if not is_public_key(public_key):
        raise UsageError(
            "the public key is not 32 bytes in base64",
            hint="take it from where it was published; a head that was signed with it names it too",
        )


def _keep(session: Session, key: Secret, entries: Sequence[Entry]) -> None:
    name, head = session.environment.name, head_of(entries, timestamp(session.now()))
    _leave(session.root / HEADS / f"{name}.json", sign(head, key).line(), "head")
    totals = signed_totals(entries, head, key)
    # A journal that has booked nothing does not take the place of one that did.
    if totals is not None:
        _leave(session.root / TOTALS / f"{name}.jsonl.gz", totals, "totals")


def _leave(path: Path, data: bytes, what: str) -> None:
    partial_path = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial_path.write_bytes(data)
        partial_path.replace(path)
    except OSError as error:
        raise JournalUnavailable(
            f"the journal's {what} could not be written to {path}: {error.strerror}",
            hint=f"everything that was done is in the journal; write its {what} with: stratctl"
            f" audit {what} --out FILE",
        ) from error


def _head(session: Session, key: Secret | None, entries: Sequence[Entry]) -> Head:
    head = head_of(entries, timestamp(session.now()))
    return sign(head, key) if key else head
