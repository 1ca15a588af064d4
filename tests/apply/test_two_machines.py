"""Two machines, no lock, no shared journal: the provider's register alone keeps money in once."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.apply import Breaker, StrategyResult, apply_strategy, drive
from stratctl.core.event import Event, IntentRow, Outcome, Receipt
from stratctl.core.state import Verb
from stratctl.journal.store import Journal
from tests.apply.machine import (
    PACE,
    WORKSPACE,
    Machine,
    a_call,
    a_work,
    booked_rows,
    head_slot,
    journal_in,
)
from tests.apply.world import FAULTS, ModelWriter, Provider

CODES = ("CUST01", "CUST02")
MODES = ("replay", "400", "409", "422")
amounts = st.dictionaries(st.sampled_from(CODES), st.integers(100, 1_000_000), min_size=1)

Steps = Generator[Event, Receipt, StrategyResult]


class Rival:
    """A machine with its own journal and its own view, taken when it starts."""

    def __init__(
        self, directory: Path, provider: Provider, declared: dict[str, int], faults: list[str]
    ) -> None:
        self.journal: Journal = journal_in(directory, provider)
        moved = provider.moved_minor()
        missing = {code: total - moved.get(code, 0) for code, total in declared.items()}
        calls = [
            a_call(verb, rows, number=number)
            for number, (verb, rows) in enumerate(
                (
                    (Verb.TOP_UP, [IntentRow(c, m) for c, m in missing.items() if c in moved]),
                    (Verb.ENROLL, [IntentRow(c, m, True) for c, m in missing.items()]),
                ),
                start=1,
            )
        ]
        wanted = [
            a_call(
                each.call.verb,
                [
                    row
                    for row in each.rows
                    if (row.amount_minor or 0) > 0
                    and (each.call.verb is Verb.TOP_UP or row.participant_code not in moved)
                ],
                number=each.call.number,
            )
            for each in calls
        ]
        self.steps: Steps | None = apply_strategy(
            a_work(tuple(each for each in wanted if each.rows), head_slot=head_slot(provider)),
            ModelWriter(provider, faults),
            breaker=Breaker(),
            stopping=lambda: False,
            replan=lambda: (),
            pace=PACE,
        )
        self.receipt: Receipt | None = None

    def step(self) -> bool:
        """One event further; False at the end."""
        if self.steps is None:
            return False
        try:
            event = self.steps.send(self.receipt) if self.receipt else next(self.steps)
        except StopIteration:
            self.steps = None
            self.journal.close()
            return False
        self.receipt = self.journal.append(event)
        return True


@settings(max_examples=settings().max_examples // 3)
@given(
    declared=amounts,
    rise=amounts,
    order=st.lists(st.booleans(), max_size=60),
    deceptions=st.lists(st.sampled_from(FAULTS), max_size=6),
    mode=st.sampled_from(MODES),
)
def test_two_machines_without_locks_never_put_money_in_twice(
    declared: dict[str, int],
    rise: dict[str, int],
    order: list[bool],
    deceptions: list[str],
    mode: str,
) -> None:
    """However their steps interleave, no sum passes the highest declared total."""
    newer = {code: declared.get(code, 0) + rise.get(code, 0) for code in {*declared, *rise}}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        provider = Provider(mode=mode)
        rivals = (
            Rival(Path(one), provider, declared, deceptions),
            Rival(Path(other), provider, newer, deceptions[::-1]),
        )
        for first in order:
            rivals[0 if first else 1].step()
            provider.wait(1)
        for rival in rivals:
            while rival.step():
                provider.wait(1)
        provider.wait(120)
        assert all(total <= newer[code] for code, total in provider.moved_minor().items())
        head_slot(provider)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("same_rows", [True, False])
def test_the_same_id_with_another_body_is_noticed(
    mode: str, same_rows: bool, tmp_path: Path
) -> None:
    """However a used id is answered, the first machine's figures are booked and it is said."""
    provider = Provider(mode=mode)
    first = Machine(provider, tmp_path / "one", {"CUST01": 10_000})
    rows = [IntentRow("CUST01" if same_rows else "CUST02", 55_500, True)]
    late = apply_strategy(
        a_work((a_call(Verb.ENROLL, rows),)),
        ModelWriter(provider),
        breaker=Breaker(),
        stopping=lambda: False,
        replan=lambda: (),
        pace=PACE,
    )
    with journal_in(tmp_path / "two", provider) as journal:
        # Its view is taken and its intent written before the first machine is through.
        journal_receipt = journal.append(next(late))
        first.run()

        def resumed() -> Steps:
            event = late.send(journal_receipt)
            while True:
                receipt = yield event
                try:
                    event = late.send(receipt)
                except StopIteration as ended:
                    result: StrategyResult = ended.value
                    return result

        result = drive(resumed(), journal.append)
        assert [problem.code for problem in result.problems] == ["E_SLOT_CONFLICT"]
        (outcome,) = [e.event for e in journal.entries() if isinstance(e.event, Outcome)]
        assert not outcome.proven
        rows_booked = booked_rows(journal.booked(WORKSPACE))
        assert rows_booked["CUST01"]["contributed_minor"] == 10_000
        assert not any(row["busy"] for row in rows_booked.values())
    assert provider.moved_minor() == {"CUST01": 10_000}
