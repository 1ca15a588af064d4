"""What an Operation without a journal entry moved, rebuilt from its Executions.

The provider's Operations show neither participants nor amounts, and Executions show legs instead
of the requested amount, so a rebuilt figure is good to one minor unit per leg. Whatever is open or
in doubt counts in full, because a figure that is too low would send the same money again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from stratctl.core.event import Execution, Instruction
from stratctl.core.money import NotExact, minor_digits, parse_units
from stratctl.core.state import OPERATION_TYPES, LiveOperation, Verb

PENDING = "pending"
FOREIGN = "foreign_operation"
MIXED = "mixed_outcome"
_WORST_FIRST = (MIXED, PENDING, FOREIGN)

_DONE = ("settled", "skipped", "rejected")
_DEAD_LEGS = ("failed", "rejected")
_FLOW_DIGITS = 24

SELL_TOLERANCE_DIVISOR = 50
"""A sell is sized at one price and executed at another, so its requested amount is known from its
proceeds to about 2 % only. The journal knows it exactly."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one participant's Execution adds to the totals."""

    participant_code: str
    contributed_minor: int = 0
    withdrawn_minor: int = 0
    tolerance_minor: int = 0
    busy: str | None = None
    exited: bool | None = None
    """True: sold out; False: bought again; None: says nothing about it."""
    foreign: bool = False
    """An Operation that is not ours is among what is counted."""
    rebalanced_at: int | None = None
    """Unix seconds of the last rebalance of ours that traded."""


@dataclass(frozen=True, slots=True)
class Count:
    """An Operation's rows, and why its Strategy must wait when they are not all of it."""

    rows: tuple[Counted, ...]
    problem: str = ""
    rebuilt_sells: int = 0
    """Partial sells whose amount is only known from their proceeds."""


def count_operation(
    operation: LiveOperation, executions: Sequence[Execution], currency: str, *, in_flight: bool
) -> Count:
    """Count one Operation that the journal did not book.

    ``in_flight``: it was not finished throughout the read, so its participants stay busy even
    when they look settled by now.
    """
    verb = OPERATION_TYPES.get(operation.type)
    if verb is None:
        return Count((), f"E_OPERATION_TYPE: {operation.id} is of unknown type {operation.type!r}")
    problem = incompleteness(operation, executions)
    rows, sells = [], 0
    for execution in executions:
        counted = _count(execution, verb, currency)
        if counted is None:
            problem = problem or (
                f"E_OPERATION_OPAQUE: {operation.id} does not show what it moves for "
                f"{execution.participant_code}"
            )
            counted = Counted(execution.participant_code, busy=PENDING)
        busy = counted.busy or (PENDING if in_flight else None)
        if busy == PENDING and operation.slot is None:
            busy = FOREIGN
        ours = operation.slot is not None
        traded = busy is None and any(leg.status == "executed" for leg in execution.instructions)
        rebalanced = verb is Verb.REBALANCE and ours and traded
        rebalanced_at = _unix(operation.created_at) if rebalanced else None
        rows.append(replace(counted, foreign=not ours, busy=busy, rebalanced_at=rebalanced_at))
        sells += verb is Verb.PARTIAL_SELL and counted.withdrawn_minor > 0
    return Count(tuple(rows), problem, sells)


def incompleteness(operation: LiveOperation, executions: Sequence[Execution]) -> str:
    """Why these Executions may not be all of the Operation's; empty when nothing speaks for it."""
    codes = [execution.participant_code for execution in executions]
    if len(set(codes)) != len(codes):
        return f"E_EXECUTION_SET: {operation.id} lists a participant twice"
    if not operation.terminal:
        if operation.slot is not None:
            return (
                f"E_OPERATION_OPEN: slot {operation.slot} is in flight and the journal does not "
                f"know whom it concerns; wait until it is done"
            )
        if not executions:
            return f"E_OPERATION_OPEN: foreign {operation.id} does not show yet whom it concerns"
    if operation.terminal and not executions and operation.status_reason != "no_executions":
        return f"E_EXECUTION_SET: {operation.id} is {operation.status} and lists no Executions"
    return ""


