"""A sample of the torture, and a clock that runs faster for nobody but the sandbox.

Kills and races have theirs in ``test_once.py``, pushes in ``test_git_journal.py``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from stratctl.core.errors import StratctlError
from stratctl.live.connections import ReadingTransport
from stratctl.live.transport import Endpoint
from stratctl.load.shipped import shipped
from stratctl.pipeline import session
from tests.e2e.machines import Machines
from tests.torture import calls, failing, proxy
from tests.torture.chains import PARTS, chains
from tests.torture.clock import Clock, NotTheSandbox, hurried, refuse_others
from tests.torture.ground import Ground, ground
from tests.torture.wire import FATES, Asked, Schedule


@pytest.fixture(scope="module")
def at(warm: Machines) -> Iterator[Ground]:
    """A sandbox and machines whose clocks run faster."""
    with ground(warm) as opened:
        yield opened


# --- the sample ----------------------------------------------------------------------------------


def test_an_fsync_that_fails_under_way_costs_nothing(at: Ground) -> None:
    """The apply stops there and says so; the next one ends it, and each flow moved once."""
    assert failing.once(at, "begin/fsync/kept", 9)


def test_a_file_of_the_package_that_cannot_be_opened_is_no_bug(tmp_path: Path) -> None:
    """It is said which one it is, where no more files can be opened."""
    with (
        pytest.raises(StratctlError, match=r"project\.schema\.json: Too many open files"),
        calls.failing("open", 1, str(tmp_path / "told")),
    ):
        shipped("schemas/project.schema.json")


def test_a_schedule_of_faults_on_the_wire_costs_nothing(at: Ground) -> None:
    """Whatever befalls the requests of three applies, each flow moved once."""
    assert proxy.once(at, "kept", 12)


# --- what is tried -------------------------------------------------------------------------------


def test_all_is_tried_that_should_be() -> None:
    """Without a share: 200 races and 500 schedules, and every step of everything else."""
    tried = list(chains([*PARTS], seed=1, one_in=1))
    seeds = {"races": 200, "proxy": 500}
    for part in PARTS:
        mine = [chain for chain in tried if chain.part == part]
        assert {chain.name for chain in mine} == {*PARTS[part].names}
        assert sum(len(chain.numbers or ()) for chain in mine) == seeds.get(part, 0)
    assert len({chain.case(0) for chain in tried if chain.numbers is None}) == 20 + 24 + 18


def test_a_schedule_is_its_seed() -> None:
    """The same seed has the same in store for the same requests, and every fate is met."""
    asked = [Asked(method, f"/{n}", {}, b"") for n in range(400) for method in ("GET", "POST")]
    one, same, other = (Schedule(seed) for seed in ("kept 1", "kept 1", "kept 2"))
    met = [one.next(each)[0] for each in asked]
    assert met == [same.next(each)[0] for each in reversed(asked)][::-1]
    assert met != [other.next(each)[0] for each in asked]
    assert {*met} - {""} == {*FATES}


# --- the clock -----------------------------------------------------------------------------------


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[bytes]]]:
    """A server on this machine that says what it is told to."""
    says: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(says[0])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", says
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("endpoint", ["https://api.example.com", "http://127.0.0.1.example.com"])
def test_time_runs_faster_on_this_machine_only(endpoint: str) -> None:
    """Another endpoint is refused before anything is connected to."""
    with pytest.raises(NotTheSandbox, match="example"), hurried(endpoint, time.time()):
        raise AssertionError("it was let in")


@pytest.mark.parametrize(
    "said",
    [b"", b"{}", b'{"now_ms":"later"}', json.dumps({"now_ms": time.time() * 1000}).encode()],
    ids=["nothing", "no-clock", "no-number", "our-clock"],
)
def test_time_runs_faster_with_the_sandbox_only(
    said: bytes, stranger: tuple[str, list[bytes]]
) -> None:
    """Who tells no such time, or the real one, is not the sandbox with the faster clock."""
    endpoint, says = stranger
    says.append(said)
    with pytest.raises(NotTheSandbox):
        refuse_others(endpoint, Clock(time.time()))


def test_who_is_in_a_hurry_connects_to_nobody_else(at: Ground) -> None:
    """Once the sandbox was shown to be one, no other endpoint may take its place."""
    provider = Endpoint("https://api.example.com")
    with hurried(at.sandbox.endpoint, at.began):
        for connect in session_connects():
            connect(Endpoint(at.sandbox.endpoint)).close()
            with pytest.raises(NotTheSandbox, match="example"):
                connect(provider)
    for connect in session_connects():
        connect(provider).close()


def session_connects() -> tuple[Callable[[Endpoint], ReadingTransport | httpx.BaseTransport], ...]:
    """How a session connects at this moment, to write and to read."""
    reading = partial(vars(session)["ReadingTransport"], monotonic=time.monotonic)
    writing = partial(vars(session)["real_transport"], monotonic=time.monotonic)
    return writing, reading


def test_the_faster_clock_is_years_away(at: Ground) -> None:
    """A provider would refuse its signatures, and the client the provider's clock."""
    clock = Clock(at.began).clockwork()
    assert clock.wall() - time.time() > 10 * 365 * 86_400
