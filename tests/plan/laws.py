"""The laws of planning, each a function of a world and its plan that asserts what must hold.

Generated worlds are held to them, the witnesses of the planted bugs are, and nothing else in the
tests repeats them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from stratctl.core.plan import Plan
from stratctl.core.settings import CAP_RULES
from stratctl.core.state import VERB_ORDER, Verb
from tests.plan import oracle
from tests.plan.generate import MIXES, PRICES, VECTORS
from tests.plan.planned import Kept, Refused, answer_of
from tests.plan.provider import refused, settle, worth
from tests.worlds import World, holdings_worth

OFF_BY = 3
"""Dollars by which the legs of MIXES[6] miss the weights that it is in band of."""

Row = tuple[str, Verb, str, str, int | None, bool | None]
"""(strategy, verb, vector, participant, amount_minor, flag)"""


def rows_of(plan: Plan) -> list[Row]:
    """Every row beside its call."""
    calls = {call.number: call for call in plan.calls}
    return [
        (
            calls[number].strategy,
            calls[number].verb,
            vector.text if (vector := calls[number].vector) else "",
            code,
            amount,
            flag,
        )
        for number, code, amount, flag, *_ in plan.rows.rows()
    ]


def agrees_with_the_oracle(world: World) -> None:
    """The engine and the slow planner say the same."""
    expected = oracle.answer(world)
    planned = answer_of(world)
    if isinstance(planned, Refused):
        assert expected.error == planned.code, planned.details
        return
    assert not expected.error
    assert oracle.said_by(planned.plan, expected.removed) == expected
    _caps_agree(world, planned.plan)


def _caps_agree(world: World, plan: Plan) -> None:
    """Money above a cap is found, each way by itself, with its exact amount; nothing else is."""
    found = {
        (each.rule, "into" if " into " in each.subject else "out", Fraction(each.measured))
        for each in plan.findings
        if each.rule in CAP_RULES
    }
    sent = [(verb.value, code, amount) for _, verb, _, code, amount, _ in rows_of(plan)]
    calls = [(call.verb.value, call.amount_minor) for call in plan.calls]
    assert found == oracle.above_caps(world, sent, calls)


def idempotent(world: World) -> None:
    """I1: after everything settled at the same prices there is nothing left to do.

    A partial sell that did not fit the holdings may fit them after the rebalance; it was listed.
    """
    plan = _plan(world)
    if plan is None:
        return
    again = _plan_again(world, plan)
    assert _fresh_rows(world, plan, again) == []
    assert not len(again.forfeits)
    assert all(call.rows for call in again.calls), "a Strategy is created or described once"


def rejected_rows_come_back(world: World, rejected: frozenset[str]) -> None:
    """I4: whoever was rejected, and nobody else, is planned again with the same row."""
    plan = _plan(world)
    if plan is None:
        return
    accepted: Any = Kept(tuple(row for row in plan.rows.rows() if row[1] not in rejected))
    again = _plan_again(world, replace(plan, rows=accepted))
    assert Counter(_fresh_rows(world, plan, again)) == Counter(
        row for row in _fresh_rows(world, plan, plan) if row[3] in rejected
    )


def cash_is_conserved(world: World) -> None:
    """I5: per participant buys less sells are the flow; rebalances net to nothing; calls add up."""
    plan = _plan(world)
    if plan is None:
        return
    settled = {(h.strategy, h.code): h for h in settle(world, plan).holders}
    before = {(h.strategy, h.code): h for h in world.holders}
    flows: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
    left: set[tuple[str, str]] = set()
    for name, verb, _, code, amount, _ in rows_of(plan):
        if verb is Verb.LIQUIDATE:
            left.add((name, code))
        elif amount is not None:
            sign = -1 if verb is Verb.PARTIAL_SELL else 1
            flows[name, code] += sign * Fraction(amount, 100)
    for key, after in settled.items():
        if key in left or set(after.holds) - set(world.prices):
            continue
        was = sum(worth(before[key], world.prices).values()) if key in before else Fraction(0)
        assert abs(sum(worth(after, world.prices).values()) - was - flows[key]) < Fraction(1, 10**6)
    sums: Counter[int] = Counter()
    counts: Counter[int] = Counter()
    for number, _, amount, *_ in plan.rows.rows():
        sums[number] += amount or 0
        counts[number] += 1
    assert all(
        (call.rows, call.amount_minor) == (counts[call.number], sums[call.number])
        for call in plan.calls
    )
    outlay = sum(c.amount_minor for c in plan.calls if c.verb in (Verb.ENROLL, Verb.TOP_UP))
    assert sum(need.needed_minor for need in plan.floats) == outlay
    assert sum(impact.cash_in_minor for impact in plan.impacts) == outlay


def one_direction(world: World) -> None:
    """I6: nobody has money coming in and going out, nor one verb twice, in one plan.

    Where both are allowed it is the partial sell and the top-up that were declared, none netted.
    """
    plan = _plan(world)
    if plan is None:
        return
    verbs: defaultdict[tuple[str, str], list[Verb]] = defaultdict(list)
    for name, verb, _, code, *_ in rows_of(plan):
        verbs[name, code].append(verb)
    flows = {Verb.LIQUIDATE, Verb.PARTIAL_SELL, Verb.TOP_UP, Verb.ENROLL}
    for found in verbs.values():
        assert len(found) == len(set(found))
        together = flows & set(found)
        allowed = world.both_directions == "send" and together == {Verb.PARTIAL_SELL, Verb.TOP_UP}
        assert len(together) <= 1 or allowed
        assert not {Verb.LIQUIDATE, Verb.REBALANCE} <= set(found)


def still_people_are_left_alone(world: World) -> None:
    """I9: who is in band, holds its target and has no flow appears in no trade.

    In band alone is enough, unless the target changed and there is a leg that can be traded.
    """
    plan = _plan(world)
    if plan is None:
        return
    traded = {(row[0], row[3]) for row in rows_of(plan) if row[1] is not Verb.FLAGS}
    strategies = {strategy.name: strategy for strategy in world.strategies}
    live = {(h.strategy, h.code): h for h in world.holders}
    tradable = Fraction(world.minimum_leg) <= OFF_BY
    for said in world.declared:
        key = (said.strategy, said.code)
        has, strategy = live.get(key), strategies[said.strategy]
        if has is None or not has.trader or said.exited:
            continue
        flowless = said.contributed == has.contributed and said.withdrawn == has.withdrawn
        fulfilled = (
            has.target == strategy.targets[said.target].vector.text
            and has.epoch >= strategy.rebalance_epoch
            and strategy.rebalance_on != "drift"
        )
        target = strategy.targets[said.target].vector
        asked = has.target not in (None, target.text) or has.epoch < strategy.rebalance_epoch
        in_band = target == VECTORS[0] and (
            has.holds == holdings_worth(PRICES, **MIXES[0])
            or (has.holds == holdings_worth(PRICES, **MIXES[6]) and not (asked and tradable))
        )
        if flowless and (fulfilled or in_band):
            assert key not in traded


def flags_are_obeyed(world: World) -> None:
    """I10: auto_rebalance false is never rebalanced without an override; lists are explicit."""
    plan = _plan(world)
    if plan is None:
        return
    declared = {(d.strategy, d.code): d for d in world.declared}
    live = {(h.strategy, h.code): h for h in world.holders}
    claims = {s.name: s.live_cohort for s in world.strategies if s.live_cohort}
    for name, verb, _, code, *_ in rows_of(plan):
        if verb is not Verb.REBALANCE:
            continue
        said = declared.get((name, code))
        if said:
            flag = said.flag if "flags" in said.manages else live[name, code].flag
            assert flag or said.overrides_flag
        else:
            claim = claims[name]
            flag = claim.flag if claim.flags and claim.flag is not None else live[name, code].flag
            assert flag or claim.overrides_flag
    assert all(call.rows for call in plan.calls if call.verb not in (Verb.CREATE, Verb.METADATA))


def weights_are_exact(world: World) -> None:
    """I20: weights sum to exactly 1, are plain text, and zero only as a rebalance's named exit."""
    plan = _plan(world)
    if plan is None:
        return
    for call in plan.calls:
        if call.vector is None:
            continue
        parts = [part.split(" ") for part in call.vector.text.split(", ")]
        assets, weights = [asset for asset, _ in parts], [Fraction(text) for _, text in parts]
        assert sum(weights) == 1
        assert all(0 <= weight <= 1 for weight in weights)
        assert assets == sorted(set(assets))
        assert not any("e" in text.lower() for _, text in parts)
        exits = {asset for asset, weight in zip(assets, weights, strict=True) if not weight}
        (strategy,) = (s for s in world.strategies if s.name == call.strategy)
        assert call.verb is Verb.REBALANCE or not exits
        assert any(exits <= set(target.exits) for target in strategy.targets)


