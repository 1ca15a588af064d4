"""Every way in which a journal is damaged or exchanged, and how each is found out."""

import json
import os
import tempfile
from functools import partial
from pathlib import Path

import pytest

from stratctl.core.errors import JournalForeign, JournalTampered
from stratctl.core.event import Event, RowResult
from stratctl.core.report import AuditReport
from stratctl.core.state import Verb
from stratctl.journal.chain import read
from stratctl.journal.heads import head_of, held_against, sign
from stratctl.journal.record import NO_PREVIOUS, Genesis, Resume, Word, decode, encode
from stratctl.journal.verify import verify
from tests.journal.story import (
    ENVIRONMENT,
    REALM,
    committed,
    everything,
    intent,
    outcome,
    settled,
    write,
)
from tests.journal.test_chain import sealed
from tests.journal.test_heads import AT, HEAD, KEY, OTHER

WHOLE = os.environ.get("STRATCTL_TORTURE")
"""Every bit of every byte; else one bit of each."""


def _long() -> list[Event | Word]:
    told = everything()[:-3]
    for slot in range(11, 47):
        told += settled(intent(Verb.TOP_UP, slot, [("CUST01", slot), ("CUST02", 1)]))
    return told


with tempfile.TemporaryDirectory() as made:
    DATA = write(Path(made), _long()).read_bytes()
LINES = DATA.splitlines(keepends=True)
ENTRIES = read(DATA).entries
OURS = Genesis(REALM, ENVIRONMENT)
CUST01 = [("CUST01", RowResult.SETTLED, "", 100)]


# --- bytes ---------------------------------------------------------------------------------------


def test_every_flipped_bit_of_two_hundred_lines_is_noticed() -> None:
    """Each byte of the journal with a bit of it turned: an error, which names its line.

    Lines before the changed one are a chain of their own and need no second look.
    """
    assert len(LINES) >= 200
    flips, prev = 0, NO_PREVIOUS
    for seq, line in enumerate(LINES, start=1):
        body = line[:-1]
        for place in range(len(body)):
            for bit in range(8) if WHOLE else (place % 8,):
                changed = bytearray(body)
                changed[place] ^= 1 << bit
                flips += 1
                # A flip that makes a line feed makes two lines; the first of them is looked at.
                assert not is_line(bytes(changed).split(b"\n")[0], seq, prev), (seq, place, bit)
        prev = json.loads(line)["h"]
    assert flips == (len(DATA) - len(LINES)) * (8 if WHOLE else 1)


def test_every_flipped_line_feed_is_noticed() -> None:
    """It joins two lines, or leaves the last one without an end."""
    for seq in range(1, len(LINES) + 1) if WHOLE else (1, 2, 100, len(LINES) - 1, len(LINES)):
        place = sum(map(len, LINES[:seq])) - 1
        for bit in range(8):
            changed = bytearray(DATA)
            changed[place] ^= 1 << bit
            with pytest.raises(JournalTampered) as raised:
                read(bytes(changed))
            assert raised.value.seq == seq


