"""A changed journal is noticed and the line named; a torn tail is repaired and said."""

import hashlib
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stratctl.core.errors import JournalError, JournalForeign, JournalTampered
from stratctl.journal.chain import read
from stratctl.journal.merkle import root
from stratctl.journal.record import NO_PREVIOUS, Applied, Resume, decode, encode, schema
from stratctl.journal.store import open_journal
from tests.journal.story import ENVIRONMENT, REALM, Clock, everything, write

with tempfile.TemporaryDirectory() as made:
    DATA = write(Path(made), everything()).read_bytes()
LINES = DATA.splitlines(keepends=True)


def test_the_story_is_long_enough() -> None:
    """Sixty lines, and every kind of entry among them."""
    assert len(LINES) >= 60
    assert len({json.loads(line)["type"] for line in LINES}) == 16


def test_reading_gives_what_was_written() -> None:
    """Events come back equal, in order, and the bytes are those that encode makes of them."""
    chain = read(DATA, realm=REALM, environment=ENVIRONMENT)
    assert [entry.event for entry in chain.entries[1:]] == everything()
    prev, again = NO_PREVIOUS, b""
    for entry in chain.entries:
        again += encode(entry.event, seq=entry.seq, prev=prev, at=entry.at, run=entry.run)
        prev = entry.digest
    assert again == DATA
    assert chain.warnings == ()


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_every_flipped_byte_is_noticed(flip: int) -> None:
    """Wherever a byte differs: an error that names the line, or its tail is said to be torn."""
    for seq, line in enumerate(LINES, start=1):
        # What stands before the changed line needs no second look: it is a chain of its own.
        for place in range(len(line)):
            changed = bytearray(line)
            changed[place] ^= flip
            prev = json.loads(LINES[seq - 2])["h"] if seq > 1 else NO_PREVIOUS
            with pytest.raises((JournalTampered, JournalForeign)):
                decode(bytes(changed).split(b"\n")[0], seq=seq, prev=prev)


@given(
    place=st.integers(0, len(DATA) - 1),
    value=st.integers(0, 255),
)
def test_a_changed_byte_of_the_file_is_noticed(place: int, value: int) -> None:
    """The same for the whole file, line feeds included."""
    changed = bytearray(DATA)
    if changed[place] == value:
        return
    changed[place] = value
    try:
        chain = read(bytes(changed))
    except JournalError:
        return
    assert [warning.code for warning in chain.warnings] == ["W_TORN_TAIL"]


def test_every_changed_last_byte_is_noticed() -> None:
    """The last line feed: only a NUL in its place can come from a cut write."""
    for value in set(range(256)) - {ord("\n"), 0}:
        with pytest.raises(JournalTampered):
            read(DATA[:-1] + bytes([value]))
    assert read(DATA[:-1] + b"\0").warnings[0].code == "W_TORN_TAIL"


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        (LINES[:4] + LINES[5:], 5),
        ([*LINES[:4], LINES[5], LINES[4], *LINES[6:]], 5),
        (LINES[:5] + LINES[4:], 6),
        ([*LINES[:4], LINES[0], *LINES[4:]], 5),
        ([*LINES[:4], LINES[4].replace(b"\n", b"\r\n"), *LINES[5:]], 5),
        ([b"\xef\xbb\xbf" + LINES[0], *LINES[1:]], 1),
        ([*LINES[:4], b"\n", *LINES[4:]], 5),
        ([*LINES[:4], LINES[4].replace(b",", b", ", 1), *LINES[5:]], 5),
        ([*LINES[:4], b"[" * 100_000 + b"\n", *LINES[4:]], 5),
        ([*LINES[:4], b'{"h":1}\n', *LINES[4:]], 5),
    ],
    ids=[
        "deleted",
        "swapped",
        "repeated",
        "genesis again",
        "crlf",
        "bom",
        "empty line",
        "a blank",
        "deep",
        "no hash",
    ],
)
def test_a_changed_line_is_named(change: list[bytes], seq: int) -> None:
    """The error carries the number of the line that does not fit."""
    with pytest.raises(JournalTampered) as raised:
        read(b"".join(change))
    assert raised.value.seq == seq


