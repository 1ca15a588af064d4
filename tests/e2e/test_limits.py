"""Limits are on by default: each stops with 3 and sends nothing, and is widened by its number."""

from collections.abc import Callable
from typing import Any

import pytest

from stratctl.core.errors import GuardRefused
from stratctl.core.plan import Acknowledgement
from stratctl.plan import guards
from tests.e2e.world import Project, Sandbox, acknowledged, verbs

Prepare = Callable[[Project, list[str]], None]


def _liquidations(project: Project, codes: list[str]) -> None:
    project.line("members", codes[0])["status"] = "exited"


def _asset_exits(project: Project, codes: list[str]) -> None:
    project.strategy("core", {"BTC": "0.55", "ETH": "0.35", "LTC": "0.10"}, exits=["SOL"])
    project.policy["guards"]["turnover"] = "1.0"


def _removals(project: Project, codes: list[str]) -> None:
    del project.documents["members"]["participants"][:6]
    project.policy["guards"]["removals_share"] = "1.0"


def _removals_share(project: Project, codes: list[str]) -> None:
    del project.documents["members"]["participants"][:2]


def _cash_in(project: Project, codes: list[str]) -> None:
    project.line("members", codes[0])["contributed"] = "100100.01"


def _turnover(project: Project, codes: list[str]) -> None:
    project.strategy("core", {"BTC": "0.20", "ETH": "0.30", "SOL": "0.50"})


def _avoidable_sells(project: Project, codes: list[str]) -> None:
    project.strategy("core", {"BTC": "0.35", "ETH": "0.45", "SOL": "0.20"})
    for code in codes:
        project.line("members", code)["contributed"] = "150.00"


def _partial_sell_share(project: Project, codes: list[str]) -> None:
    project.line("members", codes[0])["withdrawn"] = "95.00"


GUARDS: dict[str, tuple[Prepare, str]] = {
    "liquidations": (_liquidations, "1"),
    "asset_exits": (_asset_exits, "1"),
    "removals": (_removals, "6"),
    "removals_share": (_removals_share, "0.2"),
    "cash_in": (_cash_in, "100000.01"),
    "turnover": (_turnover, "0.31"),
    "avoidable_sells": (_avoidable_sells, "0.5"),
    "partial_sell_share": (_partial_sell_share, "0.951"),
}


@pytest.fixture
def guarded(project: Project, sandbox: Sandbox) -> tuple[Project, list[str]]:
    """Ten enrolled participants, under the policy's defaults."""
    codes = sandbox.participants(10)
    project.strategy("core")
    project.cohort("members", "core", dict.fromkeys(codes, "100.00"))
    project.policy["guards"] = {}
    project.save()
    project.settle()
    return project, codes


def assert_stopped(project: Project, rule: str, **more: Any) -> None:
    """Apply stops with 3 for this rule alone, and nothing leaves."""
    plan = project.plan(**more)
    assert [finding.rule for finding in plan.findings if finding.stops] == [rule]
    before = project.sandbox.mutations()
    with pytest.raises(GuardRefused) as caught:
        project.apply(**more)
    assert caught.value.exit_code == 3
    assert f"--ack {rule}=" in caught.value.hint
    assert project.sandbox.mutations() == before


@pytest.mark.parametrize("rule", GUARDS)
def test_a_guard_stops_and_is_widened_by_its_number(
    guarded: tuple[Project, list[str]], rule: str
) -> None:
    """Above its limit it stops; with the number named on the command line it goes ahead."""
    project, codes = guarded
    prepare, number = GUARDS[rule]
    prepare(project, codes)
    project.save()
    assert_stopped(project, rule)
    report = project.apply(acknowledgements=(acknowledged(**{rule: number}),))
    assert report.exit_code == 0, report.problems


def test_too_little_and_something_else(guarded: tuple[Project, list[str]]) -> None:
    """A number below the measure widens nothing, and neither does another rule's."""
    project, codes = guarded
    _partial_sell_share(project, codes)
    project.save()
    for rules in ({"partial_sell_share": "0.9499"}, {"liquidations": "1000"}):
        assert_stopped(project, "partial_sell_share", acknowledgements=(acknowledged(**rules),))


def test_a_saved_plan_that_is_stopped(guarded: tuple[Project, list[str]]) -> None:
    """A plan that a guard stops is stopped from its file as well.

    It carries its own acknowledgement when it was made with one."""
    project, codes = guarded
    _liquidations(project, codes)
    project.save()
    stopped = project.plan()
    before = project.sandbox.mutations()
    with pytest.raises(GuardRefused):
        project.apply(stopped)
    assert project.sandbox.mutations() == before
    typed = Acknowledgement("typed", (("liquidations", "1"),), "they left", "2099-12-31")
    widened = project.plan(acknowledgements=(typed,))
    assert widened.digest != stopped.digest
    assert project.apply(widened).exit_code == 0


def test_an_acknowledgement_is_used_once(guarded: tuple[Project, list[str]]) -> None:
    """A reviewed document widens one plan; the next plan that needs it is stopped."""
    project, codes = guarded
    _liquidations(project, codes)
    project.acknowledge("review", liquidations=1)
    project.save()
    project.settle()
    assert project.witness("core").types().count("liquidation") == 1
    project.line("members", codes[1])["status"] = "exited"
    project.save()
    assert_stopped(project, "liquidations")
    # The same words under another name are another acknowledgement.
    project.acknowledge("review2", liquidations=1)
    project.save()
    project.settle()
    assert project.witness("core").types().count("liquidation") == 2


def test_an_acknowledgement_that_nobody_needed_is_kept(
    guarded: tuple[Project, list[str]],
) -> None:
    """An apply that does not rely on an acknowledgement does not use it up."""
    project, codes = guarded
    project.acknowledge("review", liquidations=1)
    project.line("members", codes[1])["contributed"] = "150.00"
    project.save()
    project.settle()
    _liquidations(project, codes)
    project.save()
    project.settle()
    assert project.witness("core").types().count("liquidation") == 1


def test_an_acknowledgement_expires(guarded: tuple[Project, list[str]]) -> None:
    """After its last day an acknowledgement counts no more."""
    project, codes = guarded
    _liquidations(project, codes)
    project.acknowledge("review", expires="2020-01-01", liquidations=1)
    project.save()
    assert_stopped(project, "liquidations")


def test_canary_a_guard_that_does_not_measure(
    guarded: tuple[Project, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is measured, money moves and the test of the guard fails: the law can fail."""
    project, codes = guarded
    monkeypatch.setattr(guards, "_counts", lambda *_: iter(()))
    _liquidations(project, codes)
    project.save()
    with pytest.raises(AssertionError):
        assert_stopped(project, "liquidations")
    assert verbs(project.plan())
