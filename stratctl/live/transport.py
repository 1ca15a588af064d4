"""The door to the network: what leaves, what comes back, and what foreign errors are called.

Writes go straight to a transport of httpx's kind. An ``httpx.Client`` around it would add cookies,
redirects, proxies from the environment and content decoding, and none of these may happen here.
Reads go by a way of their own (``Reads``), which has no word for anything but GET.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

import httpcore
import httpx

from stratctl import __version__
from stratctl.core.errors import BadResponse, NotSent, OutcomeUnknown, ProviderError, UsageError
from stratctl.core.secret import Secret
from stratctl.live.clockwork import Clockwork
from stratctl.live.timed import TimedBackend
from stratctl.live.wire import BODY_BYTES_MAX

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
CONNECTIONS_MAX = 64
"""One for each Strategy that is applied at the same time; opened when they are needed."""
ANSWER_SECONDS = 60.0
"""For an answer to come in whole; a slow drip does not hold us for longer."""

_TIMEOUTS = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS).as_dict()
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

RENAMED: Mapping[type[Exception], type[ProviderError]] = MappingProxyType(
    {
        # No byte of the request left: it never had a connection.
        httpx.ConnectError: NotSent,
        httpx.ConnectTimeout: NotSent,
        httpx.PoolTimeout: NotSent,
        httpx.UnsupportedProtocol: NotSent,
        httpx.InvalidURL: NotSent,
        httpcore.ConnectError: NotSent,
        httpcore.ConnectTimeout: NotSent,
        httpcore.PoolTimeout: NotSent,
        httpcore.UnsupportedProtocol: NotSent,
        httpcore.ConnectionNotAvailable: NotSent,
        # Bytes may have left, or nobody can say. A doubt is never read as "not sent".
        httpx.HTTPError: OutcomeUnknown,
        httpx.RequestError: OutcomeUnknown,
        httpx.TransportError: OutcomeUnknown,
        httpx.TimeoutException: OutcomeUnknown,
        httpx.ReadTimeout: OutcomeUnknown,
        httpx.WriteTimeout: OutcomeUnknown,
        httpx.NetworkError: OutcomeUnknown,
        httpx.ReadError: OutcomeUnknown,
        httpx.WriteError: OutcomeUnknown,
        httpx.CloseError: OutcomeUnknown,
        httpx.ProtocolError: OutcomeUnknown,
        httpx.LocalProtocolError: OutcomeUnknown,
        httpx.RemoteProtocolError: OutcomeUnknown,
        httpx.ProxyError: OutcomeUnknown,
        httpx.DecodingError: OutcomeUnknown,
        httpx.TooManyRedirects: OutcomeUnknown,
        httpx.HTTPStatusError: OutcomeUnknown,
        httpx.CookieConflict: OutcomeUnknown,
        httpx.StreamError: OutcomeUnknown,
        httpx.StreamConsumed: OutcomeUnknown,
        httpx.StreamClosed: OutcomeUnknown,
        httpx.ResponseNotRead: OutcomeUnknown,
        httpx.RequestNotRead: OutcomeUnknown,
        httpcore.TimeoutException: OutcomeUnknown,
        httpcore.ReadTimeout: OutcomeUnknown,
        httpcore.WriteTimeout: OutcomeUnknown,
        httpcore.NetworkError: OutcomeUnknown,
        httpcore.ReadError: OutcomeUnknown,
        httpcore.WriteError: OutcomeUnknown,
        httpcore.ProtocolError: OutcomeUnknown,
        httpcore.LocalProtocolError: OutcomeUnknown,
        httpcore.RemoteProtocolError: OutcomeUnknown,
        httpcore.ProxyError: OutcomeUnknown,
        http.client.HTTPException: OutcomeUnknown,
        http.client.NotConnected: OutcomeUnknown,
        http.client.InvalidURL: OutcomeUnknown,
        http.client.UnknownProtocol: OutcomeUnknown,
        http.client.UnknownTransferEncoding: OutcomeUnknown,
        http.client.UnimplementedFileMode: OutcomeUnknown,
        http.client.IncompleteRead: OutcomeUnknown,
        http.client.ImproperConnectionState: OutcomeUnknown,
        http.client.CannotSendRequest: OutcomeUnknown,
        http.client.CannotSendHeader: OutcomeUnknown,
        http.client.ResponseNotReady: OutcomeUnknown,
        http.client.BadStatusLine: OutcomeUnknown,
        http.client.LineTooLong: OutcomeUnknown,
        http.client.RemoteDisconnected: OutcomeUnknown,
        # Time-outs, broken connections and those of TLS are all kinds of it.
        OSError: OutcomeUnknown,
    }
)
"""Every exception of the HTTP libraries and of what is below them, and its name on our side."""


class WriteAttempted(AssertionError):
    """Something tried to write through the transport that can only read. A bug, never caught."""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """Status, headers (names in lower case) and body, before anybody trusts them."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Reads(Protocol):
    """A way for reads. It is told what to get, and has no word for anything else.

    Planning holds nothing but this, so that "plan cannot write" does not hang on a flag that
    someone must remember.
    """

    def get(self, route: str, headers: Mapping[str, Secret | str]) -> RawAnswer:
        """What ``route``, the path and query exactly as they are signed, is answered.

        Raises what ``exchange`` does.
        """


