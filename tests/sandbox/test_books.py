"""The books: every asset adds up to zero whatever happens, and a planted mistake is caught."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratctl.sandbox.books import Account, Books, BooksError, Posting, outside_account
from stratctl.sandbox.store import Store
from tests.sandbox.platform import Platform, open_platform

CODES = ["P00001", "P00002", "P00003", "P00004"]
FOUNDERS = dict.fromkeys(CODES[:3], "1000.00")
WEIGHTS = [
    {"BTC": "1"},
    {"BTC": "0.50", "ETH": "0.30", "SOL": "0.20"},
    {"BTC": "0.333", "NEAR": "0.333", "XRP": "0.334"},
    {"ETH": "0.999", "USDC.ETH": "0.001"},
]

cents = st.one_of(st.integers(1, 2_000_000), st.integers(100, 80_000))
who = st.lists(st.sampled_from([*CODES, "ZZZZZZ"]), min_size=1, max_size=4, unique=True)
steps = st.one_of(
    st.tuples(
        st.sampled_from(["enroll", "top-up", "partial-sell"]),
        st.integers(0, 1),
        st.dictionaries(st.sampled_from(CODES), cents, min_size=1),
        st.sampled_from(WEIGHTS),
    ),
    st.tuples(
        st.sampled_from(["rebalance", "liquidate"]),
        st.integers(0, 1),
        who,
        st.sampled_from(WEIGHTS),
    ),
    st.tuples(
        st.just("price"),
        st.just(0),
        st.sampled_from(["BTC", "ETH", "SOL", "NEAR", "XRP"]),
        st.integers(1, 10_000_000),
    ),
    st.tuples(st.just("advance"), st.just(0), st.integers(100, 5_000), st.none()),
)
worlds = st.fixed_dictionaries(
    {
        "spread_bps": st.sampled_from(["0", "25"]),
        "fee_bps": st.sampled_from(["0", "33"]),
        "leg_rounding": st.sampled_from(["lrm", "floor", "half_even"]),
        "proceeds_to": st.sampled_from(["float", "label"]),
        "label_cash": st.sampled_from(["kept", "invested"]),
        "funding_model": st.sampled_from(["novated", "standard"]),
        "buy_below_minimum": st.sampled_from(["reject", "skip"]),
        "oversell": st.sampled_from(["insufficient_funds", "clamp"]),
        "failing_assets": st.sampled_from(["", "ETH", "BTC,XRP"]),
        "float_reserved_at": st.sampled_from(["validating", "settling"]),
    }
)


def money(amount_cents: int) -> str:
    """Cents as the decimal string of a body."""
    return f"{Decimal(amount_cents).scaleb(-2):.2f}"


def take(platform: Platform, strategies: list[str], step: tuple[Any, ...]) -> None:
    """One random step."""
    verb, which, subject, detail = step
    if verb == "price":
        platform.sandbox.control("price", {subject: money(detail)})
    elif verb == "advance":
        platform.sandbox.advance(f"{Decimal(subject).scaleb(-3)}")
    else:
        if isinstance(subject, dict):
            subject = {code: money(amount) for code, amount in subject.items()}
        answer = platform.start(strategies[which], verb, subject, detail)
        assert answer.status == 202, answer.body


def shadow(platform: Platform) -> dict[str, int]:
    """Sums per asset over every account there is, computed here from the rows."""
    totals: dict[str, int] = {}
    for asset, balance in platform.sandbox.provider.world.store.rows(
        "SELECT asset, balance FROM account"
    ):
        totals[asset] = totals.get(asset, 0) + int(balance)
    return totals


@given(switches=worlds, sequence=st.lists(steps, min_size=3, max_size=12))
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=settings().max_examples // 3)
def test_books_balance_after_any_sequence(
    switches: dict[str, str], sequence: list[tuple[Any, ...]]
) -> None:
    """After each step the recomputation agrees with the running sums, and all is zero."""
    with open_platform(strict=False, switches=switches, float_balance="30000.00") as platform:
        strategies = [platform.strategy(), platform.strategy()]
        for strategy in strategies:
            platform.run(strategy, "enroll", FOUNDERS, WEIGHTS[1])
        before = platform.sandbox.control("books")["sums"]["USD"]["outside"]
        for step in sequence:
            take(platform, strategies, step)
            platform.sandbox.control("books")
        platform.settle(60)
        assert set(shadow(platform).values()) == {0}
        assert platform.sandbox.control("books")["sums"]["USD"]["outside"] == before
        assert_movements_explain_balances(platform)
        assert_everything_is_terminal(platform)


def assert_movements_explain_balances(platform: Platform) -> None:
    """For every account that a client can see."""
    for account in platform.get("/accounts").message:
        moved = platform.get(f"/accounts/{account['account_id']}/movements").message
        assert sum(Decimal(row["change"]) for row in moved) == Decimal(account["balance"])
        assert Decimal(account["balance"]) > 0


def assert_everything_is_terminal(platform: Platform) -> None:
    """No Execution waits after its Operation ended, and no hold is left."""
    for execution in platform.all_rows("/strategies/executions"):
        assert execution["status"] != "awaiting_execution"
    store = platform.sandbox.provider.world.store
    assert store.value("SELECT count(*) FROM trader WHERE held_by IS NOT NULL") == 0
    assert platform.sandbox.control("float")["reserved"] == {"USD": "0.00", "EUR": "0.00"}


@settings(max_examples=settings().max_examples // 3)
@given(
    amounts=st.dictionaries(st.sampled_from(CODES), cents, min_size=1),
    weights=st.sampled_from(WEIGHTS),
)
def test_settled_buys_cost_exactly_their_amounts(
    amounts: dict[str, int], weights: dict[str, str]
) -> None:
    """The float falls by the amounts of the settled Executions, to the cent."""
    with open_platform() as platform:
        before = Decimal(platform.float_balance())
        wanted = {code: money(amount) for code, amount in amounts.items()}
        outcome = platform.run(platform.strategy(), "enroll", wanted, weights)
        settled = [code for code in wanted if outcome.of(code) == ("settled", "")]
        spent = sum((Decimal(wanted[code]) for code in settled), Decimal(0))
        assert before - Decimal(platform.float_balance()) == spent
        for code in settled:
            legs = outcome.legs(code).values()
            assert sum(Decimal(leg["amount"]) for leg in legs) == Decimal(wanted[code])


# Planted mistakes


def sabotage(monkeypatch: pytest.MonkeyPatch, change: Callable[[Posting], None]) -> None:
    """Let every posting pass through a mistake first."""
    honest = Books.post

    def post(self: Books, posting: Posting) -> None:
        change(posting)
        honest(self, posting)

    monkeypatch.setattr(Books, "post", post)


def lose_a_unit(posting: Posting) -> None:
    """Credit one unit less than was bought."""
    for index, (account, change, trade) in enumerate(posting.entries):
        if account.book == "participants" and change > 0:
            posting.entries[index] = (account, change - 1, trade)


def forget_the_market(posting: Posting) -> None:
    """Leave out the other side."""
    posting.entries[:] = [entry for entry in posting.entries if entry[0].book != "market"]


def book_twice(posting: Posting) -> None:
    """Debit the float twice."""
    posting.entries += [entry for entry in posting.entries if entry[0].book == "float"]


@pytest.mark.parametrize("mistake", [lose_a_unit, forget_the_market, book_twice])
def test_a_posting_that_does_not_add_up_is_caught(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, mistake: Callable[[Posting], None]
) -> None:
    """Whatever goes wrong in a posting, the check after it finds it, and nothing is kept."""
    strategy = platform.strategy()
    platform.start(strategy, "enroll", {"P00001": "100.00"})
    before = shadow(platform)
    sabotage(monkeypatch, mistake)
    with pytest.raises(BooksError, match="add up to"):
        platform.sandbox.advance(5)
    assert shadow(platform) == before


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        (
            "UPDATE account SET balance = balance + 1 WHERE owner = 'P00001' AND asset = 'BTC'",
            "do not equal the sum of their movements",
        ),
        (
            "UPDATE movement SET change = '7' WHERE seq = (SELECT max(seq) FROM movement)",
            "do not equal the sum of their movements",
        ),
        (
            "UPDATE account SET book = 'fees' WHERE owner = 'P00001' AND asset = 'BTC'",
            "recomputed",
        ),
        ("UPDATE book_sum SET total = '0' WHERE asset = 'BTC'", "recomputed"),
        ("UPDATE account SET balance = '-1' WHERE book = 'float'", "is negative"),
    ],
)
def test_a_row_that_was_changed_is_found_by_the_recomputation(
    platform: Platform, sql: str, error: str
) -> None:
    """Balances, movements and sums are each compared with the others."""
    platform.run(platform.strategy(), "enroll", {"P00001": "100.00"})
    store = platform.sandbox.provider.world.store
    with store.transaction():
        store.write(sql)
    with pytest.raises(BooksError, match=error):
        platform.sandbox.control("books")


def test_nobody_can_spend_what_is_not_there() -> None:
    """A posting that would leave less than nothing is refused."""
    store = Store()
    books = Books(store, seed=0, platform="PLAT01")
    posting = Posting(1, 0)
    posting.move(Account("float", "00SCXM", "PLAT01", "general", "USD"), -1)
    posting.move(outside_account("USD"), 1)
    with pytest.raises(BooksError, match="would become -1"):
        books.post(posting)
    store.close()
