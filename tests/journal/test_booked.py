"""What a journal books, counted twice, and what contradicts it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.errors import JournalTampered
from stratctl.core.event import (
    Abandoned,
    AnswerClass,
    Event,
    Forfeited,
    IntentRow,
    RowResult,
    Satisfied,
)
from stratctl.core.state import Booked, MoneySent, Verb
from stratctl.core.tables import Workspace
from stratctl.journal.bindings import Bindings, Contradiction
from stratctl.journal.booked import book, booked_totals
from stratctl.journal.chain import read
from stratctl.journal.record import (
    NO_PREVIOUS,
    AdoptedRow,
    Applied,
    Entry,
    Genesis,
    Halt,
    Resume,
    Run,
    Unparked,
    Word,
    encode,
)
from stratctl.journal.store import open_journal
from stratctl.journal.verify import TOTALS, Totals, differences, totals_of, verify
from tests.journal.story import (
    ENVIRONMENT,
    REALM,
    STRATEGY,
    STRATEGY_ID,
    Clock,
    adopted,
    answer,
    attempt,
    committed,
    everything,
    intent,
    operation,
    outcome,
    settled,
    these,
    write,
)

WORKSPACE = Workspace()
SETTLED, SKIPPED, REJECTED, MIXED = RowResult


def entries(said: Sequence[Event | Word], *, run: str = "r") -> list[Entry]:
    """Entries that say it, behind a genesis."""
    whole = [Genesis(REALM, ENVIRONMENT), *said]
    return [Entry(seq, "t", run, event, f"digest-{seq}") for seq, event in enumerate(whole, 1)]


def booked(*said: Event | Word) -> Booked:
    """What it books."""
    return book(entries(said), WORKSPACE)


def row(said: Sequence[Event | Word], code: str = "CUST01") -> dict[str, Any]:
    """One participant's bookings."""
    table = booked(*said).rows
    rows = {each[1]: dict(zip(table.schema, each, strict=True)) for each in table.rows()}
    return rows[code]


ENROLL = intent(Verb.ENROLL, 1, [("CUST01", 10_000)], target="BTC 1")
SELL = intent(Verb.PARTIAL_SELL, 1, [("CUST01", 4_000)])


def test_an_intent_that_was_never_sent_is_open_and_not_pending() -> None:
    """Nothing leaves before its attempt is written, so it cannot have moved."""
    result = booked(ENROLL)
    assert result.rows.rows() == []
    (open_intent,) = result.open_intents
    assert (open_intent.slot, open_intent.signed_last, open_intent.body) == (1, None, ENROLL.body)


@pytest.mark.parametrize(
    ("kind", "pending"),
    [
        (None, True),
        (AnswerClass.UNKNOWN, True),
        (AnswerClass.RATE_LIMITED, True),
        (AnswerClass.RETRY_FRIENDLY, True),
        (AnswerClass.COMMITTED, True),
        (AnswerClass.SLOT_TAKEN, True),
        (AnswerClass.REFUSED, False),
        (AnswerClass.ACCESS_REFUSED, False),
        (AnswerClass.NOT_FOUND, False),
        (AnswerClass.NOT_SENT, False),
    ],
)
@pytest.mark.parametrize("call", [ENROLL, SELL])
def test_what_may_have_been_carried_out_counts_in_full(
    kind: AnswerClass | None, pending: bool, call: Any
) -> None:
    """Only an answer that proves that nothing was carried out takes the amount back."""
    said: list[Event | Word] = [call, attempt(call), *([answer(call, kind)] if kind else [])]
    table = booked(*said).rows.rows()
    assert bool(table) is pending
    if pending:
        found = row(said)
        came, went = (10_000, 0) if call is ENROLL else (0, 4_000)
        assert (found["pending_in_minor"], found["pending_out_minor"]) == (came, went)
        assert found["busy"]
    else:
        # Should its id be listed all the same, somebody else's Operation is counted.
        assert [each.signed_last for each in booked(*said).open_intents] == [None]


def test_a_later_refusal_does_not_undo_an_earlier_doubt() -> None:
    """The first attempt may still be carried out."""
    said: list[Event | Word] = [
        ENROLL,
        attempt(ENROLL),
        answer(ENROLL, AnswerClass.UNKNOWN),
        attempt(ENROLL, 2),
        answer(ENROLL, AnswerClass.REFUSED, 2),
    ]
    assert row(said)["pending_in_minor"] == 10_000
    assert booked(*said).open_intents[0].signed_last == 1_000
    assert booked(*said, Abandoned(STRATEGY, ENROLL.request_id, 1, "over")).rows.rows() == []


