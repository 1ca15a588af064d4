"""From a plan to the work that apply's generators are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import repeat, starmap
from typing import TYPE_CHECKING, Any, overload

from stratctl.apply import CallWork, StrategyWork, TraderRef
from stratctl.core.event import IntentRow, Satisfied
from stratctl.core.state import LIVE_ROWS, TRADING_VERBS, Vector, Verb
from stratctl.pipeline.planning import PLAN_LIFE, PlanInput, make, vectors_of

if TYPE_CHECKING:
    from stratctl.core.event import Intent, Unfinished
    from stratctl.core.plan import Call, Plan
    from stratctl.core.state import Booked, Desired, EntryContent, Live


def strategy_works(
    plan: Plan,
    desired: Desired,
    live: Live,
    booked: Booked,
    *,
    resumed: Mapping[str, Unfinished],
    unproven: Sequence[Unfinished] = (),
) -> tuple[StrategyWork, ...]:
    """One piece of work per Strategy that has calls, records to write, or a call to resume."""
    calls: dict[str, list[CallWork]] = {}
    entries = _entries(plan, desired, booked)
    for work in call_works(plan):
        carrying = replace(work, entries=entries.get(work.call.number, ()))
        calls.setdefault(work.call.strategy, []).append(carrying)
    forfeits: dict[str, list[tuple[str, int, int]]] = {}
    for strategy, *forfeit in plan.forfeits.rows():
        forfeits.setdefault(strategy, []).append((forfeit[0], forfeit[1], forfeit[2]))
    found = {strategy.name: strategy for strategy in live.strategies}
    satisfied = _satisfied(plan, {name: strategy.id for name, strategy in found.items()})
    acknowledgements = tuple(a.id for a in plan.acknowledgements)
    currencies = {call.strategy: call.currency for call in plan.calls}
    works = []
    for name in sorted({*calls, *forfeits, *satisfied, *resumed}):
        strategy = found.get(name)
        strategy_id = strategy.id if strategy else None
        committed = [o.slot for o in booked.operations if o.strategy_id == strategy_id]
        works.append(
            StrategyWork(
                strategy=name,
                strategy_id=strategy_id,
                realm=plan.realm,
                currency=strategy.quoted_currency if strategy else currencies[name],
                head_slot=max([strategy.head_slot if strategy else 0, *committed]),
                calls=tuple(calls.get(name, ())),
                acknowledgements=acknowledgements,
                forfeits=tuple(forfeits.get(name, ())),
                satisfied=tuple(satisfied.get(name, ())),
                resume=resumed.get(name),
                unproven=tuple(
                    one
                    for one in unproven
                    # The name may be another by now; before its creation there is no id.
                    if one.intent.strategy == name or one.intent.strategy_id == strategy_id
                ),
            )
        )
    return tuple(works)


def _entries(
    plan: Plan, desired: Desired, booked: Booked
) -> dict[int, tuple[tuple[EntryContent, frozenset[str]], ...]]:
    """Call -> the named entries whose money it may carry, with their participants among its rows.

    A flow is what is declared and has not moved, so money that goes to a participant is of every
    entry that names it. What a committed call has carried is bound for good and said once.
    """
    bound = {entry.content.key for entry in booked.entries if entry.committed}
    fresh = {e.content.key: e for e in desired.entries if e.content.key not in bound}
    if not fresh or desired.entry_members is None:
        return {}
    kinds = {
        call.number: (call.strategy, "payouts" if call.verb is Verb.PARTIAL_SELL else "funding")
        for call in plan.calls
        if call.verb in (Verb.ENROLL, Verb.TOP_UP, Verb.PARTIAL_SELL)
    }
    members = desired.entry_members.copied_to(plan.rows.workspace)
    carried: dict[int, list[tuple[EntryContent, frozenset[str]]]] = {}
    for number, key, codes in plan.rows.workspace.rows(
        f"""
        SELECT call, key, list(participant_code)
        FROM {plan.rows} JOIN {members} USING (participant_code)
        WHERE list_contains($1::VARCHAR[], key) AND list_contains($2::INTEGER[], call)
        GROUP BY call, key ORDER BY call, key
        """,
        [sorted(fresh), sorted(kinds)],
    ):
        entry = fresh[key]
        if (entry.strategy, entry.content.kind) == kinds[number]:
            carried.setdefault(number, []).append((entry.content, frozenset(codes)))
    return {number: tuple(entries) for number, entries in carried.items()}


def call_works(plan: Plan) -> tuple[CallWork, ...]:
    """Each call with its rows."""
    return tuple(_work(call, _RowsOf(plan, call), _traders(plan, call)) for call in plan.calls)


class _RowsOf(Sequence[IntentRow]):
    """A call's rows as they are in its plan's table, ascending by participant code.

    Read at each look: a call is sent once, and those of a large book together are much to hold.
    """

    def __init__(self, plan: Plan, call: Call) -> None:
        self._plan = plan
        self._call = call

    def __len__(self) -> int:
        return self._call.rows

    def __iter__(self) -> Iterator[IntentRow]:
        return iter(self._all())

    @overload
    def __getitem__(self, place: int) -> IntentRow: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[IntentRow]: ...

    def __getitem__(self, place: int | slice) -> IntentRow | Sequence[IntentRow]:
        return self._all()[place]

    def _all(self) -> list[IntentRow]:
        rows = _in_order(self._plan, self._call, "participant_code, amount_minor, auto_rebalance")
        return [IntentRow(*row) for row in rows]


def _traders(plan: Plan, call: Call) -> Iterator[TraderRef]:
    """Beside the rows of a call that sets flags."""
    asked = _in_order(plan, call, _TRADER) if call.verb is Verb.FLAGS else []
    return starmap(TraderRef, asked)


def _in_order(plan: Plan, call: Call, columns: str) -> list[tuple[Any, ...]]:
    """Columns of a call's rows, ascending by participant code."""
    return plan.rows.workspace.rows(
        f"SELECT {columns} FROM {plan.rows} WHERE call = $1 ORDER BY participant_code",
        [call.number],
    )


