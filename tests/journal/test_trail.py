"""What is asked of a journal is what comes, whole and nothing else."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.report import TrailRow
from stratctl.journal.record import NAMES, Adopted
from stratctl.journal.trail import Wanted, participants_of, rows_of, trail
from stratctl.view.audit import journal_csv, journal_table
from tests.journal.story import STRATEGY
from tests.journal.test_heads import ENTRIES

ALL = list(trail(ENTRIES, Wanted()))


def table(wanted: Wanted) -> list[TrailRow]:
    """The rows for what is asked."""
    found = trail(ENTRIES, wanted)
    return [row for each in found for row in rows_of(*each, wanted.participant)]


def test_who_asks_for_nothing_gets_all() -> None:
    """Every entry, in order, each with the call that it is about."""
    assert [entry for entry, _, _ in ALL] == list(ENTRIES)
    bare = replace(ENTRIES[-1], event=Adopted(STRATEGY, "id", (), ()))
    assert [entry for entry, _, _ in trail([bare], Wanted())] == [bare]
    about = {NAMES[type(entry.event)] for entry, call, _ in ALL if call}
    assert about == {"intent", "attempt", "answer", "outcome", "abandoned"}


@given(
    participant=st.sampled_from(["", "CUST01", "CUST02", "CUST03", "NOBODY"]),
    strategy=st.sampled_from(["", STRATEGY, "other"]),
    run=st.sampled_from(["", "run", "later"]),
    request=st.sampled_from(["", *{call.request_id[:9] for _, call, _ in ALL if call}]),
)
def test_all_that_is_asked_for_must_fit(
    participant: str, strategy: str, run: str, request: str
) -> None:
    """Several questions at once give what each of them gives alone."""
    together = {e.seq for e, _, _ in trail(ENTRIES, Wanted(participant, strategy, run, request))}
    alone = (
        Wanted(participant=participant),
        Wanted(strategy=strategy),
        Wanted(run=run),
        Wanted(request_id=request),
    )
    each = [{entry.seq for entry, _, _ in trail(ENTRIES, wanted)} for wanted in alone]
    assert together == set.intersection(*each)


def test_a_participant_gets_the_whole_story_of_their_calls() -> None:
    """Attempts and answers too, which name nobody; and nothing of others."""
    found = list(trail(ENTRIES, Wanted(participant="CUST02")))
    assert {NAMES[type(entry.event)] for entry, _, _ in found} == {
        *("intent", "attempt", "answer", "outcome", "abandoned"),
        *("satisfied", "problem", "unparked", "adopted"),
    }
    assert all("CUST02" in participants_of(entry.event, call) for entry, call, _ in found)
    assert {row.participant_code for row in table(Wanted(participant="CUST02"))} == {"", "CUST02"}


def test_a_time_is_asked_for_by_how_it_begins() -> None:
    """From a day on, until a day, that day included."""
    day = ENTRIES[0].at[:10]
    assert len(list(trail(ENTRIES, Wanted(since=day, until=day)))) == len(ENTRIES)
    assert not list(trail(ENTRIES, Wanted(since="2026-12")))
    assert not list(trail(ENTRIES, Wanted(until="2026-10")))


def test_the_rows_add_up_to_what_moved() -> None:
    """Outcomes and adoptions of a participant, in and out, are the totals of the journal."""
    rows = [row for row in table(Wanted(participant="CUST02")) if row.result == "settled"]
    moved = [row for row in rows if row.type in ("outcome", "adopted")]
    assert sum(row.in_minor or 0 for row in moved) == 9 * 7 + 33
    forfeited = table(Wanted(participant="CUST03"))
    assert [(row.type, row.in_minor, row.out_minor) for row in forfeited] == [("forfeited", 5, 6)]
    sold = [row for row in table(Wanted(participant="CUST01")) if row.verb == "partial_sell"]
    assert [(row.type, row.in_minor, row.out_minor) for row in sold] == [
        ("intent", None, 250),
        ("attempt", None, None),
        ("answer", None, None),
    ]


def test_a_table_for_people_and_one_for_a_spreadsheet() -> None:
    """The same rows; one is aligned, the other has every id."""
    rows = table(Wanted(participant="CUST02", request_id=table(Wanted())[5].request_id))
    lines = journal_table(rows).splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[1].split() == [
        *("6", rows[0].at, "intent", STRATEGY, "enroll", "1", "CUST02", "0.07", "USD")
    ]
    assert {line.index(STRATEGY) for line in lines[1:]} == {lines[0].index("strategy")}
    text = list(journal_csv(rows))
    assert len(text) == len(rows) + 1
    assert text[1].split(",")[9:13] == ["CUST02", "0.07", "", "USD"]
    assert journal_table([]) == ""


def test_a_spreadsheet_executes_nothing() -> None:
    """Words of the provider that begin like a formula stand behind an apostrophe, quoted."""
    (row, *_) = table(Wanted(participant="CUST02"))
    for begins in ("=", "+", "-", "@", "\t", "\r"):
        evil = replace(row, reason=f'{begins}HYPERLINK("x")')
        assert f'"\'{begins}HYPERLINK(""x"")"\n' in list(journal_csv([evil]))[1]
