"""Changes: how desired differs from live. Facts only; what to do about them is the plan's."""

from __future__ import annotations

from dataclasses import dataclass

from stratctl.core.state import DesiredStrategy, LiveStrategy
from stratctl.core.tables import Table

CHANGE_ROWS = {
    "strategy": "VARCHAR",
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "cohort": "VARCHAR",
    "target": "INTEGER",
    "file": "VARCHAR",
    "line": "INTEGER",
    "trader_id": "VARCHAR",
    "trader_updated_at": "VARCHAR",
    "flow_in_minor": "BIGINT",
    "flow_out_minor": "BIGINT",
    "exited": "BOOLEAN",
    "leaving": "BOOLEAN",
    "forfeited_in_minor": "BIGINT",
    "forfeited_out_minor": "BIGINT",
    "flag": "BOOLEAN",
    "flag_differs": "BOOLEAN",
    "returns": "BOOLEAN",
    "enrolls_despite_trader": "BOOLEAN",
    "tops_up_without_trader": "BOOLEAN",
    "manages_membership": "BOOLEAN",
    "retarget": "VARCHAR",
    "stopped": "VARCHAR",
    "stopped_detail": "VARCHAR",
    "rebalanced_at": "BIGINT",
}
"""One row per desired participant that differs from live in anything.

``flow_in_minor`` / ``flow_out_minor``: declared minus counted, never negative. ``exited``: as
declared; ``leaving``: its liquidation is outstanding; then the forfeits are the flows that will
never move. ``flag`` is the auto_rebalance flag to have. ``returns``: it was sold in full and is
declared again, so that only money that comes in makes it a part of the basket. ``retarget`` says
why the allocations may need work: ``changed`` (the declared target is another than the last one
satisfied), ``epoch`` (one more was asked for), ``unknown`` (nothing says what the last target was),
``watch`` (bands are watched), or NULL. ``manages_membership``: whether the cohort may enroll and
liquidate. ``stopped`` says why nothing may be done for the row now, or NULL. ``rebalanced_at``:
Unix seconds of our last rebalance of the participant, or NULL."""

FACT_ROWS = {
    "strategy": "VARCHAR",
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "cohort": "VARCHAR",
    "target": "INTEGER",
    "file": "VARCHAR",
    "line": "INTEGER",
    "contributed_minor": "BIGINT",
    "withdrawn_minor": "BIGINT",
    "counted_in_minor": "BIGINT",
    "counted_out_minor": "BIGINT",
    "tolerance_minor": "BIGINT",
    "more_in_minor": "BIGINT",
    "more_out_minor": "BIGINT",
    "exited": "BOOLEAN",
    "leaving": "BOOLEAN",
    "has_left": "BOOLEAN",
    "trader_id": "VARCHAR",
    "auto_rebalance": "BOOLEAN",
    "live_flag": "BOOLEAN",
    "flag_differs": "BOOLEAN",
    "manages_membership": "BOOLEAN",
    "manages_funding": "BOOLEAN",
    "manages_allocations": "BOOLEAN",
    "manages_flags": "BOOLEAN",
    "standing": "VARCHAR",
    "live_target_text": "VARCHAR",
    "not_rebalanced": "VARCHAR",
    "retarget": "VARCHAR",
}
"""What is known of one managed participant, and what follows from it. ``counted``: what has moved
or is moving; ``more``: declared beyond that. ``not_rebalanced`` says why nothing about it may ask
for a rebalance, or NULL; the rest is as in CHANGE_ROWS."""

REMOVED_ROWS = {"strategy": "VARCHAR", "participant_code": "VARCHAR"}
"""Participants that we managed and that nothing declares any more: reported, never sold."""


@dataclass(frozen=True, slots=True)
class StrategyChange:
    """One declared Strategy beside what live shows of it."""

    desired: DesiredStrategy
    live: LiveStrategy | None
    metadata_json: str | None
    """The whole metadata to send (declared keys merged over live's); None: nothing to send."""


@dataclass(frozen=True)
class Changes:
    """The difference of two states."""

    strategies: tuple[StrategyChange, ...]
    rows: Table
    """CHANGE_ROWS"""
    everybody: str
    """The query behind ``rows``, for explanations: FACT_ROWS and more of every managed participant,
    whether it differs or not. Nobody runs it for a plan."""
    managed: Table
    """DESIRED_ROWS: everything that is managed, ``source: live`` Traders included."""
    removed: Table
    """REMOVED_ROWS"""
    managed_before: int
    """How many participants we managed before, removed ones included."""
    unmanaged: int
    retargeted: int
    """How many rows ask for a rebalance, or would if they drift, at most: without any, nobody
    looks."""
    stopped: int
    """How many rows something stops."""
