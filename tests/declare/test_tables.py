"""Tables: CSV and Parquet into exact columns, with every bad cell named."""

from __future__ import annotations

import csv
import io
import re
import time
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.diagnostic import Span
from stratctl.core.money import NotExact, parse_amount, parse_units
from stratctl.core.tables import Workspace
from stratctl.load.files import Folder
from stratctl.load.tables import MEMBERS, read_table
from stratctl.load.tables.csv_text import column_of
from tests.declare.world import Project, shared_workspace

HERE = Span("strategies/founders.yaml", 5, 9)
FOUNDERS = "kind: Cohort\nversion: 1\nname: founders\nstrategy: blue-chip\nsource: {file: x.%s}\n"


def read(tmp_path: Path, name: str) -> tuple[list[tuple[object, ...]], list[str]]:
    """The rows of a file and the codes of its findings."""
    made, problems = read_table(Folder(tmp_path), name, MEMBERS, shared_workspace(), HERE)
    rows = made.rows.rows("line") if made else []
    return rows, [found.code for found in problems]


def test_csv_columns_are_matched_by_name(tmp_path: Path) -> None:
    """Swapped columns do not swap money in and money out, as matching by position would."""
    text = "withdrawn,participant_code,contributed\n1.00,CUST01,15000.00\n"
    (tmp_path / "x.csv").write_text(text)
    assert read(tmp_path, "x.csv") == (
        [("CUST01", Decimal("15000.00"), Decimal("1.00"), None, None, 2)],
        [],
    )
    types = "{'participant_code': 'VARCHAR', 'contributed': 'VARCHAR', 'withdrawn': 'VARCHAR'}"
    sql = f"SELECT participant_code FROM read_csv('{tmp_path}/x.csv', columns = {types})"
    ((by_position,),) = shared_workspace().rows(sql)
    assert by_position == "1.00", "the canary: the engine would swap the columns"


def test_csv_accepts_what_people_and_programs_write(tmp_path: Path) -> None:
    """CRLF, quotes, empty cells for what is not said, empty lines at the end, no final newline."""
    text = (
        "participant_code,contributed,withdrawn,status,auto_rebalance\r\n"
        '"CUST01","15000.00",,,\r\nCUST02,1,0,exited,false'
    )
    (tmp_path / "x.csv").write_bytes(text.encode())
    (tmp_path / "y.csv").write_bytes(f"{text}\r\n\r\n\r\n".encode())
    expected = [
        ("CUST01", Decimal("15000.00"), None, None, None, 2),
        ("CUST02", Decimal(1), Decimal(0), True, False, 3),
    ]
    assert read(tmp_path, "x.csv") == (expected, [])
    assert read(tmp_path, "y.csv") == (expected, [])


def test_a_header_of_many_columns_is_answered_shortly_and_soon(tmp_path: Path) -> None:
    """The first of them with their places, then how many there are; not one finding for each."""
    names = [f'"c{number}"' for number in range(10_000)]
    (tmp_path / "x.csv").write_text(",".join(names) + "\n")
    begun = time.process_time()
    _, found = read_table(Folder(tmp_path), "x.csv", MEMBERS, shared_workspace(), HERE)
    assert time.process_time() - begun < 1.0
    assert [str(one.span) for one in found[:3]] == ["x.csv:1:1", "x.csv:1:6", "x.csv:1:11"]
    assert len(found) == 21
    assert found[-1].detail == "it has 10,000 columns, and more of them are wrong"


CODE = st.sampled_from(["CUST01", "cust01", "CUST1", "", "\u0421UST01", "=CMD()", "12345E", "A,B"])
AMOUNT = st.one_of(
    st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(
        ["", " 7", "1e3", "1_000", "1,5", "-1", "+1", "NaN", "\uff11\uff12", "1.000000000"]
    ),
)


