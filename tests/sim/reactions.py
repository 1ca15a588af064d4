"""The reaction that a row of the fault matrix demands, looked for behind the fault.

Each function is asked for one fault of one schedule, and answers whether the history shows what
the matrix wants to be seen: that somebody looked up before sending the same bytes again, that so
long was waited, that a run was refused with that code and sent nothing. That nothing worse happened
is for the invariants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stratctl.core.event import Outcome, RowResult
from tests.sim.history import (
    ARRIVED,
    ASKED,
    BEGAN,
    CUT,
    ENDED,
    EVENT,
    SENT,
    Fact,
    History,
)

Reaction = Callable[[History, Fact], bool]

QUARANTINE_SECONDS = 180
COOL_DOWN_SECONDS = 11
LIFE_SECONDS = 4 * 3_600
DOUBT = ("unknown", "retry_friendly", "rate_limited")


# --- requests that change something ---------------------------------------------------------------


def same_bytes_again(history: History, fault: Fact) -> bool:
    """Looked up, not found, then the same bytes under the same id."""
    first = _sent_at(history, fault)
    for lookup in history.after(fault, ASKED, about=f"request_id={fault.about}"):
        for again in history.after(lookup, SENT, about=fault.about):
            return first is not None and again.more == first.more
    return False


def found(history: History, fault: Fact) -> bool:
    """A look-up found it, and nobody sent it again before."""
    for event in history.after(fault, EVENT, "Answer", about=fault.about):
        if event.more.number == 0 and event.more.answer == "committed":
            between = history.facts[fault.place + 1 : event.place]
            return not any(f.what == SENT and f.about == fault.about for f in between)
    return False


def duplicate_of_the_retry(history: History, fault: Fact) -> bool:
    """The late one arrived behind its retry, and the provider answered with what it had."""
    for arrived in history.after(fault, ARRIVED, about=fault.about):
        between = history.facts[fault.place + 1 : arrived.place]
        again = any(f.what == SENT and f.about == fault.about for f in between)
        return again and arrived.name in ("200", "201", "202")
    return False


def refused_for_its_age(history: History, fault: Fact) -> bool:
    """The late one arrived, and its signature was too old."""
    return any(
        arrived.name[:1] == "4" for arrived in history.after(fault, ARRIVED, about=fault.about)
    )


def in_doubt_then_looked_up(history: History, fault: Fact) -> bool:
    """Taken for unknown, and looked up by its id or, a value that was set, read back."""
    for event in history.after(fault, EVENT, "Answer", about=fault.about, same_run=True):
        if event.more.answer in DOUBT:
            return any(True for _ in history.after(event, ASKED, same_run=True))
    return False


def quarantined(history: History, fault: Fact) -> bool:
    """Refused while an earlier attempt was in doubt: looked up when its signature was surely dead,
    and only then given up, or found."""
    attempts = history.before(fault, EVENT, "Attempt", about=fault.about)
    if len(attempts) < 2:
        return False
    doubtful = attempts[1].more.signed_at
    for lookup in history.after(fault, ASKED, about=f"request_id={fault.about}"):
        if lookup.at < doubtful + QUARANTINE_SECONDS:
            return False
        return any(
            True
            for event in history.after(lookup, EVENT, about=fault.about)
            if event.name in ("Abandoned", "Answer")
        )
    return False


def stops_sending(history: History, fault: Fact) -> bool:
    """That id is not sent again in this run, which ends with something other than success."""
    if any(True for _ in history.after(fault, SENT, about=fault.about, same_run=True)):
        return False
    return _ends(history, fault, lambda name: name not in ("0", "parked"))


def taken_and_booked(history: History, fault: Fact) -> bool:
    """Another body stands in the slot: its figures are booked, and the next plan goes on."""
    for event in history.after(fault, EVENT, "Outcome", about=fault.about):
        if not event.more.proven:
            return True
    return False


def conflict(history: History, fault: Fact) -> bool:
    """The echo does not fit: taken for another's, never sent again."""
    for event in history.after(fault, EVENT, "Answer", about=fault.about, same_run=True):
        if event.more.answer in ("slot_taken", "unknown"):
            again = history.after(event, SENT, about=fault.about, same_run=True)
            looked = history.after(event, ASKED, same_run=True)
            return any(True for _ in looked) and not any(True for _ in again)
    return False


# --- requests that only read ----------------------------------------------------------------------


def read_again(history: History, fault: Fact) -> bool:
    """The same thing was read again before anything was sent on its strength, or the run gave up
    and said so."""
    wanted = fault.about.partition("?")[0]
    for later in history.after(fault, same_run=True):
        if later.what == ASKED and later.about.partition("?")[0] == wanted:
            return True
        if later.what == SENT:
            return False
        if later.what == ENDED:
            return later.name not in ("0", "parked", "killed", "power_lost", "runner_lost")
    return False


