"""Money comes in by one exact grammar and goes out as the same text."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.money import (
    NotExact,
    format_amount,
    format_units,
    format_weight,
    parse_amount,
    parse_units,
    parse_weight,
    split_exactly,
    truncate_units,
)

BAD = {
    "": "syntax",
    "-1": "syntax",
    "+1": "syntax",
    "1e3": "syntax",
    "1E3": "syntax",
    "1_000": "syntax",
    "1,000": "syntax",
    " 7": "syntax",
    "7 ": "syntax",
    "7\n": "syntax",
    "007": "syntax",
    ".5": "syntax",
    "5.": "syntax",
    "1.2.3": "syntax",
    "NaN": "syntax",
    "Infinity": "syntax",
    "0x10": "syntax",
    "\u0661": "syntax",
    "\uff11": "syntax",
    "\u00bd": "syntax",
    "12:30": "syntax",
    "1.005": "scale",
    "0.001": "scale",
    "1234567890123456": "size",
    "1" * 65: "syntax",
}


@pytest.mark.parametrize(("text", "reason"), BAD.items())
def test_what_is_no_exact_amount_is_refused_with_its_reason(text: str, reason: str) -> None:
    """No sign, exponent, blank, separator, foreign digit, lost decimal or overlong figure."""
    with pytest.raises(NotExact) as caught:
        parse_amount(text, "USD")
    assert (caught.value.reason, caught.value.text) == (reason, text)


@given(st.text(max_size=12))
def test_whatever_is_accepted_is_plain_decimal_text(text: str) -> None:
    """The grammar lets nothing through whose exact value is not the one that is read."""
    try:
        units = parse_units(text, 6)
    except NotExact:
        return
    assert text.isascii()
    assert set(text) <= set("0123456789.")
    assert Fraction(units, 10**6) == Fraction(text)


@given(st.integers(0, 10**17 - 1), st.sampled_from(("USD", "EUR", "JPY")))
def test_amounts_survive_the_round_trip(amount_minor: int, currency: str) -> None:
    """Minor units become text and the same minor units again."""
    text = format_amount(amount_minor, currency)
    if len(text.split(".")[0]) <= 15:
        assert parse_amount(text, currency) == amount_minor


@given(st.integers(0, 10**18))
def test_weights_survive_the_round_trip_in_canonical_text(weight_e18: int) -> None:
    """A weight's text is plain, has no trailing zero, and reads as the same weight."""
    text = format_weight(weight_e18)
    assert parse_weight(text) == weight_e18
    assert "." not in text or not text.endswith("0")


@given(st.integers(-(10**30), 10**30), st.integers(0, 24), st.integers(0, 4))
def test_units_become_exact_text(units: int, digits: int, least: int) -> None:
    """The text of any integer of units is its exact value, also below zero."""
    text = format_units(units, digits, least=least)
    assert Fraction(text) == Fraction(units, 10**digits)
    if digits:
        assert len(text.partition(".")[2]) >= min(least, 1)


def test_a_currency_without_minor_units_has_none() -> None:
    """Yen have no decimals; a trailing zero is no decimal in any currency."""
    assert format_amount(250, "JPY") == "250"
    assert format_amount(25000, "USD") == "250.00"
    assert parse_amount("250.0", "JPY") == 250
    with pytest.raises(NotExact):
        parse_amount("250.5", "JPY")


def test_a_weight_above_one_is_too_large() -> None:
    """Weights are parts of the whole."""
    assert parse_weight("1.000") == 10**18
    with pytest.raises(NotExact) as caught:
        parse_weight("1.01")
    assert caught.value.reason == "size"


@given(st.decimals(0, 10**9, places=20, allow_nan=False), st.integers(0, 20))
def test_cutting_never_rounds_up(number: object, digits: int) -> None:
    """The provider's finer figures lose decimals and nothing else."""
    text = format(number, "f")
    cut = Fraction(truncate_units(text, digits), 10**digits)
    assert 0 <= Fraction(text) - cut < Fraction(1, 10**digits)


@pytest.mark.parametrize(
    "text", ["1.23e5", "1.2345e5", "1.", ".5", "-1.234", "1.2 ", "1.23_4", "NaN"]
)
def test_only_decimals_may_be_cut(text: str) -> None:
    """A figure in another notation is refused whole instead of losing its exponent."""
    with pytest.raises(NotExact) as caught:
        truncate_units(text, 2)
    assert caught.value.reason == "syntax"


RATIOS = st.dictionaries(
    st.sampled_from("ABCDEFGH"), st.integers(0, 10**18), min_size=1, max_size=8
).filter(lambda ratios: sum(ratios.values()) > 0)


@given(st.integers(0, 10**15), RATIOS)
def test_a_split_adds_up_within_one_unit_each(total: int, ratios: dict[str, int]) -> None:
    """I21: the sum is exact, each share is within one unit, and zero ratios receive nothing."""
    shares = split_exactly(total, list(ratios.items()))
    whole = sum(ratios.values())
    assert sum(shares.values()) == total
    for name, ratio in ratios.items():
        assert abs(shares[name] - Fraction(total * ratio, whole)) < 1
        assert ratio or not shares[name]


@given(st.integers(0, 10**6), RATIOS, st.randoms(use_true_random=False))
def test_the_order_of_ratios_never_matters(
    total: int, ratios: dict[str, int], random: object
) -> None:
    """I21: any order gives the same shares."""
    items = list(ratios.items())
    random.shuffle(items)  # type: ignore[attr-defined]  # hypothesis types it as object
    assert split_exactly(total, items) == split_exactly(total, list(ratios.items()))


@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**9), min_size=1, max_size=6, unique=True))
def test_renaming_renames_the_shares(total: int, ratios: list[int]) -> None:
    """I21: with distinct ratios the names decide nothing."""
    one = split_exactly(total, [(f"A{n}", ratio) for n, ratio in enumerate(ratios)])
    other = split_exactly(total, [(f"Z{9 - n}", ratio) for n, ratio in enumerate(ratios)])
    assert [one[f"A{n}"] for n in range(len(ratios))] == [
        other[f"Z{9 - n}"] for n in range(len(ratios))
    ]


def test_leftover_units_go_to_the_largest_remainder() -> None:
    """Six units at 50/30/20 are 3, 2 and 1; thirds differ by one; ties go by ratio, then name."""
    assert split_exactly(6, [("A", 50), ("B", 30), ("C", 20)]) == {"A": 3, "B": 2, "C": 1}
    assert split_exactly(10_000, [("A", 1), ("B", 1), ("C", 1)]) == {
        "A": 3334,
        "B": 3333,
        "C": 3333,
    }


@pytest.mark.parametrize(
    ("total", "ratios"), [(-1, [("A", 1)]), (1, []), (1, [("A", 0)]), (1, [("A", -1), ("B", 2)])]
)
def test_an_impossible_split_is_refused(total: int, ratios: list[tuple[str, int]]) -> None:
    """There is nothing to split by, or less than nothing to split."""
    with pytest.raises(ValueError, match="non-negative"):
        split_exactly(total, ratios)


def test_a_name_that_stands_twice_is_refused() -> None:
    """Its second ratio would swallow the first one's share."""
    with pytest.raises(ValueError, match="once"):
        split_exactly(10, [("A", 1), ("A", 1)])
