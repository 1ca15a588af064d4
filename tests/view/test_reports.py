"""Apply, status and audit as people and machines see them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stratctl.core.event import (
    Abandoned,
    Answer,
    AnswerClass,
    Attempt,
    Event,
    Forfeited,
    Intent,
    IntentRow,
    Outcome,
    Problem,
    RowOutcome,
    RowResult,
    Satisfied,
)
from stratctl.core.report import (
    Applied,
    AuditReport,
    FloatStatus,
    Status,
    StrategyStatus,
    Tally,
)
from stratctl.core.state import TransitionStep, Verb
from stratctl.core.windows import Opening
from stratctl.view import audit, report
from stratctl.view import json as json_view
from stratctl.view.story import Story
from tests.plans import CAPPED_BLEND, EXIT

GOLDEN = Path(__file__).parent / "golden"

COMPLETE = Applied(
    environment="local",
    plan_digest="d" * 64,
    tallies=(
        Tally("blue-chip", Verb.ENROLL, "USD", 1, 12, 0, 0, 6_150_000),
        Tally("blue-chip", Verb.REBALANCE, "USD", 1, 39, 1, 0, 0),
        Tally("blue-chip", Verb.FLAGS, "USD", 2, 2, 0, 0, 0),
    ),
    problems=(),
    not_needed=(),
    left_for_next=(),
    rejected=(),
    interrupted=False,
    journal_head="h" * 64,
    participants=52,
)
TROUBLED = replace(
    COMPLETE,
    problems=(
        Problem("blue-chip", "E_PARKED", "refused", ("CUST01",)),
        Problem("defi", "E_UNKNOWN", "no answer", (), indeterminate=True),
    ),
    not_needed=(("blue-chip", "enroll", "CUST05"),),
    left_for_next=(("blue-chip", "rebalance", "CUST06"),),
    rejected=tuple(("blue-chip", f"REJ{n:03d}", "insufficient_balance") for n in range(12)),
)
STATUS = Status(
    environment="local",
    realm="sandbox",
    as_of="2026-11-21T09:00:00Z",
    strategies=(
        StrategyStatus(
            name="blue-chip",
            id="b1c2d3e4",
            currency="USD",
            traders=5_000,
            declared=4_990,
            unmanaged=10,
            value_minor=123_456_789,
            outside_band=3,
            drift_largest_e18=123_450_000_000_000_000,
            in_flight=(("op-1", "rebalance", "settling"),),
            parked=2,
            problem="a gap in the chain",
            weights=replace(
                CAPPED_BLEND,
                step=TransitionStep(
                    2, 4, EXIT, CAPPED_BLEND.vector, "2026-11-28", CAPPED_BLEND.span
                ),
            ),
        ),
        StrategyStatus("new", None, "USD", 0, 3, 0, 0, 0, 0, (), 0, ""),
    ),
    floats=(FloatStatus("USD", 10_000_000, "ACME01"),),
    journal_entries=17,
    journal_head="h" * 64,
    open_intents=1,
    halted="exits_only",
    window=Opening(open=False, changes_at="2026-12-07T14:00:00Z", because=""),
)
AUDIT = AuditReport("local", 17, "h" * 64, 4, 4, ())
BROKEN = replace(AUDIT, findings=("line 9 does not fit line 8",), repaired="a torn last line")

TEXTS: dict[str, str] = {
    "applied.txt": report.applied(COMPLETE),
    "applied-troubled.txt": report.applied(TROUBLED),
    "applied.json": json_view.applied(TROUBLED, 6),
    "status.txt": report.status(STATUS),
    "status.json": json_view.status(STATUS),
    "audit.txt": audit.verified(AUDIT),
    "audit-broken.txt": audit.verified(BROKEN),
    "audit.json": json_view.audit(BROKEN),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_report_looks_as_it_did(name: str, golden: Callable[[Path, str], None]) -> None:
    """Each report is the checked-in text, whole."""
    golden(GOLDEN / name, TEXTS[name])


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (
            COMPLETE,
            "Applied: 12 enrolled, 39 rebalanced, 2 flags set, 1 skipped. "
            "Cash in USD 61,500.00; 52 participants; 4 calls.",
        ),
        (
            TROUBLED,
            "Not finished: 1 open outcome. Apply again to find out; nothing is sent twice. "
            "Applied in part: 12 enrolled, ",
        ),
        (
            replace(COMPLETE, interrupted=True),
            "Interrupted. Apply again to do the rest. Applied in part: 12 enrolled, ",
        ),
        (replace(COMPLETE, rejected=(("a", "b", "c"),)), "Applied in part: 12 enrolled, "),
        (
            replace(COMPLETE, tallies=(), problems=TROUBLED.problems[:1], participants=0),
            "Applied in part: nothing. 0 participants; 0 calls.",
        ),
        (
            replace(COMPLETE, tallies=(Tally("a", Verb.PARTIAL_SELL, "USD", 1, 2, 0, 3, 25_000),)),
            "Applied: 2 sold in part, 3 rejected. Cash in USD 0.00, out USD 250.00; ",
        ),
        (replace(COMPLETE, tallies=()), "Nothing to apply."),
    ],
)
def test_the_last_line_of_an_apply_says_how_it_ended(result: Applied, says: str) -> None:
    """The plan's words, and an open outcome, an interruption or a part is never called whole."""
    assert report.applied_headline(result).startswith(says)


