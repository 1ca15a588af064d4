"""Request ids: what two honest machines cannot disagree about, hashed and stamped as UUID v4.

A trading call's id names a *slot*: the n-th call of ours on a Strategy in a realm. It does not
depend on amounts, participants, commits or clocks, because machines that disagree about those
would get two ids and move money twice. The body is bound to the slot by the journal instead.
"""

from __future__ import annotations

import hashlib
import uuid

REALMS = ("prod", "prod-eu", "cert", "cert-eu", "sandbox")
SLOT_MAX = 2**63 - 1


def call_id(realm: str, strategy_id: str, slot: int) -> str:
    """The request id of slot ``slot`` (1, 2, 3 …) of a Strategy, lower case with dashes."""
    if not 1 <= slot <= SLOT_MAX:
        raise ValueError(f"slot {slot} is out of range")
    return _stamp(
        "stratctl/op-slot/v1",
        _realm(realm),
        uuid.UUID(strategy_id).bytes,
        slot.to_bytes(8, "big"),
    )


def create_id(realm: str, name: str, incarnation: int = 1) -> str:
    """The request id that creates the Strategy called ``name``; it is also its identity.

    The provider keeps it as ``Strategy.request_id``, so the name finds its Strategy for good.
    """
    return _stamp(
        "stratctl/create-strategy/v1",
        _realm(realm),
        name.encode("ascii"),
        incarnation.to_bytes(4, "big"),
    )


def patch_id(realm: str, resource_id: str, updated_at: str, value: str) -> str:
    """The request id of a PATCH: the resource, its ``updated_at`` as read, and the new value.

    The value alone would let a true → false → true sequence replay its first answer.
    """
    return _stamp(
        "stratctl/patch/v1",
        _realm(realm),
        uuid.UUID(resource_id).bytes,
        updated_at.encode(),
        hashlib.sha256(value.encode()).digest(),
    )


def _realm(realm: str) -> bytes:
    if realm not in REALMS:
        raise ValueError(f"unknown realm {realm!r}")
    return realm.encode("ascii")


def _stamp(tag: str, *parts: bytes) -> str:
    """Hash length-framed parts and stamp the version and variant bits of a UUID v4.

    Framing matters: without it "1"+"23" and "12"+"3" would hash alike.
    """
    framed = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    raw = bytearray(hashlib.sha256(tag.encode("ascii") + b"\x00" + framed).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(raw)))
