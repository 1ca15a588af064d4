"""Flows: money in, money out, and leaving. One verb per participant, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stratctl.core.plan import BLOCKED_ROWS, FORFEIT_ROWS
from stratctl.core.tables import Table
from stratctl.plan.guards import covers
from stratctl.plan.terms import VALUE_E8, forbidden_sql, share_sql
from stratctl.plan.waiting import DAYS_MAX
from stratctl.plan.waiting import RULE as STALE_RULE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratctl.core.change import Changes
    from stratctl.core.plan import Acknowledgement
    from stratctl.core.state import Live
    from stratctl.plan.terms import Terms
    from stratctl.plan.waiting import Waits

SENT_ROWS = {
    "strategy": "VARCHAR",
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "verb": "VARCHAR",
    "target": "INTEGER",
    "amount_minor": "BIGINT",
    "auto_rebalance": "BOOLEAN",
    "trader_id": "VARCHAR",
    "trader_updated_at": "VARCHAR",
    "reason": "VARCHAR",
    "cohort": "VARCHAR",
    "file": "VARCHAR",
    "line": "INTEGER",
    "moved_e8": "DECIMAL(38,0)",
    "value_e8": "DECIMAL(38,0)",
    "after_rebalance": "BOOLEAN",
}
"""Rows to send, before they are grouped into calls. ``value_e8``: of a sell, what the priced
assets of the participant are worth now."""

_JUDGED_ROWS = {
    **{
        column: kind
        for column, kind in SENT_ROWS.items()
        if column not in ("reason", "moved_e8", "after_rebalance")
    },
    "minor_e8": "HUGEINT",
    "short_asset": "VARCHAR",
    "flow_least": "VARCHAR",
    "account_least": "VARCHAR",
    "stopped_detail": "VARCHAR",
    "side_detail": "VARCHAR",
    "waiting_since": "VARCHAR",
    "recorded": "BOOLEAN",
    "stale": "BOOLEAN",
    "paired": "BOOLEAN",
    "after_rebalance": "BOOLEAN",
    "held_back": "VARCHAR",
}
"""Every flow that is wanted; ``held_back`` says why it is not sent, or NULL. ``recorded``: the
journal knows since when it waits; ``stale``: it waits for too long; ``paired``: its participant has
one in the other direction as well; ``after_rebalance``: it fits only what a rebalance of this plan
leaves."""


@dataclass(frozen=True)
class Flows:
    """What flows would be sent, and what is held back with its reason."""

    sent: Table
    """SENT_ROWS"""
    blocked: Table
    """BLOCKED_ROWS"""
    acknowledgements: tuple[Acknowledgement, ...]
    """What lets stale flows move."""
    judged: Table
    """Every flow that is wanted, beside what holds it back."""
    infeasible: int
    """How many partial sells do not fit what is held."""
    any_late: bool = False
    """Whether some stand behind a rebalance."""


_FLOWS = """
WITH wanted AS (
    SELECT changes.*, targets.flow_least_minor, targets.account_least_minor, targets.minor_e8,
        targets.flow_least, targets.account_least,
        targets.target_text,
        CASE
            WHEN leaving THEN 'liquidate'
            WHEN flow_in_minor > 0 AND flow_out_minor > 0 AND {refused} THEN 'both'
            WHEN {second} THEN 'top_up'
            WHEN flow_out_minor > 0 THEN 'partial_sell'
            WHEN flow_in_minor > 0 AND (enrolls_despite_trader
                 OR trader_id IS NULL AND NOT tops_up_without_trader) THEN 'enroll'
            WHEN flow_in_minor > 0 THEN 'top_up'
        END AS verb,
        CASE WHEN flow_out_minor > 0 AND NOT {second} THEN flow_out_minor
             WHEN flow_in_minor > 0 THEN flow_in_minor END AS amount_minor
    FROM {changes} AS changes JOIN {targets} AS targets USING (strategy, target)
    {twice}
),
held AS (
    SELECT wanted.strategy, wanted.participant_code, holding.asset,
        {value} AS value_e8
    FROM wanted
    JOIN {holdings} AS holding USING (strategy_id, participant_code)
    LEFT JOIN {prices} AS price
      ON price.strategy = wanted.strategy AND price.asset = holding.asset
    WHERE wanted.verb IN ('liquidate', 'partial_sell')
),
worth AS (
    SELECT strategy, participant_code, sum(value_e8) AS value_e8 FROM held GROUP BY ALL
),
short AS (
    -- A partial sell is sized by the declared weights, not by what is held. Nothing held is too
    -- little at any price; what is held without a price is for the provider to judge.
    SELECT wanted.strategy, wanted.participant_code, min(terms.asset) AS asset
    FROM wanted
    JOIN {terms} AS terms USING (strategy, target)
    LEFT JOIN held
      ON held.strategy = wanted.strategy
     AND held.participant_code = wanted.participant_code AND held.asset = terms.asset
    WHERE wanted.verb = 'partial_sell' AND terms.weight_e18 > 0
      AND (held.asset IS NULL OR {sold} > held.value_e8)
    GROUP BY ALL
){forbidden}
SELECT strategy, strategy_id, participant_code, verb, target, amount_minor,
    CASE WHEN verb = 'enroll' THEN flag END AS auto_rebalance,
    trader_id, trader_updated_at, cohort, file, line,
    worth.value_e8::DECIMAL(38,0) AS value_e8,
    minor_e8, short.asset AS short_asset, flow_least, account_least,
    stopped_detail, {side_detail} AS side_detail,
    coalesce(waited.since, unknown.unknown_since, $1) AS waiting_since,
    waited.since IS NOT NULL AS recorded,
    coalesce(coalesce(waited.since, unknown.unknown_since) < $2, false) AS stale,
    false AS paired, false AS after_rebalance,
    CASE
        WHEN stopped IS NOT NULL THEN stopped
        WHEN verb = 'both' THEN 'both_totals_rise'
        WHEN verb = 'partial_sell' AND trader_id IS NULL THEN 'no_trader'
        WHEN verb IN ('liquidate', 'enroll') AND NOT manages_membership
            THEN 'membership_not_managed'
        WHEN {side_detail} IS NOT NULL THEN 'side_forbids'
        WHEN verb = 'enroll' AND amount_minor < account_least_minor
            THEN 'below_account_minimum'
        WHEN amount_minor < flow_least_minor THEN 'below_leg_minimum'
        WHEN short.asset IS NOT NULL THEN 'partial_sell_infeasible'
        -- Last, so that the number to acknowledge counts what would move if it were.
        WHEN stale THEN 'stale_flow'
    END AS held_back
