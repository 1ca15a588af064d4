"""A Strategy's calls in their order: what is sent, what stops, and what is left."""

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stratctl.apply import (
    Breaker,
    CallWork,
    Pace,
    StrategyResult,
    StrategyWork,
    TraderRef,
    apply_strategy,
    drive,
    recover,
)
from stratctl.core.errors import (
    AccessRefused,
    BadResponse,
    JournalUnavailable,
    NotFound,
    PlanStale,
    ProviderError,
)
from stratctl.core.event import (
    Abandoned,
    Answer,
    AnswerClass,
    Attempt,
    Event,
    Execution,
    Forfeited,
    Intent,
    IntentRow,
    Outcome,
    Problem,
    Receipt,
    Satisfied,
    Unfinished,
)
from stratctl.core.slots import call_id
from stratctl.core.state import LiveOperation, LiveStrategy, Vector, Verb
from tests.apply.machine import (
    PACE,
    REALM,
    STRATEGY,
    STRATEGY_ID,
    WORKSPACE,
    a_call,
    a_work,
    booked_rows,
    head_slot,
    journal_in,
)
from tests.apply.world import LOST_AFTER, LOST_BEFORE, NOT_SENT, OK, ModelWriter, Provider

TRADER = "f1a2b3c4-d5e6-4789-abcd-ef0123456789"


def never() -> bool:
    """Nobody asks to stop."""
    return False


def run(
    directory: Path,
    work: StrategyWork,
    writer: ModelWriter,
    *,
    replan: Callable[[], Sequence[CallWork]] = lambda: (),
    stopping: Callable[[], bool] = never,
    breaker: Breaker | None = None,
    pace: Pace = PACE,
) -> tuple[StrategyResult, list[Event]]:
    """Apply the work with a journal; the result, and every event in order."""
    events: list[Event] = []
    with journal_in(directory, writer.provider) as journal:

        def append(event: Event) -> Receipt:
            events.append(event)
            return journal.append(event)

        steps = apply_strategy(
            work,
            writer,
            breaker=breaker or Breaker(),
            stopping=stopping,
            replan=replan,
            pace=pace,
        )
        return drive(steps, append), events


def codes(problems: Iterable[Problem]) -> list[str]:
    """Their codes."""
    return [problem.code for problem in problems]


def rows(*named: str, amount: int | None = None) -> list[IntentRow]:
    """Rows without an amount, or all with the same."""
    return [IntentRow(code, amount, True if amount else None) for code in named]


def simple(verb: Verb, body: str = "", *, number: int = 1) -> CallWork:
    """A call without rows."""
    call = a_call(Verb.LIQUIDATE, rows("CUST01")).call
    return CallWork(replace(call, verb=verb, body_json=body, rows=0, number=number))


def flags(*named: str, value: bool = True, number: int = 9) -> CallWork:
    """A flag change of each participant."""
    call = replace(a_call(Verb.LIQUIDATE, rows(*named)).call, verb=Verb.FLAGS, number=number)
    return CallWork(
        call,
        tuple(IntentRow(code, None, value) for code in named),
        tuple(
            TraderRef(f"{TRADER[:-2]}{place:02d}", "2026-11-21T09:00:00Z")
            for place, _ in enumerate(named)
        ),
    )


# --- the order, and what is said before it is done ------------------------------------------------


def test_nothing_is_sent_before_its_intent_and_attempt_are_durable(tmp_path: Path) -> None:
    """Intent, attempt, answer, outcome: the order of entries is the order of deeds."""
    writer = ModelWriter(Provider())
    _, events = run(tmp_path, a_work((a_call(Verb.ENROLL, rows("CUST01", amount=100)),)), writer)
    assert [type(event) for event in events] == [Intent, Attempt, Answer, Outcome]
    steps = apply_strategy(
        a_work((a_call(Verb.ENROLL, rows("CUST02", amount=100)),), head_slot=1),
        writer,
        breaker=Breaker(),
        stopping=never,
        replan=lambda: (),
    )
    intent = next(steps)
    assert isinstance(intent, Intent)
    assert writer.sent == 1
    steps.send(Receipt(1, intent.body_sha256))
    assert writer.sent == 1, "an attempt that is not durable is not sent"


def test_a_receipt_for_another_body_stops_everything() -> None:
    """The journal holds something else under that id: nothing is sent."""
    writer = ModelWriter(Provider())
    steps = apply_strategy(
        a_work((a_call(Verb.ENROLL, rows("CUST01", amount=100)),)),
        writer,
        breaker=Breaker(),
        stopping=never,
        replan=lambda: (),
    )
    with pytest.raises(JournalUnavailable, match="another body"):
        drive(steps, lambda _: Receipt(1, "another digest"))
    assert writer.sent == 0


