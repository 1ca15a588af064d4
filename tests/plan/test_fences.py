"""I26: what a plan binds. Whatever moves it makes another digest; what only explains does not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stratctl.core.errors import PlanStale
from stratctl.core.plan import Fence, Plan
from stratctl.core.state import LiveOperation
from stratctl.pipeline import ceiling
from tests.plan.planned import Bench
from tests.worlds import Declared, Holder, World, holdings_worth, strategy

_bench = Bench()


def operation(number: int, slot: int | None) -> LiveOperation:
    """An Operation that settled."""
    return LiveOperation(f"op-{number}", f"id-{number}", "top_up", "settled", "", (), "", slot)


BASE = World(
    declared=[Declared("P1", "1500"), Declared("P2")],
    holders=[Holder("P1", holdings_worth(BTC="500", ETH="300", SOL="200"))],
    operations={"blue": (operation(1, 1), operation(2, None))},
)
OTHERS = {
    "one more call of ours": replace(
        BASE, operations={"blue": (operation(1, 1), operation(2, None), operation(3, 2))}
    ),
    "one more foreign operation": replace(
        BASE, operations={"blue": (operation(1, 1), operation(2, None), operation(3, None))}
    ),
    "another amount": replace(BASE, declared=[Declared("P1", "1500.01"), Declared("P2")]),
    "one more participant": replace(BASE, declared=[*BASE.declared, Declared("P3")]),
    "another flag": replace(BASE, declared=[Declared("P1", "1500"), Declared("P2", flag=False)]),
    "another epoch": replace(BASE, strategies=[strategy(rebalance_epoch=1)]),
    "another size of calls": replace(BASE, declared=[*BASE.declared, Declared("P3")], per_call=1),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_bound_changes_the_digest(other: World) -> None:
    """Fences, calls, amounts, flags and epochs are what an approval approves."""
    assert _plan(other).digest != _base().digest


@pytest.mark.parametrize(
    "change",
    [
        {"commit": "d" * 40},
        {"configuration": "1" * 64},
        {"generation": 7},
        {"realm": "cert"},
        {"environment": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_where_it_comes_from_is_bound(change: dict[str, object]) -> None:
    """Commit, configuration, generation, realm and environment are bound too."""
    plan = _base()
    assert replace(plan, **change).digest != plan.digest  # type: ignore[arg-type]  # the changed field varies by case


def test_prices_explain_and_bind_nothing() -> None:
    """Where prices decide no row, other prices make the same plan."""
    dearer = replace(BASE, prices={**BASE.prices, "BTC": "61000"})
    assert _plan(dearer).prices != _base().prices
    assert _plan(dearer).digest == _base().digest


def test_the_fence_is_our_head_and_foreign_operations_where_money_is_managed() -> None:
    """Cohorts that align baskets only expect foreign operations."""
    (fence,) = _base().fences
    assert (fence.head_slot, fence.foreign) == (1, ("op-2",))
    aligned = replace(
        BASE, declared=[replace(d, manages=("allocations", "flags")) for d in BASE.declared]
    )
    (fence,) = _plan(aligned).fences
    assert (fence.head_slot, fence.foreign) == (1, ())


def test_slots_and_ids_are_predicted_after_the_head() -> None:
    """The first trading call takes the slot after our last; a new Strategy knows none."""
    plan = _base()
    assert [call.slot for call in plan.calls] == [2, 3]
    assert all(_id(plan, number) for number in range(2))
    new = replace(BASE, holders=[], absent=("blue",), operations={})
    calls = _plan(new).calls
    assert [(call.verb.value, call.slot) for call in calls] == [("create", None), ("enroll", None)]
    assert [_id(_plan(new), number) is None for number in range(2)] == [False, True]


FENCES = st.builds(
    Fence,
    st.just("blue"),
    st.sampled_from((None, "id-1", "id-2")),
    st.integers(0, 3),
    st.sampled_from(((), ("op-1",), ("op-1", "op-2"))),
)
SLOTS = st.frozensets(st.tuples(st.sampled_from(("id-1", "id-2")), st.integers(1, 3)))
CALM, MOVED = Fence("blue", "id-1", 1, ()), Fence("blue", "id-1", 2, ())


@given(FENCES, FENCES, SLOTS)
@example(CALM, CALM, frozenset())
@example(CALM, MOVED, frozenset())
@example(CALM, MOVED, frozenset({("id-1", 2)}))
def test_whatever_moved_behind_a_fence_refuses(
    approved: Fence, now: Fence, own: frozenset[tuple[str, int]]
) -> None:
    """I26: another Strategy, call or foreign operation is stale; only one's own run may move it."""
    refused_when_moved(approved, now, own)


def refused_when_moved(approved: Fence, now: Fence, own: frozenset[tuple[str, int]]) -> None:
    """What I26 says of one Strategy, where it was approved and where it is applied."""
    moved = set(range(approved.head_slot + 1, now.head_slot + 1))
    ours = {slot for strategy_id, slot in own if strategy_id == now.strategy_id}
    created = approved.strategy_id is None
    same = (created or approved.strategy_id == now.strategy_id) and approved.foreign == now.foreign
    fits = same and approved.head_slot <= now.head_slot and moved <= ours
    try:
        ceiling.refuse_moved_fences(_fenced(approved), _fenced(now), own)
    except PlanStale:
        assert not fits
    else:
        assert fits


def test_the_law_notices_a_fence_that_nobody_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a chain that moved is as good as one that did not."""
    monkeypatch.setattr(ceiling, "_refuse_moved", lambda *fences: None)
    with pytest.raises(AssertionError):
        refused_when_moved(CALM, MOVED, frozenset())


@cache
def _base() -> Plan:
    return _plan(BASE)


def _plan(world: World) -> Plan:
    return world.plan(_bench.space())


def _fenced(fence: Fence) -> Plan:
    return replace(_base(), fences=(fence,))


def _id(plan: Plan, number: int) -> str | None:
    return plan.request_id(plan.calls[number])
