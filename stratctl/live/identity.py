"""Which Strategy is which, and which Operations are ours: recomputed, never remembered.

A Strategy is found by the id of its create call, which the provider keeps for good, and an
Operation by recomputing the ids of the slots of our chain. The journal must agree with both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stratctl.core.slots import call_id, create_id
from stratctl.core.state import Booked, BookedOperation, DesiredStrategy, LiveOperation
from stratctl.live.wire import OperationRecord, StrategyRecord

MISSES_MAX = 16
"""How far past the highest slot that is found we look for another."""

STATUS_RANK = {
    "validating": 0,
    "pricing": 1,
    "settling": 2,
    "settled": 3,
    "skipped": 3,
    "failed": 3,
}
"""The documented order of statuses. An unknown status has no rank and proves nothing."""


@dataclass(frozen=True, slots=True)
class Match:
    """A Strategy that is declared or bound in the journal, and its record at the provider."""

    name: str
    record: StrategyRecord | None
    """None when the provider does not list it though it must."""
    bound_id: str
    """The provider's id that the journal or the declaration names; empty when neither does."""
    problem: str = ""


def match_strategies(
    realm: str,
    declared: Sequence[DesiredStrategy],
    booked: Booked,
    records: Sequence[StrategyRecord],
) -> tuple[Match, ...]:
    """Every Strategy that is declared or bound, ascending by name; not those to be created.

    A duplicate or a disagreement becomes the Match's problem: it stops that Strategy, not others.
    """
    bound = dict(booked.strategy_ids)
    by_name = {strategy.name: strategy for strategy in declared}
    renamed = {old for strategy in declared for old in strategy.previously} - by_name.keys()
    found = (
        _match(realm, name, by_name.get(name), bound, records)
        for name in sorted((bound.keys() | by_name.keys()) - renamed)
    )
    matches = [match for match in found if match is not None]
    claims: dict[str, list[str]] = {}
    for match in matches:
        if match.record is not None and match.name in by_name:
            claims.setdefault(match.record.id, []).append(match.name)
    return tuple(
        _alone(match, claims)
        for match in matches
        # A former name that only the journal still knows is not a Strategy of its own.
        if match.name in by_name or match.record is None or match.record.id not in claims
    )


def _alone(match: Match, claims: Mapping[str, Sequence[str]]) -> Match:
    """Two declared Strategies that are one would take each other's slots: neither may act."""
    names = claims.get(match.record.id, ()) if match.record is not None else ()
    if match.problem or match.name not in names or len(names) == 1:
        return match
    assert match.record is not None
    problem = f"E_STRATEGY_DUPLICATE: {match.record.id} is {' and '.join(names)}"
    return replace(match, problem=problem)


def _match(
    realm: str,
    name: str,
    declared: DesiredStrategy | None,
    bound: dict[str, str],
    records: Sequence[StrategyRecord],
) -> Match | None:
    names = (name, *(declared.previously if declared else ()))
    create_ids = {create_id(realm, each) for each in names}
    adopted = declared.provider_id.lower() if declared and declared.provider_id else ""
    bound_ids = {bound[each] for each in names if each in bound} | ({adopted} if adopted else set())
    candidates = {
        record.id: record
        for record in records
        if record.request_id in create_ids or record.id in bound_ids
    }
    must_be = min(bound_ids, default="")
    if not candidates:
        if not must_be:
            return None
        return Match(name, None, must_be, f"E_STRATEGY_MISSING: {must_be} is not listed")
    ids = sorted(candidates.keys() | bound_ids)
    record = candidates.get(must_be) or candidates[min(candidates)]
    if len(ids) > 1:
        return Match(name, record, must_be, f"E_STRATEGY_DUPLICATE: {name} is {' and '.join(ids)}")
    if declared and record.quoted_currency != declared.quoted_currency:
        what = f"{record.quoted_currency or 'nothing'}, declared is {declared.quoted_currency}"
        return Match(name, record, must_be, f"E_STRATEGY_CURRENCY: it is quoted in {what}")
    return Match(name, record, must_be)


