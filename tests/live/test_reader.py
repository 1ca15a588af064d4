"""The live State as read from a provider: found, counted, doubted, and never written to."""

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.errors import (
    AccessRefused,
    Interrupted,
    ProviderError,
)
from stratctl.core.slots import call_id, create_id
from stratctl.core.state import (
    HOLDINGS_KEY,
    HOLDINGS_ROWS,
    LIVE_ROWS,
    PARTICIPANT_KEY,
    PARTICIPANT_ROWS,
    BookedOperation,
    Live,
    OpenIntent,
    Price,
    Verb,
)
from stratctl.core.tables import Workspace
from stratctl.live import joining
from stratctl.live.accounting import Counted
from stratctl.live.reader import Reader
from stratctl.live.wire import AccountColumns, ParticipantColumns, TraderColumns
from stratctl.sandbox.faults import KINDS
from tests.live.worlds import FLOAT_ACCOUNT, World, booked, call, declared, intent

E24 = 10**24
FOREIGN_ID = "11111111-2222-4333-8444-555555555555"


def lines(*values: object) -> str:
    """A column of a page."""
    return "".join(f"{value}\n" for value in values)


def problem(live: Live) -> str:
    """The code of the only Strategy's problem."""
    (strategy,) = live.strategies
    return strategy.problem.partition(":")[0]


def enrolled(**switches: str) -> tuple[World, str, str]:
    """A world with two enrolled participants: (world, Strategy id, Operation id)."""
    world = World(switches=switches)
    strategy_id = world.create()
    operation_id = world.commit(
        call(Verb.ENROLL, strategy_id, 1, {"P00001": "100.00", "P00002": "60.00"})
    )
    return world, strategy_id, operation_id


def done(strategy_id: str, slot: int, operation_id: str, *, done: bool = True) -> BookedOperation:
    """An Operation that the journal booked."""
    request_id = call_id("sandbox", strategy_id, slot)
    return BookedOperation(strategy_id, slot, request_id, operation_id, Verb.ENROLL, done)


def booking(strategy_id: str, code: str, **fields: object) -> Mapping[str, object]:
    """One row of the journal's bookings."""
    return {"strategy_id": strategy_id, "participant_code": code, **fields}


def test_an_empty_provider_is_an_empty_state() -> None:
    """A Strategy that does not exist is not in it, and is not a problem."""
    world = World(participants=3)
    live = world.read()
    assert live.strategies == ()
    assert len(live.rows) == 0
    assert len(live.holdings) == 0
    assert live.participants is not None
    assert [row[0] for row in live.participants.rows()] == ["P00001", "P00002", "P00003"]
    assert live.floats[0].account == "00SCXM/PLAT01/general"


def test_what_settled_is_rebuilt_without_a_journal() -> None:
    """Traders, totals to a cent per leg, exact holdings, prices of what is held, the float."""
    world, strategy_id, operation_id = enrolled()
    live = world.read()
    (strategy,) = live.strategies
    assert (strategy.id, strategy.name, strategy.problem) == (strategy_id, "blue-chip", "")
    assert [(each.id, each.slot) for each in strategy.operations] == [(operation_id, 1)]
    row = world.rows(live)["P00001"]
    assert (row["contributed_minor"], row["tolerance_minor"], row["busy"]) == (10000, 3, None)
    assert row["trader_id"]
    assert row["auto_rebalance"] is True
    held = {(code, asset): quantity for _, code, asset, quantity in live.holdings.rows()}
    assert held[("P00001", "BTC")] == 83333 * E24 // 10**8
    assert held[("P00001", "ETH")] == E24 // 100
    assert ("P00001", "USD") not in held
    assert {price.asset for price in live.prices} == {"BTC", "ETH", "SOL"}
    assert Price("BTC", "USD", 60_000 * 10**8, 60_000 * 10**8) in live.prices
    assert live.floats[0].available_minor == 1_000_000_000_00 - 16000
    assert ("BTC", 8) in live.precisions
    assert live.requests == world.limiter.taken - 2
    assert (dict(live.rows.schema), dict(live.holdings.schema)) == (LIVE_ROWS, HOLDINGS_ROWS)


