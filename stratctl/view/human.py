"""A plan for a terminal. The end is what stays on the screen, so the headline stands there."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from stratctl.core.plan import Certificate, FloatNeed, GuardFinding, Impact, Plan
from stratctl.core.state import Verb
from stratctl.view import diagnostics
from stratctl.view.summary import (
    Chapter,
    Group,
    Participant,
    chapters,
    participants,
    summarise,
)
from stratctl.view.text import (
    ALLOWED,
    BLOCKED,
    COLORS,
    SYMBOLS,
    WORDS,
    Paint,
    columns,
    count,
    money,
    place,
    safe,
    span_text,
)


class Level(Enum):
    """How much is shown. No level hides an amount or the number of participants."""

    SUMMARY = "summary"
    DEFAULT = "default"
    FULL = "full"


LIQUIDATIONS_SHOWN = 200
"""Every liquidation is listed by default, up to this many; the rest is counted."""


def plan(plan: Plan, *, level: Level = Level.DEFAULT, color: bool = False) -> str:
    """The plan as text that ends with its headline, its digest and what to do next."""
    paint = Paint(color)
    summary = summarise(plan)
    lines: list[str] = []
    if level is not Level.SUMMARY:
        for chapter in chapters(plan):
            lines += [*_strategy(plan, chapter, level, paint), ""]
    lines += _section(_findings(plan, paint))
    lines += _section(_conditions(plan, level, paint))
    lines.append(paint("bold", summary.headline))
    if not summary.empty:
        lines += [f"Digest: {plan.digest}", f"Next: {next_step(plan)}"]
    return "\n".join(lines) + "\n"


def next_step(plan: Plan) -> str:
    """What the reader does now, in one sentence."""
    if plan.stopped:
        return (
            "change the configuration, or acknowledge each number above; "
            "apply refuses this plan (exit code 3)."
        )
    return (
        "review, then stratctl apply; live is read again and nothing beyond this plan is sent. "
        f"It expires at {safe(plan.expires_at)}."
    )


def _section(lines: list[str]) -> list[str]:
    return [*lines, ""] if lines else []


# --- one Strategy ----------------------------------------------------------------------------


def _strategy(plan: Plan, chapter: Chapter, level: Level, paint: Paint) -> Iterator[str]:
    title = f"Strategy {safe(chapter.strategy)}"
    if chapter.groups:
        title += f" ({safe(chapter.strategy_id or 'known after create')})"
    yield paint("bold", title)
    cells = [_group_cells(group) for group in chapter.groups]
    for group, line in zip(chapter.groups, columns(cells, right=frozenset({1})), strict=True):
        yield f"  {paint(COLORS[group.verb], SYMBOLS[group.verb])} {line}"
        yield from _participants(plan, group, level, paint)
    yield from _blocked(chapter, paint)
    yield from (f"  {line}" for line in explained(chapter))


def _group_cells(group: Group) -> tuple[str, ...]:
    size = count(group.rows, "participant") if group.rows else ""
    amount = money(group.amount_minor, group.currency) if group.has_amount else ""
    to = f"to {safe(group.vector.text)}" if group.vector else safe(group.calls[0].body_json)
    calls = sum(call.requests for call in group.calls)
    return (WORDS[group.verb], size, amount, to, f"in {count(calls, 'call')}" if calls > 1 else "")


def _participants(plan: Plan, group: Group, level: Level, paint: Paint) -> Iterator[str]:
    if not group.rows:
        return
    if level is Level.FULL:
        first, last = group.rows, 0
    elif group.verb is Verb.LIQUIDATE:
        first, last = LIQUIDATIONS_SHOWN, 0
    else:
        first, last = (group.rows, 0) if group.rows <= 6 else (3, 1)
    shown = participants(plan, group, first=first, last=last)
    lines = columns([_participant_cells(one, group.currency) for one in shown])
    hidden = group.rows - len(shown)
    for number, line in enumerate(lines, start=1):
        yield f"      {line}"
        if hidden and number == first:
            yield paint("dim", f"      … {hidden:,} more, which -v lists …")


def _participant_cells(one: Participant, currency: str) -> tuple[str, ...]:
    amount = "" if one.amount_minor is None else money(one.amount_minor, currency)
    flag = "" if one.auto_rebalance is None else f"auto_rebalance {str(one.auto_rebalance).lower()}"
    return (safe(one.code), amount, flag, safe(one.reason), place(one.file, one.line))


def _blocked(chapter: Chapter, paint: Paint) -> Iterator[str]:
    if not chapter.blocked:
        return
    total = sum(reason.participants for reason in chapter.blocked)
    yield f"  {paint('yellow', BLOCKED)} blocked: {count(total, 'participant')}"
    for reason in chapter.blocked:
        where = place(reason.file, reason.line)
        example = f"{safe(reason.example)}{f' ({where})' if where else ''}"
        detail = f": {safe(reason.detail)}" if reason.detail else ""
        yield f"      {reason.participants:,} {safe(reason.reason)}, such as {example}{detail}"


def explained(chapter: Chapter) -> Iterator[str]:
    """What is closed without a call, what the calls do in money, and how few there could be."""
    if chapter.satisfied:
        number = count(chapter.satisfied, "participant")
        yield f"{number} already within the minimum leg of the target"
    if chapter.forfeits:
        yield (
            f"forfeited for good by {count(chapter.forfeits, 'exiting participant')}: "
            f"{money(chapter.forfeited_in_minor, chapter.currency)} in, "
            f"{money(chapter.forfeited_out_minor, chapter.currency)} out, never moved"
        )
    for impact in chapter.impacts:
        yield from _impact(impact)
    if chapter.certificates:
        yield f"calls: {'; '.join(map(_certificate, chapter.certificates))}"


def _impact(impact: Impact) -> Iterator[str]:
    currency = impact.currency
    yield (
        f"impact: cash in {money(impact.cash_in_minor, currency)}, "
        f"cash out {money(impact.cash_out_minor, currency)}, "
        f"turnover {money(impact.turnover_minor, currency)} (estimate) "
        f"of {money(impact.value_minor, currency)} held (estimate); "
        f"largest movement {money(impact.largest_minor, currency)} (estimate)"
    )
    legs = [
        f"{safe(asset)} bought {money(bought, currency)}, sold {money(sold, currency)}"
        for asset, bought, sold in impact.turnover_by_asset
    ]
    if legs:
        yield f"assets (estimates): {'; '.join(legs)}"
    if impact.unpriced:
        yield f"no price for {', '.join(map(safe, impact.unpriced))}"


def _certificate(certificate: Certificate) -> str:
    verb, because = WORDS[certificate.verb], safe(certificate.because)
    if certificate.tight:
        return f"{certificate.calls:,} for {verb}, the least ({because})"
    return f"{certificate.calls:,} for {verb}, {certificate.least:,} would be the least ({because})"


# --- the whole plan --------------------------------------------------------------------------


def _findings(plan: Plan, paint: Paint) -> list[str]:
    """Guards that stop the plan first, then those that somebody acknowledged."""
    lines = []
    for finding in sorted(plan.findings, key=lambda finding: not finding.stops):
        symbol = paint("red", BLOCKED) if finding.stops else ALLOWED
        lines.append(f"{symbol} guard {finding_text(finding)}")
        if finding.stops:
            lines.append(f"    to allow it once: {acknowledge_with(finding)}")
    return lines


def finding_text(finding: GuardFinding) -> str:
    """Measure, limit, and where the limit is set or who acknowledged it."""
    setting = span_text(finding.setting, "the default")
    by = f", acknowledged by {safe(finding.acknowledged_by)}" if not finding.stops else ""
    return (
        f"{safe(finding.rule)}: {safe(finding.measured)} measured ({safe(finding.subject)}), "
        f"limit {safe(finding.limit)} ({setting}){by}"
    )


def acknowledge_with(finding: GuardFinding) -> str:
    """The exact flag that widens this guard to this number."""
    flag = f"--ack {safe(finding.rule)}={safe(finding.measured)}"
    return safe(finding.hint) if flag in finding.hint else f'{flag} --reason "…"'


def _conditions(plan: Plan, level: Level, paint: Paint) -> list[str]:
    lines = [float_text(need) for need in plan.floats if need.needed_minor]
    if plan.prices and level is not Level.SUMMARY:
        prices = ", ".join(f"{safe(a)}/{safe(c)} {safe(price)}" for a, c, price in plan.prices)
        lines.append(f"prices as of {safe(plan.as_of)}: {prices}")
    lines += unmanaged_lines(plan)
    for note in plan.notes:
        lines.append(f"note: {safe(note)}")
    for warning in plan.warnings:
        lines += diagnostics.lines(warning, {}, paint)
    return lines


def unmanaged_lines(plan: Plan) -> list[str]:
    """What the plan leaves out, said once."""
    lines = []
    if plan.unmanaged:
        are = "is" if plan.unmanaged == 1 else "are"
        lines.append(
            f"{count(plan.unmanaged, 'Trader')} {are} unmanaged: "
            "no cohort names them and nothing touches them"
        )
    if not plan.complete:
        lines.append("this plan is not complete: a target or an exclusion hides other changes")
    return lines


def float_text(need: FloatNeed) -> str:
    """Float needed against available, and what is short."""
    needed = f"float: {money(need.needed_minor, need.currency)} needed"
    if need.available_minor is None:
        return f"{needed}, the balance of {safe(need.account)} is not known"
    available = f"{money(need.available_minor, need.currency)} available ({safe(need.account)})"
    short = need.short_minor
    lacking = f", short by {money(short, need.currency)}" if short else ""
    return f"{needed}, {available}{lacking}"
