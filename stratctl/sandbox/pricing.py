"""Prices are locked once per Operation; every leg of every Trader is sized with them."""

from collections.abc import Iterable, Mapping

from stratctl.sandbox import legs as sizing
from stratctl.sandbox.checks import Checks
from stratctl.sandbox.legs import Leg, Terms
from stratctl.sandbox.market import Market
from stratctl.sandbox.switches import Switches
from stratctl.sandbox.work import Operation, Work

Holdings = Mapping[str, int]


class Pricing:
    """The legs of one Operation."""

    def __init__(
        self,
        operation: Operation,
        holdings: Iterable[Holdings],
        *,
        switches: Switches,
        market: Market,
        checks: Checks,
    ) -> None:
        self._operation = operation
        self._invests_cash = switches["label_cash"] == "invested"
        self._sized: dict[int, list[Leg]] = {}
        assets = {asset for asset, _ in operation.weights if market.tradable(asset)}
        for held in holdings:
            assets.update(held)
        assets.discard(operation.quoted_currency)
        quoted, at_ms = operation.quoted_currency, operation.due_ms
        self._terms = Terms(
            prices={asset: market.price(asset, quoted, at_ms) for asset in assets},
            precisions={asset: market.instruments[asset].precision for asset in assets},
            minimums={asset: checks.minimum(asset) for asset in assets},
            spread_bps=switches.number("spread_bps"),
            fee_bps=switches.number("fee_bps"),
            failing=frozenset(switches["failing_assets"].split(",")),
            switches=switches,
        )

    def legs(self, work: Work, holdings: Holdings) -> list[Leg]:
        """The legs of one Execution. Raises Ends."""
        operation, terms = self._operation, self._terms
        if operation.buys:
            return self._buys(work.amount)
        held = dict(holdings)
        cash = held.pop(operation.quoted_currency, 0)
        if operation.type == "liquidation":
            return sizing.liquidation(held, terms)
        if operation.type == "partial_sell":
            return sizing.partial_sell(work.amount, operation.weights, held, terms)
        return sizing.rebalance(operation.weights, held, cash if self._invests_cash else 0, terms)

    def _buys(self, cents: int) -> list[Leg]:
        """Equal amounts at one locked price have equal legs, so they are sized once."""
        if cents not in self._sized:
            self._sized[cents] = sizing.buys(cents, self._operation.weights, self._terms)
        return self._sized[cents]
