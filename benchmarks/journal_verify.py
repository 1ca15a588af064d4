"""How fast a journal verifies: Executions in calls of 1,000, and lines of calls of one.

Measured is what every apply does before its first request and ``audit verify`` does to begin with:
the chain, the canonical form of every line and row, the tree over the rows of each call, the
digest of its body, and whether all that is said fits together. Beside it stands ``audit verify``
whole, which then adds up all totals in two ways. The floor, in the same run, is what nobody can
leave out: the same bytes parsed as JSON, and the hashes of every row and of the nodes above them.
Medians of alternating runs, in a process for each of the two journals for its peak memory.

``python benchmarks/journal_verify.py 10000`` has that many Executions and a fifth as many lines.
Exits with 1 when it is under a limit; the rates are those of CPU, because what is waited for
depends on who else is at work.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.made.journal import ENVIRONMENT, lines
from stratctl.journal.chain import read
from stratctl.journal.verify import verify

EXECUTIONS = 100_000
CALL = 1_000
LINES_A_CALL = 4
RUNS = 7
EXECUTIONS_A_SECOND_MIN = 200_000
LINES_A_SECOND_MIN = 40_000
Times = tuple[float, float]
"""What was waited, and CPU, in seconds."""


def main() -> None:
    """Measure both journals, and fail when one verifies too slowly."""
    if sys.argv[1:2] == ["--measure"]:
        sys.exit(not measure(sys.argv[2], int(sys.argv[3])))
    executions = int(sys.argv[1]) if sys.argv[1:] else EXECUTIONS
    missed = False
    for what, size in (("Executions", executions), ("lines", executions // 5)):
        command = [sys.executable, __file__, "--measure", what, str(size)]
        missed |= bool(subprocess.run(command, check=False).returncode)
    sys.exit(missed)


def measure(what: str, size: int) -> bool:
    """Print a line about one journal. False: it is under the limit."""
    if what == "Executions":
        data, limit = lines(size // CALL, CALL), EXECUTIONS_A_SECOND_MIN
    else:
        data, limit = lines(size // LINES_A_CALL, 1), LINES_A_SECOND_MIN
    before = peak_mib()
    runs: dict[str, list[Times]] = {"floor": [], "chain": [], "audit": []}
    for _ in range(RUNS):
        runs["floor"].append(timed(lambda: floor(data)))
        runs["chain"].append(timed(lambda: read(data)))
        runs["audit"].append(timed(lambda: verify(data, environment=ENVIRONMENT)))
    waited, cpu = (
        {name: statistics.median(run[part] for run in some) for name, some in runs.items()}
        for part in (0, 1)
    )
    print(
        f"{size:,} {what}, {len(data) / 2**20:.0f} MiB: {size / cpu['chain']:,.0f} {what} a"
        f" second of CPU (limit {limit:,}), {size / waited['chain']:,.0f} waited,"
        f" {cpu['chain'] / cpu['floor']:.2f} x the floor; with all totals twice"
        f" {size / cpu['audit']:,.0f}, {cpu['audit'] / cpu['floor']:.2f} x the floor; peak"
        f" {peak_mib():.0f} MiB, of which {before:.0f} MiB before",
        flush=True,
    )
    return size / cpu["chain"] >= limit


def floor(data: bytes) -> None:
    """Parse every line, and hash as many leaves and nodes as there are."""
    for line in data.splitlines():
        said = json.loads(line)
        rows = said.get("rows", ())
        leaf = b"\0" + line[: len(line) // max(1, len(rows))]
        for _ in rows:
            sha256(leaf).digest()
        node = bytes(65)
        for _ in rows[1:]:
            sha256(node).digest()
        sha256(line[: len(line) // 2] if not rows else b"").hexdigest()


def timed(work: Callable[[], object]) -> Times:
    """What it took. What it made is gone when this returns."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def peak_mib() -> float:
    """Of this process, until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
