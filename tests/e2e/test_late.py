"""A partial sell behind its rebalance: sent once, and only when that brought what is sold."""

from decimal import Decimal

import pytest

from stratctl import pipeline
from stratctl.core.event import Event, Intent, Outcome
from stratctl.core.state import Verb
from tests.e2e.machines import Machines
from tests.e2e.world import LEG, Project, blocked_of, verbs

BEHIND = [("rebalance", 2), ("partial_sell", 1)]
OUT = Decimal("30.00")


@pytest.fixture
def skewed(project: Project) -> tuple[Project, str]:
    """Two participants with 90.00 and 10.00, who shall hold halves; one is to be paid 30.00."""
    codes = project.sandbox.participants(2)
    project.strategy("core", {"BTC": "0.9", "ETH": "0.1"})
    project.cohort("members", "core", dict.fromkeys(codes, "100.00"))
    project.save()
    project.settle()
    project.strategy("core", {"BTC": "0.5", "ETH": "0.5"})
    project.line("members", codes[0])["withdrawn"] = str(OUT)
    project.save()
    return project, codes[0]


def paid_once(project: Project, code: str) -> None:
    """It was rebalanced once, then paid out once, and nothing is left."""
    found = project.witness("core")
    assert found.types() == ["enrollment", "rebalance", "partial_sell"]
    assert abs(found.moved[code].sold - OUT) <= 2 * LEG
    project.assert_nothing_left()


@pytest.mark.parametrize("step", [5, 7])
def test_killed_between_a_rebalance_and_the_sell_behind_it(
    skewed: tuple[Project, str], warm: Machines, step: int
) -> None:
    """kill -9 when the rebalance is over, or when the sell is announced: the same plan goes on."""
    project, code = skewed
    saved = project.root / "plan.zip"
    plan = project.plan()
    assert [call[1:] for call in verbs(plan)] == BEHIND
    pipeline.write_plan(plan, saved)
    assert warm.apply(project, kill=["after", step], plan=str(saved)).killed
    assert project.witness("core").types() == ["enrollment", "rebalance"]
    assert warm.apply(project, plan=str(saved)).code == 0
    paid_once(project, code)


def test_a_sell_whose_rebalance_is_refused_waits(skewed: tuple[Project, str]) -> None:
    """The others are rebalanced; the sell is not sent, and said to wait until it is possible."""
    project, code = skewed

    def refuse_it(event: Event) -> None:
        if isinstance(event, Intent) and event.verb is Verb.REBALANCE:
            project.sandbox.standing(code, "locked", "compliance")
        if isinstance(event, Outcome):
            project.sandbox.standing(code, "approved")

    report = project.apply(watch=refuse_it)
    assert report.exit_code == 5
    assert [(one.code, one.participants) for one in report.problems] == [("E_SELL_WAITS", (code,))]
    assert project.witness("core").moved[code].sold == 0
    assert blocked_of(project.plan()) == {code: "parked"}
    project.acknowledge("release", parked=1)
    project.save()
    assert [call[1:] for call in verbs(project.plan())] == [("rebalance", 1), ("partial_sell", 1)]
    project.settle()
    assert abs(project.witness("core").moved[code].sold - OUT) <= 2 * LEG
    project.assert_nothing_left()
