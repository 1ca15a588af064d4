"""Where computed weights come from, for the Strategies in which a plan makes them matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.state import Verb

if TYPE_CHECKING:
    from stratctl.core.change import Changes
    from stratctl.core.plan import Call
    from stratctl.core.state import DesiredStrategy, WeightProvenance


def provenances(
    changes: Changes, calls: tuple[Call, ...]
) -> tuple[tuple[str, WeightProvenance], ...]:
    """(Strategy, provenance) where it is created, its computed weights are not those that somebody
    satisfied last, or a call trades at weights that are still on their way; ascending by name."""
    traded = {call.strategy for call in calls if call.vector is not None}
    created = {call.strategy for call in calls if call.verb is Verb.CREATE}
    changed = changes.rows.workspace.rows(
        f"SELECT DISTINCT strategy, target FROM {changes.rows}"
        " WHERE retarget = 'changed' ORDER BY ALL",
        of=changes.rows,
    )
    shown = {(name, 0) for name in created} | set(changed)
    return tuple(
        (change.desired.name, provenance)
        for change in changes.strategies
        for index, target in enumerate(change.desired.targets)
        if (provenance := target.provenance) is not None
        and (
            (change.desired.name, index) in shown
            or (change.desired.name in traded and _on_the_way(change.desired, index))
        )
    )


def _on_the_way(strategy: DesiredStrategy, index: int) -> bool:
    """Whether weights will be others on a later day, by steps of their own or of a source."""
    return index == 0 and any(target != strategy.targets[0] for _, target in strategy.course[-1:])