class GetOnlyTransport(httpx.BaseTransport):
    """A way for reads through any transport of httpx's kind: lets GET through and crashes on
    everything else."""

    def __init__(
        self, transport: httpx.BaseTransport, endpoint: Endpoint, clockwork: Clockwork
    ) -> None:
        self._transport = transport
        self._origin = endpoint.origin
        self._clockwork = clockwork

    def get(self, route: str, headers: Mapping[str, Secret | str]) -> RawAnswer:
        url = httpx.URL(self._origin + route)
        return exchange(self, self._clockwork, method="GET", url=url, headers=headers)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            raise WriteAttempted(f"{request.method} through a transport that only reads")
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._transport.close()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the provider is: an https address, or http on this machine."""

    url: str

    @staticmethod
    def parse(text: str) -> Endpoint:
        """Raises UsageError for anything that requests must not be sent to."""
        try:
            url = httpx.URL(text)
            url.host.encode("idna")
        except (httpx.InvalidURL, UnicodeError):
            raise UsageError(f"the endpoint {text!r} is not an address") from None
        if url.scheme != "https" and not (url.scheme == "http" and url.host in _LOOPBACK):
            raise UsageError(
                f"the endpoint {text!r} is not an https address",
                hint="plain http is for a sandbox on this machine only",
            )
        if not 0 < (url.port or 443) < 65_536:
            raise UsageError(f"the endpoint {text!r} has a port that does not exist")
        if not url.host or url.userinfo or url.query or url.fragment:
            raise UsageError(f"the endpoint {text!r} is more or less than scheme, host and path")
        return Endpoint(str(url).rstrip("/"))

    def at(self, target: str) -> httpx.URL:
        """The address of a path with its query."""
        return httpx.URL(self.url + target)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self.url.removesuffix(self.path)

    @property
    def path(self) -> str:
        """What stands before every path at this address; mostly empty."""
        return httpx.URL(self.url).raw_path.decode("ascii").rstrip("/")


def real_transport(
    endpoint: Endpoint, monotonic: Callable[[], float], *, connections: int = CONNECTIONS_MAX
) -> httpx.HTTPTransport:
    """A pool of connections: HTTP/1.1, no proxies, no retries, certificates always checked.

    An answer has ``ANSWER_SECONDS`` from when its request was sent, headers and body together.
    """
    transport = httpx.HTTPTransport(
        # Over plain http to this machine there is nothing to verify, and loading the authorities
        # would take longer than a small plan.
        verify=endpoint.url.startswith("https:"),
        trust_env=False,
        http1=True,
        http2=False,
        retries=0,
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
    )
    # A pool takes another backend when it is made, and httpx, which makes it, has no word for that.
    transport._pool._network_backend = TimedBackend(monotonic, ANSWER_SECONDS)
    return transport


def exchange(
    transport: httpx.BaseTransport,
    clockwork: Clockwork,
    *,
    method: str,
    url: httpx.URL,
    headers: Mapping[str, Secret | str],
    body: str = "",
) -> RawAnswer:
    """Send one request once and read its answer whole.

    Raises NotSent, OutcomeUnknown (no answer that can be read to its end), or BadResponse (an
    answer that is too large or encoded in a way that was not asked for).
    """
    return renamed(partial(_exchange, transport, clockwork, method, url, headers, body))


def renamed(send: Callable[[], RawAnswer]) -> RawAnswer:
    """The answer to a request, or the error under our name. Every request goes out by this door."""
    try:
        return send()
    except tuple(RENAMED) as error:
        ours = _our_name(error)
    # Raised after the foreign error is let go and without it as a cause: its frames hold headers
    # in plain text, and a traceback that shows locals would show those.
    raise ours


def _exchange(
    transport: httpx.BaseTransport,
    clockwork: Clockwork,
    method: str,
    url: httpx.URL,
    headers: Mapping[str, Secret | str],
    body: str,
) -> RawAnswer:
    request = httpx.Request(
        method,
        url,
        headers=plain_headers(headers),
        content=body.encode() if body else None,
        extensions={"timeout": _TIMEOUTS},
    )
    response = transport.handle_request(request)
    try:
        assert isinstance(response.stream, httpx.SyncByteStream)
        shown = {name.lower(): value for name, value in response.headers.items()}
        return read_whole(response.status_code, shown, response.stream, clockwork.monotonic)
    finally:
        response.close()


def plain_headers(headers: Mapping[str, Secret | str]) -> dict[str, str]:
    """What is sent with a request beside the host, in plain text."""
    return {
        "Accept": "application/json",
        # A small compressed body can be an enormous one. Asking for none is simplest.
        "Accept-Encoding": "identity",
        "User-Agent": f"stratctl/{__version__}",
        **{name: _plain(value) for name, value in headers.items()},
    }


def read_whole(
    status: int,
    headers: Mapping[str, str],
    chunks: Iterable[bytes],
    monotonic: Callable[[], float],
) -> RawAnswer:
    """An answer with its body, which may be neither encoded nor enormous, nor drip in for ever.

    ``headers`` have names in lower case. Raises BadResponse and OutcomeUnknown.
    """
    if headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise BadResponse(
            f"the answer is encoded as {headers['content-encoding']!r}, which was not asked for",
            status=status,
        )
    deadline = monotonic() + ANSWER_SECONDS
    read, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise BadResponse(f"the answer is larger than {BODY_BYTES_MAX} bytes", status=status)
        if monotonic() > deadline:
            raise OutcomeUnknown(
                f"the answer was still dripping in after {ANSWER_SECONDS:.0f} s", status=status
            )
        read.append(chunk)
    return RawAnswer(status, headers, b"".join(read))


def _our_name(error: Exception) -> ProviderError:
    name = next(RENAMED[kind] for kind in type(error).__mro__ if kind in RENAMED)
    said = " ".join(str(error).split())[:200]
    what = "could not be sent" if name is NotSent else "was sent, and its outcome is unknown"
    detail = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return name(f"the request {what} ({detail})")


def _plain(value: Secret | str) -> str:
    return value.reveal() if isinstance(value, Secret) else value
