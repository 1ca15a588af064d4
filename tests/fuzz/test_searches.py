"""The searches find what is planted: each oracle refuses a misreading, each limit an excess."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.money import parse_amount
from stratctl.documents import Node, problem
from stratctl.load.yaml import read_yaml
from tests.declare.world import ROOT
from tests.fuzz import oracles
from tests.fuzz.findings import minimised, trouble
from tests.fuzz.limits import Costly, within_limits
from tests.fuzz.run import Search, as_logged, words
from tests.fuzz.shaped import turn
from tests.fuzz.shapes import SHAPES
from tests.fuzz.targets import GROWN_BYTES, Target, as_input, files_of, grown

LINES = {"f.yaml": ("key: 010", "other: 2")}
GOOD = problem("E_TEXT", "it is empty", Span("f.yaml", 2, 3), "write it")


def target(check: Callable[[bytes], object]) -> Target:
    """A target with a check of its own."""

    def planted(data: bytes) -> None:
        oracles.demand(check(data), "a planted promise")

    return Target("planted", planted, lambda: iter(()), 99)


def test_a_sound_finding_is_let_through() -> None:
    """What the next test refuses is what it says, and not everything."""
    oracles.findings_are_sound([GOOD], LINES, column_min=1)


@pytest.mark.parametrize(
    "found",
    [
        Diagnostic("E_NEW", GOOD.summary, GOOD.detail, GOOD.hint, GOOD.span),
        Diagnostic(GOOD.code, "other words", GOOD.detail, GOOD.hint, GOOD.span),
        Diagnostic(GOOD.code, GOOD.summary, GOOD.detail, "", GOOD.span),
        Diagnostic(GOOD.code, GOOD.summary, GOOD.detail, GOOD.hint, None),
        problem("E_TEXT", "", Span("f.yaml", 3, 1), "write it"),
        problem("E_TEXT", "", Span("f.yaml", 2, 10), "write it"),
        problem("E_TEXT", "", Span("f.yaml", 2, 0), "write it"),
        problem("E_TEXT", "", Span("f.yaml", 0, 2), "write it"),
        problem("E_TEXT", "", Span("g.yaml", 1, 1), "write it"),
    ],
)
def test_a_finding_that_leads_nowhere_is_refused(found: Diagnostic) -> None:
    """An unknown code, other words, no way out, and places that are not there."""
    with pytest.raises(oracles.Wrong):
        oracles.findings_are_sound([found], LINES, column_min=1)


def test_more_findings_than_anybody_reads_are_refused() -> None:
    """Every reader stops somewhere."""
    with pytest.raises(oracles.Wrong, match="few enough"):
        oracles.findings_are_sound([GOOD] * 1_001, LINES)


@pytest.mark.parametrize("shown", ["\x1b[2J", "a\rb", "\u202e", "\u200b", "\u2028", "\x85"])
def test_text_that_acts_on_the_reader_is_refused(shown: str) -> None:
    """Escapes, carriage returns, direction, invisible blanks and other line breaks."""
    oracles.nothing_acts("lines\nof text\n")
    with pytest.raises(oracles.Wrong):
        oracles.nothing_acts(shown)


def test_silence_is_refused() -> None:
    """Nothing read and nothing said is the worst answer; a warning does not change it."""
    with pytest.raises(oracles.Wrong):
        oracles.answered([], [])
    oracles.answered([], [GOOD])
    oracles.answered(["document"], [])


@pytest.mark.parametrize("misread", [8, "10", "010 ", None])
def test_a_scalar_that_is_misread_is_refused(misread: object) -> None:
    """The octal number that an ordinary reader makes of 010, and texts that are nearly the same."""
    document = read_yaml(b"key: 010\n", "f.yaml").documents[0]
    oracles.same_as_a_plain_reader([document], "key: 010\n")
    document["key"] = misread
    with pytest.raises(oracles.Wrong):
        oracles.same_as_a_plain_reader([document], "key: 010\n")


def test_documents_that_are_lost_or_without_a_place_are_refused() -> None:
    """A value that another reader sees is there, and everything has its place."""
    with pytest.raises(oracles.Wrong):
        oracles.same_as_a_plain_reader([], "key: 1\n")
    with pytest.raises(oracles.Wrong):
        oracles.same_as_a_plain_reader(read_yaml(b"a: 2\n", "f.yaml").documents, "a: 1\na: 2\n")
    lost = Node((1, 1))
    lost["key"] = "1"
    with pytest.raises(oracles.Wrong):
        oracles.places_are_complete(lost, ("key: 1",))
    lost.key_places["key"], lost.value_places["key"] = (1, 1), (2, 6)
    with pytest.raises(oracles.Wrong):
        oracles.places_are_complete(lost, ("key: 1",))


COLUMNS = ("participant_code", "contributed", "withdrawn", "status", "auto_rebalance")


def test_another_reader_of_csv_matches_columns_by_name() -> None:
    """Money in and money out are not swapped with their columns; doubtful files have no rows."""
    swapped = "withdrawn,participant_code,contributed\n1,CUST01,2.50\n\n"
    row = ("CUST01", Decimal("2.50"), Decimal(1), None, None, 2)
    assert oracles.rows_of_csv(swapped, COLUMNS) == [row]
    head = "participant_code,contributed\n"
    for doubtful in ("", "CUST01\n", "CUST01,\n", "CUST01,01\n", "cust01,1\n", '"CUST01,1\n', "\r"):
        assert oracles.rows_of_csv(head + doubtful, COLUMNS) is None
    assert oracles.rows_of_csv("participant_code,more\nCUST01,1\n", COLUMNS) is None
    assert oracles.rows_of_csv("contributed\n1\n", COLUMNS) is None


def test_another_reader_of_json_lines_keeps_the_text_of_numbers() -> None:
    """Cents are not lost to a float; doubtful files have no rows."""
    good = '{"participant_code": "CUST01", "contributed": 123456789012345.67, "status": "exited"}'
    row = ("CUST01", Decimal("123456789012345.67"), None, True, None, 1)
    assert oracles.rows_of_json_lines(good, COLUMNS) == [row]
    for doubtful in (
        '{"participant_code": "CUST01", "contributed": 1e3}',
        '{"participant_code": "CUST01", "contributed": 1, "contributed": 1}',
        '{"participant_code": "CUST01", "more": 1}',
        '{"participant_code": 123456}',
        '{"participant_code": "CUST01", "auto_rebalance": "true"}',
        '{"participant_code": "CUST01", "contributed": [1]}',
        '{"contributed": 1}',
        "[]",
        "",
    ):
        assert oracles.rows_of_json_lines(doubtful, COLUMNS) is None


@pytest.mark.parametrize(("units", "shown"), [(10, "0.1 "), (10, "0.10000001"), (11, "0.1")])
def test_an_amount_that_is_written_inexactly_is_refused(units: int, shown: str) -> None:
    """To the last digit, and plainly."""
    oracles.written_out(10, 2, "0.1")
    with pytest.raises(oracles.Wrong):
        oracles.written_out(units, 2, shown)


def test_what_takes_too_long_is_refused() -> None:
    """By the processor's time."""

    def slow() -> None:
        begun = time.process_time()
        while time.process_time() - begun < 0.02:
            pass

    within_limits(slow)
    with pytest.raises(Costly, match="of the processor"):
        within_limits(slow, seconds_max=0.01)

    def refuses() -> None:
        slow()
        raise ValueError("an answer of another kind")

    with pytest.raises(ValueError, match="another kind"):
        within_limits(refuses)
    with pytest.raises(Costly):
        within_limits(refuses, seconds_max=0.01)


