"""Exit codes: a contract with scripts. Computed once, after all output, the same for any format."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the process says when it ends."""

    DONE = 0, "done, or no changes"
    ERROR = 1, "an error"
    CHANGES = 2, "there are changes (only with --detailed-exitcode)"
    REFUSED = 3, "refused by a guard or the policy"
    STALE = 4, "the plan is stale, or its digest does not match"
    PARTIAL = 5, "applied in part: some participants were rejected"
    INDETERMINATE = 6, "an outcome is not known; apply again resolves it"
    APPROVAL = 7, "approval is missing"
    LOCKED = 8, "another apply holds the lock"
    USAGE = 64, "the command line makes no sense"
    INTERRUPTED = 130, "interrupted (SIGINT)"
    TERMINATED = 143, "terminated (SIGTERM)"

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Exit:
        """A code with its meaning, for the manual."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member
