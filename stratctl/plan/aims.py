"""Vectors that are sent and are not the declared ones: to whom, and what they weigh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stratctl.core.state import Vector
from stratctl.core.tables import Table

AIMED_ROWS = {
    "strategy": "VARCHAR",
    "verb": "VARCHAR",
    "participant_code": "VARCHAR",
    "vector_text": "VARCHAR",
}
"""Whose call of this verb carries another vector than the declared one."""

PART_ROWS = {"vector_text": "VARCHAR", "asset": "VARCHAR", "weight_e18": "HUGEINT"}


@dataclass(frozen=True)
class Aims:
    """Chosen vectors by participant and verb. Who is not in it is sent the declared weights."""

    rows: Table
    """AIMED_ROWS"""
    parts: Table
    """PART_ROWS: each vector by asset."""
    vectors: Mapping[str, Vector]
    """By their text."""


def aims_of(rows: Table, vectors: Iterable[Vector]) -> Aims:
    """Aims at these vectors."""
    by_text = {vector.text: vector for vector in vectors}
    parts = [
        (text, asset, weight)
        for text, vector in sorted(by_text.items())
        for asset, weight in vector.weights_e18
    ]
    return Aims(
        rows=rows,
        parts=rows.workspace.table("aimed_parts", PART_ROWS, list(zip(*parts, strict=True))),
        vectors=by_text,
    )


def both(first: Aims | None, second: Aims | None) -> Aims | None:
    """The aims of two lists that name nobody twice for one verb."""
    if first is None or second is None:
        return first or second
    space = first.rows.workspace
    rows = space.select(
        "aimed", AIMED_ROWS, f"SELECT * FROM {first.rows} UNION ALL SELECT * FROM {second.rows}"
    )
    return aims_of(rows, (*first.vectors.values(), *second.vectors.values()))