def test_settled_rows_count_what_was_asked_for_and_satisfy_the_target() -> None:
    """And nothing is busy or open any more."""
    found = row(settled(ENROLL))
    assert (found["contributed_minor"], found["pending_in_minor"]) == (10_000, 0)
    assert (found["target_text"], found["target_epoch"], found["busy"]) == ("BTC 1", 1, False)
    result = booked(*settled(ENROLL))
    assert result.open_intents == ()
    (done,) = result.operations
    assert (done.operation_id, done.done, done.slot) == (operation(ENROLL), True, 1)


def test_a_top_up_satisfies_no_target() -> None:
    """Money that comes in at the target says nothing about what was held before."""
    assert row(settled(intent(Verb.TOP_UP, 1, [("CUST01", 5)])))["target_text"] is None


def test_a_liquidation_exits_until_a_later_buy_settles() -> None:
    """Settled or nothing to sell: both are an exit."""
    exit_call = intent(Verb.LIQUIDATE, 2, [("CUST01", None)])
    for result in (SETTLED, SKIPPED):
        gone: list[Event | Word] = [
            *settled(ENROLL),
            exit_call,
            attempt(exit_call),
            answer(exit_call),
            outcome(exit_call, [("CUST01", result, "", None)]),
        ]
        assert row(gone)["exited"]
        back = [*gone, *settled(intent(Verb.TOP_UP, 3, [("CUST01", 5)]))]
        assert not row(back)["exited"]


@pytest.mark.parametrize(
    ("reason", "parked"),
    [
        ("participant_not_approved", True),
        ("trader_not_found", True),
        ("below_instrument_minimum", True),
        ("insufficient_funds", True),
        ("something new", True),
        ("", True),
        ("balance held by concurrent operation", False),
    ],
)
def test_a_rejected_row_is_parked_unless_the_next_plan_can_do_better(
    reason: str, parked: bool
) -> None:
    """Parked rows wait for an acknowledgement; it is used up by that."""
    said: list[Event | Word] = [
        *committed(ENROLL),
        outcome(ENROLL, [("CUST01", REJECTED, reason, 0)]),
    ]
    assert (row(said)["parked"] is not None) is parked
    assert row(said)["contributed_minor"] == 0
    free = [*said, Unparked("ack-1", STRATEGY_ID, ("CUST01",))]
    assert row(free)["parked"] is None
    assert booked(*free).used_acknowledgements == {"ack-1"}
    elsewhere = [*said, Unparked("ack-1", STRATEGY_ID, ("CUST09",))]
    assert (row(elsewhere)["parked"] is not None) is parked


@pytest.mark.parametrize("reason", ["trader_not_enrolled", "trader_already_enrolled"])
def test_a_refusal_that_asks_for_the_other_verb_is_told_to_the_next_plan(reason: str) -> None:
    """It is remembered until money went in, however it got there."""
    said: list[Event | Word] = [
        *committed(ENROLL),
        outcome(ENROLL, [("CUST01", REJECTED, reason, 0)]),
    ]
    assert row(said)["parked"] == reason
    assert row([*said, *settled(intent(Verb.TOP_UP, 2, [("CUST01", 5)]))])["parked"] is None


def test_a_held_balance_parks_the_second_time_in_a_row() -> None:
    """A settled row in between starts the count anew."""
    held = ("CUST01", REJECTED, "balance held by concurrent operation", 0)
    said: list[Event | Word] = []
    for slot, result in enumerate([held, ("CUST01", SETTLED, "", 100), held, held], start=1):
        call = intent(Verb.TOP_UP, slot, [("CUST01", 100)])
        assert not said or row(said)["parked"] is None
        said += [call, attempt(call), answer(call), outcome(call, [result])]
    assert row(said)["parked"] == "balance held by concurrent operation"


def test_a_mixed_row_stays_busy_and_is_freed_by_no_acknowledgement() -> None:
    """Nobody knows what it holds."""
    said: list[Event | Word] = [
        *committed(ENROLL),
        outcome(ENROLL, [("CUST01", MIXED, "", 10_000)]),
        Unparked("ack-1"),
    ]
    found = row(said)
    assert (found["busy"], found["pending_in_minor"], found["parked"]) == (
        True,
        10_000,
        "mixed_outcome",
    )


