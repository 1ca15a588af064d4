"""I26: what a plan binds. Whatever moves it makes another digest; what only explains does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stratctl.core.plan import Plan
from stratctl.core.state import LiveOperation
from tests.worlds import Declared, Holder, World, holdings_worth, strategy


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
    assert other.plan().digest != BASE.plan().digest


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
    plan = BASE.plan()
    assert replace(plan, **change).digest != plan.digest  # type: ignore[arg-type]  # the changed field varies by case


def test_prices_explain_and_bind_nothing() -> None:
    """Where prices decide no row, other prices make the same plan."""
    dearer = replace(BASE, prices={**BASE.prices, "BTC": "61000"})
    assert dearer.plan().prices != BASE.plan().prices
    assert dearer.plan().digest == BASE.plan().digest


def test_the_fence_is_our_head_and_foreign_operations_where_money_is_managed() -> None:
    """Cohorts that align baskets only expect foreign operations."""
    (fence,) = BASE.plan().fences
    assert (fence.head_slot, fence.foreign) == (1, ("op-2",))
    aligned = replace(
        BASE, declared=[replace(d, manages=("allocations", "flags")) for d in BASE.declared]
    )
    (fence,) = aligned.plan().fences
    assert (fence.head_slot, fence.foreign) == (1, ())


def test_slots_and_ids_are_predicted_after_the_head() -> None:
    """The first trading call takes the slot after our last; a new Strategy knows none."""
    plan = BASE.plan()
    assert [call.slot for call in plan.calls] == [2, 3]
    assert all(_id(plan, number) for number in range(2))
    new = replace(BASE, holders=[], absent=("blue",), operations={})
    calls = new.plan().calls
    assert [(call.verb.value, call.slot) for call in calls] == [("create", None), ("enroll", None)]
    assert [_id(new.plan(), number) is None for number in range(2)] == [False, True]


def _id(plan: Plan, number: int) -> str | None:
    return plan.request_id(plan.calls[number])
