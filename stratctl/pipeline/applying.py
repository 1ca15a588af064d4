"""Apply: recover, read again, fit under the ceiling, then send, Strategy beside Strategy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from stratctl.apply import Breaker, apply_strategy, drive, recover
from stratctl.core.errors import GuardRefused, InputError, PlanStale
from stratctl.core.event import RowResult
from stratctl.core.money import PRICE_DIGITS, parse_units
from stratctl.core.report import Applied, Tally
from stratctl.core.state import Verb
from stratctl.journal.record import Applied as AppliedRecord
from stratctl.journal.record import Run
from stratctl.pipeline.ceiling import Fitting, fit, refuse_moved_fences
from stratctl.pipeline.history import PlanHistory
from stratctl.pipeline.planning import PlanInput, make
from stratctl.pipeline.provenance import Provenance, provenance_of, refuse_old_configuration
from stratctl.pipeline.session import Session, timestamp
from stratctl.pipeline.working import is_still_wanted, shrunk, strategy_works

if TYPE_CHECKING:
    from stratctl.apply import CallWork, StrategyResult, StrategyWork
    from stratctl.core.event import Event, Problem, Receipt, Unfinished
    from stratctl.core.plan import Plan
    from stratctl.core.report import Progress, Watcher
    from stratctl.core.state import Booked
    from stratctl.journal.store import Journal

STRATEGIES_AT_ONCE = 4
"""Strategies are independent chains; the provider's rate limit is shared by all of them."""

EXIT_VERBS = (Verb.LIQUIDATE, Verb.PARTIAL_SELL)
"""What may be sent while a halt lets exits through."""

