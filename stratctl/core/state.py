"""The two states, desired and live: few things as frozen objects, participants as columns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction

from stratctl.core.diagnostic import Diagnostic, Settings, Span
from stratctl.core.money import WEIGHT_ONE_E18, format_weight, parse_weight
from stratctl.core.tables import Table

# --- words both states share ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vector:
    """Allocations in canonical form: assets ascending, exact weights that sum to exactly 1.

    In a rebalance a weight of 0 is a named exit. Elsewhere zero weights never appear.
    """

    weights_e18: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        assets = [asset for asset, _ in self.weights_e18]
        assert assets == sorted(set(assets)), "assets ascend and are unique"
        assert all(0 <= weight <= WEIGHT_ONE_E18 for _, weight in self.weights_e18)
        assert sum(weight for _, weight in self.weights_e18) == WEIGHT_ONE_E18

    @property
    def assets(self) -> tuple[str, ...]:
        return tuple(asset for asset, _ in self.weights_e18)

    @property
    def text(self) -> str:
        """The key that groups calls and that people see: ``BTC 0.5, ETH 0.3, SOL 0.2``."""
        return ", ".join(f"{asset} {format_weight(weight)}" for asset, weight in self.weights_e18)

    @classmethod
    def of_text(cls, text: str) -> Vector:
        """The inverse of ``text``. Raises NotExact."""
        pairs = (part.split(" ") for part in text.split(", "))
        return cls(tuple((asset, parse_weight(weight)) for asset, weight in pairs))

    def with_exits(self, exits: tuple[str, ...]) -> Vector:
        """The vector that a rebalance sends: this one, and each exit at weight 0."""
        named = tuple((asset, 0) for asset in exits if asset not in self.assets)
        return Vector(tuple(sorted(self.weights_e18 + named)))


class Verb(StrEnum):
    """What a call does. The provider's five operations, and ours around them."""

    CREATE = "create"
    METADATA = "metadata"
    LIQUIDATE = "liquidate"
    PARTIAL_SELL = "partial_sell"
    TOP_UP = "top_up"
    ENROLL = "enroll"
    REBALANCE = "rebalance"
    FLAGS = "flags"


VERB_ORDER = tuple(Verb)
"""The order of calls in a Strategy; the barrier stands just before REBALANCE. A partial sell that
needs its rebalance first stands behind it."""

TRADING_VERBS = (Verb.LIQUIDATE, Verb.PARTIAL_SELL, Verb.TOP_UP, Verb.ENROLL, Verb.REBALANCE)
"""The verbs that use a slot and become an Operation."""

OPERATION_TYPES = {
    "liquidation": Verb.LIQUIDATE,
    "partial_sell": Verb.PARTIAL_SELL,
    "top_up": Verb.TOP_UP,
    "enrollment": Verb.ENROLL,
    "rebalance": Verb.REBALANCE,
}
"""The provider's Operation types. Any other value is shown and never treated as known."""


@dataclass(frozen=True, slots=True)
class EntryContent:
    """A named contribution or payout by what it says; how it is written is no part of it."""

    key: str
    kind: str
    """funding | payouts"""
    digest: str
    """sha256 of its canonical rows: participants ascending, amounts in minor units."""
    rows: int
    amount_minor: int
    """What its rows add up to."""


# --- desired -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WeightSource:
    """A Strategy that another one takes weights from."""

    strategy: str
    share_e18: int
    """Its part of the blend; all of it for a mirror."""
    vector: Vector
    """What it holds, which is what is blended."""
    span: Span
    """Where it is named."""


@dataclass(frozen=True, slots=True)
class TransitionStep:
    """Where the weights of a Strategy are on their way from old ones to new ones."""

    number: int
    """0: before the first step, at the old weights."""
    steps: int
    """At this one the weights are the new ones."""
    before: Vector
    after: Vector
    next_on: str | None
    """The first day (UTC) of the next step; None at the last."""
    span: Span
    """Where the transition stands."""


@dataclass(frozen=True, slots=True)
class WeightProvenance:
    """How a vector was computed, for people. Nothing decides by it."""

    rule: str
    """equal_weight | blend | mirror, or allocations of a Strategy whose weights move by steps"""
    span: Span
    """Where the rule stands."""
    sources: tuple[WeightSource, ...]
    """Ascending by name; none for equal_weight."""
    uncapped: Vector
    """The weights that the rule alone gives."""
    cap_e18: int | None
    cap_span: Span | None
    vector: Vector
    """The weights that came out."""
    step: TransitionStep | None = None
    """The step that they are; None where they do not move by dates."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a group of participants should hold, and which assets it lets go of by name."""

    vector: Vector
    exits: tuple[str, ...]
    provenance: WeightProvenance | None = field(default=None, compare=False)
    """How a computed vector came about; None for a declared one."""
    span: Span | None = field(default=None, compare=False)
    """Where the weights, or the rule that computes them, stand."""

    @property
    def rebalance_vector(self) -> Vector:
        return self.vector.with_exits(self.exits)


