"""Why an apply refuses before its first request: another plan, a guard, prices, a halt."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from stratctl.core.errors import GuardRefused, PlanStale
from stratctl.core.money import PRICE_DIGITS, parse_units
from stratctl.core.state import Verb
from stratctl.pipeline.session import Session, timestamp

if TYPE_CHECKING:
    from stratctl.core.plan import Plan
    from stratctl.core.state import Booked
    from stratctl.core.windows import Opening

EXIT_VERBS = (Verb.LIQUIDATE, Verb.PARTIAL_SELL)
"""What may be sent while a halt lets exits through."""

SELLING_VERBS = (*EXIT_VERBS, Verb.REBALANCE)
"""What depends on the price that the provider will find."""


def refuse_another_plan(session: Session, approved: Plan, expect_digest: str | None) -> None:
    """An approval is for one digest, one environment, one configuration, and some hours."""
    environment = session.configuration.environment
    refuse_another_digest(approved, expect_digest)
    if (approved.realm, approved.environment) != (environment.realm, environment.name):
        raise PlanStale(
            f"the plan is for {approved.environment} in realm {approved.realm},"
            f" not for {environment.name} in realm {environment.realm}"
        )
    if approved.configuration != session.configuration.desired.digest:
        raise PlanStale(
            "the configuration changed since the plan was made", hint="plan this configuration"
        )
    if approved.expires_at < timestamp(session.now()):
        raise PlanStale(f"the plan expired at {approved.expires_at}", hint="plan again")


def refuse_another_digest(plan: Plan, expected: str | None) -> None:
    """An expected digest only ever verifies. Raises PlanStale."""
    if expected is not None and plan.digest != expected.lower():
        raise PlanStale(f"the plan's digest is {plan.digest}, {expected} was expected")


def sells(plan: Plan) -> bool:
    """Whether any call sells, and so depends on the price that the provider will find."""
    return any(call.verb in SELLING_VERBS for call in plan.calls)


def refuse_moved_prices(approved: Plan, plan: Plan, session: Session) -> None:
    """Sells and rebalances have no limit price, so the price must not have moved too far.

    Buys of a fixed amount of money go ahead: their amount is what was approved.
    """
    limit = session.configuration.policy.price_max_move
    now = {(asset, currency): text for asset, currency, text in plan.prices}
    for asset, currency, text in approved.prices:
        then_e8 = parse_units(text, PRICE_DIGITS)
        now_e8 = parse_units(now.get((asset, currency), "0"), PRICE_DIGITS)
        if then_e8 and Fraction(abs(now_e8 - then_e8), then_e8) > limit:
            raise PlanStale(
                f"{asset} was {currency} {text} when the plan was made and is"
                f" {now.get((asset, currency), 'without a price')} now",
                hint="prices.max_move in policy.yaml is the limit; plan again",
            )


def refuse_aged_prices(plan: Plan, session: Session) -> None:
    """Somebody may have taken long to say yes. Raises PlanStale."""
    seconds_max = session.configuration.policy.price_max_age_seconds
    age = session.now() - datetime.fromisoformat(plan.as_of)
    if sells(plan) and age > timedelta(seconds=seconds_max):
        raise PlanStale(
            f"prices are {age.total_seconds():.0f} s old, prices.max_age_seconds is {seconds_max}",
            hint="apply again",
        )


def refuse_closed(session: Session) -> None:
    """Outside the policy's windows nothing is sent, exits included. Raises GuardRefused."""
    opening = session.configuration.policy.windows.at(session.now())
    if not opening.open:
        raise GuardRefused(closed_text(opening), hint=OPENING_HINT)


def closed_text(opening: Opening) -> str:
    """Why nothing may be sent now, and from when it may."""
    why = f"it is blackout {opening.because}" if opening.because else "no allowed window is open"
    opens = f"it opens at {opening.changes_at}" if opening.changes_at else "none is in sight"
    return f"nothing may be sent now: {why}; {opens}"


OPENING_HINT = "windows in policy.yaml says when; apply again then"


def refuse_stopped(plan: Plan) -> None:
    """A plan that a guard stops is shown and not sent. Raises GuardRefused."""
    stopping = [finding for finding in plan.findings if finding.stops]
    if stopping:
        raise GuardRefused(
            "; ".join(
                f"{finding.rule}: {finding.measured} {finding.subject},"
                f" the limit is {finding.limit}"
                for finding in stopping
            ),
            hint=stopping[0].hint,
        )


def refuse_halted(booked: Booked) -> None:
    """A halt of everything stops an apply before its first request. Raises GuardRefused."""
    if booked.halted == "all":
        raise GuardRefused("applying is halted", hint="stratctl resume lifts it")


def without_halted(plan: Plan, booked: Booked) -> Plan:
    """The plan without the calls that a halt holds back."""
    calls = tuple(call for call in plan.calls if may_be_sent(call.verb, booked))
    return replace(plan, calls=calls)


def may_be_sent(verb: Verb, booked: Booked) -> bool:
    """A halt that lets exits through holds back everything else, also what a crash left open."""
    return booked.halted != "exits_only" or verb in EXIT_VERBS
