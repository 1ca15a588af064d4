"""A plan for a pull request. What comes from files or the provider can never become markup.

Escaping has two layers. Every ASCII character that Markdown or HTML could read as structure becomes
a character reference, which both show as text. What GitHub links *after* rendering (mentions,
issue numbers, addresses) is broken with a zero-width space, because there a reference is already
text again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stratctl.core.diagnostic import Diagnostic, Severity
from stratctl.core.plan import Plan
from stratctl.view import human
from stratctl.view.diagnostics import tally
from stratctl.view.impact import float_text
from stratctl.view.summary import (
    BlockedReason,
    Chapter,
    Group,
    Participant,
    Shared,
    chapters,
    fewest,
    participants,
    shared,
    summarise,
)
from stratctl.view.text import BLOCKED, SYMBOLS, count, digits, money, place, safe, span_text

LENGTH_MAX = 57_000
"""Characters. GitHub takes 65,536 in a comment; the rest is for what is written around it."""

SHOWN = ((200, 30), (40, 30), (10, 30), (3, 30), (0, 30), (0, 5), (0, 0))
"""(participants listed per call, findings listed), fewer and fewer until the whole fits."""

PRICES_SHOWN = 50

Listed = Mapping[Group, tuple[Shared, Sequence[Participant]]]
"""Groups that have participants, with why, and with as many of them as could be shown."""

_STRUCTURE = re.compile(r"[&<>\"'`*_\[\](){}|~\\!#$^=+]")
_LINKED = re.compile(
    r"(?<=@)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=#)(?=[0-9])|(?<=GH-)(?=[0-9])", re.IGNORECASE
)


def escape(text: str, *, longest: int = 200) -> str:
    """Text from a file or the provider as text of a Markdown paragraph or table cell."""
    pieces = _LINKED.split(safe(text, longest=longest))
    return "&#8203;".join(
        _STRUCTURE.sub(lambda found: f"&#{ord(found[0])};", piece) for piece in pieces
    )


def plan(plan: Plan, *, limit: int = LENGTH_MAX) -> str:
    """The plan as Markdown of at most ``limit`` characters; what is left out is counted."""
    told = chapters(plan)
    listed = {
        group: (shared(plan, group), participants(plan, group, first=SHOWN[0][0], last=0))
        for chapter in told
        for group in chapter.groups
        if group.rows
    }
    for rows_shown, findings_shown in SHOWN:
        frame = _Frame.of(plan, findings_shown)
        sections = [_strategy(chapter, listed, rows_shown) for chapter in told]
        text = frame.around(sections)
        if len(text) <= limit:
            return text
        if not rows_shown and frame.smallest(len(sections)) <= limit:
            return frame.cut(sections, limit)
    raise AssertionError("a plan without any of its lists fits every sensible limit")


@dataclass(frozen=True)
class _Frame:
    """What stands above and below the Strategies."""

    head: str
    tail: str

    @classmethod
    def of(cls, plan: Plan, findings_shown: int) -> _Frame:
        summary = summarise(plan)
        headline = escape(summary.headline, longest=2_000)
        head = [f"### stratctl plan: {escape(plan.environment)}", "", f"**{headline}**", ""]
        head += _findings(plan, findings_shown)
        tail = [*_conditions(plan, findings_shown)]
        if not summary.empty:
            tail += [f"Digest `{plan.digest}`", "", f"Next: {escape(_next_step(plan))}"]
        return cls("\n".join(head), "\n".join(tail) + "\n")

    def around(self, sections: Sequence[str]) -> str:
        return "\n".join([self.head, *sections, self.tail])

    def cut(self, sections: Sequence[str], limit: int) -> str:
        """As many Strategies as fit, and how many do not."""
        kept = 0
        length = self.smallest(len(sections))
        while kept < len(sections) and length + len(sections[kept]) + 1 <= limit:
            length += len(sections[kept]) + 1
            kept += 1
        return self.around([*sections[:kept], _not_shown(len(sections) - kept)])

    def smallest(self, strategies: int) -> int:
        """The length when no Strategy is shown, only their number."""
        return len(self.around([_not_shown(strategies)]))


def _next_step(plan: Plan) -> str:
    """What the reader of a pull request does now."""
    if plan.stopped:
        return human.next_step(plan)
    return (
        "review and approve. Apply reads live again and sends nothing beyond the approved plan; "
        f"this one expires at {plan.expires_at}."
    )


def _not_shown(strategies: int) -> str:
    return (
        f"**{count(strategies, 'Strategy', 'Strategies')} not shown here for length.** "
        "The headline counts all of them; `stratctl show` of the plan file lists every row.\n"
    )


# --- tables ----------------------------------------------------------------------------------


def _table(header: str, align: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Cells must have been escaped."""
    yield f"| {header} |"
    yield f"| {align} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _findings(plan: Plan, shown: int) -> Iterator[str]:
    if not plan.findings:
        return
    stopping = sum(finding.stops for finding in plan.findings)
    if stopping:
        yield f"> **Stopped by {count(stopping, 'guard')}: apply refuses this plan.**"
        yield ""
    ordered = sorted(plan.findings, key=lambda finding: not finding.stops)
    yield from _table(
        "guard | measured | limit | set in | to allow it once",
        "--- | ---: | ---: | --- | ---",
        (
            (
                f"{BLOCKED if one.stops else 'allowed'} {escape(one.rule)}: {escape(one.subject)}",
                escape(one.measured),
                escape(one.limit),
                escape(span_text(one.setting, "the default")),
                escape(human.acknowledge_with(one))
                if one.stops
                else f"acknowledged by {escape(one.acknowledged_by)}",
            )
            for one in ordered[:shown]
        ),
    )
    yield from _more(len(ordered) - shown, "guard finding")


