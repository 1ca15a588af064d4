"""Approved calls -> events, one generator per Strategy: nothing is sent before it is durable.

The generators yield each event and go on only with its receipt. Who drives them makes events
durable; who is handed in as the writer talks to the provider. Nothing here does either.
"""

from collections.abc import Callable, Generator
from typing import TypeVar

from stratctl.apply.recovery import recover
from stratctl.apply.strategy import apply_strategy
from stratctl.apply.words import (
    Breaker,
    CallWork,
    Pace,
    Recovered,
    Signed,
    StrategyResult,
    StrategyWork,
    TraderRef,
    Writer,
)
from stratctl.core.event import Event, Receipt

__all__ = [
    "Breaker",
    "CallWork",
    "Pace",
    "Recovered",
    "Signed",
    "StrategyResult",
    "StrategyWork",
    "TraderRef",
    "Writer",
    "apply_strategy",
    "drive",
    "recover",
]

R = TypeVar("R")


def drive(steps: Generator[Event, Receipt, R], append: Callable[[Event], Receipt]) -> R:
    """Make each event durable with ``append`` and hand its receipt back, to the end.

    An ``append`` that raises ends the steps: what it would have announced is never sent.
    """
    try:
        event = next(steps)
        while True:
            event = steps.send(append(event))
    except StopIteration as ended:
        result: R = ended.value
        return result
    finally:
        steps.close()
