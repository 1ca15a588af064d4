"""Stages of a rollout: who is in which, and what makes the later ones wait."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.settings import Rollout
from stratctl.core.state import Target
from stratctl.core.tables import Workspace
from stratctl.plan.rollout import stage_sql
from tests.plan.generate import PRICES
from tests.plan.oracle import stage_of
from tests.worlds import Declared, Holder, World, holdings_worth, strategy, vector

SPACE = Workspace()
CODES = st.lists(st.text("ABCXYZ0189", min_size=6, max_size=6), max_size=8, unique=True)
SHARES = st.lists(
    st.fractions(Fraction(1, 1000), Fraction(999, 1000), max_denominator=1000),
    max_size=4,
    unique=True,
).map(lambda shares: (*sorted(shares), Fraction(1)))
SALTS = st.sampled_from(("2026Q4", "it's", "{0} $1", ""))


def stages(codes: list[str], shares: tuple[Fraction, ...], salt: str) -> dict[str, int]:
    """The stage of each participant, as the planner reckons."""
    rollout = Rollout(shares, len(shares), salt, 30, Fraction(0))
    rows = SPACE.rows(
        f"SELECT participant_code, {stage_sql(rollout)} FROM unnest($1::VARCHAR[])"
        " AS named(participant_code)",
        [codes],
    )
    return dict(rows)


@given(CODES, SHARES, SHARES, SALTS)
@settings(max_examples=settings().max_examples * 3 // 10)
def test_stages_are_nested_and_depend_on_salt_and_participant_alone(
    codes: list[str], shares: tuple[Fraction, ...], others: tuple[Fraction, ...], salt: str
) -> None:
    """I28: the last stage is everybody, and a share is the same people among any other shares."""
    found = stages(codes, shares, salt)
    assert found == {code: stage_of(code, shares, salt) for code in codes}
    assert stages(codes[::-2], shares, salt).items() <= found.items()
    both = tuple(sorted({*shares, *others}))
    finer = stages(codes, both, salt)
    inside: list[set[str]] = []
    for stage, share in enumerate(shares, 1):
        people = {code for code in codes if found[code] <= stage}
        assert people == {code for code in codes if finer[code] <= both.index(share) + 1}
        assert all(before <= people for before in inside)
        inside.append(people)
    assert inside[-1] == set(codes)


def test_a_share_is_about_that_many_people() -> None:
    """A tenth of five thousand is five hundred, give or take; another salt takes others."""
    codes = [f"{number:06}" for number in range(5000)]
    tenth = (Fraction(1, 10), Fraction(1))
    first, other = (
        {code for code, stage in stages(codes, tenth, salt).items() if stage == 1}
        for salt in ("one", "two")
    )
    assert 400 < len(first) < 600
    assert len(first & other) < 100


NEW = vector(BTC="0.5", ETH="0.5")
OLD = "BTC 0.6, ETH 0.4"
SALT = "d"
FIRST, SECOND = ("P1", "P3"), ("P2", "P5")
"""Below a half and above it, by this salt."""


def changing(**holders: Holder) -> World:
    """Four participants whose target changed; those that are named stand otherwise."""
    held = holdings_worth(PRICES, BTC="600", ETH="400")
    return World(
        declared=[Declared(code) for code in (*FIRST, *SECOND)],
        holders=[holders.get(code, Holder(code, held, target=OLD)) for code in (*FIRST, *SECOND)],
        strategies=[strategy(targets=(Target(NEW, ()),))],
        prices=dict(PRICES),
        rollout=(("0.5", "1"), 2, SALT),
    )


def done(code: str, at: str) -> Holder:
    """Somebody whom the change has reached."""
    held = holdings_worth(PRICES, BTC="500", ETH="500")
    return Holder(code, held, target=NEW.text, rebalanced=at)


def refused(code: str) -> Holder:
    """Somebody whose rebalance the provider refused."""
    held = holdings_worth(PRICES, BTC="600", ETH="400")
    return Holder(code, held, target=OLD, parked="refused")


def rebalanced(world: World) -> tuple[set[str], set[str]]:
    """Who is rebalanced, and why the others wait."""
    plan = world.plan()
    assert {call.verb.value for call in plan.calls} <= {"rebalance"}
    return (
        {row[1] for row in plan.rows.rows()},
        {row[3] for row in plan.blocked.rows() if row[2] == "rollout"},
    )


@pytest.mark.parametrize(
    ("world", "people", "why"),
    [
        (changing(), set(FIRST), "in stage 2 of 2; 2 of stage 1 come first"),
        (
            changing(P1=done("P1", "2026-11-21T11:00:00Z")),
            {"P3"},
            "in stage 2 of 2; 1 of stage 1 come first",
        ),
        (
            changing(P1=done("P1", "2026-11-21T11:00:00Z"), P3=done("P3", "2026-11-21T11:30:01Z")),
            set(),
            "in stage 2 of 2; stage 1 soaks until 2026-11-21T12:00:01Z",
        ),
        (
            changing(P1=done("P1", "2026-11-21T11:00:00Z"), P3=refused("P3")),
            set(),
            "in stage 2 of 2; halted: 1 of 2 were refused, the limit is 0.05",
        ),
        (
            replace(changing(), rollout=(("0.5", "1"), 1, SALT), declared=[Declared("P2")]),
            set(),
            "in stage 2 of 2; stage 1 is the last one allowed",
        ),
    ],
)
def test_later_stages_wait(world: World, people: set[str], why: str) -> None:
    """For everybody before them, for the soak, behind a halt, and for the word of the policy."""
    assert rebalanced(world) == (people, {why})


def test_the_last_stage_follows_when_the_first_has_soaked() -> None:
    """To the second; a pending member of the first stage holds everybody."""
    soaked = {code: done(code, "2026-11-21T11:30:00Z") for code in FIRST}
    assert rebalanced(changing(**soaked)) == (set(SECOND), set())
    held = holdings_worth(PRICES, BTC="600", ETH="400")
    soaked["P3"] = Holder("P3", held, target=OLD, busy="pending")
    assert rebalanced(changing(**soaked))[0] == set()


def test_drift_is_repaired_for_everybody() -> None:
    """A rollout is of what was declared; who breached a band does not wait for a stage."""
    world = replace(
        changing(),
        holders=[
            Holder(code, holdings_worth(PRICES, BTC="600", ETH="400"), target=NEW.text)
            for code in (*FIRST, *SECOND)
        ],
        strategies=[strategy(targets=(Target(NEW, ()),), rebalance_on="drift")],
    )
    assert rebalanced(world) == ({*FIRST, *SECOND}, set())
