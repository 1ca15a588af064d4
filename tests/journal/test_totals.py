"""Signed totals say what a journal books; a journal that begins with them books the same."""

import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.errors import JournalError, JournalForeign, JournalRolledBack, JournalTampered
from stratctl.core.event import Event, Forfeited, Intent, Outcome, RowResult
from stratctl.core.secret import Secret
from stratctl.core.state import Verb
from stratctl.journal.heads import head_of, public_key_of, signature_of
from stratctl.journal.record import (
    Adopted,
    AdoptedRow,
    Applied,
    Entry,
    Genesis,
    Halt,
    Word,
    canonical,
    said_by,
)
from stratctl.journal.totals import (
    NoTotals,
    Record,
    read_totals,
    records_of,
    refuse_foreign,
    refuse_older,
    signed_totals,
)
from stratctl.journal.verify import totals_of
from tests.journal.story import (
    ENVIRONMENT,
    REALM,
    STRATEGY_ID,
    adopted,
    committed,
    everything,
    intent,
    outcome,
    settled,
)
from tests.journal.test_heads import AT, KEY, OTHER, written

LATER = "2026-12-01T00:00:00Z"
PUBLIC = public_key_of(KEY)


def doubts() -> list[Event | Word]:
    """What an Operation leaves to people: mixed legs, a foreign one, a refusal, a halt."""
    mixed = intent(Verb.TOP_UP, 11, [("CUST01", 70), ("CUST04", 80)], target="ETH 1")
    sold = intent(Verb.PARTIAL_SELL, 12, [("CUST02", 30), ("CUST05", 5)])
    return [
        *committed(mixed),
        outcome(
            mixed,
            [("CUST01", RowResult.MIXED, "", 70), ("CUST04", RowResult.SETTLED, "", 80)],
        ),
        *committed(sold),
        outcome(
            sold,
            [
                ("CUST02", RowResult.SETTLED, "", 30),
                ("CUST05", RowResult.REJECTED, "trader_not_enrolled", None),
            ],
        ),
        *settled(intent(Verb.LIQUIDATE, 13, [("CUST04", None)])),
        *settled(intent(Verb.REBALANCE, 14, [("CUST02", None)], target="BTC 1")),
        adopted(15, rows=[AdoptedRow("CUST06", 9, 0, False, mixed=True, rebalanced_at=7)]),
        Halt(exits_only=False, reason="look"),
    ]


OPEN = intent(Verb.TOP_UP, 16, [("CUST01", 3)])
STORY = [Genesis(REALM, ENVIRONMENT), *everything()[:-3], *doubts(), *committed(OPEN)]
ENTRIES = written(*STORY)


def totals(entries: Sequence[Entry] = ENTRIES, key: Secret = KEY, at: str = AT) -> bytes:
    """The totals of these entries."""
    made = signed_totals(entries, head_of(entries, at), key)
    assert made is not None
    return made


PACKED = totals()
PLAIN = gzip.decompress(PACKED)


def records(entries: Sequence[Entry]) -> list[Record]:
    """What they say."""
    return list(records_of(entries, head_of(entries, AT), PUBLIC))


def unopened(said: Sequence[Record]) -> list[Record]:
    """Without where they came from."""
    return [replace(one, opening=None) if isinstance(one, Adopted) else one for one in said]


# --- the law -------------------------------------------------------------------------------------


@given(st.integers(1, len(ENTRIES)))
def test_a_journal_that_begins_with_totals_books_the_same(cut: int) -> None:
    """Wherever the lost one stood, what had its end there; and its own totals are the same."""
    lost = ENTRIES[:cut]
    said = records(lost)
    opened = written(Genesis(REALM, ENVIRONMENT), *said)
    assert unopened(records(opened)) == unopened(said)
    open_calls = {key for key, sums in totals_of(lost).items() if sums[2] or sums[3]}
    counted = {key: _in_and_out(sums) for key, sums in totals_of(opened).items()}
    ended = {key: _in_and_out(sums) for key, sums in totals_of(lost).items()}
    assert {key: sums for key, sums in counted.items() if key not in open_calls} == {
        key: sums for key, sums in ended.items() if key not in open_calls
    }
    for one in (one for one in said if isinstance(one, Adopted)):
        assert one.opening is not None
        assert (one.opening.entries, one.opening.digest) == (cut, lost[-1].digest)


