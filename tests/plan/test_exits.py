"""Leaving and coming back: what moved, what was forfeited, and what is new add up exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stratctl.core.diagnostic import Span
from stratctl.core.event import Event, Forfeited
from stratctl.core.money import format_amount
from stratctl.core.state import DesiredStrategy, LiveCohort, Verb
from stratctl.core.tables import Workspace
from stratctl.journal.booked import book
from stratctl.journal.record import Entry, Genesis, Word
from tests.journal.story import ENVIRONMENT, REALM, STRATEGY, STRATEGY_ID, intent, settled
from tests.plan.planned import plan_of
from tests.plan.planted import planted
from tests.worlds import PRICES, Declared, Holder, World, holdings_worth, strategy

SPACE = Workspace()
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
@settings(max_examples=settings().max_examples // 16)
def test_who_comes_back_is_funded_with_the_rise_and_nothing_else(
    unmoved_in: int, unmoved_out: int, rise: int
) -> None:
    """1000.00 moved; more was declared and never moved; an exit closes it, for good."""
    told: list[Event | Word] = [*settled(intent(Verb.ENROLL, 1, [("P1", 100_000)]))]
    declared_in, declared_out = 100_000 + unmoved_in, unmoved_out
    leaving = plan_of(
        World(
            declared=[Declared("P1", usd(declared_in), usd(declared_out), exited=True)],
            holders=[Holder("P1", HELD)],
        )
    ).plan
    assert [call.verb for call in leaving.calls] == ["liquidate", "flags"]
    forfeits = [row[1:] for row in leaving.forfeits.rows()]
    assert forfeits == ([("P1", unmoved_in, unmoved_out)] if unmoved_in or unmoved_out else [])

    told += settled(intent(Verb.LIQUIDATE, 2, [("P1", None)]))
    told += [Forfeited(STRATEGY, STRATEGY_ID, (row,)) for row in forfeits]
    came, went, left = counted(told)
    assert (came, went, left) == (declared_in, declared_out, True)

    gone = Holder("P1", {}, usd(came), usd(went), exited=True)
    again = Declared("P1", usd(declared_in + rise), usd(declared_out))
    back = plan_of(World(declared=[again], holders=[gone])).plan
    sent = [(row[1], row[2]) for row in back.rows.rows()]
    blocked = [row[1] for row in back.blocked.rows()]
    assert sent == ([("P1", rise)] if rise >= 2_500 else [])
    assert blocked == (["P1"] if 0 < rise < 2_500 else [])
    assert not len(back.forfeits)


CLAIM = LiveCohort(
    cohort="app",
    target=0,
    flag=None,
    allocations=True,
    flags=True,
    held=False,
    overrides_flag=True,
    span=Span("strategies/app.yaml", 1, 1),
)
STRATEGIES = st.builds(
    strategy,
    rebalance_on=st.sampled_from(("change", "drift", "never")),
    rebalance_epoch=st.integers(0, 1),
    live_cohort=st.sampled_from((None, CLAIM)),
)
DUST = st.dictionaries(st.sampled_from(("BTC", "ETH", "SOL")), st.integers(1, 4_000), max_size=3)
SOLD_OUT = (strategy(), {"BTC": 3_000}, None, 2_500, True, False)
"""More than dust, which a rebalance would be worth, and a Strategy that rebalances."""
MINIMUM_LEG = 500


@given(
    STRATEGIES,
    DUST,
    st.sampled_from((None, "BTC 1")),
    st.integers(2_500, 90_000),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=settings().max_examples // 33)
@example(*SOLD_OUT)
def test_who_was_sold_out_is_left_alone_until_declared_again(
    basket: DesiredStrategy,
    dust: dict[str, int],
    target: str | None,
    rise: int,
    flag: bool,
    forgotten: bool,
) -> None:
    """I30: dust and a flag that is false plan nothing, declared as exited, claimed or forgotten.

    Declared again without new money it plans nothing either. With it, it is exactly one buy, the
    flag where another one is declared, and a rebalance only of what is no dust."""
    left_alone(basket, dust, target, rise, flag, forgotten)


def left_alone(
    basket: DesiredStrategy,
    dust: dict[str, int],
    target: str | None,
    rise: int,
    flag: bool,
    forgotten: bool,
) -> None:
    """What I30 says of one Trader that was sold out."""
    holds = holdings_worth(PRICES, **{asset: usd(minor) for asset, minor in dust.items()})
    gone = Holder("P1", holds, "1000", target=target, flag=False, exited=True)
    said = [] if forgotten else [Declared("P1", exited=True)]
    plan = plan_of(World(declared=said, holders=[gone], strategies=[basket])).plan
    assert plan.empty
    assert (len(plan.blocked), len(plan.satisfied), plan.findings) == (0, 0, ())
    unpaid = Declared("P1", flag=False, overrides_flag=True)
    assert plan_of(World(declared=[unpaid], holders=[gone], strategies=[basket])).plan.empty
    again = replace(unpaid, contributed=usd(100_000 + rise), flag=flag)
    back = plan_of(World(declared=[again], holders=[gone], strategies=[basket])).plan
    sent = [(call.verb, *row[1:3]) for call, row in zip(back.calls, back.rows.rows(), strict=True)]
    repaired = (Verb.REBALANCE, "P1", None)
    if repaired in sent:
        assert max(dust.values()) >= MINIMUM_LEG
        sent.remove(repaired)
    assert sent == [(Verb.TOP_UP, "P1", rise), *[(Verb.FLAGS, "P1", None)] * flag]


def test_the_law_notices_dust_that_is_rebalanced() -> None:
    """Planted: whoever left is rebalanced as soon as it is declared again, money or none."""
    left_alone(*SOLD_OUT)
    with (
        planted("WHEN has_left AND more_in_minor = 0 THEN", "WHEN false THEN"),
        planted("AND (NOT changes.returns OR flow.verb IS NOT NULL)", ""),
        pytest.raises(AssertionError),
    ):
        left_alone(*SOLD_OUT)
