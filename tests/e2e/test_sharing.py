"""Flows that repair drift: approved once, sent as approved although prices move a little."""

from decimal import Decimal
from pathlib import Path

import pytest

from stratctl import pipeline
from stratctl.core.errors import PlanStale
from stratctl.pipeline.planning import vectors_of
from tests.e2e.test_once import begin
from tests.e2e.world import Project, verbs


@pytest.mark.parametrize(("price", "is_stale"), [("72300.00", False), ("40000.00", True)])
def test_an_approved_vector_survives_a_small_move_of_a_price(
    project: Project, tmp_path: Path, price: str, is_stale: bool
) -> None:
    """It is sent while everybody ends in band by it; after a large move the plan is stale."""
    project.policy["cash_flow"] = "shared"
    codes = begin(project)
    with project.sandbox.priced(BTC="60000.00"):
        project.settle()
    with project.sandbox.priced(BTC="72000.00"):
        project.strategy("core", rebalance={"on": "drift"})
        project.line("members", codes[0])["contributed"] = "150.00"
        project.save()
        pipeline.write_plan(project.plan(), tmp_path / "plan.zip")
    with project.sandbox.priced(BTC=price):
        approved = pipeline.read_plan(tmp_path / "plan.zip")
        assert [verb for _, verb, _ in verbs(approved)] == ["top_up"]
        assert vectors_of(approved) != vectors_of(project.plan())
        if is_stale:
            with pytest.raises(PlanStale):
                project.apply(approved)
            return
        assert project.apply(approved).exit_code == 0
        assert project.witness("core").moved[codes[0]].bought == Decimal("150.00")
        project.assert_nothing_left()
