"""How long 100,000 enrollments take in the sandbox, and how much memory.

    python benchmarks/sandbox_settle.py [--participants 100000] [--runs 3]

Calls of 1,000 participants over a state file, until the last Operation is settled and the
books were recomputed in full. Each run is a process of its own. Goal: under 60 s and 1 GiB.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from stratctl.sandbox import Sandbox, open_sandbox
from stratctl.sandbox.auth import sign
from stratctl.sandbox.messages import Request
from stratctl.sandbox.participants import code_of

CALL = 1_000
SECONDS_MAX = 60
MEBIBYTES_MAX = 1_024
BASKET = {"BTC": "0.50", "ETH": "0.30", "SOL": "0.20"}


def main() -> int:
    """Run the children one after the other and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--participants", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.participants)))
        return 0
    command = [sys.executable, __file__, "--child", "--participants", str(options.participants)]
    runs = [json.loads(subprocess.check_output(command)) for _ in range(options.runs)]
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print(f"{options.participants:,} participants, calls of {CALL:,}, {options.runs} runs")
    print(f"  settled in         {medians['settled_s']:8.1f} s     (goal {SECONDS_MAX} s)")
    print(f"  of which CPU       {medians['cpu_s']:8.1f} s")
    print(f"  books recomputed   {medians['books_s']:8.1f} s")
    print(f"  peak memory        {medians['rss_mib']:8.0f} MiB   (goal {MEBIBYTES_MAX} MiB)")
    good = medians["settled_s"] < SECONDS_MAX and medians["rss_mib"] < MEBIBYTES_MAX
    return 0 if good else 1


def measure(participants: int) -> dict[str, float]:
    """One run: seconds and the peak of resident memory."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state.db"
        with open_sandbox(state=state, participants=participants) as sandbox:
            strategy = post(sandbox, "/strategies", {"quoted_currency": "USD"})["id"]
            began = time.perf_counter()
            for first in range(1, participants + 1, CALL):
                codes = range(first, min(first + CALL, participants + 1))
                post(sandbox, f"/strategies/{strategy}/enroll", enrollment(codes))
            sandbox.advance(10)
            settled, cpu = time.perf_counter() - began, time.process_time()
            operations = sandbox.control("stats")["operations"]
            assert set(operations) == {"settled"}, operations
            began = time.perf_counter()
            assert sandbox.control("books")["balanced"]
            books = time.perf_counter() - began
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"settled_s": settled, "cpu_s": cpu, "books_s": books, "rss_mib": peak_kib / 1024}


def enrollment(numbers: range) -> dict[str, object]:
    """A body; amounts differ, so that hardly any two participants have the same legs."""
    return {
        "allocations": [
            {"underlying_currency": asset, "weight": weight} for asset, weight in BASKET.items()
        ],
        "participants": [
            {
                "participant_code": code_of(number),
                "amount": f"{1000 + number % 7919}.{number % 100:02d}",
                "auto_rebalance": True,
            }
            for number in numbers
        ],
    }


def post(sandbox: Sandbox, target: str, value: object, request_id: str = "") -> dict[str, str]:
    """One signed POST without a network, with a random request id unless one is given."""
    body, who = json.dumps(value).encode(), sandbox.credentials.write
    timestamp = str(sandbox.clock.wall_ms() // 1000)
    headers = {
        "x-scx-api-key": who.key,
        "x-scx-passphrase": who.passphrase,
        "x-scx-timestamp": timestamp,
        "x-scx-signed": sign(who.secret, timestamp, "POST", target, body),
        "x-request-id": request_id or str(uuid.uuid4()),
    }
    answer = sandbox.provider.handle(Request("POST", target, headers, body), sandbox.clock)
    assert answer.status in (201, 202), answer.body
    message: dict[str, str] = json.loads(answer.body)["message"]
    return message


if __name__ == "__main__":
    raise SystemExit(main())
