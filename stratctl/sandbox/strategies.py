"""The sixteen strategy endpoints."""

import json
from hashlib import sha256
from typing import Any

from stratctl.sandbox import bodies
from stratctl.sandbox.clock import rfc3339
from stratctl.sandbox.ids import derive, is_uuid, is_uuid_v4
from stratctl.sandbox.legs import Leg
from stratctl.sandbox.messages import ApiError, Response, bad_request, not_found
from stratctl.sandbox.paging import Filter, cursor_page, one_of
from stratctl.sandbox.store import Row
from stratctl.sandbox.world import Call, World

TYPES = ("enrollment", "top_up", "partial_sell", "rebalance", "liquidation")
OPERATION_STATUSES = ("validating", "pricing", "settling", "settled", "skipped", "failed")
EXECUTION_STATUSES = ("awaiting_execution", "settled", "skipped", "rejected")
UNKNOWN_OPERATION_STATUS = "reconciling"
UNKNOWN_EXECUTION_STATUS = "under_review"

_STRATEGY = (
    "SELECT t.seq, t.id, t.request_id, t.quoted_currency, t.metadata, t.created_ms, t.updated_ms"
    " FROM strategy t"
)
_TRADER = (
    "SELECT t.seq, t.id, s.id, t.participant, t.auto_rebalance, t.created_ms, t.updated_ms,"
    " t.strategy_seq FROM trader t JOIN strategy s ON s.seq = t.strategy_seq"
)
_OPERATION = (
    "SELECT t.seq, t.id, s.id, t.request_id, t.type, t.status, t.reason, t.allocations,"
    " t.created_ms, t.updated_ms FROM operation t JOIN strategy s ON s.seq = t.strategy_seq"
)
_EXECUTION = (
    "SELECT t.seq, t.id, s.id, o.id, r.id, t.participant, t.status, t.reason, t.instructions,"
    " t.legs, t.created_ms, t.updated_ms, s.quoted_currency, o.type"
    " FROM execution t JOIN operation o ON o.seq = t.operation_seq"
    " JOIN strategy s ON s.seq = t.strategy_seq LEFT JOIN trader r ON r.seq = t.trader_seq"
)


# Strategies


def create_strategy(call: Call) -> Response:
    """POST /strategies: synchronous; the request id alone is the key."""
    store = call.world.store
    request_id = _request_id(call)
    body = bodies.parse_object(call.request.body)
    currency, metadata = bodies.check_new_strategy(body)
    known = _replayed(call, "strategies", request_id, _digest("create", body))
    if known is not None:
        return _one(call, _replay_status(call, 201), _strategy_json(_row(call, _STRATEGY, known)))
    seq = store.next_seq("strategy")
    # A forgotten request id makes another Strategy.
    made = store.value("SELECT count(*) FROM strategy WHERE request_id = ?", (request_id,))
    store.write(
        "INSERT INTO strategy VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            seq,
            derive(call.world.seed, "strategy", f"{request_id}/{made}" if made else request_id),
            request_id,
            currency,
            metadata,
            call.now_ms,
            call.now_ms,
        ),
    )
    _remember(call, "strategies", request_id, _digest("create", body), seq)
    return _one(call, 201, _strategy_json(_row(call, _STRATEGY, seq)), create=True)


def list_strategies(call: Call) -> Response:
    """GET /strategies: every Strategy of the platform; there are no filters."""
    return _page(call, _STRATEGY, Filter(), "strategies", _strategy_json)


def read_strategy(call: Call) -> Response:
    """GET /strategies/{strategy_id}."""
    return _one(call, 200, _strategy_json(_by_id(call, _STRATEGY, "strategy_id")))


def update_strategy(call: Call) -> Response:
    """PATCH /strategies/{strategy_id}: replaces metadata as a whole."""
    request_id = _request_id(call)
    row = _by_id(call, _STRATEGY, "strategy_id")
    body = bodies.parse_object(call.request.body)
    metadata = bodies.check_metadata(body)
    scope = f"patch/{row[1]}"
    if _replayed(call, scope, request_id, _digest("patch", body)) is None:
        call.world.store.write(
            "UPDATE strategy SET metadata = ?, updated_ms = ? WHERE seq = ?",
            (metadata, call.now_ms, row[0]),
        )
        _remember(call, scope, request_id, _digest("patch", body), row[0])
    return _one(call, 200, _strategy_json(_row(call, _STRATEGY, row[0])))


