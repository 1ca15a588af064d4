"""A plan for a terminal. The end is what stays on the screen, so the headline stands there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from stratctl.core.plan import GuardFinding, Impact, Plan
from stratctl.core.state import Verb
from stratctl.core.windows import Opening
from stratctl.view import diagnostics, weights
from stratctl.view.impact import drift_line, float_text, impact_lines, prices_line
from stratctl.view.summary import (
    Chapter,
    Group,
    Participant,
    Shared,
    certificate,
    chapters,
    fewest,
    participants,
    shared,
    summarise,
)
from stratctl.view.text import (
    ALLOWED,
    BLOCKED,
    COLORS,
    SYMBOLS,
    WIDTH,
    Paint,
    columns,
    count,
    digits,
    marked,
    money,
    place,
    safe,
    span_text,
    wrapped,
)


class Level(Enum):
    """How much is shown. No level hides an amount or the number of participants."""

    SUMMARY = "summary"
    DEFAULT = "default"
    FULL = "full"


LIQUIDATIONS_SHOWN = 200
"""Every liquidation is listed by default, up to this many; the rest is counted."""

INLINE_ASSETS = 3
"""Allocations of more assets than this have lines of their own."""


def plan(
    plan: Plan,
    *,
    level: Level = Level.DEFAULT,
    color: bool = False,
    width: int = WIDTH,
    then: str | None = None,
) -> str:
    """The plan as text that ends with its headline, its digest and what to do next.

    ``then`` says something else to do next, or, when it is empty, nothing.
    """
    paint = Paint(color)
    page = _Page(plan, level, paint, width)
    lines: list[str] = []
    if level is not Level.SUMMARY:
        for chapter in chapters(plan):
            lines += [*page.strategy(chapter), ""]
    lines += _section(page.findings())
    lines += _section(page.conditions())
    lines += _headline(plan, paint, width)
    then = next_step(plan) if then is None else then
    if then and not plan.empty:
        lines += wrapped(f"Next: {then}", width, rest="      ")
    return "\n".join(lines) + "\n"


def approved(plan: Plan, *, color: bool = False, width: int = WIDTH) -> str:
    """What is about to be sent, to somebody who has read and approved it: how much, and guards."""
    paint = Paint(color)
    findings = _Page(plan, Level.SUMMARY, paint, width).findings()
    return "\n".join([*_section(findings), *_headline(plan, paint, width)]) + "\n"


def next_step(plan: Plan, file: str = "") -> str:
    """What the reader does now, in a sentence or two. ``file`` holds the plan."""
    if plan.stopped:
        return (
            "change the configuration, or acknowledge each number above; "
            "apply refuses this plan (exit code 3)."
        )
    expires = f"It expires at {safe(plan.expires_at)}."
    sent = "live is read again, and nothing beyond this plan is sent."
    if file:
        return f"review it, then stratctl apply {safe(file)}; {sent} {expires}"
    return f"review it, then stratctl apply; {sent} {expires}"


def _headline(plan: Plan, paint: Paint, width: int) -> list[str]:
    summary = summarise(plan)
    lines = [
        paint("bold", line)
        for sentence in summary.sentences
        for line in wrapped(sentence, width, rest="      ", after_commas=True)
    ]
    return lines if summary.empty else [*lines, f"Digest: {plan.digest}"]


def _section(lines: list[str]) -> list[str]:
    return [*lines, ""] if lines else []


@dataclass(frozen=True)
class _Page:
    """One plan on one page: how much of it, in which colours, how wide."""

    plan: Plan
    level: Level
    paint: Paint
    width: int

    # --- one Strategy -------------------------------------------------------------------------

    def strategy(self, chapter: Chapter) -> Iterator[str]:
        """What the plan says about one Strategy."""
        title = f"Strategy {safe(chapter.strategy)}"
        if chapter.groups:
            title += f" ({safe(chapter.strategy_id or 'known after create')})"
        yield self.paint("bold", title)
        for group, line, below in self._group_lines(chapter.groups):
            word = group.cells[0]
            what = self.paint(COLORS[group.verb], f"{SYMBOLS[group.verb]} {word}")
            yield f"  {what}{line.removeprefix(word)}"
            yield from (
                wrapped(below, self.width, first="      ", rest="         ", after_commas=True)
                if below
                else ()
            )
            yield from self._participants(group)
        yield from _blocked(chapter, self.paint, self.width)
        for fact in facts(chapter):
            yield from self._wrapped(fact, first="  ", rest="      ")
        for impact in chapter.impacts:
            yield from _by_asset(impact)

    def _group_lines(self, groups: tuple[Group, ...]) -> Iterator[tuple[Group, str, str]]:
        """Each group's line, and what does not fit on it."""
        moving = [group for group in groups if group.rows]
        lines = columns([group.cells for group in moving], right=frozenset({1, 2}))
        aligned = dict(zip(moving, lines, strict=True))
        inline = max(map(len, lines), default=0)
        for group in groups:
            to, line = destination(group), aligned.get(group, group.cells[0])
            whole = f"{line.ljust(inline) if group.rows else line}  {to}"
            if to and not _needs_lines(group) and len(whole) + 4 <= self.width:
                yield group, whole, ""
            else:
                yield group, line, to

    def _participants(self, group: Group) -> Iterator[str]:
        if not group.rows:
            return
        if group.exits:
            said = f"sold in full: {', '.join(map(safe, group.exits))}"
            yield from (
                self.paint("red", line)
                for line in self._wrapped(said, first="      ", rest="         ")
            )
        why = shared(self.plan, group)
        if why.text:
            yield from self._wrapped(why.text, first="      ", rest="         ")
        first, last = self._shown(group)
        rows = participants(self.plan, group, first=first, last=last)
        cells = [_participant_cells(one, group.currency, why) for one in rows]
        hidden = group.rows - len(rows)
        for number, line in enumerate(columns(cells, right=frozenset({2})), start=1):
            yield f"      {line}"
            if hidden and number == first:
                yield self.paint("dim", f"      … {hidden:,} more, which -v lists …")

    def _shown(self, group: Group) -> tuple[int, int]:
        """How many rows are shown from the beginning and from the end."""
        if self.level is Level.FULL or group.rows <= 6:
            return group.rows, 0
        return (LIQUIDATIONS_SHOWN, 0) if group.verb is Verb.LIQUIDATE else (3, 1)

    # --- the whole plan -----------------------------------------------------------------------

    def findings(self) -> list[str]:
        """Guards that stop the plan first, then those that somebody acknowledged."""
        lines = []
        for finding in sorted(self.plan.findings, key=lambda finding: not finding.stops):
            symbol, style = (BLOCKED, "red") if finding.stops else (ALLOWED, "green")
            lines += marked(symbol, finding_text(finding), self.paint, style, self.width)
            lines += self._wrapped(safe(finding.subject), first="    ", rest="    ")
            if finding.stops:
                way_out = f"to allow it once: {acknowledge_with(finding)}"
                lines += self._wrapped(way_out, first="    ", rest="      ")
        return lines

    def conditions(self) -> list[str]:
        """What the plan rests on, and what it leaves out."""
        plan, lines = self.plan, []
        said = [float_text(plan, need) for need in plan.floats if need.needed_minor]
        if plan.certificates and self.level is not Level.SUMMARY:
            said.append(fewest(plan.certificates, plan.totals))
            if self.level is Level.FULL:
                said += [
                    f"    {safe(one.strategy)}, {certificate(one)}" for one in plan.certificates
                ]
        said += [window_text(plan.window)] if plan.window else []
        said += unmanaged_lines(plan)
        said += [f"note: {safe(note)}" for note in plan.notes]
        prices = prices_text(plan)
        if prices and self.level is not Level.SUMMARY:
            lines += wrapped(prices, self.width, rest="    ", after_commas=True)
        lines += [line for text in said for line in self._wrapped(text, first="", rest="    ")]
        for warning in plan.warnings:
            lines += diagnostics.lines(warning, {}, self.paint)
        return lines

    def _wrapped(self, text: str, *, first: str, rest: str) -> list[str]:
        return wrapped(text, self.width, first=first, rest=rest)


