"""The laws of planning hold on every generated world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import TypeVar

import pytest

from stratctl.core.money import format_units, parse_units
from stratctl.core.state import DesiredStrategy, Target, Vector, Verb
from tests.plan import laws
from tests.plan.drifting import drifts
from tests.plan.generate import CODES, GROWING, PAYING, PRICES, SILENT, quiet_worlds, worlds
from tests.plan.planned import Bench, Refused, answer_of, dice, law, plan_of
from tests.plan.replaying import replayed
from tests.plan.scaling import DEARER, RICHER, scale_free
from tests.worlds import Declared, Holder, World

T = TypeVar("T")

_other_bench = Bench()
_busy_bench = Bench(threads=2)


@law(worlds)
def test_a_second_planner_says_the_same(world: World) -> None:
    """Flows, rebalances, blocks, forfeits and errors agree with the planner without SQL."""
    laws.agrees_with_the_oracle(world)


@law(worlds)
def test_what_settled_is_done_and_what_was_rejected_comes_back(world: World) -> None:
    """I1 and I4: planned again at the same prices, nobody who settled is in the plan.

    Whoever was rejected, none of three or all of them, is there with exactly the same rows."""
    random = dice(world)
    rejected = frozenset(random.sample(CODES, random.choice((0, 0, 1, 3))))
    laws.rejected_rows_come_back(world, rejected)
    if not rejected:
        laws.idempotent(world)


@law(worlds)
def test_an_approval_is_used_once(world: World) -> None:
    """I2: applied again, a plan sends nothing twice, and what is left under the same ids.

    Every third world, with a run before it that ended after any of its calls."""
    random, planned = dice(world), answer_of(world)
    if random.randrange(3) == 0 and not isinstance(planned, Refused):
        replayed(planned, random.randint(0, len(planned.plan.calls)))


@law(worlds)
def test_cash_is_conserved(world: World) -> None:
    """I5: per participant, per call and for the float, money adds up."""
    laws.cash_is_conserved(world)


@law(worlds)
def test_drift_per_cohort_is_what_plain_python_makes_of_it(world: World) -> None:
    """Before, after, and the smallest deposits, one participant after another."""
    answer = answer_of(world)
    if not isinstance(answer, Refused):
        assert answer.plan.cohorts == drifts(world, answer.plan)


@law(worlds)
def test_nobody_is_bought_and_sold_by_flows(world: World) -> None:
    """I6: one flow verb per participant, and one direction."""
    laws.one_direction(world)


@law(quiet_worlds)
def test_growth_sells_nothing(world: World) -> None:
    """I7: when only membership grows there is one enrolment per vector and no sell at all."""
    plan = plan_of(world).plan
    calls = [call for call in plan.calls if call.strategy == GROWING]
    assert {call.verb for call in calls} == {Verb.ENROLL}
    held = {h.code for h in world.holders}
    new = {d.code for d in world.declared if d.strategy == GROWING} - held
    assert len(calls) == -(-len(new) // world.per_call)
    assert {row[3] for row in laws.rows_of(plan) if row[0] == GROWING} == new


@law(worlds)
def test_nothing_is_sold_without_a_word_for_it(world: World) -> None:
    """I7: without a rising withdrawal, an exit or a rebalance of one's own, nobody is sold."""
    planned = answer_of(world)
    if isinstance(planned, Refused):
        return
    plan = planned.plan
    said = {(d.strategy, d.code): d for d in world.declared}
    live = {(h.strategy, h.code): h for h in world.holders}
    for name, verb, _, code, *_ in laws.rows_of(plan):
        if verb is Verb.LIQUIDATE:
            assert said[name, code].exited
        if verb is Verb.PARTIAL_SELL:
            withdrawn = Fraction(said[name, code].withdrawn)
            assert withdrawn > Fraction(live[name, code].withdrawn)
        if verb is Verb.REBALANCE:
            (strategy,) = (s for s in world.strategies if s.name == name)
            assert strategy.rebalance_on != "never"


