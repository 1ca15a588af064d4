"""Drift per cohort: worlds whose figures can be worked out by hand, and planted bugs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stratctl.core.state import Target, Verb
from stratctl.plan import cohorts
from tests.plan.drifting import drifts
from tests.plan.generate import PRICES
from tests.worlds import Declared, Holder, World, holdings_worth, strategy, vector

HALF = vector(BTC="0.5", ETH="0.5")


def skewed(*people: Declared, **changes: Any) -> World:
    """Everybody holds 600 and 400 of what should be two equal halves."""
    holds = holdings_worth(PRICES, BTC="600", ETH="400")
    world = World(
        declared=list(people),
        holders=[Holder(said.code, holds, target="BTC 0.6, ETH 0.4") for said in people],
        strategies=[strategy(targets=(Target(HALF, ()),))],
        prices=dict(PRICES),
    )
    return replace(world, **changes)


def test_a_rebalance_repairs_the_drift_and_the_deposit_that_would_is_named() -> None:
    """600 and 400 are a tenth off equal halves; 200 more would make both 600."""
    (cohort,) = skewed(Declared("P1"), Declared("P2")).plan().cohorts
    assert (cohort.participants, cohort.before_e6, cohort.after_e6) == (2, 100_000, 0)
    assert (cohort.deposit_minor, cohort.beyond_deposits) == (40_000, 0)


def test_no_deposit_repairs_what_is_to_be_sold_in_full() -> None:
    """Whoever holds a named exit cannot be brought to the target without a sell."""
    exits = strategy(targets=(Target(vector(ETH="1"), ("BTC",)),))
    (cohort,) = skewed(Declared("P1"), strategies=[exits]).plan().cohorts
    assert (cohort.before_e6, cohort.after_e6) == (600_000, 0)
    assert (cohort.deposit_minor, cohort.beyond_deposits) == (0, 1)


def test_a_leg_below_its_minimum_leaves_its_drift() -> None:
    """With a minimum of 150 the legs of 100 are not carried out, and nobody is rebalanced."""
    world = skewed(Declared("P1"), Declared("P2", contributed="1100"), minimum_leg="150")
    assert world.plan().cohorts == ()


def test_where_no_drift_is_repaired_none_is_measured() -> None:
    """Top-ups at target weights and enrolments say nothing about drift."""
    plan = replace(
        skewed(Declared("P1", contributed="1200")),
        strategies=[strategy(targets=(Target(HALF, ()),), rebalance_on="never")],
    ).plan()
    assert [call.verb for call in plan.calls] == [Verb.TOP_UP]
    assert plan.cohorts == ()


def test_a_shared_top_up_repairs_drift_without_a_rebalance() -> None:
    """200 at the weights that are needed bring 600 and 400 to equal halves."""
    world = skewed(
        Declared("P1", contributed="1200"),
        strategies=[strategy(targets=(Target(HALF, ()),), rebalance_on="drift")],
        cash_flow="shared",
    )
    plan = world.plan()
    assert [call.verb for call in plan.calls] == [Verb.TOP_UP]
    (cohort,) = plan.cohorts
    assert cohort.before_e6 == 100_000
    assert cohort.after_e6 < 50_000
    assert (cohort.deposit_minor, cohort.beyond_deposits) == (0, 0)


def test_a_rebalance_to_the_edge_leaves_what_the_band_allows() -> None:
    """Back to the edge of the band: less drift than before, and not none."""
    world = skewed(
        Declared("P1"),
        strategies=[strategy(targets=(Target(HALF, ()),), rebalance_on="drift")],
        destination="edge",
    )
    world = replace(world, holders=[replace(world.holders[0], target=HALF.text)])
    (cohort,) = world.plan().cohorts
    assert cohort.before_e6 == 100_000
    assert 0 < cohort.after_e6 < 50_000


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("abs(delta_e8) >= greatest(minimum_e8, 1)", "abs(delta_e8) > 30 * minimum_e8"),
        ("rebalanced AND NOT holds_exit", "rebalanced"),
        ("needed_e8 - whole_e8", "needed_e8 - end_e8 // 2"),
        ("ELSE -1 END", "ELSE 1 END"),
    ],
)
def test_a_planted_bug_is_noticed(right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wrong text makes other figures than plain Python of a world that shows it."""
    assert right in cohorts._SUMS
    both = strategy(targets=(Target(vector(ETH="1"), ("BTC",)), Target(HALF, ())))
    paid_out = Declared("P3", target=1, withdrawn="100", flag=False)
    world = skewed(Declared("P1"), Declared("P2", target=1), paid_out, strategies=[both])
    plan = world.plan()
    assert plan.cohorts == drifts(world, plan)
    monkeypatch.setattr(cohorts, "_SUMS", cohorts._SUMS.replace(right, wrong))
    assert world.plan().cohorts != drifts(world, plan)


def test_two_flows_of_one_participant_are_measured_once() -> None:
    """A partial sell and a top-up of one participant move what is left of both, and hold once."""
    world = World(
        declared=[Declared("P1", "1100", withdrawn="200")],
        holders=[Holder("P1", holdings_worth(PRICES, BTC="700", ETH="250", SOL="50"))],
        strategies=[strategy(rebalance_on="drift")],
        prices=dict(PRICES),
        both_directions="send",
    )
    (drift,) = world.plan().cohorts
    assert (drift.participants, drift.before_e6, drift.after_e6) == (1, 200_000, 0)
    assert drift.deposit_minor == 400_00
