"""What moved is rebuilt from Executions, and never too low."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.event import Execution, Instruction
from stratctl.core.state import LiveOperation
from stratctl.live.accounting import FOREIGN, MIXED, PENDING, Counted, count_operation, merged

ASSETS = ("BTC", "ETH", "SOL", "ADA", "XRP")


def operation(
    type_: str = "top_up", status: str = "settled", slot: int | None = 1, reason: str = ""
) -> LiveOperation:
    """An Operation of ours, done, unless said otherwise."""
    return LiveOperation("op", "req", type_, status, reason, (), "2026-01-01T00:00:00Z", slot)


def leg(
    amount: str, status: str = "executed", side: str = "buy", notional: str = ""
) -> Instruction:
    """One leg."""
    kind = "notional" if side == "buy" else "quantity"
    return Instruction("BTC", side, amount, kind, status, "", "", "", notional, ())


def execution(status: str, *legs: Instruction, reason: str = "", code: str = "CUST01") -> Execution:
    """One participant's Execution."""
    return Execution(f"ex-{code}", "op", code, status, reason, legs)


def count_one(operation: LiveOperation, *executions: Execution, in_flight: bool = False) -> Counted:
    """The only row of an Operation that counts without a problem."""
    count = count_operation(operation, executions, "USD", in_flight=in_flight)
    assert not count.problem
    (row,) = count.rows
    return row


CASES = [
    # type, Execution, (contributed, withdrawn, tolerance, busy, exited)
    ("top_up", execution("settled", leg("33.33"), leg("66.66")), (9999, 0, 2, None, False)),
    ("enrollment", execution("settled", leg("100.00")), (10000, 0, 1, None, False)),
    ("top_up", execution("rejected", reason="insufficient_funds"), (0, 0, 0, None, None)),
    ("top_up", execution("rejected", leg("5.00", "pending")), (0, 0, 0, None, None)),
    ("top_up", execution("skipped", leg("5.00", "skipped")), (0, 0, 0, None, None)),
    (
        "top_up",
        execution("settled", leg("60.00"), leg("40.00", "skipped")),
        (6000, 0, 1, None, False),
    ),
    ("top_up", execution("settled", leg("40.00", "skipped")), (0, 0, 0, None, None)),
    (
        "top_up",
        execution("settled", leg("60.00"), leg("40.00", "failed")),
        (10000, 0, 2, MIXED, None),
    ),
    ("top_up", execution("settled", leg("40.00", "failed")), (4000, 0, 1, MIXED, None)),
    ("top_up", execution("settled", leg("4.00", "pending")), (400, 0, 1, MIXED, None)),
    (
        "top_up",
        execution("rejected", leg("60.00"), leg("40.00", "failed")),
        (10000, 0, 2, MIXED, None),
    ),
    ("top_up", execution("awaiting_execution", leg("7.00", "pending")), (700, 0, 1, PENDING, None)),
    ("top_up", execution("under_review", leg("7.00")), (700, 0, 1, PENDING, None)),
    ("top_up", execution("settled", leg("0.001")), (1, 0, 1, None, False)),
    (
        "partial_sell",
        execution("settled", leg("0.1", side="sell", notional="98.50")),
        (0, 9850, 198, None, None),
    ),
    (
        "partial_sell",
        execution("awaiting_execution", leg("0.1", "pending", side="sell")),
        (0, 0, 1, PENDING, None),
    ),
    (
        "liquidation",
        execution("settled", leg("1", side="sell", notional="5.00")),
        (0, 0, 0, None, True),
    ),
    ("liquidation", execution("skipped", reason="no_holdings"), (0, 0, 0, None, True)),
    ("liquidation", execution("rejected", reason="trader_not_found"), (0, 0, 0, None, None)),
    (
        "liquidation",
        execution("settled", leg("1", side="sell"), leg("1", "failed", side="sell")),
        (0, 0, 0, MIXED, None),
    ),
    ("rebalance", execution("settled", leg("1", side="sell"), leg("5.00")), (0, 0, 0, None, None)),
    ("rebalance", execution("settled", leg("5.00"), leg("1", "skipped")), (0, 0, 0, None, None)),
    ("rebalance", execution("awaiting_execution"), (0, 0, 0, PENDING, None)),
]


