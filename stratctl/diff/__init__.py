"""The difference of desired and live: Strategies as trees, participants as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.change import Changes
from stratctl.diff.entries import refuse_changed_entries
from stratctl.diff.scope import managed_rows
from stratctl.diff.table import participant_changes, undeclared
from stratctl.diff.tree import strategy_changes

if TYPE_CHECKING:
    from stratctl.core.state import Desired, Live


__all__ = ["diff", "refuse_changed_entries"]


def diff(desired: Desired, live: Live) -> Changes:
    """What differs. Raises InputError where desired contradicts what has already happened.

    Unmanaged things are dealt with first, by the scope, so that nothing after it has to know
    about them.
    """
    _expect_unique(live)
    strategies = strategy_changes(desired, live)
    managed = managed_rows(desired, live, strategies)
    rows, everybody = participant_changes(managed, live, strategies)
    removed, managed_before, unmanaged = undeclared(managed, live, rows)
    return Changes(
        strategies=strategies,
        rows=rows,
        everybody=everybody,
        managed=managed,
        removed=removed,
        managed_before=managed_before,
        unmanaged=unmanaged,
    )


def _expect_unique(live: Live) -> None:
    """A row that the reader lists twice would multiply money in the joins."""
    trader = ("strategy_id", "participant_code")
    for table, key in ((live.rows, trader), (live.holdings, (*trader, "asset"))):
        twice = table.duplicates(key)
        assert not twice, f"{table} lists {twice[:3]} more than once"
    names = [strategy.name for strategy in live.strategies]
    assert len(names) == len(set(names)), "a name has one live Strategy"
