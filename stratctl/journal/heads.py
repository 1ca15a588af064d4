"""A journal's head: how far it went and what stood there, perhaps signed, to be kept elsewhere.

::

    {"at": …, "digest": …, "entries": 68, "environment": …, "key": …, "realm": …, "root": …,
     "signature": …, "v": 1}

``digest`` is ``h`` of the last of these entries, and ``root`` the head of a tree (``merkle.py``)
whose leaves are the ``h`` of each of them: a bundle of evidence proves single entries against it.
The signature is Ed25519 over ``stratctl/head/v1``, a zero byte, and the canonical JSON of the head
without it. A chain alone cannot show that its end was cut off, nor that all of it was written anew;
a head that was kept where nobody who can write the journal can write, does.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from stratctl.core.errors import UsageError
from stratctl.core.secret import Secret
from stratctl.core.words import count
from stratctl.journal.merkle import root
from stratctl.journal.record import Entry, Genesis, canonical

KEY_BYTES = 32
_CONTEXT = b"stratctl/head/v1\0"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Head:
    """How a journal ended at a time."""

    realm: str
    environment: str
    entries: int
    digest: str
    root: str
    at: str
    """RFC 3339: when it was looked at."""
    key: str = ""
    """The public key in base64; empty for a head that nobody signed."""
    signature: str = ""

    def line(self) -> bytes:
        """As it is kept."""
        return canonical({**asdict(self), "v": _VERSION}) + b"\n"


class NoHead(ValueError):
    """A text that is no head."""


def head_of(entries: Sequence[Entry], at: str) -> Head:
    """The head of a verified journal that has begun."""
    genesis = entries[0].event
    assert isinstance(genesis, Genesis), "a chain begins with it"
    return Head(
        realm=genesis.realm,
        environment=genesis.environment,
        entries=len(entries),
        digest=entries[-1].digest,
        root=root_of(entries),
        at=at,
    )


def root_of(entries: Sequence[Entry]) -> str:
    """The head of the tree over the digests of these entries."""
    return root(entry.digest.encode() for entry in entries)


def read_head(data: bytes) -> Head:
    """A head that was kept. Raises NoHead."""
    try:
        said = json.loads(data)
        version = said.pop("v")
        head = Head(**said)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoHead("it is no head of a journal") from error
    kinds = [type(value) for value in asdict(head).values()]
    if version != _VERSION or kinds != _KINDS or head.entries < 1:
        raise NoHead("it is no head that is known here")
    return head


_KINDS = [str, str, int, str, str, str, str, str]


# --- keys and signatures ------------------------------------------------------------------------


def key_from(environ: Mapping[str, str], variable: str) -> Secret | None:
    """The signing key: 32 bytes in base64, from the environment. None where there is none.

    Raises UsageError, which never shows it.
    """
    if not environ.get(variable):
        return None
    key = Secret(environ[variable])
    if _bytes_of(key.reveal(), KEY_BYTES) is None:
        raise UsageError(
            f"{variable} is not {KEY_BYTES} bytes in base64",
            hint=f"make one with: openssl rand -base64 {KEY_BYTES}",
        )
    return key


def sign(head: Head, key: Secret) -> Head:
    """The same head with its signature."""
    named = replace(head, key=public_key_of(key), signature="")
    return replace(named, signature=signature_of(key, _message(named)))


def doubt_of(head: Head, public_key: str) -> str:
    """Why the signature proves nothing; empty when it is that of this key, or, where no key is
    known, of the key that the head names, or when nobody signed it and nobody asks."""
    if not head.signature:
        return "nobody signed it" if public_key else ""
    if public_key and head.key != public_key:
        return f"it is signed with the key {head.key}"
    return unfit(head.key, head.signature, _message(head))


def public_key_of(key: Secret) -> str:
    """What a signature of this key is checked with, in base64."""
    return base64.b64encode(_private(key).public_key().public_bytes_raw()).decode()


def signature_of(key: Secret, message: bytes) -> str:
    """In base64."""
    return base64.b64encode(_private(key).sign(message)).decode()


def unfit(public_key: str, signature: str, message: bytes) -> str:
    """Why this is no signature of the message by this key; empty when it is."""
    key, signed = _bytes_of(public_key, 32), _bytes_of(signature, 64)
    if key is None or signed is None:
        return "its signature is none"
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signed, message)
    except InvalidSignature:
        return "its signature does not fit it"
    return ""


def _private(key: Secret) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.reveal()))


def is_public_key(text: str) -> bool:
    """Whether it can be one."""
    return _bytes_of(text, 32) is not None


def _message(head: Head) -> bytes:
    said: dict[str, Any] = {**asdict(head), "v": _VERSION}
    del said["signature"]
    return _CONTEXT + canonical(said)


def _bytes_of(text: str, size: int) -> bytes | None:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters outside ASCII
        return None
    return found if len(found) == size else None


# --- a journal against a head that was kept -------------------------------------------------------


def held_against(
    kept: Sequence[tuple[str, bytes]], public_key: str, entries: Sequence[Entry]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what is wrong, what was found) of a verified journal, held against files with heads.

    ``public_key`` is whose signature each of them must carry; empty where nobody is named.
    """
    wrong, found = [], []
    for name, data in kept:
        try:
            head = read_head(data)
        except NoHead as error:
            wrong.append(f"{name}: {error}")
            continue
        why = doubt_of(head, public_key)
        if why:
            wrong.append(f"{name}: the kept head proves nothing: {why}")
        elif why := contradiction(head, entries):
            wrong.append(f"{name}: {why}")
        else:
            since = count(len(entries) - head.entries, "entry", "entries")
            found.append(
                f"{name}: the journal goes on from this head of {head.at}, {_entries(head)},"
                f" with {since} since; {_signer(head, public_key)}"
            )
    return tuple(wrong), tuple(found)


def _signer(head: Head, public_key: str) -> str:
    if not head.signature:
        return "nobody signed it"
    if public_key:
        return "its signature is that of the given key"
    return f"its signature fits the key {head.key}, which is yours to recognise"


def contradiction(head: Head, entries: Sequence[Entry]) -> str:
    """Why this verified journal is not the one that had this head; empty where it goes on."""
    if not entries:
        return f"the journal is empty, and had {_entries(head)} at {head.at}"
    genesis = entries[0].event
    assert isinstance(genesis, Genesis), "a chain begins with it"
    for word, kept, found in (
        ("realm", head.realm, genesis.realm),
        ("environment", head.environment, genesis.environment),
    ):
        if kept != found:
            return f"the kept head is of {word} {kept!r}, the journal of {found!r}"
    then = entries[: head.entries]
    if len(then) < head.entries:
        lacking = count(head.entries - len(then), "entry", "entries")
        return f"the journal was cut off: it had {_entries(head)} at {head.at} and lacks {lacking}"
    if then[-1].digest != head.digest or root_of(then) != head.root:
        return (
            f"the journal was written anew: entry {head.entries} is not the one of the head that"
            f" was kept at {head.at}"
        )
    return ""


def _entries(head: Head) -> str:
    return count(head.entries, "entry", "entries")