def test_the_body_is_canonical_and_lists_participants(tmp_path: Path) -> None:
    """Compact, ascending, amounts with all their decimals, weights without trailing zeros."""
    vector = Vector((("BTC", 10**18), ("SOL", 0)))
    rebalance = a_call(Verb.REBALANCE, rows("CUST02", "CUST01"), number=5)
    rebalance = replace(rebalance, call=replace(rebalance.call, vector=vector))
    calls = (
        a_call(Verb.LIQUIDATE, rows("CUST09", "CUST08"), number=1),
        a_call(Verb.PARTIAL_SELL, rows("CUST01", amount=5), number=2),
        a_call(Verb.TOP_UP, rows("CUST01", amount=123_450), number=3),
        a_call(Verb.ENROLL, rows("CUST03", amount=100), number=4),
        rebalance,
    )
    _, events = run(tmp_path, a_work(calls), ModelWriter(Provider()), replan=lambda: (rebalance,))
    said = [(event.path, event.body) for event in events if isinstance(event, Intent)]
    weights = (
        '"allocations":[{"underlying_currency":"BTC","weight":"0.5"},'
        '{"underlying_currency":"ETH","weight":"0.3"},{"underlying_currency":"SOL","weight":"0.2"}]'
    )
    base = f"/strategies/{STRATEGY_ID}/"
    assert said == [
        (
            base + "liquidate",
            '{"participants":[{"participant_code":"CUST08"},{"participant_code":"CUST09"}]}',
        ),
        (
            base + "partial-sell",
            f'{{{weights},"participants":[{{"amount":"0.05","participant_code":"CUST01"}}]}}',
        ),
        (
            base + "top-up",
            f'{{{weights},"participants":[{{"amount":"1234.50","participant_code":"CUST01"}}]}}',
        ),
        (
            base + "enroll",
            f'{{{weights},"participants":[{{"amount":"1.00","auto_rebalance":true,'
            '"participant_code":"CUST03"}]}',
        ),
        (
            base + "rebalance",
            '{"allocations":[{"underlying_currency":"BTC","weight":"1"},'
            '{"underlying_currency":"SOL","weight":"0"}],'
            '"participants":[{"participant_code":"CUST01"},{"participant_code":"CUST02"}]}',
        ),
    ]
    slots = [event.request_id for event in events if isinstance(event, Intent)]
    assert slots == [call_id(REALM, STRATEGY_ID, slot) for slot in range(1, 6)]


def test_targets_a_b_a_are_three_operations(tmp_path: Path) -> None:
    """An id names a slot, so going back to an old target is a new call."""
    provider = Provider()
    other = Vector((("BTC", 10**18),))
    for turn, vector in enumerate([None, other, None]):
        call = a_call(Verb.REBALANCE, rows("CUST01"), target=f"target {turn % 2}")
        if vector:
            call = replace(call, call=replace(call.call, vector=vector))
        run(tmp_path, a_work((call,), head_slot=turn), ModelWriter(provider))
    assert head_slot(provider) == 3
    assert len({operation.body for operation in provider.operations.values()}) == 2
    with journal_in(tmp_path, provider) as journal:
        assert booked_rows(journal.booked(WORKSPACE))["CUST01"]["target_text"] == "target 0"


# --- the barrier ----------------------------------------------------------------------------------


def test_after_the_barrier_only_what_is_still_wanted_is_sent(tmp_path: Path) -> None:
    """The replan shrinks a rebalance; a call that is wanted no more has its result."""
    flows = a_call(Verb.ENROLL, rows("CUST03", amount=100), number=1)
    both = a_call(Verb.REBALANCE, rows("CUST01", "CUST02"), number=2)
    one = a_call(Verb.REBALANCE, rows("CUST02"), number=2)
    provider = Provider()
    work = a_work((flows, both, flags("CUST01")))
    result, events = run(tmp_path, work, ModelWriter(provider), replan=lambda: (one,))
    sent = [event for event in events if isinstance(event, Intent)]
    assert [[row.participant_code for row in each.rows] for each in sent] == [
        ["CUST03"],
        ["CUST02"],
    ]
    assert (sorted(result.done), result.left) == ([1, 2, 9], ())


def test_without_a_call_before_it_the_barrier_reads_nothing(tmp_path: Path) -> None:
    """The read that the plan was compared with is still fresh."""

    def replan() -> Sequence[CallWork]:
        raise AssertionError("nothing moved")

    call = a_call(Verb.REBALANCE, rows("CUST01"))
    result, _ = run(tmp_path, a_work((call,)), ModelWriter(Provider()), replan=replan)
    assert result.done == (1,)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (lambda: (a_call(Verb.REBALANCE, rows("CUST01", "CUST02"), number=2),), "E_PLAN_STALE"),
        (lambda: (a_call(Verb.REBALANCE, rows("CUST01"), target="x"),), "E_PLAN_STALE"),
        (lambda: (flags("CUST01", value=False),), "E_PLAN_STALE"),
    ],
)
def test_more_than_was_approved_is_never_sent(
    wanted: Callable[[], Sequence[CallWork]], code: str, tmp_path: Path
) -> None:
    """Another row, another target, another flag: the Strategy stops."""
    flows = a_call(Verb.ENROLL, rows("CUST03", amount=100), number=1)
    approved = a_call(Verb.REBALANCE, rows("CUST01"), number=2)
    work = a_work((flows, approved, flags("CUST01", number=3)))
    result, _ = run(tmp_path, work, ModelWriter(Provider()), replan=wanted)
    assert codes(result.problems) == [code]
    assert (result.done, result.left) == ((1,), (2, 3))


