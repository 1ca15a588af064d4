"""Cash flow that repairs drift: one vector for a whole group, where it is proven for everybody.

With v what is held of an asset, V the whole, w the declared weight and f the flow, a participant
should hold ``T = w * (V + f)`` of it afterwards and is in band within B of that. A top-up at share
``a`` ends at ``v + f * a``, a partial sell at ``v - f * a``, so it accepts

    top-up          (T - B - v) / f  <=  a  <=  (T + B - v) / f
    partial sell    (v - T - B) / f  <=  a  <=  (v - T + B) / f,    and never more than v / f

B is the band, or the minimum leg of a target that changed, less two minor units: a leg is placed
in whole ones, and quantities are cut. Who is not rebalanced at all accepts
what leaves no asset further from its target, in shares, than it is or than its band. Whose
holdings cannot be judged (an asset without a price, or one that nobody named) accepts the declared
weights and nothing else.

A rebalance that a breached band asks for sells and buys, so it helps only where a leg of each kind
reaches its minimum. With m the minimum, and two minor units for the same reason, there must be an
asset at or above, and one at or below

    top-up          (T - v + m) / f  <=  a_i    and    a_j  <=  (T - v - m) / f
    partial sell    (v - T + m) / f  <=  a_i    and    a_j  <=  (v - T - m) / f

Where neither a band nor a rebalance can be reached, the flow is sent at the declared weights, which
leave every leg as large as it is. A band that is wider than what small legs can add up to asks for
none of this.

Participants travel as columns. Those that are alike are one *vintage*: everybody who was last set
to target by the same Operation holds the same ratios. Decisions are made over a few hundred
vintages; where there are more, boxes are cut inwards to a coarser lattice around the declared
weights, which proves less and never too much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stratctl.core.money import PRICE_DIGITS, WEIGHT_ONE_E18, minor_digits
from stratctl.core.plan import CallTotal
from stratctl.core.state import Vector, Verb
from stratctl.core.words import count
from stratctl.plan.aims import AIMED_ROWS, Aims, aims_of
from stratctl.plan.boxes import Box, Shares
from stratctl.plan.flows import Flows, flows_of
from stratctl.plan.grouping import Answer, Question, Vintage, best_choice
from stratctl.plan.impact import managed_values
from stratctl.plan.rebalance import CANDIDATE_ROWS, parts_of
from stratctl.plan.terms import ratio_down_sql, ratio_up_sql, share_sql

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from stratctl.core.change import Changes
    from stratctl.core.plan import Acknowledgement
    from stratctl.core.settings import Policy
    from stratctl.core.state import Live, Target
    from stratctl.core.tables import Table
    from stratctl.plan.certificate import Bounds
    from stratctl.plan.rebalance import Rebalances
    from stratctl.plan.terms import Terms

VINTAGES_MAX = 256
"""More than this are not decided over one by one."""

LATTICES_E18 = (1, *(WEIGHT_ONE_E18 // parts for parts in (1000, 100, 20, 10, 4, 1)))
"""Steps of a box, from exact to the declared weights or nothing."""


@dataclass(frozen=True)
class Sharing:
    """The flows with the vectors that they share."""

    flows: Flows
    aims: Aims
    totals: tuple[CallTotal, ...]
    bounds: Bounds
    avoidable_e8: Mapping[str, int]
    """Per Strategy: sells that more calls would spare."""


_FLOWING_ROWS = {
    **CANDIDATE_ROWS,
    "verb": "VARCHAR",
    "size_e8": "HUGEINT",
    "held_back": "VARCHAR",
}

_FLOWING = """
SELECT judged.strategy, judged.strategy_id, judged.participant_code, judged.target,
    -- Who rests is not rebalanced, nor perhaps who has an asset that may be traded one way only:
    -- nobody counts on it.
    CASE WHEN {one_sided} THEN NULL
         WHEN retarget IN ('changed', 'epoch') OR NOT {resting} THEN retarget END AS retarget,
    0::HUGEINT AS flow_e8, rebalanced_at,
    judged.verb, judged.amount_minor::HUGEINT * judged.minor_e8 AS size_e8, judged.held_back
