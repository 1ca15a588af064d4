"""From rows to calls: grouped by vector, split only by size, in the one order that is safe.

In a Strategy: create and metadata, liquidate, partial sell, top up, enroll, then the barrier (all
of these terminal, live read again), then rebalance, then partial sells that fit only what it
leaves, then flags. Strategies run side by side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stratctl.core.plan import PLAN_ROWS, Call, Fence
from stratctl.core.state import TRADING_VERBS, VERB_ORDER, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stratctl.core.change import Changes, StrategyChange
    from stratctl.core.state import Target, Vector
    from stratctl.core.tables import Table
    from stratctl.plan.aims import Aims
    from stratctl.plan.terms import Terms

_PLACED_ROWS = {
    "strategy": "VARCHAR",
    "verb": "VARCHAR",
    "participant_code": "VARCHAR",
    "vector_text": "VARCHAR",
    "after_rebalance": "BOOLEAN",
    "part": "BIGINT",
    "target": "INTEGER",
    "amount_minor": "BIGINT",
}
"""Which call each row is in: those of one Strategy, verb, vector and place, by part."""

_NUMBER_ROWS = {
    "call": "INTEGER",
    "strategy": "VARCHAR",
    "verb": "VARCHAR",
    "vector_text": "VARCHAR",
    "after_rebalance": "BOOLEAN",
    "part": "BIGINT",
}


def ordered_calls(
    changes: Changes,
    terms: Terms,
    flows: Table,
    rebalances: Table,
    aims: Aims | None = None,
    *,
    per_call: int,
) -> tuple[tuple[Call, ...], Table]:
    """The calls in order, and PLAN_ROWS. ``aims``: vectors in the place of declared ones.

    Everyone in one call gets one price, so a group is split only where it is larger than
    ``per_call``, and then by a hash that knows neither size nor owner.
    """
    space = changes.rows.workspace
    chosen, end, joined = "", "", ""
    if aims is not None:
        chosen, end = "coalesce(aimed.vector_text, ", ")"
        joined = f"LEFT JOIN {aims.rows} AS aimed USING (strategy, verb, participant_code)"
    every = f"""(
        SELECT * FROM {flows} UNION ALL SELECT * FROM {rebalances} UNION ALL
        SELECT strategy, strategy_id, participant_code, 'flags', target,
            NULL, flag, trader_id, trader_updated_at,
            CASE WHEN exited THEN 'status is exited'
                 WHEN flag THEN 'auto_rebalance is declared true'
                 ELSE 'auto_rebalance is declared false' END,
            cohort, file, line, 0, NULL, false
        FROM {changes.rows} WHERE flag_differs AND stopped IS NULL
    )"""
    # The text of a hash up to its twelfth digit is sorted by in half the time of all of it.
    placed = space.select(
        "placed",
        _PLACED_ROWS,
        f"""
        SELECT strategy, verb, participant_code, vector_text, after_rebalance,
            CASE verb WHEN 'flags' THEN 0 ELSE (row_number() OVER (
                PARTITION BY strategy, verb, vector_text, after_rebalance
                ORDER BY left(md5(strategy || ' ' || participant_code), 12), participant_code
            ) - 1) // {per_call:d} END AS part,
            target, amount_minor
        FROM (
            SELECT strategy, verb, participant_code, target, amount_minor, after_rebalance,
                {chosen}CASE WHEN verb IN ('liquidate', 'flags') THEN ''
                    WHEN verb = 'rebalance' THEN rebalance_text
                    ELSE target_text END{end} AS vector_text
            FROM {every} AS every JOIN {terms.targets} AS targets USING (strategy, target) {joined}
        )
        """,
        of=changes.rows,
    )
    aimed = {} if aims is None else aims.vectors
    calls = tuple(_calls(changes.strategies, _groups(placed), aimed))
    keys = [
        (
            call.number,
            call.strategy,
            call.verb.value,
            call.vector.text if call.vector else "",
            call.after_rebalance,
            part,
        )
        for call, part in calls
        if call.rows
    ]
    numbers = space.table("call_numbers", _NUMBER_ROWS, list(zip(*keys, strict=True)))
    rows = space.select(
        "plan_rows",
        PLAN_ROWS,
        f"""
        SELECT call, participant_code, every.amount_minor, auto_rebalance,
            trader_id, trader_updated_at, reason, cohort, file, line, moved_e8
        FROM {every} AS every
        JOIN {placed} AS placed USING (strategy, verb, participant_code, after_rebalance)
        JOIN {numbers} AS numbers USING (strategy, verb, vector_text, after_rebalance, part)
        ORDER BY call, participant_code
        """,
        of=placed,
    )
    return tuple(call for call, _ in calls), rows


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that share a call."""

    verb: Verb
    vector_text: str
    after_rebalance: bool
    part: int
    target: int
    rows: int
    amount_minor: int

    @property
    def place(self) -> tuple[int, bool, str, int]:
        """Where it stands among the groups of its Strategy."""
        stands_with = Verb.REBALANCE if self.after_rebalance else self.verb
        return VERB_ORDER.index(stands_with), self.after_rebalance, self.vector_text, self.part