def test_what_the_journal_booked_is_not_counted_again() -> None:
    """Booked figures stand as they are, exact, and its Executions are not even read."""
    world, strategy_id, operation_id = enrolled()
    known = booked(
        world.workspace,
        [
            booking(
                strategy_id,
                "P00001",
                contributed_minor=10000,
                forfeited_in_minor=7,
                withdrawn_minor=3,
                pending_out_minor=2,
                forfeited_out_minor=1,
                target_text="BTC 1",
                target_epoch=2,
                parked="no",
            ),
            booking(strategy_id, "P00009", pending_in_minor=500, busy=True, exited=True),
        ],
        operations=(done(strategy_id, 1, operation_id),),
        strategy_ids=(("blue-chip", strategy_id),),
    )
    # Were its Executions read, this fault would spoil them.
    world.fault("html", path="/strategies/executions", count=99)
    live = world.read(known=known)
    assert problem(live) == ""
    rows = world.rows(live)
    assert rows["P00001"]["contributed_minor"] == 10007
    assert rows["P00001"]["withdrawn_minor"] == 6
    assert rows["P00001"]["tolerance_minor"] == 0
    assert (rows["P00001"]["target_text"], rows["P00001"]["target_epoch"]) == ("BTC 1", 2)
    assert rows["P00001"]["parked"] == "no"
    assert rows["P00009"]["contributed_minor"] == 500
    assert (rows["P00009"]["busy"], rows["P00009"]["exited"]) == ("pending", True)
    assert rows["P00009"]["trader_id"] is None
    assert rows["P00002"]["contributed_minor"] == 0


def test_a_journal_that_is_behind_is_completed_from_executions() -> None:
    """What it booked plus what it missed, each once."""
    world, strategy_id, operation_id = enrolled()
    world.commit(call(Verb.TOP_UP, strategy_id, 2, {"P00001": "25.00"}))
    known = booked(
        world.workspace,
        [booking(strategy_id, "P00001", contributed_minor=10000, exited=True)],
        operations=(done(strategy_id, 1, operation_id),),
    )
    row = world.rows(world.read(known=known))["P00001"]
    assert (row["contributed_minor"], row["tolerance_minor"]) == (12500, 3)
    assert row["exited"] is False


def test_an_open_intent_counts_once_in_every_state() -> None:
    """The journal counts what it may have sent; what it never sent is counted when it is there."""
    world, strategy_id, _ = enrolled()
    for signed_last, expected in ((1_700_000_000, 160), (None, 10000)):
        open_intent = OpenIntent(
            "blue-chip",
            strategy_id,
            1,
            call_id("sandbox", strategy_id, 1),
            Verb.ENROLL,
            "{}",
            signed_last,
        )
        rows = [booking(strategy_id, "P00001", pending_in_minor=160)] if signed_last else []
        known = booked(world.workspace, rows, open_intents=(open_intent,))
        live = world.read(known=known)
        assert world.rows(live)["P00001"]["contributed_minor"] == expected


def test_our_own_operation_in_flight_without_a_journal_stops_the_strategy() -> None:
    """Nobody can say yet whom it concerns; once it is done it counts."""
    world, strategy_id, _ = enrolled()
    world.send(call(Verb.TOP_UP, strategy_id, 2, {"P00001": "25.00"}))
    assert problem(world.read()) == "E_OPERATION_OPEN"
    world.settle()
    live = world.read()
    assert problem(live) == ""
    assert world.rows(live)["P00001"]["contributed_minor"] == 12500


def test_a_foreign_operation_blocks_its_rows_and_counts() -> None:
    """In flight it makes its participants busy and no others; settled, it counts in full."""
    world, strategy_id, operation_id = enrolled(settling_ms="4000")  # longer than any read takes
    known = booked(world.workspace, operations=(done(strategy_id, 1, operation_id),))
    foreign = call(Verb.TOP_UP, strategy_id, 0, {"P00002": "5.00"}, request_id=FOREIGN_ID)
    world.send(foreign)
    world.sandbox.advance("0.35")
    live = world.read(known=known)
    rows = world.rows(live)
    assert problem(live) == ""
    assert (rows["P00002"]["busy"], rows["P00001"]["busy"]) == ("foreign_operation", None)
    assert rows["P00002"]["contributed_minor"] == 500
    world.settle()
    rows = world.rows(world.read(known=known))
    assert rows["P00002"]["busy"] is None
    assert (rows["P00002"]["contributed_minor"], rows["P00002"]["tolerance_minor"]) == (500, 3)
    assert world.read(known=known).strategies[0].operations[-1].slot is None


