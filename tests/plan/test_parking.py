"""Parked rows wait for an acknowledgement that names how many there are."""

from __future__ import annotations

import pytest

from stratctl.core.plan import Acknowledgement, Plan
from tests.worlds import Declared, Holder, World, holdings_worth

HELD = holdings_worth(BTC="500", ETH="300", SOL="200")


def _plan(*rules: tuple[str, str], used: bool = False, expires: str = "2026-11-21") -> Plan:
    """Two refused top-ups, and acknowledgements with these rules."""
    said = tuple(
        Acknowledgement(f"a{place}", (rule,), "why", expires) for place, rule in enumerate(rules)
    )
    return World(
        declared=[Declared("P00001", "1500"), Declared("P00002", "1500")],
        holders=[
            Holder("P00001", HELD, parked="insufficient_funds"),
            Holder("P00002", HELD, parked="insufficient_funds"),
        ],
        acknowledgements=said,
        used=frozenset(each.id for each in said) if used else frozenset(),
    ).plan()


def test_a_refused_row_is_not_sent_again_by_itself() -> None:
    """It is listed with the provider's reason and the way out."""
    plan = _plan()

    assert plan.empty
    assert {row[2:4] for row in plan.blocked.rows()} == {
        ("parked", "insufficient_funds (to try again, acknowledge parked)")
    }


def test_an_acknowledgement_releases_them_and_is_bound_into_the_plan() -> None:
    """Both top-ups are planned, and the first intent will use the acknowledgement up."""
    plan = _plan(("parked", "2"))

    assert [(call.verb, call.rows) for call in plan.calls] == [("top_up", 2)]
    assert [each.name for each in plan.acknowledgements] == ["a0"]
    assert not len(plan.blocked)


@pytest.mark.parametrize(
    "plan",
    [
        _plan(("parked", "1")),
        _plan(("liquidations", "2")),
        _plan(("parked", "2"), used=True),
        _plan(("parked", "2"), expires="2026-11-20"),
    ],
    ids=["too few", "another rule", "used up", "expired"],
)
def test_only_a_valid_one_with_the_whole_number_releases(plan: Plan) -> None:
    """One that names fewer rows, another rule, or that is used or expired, releases nobody."""
    assert plan.empty
    assert not plan.acknowledgements
