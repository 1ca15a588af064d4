"""How long the table diff of desired and live takes beside the bare engine's join.

Both have the same tables in the same engine, on as many threads: one row a participant in each, in
different orders, six-character codes, one in a hundred with another total. The floor is one full
outer join of the same columns on the same keys that keeps the rows that differ. The diff is all of
it: what is managed, what differs, totals that fall, who was removed or has moved, and who is
unmanaged. That no key occurs twice is proved where tables are made, for the diff and everything
after it, and not measured here; holdings, which a diff does not join, are left out.

Floor and diff alternate in one process; medians of the ratios. ``python benchmarks/diff_table.py
1000000 10000000`` measures those sizes. Exits with 1 when a limit is missed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.plan_table import book
from stratctl.core.state import DESIRED_KEY, LIVE_KEY
from stratctl.core.tables import Table, Workspace

SIZES = (1_000_000,)
RUNS = 3
LIMITS = {1_000_000: 1.5, 10_000_000: 2.0}
"""Times the floor."""

FLOOR = """
SELECT desired.*, live.strategy_id, live.participant_code AS live_code, live.trader_id,
    live.auto_rebalance AS live_flag, live.trader_updated_at,
    live.contributed_minor AS counted_in_minor, live.withdrawn_minor AS counted_out_minor,
    live.tolerance_minor, live.has_foreign, live.busy, live.target_text, live.target_epoch,
    live.exited AS has_left, live.parked, live.standing
FROM (SELECT *, {strategy_id} AS strategy_id FROM {desired}) AS desired
FULL JOIN {live} AS live
  ON live.strategy_id = desired.strategy_id AND live.participant_code = desired.participant_code
WHERE desired.contributed_minor IS DISTINCT FROM live.contributed_minor
   OR desired.withdrawn_minor IS DISTINCT FROM live.withdrawn_minor
   OR desired.auto_rebalance IS DISTINCT FROM live.auto_rebalance
   OR desired.exited IS DISTINCT FROM live.exited OR desired.exited OR live.has_foreign
   OR live.target_text IS DISTINCT FROM 'BTC 0.5, ETH 0.3, SOL 0.2' OR live.target_epoch <> 0
   OR live.trader_id IS NULL OR live.trader_updated_at IS NULL OR live.tolerance_minor <> 0
   OR live.busy IS NOT NULL OR live.parked IS NOT NULL OR live.standing IS NOT NULL
"""


def main() -> None:
    """Print one line for each size, and fail when one is over its limit."""
    if sys.argv[1:2] == ["--measure"]:
        measure(int(sys.argv[2]))
        return
    missed = False
    for size in map(int, sys.argv[1:] or map(str, SIZES)):
        command = [sys.executable, __file__, "--measure", str(size)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        ratio, floor, seconds = map(float, run.stdout.split())
        limit = LIMITS.get(size, max(LIMITS.values()))
        missed |= ratio > limit
        print(
            f"{size:>12,} participants: {seconds:6.3f} s, floor {floor:6.3f} s:"
            f" {ratio:4.2f} x (limit {limit:g} x)",
            flush=True,
        )
    sys.exit(missed)


def measure(participants: int) -> None:
    """Print the median ratio, and the medians of floor and diff in seconds."""
    from stratctl.diff import diff

    space = Workspace(threads=2)
    configuration, live = book(space, "changed", participants)
    none = space.select("none", live.holdings.schema, f"SELECT * FROM {live.holdings} LIMIT 0")
    space.run(f"DROP TABLE {live.holdings}")
    live = replace(live, rows=proved(live.rows, LIVE_KEY), holdings=none)
    desired = configuration.desired
    desired = replace(desired, rows=proved(desired.rows, DESIRED_KEY))
    (strategy_id,) = space.one(f"SELECT any_value(strategy_id) FROM {live.rows}")
    sql = FLOOR.format(strategy_id=f"'{strategy_id}'", desired=desired.rows, live=live.rows)
    floors, diffs = [], []
    for _ in range(RUNS):
        began = time.perf_counter()
        space.run(f"CREATE OR REPLACE TABLE differing AS {sql}")
        floors.append(time.perf_counter() - began)
        began = time.perf_counter()
        changes = diff(desired, live)
        diffs.append(time.perf_counter() - began)
        assert len(changes.rows) == participants // 100
    ratio = statistics.median(d / f for d, f in zip(diffs, floors, strict=True))
    print(ratio, statistics.median(floors), statistics.median(diffs))


def proved(table: Table, key: tuple[str, ...]) -> Table:
    """The table as those who read one hand it on: with the proof of its key."""
    assert not table.duplicates(key)
    return table.keyed(*key)


if __name__ == "__main__":
    main()
