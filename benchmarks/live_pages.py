"""What reading costs the client: CPU per page of 200 over loopback, and a whole cold read.

A sandbox runs in a process of its own, so that its work is not counted. Traders, accounts and
Executions are the three kinds of pages that grow with the number of participants. The floor is
the same request over the same transport with nobody looking at the answer, measured alternately.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from stratctl.core.event import AnswerClass
from stratctl.core.slots import create_id
from stratctl.core.state import Verb
from stratctl.core.tables import Workspace
from stratctl.live import wire
from stratctl.live.auth import credentials_from
from stratctl.live.client import ReadClient, WriteClient
from stratctl.live.clockwork import real_clockwork
from stratctl.live.connections import ReadingTransport
from stratctl.live.limiter import Limiter
from stratctl.live.pages import ACCOUNTS, EXECUTIONS, TRADERS, PagesOf
from stratctl.live.reader import Reader
from stratctl.live.transport import Endpoint, real_transport
from stratctl.live.writer import Writer
from tests.live.worlds import FLOAT_ACCOUNT, booked, call, declared, intent

PARTICIPANTS = 5_000
A_CALL = 1_000
PAGES = 100
RUNS = 5
FLOOR_RATIO_MAX = {"traders": 4.0, "accounts": 4.0}
"""CPU of a page over that of its HTTP alone, measured alternately in the same run."""
READ_SECONDS_MAX = 5.0


class Clients:
    """Both clients on a running sandbox, without our own rate limit, which is not measured."""

    def __init__(
        self,
        address: str,
        environ: dict[str, str],
        reading: httpx.BaseTransport | None = None,
    ) -> None:
        self.clockwork = real_clockwork()
        endpoint = Endpoint.parse(address)
        shared: dict[str, Any] = {
            "endpoint": endpoint,
            "clockwork": self.clockwork,
            "limiter": Limiter(self.clockwork, requests_max=10**9),
        }
        self.read = ReadClient(
            credentials=credentials_from(environ, "STRATCTL_READ"),
            transport=reading or ReadingTransport(endpoint, self.clockwork.monotonic),
            **shared,
        )
        write = WriteClient(
            credentials=credentials_from(environ, "STRATCTL_WRITE"),
            transport=real_transport(endpoint, self.clockwork.monotonic),
            **shared,
        )
        self.writer = Writer(write, self.read, self.clockwork)


def main() -> None:
    """Print a line per kind of page and one for a whole read; fail when one is over its limit."""
    over = []
    with serving("--participants", str(PARTICIPANTS)) as (address, environ):
        clients = Clients(address, environ)
        strategy_id = enroll(clients)
        one_operation = clients.read.get("/strategies/operations", decode=wire.operations_page)
        kinds: dict[str, tuple[str, dict[str, str], PagesOf[Any]]] = {
            "traders": (
                "/strategies/traders",
                {"strategy_id": strategy_id, "page_size": "200"},
                TRADERS,
            ),
            "accounts": (
                "/accounts",
                {"account_label": strategy_id, "account_type": "available", "page": "1"},
                ACCOUNTS,
            ),
            "executions": (
                "/strategies/executions",
                {"operation_id": one_operation.items[0].id, "page_size": "200"},
                EXECUTIONS,
            ),
        }
        for kind, (path, filters, pages_of) in kinds.items():
            floor, cost = alternately(
                lambda: clients.read._ask(_target(path, filters)),  # noqa: B023 - called at once
                lambda: clients.read.read(  # as lists are read
                    path,  # noqa: B023 - called at once
                    filters,  # noqa: B023 - called at once
                    pages_of.read,  # noqa: B023 - called at once
                ),
            )
            measured = f"{cost:.2f} ms CPU a page of 200, of which HTTP {floor:.2f} ms"
            print(f"{kind:10} {measured}, {cost / floor:.1f} x")
            if cost > floor * FLOOR_RATIO_MAX.get(kind, math.inf):
                over.append(kind)
        seconds = statistics.median(cold_read(clients) for _ in range(3))
        print(f"cold read  {seconds:.2f} s, {PARTICIPANTS} participants, no journal")
        if seconds > READ_SECONDS_MAX:
            over.append("cold read")
    if over:
        sys.exit(f"over the limit: {', '.join(over)}")


def _target(path: str, filters: dict[str, str]) -> str:
    return path + "?" + "&".join(f"{name}={value}" for name, value in filters.items())


def alternately(floor: Callable[[], object], work: Callable[[], object]) -> tuple[float, float]:
    """CPU milliseconds per call of each, medians of runs that take turns."""
    costs: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        for cost, each in zip(costs, (floor, work), strict=True):
            started = time.process_time()
            for _ in range(PAGES):
                each()
            cost.append((time.process_time() - started) / PAGES * 1_000)
    return statistics.median(costs[0]), statistics.median(costs[1])


def cold_read(clients: Clients) -> float:
    """Seconds of a whole read without a journal, which reads every Execution twice."""
    workspace = Workspace()
    started = time.perf_counter()
    live = Reader(clients.read, clients.clockwork).read(
        realm="sandbox",
        declared=[declared()],
        float_account=FLOAT_ACCOUNT,
        booked=booked(workspace),
        workspace=workspace,
        as_of="",
        price_assets=(),
        progress=lambda subject, rows: None,
    )
    seconds = time.perf_counter() - started
    assert len(live.rows) == PARTICIPANTS
    assert not live.strategies[0].problem
    return seconds


def enroll(clients: Clients) -> str:
    """A Strategy with every participant of the sandbox in it, settled."""
    body = {"quoted_currency": "USD", "metadata": {}}
    create = intent(Verb.CREATE, "/strategies", body, create_id("sandbox", "blue-chip"))
    strategy_id = clients.writer.send(clients.writer.sign(create), 1).resource_id
    codes: list[str] = []
    page = 1
    while len(codes) < PARTICIPANTS:
        found = clients.read.get(
            "/participants", {"page": str(page)}, decode=wire.participants_page
        )
        codes += wire.values(found.items.participant_code)
        page += 1
    for slot, first in enumerate(range(0, PARTICIPANTS, A_CALL), start=1):
        amounts: dict[str, str | None] = dict.fromkeys(codes[first : first + A_CALL], "100.00")
        sent = call(Verb.ENROLL, strategy_id, slot, amounts)
        answer = clients.writer.send(clients.writer.sign(sent), 1)
        assert answer.answer is AnswerClass.COMMITTED, answer
        while not clients.writer.operation(answer.resource_id).terminal:
            clients.clockwork.sleep(0.2)
    return strategy_id


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A sandbox in its own process: its address and the variables with its keys."""
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "credentials"
        command = [sys.executable, "-m", "stratctl.sandbox", "--port", "0"]
        command += ["--credentials", str(keys), *options]
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            assert server.stdout is not None
            address = json.loads(server.stdout.readline())["endpoint"]
            lines = keys.read_text(encoding="utf-8").split()
            yield address, dict(line.split("=", 1) for line in lines)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
