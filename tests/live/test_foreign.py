"""Operations that are not ours: counted in full, and said."""

from __future__ import annotations

import pytest

from stratctl.core.event import Execution, Instruction
from stratctl.core.state import LiveOperation
from stratctl.live.accounting import Counted, count_operation, merged


def _top_up(slot: int | None) -> tuple[LiveOperation, Execution]:
    leg = Instruction("BTC", "buy", "50.00", "notional", "executed", "", "1", "50", "50.00", ())
    operation = LiveOperation("o", "r", "top_up", "settled", "", (), "2026-01-01T00:00:00Z", slot)
    return operation, Execution("e", "o", "P00001", "settled", "", (leg,))


@pytest.mark.parametrize(("slot", "foreign"), [(None, True), (3, False)])
def test_a_settled_operation_says_whether_it_is_foreign(slot: int | None, foreign: bool) -> None:
    """What others moved stays marked after it has settled; what we moved never is."""
    operation, execution = _top_up(slot)

    (row,) = count_operation(operation, [execution], "USD", in_flight=False).rows

    assert (row.contributed_minor, row.busy, row.foreign) == (5000, None, foreign)


def test_one_foreign_operation_marks_the_whole_row() -> None:
    """A participant that others touched once stays touched, whatever we did besides."""
    (row,) = merged([Counted("P00001", 100, foreign=True), Counted("P00001", 50)])

    assert row.foreign
    assert row.contributed_minor == 150
