"""A changed journal is noticed and the line named; a torn tail is repaired and said."""

import hashlib
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stratctl.core.errors import JournalError, JournalTampered
from stratctl.journal.chain import read
from stratctl.journal.merkle import root
from stratctl.journal.record import NO_PREVIOUS, Resume, decode, encode, schema
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
        decode(sealed(said | change)[:-1], seq=said["seq"], prev=said["prev"])


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
        read(sealed(json.loads(LINES[0]) | change))


def test_an_empty_journal_is_a_journal() -> None:
    """Nothing was said, nothing is wrong."""
    chain = read(b"")
    assert (chain.entries, chain.head, chain.warnings) == ((), "", ())


def sealed(said: dict[str, object]) -> bytes:
    """A line with a hash that fits, whatever it says."""

    def canonical(value: object) -> bytes:
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()

    if "rows" in said:
        rows = said["rows"] if isinstance(said["rows"], list) else [said["rows"]]
        said = said | {"rows_root": root(map(canonical, rows))}
    rest = {key: value for key, value in said.items() if key not in ("h", "rows", "body")}
    return canonical(said | {"h": hashlib.sha256(canonical(rest)).hexdigest()}) + b"\n"
