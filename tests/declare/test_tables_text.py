"""CSV and JSON lines: two ways to read CSV with one verdict, and numbers by their text."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from stratctl.core.diagnostic import Diagnostic, Span, in_reading_order
from stratctl.documents import Entries
from stratctl.load.files import Folder
from stratctl.load.tables import AMOUNTS, MEMBERS, csv_text, read_table
from tests.declare.world import shared_workspace

HERE = Span("strategies/founders.yaml", 5, 9)
Answer = tuple[Entries | None, list[Diagnostic]]


def said(answer: Answer) -> tuple[list[tuple[object, ...]], tuple[Diagnostic, ...]]:
    """The rows and the findings of an answer."""
    entries, problems = answer
    return entries.rows.rows("line") if entries else [], in_reading_order(problems)


def read(tmp_path: Path, name: str, text: str) -> tuple[list[tuple[object, ...]], list[str]]:
    """The rows of a text and the codes of its findings."""
    (tmp_path / name).write_bytes(text.encode())
    answer = read_table(Folder(tmp_path), name, MEMBERS, shared_workspace(), HERE)
    rows, problems = said(answer)
    return rows, [found.code for found in problems]


# --- CSV: plainly and strictly ---------------------------------------------------------------

HEADERS = [
    "participant_code,contributed",
    "contributed,participant_code",
    "participant_code,contributed,withdrawn,status,auto_rebalance",
    "participant_code",
    "participant_code,contribted",
    "participant_code,contributed,contributed",
    '"participant_code",contributed',
]
CELLS = st.sampled_from(
    [
        *("CUST01", "CUST02", "ABCDEF", "000000", "cust01", "CUST1", "A B123", " CUST1", "CUST1 "),
        *("1", "0", "12.5", "12.50", "0.00", "1.005", "1.00000000", "1.000000001", "00.10", ".5"),
        *("1.", "-1.00", "+1.00", " 1.00", "1.00 ", "1e3", "1_000", "NaN", "999999999999999.99"),
        *("1000000000000000.00", "9999999999999999.00", "-0.00", "active", "exited", "true"),
        *("false", "TRUE", "NULL", "null", "", "=1", "@A", "#CUST1", "\\N", "\t", '"CUST01"'),
        *('"a""b"', '"', "a\nb", '"a\nb"', "\u0421UST01", "\u200b", "\x00", "\r", "x" * 257),
    ]
)
GOOD = st.tuples(
    st.from_regex("[A-Z0-9]{6}", fullmatch=True), st.from_regex(r"[1-9][0-9]{0,3}\.[0-9]{1,3}")
).map(lambda row: f"{row[0]},{row[1].strip()}")
ROWS = st.one_of(
    st.tuples(st.just(HEADERS[0]), st.lists(GOOD, min_size=1, max_size=6)),
    st.tuples(
        st.sampled_from(HEADERS),
        st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=4),
    ),
)
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", ""])


@given(ROWS, st.sampled_from(["\n", "\n", "\n", "\r\n"]), ENDS)
@settings(max_examples=100)
def test_a_plain_file_is_read_as_every_other_is(
    tmp_path_factory: pytest.TempPathFactory,
    rows: tuple[str, list[str]],
    between: str,
    end: str,
) -> None:
    """Whether the engine splits a file or Python reads it: the same rows, the same findings."""
    header, lines = rows
    folder = tmp_path_factory.mktemp("csv")
    data = (between.join([header, *lines]) + end).encode()
    (folder / "x.csv").write_bytes(data)
    space = shared_workspace()
    with Folder(folder).held("x.csv") as held:
        plain = csv_text._plain(held.stream, "x.csv", MEMBERS)
        split = plain and csv_text._split(held.path, plain, "x.csv", MEMBERS, space)
    event("split" if split else "plain but not split" if plain else "read strictly")
    expected = said(csv_text.read_strictly(data, "x.csv", MEMBERS, space))
    assert said(csv_text.read_csv(Folder(folder), "x.csv", MEMBERS, space)) == expected
    if split:
        assert (split.rows("line"), ()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "participant_code,contributed\nCUST01,1\n",
        "contributed,participant_code\n1.5,CUST01\n2,CUST02",
        "participant_code\nCUST01\nCUST02\n",
        "participant_code,contributed,withdrawn,status\nCUST01,1.00,,\nCUST02,1,1.123,exited\n",
    ],
)
def test_what_programs_write_is_plain(tmp_path: Path, text: str) -> None:
    """The quick way is taken where it should be, and is not a law about nothing."""
    (tmp_path / "x.csv").write_text(text)
    with Folder(tmp_path).held("x.csv") as held:
        plain = csv_text._plain(held.stream, "x.csv", MEMBERS)
        assert plain is not None
        assert csv_text._split(held.path, plain, "x.csv", MEMBERS, shared_workspace())


@pytest.mark.parametrize(
    "rows",
    ["CUST01\nCUST02,1,1\n", "CUST01,1,\nCUST02\n", "CUST01,1,1\nCUST02\n", "CUST01\n,1,1\n"],
)
def test_a_missing_comma_is_not_made_up_for_by_another_row(tmp_path: Path, rows: str) -> None:
    """As many commas as there should be, but not in each row: the lines are named."""
    text = f"participant_code,contributed\n{rows}"
    assert read(tmp_path, "x.csv", text) == ([], ["E_CSV_COLUMNS", "E_CSV_COLUMNS"])


def test_lines_follow_the_place_of_a_row_in_large_files(tmp_path: Path) -> None:
    """Several threads split a file; its rows keep the order in which they stand there."""
    count = 260_000
    head = "contributed,participant_code\n"
    body = "".join(f"{line},P{line:05X}\n" for line in range(2, count + 2))
    (tmp_path / "x.csv").write_text(head + body)
    space = shared_workspace()
    space.run("SET threads = 2")
    entries, problems = read_table(Folder(tmp_path), "x.csv", MEMBERS, space, HERE)
    space.run(f"COPY (SELECT * FROM '{tmp_path}/x.csv') TO '{tmp_path}/x.parquet' (FORMAT parquet)")
    rows, more = read_table(Folder(tmp_path), "x.parquet", MEMBERS, space, HERE)
    space.run("SET threads = 1")
    assert not problems
    assert not more
    assert entries is not None
    assert rows is not None
    differing = "SELECT count(*), count(*) FILTER (contributed <> line + {}) FROM {}"
    assert space.one(differing.format(0, entries.rows)) == (count, 0)
    assert space.one(differing.format(1, rows.rows)) == (count, 0)


def test_mistakes_of_every_kind_share_one_hundred(tmp_path: Path) -> None:
    """Rows of a wrong shape and bad cells are counted together."""
    rows = "CUST01\n" * 80 + "x,1\n" * 80
    (tmp_path / "x.csv").write_text(f"participant_code,contributed\n{rows}")
    _, problems = read_table(Folder(tmp_path), "x.csv", MEMBERS, shared_workspace(), HERE)
    assert [found.code for found in problems] == ["E_CSV_COLUMNS"] * 80 + ["E_CODE_SYNTAX"] * 20
    assert problems[-1].detail.endswith("; and 60 more mistakes in this table")


def test_a_row_that_breaks_its_shape_is_no_header(tmp_path: Path) -> None:
    """When the first line cannot be read, the second is not taken for it."""
    rows = "CUST01,1\nCUST02,2\n"
    header = "participant_code,contributed" + "x" * 300
    assert read(tmp_path, "x.csv", f"{header}\n{rows}") == ([], ["E_CSV_FIELD"])
    assert read(tmp_path, "x.csv", f'"participant_code\n",contributed\n{rows}') == (
        [],
        ["E_CSV_NEWLINE"],
    )


# --- JSON lines ------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.from_regex(r"(0|[1-9][0-9]{0,16})(\.[0-9]{1,10})?", fullmatch=True),
    st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][-+]?[0-9]{1,3})?", fullmatch=True),
)


@given(NUMBERS, st.booleans())
@settings(max_examples=60)
def test_a_number_in_json_lines_is_its_text(
    tmp_path_factory: pytest.TempPathFactory, text: str, quoted: bool
) -> None:
    """Plain or quoted, an amount arrives digit by digit or is refused; a float would round it."""
    written = json.dumps(text) if quoted else text
    line = f'{{"participant_code": "CUST01", "contributed": {written}}}\n'
    rows, codes = read(tmp_path_factory.mktemp("jsonl"), "x.jsonl", line)
    if re.fullmatch(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,8})?", text):
        assert rows == [("CUST01", Decimal(text), None, None, None, 1)]
    else:
        assert (rows, codes) == ([], ["E_AMOUNT_SYNTAX"])


def test_a_number_that_a_float_would_round_arrives_whole(tmp_path: Path) -> None:
    """The canary: the standard reader, left alone, would lose the cents."""
    text = "999999999999999.89"
    assert f"{json.loads(text):.2f}" != text
    line = f'{{"participant_code": "CUST01", "contributed": {text}}}'
    rows, _ = read(tmp_path, "x.ndjson", line)
    assert rows == [("CUST01", Decimal(text), None, None, None, 1)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.lists(JSON.map(json.dumps) | st.text(max_size=12), min_size=1, max_size=4))
@settings(max_examples=60)
def test_whatever_a_line_holds_it_is_answered(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    """None of these is a member, and none of them ends in anything but findings."""
    folder = tmp_path_factory.mktemp("jsonl")
    (folder / "x.jsonl").write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    space = shared_workspace()
    entries, problems = read_table(Folder(folder), "x.jsonl", MEMBERS, space, HERE)
    assert entries is None
    assert problems


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[" * 4000, "E_JSON_SHAPE"),
        ('{"participant_code": "' + "x" * 5000 + '"}', "E_JSON_SHAPE"),
        ('{"participant_code": "' + "x" * 4000 + '"}', "E_CODE_SYNTAX"),
        ('{"participant_code": ' + "9" * 4000 + "}", "E_TABLE_TYPE"),
        ('{"participant_code": "CUST01\\u0000"}', "E_CODE_SYNTAX"),
        ('{"participant_code": "CUST01", "contributed": -Infinity}', "E_JSON_NUMBER"),
    ],
)
def test_lines_made_to_break_a_reader(tmp_path: Path, line: str, code: str) -> None:
    """Nesting, length and escapes end in a finding with the line."""
    good = '{"participant_code": "CUST02"}'
    rows, codes = read(tmp_path, "x.jsonl", f"{good}\n{line}\n")
    assert (rows, codes) == ([], [code])


def test_an_empty_file_of_json_lines_names_nobody(tmp_path: Path) -> None:
    """An empty source is a mistake, never a wish to remove everybody."""
    assert read(tmp_path, "x.jsonl", "\n\n") == ([], ["E_EMPTY_TABLE"])


def test_amounts_of_a_funding_file_may_be_json_lines(tmp_path: Path) -> None:
    """The same reader, with the columns of funding."""
    (tmp_path / "x.jsonl").write_text('{"participant_code": "CUST01", "amount": 10.5}\n')
    made, _ = read_table(Folder(tmp_path), "x.jsonl", AMOUNTS, shared_workspace(), HERE)
    assert made is not None
    assert made.rows.rows() == [("CUST01", Decimal("10.5"), 1)]
