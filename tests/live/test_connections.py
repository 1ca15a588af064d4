"""Connections that are kept: against a server that says what it is told to, byte by byte."""

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stratctl.core.errors import NotSent, OutcomeUnknown
from stratctl.live import connections
from stratctl.live.connections import Connections
from stratctl.live.transport import RENAMED, Endpoint, RawAnswer, exchange, real_transport
from tests.live.worlds import HandClock

SECONDS = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 0.01}


def answer(body: bytes = b"{}", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer as it goes over the wire."""
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 " + status, length, *headers, b"", body])


@dataclass
class Server:
    """Where it listens, and what it was asked: requests of each connection."""

    url: str
    asked: list[list[bytes]] = field(default_factory=list)


@contextmanager
def speaking(
    *conversations: Sequence[bytes],
    wrap: Callable[[socket.socket], socket.socket] = lambda accepted: accepted,
    scheme: str = "http",
) -> Iterator[Server]:
    """A server that gives each connection its answers in turn, and hangs up after the last."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        for answers in conversations:
            try:
                accepted, _ = listener.accept()
                with wrap(accepted) as stream:
                    requests: list[bytes] = []
                    server.asked.append(requests)
                    for each in answers:
                        requests.append(request_from(stream))
                        stream.sendall(each)
            except OSError:
                return  # The test is over, or somebody does not trust us.

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def request_from(stream: socket.socket) -> bytes:
    """A request with as much of a body as it says."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += stream.recv(65_536) or b"\r\n\r\n"
    head, _, body = request.partition(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length: ")
    while len(body) < int(length.partition(b"\r\n")[0] or 0):
        body += stream.recv(65_536)
    return head + b"\r\n\r\n" + body


def ask(
    transport: httpx.BaseTransport, server: Server, path: str = "/a", body: str = ""
) -> RawAnswer:
    """One request through the door."""
    return exchange(
        transport,
        HandClock().clockwork(),
        method="POST" if body else "GET",
        url=Endpoint.parse(server.url).at(path),
        headers={"X-One": "1"},
        body=body,
    )


def test_one_connection_carries_request_after_request() -> None:
    """Whole and in chunks, with and without a body, past news that come before an answer."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    large = b"x" * 300_000
    with (
        speaking([answer(b"one"), chunked, early + answer(large, status=b"404 No")]) as server,
        real_transport(Endpoint.parse(server.url)) as transport,
    ):
        assert ask(transport, server).body == b"one"
        assert ask(transport, server, "/b?c=d", '{"e":1}').body == b"abc"
        refused = ask(transport, server)
    assert (refused.status, refused.body) == (404, large)
    ((first, second, _),) = server.asked
    assert first.startswith(b"GET /a HTTP/1.1\r\n")
    assert b"X-One: 1\r\n" in first
    assert second.startswith(b"POST /b?c=d HTTP/1.1\r\n")
    assert second.endswith(b'\r\n\r\n{"e":1}')


def test_who_hung_up_meanwhile_is_not_asked_again() -> None:
    """The next request takes a new connection, and no request goes out twice."""
    with (
        speaking([answer(b"1")], [answer(b"2", b"Connection: close")], [answer(b"3")]) as server,
        real_transport(Endpoint.parse(server.url), connections=1) as transport,
    ):
        bodies = []
        for _ in range(3):
            bodies.append(ask(transport, server).body)
            hung_up(transport)
    assert bodies == [b"1", b"2", b"3"]
    assert [len(requests) for requests in server.asked] == [1, 1, 1]


def hung_up(transport: Connections) -> None:
    """Wait until the end of the connection that is kept has come."""
    idle = transport._free.get()
    deadline = threading.Event()
    for _ in range(500):
        if idle is None or idle.is_stale():
            break
        deadline.wait(0.01)
    transport._free.put(idle)


def test_what_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other end may be about to close."""
    with (
        speaking([answer(b"1"), answer(b"late")], [answer(b"2")]) as server,
        real_transport(Endpoint.parse(server.url), connections=1) as transport,
    ):
        assert ask(transport, server).body == b"1"
        monkeypatch.setattr(connections, "IDLE_SECONDS_MAX", -1.0)
        assert ask(transport, server).body == b"2"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    ],
)
def test_what_is_no_whole_answer_has_an_unknown_outcome(said: bytes) -> None:
    """Cut short, malformed, or endless; and the connection is not used again."""
    with (
        speaking([said], [answer(b"well")]) as server,
        real_transport(Endpoint.parse(server.url), connections=1) as transport,
    ):
        with pytest.raises(OutcomeUnknown):
            ask(transport, server)
        assert ask(transport, server).body == b"well"


def test_what_stands_behind_an_answer_is_not_the_next_one() -> None:
    """Bytes that nobody asked for end the connection."""
    with (
        speaking([answer(b"1") + answer(b"forged"), b""], [answer(b"2")]) as server,
        real_transport(Endpoint.parse(server.url), connections=1) as transport,
    ):
        assert ask(transport, server).body == b"1"
        assert ask(transport, server).body == b"2"


def test_a_busy_transport_is_not_waited_for_for_ever() -> None:
    """Nothing was sent then; a connection is free again when its answer is closed."""
    with speaking([answer(b"1")], [answer(b"2")]) as server:
        url = httpx.URL(server.url)
        asked = httpx.Request("GET", url, extensions={"timeout": SECONDS})
        with Connections(url, connections_max=1, ssl_context=None) as transport:
            unread = transport.handle_request(asked)
            with pytest.raises(httpx.PoolTimeout) as caught:
                transport.handle_request(asked)
            assert RENAMED[type(caught.value)] is NotSent
            assert isinstance(unread.stream, httpx.SyncByteStream)
            for _ in range(2):
                unread.stream.close()
            assert transport._free.qsize() == 1
            assert ask(transport, server).body == b"2"


def test_no_other_host_sees_our_signatures() -> None:
    """Connections go to one endpoint; a request to another one is a bug."""
    transport = real_transport(Endpoint.parse("https://api.zerohash.com"))
    for other in ("https://api.zerohash.com.example", "http://api.zerohash.com"):
        with pytest.raises(AssertionError):
            transport.handle_request(httpx.Request("GET", other, extensions={"timeout": SECONDS}))


class Deaf(httpcore.NetworkStream):
    """The stream of a server that answers and closes before it has been told everything."""

    def __init__(self) -> None:
        self.said = [answer(b"too much", status=b"413 No")]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        raise httpcore.WriteError("broken pipe")

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.said.pop()

    def close(self) -> None:
        self.said.clear()


class Backend(httpcore.NetworkBackend):
    """Connects to a stream, or fails."""

    def __init__(self, given: httpcore.NetworkStream | Exception) -> None:
        self.given = given

    def connect_tcp(self, *args: object, **kwargs: object) -> httpcore.NetworkStream:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


def over(given: httpcore.NetworkStream | Exception) -> Connections:
    """Connections over something else than sockets."""
    url = httpx.URL("http://localhost")
    return Connections(url, connections_max=1, ssl_context=None, backend=Backend(given))


def test_a_refusal_that_came_before_the_request_was_through_is_heard() -> None:
    """A server may close on a request that it refuses, and have said so."""
    refused = ask(over(Deaf()), Server("http://localhost"), body="{}")
    assert (refused.status, refused.body) == (413, b"too much")


@pytest.mark.parametrize("kind", [httpcore.ConnectError, httpcore.ConnectTimeout])
def test_a_connection_that_failed_leaves_its_place_to_another(kind: type[Exception]) -> None:
    """Nothing was sent, and the one place for a connection is free again."""
    transport = over(kind("no"))
    for _ in range(2):
        with pytest.raises(NotSent, match=kind.__name__):
            ask(transport, Server("http://localhost"))


def test_closing_hangs_up() -> None:
    """What waits for a request is closed; nothing else is lost."""
    with speaking([answer(b"1"), b""], [answer(b"2")]) as server:
        transport = real_transport(Endpoint.parse(server.url))
        ask(transport, server)
        transport.close()
        assert ask(transport, server).body == b"2"
        transport.close()


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable does not send signed requests elsewhere."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with (
        speaking([answer(b"straight")]) as server,
        real_transport(Endpoint.parse(server.url)) as transport,
    ):
        assert ask(transport, server).body == b"straight"


def test_only_a_certificate_that_somebody_vouches_for_is_spoken_to(tmp_path: Path) -> None:
    """Over TLS nothing is sent to a stranger, and everything works with who is known."""
    place = certificate(tmp_path)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(place)
    known = ssl.create_default_context(cafile=place)

    def wrap(accepted: socket.socket) -> socket.socket:
        return theirs.wrap_socket(accepted, server_side=True)

    with speaking([answer(b"secret")], wrap=wrap, scheme="https") as server:
        url = httpx.URL(server.url)
        with Connections(url, connections_max=1, ssl_context=known) as transport:
            assert ask(transport, server).body == b"secret"
    with (
        speaking([answer(b"secret")], wrap=wrap, scheme="https") as server,
        real_transport(Endpoint.parse(server.url)) as stranger,
        pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        ask(stranger, server)
    assert server.asked == []


def certificate(folder: Path) -> Path:
    """A file with a key and a certificate for this machine, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = ipaddress.ip_address("127.0.0.1")
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(address)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    place = folder / "certificate.pem"
    place.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return place
