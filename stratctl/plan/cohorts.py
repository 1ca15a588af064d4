"""What a plan does to the drift of each cohort: before, after, and what would have spared it.

With w the declared weight of an asset, v its value and V the whole of one participant, its drift is
``D = sum(|w * V - v|) / 2V``: the part of V that a rebalance to the target sells. A cohort's drift
is what all of its participants would sell, over all that they hold.

The smallest deposit that reaches the target without a sell is ``max(v / w) - V``: the holding that
is furthest above its weight sets how large the whole has to become. Where an asset of weight zero
is held no deposit does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.money import WEIGHT_ONE_E18
from stratctl.core.plan import CohortDrift
from stratctl.core.state import Verb
from stratctl.plan.flows import moved_once
from stratctl.plan.terms import VALUE_E8, share_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratctl.core.change import Changes
    from stratctl.core.plan import Call
    from stratctl.core.state import Live
    from stratctl.core.tables import Table
    from stratctl.plan.aims import Aims
    from stratctl.plan.rebalance import Rebalances
    from stratctl.plan.terms import Terms

_SUMS = """
WITH people AS (
    -- Whoever has a flow; what it was worth before is not among the legs.
    SELECT flow.strategy, flow.strategy_id, flow.participant_code, flow.target, flow.cohort,
        flow.verb, CASE flow.verb WHEN 'top_up' THEN 1 ELSE -1 END * flow.moved_e8::HUGEINT
            AS flow_e8,
        sent.verb IS NOT NULL AS rebalanced
    FROM {flows} AS flow LEFT JOIN {rebalances} AS sent USING (strategy, participant_code)
    WHERE flow.verb IN ('top_up', 'partial_sell') AND list_contains($1, flow.strategy)
),
held AS (
    SELECT people.*, holding.asset, holding.quantity_e24
    FROM people JOIN {holdings} AS holding USING (strategy_id, participant_code)
),
named AS (
    SELECT people.*, terms.asset, terms.weight_e18, terms.minimum_e8
    FROM people JOIN {terms} AS terms USING (strategy, target)
),
paired AS (
    SELECT strategy, participant_code, asset,
        coalesce(named.target, held.target) AS target,
        coalesce(named.cohort, held.cohort) AS cohort,
        coalesce(named.rebalanced, held.rebalanced) AS rebalanced,
        coalesce(named.flow_e8, held.flow_e8) AS flow_e8,
        coalesce(named.verb, held.verb) AS verb,
        coalesce(weight_e18, 0) AS weight_e18,
        coalesce(minimum_e8, 0) AS minimum_e8,
        coalesce(quantity_e24, 0) AS quantity_e24
    FROM named FULL JOIN held USING (strategy, participant_code, asset)
),
valued AS (
    SELECT paired.*, coalesce(legs.delta_e8, 0) AS delta_e8, {sent} AS sent_e18,
        CASE WHEN price_e8 IS NOT NULL THEN {value}
             WHEN quantity_e24 = 0 AND paired.weight_e18 = 0 THEN 0 END AS before_e8
    FROM paired
    LEFT JOIN {prices} AS price USING (strategy, asset)
    LEFT JOIN {legs} AS legs USING (strategy, participant_code, asset)
    {aimed}
),
flowed AS (
    -- Below nothing only until the rebalance that a partial sell stands behind.
    SELECT *, before_e8 + {flow} AS held_e8 FROM valued
),
every AS (
    SELECT strategy, target, cohort, participant_code, rebalanced, weight_e18, minimum_e8,
        before_e8, held_e8, delta_e8,
        sum(before_e8) OVER person AS whole_e8, sum(held_e8) OVER person AS end_e8,
        bool_or(before_e8 IS NULL) OVER person AS unpriced
    FROM flowed WINDOW person AS (PARTITION BY strategy, participant_code)
    UNION ALL
    SELECT strategy, target, sent.cohort, participant_code, true, terms.weight_e18, minimum_e8,
        held_e8, held_e8, delta_e8, sent.value_e8, sent.value_e8, false
    FROM {legs} AS legs
    JOIN {rebalances} AS sent USING (strategy, participant_code)
    JOIN {terms} AS terms USING (strategy, target, asset)
    ANTI JOIN people USING (strategy, participant_code)
),
persons AS (
    SELECT strategy, target, cohort, participant_code,
        any_value(rebalanced) AS rebalanced,
        any_value(whole_e8)::HUGEINT AS whole_e8, any_value(end_e8)::HUGEINT AS end_e8,
        sum(abs({wanted} - before_e8)) AS off_e8,
        -- A leg below its minimum is not carried out.
        sum(abs({wanted_after} - held_e8
            - CASE WHEN abs(delta_e8) >= greatest(minimum_e8, 1) THEN delta_e8 ELSE 0 END))
            AS off_after_e8,
        max(CASE WHEN rebalanced AND weight_e18 > 0 THEN {grown} END) AS needed_e8,
        bool_or(weight_e18 = 0 AND before_e8 > 0) AS holds_exit
    FROM every WHERE NOT unpriced GROUP BY strategy, target, cohort, participant_code
)
SELECT strategy, cohort, count(*),
    sum(off_e8)::HUGEINT, sum(whole_e8)::HUGEINT,
    sum(off_after_e8)::HUGEINT, sum(end_e8)::HUGEINT,
    -- A deposit is paid in whole minor units.
    coalesce(sum((needed_e8 - whole_e8 + minor_e8 - 1) // minor_e8)
        FILTER (rebalanced AND NOT holds_exit), 0)::HUGEINT,
    count(*) FILTER (rebalanced AND holds_exit)
FROM persons JOIN {targets} USING (strategy, target)
GROUP BY strategy, cohort ORDER BY strategy, cohort
"""

_AIMED = """
LEFT JOIN {rows} AS aimed
  ON aimed.strategy = paired.strategy AND aimed.verb = paired.verb
 AND aimed.participant_code = paired.participant_code
LEFT JOIN {parts} AS share
  ON share.vector_text = aimed.vector_text AND share.asset = paired.asset
"""
_AIMED_SHARE = """CASE WHEN aimed.vector_text IS NULL THEN paired.weight_e18
    ELSE coalesce(share.weight_e18, 0) END"""

_GROWN = f"""((before_e8 // weight_e18) * {WEIGHT_ONE_E18}
    + ((before_e8 % weight_e18) * {WEIGHT_ONE_E18} + weight_e18 - 1) // weight_e18)"""
"""What the whole must be for a value to be its weight of it, rounded up, without the 128-bit
product of the two."""


def cohort_drifts(
    changes: Changes,
    live: Live,
    terms: Terms,
    calls: Sequence[Call],
    flows: Table,
    rebalances: Rebalances,
    aims: Aims | None,
) -> tuple[CohortDrift, ...]:
    """One per cohort of the Strategies in which the plan repairs drift; none where it does not.

    Measured is whoever is rebalanced, topped up or sold in part, and all of whose assets have a
    price.
    """
    repaired = sorted({call.strategy for call in calls if _repairs(call, aims)})
    if not repaired:
        return ()
    sums = changes.rows.workspace.rows(
        _SUMS.format(
            flows=moved_once(flows) if terms.sends_both else flows,
            rebalances=rebalances.sent,
            legs=rebalances.legs,
            holdings=live.holdings,
            terms=terms.terms,
            targets=terms.targets,
            prices=terms.prices,
            value=VALUE_E8,
            sent=_AIMED_SHARE if aims else "paired.weight_e18",
            aimed=_AIMED.format(rows=aims.rows, parts=aims.parts) if aims else "",
            flow=share_sql("flow_e8", "sent_e18"),
            wanted=share_sql("whole_e8::HUGEINT"),
            wanted_after=share_sql("end_e8::HUGEINT"),
            grown=_GROWN,
        ),
        [repaired],
    )
    currencies = {one.desired.name: one.desired.quoted_currency for one in changes.strategies}
    return tuple(
        CohortDrift(
            strategy=strategy,
            currency=currencies[strategy],
            cohort=cohort,
            participants=participants,
            before_e6=_share_e6(off, whole),
            after_e6=_share_e6(off_after, end),
            deposit_minor=deposit,
            beyond_deposits=beyond,
        )
        for strategy, cohort, participants, off, whole, off_after, end, deposit, beyond in sums
    )


def _repairs(call: Call, aims: Aims | None) -> bool:
    aimed = aims is not None and call.vector is not None and call.vector.text in aims.vectors
    return call.verb is Verb.REBALANCE or aimed


def _share_e6(off_e8: int, whole_e8: int) -> int:
    """Half of what is off over the whole, in millionths, rounded up."""
    return -(-off_e8 * 500_000 // whole_e8) if whole_e8 else 0
