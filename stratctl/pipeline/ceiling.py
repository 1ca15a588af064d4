"""The approved plan as a ceiling: what of a fresh plan may be sent, row by row.

============================  ==========================================================
fresh against approved        then
============================  ==========================================================
row in both                   sent, with the fresh amount, which is never the larger
row only in approved          not needed any more: dropped and listed
money or an exit, only fresh  stale: refused before the first request, difference named
rebalance or flag only fresh  left for the next plan
row that has its result       left for the next plan: an approval is used once
============================  ==========================================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stratctl.core.errors import PlanStale
from stratctl.core.money import format_amount
from stratctl.core.plan import FORFEIT_ROWS, PLAN_ROWS
from stratctl.core.state import Verb
from stratctl.core.tables import Table, Workspace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from stratctl.core.plan import Call, Fence, Plan
    from stratctl.pipeline.history import DoneRow

WAITING_VERBS = (Verb.METADATA, Verb.REBALANCE, Verb.FLAGS)
"""What may wait for the next plan. Everything else is money, an exit, or a new Strategy."""

NamedRow = tuple[str, str, str]
"""(strategy, verb, participant_code)"""


@dataclass(frozen=True)
class Fitting:
    """The part of a fresh plan that an approved plan covers."""

    plan: Plan
    not_needed: tuple[NamedRow, ...]
    left_for_next: tuple[NamedRow, ...]


_KEYED_ROWS = {
    "strategy": "VARCHAR",
    "verb": "VARCHAR",
    "vector_text": "VARCHAR",
    "currency": "VARCHAR",
    **PLAN_ROWS,
}

_DONE_ROWS = {
    "strategy": "VARCHAR",
    "verb": "VARCHAR",
    "vector_text": "VARCHAR",
    "participant_code": "VARCHAR",
}

_SAME = "(strategy, verb, vector_text, currency, participant_code)"


def fit(approved: Plan, fresh: Plan, done: Collection[DoneRow] = ()) -> Fitting:
    """What may be sent. Raises PlanStale when the fresh plan would move more than was approved.

    ``done``: rows of the approved plan that have their result from an earlier run of it.
    """
    space = fresh.rows.workspace
    allowed, wanted = _keyed(approved, space), _keyed(fresh, space)
    unused = _without(allowed, done)
    _refuse_more_money(allowed, wanted)
    _refuse_new_strategies(approved, fresh)
    covered = space.select(
        "covered",
        PLAN_ROWS,
        f"""
        SELECT {", ".join(f"wanted.{column}" for column in PLAN_ROWS)}
        FROM {wanted} AS wanted JOIN {unused} AS allowed USING {_SAME}
        WHERE wanted.auto_rebalance IS NOT DISTINCT FROM allowed.auto_rebalance
        ORDER BY call, participant_code
        """,
    )
    return Fitting(
        plan=replace(
            fresh,
            rows=covered,
            calls=tuple(_counted(approved, fresh, covered)),
            forfeits=_common_forfeits(approved, fresh),
        ),
        not_needed=_only_in(allowed, wanted),
        left_for_next=_only_in(wanted, unused),
    )


def refuse_moved_fences(approved: Plan, fresh: Plan, own_slots: frozenset[tuple[str, int]]) -> None:
    """The chain may only have moved by this very plan's own, interrupted run. Raises PlanStale."""
    now = {fence.strategy: fence for fence in fresh.fences}
    for fence in approved.fences:
        current = now.get(fence.strategy)
        if current is None:
            raise PlanStale(f"Strategy {fence.strategy} is not declared any more")
        _refuse_moved(fence, current, own_slots)


def _refuse_moved(fence: Fence, current: Fence, own_slots: frozenset[tuple[str, int]]) -> None:
    strategy_id = current.strategy_id or ""
    if fence.strategy_id not in (None, current.strategy_id):
        raise PlanStale(
            f"{fence.strategy} was {fence.strategy_id} at the provider and is now {strategy_id}"
        )
    strange = [
        slot
        for slot in range(fence.head_slot + 1, current.head_slot + 1)
        if (strategy_id, slot) not in own_slots
    ]
    if strange or current.head_slot < fence.head_slot:
        raise PlanStale(
            f"{fence.strategy} was at call {fence.head_slot} when the plan was made"
            f" and is now at {current.head_slot}",
            hint="another apply ran in between; plan again",
        )
    if fence.foreign != current.foreign:
        foreign = sorted(set(current.foreign) ^ set(fence.foreign))
        raise PlanStale(
            f"operation {foreign[0]} on {fence.strategy} is not ours and was not there"
            " when the plan was made",
            hint="plan again; rows that it touched are held back",
        )


