"""Columns: how ten or ten million participants travel from stage to stage.

A ``Workspace`` is one embedded DuckDB connection; a ``Table`` is a typed table in it that nobody
changes after it is made: materialised, or a view of tables that are. Stages take Tables and return
Tables, and the SQL between them stands beside the function that runs it. Column types are checked
at every door, because SQL silently widens, rounds or turns to DOUBLE what nobody looked at.
"""

from __future__ import annotations

import atexit
import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Schema = Mapping[str, str]
"""Column name -> DuckDB type, in column order."""

Done = TypeVar("Done")

_GATHERED_AT_ONCE = 50


class Workspace:
    """An in-memory database of DuckDB's with names for the tables made in it.

    One statement runs at a time: stages are called from one thread, apply's workers from several.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        engine = _engine(threads)
        database = f"workspace_{next(_numbers)}"
        self._at = engine, database
        self._connection = engine.cursor()
        self._connection.execute("SET enable_progress_bar = false")
        self._connection.execute(f"ATTACH ':memory:' AS {database}")
        self._connection.execute(f"USE {database}")
        self._made = 0
        self._lock = threading.RLock()
        self._leaving = weakref.finalize(self, _leave, engine, self._connection, database)
        self._leaving.atexit = False  # the process is about to give everything back at once
        _living.add(self)

    def table(self, name: str, schema: Schema, columns: Sequence[Sequence[Any]] = ()) -> Table:
        """Materialise Python columns (one sequence per schema column, in order) as a Table."""
        assert not columns or len(columns) == len(schema), name
        for column in columns:
            # The engine would round these into an integer column without a word.
            assert not {float, Decimal} & set(map(type, column)), f"{name}: not an exact integer"
        declared = ", ".join(f"{column} {kind}" for column, kind in schema.items())

        def filled() -> Table:
            table = self._create(name, schema, f"CREATE TABLE {{}} ({declared})")
            if columns and columns[0]:
                with interruptible(), self._connection.appender(table.name) as appender:
                    appender.append_rows(zip(*columns, strict=True))
            return replace(table, count=len(columns[0]) if columns else 0)

        return self._carried_out(filled)

    def select(
        self,
        name: str,
        schema: Schema,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        of: Table | None = None,
    ) -> Table:
        """Materialise a query as a Table whose columns must come out as ``schema`` says.

        ``of``: the Table without whose rows the query yields none; nobody asks an empty one.
        """
        if of is not None and of.count == 0:
            return self.table(name, schema)
        table = self._create(name, schema, f"CREATE TABLE {{}} AS {sql}", parameters)
        return self._at_the_door(table)

    def view(self, name: str, schema: Schema, sql: str, *, of: Table | None = None) -> Table:
        """A Table that is read where it stands: columns of others, and constants beside them.

        For what copying would only make larger. The query must be cheap, and say the same whenever
        it is run: its tables never change and are not dropped while the view is in use. ``of`` as
        in ``select``.
        """
        if of is not None and of.count == 0:
            return self.table(name, schema)
        return self._at_the_door(self._create(name, schema, f"CREATE VIEW {{}} AS {sql}"))

    def _create(
        self, name: str, schema: Schema, statement: str, parameters: Sequence[Any] = ()
    ) -> Table:
        """Run a statement that makes a table of the name that stands in it for ``{}``."""

        def created() -> Table:
            self._made += 1
            table = Table(self, f"{name}_{self._made}", dict(schema))
            self._connection.execute(statement.replace("{}", table.name, 1), list(parameters))
            # Of a query it says how many rows it made, of an empty table or a view nothing.
            made = self._connection.fetchone()
            return replace(table, count=made[0] if made else None)

        return self._carried_out(created)

    def _at_the_door(self, table: Table) -> Table:
        """The Table, whose columns came out of a query, if they are of the types that it says."""
        with self._lock:
            stored = self._connection.table(table.name)
            made = dict(zip(stored.columns, map(str, stored.types), strict=True))
        assert made == table.schema, f"{table.name}: {made} is not {table.schema}"
        return table

    def name_of(self, table: Table) -> str:
        """What a table of another workspace is called here; empty where another engine has it."""
        (own, _), (engine, database) = self._at, table.workspace._at
        return f"{database}.{table.name}" if engine is own else ""

    def gathered(self, name: str, schema: Schema, parts: Sequence[str]) -> Table:
        """Materialise the rows of many queries, some at a time: one query of them all would take
        longer than its parts, and the more so the more they are."""
        table = self.table(name, schema)
        for begin in range(0, len(parts), _GATHERED_AT_ONCE):
            some = " UNION ALL ".join(parts[begin : begin + _GATHERED_AT_ONCE])
            self.run(f"INSERT INTO {table} {some}")
        return replace(table, count=None)

    def rows(
        self, sql: str, parameters: Sequence[Any] = (), *, of: Table | None = None
    ) -> list[tuple[Any, ...]]:
        """Run a query and fetch all of it. The caller orders it if the order matters. ``of`` as in
        ``select``."""
        if of is not None and of.count == 0:
            return []
        return self._carried_out(lambda: self._connection.execute(sql, list(parameters)).fetchall())

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        """Run a query that yields exactly one row."""
        (row,) = self.rows(sql, parameters)
        return row

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement for its effect (COPY, DROP)."""
        self._carried_out(lambda: self._connection.execute(sql, list(parameters)))

    def _carried_out(self, statement: Callable[[], Done]) -> Done:
        """Run it. Where the engine may hold too little for it, it may hold more from now on."""
        import duckdb

        with self._lock, interruptible():
            try:
                return statement()
            except duckdb.OutOfMemoryException:
                self._connection.execute("RESET memory_limit")
                return statement()


