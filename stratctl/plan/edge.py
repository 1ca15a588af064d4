"""Rebalancing only as far as the bands ask for: one vector near the edge for a whole target.

A rebalance begins outside a band and ends inside it, ``drift.hysteresis`` h of the band away from
its edge, so that the next small move of a price does not begin another. No memory is needed for
that: where somebody stands is what the last rebalance left.

After a rebalance everybody holds the vector that was sent, whatever was held before. So one vector
``a`` is chosen for all who breached a band, with ``|a_i - w_i| <= (1 - h) * band_i`` (of a band of
2 points and h = 1/8, a quarter point inside) and the least turnover

    sum over participants of V_p * 1/2 * sum over assets of |a_i - x_pi|

with x the shares held: a weighted median, clipped to the band. Who is in band is never sent it. A
changed target or a raised epoch asks for the target itself, and then all go there in one call. So
does a partial sell that follows the rebalance, because it is sized by the target's weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from stratctl.core.money import WEIGHT_ONE_E18
from stratctl.core.state import Vector, Verb
from stratctl.plan.aims import AIMED_ROWS, Aims, aims_of
from stratctl.plan.boxes import Pull, Shares, cheapest_face, nearest, rounded
from stratctl.plan.flows import SENT_ROWS
from stratctl.plan.rebalance import LEG_ROWS, Rebalances
from stratctl.plan.terms import forbidden_sql, ratio_down_sql, share_sql

if TYPE_CHECKING:
    from collections.abc import Collection

    from stratctl.core.change import Changes
    from stratctl.core.tables import Table
    from stratctl.plan.terms import Terms

MIXES_MAX = 256
"""More distinct holdings than this are told apart by whole thousandths only."""


@dataclass(frozen=True)
class Edges:
    """Rebalances at the edge of their bands."""

    rebalances: Rebalances
    aims: Aims


def at_the_edge(
    changes: Changes,
    terms: Terms,
    rebalances: Rebalances,
    kept: Collection[tuple[str, Verb, Vector]],
    *,
    late: Table | None = None,
) -> Edges | None:
    """The rebalances with the vectors that end inside the bands; None where no target has one.

    ``kept``: vectors that were approved, which stay as long as they still do. ``late``: the flows
    that are sent, where some stand behind a rebalance.
    """
    space = changes.rows.workspace
    hysteresis = {c.desired.name: c.desired.drift.hysteresis for c in changes.strategies}
    targets = {
        (change.desired.name, index): target.rebalance_vector
        for change in changes.strategies
        for index, target in enumerate(change.desired.targets)
    }
    chosen: dict[tuple[str, int], Vector] = {}
    for strategy, target in _breached(changes, rebalances, late):
        bands = _bands(terms, strategy, target)
        declared = targets[strategy, target]
        approved = [v for name, verb, v in kept if name == strategy and verb is Verb.REBALANCE]
        room = _room(declared, bands, hysteresis[strategy])
        found = [v for v in approved if _inside(v, declared, bands)]
        if room is not None:
            found.append(_cheapest(rebalances, declared, room, strategy, target))
        for vector in found:
            if vector != declared and _serves_all(
                terms, rebalances, strategy, target, vector, hysteresis[strategy]
            ):
                chosen[strategy, target] = vector
                break
    if not chosen:
        return None
    keys = [(*key, vector.text) for key, vector in chosen.items()]
    at = space.table(
        "edges",
        {"strategy": "VARCHAR", "target": "INTEGER", "vector_text": "VARCHAR"},
        list(zip(*keys, strict=True)),
    )
    aims = aims_of(
        space.select(
            "aimed",
            AIMED_ROWS,
            f"""
            SELECT strategy, verb, participant_code, vector_text
            FROM {rebalances.sent} JOIN {at} USING (strategy, target)
            """,
        ),
        chosen.values(),
    )
    return Edges(_aimed(rebalances, aims), aims)


def _breached(
    changes: Changes, rebalances: Rebalances, late: Table | None
) -> list[tuple[str, int]]:
    """Targets whose rebalances only bands ask for."""
    asked, joined = "retarget IN ('changed', 'epoch')", ""
    if late is not None:
        asked += " OR coalesce(late.after_rebalance, false)"
        joined = f"LEFT JOIN {late} AS late USING (strategy, participant_code)"
    return changes.rows.workspace.rows(
        f"""
        SELECT strategy, sent.target
        FROM {rebalances.sent} AS sent JOIN {changes.rows} USING (strategy, participant_code)
        {joined} GROUP BY strategy, sent.target HAVING NOT bool_or({asked}) ORDER BY ALL
        """
    )


def _bands(terms: Terms, strategy: str, target: int) -> dict[str, int]:
    """Asset -> band in 10⁻¹⁸, narrowed together where they add up to more than the portfolio's."""
    rows = terms.terms.workspace.rows(
        f"""
        SELECT asset, CASE WHEN weight_e18 = 0 THEN 0 ELSE band_e18 END, portfolio_e18
        FROM {terms.terms} JOIN {terms.targets} USING (strategy, target)
        WHERE strategy = $1 AND target = $2 ORDER BY ALL
        """,
        [strategy, target],
    )
    whole = sum(band for _, band, _ in rows)
    return {asset: min(band, band * 2 * most // max(1, whole)) for asset, band, most in rows}


def _room(
    declared: Vector, bands: dict[str, int], hysteresis: Fraction
) -> tuple[Shares, Shares] | None:
    """(low, high) of the shares that are deep enough inside the bands.

    Never all the way to zero, which would sell an asset in full that is no named exit.
    """
    used = {asset: int(band * (1 - hysteresis)) for asset, band in bands.items()}
    low = tuple(max(min(weight, 1), weight - used[asset]) for asset, weight in declared.weights_e18)
    high = tuple(min(WEIGHT_ONE_E18, weight + used[a]) for a, weight in declared.weights_e18)
    return (low, high) if low != high else None


def _inside(vector: Vector, declared: Vector, bands: dict[str, int]) -> bool:
    return vector.assets == declared.assets and all(
        abs(weight - wanted) < bands[asset] or weight == wanted
        for (asset, weight), (_, wanted) in zip(
            vector.weights_e18, declared.weights_e18, strict=True
        )
    )


def _cheapest(
    rebalances: Rebalances,
    declared: Vector,
    room: tuple[Shares, Shares],
    strategy: str,
    target: int,
) -> Vector:
    mixes = _mixes(rebalances, strategy, target, 1)
    if len(mixes) > MIXES_MAX:
        mixes = _mixes(rebalances, strategy, target, WEIGHT_ONE_E18 // 1000)
    pulls = [Pull(shares, above_e8=value, below_e8=value) for shares, value in mixes]
    weights = tuple(weight for _, weight in declared.weights_e18)
    shares = rounded(nearest(*cheapest_face(*room, pulls), weights), *room)
    return Vector(tuple(zip(declared.assets, shares, strict=True)))


def _mixes(
    rebalances: Rebalances, strategy: str, target: int, step: int
) -> list[tuple[Shares, int]]:
    """(shares held, value) of participants that hold the same ratios, assets ascending."""
    share = ratio_down_sql("held_e8", "value_e8::HUGEINT")
    return [
        (tuple(shares), value)
        for shares, value in rebalances.sent.workspace.rows(
            f"""
            SELECT shares, sum(value_e8)::HUGEINT
            FROM (
                SELECT list((({share}) // {step} * {step})::HUGEINT ORDER BY asset) AS shares,
                    any_value(value_e8)::HUGEINT AS value_e8
                FROM {rebalances.legs} JOIN {rebalances.sent} USING (strategy, participant_code)
                WHERE strategy = $1 AND target = $2 GROUP BY participant_code
            )
            GROUP BY shares ORDER BY ALL
            """,
            [strategy, target],
        )
    ]


def _serves_all(
    terms: Terms,
    rebalances: Rebalances,
    strategy: str,
    target: int,
    vector: Vector,
    hysteresis: Fraction,
) -> bool:
    """Whether everybody can trade to it, and is in band although legs below the minimum are not.

    What such legs leave undone is at most their sum, which must fit between the vector and the
    edge of each band. Which way a leg goes, and so whether a side forbids it, depends on the
    vector too.
    """
    spare = share_sql("min(band_e8)", str(int(hysteresis * WEIGHT_ONE_E18)))
    side, sides = "NULL", ""
    if terms.sides is not None:
        edge = share_sql("value_e8::HUGEINT", "edge_e18")
        side = forbidden_sql(f"{edge} > held_e8", f"{edge} < held_e8")
        sides = f"LEFT JOIN {terms.sides} USING (asset)"
    space = rebalances.sent.workspace
    parts = space.table(
        "edge_parts",
        {"asset": "VARCHAR", "edge_e18": "HUGEINT"},
        list(zip(*vector.weights_e18, strict=True)),
    )
    missed = space.one(
        f"""
        WITH legs AS (
            SELECT participant_code,
                {share_sql("value_e8::HUGEINT", "edge_e18")} - held_e8 AS leg_e8,
                greatest(minimum_e8, 1) AS minimum_e8, {side} AS side_detail,
                CASE WHEN terms.weight_e18 > 0
                     THEN {share_sql("value_e8::HUGEINT", "band_e18")} END AS band_e8
            FROM {rebalances.legs} AS legs
            JOIN {rebalances.sent} AS sent USING (strategy, participant_code)
            JOIN {terms.terms} AS terms USING (strategy, target, asset)
            JOIN {parts} USING (asset) {sides}
            WHERE strategy = $1 AND target = $2
        ),
        people AS (
            SELECT bool_or(leg_e8 >= minimum_e8) AND bool_or(-leg_e8 >= minimum_e8)
                    AND count(side_detail) = 0 AS trades,
                coalesce(sum(abs(leg_e8)) FILTER (abs(leg_e8) < minimum_e8), 0) AS undone_e8,
                {spare} AS spare_e8
            FROM legs GROUP BY participant_code
        )
        SELECT count(*) FROM people WHERE NOT trades OR undone_e8 > spare_e8
        """,
        [strategy, target],
    )[0]
    return not missed


def _aimed(rebalances: Rebalances, aims: Aims) -> Rebalances:
    """The same rebalances, with what they sell and buy on the way to the chosen vectors."""
    space = rebalances.sent.workspace
    legs = space.select(
        "edge_legs",
        LEG_ROWS,
        f"""
        SELECT legs.strategy, legs.participant_code, legs.asset, legs.weight_e18, held_e8,
            CASE WHEN vector_text IS NULL THEN delta_e8
                 ELSE {share_sql("sent.value_e8::HUGEINT", "part.weight_e18")} - held_e8
            END::HUGEINT AS delta_e8
        FROM {rebalances.legs} AS legs
        JOIN {rebalances.sent} AS sent USING (strategy, participant_code)
        LEFT JOIN {aims.rows} USING (strategy, participant_code)
        LEFT JOIN {aims.parts} AS part USING (vector_text, asset)
        """,
    )
    columns = ", ".join(
        "sold.moved_e8" if column == "moved_e8" else f"sent.{column}" for column in SENT_ROWS
    )
    sent = space.select(
        "edge_rebalances",
        SENT_ROWS,
        f"""
        WITH sold AS (
            SELECT strategy, participant_code,
                sum(greatest(0, -delta_e8))::DECIMAL(38,0) AS moved_e8
            FROM {legs} GROUP BY ALL
        )
        SELECT {columns} FROM {rebalances.sent} AS sent
        JOIN sold USING (strategy, participant_code)
        """,
    )
    return replace(rebalances, sent=sent, legs=legs)