def test_a_skipped_buy_waits_for_a_person() -> None:
    """Money that did not move is shown, not sent again and again."""
    said: list[Event | Word] = [
        *committed(ENROLL),
        outcome(ENROLL, [("CUST01", SKIPPED, "all_skipped", 0)]),
    ]
    assert row(said)["parked"] == "all_skipped"


def test_another_bodys_figures_are_booked_as_they_are() -> None:
    """And they satisfy no target and park nobody."""
    said: list[Event | Word] = [
        ENROLL,
        attempt(ENROLL),
        answer(ENROLL, AnswerClass.SLOT_TAKEN),
        outcome(ENROLL, [("CUST01", SETTLED, "", 77), ("CUST02", SETTLED, "", 88)], proven=False),
    ]
    assert (row(said)["contributed_minor"], row(said, "CUST02")["contributed_minor"]) == (77, 88)
    assert row(said)["target_text"] is None
    assert row(said)["parked"] is None


def test_the_money_of_each_call_is_told_with_its_newest_signature() -> None:
    """In doubt it has no time yet; what was refused or skipped moved nothing."""
    doubtful = booked(SELL, attempt(SELL), answer(SELL, AnswerClass.UNKNOWN)).sent
    assert doubtful == (MoneySent("USD", 0, 4_000, None),)
    two = intent(Verb.ENROLL, 1, [("CUST01", 10_000), ("CUST02", 88)])
    said: list[Event | Word] = [two, attempt(two), answer(two, AnswerClass.UNKNOWN)]
    said += [attempt(two, 2, 5_000), answer(two, number=2)]
    assert booked(*said).sent == (MoneySent("USD", 10_088, 0, 5_000),)
    said.append(outcome(two, [("CUST01", REJECTED, "no", 0), ("CUST02", SETTLED, "", 88)]))
    assert booked(*said).sent == (MoneySent("USD", 88, 0, 5_000),)
    assert booked(ENROLL, attempt(ENROLL), answer(ENROLL, AnswerClass.REFUSED)).sent == ()


def test_forfeits_and_satisfied_targets_are_booked() -> None:
    """Both without any call."""
    said: list[Event | Word] = [
        Forfeited(STRATEGY, STRATEGY_ID, (("CUST01", 5, 6),)),
        Forfeited(STRATEGY, STRATEGY_ID, (("CUST01", 1, 0),)),
        Satisfied(STRATEGY, STRATEGY_ID, "ETH 1", 3, ("CUST01",)),
    ]
    found = row(said)
    assert (found["forfeited_in_minor"], found["forfeited_out_minor"]) == (6, 6)
    assert (found["target_text"], found["target_epoch"]) == ("ETH 1", 3)


def test_halt_and_resume() -> None:
    """The newest word counts."""
    assert booked().halted is None
    assert booked(Halt(exits_only=True, reason="")).halted == "exits_only"
    assert booked(Halt(exits_only=False, reason="")).halted == "all"
    assert booked(Halt(exits_only=False, reason=""), Resume("")).halted is None


def test_a_configuration_counts_as_applied_with_its_first_intent() -> None:
    """An older one may not act after that, even if the run never ended."""
    begun = Run("plan", "configuration", "commit-2", 2, ())
    assert booked(begun).applied_commit is None
    assert booked(begun, ENROLL).applied_commit == "commit-2"
    assert booked(Applied("commit-3", 3, "plan", complete=True)).applied_generation == 3


def test_acknowledgements_are_used_up_by_the_first_intent_that_names_them() -> None:
    """One-shot."""
    named = intent(Verb.ENROLL, 1, [("CUST01", 1)], acknowledgements=("ack-7",))
    assert booked(named).used_acknowledgements == {"ack-7"}


def test_an_absent_journal_knows_nothing() -> None:
    """Which is not the same as an empty one."""
    assert not book([], WORKSPACE).known
    assert booked().known


def test_a_created_strategy_is_bound_to_its_name(tmp_path: Path) -> None:
    """From its creation or from any later call."""
    chain = read(write(tmp_path, everything()).read_bytes())
    assert book(chain.entries, WORKSPACE).strategy_ids == ((STRATEGY, STRATEGY_ID),)
    create = intent(Verb.CREATE, None, [])
    (open_create,) = booked(create).open_intents
    assert (open_create.slot, open_create.strategy_id) == (0, "")


