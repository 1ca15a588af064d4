"""Who is rebalanced: changed targets, raised epochs and breached bands, after the flows.

With w the declared weight of an asset, v its value and V the participant's whole value, the leg
that a rebalance would trade is ``d = w * V - v``. It is worth sending when its size reaches the
asset's minimum leg; a band is breached when its size is strictly above both the band's share of V
and the minimum leg; portfolio drift is half the sum of all sizes over V, which is exactly the
one-way turnover to the target.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import InputError
from stratctl.core.money import WEIGHT_ONE_E18
from stratctl.core.plan import BLOCKED_ROWS, SATISFIED_ROWS
from stratctl.core.tables import Table
from stratctl.plan.flows import SENT_ROWS, moved_once
from stratctl.plan.terms import VALUE_E8, forbidden_sql, share_sql, utc_sql

if TYPE_CHECKING:
    from stratctl.core.change import Changes
    from stratctl.core.state import Live
    from stratctl.plan.aims import Aims
    from stratctl.plan.terms import Terms

LEG_ROWS = {
    "strategy": "VARCHAR",
    "participant_code": "VARCHAR",
    "asset": "VARCHAR",
    "weight_e18": "HUGEINT",
    "held_e8": "HUGEINT",
    "delta_e8": "HUGEINT",
}
"""Legs of the rebalances that are sent: buys above zero, sells below."""


@dataclass(frozen=True)
class Rebalances:
    """What would be rebalanced, what is held back, and what already holds its new target."""

    sent: Table
    """SENT_ROWS"""
    blocked: Table
    """BLOCKED_ROWS"""
    satisfied: Table
    """SATISFIED_ROWS"""
    legs: Table
    """LEG_ROWS"""
    judged: Table
    """Every candidate with its verdict."""


CANDIDATE_ROWS = {
    "strategy": "VARCHAR",
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "target": "INTEGER",
    "retarget": "VARCHAR",
    "flow_e8": "HUGEINT",
    "rebalanced_at": "BIGINT",
}

_PARTS_ROWS = {
    "strategy": "VARCHAR",
    "participant_code": "VARCHAR",
    "target": "INTEGER",
    "asset": "VARCHAR",
    "weight_e18": "HUGEINT",
    "band_e18": "HUGEINT",
    "minimum_e8": "HUGEINT",
    "value_e8": "HUGEINT",
}

MEASURED_ROWS = {
    "strategy": "VARCHAR",
    "participant_code": "VARCHAR",
    "asset": "VARCHAR",
    "weight_e18": "HUGEINT",
    "band_e18": "HUGEINT",
    "minimum_e8": "HUGEINT",
    "value_e8": "HUGEINT",
    "whole_e8": "HUGEINT",
    "sizes_e8": "HUGEINT",
    "breached": "BOOLEAN",
    "measured_e8": "HUGEINT",
    "measured_weight_e18": "HUGEINT",
}
"""An asset of a participant beside the whole; ``sizes_e8``: all legs to the target together, NULL
where holdings cannot be judged; ``breached``: this asset is outside its band. The band stands
around ``measured_weight_e18`` of ``measured_e8``: the declared weight of the whole or, where some
assets are frozen, that among the others, and NULL of the frozen."""

_CUT_ROWS = {"strategy": "VARCHAR", "participant_code": "VARCHAR", "cut_e8": "HUGEINT"}

_JUDGED_ROWS = {
    **CANDIDATE_ROWS,
    "whole_e8": "HUGEINT",
    "measured_e8": "HUGEINT",
    "sold_e8": "HUGEINT",
    "sizes_e8": "HUGEINT",
    "foreign_asset": "VARCHAR",
    "unpriced_asset": "VARCHAR",
    "side_detail": "VARCHAR",
    "target_text": "VARCHAR",
    "epoch": "INTEGER",
    "verdict": "VARCHAR",
}
"""``sizes_e8``: what all legs add up to, of ``measured_e8``, which is the whole but for frozen
assets where only bands are watched."""

_CANDIDATES = """
SELECT changes.strategy, changes.strategy_id, changes.participant_code, changes.target,
    changes.retarget,
    (CASE flow.verb
        WHEN 'top_up' THEN flow.amount_minor
        WHEN 'partial_sell' THEN -flow.amount_minor
        ELSE 0 END)::HUGEINT * targets.minor_e8 AS flow_e8,
    changes.rebalanced_at
