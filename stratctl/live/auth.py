"""Credentials that cannot be shown, and the provider's documented signature over a request.

::

    message   = timestamp + METHOD + route with query + body      (no separators; no body: {})
    signature = base64(HMAC-SHA256(base64decode(secret), message))
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from stratctl.core.errors import UsageError
from stratctl.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """One API key of the platform. ``secret`` is base64 text, as the provider issues it."""

    key: Secret
    secret: Secret
    passphrase: Secret


def credentials_from(environ: Mapping[str, str], prefix: str) -> Credentials:
    """Read ``{prefix}_KEY``, ``_SECRET`` and ``_PASSPHRASE`` from an environment.

    ``prefix`` is ``STRATCTL_READ`` or ``STRATCTL_WRITE``. Raises UsageError, which names the
    variables that are missing or unusable and never shows a value.
    """
    names = [f"{prefix}_{part}" for part in ("KEY", "SECRET", "PASSPHRASE")]
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise UsageError(
            f"credentials are missing: {', '.join(missing)}",
            hint="set them in the environment of this command; they are read from nowhere else",
        )
    key, secret, passphrase = (Secret(environ[name]) for name in names)
    for name, value in ((names[0], key), (names[2], passphrase)):
        if not _fits_a_header(value.reveal()):
            raise UsageError(f"{name} has characters that cannot be sent in a header")
    if not _is_base64(secret.reveal()):
        raise UsageError(
            f"{names[1]} is not base64 text",
            hint="give the private key exactly as the provider issued it",
        )
    return Credentials(key=key, secret=secret, passphrase=passphrase)


def sign(
    credentials: Credentials, timestamp: int, method: str, target: str, body: str = ""
) -> dict[str, Secret]:
    """The four headers that authenticate one request, as the provider documents them.

    ``timestamp`` is Unix seconds; the provider accepts it for 60 s. ``target`` is the path with
    its query exactly as it goes on the wire. Without a body ``{}`` is signed and nothing is sent.
    """
    message = f"{timestamp}{method.upper()}{target}{body or '{}'}"
    return {
        "X-SCX-API-KEY": credentials.key,
        "X-SCX-SIGNED": Secret(_signature(credentials.secret, message)),
        "X-SCX-TIMESTAMP": Secret(str(timestamp)),
        "X-SCX-PASSPHRASE": credentials.passphrase,
    }


def _signature(secret: Secret, message: str) -> str:
    digest = hmac.digest(
        base64.b64decode(secret.reveal(), validate=True), message.encode(), hashlib.sha256
    )
    return base64.b64encode(digest).decode("ascii")


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):  # ValueError: characters outside ASCII
        return False


def _fits_a_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip()