@pytest.mark.parametrize(("kind", "part", "expected"), CASES)
def test_what_one_execution_counts(
    kind: str, part: Execution, expected: tuple[int, int, int, str | None, bool | None]
) -> None:
    """The table of statuses and legs, for every type of Operation."""
    row = count_one(operation(kind), part)
    shown = (row.contributed_minor, row.withdrawn_minor, row.tolerance_minor, row.busy, row.exited)
    assert shown == expected


def test_a_foreign_operation_counts_alike_and_says_whose_it_is() -> None:
    """In flight its rows are busy as foreign; afterwards they only count; mixed stays mixed."""
    waiting = execution("awaiting_execution", leg("7.00", "pending"))
    row = count_one(operation(status="pricing", slot=None), waiting)
    assert (row.contributed_minor, row.busy) == (700, FOREIGN)
    row = count_one(operation(slot=None), execution("settled", leg("7.00")))
    assert (row.contributed_minor, row.busy) == (700, None)
    mixed = execution("settled", leg("7.00"), leg("1.00", "failed"))
    assert count_one(operation(slot=None), mixed).busy == MIXED


def test_what_was_in_flight_during_the_read_stays_busy() -> None:
    """Holdings may have been read before it settled."""
    row = count_one(operation(), execution("settled", leg("7.00")), in_flight=True)
    assert (row.contributed_minor, row.busy) == (700, PENDING)


PROBLEMS = [
    (operation(status="settling"), [execution("settled", leg("1.00"))], "E_OPERATION_OPEN"),
    (operation(status="under_review"), [execution("settled", leg("1.00"))], "E_OPERATION_OPEN"),
    (operation(status="validating", slot=None), [], "E_OPERATION_OPEN"),
    (operation(), [], "E_EXECUTION_SET"),
    (operation(), [execution("settled", leg("1.00"))] * 2, "E_EXECUTION_SET"),
    (operation(), [execution("settled")], "E_OPERATION_OPAQUE"),
    (operation(), [execution("awaiting_execution")], "E_OPERATION_OPAQUE"),
    (operation(), [execution("settled", leg("1e3"))], "E_OPERATION_OPAQUE"),
    (operation(), [execution("settled", leg("-1.00"))], "E_OPERATION_OPAQUE"),
    (operation(), [execution("settled", leg("0.1", side="sell"))], "E_OPERATION_OPAQUE"),
    (
        operation("partial_sell"),
        [execution("settled", leg("1", side="sell", notional="x"))],
        "E_OPERATION_OPAQUE",
    ),
    (operation("swap"), [execution("settled", leg("1.00"))], "E_OPERATION_TYPE"),
]


@pytest.mark.parametrize(("what", "parts", "code"), PROBLEMS)
def test_what_cannot_be_counted_stops_the_strategy(
    what: LiveOperation, parts: Sequence[Execution], code: str
) -> None:
    """Not knowing whom or how much is a problem, never a zero; rows that are named are busy."""
    count = count_operation(what, parts, "USD", in_flight=False)
    assert count.problem.startswith(code)
    if code == "E_OPERATION_OPAQUE":
        assert [row.busy for row in count.rows] == [PENDING]


def test_no_executions_is_a_complete_answer() -> None:
    """An Operation that says it has none needs none."""
    count = count_operation(
        operation(status="skipped", reason="no_executions"), [], "USD", in_flight=False
    )
    assert (count.rows, count.problem) == ((), "")


def test_merging_adds_up_and_the_last_word_on_exits_wins() -> None:
    """Totals add, the worst reason to be busy stays, and the newest sale or purchase decides."""
    rows = merged(
        [
            Counted("B", 100, 0, 1, FOREIGN, True),
            Counted("A", 5),
            Counted("B", 50, 7, 2, PENDING, False),
            Counted("B", 0, 0, 0, None, None),
        ]
    )
    assert rows == (Counted("A", 5), Counted("B", 150, 7, 3, PENDING, False))
    assert merged([Counted("A", busy=MIXED), Counted("A", busy=PENDING)])[0].busy == MIXED