# The five verbs


def enroll(call: Call) -> Response:
    """POST /strategies/{strategy_id}/enroll."""
    return _operate(call, "enrollment")


def top_up(call: Call) -> Response:
    """POST /strategies/{strategy_id}/top-up."""
    return _operate(call, "top_up")


def partial_sell(call: Call) -> Response:
    """POST /strategies/{strategy_id}/partial-sell."""
    return _operate(call, "partial_sell")


def rebalance(call: Call) -> Response:
    """POST /strategies/{strategy_id}/rebalance."""
    return _operate(call, "rebalance")


def liquidate(call: Call) -> Response:
    """POST /strategies/{strategy_id}/liquidate."""
    return _operate(call, "liquidation")


def _operate(call: Call, kind: str) -> Response:
    """Accept an Operation, or answer with the one that this request id made before."""
    request_id = _request_id(call)
    strategy = _by_id(call, _STRATEGY, "strategy_id")
    body = bodies.parse_object(call.request.body)
    world = call.world
    scope = str(strategy[1])
    if world.switches["idempotency_scope"] == "type":
        scope = f"{scope}/{kind}"
    digest = _digest(kind, body)
    known = _replayed(call, scope, request_id, digest)
    if known is not None:
        row = _row(call, _OPERATION, known)
        return _one(call, _replay_status(call, 202), _operation_json(row, world))
    order = bodies.check_order(kind, body, world.market, world.switches)
    seq = world.engine.accept(
        strategy_seq=strategy[0], request_id=request_id, kind=kind, order=order, now_ms=call.now_ms
    )
    _remember(call, scope, request_id, digest, seq)
    return _one(call, 202, _operation_json(_row(call, _OPERATION, seq), world))


# Operations, Traders, Executions


def list_operations(call: Call) -> Response:
    """GET /strategies/operations: also the look-up by request id."""
    wanted, query, world = Filter(), call.query, call.world
    _filter_strategy(call, wanted)
    if query.get("request_id"):
        wanted.add("t.request_id = ?", query["request_id"].lower())
    kind = one_of(query, "type", TYPES)
    if kind:
        wanted.add("t.type = ?", kind)
    status = one_of(query, "status", OPERATION_STATUSES)
    if status:
        wanted.add("t.status = ?", status)
    lag_ms = world.switches.number("operations_lag_seconds") * 1000
    if lag_ms:
        wanted.add("t.created_ms <= ?", call.now_ms - lag_ms)
    return _page(call, _OPERATION, wanted, "operations", lambda row: _operation_json(row, world))


def read_operation(call: Call) -> Response:
    """GET /strategies/operations/{operation_id}."""
    return _one(call, 200, _operation_json(_by_id(call, _OPERATION, "operation_id"), call.world))


def list_traders(call: Call) -> Response:
    """GET /strategies/traders."""
    wanted = Filter()
    _filter_strategy(call, wanted)
    if call.query.get("participant_code"):
        wanted.add("t.participant = ?", call.query["participant_code"])
    flag = one_of(call.query, "auto_rebalance", ("true", "false"))
    if flag:
        wanted.add("t.auto_rebalance = ?", int(flag == "true"))
    return _page(call, _TRADER, wanted, "traders", _trader_json)


def read_trader(call: Call) -> Response:
    """GET /strategies/traders/{trader_id}."""
    return _one(call, 200, _trader_json(_by_id(call, _TRADER, "trader_id")))


def update_trader(call: Call) -> Response:
    """PATCH /strategies/traders/{trader_id}: only auto_rebalance; counts for the next rebalance."""
    request_id = _request_id(call)
    row = _by_id(call, _TRADER, "trader_id")
    body = bodies.parse_object(call.request.body)
    flag = bodies.check_flag(body)
    scope = f"patch/{row[1]}"
    if _replayed(call, scope, request_id, _digest("patch", body)) is None:
        call.world.store.write(
            "UPDATE trader SET auto_rebalance = ?, updated_ms = ? WHERE seq = ?",
            (int(flag), call.now_ms, row[0]),
        )
        _remember(call, scope, request_id, _digest("patch", body), row[0])
    return _one(call, 200, _trader_json(_row(call, _TRADER, row[0])))