@pytest.mark.parametrize(("zeros", "step"), [(0, 1), (7, 16)])
def test_a_tail_torn_at_every_byte_is_repaired(zeros: int, step: int, tmp_path: Path) -> None:
    """Cut anywhere in the last line, with or without NULs behind: the journal goes on."""
    body, last = b"".join(LINES[:-1]), LINES[-1]
    for cut in range(0, len(last), step):
        home = tmp_path / str(cut)
        path = home / ENVIRONMENT / "journal.jsonl"
        path.parent.mkdir(parents=True)
        path.write_bytes(body + last[:cut] + b"\0" * zeros)
        with open_journal(home, ENVIRONMENT, REALM, clock=Clock(), run="later") as journal:
            torn = bool(cut or zeros)
            assert [w.code for w in journal.warnings if w.code != "W_JOURNAL_CLOCK"] == [
                "W_TORN_TAIL"
            ] * torn
            # A line that lacks only its line feed is whole and stays.
            kept = len(LINES) - (0 if cut == len(last) - 1 else 1)
            assert len(journal.entries()) == kept
            journal.append(Resume("on"))
        assert len(read(path.read_bytes()).entries) == kept + 1


def test_another_realm_or_environment_is_refused() -> None:
    """A journal's realm is fixed for good; a journal that was copied in is noticed."""
    with pytest.raises(JournalForeign, match="realm"):
        read(DATA, realm="prod")
    with pytest.raises(JournalForeign, match="environment"):
        read(DATA, environment="prod")


@pytest.mark.parametrize("change", [{"v": 2}, {"type": "novelty"}])
def test_a_newer_version_is_refused(change: dict[str, object]) -> None:
    """An intact line of an unknown version or type stops everything."""
    with pytest.raises(JournalForeign, match="line 1"):
        read(_sealed(json.loads(LINES[0]) | change))


def test_every_line_fits_the_schema() -> None:
    """What people may rely on when they read the journal with their own tools."""
    validator = Draft202012Validator(schema())
    for line in LINES:
        assert list(validator.iter_errors(json.loads(line))) == []
    wrong = json.loads(LINES[0]) | {"extra": 1}
    assert list(validator.iter_errors(wrong)) != []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("intent", {"verb": "novelty"}),
        ("intent", {"verb": 1}),
        ("intent", {"rows": {}}),
        ("intent", {"rows": [{}]}),
        ("intent", {"rows": [1]}),
        ("intent", {"slot": "1"}),
        ("forfeited", {"rows": [["CUST01", 1]]}),
        ("forfeited", {"rows": [["CUST01", 1, 1.5]]}),
        ("forfeited", {"rows": ["CUST01"]}),
    ],
)
def test_a_field_of_another_shape_is_refused(kind: str, change: dict[str, object]) -> None:
    """Unknown verbs, numbers with a point, missing and extra fields, at any depth."""
    (line, *_) = (line for line in LINES if json.loads(line)["type"] == kind)
    said = json.loads(line)
    with pytest.raises(JournalTampered, match="proper"):
        decode(_sealed(said | change)[:-1], seq=said["seq"], prev=said["prev"])


@pytest.mark.parametrize(
    "change",
    [
        {"realm": 1},
        {"realm": None},
        {"extra": "x"},
        {"t": 1},
        {"realm": 1.0},
        {"realm": True},
        {"realm": ["sandbox"]},
    ],
)
def test_a_line_of_another_shape_is_refused(change: dict[str, object]) -> None:
    """A line with a fitting hash still has to be exactly the entry that it says it is."""
    with pytest.raises(JournalTampered):
        read(_sealed(json.loads(LINES[0]) | change))


def test_a_clock_that_goes_backwards_is_said() -> None:
    """The order is by number; the clock is only reported."""
    one = encode(read(DATA).entries[0].event, seq=1, prev=NO_PREVIOUS, at="2026-02", run="r")
    prev = decode(one[:-1], seq=1, prev=NO_PREVIOUS).digest
    two = encode(Applied(None, None, "", complete=True), seq=2, prev=prev, at="2026-01", run="r")
    assert [warning.code for warning in read(one + two).warnings] == ["W_JOURNAL_CLOCK"]


def test_an_empty_journal_is_a_journal() -> None:
    """Nothing was said, nothing is wrong."""
    chain = read(b"")
    assert (chain.entries, chain.head, chain.warnings) == ((), "", ())


def _sealed(said: dict[str, object]) -> bytes:
    """A line with a hash that fits, whatever it says."""

    def canonical(value: object) -> bytes:
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()

    if "rows" in said:
        rows = said["rows"] if isinstance(said["rows"], list) else [said["rows"]]
        said = said | {"rows_root": root(map(canonical, rows))}
    rest = {key: value for key, value in said.items() if key not in ("h", "rows", "body")}
    return canonical(said | {"h": hashlib.sha256(canonical(rest)).hexdigest()}) + b"\n"
