"""Wherever the provider leaves something open, the client gets along with every position."""

import pytest

from stratctl.core.event import AnswerClass
from stratctl.core.state import Verb
from stratctl.sandbox.switches import SWITCHES
from tests.live.worlds import World, call

NUMBERS = {
    "participants_max": "1000",
    "weight_decimals_max": "4",
    "validating_ms": "0",
    "pricing_ms": "900",
    "settling_ms": "0",
    "executions_lag_seconds": "15",
    "operations_lag_seconds": "4",
    "accounts_lag_seconds": "15",
    "key_retention_seconds": "3600",
    "latency_ms": "0",
    "spread_bps": "35",
    "fee_bps": "10",
}
TEXTS = {"instrument_minimum": "0.01", "failing_assets": "ETH"}
POSITIONS = [
    (switch.name, position)
    for switch in SWITCHES
    for position in (
        switch.positions or (NUMBERS.get(switch.name) or TEXTS.get(switch.name) or switch.default,)
    )
]


@pytest.mark.parametrize(("name", "position"), POSITIONS)
def test_every_position_is_read_right_or_doubted(name: str, position: str) -> None:
    """Without any journal: each total is within its tolerance, or its row is busy and says so.

    Five participants, of whom one is topped up, one sells in part, one exits and one is refused.
    """
    world = World(switches={name: position})
    if name == "funding_model" and position == "direct":
        codes = [f"P0000{number}" for number in range(1, 6)]
        world.sandbox.control("float", {"balance": "1000.00", "participant_codes": codes})
    strategy_id = world.create()
    world.sandbox.control(
        "participants", {"participants": [{"participant_code": "P00005", "status": "closed"}]}
    )
    everybody = {f"P0000{number}": "100.00" for number in range(1, 6)}
    answers = []
    for sent in (
        call(Verb.ENROLL, strategy_id, 1, everybody),
        call(Verb.TOP_UP, strategy_id, 2, {"P00002": "33.34"}),
        call(Verb.PARTIAL_SELL, strategy_id, 3, {"P00003": "10.00"}),
        call(Verb.REBALANCE, strategy_id, 4, {"P00002": None}),
        call(Verb.LIQUIDATE, strategy_id, 5, {"P00004": None}),
    ):
        answers.append(world.send(sent))
        world.sandbox.advance(8)
    assert {answer.answer for answer in answers} == {AnswerClass.COMMITTED}
    world.read_client.check_clock()
    live = world.read()
    (strategy,) = live.strategies
    if name == "unknown_operation_status" and position == "terminal":
        assert strategy.problem.startswith("E_OPERATION_OPEN")
        return
    assert strategy.problem == ""
    assert [operation.slot for operation in strategy.operations] == [1, 2, 3, 4, 5]
    rows = world.rows(live)
    contributed = {"P00001": 10000, "P00002": 13334, "P00003": 10000, "P00004": 10000, "P00005": 0}
    assert set(rows) == set(contributed)
    for code, expected in contributed.items():
        row = rows[code]
        assert abs(row["contributed_minor"] - expected) <= row["tolerance_minor"]
        assert (row["standing"] == "closed") is (code == "P00005")
    if name == "unknown_execution_status" and position == "on":
        assert {row["busy"] for code, row in rows.items() if code != "P00005"} == {"pending"}
        return
    if name == "failing_assets":
        assert rows["P00001"]["busy"] == "mixed_outcome"
        return
    assert {row["busy"] for row in rows.values()} == {None}
    assert abs(rows["P00003"]["withdrawn_minor"] - 1000) <= rows["P00003"]["tolerance_minor"]
    assert rows["P00004"]["exited"] is True
    held = {(row[1], row[2]) for row in live.holdings.rows()}
    assert ("P00001", "BTC") in held
    assert not [code for code, asset in held if code == "P00005" or asset == "USD"]
