"""A summary of live beside what is declared."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from stratctl.core.money import PRICE_DIGITS, minor_digits
from stratctl.core.report import FloatStatus, Status, StrategyStatus
from stratctl.diff import diff
from stratctl.plan.impact import managed_values
from stratctl.plan.rebalance import drift_by_strategy
from stratctl.plan.terms import Terms

if TYPE_CHECKING:
    from stratctl.core.change import Changes, StrategyChange
    from stratctl.core.settings import Configuration
    from stratctl.core.state import Booked, Live


def status_of(
    configuration: Configuration, live: Live, booked: Booked, *, entries: int, unfinished: int
) -> Status:
    """Traders, values, drift, steps, operations in flight, float, windows and journal.

    ``unfinished`` counts the journal's calls without an end, accepted ones too: apply finds out
    about each of them before it does anything else.
    """
    changes = diff(configuration.desired, live)
    terms = Terms.of(changes, live, configuration.policy)
    values = managed_values(changes, live, terms)
    drifts = drift_by_strategy(changes, live, terms)
    counts = _counts(changes, live)
    windows = configuration.policy.windows
    return Status(
        environment=configuration.environment.name,
        realm=configuration.environment.realm,
        as_of=live.as_of,
        strategies=tuple(
            _strategy_status(
                change,
                counts.get(change.desired.name, (0, 0, 0, 0)),
                drifts.get(change.desired.name, (0, 0, 0)),
                values.get(change.desired.name, (0, ()))[0],
            )
            for change in changes.strategies
        ),
        floats=tuple(
            FloatStatus(account.currency, account.available_minor, account.account)
            for account in live.floats
        ),
        journal_entries=entries,
        journal_head=booked.head,
        open_intents=unfinished,
        halted=booked.halted,
        window=windows.at(datetime.fromisoformat(live.as_of)) if windows else None,
    )


def _strategy_status(
    change: StrategyChange,
    counts: tuple[int, int, int, int],
    drift: tuple[int, int, int],
    value_e8: int,
) -> StrategyStatus:
    desired, live = change.desired, change.live
    declared, traders, unmanaged, parked = counts
    outside_band, opted_out, drift_largest_e18 = drift
    return StrategyStatus(
        name=desired.name,
        id=live.id if live else None,
        currency=desired.quoted_currency,
        traders=traders,
        declared=declared,
        unmanaged=unmanaged,
        value_minor=value_e8 // 10 ** (PRICE_DIGITS - minor_digits(desired.quoted_currency)),
        outside_band=outside_band,
        drift_largest_e18=drift_largest_e18,
        in_flight=tuple(
            (operation.id, operation.type, operation.status)
            for operation in (live.operations if live else ())
            if not operation.terminal
        ),
        parked=parked,
        problem=live.problem if live else "",
        outside_opted_out=opted_out,
        weights=desired.targets[0].provenance,
    )


def _counts(changes: Changes, live: Live) -> dict[str, tuple[int, int, int, int]]:
    """Per Strategy: declared participants, Traders, unmanaged Traders, parked participants."""
    space = changes.managed.workspace
    names = [(c.desired.name, c.live.id if c.live else None) for c in changes.strategies]
    strategies = space.table(
        "strategy_ids",
        {"strategy": "VARCHAR", "strategy_id": "VARCHAR"},
        list(zip(*names, strict=True)),
    )
    return {
        strategy: (declared, traders, unmanaged, parked)
        for strategy, declared, traders, unmanaged, parked in space.rows(
            f"""
            WITH held AS (
                SELECT names.strategy, live.participant_code, live.trader_id, live.parked
                FROM {live.rows} AS live JOIN {strategies} AS names USING (strategy_id)
            )
            SELECT strategy,
                count(*) FILTER (managed.cohort IS NOT NULL),
                count(held.trader_id),
                count(held.trader_id) FILTER (managed.cohort IS NULL),
                count(held.parked) FILTER (
                    held.parked NOT IN ('trader_not_enrolled', 'trader_already_enrolled'))
            FROM held FULL JOIN {changes.managed} AS managed USING (strategy, participant_code)
            GROUP BY strategy ORDER BY ALL
            """
        )
    }
