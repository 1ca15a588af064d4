"""What a plan does in money, in words: said in every view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stratctl.core.money import PRICE_DIGITS, minor_digits
from stratctl.core.plan import Call, CohortDrift, FloatNeed, Impact, Plan
from stratctl.core.state import TRADING_VERBS, Verb
from stratctl.view.text import WORDS, count, money, percent, safe

LARGEST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Movement:
    """One participant's movement in a plan."""

    strategy: str
    currency: str
    verb: Verb
    code: str
    moved_minor: int


@dataclass(frozen=True, slots=True)
class CohortPrices:
    """At how many prices the participants of a cohort trade in one verb: one for each call."""

    strategy: str
    cohort: str
    verb: Verb
    participants: int
    prices: int


def largest(plan: Plan) -> tuple[Movement, ...]:
    """The largest movements of each Strategy, where they are more than a few."""
    found = []
    for impact in plan.impacts:
        if impact.participants <= LARGEST_SHOWN or not impact.largest_minor:
            continue
        own = {call.number: call for call in plan.calls if call.strategy == impact.strategy}
        # Ordering values alone takes a tenth of ordering them with the codes that break ties, so
        # the least value that is shown is looked for first.
        moving = f"{plan.rows} WHERE call IN (SELECT unnest($1)) AND moved_e8 > 0"
        rows = plan.rows.workspace.rows(
            f"""
            SELECT call, participant_code, moved_e8::HUGEINT FROM {moving} AND moved_e8 >= (
                SELECT min(moved_e8)
                FROM (SELECT moved_e8 FROM {moving} ORDER BY moved_e8 DESC LIMIT $2))
            ORDER BY moved_e8 DESC, participant_code, call LIMIT $2
            """,
            [list(own), LARGEST_SHOWN],
        )
        unit_e8 = 10 ** (PRICE_DIGITS - minor_digits(impact.currency))
        found += [
            Movement(impact.strategy, impact.currency, own[call].verb, code, moved_e8 // unit_e8)
            for call, code, moved_e8 in rows
        ]
    return tuple(found)


def prices(plan: Plan) -> tuple[CohortPrices, ...]:
    """Every cohort and verb; everybody in one call gets one price of each asset."""
    calls = {call.number: call for call in plan.calls if call.verb in TRADING_VERBS}
    if not calls:
        return ()
    found: dict[tuple[str, str, Verb], tuple[int, int]] = {}
    for number, cohort, rows in plan.rows.workspace.rows(
        f"SELECT call, coalesce(cohort, ''), count(*) FROM {plan.rows} GROUP BY ALL ORDER BY ALL"
    ):
        if number in calls:
            call = calls[number]
            key = (call.strategy, cohort, call.verb)
            participants, priced = found.get(key, (0, 0))
            found[key] = (participants + rows, priced + 1)
    return tuple(CohortPrices(*key, *figures) for key, figures in sorted(found.items()))


def reasons(plan: Plan) -> tuple[tuple[str, Verb, str, int], ...]:
    """(Strategy, verb, reason, participants) of everything that is sent."""
    calls = {call.number: call for call in plan.calls}
    found: dict[tuple[str, Verb, str], int] = {}
    for number, reason, rows in plan.rows.workspace.rows(
        f"SELECT call, coalesce(reason, ''), count(*) FROM {plan.rows} GROUP BY ALL ORDER BY ALL"
    ):
        key = (calls[number].strategy, calls[number].verb, reason)
        found[key] = found.get(key, 0) + rows
    return tuple((*key, rows) for key, rows in sorted(found.items()))


def runs_out(plan: Plan, need: FloatNeed) -> Call | None:
    """The call with which a float runs out when calls are sent in the plan's order."""
    if need.available_minor is None:
        return None
    left_minor = need.available_minor
    for call in plan.calls:
        if call.verb in (Verb.ENROLL, Verb.TOP_UP) and call.currency == need.currency:
            left_minor -= call.amount_minor
            if left_minor < 0:
                return call
    return None


# --- in words --------------------------------------------------------------------------------


def float_text(plan: Plan, need: FloatNeed) -> str:
    """Float needed against available, what is short, and for whom."""
    needed = f"float: {money(need.needed_minor, need.currency)} needed"
    if need.available_minor is None:
        return f"{needed}, the balance of {safe(need.account)} is not known"
    available = f"{money(need.available_minor, need.currency)} available ({safe(need.account)})"
    first = runs_out(plan, need)
    if first is None:
        return f"{needed}, {available}"
    after = len([call for call in plan.calls if _buys_after(call, first)])
    more = f" and {count(after, 'call')} after it" if after else ""
    return (
        f"{needed}, {available}, short by {money(need.short_minor, need.currency)}: in the plan's"
        f" order for call {first.number} ({safe(first.strategy)}, {WORDS[first.verb]}){more}"
    )


def _buys_after(call: Call, first: Call) -> bool:
    buys = call.verb in (Verb.ENROLL, Verb.TOP_UP) and call.currency == first.currency
    return buys and call.number > first.number


def impact_lines(impact: Impact, movements: Sequence[Movement]) -> Iterator[str]:
    """Cash, the largest movements, turnover one-way and gross, and what undoing would trade."""
    currency = impact.currency
    moved = [
        f"cash {way} {money(amount_minor, currency)}"
        for way, amount_minor in (("in", impact.cash_in_minor), ("out", impact.cash_out_minor))
        if amount_minor
    ]
    if movements:
        named = ", ".join(f"{safe(m.code)} {money(m.moved_minor, currency)}" for m in movements)
        moved.append(f"largest movements {named} (estimates)")
    elif impact.largest_minor:
        moved.append(f"largest movement {money(impact.largest_minor, currency)} (estimate)")
    if moved:
        yield "; ".join(moved)
    bought = sum(bought for _, bought, _ in impact.turnover_by_asset)
    sold = sum(sold for _, _, sold in impact.turnover_by_asset)
    if impact.turnover_minor:
        yield (
            f"turnover {money(impact.turnover_minor, currency)}"
            f" of {money(impact.value_minor, currency)} held,"
            f" gross {money(bought + sold, currency)} (estimates)"
        )
    undone = [f"sell {money(bought, currency)} again"] if bought else []
    undone += [f"buy {money(sold, currency)} back"] if sold else []
    if undone:
        yield f"to undo it: {' and '.join(undone)}, at the prices of then (estimates)"
    if impact.unpriced:
        yield f"no price for {', '.join(map(safe, impact.unpriced))}"


def drift_line(drift: CohortDrift) -> str:
    """Drift before and after, and the deposit that would have done without a sell."""
    people = count(drift.participants, "participant")
    said = (
        f"drift of {safe(drift.cohort)}, {people}:"
        f" {percent(drift.before_e6)} before, {percent(drift.after_e6)} after (estimates)"
    )
    deposits = []
    if drift.deposit_minor:
        deposits.append(
            f"deposits of {money(drift.deposit_minor, drift.currency)} would repair it"
            " without a sell"
        )
    if drift.beyond_deposits:
        deposits.append(f"for {drift.beyond_deposits:,} of them no deposit would")
    return "; ".join([said, *deposits])


def prices_line(one: CohortPrices) -> str:
    """Only worth saying where a cohort does not get one price."""
    return (
        f"{safe(one.cohort)}, {WORDS[one.verb]}: {count(one.participants, 'participant')}"
        f" at {count(one.prices, 'price')}, one for each call"
    )
