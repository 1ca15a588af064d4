"""The difference of desired and live: Strategies as trees, participants as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.change import Changes
from stratctl.core.state import HOLDINGS_KEY, LIVE_KEY, PARTICIPANT_KEY
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
    about them. The same with weights that move by dates: they are those of the day (UTC) on which
    live was read.
    """
    _expect_unique(live)
    desired = desired.on(live.as_of[:10])
    strategies = strategy_changes(desired, live)
    managed = managed_rows(desired, live, strategies)
    compared = participant_changes(managed, live, strategies)
    removed, managed_before, unmanaged = undeclared(compared)
    return Changes(
        strategies=strategies,
        rows=compared.rows,
        everybody=compared.everybody,
        managed=managed,
        removed=removed,
        managed_before=managed_before,
        unmanaged=unmanaged,
        retargeted=compared.counts.retargeted,
        stopped=compared.counts.stopped,
    )


def _expect_unique(live: Live) -> None:
    """A row that the reader lists twice would multiply money in the joins."""
    tables = [(live.rows, LIVE_KEY), (live.holdings, HOLDINGS_KEY)]
    if live.participants is not None:
        tables.append((live.participants, PARTICIPANT_KEY))
    for table, key in tables:
        twice = table.duplicates(key)
        assert not twice, f"{table} lists {twice[:3]} more than once"
    names = [strategy.name for strategy in live.strategies]
    assert len(names) == len(set(names)), "a name has one live Strategy"