@law(quiet_worlds)
def test_payouts_and_exits_buy_nothing(world: World) -> None:
    """I8: withdrawals and exits alone make no enrolment and no top-up."""
    plan = plan_of(world).plan
    verbs = {call.verb for call in plan.calls if call.strategy == PAYING}
    assert not verbs & {Verb.ENROLL, Verb.TOP_UP}
    assert all(i.cash_in_minor == 0 for i in plan.impacts if i.strategy == PAYING)


@law(worlds)
def test_who_is_in_band_without_a_flow_is_left_alone(world: World) -> None:
    """I9: no trade for people whose state is the declared one."""
    laws.still_people_are_left_alone(world)


@law(worlds)
def test_flags_are_obeyed(world: World) -> None:
    """I10: auto_rebalance false is never rebalanced unless the cohort overrides it."""
    laws.flags_are_obeyed(world)


@law(worlds)
def test_order_decides_nothing(world: World) -> None:
    """I11 and I33: shuffled people, assets, prices and Strategies give the same bytes.

    Two threads and an optimising engine give the same, too: every eighth world is planned there,
    because it takes them twice as long."""
    random = dice(world)
    bench = _busy_bench if random.randrange(8) == 0 else _other_bench
    planned, again = answer_of(world), bench.answer(_shuffled(world, random))
    if isinstance(planned, Refused) or isinstance(again, Refused):
        assert isinstance(again, Refused)
        assert isinstance(planned, Refused)
        assert again.details == planned.details
        return
    assert again.lines == planned.lines
    assert again.plan == planned.plan


@law(worlds)
def test_names_decide_nothing(world: World) -> None:
    """I12: renaming participants and assets renames the plan's rows.

    Only who shares a split call may change, and who stands in which stage of a rollout."""
    if world.rollout:
        return
    random = dice(world)
    people = dict(zip(CODES, random.sample(CODES, len(CODES)), strict=True))
    coins = dict(zip(PRICES, random.sample(tuple(PRICES), len(PRICES)), strict=True))
    renamed = _renamed(world, people, coins)
    planned = answer_of(world)
    again = answer_of(renamed)
    if isinstance(planned, Refused) or isinstance(again, Refused):
        assert isinstance(again, Refused)
        assert isinstance(planned, Refused)
        assert again.code == planned.code
        return
    expected = {
        (name, verb, _renamed_text(vector, coins), people[code], amount, flag)
        for name, verb, vector, code, amount, flag in laws.rows_of(planned.plan)
    }
    assert set(laws.rows_of(again.plan)) == expected


@law(worlds)
def test_units_decide_nothing(world: World) -> None:
    """I13: other prices of as much less plan the same, and so many times the money so many times.

    Every twelfth world, because each is planned once more; some of them share and stop at edges."""
    random = dice(world)
    if random.randrange(12) == 0:
        sharing = replace(world, cash_flow="shared", destination="edge")
        shown = random.choice((world, world, sharing))
        scale_free(shown, random.choice(DEARER), random.choice(RICHER))


@law(worlds)
def test_weights_are_exact(world: World) -> None:
    """I20: every vector sums to exactly 1 in plain text."""
    laws.weights_are_exact(world)


@law(worlds)
def test_nothing_is_sold_that_is_not_held(world: World) -> None:
    """I23: no partial sell is larger than the holding it sells."""
    laws.nothing_is_sold_that_is_not_held(world)


@law(worlds)
def test_calls_stand_in_the_safe_order(world: World) -> None:
    """Calls are numbered, ordered and slotted without gaps, and as few as their vectors allow."""
    laws.calls_stand_in_order(world)


@law(worlds)
def test_nothing_wanted_is_dropped_silently(world: World) -> None:
    """Every outstanding flow and exit is in a call, forfeited, or blocked with its reason."""
    laws.wanted_is_sent_or_listed(world)


@law(worlds)
def test_binding_lines_are_canonical(world: World) -> None:
    """What is hashed is canonical JSON, one line per fact."""
    laws.survives_json(world)


