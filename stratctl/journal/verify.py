"""``audit verify``: the chain, and its totals computed a second time in another way.

The second fold shares no code with the first: it gathers what the journal says of each request id
and adds up at the end, where the first one goes through the entries in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from stratctl.core.errors import JournalForeign, JournalTampered
from stratctl.core.event import Abandoned, Answer, Attempt, Forfeited, Intent, Outcome
from stratctl.core.packed import asked, ended
from stratctl.core.report import AuditReport
from stratctl.core.words import count
from stratctl.journal.booked import booked_totals
from stratctl.journal.chain import read
from stratctl.journal.record import Adopted, Entry, Takeover

TOTALS = (
    "contributed_minor",
    "withdrawn_minor",
    "pending_in_minor",
    "pending_out_minor",
    "forfeited_in_minor",
    "forfeited_out_minor",
)
_PLACE = {"enroll": 0, "top_up": 0, "partial_sell": 1}

Totals = Mapping[tuple[str, str], tuple[int, ...]]
"""(strategy_id, participant_code) -> TOTALS, rows of zeros left out."""


Held = Callable[[Sequence[Entry]], tuple[tuple[str, ...], tuple[str, ...]]]
"""Entries -> (what is wrong, what was found) when they are held against heads that were kept."""


def unheld(entries: Sequence[Entry]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """There is no kept head."""
    del entries
    return (), ()


def verify(data: bytes, *, environment: str, held: Held = unheld) -> AuditReport:
    """Check a journal's bytes. What is wrong becomes a finding; nothing is raised for it."""
    try:
        chain = read(data, environment=environment)
    except (JournalTampered, JournalForeign) as error:
        return AuditReport(
            environment=environment,
            entries=0,
            head="",
            intents=0,
            outcomes=0,
            findings=(error.summary,),
        )
    first = booked_totals(chain.entries, TOTALS)
    wrong, found = held(chain.entries)
    return AuditReport(
        environment=environment,
        entries=len(chain.entries),
        head=chain.head,
        intents=sum(isinstance(entry.event, Intent) for entry in chain.entries),
        outcomes=sum(isinstance(entry.event, Outcome) for entry in chain.entries),
        findings=(*differences(first, totals_of(chain.entries)), *wrong),
        kept=found,
        opening=_opening(chain.entries),
        repaired="; ".join(
            warning.detail for warning in chain.warnings if warning.code == "W_TORN_TAIL"
        ),
    )


def _opening(entries: Sequence[Entry]) -> str:
    """Where the beginning of a journal that goes on from a lost one is from, in words."""
    for entry in entries:
        opening = entry.event.opening if isinstance(entry.event, Adopted) else None
        if opening is not None:
            return (
                f"it goes on from the signed totals of a journal that was lost, made {opening.at}"
                f" after {count(opening.entries, 'entry', 'entries')}: digest of the last"
                f" {opening.digest}, signed with the key {opening.key}"
            )
    return ""


def differences(first: Totals, second: Totals) -> list[str]:
    """Where two folds of one journal disagree, in words."""
    nothing = (0,) * len(TOTALS)
    found: list[str] = []
    for key in sorted(first.keys() | second.keys()) if first != second else ():
        pairs = zip(TOTALS, first.get(key, nothing), second.get(key, nothing), strict=True)
        found += [
            f"{key[1]} in {key[0]}: {name} is {one} in one count and {other} in the other"
            for name, one, other in pairs
            if one != other
        ]
    return found


def totals_of(entries: Sequence[Entry]) -> Totals:
    """Totals from what is said about each binding of a request id."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(TOTALS))
    calls: dict[str, list[object]] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, Forfeited):
            for code, came, went in event.rows:
                sums[event.strategy_id, code][4] += came
                sums[event.strategy_id, code][5] += went
        elif isinstance(event, Adopted):
            for row in event.rows:
                sums[event.strategy_id, row.participant_code][0] += row.contributed_minor
                sums[event.strategy_id, row.participant_code][1] += row.withdrawn_minor
        elif isinstance(event, Abandoned):
            del calls[event.request_id]
        elif isinstance(event, Takeover):
            for story in calls.values():
                story.append(event)
        elif isinstance(event, Intent | Attempt | Answer | Outcome):
            calls.setdefault(event.request_id, []).append(event)
    for story in calls.values():
        _add(story, sums)
    return {key: tuple(found) for key, found in sums.items() if any(found)}


def _add(story: list[object], sums: dict[tuple[str, str], list[int]]) -> None:
    (intent,) = (event for event in story[:1] if isinstance(event, Intent))
    outcome = next((event for event in story if isinstance(event, Outcome)), None)
    place = _PLACE.get((outcome or intent).verb.value)
    if place is None:
        return
    if outcome is not None:
        places = {"settled": place, "mixed": place + 2}
        for row in ended(outcome.rows):
            if row.result in places:
                found = sums[intent.strategy_id, row.participant_code]
                found[places[row.result]] += row.amount_minor or 0
    elif _may_have_been_carried_out(story):
        for wanted in asked(intent.rows):
            sums[intent.strategy_id, wanted.participant_code][place + 2] += wanted.amount_minor or 0


def _may_have_been_carried_out(story: list[object]) -> bool:
    tried = {event.number for event in story if isinstance(event, Attempt)}
    answers = [event for event in story if isinstance(event, Answer)]
    surely_not = {
        answer.number
        for answer in answers
        if answer.answer.value in ("refused", "access_refused", "not_found", "not_sent")
    }
    found = any(answer.answer.value in ("committed", "slot_taken") for answer in answers)
    lost = any(isinstance(event, Takeover) for event in story)
    return found or lost or bool(tried - surely_not)