FROM {judged} AS judged JOIN {changes} AS change USING (strategy, participant_code)
WHERE judged.verb IN ('top_up', 'partial_sell') AND judged.trader_id IS NOT NULL AND NOT paired
  AND (held_back IS NULL OR {liftable})
"""

_MEASURED_ROWS = {
    "strategy": "VARCHAR",
    "verb": "VARCHAR",
    "participant_code": "VARCHAR",
    "target": "INTEGER",
    "asset": "VARCHAR",
    "may_rebalance": "BOOLEAN",
    "size_e8": "HUGEINT",
    "held_e8": "HUGEINT",
    "wanted_e8": "HUGEINT",
    "weight_e18": "HUGEINT",
    "low_e18": "HUGEINT",
    "high_e18": "HUGEINT",
    "carried_e18": "HUGEINT",
    "least_e18": "HUGEINT",
    "knee_e18": "HUGEINT",
    "over_e18": "HUGEINT",
    "under_e18": "HUGEINT",
    "sold_anyway_e8": "HUGEINT",
}
"""One row per flow and asset. ``low_e18`` to ``high_e18`` is accepted, up to ``carried_e18`` can
be carried out, ``least_e18`` is the smallest leg; from ``over_e18`` on, and up to ``under_e18``, a
rebalance has a leg of the one kind, and of the other. -1 and 1 + 10⁻¹⁸ stand for bounds that no
share reaches."""

_MEASURED = """
WITH whole AS (
    SELECT strategy, participant_code, sum(value_e8)::HUGEINT AS whole_e8,
        bool_or(weight_e18 IS NULL OR value_e8 IS NULL) AS unjudged
    FROM {parts} GROUP BY ALL
),
bands AS (
    -- Bands that add up to more than twice the portfolio band are narrowed together: then nobody
    -- who is inside all of them is outside the portfolio band.
    SELECT terms.strategy, terms.target, terms.asset, minimum_e8,
        CASE WHEN sum(band_e18) OVER each > 2 * portfolio_e18
             THEN band_e18 * (2 * portfolio_e18) // (sum(band_e18) OVER each)::HUGEINT
             ELSE band_e18 END AS band_e18,
        2 * minor_e8 AS slop_e8
    FROM {terms} AS terms JOIN {targets} AS targets USING (strategy, target)
    WINDOW each AS (PARTITION BY terms.strategy, terms.target)
),
small AS (
    -- So much can be too much of one asset while no other lacks a leg that reaches its minimum.
    SELECT strategy, target, min(band_e18) AS narrowest_e18,
        (sum(CASE WHEN minimum_e8 > slop_e8 THEN minimum_e8 ELSE 0 END)
            - min(minimum_e8))::HUGEINT AS scattered_e8
    FROM bands GROUP BY ALL
),
sized AS (
    SELECT flowing.*, whole_e8, unjudged,
        greatest(0, CASE verb WHEN 'top_up' THEN whole_e8 + size_e8
                              ELSE whole_e8 - size_e8 END) AS after_e8
    FROM {flowing} AS flowing JOIN whole USING (strategy, participant_code)
    WHERE coalesce(held_back, 'stale_flow') = 'stale_flow' OR NOT unjudged
),
valued AS (
    SELECT sized.*, parts.asset, parts.weight_e18, coalesce(value_e8, 0) AS held_e8,
        greatest(parts.minimum_e8, 1) AS minimum_e8, bands.band_e18,
        -- Of a named exit that is not held, nothing is placed and nothing cut.
        CASE WHEN parts.weight_e18 = 0 AND value_e8 = 0 THEN 0 ELSE slop_e8 END AS slop_e8,
        retarget IS NOT DISTINCT FROM 'watch' AND NOT unjudged
            AND {narrowest} < scattered_e8 AS may_strand,
        {wanted} AS wanted_e8,
        value_e8 - {now} AS above_e8
    FROM sized
    JOIN {parts} AS parts USING (strategy, participant_code)
    JOIN bands ON bands.strategy = sized.strategy AND bands.target = sized.target
              AND bands.asset = parts.asset
    JOIN small ON small.strategy = sized.strategy AND small.target = sized.target
),
tolerant AS (
    -- A leg that reaches the minimum is sent for a changed target; a band is breached above it.
    SELECT *,
        CASE WHEN retarget IN ('changed', 'epoch') THEN minimum_e8 - 1
             WHEN retarget IS NOT NULL THEN greatest({band}, minimum_e8)
             ELSE greatest({band}, minimum_e8, {grown_above}) END - slop_e8 AS too_much_e8,
        CASE WHEN retarget IN ('changed', 'epoch') THEN minimum_e8 - 1
             WHEN retarget IS NOT NULL THEN greatest({band}, minimum_e8)
             ELSE greatest({band}, minimum_e8, {grown_below}) END - slop_e8 AS too_little_e8
    FROM valued
),
bounded AS (
    SELECT *,
        CASE verb WHEN 'top_up' THEN wanted_e8 - too_little_e8 - held_e8
                  ELSE held_e8 - wanted_e8 - too_much_e8 END AS low_e8,
        CASE verb WHEN 'top_up' THEN wanted_e8 + too_much_e8 - held_e8
                  ELSE held_e8 - wanted_e8 + too_little_e8 END AS high_e8,
        CASE verb WHEN 'top_up' THEN size_e8 ELSE held_e8 END AS carried_e8,
        CASE verb WHEN 'top_up' THEN wanted_e8 - held_e8 ELSE held_e8 - wanted_e8 END AS knee_e8
    FROM tolerant
)
SELECT strategy, verb, participant_code, target, asset,
    retarget IS NOT NULL AND NOT unjudged AS may_rebalance,
    size_e8, held_e8, wanted_e8, weight_e18,
    CASE WHEN unjudged THEN weight_e18
         WHEN low_e8 > size_e8 THEN 1000000000000000001
         ELSE {low} END::HUGEINT AS low_e18,
    CASE WHEN unjudged THEN weight_e18
         WHEN high_e8 < 0 THEN -1
         WHEN weight_e18 = 0 THEN 0
         ELSE least({high}, {carried}) END::HUGEINT AS high_e18,
    CASE WHEN unjudged THEN weight_e18
         WHEN weight_e18 = 0 THEN 0
         ELSE {carried} END::HUGEINT AS carried_e18,
    CASE WHEN unjudged OR minimum_e8 <= 1 THEN 0
         WHEN minimum_e8 > size_e8 THEN 1000000000000000001
         ELSE {least} END::HUGEINT AS least_e18,
    CASE WHEN weight_e18 = 0 THEN 0 ELSE {knee} END::HUGEINT AS knee_e18,
    CASE WHEN NOT may_strand THEN 0
         WHEN knee_e8 + minimum_e8 + slop_e8 > size_e8 THEN 1000000000000000001
         ELSE {over} END::HUGEINT AS over_e18,
    CASE WHEN NOT may_strand THEN 1000000000000000000
         WHEN knee_e8 - minimum_e8 - slop_e8 < 0 THEN -1
         ELSE {under} END::HUGEINT AS under_e18,
    greatest(0, CASE verb WHEN 'top_up' THEN -knee_e8
                          WHEN 'partial_sell' THEN
                               knee_e8 - CASE WHEN weight_e18 = 0 THEN 0 ELSE size_e8 END
                END) AS sold_anyway_e8