@pytest.mark.parametrize(
    ("error", "code"), [(PlanStale("x"), "E_PLAN_STALE"), (BadResponse("x"), "E_READ_FAILED")]
)
def test_a_replan_that_fails_stops_the_strategy(
    error: Exception, code: str, tmp_path: Path
) -> None:
    """What was sent before it stays sent, and nothing else is."""

    def replan() -> Sequence[CallWork]:
        raise error

    flows = a_call(Verb.ENROLL, rows("CUST03", amount=100), number=1)
    later = a_call(Verb.REBALANCE, rows("CUST01"), number=2)
    result, _ = run(tmp_path, a_work((flows, later)), ModelWriter(Provider()), replan=replan)
    assert (codes(result.problems), result.left) == ([code], (2,))


def behind(*named: str, amount: int, number: int) -> CallWork:
    """A partial sell that stands behind a rebalance."""
    sell = a_call(Verb.PARTIAL_SELL, rows(*named, amount=amount), number=number)
    plain = tuple(replace(row, auto_rebalance=None) for row in sell.rows)
    return CallWork(replace(sell.call, after_rebalance=True), plain)


@pytest.mark.parametrize("fitting", [("CUST01", "CUST02"), ("CUST02",), ()])
def test_behind_a_rebalance_only_what_fits_then_is_sold(
    fitting: tuple[str, ...], tmp_path: Path
) -> None:
    """After the rebalance and before flags; live is read again even if nothing went before it."""
    provider = Provider()
    read: list[int] = []

    def replan() -> Sequence[CallWork]:
        read.append(len(provider.operations))
        return (behind(*fitting, amount=300, number=2),) if fitting else ()

    rebalance = a_call(Verb.REBALANCE, rows("CUST01", "CUST02"))
    work = a_work((rebalance, behind("CUST01", "CUST02", amount=300, number=2), flags("CUST01")))
    result, events = run(tmp_path, work, ModelWriter(provider), replan=replan)
    intents = [event for event in events if isinstance(event, Intent)]
    sold = [Verb.PARTIAL_SELL] if fitting else []
    assert [intent.verb for intent in intents] == [Verb.REBALANCE, *sold, Verb.FLAGS]
    assert read == [1]
    waiting = tuple(code for code in ("CUST01", "CUST02") if code not in fitting)
    assert [problem.participants for problem in result.problems] == ([waiting] if waiting else [])
    assert set(codes(result.problems)) <= {"E_SELL_WAITS"}
    assert result.left == (() if fitting else (2,))


@pytest.mark.parametrize(
    ("amount", "error", "code"),
    [(301, None, "E_PLAN_STALE"), (300, BadResponse("x"), "E_READ_FAILED")],
)
def test_a_sell_behind_a_rebalance_never_grows(
    amount: int, error: Exception | None, code: str, tmp_path: Path
) -> None:
    """More than was approved, or a read that fails, stops the Strategy: its flags wait as well."""

    def replan() -> Sequence[CallWork]:
        if error:
            raise error
        return (behind("CUST01", amount=amount, number=2),)

    rebalance = a_call(Verb.REBALANCE, rows("CUST01"))
    work = a_work((rebalance, behind("CUST01", amount=300, number=2), flags("CUST01")))
    result, _ = run(tmp_path, work, ModelWriter(Provider()), replan=replan)
    assert (codes(result.problems), result.done, result.left) == ([code], (1,), (2, 9))


def test_a_sell_whose_rebalance_failed_in_part_is_not_sent(tmp_path: Path) -> None:
    """Whatever the new plan says: a person decides first what became of the legs."""
    provider = Provider(legs={"CUST01": "failed"})
    sell = behind("CUST01", amount=300, number=2)
    work = a_work((a_call(Verb.REBALANCE, rows("CUST01")), sell))
    result, events = run(tmp_path, work, ModelWriter(provider), replan=lambda: (sell,))
    assert [e.verb for e in events if isinstance(e, Intent)] == [Verb.REBALANCE]
    assert (codes(result.problems), result.left) == (["E_EXECUTION_MIXED"], (2,))


# --- create, metadata, flags ----------------------------------------------------------------------


