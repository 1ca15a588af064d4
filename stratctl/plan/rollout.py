"""Stages of a rollout: whom a declared change reaches first, and who waits for them.

Who belongs to a stage is decided by a salted hash of the participant code and by nothing else: the
hash, read as a fraction of 1, lies below the stage's share. So stages are nested, the last one is
everybody, and neither holdings nor the order of files make anybody a guinea pig.

A change goes on to the next stage when everybody in this one that could be rebalanced was, the last
of them soaked for a while, and the provider did not refuse too many. All of that is read from live
and the journal. Drift is not a declared change: it is repaired for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stratctl.core.change import CHANGE_ROWS
from stratctl.core.money import format_ratio
from stratctl.core.plan import BLOCKED_ROWS

if TYPE_CHECKING:
    from stratctl.core.change import Changes
    from stratctl.core.settings import Rollout
    from stratctl.core.state import Live
    from stratctl.core.tables import Table
    from stratctl.plan.rebalance import Rebalances
    from stratctl.plan.terms import Terms

HASH_DIGITS = 15
"""Hexadecimal digits of the hash that are compared: 60 bits."""

DECLARED = "('changed', 'epoch', 'unknown')"
"""SQL: what goes by stages. Where the last target is not known, it may have changed."""

_STAGE_ROWS = {
    "strategy": "VARCHAR",
    "participant_code": "VARCHAR",
    "stage": "INTEGER",
}

_PROGRESS_ROWS = {
    "strategy": "VARCHAR",
    "stage": "INTEGER",
    "outstanding": "BIGINT",
    "reached": "BIGINT",
    "refused": "BIGINT",
    "latest": "BIGINT",
}

_PROGRESS = """
-- Per Strategy and stage: who is still to come, who was reached, who was refused, and when the last
-- one was rebalanced.
SELECT staged.strategy, stage,
    count(*) FILTER (waits.participant_code IS NOT NULL
        OR change.stopped = 'pending' AND change.retarget IN {declared}) AS outstanding,
    count(*) FILTER (live.rebalanced_at IS NOT NULL AND live.target_text = targets.target_text
        AND live.target_epoch >= targets.epoch) AS reached,
    count(*) FILTER (change.stopped = 'parked' AND change.retarget IN {declared}) AS refused,
    max(live.rebalanced_at) FILTER (live.target_text = targets.target_text
        AND live.target_epoch >= targets.epoch) AS latest
FROM {staged} AS staged
JOIN {managed} AS managed USING (strategy, participant_code)
JOIN {targets} AS targets USING (strategy, target)
JOIN {names} AS names USING (strategy)
JOIN {live} AS live USING (strategy_id, participant_code)
LEFT JOIN {changes} AS change USING (strategy, participant_code)
LEFT JOIN {waits} AS waits USING (strategy, participant_code)
GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Staged:
    """The changes without those that wait for an earlier stage, and who they are."""

    changes: Changes
    blocked: Table
    """BLOCKED_ROWS"""


def staged(
    changes: Changes, live: Live, terms: Terms, rollout: Rollout, rebalances: Rebalances
) -> Staged:
    """Hold back whoever stands in a stage that is not reached.

    ``rebalances``: who would be rebalanced if everybody were reached at once.
    """
    space = changes.rows.workspace
    waits = space.select(
        "declared_changes",
        {"strategy": "VARCHAR", "participant_code": "VARCHAR"},
        f"""
        SELECT strategy, participant_code
        FROM {rebalances.sent} JOIN {changes.rows} AS change USING (strategy, participant_code)
        WHERE change.retarget IN {DECLARED}
        """,
    )
    stages = space.select(
        "stages",
        _STAGE_ROWS,
        f"SELECT strategy, participant_code, {stage_sql(rollout)} AS stage FROM {changes.managed}",
    )
    limits = _limits(changes, live, terms, rollout, stages, waits)
    reached = space.table(
        "stages_reached",
        {"strategy": "VARCHAR", "reached": "INTEGER", "why": "VARCHAR"},
        list(zip(*limits, strict=True)),
    )
    beyond = f"""
        (SELECT strategy, participant_code, stage, why
         FROM {stages} JOIN {reached} USING (strategy) WHERE stage > reached)
    """
    columns = ", ".join(
        f"CASE WHEN stage IS NULL OR retarget NOT IN {DECLARED} THEN retarget END AS retarget"
        if column == "retarget"
        else f"change.{column}"
        for column in CHANGE_ROWS
    )
    rows = space.select(
        "changes_staged",
        CHANGE_ROWS,
        f"""
        SELECT {columns} FROM {changes.rows} AS change
        LEFT JOIN {beyond} AS beyond USING (strategy, participant_code)
        """,
    )
    blocked = space.select(
        "stages_blocked",
        BLOCKED_ROWS,
        f"""
        SELECT strategy, participant_code, 'rollout' AS reason,
            'in stage ' || stage || ' of {len(rollout.stages)}; ' || why AS detail,
            change.file, change.line, NULL::VARCHAR AS waiting_since
        FROM {waits} JOIN {beyond} AS beyond USING (strategy, participant_code)
        JOIN {changes.rows} AS change USING (strategy, participant_code)
        """,
    )
    return Staged(replace(changes, rows=rows), blocked)


