"""How long the commands take as whole processes, beside their floors, and their peak memory.

==============  ==============================================  =======================
line            what runs                                       floor, in the same run
==============  ==============================================  =======================
help            ``stratctl --help``                             Python importing click
plan, all new   the example set, on an empty provider           Python importing duckdb
apply           that plan, against the sandbox over loopback    -
plan, settled   the same set again: nothing to do               Python importing duckdb
plan, snapshot  100,000 participants, Parquet, 1 % changed      Python importing duckdb
==============  ==============================================  =======================

Medians of several runs (apply runs once per fresh sandbox). Exits with 1 when a limit is missed.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
STRATCTL = (sys.executable, "-m", "stratctl")
BOOK = 100_000


@dataclass(frozen=True)
class Run:
    """One finished process."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Line:
    """One line of the table: medians, and what they are held against."""

    name: str
    runs: Sequence[Run]
    limit_seconds: float
    floor: Sequence[Run] = ()
    limit_mib: float = 0

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak_mib(self) -> float:
        return statistics.median(run.peak_mib for run in self.runs)

    @property
    def missed(self) -> bool:
        over = bool(self.limit_mib) and self.peak_mib > self.limit_mib
        return over or self.seconds > self.limit_seconds

    def __str__(self) -> str:
        floor = statistics.median(run.seconds for run in self.floor) if self.floor else 0
        ratio = f"{self.seconds / floor:5.1f} x floor" if floor else " " * 13
        limits = f"{self.limit_seconds:g} s" + (f", {self.limit_mib:g} MiB" * bool(self.limit_mib))
        measured = f"{self.seconds:7.3f} s  {self.peak_mib:6.0f} MiB"
        return (
            f"{self.name:16} {len(self.runs):2} runs  {measured}"
            f"  {ratio}  limit {limits}{'  MISSED' if self.missed else ''}"
        )


def main() -> None:
    """Measure everything, print the table."""
    lines = [
        Line(
            "help",
            repeat(15, lambda: run([*STRATCTL, "--help"])),
            limit_seconds=0.150,
            floor=repeat(15, lambda: run([sys.executable, "-c", "import click"])),
        )
    ]
    engine = repeat(5, lambda: run([sys.executable, "-c", "import duckdb"]))
    with sandboxed_examples() as (root, environ):
        plan = [*STRATCTL, "plan", "--out", "plan.zip"]
        new = repeat(3, lambda: run(plan, root, environ))
        lines.append(Line("plan, all new", new, limit_seconds=2, floor=engine))
        apply = [run([*STRATCTL, "apply", "plan.zip"], root, environ)]
        lines.append(Line("apply", apply, limit_seconds=20))
        settled = repeat(3, lambda: run(plan, root, environ))
        lines.append(Line("plan, settled", settled, limit_seconds=5, floor=engine))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_book(root)
        plan = [*STRATCTL, "plan", "--snapshot", "live.zip", "--out", "plan.zip"]
        book = repeat(3, lambda: run(plan, root, dict(os.environ)))
        lines.append(Line("plan, snapshot", book, limit_seconds=5, floor=engine, limit_mib=600))
    for line in lines:
        print(line)
    sys.exit(any(line.missed for line in lines))


def repeat(times: int, once: Callable[[], Run]) -> list[Run]:
    """Run once without counting, to warm the caches, then ``times`` times."""
    once()
    return [once() for _ in range(times)]


