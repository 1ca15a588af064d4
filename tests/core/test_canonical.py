"""Canonical rows: the engine's text is the text that Python would write, whatever is in a row."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from stratctl.core.canonical import canonical, canonical_rows
from stratctl.core.tables import Workspace

SCHEMA = {"n": "INTEGER", "code": "VARCHAR", "yes": "BOOLEAN", "e8": "HUGEINT"}
SPACE = Workspace()

rows = st.tuples(
    st.none() | st.sampled_from([1, 2]) | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.text("A1 ~/'[", max_size=3) | st.text(max_size=3),
    st.none() | st.booleans(),
    st.none() | st.integers(-(10**38) + 1, 10**38 - 1),
)


@given(st.lists(rows, min_size=1, max_size=5), st.sampled_from(["", "row"]))
@example([(1, '"', None, 0)], "row")
@example([(1, "\\", None, 0)], "row")
@example([(1, "\x7f", None, 0), (None, "é", True, None)], "")
def test_the_engine_writes_what_python_would(
    given_rows: list[tuple[int | None, str | None, bool | None, int | None]], label: str
) -> None:
    """Each row is one line of JSON, ascending, after its label."""
    table = SPACE.table("rows", SCHEMA, list(zip(*given_rows, strict=True)))
    found = SPACE.rows(f"SELECT * FROM {table} ORDER BY ALL")
    lines = [canonical([label, *row] if label else list(row)) + "\n" for row in found]
    assert b"".join(canonical_rows(table, tuple(SCHEMA), label)).decode() == "".join(lines)
