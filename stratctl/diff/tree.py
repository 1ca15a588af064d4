"""Strategies: tens of nested documents, compared one by one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stratctl.core.change import StrategyChange
from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import InputError

if TYPE_CHECKING:
    from stratctl.core.state import Desired, DesiredStrategy, Live, LiveStrategy

_DIGITS_MAX = 64
"""Decimals to which two numbers of metadata are compared."""


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
    declared = _parsed(desired.metadata_json)
    present = _parsed(live.metadata_json or "{}")
    merged = {**present, **declared}
    wanted = _canonical(merged)
    if wanted == _canonical(present) or not _differ(present, merged):
        return None
    return wanted


def _differ(present: Any, merged: Any) -> bool:
    # Importing it takes longer than most plans, and mostly the same text is declared again.
    from deepdiff import DeepDiff

    return bool(
        DeepDiff(present, merged, ignore_numeric_type_changes=True, significant_digits=_DIGITS_MAX)
    )


def _parsed(text: str) -> Any:
    """JSON whose numbers keep every digit: other people's metadata is sent back as it was."""
    return json.loads(text, parse_float=Decimal)


def _canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no blanks, exact numbers."""
    if isinstance(value, dict):
        members = (f"{json.dumps(key)}:{_canonical(value[key])}" for key in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def _currency_changed(desired: DesiredStrategy, live: LiveStrategy) -> Diagnostic:
    return Diagnostic(
        code="E_CURRENCY_CHANGED",
        summary="the quoted currency of a Strategy cannot change",
        detail=f"{desired.name} exists in {live.quoted_currency}"
        f" and is declared in {desired.quoted_currency}",
        hint="declare a new Strategy under another name",
        span=desired.span,
    )