@given(rows=st.lists(st.tuples(CODE, AMOUNT), min_size=1, max_size=5))
@settings(max_examples=100)
def test_csv_is_read_exactly_or_answered(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    """Whatever the cells are, either each arrives as it was written, or there is a finding."""
    folder = tmp_path_factory.mktemp("csv")
    stream = io.StringIO()
    csv.writer(stream).writerows([("participant_code", "contributed"), *rows])
    (folder / "x.csv").write_bytes(stream.getvalue().encode())
    read_rows, codes = read(folder, "x.csv")
    if not codes:
        assert [row[:2] for row in read_rows] == [(c, Decimal(a)) for c, a in rows]
        assert all(row[0] == "CUST01" or row[0] == "12345E" for row in read_rows)
    else:
        assert not read_rows


@given(st.text("0123456789.eE+-_ ,", max_size=12))
@settings(max_examples=100)
def test_the_amounts_of_tables_are_those_of_the_money_grammar(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """What a table lets through, the one door for money takes too."""
    folder = tmp_path_factory.mktemp("csv")
    quoted = '"' + text + '"'
    (folder / "x.csv").write_text(f"participant_code,contributed\nCUST01,{quoted}\n")
    rows, codes = read(folder, "x.csv")
    exact = re.fullmatch(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,8})?", text) is not None
    assert (rows[0][1] if rows else None) == (Decimal(text) if exact else None)
    assert bool(codes) is not exact
    if exact and len(text.partition(".")[2].rstrip("0")) <= 2:
        assert parse_amount(text, "USD") * 100 == parse_units(text, 4)
    elif exact or len(text.partition(".")[2]) <= 8:
        with pytest.raises(NotExact):
            parse_amount(text, "USD")


def parquet(tmp_path: Path, sql: str) -> tuple[list[tuple[object, ...]], list[str]]:
    """Read a Parquet file made by a query."""
    duckdb.sql(f"COPY ({sql}) TO '{tmp_path}/x.parquet' (FORMAT parquet)")
    return read(tmp_path, "x.parquet")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1234567890123.45::DECIMAL(18,2)", "1234567890123.45"),
        ("15000.10::DECIMAL(9,4)", "15000.1000"),
        ("15000::BIGINT", "15000"),
        ("15000::UINTEGER", "15000"),
        ("'15000.10'", "15000.10"),
    ],
)
def test_exact_parquet_types_keep_their_text(tmp_path: Path, amount: str, text: str) -> None:
    """Decimals, integers and text arrive digit by digit."""
    rows, codes = parquet(tmp_path, f"SELECT 'CUST01' AS participant_code, {amount} AS contributed")
    assert codes == []
    assert rows == [("CUST01", Decimal(text), None, None, None, 1)]


@pytest.mark.parametrize(
    "columns",
    [
        "'CUST01' AS participant_code, 15000.1::DOUBLE AS contributed",
        "'CUST01' AS participant_code, 15000.1::FLOAT AS contributed",
        "123456 AS participant_code, 15000 AS contributed",
        "'CUST01'::BLOB AS participant_code, 15000 AS contributed",
        "'CUST01' AS participant_code, 15000 AS contributed, 'true' AS auto_rebalance",
        "'CUST01' AS participant_code, 15000 AS contributed, 1 AS status",
        "'CUST01' AS participant_code, DATE '2026-01-01' AS contributed",
    ],
)
def test_parquet_types_that_lose_or_hide_values_are_refused(tmp_path: Path, columns: str) -> None:
    """A binary float never holds cents, and a number never held a code."""
    assert parquet(tmp_path, f"SELECT {columns}") == ([], ["E_TABLE_TYPE"])


def test_a_hugeint_becomes_a_double_in_parquet_and_is_refused(tmp_path: Path) -> None:
    """Engines write sums of BIGINT as DOUBLE without a word; the reader notices."""
    sql = "SELECT 'CUST01' AS participant_code, sum(15000::BIGINT) AS contributed"
    assert parquet(tmp_path, sql) == ([], ["E_TABLE_TYPE"])


@pytest.mark.parametrize(
    ("columns", "codes"),
    [
        ("'CUST01' AS participant_code, 1 AS contributed, 2 AS more", ["E_TABLE_COLUMNS"]),
        ("1 AS contributed", ["E_TABLE_COLUMNS"]),
        ("NULL::VARCHAR AS participant_code", ["E_CODE_SYNTAX"]),
        ("'CUST01' || chr(10) AS participant_code", ["E_CODE_SYNTAX"]),
        ("'CUST01' AS participant_code, NULL::BIGINT AS contributed", ["E_AMOUNT_MISSING"]),
        ("'CUST01' AS participant_code, -5 AS contributed", ["E_AMOUNT_SYNTAX"]),
        ("'CUST01' AS participant_code, '' AS withdrawn", ["E_AMOUNT_SYNTAX"]),
        ("'CUST01' AS participant_code, 'gone' AS status", ["E_TABLE_STATUS"]),
        ("'CUST01' AS participant_code WHERE false", ["E_EMPTY_TABLE"]),
    ],
)
def test_bad_parquet_rows_and_columns(tmp_path: Path, columns: str, codes: list[str]) -> None:
    """The same grammars as everywhere, checked in columns."""
    assert parquet(tmp_path, f"SELECT {columns}") == ([], codes)


