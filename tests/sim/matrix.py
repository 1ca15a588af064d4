"""The fault matrix, row by row: which kinds of faults produce it here, or why it does not apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NO_WEBHOOKS = "stratctl polls; it receives no webhooks"
NO_WEBSOCKET = "stratctl polls; it opens no websocket"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the matrix."""

    number: int
    fault: str
    kinds: tuple[str, ...] = ()
    """Any of these reaches it."""
    instead: str = ""
    """Why it is not simulated, and what looks at it in place of that."""


ROWS = (
    Row(1, "timeout before the provider receives", ("lost_before",)),
    Row(2, "timeout after commit", ("lost_after",)),
    Row(3, "delayed, arrives after the retry committed", ("late",)),
    Row(4, "delayed for more than 60 s", ("too_late",)),
    Row(5, "reset in the middle of an answer, half JSON", ("reset_after", "half_json")),
    Row(6, "429, with and without Retry-After", ("limited", "limited_for")),
    Row(7, "500 after commit", ("500_after",)),
    Row(8, "502 and 504, before and after commit", ("502_after", "504_after", "504_before")),
    Row(9, "503 for as long as anybody asks", ("clog", "503")),
    Row(10, "400 after an attempt in doubt", ("refused_in_doubt",)),
    Row(11, "401 and 403 in the middle of a run", ("401", "403", "1020")),
    Row(12, "the same id with another body", ("other_body",)),
    Row(13, "an answer that is no JSON", ("not_json", "html")),
    Row(14, "a status that nobody documented", ("unknown_status",)),
    Row(15, "an echo that does not fit", ("echo_other_type", "echo_other_id")),
    Row(16, "a page that is cut short", ("short_page", "short_list", "drop_execution")),
    Row(17, "a page token that repeats", ("repeat_token",)),
    Row(18, "an item on two pages or on none", ("drop_item",)),
    Row(19, "a list of Operations that lags", ("operations_lag_seconds",)),
    Row(20, "Executions that lag", ("executions_lag_seconds",)),
    Row(21, "a status that goes backwards", ("backwards",)),
    Row(22, "two ends of one Operation", ("two_terminals",)),
    Row(23, "a webhook twice", instead=NO_WEBHOOKS),
    Row(24, "webhooks out of order", instead=NO_WEBHOOKS),
    Row(25, "a webhook dropped", instead=NO_WEBHOOKS),
    Row(26, "a webhook forged", instead=NO_WEBHOOKS),
    Row(27, "a webhook before the answer", instead=NO_WEBHOOKS),
    Row(28, "a websocket gap", instead=NO_WEBSOCKET),
    Row(29, "a websocket that mixes units", instead=NO_WEBSOCKET),
    Row(30, "clocks that are off, or jump", ("skew",)),
    Row(31, "the provider restarts", ("restart",)),
    Row(32, "the provider loses a request", ("reset_before", "lost_before")),
    Row(33, "the disk is full", ("disk_full",)),
    Row(34, "fsync fails", ("fsync_error",)),
    Row(35, "a short write, a torn line, a flipped bit", ("short_write", "torn_write")),
    Row(36, "death at every step", ("killed", "power_lost", "runner_lost")),
    Row(37, "death in recovery, twice in a row", ("died_twice",)),
    Row(38, "two applies of one plan", ("two_applies",)),
    Row(39, "two applies of different configurations", ("old_configuration",)),
    Row(40, "a holder that was paused", ("paused",)),
    Row(41, "the journal's remote refuses, forgets or forks", ("forked",)),
    Row(42, "a plan that is stale", ("stale_plan",)),
    Row(
        43,
        "a plan file that was changed",
        instead="bytes, not schedules: bits of a plan file are flipped in tests/view",
    ),
    Row(44, "some participants rejected", ("partly_rejected",)),
    Row(45, "all rejected, skipped, or nobody", ("all_rejected",)),
    Row(46, "legs that failed beside legs that executed", ("failing_asset",)),
    Row(47, "a price that jumps", ("price",)),
    Row(48, "the float runs out", ("float_low",)),
    Row(49, "an Operation of somebody else", ("foreign",)),
    Row(50, "a participant that is closed", ("person_closed",)),
    Row(51, "ids that the provider forgets", ("key_retention_seconds",)),
    Row(52, "ids that are per verb", ("idempotency_scope",)),
    Row(53, "frozen and released one after another", ("clog", "paused")),
    Row(
        54,
        "ten thousand participants",
        instead="size, not schedules: the scripts of benchmarks/ read, plan and settle large books",
    ),
    Row(55, "memory that runs out anywhere", ("exhausted",)),
    Row(56, "a witness that is down", instead="no witness is built"),
)


def unreached(counts: Mapping[str, int]) -> list[Row]:
    """Rows that apply and that no schedule reached."""
    return [
        row for row in ROWS if not row.instead and not any(counts.get(kind) for kind in row.kinds)
    ]