def test_exits_and_returns_are_told_apart() -> None:
    """Sold out is out, also with nothing held; bought again is in."""
    world, strategy_id, _ = enrolled()
    world.commit(call(Verb.LIQUIDATE, strategy_id, 2, {"P00001": None, "P00002": None}))
    rows = world.rows(world.read())
    assert (rows["P00001"]["exited"], rows["P00002"]["exited"]) == (True, True)
    world.sandbox.advance(2)
    world.commit(call(Verb.LIQUIDATE, strategy_id, 3, {"P00002": None}))
    world.sandbox.advance(2)
    world.commit(call(Verb.TOP_UP, strategy_id, 4, {"P00001": "10.00"}))
    rows = world.rows(world.read())
    assert (rows["P00001"]["exited"], rows["P00002"]["exited"]) == (False, True)


def test_a_foreign_sale_from_before_the_journals_last_word_does_not_undo_it() -> None:
    """The journal's newer word on who is out stands against an older foreign Operation."""
    world, strategy_id, first = enrolled()
    world.commit(call(Verb.LIQUIDATE, strategy_id, 0, {"P00001": None}, request_id=FOREIGN_ID))
    world.sandbox.advance(2)
    second = world.commit(call(Verb.TOP_UP, strategy_id, 2, {"P00001": "10.00"}))
    known = booked(
        world.workspace,
        [booking(strategy_id, "P00001", contributed_minor=11000)],
        operations=(done(strategy_id, 1, first), done(strategy_id, 2, second)),
    )
    assert world.rows(world.read(known=known))["P00001"]["exited"] is False


def test_partial_sells_are_rebuilt_with_a_wide_tolerance_and_said() -> None:
    """Their proceeds are the best figure that the provider shows."""
    world, strategy_id, _ = enrolled(spread_bps="40")
    world.commit(call(Verb.PARTIAL_SELL, strategy_id, 2, {"P00001": "20.00"}))
    live = world.read()
    row = world.rows(live)["P00001"]
    assert abs(row["withdrawn_minor"] - 2000) <= row["tolerance_minor"]
    assert 0 < row["tolerance_minor"] <= 50
    assert [warning.code for warning in live.warnings] == ["W_SELLS_REBUILT"]


def test_mixed_legs_wait_for_a_person() -> None:
    """A leg that failed beside one that executed counts in full and blocks its row."""
    world = World(switches={"failing_assets": "ETH"})
    strategy_id = world.create()
    world.commit(call(Verb.ENROLL, strategy_id, 1, {"P00001": "100.00"}))
    row = world.rows(world.read())["P00001"]
    assert (row["busy"], row["contributed_minor"]) == ("mixed_outcome", 10000)


def test_standing_is_shown_where_it_is_not_approved() -> None:
    """With the provider's reason; what it does not list does not exist."""
    world, _, _ = enrolled()
    world.sandbox.control(
        "participants",
        {
            "participants": [
                {"participant_code": "P00001", "status": "locked", "reason_code": "user_request"},
                {"participant_code": "P00003", "status": "rejected"},
            ]
        },
    )
    live = world.read()
    rows = world.rows(live)
    assert rows["P00001"]["standing"] == "locked:user_request"
    assert rows["P00002"]["standing"] is None
    assert live.participants is not None
    standings = dict(live.participants.rows())
    assert standings["P00003"] == "rejected"
    assert standings["P00004"] == "approved"
    assert "NOBODY" not in standings


def test_quantities_are_exact_to_24_decimals() -> None:
    """The widest asset's smallest unit survives beside a balance of many digits."""
    world, strategy_id, _ = enrolled()
    change = "12345678901.123456789012345678901234"
    world.sandbox.control(
        "account",
        {"owner": "P00001", "label": strategy_id, "asset": "NEAR", "change": change},
    )
    held = {asset: quantity for _, code, asset, quantity in world.read().holdings.rows()}
    assert held["NEAR"] == int(change.replace(".", ""))


def test_many_strategies_are_read_side_by_side() -> None:
    """More than there are threads, each with its own rows, ascending by name."""
    world = World()
    names = [f"s{number:02d}" for number in range(12)]
    ids = {name: world.create(name) for name in reversed(names)}
    for name in names:
        world.commit(call(Verb.ENROLL, ids[name], 1, {"P00001": "10.00"}))
    live = world.read(*[declared(name) for name in names])
    assert [strategy.name for strategy in live.strategies] == names
    assert len(live.rows) == 12
    assert {row[0] for row in live.rows.rows()} == set(ids.values())


