"""The fault matrix, row by row: which faults produce it here, which reaction it demands of each, or
why it does not apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.sim import reactions as seen
from tests.sim.history import FAULT, History
from tests.sim.reactions import Reaction

NO_WEBHOOKS = "stratctl polls; it receives no webhooks"
NO_WEBSOCKET = "stratctl polls; it opens no websocket"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the matrix."""

    number: int
    fault: str
    reactions: Mapping[str, Reaction] = field(default_factory=dict)
    """Kind of fault -> the reaction to it that must be seen."""
    each: bool = False
    """Every one of these kinds must be seen with its reaction, and not just one of them."""
    instead: str = ""
    """Why it is not simulated, and what looks at it in place of that."""


ROWS = (
    Row(1, "timeout before the provider receives", {"lost_before": seen.same_bytes_again}),
    Row(2, "timeout after commit", {"lost_after": seen.found}),
    Row(
        3,
        "delayed, arrives after the retry committed",
        {"late": seen.found, "later": seen.duplicate_of_the_retry},
        each=True,
    ),
    Row(4, "delayed for more than 60 s", {"too_late": seen.refused_for_its_age}),
    Row(
        5,
        "reset in the middle of an answer, half JSON",
        {
            "reset_after": seen.in_doubt_then_looked_up,
            "half_json": seen.in_doubt_then_looked_up,
            "get_reset": seen.read_again,
            "get_half_json": seen.read_again,
        },
        each=True,
    ),
    Row(
        6,
        "429, with and without Retry-After",
        {
            "limited": seen.waits_out(seen.COOL_DOWN_SECONDS),
            "limited_for": seen.waits_out(seen.COOL_DOWN_SECONDS),
            "get_limited": seen.waits_out(seen.COOL_DOWN_SECONDS),
        },
        each=True,
    ),
    Row(7, "500 after commit", {"500_after": seen.found}),
    Row(
        8,
        "502 and 504, before and after commit",
        {
            "502_before": seen.same_bytes_again,
            "502_after": seen.found,
            "504_before": seen.same_bytes_again,
            "504_after": seen.found,
        },
        each=True,
    ),
    Row(
        9,
        "503 for as long as anybody asks",
        {"clog": seen.left_open_and_finished_later, "503": seen.same_bytes_again},
        each=True,
    ),
    Row(10, "400 after an attempt in doubt", {"refused_in_doubt": seen.quarantined}),
    Row(
        11,
        "401 and 403 in the middle of a run",
        {"401": seen.stops_sending, "403": seen.stops_sending, "1020": seen.stops_sending},
        each=True,
    ),
    Row(
        12,
        "the same id with another body",
        {
            "other_body_replay": seen.taken_and_booked,
            "other_body_400": seen.taken_and_booked,
            "other_body_409": seen.taken_and_booked,
            "other_body_422": seen.taken_and_booked,
        },
        each=True,
    ),
    Row(
        13,
        "an answer that is no JSON",
        {
            "not_json": seen.in_doubt_then_looked_up,
            "html": seen.in_doubt_then_looked_up,
            "get_html": seen.read_again,
            "get_not_json": seen.read_again,
        },
        each=True,
    ),
    Row(14, "a status that nobody documented", {"unknown_status": seen.not_terminal_for_us}),
    Row(
        15,
        "an echo that does not fit",
        {"echo_other_type": seen.conflict, "echo_other_id": seen.conflict},
    ),
    Row(
        16,
        "a page that is cut short",
        {
            "short_page": seen.not_believed,
            "short_list": seen.not_believed,
            "drop_execution": seen.not_believed,
        },
    ),
    Row(17, "a page token that repeats", {"repeat_token": seen.loop_noticed}),
    Row(18, "an item on two pages or on none", {"drop_item": seen.not_believed}),
    Row(19, "a list of Operations that lags", {"operations_lag_seconds": seen.slot_was_used}),
    Row(20, "Executions that lag", {"executions_lag_seconds": seen.executions_awaited}),
    Row(21, "a status that goes backwards", {"backwards": seen.not_believed}),
    Row(22, "two ends of one Operation", {"two_terminals": seen.conflict_of_ends}),
    Row(23, "a webhook twice", instead=NO_WEBHOOKS),
    Row(24, "webhooks out of order", instead=NO_WEBHOOKS),
    Row(25, "a webhook dropped", instead=NO_WEBHOOKS),
    Row(26, "a webhook forged", instead=NO_WEBHOOKS),
    Row(27, "a webhook before the answer", instead=NO_WEBHOOKS),
    Row(28, "a websocket gap", instead=NO_WEBSOCKET),
    Row(29, "a websocket that mixes units", instead=NO_WEBSOCKET),
    Row(30, "clocks that are off, or jump", {"skew": seen.refused_for_its_clock}),
    Row(31, "the provider restarts", {"restart": seen.goes_on_after}),
    Row(
        32,
        "the provider loses a request",
        {"reset_before": seen.same_bytes_again, "lost_before": seen.same_bytes_again},
    ),
    Row(33, "the disk is full", {"disk_full": seen.no_request_without_a_journal}),
    Row(34, "fsync fails", {"fsync_error": seen.no_request_without_a_journal}),
    Row(
        35,
        "a short write, a torn line, a flipped bit",
        {
            "short_write": seen.tail_repaired,
            "torn_write": seen.tail_repaired,
            "bit_flipped": seen.tampering_refused,
        },
        each=True,
    ),
    Row(
        36,
        "death at every step",
        {
            "killed": seen.finished_by_a_successor,
            "power_lost": seen.finished_by_a_successor,
            "runner_lost": seen.finished_by_a_successor,
            "interrupted": seen.no_new_request,
            "terminated": seen.no_new_request,
        },
        each=True,
    ),
    Row(37, "death in recovery, twice in a row", {"died_twice": seen.swept_again}),
    Row(
        38,
        "two applies of one plan",
        {"two_locked": seen.one_wins_the_lock, "two_unlocked": seen.both_finish},
        each=True,
    ),
    Row(
        39,
        "two applies of different configurations",
        {"old_configuration": seen.old_one_refused},
    ),
    Row(40, "a holder that was paused", {"paused": seen.late_sender_is_harmless}),
    Row(
        41,
        "the journal's remote refuses, forgets or forks",
        {
            "push_lost": seen.pushed_again,
            "push_unanswered": seen.pushed_again,
            "rolled_back": seen.rollback_refused,
            "forked": seen.apart_and_once,
        },
        each=True,
    ),
    Row(42, "a plan that is stale", {"stale_plan": seen.plan_refused}),
    Row(
        43,
        "a plan file that was changed",
        instead="bytes, not schedules: bits of a plan file are flipped in tests/view",
    ),
    Row(44, "some participants rejected", {"partly_rejected": seen.booked_one_by_one}),
    Row(45, "all rejected, skipped, or nobody", {"all_rejected": seen.booked_as_nothing}),
    Row(
        46,
        "legs that failed beside legs that executed",
        {"failing_asset": seen.mixed_is_frozen},
    ),
    Row(47, "a price that jumps", {"price": seen.prices_refused}),
    Row(48, "the float runs out", {"float_low": seen.breaker_opens}),
    Row(49, "an Operation of somebody else", {"foreign": seen.foreign_blocks}),
    Row(50, "a participant that is closed", {"person_closed": seen.rejected_and_parked}),
    Row(
        51,
        "ids that the provider forgets",
        {"key_retention_seconds": seen.given_up_for_its_age},
    ),
    Row(52, "ids that are per verb", {"idempotency_scope": seen.duplicate_answered}),
    Row(
        53,
        "frozen and released one after another",
        {"clog": seen.released, "paused": seen.released},
    ),
    Row(
        54,
        "ten thousand participants",
        instead="size, not schedules: the scripts of benchmarks/ read, plan and settle large books",
    ),
    Row(55, "memory that runs out anywhere", {"exhausted": seen.stops_cleanly}),
    Row(56, "a witness that is down", instead="no witness is built"),
)


def reacted(history: History) -> set[tuple[int, str]]:
    """(row, kind of fault) of each row whose fault happened in a schedule, and whose reaction to it
    was seen."""
    met = set()
    for row in ROWS:
        for kind, reaction in row.reactions.items():
            if any(reaction(history, fault) for fault in history.of(FAULT, kind)):
                met.add((row.number, kind))
    return met


def unreached(met: set[tuple[int, str]]) -> list[tuple[Row, tuple[str, ...]]]:
    """Rows that apply and whose reaction nobody saw, with the kinds of faults that lack it."""
    left = []
    for row in ROWS:
        missing = tuple(kind for kind in row.reactions if (row.number, kind) not in met)
        if missing and (row.each or len(missing) == len(row.reactions)):
            left.append((row, missing))
    return left
