"""What a verb of the pipeline answers with, for the views: values, no text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.event import Event, Problem
from stratctl.core.state import Verb, WeightProvenance
from stratctl.core.windows import Opening


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of one Strategy's rows for one verb."""

    strategy: str
    verb: Verb
    currency: str
    calls: int
    settled: int
    skipped: int
    rejected: int
    amount_minor: int
    """Requested amounts of settled rows."""


@dataclass(frozen=True)
class Applied:
    """The result of an apply."""

    environment: str
    plan_digest: str
    tallies: tuple[Tally, ...]
    problems: tuple[Problem, ...]
    not_needed: tuple[tuple[str, str, str], ...]
    """(strategy, verb, participant_code) of approved rows that live no longer needed."""
    left_for_next: tuple[tuple[str, str, str], ...]
    """The same, of rows that the next plan will show."""
    rejected: tuple[tuple[str, str, str], ...]
    """(strategy, participant_code, reason)"""
    interrupted: bool
    journal_head: str
    participants: int = 0
    """Distinct participants that a settled call of this apply was about."""

    @property
    def exit_code(self) -> int:
        """6 when an outcome is open, 130 when interrupted, 5 when a part failed, else 0."""
        if any(problem.indeterminate for problem in self.problems):
            return 6
        if self.interrupted:
            return 130
        return 5 if self.problems or self.rejected else 0


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call of the journal by what people know it by."""

    strategy: str
    verb: Verb
    slot: int | None
    request_id: str
    participants: int


@dataclass(frozen=True)
class Resolved:
    """What became of the calls that earlier runs left without an end."""

    environment: str
    found: int
    """How many there were."""
    tallies: tuple[Tally, ...]
    """Those that the provider carried out."""
    abandoned: tuple[OpenCall, ...]
    """Those that it never will; what they carried is planned again."""
    open: tuple[OpenCall, ...]
    """Those that have no end yet."""
    problems: tuple[Problem, ...]
    rejected: tuple[tuple[str, str, str], ...]
    """(strategy, participant_code, reason)"""
    interrupted: bool
    journal_head: str

    @property
    def ended(self) -> int:
        """How many the provider carried out."""
        return self.found - len(self.abandoned) - len(self.open)

    @property
    def exit_code(self) -> int:
        """130 when interrupted, 6 when an outcome is open, 5 when a part failed, else 0."""
        if self.interrupted:
            return 130
        if self.open or any(problem.indeterminate for problem in self.problems):
            return 6
        return 5 if self.problems or self.rejected else 0


@dataclass(frozen=True, slots=True)
class Difference:
    """A participant whose declared totals are not what has moved, beyond what rounding explains."""

    participant_code: str
    declared_in_minor: int
    moved_in_minor: int
    declared_out_minor: int
    moved_out_minor: int


@dataclass(frozen=True, slots=True)
class StrategyAdopted:
    """Operations of one Strategy that are booked from their Executions from now on."""

    strategy: str
    currency: str
    operations: tuple[tuple[str, str], ...]
    """(type, id), oldest first."""
    participants: int
    contributed_minor: int
    withdrawn_minor: int
    differences: tuple[Difference, ...]
    """Ascending by participant."""


@dataclass(frozen=True, slots=True)
class Strangers:
    """Participants of an Operation to be adopted whom no cohort of its Strategy declares."""

    strategy: str
    currency: str
    operation: tuple[str, str]
    """(type, id)"""
    rows: tuple[tuple[str, int, int], ...]
    """(participant_code, money in, money out) in minor units, ascending."""

    @property
    def total_minor(self) -> int:
        """Money in and money out, added up."""
        return sum(came + went for _, came, went in self.rows)


@dataclass(frozen=True, slots=True)
class Opened:
    """Signed totals of a journal that was lost, from which the new one goes on."""

    at: str
    entries: int
    digest: str
    operations: int
    """How many Operations have their end in them, and are not read again."""
    participants: int


@dataclass(frozen=True)
class Adoption:
    """What was booked from the provider's own record."""

    environment: str
    strategies: tuple[StrategyAdopted, ...]
    problems: tuple[Problem, ...]
    """Why nothing was booked; then there are no Strategies."""
    interrupted: bool
    journal_head: str
    requests: int
    """How many the provider was sent; all of them only read."""
    opened: Opened | None = None
    """None where no totals were given."""

    @property
    def exit_code(self) -> int:
        """130 when interrupted, 6 when something is still in flight, else 0."""
        if self.interrupted:
            return 130
        return 6 if self.problems else 0


