"""The in-process face: an httpx transport around a provider."""

from collections.abc import Iterator

import httpx

from stratctl.sandbox.clock import Clock
from stratctl.sandbox.messages import Request
from stratctl.sandbox.provider import Provider


class _Broken(httpx.SyncByteStream):
    """A body whose connection breaks before its end."""

    def __init__(self, body: bytes, request: httpx.Request) -> None:
        self._body = body
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx.ReadError("connection reset by peer", request=self._request)


class InProcessTransport(httpx.BaseTransport):
    """Requests go to the provider without a network; its faults become httpx errors.

    Raises httpx.ReadTimeout for a timeout and httpx.ReadError for a broken connection.
    """

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._provider = provider
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, as a server would have received it."""
        received = Request(
            method=request.method,
            target=request.url.raw_path.decode("ascii"),
            headers=dict(request.headers.items()),
            body=request.read(),
        )
        answer = self._provider.handle(received, self._clock)
        if answer.interruption == "timeout":
            raise httpx.ReadTimeout("timed out", request=request)
        if answer.interruption == "reset" and not answer.status:
            raise httpx.ReadError("connection reset by peer", request=request)
        if answer.interruption == "reset":
            stream = _Broken(answer.body, request)
            return httpx.Response(answer.status, headers=answer.headers, stream=stream)
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)