FROM bounded
"""

_SHAPE = {
    "assets": "VARCHAR[]",
    "weights": "HUGEINT[]",
    "lows": "HUGEINT[]",
    "highs": "HUGEINT[]",
    "carries": "HUGEINT[]",
    "leasts": "HUGEINT[]",
    "knees": "HUGEINT[]",
    "overs": "HUGEINT[]",
    "unders": "HUGEINT[]",
}
_KIND = {"strategy": "VARCHAR", "verb": "VARCHAR", "target": "INTEGER", "may_rebalance": "BOOLEAN"}
_SHAPED_ROWS = {
    **_KIND,
    "participant_code": "VARCHAR",
    **_SHAPE,
    "size_e8": "HUGEINT",
    "sold_anyway_e8": "HUGEINT",
}
_VINTAGE_ROWS = {
    "key": "BIGINT",
    **_KIND,
    **_SHAPE,
    "members": "BIGINT",
    "size_e8": "HUGEINT",
    "sold_anyway_e8": "HUGEINT",
}
_MEMBER_ROWS = {
    "strategy": "VARCHAR",
    "verb": "VARCHAR",
    "participant_code": "VARCHAR",
    "key": "BIGINT",
}


def shared_flows(
    changes: Changes,
    live: Live,
    terms: Terms,
    policy: Policy,
    flows: Flows,
    rebalances: Rebalances,
    *,
    valid: Sequence[Acknowledgement],
    kept: Collection[tuple[str, Verb, Vector]],
) -> Sharing | None:
    """The flows at the best vectors that they can share; None where nobody has a flow.

    ``rebalances``: who would be rebalanced with every flow at its declared weights; of these only
    participants without a flow count here. ``kept``: vectors that were approved. What only the
    declared weights held back is sent where another vector serves it.
    """
    asked = _Asked(changes, live, terms, policy, rebalances, kept)
    sharing = asked.answer(flows.judged, valid)
    if sharing and sharing.flows.acknowledgements == () and _stale(sharing.flows.judged):
        # Flows that waited for too long and are not released decide nothing for the others.
        moving = asked.answer(sharing.flows.judged, valid, also_stale=False)
        return moving and replace(moving, flows=sharing.flows)
    return sharing


def _stale(judged: Table) -> bool:
    count = f"SELECT count(*) FROM {judged} WHERE held_back = 'stale_flow'"
    return bool(judged.workspace.one(count)[0])


@dataclass(frozen=True)
class _Asked:
    """What stays the same however many flows are asked about."""

    changes: Changes
    live: Live
    terms: Terms
    policy: Policy
    rebalances: Rebalances
    kept: Collection[tuple[str, Verb, Vector]]

    def answer(
        self, judged: Table, valid: Sequence[Acknowledgement], *, also_stale: bool = True
    ) -> Sharing | None:
        """The best vectors for these flows."""
        space = judged.workspace
        flowing = space.select(
            "flowing",
            _FLOWING_ROWS,
            _FLOWING.format(
                judged=judged,
                changes=self.changes.rows,
                resting=self.terms.resting,
                one_sided=_one_sided_sql(self.terms),
                liftable="held_back IN ('below_leg_minimum', 'partial_sell_infeasible',"
                " 'stale_flow')"
                if also_stale
                else "false",
            ),
            of=judged,
        )
        if not len(flowing):
            return None
        measured = _measured(flowing, self.live, self.terms)
        vintages, members, step_e18 = _vintages(measured)
        narrowed = _narrowed(self.terms) | _one_sided(self.terms)
        found = _read(vintages, measured, members)
        waiting = _waiting(self.rebalances, flowing)
        values = managed_values(self.changes, self.live, self.terms)
        limit = self.policy.guard("avoidable_sells").limit
        totals: list[CallTotal] = []
        vectors: dict[int, Vector] = {}
        bounds: dict[tuple[str, Verb], tuple[int, str]] = {}
        avoidable_e8: dict[str, int] = {}
        for change in self.changes.strategies:
            name = change.desired.name
            question = _Ordered.of(
                [vintage for vintage in found if vintage.strategy == name],
                waiting.get(name, ()),
                per_call=self.policy.participants_per_call,
                sells_allowed_e8=int(values.get(name, (0, ()))[0] * limit),
                kept=[(verb, vector) for strategy, verb, vector in self.kept if strategy == name],
                targets=change.desired.targets,
                whole_boxes=step_e18 == 1 and name not in narrowed,
            )
            if question.empty:
                continue
            answer = best_choice(question.question)
            vectors.update(question.vectors(answer))
            bounds.update(_bounds(name, question.question, answer))
            avoidable_e8[name] = answer.best.avoidable_e8
            totals.append(_total(name, change.desired.quoted_currency, answer))
        aims = _aims(members, vectors)
        return Sharing(
            flows=flows_of(_lifted(judged, aims), valid),
            aims=aims,
            totals=tuple(totals),
            bounds=bounds,
            avoidable_e8=avoidable_e8,
        )


def _measured(flowing: Table, live: Live, terms: Terms) -> Table:
    space = flowing.workspace
    candidates = space.select(
        "flowing_holders", CANDIDATE_ROWS, f"SELECT {', '.join(CANDIDATE_ROWS)} FROM {flowing}"
    )
    return space.select(
        "flows_measured",
        _MEASURED_ROWS,
        _MEASURED.format(
            flowing=flowing,
            parts=parts_of(candidates, live, terms),
            terms=terms.terms,
            targets=terms.targets,
            wanted=share_sql("after_e8", "parts.weight_e18"),
            now=share_sql("whole_e8", "parts.weight_e18"),
            band=share_sql("after_e8", "band_e18"),
            grown_above=share_sql("after_e8", ratio_down_sql("above_e8", "whole_e8")),
            grown_below=share_sql("after_e8", ratio_down_sql("(-above_e8)", "whole_e8")),
            low=ratio_up_sql("low_e8", "size_e8"),
            high=ratio_down_sql("high_e8", "size_e8"),
            carried=ratio_down_sql("carried_e8", "size_e8"),
            least=ratio_up_sql("minimum_e8", "size_e8"),
            knee=ratio_down_sql("knee_e8", "size_e8"),
            narrowest=share_sql("after_e8", "narrowest_e18"),
            over=ratio_up_sql("knee_e8 + minimum_e8 + slop_e8", "size_e8"),
            under=ratio_down_sql("knee_e8 - minimum_e8 - slop_e8", "size_e8"),
        ),
    )


def _narrowed(terms: Terms) -> set[str]:
    """Strategies with a target whose bands are narrowed to fit the portfolio band."""
    rows = terms.terms.workspace.rows(
        f"""
        SELECT strategy FROM {terms.terms} JOIN {terms.targets} USING (strategy, target)
        GROUP BY strategy, target HAVING sum(band_e18) > 2 * any_value(portfolio_e18) ORDER BY ALL
        """
    )
    return {strategy for (strategy,) in rows}


def _one_sided_sql(terms: Terms) -> str:
    """SQL: whether a judged flow's target names an asset that may not be traded both ways."""
    if terms.sides is None:
        return "false"
    named = f"SELECT (strategy, target) FROM {terms.terms} JOIN {terms.sides} USING (asset)"
    return f"(judged.strategy, judged.target) IN ({named})"