def test_tallies_are_in_the_order_of_sending() -> None:
    """By Strategy, then by verb, whatever ended first."""
    shown = report.applied(replace(COMPLETE, tallies=COMPLETE.tallies[::-1]))
    assert shown == report.applied(COMPLETE)


def test_many_participants_are_named_in_part_and_counted() -> None:
    """A long list of people is cut, and the number is there."""
    assert (
        "12 participants rejected by the provider: insufficient_balance"
        in TEXTS["applied-troubled.txt"]
    )
    assert "and 2 more" in TEXTS["applied-troubled.txt"]


def intent(verb: Verb = Verb.ENROLL) -> Intent:
    """An intent of two enrolments."""
    return Intent(
        strategy="blue-chip",
        strategy_id="b1",
        verb=verb,
        slot=3,
        request_id="r1",
        method="POST",
        path="/strategies/b1/enroll",
        body="{}",
        body_sha256="0" * 64,
        currency="USD",
        rows=(IntentRow("CUST01", 100, True), IntentRow("CUST02", 250, True)),
        vector_text="BTC 1",
        target_text="BTC 1",
        target_epoch=0,
        acknowledgements=(),
        fence_head=2,
    )


def outcome(verb: Verb = Verb.ENROLL, *rows: RowOutcome, **changed: object) -> Outcome:
    """The end of the call of ``intent``."""
    end = Outcome("blue-chip", "b1", verb, 3, "r1", "op", "settled", "", rows, proven=True)
    return replace(end, **changed)  # type: ignore[arg-type]  # fields of an Outcome


def answer(kind: AnswerClass = AnswerClass.COMMITTED, **changed: object) -> Answer:
    """An answer to the call of ``intent``."""
    given = Answer("r1", 1, kind, 202, "op", "")
    return replace(given, **changed)  # type: ignore[arg-type]  # fields of an Answer


SETTLED = RowOutcome("CUST01", RowResult.SETTLED, "", "e1", 100)
REJECTED = RowOutcome("CUST02", RowResult.REJECTED, "no", "e2", 0)
CREATION = replace(intent(Verb.CREATE), rows=(), slot=None)

