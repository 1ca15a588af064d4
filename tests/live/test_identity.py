"""Strategies and Operations are recognised by ids that anybody can recompute."""

from typing import Any

import pytest

from stratctl.core.slots import call_id, create_id
from stratctl.core.state import BookedOperation, Verb
from stratctl.core.tables import Workspace
from stratctl.live.identity import (
    assign_slots,
    match_strategies,
    missing_strategies,
    staleness,
    went_backwards,
)
from stratctl.live.wire import OperationRecord, StrategyRecord
from tests.live.worlds import booked, declared

REALM = "sandbox"
A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"


def strategy(id_: str, request_id: str = "", currency: str = "USD") -> StrategyRecord:
    """A Strategy as listed."""
    return StrategyRecord(id_, request_id, currency, None, "")


def operation(
    slot: int | None, *, status: str = "settled", at: str = "2026-01-01T00:00:00Z", id_: str = ""
) -> OperationRecord:
    """An Operation as listed, of ours unless it has no slot."""
    request = call_id(REALM, A, slot) if slot else "cccccccc-0000-4000-8000-00000000000f"
    return OperationRecord(id_ or f"op-{slot}", A, request, "top_up", status, "", (), at)


OURS = create_id(REALM, "blue-chip")


def match(*records: StrategyRecord, bound: str = "", **fields: Any) -> tuple[str, str]:
    """(id, problem) of the one match; empty for a Strategy that is to be created."""
    known = booked(Workspace(), strategy_ids=(("blue-chip", bound),) if bound else ())
    matches = match_strategies(REALM, [declared(**fields)], known, records)
    if not matches:
        return "", ""
    (only,) = matches
    return (only.record.id if only.record else only.bound_id), only.problem.partition(":")[0]


def test_a_strategy_is_found_by_its_create_id() -> None:
    """Its name in its realm finds it, with or without a journal; other records do not matter."""
    assert match(strategy(A, OURS), strategy(B, "x")) == (A, "")
    assert match(strategy(A, OURS), bound=A) == (A, "")
    assert match(strategy(B, "x")) == ("", "")
    assert match(strategy(A, create_id("cert", "blue-chip"))) == ("", "")


def test_an_adopted_strategy_is_found_by_the_providers_id() -> None:
    """However it was created, and whatever case its id was written in."""
    assert match(strategy(A, "x"), provider_id=A.upper()) == (A, "")
    assert match(strategy(B, "x"), provider_id=A) == (A, "E_STRATEGY_MISSING")


def test_a_renamed_strategy_is_found_by_its_former_name() -> None:
    """``previously`` leads to it, by create id or by the journal."""
    former = create_id(REALM, "old-name")
    assert match(strategy(A, former), previously=("old-name",)) == (A, "")
    known = booked(Workspace(), strategy_ids=(("old-name", A),))
    matches = match_strategies(
        REALM, [declared(previously=("old-name",))], known, [strategy(A, "x")]
    )
    assert [(each.name, each.bound_id) for each in matches] == [("blue-chip", A)]


@pytest.mark.parametrize(
    ("records", "fields"),
    [
        ((strategy(A, OURS), strategy(B, OURS)), {}),
        ((strategy(A, OURS), strategy(B, "x")), {"bound": B}),
        ((strategy(A, OURS),), {"bound": B}),
        ((strategy(A, OURS), strategy(B, "x")), {"provider_id": B}),
        ((strategy(A, "x"), strategy(B, "x")), {"bound": A, "provider_id": B}),
        (
            (strategy(A, OURS), strategy(B, create_id(REALM, "old-name"))),
            {"previously": ("old-name",)},
        ),
    ],
)
def test_a_duplicate_or_a_disagreement_stops_the_strategy(
    records: tuple[StrategyRecord, ...], fields: dict[str, Any]
) -> None:
    """Two records for one name, or the journal and the provider of two minds."""
    _, problem = match(*records, **fields)
    assert problem == "E_STRATEGY_DUPLICATE"


def test_one_record_under_two_declared_names_stops_both() -> None:
    """Two Strategies in one chain would take each other's slots and count each other's money."""
    adopts = declared(name="adopted", provider_id=A)
    matches = match_strategies(
        REALM, [adopts, declared()], booked(Workspace()), [strategy(A, OURS)]
    )
    problem = f"E_STRATEGY_DUPLICATE: {A} is adopted and blue-chip"
    assert [(each.name, each.problem) for each in matches] == [
        ("adopted", problem),
        ("blue-chip", problem),
    ]


