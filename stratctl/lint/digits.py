"""Weights that are written with more decimals than anything beside them needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.money import format_weight, parse_weight
from stratctl.documents import warning

if TYPE_CHECKING:
    from stratctl.documents import Documents, Places

PERCENT_DECIMALS = 2
"""Whole percents may always have both: 0.50 beside 0.25."""


def needless_digits(documents: Documents) -> Iterator[Diagnostic]:
    """Weights and shares with zeros at the end that no neighbour is aligned with."""
    for strategy in documents.strategies:
        written, places = strategy.document, strategy.places
        yield from _needless(written.allocations, places, "allocations")
        yield from _needless(written.blend, places, "blend")
        if written.transition is not None:
            yield from _needless(written.transition.before, places, "transition", "before")
    for members in documents.cohorts:
        cohort = members.read
        yield from _needless(cohort.document.allocations, cohort.places, "allocations")


def _needless(
    written: Mapping[str, str] | None, places: Places, *path: str
) -> Iterator[Diagnostic]:
    if not written:
        return
    needed = {name: len(_fraction(text).rstrip("0")) for name, text in written.items()}
    enough = max(PERCENT_DECIMALS, *needed.values())
    for name, text in written.items():
        if len(_fraction(text)) > enough:
            detail = f"{name} {text} has {len(_fraction(text))} decimals and needs {needed[name]}"
            hint = f"write {format_weight(parse_weight(text))}: it is the same number"
            yield warning("W_NEEDLESS_DIGITS", detail, places.value(*path, name), hint)


def _fraction(text: str) -> str:
    return text.partition(".")[2]
