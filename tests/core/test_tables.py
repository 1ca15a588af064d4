"""Tables: exact types at every door, nothing rounded on the way in, twins found."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stratctl import pipeline
from stratctl.core import tables
from stratctl.core.tables import Table, Workspace, holding, interruptible, literal
from tests.plans import small_plan

BIG = 10**38 - 1
LIMIT = "SELECT current_setting('memory_limit')"


@pytest.fixture(scope="module")
def space() -> Workspace:
    """One workspace for all; every test makes tables of its own."""
    return Workspace()


def test_python_columns_come_back_as_they_were(space: Workspace) -> None:
    """Text, booleans, wide integers and missing values survive exactly."""
    schema = {"t": "VARCHAR", "b": "BOOLEAN", "n": "BIGINT", "w": "DECIMAL(38,0)", "h": "HUGEINT"}
    rows: list[tuple[Any, ...]] = [
        ("a'\n\u2028é", True, 2**63 - 1, BIG, 2**127 - 1),
        (None, None, None, None, None),
        ("", False, -(2**63), -BIG, -(2**127 - 1)),
    ]
    table = space.table("t", schema, list(zip(*rows, strict=True)))
    assert space.rows(f"SELECT * FROM {table}") == rows
    assert len(table) == 3


@pytest.mark.parametrize("columns", [(), ([],)])
def test_no_rows_make_an_empty_table_of_the_same_types(
    space: Workspace, columns: tuple[list[Any], ...]
) -> None:
    """Nothing to say is still a typed table."""
    table = space.table("empty", {"n": "BIGINT"}, columns)
    assert (len(table), table.rows()) == (0, [])


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1::DOUBLE AS n", "SELECT sum(n) AS n FROM range(3) AS r(n)", "SELECT 1.0 AS n"],
    ids=["double", "hugeint", "decimal"],
)
def test_a_query_of_another_type_is_refused_at_the_door(space: Workspace, sql: str) -> None:
    """SQL turns integers into DOUBLE, HUGEINT or DECIMAL silently; the door does not."""
    with pytest.raises(AssertionError):
        space.select("n", {"n": "BIGINT"}, sql)


@pytest.mark.parametrize("schema", [{"m": "BIGINT"}, {"n": "BIGINT", "m": "BIGINT"}])
def test_a_query_of_other_columns_is_refused(space: Workspace, schema: dict[str, str]) -> None:
    """Names and their number are part of the type."""
    with pytest.raises(AssertionError):
        space.select("n", schema, "SELECT 1::BIGINT AS n")


@pytest.mark.parametrize("value", [1.5, 2.0, Decimal("1.5")])
def test_a_number_that_is_no_integer_is_not_rounded_in(space: Workspace, value: Any) -> None:
    """The engine would cast 1.5 to 2; a column refuses floats and decimals whole."""
    with pytest.raises(AssertionError, match="not an exact integer"):
        space.table("n", {"n": "BIGINT"}, [[1, value]])


def test_columns_of_different_number_are_refused(space: Workspace) -> None:
    """One sequence per column of the schema."""
    with pytest.raises(AssertionError):
        space.table("n", {"n": "BIGINT", "m": "BIGINT"}, [[1]])


def test_keys_that_occur_twice_are_found(space: Workspace) -> None:
    """A join on those would multiply rows; missing values count as equal."""
    table = space.table(
        "keys",
        {"a": "VARCHAR", "b": "VARCHAR"},
        [["x", "x", "y", None, None], ["1", "1", "1", "2", "2"]],
    )
    assert table.duplicates(("a", "b")) == [("x", "1"), (None, "2")]
    assert Table(space, table.name, table.schema).duplicates(("b",)) == [("1",), ("2",)]


def test_nobody_looks_again_at_a_key_that_is_proved(space: Workspace) -> None:
    """A Table carries the proof of one key and of no other; the Table it came from has none."""
    table = space.table("keys", {"a": "VARCHAR", "b": "VARCHAR"}, [["x", "x"], ["1", "1"]])
    believed = table.keyed("a", "b")
    assert believed.duplicates(("a", "b")) == []
    assert believed.duplicates(("a",)) == [("x",)]
    assert table.duplicates(("a", "b")) == [("x", "1")]


def test_rows_have_a_total_order(space: Workspace) -> None:
    """Every column sorts, by bytes and not by locale."""
    table = space.table("o", {"t": "VARCHAR"}, [["b", "B", "é", "a", "_"]])
    assert [row[0] for row in table.rows()] == ["B", "_", "a", "b", "é"]


def test_overflow_is_loud(space: Workspace) -> None:
    """The engine raises where others wrap around."""
    import duckdb

    with pytest.raises(duckdb.OutOfRangeException):
        space.rows("SELECT 9223372036854775807::BIGINT + 1::BIGINT")


def test_one_is_exactly_one(space: Workspace) -> None:
    """A query for one row fails on none and on two."""
    assert space.one("SELECT 1, 2") == (1, 2)
    for sql in ("SELECT 1 WHERE false", "SELECT unnest([1, 2])"):
        with pytest.raises(ValueError, match="unpack"):
            space.one(sql)


def test_a_literal_cannot_end_its_quotes(space: Workspace) -> None:
    """Quotes inside are doubled."""
    text = "it's; DROP TABLE x; --"
    assert space.one(f"SELECT {literal(text)}") == (text,)
    space.run("SELECT 1")


def test_the_engine_fetches_nothing(space: Workspace) -> None:
    """What needs a part that the engine lacks is an error, never a download of that part."""
    with pytest.raises(duckdb.Error, match="requires the extension"):
        space.run("SELECT * FROM 'https://127.0.0.1:1/members.parquet'")


def test_workspaces_do_not_see_each_other() -> None:
    """Tables of one workspace are not there in another, and are gone with their own."""
    one, other = Workspace(), Workspace()
    table = one.table("members", {"a": "BIGINT"}, [[1]])
    with pytest.raises(duckdb.CatalogException):
        other.rows(f"SELECT * FROM {table}")
    (name,) = one.one("SELECT current_database()")
    databases = "SELECT database_name FROM duckdb_databases()"
    assert (name,) in other.rows(databases)
    del one, table
    gc.collect()
    assert (name,) not in other.rows(databases)


def test_many_queries_are_gathered_into_one_table(space: Workspace) -> None:
    """Every row of every one, whatever their number; and the types at the door, as ever."""
    parts = [f"SELECT {number} AS n, 'x' AS t" for number in range(120)]
    table = space.gathered("n", {"n": "INTEGER", "t": "VARCHAR"}, parts)
    assert space.rows(f"SELECT n FROM {table} ORDER BY n") == [(n,) for n in range(120)]


LONG = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"


@contextmanager
def interrupted() -> Iterator[None]:
    """Half a second from now, Ctrl-C; the test's own handler is put back."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, stop)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def test_a_query_is_interrupted_as_anything_else_is() -> None:
    """A signal ends it with KeyboardInterrupt, and the workspace goes on."""
    space = Workspace()
    with interrupted(), pytest.raises(KeyboardInterrupt):
        space.rows(LONG)
    assert space.one("SELECT 1") == (1,)