FROM {changes} AS changes
JOIN {targets} AS targets USING (strategy, target)
LEFT JOIN {flows} AS flow USING (strategy, participant_code)
WHERE changes.retarget IS NOT NULL AND changes.stopped IS NULL AND NOT changes.leaving
  AND flow.verb IS DISTINCT FROM 'enroll'
  -- Who was sold in full is left alone until money comes in again.
  AND (NOT changes.returns OR flow.verb IS NOT NULL)
"""

_PARTS = """
-- One row per candidate and asset that it holds or should hold; weight NULL: held, not named.
WITH held AS (
    SELECT candidate.strategy, candidate.participant_code, candidate.target, candidate.flow_e8,
        holding.asset, holding.quantity_e24
    FROM {candidates} AS candidate
    JOIN {holdings} AS holding USING (strategy_id, participant_code)
),
named AS (
    SELECT candidate.strategy, candidate.participant_code, candidate.target, candidate.flow_e8,
        terms.asset, terms.weight_e18, terms.band_e18, terms.minimum_e8
    FROM {candidates} AS candidate JOIN {terms} AS terms USING (strategy, target)
),
paired AS (
    SELECT strategy, participant_code, asset,
        coalesce(named.target, held.target) AS target,
        coalesce(named.flow_e8, held.flow_e8) AS flow_e8,
        coalesce(quantity_e24, 0) AS quantity_e24,
        weight_e18, band_e18, minimum_e8
    FROM named FULL JOIN held USING (strategy, participant_code, asset)
)
-- greatest() ignores NULL, and a value without a price must stay unknown. Only a named exit that
-- is not held needs no price: it is worth nothing at any.
SELECT paired.strategy, paired.participant_code, target, paired.asset, paired.weight_e18,
    band_e18, minimum_e8,
    CASE
        WHEN price_e8 IS NOT NULL THEN greatest(0, {value} + {moved})
        WHEN paired.weight_e18 = 0 AND quantity_e24 = 0 THEN 0
    END::HUGEINT AS value_e8
FROM paired
LEFT JOIN {prices} AS price ON price.strategy = paired.strategy AND price.asset = paired.asset
{aimed}
"""

_AIMED = """
LEFT JOIN {rows} AS aimed
  ON aimed.strategy = paired.strategy AND aimed.participant_code = paired.participant_code
LEFT JOIN {parts} AS share
  ON share.vector_text = aimed.vector_text AND share.asset = paired.asset
