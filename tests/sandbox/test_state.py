"""The state file: what survives a restart, and what a state file may be."""

import sqlite3
from pathlib import Path

import httpx
import pytest

from stratctl.sandbox import open_sandbox
from stratctl.sandbox.clock import ManualClock
from tests.sandbox.platform import Platform


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Keys, Strategies, running Operations, balances, prices, switches and sandbox time."""
    state, clock = tmp_path / "state.db", ManualClock()
    with open_sandbox(state=state, seed=5, participants=4, clock=clock) as first:
        platform = Platform(first, clock)
        strategy = platform.strategy()
        request_id = "7c334f56-9211-4ed2-9d16-3a2efc6668bb"
        platform.run(strategy, "enroll", {"P00001": "100.00"})
        first.control("price", {"BTC": "65000.00"})
        first.control("switches", {"same_id_other_body": "409"})
        started = platform.start(
            strategy, "enroll", {"P00002": "40.00"}, request_id=request_id
        ).message
        first.advance("0.2")
        accounts = platform.get("/accounts").message
        keys, now = first.credentials, first.control("time")["now_ms"]
    with open_sandbox(state=state, seed=99, participants=0, clock=clock) as second:
        platform = Platform(second, clock)
        assert second.credentials == keys
        assert second.control("time")["now_ms"] == now
        assert platform.get("/accounts").message == accounts
        assert second.control("price")["BTC"] == "65000.00"
        assert (
            platform.get(f"/strategies/operations/{started['id']}").message["status"] == "pricing"
        )
        other = platform.start(strategy, "enroll", {"P00003": "1.00"}, request_id=request_id)
        assert other.status == 409
        platform.settle()
        assert platform.outcome(started["id"]).of("P00002") == ("settled", "")


def test_an_answer_that_was_lost_in_a_restart_is_a_replay_afterwards(tmp_path: Path) -> None:
    """Committed before the restart, found by the same id after it."""
    state, clock = tmp_path / "state.db", ManualClock()
    request_id = "ccdaa992-2e53-4bcf-82b0-863cfc10c33f"
    with open_sandbox(state=state, participants=1, clock=clock) as first:
        platform = Platform(first, clock)
        strategy = platform.strategy()
        first.control("fault", {"kind": "timeout_after", "method": "POST"})
        with pytest.raises(httpx.ReadTimeout):
            platform.start(strategy, "enroll", {"P00001": "5.00"}, request_id=request_id)
    with open_sandbox(state=state, clock=clock) as second:
        platform = Platform(second, clock)
        again = platform.start(strategy, "enroll", {"P00001": "5.00"}, request_id=request_id)
        assert again.status == 200
        assert len(platform.all_rows("/strategies/operations")) == 1


def test_one_file_is_for_one_sandbox(tmp_path: Path) -> None:
    """A second sandbox on the same file is refused while the first is open."""
    state = tmp_path / "state.db"
    with open_sandbox(state=state), pytest.raises(OSError, match="cannot be the state file"):
        open_sandbox(state=state)
    open_sandbox(state=state).close()


def test_another_file_is_not_taken_for_a_state_file(tmp_path: Path) -> None:
    """Text, somebody else's database, a folder, a folder that does not exist."""
    text = tmp_path / "notes.txt"
    text.write_text("this is no database, and long enough to look at" * 20)
    database = tmp_path / "other.db"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE somebody (name TEXT)")
    connection.close()
    for path in (text, database, tmp_path, tmp_path / "nowhere" / "state.db"):
        with pytest.raises(OSError, match="cannot be the state file"):
            open_sandbox(state=path)
    assert text.read_text().startswith("this is no database")
