"""Apply with the project's own client against the sandbox and everything it can do to a request."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stratctl.apply import (
    Breaker,
    CallWork,
    Pace,
    StrategyResult,
    StrategyWork,
    TraderRef,
    apply_strategy,
    drive,
    recover,
)
from stratctl.core.event import Event, IntentRow, Outcome, Receipt, RowResult
from stratctl.core.state import Verb
from stratctl.core.tables import Workspace
from stratctl.journal.store import Journal, open_journal
from tests.apply.machine import a_call, booked_rows
from tests.journal.story import Clock
from tests.live.worlds import World

CODES = ("P00001", "P00002", "P00003")
PACE = Pace(poll_first=0.2, attempts=4)
FAULTS = (
    "timeout_before",
    "timeout_after",
    "reset_before",
    "reset_after",
    "409",
    "429",
    "500_before",
    "500_after",
    "502_before",
    "502_after",
    "503",
    "504_before",
    "504_after",
    "malformed",
    "html",
    "truncated",
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of the sandbox's realm."""
    with open_journal(tmp_path, "dev", "sandbox", clock=Clock(), run="run") as opened:
        yield opened


def work(calls: Sequence[CallWork], strategy_id: str | None, head_slot: int = 0) -> StrategyWork:
    """The basket's work."""
    return StrategyWork(
        strategy="blue-chip",
        strategy_id=strategy_id,
        realm="sandbox",
        currency="USD",
        head_slot=head_slot,
        calls=tuple(calls),
    )


def run(world: World, journal: Journal, todo: StrategyWork) -> StrategyResult:
    """Apply it."""
    return drive(begun(world, todo), journal.append)


def begun(world: World, todo: StrategyWork) -> Generator[Event, Receipt, StrategyResult]:
    """An apply that has not sent anything yet."""
    return apply_strategy(
        todo,
        world.writer,
        breaker=Breaker(),
        stopping=lambda: False,
        replan=lambda: [c for c in todo.calls if c.call.verb in (Verb.REBALANCE, Verb.FLAGS)],
        pace=PACE,
    )


def enroll(**amounts: int) -> CallWork:
    """An enrolment."""
    return a_call(Verb.ENROLL, [IntentRow(code, minor, True) for code, minor in amounts.items()])


def create() -> CallWork:
    """The creation of the basket."""
    call = replace(enroll(P00001=1).call, verb=Verb.CREATE, body_json='{"quoted_currency":"USD"}')
    return CallWork(replace(call, number=0, rows=0))


def contributed(journal: Journal) -> dict[str, int]:
    """What the journal books as contributed."""
    rows = booked_rows(journal.booked(Workspace()))
    return {code: row["contributed_minor"] for code, row in rows.items()}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_at_each_verb_moves_everything_once(fault: str, journal: Journal) -> None:
    """Every kind of request meets the fault, and nothing is lost or done twice."""
    world = World(participants=5)
    world.fault(fault, method="POST", count=1)
    flows = enroll(P00001=100_000, P00002=50_000)
    result = run(world, journal, work([create(), flows], None))
    assert (result.problems, result.left) == ((), ())
    strategy_id = result.strategy_id or ""
    calls = [
        a_call(Verb.LIQUIDATE, [IntentRow("P00002")], number=2),
        a_call(Verb.PARTIAL_SELL, [IntentRow("P00001", 10_000)], number=3),
        a_call(Verb.TOP_UP, [IntentRow("P00001", 20_000)], number=4),
        a_call(Verb.ENROLL, [IntentRow("P00003", 70_000, False)], number=5),
        a_call(Verb.REBALANCE, [IntentRow("P00001")], number=6, target="t"),
    ]
    for place, call in enumerate(calls, start=1):
        world.fault(fault, method="POST", count=1)
        result = run(world, journal, work([call], strategy_id, head_slot=place))
        assert (result.problems, result.left) == ((), ())
    assert contributed(journal) == {"P00001": 120_000, "P00002": 50_000, "P00003": 70_000}
    outcomes = [e.event for e in journal.entries() if isinstance(e.event, Outcome)]
    assert [outcome.slot for outcome in outcomes] == [1, 2, 3, 4, 5, 6]
    assert all(outcome.proven for outcome in outcomes)


