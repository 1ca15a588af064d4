"""The last step of an Operation: all trades of all its Traders, booked at once."""

import json
from collections import Counter
from typing import Any

from stratctl.sandbox.amounts import CENTS, PRICE_SCALE, padded, trimmed
from stratctl.sandbox.books import Account, Books, Posting, fees_account, market_account
from stratctl.sandbox.clock import rfc3339
from stratctl.sandbox.funding import Funding
from stratctl.sandbox.ids import derive
from stratctl.sandbox.legs import Leg
from stratctl.sandbox.market import Market
from stratctl.sandbox.store import Store
from stratctl.sandbox.switches import Switches
from stratctl.sandbox.work import Operation, Work

_EXECUTED_AT_UNSET = {"empty": ',"executed_at":""', "null": ',"executed_at":null', "absent": ""}


class Settlement:
    """Books trades and finishes Executions."""

    def __init__(
        self,
        *,
        store: Store,
        switches: Switches,
        market: Market,
        books: Books,
        funding: Funding,
        seed: int,
        platform: str,
    ) -> None:
        self._store = store
        self._switches = switches
        self._market = market
        self._books = books
        self._funding = funding
        self._seed = seed
        self._platform = platform

    def settle(self, operation: Operation, work: list[Work]) -> None:
        """Write trades, postings and the ends of these Executions. Raises BooksError."""
        batch = _Batch(operation, first_trade=self._store.next_seq("trade"))
        spread = self._switches.number("spread_bps")
        quoted, at = operation.quoted_currency, rfc3339(operation.due_ms)
        ends: list[tuple[str, str, str, int, int]] = []
        for item in work:
            legs = [Leg(*fields) for fields in json.loads(item.legs)]
            cash = self._cash_account(operation, item.participant)
            instructions = []
            for leg in legs:
                trade_ids = []
                if leg.trades:
                    trade_ids.append(derive(self._seed, "trade", batch.next_trade))
                    holding = self._holding(operation, item.participant, leg.asset)
                    batch.trade(leg, item, holding, cash, trade_id=trade_ids[0], spread=spread)
                instructions.append(self.instruction(leg, quoted, trade_ids=trade_ids, at=at))
            status, reason = self._verdict(legs)
            document = f"[{','.join(instructions)}]"
            ends.append((status, reason, document, operation.due_ms, item.seq))
        self._store.write_many(
            "INSERT INTO trade VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", batch.trades
        )
        self._books.post(batch.posting())
        self._store.write_many(
            "UPDATE execution SET status = ?, reason = ?, instructions = ?, updated_ms = ?"
            " WHERE seq = ?",
            ends,
        )

    def instruction(self, leg: Leg, quoted: str, *, trade_ids: list[str], at: str) -> str:
        """One instruction as JSON text; price, quantity and notional only once executed."""
        precision = self._market.instruments[leg.asset].precision
        if leg.side == "buy":
            amount, amount_type = padded(leg.amount, CENTS), "notional"
        else:
            amount, amount_type = trimmed(leg.amount, precision), "quantity"
        price = quantity = notional = ""
        status, executed_at = leg.status, _EXECUTED_AT_UNSET[self._switches["executed_at_unset"]]
        if trade_ids:
            price = trimmed(leg.price, PRICE_SCALE, at_least=2)
            quantity = trimmed(leg.quantity, precision)
            notional = padded(leg.notional, CENTS)
            status, executed_at = "executed", f',"executed_at":"{at}"'
        ids = ",".join(f'"{trade_id}"' for trade_id in trade_ids)
        return (
            f'{{"underlying_currency":"{leg.asset}","quoted_currency":"{quoted}",'
            f'"side":"{leg.side}","amount":"{amount}","amount_type":"{amount_type}",'
            f'"status":"{status}","status_reason":"{leg.reason}","price":"{price}",'
            f'"quantity":"{quantity}","total_notional":"{notional}","trade_ids":[{ids}]'
            f"{executed_at}}}"
        )

    def _verdict(self, legs: list[Leg]) -> tuple[str, str]:
        """How an Execution ends. One with a failed leg is undocumented: a switch."""
        if not any(leg.trades for leg in legs):
            return "rejected", next((leg.reason for leg in legs if leg.reason), "")
        failed = any(leg.status == "failed" for leg in legs)
        if failed and self._switches["failed_leg_execution"] == "rejected":
            return "rejected", "instruction failed"
        return "settled", ""

    def _cash_account(self, operation: Operation, participant: str) -> Account:
        """Where the fiat of a trade comes from and goes to; a rebalance stays in the label."""
        to_label = self._switches["proceeds_to"] == "label" and not operation.buys
        if operation.type == "rebalance" or to_label:
            return self._holding(operation, participant, operation.quoted_currency)
        return self._funding.account(participant, operation.quoted_currency)

    def _holding(self, operation: Operation, participant: str, asset: str) -> Account:
        return Account("participants", participant, self._platform, operation.strategy_id, asset)


class _Batch:
    """The trades of one Operation while they are written down.

    Traders and the funding account get a movement per trade; the market and the fees get one
    per Operation, because nobody looks at theirs.
    """

    def __init__(self, operation: Operation, *, first_trade: int) -> None:
        self.trades: list[tuple[Any, ...]] = []
        self.next_trade = first_trade
        self._quoted = operation.quoted_currency
        self._at_ms = operation.due_ms
        self._posting = Posting(operation.seq, operation.due_ms)
        self._market: Counter[str] = Counter()
        self._fees = 0

    def trade(
        self, leg: Leg, work: Work, holding: Account, cash: Account, *, trade_id: str, spread: int
    ) -> None:
        """One trade: the asset one way, the money the other, the fee to the provider."""
        bought = leg.side == "buy"
        units = leg.quantity if bought else -leg.quantity
        money = -leg.notional if bought else leg.notional - leg.fee
        self._posting.move(holding, units, self.next_trade)
        self._posting.move(cash, money, self.next_trade)
        self._market[leg.asset] -= units
        self._market[self._quoted] -= money + leg.fee
        self._fees += leg.fee
        self.trades.append(
            (
                self.next_trade,
                trade_id,
                work.seq,
                leg.side,
                leg.asset,
                self._quoted,
                str(leg.price),
                str(leg.quantity),
                leg.notional,
                leg.fee,
                spread,
                self._at_ms,
            )
        )
        self.next_trade += 1

    def posting(self) -> Posting:
        """Everything that moved, the other side included."""
        for asset, change in self._market.items():
            self._posting.move(market_account(asset), change)
        if self._fees:
            self._posting.move(fees_account(self._quoted), self._fees)
        return self._posting
