"""What a live read of a large book costs the client: CPU for each page that it asked for.

A sandbox with 100,000 Traders of three assets each serves over loopback from a process of its own,
so that its work is not counted. The journal has booked every call, as after a usual apply: what is
read are participants, Traders, accounts, Operations and prices, all of it, through the reader that
plans use, without our own rate limit. Everything counts that the read does: signing, HTTP, JSON,
checking, joining. Beside it stands what a page costs with nobody looking at it, in the same run, by
the way that reads take and by that of writes.
``python benchmarks/live_read.py 10000`` reads fewer. Exits with 1 when it is over the limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.live_pages import Clients, alternately, serving
from benchmarks.sandbox_settle import BASKET, CALL, enrollment, post
from stratctl.core.slots import call_id, create_id
from stratctl.core.state import Booked, BookedOperation, Verb
from stratctl.core.tables import Workspace
from stratctl.live.reader import Reader
from stratctl.live.transport import Endpoint, real_transport
from stratctl.sandbox import open_sandbox
from stratctl.sandbox.participants import code_of
from tests.live.worlds import FLOAT_ACCOUNT, booked, declared

TRADERS = 100_000
REALM = "sandbox"
CPU_MS_A_PAGE_MAX = 1.0
RUNS = 3


def main() -> None:
    """Print the pages of a read and the CPU of each; fail when that is over the limit."""
    if sys.argv[1:2] == ["--fill"]:
        fill(Path(sys.argv[2]), int(sys.argv[3]))
        return
    traders = int(sys.argv[1]) if sys.argv[1:] else TRADERS
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state.db"
        # In a process of its own, so that its memory and its engine are gone when the read begins.
        command = [sys.executable, __file__, "--fill", str(state), str(traders)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        filled = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
        strategy_id, *operations = filled.stdout.split()
        with serving("--state", str(state)) as (address, keys):
            clients = Clients(address, keys)
            runs = sorted(read(clients, traders, strategy_id, operations) for _ in range(RUNS))
            httpx_ms, http_ms = asking(clients, address, keys, strategy_id)
    cpu, seconds, pages = runs[RUNS // 2]
    each = cpu / pages * 1_000
    print(
        f"{traders:,} Traders x {len(BASKET)} assets: {pages:,} pages in {seconds:.1f} s,"
        f" {cpu:.2f} s of CPU, {each:.2f} ms a page (limit {CPU_MS_A_PAGE_MAX:g} ms), of which"
        f" HTTP {http_ms:.2f} ms ({httpx_ms:.2f} over httpx's own transport)"
    )
    sys.exit(each > CPU_MS_A_PAGE_MAX)


def fill(state: Path, traders: int) -> None:
    """A state file with one Strategy, everybody enrolled by our own calls and settled.

    Prints the Strategy's id and those of its Operations.
    """
    with open_sandbox(state=state, participants=traders) as sandbox:
        create = create_id(REALM, declared().name)
        strategy_id = post(sandbox, "/strategies", {"quoted_currency": "USD"}, create)["id"]
        print(strategy_id)
        for slot, first in enumerate(range(1, traders + 1, CALL), start=1):
            body = enrollment(range(first, min(first + CALL, traders + 1)))
            request_id = call_id(REALM, strategy_id, slot)
            print(post(sandbox, f"/strategies/{strategy_id}/enroll", body, request_id)["id"])
            sandbox.advance(1)
        sandbox.advance(10)


def read(
    clients: Clients, traders: int, strategy_id: str, operations: list[str]
) -> tuple[float, float, int]:
    """CPU and seconds of one whole read, and how many pages it asked for."""
    workspace = Workspace()
    known = journal(workspace, traders, strategy_id, operations)
    cpu, began = time.process_time(), time.perf_counter()
    live = Reader(clients.read, clients.clockwork).read(
        realm=REALM,
        declared=[declared()],
        float_account=FLOAT_ACCOUNT,
        booked=known,
        workspace=workspace,
        as_of="",
        price_assets=(),
        progress=lambda subject, rows: None,
    )
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    (strategy,) = live.strategies
    assert not strategy.problem, strategy.problem
    assert (len(live.rows), len(live.holdings)) == (traders, traders * len(BASKET))
    return cpu, seconds, live.requests


def asking(
    clients: Clients, address: str, keys: dict[str, str], strategy_id: str
) -> tuple[float, float]:
    """CPU milliseconds of a page of accounts that is asked for and not looked at: by the way that
    writes take, and by that of reads."""
    target = f"/accounts?account_label={strategy_id}&account_type=available&page=1"
    with real_transport(Endpoint(address), time.monotonic) as transport:
        over_httpx = Clients(address, keys, reading=transport).read
        return alternately(lambda: over_httpx._ask(target), lambda: clients.read._ask(target))


def journal(workspace: Workspace, traders: int, strategy_id: str, operations: list[str]) -> Booked:
    """What a journal knows in which every enrolment is booked."""
    rows = [
        {"strategy_id": strategy_id, "participant_code": code_of(number), "contributed_minor": 1}
        for number in range(1, traders + 1)
    ]
    calls = tuple(
        BookedOperation(
            strategy_id, slot, call_id(REALM, strategy_id, slot), operation, Verb.ENROLL, True
        )
        for slot, operation in enumerate(operations, start=1)
    )
    names = ((declared().name, strategy_id),)
    return booked(workspace, rows, operations=calls, strategy_ids=names)


if __name__ == "__main__":
    main()
