"""A flow that waited for more than a week moves when somebody says so, once, and never before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.event import Event
from stratctl.core.plan import Acknowledgement
from stratctl.core.state import Booked, LiveOperation, Verb
from stratctl.core.tables import Workspace
from stratctl.journal import booked as journal_booked
from stratctl.journal.booked import book
from stratctl.journal.record import Entry, Genesis, Waiting, WaitOver, Word
from stratctl.pipeline.waiting import BEGINNING, unknown_waits, waiting_records
from tests.journal.story import ENVIRONMENT, REALM, intent, settled
from tests.worlds import STRATEGY_ID, Declared, Holder, World, holdings_worth

SPACE = Workspace()
START = datetime(2026, 11, 1, 9, tzinfo=UTC)
HELD = holdings_worth(BTC="500", ETH="300", SOL="200")


@dataclass(frozen=True)
class Step:
    """What one apply finds."""

    hours: int
    """Since the apply before it."""
    held: bool
    acknowledged: bool


@dataclass(frozen=True)
class Told:
    """What it did."""

    at: datetime
    moved: bool
    acknowledged: bool
    stale: bool


def text(moment: datetime) -> str:
    """As the journal writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def booked(told: Sequence[Event | Word]) -> Booked:
    """What a journal of these events books."""
    whole = [Genesis(REALM, ENVIRONMENT), *told]
    return book([Entry(n, "t", "r", event, f"d{n}") for n, event in enumerate(whole, 1)], SPACE)


def lived(steps: Sequence[Step]) -> list[Told]:
    """Apply after apply: 500.00 more are declared for P1, and the journal is all that remains."""
    journal: list[Event | Word] = []
    told: list[Told] = []
    at = START
    for number, step in enumerate(steps):
        at += timedelta(hours=step.hours)
        known = booked(journal)
        moved = sum(each.moved for each in told)
        said = Acknowledgement(f"ack-{number}", (("stale_flows", "1"),), "late", "2099-12-31")
        assert known.waiting is not None
        world = World(
            declared=[Declared("P1", "1500", held=step.held)],
            holders=[Holder("P1", HELD, contributed=str(1000 + 500 * moved))],
            acknowledgements=(said,) if step.acknowledged else (),
            used=known.used_acknowledgements,
            waiting={code: since for _, code, since in known.waiting.rows()},
            as_of=text(at),
        )
        plan = world.plan(SPACE)
        desired, live = world.configuration(SPACE).desired, world.live(SPACE)
        journal += waiting_records(plan, plan, desired, live, known)
        assert not waiting_records(plan, plan, desired, live, booked(journal)), "written once"
        if plan.calls:
            names = tuple(each.id for each in plan.acknowledgements)
            call = intent(Verb.TOP_UP, moved + 1, [("P1", 50_000)], acknowledgements=names)
            journal += settled(replace(call, strategy="blue"))
        reasons = {row[2] for row in plan.blocked.rows()}
        told.append(Told(at, bool(plan.calls), step.acknowledged, "stale_flow" in reasons))
    return told


STEPS = st.lists(
    st.builds(
        Step,
        hours=st.sampled_from((1, 24, 167, 168, 169, 2000)),
        held=st.booleans(),
        acknowledged=st.sampled_from((False, False, True)),
    ),
    min_size=2,
    max_size=5,
)


def broken_law(steps: Sequence[Step], told: Sequence[Told]) -> str:
    """What of the law does not hold, by a reckoning of its own; empty when all of it does."""
    since: datetime | None = None
    done = False
    for step, each in zip(steps, told, strict=True):
        stale = since is not None and each.at - since > timedelta(days=7)
        expected = not done and not step.held and (not stale or step.acknowledged)
        if each.moved is not expected:
            return f"moved: {each.moved}, expected: {expected}, at {each.at}"
        if each.stale is not (stale and not done and not step.held and not step.acknowledged):
            return f"stale: {each.stale}, at {each.at}"
        done = done or each.moved
        since = None if done else since or each.at
    return ""


