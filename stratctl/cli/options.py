"""Options that several commands share."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from stratctl.core.plan import Acknowledgement

Function = TypeVar("Function", bound=Callable[..., Any])


def format_option(*choices: str) -> Callable[[Function], Function]:
    """``--format``; without it, ``--json`` or text."""
    return click.option(
        "--format", "chosen", type=click.Choice(choices), help="How the result is shown."
    )


def acknowledgement_options(function: Function) -> Function:
    """``--ack`` and ``--reason``."""
    function = click.option(
        "--reason", metavar="TEXT", help="Why the acknowledged numbers are right. With --ack."
    )(function)
    return click.option(
        "--ack",
        "acks",
        multiple=True,
        metavar="RULE=N",
        help="Allow a guard's rule to measure up to N, once. Repeatable.",
    )(function)


def acknowledgements(
    acks: tuple[str, ...], reason: str | None, today: datetime.date
) -> tuple[Acknowledgement, ...]:
    """What was typed, as one acknowledgement that expires tomorrow.

    It is known by its words: the same numbers for the same reason on the same day are one
    acknowledgement, and one acknowledgement is used once. Raises click.UsageError.
    """
    from stratctl.core.money import NotExact, parse_units
    from stratctl.core.plan import Acknowledgement
    from stratctl.core.settings import GUARD_RULES

    if bool(acks) != bool(reason):
        raise click.UsageError("--ack and --reason belong together")
    rules = []
    for ack in acks:
        rule, _, number = ack.partition("=")
        if rule not in GUARD_RULES:
            raise click.UsageError(f"--ack {ack}: the rules are {', '.join(GUARD_RULES)}")
        try:
            parse_units(number, ACK_DIGITS)
        except NotExact as error:
            raise click.UsageError(f"--ack {ack}: {error}") from error
        rules.append((rule, number))
    if len({rule for rule, _ in rules}) != len(rules):
        raise click.UsageError("--ack names a rule twice")
    if not rules:
        return ()
    expires = (today + datetime.timedelta(days=1)).isoformat()
    return (Acknowledgement("command-line", tuple(sorted(rules)), reason or "", expires),)


ACK_DIGITS = 8


def today() -> datetime.date:
    """The date in UTC, as the plan counts it."""
    return datetime.datetime.now(datetime.UTC).date()
