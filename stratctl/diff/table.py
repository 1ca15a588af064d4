"""Participants: one join of desired and live, its SQL beside the function that runs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from stratctl.core.change import CHANGE_ROWS, REMOVED_ROWS
from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.errors import InputError
from stratctl.core.money import format_amount
from stratctl.core.state import LIVE_ROWS
from stratctl.core.tables import Table, Workspace
from stratctl.core.words import count

if TYPE_CHECKING:
    from stratctl.core.change import StrategyChange
    from stratctl.core.state import Live

SHOWN_MAX = 100
"""How many rows of one kind of mistake are listed; the rest are counted."""

_DECLARED = {
    "strategy": "VARCHAR",
    "strategy_id": "VARCHAR",
    "target": "INTEGER",
    "target_text": "VARCHAR",
    "rebalance_on": "VARCHAR",
    "epoch": "INTEGER",
    "held": "BOOLEAN",
    "problem": "VARCHAR",
}

_NAMED_LIVE_ROWS = {"strategy": "VARCHAR", **LIVE_ROWS}
"""Live rows of the Strategies that we know, each with our name for its own."""

_COMPARED_ROWS = {
    **CHANGE_ROWS,
    "is_managed": "BOOLEAN",
    "is_homeless": "BOOLEAN",
    "was_managed": "BOOLEAN",
    "has_money": "BOOLEAN",
    "backwards": "BOOLEAN",
    "contributed_minor": "BIGINT",
    "counted_in_minor": "BIGINT",
    "withdrawn_minor": "BIGINT",
    "counted_out_minor": "BIGINT",
    "tolerance_minor": "BIGINT",
}
"""Whoever differs in anything, and whoever is live and not managed.
``is_homeless``: of a Strategy or target that nothing declares. ``was_managed``: a target of ours
was satisfied for it. ``has_money``: some of ours may be in the Strategy. ``backwards``: a declared
total is lower than what has moved."""

_PAIRED = """
SELECT
    named.*, declared.strategy_id, declared.target_text, declared.rebalance_on,
    declared.epoch, declared.problem,
    named.held OR declared.held AS on_hold,
    live.trader_id, live.trader_updated_at, live.auto_rebalance AS live_flag,
    coalesce(live.contributed_minor, 0) AS counted_in_minor,
    coalesce(live.withdrawn_minor, 0) AS counted_out_minor,
    coalesce(live.tolerance_minor, 0) AS tolerance_minor,
    named.manages_funding AND (
        coalesce(live.has_foreign, false) OR live.busy IS NOT DISTINCT FROM 'foreign_operation'
    ) AS touched_by_others,
    live.busy, live.parked, {standing} AS standing,
    live.target_text AS live_target_text,
    coalesce(live.target_epoch, 0) AS live_epoch,
    coalesce(live.exited, false) AS has_left,
    live.rebalanced_at, live.has_foreign,
    live.strategy AS live_strategy, live.participant_code AS live_code,
    named.strategy IS NOT NULL AS is_managed
FROM {managed} AS named
FULL JOIN {live} AS live
  ON live.strategy = named.strategy AND live.participant_code = named.participant_code
