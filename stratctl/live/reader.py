"""Reading live: Strategies side by side, joined with what the journal booked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from stratctl.core.errors import Interrupted
from stratctl.core.state import Booked, DesiredStrategy, Float, Live, LiveStrategy, Price
from stratctl.core.tables import Table, Workspace
from stratctl.live import joining, wire
from stratctl.live.client import ReadClient
from stratctl.live.clockwork import Clockwork
from stratctl.live.lists import numbered_pages
from stratctl.live.market import read_float, read_price
from stratctl.live.pages import PARTICIPANTS
from stratctl.live.strategies import StrategyRead, StrategyReader, Unbooked

THREADS_MAX = 8

Progress = Callable[[str, int], None]
"""Called with what is being read and how many rows of it so far, from several threads."""


class Reader:
    """Reads the live State through a client that cannot write."""

    def __init__(self, client: ReadClient, clockwork: Clockwork) -> None:
        self._client = client
        self._clockwork = clockwork

    def read(
        self,
        *,
        realm: str,
        declared: Sequence[DesiredStrategy],
        float_account: tuple[str, str, str],
        booked: Booked,
        workspace: Workspace,
        as_of: str,
        price_assets: Iterable[tuple[str, str]],
        progress: Progress,
    ) -> Live:
        """Read everything that a plan needs to know.

        ``price_assets`` are the declared (asset, currency) pairs; those that Traders hold are
        added. A doubt about one Strategy becomes its ``problem`` and stops no other. Raises
        ProviderError and its kin when the way to the provider, or a list that concerns every
        Strategy, is broken.
        """
        requests_before = self._client.requests
        stopping = threading.Event()

        def seen(subject: str, rows: int) -> None:
            if stopping.is_set():
                raise Interrupted("reading was given up")
            progress(subject, rows)

        with self._clockwork.workers(THREADS_MAX) as pool:
            try:
                lists = self._lists(pool, realm, declared, booked, seen)
                holdings = _holdings(workspace, lists, declared, booked.rows)
                pairs = {*price_assets, *holdings.pairs}
                prices, floats = self._market(pool, pairs, holdings.currencies, float_account)
            finally:
                # On the way out with an error, the other threads stop at their next page.
                stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
        participants = joining.participants_table(workspace, lists.participants)
        rows = joining.live_rows(
            workspace,
            strategy_ids=[strategy.id for strategy in holdings.strategies],
            traders=holdings.traders,
            booked=booked.rows,
            counted=joining.counted_table(
                workspace, {read.strategy.id: read.counted for read in lists.reads}
            ),
            participants=participants,
        )
        return Live(
            as_of=as_of,
            strategies=holdings.strategies,
            rows=rows,
            holdings=holdings.table,
            prices=prices,
            floats=floats,
            precisions=tuple(sorted((asset.symbol, asset.precision) for asset in lists.assets)),
            warnings=tuple(warning for read in lists.reads for warning in read.warnings),
            requests=self._client.requests - requests_before,
            participants=participants,
        )

    def unbooked(
        self,
        *,
        realm: str,
        declared: Sequence[DesiredStrategy],
        booked: Booked,
        progress: Progress,
    ) -> tuple[Unbooked, ...]:
        """What the provider's Operations moved that the journal does not know of, by Strategy.

        Raises ProviderError and its kin.
        """
        strategies = StrategyReader(self._client, self._clockwork, seen=progress)
        matches = strategies.match(realm, declared, booked)
        with self._clockwork.workers(THREADS_MAX) as pool:
            reads = [pool.submit(strategies.unbooked, realm, match, booked) for match in matches]
            return tuple(read.result() for read in reads)

    def _lists(
        self,
        pool: Executor,
        realm: str,
        declared: Sequence[DesiredStrategy],
        booked: Booked,
        seen: Progress,
    ) -> _Lists:
        """Everything that is listed, side by side."""
        strategies = StrategyReader(self._client, self._clockwork, seen=seen)
        assets = pool.submit(self._client.get, "/assets", decode=wire.assets)
        participants = pool.submit(
            numbered_pages,
            self._client,
            "/participants",
            {},
            PARTICIPANTS,
            partial(seen, "participants"),
        )
        matches = strategies.match(realm, declared, booked)
        reads = [pool.submit(strategies.read, realm, match, booked) for match in matches]
        _wait_for_all([assets, participants, *reads])
        return _Lists(
            reads=tuple(read.result() for read in reads),
            assets=assets.result(),
            participants=participants.result(),
        )

    def _market(
        self,
        pool: Executor,
        pairs: set[tuple[str, str]],
        currencies: Sequence[str],
        float_account: tuple[str, str, str],
    ) -> tuple[tuple[Price, ...], tuple[Float, ...]]:
        prices = [pool.submit(read_price, self._client, *pair) for pair in sorted(pairs)]
        floats = [
            pool.submit(read_float, self._client, currency, float_account)
            for currency in currencies
        ]
        _wait_for_all([*prices, *floats])
        quoted = (price.result() for price in prices)
        return (
            tuple(price for price in quoted if price is not None),
            tuple(each.result() for each in floats),
        )


@dataclass(frozen=True, slots=True)
class _Lists:
    """What the provider listed, as it came."""

    reads: tuple[StrategyRead, ...]
    assets: tuple[wire.AssetRecord, ...]
    participants: tuple[wire.ParticipantColumns, ...]


@dataclass(frozen=True, slots=True)
class _Holdings:
    """Traders and what they hold, with what that says about Strategies and prices."""

    strategies: tuple[LiveStrategy, ...]
    traders: Table
    table: Table
    currencies: tuple[str, ...]
    pairs: frozenset[tuple[str, str]]
    """(asset, currency) of everything that is held."""


def _holdings(
    workspace: Workspace, lists: _Lists, declared: Sequence[DesiredStrategy], booked: Table
) -> _Holdings:
    traders, duplicates = joining.one_trader_each(
        joining.traders_table(workspace, [page for read in lists.reads for page in read.traders])
    )
    accounts = joining.accounts_table(
        workspace, [page for read in lists.reads for page in read.accounts]
    )
    problems = {
        **joining.impossible_holdings(accounts),
        **joining.missing_traders(traders, booked),
        **duplicates,
    }
    strategies = tuple(
        replace(read.strategy, problem=read.strategy.problem or problems.get(read.strategy.id, ""))
        for read in lists.reads
    )
    currency_of = {strategy.id: strategy.quoted_currency for strategy in strategies}
    currencies = {strategy.quoted_currency for strategy in declared} | {*currency_of.values()}
    fiat = {asset.symbol for asset in lists.assets if asset.type == "fiat"} | currencies
    table = joining.holdings(workspace, accounts, traders, sorted(fiat))
    held = workspace.rows(f"SELECT DISTINCT strategy_id, asset FROM {table}")
    return _Holdings(
        strategies=strategies,
        traders=traders,
        table=table,
        currencies=tuple(sorted(currencies - {""})),
        pairs=frozenset((asset, currency_of[strategy_id]) for strategy_id, asset in held),
    )


def _wait_for_all(futures: Sequence[Future[Any]]) -> None:
    """Wait for every future, or raise the first error as soon as there is one."""
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()