def _more(hidden: int, what: str) -> Iterator[str]:
    if hidden > 0:
        yield f"{count(hidden, f'more {what}')}: see the plan file."
        yield ""


def _strategy(chapter: Chapter, listed: Listed, rows_shown: int) -> str:
    lines = [f"#### {escape(chapter.strategy)}", ""]
    lines += _table(
        " | change | participants | amount | to | calls",
        "--- | --- | ---: | ---: | --- | ---:",
        (*map(_group_row, chapter.groups), *map(_blocked_row, chapter.blocked)),
    )
    for group in chapter.groups:
        if group in listed:
            why, rows = listed[group]
            lines += _group_details(group, why, rows[:rows_shown])
    lines += _impact(chapter)
    return "\n".join(lines)


def _group_row(group: Group) -> tuple[str, ...]:
    to = group.vector.text if group.vector else group.declared if group.calls[0].body_json else ""
    exits = f"<br>sold in full: **{escape(', '.join(group.exits))}**" if group.exits else ""
    return (
        f"`{SYMBOLS[group.verb]}`",
        group.word,
        f"{group.rows:,}" if group.rows else "",
        _together(escape(money(group.amount_minor, group.currency))) if group.has_amount else "",
        (_together(escape(to, longest=1_000)) if group.vector else escape(to)) + exits,
        f"{sum(call.requests for call in group.calls):,}",
    )


def _together(escaped: str) -> str:
    """The same, broken into lines only after commas: no amount is torn from its asset."""
    return re.sub(r"(?<!,) ", "&nbsp;", escaped)


def _blocked_row(reason: BlockedReason) -> tuple[str, ...]:
    where = place(reason.file, reason.line)
    example = escape(f"{reason.example} {f'({where})' if where else ''} {reason.detail}")
    return (
        f"`{BLOCKED}`",
        f"blocked: {escape(reason.reason)}",
        f"{reason.participants:,}",
        "",
        f"such as {example}",
        "",
    )


