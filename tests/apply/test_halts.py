"""A halt holds back every request, or every one that lets nobody out, until it is lifted."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stratctl.core.errors import GuardRefused
from stratctl.core.state import OPERATION_TYPES, Verb
from stratctl.journal.record import Halt, Resume
from stratctl.pipeline import refusals
from stratctl.pipeline.working import call_works
from tests.apply.machine import WORKSPACE, Machine, journal_in
from tests.apply.world import Provider
from tests.plans import Row, call, plan_of

ROWS: Mapping[Verb, tuple[int | None, bool | None]] = {
    Verb.LIQUIDATE: (None, None),
    Verb.PARTIAL_SELL: (400, None),
    Verb.TOP_UP: (500, None),
    Verb.ENROLL: (600, True),
    Verb.REBALANCE: (None, None),
}
"""(amount_minor, flag) of the one row of a call"""
EXITS = (Verb.LIQUIDATE, Verb.PARTIAL_SELL)
WORDS = st.sampled_from((Halt(False, "all"), Halt(True, "no new money"), Resume("over")))
VERBS = st.lists(st.sampled_from(tuple(ROWS)), min_size=1, unique=True)
EVERY_VERB = tuple(ROWS)


@settings(max_examples=settings().max_examples // 10)
@given(st.lists(WORDS, max_size=4), VERBS)
@example([], EVERY_VERB)
@example([Halt(True, "no new money")], EVERY_VERB)
@example([Halt(False, "all")], EVERY_VERB)
def test_a_halt_is_obeyed_until_it_is_lifted(
    words: Sequence[Halt | Resume], verbs: Sequence[Verb]
) -> None:
    """I27: the last word counts: nothing is sent, or exits alone, or everything."""
    obeyed(words, verbs)


def obeyed(words: Sequence[Halt | Resume], verbs: Sequence[Verb]) -> None:
    """What I27 says of one apply after these words."""
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(Provider(), Path(directory), {})
        with journal_in(machine.directory, machine.provider) as journal:
            journal.append_all(words)
            booked = journal.booked(WORKSPACE)
        rows = [Row(n, f"CUST0{n}", *ROWS[verb]) for n, verb in enumerate(verbs, 1)]
        calls = [call(n, verb, rows) for n, verb in enumerate(verbs, 1)]
        plan = plan_of(WORKSPACE, calls, rows)
        last = words[-1] if words else Resume("over")
        if last == Halt(False, "all"):
            with pytest.raises(GuardRefused, match="halted"):
                refusals.refuse_halted(booked)
            return
        refusals.refuse_halted(booked)
        left = refusals.without_halted(plan, booked)
        allowed = verbs if last == Resume("over") else [verb for verb in verbs if verb in EXITS]
        assert [each.verb for each in left.calls] == list(allowed)
        machine.send(call_works(left))
        sent = [OPERATION_TYPES[each.kind] for each in machine.provider.operations.values()]
        # A rebalance behind other calls is planned again, and this machine finds none.
        assert {*allowed} - {Verb.REBALANCE} <= {*sent} <= {*allowed}
        assert len(sent) == len({*sent})


def test_the_law_notices_money_in_during_a_halt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a top-up counts as an exit."""
    obeyed([Halt(True, "no new money")], EVERY_VERB)
    monkeypatch.setattr(refusals, "EXIT_VERBS", (*refusals.EXIT_VERBS, Verb.TOP_UP))
    with pytest.raises(AssertionError):
        obeyed([Halt(True, "no new money")], EVERY_VERB)