def _in_and_out(sums: Sequence[int]) -> tuple[int, ...]:
    """Mixed legs count in full, in one column or the other."""
    return (sums[0] + sums[2], sums[1] + sums[3], *sums[4:])


def test_totals_say_what_cannot_be_read_from_the_provider() -> None:
    """Refusals, targets, what was given up, acknowledgements, the commit, a halt."""
    said = records(ENTRIES)
    (one,) = (each for each in said if isinstance(each, Adopted))
    assert [each.slot for each in one.operations] == [None, 15, *range(1, 15)]
    rows = {row.participant_code: row for row in one.rows}
    assert (rows["CUST01"].contributed_minor, rows["CUST01"].mixed) == (1_070, True)
    assert (rows["CUST02"].withdrawn_minor, rows["CUST02"].rebalanced_at) == (30, 1_000)
    assert (rows["CUST04"].exited, rows["CUST05"].parked) == (True, "trader_not_enrolled")
    assert (rows["CUST06"].mixed, rows["CUST06"].parked) == (True, None)
    assert one.opening is not None
    assert one.opening.acknowledgements == ("ack-1", "ack-2")
    assert Forfeited(one.strategy, STRATEGY_ID, (("CUST03", 5, 6),)) in said
    assert Applied("commit-2", 2, "", complete=True) in said
    assert said[-1] == Halt(exits_only=False, reason="look")


def test_a_call_without_an_end_is_not_in_them() -> None:
    """Its Operation, if there is one, is read from the provider."""
    (one,) = (
        each
        for each in records(written(*STORY[:9], *committed(intent(Verb.TOP_UP, 2, [("A", 5)]))))
        if isinstance(each, Adopted)
    )
    assert ([each.slot for each in one.operations], len(one.rows)) == ([1], 2)


def test_a_strategy_keeps_all_its_names() -> None:
    """The newest says what moved; the earlier ones say only whose they are."""
    later = [
        replace(event, strategy="renamed") if isinstance(event, Intent | Outcome) else event
        for event in settled(intent(Verb.TOP_UP, 2, [("CUST01", 5)]))
    ]
    told = [*STORY[:5], *settled(intent(Verb.ENROLL, 1, [("CUST01", 100)])), *later]
    said = [each for each in records(written(*told)) if isinstance(each, Adopted)]
    assert [(each.strategy, len(each.operations), len(each.rows)) for each in said] == [
        ("blue-chip", 0, 0),
        ("renamed", 2, 1),
    ]


def test_a_journal_that_bound_nothing_has_none() -> None:
    """Not even where it says something: they would take the place of better ones."""
    entries = written(STORY[0], Halt(exits_only=False, reason="look"))
    assert signed_totals(entries, head_of(entries, AT), KEY) is None


# --- whose they are ------------------------------------------------------------------------------


def test_totals_are_read_as_they_were_signed() -> None:
    """Compressed or not; and they are the same bytes for the same journal."""
    assert totals() == PACKED
    found = read_totals(PACKED, PUBLIC)
    assert read_totals(PLAIN, PUBLIC) == found
    assert list(found.records) == records(ENTRIES)
    assert (found.head.digest, found.operations) == (ENTRIES[-1].digest, 16)
    refuse_foreign(found, realm=REALM, environment=ENVIRONMENT)


