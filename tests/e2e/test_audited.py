"""What an audit found: ways in which money could have moved unasked, twice, or out of sight."""

from decimal import Decimal

import pytest

from stratctl.core.errors import PlanStale
from tests.e2e.test_once import begin
from tests.e2e.world import Project


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
