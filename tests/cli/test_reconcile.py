"""The journal beside a platform's own ledger: who is missing, extra or different, to the cent."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.cli.exits import Exit
from stratctl.core.ledgers import Reconciliation
from stratctl.core.money import format_amount
from stratctl.core.state import Verb
from stratctl.core.tables import Workspace
from stratctl.journal.record import AdoptedRow
from stratctl.journal.store import open_journal
from stratctl.pipeline.reconciling import with_ledger
from stratctl.pipeline.session import Session
from tests.cli.conftest import Auditor
from tests.journal.story import REALM, Clock, adopted, committed, intent

HEADER = "participant_code,strategy,contributed,withdrawn\n"
AGREES = HEADER + "CUST01,blue-chip,10.00,0\nCUST02,blue-chip,0.96,0.00\n"
"""What the auditor's journal counts, in dollars."""


def test_a_ledger_that_agrees(auditor: Auditor) -> None:
    """As CSV or Parquet, inside of the project or elsewhere; who has nothing is nobody."""
    (auditor.root / "books.csv").write_text(AGREES + "CUST09,blue-chip,0,0\n")
    agreed = auditor("audit", "reconcile", "--ledger", "books.csv")
    assert (agreed.code, agreed.out.splitlines()[0]) == (
        Exit.DONE,
        "books.csv agrees with the journal of sandbox: 4 participants of Strategies.",
    )
    elsewhere = auditor.root.parent / "books.parquet"
    frame = pl.DataFrame(
        {
            "participant_code": ["CUST01", "CUST02"],
            "strategy": ["blue-chip"] * 2,
            "contributed": ["10.00", "0.96"],
            "withdrawn": ["0", "0"],
        }
    )
    frame.write_parquet(elsewhere)
    assert auditor("audit", "reconcile", "--ledger", str(elsewhere)).code == Exit.DONE


def test_what_differs_is_told_with_its_amounts(auditor: Auditor) -> None:
    """For people, for programs and for a spreadsheet; the exit code is an error."""
    (auditor.root / "books.csv").write_text(
        HEADER + "CUST01,blue-chip,10.005,1.00\nCUST09,blue-chip,7,0\nCUST09,green,0,2.50\n"
    )
    asked = ("audit", "reconcile", "--ledger", "books.csv")
    told = auditor(*asked)
    assert told.code == Exit.ERROR
    text = " ".join(told.out.split())
    for says in (
        "x CUST01 in blue-chip, contributed USD 10.00 in the journal, USD 10.005 in the ledger;"
        " withdrawn USD 0.00 in the journal, USD 1.00 in the ledger",
        "x CUST02 in blue-chip, missing in the ledger: USD 0.96 contributed",
        "x CUST09 in blue-chip, extra in the ledger: USD 7.00 contributed",
        "x CUST09 in green, extra in the ledger: 2.50 withdrawn",
        "1 missing in the ledger, 2 extra in the ledger, 1 different; 5 participants",
        "USD 6.045 more contributed and USD 1.00 more withdrawn",
    ):
        assert says in text
    said = json.loads(auditor(*asked, "--json").out)
    assert (said["agrees"], said["exit_code"]) == (False, 1)
    rows = list(csv.DictReader(auditor(*asked, "--format", "csv").out.splitlines()))
    assert rows == said["differences"]
    assert [row["kind"] for row in rows] == ["different", "missing", "extra", "extra"]
    assert rows[0]["contributed_in_ledger"] == "10.005"


def test_many_differences_are_counted(auditor: Auditor) -> None:
    """The first of them on a terminal, all of them when asked."""
    codes = [f"X{number:05d}" for number in range(30)]
    (auditor.root / "books.csv").write_text(
        AGREES + "".join(f"{code},blue-chip,1,0\n" for code in codes)
    )
    asked = ("audit", "reconcile", "--ledger", "books.csv")
    short = auditor(*asked).out
    assert (short.count("extra in the ledger:"), "and 10 more: all" in short) == (20, True)
    assert auditor(*asked, "-v").out.count("extra in the ledger:") == 30


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("CUST01,,1,0\n", "E_NAME_SYNTAX"),
        ("CUST01,=SUM(A1),1,0\n", "E_CSV_FORMULA"),
        ("CUST1,blue-chip,1,0\n", "E_CODE_SYNTAX"),
        ("CUST01,blue-chip,-1,0\n", "E_CSV_FORMULA"),
        ("CUST01,blue-chip,1e3,0\n", "E_AMOUNT_SYNTAX"),
        ("CUST01,blue-chip,,0\n", "E_AMOUNT_MISSING"),
        ("CUST01,blue-chip,1,0\nCUST01,blue-chip,1,0\n", "E_DUP_PARTICIPANT"),
        ("", "E_EMPTY_TABLE"),
    ],
)
def test_a_ledger_with_mistakes_is_compared_with_nothing(
    rows: str, says: str, auditor: Auditor
) -> None:
    """Each is named with its line; none is guessed at."""
    (auditor.root / "books.csv").write_text(HEADER + rows)
    refused = auditor("audit", "reconcile", "--ledger", "books.csv")
    assert (refused.code, refused.out) == (Exit.ERROR, "")
    assert says in refused.err
    assert "to sell" not in refused.err


