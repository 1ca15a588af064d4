"""Connections of httpcore's kind on which an answer has to be here in time.

Its own time-outs are for each piece that comes in: a server whose headers drip in byte by byte, or
that asks for patience again and again, could hold a write for as long as it likes.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore


class TimedBackend(httpcore.NetworkBackend):
    """Opens connections as httpcore does, each with a deadline for its answers."""

    def __init__(self, monotonic: Callable[[], float], seconds: float) -> None:
        self._plain = httpcore.SyncBackend()
        self._monotonic = monotonic
        self._seconds = seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._plain.connect_tcp(host, port, timeout, local_address, socket_options)
        return _TimedStream(stream, self._monotonic, self._seconds)


class _TimedStream(httpcore.NetworkStream):
    """From the last byte that was sent, an answer has so many seconds."""

    def __init__(
        self, stream: httpcore.NetworkStream, monotonic: Callable[[], float], seconds: float
    ) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._seconds = seconds
        self._deadline = 0.0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._monotonic() > self._deadline:
            raise httpcore.ReadTimeout(
                f"the answer was still dripping in after {self._seconds:.0f} s"
            )
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Before the bytes: where they cannot be sent, there may be an answer that says why.
        self._deadline = self._monotonic() + self._seconds
        self._stream.write(buffer, timeout)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _TimedStream(stream, self._monotonic, self._seconds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()
