"""Why a plan does what it does: read from the tables that planned, for a few people or calls.

Nothing is decided here. Who is asked about is looked up in the facts of the diff, in the judged
flows and rebalances and in the rows of the plan; only what they hold is measured again, by the
planner's own queries, because a plan measures nobody whom it leaves alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from stratctl.core.errors import UsageError
from stratctl.core.explanation import Explained, Explanation
from stratctl.plan.explain.calls import explained_call
from stratctl.plan.explain.people import People

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratctl.core.tables import Table
    from stratctl.plan.workings import Workings

__all__ = ["explained"]


def explained(workings: Workings, participants: Sequence[str], calls: Sequence[int]) -> Explained:
    """Everybody and every call that is asked about, in the order of asking.

    Raises UsageError for a participant that nobody knows and for a call that the plan has not.
    """
    if not (participants or calls):
        return Explained((), ())
    asked = tuple(dict.fromkeys(participants))
    found: dict[str, list[Explanation]] = defaultdict(list)
    for one in People(workings, asked).everybody():
        found[one.participant_code].append(one)
    for code in asked:
        if code not in found:
            raise _unknown(workings, code)
    numbered = {call.number: call for call in workings.plan.calls}
    for number in calls:
        if number not in numbered:
            has = f"it has calls 1 to {len(numbered)}" if numbered else "it has none"
            raise UsageError(f"the plan has no call {number}", hint=has)
    return Explained(
        participants=tuple(one for code in asked for one in found[code]),
        calls=tuple(explained_call(workings, numbered[number]) for number in dict.fromkeys(calls)),
    )


def _unknown(workings: Workings, code: str) -> UsageError:
    """Nobody has this code; somebody may have one like it."""
    tables: list[Table] = [workings.changes.managed, workings.live.rows]
    if workings.live.participants is not None:
        tables.append(workings.live.participants)
    every = " UNION ".join(f"SELECT participant_code FROM {table}" for table in tables)
    nearest = workings.plan.rows.workspace.rows(
        f"""
        SELECT participant_code
        FROM (SELECT *, levenshtein(upper(participant_code), upper($1)) AS edits FROM ({every}))
        WHERE edits <= greatest(1, length($1) // 3) ORDER BY edits, participant_code LIMIT 1
        """,
        [code],
    )
    hints = [f"did you mean {near}?" for (near,) in nearest]
    if not workings.plan.complete:
        hints.append("this plan leaves out some Strategies, and whoever stands only there")
    return UsageError(
        f"no cohort names {code}, and no Strategy that was read has it",
        hint=" ".join(hints) or "codes are written as the provider writes them, such as CUST01",
    )