def nothing_is_sold_that_is_not_held(world: World) -> None:
    """I23: partial sells fit the holdings, or what their rebalance leaves of them; settling never
    goes below nothing."""
    plan = _plan(world)
    if plan is None:
        return
    live = {(h.strategy, h.code): h for h in world.holders}
    calls = {call.number: call for call in plan.calls if call.verb is Verb.PARTIAL_SELL}
    left = live
    if any(call.after_rebalance for call in plan.calls):
        left = {(h.strategy, h.code): h for h in settle(world, _without_late(plan)).holders}
    for number, code, amount, *_ in plan.rows.rows():
        call = calls.get(number)
        if call is None or call.vector is None:
            continue
        holder = (left if call.after_rebalance else live)[call.strategy, code]
        values = worth(holder, world.prices)
        for asset, weight in call.vector.weights_e18:
            if asset in world.prices or asset not in holder.holds:
                assert Fraction(amount * weight, 100 * 10**18) <= values.get(asset, 0)
    settle(world, plan)


def calls_stand_in_order(world: World) -> None:
    """Calls are numbered through, in the safe order, with slots that follow the chain's head."""
    plan = _plan(world)
    if plan is None:
        return
    assert [call.number for call in plan.calls] == list(range(1, len(plan.calls) + 1))
    names = [call.strategy for call in plan.calls]
    assert names == sorted(names)
    heads = {fence.strategy: fence.head_slot for fence in plan.fences}
    for name in set(names):
        own = [call for call in plan.calls if call.strategy == name]
        places = [
            VERB_ORDER.index(Verb.REBALANCE if call.after_rebalance else call.verb) for call in own
        ]
        assert places == sorted(places)
        waits = [call.after_rebalance for call in own if call.verb is not Verb.FLAGS]
        assert waits == sorted(waits)
        slots = [call.slot for call in own if call.slot is not None]
        assert slots == list(range(heads[name] + 1, heads[name] + 1 + len(slots)))
    assert all(call.rows <= world.per_call for call in plan.calls if call.verb is not Verb.FLAGS)
    # Where flows share vectors the classes depend on each other, and only the total may be tight.
    sharing = {total.strategy for total in plan.totals}
    for certificate in plan.certificates:
        assert certificate.least <= certificate.calls
        late = {call.after_rebalance for call in plan.calls if call.verb is certificate.verb}
        assert certificate.tight or certificate.strategy in sharing or len(late) == 2


