"""Executions decide what became of a call, and whether it was ours."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.apply.proof import Conflict, Incomplete, Proven, Verdict, judge, nobody
from stratctl.core.event import Execution, Instruction, Intent, IntentRow, RowResult
from stratctl.core.state import LiveOperation, Verb

ONE = "CUST01"


def an_intent(verb: Verb = Verb.TOP_UP, currency: str = "USD", **amounts: int | None) -> Intent:
    """A call of these participants."""
    rows = tuple(IntentRow(code, amount) for code, amount in (amounts or {ONE: 10_000}).items())
    return Intent(
        strategy="s",
        strategy_id="id",
        verb=verb,
        slot=1,
        request_id="request",
        method="POST",
        path="/",
        body="{}",
        body_sha256=hashlib.sha256(b"{}").hexdigest(),
        currency=currency,
        rows=rows,
        vector_text="",
        target_text="",
        target_epoch=0,
        acknowledgements=(),
        fence_head=0,
    )


def leg(amount: str, **said: Any) -> Instruction:
    """A buy for this much money."""
    whole: dict[str, Any] = {
        "asset": "BTC",
        "side": "buy",
        "amount": amount,
        "amount_type": "notional",
        "status": "executed",
        "status_reason": "",
        "price": "1",
        "quantity": "1",
        "total_notional": amount,
        "trade_ids": ("trade",),
    }
    return Instruction(**(whole | said))


def an_execution(*legs: Instruction, code: str = ONE, **said: Any) -> Execution:
    """A settled Execution of these legs."""
    made = Execution(f"execution-{code}", "operation", code, "settled", "", legs)
    return replace(made, **said)


OPERATION = LiveOperation("operation", "request", "top_up", "settled", "", (), "t", 1)
WHOLE = an_execution(leg("50.00"), leg("50.00", asset="ETH"))


def judged(
    *executions: Execution,
    intent: Intent | None = None,
    operation: LiveOperation = OPERATION,
    taken: bool = False,
) -> Verdict:
    """The verdict on a top-up of one hundred dollars, or on another intent."""
    return judge(intent or an_intent(), operation, executions, taken=taken)


def proven(*executions: Execution, intent: Intent | None = None) -> Any:
    """The one row of a proven verdict."""
    verdict = judged(*executions, intent=intent)
    assert isinstance(verdict, Proven)
    (row,) = verdict.rows
    return row


def test_a_complete_set_of_legs_is_proven() -> None:
    """The requested amount is booked, with its trades."""
    row = proven(WHOLE)
    assert (row.result, row.amount_minor) == (RowResult.SETTLED, 10_000)
    assert (row.execution_id, row.trade_ids) == ("execution-CUST01", ("trade", "trade"))


@pytest.mark.parametrize(
    ("amounts", "fits"),
    [
        (("50.00", "49.99"), True),
        (("50.00", "49.98"), True),
        (("50.00", "49.97"), False),
        (("50.01", "50.01"), True),
        (("50.02", "50.01"), False),
        (("33.333333333333333333333333", "66.666666666666666666666666"), True),
        (("100.00",), True),
        (("99.98",), False),
        (("50",), False),
    ],
)
def test_legs_add_up_within_one_minor_unit_each(amounts: Sequence[str], fits: bool) -> None:
    """Each leg may be rounded by a cent, and no more."""
    verdict = judged(an_execution(*(leg(amount) for amount in amounts)))
    assert isinstance(verdict, Proven if fits else Conflict)


@given(st.lists(st.integers(1, 10**13), min_size=1, max_size=8), st.sampled_from(["USD", "JPY"]))
def test_any_exact_split_is_proven_and_one_more_unit_per_leg_is_not(
    cents: list[int], currency: str
) -> None:
    """In every currency, for any number of legs."""
    digits = 0 if currency == "JPY" else 2
    intent = an_intent(Verb.TOP_UP, currency, CUST01=sum(cents))
    legs = [leg(f"{c // 10**digits}.{c % 10**digits:02d}" if digits else str(c)) for c in cents]
    assert isinstance(judged(an_execution(*legs), intent=intent), Proven)
    too_much = an_intent(Verb.TOP_UP, currency, CUST01=sum(cents) + len(cents) + 1)
    assert isinstance(judged(an_execution(*legs), intent=too_much), Conflict)


@pytest.mark.parametrize(
    ("executions", "why"),
    [
        ((), "no Executions"),
        ((replace(WHOLE, status="awaiting_execution"),), "awaiting_execution"),
        ((replace(WHOLE, status="novelty"),), "novelty"),
        ((replace(WHOLE, status=""),), "without a status"),
        ((WHOLE, replace(WHOLE, id="another")), "two Executions"),
        ((an_execution(),), "shows no legs"),
        ((an_execution(leg("100.00", status="waiting_proceeds")),), "waiting_proceeds"),
        ((an_execution(leg("100.00", status="")),), "without a status"),
        ((an_execution(leg("")),), "no exact amount"),
        ((an_execution(leg("-100.00")),), "no exact amount"),
        ((an_execution(leg("100.00", amount_type="fiat")),), "a 'buy' by 'fiat'"),
        ((an_execution(leg("100.00", side="swap")),), "a 'swap' by 'notional'"),
    ],
)
def test_what_is_not_all_there_yet_is_no_result(
    executions: tuple[Execution, ...], why: str
) -> None:
    """Unknown statuses are never terminal, and text that is no amount proves nothing."""
    verdict = judged(*executions)
    assert isinstance(verdict, Incomplete)
    assert why in verdict.why


def test_a_missing_participant_is_waited_for_and_an_extra_one_is_another_body() -> None:
    """Each participant of ours exactly once, and nobody else."""
    two = an_intent(CUST01=10_000, CUST02=5)
    missing = judged(WHOLE, intent=two)
    assert isinstance(missing, Incomplete)
    assert "CUST02" in missing.why
    extra = judged(WHOLE, an_execution(leg("5.00"), code="CUST09"))
    assert isinstance(extra, Conflict)
    assert [(row.participant_code, row.amount_minor) for row in extra.rows] == [
        ("CUST01", 10_000),
        ("CUST09", 500),
    ]


def test_the_same_execution_on_two_pages_is_one() -> None:
    """Pages may overlap."""
    assert proven(WHOLE, WHOLE).amount_minor == 10_000


@pytest.mark.parametrize(
    ("status", "legs", "result"),
    [
        ("settled", ("executed", "executed"), RowResult.SETTLED),
        ("settled", ("executed", "failed"), RowResult.MIXED),
        ("settled", ("failed", "failed"), RowResult.MIXED),
        ("rejected", (), RowResult.REJECTED),
        ("rejected", ("failed", "pending"), RowResult.REJECTED),
        ("rejected", ("executed", "failed"), RowResult.MIXED),
        ("skipped", ("skipped",), RowResult.SKIPPED),
        ("skipped", ("executed",), RowResult.MIXED),
    ],
)
def test_a_row_is_decided_by_its_execution_and_its_legs(
    status: str, legs: tuple[str, ...], result: RowResult
) -> None:
    """Only failed legs are mixed, and a refusal whose legs executed is looked at by a person."""
    parts = [leg(f"{100 // max(1, len(legs))}.00", status=each) for each in legs]
    row = proven(an_execution(*parts, status=status, status_reason="why"))
    assert row.result is result
    full = result in (RowResult.SETTLED, RowResult.MIXED)
    assert row.amount_minor == (10_000 if full else 0)
    assert row.reason == "why"


@pytest.mark.parametrize(
    ("skipped", "booked"),
    [(("25.00",), 7_500), (("24.999",), 7_501), (("25.00", "25.00"), 5_000)],
)
def test_a_buy_with_skipped_legs_books_the_executed_part(
    skipped: tuple[str, ...], booked: int
) -> None:
    """Rounded so that never more is left to send than did not move."""
    rest = 10_000 - 2_500 * len(skipped)
    legs = [leg(f"{rest // 100}.00"), *(leg(each, status="skipped") for each in skipped)]
    row = proven(an_execution(*legs))
    assert (row.result, row.amount_minor) == (RowResult.SETTLED, booked)
    assert row.reason.startswith("legs_skipped: BTC")


def test_a_buy_whose_legs_were_all_skipped_books_nothing() -> None:
    """Not even what rounding left over."""
    legs = [leg("49.99", status="skipped"), leg("49.99", status="skipped")]
    assert proven(an_execution(*legs)).amount_minor == 0


@pytest.mark.parametrize("verb", [Verb.PARTIAL_SELL, Verb.REBALANCE, Verb.LIQUIDATE])
def test_sells_are_proven_by_their_participants(verb: Verb) -> None:
    """The provider shows quantities, not the requested amount."""
    amount = 10_000 if verb is Verb.PARTIAL_SELL else None
    sell = leg("0.001", side="sell", amount_type="quantity", status="skipped")
    row = proven(an_execution(sell), intent=an_intent(verb, CUST01=amount))
    assert (row.result, row.amount_minor, row.reason) == (RowResult.SETTLED, amount, "")


@pytest.mark.parametrize(
    ("kind", "legs", "amount_minor", "verb"),
    [
        ("top_up", [leg("7.001"), leg("1.00", status="skipped")], 701, Verb.TOP_UP),
        ("enrollment", [leg("7.00"), leg("1.00", status="failed")], 800, Verb.ENROLL),
        (
            "partial_sell",
            [leg("1", side="sell", amount_type="quantity", total_notional="9.991")],
            1_000,
            Verb.PARTIAL_SELL,
        ),
        ("rebalance", [leg("7.00")], None, Verb.REBALANCE),
        ("liquidation", [leg("7", side="sell", amount_type="quantity")], None, Verb.LIQUIDATE),
    ],
)
def test_another_bodys_figures_are_the_providers(
    kind: str, legs: list[Instruction], amount_minor: int | None, verb: Verb
) -> None:
    """By the stored Operation's own type, rounded up; a mixed row in full."""
    operation = replace(OPERATION, type=kind)
    verdict = judged(an_execution(*legs), operation=operation, taken=True)
    assert isinstance(verdict, Conflict)
    assert (verdict.verb, verdict.rows[0].amount_minor) == (verb, amount_minor)


def test_another_bodys_refused_row_moved_nothing() -> None:
    """Zero, whatever its legs were to be."""
    refused = an_execution(leg("7.00", status="failed"), status="rejected")
    verdict = judged(refused, taken=True)
    assert isinstance(verdict, Conflict)
    assert verdict.rows[0].amount_minor == 0


def test_another_bodys_unknown_type_is_never_booked() -> None:
    """Nobody knows what it moves."""
    verdict = judged(WHOLE, operation=replace(OPERATION, type="novelty"), taken=True)
    assert isinstance(verdict, Incomplete)
    assert "novelty" in verdict.why


def test_nobody_moved_in_an_operation_without_executions() -> None:
    """Every participant is refused for that reason."""
    rows = nobody(an_intent(CUST01=5, CUST02=6)).rows
    assert [(row.result, row.reason, row.amount_minor) for row in rows] == [
        (RowResult.REJECTED, "no_executions", 0)
    ] * 2
    assert nobody(an_intent(Verb.REBALANCE, CUST01=None)).rows[0].amount_minor is None
