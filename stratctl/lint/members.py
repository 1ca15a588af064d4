"""Cohorts without anybody, as far as the provider knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.documents import warning

if TYPE_CHECKING:
    from stratctl.core.settings import Configuration
    from stratctl.core.state import Live
    from stratctl.documents import Documents


def cohorts_of_nobody(
    documents: Documents, configuration: Configuration, live: Live
) -> Iterator[Diagnostic]:
    """Cohorts none of whose participants the platform has, and live ones that select no Trader."""
    places = {
        (members.read.document.strategy, members.read.document.name): members.read.span
        for members in documents.cohorts
    }
    yield from _strangers(configuration, live, places)
    yield from _empty_live(configuration, live)


def _strangers(
    configuration: Configuration, live: Live, places: dict[tuple[str, str], Span]
) -> Iterator[Diagnostic]:
    if live.participants is None:
        return
    rows = configuration.desired.rows
    platform = configuration.environment.platform_code
    people = live.participants.copied_to(rows.workspace)
    for strategy, cohort, count in rows.workspace.rows(
        f"""
        SELECT strategy, cohort, count(*)
        FROM {rows} AS named LEFT JOIN {people} AS known USING (participant_code)
        GROUP BY strategy, cohort HAVING count(known.standing) = 0 ORDER BY ALL
        """
    ):
        detail = f"{cohort} names {count:,}, and {platform} has none of them"
        hint = "check the codes, and platform_code of the environment"
        yield warning("W_NO_MEMBERS", detail, places.get((strategy, cohort)), hint)


def _empty_live(configuration: Configuration, live: Live) -> Iterator[Diagnostic]:
    """What does not exist yet selects nobody for a good reason."""
    ids = {strategy.name: strategy.id for strategy in live.strategies}
    rows = configuration.desired.rows
    traders = live.rows.copied_to(rows.workspace)
    for strategy in configuration.desired.strategies:
        cohort = strategy.live_cohort
        if cohort is None or strategy.name not in ids:
            continue
        (count,) = rows.workspace.one(
            f"""
            SELECT count(*) FROM {traders} AS trader
            WHERE strategy_id = $1 AND trader_id IS NOT NULL AND NOT coalesce(exited, false)
              AND NOT EXISTS (
                FROM {rows} AS named
                WHERE named.strategy = $2 AND named.participant_code = trader.participant_code)
            """,
            [ids[strategy.name], strategy.name],
        )
        if not count:
            detail = f"{cohort.cohort} selects no Trader of {strategy.name}"
            hint = "other cohorts name them all, or nobody is enrolled"
            yield warning("W_NO_MEMBERS", detail, cohort.span, hint)