def test_a_created_strategy_gets_its_slots_from_one(tmp_path: Path) -> None:
    """Its id is read back, and the calls after it use it."""
    provider = Provider()
    create = simple(Verb.CREATE, '{"quoted_currency":"USD"}', number=1)
    enroll = a_call(Verb.ENROLL, rows("CUST01", amount=100), number=2)
    work = replace(a_work((create, enroll)), strategy_id=None)
    result, events = run(tmp_path, work, ModelWriter(provider, [LOST_AFTER]))
    (live,) = provider.strategies.values()
    assert (result.strategy_id, result.head_slot, result.done) == (live.id, 1, (1, 2))
    intents = [event for event in events if isinstance(event, Intent)]
    assert (intents[0].strategy_id, intents[0].slot) == ("", None)
    assert intents[1].request_id == call_id(REALM, live.id, 1)


def test_a_strategy_that_reads_back_otherwise_is_not_used(tmp_path: Path) -> None:
    """Another currency under the name's id: somebody must look."""

    class Other(ModelWriter):
        def strategy(self, strategy_id: str, *, name: str) -> LiveStrategy:
            return replace(super().strategy(strategy_id, name=name), quoted_currency="EUR")

    create = simple(Verb.CREATE, '{"quoted_currency":"USD"}')
    enroll = a_call(Verb.ENROLL, rows("CUST01", amount=100), number=2)
    work = replace(a_work((create, enroll)), strategy_id=None)
    result, _ = run(tmp_path, work, Other(Provider()))
    assert (codes(result.problems), result.left) == (["E_READ_BACK"], (1, 2))


def test_an_open_create_is_resumed_with_its_own_bytes(tmp_path: Path) -> None:
    """The id of a name never carries two bodies, even when the metadata changed meanwhile."""
    provider = Provider()
    first = simple(Verb.CREATE, '{"metadata":{"a":1},"quoted_currency":"USD"}')
    work = replace(a_work((first,)), strategy_id=None)
    result, _ = run(tmp_path, work, ModelWriter(provider, [LOST_BEFORE] * 6))
    assert codes(result.problems) == ["E_OUTCOME_UNKNOWN"]
    assert result.problems[0].indeterminate
    with journal_in(tmp_path, provider) as journal:
        (left,) = journal.unfinished()
    again = simple(Verb.CREATE, '{"metadata":{"a":2},"quoted_currency":"USD"}')
    work = replace(a_work((again,)), strategy_id=None, resume=left)
    result, _ = run(tmp_path, work, ModelWriter(provider))
    assert (result.problems, result.done) == ((), (1,))
    (live,) = provider.strategies.values()
    assert live.metadata_json == '{"a": 1}'


def test_metadata_and_flags_are_read_back(tmp_path: Path) -> None:
    """A lost answer is found by its effect; a second run has ids of its own moment."""
    provider = Provider()
    create = simple(Verb.CREATE, '{"quoted_currency":"USD"}', number=1)
    metadata = simple(Verb.METADATA, '{"metadata":{"a":1}}', number=2)
    changes = flags("CUST01", "CUST02", number=3)
    work = replace(a_work((create, metadata, changes)), strategy_id=None)
    writer = ModelWriter(provider, [OK, LOST_AFTER, LOST_BEFORE, OK, NOT_SENT])
    result, events = run(tmp_path, work, writer)
    assert (result.done, result.problems) == ((1, 2, 3), ())
    paths = [event.path for event in events if isinstance(event, Intent)]
    assert [provider.flags[path] for path in paths[1:]] == [
        '{"metadata":{"a":1}}',
        '{"auto_rebalance":true}',
        '{"auto_rebalance":true}',
    ]


def test_a_flag_that_does_not_read_back_is_said_and_stops_nobody(tmp_path: Path) -> None:
    """The answer was fine and the value is not there."""

    class Forgetful(ModelWriter):
        def look_up(self, intent: Intent) -> Answer | None:
            return None

    result, _ = run(tmp_path, a_work((flags("CUST01", "CUST02"),)), Forgetful(Provider()))
    assert codes(result.problems) == ["E_READ_BACK", "E_READ_BACK"]
    assert result.done == (9,)


class Refusing(ModelWriter):
    """Refuses what its list says, in turn, without carrying anything out."""

    answers: tuple[AnswerClass, ...] = (AnswerClass.REFUSED,)

    def send(self, signed: Any, number: int) -> Answer:
        """The next refusal, then as always."""
        if not self.answers:
            return super().send(signed, number)
        kind, self.answers = self.answers[0], self.answers[1:]
        self.sent += 1
        return Answer(signed.intent.request_id, number, kind, 400, "", "no", ("no",))


def refusing(*answers: AnswerClass) -> ModelWriter:
    """A writer that answers so before it works."""
    writer = Refusing(Provider())
    writer.answers = answers
    return writer


def test_a_refused_flag_is_abandoned_and_the_next_one_is_sent(tmp_path: Path) -> None:
    """A doubt about one participant stops nobody else."""
    writer = refusing(AnswerClass.REFUSED)
    result, events = run(tmp_path, a_work((flags("CUST01", "CUST02"),)), writer)
    assert codes(result.problems) == ["E_CALL_REFUSED"]
    assert result.problems[0].participants == ("CUST01",)
    assert [type(event) for event in events].count(Abandoned) == 1
    assert len(writer.provider.flags) == 1


