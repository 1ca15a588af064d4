"""Guards: limits that are on by default, measured on the whole plan, widened only by name.

A guard stops a plan when its measure is strictly above its limit. It is widened by an
acknowledgement that names the rule and the number; the number takes the limit's place. Absolute
and relative limits stand side by side, so that neither a small nor a large book slips through.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from stratctl.core.money import format_amount, format_ratio, minor_digits
from stratctl.core.plan import GuardFinding
from stratctl.core.state import Verb
from stratctl.plan.terms import share_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stratctl.core.change import Changes
    from stratctl.core.diagnostic import Span
    from stratctl.core.plan import Acknowledgement, Call, FloatNeed, Impact
    from stratctl.core.settings import Configuration
    from stratctl.core.tables import Table
    from stratctl.plan.aims import Aims


@dataclass(frozen=True, slots=True)
class Measure:
    """What a rule measured: an exact number, and how to say it and its limit to people."""

    rule: str
    value: Fraction
    text: str
    subject: str
    limit: Fraction | None = None
    """Overrides the policy's limit (the float: what is available)."""


def valid_acknowledgements(
    configuration: Configuration, *, today: str, used: frozenset[str]
) -> tuple[Acknowledgement, ...]:
    """Those that have not been used and have not expired on ``today`` (a date).

    In the order of their ids, so that the order of files never decides which one is used.
    """
    return tuple(
        sorted(
            (
                acknowledgement
                for acknowledgement in configuration.acknowledgements
                if acknowledgement.id not in used and acknowledgement.expires >= today
            ),
            key=lambda acknowledgement: acknowledgement.id,
        )
    )


def covers(acknowledgement: Acknowledgement, rule: str, measured: Fraction | int) -> bool:
    """Whether it names the rule with a number that is at least the measure."""
    return any(
        named == rule and Fraction(number) >= measured for named, number in acknowledgement.rules
    )


def guard_findings(
    measures: Sequence[Measure],
    configuration: Configuration,
    valid: Sequence[Acknowledgement],
) -> tuple[tuple[GuardFinding, ...], tuple[Acknowledgement, ...]]:
    """Every measure above its limit, and the first valid acknowledgement that covers each."""
    findings: list[GuardFinding] = []
    relied_on: dict[str, Acknowledgement] = {}
    for measure in measures:
        limit, setting = limit_of(measure, configuration)
        if measure.value <= limit:
            continue
        covering = next((a for a in valid if covers(a, measure.rule, Fraction(measure.text))), None)
        if covering:
            relied_on[covering.id] = covering
        findings.append(
            GuardFinding(
                rule=measure.rule,
                measured=measure.text,
                limit=format_ratio(limit),
                subject=measure.subject,
                setting=setting,
                acknowledged_by=covering.name if covering else "",
                hint=f"--ack {measure.rule}={measure.text} --reason …, or a reviewed"
                f" kind: Acknowledgement with rules: {{{measure.rule}: {measure.text}}}",
            )
        )
    return tuple(findings), tuple(relied_on[key] for key in sorted(relied_on))


def measures(
    *,
    changes: Changes,
    calls: Sequence[Call],
    flows: Table,
    legs: Table,
    impacts: Sequence[Impact],
    floats: Sequence[FloatNeed],
    funding_model: str,
    aims: Aims | None = None,
    spared_e8: Mapping[str, int] | None = None,
) -> tuple[Measure, ...]:
    """Everything that a rule limits, measured on this plan.

    ``aims``: vectors in the place of declared ones; ``spared_e8``: sells that more calls would
    spare, per Strategy, where flows share vectors. The larger measure of avoidable sells counts.
    """
    avoidable_e8 = _avoidable_sells(legs, flows, aims)
    for strategy, spared in (spared_e8 or {}).items():
        avoidable_e8[strategy] = max(spared, avoidable_e8.get(strategy, 0))
    return (
        *_counts(changes, calls, legs),
        *_cash_in(impacts),
        *_turnover(impacts),
        *_avoidable_share(avoidable_e8, impacts),
        *_partial_sell_share(flows),
        *(_float(floats) if funding_model == "novated" else ()),
    )


def _counts(changes: Changes, calls: Sequence[Call], legs: Table) -> Iterator[Measure]:
    leaving = sum(call.rows for call in calls if call.verb is Verb.LIQUIDATE)
    yield _count("liquidations", leaving, "participants to liquidate")
    exits = legs.workspace.rows(
        f"""
        SELECT DISTINCT strategy, asset FROM {legs} WHERE weight_e18 = 0 AND held_e8 > 0
        ORDER BY ALL
        """,
        of=legs,
    )
    named = ", ".join(f"{asset} from {strategy}" for strategy, asset in exits)
    yield _count("asset_exits", len(exits), f"assets to sell in full ({named})")
    removed = len(changes.removed)
    yield _count("removals", removed, "participants that nothing declares any more")
    if changes.managed_before:
        share = Fraction(removed, changes.managed_before)
        yield _share("removals_share", share, "share of participants that nothing declares")