def list_executions(call: Call) -> Response:
    """GET /strategies/executions: each with all its instructions."""
    wanted, query, world = Filter(), call.query, call.world
    _filter_strategy(call, wanted)
    if query.get("operation_id"):
        found = _seq_of(call, "operation", query["operation_id"])
        wanted.add("t.operation_seq = ?", found)
    if query.get("participant_code"):
        wanted.add("t.participant = ?", query["participant_code"])
    status = one_of(query, "status", EXECUTION_STATUSES)
    if status:
        wanted.add("t.status = ?", status)
    _hide_late_executions(call, wanted)
    return _page(call, _EXECUTION, wanted, "executions", lambda row: _execution_json(row, world))


def read_execution(call: Call) -> Response:
    """GET /strategies/executions/{execution_id}."""
    return _one(call, 200, _execution_json(_by_id(call, _EXECUTION, "execution_id"), call.world))


def _hide_late_executions(call: Call, wanted: Filter) -> None:
    """When Executions of an Operation are listed is undocumented: two switches."""
    switches = call.world.switches
    lag_ms = switches.number("executions_lag_seconds") * 1000
    if switches["executions_listed"] == "terminal":
        wanted.add("o.terminal_ms <= ?", call.now_ms - lag_ms)
    elif lag_ms:
        wanted.add("o.created_ms <= ?", call.now_ms - lag_ms)


# Idempotency


def _request_id(call: Call) -> str:
    """The required X-REQUEST-ID. Raises ApiError 400."""
    value = call.request.header("x-request-id")
    if not value:
        raise bad_request("headers/x-request-id is required")
    if not is_uuid_v4(value):
        raise bad_request("headers/x-request-id must be UUID v4")
    return value.lower()


def _digest(kind: str, body: dict[str, Any]) -> str:
    """What was asked for, whatever the spelling of the JSON."""
    return sha256(f"{kind}{json.dumps(body, sort_keys=True, default=repr)}".encode()).hexdigest()


def _replayed(call: Call, scope: str, request_id: str, digest: str) -> int | None:
    """The resource that this id made before. Raises ApiError when a switch refuses the body."""
    row = call.world.store.row(
        "SELECT seq, digest, at_ms FROM request_key WHERE scope = ? AND request_id = ?",
        (scope, request_id),
    )
    if row is None:
        return None
    seq, first, at_ms = row
    retention_ms = call.world.switches.number("key_retention_seconds") * 1000
    if retention_ms and at_ms + retention_ms < call.now_ms:
        return None
    answer = call.world.switches["same_id_other_body"]
    if digest != first and answer != "replay":
        message = "X-REQUEST-ID was used before with a different body"
        if answer == "400":
            raise bad_request(message)
        raise ApiError(int(answer), {"error": message})
    return int(seq)


def _remember(call: Call, scope: str, request_id: str, digest: str, seq: int) -> None:
    call.world.store.write(
        "INSERT OR REPLACE INTO request_key VALUES (?, ?, ?, ?, ?)",
        (scope, request_id, digest, seq, call.now_ms),
    )


def _replay_status(call: Call, original: int) -> int:
    return 200 if call.world.switches["replay_status"] == "200" else original


# Rows


def _row(call: Call, select: str, seq: int) -> Row:
    (row,) = call.world.store.rows(f"{select} WHERE t.seq = ?", (seq,))
    return row


def _by_id(call: Call, select: str, name: str) -> Row:
    """The resource in the path. Raises ApiError 400 or 404."""
    (wanted,) = call.ids
    if not is_uuid(wanted):
        raise bad_request(f'params/{name} must match format "uuid"')
    row = call.world.store.row(f"{select} WHERE t.id = ?", (wanted.lower(),))
    if row is None:
        empty = call.world.switches["not_found_body"] == "empty"
        raise ApiError(404, None) if empty else not_found()
    return row


