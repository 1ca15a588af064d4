"""What an answer to a mutation proves. Pure: nothing is sent, nothing is asked.

==============================================  ===============
answer                                          class
==============================================  ===============
200, 201, 202 and the echo fits the intent      COMMITTED
200, 201, 202 and the echo shows another body   SLOT_TAKEN
400 in the documented shape                     REFUSED
401, 403 (the edge's 1020 page is a 403)        ACCESS_REFUSED
404                                             NOT_FOUND
429                                             RATE_LIMITED
503 with ``zh-allow-retry: true``               RETRY_FRIENDLY
anything else                                   UNKNOWN
==============================================  ===============

UNKNOWN is never proof of failure: the request may have been carried out, and only a look-up by
its id can tell. An echo of another id answers another request, so it proves nothing about ours.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from stratctl.core.errors import BadResponse
from stratctl.core.event import Answer, AnswerClass, Intent
from stratctl.core.state import OPERATION_TYPES, Verb
from stratctl.live import wire
from stratctl.live.transport import RawAnswer

_TYPE_OF = {verb: name for name, verb in OPERATION_TYPES.items()}


def classify(intent: Intent, number: int, raw: RawAnswer) -> Answer:
    """The class of an answer to attempt ``number`` of an intent."""
    said = wire.refusal_text(raw.body)
    detail = f"HTTP {raw.status}" + (f": {said}" if said else "")
    if raw.status in (200, 201, 202):
        return _classify_success(intent, number, raw)
    errors = wire.documented_errors(raw.body) if raw.status == 400 else ()
    kind = AnswerClass.UNKNOWN
    if errors:
        kind = AnswerClass.REFUSED
    elif raw.status == 503 and raw.headers.get("zh-allow-retry", "").lower() == "true":
        kind = AnswerClass.RETRY_FRIENDLY
    elif raw.status in _BY_STATUS:
        kind = _BY_STATUS[raw.status]
    return answer(intent, number, kind, status=raw.status, detail=detail, errors=errors)


_BY_STATUS = {
    401: AnswerClass.ACCESS_REFUSED,
    403: AnswerClass.ACCESS_REFUSED,
    404: AnswerClass.NOT_FOUND,
    429: AnswerClass.RATE_LIMITED,
}


def answer(
    intent: Intent,
    number: int,
    kind: AnswerClass,
    *,
    status: int = 0,
    resource_id: str = "",
    detail: str = "",
    errors: tuple[str, ...] = (),
) -> Answer:
    """An Answer about an intent."""
    return Answer(intent.request_id, number, kind, status, resource_id, detail, errors)


def _classify_success(intent: Intent, number: int, raw: RawAnswer) -> Answer:
    echoed = raw.headers.get("x-request-id", "").lower()
    try:
        document = wire.parse(raw.body)
        if echoed and echoed != intent.request_id:
            raise BadResponse(f"it answers request {echoed[:40]!r}")
        return judge(intent, number, document, status=raw.status, echoed=bool(echoed))
    except BadResponse as error:
        detail = f"HTTP {raw.status}, but {error.summary}"
        return answer(intent, number, AnswerClass.UNKNOWN, status=raw.status, detail=detail)


def judge(
    intent: Intent, number: int, document: Any, *, status: int = 200, echoed: bool = False
) -> Answer:
    """COMMITTED or SLOT_TAKEN for a resource that the provider shows under the intent's id.

    ``echoed``: the header already named our request id, so that the body need not. Raises
    BadResponse when the document is no such resource, or another request's.
    """
    if intent.verb is Verb.FLAGS:
        resource_id, difference = _judge_trader(intent, wire.trader(document))
    elif intent.verb in (Verb.CREATE, Verb.METADATA):
        resource_id, difference = judge_strategy(intent, wire.strategy(document), echoed=echoed)
    else:
        resource_id, difference = judge_operation(intent, wire.operation(document), echoed=echoed)
    kind = AnswerClass.SLOT_TAKEN if difference else AnswerClass.COMMITTED
    return answer(intent, number, kind, status=status, resource_id=resource_id, detail=difference)


def judge_operation(
    intent: Intent, shown: wire.OperationRecord, *, echoed: bool = False
) -> tuple[str, str]:
    """(Operation id, how it differs from the intent). Fields that are absent differ in nothing."""
    _same_request(intent, shown.request_id, echoed)
    if shown.strategy_id != intent.strategy_id:
        return shown.id, f"the Operation belongs to Strategy {shown.strategy_id}"
    expected = _TYPE_OF[intent.verb]
    if shown.type and shown.type != expected:
        return shown.id, f"the Operation is a {shown.type}, not a {expected}"
    sent = _allocations_of(intent)
    if sent is not None and shown.allocations is not None:
        stored = {asset: Decimal(weight) for asset, weight in shown.allocations}
        if stored != sent:
            text = ", ".join(f"{asset} {weight}" for asset, weight in sorted(stored.items()))
            return shown.id, f"the Operation carries other allocations: {text or 'none'}"
    return shown.id, ""


def judge_strategy(
    intent: Intent, shown: wire.StrategyRecord, *, echoed: bool = False
) -> tuple[str, str]:
    """(Strategy id, how it differs from the intent)."""
    body = wire.parse(intent.body.encode())
    if intent.verb is Verb.CREATE:
        _same_request(intent, shown.request_id, echoed)
        if shown.quoted_currency and shown.quoted_currency != body["quoted_currency"]:
            return shown.id, f"the Strategy is quoted in {shown.quoted_currency}"
        return shown.id, ""
    _same_resource(intent, shown.id)
    if shown.metadata_json != wire.canonical(body["metadata"]):
        return shown.id, "the Strategy shows other metadata"
    return shown.id, ""


def _judge_trader(intent: Intent, shown: wire.TraderRecord) -> tuple[str, str]:
    _same_resource(intent, shown.id)
    if shown.auto_rebalance is not wire.parse(intent.body.encode())["auto_rebalance"]:
        return shown.id, "the Trader shows another flag"
    return shown.id, ""


def _allocations_of(intent: Intent) -> dict[str, Decimal] | None:
    allocations = wire.parse(intent.body.encode()).get("allocations")
    if allocations is None:
        return None
    return {leg["underlying_currency"]: Decimal(leg["weight"]) for leg in allocations}


def _same_request(intent: Intent, shown: str, echoed: bool) -> None:
    if shown != intent.request_id and (shown or not echoed):
        raise BadResponse(f"it shows request id {shown or 'nothing'!r}, not {intent.request_id}")


def _same_resource(intent: Intent, shown: str) -> None:
    wanted = intent.path.rpartition("/")[2].lower()
    if shown != wanted:
        raise BadResponse(f"it shows {shown}, not {wanted}")
