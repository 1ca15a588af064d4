"""Partial sells that fit only what a rebalance leaves stand behind it, and only those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.plan import Acknowledgement, Plan
from stratctl.core.state import Drift, Target, Verb
from stratctl.pipeline.planning import vectors_of
from stratctl.pipeline.working import call_works, shrunk
from stratctl.view import human, markdown
from tests.plan import laws
from tests.plan.planned import plan_of
from tests.plan.provider import settle
from tests.plan.test_canaries import HALF, OLD, settled, world
from tests.worlds import Declared, World, holdings_worth, strategy

PRICES = {"BTC": "50000", "ETH": "2500", "SOL": "125", "XRP": "0.5"}


def paid_out(amount: str, *, said: dict[str, Any] | None = None, **holds: str) -> World:
    """P1 is paid out, and its target changed."""
    holder = settled("P1", holds=holdings_worth(PRICES, **holds), target=OLD)
    return world((Declared("P1", withdrawn=amount, **(said or {})), holder))


def sent(world: World) -> list[tuple[Verb, str, bool]]:
    """(verb, vector, behind the rebalance) of each call, in order."""
    return [
        (call.verb, call.vector.text if call.vector else "", call.after_rebalance)
        for call in _plan(world).calls
    ]


def blocked(world: World) -> list[tuple[str, str]]:
    """(participant, reason)"""
    return [row[1:3] for row in _plan(world).blocked.rows()]


def _plan(world: World) -> Plan:
    return plan_of(world).plan


@st.composite
def skewed(draw: st.DrawFn) -> World:
    """One to three people who hold anything, are paid out, and are often rebalanced."""
    cents = st.sampled_from(("0", "40", "95.50", "450", "900"))
    people = []
    for code in ("P1", "P2", "P3")[: draw(st.integers(1, 3))]:
        held = {asset: draw(cents) for asset in ("BTC", "ETH", "SOL", "XRP")}
        out = draw(st.sampled_from(("300", "600", "899.99", "1100")))
        holder = settled(
            code,
            holds=holdings_worth(PRICES, **held),
            target=draw(st.sampled_from((OLD, OLD, HALF.text))),
        )
        people.append(
            (Declared(code, withdrawn=out, flag=draw(st.sampled_from((True, True, False)))), holder)
        )
    return world(*people, minimum_leg=draw(st.sampled_from(("0", "5", "50"))))


@settings(max_examples=settings().max_examples // 16)
@given(skewed())
def test_what_stands_behind_a_rebalance_fits_what_it_leaves(world: World) -> None:
    """As the second planner says; nobody sells more than is held when it is sent."""
    laws.agrees_with_the_oracle(world)
    laws.nothing_is_sold_that_is_not_held(world)
    laws.calls_stand_in_order(world)
    laws.idempotent(world)


def test_apply_sends_no_row_that_still_has_to_wait() -> None:
    """Read again without its rebalance, the sell is not among what can be sent; after it, it is."""
    shown = paid_out("300", BTC="900", ETH="100")
    plan = shown.plan()
    approved = [work for work in call_works(plan) if work.call.after_rebalance]
    assert shrunk(approved, plan) == ()
    rebalanced = settle(shown, replace(plan, calls=plan.calls[:1]))
    assert shrunk(approved, rebalanced.plan()) == tuple(
        replace(work, rows=tuple(work.rows)) for work in approved
    )


def test_an_approval_binds_what_waits_for_a_rebalance() -> None:
    """A plan that sends the same sell at once is another plan."""
    plan = paid_out("300", BTC="900", ETH="100").plan()
    at_once = tuple(replace(call, after_rebalance=False) for call in plan.calls)
    assert replace(plan, calls=at_once).digest != plan.digest


@pytest.mark.parametrize("view", [human.plan, markdown.plan])
def test_a_reader_sees_which_sell_waits(view: Callable[[Plan], str]) -> None:
    """Two partial sells in one plan are told apart."""
    late = paid_out("300", BTC="900", ETH="100")
    late.declared.append(Declared("P2", withdrawn="100"))
    late.holders.append(settled("P2"))
    page = view(late.plan())
    assert page.index("partial sell ") < page.index("partial sell after the rebalance")


def test_a_sell_that_fits_now_does_not_wait() -> None:
    """Paid out first, as always, although a rebalance follows."""
    early = paid_out("300", BTC="800", ETH="200")
    assert sent(early) == [
        (Verb.PARTIAL_SELL, HALF.text, False),
        (Verb.REBALANCE, HALF.with_exits(("SOL", "XRP")).text, False),
    ]


def test_nobody_is_rebalanced_to_be_paid_out() -> None:
    """Without a rebalance of its own the partial sell is listed, as with one that is not enough."""
    still = world(
        (
            Declared("P1", withdrawn="300"),
            settled("P1", holds=holdings_worth(PRICES, BTC="900", ETH="100")),
        )
    )
    assert (sent(still), blocked(still)) == ([], [("P1", "partial_sell_infeasible")])
    assert blocked(paid_out("1001", BTC="900", ETH="100")) == [("P1", "partial_sell_infeasible")]


def test_with_shared_vectors_only_a_named_exit_has_to_go_first() -> None:
    """A skewed vector serves before the rebalance what it can; SOL is in no vector before it."""
    shared = replace(paid_out("300", BTC="900", ETH="100"), cash_flow="shared")
    assert [call[::2] for call in sent(shared)] == [
        (Verb.PARTIAL_SELL, False),
        (Verb.REBALANCE, False),
    ]
    leaving = replace(paid_out("300", BTC="100", SOL="900"), cash_flow="shared")
    assert [call[::2] for call in sent(leaving)] == [
        (Verb.REBALANCE, False),
        (Verb.PARTIAL_SELL, True),
    ]
    rebalanced = _plan(leaving)
    rebalanced = replace(rebalanced, calls=rebalanced.calls[:1])
    # Read again behind the rebalance: what was approved is sent at once, at the same weights.
    again = replace(settle(leaving, rebalanced), agreed=vectors_of(_plan(leaving)))
    assert sent(again) == [(Verb.PARTIAL_SELL, HALF.text, False)]


def test_a_rebalance_with_a_sell_behind_it_goes_to_the_target() -> None:
    """Not to the edge of the bands: the sell is sized by the target's weights."""
    holder = settled("P1", holds=holdings_worth(PRICES, BTC="900", ETH="100"))
    bands = Drift(Fraction("0.05"), Fraction(1), Fraction(1))
    drifting = world((Declared("P1", withdrawn="300"), holder), destination="edge")
    drifting.strategies = [strategy(targets=(Target(HALF, ()),), rebalance_on="drift", drift=bands)]
    assert sent(drifting) == [
        (Verb.REBALANCE, HALF.text, False),
        (Verb.PARTIAL_SELL, HALF.text, True),
    ]


def test_a_sell_that_waited_for_too_long_waits_behind_a_rebalance_as_well() -> None:
    """Once nothing else is in its way its age counts, and an acknowledgement releases it."""
    old = replace(paid_out("300", BTC="900", ETH="100"), waiting={"P1": "2026-11-01T09:00:00Z"})
    assert [verb for verb, *_ in sent(old)] == [Verb.REBALANCE]
    assert blocked(old) == [("P1", "stale_flow")]
    rules = (("stale_flows", "1"),)
    released = replace(
        old, acknowledgements=(Acknowledgement("reviewed", rules, "asked for", "2026-12-31"),)
    )
    assert sent(released)[-1] == (Verb.PARTIAL_SELL, HALF.text, True)
    assert blocked(released) == []


def test_of_two_flows_none_goes_behind_the_rebalance() -> None:
    """Both are held back together, and listed once."""
    both = paid_out("300", said={"contributed": "1100"}, BTC="900", ETH="100")
    held = replace(both, both_directions="send")
    assert [verb for verb, *_ in sent(held)] == [Verb.REBALANCE]
    assert blocked(held) == [("P1", "partial_sell_infeasible")]
