"""The approved plan is a ceiling, row by row: less may be sent, never more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stratctl import pipeline
from stratctl.core.errors import ApprovalMissing, PlanStale
from stratctl.core.plan import Plan
from stratctl.core.state import Verb
from stratctl.pipeline import ceiling
from stratctl.pipeline.planning import PLAN_LIFE
from tests.e2e.machines import Machines
from tests.e2e.test_once import begin, change, changed, finish, forked, rise
from tests.e2e.world import BASKET, Project, Sandbox, rows_of, verbs


@pytest.fixture
def ready(project: Project, tmp_path: Path) -> tuple[Project, list[str], Callable[[], Plan]]:
    """Three enrolled participants; and how to save a plan and read it back."""
    codes = begin(project)
    project.settle()

    def approve() -> Plan:
        pipeline.write_plan(project.plan(), tmp_path / "plan.zip")
        return pipeline.read_plan(tmp_path / "plan.zip")

    return project, codes, approve


Ready = tuple[Project, list[str], Callable[[], Plan]]


def stale(project: Project, plan: Plan, **more: Any) -> str:
    """The refusal of a plan that sent nothing."""
    before = project.sandbox.mutations()
    with pytest.raises(PlanStale) as caught:
        project.apply(plan, **more)
    assert caught.value.exit_code == 4
    assert project.sandbox.mutations() == before
    return f"{caught.value.summary}; {caught.value.hint}"


def by_hand(project: Project, verb: str, body: dict[str, Any]) -> None:
    """An operation that stratctl did not send."""
    if verb != "liquidate":
        body["allocations"] = [
            {"underlying_currency": asset, "weight": weight} for asset, weight in BASKET.items()
        ]
    project.sandbox.post(f"/strategies/{project.strategy_id('core')}/{verb}", body)


def test_the_approved_plan_settles(ready: Ready) -> None:
    """A plan from its file does what it says, and with its digest expected as well."""
    project, codes, approve = ready
    change(project, codes)
    plan = approve()
    assert project.apply(plan, expect_digest=plan.digest.upper()).exit_code == 0
    changed(project, codes)


def test_another_digest(ready: Ready) -> None:
    """A plan that is not the one whose digest is expected is refused."""
    project, codes, approve = ready
    change(project, codes)
    assert "was expected" in stale(project, approve(), expect_digest="0" * 64)


def test_nobody_approves(ready: Ready) -> None:
    """Without approval nothing is sent (exit 7)."""
    project, codes, _ = ready
    change(project, codes)
    before = project.sandbox.mutations()

    def no(plan: Plan) -> None:
        raise ApprovalMissing("nobody said yes")

    with pytest.raises(ApprovalMissing) as caught:
        project.apply(approve=no)
    assert caught.value.exit_code == 7
    assert project.sandbox.mutations() == before


def test_rows_no_longer_needed(ready: Ready) -> None:
    """What live no longer needs is dropped and listed; the rest of the call is sent."""
    project, codes, approve = ready
    for code in codes[:2]:
        project.line("members", code)["auto_rebalance"] = False
    project.save()
    plan = approve()
    assert [row[:2] for row in rows_of(plan)] == [("flags", code) for code in codes[:2]]
    trader = project.witness("core").traders[codes[0]]
    answer = project.sandbox._signed(
        "PATCH", f"/strategies/traders/{trader['id']}", b'{"auto_rebalance":false}'
    )
    assert answer.status_code == 200
    report = project.apply(plan)
    assert report.exit_code == 0
    assert report.not_needed == ((project.name("core"), "flags", codes[0]),)
    assert [(tally.verb.value, tally.settled) for tally in report.tallies] == [("flags", 1)]
    project.assert_nothing_left()


def test_an_extra_rebalance_is_left(ready: Ready) -> None:
    """A rebalance that was not approved is left for the next plan; what was approved is sent."""
    project, codes, approve = ready
    project.strategy("core", rebalance={"on": "drift"})
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    plan = approve()
    assert [verb for _, verb, _ in verbs(plan)] == ["top_up"]
    with project.sandbox.priced(BTC="90000.00"):
        report = project.apply(plan)
        assert report.exit_code == 0
        left = {(verb, code) for _, verb, code in report.left_for_next}
        assert {("rebalance", code) for code in codes[1:3]} <= left
        assert "rebalance" not in project.witness("core").types()
        project.settle()
        assert "rebalance" in project.witness("core").types()


def test_extra_money(ready: Ready) -> None:
    """Money that was not approved refuses the whole plan and names the first difference."""
    project, codes, approve = ready
    rise(project, codes)
    # The participant cannot be enrolled while the plan is made, and can be when it is applied.
    project.sandbox.standing(codes[3], "locked")
    plan = approve()
    assert [row[:2] for row in rows_of(plan)] == [("top_up", codes[0])]
    project.sandbox.standing(codes[3], "approved")
    assert f"enroll USD 70.00 for {codes[3]} is needed now, nothing was approved" in stale(
        project, plan
    )


def test_an_extra_exit(ready: Ready) -> None:
    """An exit that was not approved refuses the whole plan."""
    project, codes, approve = ready
    project.line("members", codes[0])["contributed"] = "150.00"
    project.line("members", codes[1])["status"] = "exited"
    project.save()
    plan = approve()
    without = replace(
        plan,
        calls=tuple(call for call in plan.calls if call.verb is not Verb.LIQUIDATE),
    )
    assert f"liquidate for {codes[1]} is needed now" in stale(project, without)


def test_another_configuration(ready: Ready) -> None:
    """A plan for another configuration is refused, even where only a comment changed."""
    project, codes, approve = ready
    change(project, codes)
    plan = approve()
    path = project.root / "strategies" / "core.yaml"
    path.write_text("# a comment\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert "configuration changed" in stale(project, plan)


def test_another_environment(ready: Ready) -> None:
    """A plan for one environment does not act in another."""
    project, codes, approve = ready
    project.project["environments"]["other"] = project.environment
    project.project["default_environment"] = "local"
    change(project, codes)
    plan = approve()
    project.project["default_environment"] = "other"
    project.save()
    assert "not for other" in stale(project, plan)


def test_another_apply_in_between(ready: Ready) -> None:
    """A plan that was made before another plan was applied is stale."""
    project, codes, approve = ready
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    plan = approve()
    project.strategy("core", {"BTC": "0.2", "ETH": "0.3", "SOL": "0.5"})
    project.line("members", codes[0])["contributed"] = "100.00"
    project.save()
    project.settle()
    project.strategy("core")
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    assert "another apply ran in between" in stale(project, plan)


def test_a_foreign_operation_in_between(ready: Ready) -> None:
    """An operation that somebody else made since refuses the plan and is named."""
    project, codes, approve = ready
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    plan = approve()
    by_hand(
        project,
        "top-up",
        {"participants": [{"participant_code": codes[1], "amount": "33.00"}]},
    )
    foreign = project.witness("core").operations[-1]["id"]
    assert foreign in stale(project, plan)
    # The next plan knows it, holds back who it touched, and tops up the other one.
    assert [row[:2] for row in rows_of(project.plan())] == [("top_up", codes[0])]
    assert project.apply().exit_code == 0
    found = project.witness("core")
    assert found.moved[codes[0]].bought == Decimal("150.00")
    assert found.moved[codes[1]].bought == Decimal("133.00")


def test_an_exit_by_somebody_else(ready: Ready) -> None:
    """Who was sold out by somebody else is not topped up by a plan from before."""
    project, codes, approve = ready
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    plan = approve()
    by_hand(project, "liquidate", {"participants": [{"participant_code": codes[0]}]})
    stale(project, plan)
    assert project.apply().exit_code == 0
    assert project.witness("core").moved[codes[0]].bought == Decimal("100.00")


def test_replaying_a_used_up_plan(ready: Ready, warm: Machines) -> None:
    """A plan that was applied to its end sends nothing when it is applied again, and exits 0."""
    project, codes, approve = ready
    change(project, codes)
    plan = approve()
    assert project.apply(plan).exit_code == 0
    before = project.sandbox.mutations()
    report = project.apply(plan)
    assert report.exit_code == 0
    assert project.sandbox.mutations() == before
    assert len(report.not_needed) == len(rows_of(plan))
    changed(project, codes)
    finish(project, warm)


def test_the_journal_of_another_machine(ready: Ready, warm: Machines) -> None:
    """A used-up plan on a machine that does not know that it was used is stale, not repeated."""
    project, codes, approve = ready
    change(project, codes)
    plan = approve()
    other = forked(project, "other")
    assert project.apply(plan).exit_code == 0
    assert "another apply ran in between" in stale(other, plan)
    changed(project, codes)


def test_an_expired_plan(ready: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is good for four hours."""
    project, codes, _ = ready
    change(project, codes)
    made = project.plan()
    assert datetime.fromisoformat(made.expires_at) - datetime.fromisoformat(made.as_of) == PLAN_LIFE
    past = datetime.fromisoformat(made.as_of) - timedelta(seconds=1)
    expired = replace(made, expires_at=past.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert "expired" in stale(project, expired)


@pytest.mark.parametrize(("price", "is_stale"), [("0.969", True), ("1.02", False)])
def test_a_moved_price(ready: Ready, price: str, is_stale: bool) -> None:
    """Sells have no limit price, so a price that moved more than 3 % refuses the plan."""
    project, codes, approve = ready
    project.line("members", codes[1])["withdrawn"] = "40.00"
    project.save()
    plan = approve()
    btc = Decimal(project.sandbox.control("price")["BTC"])
    with project.sandbox.priced(BTC=str(round(btc * Decimal(price), 2))):
        if is_stale:
            assert "BTC was USD" in stale(project, plan)
        else:
            assert project.apply(plan).exit_code == 0


def test_a_moved_price_stops_no_buys(ready: Ready) -> None:
    """What is bought for a fixed amount goes ahead at any price."""
    project, codes, approve = ready
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    plan = approve()
    btc = Decimal(project.sandbox.control("price")["BTC"])
    with project.sandbox.priced(BTC=str(round(btc * 2, 2))):
        assert project.apply(plan).exit_code == 0
    assert project.witness("core").moved[codes[0]].bought == Decimal("150.00")


def test_canary_a_plan_that_is_no_ceiling(
    ready: Ready, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    """Where fences are not looked at, a plan from before another's operation acts.

    So the law can fail."""
    monkeypatch.setattr("stratctl.pipeline.applying.refuse_moved_fences", lambda *_: None)
    with pytest.raises(pytest.fail.Exception):
        test_a_foreign_operation_in_between(ready)
    assert callable(ceiling.refuse_moved_fences)
