"""The way that reads take: connections of the standard library behind httpx's interface.

A read of a large book asks for thousands of pages, and httpx's own transport takes longer to ask
for each than the standard library. Nothing but the cost differs from ``real_transport``:
HTTP/1.1, no proxies, no redirects, nothing sent twice, certificates always checked. Writes, which
are few and carry money, do not come this way.
"""

from __future__ import annotations

import io
import re
import select
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from socket import socket
from typing import Any

import httpx

from stratctl.live.transport import ANSWER_SECONDS, Endpoint

_CHUNK_BYTES = 2**16
_LENGTH = re.compile(r"[ \t]*[0-9]{1,18}[ \t]*", re.ASCII)


class ReadingTransport(httpx.BaseTransport):
    """GETs to one endpoint, over as many connections as threads ask at the same time.

    Raises httpx's own exceptions where there was no connection, or where nobody can tell where an
    answer ends; otherwise those of ``http.client`` and the system, which the door renames too.
    """

    def __init__(self, endpoint: Endpoint, monotonic: Callable[[], float]) -> None:
        url = httpx.URL(endpoint.url)
        self._origin = (url.raw_scheme, url.netloc)
        self._host = url.raw_host.decode("ascii")
        self._port = url.port
        self._tls = _checking_certificates() if url.scheme == "https" else None
        self._answer = partial(_TimedAnswer, monotonic)
        self._idle: list[HTTPConnection] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "GET", "only reads come this way"
        assert (request.url.raw_scheme, request.url.netloc) == self._origin, "another endpoint"
        timeouts = request.extensions["timeout"]
        connection = self._idle_connection() or self._new_connection(timeouts)
        try:
            answer = _asked(connection, request)
        except (OSError, HTTPException, httpx.ProtocolError):
            connection.close()
            raise
        body = _Body(answer, partial(self._done, connection))
        return httpx.Response(answer.status, headers=_as_they_came(answer), stream=body)

    def close(self) -> None:
        while connection := self._unused():
            connection.close()

    def _idle_connection(self) -> HTTPConnection | None:
        """One that was used before, on which the other side has said nothing since."""
        while connection := self._unused():
            waiting = select.poll()
            waiting.register(connection.sock, select.POLLIN)
            if not waiting.poll(0):
                return connection
            connection.close()
        return None

    def _unused(self) -> HTTPConnection | None:
        try:
            return self._idle.pop()
        except IndexError:  # also where another thread took the last one
            return None

    def _new_connection(self, timeouts: Mapping[str, float]) -> HTTPConnection:
        timeout = timeouts["connect"]
        connection = (
            HTTPSConnection(self._host, self._port or 443, timeout=timeout, context=self._tls)
            if self._tls
            else HTTPConnection(self._host, self._port or 80, timeout=timeout)
        )
        connection.response_class = self._answer  # type: ignore[assignment]  # it is only called
        try:
            connection.connect()
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        connection.sock.settimeout(timeouts["read"])
        return connection

    def _done(self, connection: HTTPConnection, *, reusable: bool) -> None:
        if reusable:
            self._idle.append(connection)
        else:
            connection.close()


class _Body(httpx.SyncByteStream):
    """A body as it comes in. Its connection is used again if it was read to its end."""

    def __init__(self, answer: HTTPResponse, done: Callable[..., None]) -> None:
        self._answer = answer
        self._done = done
        self._whole = False

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._answer.read1(_CHUNK_BYTES):
            yield chunk
        if self._answer.length:
            raise IncompleteRead(b"", self._answer.length)
        self._whole = True

    def close(self) -> None:
        self._answer.close()
        self._done(reusable=self._whole and not self._answer.will_close)


class _TimedAnswer(HTTPResponse):
    """An answer that has to be here in time: headers, trailers and what frames chunks as well."""

    def __init__(self, monotonic: Callable[[], float], sock: socket, method: str) -> None:
        super().__init__(sock, method=method)
        # Large enough for most pages, so that they come in one piece.
        self.fp = io.BufferedReader(_Wire(self.fp.detach(), monotonic), _CHUNK_BYTES)


class _Wire(io.RawIOBase):
    """What comes in through a socket, until the time for it is over."""

    def __init__(self, raw: io.RawIOBase, monotonic: Callable[[], float]) -> None:
        self._raw = raw
        self._monotonic = monotonic
        self._deadline = monotonic() + ANSWER_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._monotonic() > self._deadline:
            raise TimeoutError(f"the answer was still dripping in after {ANSWER_SECONDS:.0f} s")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        super().close()
        self._raw.close()


def _asked(connection: HTTPConnection, request: httpx.Request) -> HTTPResponse:
    """The answer up to its body."""
    target = request.url.raw_path.decode("ascii")
    connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.raw:
        connection.putheader(name, value)
    connection.endheaders()
    try:
        answer = connection.getresponse()
    except (LookupError, TypeError, ValueError) as error:
        # It reads headers as those of mail, and trips over the parameters of several parts.
        raise httpx.RemoteProtocolError("the answer has headers that cannot be read") from error
    if not _tells_its_end(answer):
        answer.close()
        raise httpx.RemoteProtocolError("the answer does not tell plainly where it ends")
    return answer


def _as_they_came(answer: HTTPResponse) -> list[tuple[bytes, bytes]]:
    """Its headers in the bytes that the standard library took for Latin-1."""
    return [(name.encode("latin-1"), said.encode("latin-1")) for name, said in answer.getheaders()]


def _tells_its_end(answer: HTTPResponse) -> bool:
    """Whether the next answer can only begin where this one is read to.

    The standard library takes the first of several lengths, none for one that is no number, and
    what comes before the answer proper for the answer.
    """
    headers = answer.headers
    lengths = headers.get_all("Content-Length", [])
    codings = headers.get_all("Transfer-Encoding", [])
    return (
        answer.status >= 200
        and not headers.defects
        and len(lengths) + len(codings) <= 1
        and all(map(_LENGTH.fullmatch, lengths))
        and all(coding.lower() == "chunked" for coding in codings)
    )


def _checking_certificates() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context
