"""The state file: one SQLite database, in memory or on disk.

Amounts are integers of the asset's smallest unit, stored as text because they may be longer
than 64 bits; SQL never computes with them.
"""

import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

PRAGMAS = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -65536",
)

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE participant (
    seq INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, status TEXT NOT NULL,
    reason_code TEXT NOT NULL, jurisdiction TEXT NOT NULL, blocked_assets TEXT NOT NULL,
    updated_ms INTEGER NOT NULL);

CREATE TABLE asset (
    seq INTEGER PRIMARY KEY, symbol TEXT NOT NULL UNIQUE, name TEXT NOT NULL, type TEXT NOT NULL,
    precision INTEGER NOT NULL, minimum INTEGER NOT NULL, stablecoin INTEGER NOT NULL);

CREATE TABLE price (
    asset TEXT NOT NULL, since_ms INTEGER NOT NULL, units TEXT NOT NULL,
    PRIMARY KEY (asset, since_ms)) WITHOUT ROWID;

CREATE TABLE strategy (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, request_id TEXT NOT NULL,
    quoted_currency TEXT NOT NULL, metadata TEXT, created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL);

CREATE TABLE trader (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, strategy_seq INTEGER NOT NULL,
    participant TEXT NOT NULL, auto_rebalance INTEGER NOT NULL, liquidated INTEGER NOT NULL,
    held_by INTEGER, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    UNIQUE (strategy_seq, participant));
CREATE INDEX trader_of_strategy ON trader (strategy_seq, seq);
CREATE INDEX trader_of_participant ON trader (participant, seq);
CREATE INDEX trader_held ON trader (held_by) WHERE held_by IS NOT NULL;

CREATE TABLE operation (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, strategy_seq INTEGER NOT NULL,
    request_id TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    allocations TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    reserved INTEGER NOT NULL, due_ms INTEGER, terminal_ms INTEGER);
CREATE INDEX operation_of_strategy ON operation (strategy_seq, seq);
CREATE INDEX operation_of_request ON operation (request_id);
CREATE INDEX operation_due ON operation (due_ms, seq) WHERE due_ms IS NOT NULL;

CREATE TABLE execution (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, operation_seq INTEGER NOT NULL,
    strategy_seq INTEGER NOT NULL, participant TEXT NOT NULL, trader_seq INTEGER,
    amount INTEGER, auto_rebalance INTEGER, status TEXT NOT NULL, reason TEXT NOT NULL,
    legs TEXT NOT NULL, instructions TEXT, created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL);
CREATE INDEX execution_of_operation ON execution (operation_seq, seq);
CREATE INDEX execution_of_strategy ON execution (strategy_seq, seq);
CREATE INDEX execution_of_participant ON execution (participant, seq);

CREATE TABLE trade (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, execution_seq INTEGER NOT NULL,
    side TEXT NOT NULL, asset TEXT NOT NULL, quoted_currency TEXT NOT NULL, price TEXT NOT NULL,
    quantity TEXT NOT NULL, notional INTEGER NOT NULL, fee INTEGER NOT NULL,
    spread_bps INTEGER NOT NULL, executed_ms INTEGER NOT NULL);

CREATE TABLE account (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, book TEXT NOT NULL, owner TEXT NOT NULL,
    grp TEXT NOT NULL, label TEXT NOT NULL, type TEXT NOT NULL, asset TEXT NOT NULL,
    visible INTEGER NOT NULL, balance TEXT NOT NULL, updated_ms INTEGER NOT NULL,
    UNIQUE (label, owner, asset, type, grp));
CREATE INDEX account_of_label ON account (label, seq);
CREATE INDEX account_of_owner ON account (owner, seq);

CREATE TABLE movement (
    seq INTEGER PRIMARY KEY, account_seq INTEGER NOT NULL, run INTEGER NOT NULL,
    trade_seq INTEGER, type TEXT NOT NULL, change TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX movement_of_account ON movement (account_seq, seq);
CREATE INDEX movement_at ON movement (at_ms);

CREATE TABLE book_sum (
    asset TEXT NOT NULL, book TEXT NOT NULL, total TEXT NOT NULL,
    PRIMARY KEY (asset, book)) WITHOUT ROWID;

CREATE TABLE request_key (
    scope TEXT NOT NULL, request_id TEXT NOT NULL, digest TEXT NOT NULL, seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL, PRIMARY KEY (scope, request_id)) WITHOUT ROWID;
"""

Row = tuple[Any, ...]


class Store:
    """A database with the schema above, for one process and one thread at a time.

    Raises OSError when the file is in use or is something else.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self._connection = _open(path)
        # A sandbox that is dropped without being closed must not keep its file.
        weakref.finalize(self, self._connection.close)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: commit at the end, roll back when an exception passes through."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def rows(self, sql: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        return self._connection.execute(sql, arguments).fetchall()

    def row(self, sql: str, arguments: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        found: Row | None = self._connection.execute(sql, arguments).fetchone()
        return found

    def value(self, sql: str, arguments: Sequence[Any] = ()) -> Any:
        """The first column of the only row of a query."""
        return self._connection.execute(sql, arguments).fetchone()[0]

    def write(self, sql: str, arguments: Sequence[Any] = ()) -> int:
        """Run one statement; returns the row id of an insert."""
        return self._connection.execute(sql, arguments).lastrowid or 0

    def write_many(self, sql: str, arguments: Iterable[Sequence[Any]]) -> None:
        """Run one statement for many rows."""
        self._connection.executemany(sql, arguments)

    def next_seq(self, table: str) -> int:
        """The number that the next row of a table will get."""
        highest = self.value(f"SELECT max(seq) FROM {table}")
        return 1 if highest is None else int(highest) + 1

    def get(self, name: str) -> str | None:
        """One named value of the sandbox itself."""
        found = self.row("SELECT value FROM meta WHERE name = ?", (name,))
        return None if found is None else str(found[0])

    def put(self, name: str, value: str) -> None:
        """Set one named value."""
        self.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close the file; everything committed is in it."""
        self._connection.close()


def _open(path: str) -> sqlite3.Connection:
    """A connection to a file with the schema. Raises OSError."""
    connection = None
    try:
        connection = sqlite3.connect(
            path, timeout=0.5, check_same_thread=False, isolation_level=None
        )
        for pragma in PRAGMAS:
            connection.execute(pragma)
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        if not tables:
            connection.executescript(f"BEGIN;{SCHEMA};COMMIT;")
        elif ("request_key",) not in tables:
            raise sqlite3.DatabaseError("it is a database of something else")
    except sqlite3.DatabaseError as problem:
        if connection is not None:
            connection.close()
        raise OSError(f"{path} cannot be the state file: {problem}") from problem
    return connection
