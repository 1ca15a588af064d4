"""What apply did, and how things stand, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stratctl.core.event import Problem
from stratctl.core.money import WEIGHT_DIGITS
from stratctl.core.report import (
    Adoption,
    Applied,
    Difference,
    OpenCall,
    Opened,
    Resolved,
    Status,
    Strangers,
    StrategyStatus,
    Tally,
)
from stratctl.core.state import VERB_ORDER, Verb
from stratctl.view import weights
from stratctl.view.human import window_text
from stratctl.view.summary import DONE, cash
from stratctl.view.text import (
    BLOCKED,
    INDETERMINATE,
    SYMBOLS,
    WIDTH,
    WORDS,
    Paint,
    columns,
    count,
    marked,
    money,
    safe,
    wrapped,
)

NAMED = 10
"""Participants named in a line that may concern many; the rest is counted."""


# --- apply -----------------------------------------------------------------------------------


def applied(result: Applied, *, color: bool = False, width: int = WIDTH) -> str:
    """What an apply did, its doubts before its successes, and one line that sums it up."""
    paint = Paint(color)
    lines = []
    for problem in sorted(result.problems, key=lambda one: not one.indeterminate):
        lines += problem_lines(problem, paint, width)
    for text in _grouped("rejected by the provider", result.rejected):
        lines += marked(BLOCKED, text, paint, "red", width)
    lines += [f"  {line}" for line in columns([_tally_cells(one) for one in _ordered(result)])]
    for text in (
        *_left(result.not_needed, "no longer needed, so not sent"),
        *_left(result.left_for_next, "left for the next plan"),
    ):
        lines += wrapped(text, width, first="  ", rest="    ")
    lines += _section(lines)
    lines += [
        paint("bold", line)
        for sentence in _sentences(result)
        for line in wrapped(sentence, width, rest="      ", after_commas=True)
    ]
    if result.plan_digest:
        lines.append(f"Plan: {result.plan_digest}")
    if result.journal_head:
        lines.append(f"Journal: {result.journal_head}")
    return "\n".join(lines) + "\n"


def resolved(result: Resolved, *, color: bool = False, width: int = WIDTH) -> str:
    """What a recovery found out, what is still open before what is not."""
    paint = Paint(color)
    lines = []
    for problem in sorted(result.problems, key=lambda one: not one.indeterminate):
        lines += problem_lines(problem, paint, width)
    told = {problem.strategy for problem in result.problems if problem.indeterminate}
    for call in (one for one in result.open if one.strategy not in told):
        text = f"{_call(call)} may still be carried out"
        lines += marked(INDETERMINATE, text, paint, "yellow", width)
    for text in _grouped("rejected by the provider", result.rejected):
        lines += marked(BLOCKED, text, paint, "red", width)
    lines += [f"  {line}" for line in columns([_tally_cells(one) for one in result.tallies])]
    for call in result.abandoned:
        lines += wrapped(f"{_call(call)} never arrived: given up", width, first="  ", rest="    ")
    lines += _section(lines)
    lines += [paint("bold", line) for line in wrapped(_resolution(result), width, rest="      ")]
    if result.journal_head:
        lines.append(f"Journal: {result.journal_head}")
    return "\n".join(lines) + "\n"


def _resolution(result: Resolved) -> str:
    if not result.found:
        return "No call was open."
    left = len(result.open)
    parts = [
        text
        for number, text in (
            (result.ended, f"{result.ended:,} carried out"),
            (len(result.abandoned), f"{len(result.abandoned):,} given up"),
            (left, f"{left:,} still open"),
        )
        if number
    ]
    then = "Recover again, or apply." if left else "Nothing is open any more."
    return f"{count(result.found, 'call')} had no end: {', '.join(parts)}. {then}"


def _call(call: OpenCall) -> str:
    slot = f"slot {call.slot}, " if call.slot else ""
    people = f" of {count(call.participants, 'participant')}" if call.participants else ""
    return f"{safe(call.strategy)}: {slot}{WORDS[call.verb]}{people}, request {call.request_id},"


def adoption(result: Adoption, *, color: bool = False, width: int = WIDTH) -> str:
    """What was booked from the provider's own record, or why nothing was."""
    paint = Paint(color)
    lines = []
    for problem in result.problems:
        lines += problem_lines(problem, paint, width)
    if result.opened and not (result.problems or result.interrupted):
        lines += wrapped(_opened(result.opened), width, first="  ", rest="    ")
    for one in result.strategies:
        moved = f"{money(one.contributed_minor, one.currency)} in"
        moved += f", {money(one.withdrawn_minor, one.currency)} out"
        operations = count(len(one.operations), "Operation")
        people = count(one.participants, "participant")
        text = f"{safe(one.strategy)}: {operations}, {people}, {moved}"
        lines += wrapped(text, width, first="  ", rest="    ")
        for each in one.differences[:NAMED]:
            lines += wrapped(_difference(each, one.currency), width, first="    ", rest="      ")
        if len(one.differences) > NAMED:
            more = count(len(one.differences) - NAMED, "participant")
            lines.append(f"    and {more} more, in --format json")
    lines += _section(lines)
    lines += [paint("bold", line) for line in wrapped(_adopted(result), width, rest="      ")]
    lines.append(f"It took {count(result.requests, 'request')} to the provider.")
    if result.journal_head:
        lines.append(f"Journal: {result.journal_head}")
    return "\n".join(lines) + "\n"