# --- lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "change", "seq"),
    [
        ("deleted", LINES[:4] + LINES[5:], 5),
        ("swapped", [*LINES[:4], LINES[5], LINES[4], *LINES[6:]], 5),
        ("repeated", LINES[:5] + LINES[4:], 6),
        ("inserted", [*LINES[:4], LINES[0], *LINES[4:]], 5),
        ("crlf", [*LINES[:4], LINES[4].replace(b"\n", b"\r\n"), *LINES[5:]], 5),
        ("bom", [b"\xef\xbb\xbf" + LINES[0], *LINES[1:]], 1),
        ("nul", [*LINES[:4], b"\0" + LINES[4], *LINES[5:]], 5),
        ("empty", [*LINES[:4], b"\n", *LINES[4:]], 5),
        ("a blank", [*LINES[:4], LINES[4].replace(b",", b", ", 1), *LINES[5:]], 5),
        ("deep", [*LINES[:4], b"[" * 100_000 + b"\n", *LINES[4:]], 5),
        ("10 MB", [*LINES[:4], b'"' + b"x" * 10_000_000 + b'"\n', *LINES[4:]], 5),
        ("no hash", [*LINES[:4], b'{"h":1}\n', *LINES[4:]], 5),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_line_is_named(what: str, change: list[bytes], seq: int) -> None:
    """The error carries the number of the line that does not fit."""
    with pytest.raises(JournalTampered) as raised:
        read(b"".join(change))
    assert raised.value.seq == seq, what


@pytest.mark.parametrize("cut", [1, 100, -2])
def test_a_torn_last_line_is_no_tampering(cut: int) -> None:
    """Nobody was told that it is kept: it is said, and the journal holds without it."""
    report = audited(b"".join(LINES[:-1]) + LINES[-1][:cut])
    assert report.holds
    assert report.repaired.endswith("not completed")
    assert report.entries == len(LINES) - 1


def test_a_torn_last_line_that_was_kept_elsewhere_is_tampering() -> None:
    """Where a head names it, it was whole once."""
    torn = b"".join(LINES[:-1]) + LINES[-1][:100]
    (finding,) = audited(torn, head_of(ENTRIES, AT).line()).findings
    assert "cut off" in finding
    assert finding.endswith("lacks 1 entry")


# --- what only a head that was kept elsewhere shows ----------------------------------------------


@pytest.mark.parametrize("left", [0, 1, 100, len(LINES) - 1])
def test_a_clean_cut_is_found_by_a_kept_head(left: int) -> None:
    """As a chain the rest holds, and nobody can tell without a head."""
    assert audited(b"".join(LINES[:left])).holds
    report = audited(b"".join(LINES[:left]), head_of(ENTRIES, AT).line())
    (finding,) = report.findings
    assert f"lacks {len(LINES) - left} entr" in finding or "the journal is empty" in finding


def test_a_journal_in_the_place_of_another_is_found_by_a_kept_head() -> None:
    """It is whole, of the same realm and environment, longer, and another one."""
    anew = b"".join(told([*_long(), Resume("anew")]))
    assert len(read(anew).entries) > len(ENTRIES)
    assert audited(anew).holds
    (finding,) = audited(anew, head_of(ENTRIES, AT).line()).findings
    assert "the journal was written anew: entry " in finding


def test_a_head_by_a_revoked_key_or_by_nobody_is_refused() -> None:
    """Who says whose signature it must be is content with no other."""
    head = head_of(ENTRIES, AT)
    for line, why in (
        (sign(head, OTHER).line(), "it is signed with the key "),
        (head.line(), "nobody signed it"),
        (sign(head, KEY).line().replace(b'"entries":2', b'"entries":1'), "does not fit it"),
    ):
        (finding,) = audited(DATA, line, public_key=HEAD.key).findings
        assert "the kept head proves nothing: " in finding
        assert why in finding
    assert audited(DATA, sign(head, KEY).line(), public_key=HEAD.key).holds


# --- what it says --------------------------------------------------------------------------------

FIRST = intent(Verb.ENROLL, 1, [("CUST01", 100)])
OTHER_BODY = intent(Verb.ENROLL, 1, [("CUST01", 101)])
ENDED = [*committed(FIRST), outcome(FIRST, CUST01)]


@pytest.mark.parametrize(
    "events",
    [
        [FIRST, OTHER_BODY],
        [*ENDED, outcome(FIRST, [("CUST01", RowResult.SETTLED, "", 99)])],
        [outcome(FIRST, CUST01)],
        [FIRST, outcome(FIRST, CUST01)],
        [Genesis(REALM, ENVIRONMENT)],
    ],
    ids=["two bodies", "two ends", "an end of nothing", "no commit", "two beginnings"],
)
def test_a_chain_that_contradicts_itself_is_refused(events: list[Event | Word]) -> None:
    """Though every hash fits, and before any of it is booked."""
    data = b"".join(told(events))
    with pytest.raises(JournalTampered, match="contradicts itself in line"):
        read(data)
    assert not audited(data).holds


@pytest.mark.parametrize("change", [{"v": 2}, {"type": "novelty"}])
def test_a_newer_version_stops_everything(change: dict[str, object]) -> None:
    """Nobody guesses what an unknown line means."""
    line = sealed(json.loads(LINES[0]) | change)
    with pytest.raises(JournalForeign, match="of version"):
        read(line)
    assert not audited(line).holds


def test_a_clock_that_goes_backwards_is_only_said() -> None:
    """The order is by number."""
    (early,) = told([], at="2026-02-01T00:00:00Z")
    prev = json.loads(early)["h"]
    late = encode(Resume("x"), seq=2, prev=prev, at="2026-01-01T00:00:00Z", run="r")
    assert [warning.code for warning in read(early + late).warnings] == ["W_JOURNAL_CLOCK"]


@pytest.mark.parametrize("word", ["realm", "environment"])
def test_a_journal_that_was_copied_in_is_refused(word: str) -> None:
    """Of another realm or environment; when it is read, and by every head of the right one."""
    (line,) = told([], whose=Genesis(**{**{"realm": REALM, "environment": ENVIRONMENT}, word: "x"}))
    with pytest.raises(JournalForeign, match=word):
        read(line, realm=REALM, environment=ENVIRONMENT)
    wrong, _ = held_against([("kept", HEAD.line())], "", read(line).entries)
    assert wrong[0].startswith(f"kept: the kept head is of {word} ")


# --- helpers -------------------------------------------------------------------------------------


def is_line(line: bytes, seq: int, prev: str) -> bool:
    """Whether it may stand there."""
    try:
        decode(line, seq=seq, prev=prev)
    except (JournalTampered, JournalForeign):
        return False
    return True


def audited(data: bytes, *kept: bytes, public_key: str = "") -> AuditReport:
    """What ``audit verify`` says of it."""
    held = partial(held_against, [("kept", line) for line in kept], public_key)
    return verify(data, environment=ENVIRONMENT, held=held)


def told(
    events: list[Event | Word],
    *,
    whose: Genesis = OURS,
    at: str = AT,
) -> list[bytes]:
    """Lines with hashes that fit, whatever they say."""
    lines, prev = [], NO_PREVIOUS
    for seq, event in enumerate([whose, *events], start=1):
        lines.append(encode(event, seq=seq, prev=prev, at=at, run="run"))
        prev = json.loads(lines[-1])["h"]
    return lines
