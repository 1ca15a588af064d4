"""What must always hold, looked at after every step, and what must hold at the end.

====  ==========================================================  =====================
I1    no participant gets or gives more than the highest total    after each step
      of money that any configuration declares (each verb by
      itself where ids are one register per verb and machines
      know nothing of each other: there is no more to hold)
I2    what leaves was durable before                              each request
I3    the journal verifies, and its totals are those of a         end
      second count
I4    without faults a few runs lead to nothing left to do        end
I5    an id carries one body, unless the journal freed it         each request
I6    slots are dense                                             after each step
I7    nothing is sent that the run's plan does not hold, nor was  each request
      open from an earlier run
I8    a run that finds its journal tampered with sends nothing    each run
I9    no secret is in a journal or a trace                        end
I10   calls and time are bounded                                  each run
I11   the provider's books balance                                each step that traded; end
I12   the same seed gives the same trace                          a test of its own
====  ==========================================================  =====================
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from stratctl.core.money import parse_amount
from stratctl.core.plan import Plan
from stratctl.core.slots import call_id, create_id
from stratctl.core.state import BOOKED_ROWS
from stratctl.journal.booked import book
from stratctl.journal.chain import read
from stratctl.journal.verify import TOTALS, differences, totals_of
from stratctl.sandbox.messages import Request
from tests.plan.oracle import Answer
from tests.sim.shape import rows_of
from tests.sim.space import PlainSpace

if TYPE_CHECKING:
    from tests.sim.disk import Disk
    from tests.sim.machine import Machine
    from tests.sim.world import Universe

REALM = "sandbox"
REQUESTS_MAX = 3_000
SECONDS_MAX = 4 * 3_600 + 80 * 3_600

SELLS = ("partial_sell",)
KINDS = {"enroll": "enroll", "top-up": "top_up", "partial-sell": "partial_sell"}


class Violation(AssertionError):
    """An invariant does not hold."""


class Invariants:
    """The witness. It asks the provider's own store and the disks, never a machine."""

    def __init__(self, world: Universe) -> None:
        self.world = world
        self.dirty = False
        self.mutations = 0
        """Requests that would change something, as they left."""
        self._seen_operations = -1
        self._bodies: dict[tuple[int, str, str], tuple[Disk, bytes]] = {}
        self._first_bodies: dict[str, bytes] = {}
        self._allowed: dict[str, set[tuple[str, str, str, int | None]]] = {}
        self._highest = self._declared()

    def after_step(self) -> None:
        """The cheap ones."""
        if self.dirty:
            self.dirty = False
            self._no_double_spend()
            self._dense_slots()

    # --- I1 ---------------------------------------------------------------------------------------

    def _declared(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(strategy, participant) -> the highest totals of any version that may be merged."""
        highest: dict[tuple[str, str], tuple[int, int]] = {}
        for version in self.world.shape.versions:
            for each in version.world.declared:
                came, went = highest.get((each.strategy, each.code), (0, 0))
                highest[each.strategy, each.code] = (
                    max(came, parse_amount(each.contributed, "USD")),
                    max(went, parse_amount(each.withdrawn, "USD")),
                )
        return highest

    def moved(self) -> dict[tuple[str, str, str], list[int]]:
        """(strategy id, participant, register) -> money that moved or may yet, in and out, but for
        what others moved."""
        moved: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        split = self._registers_are_split()
        for strategy, code, kind, request_id, amount in self.world.provider.world.store.rows(
            "SELECT s.id, e.participant, o.type, o.request_id, e.amount FROM execution e"
            " JOIN operation o ON o.seq = e.operation_seq"
            " JOIN strategy s ON s.seq = o.strategy_seq"
            " WHERE e.status NOT IN ('rejected', 'skipped') AND e.amount IS NOT NULL"
        ):
            if request_id not in self.world.weather.foreign:
                moved[strategy, code, kind if split else ""][kind in SELLS] += amount
        return moved

    def _registers_are_split(self) -> bool:
        """Where a request id is one register per verb, and no journal says what another machine
        did, the ids keep each verb from being carried out twice and cannot do more."""
        scope = self.world.provider.world.switches["idempotency_scope"]
        return scope == "type" and any(
            machine.lost_journal
            or not machine.locks
            or (len(self.world.machines) > 1 and not machine.shared)
            for machine in self.world.machines
        )

    def _no_double_spend(self) -> None:
        names = self._names()
        for (strategy_id, code, _), (came, went) in self.moved().items():
            most_in, most_out = self._highest.get((names.get(strategy_id, ""), code), (0, 0))
            if came > most_in:
                raise Violation(f"I1: {code} got {came} cents and {most_in} are declared")
            if went > most_out:
                raise Violation(f"I1: {code} gave {went} cents and {most_out} are declared")

    def _names(self) -> dict[str, str]:
        """Provider id -> the name whose create call made it."""
        ids = {
            create_id(REALM, strategy.name): strategy.name
            for strategy in self.world.shape.versions[-1].world.strategies
        }
        rows = self.world.provider.world.store.rows("SELECT id, request_id FROM strategy")
        return {strategy_id: ids.get(request_id, "") for strategy_id, request_id in rows}

    # --- I6 ---------------------------------------------------------------------------------------

    def _dense_slots(self) -> None:
        store = self.world.provider.world.store
        operations = store.rows(
            "SELECT s.id, o.request_id FROM operation o JOIN strategy s ON s.seq = o.strategy_seq"
        )
        if len(operations) == self._seen_operations:
            return
        self._seen_operations = len(operations)
        used: dict[str, set[str]] = defaultdict(set)
        for strategy_id, request_id in operations:
            if request_id not in self.world.weather.foreign:
                used[strategy_id].add(request_id)
        for strategy_id, ids in used.items():
            dense = {call_id(REALM, strategy_id, slot) for slot in range(1, len(ids) + 1)}
            if ids != dense:
                raise Violation(f"I6: {len(ids - dense)} ids of {strategy_id} leave a gap")
        self._balanced()

    # --- I11 --------------------------------------------------------------------------------------

    def _balanced(self) -> None:
        if not self.world.sandbox.control("books")["balanced"]:
            raise Violation("I11: the provider's books do not balance")

    # --- I2, I5, I7 -------------------------------------------------------------------------------

    def leaves(self, machine: Machine, request: Request) -> None:
        """A mutation leaves: its intent is durable, its body is the one of its id, and it is in
        what was approved."""
        self.mutations += 1
        machine.sent += 1
        request_id = request.headers.get("x-request-id", "")
        body = bytes(request.body)
        lines = durable_lines(machine.disk)
        intents = [
            line
            for line in lines
            if line.get("type") == "intent" and line.get("request_id") == request_id
        ]
        digest = hashlib.sha256(body).hexdigest()
        if not machine.locks:
            # Another process may have spoiled the line that ours stands behind: the next apply
            # refuses such a journal. What was written is on the disk all the same.
            written = any(digest.encode() in file.durable for file in machine.disk.files.values())
        else:
            written = bool(intents) and intents[-1]["body_sha256"] == digest
        if not written:
            raise Violation(f"I2: {request_id} leaves before its intent is durable")
        attempts = [line for line in lines if line.get("type") == "attempt"]
        if machine.locks and not any(one.get("request_id") == request_id for one in attempts):
            raise Violation(f"I2: {request_id} leaves before its attempt is durable")
        # Without a lock each process knows only what the journal held when it began.
        knows = machine.name if not machine.locks else ""
        key = id(machine.disk), knows, request_id
        before = self._bodies.get(key, (machine.disk, body))[1]
        if before != body and not any(
            line.get("type") == "abandoned" and line.get("request_id") == request_id
            for line in lines
        ):
            raise Violation(f"I5: {request_id} carries two bodies")
        self._bodies[key] = machine.disk, body
        self._notice_bodies(request_id, body)
        self._within_the_ceiling(machine, request.target, body)

    def in_doubt(self, machine: Machine, request: Request) -> bool:
        """Whether an earlier attempt under the same id has no answer that proves anything."""
        request_id = request.headers.get("x-request-id", "")
        return any(
            line.get("type") == "answer"
            and line.get("request_id") == request_id
            and line.get("answer") in ("unknown", "retry_friendly", "rate_limited")
            for line in lines_of(journals(machine.disk))
        )

    def _notice_bodies(self, request_id: str, body: bytes) -> None:
        """The same id with another body, whoever sent it."""
        first = self._first_bodies.setdefault(request_id, body)
        if first != body:
            self.world.reached("other_body")

    def _within_the_ceiling(self, machine: Machine, target: str, body: bytes) -> None:
        allowed = self._allowed.get(machine.name)
        kind = KINDS.get(target.rsplit("/", 1)[-1])
        if allowed is None or kind is None:
            return
        amounts = {(verb, code): amount or 0 for _, verb, code, amount in allowed}
        for row in json.loads(body)["participants"]:
            code, cents = row["participant_code"], parse_amount(row["amount"], "USD")
            if cents > amounts.get((kind, code), 0) and not self._resumes(machine, body):
                raise Violation(f"I7: {kind} of {code} by {cents} was not approved")

    def _resumes(self, machine: Machine, body: bytes) -> bool:
        """An open call of an earlier run is sent again with its own bytes."""
        digest = hashlib.sha256(body).hexdigest()
        runs = {
            line["run"]
            for line in durable_lines(machine.disk)
            if line.get("type") == "intent" and line["body_sha256"] == digest
        }
        return bool(runs - {f"{machine.name}-{machine.runs}"})

    def approved(self, machine: Machine, plan: Plan) -> None:
        """From here on only this may be sent."""
        self._allowed[machine.name] = rows_of(plan)

    def intended(self, machine: Machine, planned: Answer) -> None:
        """The same, of a plain plan."""
        self._allowed[machine.name] = {
            (strategy, verb, code, amount) for strategy, verb, _, code, amount, _ in planned.sent
        }

    # --- runs -------------------------------------------------------------------------------------

    def gave_up(self, machine: Machine) -> None:
        """A journal was found to be tampered with: that run sent nothing."""
        if machine.sent:
            raise Violation(f"I8: {machine.name} sent {machine.sent} with a journal in doubt")

    def ran(self, machine: Machine, *, requests: int, seconds: int) -> None:
        """A run is over, one way or another."""
        self._allowed.pop(machine.name, None)
        if requests > REQUESTS_MAX:
            raise Violation(f"I10: a run made {requests} requests")
        if seconds > SECONDS_MAX:
            raise Violation(f"I10: a run took {seconds} s")

    # --- the end ----------------------------------------------------------------------------------

    def settled(self, machine: Machine, runs: int) -> None:
        """An apply had nothing to do."""
        self.world.counts[f"settled in {runs}"] += 1

    def unsettled(self, machine: Machine) -> None:
        """It never came to rest."""
        raise Violation(f"I4: {machine.name} does not come to rest: {machine.ended[-6:]}")

    def at_the_end(self) -> None:
        """The dear ones."""
        self._no_double_spend()
        self._dense_slots()
        self._balanced()
        self._count_what_happened()
        for machine in self.world.machines:
            for data in journals(machine.disk):
                self._verifies(machine, data)

    def _count_what_happened(self) -> None:
        """Ends of Operations that the matrix asks for."""
        for (reason,) in self.world.provider.world.store.rows("SELECT reason FROM operation"):
            if reason == "partial_success":
                self.world.reached("partly_rejected")
            if reason in ("all_rejected", "all_skipped", "no_executions"):
                self.world.reached("all_rejected")

    def _verifies(self, machine: Machine, data: bytes) -> None:
        chain = read(data, realm=REALM, environment="sandbox")
        if chain.torn:
            raise Violation(f"I3: {machine.name}'s journal is left torn")
        columns = [list(BOOKED_ROWS).index(name) for name in TOTALS]
        booked = {
            (row[0], row[1]): tuple(row[place] for place in columns)
            for row in book(chain.entries, PlainSpace()).rows.rows()
            if any(row[place] for place in columns)
        }
        for difference in differences(booked, totals_of(chain.entries)):
            raise Violation(f"I3: {machine.name}'s journal: {difference}")
        secret = self.world.provider.write_credential.secret
        if secret.encode() in data:
            raise Violation("I9: the journal holds a secret")
        if any(secret in line for line in self.world.scheduler.lines):
            raise Violation("I9: the trace holds a secret")


def durable_lines(disk: Disk) -> list[dict[str, Any]]:
    """Every whole line that would survive a loss of power."""
    return lines_of([disk.files[path].durable for path in sorted(disk.files)])


def lines_of(texts: list[bytes]) -> list[dict[str, Any]]:
    """Every whole line of some journals."""
    lines = []
    for text in texts:
        for line in text.split(b"\n"):
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue  # Torn, or the empty end.
    return lines


def journals(disk: Disk) -> list[bytes]:
    """The journals on a disk."""
    return [disk.files[path].seen for path in sorted(disk.files) if disk.files[path].seen]