# --- the second count -----------------------------------------------------------------------------


@st.composite
def stories(draw: st.DrawFn) -> list[Event | Word]:
    """Calls in order, each of them ending anywhere on its way."""
    said: list[Event | Word] = []
    verbs = st.sampled_from([Verb.ENROLL, Verb.TOP_UP, Verb.PARTIAL_SELL, Verb.REBALANCE])
    codes = ["CUST01", "CUST02", "CUST03"]
    for slot in range(1, draw(st.integers(1, 6)) + 1):
        verb = draw(verbs)
        money = verb is not Verb.REBALANCE
        chosen = draw(st.lists(st.sampled_from(codes), min_size=1, unique=True))
        amounts = [draw(st.integers(1, 10**12)) if money else None for _ in chosen]
        call = intent(verb, slot, list(zip(chosen, amounts, strict=True)))
        refusal = draw(st.sampled_from([AnswerClass.REFUSED, AnswerClass.NOT_SENT]))
        unknown = answer(call, AnswerClass.UNKNOWN)
        ways: list[list[Event | Word]] = [
            [call],
            [call, attempt(call)],
            [call, attempt(call), unknown],
            [call, attempt(call), answer(call, refusal)],
            [call, attempt(call), unknown, attempt(call, 2), answer(call, refusal, 2)],
            [call, attempt(call), unknown, answer(call, AnswerClass.COMMITTED, 0)],
            [call, attempt(call), answer(call)],
        ]
        results = [
            (code, draw(st.sampled_from(list(RowResult))), "", amount)
            for code, amount in zip(chosen, amounts, strict=True)
        ]
        ended = outcome(
            call,
            [
                (code, result, why, amount if result in (SETTLED, MIXED) or not money else 0)
                for code, result, why, amount in results
            ],
        )
        gone = Abandoned(STRATEGY, call.request_id, slot, "over")
        ways += [[*ways[6], ended], [*ways[6], ended, ended], [*ways[3], gone, *ways[6], ended]]
        way = draw(st.sampled_from(ways))
        said += way
        if not any(getattr(e, "answer", None) is AnswerClass.COMMITTED for e in way):
            break
    return said


@given(stories())
def test_two_independent_counts_agree(said: list[Event | Word]) -> None:
    """Entry by entry, and call by call: the same totals for every participant."""
    told = entries(said)
    columns = ", ".join(("strategy_id", "participant_code", *TOTALS))
    table = book(told, WORKSPACE).rows
    first = {
        (found[0], found[1]): found[2:]
        for found in WORKSPACE.rows(f"SELECT {columns} FROM {table}")
        if any(found[2:])
    }
    WORKSPACE.run(f"DROP TABLE {table}")
    assert booked_totals(told, TOTALS) == first
    assert differences(first, totals_of(told)) == []


def test_the_audit_reports_where_two_counts_differ() -> None:
    """In words, with both figures."""
    one: Totals = {("s", "CUST01"): (1, 0, 0, 0, 0, 0)}
    assert differences(one, {}) == [
        "CUST01 in s: contributed_minor is 1 in one count and 0 in the other"
    ]


def test_a_journal_books_again_what_was_appended(tmp_path: Path) -> None:
    """Nothing new, and the same place for the tables: the same value; else another one."""
    write(tmp_path, everything())
    with open_journal(tmp_path, ENVIRONMENT, REALM, clock=Clock(), run="later") as journal:
        before = journal.booked(WORKSPACE)
        assert journal.booked(WORKSPACE) is before
        assert journal.booked(Workspace()).rows.workspace is not WORKSPACE
        assert journal.booked(WORKSPACE, [Halt(exits_only=False, reason="x")]).halted == "all"
        journal.append(Halt(exits_only=True, reason="look"))
        assert (before.halted, journal.booked(WORKSPACE).halted) == (None, "exits_only")


def test_an_audit_of_a_whole_journal_holds(tmp_path: Path) -> None:
    """Counts, head, and no finding; a torn tail is reported beside it."""
    data = write(tmp_path, everything()).read_bytes()
    report = verify(data + b'{"torn', environment=ENVIRONMENT)
    assert report.holds
    assert (report.entries, report.intents, report.outcomes) == (62, 13, 10)
    assert report.head == read(data).head
    assert report.repaired == "6 bytes at the end of the journal, not completed"


