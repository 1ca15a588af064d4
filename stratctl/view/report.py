"""What apply did, how things stand, and what the journal says, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stratctl.core.event import (
    Abandoned,
    Answer,
    AnswerClass,
    Attempt,
    Event,
    Forfeited,
    Intent,
    Outcome,
    Problem,
    RowResult,
    Satisfied,
)
from stratctl.core.money import WEIGHT_DIGITS
from stratctl.core.report import Applied, AuditReport, Status, StrategyStatus, Tally
from stratctl.core.state import Verb
from stratctl.view.text import (
    BLOCKED,
    INDETERMINATE,
    SYMBOLS,
    WORDS,
    Paint,
    columns,
    count,
    money,
    safe,
)

NAMED = 10
"""Participants named in a line that may concern many; the rest is counted."""


# --- apply -----------------------------------------------------------------------------------


def applied(result: Applied, *, color: bool = False) -> str:
    """What an apply did, its doubts before its successes, and one line that sums it up."""
    paint = Paint(color)
    lines = list(_problems(result, paint))
    lines += _grouped("rejected by the provider", result.rejected, paint)
    if result.tallies:
        lines += [f"  {line}" for line in columns([_tally_cells(one) for one in result.tallies])]
    lines += _left(result.not_needed, "no longer needed, so not sent")
    lines += _left(result.left_for_next, "left for the next plan")
    lines.append(paint("bold", applied_headline(result)))
    if result.plan_digest:
        lines.append(f"Plan: {result.plan_digest}")
    if result.journal_head:
        lines.append(f"Journal: {result.journal_head}")
    return "\n".join(lines) + "\n"


def applied_headline(result: Applied) -> str:
    """One line: finished or not, and the figures."""
    opened = [problem for problem in result.problems if problem.indeterminate]
    if opened:
        said = f"Apply ended with {count(len(opened), 'open outcome')}: apply again to resolve"
    elif result.interrupted:
        said = "Apply was interrupted: apply again to do the rest"
    elif result.problems or result.rejected:
        said = "Apply did a part"
    elif not result.tallies:
        return "Nothing to apply. Live matches the configuration."
    else:
        said = "Apply complete"
    settled = sum(tally.settled for tally in result.tallies)
    skipped = sum(tally.skipped for tally in result.tallies)
    rejected = sum(tally.rejected for tally in result.tallies)
    calls = sum(tally.calls for tally in result.tallies)
    return (
        f"{said}. {settled:,} settled, {skipped:,} skipped, {rejected:,} rejected; "
        f"{count(calls, 'call')}."
    )


def _problems(result: Applied, paint: Paint) -> Iterator[str]:
    for problem in sorted(result.problems, key=lambda one: not one.indeterminate):
        yield problem_text(problem, paint)


def problem_text(problem: Problem, paint: Paint) -> str:
    """``! blue-chip: E_CODE: detail (CUST01, CUST02)``."""
    symbol = INDETERMINATE if problem.indeterminate else BLOCKED
    named = f" ({_named(problem.participants)})" if problem.participants else ""
    subject = f"{safe(problem.strategy)}: " if problem.strategy else ""
    color = "yellow" if problem.indeterminate else "red"
    text = f"{subject}{safe(problem.code)}: {safe(problem.detail)}{named}"
    return f"{paint(color, symbol)} {text}"


def _tally_cells(tally: Tally) -> tuple[str, ...]:
    moves = tally.verb in (Verb.ENROLL, Verb.TOP_UP, Verb.PARTIAL_SELL)
    return (
        safe(tally.strategy),
        f"{SYMBOLS[tally.verb]} {WORDS[tally.verb]}",
        count(tally.calls, "call"),
        f"{tally.settled:,} settled",
        f"{tally.skipped:,} skipped" if tally.skipped else "",
        f"{tally.rejected:,} rejected" if tally.rejected else "",
        money(tally.amount_minor, tally.currency) if moves else "",
    )


def _grouped(title: str, rows: Iterable[tuple[str, str, str]], paint: Paint) -> Iterator[str]:
    """(strategy, participant, reason) rows, grouped by Strategy and reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for strategy, participant, reason in rows:
        groups.setdefault((strategy, reason), []).append(participant)
    for (strategy, reason), named in sorted(groups.items()):
        number = count(len(named), "participant")
        yield (
            f"{paint('red', BLOCKED)} {safe(strategy)}: {number} {title}: {safe(reason)} "
            f"({_named(named)})"
        )


