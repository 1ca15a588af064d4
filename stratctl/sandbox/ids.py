"""Identifiers: UUIDs that follow from the seed, and the shape of those that come in."""

import re
from hashlib import blake2b

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_UUID_V4 = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}",
    re.ASCII,
)


def derive(seed: int, kind: str, name: str | int, version: str = "4") -> str:
    """A UUID that the same seed always gives to the same thing."""
    text = blake2b(f"{seed}/{kind}/{name}".encode(), digest_size=16).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-{version}{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def is_uuid(text: str) -> bool:
    """Any UUID, whatever its version."""
    return _UUID.fullmatch(text) is not None


def is_uuid_v4(text: str) -> bool:
    """A UUID whose version and variant bits say 4: the documented rule for X-REQUEST-ID."""
    return _UUID_V4.fullmatch(text) is not None
