"""Where money or truth leaks in ordinary tools: each leak shown to be real, and closed here."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import yaml

from stratctl.core.tables import Workspace
from tests.declare.world import Project

HEAD = "kind: Cohort\nversion: 1\nname: founders\nstrategy: blue-chip\n"


def inline(row: str) -> dict[str, str | bytes]:
    """A cohort with one member."""
    return {"strategies/founders.yaml": f"{HEAD}participants:\n  - {row}\n"}


def test_scalars_that_a_loader_reinterprets(tmp_path: Path) -> None:
    """010 is 8, no is false, 1_000 is 1000 and 12:30:00 is 45000; here each is answered."""
    loaded = yaml.safe_load("[010, no, 1_000, 12:30:00]")
    assert loaded == [8, False, 1000, 45000]
    for text in ("010", "no", "1_000", "12:30:00"):
        row = f"{{participant_code: CUST01, contributed: {text}}}"
        assert Project(tmp_path, inline(row)).codes() == ["E_AMOUNT_SYNTAX"]


def test_duplicate_keys_of_which_the_last_wins(tmp_path: Path) -> None:
    """A reviewer reads the first, the program the last; here neither counts."""
    assert yaml.safe_load("{a: 1, a: 2}") == {"a": 2}
    row = "{participant_code: CUST01, contributed: 1.00, contributed: 1000.00}"
    assert Project(tmp_path, inline(row)).codes() == ["E_YAML_DUPKEY"]


def test_numbers_that_lose_their_cents(tmp_path: Path) -> None:
    """A binary float does not hold 123456789012345.67; the declared total does."""
    text = "999999999999999.89"
    assert f"{json.loads(text):.2f}" != text
    row = f"{{participant_code: CUST01, contributed: {text}}}"
    rows = Project(tmp_path, inline(row)).declare().desired.rows.rows()
    assert rows[0][3] == 999_999_999_999_999_89


def test_casts_that_round_or_accept_too_much(tmp_path: Path) -> None:
    """SQL and Decimal round 1.005 and accept 1_000, blanks and exponents; here nothing does."""
    workspace = Workspace()
    assert workspace.one("SELECT CAST('1.005' AS DECIMAL(18,2))")[0] in (
        Decimal("1.00"),
        Decimal("1.01"),
    )
    assert Decimal("1_000") == Decimal(" 1e3 ") == 1000
    codes = {"1.005": "E_AMOUNT_SCALE", "1_000": "E_AMOUNT_SYNTAX", "' 7 '": "E_AMOUNT_SYNTAX"}
    for text, code in codes.items():
        row = f"{{participant_code: CUST01, contributed: {text}}}"
        assert Project(tmp_path, inline(row)).codes() == [code]


def test_sums_of_integers_that_change_their_type(tmp_path: Path) -> None:
    """sum(BIGINT) is HUGEINT, which Parquet turns into DOUBLE; totals leave here as BIGINT."""
    workspace = Workspace()
    assert workspace.one("SELECT typeof(sum(1::BIGINT))") == ("HUGEINT",)
    text = (
        f"{HEAD}participants:\n  - {{participant_code: CUST01, contributed: 0.01}}\n"
        "funding:\n"
        "  - {key: a, participants: [{participant_code: CUST01, amount: 90071992547409.93}]}\n"
        "payouts:\n"
        "  - {key: b, participants: [{participant_code: CUST01, amount: 0.1}]}\n"
    )
    desired = Project(tmp_path, {"strategies/founders.yaml": text}).declare().desired
    sql = (
        f"SELECT contributed_minor, withdrawn_minor, typeof(contributed_minor) FROM {desired.rows}"
    )
    assert desired.rows.workspace.one(sql) == (9_007_199_254_740_994, 10, "BIGINT")


def test_a_pattern_that_lets_a_newline_through(tmp_path: Path) -> None:
    """``^…$`` matches before a final newline in Python; the code would reach the provider."""
    assert re.match("^[A-Z0-9]{6}$", "CUST01\n")
    row = '{participant_code: "CUST01\\n", contributed: 1.00}'
    assert Project(tmp_path, inline(row)).codes() == ["E_CODE_SYNTAX"]


def test_line_separators_that_only_a_parser_sees(tmp_path: Path) -> None:
    """U+0085 ends a line for the parser and not for the reviewer, who reads one comment."""
    assert yaml.safe_load("a: 1 # note\u0085b: 2") == {"a": 1, "b": 2}
    for character in "\u0085\u2028\u2029\u202e\u200b":
        row = f"{{participant_code: CUST01, contributed: 1.00}} # note{character}x"
        assert Project(tmp_path, inline(row)).codes() == ["E_UNICODE_CONTROL"]


def test_joins_on_repeated_keys_that_multiply_rows(tmp_path: Path) -> None:
    """A participant that stands twice would be paid twice; repeats are found before any join."""
    table = "participant_code,contributed\nCUST01,1.00\n"
    files: dict[str, str | bytes] = {
        "strategies/founders.yaml": f"{HEAD}source: {{file: x.csv}}\n",
        "strategies/more.yaml": HEAD.replace("founders", "more") + "source: {file: x.csv}\n",
        "strategies/x.csv": table,
    }
    assert Project(tmp_path, files).codes() == ["E_DUP_PARTICIPANT"]