_TRADER = "coalesce(trader_id, ''), coalesce(trader_updated_at, '')"


def shrunk(approved: Sequence[CallWork], fresh: Plan) -> tuple[CallWork, ...]:
    """The approved calls with those of their rows that a fresh plan still has.

    A row is the same only where verb, vector and flag are: another target is another row. What
    still has to wait for a rebalance is not among them. Traders are as the fresh plan read them.
    """
    still = {
        (work.call.verb, _vector_text(work.call), row): trader
        for work in call_works(_at_once(fresh))
        for row, trader in zip(work.rows, work.traders or repeat(_NO_TRADER), strict=False)
    }
    works = []
    for work in approved:
        kind = work.call.verb, _vector_text(work.call)
        rows = [row for row in work.rows if (*kind, row) in still]
        if rows:
            amount_minor = sum(row.amount_minor or 0 for row in rows)
            call = replace(work.call, rows=len(rows), amount_minor=amount_minor)
            works.append(_work(call, tuple(rows), [still[*kind, row] for row in rows]))
    return tuple(works)


_NO_TRADER = TraderRef("", "")


def _work(call: Call, rows: Sequence[IntentRow], traders: Iterable[TraderRef]) -> CallWork:
    return CallWork(call=call, rows=rows, traders=tuple(traders) if call.verb is Verb.FLAGS else ())


