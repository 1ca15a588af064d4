"""Operations at work: their rows, those of their Executions, and of the Traders they touch."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from stratctl.sandbox.bodies import weight_units
from stratctl.sandbox.store import Store

BUYS = ("enrollment", "top_up")


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the operation table, with what its Strategy adds.

    `weights` are the allocations as integer ratios; `due_ms` is when its next step is taken.
    """

    seq: int
    strategy_seq: int
    strategy_id: str
    quoted_currency: str
    type: str
    status: str
    weights: tuple[tuple[str, int], ...]
    due_ms: int

    @property
    def buys(self) -> bool:
        """Whether it spends money of the funding account."""
        return self.type in BUYS


@dataclass(slots=True)
class Work:
    """One Execution while its Operation runs. `amount` is in cents, 0 where there is none."""

    seq: int
    participant: str
    trader_seq: int | None
    amount: int
    auto_rebalance: int | None
    legs: str


@dataclass(slots=True)
class Trader:
    """What a check needs to know of a Trader."""

    seq: int
    liquidated: bool
    held_by: int | None


@dataclass(frozen=True, slots=True)
class Ended:
    """An Execution that ends before any trade."""

    work: Work
    status: str
    reason: str


def due_operation(store: Store, now_ms: int) -> Operation | None:
    """The Operation whose next step is due first."""
    row = store.row(
        "SELECT o.seq, o.strategy_seq, s.id, s.quoted_currency, o.type, o.status,"
        " o.allocations, o.due_ms FROM operation o JOIN strategy s ON s.seq = o.strategy_seq"
        " WHERE o.due_ms <= ? ORDER BY o.due_ms, o.seq LIMIT 1",
        (now_ms,),
    )
    if row is None:
        return None
    seq, strategy_seq, strategy_id, currency, kind, status, allocations, due_ms = row
    weights = tuple((asset, weight_units(text)) for asset, text in json.loads(allocations))
    return Operation(seq, strategy_seq, strategy_id, currency, kind, status, weights, due_ms)


def waiting_work(store: Store, operation: Operation) -> list[Work]:
    """The Executions of an Operation that have not ended, in the order of the body."""
    rows = store.rows(
        "SELECT seq, participant, trader_seq, coalesce(amount, 0), auto_rebalance, legs"
        " FROM execution WHERE operation_seq = ? AND status = 'awaiting_execution' ORDER BY seq",
        (operation.seq,),
    )
    return [Work(*row) for row in rows]


def traders_of(store: Store, operation: Operation, work: Iterable[Work]) -> dict[str, Trader]:
    """The Traders of the Operation's Strategy that exist, by participant."""
    codes = json.dumps([item.participant for item in work])
    rows = store.rows(
        "SELECT participant, seq, liquidated, held_by FROM trader WHERE strategy_seq = ?"
        " AND participant IN (SELECT value FROM json_each(?))",
        (operation.strategy_seq, codes),
    )
    return {row[0]: Trader(row[1], bool(row[2]), row[3]) for row in rows}