def _keyed(plan: Plan, space: Workspace) -> Table:
    """A plan's rows with what their call says, for this workspace whatever the plan's was."""
    calls = [
        (
            call.number,
            call.strategy,
            call.verb.value,
            call.vector.text if call.vector else "",
            call.currency,
        )
        for call in plan.calls
    ]
    said = space.table(
        "said",
        {
            "call": "INTEGER",
            "strategy": "VARCHAR",
            "verb": "VARCHAR",
            "vector_text": "VARCHAR",
            "currency": "VARCHAR",
        },
        list(zip(*calls, strict=True)),
    )
    rows = space.name_of(plan.rows) or plan.rows.copied_to(space)
    return space.view(
        "keyed",
        _KEYED_ROWS,
        f"""
        SELECT strategy, verb, vector_text, currency, {", ".join(PLAN_ROWS)}
        FROM {rows} JOIN {said} USING (call)
        """,
    )


def _without(allowed: Table, done: Collection[DoneRow]) -> Table:
    if not done:
        return allowed
    space = allowed.workspace
    used = space.table("used", _DONE_ROWS, list(zip(*sorted(done), strict=True)))
    return space.select(
        "unused",
        _KEYED_ROWS,
        f"SELECT * FROM {allowed} ANTI JOIN {used} USING ({', '.join(_DONE_ROWS)})",
    )


def _refuse_more_money(allowed: Table, wanted: Table) -> None:
    more = wanted.workspace.rows(
        f"""
        SELECT strategy, verb, participant_code, wanted.currency,
            wanted.amount_minor, allowed.amount_minor, allowed.call IS NULL
        FROM {wanted} AS wanted LEFT JOIN {allowed} AS allowed USING {_SAME}
        WHERE verb NOT IN ({", ".join(f"'{verb.value}'" for verb in WAITING_VERBS)})
          AND (allowed.call IS NULL
               OR coalesce(wanted.amount_minor, 0) > coalesce(allowed.amount_minor, 0)
               OR wanted.auto_rebalance IS DISTINCT FROM allowed.auto_rebalance)
        ORDER BY ALL LIMIT 1
        """
    )
    for strategy, verb, code, currency, now_minor, then_minor, is_new in more:
        now = f" {currency} {format_amount(now_minor, currency)}" if now_minor else ""
        then = "nothing" if is_new else f"{currency} {format_amount(then_minor or 0, currency)}"
        raise PlanStale(
            f"{strategy}: {verb}{now} for {code} is needed now, {then} was approved",
            hint="live or the totals moved since the plan; plan again",
        )


def _refuse_new_strategies(approved: Plan, fresh: Plan) -> None:
    creates = {call.strategy: call for call in approved.calls if call.verb is Verb.CREATE}
    for call in fresh.calls:
        if call.verb is Verb.CREATE and (
            call.strategy not in creates or creates[call.strategy].body_json != call.body_json
        ):
            raise PlanStale(f"creating {call.strategy} like this was not approved")


def _counted(approved: Plan, fresh: Plan, covered: Table) -> Iterator[Call]:
    """The fresh calls with what is left of their rows; documents only as they were approved."""
    counts = {
        number: (rows, amount)
        for number, rows, amount in covered.workspace.rows(
            f"""
            SELECT call, count(*), coalesce(sum(amount_minor), 0)::HUGEINT
            FROM {covered} GROUP BY call ORDER BY call
            """
        )
    }
    documents = {(c.strategy, c.verb, c.body_json) for c in approved.calls if not c.rows}
    for call in fresh.calls:
        if not call.rows:
            if (call.strategy, call.verb, call.body_json) in documents:
                yield call
        elif call.number in counts:
            rows, amount_minor = counts[call.number]
            yield replace(call, rows=rows, amount_minor=amount_minor)


def _only_in(these: Table, those: Table) -> tuple[NamedRow, ...]:
    return tuple(
        these.workspace.rows(
            f"""
            SELECT strategy, verb, participant_code
            FROM {these} ANTI JOIN {those} USING {_SAME} ORDER BY ALL
            """
        )
    )


def _common_forfeits(approved: Plan, fresh: Plan) -> Table:
    space = fresh.forfeits.workspace
    allowed = approved.forfeits.copied_to(space)
    return space.select(
        "forfeits",
        FORFEIT_ROWS,
        f"SELECT * FROM {fresh.forfeits} INTERSECT SELECT * FROM {allowed} ORDER BY ALL",
    )