"""
_AIMED_SHARE = """(CASE WHEN aimed.vector_text IS NULL THEN coalesce(paired.weight_e18, 0)
    ELSE coalesce(share.weight_e18, 0) END)"""

BREACHED = "size_e8 > greatest(band_e8, minimum_e8)"

_LEGS = """
WITH whole AS (
    SELECT strategy, participant_code, {whole} AS whole_e8,
        min(asset) FILTER (weight_e18 IS NULL) AS foreign_asset,
        min(asset) FILTER (value_e8 IS NULL) AS unpriced_asset
    FROM {parts} {cut} GROUP BY ALL
),
legs AS (
    SELECT strategy, participant_code, asset,
        abs({wanted} - value_e8) AS size_e8,
        greatest(0, value_e8 - {wanted}) AS sold_e8,
        {band} AS band_e8,
        greatest(minimum_e8, 1) AS minimum_e8,
        {side_detail} AS side_detail
    FROM {parts} JOIN whole USING (strategy, participant_code) {sides}
    WHERE foreign_asset IS NULL AND unpriced_asset IS NULL
)
"""

_JUDGED = """
, sized AS (
    SELECT strategy, participant_code,
        bool_or(size_e8 >= minimum_e8) AS worth_sending,
        -- Buys are paid by the sells of the same rebalance, so it moves nothing unless a leg of
        -- each side reaches its minimum.
        bool_or(sold_e8 >= minimum_e8) AND bool_or(size_e8 >= minimum_e8 AND sold_e8 = 0)
            AS can_trade,
        bool_or({breached}) AS breached,
        sum(size_e8)::HUGEINT AS sizes_e8,
        sum(sold_e8)::HUGEINT AS sold_e8,
        min(side_detail) AS side_detail
    FROM legs GROUP BY ALL
)
SELECT candidate.*, whole.whole_e8, whole.whole_e8 AS measured_e8, sized.sold_e8, sized.sizes_e8,
    whole.foreign_asset, whole.unpriced_asset, side_detail, targets.target_text, targets.epoch,
    CASE
        WHEN whole.foreign_asset IS NOT NULL THEN 'foreign_asset'
        WHEN whole.unpriced_asset IS NOT NULL THEN 'no_price'
        WHEN NOT worth_sending THEN 'satisfied'
        WHEN retarget IN ('changed', 'epoch') AND side_detail IS NOT NULL THEN 'side_forbids'
        WHEN retarget IN ('changed', 'epoch') THEN 'send'
        WHEN breached OR sizes_e8 > {portfolio} THEN
            -- Sent again and again it would never arrive.
            CASE WHEN retarget = 'watch' AND NOT can_trade THEN 'below_leg_minimum'
                 WHEN side_detail IS NOT NULL THEN 'side_forbids'
                 WHEN {resting} AND sizes_e8 <= {bypass} THEN 'cooldown'
                 ELSE 'send' END
        ELSE 'satisfied'
    END AS verdict
