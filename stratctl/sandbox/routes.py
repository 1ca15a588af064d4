"""Paths to handlers."""

import re
from collections.abc import Callable

from stratctl.sandbox import ledger, strategies
from stratctl.sandbox.messages import Response
from stratctl.sandbox.world import Call

Handler = Callable[[Call], Response]

_ID = "([^/]+)"


class Routes:
    """The endpoints of the provider that the sandbox has. `{}` stands for one id."""

    def __init__(self) -> None:
        table: dict[tuple[str, str], Handler] = {
            ("GET", "/time"): ledger.read_time,
            ("GET", "/index"): ledger.read_index,
            ("GET", "/market_data/symbol_data"): ledger.read_symbol_data,
            ("GET", "/assets"): ledger.list_assets,
            ("GET", "/participants"): ledger.list_participants,
            ("GET", "/accounts"): ledger.list_accounts,
            ("GET", "/accounts/net_delivery_obligations"): ledger.list_obligations,
            ("GET", "/accounts/{}"): ledger.read_account,
            ("GET", "/accounts/{}/movements"): ledger.list_movements,
            ("GET", "/trades"): ledger.list_trades,
            ("GET", "/trades/{}"): ledger.read_trade,
            ("POST", "/strategies"): strategies.create_strategy,
            ("GET", "/strategies"): strategies.list_strategies,
            ("GET", "/strategies/operations"): strategies.list_operations,
            ("GET", "/strategies/traders"): strategies.list_traders,
            ("GET", "/strategies/executions"): strategies.list_executions,
            ("GET", "/strategies/operations/{}"): strategies.read_operation,
            ("GET", "/strategies/traders/{}"): strategies.read_trader,
            ("PATCH", "/strategies/traders/{}"): strategies.update_trader,
            ("GET", "/strategies/executions/{}"): strategies.read_execution,
            ("GET", "/strategies/{}"): strategies.read_strategy,
            ("PATCH", "/strategies/{}"): strategies.update_strategy,
            ("POST", "/strategies/{}/enroll"): strategies.enroll,
            ("POST", "/strategies/{}/top-up"): strategies.top_up,
            ("POST", "/strategies/{}/partial-sell"): strategies.partial_sell,
            ("POST", "/strategies/{}/rebalance"): strategies.rebalance,
            ("POST", "/strategies/{}/liquidate"): strategies.liquidate,
        }
        self._exact = {key: handler for key, handler in table.items() if "{}" not in key[1]}
        self._patterns = [
            (method, re.compile(path.replace("{}", _ID), re.ASCII), path, handler)
            for (method, path), handler in table.items()
            if "{}" in path
        ]

    def find(self, method: str, path: str) -> tuple[str, Handler, tuple[str, ...]] | None:
        """The route's name, its handler and the ids in the path."""
        exact = self._exact.get((method, path))
        if exact is not None:
            return path, exact, ()
        for route_method, pattern, name, handler in self._patterns:
            match = pattern.fullmatch(path) if route_method == method else None
            if match is not None:
                return name, handler, match.groups()
        return None
