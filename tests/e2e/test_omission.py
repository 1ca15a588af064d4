"""Omission is not a sale: what vanishes is reported, never sold."""

import json

import pytest

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import InputError
from stratctl.plan import rebalance
from tests.e2e.world import Project, Sandbox, blocked_of, verbs

SELLS = {"liquidate", "partial_sell", "rebalance"}


@pytest.fixture
def settled(project: Project, sandbox: Sandbox) -> tuple[Project, list[str]]:
    """Two Strategies; the first with a cohort inline and one from a file."""
    codes = sandbox.participants(6)
    project.strategy("core")
    project.strategy("theme", {"SOL": "1"})
    project.cohort("inline", "core", dict.fromkeys(codes[:2], "100.00"))
    project.cohort("filed", "core", None, source={"file": "cohorts/filed.csv"})
    project.cohort("fans", "theme", dict.fromkeys(codes[4:], "100.00"))
    table = project.root / "strategies" / "cohorts" / "filed.csv"
    table.parent.mkdir()
    lines = ["participant_code,contributed", *(f"{code},100.00" for code in codes[2:4])]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    project.save()
    project.settle()
    return project, codes


def assert_nothing_is_sold(project: Project) -> None:
    """Neither planned nor done."""
    plan = project.plan()
    assert not SELLS & {verb for _, verb, _ in verbs(plan)}, verbs(plan)
    before = project.sandbox.mutations()
    assert project.apply().exit_code == 0
    assert project.sandbox.mutations() == before


def diagnostics(caught: pytest.ExceptionInfo[InputError]) -> list[Diagnostic]:
    """The problems that an InputError carries."""
    return list(caught.value.diagnostics)


def test_a_participant_line_vanishes(settled: tuple[Project, list[str]]) -> None:
    """A participant that no cohort names any more is counted and kept."""
    project, codes = settled
    project.documents["inline"]["participants"].pop(0)
    project.save()
    assert_nothing_is_sold(project)
    assert project.plan().unmanaged == 1
    assert project.witness("core").moved[codes[0]].settled == {"enrollment": 1}


def test_a_cohort_vanishes(settled: tuple[Project, list[str]]) -> None:
    """All participants of a cohort that is gone are counted and kept."""
    project, _ = settled
    del project.documents["inline"]
    project.save()
    assert_nothing_is_sold(project)
    assert project.plan().unmanaged == 2


def test_a_cohort_file_vanishes(settled: tuple[Project, list[str]]) -> None:
    """A cohort whose table is gone is an error that names the file."""
    project, _ = settled
    (project.root / "strategies" / "cohorts" / "filed.csv").unlink()
    project.save()
    with pytest.raises(InputError) as caught:
        project.plan()
    assert "filed.csv" in json.dumps([one.detail + one.summary for one in diagnostics(caught)])


@pytest.mark.parametrize("text", ["", "participant_code,contributed\n"])
def test_a_cohort_file_is_empty(settled: tuple[Project, list[str]], text: str) -> None:
    """An empty table is an error, with and without its header."""
    project, _ = settled
    (project.root / "strategies" / "cohorts" / "filed.csv").write_text(text, encoding="utf-8")
    project.save()
    with pytest.raises(InputError):
        project.plan()


def test_a_cohort_is_empty(settled: tuple[Project, list[str]]) -> None:
    """A cohort without participants is an error."""
    project, _ = settled
    project.documents["inline"]["participants"] = []
    project.save()
    with pytest.raises(InputError):
        project.plan()


def test_a_strategy_vanishes(settled: tuple[Project, list[str]]) -> None:
    """A Strategy that is declared no more, with its cohorts, keeps everything it holds."""
    project, codes = settled
    del project.documents["theme"], project.documents["fans"]
    project.save()
    assert_nothing_is_sold(project)
    found = project.witness("theme")
    assert found.types() == ["enrollment"]
    assert set(found.moved) == set(codes[4:])
    assert project.plan().unmanaged == 2


def test_an_asset_vanishes(settled: tuple[Project, list[str]]) -> None:
    """An asset that leaves the weights without being named as an exit is an error."""
    project, _ = settled
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"})
    project.save()
    with pytest.raises(InputError) as caught:
        project.plan()
    assert [one.code for one in diagnostics(caught)] == ["E_ASSET_DROPPED"]


def test_a_foreign_asset_blocks_its_holder(settled: tuple[Project, list[str]]) -> None:
    """Who holds an asset that nobody declared is left out of a rebalance, with the reason."""
    project, codes = settled
    project.sandbox.control(
        "account",
        {
            "owner": codes[0],
            "label": project.strategy_id("core"),
            "asset": "DOGE",
            "change": "100",
        },
    )
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.save()
    plan = project.plan()
    assert blocked_of(plan) == {codes[0]: "foreign_asset"}
    project.settle()
    found = project.witness("core")
    assert codes[0] not in [c for c, m in found.moved.items() if m.settled["rebalance"]]
    assert found.moved[codes[1]].settled["rebalance"] == 1


def test_canary_a_dropped_asset_that_nobody_refuses(
    settled: tuple[Project, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the refusal of dropped assets its test fails: the law can fail."""
    project, _ = settled
    monkeypatch.setattr("stratctl.plan.refuse_dropped_assets", lambda changes, live: None)
    with pytest.raises(pytest.fail.Exception):
        test_an_asset_vanishes(settled)
    # And even then nobody who holds it is rebalanced.
    assert set(blocked_of(project.plan()).values()) == {"foreign_asset"}
    assert callable(rebalance.refuse_dropped_assets)
