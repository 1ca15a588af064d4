"""What a plan comes to: the headline, the total that a person types, and its calls in groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from stratctl.core.plan import Call, Certificate, Impact, Plan
from stratctl.core.state import Vector, Verb
from stratctl.view.text import count, digits, money

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
        if self.empty:
            if self.blocked:
                return f"No changes to send. {_blocked(self.blocked)}."
            hidden = "" if self.complete else ", in the part that was planned"
            return f"No changes. Live matches the configuration{hidden}."
        parts = [count(number, *_HEADLINE[verb]) for verb, number in self.verbs]
        if self.forfeits:
            parts.append(f"{self.forfeits:,} to forfeit")
        cash_out = f", out {_sums(self.cash_out_minor)}" if any_money(self.cash_out_minor) else ""
        figures = [
            f"Cash in {self.cash_in}{cash_out}",
            f"turnover {_sums(self.turnover_minor)} (estimate)",
            count(self.participants, "participant"),
            count(self.calls, "call"),
        ]
        return f"Plan: {', '.join(parts)}. {'; '.join(figures)}."

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
    impacts: tuple[Impact, ...]
    certificates: tuple[Certificate, ...]


def chapters(plan: Plan) -> tuple[Chapter, ...]:
    """A chapter for every Strategy that the plan says something about, ascending by name."""
    own: dict[str, list[Group]] = defaultdict(list)
    for group in _groups(plan):
        own[group.strategy].append(group)
    blocked, satisfied, forfeited = _blocked_reasons(plan), _satisfied(plan), _forfeited(plan)
    estimated = {impact.strategy for impact in plan.impacts}
    return tuple(
        _chapter(plan, name, tuple(own[name]), blocked[name], satisfied[name], forfeited[name])
        for name in sorted({*own, *estimated, *blocked, *satisfied, *forfeited})
    )


def _chapter(
    plan: Plan,
    name: str,
    own: tuple[Group, ...],
    blocked: list[BlockedReason],
    satisfied: int,
    forfeited: tuple[int, int, int],
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
        impacts=impacts,
        certificates=tuple(one for one in plan.certificates if one.strategy == name),
    )


def _groups(plan: Plan) -> Iterable[Group]:
    def sameness(call: Call) -> tuple[object, ...]:
        return (call.strategy, call.verb, call.vector, call.target_text, call.target_epoch)

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
class Participant:
    """One row of a call, as people see it."""

    code: str
    amount_minor: int | None
    auto_rebalance: bool | None
    reason: str
    file: str | None
    line: int | None


def participants(plan: Plan, group: Group, *, first: int, last: int) -> list[Participant]:
    """The first and the last few rows of a group, ascending by code; all when few are left."""
    numbers = ", ".join(str(call.number) for call in group.calls)
    rows = plan.rows.workspace.rows(
        "SELECT participant_code, amount_minor, auto_rebalance, coalesce(reason, ''), file, line "
        f"FROM (SELECT *, row_number() OVER (ORDER BY participant_code, call) AS place "
        f"FROM {plan.rows} WHERE call IN ({numbers})) "
        "WHERE place <= ? OR place > ? ORDER BY place",
        [first, group.rows - last],
    )
    return [Participant(*row) for row in rows]


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
