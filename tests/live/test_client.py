"""Reads are retried in one layer and kept to a rate; writes are sent once."""

import json
import threading
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.errors import (
    AccessRefused,
    BadResponse,
    NotFound,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    RequestRefused,
)
from stratctl.core.event import Intent
from stratctl.core.slots import create_id
from stratctl.core.state import Verb
from stratctl.live import wire
from stratctl.live.client import ATTEMPTS_MAX, RETRY_SECONDS_MAX, target_of
from stratctl.live.clockwork import real_clockwork
from stratctl.live.limiter import Limiter
from tests.live.worlds import (
    ENDPOINT,
    HandClock,
    World,
    answering,
    intent,
    json_answer,
    read_client,
    write_client,
)


def anything(document: object) -> object:
    """A decoder that takes the document as it is."""
    return document


FINE = json_answer({"fine": True})

PASSING = [
    httpx.Response(500, content=b'{"error":"Internal Server Error"}'),
    httpx.Response(502, content=b"<html>"),
    httpx.Response(503, headers={"zh-allow-retry": "true"}),
    httpx.Response(504),
    httpx.Response(408),
    httpx.Response(409),
    httpx.Response(200, content=b""),
    httpx.Response(200, content=b"<html>"),
    httpx.Response(200, content=b'{"message":'),
    httpx.Response(200, content=b"{} {}"),
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    httpx.RemoteProtocolError("cut"),
]


@pytest.mark.parametrize("trouble", PASSING, ids=repr)
def test_passing_trouble_is_retried(trouble: httpx.Response | Exception) -> None:
    """A read asks again after what may pass, and then has its answer."""
    transport, seen = answering(trouble, trouble, FINE)
    clock = HandClock()
    assert read_client(transport, clock).get("/assets", decode=anything) == {"fine": True}
    assert len(seen) == 3
    assert len(clock.sleeps) == 2


@pytest.mark.parametrize("trouble", PASSING, ids=repr)
def test_lasting_trouble_ends(trouble: httpx.Response | Exception) -> None:
    """Attempts are bounded, and a read never has an unknown outcome."""
    transport, seen = answering(trouble)
    with pytest.raises(ProviderError) as caught:
        read_client(transport).get("/assets", decode=anything)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert len(seen) == ATTEMPTS_MAX


REFUSALS = [
    (httpx.Response(401), AccessRefused),
    (json_answer({"error": True, "message": "no rights"}, 403), AccessRefused),
    (httpx.Response(403, content=b"<html>error code: 1020</html>"), AccessRefused),
    (httpx.Response(404), NotFound),
    (json_answer({"errors": ["page_size must be <= 200"]}, 400), RequestRefused),
    (httpx.Response(400, content=b"?"), RequestRefused),
    (httpx.Response(301, headers={"location": "https://elsewhere.example/"}), ProviderError),
    (httpx.Response(418), ProviderError),
    (httpx.Response(204), ProviderError),
]


@pytest.mark.parametrize(("refusal", "kind"), REFUSALS, ids=repr)
def test_refusals_are_not_retried(refusal: httpx.Response, kind: type[ProviderError]) -> None:
    """What another attempt cannot change is raised at once; redirects are never followed."""
    transport, seen = answering(refusal)
    with pytest.raises(ProviderError) as caught:
        read_client(transport).get("/assets", decode=anything)
    assert type(caught.value) is kind
    assert len(seen) == 1
    assert caught.value.status == refusal.status_code


def test_a_refusal_says_what_the_provider_said() -> None:
    """The provider's own words are in the message."""
    transport, _ = answering(json_answer({"error": True, "message": "no\n rights"}, 403))
    with pytest.raises(AccessRefused, match="HTTP 403: no rights"):
        read_client(transport).get("/assets", decode=anything)
    transport, _ = answering(json_answer({"errors": ["a", "b"]}, 400))
    with pytest.raises(RequestRefused) as caught:
        read_client(transport).get("/assets", decode=anything)
    assert caught.value.errors == ("a", "b")


