"""A head that was kept shows what a chain alone cannot, and a signature shows whose head it is."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.errors import UsageError
from stratctl.core.event import Event
from stratctl.core.secret import Secret
from stratctl.journal.chain import read
from stratctl.journal.heads import (
    Head,
    NoHead,
    contradiction,
    doubt_of,
    head_of,
    held_against,
    is_public_key,
    key_from,
    read_head,
    sign,
)
from stratctl.journal.record import Entry, Genesis, Word, encode
from tests.journal.story import ENVIRONMENT, REALM, everything

KEY = Secret(base64.b64encode(bytes(range(32))).decode())
OTHER = Secret(base64.b64encode(bytes(32)).decode())
AT = "2026-11-21T10:00:00Z"


def written(*told: Event | Word) -> tuple[Entry, ...]:
    """A chain that says it."""
    data, prev = b"", "0" * 64
    for seq, event in enumerate(told, start=1):
        line = encode(event, seq=seq, prev=prev, at=AT, run="run")
        prev = json.loads(line)["h"]
        data += line
    return read(data).entries


STORY = [Genesis(REALM, ENVIRONMENT), *everything()]
ENTRIES = written(*STORY)
HEAD = sign(head_of(ENTRIES, AT), KEY)


@given(st.integers(1, len(ENTRIES)), st.integers(0, len(ENTRIES)))
def test_a_kept_head_finds_every_cut(kept: int, left: int) -> None:
    """A journal goes on from each of its own heads, until less is left than the head knew."""
    why = contradiction(head_of(ENTRIES[:kept], AT), ENTRIES[:left])
    assert bool(why) == (left < kept)
    if left < kept:
        assert "the journal is empty" in why or f"lacks {kept - left:,} entr" in why


def test_a_journal_that_was_written_anew_is_another_one() -> None:
    """Whole and consistent in itself, with more in it than before: the kept head does not fit."""
    anew = written(*STORY[:5], *STORY[4:5], *STORY[5:])
    assert "the journal was written anew: entry 61 " in contradiction(
        head_of(ENTRIES[:61], AT), anew
    )
    # As a chain it holds, so that without a head nobody could tell.
    assert len(anew) == len(ENTRIES) + 1


@pytest.mark.parametrize("whose", [Genesis("prod", ENVIRONMENT), Genesis(REALM, "prod")])
def test_a_head_is_of_one_journal(whose: Genesis) -> None:
    """The journal of another realm or environment does not take its place."""
    other = written(whose, *STORY[1:2])
    assert contradiction(head_of(ENTRIES[:1], AT), other).startswith("the kept head is of ")


def test_a_head_is_read_as_it_was_kept() -> None:
    """And its signature is that of its key, whether somebody names the key or not."""
    assert read_head(HEAD.line()) == HEAD
    assert (doubt_of(HEAD, ""), doubt_of(HEAD, HEAD.key)) == ("", "")
    unsigned = head_of(ENTRIES, AT)
    assert read_head(unsigned.line()) == unsigned
    assert doubt_of(unsigned, "") == ""
    assert doubt_of(unsigned, HEAD.key) == "nobody signed it"


def test_a_signature_by_a_key_that_is_not_asked_for_proves_nothing() -> None:
    """One that was revoked, for instance, however well it fits."""
    assert doubt_of(sign(HEAD, OTHER), HEAD.key).startswith("it is signed with the key ")
    assert doubt_of(sign(HEAD, OTHER), "") == ""


@pytest.mark.parametrize(
    "change",
    [
        {"entries": 3},
        {"digest": "0" * 64},
        {"root": "0" * 64},
        {"at": "2020-01-01T00:00:00Z"},
        {"realm": "prod"},
        {"environment": "prod"},
        {"key": sign(HEAD, OTHER).key},
        {"signature": sign(HEAD, OTHER).signature},
        {"signature": "AAAA"},
        {"signature": "é"},
        {"key": "AAAA"},
    ],
)
def test_a_changed_head_carries_no_signature(change: dict[str, object]) -> None:
    """Whatever in it was changed."""
    changed = read_head(json.dumps(json.loads(HEAD.line()) | change).encode())
    assert doubt_of(changed, "") in ("its signature does not fit it", "its signature is none")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps(json.loads(HEAD.line()) | {"v": 2}).encode(),
        json.dumps(json.loads(HEAD.line()) | {"extra": 1}).encode(),
        json.dumps(json.loads(HEAD.line()) | {"entries": "10"}).encode(),
        json.dumps(json.loads(HEAD.line()) | {"entries": True}).encode(),
        json.dumps(json.loads(HEAD.line()) | {"entries": 0}).encode(),
    ],
)
def test_what_is_no_head_is_refused(data: bytes) -> None:
    """By its version, its fields and their kinds."""
    with pytest.raises(NoHead):
        read_head(data)


def test_what_is_said_about_each_head() -> None:
    """Every file has its line, whichever way it went."""
    files = [
        ("good", HEAD.line()),
        ("plain", head_of(ENTRIES[:9], AT).line()),
        ("torn", HEAD.line()[:20]),
        ("late", sign(Head(REALM, ENVIRONMENT, 99, "0" * 64, "0" * 64, AT), KEY).line()),
    ]
    wrong, found = held_against(files, "", ENTRIES)
    assert [line.partition(":")[0] for line in wrong] == ["torn", "late"]
    assert [line.partition(":")[0] for line in found] == ["good", "plain"]
    assert found[0].endswith(f"its signature fits the key {HEAD.key}, which is yours to recognise")
    assert found[1].endswith("nobody signed it")
    wrong, found = held_against(files[:2], HEAD.key, ENTRIES)
    assert list(wrong) == ["plain: the kept head proves nothing: nobody signed it"]
    assert found[0].endswith("its signature is that of the given key")


def test_the_key_is_never_shown() -> None:
    """A key that is none is named by its variable; one that is can be used, and shows nothing."""
    for wrong in ("c2VjcmV0", "not base64, and secret!", "é"):
        with pytest.raises(UsageError, match="HEAD is not 32 bytes in base64") as caught:
            key_from({"HEAD": wrong}, "HEAD")
        assert wrong not in f"{caught.value}{caught.value.hint}"
    assert key_from({}, "HEAD") is None
    found = key_from({"HEAD": KEY.reveal()}, "HEAD")
    assert found is not None
    assert KEY.reveal() not in repr(found)
    assert is_public_key(HEAD.key)
    assert not is_public_key(HEAD.key[:-4])