def test_a_finding_in_parquet_names_the_row(tmp_path: Path) -> None:
    """There are no lines, so the row is in words and the place is the file."""
    Project(tmp_path, {"strategies/founders.yaml": FOUNDERS % "parquet"})
    project = Project(tmp_path, {"strategies/founders.yaml": FOUNDERS % "parquet"})
    project.parquet(
        "strategies/x.parquet",
        "SELECT unnest(['CUST01', 'bad', 'CUST03']) AS participant_code, 1 AS contributed",
    )
    (found,) = project.says()
    assert str(found.span) == "strategies/x.parquet"
    assert "in row 2 of strategies/x.parquet is 'bad'" in found.detail


def test_what_is_not_parquet_is_answered(tmp_path: Path) -> None:
    """The engine's error becomes a finding, without the machine's path."""
    Project(tmp_path, {"strategies/founders.yaml": FOUNDERS % "parquet"})
    (tmp_path / "strategies/x.parquet").write_text("nonsense")
    project = Project(tmp_path, {"strategies/founders.yaml": FOUNDERS % "parquet"})
    (found,) = project.says()
    assert found.code == "E_TABLE_FORMAT"
    assert str(tmp_path) not in found.detail


def test_a_file_name_is_never_a_pattern(tmp_path: Path) -> None:
    """A folder called a[1] holds one file, not whatever matches."""
    folder = tmp_path / "a[1]*?"
    folder.mkdir()
    duckdb.sql("CREATE OR REPLACE TABLE t AS SELECT 'CUST01' AS participant_code")
    duckdb.sql(f"COPY t TO '{folder}/x.parquet' (FORMAT parquet)")
    made, problems = read_table(Folder(tmp_path), "a[1]*?/x.parquet", MEMBERS, Workspace(), HERE)
    assert problems == []
    assert made is not None
    assert len(made.rows) == 1


def test_bad_cells_are_shown_up_to_a_hundred_with_the_number_of_the_rest(tmp_path: Path) -> None:
    """A ruined file of a million rows does not become a million findings."""
    project = Project(tmp_path, {"strategies/founders.yaml": FOUNDERS % "csv"})
    rows = "".join(f"C{n:05d},x\n" for n in range(150))
    project.write("strategies/x.csv", f"participant_code,contributed\n{rows}")
    found = project.says()
    assert len(found) == 100
    assert "; and 50 more mistakes in this table" in found[-1].detail


@given(st.lists(st.text('a," =;é', max_size=4), min_size=1, max_size=5), st.booleans())
def test_a_finding_stands_where_its_cell_begins(texts: list[str], always_quoted: bool) -> None:
    """Whatever is quoted before it, the column of a cell is where its own text begins."""
    line = io.StringIO()
    how = csv.excel()
    how.lineterminator = ""
    how.quoting = csv.QUOTE_ALL if always_quoted else csv.QUOTE_MINIMAL
    csv.writer(line, how).writerow(texts)
    for cell, text in enumerate(texts):
        rest = line.getvalue()[column_of(line.getvalue(), cell) - 1 :]
        assert (next(csv.reader([rest], strict=True)) or [""]) == texts[cell:], text


def test_bad_inline_rows_are_shown_up_to_a_hundred_with_the_number_of_the_rest(
    tmp_path: Path,
) -> None:
    """The same for a list inside a document."""
    rows = "".join(f"  - {{participant_code: C{n:05d}, contributed: x}}\n" for n in range(150))
    head = "kind: Cohort\nversion: 1\nname: founders\nstrategy: blue-chip\nparticipants:\n"
    found = Project(tmp_path, {"strategies/founders.yaml": head + rows}).says()
    assert len(found) == 100
    assert "50 more rows of this list not looked at" in found[-1].detail


def test_a_hundred_thousand_rows_of_parquet_take_well_under_two_seconds(tmp_path: Path) -> None:
    """Columns in, columns out: read, checked and resolved."""
    project = Project(tmp_path, {"strategies/founders.yaml": FOUNDERS % "parquet"})
    project.parquet(
        "strategies/x.parquet",
        "SELECT 'P' || lpad(printf('%X', i), 5, '0') AS participant_code, "
        "CAST(i + 100 AS DECIMAL(18,2)) AS contributed FROM range(100000) t(i)",
    )
    begun = time.process_time()
    assert len(project.declare().desired.rows) == 100_000
    assert time.process_time() - begun < 2.0


def test_ten_thousand_inline_rows_take_well_under_a_second(tmp_path: Path) -> None:
    """Only rows that look wrong are looked at closely."""
    rows = "".join(
        f"  - {{participant_code: P{n:05d}, contributed: 10.50}}\n" for n in range(10_000)
    )
    head = "kind: Cohort\nversion: 1\nname: founders\nstrategy: blue-chip\nparticipants:\n"
    project = Project(tmp_path, {"strategies/founders.yaml": head + rows})
    begun = time.process_time()
    assert len(project.declare().desired.rows) == 10_000
    assert time.process_time() - begun < 1.0