def _one_sided(terms: Terms) -> set[str]:
    """Strategies with a target that names an asset that may not be traded both ways."""
    if terms.sides is None:
        return set()
    rows = terms.terms.workspace.rows(
        f"SELECT DISTINCT strategy FROM {terms.terms} JOIN {terms.sides} USING (asset) ORDER BY ALL"
    )
    return {strategy for (strategy,) in rows}


def _vintages(measured: Table) -> tuple[Table, Table, int]:
    """The vintages, who belongs to which, and the finest lattice that leaves few enough."""
    step_e18, *coarser = LATTICES_E18
    shaped, vintages = _shaped(measured, step_e18)
    while len(vintages) > VINTAGES_MAX and coarser:
        step_e18 = coarser.pop(0)
        shaped, vintages = _shaped(measured, step_e18)
    members = measured.workspace.select(
        "vintage_members",
        _MEMBER_ROWS,
        f"""
        SELECT strategy, verb, participant_code, key
        FROM {shaped} JOIN {vintages} USING ({", ".join({**_KIND, **_SHAPE})})
        """,
    )
    return vintages, members, step_e18


def _shaped(measured: Table, step_e18: int) -> tuple[Table, Table]:
    """Flows with their bounds, and the distinct ones in an order that knows no names of people."""
    space, alike = measured.workspace, ", ".join({**_KIND, **_SHAPE})
    shaped = space.select("shaped", _SHAPED_ROWS, _shaped_sql(measured, step_e18))
    vintages = space.select(
        "vintages",
        _VINTAGE_ROWS,
        f"""
        SELECT row_number() OVER (ORDER BY {alike}) AS key, *
        FROM (
            SELECT {alike}, count(*) AS members, sum(size_e8)::HUGEINT AS size_e8,
                sum(sold_anyway_e8)::HUGEINT AS sold_anyway_e8
            FROM {shaped} GROUP BY {alike}
        )
        """,
    )
    return shaped, vintages


