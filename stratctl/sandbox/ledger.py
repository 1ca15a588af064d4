"""The other endpoints that a client of strategies reads: time, market, accounts, trades."""

from datetime import UTC, datetime
from typing import Any

from stratctl.sandbox.amounts import CENTS, PRICE_SCALE, half_even, padded, trimmed
from stratctl.sandbox.books import PROVIDER
from stratctl.sandbox.ids import derive
from stratctl.sandbox.messages import (
    Number,
    Response,
    bad_request,
    json_response,
    not_found,
)
from stratctl.sandbox.paging import (
    Filter,
    add_timestamps,
    one_of,
    page_number,
    total_pages,
)
from stratctl.sandbox.participants import STATUSES
from stratctl.sandbox.store import Row
from stratctl.sandbox.world import Call

ACCOUNT_TYPES = (
    "available",
    "collateral",
    "payable",
    "receivable",
    "collateral_deficiency",
    "staked",
)
QUOTED = ("CAD", "EUR", "GBP", "JPY", "MXN", "USD")
TRADE_STATES = ("accepted", "active", "terminated")
SETTLEMENT_STATES = (
    "null",
    "obligations_outstanding",
    "current_obligations_met",
    "settled",
    "defaulted",
    "counterparty_defaulted",
)
DAY_MS = 86_400_000
TRADES_REACH_BACK_MS = 60 * DAY_MS
"""GET /trades shows the last two months only."""


# Time and market