def strangers(found: Strangers, *, color: bool = False, width: int = WIDTH) -> str:
    """Whom an Operation concerns and no cohort declares, before somebody is asked for them."""
    paint = Paint(color)
    kind, operation = found.operation
    people = count(len(found.rows), "participant")
    text = (
        f"{safe(kind)} {safe(operation)} of {safe(found.strategy)} concerns {people} whom no cohort"
        " declares. Once they are booked, a cohort that names them must declare no less."
    )
    lines = [paint("bold", line) for line in wrapped(text, width, rest="  ")]
    lines += [
        f"  {safe(code)}: {money(came, found.currency)} in, {money(went, found.currency)} out"
        for code, came, went in found.rows[:NAMED]
    ]
    if len(found.rows) > NAMED:
        lines.append(f"  and {count(len(found.rows) - NAMED, 'participant')} more")
    return "\n".join(lines) + "\n"


def _opened(opened: Opened) -> str:
    people = count(opened.participants, "participant")
    return (
        f"The signed totals of {safe(opened.at)}, {count(opened.entries, 'entry', 'entries')}:"
        f" {count(opened.operations, 'Operation')}, {people}"
    )


def _adopted(result: Adoption) -> str:
    if result.interrupted:
        return "Interrupted: nothing was booked."
    if result.problems and result.opened:
        return (
            "Nothing was booked. Run it again when that is over; where it does not end, the totals"
            " are not of what the provider shows: recover without them."
        )
    if result.problems:
        return "Nothing was booked. Run it again when that is over."
    if result.opened and not result.strategies:
        return "The journal goes on from the totals. No Operation of ours is newer."
    if not result.strategies:
        return "Nothing to book: the journal knows every Operation of ours."
    number = sum(len(one.operations) for one in result.strategies)
    different = sum(len(one.differences) for one in result.strategies)
    as_declared = "What moved is what is declared."
    if different:
        people = count(different, "participant differs", "participants differ")
        as_declared = f"{people} from what is declared: look at the next plan."
    return f"Booked {count(number, 'Operation')} from the provider's record. {as_declared}"


def _difference(each: Difference, currency: str) -> str:
    parts = [
        f"declared {word} {money(declared, currency)}, moved {money(moved, currency)}"
        for word, declared, moved in (
            ("in", each.declared_in_minor, each.moved_in_minor),
            ("out", each.declared_out_minor, each.moved_out_minor),
        )
        if declared != moved
    ]
    return f"{safe(each.participant_code)}: {'; '.join(parts)}"


