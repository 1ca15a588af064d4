"""Contributions that no enrolment can carry."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.money import (
    PRICE_DIGITS,
    WEIGHT_ONE_E18,
    format_amount,
    format_units,
    format_weight,
    minor_digits,
)
from stratctl.lint.places import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stratctl.core.settings import Configuration, Policy
    from stratctl.core.state import DesiredStrategy, Vector

LEAST_ROWS = {"strategy": "VARCHAR", "target": "INTEGER", "least_minor": "BIGINT"}
"""Per target the smallest contribution that enrolls."""


def too_small_to_enroll(rows: Rows, configuration: Configuration) -> list[Diagnostic]:
    """Participants whose whole contribution is below what the policy's minimums let enroll.

    What is held, exited, or not funded and enrolled from here is left out.
    """
    policy = configuration.policy
    strategies = {strategy.name: strategy for strategy in configuration.desired.strategies}
    least = [
        (name, index, _least_minor(policy, strategy, target.vector))
        for name, strategy in strategies.items()
        for index, target in enumerate(strategy.targets)
    ]
    space = rows.table.workspace
    leasts = space.table("enroll_least", LEAST_ROWS, list(zip(*least, strict=True)))
    sql = f"""
        SELECT file, line, strategy, participant_code, target, contributed_minor
        FROM {rows.table} JOIN {leasts} USING (strategy, target)
        WHERE contributed_minor < least_minor
          AND manages_membership AND manages_funding AND NOT exited AND NOT held"""

    def telling(name: str, code: str, target: int, amount_minor: int) -> tuple[str, str]:
        strategy = strategies[name]
        vector, currency = strategy.targets[target].vector, strategy.quoted_currency
        short = ", ".join(_shortfalls(policy, vector, currency, amount_minor))
        enough = format_amount(_least_minor(policy, strategy, vector), currency)
        detail = f"{code} contributes {currency} {format_amount(amount_minor, currency)}: {short}"
        return detail, f"contribute at least {enough}, or lower minimums in the policy"

    found = rows.findings("W_LEG_MINIMUM", sql, telling)
    space.run(f"DROP TABLE {leasts}")
    return found


def _least_minor(policy: Policy, strategy: DesiredStrategy, vector: Vector) -> int:
    currency = strategy.quoted_currency
    return max(policy.flow_least_minor(vector, currency), policy.account_least_minor(currency))


def _shortfalls(policy: Policy, vector: Vector, currency: str, amount_minor: int) -> Iterator[str]:
    """Each minimum that the amount does not reach, with both figures."""
    amount_e8 = amount_minor * 10 ** (PRICE_DIGITS - minor_digits(currency))
    for asset, weight_e18 in vector.weights_e18:
        leg_e8 = Fraction(amount_e8 * weight_e18, WEIGHT_ONE_E18)
        if leg_e8 < (least_e8 := policy.leg_minimum_e8(asset)):
            part = f"{asset} {format_weight(weight_e18)} gets {_money(int(leg_e8))}"
            yield f"{part} and needs {_money(least_e8)}"
    if amount_e8 < policy.minimum_account_e8:
        yield f"an account needs {_money(policy.minimum_account_e8)}"


def _money(amount_e8: int) -> str:
    return format_units(amount_e8, PRICE_DIGITS, least=2)
