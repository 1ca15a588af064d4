"""How many pages of 200 Traders the sandbox lists in a second.

    python benchmarks/sandbox_pages.py [--traders 20000] [--seconds 5] [--runs 3]

In process without a network, and over loopback with one httpx client on one connection while
the server is a process of its own. Goals: 500 and 300 pages a second.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.sandbox_settle import CALL, enrollment, post
from stratctl.sandbox import open_sandbox
from stratctl.sandbox.auth import Credential, sign
from stratctl.sandbox.messages import Request

IN_PROCESS_MIN = 500
LOOPBACK_MIN = 300
Get = Callable[[str, dict[str, str]], bytes]


def main() -> int:
    """Fill a state file, then read it both ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traders", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state.db"
        fill(state, options.traders)
        inside = [in_process(state, options.seconds) for _ in range(options.runs)]
        outside = [over_loopback(state, options.seconds) for _ in range(options.runs)]
    median_inside, median_outside = statistics.median(inside), statistics.median(outside)
    print(f"{options.traders:,} Traders, 200 a page, {options.runs} runs of {options.seconds:g} s")
    print(f"  in process      {median_inside:8.0f} pages/s   (goal {IN_PROCESS_MIN})")
    print(f"  over loopback   {median_outside:8.0f} pages/s   (goal {LOOPBACK_MIN})")
    return 0 if median_inside >= IN_PROCESS_MIN and median_outside >= LOOPBACK_MIN else 1


def fill(state: Path, traders: int) -> None:
    """A state file with one Strategy and settled Traders."""
    with open_sandbox(state=state, participants=traders) as sandbox:
        strategy = post(sandbox, "/strategies", {"quoted_currency": "USD"})["id"]
        for first in range(1, traders + 1, CALL):
            codes = range(first, min(first + CALL, traders + 1))
            post(sandbox, f"/strategies/{strategy}/enroll", enrollment(codes))
        sandbox.advance(10)


def in_process(state: Path, seconds: float) -> float:
    """Pages a second through the provider's own face."""
    with open_sandbox(state=state) as sandbox:

        def get(target: str, headers: dict[str, str]) -> bytes:
            return sandbox.provider.handle(Request("GET", target, headers), sandbox.clock).body

        return pages_per_second(get, sandbox.credentials.read, seconds)


def over_loopback(state: Path, seconds: float) -> float:
    """Pages a second from a server process, asked by httpx on one connection."""
    with open_sandbox(state=state) as sandbox:
        credential = sandbox.credentials.read
    command = [sys.executable, "-m", "stratctl.sandbox", "--port", "0", "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        endpoint = json.loads(server.stdout.readline())["endpoint"]
        with httpx.Client(base_url=endpoint) as client:

            def get(target: str, headers: dict[str, str]) -> bytes:
                return client.get(target, headers=headers).content

            found = pages_per_second(get, credential, seconds)
        server.terminate()
    return found


def pages_per_second(get: Get, credential: Credential, seconds: float) -> float:
    """Follow the cursor through all Traders again and again, each page signed and decoded."""
    pages, token = 0, ""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        target = f"/strategies/traders?page_size=200&page_token={token}"
        timestamp = str(int(time.time()))
        headers = {
            "x-scx-api-key": credential.key,
            "x-scx-passphrase": credential.passphrase,
            "x-scx-timestamp": timestamp,
            "x-scx-signed": sign(credential.secret, timestamp, "GET", target, b""),
        }
        page = json.loads(get(target, headers))["message"]
        assert len(page["traders"]) == 200
        token = page["next_page_token"]
        pages += 1
    return pages / (time.perf_counter() - began)


if __name__ == "__main__":
    raise SystemExit(main())