def test_a_refused_create_stops_the_strategy(tmp_path: Path) -> None:
    """There is nothing to go on with; the id is free for a better body."""
    create = simple(Verb.CREATE, '{"quoted_currency":"USD"}')
    work = replace(a_work((create,)), strategy_id=None)
    result, _ = run(tmp_path, work, refusing(AnswerClass.REFUSED))
    assert (codes(result.problems), result.left) == (["E_CALL_REFUSED"], (1,))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (AnswerClass.ACCESS_REFUSED, "E_ACCESS_REFUSED"),
        (AnswerClass.NOT_FOUND, "E_NOT_FOUND"),
    ],
)
@pytest.mark.parametrize("doubt", [True, False])
@pytest.mark.parametrize(
    "call",
    [
        a_call(Verb.ENROLL, rows("CUST01", amount=100)),
        flags("CUST01", number=1),
        simple(Verb.CREATE, '{"quoted_currency":"USD"}'),
    ],
    ids=["enroll", "flags", "create"],
)
def test_a_refused_credential_or_a_wrong_address_stops(
    kind: AnswerClass, code: str, doubt: bool, call: CallWork, tmp_path: Path
) -> None:
    """The outcome is open only when an earlier attempt may have been carried out."""
    writer = refusing(*([AnswerClass.UNKNOWN] if doubt else []), kind)
    work = a_work((call, a_call(Verb.ENROLL, rows("CUST02", amount=100), number=2)))
    if call.call.verb is Verb.CREATE:
        work = replace(work, strategy_id=None)
    result, _ = run(tmp_path, work, writer)
    assert (codes(result.problems), result.left) == ([code], (1, 2))
    assert result.problems[0].indeterminate is doubt


# --- forfeits and satisfied targets ---------------------------------------------------------------


def test_flows_are_forfeited_once_the_exit_is_done(tmp_path: Path) -> None:
    """At once for those with nothing to sell, after the sale for the others, never without it."""
    provider = Provider(rejects={"CUST02": "participant_not_approved"})
    work = replace(
        a_work((a_call(Verb.LIQUIDATE, rows("CUST01", "CUST02")),)),
        forfeits=(("CUST01", 5, 0), ("CUST02", 6, 0), ("CUST03", 7, 1)),
        satisfied=(Satisfied(STRATEGY, STRATEGY_ID, "BTC 1", 0, ("CUST09",)),),
    )
    _, events = run(tmp_path, work, ModelWriter(provider))
    order = [type(event) for event in events]
    assert order == [Satisfied, Forfeited, Intent, Attempt, Answer, Outcome, Forfeited]
    said = [event.rows for event in events if isinstance(event, Forfeited)]
    assert said == [(("CUST03", 7, 1),), (("CUST01", 5, 0),)]


# --- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", range(12))
def test_a_stop_finishes_what_was_sent_and_starts_nothing_new(steps: int, tmp_path: Path) -> None:
    """Whenever it is asked for: no new request, and the one that was sent gets its outcome."""
    count = itertools.count()
    asked: list[int] = []
    provider = Provider()
    writer = ModelWriter(provider)

    def stopping() -> bool:
        stop = next(count) >= steps
        if stop:
            asked.append(writer.sent)
        return stop

    calls = (
        a_call(Verb.TOP_UP, rows("CUST01", amount=100), number=1),
        a_call(Verb.ENROLL, rows("CUST02", amount=100), number=2),
        flags("CUST01", "CUST02", number=3),
    )
    result, events = run(
        tmp_path, a_work(calls), writer, stopping=stopping, replan=lambda: (calls[2],)
    )
    assert not asked or writer.sent == asked[0]
    trades = [e for e in events if isinstance(e, Intent) and e.slot and writer.sent]
    outcomes = [event for event in events if isinstance(event, Outcome)]
    assert len(outcomes) == len(provider.operations) <= len(trades)
    assert result.interrupted is bool(result.left)
    assert not result.problems


def test_a_stop_does_not_wait_for_a_slow_operation(tmp_path: Path) -> None:
    """It stays open, and the next run finds it out."""
    provider = Provider()
    writer = blind("operation", NotFound("not yet"))
    writer.provider = provider
    result, _ = run(tmp_path, ENROLL, writer, stopping=lambda: writer.sent > 0)
    assert codes(result.problems) == ["E_OPERATION_OPEN"]
    assert 30 <= provider.now - 1_760_000_000 < 60


