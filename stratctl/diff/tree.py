"""Strategies: tens of nested documents, compared one by one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from stratctl.core.change import StrategyChange
from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import InputError

if TYPE_CHECKING:
    from stratctl.core.state import Desired, DesiredStrategy, Live, LiveStrategy


def strategy_changes(desired: Desired, live: Live) -> tuple[StrategyChange, ...]:
    """Pair each declared Strategy with its live one. Raises InputError for a changed currency."""
    by_name = {strategy.name: strategy for strategy in live.strategies}
    problems = [
        _currency_changed(strategy, found)
        for strategy in desired.strategies
        if (found := by_name.get(strategy.name))
        and found.id
        and found.quoted_currency != strategy.quoted_currency
    ]
    if problems:
        raise InputError(problems)
    return tuple(
        StrategyChange(strategy, found, _metadata_to_send(strategy, found))
        for strategy in desired.strategies
        for found in [by_name.get(strategy.name)]
    )


def _metadata_to_send(desired: DesiredStrategy, live: LiveStrategy | None) -> str | None:
    """Declared keys merged over live's, when that changes anything; None of the keys are ours.

    A PATCH replaces the whole value, so keys that others wrote are read and sent back. Values are
    compared by meaning: key order and equal numbers are no difference.
    """
    if desired.metadata_json is None or live is None:
        return None
    from deepdiff import DeepDiff

    declared = json.loads(desired.metadata_json)
    present = json.loads(live.metadata_json or "{}")
    merged = {**present, **declared}
    if not DeepDiff(present, merged, ignore_numeric_type_changes=True):
        return None
    return json.dumps(merged, ensure_ascii=True, separators=(",", ":"), sort_keys=True)


def _currency_changed(desired: DesiredStrategy, live: LiveStrategy) -> Diagnostic:
    return Diagnostic(
        code="E_CURRENCY_CHANGED",
        summary="The quoted currency of a Strategy cannot change",
        detail=f"{desired.name} exists in {live.quoted_currency}"
        f" and is declared in {desired.quoted_currency}.",
        hint="Declare a new Strategy under another name.",
        span=desired.span,
    )
