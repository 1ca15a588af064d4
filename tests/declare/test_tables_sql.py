"""Cohorts from databases: read-only, exactly, and without a word about the address."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from stratctl import pipeline
from stratctl.core.diagnostic import Diagnostic, Severity
from stratctl.core.errors import InputError
from stratctl.load import read_project
from stratctl.load.tables import databases
from stratctl.resolve import resolve
from tests.declare import postgresql
from tests.declare.world import BASE, Project, shared_workspace

VARIABLE = "STRATCTL_CONNECTION_WARE_HOUSE"
COHORT = (
    "kind: Cohort\nversion: 1\nname: founders\nstrategy: blue-chip\n"
    "source:\n  connection: ware-house\n  sql: |\n    {}\n"
)
MEMBERS = "SELECT participant_code, contributed FROM founders ORDER BY participant_code"
PROJECT = BASE["stratctl.yaml"] + "connections: [ware-house]\n"


@dataclass(frozen=True)
class Database:
    """A database with a table ``founders``, and how to fill and look at it."""

    kind: str
    address: str
    run: Callable[..., None]
    one: Callable[[str], object]


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    """One server for all tests of a worker."""
    with postgresql.running() as running:
        yield running


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Each kind of database in turn, with two founders."""
    made = {"sqlite": _sqlite, "duckdb": _duckdb}.get(request.param)
    if made is not None:
        found = made(tmp_path / "outside.db")
    else:
        started: postgresql.Server = request.getfixturevalue("server")
        found = Database("postgresql", started.address(), started.run, started.one)
    amount = "INTEGER" if request.param == "sqlite" else "NUMERIC(17,2)"
    found.run(
        "DROP TABLE IF EXISTS founders",
        f"CREATE TABLE founders (participant_code VARCHAR(9), contributed {amount})",
        "INSERT INTO founders VALUES ('CUST02', 250), ('CUST01', 15000)",
    )
    return found


def _sqlite(path: Path) -> Database:
    def run(*statements: str) -> None:
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    def one(sql: str) -> object:
        connection = sqlite3.connect(path)
        (value,) = connection.execute(sql).fetchone()
        connection.close()
        return value

    return Database("sqlite", f"sqlite:{path}", run, one)


def _duckdb(path: Path) -> Database:
    def run(*statements: str) -> None:
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)

    def one(sql: str) -> object:
        with duckdb.connect(str(path), read_only=True) as connection:
            row = connection.execute(sql).fetchone()
        assert row is not None
        value: object = row[0]
        return value

    return Database("duckdb", f"duckdb:{path}", run, one)


def asked(
    tmp_path: Path, sql: str, address: str | None
) -> tuple[list[tuple[object, ...]], str, list[Diagnostic]]:
    """Codes and totals, the digest, and the findings, when a cohort asks this of that address."""
    indented = sql.replace("\n", "\n    ")
    files = {"stratctl.yaml": PROJECT, "strategies/founders.yaml": COHORT.format(indented)}
    Project(tmp_path / "project", dict(files))
    environ = {} if address is None else {VARIABLE: address}
    workspace = shared_workspace()
    documents = read_project(tmp_path / "project", None, workspace, environ=environ)
    try:
        desired = resolve(documents, None, workspace).desired
    except InputError as error:
        return [], "", list(error.diagnostics)
    rows = workspace.rows(
        f"SELECT participant_code, contributed_minor, exited, auto_rebalance FROM {desired.rows} "
        "ORDER BY participant_code"
    )
    return rows, desired.digest, list(desired.warnings)


def codes(found: list[Diagnostic]) -> list[str]:
    """The codes of findings."""
    return [one.code for one in found]


def test_members_come_from_a_database(tmp_path: Path, database: Database) -> None:
    """The address is in the environment, columns have names, a semicolon may end it."""
    rows, _, found = asked(tmp_path, f"{MEMBERS};", database.address)
    assert found == []
    assert rows == [("CUST01", 1500000, False, True), ("CUST02", 25000, False, True)]


def test_every_column_is_understood(tmp_path: Path, database: Database) -> None:
    """Swapped, with a status and a flag, and NULL for what is not said."""
    yes = "1" if database.kind == "sqlite" else "true"
    sql = (
        f"SELECT {yes} AS auto_rebalance, 'exited' AS status, '1.50' AS withdrawn, "
        "'999999999999999.89' AS contributed, 'CUST07' AS participant_code "
        "UNION ALL SELECT NULL, NULL, NULL, '2', 'CUST08'"
    )
    rows, _, found = asked(tmp_path, sql, database.address)
    assert found == []
    assert rows == [("CUST07", 999_999_999_999_999_89, True, True), ("CUST08", 200, False, True)]


def test_a_binary_float_is_refused(tmp_path: Path, database: Database) -> None:
    """It does not hold cents, whatever it shows."""
    kind = "REAL" if database.kind == "sqlite" else "DOUBLE PRECISION"
    sql = f"SELECT 'CUST01' AS participant_code, CAST(0.1 AS {kind}) AS contributed"
    _, _, found = asked(tmp_path, sql, database.address)
    assert codes(found) == ["E_TABLE_TYPE"]
    assert "contributed" in found[0].detail


