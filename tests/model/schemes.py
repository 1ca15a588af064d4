"""Eight ways to choose a request id, and what becomes of the one that works without its company.

All of them plan in the same way and count with the same care, so that what fails is the id. The
slot schemes ask the program itself: ``call_id`` makes ids, ``assign_slots`` finds the chain's
head, ``trading_intent`` takes the slot after it, ``incompleteness`` doubts Executions, and
``Bindings`` admits what a shared journal may say.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from stratctl.apply.body import trading_intent
from stratctl.core.event import Answer, AnswerClass, Attempt, Intent, IntentRow
from stratctl.core.state import BookedOperation, LiveStrategy, Verb
from stratctl.journal.bindings import Bindings
from stratctl.journal.record import Genesis
from stratctl.live.accounting import incompleteness
from stratctl.live.identity import assign_slots, live_operation, staleness
from stratctl.live.wire import OperationRecord
from tests.apply.machine import REALM, STRATEGY, STRATEGY_ID, a_call, a_work
from tests.model.world import SETTLED, UNDECIDED, Body, Operation, Request, Scheme, View

Ids = Callable[[View, Body], str]


def wanted(view: View, *, pending_counts: bool = True, batch: int | None = None) -> Body:
    """Who is short of what is declared, by how much: what is undecided counts in full, and who
    takes part in it waits."""
    moved, busy = moves_of(view, pending_counts=pending_counts)
    rows = [
        (who, total - moved.get(who, 0))
        for who, total in view.declared
        if total > moved.get(who, 0) and who not in busy
    ]
    return tuple(sorted(rows)[:batch])


def moves_of(view: View, *, pending_counts: bool = True) -> tuple[dict[str, int], set[str]]:
    """What each participant got or may still get, and who takes part in something undecided."""
    moved: dict[str, int] = {}
    busy = set()
    for operation in view.listed:
        if operation.id == view.hidden:
            continue
        for (who, amount), fate in zip(operation.body, operation.fates, strict=True):
            if fate == SETTLED or (fate == UNDECIDED and pending_counts):
                moved[who] = moved.get(who, 0) + amount
            if fate == UNDECIDED and pending_counts:
                busy.add(who)
    return moved, busy


# --- seven that fail ---------------------------------------------------------------------------


def _named(ids: Ids) -> Callable[[View, int], tuple[Request, ...]]:
    """One call at a time, its id made of what the machine sees."""

    @cache
    def plan(view: View, batch: int) -> tuple[Request, ...]:
        body = () if view.hidden else wanted(view, batch=batch)
        return (Request(ids(view, body), body),) if body else ()

    return plan


def _random(view: View, body: Body) -> str:
    """Another one each time; whoever sends again without having lost its disk keeps it."""
    del body
    return f"r{view.sent}"


def _body(view: View, body: Body) -> str:
    del view
    return f"hash of {_said(body)}"


def _body_and_commit(view: View, body: Body) -> str:
    return f"hash of {_said(body)} and commit {view.version + 1}"


def _from_to(view: View, body: Body) -> str:
    moved, _ = moves_of(view)
    steps = [f"{who} {moved.get(who, 0)}→{moved.get(who, 0) + amount}" for who, amount in body]
    return f"hash of {', '.join(steps)}"


def _from_only(view: View, body: Body) -> str:
    moved, _ = moves_of(view)
    return f"hash of {', '.join(f'{who} from {moved.get(who, 0)}' for who, _ in body)}"


def _said(body: Body) -> str:
    return ", ".join(f"{who} {amount}" for who, amount in body)


# --- the one that works ------------------------------------------------------------------------


@cache
def head_of(listed: tuple[Operation, ...]) -> int | None:
    """The highest slot of our chain; None when a hole says that the list is not all of it."""
    records = [_record(each) for each in listed]
    chain = assign_slots(REALM, STRATEGY_ID, records)
    shown = LiveStrategy(STRATEGY_ID, STRATEGY, "", "USD", None, "", chain.operations)
    return None if chain.problem else shown.head_slot


@cache
def intent_after(head: int, body: Body) -> Intent:
    """The program's own intent for the slot after ``head``."""
    call = a_call(Verb.TOP_UP, [IntentRow(who, amount) for who, amount in body])
    return trading_intent(a_work((call,)), call, call.rows, strategy_id=STRATEGY_ID, head_slot=head)