@dataclass(frozen=True, slots=True)
class StrategyStatus:
    """One Strategy as it stands. Values are estimates at the prices of ``Status.as_of``."""

    name: str
    id: str | None
    currency: str
    traders: int
    declared: int
    unmanaged: int
    value_minor: int
    outside_band: int
    """Managed Traders that drifted out of their bands."""
    drift_largest_e18: int
    """Largest portfolio drift (half the sum of absolute weight differences), 10⁻¹⁸ of 1."""
    in_flight: tuple[tuple[str, str, str], ...]
    """(operation id, type, status) of Operations that are not terminal."""
    parked: int
    problem: str
    outside_opted_out: int = 0
    """Those outside the band whose auto_rebalance is off and that no cohort overrides."""
    weights: WeightProvenance | None = None
    """How the target of ``Status.as_of`` was computed; None: it stands in the files."""


@dataclass(frozen=True, slots=True)
class FloatStatus:
    """The float of one currency."""

    currency: str
    available_minor: int
    account: str


@dataclass(frozen=True)
class Status:
    """Live summary of one environment."""

    environment: str
    realm: str
    as_of: str
    strategies: tuple[StrategyStatus, ...]
    floats: tuple[FloatStatus, ...]
    journal_entries: int
    journal_head: str
    open_intents: int
    halted: str | None
    window: Opening | None = None
    """Whether apply may send at ``as_of``; None: the policy has no windows."""


@dataclass(frozen=True, slots=True)
class TrailRow:
    """What one entry of the journal says about one participant, or about none."""

    seq: int
    at: str
    run: str
    type: str
    strategy: str
    verb: str
    slot: int | None
    request_id: str
    operation_id: str
    currency: str
    """Empty where no call told it."""
    reason: str
    result: str
    participant_code: str = ""
    in_minor: int | None = None
    """Money in, in minor units: asked for by an intent, moved by an outcome."""
    out_minor: int | None = None


@dataclass(frozen=True)
class AuditReport:
    """The result of ``audit verify``."""

    environment: str
    entries: int
    head: str
    intents: int
    outcomes: int
    findings: tuple[str, ...]
    """What is wrong; empty when all holds."""
    repaired: str = ""
    kept: tuple[str, ...] = ()
    """What was found about each kept head that the journal goes on from."""
    heads: int = 0
    """How many kept heads it was held against; without any, a lost end cannot be seen."""
    opening: str = ""
    """Whose signed totals it begins with; empty for a journal that begins with nothing."""

    @property
    def holds(self) -> bool:
        return not self.findings


@dataclass(frozen=True)
class Formatted:
    """One file of YAML documents, and what its canonical text is."""

    file: str
    """Relative to the project; as it was named for a file outside of it."""
    before: str = ""
    after: str = ""
    problems: tuple[Diagnostic, ...] = ()
    """Why it has no canonical text: it cannot be read, or is too large."""

    @property
    def changed(self) -> bool:
        return self.before != self.after


class Progress(Protocol):
    """How long work says where it is. ``total`` is None while it is not known."""

    def __call__(self, what: str, done: int, total: int | None, /) -> None: ...


class Watcher(Protocol):
    """Told every event of an apply, after the journal made it durable."""

    def __call__(self, event: Event, /) -> None: ...