def missing_strategies(matches: Iterable[Match]) -> str:
    """Why the list of Strategies may be stale; empty when nothing speaks for it."""
    return next((match.problem for match in matches if match.record is None), "")


@dataclass(frozen=True, slots=True)
class Chain:
    """A Strategy's Operations, oldest first, with the slots of ours."""

    operations: tuple[LiveOperation, ...]
    problem: str = ""


def assign_slots(
    realm: str, strategy_id: str, records: Sequence[OperationRecord], open_slots: Iterable[int] = ()
) -> Chain:
    """Recompute the ids of slots 1, 2, … and recognise our Operations by them.

    A hole below the highest slot cannot come about while slots are used in order, so it is a
    problem, unless the journal holds an open intent for it (``open_slots``).
    """
    by_request = {record.request_id: record for record in records if record.request_id}
    slots: dict[str, int] = {}
    slot = highest = 0
    while slot < highest + MISSES_MAX:
        slot += 1
        record = by_request.get(call_id(realm, strategy_id, slot))
        if record is not None:
            slots[record.id] = highest = slot
    holes = sorted(set(range(1, highest)) - set(slots.values()) - set(open_slots))
    problem = f"E_CHAIN_GAP: slot {holes[0]} is missing below slot {highest}" if holes else ""
    return Chain(_oldest_first(records, slots), problem)


def _oldest_first(
    records: Sequence[OperationRecord], slots: dict[str, int]
) -> tuple[LiveOperation, ...]:
    """By creation time. It has whole seconds, so that within one our own slots decide."""
    operations = (live_operation(record, slots.get(record.id)) for record in records)
    return tuple(sorted(operations, key=lambda o: (o.created_at, o.slot or 0, o.id)))


def live_operation(record: OperationRecord, slot: int | None) -> LiveOperation:
    """The shared word for an Operation."""
    return LiveOperation(
        id=record.id,
        request_id=record.request_id,
        type=record.type,
        status=record.status,
        status_reason=record.status_reason,
        allocations=record.allocations or (),
        created_at=record.created_at,
        slot=slot,
    )


def staleness(records: Sequence[OperationRecord], committed: Iterable[BookedOperation]) -> str:
    """Why a list of Operations may be behind what the journal knows; empty when it is not."""
    by_id = {record.id: record for record in records}
    by_request = {record.request_id: record for record in records if record.request_id}
    for operation in committed:
        what = f"slot {operation.slot} is committed as {operation.operation_id}"
        listed = by_request.get(operation.request_id) or by_id.get(operation.operation_id)
        if listed is None:
            return f"E_STALE_READ: {what} and not listed"
        if operation.operation_id and listed.id != operation.operation_id:
            return f"E_OPERATION_DIVERGED: {what} and listed as {listed.id}"
        if operation.done and STATUS_RANK.get(listed.status, 3) < 3:
            return f"E_STALE_READ: {what}, is done, and is listed as {listed.status}"
    return ""


def went_backwards(before: Sequence[OperationRecord], after: Sequence[OperationRecord]) -> str:
    """Why two reads of the same Operations disagree; empty when time only went forward."""
    now = {record.id: record for record in after}
    for old in before:
        new = now.get(old.id)
        if new is None:
            return f"E_STALE_READ: operation {old.id} was listed and no longer is"
        old_rank, new_rank = STATUS_RANK.get(old.status), STATUS_RANK.get(new.status)
        if old_rank is None or new_rank is None or old.status == new.status:
            continue
        if new_rank < old_rank:
            return f"E_STALE_READ: operation {old.id} went from {old.status} to {new.status}"
        if new_rank == old_rank:
            return f"E_TERMINAL_CONFLICT: operation {old.id} was {old.status} and is {new.status}"
    return ""