def _cash_in(impacts: Sequence[Impact]) -> Iterator[Measure]:
    for currency, cash_in_minor in _per_currency(impacts, lambda i: i.cash_in_minor):
        yield Measure(
            rule="cash_in",
            value=Fraction(cash_in_minor, 10 ** minor_digits(currency)),
            text=format_amount(cash_in_minor, currency),
            subject=f"{currency} into the market",
        )


def _turnover(impacts: Sequence[Impact]) -> Iterator[Measure]:
    sold = dict(_per_currency(impacts, lambda i: i.turnover_minor))
    for currency, value_minor in _per_currency(impacts, lambda i: i.value_minor):
        share = _part_of(sold[currency], value_minor)
        yield _share("turnover", share, f"one-way sells over managed value in {currency}")


def _avoidable_sells(legs: Table, flows: Table, aims: Aims | None) -> dict[str, int]:
    """Per Strategy: sells beyond the least that the same end state needs, in 10⁻⁸.

    Where money comes in and the participant is rebalanced as well, some sells could have been
    spared by aiming the inflow: a top-up at weights that repair drift sells max(0, -delta) less
    what the inflow bought of the same asset.
    """
    bought, joined = share_sql("flow.moved_e8::HUGEINT"), ""
    if aims is not None:
        sent = "CASE WHEN vector_text IS NULL THEN legs.weight_e18 ELSE part.weight_e18 END"
        bought = share_sql("flow.moved_e8::HUGEINT", f"coalesce({sent}, 0)")
        joined = f"""
            LEFT JOIN {aims.rows} AS aimed USING (strategy, verb, participant_code)
            LEFT JOIN {aims.parts} AS part USING (vector_text, asset)
            """
    return dict(
        legs.workspace.rows(
            f"""
            SELECT legs.strategy, sum(least(greatest(0, -delta_e8), {bought}))::HUGEINT
            FROM {legs} AS legs
            JOIN {flows} AS flow USING (strategy, participant_code)
            {joined}
            WHERE flow.verb = 'top_up' GROUP BY ALL ORDER BY ALL
            """,
            of=legs,
        )
    )


def _avoidable_share(
    avoidable_e8: Mapping[str, int], impacts: Sequence[Impact]
) -> Iterator[Measure]:
    """Sells that could be spared, over managed value."""
    for impact in impacts:
        if impact.value_minor and impact.strategy in avoidable_e8:
            minor_e8 = 10 ** (8 - minor_digits(impact.currency))
            share = Fraction(avoidable_e8[impact.strategy], impact.value_minor * minor_e8)
            yield _share(
                "avoidable_sells", share, f"sells that could be spared in {impact.strategy}"
            )


def _partial_sell_share(flows: Table) -> Iterator[Measure]:
    """The largest share of a participant's value that a partial sell takes: near all is an exit.

    Rounded up to 10⁻¹², which is finer than any limit can be written.
    """
    largest = flows.workspace.rows(
        f"""
        SELECT strategy, participant_code,
            CASE WHEN value_e8 > 0
                 THEN (moved_e8::HUGEINT * 1000000000000 + value_e8::HUGEINT - 1)
                      // value_e8::HUGEINT
                 ELSE 1000000000000
            END AS share_e12
        FROM {flows} WHERE verb = 'partial_sell'
        ORDER BY share_e12 DESC, strategy, participant_code LIMIT 1
        """,
        of=flows,
    )
    for strategy, code, share_e12 in largest:
        subject = f"largest partial sell over the participant's value ({code} in {strategy})"
        yield _share("partial_sell_share", Fraction(share_e12, 10**12), subject)


def _float(floats: Sequence[FloatNeed]) -> Iterator[Measure]:
    for need in floats:
        if need.available_minor is not None:
            scale = 10 ** minor_digits(need.currency)
            yield Measure(
                rule="float",
                value=Fraction(need.needed_minor, scale),
                text=format_amount(need.needed_minor, need.currency),
                subject=f"{need.currency} that buys need from the float",
                limit=Fraction(need.available_minor, scale),
            )


def limit_of(measure: Measure, configuration: Configuration) -> tuple[Fraction, Span | None]:
    """What the measure may be, and where that is set; no place where it is the default."""
    if measure.limit is not None:
        return measure.limit, None
    guard = configuration.policy.guard(measure.rule)
    return guard.limit, guard.setting


def _part_of(part: int, whole: int) -> Fraction:
    """A share; of a whole that no price tells, any part counts as all of it."""
    return Fraction(part, whole) if whole else Fraction(1 if part else 0)


def _count(rule: str, count: int, subject: str) -> Measure:
    return Measure(rule=rule, value=Fraction(count), text=str(count), subject=subject)


def _share(rule: str, share: Fraction, subject: str) -> Measure:
    """A share is shown rounded up to four places, so that the shown number covers it."""
    shown = -(-share.numerator * 10_000 // share.denominator)
    text = f"{shown // 10_000}.{shown % 10_000:04d}"
    return Measure(rule=rule, value=share, text=text, subject=subject)


def _per_currency(
    impacts: Sequence[Impact], figure: Callable[[Impact], int]
) -> list[tuple[str, int]]:
    totals: dict[str, int] = {}
    for impact in impacts:
        totals[impact.currency] = totals.get(impact.currency, 0) + figure(impact)
    return sorted(totals.items())
