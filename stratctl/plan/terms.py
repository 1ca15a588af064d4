"""The terms of a plan: targets, bands, minimums and prices as small tables beside the big ones.

Valuation is fixed-point and exact by definition: a quantity is cut to 12 decimals, a price has 8,
their product is cut to 10⁻⁸ of the currency, and everything after that is integers. The cut is
worth less than 10⁻¹² units of the asset, far below any minimum, and no binary float decides or
shows anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic, Severity
from stratctl.core.money import (
    PRICE_DIGITS,
    WEIGHT_ONE_E18,
    format_amount,
    format_ratio,
    format_units,
    minor_digits,
)
from stratctl.core.tables import Table

if TYPE_CHECKING:
    from stratctl.core.change import Changes
    from stratctl.core.settings import Policy
    from stratctl.core.state import DesiredStrategy, Live, Price, Target

VALUE_E8 = "((quantity_e24::HUGEINT // 1000000000000) * price_e8::HUGEINT) // 1000000000000"
"""SQL: the value of ``quantity_e24`` at ``price_e8``, in 10⁻⁸ of the currency."""


def share_sql(amount: str, part_e18: str = "weight_e18") -> str:
    """SQL: a part of an amount, cut towards zero, without the 128-bit product of the two.

    Cutting twice equals cutting once (floor(floor(x) / n) = floor(x / n)), so the amount may be
    as large as any that can be declared.
    """
    high, low = f"({amount}) // 1000000000", f"({amount}) % 1000000000"
    return f"(({high} * {part_e18} + {low} * {part_e18} // 1000000000) // 1000000000)"


def ratio_down_sql(part: str, whole: str) -> str:
    """SQL: part / whole in 10⁻¹⁸, rounded down and cut to what a share can be."""
    return (
        f"CASE WHEN ({part}) <= 0 THEN 0 WHEN ({part}) >= ({whole}) THEN {WEIGHT_ONE_E18}"
        f" ELSE (({part}) * 1000000000 // ({whole})) * 1000000000"
        f" + (({part}) * 1000000000 % ({whole})) * 1000000000 // ({whole}) END"
    )


def ratio_up_sql(part: str, whole: str) -> str:
    """SQL: part / whole in 10⁻¹⁸, rounded up and cut to what a share can be."""
    return f"({WEIGHT_ONE_E18} - {ratio_down_sql(f'({whole}) - ({part})', whole)})"


def utc_sql(seconds: str) -> str:
    """SQL: Unix seconds as people read them, RFC 3339 in UTC."""
    return f"strftime(make_timestamp(({seconds}) * 1000000), '%Y-%m-%dT%H:%M:%SZ')"


TERM_ROWS = {
    "strategy": "VARCHAR",
    "target": "INTEGER",
    "asset": "VARCHAR",
    "weight_e18": "HUGEINT",
    "band_e18": "HUGEINT",
    "minimum_e8": "HUGEINT",
}
"""What a target says of each asset it names, exits included (weight 0). ``band_e18`` is the
narrower of the absolute and the relative band (the 5/25 rule): an absolute band alone would never
fire for an asset whose whole weight fits inside it."""

TARGET_ROWS = {
    "strategy": "VARCHAR",
    "target": "INTEGER",
    "target_text": "VARCHAR",
    "rebalance_text": "VARCHAR",
    "epoch": "INTEGER",
    "portfolio_e18": "HUGEINT",
    "flow_least_minor": "BIGINT",
    "account_least_minor": "BIGINT",
    "flow_least": "VARCHAR",
    "account_least": "VARCHAR",
    "minor_e8": "HUGEINT",
}
"""Per target: ``flow_least_minor`` is the smallest flow whose every leg reaches its minimum, and
``flow_least`` is its text;
``minor_e8`` turns minor units into 10⁻⁸ of the currency."""

SIDE_ROWS = {"asset": "VARCHAR", "side": "VARCHAR", "may_buy": "BOOLEAN", "may_sell": "BOOLEAN"}
"""Assets that may not be traded both ways."""

PRICE_ROWS = {"strategy": "VARCHAR", "asset": "VARCHAR", "price_e8": "HUGEINT"}


@dataclass(frozen=True)
class Terms:
    """Targets and prices as tables, for the SQL of the planner."""

    terms: Table
    targets: Table
    prices: Table
    price_texts: tuple[tuple[str, str, str], ...]
    """(asset, currency, price) as plain decimal text, for people."""
    resting: str
    """SQL: whether somebody rests after a rebalance. A declared change and portfolio drift above
    the bypass do not care."""
    bypass_e18: int
    """Portfolio drift above which nobody rests, in 10⁻¹⁸."""
    rest_hours: int
    sides: Table | None
    """SIDE_ROWS; None when every asset may be traded both ways."""
    freezes: bool
    """Whether some asset may be traded neither way."""
    sends_both: bool
    """Whether a participant may have money out and money in by one plan."""
    warnings: tuple[Diagnostic, ...]
    """Prices that are not trusted. Without a price nothing is decided for an asset's holders."""

    @classmethod
    def of(cls, changes: Changes, live: Live, policy: Policy) -> Terms:
        """Build the small tables; exact integer arithmetic throughout."""
        space = changes.rows.workspace
        named = [change.desired for change in changes.strategies]
        shown = [(price.asset, price.currency) for price in live.prices]
        assert len(shown) == len(set(shown)), "an asset has one price per currency"
        trusted = [price for price in live.prices if not _deviates(price, policy)]
        prices = [
            (strategy.name, price.asset, price.price_e8)
            for strategy in named
            for price in trusted
            if price.currency == strategy.quoted_currency
        ]
        terms = [
            (strategy.name, index, *term)
            for strategy in named
            for index, target in enumerate(strategy.targets)
            for term in _asset_terms(strategy, target, policy)
        ]
        targets = [
            (strategy.name, index, *_target_row(strategy, target, policy))
            for strategy in named
            for index, target in enumerate(strategy.targets)
        ]
        cooldown = policy.cooldown
        return cls(
            terms=space.table("terms", TERM_ROWS, list(zip(*terms, strict=True))),
            targets=space.table("targets", TARGET_ROWS, list(zip(*targets, strict=True))),
            prices=space.table("prices", PRICE_ROWS, list(zip(*prices, strict=True))),
            price_texts=tuple(
                (p.asset, p.currency, format_units(p.price_e8, PRICE_DIGITS, least=2))
                for p in sorted(trusted, key=lambda p: (p.currency, p.asset))
            ),
            resting=f"coalesce(rebalanced_at > {cooldown.rests_after(live.as_of)}, false)"
            if cooldown.hours
            else "false",
            bypass_e18=int(cooldown.bypass * WEIGHT_ONE_E18),
            rest_hours=cooldown.hours,
            sides=space.table("sides", SIDE_ROWS, _sides(policy)) if policy.sides else None,
            freezes=any(side == "freeze" for _, side in policy.sides),
            sends_both=policy.both_directions == "send",
            warnings=tuple(
                _deviation(price, policy)
                for price in sorted(live.prices, key=lambda p: (p.currency, p.asset))
                if _deviates(price, policy)
            ),
        )