def stage_sql(rollout: Rollout) -> str:
    """SQL: the first stage, from 1, that a participant belongs to.

    Hexadecimal text of one length is ordered like the numbers it stands for.
    """
    salt = rollout.salt.replace("'", "''")
    digits = f"left(sha256('{salt}' || chr(10) || participant_code), {HASH_DIGITS})"
    cases = "".join(
        f" WHEN {digits} < '{threshold(share.numerator, share.denominator)}' THEN {number}"
        for number, share in enumerate(rollout.stages[:-1], start=1)
    )
    return f"CASE{cases} ELSE {len(rollout.stages)} END" if cases else "1"


def threshold(numerator: int, denominator: int) -> str:
    """The smallest hash that lies outside a share below 1."""
    return format(-(-(numerator * 16**HASH_DIGITS) // denominator), f"0{HASH_DIGITS}x")


def _limits(
    changes: Changes, live: Live, terms: Terms, rollout: Rollout, stages: Table, waits: Table
) -> list[tuple[str, int, str]]:
    """(Strategy, the last stage that is reached, why not the next) where somebody waits."""
    space = changes.rows.workspace
    names = [(one.desired.name, one.live.id) for one in changes.strategies if one.live]
    progress = space.select(
        "stages_progress",
        _PROGRESS_ROWS,
        _PROGRESS.format(
            declared=DECLARED,
            staged=stages,
            managed=changes.managed,
            targets=terms.targets,
            names=space.table(
                "names",
                {"strategy": "VARCHAR", "strategy_id": "VARCHAR"},
                list(zip(*names, strict=True)),
            ),
            live=live.rows,
            changes=changes.rows,
            waits=waits,
        ),
    ).rows()
    now = int(datetime.fromisoformat(live.as_of).timestamp())
    by_strategy: dict[str, list[_Progress]] = {name: [] for name, _ in names}
    for name, *figures in progress:
        by_strategy[name].append(_Progress(*figures))
    found = []
    for name, parts in by_strategy.items():
        reached, why = _reached(rollout, parts, now)
        if reached < len(rollout.stages):
            found.append((name, reached, why))
    return found


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far one stage has come, without the stages inside it."""

    stage: int
    outstanding: int
    reached: int
    refused: int
    latest: int | None


def _reached(rollout: Rollout, parts: list[_Progress], now: int) -> tuple[int, str]:
    """The last stage that a change reaches now, and why not the next."""
    for stage in range(1, rollout.stage):
        inside = [part for part in parts if part.stage <= stage]
        refused = sum(part.refused for part in inside)
        tried = refused + sum(part.reached for part in inside)
        if refused > rollout.halt_on_rejects * tried:
            limit = format_ratio(rollout.halt_on_rejects)
            return stage, f"halted: {refused} of {tried} were refused, the limit is {limit}"
        outstanding = sum(part.outstanding for part in inside)
        if outstanding:
            return stage, f"{outstanding} of stage {stage} come first"
        latest = max((part.latest or 0 for part in inside), default=0)
        soaked = latest + rollout.soak_minutes * 60
        if soaked > now:
            return stage, f"stage {stage} soaks until {_utc(soaked)}"
    return rollout.stage, f"stage {rollout.stage} is the last one allowed"


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
