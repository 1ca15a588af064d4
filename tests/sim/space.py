"""Tables without an engine: for what only fills one and reads its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stratctl.core.tables import Schema, Table, Workspace


class PlainSpace(Workspace):
    """A workspace that remembers columns and knows no SQL."""

    def __init__(self) -> None:
        """No engine is started."""

    def table(self, name: str, schema: Schema, columns: Sequence[Sequence[Any]] = ()) -> Table:
        """The rows, kept."""
        return PlainTable(self, name, dict(schema), rows_kept=list(zip(*columns, strict=True)))


class PlainTable(Table):
    """Rows in memory."""

    def __init__(
        self, space: PlainSpace, name: str, schema: Schema, *, rows_kept: list[tuple[Any, ...]]
    ) -> None:
        super().__init__(space, name, schema)
        object.__setattr__(self, "_kept", rows_kept)

    def rows(self, order: str = "ALL") -> list[tuple[Any, ...]]:
        """Every row, as it was given."""
        kept: list[tuple[Any, ...]] = self.__dict__["_kept"]
        return kept