def _section(lines: Sequence[str]) -> list[str]:
    return [""] if lines else []


def _ordered(result: Applied) -> list[Tally]:
    """By Strategy, then in the order in which calls are sent."""
    return sorted(result.tallies, key=lambda one: (one.strategy, VERB_ORDER.index(one.verb)))


def applied_headline(result: Applied) -> str:
    """How it ended, and what was done, in the words of the plan's headline."""
    return " ".join(_sentences(result))


def _sentences(result: Applied) -> Iterator[str]:
    opened = [problem for problem in result.problems if problem.indeterminate]
    if not result.tallies and not result.problems and not result.interrupted:
        needed = ": what was approved is no longer needed" if result.not_needed else ""
        yield f"Nothing to apply{needed}."
        return
    if opened:
        outcomes = count(len(opened), "open outcome")
        yield f"Not finished: {outcomes}. Apply again to find out; nothing is sent twice."
    elif result.interrupted:
        yield "Interrupted. Apply again to do the rest."
    part = bool(opened or result.interrupted or result.problems or result.rejected)
    done = list(_done(result.tallies))
    yield f"Applied{' in part' if part else ''}: {', '.join(done) or 'nothing'}."
    yield f"{'; '.join(_figures(result))}."


def _done(tallies: Iterable[Tally]) -> Iterator[str]:
    tallied = list(tallies)
    for verb, words in DONE.items():
        number = sum(one.settled for one in tallied if one.verb is verb)
        if number:
            yield count(number, *words)
    for number, word in (
        (sum(one.skipped for one in tallied), "skipped"),
        (sum(one.rejected for one in tallied), "rejected"),
    ):
        if number:
            yield f"{number:,} {word}"


def _figures(result: Applied) -> Iterator[str]:
    currencies = sorted({one.currency for one in result.tallies if one.currency})
    came_in, went_out = (
        tuple((currency, _moved(result.tallies, currency, out=out)) for currency in currencies)
        for out in (False, True)
    )
    if currencies:
        yield cash(came_in, went_out)
    yield count(result.participants, "participant")
    yield count(sum(one.calls for one in result.tallies), "call")


def _moved(tallies: Iterable[Tally], currency: str, *, out: bool) -> int:
    return sum(
        one.amount_minor
        for one in tallies
        if one.currency == currency and (one.verb is Verb.PARTIAL_SELL) is out
    )


def problem_lines(problem: Problem, paint: Paint, width: int = WIDTH) -> list[str]:
    """``! blue-chip: E_CODE: detail (CUST01, CUST02)``."""
    named = f" ({_named(problem.participants)})" if problem.participants else ""
    subject = f"{safe(problem.strategy)}: " if problem.strategy else ""
    text = f"{subject}{safe(problem.code)}: {safe(problem.detail)}{named}"
    if problem.indeterminate:
        return marked(INDETERMINATE, text, paint, "yellow", width)
    return marked(BLOCKED, text, paint, "red", width)


def _tally_cells(tally: Tally) -> tuple[str, ...]:
    moves = tally.verb in (Verb.ENROLL, Verb.TOP_UP, Verb.PARTIAL_SELL)
    return (
        safe(tally.strategy),
        SYMBOLS[tally.verb],
        count(tally.settled, *DONE[tally.verb]),
        f"{tally.skipped:,} skipped" if tally.skipped else "",
        f"{tally.rejected:,} rejected" if tally.rejected else "",
        money(tally.amount_minor, tally.currency) if moves else "",
        f"in {count(tally.calls, 'call')}" if tally.calls > 1 else "",
    )