def _shaped_sql(measured: Table, step_e18: int) -> str:
    """One row per flow, its bounds cut inwards to a lattice around the declared weights."""

    def down(bound: str) -> str:
        steps = _floored(f"({bound} - weight_e18)", step_e18)
        return f"greatest(-1, weight_e18 + {steps})"

    def up(bound: str) -> str:
        steps = _floored(f"(weight_e18 - {bound})", step_e18)
        return f"least({WEIGHT_ONE_E18 + 1}, weight_e18 - {steps})"

    def listed(value: str) -> str:
        return f"list(({value})::HUGEINT ORDER BY asset)"

    least = f"CASE WHEN least_e18 = 0 THEN 0 ELSE {up('least_e18')} END"
    over = f"CASE WHEN over_e18 = 0 THEN 0 ELSE {up('over_e18')} END"
    under = f"CASE WHEN under_e18 = {WEIGHT_ONE_E18} THEN under_e18 ELSE {down('under_e18')} END"
    return f"""
        SELECT {", ".join(_KIND)}, participant_code,
            list(asset ORDER BY asset) AS assets,
            {listed("weight_e18")} AS weights,
            {listed(f"CASE WHEN low_e18 = 0 THEN 0 ELSE {up('low_e18')} END")} AS lows,
            {listed(down("high_e18"))} AS highs,
            {listed(down("carried_e18"))} AS carries,
            {listed(least)} AS leasts,
            {listed(f"greatest(0, {down('knee_e18')})")} AS knees,
            {listed(over)} AS overs,
            {listed(under)} AS unders,
            min(size_e8)::HUGEINT AS size_e8, sum(sold_anyway_e8)::HUGEINT AS sold_anyway_e8
        FROM {measured} GROUP BY {", ".join(_KIND)}, participant_code
    """