LEFT JOIN {declared} AS declared
  ON declared.strategy = named.strategy AND declared.target = named.target
{platform}
"""

_JUDGED = """
WITH paired AS ({paired}),
measured AS (
    SELECT *,
        CASE WHEN manages_funding AND contributed_minor - counted_in_minor > tolerance_minor
             THEN contributed_minor - counted_in_minor ELSE 0 END AS more_in_minor,
        CASE WHEN manages_funding AND withdrawn_minor - counted_out_minor > tolerance_minor
             THEN withdrawn_minor - counted_out_minor ELSE 0 END AS more_out_minor,
        -- A flag that nothing shows counts as false: nobody is rebalanced by a doubt.
        coalesce(CASE WHEN manages_flags THEN auto_rebalance ELSE live_flag END, false)
            OR overrides_flag AS rebalances,
        exited AND trader_id IS NOT NULL AND NOT has_left AS leaving,
        CASE WHEN exited THEN false ELSE auto_rebalance END AS flag
    FROM paired
),
eligible AS (
    SELECT *,
        CASE
            WHEN exited THEN 'exited'
            WHEN has_left AND more_in_minor = 0 THEN 'has_left'
            -- Nor is who the provider said is not, whatever a list shows: money enrolls it anew.
            WHEN trader_id IS NULL OR parked = 'trader_not_enrolled' AND more_in_minor > 0
            THEN 'not_enrolled'
            WHEN NOT manages_allocations THEN 'allocations_not_managed'
            WHEN rebalance_on = 'never' THEN 'never'
            WHEN NOT rebalances THEN 'auto_rebalance_false'
            -- Who is not approved may be paid out, and a rebalance would buy as well.
            WHEN standing IS NOT NULL AND more_out_minor > 0 THEN 'standing'
        END AS not_rebalanced
    FROM measured
)
SELECT *,
    manages_flags AND trader_id IS NOT NULL
        AND live_flag IS DISTINCT FROM flag AS flag_differs,
    CASE
        WHEN not_rebalanced IS NOT NULL THEN NULL
        -- Without a journal every epoch looks raised.
        WHEN live_target_text IS NULL THEN 'unknown'
        WHEN epoch > live_epoch THEN 'epoch'
        WHEN live_target_text IS DISTINCT FROM target_text THEN 'changed'
        WHEN rebalance_on = 'drift' THEN 'watch'
    END AS retarget,
    CASE
        WHEN problem <> '' THEN 'strategy_stopped'
        WHEN on_hold THEN 'hold'
        WHEN busy IS NOT NULL THEN busy
        WHEN touched_by_others THEN 'foreign_operation'
        WHEN parked IS NOT NULL
             AND parked NOT IN ('trader_not_enrolled', 'trader_already_enrolled')
        THEN 'parked'
        WHEN standing IS NOT NULL AND NOT leaving AND more_out_minor = 0
        THEN 'standing'
    END AS stopped,
    -- What a foreign operation touched is blocked until that is adopted: there the declared total
    -- is behind, not going backwards.
    manages_funding AND NOT touched_by_others
        AND (contributed_minor < counted_in_minor - tolerance_minor
             OR withdrawn_minor < counted_out_minor - tolerance_minor) AS backwards
