"""Operations over sandbox time: validating, pricing, settling, terminal.

    accepted ── validating ──► checks of each participant, holds, credit check
                 pricing ────► one locked price per asset, legs, Traders of an enrollment
                 settling ───► trades and postings, all at once
                 terminal

An Operation is moved when somebody looks or writes, to exactly where it would be at that
time; its timestamps are those of the moments that passed, so it does not matter who looked.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stratctl.sandbox import legs as sizing
from stratctl.sandbox.amounts import CENTS, PRICE_SCALE, padded, parse_units, trimmed
from stratctl.sandbox.bodies import Order, weight_units
from stratctl.sandbox.books import (
    PROVIDER,
    Account,
    Books,
    Posting,
    fees_account,
    market_account,
)
from stratctl.sandbox.clock import rfc3339
from stratctl.sandbox.ids import derive
from stratctl.sandbox.legs import Ends, Leg, Terms
from stratctl.sandbox.market import Market
from stratctl.sandbox.participants import Participants, Standing
from stratctl.sandbox.store import Store
from stratctl.sandbox.switches import Switches

BUYS = ("enrollment", "top_up")
HELD = "balance held by concurrent operation"
_EXECUTED_AT_UNSET = {"empty": ',"executed_at":""', "null": ',"executed_at":null', "absent": ""}


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the operation table, with what its Strategy adds.

    `weights` are the allocations as integer ratios.
    """

    seq: int
    id: str
    strategy_seq: int
    strategy_id: str
    quoted_currency: str
    type: str
    status: str
    weights: tuple[tuple[str, int], ...]
    due_ms: int


