"""Parked rows: refused by the provider once, and left alone until somebody says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stratctl.core.change import CHANGE_ROWS
from stratctl.plan.guards import covers

if TYPE_CHECKING:
    from stratctl.core.change import Changes
    from stratctl.core.plan import Acknowledgement

RULE = "parked"
"""The rule by which an acknowledgement releases parked rows, naming how many there are."""


def released(
    changes: Changes, valid: Sequence[Acknowledgement]
) -> tuple[Changes, tuple[Acknowledgement, ...]]:
    """The changes without the stop of parked rows, where an acknowledgement covers all of them.

    A refusal is never retried by itself: the same request would be refused again, or move money
    at a time that nobody chose. All are released or none, so that the number says which.
    """
    if not changes.stopped:
        return changes, ()
    space = changes.rows.workspace
    parked = space.one(f"SELECT count(*) FROM {changes.rows} WHERE stopped = '{RULE}'")[0]
    covering = next((each for each in valid if parked and covers(each, RULE, parked)), None)
    if covering is None:
        return changes, ()
    freed = {column: f"CASE WHEN stopped <> '{RULE}' THEN {column} END" for column in _STOPS}
    columns = ", ".join(f"{freed.get(column, column)} AS {column}" for column in CHANGE_ROWS)
    rows = space.select("released", CHANGE_ROWS, f"SELECT {columns} FROM {changes.rows}")
    return replace(changes, rows=rows, stopped=changes.stopped - parked), (covering,)


_STOPS = ("stopped", "stopped_detail")
