"""Heads of the journal, made, signed and held against it; and evidence that is proven by them."""

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


def head_keeper(session: Session) -> Closed:
    """What writes the signed head of a journal that was closed. Raises UsageError for a key that
    is none."""
    return partial(_keep, session, key_from(session.environ, HEAD_KEY))


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
    if public_key and not is_public_key(public_key):
        raise UsageError(
            "the public key is not 32 bytes in base64",
            hint="take it from where it was published; a head that was signed with it names it too",
        )
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


def _keep(session: Session, key: Secret | None, entries: Sequence[Entry]) -> None:
    folder = session.root / HEADS
    path = folder / f"{session.environment.name}.json"
    partial_path = path.with_name(path.name + ".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial_path.write_bytes(_head(session, key, entries).line())
        partial_path.replace(path)
    except OSError as error:
        raise JournalUnavailable(
            f"the journal's head could not be written to {path}: {error.strerror}",
            hint="everything that was done is in the journal; write its head with: stratctl audit"
            " head --out FILE",
        ) from error


def _head(session: Session, key: Secret | None, entries: Sequence[Entry]) -> Head:
    head = head_of(entries, timestamp(session.now()))
    return sign(head, key) if key else head