def test_lists_longer_than_a_page_are_read_to_the_end() -> None:
    """Traders by cursor, participants and accounts by page number."""
    world = World(participants=450)
    strategy_id = world.create()
    codes = [row["participant_code"] for row in _participants(world)]
    world.commit(call(Verb.ENROLL, strategy_id, 1, dict.fromkeys(codes, "10.00")))
    live = world.read()
    assert len(live.rows) == 450
    assert len(live.holdings) == 1350
    assert {row["contributed_minor"] for row in world.rows(live).values()} == {1000}


def _participants(world: World) -> list[dict[str, str]]:
    pages = [
        world.read_client.get(
            "/participants", {"page": str(page)}, decode=lambda document: document["message"]
        )
        for page in range(1, 6)
    ]
    return [row for page in pages for row in page]


def test_an_adopted_strategy_is_read_like_any_other() -> None:
    """By the provider's id, with foreign Operations until our chain begins."""
    world = World()
    created = world.send(
        intent(Verb.CREATE, "/strategies", {"quoted_currency": "USD", "metadata": {}}, FOREIGN_ID)
    )
    world.commit(call(Verb.ENROLL, created.resource_id, 1, {"P00001": "10.00"}))
    live = world.read(declared(provider_id=created.resource_id))
    assert (live.strategies[0].id, live.strategies[0].operations[0].slot) == (
        created.resource_id,
        1,
    )


# --- what may be stale -------------------------------------------------------------------------


def test_a_list_that_is_behind_the_journal_is_read_again() -> None:
    """Within a minute it catches up, and nothing is left of the doubt."""
    world, strategy_id, first = enrolled()
    world.sandbox.control("lag", {"operations": 20})
    second = world.send(call(Verb.TOP_UP, strategy_id, 2, {"P00001": "25.00"}))
    known = booked(
        world.workspace,
        operations=(
            done(strategy_id, 1, first),
            done(strategy_id, 2, second.resource_id),
        ),
    )
    live = world.read(known=known)
    assert problem(live) == ""
    assert len(live.strategies[0].operations) == 2
    assert sum(world.clock.sleeps) <= 60


def test_a_list_that_stays_behind_stops_its_strategy_only() -> None:
    """After a minute the doubt is that Strategy's problem; the other is read as ever."""
    world, strategy_id, first = enrolled()
    other = world.create("other")
    world.commit(call(Verb.ENROLL, other, 1, {"P00003": "10.00"}))
    world.sandbox.control("lag", {"operations": 3600})
    second = world.send(call(Verb.TOP_UP, strategy_id, 2, {"P00001": "25.00"}))
    known = booked(
        world.workspace,
        operations=(
            done(strategy_id, 1, first),
            done(strategy_id, 2, second.resource_id),
        ),
    )
    live = world.read(declared(), declared("other"), known=known)
    problems = {each.name: each.problem.partition(":")[0] for each in live.strategies}
    assert problems["blue-chip"] == "E_STALE_READ"
    assert sum(world.clock.sleeps) <= 60


def test_a_bound_strategy_that_is_not_listed_is_its_own_problem() -> None:
    """It is looked for again for a minute; the others are read as ever."""
    world, strategy_id, _ = enrolled()
    known = booked(world.workspace, strategy_ids=(("gone", FOREIGN_ID),))
    live = world.read(known=known)
    assert [each.problem.partition(":")[0] for each in live.strategies] == [
        "",
        "E_STRATEGY_MISSING",
    ]
    assert [each.id for each in live.strategies] == [strategy_id, FOREIGN_ID]
    assert 0 < sum(world.clock.sleeps) <= 60


def test_a_status_that_goes_back_is_read_again() -> None:
    """Once is a stale replica; for good it is a problem."""
    for count, expected in ((1, ""), (99, "E_STALE_READ")):
        world, strategy_id, operation_id = enrolled()
        known = booked(world.workspace, operations=(done(strategy_id, 1, operation_id),))
        world.fault(
            "replace",
            path="/strategies/operations",
            skip=1,
            count=count,
            find='"status":"settled"',
            **{"with": '"status":"pricing"'},
        )
        assert problem(world.read(known=known)) == expected