Course = tuple[tuple[str, Target], ...]
"""(first day in UTC, target), ascending; the first day of all is empty: since ever."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Bands as fractions: a breach is strictly above any of them (policy ``drift``)."""

    absolute: Fraction
    relative: Fraction
    portfolio: Fraction
    hysteresis: Fraction = Fraction(1, 8)
    """Of each band, how much lies between where a rebalance to the edge ends and where the next
    one would begin. Above 0; at 1 the edge is the target itself."""


@dataclass(frozen=True, slots=True)
class LiveCohort:
    """A ``source: live`` cohort: the Traders that exist and that no other cohort names."""

    cohort: str
    target: int
    flag: bool | None
    """The auto_rebalance flag it declares; None when it does not manage flags."""
    allocations: bool
    flags: bool
    held: bool
    overrides_flag: bool
    span: Span


@dataclass(frozen=True, slots=True)
class DesiredStrategy:
    """One Strategy as declared, for one environment."""

    name: str
    quoted_currency: str
    metadata_json: str | None
    """Canonical JSON of the declared metadata keys; None when none are declared."""
    targets: tuple[Target, ...]
    """Index 0 is the Strategy's own, where its weights move by dates the last one; cohorts that
    override allocations add theirs."""
    rebalance_on: str
    """change | drift | never"""
    rebalance_epoch: int
    drift: Drift
    hold: bool
    provider_id: str | None
    """The provider's id of an adopted Strategy; None: found by its create id."""
    previously: tuple[str, ...]
    live_cohort: LiveCohort | None
    span: Span
    settings: Settings = ()
    """Where each setting of its document stands that is not a default."""
    course: Course = ()
    """What its own target is from which day on, where its weights move by dates."""

    def on(self, day: str) -> DesiredStrategy:
        """As it is declared for a day (YYYY-MM-DD in UTC)."""
        if not self.course:
            return self
        return replace(self, targets=(target_on(self.course, day), *self.targets[1:]))

    @property
    def assets(self) -> frozenset[str]:
        """Every asset that it allocates or lets go of, whatever the day."""
        targets = (*self.targets, *(target for _, target in self.course))
        return frozenset(asset for each in targets for asset in each.rebalance_vector.assets)


def target_on(course: Course, day: str) -> Target:
    """The target of a day: that of the latest date that has come."""
    return [target for since, target in course if since <= day][-1]


DESIRED_ROWS = {
    "strategy": "VARCHAR",
    "participant_code": "VARCHAR",
    "cohort": "VARCHAR",
    "contributed_minor": "BIGINT",
    "withdrawn_minor": "BIGINT",
    "exited": "BOOLEAN",
    "auto_rebalance": "BOOLEAN",
    "overrides_flag": "BOOLEAN",
    "target": "INTEGER",
    "manages_membership": "BOOLEAN",
    "manages_funding": "BOOLEAN",
    "manages_allocations": "BOOLEAN",
    "manages_flags": "BOOLEAN",
    "held": "BOOLEAN",
    "file": "VARCHAR",
    "line": "INTEGER",
}
"""One row per (strategy, participant_code) that a cohort names. Totals include funding and
payout entries. ``overrides_flag``: the cohort rebalances even where auto_rebalance is false."""
DESIRED_KEY = ("strategy", "participant_code")


@dataclass(frozen=True, slots=True)
class NamedEntry:
    """A named contribution or payout as it is declared; the totals hold its money already."""

    strategy: str
    content: EntryContent
    span: Span


ENTRY_MEMBERS = {"key": "VARCHAR", "participant_code": "VARCHAR"}
"""Whose money a named entry is."""


@dataclass(frozen=True)
class Desired:
    """The declared state of one environment, complete and checked."""

    strategies: tuple[DesiredStrategy, ...]
    """Ascending by name."""
    rows: Table
    """DESIRED_ROWS"""
    digest: str
    """sha256 over every byte that was read to make it, in path order."""
    warnings: tuple[Diagnostic, ...] = ()
    entries: tuple[NamedEntry, ...] = ()
    """Ascending by key."""
    entry_members: Table | None = None
    """ENTRY_MEMBERS; None is none."""

    def on(self, day: str) -> Desired:
        """As it is declared for a day (YYYY-MM-DD in UTC)."""
        return replace(self, strategies=tuple(strategy.on(day) for strategy in self.strategies))


