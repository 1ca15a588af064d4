"""Explanations in words: why something happens to somebody, or why it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stratctl.core.explanation import (
    Answer,
    CallExplanation,
    Declaration,
    Explained,
    Explanation,
    GuardCheck,
    Holdings,
    Membership,
    Position,
    Totals,
    share_e18,
)
from stratctl.core.money import PRICE_DIGITS, minor_digits
from stratctl.core.plan import Call
from stratctl.core.state import Verb
from stratctl.core.windows import Opening
from stratctl.view.because import (
    at,
    because,
    guard_text,
    off_target,
    percent,
    points,
    rules_text,
    standing_text,
)
from stratctl.view.human import window_text
from stratctl.view.text import (
    ALLOWED,
    BLOCKED,
    COLORS,
    SYMBOLS,
    WIDTH,
    WORDS,
    Paint,
    columns,
    count,
    digits,
    money,
    safe,
    wrapped,
)

QUIET = "="
"""The sign of what stays as it is."""

_ABOUT = {
    "flow": "no flow",
    "exit": "not liquidated",
    "rebalance": "not rebalanced",
    "flag": "auto_rebalance is left alone",
}


def text(
    explained: Explained,
    *,
    window: Opening | None = None,
    color: bool = False,
    width: int = WIDTH,
) -> str:
    """Everything that was asked about; ``window``: when any of it may be sent."""
    page = _Page(Paint(color), width)
    parts = [list(page.participant(one)) for one in explained.participants]
    parts += [list(page.call(one)) for one in explained.calls]
    if window:
        parts.append(wrapped(window_text(window), width, rest="    "))
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


# --- the page ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Page:
    """Explanations on one page: in which colours, how wide."""

    paint: Paint
    width: int

    def participant(self, one: Explanation) -> Iterator[str]:
        """One participant in one Strategy."""
        where = f" in {safe(one.strategy)}" if one.strategy else ""
        trader = f" (Trader {safe(one.trader_id)})" if one.trader_id else ""
        yield self.paint("bold", f"{safe(one.participant_code)}{where}") + trader
        if said := standing_text(one):
            yield from self._wrapped(said, first="  ", rest="  ")
        if one.declaration:
            yield from self._declared(one.declaration, one.currency)
        for answer in one.answers:
            yield from self._answer(answer, one)
        yield from self._rest(one)
        if one.holdings:
            yield from _table(one.holdings, one.currency)
        yield from self._guards(one.guards)

    def _declared(self, said: Declaration, currency: str) -> Iterator[str]:
        flag = f"auto_rebalance {str(said.auto_rebalance).lower()}"
        state = "exited, " if said.exited else ""
        totals = _totals(said.totals, currency) if "funding" in said.manages else "no funding"
        declared = f"{totals}, {state}{flag}"
        cohort = f"cohort {safe(said.cohort)}, {at(said.place, '')}"
        last = f"; satisfied last: {safe(said.target_last)}" if said.target_last else ""
        if said.target_last == said.target_text:
            last = "; satisfied last as well"
        target = f"{safe(said.target_text)} ({at(said.target_place, '')}){last}"
        yield from self._wrapped(f"declared  {declared} ({cohort})", first="  ", rest=" " * 12)
        yield from self._wrapped(
            f"moved     {_totals(said.moved, currency)}", first="  ", rest=" " * 12
        )
        yield from self._wrapped(f"target    {target}", first="  ", rest=" " * 12)

    def _answer(self, answer: Answer, one: Explanation) -> Iterator[str]:
        row = _row_of(answer, one)
        said = because(answer, one)
        if not answer.happens:
            blocked = any(held.reason == answer.why for held in one.held)
            symbol, style = (BLOCKED, "yellow") if blocked else (QUIET, "dim")
            yield from self._marked(symbol, style, f"{_ABOUT[answer.about]}: {said}")
            yield from self._decided(answer)
            return
        if row is None:
            yield from self._marked(QUIET, "dim", f"auto_rebalance: {said}")
            return
        verb = row.call.verb
        yield from self._marked(
            SYMBOLS[verb], COLORS[verb], f"{WORDS[verb]}{_amount(row, one.currency)}: {said}"
        )
        yield from self._decided(answer)
        for line in _sent(row):
            yield from self._wrapped(line, first="      ", rest="         ")

    def _decided(self, answer: Answer) -> Iterator[str]:
        if answer.rules:
            said = f"by {rules_text(answer.rules)}"
            yield from self._wrapped(said, first="      ", rest="         ")

    def _rest(self, one: Explanation) -> Iterator[str]:
        """What no answer has said yet."""
        said = {answer.why for answer in one.answers if not answer.happens}
        for held in one.held:
            if held.reason not in said:
                words = ": ".join(filter(None, (safe(held.reason), safe(held.detail))))
                yield from self._marked(BLOCKED, "yellow", f"blocked, {words}")
        if one.satisfied:
            yield from self._marked(
                QUIET, "dim", "its new target is written down as satisfied, without a call"
            )
        if one.forfeited:
            lost = _totals(one.forfeited, one.currency)
            yield from self._marked(
                QUIET, "dim", f"forfeited for good by the exit, declared and never moved: {lost}"
            )

    def call(self, one: CallExplanation) -> Iterator[str]:
        """One call."""
        call = one.call
        people = f", {count(call.rows, 'participant')}" if call.rows else ""
        amount = ""
        if call.verb in (Verb.ENROLL, Verb.TOP_UP, Verb.PARTIAL_SELL):
            amount = f", {money(call.amount_minor, call.currency)}"
        title = f"Call {call.number}: {WORDS[call.verb]} in {safe(call.strategy)}"
        yield self.paint("bold", title) + people + amount
        for said in _call_facts(one):
            yield from self._wrapped(said, first="  ", rest="    ")
        if one.legs:
            yield f"  by asset, in {safe(call.currency)} (estimates)"
            cells = [
                (
                    safe(asset),
                    "buys" if bought else "",
                    digits(bought, call.currency) if bought else "",
                    "sells" if sold else "",
                    digits(sold, call.currency) if sold else "",
                )
                for asset, bought, sold in one.legs
            ]
            yield from (f"      {line}" for line in columns(cells, right=frozenset({2, 4})))
        yield from self._guards(one.guards)

    def _guards(self, checks: tuple[GuardCheck, ...]) -> Iterator[str]:
        for check in checks:
            symbol, style = (BLOCKED, "red") if check.stops else (ALLOWED, "green")
            yield from self._marked(symbol, style, f"guard {guard_text(check)}")

    def _marked(self, symbol: str, style: str, said: str) -> Iterator[str]:
        first, *rest = self._wrapped(f"{symbol} {said}", first="  ", rest="      ")
        yield f"  {self.paint(style, symbol)}{first[2 + len(symbol) :]}"
        yield from rest

    def _wrapped(self, said: str, *, first: str, rest: str) -> list[str]:
        return wrapped(said, self.width, first=first, rest=rest)


def _row_of(answer: Answer, one: Explanation) -> Membership | None:
    """The row of the plan that an answer speaks of; of flows there may be one each way."""
    verb = {
        "exit": Verb.LIQUIDATE,
        "rebalance": Verb.REBALANCE,
        "flag": Verb.FLAGS,
    }.get(answer.about, answer.why)
    return next((row for row in one.memberships if row.call.verb == verb), None)


def _amount(row: Membership, currency: str) -> str:
    if row.amount_minor is not None:
        return f" {money(row.amount_minor, currency)}"
    if row.moved_e8:
        return f", selling about {money(_minor(row.moved_e8, currency), currency)}"
    return ""


def _sent(row: Membership) -> Iterator[str]:
    """The call, its id and its vector."""
    yield f"call {row.call.number}{_identity(row.call, row.request_id)}"
    if row.call.vector:
        other = "; not the declared weights" if row.aimed else ""
        yield f"to {safe(row.call.vector.text, longest=2_000)}{other}"


def _identity(call: Call, request_id: str | None) -> str:
    slot = f", slot {call.slot}" if call.slot else ""
    return f"{slot}, request id {request_id}" if request_id else slot


def _call_facts(one: CallExplanation) -> Iterator[str]:
    call = one.call
    if identity := _identity(call, one.request_id):
        yield identity.removeprefix(", ")
    if call.vector:
        yield f"to {safe(call.vector.text, longest=2_000)}"
    if one.declared:
        yield f"declared are {safe(one.declared, longest=2_000)}: {_OTHER_WEIGHTS[call.verb]}"
    if one.reasons:
        listed = "; ".join(f"{rows:,} because {safe(why)}" for why, rows in one.reasons if why)
        yield f"why: {listed}" if listed else "why: as declared"
    yield f"when: {_BEHIND if call.after_rebalance else _WHEN[call.verb]}"
    fewest = "the fewest" if one.calls == one.least else f"the fewest would be {one.least:,}"
    calls = count(one.calls, "call")
    yield f"{calls} of this kind in the Strategy, {fewest}: {safe(one.certificate)}"
    if one.rules:
        yield f"by {rules_text(one.rules)}"
    if one.participants:
        more = call.rows - len(one.participants)
        others = f" and {more:,} more" if more > 0 else ""
        yield f"for {', '.join(map(safe, one.participants))}{others}"


_OTHER_WEIGHTS = {
    Verb.TOP_UP: "these weights also repair drift, as proven for everybody in the call",
    Verb.PARTIAL_SELL: "these weights also repair drift, as proven for everybody in the call",
    Verb.REBALANCE: "this is just inside the bands, by one vector for everybody who breached one",
}

_WHEN = {
    Verb.CREATE: "first, because every other call needs the Strategy",
    Verb.METADATA: "before anything moves",
    Verb.LIQUIDATE: "before anything is bought",
    Verb.PARTIAL_SELL: "after liquidations and before anything is bought",
    Verb.TOP_UP: "after everything that pays out",
    Verb.ENROLL: "after everything that pays out, and after top-ups",
    Verb.REBALANCE: "behind the barrier: when all calls before it have ended, live is read again,"
    " and who no longer needs it drops out",
    Verb.FLAGS: "at the end, one request for each Trader",
}
"""The one order of calls in a Strategy, which is the order of VERB_ORDER."""

_BEHIND = (
    "behind the rebalance that brings what is sold: when it has ended, live is read again, and what"
    " does not fit then waits for the next plan"
)


def _totals(totals: Totals, currency: str) -> str:
    return (
        f"contributed {money(totals.contributed_minor, currency)},"
        f" withdrawn {money(totals.withdrawn_minor, currency)}"
    )


def _minor(value_e8: int, currency: str) -> int:
    return int(value_e8 // 10 ** (PRICE_DIGITS - minor_digits(currency)))


# --- holdings against targets ------------------------------------------------------------------


def _table(holdings: Holdings, currency: str) -> Iterator[str]:
    flows = any(one.now_e8 != one.after_e8 for one in holdings.positions)
    rebalanced = any(one.leg_e8 for one in holdings.positions)
    rows = [
        (
            *("asset", "target", "band", "holds", "%"),
            *(("after flow", "%") if flows else ("", "")),
            *("off by", "", "leg" if rebalanced else ""),
        )
    ]
    for one in holdings.positions:
        after = _held(one.after_e8, holdings.after_e8, currency)
        rows.append(
            (
                safe(one.asset),
                "not named" if one.weight_e18 is None else points(one.weight_e18),
                f"±{points(one.band_e18)}" if one.weight_e18 else "",
                *_held(one.now_e8, holdings.now_e8, currency),
                *(after if flows else ("", "")),
                _off(one, holdings),
                "breached" if one.breached else "frozen" if one.frozen else "",
                _leg(one, currency),
            )
        )
    yield f"  holdings in {safe(currency)}, at the prices of the plan (estimates)"
    lines = columns(rows, right=frozenset({1, 2, 3, 4, 5, 6, 7, 9}))
    yield from (f"      {line}" for line in lines)
    drifts = [
        f"{percent(drift)} {when}"
        for drift, when in (
            (holdings.drift_now_e18, "now"),
            (holdings.drift_after_e18 if flows else None, "after the flow"),
        )
        if drift is not None
    ]
    if any(one.frozen for one in holdings.positions):
        yield "      bands are those of the other assets among themselves: frozen ones are no drift"
    if drifts:
        most = percent(holdings.portfolio_e18)
        yield f"      portfolio drift: {', '.join(drifts)}; breached above {most}"


def _held(value_e8: int | None, whole_e8: int | None, currency: str) -> tuple[str, str]:
    """A value and its share of the whole."""
    if value_e8 is None:
        return "no price", ""
    value = digits(_minor(value_e8, currency), currency)
    return value, points(share_e18(value_e8, whole_e8)) if whole_e8 else ""


def _off(one: Position, holdings: Holdings) -> str:
    """How far from its target, in points."""
    off_e18 = off_target(one, holdings)
    if off_e18 is None:
        return ""
    off = points(off_e18)
    return off if off.startswith("-") else f"+{off}"


def _leg(one: Position, currency: str) -> str:
    if one.leg_e8 is None:
        return ""
    if abs(one.leg_e8) < max(one.minimum_e8, 1):
        return "too small" if one.leg_e8 else ""
    verb = "buy" if one.leg_e8 > 0 else "sell"
    return f"{verb} {digits(_minor(abs(one.leg_e8), currency), currency)}"
