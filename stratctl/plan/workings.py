"""A plan beside everything that it was made from. Explanations read it and decide nothing."""

from __future__ import annotations

from dataclasses import dataclass

from stratctl.core.change import Changes
from stratctl.core.plan import Plan
from stratctl.core.settings import Configuration
from stratctl.core.state import Live
from stratctl.plan.aims import Aims
from stratctl.plan.flows import Flows
from stratctl.plan.guards import Measure
from stratctl.plan.rebalance import Rebalances
from stratctl.plan.terms import Terms


@dataclass(frozen=True)
class Workings:
    """What the planner knew and what it made of it, as it stood at the end."""

    plan: Plan
    changes: Changes
    """With the stops that acknowledgements lifted, and those that waiting put in their place."""
    live: Live
    configuration: Configuration
    terms: Terms
    flows: Flows
    rebalances: Rebalances
    aims: Aims | None
    """The vectors of flows that share them."""
    measured: tuple[Measure, ...]
    """What every guard measured, above its limit or not."""
