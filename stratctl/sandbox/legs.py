"""From money and weights to legs: what each Trader buys and sells at the locked prices.

Pure functions. A buy is sized in cents of the quoted currency, a sell in the asset's own
smallest unit. A buy adds up to the amount exactly; a sell never sells more than is held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stratctl.sandbox.amounts import CENTS, PRICE_SCALE, half_even, power_of_ten, split
from stratctl.sandbox.switches import Switches

BELOW_MINIMUM = "below_instrument_minimum"
_VALUE_SCALE = 8
"""Decimal places with which a rebalance values holdings; finer than a cent by a million."""

Weights = Sequence[tuple[str, int]]


class Ends(Exception):
    """An Execution ends before any trade: rejected or skipped, with the reason."""

    def __init__(self, status: Literal["rejected", "skipped"], reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class Leg(NamedTuple):
    """One instruction. `amount` is cents for a buy and asset units for a sell.

    `quantity`, `notional` (gross cents) and `fee` are what an executed leg trades.
    """

    asset: str
    side: str
    amount: int
    price: int
    quantity: int
    notional: int
    fee: int
    status: str = "pending"
    reason: str = ""

    @property
    def trades(self) -> bool:
        """Whether the market will fill it."""
        return self.status == "pending"


@dataclass(frozen=True, slots=True)
class Terms:
    """What an Operation locked for all its Traders, and how open questions are answered."""

    prices: Mapping[str, int]
    precisions: Mapping[str, int]
    minimums: Mapping[str, int]
    spread_bps: int
    fee_bps: int
    failing: frozenset[str]
    switches: Switches

    def customer_price(self, asset: str, side: str) -> int:
        """The middle price with the spread against the customer."""
        margin = self.spread_bps if side == "buy" else -self.spread_bps
        return self.prices[asset] * (10_000 + margin) // 10_000

    def fee(self, notional: int) -> int:
        """The fee of a trade, in cents."""
        return half_even(notional * self.fee_bps, 10_000)

    def bought(self, asset: str, cents: int) -> int:
        """Asset units that these cents buy, rounded down."""
        scale = power_of_ten(self.precisions[asset] + PRICE_SCALE - CENTS)
        return cents * scale // self.customer_price(asset, "buy")

    def worth(self, asset: str, quantity: int) -> int:
        """Cents that these units bring, by banker's rounding."""
        scale = power_of_ten(self.precisions[asset] + PRICE_SCALE - CENTS)
        return half_even(quantity * self.customer_price(asset, "sell"), scale)

    def value(self, asset: str, quantity: int) -> int:
        """The middle value of a holding in 10**-8 of the quoted currency."""
        scale = power_of_ten(self.precisions[asset] + PRICE_SCALE - _VALUE_SCALE)
        return quantity * self.prices[asset] // scale

    def buy(self, asset: str, cents: int) -> Leg:
        """A buy for this many cents, fee included."""
        fee = self.fee(cents)
        quantity = self.bought(asset, cents - fee)
        price = self.customer_price(asset, "buy")
        return self._at_market(Leg(asset, "buy", cents, price, quantity, cents, fee))

    def sell(self, asset: str, quantity: int) -> Leg:
        """A sell of this many units."""
        notional = self.worth(asset, quantity)
        price = self.customer_price(asset, "sell")
        fee = self.fee(notional)
        return self._at_market(Leg(asset, "sell", quantity, price, quantity, notional, fee))

    def too_small(self, leg: Leg) -> bool:
        """Whether a leg is under its instrument's minimum, or buys nothing at all."""
        return leg.notional < self.minimums[leg.asset] or leg.quantity == 0

    def _at_market(self, leg: Leg) -> Leg:
        if leg.asset in self.failing:
            return leg._replace(status="failed", reason="liquidity unavailable")
        return leg


def skipped(leg: Leg) -> Leg:
    """The leg as it is listed when it is too small to trade."""
    return leg._replace(status="skipped", reason=BELOW_MINIMUM)


def buy_notionals(cents: int, weights: Weights, how: str) -> list[tuple[str, int]]:
    """The cents of each leg of an enrollment or top-up; weights of 0 have no leg."""
    held = [(asset, weight) for asset, weight in weights if weight]
    return [(asset, part) for (asset, _), part in zip(held, split(cents, held, how), strict=True)]


def buys(cents: int, weights: Weights, terms: Terms) -> list[Leg]:
    """Legs of an enrollment or top-up. Raises Ends."""
    legs = []
    for asset, part in buy_notionals(cents, weights, terms.switches["leg_rounding"]):
        leg = terms.buy(asset, part)
        if terms.too_small(leg):
            if terms.switches["buy_below_minimum"] == "reject":
                raise Ends("rejected", BELOW_MINIMUM)
            leg = skipped(leg)
        legs.append(leg)
    return _some_left(legs)


