"""Small worlds for tests: desired and live built from short descriptions, at fixed prices."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from stratctl.core.diagnostic import Span
from stratctl.core.money import format_units, parse_amount, parse_units, parse_weight
from stratctl.core.plan import Acknowledgement, Plan
from stratctl.core.settings import (
    AT_ONCE,
    Configuration,
    Cooldown,
    Environment,
    Guard,
    Policy,
    Rollout,
)
from stratctl.core.state import (
    DESIRED_ROWS,
    HOLDINGS_ROWS,
    LIVE_ROWS,
    WAITING_ROWS,
    BoundEntry,
    Desired,
    DesiredStrategy,
    Drift,
    Float,
    Live,
    LiveOperation,
    LiveStrategy,
    NamedEntry,
    Price,
    Target,
    Vector,
    Verb,
)
from stratctl.core.tables import Workspace
from stratctl.diff import diff, refuse_changed_entries
from stratctl.plan import Origin, worked_out
from stratctl.plan.workings import Workings
from stratctl.resolve.entries import ENTRY_AMOUNTS, named_entries

STRATEGY_ID = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
PRICES = {"BTC": "60000", "ETH": "3000", "SOL": "150", "XRP": "0.5"}
OPEN_GUARDS = {
    "liquidations": 10**9,
    "asset_exits": 10**9,
    "removals": 10**9,
    "removals_share": 1,
    "cash_in": 10**15,
    "turnover": 1,
    "avoidable_sells": 1,
    "partial_sell_share": 1,
}


def vector(**weights: str) -> Vector:
    """``vector(BTC="0.5", ETH="0.5")``"""
    return Vector(tuple(sorted((asset, parse_weight(text)) for asset, text in weights.items())))


def strategy(name: str = "blue", **changes: Any) -> DesiredStrategy:
    """A declared Strategy with usual settings: BTC 0.5, ETH 0.3, SOL 0.2."""
    base = DesiredStrategy(
        name=name,
        quoted_currency="USD",
        metadata_json=None,
        targets=(Target(vector(BTC="0.5", ETH="0.3", SOL="0.2"), ()),),
        rebalance_on="change",
        rebalance_epoch=0,
        drift=Drift(Fraction("0.05"), Fraction("0.25"), Fraction("0.07")),
        hold=False,
        provider_id=None,
        previously=(),
        live_cohort=None,
        span=Span(f"strategies/{name}.yaml", 1, 1),
    )
    return replace(base, **changes)


@dataclass(frozen=True)
class Declared:
    """One declared participant; amounts as text."""

    code: str
    contributed: str = "1000"
    withdrawn: str = "0"
    exited: bool = False
    flag: bool = True
    overrides_flag: bool = False
    target: int = 0
    strategy: str = "blue"
    held: bool = False
    manages: tuple[str, ...] = ("membership", "funding", "allocations", "flags")
    line: int = 0
    """The line it is declared in; 0: its place in the list."""


@dataclass(frozen=True)
class Holder:
    """One live Trader (or a participant with bookings only, when ``trader`` is false)."""

    code: str
    holds: dict[str, str] = field(default_factory=dict)
    contributed: str = "1000"
    withdrawn: str = "0"
    target: str | None = "BTC 0.5, ETH 0.3, SOL 0.2"
    epoch: int = 0
    flag: bool = True
    trader: bool = True
    exited: bool = False
    foreign: bool = False
    busy: str | None = None
    parked: str | None = None
    standing: str | None = None
    tolerance: str = "0"
    strategy: str = "blue"
    rebalanced: str | None = None
    """When our last rebalance of the participant was sent."""


@dataclass(frozen=True)
class Entry:
    """One named entry; amounts as text. The totals of ``Declared`` hold its money already."""

    key: str
    amounts: dict[str, str]
    kind: str = "funding"
    strategy: str = "blue"
    called: str = ""
    """What its Strategy was called when it was applied; empty: as now."""


def contents(space: Workspace, entries: list[Entry]) -> tuple[NamedEntry, ...]:
    """Entries with their digests, as they are resolved."""
    rows = [
        (entry.key, entry.kind, entry.strategy, code, parse_amount(text, "USD"))
        for entry in entries
        for code, text in entry.amounts.items()
    ]
    spans = {
        entry.key: Span("strategies/cohort.yaml", 100 + place, 12)
        for place, entry in enumerate(entries)
    }
    amounts = space.table("amounts", ENTRY_AMOUNTS, list(zip(*rows, strict=True)))
    return named_entries(amounts, spans)


def holdings_worth(prices: dict[str, str] = PRICES, **usd: str) -> dict[str, str]:
    """Quantities worth the given dollars: ``holdings_worth(BTC="500", ETH="300")``."""
    quantities = {}
    for asset, text in usd.items():
        quantity = Fraction(text) / Fraction(prices[asset])
        quantities[asset] = format_units(int(quantity * 10**18), 18)
    return quantities


@dataclass
class World:
    """Desired beside live, ready to be planned."""

    declared: list[Declared] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)
    strategies: list[DesiredStrategy] = field(default_factory=lambda: [strategy()])
    absent: tuple[str, ...] = ()
    """Names of declared Strategies that do not exist yet."""
    prices: dict[str, str] = field(default_factory=lambda: dict(PRICES))
    float_usd: str = "100000000"
    guards: dict[str, Any] = field(default_factory=lambda: dict(OPEN_GUARDS))
    per_call: int = 1000
    minimum_leg: str = "5"
    minimum_account: str = "25"
    acknowledgements: tuple[Acknowledgement, ...] = ()
    funding_model: str = "novated"
    operations: dict[str, tuple[LiveOperation, ...]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    used: frozenset[str] = frozenset()
    as_of: str = "2026-11-21T12:00:00Z"
    entries: list[Entry] = field(default_factory=list)
    applied: list[Entry] = field(default_factory=list)
    """Entries that the journal has bound."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Participant of blue -> since when the journal knows its flow to wait."""
    sent_lately: tuple[tuple[str, int, int], ...] = ()
    """(currency, money in, money out) of the day before, in minor units."""
    waiting_unknown: dict[str, str] = field(default_factory=dict)
    """Strategy -> since when its flows may have waited."""
    cooldown: tuple[int, str] = (168, "0.10")
    """(hours, bypass)"""
    rollout: tuple[tuple[str, ...], int, str] | None = None
    """(stages, the last one allowed, salt); soaks take half an hour, a twentieth may be refused."""
    both_directions: str = "refuse"
    sides: tuple[tuple[str, str], ...] = ()
    """(asset, buy | sell | freeze)"""
    cash_flow: str = "off"
    destination: str = "target"
    agreed: tuple[tuple[str, Verb, Vector], ...] = ()
    """Vectors that were approved."""
    undeclared: tuple[str, ...] = ()
    """Names of Strategies that exist and are declared no more."""

    def strategy_id(self, name: str) -> str:
        index = sorted(s.name for s in self.strategies).index(name)
        return STRATEGY_ID[:-1] + format(index, "x")

    @property
    def stages(self) -> Rollout:
        """The rollout as the policy has it."""
        if self.rollout is None:
            return AT_ONCE
        shares, stage, salt = self.rollout
        return Rollout(tuple(map(Fraction, shares)), stage, salt, 30, Fraction(1, 20))

    def configuration(self, space: Workspace) -> Configuration:
        rows = [
            (
                d.strategy,
                d.code,
                "cohort",
                parse_amount(d.contributed, "USD"),
                parse_amount(d.withdrawn, "USD"),
                d.exited,
                d.flag,
                d.overrides_flag,
                d.target,
                "membership" in d.manages,
                "funding" in d.manages,
                "allocations" in d.manages,
                "flags" in d.manages,
                d.held,
                "strategies/cohort.yaml",
                d.line or line,
            )
            for line, d in enumerate(self.declared, start=1)
        ]
        return Configuration(
            environment=Environment(
                name="sandbox",
                realm="sandbox",
                endpoint="sandbox",
                platform_code="PLAT01",
                funding_model=self.funding_model,
                float_account=("00SCXM", "PLAT01", "general"),
                journal_directory=".stratctl/journal",
                journal_git=None,
                journal_persistent=False,
                generation=None,
            ),
            policy=Policy(
                drift=Drift(Fraction("0.05"), Fraction("0.25"), Fraction("0.07")),
                minimum_leg_default_e8=parse_units(self.minimum_leg, 8),
                minimum_leg_e8=(),
                minimum_account_e8=parse_units(self.minimum_account, 8),
                price_max_age_seconds=300,
                price_max_move=Fraction("0.03"),
                price_max_deviation=Fraction("0.05"),
                guards=tuple(
                    Guard(rule, Fraction(str(limit)), Span("policy.yaml", 1, 1))
                    for rule, limit in self.guards.items()
                ),
                participants_per_call=self.per_call,
                both_directions=self.both_directions,
                sides=self.sides,
                cash_flow=self.cash_flow,
                destination=self.destination,
                cooldown=Cooldown(self.cooldown[0], Fraction(self.cooldown[1])),
                rollout=self.stages,
            ),
            desired=Desired(
                strategies=tuple(
                    sorted(
                        (s for s in self.strategies if s.name not in self.undeclared),
                        key=lambda s: s.name,
                    )
                ),
                rows=space.table("desired", DESIRED_ROWS, list(zip(*rows, strict=True))),
                digest="0" * 64,
                entries=contents(space, self.entries),
            ),
            acknowledgements=self.acknowledgements,
        )

    def live(self, space: Workspace) -> Live:
        present = [s for s in self.strategies if s.name not in self.absent]
        rows = [
            (
                self.strategy_id(h.strategy),
                h.code,
                f"11111111-2222-4333-8444-{h.code:>012}".lower().replace("p", "a")
                if h.trader
                else None,
                h.flag if h.trader else None,
                "2026-01-01T00:00:00Z" if h.trader else None,
                parse_amount(h.contributed, "USD"),
                parse_amount(h.withdrawn, "USD"),
                parse_amount(h.tolerance, "USD"),
                h.foreign,
                h.busy,
                h.target,
                h.epoch,
                h.exited,
                h.parked,
                h.standing,
                int(datetime.fromisoformat(h.rebalanced).timestamp()) if h.rebalanced else None,
            )
            for h in self.holders
        ]
        holdings = [
            (self.strategy_id(h.strategy), h.code, asset, parse_units(quantity, 24))
            for h in self.holders
            for asset, quantity in h.holds.items()
            if parse_units(quantity, 24)
        ]
        return Live(
            as_of=self.as_of,
            strategies=tuple(
                LiveStrategy(
                    id=self.strategy_id(s.name),
                    name=s.name,
                    request_id="",
                    quoted_currency="USD",
                    metadata_json=self.metadata.get(s.name),
                    updated_at="2026-01-01T00:00:00Z",
                    operations=self.operations.get(s.name, ()),
                    problem=self.problems.get(s.name, ""),
                )
                for s in sorted(present, key=lambda s: s.name)
            ),
            rows=space.table("live", LIVE_ROWS, list(zip(*rows, strict=True))),
            holdings=space.table("holdings", HOLDINGS_ROWS, list(zip(*holdings, strict=True))),
            prices=tuple(
                Price(asset, "USD", parse_units(price, 8), None)
                for asset, price in sorted(self.prices.items())
            ),
            floats=(Float("USD", parse_amount(self.float_usd, "USD"), "00SCXM/PLAT01/general"),),
            precisions=(),
        )

    def bound(self, space: Workspace) -> tuple[BoundEntry, ...]:
        """What the journal has bound, by one run."""
        called = {entry.key: entry.called or entry.strategy for entry in self.applied}
        return tuple(
            BoundEntry(
                content=entry.content,
                strategy=called[entry.content.key],
                strategy_id=self.strategy_id(entry.strategy),
                currency="USD",
                run="run-1",
                commit="9d76a1b4c2e0" + "0" * 28,
                at="2026-11-01T09:00:00Z",
                committed=True,
            )
            for entry in contents(space, self.applied)
        )

    def plan(self, space: Workspace | None = None) -> Plan:
        """Diff and plan this world."""
        return self.workings(space).plan

    def workings(self, space: Workspace | None = None) -> Workings:
        """The plan with everything that it was made from."""
        space = space or Workspace()
        configuration = self.configuration(space)
        live = self.live(space)
        refuse_changed_entries(configuration.desired, live, self.bound(space))
        return worked_out(
            diff(configuration.desired, live),
            live,
            configuration,
            Origin(
                commit="c" * 40,
                as_of=live.as_of,
                expires_at="2026-11-21T16:00:00Z",
                used_acknowledgements=self.used,
                waiting=space.table(
                    "waiting",
                    WAITING_ROWS,
                    [
                        [self.strategy_id("blue")] * len(self.waiting),
                        list(self.waiting),
                        list(self.waiting.values()),
                    ],
                )
                if self.waiting
                else None,
                waiting_unknown=tuple(self.waiting_unknown.items()),
                sent_lately=self.sent_lately,
                agreed=self.agreed,
            ),
        )