def test_an_audit_of_another_environments_journal_does_not_hold(tmp_path: Path) -> None:
    """It is a finding, not an exception."""
    data = write(tmp_path, everything()).read_bytes()
    report = verify(data, environment="prod")
    assert report.findings == ("the journal is of environment 'dev', not 'prod'",)


def test_many_participants_are_booked_as_few_are() -> None:
    """Each of them, whole, and nobody else."""
    call = intent(Verb.ENROLL, 1, [(f"{n:06d}", 100) for n in range(20_000)])
    rows = book(entries(settled(call)), Workspace(threads=2)).rows
    found = rows.workspace.one(
        f"SELECT count(DISTINCT participant_code), count(*), sum(contributed_minor) FROM {rows}"
    )
    assert found == (20_000, 20_000, 2_000_000)


# --- what is adopted ------------------------------------------------------------------------------


def moved(contributed: int, withdrawn: int = 0, **said: Any) -> AdoptedRow:
    """What Executions moved for CUST01."""
    more = {"exited": None, "mixed": False, "rebalanced_at": None, **said}
    return AdoptedRow("CUST01", contributed, withdrawn, **more)


def test_what_is_adopted_counts_like_what_was_sent() -> None:
    """Operations are known as done, money is booked beside our own, and both counts agree."""
    told = these(
        adopted(1, 2, rows=[moved(500, 40, exited=False, rebalanced_at=9)]),
        adopted(0, rows=[moved(33)]),
        *settled(intent(Verb.TOP_UP, 3, [("CUST01", 7)])),
    )
    found = booked(*told)
    assert [(o.slot, o.operation_id, o.done) for o in found.operations] == [
        (1, "operation-1", True),
        (2, "operation-2", True),
        (0, "operation-0", True),
        (3, "operation-3", True),
    ]
    (row,) = WORKSPACE.rows(
        f"SELECT contributed_minor, withdrawn_minor, busy, exited, rebalanced_at FROM {found.rows}"
    )
    assert row == (540, 40, False, False, 9)
    assert totals_of(entries(told)) == {(STRATEGY_ID, "CUST01"): (540, 40, 0, 0, 0, 0)}


def test_an_adopted_doubt_stays_one() -> None:
    """Who has legs that executed and legs that failed is busy until a person decides."""
    found = booked(adopted(1, rows=[moved(500, mixed=True)]))
    (row,) = WORKSPACE.rows(f"SELECT contributed_minor, busy, parked FROM {found.rows}")
    assert row == (500, True, "mixed_outcome")


# --- contradictions -------------------------------------------------------------------------------

OTHER_ID = "00000000-0000-4000-8000-000000000000"
OTHER = intent(Verb.ENROLL, 1, [("CUST01", 999)])
NEXT = intent(Verb.TOP_UP, 2, [("CUST01", 1)])
DONE = settled(ENROLL)


