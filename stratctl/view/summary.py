"""What a plan comes to: the headline, the total that a person types, and its calls in groups."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from stratctl.core.money import PRICE_DIGITS, minor_digits
from stratctl.core.plan import Call, CallTotal, Certificate, CohortDrift, Impact, Plan
from stratctl.core.state import Vector, Verb, WeightProvenance
from stratctl.view.impact import CohortPrices, Movement, largest, prices
from stratctl.view.text import WORDS, count, digits, money, safe

_HEADLINE: Mapping[Verb, tuple[str, str]] = {
    Verb.CREATE: ("Strategy to create", "Strategies to create"),
    Verb.METADATA: ("Strategy to update", "Strategies to update"),
    Verb.ENROLL: ("to enroll", "to enroll"),
    Verb.TOP_UP: ("to top up", "to top up"),
    Verb.PARTIAL_SELL: ("to sell in part", "to sell in part"),
    Verb.REBALANCE: ("to rebalance", "to rebalance"),
    Verb.LIQUIDATE: ("to liquidate", "to liquidate"),
    Verb.FLAGS: ("flag to set", "flags to set"),
}
"""The order and the words of the headline."""

DONE: Mapping[Verb, tuple[str, str]] = {
    Verb.CREATE: ("Strategy created", "Strategies created"),
    Verb.METADATA: ("Strategy updated", "Strategies updated"),
    Verb.ENROLL: ("enrolled", "enrolled"),
    Verb.TOP_UP: ("topped up", "topped up"),
    Verb.PARTIAL_SELL: ("sold in part", "sold in part"),
    Verb.REBALANCE: ("rebalanced", "rebalanced"),
    Verb.LIQUIDATE: ("liquidated", "liquidated"),
    Verb.FLAGS: ("flag set", "flags set"),
}
"""The same, once it is done."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A plan in figures. Amounts per currency, ascending by its name."""

    empty: bool
    complete: bool
    verbs: tuple[tuple[Verb, int], ...]
    forfeits: int
    blocked: int
    cash_in_minor: tuple[tuple[str, int], ...]
    """Exact: enrolments and top-ups."""
    cash_out_minor: tuple[tuple[str, int], ...]
    """Exact: partial sells. What liquidations bring is part of the turnover."""
    turnover_minor: tuple[tuple[str, int], ...]
    """One-way sells, an estimate."""
    participants: int
    calls: int

    @property
    def headline(self) -> str:
        """One line that always has the same words."""
        return " ".join(self.sentences)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The headline: what would be done, then how much of it."""
        if self.empty:
            if self.blocked:
                return (f"No changes to send. {_blocked(self.blocked)}.",)
            hidden = "" if self.complete else ", in the part that was planned"
            return (f"No changes. Live matches the configuration{hidden}.",)
        parts = [count(number, *_HEADLINE[verb]) for verb, number in self.verbs]
        if self.forfeits:
            parts.append(f"{self.forfeits:,} to forfeit")
        figures = [
            cash(self.cash_in_minor, self.cash_out_minor),
            f"turnover {_sums(self.turnover_minor)} (estimate)",
            count(self.participants, "participant"),
            count(self.calls, "call"),
        ]
        return (f"Plan: {', '.join(parts)}.", f"{'; '.join(figures)}.")

    @property
    def cash_in(self) -> str:
        """``USD 61,500.00``, every currency."""
        return _sums(self.cash_in_minor)

    @property
    def total(self) -> str:
        """What a person types to approve: cash in + cash out + turnover, per currency.

        ``61,500.00`` for one currency, ``EUR 10.00 USD 61,500.00`` for several.
        """
        totals: dict[str, int] = {}
        for sums in (self.cash_in_minor, self.cash_out_minor, self.turnover_minor):
            for currency, amount_minor in sums:
                totals[currency] = totals.get(currency, 0) + amount_minor
        if len(totals) == 1:
            ((currency, amount_minor),) = totals.items()
            return digits(amount_minor, currency)
        return " ".join(money(totals[currency], currency) for currency in sorted(totals))


def summarise(plan: Plan) -> Summary:
    """The figures of a plan."""
    numbers: dict[Verb, int] = {}
    for call in plan.calls:
        numbers[call.verb] = numbers.get(call.verb, 0) + (call.rows or 1)
    workspace = plan.rows.workspace
    zero = [(currency, 0) for currency in _currencies(plan)]
    return Summary(
        empty=plan.empty,
        complete=plan.complete,
        verbs=tuple((verb, numbers[verb]) for verb in _HEADLINE if verb in numbers),
        forfeits=len(plan.forfeits),
        blocked=len(plan.blocked),
        cash_in_minor=_per_currency(
            [*zero, *_amounts(plan.calls, (Verb.ENROLL, Verb.TOP_UP))],
        ),
        cash_out_minor=_per_currency([*zero, *_amounts(plan.calls, (Verb.PARTIAL_SELL,))]),
        turnover_minor=_per_currency(
            [*zero, *((impact.currency, impact.turnover_minor) for impact in plan.impacts)]
        ),
        participants=workspace.one(f"SELECT count(DISTINCT participant_code) FROM {plan.rows}")[0],
        calls=sum(call.requests for call in plan.calls),
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Calls of one Strategy that do the same with the same allocations, split only by size."""

    strategy: str
    strategy_id: str | None
    verb: Verb
    vector: Vector | None
    currency: str
    calls: tuple[Call, ...]

    @property
    def rows(self) -> int:
        return sum(call.rows for call in self.calls)

    @property
    def amount_minor(self) -> int:
        return sum(call.amount_minor for call in self.calls)

    @property
    def has_amount(self) -> bool:
        return self.verb in (Verb.ENROLL, Verb.TOP_UP, Verb.PARTIAL_SELL)

    @property
    def word(self) -> str:
        """What its calls do, and that they wait if they do."""
        waits = any(call.after_rebalance for call in self.calls)
        return f"{WORDS[self.verb]} after the rebalance" if waits else WORDS[self.verb]

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Its word, participants, amount and number of calls; empty where there is nothing."""
        calls = sum(call.requests for call in self.calls)
        return (
            self.word,
            count(self.rows, "participant") if self.rows else "",
            money(self.amount_minor, self.currency) if self.has_amount else "",
            f"in {count(calls, 'call')}" if calls > 1 else "",
        )

    @property
    def exits(self) -> tuple[str, ...]:
        """Assets that a rebalance to these allocations sells in full."""
        weights = self.vector.weights_e18 if self.vector else ()
        return tuple(asset for asset, weight in weights if not weight)

    @property
    def declared(self) -> str:
        """What a creation or an update sets, in words."""
        return described(self.calls[0].body_json)


def described(body: str) -> str:
    """``USD, platform_label "Blue Chip Crypto"``: the body of a creation or an update in words."""
    try:
        document = json.loads(body)
    except json.JSONDecodeError:
        return safe(body)
    if not isinstance(document, dict):
        return safe(body)
    return ", ".join(_said(document))


def _said(document: Mapping[str, object]) -> Iterator[str]:
    rest = dict(document)
    metadata = rest.pop("metadata", None)
    if isinstance(currency := rest.pop("quoted_currency", None), str):
        yield safe(currency)
    for key, value in {**rest, **(metadata if isinstance(metadata, dict) else {})}.items():
        yield f"{safe(key)} {safe(json.dumps(value, ensure_ascii=False))}"


@dataclass(frozen=True, slots=True)
class BlockedReason:
    """Participants of one Strategy that are blocked for one reason, with one of them as example."""

    reason: str
    participants: int
    example: str
    detail: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Chapter:
    """What a plan says about one Strategy."""

    strategy: str
    strategy_id: str | None
    currency: str
    groups: tuple[Group, ...]
    """In the plan's own order."""
    blocked: tuple[BlockedReason, ...]
    """The commonest reason first."""
    satisfied: int
    """Participants who hold a changed target already, within the minimum leg."""
    forfeits: int
    forfeited_in_minor: int
    forfeited_out_minor: int
    weights: tuple[WeightProvenance, ...]
    """How its weights were computed, where that is news."""
    impacts: tuple[Impact, ...]
    certificates: tuple[Certificate, ...]
    largest: tuple[Movement, ...]
    prices: tuple[CohortPrices, ...]
    drifts: tuple[CohortDrift, ...]


