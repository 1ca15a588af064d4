"""The market: instruments, their prices over sandbox time, and the index that lags behind.

Prices are in US dollars, as integers of 10**-16; a price in another currency is the ratio of
two of them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stratctl.sandbox.amounts import PRICE_SCALE, half_even, parse_units
from stratctl.sandbox.assets import CRYPTO, FIAT, Asset, new_asset
from stratctl.sandbox.store import Store

ONE = 10**PRICE_SCALE
INDEX_WINDOW_MS = 3_600_000
_SYMBOL = re.compile(r"[A-Z0-9]{1,12}(?:\.[A-Z0-9]{1,12})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Instrument:
    """An asset as it trades here. `minimum` is the least notional of a trade in cents.

    `stablecoin` is 0 or 1, as the store has it.
    """

    symbol: str
    name: str
    type: str
    precision: int
    minimum: int
    stablecoin: int


class Market:
    """Instruments and prices, read from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.instruments: Mapping[str, Instrument] = {}
        self.reload()

    def reload(self) -> None:
        """Read the instruments again after they changed."""
        rows = self._store.rows(
            "SELECT symbol, name, type, precision, minimum, stablecoin FROM asset ORDER BY seq"
        )
        self.instruments = {row[0]: Instrument(*row) for row in rows}

    def open(self, prices: Mapping[str, str], now_ms: int) -> None:
        """Fill an empty market with the documented instruments, then with the given prices.

        They count as an hour old, so that the index starts at the price.
        """
        opening_ms = now_ms - INDEX_WINDOW_MS
        self._list(FIAT + CRYPTO)
        for asset in FIAT + CRYPTO:
            self.set_price(asset.symbol, asset.price, opening_ms)
        self.set_prices(prices, opening_ms)

    def set_prices(self, prices: Mapping[str, str], now_ms: int) -> None:
        """Set prices in US dollars; an unknown code becomes a new instrument.

        Raises ValueError when a code or a price is not one. A price is a positive decimal.
        """
        for symbol in prices:
            if not _SYMBOL.fullmatch(symbol):
                raise ValueError(f"not an asset code: {symbol!r}")
        for symbol, price in prices.items():
            self.set_price(symbol, price, now_ms)
        new = [
            new_asset(symbol, prices[symbol]) for symbol in prices if symbol not in self.instruments
        ]
        if new:
            self._list(new)

    def _list(self, assets: Iterable[Asset]) -> None:
        self._store.write_many(
            "INSERT INTO asset (symbol, name, type, precision, minimum, stablecoin)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    asset.symbol,
                    asset.name,
                    asset.type,
                    asset.precision,
                    asset.minimum,
                    int(asset.stablecoin),
                )
                for asset in assets
            ],
        )
        self.reload()

    def set_price(self, symbol: str, price: str, now_ms: int) -> None:
        """The price of one unit in US dollars from now on. Raises ValueError."""
        units = parse_units(price, PRICE_SCALE)
        if not units:
            raise ValueError(f"the price of {symbol} is not a positive decimal: {price!r}")
        self._store.write(
            "INSERT OR REPLACE INTO price VALUES (?, ?, ?)", (symbol, now_ms, str(units))
        )

    def tradable(self, symbol: str) -> bool:
        """Whether a strategy may hold it."""
        instrument = self.instruments.get(symbol)
        return instrument is not None and instrument.type == "crypto"

    def price(self, symbol: str, quoted_currency: str, now_ms: int) -> int:
        """The middle price of one unit in the quoted currency, in 10**-16."""
        dollars = self._dollars(symbol, now_ms)
        if quoted_currency == "USD":
            return dollars
        return half_even(dollars * ONE, self._dollars(quoted_currency, now_ms))

    def index(self, symbol: str, quoted_currency: str, now_ms: int) -> int:
        """The mean price of the past hour: indicative, and late by nature, as documented."""
        dollars = self._hourly_mean(symbol, now_ms)
        if quoted_currency == "USD":
            return dollars
        return half_even(dollars * ONE, self._hourly_mean(quoted_currency, now_ms))

    def _dollars(self, symbol: str, now_ms: int) -> int:
        units = self._store.value(
            "SELECT units FROM price WHERE asset = ? ORDER BY since_ms > ?, since_ms DESC LIMIT 1",
            (symbol, now_ms),
        )
        return int(units)

    def _hourly_mean(self, symbol: str, now_ms: int) -> int:
        rows = self._store.rows(
            "SELECT since_ms, units FROM price WHERE asset = ? AND since_ms < ? ORDER BY since_ms",
            (symbol, now_ms),
        )
        window_start = now_ms - INDEX_WINDOW_MS
        weighted = covered = 0
        ends = [row[0] for row in rows[1:]] + [now_ms]
        for (since, units), end in zip(rows, ends, strict=False):
            length = end - max(since, window_start)
            if length > 0:
                weighted += int(units) * length
                covered += length
        return half_even(weighted, covered) if covered else self._dollars(symbol, now_ms)
