"""How long diff and plan take for a large book, and how much memory, without any network.

100,000 participants hold three assets each, made in columns by the engine itself. Five cases:
everything is settled, one percent has a top-up, the target changed, everybody is new, and everybody
is topped up at vectors that are shared, each a little off the weights. Each run has a process of
its own, so that one run's memory is not counted for another.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from stratctl.core.settings import Configuration
from stratctl.core.state import DESIRED_ROWS, HOLDINGS_ROWS, LIVE_ROWS, Live
from stratctl.core.tables import Workspace
from stratctl.diff import diff
from stratctl.plan import Origin, make_plan
from tests.worlds import STRATEGY_ID, World

CASES = ("settled", "changed", "retargeted", "new", "shared")
PARTICIPANTS = 100_000
RUNS = 3
LIMITS = {"shared": (10.0, 800)}
"""Seconds and MiB; (3, 450) where nothing is said."""

CODE = "upper(lpad(to_base(n * 1000000007 % 2176782336, 36), 6, '0'))"
"""Each code once, and in no order."""


def main() -> None:
    """Print one line per case, and fail when one is over a limit."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    for case in CASES:
        runs = [
            subprocess.run([sys.executable, __file__, case], check=True, capture_output=True)
            for _ in range(RUNS)
        ]
        calls, seconds, peaks = zip(*(map(float, run.stdout.split()) for run in runs), strict=True)
        median, peak_mib = statistics.median(seconds), max(peaks)
        seconds_max, mib_max = LIMITS.get(case, (3.0, 450))
        print(
            f"{case:10} {PARTICIPANTS:,} participants, 3 assets: {calls[0]:.0f} calls,"
            f" {median:.2f} s (limit {seconds_max:g}), {peak_mib:.0f} MiB (limit {mib_max})"
        )
        if median > seconds_max or peak_mib > mib_max:
            sys.exit(f"{case} is over its limit")


def measure(case: str) -> None:
    """Print the calls, the seconds of diff, plan and digest, and this process's peak memory."""
    space = Workspace(threads=2)
    configuration, live = book(space, case, PARTICIPANTS)
    origin = Origin(commit=None, as_of=live.as_of, expires_at=live.as_of)
    started = time.perf_counter()
    plan = make_plan(diff(configuration.desired, live), live, configuration, origin)
    assert plan.digest
    seconds = time.perf_counter() - started
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(len(plan.calls), seconds, peak_mib)


def book(space: Workspace, case: str, participants: int) -> tuple[Configuration, Live]:
    """Desired and live of one Strategy; nothing of it is ever a Python object."""
    world = World(cash_flow="shared" if case == "shared" else "off")
    people = f"(SELECT range AS n, {CODE} AS code FROM range({participants:d}))"
    more = {"changed": "CASE WHEN n % 100 = 0 THEN 50000 ELSE 0 END", "shared": "50000"}.get(
        case, "0"
    )
    configuration = world.configuration(space)
    desired = space.select(
        "desired",
        DESIRED_ROWS,
        f"""
        SELECT 'blue' AS strategy, code AS participant_code, 'cohort' AS cohort,
            (100000 + n % 977 + {more})::BIGINT AS contributed_minor, 0::BIGINT AS withdrawn_minor,
            false AS exited, true AS auto_rebalance, false AS overrides_flag, 0 AS target,
            true AS manages_membership, true AS manages_funding, true AS manages_allocations,
            true AS manages_flags, false AS held, 'cohorts/book.parquet' AS file,
            (n + 2)::INTEGER AS line
        FROM {people}
        """,
    )
    live = world.live(space)
    present = "false" if case == "new" else "true"
    target = "BTC 0.6, ETH 0.2, SOL 0.2" if case == "retargeted" else "BTC 0.5, ETH 0.3, SOL 0.2"
    bitcoin = 9 * 10**21 if case == "retargeted" else 8_333_333_333_333_333_333_333
    quantity = "quantity_e24"
    if case == "shared":
        part = "(CASE asset WHEN 'BTC' THEN 80 + n % 41 ELSE 100 END)::HUGEINT"
        quantity = f"quantity_e24 * {part} // 100"
    rows = space.select(
        "live",
        LIVE_ROWS,
        f"""
        SELECT '{STRATEGY_ID[:-1]}0' AS strategy_id, code AS participant_code,
            md5(code)::UUID::VARCHAR AS trader_id, true AS auto_rebalance,
            '2026-01-01T00:00:00Z' AS trader_updated_at,
            (100000 + n % 977)::BIGINT AS contributed_minor,
            0::BIGINT AS withdrawn_minor, 0::BIGINT AS tolerance_minor, false AS has_foreign,
            NULL::VARCHAR AS busy,
            '{target}' AS target_text, 0 AS target_epoch, false AS exited,
            NULL::VARCHAR AS parked, NULL::VARCHAR AS standing,
            NULL::BIGINT AS rebalanced_at
        FROM {people} WHERE {present} ORDER BY n % 1000
        """,
    )
    holdings = space.select(
        "holdings",
        HOLDINGS_ROWS,
        f"""
        SELECT strategy_id, participant_code, asset, ({quantity})::DECIMAL(38,0) AS quantity_e24
        FROM {rows} JOIN {people} ON code = participant_code CROSS JOIN (VALUES
            ('BTC', {bitcoin}::HUGEINT),
            ('ETH', 100000000000000000000000::HUGEINT),
            ('SOL', 1333333333333333333333333::HUGEINT)) AS held(asset, quantity_e24)
        """,
    )
    return (
        replace(configuration, desired=replace(configuration.desired, rows=desired)),
        replace(live, rows=rows, holdings=holdings),
    )


if __name__ == "__main__":
    main()
