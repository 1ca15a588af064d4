"""Impact in words: what is short and for whom, how many prices, and what is largest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stratctl.core.plan import FloatNeed
from stratctl.core.state import Verb
from stratctl.core.tables import Workspace
from stratctl.view.impact import float_text, largest, prices, prices_line, reasons
from tests.plans import Row, call, impact, plan_of

SPACE = Workspace()
ROWS = [
    Row(1, "P1", 500, None, "contributed rose", cohort="old", moved_e8=500 * 10**6),
    Row(1, "P2", 700, None, "contributed rose", cohort="new", moved_e8=700 * 10**6),
    Row(2, "P3", 700, None, "contributed rose", cohort="new", moved_e8=700 * 10**6),
    Row(3, "P4", 900, True, "not enrolled yet", cohort="new", moved_e8=900 * 10**6),
    Row(4, "P5", None, False, "auto_rebalance is declared false", cohort="new", moved_e8=0),
]
VERBS = {1: Verb.TOP_UP, 2: Verb.TOP_UP, 3: Verb.ENROLL, 4: Verb.FLAGS}
PLAN = replace(
    plan_of(SPACE, [call(n, verb, ROWS) for n, verb in VERBS.items()], ROWS),
    impacts=(impact("blue-chip", participants=5, largest_minor=900),),
)


@pytest.mark.parametrize(
    ("available_minor", "said"),
    [
        (2_800, "needed, USD 28.00 available (pays)"),
        (2_799, "short by USD 0.01: in the plan's order for call 3 (blue-chip, enroll)"),
        (1_200, "short by USD 16.00: in the plan's order for call 2 (blue-chip, top up) and 1"),
        (0, "for call 1 (blue-chip, top up) and 2 calls after it"),
        (None, "needed, the balance of pays is not known"),
    ],
)
def test_a_float_says_for_which_call_it_is_short(available_minor: int | None, said: str) -> None:
    """Calls are paid in the plan's order; the first that is not is named."""
    assert said in float_text(PLAN, FloatNeed("USD", 2_800, available_minor, "pays"))


def test_a_cohort_gets_one_price_for_each_call() -> None:
    """Those of new who are topped up are in two calls; a flag has no price."""
    found = [(one.cohort, one.verb.value, one.participants, one.prices) for one in prices(PLAN)]
    assert found == [("new", "enroll", 1, 1), ("new", "top_up", 2, 2), ("old", "top_up", 1, 1)]
    assert prices_line(prices(PLAN)[1]) == (
        "new, top up: 2 participants at 2 prices, one for each call"
    )


def test_participants_are_counted_by_reason() -> None:
    """Over all calls of a verb."""
    assert reasons(PLAN) == (
        ("blue-chip", Verb.ENROLL, "not enrolled yet", 1),
        ("blue-chip", Verb.FLAGS, "auto_rebalance is declared false", 1),
        ("blue-chip", Verb.TOP_UP, "contributed rose", 3),
    )


def test_the_largest_movements_are_named_where_they_are_more_than_a_few() -> None:
    """The largest first, equal ones by code."""
    found = [(one.verb, one.code, one.moved_minor) for one in largest(PLAN)]
    assert found == [(Verb.ENROLL, "P4", 900), (Verb.TOP_UP, "P2", 700), (Verb.TOP_UP, "P3", 700)]
    few = replace(PLAN, impacts=(impact("blue-chip", participants=3, largest_minor=900),))
    assert largest(few) == ()
