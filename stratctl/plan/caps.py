"""Caps: the most money that one participant, one call, one plan or one day may move.

Money in is what enrolments and top-ups declare, money out what partial sells declare, both exact.
They are measured one beside the other and each currency by itself: nothing is netted. What a
liquidation sells is an estimate, and the guard on liquidations counts those instead.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from stratctl.core.money import format_amount, minor_digits
from stratctl.core.state import Verb
from stratctl.core.words import count
from stratctl.plan.guards import Measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stratctl.core.plan import Call
    from stratctl.core.tables import Table

_WAYS = {
    Verb.ENROLL: "into the market",
    Verb.TOP_UP: "into the market",
    Verb.PARTIAL_SELL: "out of the market",
}
_WAY_ROWS = {
    "call": "INTEGER",
    "currency": "VARCHAR",
    "way": "VARCHAR",
    "cap_minor": "HUGEINT",
}
_MOVED_ROWS = {
    "currency": "VARCHAR",
    "way": "VARCHAR",
    "participant_code": "VARCHAR",
    "moved_minor": "HUGEINT",
    "cap_minor": "HUGEINT",
}
_Way = tuple[str, str]
"""(currency, way)"""


def cap_measures(
    caps: Mapping[str, Fraction],
    calls: Sequence[Call],
    rows: Table,
    sent_lately: Sequence[tuple[str, int, int]],
) -> Iterator[Measure]:
    """What the caps that are set limit, measured on the calls of a plan.

    ``caps``: by rule, in whole currency units; ``rows``: PLAN_ROWS; ``sent_lately``: (currency,
    money in, money out) in minor units of the day before. What a plan does not move at all is not
    measured: a day that is full stops no plan that adds nothing to it.
    """
    moving = [call for call in calls if call.verb in _WAYS]
    if not moving:
        return
    if "cap_participant" in caps:
        yield from _participants(caps["cap_participant"], moving, rows)
    if "cap_call" in caps:
        yield from _calls(caps["cap_call"], moving)
    planned: dict[_Way, int] = {}
    for call in moving:
        way = (call.currency, _WAYS[call.verb])
        planned[way] = planned.get(way, 0) + call.amount_minor
    for way, minor in sorted(planned.items()):
        if "cap_run" in caps:
            yield _money("cap_run", way, minor, "by this plan")
    before = {
        (currency, way): minor
        for currency, *both in sent_lately
        for way, minor in zip(dict.fromkeys(_WAYS.values()), both, strict=True)
    }
    for way, minor in sorted(planned.items()):
        if "cap_day" in caps:
            sent = before.get(way, 0)
            parts = [format_amount(part, way[0]) for part in (sent, minor)]
            what = f"in 24 hours: {parts[0]} sent before, {parts[1]} by this plan"
            yield _money("cap_day", way, sent + minor, what)


def _participants(cap: Fraction, calls: Sequence[Call], rows: Table) -> Iterator[Measure]:
    """The most that one participant moves, over all Strategies."""
    said = [
        (call.number, call.currency, _WAYS[call.verb], _minor(cap, call.currency)) for call in calls
    ]
    space = rows.workspace
    ways = space.table("ways", _WAY_ROWS, list(zip(*said, strict=True)))
    people = space.select(
        "people_moved",
        _MOVED_ROWS,
        f"""
        SELECT currency, way, participant_code, sum(amount_minor)::HUGEINT AS moved_minor, cap_minor
        FROM {rows} JOIN {ways} USING (call) GROUP BY ALL
        """,
    )
    for currency, way, minor, above, code in space.rows(
        f"""
        WITH most AS (
            SELECT currency, way, max(moved_minor) AS moved_minor,
                count(*) FILTER (moved_minor > cap_minor) AS above
            FROM {people} GROUP BY ALL
        )
        SELECT currency, way, moved_minor, above, min(participant_code)
        FROM most JOIN {people} USING (currency, way, moved_minor) GROUP BY ALL ORDER BY ALL
        """
    ):
        what = f"for {code}, the most for one participant; {above} above the cap"
        yield _money("cap_participant", (currency, way), minor, what)


def _calls(cap: Fraction, calls: Sequence[Call]) -> Iterator[Measure]:
    """The most that one call moves."""
    for way in sorted({(call.currency, _WAYS[call.verb]) for call in calls}):
        own = [call for call in calls if (call.currency, _WAYS[call.verb]) == way]
        largest = max(own, key=lambda call: (call.amount_minor, -call.number))
        above = sum(call.amount_minor > _minor(cap, call.currency) for call in own)
        people = count(largest.rows, "participant")
        what = f"by call {largest.number} ({people}), the most by one call; {above} above the cap"
        yield _money("cap_call", way, largest.amount_minor, what)


def _minor(cap: Fraction, currency: str) -> int:
    """The most whole minor units that are not above the cap."""
    scale: int = 10 ** minor_digits(currency)
    return floor(cap * scale)


def _money(rule: str, way: _Way, minor: int, what: str) -> Measure:
    currency, direction = way
    return Measure(
        rule=rule,
        value=Fraction(minor, 10 ** minor_digits(currency)),
        text=format_amount(minor, currency),
        subject=f"{currency} {direction} {what}",
    )
