"""What a plan would do, in money. Cash is exact; what depends on prices is an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.money import PRICE_DIGITS, minor_digits
from stratctl.core.plan import FloatNeed, Impact
from stratctl.core.state import Verb
from stratctl.plan.terms import VALUE_E8, share_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratctl.core.change import Changes
    from stratctl.core.plan import Call
    from stratctl.core.state import Live
    from stratctl.core.tables import Table
    from stratctl.plan.terms import Terms


def impacts(
    changes: Changes,
    live: Live,
    terms: Terms,
    calls: Sequence[Call],
    rows: Table,
    legs: Table,
) -> tuple[Impact, ...]:
    """One per Strategy that has calls. Legs are rounded first and then added."""
    if not calls:
        return ()
    values = managed_values(changes, live, terms)
    movements = _movements(calls, rows)
    by_asset = turnover_by_asset(live, terms, calls, rows, legs)
    found = []
    for change in changes.strategies:
        name, currency = change.desired.name, change.desired.quoted_currency
        own = [call for call in calls if call.strategy == name]
        if not own:
            continue
        minor_e8 = 10 ** (PRICE_DIGITS - minor_digits(currency))
        turnover = tuple(
            (asset, bought // minor_e8, sold // minor_e8)
            for asset, bought, sold in by_asset.get(name, ())
        )
        participants, largest_e8 = movements.get(name, (0, 0))
        value_e8, unpriced = values.get(name, (0, ()))
        found.append(
            Impact(
                strategy=name,
                currency=currency,
                cash_in_minor=_cash(own, Verb.ENROLL, Verb.TOP_UP),
                cash_out_minor=_cash(own, Verb.PARTIAL_SELL),
                turnover_minor=sum(sold for _, _, sold in turnover),
                value_minor=value_e8 // minor_e8,
                participants=participants,
                largest_minor=largest_e8 // minor_e8,
                turnover_by_asset=turnover,
                unpriced=unpriced,
            )
        )
    return tuple(found)


def float_needs(calls: Sequence[Call], live: Live) -> tuple[FloatNeed, ...]:
    """What the buys of a plan need from the float, per currency.

    Buys are paid from the float before the proceeds of anybody's sells arrive, so sells do not
    lower the need.
    """
    floats = {account.currency: account for account in live.floats}
    needed: dict[str, int] = {}
    for call in calls:
        if call.verb in (Verb.ENROLL, Verb.TOP_UP):
            needed[call.currency] = needed.get(call.currency, 0) + call.amount_minor
    return tuple(
        FloatNeed(
            currency=currency,
            needed_minor=amount,
            available_minor=floats[currency].available_minor if currency in floats else None,
            account=floats[currency].account if currency in floats else "",
        )
        for currency, amount in sorted(needed.items())
    )


def _cash(calls: Sequence[Call], *verbs: Verb) -> int:
    return sum(call.amount_minor for call in calls if call.verb in verbs)


def managed_values(
    changes: Changes, live: Live, terms: Terms
) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Per Strategy: what its managed participants hold (10⁻⁸), and the assets without a price.

    Quantities are added before they are valued, which is exact and leaves one product per asset.
    They are added in a few parts, because a sum over a whole book may need more than the engine's
    128 bits.
    """
    space = changes.managed.workspace
    strategy_ids = [
        (change.desired.name, change.live.id) for change in changes.strategies if change.live
    ]
    names = space.table(
        "strategy_ids",
        {"strategy": "VARCHAR", "strategy_id": "VARCHAR"},
        list(zip(*strategy_ids, strict=True)),
    )
    held = space.rows(
        f"""
        SELECT strategy, asset, price_e8, quantity_e24::HUGEINT
        FROM (
            SELECT managed.strategy, holding.asset, sum(holding.quantity_e24) AS quantity_e24
            FROM {changes.managed} AS managed
            JOIN {names} AS names USING (strategy)
            JOIN {live.holdings} AS holding
              ON holding.strategy_id = names.strategy_id
             AND holding.participant_code = managed.participant_code
            GROUP BY managed.strategy, holding.asset, hash(holding.participant_code) % {_PARTS}
        ) LEFT JOIN {terms.prices} USING (strategy, asset)
        ORDER BY ALL
        """
    )
    worth_e32: dict[str, int] = {}
    unpriced: dict[str, set[str]] = {}
    for strategy, asset, price_e8, quantity_e24 in held:
        worth_e32[strategy] = worth_e32.get(strategy, 0) + quantity_e24 * (price_e8 or 0)
        if price_e8 is None:
            unpriced.setdefault(strategy, set()).add(asset)
    return {
        strategy: (worth // 10**24, tuple(sorted(unpriced.get(strategy, ()))))
        for strategy, worth in worth_e32.items()
    }


_PARTS = 64
"""Parts in which quantities are added; each holds sixty-four times less than the book."""


def _movements(calls: Sequence[Call], rows: Table) -> dict[str, tuple[int, int]]:
    """Per Strategy: distinct participants touched, and the largest single movement (10⁻⁸)."""
    space = rows.workspace
    names = space.table(
        "call_strategies",
        {"call": "INTEGER", "strategy": "VARCHAR"},
        [[call.number for call in calls], [call.strategy for call in calls]],
    )
    return {
        strategy: (participants, int(largest))
        for strategy, participants, largest in space.rows(
            f"""
            SELECT strategy, count(DISTINCT participant_code), max(moved_e8)
            FROM {rows} JOIN {names} USING (call) GROUP BY strategy ORDER BY ALL
            """,
            of=rows,
        )
    }


def turnover_by_asset(
    live: Live,
    terms: Terms,
    calls: Sequence[Call],
    rows: Table,
    legs: Table,
) -> dict[str, list[tuple[str, int, int]]]:
    """Per Strategy: (asset, bought, sold) in 10⁻⁸ of the currency, over all verbs.

    ``legs``: those of the rebalances among ``calls``.
    """
    space = rows.workspace
    shares = [
        (call.number, call.strategy, call.strategy_id, call.verb.value, asset, weight)
        for call in calls
        if call.verb in (Verb.ENROLL, Verb.TOP_UP, Verb.PARTIAL_SELL, Verb.LIQUIDATE)
        for asset, weight in (call.vector.weights_e18 if call.vector else (("", 0),))
    ]
    weights = space.table(
        "call_weights",
        {
            "call": "INTEGER",
            "strategy": "VARCHAR",
            "strategy_id": "VARCHAR",
            "verb": "VARCHAR",
            "asset": "VARCHAR",
            "weight_e18": "HUGEINT",
        },
        list(zip(*shares, strict=True)),
    )
    moved = space.rows(
        f"""
        WITH flows AS (
            SELECT share.strategy, share.verb, share.asset,
                {share_sql("row.moved_e8::HUGEINT")} AS size_e8
            FROM {rows} AS row JOIN {weights} AS share USING (call)
            WHERE share.verb <> 'liquidate'
        ),
        leaving AS (
            SELECT share.strategy, holding.asset, {VALUE_E8} AS size_e8
            FROM {rows} AS row
            JOIN {weights} AS share USING (call)
            JOIN {live.holdings} AS holding
              ON holding.strategy_id = share.strategy_id
             AND holding.participant_code = row.participant_code
            JOIN {terms.prices} AS price
              ON price.strategy = share.strategy AND price.asset = holding.asset
            WHERE share.verb = 'liquidate'
        ),
        every AS (
            SELECT strategy, asset,
                CASE WHEN verb <> 'partial_sell' THEN size_e8 ELSE 0 END AS bought_e8,
                CASE WHEN verb = 'partial_sell' THEN size_e8 ELSE 0 END AS sold_e8
            FROM flows
            UNION ALL SELECT strategy, asset, 0, size_e8 FROM leaving
            UNION ALL
            SELECT strategy, asset, greatest(delta_e8, 0), greatest(-delta_e8, 0) FROM {legs}
        )
        SELECT strategy, asset, sum(bought_e8)::HUGEINT, sum(sold_e8)::HUGEINT
        FROM every GROUP BY strategy, asset ORDER BY ALL
        """,
        of=rows,
    )
    found: dict[str, list[tuple[str, int, int]]] = {}
    for strategy, asset, bought, sold in moved:
        found.setdefault(strategy, []).append((asset, bought, sold))
    return found