def test_what_takes_too_much_memory_is_refused() -> None:
    """Beyond what the process held at its peak before: here in a process of its own."""
    program = (
        "from tests.fuzz.limits import Costly, within_limits\n"
        "within_limits(lambda: b'x' * (32 << 20))\n"
        "try:\n    within_limits(lambda: b'x' * (96 << 20), memory_max_mib=32)\n"
        "except Costly as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"a reading took \d+ MiB of memory\n", run.stdout)


def test_a_search_finds_a_planted_misreading_and_makes_it_small() -> None:
    """Cents that a binary float loses, among amounts that it does not lose."""

    def by_float(data: bytes) -> bool:
        text = data.decode()
        if not re.fullmatch(r"[1-9][0-9]{0,14}\.[0-9]{2}", text, re.ASCII):
            return True
        return int(float(text) * 100) == parse_amount(text, "USD")

    tried, smallest = turn(target(by_float), SHAPES["amount"], (), math.inf, number=1)
    assert tried
    assert smallest.keys() == {"a-planted-promise"}
    assert len(smallest["a-planted-promise"]) <= 5
    _, again = turn(target(by_float), SHAPES["amount"], smallest, math.inf, number=1)
    assert not again, "what is known is not looked for again"


def test_a_crash_is_trouble_with_a_name_and_is_made_small() -> None:
    """Whatever escapes is named by its type and the function that it left."""

    def crash(data: bytes) -> bool:
        return b"x" not in data or parse_amount(7, "USD") == 7  # type: ignore[arg-type]  # a planted crash

    found = trouble(target(crash), b"some long line")
    assert found is None
    found = trouble(target(crash), b"some xtra line")
    assert found is not None
    assert found.name == "typeerror-money-parse-units"
    assert minimised(target(crash), b"some xtra line" * 9, found.name) == b"x"


def test_files_travel_through_one_input() -> None:
    """A project is one input, and what a name could reach outside of it is left out."""
    files = {"strategies/a.yaml": b"a: 1\n", "policy.yaml": b""}
    assert files_of(as_input(files)) == files
    assert files_of(b"text\n### strategies/../../x\nmore\n") == {
        "strategies/fuzzed.yaml": b"text\n"
    }


def test_a_grown_file_repeats_its_unit_up_to_the_limit() -> None:
    """With a number for each turn where one is asked for."""
    assert grown(b"head\x1e\x1etail") == b"headtail"
    made = grown(b"a:\n\x1e- \x1f\n\x1eend")
    assert made.startswith(b"a:\n- 00000\n- 00001\n")
    assert made.endswith(b"end")
    assert 0 <= GROWN_BYTES - len(made) < 10


def test_the_words_of_the_schemas_are_a_dictionary() -> None:
    """In libFuzzer's notation, one word a line."""
    lines = words().splitlines()
    assert '"participant_code: "' in lines
    assert all(re.fullmatch(r'"(?:[^"\\]|\\x[0-9a-f]{2})+"', line) for line in lines)


def test_how_a_guided_search_went_is_read_from_its_log() -> None:
    """Executions and coverage; a search that ended before its time says why."""
    log = "#2 INITED cov: 5 ft: 6 corp: 1\n#9 NEW cov: 1234 ft: 20\nDone 900 runs in 3 second(s)\n"
    coverage = "5 -> 1,234 branches, 6 -> 20 features"
    assert as_logged("yaml", log) == Search("yaml", "guided", 900, 3, coverage)
    ended = as_logged(
        "yaml", "INITED cov: 5 ft: 6\n==7== ERROR: libFuzzer: timeout after 10 seconds\n"
    )
    assert ended.ended == "ERROR: libFuzzer: timeout after 10 seconds"
    assert "No module" in as_logged("yaml", "No module named atheris\n").ended
