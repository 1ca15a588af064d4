"""One participant after another: what is declared, what has moved, what follows, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from stratctl.core.change import FACT_ROWS
from stratctl.core.diagnostic import Span
from stratctl.core.explanation import (
    Declaration,
    Explanation,
    GuardCheck,
    Held,
    Holdings,
    Membership,
    Position,
    Totals,
)
from stratctl.core.money import PRICE_DIGITS, minor_digits
from stratctl.core.state import Verb
from stratctl.plan.explain.answers import Known, Row, answers
from stratctl.plan.explain.rules import FLOW_VERBS, checks, guards_of, strategies
from stratctl.plan.rebalance import CANDIDATE_ROWS, measured_parts

if TYPE_CHECKING:
    from stratctl.core.state import DesiredStrategy
    from stratctl.core.tables import Table
    from stratctl.plan.workings import Workings

Key = tuple[str, str]
"""(Strategy, participant code)"""


@dataclass(frozen=True)
class People:
    """What the tables of one plan say about the people who were asked about."""

    workings: Workings
    codes: tuple[str, ...]

    def everybody(self) -> Iterable[Explanation]:
        """Those that are managed, then those that are not."""
        facts = self._facts()
        now, after = self._measured(facts, flows=False), self._measured(facts, flows=True)
        for key, fact in facts.items():
            yield self._managed(fact, now.get(key, ()), after.get(key, ()))
        yield from self._others(set(facts))

    def _facts(self) -> dict[Key, Row]:
        columns = ", ".join(FACT_ROWS)
        rows = self.workings.plan.rows.workspace.select(
            "facts",
            FACT_ROWS,
            f"""
            SELECT {columns} FROM ({self.workings.changes.everybody})
            WHERE list_contains($1::VARCHAR[], participant_code)
            """,
            [list(self.codes)],
        ).rows()
        facts = [dict(zip(FACT_ROWS, row, strict=True)) for row in rows]
        return {(fact["strategy"], fact["participant_code"]): fact for fact in facts}

    def _asked(self, table: Table) -> list[Row]:
        """The rows of a table that are about the people asked about."""
        rows = table.workspace.rows(
            f"SELECT * FROM {table} WHERE list_contains($1::VARCHAR[], participant_code)"
            " ORDER BY ALL",
            [list(self.codes)],
        )
        return [dict(zip(table.schema, row, strict=True)) for row in rows]

    def _by_key(self, table: Table) -> dict[Key, list[Row]]:
        found: dict[Key, list[Row]] = defaultdict(list)
        for row in self._asked(table):
            found[row["strategy"], row["participant_code"]].append(row)
        return found

    def _measured(self, facts: Mapping[Key, Row], *, flows: bool) -> dict[Key, list[Row]]:
        """What people hold, asset by asset; with their flows, if the plan sends them."""
        rows = [
            (
                fact["strategy"],
                fact["strategy_id"],
                fact["participant_code"],
                fact["target"],
                fact["retarget"] or "watch",
                self._flow_e8(key) if flows else 0,
                None,
            )
            for key, fact in facts.items()
        ]
        space = self.workings.plan.rows.workspace
        candidates = space.table("asked", CANDIDATE_ROWS, list(zip(*rows, strict=True)))
        aims = self.workings.aims if flows else None
        found: dict[Key, list[Row]] = defaultdict(list)
        for strategy, code, *measured in measured_parts(
            candidates, self.workings.live, self.workings.terms, aims
        ):
            found[strategy, code].append(dict(zip(_MEASURES, measured, strict=True)))
        return found

    def _flow_e8(self, key: Key) -> int:
        return sum(
            one.amount_minor
            * _minor_e8(one.call.currency)
            * (-1 if one.call.verb is Verb.PARTIAL_SELL else 1)
            for one in self._memberships.get(key, ())
            # Behind the rebalance it changes nothing of what the rebalance is judged on.
            if one.call.verb in FLOW_VERBS
            and one.amount_minor is not None
            and not one.call.after_rebalance
        )

    @cached_property
    def _memberships(self) -> dict[Key, list[Membership]]:
        plan = self.workings.plan
        calls = {call.number: call for call in plan.calls}
        found: dict[Key, list[Membership]] = defaultdict(list)
        for row in self._asked(plan.rows):
            call = calls[row["call"]]
            found[call.strategy, row["participant_code"]].append(
                Membership(
                    call=call,
                    request_id=plan.request_id(call),
                    amount_minor=row["amount_minor"],
                    auto_rebalance=row["auto_rebalance"],
                    reason=row["reason"],
                    place=_place(row),
                    moved_e8=None if row["moved_e8"] is None else int(row["moved_e8"]),
                    aimed=False,
                )
            )
        return found

    @cached_property
    def _flows_held(self) -> dict[Key, list[Row]]:
        return self._by_key(self.workings.flows.blocked)

    @cached_property
    def _held(self) -> dict[Key, list[Row]]:
        return self._by_key(self.workings.plan.blocked)

    @cached_property
    def _changes(self) -> dict[Key, list[Row]]:
        return self._by_key(self.workings.changes.rows)

    @cached_property
    def _judged(self) -> dict[Key, list[Row]]:
        return self._by_key(self.workings.rebalances.judged)

    @cached_property
    def _legs(self) -> dict[Key, list[Row]]:
        return self._by_key(self.workings.rebalances.legs)

    @cached_property
    def _satisfied(self) -> dict[Key, list[Row]]:
        return self._by_key(self.workings.plan.satisfied)

    @cached_property
    def _forfeits(self) -> dict[Key, list[Row]]:
        return self._by_key(self.workings.plan.forfeits)

    # --- one participant ----------------------------------------------------------------------

    def _managed(self, fact: Row, now: Sequence[Row], after: Sequence[Row]) -> Explanation:
        key = (fact["strategy"], fact["participant_code"])
        strategy = strategies(self.workings)[fact["strategy"]]
        target = strategy.targets[fact["target"]]
        declared = {target.vector, target.rebalance_vector}
        memberships = tuple(
            replace(one, aimed=one.call.vector is not None and one.call.vector not in declared)
            for one in self._memberships.get(key, ())
        )
        verbs = {one.call.verb: one for one in memberships}
        forfeits = self._forfeits.get(key, ())
        return Explanation(
            participant_code=fact["participant_code"],
            strategy=fact["strategy"],
            strategy_id=fact["strategy_id"],
            currency=strategy.quoted_currency,
            standing="declared",
            trader_id=fact["trader_id"],
            declaration=_declaration(fact, strategy),
            holdings=self._holdings(fact, now, after, verbs),
            memberships=memberships,
            answers=tuple(answers(self._known(fact, strategy, verbs))),
            held=tuple(_held(row) for row in self._held.get(key, ())),
            satisfied=bool(self._satisfied.get(key)),
            forfeited=Totals(forfeits[0]["forfeited_in_minor"], forfeits[0]["forfeited_out_minor"])
            if forfeits
            else None,
            guards=guards_of(self.workings, [one.call for one in memberships]),
        )

    def _holdings(
        self,
        fact: Row,
        now: Sequence[Row],
        after: Sequence[Row],
        verbs: Mapping[Verb, Membership],
    ) -> Holdings | None:
        if not any(row["value_e8"] or row["weight_e18"] is None for row in (*now, *after)):
            return None
        key = (fact["strategy"], fact["participant_code"])
        leaves = Verb.LIQUIDATE in verbs
        legs = {row["asset"]: int(row["delta_e8"]) for row in self._legs.get(key, ())}
        rebalanced = Verb.REBALANCE in verbs
        before = {row["asset"]: row for row in now}
        positions = tuple(
            Position(
                asset=row["asset"],
                weight_e18=row["weight_e18"],
                measured_weight_e18=row["measured_weight_e18"],
                band_e18=row["band_e18"] or 0,
                minimum_e8=row["minimum_e8"] or 0,
                now_e8=before[row["asset"]]["value_e8"],
                after_e8=0 if leaves else row["value_e8"],
                leg_e8=legs.get(row["asset"]) if rebalanced else None,
                breached=row["breached"] and not leaves,
            )
            for row in after
        )
        (target,) = (
            row
            for row in self._targets
            if (row["strategy"], row["target"]) == (fact["strategy"], fact["target"])
        )
        return Holdings(
            positions=positions,
            now_e8=_whole(now),
            after_e8=0 if leaves else _whole(after),
            measured_e8=0 if leaves or _whole(after) is None else after[0]["measured_e8"],
            portfolio_e18=target["portfolio_e18"],
            drift_now_e18=_drift(now),
            drift_after_e18=None if leaves else _drift(after),
        )

    @cached_property
    def _targets(self) -> list[Row]:
        table = self.workings.terms.targets
        return [dict(zip(table.schema, row, strict=True)) for row in table.rows()]

    def _known(
        self, fact: Row, strategy: DesiredStrategy, verbs: Mapping[Verb, Membership]
    ) -> Known:
        key = (fact["strategy"], fact["participant_code"])
        change = next(iter(self._changes.get(key, ())), None)
        judged = next(iter(self._judged.get(key, ())), None)
        return Known(
            fact=fact,
            strategy=strategy,
            policy=self.workings.configuration.policy,
            verbs=verbs,
            flows_held=self._flows_held.get(key, ()),
            held=self._held.get(key, ()),
            stopped=(change["stopped"], change["stopped_detail"] or "")
            if change and change["stopped"]
            else None,
            verdict=judged["verdict"] if judged else None,
        )

    # --- people that nothing declares -----------------------------------------------------------

    def _others(self, managed: set[Key]) -> Iterable[Explanation]:
        """Traders that no cohort names, and codes that only the platform knows."""
        live = self.workings.live
        names = {strategy.id: strategy for strategy in live.strategies}
        removed = {
            (row["strategy"], row["participant_code"])
            for row in self._asked(self.workings.changes.removed)
        }
        known = {code for _, code in managed}
        for row in self._asked(live.rows):
            strategy = names.get(row["strategy_id"])
            if strategy is None or (strategy.name, row["participant_code"]) in managed:
                continue
            key = (strategy.name, row["participant_code"])
            known.add(row["participant_code"])
            yield _stranger(
                *reversed(key),
                standing="removed" if key in removed else "unmanaged",
                strategy_id=strategy.id,
                currency=strategy.quoted_currency,
                trader_id=row["trader_id"],
                guards=checks(self.workings, ("removals", "removals_share"))
                if key in removed
                else (),
            )
        if live.participants is not None:
            for row in self._asked(live.participants):
                if row["participant_code"] not in known:
                    yield _stranger(row["participant_code"], "", standing="unused")


_MEASURES = (
    "asset",
    "weight_e18",
    "band_e18",
    "minimum_e8",
    "value_e8",
    "whole_e8",
    "sizes_e8",
    "breached",
    "measured_e8",
    "measured_weight_e18",
)


def _stranger(
    code: str,
    strategy: str,
    *,
    standing: str,
    strategy_id: str | None = None,
    currency: str = "",
    trader_id: str | None = None,
    guards: tuple[GuardCheck, ...] = (),
) -> Explanation:
    return Explanation(
        participant_code=code,
        strategy=strategy,
        strategy_id=strategy_id,
        currency=currency,
        standing=standing,
        trader_id=trader_id,
        declaration=None,
        holdings=None,
        memberships=(),
        answers=(),
        held=(),
        satisfied=False,
        forfeited=None,
        guards=guards,
    )


def _declaration(fact: Row, strategy: DesiredStrategy) -> Declaration:
    target = strategy.targets[fact["target"]]
    managed = ("membership", "funding", "allocations", "flags")
    return Declaration(
        cohort=fact["cohort"],
        place=Span(fact["file"], fact["line"]),
        totals=Totals(fact["contributed_minor"], fact["withdrawn_minor"]),
        moved=Totals(fact["counted_in_minor"], fact["counted_out_minor"]),
        tolerance_minor=fact["tolerance_minor"],
        exited=fact["exited"],
        auto_rebalance=fact["auto_rebalance"],
        auto_rebalance_live=fact["live_flag"],
        manages=tuple(what for what in managed if fact[f"manages_{what}"]),
        target_text=target.rebalance_vector.text,
        target_place=target.span or strategy.span,
        target_last=fact["live_target_text"],
    )


def _held(row: Row) -> Held:
    return Held(row["reason"], row["detail"], _place(row), row["waiting_since"])


def _place(row: Row) -> Span | None:
    return Span(row["file"], row["line"] or 0) if row["file"] else None


def _whole(rows: Sequence[Row]) -> int | None:
    if any(row["value_e8"] is None for row in rows):
        return None
    return rows[0]["whole_e8"] if rows else 0


def _drift(rows: Sequence[Row]) -> int | None:
    """Portfolio drift, or None where there is nothing or nothing can be judged."""
    if not rows or rows[0]["sizes_e8"] is None or not rows[0]["measured_e8"]:
        return None
    return int(rows[0]["sizes_e8"] * (10**18 // 2) // rows[0]["measured_e8"])


def _minor_e8(currency: str) -> int:
    return int(10 ** (PRICE_DIGITS - minor_digits(currency)))