# --- what the journal knows ------------------------------------------------------------------

BOOKED_ROWS = {
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "contributed_minor": "BIGINT",
    "withdrawn_minor": "BIGINT",
    "pending_in_minor": "BIGINT",
    "pending_out_minor": "BIGINT",
    "forfeited_in_minor": "BIGINT",
    "forfeited_out_minor": "BIGINT",
    "busy": "BOOLEAN",
    "target_text": "VARCHAR",
    "target_epoch": "INTEGER",
    "exited": "BOOLEAN",
    "parked": "VARCHAR",
    "rebalanced_at": "BIGINT",
}
"""Per participant, what our own calls moved. Settled totals count the *requested* amounts of
settled Executions; pending ones count in full until an outcome is booked. ``target_text`` is the
declared target that was last satisfied; ``exited``: a liquidation settled, or found nothing,
after the last buy. ``parked`` is the last refusal that nobody acknowledged, or NULL; two of them
(``trader_not_enrolled``, ``trader_already_enrolled``) only ask for the other verb.
``rebalanced_at``: when the last rebalance that settled was signed, in Unix seconds."""


@dataclass(frozen=True, slots=True)
class BookedOperation:
    """A committed call of ours, or an Operation that was adopted, and whether its outcome is
    booked."""

    strategy_id: str
    slot: int
    """0 for an adopted Operation that is not of our chain."""
    request_id: str
    """Empty where the provider shows none."""
    operation_id: str
    verb: Verb
    done: bool


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """A call that was written down, and is neither committed nor abandoned in the journal."""

    strategy: str
    strategy_id: str
    """Empty for CREATE."""
    slot: int
    """0 for CREATE. Metadata and flag changes are never listed: they are read back instead."""
    request_id: str
    verb: Verb
    body: str
    signed_last: int | None
    """Unix seconds of the newest ATTEMPT's signature; None when no attempt was carried out, so
    that its rows are not among the pending totals."""


@dataclass(frozen=True, slots=True)
class BoundEntry:
    """A named entry that an intent carried: it keeps its Strategy and its content for good."""

    content: EntryContent
    strategy: str
    """What the Strategy was called then."""
    strategy_id: str
    currency: str
    run: str
    commit: str | None
    at: str
    """When its first intent was written down."""
    committed: bool
    """Some intent that carried it is known to be committed; the others may yet be abandoned."""


@dataclass(frozen=True, slots=True)
class MoneySent:
    """The declared money of one call of ours: what it moved, or while nobody knows, may move."""

    currency: str
    in_minor: int
    """Enrolments and top-ups."""
    out_minor: int
    """Partial sells."""
    signed_last: int | None
    """Unix seconds of its newest signature; None: it may be carried out at any time yet."""


WAITING_ROWS = {"place": "VARCHAR", "participant_code": "VARCHAR", "since": "VARCHAR"}
"""Flows that applies found wanted and left unsent, and since when. ``place``: see waiting_place."""


def waiting_place(strategy: str, strategy_id: str) -> str:
    """What flows are remembered under: the provider's id of a Strategy, or its name before it has
    one. No id begins with a slash."""
    return strategy_id or f"/{strategy}"


@dataclass(frozen=True)
class Booked:
    """The journal's bookings. Empty when there is no journal (``known`` is then false)."""

    known: bool
    rows: Table
    """BOOKED_ROWS; intents that may have been sent count as pending."""
    operations: tuple[BookedOperation, ...]
    open_intents: tuple[OpenIntent, ...]
    strategy_ids: tuple[tuple[str, str], ...]
    """(name, provider id) of each Strategy the journal has bound."""
    applied_commit: str | None
    applied_generation: int | None
    used_acknowledgements: frozenset[str]
    halted: str | None
    """None, ``all`` or ``exits_only``."""
    head: str
    """Hash of the newest entry; empty text for an empty journal."""
    entries: tuple[BoundEntry, ...] = ()
    """Ascending by key."""
    waiting: Table | None = None
    """WAITING_ROWS; None is none."""
    strategies_seen: frozenset[str] = frozenset()
    """Ids of Strategies whose flows this journal has followed from some time on."""
    sent: tuple[MoneySent, ...] = ()
    """In the order of the intents."""


# --- live ----------------------------------------------------------------------------------