def test_a_code_that_is_a_number_is_refused(tmp_path: Path, database: Database) -> None:
    """It has lost its zeros."""
    sql = "SELECT 123456 AS participant_code, 1 AS contributed"
    _, _, found = asked(tmp_path, sql, database.address)
    assert codes(found) == ["E_TABLE_TYPE"]


def test_findings_name_the_row_and_stop_at_a_hundred(tmp_path: Path, database: Database) -> None:
    """There are no lines: the place is the query, and the number of the row is in words."""
    bad = " UNION ALL ".join(f"SELECT {n}, 'x' AS participant_code" for n in range(130))
    sql = f"SELECT participant_code, 5 AS contributed FROM ({bad}) AS many"
    _, _, found = asked(tmp_path, sql, database.address)
    assert codes(found) == ["E_CODE_SYNTAX"] * 100
    assert any("in row 1 of the query of founders is 'x'" in one.detail for one in found)
    assert [one for one in found if one.detail.endswith("; and 30 more mistakes in this table")]
    assert {str(one.span) for one in found} == {"strategies/founders.yaml:7:8"}


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO founders VALUES ('CUST03', 1)",
        "INSERT INTO founders VALUES ('CUST03', 1) RETURNING participant_code, contributed",
        "DELETE FROM founders RETURNING participant_code, contributed",
        "DROP TABLE founders",
        f"{MEMBERS}; DROP TABLE founders",
        f"{MEMBERS}; COMMIT; DROP TABLE founders",
        "SELECT 1) TO PROGRAM 'touch /tmp/stratctl-was-here' --",
        "SELECT 1) AS a; DROP TABLE founders; SELECT * FROM (SELECT 1",
        "COPY founders TO '/tmp/stratctl-was-here'",
        "ATTACH '/tmp/stratctl-was-here' AS other",
        "SET TRANSACTION READ WRITE",
        "PRAGMA query_only = 0",
        "CREATE TEMP TABLE copies AS SELECT 1 AS a",
        "SELECT 1 AS participant_code /*",
        "nonsense",
        "SELECT participant_code FROM nowhere",
        "SELECT 1 AS a, 2 AS a",
    ],
)
def test_nothing_but_one_select_is_run(tmp_path: Path, database: Database, sql: str) -> None:
    """Whatever is written there, it is answered, and the table is what it was."""
    rows, _, found = asked(tmp_path, sql, database.address)
    assert rows == []
    assert codes(found) == ["E_SQL"]
    assert database.one("SELECT count(*) FROM founders") == 2
    assert not Path("/tmp/stratctl-was-here").exists()


