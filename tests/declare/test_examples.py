"""The example tables are what their script makes, and name the sandbox's participants in order."""

from __future__ import annotations

from pathlib import Path

from tests.declare.world import ROOT, declared, shared_workspace
from tests.demo.make_examples import FOUNDERS, contributed, participant_code, write_all

COHORTS = ROOT / "strategies" / "cohorts"


def test_the_checked_in_tables_are_those_of_the_script(tmp_path: Path) -> None:
    """CSV byte for byte; Parquet row for row, because engines sign what they write."""
    write_all(tmp_path)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in COHORTS.iterdir())
    workspace = shared_workspace()
    for name in made:
        if name.endswith(".csv"):
            assert (COHORTS / name).read_bytes() == (tmp_path / name).read_bytes()
        else:
            here, there = (
                workspace.rows(f"SELECT * FROM read_parquet('{folder / name}')")
                for folder in (COHORTS, tmp_path)
            )
            assert here == there


def test_codes_are_the_first_five_thousand_of_the_sandbox() -> None:
    """``P`` and the number in base 30, so the sandbox knows every one of them."""
    assert [participant_code(n) for n in (1, 29, 30, 5_000)] == [
        "P00001",
        "P0000Y",
        "P00010",
        "P005HN",
    ]
    table = declared(ROOT).desired.rows
    codes = table.workspace.rows(f"SELECT participant_code FROM {table} ORDER BY ALL")
    assert codes == [(participant_code(n),) for n in range(1, 5_001)]


def test_the_founders_have_the_amounts_of_the_script() -> None:
    """They stand in a document that people edit, so this is what keeps them in step."""
    text = (ROOT / "strategies" / "founders.yaml").read_text("utf-8")
    for number in FOUNDERS:
        row = f"participant_code: {participant_code(number)}, contributed: {contributed(number)}"
        assert row in text
