"""Answers of every kind over real sockets, by the way that reads take and by that of writes."""

from __future__ import annotations

import itertools
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stratctl.core.errors import BadResponse, NotSent, OutcomeUnknown
from stratctl.live.connections import ReadingTransport
from stratctl.live.transport import (
    ANSWER_SECONDS,
    Endpoint,
    GetOnlyTransport,
    RawAnswer,
    Reads,
    real_transport,
)
from stratctl.live.wire import BODY_BYTES_MAX
from tests.live.worlds import HandClock

CLOSES = b"<the server closes>"
DRIPS = b"<the server goes on byte by byte>"
RESETS = b"<the server resets>"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


Seconds = Callable[[], float]


def stand_still() -> float:
    """No time passes."""
    return 0.0


def reads(endpoint: Endpoint, monotonic: Seconds = stand_still) -> ReadingTransport:
    """The way that reads take."""
    return ReadingTransport(endpoint, monotonic)


def writes(endpoint: Endpoint, monotonic: Seconds = stand_still) -> GetOnlyTransport:
    """The way that writes take, for a read."""
    transport = real_transport(endpoint, monotonic)
    return GetOnlyTransport(transport, endpoint, HandClock().clockwork())


Way = Callable[..., ReadingTransport | GetOnlyTransport]
WAYS: list[Way] = [reads, writes]
both = pytest.mark.parametrize("way", WAYS, ids=["reads", "writes"])


class Scripted(socketserver.ThreadingTCPServer):
    """A server that gives prepared answers, whatever it is asked, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.endpoint = Endpoint(f"http://127.0.0.1:{self.server_address[1]}")
        self.answers: list[bytes] = []
        self.asked: list[tuple[int, bytes]] = []
        """The connection, counted from 1, and the head of the request."""
        self.numbers = itertools.count(1)
        self.closed = threading.Semaphore(0)


class Answering(socketserver.StreamRequestHandler):
    """One connection of it."""

    server: Scripted
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer until the other side, or an answer, ends it."""
        number = next(self.server.numbers)
        while head := b"".join(itertools.takewhile(b"\r\n".__ne__, self.rfile)):
            self.server.asked.append((number, head))
            answer = self.server.answers.pop(0)
            plain = answer.removesuffix(CLOSES).removesuffix(RESETS).removesuffix(DRIPS)
            self.wfile.write(plain)
            with suppress(OSError):  # nobody listens any more
                while answer.endswith(DRIPS):
                    self.wfile.write(b"a")
                    time.sleep(0.001)
            if answer.endswith(RESETS):
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            if answer.endswith((CLOSES, RESETS)):
                break

    def finish(self) -> None:
        """Say that it is over."""
        super().finish()
        self.connection.close()
        self.server.closed.release()


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A running one."""
    with Scripted() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(transport: Reads) -> RawAnswer:
    """One GET."""
    return transport.get("/accounts?page=1&account_label=a%20b", {"X-SCX-API-KEY": "key"})


GOOD = {
    "its length": PLAIN,
    "a length of any case": b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 2 \r\n\r\n{}",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    "chunks and a trailer": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nA: b\r\n\r\n"
    ),
    "the end": b"HTTP/1.1 200 OK\r\n\r\n{}" + CLOSES,
    "the end, of the older version": b"HTTP/1.0 200 OK\r\n\r\n{}" + CLOSES,
    "its length, in another script": (
        "HTTP/1.1 200 Schön\r\nServer: Ümläut ✓\r\nContent-Length: 2\r\n\r\n{}".encode()
    ),
    "a word of patience before": b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,
}


@both
@pytest.mark.parametrize("answer", GOOD.values(), ids=GOOD)
def test_an_answer_may_end_in_any_documented_way(way: Way, answer: bytes, server: Scripted) -> None:
    """By its length, its chunks, or with the connection."""
    server.answers = [answer, PLAIN]
    with closing(way(server.endpoint)) as transport:
        assert ask(transport).body == b"{}"
        assert ask(transport).body == b"{}"
    connections = [number for number, _ in server.asked]
    assert connections == ([1, 2] if answer.endswith(CLOSES) else [1, 1])


BROKEN = {
    "nothing": CLOSES,
    "a reset": RESETS,
    "half a status line": b"HTTP/1.1 20" + CLOSES,
    "no status line": b"hello\r\n\r\n" + CLOSES,
    "no status": b"HTTP/1.1 OK\r\n\r\n{}" + CLOSES,
    "another protocol": b"HTTQ/1.1 200 OK\r\n\r\n{}" + CLOSES,
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le" + CLOSES,
    "a header without a name": b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 2\r\n\r\n{}",
    "a header too long": b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000 + b"\r\n\r\n{}" + CLOSES,
    "a head too long": b"HTTP/1.1 200 OK\r\n" + b"A: aaaaaaaaaa\r\n" * 9_000 + b"\r\n{}" + CLOSES,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "no number": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}" + CLOSES,
    "a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}" + CLOSES,
    "less than nothing": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}" + CLOSES,
    "a short body": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}" + CLOSES,
    "a body that resets": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}" + RESETS,
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}" + CLOSES,
    "a short chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}" + CLOSES,
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" + CLOSES,
    "no chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    + CLOSES,
}


@both
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_no_answer(way: Way, answer: bytes, server: Scripted) -> None:
    """It comes out under our name, and its connection is not used again."""
    server.answers = [answer, PLAIN]
    with closing(way(server.endpoint)) as transport:
        with pytest.raises(OutcomeUnknown):
            ask(transport)
        assert ask(transport).body == b"{}"
    assert [number for number, _ in server.asked] == [1, 2]


DOUBTFUL = {
    "a length and chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\n\r\n"
    ),
    "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a hint before the answer": b"HTTP/1.1 103 Early Hints\r\n\r\n" + PLAIN,
    "another protocol from here": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + PLAIN,
}


@pytest.mark.parametrize(
    "parameters", ["boundary*=a; boundary*1=b", "boundary*=x''a"], ids=["no-order", "no-coding"]
)
def test_headers_that_the_library_trips_over_are_no_answer(
    parameters: str, server: Scripted
) -> None:
    """It reads them as those of mail; whatever it raises comes out under our name."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; {parameters}\r\n"
    server.answers = [head.encode() + b"Content-Length: 2\r\n\r\n{}", PLAIN]
    with closing(reads(server.endpoint)) as transport:
        with pytest.raises(OutcomeUnknown):
            ask(transport)
        assert ask(transport).body == b"{}"