@law(worlds)
def test_a_smaller_total_is_an_error(world: World) -> None:
    """I25: lowering any total that has moved refuses the whole plan."""
    live = {(h.strategy, h.code): h for h in world.holders}
    for place, said in enumerate(world.declared):
        has = live.get((said.strategy, said.code))
        if has is None or "funding" not in said.manages:
            continue
        if has.foreign or has.busy == "foreign_operation":
            continue
        if Fraction(has.contributed) <= Fraction(has.tolerance):
            continue
        moved, tolerance = parse_units(has.contributed, 2), parse_units(has.tolerance, 2)
        declared = list(world.declared)
        declared[place] = replace(said, contributed=format_units(moved - tolerance - 1, 2))
        with pytest.raises(Refused) as refused:
            plan_of(replace(world, declared=declared))
        assert refused.value.code == "E_DECLARED_BACKWARDS"
        return


@law(worlds)
def test_an_asset_that_vanishes_is_an_error(world: World) -> None:
    """I24: an allocation that disappears without an exit refuses the plan; nothing is sold."""
    strategy = replace(
        world.strategies[0],
        targets=(Target(Vector((("BTC", 10**18),)), ()),),
        hold=False,
        rebalance_on="change",
        live_cohort=None,
    )
    holder = Holder(
        "P1", {"BTC": "0.01", "ETH": "0.12", "SOL": "1.6"}, flag=True, strategy=strategy.name
    )
    others = [h for h in world.holders if (h.strategy, h.code) != (strategy.name, "P1")]
    dropped = replace(
        world,
        strategies=[strategy, *world.strategies[1:]],
        declared=[Declared("P1", strategy=strategy.name)],
        holders=[holder, *others],
        absent=(),
    )
    with pytest.raises(Refused) as refused:
        plan_of(dropped)
    assert refused.value.code == "E_ASSET_DROPPED"


@law(quiet_worlds)
def test_people_that_vanish_are_reported_and_never_sold(world: World) -> None:
    """I24: where every declaration is gone no call sells anything; the managed are counted."""
    plan = plan_of(world).plan
    assert not [row for row in laws.rows_of(plan) if row[0] == SILENT]
    said = {(d.strategy, d.code) for d in world.declared}
    removed = [
        h
        for h in world.holders
        if (h.strategy, h.code) not in said and h.target and h.trader and not h.exited
    ]
    claimed = any(s.name == PAYING and s.live_cohort for s in world.strategies)
    gone = [h for h in removed if h.strategy == SILENT or not claimed]
    findings = {finding.rule: finding for finding in plan.findings}
    assert set(findings) == ({"removals", "removals_share"} if gone else set())
    if gone:
        assert findings["removals"].measured == str(len(gone))
        assert plan.stopped


def _shuffled(world: World, random: Random) -> World:
    def mixed(items: Iterable[T]) -> list[T]:
        found = list(items)
        random.shuffle(found)
        return found

    holders = [replace(h, holds=dict(mixed(h.holds.items()))) for h in mixed(world.holders)]
    numbered = list(enumerate(world.declared, start=1))
    return replace(
        world,
        declared=[replace(said, line=line) for line, said in mixed(numbered)],
        holders=holders,
        strategies=mixed(world.strategies),
        prices=dict(mixed(world.prices.items())),
    )


def _renamed(world: World, people: dict[str, str], coins: dict[str, str]) -> World:
    return replace(
        world,
        declared=[replace(d, code=people[d.code]) for d in world.declared],
        holders=[
            replace(
                h,
                code=people[h.code],
                holds={coins[asset]: quantity for asset, quantity in h.holds.items()},
                target=h.target and _renamed_text(h.target, coins),
            )
            for h in world.holders
        ],
        strategies=[_renamed_strategy(s, coins) for s in world.strategies],
        prices={coins[asset]: price for asset, price in world.prices.items()},
        sides=tuple(sorted((coins[asset], side) for asset, side in world.sides)),
    )


def _renamed_strategy(strategy: DesiredStrategy, coins: dict[str, str]) -> DesiredStrategy:
    return replace(
        strategy,
        targets=tuple(
            Target(
                Vector(tuple(sorted((coins[a], w) for a, w in target.vector.weights_e18))),
                tuple(sorted(coins[asset] for asset in target.exits)),
            )
            for target in strategy.targets
        ),
    )


def _renamed_text(text: str, coins: dict[str, str]) -> str:
    parts = [part.split(" ") for part in text.split(", ")] if text else []
    return ", ".join(sorted(f"{coins[asset]} {weight}" for asset, weight in parts))