@given(STEPS)
@settings(max_examples=settings().max_examples // 33)
def test_a_stale_flow_moves_once_and_only_when_acknowledged(steps: list[Step]) -> None:
    """Whatever was held, for however long, and however often somebody applied meanwhile."""
    assert broken_law(steps, lived(steps)) == ""


WEEKS = [Step(1, True, False), Step(160, True, False), Step(9, False, False), Step(1, False, True)]


def test_a_flow_that_moves_unasked_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two planted bugs: a memory that forgets, and a week of eight days."""
    assert [(each.moved, each.stale) for each in lived(WEEKS)] == [
        (False, False),
        (False, False),
        (False, True),
        (True, False),
    ]

    def forgetful(fold: journal_booked.Fold, event: Waiting) -> None:
        fold.waits.clear()

    monkeypatch.setattr(journal_booked.Fold, "_wait", forgetful)
    with pytest.raises(AssertionError, match="written once"):
        lived(WEEKS)
    monkeypatch.undo()
    monkeypatch.setattr("stratctl.plan.waiting.DAYS_MAX", 8)
    assert broken_law(WEEKS, lived(WEEKS)).startswith("moved: True, expected: False")


# --- what is written down ------------------------------------------------------------------------


def records(world: World, *told: Event | Word, sends: bool = True) -> list[Waiting | WaitOver]:
    """What an apply of this world writes down after this journal."""
    known = booked(told)
    desired, live = world.configuration(SPACE).desired, world.live(SPACE)
    plan = replace(world, waiting_unknown=dict(unknown_waits(live, known))).plan(SPACE)
    return list(waiting_records(plan, plan if sends else None, desired, live, known))


NOW = "2026-11-21T12:00:00Z"
RISEN = World(declared=[Declared("P1", "1500")], holders=[Holder("P1", HELD)])


def test_what_is_about_to_be_sent_does_not_wait() -> None:
    """Nothing is written down for the usual day."""
    assert records(RISEN) == []


def test_what_a_guard_stops_waits() -> None:
    """An apply that is refused leaves every flow of its plan behind."""
    assert records(RISEN, sends=False) == [Waiting("blue", STRATEGY_ID, NOW, ("P1",))]


def test_a_flow_that_is_wanted_no_more_waits_no_longer() -> None:
    """When it is declared again some day, that is another one."""
    waiting = Waiting("blue", STRATEGY_ID, "2026-11-01T09:00:00Z", ("P1", "P2"))
    over = WaitOver("blue", STRATEGY_ID, ("P2",))
    assert records(RISEN, waiting, sends=False) == [over]
    assert records(RISEN, waiting, over, sends=False) == []


def test_what_may_have_been_sent_is_not_forgotten() -> None:
    """While in doubt it is not wanted; if nothing was carried out, it has waited all along."""
    call = replace(intent(Verb.TOP_UP, 1, [("P1", 50_000)]), strategy="blue")
    waiting = Waiting("blue", STRATEGY_ID, "2026-11-01T09:00:00Z", ("P1",))
    quiet = World(declared=[Declared("P1")], holders=[Holder("P1", HELD)])
    doubt = settled(call)[:2]
    assert records(quiet, waiting, *doubt) == []
    assert records(quiet, waiting) == [WaitOver("blue", STRATEGY_ID, ("P1",))]


def test_a_strategy_that_does_not_exist_yet_is_remembered_by_its_name() -> None:
    """And found again under the id that it gets, or under the name that it gets."""
    world = World(declared=[Declared("P1", held=True)], absent=("blue",))
    (record,) = records(world)
    assert record == Waiting("blue", "", NOW, ("P1",))
    later = World(
        declared=[Declared("P1", held=True, strategy="azure")],
        strategies=[replace(world.strategies[0], name="azure", previously=("blue",))],
    )
    assert records(later, record) == []


# --- a journal that does not reach back ----------------------------------------------------------


def operation(created_at: str, slot: int | None = 1) -> LiveOperation:
    """An Operation of our chain."""
    return LiveOperation("op", "request", "top_up", "settled", "", (), created_at, slot)


def aged(*operations: LiveOperation) -> World:
    """P1's flow, and P2 held, in a Strategy with these Operations."""
    return World(
        declared=[Declared("P1", "1500"), Declared("P2", "1500", held=True)],
        holders=[Holder("P1", HELD), Holder("P2", HELD)],
        operations={"blue": operations},
    )


def test_the_age_of_the_chain_stands_in_for_what_a_lost_journal_knew() -> None:
    """Every flow of the Strategy, also one that is about to be sent, waits since its first call."""
    world = aged(operation("2026-03-01T09:00:00.250Z"), operation("2026-02-01T10:00:00+01:00"))
    (record,) = records(world)
    assert record == Waiting("blue", STRATEGY_ID, "2026-02-01T09:00:00Z", ("P1", "P2"))
    assert records(world, record) == []


@pytest.mark.parametrize(
    ("told", "operations", "expected"),
    [
        ((), (operation("2026-02-01T09:00:00Z"),), (("blue", "2026-02-01T09:00:00Z"),)),
        ((), (operation("last tuesday"),), (("blue", BEGINNING),)),
        ((), (operation("2026-02-01T09:00:00"),), (("blue", "2026-02-01T09:00:00Z"),)),
        ((), (operation("2026-02-01T09:00:00Z", slot=None),), ()),
        ((), (), ()),
        (
            (Waiting("blue", STRATEGY_ID, NOW, ()),),
            (operation("2026-02-01T09:00:00Z"),),
            (),
        ),
        (
            settled(intent(Verb.TOP_UP, 1, [("P1", 1)])),
            (operation("2026-02-01T09:00:00Z"),),
            (),
        ),
    ],
    ids=["lost", "unreadable", "without a zone", "foreign only", "new", "followed", "ours"],
)
def test_a_strategy_is_unknown_when_its_calls_are_and_this_journal_is_silent(
    told: Sequence[Event | Word],
    operations: tuple[LiveOperation, ...],
    expected: tuple[tuple[str, str], ...],
) -> None:
    """Calls of ours that nothing here speaks of were made with another journal."""
    assert unknown_waits(aged(*operations).live(SPACE), booked(told)) == expected


def test_without_any_journal_a_plan_is_a_preview() -> None:
    """It cannot move anything; the apply has a journal and asks."""
    assert unknown_waits(aged(operation(NOW)).live(SPACE), book((), SPACE)) == ()


def test_a_strategy_that_is_followed_from_now_on_is_said_to_be() -> None:
    """Also when nothing of it waits, or every later flow would look as old as its first call."""
    quiet = World(
        declared=[Declared("P1")],
        holders=[Holder("P1", HELD)],
        operations={"blue": (operation("2026-02-01T09:00:00Z"),)},
    )
    (record,) = records(quiet)
    assert record == Waiting("blue", STRATEGY_ID, NOW, ())
    assert records(quiet, record) == []
