"""An intent says which named entries its money is of: those of its own rows, and no others."""

import json
from pathlib import Path

from stratctl.apply import CallWork
from stratctl.core.event import Abandoned, Intent, IntentRow
from stratctl.core.state import EntryContent, Verb
from tests.apply.machine import STRATEGY, WORKSPACE, a_call, a_work, journal_in
from tests.apply.test_strategy import run
from tests.apply.world import ModelWriter, Provider

CODES = ("CUST01", "CUST02", "CUST03")


def content(key: str) -> EntryContent:
    """Some content."""
    return EntryContent(key, "funding", key[0] * 64, 1, 1_000)


def work() -> CallWork:
    """A top-up of three, of whom one, two and all are in named entries."""
    call = a_call(Verb.TOP_UP, [IntentRow(code, 1_000) for code in CODES])
    entries = ((content("all"), CODES), (content("first"), CODES[:1]), (content("rest"), CODES[1:]))
    return CallWork(
        call.call, call.rows, entries=tuple((each, frozenset(codes)) for each, codes in entries)
    )


def test_a_refused_row_takes_its_entries_with_it(tmp_path: Path) -> None:
    """The whole call carries three entries; what is sent in its place, those of the rows left."""
    writer = ModelWriter(Provider(refused=frozenset({"CUST01"}), naming=True))
    _, events = run(tmp_path, a_work((work(),)), writer)
    said = [event for event in events if isinstance(event, Intent | Abandoned)]
    assert [
        "given up" if isinstance(each, Abandoned) else [entry.key for entry in each.entries]
        for each in said
    ] == [["all", "first", "rest"], "given up", ["all", "rest"]]
    with journal_in(tmp_path, writer.provider) as journal:
        bound = journal.booked(WORKSPACE).entries
    assert [(each.content.key, each.strategy, each.committed) for each in bound] == [
        ("all", STRATEGY, True),
        ("rest", STRATEGY, True),
    ]


def test_the_provider_is_told_nothing_of_entries(tmp_path: Path) -> None:
    """They are ours: the request's bytes are the same with and without them."""
    _, events = run(tmp_path, a_work((work(),)), ModelWriter(Provider()))
    (intent,) = [event for event in events if isinstance(event, Intent)]
    assert intent.entries
    assert set(json.loads(intent.body)) == {"participants", "allocations"}
