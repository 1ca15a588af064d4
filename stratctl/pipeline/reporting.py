"""What an apply did, in the order in which it was planned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from stratctl.core.event import Intent, RowResult
from stratctl.core.report import Applied, Tally
from stratctl.core.state import VERB_ORDER, Verb

if TYPE_CHECKING:
    from stratctl.apply import Recovered, StrategyResult
    from stratctl.core.event import Outcome
    from stratctl.core.plan import Plan
    from stratctl.journal.record import Entry
    from stratctl.pipeline.ceiling import Fitting


def report_of(
    plan: Plan,
    fitting: Fitting,
    results: Sequence[StrategyResult],
    *,
    recovered: Sequence[Recovered],
    currencies: Mapping[str, str],
    digest: str,
    journal_head: str,
) -> Applied:
    """The report of one apply, with the ends that it found of an earlier one's calls.

    ``currencies``: by Strategy, of all that have an outcome.
    """
    ended: tuple[Recovered | StrategyResult, ...] = (*recovered, *results)
    outcomes = [outcome for each in ended for outcome in each.outcomes]
    return Applied(
        environment=plan.environment,
        plan_digest=digest,
        tallies=_tallies(plan, results, outcomes, currencies),
        problems=tuple(problem for each in ended for problem in each.problems),
        not_needed=fitting.not_needed,
        left_for_next=fitting.left_for_next,
        rejected=rejected_of(outcomes),
        interrupted=any(result.interrupted for result in results),
        journal_head=journal_head,
        participants=len(_touched(plan, results, outcomes)),
    )


def currencies_of(entries: Iterable[Entry]) -> dict[str, str]:
    """By Strategy, of everything that was ever bound."""
    intents = (entry.event for entry in entries if isinstance(entry.event, Intent))
    return {intent.strategy: intent.currency for intent in intents}


def _touched(
    plan: Plan, results: Sequence[StrategyResult], outcomes: Sequence[Outcome]
) -> set[str]:
    """Everybody in an outcome of this apply, and everybody whose flag was set."""
    done = {number for result in results for number in result.done}
    flags = [call.number for call in plan.calls if call.verb is Verb.FLAGS and call.number in done]
    flagged = plan.rows.workspace.rows(
        f"SELECT participant_code FROM {plan.rows} WHERE list_contains($1::INTEGER[], call)",
        [flags],
    )
    settled = {row.participant_code for outcome in outcomes for row in outcome.rows}
    return settled | {code for (code,) in flagged}


def _tallies(
    plan: Plan,
    results: Sequence[StrategyResult],
    outcomes: Sequence[Outcome],
    currencies: Mapping[str, str],
) -> tuple[Tally, ...]:
    """One per Strategy and verb, in the order of a plan."""
    return summed(
        (
            *(tally for result in results for tally in _document_tallies(plan, result)),
            *outcome_tallies(outcomes, currencies),
        )
    )


def outcome_tallies(outcomes: Sequence[Outcome], currencies: Mapping[str, str]) -> Iterator[Tally]:
    """One for each outcome."""
    return (_outcome_tally(outcome, currencies[outcome.strategy]) for outcome in outcomes)


def rejected_of(outcomes: Sequence[Outcome]) -> tuple[tuple[str, str, str], ...]:
    """(strategy, participant_code, reason) of each rejected row."""
    return tuple(
        (outcome.strategy, row.participant_code, row.reason)
        for outcome in outcomes
        for row in outcome.rows
        if row.result is RowResult.REJECTED
    )


def summed(tallies: Iterable[Tally]) -> tuple[Tally, ...]:
    """One per Strategy and verb, in the order of a plan."""
    parts: dict[tuple[str, Verb], list[Tally]] = {}
    for tally in tallies:
        parts.setdefault((tally.strategy, tally.verb), []).append(tally)
    return tuple(
        _sum(parts[key]) for key in sorted(parts, key=lambda k: (k[0], VERB_ORDER.index(k[1])))
    )


def _document_tallies(plan: Plan, result: StrategyResult) -> Iterator[Tally]:
    """Calls that become no Operation: they are done when they were read back."""
    for call in plan.calls:
        if call.number in result.done and call.verb in (Verb.CREATE, Verb.METADATA, Verb.FLAGS):
            settled = max(call.rows, 1)
            yield Tally(call.strategy, call.verb, call.currency, call.requests, settled, 0, 0, 0)


def _outcome_tally(outcome: Outcome, currency: str) -> Tally:
    results = [row.result for row in outcome.rows]
    return Tally(
        strategy=outcome.strategy,
        verb=outcome.verb,
        currency=currency,
        calls=1,
        settled=results.count(RowResult.SETTLED),
        skipped=results.count(RowResult.SKIPPED),
        rejected=results.count(RowResult.REJECTED),
        amount_minor=sum(
            row.amount_minor or 0 for row in outcome.rows if row.result is RowResult.SETTLED
        ),
    )


def _sum(tallies: Sequence[Tally]) -> Tally:
    first = tallies[0]
    return Tally(
        strategy=first.strategy,
        verb=first.verb,
        currency=first.currency,
        calls=sum(tally.calls for tally in tallies),
        settled=sum(tally.settled for tally in tallies),
        skipped=sum(tally.skipped for tally in tallies),
        rejected=sum(tally.rejected for tally in tallies),
        amount_minor=sum(tally.amount_minor for tally in tallies),
    )
