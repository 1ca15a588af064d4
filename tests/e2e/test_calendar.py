"""Time and steps, from the journal and the provider's record: stages of a rollout, and rests."""

import shutil
from decimal import Decimal
from fractions import Fraction

from tests.e2e.test_once import begin
from tests.e2e.world import Project, blocked_of, verbs
from tests.plan.oracle import stage_of

HALVES = (Fraction(1, 2), Fraction(1))


def test_a_changed_target_goes_from_stage_to_stage(project: Project) -> None:
    """The first half, then nobody while it soaks, then the rest; then drift rests."""
    codes = begin(project)[:3]
    project.settle()
    salt = next(
        salt
        for salt in map(str, range(1000))
        if {stage_of(code, HALVES, salt) for code in codes} == {1, 2}
    )
    late = {code for code in codes if stage_of(code, HALVES, salt) == 2}
    project.policy["minimums"] = {"leg": {"default": "1.00"}}
    project.policy["rollout"] = {"stages": ["0.5", "1"], "salt": salt}
    project.strategy("core", {"BTC": "0.6", "ETH": "0.2", "SOL": "0.2"})
    project.save()
    plan = project.plan()
    assert blocked_of(plan) == dict.fromkeys(late, "rollout")
    assert verbs(plan) == [(project.name("core"), "rebalance", len(codes) - len(late))]
    project.settle()
    soaking = project.plan()
    assert verbs(soaking) == []
    assert {row[3].rsplit(" ", 1)[0] for row in soaking.blocked.rows()} == {
        "in stage 2 of 2; stage 1 soaks until"
    }
    project.policy["rollout"]["soak_minutes"] = 0
    project.save()
    assert verbs(project.plan()) == [(project.name("core"), "rebalance", len(late))]
    project.settle()
    project.assert_nothing_left()
    # Everybody was rebalanced a moment ago, so drift rests, also when the journal is gone.
    project.strategy("core", {"BTC": "0.6", "ETH": "0.2", "SOL": "0.2"}, rebalance={"on": "drift"})
    project.save()
    lower = Decimal(project.sandbox.control("price")["BTC"]) * 3 / 4
    with project.sandbox.priced(BTC=f"{lower:.2f}"):
        assert blocked_of(project.plan()) == dict.fromkeys(codes, "cooldown")
        shutil.rmtree(project.root / ".stratctl" / "journal")
        assert blocked_of(project.plan()) == dict.fromkeys(codes, "cooldown")


def test_status_says_which_step_it_is(project: Project) -> None:
    """Long before the first one the weights are the old ones, and the day of the first is named."""
    moving = {"before": {"BTC": "1"}, "begins": "2998-12-01", "steps": 2, "every_days": 31}
    project.strategy("core", {"BTC": "0.5", "ETH": "0.5"}, transition=moving)
    project.save()
    (status,) = project.status().strategies
    assert status.weights is not None
    assert status.weights.vector.text == "BTC 1"
    step = status.weights.step
    assert step is not None
    assert (step.number, step.steps, step.next_on) == (0, 2, "2998-12-01")
