"""Diff and plan, for plan, for apply, and again at apply's barrier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from stratctl.diff import diff, refuse_changed_entries
from stratctl.pipeline.waiting import unknown_waits
from stratctl.plan import Origin, worked_out

if TYPE_CHECKING:
    from stratctl.core.plan import Plan
    from stratctl.core.settings import Configuration
    from stratctl.core.state import Booked, Live, Vector, Verb
    from stratctl.pipeline.provenance import Provenance
    from stratctl.plan.workings import Workings

PLAN_LIFE = timedelta(hours=4)
"""A plan older than this is stale: prices, people and books move."""

DAY = timedelta(hours=24)
"""What the cap of a day looks back on."""


@dataclass(frozen=True)
class PlanInput:
    """Everything that a plan depends on. The same input gives the same bytes."""

    configuration: Configuration
    live: Live
    booked: Booked
    provenance: Provenance
    reusable_acknowledgements: frozenset[str] = frozenset()
    """Used by an interrupted run of this very plan, so still good for it."""
    complete: bool = True
    agreed: tuple[tuple[str, Verb, Vector], ...] = ()
    """Vectors that were approved, to be chosen again while they serve everybody."""


def vectors_of(plan: Plan | None) -> tuple[tuple[str, Verb, Vector], ...]:
    """What a plan sends, as (Strategy, verb, vector)."""
    calls = plan.calls if plan else ()
    return tuple((call.strategy, call.verb, call.vector) for call in calls if call.vector)


def sent_lately(booked: Booked, as_of: datetime) -> tuple[tuple[str, int, int], ...]:
    """(currency, money in, money out) in minor units that our calls moved, or may have, in the 24
    hours before ``as_of``. A sliding day has no midnight at which all of it may move twice."""
    since = (as_of - DAY).timestamp()
    sums: dict[str, tuple[int, int]] = {}
    for sent in booked.sent:
        if sent.signed_last is None or sent.signed_last >= since:
            came, went = sums.get(sent.currency, (0, 0))
            sums[sent.currency] = (came + sent.in_minor, went + sent.out_minor)
    return tuple((currency, *sums[currency]) for currency in sorted(sums))


def make(given: PlanInput) -> Plan:
    """The plan. Raises InputError where desired contradicts what has happened."""
    return work_out(given).plan


def work_out(given: PlanInput) -> Workings:
    """The plan with everything that it was made from. Raises as make."""
    declared = {strategy.name for strategy in given.configuration.desired.strategies}
    live = given.live
    if not given.complete:
        shown = tuple(strategy for strategy in live.strategies if strategy.name in declared)
        live = replace(live, strategies=shown)
    refuse_changed_entries(given.configuration.desired, live, given.booked.entries)
    made = datetime.fromisoformat(live.as_of)
    return worked_out(
        diff(given.configuration.desired, live),
        live,
        given.configuration,
        Origin(
            commit=given.provenance.commit,
            as_of=live.as_of,
            expires_at=(made + PLAN_LIFE).strftime("%Y-%m-%dT%H:%M:%SZ"),
            used_acknowledgements=given.booked.used_acknowledgements
            - given.reusable_acknowledgements,
            waiting=given.booked.waiting,
            waiting_unknown=unknown_waits(live, given.booked),
            sent_lately=sent_lately(given.booked, made),
            complete=given.complete,
            agreed=given.agreed,
        ),
    )