SELLING_VERBS = (*EXIT_VERBS, Verb.REBALANCE)
"""What the provider sells at whatever the price is by then."""


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
        _refuse_another_plan(session, approved, expect_digest)
    environment = session.configuration.environment
    provenance = provenance_of(session.root, environment)
    with session.open_journal() as journal:
        booked = journal.booked(session.workspace)
        refuse_old_configuration(provenance, environment, booked)
        if booked.halted == "all":
            raise GuardRefused("applying is halted", hint="stratctl resume lifts it")
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

    def run(self) -> Applied:
        session, journal, writer = self._session, self._journal, self._session.writer
        recovered = drive(
            recover(journal.unfinished(), writer, stopping=self._stopping), self._append
        )
        history = PlanHistory.of(journal.entries(), self._approved)
        booked = journal.booked(session.workspace)
        live = session.read_live(session.configuration, booked, self._conversation.progress)
        given = PlanInput(
            configuration=session.configuration,
            live=live,
            booked=booked,
            provenance=self._provenance,
            reusable_acknowledgements=history.acknowledgements,
        )
        fresh = make(given)
        if self._approved is None:
            _refuse_another_digest(fresh, self._expect_digest)
        fitting = self._fit(fresh, history, recovered.open)
        plan = self._without_halted(fitting.plan, booked)
        self._conversation.approve(plan)
        self._refuse_aged_prices(plan)
        if fresh.stopped:
            raise GuardRefused(
                "; ".join(
                    f"{finding.rule}: {finding.measured} {finding.subject},"
                    f" the limit is {finding.limit}"
                    for finding in fresh.findings
                    if finding.stops
                ),
                hint=next(finding.hint for finding in fresh.findings if finding.stops),
            )
        resumed = self._resumed(recovered.open, given)
        if plan.empty and not resumed and not len(plan.satisfied):
            return self._report(plan, fitting, (), recovered.problems)
        digest = self._approved.digest if self._approved else plan.digest
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
            plan, live, booked, resumed=resumed, unproven=self._unproven(resumed)
        )
        results = self._send(works, given)
        report = self._report(plan, fitting, results, recovered.problems)
        journal.append(
            AppliedRecord(
                commit=plan.commit,
                generation=plan.generation,
                plan_digest=digest,
                complete=report.exit_code == 0,
            )
        )
        return replace(report, journal_head=journal.head)

    # --- before the first request -------------------------------------------------------------

    def _fit(
        self, fresh: Plan, history: PlanHistory, unfinished: Sequence[Unfinished]
    ) -> Fitting:
        if self._approved is None:
            return Fitting(fresh, (), ())
        refuse_moved_fences(self._approved, fresh, history.slots)
        fitting = fit(self._approved, fresh)
        if _sells(fitting.plan) or any(one.intent.verb in SELLING_VERBS for one in unfinished):
            _refuse_moved_prices(self._approved, fitting.plan, self._session)
        return fitting

    def _refuse_aged_prices(self, plan: Plan) -> None:
        """Somebody may have taken long to say yes. Raises PlanStale."""
        policy = self._session.configuration.policy
        age = self._session.now() - datetime.fromisoformat(plan.as_of)
        if _sells(plan) and age > timedelta(seconds=policy.price_max_age_seconds):
            raise PlanStale(
                f"prices are {age.total_seconds():.0f} s old,"
                f" prices.max_age_seconds is {policy.price_max_age_seconds}",
                hint="apply again",
            )

    def _without_halted(self, plan: Plan, booked: Booked) -> Plan:
        calls = tuple(call for call in plan.calls if _may_be_sent(call.verb, booked))
        return replace(plan, calls=calls)

    def _resumed(self, unfinished: Sequence[Unfinished], given: PlanInput) -> dict[str, Unfinished]:
        """Open calls that are still wanted, by Strategy; the others are given up after the
        quarantine, which proves that nothing of them can still commit."""
        wanted = {
            one.intent.strategy: one
            for one in unfinished
            if _may_be_sent(one.intent.verb, given.booked)
            and is_still_wanted(one, given, self._approved)
        }
        unwanted = [one for one in unfinished if one not in wanted.values()]
        if unwanted:
            drive(
                recover(
                    unwanted,
                    self._session.writer,
                    wanted=lambda _: False,
                    wait=True,
                    stopping=self._stopping,
                ),
                self._append,
            )
        return wanted

    def _unproven(self, resumed: Mapping[str, Unfinished]) -> tuple[Unfinished, ...]:
        """Calls that still have no end and are not resumed: their Strategies get no new slot."""
        kept = {one.intent.request_id for one in resumed.values()}
        unfinished = self._journal.unfinished()
        return tuple(one for one in unfinished if one.intent.request_id not in kept)

    # --- sending ------------------------------------------------------------------------------

    def _send(self, works: Sequence[StrategyWork], given: PlanInput) -> tuple[StrategyResult, ...]:
        breaker = Breaker()
        with ThreadPoolExecutor(max_workers=STRATEGIES_AT_ONCE) as pool:
            futures = [pool.submit(self._send_strategy, work, breaker, given) for work in works]
            return tuple(future.result() for future in futures)

    def _send_strategy(
        self, work: StrategyWork, breaker: Breaker, given: PlanInput
    ) -> StrategyResult:
        try:
            return drive(
                apply_strategy(
                    work,
                    self._session.writer,
                    breaker=breaker,
                    stopping=self._stopping,
                    replan=lambda: self._replan(work, given),
                ),
                self._append,
            )
        except BaseException:
            # Whatever it is, it stops the other Strategies' next requests, then travels on.
            self._failed.set()
            raise

    def _replan(self, work: StrategyWork, given: PlanInput) -> tuple[CallWork, ...]:
        """At the barrier: read this Strategy again; its rebalances and flags may only shrink."""
        configuration = given.configuration
        only = replace(
            configuration,
            desired=replace(
                configuration.desired,
                strategies=tuple(
                    s for s in configuration.desired.strategies if s.name == work.strategy
                ),
                rows=configuration.desired.rows.workspace.select(
                    "desired_here",
                    configuration.desired.rows.schema,
                    f"SELECT * FROM {configuration.desired.rows} WHERE strategy = $1",
                    [work.strategy],
                ),
            ),
        )
        booked = self._journal.booked(self._session.workspace)
        live = self._session.read_live(only, booked, self._conversation.progress)
        try:
            fresh = make(
                replace(given, configuration=only, live=live, booked=booked, complete=False)
            )
        except InputError as error:
            raise PlanStale(f"live moved: {error.diagnostics[0].detail}") from error
        late = [each for each in work.calls if each.call.verb in (Verb.REBALANCE, Verb.FLAGS)]
        return shrunk(late, fresh)

    def _append(self, event: Event) -> Receipt:
        receipt = self._journal.append(event)
        self._conversation.watch(event)
        return receipt

    def _stopping(self) -> bool:
        return self._failed.is_set() or self._conversation.stopping()

    # --- afterwards ---------------------------------------------------------------------------

    def _report(
        self,
        plan: Plan,
        fitting: Fitting,
        results: Sequence[StrategyResult],
        problems: Sequence[Problem],
    ) -> Applied:
        outcomes = [outcome for result in results for outcome in result.outcomes]
        return Applied(
            environment=plan.environment,
            plan_digest=self._approved.digest if self._approved else plan.digest,
            tallies=_tallies(plan, results),
            problems=(*problems, *(p for result in results for p in result.problems)),
            not_needed=fitting.not_needed,
            left_for_next=fitting.left_for_next,
            rejected=tuple(
                (outcome.strategy, row.participant_code, row.reason)
                for outcome in outcomes
                for row in outcome.rows
                if row.result is RowResult.REJECTED
            ),
            interrupted=any(result.interrupted for result in results),
            journal_head=self._journal.head,
            participants=len(_touched(plan, results)),
        )


