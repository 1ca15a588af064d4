"""Explanations as JSON: every fact, and the sentence that the text view says of it."""

from __future__ import annotations

from typing import Any

from stratctl.core.diagnostic import Span
from stratctl.core.explanation import (
    CallExplanation,
    Explained,
    Explanation,
    GuardCheck,
    Holdings,
    Membership,
    Rule,
    Totals,
    share_e18,
)
from stratctl.core.money import PRICE_DIGITS, format_amount, format_units, format_weight
from stratctl.core.plan import Plan
from stratctl.core.state import Vector
from stratctl.view.because import because, standing_text
from stratctl.view.human import window_text
from stratctl.view.json import FORMAT_VERSION, Json, text
from stratctl.view.summary import summarise


def text_of(plan: Plan, explained: Explained) -> str:
    """Everything that was asked about, beside the plan that it is about."""
    return text(
        {
            "format_version": FORMAT_VERSION,
            "plan": {
                "digest": plan.digest,
                "headline": summarise(plan).headline,
                "stopped": plan.stopped,
                "as_of": plan.as_of,
                "window": window_text(plan.window) if plan.window else None,
            },
            "participants": [_participant(one) for one in explained.participants],
            "calls": [_call(one) for one in explained.calls],
        }
    )


def _participant(one: Explanation) -> Json:
    return {
        "participant_code": one.participant_code,
        "strategy": one.strategy or None,
        "strategy_id": one.strategy_id,
        "currency": one.currency or None,
        "standing": one.standing,
        "because": standing_text(one),
        "trader_id": one.trader_id,
        "declared": _declared(one),
        "holdings": one.holdings and _holdings(one.holdings),
        "rows": [_row(row, one.currency) for row in one.memberships],
        "answers": [
            {
                "about": answer.about,
                "happens": answer.happens,
                "why": answer.why,
                "because": because(answer, one),
                "rules": [_rule(rule) for rule in answer.rules],
            }
            for answer in one.answers
        ],
        "blocked": [
            {
                "reason": held.reason,
                "detail": held.detail,
                "declared_at": _span(held.place),
                "waiting_since": held.waiting_since,
            }
            for held in one.held
        ],
        "satisfied": one.satisfied,
        "forfeited": one.forfeited and _totals(one.forfeited, one.currency),
        "guards": [_guard(check) for check in one.guards],
    }


def _declared(one: Explanation) -> Json | None:
    said = one.declaration
    if said is None:
        return None
    return {
        "cohort": said.cohort,
        "declared_at": _span(said.place),
        "totals": _totals(said.totals, one.currency),
        "moved": _totals(said.moved, one.currency),
        "tolerance": format_amount(said.tolerance_minor, one.currency),
        "exited": said.exited,
        "auto_rebalance": said.auto_rebalance,
        "auto_rebalance_live": said.auto_rebalance_live,
        "manages": list(said.manages),
        "target": _weights(Vector.of_text(said.target_text)),
        "target_at": _span(said.target_place),
        "target_satisfied_last": said.target_last and _weights(Vector.of_text(said.target_last)),
    }


def _holdings(held: Holdings) -> Json:
    return {
        "estimate": {"now": _value(held.now_e8), "after_flow": _value(held.after_e8)},
        "portfolio_drift": {
            "now": _share(held.drift_now_e18),
            "after_flow": _share(held.drift_after_e18),
            "band": format_weight(held.portfolio_e18),
        },
        "assets": [
            {
                "asset": one.asset,
                "weight": _share(one.weight_e18),
                "band": format_weight(one.band_e18),
                "minimum_leg": _value(one.minimum_e8),
                "now_estimate": _value(one.now_e8),
                "now_share": _part(one.now_e8, held.now_e8),
                "after_flow_estimate": _value(one.after_e8),
                "after_flow_share": _part(one.after_e8, held.after_e8),
                "breached": one.breached,
                "frozen": one.frozen,
                "rebalance_leg_estimate": _value(one.leg_e8),
            }
            for one in held.positions
        ],
    }


def _row(row: Membership, currency: str) -> Json:
    return {
        "call": row.call.number,
        "verb": row.call.verb.value,
        "request_id": row.request_id,
        "slot": row.call.slot,
        "allocations": row.call.vector and _weights(row.call.vector),
        "allocations_are_declared": not row.aimed,
        "amount": None if row.amount_minor is None else format_amount(row.amount_minor, currency),
        "auto_rebalance": row.auto_rebalance,
        "reason": row.reason,
        "declared_at": _span(row.place),
        "moved_estimate": _value(row.moved_e8),
    }


def _call(one: CallExplanation) -> Json:
    call = one.call
    return {
        "call": call.number,
        "strategy": call.strategy,
        "verb": call.verb.value,
        "currency": call.currency,
        "slot": call.slot,
        "request_id": one.request_id,
        "allocations": call.vector and _weights(call.vector),
        "allocations_declared": one.declared or None,
        "rows": call.rows,
        "amount": format_amount(call.amount_minor, call.currency),
        "reasons": [{"reason": reason, "rows": rows} for reason, rows in one.reasons],
        "certificate": {"calls": one.calls, "least": one.least, "because": one.certificate},
        "legs_estimate": [
            {
                "asset": asset,
                "bought": format_amount(bought, call.currency),
                "sold": format_amount(sold, call.currency),
            }
            for asset, bought, sold in one.legs
        ],
        "participants": list(one.participants),
        "rules": [_rule(rule) for rule in one.rules],
        "guards": [_guard(check) for check in one.guards],
    }


def _rule(rule: Rule) -> Json:
    return {"setting": rule.name, "value": rule.value, "declared_at": _span(rule.place)}


def _guard(check: GuardCheck) -> Json:
    return {
        "rule": check.rule,
        "subject": check.subject,
        "measured": check.measured,
        "limit": check.limit,
        "declared_at": _span(check.setting),
        "exceeded": check.exceeded,
        "acknowledged_by": check.acknowledged_by,
        "stops": check.stops,
    }


def _span(place: Span | None) -> Json | None:
    """As in findings; null where nothing was written."""
    if place is None:
        return None
    return {"file": place.file, "line": place.line, "column": place.column}


def _weights(vector: Vector) -> dict[str, str]:
    return {asset: format_weight(weight) for asset, weight in vector.weights_e18}


def _totals(totals: Totals, currency: str) -> Json:
    return {
        "contributed": format_amount(totals.contributed_minor, currency),
        "withdrawn": format_amount(totals.withdrawn_minor, currency),
    }


def _value(value_e8: int | None) -> Any:
    return None if value_e8 is None else format_units(value_e8, PRICE_DIGITS, least=2)


def _share(share: int | None) -> str | None:
    return None if share is None else format_weight(share)


def _part(value_e8: int | None, whole_e8: int | None) -> str | None:
    if value_e8 is None or not whole_e8:
        return None
    return format_weight(share_e18(value_e8, whole_e8))