def test_a_query_on_duckdb_reads_no_other_file(tmp_path: Path) -> None:
    """The address names the database; a query does not choose files."""
    database = _duckdb(tmp_path / "outside.db")
    database.run("CREATE TABLE founders (participant_code VARCHAR)")
    (tmp_path / "other.csv").write_text("participant_code\nCUST01\n")
    _, _, found = asked(tmp_path, f"SELECT * FROM '{tmp_path}/other.csv'", database.address)
    assert codes(found) == ["E_SQL"]


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_query_without_an_end_is_stopped(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan does not wait for ever."""
    monkeypatch.setattr(databases, "QUERY_SECONDS_MAX", 0.3)
    sql = f"SELECT 'CUST01' AS participant_code, (SELECT max(i) FROM ({ENDLESS}) AS t(i)) AS n"
    if database.kind == "sqlite":
        sql = ENDLESS
    elif database.kind == "postgresql":
        sql = "SELECT 'CUST01' AS participant_code, pg_sleep(60)::text AS status"
    _, _, found = asked(tmp_path, sql, database.address)
    assert codes(found) == ["E_SQL"]


# --- what binds -------------------------------------------------------------------------------


def test_the_digest_is_that_of_the_rows(tmp_path: Path, database: Database) -> None:
    """A plan is bound to the rows that it read: their order is no part of it, each value is."""
    _, first, _ = asked(tmp_path, MEMBERS, database.address)
    database.run("DELETE FROM founders WHERE participant_code = 'CUST02'")
    database.run("INSERT INTO founders VALUES ('CUST02', 250)")
    _, again, _ = asked(tmp_path, MEMBERS, database.address)
    database.run("UPDATE founders SET contributed = 251 WHERE participant_code = 'CUST02'")
    _, changed, _ = asked(tmp_path, MEMBERS, database.address)
    assert first == again != changed


def test_validating_connects_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it has not read, and finds what can be found without."""
    monkeypatch.setenv(VARIABLE, "duckdb:/nowhere")
    files = {"stratctl.yaml": PROJECT, "strategies/founders.yaml": COHORT.format(MEMBERS)}
    project = Project(tmp_path, dict(files))
    (found,) = pipeline.validate(tmp_path, environment=None).desired.warnings
    assert (found.code, found.severity) == ("W_NOT_READ", Severity.WARNING)
    project.write("stratctl.yaml", BASE["stratctl.yaml"])
    assert project.codes() == ["E_UNKNOWN_CONNECTION"]


# --- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (None, "STRATCTL_CONNECTION_WARE_HOUSE is not set"),
        ("", "STRATCTL_CONNECTION_WARE_HOUSE is not set"),
        ("mysql://u:s3cret-word@db/x", "no known kind"),
        ("s3cret-word", "no known kind"),
        ("sqlite:s3cret-word.db", "no SQLite file"),
        ("duckdb:s3cret-word.db", "cannot be opened"),
        ("postgresql://u:s3cret-word@127.0.0.1:1/x", "cannot be reached"),
        ("postgresql://u:s3cret-word@127.0.0.1:99999999/x", "cannot be reached"),
        ("postgresql://u@/x?password=s3cret-word&nonsense=1", "cannot be reached"),
    ],
)
def test_an_address_that_cannot_be_used_is_never_shown(
    tmp_path: Path, address: str | None, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither in the finding nor beside it, however broken it is."""
    _, _, found = asked(tmp_path, MEMBERS, address)
    assert codes(found) == ["E_CONNECTION"]
    assert said in found[0].detail
    assert str(found[0].span) == "strategies/founders.yaml:6:15"
    shown = [repr(found), *capfd.readouterr()]
    assert not any("s3cret-word" in text or "127.0.0.1" in text for text in shown)


def test_a_refused_login_does_not_show_the_password(
    tmp_path: Path, server: postgresql.Server
) -> None:
    """What the driver says about it is not repeated."""
    address = server.address(password="s3cret-word")
    _, _, found = asked(tmp_path, MEMBERS, address)
    assert codes(found) == ["E_CONNECTION"]
    assert "s3cret-word" not in repr(found)
    assert str(server.folder) not in repr(found)


def test_without_its_driver_postgresql_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra: who does not need it does not install it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    _, _, found = asked(tmp_path, MEMBERS, "postgresql://127.0.0.1:1/x")
    assert codes(found) == ["E_CONNECTION"]
    assert found[0].hint == "pip install 'stratctl[postgres]'"


def test_a_file_of_another_kind_is_answered(tmp_path: Path) -> None:
    """What is no database is refused when it is asked."""
    (tmp_path / "text.db").write_text("nonsense " * 100)
    for kind, code in (("sqlite", "E_SQL"), ("duckdb", "E_CONNECTION")):
        _, _, found = asked(tmp_path, MEMBERS, f"{kind}:{tmp_path}/text.db")
        assert codes(found) == [code]


def test_paths_of_addresses_begin_at_the_project(tmp_path: Path) -> None:
    """A database beside the project is found from wherever stratctl is started."""
    (tmp_path / "project").mkdir()
    database = _sqlite(tmp_path / "project" / "book.db")
    database.run(
        "CREATE TABLE founders (participant_code, contributed)",
        "INSERT INTO founders VALUES ('CUST01', '10.50')",
    )
    rows, _, _ = asked(tmp_path, MEMBERS, "sqlite:book.db")
    assert rows == [("CUST01", 1050, False, True)]


# --- text -------------------------------------------------------------------------------------


def test_text_that_is_not_utf8_is_answered(tmp_path: Path, server: postgresql.Server) -> None:
    """A database without an encoding hands out any bytes."""
    server.run("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
    sql = r"SELECT E'\xff' || 'UST01' AS participant_code, 1 AS contributed"
    _, _, found = asked(tmp_path, sql, server.address("bytes"))
    assert codes(found) == ["E_SQL"]
    assert "invalid byte sequence" in found[0].detail


def test_sqlite_hands_out_what_it_holds(tmp_path: Path) -> None:
    """Bytes, text that is not UTF-8 and flags that are none end in findings with their rows."""
    database = _sqlite(tmp_path / "outside.db")
    database.run("CREATE TABLE t (a)")
    sql = (
        "SELECT CAST(x'ff5553543031' AS TEXT) AS participant_code, 1 AS auto_rebalance "
        "UNION ALL SELECT x'435553543031', 1 UNION ALL SELECT 'CUST03', 2 "
        "UNION ALL SELECT 'CUST04', 0 UNION ALL SELECT 'CUST05', NULL"
    )
    _, _, found = asked(tmp_path, sql, database.address)
    assert codes(found) == ["E_CODE_SYNTAX", "E_TABLE_TYPE", "E_TABLE_TYPE"]


def test_an_answer_without_rows_is_a_mistake(tmp_path: Path, database: Database) -> None:
    """An empty source names nobody, and nobody is never everybody sold."""
    database.run("DELETE FROM founders")
    _, _, found = asked(tmp_path, MEMBERS, database.address)
    assert codes(found) == ["E_EMPTY_TABLE"]


def test_amounts_arrive_digit_by_digit(tmp_path: Path, database: Database) -> None:
    """As text, and where the database has decimals as decimals."""
    exact = "'123456789012345.67'" if database.kind == "sqlite" else "123456789012345.67"
    sql = f"SELECT 'CUST01' AS participant_code, {exact} AS contributed"
    rows, _, _ = asked(tmp_path, sql, database.address)
    assert [Decimal(str(row[1])) for row in rows] == [Decimal(12345678901234567)]