def test_a_stop_in_the_quarantine_leaves_the_call_open(tmp_path: Path) -> None:
    """Three minutes are not waited for when somebody asked to stop."""
    writer = refusing(AnswerClass.UNKNOWN, AnswerClass.REFUSED)
    since = writer.provider.now

    def stopping() -> bool:
        return writer.provider.now > since + 60

    result, _ = run(
        tmp_path,
        a_work((a_call(Verb.ENROLL, rows("CUST01", amount=100)),)),
        writer,
        stopping=stopping,
    )
    assert result.interrupted
    assert codes(result.problems) == ["E_OUTCOME_UNKNOWN"]
    assert writer.provider.now < since + 180
    assert run_recovery(tmp_path, writer, stopping=lambda: True).open


def run_recovery(directory: Path, writer: ModelWriter, **how: Any) -> Any:
    """Recover what the journal left open."""
    with journal_in(directory, writer.provider) as journal:
        return drive(recover(journal.unfinished(), writer, pace=PACE, **how), journal.append)


# --- what cannot be read --------------------------------------------------------------------------


class Blind(ModelWriter):
    """Fails reads of one kind."""

    error: ProviderError = BadResponse("not JSON")
    blind: str = ""

    def look_up(self, intent: Intent) -> Answer | None:
        """Maybe."""
        self._maybe("look_up")
        return super().look_up(intent)

    def operation(self, operation_id: str) -> LiveOperation:
        """Maybe."""
        self._maybe("operation")
        return super().operation(operation_id)

    def executions(self, strategy_id: str, operation_id: str) -> tuple[Execution, ...]:
        """Maybe."""
        self._maybe("executions")
        return super().executions(strategy_id, operation_id)

    def strategy(self, strategy_id: str, *, name: str) -> LiveStrategy:
        """Maybe."""
        self._maybe("strategy")
        return super().strategy(strategy_id, name=name)

    def _maybe(self, kind: str) -> None:
        if self.blind == kind:
            raise self.error


def blind(kind: str, error: ProviderError | None = None, faults: Sequence[str] = ()) -> Blind:
    """A writer that fails these reads."""
    writer = Blind(Provider(), faults)
    writer.blind, writer.error = kind, error or writer.error
    return writer


ENROLL = a_work((a_call(Verb.ENROLL, rows("CUST01", amount=100)),))


@pytest.mark.parametrize(
    ("writer", "code", "indeterminate"),
    [
        (blind("look_up"), "E_READ_FAILED", False),
        (blind("operation"), "E_OPERATION_OPEN", True),
        (blind("operation", NotFound("not yet")), "E_OPERATION_OPEN", True),
        (blind("operation", AccessRefused("key")), "E_ACCESS_REFUSED", True),
        (blind("executions"), "E_EXECUTIONS_INCOMPLETE", True),
    ],
)
def test_a_read_that_fails_leaves_the_outcome_open(
    writer: Blind, code: str, indeterminate: bool, tmp_path: Path
) -> None:
    """Unknown is not failed; the next run finds it out."""
    result, _ = run(tmp_path, ENROLL, writer)
    assert codes(result.problems) == [code]
    assert result.problems[0].indeterminate is indeterminate
    assert writer.provider.now < 1_760_000_000 + 1_200
    writer.blind = ""
    recovered = run_recovery(tmp_path, writer)
    assert len(recovered.outcomes) == len(writer.provider.operations)
    assert (recovered.open, recovered.problems) == ((), ())


def test_a_look_up_that_fails_in_a_doubt_sends_the_same_bytes_again(tmp_path: Path) -> None:
    """The register makes the second one a repetition."""
    writer = blind("", faults=[LOST_AFTER])
    steps = iter(["", "look_up"])

    class Late(Blind):
        def look_up(self, intent: Intent) -> Answer | None:
            self.blind = next(steps, "")
            return super().look_up(intent)

    late = Late(writer.provider, [LOST_AFTER])
    result, events = run(tmp_path, ENROLL, late)
    assert [e.number for e in events if isinstance(e, Attempt)] == [1, 2]
    assert (result.problems, head_slot(late.provider)) == ((), 1)


def test_a_refusal_that_cannot_be_looked_up_frees_nothing(tmp_path: Path) -> None:
    """It may be the refusal of a used id."""
    steps = iter(["", "look_up"])

    class Late(Blind):
        def look_up(self, intent: Intent) -> Answer | None:
            self.blind = next(steps, "")
            return super().look_up(intent)

    writer = Late(Provider(refused=frozenset({"CUST01"})))
    result, events = run(tmp_path, ENROLL, writer)
    assert codes(result.problems) == ["E_NOT_SENT"]
    assert not any(isinstance(event, Abandoned) for event in events)


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.METADATA])
def test_a_strategy_that_cannot_be_read_stops(verb: Verb, tmp_path: Path) -> None:
    """Neither its id nor its metadata can be relied on."""
    work = a_work((simple(verb, '{"quoted_currency":"USD"}'),))
    if verb is Verb.CREATE:
        work = replace(work, strategy_id=None)
    result, _ = run(tmp_path, work, blind("strategy"))
    assert (codes(result.problems), result.left) == (["E_READ_FAILED"], (1,))


