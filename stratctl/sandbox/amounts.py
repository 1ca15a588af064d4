"""Exact amounts: decimal text to integer units and back, and splits that lose nothing."""

import re
from collections.abc import Sequence

_DECIMAL = re.compile(r"(\d{1,40})(?:\.(\d{1,40}))?", re.ASCII)

CENTS = 2
PRICE_SCALE = 16
"""Decimal places of a price; the documented price precision is 16 for most instruments."""


def parse_units(text: str, scale: int) -> int | None:
    """Integer units of 10**-scale, or None when the text is not such a plain decimal."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match[1], match[2] or ""
    significant = fraction.rstrip("0")
    if len(significant) > scale:
        return None
    return int(whole + significant.ljust(scale, "0"))


def padded(units: int, scale: int) -> str:
    """Decimal text with all its places, as balances and fiat amounts are printed."""
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(scale + 1, "0")
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"


def trimmed(units: int, scale: int, at_least: int = 0) -> str:
    """Decimal text without trailing zeros beyond `at_least` places."""
    whole, _, fraction = padded(units, scale).partition(".")
    fraction = fraction.rstrip("0").ljust(at_least, "0")
    return f"{whole}.{fraction}" if fraction else whole


def power_of_ten(places: int) -> int:
    """10**places for places that are not negative."""
    return int("1" + "0" * places)


def half_even(numerator: int, denominator: int) -> int:
    """Banker's rounding of a non-negative ratio, the documented rule for notional values."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def split(total: int, ratios: Sequence[tuple[str, int]], how: str = "lrm") -> list[int]:
    """Split `total` units over named integer ratios.

    `lrm` (largest remainder) adds up exactly; ties go to the larger ratio, then to the
    first name. `floor` drops the remainders, `half_even` rounds each part on its own.
    """
    whole = sum(ratio for _, ratio in ratios)
    if how == "half_even":
        return [half_even(total * ratio, whole) for _, ratio in ratios]
    parts = [total * ratio // whole for _, ratio in ratios]
    missing = total - sum(parts)
    if missing and how == "lrm":
        order = sorted(
            range(len(parts)),
            key=lambda i: (-(total * ratios[i][1] % whole), -ratios[i][1], ratios[i][0]),
        )
        for index in order[:missing]:
            parts[index] += 1
    return parts
