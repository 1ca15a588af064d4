"""`/_sandbox/…`: what no provider lets its clients do, for people and tests on this machine."""

import re
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

from stratctl.sandbox.amounts import CENTS, PRICE_SCALE, padded, parse_units, trimmed
from stratctl.sandbox.bodies import QUOTED_CURRENCIES
from stratctl.sandbox.books import Account, Posting, outside_account
from stratctl.sandbox.clock import rfc3339
from stratctl.sandbox.faults import KINDS, Faults, describe, make_fault
from stratctl.sandbox.messages import (
    Number,
    Request,
    Response,
    json_response,
    parse_json,
)
from stratctl.sandbox.switches import SWITCHES
from stratctl.sandbox.world import World

PREFIX = "/_sandbox/"
_OWNER = re.compile(r"[A-Z0-9]{6}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)

LAGS = {
    "operations": "operations_lag_seconds",
    "executions": "executions_lag_seconds",
    "accounts": "accounts_lag_seconds",
    "latency_ms": "latency_ms",
    "validating_ms": "validating_ms",
    "pricing_ms": "pricing_ms",
    "settling_ms": "settling_ms",
}


class Controlled(Protocol):
    """What the control API needs of the provider."""

    world: World
    faults: Faults

    def advance(self, milliseconds: int) -> None:
        """Move sandbox time forward and let Operations follow."""
        ...

    def now_ms(self) -> int:
        """Sandbox time."""
        ...

    def stats(self) -> dict[str, Any]:
        """Counts of requests and rows."""
        ...

    def log(self) -> list[dict[str, Any]]:
        """The last requests."""
        ...


class Control:
    """The control API. Bodies are JSON objects; amounts and prices may be text or numbers."""

    def __init__(self, provider: Controlled) -> None:
        self._provider = provider
        self._world = provider.world
        self._table: dict[tuple[str, str], tuple[Callable[[dict[str, Any]], Any], str]] = {
            ("GET", ""): (self._index, "this list"),
            ("GET", "price"): (self._prices, "all prices in USD"),
            ("POST", "price"): (self._set_prices, 'set prices: {"BTC": "61000.00", …}'),
            ("GET", "time"): (self._time, "sandbox time and wall clock"),
            ("POST", "advance"): (self._advance, 'move sandbox time: {"seconds": 60}'),
            ("GET", "fault"): (self._faults, "the kinds of faults, and those that wait"),
            ("POST", "fault"): (
                self._add_fault,
                '{"kind": "timeout_after", "method": "POST", "path": "/enroll", "skip": 0,'
                ' "count": 1}',
            ),
            ("DELETE", "fault"): (self._clear_faults, "forget all faults"),
            ("POST", "lag"): (
                self._lag,
                "how late lists are, in seconds: {operations, executions, accounts};"
                " {latency_ms, validating_ms, pricing_ms, settling_ms}",
            ),
            ("GET", "float"): (self._floats, "funding balances"),
            ("POST", "float"): (
                self._set_float,
                '{"currency": "USD", "balance": "1000.00"}; in the direct funding model'
                ' also "participant_codes": ["P00001"]',
            ),
            ("POST", "account"): (
                self._adjust,
                "move money by hand: {owner, label, asset, change} and optionally {group, type}",
            ),
            ("GET", "participants"): (self._count_participants, "how many participants"),
            ("POST", "participants"): (
                self._set_participants,
                '{"participants": [{participant_code, status, reason_code, jurisdiction_code,'
                ' blocked_assets}]} or {"count": 100}',
            ),
            ("GET", "switches"): (self._switches, "every open question and how it is answered"),
            ("POST", "switches"): (self._set_switches, '{"same_id_other_body": "409", …}'),
            ("GET", "books"): (self._books, "recompute the double-entry books in full"),
            ("GET", "stats"): (self._stats, "counts of requests and rows"),
            ("GET", "requests"): (self._requests, "the last 1,000 requests"),
        }

    def handle(self, request: Request) -> Response:
        """Answer one control request; mistakes in its body are 400."""
        name = urlsplit(request.target).path.removeprefix(PREFIX).strip("/")
        entry = self._table.get((request.method, name))
        if entry is None:
            return json_response(404, {"errors": [f"no {request.method} {PREFIX}{name}"]})
        try:
            body = parse_json(request.body) if request.body else {}
            if not isinstance(body, dict):
                raise ValueError("the body is not a JSON object")
            return json_response(200, entry[0](body))
        except ValueError as problem:
            return json_response(400, {"errors": [str(problem)]})

    def _index(self, _: dict[str, Any]) -> Any:
        return {
            f"{method} {PREFIX}{name}": about for (method, name), (_, about) in self._table.items()
        }

    def _prices(self, _: dict[str, Any]) -> Any:
        market, now = self._world.market, self._provider.now_ms()
        return {
            symbol: trimmed(market.price(symbol, "USD", now), PRICE_SCALE, at_least=2)
            for symbol in market.instruments
        }

    def _set_prices(self, body: dict[str, Any]) -> Any:
        prices = {symbol: _text(price) for symbol, price in body.items()}
        with self._world.store.transaction():
            self._world.market.set_prices(prices, self._provider.now_ms())
        return prices

    def _time(self, _: dict[str, Any]) -> Any:
        now = self._provider.now_ms()
        return {"now_ms": now, "now": rfc3339(now)}

    def _advance(self, body: dict[str, Any]) -> Any:
        milliseconds = parse_units(_text(body.get("seconds", "")), 3)
        if milliseconds is None:
            raise ValueError("seconds is a number of at most three decimals, not negative")
        self._provider.advance(milliseconds)
        return self._time({})

    def _faults(self, _: dict[str, Any]) -> Any:
        waiting = [describe(fault) for fault in self._provider.faults.waiting()]
        return {"kinds": KINDS, "waiting": waiting}

    def _add_fault(self, body: dict[str, Any]) -> Any:
        fault = make_fault(body)
        self._provider.faults.add(fault)
        return describe(fault)

    def _clear_faults(self, _: dict[str, Any]) -> Any:
        self._provider.faults.clear()
        return {}

    def _lag(self, body: dict[str, Any]) -> Any:
        unknown = body.keys() - LAGS.keys()
        if unknown:
            raise ValueError(f"a lag is one of {', '.join(LAGS)}; not {sorted(unknown)}")
        return self._set_switches({LAGS[name]: value for name, value in body.items()})

    def _floats(self, _: dict[str, Any]) -> Any:
        funding = self._world.funding
        return {
            "funding_model": self._world.switches["funding_model"],
            "balances": {
                currency: padded(funding.balance("", currency), CENTS)
                for currency in QUOTED_CURRENCIES
            },
            "reserved": {
                currency: padded(funding.reserved("", currency), CENTS)
                for currency in QUOTED_CURRENCIES
            },
        }

    def _set_float(self, body: dict[str, Any]) -> Any:
        currency = body.get("currency", "USD")
        wanted = parse_units(_text(body.get("balance", "")), CENTS)
        if currency not in QUOTED_CURRENCIES or wanted is None:
            raise ValueError("currency is USD or EUR, balance a decimal of at most 2 places")
        funding, books = self._world.funding, self._world.books
        codes = body.get("participant_codes", [""])
        with self._world.store.transaction():
            for code in codes:
                account = funding.account(code, currency)
                if wanted < funding.reserved(code, currency):
                    raise ValueError("the balance is less than what running Operations need")
                change = wanted - books.balance(account)
                self._move_by_hand(account, change)
        return {"currency": currency, "balance": padded(wanted, CENTS)}

    def _adjust(self, body: dict[str, Any]) -> Any:
        asset = str(body.get("asset"))
        if asset not in self._world.market.instruments:
            raise ValueError(f"no such asset: {asset!r}")
        text = _text(body.get("change", ""))
        scale = self._world.market.instruments[asset].precision
        units = parse_units(text.removeprefix("-"), scale)
        if units is None:
            raise ValueError(f"change is a decimal of at most {scale} places")
        change = -units if text.startswith("-") else units
        owner, label = str(body.get("owner", "")), str(body.get("label", "general"))
        group = str(body.get("group", self._world.platform))
        kind = str(body.get("type", "available"))
        if not _OWNER.fullmatch(owner) or not _LABEL.fullmatch(label):
            raise ValueError("owner is a participant code, label at most 40 of A-Z a-z 0-9 _ -")
        account = self._world.books.named(
            owner=owner, group=group, label=label, asset=asset, type=kind
        )
        if change < 0 and self._world.engine.is_busy():
            raise ValueError("nothing can be taken while Operations run")
        with self._world.store.transaction():
            if self._world.books.balance(account) + change < 0:
                raise ValueError("the account would become negative")
            self._move_by_hand(account, change)
        return {"balance": padded(self._world.books.balance(account), scale)}

    def _move_by_hand(self, account: Account, change: int) -> None:
        kind = "deposit" if change > 0 else "withdrawal"
        posting = Posting(0, self._provider.now_ms(), kind)
        posting.move(account, change)
        posting.move(outside_account(account.asset), -change)
        self._world.books.post(posting)

    def _count_participants(self, _: dict[str, Any]) -> Any:
        rows = self._world.store.rows("SELECT status, count(*) FROM participant GROUP BY status")
        return dict(rows)

    def _set_participants(self, body: dict[str, Any]) -> Any:
        now = self._provider.now_ms()
        with self._world.store.transaction():
            if "count" in body:
                self._world.participants.create(int(_text(body["count"])), now)
            for wanted in body.get("participants", []):
                self._world.participants.put(wanted, now)
        return self._count_participants({})

    def _switches(self, _: dict[str, Any]) -> Any:
        return {
            switch.name: {
                "value": self._world.switches[switch.name],
                "default": switch.default,
                "positions": list(switch.positions),
                "form": switch.form,
                "meaning": switch.meaning,
            }
            for switch in SWITCHES
        }

    def _set_switches(self, body: dict[str, Any]) -> Any:
        switches, store = self._world.switches, self._world.store
        if "funding_model" in body and self._world.engine.is_busy():
            raise ValueError("the funding model cannot change while Operations run")
        with store.transaction():
            for name, value in body.items():
                switches.set(name, _text(value))
                store.put(f"switch/{name}", _text(value))
        return {name: switches[name] for name in body}

    def _books(self, _: dict[str, Any]) -> Any:
        found = self._world.books.verify()
        instruments = self._world.market.instruments
        found["sums"] = {
            asset: {
                book: padded(units, instruments[asset].precision) for book, units in sums.items()
            }
            for asset, sums in found["sums"].items()
        }
        return {"balanced": True, **found}

    def _stats(self, _: dict[str, Any]) -> Any:
        return self._provider.stats()

    def _requests(self, _: dict[str, Any]) -> Any:
        return {"requests": self._provider.log()}


def _text(value: Any) -> str:
    """A number or text as text; anything else is empty and refused later."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int | str) else ""