def _grouped(title: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """(strategy, participant, reason) rows, grouped by Strategy and reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for strategy, participant, reason in rows:
        groups.setdefault((strategy, reason), []).append(participant)
    for (strategy, reason), named in sorted(groups.items()):
        number = count(len(named), "participant")
        yield f"{safe(strategy)}: {number} {title}: {safe(reason)} ({_named(named)})"


def _left(rows: Iterable[tuple[str, str, str]], why: str) -> Iterator[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for strategy, verb, participant in rows:
        groups.setdefault((strategy, verb), []).append(participant)
    for (strategy, verb), named in sorted(groups.items()):
        number = count(len(named), "participant")
        yield f"{safe(strategy)}: {WORDS[Verb(verb)]} of {number} {why} ({_named(named)})"


def _named(participants: Sequence[str]) -> str:
    shown = ", ".join(safe(code) for code in sorted(participants)[:NAMED])
    hidden = len(participants) - NAMED
    return f"{shown}, and {hidden:,} more" if hidden > 0 else shown


# --- status ----------------------------------------------------------------------------------


def status(status: Status, *, color: bool = False) -> str:
    """The live summary of one environment, and what to do where something is open."""
    paint = Paint(color)
    lines = [f"{safe(status.environment)} ({safe(status.realm)}) as of {safe(status.as_of)}", ""]
    for strategy in status.strategies:
        lines += [*_strategy(strategy, paint), ""]
    for one in status.floats:
        amount = money(one.available_minor, one.currency)
        lines.append(f"float: {amount} available ({safe(one.account)})")
    head = f", head {safe(status.journal_head)}" if status.journal_head else ""
    lines.append(f"journal: {count(status.journal_entries, 'entry', 'entries')}{head}")
    if status.window:
        lines.append(window_text(status.window))
    lines += _open(status, paint)
    return "\n".join(lines) + "\n"


def _open(status: Status, paint: Paint) -> Iterator[str]:
    if status.open_intents:
        opened = count(status.open_intents, "call has", "calls have")
        yield paint("yellow", f"{INDETERMINATE} {opened} no known end")
        if not status.halted:
            yield "Next: stratctl apply, which finds out first; nothing is sent twice."
    if status.halted:
        what = "only exits may be applied" if status.halted == "exits_only" else "nothing is sent"
        yield paint("red", f"{BLOCKED} halted: {what}")
        yield "Next: stratctl resume, when it is safe to go on."


def _strategy(one: StrategyStatus, paint: Paint) -> Iterator[str]:
    yield paint("bold", f"Strategy {safe(one.name)} ({safe(one.id or 'not created yet')})")
    unmanaged = f", {one.unmanaged:,} unmanaged" if one.unmanaged else ""
    yield f"  {count(one.traders, 'Trader')}, {one.declared:,} declared{unmanaged}"
    if one.traders:
        yield f"  holdings {money(one.value_minor, one.currency)} (estimate)"
        yield f"  drift: {_drift(one)}"
    if one.weights:
        said = f"weights: {weights.text(one.weights)}"
        yield from wrapped(said, WIDTH, first="  ", rest="    ")
    for operation, kind, state in one.in_flight:
        yield f"  in flight: {safe(kind)} {safe(operation)} is {safe(state)}"
    if one.parked:
        yield paint("yellow", f"  {BLOCKED} {count(one.parked, 'participant')} parked")
    if one.problem:
        yield paint("red", f"  {BLOCKED} {safe(one.problem)}")


def _drift(one: StrategyStatus) -> str:
    off = f" ({one.outside_opted_out:,} with auto_rebalance off)" if one.outside_opted_out else ""
    outside = f"{one.outside_band:,}" if one.outside_band else "nobody"
    return f"{outside} outside the band{off}, the largest {_percent(one.drift_largest_e18)}"


def _percent(share_e18: int) -> str:
    """A share in percent with two decimals, rounded half up: for eyes, not for decisions."""
    hundredths = (share_e18 * 10_000 * 2 + 10**WEIGHT_DIGITS) // (2 * 10**WEIGHT_DIGITS)
    return f"{hundredths // 100}.{hundredths % 100:02d} %"