def test_executions_that_are_late_are_read_again() -> None:
    """A finished Operation without Executions is a list that is behind."""
    world = World()
    strategy_id = world.create()
    world.sandbox.control("lag", {"executions": 12})
    world.commit(call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"}))
    live = world.read()
    assert problem(live) == ""
    assert world.rows(live)["P00001"]["contributed_minor"] == 1000
    assert world.clock.sleeps


def test_executions_that_never_come_stop_the_strategy() -> None:
    """Who was in it stays unknown, so that nobody may be sent anything."""
    world = World()
    strategy_id = world.create()
    world.sandbox.control("lag", {"executions": 3600})
    world.commit(call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"}))
    assert problem(world.read()) == "E_EXECUTION_SET"


@pytest.mark.parametrize("kind", ["short_page", "drop_item"])
def test_two_reads_of_executions_must_agree(kind: str) -> None:
    """Without the journal only that tells a page that lost rows; then all of them count."""
    world, _, _ = enrolled()
    world.fault(kind, path="/strategies/executions")
    live = world.read()
    assert problem(live) == ""
    assert {row["contributed_minor"] for row in world.rows(live).values()} == {10000, 6000}


@pytest.mark.parametrize("path", ["/strategies/operations", "/strategies/traders", "/executions"])
def test_a_list_that_runs_in_a_circle_is_left(path: str) -> None:
    """The second sight of a page token ends it, as that Strategy's problem."""
    world, _, _ = enrolled()
    world.fault("repeat_token", path=path, count=99)
    assert problem(world.read()) == "E_READ"
    assert world.limiter.taken < 60


@pytest.mark.parametrize(
    "path", ["/strategies/operations", "/strategies/traders", "/executions", "account_label"]
)
def test_a_filter_that_is_not_honoured_is_noticed(path: str) -> None:
    """Rows of another Strategy or Operation in the list are its problem."""
    world, strategy_id, operation_id = enrolled()
    if path == "account_label":
        find, other = f'"account_label":"{strategy_id}"', f'"account_label":"{FOREIGN_ID}"'
    elif path == "/executions":
        find, other = f'"operation_id":"{operation_id}"', f'"operation_id":"{FOREIGN_ID}"'
    else:
        find, other = f'"strategy_id":"{strategy_id}"', f'"strategy_id":"{FOREIGN_ID}"'
    world.fault("replace", path=path, count=99, find=find, **{"with": other})
    assert problem(world.read()) == "E_READ"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("replace", "late")])
@pytest.mark.parametrize("path", ["/strategies?", "/strategies/traders", "/accounts", "/assets"])
def test_every_fault_on_a_read_heals_or_is_named(kind: str, path: str) -> None:
    """One fault: the State is read as it is, or an error of ours or a problem says why not."""
    world, _, _ = enrolled()
    world.fault(kind, path=path)
    if kind in ("401", "403", "1020"):
        with pytest.raises(AccessRefused):
            world.read()
        return
    live = world.read()
    if kind in ("short_page", "drop_item") and path in ("/strategies?", "/strategies/traders"):
        # Nothing but the journal could tell that rows are missing.
        assert not live.strategies or None in {row[2] for row in live.rows.rows()}
    else:
        assert problem(live) == ""
        rows = world.rows(live).values()
        assert {row["contributed_minor"] for row in rows} == {10000, 6000}
        assert all(row["trader_id"] for row in rows)


@pytest.mark.parametrize("kind", ["short_page", "drop_item"])
def test_traders_that_are_lost_from_their_list_are_missed_by_the_journal(kind: str) -> None:
    """Whoever bought is a Trader for good; a list without them is not believed."""
    world, strategy_id, operation_id = enrolled()
    known = booked(
        world.workspace,
        [
            booking(strategy_id, "P00001", contributed_minor=10000),
            booking(strategy_id, "P00002", contributed_minor=6000),
        ],
        operations=(done(strategy_id, 1, operation_id),),
    )
    assert problem(world.read(known=known)) == ""
    world.fault(kind, path="/strategies/traders")
    assert problem(world.read(known=known)) == "E_STALE_READ"


def test_a_strategy_that_is_lost_from_its_list_is_missed_by_the_journal() -> None:
    """A page that lost its rows does not make a Strategy that must be created anew."""
    world, strategy_id, _ = enrolled()
    known = booked(world.workspace, strategy_ids=(("blue-chip", strategy_id),))
    world.fault("drop_item", path="/strategies?")
    live = world.read(known=known)
    assert [strategy.id for strategy in live.strategies] == [strategy_id]
    assert problem(live) == ""


