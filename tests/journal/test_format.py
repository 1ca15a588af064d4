"""docs/journal.md and the verifier beside it: what a third party holds against a journal."""

import ast
import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from stratctl.core.event import RowResult
from stratctl.core.state import Verb
from stratctl.journal import directory
from stratctl.journal.record import TYPES, Takeover
from stratctl.journal.store import open_journal
from stratctl.journal.verify import totals_of
from tests.journal.story import (
    ENVIRONMENT,
    REALM,
    Clock,
    committed,
    everything,
    intent,
    outcome,
)

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "verify_journal.py"


def verified(folder: Path) -> tuple[int, str]:
    """How the script ends, and what it says, as somebody runs it who has only Python."""
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real journal in several segments, with everything in it that can be."""
    monkeypatch.setattr(directory, "SEGMENT_BYTES", 8000)
    mixed = intent(Verb.TOP_UP, 12, [("CUST04", 30), ("CUST05", 40)])
    open_call = intent(Verb.TOP_UP, 13, [("CUST06", 50)])
    rows = [("CUST04", RowResult.MIXED, "", 30), ("CUST05", RowResult.REJECTED, "no", 0)]
    told = everything()
    with open_journal(tmp_path, ENVIRONMENT, REALM, clock=Clock(), run="run-1") as journal:
        for event in told[:-3]:
            journal.append(event)
        # The story ends with a call whose slot is taken here by two others.
        slot = intent(Verb.PARTIAL_SELL, 11, [("CUST01", 250)])
        sold = [("CUST01", RowResult.SETTLED, "", 250)]
        for event in (*committed(slot), outcome(slot, sold), *committed(mixed)):
            journal.append(event)
        journal.append_all([outcome(mixed, rows), open_call, Takeover("lost", 5_000)])
        expected = totals_of(journal.entries())
    said = [
        f"{strategy} {code} {' '.join(map(str, sums[:4]))}"
        for (strategy, code), sums in sorted(expected.items())
        if any(sums[:4])
    ]
    (tmp_path / "expected").write_text("\n".join(said))
    return tmp_path / ENVIRONMENT


def test_a_stranger_comes_to_the_same_totals(folder: Path) -> None:
    """The script accepts the journal and counts what the package counts."""
    code, text = verified(folder)
    assert code == 0, text
    first, *rest = text.splitlines()
    assert "entries hold together; head " in first
    assert len(list(folder.glob("*.gz"))) >= 2
    counted = [line for line in rest if line.split()[2:] != ["0"] * 4]
    assert counted == (folder.parent / "expected").read_text().splitlines()


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("journal.jsonl", b"CUST04", b"CUST05"),
        ("journal.jsonl", b'"amount_minor":30', b'"amount_minor":31'),
        ("journal.jsonl", b'"type"', b'"Type"'),
        ("journal.jsonl", b"\n{", b"\n\n{"),
        ("journal.jsonl", b",", b", "),
        ("00000001.jsonl.gz", b"CUST02", b"CUST03"),
        ("00000002.jsonl.gz", b"", None),
    ],
)
def test_a_stranger_finds_what_was_changed(
    what: str, old: bytes, new: bytes | None, folder: Path
) -> None:
    """Wherever it was; what is lacking is found too."""
    path = folder / what
    if new is None:
        path.unlink()
    elif path.suffix == ".gz":
        lines = gzip.decompress(path.read_bytes())
        assert old in lines
        path.write_bytes(gzip.compress(lines.replace(old, new, 1)))
    else:
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new, 1))
    code, text = verified(folder)
    assert (code, text[:13]) == (1, "BROKEN: line "), text


def test_a_torn_tail_is_no_entry(folder: Path) -> None:
    """It is said and counts for nothing."""
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"torn')
    code, text = verified(folder)
    assert code == 0
    assert text.startswith("6 bytes at the end are not a whole line")
    (folder / "00000001.jsonl.gz").write_bytes(b"no segment")
    code, text = verified(folder)
    assert code == 1
    assert text.startswith("BROKEN: a closed segment cannot be read: ")


def test_lines_that_were_closed_and_are_still_open_count_once(folder: Path) -> None:
    """Their writer died between the two."""
    before = verified(folder)
    last = max(folder.glob("*.gz"))
    lines, opened = gzip.decompress(last.read_bytes()), folder / "journal.jsonl"
    assert before[0] == 0
    whole = lines + opened.read_bytes()
    last.write_bytes(gzip.compress(whole))
    opened.write_bytes(whole)
    assert verified(folder) == before


def test_a_chain_that_contradicts_itself_does_not_hold(folder: Path) -> None:
    """A call that ends before it was committed, though every hash fits."""
    again = intent(Verb.TOP_UP, 14, [("CUST06", 1)])
    with open_journal(folder.parent, ENVIRONMENT, REALM, clock=Clock(), run="r") as journal:
        journal._bindings.admit = lambda event: None  # type: ignore[method-assign]  # no rule holds
        journal.append_all([again, outcome(again, [("CUST06", RowResult.SETTLED, "", 1)])])
    code, text = verified(folder)
    assert code == 1
    assert f"outcome of {again.request_id} cannot stand here" in text


def test_the_verifier_is_a_stranger_and_short() -> None:
    """Under 150 lines, with nothing but the standard library."""
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for name in node.names
    } | {
        (node.module or "").split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
    }
    assert imported <= sys.stdlib_module_names


def test_the_page_names_every_type_of_line() -> None:
    """And describes the files and digests that the verifier checks."""
    page = (ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
    for name in (*TYPES, "rows_root", "body_sha256", "journal.jsonl", "verify_journal.py"):
        assert f"`{name}`" in page, name