@dataclass(frozen=True)
class Table:
    """A materialised table: where it lives, what it is called, and its exact column types."""

    workspace: Workspace
    name: str
    schema: Schema
    keys: frozenset[tuple[str, ...]] = frozenset()
    """Columns in which no two rows are alike, where that is proved already."""
    count: int | None = None
    """How many rows it has, where that is known without looking: not of a view."""

    def __str__(self) -> str:
        """The name, so that a Table can be written into SQL."""
        return self.name

    def __len__(self) -> int:
        if self.count is not None:
            return self.count
        counted: int = self.workspace.one(f"SELECT count(*) FROM {self.name}")[0]
        return counted

    def rows(self, order: str = "ALL") -> list[tuple[Any, ...]]:
        """Every row, in a total order. For few rows, tests and views, never for a whole book."""
        return self.workspace.rows(f"SELECT * FROM {self.name} ORDER BY {order}")

    def keyed(self, *key: str) -> Table:
        """The same Table, for whose key there is proof: whoever made it has looked, or it was
        grouped by the key. Nobody looks for duplicates of that key again."""
        return replace(self, keys=self.keys | {key})

    def copied_to(self, workspace: Workspace) -> Table:
        """The same rows in another workspace; this very Table when it is at home there."""
        if workspace is self.workspace:
            return self
        elsewhere = workspace.name_of(self)
        if elsewhere:
            sql = f"SELECT * FROM {elsewhere} ORDER BY ALL"
            return workspace.select("copy", self.schema, sql, of=self)
        exact = ", ".join(
            f"{column}::{_carrier(kind)} AS {column}" for column, kind in self.schema.items()
        )
        rows = self.workspace.rows(f"SELECT {exact} FROM {self.name} ORDER BY ALL", of=self)
        return workspace.table("copy", self.schema, list(zip(*rows, strict=True)))

    def duplicates(self, key: Iterable[str]) -> list[tuple[Any, ...]]:
        """Keys that occur more than once; a join on those would multiply rows."""
        key = tuple(key)
        if key in self.keys or self.count in (0, 1):
            return []
        columns = ", ".join(key)
        # Where no two hashes are equal no two keys are, and sorting hashes takes half the time of
        # grouping keys.
        (suspected,) = self.workspace.one(
            f"""
            SELECT coalesce(bool_or(who = before), false) FROM (
                SELECT who, lag(who) OVER (ORDER BY who) AS before
                FROM (SELECT hash({columns}) AS who FROM {self.name}))
            """
        )
        if not suspected:
            return []
        return self.workspace.rows(
            f"SELECT {columns} FROM {self.name} GROUP BY {columns} HAVING count(*) > 1 ORDER BY ALL"
        )


@contextmanager
def holding(*, mebibytes: int, folder: str) -> Iterator[None]:
    """Let the engine of this process hold no more than this in memory, and the rest in files.

    A statement that cannot be carried out like this gets all the memory that there is, and so does
    what comes after it, or all of it where the engine holds more already than files can take. Once
    the engine has files in a ``folder``, it stays there.
    """
    import duckdb

    engine = _engine(None).cursor()
    with suppress(duckdb.NotImplementedException):
        engine.execute(f"SET temp_directory = {literal(folder)}")
    with suppress(duckdb.OutOfMemoryException):
        engine.execute(f"SET memory_limit = '{mebibytes:d}MiB'")
    try:
        yield
    finally:
        engine.execute("RESET memory_limit")


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end a query as it ends anything else.

    When a signal's handler raises while the engine works, the engine stops, drops what was raised,
    and raises a RuntimeError of its own.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        raise KeyboardInterrupt from error


@cache
def _engine(threads: int | None) -> DuckDBPyConnection:
    """The engine of this process, with so many threads: starting one takes longer than a plan of
    few people, so every workspace is a database in it."""
    import duckdb

    # What it lacks it would fetch from the network, in the middle of reading a file.
    engine = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    atexit.register(_let_go)
    engine.execute("SET preserve_insertion_order = true")
    if threads is not None:
        engine.execute(f"SET threads = {threads:d}")
    return engine


_numbers = itertools.count(1)
_living: weakref.WeakSet[Workspace] = weakref.WeakSet()


def _leave(engine: DuckDBPyConnection, connection: DuckDBPyConnection, database: str) -> None:
    """Give back what a workspace held."""
    connection.close()
    engine.cursor().execute(f"DETACH {database}")


def _let_go() -> None:
    """Drop what still lives at the end: an engine that outlives its own module says so at length,
    on standard error."""
    while _living:
        workspace = _living.pop()
        workspace._leaving.detach()
        del workspace._connection, workspace._at
    _engine.cache_clear()


def literal(text: str) -> str:
    """A SQL string literal, for the few places where DuckDB takes no parameter (COPY)."""
    return "'" + text.replace("'", "''") + "'"


def _carrier(kind: str) -> str:
    """The type in which Python values of a column travel: wide integers go as HUGEINT."""
    return "HUGEINT" if kind == "DECIMAL(38,0)" else kind
