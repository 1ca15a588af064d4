"""Violations planted into a world in which all is well: each invariant must find its own.

The program is not touched: what is planted stands where only the invariant looks, in the provider's
store, in the bytes of a journal, in a request. Bugs of the program are planted by ``bugs.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from stratctl.core.errors import JournalTampered
from stratctl.core.slots import call_id
from stratctl.sandbox.messages import Request
from tests.plan.oracle import Answer
from tests.sim.invariants import REQUESTS_MAX, RUNS_MAX, SECONDS_MAX, Invariants

if TYPE_CHECKING:
    from tests.sim.world import Universe

Planted = AbstractContextManager[None]


def _nothing(world: Universe) -> Planted:
    """What is planted is asked for."""
    del world
    return nullcontext()


@contextmanager
def _rows(world: Universe, change: str, undo: str) -> Iterator[None]:
    """The provider's store holds something else."""
    store = world.provider.world.store
    for sql in (change, undo):
        with store.transaction():
            store.write(sql)
        if sql is change:
            try:
                yield
            except BaseException:
                with store.transaction():
                    store.write(undo)
                raise


def _amount(world: Universe) -> Planted:
    return _rows(
        world,
        "UPDATE execution SET amount = amount + 1",
        "UPDATE execution SET amount = amount - 1",
    )


def _balance(world: Universe) -> Planted:
    where = "WHERE seq = (SELECT min(seq) FROM account)"
    change = "UPDATE account SET balance = '1' || balance"
    return _rows(
        world, f"{change} {where}", f"UPDATE account SET balance = substr(balance, 2) {where}"
    )


def _another_end(world: Universe) -> Planted:
    return _rows(
        world,
        "UPDATE execution SET status = 'rejected', reason = status",
        "UPDATE execution SET status = reason, reason = ''",
    )


@contextmanager
def _operation(world: Universe, slot: int) -> Iterator[None]:
    """Somebody who knows the scheme of our ids used a slot."""
    ((strategy_id,),) = world.provider.world.store.rows("SELECT id FROM strategy")
    operation = (
        "INSERT INTO operation (id, strategy_seq, request_id, type, status, reason, allocations,"
        " created_ms, updated_ms, reserved) SELECT 'planted', strategy_seq,"
        f" '{call_id('sandbox', strategy_id, slot)}', type, status, reason, allocations,"
        " created_ms, updated_ms, 0 FROM operation LIMIT 1"
    )
    with _rows(world, operation, "DELETE FROM operation WHERE id = 'planted'"):
        yield