def _sides(policy: Policy) -> list[tuple[object, ...]]:
    rows = [(asset, side, side == "buy", side == "sell") for asset, side in policy.sides]
    return list(zip(*rows, strict=True))


def forbidden_sql(buys: str, sells: str) -> str:
    """SQL: why ``asset`` with this side must not be traded like this, or NULL.

    ``buys`` and ``sells``: conditions; SIDE_ROWS are joined.
    """
    return (
        f"CASE WHEN ({buys}) AND NOT may_buy THEN 'it would buy ' WHEN ({sells}) AND NOT may_sell"
        " THEN 'it would sell ' END || asset || ', and assets.' || asset || '.side is ' || side"
    )


def _deviates(price: Price, policy: Policy) -> bool:
    """Whether the provider's two sources are too far apart to trust either."""
    if price.index_e8 is None:
        return False
    return abs(price.price_e8 - price.index_e8) > policy.price_max_deviation * price.index_e8


def _deviation(price: Price, policy: Policy) -> Diagnostic:
    market, index = (
        format_units(figure, PRICE_DIGITS, least=2)
        for figure in (price.price_e8, price.index_e8 or 0)
    )
    return Diagnostic(
        code="W_PRICE_DEVIATION",
        summary="the provider's two prices of an asset are too far apart",
        detail=f"{price.asset}: {price.currency} {market} on the market, {index} by the index;"
        f" prices.max_deviation is {format_ratio(policy.price_max_deviation)}",
        hint="its holders are left alone where a price is needed; plan again later",
        severity=Severity.WARNING,
    )


def _asset_terms(
    strategy: DesiredStrategy, target: Target, policy: Policy
) -> list[tuple[str, int, int, int]]:
    drift = strategy.drift
    return [
        (
            asset,
            weight,
            int(min(drift.absolute * WEIGHT_ONE_E18, drift.relative * weight)),
            policy.leg_minimum_e8(asset),
        )
        for asset, weight in target.rebalance_vector.weights_e18
    ]


def _target_row(
    strategy: DesiredStrategy, target: Target, policy: Policy
) -> tuple[str, str, int, int, int, int, str, str, int]:
    minor_e8 = 10 ** (PRICE_DIGITS - minor_digits(strategy.quoted_currency))
    flow_least_minor = policy.flow_least_minor(target.vector, strategy.quoted_currency)
    account_least_minor = policy.account_least_minor(strategy.quoted_currency)
    return (
        target.vector.text,
        target.rebalance_vector.text,
        strategy.rebalance_epoch,
        int(strategy.drift.portfolio * WEIGHT_ONE_E18),
        flow_least_minor,
        account_least_minor,
        format_amount(flow_least_minor, strategy.quoted_currency),
        format_amount(account_least_minor, strategy.quoted_currency),
        minor_e8,
    )