def _unix(created_at: str) -> int | None:
    """A time of the provider in Unix seconds; None when it cannot be read: then nobody rests."""
    try:
        moment = datetime.fromisoformat(created_at)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def merged(counts: Iterable[Counted]) -> tuple[Counted, ...]:
    """One row per participant; ``counts`` come oldest Operation first, ascending codes go out."""
    totals: dict[str, Counted] = {}
    for new in counts:
        old = totals.get(new.participant_code, Counted(new.participant_code))
        totals[new.participant_code] = Counted(
            new.participant_code,
            contributed_minor=old.contributed_minor + new.contributed_minor,
            withdrawn_minor=old.withdrawn_minor + new.withdrawn_minor,
            tolerance_minor=old.tolerance_minor + new.tolerance_minor,
            foreign=old.foreign or new.foreign,
            busy=next((why for why in _WORST_FIRST if why in (old.busy, new.busy)), None),
            exited=old.exited if new.exited is None else new.exited,
            rebalanced_at=old.rebalanced_at if new.rebalanced_at is None else new.rebalanced_at,
        )
    return tuple(totals[code] for code in sorted(totals))


def _count(execution: Execution, verb: Verb, currency: str) -> Counted | None:
    """One participant's part; None when its amount cannot be told.

    ====================  =============================  =====================================
    Execution             its legs                       counts
    ====================  =============================  =====================================
    rejected or skipped   none executed                  nothing
    settled               executed, maybe some skipped   what was executed
    settled               any failed or unfinished       in full, busy: a person decides
    rejected or skipped   any executed                   in full, busy: a person decides
    anything else         any                            in full, busy: not finished
    ====================  =============================  =====================================
    """
    code, legs = execution.participant_code, execution.instructions
    executed = [leg for leg in legs if leg.status == "executed"]
    if execution.status not in _DONE:
        return _flow(code, verb, currency, legs, busy=PENDING)
    if execution.status != "settled":
        if executed:
            return _flow(code, verb, currency, legs, busy=MIXED)
        nothing_held = verb is Verb.LIQUIDATE and execution.status_reason == "no_holdings"
        return Counted(code, exited=True if nothing_held else None)
    if any(leg.status not in ("executed", "skipped") for leg in legs):
        return _flow(code, verb, currency, legs, busy=MIXED)
    if legs and not executed:
        return Counted(code)
    return _flow(code, verb, currency, executed, busy=None)


_BUYS = (Verb.ENROLL, Verb.TOP_UP)


def _flow(
    code: str, verb: Verb, currency: str, legs: Sequence[Instruction], *, busy: str | None
) -> Counted | None:
    done = busy is None
    if verb in _BUYS:
        amount_minor = _bought(legs, currency)
        if amount_minor is None:
            return None
        exited = False if done and legs else None
        return Counted(code, amount_minor, tolerance_minor=len(legs), busy=busy, exited=exited)
    if verb is Verb.PARTIAL_SELL:
        amount_minor = _sold(legs, currency)
        if amount_minor is None:
            return None
        tolerance = len(legs) + amount_minor // SELL_TOLERANCE_DIVISOR
        return Counted(code, withdrawn_minor=amount_minor, tolerance_minor=tolerance, busy=busy)
    return Counted(code, busy=busy, exited=True if done and verb is Verb.LIQUIDATE else None)


def _bought(legs: Sequence[Instruction], currency: str) -> int | None:
    """The fiat that buys spend, rounded up; None when a leg does not say."""
    if any(leg.side != "buy" or leg.amount_type != "notional" for leg in legs):
        return None
    return _sum_minor([leg.amount for leg in legs], currency) if legs else None


def _sold(legs: Sequence[Instruction], currency: str) -> int | None:
    """The proceeds of executed sells: the nearest to the requested amount that is shown.

    Open sells show no proceeds yet. They count as 0 and their row is busy until they do.
    """
    return _sum_minor([leg.total_notional for leg in legs if leg.total_notional], currency)


def _sum_minor(amounts: Sequence[str], currency: str) -> int | None:
    try:
        units = sum(parse_units(amount, _FLOW_DIGITS) for amount in amounts)
    except NotExact:
        return None
    unit: int = 10 ** (_FLOW_DIGITS - minor_digits(currency))
    return -(-units // unit)
