"""Who may not be sent anything: foreign hands, the platform's own standing, unknown codes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stratctl.core.errors import InputError
from stratctl.core.plan import Plan
from stratctl.core.state import PARTICIPANT_ROWS
from stratctl.core.tables import Workspace
from stratctl.diff import diff
from stratctl.plan import Origin, make_plan
from tests.worlds import Declared, Holder, World, holdings_worth

HELD = holdings_worth(BTC="500", ETH="300", SOL="200")


def _blocked(plan: Plan) -> list[tuple[str, str]]:
    return [(row[1], row[2]) for row in plan.blocked.rows()]


def test_a_row_that_others_funded_is_blocked_and_not_backwards() -> None:
    """Others topped up by 500.00: the declared total is behind, not going backwards."""
    touched = Holder("P00001", HELD, contributed="1500", foreign=True)

    plan = World(declared=[Declared("P00001", flag=False)], holders=[touched]).plan()

    assert plan.empty
    assert _blocked(plan) == [("P00001", "foreign_operation")]


def test_without_foreign_hands_the_same_figures_go_backwards() -> None:
    """The mark makes the difference: without it a lower total is a mistake."""
    ours = Holder("P00001", HELD, contributed="1500")

    with pytest.raises(InputError) as raised:
        World(declared=[Declared("P00001")], holders=[ours]).plan()

    assert [d.code for d in raised.value.diagnostics] == ["E_DECLARED_BACKWARDS"]


def test_of_many_that_go_backwards_the_rest_is_counted() -> None:
    """A hundred are shown, in the order of their places; the last says how many there are."""
    codes = [f"P{number:05d}" for number in range(101, 0, -1)]
    holders = [Holder(code, HELD, contributed="1500") for code in codes]

    with pytest.raises(InputError) as raised:
        World(declared=[Declared(code) for code in codes], holders=holders).plan()

    found = raised.value.diagnostics
    assert len(found) == 100
    assert [d.span for d in found] == sorted(d.span for d in found if d.span)
    told = [
        number for number, d in enumerate(found) if d.detail.endswith("; and 1 more row like it")
    ]
    assert told == [99]


def test_where_funding_is_not_managed_foreign_operations_are_expected() -> None:
    """A platform that funds from its app still gets its flags and allocations."""
    touched = Holder("P00001", HELD, contributed="1500", foreign=True)
    declared = Declared("P00001", contributed="0", flag=False, manages=("allocations", "flags"))

    plan = World(declared=[declared], holders=[touched]).plan()

    assert [call.verb for call in plan.calls] == ["flags"]


@pytest.mark.parametrize(
    ("standing", "reason"),
    [("approved", None), ("locked:user_request", "standing"), (None, "standing")],
)
def test_only_approved_participants_of_the_platform_are_enrolled(
    standing: str | None, reason: str | None
) -> None:
    """A code that the platform does not list, or lists as locked, is held back."""
    world, space = World(declared=[Declared("P00001")]), Workspace()
    configuration = world.configuration(space)
    people = [("P00009", "approved")] + ([("P00001", standing)] if standing else [])
    known = space.table("participants", PARTICIPANT_ROWS, list(zip(*people, strict=True)))
    live = replace(world.live(space), participants=known)

    plan = make_plan(
        diff(configuration.desired, live),
        live,
        configuration,
        Origin(commit=None, as_of=live.as_of, expires_at=live.as_of),
    )

    assert len(plan.calls) == (1 if reason is None else 0)
    assert _blocked(plan) == ([("P00001", reason)] if reason else [])
