"""Refused rows are parked, each of them and no other, and the rest moves."""

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.apply import proof
from stratctl.core.event import Abandoned, Instruction, IntentRow, RowResult
from stratctl.core.state import Verb
from stratctl.pipeline.ceiling import Fitting
from stratctl.pipeline.reporting import report_of
from tests.apply.machine import (
    STRATEGY,
    WORKSPACE,
    Machine,
    a_call,
    booked_rows,
    head_slot,
    journal_in,
)
from tests.apply.world import LOST_BEFORE, OK, Operation, Provider
from tests.plans import plan_of

CODES = ("CUST01", "CUST02", "CUST03", "CUST04", "CUST05")
DECLARED = {code: 1_000 * place for place, code in enumerate(CODES, start=1)}
SUBSETS = [set(some) for size in range(6) for some in itertools.combinations(CODES, size)]


def bookings(machine: Machine) -> dict[str, dict[str, object]]:
    """What the machine's journal books."""
    with journal_in(machine.directory, machine.provider) as journal:
        return booked_rows(journal.booked(WORKSPACE))


@pytest.mark.parametrize("naming", [True, False])
def test_every_subset_of_refused_rows_is_parked(naming: bool) -> None:
    """A body that the provider refuses is divided until only what it refuses is left out."""
    for refused in SUBSETS:
        with tempfile.TemporaryDirectory() as directory:
            provider = Provider(refused=frozenset(refused), naming=naming)
            machine = Machine(provider, Path(directory), DECLARED)
            result = machine.run()
            assert result.done == (2,)
            moved = {code: amount for code, amount in DECLARED.items() if code not in refused}
            assert provider.moved_minor() == moved
            assert {c for c, row in bookings(machine).items() if row["parked"]} == refused
            head_slot(provider)
            assert machine.run().requests == 0


def test_every_subset_of_rejected_executions_is_booked_row_by_row() -> None:
    """A rejected participant contributes nothing, is parked, and stops nobody else."""
    for rejected in SUBSETS:
        with tempfile.TemporaryDirectory() as directory:
            provider = Provider(rejects=dict.fromkeys(rejected, "participant_not_approved"))
            machine = Machine(provider, Path(directory), DECLARED)
            machine.run()
            rows = bookings(machine)
            for code, amount in DECLARED.items():
                assert rows[code]["contributed_minor"] == (0 if code in rejected else amount)
                assert bool(rows[code]["parked"]) is (code in rejected)
            assert machine.run().requests == 0