def read_time(call: Call) -> Response:
    """GET /time: the wall clock, in the shape of the specification or of the guide."""
    if call.world.switches["time_shape"] == "seconds":
        return json_response(200, {"epoch": call.wall_ms // 1000})
    moment = datetime.fromtimestamp(call.wall_ms // 1000, tz=UTC)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{call.wall_ms % 1000:03d}Z"
    message = {"epoch": call.wall_ms, "epoch_units": "milliseconds", "iso_8601": text}
    return json_response(200, {"message": message})


def read_index(call: Call) -> Response:
    """GET /index: a bare body, and its value is a JSON number."""
    symbol, quoted = _pair(call)
    market = call.world.market
    if symbol not in market.instruments or quoted not in market.instruments:
        raise not_found()
    lags = call.world.switches["index_value"] == "hourly_mean"
    units = (market.index if lags else market.price)(symbol, quoted, call.now_ms)
    value = trimmed(units, PRICE_SCALE, at_least=2)
    return json_response(
        200,
        {
            "timestamp": call.now_ms,
            "index": f"{symbol}/{quoted}",
            "underlying": symbol,
            "quoted_currency": quoted,
            "value": Number(value),
        },
    )


def read_symbol_data(call: Call) -> Response:
    """GET /market_data/symbol_data: a bare array of tuples, numbers as text inside `value`."""
    symbol, quoted = _pair(call)
    market = call.world.market
    if symbol not in market.instruments or quoted not in market.instruments:
        return json_response(200, [])
    price = trimmed(market.price(symbol, quoted, call.now_ms), PRICE_SCALE, at_least=2)
    value = {"value": price}
    age_ms = call.world.switches.number("price_age_seconds") * 1000
    seconds, milliseconds = divmod(call.now_ms - age_ms, 1000)
    data = {
        "price": value,
        "median": value,
        "lastTimestamp": {"seconds": seconds, "nanos": milliseconds * 1_000_000},
        "lastVolume": {"value": "1.00"},
        "h24Volume": {"value": "1000.00"},
        "h24Low": value,
        "h24High": value,
        "h24Change": {"value": "0.00"},
    }
    return json_response(200, [[symbol, {"marketDataMap": [[quoted, data]]}]])


def _pair(call: Call) -> tuple[str, str]:
    errors = [
        f"query/{name} is required"
        for name in ("underlying", "quoted_currency")
        if not call.query.get(name)
    ]
    if errors:
        raise bad_request(*errors)
    one_of(call.query, "quoted_currency", QUOTED)
    return call.query["underlying"], call.query["quoted_currency"]


def list_assets(call: Call) -> Response:
    """GET /assets: not paged; there is no minimum-trade field, as documented."""
    assets = [_asset(call, symbol) for symbol in call.world.market.instruments]
    for name in ("stablecoin", "ny_allowed", "fund_enabled", "staking_enabled"):
        flag = one_of(call.query, name, ("true", "false"))
        if flag:
            assets = [asset for asset in assets if asset[name] is (flag == "true")]
    for name in ("symbol", "chain_code", "deposit_address_creation"):
        if call.query.get(name):
            assets = [asset for asset in assets if asset[name] == call.query[name]]
    return json_response(200, {"message": assets})


def _asset(call: Call, symbol: str) -> dict[str, Any]:
    instrument = call.world.market.instruments[symbol]
    ticker, _, chain = symbol.partition(".")
    crypto = instrument.type == "crypto"
    return {
        "symbol": symbol,
        "name": instrument.name,
        "chain_code": (chain or symbol).lower() if crypto else "",
        "type": instrument.type,
        "model": "account_based" if crypto else "",
        "withdrawal_minimum": trimmed(1, instrument.precision),
        "stablecoin": bool(instrument.stablecoin),
        "precision": instrument.precision,
        "tag_name": "none",
        "fee_asset": "",
        "rfq_liquidity_enabled": crypto,
        "custody_enabled": True,
        "deposit_address_creation": "institutional_and_retail",
        "deposits_on_chain_confirms": 0,
        "ny_allowed": True,
        "contract_address": "NA",
        "fund_enabled": crypto,
        "depegged": False,
        "ticker": ticker,
        "staking_enabled": False,
    }


def list_participants(call: Call) -> Response:
    """GET /participants."""
    wanted, query = Filter(), call.query
    if query.get("participant_code"):
        wanted.add("t.code = ?", query["participant_code"])
    if query.get("email"):
        wanted.add("lower(t.code) || '@example.com' = ?", query["email"])
    status = one_of(query, "status", STATUSES)
    if status:
        wanted.add("t.status = ?", status)
    number = page_number(query)
    pages = call.world.pages.participants
    rows, count = pages.page(
        "SELECT t.seq, t.code, t.status, t.reason_code, t.jurisdiction, t.updated_ms"
        " FROM participant t",
        "SELECT count(*) FROM participant t",
        wanted,
        number=number,
        version=call.world.participants.version,
    )
    people = [
        {
            "participant_code": code,
            "participant_name": f"Participant {code}",
            "email": f"{code.lower()}@example.com",
            "status": status,
            "reason_code": reason,
            "jurisdiction_code": jurisdiction,
            "limits": [],
            "updated_at": updated,
        }
        for _, code, status, reason, jurisdiction, updated in rows
    ]
    return _numbered(people, number=number, count=count, size=pages.size)


def _numbered(items: list[Any], *, number: int, count: int, size: int) -> Response:
    return json_response(
        200,
        {
            "message": items,
            "page": number,
            "page_size": size,
            "total_pages": total_pages(count, size),
            "count": count,
        },
    )


# Accounts


def list_accounts(call: Call) -> Response:
    """GET /accounts: own accounts and those whose group is the platform; non-zero only."""
    wanted, query = Filter(), call.query
    wanted.add("t.visible = 1")
    kind = one_of(query, "account_type", ACCOUNT_TYPES)
    if kind:
        wanted.add("t.type = ?", kind)
    for name, column in (
        ("account_owner", "owner"),
        ("account_group", "grp"),
        ("account_label", "label"),
        ("asset", "asset"),
    ):
        if query.get(name):
            wanted.add(f"t.{column} = ?", query[name])
    number, pages = page_number(query), call.world.pages.accounts
    lag_ms = call.world.switches.number("accounts_lag_seconds") * 1000
    if lag_ms:
        rows, count = _accounts_before(call, wanted, number, call.now_ms - lag_ms)
    else:
        wanted.add("t.balance <> '0'")
        rows, count = pages.page(
            _ACCOUNT,
            "SELECT count(*) FROM account t",
            wanted,
            number=number,
            version=call.world.books.version,
        )
    items = ",".join(_account(call, row) for row in rows)
    total = total_pages(count, pages.size)
    body = f'{{"message":[{items}],"page":{number},"total_pages":{total}}}'
    return Response(200, body=body.encode())


_ACCOUNT = (
    "SELECT t.seq, t.asset, t.owner, t.type, t.grp, t.label, t.balance, t.id, t.updated_ms"
    " FROM account t"
)


def _account(call: Call, row: Row) -> str:
    """One account as JSON text: pages of them are read by the thousand."""
    _, asset, owner, kind, group, label, balance, name, updated = row
    amount = padded(int(balance), call.world.market.instruments[asset].precision)
    return (
        f'{{"asset":"{asset}","account_owner":"{owner}","account_type":"{kind}",'
        f'"account_group":"{group}","account_label":"{label}","balance":"{amount}",'
        f'"account_id":"{name}","last_update":{updated}}}'
    )


def _accounts_before(
    call: Call, wanted: Filter, number: int, cutoff_ms: int
) -> tuple[list[Row], int]:
    """The accounts as they were: what moved since is taken off again."""
    store = call.world.store
    since: dict[int, int] = {}
    for seq, change in store.rows(
        "SELECT account_seq, change FROM movement WHERE at_ms > ?", (cutoff_ms,)
    ):
        since[seq] = since.get(seq, 0) + int(change)
    then = []
    for row in store.rows(f"{_ACCOUNT} WHERE {wanted.where()} ORDER BY t.seq", wanted.arguments):
        if row[0] not in since:
            then.append(row)
            continue
        updated = store.value(
            "SELECT max(at_ms) FROM movement WHERE account_seq = ? AND at_ms <= ?",
            (row[0], cutoff_ms),
        )
        then.append((*row[:6], str(int(row[6]) - since[row[0]]), row[7], updated))
    shown = [row for row in then if row[6] != "0"]
    size = call.world.pages.accounts.size
    return shown[(number - 1) * size : number * size], len(shown)


def read_account(call: Call) -> Response:
    """GET /accounts/{account_id}: an account that is empty now can still be read."""
    return Response(200, body=f'{{"message":{_account(call, _visible_account(call))}}}'.encode())


def list_movements(call: Call) -> Response:
    """GET /accounts/{account_id}/movements."""
    account = _visible_account(call)
    wanted = Filter()
    wanted.add("t.account_seq = ?", account[0])
    add_timestamps(wanted, call.query, "movement_timestamp", "t.at_ms")
    if call.query.get("parent_link_id"):
        wanted.add("d.id = ?", call.query["parent_link_id"])
    number = page_number(call.query)
    pages = call.world.pages.movements
    rows, count = pages.page(
        "SELECT t.seq, t.run, t.type, t.change, t.at_ms, d.id FROM movement t"
        " LEFT JOIN trade d ON d.seq = t.trade_seq",
        "SELECT count(*) FROM movement t LEFT JOIN trade d ON d.seq = t.trade_seq",
        wanted,
        number=number,
        version=call.world.books.version,
    )
    precision = call.world.market.instruments[account[1]].precision
    items = [
        {
            "run_id": str(run),
            "movement_timestamp": at_ms,
            "movement_id": derive(call.world.seed, "movement", seq),
            "movement_type": kind,
            "trade_id": trade,
            "deposit_reference_id": None,
            "withdrawal_request_id": None,
            "change": padded(int(change), precision),
            "parent_link_id": trade,
            "origin": "rest_api",
        }
        for seq, run, kind, change, at_ms, trade in rows
    ]
    total = total_pages(count, pages.size)
    return json_response(200, {"message": items, "page": number, "total_pages": total})


def _visible_account(call: Call) -> Row:
    row = call.world.store.row(
        f"{_ACCOUNT} WHERE t.id = ? AND t.visible = 1", (call.ids[0].lower(),)
    )
    if row is None:
        raise not_found()
    return row


def list_obligations(call: Call) -> Response:
    """GET /accounts/net_delivery_obligations.

    Per asset, group and label: payables and collateral deficiency, less what is available,
    collateral and receivable, where that is positive.
    """
    owed: dict[tuple[str, str, str], int] = {}
    sign = {"payable": 1, "collateral_deficiency": 1}
    for asset, group, label, kind, balance in call.world.store.rows(
        "SELECT asset, grp, label, type, balance FROM account"
        " WHERE visible = 1 AND type <> 'staked' AND balance <> '0' AND owner = ?",
        (call.world.platform,),
    ):
        key = (asset, group, label)
        owed[key] = owed.get(key, 0) + sign.get(kind, -1) * int(balance)
    items = [
        {
            "asset": asset,
            "amount": padded(amount, call.world.market.instruments[asset].precision),
            "account_group": group,
            "account_label": label,
        }
        for (asset, group, label), amount in sorted(owed.items())
        if amount > 0
    ]
    return json_response(200, {"message": items})


# Trades

_TRADE = (
    "SELECT t.seq, t.id, t.side, t.asset, t.quoted_currency, t.price, t.quantity, t.notional,"
    " t.fee, t.spread_bps, t.executed_ms, e.participant, s.id, e.id FROM trade t"
    " JOIN execution e ON e.seq = t.execution_seq JOIN strategy s ON s.seq = e.strategy_seq"
)
_TRADE_COUNT = (
    "SELECT count(*) FROM trade t JOIN execution e ON e.seq = t.execution_seq"
    " JOIN strategy s ON s.seq = e.strategy_seq"
)


def list_trades(call: Call) -> Response:
    """GET /trades: those of the last two months; all of them are settled at once."""
    wanted, query = Filter(), call.query
    today_ms = call.now_ms // DAY_MS * DAY_MS
    wanted.add("t.executed_ms >= ?", today_ms - TRADES_REACH_BACK_MS)
    if query.get("account_label"):
        wanted.add("s.id = ?", query["account_label"])
    if query.get("party_code") and query["party_code"] != PROVIDER:
        wanted.add("e.participant = ?", query["party_code"])
    if query.get("execution_id"):
        wanted.add("e.id = ?", query["execution_id"])
    if query.get("client_trade_id"):
        wanted.add("t.id = ?", query["client_trade_id"])
    for name, own in (
        ("platform_code", PROVIDER),
        ("market_identifier_code", "SCXM"),
        ("reporting_party", PROVIDER),
    ):
        if (query.get(name) or own) != own or query.get(f"omit_{name}") == own:
            wanted.add("0")
    if one_of(query, "trade_state", TRADE_STATES) not in (None, "terminated"):
        wanted.add("0")
    if one_of(query, "settlement_state", SETTLEMENT_STATES) not in (None, "settled"):
        wanted.add("0")
    add_timestamps(wanted, query, "transaction_timestamp", "t.executed_ms")
    number, pages = page_number(query), call.world.pages.trades
    rows, count = pages.page(
        _TRADE, _TRADE_COUNT, wanted, number=number, version=call.world.books.version
    )
    items = [_trade(call, row) for row in rows]
    return _numbered(items, number=number, count=count, size=pages.size)


def read_trade(call: Call) -> Response:
    """GET /trades/{trade_id}."""
    row = call.world.store.row(f"{_TRADE} WHERE t.id = ?", (call.ids[0].lower(),))
    if row is None:
        raise not_found()
    return json_response(200, {"message": _trade(call, row)})


def _trade(call: Call, row: Row) -> dict[str, Any]:
    """A trade as documented; a party's asset and amount are what that party receives."""
    _, name, side, asset, quoted, price, quantity, notional, fee, spread = row[:10]
    at_ms, participant, label, execution = row[10:]
    precision = call.world.market.instruments[asset].precision
    crypto = (asset, trimmed(int(quantity), precision))
    cost = notional - fee
    fiat = (quoted, padded(cost if side == "sell" else notional, CENTS))
    mine, theirs = (crypto, fiat) if side == "buy" else (fiat, crypto)
    spread_notional = half_even(cost * 100 * spread, 10_000)
    return {
        "trade_id": name,
        "client_trade_id": name,
        "batch_trade_id": None,
        "trade_state": "terminated",
        "market_identifier_code": "SCXM",
        "trade_reporter": PROVIDER,
        "trade_reporter_code": PROVIDER,
        "reporting_party": PROVIDER,
        "platform_code": PROVIDER,
        "settlement_schedule": None,
        "symbol": f"{asset}/{quoted}",
        "underlying": asset,
        "quoted_currency": quoted,
        "product_type": "spot",
        "trade_type": "regular",
        "trade_price": trimmed(int(price), PRICE_SCALE, at_least=2),
        "trade_quantity": crypto[1],
        "total_notional": padded(notional, CENTS),
        "asset_cost_notional": padded(cost, CENTS),
        "spread_notional": padded(spread_notional, CENTS + 2),
        "spread_bps": str(spread),
        "fees": [{"name": "LiquidityFee", "amount": padded(fee, CENTS)}] if fee else [],
        "physical_delivery": True,
        "parties_anonymous": False,
        "comment": "",
        "contract_size": 1,
        "transaction_timestamp": at_ms,
        "accepted_timestamp": at_ms,
        "settled_timestamp": at_ms,
        "defaulted_timestamp": None,
        "settlement_timestamp": None,
        "expiry_timestamp": None,
        "last_update": at_ms,
        "bank_fee": None,
        "origin": "rest_api",
        "session_id": "",
        "parties": [
            _party(participant, side, *mine, label, execution),
            _party(PROVIDER, "sell" if side == "buy" else "buy", *theirs, "inventory", execution),
        ],
    }


def _party(
    code: str, side: str, asset: str, amount: str, label: str, execution: str
) -> dict[str, Any]:
    return {
        "participant_code": code,
        "side": side,
        "asset": asset,
        "amount": amount,
        "settling": True,
        "settlement_state": "settled",
        "account_label": label,
        "execution_id": execution,
        "liquidity_indicator": None,
        "order_id": "",
        "client_order_id": "",
    }
