"""An apply whose planner is the plain one that is the planner's oracle: cheap, for many schedules.

The journal, the recovery, the client, what reads and distrusts Strategies, and what sends are
real. The order of the steps is the pipeline's; only the tables and the planner between are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from stratctl.apply import (
    Breaker,
    CallWork,
    StrategyResult,
    StrategyWork,
    TraderRef,
    apply_strategy,
    drive,
    recover,
)
from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import InputError, PlanStale
from stratctl.core.event import Event, IntentRow, Problem, Receipt, Satisfied, Unfinished
from stratctl.core.money import format_units, parse_units
from stratctl.core.plan import Call
from stratctl.core.state import BOOKED_ROWS, TRADING_VERBS, Booked, Vector, Verb
from stratctl.journal.record import Applied, Run
from stratctl.journal.store import Journal
from stratctl.live.strategies import StrategyRead, StrategyReader
from stratctl.live.wire import values
from stratctl.pipeline.planning import PLAN_LIFE
from stratctl.pipeline.provenance import refuse_old_configuration
from stratctl.pipeline.refusals import refuse_halted
from stratctl.pipeline.session import Session, timestamp
from tests.plan.oracle import Answer, answer
from tests.sim.space import PlainSpace
from tests.worlds import PRICES, Holder

if TYPE_CHECKING:
    from tests.sim.machine import Machine
    from tests.sim.shape import Version

ORDER = tuple(Verb)
FIAT = ("USD",)


def apply_plainly(machine: Machine, version: Version) -> str:
    """Recover, read, plan, resume or give up, send. How it ended, as an exit code."""
    with machine.session(version) as session, session.open_journal() as journal:
        return _Plain(machine, version, session, journal).run()


@dataclass
class _View:
    """Live as it was read, joined with the bookings."""

    reads: dict[str, StrategyRead]
    holders: list[Holder]
    traders: dict[tuple[str, str], TraderRef]


class _Plain:
    def __init__(
        self, machine: Machine, version: Version, session: Session, journal: Journal
    ) -> None:
        self.machine, self.version = machine, version
        self.session, self.journal = session, journal
        self.space = PlainSpace()
        self.problems: list[Problem] = []

    def run(self) -> str:
        booked = self.journal.booked(self.space)
        refuse_old_configuration(self.session.provenance, self.session.environment, booked)
        refuse_halted(booked)
        unfinished = self.recover(self.journal.unfinished())
        booked = self.journal.booked(self.space)
        view = self.read(booked)
        try:
            planned = self.plan(view)
        except InputError:
            if not self.give_up(unfinished, booked, view):
                raise
            unfinished, booked = self.journal.unfinished(), self.journal.booked(self.space)
            view = self.read(booked)
            planned = self.plan(view)
        self.machine.world.invariants.intended(self.machine, planned)
        wanted = {
            one.intent.strategy: one
            for one in unfinished
            if self.is_still_wanted(one, booked, view)
        }
        unwanted = [one for one in unfinished if one not in wanted.values()]
        if unwanted:
            self.recover(unwanted, give_up=True)
        works = self.works(view, booked, planned, wanted)
        if not works and not unfinished:
            return self.word(())
        self.journal.append(
            Run(
                plan_digest=f"{self.version.number:064x}",
                configuration=f"{self.version.number:064x}",
                commit=None,
                generation=self.version.number,
                acknowledgements=(),
            )
        )
        breaker = Breaker()
        with self.session.clockwork.workers(4) as pool:
            futures = [pool.submit(self.send, work, breaker) for work in works]
            results = [future.result() for future in futures]
        self.journal.append(
            Applied(
                commit=None,
                generation=self.version.number,
                plan_digest=f"{self.version.number:064x}",
                complete=not self.problems,
            )
        )
        return self.word(results)

    def word(self, results: Sequence[StrategyResult]) -> str:
        """The exit code, as the pipeline's report has it."""
        problems = [*self.problems, *(p for result in results for p in result.problems)]
        if any(problem.indeterminate for problem in problems):
            return "6"
        if any(result.interrupted for result in results):
            return "130"
        return "5" if problems else "0"

    # --- before the first request -----------------------------------------------------------------

    def recover(
        self, unfinished: Sequence[Unfinished], *, give_up: bool = False
    ) -> tuple[Unfinished, ...]:
        recovered = drive(
            recover(
                unfinished,
                self.session.writer,
                wanted=lambda _: not give_up,
                wait=give_up,
                stopping=lambda: self.machine.stopping,
            ),
            self.append,
        )
        self.problems += recovered.problems
        return recovered.open

    def give_up(self, open_calls: Sequence[Unfinished], booked: Booked, view: _View) -> bool:
        """Whether some call that may yet be carried out is wanted no more, and so given up."""
        unwanted = [one for one in open_calls if not self.is_still_wanted(one, booked, view)]
        self.recover(unwanted, give_up=True)
        return bool(unwanted)

    def append(self, event: Event) -> Receipt:
        receipt = self.journal.append(event)
        self.machine.heard(event)
        return receipt

    def read(self, booked: Booked, names: Iterable[str] | None = None) -> _View:
        """What the provider has, for the Strategies of these names."""
        declared = self.session.configuration.desired.strategies
        reader = StrategyReader(
            self.session.reads, self.session.clockwork, seen=lambda subject, rows: None
        )
        realm = self.session.environment.realm
        matches = reader.match(realm, declared, booked)
        chosen = None if names is None else set(names)
        reads = {
            match.name: reader.read(realm, match, booked)
            for match in matches
            if chosen is None or match.name in chosen
        }
        self.machine.world.invariants.distrusts(
            self.machine,
            {each.strategy.id or "": each.strategy.problem or "" for each in reads.values()},
        )
        return self.joined(reads, booked)

    def joined(
        self,
        reads: dict[str, StrategyRead],
        booked: Booked,
        never_sent: Unfinished | None = None,
    ) -> _View:
        """Bookings, what nobody booked, and Traders, row by row; as if a call was never sent."""
        names = {read.strategy.id: name for name, read in reads.items()}
        rows = {(row[0], row[1]): dict(zip(BOOKED_ROWS, row, strict=True)) for row in _rows(booked)}
        counted = {
            (read.strategy.id, each.participant_code): each
            for read in reads.values()
            for each in read.counted
        }
        traders: dict[tuple[str, str], tuple[str, bool, str]] = {}
        holds: dict[tuple[str, str], dict[str, str]] = {}
        for read in reads.values():
            for page in read.traders:
                listed = (page.strategy_id, page.participant_code, page.id, page.auto_rebalance)
                columns = map(values, (*listed, page.updated_at))
                for strategy_id, code, trader_id, flag, updated_at in zip(*columns, strict=True):
                    traders[strategy_id, code] = trader_id, flag == "true", updated_at
            for held_on in read.accounts:
                columns = map(
                    values, (held_on.label, held_on.owner, held_on.asset, held_on.balance)
                )
                for strategy_id, code, asset, balance in zip(*columns, strict=True):
                    units = parse_units(balance, 24)
                    if units and asset not in FIAT:
                        held = holds.setdefault((strategy_id, code), {})
                        held[asset] = format_units(units, 24)
        holders = []
        for key in sorted({*rows, *counted, *traders}):
            if key[0] not in names:
                continue
            row, more = rows.get(key, {}), counted.get(key)
            came, went = (
                sum(int(row.get(f"{name}_minor", 0)) for name in parts)
                for parts in (
                    ("contributed", "pending_in", "forfeited_in"),
                    ("withdrawn", "pending_out", "forfeited_out"),
                )
            )
            busy = more.busy if more and more.busy else None
            if row.get("busy") and busy != "mixed_outcome":
                busy = "pending"
            if never_sent is not None and never_sent.intent.strategy_id == key[0]:
                verb = never_sent.intent.verb
                for asked in never_sent.intent.rows:
                    if asked.participant_code == key[1]:
                        busy = None
                        came -= _came(verb) * (asked.amount_minor or 0)
                        went -= _went(verb) * (asked.amount_minor or 0)
            told_exit = more.exited if more else None
            holders.append(
                Holder(
                    key[1],
                    holds=holds.get(key, {}) if key in traders else {},
                    contributed=_text(came + (more.contributed_minor if more else 0)),
                    withdrawn=_text(went + (more.withdrawn_minor if more else 0)),
                    target=row.get("target_text"),
                    epoch=row.get("target_epoch") or 0,
                    flag=key in traders and traders[key][1],
                    trader=key in traders,
                    exited=bool(row.get("exited")) if told_exit is None else told_exit,
                    foreign=bool(more and more.foreign),
                    busy=busy,
                    parked=row.get("parked"),
                    tolerance=_text(more.tolerance_minor if more else 0),
                    strategy=names[key[0]],
                )
            )
        refs = {(names[k[0]], k[1]): TraderRef(t[0], t[2]) for k, t in traders.items()}
        return _View(reads, holders, refs)

    def plan(self, view: _View) -> Answer:
        """The plain planner's answer. Raises InputError where desired contradicts live."""
        found = answer(
            replace(
                self.version.world,
                holders=view.holders,
                absent=tuple(
                    strategy.name
                    for strategy in self.version.world.strategies
                    if strategy.name not in view.reads
                ),
                problems={
                    name: read.strategy.problem
                    for name, read in view.reads.items()
                    if read.strategy.problem
                },
                prices=dict(PRICES),
                as_of=timestamp(self.session.now()),
            )
        )
        if found.error:
            raise InputError([Diagnostic(found.error, "refused by the plain planner", "", "")])
        return found

    def is_still_wanted(self, one: Unfinished, booked: Booked, view: _View) -> bool:
        """Whether it would be planned again, just like that, had it never been sent."""
        if not one.in_doubt or one.signed_last is None:
            return False
        if self.session.now().timestamp() - one.signed_last > PLAN_LIFE.total_seconds():
            return False
        intent = one.intent
        try:
            found = self.plan(self.joined(view.reads, booked, never_sent=one))
        except InputError:
            return False
        if intent.verb not in TRADING_VERBS:
            return intent.strategy in found.created
        planned = {
            code: (amount, flag)
            for strategy, verb, vector, code, amount, flag in found.sent
            if (strategy, verb, vector) == (intent.strategy, intent.verb.value, intent.vector_text)
        }
        return all(
            row.participant_code in planned
            and (planned[row.participant_code][0] or 0) >= (row.amount_minor or 0)
            and planned[row.participant_code][1] == row.auto_rebalance
            for row in intent.rows
        )

    # --- sending ----------------------------------------------------------------------------------

    def works(
        self,
        view: _View,
        booked: Booked,
        planned: Answer,
        resumed: dict[str, Unfinished],
    ) -> list[StrategyWork]:
        kept = {one.intent.request_id for one in resumed.values()}
        unproven = [o for o in self.journal.unfinished() if o.intent.request_id not in kept]
        calls = self.calls(view, planned)
        names = sorted(
            {*calls, *resumed, *(row[0] for row in planned.satisfied | planned.forfeits)}
        )
        works = []
        for name in names:
            read = view.reads.get(name)
            live = read.strategy if read else None
            committed = [o.slot for o in booked.operations if live and o.strategy_id == live.id]
            works.append(
                StrategyWork(
                    strategy=name,
                    strategy_id=live.id if live else None,
                    realm=self.session.environment.realm,
                    currency="USD",
                    head_slot=max([live.head_slot if live else 0, *committed]),
                    calls=calls.get(name, ()),
                    forfeits=tuple(sorted(row[1:] for row in planned.forfeits if row[0] == name)),
                    satisfied=tuple(
                        Satisfied(name, live.id, text, epoch, (code,))
                        for place, code, text, epoch in sorted(planned.satisfied)
                        if place == name and live
                    ),
                    resume=resumed.get(name),
                    unproven=tuple(
                        one
                        for one in unproven
                        if one.intent.strategy == name
                        or (live is not None and one.intent.strategy_id == live.id)
                    ),
                )
            )
        return works

    def calls(self, view: _View, planned: Answer) -> dict[str, tuple[CallWork, ...]]:
        """One call per Strategy, verb and vector, in the order of the verbs."""
        rows: dict[tuple[str, int, str], list[IntentRow]] = {}
        for strategy, verb, vector, code, amount, flag in sorted(planned.sent, key=str):
            group = strategy, ORDER.index(Verb(verb)), vector
            rows.setdefault(group, []).append(IntentRow(code, amount, flag))
        for name in planned.created:
            rows[name, ORDER.index(Verb.CREATE), ""] = []
        works: dict[str, list[CallWork]] = {}
        for number, (name, place, vector) in enumerate(sorted(rows), start=1):
            verb, chosen = ORDER[place], tuple(rows[name, place, vector])
            read = view.reads.get(name)
            late = verb is Verb.PARTIAL_SELL and any(
                (name, row.participant_code) in planned.late for row in chosen
            )
            call = Call(
                number=number,
                strategy=name,
                strategy_id=read.strategy.id if read else None,
                currency="USD",
                verb=verb,
                vector=Vector.of_text(vector) if vector else None,
                target_text=self.target(name) if verb is Verb.REBALANCE else "",
                target_epoch=0,
                rows=len(chosen),
                amount_minor=sum(row.amount_minor or 0 for row in chosen),
                slot=None,
                body_json='{"quoted_currency":"USD"}' if verb is Verb.CREATE else "",
            )
            if late:
                continue  # The plain machine leaves those to its next run.
            traders = tuple(
                view.traders.get((name, row.participant_code), TraderRef("", "")) for row in chosen
            )
            works.setdefault(name, []).append(
                CallWork(call, chosen, traders if verb is Verb.FLAGS else ())
            )
        return {name: tuple(some) for name, some in works.items()}

    def target(self, name: str) -> str:
        """What a rebalance of the Strategy satisfies."""
        (found,) = (s for s in self.version.world.strategies if s.name == name)
        return found.targets[0].vector.text

    def send(self, work: StrategyWork, breaker: Breaker) -> StrategyResult:
        return drive(
            apply_strategy(
                work,
                self.session.writer,
                breaker=breaker,
                stopping=lambda: self.machine.stopping,
                replan=lambda: self.replan(work),
            ),
            self.append,
        )

    def replan(self, work: StrategyWork) -> tuple[CallWork, ...]:
        """Read again; of the calls behind the barrier, the rows that are still planned."""
        booked = self.journal.booked(self.space)
        view = self.read(booked, [work.strategy])
        try:
            fresh = self.calls(view, self.plan(view)).get(work.strategy, ())
        except InputError as error:
            raise PlanStale("live moved") from error
        still = {
            (each.call.verb, each.call.vector, row): trader
            for each in fresh
            for row, trader in zip(
                each.rows, each.traders or [TraderRef("", "")] * len(each.rows), strict=True
            )
        }
        late = []
        for each in work.calls:
            if each.call.verb not in (Verb.REBALANCE, Verb.FLAGS):
                continue
            kind = each.call.verb, each.call.vector
            rows = tuple(row for row in each.rows if (*kind, row) in still)
            if rows:
                refs = tuple(still[*kind, row] for row in rows)
                late.append(CallWork(each.call, rows, refs if each.traders else ()))
        return tuple(late)


def _rows(booked: Booked) -> list[tuple[Any, ...]]:
    return booked.rows.rows()


def _came(verb: Verb) -> int:
    return int(verb in (Verb.ENROLL, Verb.TOP_UP))


def _went(verb: Verb) -> int:
    return int(verb is Verb.PARTIAL_SELL)


def _text(minor: int) -> str:
    return str(Fraction(minor, 100))