def test_floats_and_missing_columns_are_refused(auditor: Auditor) -> None:
    """A binary float does not hold cents, and nobody guesses which column is which."""
    frame = pl.DataFrame({"participant_code": ["CUST01"], "strategy": [1], "contributed": [10.0]})
    frame.write_parquet(auditor.root / "books.parquet")
    refused = auditor("audit", "reconcile", "--ledger", "books.parquet")
    assert refused.code == Exit.ERROR
    for says in ("contributed is DOUBLE", "strategy is BIGINT", "there is no column withdrawn"):
        assert says in refused.err
    for words in (("--ledger", "x.csv", "--live"), ()):
        assert auditor("audit", "reconcile", *words).code == Exit.USAGE
    assert auditor("audit", "reconcile", "--ledger", "no.csv").code == Exit.ERROR


cents = st.integers(0, 3)
books = st.dictionaries(
    st.sampled_from([f"CUST0{number}" for number in range(6)]), st.tuples(cents, cents), max_size=6
)


@settings(max_examples=6)
@given(moved=books.filter(len), pending=st.booleans(), written=books.filter(len))
def test_a_ledger_differs_where_its_figures_do_and_nowhere_else(
    moved: Mapping[str, tuple[int, int]],
    pending: bool,
    written: Mapping[str, tuple[int, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Against a comparison of two dictionaries, for every journal and every ledger."""
    found = _reconciled(tmp_path_factory.mktemp("books"), moved, pending, written)
    nothing = (0, 0)
    expected = {
        code: ("missing" if code not in written else "extra" if code not in moved else "different")
        for code in moved.keys() | written.keys()
        if moved.get(code, nothing) != written.get(code, nothing)
    }
    assert {one.participant_code: one.kind for one in found.ledger} == expected
    unit = 10**6
    for one in found.ledger:
        came, went = moved.get(one.participant_code, nothing)
        says_in, says_out = written.get(one.participant_code, nothing)
        assert (one.journal_in_e8, one.journal_out_e8) == (came * unit, went * unit)
        assert (one.ledger_in_e8, one.ledger_out_e8) == (says_in * unit, says_out * unit)
        assert one.pending_in_minor == (9 if pending and one.participant_code in moved else 0)
    assert found.compared == len(moved.keys() | written.keys())


def _reconciled(
    root: Path,
    moved: Mapping[str, tuple[int, int]],
    pending: bool,
    written: Mapping[str, tuple[int, int]],
) -> Reconciliation:
    (root / "stratctl.yaml").write_text(PROJECT)
    rows = [
        AdoptedRow(code, came, went, None, mixed=False, rebalanced_at=None)
        for code, (came, went) in moved.items()
    ]
    with open_journal(root / "journal", "sandbox", REALM, clock=Clock(), run="r") as journal:
        journal.append(adopted(0, rows=rows))
        if pending:
            journal.append_all(committed(intent(Verb.TOP_UP, 1, [(code, 9) for code in moved])))
    lines = (
        f"{code},blue-chip,{format_amount(came, 'USD')},{format_amount(went, 'USD')}\n"
        for code, (came, went) in written.items()
    )
    (root / "books.csv").write_text(HEADER + "".join(lines))
    with Session(root, None, {}) as session:
        session.workspace = Workspace(threads=1)
        return with_ledger(session, root / "books.csv")


PROJECT = """\
kind: Project
version: 1
default_environment: sandbox
environments:
  sandbox:
    realm: sandbox
    endpoint: sandbox
    platform_code: PLAT01
    funding_model: novated
journal: {directory: journal}
"""
