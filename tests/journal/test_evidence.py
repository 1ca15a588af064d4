"""A bundle shows what it was asked for, nobody else, and proves it to whoever has only Python."""

import base64
import importlib.util
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.journal.evidence import bundle
from stratctl.journal.heads import Head, head_of, sign
from stratctl.journal.trail import Wanted
from stratctl.journal.verify import totals_of
from tests.journal.story import STRATEGY_ID
from tests.journal.test_heads import AT, ENTRIES, HEAD, OTHER

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_evidence.py"
ONE = Wanted(participant="CUST01")
ALL = Wanted(since=ENTRIES[0].at[:7])


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_evidence", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERIFIER = _script()


def made(wanted: Wanted, head: Head = HEAD) -> bytes:
    """The bundle."""
    data = bundle(ENTRIES, head, wanted, SCRIPT.read_text(encoding="utf-8"))
    assert data is not None
    return data


def checked(data: bytes, key: str = HEAD.key) -> list[str]:
    """What the script says of it. Raises its Broken."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        said: list[str] = VERIFIER.check(archive, key)
        return said


def rewritten(data: bytes, name: str, change: Callable[[list[Any]], object]) -> bytes:
    """The same bundle, with the lines of one file changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        for each in old.namelist():
            text = old.read(each)
            if each == name:
                lines = [json.loads(line) for line in text.splitlines()]
                change(lines)
                text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            new.writestr(each, text)
    return packed.getvalue()


# --- what is in it -------------------------------------------------------------------------------


def test_a_participants_evidence_shows_nobody_else() -> None:
    """In no file of it; and what could not be shown so is counted and said."""
    with zipfile.ZipFile(io.BytesIO(made(ONE))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files.pop("verify_evidence.py")
    for code in (b"CUST02", b"CUST03"):
        assert not any(code in text for text in files.values())
    about = json.loads(files["bundle.json"])
    # The refusal that names somebody else, the call that it gave up, and who holds a target.
    assert (about["left_out"], about["complete"]) == (3, False)
    assert b"Left out: 3 more entries" in files["README.txt"]
    shown = [json.loads(line) for line in files["entries.jsonl"].splitlines()]
    assert shown[0]["entry"]["type"] == "genesis"
    assert not any("body" in said["entry"] or "rows" in said["entry"] for said in shown)


def test_a_participants_evidence_adds_up_to_what_the_journal_counts() -> None:
    """The script says the same totals as the journal."""
    for code in ("CUST01", "CUST02"):
        came, went, *_ = totals_of(ENTRIES)[STRATEGY_ID, code]
        said = checked(made(Wanted(participant=code)))
        assert f"moved for {code} in blue-chip: {came} in, {went} out, in minor units" in said
        assert said[-1] == "everything in the bundle is proven"
        assert "some entries, or parts of them: there may be more about the same" in said


def test_the_evidence_of_a_time_is_whole() -> None:
    """Every entry of it, with bodies and rows."""
    data = made(ALL)
    said = checked(data)
    assert said[-1] == "everything in the bundle is proven"
    assert f"every entry from 1 to {len(ENTRIES)}, whole" in said
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        lines = archive.read("entries.jsonl").splitlines()
        assert b"from 2026-11 on" in archive.read("README.txt").replace(b"\n", b" ")
    assert [json.loads(line)["entry"]["h"] for line in lines] == [e.digest for e in ENTRIES]


def test_nothing_is_no_bundle() -> None:
    """What nobody wrote cannot be shown."""
    for wanted in (Wanted(participant="NOBODY"), Wanted(since="2027"), Wanted(until="2020")):
        assert bundle(ENTRIES, HEAD, wanted, "") is None


def test_the_same_question_gives_the_same_bytes() -> None:
    """So that two bundles can be compared by their digest."""
    assert made(ONE) == made(ONE)


# --- what it proves ------------------------------------------------------------------------------

ENTRIES_FILE = "entries.jsonl"


def _first(lines: list[Any], kind: str) -> Any:
    return next(said for said in lines if said["entry"]["type"] == kind)


def _row(lines: list[Any]) -> Any:
    return _first(lines, "outcome")["rows"][0]


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        (ENTRIES_FILE, lambda all: _row(all)["row"].update(amount_minor=101), "a row is not"),
        (ENTRIES_FILE, lambda all: _row(all).update(place=1), "a row is not"),
        (ENTRIES_FILE, lambda all: _first(all, "outcome")["rows"].append(_row(all)), "twice"),
        (ENTRIES_FILE, lambda all: _first(all, "attempt")["entry"].update(number=9), "its hash"),
        (ENTRIES_FILE, lambda all: all[3]["proof"].pop(), "is not proven to be in"),
        (ENTRIES_FILE, lambda all: all[3]["proof"].append("00"), "is not proven to be in"),
        (ENTRIES_FILE, lambda all: all[3].update(proof=["zz"]), "the bundle is not whole"),
        (ENTRIES_FILE, lambda all: all[3].pop("entry"), "the bundle is not whole"),
        (ENTRIES_FILE, lambda all: all.insert(3, all[3]), "does not follow"),
        ("head.json", lambda all: all[0].update(root="0" * 64), "signature of the head"),
        ("head.json", lambda all: all[0].update(key=""), "the head is signed with no key"),
        ("head.json", lambda all: all[0].update(signature=""), "is no point"),
        ("head.json", lambda all: all[0].update(signature="AAAA"), "is no point"),
        ("bundle.json", lambda all: all[0].pop("complete"), "the bundle is not whole"),
    ],
)
def test_a_changed_bundle_proves_nothing(
    name: str, change: Callable[[list[Any]], object], why: str
) -> None:
    """Whatever was changed is named."""
    with pytest.raises(VERIFIER.Broken, match=why):
        checked(rewritten(made(ONE), name, change))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda all: all.pop(7), "entry 9 does not follow the one before it"),
        (lambda all: _first(all, "outcome")["entry"].pop("rows"), "the one before it, whole"),
        (lambda all: _first(all, "intent")["entry"].pop("body"), "entry 3 does not follow"),
        (lambda all: _first(all, "intent")["entry"].update(body="{}"), "has another body"),
        (lambda all: _first(all, "outcome")["entry"]["rows"].pop(), "has other rows"),
    ],
)
def test_a_changed_time_proves_nothing(change: Callable[[list[Any]], object], why: str) -> None:
    """Nothing in the middle can be left out, and whole entries are whole."""
    with pytest.raises(VERIFIER.Broken, match=why):
        checked(rewritten(made(ALL), ENTRIES_FILE, change))


