"""What apply is given and what it answers with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stratctl.core.event import (
    Answer,
    Execution,
    Intent,
    IntentRow,
    Outcome,
    Problem,
    Satisfied,
    Unfinished,
)
from stratctl.core.plan import Call
from stratctl.core.state import EntryContent, LiveOperation, LiveStrategy

# --- the work -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TraderRef:
    """The Trader whose flag a row changes, and when it was last updated, as it was read."""

    trader_id: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class CallWork:
    """One call of the plan with its rows, ascending by participant code."""

    call: Call
    rows: Sequence[IntentRow] = ()
    traders: tuple[TraderRef, ...] = ()
    """Beside ``rows``, for FLAGS only."""
    entries: tuple[tuple[EntryContent, frozenset[str]], ...] = ()
    """Named entries that no committed call has carried yet, with the participants whose money
    they are. An intent carries those of its own rows."""


@dataclass(frozen=True, slots=True)
class StrategyWork:
    """Everything that one Strategy has to do in this run."""

    strategy: str
    strategy_id: str | None
    """None: the first call creates it."""
    realm: str
    currency: str
    head_slot: int
    """The highest slot of ours that the provider or the journal knows as committed."""
    calls: tuple[CallWork, ...]
    """In the plan's order."""
    acknowledgements: tuple[str, ...] = ()
    """Ids, written into every intent: the first one uses them up."""
    forfeits: tuple[tuple[str, int, int], ...] = ()
    """(participant_code, forfeited_in_minor, forfeited_out_minor)"""
    satisfied: tuple[Satisfied, ...] = ()
    resume: Unfinished | None = None
    """A call of an earlier run that is still wanted: sent first, same id, same bytes."""
    unproven: tuple[Unfinished, ...] = ()
    """Calls of earlier runs that have no end, beside ``resume``. A Strategy gets no new slot until
    its last commit is proven: with any of these nothing is sent for it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often. Seconds, unless it says otherwise."""

    poll_first: float = 0.25
    poll_step: float = 1.0
    poll_factor: float = 1.5
    poll_max: float = 15.0
    poll_seconds: int = 900
    stop_seconds: int = 30
    """How long an Operation is followed at most when a stop was asked for."""
    attempts: int = 6
    """Transmissions of one call in one run."""
    backoff: float = 0.5
    backoff_max: float = 20.0
    rate_limited: float = 11.0
    """The provider locks an address out for 10 s."""
    quarantine: int = 180
    """After the last signature: 60 s in which the provider accepts it, 60 s for a clock that is
    fast, 60 s in the provider's queues. Then an unknown request will never be carried out."""
    execution_reads: int = 10
    conflict_reads: int = 3
    """Equal readings in a row before another body's figures are believed."""
    jitter: Callable[[], float] = lambda: 0.5
    """In [0, 1)."""

    def delay(self, tries: int) -> float:
        """Between half of and the whole of an exponential back-off."""
        longest = min(self.backoff * 2.0 ** (tries - 1), self.backoff_max)
        return longest * (1 + self.jitter()) / 2


class Breaker:
    """Currencies whose float ran out in this run. One for all Strategies."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def open(self, currency: str) -> None:
        """No further money-in calls of this currency in this run."""
        self._open.add(currency)

    def tripped(self, currency: str) -> bool:
        return currency in self._open


# --- the result -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """What became of one Strategy's work."""

    strategy: str
    strategy_id: str | None
    head_slot: int
    outcomes: tuple[Outcome, ...]
    """Without the ids of their rows, which the journal has."""
    done: tuple[int, ...]
    """Numbers of the calls that have a result, good or bad."""
    left: tuple[int, ...]
    problems: tuple[Problem, ...]
    requests: int
    """Transmissions that change something."""
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery found out."""

    outcomes: tuple[Outcome, ...]
    open: tuple[Unfinished, ...]
    """Calls that the provider does not know and that are not abandoned."""
    problems: tuple[Problem, ...]


# --- the writer -----------------------------------------------------------------------------------


class Signed(Protocol):
    """A request with its signature, fit for one transmission."""

    @property
    def signed_at(self) -> int: ...


class Writer(Protocol):
    """The provider, as apply sees it. Reads may raise ProviderError; ``send`` never does."""

    def sign(self, intent: Intent) -> Any:
        """Sign the intent's bytes now. Returns a Signed."""

    def send(self, signed: Any, number: int) -> Answer:
        """Transmit exactly once and say what the answer proves."""

    def look_up(self, intent: Intent) -> Answer | None:
        """What the provider has under the intent's id (for a PATCH: whether the value is there);
        None when it does not know it."""

    def operation(self, operation_id: str) -> LiveOperation: ...

    def executions(self, strategy_id: str, operation_id: str) -> tuple[Execution, ...]: ...

    def strategy(self, strategy_id: str, *, name: str) -> LiveStrategy: ...

    def wait(self, seconds: float) -> None: ...

    def now(self) -> int:
        """Unix seconds."""