def _groups(placed: Table) -> dict[str, list[_Group]]:
    """Groups per Strategy, in the order in which they are sent."""
    found: dict[str, list[_Group]] = {}
    for strategy, verb, *rest in placed.workspace.rows(
        f"""
        SELECT strategy, verb, vector_text, after_rebalance, part, min(target), count(*),
            coalesce(sum(amount_minor), 0)::HUGEINT
        FROM {placed} GROUP BY ALL ORDER BY ALL
        """,
        of=placed,
    ):
        found.setdefault(strategy, []).append(_Group(Verb(verb), *rest))
    for groups in found.values():
        groups.sort(key=lambda group: group.place)
    return found


def _calls(
    strategies: tuple[StrategyChange, ...],
    groups: dict[str, list[_Group]],
    aimed: Mapping[str, Vector],
) -> Iterator[tuple[Call, int]]:
    """Every call with the part of its group, numbered from 1 through the whole plan."""
    number = 0
    for change in strategies:
        slot = change.live.head_slot if change.live else 0
        for call in _document_calls(change):
            number += 1
            yield replace(call, number=number), 0
        for group in groups.get(change.desired.name, ()):
            number += 1
            slot += group.verb in TRADING_VERBS
            call = _group_call(change, group, number=number, slot=slot)
            yield replace(call, vector=aimed.get(group.vector_text, call.vector)), group.part


def _document_calls(change: StrategyChange) -> Iterator[Call]:
    """Create a Strategy that is not there yet, or send metadata that differs."""
    desired, live = change.desired, change.live
    if desired.hold or (live and live.problem):
        return
    # The metadata is canonical text already; reading it again could only lose digits.
    if live is None:
        metadata, currency = desired.metadata_json or "{}", json.dumps(desired.quoted_currency)
        body_json = f'{{"metadata":{metadata},"quoted_currency":{currency}}}'
        yield _document_call(change, Verb.CREATE, body_json)
    elif change.metadata_json is not None:
        yield _document_call(change, Verb.METADATA, f'{{"metadata":{change.metadata_json}}}')


def _document_call(change: StrategyChange, verb: Verb, body_json: str) -> Call:
    return Call(
        number=0,
        strategy=change.desired.name,
        strategy_id=change.live.id if change.live else None,
        currency=change.desired.quoted_currency,
        verb=verb,
        vector=None,
        target_text="",
        target_epoch=0,
        rows=0,
        amount_minor=0,
        slot=None,
        body_json=body_json,
    )


def _group_call(change: StrategyChange, group: _Group, *, number: int, slot: int) -> Call:
    target = change.desired.targets[group.target]
    settles_target = group.verb in (Verb.ENROLL, Verb.REBALANCE)
    return Call(
        number=number,
        strategy=change.desired.name,
        strategy_id=change.live.id if change.live else None,
        currency=change.desired.quoted_currency,
        verb=group.verb,
        vector=_vector(target, group.verb),
        target_text=target.vector.text if settles_target else "",
        target_epoch=change.desired.rebalance_epoch if settles_target else 0,
        rows=group.rows,
        amount_minor=group.amount_minor,
        slot=slot if change.live and group.verb in TRADING_VERBS else None,
        body_json="",
        after_rebalance=group.after_rebalance,
    )


def _vector(target: Target, verb: Verb) -> Vector | None:
    if verb in (Verb.LIQUIDATE, Verb.FLAGS):
        return None
    return target.rebalance_vector if verb is Verb.REBALANCE else target.vector


def fences(changes: Changes) -> tuple[Fence, ...]:
    """Our chain's head per Strategy, and the foreign operations where funding is managed."""
    foreign = {
        change.desired.name: sorted(each.id for each in change.live.operations if each.slot is None)
        for change in changes.strategies
        if change.live
    }
    funded = _funded(changes) if any(foreign.values()) else set()
    return tuple(
        Fence(
            strategy=change.desired.name,
            strategy_id=change.live.id if change.live else None,
            head_slot=change.live.head_slot if change.live else 0,
            foreign=tuple(foreign.get(name, ())) if (name := change.desired.name) in funded else (),
        )
        for change in changes.strategies
    )


def _funded(changes: Changes) -> set[str]:
    """Strategies of which some cohort manages funding."""
    managed = changes.managed
    rows = managed.workspace.rows(f"SELECT DISTINCT strategy FROM {managed} WHERE manages_funding")
    return {name for (name,) in rows}