def chapters(plan: Plan) -> tuple[Chapter, ...]:
    """A chapter for every Strategy that the plan says something about, ascending by name."""
    own: dict[str, list[Group]] = defaultdict(list)
    for group in _groups(plan):
        own[group.strategy].append(group)
    blocked, satisfied, forfeited = _blocked_reasons(plan), _satisfied(plan), _forfeited(plan)
    moved = (largest(plan), prices(plan))
    estimated = {impact.strategy for impact in plan.impacts}
    return tuple(
        _chapter(
            plan, name, tuple(own[name]), blocked[name], satisfied[name], forfeited[name], *moved
        )
        for name in sorted({*own, *estimated, *blocked, *satisfied, *forfeited})
    )


def _chapter(
    plan: Plan,
    name: str,
    own: tuple[Group, ...],
    blocked: list[BlockedReason],
    satisfied: int,
    forfeited: tuple[int, int, int],
    movements: tuple[Movement, ...],
    priced: tuple[CohortPrices, ...],
) -> Chapter:
    impacts = tuple(impact for impact in plan.impacts if impact.strategy == name)
    currencies = [group.currency for group in own] + [impact.currency for impact in impacts]
    return Chapter(
        strategy=name,
        strategy_id=next((group.strategy_id for group in own if group.strategy_id), None),
        currency=next(iter(currencies), "USD"),
        groups=own,
        blocked=tuple(blocked),
        satisfied=satisfied,
        forfeits=forfeited[0],
        forfeited_in_minor=forfeited[1],
        forfeited_out_minor=forfeited[2],
        weights=tuple(provenance for strategy, provenance in plan.weights if strategy == name),
        impacts=impacts,
        certificates=tuple(one for one in plan.certificates if one.strategy == name),
        largest=tuple(one for one in movements if one.strategy == name),
        prices=tuple(one for one in priced if one.strategy == name),
        drifts=tuple(one for one in plan.cohorts if one.strategy == name),
    )


