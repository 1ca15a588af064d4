"""What decided: settings with their lines, and guards with their measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from stratctl.core.explanation import GuardCheck, Rule
from stratctl.core.money import format_ratio
from stratctl.core.settings import CAP_RULES
from stratctl.core.state import Verb
from stratctl.plan.guards import limit_of

if TYPE_CHECKING:
    from fractions import Fraction

    from stratctl.core.diagnostic import Settings
    from stratctl.core.plan import Call
    from stratctl.core.state import DesiredStrategy
    from stratctl.plan.workings import Workings

FLOW_VERBS = (Verb.PARTIAL_SELL, Verb.TOP_UP, Verb.ENROLL)

COUNTED_BY: Mapping[Verb, tuple[str, ...]] = {
    Verb.LIQUIDATE: ("liquidations", "turnover"),
    Verb.PARTIAL_SELL: (*CAP_RULES, "turnover", "partial_sell_share"),
    Verb.TOP_UP: ("cash_in", *CAP_RULES, "avoidable_sells", "float"),
    Verb.ENROLL: ("cash_in", *CAP_RULES, "float"),
    Verb.REBALANCE: ("asset_exits", "turnover"),
}
"""The guards that measure what a verb does."""


def strategies(workings: Workings) -> dict[str, DesiredStrategy]:
    """Declared Strategies by their names."""
    return {change.desired.name: change.desired for change in workings.changes.strategies}


def rule(name: str, value: str, settings: Settings) -> Rule:
    """A setting with its place among those that somebody wrote."""
    return Rule(name, value, dict(settings).get(name))


def bands(strategy: DesiredStrategy, policy: Settings) -> tuple[Rule, ...]:
    """The bands of a Strategy, its own before the policy's."""
    return tuple(_drift(name, strategy, policy) for name in ("absolute", "relative", "portfolio"))


def to_the_edge(strategy: DesiredStrategy, policy: Settings) -> tuple[Rule, ...]:
    """Why a rebalance ends where it does, when that is not the target."""
    return (
        rule("destination", "edge", policy),
        _drift("hysteresis", strategy, policy),
    )


def _drift(name: str, strategy: DesiredStrategy, policy: Settings) -> Rule:
    """A setting of ``drift``, a Strategy's own before the policy's."""
    value: Fraction = getattr(strategy.drift, name)
    own = dict(strategy.settings).get(f"policy.drift.{name}")
    return Rule(f"drift.{name}", format_ratio(value), own or dict(policy).get(f"drift.{name}"))


def guards_of(workings: Workings, calls: Sequence[Call]) -> tuple[GuardCheck, ...]:
    """The guards that count these calls, and every other one that stops the plan they are in."""
    if not calls:
        return ()
    rules = {rule for call in calls for rule in COUNTED_BY.get(call.verb, ())}
    if not any(call.vector and 0 in dict(call.vector.weights_e18).values() for call in calls):
        rules.discard("asset_exits")
    stopping = {finding.rule for finding in workings.plan.findings if finding.stops}
    return checks(workings, rules | stopping)


def checks(workings: Workings, rules: Iterable[str]) -> tuple[GuardCheck, ...]:
    """What these guards measured, above their limits or not."""
    exceeded = {(one.rule, one.subject): one for one in workings.plan.findings}
    wanted = set(rules)
    found = []
    for measure in workings.measured:
        if measure.rule in wanted:
            limit, setting = limit_of(measure, workings.configuration)
            finding = exceeded.get((measure.rule, measure.subject))
            found.append(
                GuardCheck(
                    rule=measure.rule,
                    subject=measure.subject,
                    measured=measure.text,
                    limit=format_ratio(limit),
                    setting=setting,
                    exceeded=finding is not None,
                    acknowledged_by=finding.acknowledged_by if finding else "",
                )
            )
    return tuple(found)
