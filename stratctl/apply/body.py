"""A call and its rows -> the one sequence of bytes that its request id will ever carry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from stratctl.apply.words import CallWork, StrategyWork, TraderRef
from stratctl.core.event import Intent, IntentRow
from stratctl.core.money import format_amount, format_weight
from stratctl.core.plan import Call
from stratctl.core.slots import call_id, create_id, patch_id
from stratctl.core.state import Verb

PATHS = {
    Verb.ENROLL: "enroll",
    Verb.TOP_UP: "top-up",
    Verb.PARTIAL_SELL: "partial-sell",
    Verb.REBALANCE: "rebalance",
    Verb.LIQUIDATE: "liquidate",
}


def trading_intent(
    work: StrategyWork,
    each: CallWork,
    rows: Sequence[IntentRow],
    *,
    strategy_id: str,
    head_slot: int,
) -> Intent:
    """The intent that takes the slot after ``head_slot``, for some of a call's rows."""
    call, slot = each.call, head_slot + 1
    ascending = tuple(sorted(rows, key=lambda row: row.participant_code))
    codes = {row.participant_code for row in ascending}
    return _intent(
        work,
        call,
        strategy_id=strategy_id,
        slot=slot,
        request_id=call_id(work.realm, strategy_id, slot),
        method="POST",
        path=f"/strategies/{strategy_id}/{PATHS[call.verb]}",
        body=_trading_body(call, ascending),
        rows=ascending,
        fence_head=head_slot,
        entries=tuple(entry for entry, whose in each.entries if not whose.isdisjoint(codes)),
    )


def create_intent(work: StrategyWork, call: Call) -> Intent:
    """The intent that creates the Strategy; its id is also the Strategy's identity."""
    return _intent(
        work,
        call,
        strategy_id="",
        slot=None,
        request_id=create_id(work.realm, work.strategy),
        method="POST",
        path="/strategies",
        body=call.body_json,
        rows=(),
        fence_head=0,
    )


def metadata_intent(
    work: StrategyWork, call: Call, *, strategy_id: str, updated_at: str, head_slot: int
) -> Intent:
    """The intent that replaces the Strategy's metadata as it was last read."""
    return _intent(
        work,
        call,
        strategy_id=strategy_id,
        slot=None,
        request_id=patch_id(work.realm, strategy_id, updated_at, call.body_json),
        method="PATCH",
        path=f"/strategies/{strategy_id}",
        body=call.body_json,
        rows=(),
        fence_head=head_slot,
    )


def flag_intent(
    work: StrategyWork,
    call: Call,
    row: IntentRow,
    trader: TraderRef,
    *,
    strategy_id: str,
    head_slot: int,
) -> Intent:
    """The intent that sets one Trader's flag."""
    body = _compact({"auto_rebalance": row.auto_rebalance})
    return _intent(
        work,
        call,
        strategy_id=strategy_id,
        slot=None,
        request_id=patch_id(work.realm, trader.trader_id, trader.updated_at, body),
        method="PATCH",
        path=f"/strategies/traders/{trader.trader_id}",
        body=body,
        rows=(row,),
        fence_head=head_slot,
    )


def _trading_body(call: Call, rows: tuple[IntentRow, ...]) -> str:
    """Participants are always listed: an absent or empty list could mean everybody."""
    assert rows, "a trading call names its participants"
    body: dict[str, Any] = {"participants": [_participant(call, row) for row in rows]}
    if call.verb is not Verb.LIQUIDATE:
        assert call.vector is not None, "only a liquidation has no allocations"
        body["allocations"] = [
            {"underlying_currency": asset, "weight": format_weight(weight_e18)}
            for asset, weight_e18 in call.vector.weights_e18
        ]
    return _compact(body)


def _participant(call: Call, row: IntentRow) -> dict[str, Any]:
    said: dict[str, Any] = {"participant_code": row.participant_code}
    if call.verb in (Verb.ENROLL, Verb.TOP_UP, Verb.PARTIAL_SELL):
        assert row.amount_minor is not None, "this verb moves an amount"
        said["amount"] = format_amount(row.amount_minor, call.currency)
    if call.verb is Verb.ENROLL:
        assert row.auto_rebalance is not None, "an enrolment sets the flag"
        said["auto_rebalance"] = row.auto_rebalance
    return said


def _intent(work: StrategyWork, call: Call, *, body: str, **said: Any) -> Intent:
    return Intent(
        strategy=work.strategy,
        verb=call.verb,
        body=body,
        body_sha256=hashlib.sha256(body.encode()).hexdigest(),
        currency=call.currency,
        vector_text=call.vector.text if call.vector else "",
        target_text=call.target_text,
        target_epoch=call.target_epoch,
        acknowledgements=work.acknowledgements,
        **said,
    )


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
