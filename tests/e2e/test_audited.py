"""What an audit found: ways in which money could have moved unasked, twice, or out of sight."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from stratctl import pipeline
from stratctl.apply import Pace
from stratctl.core.errors import PlanStale, UsageError
from stratctl.core.event import Outcome
from stratctl.core.state import Verb
from stratctl.core.tables import Workspace
from stratctl.pipeline.configuring import chosen_environment
from stratctl.pipeline.provenance import provenance_of
from tests.e2e.test_once import begin
from tests.e2e.test_unknown import _impatient
from tests.e2e.world import Project, rows_of


def test_a_call_that_was_not_carried_out_is_not_sent_beside_its_successor(
    project: Project,
) -> None:
    """What no attempt carried out is planned anew, and then the old call is not sent as well."""
    codes = begin(project)
    project.settle()
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    project.sandbox.fault("403", "/top-up")
    assert project.apply().exit_code == 5
    # The door is shut once more, when the next apply asks what became of it.
    project.sandbox.fault("403", "/strategies/operations?request_id", method="GET")
    project.apply()
    assert project.witness("core").moved[codes[0]].bought == Decimal("150.00")
    project.apply()
    assert project.witness("core").moved[codes[0]].bought == Decimal("150.00")
    project.assert_nothing_left()


def test_an_amount_is_approved_in_its_currency(project: Project) -> None:
    """A plan that shows another currency approves nothing of ours, whatever its digits are."""
    codes = begin(project)
    project.settle()
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    plan = project.plan()
    shown = tuple(replace(call, currency="JPY") for call in plan.calls)
    before = project.sandbox.mutations()
    with pytest.raises(PlanStale, match="nothing was approved"):
        project.apply(replace(plan, calls=shown))
    assert project.sandbox.mutations() == before


def test_a_configuration_with_nothing_to_do_is_applied_too(project: Project) -> None:
    """After an apply that found nothing to do, an older commit does not act any more."""
    codes = begin(project)
    project.settle()
    project.sandbox.standing(codes[3], "locked")
    project.documents["members"]["participants"].append(
        {"participant_code": codes[3], "contributed": "70.00"}
    )
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    project.settle()
    mistaken = project.git("rev-parse", "HEAD")
    del project.documents["members"]["participants"][3]
    project.save("taken back before it moved")
    project.assert_nothing_left()
    project.sandbox.standing(codes[3], "approved")
    project.git("checkout", "--quiet", mistaken)
    before = project.sandbox.mutations()
    with pytest.raises(PlanStale, match="does not descend"):
        project.apply()
    assert project.sandbox.mutations() == before


def test_an_approval_is_used_once(project: Project, tmp_path: Path) -> None:
    """A plan whose calls have their results moves nothing more, though live wants it again."""
    codes = begin(project)
    project.settle()
    project.strategy("core", rebalance={"on": "drift"})
    project.policy["prices"] = {"max_move": "1.0"}
    project.policy["cooldown"] = {"hours": 0}
    project.save()
    with project.sandbox.priced(BTC="90000.00"):
        pipeline.write_plan(project.plan(), tmp_path / "plan.zip")
        plan = pipeline.read_plan(tmp_path / "plan.zip")
        assert project.apply(plan).exit_code == 0
        assert project.witness("core").moved[codes[0]].settled["rebalance"] == 1
    before = project.sandbox.mutations()
    report = project.apply(plan)
    assert project.sandbox.mutations() == before
    assert {(verb, code) for _, verb, code in report.left_for_next} == {
        ("rebalance", code) for code in codes[:3]
    }


def test_a_slot_that_was_given_up_is_nobody_elses_excuse(project: Project, tmp_path: Path) -> None:
    """A slot that a plan gave up and another plan used has moved the fence of the first."""
    codes = begin(project)
    project.settle()
    project.documents["members"]["participants"].append(
        {"participant_code": codes[3], "contributed": "70.00"}
    )
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    project.sandbox.standing(codes[3], "locked")
    pipeline.write_plan(project.plan(), tmp_path / "plan.zip")
    plan = pipeline.read_plan(tmp_path / "plan.zip")
    project.sandbox.fault("403", "/top-up")
    assert project.apply(plan).exit_code == 5
    project.sandbox.standing(codes[0], "locked")
    project.sandbox.standing(codes[3], "approved")
    project.settle()
    project.sandbox.standing(codes[0], "approved")
    before = project.sandbox.mutations()
    with pytest.raises(PlanStale, match="was at call 2 when the plan was made and is now at 3"):
        project.apply(plan)
    assert project.sandbox.mutations() == before


def test_a_flag_is_set_once_by_one_approval(project: Project, tmp_path: Path) -> None:
    """A flag that somebody turned back stays so until a new plan is approved."""
    codes = begin(project)
    project.settle()
    project.line("members", codes[0])["auto_rebalance"] = False
    project.save()
    pipeline.write_plan(project.plan(), tmp_path / "plan.zip")
    plan = pipeline.read_plan(tmp_path / "plan.zip")
    assert project.apply(plan).exit_code == 0
    trader = project.witness("core").traders[codes[0]]
    path = f"/strategies/traders/{trader['id']}"
    # The provider tells times apart by whole seconds.
    project.sandbox.control("advance", {"seconds": 2})
    assert project.sandbox._signed("PATCH", path, b'{"auto_rebalance":true}').status_code == 200
    report = project.apply(plan)
    assert report.left_for_next == ((project.name("core"), "flags", codes[0]),)
    assert project.witness("core").traders[codes[0]]["auto_rebalance"] is True
    project.settle()
    assert project.witness("core").traders[codes[0]]["auto_rebalance"] is False


def test_coming_back_where_a_top_up_is_refused(project: Project) -> None:
    """Who left and comes back is enrolled by the next plan when the provider wants it so, once."""
    codes = begin(project)
    project.settle()
    project.line("members", codes[0])["status"] = "exited"
    project.save()
    project.settle()
    project.line("members", codes[0]).update(status="active", contributed="160.00")
    project.save()
    with project.sandbox.switched(
        topup_after_liquidation="reject", reenroll_after_liquidation="accept"
    ):
        assert ("top_up", codes[0], 6000) in rows_of(project.plan())
        assert project.apply().rejected == (
            (project.name("core"), codes[0], "trader_not_enrolled"),
        )
        assert rows_of(project.plan()) == [("enroll", codes[0], 6000)]
        project.settle()
    assert project.witness("core").moved[codes[0]].bought == Decimal("160.00")
    project.assert_nothing_left()


def test_a_rename_does_not_hide_a_call_without_an_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Strategy gets no new slot before its last call has an end, whatever it is called now."""
    codes = begin(project)
    project.settle()
    project.line("members", codes[0])["contributed"] = "150.00"
    project.save()
    monkeypatch.setattr(Pace, "__init__", _impatient(Pace.__init__))
    with project.sandbox.switched(settling_ms="60000"):
        assert project.apply().exit_code == 6
        former = project.documents["core"]["name"]
        project.documents["core"].update(name=project.name("renamed"), previously=[former])
        project.documents["members"]["strategy"] = project.name("renamed")
        project.line("members", codes[1])["contributed"] = "150.00"
        project.save()
        assert rows_of(project.plan()) == [("top_up", codes[1], 5000)]
        before = project.sandbox.mutations()
        assert project.apply().exit_code == 6
        assert project.sandbox.mutations() == before
    project.sandbox.control("advance", {"seconds": 100})
    project.settle()
    assert project.witness("core").moved[codes[0]].bought == Decimal("150.00")
    assert project.witness("core").moved[codes[1]].bought == Decimal("150.00")


