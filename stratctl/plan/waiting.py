"""Flows that have waited: held back after a week until an acknowledgement names how many there are.

Money must not move by surprise. What was declared long ago and could not move then is sent only
when somebody says so now. Since when a flow waits is the journal's to remember: an apply writes
down what it finds wanted and does not send.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from stratctl.core.change import CHANGE_ROWS
from stratctl.core.state import waiting_place

if TYPE_CHECKING:
    from stratctl.core.change import Changes
    from stratctl.core.tables import Table

RULE = "stale_flows"
"""The rule by which an acknowledgement lets stale flows move, naming how many there are."""

DAYS_MAX = 7
"""A flow that has waited for longer is stale."""

_SINCE_ROWS = {"strategy": "VARCHAR", "participant_code": "VARCHAR", "since": "VARCHAR"}
_UNKNOWN_ROWS = {"strategy": "VARCHAR", "unknown_since": "VARCHAR"}
_PLACE_ROWS = {"strategy": "VARCHAR", "place": "VARCHAR"}


@dataclass(frozen=True)
class Waits:
    """Since when flows wait, by the names that are declared now."""

    since: Table
    """(strategy, participant_code, since)"""
    unknown: Table
    """(strategy, unknown_since): Strategies that are older than the journal's memory of them. Each
    of their flows may have waited since then."""
    now: str
    oldest: str
    """What waits since before this is stale."""

    @classmethod
    def of(
        cls, changes: Changes, waiting: Table | None, unknown: Mapping[str, str], as_of: str
    ) -> Waits:
        """``unknown``: name of a Strategy -> since when its flows may have waited."""
        space = changes.rows.workspace
        places = [
            (change.desired.name, place)
            for change in changes.strategies
            for place in (
                *((change.live.id,) if change.live else ()),
                *(waiting_place(n, "") for n in (change.desired.name, *change.desired.previously)),
            )
        ]
        known = space.table("places", _PLACE_ROWS, list(zip(*places, strict=True)))
        since = (
            space.table("since", _SINCE_ROWS)
            if waiting is None
            else space.select(
                "since",
                _SINCE_ROWS,
                f"""
                SELECT strategy, participant_code, min(since) AS since
                FROM {waiting.copied_to(space)} JOIN {known} USING (place) GROUP BY ALL
                """,
                of=waiting,
            )
        )
        limit = datetime.fromisoformat(as_of) - timedelta(days=DAYS_MAX)
        columns = [sorted(unknown), [unknown[name] for name in sorted(unknown)]]
        return cls(
            since=since,
            unknown=space.table("unknown", _UNKNOWN_ROWS, columns),
            now=as_of,
            oldest=limit.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )


def exits_kept(changes: Changes, blocked: Table) -> Changes:
    """The changes with the stop of exits that are held back for their age or by a side.

    The flag goes off and the account of flows is closed when the sale is done, so these wait with
    it.
    """
    space = changes.rows.workspace
    kept = "leaving AND stopped IS NULL AND reason IN ('stale_flow', 'side_forbids')"
    joined = f"{changes.rows} AS change LEFT JOIN {blocked} USING (strategy, participant_code)"
    found = space.rows(f"SELECT count(*) FROM {joined} WHERE {kept}", of=blocked)
    if found in ([], [(0,)]):
        return changes
    columns = ", ".join(
        f"CASE WHEN {kept} THEN reason ELSE stopped END AS stopped"
        if column == "stopped"
        else f"change.{column}"
        for column in CHANGE_ROWS
    )
    rows = space.select("kept", CHANGE_ROWS, f"SELECT {columns} FROM {joined}")
    return replace(changes, rows=rows, stopped=changes.stopped + found[0][0])
