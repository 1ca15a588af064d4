"""Why a plan does what it does to one participant, or to the participants of one call.

Facts as they stood when the plan was made, with the settings that decided and their places. Words
for people are the view's.
"""

from __future__ import annotations

from dataclasses import dataclass

from stratctl.core.diagnostic import Span
from stratctl.core.money import WEIGHT_ONE_E18
from stratctl.core.plan import Call


@dataclass(frozen=True, slots=True)
class Rule:
    """A setting that decided."""

    name: str
    """Its keys joined with dots: ``drift.absolute``."""
    value: str
    """As a person would write it."""
    place: Span | None
    """None: the default."""


@dataclass(frozen=True, slots=True)
class GuardCheck:
    """A guard that counts what is explained, above its limit or not."""

    rule: str
    subject: str
    measured: str
    limit: str
    setting: Span | None
    """None: the default."""
    exceeded: bool
    acknowledged_by: str
    """Empty where nobody did; then an exceeded guard stops the whole plan."""

    @property
    def stops(self) -> bool:
        return self.exceeded and not self.acknowledged_by


@dataclass(frozen=True, slots=True)
class Totals:
    """Money in and out over all time, in minor units."""

    contributed_minor: int
    withdrawn_minor: int


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a cohort says about a participant."""

    cohort: str
    place: Span
    totals: Totals
    moved: Totals
    """What has moved or is moving: settled, pending, forfeited, and what others sent."""
    tolerance_minor: int
    """A difference up to this is none: moved figures that were rebuilt are only so good."""
    exited: bool
    auto_rebalance: bool
    auto_rebalance_live: bool | None
    """None without a Trader."""
    manages: tuple[str, ...]
    target_text: str
    target_place: Span
    target_last: str | None
    """The declared target that was satisfied last, where anybody knows."""


@dataclass(frozen=True, slots=True)
class Position:
    """One asset of a participant, at the plan's prices, in 10⁻⁸ of the currency.

    A value is None where no price tells it.
    """

    asset: str
    weight_e18: int | None
    """None: held, and neither allocated nor a named exit."""
    measured_weight_e18: int | None
    """What its band stands around: the declared weight, or the one among the assets that are not
    frozen. None: there is no band."""
    band_e18: int
    """The narrower of the absolute and the relative band, as a share."""
    minimum_e8: int
    now_e8: int | None
    after_e8: int | None
    """After the plan's flow, but for one that stands behind a rebalance."""
    leg_e8: int | None
    """What a rebalance of the plan trades: buys above zero, sells below. None without one."""
    breached: bool
    """After the flow it is further from its target than its band and the minimum leg."""

    @property
    def frozen(self) -> bool:
        """It is not traded, so it is not measured."""
        return self.weight_e18 is not None and self.measured_weight_e18 is None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a participant holds, asset by asset."""

    positions: tuple[Position, ...]
    now_e8: int | None
    """The sum; None where a price is missing."""
    after_e8: int | None
    measured_e8: int
    """What bands are shares of, after the flow: all but frozen assets."""
    portfolio_e18: int
    """The band of portfolio drift."""
    drift_now_e18: int | None
    """Portfolio drift: half of all distances from the target over the whole."""
    drift_after_e18: int | None


@dataclass(frozen=True, slots=True)
class Membership:
    """A row of a call."""

    call: Call
    request_id: str | None
    amount_minor: int | None
    auto_rebalance: bool | None
    reason: str
    place: Span | None
    moved_e8: int | None
    """What it is expected to move."""
    aimed: bool
    """Whether the vector is another than the declared one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Why one thing happens, or why it does not."""

    about: str
    """flow | exit | rebalance | flag"""
    happens: bool
    why: str
    """A word that stays the same: the planner's own reason or verdict."""
    detail: str
    """The planner's own words about it; empty where there are none."""
    rules: tuple[Rule, ...]
    """Settings that decided."""


@dataclass(frozen=True, slots=True)
class Held:
    """A row that is wanted and not sent."""

    reason: str
    detail: str
    place: Span | None
    waiting_since: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One participant in one Strategy."""

    participant_code: str
    strategy: str
    strategy_id: str | None
    currency: str
    standing: str
    """declared | removed (we managed it, nothing names it any more) | unmanaged (a Trader that no
    cohort names) | unused (the platform knows it, no Strategy does)."""
    trader_id: str | None
    declaration: Declaration | None
    holdings: Holdings | None
    memberships: tuple[Membership, ...]
    answers: tuple[Answer, ...]
    held: tuple[Held, ...]
    satisfied: bool
    """Already within the minimum leg of a changed target: written down, nothing sent."""
    forfeited: Totals | None
    """Declared, never moved, and closed for good by the exit."""
    guards: tuple[GuardCheck, ...]


@dataclass(frozen=True, slots=True)
class CallExplanation:
    """One call of the plan."""

    call: Call
    request_id: str | None
    reasons: tuple[tuple[str, int], ...]
    """(reason, rows), the commonest first."""
    declared: str
    """The declared vector of its participants where the call carries another; else empty."""
    certificate: str
    """Why there are as many calls of its kind as there are."""
    calls: int
    """Of its Strategy and verb."""
    least: int
    """The fewest there could be."""
    legs: tuple[tuple[str, int, int], ...]
    """(asset, bought_minor, sold_minor): estimates."""
    participants: tuple[str, ...]
    """Some of them, ascending."""
    rules: tuple[Rule, ...]
    guards: tuple[GuardCheck, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """Everything that was asked about, in the order of asking."""

    participants: tuple[Explanation, ...]
    calls: tuple[CallExplanation, ...]


def share_e18(value_e8: int, whole_e8: int) -> int:
    """A part of the whole; nothing of nothing is nothing."""
    return value_e8 * WEIGHT_ONE_E18 // whole_e8 if whole_e8 else 0