FROM eligible
"""

_PLATFORM = "LEFT JOIN {known} AS known ON known.participant_code = named.participant_code"
_STANDING = "nullif(coalesce(known.standing, 'not_on_platform'), 'approved')"
"""A code that the platform does not list does not exist there, whatever the files say."""


@dataclass(frozen=True)
class Compared:
    """What the join of desired and live has found."""

    live: Table
    """_NAMED_LIVE_ROWS"""
    everything: Table
    """Those that differ, and those that are live and not managed."""
    rows: Table
    """CHANGE_ROWS"""
    everybody: str
    """The query that judges every managed participant."""
    counts: Counts


class Counts(NamedTuple):
    """How many participants there are of each rare kind: most plans need not look for them."""

    homeless: int = 0
    backwards: int = 0
    leaving: int = 0
    retargeted: int = 0
    stopped: int = 0
    unnamed: int = 0
    """Live and not managed."""
    unmanaged: int = 0
    """Of those the Traders."""


def participant_changes(
    managed: Table, live: Live, strategies: tuple[StrategyChange, ...]
) -> Compared:
    """Every participant, managed or live, in one join.

    Nothing joins what is the same for a whole Strategy before it: the engine would copy that for
    each participant. Raises InputError when a declared total is lower than what has moved.
    A difference within the tolerance of rebuilt figures is none: a cent that a split rounded away
    must not be sent again on every run.
    """
    space = managed.workspace
    declared = _declared(space, strategies)
    named_live = _named_live(space, live)
    paired = _PAIRED.format(
        managed=managed,
        declared=declared,
        live=named_live,
        standing="live.standing" if live.participants is None else _STANDING,
        platform="" if live.participants is None else _PLATFORM.format(known=live.participants),
    )
    judged = _JUDGED.format(paired=paired)
    compared = space.select(
        "compared",
        _COMPARED_ROWS,
        f"""
        WITH judged AS ({judged})
        SELECT
            coalesce(strategy, live_strategy) AS strategy, strategy_id,
            coalesce(participant_code, live_code) AS participant_code, cohort, target, file, line,
            trader_id, trader_updated_at,
            CASE WHEN exited THEN 0 ELSE more_in_minor END AS flow_in_minor,
            CASE WHEN exited THEN 0 ELSE more_out_minor END AS flow_out_minor,
            exited,
            leaving,
            CASE WHEN exited THEN more_in_minor ELSE 0 END AS forfeited_in_minor,
            CASE WHEN exited THEN more_out_minor ELSE 0 END AS forfeited_out_minor,
            flag,
            flag_differs,
            has_left AND NOT exited AS returns,
            coalesce(parked = 'trader_not_enrolled', false) AS enrolls_despite_trader,
            coalesce(parked = 'trader_already_enrolled', false) AS tops_up_without_trader,
            manages_membership,
            retarget,
            stopped,
            CASE stopped
                WHEN 'strategy_stopped' THEN problem
                WHEN 'parked' THEN parked || ' (to try again, acknowledge parked)'
                WHEN 'standing' THEN standing
            END AS stopped_detail,
            rebalanced_at,
            is_managed,
            is_managed AND target_text IS NULL AS is_homeless,
            live_target_text IS NOT NULL AND trader_id IS NOT NULL AND NOT has_left AS was_managed,
            counted_in_minor > 0 AND NOT has_left AND (coalesce(busy = 'pending', false)
                OR trader_id IS NOT NULL AND NOT coalesce(has_foreign, true)) AS has_money,
            backwards, contributed_minor, counted_in_minor, withdrawn_minor, counted_out_minor,
            tolerance_minor
        FROM judged
        WHERE more_in_minor > 0 OR more_out_minor > 0 OR leaving OR flag_differs
           OR retarget IS NOT NULL OR backwards OR NOT is_managed OR target_text IS NULL
        """,
    )
    counts = _counts(compared)
    assert not counts.homeless, f"{counts.homeless} participants of no declared Strategy and target"
    if counts.backwards:
        _refuse_backwards(compared, strategies)
    return Compared(
        live=named_live,
        everything=compared,
        rows=space.view(
            "changes",
            CHANGE_ROWS,
            f"SELECT {', '.join(CHANGE_ROWS)} FROM {compared} WHERE is_managed",
            of=compared,
        ),
        everybody=f"SELECT * FROM ({judged}) WHERE is_managed",
        counts=counts,
    )


def _counts(compared: Table) -> Counts:
    found = compared.workspace.rows(
        f"""
        SELECT
            count(*) FILTER (is_homeless), count(*) FILTER (backwards), count(*) FILTER (leaving),
            count(retarget), count(stopped),
            count(*) FILTER (NOT is_managed),
            count(*) FILTER (NOT is_managed AND trader_id IS NOT NULL)
        FROM {compared}
        """,
        of=compared,
    )
    return Counts(*found[0]) if found else Counts()


def undeclared(compared: Compared) -> tuple[Table, int, int]:
    """REMOVED_ROWS, how many participants were managed before, and how many Traders are unmanaged.

    Managed before means that a target of ours was satisfied for it. Unmanaged Traders are named by
    no cohort: shown, counted, never touched. Raises InputError when a participant that is removed
    from one Strategy, or would be liquidated there, enters another in the same plan: its money is
    still in the old one, so that would fund it twice. There the money counts, whatever is known of
    targets: a lost journal knows none, and a buy in flight has satisfied none yet.
    """
    space = compared.rows.workspace
    counts = compared.counts
    if counts.unnamed or counts.leaving:
        _refuse_moved(compared)
    if counts.unnamed:
        removed = space.view(
            "removed",
            REMOVED_ROWS,
            f"""
            SELECT strategy, participant_code FROM {compared.everything}
            WHERE NOT is_managed AND was_managed
            """,
        )
    else:
        removed = space.table("removed", REMOVED_ROWS)
    (managed_before,) = space.one(
        f"""
        SELECT count(*) FROM {compared.live}
        WHERE target_text IS NOT NULL AND trader_id IS NOT NULL AND NOT coalesce(exited, false)
        """
    )
    return removed, managed_before, counts.unmanaged


def _refuse_moved(compared: Compared) -> None:
    changes = compared.rows
    moved = changes.workspace.rows(
        f"""
        SELECT participant_code, former.strategy, changes.strategy, changes.file, changes.line,
            'nothing names it any more'
        FROM {compared.everything} AS former JOIN {changes} AS changes USING (participant_code)
        WHERE NOT is_managed AND (was_managed OR has_money) AND changes.flow_in_minor > 0
        UNION ALL
        SELECT participant_code, former.strategy, entered.strategy, entered.file, entered.line,
            'it is not sold yet'
        FROM {changes} AS former JOIN {changes} AS entered USING (participant_code)
        WHERE former.leaving AND former.stopped IS NULL
          AND entered.flow_in_minor > 0 AND entered.trader_id IS NULL
        ORDER BY ALL LIMIT {SHOWN_MAX}
        """,
        of=changes,
    )
    if moved:
        raise InputError(
            [
                Diagnostic(
                    code="E_PARTICIPANT_MOVED",
                    summary="a participant leaves one Strategy and enters another in one plan",
                    detail=f"{code} still holds {old}, where {why}, and would be funded in {new}",
                    hint=f"keep {code} in {old} with status: exited until that is applied,"
                    " or say previously: if the Strategy was renamed",
                    span=Span(file, line, 1),
                )
                for code, old, new, file, line, why in moved
            ]
        )


def _named_live(space: Workspace, live: Live) -> Table:
    names = space.table(
        "names",
        {"strategy": "VARCHAR", "strategy_id": "VARCHAR"},
        [[s.name for s in live.strategies], [s.id for s in live.strategies]],
    )
    return space.view(
        "named_live",
        _NAMED_LIVE_ROWS,
        f"SELECT strategy, live.* FROM {live.rows} AS live JOIN {names} USING (strategy_id)",
    )


def _declared(space: Workspace, strategies: tuple[StrategyChange, ...]) -> Table:
    """One row per (Strategy, target): what its participants should have satisfied."""
    rows = [
        (
            change.desired.name,
            change.live.id if change.live else None,
            index,
            target.vector.text,
            change.desired.rebalance_on,
            change.desired.rebalance_epoch,
            change.desired.hold,
            change.live.problem if change.live else "",
        )
        for change in strategies
        for index, target in enumerate(change.desired.targets)
    ]
    return space.table("declared", _DECLARED, list(zip(*rows, strict=True)))


def _refuse_backwards(compared: Table, strategies: tuple[StrategyChange, ...]) -> None:
    """Declared totals never go backwards: a lower one is a mistake or an old configuration."""
    backwards = compared.workspace.rows(
        f"""
        SELECT strategy, participant_code, file, line,
            contributed_minor, counted_in_minor, withdrawn_minor, counted_out_minor,
            tolerance_minor, count(*) OVER () AS total
        FROM {compared} WHERE backwards
        ORDER BY file, line, strategy, participant_code LIMIT {SHOWN_MAX}
        """,
        of=compared,
    )
    currencies = {change.desired.name: change.desired.quoted_currency for change in strategies}
    problems = []
    total = backwards[0][-1]
    for strategy, code, file, line, *figures, tolerance, _ in backwards:
        contributed, counted_in, withdrawn, counted_out = figures
        kind, declared, counted = (
            ("contributed", contributed, counted_in)
            if contributed < counted_in - tolerance
            else ("withdrawn", withdrawn, counted_out)
        )
        currency = currencies[strategy]
        problems.append(
            Diagnostic(
                code="E_DECLARED_BACKWARDS",
                summary="a declared total is lower than what has already moved",
                detail=f"{code} in {strategy}: {kind} {format_amount(declared, currency)} is"
                f" declared and {format_amount(counted, currency)} has moved or is moving",
                hint="totals only rise: to pay money back raise withdrawn; if this is an old"
                " checkout, update it",
                span=Span(file, line, 1),
            )
        )
    if total > len(problems):
        more = f"; and {count(total - len(problems), 'more row')} like it"
        problems[-1] = replace(problems[-1], detail=problems[-1].detail + more)
    raise InputError(problems)