def test_another_error_is_no_interruption() -> None:
    """Only what the engine says about signals is turned into one."""
    with pytest.raises(RuntimeError, match="broken"), interruptible():
        raise RuntimeError("broken")


@pytest.mark.parametrize("threads", [None, 1])
def test_a_copy_in_another_workspace_has_the_same_rows(threads: int | None) -> None:
    """Whether one engine has both of them or not, of tables and of views, wide integers too."""
    schema = {"code": "VARCHAR", "units": "DECIMAL(38,0)"}
    here, there = Workspace(), Workspace(threads=threads)
    table = here.table("rows", schema, [["B", "A"], [10**30, None]])
    view = here.view("seen", schema, f"SELECT * FROM {table}")
    for each in (table, view):
        copy = each.copied_to(there)
        assert (copy.workspace, copy.schema, len(copy)) == (there, schema, 2)
        assert copy.rows() == [("A", None), ("B", 10**30)]
    assert table.copied_to(here) is table


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in an engine that holds nothing of other tests."""
    monkeypatch.setattr(tables, "_engine", cache(tables._engine.__wrapped__))
    return Workspace()


def test_an_engine_that_holds_little_says_the_same(fresh: Workspace, tmp_path: Path) -> None:
    """What it may not hold is in files, and stays in the first folder that it had.

    What cannot be done like that is done with all the memory that there is.
    """
    space = fresh
    numbers = space.select("n", {"n": "BIGINT"}, "SELECT range AS n FROM range(500000)")
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
        with holding(mebibytes=8, folder=str(folder)):
            more = space.select("m", {"m": "BIGINT"}, f"SELECT n + 1 AS m FROM {numbers}")
            assert space.one(f"SELECT count(*), sum(m) FROM {more}") == (500_000, 500_001 * 250_000)
            held = space.one("SELECT sum(temporary_storage_bytes) FROM duckdb_memory()")[0]
            assert held > 0
            assert space.one(LIMIT) == ("8.0 MiB",)
            assert space.one("SELECT len(list(range)) FROM range(1000000)") == (10**6,)
            assert space.one(LIMIT) != ("8.0 MiB",)
    assert not list(folders[1].iterdir())


def test_an_engine_that_holds_more_already_goes_on(fresh: Workspace, tmp_path: Path) -> None:
    """Where files cannot take enough of it, the limit stays where it was."""
    (free,) = fresh.one(LIMIT)
    # Each of them is less than a block, which is what goes into files.
    for _ in range(300):
        fresh.select("kept", {"n": "UBIGINT"}, "SELECT hash(range) AS n FROM range(20000)")
    with holding(mebibytes=1, folder=str(tmp_path)):
        assert fresh.one(LIMIT) == (free,)


def test_a_large_plan_is_carried_out_frugally(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine holds little for as long as that takes, and for a smaller plan what it likes."""
    space = Workspace()
    (free,) = space.one(LIMIT)
    plan = small_plan(space)
    for least, limit in ((len(plan.rows), "384.0 MiB"), (len(plan.rows) + 1, free)):
        monkeypatch.setattr(pipeline, "LARGE_ROWS", least)
        with pipeline._frugally(plan):
            assert space.one(LIMIT) == (limit,)
        assert space.one(LIMIT) == (free,)
    with pipeline._frugally(None):
        assert space.one(LIMIT) == (free,)