def loop_noticed(history: History, fault: Fact) -> bool:
    """The page that came twice was asked for once more at most before its list was begun anew or
    given up."""
    wanted, more = fault.about.partition("?")[0], 0
    for later in history.after(fault, same_run=True):
        if later.what == ASKED and later.about.partition("?")[0] == wanted:
            if later.about == fault.about or "page_token" not in later.about:
                return True
            more += 1
            if more > 1:
                return False
        if later.what == ENDED:
            return True
    return False


def waits_out(seconds: int) -> Reaction:
    """Nobody asks from this address for so long."""

    def waited(history: History, fault: Fact) -> bool:
        for later in history.after(fault, same_run=True):
            if later.what in (ASKED, SENT):
                return later.at - fault.at >= seconds
        return False

    return waited


def not_terminal_for_us(history: History, fault: Fact) -> bool:
    """A status that nobody knows ends nothing: the call stays open, and it is said."""
    return _said(history, fault, "E_OPERATION_OPEN", "E_EXECUTIONS_INCOMPLETE", "E_STRATEGY_OPEN")


def conflict_of_ends(history: History, fault: Fact) -> bool:
    """Two ends of one Operation: nothing is sent for that Strategy in this run."""
    return any(
        True for _ in history.after(fault, "distrusted", "E_TERMINAL_CONFLICT", same_run=True)
    )


def not_believed(history: History, fault: Fact) -> bool:
    """Read again, or the Strategy was not believed."""
    distrusted = any(True for _ in history.after(fault, "distrusted", same_run=True))
    return distrusted or read_again(history, fault)


def slot_was_used(history: History, fault: Fact) -> bool:
    """A list that lacked an Operation led to a used id, and the run to a new plan."""
    if _said(history, fault, "E_PLAN_STALE"):
        return True
    answers = [f.more for f in history.after(fault, EVENT, "Answer")]
    return any(
        each.answer == "slot_taken"
        or (each.answer == "committed" and each.number and each.status == 200)
        for each in answers
    )


def executions_awaited(history: History, fault: Fact) -> bool:
    """Executions of one Operation were read more than once before its outcome was booked."""
    for outcome in history.after(fault, EVENT, "Outcome"):
        mine = f"operation_id={outcome.more.operation_id}"
        since = history.facts[fault.place : outcome.place]
        if sum(1 for f in since if f.what == ASKED and mine in f.about) > 1:
            return True
    return False


# --- machines -------------------------------------------------------------------------------------


def refused_for_its_clock(history: History, fault: Fact) -> bool:
    """A run on a clock that is off is refused before it sends anything."""
    for end in history.after(fault, ENDED, "AccessRefused"):
        if "clock" in str(end.more) and not _sent_in(history, end.run):
            return True
    return False


def goes_on_after(history: History, fault: Fact) -> bool:
    """What was sent before has its outcome booked after."""
    before = {f.about for f in history.facts[: fault.place] if f.what == SENT}
    booked = {f.about for f in history.facts[: fault.place] if _outcome(f)}
    after = {f.about for f in history.facts[fault.place :] if _outcome(f)}
    return bool(before & after - booked)


def no_request_without_a_journal(history: History, fault: Fact) -> bool:
    """After a write that failed the run sends nothing more, ends with the journal's error, and a
    later one begins."""
    if any(True for _ in history.after(fault, SENT, same_run=True)):
        return False
    ends = _ends(history, fault, lambda name: name in ("JournalUnavailable", "JournalError"))
    return ends and any(True for _ in history.after(fault, BEGAN))


def tail_repaired(history: History, fault: Fact) -> bool:
    """Who opened the journal next cut the torn tail off, and went on."""
    return any(
        any(end.run == cut.run and end.name != "JournalTampered" for end in history.of(ENDED))
        for cut in history.after(fault, CUT)
    )


def tampering_refused(history: History, fault: Fact) -> bool:
    """A bit inside what was durable: the next run refuses the journal and sends nothing."""
    return any(
        not _sent_in(history, end.run) for end in history.after(fault, ENDED, "JournalTampered")
    )


def finished_by_a_successor(history: History, fault: Fact) -> bool:
    """A call that the dead run left open has its end in a later run: booked, given up, or, where
    the disk is gone, counted by whoever takes the slot after it."""
    earlier = history.facts[: fault.place]
    open_calls = {f.about for f in earlier if f.run == fault.run and _event(f, "Intent")}
    open_calls -= {f.about for f in earlier if _outcome(f) or _event(f, "Abandoned")}
    later = [f for f in history.facts[fault.place :] if f.run != fault.run]
    if any(f.about in open_calls and (_outcome(f) or _event(f, "Abandoned")) for f in later):
        return True
    sent = {f.about for f in earlier if f.what == SENT} & open_calls
    return fault.name == "runner_lost" and bool(sent) and any(map(_outcome, later))


