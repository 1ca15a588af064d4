"""Leaving and coming back: what moved, what was forfeited, and what is new add up exactly."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.event import Event, Forfeited
from stratctl.core.money import format_amount
from stratctl.core.state import Verb
from stratctl.core.tables import Workspace
from stratctl.journal.booked import book
from stratctl.journal.record import Entry, Genesis, Word
from tests.journal.story import ENVIRONMENT, REALM, STRATEGY, STRATEGY_ID, intent, settled
from tests.worlds import Declared, Holder, World, holdings_worth

SPACE = Workspace(threads=1)
HELD = holdings_worth(BTC="500", ETH="300", SOL="200")
CENTS = st.integers(0, 90_000)


def counted(told: list[Event | Word]) -> tuple[int, int, bool]:
    """What the journal counts for P1: in, out, and whether it has left."""
    whole = [Genesis(REALM, ENVIRONMENT), *told]
    entries = [Entry(n, "t", "r", event, f"d{n}") for n, event in enumerate(whole, 1)]
    (row,) = [
        dict(zip(table.schema, each, strict=True))
        for table in (book(entries, SPACE).rows,)
        for each in table.rows()
    ]
    came = row["contributed_minor"] + row["forfeited_in_minor"]
    went = row["withdrawn_minor"] + row["forfeited_out_minor"]
    return came, went, row["exited"]


def usd(minor: int) -> str:
    """As it is declared."""
    return format_amount(minor, "USD")


@given(unmoved_in=CENTS, unmoved_out=CENTS, rise=CENTS)
@settings(max_examples=12, deadline=None)
def test_who_comes_back_is_funded_with_the_rise_and_nothing_else(
    unmoved_in: int, unmoved_out: int, rise: int
) -> None:
    """1000.00 moved; more was declared and never moved; an exit closes it, for good."""
    told: list[Event | Word] = [*settled(intent(Verb.ENROLL, 1, [("P1", 100_000)]))]
    declared_in, declared_out = 100_000 + unmoved_in, unmoved_out
    leaving = World(
        declared=[Declared("P1", usd(declared_in), usd(declared_out), exited=True)],
        holders=[Holder("P1", HELD)],
    ).plan(SPACE)
    assert [call.verb for call in leaving.calls] == ["liquidate", "flags"]
    forfeits = [row[1:] for row in leaving.forfeits.rows()]
    assert forfeits == ([("P1", unmoved_in, unmoved_out)] if unmoved_in or unmoved_out else [])

    told += settled(intent(Verb.LIQUIDATE, 2, [("P1", None)]))
    told += [Forfeited(STRATEGY, STRATEGY_ID, (row,)) for row in forfeits]
    came, went, left = counted(told)
    assert (came, went, left) == (declared_in, declared_out, True)

    gone = Holder("P1", {}, usd(came), usd(went), exited=True)
    back = World(
        declared=[Declared("P1", usd(declared_in + rise), usd(declared_out))], holders=[gone]
    ).plan(SPACE)
    sent = [(row[1], row[2]) for row in back.rows.rows()]
    blocked = [row[1] for row in back.blocked.rows()]
    assert sent == ([("P1", rise)] if rise >= 2_500 else [])
    assert blocked == (["P1"] if 0 < rise < 2_500 else [])
    assert not len(back.forfeits)
