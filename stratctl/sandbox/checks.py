"""What is checked of each participant before there is a price."""

from stratctl.sandbox.amounts import CENTS, parse_units
from stratctl.sandbox.legs import BELOW_MINIMUM, Ends, buy_notionals
from stratctl.sandbox.market import Market
from stratctl.sandbox.participants import Standing
from stratctl.sandbox.switches import Switches
from stratctl.sandbox.work import Operation, Trader, Work

HELD = "balance held by concurrent operation"


class Checks:
    """The documented reasons to reject, and the switches where they are open."""

    def __init__(self, switches: Switches, market: Market) -> None:
        self._switches = switches
        self._market = market

    def check(
        self, operation: Operation, work: Work, standing: Standing | None, trader: Trader | None
    ) -> None:
        """Raises Ends when this participant is out."""
        self._check_standing(operation, standing)
        self.check_trader(operation, trader)
        self._check_instruments(operation, standing)
        if trader is not None and trader.held_by is not None and self.takes_hold(operation):
            raise Ends("rejected", HELD)
        if operation.buys and self._switches["buy_below_minimum"] == "reject":
            self._check_minimums(operation, work)

    def check_trader(self, operation: Operation, trader: Trader | None) -> None:
        """Raises Ends when the Trader must not exist but does, or the other way round."""
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

    def takes_hold(self, operation: Operation) -> bool:
        """Whether an Operation holds the balances of its Traders while it runs."""
        return not operation.buys or self._switches["buys_take_holds"] == "yes"

    def minimum(self, asset: str) -> int:
        """Least notional of a trade in cents."""
        common = self._switches["instrument_minimum"]
        if common:
            return parse_units(common, CENTS) or 0
        return self._market.instruments[asset].minimum

    def _check_standing(self, operation: Operation, standing: Standing | None) -> None:
        if operation.type == "rebalance":
            if standing is None or not standing.may_trade:
                raise Ends("rejected", "participant inactive or not found")
            return
        if standing is None:
            raise Ends("rejected", "participant_not_found")
        closing = standing.may_close and self._switches["closing_only_may_sell"] == "yes"
        if not standing.may_trade and (operation.buys or not closing):
            raise Ends("rejected", "participant_not_approved")

    def _check_instruments(self, operation: Operation, standing: Standing | None) -> None:
        for asset, _ in operation.weights:
            blocked = standing is not None and asset in standing.blocked_assets
            if blocked or not self._market.tradable(asset):
                pair = f"{asset}/{operation.quoted_currency}"
                raise Ends("rejected", f"instrument {pair} not enabled for participant")

    def _check_minimums(self, operation: Operation, work: Work) -> None:
        """A buy is sized in money, so that its minimum needs no price."""
        rounding = self._switches["leg_rounding"]
        for asset, cents in buy_notionals(work.amount, operation.weights, rounding):
            if cents < self.minimum(asset):
                raise Ends("rejected", BELOW_MINIMUM)