def _touched(plan: Plan, results: Sequence[StrategyResult]) -> set[str]:
    """Everybody in an outcome of this apply, and everybody whose flag was set."""
    done = {number for result in results for number in result.done}
    flags = [call.number for call in plan.calls if call.verb is Verb.FLAGS and call.number in done]
    flagged = plan.rows.workspace.rows(
        f"SELECT participant_code FROM {plan.rows} WHERE list_contains($1::INTEGER[], call)",
        [flags],
    )
    outcomes = [outcome for result in results for outcome in result.outcomes]
    settled = {row.participant_code for outcome in outcomes for row in outcome.rows}
    return settled | {code for (code,) in flagged}


def _may_be_sent(verb: Verb, booked: Booked) -> bool:
    """A halt that lets exits through holds back everything else, also what a crash left open."""
    return booked.halted != "exits_only" or verb in EXIT_VERBS


def _tallies(plan: Plan, results: Sequence[StrategyResult]) -> tuple[Tally, ...]:
    """Per Strategy and verb: Operations from their outcomes, the rest from calls that are done."""
    currencies = {call.strategy: call.currency for call in plan.calls}
    tallies: dict[tuple[str, Verb], Tally] = {}

    def add(tally: Tally) -> None:
        key = tally.strategy, tally.verb
        before = tallies.get(key)
        tallies[key] = (
            replace(
                tally,
                calls=before.calls + tally.calls,
                settled=before.settled + tally.settled,
                skipped=before.skipped + tally.skipped,
                rejected=before.rejected + tally.rejected,
                amount_minor=before.amount_minor + tally.amount_minor,
            )
            if before
            else tally
        )

    for result in results:
        currency = currencies.get(result.strategy, "")
        for call in plan.calls:
            if call.number in result.done and call.verb in (
                Verb.CREATE,
                Verb.METADATA,
                Verb.FLAGS,
            ):
                done = max(call.rows, 1)
                add(Tally(call.strategy, call.verb, currency, call.requests, done, 0, 0, 0))
        for outcome in result.outcomes:
            counts = dict.fromkeys(RowResult, 0)
            for row in outcome.rows:
                counts[row.result] += 1
            add(
                Tally(
                    strategy=outcome.strategy,
                    verb=outcome.verb,
                    currency=currency,
                    calls=1,
                    settled=counts[RowResult.SETTLED],
                    skipped=counts[RowResult.SKIPPED],
                    rejected=counts[RowResult.REJECTED],
                    amount_minor=sum(
                        row.amount_minor or 0
                        for row in outcome.rows
                        if row.result is RowResult.SETTLED
                    ),
                )
            )
    return tuple(tallies.values())


def _refuse_another_plan(session: Session, approved: Plan, expect_digest: str | None) -> None:
    """An approval is for one digest, one environment, one configuration, and some hours."""
    environment = session.configuration.environment
    _refuse_another_digest(approved, expect_digest)
    if (approved.realm, approved.environment) != (environment.realm, environment.name):
        raise PlanStale(
            f"the plan is for {approved.environment} in realm {approved.realm},"
            f" not for {environment.name} in realm {environment.realm}"
        )
    if approved.configuration != session.configuration.desired.digest:
        raise PlanStale(
            "the configuration changed since the plan was made", hint="plan this configuration"
        )
    if approved.expires_at < timestamp(session.now()):
        raise PlanStale(f"the plan expired at {approved.expires_at}", hint="plan again")


def _refuse_another_digest(plan: Plan, expected: str | None) -> None:
    """An expected digest only ever verifies. Raises PlanStale."""
    if expected is not None and plan.digest != expected.lower():
        raise PlanStale(f"the plan's digest is {plan.digest}, {expected} was expected")


def _sells(plan: Plan) -> bool:
    """Whether any call sells, and so depends on the price that the provider will find."""
    return any(call.verb in SELLING_VERBS for call in plan.calls)


def _refuse_moved_prices(approved: Plan, plan: Plan, session: Session) -> None:
    """Sells and rebalances have no limit price, so the price must not have moved too far.

    Buys of a fixed amount of money go ahead: their amount is what was approved.
    """
    limit = session.configuration.policy.price_max_move
    now = {(asset, currency): text for asset, currency, text in plan.prices}
    for asset, currency, text in approved.prices:
        then_e8 = parse_units(text, PRICE_DIGITS)
        now_e8 = parse_units(now.get((asset, currency), "0"), PRICE_DIGITS)
        if then_e8 and Fraction(abs(now_e8 - then_e8), then_e8) > limit:
            raise PlanStale(
                f"{asset} was {currency} {text} when the plan was made and is"
                f" {now.get((asset, currency), 'without a price')} now",
                hint="prices.max_move in policy.yaml is the limit; plan again",
            )
