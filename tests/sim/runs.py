"""The real pipeline on a simulated machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratctl.core.plan import Plan
from stratctl.core.report import Applied
from stratctl.pipeline.applying import Conversation, apply_plan
from stratctl.pipeline.planning import PlanInput, make

if TYPE_CHECKING:
    from tests.sim.machine import Machine
    from tests.sim.shape import Version


def apply_really(machine: Machine, version: Version, approved: Plan | None) -> Applied:
    """Everything but the reading of files. Raises what ``pipeline.apply`` raises."""
    with machine.session(version) as session:
        return apply_plan(
            session,
            approved,
            expect_digest=None,
            conversation=Conversation(
                approve=lambda plan: machine.world.invariants.approved(machine, plan, approved),
                progress=lambda what, done, total: None,
                watch=machine.heard,
                stopping=lambda: machine.stopping,
            ),
        )


def plan_really(machine: Machine, version: Version) -> Plan:
    """A plan to be approved, made without the lock."""
    with machine.session(version) as session:
        booked = session.read_journal().booked(session.workspace)
        return make(
            PlanInput(
                configuration=session.configuration,
                live=session.read_live(session.configuration, booked, lambda *_: None),
                booked=booked,
                provenance=session.provenance,
            )
        )
