"""Apply: recover, read again, fit under the ceiling, then send, Strategy beside Strategy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stratctl.apply import Breaker, apply_strategy, drive, recover
from stratctl.core.errors import InputError, PlanStale
from stratctl.core.event import Problem
from stratctl.core.report import Applied
from stratctl.core.state import Verb
from stratctl.journal.record import Applied as AppliedRecord
from stratctl.journal.record import Run
from stratctl.pipeline.ceiling import Fitting, fit, refuse_moved_fences
from stratctl.pipeline.configuring import narrowed
from stratctl.pipeline.history import PlanHistory
from stratctl.pipeline.planning import PlanInput, make, vectors_of
from stratctl.pipeline.provenance import Provenance, refuse_old_configuration
from stratctl.pipeline.refusals import (
    SELLING_VERBS,
    closed_text,
    may_be_sent,
    refuse_aged_prices,
    refuse_another_digest,
    refuse_another_plan,
    refuse_closed,
    refuse_halted,
    refuse_moved_prices,
    refuse_stopped,
    sells,
    without_halted,
)
from stratctl.pipeline.reporting import currencies_of, report_of
from stratctl.pipeline.session import Session
from stratctl.pipeline.waiting import waiting_records
from stratctl.pipeline.working import is_still_wanted, shrunk, strategy_works

if TYPE_CHECKING:
    from stratctl.apply import CallWork, Recovered, StrategyResult, StrategyWork
    from stratctl.core.event import Event, Receipt, Unfinished
    from stratctl.core.plan import Plan
    from stratctl.core.report import Progress, Watcher
    from stratctl.core.settings import Configuration
    from stratctl.journal.store import Journal

STRATEGIES_AT_ONCE = 64
"""Strategies are independent chains, and most of what each does is to wait for its own Operation:
none waits for another one. The provider's rate limit is shared by all of them."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """How an apply talks to whoever started it."""

    approve: Callable[[Plan], None]
    """Shown the plan that would be sent, once, before the first request. Raises
    ApprovalMissing to stop it."""
    progress: Progress
    watch: Watcher
    stopping: Callable[[], bool]
    """True when no new request may be started."""


def apply_plan(
    session: Session,
    approved: Plan | None,
    *,
    expect_digest: str | None,
    conversation: Conversation,
) -> Applied:
    """Send what is approved and still needed. See ``pipeline.apply`` for what it raises."""
    if approved is not None:
        refuse_another_plan(session, approved, expect_digest)
    environment = session.configuration.environment
    provenance = session.provenance
    with session.open_journal() as journal:
        booked = journal.booked(session.workspace)
        refuse_old_configuration(provenance, environment, booked)
        refuse_halted(booked)
        refuse_closed(session)
        return _Apply(session, journal, provenance, approved, expect_digest, conversation).run()