def sides_are_obeyed(world: World) -> None:
    """Nothing is sent that sells what may not be sold, or buys what may not be bought."""
    plan = _plan(world)
    if plan is None or not world.sides:
        return
    may_not_buy = {asset for asset, side in world.sides if side != "buy"}
    may_not_sell = {asset for asset, side in world.sides if side != "sell"}
    before = {(h.strategy, h.code): h for h in world.holders}
    flowed = {(h.strategy, h.code): h for h in settle(world, _only_flows(plan)).holders}
    for name, verb, vector, code, *_ in rows_of(plan):
        weights = {part.split(" ")[0]: Fraction(part.split(" ")[1]) for part in _parts(vector)}
        if verb in (Verb.ENROLL, Verb.TOP_UP):
            assert not may_not_buy & set(weights)
        elif verb is Verb.PARTIAL_SELL:
            assert not may_not_sell & set(weights)
        elif verb is Verb.LIQUIDATE:
            assert not may_not_sell & set(before[name, code].holds)
        elif verb is Verb.REBALANCE:
            values = worth(flowed[name, code], world.prices)
            whole = sum(values.values(), Fraction(0))
            for asset in {*weights, *values}:
                move = weights.get(asset, 0) * whole - values.get(asset, 0)
                assert abs(move) < Fraction(1, 10**6) or asset not in (
                    may_not_buy if move > 0 else may_not_sell
                )


