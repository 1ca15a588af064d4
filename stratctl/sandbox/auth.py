"""Request signatures as documented, and the keys of this sandbox.

    message   = timestamp + METHOD + route with query + body      (no separators)
    signature = base64(HMAC-SHA256(base64decode(secret), message))

A GET signs the two characters `{}` as its body. The timestamp is in Unix seconds and must be
within 60 seconds of the server's clock.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256

from stratctl.sandbox.messages import ApiError, Request

WINDOW_SECONDS = 60
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credential:
    """One API key. `secret` is base64 text; only a key that may write may mutate."""

    key: str
    secret: str
    passphrase: str
    may_write: bool

    def __repr__(self) -> str:
        return f"Credential(key={self.key!r}, may_write={self.may_write})"


def make_credential(seed: int, *, may_write: bool) -> Credential:
    """The key that a seed gives to readers or to writers."""

    def stream(part: str, size: int) -> bytes:
        name = f"{seed}/credential/{may_write}/{part}"
        return blake2b(name.encode(), digest_size=size).digest()

    return Credential(
        key=stream("key", 16).hex(),
        secret=base64.b64encode(stream("secret", 32)).decode(),
        passphrase=stream("passphrase", 12).hex(),
        may_write=may_write,
    )


def sign(secret: str, timestamp: str, method: str, route: str, body: bytes) -> str:
    """The signature of one request. Raises binascii.Error when the secret is not base64."""
    key = base64.b64decode(secret, validate=True)
    signed_body = b"{}" if method == "GET" else body
    message = f"{timestamp}{method}{route}".encode() + signed_body
    return base64.b64encode(hmac.new(key, message, sha256).digest()).decode()


def credentials_lines(read: Credential, write: Credential) -> str:
    """The credentials file: environment lines for a reader and a writer."""
    lines = []
    for role, credential in (("READ", read), ("WRITE", write)):
        lines.append(f"STRATCTL_{role}_KEY={credential.key}\n")
        lines.append(f"STRATCTL_{role}_SECRET={credential.secret}\n")
        lines.append(f"STRATCTL_{role}_PASSPHRASE={credential.passphrase}\n")
    return "".join(lines)


class Gate:
    """Decides who sent a request. Failures say 401 or 403, as the switch has it."""

    def __init__(self, credentials: Mapping[str, Credential]) -> None:
        self._by_key = dict(credentials)

    def admit(self, request: Request, *, wall_ms: int, failure: int) -> Credential:
        """The key's credential. Raises ApiError when anything about the signature is wrong."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        credential = self._by_key.get(headers.get("x-scx-api-key", ""))
        if credential is None:
            raise _refused(failure, "Invalid API key")
        timestamp = headers.get("x-scx-timestamp", "")
        if not _SECONDS.fullmatch(timestamp):
            raise _refused(failure, "Invalid timestamp")
        if abs(int(timestamp) * 1000 - wall_ms) > WINDOW_SECONDS * 1000:
            raise _refused(failure, "Timestamp is not within 60 seconds of server time")
        passphrase = headers.get("x-scx-passphrase", "").encode()
        if not hmac.compare_digest(passphrase, credential.passphrase.encode()):
            raise _refused(failure, "Invalid passphrase")
        expected = sign(credential.secret, timestamp, request.method, request.target, request.body)
        given = headers.get("x-scx-signed", "")
        if not _same_digest(given, expected):
            raise _refused(failure, "Invalid signature")
        return credential


def check_may_write(credential: Credential) -> None:
    """Raises the documented 403 when a read-only key is used for a mutation."""
    if not credential.may_write:
        message = "This api key does not have write permission to this endpoint"
        raise ApiError(403, {"error": True, "message": message})


def _same_digest(given: str, expected: str) -> bool:
    """Compare decoded digests, so that base64 spelling differences do not matter."""
    try:
        return hmac.compare_digest(
            base64.b64decode(given, validate=True), base64.b64decode(expected)
        )
    except (binascii.Error, ValueError):
        return False


def _refused(status: int, message: str) -> ApiError:
    return ApiError(status, {"error": True, "message": message})
