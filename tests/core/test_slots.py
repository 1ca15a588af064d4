"""Request ids: known vectors, the UUID form, framing, and what they do and do not depend on."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.slots import REALMS, SLOT_MAX, call_id, create_id, patch_id

STRATEGY = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
IDS = st.uuids().map(str)
REALM = st.sampled_from(REALMS)
SLOT = st.integers(1, SLOT_MAX)


@pytest.mark.parametrize(
    ("realm", "slot", "expected"),
    [
        ("prod", 1, "7c334f56-9211-4ed2-9d16-3a2efc6668bb"),
        ("prod", 2, "ccdaa992-2e53-4bcf-82b0-863cfc10c33f"),
        ("cert", 1, "808dd60f-4ae1-464b-990f-8ccb8bb970ac"),
        ("prod", SLOT_MAX, "7822a71a-153a-48b4-af53-e18fa8187b94"),
    ],
)
def test_slots_have_their_published_ids(realm: str, slot: int, expected: str) -> None:
    """The layout is fixed for good: another one would make every slot look free."""
    assert call_id(realm, STRATEGY, slot) == expected


def test_a_create_has_its_published_id() -> None:
    """The id that creates a Strategy is its identity."""
    assert create_id("prod", "blue-chip") == "de35c49b-2b38-45c7-b17c-c698bc817fa0"


@given(REALM, IDS, SLOT)
def test_ids_are_lower_case_uuids_of_version_four(realm: str, strategy: str, slot: int) -> None:
    """Whatever is hashed, the id has the form that the provider requires."""
    made = [
        call_id(realm, strategy, slot),
        create_id(realm, "a"),
        patch_id(realm, strategy, "", ""),
    ]
    for text in made:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)


@given(REALM, REALM, IDS, IDS, SLOT, SLOT)
def test_equal_ids_mean_the_same_slot(
    realm: str, other: str, strategy: str, another: str, slot: int, next_slot: int
) -> None:
    """Realm, Strategy and slot decide the id, each of them and together."""
    same = (realm, strategy, slot) == (other, another, next_slot)
    assert (call_id(realm, strategy, slot) == call_id(other, another, next_slot)) is same


@given(IDS, SLOT)
def test_the_spelling_of_a_strategy_id_decides_nothing(strategy: str, slot: int) -> None:
    """Upper case or without dashes is the same sixteen bytes."""
    expected = call_id("prod", strategy, slot)
    assert call_id("prod", strategy.upper(), slot) == expected
    assert call_id("prod", strategy.replace("-", ""), slot) == expected


@given(IDS, st.text(max_size=8), st.text(max_size=8), st.integers(0, 8))
def test_parts_are_framed(resource: str, first: str, second: str, cut: int) -> None:
    """Moving a character from one part to the next is another id."""
    joined = first + second
    left, right = joined[:cut], joined[cut:]
    moved = patch_id("prod", resource, left, right) == patch_id("prod", resource, first, second)
    assert moved is ((left, right) == (first, second))


def test_a_flag_that_goes_back_and_forth_has_three_ids() -> None:
    """The state as read is part of the id, so true, false, true replays nothing."""
    ids = {
        patch_id("prod", STRATEGY, updated_at, value)
        for updated_at, value in (("1", "true"), ("2", "false"), ("3", "true"))
    }
    assert len(ids) == 3


def test_kinds_of_ids_never_meet() -> None:
    """Each kind has a tag of its own, and an incarnation is another Strategy."""
    assert create_id("prod", "a") != create_id("prod", "a", incarnation=2)
    assert create_id("prod", "a") != create_id("cert", "a")


@pytest.mark.parametrize("slot", [0, -1, SLOT_MAX + 1])
def test_a_slot_out_of_range_is_refused(slot: int) -> None:
    """Slots count from one and fit eight bytes."""
    with pytest.raises(ValueError, match="out of range"):
        call_id("prod", STRATEGY, slot)


@pytest.mark.parametrize("realm", ["", "PROD", "production", "prod ", "https://example.com"])
def test_an_unknown_realm_is_refused(realm: str) -> None:
    """A realm is a logical name and never a host."""
    with pytest.raises(ValueError, match="unknown realm"):
        call_id(realm, STRATEGY, 1)