def test_a_former_name_in_the_journal_is_no_second_strategy() -> None:
    """After a rename ``previously`` may go again; nobody was removed from anything."""
    known = booked(Workspace(), strategy_ids=(("blue-chip", A), ("old-name", A)))
    (only,) = match_strategies(REALM, [declared()], known, [strategy(A, OURS)])
    assert (only.name, only.problem) == ("blue-chip", "")


def test_another_currency_stops_the_strategy() -> None:
    """Amounts in cents of one currency are not sent to a Strategy in another."""
    assert match(strategy(A, OURS, "EUR")) == (A, "E_STRATEGY_CURRENCY")


def test_a_bound_strategy_that_is_not_listed_is_a_sign_of_staleness() -> None:
    """It is read again, and then it is that Strategy's problem."""
    known = booked(Workspace(), strategy_ids=(("blue-chip", A), ("gone", B)))
    matches = match_strategies(REALM, [declared()], known, [strategy(A, OURS)])
    assert [(each.name, each.problem.partition(":")[0]) for each in matches] == [
        ("blue-chip", ""),
        ("gone", "E_STRATEGY_MISSING"),
    ]
    assert "E_STRATEGY_MISSING" in missing_strategies(matches)
    assert missing_strategies(matches[:1]) == ""


def test_slots_are_recomputed_and_others_are_foreign() -> None:
    """Our chain is recognised in any order of the list, the rest has no slot."""
    chain = assign_slots(REALM, A, [operation(3), operation(None), operation(1), operation(2)])
    assert chain.problem == ""
    assert sorted(each.slot or 0 for each in chain.operations) == [0, 1, 2, 3]


def test_operations_are_ordered_by_time_and_within_a_second_by_slot() -> None:
    """Times have whole seconds, and the list may come newest first."""
    later = "2026-01-01T00:00:01Z"
    listed = [operation(3, at=later), operation(2), operation(1)]
    for records in (listed, listed[::-1]):
        chain = assign_slots(REALM, A, records)
        assert [each.slot for each in chain.operations] == [1, 2, 3]


def test_a_hole_in_the_chain_is_a_problem() -> None:
    """Slots are used in order, so a hole means that something is hidden or was lost."""
    chain = assign_slots(REALM, A, [operation(1), operation(3)])
    assert chain.problem.startswith("E_CHAIN_GAP: slot 2")
    assert assign_slots(REALM, A, [operation(1), operation(3)], open_slots=[2]).problem == ""
    assert assign_slots(REALM, A, []).problem == ""


def test_the_search_ends_sixteen_slots_past_the_last_hit() -> None:
    """Far enough for any hole that is a problem, and bounded."""
    found = assign_slots(REALM, A, [operation(16)])
    assert [each.slot for each in found.operations] == [16]
    lost = assign_slots(REALM, A, [operation(17)])
    assert [each.slot for each in lost.operations] == [None]


def committed(slot: int, operation_id: str) -> BookedOperation:
    """An Operation that the journal knows."""
    return BookedOperation(A, slot, call_id(REALM, A, slot), operation_id, Verb.TOP_UP, True)


def test_every_committed_operation_must_be_listed() -> None:
    """By its id or by its request id; under another id it is two minds again."""
    assert staleness([operation(1)], [committed(1, "op-1")]) == ""
    assert staleness([operation(1)], [committed(1, "")]) == ""
    assert staleness([operation(None, id_="x")], [committed(1, "x")]) == ""
    assert staleness([], [committed(1, "op-1")]).startswith("E_STALE_READ: slot 1")
    assert staleness([operation(1)], [committed(1, "x")]).startswith("E_OPERATION_DIVERGED")


def test_what_the_journal_booked_as_done_is_not_listed_as_unfinished() -> None:
    """The end of an Operation is its end; an unknown status says nothing."""
    for status, stale in (("settled", False), ("pricing", True), ("under_review", False)):
        found = staleness([operation(1, status=status)], [committed(1, "op-1")])
        assert found.startswith("E_STALE_READ") is stale


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("validating", "pricing", ""),
        ("settling", "failed", ""),
        ("settled", "settled", ""),
        ("under_review", "validating", ""),
        ("settled", "under_review", ""),
        ("pricing", "validating", "E_STALE_READ"),
        ("settled", "settling", "E_STALE_READ"),
        ("settled", "failed", "E_TERMINAL_CONFLICT"),
    ],
)
def test_statuses_only_go_forward(before: str, after: str, code: str) -> None:
    """Going back is a stale read, two ends are a conflict, unknown statuses say nothing."""
    found = went_backwards([operation(1, status=before)], [operation(1, status=after)])
    assert found.partition(":")[0] == code


def test_an_operation_does_not_vanish() -> None:
    """What was listed once is listed always."""
    assert went_backwards([operation(1)], []).startswith("E_STALE_READ")
    assert went_backwards([], [operation(1)]) == ""