def _floored(distance: str, step_e18: int) -> str:
    """SQL: the largest multiple of a step that is not above a distance, also below zero."""
    if step_e18 == 1:
        return distance
    return f"({distance} - ({distance} % {step_e18} + {step_e18}) % {step_e18})"


@dataclass(frozen=True)
class _Found:
    """A vintage as it was read: by asset, in no shared order yet."""

    key: int
    strategy: str
    verb: Verb
    target: int
    may_rebalance: bool
    members: int
    size_e8: int
    sold_anyway_e8: int
    bounds: Mapping[str, tuple[int, ...]]
    """Asset -> weight, low, high, carried, least, knee, over, under."""
    held_e8: Mapping[str, int]
    wanted_e8: Mapping[str, int]

    def vintage(self, assets: Sequence[str]) -> Vintage | None:
        """In an order of assets that may be longer than its own; None: no vector serves it."""
        nothing = (0, 0, 0, 0, 0, 0, WEIGHT_ONE_E18 + 1, -1)
        columns = zip(*(self.bounds.get(asset, nothing) for asset in assets), strict=True)
        weights, low, high, carried, least, knees, over, under = columns
        vintage = Vintage(
            key=self.key,
            target=self.target,
            members=self.members,
            may_rebalance=self.may_rebalance,
            accepts=Box(low=low, high=high, least=least),
            carries=Box(low=(0,) * len(assets), high=carried, least=least),
            knees=knees,
            over=over,
            under=under,
            flow_e8=self.size_e8,
            buying=self.verb is Verb.TOP_UP,
            sold_anyway_e8=self.sold_anyway_e8,
            held_e8=tuple(self.held_e8.get(asset, 0) for asset in assets),
            wanted_e8=tuple(self.wanted_e8.get(asset, 0) for asset in assets),
        )
        return vintage if vintage.helped else vintage.sent_at(weights)


