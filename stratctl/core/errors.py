"""What the world can do to us, as one tree. People get diagnostics; bugs assert.

::

    StratctlError                         exit
    ├── UsageError                          64   the command line makes no sense
    ├── InputError                           1   a person's file is wrong (carries diagnostics)
    ├── GuardRefused                         3   a limit of the policy stopped the plan
    ├── PlanStale                            4   the approved plan no longer fits
    ├── ApprovalMissing                      7   nobody said yes
    ├── LockHeld                             8   another apply holds the journal
    ├── Interrupted                        130   the person (or CI) asked us to stop
    ├── PlanFileError                        1   the plan file cannot be read
    ├── JournalError                         1
    │   ├── JournalUnavailable               1   it cannot be read or made durable
    │   ├── JournalTampered                  1   a complete line does not fit the chain
    │   ├── JournalRolledBack                1   it lacks what was in it before
    │   └── JournalForeign                   1   it belongs to another realm or a newer version
    └── ProviderError                        1
        ├── NotSent                          1   no byte of the request left this machine
        ├── OutcomeUnknown                   6   the request may or may not have been carried out
        ├── RequestRefused                   1   400 in the documented shape (carries the errors)
        ├── AccessRefused                    1   401, 403, or an address that is not allowed
        ├── NotFound                         1   404
        ├── BadResponse                      1   an answer that cannot be trusted
        └── ReadStale                        1   reads disagree with what is already known

Every exception carries data; the message is built from it once. The exit code is the
class's ``exit_code``; the command line computes the process's code from one result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from stratctl.core.diagnostic import in_reading_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratctl.core.diagnostic import Diagnostic


class StratctlError(Exception):
    """Root of everything that stratctl raises on purpose."""

    exit_code: ClassVar[int] = 1

    def __init__(self, summary: str, *, hint: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.hint = hint


class UsageError(StratctlError):
    """The command line, or the environment around it, makes no sense."""

    exit_code = 64


class InputError(StratctlError):
    """Files that people wrote have mistakes; every one of them is in ``diagnostics``,
    in reading order."""

    exit_code = 1

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        count = len(diagnostics)
        super().__init__(f"{count} problem{'' if count == 1 else 's'} in the configuration")
        self.diagnostics = in_reading_order(diagnostics)


class GuardRefused(StratctlError):
    """A guard of the policy stopped the plan; ``hint`` names the acknowledgement that widens it."""

    exit_code = 3


class PlanStale(StratctlError):
    """The approved plan no longer fits live, the configuration, or its own digest."""

    exit_code = 4


class ApprovalMissing(StratctlError):
    """Money would move and nobody approved it."""

    exit_code = 7


class LockHeld(StratctlError):
    """Another process holds the journal's lock."""

    exit_code = 8


class Interrupted(StratctlError):
    """A signal asked us to stop; nothing new was sent after it."""

    exit_code = 130


class PlanFileError(StratctlError):
    """A plan file that cannot be read, is incomplete, or is of a newer format."""


class JournalError(StratctlError):
    """Something about the journal stops everything."""


class JournalUnavailable(JournalError):
    """The journal cannot be opened, or an entry could not be made durable."""


class JournalTampered(JournalError):
    """A complete line of the journal does not fit the chain: line number ``seq``, from 1."""

    def __init__(self, summary: str, *, seq: int = 0, hint: str = "") -> None:
        super().__init__(summary, hint=hint)
        self.seq = seq


class JournalRolledBack(JournalError):
    """The journal holds together and lacks entries that were seen in it before."""


class JournalForeign(JournalError):
    """The journal belongs to another realm, or a newer version wrote it."""


class ProviderError(StratctlError):
    """The provider, or the way to it, failed. ``status`` is the HTTP status, 0 without one."""

    def __init__(self, summary: str, *, status: int = 0, hint: str = "") -> None:
        super().__init__(summary, hint=hint)
        self.status = status


class NotSent(ProviderError):
    """No byte of the request left this machine (name look-up, connect or TLS failed)."""


class OutcomeUnknown(ProviderError):
    """The request may have been carried out. Never proof of failure: look it up by its id."""

    exit_code = 6


class RequestRefused(ProviderError):
    """400 in the documented shape: ``errors`` are the provider's own texts."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("the provider refused the request: " + "; ".join(errors), status=400)
        self.errors = tuple(errors)


class AccessRefused(ProviderError):
    """The credential, its rights, the clock or this machine's address is not accepted."""


class NotFound(ProviderError):
    """404: no such thing on this platform."""


class BadResponse(ProviderError):
    """An answer to a read that cannot be trusted: not JSON, wrong shape, looping pages."""


class ReadStale(ProviderError):
    """Reads that stay behind what is already known, after the allowed number of re-reads."""