def _group_details(group: Group, why: Shared, shown: Sequence[Participant]) -> Iterator[str]:
    if not shown:
        return
    hidden = group.rows - len(shown)
    yield f"<details><summary>{group.word}: {count(group.rows, 'participant')}</summary>"
    yield ""
    if why.text:
        yield f"Why: {escape(why.text)}"
        yield ""
    header, align = ["participant"], ["---"]
    if any(any(one.money(group.currency)) for one in shown):
        header.append("amount" if group.has_amount else "sells (estimate)")
        align.append("---:")
    # What is the same for everybody has been said above the table.
    several = ((len(why.flags) > 1, "auto_rebalance"), (len(why.reasons) > 1, "why"))
    header += [name for differs, name in several if differs]
    header.append("declared in")
    align += ["---"] * (len(header) - len(align))
    rows = (_participant_row(one, group, header) for one in shown)
    yield from _table(" | ".join(header), " | ".join(align), rows)
    yield from _more(hidden, "participant")
    yield "</details>"
    yield ""


def _participant_row(one: Participant, group: Group, header: Sequence[str]) -> list[str]:
    amount = one.moved_minor if one.amount_minor is None else one.amount_minor
    flag = "" if one.auto_rebalance is None else str(one.auto_rebalance).lower()
    cells = {
        "participant": escape(one.code),
        "amount": "" if amount is None else digits(amount, group.currency),
        "sells (estimate)": digits(amount, group.currency) if amount else "",
        "auto_rebalance": flag,
        "why": escape(one.reason),
        "declared in": escape(place(one.file, one.line)),
    }
    return [cells[name] for name in header]


def _impact(chapter: Chapter) -> Iterator[str]:
    said = [*human.facts(chapter)]
    if said:
        # Each begins with a word of ours, so that no text from a file begins a block.
        yield from (f"- {escape(line, longest=2_000)}" for line in said)
        yield ""
    for impact in chapter.impacts:
        legs = human.moved_by_asset(impact)
        if legs:
            yield "<details><summary>bought and sold by asset</summary>"
            yield ""
            yield from _table(
                f"{escape(impact.currency)} (estimates) | buys | sells",
                "--- | ---: | ---:",
                ((escape(asset), bought, sold) for asset, bought, sold in legs),
            )
            yield "</details>"
            yield ""


def _conditions(plan: Plan, shown: int) -> Iterator[str]:
    said = [float_text(plan, need) for need in plan.floats[:shown] if need.needed_minor]
    if plan.certificates:
        said.append(fewest(plan.certificates, plan.totals))
    prices = human.prices_text(plan, shown=PRICES_SHOWN)
    if prices and shown:
        said.append(prices)
    said += [human.window_text(plan.window)] if plan.window else []
    said += human.unmanaged_lines(plan)
    said += [f"note: {note}" for note in plan.notes[:shown]]
    yield from (f"- {escape(line, longest=2_000)}" for line in said)
    if said:
        yield ""
    yield from _diagnostics(plan.warnings[:shown])
    yield from _more(len(plan.floats) - shown, "float")
    yield from _more(len(plan.notes) - shown, "note")
    yield from _more(len(plan.warnings) - shown, "warning")


# --- findings in place of a plan -------------------------------------------------------------


def diagnostics(found: Sequence[Diagnostic], *, shown: int = 100) -> str:
    """What is wrong with the configuration, for a pull request that has no plan because of it."""
    lines = ["### stratctl: the configuration has problems", "", f"**{tally(found)}**", ""]
    worst = sorted(found, key=lambda one: one.severity is not Severity.ERROR)
    lines += _diagnostics(worst[:shown])
    if len(worst) > shown:
        lines += [f"{len(worst) - shown:,} more are in the output of `stratctl validate`.", ""]
    return "\n".join(lines)


def error(summary: str, hint: str) -> str:
    """Why there is no plan."""
    lines = ["### stratctl: no plan", "", f"**Error:** {escape(summary, longest=2_000)}", ""]
    return "\n".join([*lines, *([f"Hint: {escape(hint, longest=2_000)}", ""] if hint else [])])


def _diagnostics(found: Sequence[Diagnostic]) -> Iterator[str]:
    if not found:
        return
    yield from _table(
        "where | what | why | way out",
        "--- | --- | --- | ---",
        (
            (
                escape(span_text(one.span)),
                f"{one.severity.value} {escape(one.code)}: {escape(one.summary)}",
                escape(one.detail),
                escape(one.hint),
            )
            for one in found
        ),
    )
