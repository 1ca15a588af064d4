"""Prices and the float: what a plan needs to know beside the Strategies themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stratctl.core.errors import BadResponse, NotFound, RequestRefused
from stratctl.core.money import PRICE_DIGITS, NotExact, minor_digits, truncate_units
from stratctl.core.state import Float, Price
from stratctl.live import wire
from stratctl.live.client import ReadClient
from stratctl.live.lists import numbered_pages
from stratctl.live.pages import ACCOUNTS


def read_price(client: ReadClient, asset: str, currency: str) -> Price | None:
    """The price of ``symbol_data`` and, beside it, the hourly mean of ``/index``.

    None when the provider quotes no such pair, or nothing that can be trusted: without a price
    nothing is planned from drift, and that stops little.
    """
    pair = {"underlying": asset, "quoted_currency": currency}
    price_e8 = _read_e8(
        client,
        "/market_data/symbol_data",
        pair,
        lambda document: wire.symbol_price(document, asset, currency),
    )
    if not price_e8:
        return None
    index_e8 = _read_e8(client, "/index", pair, wire.index_price)
    return Price(asset, currency, price_e8, index_e8 or None)


def _read_e8(
    client: ReadClient,
    path: str,
    pair: dict[str, str],
    decode: Callable[[Any], str | None],
) -> int | None:
    try:
        shown = client.get(path, pair, decode=decode)
        return None if shown is None else truncate_units(shown, PRICE_DIGITS)
    except (NotFound, RequestRefused, BadResponse, NotExact):
        return None


def read_float(client: ReadClient, currency: str, account: tuple[str, str, str]) -> Float:
    """The available balance of the account (owner, group, label) that pays for buys.

    The provider lists accounts with a balance only, so that no row is a balance of 0.
    """
    owner, group, label = account
    wanted = {
        "asset": currency,
        "account_owner": owner,
        "account_group": group,
        "account_label": label,
        "account_type": "available",
    }
    pages = numbered_pages(client, "/accounts", wanted, ACCOUNTS)
    balances = {
        account_id: balance
        for page in pages
        for account_id, *shown, balance in zip(
            *map(
                wire.values,
                (page.account_id, page.asset, page.owner, page.label, page.type, page.balance),
            ),
            strict=True,
        )
        if shown == [currency, owner, label, "available"]
    }
    if len(balances) > 1:
        raise BadResponse(f"E_FLOAT: {'/'.join(account)} is {len(balances)} {currency} accounts")
    available_minor = sum(_minor(balance, currency) for balance in balances.values())
    return Float(currency, available_minor, "/".join(account))


def _minor(balance: str, currency: str) -> int:
    """Whole minor units of a signed balance; the rest of a unit buys nothing."""
    sign = -1 if balance.startswith("-") else 1
    try:
        return sign * truncate_units(balance.lstrip("-"), minor_digits(currency))
    except NotExact as error:
        raise BadResponse(f"a balance is {error.text[:40]!r}, which is no balance") from None