def _read(vintages: Table, measured: Table, members: Table) -> list[_Found]:
    space = vintages.workspace
    sums: dict[int, list[tuple[str, int, int]]] = {}
    for key, asset, held, wanted in space.rows(
        f"""
        SELECT key, asset, sum(held_e8)::HUGEINT, sum(wanted_e8)::HUGEINT
        FROM {measured} JOIN {members} USING (strategy, verb, participant_code)
        GROUP BY key, asset ORDER BY ALL
        """
    ):
        sums.setdefault(key, []).append((asset, held, wanted))
    return [
        _Found(
            key=key,
            strategy=strategy,
            verb=Verb(verb),
            target=target,
            may_rebalance=may_rebalance,
            members=people,
            size_e8=size,
            sold_anyway_e8=anyway,
            bounds=dict(zip(assets, zip(*bounds, strict=True), strict=True)),
            held_e8={asset: held for asset, held, _ in sums[key]},
            wanted_e8={asset: wanted for asset, _, wanted in sums[key]},
        )
        for key, strategy, verb, target, may_rebalance, assets, *bounds, people, size, anyway in (
            space.rows(f"SELECT * FROM {vintages} ORDER BY key")
        )
    ]


def _waiting(rebalances: Rebalances, flowing: Table) -> dict[str, list[tuple[int, int]]]:
    """Per Strategy: (target, participants) of those that are rebalanced and have no flow."""
    found: dict[str, list[tuple[int, int]]] = {}
    for strategy, target, people in flowing.workspace.rows(
        f"""
        SELECT strategy, target, count(*)
        FROM {rebalances.sent} ANTI JOIN {flowing} USING (strategy, participant_code)
        GROUP BY strategy, target ORDER BY ALL
        """
    ):
        found.setdefault(strategy, []).append((target, people))
    return found


