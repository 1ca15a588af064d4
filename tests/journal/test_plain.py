"""A plain line says the same to the fast reader as to the strict one, or nothing at all."""

import json
import re
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.errors import JournalError
from stratctl.core.event import Event, Intent, Outcome, RowOutcome
from stratctl.core.packed import Packed, asked, ended, packed
from stratctl.journal import plain
from stratctl.journal.chain import read
from stratctl.journal.record import (
    NAMES,
    TYPES,
    Entry,
    Word,
    decode,
    decode_strictly,
    encode_strictly,
)
from tests.journal.story import everything, write
from tests.journal.test_chain import sealed

with tempfile.TemporaryDirectory() as made:
    LINES = write(Path(made), everything()).read_bytes().splitlines()
SAID = [json.loads(line) for line in LINES]
PLAIN = plain.plain_lines(TYPES, version=1)
KINDS = {said["type"]: said for said in SAID}

TEXTS = st.text(st.sampled_from('aé"\\\n\x01\x7f\u2028/,:{}[] 𐍈') | st.characters(), max_size=8)
VALUES = (
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.lists(st.integers() | TEXTS, max_size=2)
)


def strictly(line: bytes) -> Entry | None:
    """What the strict reader makes of it, wherever it says that it stands."""
    seq, prev = place(line)
    try:
        return decode_strictly(line, seq=seq, prev=prev)
    except JournalError:
        return None


def place(line: bytes) -> tuple[int, str]:
    """Where it says that it stands."""
    try:
        said = json.loads(line)
        return said["seq"], said["prev"]
    except (ValueError, KeyError, TypeError):
        return 1, "0" * 64


def agree(line: bytes) -> None:
    """The plain reader takes nothing that the strict one refuses, nor takes it for another."""
    for known in PLAIN.values():
        found = known.read(line)
        if found is None:
            continue
        entry = strictly(line)
        if entry is None:
            # A version that is not known here is for ``decode`` to refuse.
            assert found.v != 1, line
            continue
        expected = (entry.seq, entry.at, entry.run, entry.digest, entry.event)
        assert (found.seq, found.t, found.run, found.h, found.event) == expected
        assert decode(line, seq=entry.seq, prev=found.prev) == entry


@given(st.sampled_from(SAID), st.data())
def test_both_readers_agree_about_whatever_a_line_says(
    said: dict[str, object], data: st.DataObject
) -> None:
    """Any member, on top or in a row, is given any value; all hashes fit."""
    said = json.loads(json.dumps(said))
    within = said
    rows = said.get("rows")
    if isinstance(rows, list) and rows and isinstance(rows[0], dict) and data.draw(st.booleans()):
        within = data.draw(st.sampled_from(rows))
    name = data.draw(st.sampled_from([*sorted(within), "novelty"]))
    within[name] = data.draw(VALUES)
    agree(sealed(said)[:-1])


@given(st.sampled_from(LINES), st.data())
def test_both_readers_agree_about_changed_bytes(line: bytes, data: st.DataObject) -> None:
    """A piece of a line is cut out, doubled or exchanged; few hashes fit."""
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(line))] * 2)))
    piece = data.draw(st.sampled_from([b"", line[begin:end] * 2, b" ", b"\\u0041", b"\x7f"]))
    agree(line[:begin] + piece + line[end:])


