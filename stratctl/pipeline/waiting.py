"""What an apply leaves unsent, and since when the journal has known it to wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stratctl.core.state import TRADING_VERBS, Verb, waiting_place
from stratctl.journal.record import Waiting, WaitOver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stratctl.core.plan import Plan
    from stratctl.core.state import Booked, Desired, Live, LiveStrategy
    from stratctl.core.tables import Table, Workspace

FLOWS = tuple(verb for verb in TRADING_VERBS if verb is not Verb.REBALANCE)
"""Verbs that carry out a flow. What a rebalance moves stays the participant's."""

BEGINNING = "1970-01-01T00:00:00Z"
"""Since when an Operation exists that does not say it in a way that can be read."""


def unknown_waits(live: Live, booked: Booked) -> tuple[tuple[str, str], ...]:
    """(Strategy, since when its flows may have waited) where the journal does not reach back.

    A Strategy with calls of ours that this journal has never said a word about was applied by
    another one, which is lost or elsewhere. What waited then is not known, so its first call's
    age is taken, and stays until it was sent or written down. Without any journal nothing is
    said: that is a preview, and cannot move anything.
    """
    if not booked.known:
        return ()
    return tuple(
        (strategy.name, _first_call(strategy))
        for strategy in live.strategies
        if strategy.head_slot and strategy.id not in booked.strategies_seen
    )


def _first_call(strategy: LiveStrategy) -> str:
    return min(
        _canonical(operation.created_at) for operation in strategy.operations if operation.slot
    )


def _canonical(text: str) -> str:
    """A time of the provider as the journal writes times."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return BEGINNING
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def waiting_records(
    fresh: Plan, sent: Plan | None, desired: Desired, live: Live, booked: Booked
) -> tuple[Waiting | WaitOver, ...]:
    """What to write down so that the journal knows every flow that waits, and only those.

    ``fresh`` is everything that is wanted now; ``sent`` is what of it is about to be sent, None
    for nothing. What is written down already is not written again. Of a Strategy that the journal
    knew nothing of, every flow is written down, also those about to be sent: they wait until they
    have moved.
    """
    space = fresh.rows.workspace
    ids = {strategy.name: strategy.id for strategy in live.strategies}
    names = {strategy.name: ids.get(strategy.name, "") for strategy in desired.strategies}
    unknown = {name: since for name, since in unknown_waits(live, booked) if name in names}
    tables = {
        "wanted": _wanted(fresh, unknown),
        "sent": _flows(sent or replace(fresh, calls=())),
        "known": _known(space, desired, names, booked),
        "busy": booked.rows.copied_to(space),
    }
    begun = space.rows(
        """
        SELECT strategy, since, list(participant_code ORDER BY participant_code)
        FROM {wanted} AS wanted
        WHERE (strategy, participant_code) NOT IN (SELECT (strategy, participant_code) FROM {known})
          AND (list_contains($1::VARCHAR[], strategy) OR (strategy, participant_code)
               NOT IN (SELECT (strategy, participant_code) FROM {sent}))
        GROUP BY ALL ORDER BY strategy, since
        """.format(**tables),
        [sorted(unknown)],
    )
    over = space.rows(
        """
        SELECT known.name, known.strategy_id, list(participant_code ORDER BY participant_code)
        FROM {known} AS known ANTI JOIN {wanted} AS wanted USING (strategy, participant_code)
        -- What may have been sent is not wanted for now, and may be again.
        WHERE (known.strategy_id, participant_code) NOT IN (
            SELECT (strategy_id, participant_code) FROM {busy} WHERE busy)
        GROUP BY ALL ORDER BY known.name, known.strategy_id
        """.format(**tables)
    )
    quiet = unknown.keys() - {name for name, _, _ in begun}
    return (
        *(Waiting(name, names[name], fresh.as_of, ()) for name in sorted(quiet)),
        *(Waiting(name, names[name], since, tuple(codes)) for name, since, codes in begun),
        *(WaitOver(name, strategy_id, tuple(codes)) for name, strategy_id, codes in over),
    )


_FLOW_ROWS = {"strategy": "VARCHAR", "participant_code": "VARCHAR"}
_WANTED_ROWS = {**_FLOW_ROWS, "since": "VARCHAR"}
_KNOWN_ROWS = {**_FLOW_ROWS, "name": "VARCHAR", "strategy_id": "VARCHAR"}
"""``name`` and ``strategy_id``: what the journal remembers the flow under."""


def _flows(plan: Plan) -> Table:
    """_FLOW_ROWS of a plan's calls."""
    space = plan.rows.workspace
    calls = [(call.number, call.strategy) for call in plan.calls if call.verb in FLOWS]
    numbers = space.table(
        "flow_calls", {"call": "INTEGER", "strategy": "VARCHAR"}, list(zip(*calls, strict=True))
    )
    return space.select(
        "flows",
        _FLOW_ROWS,
        f"SELECT strategy, participant_code FROM {plan.rows} JOIN {numbers} USING (call)",
    )


def _wanted(fresh: Plan, unknown: Mapping[str, str]) -> Table:
    """_WANTED_ROWS: every flow, blocked or not, and since when it would be said to wait."""
    space = fresh.rows.workspace
    older = space.table(
        "older",
        {"strategy": "VARCHAR", "unknown_since": "VARCHAR"},
        [list(unknown), list(unknown.values())],
    )
    return space.select(
        "wanted",
        _WANTED_ROWS,
        f"""
        SELECT strategy, participant_code, waiting_since AS since
        FROM {fresh.blocked} WHERE waiting_since IS NOT NULL
        UNION ALL
        SELECT strategy, participant_code, coalesce(unknown_since, $1)
        FROM {_flows(fresh)} LEFT JOIN {older} USING (strategy)
        """,
        [fresh.as_of],
    )


def _known(space: Workspace, desired: Desired, names: Mapping[str, str], booked: Booked) -> Table:
    """_KNOWN_ROWS of declared Strategies."""
    places = [
        (waiting_place(known, strategy_id), strategy.name, known, strategy_id)
        for strategy in desired.strategies
        for known, strategy_id in (
            *(((strategy.name, names[strategy.name]),) if names[strategy.name] else ()),
            *((name, "") for name in (strategy.name, *strategy.previously)),
        )
    ]
    if booked.waiting is None:
        return space.table("known", _KNOWN_ROWS)
    known = space.table(
        "places",
        {"place": "VARCHAR", "strategy": "VARCHAR", "name": "VARCHAR", "strategy_id": "VARCHAR"},
        list(zip(*places, strict=True)),
    )
    return space.select(
        "known",
        _KNOWN_ROWS,
        f"""
        SELECT strategy, participant_code, name, strategy_id
        FROM {booked.waiting.copied_to(space)} JOIN {known} USING (place)
        """,
    )
