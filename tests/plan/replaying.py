"""The same approval again, after a run of it was cut short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from stratctl.core.event import Event, IntentRow, Outcome, RowOutcome, RowResult
from stratctl.core.plan import BLOCKED_ROWS, FORFEIT_ROWS, PLAN_ROWS, SATISFIED_ROWS, Call, Plan
from stratctl.core.state import TRADING_VERBS
from stratctl.core.tables import Schema, Table, Workspace
from stratctl.journal.record import Entry, Run, Word
from stratctl.pipeline.ceiling import fit
from stratctl.pipeline.history import PlanHistory
from tests.journal.story import intent
from tests.plan.planned import Bench, Planned

_bench = Bench()


def replayed(planned: Planned, ended: int) -> None:
    """I2: of the calls that have their result nothing is sent again, whatever live still shows.

    The others are sent under the ids that were foreseen. ``ended``: how many have it.
    """
    plan = _with_tables(planned.plan, _bench.space())
    trading = [call for call in plan.calls if call.verb in TRADING_VERBS]
    ids = [plan.request_id(call) for call in trading if call.slot]
    assert len(set(ids)) == len(ids)
    done, left = trading[:ended], trading[ended:]
    history = PlanHistory.of(_journal(plan, done), plan)
    again = fit(plan, plan, history.done).plan
    assert [call for call in again.calls if call.verb in TRADING_VERBS] == left
    assert [again.request_id(call) for call in left] == [plan.request_id(call) for call in left]
    numbers = {call.number for call in plan.calls} - {call.number for call in done}
    assert again.rows.rows() == [row for row in plan.rows.rows() if row[0] in numbers]


def _journal(plan: Plan, done: Sequence[Call]) -> list[Entry]:
    """A run of the plan that came to the end of these calls."""
    run = Run(plan.digest, plan.configuration, plan.commit, plan.generation, ())
    told: list[Event | Word] = [run]
    for call in done:
        rows = [(row[1], row[2]) for row in plan.rows.rows() if row[0] == call.number]
        sent = replace(
            intent(call.verb, call.slot or call.number, rows),
            strategy=call.strategy,
            strategy_id=call.strategy_id or "created",
            request_id=f"call {call.number}",
            rows=tuple(IntentRow(code, amount) for code, amount in rows),
            vector_text=call.vector.text if call.vector else "",
        )
        ends = tuple(RowOutcome(code, RowResult.SETTLED, "", "", amount) for code, amount in rows)
        told += [
            sent,
            Outcome(
                strategy=sent.strategy,
                strategy_id=sent.strategy_id,
                verb=sent.verb,
                slot=sent.slot or 0,
                request_id=sent.request_id,
                operation_id="operation",
                status="settled",
                status_reason="",
                rows=ends,
                proven=True,
            ),
        ]
    return [Entry(n, "2026-11-21T12:00:00Z", "run-1", each, "") for n, each in enumerate(told, 1)]


def _with_tables(plan: Plan, space: Workspace) -> Plan:
    """A plan whose rows were kept plainly, as tables again."""
    schemas = {
        "rows": PLAN_ROWS,
        "blocked": BLOCKED_ROWS,
        "satisfied": SATISFIED_ROWS,
        "forfeits": FORFEIT_ROWS,
    }
    tables: dict[str, Any] = {
        name: _table(space, name, schema, getattr(plan, name).rows())
        for name, schema in schemas.items()
    }
    return replace(plan, **tables)


def _table(space: Workspace, name: str, schema: Schema, rows: list[tuple[Any, ...]]) -> Table:
    whole = [[int(v) if isinstance(v, Decimal) else v for v in row] for row in rows]
    return space.table(name, schema, list(zip(*whole, strict=True)))
