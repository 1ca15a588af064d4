"""Named entries that were applied: nothing moves while one of them is declared otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.errors import InputError
from stratctl.core.tables import Workspace
from stratctl.diff import refuse_changed_entries
from tests.worlds import Declared, Entry, Holder, World, strategy

CODES = ("P1", "P2", "P3")
SPACE = Workspace()
AMOUNTS = st.dictionaries(st.sampled_from(CODES), st.integers(1, 99).map(str), min_size=1)
LAW = settings(max_examples=settings().max_examples // 5)


@st.composite
def applied_entries(draw: st.DrawFn) -> list[Entry]:
    """One to four entries of two Strategies, each applied once."""
    return [
        Entry(key, draw(AMOUNTS), kind, of)
        for key, kind, of in draw(
            st.lists(
                st.tuples(
                    st.sampled_from("abcd"),
                    st.sampled_from(("funding", "payouts")),
                    st.sampled_from(("blue", "red")),
                ),
                min_size=1,
                max_size=4,
                unique_by=lambda each: each[0],
            )
        )
    ]


def world(entries: list[Entry], applied: list[Entry]) -> World:
    """Three people in two Strategies. Everybody's totals rose, so that there is money to move."""
    both = ("blue", "red")
    return World(
        strategies=[strategy("blue"), strategy("red")],
        declared=[Declared(code, "5000", strategy=of) for of in both for code in CODES],
        holders=[Holder(code, contributed="4000", strategy=of) for of in both for code in CODES],
        entries=entries,
        applied=applied,
    )


@given(applied_entries(), AMOUNTS, st.data())
@LAW
def test_nothing_is_planned_while_an_applied_entry_is_declared_otherwise(
    applied: list[Entry], others: dict[str, str], data: st.DataObject
) -> None:
    """Edited, turned round, deleted or moved: the whole plan is refused, and the key is named."""
    wrong = data.draw(st.sampled_from(applied))
    kind = "payouts" if wrong.kind == "funding" else "funding"
    other = "red" if wrong.strategy == "blue" else "blue"
    rewritten = others if others != wrong.amounts else {**others, CODES[0]: "100"}
    changes = {
        "E_KEY_EDITED": data.draw(
            st.sampled_from([replace(wrong, amounts=rewritten), replace(wrong, kind=kind)])
        ),
        "E_KEY_MOVED": replace(wrong, strategy=other),
        "E_KEY_DELETED": None,
    }
    code, changed = data.draw(st.sampled_from(sorted(changes.items(), key=lambda each: each[0])))
    entries = [changed if each is wrong else each for each in applied]
    with pytest.raises(InputError) as refused:
        world([each for each in entries if each], applied).plan(SPACE)
    (problem,) = refused.value.diagnostics
    assert problem.code == code
    assert problem.detail.startswith(f"{wrong.key} was applied to {wrong.strategy} by run run-1")


@given(applied_entries(), st.permutations(CODES))
@LAW
def test_applied_entries_in_another_order_hold_nothing_up(
    applied: list[Entry], order: list[str]
) -> None:
    """Nor does an entry that was never applied, whatever it says and whoever edits it."""
    entries = [
        replace(each, amounts={c: each.amounts[c] for c in order if c in each.amounts})
        for each in reversed(applied)
    ]
    whole = world([*entries, Entry("new", {"P1": "5"})], applied)
    check(whole)


def check(whole: World) -> None:
    """Raises InputError for entries that are not as they were applied."""
    desired, live = whole.configuration(SPACE).desired, whole.live(SPACE)
    refuse_changed_entries(desired, live, whole.bound(SPACE))


def test_an_entry_of_a_strategy_that_is_not_declared_is_not_missed() -> None:
    """What vanished as a whole is reported and never sold; nothing can be funded in it."""
    left = world([], [Entry("a", {"P1": "5"}, strategy="red")])
    left.undeclared = ("red",)
    left.declared = [each for each in left.declared if each.strategy == "blue"]
    check(left)


def test_a_narrowed_plan_misses_no_entry_of_what_it_leaves_out() -> None:
    """Only blue is planned; red's entries are not looked for."""
    whole = world([], [Entry("a", {"P1": "5"}, strategy="red")])
    configuration = whole.configuration(SPACE)
    only = replace(configuration.desired, strategies=configuration.desired.strategies[:1])
    live = whole.live(SPACE)
    narrow = replace(live, strategies=live.strategies[:1])
    refuse_changed_entries(only, narrow, whole.bound(SPACE))


def test_without_the_check_an_edited_entry_would_move_money(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A planted bug: nobody asks what was applied, and the edit is paid like any rise."""
    edited = world([Entry("a", {"P1": "6"})], [Entry("a", {"P1": "5"})])
    with pytest.raises(InputError):
        edited.plan(SPACE)
    monkeypatch.setattr("tests.worlds.refuse_changed_entries", lambda *_: None)
    assert {call.verb for call in edited.plan(SPACE).calls} == {"top_up"}