def test_when_the_provider_is_down_reading_ends() -> None:
    """With an error of ours, after bounded requests, and the threads are gone."""
    world, _, _ = enrolled()
    world.fault("502_before", count=10_000)
    with pytest.raises(ProviderError, match="502"):
        world.read()
    assert world.limiter.taken < 60


def test_when_one_list_fails_the_others_stop() -> None:
    """Threads that read other lists give up at their next page."""
    world, _, _ = enrolled()
    world.fault("403", path="/assets")
    with pytest.raises(AccessRefused):
        world.read()


def test_a_person_can_stop_it() -> None:
    """What the progress raises ends the reading."""
    world, _, _ = enrolled()

    def stop(subject: str, rows: int) -> None:
        raise Interrupted("enough")

    with pytest.raises(Interrupted):
        Reader(world.read_client, world.clockwork).read(
            realm="sandbox",
            declared=[declared()],
            float_account=FLOAT_ACCOUNT,
            booked=booked(world.workspace),
            workspace=world.workspace,
            as_of="",
            price_assets=(),
            progress=stop,
        )


def test_progress_tells_what_is_read() -> None:
    """Subjects with the number of their rows so far."""
    world, _, _ = enrolled()
    seen: dict[str, int] = {}
    Reader(world.read_client, world.clockwork).read(
        realm="sandbox",
        declared=[declared()],
        float_account=FLOAT_ACCOUNT,
        booked=booked(world.workspace),
        workspace=world.workspace,
        as_of="",
        price_assets=(),
        progress=lambda subject, rows: seen.update({subject: rows}),
    )
    assert seen == {
        "strategies": 1,
        "participants": 40,
        "blue-chip operations": 1,
        "blue-chip traders": 2,
        "blue-chip holdings": 6,
    }


def test_an_unknown_status_is_shown_and_warned_of() -> None:
    """It is never taken for the end: the Strategy waits."""
    world, _, _ = enrolled(unknown_operation_status="terminal")
    live = world.read()
    assert problem(live) == "E_OPERATION_OPEN"
    assert [warning.code for warning in live.warnings] == ["W_UNKNOWN_STATUS"]


def test_prices_that_are_not_quoted_are_left_out() -> None:
    """A pair without a price is no error: nothing is planned from its drift."""
    world = World()
    live = Reader(world.read_client, world.clockwork).read(
        realm="sandbox",
        declared=(),
        float_account=FLOAT_ACCOUNT,
        booked=booked(world.workspace),
        workspace=world.workspace,
        as_of="",
        price_assets=[("BTC", "USD"), ("NOSUCH", "USD"), ("BTC", "XXX")],
        progress=lambda subject, rows: None,
    )
    assert [price.asset for price in live.prices] == ["BTC"]


# --- joining -----------------------------------------------------------------------------------


