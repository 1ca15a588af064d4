"""The way that reads take: connections of the standard library, and nothing between.

A read of a large book asks for thousands of pages, and httpx's own transport and what it makes of
each request and answer take longer than the standard library. Nothing but the cost differs from
``real_transport``: HTTP/1.1, no proxies, no redirects, nothing sent twice, certificates always
checked. Writes, which are few and carry money, do not come this way, and could not: it has no word
for another method.
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
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from socket import socket
from typing import Any

import httpx

from stratctl.core.secret import Secret
from stratctl.live.transport import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    READ_SECONDS,
    Endpoint,
    RawAnswer,
    plain_headers,
    read_whole,
    renamed,
)

_CHUNK_BYTES = 2**16
_LENGTH = re.compile(r"[ \t]*[0-9]{1,18}[ \t]*", re.ASCII)
_ROUTE = re.compile(r"/[!-~]*", re.ASCII)


class ReadingTransport:
    """GETs to one endpoint, over as many connections as threads ask at the same time.

    Raises httpx's own exceptions where there was no connection, or where nobody can tell where an
    answer ends; otherwise those of ``http.client`` and the system: until they are at the door,
    where all of them get our names.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        monotonic: Callable[[], float],
        *,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        url = httpx.URL(endpoint.url)
        self._named = url.netloc
        self._host = url.raw_host.decode("ascii")
        self._port = url.port
        self._tls = _checking_certificates() if url.scheme == "https" else None
        self._monotonic = monotonic
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._idle: list[HTTPConnection] = []

    def get(self, route: str, headers: Mapping[str, Secret | str]) -> RawAnswer:
        """The answer to one GET, which is sent once. ``route`` is path and query as they are sent.

        Raises NotSent, OutcomeUnknown or BadResponse.
        """
        assert _ROUTE.fullmatch(route), "a route is what it is once everything is escaped"
        return renamed(partial(self._get, route, headers))

    def _get(self, route: str, headers: Mapping[str, Secret | str]) -> RawAnswer:
        connection = self._idle_connection() or self._new_connection()
        reusable = False
        try:
            with self._asked(connection, route, headers) as answer:
                shown = _by_name(answer)
                read = read_whole(answer.status, shown, _chunks(answer), self._monotonic)
            reusable = not answer.will_close
        finally:
            # The next answer begins where this one ends, so that it was read to there.
            if reusable:
                self._idle.append(connection)
            else:
                connection.close()
        return read

    def _asked(
        self, connection: HTTPConnection, route: str, headers: Mapping[str, Secret | str]
    ) -> HTTPResponse:
        """The answer up to its body."""
        connection.putrequest("GET", route, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self._named)
        for name, value in plain_headers(headers).items():
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

    def _new_connection(self) -> HTTPConnection:
        timeout = self._connect_seconds
        connection = (
            HTTPSConnection(self._host, self._port or 443, timeout=timeout, context=self._tls)
            if self._tls
            else HTTPConnection(self._host, self._port or 80, timeout=timeout)
        )
        timed = partial(_TimedAnswer, self._monotonic)
        connection.response_class = timed  # type: ignore[assignment]  # it is only called
        try:
            connection.connect()
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        connection.sock.settimeout(self._read_seconds)
        return connection


def _chunks(answer: HTTPResponse) -> Iterator[bytes]:
    """A body as it comes in."""
    while chunk := answer.read1(_CHUNK_BYTES):
        yield chunk
    if answer.length:
        raise IncompleteRead(b"", answer.length)


def _by_name(answer: HTTPResponse) -> dict[str, str]:
    """Its headers by their names in lower case; one that came twice has both values."""
    shown: dict[str, str] = {}
    for name, value in answer.getheaders():
        name = name.lower()
        shown[name] = f"{shown[name]}, {value}" if name in shown else value
    return shown


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
