"""Words that nobody documented: kept as they are, shown, and never an end that went well."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stratctl.apply import proof
from stratctl.core import state
from stratctl.core.event import RowResult
from stratctl.core.state import OPERATION_TYPES
from stratctl.live import accounting, wire
from stratctl.live.identity import live_operation
from tests.apply.test_proof import an_intent

ID = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
OPERATION: Mapping[str, Any] = {
    "id": ID,
    "strategy_id": ID,
    "request_id": ID,
    "type": "top_up",
    "status": "settled",
    "status_reason": "",
    "created_at": "2026-04-17T10:00:00Z",
}
LEG: Mapping[str, Any] = {
    "underlying_currency": "BTC",
    "side": "buy",
    "amount": "100.00",
    "amount_type": "notional",
    "status": "executed",
    "status_reason": "",
}
EXECUTION: Mapping[str, Any] = {
    "id": ID,
    "operation_id": ID,
    "participant_code": "CUST01",
    "status": "settled",
    "status_reason": "",
}
DOCUMENTED = {
    *("validating", "pricing", "settling", "awaiting_execution", "settled", "skipped", "failed"),
    *("rejected", "executed", "pending", "buy", "sell", "notional", "quantity", *OPERATION_TYPES),
}
PLACES = (
    ("operation", "type"),
    ("operation", "status"),
    ("execution", "status"),
    ("leg", "status"),
    ("leg", "side"),
    ("leg", "amount_type"),
)
NEARLY = st.sampled_from(("Settled", "SETTLED", "settled ", "completed", "partial_success", ""))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WORDS = (NEARLY | TEXT).filter(lambda word: word not in DOCUMENTED)
EXTRA = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4).map("x_".__add__),
    TEXT | st.none() | st.booleans() | st.integers() | st.lists(st.integers(), max_size=2),
    max_size=2,
)


@settings(max_examples=settings().max_examples // 2)
@given(st.sampled_from(PLACES), WORDS, TEXT, EXTRA)
@example(("leg", "amount_type"), "fiat", "", {})
def test_an_unknown_word_is_shown_and_is_no_success(
    place: tuple[str, str], word: str, reason: str, extra: dict[str, Any]
) -> None:
    """I31: an enum's unknown value, a new reason and a new field are kept, and end nothing."""
    shown_and_open(place, word, reason, extra)


def shown_and_open(place: tuple[str, str], word: str, reason: str, extra: dict[str, Any]) -> None:
    """What I31 says of a top-up that settled, but for one word."""

    def saying(what: str, document: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        unknown = {place[1]: word} if place[0] == what else {}
        return {**extra, **document, **more, "status_reason": reason, **unknown}

    leg = saying("leg", LEG)
    execution = saying("execution", EXECUTION, instructions=[leg])
    page = {"executions": [execution], **extra}
    record = wire.operation(_parsed({"message": saying("operation", OPERATION)}))
    (seen,) = wire.executions_page(_parsed({"message": page})).items
    read: dict[str, Any] = {"operation": record, "execution": seen, "leg": seen.instructions[0]}
    assert getattr(read[place[0]], place[1]) == word
    assert {each.status_reason for each in read.values()} == {reason}

    operation = live_operation(record, slot=1)
    counted = accounting.count_operation(operation, [seen], "USD", in_flight=False)
    assert counted.problem or any(row.busy for row in counted.rows)
    if place == ("operation", "status"):
        assert not operation.terminal
    elif place != ("operation", "type"):
        verdict = proof.judge(an_intent(CUST01=10_000), operation, [seen], taken=False)
        assert isinstance(verdict, proof.Incomplete)


def test_the_same_in_known_words_is_a_success() -> None:
    """Without an unknown word the top-up of the law is proven, so that the law is about words."""
    with pytest.raises(AssertionError):
        shown_and_open(("execution", "status"), "settled", "", {})


@pytest.mark.parametrize(
    ("place", "where", "name", "value"),
    [
        (("operation", "status"), state, "TERMINAL", {"completed", "settled"}),
        (("execution", "status"), proof, "RESULTS", {"completed": RowResult.SETTLED}),
        (("leg", "status"), proof, "LEG_ENDS", {"completed", "executed"}),
        (("leg", "amount_type"), proof, "_tells_money", lambda leg: True),
    ],
)
def test_the_law_notices_an_unknown_word_that_ends(
    place: tuple[str, str], where: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: each of the lists has one word too many, or is not asked."""
    shown_and_open(place, "completed", "", {})
    monkeypatch.setattr(where, name, value)
    with pytest.raises(AssertionError):
        shown_and_open(place, "completed", "", {})


def _parsed(document: Any) -> Any:
    return wire.parse(json.dumps(document).encode())