@settings(max_examples=settings().max_examples // 10)
@given(st.sets(st.sampled_from(CODES), min_size=1, max_size=len(CODES) - 1))
def test_a_partial_success_is_no_success(rejected: set[str]) -> None:
    """I32: `settled` with `partial_success` is read row by row, reported, and ends with 5."""
    partly(rejected)


def partly(rejected: set[str]) -> None:
    """What I32 says of one call that succeeded in part."""
    with tempfile.TemporaryDirectory() as directory:
        provider = Provider(rejects=dict.fromkeys(rejected, "participant_not_approved"))
        machine = Machine(provider, Path(directory), DECLARED)
        result = machine.run()
        (outcome,) = result.outcomes
        assert (outcome.status, outcome.status_reason) == ("settled", "partial_success")
        settled = {row.participant_code for row in outcome.rows if row.result == RowResult.SETTLED}
        assert settled == set(CODES) - rejected
        nothing = plan_of(WORKSPACE, [], [])
        report = report_of(
            nothing,
            Fitting(nothing, (), ()),
            [result],
            recovered=(),
            currencies={STRATEGY: "USD"},
            digest="",
            journal_head="",
        )
        assert {code for _, code, _ in report.rejected} == rejected
        assert report.exit_code == 5


def test_the_law_notices_a_whole_call_taken_for_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: every row is what its Operation is."""
    partly({"CUST02"})
    monkeypatch.setattr(proof, "_result", lambda execution, legs: RowResult.SETTLED)
    with pytest.raises(AssertionError):
        partly({"CUST02"})


@pytest.mark.parametrize("reason", ["trader_already_enrolled", "trader_not_enrolled"])
def test_a_refusal_of_the_verb_is_told_to_the_next_plan(reason: str, tmp_path: Path) -> None:
    """It counts for nothing, and its reason is what the plan switches the verb by."""
    machine = Machine(Provider(rejects={"CUST01": reason}), tmp_path, {"CUST01": 500})
    machine.run()
    row = bookings(machine)["CUST01"]
    assert (row["parked"], row["contributed_minor"], row["busy"]) == (reason, 0, False)


def test_a_held_balance_is_retried_once(tmp_path: Path) -> None:
    """`balance held by concurrent operation` passes by itself; the second time it parks."""
    reason = "balance held by concurrent operation"
    machine = Machine(Provider(rejects={"CUST01": reason}), tmp_path, {"CUST01": 500})
    machine.run()
    assert bookings(machine)["CUST01"]["parked"] is None
    machine.run()
    assert bookings(machine)["CUST01"]["parked"] == reason
    assert machine.run().requests == 0
    assert head_slot(machine.provider) == 2


def test_an_operation_without_executions_is_believed_when_it_is_seen_twice(
    tmp_path: Path,
) -> None:
    """It moved nothing for anybody, and everybody waits for a person."""
    machine = Machine(Provider(silent=True), tmp_path, {"CUST01": 500, "CUST02": 700})
    result = machine.run()
    assert [row.reason for row in result.outcomes[0].rows] == ["no_executions"] * 2
    assert {row["parked"] for row in bookings(machine).values()} == {"no_executions"}
    assert machine.run().requests == 0


def test_a_refusal_after_a_doubt_frees_the_slot_only_after_the_quarantine(tmp_path: Path) -> None:
    """An earlier attempt may still be carried out for three minutes."""
    provider = Provider()
    machine = Machine(provider, tmp_path, {"CUST01": 500, "CUST02": 700})
    provider.refused = frozenset({"CUST02"})
    machine.run([LOST_BEFORE, OK])
    with journal_in(tmp_path, provider) as journal:
        signed = [e.event.signed_at for e in journal.entries() if hasattr(e.event, "signed_at")]
        (abandoned,) = (e for e in journal.entries() if isinstance(e.event, Abandoned))
        at = datetime.fromisoformat(abandoned.at.replace("Z", "+00:00")).timestamp()
        assert at >= signed[0] + 180
    assert provider.moved_minor() == {"CUST01": 500}


def test_a_float_that_runs_out_stops_further_money_in(tmp_path: Path) -> None:
    """After `insufficient_funds` no further money-in call of that currency is sent."""
    provider = Provider()
    machine = Machine(provider, tmp_path, {"CUST01": 500})
    machine.run()
    provider.rejects = {"CUST01": "insufficient_funds"}
    machine.declared = {"CUST01": 900, "CUST02": 100}
    result = machine.run()
    assert [problem.code for problem in result.problems] == ["E_FLOAT_SHORT"]
    assert result.left == (2,)
    assert [row.result for row in result.outcomes[0].rows] == [RowResult.REJECTED]


def test_failed_legs_keep_the_participant_busy_at_the_full_amount(tmp_path: Path) -> None:
    """Some legs executed and others failed: nothing more is sent until a person decides."""
    machine = Machine(Provider(legs={"CUST01": "failed"}), tmp_path, {"CUST01": 500})
    result = machine.run()
    assert [problem.code for problem in result.problems] == ["E_EXECUTION_MIXED"]
    row = bookings(machine)["CUST01"]
    assert (row["busy"], row["pending_in_minor"], row["contributed_minor"]) == (True, 500, 0)
    assert machine.run().requests == 0


def test_whose_sell_is_in_doubt_gets_no_money_in(tmp_path: Path) -> None:
    """Both totals rose: the top-up goes to whose sell settled, and waits where legs failed."""
    provider = Provider(legs={"CUST01": "failed"})
    machine = Machine(provider, tmp_path, {})
    both = ("CUST01", "CUST02")
    calls = [
        a_call(verb, [IntentRow(code, 400) for code in both], number=number)
        for number, verb in enumerate((Verb.PARTIAL_SELL, Verb.TOP_UP), start=1)
    ]
    result = machine.send(calls)
    assert [problem.code for problem in result.problems] == ["E_EXECUTION_MIXED"]
    assert provider.moved_minor(["top_up"]) == {"CUST02": 400}
    rows = bookings(machine)
    assert [rows[code]["contributed_minor"] for code in both] == [0, 400]
    alone = Machine(Provider(legs={"CUST01": "failed"}), tmp_path / "alone", {})
    few = [replace(each, rows=each.rows[:1]) for each in calls]
    assert alone.send(few).left == (2,)


def test_a_buy_with_skipped_legs_books_what_was_executed_and_shows_the_rest(
    tmp_path: Path,
) -> None:
    """The skipped fifth is not booked; the row waits for a person instead of a loop."""
    machine = Machine(Provider(legs={"CUST01": "skipped"}), tmp_path, {"CUST01": 1_000})
    machine.run()
    row = bookings(machine)["CUST01"]
    assert (row["contributed_minor"], row["parked"]) == (800, "legs_skipped: SOL")
    assert machine.run().requests == 0


class Novel(Provider):
    """Says what it bought in a word that nobody documented."""

    def _legs(self, operation: Operation, row: dict[str, Any]) -> Iterator[Instruction]:
        for leg in super()._legs(operation, row):
            yield replace(leg, amount_type="fiat")


def test_a_buy_in_unknown_words_is_not_sent_again(tmp_path: Path) -> None:
    """Whatever was bought, it is in flight at the full amount until it can be read."""
    machine = Machine(Novel(), tmp_path, {"CUST01": 500})
    assert [problem.code for problem in machine.run().problems] == ["E_EXECUTIONS_INCOMPLETE"]
    row = bookings(machine)["CUST01"]
    assert (row["pending_in_minor"], row["contributed_minor"]) == (500, 0)
    machine.run()
    assert machine.provider.moved_minor() == {"CUST01": 500}
