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
from stratctl.core.state import Verb
from stratctl.view import json as json_view
from stratctl.view import report

GOLDEN = Path(__file__).parent / "golden"

COMPLETE = Applied(
    environment="local",
    plan_digest="d" * 64,
    tallies=(
        Tally("blue-chip", Verb.ENROLL, "USD", 1, 12, 0, 0, 6_150_000),
        Tally("blue-chip", Verb.REBALANCE, "USD", 1, 39, 1, 0, 0),
    ),
    problems=(),
    not_needed=(),
    left_for_next=(),
    rejected=(),
    interrupted=False,
    journal_head="h" * 64,
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
        ),
        StrategyStatus("new", None, "USD", 0, 3, 0, 0, 0, 0, (), 0, ""),
    ),
    floats=(FloatStatus("USD", 10_000_000, "ACME01"),),
    journal_entries=17,
    journal_head="h" * 64,
    open_intents=1,
    halted="exits_only",
)
AUDIT = AuditReport("local", 17, "h" * 64, 4, 4, ())
BROKEN = replace(AUDIT, findings=("line 9 does not fit line 8",), repaired="a torn last line")

TEXTS: dict[str, str] = {
    "applied.txt": report.applied(COMPLETE),
    "applied-troubled.txt": report.applied(TROUBLED),
    "applied.json": json_view.applied(TROUBLED, 6),
    "status.txt": report.status(STATUS),
    "status.json": json_view.status(STATUS),
    "audit.txt": report.audit(AUDIT),
    "audit-broken.txt": report.audit(BROKEN),
    "audit.json": json_view.audit(BROKEN),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_report_looks_as_it_did(name: str, golden: Callable[[Path, str], None]) -> None:
    """Each report is the checked-in text, whole."""
    golden(GOLDEN / name, TEXTS[name])


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (COMPLETE, "Apply complete. 51 settled, 1 skipped, 0 rejected; 2 calls."),
        (TROUBLED, "Apply ended with 1 open outcome"),
        (replace(COMPLETE, interrupted=True), "Apply was interrupted"),
        (replace(COMPLETE, rejected=(("a", "b", "c"),)), "Apply did a part"),
        (replace(COMPLETE, tallies=()), "Nothing to apply."),
    ],
)
def test_the_last_line_of_an_apply_says_how_it_ended(result: Applied, says: str) -> None:
    """An open outcome, an interruption and a part are never called complete."""
    assert report.applied_headline(result).startswith(says)


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


EVENTS: list[tuple[Event, str]] = [
    (intent(), "+ blue-chip: enroll 2 participants, USD 3.50 (slot 3)"),
    (replace(intent(Verb.CREATE), rows=(), slot=None), "+ blue-chip: create"),
    (Attempt("r1", 1, 0), ""),
    (Attempt("r1", 2, 0), "  sending r1, attempt 2"),
    (Answer("r1", 1, AnswerClass.COMMITTED, 202, "op", ""), "  accepted r1"),
    (
        Answer("r1", 1, AnswerClass.REFUSED, 400, "", "bad", ("body/amount",)),
        "! refused (400) r1: bad; body/amount",
    ),
    (Answer("r1", 0, AnswerClass.UNKNOWN, 0, "", "timeout"), "! unknown r1: timeout"),
    (
        Outcome(
            "blue-chip",
            "b1",
            Verb.ENROLL,
            3,
            "r1",
            "op",
            "settled",
            "",
            (
                RowOutcome("CUST01", RowResult.SETTLED, "", "e1", 100),
                RowOutcome("CUST02", RowResult.REJECTED, "no", "e2", 0),
            ),
            proven=True,
        ),
        "  blue-chip: enroll settled: 1 settled, 1 rejected",
    ),
    (
        Outcome("b", "b1", Verb.ENROLL, 3, "r1", "op", "settled", "", (), proven=False),
        "! b: enroll settled: nothing (not what was sent)",
    ),
    (
        Abandoned("b", "r1", 3, "refused", (("CUST01", "x"),)),
        "x b: not sent again: refused, 1 participant parked",
    ),
    (Forfeited("b", "b1", (("CUST01", 1, 0),)), "  b: 1 account of flows closed"),
    (
        Satisfied("b", "b1", "BTC 1", 0, ("CUST01",)),
        "  b: 1 participant already within the minimum leg",
    ),
    (Problem("b", "E_X", "why", ("CUST01",), True), "! b: E_X: why (CUST01)"),
    (Problem("", "E_CLOCK", "skewed"), "x E_CLOCK: skewed"),
]


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_an_event_is_one_plain_line(event: Event, line: str) -> None:
    """Every kind of event has its line; a first attempt needs none."""
    assert report.event_line(event) == line


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
        "slot": None,
        "rows": [{"participant_code": "CUST01"}, {"participant_code": "CUST02"}],
        "participants": ["CUST01", "CUST02"],
        "acknowledgements": [],
    }
    assert report.journal_line(entry) == (
        "     7  2026-11-21T09:00:00Z  intent     participants=CUST01,CUST02 rows=[2 rows] "
        "strategy=blue\\u000achip"
    )


def test_reports_as_json_have_no_floats() -> None:
    """Amounts and shares are decimal text."""
    for name in ("applied.json", "status.json", "audit.json"):
        json.loads(TEXTS[name], parse_float=lambda found: pytest.fail(f"a float: {found}"))
    assert json.loads(TEXTS["status.json"])["strategies"][0]["drift_largest"] == "0.12345"


def test_a_halt_says_what_it_stops() -> None:
    """A halt of everything and a halt of all but exits read differently."""
    assert "only exits may be applied" in report.status(STATUS)
    assert "nothing is sent" in report.status(replace(STATUS, halted="all"))
    assert "halted" not in report.status(replace(STATUS, halted=None, open_intents=0))
