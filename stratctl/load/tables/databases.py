"""One query, one database, read-only: the names and types of its columns, then its rows.

==============  ==============  =================================================================
address         database        why nothing is written
==============  ==============  =================================================================
postgresql://…  PostgreSQL      a READ ONLY transaction; the statement is parsed alone first
sqlite:PATH     SQLite          opened read-only; every action but reading is denied
duckdb:PATH     DuckDB          opened read-only, without access to other files or the network
==============  ==============  =================================================================

An address is a secret: no error that is raised here repeats it, nor what a driver says about it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from stratctl.core.tables import interruptible
from stratctl.load.files import Refused

QUERY_SECONDS_MAX = 300
_CONNECT_SECONDS_MAX = 15
_BATCH_ROWS = 10_000


@dataclass(frozen=True)
class Result:
    """What a database answers."""

    kinds: Mapping[str, str]
    """Column -> its type as the engine calls it; '' where each value has a type of its own."""
    rows: Iterator[tuple[Any, ...]]
    """Texts, booleans and NULLs, and from a database without column types integers and floats."""


@contextmanager
def answered(address: str, sql: str, root: Path) -> Iterator[Result]:
    """Run a query. Paths in the address are relative to ``root``. Raises Refused."""
    scheme, _, rest = address.partition(":")
    if scheme in ("postgresql", "postgres"):
        asked = _postgresql(address, sql)
    elif scheme == "sqlite":
        asked = _sqlite(root / rest, sql)
    elif scheme == "duckdb":
        asked = _duckdb(root / rest, sql)
    else:
        hint = "write postgresql://…, sqlite:PATH or duckdb:PATH into the variable"
        raise Refused("E_CONNECTION", "its address is of no known kind", hint)
    with interruptible(), asked as result:
        yield result


def _refused_query(said: str) -> Refused:
    return Refused("E_SQL", ascii(said.strip())[1:-1][:300], "try the query in the database")


def _refused_connection(why: str) -> Refused:
    hint = "check the address in the variable and who may use it; it is never shown"
    return Refused("E_CONNECTION", why, hint)


# --- PostgreSQL ------------------------------------------------------------------------------

_POSTGRESQL_KINDS = {
    16: "BOOLEAN",
    20: "BIGINT",
    21: "SMALLINT",
    23: "INTEGER",
    25: "VARCHAR",
    1042: "VARCHAR",
    1043: "VARCHAR",
    1700: "DECIMAL(38,8)",
}
"""Number of a type in its catalogue -> what holds the same values here."""

_NAMED = {700: "real", 701: "double precision", 790: "money", 114: "json", 3802: "jsonb"}


@contextmanager
def _postgresql(address: str, sql: str) -> Iterator[Result]:
    try:
        import psycopg
    except ImportError:
        hint = "pip install 'stratctl[postgres]'"
        raise Refused("E_CONNECTION", "PostgreSQL needs psycopg", hint) from None
    try:
        connection = psycopg.connect(
            address,
            application_name="stratctl",
            client_encoding="UTF8",
            connect_timeout=_CONNECT_SECONDS_MAX,
        )
    except psycopg.Error:
        # What it says may repeat the address.
        raise _refused_connection("PostgreSQL cannot be reached, or refuses the login") from None
    try:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        limit_ms = int(QUERY_SECONDS_MAX * 1000)
        connection.execute(f"SET LOCAL statement_timeout = {limit_ms}".encode())
        names, kinds = _described(connection, sql)
        with closing(_copied(connection, sql, kinds)) as rows:
            yield Result(dict(zip(names, kinds, strict=True)), rows)
    except psycopg.Error as error:
        raise _refused_query(error.diag.message_primary or type(error).__name__) from None
    finally:
        connection.close()


def _described(connection: Any, sql: str) -> tuple[list[str], list[str]]:
    """Names and types of the columns, after the server has parsed the statement by itself.

    What is one whole statement alone cannot end the command that it is put into afterwards, or
    begin another one.
    """
    from psycopg.pq import DiagnosticField, ExecStatus

    server = connection.pgconn
    parsed = server.prepare(b"", sql.encode())
    described = server.describe_prepared(b"") if parsed.status == ExecStatus.COMMAND_OK else parsed
    if described.status != ExecStatus.COMMAND_OK:
        said = described.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"it cannot be parsed"
        raise _refused_query(said.decode("utf-8", "replace"))
    if not described.nfields:
        raise _refused_query("the statement answers with no rows")
    places = range(described.nfields)
    names = [(described.fname(place) or b"").decode("utf-8", "replace") for place in places]
    numbers = [described.ftype(place) for place in places]
    named = [_POSTGRESQL_KINDS.get(one) or _NAMED.get(one, f"type {one}") for one in numbers]
    return _once_each(names), named


def _copied(connection: Any, sql: str, kinds: list[str]) -> Generator[tuple[Any, ...], None, None]:
    """The rows as the server sends them: texts, booleans as such."""
    flags = [place for place, kind in enumerate(kinds) if kind == "BOOLEAN"]
    with connection.cursor() as cursor, cursor.copy(f"COPY ({sql}\n) TO STDOUT".encode()) as copy:
        for row in copy.rows():
            cells = list(row)
            for place in flags:
                cells[place] = None if row[place] is None else row[place] == "t"
            yield tuple(cells)


# --- SQLite ----------------------------------------------------------------------------------

_READING = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)


@contextmanager
def _sqlite(path: Path, sql: str) -> Iterator[Result]:
    if not path.is_file():
        raise _refused_connection("there is no SQLite file at its address")
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    try:
        deadline = time.monotonic() + QUERY_SECONDS_MAX
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
        )
        # What is no UTF-8 keeps to no grammar, but must travel as far as the finding about it.
        connection.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise _refused_query("the statement answers with no rows")
        names = _once_each([column[0] for column in cursor.description])
        yield Result(dict.fromkeys(names, ""), iter(cursor))
    except sqlite3.Error as error:
        raise _refused_query(str(error)) from None
    finally:
        connection.close()


# --- DuckDB ----------------------------------------------------------------------------------


@contextmanager
def _duckdb(path: Path, sql: str) -> Iterator[Result]:
    alone: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "lock_configuration": True,
    }
    try:
        connection = duckdb.connect(str(path), read_only=True, config=alone)
    except duckdb.Error:
        raise _refused_connection("the DuckDB file at its address cannot be opened") from None
    late = threading.Timer(QUERY_SECONDS_MAX, connection.interrupt)
    late.daemon = True
    late.start()
    try:
        statements = connection.extract_statements(sql)
        if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
            raise _refused_query("it is not one SELECT")
        described = connection.execute(f"DESCRIBE {sql}").fetchall()
        names = _once_each([row[0] for row in described])
        kinds = {name: str(row[1]) for name, row in zip(names, described, strict=True)}
        texts = ", ".join(
            f"c{place}" if kind == "BOOLEAN" else f"CAST(c{place} AS VARCHAR)"
            for place, kind in enumerate(kinds.values())
        )
        columns = ", ".join(f"c{place}" for place in range(len(kinds)))
        rows = connection.execute(f"SELECT {texts} FROM ({sql}\n) AS asked({columns})")
        yield Result(kinds, _fetched(rows))
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        raise _refused_query(said.replace(str(path), "the database")) from None
    finally:
        late.cancel()
        connection.close()


def _fetched(rows: Any) -> Iterator[tuple[Any, ...]]:
    while batch := rows.fetchmany(_BATCH_ROWS):
        yield from batch


def _once_each(names: list[str]) -> list[str]:
    """The names of columns, if no two are the same. Raises Refused."""
    for name in names:
        if names.count(name) > 1:
            raise _refused_query(f"the column {name} occurs twice")
    return names