@given(st.data())
def test_one_changed_byte_proves_nothing(data: st.DataObject) -> None:
    """In the first line or behind it, packed or not."""
    packed = data.draw(st.booleans())
    good = bytearray(PACKED if packed else PLAIN)
    # Of gzip's own header four bytes are a time, one the level and one the system: no content.
    place = data.draw(st.integers(10 if packed else 0, len(good) - (9 if packed else 1)))
    good[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = read_totals(bytes(good), PUBLIC)
    except (NoTotals, JournalError):
        return
    assert packed, "what is signed is every byte"
    assert found == read_totals(PACKED, PUBLIC), "another packing of the same bytes"


def test_another_key_proves_nothing() -> None:
    """However well it fits; and a bare claim to be the key does not either."""
    with pytest.raises(JournalTampered, match="they are signed with the key "):
        read_totals(totals(key=OTHER), PUBLIC)
    with pytest.raises(JournalTampered, match="their signature does not fit them"):
        read_totals(changed(key=PUBLIC, from_=totals(key=OTHER)), PUBLIC)


def test_a_head_is_no_signature_of_totals() -> None:
    """Both are signed with one key, and neither can be taken for the other."""
    with pytest.raises(NoTotals):
        read_totals(head_of(ENTRIES, AT).line(), PUBLIC)


def changed(
    *, from_: bytes, content: bytes | None = None, sign: bool = False, **what: Any
) -> bytes:
    """Totals with another first line or other records; signed again by the same key, or not."""
    line, _, rest = gzip.decompress(from_).partition(b"\n")
    rest = rest if content is None else content
    header = json.loads(line) | what
    if sign:
        header |= {"size": len(rest), "content": hashlib.sha256(rest).hexdigest()} | what
        del header["signature"]
        message = b"stratctl/totals/v1\0" + canonical(header)
        header["signature"] = signature_of(KEY, message)
    return canonical(header) + b"\n" + rest


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", NoTotals),
        (b"\xff", NoTotals),
        (b"[]", NoTotals),
        (b"[" * 100_000, NoTotals),
        (b"\x1f\x8bnot packed at all", NoTotals),
        (changed(from_=PACKED, extra=1), NoTotals),
        (changed(from_=PACKED, entries=True), NoTotals),
        (changed(from_=PACKED, sign=True, v=2), JournalForeign),
        (changed(from_=PACKED, content=b""), JournalTampered),
        (changed(from_=PACKED, sign=True, size=9), JournalTampered),
        (changed(from_=PACKED, sign=True, content=b"[" * 100_000), JournalTampered),
        (changed(from_=PACKED, sign=True, content=b'{"type": "genesis"}\n'), JournalTampered),
        (changed(from_=PACKED, sign=True, content=b'{"type": []}\n'), JournalTampered),
        (changed(from_=PACKED, sign=True, content=b"7\n"), JournalTampered),
        (
            changed(from_=PACKED, sign=True, content=canonical(said_by(STORY[0]))),
            JournalTampered,
        ),
        (
            changed(from_=PACKED, sign=True, realm="prod"),
            JournalTampered,
        ),
    ],
)
def test_what_is_no_totals_is_refused(data: bytes, kind: type[Exception]) -> None:
    """By its form, its version and its content.

    Signed ones are held to a journal's rules: in another realm the ids of slots are others.
    """
    with pytest.raises(kind):
        read_totals(data, PUBLIC)


def test_totals_are_of_one_journal_and_not_older_than_its_head() -> None:
    """Newer ones are fine; of two with as many entries one is another journal's."""
    found = read_totals(totals(ENTRIES[:40]), PUBLIC)
    for whose in ({"realm": "prod"}, {"environment": "prod"}):
        with pytest.raises(JournalForeign, match="the totals are of "):
            refuse_foreign(found, **{"realm": REALM, "environment": ENVIRONMENT, **whose})
    for entries in (39, 40):
        refuse_older(found, head_of(ENTRIES[:entries], LATER))
    with pytest.raises(JournalRolledBack, match=r"are older .* by 2 entries"):
        refuse_older(found, head_of(ENTRIES[:42], LATER))
    anew = written(*STORY[:5], *STORY[4:5], *STORY[5:39])
    with pytest.raises(JournalTampered, match="of another journal than the kept head"):
        refuse_older(found, head_of(anew, LATER))