def wanted_is_sent_or_listed(world: World) -> None:
    """Every outstanding flow and exit is in a call or blocked with a reason, never both."""
    plan = _plan(world)
    if plan is None:
        return
    flows = (Verb.LIQUIDATE, Verb.PARTIAL_SELL, Verb.TOP_UP, Verb.ENROLL)
    sent = {(row[0], row[3]) for row in rows_of(plan) if row[1] in flows}
    blocked = {(row[0], row[1]) for row in plan.blocked.rows()}
    forfeited = {(row[0], row[1]) for row in plan.forfeits.rows()}
    live = {(h.strategy, h.code): h for h in world.holders}
    for said in world.declared:
        key = (said.strategy, said.code)
        has = live.get(key)
        if "funding" not in said.manages:
            continue
        if said.exited and has and has.trader and not has.exited:
            assert (key in sent) != (key in blocked)
        moved = (has.contributed, has.withdrawn) if has else ("0", "0")
        tolerance = Fraction(has.tolerance) if has else Fraction(0)
        rises = any(
            Fraction(total) - Fraction(before) > tolerance
            for total, before in zip((said.contributed, said.withdrawn), moved, strict=True)
        )
        if rises:
            assert key in sent | forfeited | blocked


def survives_json(world: World) -> None:
    """The binding lines are canonical JSON."""
    planned = answer_of(world)
    if isinstance(planned, Refused):
        return
    for line in planned.lines:
        assert json.dumps(json.loads(line), separators=(",", ":")) == line


LAWS: tuple[Callable[[World], None], ...] = (
    agrees_with_the_oracle,
    idempotent,
    cash_is_conserved,
    one_direction,
    still_people_are_left_alone,
    flags_are_obeyed,
    weights_are_exact,
    nothing_is_sold_that_is_not_held,
    calls_stand_in_order,
    wanted_is_sent_or_listed,
    sides_are_obeyed,
    survives_json,
)


def _parts(vector: str) -> list[str]:
    return vector.split(", ") if vector else []


def _only_flows(plan: Plan) -> Plan:
    """The plan up to its barrier."""
    early = _without_late(plan)
    return replace(early, calls=tuple(c for c in early.calls if c.verb is not Verb.REBALANCE))


def _without_late(plan: Plan) -> Plan:
    """The plan without what stands behind its rebalances."""
    return replace(plan, calls=tuple(call for call in plan.calls if not call.after_rebalance))


def _plan_again(world: World, plan: Plan) -> Plan:
    """The plan after this one settled; there always is one."""
    planned = answer_of(settle(world, plan))
    assert not isinstance(planned, Refused), planned.details
    return planned.plan


def _fresh_rows(world: World, plan: Plan, again: Plan) -> list[Row]:
    """Rows of a second plan that the first could not have: not the partial sells that were listed
    as too large, or were, nor the top-ups that go with them or not at all; nor flags that nobody
    saw, of Traders that were not listed before they were topped up; nor rebalances of whom a list
    showed and the provider called not enrolled: what they hold is known once they are."""
    listed = {(h.strategy, h.code) for h in world.holders if h.trader}
    enrolled = {(row[0], row[3]) for row in rows_of(plan) if row[1] is Verb.ENROLL}
    topped = {(row[0], row[3]) for row in rows_of(plan) if row[1] is Verb.TOP_UP}
    waited = refused(world, plan) | {
        (name, code)
        for name, code, reason, *_ in plan.blocked.rows()
        if reason == "partial_sell_infeasible"
    }
    return [
        row
        for row in rows_of(again)
        if not (row[1] in (Verb.PARTIAL_SELL, Verb.TOP_UP) and (row[0], row[3]) in waited)
        and not (row[1] is Verb.FLAGS and (row[0], row[3]) in topped - listed)
        and not (row[1] is Verb.REBALANCE and (row[0], row[3]) in enrolled & listed)
    ]


def _plan(world: World) -> Plan | None:
    planned = answer_of(world)
    return None if isinstance(planned, Refused) else planned.plan
