"""Weights that move by dates: a plan of a day is the plan of that day's weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stratctl.core.errors import PlanStale
from stratctl.core.state import Course, DesiredStrategy, Target, TransitionStep, Vector
from stratctl.core.state import WeightProvenance as Provenance
from stratctl.core.tables import Workspace
from stratctl.pipeline.ceiling import fit
from stratctl.plan.explain import explained
from stratctl.resolve.proportions import stepped
from stratctl.view import weights
from stratctl.view.because import rules_text
from tests.plan import laws, planned
from tests.plan.generate import PRICES, VECTORS, worlds
from tests.worlds import Declared, Holder, World, holdings_worth, strategy, vector

TODAY = "2026-11-21"
DAYS = ("2026-11-07", "2026-11-14", TODAY, "2026-11-22")
OLD, NEW = vector(BTC="0.7", ETH="0.2", SOL="0.1"), vector(BTC="0.5", ETH="0.3", SOL="0.2")


def letting_go(weights: Vector) -> Target:
    """These weights, and every other asset as a named exit."""
    return Target(weights, tuple(asset for asset in PRICES if asset not in weights.assets))


def moving(world: World, path: Course) -> World:
    """The same world, with the weights of its first Strategy on their way."""
    first, *others = world.strategies
    return replace(
        world,
        strategies=[
            replace(first, targets=(path[-1][1], *first.targets[1:]), course=path),
            *others,
        ],
    )


def still(world: World, target: Target) -> World:
    """The same world, where the weights of the first Strategy stay."""
    first, *others = world.strategies
    return replace(
        world, strategies=[replace(first, targets=(target, *first.targets[1:])), *others]
    )


def is_the_plan_of_the_day(world: World, path: Course, today: Target) -> None:
    """To the last byte, and by the second planner; so every law of plans is kept as well."""
    found, expected = (
        planned.answer_of(each) for each in (moving(world, path), still(world, today))
    )
    if isinstance(expected, planned.Refused):
        assert isinstance(found, planned.Refused)
        assert found.code == expected.code
        return
    assert not isinstance(found, planned.Refused)
    assert found.lines == expected.lines
    laws.agrees_with_the_oracle(moving(world, path))


@given(worlds(), st.sampled_from(VECTORS[:4]), st.sampled_from(VECTORS[:4]), st.sampled_from(DAYS))
@settings(max_examples=settings().max_examples // 25)
def test_a_plan_of_a_day_is_that_of_its_weights(
    world: World, one: Vector, other: Vector, last: str
) -> None:
    """A step holds from midnight UTC of its day, also for flows and for who comes new."""
    before, after = letting_go(one), letting_go(other)
    path = (("", before), (last, after))
    is_the_plan_of_the_day(world, path, before if last > TODAY else after)


def people(holds: Vector, target: str, **changes: object) -> World:
    """One participant of 10,000.00 who holds these weights and satisfied that target last."""
    held = {asset: f"{share / 10**14}" for asset, share in holds.weights_e18}
    base = World(
        declared=[Declared("P1", "10000")],
        holders=[Holder("P1", holdings_worth(PRICES, **held), "10000", target=target)],
        strategies=[strategy(targets=(Target(NEW, ()),))],
        prices=dict(PRICES),
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # the tests name fields of a World


def test_the_law_notices_a_planner_that_does_not_look_at_the_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted: everybody goes all the way at the first step."""
    half = Target(vector(BTC="0.6", ETH="0.25", SOL="0.15"), ())
    path = (("", Target(OLD, ())), (TODAY, half), ("2026-11-28", Target(NEW, ())))
    world = people(OLD, OLD.text)
    planned.forget()
    is_the_plan_of_the_day(world, path, half)
    monkeypatch.setattr(DesiredStrategy, "on", lambda self, day: self)
    planned.forget()
    with pytest.raises(AssertionError):
        is_the_plan_of_the_day(world, path, half)
    planned.forget()


@given(st.integers(1, 6))
@example(4)
@settings(max_examples=settings().max_examples // 100)
def test_all_steps_together_sell_what_one_would(steps: int) -> None:
    """I29: 70/20/10 to 50/30/20 at fixed prices is a turnover of 0.20, in one step or in many."""
    sold, holds = 0, OLD
    old, new = dict(OLD.weights_e18), dict(NEW.weights_e18)
    for number in range(1, steps + 1):
        now = Vector(tuple(stepped(old, new, number, steps).items()))
        path = (("", Target(OLD, ())), (TODAY, Target(now, ())))
        plan = planned.plan_of(moving(people(holds, holds.text), path)).plan
        assert [call.vector for call in plan.calls] == [now]
        sold += plan.impacts[0].turnover_minor
        holds = now
        assert not planned.plan_of(moving(people(now, now.text), path)).plan.calls
    assert holds == NEW
    # A step may end at a fraction of a cent.
    assert abs(sold - 2_000_00) <= steps


@pytest.mark.parametrize("paid", ["10000", "10100"])
def test_an_approval_of_one_step_sends_nothing_at_the_next(paid: str) -> None:
    """A rebalance is left for another plan, and money at other weights is refused as stale."""
    half = Target(vector(BTC="0.6", ETH="0.25", SOL="0.15"), ())
    path = (("", Target(OLD, ())), (TODAY, half), ("2026-11-22", Target(NEW, ())))
    space, world = Workspace(), people(OLD, OLD.text, declared=[Declared("P1", paid)])
    approved, fresh = (
        moving(replace(world, as_of=as_of), path).plan(space)
        for as_of in ("2026-11-21T23:59:59Z", "2026-11-22T00:00:00Z")
    )
    assert approved.digest != fresh.digest
    if paid == "10100":
        with pytest.raises(PlanStale):
            fit(approved, fresh)
        return
    fitting = fit(approved, fresh)
    assert not fitting.plan.calls
    row = (("blue", "rebalance", "P1"),)
    assert (fitting.not_needed, fitting.left_for_next) == (row, row)


def test_a_plan_says_at_which_step_it_trades() -> None:
    """Also where nothing but a flow is sent, until the last step, and after it was saved."""
    now = vector(BTC="0.6", ETH="0.25", SOL="0.15")
    step = TransitionStep(2, 4, OLD, NEW, "2026-11-28", strategy().span)
    found = Provenance("allocations", strategy().span, (), NEW, None, None, now, step)
    world = people(now, now.text, declared=[Declared("P1", "10100")])
    path = (("", Target(OLD, ())), (TODAY, Target(now, (), found)))
    paid = moving(world, (*path, ("2026-12-05", Target(NEW, ()))))
    plan = paid.plan(Workspace())
    assert [call.vector for call in plan.calls] == [now]
    assert plan.weights == (("blue", found),)
    laws.survives_json(paid)
    assert weights.text(found) == (
        "declared weights (strategies/blue.yaml:1:1); step 2 of 4 from BTC 0.7, ETH 0.2, SOL 0.1 to"
        " BTC 0.5, ETH 0.3, SOL 0.2 (strategies/blue.yaml:1:1): BTC 0.6, ETH 0.25, SOL 0.15; the"
        " next on 2026-11-28"
    )
    behind = moving(people(OLD, OLD.text), paid.strategies[0].course).workings()
    (one,) = explained(behind, ["P1"], []).participants
    assert [rules_text(each.rules) for each in one.answers if each.happens] == [
        "transition step 2 of 4 (strategies/blue.yaml:1)"
    ]
    done = replace(found, vector=now, step=replace(step, number=4, after=now, next_on=None))
    last = moving(world, (("", Target(OLD, ())), (TODAY, Target(now, (), done))))
    assert last.plan(Workspace()).weights == ()
