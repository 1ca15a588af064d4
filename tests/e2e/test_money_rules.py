"""Caps of money, sides of assets and flows in both directions, from declaring to an empty plan."""

from decimal import Decimal

import pytest

from stratctl.core.errors import GuardRefused
from tests.e2e.world import LEG, Project, blocked_of, rows_of


def test_caps_sides_and_both_directions(project: Project) -> None:
    """Money above a cap is stopped, the frozen part waits, and both flows of one person settle.

    The cap of a day counts what the journal sent before: 300.00 of enrolments.
    """
    both, still, frozen = codes = project.sandbox.participants(3)
    project.strategy("core", {"BTC": "0.5", "ETH": "0.5"})
    project.strategy("theme", {"SOL": "1"})
    project.cohort("members", "core", {both: "100.00", still: "100.00"})
    project.cohort("fans", "theme", {frozen: "100.00"})
    project.save()
    project.settle()

    project.policy["both_directions"] = "send"
    project.policy["caps"] = {"participant": "60.00", "day": "360.00"}
    project.policy["assets"] = {"SOL": {"side": "freeze"}}
    project.line("members", both).update(contributed="170.00", withdrawn="20.00")
    project.line("fans", frozen)["contributed"] = "130.00"
    project.save()
    before = project.sandbox.mutations()
    with pytest.raises(GuardRefused, match=r"(?s)cap_participant: 70.00.*cap_day: 370.00"):
        project.apply()
    assert project.sandbox.mutations() == before

    project.line("members", both)["contributed"] = "150.00"
    project.save()
    plan = project.plan()
    assert rows_of(plan) == [("partial_sell", both, 20_00), ("top_up", both, 50_00)]
    assert blocked_of(plan) == {frozen: "side_forbids"}
    project.settle()
    moved = project.witness("core").moved
    assert [moved[code].bought for code in codes[:2]] == [Decimal("150.00"), Decimal("100.00")]
    assert abs(moved[both].sold - Decimal("20.00")) <= 2 * LEG
    assert moved[both].settled == {"enrollment": 1, "partial_sell": 1, "top_up": 1}
    project.assert_nothing_left()

    del project.policy["assets"]
    project.save()
    with pytest.raises(GuardRefused, match=r"cap_day: 380.00"):
        project.apply()
    project.policy["caps"]["day"] = "380.00"
    project.save()
    project.settle()
    assert project.witness("theme").moved[frozen].bought == Decimal("130.00")
    project.assert_nothing_left()