STORIES: dict[str, tuple[list[Event], list[str]]] = {
    "a call is one line when it is sent and one when it has ended": (
        [intent(), Attempt("r1", 1, 0), answer(), outcome(Verb.ENROLL, SETTLED, REJECTED)],
        [
            "+ blue-chip: enroll 2 participants, USD 3.50",
            "  blue-chip: 1 enrolled, 1 rejected in 3.0 s",
        ],
    ),
    "a creation ends with its answer": (
        [CREATION, answer()],
        ["+ blue-chip: create", "  blue-chip: created in 1.0 s"],
    ),
    "so does an update": (
        [replace(CREATION, verb=Verb.METADATA), answer()],
        ["~ blue-chip: update metadata", "  blue-chip: metadata updated in 1.0 s"],
    ),
    "a second attempt is worth a line": (
        [Attempt("r1", 2, 0)],
        ["  sending r1 again, attempt 2"],
    ),
    "a doubt names the call": (
        [intent(), answer(AnswerClass.REFUSED, status=400, detail="bad", errors=("body/amount",))],
        [
            "+ blue-chip: enroll 2 participants, USD 3.50",
            "! blue-chip: enroll r1: refused (400): bad; body/amount",
        ],
    ),
    "a doubt about an earlier run's call has its id": (
        [answer(AnswerClass.UNKNOWN, status=0, detail="timeout")],
        ["! r1: unknown: timeout"],
    ),
    "an end that this run did not begin has no duration": (
        [outcome(Verb.REBALANCE, SETTLED)],
        ["  blue-chip: 1 rebalanced"],
    ),
    "another body or an unknown status is never told as fine": (
        [outcome(Verb.ENROLL, status="novel", proven=False)],
        ["! blue-chip: nothing to enroll (novel), not what was sent"],
    ),
    "what is given up says why": (
        [Abandoned("b", "r1", 3, "refused", (("CUST01", "x"),))],
        ["x b: r1: not sent again: refused, 1 participant parked"],
    ),
    "closed accounts are counted": (
        [Forfeited("b", "b1", (("CUST01", 1, 0),))],
        ["  b: 1 account of flows closed"],
    ),
    "so are participants that need no call": (
        [Satisfied("b", "b1", "BTC 1", 0, ("CUST01",))],
        ["  b: 1 participant already within the minimum leg"],
    ),
    "problems name whom they concern": (
        [Problem("b", "E_X", "why", ("CUST01",), True), Problem("", "E_CLOCK", "skewed")],
        ["! b: E_X: why (CUST01)", "x E_CLOCK: skewed"],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_an_apply_is_told_in_few_lines(name: str) -> None:
    """Every kind of event has its line, or none; a second passes between two events."""
    events, lines = STORIES[name]
    story = Story()
    assert [line for now, one in enumerate(events) for line in story.tell(one, now)] == lines
    assert story.end() == []


def flag(number: int) -> Intent:
    """The request that sets one Trader's flag."""
    return replace(
        intent(Verb.FLAGS),
        request_id=f"f{number}",
        slot=None,
        rows=(IntentRow(f"CUST{number:02d}", None, False),),
    )


def test_flags_are_told_once() -> None:
    """Three requests for three flags are one line, at the Strategy's next event or at the end."""
    three = [one for n in range(3) for one in (flag(n), answer(request_id=f"f{n}"))]
    said = ["~ blue-chip: 3 flags set in 5.0 s"]
    story = Story()
    assert [line for now, one in enumerate(three) for line in story.tell(one, now)] == []
    assert story.end() == said
    assert story.end() == []
    story = Story()
    told = [line for now, one in enumerate([*three, intent()]) for line in story.tell(one, now)]
    assert told == [*said, "+ blue-chip: enroll 2 participants, USD 3.50"]


def test_a_flag_that_is_refused_is_told() -> None:
    """What fails among many flags has a line of its own."""
    story = Story()
    assert story.tell(flag(1), 0) == []
    refused = answer(AnswerClass.REFUSED, request_id="f1", status=400, detail="bad")
    assert story.tell(refused, 1) == ["! blue-chip: set auto_rebalance f1: refused (400): bad"]
    assert story.end() == []


def test_everything_is_told_to_those_who_ask() -> None:
    """-v shows slots, request ids, Operations, and each flag."""
    story = Story(verbose=True)
    end = outcome(Verb.ENROLL, SETTLED)
    events: list[Event] = [intent(), Attempt("r1", 1, 0), answer(), end, flag(1)]
    assert [line for now, one in enumerate(events) for line in story.tell(one, now)] == [
        "+ blue-chip: enroll 2 participants, USD 3.50 (slot 3)",
        "  sending r1",
        "  accepted r1 as op",
        "  blue-chip: 1 enrolled in 3.0 s",
        "~ blue-chip: set auto_rebalance 1 participant",
    ]


def test_a_journal_entry_is_one_line() -> None:
    """An entry shows its place, time, type and what it says, without the chain's own fields."""
    entry = {
        "v": 1,
        "seq": 7,
        "prev": "p",
        "h": "h",
        "run": "r",
        "t": "2026-11-21T09:00:00Z",
        "type": "intent",
        "strategy": "blue\nchip",
        "verb": "enroll",
        "body": "{}",
        "slot": None,
        "rows": [{"participant_code": "CUST01"}, {"participant_code": "CUST02"}],
        "participants": ["CUST01", "CUST02"],
        "acknowledgements": [],
    }
    assert audit.journal_line(entry) == (
        "     7  2026-11-21T09:00:00Z  intent     blue\\u000achip enroll rows=[2 rows] "
        "participants=CUST01,CUST02"
    )


def test_reports_as_json_have_no_floats() -> None:
    """Amounts and shares are decimal text."""
    for name in ("applied.json", "status.json", "audit.json"):
        json.loads(TEXTS[name], parse_float=lambda found: pytest.fail(f"a float: {found}"))
    assert json.loads(TEXTS["status.json"])["strategies"][0]["drift_largest"] == "0.12345"


def test_a_halt_says_what_it_stops() -> None:
    """A halt of everything and a halt of all but exits read differently, and name the way out."""
    assert "halted: only exits may be applied\nNext: stratctl resume" in report.status(STATUS)
    assert "halted: nothing is sent" in report.status(replace(STATUS, halted="all"))
    assert "halted" not in report.status(replace(STATUS, halted=None))


def test_an_open_call_says_what_to_do() -> None:
    """Apply finds out, except under a halt, which has to be lifted first; else nothing is said."""
    opened = report.status(replace(STATUS, halted=None))
    assert "! 1 call has no known end\nNext: stratctl apply, which finds out first" in opened
    assert "stratctl apply" not in report.status(STATUS)
    assert "Next:" not in report.status(replace(STATUS, halted=None, open_intents=0))


@pytest.mark.parametrize(
    ("outside", "opted_out", "says"),
    [
        (0, 0, "drift: nobody outside the band, the largest 12.35 %"),
        (1_234, 0, "drift: 1,234 outside the band, the largest 12.35 %"),
        (62, 60, "drift: 62 outside the band (60 with auto_rebalance off), the largest 12.35 %"),
    ],
)
def test_drift_says_who_opted_out(outside: int, opted_out: int, says: str) -> None:
    """Somebody who opted out stays outside the band for good, and is told apart."""
    one = replace(STATUS.strategies[0], outside_band=outside, outside_opted_out=opted_out)
    assert says in report.status(replace(STATUS, strategies=(one,)))
