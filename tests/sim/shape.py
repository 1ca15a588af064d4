"""What a schedule is about, drawn before it begins: who declares what, on which machines, against
which provider."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from stratctl.core.plan import Plan
from stratctl.core.settings import Configuration
from stratctl.core.state import Target
from stratctl.core.tables import Workspace
from tests.sim.chance import Chance
from tests.worlds import Declared, World, strategy, vector

ALONE, LOCKED, UNLOCKED, PRIVATE, BRANCH = "alone", "locked", "unlocked", "private", "branch"
ARRANGEMENTS = (ALONE, LOCKED, PRIVATE, PRIVATE, UNLOCKED, BRANCH)
"""One machine; several that share a disk and its lock; several with a journal each, as if every
lock were broken and every disk new; several that write to one journal and see no lock; several
whose journal is on a branch of one Git remote, and whose disks are their own."""

TARGETS = (
    Target(vector(BTC="0.6", ETH="0.4"), ("SOL",)),
    Target(vector(BTC="0.2", ETH="0.3", SOL="0.5"), ()),
)
"""What a Strategy may turn into: one asset sold, or other weights."""

SWITCHES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("same_id_other_body", ("replay", "400", "409", "422")),
    ("operations_lag_seconds", ("0", "4", "45")),
    ("executions_lag_seconds", ("0", "4", "45")),
    ("accounts_lag_seconds", ("0", "30")),
    ("executions_listed", ("validating", "terminal")),
    ("idempotency_scope", ("strategy", "type")),
    ("replay_status", ("200", "original")),
    ("key_retention_seconds", ("0", "86400", "259200")),
    ("partial_success_status", ("settled", "failed")),
    ("list_order", ("oldest_first", "newest_first")),
    ("page_token_kind", ("keyset", "offset")),
    ("envelope", ("wrapped", "bare")),
    ("missing_trader", ("trader_not_found", "trader_not_enrolled")),
    ("float_reserved_at", ("validating", "settling")),
)
"""Positions of the sandbox's switches that a schedule may choose; the first is the usual one."""


@dataclass(frozen=True, slots=True)
class Version:
    """One merged configuration."""

    number: int
    world: World

    def configuration(self, space: Workspace) -> Configuration:
        """What the files of this version would resolve to."""
        return self._with(self.world.configuration(space))

    def plain_configuration(self) -> Configuration:
        """The same without anybody in it, for whoever plans without tables."""
        made = _nobody()
        strategies = tuple(sorted(self.world.strategies, key=lambda each: each.name))
        return self._with(replace(made, desired=replace(made.desired, strategies=strategies)))

    def _with(self, made: Configuration) -> Configuration:
        return replace(
            made,
            environment=replace(made.environment, generation=self.number),
            desired=replace(made.desired, digest=f"{self.number:064x}"),
        )


@cache
def _nobody() -> Configuration:
    return World().configuration(Workspace())


@dataclass(frozen=True, slots=True)
class Shape:
    """The whole cast."""

    arrangement: str
    machines: int
    runs: int
    """Applies per machine, while faults are on."""
    real: bool
    """The real planner and the whole pipeline, and not the plain planner."""
    versions: tuple[Version, ...]
    switches: dict[str, str]
    faults: int
    """How many faults may happen at most."""
    permille: int
    """How often a fault happens where one could."""
    approves: bool
    """Plans are made first and applied later, as ceilings."""

    @property
    def codes(self) -> list[str]:
        return sorted({d.code for version in self.versions for d in version.world.declared})


def a_shape(chance: Chance, *, real: bool) -> Shape:
    """Draw one."""
    arrangement = chance.pick(ARRANGEMENTS)
    return Shape(
        arrangement=arrangement,
        machines=1 if arrangement == ALONE else 2 + chance.happens(250),
        runs=(1 if real else 2) + chance.happens(400),
        real=real,
        versions=_versions(chance),
        switches={
            name: positions[1 + chance.below(len(positions) - 1)]
            for name, positions in SWITCHES
            if chance.happens(250)
        },
        faults=chance.below(9),
        permille=(0, 15, 40, 120)[chance.below(4)],
        approves=real and chance.happens(400),
    )


def _versions(chance: Chance) -> tuple[Version, ...]:
    """Two to four configurations; totals only ever rise."""
    two = chance.happens(250)
    names = ("blue", "gold") if two else ("blue",)
    declared = [
        Declared(
            f"P{number:05d}",
            contributed=str(1000 + 100 * chance.below(5)),
            flag=not chance.happens(150),
            strategy=names[number % len(names)],
        )
        for number in range(1, 2 + len(names) + chance.below(2))
    ]
    strategies = [strategy(name, rebalance_on="change") for name in names]
    versions = []
    for number in range(1, 3 + chance.below(3)):
        if number > 1:
            declared = [_moved(chance, each) for each in declared]
            if chance.happens(250):
                code = f"P{len(declared) + 1:05d}"
                declared = [*declared, Declared(code, contributed="500", strategy=names[0])]
            if chance.happens(200):
                strategies[0] = replace(strategies[0], targets=(chance.pick(TARGETS),))
        versions.append(Version(number, World(declared=list(declared), strategies=[*strategies])))
    return tuple(versions)


def _moved(chance: Chance, each: Declared) -> Declared:
    """The participant's line in the next version."""
    if each.exited:
        return each
    how = chance.below(10)
    if how in (1, 2, 3):
        total = int(each.contributed) + 100 * (1 + chance.below(5))
        return replace(each, contributed=str(total))
    if how in (4, 5):
        return replace(each, withdrawn=str(int(each.withdrawn) + 100 * (1 + chance.below(2))))
    if how == 6:
        return replace(each, exited=True)
    if how == 7:
        return replace(each, flag=not each.flag)
    return each


def rows_of(plan: Plan) -> set[tuple[str, str, str, int | None]]:
    """(strategy, verb, participant, amount) of everything that a plan would send."""
    said = {call.number: (call.strategy, call.verb.value) for call in plan.calls}
    return {
        (*said[call], code, amount)
        for call, code, amount in plan.rows.workspace.rows(
            f"SELECT call, participant_code, amount_minor FROM {plan.rows} ORDER BY ALL"
        )
    }
