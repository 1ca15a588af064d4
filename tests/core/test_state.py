"""The shared words of both states refuse what is not exact and never guess what is not known."""

from __future__ import annotations

import pytest

from stratctl.core.state import (
    OPERATION_TYPES,
    TERMINAL,
    TRADING_VERBS,
    LiveOperation,
    LiveStrategy,
    Target,
    Vector,
)

ONE = 10**18


@pytest.mark.parametrize(
    "weights",
    [
        (("BTC", ONE - 1),),
        (("BTC", ONE), ("ETH", 1)),
        (("ETH", ONE // 2), ("BTC", ONE // 2)),
        (("BTC", ONE // 2), ("BTC", ONE // 2)),
        (("BTC", 2 * ONE), ("ETH", -ONE)),
        (),
    ],
    ids=["too little", "too much", "descending", "twice", "negative", "nothing"],
)
def test_a_vector_that_is_not_exactly_one_whole_cannot_be(
    weights: tuple[tuple[str, int], ...],
) -> None:
    """Weights sum to exactly 1 by ascending, unique assets, or there is no vector."""
    with pytest.raises(AssertionError):
        Vector(weights)


def test_named_exits_join_a_rebalance_at_zero() -> None:
    """An exit is a word of the rebalance only, and an allocated asset is no exit."""
    target = Target(Vector((("BTC", ONE),)), ("SOL", "BTC", "ETH"))
    assert target.vector.text == "BTC 1"
    assert target.rebalance_vector.text == "BTC 1, ETH 0, SOL 0"


def operation(status: str, slot: int | None = None) -> LiveOperation:
    """An Operation with this status."""
    return LiveOperation("id", "request", "top_up", status, "", (), "", slot)


@pytest.mark.parametrize(
    "status", ["validating", "pricing", "settling", "", "SETTLED", "cancelled", "partial_success"]
)
def test_what_is_not_known_to_be_over_is_not_over(status: str) -> None:
    """An unknown status is never terminal, however final it sounds."""
    assert not operation(status).terminal


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_known_ends_are_ends(status: str) -> None:
    """Settled, skipped and failed are over."""
    assert operation(status).terminal


def test_only_our_own_operations_count_for_the_chain() -> None:
    """The head is the highest slot of ours; a stranger's Operation has none."""
    own = (operation("settled", 1), operation("new status", 3), operation("settled"))
    strategy = LiveStrategy("id", "blue", "", "USD", None, "", own)
    assert strategy.head_slot == 3
    assert LiveStrategy("id", "blue", "", "USD", None, "", ()).head_slot == 0


def test_every_trading_verb_has_its_operation_type() -> None:
    """The five types of the provider and our five trading verbs are the same five."""
    assert sorted(OPERATION_TYPES.values()) == sorted(TRADING_VERBS)