def test_what_is_whole_is_seen_and_not_believed() -> None:
    """Whoever leaves something out and says so in the bundle has that said to the reader."""

    def left_out(all: list[Any]) -> None:
        all.pop(7)

    changed = rewritten(made(ALL), "bundle.json", lambda all: all[0].update(complete=False))
    assert f"every entry from 1 to {len(ENTRIES)}, whole" in checked(changed)
    said = checked(rewritten(changed, ENTRIES_FILE, left_out))
    assert "some entries, or parts of them: there may be more about the same" in said


def test_whose_signature_it_is() -> None:
    """Another key than the one that was asked for is refused; nobody's is said."""
    other = made(ONE, sign(HEAD, OTHER))
    with pytest.raises(VERIFIER.Broken, match="the head is signed with "):
        checked(other)
    assert "which is yours to know" in checked(other, "")[0]
    unsigned = made(ONE, head_of(ENTRIES, AT))
    with pytest.raises(VERIFIER.Broken, match="signed with no key"):
        checked(unsigned)
    assert "nobody signed the head" in checked(unsigned, "")[0]


@settings(max_examples=5)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=50), place=st.data())
def test_the_scripts_ed25519_is_the_librarys(
    seed: bytes, message: bytes, place: st.DataObject
) -> None:
    """It accepts what the library signed, and nothing beside it."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert VERIFIER.signature_holds(key, signature, message)
    assert not VERIFIER.signature_holds(key, signature, message + b"x")
    changed = bytearray(signature)
    changed[place.draw(st.integers(32, 62))] ^= 1
    assert not VERIFIER.signature_holds(key, bytes(changed), message)


def test_the_published_signature() -> None:
    """The second vector of RFC 8032, section 7.1."""
    key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert VERIFIER.signature_holds(bytes.fromhex(key), bytes.fromhex(signature), b"\x72")


def test_the_script_runs_alone_out_of_the_bundle(tmp_path: Path) -> None:
    """With Python and nothing else, as somebody does who was sent the bundle."""
    sent = tmp_path / "sent.zip"
    sent.write_bytes(made(ONE))
    with zipfile.ZipFile(sent) as archive:
        archive.extract("verify_evidence.py", tmp_path)
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify_evidence.py"), str(sent)]
    ran = subprocess.run([*command, HEAD.key], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith("everything in the bundle is proven\n")
    other = base64.b64encode(bytes(32)).decode()
    ran = subprocess.run([*command, other], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, f"BROKEN: the head is signed with {HEAD.key}\n")
