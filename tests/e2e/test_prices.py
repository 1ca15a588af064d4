"""How far prices are trusted: those of two sources that disagree, and those of too long ago."""

from datetime import timedelta

import pytest

from stratctl.core.errors import PlanStale
from stratctl.pipeline.session import Session
from tests.e2e.test_once import begin
from tests.e2e.world import Project, blocked_of, rows_of

MOVED = {"BTC": "0.6", "ETH": "0.2", "SOL": "0.2"}


def test_where_the_two_prices_disagree_nothing_is_decided_by_either(project: Project) -> None:
    """Holders are not rebalanced and the plan says why; money that comes in needs no price."""
    codes = begin(project)[:3]
    project.settle()
    project.strategy("core", MOVED)
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    sandbox = project.sandbox
    with sandbox.switched(index_value="hourly_mean"), sandbox.priced(BTC="90000.00"):
        plan = project.plan()
    assert [warning.code for warning in plan.warnings] == ["W_PRICE_DEVIATION"]
    assert "BTC: USD 90000.00 on the market" in plan.warnings[0].detail
    assert "BTC" not in [asset for asset, _, _ in plan.prices]
    assert rows_of(plan) == [("top_up", codes[0], 5000)]
    assert blocked_of(plan) == dict.fromkeys(codes, "no_price")
    project.policy["prices"] = {"max_deviation": "0.9"}
    project.save()
    with sandbox.switched(index_value="hourly_mean"), sandbox.priced(BTC="90000.00"):
        rebalanced = {code for verb, code, _ in rows_of(project.plan()) if verb == "rebalance"}
        assert rebalanced == set(codes)


def test_a_sell_is_not_sent_at_prices_of_long_ago(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes too long to say yes is asked again; what only buys is of a fixed amount."""
    codes = begin(project)[:3]
    project.settle()
    later: list[timedelta] = []
    real = Session.now
    monkeypatch.setattr(Session, "now", lambda self: real(self) + sum(later, timedelta()))
    project.policy["prices"] = {"max_age_seconds": 60}
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    assert project.apply(approve=lambda plan: later.append(timedelta(seconds=61))).exit_code == 0
    project.strategy("core", MOVED)
    project.save()
    before = project.sandbox.mutations()
    with pytest.raises(PlanStale, match=r"prices are 6\d s old, prices\.max_age_seconds is 60"):
        project.apply(approve=lambda plan: later.append(timedelta(seconds=61)))
    assert project.sandbox.mutations() == before
    project.settle()
    project.assert_nothing_left()
