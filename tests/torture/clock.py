"""A clock that runs faster, for the sandbox and for whoever talks to it, and for nobody else.

An apply waits in real time: before it tries again, and for minutes before it gives a slot to
another body. Here a second lasts a tenth of one, on both sides alike. Three things keep that from a
real provider, and each of them suffices: the endpoint must be the sandbox, on this machine, with
this clock; no connection to another one is opened; and the clock is so many years ahead that a
provider would refuse every signature, and we its clock.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import httpx

from stratctl.live import transport
from stratctl.live.clockwork import Clockwork, real_clockwork
from stratctl.live.connections import ReadingTransport
from stratctl.live.transport import Endpoint, real_transport
from stratctl.pipeline import session
from tests.replaced import replaced

FACTOR = 10.0
BEGINS = 2_208_988_800.0
"""1 January 2040."""

LOOPBACK = "http://127.0.0.1:"
APART_SECONDS = 5.0


class NotTheSandbox(Exception):
    """Time runs faster with the sandbox only."""


@dataclass(frozen=True)
class Clock:
    """``FACTOR`` seconds to a second since ``began``, in real Unix seconds."""

    began: float

    def wall(self) -> float:
        """Unix seconds, as they are here."""
        return BEGINS + (time.time() - self.began) * FACTOR

    def clockwork(self) -> Clockwork:
        """All that an apply waits on."""
        real = real_clockwork()
        return replace(
            real,
            wall=self.wall,
            monotonic=lambda: real.monotonic() * FACTOR,
            sleep=lambda seconds: real.sleep(seconds / FACTOR),
        )


@contextlib.contextmanager
def hurried(endpoint: str, began: float) -> Iterator[None]:
    """Let time run faster in this process, with this endpoint and no other. Raises NotTheSandbox,
    now or when another one is connected to."""
    clock = Clock(began)
    refuse_others(endpoint, clock)

    def only_there(place: Endpoint) -> Endpoint:
        if place.url != endpoint:
            raise NotTheSandbox(place.url)
        return place

    def connect(place: Endpoint, monotonic: Callable[[], float]) -> httpx.BaseTransport:
        return real_transport(only_there(place), monotonic)

    def connect_to_read(place: Endpoint, monotonic: Callable[[], float]) -> ReadingTransport:
        return ReadingTransport(
            only_there(place),
            monotonic,
            connect_seconds=transport.CONNECT_SECONDS / FACTOR,
            read_seconds=transport.READ_SECONDS / FACTOR,
        )

    timeouts = {name: seconds / FACTOR for name, seconds in transport._TIMEOUTS.items() if seconds}
    with (
        replaced(session, "real_clockwork", clock.clockwork),
        replaced(session, "real_transport", connect),
        replaced(session, "ReadingTransport", connect_to_read),
        replaced(transport, "_TIMEOUTS", timeouts),
    ):
        yield


def refuse_others(endpoint: str, clock: Clock) -> None:
    """Raises NotTheSandbox for everything but a sandbox on this machine that has this clock."""
    if not endpoint.startswith(LOOPBACK):
        raise NotTheSandbox(endpoint)
    try:
        # With the transport of applies: over plain http it loads no authorities, 50 ms each time.
        transport = real_transport(Endpoint(endpoint), time.monotonic)
        with httpx.Client(transport=transport, trust_env=False) as client:
            said = int(client.get(f"{endpoint}/_sandbox/time").json()["now_ms"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise NotTheSandbox(f"{endpoint} does not tell a sandbox's time") from error
    if abs(said / 1000 - clock.wall()) > APART_SECONDS * FACTOR:
        raise NotTheSandbox(f"{endpoint} has another clock")
