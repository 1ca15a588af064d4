"""What became of a call, participant by participant, and whether it was our call at all.

An Operation shows neither its participants nor their amounts, so its echo does not prove that the
provider carried out the body that we sent. Its Executions do: each participant exactly once, none
extra, and for buys the legs' notional amounts add up to what was sent, within one minor unit per
leg.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from stratctl.core.event import Execution, Instruction, Intent, RowOutcome, RowResult
from stratctl.core.money import QUANTITY_DIGITS, NotExact, minor_digits, truncate_units
from stratctl.core.state import OPERATION_TYPES, LiveOperation, Verb
from stratctl.core.words import count

MONEY_IN = (Verb.TOP_UP, Verb.ENROLL)
WITH_AMOUNT = (*MONEY_IN, Verb.PARTIAL_SELL)

RESULTS = {result.value: result for result in RowResult if result is not RowResult.MIXED}
"""Execution statuses after which nothing more happens. An unknown one is never terminal."""

LEG_ENDS = frozenset({"executed", "skipped", "failed"})
NO_EXECUTIONS = "no_executions"


@dataclass(frozen=True, slots=True)
class Incomplete:
    """Not everything can be seen yet. Never a result."""

    why: str


@dataclass(frozen=True, slots=True)
class Proven:
    """The provider carried out the body that was sent."""

    rows: tuple[RowOutcome, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """The provider carried out another body: these are its own figures."""

    verb: Verb
    rows: tuple[RowOutcome, ...]
    why: str


Verdict = Incomplete | Proven | Conflict


def judge(
    intent: Intent, operation: LiveOperation, executions: Sequence[Execution], *, taken: bool
) -> Verdict:
    """Compare a terminal Operation's Executions with the intent.

    ``taken``: the echo already said that the body was another one.
    """
    seen = tuple(executions)
    if len({execution.id for execution in seen}) < len(seen):
        seen = tuple(dict.fromkeys(seen))
    unclear = _unclear(intent, seen)
    if unclear:
        return Incomplete(unclear)
    asked = {row.participant_code: row.amount_minor for row in intent.rows}
    listed = {execution.participant_code for execution in seen}
    if taken:
        return _conflict(intent, operation, seen, "the echo shows another body")
    if extra := sorted(listed - asked.keys()):
        return _conflict(intent, operation, seen, f"{extra[0]} was not in the call")
    if missing := sorted(asked.keys() - listed):
        return Incomplete(
            f"{count(len(missing), 'participant')} without an Execution, the first {missing[0]}"
        )
    if intent.verb in MONEY_IN:
        for execution in seen:
            if execution.status == RowResult.SETTLED and not _adds_up(
                execution, asked[execution.participant_code] or 0, intent.currency
            ):
                why = f"the legs of {execution.participant_code} do not add up to what was sent"
                return _conflict(intent, operation, seen, why)
    rows = [_row(intent, execution, asked[execution.participant_code]) for execution in seen]
    return Proven(tuple(sorted(rows, key=lambda row: row.participant_code)))


def nobody(intent: Intent) -> Proven:
    """An Operation that ended without any Execution moved nothing for anybody."""
    amount_minor = 0 if intent.verb in WITH_AMOUNT else None
    return Proven(
        tuple(
            RowOutcome(row.participant_code, RowResult.REJECTED, NO_EXECUTIONS, "", amount_minor)
            for row in intent.rows
        )
    )


def _unclear(intent: Intent, executions: Sequence[Execution]) -> str:
    """Why the Executions cannot be judged yet; empty when they can."""
    codes = [execution.participant_code for execution in executions]
    if not codes:
        return "no Executions are listed"
    if len(set(codes)) != len(codes):
        return "a participant has two Executions"
    for execution in executions:
        who = execution.participant_code
        if execution.status not in RESULTS:
            return f"the Execution of {who} is {execution.status or 'without a status'}"
        if execution.status != RowResult.SETTLED:
            continue
        for leg in execution.instructions:
            if leg.status not in LEG_ENDS:
                return f"the {leg.asset} leg of {who} is {leg.status or 'without a status'}"
            if intent.verb in MONEY_IN and not _tells_money(leg):
                return f"the {leg.asset} leg of {who} is a {leg.side!r} by {leg.amount_type!r}"
            if leg.amount_type == "notional" and _notional_e24(leg) is None:
                return f"the {leg.asset} leg of {who} has no exact amount"
        if intent.verb in MONEY_IN and not execution.instructions:
            return f"the settled Execution of {who} shows no legs"
    return ""


def _tells_money(leg: Instruction) -> bool:
    """Whether it is known what a leg spends, or that it spends nothing.

    A buy in words that nobody documented would count as nothing, and be sent once more."""
    return leg.side == "sell" or (leg.side, leg.amount_type) == ("buy", "notional")


def _adds_up(execution: Execution, sent_minor: int, currency: str) -> bool:
    """Whether the buys' notional amounts are what was sent, within one minor unit per leg."""
    unit_e24, bought_e24, buys = _unit_e24(currency), 0, 0
    for leg in execution.instructions:
        if leg.side == "buy":
            buys += 1
            bought_e24 += _exact_e24(leg.amount) or 0 if leg.amount_type == "notional" else 0
    return abs(bought_e24 - sent_minor * unit_e24) <= buys * unit_e24


