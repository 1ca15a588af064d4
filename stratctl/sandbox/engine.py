"""Operations over sandbox time: validating, pricing, settling, terminal.

    accepted ── validating ──► checks of each participant, holds, credit check
                 pricing ────► one locked price per asset, legs, Traders of an enrollment
                 settling ───► trades and postings, all at once
                 terminal

An Operation is moved when somebody looks or writes, to exactly where it would be at that
time; its timestamps are those of the moments that passed, so it does not matter who looked.
One with nobody left in it is terminal at once.
"""

import json
from collections.abc import Callable, Iterable

from stratctl.sandbox.bodies import Order, Row
from stratctl.sandbox.books import Books
from stratctl.sandbox.checks import Checks
from stratctl.sandbox.funding import Funding
from stratctl.sandbox.ids import derive
from stratctl.sandbox.legs import Ends
from stratctl.sandbox.market import Market
from stratctl.sandbox.participants import Participants
from stratctl.sandbox.pricing import Pricing
from stratctl.sandbox.settlement import Settlement
from stratctl.sandbox.store import Store
from stratctl.sandbox.switches import Switches
from stratctl.sandbox.work import (
    Ended,
    Operation,
    Trader,
    Work,
    due_operation,
    traders_of,
    waiting_work,
)


class Engine:
    """Runs Operations. All its state is in the store."""

    def __init__(
        self,
        *,
        store: Store,
        switches: Switches,
        market: Market,
        books: Books,
        participants: Participants,
        funding: Funding,
        settlement: Settlement,
        seed: int,
    ) -> None:
        self._store = store
        self._switches = switches
        self._market = market
        self._books = books
        self._participants = participants
        self._funding = funding
        self._settlement = settlement
        self._seed = seed
        self._checks = Checks(switches, market)
        self._steps: dict[str, Callable[[Operation], None]] = {
            "validating": self._validate,
            "pricing": self._price,
            "settling": self._settle,
        }

    def accept(
        self, *, strategy_seq: int, request_id: str, kind: str, order: Order, now_ms: int
    ) -> int:
        """Write down an Operation and one Execution per participant; returns its number."""
        seq = self._store.next_seq("operation")
        name = derive(self._seed, "operation", seq)
        allocations = json.dumps(order.allocations)
        due_ms = now_ms + self._switches.number("validating_ms")
        self._store.write(
            "INSERT INTO operation VALUES (?, ?, ?, ?, ?, 'validating', '', ?, ?, ?, 0, ?, NULL)",
            (seq, name, strategy_seq, request_id, kind, allocations, now_ms, now_ms, due_ms),
        )
        rows = order.participants
        if rows is None:
            rows = tuple(map(Row, self._default_scope(strategy_seq)))
        executions = []
        for number, row in enumerate(rows, start=self._store.next_seq("execution")):
            name = derive(self._seed, "execution", number)
            wanted = (row.participant, row.amount, row.auto_rebalance)
            executions.append((number, name, seq, strategy_seq, *wanted, now_ms, now_ms))
        self._store.write_many(
            "INSERT INTO execution VALUES"
            " (?, ?, ?, ?, ?, NULL, ?, ?, 'awaiting_execution', '', '', NULL, ?, ?)",
            executions,
        )
        return seq

    def run_due(self, now_ms: int) -> None:
        """Take every step that is due, in the order of time. Raises BooksError."""
        while True:
            operation = due_operation(self._store, now_ms)
            if operation is None:
                return
            with self._store.transaction():
                self._steps[operation.status](operation)

    def is_busy(self) -> bool:
        """Whether any Operation is not terminal."""
        return self._store.row("SELECT 1 FROM operation WHERE due_ms IS NOT NULL") is not None

    def _default_scope(self, strategy_seq: int) -> list[str]:
        """Traders with the flag; the guide adds: and with balances."""
        rows = self._store.rows(
            "SELECT participant FROM trader WHERE strategy_seq = ? AND auto_rebalance = 1"
            " ORDER BY seq",
            (strategy_seq,),
        )
        codes = [row[0] for row in rows]
        if self._switches["rebalance_default_scope"] == "flag":
            return codes
        label = self._store.value("SELECT id FROM strategy WHERE seq = ?", (strategy_seq,))
        holdings = self._books.holdings(label, codes)
        return [code for code in codes if code in holdings]

    # Validating

    def _validate(self, operation: Operation) -> None:
        """Everything that can be checked without a price."""
        if self._is_queued(operation):
            return
        work = waiting_work(self._store, operation)
        standings = self._participants.standings(item.participant for item in work)
        traders = traders_of(self._store, operation, work)
        purse = self._funding.purse(operation.quoted_currency)
        reserves = operation.buys and self._switches["float_reserved_at"] == "validating"
        holds = self._checks.takes_hold(operation)
        ended: list[Ended] = []
        reserved = 0
        for item in work:
            trader = traders.get(item.participant)
            item.trader_seq = None if trader is None else trader.seq
            try:
                self._checks.check(operation, item, standings.get(item.participant), trader)
                if reserves:
                    purse.take(item.participant, item.amount)
            except Ends as verdict:
                ended.append(Ended(item, verdict.status, verdict.reason))
                continue
            if reserves:
                reserved += item.amount
            if holds and trader is not None:
                trader.held_by = operation.seq
        self._write_traders(operation, work, traders.values())
        self._end(operation, ended)
        self._go_on(operation, "pricing", reserved=reserved, left=len(work) - len(ended))

    def _is_queued(self, operation: Operation) -> bool:
        """Whether an earlier rebalance of the Strategy is still running; then wait for it."""
        if operation.type != "rebalance" or self._switches["rebalance_queue"] == "none":
            return False
        due_ms = self._store.value(
            "SELECT max(due_ms) FROM operation WHERE strategy_seq = ? AND type = 'rebalance'"
            " AND seq < ? AND due_ms IS NOT NULL",
            (operation.strategy_seq, operation.seq),
        )
        if due_ms is None:
            return False
        later_ms = max(due_ms, operation.due_ms)
        self._store.write(
            "UPDATE operation SET due_ms = ? WHERE seq = ?", (later_ms, operation.seq)
        )
        return True

    def _write_traders(
        self, operation: Operation, work: list[Work], traders: Iterable[Trader]
    ) -> None:
        """Which Trader each Execution is about, and who is held."""
        self._store.write_many(
            "UPDATE execution SET trader_seq = ? WHERE seq = ?",
            [(item.trader_seq, item.seq) for item in work if item.trader_seq is not None],
        )
        self._store.write_many(
            "UPDATE trader SET held_by = ? WHERE seq = ?",
            [(operation.seq, t.seq) for t in traders if t.held_by == operation.seq],
        )

    # Pricing

    def _price(self, operation: Operation) -> None:
        """Lock one price per asset, size every leg, create the Traders of an enrollment."""
        work = waiting_work(self._store, operation)
        holdings: dict[str, dict[str, int]] = {}
        if not operation.buys:
            codes = (item.participant for item in work)
            holdings = self._books.holdings(operation.strategy_id, codes)
        pricing = Pricing(
            operation,
            holdings.values(),
            switches=self._switches,
            market=self._market,
            checks=self._checks,
        )
        enrolls = operation.type == "enrollment"
        traders = traders_of(self._store, operation, work) if enrolls else {}
        purse = self._funding.purse(operation.quoted_currency)
        reserves = operation.buys and self._switches["float_reserved_at"] == "settling"
        ended: list[Ended] = []
        kept: list[Work] = []
        for item in work:
            try:
                if enrolls:
                    self._checks.check_trader(operation, traders.get(item.participant))
                legs = pricing.legs(item, holdings.get(item.participant, {}))
                if reserves:
                    purse.take(item.participant, item.amount)
            except Ends as verdict:
                ended.append(Ended(item, verdict.status, verdict.reason))
                continue
            if enrolls:
                item.trader_seq = self._enroll(operation, item, traders.get(item.participant))
                traders[item.participant] = Trader(item.trader_seq, False, None)
            item.legs = json.dumps(legs)
            kept.append(item)
        self._store.write_many(
            "UPDATE execution SET legs = ?, trader_seq = ?, updated_ms = ? WHERE seq = ?",
            [(item.legs, item.trader_seq, operation.due_ms, item.seq) for item in kept],
        )
        self._end(operation, ended)
        reserved = sum(item.amount for item in kept) if operation.buys else 0
        self._go_on(operation, "settling", reserved=reserved, left=len(kept))

    def _enroll(self, operation: Operation, work: Work, trader: Trader | None) -> int:
        """The first enrollment creates the Trader; a liquidated one comes back with the flag."""
        at_ms = operation.due_ms
        if trader is not None:
            self._store.write(
                "UPDATE trader SET auto_rebalance = ?, updated_ms = ? WHERE seq = ?",
                (work.auto_rebalance, at_ms, trader.seq),
            )
            return trader.seq
        name = f"{operation.strategy_id}/{work.participant}"
        trader_id = derive(self._seed, "trader", name, self._switches["trader_id_version"])
        wanted = (work.participant, work.auto_rebalance)
        return self._store.write(
            "INSERT INTO trader (id, strategy_seq, participant, auto_rebalance, liquidated,"
            " created_ms, updated_ms) VALUES (?, ?, ?, ?, 0, ?, ?)",
            (trader_id, operation.strategy_seq, *wanted, at_ms, at_ms),
        )

    # Settling and ending

    def _settle(self, operation: Operation) -> None:
        """Book all trades at once, let go of what was held, and finish."""
        work = waiting_work(self._store, operation)
        self._settlement.settle(operation, work)
        if operation.buys or operation.type == "liquidation":
            gone = int(operation.type == "liquidation")
            self._store.write_many(
                "UPDATE trader SET liquidated = ? WHERE seq = ? AND liquidated <> ?",
                [(gone, item.trader_seq, gone) for item in work],
            )
        self._store.write("UPDATE trader SET held_by = NULL WHERE held_by = ?", (operation.seq,))
        self._finish(operation)

    def _end(self, operation: Operation, ended: list[Ended]) -> None:
        """Finish Executions before any trade, and let go of what they held."""
        self._store.write_many(
            "UPDATE execution SET status = ?, reason = ?, instructions = '[]', updated_ms = ?"
            " WHERE seq = ?",
            [(end.status, end.reason, operation.due_ms, end.work.seq) for end in ended],
        )
        self._store.write_many(
            "UPDATE trader SET held_by = NULL WHERE seq = ? AND held_by = ?",
            [(end.work.trader_seq, operation.seq) for end in ended],
        )

    def _go_on(self, operation: Operation, status: str, *, reserved: int, left: int) -> None:
        """On to the next status, or to the end when nobody is left."""
        if not left:
            self._finish(operation)
            return
        due_ms = operation.due_ms + self._switches.number(f"{status}_ms")
        self._store.write(
            "UPDATE operation SET status = ?, updated_ms = ?, due_ms = ?, reserved = ?"
            " WHERE seq = ?",
            (status, operation.due_ms, due_ms, reserved, operation.seq),
        )

    def _finish(self, operation: Operation) -> None:
        counts: dict[str, int] = dict(
            self._store.rows(
                "SELECT status, count(*) FROM execution WHERE operation_seq = ? GROUP BY status",
                (operation.seq,),
            )
        )
        status, reason = self._outcome(counts)
        self._store.write(
            "UPDATE operation SET status = ?, reason = ?, updated_ms = ?, terminal_ms = ?,"
            " due_ms = NULL, reserved = 0 WHERE seq = ?",
            (status, reason, operation.due_ms, operation.due_ms, operation.seq),
        )

    def _outcome(self, counts: dict[str, int]) -> tuple[str, str]:
        """Status and reason of an Operation from those of its Executions."""
        if not counts:
            return self._switches["no_executions_status"], "no_executions"
        if counts.keys() == {"settled"}:
            return "settled", ""
        if counts.keys() == {"rejected"}:
            return "failed", "all_rejected"
        if counts.keys() == {"skipped"}:
            return "skipped", "all_skipped"
        return self._switches["partial_success_status"], "partial_success"