@pytest.mark.parametrize("mode", ["replay", "400", "409", "422"])
@pytest.mark.parametrize("theirs", [{"P00001": 55_500}, {"P00002": 55_500}])
def test_the_same_id_with_another_body_is_noticed(
    mode: str, theirs: dict[str, int], journal: Journal, tmp_path: Path
) -> None:
    """In each way that the provider may answer a used id."""
    world = World(participants=5, switches={"same_id_other_body": mode})
    strategy_id = world.create()
    late = begun(world, work([enroll(**theirs)], strategy_id))
    event, result = next(late), None  # its view is taken: slot 1 is free
    with open_journal(tmp_path / "b", "dev", "sandbox", clock=Clock(), run="run") as other:
        run(world, other, work([enroll(P00001=100_000)], strategy_id))
    while result is None:
        receipt: Receipt = journal.append(event)
        try:
            event = late.send(receipt)
        except StopIteration as ended:
            result = ended.value
    assert [problem.code for problem in result.problems] == ["E_SLOT_CONFLICT"]
    assert contributed(journal)["P00001"] == 100_000
    assert contributed(journal).get("P00002", 0) == 0


def test_rejected_rows_are_booked_one_by_one(journal: Journal) -> None:
    """A locked participant is rejected and parked; the others moved."""
    world = World(participants=5)
    locked = {"participant_code": "P00002", "status": "locked", "reason_code": "user_request"}
    world.sandbox.control("participants", {"participants": [locked]})
    strategy_id = world.create()
    result = run(world, journal, work([enroll(P00001=10_000, P00002=10_000)], strategy_id))
    (outcome,) = result.outcomes
    assert {row.participant_code: row.result for row in outcome.rows} == {
        "P00001": RowResult.SETTLED,
        "P00002": RowResult.REJECTED,
    }
    rows = booked_rows(journal.booked(Workspace()))
    assert rows["P00002"]["parked"] == "participant_not_approved"


def test_flags_and_metadata_are_changed_and_read_back(journal: Journal) -> None:
    """With ids of their moment; a lost answer is found by its effect."""
    world = World(participants=5)
    strategy_id = world.create()
    run(world, journal, work([enroll(P00001=10_000)], strategy_id))
    trader_id = trader_of(world, strategy_id)
    trader = world.writer.trader(trader_id)
    metadata = replace(create().call, verb=Verb.METADATA, body_json='{"metadata":{"a":"b"}}')
    flags = CallWork(
        replace(create().call, verb=Verb.FLAGS, number=9),
        (IntentRow("P00001", None, False),),
        (TraderRef(trader.id, trader.updated_at),),
    )
    world.fault("timeout_after", method="PATCH", count=2)
    todo = work([CallWork(metadata), flags], strategy_id, head_slot=1)
    result = run(world, journal, todo)
    assert (result.problems, result.done) == ((), (0, 9))
    assert world.writer.trader(trader_id).auto_rebalance is False
    assert world.writer.strategy(strategy_id, name="x").metadata_json == '{"a":"b"}'


@pytest.mark.parametrize(
    ("switches", "code"),
    [
        ({"executions_lag_seconds": "20"}, None),
        ({"operations_lag_seconds": "20"}, None),
        ({"executions_listed": "terminal"}, None),
        ({"unknown_operation_status": "terminal"}, "E_OPERATION_OPEN"),
        ({"unknown_execution_status": "on"}, "E_EXECUTIONS_INCOMPLETE"),
        ({"leg_rounding": "floor"}, None),
        ({"leg_rounding": "half_even"}, None),
        ({"replay_status": "original"}, None),
        ({"envelope": "bare"}, None),
        ({"trader_id_version": "3"}, None),
    ],
)
def test_each_open_question_of_the_provider_is_survived(
    switches: dict[str, str], code: str | None, journal: Journal
) -> None:
    """Proven where it can be; open, and never taken for failed, where a status is unknown."""
    world = World(participants=5, switches=switches)
    strategy_id = world.create()
    world.fault("timeout_after", method="POST", count=1)
    todo = work([enroll(P00001=10_001, P00002=333, P00003=100)], strategy_id)
    result = run(world, journal, todo)
    if code is None:
        assert result.problems == ()
        assert contributed(journal) == {"P00001": 10_001, "P00002": 333, "P00003": 100}
        return
    assert [(p.code, p.indeterminate) for p in result.problems] == [(code, True)]
    rows = booked_rows(journal.booked(Workspace()))
    assert rows["P00001"]["pending_in_minor"] == 10_001
    back = dict.fromkeys(switches, "off")
    world.sandbox.control("switches", back)
    drive(recover(journal.unfinished(), world.writer, pace=PACE), journal.append)
    assert contributed(journal) == {"P00001": 10_001, "P00002": 333, "P00003": 100}


def trader_of(world: World, strategy_id: str) -> str:
    """The one Trader's id."""

    def first(document: dict[str, Any]) -> str:
        return str(document.get("message", document)["traders"][0]["id"])

    query = {"strategy_id": strategy_id}
    return world.read_client.get("/strategies/traders", query, decode=first)
