"""Since when a flow waits, as the journal remembers it."""

from dataclasses import replace

import pytest

from stratctl.core.event import Event, Forfeited, RowResult
from stratctl.core.state import Verb
from stratctl.journal.record import Waiting, WaitOver, Word
from tests.journal.story import STRATEGY, STRATEGY_ID, committed, intent, outcome, settled, these
from tests.journal.test_booked import booked

FIRST = Waiting(STRATEGY, STRATEGY_ID, "2026-11-01T09:00:00Z", ("CUST01", "CUST02"))
AGAIN = Waiting(STRATEGY, STRATEGY_ID, "2026-11-09T09:00:00Z", ("CUST01",))
UNBORN = replace(FIRST, strategy_id="", participants=("CUST01",))
SELL = intent(Verb.LIQUIDATE, 1, [("CUST01", None)])
BUY = intent(Verb.TOP_UP, 1, [("CUST01", 100)])
ALIGN = intent(Verb.REBALANCE, 1, [("CUST01", None)])


def ended(result: RowResult, amount: int) -> list[Event | Word]:
    """A top-up of CUST01 that ended so."""
    return [*committed(BUY), outcome(BUY, [("CUST01", result, "", amount)])]


def waits(*told: Event | Word) -> dict[tuple[str, str], str]:
    """(place, participant) -> since."""
    table = booked(*told).waiting
    assert table is not None
    return {(place, code): since for place, code, since in table.rows()}


@pytest.mark.parametrize(
    ("told", "waiting"),
    [
        (these(FIRST), {"CUST01", "CUST02"}),
        (these(FIRST, AGAIN), {"CUST01", "CUST02"}),
        (these(AGAIN, FIRST), {"CUST01", "CUST02"}),
        (these(FIRST, *ended(RowResult.SETTLED, 100)), {"CUST02"}),
        (these(FIRST, *ended(RowResult.SKIPPED, 0)), {"CUST02"}),
        (these(FIRST, *ended(RowResult.REJECTED, 0)), {"CUST01", "CUST02"}),
        (these(FIRST, *ended(RowResult.MIXED, 100)), {"CUST01", "CUST02"}),
        (these(FIRST, *committed(BUY)), {"CUST01", "CUST02"}),
        (these(FIRST, *settled(SELL)), {"CUST02"}),
        (these(FIRST, *settled(ALIGN)), {"CUST01", "CUST02"}),
        (these(FIRST, Forfeited(STRATEGY, STRATEGY_ID, (("CUST02", 5, 0),))), {"CUST01"}),
        (these(FIRST, WaitOver(STRATEGY, STRATEGY_ID, ("CUST01",))), {"CUST02"}),
        (these(FIRST, WaitOver(STRATEGY, "", ("CUST01",))), {"CUST01", "CUST02"}),
    ],
    ids=[
        "first seen",
        "seen again",
        "told late",
        "moved",
        "found nothing",
        "refused",
        "half of it",
        "in flight",
        "sold",
        "rebalanced",
        "forfeited",
        "not wanted",
        "of another place",
    ],
)
def test_a_flow_waits_from_its_first_record_until_it_moves(
    told: list[Event | Word], waiting: set[str]
) -> None:
    """A refusal moves nothing, a rebalance is no flow, and the oldest record counts."""
    assert waits(*told) == {(STRATEGY_ID, code): FIRST.since for code in waiting}


def test_what_waited_before_its_strategy_existed_moves_with_the_first_buy() -> None:
    """It is remembered under the name until then."""
    assert waits(UNBORN) == {(f"/{STRATEGY}", "CUST01"): FIRST.since}
    assert waits(UNBORN, *ended(RowResult.SETTLED, 100)) == {}


def test_a_strategy_is_followed_from_the_first_word_about_it() -> None:
    """An intent of ours, or a record of what waits, also of nothing."""
    assert booked().strategies_seen == frozenset()
    assert booked(UNBORN).strategies_seen == frozenset()
    for told in (BUY, replace(FIRST, participants=())):
        assert booked(told).strategies_seen == {STRATEGY_ID}
