"""Weights that move by steps: each is on the straight line, and the date alone says which."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from stratctl.core.money import WEIGHT_ONE_E18, format_weight, parse_weight
from stratctl.core.state import Course, target_on
from stratctl.resolve import proportions, transitions
from stratctl.resolve.proportions import UNIT_E18, stepped
from tests.declare.test_weights import courses, read, weights

BEGINS = date(2026, 12, 1)
Weights = dict[str, str]


@st.composite
def moves(draw: st.DrawFn) -> tuple[Weights, Weights, int]:
    """Old weights, new ones, and a number of steps that all of them can be moved in."""
    digits = draw(st.sampled_from((2, 8, 12)))
    before, after = draw(weights("ABCDE", digits)), draw(weights("ABCDE", digits))
    steps = draw(st.integers(1, 12))
    unit = min(UNIT_E18, 10 ** (18 - digits))
    moved = [abs(e18(after).get(a, 0) - e18(before).get(a, 0)) for a in {*before, *after}]
    assume(not any(0 < one < steps * unit for one in moved))
    return before, after, steps


def e18(written: Weights) -> dict[str, int]:
    """Weights in 10⁻¹⁸."""
    return {asset: parse_weight(text) for asset, text in written.items()}


def declared(before: Weights, after: Weights, steps: int, every: int = 7) -> Course:
    """The course of a Strategy with a transition, and of one that mirrors it."""
    transition = {
        "before": before,
        "begins": BEGINS.isoformat(),
        "steps": steps,
        "every_days": every,
    }
    exits = sorted({*before} - {*after})
    found, problems = courses(
        [
            read("copy", mirror="base", exits=exits),
            read("base", allocations=after, exits=exits, transition=transition),
        ]
    )
    assert not problems
    assert [(day, one.vector, one.exits) for day, one in found["copy"]] == [
        (day, one.vector, one.exits) for day, one in found["base"]
    ]
    return found["base"]


def on_the_line(before: Weights, after: Weights, steps: int) -> None:
    """I29: sums of exactly 1, each weight on the line and between its ends, the last step the new
    weights, and in all no more turnover than at once."""
    course = declared(before, after, steps)
    old, new = e18(before), e18(after)
    assert dict(target_on(course, "2026-11-30").vector.weights_e18) == old
    assert course[-1][1].vector.weights_e18 == tuple(sorted(new.items()))
    one_way, at = 0, old
    for number in range(1, steps + 1):
        day = BEGINS + timedelta(days=7 * (number - 1))
        target = target_on(course, day.isoformat())
        found = dict(target.vector.weights_e18)
        assert target == target_on(course, (day + timedelta(days=6)).isoformat())
        assert sum(found.values()) == WEIGHT_ONE_E18
        assert all(found.values())
        for asset in {*old, *new}:
            ends = sorted((old.get(asset, 0), new.get(asset, 0)))
            exact = ends_apart(old, new, asset) * Fraction(number, steps) + old.get(asset, 0)
            assert ends[0] <= found.get(asset, 0) <= ends[1]
            assert abs(found.get(asset, 0) - exact) < UNIT_E18
        assert {*found} | {*target.exits} == {*old, *new}
        one_way += turnover(at, found)
        at = found
    assert one_way == turnover(old, new)


def ends_apart(old: Mapping[str, int], new: Mapping[str, int], asset: str) -> int:
    """How far an asset moves in all, with its sign."""
    return new.get(asset, 0) - old.get(asset, 0)


def turnover(old: Mapping[str, int], new: Mapping[str, int]) -> int:
    """Twice the part that changes hands."""
    return sum(abs(ends_apart(old, new, asset)) for asset in {*old, *new})


ROUNDED = ({"A": "0.7", "B": "0.2", "C": "0.1"}, {"A": "0.5", "B": "0.25", "C": "0.25"}, 3)


@given(moves())
@example(({"A": "0.7", "B": "0.2", "C": "0.1"}, {"A": "0.5", "B": "0.3", "C": "0.2"}, 4))
@example(ROUNDED)
@example(({"A": "1"}, {"B": "1"}, 7))
@settings(max_examples=40)
def test_every_step_is_on_the_straight_line(move: tuple[Weights, Weights, int]) -> None:
    """By a second reckoning in fractions, and whoever mirrors the Strategy moves with it."""
    on_the_line(*move)


def cut(
    before: Mapping[str, int], after: Mapping[str, int], step: int, steps: int
) -> dict[str, int]:
    """Planted: each weight cut to the unit, so that something is left over."""
    return {a: w // 10**12 * 10**12 for a, w in stepped(before, after, step, steps).items()}


def late(
    before: Mapping[str, int], after: Mapping[str, int], step: int, steps: int
) -> dict[str, int]:
    """Planted: each step is the one before."""
    return stepped(before, after, max(0, step - 1), steps)


@pytest.mark.parametrize("bug", [cut, late])
def test_the_law_notices_a_planted_bug(bug: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirds do not come out even, and the last step is the new weights."""
    on_the_line(*ROUNDED)
    monkeypatch.setattr(transitions, "stepped", bug)
    with pytest.raises(AssertionError):
        on_the_line(*ROUNDED)


def test_a_blend_holds_what_its_source_holds_on_every_day() -> None:
    """Its own steps count beside those of what it takes: half of the way is half of both."""
    base = {"before": {"A": "0.6", "B": "0.4"}, "begins": "2026-12-01", "steps": 2}
    own = {"before": {"B": "1"}, "begins": "2026-12-03", "steps": 1}
    found, problems = courses(
        [
            read("base", allocations={"A": "0.2", "B": "0.8"}, transition=base),
            read("mix", blend={"base": "0.5", "other": "0.5"}, transition=own),
            read("other", allocations={"B": "1"}),
        ]
    )
    assert not problems
    assert [(day, one.vector.text) for day, one in found["mix"]] == [
        ("", "B 1"),
        ("2026-12-01", "B 1"),
        ("2026-12-03", "A 0.2, B 0.8"),
        ("2026-12-08", "A 0.1, B 0.9"),
    ]


def test_a_unit_that_does_not_divide_is_never_taken_away_again() -> None:
    """Where a weight stays it stays to the last decimal, however fine it is written."""
    fine = {"A": WEIGHT_ONE_E18 // 3, "B": WEIGHT_ONE_E18 // 3 + 1, "C": WEIGHT_ONE_E18 // 3}
    other = {"A": fine["A"], "B": fine["B"] - 10**17, "C": fine["C"] + 10**17}
    found = [proportions.stepped(fine, other, step, 3) for step in range(4)]
    assert [format_weight(one["A"]) for one in found] == ["0.333333333333333333"] * 4
    assert all(sum(one.values()) == WEIGHT_ONE_E18 for one in found)