def no_new_request(history: History, fault: Fact) -> bool:
    """After a signal at most the request leaves that was announced already, and the run ends."""
    announced = {f.about for f in history.before(fault, EVENT, "Attempt") if f.run == fault.run}
    sent = {f.about for f in history.after(fault, SENT, same_run=True)}
    return sent <= announced and any(True for _ in history.after(fault, ENDED, same_run=True))


def swept_again(history: History, fault: Fact) -> bool:
    """The recovery that died was done again, to a run that ended well."""
    return any(end.name in ("0", "parked") for end in history.after(fault, ENDED))


def one_wins_the_lock(history: History, fault: Fact) -> bool:
    """Of two at once, one was sent away and sent nothing."""
    return any(not _sent_in(history, end.run) for end in history.after(fault, ENDED, "LockHeld"))


def both_finish(history: History, fault: Fact) -> bool:
    """With no lock both were under way at once, and came to an end of their own."""
    spans = list(_spans(history))
    return any(
        one[0] < other[0] < one[1] and one[2] != other[2] for one in spans for other in spans
    )


def old_one_refused(history: History, fault: Fact) -> bool:
    """The older configuration was refused, or found that there was nothing left for it."""
    for end in history.after(fault, ENDED):
        if end.name in ("PlanStale", "InputError", "0", "5", "parked") and not _sent_in(
            history, end.run
        ):
            return True
    return False


def late_sender_is_harmless(history: History, fault: Fact) -> bool:
    """Who slept for longer than its signature lives did not send it, or the provider refused it,
    or had it already; and on a branch, whoever lost the lease lost its next push."""
    if int(fault.about or 0) < 60:
        return False
    for event in history.after(fault, EVENT, "Answer", same_run=True):
        if event.more.answer in ("not_sent", "access_refused", "committed", "slot_taken"):
            return True
    return _ends(history, fault, lambda name: name in ("JournalUnavailable", "LockHeld"))


def plan_refused(history: History, fault: Fact) -> bool:
    """Refused as stale, and nothing was sent."""
    return not _sent_in(history, fault.run) and _ends(history, fault, lambda n: n == "PlanStale")


def prices_refused(history: History, fault: Fact) -> bool:
    """A sell or a rebalance was held back because prices had moved since they were agreed to."""
    for later in history.after(fault):
        if later.what == ENDED and "when the plan was made" in str(later.more):
            return not _sent_in(history, later.run)
        if _event(later, "Problem") and "when the plan was made" in later.more.detail:
            return True
    return False


# --- outcomes -------------------------------------------------------------------------------------


def booked_one_by_one(history: History, fault: Fact) -> bool:
    """Of one Operation some rows are booked as settled and others as rejected."""
    return any(
        {RowResult.SETTLED, RowResult.REJECTED} <= {row.result for row in outcome.rows}
        for outcome in _outcomes(history)
    )


def booked_as_nothing(history: History, fault: Fact) -> bool:
    """An Operation in which nobody settled books nothing, and each row keeps its reason."""
    return any(
        outcome.rows
        and all(row.result in (RowResult.REJECTED, RowResult.SKIPPED) for row in outcome.rows)
        and not any(row.amount_minor for row in outcome.rows)
        for outcome in _outcomes(history)
    )


def mixed_is_frozen(history: History, fault: Fact) -> bool:
    """Counted in full, said, and nothing more is sent for that participant by the same run."""
    for event in history.after(fault, EVENT, "Problem"):
        if event.more.code == "E_EXECUTION_MIXED":
            return True
    return False


def breaker_opens(history: History, fault: Fact) -> bool:
    """Money that ran out midway: no further money in by that run."""
    for event in history.after(fault, EVENT, "Outcome"):
        if any(row.reason == "insufficient_funds" for row in event.more.rows):
            later = history.after(event, SENT, same_run=True)
            return not any(f.name.endswith(("enroll", "top-up")) for f in later)
    return False


def foreign_blocks(history: History, fault: Fact) -> bool:
    """Somebody else's Operation was counted: a run that saw it sent nothing for that participant,
    until it was adopted."""
    if not fault.about:
        return False
    runs = {f.run for f in history.after(fault, BEGAN)}
    ended = {f.run for f in history.after(fault, ENDED) if f.name in ("0", "5", "parked")}
    sent = [f for f in history.after(fault, SENT) if f.run in runs]
    return bool(runs & ended) and not any(fault.about.encode() in f.more for f in sent)