def test_backing_off_is_exponential_with_full_jitter() -> None:
    """Each wait is the chance's share of a ceiling that doubles up to eight seconds."""
    for chance in (0.0, 0.5, 0.999):
        transport, _ = answering(httpx.Response(500))
        clock = HandClock(chance=chance)
        with pytest.raises(ProviderError):
            read_client(transport, clock).get("/assets", decode=anything)
        assert clock.sleeps == [chance * ceiling for ceiling in (0.5, 1.0, 2.0, 4.0, 8.0)]


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (None, 11.5),
        ("0", 11.5),
        ("-1", 11.5),
        ("text", 11.5),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 11.5),
        ("²", 11.5),
        ("30", 30.5),
        ("119", 119.5),
    ],
)
def test_a_429_is_waited_out(retry_after: str | None, seconds: float) -> None:
    """At least eleven seconds and a little by chance, and what Retry-After asks for."""
    headers = {} if retry_after is None else {"retry-after": retry_after.encode()}
    many = httpx.Response(429, headers=headers, content=b"Too Many Requests")  # type: ignore[arg-type]  # header bytes are allowed
    transport, seen = answering(many, FINE)
    clock = HandClock()
    read_client(transport, clock).get("/assets", decode=anything)
    assert clock.sleeps == [seconds]
    assert len(seen) == 2


@pytest.mark.parametrize("retry_after", ["999999", "9" * 400, "301"])
def test_an_absurd_wait_is_cut_to_five_minutes(retry_after: str) -> None:
    """Retry-After is believed up to 300 s; a read that would wait longer altogether ends."""
    transport, seen = answering(httpx.Response(429, headers={"retry-after": retry_after}))
    clock = HandClock()
    with pytest.raises(ProviderError) as caught:
        read_client(transport, clock).get("/assets", decode=anything)
    assert caught.value.status == 429
    assert clock.sleeps == [300.0]
    assert sum(clock.sleeps) <= RETRY_SECONDS_MAX
    assert len(seen) == 2


def test_a_429_stops_every_thread_of_the_address() -> None:
    """The provider blocks an address, so that a pause holds for both clients."""
    clock = HandClock()
    clockwork = clock.clockwork()
    limiter = Limiter(clockwork)
    limiter.take()
    limiter.pause(11.0)
    limiter.pause(3.0)
    limiter.take()
    assert clock.sleeps == [11.0]


def test_a_429_on_a_write_pauses_reads_too() -> None:
    """The write is not repeated; whoever comes next waits."""
    world = World()
    world.fault("429", retry_after="40")
    signed = world.writer.sign(_any_create())
    world.writer.send(signed, 1)
    before = world.clock.now
    world.read_client.get("/assets", decode=anything)
    assert world.clock.now - before == pytest.approx(40.5)


def test_the_rate_stays_under_a_thousand_in_ten_seconds() -> None:
    """The thousand and first request waits until the first is ten seconds old."""
    clock = HandClock()
    limiter = Limiter(clock.clockwork())
    for _ in range(1_000):
        limiter.take()
        clock.now += 0.001
    assert clock.sleeps == []
    limiter.take()
    assert clock.sleeps == [pytest.approx(9.0)]
    assert limiter.taken == 1_001


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=60), st.integers(1, 7))
def test_no_window_ever_holds_more_than_the_limit(gaps: list[float], most: int) -> None:
    """However requests arrive, every rolling window keeps to the limit."""
    clock = HandClock()
    limiter = Limiter(clock.clockwork(), requests_max=most, window_seconds=1.0)
    starts = []
    for gap in gaps:
        clock.now += gap
        limiter.take()
        starts.append(clock.now)
    for first, last in zip(starts, starts[most:], strict=False):
        assert last - first >= 1.0 - 1e-6


def test_threads_share_one_limit() -> None:
    """Eight threads together take no more than one would."""
    clock = HandClock()
    limiter = Limiter(clock.clockwork(), requests_max=100, window_seconds=10.0)

    def take_many() -> None:
        for _ in range(25):
            limiter.take()

    threads = [threading.Thread(target=take_many) for _ in range(8)]
    started = clock.now
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limiter.taken == 200
    assert clock.now - started >= 10.0


