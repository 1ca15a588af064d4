"""What a hostile reader tried: doubtful flags, missing prices, empty worlds, twins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stratctl.core.errors import InputError
from stratctl.core.plan import Plan
from stratctl.core.state import PARTICIPANT_ROWS, Target
from stratctl.core.tables import Workspace
from stratctl.diff import diff
from tests.plan.generate import PRICES
from tests.plan.laws import rows_of
from tests.worlds import Declared, Holder, World, holdings_worth, strategy, vector

TARGET = holdings_worth(BTC="500", ETH="300", SOL="200")
SKEWED = holdings_worth(BTC="700", ETH="200", SOL="100")
EXACT = holdings_worth(PRICES, BTC="500", ETH="300", SOL="200")
OLD = "BTC 0.7, ETH 0.2, SOL 0.1"


def holder(code: str, **changes: Any) -> Holder:
    """A Trader that holds the declared target, worth 1,000."""
    return replace(Holder(code, TARGET), **changes)


def sent(plan: Plan) -> list[tuple[str, str]]:
    """(verb, participant) of every row."""
    return [(row[1].value, row[3]) for row in rows_of(plan)]


def blocked(plan: Plan) -> list[tuple[str, str]]:
    """(participant, reason) of everything held back."""
    return [(row[1], row[2]) for row in plan.blocked.rows()]


def refused(world: World) -> str:
    """The code of the error that stands in the place of a plan."""
    with pytest.raises(InputError) as caught:
        world.plan()
    return caught.value.diagnostics[0].code


def test_nothing_declared_and_nothing_live_is_an_empty_plan() -> None:
    """No Strategy, no participant, no price: no call and no crash."""
    assert World(strategies=[], prices={}).plan().empty


def test_a_first_enrolment_in_flight_is_money_in_its_strategy() -> None:
    """Who vanishes with an enrolment open and enters elsewhere would be funded twice.

    No target was satisfied yet, and no Trader may be listed.
    """
    world = World(
        strategies=[strategy("blue"), strategy("red")],
        declared=[Declared("P1", strategy="red")],
        holders=[Holder("P1", trader=False, target=None, busy="pending")],
    )
    assert refused(world) == "E_PARTICIPANT_MOVED"


def test_money_that_only_the_provider_remembers_is_money_in_its_strategy() -> None:
    """Without its journal nobody knows a target, but our own Operations show who bought."""
    world = World(
        strategies=[strategy("blue"), strategy("red")],
        declared=[Declared("P1", strategy="red")],
        holders=[holder("P1", target=None)],
    )
    assert refused(world) == "E_PARTICIPANT_MOVED"
    for elsewhere in ({"foreign": True}, {"exited": True}, {"trader": False}):
        world.holders = [holder("P1", target=None, **elsewhere)]
        assert sent(world.plan()) == [("enroll", "P1")]


def test_an_epoch_asks_nothing_of_who_has_no_known_target() -> None:
    """After a lost journal every epoch looks raised; who is in band counts as satisfied."""
    world = World(
        strategies=[strategy(rebalance_epoch=3)],
        declared=[Declared("P1"), Declared("P2")],
        holders=[
            holder("P1", target=None, holds=holdings_worth(BTC="510", ETH="300", SOL="190")),
            holder("P2", target=None, holds=SKEWED),
        ],
    )
    assert sent(world.plan()) == [("rebalance", "P2")]


def test_a_flag_that_nothing_shows_rebalances_nobody() -> None:
    """Where flags are not managed and live shows none, a doubt is not a yes."""
    unknown: Any = None
    world = World(
        declared=[Declared("P1", manages=("allocations",))],
        holders=[holder("P1", flag=unknown, holds=SKEWED, target=OLD)],
    )
    assert world.plan().empty


def test_an_exit_needs_a_cohort_that_manages_membership() -> None:
    """Leaving is membership; a cohort that only aligns baskets sells nobody out."""
    world = World(
        declared=[Declared("P1", exited=True, manages=("funding", "allocations"))],
        holders=[holder("P1")],
    )
    plan = world.plan()
    assert sent(plan) == []
    assert blocked(plan) == [("P1", "membership_not_managed")]


def test_who_is_not_approved_is_paid_out_and_not_rebalanced() -> None:
    """A payout only sells; a rebalance in the same plan would buy as well."""
    world = World(
        declared=[Declared("P1", withdrawn="100")],
        holders=[holder("P1", standing="locked", target=OLD)],
    )
    assert sent(world.plan()) == [("partial_sell", "P1")]


def test_a_raised_epoch_hides_no_dropped_asset() -> None:
    """The asset that vanished is an error also when a rebalance was asked for."""
    world = World(
        declared=[Declared("P1")],
        holders=[holder("P1")],
        strategies=[
            strategy(targets=(Target(vector(BTC="0.6", ETH="0.4"), ()),), rebalance_epoch=1)
        ],
    )
    assert refused(world) == "E_ASSET_DROPPED"


def test_an_asset_that_nobody_holds_any_more_is_not_dropped() -> None:
    """Who left and came back carries an old target in name only."""
    target = (Target(vector(BTC="0.6", ETH="0.4"), ()),)
    world = World(
        declared=[Declared("P1")],
        holders=[holder("P1", holds=holdings_worth(BTC="600", ETH="400"))],
        strategies=[strategy(targets=target)],
    )
    plan = world.plan()
    assert plan.empty
    assert [row[:3] for row in plan.satisfied.rows()] == [("blue", "P1", "BTC 0.6, ETH 0.4")]


def test_a_named_exit_that_nobody_holds_needs_no_price() -> None:
    """A delisted asset in exits holds nobody back; held without a price it does."""
    target = (Target(vector(BTC="0.6", ETH="0.4"), ("SOL",)),)
    world = World(
        declared=[Declared("P1"), Declared("P2")],
        holders=[
            holder("P1", holds=holdings_worth(BTC="800", ETH="200"), target=OLD),
            holder("P2", target=OLD),
        ],
        strategies=[strategy(targets=target)],
        prices={"BTC": "60000", "ETH": "3000"},
    )
    plan = world.plan()
    assert sent(plan) == [("rebalance", "P1")]
    assert blocked(plan) == [("P2", "no_price")]


def test_a_payout_of_what_is_not_held_needs_no_price_to_be_refused() -> None:
    """Nothing of an asset is too little at any price."""
    world = World(
        declared=[Declared("P1", withdrawn="100")],
        holders=[holder("P1", holds=holdings_worth(BTC="1000"))],
        prices={"BTC": "60000"},
    )
    assert blocked(world.plan()) == [("P1", "partial_sell_infeasible")]


def test_without_a_minimum_a_leg_of_nothing_is_still_no_leg() -> None:
    """A minimum of zero does not send people who hold the new target to the unit."""
    world = World(
        declared=[Declared("P1")],
        holders=[holder("P1", holds=EXACT, target=OLD)],
        prices=dict(PRICES),
        minimum_leg="0",
    )
    plan = world.plan()
    assert plan.empty
    assert len(plan.satisfied) == 1


def test_an_account_that_closes_while_it_waits_is_listed() -> None:
    """Forfeits of a row that is busy are not dropped silently."""
    world = World(
        declared=[Declared("P1", "1500", exited=True)],
        holders=[holder("P1", exited=True, flag=False, busy="pending")],
    )
    plan = world.plan()
    assert plan.empty
    assert blocked(plan) == [("P1", "pending")]


def test_out_of_band_without_a_sell_that_reaches_its_minimum_is_listed() -> None:
    """Sent again and again such a rebalance would move nothing; a new target is sent once."""
    holds = holdings_worth(BTC="16", ETH="12", SOL="12")
    thirds = (Target(vector(BTC="0.2", ETH="0.2", SOL="0.2", XRP="0.4"), ()),)
    watched = World(
        declared=[Declared("P1")],
        holders=[holder("P1", holds=holds, target=thirds[0].vector.text)],
        strategies=[strategy(targets=thirds, rebalance_on="drift")],
        minimum_leg="9",
    )
    assert blocked(watched.plan()) == [("P1", "below_leg_minimum")]
    changed = replace(watched, holders=[holder("P1", holds=holds, target="BTC 1")])
    assert sent(changed.plan()) == [("rebalance", "P1")]


def test_who_leaves_one_strategy_enters_no_other_in_the_same_plan() -> None:
    """Exit first in an earlier plan: until it is sold the money would stand in both."""
    world = World(
        declared=[Declared("P1", exited=True), Declared("P1", strategy="red")],
        holders=[holder("P1")],
        strategies=[strategy("blue"), strategy("red")],
    )
    assert refused(world) == "E_PARTICIPANT_MOVED"
    applied = replace(world, holders=[holder("P1", exited=True, flag=False, holds={})])
    assert sent(applied.plan()) == [("enroll", "P1")]


def test_who_vanishes_from_one_strategy_enters_no_other() -> None:
    """A renamed Strategy or a moved row would fund the same person twice."""
    world = World(
        declared=[Declared("P1", strategy="red")],
        holders=[holder("P1")],
        strategies=[strategy("blue"), strategy("red")],
    )
    assert refused(world) == "E_PARTICIPANT_MOVED"


def test_one_participant_in_two_strategies_is_two_rows() -> None:
    """Holdings, flows and reasons of one Strategy never reach the other."""
    world = World(
        declared=[Declared("P1"), Declared("P1", "1500", strategy="red")],
        holders=[holder("P1", holds=SKEWED, target=OLD), holder("P1", strategy="red")],
        strategies=[strategy("blue"), strategy("red")],
    )
    plan = world.plan()
    assert [(r[0], r[1].value, r[4]) for r in rows_of(plan)] == [
        ("blue", "rebalance", None),
        ("red", "top_up", 50000),
    ]


def test_equal_vectors_with_other_exits_share_flows_and_not_rebalances() -> None:
    """Two targets of one vector are one top-up; their rebalances name their own exits."""
    same = vector(BTC="0.6", ETH="0.4")
    world = World(
        declared=[
            Declared("P1", "1500"),
            Declared("P2", "1500", target=1),
            Declared("P3"),
            Declared("P4", target=1),
        ],
        holders=[holder(f"P{n}", target=OLD) for n in (1, 2, 3, 4)],
        strategies=[strategy(targets=(Target(same, ("SOL",)), Target(same, ("SOL", "XRP"))))],
    )
    calls = [(c.verb.value, c.vector.text if c.vector else "", c.rows) for c in world.plan().calls]
    assert calls == [
        ("top_up", "BTC 0.6, ETH 0.4", 2),
        ("rebalance", "BTC 0.6, ETH 0.4, SOL 0", 2),
        ("rebalance", "BTC 0.6, ETH 0.4, SOL 0, XRP 0", 2),
    ]


def test_a_row_that_live_lists_twice_is_a_bug_and_not_money() -> None:
    """Twins in a read stop the diff before any join can multiply them."""
    world = World(declared=[Declared("P1", "1500")], holders=[holder("P1"), holder("P1")])
    with pytest.raises(AssertionError, match="more than once"):
        world.plan()


def test_a_participant_that_the_platform_lists_twice_is_a_bug_and_not_money() -> None:
    """Twins among participants would multiply everybody who has one."""
    space = Workspace()
    world = World(declared=[Declared("P1")])
    twice = space.table("twice", PARTICIPANT_ROWS, [["P1", "P1"], ["approved", "approved"]])
    live = replace(world.live(space), participants=twice)
    with pytest.raises(AssertionError, match="more than once"):
        diff(world.configuration(space).desired, live)


def test_a_row_without_a_home_is_a_bug_and_not_silence() -> None:
    """A participant of a target that no Strategy has cannot fall out of the join."""
    world = World(declared=[Declared("P1", target=7)])
    with pytest.raises(AssertionError, match="no declared Strategy"):
        world.plan()


def test_a_participant_that_stands_twice_is_an_error_with_both_lines() -> None:
    """Two rows of one key are named before anything is joined."""
    with pytest.raises(InputError) as caught:
        World(declared=[Declared("P1"), Declared("P1")]).plan()
    assert [(d.code, d.span and d.span.line) for d in caught.value.diagnostics] == [
        ("E_DUP_PARTICIPANT", 1),
        ("E_DUP_PARTICIPANT", 2),
    ]


def test_metadata_of_others_keeps_every_digit() -> None:
    """Declared keys are merged over live's text; no number passes through a binary float."""
    world = World(
        strategies=[strategy(metadata_json='{"label":"Blue","rate":1.10}')],
        metadata={"blue": '{"fee":12345678901234567.89,"list":[true,null,0.10],"rate":1.1}'},
    )
    (call,) = world.plan().calls
    assert call.body_json == (
        '{"metadata":{"fee":12345678901234567.89,"label":"Blue","list":[true,null,0.10],'
        '"rate":1.10}}'
    )