def test_a_flag_that_cannot_be_read_back_is_said(tmp_path: Path) -> None:
    """It may be there."""
    result, _ = run(tmp_path, a_work((flags("CUST01"),)), blind("look_up"))
    assert codes(result.problems) == ["E_READ_FAILED"]


def test_a_slot_that_the_read_did_not_show_stops_before_any_intent(tmp_path: Path) -> None:
    """The view was behind: somebody else's call stands there."""
    provider = Provider()
    run(tmp_path / "one", ENROLL, ModelWriter(provider))
    result, events = run(tmp_path / "two", ENROLL, ModelWriter(provider))
    assert codes(result.problems) == ["E_PLAN_STALE"]
    assert [type(event) for event in events] == [Problem]


# --- resume and recovery --------------------------------------------------------------------------


def left_open(directory: Path, provider: Provider, faults: Sequence[str]) -> Unfinished:
    """What an apply that gave up left behind."""
    run(directory, ENROLL, ModelWriter(provider, faults))
    with journal_in(directory, provider) as journal:
        (left,) = journal.unfinished()
    return left


def test_a_wanted_call_is_sent_first_with_its_own_bytes(tmp_path: Path) -> None:
    """Same id, same body, attempts counted on; then the plan's calls in the next slots."""
    provider = Provider()
    left = left_open(tmp_path, provider, [LOST_BEFORE] * 6)
    top_up = a_call(Verb.TOP_UP, rows("CUST02", amount=5))
    work = replace(a_work((top_up,)), resume=left)
    result, events = run(tmp_path, work, ModelWriter(provider))
    attempts = [(e.request_id, e.number) for e in events if isinstance(e, Attempt)]
    assert attempts == [(left.intent.request_id, 7), (call_id(REALM, STRATEGY_ID, 2), 1)]
    assert (result.done, result.head_slot) == ((1,), 2)
    assert provider.moved_minor() == {"CUST01": 100, "CUST02": 5}


def test_a_wanted_call_is_looked_up_before_it_is_sent_again(tmp_path: Path) -> None:
    """What arrived meanwhile is adopted."""
    provider = Provider()
    left = left_open(tmp_path, provider, [LOST_BEFORE] * 6)
    provider.receive(left.intent, provider.now)
    writer = ModelWriter(provider)
    result, _ = run(tmp_path, replace(a_work(()), resume=left), writer)
    assert (writer.sent, len(result.outcomes)) == (0, 1)


@pytest.mark.parametrize("head", [1, 3])
def test_an_open_call_that_is_not_the_next_slot_is_not_sent(head: int, tmp_path: Path) -> None:
    """The chain moved: plan again."""
    provider = Provider()
    left = left_open(tmp_path, provider, [NOT_SENT] * 6)
    work = replace(a_work((), head_slot=head), resume=left)
    result, _ = run(tmp_path, work, ModelWriter(provider))
    assert codes(result.problems) == ["E_PLAN_STALE"]


def test_a_resumed_call_that_is_refused_is_let_go(tmp_path: Path) -> None:
    """Its rows are parked as always; the others are for the next plan."""
    provider = Provider(refused=frozenset({"CUST01"}))
    left = left_open(tmp_path, provider, [NOT_SENT] * 6)
    result, events = run(tmp_path, replace(a_work(()), resume=left), ModelWriter(provider))
    assert codes(result.problems) == ["E_ROWS_REFUSED"]
    assert [type(e) for e in events][-2:] == [Abandoned, Problem]


def test_a_resumed_call_is_not_sent_after_a_stop(tmp_path: Path) -> None:
    """Not even looked up."""
    provider = Provider()
    left = left_open(tmp_path, provider, [NOT_SENT] * 6)
    work = replace(a_work(()), resume=left)
    result, events = run(tmp_path, work, ModelWriter(provider), stopping=lambda: True)
    assert (result.interrupted, events) == (True, [])


def test_a_strategy_gets_no_new_slot_before_its_last_commit_is_proven(tmp_path: Path) -> None:
    """What an earlier run left without an end comes first."""
    provider = Provider(execution_lag=10_000)
    run(tmp_path, ENROLL, ModelWriter(provider))
    with journal_in(tmp_path, provider) as journal:
        left = journal.unfinished()
    assert [each.operation_id for each in left] == [op.id for op in provider.operations.values()]
    top_up = a_call(Verb.TOP_UP, rows("CUST02", amount=5))
    work = replace(a_work((top_up,), head_slot=1), unproven=left)
    writer = ModelWriter(provider)
    result, _ = run(tmp_path, work, writer)
    assert [(p.code, p.indeterminate) for p in result.problems] == [("E_STRATEGY_OPEN", True)]
    assert (result.left, writer.sent) == ((1,), 0)