def _needs_lines(group: Group) -> bool:
    return group.vector is not None and len(group.vector.weights_e18) > INLINE_ASSETS


def destination(group: Group) -> str:
    """``to BTC 0.55, ETH 0.45``, or what a creation or an update sets."""
    if group.vector:
        return f"to {safe(group.vector.text, longest=2_000)}"
    return group.declared if group.calls[0].body_json else ""


def _participant_cells(one: Participant, currency: str, why: Shared) -> tuple[str, ...]:
    """What is the same for every row has been said above them."""
    flag = str(one.auto_rebalance).lower() if len(why.flags) > 1 else ""
    return (
        safe(one.code),
        *one.money(currency),
        f"auto_rebalance {flag}" if flag else "",
        safe(one.reason) if len(why.reasons) > 1 else "",
        place(one.file, one.line),
    )


def _blocked(chapter: Chapter, paint: Paint, width: int) -> Iterator[str]:
    if not chapter.blocked:
        return
    total = sum(reason.participants for reason in chapter.blocked)
    yield f"  {paint('yellow', BLOCKED)} blocked: {count(total, 'participant')}"
    for reason in chapter.blocked:
        where = place(reason.file, reason.line)
        example = f"{safe(reason.example)}{f' ({where})' if where else ''}"
        detail = f": {safe(reason.detail)}" if reason.detail else ""
        said = f"{reason.participants:,} {safe(reason.reason)}, such as {example}{detail}"
        yield from wrapped(said, width, first="      ", rest="         ")