def test_a_trader_that_came_twice_is_one() -> None:
    """As it was last changed; two Traders of one participant are a problem."""
    workspace = Workspace()
    page = TraderColumns(
        id=lines("t1", "t1", "t2", "t3"),
        strategy_id=lines(*"ssss"),
        participant_code=lines(*"AABB"),
        auto_rebalance=lines("true", "false", "", "true"),
        updated_at=lines("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "", ""),
    )
    traders, problems = joining.one_trader_each(joining.traders_table(workspace, [page]))
    assert [row[1:4] for row in traders.rows()] == [("A", "t1", False), ("B", "t2", None)]
    assert problems == {"s": "E_TRADER_DUPLICATE: B is several Traders of one Strategy"}


def test_an_account_that_came_twice_is_one() -> None:
    """As it was last updated, and two accounts are one holding; impossible balances are none."""
    workspace = Workspace()
    page = AccountColumns(
        account_id=lines("a1", "a1", "a2", "a3", "a4", "a5"),
        owner=lines(*"AABCAA"),
        label=lines(*"sssrss"),
        type=lines(*["available"] * 6),
        asset=lines("BTC", "BTC", "BTC", "BTC", "USD", "BTC"),
        balance=lines("1.5", "2.5", "-0.1", "123456789012345.0", "9.99", "1.0"),
        last_update=range(6),
    )
    accounts = joining.accounts_table(workspace, [page])
    traders = joining.traders_table(
        workspace,
        [
            TraderColumns(
                lines(*"tuv"), lines(*"ssr"), lines(*"ABC"), lines(*["true"] * 3), lines("", "", "")
            )
        ],
    )
    held = joining.holdings(workspace, accounts, traders, ["USD"])
    assert held.rows() == [("s", "A", "BTC", 7 * E24 // 2)]
    assert held.keys == {HOLDINGS_KEY}
    assert set(joining.impossible_holdings(accounts)) == {"s", "r"}


def test_an_account_that_came_under_two_owners_counts_for_one() -> None:
    """For the one whose it was last: nobody holds what somebody else does."""
    workspace = Workspace()
    page = AccountColumns(
        account_id=lines("a1", "a1"),
        owner=lines("A", "B"),
        label=lines("s", "s"),
        type=lines("available", "available"),
        asset=lines("BTC", "BTC"),
        balance=lines("1.5", "2.5"),
        last_update=[1, 2],
    )
    accounts = joining.accounts_table(workspace, [page])
    assert accounts.rows() == [("s", "B", "BTC", "2.5", "a1")]


def test_participants_that_came_twice_are_one() -> None:
    """Of two standings the less favourable one counts."""
    page = ParticipantColumns(
        lines(*"AAB"), lines("approved", "locked", "locked"), lines("", "user_request", "")
    )
    table = joining.participants_table(Workspace(), [page])
    assert table.rows() == [("A", "locked:user_request"), ("B", "locked")]
    assert table.keys == {PARTICIPANT_KEY}
    assert dict(table.schema) == PARTICIPANT_ROWS


def test_pages_come_end_to_end_in_their_order() -> None:
    """Of any length, empty ones among them, whatever their texts are made of."""
    odd = ["", "a\tb", "a\rb", "'; --", "\\n", "€ \u2028", "\x00", " "]
    pages = [
        ParticipantColumns(lines(*codes), lines(*texts), lines(*reversed(texts)))
        for codes, texts in (("AB", odd[:2]), ("", []), ("C", odd[2:3]), ("DEFGH", odd[3:]))
    ]
    listed = joining._end_to_end(
        Workspace(),
        "listed",
        {"code": "VARCHAR", "status": "VARCHAR", "reason": "VARCHAR"},
        [(page.participant_code, page.status, page.reason_code) for page in pages],
    )
    backwards = [*odd[1::-1], odd[2], *odd[:2:-1]]
    rows = listed.workspace.rows(f"SELECT * FROM {listed}")
    assert rows == list(zip("ABCDEFGH", odd, backwards, strict=True))


@settings(max_examples=10)
@given(st.lists(st.from_regex(r"\A-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,30})?\Z"), min_size=20))
def test_balances_are_cut_and_never_rounded(balances: list[str]) -> None:
    """To 24 decimals, where they are more than nothing and not more than can be."""
    workspace = Workspace()
    count = len(balances)
    codes = [f"P{number:05d}" for number in range(count)]
    same = {column: lines(*["s"] * count) for column in ("label", "type")}
    page = AccountColumns(
        account_id=lines(*codes),
        owner=lines(*codes),
        asset=lines(*["BTC"] * count),
        balance=lines(*balances),
        last_update=range(count),
        **same,
    )
    traders = workspace.table(
        "traders",
        joining.TRADER_ROWS,
        (["s"] * count, codes, codes, [True] * count, [""] * count),
    )
    accounts = joining.accounts_table(workspace, [page])
    held = joining.holdings(workspace, accounts, traders, ["USD"])
    units = [int(Fraction(balance) * E24) for balance in balances]
    assert held.rows() == [
        ("s", code, "BTC", each)
        for code, each in zip(codes, units, strict=True)
        if 0 < each < 10**14 * E24
    ]


def test_rows_of_strategies_that_are_not_read_are_left_out() -> None:
    """Bookings of a Strategy that is not in the State do not become its rows."""
    workspace = Workspace()
    known = booked(workspace, [booking("s", "A", pending_in_minor=1), booking("x", "A")])
    rows = joining.live_rows(
        workspace,
        strategy_ids=["s"],
        traders=joining.traders_table(workspace, []),
        booked=known.rows,
        counted=joining.counted_table(workspace, {"s": [Counted("B", 2, busy="mixed_outcome")]}),
        participants=joining.participants_table(workspace, []),
    )
    assert [(row[0], row[1], row[5]) for row in rows.rows()] == [("s", "A", 1), ("s", "B", 2)]


def test_the_create_id_names_the_realm() -> None:
    """The same name in another realm is another Strategy."""
    assert create_id("sandbox", "blue-chip") != create_id("cert", "blue-chip")