def _groups(plan: Plan) -> Iterable[Group]:
    def sameness(call: Call) -> tuple[object, ...]:
        target = (call.vector, call.target_text, call.target_epoch)
        return (call.strategy, call.verb, *target, call.after_rebalance)

    for _, same in groupby(plan.calls, sameness):
        calls = tuple(same)
        first = calls[0]
        yield Group(
            first.strategy, first.strategy_id, first.verb, first.vector, first.currency, calls
        )


def _blocked_reasons(plan: Plan) -> defaultdict[str, list[BlockedReason]]:
    rows = plan.blocked.workspace.rows(
        "SELECT strategy, reason, count(*) AS participants, min(participant_code), "
        "arg_min(coalesce(detail, ''), participant_code), "
        "arg_min(coalesce(file, ''), participant_code), "
        "arg_min(coalesce(line, 0), participant_code) "
        f"FROM {plan.blocked} GROUP BY strategy, reason "
        "ORDER BY strategy, participants DESC, reason"
    )
    reasons: defaultdict[str, list[BlockedReason]] = defaultdict(list)
    for strategy, *reason in rows:
        reasons[strategy].append(BlockedReason(*reason))
    return reasons


def _satisfied(plan: Plan) -> defaultdict[str, int]:
    rows = plan.satisfied.workspace.rows(
        f"SELECT strategy, count(*) FROM {plan.satisfied} GROUP BY strategy ORDER BY strategy"
    )
    return defaultdict(int, rows)


def _forfeited(plan: Plan) -> defaultdict[str, tuple[int, int, int]]:
    rows = plan.forfeits.workspace.rows(
        "SELECT strategy, count(*), coalesce(sum(forfeited_in_minor), 0)::BIGINT, "
        "coalesce(sum(forfeited_out_minor), 0)::BIGINT "
        f"FROM {plan.forfeits} GROUP BY strategy ORDER BY strategy"
    )
    return defaultdict(lambda: (0, 0, 0), {strategy: tuple(sums) for strategy, *sums in rows})


@dataclass(frozen=True, slots=True)
class Shared:
    """How many rows of a group have which reason and which flag, the commonest first."""

    reasons: tuple[tuple[str, int], ...]
    flags: tuple[tuple[bool, int], ...]

    @property
    def text(self) -> str:
        """``not enrolled yet; auto_rebalance true for 975, false for 25``."""
        reasons = [safe(reason) for reason, _ in self.reasons if reason]
        if len(self.reasons) > 1:
            reasons = [f"{number:,} {safe(reason)}" for reason, number in self.reasons if reason]
        flags = [str(flag).lower() for flag, _ in self.flags]
        if len(self.flags) > 1:
            flags = [f"{str(flag).lower()} for {number:,}" for flag, number in self.flags]
        said = [", ".join(reasons), f"auto_rebalance {', '.join(flags)}" if flags else ""]
        return "; ".join(part for part in said if part)


def shared(plan: Plan, group: Group) -> Shared:
    """Why a group's rows are there, and the flags that they set."""
    space, calls = plan.rows.workspace, _numbers(group)

    def tally(column: str) -> list[tuple[object, ...]]:
        return space.rows(
            f"SELECT {column}, count(*) AS number FROM {plan.rows} "
            f"WHERE call IN ({calls}) AND {column} IS NOT NULL "
            f"GROUP BY {column} ORDER BY number DESC, {column} DESC"
        )

    # The reason of a flag change is the flag that is declared: it would be said twice.
    reasons = () if group.verb is Verb.FLAGS else tally("reason")
    flags = tally("auto_rebalance")
    return Shared(tuple(reasons), tuple(flags))  # type: ignore[arg-type]  # as selected


@dataclass(frozen=True, slots=True)
class Participant:
    """One row of a call, as people see it."""

    code: str
    amount_minor: int | None
    moved_minor: int | None
    """What it is expected to sell, where the verb has no amount."""
    auto_rebalance: bool | None
    reason: str
    file: str | None
    line: int | None

    def money(self, currency: str) -> tuple[str, str]:
        """The amount, or what is expected to be sold, with the words before it."""
        if self.amount_minor is not None:
            return "", money(self.amount_minor, currency)
        if self.moved_minor:
            return "sells about", money(self.moved_minor, currency)
        return "", ""


