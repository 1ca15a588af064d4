"""Time, market, assets, participants, accounts, movements, obligations, trades."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.platform import Platform, open_platform

NOBODY = "00000000-0000-4000-8000-000000000000"


# Market


def test_symbol_data_has_the_price_of_now(platform: Platform) -> None:
    """A bare array of tuples, the price as text, the time in sandbox seconds."""
    platform.sandbox.control("price", {"BTC": "61234.50"})
    platform.sandbox.advance(1)
    answer = platform.get("/market_data/symbol_data", underlying="BTC", quoted_currency="USD")
    ((symbol, data),) = answer.body
    ((quoted, values),) = data["marketDataMap"]
    assert (symbol, quoted, values["price"]["value"]) == ("BTC", "USD", "61234.50")
    assert values["lastTimestamp"]["seconds"] == 1776421801


def test_symbol_data_of_an_unknown_asset_is_empty(platform: Platform) -> None:
    """No price is not an error here."""
    answer = platform.get("/market_data/symbol_data", underlying="NONE", quoted_currency="USD")
    assert (answer.status, answer.body) == (200, [])


def test_the_index_lags_by_an_hour(platform: Platform) -> None:
    """It is the mean of the past hour: an hour after a move it has arrived."""

    def index() -> Any:
        return platform.get("/index", underlying="BTC", quoted_currency="USD").body["value"]

    assert index() == 60000
    platform.sandbox.control("price", {"BTC": "66000.00"})
    assert index() == 60000
    platform.sandbox.advance(1800)
    assert index() == 63000
    platform.sandbox.advance(1800)
    assert index() == 66000


def test_the_index_in_another_currency_is_a_ratio(platform: Platform) -> None:
    """Of two means in dollars."""
    platform.sandbox.control("price", {"EUR": "1.20", "BTC": "72000"})
    platform.sandbox.advance(3600)
    answer = platform.get("/index", underlying="BTC", quoted_currency="EUR")
    assert answer.body["value"] == 60000


def test_the_index_is_a_number_in_the_text(platform: Platform) -> None:
    """The documented quirk: no quotes, no envelope."""
    headers = platform.get("/index", underlying="XRP", quoted_currency="USD")
    assert headers.body["index"] == "XRP/USD"
    assert type(headers.body["value"]) is float


@pytest.mark.parametrize("path", ["/index", "/market_data/symbol_data"])
def test_both_members_of_a_pair_are_required(platform: Platform, path: str) -> None:
    """Each missing member is named; a currency outside the list is refused."""
    assert platform.get(path).body == {
        "errors": ["query/underlying is required", "query/quoted_currency is required"]
    }
    assert platform.get(path, underlying="BTC", quoted_currency="XXX").status == 400


def test_the_index_of_an_unknown_pair_is_404(platform: Platform) -> None:
    """An asset or a currency that has no market here."""
    assert platform.get("/index", underlying="NONE", quoted_currency="USD").status == 404
    assert platform.get("/index", underlying="BTC", quoted_currency="JPY").status == 404


def test_assets_have_their_documented_precisions(platform: Platform) -> None:
    """BTC 8, ETH 18, SOL 9, XRP 6, XLM 7, NEAR 24, USD 2; filters narrow the list."""
    assets = {item["symbol"]: item for item in platform.get("/assets").message}
    wanted = {"BTC": 8, "ETH": 18, "SOL": 9, "XRP": 6, "XLM": 7, "NEAR": 24, "USD": 2}
    assert {name: assets[name]["precision"] for name in wanted} == wanted
    assert assets["USD"]["type"] == "fiat"
    assert len(platform.get("/assets", symbol="BTC").message) == 1
    stable = platform.get("/assets", stablecoin="true").message
    assert {"USDC.ETH", "DAI.ETH"} <= {item["symbol"] for item in stable}
    assert platform.get("/assets", stablecoin="maybe").status == 400


def test_a_price_adds_an_asset() -> None:
    """Prices at the start, or later, may name assets that were not there."""
    with open_platform(prices={"BTC": "50000", "PEPE.ETH": "0.00000123"}) as platform:
        (asset,) = platform.get("/assets", symbol="PEPE.ETH").message
        assert asset["precision"] == 18
        outcome = platform.run(
            platform.strategy(), "enroll", {"P00001": "10.00"}, {"PEPE.ETH": "1"}
        )
        assert outcome.legs("P00001")["PEPE.ETH"]["price"] == "0.00000123"


# Participants


def test_participants_are_a_sequence_of_codes() -> None:
    """P and the number in base 30; all approved; 100 a page."""
    with open_platform(participants=250) as platform:
        pages = [platform.get("/participants", page=page).body for page in (1, 2, 3)]
        assert [page["total_pages"] for page in pages] == [3, 3, 3]
        assert pages[0]["count"] == 250
        codes = [row["participant_code"] for page in pages for row in page["message"]]
        assert len(codes) == 250
        assert (codes[0], codes[8], codes[9], codes[28], codes[29]) == (
            "P00001",
            "P00009",
            "P0000A",
            "P0000Y",
            "P00010",
        )
        assert {row["status"] for page in pages for row in page["message"]} == {"approved"}


def test_participants_can_be_filtered(platform: Platform) -> None:
    """By code, email and status."""
    row = {"participant_code": "P00002", "status": "locked", "reason_code": "user_request"}
    platform.sandbox.control("participants", {"participants": [row]})
    (found,) = platform.get("/participants", status="locked").message
    assert (found["participant_code"], found["reason_code"]) == ("P00002", "user_request")
    assert platform.get("/participants", participant_code="P00003").body["count"] == 1
    assert platform.get("/participants", email=found["email"]).body["count"] == 1
    assert platform.get("/participants", status="asleep").status == 400


# Accounts


def test_accounts_list_what_is_not_zero(platform: Platform) -> None:
    """A holding that was sold is gone from the list, and can still be read by its id."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "1"})
    (account,) = platform.get("/accounts", account_label=strategy).message
    assert account == {
        "asset": "BTC",
        "account_owner": "P00001",
        "account_type": "available",
        "account_group": "PLAT01",
        "account_label": strategy,
        "balance": "0.00166666",
        "account_id": account["account_id"],
        "last_update": account["last_update"],
    }
    platform.run(strategy, "liquidate", ["P00001"])
    assert platform.get("/accounts", account_label=strategy).message == []
    gone = platform.get(f"/accounts/{account['account_id']}").message
    assert gone["balance"] == "0.00000000"
    assert platform.get(f"/accounts/{NOBODY}").status == 404