@pytest.mark.parametrize("answer", DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_read_doubts_an_answer_that_tells_its_end_twice(answer: bytes, server: Scripted) -> None:
    """What the two libraries read otherwise is not read: the next answer must not begin in it."""
    server.answers = [answer, PLAIN]
    with closing(reads(server.endpoint)) as transport:
        with pytest.raises(OutcomeUnknown, match="where it ends"):
            ask(transport)
        assert ask(transport).body == b"{}"
    assert [number for number, _ in server.asked] == [1, 2]


@both
def test_a_connection_that_was_closed_is_opened_anew(way: Way, server: Scripted) -> None:
    """A server may close what nobody uses: nothing is lost by it, and nothing is sent twice."""
    server.answers = [PLAIN + CLOSES, PLAIN]
    with closing(way(server.endpoint)) as transport:
        ask(transport)
        assert server.closed.acquire(timeout=10)
        assert ask(transport).body == b"{}"
    assert [number for number, _ in server.asked] == [1, 2]


@pytest.mark.parametrize("more", [PLAIN, PLAIN * 5_000], ids=["little", "much"])
def test_what_nobody_asked_for_is_no_answer(more: bytes, server: Scripted) -> None:
    """An answer is to the request before it, whatever a server says beyond the one before."""
    server.answers = [PLAIN + more, PLAIN.replace(b"{}", b"[]")]
    with closing(reads(server.endpoint)) as transport:
        assert ask(transport).body == b"{}"
        assert ask(transport).body == b"[]"


@both
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "gzip"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (BODY_BYTES_MAX + 1) + CLOSES, "larger than"),
    ],
    ids=["encoded", "too-large"],
)
def test_an_answer_that_is_given_up_is_not_read_later(
    way: Way, answer: bytes, why: str, server: Scripted
) -> None:
    """The next answer does not begin with the rest of the last."""
    server.answers = [answer, PLAIN]
    with closing(way(server.endpoint)) as transport:
        with pytest.raises(BadResponse, match=why):
            ask(transport)
        assert ask(transport).body == b"{}"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 40_000,
    ],
    ids=["patience", "trailers"],
)
def test_a_drip_ends_wherever_it_drips(answer: bytes, server: Scripted) -> None:
    """What comes before or after a body, or between its chunks, does not hold us for ever."""
    server.answers = [answer]
    seconds = itertools.count(0.0, ANSWER_SECONDS / 2)
    with (
        closing(reads(server.endpoint, seconds.__next__)) as transport,
        pytest.raises(OutcomeUnknown, match="dripping"),
    ):
        ask(transport)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nServer: " + DRIPS, b"HTTP/1.1 100 Continue\r\n\r\n" * 9_000],
    ids=["headers", "patience"],
)
@both
def test_headers_have_their_time_and_no_more(way: Way, answer: bytes, server: Scripted) -> None:
    """Byte by byte, each of them within its own time, they do not hold a write either."""
    server.answers = [answer, PLAIN]
    seconds = itertools.count(0.0, ANSWER_SECONDS / 4)
    with closing(way(server.endpoint, seconds.__next__)) as transport:
        with pytest.raises(OutcomeUnknown, match="dripping"):
            ask(transport)
        assert ask(transport).body == b"{}"
    assert [number for number, _ in server.asked] == [1, 2]