def test_metadata_of_equal_meaning_is_no_change() -> None:
    """Key order and trailing zeros are not worth a call."""
    world = World(
        strategies=[strategy(metadata_json='{"a":1.10,"b":2}')],
        metadata={"blue": '{"b":2.0,"a":1.1,"c":"theirs"}'},
    )
    assert world.plan().empty


def test_a_currency_cannot_change() -> None:
    """A Strategy that exists in another currency is an error, not a new one."""
    world = World(strategies=[strategy(quoted_currency="EUR")])
    assert refused(world) == "E_CURRENCY_CHANGED"


def test_a_missing_strategy_on_hold_is_not_created() -> None:
    """hold freezes the document and its people, and says so."""
    world = World(declared=[Declared("P1")], strategies=[strategy(hold=True)], absent=("blue",))
    plan = world.plan()
    assert plan.empty
    assert blocked(plan) == [("P1", "hold")]


def test_a_strategy_with_a_problem_is_left_alone_whole() -> None:
    """A doubt about one Strategy stops that one and no other."""
    world = World(
        declared=[Declared("P1", "1500"), Declared("P2", "1500", strategy="red")],
        holders=[holder("P1"), holder("P2", strategy="red")],
        strategies=[strategy("blue", metadata_json='{"a":1}'), strategy("red")],
        problems={"blue": "two Strategies carry this name"},
    )
    plan = world.plan()
    assert sent(plan) == [("top_up", "P2")]
    assert blocked(plan) == [("P1", "strategy_stopped")]


def test_removed_people_are_counted_against_all_that_were_managed() -> None:
    """The diff reports who nothing names any more, beside how many there were."""
    world = World(
        declared=[Declared("P1")],
        holders=[holder("P1"), holder("P2"), holder("P3", target=None), holder("P4", exited=True)],
    )
    space = Workspace()
    changes = diff(world.configuration(space).desired, world.live(space))
    assert changes.removed.rows() == [("blue", "P2")]
    assert (changes.managed_before, changes.unmanaged) == (2, 3)