FROM {candidates} AS candidate
JOIN {targets} AS targets USING (strategy, target)
JOIN whole USING (strategy, participant_code)
LEFT JOIN sized USING (strategy, participant_code)
"""


def rebalance_rows(
    changes: Changes, live: Live, terms: Terms, flows: Table, aims: Aims | None = None
) -> Rebalances:
    """Judge every candidate on what it would hold after this plan's flows.

    ``aims``: the vectors of flows that are not sent at the declared weights.

    A Trader that holds an asset which is neither in the vector nor a named exit is blocked: the
    provider sells assets that a rebalance leaves out, and omission is not a sale.
    """
    space = changes.rows.workspace
    candidates = _candidates(changes, terms, flows)
    parts = parts_of(candidates, live, terms, aims)
    judged = _judged(candidates, parts, terms, _cut(candidates, aims) if aims else None)
    if terms.freezes:
        judged = _frozen_aside(judged, candidates, parts, terms)
    sent = space.select(
        "rebalances",
        SENT_ROWS,
        f"""
        SELECT judged.strategy, judged.strategy_id, participant_code, 'rebalance' AS verb,
            judged.target, NULL::BIGINT AS amount_minor, NULL::BOOLEAN AS auto_rebalance,
            change.trader_id, change.trader_updated_at,
            CASE judged.retarget
                WHEN 'changed' THEN 'the target changed'
                WHEN 'epoch' THEN 'the rebalance epoch rose'
                WHEN 'unknown' THEN 'out of band, and no earlier target is known'
                ELSE 'drift is above its band'
            END AS reason,
            change.cohort, change.file, change.line,
            judged.sold_e8::DECIMAL(38,0) AS moved_e8,
            judged.whole_e8::DECIMAL(38,0) AS value_e8, false AS after_rebalance
        FROM {judged} AS judged
        JOIN {changes.rows} AS change USING (strategy, participant_code)
        WHERE verdict = 'send'
        """,
        of=judged,
    )
    return Rebalances(
        sent=sent,
        blocked=_blocked(changes, judged, terms),
        satisfied=_satisfied(changes, judged),
        legs=space.select(
            "legs",
            LEG_ROWS,
            f"""
            SELECT parts.strategy, participant_code, asset, weight_e18, parts.value_e8 AS held_e8,
                {share_sql("sent.value_e8::HUGEINT")} - parts.value_e8 AS delta_e8
            FROM {parts} AS parts JOIN {sent} AS sent USING (strategy, participant_code)
            """,
            of=sent,
        ),
        judged=judged,
    )


def _candidates(changes: Changes, terms: Terms, flows: Table) -> Table:
    """CANDIDATE_ROWS: whoever may be rebalanced, with its flow."""
    space = changes.rows.workspace
    if not changes.retargeted:
        return space.table("candidates", CANDIDATE_ROWS)
    return space.select(
        "candidates",
        CANDIDATE_ROWS,
        _CANDIDATES.format(
            changes=changes.rows,
            targets=terms.targets,
            flows=moved_once(flows) if terms.sends_both else flows,
        ),
        of=changes.rows,
    )


def _blocked(changes: Changes, judged: Table, terms: Terms) -> Table:
    """What stands in the way: an unnamed asset, a missing price, a rest after the last rebalance,
    or a stop that was known before.

    Of rows that were stopped before, only those are listed that certainly wanted something.
    """
    return changes.rows.workspace.select(
        "rebalances_blocked",
        BLOCKED_ROWS,
        f"""
        SELECT strategy, participant_code, verdict AS reason,
            CASE verdict
                WHEN 'foreign_asset' THEN foreign_asset
                    || ' is held and is neither allocated nor a named exit'
                WHEN 'no_price' THEN 'no price for ' || unpriced_asset
                WHEN 'cooldown' THEN 'out of band, rebalanced ' || {utc_sql("judged.rebalanced_at")}
                    || ', rests until '
                    || {utc_sql(f"judged.rebalanced_at + {terms.rest_hours * 3600}")}
                WHEN 'side_forbids' THEN side_detail
                ELSE 'out of band, but no sell and buy reach the minimum leg'
            END AS detail,
            change.file, change.line, NULL::VARCHAR AS waiting_since
        FROM {judged} AS judged
        JOIN {changes.rows} AS change USING (strategy, participant_code)
        WHERE verdict IN
            ('foreign_asset', 'no_price', 'below_leg_minimum', 'side_forbids', 'cooldown')
        UNION ALL
        SELECT strategy, participant_code, stopped, coalesce(stopped_detail, ''), file, line, NULL
        FROM {changes.rows}
        WHERE stopped IS NOT NULL AND NOT leaving AND flow_in_minor = 0 AND flow_out_minor = 0
          AND (retarget IN ('changed', 'epoch') OR flag_differs
               OR forfeited_in_minor > 0 OR forfeited_out_minor > 0)
        """,
        of=changes.rows if changes.stopped else judged,
    )


def _satisfied(changes: Changes, judged: Table) -> Table:
    """Holders of a changed target within the minimum leg. A flow in this plan leaves it open."""
    return changes.rows.workspace.select(
        "satisfied",
        SATISFIED_ROWS,
        f"""
        SELECT strategy, participant_code, target_text, epoch AS target_epoch
        FROM {judged}
        WHERE verdict = 'satisfied' AND retarget <> 'watch' AND flow_e8 = 0
        ORDER BY ALL
        """,
        of=judged,
    )


def drift_by_strategy(
    changes: Changes, live: Live, terms: Terms
) -> dict[str, tuple[int, int, int]]:
    """Per Strategy: managed Traders outside their bands, how many of them opted out of being
    rebalanced, and the largest portfolio drift (10⁻¹⁸).

    For people: everybody is measured, whatever triggers a rebalance of theirs.
    """
    space = changes.managed.workspace
    names = space.table(
        "strategy_ids",
        {"strategy": "VARCHAR", "strategy_id": "VARCHAR"},
        list(
            zip(*[(c.desired.name, c.live.id) for c in changes.strategies if c.live], strict=True)
        ),
    )
    candidates = space.select(
        "holders",
        CANDIDATE_ROWS,
        f"""
        SELECT managed.strategy, names.strategy_id, managed.participant_code, managed.target,
            'watch' AS retarget, 0::HUGEINT AS flow_e8, NULL::BIGINT AS rebalanced_at
        FROM {changes.managed} AS managed JOIN {names} AS names USING (strategy)
        JOIN {live.rows} AS live USING (strategy_id, participant_code)
        WHERE live.trader_id IS NOT NULL AND NOT managed.exited
          AND NOT coalesce(live.exited, false)
        """,
    )
    parts = parts_of(candidates, live, terms)
    judged = _judged(candidates, parts, terms)
    if terms.freezes:
        judged = _frozen_aside(judged, candidates, parts, terms)
    outside = "verdict IN ('send', 'below_leg_minimum', 'side_forbids')"
    return {
        strategy: (people, opted_out, largest or 0)
        for strategy, people, opted_out, largest in space.rows(
            f"""
            SELECT strategy,
                count(*) FILTER ({outside}),
                count(*) FILTER ({outside}
                    AND NOT live.auto_rebalance AND NOT managed.overrides_flag),
                max(CASE WHEN measured_e8 > 0
                    THEN sizes_e8 * 500000000000000000 // measured_e8 END)::HUGEINT
            FROM {judged}
            JOIN {live.rows} AS live USING (strategy_id, participant_code)
            JOIN {changes.managed} AS managed USING (strategy, participant_code)
            GROUP BY strategy ORDER BY ALL
            """
        )
    }


def parts_of(candidates: Table, live: Live, terms: Terms, aims: Aims | None = None) -> Table:
    """What each candidate holds after its flow, beside what it should hold."""
    return candidates.workspace.select(
        "parts",
        _PARTS_ROWS,
        _PARTS.format(
            candidates=candidates,
            holdings=live.holdings,
            terms=terms.terms,
            prices=terms.prices,
            value=VALUE_E8,
            moved=share_sql("flow_e8", _AIMED_SHARE if aims else "coalesce(weight_e18, 0)"),
            aimed=_AIMED.format(rows=aims.rows, parts=aims.parts) if aims else "",
        ),
        of=candidates,
    )


def _cut(candidates: Table, aims: Aims) -> Table:
    """What is cut from the legs of a flow: its amount is split exactly, so the whole has it."""
    return candidates.workspace.select(
        "cut",
        _CUT_ROWS,
        f"""
        SELECT strategy, participant_code,
            (any_value(flow_e8) - sum({share_sql("flow_e8", "share.weight_e18")}))::HUGEINT
                AS cut_e8
        FROM {candidates} JOIN {aims.rows} AS aimed USING (strategy, participant_code)
        JOIN {aims.parts} AS share USING (vector_text)
        WHERE flow_e8 <> 0 GROUP BY ALL
        """,
        of=candidates,
    )


def _judged(candidates: Table, parts: Table, terms: Terms, cut: Table | None = None) -> Table:
    return candidates.workspace.select(
        "judged",
        _JUDGED_ROWS,
        _legs_sql(parts, terms, cut)
        + _JUDGED.format(
            candidates=candidates,
            targets=terms.targets,
            breached=BREACHED,
            portfolio=share_sql("whole.whole_e8", "(2 * targets.portfolio_e18)"),
            resting=terms.resting,
            bypass=share_sql("whole.whole_e8", f"(2 * {terms.bypass_e18})"),
        ),
        of=candidates,
    )


def _legs_sql(parts: Table, terms: Terms, cut: Table | None = None) -> str:
    side_detail, sides = "NULL::VARCHAR", ""
    if terms.sides is not None:
        wanted = share_sql("whole_e8")
        side_detail = forbidden_sql(f"value_e8 < {wanted}", f"value_e8 > {wanted}")
        sides = f"LEFT JOIN {terms.sides} USING (asset)"
    whole, joined = "sum(value_e8)::HUGEINT", ""
    if cut is not None:
        whole = "(sum(value_e8) + coalesce(any_value(cut_e8), 0))::HUGEINT"
        joined = f"LEFT JOIN {cut} USING (strategy, participant_code)"
    return _LEGS.format(
        parts=parts,
        wanted=share_sql("whole_e8"),
        band=share_sql("whole_e8", "band_e18"),
        whole=whole,
        cut=joined,
        side_detail=side_detail,
        sides=sides,
    )


def measured_parts(
    candidates: Table, live: Live, terms: Terms, aims: Aims | None = None
) -> list[tuple[Any, ...]]:
    """MEASURED_ROWS of a few candidates, measured as rebalances are judged; for explanations."""
    parts = parts_of(candidates, live, terms, aims)
    measured = _measured(parts, terms, _cut(candidates, aims) if aims else None)
    if not terms.freezes:
        return measured.rows()
    frozen, traded = _traded(candidates, parts, terms)
    columns = {
        "sizes_e8": "coalesce(max(rest.sizes_e8) OVER each, 0)",
        "breached": "coalesce(rest.breached, false)",
        "measured_e8": "coalesce(max(rest.measured_e8) OVER each, 0)",
        "measured_weight_e18": "rest.measured_weight_e18",
    }
    chosen = ", ".join(
        f"CASE WHEN frozen.rest_e18 IS NULL THEN measured.{column} ELSE {columns[column]} END"
        f" AS {column}"
        if column in columns
        else f"measured.{column}"
        for column in MEASURED_ROWS
    )
    return measured.workspace.select(
        "measured",
        MEASURED_ROWS,
        f"""
        SELECT {chosen} FROM {measured} AS measured
        LEFT JOIN {frozen} AS frozen USING (strategy, participant_code)
        LEFT JOIN {_measured(traded, replace(terms, sides=None))} AS rest
          USING (strategy, participant_code, asset)
        WINDOW each AS (PARTITION BY measured.strategy, measured.participant_code)
        """,
    ).rows()


def _measured(parts: Table, terms: Terms, cut: Table | None = None) -> Table:
    return parts.workspace.select(
        "measured",
        MEASURED_ROWS,
        f"""
        {_legs_sql(parts, terms, cut)}
        SELECT strategy, participant_code, asset, weight_e18, band_e18, minimum_e8, value_e8,
            whole_e8, (sum(size_e8) OVER each)::HUGEINT AS sizes_e8,
            coalesce(breached, false) AS breached,
            whole_e8 AS measured_e8, weight_e18 AS measured_weight_e18
        FROM {parts} AS parts
        JOIN whole USING (strategy, participant_code)
        LEFT JOIN (
            SELECT strategy, participant_code, asset, size_e8, {BREACHED} AS breached FROM legs
        ) USING (strategy, participant_code, asset)
        WINDOW each AS (PARTITION BY strategy, participant_code)
        """,
    )


def _frozen_aside(judged: Table, candidates: Table, parts: Table, terms: Terms) -> Table:
    """The same verdicts, where bands decide, of what is left without frozen assets.

    What nobody can trade is no drift: the other assets are held to their weights among themselves,
    in the bands of their declared weights. A rebalance states an end weight of the frozen asset as
    well, so it is sent only to whom that moves nothing of it.
    """
    space = judged.workspace
    frozen, traded = _traded(candidates, parts, terms)
    watched = space.select(
        "watched",
        CANDIDATE_ROWS,
        f"SELECT candidate.* FROM {candidates} AS candidate"
        f" JOIN {frozen} USING (strategy, participant_code)",
    )
    aside = _judged(watched, traded, replace(terms, sides=None))
    columns = {
        "measured_e8": "coalesce(aside.whole_e8, 0)",
        "sizes_e8": "coalesce(aside.sizes_e8, 0)",
        "verdict": """CASE
            WHEN aside.verdict IN ('send', 'cooldown') AND judged.side_detail IS NOT NULL
                THEN 'side_forbids'
            ELSE coalesce(aside.verdict, 'satisfied') END""",
    }
    chosen = ", ".join(
        f"CASE WHEN frozen.rest_e18 IS NULL THEN judged.{column}"
        f" ELSE {columns[column]} END AS {column}"
        if column in columns
        else f"judged.{column}"
        for column in _JUDGED_ROWS
    )
    return space.select(
        "judged",
        _JUDGED_ROWS,
        f"""
        SELECT {chosen} FROM {judged} AS judged
        LEFT JOIN {frozen} AS frozen USING (strategy, participant_code)
        LEFT JOIN {aside} AS aside USING (strategy, participant_code)
        """,
    )


def _traded(candidates: Table, parts: Table, terms: Terms) -> tuple[Table, Table]:
    """Who holds frozen assets and is judged by bands, with the weight of the rest, and that rest
    with its weights among itself."""
    space = candidates.workspace
    frozen = space.select(
        "frozen",
        {"strategy": "VARCHAR", "participant_code": "VARCHAR", "rest_e18": "HUGEINT"},
        f"""
        SELECT strategy, participant_code,
            {WEIGHT_ONE_E18} - sum(parts.weight_e18) FILTER (side = 'freeze') AS rest_e18
        FROM {parts} AS parts JOIN {candidates} AS candidate USING (strategy, participant_code)
        LEFT JOIN {terms.sides} USING (asset)
        WHERE retarget IN ('watch', 'unknown') GROUP BY ALL
        HAVING bool_or(side = 'freeze') AND NOT bool_or(weight_e18 IS NULL OR value_e8 IS NULL)
        """,
    )
    traded = space.select(
        "parts_traded",
        _PARTS_ROWS,
        f"""
        SELECT strategy, participant_code, target, asset,
            weight_e18 * {WEIGHT_ONE_E18} // rest_e18 AS weight_e18, band_e18, minimum_e8, value_e8
        FROM {parts} AS parts JOIN {frozen} USING (strategy, participant_code)
        LEFT JOIN {terms.sides} USING (asset)
        WHERE side IS DISTINCT FROM 'freeze' AND rest_e18 > 0
        """,
    )
    return frozen, traded


def refuse_dropped_assets(changes: Changes, live: Live) -> None:
    """Leaving an asset out of the allocations without naming it as an exit is an error.

    Raises InputError for each asset of a last satisfied target that is still held and that the
    new target does not name.
    """
    if not changes.retargeted:
        return
    space = changes.rows.workspace
    last = space.rows(
        f"""
        SELECT DISTINCT change.strategy, change.target, live.target_text, holding.asset
        FROM {changes.rows} AS change
        JOIN {live.rows} AS live USING (strategy_id, participant_code)
        JOIN {live.holdings} AS holding USING (strategy_id, participant_code)
        WHERE change.retarget IN ('changed', 'epoch')
          AND live.target_text IS NOT NULL ORDER BY ALL
        """,
        of=changes.rows,
    )
    strategies = {change.desired.name: change.desired for change in changes.strategies}
    dropped = {
        (name, asset)
        for name, index, text, asset in last
        if asset in _assets_in(text)
        and asset not in strategies[name].targets[index].rebalance_vector.assets
    }
    if dropped:
        raise InputError(
            [
                Diagnostic(
                    code="E_ASSET_DROPPED",
                    summary="an asset left the allocations without being named as an exit",
                    detail=f"{name} allocated {asset} before; now it is neither in allocations"
                    " nor in exits",
                    hint=f"to sell it in full write exits: [{asset}]; otherwise allocate it",
                    span=strategies[name].span,
                )
                for name, asset in sorted(dropped)
            ]
        )


def _assets_in(target_text: str) -> list[str]:
    return [part.split(" ")[0] for part in target_text.split(", ")]
