"""The plan as a value: ordered calls, their rows, and why. Making and showing it is elsewhere.

A plan has two parts. The *binding* part is what an approval approves and what the digest covers:
realm, configuration, fences, calls and rows. The *advisory* part explains it: prices, impact,
findings, what is blocked and why. Advisory figures may differ between two equal plans.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from stratctl.core.canonical import canonical, canonical_rows
from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.slots import call_id, create_id
from stratctl.core.state import Vector, Verb, WeightProvenance
from stratctl.core.tables import Table
from stratctl.core.windows import Opening

FORMAT_VERSION = "1.0"
"""Minor adds, major breaks."""

PLAN_ROWS = {
    "call": "INTEGER",
    "participant_code": "VARCHAR",
    "amount_minor": "BIGINT",
    "auto_rebalance": "BOOLEAN",
    "trader_id": "VARCHAR",
    "trader_updated_at": "VARCHAR",
    "reason": "VARCHAR",
    "cohort": "VARCHAR",
    "file": "VARCHAR",
    "line": "INTEGER",
    "moved_e8": "DECIMAL(38,0)",
}
"""Ordered by (call, participant_code). ``amount_minor``: the flow, NULL where the verb has none.
``auto_rebalance``: the flag that an enrolment or a flag change sets. ``moved_e8`` is advisory: the
value that the row is expected to move, in 10⁻⁸ of the currency."""

BLOCKED_ROWS = {
    "strategy": "VARCHAR",
    "participant_code": "VARCHAR",
    "reason": "VARCHAR",
    "detail": "VARCHAR",
    "file": "VARCHAR",
    "line": "INTEGER",
    "waiting_since": "VARCHAR",
}
"""Rows that are wanted but not sent, each with the reason. Nothing is dropped silently.
``waiting_since``: of a flow, since when the journal knows it to wait, or now; NULL for the rest."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the provider (for FLAGS: one per row), predicted.

    ``slot`` is a prediction: the journal binds it when the call is sent. It is None where the
    Strategy does not exist yet ("known after create") and for verbs that use none.
    """

    number: int
    strategy: str
    strategy_id: str | None
    currency: str
    verb: Verb
    vector: Vector | None
    target_text: str
    """The declared target that a settled row satisfies; empty where the verb satisfies none."""
    target_epoch: int
    rows: int
    amount_minor: int
    slot: int | None
    body_json: str
    """Canonical JSON body of CREATE and METADATA; empty for verbs whose body is made of rows."""
    after_rebalance: bool = False
    """Of a partial sell: what it sells is held only once its participants were rebalanced."""

    @property
    def requests(self) -> int:
        return self.rows if self.verb is Verb.FLAGS else 1


@dataclass(frozen=True, slots=True)
class Fence:
    """What must not have moved between approval and apply, per Strategy."""

    strategy: str
    strategy_id: str | None
    head_slot: int
    foreign: tuple[str, ...]
    """Ids of foreign Operations on a Strategy whose funding is managed."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One reviewed or typed widening of guards, used once."""

    name: str
    rules: tuple[tuple[str, str], ...]
    """(rule, number as written): ``("liquidations", "3")``."""
    reason: str
    expires: str
    span: Span | None = None

    @property
    def id(self) -> str:
        """What the journal remembers as used: the name with a digest of what it said."""
        said = json.dumps([self.name, self.rules, self.reason, self.expires])
        return f"{self.name}@{hashlib.sha256(said.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """A guard that measured more than its limit."""

    rule: str
    measured: str
    limit: str
    subject: str
    """What was measured, in words: ``participants to liquidate in blue-chip``."""
    setting: Span | None
    acknowledged_by: str
    """Name of the acknowledgement that covers it; empty when it stops the plan."""
    hint: str

    @property
    def stops(self) -> bool:
        return not self.acknowledged_by


@dataclass(frozen=True, slots=True)
class Impact:
    """What a Strategy's calls would do, in money. Estimates unless it says exact."""

    strategy: str
    currency: str
    cash_in_minor: int
    """Exact: enrolments and top-ups."""
    cash_out_minor: int
    """Exact for partial sells; liquidations are in ``sold_minor``."""
    turnover_minor: int
    """One-way sells of rebalances, partial sells and liquidations (estimate)."""
    value_minor: int
    """What the Strategy's managed participants hold (estimate)."""
    participants: int
    largest_minor: int
    """The largest single movement of one participant."""
    turnover_by_asset: tuple[tuple[str, int, int], ...]
    """(asset, bought_minor, sold_minor), estimates."""
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CohortDrift:
    """What a plan does to the drift of those in a cohort whom it touches. Estimates.

    Drift is half of what they are off their weights, over what they hold.
    """

    strategy: str
    currency: str
    cohort: str
    participants: int
    before_e6: int
    """As they are now, in millionths."""
    after_e6: int
    """When everything is settled; legs below their minimum are not carried out."""
    deposit_minor: int
    """The smallest deposits that would bring those who are rebalanced to the target without a
    sell, in total."""
    beyond_deposits: int
    """How many of those no deposit would: they hold what is to be sold in full."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """How many calls there are, and the fewest there could be, per Strategy and verb."""

    strategy: str
    verb: Verb
    calls: int
    least: int
    because: str

    @property
    def tight(self) -> bool:
        return self.calls == self.least


@dataclass(frozen=True, slots=True)
class CallTotal:
    """All calls that flows of a Strategy need, beside the fewest and the next best plan.

    Only where flows share vectors: elsewhere each class of calls stands alone.
    """

    strategy: str
    currency: str
    calls: int
    """Top-ups, partial sells and the rebalances that follow."""
    least: int
    """No plan has fewer."""
    sells_minor: int
    """What rebalances of participants with a flow sell (estimate)."""
    runner_up_calls: int | None
    """Of the next best plan; None where there is no other."""
    runner_up_sells_minor: int | None

    @property
    def tight(self) -> bool:
        return self.calls == self.least


@dataclass(frozen=True, slots=True)
class FloatNeed:
    """Float needed by a plan's buys against what is there."""

    currency: str
    needed_minor: int
    available_minor: int | None
    account: str

    @property
    def short_minor(self) -> int:
        return max(0, self.needed_minor - (self.available_minor or 0))