FROM wanted
LEFT JOIN {since} AS waited USING (strategy, participant_code)
LEFT JOIN {unknown} AS unknown USING (strategy)
LEFT JOIN worth USING (strategy, participant_code)
LEFT JOIN short USING (strategy, participant_code)
{sided}
WHERE verb IS NOT NULL
"""


_BOTH = {
    "refused": "(trader_id IS NULL OR enrolls_despite_trader)",
    "second": "second",
    "twice": """JOIN (VALUES (false), (true)) AS flows(second)
      ON NOT second OR flow_in_minor > 0 AND flow_out_minor > 0 AND NOT leaving
         AND trader_id IS NOT NULL AND NOT enrolls_despite_trader""",
}
"""The partial sell of a Trader whose totals both rise, and a second row for its top-up. Who is not
enrolled has nothing to sell first."""
_LISTED = "NOT (paired AND verb = 'top_up')"
"""What holds back both flows of a participant is listed and counted once."""
_NOT_BOTH = {"refused": "true", "second": "false", "twice": ""}

_FORBIDDEN = """,
forbidden AS (
    -- A flow trades every asset of its weights, and an exit everything that is held.
    SELECT strategy, participant_code, verb, min({why}) AS side_detail
    FROM (
        SELECT strategy, participant_code, verb, asset
        FROM wanted JOIN {terms} AS terms USING (strategy, target)
        WHERE weight_e18 > 0 AND verb <> 'liquidate'
        UNION ALL
        SELECT strategy, participant_code, verb, asset
        FROM wanted JOIN held USING (strategy, participant_code) WHERE verb = 'liquidate'
    ) JOIN {sides} USING (asset)
    GROUP BY ALL
)"""


def flow_rows(
    changes: Changes, live: Live, terms: Terms, waits: Waits, valid: Sequence[Acknowledgement]
) -> Flows:
    """One flow per participant at target weights; amounts exactly as declared.

    A flow whose legs would fall below a minimum is held back with the figure that would do; it is
    never made bigger, netted or split to get round the minimum. Flows that waited for too long
    are held back until an acknowledgement covers all of them.
    """
    space = changes.rows.workspace
    forbidden, side_detail, sided = "", "NULL::VARCHAR", ""
    if terms.sides is not None:
        why = forbidden_sql("verb IN ('top_up', 'enroll')", "verb IN ('partial_sell', 'liquidate')")
        forbidden = _FORBIDDEN.format(why=why, terms=terms.terms, sides=terms.sides)
        side_detail = "forbidden.side_detail"
        sided = "LEFT JOIN forbidden USING (strategy, participant_code, verb)"
    judged = space.select(
        "flows_judged",
        _JUDGED_ROWS,
        _FLOWS.format(
            changes=changes.rows,
            targets=terms.targets,
            terms=terms.terms,
            holdings=live.holdings,
            prices=terms.prices,
            value=VALUE_E8,
            sold=share_sql("wanted.amount_minor * wanted.minor_e8"),
            since=waits.since,
            unknown=waits.unknown,
            forbidden=forbidden,
            side_detail=side_detail,
            sided=sided,
            **(_BOTH if terms.sends_both else _NOT_BOTH),
        ),
        [waits.now, waits.oldest],
        of=changes.rows,
    )
    return flows_of(_together(judged) if terms.sends_both else judged, valid)


def _together(judged: Table) -> Table:
    """Both flows of a participant, or none: what holds one back holds back the other.

    Otherwise the journal could not say of such a participant what it is that waits.
    """
    marked = {
        # Age counts last: who is released for it must have nothing else in the way.
        "held_back": "coalesce(nullif(held_back, 'stale_flow'),"
        " max(nullif(held_back, 'stale_flow')) OVER each, held_back)",
        "paired": "count(*) OVER each > 1",
    }
    columns = ", ".join(
        f"{marked[column]} AS {column}" if column in marked else column for column in _JUDGED_ROWS
    )
    return judged.workspace.select(
        "flows_together",
        _JUDGED_ROWS,
        f"SELECT {columns} FROM {judged} WINDOW each AS (PARTITION BY strategy, participant_code)",
        of=judged,
    )


_ONCE = (
    "strategy",
    "strategy_id",
    "participant_code",
    "target",
    "cohort",
    "verb",
    "amount_minor",
    "moved_e8",
)


def moved_once(sent: Table) -> Table:
    """What flows move of each participant: of a partial sell and a top-up, what is left of both.

    For what is held afterwards only; what is sent is never netted.
    """
    sign = "CASE verb WHEN 'partial_sell' THEN -1 ELSE 1 END"
    return sent.workspace.select(
        "flows_moved",
        {column: SENT_ROWS[column] for column in _ONCE},
        f"""
        SELECT strategy, strategy_id, participant_code, target, cohort,
            CASE WHEN count(*) = 1 THEN min(verb)
                 WHEN sum({sign} * amount_minor) < 0 THEN 'partial_sell' ELSE 'top_up' END AS verb,
            abs(sum({sign} * amount_minor))::BIGINT AS amount_minor,
            abs(sum({sign} * moved_e8))::DECIMAL(38,0) AS moved_e8
        FROM {sent} GROUP BY strategy, strategy_id, participant_code, target, cohort
        """,
        of=sent,
    )


def flows_of(judged: Table, valid: Sequence[Acknowledgement]) -> Flows:
    """Judged flows as what is sent and what is not."""
    space = judged.workspace
    stale, infeasible = space.one(
        f"""
        SELECT count(*) FILTER (held_back = 'stale_flow'),
            count(*) FILTER (held_back = 'partial_sell_infeasible')
        FROM {judged} WHERE {_LISTED}
        """
    )
    covering = next((each for each in valid if stale and covers(each, STALE_RULE, stale)), None)
    sendable = "held_back IS NULL" + (" OR held_back = 'stale_flow'" if covering else "")
    sent = space.select(
        "flows",
        SENT_ROWS,
        f"""
        SELECT strategy, strategy_id, participant_code, verb, target, amount_minor,
            auto_rebalance, trader_id, trader_updated_at,
            CASE verb
                WHEN 'liquidate' THEN 'status is exited'
                WHEN 'partial_sell' THEN 'withdrawn rose'
                WHEN 'top_up' THEN 'contributed rose'
                ELSE 'not enrolled yet'
            END || CASE WHEN after_rebalance
                THEN ', and only its rebalance brings what is to be sold' ELSE '' END
            || CASE WHEN held_back = 'stale_flow' AND recorded
                THEN ', waiting since ' || left(waiting_since, 10) ELSE '' END AS reason,
            cohort, file, line,
            coalesce(amount_minor * minor_e8, value_e8::HUGEINT, 0)::DECIMAL(38,0) AS moved_e8,
            value_e8, after_rebalance
        FROM {judged} WHERE {sendable}
        """,
        of=judged,
    )
    blocked = space.select(
        "flows_blocked",
        BLOCKED_ROWS,
        f"""
        SELECT strategy, participant_code, held_back AS reason,
            concat_ws(', ', nullif(CASE held_back
                WHEN 'both_totals_rise' THEN 'contributed and withdrawn rise in one plan (declare'
                    || ' one after the other, or see both_directions)'
                WHEN 'no_trader' THEN 'there is nothing to sell: not enrolled'
                WHEN 'membership_not_managed' THEN 'the cohort does not manage membership'
                WHEN 'side_forbids' THEN side_detail
                WHEN 'below_account_minimum' THEN
                    'an enrolment needs at least ' || account_least
                WHEN 'below_leg_minimum' THEN
                    'its smallest leg needs a flow of at least ' || flow_least
                WHEN 'partial_sell_infeasible' THEN
                    'at target weights it would sell more ' || short_asset || ' than is held'
                WHEN 'stale_flow' THEN {_stale_detail(stale)}
                ELSE coalesce(stopped_detail, '')
            END, ''), CASE WHEN recorded AND held_back <> 'stale_flow'
                THEN 'waiting since ' || waiting_since END) AS detail,
            file, line, waiting_since
        FROM {judged} WHERE NOT ({sendable}) AND {_LISTED}
        """,
        of=judged,
    )
    return Flows(sent, blocked, (covering,) if covering else (), judged, infeasible)


def _stale_detail(stale: int) -> str:
    """Since when, and the number that releases all of them, as SQL."""
    return f"""
        CASE WHEN recorded THEN 'waiting since ' || waiting_since || ', longer than {DAYS_MAX} days'
             ELSE 'it may have waited since ' || waiting_since
                 || ', before which the journal knows nothing of its Strategy' END
        || ' (to send it, acknowledge {STALE_RULE}={stale:d})'"""


def forfeited_rows(changes: Changes) -> Table:
    """FORFEIT_ROWS: an exit closes the account of flows, also of those that never moved."""
    return changes.rows.workspace.select(
        "forfeits",
        FORFEIT_ROWS,
        f"""
        SELECT strategy, participant_code, forfeited_in_minor, forfeited_out_minor
        FROM {changes.rows}
        WHERE (forfeited_in_minor > 0 OR forfeited_out_minor > 0) AND stopped IS NULL
        ORDER BY ALL
        """,
        of=changes.rows,
    )
