"""What passes the door to the network, and under which name."""

import builtins
import http.client
import inspect
import logging
import socket
import ssl
import time
import traceback
from collections.abc import Iterator

import httpcore
import httpx
import pytest

from stratctl.core.errors import (
    BadResponse,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    StratctlError,
    UsageError,
)
from stratctl.live import transport as door
from stratctl.live.transport import Endpoint, GetOnlyTransport, WriteAttempted, exchange
from stratctl.live.wire import BODY_BYTES_MAX
from tests.live.worlds import (
    ENDPOINT,
    HandClock,
    World,
    answering,
    json_answer,
    read_client,
    write_client,
)

METHODS = ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "QUERY"]


def writes_that_get_through(transport: httpx.BaseTransport) -> list[str]:
    """The methods that a transport lets through; a plan's may let none."""
    through = []
    for method in METHODS:
        request = httpx.Request(method, "http://localhost/strategies", content=b"{}")
        # httpx writes methods in capitals; a request that is made by hand need not be.
        request.method = method
        try:
            transport.handle_request(request)
        except WriteAttempted:
            continue
        through.append(method)
    return through


def test_law_1_plan_cannot_write() -> None:
    """No method but GET passes the transport that a read client holds."""
    inner, seen = answering(json_answer({}))
    guard = GetOnlyTransport(inner, ENDPOINT, HandClock().clockwork())
    assert writes_that_get_through(guard) == []
    assert seen == []
    guard.handle_request(httpx.Request("GET", "http://localhost/"))
    assert seen == ["GET /"]


def test_law_1_canary() -> None:
    """The same search finds the writes when the guard is left out."""
    inner, seen = answering(json_answer({}))
    assert writes_that_get_through(inner) == METHODS
    assert len(seen) == len(METHODS)


def test_a_read_client_guards_any_transport_it_is_given() -> None:
    """Whoever makes a read client cannot forget the guard: it puts one around what it gets."""
    world = World()
    inner, seen = answering(json_answer({}))
    for client in (world.read_client, read_client(inner)):
        guard = client._transport
        assert isinstance(guard, httpx.BaseTransport)
        with pytest.raises(WriteAttempted):
            exchange(
                guard,
                world.clockwork,
                method="POST",
                url=httpx.URL("http://localhost/strategies"),
                headers={},
                body="{}",
            )
    assert seen == []


def test_closing_the_guard_closes_what_it_guards() -> None:
    """Connections are not left open behind it."""
    closed: list[str] = []

    class Closing(httpx.BaseTransport):
        def close(self) -> None:
            closed.append("closed")

    GetOnlyTransport(Closing(), ENDPOINT, HandClock().clockwork()).close()
    assert closed == ["closed"]


def exceptions_of(library: object) -> list[type[Exception]]:
    """Every exception class that a library shows."""
    return [
        found
        for _, found in inspect.getmembers(library, inspect.isclass)
        if issubclass(found, Exception)
    ]


LIBRARIES = (httpx, httpcore, http.client)
FOREIGN = list(dict.fromkeys([kind for each in LIBRARIES for kind in exceptions_of(each)]))
SYSTEM = dict.fromkeys(
    kind
    for module in (builtins, socket, ssl)
    for kind in exceptions_of(module)
    if issubclass(kind, OSError)
)
"""What sockets raise: kinds of one exception, which has a name."""


def example(kind: type[Exception]) -> Exception:
    """An exception of a class, made without knowing what its constructor wants."""
    if kind is http.client.IncompleteRead:
        return kind(b"broken")  # it shows what its constructor noted
    error = kind.__new__(kind)
    error.args = ("broken",)
    return error


def test_every_foreign_exception_has_a_name_on_our_side() -> None:
    """A new version of the library with a new exception fails here until it is named."""
    assert {*FOREIGN, OSError} == set(door.RENAMED)
    assert len(FOREIGN) > 50