def test_queries_are_escaped_and_signed_as_sent() -> None:
    """The signature covers the bytes of the request line; a strict server accepts it."""
    world = World()
    text = "a b&c=d/ü[gte]+%"
    answer = world.read_client.get(
        "/strategies/operations", {"strategy_id": text, "page_size": "200"}, decode=anything
    )
    assert answer == {"message": {"operations": [], "next_page_token": ""}}
    target = target_of("/x", {"a": text})
    assert parse_qsl(urlsplit(target).query) == [("a", text)]
    # What is signed is what goes on the wire: nothing is left that would be escaped there.
    assert ENDPOINT.at(target).raw_path.decode() == target


@pytest.mark.parametrize("shape", ["seconds", "milliseconds"])
def test_the_clock_is_compared_with_the_provider(shape: str) -> None:
    """Both shapes of GET /time; more than twenty seconds either way is refused."""
    world = World(switches={"time_shape": shape})
    world.read_client.check_clock()
    for offset in (-90.0, 90.0, 86_400.0):
        world.clock.wall_offset = offset
        with pytest.raises(AccessRefused, match="this machine's clock"):
            world.read_client.check_clock()
    world.clock.wall_offset = 15.0
    world.read_client.check_clock()


def test_a_clock_that_jumps_during_a_read_is_noticed() -> None:
    """The Date header of any answer is enough."""
    date = "Thu, 01 Jan 2015 00:00:00 GMT"
    transport, seen = answering(json_answer({}, Date=date))
    with pytest.raises(AccessRefused, match="ahead of the provider's"):
        read_client(transport).get("/assets", decode=anything)
    assert len(seen) == 1


def test_a_date_that_is_none_is_no_evidence() -> None:
    """A broken Date header does not stop a read."""
    transport, _ = answering(json_answer({}, Date="yesterday"))
    assert read_client(transport).get("/assets", decode=anything) == {}


def test_a_shape_that_does_not_decode_is_retried() -> None:
    """A decoder's distrust counts as a failed attempt."""
    transport, seen = answering(json_answer({"message": {}}), json_answer({"traders": []}))
    page = read_client(transport).get("/strategies/traders", decode=wire.traders_page)
    assert page.count == 0
    assert len(seen) == 2
    transport, seen = answering(json_answer({"message": {}}))
    with pytest.raises(BadResponse, match="no traders"):
        read_client(transport).get("/strategies/traders", decode=wire.traders_page)


def _any_create() -> Intent:
    body = {"quoted_currency": "USD", "metadata": {}}
    return intent(Verb.CREATE, "/strategies", body, create_id("sandbox", "x"))


@pytest.mark.parametrize("trouble", [*PASSING, httpx.Response(429)], ids=repr)
def test_a_write_is_sent_once_whatever_comes_back(trouble: httpx.Response | Exception) -> None:
    """The transport sees one request per signature; a second sending is a bug and crashes."""
    transport, seen = answering(trouble)
    client = write_client(transport)
    signed = client.sign(method="POST", path="/strategies", body="{}", request_id="x")
    with suppress(NotSent, OutcomeUnknown):
        client.send(signed)
    assert seen == ["POST /strategies"]
    with pytest.raises(AssertionError, match="sent once"):
        client.send(signed)
    assert len(seen) == 1


def test_a_write_carries_exactly_the_bytes_that_were_signed() -> None:
    """Body, id and type are what was given, byte for byte."""
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return json_answer({})

    client = write_client(httpx.MockTransport(respond))
    body = json.dumps({"metadata": {"é": "1.50"}}, ensure_ascii=False)
    client.send(client.sign(method="PATCH", path="/strategies/1", body=body, request_id="an-id"))
    (request,) = seen
    assert request.content == body.encode()
    assert request.headers["x-request-id"] == "an-id"
    assert request.headers["content-type"] == "application/json"


def test_the_real_clockwork_is_the_machine() -> None:
    """Monotonic time passes while sleeping, and chance lies in [0, 1)."""
    clockwork = real_clockwork()
    before = clockwork.monotonic()
    clockwork.sleep(0.001)
    assert clockwork.monotonic() > before
    assert clockwork.wall() > 1_700_000_000
    assert 0 <= clockwork.random() < 1