def changed(event: Any, **what: Any) -> Any:
    """The event with other fields."""
    return replace(event, **what)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([ENROLL, OTHER], "bound to another body"),
        ([*DONE, ENROLL], "used up"),
        ([Genesis(REALM, ENVIRONMENT)], "has one"),
        ([changed(ENROLL, body="x")], "digest"),
        ([changed(ENROLL, request_id=NEXT.request_id)], "not its slot's"),
        ([changed(ENROLL, slot=None)], "has a slot"),
        ([changed(intent(Verb.CREATE, None, []), slot=1)], "has no slot"),
        ([changed(ENROLL, rows=(IntentRow("A", 1), IntentRow("A", 2)))], "twice"),
        ([changed(ENROLL, rows=(IntentRow("A", 0),))], "not positive"),
        ([attempt(ENROLL)], "has no intent"),
        ([ENROLL, attempt(ENROLL, 2)], "numbered"),
        ([ENROLL, attempt(ENROLL), attempt(ENROLL)], "numbered"),
        ([*DONE, attempt(ENROLL, 2)], "not sent again"),
        ([ENROLL, NEXT, attempt(NEXT)], "slot before it"),
        ([answer(ENROLL)], "has no intent"),
        ([ENROLL, answer(ENROLL)], "needs its attempt"),
        ([*DONE, answer(ENROLL, number=0, resource="other")], "two resources"),
        ([DONE[3]], "has no intent"),
        ([*DONE[:2], DONE[3]], "needs the commit"),
        ([*DONE, changed(DONE[3], status="failed")], "two different outcomes"),
        ([*DONE[:3], changed(DONE[3], operation_id="other")], "its own Operation"),
        ([*DONE[:3], changed(DONE[3], slot=2)], "its intent's slot"),
        ([*DONE[:3], changed(DONE[3], verb=Verb.TOP_UP)], "proves nothing"),
        ([*DONE[:2], answer(ENROLL, AnswerClass.SLOT_TAKEN), DONE[3]], "proves nothing"),
        ([*DONE[:3], changed(DONE[3], rows=())], "each once"),
        ([*DONE[:3], outcome(ENROLL, [("CUST01", SETTLED, "", 10_001)])], "at most"),
        ([Abandoned(STRATEGY, ENROLL.request_id, 1, "")], "has no intent"),
        ([*DONE[:3], Abandoned(STRATEGY, ENROLL.request_id, 1, "")], "cannot be abandoned"),
        ([Forfeited(STRATEGY, STRATEGY_ID, (("CUST01", -1, 0),))], "negative"),
        ([adopted(1), ENROLL], "used up"),
        ([ENROLL, adopted(1)], "booked already"),
        ([*DONE, adopted(1)], "booked already"),
        ([adopted(0), adopted(0)], "booked already"),
        ([adopted(1, 1)], "booked already"),
        ([changed(adopted(1), operations=adopted(0, 0).operations)], "booked already"),
        ([changed(adopted(1), strategy_id=OTHER_ID)], "not its slot's"),
        ([adopted(1, rows=[moved(-1)])], "negative"),
        ([adopted(1, rows=[moved(1), moved(2)])], "twice"),
    ],
)
def test_what_contradicts_the_journal_is_refused(said: list[Event | Word], why: str) -> None:
    """When it is appended, and when a journal with a fitting chain says it all the same."""
    bindings = Bindings()
    bindings.admit(Genesis(REALM, ENVIRONMENT))
    for event in said[:-1]:
        bindings.admit(event)
    with pytest.raises(Contradiction, match=why):
        bindings.admit(said[-1])

    lines, prev = [], NO_PREVIOUS
    for seq, event in enumerate([Genesis(REALM, ENVIRONMENT), *said], start=1):
        lines.append(encode(event, seq=seq, prev=prev, at="t", run="r"))
        prev = read_digest(lines[-1])
    with pytest.raises(JournalTampered) as raised:
        read(b"".join(lines))
    assert raised.value.seq == len(lines)


def read_digest(line: bytes) -> str:
    """What the next line calls prev."""
    return str(json.loads(line)["h"])


def test_a_journal_begins_with_its_genesis() -> None:
    """Nothing else can be its first entry."""
    with pytest.raises(Contradiction, match="begins"):
        Bindings().admit(Resume("x"))


def test_an_abandoned_slot_takes_another_body() -> None:
    """That is what abandoning is for."""
    bindings = Bindings()
    bindings.admit(Genesis(REALM, ENVIRONMENT))
    gone = Abandoned(STRATEGY, ENROLL.request_id, 1, "refused")
    for event in these(ENROLL, attempt(ENROLL), gone, OTHER, attempt(OTHER)):
        bindings.admit(event)
    (left,) = bindings.unfinished()
    assert (left.intent, left.attempts, left.in_doubt) == (OTHER, 1, True)


def test_a_flag_may_be_written_down_again_under_its_id() -> None:
    """Its id names what it changes; a later run begins its attempts anew."""
    flag = changed(ENROLL, verb=Verb.FLAGS, slot=None, request_id="any")
    bindings = Bindings()
    bindings.admit(Genesis(REALM, ENVIRONMENT))
    once = answer(flag, resource="trader")
    for event in these(flag, attempt(flag), once, flag, attempt(flag)):
        bindings.admit(event)
    assert bindings.unfinished() == ()


def test_a_rebalance_that_settled_is_booked_with_the_time_of_its_signature() -> None:
    """The last one counts; who was skipped or rejected was not rebalanced."""
    said: list[Event | Word] = []
    for slot, signed_at, result in ((1, 1_000, SETTLED), (2, 2_000, SETTLED), (3, 3_000, SKIPPED)):
        call = intent(Verb.REBALANCE, slot, [("CUST01", None), ("CUST02", None)])
        ends = [("CUST01", result, "", None), ("CUST02", REJECTED, "refused", None)]
        said += [call, attempt(call, signed_at=signed_at), answer(call), outcome(call, ends)]
    assert row(said)["rebalanced_at"] == 2_000
    assert row(said, "CUST02")["rebalanced_at"] is None