@st.composite
def buys(draw: st.DrawFn) -> tuple[int, Execution]:
    """A requested amount in cents and an Execution of it, its legs cut in any plausible way."""
    requested = draw(st.integers(1, 10**9))
    weights = draw(st.lists(st.integers(1, 100), min_size=1, max_size=5))
    legs = [requested * weight // sum(weights) for weight in weights]
    if draw(st.booleans()):
        legs[0] += requested - sum(legs)
    status = draw(st.sampled_from(["settled", "rejected", "skipped", "awaiting_execution", "odd"]))
    kinds = ["executed", "skipped", "failed", "pending", "odd"]
    statuses = draw(
        st.lists(st.sampled_from(kinds), min_size=len(legs), max_size=len(legs))
        | st.just(["executed"] * len(legs))
    )
    parts = [
        leg(f"{amount // 100}.{amount % 100:02d}", state)
        for amount, state in zip(legs, statuses, strict=True)
    ]
    return requested, execution(status, *parts)


@given(buys(), st.booleans())
def test_settled_and_pending_never_count_too_low(buy: tuple[int, Execution], ours: bool) -> None:
    """Whatever moved or may still move is in the total, to a minor unit per leg."""
    requested, part = buy
    count = count_operation(operation(slot=1 if ours else None), [part], "USD", in_flight=False)
    (row,) = count.rows
    executed = [each for each in part.instructions if each.status == "executed"]
    moved = sum(int(Decimal(each.amount) * 100) for each in executed)
    counted = row.contributed_minor
    assert counted >= moved
    open_legs = any(each.status in ("pending", "odd") for each in part.instructions)
    may_move = part.status in ("awaiting_execution", "odd") or (
        part.status == "settled" and open_legs
    )
    if may_move:
        assert counted + row.tolerance_minor >= requested
        assert row.busy
    if len(executed) == len(part.instructions):
        assert abs(counted - requested) <= row.tolerance_minor
    if part.status in ("rejected", "skipped") and not executed:
        assert counted == 0


def test_canary_a_count_without_pending_is_too_low() -> None:
    """The law above would catch an accounting that leaves open Executions out."""
    part = execution("awaiting_execution", leg("7.00", "pending"))
    executed = [each for each in part.instructions if each.status == "executed"]
    assert sum(int(Decimal(each.amount) * 100) for each in executed) < 700
    assert count_one(operation(), part).contributed_minor == 700


@pytest.mark.parametrize(
    ("changes", "legs", "expected"),
    [
        ({}, ["executed", "skipped"], 1767225600),
        ({"created_at": "2026-01-01T01:00:00+01:00"}, ["executed"], 1767225600),
        ({"created_at": "2026-01-01T00:00:00"}, ["executed"], 1767225600),
        ({"created_at": "yesterday"}, ["executed"], None),
        ({}, ["skipped"], None),
        ({}, ["executed", "failed"], None),
        ({"slot": None}, ["executed"], None),
        ({"type": "top_up"}, ["executed"], None),
    ],
)
def test_a_rebalance_of_ours_that_traded_says_when(
    changes: dict[str, Any], legs: list[str], expected: int | None
) -> None:
    """Nobody rests after trades of others, after none, or since a time that cannot be read."""
    what = replace(operation("rebalance"), **changes)
    part = execution("settled", *(leg("5.00", status) for status in legs))
    assert count_one(what, part).rebalanced_at == expected


def test_the_last_rebalance_counts() -> None:
    """Operations come oldest first, and one that says nothing takes nothing back."""
    (row,) = merged(
        [
            Counted("A", rebalanced_at=1),
            Counted("A", rebalanced_at=2),
            Counted("A", contributed_minor=5),
        ]
    )
    assert row.rebalanced_at == 2