def _slots(
    *, complete: bool = True, pending_counts: bool = True, digest: bool = False
) -> Callable[[View, int], tuple[Request, ...]]:
    @cache
    def plan(view: View, batch: int) -> tuple[Request, ...]:
        head = head_of(view.listed)
        if head is None or (complete and doubtful(view)):
            return ()
        body = wanted(view, pending_counts=pending_counts, batch=batch)
        if not body:
            return ()
        suffix = f" and {_said(body)}" if digest else ""
        return (Request(intent_after(head, body).request_id + suffix, body),)

    return plan


def doubtful(view: View) -> bool:
    """Whether a finished Operation lists no Executions: they are not there yet."""
    return any(
        incompleteness(live_operation(_record(each), 1), ()) != ""
        for each in view.listed
        if each.id == view.hidden
    )


@cache
def _pipelined(view: View, batch: int) -> tuple[Request, ...]:
    """All calls at once, in slot after slot, none of them waiting for the one before."""
    head = head_of(view.listed)
    if head is None or doubtful(view):
        return ()
    rest = wanted(view)
    requests: list[Request] = []
    while rest:
        body, rest = rest[:batch], rest[batch:]
        requests.append(Request(intent_after(head + len(requests), body).request_id, body))
    return tuple(requests)


@cache
def _journaled(view: View, batch: int) -> tuple[Request, ...]:
    """By slot, and what a slot was bound to is all that will ever be sent for it."""
    records = [_record(each) for each in view.listed]
    head = head_of(view.listed)
    if head is None or doubtful(view) or staleness(records, _committed(view.journal)):
        return ()
    if head < len(view.journal):
        return (view.journal[head],)
    body = wanted(view, batch=batch)
    if not body:
        return ()
    intent = intent_after(head, body)
    admit(view.journal, intent)
    return (Request(intent.request_id, body),)


def _committed(journal: tuple[Request, ...]) -> list[BookedOperation]:
    """All but the newest: the next slot is bound only when the one before is known to be used."""
    return [
        BookedOperation(STRATEGY_ID, slot, each.id, "", Verb.TOP_UP, done=False)
        for slot, each in enumerate(journal[:-1], start=1)
    ]


def admit(journal: tuple[Request, ...], intent: Intent) -> None:
    """The program's own journal takes the intent in, after those before it. Raises Contradiction
    when it must not: the model would have bound what the program refuses."""
    bindings = Bindings()
    bindings.admit(Genesis(REALM, "model"))
    for head, each in enumerate(journal):
        before = intent_after(head, each.body)
        bindings.admit(before)
        bindings.admit(Attempt(before.request_id, 1, 0))
        found = Answer(before.request_id, 1, AnswerClass.COMMITTED, 202, str(head), "")
        bindings.admit(found)
    bindings.admit(intent)
    bindings.admit(Attempt(intent.request_id, 1, 0))


def _record(operation: Operation) -> OperationRecord:
    finished = operation.finished
    settled = not finished or SETTLED in operation.fates
    return OperationRecord(
        id=f"operation {operation.id}",
        strategy_id=STRATEGY_ID,
        request_id=operation.id.partition(" ")[0],
        type="top_up",
        status=("settled" if settled else "failed") if finished else "settling",
        status_reason="",
        allocations=None,
        created_at="",
    )


NAIVE = (
    Scheme("random id kept in a local file", _named(_random)),
    Scheme("hash of the body", _named(_body)),
    Scheme("hash of body and commit", _named(_body_and_commit)),
    Scheme("each participant's total from → to", _named(_from_to)),
    Scheme("each participant's total from, in batches", _named(_from_only)),
    Scheme("slot and digest of the body", _slots(digest=True)),
    Scheme("slots, the next before the last is acknowledged", _pipelined),
)

SLOT = Scheme("slot only", _slots())
JOURNALED = Scheme("slot only, with a shared journal", _journaled, shares_journal=True)

CARELESS = (
    Scheme("slot only, what is pending not counted", _slots(pending_counts=False)),
    Scheme("slot only, Executions taken as complete", _slots(complete=False)),
)

SCHEMES = (*NAIVE, *CARELESS, SLOT, JOURNALED)