@dataclass(slots=True)
class Work:
    """One Execution while its Operation runs."""

    seq: int
    id: str
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
        seed: int,
        platform: str,
    ) -> None:
        self._store = store
        self._switches = switches
        self._market = market
        self._books = books
        self._participants = participants
        self._seed = seed
        self._platform = platform
        self._steps: dict[str, Callable[[Operation], None]] = {
            "validating": self._validate,
            "pricing": self._price,
            "settling": self._settle,
        }

    # Accepting

    def accept(
        self, *, strategy_seq: int, request_id: str, kind: str, order: Order, now_ms: int
    ) -> int:
        """Write down an Operation and one Execution per participant; returns its number."""
        seq = self._store.next_seq("operation")
        self._store.write(
            "INSERT INTO operation VALUES (?, ?, ?, ?, ?, 'validating', '', ?, ?, ?, 0, ?, NULL)",
            (
                seq,
                derive(self._seed, "operation", seq),
                strategy_seq,
                request_id,
                kind,
                json.dumps(order.allocations),
                now_ms,
                now_ms,
                now_ms + self._switches.number("validating_ms"),
            ),
        )
        rows: Iterable[tuple[str, int | None, bool | None]]
        if order.participants is None:
            rows = [(code, None, None) for code in self._default_scope(strategy_seq)]
        else:
            rows = [(row.participant, row.amount, row.auto_rebalance) for row in order.participants]
        self._store.write_many(
            "INSERT INTO execution VALUES"
            " (?, ?, ?, ?, ?, NULL, ?, ?, 'awaiting_execution', '', '', NULL, ?, ?)",
            [
                (
                    number,
                    derive(self._seed, "execution", number),
                    seq,
                    strategy_seq,
                    participant,
                    amount,
                    flag,
                    now_ms,
                    now_ms,
                )
                for number, (participant, amount, flag) in enumerate(
                    rows, start=self._store.next_seq("execution")
                )
            ],
        )
        return seq

    def _default_scope(self, strategy_seq: int) -> list[str]:
        """Traders with the flag; the guide adds: and with balances."""
        codes = [
            row[0]
            for row in self._store.rows(
                "SELECT participant FROM trader WHERE strategy_seq = ? AND auto_rebalance = 1"
                " ORDER BY seq",
                (strategy_seq,),
            )
        ]
        if self._switches["rebalance_default_scope"] == "flag":
            return codes
        label = self._store.value("SELECT id FROM strategy WHERE seq = ?", (strategy_seq,))
        holdings = self._books.holdings(label, codes)
        return [code for code in codes if code in holdings]

    # Moving

    def run_due(self, now_ms: int) -> int:
        """Take every step that is due, in the order of time; returns how many."""
        steps = 0
        while True:
            row = self._store.row(
                "SELECT o.seq, o.id, o.strategy_seq, s.id, s.quoted_currency, o.type, o.status,"
                " o.allocations, o.due_ms FROM operation o"
                " JOIN strategy s ON s.seq = o.strategy_seq"
                " WHERE o.due_ms <= ? ORDER BY o.due_ms, o.seq LIMIT 1",
                (now_ms,),
            )
            if row is None:
                return steps
            weights = tuple((asset, weight_units(text)) for asset, text in json.loads(row[7]))
            operation = Operation(
                seq=row[0],
                id=row[1],
                strategy_seq=row[2],
                strategy_id=row[3],
                quoted_currency=row[4],
                type=row[5],
                status=row[6],
                weights=weights,
                due_ms=row[8],
            )
            with self._store.transaction():
                self._steps[operation.status](operation)
            steps += 1

    def _advance(self, operation: Operation, status: str, duration: str, reserved: int) -> None:
        self._store.write(
            "UPDATE operation SET status = ?, updated_ms = ?, due_ms = ?, reserved = ?"
            " WHERE seq = ?",
            (
                status,
                operation.due_ms,
                operation.due_ms + self._switches.number(duration),
                reserved,
                operation.seq,
            ),
        )

    # Validating

    def _validate(self, operation: Operation) -> None:
        """Everything that can be checked without a price."""
        if self._is_queued(operation):
            return
        work = self._work(operation)
        codes = [item.participant for item in work]
        standings = self._participants.standings(codes)
        traders = self._traders(operation, codes)
        purse = Purse(self, operation)
        early = self._switches["float_reserved_at"] == "validating"
        ended: list[tuple[str, str, Work]] = []
        reserved = 0
        for item in work:
            trader = traders.get(item.participant)
            item.trader_seq = None if trader is None else trader.seq
            try:
                self._check(operation, item, standings.get(item.participant), trader)
                if early and operation.type in BUYS:
                    purse.take(item.participant, item.amount)
                    reserved += item.amount
            except Ends as verdict:
                ended.append((verdict.status, verdict.reason, item))
                continue
            if trader is not None and self._takes_hold(operation):
                trader.held_by = operation.seq
        self._write_traders_of(work)
        self._write_holds(operation, traders.values())
        self._end(operation, ended)
        if len(ended) == len(work):
            self._finish(operation)
        else:
            self._advance(operation, "pricing", "pricing_ms", reserved)

    def _is_queued(self, operation: Operation) -> bool:
        """Whether an earlier rebalance of the Strategy is still running; then wait for it."""
        if operation.type != "rebalance" or self._switches["rebalance_queue"] == "none":
            return False
        due = self._store.value(
            "SELECT max(due_ms) FROM operation WHERE strategy_seq = ? AND type = 'rebalance'"
            " AND seq < ? AND due_ms IS NOT NULL",
            (operation.strategy_seq, operation.seq),
        )
        if due is None:
            return False
        later = max(due, operation.due_ms)
        self._store.write("UPDATE operation SET due_ms = ? WHERE seq = ?", (later, operation.seq))
        return True

    def _check(
        self,
        operation: Operation,
        item: Work,
        standing: Standing | None,
        trader: Trader | None,
    ) -> None:
        """Raises Ends when this participant is out."""
        self._check_standing(operation, standing)
        self._check_trader(operation, trader)
        self._check_instruments(operation, standing)
        if trader is not None and trader.held_by is not None and self._takes_hold(operation):
            raise Ends("rejected", HELD)
        if operation.type in BUYS:
            self._check_minimums(operation, item)

    def _check_standing(self, operation: Operation, standing: Standing | None) -> None:
        if operation.type == "rebalance":
            if standing is None or not standing.may_trade:
                raise Ends("rejected", "participant inactive or not found")
            return
        if standing is None:
            raise Ends("rejected", "participant_not_found")
        closing = standing.may_close and self._switches["closing_only_may_sell"] == "yes"
        if standing.may_trade or (closing and operation.type not in BUYS):
            return
        raise Ends("rejected", "participant_not_approved")

    def _check_trader(self, operation: Operation, trader: Trader | None) -> None:
        if operation.type == "enrollment":
            again = self._switches["reenroll_after_liquidation"] == "accept"
            if trader is not None and not (trader.liquidated and again):
                raise Ends("rejected", "trader_already_enrolled")
            return
        if trader is None:
            raise Ends("rejected", self._switches["missing_trader"])
        refused = self._switches["topup_after_liquidation"] == "reject"
        if operation.type == "top_up" and trader.liquidated and refused:
            raise Ends("rejected", "trader_not_enrolled")

    def _check_instruments(self, operation: Operation, standing: Standing | None) -> None:
        for asset, _ in operation.weights:
            blocked = standing is not None and asset in standing.blocked_assets
            if blocked or not self._market.tradable(asset):
                pair = f"{asset}/{operation.quoted_currency}"
                raise Ends("rejected", f"instrument {pair} not enabled for participant")

    def _check_minimums(self, operation: Operation, item: Work) -> None:
        """A buy is sized in money, so that its minimum needs no price."""
        if self._switches["buy_below_minimum"] == "skip":
            return
        rounding = self._switches["leg_rounding"]
        for asset, cents in sizing.buy_notionals(item.amount, operation.weights, rounding):
            if cents < self._minimum(asset):
                raise Ends("rejected", sizing.BELOW_MINIMUM)

    def _takes_hold(self, operation: Operation) -> bool:
        return operation.type not in BUYS or self._switches["buys_take_holds"] == "yes"

    # Pricing

    def _price(self, operation: Operation) -> None:
        """Lock one price per asset, size every leg, create the Traders of an enrollment."""
        work = self._work(operation)
        codes = [item.participant for item in work]
        holdings: dict[str, dict[str, int]] = {}
        if operation.type not in BUYS:
            holdings = self._books.holdings(operation.strategy_id, codes)
        terms = self._terms(operation, holdings.values())
        traders = self._traders(operation, codes) if operation.type == "enrollment" else {}
        purse = Purse(self, operation)
        late = self._switches["float_reserved_at"] == "settling" and operation.type in BUYS
        sized: dict[int, list[Leg]] = {}
        ended: list[tuple[str, str, Work]] = []
        kept: list[Work] = []
        for item in work:
            try:
                if operation.type == "enrollment":
                    self._check_trader(operation, traders.get(item.participant))
                legs = self._legs(operation, item, holdings, terms, sized)
                if late:
                    purse.take(item.participant, item.amount)
            except Ends as verdict:
                ended.append((verdict.status, verdict.reason, item))
                continue
            item.legs = json.dumps(legs)
            kept.append(item)
            if operation.type == "enrollment":
                traders[item.participant] = Trader(0, False, None)
        if operation.type == "enrollment":
            self._create_traders(operation, kept)
        self._store.write_many(
            "UPDATE execution SET legs = ?, trader_seq = ?, updated_ms = ? WHERE seq = ?",
            [(item.legs, item.trader_seq, operation.due_ms, item.seq) for item in kept],
        )
        self._end(operation, ended)
        reserved = sum(item.amount for item in kept) if operation.type in BUYS else 0
        if kept:
            self._advance(operation, "settling", "settling_ms", reserved)
        else:
            self._finish(operation)

    def _terms(self, operation: Operation, holdings: Iterable[dict[str, int]]) -> Terms:
        assets = {asset for asset, _ in operation.weights if self._market.tradable(asset)}
        for held in holdings:
            assets.update(held)
        assets.discard(operation.quoted_currency)
        at = operation.due_ms
        return Terms(
            prices=self._market.prices(sorted(assets), operation.quoted_currency, at),
            precisions={a: self._market.instruments[a].precision for a in assets},
            minimums={asset: self._minimum(asset) for asset in assets},
            spread_bps=self._switches.number("spread_bps"),
            fee_bps=self._switches.number("fee_bps"),
            failing=frozenset(self._switches["failing_assets"].split(",")),
            switches=self._switches,
        )

    def _minimum(self, asset: str) -> int:
        common = self._switches["instrument_minimum"]
        if common:
            return parse_units(common, CENTS) or 0
        return self._market.instruments[asset].minimum

    def _legs(
        self,
        operation: Operation,
        item: Work,
        holdings: dict[str, dict[str, int]],
        terms: Terms,
        sized: dict[int, list[Leg]],
    ) -> list[Leg]:
        """Raises Ends. Equal amounts at one locked price have equal legs: they are sized once."""
        if operation.type in BUYS:
            legs = sized.get(item.amount)
            if legs is None:
                legs = sized[item.amount] = sizing.buys(item.amount, operation.weights, terms)
            return legs
        held = dict(holdings.get(item.participant, {}))
        cash = held.pop(operation.quoted_currency, 0)
        if operation.type == "liquidation":
            return sizing.liquidation(held, terms)
        if operation.type == "partial_sell":
            return sizing.partial_sell(item.amount, operation.weights, held, terms)
        invested = cash if self._switches["label_cash"] == "invested" else 0
        return sizing.rebalance(operation.weights, held, invested, terms)

    def _create_traders(self, operation: Operation, work: list[Work]) -> None:
        """The first enrollment creates the Trader; a liquidated one comes back as it was."""
        existing = self._traders(operation, [item.participant for item in work])
        seq = self._store.next_seq("trader")
        rows = []
        for item in work:
            trader = existing.get(item.participant)
            if trader is not None:
                item.trader_seq = trader.seq
                continue
            name = f"{operation.strategy_id}/{item.participant}"
            version = self._switches["trader_id_version"]
            rows.append(
                (
                    seq,
                    derive(self._seed, "trader", name, version),
                    operation.strategy_seq,
                    item.participant,
                    item.auto_rebalance,
                    operation.due_ms,
                    operation.due_ms,
                )
            )
            item.trader_seq = seq
            seq += 1
        self._store.write_many("INSERT INTO trader VALUES (?, ?, ?, ?, ?, 0, NULL, ?, ?)", rows)

    # Settling

    def _settle(self, operation: Operation) -> None:
        """Book all trades of all Traders at once and finish."""
        work = self._work(operation)
        posting = Posting(operation.seq, operation.due_ms)
        quoted = operation.quoted_currency
        trade_seq = self._store.next_seq("trade")
        market: dict[str, int] = {}
        fees = 0
        spread = self._switches.number("spread_bps")
        trades: list[tuple[object, ...]] = []
        finished: list[tuple[str, str, str, int, int]] = []
        at = rfc3339(operation.due_ms)
        for item in work:
            legs = [Leg(*fields) for fields in json.loads(item.legs)]
            cash = self._cash_account(operation, item.participant)
            instructions = []
            for leg in legs:
                trade_ids = []
                if leg.trades:
                    trade_id = derive(self._seed, "trade", trade_seq)
                    trade_ids.append(trade_id)
                    holding = self._holding(operation, item.participant, leg.asset)
                    sign = 1 if leg.side == "buy" else -1
                    paid = leg.notional if leg.side == "buy" else leg.notional - leg.fee
                    posting.move(holding, sign * leg.quantity, trade_seq)
                    posting.move(cash, -sign * paid, trade_seq)
                    market[leg.asset] = market.get(leg.asset, 0) - sign * leg.quantity
                    market[quoted] = market.get(quoted, 0) + sign * paid - leg.fee
                    fees += leg.fee
                    trades.append(
                        (
                            trade_seq,
                            trade_id,
                            item.seq,
                            leg.side,
                            leg.asset,
                            quoted,
                            str(leg.price),
                            str(leg.quantity),
                            leg.notional,
                            leg.fee,
                            spread,
                            operation.due_ms,
                        )
                    )
                    trade_seq += 1
                instructions.append(self.instruction(leg, quoted, trade_ids=trade_ids, at=at))
            status, reason = self._verdict(legs)
            document = "[" + ",".join(instructions) + "]"
            finished.append((status, reason, document, operation.due_ms, item.seq))
        for asset, change in market.items():
            posting.move(market_account(asset), change)
        if fees:
            posting.move(fees_account(quoted), fees)
        self._store.write_many(
            "INSERT INTO trade VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", trades
        )
        self._books.post(posting)
        self._store.write_many(
            "UPDATE execution SET status = ?, reason = ?, instructions = ?, updated_ms = ?"
            " WHERE seq = ?",
            finished,
        )
        self._mark_liquidated(operation, work)
        self._store.write("UPDATE trader SET held_by = NULL WHERE held_by = ?", (operation.seq,))
        self._finish(operation)

    def instruction(self, leg: Leg, quoted: str, *, trade_ids: list[str], at: str) -> str:
        """One instruction as JSON text. Price, quantity and notional only once executed."""
        precision = self._market.instruments[leg.asset].precision
        if leg.side == "buy":
            amount, amount_type = padded(leg.amount, CENTS), "notional"
        else:
            amount, amount_type = trimmed(leg.amount, precision), "quantity"
        price = quantity = notional = executed_at = ""
        status = leg.status
        if trade_ids:
            price = trimmed(leg.price, PRICE_SCALE, at_least=2)
            quantity = trimmed(leg.quantity, precision)
            notional = padded(leg.notional, CENTS)
            status, executed_at = "executed", at
        ids = ",".join(f'"{trade_id}"' for trade_id in trade_ids)
        unset = _EXECUTED_AT_UNSET[self._switches["executed_at_unset"]]
        moment = f',"executed_at":"{executed_at}"' if executed_at else unset
        return (
            f'{{"underlying_currency":"{leg.asset}","quoted_currency":"{quoted}",'
            f'"side":"{leg.side}","amount":"{amount}","amount_type":"{amount_type}",'
            f'"status":"{status}","status_reason":"{leg.reason}","price":"{price}",'
            f'"quantity":"{quantity}","total_notional":"{notional}","trade_ids":[{ids}]'
            f"{moment}}}"
        )

    def _verdict(self, legs: list[Leg]) -> tuple[str, str]:
        """How an Execution ends. One with a failed leg is undocumented: a switch."""
        if any(leg.trades for leg in legs):
            failed = any(leg.status == "failed" for leg in legs)
            if failed and self._switches["failed_leg_execution"] == "rejected":
                return "rejected", "instruction failed"
            return "settled", ""
        return "rejected", next((leg.reason for leg in legs if leg.reason), "")

    def _mark_liquidated(self, operation: Operation, work: list[Work]) -> None:
        if operation.type in ("liquidation", *BUYS):
            gone = int(operation.type == "liquidation")
            self._store.write_many(
                "UPDATE trader SET liquidated = ? WHERE seq = ? AND liquidated <> ?",
                [(gone, item.trader_seq, gone) for item in work],
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
        if not counts:
            return self._switches["no_executions_status"], "no_executions"
        if counts.keys() == {"settled"}:
            return "settled", ""
        if counts.keys() == {"rejected"}:
            return "failed", "all_rejected"
        if counts.keys() == {"skipped"}:
            return "skipped", "all_skipped"
        return self._switches["partial_success_status"], "partial_success"

    # Accounts

    def funding_account(self, participant: str, currency: str) -> Account:
        """The account that the credit check looks at, as the funding model has it."""
        model = self._switches["funding_model"]
        if model == "direct":
            return Account("participants", participant, self._platform, "general", currency)
        if model == "standard":
            return Account("float", self._platform, PROVIDER, "general", currency)
        return Account("float", PROVIDER, self._platform, "general", currency)

    def _cash_account(self, operation: Operation, participant: str) -> Account:
        """Where the fiat of a trade comes from and goes to; a rebalance stays in the label."""
        to_label = self._switches["proceeds_to"] == "label" and operation.type not in BUYS
        if operation.type == "rebalance" or to_label:
            return self._holding(operation, participant, operation.quoted_currency)
        return self.funding_account(participant, operation.quoted_currency)

    def _holding(self, operation: Operation, participant: str, asset: str) -> Account:
        return Account("participants", participant, self._platform, operation.strategy_id, asset)

    def reserved(self, currency: str, participant: str | None) -> int:
        """Cents that open buys have taken from a funding account but not yet spent."""
        if participant is None:
            found = self._store.value(
                "SELECT sum(o.reserved) FROM operation o JOIN strategy s ON s.seq = o.strategy_seq"
                " WHERE o.due_ms IS NOT NULL AND s.quoted_currency = ?",
                (currency,),
            )
        else:
            found = self._store.value(
                "SELECT sum(e.amount) FROM operation o JOIN strategy s ON s.seq = o.strategy_seq"
                " JOIN execution e ON e.operation_seq = o.seq"
                " WHERE o.due_ms IS NOT NULL AND o.reserved > 0 AND s.quoted_currency = ?"
                " AND e.participant = ? AND e.status = 'awaiting_execution'",
                (currency, participant),
            )
        return int(found or 0)

    def funding_balance(self, participant: str, currency: str) -> int:
        """Cents in the funding account."""
        return self._books.balance(self.funding_account(participant, currency))

    @property
    def funded_by_participants(self) -> bool:
        """Whether each participant pays from an account of its own."""
        return self._switches["funding_model"] == "direct"

    def is_busy(self) -> bool:
        """Whether any Operation is not terminal."""
        return self._store.row("SELECT 1 FROM operation WHERE due_ms IS NOT NULL") is not None

    # Rows

    def _work(self, operation: Operation) -> list[Work]:
        rows = self._store.rows(
            "SELECT seq, id, participant, trader_seq, amount, auto_rebalance, legs FROM execution"
            " WHERE operation_seq = ? AND status = 'awaiting_execution' ORDER BY seq",
            (operation.seq,),
        )
        return [Work(row[0], row[1], row[2], row[3], row[4] or 0, row[5], row[6]) for row in rows]

    def _traders(self, operation: Operation, codes: list[str]) -> dict[str, Trader]:
        rows = self._store.rows(
            "SELECT participant, seq, liquidated, held_by FROM trader WHERE strategy_seq = ?"
            " AND participant IN (SELECT value FROM json_each(?))",
            (operation.strategy_seq, json.dumps(codes)),
        )
        return {row[0]: Trader(row[1], bool(row[2]), row[3]) for row in rows}

    def _write_traders_of(self, work: list[Work]) -> None:
        self._store.write_many(
            "UPDATE execution SET trader_seq = ? WHERE seq = ?",
            [(item.trader_seq, item.seq) for item in work if item.trader_seq is not None],
        )

    def _write_holds(self, operation: Operation, traders: Iterable[Trader]) -> None:
        self._store.write_many(
            "UPDATE trader SET held_by = ? WHERE seq = ?",
            [(operation.seq, t.seq) for t in traders if t.held_by == operation.seq],
        )

    def _end(self, operation: Operation, ended: list[tuple[str, str, Work]]) -> None:
        """Finish Executions before any trade, and let go of what they held."""
        self._store.write_many(
            "UPDATE execution SET status = ?, reason = ?, instructions = '[]', updated_ms = ?"
            " WHERE seq = ?",
            [(status, reason, operation.due_ms, item.seq) for status, reason, item in ended],
        )
        self._store.write_many(
            "UPDATE trader SET held_by = NULL WHERE seq = ? AND held_by = ?",
            [(item.trader_seq, operation.seq) for _, _, item in ended],
        )


class Purse:
    """The credit check of one Operation: first come, first served in the order of the body."""

    def __init__(self, engine: Engine, operation: Operation) -> None:
        self._engine = engine
        self._currency = operation.quoted_currency
        self._left: dict[str, int] = {}

    def take(self, participant: str, cents: int) -> None:
        """Raises Ends when the funding account does not have the money."""
        engine = self._engine
        whose = participant if engine.funded_by_participants else ""
        if whose not in self._left:
            balance = engine.funding_balance(participant, self._currency)
            self._left[whose] = balance - engine.reserved(self._currency, whose or None)
        if self._left[whose] < cents:
            raise Ends("rejected", "insufficient_funds")
        self._left[whose] -= cents
