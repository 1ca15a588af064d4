"""Exact amounts: text to units and back, and splits that lose nothing."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.sandbox.amounts import half_even, padded, parse_units, split, trimmed

units = st.integers(min_value=-(10**39), max_value=10**39)
scales = st.integers(min_value=0, max_value=24)


@given(value=units, scale=scales)
def test_text_and_units_are_one_thing(value: int, scale: int) -> None:
    """Printing and reading again gives the same units, padded or trimmed."""
    for text in (padded(value, scale), trimmed(value, scale), trimmed(value, scale, at_least=2)):
        assert Fraction(text) == Fraction(value, 10**scale)
        if value >= 0:
            assert parse_units(text, scale) == value


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.", ".5", "1e3", "1_0", " 1", "1\n", "\u0661", "NaN", "1,5", "1.005"]
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    """Signs, exponents, spaces, other digits, and more places than there are."""
    assert parse_units(text, 2) is None


def test_zeros_beyond_the_scale_are_fine() -> None:
    """Trailing zeros do not make an amount inexact."""
    assert parse_units("1.5000", 2) == 150


@given(numerator=st.integers(0, 10**30), denominator=st.integers(1, 10**20))
def test_half_even_is_bankers_rounding(numerator: int, denominator: int) -> None:
    """It agrees with Python's own rounding of fractions."""
    assert half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(total=st.integers(0, 10**15))
def test_half_even_to_cents_agrees_with_decimal(total: int) -> None:
    """A second opinion."""
    expected = (Decimal(total) / 1000).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    assert half_even(total, 10) == int(expected * 100)


ratios = st.dictionaries(
    st.text("ABC", min_size=1, max_size=4), st.integers(1, 10**20), min_size=1, max_size=8
)


@given(total=st.integers(0, 10**15), parts=ratios)
def test_largest_remainder_loses_nothing(total: int, parts: dict[str, int]) -> None:
    """Parts add up, each within one unit of its share, whatever the order of the names."""
    named = list(parts.items())
    found = dict(zip(parts, split(total, named), strict=True))
    assert sum(found.values()) == total
    whole = sum(parts.values())
    for name, ratio in parts.items():
        assert abs(Fraction(total * ratio, whole) - found[name]) < 1
    turned = named[::-1]
    assert dict(zip([n for n, _ in turned], split(total, turned), strict=True)) == found


def test_ties_go_to_the_larger_ratio_then_the_first_name() -> None:
    """A total order, so that the outcome never depends on chance."""
    assert split(1, [("B", 1), ("A", 1)]) == [0, 1]
    assert split(6, [("A", 50), ("B", 30), ("C", 20)]) == [3, 2, 1]


@given(total=st.integers(0, 10**15), parts=ratios)
def test_floor_never_gives_too_much(total: int, parts: dict[str, int]) -> None:
    """Each part is its share rounded down."""
    whole = sum(parts.values())
    found = split(total, list(parts.items()), "floor")
    assert found == [total * ratio // whole for ratio in parts.values()]
