"""The answer of ``audit reconcile``: a journal beside other records of the same money."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LedgerDifference:
    """A participant of whom a platform's ledger says something else than the journal."""

    kind: str
    """missing (the ledger lacks them) | extra (the journal does) | different"""
    participant_code: str
    strategy: str
    currency: str
    """Empty for a Strategy of which the journal has no call."""
    journal_in_e8: int
    ledger_in_e8: int
    journal_out_e8: int
    ledger_out_e8: int
    pending_in_minor: int
    """Sent, and not known to have settled: in none of the figures above."""
    pending_out_minor: int


@dataclass(frozen=True, slots=True)
class LiveDifference:
    """Something that the provider shows otherwise than the journal."""

    kind: str
    """missing (the provider lacks it) | extra (the journal does) | different"""
    strategy: str
    operation_id: str
    """Empty where the Strategy as a whole is meant."""
    participant_code: str
    """Empty where the Operation as a whole is meant."""
    detail: str


@dataclass(frozen=True)
class Reconciliation:
    """The journal beside somebody else's record of the same."""

    environment: str
    against: str
    """The ledger's file; empty for the provider."""
    head: str
    compared: int
    """Participants of Strategies in either of them; for the provider, Operations of the journal."""
    ledger: tuple[LedgerDifference, ...] = ()
    """By Strategy and participant."""
    live: tuple[LiveDifference, ...] = ()
    """In the order of the journal, then what it lacks."""

    @property
    def differences(self) -> tuple[LedgerDifference | LiveDifference, ...]:
        return (*self.ledger, *self.live)

    @property
    def agrees(self) -> bool:
        return not self.differences
