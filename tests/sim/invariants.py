"""What must always hold: I1 to I12, each a function with the sentence that it stands for.

The witness asks the provider's own store and the bytes of the journals, never a machine. What
depends on the provider, a journal or the trace is looked at after every step in which that changed;
what speaks of requests, when one leaves; what speaks of runs, when one ends.

Where a documented limit of the program means that a sentence cannot hold, ``Universe.limited``
counts that it did not, under the reason: nothing is let through without one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stratctl.core.errors import (
    AccessRefused,
    GuardRefused,
    InputError,
    JournalForeign,
    JournalRolledBack,
    JournalTampered,
    LockHeld,
    PlanStale,
    ReadStale,
)
from stratctl.core.money import parse_amount
from stratctl.core.plan import Plan
from stratctl.core.slots import call_id, create_id
from stratctl.core.state import BOOKED_ROWS, Verb
from stratctl.journal.booked import book
from stratctl.journal.chain import read
from stratctl.journal.heads import Head, contradiction, head_of
from stratctl.journal.verify import TOTALS, differences, totals_of
from stratctl.sandbox.books import BooksError
from stratctl.sandbox.messages import Request
from tests.plan.oracle import Answer, said_by
from tests.sim.ledger import Broken, Call
from tests.sim.space import PlainSpace

if TYPE_CHECKING:
    from tests.sim.disk import File
    from tests.sim.machine import Machine
    from tests.sim.world import Universe

REALM = "sandbox"
RUNS_MAX = 2
"""Without faults, so many runs may send something before one has nothing to do."""
REQUESTS_MAX = 1_000
SECONDS_MAX = 2 * 3_600
SIGNATURE_SECONDS = 60

SELLS = ("partial_sell",)
KINDS = {
    "enroll": "enroll",
    "top-up": "top_up",
    "partial-sell": "partial_sell",
    "rebalance": "rebalance",
    "liquidate": "liquidate",
}
FAILS_CLOSED = (
    JournalTampered,
    JournalForeign,
    JournalRolledBack,
    LockHeld,
    PlanStale,
    ReadStale,
    AccessRefused,
    GuardRefused,
    InputError,
)
"""What is raised when something cannot be verified, or must not go on."""

FORGOTTEN = "I2: the journal that knew an Operation was lost, and nobody rebuilt it"
APART = "I5: machines that share no journal sent two bodies under one id; the provider kept one"
TAKEN = (
    "I4: an id went to the body of a machine that shares no journal: the other stops, for a person"
)
PER_VERB = "I1: ids are one register per verb, and machines knew nothing of each other"
NO_LOCK = "I3: two writers without a lock spoiled their journal, which the next apply refuses"


class Violation(AssertionError):
    """An invariant does not hold."""


@dataclass
class Ceiling:
    """What a run may send, and what it has sent of it."""

    said: Answer
    used: dict[tuple[str, ...], set[str]] = field(default_factory=lambda: defaultdict(set))
    """row -> request ids that carried it in this run"""


class Invariants:
    """The witness."""

    def __init__(self, world: Universe) -> None:
        self.world = world
        self.mutations = 0
        """Requests that would change something, as they left."""
        self._changes = -1
        self._operations = 0
        self._bodies: dict[str, list[tuple[bytes, Machine, File]]] = defaultdict(list)
        self._ceilings: dict[str, Ceiling] = {}
        self._distrusted: dict[str, dict[str, str]] = {}
        self._heads: dict[int, tuple[File, list[Head]]] = {}
        self._known: dict[str, str] = {}
        """request id of each Operation of ours -> strategy id"""
        self._highest: dict[int, dict[tuple[str, str], tuple[int, int]]] = {}
        self._secrets = _encoded(world)
        self._told = 0

    # --- when each is looked at -------------------------------------------------------------------

    def after_step(self) -> None:
        """After every step: what the provider and the journals hold."""
        self._follow_journals()
        changes = self.world.changes
        if changes != self._changes:
            self._changes = changes
            if self._look_for_operations():
                self.i6_slots_are_dense()
                self.i6_slots_are_used_once()
                self.i2_every_operation_is_known()
            self.i1_no_double_spend()
            self.i11_books_balance()
        self.i9_no_secret_in_the_trace()

    def leaves(self, machine: Machine, request: Request) -> None:
        """A request that would change something leaves a machine."""
        self.mutations += 1
        machine.sent += 1
        request_id, body = request.headers.get("x-request-id", ""), bytes(request.body)
        if self._is_dead(request):
            return
        self.i2_intent_is_durable(machine, request_id, body)
        self.i5_one_body(machine, request_id, body)
        self.i7_within_the_ceiling(machine, request_id, request.target, body)
        self.i8_only_on_what_was_verified(machine, request.target)
        self.i9_no_secret(request.target.encode() + body, "a request")

    def _is_dead(self, request: Request) -> bool:
        """Whoever slept for so long that its signature died may have lost its lease: what leaves
        it then is refused, whatever it holds."""
        age = self.world.now_ms // 1000 - int(request.headers.get("x-scx-timestamp", "0") or 0)
        return self.world.on_a_branch and age > SIGNATURE_SECONDS

    def ran(self, machine: Machine, error: Exception | None) -> None:
        """A run is over, one way or another."""
        self.i8_fails_closed(machine, error)
        self.i9_no_secret(f"{error!s} {getattr(error, 'hint', '')}".encode(), "an error")
        self._ceilings.pop(machine.name, None)
        self._distrusted.pop(machine.name, None)
        self.i3_audit_verifies(machine)

    def settled(self, machine: Machine, runs: int) -> None:
        """Without faults, an apply had nothing to do; it was the so-many-th."""
        self.world.counts[f"settled in {runs}"] += 1
        self.i4_converges(machine, runs)

    def at_the_end(self) -> None:
        """Once more, and what must hold only now."""
        self._changes = self._operations = -1
        self.after_step()
        self._count_what_happened()
        for machine in self.world.machines:
            self.i2_every_intent_has_ended(machine)
            self.i2_every_execution_is_recorded_once(machine)
            self.i3_nothing_is_left_torn(machine)
            self.i3_audit_verifies(machine)

    def _count_what_happened(self) -> None:
        """Ends of Operations that the matrix asks for; they count from the beginning."""
        for (reason,) in self.world.provider.world.store.rows("SELECT reason FROM operation"):
            if reason == "partial_success":
                self.world.reached("partly_rejected")
            if reason in ("all_rejected", "all_skipped", "no_executions"):
                self.world.reached("all_rejected")

    def _look_for_operations(self) -> bool:
        """Whether the provider has Operations that were not there at the last look."""
        store = self.world.provider.world.store
        if store.value("SELECT count(*) FROM operation") == self._operations:
            return False
        operations = store.rows(
            "SELECT s.id, o.request_id FROM operation o JOIN strategy s ON s.seq = o.strategy_seq"
        )
        self._operations = len(operations)
        foreign = self.world.weather.foreign
        self._known = {name: strategy for strategy, name in operations if name not in foreign}
        return True

    def _follow_journals(self) -> None:
        for machine in self.world.machines:
            file = machine.journal
            if file.synced is not file.ledger.data and not file.spoiled:
                self.i3_chain_holds(machine, file)

    # --- I1 ---------------------------------------------------------------------------------------

    def i1_no_double_spend(self) -> None:
        """No double spend: what settled and what may yet settle is, for each participant, at most
        the highest total that any merged configuration declares."""
        highest, names = self._declared(), self._names()
        split = self._registers_are_split()
        for (strategy_id, code), kinds in self._moved().items():
            limits = highest.get((names.get(strategy_id, ""), code), (0, 0))
            for way, (limit, said) in enumerate(zip(limits, ("got", "gave"), strict=True)):
                amounts = [sums[way] for sums in kinds.values()]
                if sum(amounts) <= limit:
                    continue
                if split and max(amounts) <= limit:
                    self.world.limited(PER_VERB)
                    continue
                raise Violation(f"I1: {code} {said} {sum(amounts)} cents and {limit} are declared")

    def moved(self) -> dict[tuple[str, str], list[int]]:
        """(strategy id, participant) -> money that moved or may yet, in and out."""
        return {
            key: [sum(sums[way] for sums in kinds.values()) for way in (0, 1)]
            for key, kinds in self._moved().items()
        }

    def _moved(self) -> dict[tuple[str, str], dict[str, list[int]]]:
        """(strategy id, participant) -> verb -> money in and out that settled or may settle: what
        the provider has accepted and what is under way to it. What others moved counts once it
        is declared."""
        moved: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(
            lambda: defaultdict(lambda: [0, 0])
        )
        for strategy, code, kind, request_id, amount in self.world.provider.world.store.rows(
            "SELECT s.id, e.participant, o.type, o.request_id, e.amount FROM execution e"
            " JOIN operation o ON o.seq = e.operation_seq"
            " JOIN strategy s ON s.seq = o.strategy_seq"
            " WHERE e.status NOT IN ('rejected', 'skipped') AND e.amount IS NOT NULL"
        ):
            foreign = self.world.weather.foreign
            if request_id not in foreign or foreign[request_id] in self.world.declared_foreign:
                moved[strategy, code][kind][kind in SELLS] += amount
        for (strategy, kind), rows in self._under_way().items():
            for code, amount in rows.items():
                moved[strategy, code][kind][kind in SELLS] += amount
        return moved

    def _under_way(self) -> dict[tuple[str, str], dict[str, int]]:
        """(strategy id, verb) -> participant -> the most that one late request may still move. A
        slot is carried out once, and one that is used moves nothing more."""
        late: dict[tuple[str, str], dict[str, int]] = {}
        for request in self.world.late_requests():
            *_, strategy_id, verb = request.target.split("/")
            if request.headers.get("x-request-id") in self._known or verb not in KINDS:
                continue
            rows = late.setdefault((strategy_id, KINDS[verb]), {})
            for row in json.loads(request.body)["participants"]:
                cents = parse_amount(row.get("amount", "0"), "USD")
                rows[row["participant_code"]] = max(cents, rows.get(row["participant_code"], 0))
        return late

    def _declared(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(strategy, participant) -> the highest totals of any version that is merged."""
        merged = self.world.merged
        if merged not in self._highest:
            highest: dict[tuple[str, str], tuple[int, int]] = {}
            for version in self.world.versions[:merged]:
                for each in version.world.declared:
                    came, went = highest.get((each.strategy, each.code), (0, 0))
                    highest[each.strategy, each.code] = (
                        max(came, parse_amount(each.contributed, "USD")),
                        max(went, parse_amount(each.withdrawn, "USD")),
                    )
            self._highest[merged] = highest
        return self._highest[merged]

    def _registers_are_split(self) -> bool:
        """Where a request id is one register per verb, and no journal says what another machine
        did, the ids keep each verb from being carried out twice and cannot do more."""
        scope = self.world.provider.world.switches["idempotency_scope"]
        return scope == "type" and not self._one_journal()

    def _one_journal(self) -> bool:
        """Whether everybody has always written to one journal, one after the other."""
        machines = self.world.machines
        return all(m.locks and not m.lost_journal for m in machines) and (
            len(machines) == 1 or machines[0].shared
        )

    def _names(self) -> dict[str, str]:
        """Provider id -> the name whose create call made it."""
        ids = {
            create_id(REALM, strategy.name): strategy.name
            for strategy in self.world.versions[-1].world.strategies
        }
        rows = self.world.provider.world.store.rows("SELECT id, request_id FROM strategy")
        return {strategy_id: ids.get(request_id, "") for strategy_id, request_id in rows}

    # --- I2 ---------------------------------------------------------------------------------------

    def i2_intent_is_durable(self, machine: Machine, request_id: str, body: bytes) -> None:
        """Nothing lost: an intent is durable before its request leaves, and so is the attempt
        where the disk may live on."""
        digest = hashlib.sha256(body).hexdigest()
        file = machine.journal
        if not machine.locks:
            # Another process may have spoiled the line that ours stands behind: the next apply
            # refuses such a journal. What was written is on the disk all the same.
            if digest.encode() not in file.synced:
                raise Violation(f"I2: {request_id} leaves before its intent is durable")
            return
        self._follow_journals()
        call = file.ledger.call(request_id)
        if call is None or call.digest != digest or call.abandoned:
            raise Violation(f"I2: {request_id} leaves before its intent is durable")
        if not machine.world.on_a_branch and not call.attempts:
            raise Violation(f"I2: {request_id} leaves before its attempt is durable")

    def i2_every_operation_is_known(self) -> None:
        """Nothing lost: each Operation of the chain has an intent or an adoption."""
        for request_id in self._known:
            if any(m.journal.ledger.knows(request_id) for m in self.world.machines):
                continue
            if any(m.journal.spoiled for m in self.world.machines):
                continue  # It is there, in bytes that nobody may rely on.
            if not any(m.lost_journal for m in self.world.machines):
                raise Violation(f"I2: the Operation of {request_id} is in no journal")
            self.world.limited(FORGOTTEN)

    def i2_every_intent_has_ended(self, machine: Machine) -> None:
        """Nothing lost: each intent ends with its result, refused or abandoned."""
        for call in machine.journal.ledger:
            if not call.ended and (call.intent["slot"] or call.intent["verb"] == "create"):
                if self._is_anothers(machine, call):
                    self.world.limited(TAKEN)
                    continue
                raise Violation(f"I2: {call.intent['request_id']} has no end in {machine.name}")

    def i2_every_execution_is_recorded_once(self, machine: Machine) -> None:
        """Nothing lost: each Execution is recorded once, as it was."""
        store, ledger = self.world.provider.world.store, machine.journal.ledger
        recorded: dict[str, tuple[str, str]] = {}
        operations = set()
        for call in ledger:
            if call.outcome is None:
                continue
            operations.add(call.outcome["operation_id"])
            for row in call.outcome["rows"]:
                if row["execution_id"] in recorded:
                    raise Violation(f"I2: execution {row['execution_id']} is recorded twice")
                if row["execution_id"]:
                    recorded[row["execution_id"]] = (row["participant_code"], row["result"])
        happened = {
            execution: (code, status)
            for execution, code, status, operation in store.rows(
                "SELECT e.id, e.participant, e.status, o.id FROM execution e"
                " JOIN operation o ON o.seq = e.operation_seq"
            )
            if operation in operations
        }
        if recorded.keys() != happened.keys():
            lost = len(happened.keys() ^ recorded.keys())
            raise Violation(f"I2: {lost} executions are not recorded as they happened")
        for execution, (code, status) in happened.items():
            if recorded[execution] not in ((code, status), (code, "mixed")):
                raise Violation(f"I2: {execution} is recorded as {recorded[execution]}")

    # --- I3 ---------------------------------------------------------------------------------------

    def i3_chain_holds(self, machine: Machine, file: File) -> None:
        """Audit verifies: the hash chain holds, what was durable stays, and a torn tail is only
        behind the last fsync."""
        try:
            fresh = file.ledger.follow(file.synced)
        except Broken as broken:
            if machine.locks:
                raise Violation(f"I3: {machine.name}'s journal: {broken}") from broken
            self.world.limited(NO_LOCK)
            file.spoiled = str(broken)
            return
        for line in fresh:
            self.world.history.written(machine, line)
        self.i9_no_secret(file.synced, "a journal")

    def i3_audit_verifies(self, machine: Machine) -> None:
        """Audit verifies: its totals are those of a second count, and it goes on from every head
        that was kept before, as a witness elsewhere would keep them."""
        file = machine.journal
        if file.spoiled or not file.synced:
            return
        try:
            chain = read(file.synced, realm=REALM, environment="sandbox")
        except JournalTampered as error:
            if machine.locks:
                raise Violation(f"I3: {machine.name}'s journal: {error}") from error
            self.world.limited(NO_LOCK)
            file.spoiled = str(error)
            return
        if not chain.entries:
            return
        columns = [list(BOOKED_ROWS).index(name) for name in TOTALS]
        booked = {
            (row[0], row[1]): tuple(row[place] for place in columns)
            for row in book(chain.entries, PlainSpace()).rows.rows()
            if any(row[place] for place in columns)
        }
        for difference in differences(booked, totals_of(chain.entries)):
            raise Violation(f"I3: {machine.name}'s journal: {difference}")
        _, kept = self._heads.setdefault(id(file), (file, []))
        for head in kept:
            if why := contradiction(head, chain.entries):
                raise Violation(f"I3: {machine.name}'s journal: {why}")
        if not kept or kept[-1].entries < len(chain.entries):
            kept.append(head_of(chain.entries, ""))

    def i3_nothing_is_left_torn(self, machine: Machine) -> None:
        """Audit verifies: who came to rest has repaired its journal's tail."""
        if machine.journal.seen != machine.journal.synced:
            raise Violation(f"I3: {machine.name}'s journal is left torn")

    # --- I4 ---------------------------------------------------------------------------------------

    def i4_converges(self, machine: Machine, runs: int) -> None:
        """Convergence: with faults off at most two runs lead to an empty plan, or to parked
        participants only, and the next apply sends nothing."""
        if runs > RUNS_MAX + 1:
            if any(self._is_anothers(machine, call) for call in machine.journal.ledger):
                self.world.limited(TAKEN)
                return
            raise Violation(f"I4: {machine.name} sent in {runs - 1} runs: {machine.ended[-runs:]}")

    def _is_anothers(self, machine: Machine, call: Call) -> bool:
        """Whether a machine says that it cannot tell how a call ended (exit code 6), and its id was
        sent with a body that only another journal knows."""
        sent = self._bodies[call.intent["request_id"]]
        undecided = not call.ended and machine.ended[-1] == "6"
        return undecided and any(
            file is not machine.journal and hashlib.sha256(body).hexdigest() != call.digest
            for body, _, file in sent
        )

    # --- I5 ---------------------------------------------------------------------------------------

    def i5_one_body(self, machine: Machine, request_id: str, body: bytes) -> None:
        """All bodies that were ever sent under one id are equal, byte by byte, but for a rebind
        that was recorded after a refusal or the quarantine."""
        sent = self._bodies[request_id]
        for other, who, file in sent:
            if other == body:
                continue
            mode = self.world.provider.world.switches["same_id_other_body"]
            self.world.reached(f"other_body_{mode}", machine, request_id)
            if file is not machine.journal or (not machine.locks and who is not machine):
                self.world.limited(APART)
                continue
            self._rebound(machine, request_id, hashlib.sha256(other).hexdigest())
        if (body, machine, machine.journal) not in sent:
            sent.append((body, machine, machine.journal))

    def _rebound(self, machine: Machine, request_id: str, digest: str) -> None:
        """The journal gave this body up, and nothing of it can be carried out any more."""
        bindings = machine.journal.ledger.calls.get(request_id, [])
        gave_up = [c for c in bindings if c.digest == digest and c.abandoned]
        if not machine.locks:
            # Two writers stand between each other's lines; what was written is there all the same.
            lines = machine.journal.synced.split(b"\n")
            said = b'"type":"abandoned"', request_id.encode()
            recorded = any(all(word in line for word in said) for line in lines)
        else:
            recorded = bool(gave_up) and bindings[-1].digest != digest
        if not recorded:
            raise Violation(f"I5: {request_id} carries two bodies")
        for request in self.world.late_requests():
            late = hashlib.sha256(request.body).hexdigest()
            if request.headers.get("x-request-id") == request_id and late == digest:
                raise Violation(f"I5: {request_id} is bound anew while its old body is under way")

    # --- I6 ---------------------------------------------------------------------------------------

    def i6_slots_are_dense(self) -> None:
        """Slots are dense, 1 to n, on every Strategy."""
        used: dict[str, set[str]] = defaultdict(set)
        for request_id, strategy_id in self._known.items():
            used[strategy_id].add(request_id)
        for strategy_id, ids in used.items():
            dense = {call_id(REALM, strategy_id, slot) for slot in range(1, len(ids) + 1)}
            if ids != dense:
                raise Violation(f"I6: {len(ids - dense)} ids of {strategy_id} leave a gap")

    def i6_slots_are_used_once(self) -> None:
        """Slots are dense: each of them is one Operation."""
        store = self.world.provider.world.store
        if twice := store.rows(
            "SELECT o.request_id FROM operation o GROUP BY o.strategy_seq, o.request_id"
            " HAVING count(*) > 1"
        ):
            if self.world.provider.world.switches["idempotency_scope"] != "type":
                raise Violation(f"I6: {twice[0][0]} is two Operations")
            if self._one_journal():
                raise Violation(f"I6: {twice[0][0]} is two Operations, of two verbs")
            self.world.limited(PER_VERB)

    # --- I7 ---------------------------------------------------------------------------------------

    def i7_within_the_ceiling(
        self, machine: Machine, request_id: str, target: str, body: bytes
    ) -> None:
        """Every call is inside what was approved: Strategy, verb, weights, participants, amounts
        and flags, each row once in a run; or a call that an approved run left open."""
        call, digest = machine.journal.ledger.call(request_id), hashlib.sha256(body).hexdigest()
        if not machine.locks:
            runs = {line["run"] for line in _intents(machine.journal.synced) if digest in str(line)}
            if runs - {machine.run_name}:
                return
        elif call is not None and call.run != machine.run_name:
            if call.digest == digest:
                return
            raise Violation(f"I7: {request_id} is of an earlier run and carries another body")
        ceiling = self._ceilings.get(machine.name)
        if ceiling is None:
            raise Violation(f"I7: {target} leaves before anything was approved")
        for row in self._rows(request_id, target, json.loads(body)):
            verb, code, amount = row[1], row[3], row[4]
            for wanted in ceiling.said.sent:
                flag = row[5] in (None, wanted[5])
                if wanted[:4] == row[:4] and flag and (amount or 0) <= (wanted[4] or 0):
                    break
            else:
                if not (verb == "create" and row[0] in ceiling.said.created):
                    raise Violation(f"I7: {verb} of {code} by {amount} was not approved")
            self._once(machine, ceiling, (row[0], verb, code), request_id)

    def _once(
        self, machine: Machine, ceiling: Ceiling, row: tuple[str, ...], request_id: str
    ) -> None:
        if not machine.locks:
            return  # Its own lines may stand behind another's, where the ledger ends.
        ceiling.used[row].add(request_id)
        bound = [machine.journal.ledger.call(each) for each in ceiling.used[row]]
        if sum(1 for call in bound if call is not None and _carries(call, row[2])) > 1:
            raise Violation(f"I7: {' '.join(row)} was approved once and is sent under two ids")

    def _rows(
        self, request_id: str, target: str, body: dict[str, Any]
    ) -> list[tuple[str, str, str, str, int | None, bool | None]]:
        """(strategy, verb, weights, participant, amount, flag) of a request."""
        names = self._names()
        parts = target.strip("/").split("/")
        if parts == ["strategies"]:
            strategies = self.world.versions[-1].world.strategies
            wanted = [each.name for each in strategies if create_id(REALM, each.name) == request_id]
            return [(name, "create", "", "", None, None) for name in wanted or [""]]
        if parts[1] == "traders":
            ((strategy_id, code),) = self.world.provider.world.store.rows(
                "SELECT s.id, t.participant FROM trader t JOIN strategy s ON s.seq = t.strategy_seq"
                " WHERE t.id = ?",
                (parts[2],),
            )
            flag = body["auto_rebalance"]
            return [(names[strategy_id], Verb.FLAGS.value, "", code, None, flag)]
        weights = ", ".join(
            f"{each['underlying_currency']} {each['weight']}"
            for each in body.get("allocations", ())
        )
        return [
            (
                names.get(parts[1], ""),
                KINDS[parts[2]],
                weights,
                row["participant_code"],
                parse_amount(row["amount"], "USD") if "amount" in row else None,
                row.get("auto_rebalance"),
            )
            for row in body["participants"]
        ]

    def approved(self, machine: Machine, plan: Plan, approved: Plan | None) -> None:
        """From here on only this may be sent, and it is no more than was approved."""
        said = said_by(plan, set())
        said.created = {call.strategy for call in plan.calls if call.verb is Verb.CREATE}
        if approved is not None:
            limits = {row[:4]: row[4] or 0 for row in said_by(approved, set()).sent}
            for row in said.sent:
                if (row[4] or 0) > limits.get(row[:4], -1):
                    raise Violation(f"I7: {row[1]} of {row[3]} is more than the approved plan has")
        self._ceilings[machine.name] = Ceiling(said)

    def intended(self, machine: Machine, planned: Answer) -> None:
        """The same, of a plain plan, which nobody approves before."""
        self._ceilings[machine.name] = Ceiling(planned)

    # --- I8 ---------------------------------------------------------------------------------------

    def i8_fails_closed(self, machine: Machine, error: Exception | None) -> None:
        """Fail closed: a run that found an input that cannot be verified has sent nothing."""
        if isinstance(error, FAILS_CLOSED) and machine.sent:
            said = type(error).__name__
            raise Violation(f"I8: {machine.name} sent {machine.sent} and ends with {said}")

    def i8_only_on_what_was_verified(self, machine: Machine, target: str) -> None:
        """Fail closed: nothing is sent for a Strategy whose reading was not believed, nor with a
        journal that was changed, nor while applying is halted."""
        parts = target.strip("/").split("/")
        problem = self._distrusted.get(machine.name, {}).get(parts[1] if len(parts) > 1 else "")
        if problem:
            raise Violation(f"I8: {target} leaves though {problem}")
        after = machine.sent - machine.sent_at_stop
        if machine.stopping and after > len(self.world.versions[-1].world.strategies):
            raise Violation(f"I8: {target} leaves after {machine.name} was told to stop")
        file = machine.journal
        if file.spoiled and machine.locks:
            raise Violation(f"I8: {target} leaves with a journal that is spoiled: {file.spoiled}")
        if file.ledger.halted and machine.locks:
            raise Violation(f"I8: {target} leaves while applying is halted")

    def sent_nothing(self, machine: Machine, what: str) -> None:
        """Fail closed: what only asks or writes down sends nothing."""
        if machine.sent:
            raise Violation(f"I8: {what} of {machine.name} sent {machine.sent}")

    def distrusts(self, machine: Machine, problems: dict[str, str]) -> None:
        """These Strategies (by id) were read by the machine and not believed, or were."""
        for strategy_id, problem in problems.items():
            if problem:
                self.world.history.add("distrusted", problem.partition(":")[0], machine)
            self._distrusted.setdefault(machine.name, {})[strategy_id] = problem

    # --- I9 ---------------------------------------------------------------------------------------

    def i9_no_secret(self, text: bytes, where: str) -> None:
        """Canary secrets appear nowhere: not in a journal, a request's path and body, an error."""
        if any(secret in text for secret in self._secrets):
            raise Violation(f"I9: {where} holds a secret")

    def i9_no_secret_in_the_trace(self) -> None:
        """Canary secrets appear nowhere: not in a line of the trace."""
        lines, noted = self.world.scheduler.lines, self.world.scheduler.noted
        for place in range(1, min(noted - self._told, len(lines)) + 1):
            self.i9_no_secret(lines[-place].encode(), "the trace")
        self._told = noted

    # --- I10, I11, I12 ----------------------------------------------------------------------------

    def i10_bounded(self, machine: Machine, requests: int, seconds: int) -> None:
        """Calls and time of a run are bounded."""
        if requests > REQUESTS_MAX:
            raise Violation(f"I10: a run of {machine.name} made {requests} requests")
        if seconds > SECONDS_MAX:
            raise Violation(f"I10: a run of {machine.name} took {seconds} s")

    def i11_books_balance(self) -> None:
        """Double entry at the provider: per asset, participants, float and fees are constant."""
        try:
            self.world.provider.world.books.verify()
        except BooksError as error:
            raise Violation(f"I11: the provider's books do not balance: {error}") from error

    @staticmethod
    def i12_same_seed_same_trace(one: str, other: str) -> None:
        """The same seed gives the same trace."""
        if one != other:
            raise Violation(f"I12: one seed gave the traces {one[:12]} and {other[:12]}")

    # --- what others ask --------------------------------------------------------------------------

    def in_doubt(self, machine: Machine, request: Request) -> Call | None:
        """The call of this id, when an earlier attempt has no answer that proves anything."""
        call = machine.journal.ledger.call(request.headers.get("x-request-id", ""))
        if call is None:
            return None
        last = max(call.attempts, default=0)
        earlier = {number: call.answers.get(number) for number in call.attempts if number < last}
        return (
            call if any(said not in ("refused", "not_sent") for said in earlier.values()) else None
        )


def _carries(call: Call, code: str) -> bool:
    """Whether a call that was not given up has a row of this participant; a refused body was
    perhaps bound anew without it."""
    codes = {row["participant_code"] for row in call.intent["rows"]} or {""}
    return call.abandoned is None and code in codes


def _intents(data: bytes) -> Iterator[dict[str, Any]]:
    """Every intent that can be read in a journal, whatever stands between them."""
    for raw in data.split(b"\n"):
        if b'"type":"intent"' in raw:
            with contextlib.suppress(ValueError):  # Torn by another writer.
                yield json.loads(raw)


def _encoded(world: Universe) -> tuple[bytes, ...]:
    """Every secret of the world, as it is and as it could have been written."""
    keys = (world.provider.write_credential, world.provider.read_credential)
    said = [text.encode() for key in keys for text in (key.secret, key.passphrase)]
    return tuple(
        form
        for text in said
        for form in (text, base64.b64encode(text).rstrip(b"="), text.hex().encode())
        if text
    )
