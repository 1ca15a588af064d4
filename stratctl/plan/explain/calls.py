"""One call: who is in it and why they share it, what it trades, and which limits count it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.explanation import CallExplanation
from stratctl.core.money import PRICE_DIGITS, minor_digits
from stratctl.core.state import TRADING_VERBS, Verb
from stratctl.plan.explain.rules import FLOW_VERBS, guards_of, rule, strategies, to_the_edge
from stratctl.plan.impact import turnover_by_asset
from stratctl.plan.rebalance import LEG_ROWS

if TYPE_CHECKING:
    from stratctl.core.plan import Call
    from stratctl.plan.workings import Workings

SHOWN_MAX = 20
"""Participants of a call that are named."""


def explained_call(workings: Workings, call: Call) -> CallExplanation:
    """A call, who shares it, and why they do."""
    plan = workings.plan
    space = plan.rows.workspace
    reasons = space.rows(
        f"SELECT coalesce(reason, ''), count(*) AS number FROM {plan.rows} WHERE call = $1"
        " GROUP BY reason ORDER BY number DESC, reason",
        [call.number],
    )
    codes = space.rows(
        f"SELECT participant_code FROM {plan.rows} WHERE call = $1"
        f" ORDER BY participant_code LIMIT {SHOWN_MAX}",
        [call.number],
    )
    (certificate,) = (
        one for one in plan.certificates if (one.strategy, one.verb) == (call.strategy, call.verb)
    )
    policy = workings.configuration.policy
    rules = []
    if call.verb in TRADING_VERBS:
        rules.append(("calls.participants", str(policy.participants_per_call)))
    declared = _other_vector(workings, call)
    if declared and call.verb in FLOW_VERBS:
        rules.append(("cash_flow", "shared"))
    shown = [rule(name, value, policy.settings) for name, value in rules]
    if declared and call.verb is Verb.REBALANCE:
        shown.extend(to_the_edge(strategies(workings)[call.strategy], policy.settings))
    return CallExplanation(
        call=call,
        request_id=plan.request_id(call),
        reasons=tuple(reasons),
        declared=declared,
        certificate=certificate.because,
        calls=certificate.calls,
        least=certificate.least,
        legs=_legs(workings, call),
        participants=tuple(code for (code,) in codes),
        rules=tuple(shown),
        guards=guards_of(workings, [call]),
    )


def _other_vector(workings: Workings, call: Call) -> str:
    """The declared vectors of a call's participants where it carries none of them."""
    if call.vector is None:
        return ""
    rows = workings.plan.rows.workspace.rows(
        f"""
        SELECT DISTINCT target FROM {workings.changes.rows}
        WHERE strategy = $1 AND participant_code IN (
            SELECT participant_code FROM {workings.plan.rows} WHERE call = $2
        ) ORDER BY target
        """,
        [call.strategy, call.number],
    )
    targets = [strategies(workings)[call.strategy].targets[target] for (target,) in rows]
    if any(call.vector in (target.vector, target.rebalance_vector) for target in targets):
        return ""
    return "; ".join(target.vector.text for target in targets)


def _legs(workings: Workings, call: Call) -> tuple[tuple[str, int, int], ...]:
    """(asset, bought, sold) of one call, by the query that estimates the turnover of all."""
    if not call.rows or call.verb is Verb.FLAGS:
        return ()
    space = workings.plan.rows.workspace
    own = space.select(
        "call_legs",
        LEG_ROWS,
        f"""
        SELECT * FROM {workings.rebalances.legs}
        WHERE $1 AND strategy = $2 AND participant_code IN (
            SELECT participant_code FROM {workings.plan.rows} WHERE call = $3
        )
        """,
        [call.verb is Verb.REBALANCE, call.strategy, call.number],
    )
    moved = turnover_by_asset(workings.live, workings.terms, [call], workings.plan.rows, own)
    minor_e8 = 10 ** (PRICE_DIGITS - minor_digits(call.currency))
    return tuple(
        (asset, bought // minor_e8, sold // minor_e8)
        for asset, bought, sold in moved.get(call.strategy, ())
        if bought or sold
    )