def run(command: Sequence[str], cwd: Path = PROJECT, environ: dict[str, str] | None = None) -> Run:
    """Run a command to its end. What it prints is dropped; a failure ends the benchmark."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} exited with {process.returncode}:\n{said.decode()}")
    return Run(seconds, usage.ru_maxrss / 1024)


@contextmanager
def sandboxed_examples() -> Iterator[tuple[Path, dict[str, str]]]:
    """A copy of the example set with a sandbox of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(PROJECT / "strategies", root / "strategies")
        for name in ("stratctl.yaml", "policy.yaml"):
            shutil.copy(PROJECT / name, root / name)
        environ = {k: v for k, v in os.environ.items() if not k.startswith("STRATCTL_")}
        environ.pop("CI", None)
        sandbox = subprocess.Popen(
            [*STRATCTL, "sandbox", "--participants=5000", "--credentials=credentials"],
            cwd=root,
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert sandbox.stdout is not None
        json.loads(sandbox.stdout.readline())
        try:
            for line in (root / "credentials").read_text(encoding="utf-8").splitlines():
                name, _, value = line.partition("=")
                environ[name] = value
            yield root, environ
        finally:
            sandbox.terminate()
            sandbox.wait(timeout=30)


def make_book(root: Path) -> None:
    """A project of one Strategy with 100,000 members in Parquet, and a snapshot of it settled.

    One member in a hundred has contributed 500.00 more than has been counted.
    """
    sys.path.insert(0, str(PROJECT))
    from stratctl.core.state import HOLDINGS_ROWS, LIVE_ROWS, Float, Live, LiveStrategy, Price
    from stratctl.core.tables import Workspace
    from stratctl.live.snapshot import write_snapshot

    strategy_id = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
    (root / "strategies" / "cohorts").mkdir(parents=True)
    shutil.copy(PROJECT / "stratctl.yaml", root)
    shutil.copy(PROJECT / "policy.yaml", root)
    (root / "strategies" / "book.yaml").write_text(
        "kind: Strategy\nversion: 1\nname: book\nquoted_currency: USD\n"
        'allocations: {BTC: "0.50", ETH: "0.30", SOL: "0.20"}\n---\n'
        "kind: Cohort\nversion: 1\nname: members\nstrategy: book\n"
        "source: {file: cohorts/members.parquet}\n",
        encoding="utf-8",
    )
    space = Workspace()
    code = "'P' || upper(lpad(to_base(range, 36), 5, '0'))"
    people = f"(SELECT range AS n, {code} AS code FROM range({BOOK}))"
    space.run(
        f"""
        COPY (SELECT code AS participant_code,
                CASE WHEN n % 100 = 0 THEN '1500.00' ELSE '1000.00' END AS contributed
              FROM {people} ORDER BY code)
        TO '{root / "strategies" / "cohorts" / "members.parquet"}' (FORMAT parquet)
        """
    )
    rows = space.select(
        "live",
        LIVE_ROWS,
        f"""
        SELECT {
            _columns(
                LIVE_ROWS,
                {
                    "strategy_id": f"'{strategy_id}'",
                    "participant_code": "code",
                    "trader_id": "uuid()::VARCHAR",
                    "auto_rebalance": "true",
                    "trader_updated_at": "'2026-01-01T00:00:00Z'",
                    "contributed_minor": "100000",
                    "withdrawn_minor": "0",
                    "tolerance_minor": "0",
                    "target_text": "'BTC 0.5, ETH 0.3, SOL 0.2'",
                    "target_epoch": "0",
                    "exited": "false",
                    "has_foreign": "false",
                },
            )
        } FROM {people}
        """,
    )
    # 500.00 in BTC, 300.00 in ETH and 200.00 in SOL at the prices below.
    quantities = {
        "BTC": f"{500 * 10**24}::HUGEINT // 60000",
        "ETH": f"{300 * 10**24}::HUGEINT // 3000",
        "SOL": f"{200 * 10**24}::HUGEINT // 150",
    }
    holdings = space.select(
        "holdings",
        HOLDINGS_ROWS,
        " UNION ALL ".join(
            f"SELECT '{strategy_id}' AS strategy_id, code AS participant_code,"
            f" '{asset}' AS asset, ({quantity})::DECIMAL(38,0) AS quantity_e24 FROM {people}"
            for asset, quantity in quantities.items()
        ),
    )
    strategy = LiveStrategy(
        id=strategy_id,
        name="book",
        request_id="",
        quoted_currency="USD",
        metadata_json=None,
        updated_at="2026-01-01T00:00:00Z",
        operations=(),
    )
    prices = {"BTC": 60_000, "ETH": 3_000, "SOL": 150}
    write_snapshot(
        Live(
            as_of="2026-11-21T12:00:00Z",
            strategies=(strategy,),
            rows=rows,
            holdings=holdings,
            prices=tuple(Price(a, "USD", p * 10**8, None) for a, p in sorted(prices.items())),
            floats=(Float("USD", 10**12, "00SCXM/PLAT01/general"),),
            precisions=(),
        ),
        root / "live.zip",
    )


def _columns(schema: dict[str, str], values: dict[str, str]) -> str:
    """Every column of a schema with its value, NULL where none is given."""
    return ", ".join(
        f"({values.get(column, 'NULL')})::{kind} AS {column}" for column, kind in schema.items()
    )


if __name__ == "__main__":
    main()
