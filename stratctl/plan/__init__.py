"""From changes to the fewest safe calls, with reasons. Pure: the same input gives the same bytes.

The objective, in this order: safety, then fidelity (flows exact, everyone in band or listed with
a reason), then the guard on avoidable sells, then fewest calls, then least turnover, then
canonical text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from stratctl.core.plan import Plan
from stratctl.plan.aims import both
from stratctl.plan.caps import cap_measures
from stratctl.plan.certificate import call_totals, certificates
from stratctl.plan.cohorts import cohort_drifts
from stratctl.plan.edge import at_the_edge
from stratctl.plan.flows import flow_rows, forfeited_rows
from stratctl.plan.guards import guard_findings, measures, valid_acknowledgements
from stratctl.plan.impact import float_needs, impacts
from stratctl.plan.late import behind_rebalances
from stratctl.plan.order import fences, ordered_calls
from stratctl.plan.parking import released
from stratctl.plan.rebalance import rebalance_rows, refuse_dropped_assets
from stratctl.plan.rollout import staged
from stratctl.plan.sharing import shared_flows
from stratctl.plan.terms import Terms
from stratctl.plan.waiting import Waits, exits_kept
from stratctl.plan.weights import provenances
from stratctl.plan.workings import Workings

if TYPE_CHECKING:
    from stratctl.core.change import Changes
    from stratctl.core.settings import Configuration
    from stratctl.core.state import Live, Vector, Verb
    from stratctl.core.tables import Table


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plan comes from and how long it lives; handed in, because a plan reads no clock."""

    commit: str | None
    as_of: str
    expires_at: str
    used_acknowledgements: frozenset[str] = frozenset()
    waiting: Table | None = None
    """WAITING_ROWS of the journal."""
    waiting_unknown: tuple[tuple[str, str], ...] = ()
    """(Strategy, since when its flows may have waited) where the journal does not reach back."""
    sent_lately: tuple[tuple[str, int, int], ...] = ()
    """(currency, money in, money out) in minor units that our calls moved in the 24 hours before
    ``as_of``, or may have moved."""
    complete: bool = True
    agreed: tuple[tuple[str, Verb, Vector], ...] = ()
    """(Strategy, verb, vector) that were approved: chosen again while they still serve everybody,
    because a price that moved a little must not make every approval stale."""


def make_plan(changes: Changes, live: Live, configuration: Configuration, origin: Origin) -> Plan:
    """The plan for these changes. Raises InputError when an asset vanished without being named.

    A plan that a guard stops is still a whole plan: it says what it would do and what stops it.
    """
    return worked_out(changes, live, configuration, origin).plan


def worked_out(
    changes: Changes, live: Live, configuration: Configuration, origin: Origin
) -> Workings:
    """The plan with everything that it was made from, so that it can be explained."""
    policy = configuration.policy
    valid = valid_acknowledgements(
        configuration, today=origin.as_of[:10], used=origin.used_acknowledgements
    )
    changes, releasing = released(changes, valid)
    terms = Terms.of(changes, live, policy)
    refuse_dropped_assets(changes, live)
    waits = Waits.of(changes, origin.waiting, dict(origin.waiting_unknown), origin.as_of)
    flows = flow_rows(changes, live, terms, waits, valid)
    changes = exits_kept(changes, flows.blocked)
    rebalances = rebalance_rows(changes, live, terms, flows.sent)
    stages = None
    if policy.rollout.staged:
        stages = staged(changes, live, terms, policy.rollout, rebalances)
        changes = stages.changes
        rebalances = rebalance_rows(changes, live, terms, flows.sent)
    sharing, aims = None, None
    if policy.cash_flow == "shared":
        sharing = shared_flows(
            changes, live, terms, policy, flows, rebalances, valid=valid, kept=origin.agreed
        )
    if sharing is not None:
        flows, aims = sharing.flows, sharing.aims
        rebalances = rebalance_rows(changes, live, terms, flows.sent, aims)
    flows = behind_rebalances(flows, rebalances, terms, valid)
    if policy.destination == "edge":
        late = flows.sent if flows.any_late else None
        edges = at_the_edge(changes, terms, rebalances, origin.agreed, late=late)
        if edges is not None:
            rebalances, aims = edges.rebalances, both(aims, edges.aims)
    calls, rows = ordered_calls(
        changes,
        terms,
        flows.sent,
        rebalances.sent,
        aims,
        per_call=policy.participants_per_call,
    )
    impact = impacts(changes, live, terms, calls, rows, rebalances.legs)
    floats = float_needs(calls, live)
    measured = (
        *measures(
            changes=changes,
            calls=calls,
            flows=flows.sent,
            legs=rebalances.legs,
            impacts=impact,
            floats=floats,
            funding_model=configuration.environment.funding_model,
            aims=aims,
            spared_e8=sharing.avoidable_e8 if sharing else None,
        ),
        *cap_measures(policy.caps, calls, rows, origin.sent_lately),
    )
    findings, relied_on = guard_findings(measured, configuration, valid)
    plan = Plan(
        realm=configuration.environment.realm,
        environment=configuration.environment.name,
        configuration=configuration.desired.digest,
        commit=origin.commit,
        generation=configuration.environment.generation,
        fences=fences(changes),
        calls=calls,
        rows=rows,
        acknowledgements=tuple(dict.fromkeys((*releasing, *flows.acknowledgements, *relied_on))),
        as_of=origin.as_of,
        expires_at=origin.expires_at,
        blocked=rows.workspace.select(
            "blocked",
            flows.blocked.schema,
            f"SELECT * FROM {flows.blocked} UNION ALL SELECT * FROM {rebalances.blocked}"
            f"{f' UNION ALL SELECT * FROM {stages.blocked}' if stages else ''} ORDER BY ALL",
        ),
        findings=findings,
        impacts=impact,
        certificates=certificates(
            calls, policy.participants_per_call, sharing.bounds if sharing else None
        ),
        floats=floats,
        prices=terms.price_texts,
        satisfied=rebalances.satisfied,
        forfeits=forfeited_rows(changes),
        unmanaged=changes.unmanaged,
        weights=provenances(changes, calls),
        complete=origin.complete,
        warnings=configuration.desired.warnings + live.warnings + terms.warnings,
        totals=call_totals(calls, sharing.totals) if sharing else (),
        cohorts=cohort_drifts(changes, live, terms, calls, flows.sent, rebalances, aims),
        window=policy.windows.at(datetime.fromisoformat(origin.as_of)) if policy.windows else None,
    )
    return Workings(
        plan=plan,
        changes=changes,
        live=live,
        configuration=configuration,
        terms=terms,
        flows=flows,
        rebalances=rebalances,
        aims=sharing.aims if sharing else None,
        measured=measured,
    )
