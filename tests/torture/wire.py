"""A small proxy on real sockets between an apply and the sandbox, which follows a seeded schedule.

What befalls a request depends on the seed, on which apply it is, on what is asked for and on how
often that was asked before; not on the order in which threads come by.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import urlsplit

from tests.torture.clock import FACTOR

STATUSES = (204, 302, 400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 520)
GIVES_UP = 30 / FACTOR + 0.3
"""Seconds until whoever waits for an answer has surely given up."""

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def shape(self) -> str:
        """What is asked for, of whichever thing."""
        return f"{self.method} {_ID.sub('*', urlsplit(self.target).path)}"


@dataclass(frozen=True)
class Answered:
    """An answer as it will be sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def bytes(self, status: int | None = None) -> bytes:
        """On the wire."""
        lines = [f"HTTP/1.1 {status or self.status} Said"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"content-length: {len(self.body)}"]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


class Schedule:
    """What befalls which request."""

    def __init__(self, seed: str) -> None:
        chance = Random(seed)
        self.seed = seed
        self.apply = 0
        """Which apply it is; set from outside."""
        self.permille = {False: chance.choice((0, 20, 60)), True: chance.choice((150, 300, 500))}
        """Of the requests that only read, and of those that change something."""
        self._counts: Counter[tuple[int, str]] = Counter()
        self._turn = threading.Lock()

    def next(self, asked: Asked) -> tuple[str, Random]:
        """The name of what befalls it, or nothing; and the chance that decides the rest."""
        with self._turn:
            self._counts[self.apply, asked.shape] += 1
            count = self._counts[self.apply, asked.shape]
        chance = Random(f"{self.seed} {self.apply} {asked.shape} {count}")
        if chance.randrange(1000) >= self.permille[asked.method != "GET"]:
            return "", chance
        return chance.choice(sorted(FATES)), chance


class Wire:
    """The proxy, and what it did."""

    def __init__(self, endpoint: str) -> None:
        self._upstream = urlsplit(endpoint).netloc
        self.schedule: Schedule | None = None
        """None lets everything pass."""
        self.victim = 0
        """The process that dies with its request on the way."""
        self.happened: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = defaultdict(set)
        """Request id -> what was asked under it."""
        self._late: list[threading.Thread] = []
        wire = self

        class Handler(_Handler):
            def serve(self, asked: Asked) -> None:
                wire.serve(asked, self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Whoever serves a request is waited for when it is closed.
        self._server.daemon_threads = False
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def calm(self) -> None:
        """From here on everything passes, and whatever was late has arrived."""
        self.schedule = None
        for thread in self._late:
            thread.join()

    def serve(self, asked: Asked, caller: _Handler) -> None:
        """One request and what befalls it."""
        request_id = asked.headers.get("X-REQUEST-ID", "")
        if request_id:
            self.bodies[request_id].add(asked.body)
        fate, chance = "", Random(0)
        if self.schedule is not None and not asked.target.startswith("/_sandbox/"):
            fate, chance = self.schedule.next(asked)
        self.happened[fate] += bool(fate)
        if fate:
            FATES[fate](self, asked, caller, chance)
        else:
            caller.say(self.forward(asked).bytes())

    def forward(self, asked: Asked) -> Answered:
        """Ask the sandbox."""
        connection = HTTPConnection(self._upstream)
        connection.request(asked.method, asked.target, asked.body or None, asked.headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        dropped = ("content-length", "transfer-encoding", "connection")
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in dropped]
        return Answered(answer.status, headers, body)

    def deliver_late(self, asked: Asked, seconds: float) -> None:
        """Ask the sandbox when nobody waits for the answer any more."""

        def deliver() -> None:
            time.sleep(seconds)
            self.forward(asked)

        self._late.append(threading.Thread(target=deliver))
        self._late[-1].start()


class _Handler(BaseHTTPRequestHandler):
    """One connection of an apply."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def serve(self, asked: Asked) -> None:
        """Answer, or not."""
        raise NotImplementedError

    def _asked(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.serve(Asked(self.command, self.path, dict(self.headers.items()), body))

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _asked

    def handle(self) -> None:
        """Until the caller goes away, which may be at any moment."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def say(self, data: bytes) -> None:
        """Send to the caller."""
        self.wfile.write(data)

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, or break it."""
        self.close_connection = True
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            # Closed here: the server would end it properly first.
            os.close(self.connection.detach())


# --- what may befall a request -------------------------------------------------------------------

Fate = Callable[[Wire, Asked, _Handler, Random], None]


def lost(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """It never arrives."""
    caller.hang_up()


def reset(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """The connection breaks before it arrives."""
    caller.hang_up(reset=True)


def unheard(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """It arrives, and its answer is lost."""
    wire.forward(asked)
    caller.hang_up()


def unheard_reset(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """It arrives, and the connection breaks before its answer."""
    wire.forward(asked)
    caller.hang_up(reset=True)


def delayed(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """It takes its time, there and back."""
    time.sleep(chance.uniform(0, 0.2))
    answer = wire.forward(asked)
    time.sleep(chance.uniform(0, 0.2))
    caller.say(answer.bytes())


def cut(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """Its answer ends somewhere in the middle."""
    data = wire.forward(asked).bytes()
    caller.say(data[: chance.randrange(len(data))])
    caller.hang_up()


def dripping(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """Its answer comes in pieces."""
    data = wire.forward(asked).bytes()
    middle = chance.randrange(len(data))
    caller.say(data[:middle])
    time.sleep(chance.uniform(0, 0.1))
    caller.say(data[middle:])


def doubled(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """It arrives twice, and one of the answers comes back."""
    answers = [wire.forward(asked), wire.forward(asked)]
    caller.say(chance.choice(answers).bytes())


def garbled(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """It arrives, and its answer has another status."""
    caller.say(wire.forward(asked).bytes(chance.choice(STATUSES)))


def turned_away(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """It never arrives, and somebody else answers."""
    page = Answered(chance.choice(STATUSES), [("content-type", "text/html")], b"<h1>Sorry</h1>")
    caller.say(page.bytes())


def silent(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """It arrives, and nothing comes back until the caller gives up."""
    wire.forward(asked)
    time.sleep(GIVES_UP)
    caller.hang_up()


def late(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """The connection ends, and it arrives afterwards."""
    wire.deliver_late(asked, chance.uniform(0, 2))
    caller.hang_up()


def outlived(wire: Wire, asked: Asked, caller: _Handler, chance: Random) -> None:
    """The caller is killed, and it arrives afterwards."""
    if wire.victim:
        os.kill(wire.victim, signal.SIGKILL)
    wire.deliver_late(asked, chance.choice((0, 0.05, 0.5, 2)))
    caller.hang_up()


FATES: dict[str, Fate] = {
    fate.__name__: fate
    for fate in (
        lost,
        reset,
        unheard,
        unheard_reset,
        delayed,
        cut,
        dripping,
        doubled,
        garbled,
        turned_away,
        silent,
        late,
        outlived,
    )
}


@contextlib.contextmanager
def wire(endpoint: str) -> Iterator[Wire]:
    """A proxy before an endpoint."""
    opened = Wire(endpoint)
    try:
        yield opened
    finally:
        opened.calm()
        opened.close()