def test_both_ways_send_the_same(server: Scripted) -> None:
    """The request line, the headers and their values."""
    server.answers = [PLAIN] * len(WAYS)
    for way in WAYS:
        with closing(way(server.endpoint)) as transport:
            ask(transport)
    one, other = (sorted(head.lower().splitlines()) for _, head in server.asked)
    assert one == other
    assert b"get /accounts?page=1&account_label=a%20b http/1.1" in one


def test_threads_have_a_connection_each(server: Scripted) -> None:
    """A transport may be asked from several threads, and keeps as many connections as it needs."""
    server.answers = [PLAIN] * 40
    with closing(reads(server.endpoint)) as transport:
        threads = [
            threading.Thread(target=lambda: [ask(transport) for _ in range(10)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.asked) == 40
    assert len({number for number, _ in server.asked}) <= 4


def test_nobody_is_there(server: Scripted) -> None:
    """A connection that is refused is not sent, and one that hangs ends in time."""
    nobody = Endpoint("http://127.0.0.1:9")
    with closing(reads(nobody)) as transport, pytest.raises(NotSent, match="ConnectError"):
        ask(transport)


@pytest.mark.parametrize(
    "route",
    [
        "/time HTTP/1.1\r\nHost: x\r\n\r\nPOST /strategies",
        "/a b",
        "/\u00e4",
        "/time\n",
        "//127.0.0.1:10/\x00",
        "127.0.0.1:10",
        "",
    ],
)
def test_a_route_is_a_route_and_nothing_else(route: str, server: Scripted) -> None:
    """There is no word for another method, and none is smuggled in: what would be one is a bug."""
    with closing(reads(server.endpoint)) as transport, pytest.raises(AssertionError):
        transport.get(route, {})
    assert server.asked == []


@both
def test_a_header_that_came_twice_has_both_values(way: Way, server: Scripted) -> None:
    """No one of the two is taken for the only one."""
    head = b"HTTP/1.1 200 OK\r\nRetry-After: 1\r\nContent-Length: 2\r\nretry-AFTER: 20\r\n\r\n"
    server.answers = [head + b"{}"]
    with closing(way(server.endpoint)) as transport:
        assert ask(transport).headers["retry-after"] == "1, 20"


@both
def test_a_path_of_the_address_stands_before_every_other(way: Way, server: Scripted) -> None:
    """It is signed with the rest, as it is sent."""
    place = Endpoint.parse(f"{server.endpoint.url}/of/a gateway/")
    server.answers = [PLAIN]
    with closing(way(place)) as transport:
        transport.get(f"{place.path}/time", {})
    assert place.path == "/of/a%20gateway"
    assert server.asked[0][1].startswith(b"GET /of/a%20gateway/time HTTP/1.1\r\n")


# --- TLS ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that vouches for itself and for 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + signed.public_bytes(pem))
    return path


@pytest.fixture
def over_tls(server: Scripted, authority: Path) -> Scripted:
    """The server, with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


@both
@pytest.mark.parametrize(
    ("host", "trusted", "why"),
    [
        ("127.0.0.1", True, ""),
        ("127.0.0.1", False, "certificate verify failed: self.signed"),
        ("localhost", True, "Hostname mismatch"),
    ],
    ids=["trusted", "signed-by-itself", "another-name"],
)
def test_certificates_are_checked(
    way: Way,
    host: str,
    trusted: bool,
    why: str,
    over_tls: Scripted,
    authority: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over TLS a read and a write go to who is known by the name, and to nobody else."""
    endpoint = Endpoint(f"https://{host}:{over_tls.server_address[1]}")
    if trusted:
        monkeypatch.setattr(certifi, "where", lambda: str(authority))
    over_tls.answers = [PLAIN, PLAIN]
    with closing(way(endpoint)) as transport:
        if why:
            with pytest.raises(NotSent, match=why):
                ask(transport)
        else:
            assert ask(transport).body == b"{}"
            assert ask(transport).body == b"{}"
    assert [number for number, _ in over_tls.asked] == ([] if why else [1, 1])