@dataclass(frozen=True)
class _Ordered:
    """A question, and the assets in the order that its shares have."""

    question: Question
    assets: tuple[str, ...]

    @classmethod
    def of(
        cls,
        found: Sequence[_Found],
        waiting: Sequence[tuple[int, int]],
        *,
        per_call: int,
        sells_allowed_e8: int,
        kept: Sequence[tuple[Verb, Vector]],
        targets: Sequence[Target],
        whole_boxes: bool,
    ) -> _Ordered:
        assets = tuple(sorted({asset for one in found for asset in one.bounds}))
        vintages = [vintage for one in found if (vintage := one.vintage(assets))]

        def shares(verb: Verb) -> tuple[Shares, ...]:
            named = [dict(vector.weights_e18) for of, vector in kept if of is verb]
            fitting = [weights for weights in named if set(weights) <= set(assets)]
            return tuple(sorted({tuple(w.get(asset, 0) for asset in assets) for w in fitting}))

        question = Question(
            inflows=tuple(v for v in vintages if v.buying),
            outflows=tuple(v for v in vintages if not v.buying),
            rebalanced=tuple(waiting),
            per_call=per_call,
            sells_allowed_e8=sells_allowed_e8,
            kept_inflows=shares(Verb.TOP_UP),
            kept_outflows=shares(Verb.PARTIAL_SELL),
            whole_boxes=whole_boxes,
            kept_targets=frozenset(
                index
                for index, target in enumerate(targets)
                for verb, vector in kept
                if verb is Verb.REBALANCE and vector.assets == target.rebalance_vector.assets
            ),
        )
        return cls(question, assets)

    @property
    def empty(self) -> bool:
        return not self.question.inflows and not self.question.outflows

    def vectors(self, answer: Answer) -> dict[int, Vector]:
        """The vector of each vintage, by key."""
        return {
            vintage.key: self._vector(group.shares)
            for side in (answer.best.inflows, answer.best.outflows)
            for group in side.groups
            for vintage in group.vintages
        }

    def _vector(self, shares: Shares) -> Vector:
        weights = zip(self.assets, shares, strict=True)
        return Vector(tuple((asset, share) for asset, share in weights if share))


def _bounds(
    strategy: str, question: Question, answer: Answer
) -> Iterator[tuple[tuple[str, Verb], tuple[int, str]]]:
    """The fewest calls of each class, each for itself: together there may have to be more."""
    for verb, side, least in (
        (Verb.TOP_UP, question.inflows, answer.least_inflows),
        (Verb.PARTIAL_SELL, question.outflows, answer.least_outflows),
    ):
        if side:
            people = sum(vintage.members for vintage in side)
            because = f"{count(people, 'participant')}, {count(len(side), 'vintage')}"
            yield (strategy, verb), (least, because)
    forced = count(answer.least_rebalances, "target")
    yield (
        (strategy, Verb.REBALANCE),
        (
            answer.least_rebalances,
            f"{forced} with somebody whom no flow brings into band",
        ),
    )


def _total(strategy: str, currency: str, answer: Answer) -> CallTotal:
    minor_e8 = 10 ** (PRICE_DIGITS - minor_digits(currency))
    best, other = answer.best, answer.runner_up
    return CallTotal(
        strategy=strategy,
        currency=currency,
        calls=best.calls,
        least=answer.least_calls,
        sells_minor=best.sells_e8 // minor_e8,
        runner_up_calls=other.calls if other else None,
        runner_up_sells_minor=other.sells_e8 // minor_e8 if other else None,
    )


def _aims(members: Table, vectors: Mapping[int, Vector]) -> Aims:
    space = members.workspace
    chosen = space.table(
        "chosen_vectors",
        {"key": "BIGINT", "vector_text": "VARCHAR"},
        [list(vectors), [vector.text for vector in vectors.values()]],
    )
    rows = space.select(
        "aimed",
        AIMED_ROWS,
        f"""
        SELECT strategy, verb, participant_code, vector_text
        FROM {members} JOIN {chosen} USING (key)
        """,
    )
    return aims_of(rows, vectors.values())


def _lifted(judged: Table, aims: Aims) -> Table:
    """The flows without what only the declared weights held back."""
    columns = ", ".join(
        "CASE WHEN vector_text IS NULL THEN held_back WHEN stale THEN 'stale_flow' END AS held_back"
        if column == "held_back"
        else f"judged.{column}"
        for column in judged.schema
    )
    return judged.workspace.select(
        "flows_lifted",
        judged.schema,
        f"""
        SELECT {columns} FROM {judged} AS judged
        LEFT JOIN {aims.rows} USING (strategy, verb, participant_code)
        """,
    )