LIVE_ROWS = {
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "trader_id": "VARCHAR",
    "auto_rebalance": "BOOLEAN",
    "trader_updated_at": "VARCHAR",
    "contributed_minor": "BIGINT",
    "withdrawn_minor": "BIGINT",
    "tolerance_minor": "BIGINT",
    "has_foreign": "BOOLEAN",
    "busy": "VARCHAR",
    "target_text": "VARCHAR",
    "target_epoch": "INTEGER",
    "exited": "BOOLEAN",
    "parked": "VARCHAR",
    "standing": "VARCHAR",
    "rebalanced_at": "BIGINT",
}
"""One row per (strategy_id, participant_code) that is a Trader or has bookings; ``trader_id`` is
NULL without a Trader. Totals are settled + pending in full + forfeited + foreign. When a figure
was rebuilt from Executions it is good to ``tolerance_minor``. ``has_foreign``: an Operation that
is not ours, finished or not, is among them. ``busy`` says why nothing may be sent for the row now
(``pending``, ``foreign_operation``, ``mixed_outcome``), or NULL. ``standing`` is the participant's
status on the platform when it is known not to be approved. ``rebalanced_at``: Unix seconds of the
last rebalance of our own chain that traded; NULL when there is none."""
LIVE_KEY = ("strategy_id", "participant_code")

HOLDINGS_ROWS = {
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "asset": "VARCHAR",
    "quantity_e24": "DECIMAL(38,0)",
}
"""What each Trader holds of each crypto asset, non-zero rows only."""
HOLDINGS_KEY = (*LIVE_KEY, "asset")

PARTICIPANT_ROWS = {
    "participant_code": "VARCHAR",
    "standing": "VARCHAR",
}
"""Every participant that the platform knows: ``approved``, or the provider's status with its
reason (``locked:user_request``). A code that is not in it does not exist."""
PARTICIPANT_KEY = ("participant_code",)


class OperationStatus(StrEnum):
    """Known statuses of an Operation, from the provider's documentation."""

    VALIDATING = "validating"
    PRICING = "pricing"
    SETTLING = "settling"
    SETTLED = "settled"
    SKIPPED = "skipped"
    FAILED = "failed"


TERMINAL = frozenset(
    {OperationStatus.SETTLED.value, OperationStatus.SKIPPED.value, OperationStatus.FAILED.value}
)
"""Statuses after which nothing more happens. An unknown status is never terminal."""


@dataclass(frozen=True, slots=True)
class LiveOperation:
    """An Operation as the provider lists it. It shows neither participants nor amounts."""

    id: str
    request_id: str
    type: str
    status: str
    status_reason: str
    allocations: tuple[tuple[str, str], ...]
    created_at: str
    slot: int | None
    """Its place in our chain; None for an operation that is not ours."""

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class LiveStrategy:
    """A Strategy as the provider shows it, with its Operations."""

    id: str
    name: str
    """Our name for it."""
    request_id: str
    quoted_currency: str
    metadata_json: str | None
    updated_at: str
    operations: tuple[LiveOperation, ...]
    """Oldest first."""
    problem: str = ""
    """Why the whole Strategy must not be touched now (duplicate, gap in the chain, …), or empty."""

    @property
    def head_slot(self) -> int:
        """The highest slot of our chain that the provider knows; 0 when there is none."""
        return max((o.slot for o in self.operations if o.slot), default=0)


@dataclass(frozen=True, slots=True)
class Price:
    """A price in 10⁻⁸ of the quoted currency per unit, as shown by ``symbol_data``."""

    asset: str
    currency: str
    price_e8: int
    index_e8: int | None
    """The provider's hourly mean for comparison, when it was read."""


@dataclass(frozen=True, slots=True)
class Float:
    """The account that pays for buys, per currency: its available balance."""

    currency: str
    available_minor: int
    account: str


@dataclass(frozen=True)
class Live:
    """What the provider showed, joined with what the journal booked."""

    as_of: str
    """RFC 3339, from the clock that was handed in."""
    strategies: tuple[LiveStrategy, ...]
    """Those that are declared or bound in the journal, ascending by name."""
    rows: Table
    """LIVE_ROWS"""
    holdings: Table
    """HOLDINGS_ROWS"""
    prices: tuple[Price, ...]
    floats: tuple[Float, ...]
    precisions: tuple[tuple[str, int], ...]
    """(asset, decimals) as the provider lists its assets."""
    warnings: tuple[Diagnostic, ...] = ()
    requests: int = 0
    """How many requests the read took, for people."""
    participants: Table | None = None
    """PARTICIPANT_ROWS; None when the platform's participants were not read."""