def _seq_of(call: Call, table: str, wanted: str) -> int:
    """The row number of a filter's id; 0, which no row has, when there is no such thing."""
    row = call.world.store.row(f"SELECT seq FROM {table} WHERE id = ?", (wanted.lower(),))
    return 0 if row is None else int(row[0])


def _filter_strategy(call: Call, wanted: Filter) -> None:
    strategy_id = call.query.get("strategy_id")
    if strategy_id:
        wanted.add("t.strategy_seq = ?", _seq_of(call, "strategy", strategy_id))


# JSON


def _one(call: Call, status: int, document: str, *, create: bool = False) -> Response:
    envelope = call.world.switches["envelope"]
    bare = envelope == "bare" or (envelope == "bare_create" and create)
    return Response(status, body=(document if bare else f'{{"message":{document}}}').encode())


def _page(call: Call, select: str, wanted: Filter, name: str, render: Any) -> Response:
    rows, token = cursor_page(call.world.store, call.world.switches, select, wanted, call.query)
    items = ",".join(map(render, rows))
    return _one(call, 200, f'{{"{name}":[{items}],"next_page_token":"{token}"}}')


def _strategy_json(row: Row) -> str:
    _, name, request_id, currency, metadata, created, updated = row
    return (
        f'{{"id":"{name}","request_id":"{request_id}","quoted_currency":"{currency}",'
        f'"metadata":{metadata or "null"},"created_at":"{rfc3339(created)}",'
        f'"updated_at":"{rfc3339(updated)}"}}'
    )


def _trader_json(row: Row) -> str:
    _, name, strategy, participant, flag, created, updated, _ = row
    return (
        f'{{"id":"{name}","strategy_id":"{strategy}","participant_code":"{participant}",'
        f'"account_label":"{strategy}","auto_rebalance":{"true" if flag else "false"},'
        f'"created_at":"{rfc3339(created)}","updated_at":"{rfc3339(updated)}"}}'
    )


def _operation_json(row: Row, world: World) -> str:
    _, name, strategy, request_id, kind, status, reason, allocations, created, updated = row
    allocated = ",".join(
        f'{{"underlying_currency":{json.dumps(asset)},"weight":"{weight}"}}'
        for asset, weight in json.loads(allocations)
    )
    unknown = world.switches["unknown_operation_status"]
    terminal = status in OPERATION_STATUSES[3:]
    if status == unknown or (unknown == "terminal" and terminal):
        status = UNKNOWN_OPERATION_STATUS
    return (
        f'{{"id":"{name}","strategy_id":"{strategy}","request_id":"{request_id}",'
        f'"type":"{kind}","status":"{status}","status_reason":"{reason}",'
        f'"allocations":[{allocated}],"created_at":"{rfc3339(created)}",'
        f'"updated_at":"{rfc3339(updated)}"}}'
    )


def _execution_json(row: Row, world: World) -> str:
    _, name, strategy, operation, trader, participant, status, reason = row[:8]
    instructions, legs, created, updated, currency, kind = row[8:]
    if instructions is None:
        instructions = _planned(legs, currency, kind, world)
    if status == "settled" and world.switches["unknown_execution_status"] == "on":
        status = UNKNOWN_EXECUTION_STATUS
    label = strategy if trader else ""
    return (
        f'{{"id":"{name}","strategy_id":"{strategy}","operation_id":"{operation}",'
        f'"trader_id":"{trader or ""}","participant_code":"{participant}",'
        f'"account_label":"{label}","status":"{status}","status_reason":{json.dumps(reason)},'
        f'"instructions":{instructions},"created_at":"{rfc3339(created)}",'
        f'"updated_at":"{rfc3339(updated)}"}}'
    )


def _planned(legs: str, currency: str, kind: str, world: World) -> str:
    """Instructions that are not executed yet; buys of a rebalance wait for the sells."""
    documents = []
    for fields in json.loads(legs) if legs else []:
        leg = Leg(*fields)
        if kind == "rebalance" and leg.side == "buy" and leg.trades:
            leg = leg._replace(status="waiting_proceeds")
        documents.append(world.settlement.instruction(leg, currency, trade_ids=[], at=""))
    return "[" + ",".join(documents) + "]"