def rejected_and_parked(history: History, fault: Fact) -> bool:
    """Whoever may not trade is rejected with a reason, and the same run tries no second time."""
    for event in history.after(fault, EVENT, "Outcome"):
        rows = [r for r in event.more.rows if r.result is RowResult.REJECTED]
        if any(r.reason.startswith(("participant_", "trader_")) for r in rows):
            return True
    for event in history.after(fault, EVENT, "Problem"):
        if event.more.code == "E_ROWS_REFUSED":
            return True
    return False


def given_up_for_its_age(history: History, fault: Fact) -> bool:
    """A call in doubt that is older than a plan lives was looked up and not sent again."""
    for gone in history.after(fault, EVENT):
        if gone.name not in ("Abandoned", "Answer"):
            continue
        attempts = history.before(gone, EVENT, "Attempt", about=gone.about)
        if attempts and gone.at - attempts[0].at > LIFE_SECONDS:
            return True
    return False


def duplicate_answered(history: History, fault: Fact) -> bool:
    """A register per verb: an id that was sent twice became one Operation of its verb."""
    answers: dict[str, set[str]] = {}
    for event in history.of(EVENT, "Answer"):
        if event.more.number and event.more.answer == "committed":
            answers.setdefault(event.about, set()).add(event.more.resource_id)
    twice = [about for about in answers if sum(1 for f in history.of(SENT) if f.about == about) > 1]
    return any(len(answers[about]) == 1 for about in twice)


def left_open_and_finished_later(history: History, fault: Fact) -> bool:
    """For as long as nobody answers the budget is spent, the call stays open and the run says so;
    a later run brings it to its end."""
    for end in history.after(fault, ENDED, same_run=True):
        if end.name in ("0", "parked"):
            return False
        mine = {
            f.about for f in history.facts[: end.place] if f.run == end.run and _event(f, "Attempt")
        }
        ended = {f.about for f in history.facts[: end.place] if _outcome(f)}
        return any(f.about in mine - ended and _outcome(f) for f in history.after(end))
    return False


def released(history: History, fault: Fact) -> bool:
    """What was frozen goes on, and a run ends well."""
    return swept_again(history, fault)


def stops_cleanly(history: History, fault: Fact) -> bool:
    """The run ends there, and the next one goes on from its journal."""
    return _ends(history, fault, lambda name: name == "exhausted") and swept_again(history, fault)


# --- journals -------------------------------------------------------------------------------------


def pushed_again(history: History, fault: Fact) -> bool:
    """What became of a push without an answer was asked of the remote, and the run came to its
    end."""
    asked = any(True for _ in history.after(fault, "git", "ls-remote", same_run=True))
    return asked and any(True for _ in history.after(fault, ENDED, same_run=True))


def rollback_refused(history: History, fault: Fact) -> bool:
    """A branch that was wound back: whoever had seen more sends nothing."""
    ends = history.after(fault, ENDED, "JournalRolledBack")
    return any(not _sent_in(history, end.run) for end in ends)


def apart_and_once(history: History, fault: Fact) -> bool:
    """Journals that know nothing of each other: whoever comes second finds the provider's chain
    and goes on behind it."""
    spans = {f.machine for f in history.of(ENDED) if f.name in ("0", "parked")}
    return len(spans) > 1


# --- small things ---------------------------------------------------------------------------------


def _ends(history: History, fault: Fact, fits: Callable[[str], bool]) -> bool:
    return any(fits(end.name) for end in history.after(fault, ENDED, same_run=True))


def _said(history: History, fault: Fact, *codes: str) -> bool:
    problems = history.after(fault, EVENT, "Problem")
    return any(event.more.code in codes for event in problems)


def _sent_at(history: History, fault: Fact) -> Fact | None:
    """The request that the fault met."""
    return next(iter(history.before(fault, SENT, about=fault.about)), None)


def _sent_in(history: History, run: str) -> bool:
    return any(f.run == run for f in history.of(SENT))


def _event(fact: Fact, name: str) -> bool:
    return fact.what == EVENT and fact.name == name


def _outcome(fact: Fact) -> bool:
    return _event(fact, "Outcome")


def _outcomes(history: History) -> Iterator[Outcome]:
    for fact in history.of(EVENT, "Outcome"):
        yield fact.more


def _spans(history: History) -> Iterator[tuple[int, int, str]]:
    began: dict[str, Fact] = {}
    for fact in history.facts:
        if fact.what == BEGAN:
            began[fact.run] = fact
        if fact.what == ENDED and fact.run in began and fact.name in ("0", "5", "6", "parked"):
            yield began[fact.run].place, fact.place, fact.machine
