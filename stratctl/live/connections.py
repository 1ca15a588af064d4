"""HTTP/1.1 over connections that are kept: what a request to the provider travels through.

``httpx.HTTPTransport`` does the same for any host, any proxy and HTTP/2, and takes twice the time
for each page of a list. This one speaks to one endpoint. What is hard is done by the libraries that
it builds on as well: h11 reads and writes the protocol, and takes nothing that is malformed;
httpcore's backend opens sockets, with TLS, and knows every way in which they fail.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import h11
import httpcore
import httpx

if TYPE_CHECKING:
    import ssl

IDLE_SECONDS_MAX = 5.0
"""A connection that was idle for longer is not used again: the other end may be closing it just
now, and a mutation that it swallows has an unknown outcome."""

_READ_BYTES = 64 * 2**10
_HEADERS_BYTES_MAX = 100 * 2**10


class Connections(httpx.BaseTransport):
    """At most so many connections to one endpoint, of which each carries one request at a time.

    Raises exceptions of httpx, httpcore and h11. Nothing is sent twice, no proxy is asked, nothing
    is logged. Requests come from any number of threads.
    """

    def __init__(
        self,
        origin: httpx.URL,
        *,
        connections_max: int,
        ssl_context: ssl.SSLContext | None,
        backend: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._origin = _place(origin)
        self._ssl_context = ssl_context
        if ssl_context:
            ssl_context.set_alpn_protocols(["http/1.1"])
        self._backend = backend or httpcore.SyncBackend()
        # As many as may be open: those that wait for a request, and None for one not opened yet.
        # The one used last comes first, so that those nobody needs grow old.
        self._free: queue.LifoQueue[_Connection | None] = queue.LifoQueue()
        for _ in range(connections_max):
            self._free.put(None)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; the answer's body is read as it is iterated over, until it is closed."""
        assert _place(request.url) == self._origin, "another host would see our signatures"
        timeouts = request.extensions["timeout"]
        try:
            connection = self._free.get(timeout=timeouts["pool"])
        except queue.Empty:
            raise httpx.PoolTimeout("every connection is busy", request=request) from None
        answer = None
        try:
            if connection is None or connection.is_stale():
                connection = self._open(request.url, timeouts, instead_of=connection)
            answer = connection.ask(request, timeouts)
        finally:
            if answer is None:
                self._give_back(connection)
        return httpx.Response(
            answer.status_code,
            headers=answer.headers.raw_items(),
            stream=_Body(self, connection, timeouts),
        )

    def close(self) -> None:
        """Close the connections that wait for a request."""
        idle = [self._free.get_nowait() for _ in range(self._free.qsize())]
        for connection in idle:
            if connection:
                connection.close()
            self._free.put(None)

    def _open(
        self, url: httpx.URL, timeouts: Mapping[str, float], *, instead_of: _Connection | None
    ) -> _Connection:
        if instead_of:
            instead_of.close()
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if self._ssl_context else 80)
        stream = self._backend.connect_tcp(host, port, timeout=timeouts["connect"])
        if self._ssl_context:
            stream = stream.start_tls(
                self._ssl_context, server_hostname=host, timeout=timeouts["connect"]
            )
        return _Connection(stream)

    def _give_back(self, connection: _Connection | None) -> None:
        """After a request, whatever became of it."""
        if connection and not connection.can_go_on():
            connection.close()
            connection = None
        self._free.put(connection)


class _Connection:
    """One socket and where its conversation stands."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADERS_BYTES_MAX)
        self._idle_since = 0.0

    def ask(self, request: httpx.Request, timeouts: Mapping[str, float]) -> h11.Response:
        """Send a request; returns when the head of its answer is there."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        send = self._protocol.send
        head = send(
            h11.Request(
                method=request.method,
                target=request.url.raw_path,
                headers=request.headers.raw,
            )
        )
        body = [send(h11.Data(chunk)) for chunk in request.stream if chunk]
        sent = b"".join(part for part in (head, *body, send(h11.EndOfMessage())) if part)
        # Who refuses a request may close before all of it has come, and have answered.
        with suppress(httpcore.WriteError):
            self._stream.write(sent, timeout=timeouts["write"])
        while True:
            event = self.next_event(timeouts)
            if type(event) is h11.Response:
                return event

    def next_event(self, timeouts: Mapping[str, float]) -> object:
        """The next part of the answer."""
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            data = self._stream.read(_READ_BYTES, timeout=timeouts["read"])
            if not data and self._protocol.their_state is h11.SEND_RESPONSE:
                raise httpx.RemoteProtocolError("the other end hung up without an answer")
            self._protocol.receive_data(data)
        return event

    def can_go_on(self) -> bool:
        """Whether another request may follow: the last one and its answer are complete, and there
        is nothing behind the answer, which would be read as the next one."""
        protocol = self._protocol
        if not protocol.our_state is protocol.their_state is h11.DONE or protocol.trailing_data[0]:
            return False
        protocol.start_next_cycle()
        self._idle_since = time.monotonic()
        return True

    def is_stale(self) -> bool:
        """Whether it was idle for too long, or hung up: what comes unasked can only be the end."""
        return bool(
            time.monotonic() > self._idle_since + IDLE_SECONDS_MAX
            or self._stream.get_extra_info("is_readable")
        )

    def close(self) -> None:
        self._stream.close()


class _Body(httpx.SyncByteStream):
    """The body of an answer; its connection is given back when it is closed."""

    def __init__(
        self, connections: Connections, connection: _Connection, timeouts: Mapping[str, float]
    ) -> None:
        self._connections = connections
        self._connection = connection
        self._timeouts = timeouts
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        while type(event := self._connection.next_event(self._timeouts)) is h11.Data:
            yield bytes(event.data)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._connections._give_back(self._connection)


def _place(url: httpx.URL) -> tuple[bytes, bytes]:
    return url.raw_scheme, url.netloc