def _left(rows: Iterable[tuple[str, str, str]], why: str) -> Iterator[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for strategy, verb, participant in rows:
        groups.setdefault((strategy, verb), []).append(participant)
    for (strategy, verb), named in sorted(groups.items()):
        number = count(len(named), "participant")
        yield f"  {safe(strategy)}: {safe(verb)} of {number} {why} ({_named(named)})"


def _named(participants: Sequence[str]) -> str:
    shown = ", ".join(safe(code) for code in sorted(participants)[:NAMED])
    hidden = len(participants) - NAMED
    return f"{shown}, and {hidden:,} more" if hidden > 0 else shown


# --- events, as they happen ------------------------------------------------------------------


def event_line(event: Event) -> str:
    """One plain line for an event of an apply; empty for those that only the journal needs."""
    match event:
        case Intent():
            amounts = [row.amount_minor for row in event.rows if row.amount_minor is not None]
            amount = f", {money(sum(amounts), event.currency)}" if amounts else ""
            rows = f" {count(len(event.rows), 'participant')}" if event.rows else ""
            slot = f" (slot {event.slot})" if event.slot is not None else ""
            return f"{SYMBOLS[event.verb]} {_about(event)}{rows}{amount}{slot}"
        case Attempt():
            again = f", attempt {event.number}" if event.number > 1 else ""
            return f"  sending {event.request_id}{again}" if again else ""
        case Answer():
            return _answer(event)
        case Outcome():
            return _outcome(event)
        case Abandoned():
            parked = f", {count(len(event.parked), 'participant')} parked" if event.parked else ""
            return f"{BLOCKED} {safe(event.strategy)}: not sent again: {safe(event.reason)}{parked}"
        case Forfeited():
            return f"  {safe(event.strategy)}: {count(len(event.rows), 'account')} of flows closed"
        case Satisfied():
            number = count(len(event.participants), "participant")
            return f"  {safe(event.strategy)}: {number} already within the minimum leg"
        case Problem():
            return problem_text(event, Paint(color=False))


def _about(event: Intent | Outcome) -> str:
    return f"{safe(event.strategy)}: {WORDS[event.verb]}"


def _answer(answer: Answer) -> str:
    if answer.answer is AnswerClass.COMMITTED:
        return f"  accepted {answer.request_id}"
    status = f" ({answer.status})" if answer.status else ""
    said = safe("; ".join((answer.detail, *answer.errors)).strip("; "))
    return f"{INDETERMINATE} {answer.answer.value}{status} {answer.request_id}: {said}"


def _outcome(outcome: Outcome) -> str:
    numbers = dict.fromkeys(RowResult, 0)
    for row in outcome.rows:
        numbers[row.result] += 1
    figures = ", ".join(
        f"{number:,} {result.value}" for result, number in numbers.items() if number
    )
    symbol = " " if outcome.proven else INDETERMINATE
    doubt = "" if outcome.proven else " (not what was sent)"
    return f"{symbol} {_about(outcome)} {safe(outcome.status)}: {figures or 'nothing'}{doubt}"


# --- status ----------------------------------------------------------------------------------


def status(status: Status, *, color: bool = False) -> str:
    """The live summary of one environment."""
    paint = Paint(color)
    lines = [f"{safe(status.environment)} ({safe(status.realm)}) as of {safe(status.as_of)}", ""]
    if status.halted:
        what = "only exits may be applied" if status.halted == "exits_only" else "nothing is sent"
        lines += [paint("red", f"{BLOCKED} halted: {what} until stratctl resume"), ""]
    for strategy in status.strategies:
        lines += [*_strategy(strategy, paint), ""]
    for one in status.floats:
        amount = money(one.available_minor, one.currency)
        lines.append(f"float: {amount} available ({safe(one.account)})")
    head = f", head {safe(status.journal_head)}" if status.journal_head else ""
    lines.append(f"journal: {count(status.journal_entries, 'entry', 'entries')}{head}")
    if status.open_intents:
        opened = count(status.open_intents, "open intent")
        lines.append(paint("yellow", f"{INDETERMINATE} {opened}: apply resolves them first"))
    return "\n".join(lines) + "\n"


def _strategy(one: StrategyStatus, paint: Paint) -> Iterator[str]:
    yield paint("bold", f"Strategy {safe(one.name)} ({safe(one.id or 'not created yet')})")
    unmanaged = f", {one.unmanaged:,} unmanaged" if one.unmanaged else ""
    yield f"  {count(one.traders, 'Trader')}, {one.declared:,} declared{unmanaged}"
    yield f"  holdings {money(one.value_minor, one.currency)} (estimate)"
    yield (
        f"  drift: {count(one.outside_band, 'participant')} outside the band, "
        f"largest {_percent(one.drift_largest_e18)}"
    )
    for operation, kind, state in one.in_flight:
        yield f"  in flight: {safe(kind)} {safe(operation)} is {safe(state)}"
    if one.parked:
        yield paint("yellow", f"  {BLOCKED} {count(one.parked, 'participant')} parked")
    if one.problem:
        yield paint("red", f"  {BLOCKED} {safe(one.problem)}")


def _percent(share_e18: int) -> str:
    """A share in percent with two decimals, rounded half up: for eyes, not for decisions."""
    hundredths = (share_e18 * 10_000 * 2 + 10**WEIGHT_DIGITS) // (2 * 10**WEIGHT_DIGITS)
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


# --- the journal -----------------------------------------------------------------------------


def journal_line(entry: Mapping[str, Any]) -> str:
    """One entry of the journal on one line: place, time, what, and what it says."""
    about = {
        key: value
        for key, value in sorted(entry.items())
        if key not in _ENVELOPE and value not in ("", None, [], {})
    }
    said = " ".join(f"{safe(key)}={_said(value)}" for key, value in about.items())
    return f"{entry['seq']:>6}  {safe(str(entry['t']))}  {safe(str(entry['type'])):<9}  {said}"


_ENVELOPE = frozenset({"v", "seq", "prev", "t", "run", "type", "h"})


def _said(value: object) -> str:
    """A value on one line; a list of rows is its length, and --format json has all of it."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return f"[{count(len(value), 'row')}]"
    if isinstance(value, list):
        return safe(",".join(map(str, value)), longest=120)
    return safe(str(value), longest=120)


def audit(report: AuditReport, *, color: bool = False) -> str:
    """Whether the journal holds, and everything that does not."""
    paint = Paint(color)
    lines = [f"{paint('red', BLOCKED)} {safe(finding)}" for finding in report.findings]
    if report.repaired:
        lines.append(f"repaired: {safe(report.repaired)}")
    figures = (
        f"{count(report.entries, 'entry', 'entries')}, {count(report.intents, 'intent')}, "
        f"{count(report.outcomes, 'outcome')}"
    )
    verdict = (
        "holds" if report.holds else f"does not hold: {count(len(report.findings), 'finding')}"
    )
    lines.append(paint("bold", f"The journal of {safe(report.environment)} {verdict} ({figures})."))
    if report.head:
        lines.append(f"Head: {safe(report.head)}")
    return "\n".join(lines) + "\n"