@pytest.mark.parametrize("kind", ["intent", "outcome", "answer", "halt"])
@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        (rb"^{", b'{"acknowledgements":[],'),
        (rb'"v":1', b'"v":1,"v":1'),
        (rb'"v":1', b'"v": 1'),
        (rb'"v":1', b'"v":1.0'),
        (rb'"v":1', b'"v":1e0'),
        (rb'"t":"2', b'"t":"\\u0032'),
        (rb'"t":"2', b'"t":"\\/2'),
        (rb'"h":"(.)', b'"h":"0'),
        (rb'"rows":\[\{', b'"rows":[{},{'),
        (rb'"rows":\[\{', b'"rows":[ {'),
        (rb'"rows":\[.*\],"rows_root"', b'"rows":[],"rows_root"'),
        (rb'"amount_minor":\d+', b'"amount_minor":0'),
        (rb'"amount_minor":\d+', b'"amount_minor":1,"amount_minor":1'),
        (rb'\\",', b'\\" ,'),
        (rb"}$", b"} "),
    ],
)
def test_what_is_not_its_own_canonical_form_is_not_plain(
    kind: str, pattern: bytes, instead: bytes
) -> None:
    """Said twice, in other words, or with a hash that does not fit it."""
    line = LINES[KINDS[kind]["seq"] - 1]
    changed = re.sub(pattern, instead.replace(b"\\", b"\\\\"), line, count=1)
    if changed == line:
        assert pattern not in (rb"^{", rb"}$", rb'"v":1', rb'"t":"2')
        return
    assert PLAIN[kind.encode()].read(changed) is None
    assert strictly(changed) is None


def test_every_line_in_plain_words_is_plain() -> None:
    """So the fast reader does read: all but lines with an escape, and those whose rows are few."""
    left = {
        said["type"]
        for line, said in zip(LINES, SAID, strict=True)
        if plain.name_in(line) not in PLAIN or PLAIN[plain.name_in(line)].read(line) is None
    }
    assert left == {"adopted", "forfeited", "answer", "abandoned", "problem"}
    assert sum(b"\\u" in line for line in LINES) == 3


@given(st.sampled_from(everything()), TEXTS, TEXTS)
def test_both_writers_agree_about_whatever_is_said(
    event: Event | Word, one: str, other: str
) -> None:
    """A line is the same bytes, or is left to the strict writer."""
    texts = [field.name for field in fields(event) if type(getattr(event, field.name)) is str]
    said: dict[str, Any] = dict.fromkeys(texts, one)
    event = replace(event, **said)
    if isinstance(event, Outcome):
        event = replace(event, rows=tuple(replace(row, reason=other) for row in event.rows))
    known = PLAIN.get(NAMES[type(event)].encode())
    if known is None:
        return
    line = known.write(event, seq=3, prev="a" * 64, at="t", run=one)
    strict = encode_strictly(event, 3, "a" * 64, "t", one)
    assert line is None or line + b"\n" == strict
    assert line is not None or b"\\u" in strict


def test_packed_rows_are_rows() -> None:
    """As long, equal and of the same parts as a tuple of them; and what counts of each is there."""
    entries = read(b"\n".join(LINES) + b"\n").entries
    for entry, event in zip(entries[1:], everything(), strict=True):
        read_again = entry.event
        if not isinstance(event, Intent | Outcome) or not isinstance(read_again, Intent | Outcome):
            continue
        rows = read_again.rows
        assert isinstance(rows, Packed)
        assert (len(rows), [*rows], rows[:1]) == (len(event.rows), [*event.rows], event.rows[:1])
        assert (hash(rows), repr(rows), rows) == (hash(event.rows), repr(event.rows), event.rows)
        text = rows.text
        rows.deflate()
        rows.deflate()
        assert (rows.text, len(rows), rows) == (text, len(event.rows), event.rows)
        assert packed(event.rows, rows.kind) == rows
        line = LINES[entry.seq - 1]
        new = decode(line, seq=entry.seq, prev=place(line)[1]).event
        assert isinstance(new, Intent | Outcome)
        # What the line was proven with, and then its text.
        third = asked(rows) if isinstance(event, Intent) else ended(rows)
        for lean in (asked(new.rows), asked(new.rows), third):
            assert [(row.participant_code, row.amount_minor) for row in lean] == [
                (row.participant_code, row.amount_minor) for row in event.rows
            ]
    one, other = (Packed(text, 1, RowOutcome) for text in (b"[1]", b"[2]"))
    assert one != other
