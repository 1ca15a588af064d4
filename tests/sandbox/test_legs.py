"""Legs as pure arithmetic: conservation, no overselling, closeness to the target."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stratctl.sandbox.amounts import PRICE_SCALE
from stratctl.sandbox.legs import Ends, Terms, buys, liquidation, partial_sell, rebalance
from stratctl.sandbox.switches import Switches

PRECISIONS = {"BTC": 8, "ETH": 18, "NEAR": 24, "XRP": 6}

prices = st.fixed_dictionaries({asset: st.integers(10**12, 10**21) for asset in PRECISIONS})
weights = st.lists(st.integers(0, 100), min_size=4, max_size=4).filter(any)
holdings = st.dictionaries(st.sampled_from(sorted(PRECISIONS)), st.integers(1, 10**6), min_size=1)


def terms(prices: dict[str, int], **switches: str) -> Terms:
    """Terms without spread and fee, with the usual minimums."""
    return Terms(
        prices=prices,
        precisions=PRECISIONS,
        minimums=dict.fromkeys(PRECISIONS, 2),
        spread_bps=0,
        fee_bps=0,
        failing=frozenset(),
        switches=Switches(switches),
    )


def vector(ratios: list[int]) -> list[tuple[str, int]]:
    """Weights of the four assets."""
    return list(zip(PRECISIONS, ratios, strict=True))


def worth(held: dict[str, int], at: dict[str, int]) -> Fraction:
    """The exact value of holdings in cents."""
    return sum(
        (
            Fraction(units * at[asset] * 100, 10 ** (PRECISIONS[asset] + PRICE_SCALE))
            for asset, units in held.items()
        ),
        Fraction(0),
    )


def scaled(held: dict[str, int]) -> dict[str, int]:
    """Holdings in thousandths made units of each asset's own precision."""
    return {asset: units * 10 ** PRECISIONS[asset] // 1000 for asset, units in held.items()}


@given(cents=st.integers(1, 10**12), ratios=weights, at=prices)
def test_buys_add_up_and_never_buy_more_than_is_paid(
    cents: int, ratios: list[int], at: dict[str, int]
) -> None:
    """Legs sum to the amount; each quantity is what the cents buy, rounded down."""
    try:
        legs = buys(cents, vector(ratios), terms(at))
    except Ends:
        assume(False)
    assert sum(leg.notional for leg in legs) == cents
    for leg in legs:
        one_more = {leg.asset: leg.quantity + 1}
        assert worth({leg.asset: leg.quantity}, at) <= leg.notional < worth(one_more, at)


@given(held=holdings, at=prices)
def test_a_liquidation_sells_exactly_what_is_held(held: dict[str, int], at: dict[str, int]) -> None:
    """Every asset, to the last unit."""
    units = scaled(held)
    legs = liquidation(units, terms(at))
    assert {leg.asset: leg.quantity for leg in legs} == units


@given(cents=st.integers(1, 10**10), ratios=weights, held=holdings, at=prices)
def test_a_partial_sell_never_sells_more_than_is_held(
    cents: int, ratios: list[int], held: dict[str, int], at: dict[str, int]
) -> None:
    """Nor does a slice bring more than was asked for; too small ones do not trade."""
    units = scaled(held)
    lenient = terms(at, oversell="clamp", partial_sell_below_minimum="instruction_rejected")
    try:
        legs = partial_sell(cents, vector(ratios), units, lenient)
    except Ends:
        legs = []
    for leg in legs:
        assert leg.quantity <= units.get(leg.asset, 0)
        assert worth({leg.asset: leg.quantity}, at) <= cents


@given(ratios=weights, held=holdings, at=prices)
def test_a_rebalance_conserves_cash_and_comes_close(
    ratios: list[int], held: dict[str, int], at: dict[str, int]
) -> None:
    """Buys spend exactly what sells bring, nothing is oversold, and no one is further off."""
    units, wanted = scaled(held), vector(ratios)
    try:
        legs = rebalance(wanted, units, 0, terms(at))
    except Ends:
        assume(False)
    after = dict(units)
    for leg in legs:
        if leg.status == "pending":
            sign = 1 if leg.side == "buy" else -1
            after[leg.asset] = after.get(leg.asset, 0) + sign * leg.quantity
    assert min(after.values()) >= 0
    sold = sum(leg.notional for leg in legs if leg.side == "sell" and leg.status == "pending")
    bought = sum(leg.notional for leg in legs if leg.side == "buy" and leg.status == "pending")
    assert bought in (sold, 0)
    assert off_target(after, wanted, at) <= off_target(units, wanted, at) + 4


def off_target(held: dict[str, int], wanted: list[tuple[str, int]], at: dict[str, int]) -> Fraction:
    """Cents that would have to move."""
    total, whole = worth(held, at), sum(ratio for _, ratio in wanted)
    gaps = (
        abs(worth({asset: held.get(asset, 0)}, at) - total * Fraction(ratio, whole))
        for asset, ratio in wanted
    )
    return sum(gaps, Fraction(0)) / 2


def test_nothing_held_is_nothing_to_rebalance() -> None:
    """Skipped, with a reason."""
    at = dict.fromkeys(PRECISIONS, 10**18)
    with pytest.raises(Ends, match="skipped: no_holdings"):
        rebalance([("BTC", 1)], {}, 0, terms(at))