def _row(intent: Intent, execution: Execution, asked_minor: int | None) -> RowOutcome:
    """One participant of our own body."""
    legs = {leg.status for leg in execution.instructions}
    result = _result(execution, legs)
    reason = execution.status_reason
    moved_minor = asked_minor
    if result in (RowResult.REJECTED, RowResult.SKIPPED):
        moved_minor = None if asked_minor is None else 0
    if result is RowResult.SETTLED and "skipped" in legs and intent.verb in MONEY_IN:
        skipped = [leg for leg in execution.instructions if leg.status == "skipped"]
        moved_minor = _executed_part(execution, skipped, asked_minor or 0, intent.currency)
        reason = "legs_skipped: " + ", ".join(sorted(leg.asset for leg in skipped))
    return RowOutcome(
        participant_code=execution.participant_code,
        result=result,
        reason=reason,
        execution_id=execution.id,
        amount_minor=moved_minor if intent.verb in WITH_AMOUNT else None,
        trade_ids=_trade_ids(execution),
    )


def _result(execution: Execution, legs: Set[str]) -> RowResult:
    """Executed and skipped legs together are settled; only failed legs are mixed.

    ``legs``: what became of them. A refusal or a skip whose legs executed all the same is mixed
    too: somebody must look.
    """
    result = RESULTS[execution.status]
    if result is RowResult.SETTLED:
        return RowResult.MIXED if "failed" in legs else result
    return RowResult.MIXED if "executed" in legs else result


def _executed_part(
    execution: Execution, skipped: Sequence[Instruction], asked_minor: int, currency: str
) -> int:
    """What was asked for without the skipped legs; what is left over stays booked, so that the
    rest is never larger than what did not move."""
    if len(skipped) == len(execution.instructions):
        return 0
    skipped_e24 = sum(_notional_e24(leg) or 0 for leg in skipped)
    return max(0, asked_minor - skipped_e24 // _unit_e24(currency))


def _conflict(
    intent: Intent, operation: LiveOperation, executions: Sequence[Execution], why: str
) -> Verdict:
    verb = OPERATION_TYPES.get(operation.type)
    if verb is None:
        return Incomplete(f"the Operation is of the unknown type {operation.type!r}")
    rows = [_figures(verb, execution, intent.currency) for execution in executions]
    return Conflict(verb, tuple(sorted(rows, key=lambda row: row.participant_code)), why)


def _figures(verb: Verb, execution: Execution, currency: str) -> RowOutcome:
    """One participant of another body, as far as the provider shows it. Amounts are rounded up."""
    result = _result(execution, {leg.status for leg in execution.instructions})
    moved_minor: int | None = None
    if verb in WITH_AMOUNT:
        ended = {"executed"} if result is RowResult.SETTLED else LEG_ENDS
        counted = [leg for leg in execution.instructions if leg.status in ended]
        moved_e24 = sum(_moved_e24(verb, leg) for leg in counted)
        moved = result in (RowResult.SETTLED, RowResult.MIXED)
        moved_minor = -(-moved_e24 // _unit_e24(currency)) if moved else 0
    return RowOutcome(
        participant_code=execution.participant_code,
        result=result,
        reason=execution.status_reason,
        execution_id=execution.id,
        amount_minor=moved_minor,
        trade_ids=_trade_ids(execution),
    )


def _moved_e24(verb: Verb, leg: Instruction) -> int:
    if verb in MONEY_IN:
        return _notional_e24(leg) or 0 if leg.amount_type == "notional" else 0
    return _exact_e24(leg.total_notional) or 0


def _notional_e24(leg: Instruction) -> int | None:
    return _exact_e24(leg.amount)


@lru_cache(maxsize=10_000)
def _exact_e24(text: str) -> int | None:
    """Each amount is looked at more than once, and many are the same."""
    try:
        return truncate_units(text, QUANTITY_DIGITS)
    except NotExact:
        return None


@lru_cache(maxsize=100)
def _unit_e24(currency: str) -> int:
    """One minor unit of the currency."""
    unit_e24: int = 10 ** (QUANTITY_DIGITS - minor_digits(currency))
    return unit_e24


def _trade_ids(execution: Execution) -> tuple[str, ...]:
    return tuple([one for leg in execution.instructions for one in leg.trade_ids])