@contextmanager
def _bytes(world: Universe, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """The durable bytes of the journal are others."""
    file = world.machines[0].journal
    before = file.synced
    file.synced = change(before)
    try:
        yield
    finally:
        file.synced = before


def _forgets_a_line(data: bytes) -> bytes:
    return data[: data.rindex(b"\n", 0, -1) + 1]


def _says_more(data: bytes) -> bytes:
    """A line that follows and does not say what its hash says."""
    line = json.loads(data.splitlines()[-1])
    line.update(seq=line["seq"] + 1, prev=line["h"])
    return data + json.dumps(line, separators=(",", ":"), sort_keys=True).encode() + b"\n"


@contextmanager
def _written_anew(world: Universe) -> Iterator[None]:
    """All of the journal was written anew, and everything fits: only a kept head shows it."""
    file = world.machines[0].journal
    kept = world.invariants._heads[id(file)][1]
    kept.append(type(kept[-1])(**{**_fields(kept[-1]), "digest": "0" * 64}))
    try:
        yield
    finally:
        kept.pop()


def _fields(head: Any) -> dict[str, Any]:
    return {name: getattr(head, name) for name in head.__dataclass_fields__}


@contextmanager
def _torn(world: Universe) -> Iterator[None]:
    file = world.machines[0].journal
    file.seen += b"{"
    try:
        yield
    finally:
        file.seen = file.seen[:-1]


@contextmanager
def _open_call(world: Universe) -> Iterator[None]:
    """A call of the journal lost its end."""
    call = next(each for each in world.machines[0].journal.ledger if each.outcome is not None)
    outcome, call.outcome = call.outcome, None
    try:
        yield
    finally:
        call.outcome = outcome


def _look(invariants: Invariants) -> None:
    invariants.at_the_end()


def _request(invariants: Invariants, request_id: str, cents: int = 100_000) -> Request:
    ((strategy_id,),) = invariants.world.provider.world.store.rows("SELECT id FROM strategy")
    body = {
        "allocations": [
            {"underlying_currency": asset, "weight": weight}
            for asset, weight in (("BTC", "0.5"), ("ETH", "0.3"), ("SOL", "0.2"))
        ],
        "participants": [{"amount": f"{cents / 100:.2f}", "participant_code": "P00001"}],
    }
    target = f"/strategies/{strategy_id}/top-up"
    return Request("POST", target, {"x-request-id": request_id}, json.dumps(body).encode())


def _leaves(invariants: Invariants) -> None:
    invariants.leaves(invariants.world.machines[0], _request(invariants, "nobody-bound-it"))


def _two_bodies(invariants: Invariants) -> None:
    machine = invariants.world.machines[0]
    for cents in (100, 200):
        invariants.i5_one_body(machine, "one", _request(invariants, "one", cents).body)


def _more_than_approved(invariants: Invariants) -> None:
    machine, vector = invariants.world.machines[0], "BTC 0.5, ETH 0.3, SOL 0.2"
    invariants.intended(machine, Answer(sent={("blue", "top_up", vector, "P00001", 100_000, None)}))
    try:
        for cents in (100_000, 100_001):
            request = _request(invariants, "more", cents)
            invariants.i7_within_the_ceiling(machine, "more", request.target, request.body)
    finally:
        invariants.ran(machine, None)


def _sent_in_doubt(invariants: Invariants) -> None:
    machine = invariants.world.machines[0]
    machine.sent += 1
    invariants.ran(machine, JournalTampered("changed"))


def _sent_unverified(invariants: Invariants) -> None:
    machine, request = invariants.world.machines[0], _request(invariants, "stale")
    invariants.distrusts(machine, {request.target.split("/")[2]: "E_STALE_READ"})
    invariants.i8_only_on_what_was_verified(machine, request.target)


def _secret(invariants: Invariants) -> None:
    world = invariants.world
    world.scheduler.note(f"signs with {world.provider.write_credential.secret}")
    invariants.after_step()


def _secret_in_hex(invariants: Invariants) -> None:
    secret = invariants.world.provider.read_credential.passphrase
    invariants.ran(invariants.world.machines[0], ValueError(secret.encode().hex()))


CANARIES: tuple[tuple[str, Callable[[Universe], Planted], Callable[[Invariants], None]], ...] = (
    ("I1", _amount, _look),
    ("I2", _nothing, _leaves),
    ("I2", lambda world: _operation(world, 2), _look),
    ("I2", _open_call, _look),
    ("I2", _another_end, _look),
    ("I3", lambda world: _bytes(world, _forgets_a_line), _look),
    ("I3", lambda world: _bytes(world, _says_more), _look),
    ("I3", _written_anew, _look),
    ("I3", _torn, _look),
    ("I4", _nothing, lambda i: i.settled(i.world.machines[0], RUNS_MAX + 2)),
    ("I5", _nothing, _two_bodies),
    ("I6", lambda world: _operation(world, 3), _look),
    ("I7", _nothing, _more_than_approved),
    ("I8", _nothing, _sent_in_doubt),
    ("I8", _nothing, _sent_unverified),
    ("I9", _nothing, _secret),
    ("I9", _nothing, _secret_in_hex),
    ("I10", _nothing, lambda i: i.i10_bounded(i.world.machines[0], REQUESTS_MAX + 1, 0)),
    ("I10", _nothing, lambda i: i.i10_bounded(i.world.machines[0], 0, SECONDS_MAX + 1)),
    ("I11", _balance, _look),
    ("I12", _nothing, lambda i: i.i12_same_seed_same_trace("one", "other")),
)
"""(the invariant that must find it, what is planted, when it is looked for)"""