@dataclass(frozen=True)
class Plan:
    """Ordered calls with reasons."""

    # binding
    realm: str
    environment: str
    configuration: str
    """Digest of everything that was read to declare the desired state."""
    commit: str | None
    generation: int | None
    fences: tuple[Fence, ...]
    calls: tuple[Call, ...]
    rows: Table
    acknowledgements: tuple[Acknowledgement, ...]
    """Those that a finding relies on."""
    # advisory
    as_of: str
    expires_at: str
    blocked: Table
    findings: tuple[GuardFinding, ...]
    impacts: tuple[Impact, ...]
    certificates: tuple[Certificate, ...]
    floats: tuple[FloatNeed, ...]
    prices: tuple[tuple[str, str, str], ...]
    """(asset, currency, price text) as used for estimates."""
    satisfied: Table
    """SATISFIED_ROWS"""
    forfeits: Table
    """FORFEIT_ROWS"""
    unmanaged: int
    weights: tuple[tuple[str, WeightProvenance], ...] = ()
    """(Strategy, provenance) of the computed weights that are new in this plan."""
    complete: bool = True
    """False when a target or exclusion hid something."""
    warnings: tuple[Diagnostic, ...] = ()
    notes: tuple[str, ...] = field(default=())
    totals: tuple[CallTotal, ...] = ()
    """One per Strategy whose flows share vectors."""
    cohorts: tuple[CohortDrift, ...] = ()
    """Of the Strategies in which drift is repaired, ascending."""
    window: Opening | None = None
    """Whether apply may send when the plan is made; None where the policy says nothing about it."""

    @property
    def empty(self) -> bool:
        """Nothing to send and no account of flows to close."""
        return not self.calls and not len(self.forfeits)

    def request_id(self, call: Call) -> str | None:
        """The predicted request id of a call; None while it cannot be known."""
        if call.verb is Verb.CREATE:
            return create_id(self.realm, call.strategy)
        if call.strategy_id is None or call.slot is None:
            return None
        return call_id(self.realm, call.strategy_id, call.slot)

    @property
    def stopped(self) -> bool:
        """A guard measured more than anybody allowed."""
        return any(finding.stops for finding in self.findings)

    @property
    def digest(self) -> str:
        """sha256 of the canonical text of the binding part; not of any file that carries it."""
        return self.digests["plan"]

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """sha256 of the whole binding part (``plan``), of its rows and of its forfeits alone."""
        hashers = {part: hashlib.sha256() for part in ("plan", *BINDING_COLUMNS)}
        for line in self._binding_lines():
            hashers["plan"].update(line.encode() + b"\n")
        for part, lines in self._binding_rows():
            hashers["plan"].update(lines)
            hashers[part].update(lines)
        return {part: hasher.hexdigest() for part, hasher in hashers.items()}

    def binding_text(self) -> str:
        """What the digest covers, as canonical lines of JSON: header, fences, calls, then rows."""
        rows = "".join(lines.decode() for _, lines in self._binding_rows())
        return "".join(f"{line}\n" for line in self._binding_lines()) + rows

    def _binding_lines(self) -> Iterator[str]:
        header = (FORMAT_VERSION, self.realm, self.environment, self.configuration)
        yield canonical(["plan", *header, self.commit, self.generation])
        for fence in self.fences:
            yield canonical(
                ["fence", fence.strategy, fence.strategy_id, fence.head_slot, list(fence.foreign)]
            )
        for call in self.calls:
            what = (call.number, call.strategy, call.strategy_id, call.verb.value)
            vector = call.vector.text if call.vector else None
            target = (vector, call.target_text, call.target_epoch)
            size = (call.currency, call.rows, call.amount_minor)
            when = ["after_rebalance"] if call.after_rebalance else []
            yield canonical(["call", *what, *target, *size, call.body_json, *when])
        for acknowledgement in self.acknowledgements:
            yield canonical(["acknowledgement", acknowledgement.id])

    def _binding_rows(self) -> Iterator[tuple[str, bytes]]:
        """Lines of rows, and of which part they are."""
        for table, part in ((self.rows, "row"), (self.forfeits, "forfeit")):
            for lines in canonical_rows(table, BINDING_COLUMNS[part], part):
                yield part, lines


FORFEIT_ROWS = {
    "strategy": "VARCHAR",
    "participant_code": "VARCHAR",
    "forfeited_in_minor": "BIGINT",
    "forfeited_out_minor": "BIGINT",
}
"""Flows that were declared and never moved, of participants that exit: closed for good."""

SATISFIED_ROWS = {
    "strategy": "VARCHAR",
    "participant_code": "VARCHAR",
    "target_text": "VARCHAR",
    "target_epoch": "INTEGER",
}
"""Participants who already hold a changed target within the minimum leg: journaled as satisfied
without a call, so that later drift is not mistaken for an unfulfilled change."""

BINDING_COLUMNS = {
    "row": ("call", "participant_code", "amount_minor", "auto_rebalance"),
    "forfeit": tuple(FORFEIT_ROWS),
}