def test_recovery_lets_go_at_once_of_what_cannot_have_been_carried_out(tmp_path: Path) -> None:
    """Never attempted, or every attempt provably refused."""
    provider = Provider()
    left_open(tmp_path, provider, [NOT_SENT] * 6)
    recovered = run_recovery(tmp_path, ModelWriter(provider))
    assert (recovered.open, recovered.problems) == ((), ())
    with journal_in(tmp_path, provider) as journal:
        assert journal.unfinished() == ()


def test_recovery_leaves_a_doubt_open_while_it_is_wanted(tmp_path: Path) -> None:
    """And sends nothing."""
    provider = Provider()
    left = left_open(tmp_path, provider, [LOST_BEFORE] * 6)
    provider.wait(1_000)
    writer = ModelWriter(provider)
    recovered = run_recovery(tmp_path, writer)
    assert (recovered.open, writer.sent) == ((left,), 0)


@pytest.mark.parametrize("wait", [True, False])
def test_recovery_lets_go_of_an_unwanted_doubt_after_the_quarantine(
    wait: bool, tmp_path: Path
) -> None:
    """Not a second before."""
    provider = Provider()
    left = left_open(tmp_path, provider, [LOST_BEFORE] * 6)
    over = (left.signed_last or 0) + 180
    recovered = run_recovery(tmp_path, ModelWriter(provider), wanted=lambda _: False, wait=wait)
    assert (recovered.open == ()) is wait
    assert (provider.now >= over) is wait
    provider.now = max(provider.now, over)
    recovered = run_recovery(tmp_path, ModelWriter(provider), wanted=lambda _: False)
    assert recovered.open == ()


def test_recovery_adopts_what_arrived_in_the_quarantine(tmp_path: Path) -> None:
    """It looks again before it lets go."""
    provider = Provider()
    left = left_open(tmp_path, provider, [LOST_BEFORE] * 6)
    provider.waiting.append((provider.now + 30, left.intent, provider.now))
    recovered = run_recovery(tmp_path, ModelWriter(provider), wanted=lambda _: False, wait=True)
    assert [outcome.slot for outcome in recovered.outcomes] == [1]


def test_recovery_that_cannot_look_up_leaves_everything_open(tmp_path: Path) -> None:
    """And says whether an outcome is open."""
    provider = Provider()
    left = left_open(tmp_path, provider, [LOST_BEFORE] * 6)
    writer = Blind(provider)
    writer.blind = "look_up"
    recovered = run_recovery(tmp_path, writer)
    assert recovered.open == (left,)
    assert [(p.code, p.indeterminate) for p in recovered.problems] == [("E_READ_FAILED", True)]


def test_recovery_of_another_body_books_its_figures(tmp_path: Path) -> None:
    """The slot was taken: the provider's own figures, and a Problem."""
    provider = Provider()
    left = left_open(tmp_path, provider, [LOST_BEFORE] * 6)
    other = json.loads(left.intent.body)
    other["participants"][0]["amount"] = "7.00"
    body = json.dumps(other, separators=(",", ":"))
    provider.receive(replace(left.intent, body=body), provider.now)
    recovered = run_recovery(tmp_path, ModelWriter(provider))
    assert codes(recovered.problems) == ["E_SLOT_CONFLICT"]
    assert [row.amount_minor for row in recovered.outcomes[0].rows] == [700]


def test_a_created_strategy_is_found_again(tmp_path: Path) -> None:
    """An open CREATE that the provider knows is closed by that."""
    provider = Provider()
    create = simple(Verb.CREATE, '{"quoted_currency":"USD"}')
    steps = apply_strategy(
        replace(a_work((create,)), strategy_id=None),
        ModelWriter(provider),
        breaker=Breaker(),
        stopping=never,
        replan=lambda: (),
    )
    with journal_in(tmp_path, provider) as journal:
        receipt = journal.append(next(steps))
        receipt = journal.append(steps.send(receipt))
        steps.send(receipt)  # carried out; the answer is lost with the machine
        steps.close()
    run_recovery(tmp_path, ModelWriter(provider))
    with journal_in(tmp_path, provider) as journal:
        assert journal.unfinished() == ()
        assert journal.booked(WORKSPACE).strategy_ids[0][0] == STRATEGY


# --- pace -----------------------------------------------------------------------------------------


def test_waits_grow_and_jitter_spreads_them() -> None:
    """Between half and the whole of a doubled delay, up to a limit."""
    short, long = Pace(jitter=lambda: 0.0), Pace(jitter=lambda: 1.0)
    assert [short.delay(tries) for tries in (1, 2, 3, 20)] == [0.25, 0.5, 1.0, 10.0]
    assert [long.delay(tries) for tries in (1, 2, 3, 20)] == [0.5, 1.0, 2.0, 20.0]


def test_a_limited_request_waits_out_the_lock(tmp_path: Path) -> None:
    """At least eleven seconds after a 429."""
    writer = refusing(AnswerClass.RATE_LIMITED)
    since = writer.provider.now
    run(tmp_path, ENROLL, writer)
    assert writer.provider.now >= since + 11
