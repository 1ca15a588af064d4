"""The audit as somebody runs it: what is in the journal, whether it holds, and heads to keep."""

import base64
import csv
import json
import zipfile
from pathlib import Path

import pytest

from stratctl.cli.exits import Exit
from tests.cli.conftest import Auditor

KEY = base64.b64encode(bytes(range(32))).decode()


def test_the_log_shows_what_is_asked_for(auditor: Auditor) -> None:
    """The same entries in four formats; what nobody is in is nothing, and no error."""
    everyone = auditor("audit", "log").out.splitlines()
    assert len(everyone) == 59
    asked = ("audit", "log", "--participant", "CUST02", "--strategy", "blue-chip", "--run", "run")
    lines = auditor(*asked).out.splitlines()
    assert set(lines) < set(everyone)
    said = [json.loads(line) for line in auditor(*asked, "--json").out.splitlines()]
    assert [entry["seq"] for entry in said] == [int(line.split()[0]) for line in lines]
    rows = list(csv.DictReader(auditor(*asked, "--format", "csv").out.splitlines()))
    assert {row["participant_code"] for row in rows} == {"", "CUST02"}
    assert {int(row["entry"]) for row in rows} == {entry["seq"] for entry in said}
    table = auditor(*asked, "--format", "table").out.splitlines()
    assert len(table) == len(rows) + 1
    call = said[0]["request_id"]
    one = auditor("audit", "log", "--request-id", call[:8]).out.splitlines()
    assert [line.split()[2] for line in one] == ["intent", "attempt", "answer", "outcome"]
    for shown in ("text", "table", "json"):
        nobody = auditor("audit", "log", "--participant", "NOBODY", "--format", shown)
        assert (nobody.code, nobody.out) == (Exit.DONE, "")


def test_a_kept_head_finds_what_a_chain_cannot(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run leaves a signed head; without one, verify says what it cannot see."""
    plain = auditor("audit", "verify")
    assert plain.code == Exit.DONE
    assert "Without a kept head nobody can see here" in plain.out
    unsigned = auditor("audit", "head")
    assert json.loads(unsigned.out)["signature"] == ""
    left = auditor.root / ".stratctl" / "heads" / "sandbox.json"
    assert auditor("recover").code == Exit.DONE
    assert not left.exists()
    monkeypatch.setenv("STRATCTL_HEAD_KEY", KEY)
    assert auditor("recover").code == Exit.DONE
    head = json.loads(left.read_text())
    assert head["entries"] == 59
    assert auditor("audit", "head", "--out", "kept/head.json").code == Exit.DONE
    assert json.loads((auditor.root / "kept/head.json").read_text())["root"] == head["root"]
    monkeypatch.delenv("STRATCTL_HEAD_KEY")
    asked = ("audit", "verify", "--head", str(left), "--head", "kept/head.json")
    for more in ((), ("--public-key", head["key"])):
        found = auditor(*asked, *more)
        assert (found.code, found.out.count("goes on from this head")) == (Exit.DONE, 2)
        assert "Without a kept head" not in found.out
    entries = auditor.journal.read_bytes().splitlines(keepends=True)
    auditor.journal.write_bytes(b"".join(entries[:-1]))
    assert auditor("audit", "verify").code == Exit.DONE
    cut = auditor(*asked, "--json")
    assert cut.code == Exit.ERROR
    assert ["lacks 1 entry" in each for each in json.loads(cut.out)["findings"]] == [True, True]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("verify", "--head", "nowhere.json"), "nowhere.json cannot be read"),
        (("verify", "--public-key", "abc"), "the public key is not 32 bytes"),
        (("verify", "--public-key", KEY), "a public key is nothing without a head"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    words: tuple[str, ...], says: str, auditor: Auditor
) -> None:
    """Files that are not there, and keys that are none."""
    refused = auditor("audit", *words)
    assert (refused.code, refused.out) == (Exit.USAGE, "")
    assert says in refused.err


def test_evidence_is_written_for_somebody_to_check(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed with the key of the environment, or proven by a head that was kept before."""
    monkeypatch.setenv("STRATCTL_HEAD_KEY", KEY)
    assert auditor("audit", "head", "--out", "kept.json").code == Exit.DONE
    assert auditor("halt", "--reason", "look").code == Exit.DONE
    (left,) = (auditor.root / ".stratctl" / "heads").iterdir()
    said = json.loads(left.read_bytes())
    assert (said["entries"], bool(said["signature"])) == (60, True)
    for more, entries in (((), 60), (("--head", "kept.json"), 59)):
        asked = ("audit", "export", "--participant", "CUST01", "--out", "CUST01.zip", *more)
        written = auditor(*asked)
        assert (written.code, "its README.txt says" in written.err) == (Exit.DONE, True)
        with zipfile.ZipFile("CUST01.zip") as bundle:
            head = json.loads(bundle.read("head.json"))
            assert (head["entries"], bool(head["signature"])) == (entries, True)
            assert "CUST02" not in bundle.read("entries.jsonl").decode()
    other = json.loads((auditor.root / "kept.json").read_text()) | {"digest": "0" * 64}
    (auditor.root / "other.json").write_text(json.dumps(other))
    (auditor.root / "kept.json").write_text("{}")
    for words, says in (
        ((), "say whose evidence"),
        (("--participant", "NOBODY"), "the journal has nothing about that"),
        (("--since", "2020", "--head", "kept.json"), "kept.json cannot be used"),
        (("--since", "2020", "--head", "other.json"), "was written anew"),
        (("--since", "2020", "--head", "nowhere.json"), "nowhere.json cannot be used"),
    ):
        refused = auditor("audit", "export", "--out", "x.zip", *words)
        assert (refused.code, says in refused.err) == (Exit.USAGE, True), refused.err
    assert not Path("x.zip").exists()


def test_a_key_that_is_none_stops_a_run_before_it_begins(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a head that cannot be written is an error, after everything that was done is kept."""
    monkeypatch.setenv("STRATCTL_HEAD_KEY", "c2VjcmV0")
    refused = auditor("recover")
    assert (refused.code, "c2VjcmV0" in refused.err) == (Exit.USAGE, False)
    monkeypatch.setenv("STRATCTL_HEAD_KEY", KEY)
    (auditor.root / ".stratctl" / "heads").write_text("a file where the folder belongs")
    failed = auditor("recover")
    assert failed.code == Exit.ERROR
    assert "the journal's head could not be written" in failed.err
    assert KEY not in failed.err


def test_a_journal_that_has_not_begun_has_no_head(auditor: Auditor) -> None:
    """It holds, and there is nothing to keep."""
    auditor.journal.unlink()
    assert auditor("audit", "verify").code == Exit.DONE
    refused = auditor("audit", "head")
    assert (refused.code, "no entry yet" in refused.err) == (Exit.USAGE, True)
