"""Sentences of explanations, the same in every format: why something happens, or why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stratctl.core.diagnostic import Span
from stratctl.core.explanation import (
    Answer,
    Declaration,
    Explanation,
    GuardCheck,
    Holdings,
    Position,
    Rule,
    share_e18,
)
from stratctl.core.money import WEIGHT_ONE_E18
from stratctl.core.state import Verb
from stratctl.view.text import money, place, safe

BECAUSE: Mapping[str, str] = {
    # flows and exits
    "in_step": "what is declared has moved",
    "funding_not_managed": "its cohort does not manage funding",
    "membership_not_managed": "its cohort does not manage membership",
    "has_left": "it was sold in full before",
    "not_enrolled": "it is not enrolled",
    # stops
    "strategy_stopped": "nothing may be done in the Strategy now",
    "hold": "it is on hold, itself or with its cohort or Strategy (hold: true)",
    "pending": "one of our Operations on it is in flight, and counts in full until it has ended",
    "foreign_operation": "an Operation that is not ours touched it, and is not adopted",
    "mixed_outcome": "some legs of an Operation failed, and a person has to decide",
    "parked": "the provider refused it once, and nobody said to try again",
    "standing": "the platform does not list it as approved",
    # rebalances
    "exited": "it exits",
    "allocations_not_managed": "its cohort does not manage allocations",
    "never": "its Strategy is never rebalanced",
    "auto_rebalance_false": "auto_rebalance is false, and its cohort does not override that",
    "target_satisfied": "its target is the one that was satisfied last, and drift alone asks for"
    " nothing in this Strategy",
    "within_minimum": "no leg to its new target reaches the minimum",
    "rollout": "its stage of the rollout is not reached",
    "cooldown": "it rests after its last rebalance",
    "in_band": "no band is breached",
    "enrolled_at_target": "the enrolment buys the target",
    # flags
    "flags_not_managed": "its cohort does not manage flags",
    "as_declared": "it is as declared",
    "enrolled_with": "the enrolment sets it",
}
"""What a word of the planner means. A word that is not here is said as it is, with the planner's
detail."""

_STANDING = {
    "removed": "We managed it, and nothing names it any more. Omission is not a sale: it is"
    " reported, and nothing is sold. To sell it, declare it with status: exited.",
    "unmanaged": "No cohort names it, so nothing touches it.",
    "unused": "The platform knows it, and no cohort names it in any Strategy, so nothing touches"
    " it.",
}


def because(answer: Answer, one: Explanation) -> str:
    """Why, in words and numbers; the settings that decided stand beside it."""
    return _happens(answer, one) if answer.happens else _why_not(answer, one)


def rules_text(rules: Sequence[Rule]) -> str:
    """``drift.absolute 0.05 (policy.yaml:4), drift.relative 0.25 (the default)``."""
    return ", ".join(
        f"{safe(rule.name)} {safe(rule.value)} ({at(rule.place, 'the default')})" for rule in rules
    )


def guard_text(check: GuardCheck) -> str:
    """What a guard measured, its limit, and what follows."""
    otherwise = "what is available" if check.rule == "float" else "the default"
    said = (
        f"{safe(check.rule)}: {safe(check.measured)} measured, limit {safe(check.limit)}"
        f" ({at(check.setting, otherwise)}): {safe(check.subject)}"
    )
    if check.stops:
        return f"{said}; this stops the whole plan"
    return f"{said}; acknowledged by {safe(check.acknowledged_by)}" if check.exceeded else said


def standing_text(one: Explanation) -> str:
    """What somebody is that no cohort names; empty for the rest."""
    return _STANDING.get(one.standing, "")


def at(span: Span | None, otherwise: str) -> str:
    """``policy.yaml:4``."""
    return place(span.file, span.line) if span else otherwise


# --- what happens ----------------------------------------------------------------------------


def _happens(answer: Answer, one: Explanation) -> str:
    said, numbers = safe(answer.detail) or BECAUSE[answer.why], ""
    if answer.about == "flow" and one.declaration:
        numbers = _declared_and_moved(answer, one.declaration, one.currency)
    elif answer.about == "rebalance" and one.holdings:
        numbers = _drift(answer, one.holdings)
    elif answer.why == "differs" and one.declaration:
        numbers = f"live shows {str(one.declaration.auto_rebalance_live).lower()}"
    return f"{said}: {numbers}" if numbers else said


def _declared_and_moved(answer: Answer, declared: Declaration, currency: str) -> str:
    said, moved = declared.totals, declared.moved
    if answer.why == Verb.PARTIAL_SELL:
        sums = (said.withdrawn_minor, moved.withdrawn_minor)
    else:
        sums = (said.contributed_minor, moved.contributed_minor)
    return f"{money(sums[0], currency)} is declared, {money(sums[1], currency)} has moved"


def _drift(answer: Answer, holdings: Holdings) -> str:
    """How far off it is: from a new target in all, otherwise band by band."""
    drift = holdings.drift_after_e18
    if answer.why in ("changed", "epoch"):
        return "" if drift is None else f"{percent(drift)} of it stands elsewhere now"
    said = [
        f"{safe(one.asset)} is {_from_target(one, holdings)}"
        for one in _measured(holdings)
        if one.breached
    ]
    if drift is not None and drift > holdings.portfolio_e18:
        digits = _digits(drift, holdings.portfolio_e18)
        most = percent(holdings.portfolio_e18, digits)
        said.append(f"portfolio drift is {percent(drift, digits)}, above {most}")
    said.extend(
        f"it ends inside the bands, at least {safe(rule.value)} of each away from its edge"
        for rule in answer.rules
        if rule.name == "drift.hysteresis"
    )
    return "; ".join(said)


# --- what does not ----------------------------------------------------------------------------


def _why_not(answer: Answer, one: Explanation) -> str:
    said, detail = BECAUSE.get(answer.why, ""), safe(answer.detail)
    if answer.why == "as_declared" and one.declaration:
        return f"{said}, {str(one.declaration.auto_rebalance_live).lower()}"
    if answer.why == "in_band" and one.holdings:
        detail = _furthest(one.holdings)
        if (one.holdings.drift_after_e18 or 0) > one.holdings.portfolio_e18:
            said = "no leg reaches its minimum"
    if answer.why == "in_step" and one.declaration and _within_tolerance(one.declaration):
        tolerance = money(one.declaration.tolerance_minor, one.currency)
        detail = f"moved figures were rebuilt and are good to {tolerance}"
    words = ": ".join(part for part in (said, detail) if part)
    words = words or safe(answer.why.replace("_", " "))
    held = answer.about == "flow" and any(row.reason == answer.why for row in one.held)
    wanted = _wanted(one) if held else ""
    return f"{wanted} held back, {words}" if wanted else words


def _within_tolerance(declared: Declaration) -> bool:
    """Declared and moved differ, and by no more than nothing."""
    return "funding" in declared.manages and declared.totals != declared.moved


def _wanted(one: Explanation) -> str:
    """``USD 300.00 out is``: what is declared and has not moved."""
    if one.declaration is None:
        return ""
    said, moved = one.declaration.totals, one.declaration.moved
    ways = (
        (said.contributed_minor - moved.contributed_minor, "in"),
        (said.withdrawn_minor - moved.withdrawn_minor, "out"),
    )
    sums = [f"{money(more, one.currency)} {way}" for more, way in ways if more > 0]
    return f"{' and '.join(sums)} {'is' if len(sums) == 1 else 'are'}" if sums else ""


def _furthest(holdings: Holdings) -> str:
    found = [(abs(off_target(one, holdings) or 0), one) for one in _measured(holdings)]
    if not found:
        return ""
    off, one = max(found, key=lambda each: each[0])
    if points(off) == points(0):
        return "it holds its target"
    return f"the furthest is {safe(one.asset)}, {_from_target(one, holdings)}"


# --- shares ----------------------------------------------------------------------------------


def off_target(one: Position, holdings: Holdings) -> int | None:
    """How far an asset is from its target after the flow, as a share; None where it is not known
    or, of a frozen one, does not matter."""
    if one.after_e8 is None or not holdings.measured_e8 or one.frozen:
        return None
    return share_e18(one.after_e8, holdings.measured_e8) - (one.measured_weight_e18 or 0)


def _measured(holdings: Holdings) -> Iterator[Position]:
    """Assets that have a band."""
    for one in holdings.positions:
        if off_target(one, holdings) is not None and one.measured_weight_e18 is not None:
            yield one


def _from_target(one: Position, holdings: Holdings) -> str:
    """``at 56.00 %, 6.00 points above 50.00 %, and its band is 5.00 points``."""
    weight, off = one.measured_weight_e18 or 0, off_target(one, holdings) or 0
    minimum = share_e18(one.minimum_e8, holdings.measured_e8)
    distance, band = abs(off), max(one.band_e18, minimum)
    digits = _digits(distance, band)
    way = "above" if off > 0 else "below"
    limit = "its band is" if band == one.band_e18 else "its smallest leg is as wide as"
    return (
        f"at {percent(weight + off, digits)}, {points(distance, digits)} points {way}"
        f" {percent(weight)}, and {limit} {points(band, digits)} points"
    )


DIGITS_MAX = 16
"""Shares have no more digits after the point of a percentage."""


def _digits(one_e18: int, other_e18: int) -> int:
    """As many digits as tell two shares apart, and never fewer than two."""
    apart = (
        digits
        for digits in range(2, DIGITS_MAX + 1)
        if points(one_e18, digits) != points(other_e18, digits)
    )
    return next(apart, 2)


def percent(share_e18: int, digits: int = 2) -> str:
    """``52.83 %``."""
    return f"{points(share_e18, digits)} %"


def points(share_e18: int, digits: int = 2) -> str:
    """``52.83``: hundredths of the whole, rounded, halves away from zero."""
    step = WEIGHT_ONE_E18 // 10 ** (digits + 2)
    units = (abs(share_e18) + step // 2) // step
    sign = "-" if share_e18 < 0 and units else ""
    return f"{sign}{units // 10**digits}.{units % 10**digits:0{digits}d}"
