"""Partial sells that fit what is held only after a rebalance: sent behind it, in the same plan.

A partial sell of ``g`` at weights ``w`` takes ``g * w`` of each asset. Who holds 900 of one asset
and 100 of another cannot be sold 300 in halves. If a rebalance of the same plan makes it two times
500, that fits, so the call stands behind the rebalance instead of being held back: with what the
rebalance leaves, ``v + leg``, it fits where ``g * w <= v + leg`` for every asset.

Nobody is rebalanced for this: the rebalance is one that the plan sends anyway. Whether it left what
was expected is seen when it is over; apply sells only what fits then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stratctl.plan.flows import flows_of
from stratctl.plan.terms import ratio_down_sql, share_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratctl.core.plan import Acknowledgement
    from stratctl.core.tables import Table
    from stratctl.plan.flows import Flows
    from stratctl.plan.rebalance import Rebalances
    from stratctl.plan.terms import Terms

_FITTING_ROWS = {"strategy": "VARCHAR", "participant_code": "VARCHAR"}

_FITTING = """
WITH asked AS (
    SELECT judged.strategy, judged.participant_code, judged.target,
        judged.amount_minor::HUGEINT * judged.minor_e8 AS size_e8
    FROM {judged} AS judged JOIN {rebalances} USING (strategy, participant_code)
    WHERE judged.held_back = 'partial_sell_infeasible' AND NOT judged.paired
),
legs AS (
    SELECT asked.*, asset, legs.weight_e18, held_e8,
        CASE WHEN abs(delta_e8) >= greatest(minimum_e8, 1) THEN delta_e8 ELSE 0 END AS leg_e8
    FROM asked
    JOIN {legs} AS legs USING (strategy, participant_code)
    JOIN {terms} AS terms USING (strategy, target, asset)
),
paid AS (
    SELECT *, sum(greatest(0, leg_e8)) OVER each AS bought_e8,
        sum(greatest(0, -leg_e8)) OVER each AS sold_e8
    FROM legs WINDOW each AS (PARTITION BY strategy, participant_code)
)
-- Sells pay for buys: where legs below their minimum are missing, the others buy less.
SELECT strategy, participant_code FROM paid GROUP BY ALL
HAVING bool_and({taken} <= held_e8
    + CASE WHEN leg_e8 > 0 THEN {bought} ELSE leg_e8 END)
"""


def behind_rebalances(
    flows: Flows, rebalances: Rebalances, terms: Terms, valid: Sequence[Acknowledgement]
) -> Flows:
    """The flows, with those partial sells that a rebalance makes possible.

    Both flows of a participant whose totals rise together stay held back: both go or none does,
    and a sale has to fit what is held before the deposit.
    """
    if not flows.infeasible:
        return flows
    space = flows.judged.workspace
    fitting = space.select(
        "fitting",
        _FITTING_ROWS,
        _FITTING.format(
            judged=flows.judged,
            rebalances=rebalances.sent,
            legs=rebalances.legs,
            terms=terms.terms,
            taken=share_sql("size_e8"),
            bought=share_sql(
                "leg_e8", f"({ratio_down_sql('sold_e8::HUGEINT', 'bought_e8::HUGEINT')})"
            ),
        ),
    )
    if not len(fitting):
        return flows
    return replace(flows_of(_moved(flows.judged, fitting), valid), any_late=True)


def _moved(judged: Table, fitting: Table) -> Table:
    """The judged flows, those that fit later without what held them back; only age still does."""
    moved = {
        "after_rebalance": "fitting.strategy IS NOT NULL",
        "held_back": "CASE WHEN fitting.strategy IS NULL THEN held_back"
        " WHEN stale THEN 'stale_flow' END",
    }
    columns = ", ".join(
        f"({moved[column]}) AS {column}" if column in moved else f"judged.{column}"
        for column in judged.schema
    )
    return judged.workspace.select(
        "flows_moved_behind",
        judged.schema,
        f"""
        SELECT {columns} FROM {judged} AS judged
        LEFT JOIN {fitting} AS fitting USING (strategy, participant_code)
        """,
    )