def test_a_strategy_is_created_as_it_is_declared_now(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A creation without an answer is not sent again once it is declared otherwise.

    Its currency would be that of before, and the amounts those of now.
    """
    begin(project)
    monkeypatch.setattr(Pace, "__init__", _hasty(Pace.__init__))
    project.sandbox.fault("reset_before", "/strategies")
    report = project.apply()
    assert [problem.code for problem in report.problems] == ["E_OUTCOME_UNKNOWN"]
    project.documents["core"]["metadata"]["said"] = "later"
    project.save()
    project.settle()
    assert project._found("core")[0]["metadata"]["said"] == "later"
    project.assert_nothing_left()


def test_the_sandbox_is_on_this_machine(project: Project) -> None:
    """A file that names another address as the running sandbox leads nowhere."""
    begin(project)
    project.environment["endpoint"] = "sandbox"
    project.save()
    running = project.root / ".stratctl" / "sandbox.json"
    running.parent.mkdir()
    running.write_text(json.dumps({"endpoint": project.sandbox.endpoint}), encoding="utf-8")
    assert rows_of(project.plan())
    running.write_text(json.dumps({"endpoint": "https://api.example.com"}), encoding="utf-8")
    with pytest.raises(UsageError, match="is not on this machine"):
        project.plan()


def _hasty(init: object) -> object:
    def haste(pace: Pace, **said: object) -> None:
        init(pace, **{"attempts": 1, "quarantine": 0, **said})  # type: ignore[operator]  # a dict of mixed values

    return haste


def test_an_ignored_file_is_not_committed(project: Project) -> None:
    """What Git ignores declares all the same, and production applies what is committed only."""
    begin(project)
    (project.root / ".gitignore").write_text(
        "members.yaml\n.stratctl/\n.cache/\n", encoding="utf-8"
    )
    cache = project.root / "strategies" / ".cache"
    cache.mkdir()
    (cache / "notes").write_text("of an editor\n", encoding="utf-8")
    project.git("rm", "--quiet", "--cached", "strategies/members.yaml")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "hide")
    environment = chosen_environment(project.root, None, Workspace())
    assert provenance_of(project.root, environment).dirty
    (project.root / "strategies" / "members.yaml").unlink()
    assert not provenance_of(project.root, environment).dirty


def test_a_price_that_moves_before_the_barrier(project: Project) -> None:
    """What sells after the barrier is held to the prices that were agreed to as well."""
    codes = begin(project)
    project.settle()
    project.line("members", codes[0])["contributed"] = "150.00"
    project.strategy("core", {"BTC": "0.2", "ETH": "0.3", "SOL": "0.5"})
    project.save()

    def crash(event: object) -> None:
        if isinstance(event, Outcome) and event.verb is Verb.TOP_UP:
            project.sandbox.control("price", {"BTC": "30000.00"})

    with project.sandbox.priced(BTC="60000.00"):
        report = project.apply(watch=crash)
        assert [problem.code for problem in report.problems] == ["E_PLAN_STALE"]
        assert "BTC was USD 60000.00" in report.problems[0].detail
        assert project.witness("core").types()[-1] == "top_up"
    project.settle()
    assert project.witness("core").types()[-1] == "rebalance"