def partial_sell(
    cents: int, weights: Weights, holdings: Mapping[str, int], terms: Terms
) -> list[Leg]:
    """Legs of a partial sell, sized by the supplied weights and not by holdings. Raises Ends."""
    legs = []
    for asset, part in buy_notionals(cents, weights, terms.switches["leg_rounding"]):
        scale = power_of_ten(terms.precisions[asset] + PRICE_SCALE - CENTS)
        wanted = part * scale // terms.customer_price(asset, "sell")
        held = holdings.get(asset, 0)
        if wanted > held:
            wanted = _when_oversold(asset, held, terms)
        leg = terms.sell(asset, wanted)
        if terms.too_small(leg):
            if terms.switches["partial_sell_below_minimum"] == "execution_rejected":
                raise Ends("rejected", BELOW_MINIMUM)
            leg = leg._replace(status="rejected", reason=BELOW_MINIMUM)
        legs.append(leg)
    if all(leg.status == "rejected" for leg in legs):
        raise Ends("rejected", BELOW_MINIMUM)
    return legs


def liquidation(holdings: Mapping[str, int], terms: Terms) -> list[Leg]:
    """Sells of everything held. Raises Ends when there is nothing."""
    if not holdings:
        raise Ends("skipped", "no_holdings")
    return _some_left([_exit(asset, holdings[asset], terms) for asset in sorted(holdings)])


def rebalance(weights: Weights, holdings: Mapping[str, int], cash: int, terms: Terms) -> list[Leg]:
    """Sells down to the weights, then buys with exactly what the sells bring. Raises Ends.

    An asset with weight 0, or held and not in the weights, is sold in full by quantity.
    `cash` is fiat under the label that is invested too.
    """
    if not holdings and not cash:
        raise Ends("skipped", "no_holdings")
    sells, wanted = _deltas(weights, holdings, cash, terms)
    proceeds = cash + sum(leg.notional - leg.fee for leg in sells if leg.trades)
    legs = sells + _buys_from(proceeds, wanted, terms)
    if not legs:
        raise Ends("skipped", BELOW_MINIMUM)
    return _some_left(legs)


def _deltas(
    weights: Weights, holdings: Mapping[str, int], cash: int, terms: Terms
) -> tuple[list[Leg], list[tuple[str, int]]]:
    """The sells, and what is missing of each asset that is under its target.

    Less than a cent off is on target.
    """
    cent = power_of_ten(_VALUE_SCALE - CENTS)
    values = {asset: terms.value(asset, units) for asset, units in holdings.items()}
    total = sum(values.values()) + cash * cent
    whole = sum(weight for _, weight in weights)
    targets = {asset: total * weight // whole for asset, weight in weights}
    sells, missing = [], []
    for asset in sorted(values.keys() | targets.keys()):
        target, value = targets.get(asset, 0), values.get(asset, 0)
        if target == 0 and asset in holdings:
            sells.append(_exit(asset, holdings[asset], terms))
        elif value - target >= cent:
            scale = power_of_ten(terms.precisions[asset] + PRICE_SCALE - _VALUE_SCALE)
            surplus = (value - target) * scale // terms.prices[asset]
            sells.append(_trim(asset, min(surplus, holdings[asset]), terms))
        elif target - value >= cent:
            missing.append((asset, target - value))
    return sells, missing


def _buys_from(proceeds: int, wanted: list[tuple[str, int]], terms: Terms) -> list[Leg]:
    """Spend the proceeds on what is missing; what is too small goes to the others."""
    dropped: list[Leg] = []
    while wanted:
        legs = [
            terms.buy(asset, part)
            for (asset, _), part in zip(wanted, split(proceeds, wanted), strict=True)
        ]
        small = [leg for leg in legs if terms.too_small(leg)]
        if not small:
            return legs + dropped
        if terms.switches["rebalance_below_minimum"] == "reject" and proceeds:
            raise Ends("rejected", BELOW_MINIMUM)
        smallest = min(small, key=lambda leg: (leg.notional, leg.asset))
        dropped.append(skipped(smallest))
        wanted = [(asset, ratio) for asset, ratio in wanted if asset != smallest.asset]
    return dropped


def _trim(asset: str, quantity: int, terms: Terms) -> Leg:
    """A sell down to the target; one that is too small is skipped, or rejects the Trader."""
    leg = terms.sell(asset, quantity)
    if not terms.too_small(leg):
        return leg
    if terms.switches["rebalance_below_minimum"] == "reject":
        raise Ends("rejected", BELOW_MINIMUM)
    return skipped(leg)


def _exit(asset: str, quantity: int, terms: Terms) -> Leg:
    leg = terms.sell(asset, quantity)
    if leg.trades and terms.too_small(leg) and terms.switches["exit_below_minimum"] == "skip":
        return skipped(leg)
    return leg


def _when_oversold(asset: str, held: int, terms: Terms) -> int:
    how = terms.switches["oversell"]
    if how == "clamp":
        return held
    if how == "credit_check_text":
        raise Ends("rejected", f"insufficient {asset} balance for sell leg")
    raise Ends("rejected", "insufficient_funds")


def _some_left(legs: list[Leg]) -> list[Leg]:
    """The legs, unless every one of them is skipped. Raises Ends."""
    if all(leg.status == "skipped" for leg in legs):
        raise Ends("skipped", BELOW_MINIMUM)
    return legs
