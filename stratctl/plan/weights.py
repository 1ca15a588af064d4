"""Where computed weights come from, for the Strategies in which a plan makes them matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.state import Verb

if TYPE_CHECKING:
    from stratctl.core.change import Changes
    from stratctl.core.plan import Call
    from stratctl.core.state import WeightProvenance


def provenances(
    changes: Changes, calls: tuple[Call, ...]
) -> tuple[tuple[str, WeightProvenance], ...]:
    """(Strategy, provenance) where it is created, or its computed weights are not those that
    somebody satisfied last; ascending by name."""
    created = {call.strategy for call in calls if call.verb is Verb.CREATE}
    changed = changes.rows.workspace.rows(
        f"SELECT DISTINCT strategy, target FROM {changes.rows}"
        " WHERE retarget = 'changed' ORDER BY ALL"
    )
    shown = {(name, 0) for name in created} | set(changed)
    return tuple(
        (change.desired.name, target.provenance)
        for change in changes.strategies
        for index, target in enumerate(change.desired.targets)
        if target.provenance is not None and (change.desired.name, index) in shown
    )