def test_accounts_can_be_filtered(platform: Platform) -> None:
    """By owner, group, label, asset and type, and all together."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00", "P00002": "100.00"})

    def count(**query: str) -> int:
        return len(platform.get("/accounts", **query).message)

    assert count(account_label=strategy) == 6
    assert count(account_owner="P00001") == 3
    assert count(asset="BTC") == 2
    assert count(account_group="PLAT01", asset="BTC", account_owner="P00002") == 1
    assert count(account_type="payable") == 0
    assert count(account_owner="00SCXM") == 2
    assert platform.get("/accounts", account_type="savings").status == 400


def test_accounts_come_two_hundred_a_page() -> None:
    """Every row once over all pages; a page after the last is empty; page 0 is refused."""
    with open_platform(participants=150) as platform:
        strategy = platform.strategy()
        codes = [
            row["participant_code"]
            for page in (1, 2)
            for row in platform.get("/participants", page=page).message
        ]
        platform.run(strategy, "enroll", dict.fromkeys(codes, "50.00"))
        pages = [
            platform.get("/accounts", account_label=strategy, page=page).body
            for page in (1, 2, 3, 4)
        ]
        assert [len(page["message"]) for page in pages] == [200, 200, 50, 0]
        assert {page["total_pages"] for page in pages} == {3}
        ids = [row["account_id"] for page in pages for row in page["message"]]
        assert len(set(ids)) == 450
        backwards = [
            platform.get("/accounts", account_label=strategy, page=page).body for page in (3, 2, 1)
        ]
        assert backwards == pages[2::-1]
        assert platform.get("/accounts", page="0").status == 400


def test_accounts_show_what_changed_between_pages(platform: Platform) -> None:
    """Pages by number follow the rows as they are now."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    assert len(platform.get("/accounts", account_label=strategy).message) == 3
    platform.run(strategy, "rebalance", ["P00001"], {"BTC": "1"})
    assert len(platform.get("/accounts", account_label=strategy).message) == 1


def test_movements_add_up_to_the_balance(platform: Platform) -> None:
    """Each with its trade; filters by time and by trade."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"}, {"BTC": "1"})
    platform.run(strategy, "partial-sell", {"P00001": "40.00"}, {"BTC": "1"})
    (account,) = platform.get("/accounts", account_label=strategy).message
    path = f"/accounts/{account['account_id']}/movements"
    moved = platform.get(path).message
    assert sum(Decimal(row["change"]) for row in moved) == Decimal(account["balance"])
    assert [row["movement_type"] for row in moved] == ["final_settlement"] * 2
    first, second = moved
    assert platform.get(path, parent_link_id=first["trade_id"]).message == [first]
    at = second["movement_timestamp"]
    assert platform.get(path, **{"movement_timestamp[gte]": at}).message == [second]
    assert platform.get(path, **{"movement_timestamp[lt]": at}).message == [first]
    assert platform.get(path, **{"movement_timestamp[e]": at * 10**6}).message == [second]
    assert platform.get(path, **{"movement_timestamp[gt]": "x"}).status == 400
    assert platform.get(f"/accounts/{NOBODY}/movements").status == 404


def test_the_float_moves_with_each_trade(platform: Platform) -> None:
    """A deposit at the start, then one movement per trade, linked to it."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00"})
    rows = platform.get("/accounts", account_owner="00SCXM", asset="USD").message
    moved = platform.get(f"/accounts/{rows[0]['account_id']}/movements").message
    assert [row["movement_type"] for row in moved] == ["deposit"] + ["final_settlement"] * 3
    assert [row["change"] for row in moved[1:]] == ["-50.00", "-30.00", "-20.00"]


