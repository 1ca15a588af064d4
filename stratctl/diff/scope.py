"""What is managed: Traders that a ``source: live`` cohort claims join desired before the diff."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.errors import InputError
from stratctl.core.state import DESIRED_KEY, DESIRED_ROWS
from stratctl.core.tables import Table

if TYPE_CHECKING:
    from stratctl.core.change import StrategyChange
    from stratctl.core.state import Desired, Live

_CLAIMS = {
    "strategy": "VARCHAR",
    "strategy_id": "VARCHAR",
    "cohort": "VARCHAR",
    "flag": "BOOLEAN",
    "overrides_flag": "BOOLEAN",
    "target": "INTEGER",
    "allocations": "BOOLEAN",
    "flags": "BOOLEAN",
    "held": "BOOLEAN",
    "file": "VARCHAR",
    "line": "INTEGER",
}


def managed_rows(desired: Desired, live: Live, strategies: tuple[StrategyChange, ...]) -> Table:
    """DESIRED_ROWS with the Traders of ``source: live`` cohorts added, one row per participant.

    A claimed Trader that left (its liquidation settled after its last buy) is not managed: there
    is nothing to align. Raises InputError when a participant stands in two cohorts.
    """
    space = desired.rows.workspace
    _refuse_duplicates(desired.rows)
    claims = [
        (
            change.desired.name,
            change.live.id,
            claim.cohort,
            bool(claim.flag),
            claim.overrides_flag,
            claim.target,
            claim.allocations,
            claim.flags and claim.flag is not None,
            claim.held,
            claim.span.file,
            claim.span.line,
        )
        for change in strategies
        if change.live is not None and (claim := change.desired.live_cohort) is not None
    ]
    if not claims:
        return desired.rows
    claimed = space.table("claims", _CLAIMS, list(zip(*claims, strict=True)))
    return space.select(
        "managed",
        DESIRED_ROWS,
        f"""
        SELECT * FROM {desired.rows}
        UNION ALL
        SELECT
            claim.strategy, trader.participant_code, claim.cohort,
            0::BIGINT, 0::BIGINT, false,
            CASE WHEN claim.flags THEN claim.flag ELSE trader.auto_rebalance END,
            claim.overrides_flag, claim.target,
            false, false, claim.allocations, claim.flags,
            claim.held, claim.file, claim.line
        FROM {claimed} AS claim
        JOIN {live.rows} AS trader USING (strategy_id)
        WHERE trader.trader_id IS NOT NULL
          AND NOT coalesce(trader.exited, false)
          AND NOT EXISTS (
            FROM {desired.rows} AS named
            WHERE named.strategy = claim.strategy
              AND named.participant_code = trader.participant_code
          )
        """,
    )


def _refuse_duplicates(rows: Table) -> None:
    """A key that occurs twice would multiply money in the join."""
    twice = rows.duplicates(DESIRED_KEY)
    if not twice:
        return
    places = rows.workspace.rows(
        f"""
        SELECT strategy, participant_code, file, line FROM {rows}
        WHERE (strategy, participant_code) IN (
            SELECT (strategy, participant_code) FROM {rows}
            GROUP BY strategy, participant_code HAVING count(*) > 1
        ) ORDER BY ALL LIMIT 100
        """
    )
    raise InputError(
        [
            Diagnostic(
                code="E_DUP_PARTICIPANT",
                summary="the participant is named twice",
                detail=f"{code} is declared more than once for {strategy}",
                hint="keep it in one cohort",
                span=Span(file, line, 1),
            )
            for strategy, code, file, line in places
        ]
    )
