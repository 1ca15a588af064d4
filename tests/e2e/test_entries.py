"""A named entry, once applied, is declared as it was or nothing is sent."""

from typing import Any

import pytest

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import InputError
from tests.e2e.world import Project, Sandbox, rows_of


def refused(project: Project) -> Diagnostic:
    """The one problem of an apply that sends nothing and writes nothing down."""
    before, journal = project.sandbox.mutations(), project.journal.read_bytes()
    with pytest.raises(InputError) as caught:
        project.apply()
    assert project.sandbox.mutations() == before
    assert project.journal.read_bytes() == journal
    (problem,) = caught.value.diagnostics
    return problem


def entry(key: str, **amounts: str) -> dict[str, Any]:
    """One entry of a cohort, inline."""
    rows = [{"participant_code": code, "amount": text} for code, text in amounts.items()]
    return {"key": key, "participants": rows}


def test_an_applied_entry_stays_as_it_was(project: Project, sandbox: Sandbox) -> None:
    """Edited, deleted or moved it is refused by name; rewritten or joined by another it is not."""
    one, two = sandbox.participants(2)
    project.strategy("core")
    project.strategy("other")
    october = entry("october", **{one: "50.00", two: "25.00"})
    members = project.cohort("members", "core", {one: "100.00", two: "100.00"}, funding=[october])
    others = project.cohort("others", "other", {one: "100.00", two: "100.00"})
    project.save()
    project.settle()
    commit = project.git("rev-parse", "HEAD")

    members["funding"] = [entry("october", **{one: "50.00", two: "35.00"})]
    project.save()
    problem = refused(project)
    assert problem.code == "E_KEY_EDITED"
    assert f"october was applied to {project.name('core')} by run " in problem.detail
    assert f" at commit {commit[:12]} " in problem.detail
    assert "USD 75.00 in all" in problem.detail
    assert "USD 85.00 in all" in problem.detail

    del members["funding"]
    project.save()
    assert refused(project).code == "E_KEY_DELETED"

    others["funding"] = [october]
    project.save()
    assert refused(project).code == "E_KEY_MOVED"

    del others["funding"]
    rewritten = entry("october", **{two: "25", one: "50.0"})
    members["funding"] = [entry("november", **{two: "40.00"}), rewritten]
    project.save()
    assert rows_of(project.plan()) == [("top_up", two, 4_000)]
    project.settle()
    project.assert_nothing_left()
    assert project.witness("core").moved[two].bought == 165


def test_an_entry_is_edited_freely_until_it_is_applied(project: Project, sandbox: Sandbox) -> None:
    """What is blocked, and so was carried by no call, may be put right."""
    one, two = sandbox.participants(2)
    project.strategy("core")
    members = project.cohort("members", "core", {one: "100.00", two: "100.00"})
    project.save()
    project.settle()

    members["funding"] = [entry("small", **{one: "0.05"}), entry("whole", **{two: "50.00"})]
    project.save()
    project.settle()
    assert project.witness("core").moved[one].bought == 100

    members["funding"][0] = entry("small", **{one: "60.00"})
    project.save()
    project.settle()
    assert project.witness("core").moved[one].bought == 160
    members["funding"][0] = entry("small", **{one: "61.00"})
    project.save()
    assert refused(project).code == "E_KEY_EDITED"