def participants(plan: Plan, group: Group, *, first: int, last: int) -> list[Participant]:
    """The first and the last few rows of a group, ascending by code; all when few are left."""
    own = f"FROM {plan.rows} WHERE call IN ({_numbers(group)})"
    rows = plan.rows.workspace.rows(
        f"""
        SELECT participant_code, amount_minor, moved_e8, auto_rebalance, coalesce(reason, ''),
            file, line
        FROM (
            (SELECT * {own} ORDER BY participant_code, call LIMIT $1)
            UNION ALL
            (SELECT * {own} ORDER BY participant_code DESC, call DESC LIMIT $2)
        ) ORDER BY participant_code, call
        """,
        [first, max(0, min(last, group.rows - first))],
    )
    unit_e8 = 10 ** (PRICE_DIGITS - minor_digits(group.currency))
    return [
        Participant(code, amount, None if moved is None else int(moved) // unit_e8, *rest)
        for code, amount, moved, *rest in rows
    ]


def _numbers(group: Group) -> str:
    return ", ".join(str(call.number) for call in group.calls)


def fewest(certificates: Sequence[Certificate], totals: Sequence[CallTotal] = ()) -> str:
    """``9 calls, the fewest there can be``, or how many could be spared and where.

    Where flows share vectors the classes of calls depend on each other, and the total counts.
    """
    shared = {total.strategy for total in totals}
    alone = [one for one in certificates if one.strategy not in shared or one.verb not in _SHARING]
    calls = sum(one.calls for one in alone) + sum(one.calls for one in totals)
    least = sum(one.least for one in alone) + sum(one.least for one in totals)
    loose = [f"{safe(one.strategy)}, {certificate(one)}" for one in alone if not one.tight]
    loose += [_total(one) for one in totals if not one.tight]
    said = f"{count(calls, 'call')}, the fewest there can be"
    if loose:
        said = f"{count(calls, 'call')}, where {least:,} could do: {'; '.join(loose)}"
    return "; ".join([said, *(_runner_up(one) for one in totals if one.runner_up_calls)])


_SHARING = (Verb.PARTIAL_SELL, Verb.TOP_UP, Verb.REBALANCE)


def _total(one: CallTotal) -> str:
    calls = f"{count(one.calls, 'call')}, the fewest would be {one.least:,}"
    return f"{safe(one.strategy)}, flows and rebalances: {calls}"


def _runner_up(one: CallTotal) -> str:
    """``blue: next best 2 calls, selling USD 1,100.00 instead of USD 0.00``."""
    sells = money(one.runner_up_sells_minor or 0, one.currency)
    return (
        f"{safe(one.strategy)}: next best {count(one.runner_up_calls or 0, 'call')},"
        f" selling {sells} instead of {money(one.sells_minor, one.currency)}"
    )


def certificate(one: Certificate) -> str:
    """``enroll: 3 calls, the fewest (…)``."""
    said = "the fewest" if one.tight else f"the fewest would be {one.least:,}"
    return f"{WORDS[one.verb]}: {count(one.calls, 'call')}, {said} ({safe(one.because)})"


def cash(
    cash_in_minor: tuple[tuple[str, int], ...], cash_out_minor: tuple[tuple[str, int], ...]
) -> str:
    """``Cash in USD 61,500.00, out USD 250.00``."""
    out = f", out {_sums(cash_out_minor)}" if any_money(cash_out_minor) else ""
    return f"Cash in {_sums(cash_in_minor)}{out}"


def any_money(sums: Iterable[tuple[str, int]]) -> bool:
    """Whether any of the sums is not zero."""
    return any(amount_minor for _, amount_minor in sums)


def _currencies(plan: Plan) -> list[str]:
    named = {call.currency for call in plan.calls} | {one.currency for one in plan.impacts}
    return sorted(named) or ["USD"]


def _amounts(calls: Iterable[Call], verbs: tuple[Verb, ...]) -> Iterable[tuple[str, int]]:
    return ((call.currency, call.amount_minor) for call in calls if call.verb in verbs)


def _per_currency(amounts: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    totals: dict[str, int] = {}
    for currency, amount_minor in amounts:
        totals[currency] = totals.get(currency, 0) + amount_minor
    return tuple(sorted(totals.items()))


def _sums(amounts: tuple[tuple[str, int], ...]) -> str:
    return " and ".join(money(amount_minor, currency) for currency, amount_minor in amounts)


def _blocked(number: int) -> str:
    return f"{count(number, 'participant')} {'is' if number == 1 else 'are'} blocked"
