"""Bugs on purpose: a change of the SQL on its way to the engine, for as long as a block lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from stratctl.core.tables import Schema, Table, Workspace
from tests.plan import planned


@contextmanager
def planted(right: str, wrong: str) -> Iterator[None]:
    """A wrong text in the place of a right one, which some statement must have."""
    found: list[str] = []
    select = Workspace.select

    def bent(
        self: Workspace,
        name: str,
        schema: Schema,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        of: Table | None = None,
    ) -> Table:
        if right in sql:
            found.append(name)
        return select(self, name, schema, sql.replace(right, wrong), parameters, of=of)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "select", bent)
        planned.forget()
        try:
            yield
        finally:
            planned.forget()
    assert found, f"no statement has {right!r}"
