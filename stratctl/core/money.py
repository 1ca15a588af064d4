"""The one way in and the one way out for amounts, weights, prices and quantities.

Text comes in by an exact grammar and becomes an integer of a named unit; an integer goes out as
plain decimal text. Nothing here, or anywhere past here, is a binary float.

====================  =====================================  ==================
name ends in          is an integer of                       from
====================  =====================================  ==================
``_minor``            the currency's minor unit (cents)      declared amounts
``_e8``               10⁻⁸ of the quoted currency            prices, valuations
``_e18``              10⁻¹⁸ of the whole                     weights, shares
``_e24``              10⁻²⁴ of one unit of an asset          quantities held
====================  =====================================  ==================

24 decimals is the finest precision that the provider documents for any asset, so one scale holds
every quantity exactly; DECIMAL(38,0) columns leave 10¹⁴ units of the asset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

MINOR_DIGITS: Mapping[str, int] = {"JPY": 0}
"""Digits after the point per currency, where they are not 2 (ISO 4217)."""

WEIGHT_DIGITS = 18
WEIGHT_ONE_E18 = 10**WEIGHT_DIGITS
PRICE_DIGITS = 8
QUANTITY_DIGITS = 24

_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?", re.ASCII)
_INTEGER_DIGITS_MAX = 15


class NotExact(ValueError):
    """Text that is not an exact plain decimal of the allowed size.

    ``reason`` is ``syntax`` (sign, exponent, underscore, blanks, other digits), ``scale`` (more
    decimals than the unit has) or ``size`` (more than 15 digits before the point).
    """

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r} is not an exact decimal ({reason})")
        self.text = text
        self.reason = reason


def parse_units(text: str, digits: int) -> int:
    """Read plain decimal text as an integer of 10⁻ᵈⁱᵍⁱᵗˢ units; trailing zeros are no decimals.

    Raises NotExact. The grammar is ASCII digits, at most one point with digits on both sides, no
    leading zero, no sign, no exponent.
    """
    match = _DECIMAL.fullmatch(text) if len(text) <= 64 else None
    if match is None:
        raise NotExact(text, "syntax")
    whole, fraction = match[1], (match[2] or "").rstrip("0")
    if len(whole) > _INTEGER_DIGITS_MAX:
        raise NotExact(text, "size")
    if len(fraction) > digits:
        raise NotExact(text, "scale")
    return int(whole + fraction.ljust(digits, "0"))


def truncate_units(text: str, digits: int) -> int:
    """Like parse_units, but decimals past the unit are cut off: for the provider's own figures.

    What is cut off must be decimals too: of 1.23e5 not even the 1.23 is true. Raises NotExact.
    """
    if not _DECIMAL.fullmatch(text):
        raise NotExact(text, "syntax")
    whole, _, fraction = text.partition(".")
    return parse_units(f"{whole}.{fraction[:digits]}" if fraction[:digits] else whole, digits)


def format_units(units: int, digits: int, *, least: int = 0) -> str:
    """Plain decimal text of an integer of 10⁻ᵈⁱᵍⁱᵗˢ units, with at least ``least`` decimals."""
    sign, magnitude = ("-" if units < 0 else ""), abs(units)
    whole, fraction = divmod(magnitude, 10**digits)
    decimals = f"{fraction:0{digits}d}".rstrip("0").ljust(least, "0") if digits else ""
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def minor_digits(currency: str) -> int:
    """Digits after the point of a currency's minor unit."""
    return MINOR_DIGITS.get(currency, 2)


def parse_amount(text: str, currency: str) -> int:
    """Declared amount text -> minor units. Raises NotExact."""
    return parse_units(text, minor_digits(currency))


def format_amount(amount_minor: int, currency: str) -> str:
    """Minor units -> the text that is sent and journaled, always with all its decimals: 250.00."""
    digits = minor_digits(currency)
    return format_units(amount_minor, digits, least=digits)


def parse_weight(text: str) -> int:
    """Declared weight text -> 10⁻¹⁸ units, at most one. Raises NotExact."""
    weight_e18 = parse_units(text, WEIGHT_DIGITS)
    if weight_e18 > WEIGHT_ONE_E18:
        raise NotExact(text, "size")
    return weight_e18


def format_weight(weight_e18: int) -> str:
    """Canonical weight text: plain, no trailing zeros. 0.5, 0.583, 1, 0."""
    return format_units(weight_e18, WEIGHT_DIGITS)


def format_ratio(ratio: Fraction) -> str:
    """Exact decimal text of a limit or a band; all of them are written as decimals."""
    scaled = ratio * 10**WEIGHT_DIGITS
    assert scaled.denominator == 1, ratio
    return format_units(scaled.numerator, WEIGHT_DIGITS)


def split_exactly(total: int, ratios: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Split ``total`` units by ratios with the largest-remainder method (Hamilton).

    The shares add up to ``total`` exactly and each is within one unit of its exact share. Ties go
    to the larger ratio, then to the smaller name, so the order of ``ratios`` never matters. A zero
    ratio never receives a unit.
    """
    whole = sum(ratio for _, ratio in ratios)
    if total < 0 or whole <= 0 or any(ratio < 0 for _, ratio in ratios):
        raise ValueError("a split needs a non-negative total and ratios with a positive sum")
    if len({name for name, _ in ratios}) != len(ratios):
        raise ValueError("a split needs every name once")
    exact = {name: Fraction(total * ratio, whole) for name, ratio in ratios}
    shares = {name: share.numerator // share.denominator for name, share in exact.items()}
    by_claim = sorted(
        ((name, ratio) for name, ratio in ratios if ratio),
        key=lambda item: (shares[item[0]] - exact[item[0]], -item[1], item[0]),
    )
    for name, _ in by_claim[: total - sum(shares.values())]:
        shares[name] += 1
    return shares