@pytest.mark.parametrize("kind", SYSTEM)
def test_what_sockets_raise_has_that_of_the_system(kind: type[Exception]) -> None:
    """Time-outs, resets and certificates among them; no doubt of theirs is read as "not sent"."""
    transport, _ = answering(example(kind))
    writer = write_client(transport)
    signed = writer.sign(method="POST", path="/strategies", body="{}", request_id="x")
    with pytest.raises(OutcomeUnknown):
        writer.send(signed)


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_foreign_exception_escapes(kind: type[Exception]) -> None:
    """From a write, each comes out as NotSent or OutcomeUnknown, and from a read as ours too."""
    transport, _ = answering(example(kind))
    writer = write_client(transport)
    signed = writer.sign(method="POST", path="/strategies", body="{}", request_id="x")
    with pytest.raises(ProviderError) as caught:
        writer.send(signed)
    assert type(caught.value) is door.RENAMED[kind]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    with pytest.raises(StratctlError) as read:
        read_client(transport).get("/assets", decode=lambda document: document)
    assert not isinstance(read.value, OutcomeUnknown)


@pytest.mark.parametrize("kind", exceptions_of(httpcore), ids=lambda kind: str(kind.__name__))
def test_no_exception_of_the_pool_below_escapes(kind: type[Exception]) -> None:
    """Raised where connections are made, each passes httpx and comes out under our name."""

    class BrokenPool:
        def handle_request(self, request: object) -> object:
            raise example(kind)

    transport = httpx.HTTPTransport(trust_env=False)
    transport._pool = BrokenPool()  # type: ignore[assignment]  # a pool that only fails
    client = write_client(transport)
    signed = client.sign(method="POST", path="/strategies", body="{}", request_id="x")
    with pytest.raises((NotSent, OutcomeUnknown)) as caught:
        client.send(signed)
    assert type(caught.value) is door.RENAMED[kind]


def test_only_a_missing_connection_is_not_sent() -> None:
    """Whatever may have put a byte on the wire is an unknown outcome."""
    not_sent = {kind.__name__ for kind, name in door.RENAMED.items() if name is NotSent}
    assert not_sent == {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "UnsupportedProtocol",
        "InvalidURL",
        "ConnectionNotAvailable",
    }


def test_a_refused_connection_is_not_sent() -> None:
    """A real socket that nobody listens on."""
    endpoint = Endpoint.parse("http://127.0.0.1:9")
    with pytest.raises(NotSent, match="ConnectError"):
        exchange(
            door.real_transport(endpoint, time.monotonic),
            HandClock().clockwork(),
            method="POST",
            url=endpoint.at("/strategies"),
            headers={},
            body="{}",
        )


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError])
def test_tracebacks_with_locals_hold_no_secret(kind: type[Exception]) -> None:
    """The frames below the door, which hold headers in plain text, are let go with their error."""

    def respond(request: httpx.Request) -> httpx.Response:
        headers = dict(request.headers)
        assert headers["x-scx-passphrase"] == "a-passphrase"
        raise example(kind)

    client = write_client(httpx.MockTransport(respond))
    signed = client.sign(method="POST", path="/strategies", body="{}", request_id="x")
    with pytest.raises(ProviderError) as caught:
        client.send(signed)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    text = "".join(shown.format())
    assert "headers" in text
    assert "a-passphrase" not in text
    assert "a-key" not in text
    assert signed.headers["X-SCX-SIGNED"].reveal() not in text  # type: ignore[union-attr]  # this header is always a Secret


def test_debug_logging_holds_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """With every logger of the HTTP libraries at its loudest, over a real connection."""
    endpoint = Endpoint.parse("http://127.0.0.1:9")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotSent):
        exchange(
            door.real_transport(endpoint, time.monotonic),
            HandClock().clockwork(),
            method="GET",
            url=endpoint.at("/assets"),
            headers={"X-SCX-PASSPHRASE": "canary-7f3a"},
        )
    assert "connect_tcp" in caplog.text
    assert "canary" not in caplog.text