def test_market_accounts_are_not_ours_to_see(platform: Platform) -> None:
    """The other side of the trades belongs to the provider."""
    platform.run(platform.strategy(), "enroll", {"P00001": "100.00"})
    rows = platform.get("/accounts").message
    assert {row["account_label"] for row in rows} & {"inventory", "fees", "outside"} == set()


def test_obligations_follow_the_formula(platform: Platform) -> None:
    """Payables less available, collateral and receivables, for the platform's own accounts."""
    assert platform.get("/accounts/net_delivery_obligations").message == []
    for kind, change in (
        ("payable", "200000.00"),
        ("available", "100000"),
        ("collateral", "60000"),
    ):
        body = {"owner": "PLAT01", "asset": "USD", "change": change, "type": kind}
        platform.sandbox.control("account", body)
    (row,) = platform.get("/accounts/net_delivery_obligations").message
    assert row == {
        "asset": "USD",
        "amount": "40000.00",
        "account_group": "PLAT01",
        "account_label": "general",
    }


# Trades


def test_trades_explain_the_instructions(platform: Platform) -> None:
    """Each trade id reads back; a party's asset and amount are what it receives."""
    strategy = platform.strategy()
    platform.sandbox.control("switches", {"spread_bps": 25, "fee_bps": 100})
    outcome = platform.run(strategy, "enroll", {"P00001": "50.00"}, {"BTC": "1"})
    leg = outcome.legs("P00001")["BTC"]
    trade = platform.get(f"/trades/{leg['trade_ids'][0]}").message
    assert trade["trade_price"] == leg["price"] == "60150.00"
    assert trade["trade_quantity"] == leg["quantity"]
    assert trade["total_notional"] == leg["total_notional"] == "50.00"
    assert trade["asset_cost_notional"] == "49.50"
    assert trade["fees"] == [{"name": "LiquidityFee", "amount": "0.50"}]
    assert (trade["spread_bps"], trade["spread_notional"]) == ("25", "0.1238")
    mine, theirs = trade["parties"]
    assert (mine["participant_code"], mine["side"], mine["asset"]) == ("P00001", "buy", "BTC")
    assert (theirs["asset"], theirs["amount"]) == ("USD", "50.00")
    assert mine["account_label"] == strategy
    assert platform.get(f"/trades/{NOBODY}").status == 404


def test_trades_can_be_filtered(platform: Platform) -> None:
    """By label, party, execution, states and time; settled trades only."""
    strategy = platform.strategy()
    platform.run(strategy, "enroll", {"P00001": "100.00", "P00002": "100.00"})
    execution = platform.all_rows("/strategies/executions")[0]["id"]

    def count(**query: Any) -> int:
        return int(platform.get("/trades", **query).body["count"])

    assert count() == count(account_label=strategy) == count(platform_code="00SCXM") == 6
    assert count(party_code="P00002") == count(execution_id=execution) == 3
    assert count(trade_state="terminated", settlement_state="settled") == 6
    assert count(trade_state="active") == count(settlement_state="defaulted") == 0
    assert count(platform_code="PLAT01") == count(omit_platform_code="00SCXM") == 0
    assert count(account_label=NOBODY) == 0
    now = platform.sandbox.control("time")["now_ms"]
    assert count(**{"transaction_timestamp[lte]": now}) == 6
    assert count(**{"transaction_timestamp[gt]": now}) == 0
    (trade, *_) = platform.get("/trades").message
    assert count(client_trade_id=trade["client_trade_id"]) == 1
    assert platform.get("/trades", trade_state="done").status == 400


def test_trades_reach_back_two_months(platform: Platform) -> None:
    """Older ones are not listed any more, and can still be read by id."""
    platform.run(platform.strategy(), "enroll", {"P00001": "100.00"})
    (trade, *_) = platform.get("/trades").message
    platform.sandbox.advance(62 * 86_400)
    assert platform.get("/trades").message == []
    assert platform.get(f"/trades/{trade['trade_id']}").message == trade
