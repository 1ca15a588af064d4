"""A book as large as is asked for: a project of one Strategy, and a snapshot of what is live.

Everybody holds three assets at their weights. Codes have six characters and stand in no order,
the same in the cohort's Parquet file and in the snapshot; totals differ from row to row.

=======  ================================================
case     what is declared and what is live
=======  ================================================
settled  the same
changed  one member in a hundred has contributed 500 more
new      nobody is live yet
=======  ================================================
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stratctl.core.tables import Workspace

STRATEGY_ID = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
PRICES = {"BTC": 60_000, "ETH": 3_000, "SOL": 150}
WEIGHTS = {"BTC": 50, "ETH": 30, "SOL": 20}

CODE = "upper(lpad(to_base(n * 1000000007 % 2176782336, 36), 6, '0'))"
"""Each code once, and in no order."""
DOLLARS = "(1000 + n % 977)"

PROJECT = (
    "kind: Project\nversion: 1\nenvironments:\n  sandbox: {realm: sandbox, endpoint: sandbox,"
    " platform_code: PLAT01, funding_model: novated}\n"
)
POLICY = "kind: Policy\nversion: 1\nguards: {cash_in: 1000000000000.00}\n"
STRATEGY = (
    "kind: Strategy\nversion: 1\nname: book\nquoted_currency: USD\n"
    "allocations: {BTC: 0.50, ETH: 0.30, SOL: 0.20}\n---\n"
    "kind: Cohort\nversion: 1\nname: members\nstrategy: book\n"
    "source: {file: cohorts/members.parquet}\n"
)


def make_book(root: Path, case: str, participants: int) -> None:
    """Write the project, and ``live.zip`` beside it. Nobody ever becomes a Python object."""
    from stratctl.core.tables import Workspace

    cohorts = root / "strategies" / "cohorts"
    cohorts.mkdir(parents=True)
    (root / "stratctl.yaml").write_text(PROJECT, encoding="utf-8")
    (root / "policy.yaml").write_text(POLICY, encoding="utf-8")
    (root / "strategies" / "book.yaml").write_text(STRATEGY, encoding="utf-8")
    more = "CASE WHEN n % 100 = 0 THEN 500 ELSE 0 END" if case == "changed" else "0"
    space = Workspace()
    space.run(
        f"""
        COPY (SELECT {CODE} AS participant_code,
                ({DOLLARS} + {more})::DECIMAL(18,2) AS contributed
              FROM (SELECT range AS n FROM range({participants:d})))
        TO '{cohorts / "members.parquet"}' (FORMAT parquet)
        """
    )
    write_live(space, root / "live.zip", 0 if case == "new" else participants)


def write_live(space: Workspace, path: Path, participants: int) -> None:
    """A snapshot in which so many members are settled."""
    from stratctl.core.state import HOLDINGS_ROWS, LIVE_ROWS, Float, Live, LiveStrategy, Price
    from stratctl.live.snapshot import write_snapshot

    people = f"(SELECT n, {CODE} AS code FROM (SELECT range AS n FROM range({participants:d})))"
    said = {
        "strategy_id": f"'{STRATEGY_ID}'",
        "participant_code": "code",
        "trader_id": "md5(code)::UUID::VARCHAR",
        "auto_rebalance": "true",
        "trader_updated_at": "'2026-01-01T00:00:00Z'",
        "contributed_minor": f"{DOLLARS} * 100",
        "withdrawn_minor": "0",
        "tolerance_minor": "0",
        "target_text": "'BTC 0.5, ETH 0.3, SOL 0.2'",
        "target_epoch": "0",
        "exited": "false",
        "has_foreign": "false",
    }
    columns = ", ".join(
        f"({said.get(column, 'NULL')})::{kind} AS {column}" for column, kind in LIVE_ROWS.items()
    )
    # Weights are percent: 10²² of them make a quantity with 24 decimals.
    holdings = " UNION ALL ".join(
        f"SELECT '{STRATEGY_ID}' AS strategy_id, code AS participant_code, '{asset}' AS asset,"
        f" ({DOLLARS}::HUGEINT * {weight * 10**22} // {PRICES[asset]})::DECIMAL(38,0)"
        f" AS quantity_e24 FROM {people}"
        for asset, weight in WEIGHTS.items()
    )
    strategy = LiveStrategy(
        id=STRATEGY_ID,
        name="book",
        request_id="",
        quoted_currency="USD",
        metadata_json=None,
        updated_at="2026-01-01T00:00:00Z",
        operations=(),
    )
    write_snapshot(
        Live(
            as_of="2026-11-21T12:00:00Z",
            strategies=(strategy,),
            rows=space.select("live", LIVE_ROWS, f"SELECT {columns} FROM {people}"),
            holdings=space.select("holdings", HOLDINGS_ROWS, holdings),
            prices=tuple(Price(a, "USD", p * 10**8, None) for a, p in sorted(PRICES.items())),
            floats=(Float("USD", 10**15, "00SCXM/PLAT01/general"),),
            precisions=(),
        ),
        path,
    )


if __name__ == "__main__":
    make_book(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