class Drip(httpx.SyncByteStream):
    """A body that comes a byte at a time while a hand turns the clock."""

    def __init__(self, clock: HandClock, chunks: int, size: int, seconds: float) -> None:
        self.clock, self.chunks, self.size, self.seconds = clock, chunks, size, seconds

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.chunks):
            self.clock.now += self.seconds
            yield b"x" * self.size


def ask(stream: httpx.SyncByteStream, clock: HandClock, **headers: str) -> bytes:
    """Exchange one GET for a streamed answer."""
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, headers=headers, stream=stream)
    )
    url = httpx.URL("http://localhost/assets")
    return exchange(transport, clock.clockwork(), method="GET", url=url, headers={}).body


def test_a_slow_drip_ends() -> None:
    """Bytes that keep coming, each within the read timeout, do not hold us for ever."""
    clock = HandClock()
    with pytest.raises(OutcomeUnknown, match="dripping"):
        ask(Drip(clock, 100, 1, 10.0), clock)
    clock = HandClock()
    assert ask(Drip(clock, 5, 1, 10.0), clock) == b"xxxxx"


def test_an_enormous_answer_ends() -> None:
    """Reading stops at the cap, not at the end of what somebody sends."""
    clock = HandClock()
    with pytest.raises(BadResponse, match="larger than"):
        ask(Drip(clock, 1_000, BODY_BYTES_MAX // 10, 0.0), clock)


def test_an_encoding_that_was_not_asked_for_is_refused() -> None:
    """A compressed body is not even begun: it may be a bomb."""
    clock = HandClock()
    with pytest.raises(BadResponse, match="gzip"):
        ask(Drip(clock, 1, 1, 0.0), clock, **{"content-encoding": "gzip"})
    assert ask(Drip(clock, 1, 1, 0.0), clock, **{"content-encoding": "identity"}) == b"x"


def test_cookies_are_not_kept() -> None:
    """What a server asks to store does not come back to it."""
    seen: list[httpx.Headers] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return json_answer({}, Set_Cookie="track=me")

    client = read_client(httpx.MockTransport(respond))
    for _ in range(2):
        client.get("/assets", decode=lambda document: document)
    assert all("cookie" not in headers for headers in seen)
    assert {headers["accept-encoding"] for headers in seen} == {"identity"}


@pytest.mark.parametrize(
    "text",
    [
        "https://api.cert.zerohash.com",
        "https://gateway.example/zerohash/",
        "http://127.0.0.1:8080",
        "http://localhost:1",
        "http://[::1]:1",
    ],
)
def test_endpoints_that_may_be_used(text: str) -> None:
    """https anywhere, http on this machine; a path in front is kept."""
    endpoint = Endpoint.parse(text)
    assert str(endpoint.at("/time")) == text.rstrip("/") + "/time"


@pytest.mark.parametrize(
    "text",
    [
        "http://api.zerohash.com",
        "http://127.0.0.1.example.com",
        "ftp://localhost",
        "api.zerohash.com",
        "",
        "https://",
        "https://user:pass@api.zerohash.com",
        "https://api.zerohash.com/?x=1",
        "https://api.zerohash.com/#x",
        "https://api.zerohash.com:99999999",
        "https://" + "a" * 70 + ".com",
        "https://\x00",
    ],
)
def test_endpoints_that_may_not(text: str) -> None:
    """Plain http elsewhere, user names, queries and what is no address."""
    with pytest.raises(UsageError, match="endpoint"):
        Endpoint.parse(text)


def test_certificates_are_checked_wherever_there_are_any() -> None:
    """Only plain http goes without."""
    import ssl

    over_tls = door.real_transport(Endpoint.parse("https://api.zerohash.com"), time.monotonic)
    context = over_tls._pool._ssl_context
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable does not send signed requests elsewhere."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    pool = door.real_transport(Endpoint.parse("http://127.0.0.1:9"), time.monotonic)._pool
    assert type(pool) is httpcore.ConnectionPool
    assert pool._proxy is None