def facts(chapter: Chapter) -> Iterator[str]:
    """Where weights come from, what is closed without a call, and what the calls do in money."""
    for provenance in chapter.weights:
        yield f"weights: {weights.text(provenance)}"
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
        yield from impact_lines(impact, chapter.largest)
    yield from map(drift_line, chapter.drifts)
    yield from (prices_line(one) for one in chapter.prices if one.prices > 1)


def _by_asset(impact: Impact) -> Iterator[str]:
    legs = [
        (asset, "buys" if bought else "", bought, "sells" if sold else "", sold)
        for asset, bought, sold in moved_by_asset(impact)
    ]
    if legs:
        yield f"  by asset, in {safe(impact.currency)} (estimates)"
        yield from (f"      {line}" for line in columns(legs, right=frozenset({2, 4})))


def moved_by_asset(impact: Impact) -> list[tuple[str, str, str]]:
    """(asset, bought, sold) without what does not move; empty in place of a zero."""
    return [
        (
            safe(asset),
            digits(bought, impact.currency) if bought else "",
            digits(sold, impact.currency) if sold else "",
        )
        for asset, bought, sold in impact.turnover_by_asset
        if bought or sold
    ]


# --- said in every view ----------------------------------------------------------------------


def finding_text(finding: GuardFinding) -> str:
    """Measure, limit, and where the limit is set or who acknowledged it."""
    setting = span_text(finding.setting, "the default")
    by = f", acknowledged by {safe(finding.acknowledged_by)}" if not finding.stops else ""
    return (
        f"guard {safe(finding.rule)}: {safe(finding.measured)} measured, "
        f"limit {safe(finding.limit)} ({setting}){by}"
    )


def acknowledge_with(finding: GuardFinding) -> str:
    """The exact flag that widens this guard to this number."""
    flag = f"--ack {safe(finding.rule)}={safe(finding.measured)}"
    return safe(finding.hint) if flag in finding.hint else f'{flag} --reason "…"'


def prices_text(plan: Plan, *, shown: int = 1_000) -> str:
    """The prices that the estimates rest on; empty without any."""
    moved = {asset for impact in plan.impacts for asset, *_ in impact.turnover_by_asset}
    prices = [price for price in plan.prices if price[0] in moved]
    listed = ", ".join(f"{safe(a)}/{safe(c)} {safe(price)}" for a, c, price in prices[:shown])
    if not listed:
        return ""
    hidden = len(prices) - shown
    more = f" and {hidden:,} more" if hidden > 0 else ""
    return f"prices as of {safe(plan.as_of)}: {listed}{more}"


def window_text(opening: Opening) -> str:
    """Whether apply may send now, and until or from when."""
    if opening.open:
        until = f", until {safe(opening.changes_at)}" if opening.changes_at else ""
        return f"window: apply may send now{until}"
    why = f"blackout {safe(opening.because)}" if opening.because else "no allowed window is open"
    opens = f"it opens at {safe(opening.changes_at)}" if opening.changes_at else "none is in sight"
    return f"window: apply refuses now (exit code 3), {why}; {opens}"


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