def is_still_wanted(unfinished: Unfinished, given: PlanInput, approved: Plan | None) -> bool:
    """Whether a call that may or may not have been sent would be planned again, just like that.

    The question is asked of a world in which it was never sent, and has used up nothing. A call
    that guards would stop now, or that is too old to be covered by any approval, is not wanted.
    Nor is one that surely was not carried out: nobody counts its rows, so that they are planned
    anew, and it must not be sent beside its successor.
    """
    if not unfinished.in_doubt:
        return False
    intent = unfinished.intent
    now = datetime.fromisoformat(given.live.as_of).timestamp()
    assert unfinished.signed_last is not None, "a doubt comes from an attempt"
    if now - unfinished.signed_last > PLAN_LIFE.total_seconds():
        return False
    if approved is not None and not _covers(approved, intent):
        return False
    own = given.reusable_acknowledgements.union(intent.acknowledgements)
    live = _as_if_never_sent(given.live, intent)
    agreed = vectors_of(approved)
    if not agreed and intent.vector_text:
        agreed = ((intent.strategy, intent.verb, Vector.of_text(intent.vector_text)),)
    plan = make(replace(given, live=live, reusable_acknowledgements=own, agreed=agreed))
    return not plan.stopped and _covers(_at_once(plan), intent)


def _at_once(plan: Plan) -> Plan:
    """Without the calls that fit only what a rebalance leaves."""
    return replace(plan, calls=tuple(call for call in plan.calls if not call.after_rebalance))


def _covers(plan: Plan, intent: Intent) -> bool:
    """Whether a plan has every row of an intent, for at least its amount; or its very document."""
    calls = [
        call
        for call in plan.calls
        if (call.strategy, call.verb, _vector_text(call))
        == (intent.strategy, intent.verb, intent.vector_text)
    ]
    if intent.verb not in TRADING_VERBS:
        return any(call.body_json == intent.body for call in calls)
    planned = {
        code: (amount, flag)
        for code, amount, flag in plan.rows.workspace.rows(
            f"""
            SELECT participant_code, amount_minor, auto_rebalance FROM {plan.rows}
            WHERE list_contains($1::INTEGER[], call)
            """,
            [[call.number for call in calls]],
        )
    }
    return all(
        row.participant_code in planned
        and (planned[row.participant_code][0] or 0) >= (row.amount_minor or 0)
        and planned[row.participant_code][1] == row.auto_rebalance
        for row in intent.rows
    )


def _as_if_never_sent(live: Live, intent: Intent) -> Live:
    """Live without what the journal counts for this call."""
    space = live.rows.workspace
    rows = [
        (
            row.participant_code,
            row.amount_minor or 0 if intent.verb in (Verb.ENROLL, Verb.TOP_UP) else 0,
            row.amount_minor or 0 if intent.verb is Verb.PARTIAL_SELL else 0,
        )
        for row in intent.rows
    ]
    pending = space.table(
        "pending",
        {"participant_code": "VARCHAR", "in_minor": "BIGINT", "out_minor": "BIGINT"},
        list(zip(*rows, strict=True)),
    )
    replaced = {
        "contributed_minor": "contributed_minor - coalesce(in_minor, 0)",
        "withdrawn_minor": "withdrawn_minor - coalesce(out_minor, 0)",
        "busy": "CASE WHEN pending.participant_code IS NULL THEN busy END",
    }
    columns = ", ".join(
        f"({replaced[column]}) AS {column}" if column in replaced else f"live.{column}"
        for column in LIVE_ROWS
    )
    without = space.select(
        "as_if_never_sent",
        LIVE_ROWS,
        f"""
        SELECT {columns} FROM {live.rows} AS live
        LEFT JOIN {pending} AS pending
          ON live.strategy_id = $1 AND live.participant_code = pending.participant_code
        """,
        [intent.strategy_id],
    )
    return replace(live, rows=without)


def _satisfied(plan: Plan, strategy_ids: Mapping[str, str]) -> dict[str, list[Satisfied]]:
    found: dict[str, list[Satisfied]] = {}
    for strategy, text, epoch, participants in plan.satisfied.workspace.rows(
        f"""
        SELECT strategy, target_text, target_epoch,
            list(participant_code ORDER BY participant_code)
        FROM {plan.satisfied} GROUP BY ALL ORDER BY ALL
        """
    ):
        found.setdefault(strategy, []).append(
            Satisfied(
                strategy=strategy,
                strategy_id=strategy_ids[strategy],
                target_text=text,
                target_epoch=epoch,
                participants=tuple(participants),
            )
        )
    return found


def _vector_text(call: Call) -> str:
    return call.vector.text if call.vector else ""