class _Apply:
    """One apply, step by step; every step leaves the journal telling the truth."""

    def __init__(
        self,
        session: Session,
        journal: Journal,
        provenance: Provenance,
        approved: Plan | None,
        expect_digest: str | None,
        conversation: Conversation,
    ) -> None:
        self._session = session
        self._journal = journal
        self._provenance = provenance
        self._approved = approved
        self._expect_digest = expect_digest
        self._conversation = conversation
        self._failed = threading.Event()
        self._found: list[Recovered] = []

    def run(self) -> Applied:
        session, journal = self._session, self._journal
        unfinished = self._recover(journal.unfinished())
        history = PlanHistory.of(journal.entries(), self._approved)
        booked = journal.booked(session.workspace)
        configuration = self._configuration()
        given = PlanInput(
            configuration=configuration,
            live=session.read_live(configuration, booked, self._conversation.progress),
            booked=booked,
            provenance=self._provenance,
            reusable_acknowledgements=history.acknowledgements,
            complete=configuration is session.configuration,
            agreed=vectors_of(self._approved),
        )
        fresh, given, unfinished = self._planned(given, unfinished)
        live, booked = given.live, given.booked
        if self._approved is None:
            refuse_another_digest(fresh, self._expect_digest)
        fitting = self._fit(fresh, history, unfinished)
        plan = without_halted(fitting.plan, booked)
        self._remember_waiting(fresh, plan, given)
        self._conversation.approve(plan)
        refuse_aged_prices(plan, session)
        refuse_closed(session)
        refuse_stopped(fresh)
        resumed = self._resumed(unfinished, given)
        digest = self._approved.digest if self._approved else plan.digest
        if plan.empty and not resumed and not len(plan.satisfied):
            report = self._report(plan, fitting, ())
            # Found nothing to do is applied too: what came before this may act no more.
            if (plan.commit, plan.generation) != (booked.applied_commit, booked.applied_generation):
                self._remember(plan, digest, report)
            return replace(report, journal_head=journal.head)
        journal.append(
            Run(
                plan_digest=digest,
                configuration=plan.configuration,
                commit=plan.commit,
                generation=plan.generation,
                acknowledgements=tuple(a.id for a in plan.acknowledgements),
            )
        )
        works = strategy_works(
            plan,
            configuration.desired,
            live,
            booked,
            resumed=resumed,
            unproven=self._unproven(resumed),
        )
        results = self._send(works, given, agreed=self._approved or plan)
        report = self._report(plan, fitting, results)
        self._remember(plan, digest, report)
        return replace(report, journal_head=journal.head)

    def _remember_waiting(self, fresh: Plan, plan: Plan, given: PlanInput) -> None:
        """Write down which flows wait, before anything can stop this apply."""
        sent = None if fresh.stopped else plan
        desired = given.configuration.desired
        records = waiting_records(fresh, sent, desired, given.live, given.booked)
        if records:
            self._journal.append_all(records)

    def _remember(self, plan: Plan, digest: str, report: Applied) -> None:
        """Write down which configuration was applied."""
        self._journal.append(
            AppliedRecord(
                commit=plan.commit,
                generation=plan.generation,
                plan_digest=digest,
                complete=report.exit_code == 0,
            )
        )

    def _configuration(self) -> Configuration:
        """What to plan again: of a plan that was narrowed to some Strategies, only those."""
        whole = self._session.configuration
        if self._approved is None or self._approved.complete:
            return whole
        return narrowed(whole, target=[f.strategy for f in self._approved.fences], exclude=())

    # --- before the first request -------------------------------------------------------------

    def _recover(
        self,
        unfinished: Sequence[Unfinished],
        *,
        wanted: Callable[[Unfinished], bool] = lambda _: True,
        wait: bool = False,
    ) -> tuple[Unfinished, ...]:
        """Find out what became of these calls; those that stay open. Ends go into the report."""
        recovered = drive(
            recover(
                unfinished,
                self._session.writer,
                wanted=wanted,
                wait=wait,
                stopping=self._stopping,
            ),
            self._append,
        )
        self._found.append(recovered)
        return recovered.open

    def _fit(self, fresh: Plan, history: PlanHistory, unfinished: Sequence[Unfinished]) -> Fitting:
        if self._approved is None:
            return Fitting(fresh, (), ())
        refuse_moved_fences(self._approved, fresh, history.slots)
        fitting = fit(self._approved, fresh, history.done)
        if sells(fitting.plan) or any(one.intent.verb in SELLING_VERBS for one in unfinished):
            refuse_moved_prices(self._approved, fitting.plan, self._session)
        return fitting

    def _planned(
        self, given: PlanInput, unfinished: tuple[Unfinished, ...]
    ) -> tuple[Plan, PlanInput, tuple[Unfinished, ...]]:
        """The plan, what it was made from, and the calls that are still open.

        A call that may yet be carried out counts in full, which can be more than is declared by
        now. Where it is not wanted either, it is given up first. Raises InputError.
        """
        try:
            return make(given), given, unfinished
        except InputError:
            if len(self._resumed(unfinished, given)) == len(unfinished):
                raise
        booked = self._journal.booked(self._session.workspace)
        progress = self._conversation.progress
        live = self._session.read_live(given.configuration, booked, progress)
        given = replace(given, booked=booked, live=live)
        return make(given), given, self._journal.unfinished()

    def _resumed(self, unfinished: Sequence[Unfinished], given: PlanInput) -> dict[str, Unfinished]:
        """Open calls that are still wanted, by Strategy; the others are given up after the
        quarantine, which proves that nothing of them can still commit."""
        wanted = {
            one.intent.strategy: one
            for one in unfinished
            if may_be_sent(one.intent.verb, given.booked)
            and is_still_wanted(one, given, self._approved)
        }
        unwanted = [one for one in unfinished if one not in wanted.values()]
        if unwanted:
            self._recover(unwanted, wanted=lambda _: False, wait=True)
        return wanted

    def _unproven(self, resumed: Mapping[str, Unfinished]) -> tuple[Unfinished, ...]:
        """Calls that still have no end and are not resumed: their Strategies get no new slot."""
        kept = {one.intent.request_id for one in resumed.values()}
        unfinished = self._journal.unfinished()
        return tuple(one for one in unfinished if one.intent.request_id not in kept)

    # --- sending ------------------------------------------------------------------------------

    def _send(
        self, works: Sequence[StrategyWork], given: PlanInput, *, agreed: Plan
    ) -> tuple[StrategyResult, ...]:
        breaker = Breaker()
        with self._session.clockwork.workers(STRATEGIES_AT_ONCE) as pool:
            futures = [
                pool.submit(self._send_strategy, work, breaker, given, agreed) for work in works
            ]
            return tuple(future.result() for future in futures)

    def _send_strategy(
        self, work: StrategyWork, breaker: Breaker, given: PlanInput, agreed: Plan
    ) -> StrategyResult:
        finished = False
        try:
            result = drive(
                apply_strategy(
                    work,
                    self._session.writer,
                    breaker=breaker,
                    stopping=self._stopping,
                    replan=lambda: self._replan(work, given, agreed),
                ),
                self._append,
            )
            finished = True
            return result
        finally:
            # Whatever ended it, the other Strategies start no further request.
            if not finished:
                self._failed.set()

    def _replan(self, work: StrategyWork, given: PlanInput, agreed: Plan) -> tuple[CallWork, ...]:
        """At the barrier, and behind a rebalance: read this Strategy again; what is left of its
        calls may only shrink, and prices may not have moved too far since they were agreed to."""
        only = narrowed(given.configuration, target=[work.strategy], exclude=())
        booked = self._journal.booked(self._session.workspace)
        live = self._session.read_live(only, booked, self._conversation.progress)
        try:
            fresh = make(
                replace(
                    given,
                    configuration=only,
                    live=live,
                    booked=booked,
                    reusable_acknowledgements=given.reusable_acknowledgements
                    | {acknowledgement.id for acknowledgement in agreed.acknowledgements},
                    complete=False,
                    agreed=vectors_of(agreed),
                )
            )
        except InputError as error:
            raise PlanStale(f"live moved: {error.diagnostics[0].detail}") from error
        late = [
            each
            for each in work.calls
            if each.call.verb in (Verb.REBALANCE, Verb.FLAGS) or each.call.after_rebalance
        ]
        wanted = shrunk(late, fresh)
        if any(each.call.verb in SELLING_VERBS for each in wanted):
            read = {price[:2] for price in fresh.prices}
            known = tuple(price for price in agreed.prices if price[:2] in read)
            refuse_moved_prices(replace(agreed, prices=known), fresh, self._session)
        return wanted

    def _append(self, event: Event) -> Receipt:
        receipt = self._journal.append(event)
        self._conversation.watch(event)
        return receipt

    def _stopping(self) -> bool:
        return self._failed.is_set() or self._conversation.stopping() or not self._open()

    def _open(self) -> bool:
        return self._session.configuration.policy.windows.open_at(self._session.now())

    def _report(
        self,
        plan: Plan,
        fitting: Fitting,
        results: Sequence[StrategyResult],
    ) -> Applied:
        report = report_of(
            plan,
            fitting,
            results,
            recovered=self._found,
            currencies=self._currencies(),
            digest=self._approved.digest if self._approved else plan.digest,
            journal_head=self._journal.head,
        )
        if not report.interrupted or self._conversation.stopping() or self._open():
            return report
        opening = self._session.configuration.policy.windows.at(self._session.now())
        closed = Problem("", "E_WINDOW_CLOSED", f"{closed_text(opening)}; apply again then")
        return replace(report, interrupted=False, problems=(*report.problems, closed))

    def _currencies(self) -> dict[str, str]:
        """By Strategy, also of those that are declared no more and had a call without an end."""
        declared = self._session.configuration.desired.strategies
        return {
            **currencies_of(self._journal.entries()),
            **{strategy.name: strategy.quoted_currency for strategy in declared},
        }
