"""Hysteresis: a rebalance begins outside a band, and to the edge it ends well inside it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.money import format_units
from stratctl.core.state import Drift, Target, Vector, Verb
from stratctl.plan import edge
from tests.plan.generate import PRICES
from tests.plan.planned import forget, plan_of
from tests.worlds import Declared, Holder, World, holdings_worth, strategy, vector

WEIGHT = Fraction("0.6")
TARGET = vector(BTC="0.6", ETH="0.4")
WORTH = 10_000


def holding(btc: Fraction, band: Fraction, hysteresis: Fraction) -> World:
    """One participant with this share of BTC, beside a band of 0.6."""
    parts = {"BTC": btc * WORTH, "ETH": (1 - btc) * WORTH}
    usd = {asset: format_units(int(value * 10**8), 8) for asset, value in parts.items()}
    bands = Drift(band, Fraction(1), Fraction(1), hysteresis)
    return World(
        declared=[Declared("P1", str(WORTH))],
        holders=[Holder("P1", holdings_worth(PRICES, **usd), str(WORTH), target=TARGET.text)],
        strategies=[strategy(targets=(Target(TARGET, ()),), rebalance_on="drift", drift=bands)],
        prices=dict(PRICES),
        destination="edge",
        minimum_leg="0.01",
    )


def sent(world: World) -> Vector | None:
    """Where its participant is rebalanced to, if it is."""
    calls = plan_of(world).plan.calls
    assert all(call.verb is Verb.REBALANCE for call in calls)
    return calls[0].vector if calls else None


PERCENT = st.integers(1, 99).map(lambda number: Fraction(number, 100))
OFF = st.sampled_from((-1, 1))


def ends_where_it_should(band: Fraction, hysteresis: Fraction, side: int, far: Fraction) -> None:
    """Whoever is out goes to ``1 - hysteresis`` of the band and stays there while prices move by
    less than the rest of it."""
    beyond = WEIGHT + side * band * (1 + far)
    edge_at = WEIGHT + side * band * (1 - hysteresis)
    found = sent(holding(beyond, band, hysteresis))
    assert found == Vector((("BTC", int(edge_at * 10**18)), ("ETH", int((1 - edge_at) * 10**18))))
    slop = Fraction(1, 1000)
    for moved, again in ((1 - slop, False), (1 + slop, True)):
        share = edge_at + side * band * hysteresis * moved
        assert (sent(holding(share, band, hysteresis)) is not None) == again


@given(st.integers(4, 20).map(lambda number: Fraction(number, 100)), PERCENT, OFF, PERCENT)
@settings(max_examples=settings().max_examples // 50)
def test_a_rebalance_ends_as_far_inside_its_band_as_is_said(
    band: Fraction, hysteresis: Fraction, side: int, far: Fraction
) -> None:
    """By a second reckoning, of one vintage and two assets, and the next one begins no sooner."""
    ends_where_it_should(band, hysteresis, side, far)


def test_the_law_notices_a_rebalance_that_ends_at_the_very_edge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted: the room reaches all the way to the edge of each band."""
    world = (Fraction("0.05"), Fraction("0.25"), 1, Fraction("0.2"))
    ends_where_it_should(*world)
    room = edge._room
    monkeypatch.setattr(edge, "_room", lambda declared, bands, _: room(declared, bands, Fraction()))
    forget()
    with pytest.raises(AssertionError):
        ends_where_it_should(*world)
    forget()


@pytest.mark.parametrize("hysteresis", ["1", "0.875"])
def test_a_whole_hysteresis_ends_at_the_target(hysteresis: str) -> None:
    """Then there is no edge to end at; a little less leaves some of the band."""
    found = sent(holding(Fraction("0.67"), Fraction("0.05"), Fraction(hysteresis)))
    assert found == (TARGET if hysteresis == "1" else vector(BTC="0.60625", ETH="0.39375"))
