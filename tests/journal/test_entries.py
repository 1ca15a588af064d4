"""Named entries: bound by the first intent that carries them, let go by nothing but its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stratctl.core.event import Abandoned, AnswerClass, Event, Intent
from stratctl.core.slots import call_id
from stratctl.core.state import Booked, BoundEntry, EntryContent, Verb
from stratctl.core.tables import Workspace
from stratctl.journal.bindings import Bindings, Contradiction
from stratctl.journal.record import Genesis, Run, Word
from stratctl.journal.store import read_journal
from tests.journal.story import (
    ENVIRONMENT,
    REALM,
    STRATEGY,
    STRATEGY_ID,
    answer,
    attempt,
    committed,
    intent,
    settled,
    write,
)

OTHER_ID = "c1c2d3e4-f5a6-4789-bcde-f01234567890"
WORKSPACE = Workspace()
OCTOBER = EntryContent("october", "funding", "a" * 64, 2, 7_500)
NOVEMBER = EntryContent("november", "funding", "b" * 64, 1, 100)
RUN = Run("plan", "configuration", "commit-1", 1, ())


def carrying(slot: int, *entries: EntryContent, body: str = "") -> Intent:
    """A top-up that carries these entries."""
    return replace(intent(Verb.TOP_UP, slot, [("CUST01", 100)], body=body), entries=entries)


def booked(directory: Path, *told: Event | Word) -> Booked:
    """What a journal on disk that says it books, once it was read back."""
    write(directory, [RUN, *told])
    return read_journal(directory, ENVIRONMENT, REALM).booked(WORKSPACE)


def test_the_first_intent_binds_an_entry(tmp_path: Path) -> None:
    """To its Strategy and content, with the run, the commit and the time to look it up by."""
    first, second = carrying(1, OCTOBER), carrying(2, NOVEMBER, OCTOBER)
    assert booked(tmp_path, *settled(first), second).entries == (
        BoundEntry(
            NOVEMBER,
            STRATEGY,
            STRATEGY_ID,
            "USD",
            "run-1",
            "commit-1",
            "2026-11-21T09:00:07Z",
            committed=False,
        ),
        BoundEntry(
            OCTOBER,
            STRATEGY,
            STRATEGY_ID,
            "USD",
            "run-1",
            "commit-1",
            "2026-11-21T09:00:03Z",
            committed=True,
        ),
    )


def test_an_intent_that_was_given_up_binds_nothing(tmp_path: Path) -> None:
    """It is proven that it is never carried out, so what was wrong in it may be put right."""
    refused = carrying(1, OCTOBER)
    told = booked(
        tmp_path,
        refused,
        attempt(refused),
        answer(refused, AnswerClass.REFUSED),
        Abandoned(STRATEGY, refused.request_id, 1, "refused"),
        carrying(1, NOVEMBER, replace(OCTOBER, digest="c" * 64), body="another"),
    )
    assert [entry.content.digest for entry in told.entries] == ["b" * 64, "c" * 64]


def test_an_entry_stays_bound_while_another_intent_carries_it(tmp_path: Path) -> None:
    """Giving up one of two calls says nothing about the other."""
    first, second = carrying(1, OCTOBER), carrying(2, OCTOBER)
    told = booked(
        tmp_path, *committed(first), second, Abandoned(STRATEGY, second.request_id, 2, "unwanted")
    )
    assert [(entry.content, entry.committed) for entry in told.entries] == [(OCTOBER, True)]


@pytest.mark.parametrize(
    "other",
    [
        carrying(2, replace(OCTOBER, digest="c" * 64)),
        carrying(2, replace(OCTOBER, kind="payouts")),
        replace(
            carrying(1, OCTOBER),
            strategy_id=OTHER_ID,
            request_id=call_id(REALM, OTHER_ID, 1),
        ),
    ],
    ids=["edited", "another kind", "another Strategy"],
)
def test_the_journal_takes_no_intent_with_another_content(other: Intent) -> None:
    """Whoever missed it before: nothing is sent that was not written down."""
    bindings = Bindings()
    for event in (Genesis(REALM, ENVIRONMENT), RUN, *committed(carrying(1, OCTOBER))):
        bindings.admit(event)
    with pytest.raises(Contradiction, match="october is bound to another content"):
        bindings.admit(other)
