"""Reading Strategies one by one, each until its reads agree with each other and the journal.

A read is accepted only if every Operation that the journal knows as committed is listed, no
status goes backwards, and a finished Operation lists finished Executions. What stays stale for a
minute becomes that Strategy's problem; it stops that Strategy and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from stratctl.core.diagnostic import Diagnostic, Severity
from stratctl.core.errors import BadResponse, NotFound, RequestRefused
from stratctl.core.event import Execution
from stratctl.core.state import Booked, DesiredStrategy, LiveOperation, LiveStrategy
from stratctl.core.words import count
from stratctl.live import wire
from stratctl.live.accounting import Count, Counted, count_operation, incompleteness, merged
from stratctl.live.client import ReadClient
from stratctl.live.clockwork import Clockwork
from stratctl.live.identity import (
    STATUS_RANK,
    Match,
    assign_slots,
    match_strategies,
    missing_strategies,
    staleness,
    went_backwards,
)
from stratctl.live.lists import check_column, check_filter, cursor_pages, numbered_pages
from stratctl.live.pages import ACCOUNTS, EXECUTIONS, OPERATIONS, STRATEGIES, TRADERS

REREAD_SECONDS = (1.0, 3.0, 8.0, 16.0, 32.0)
"""Waits before each re-read of something stale: five times within a minute."""

REREADING_SECONDS_MAX = 60.0

Seen = Callable[[str, int], None]
"""Called with what is being read and how many rows of it so far, from several threads. What it
raises ends the reading."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class StrategyRead:
    """Everything about one Strategy, before it is joined with the others."""

    strategy: LiveStrategy
    traders: tuple[wire.TraderColumns, ...] = ()
    accounts: tuple[wire.AccountColumns, ...] = ()
    counted: tuple[Counted, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Unbooked:
    """A Strategy, and what each of its Operations moved that the journal did not book."""

    strategy: LiveStrategy
    counts: tuple[tuple[LiveOperation, Count], ...] = ()
    """Oldest first."""


class StrategyReader:
    """Reads Strategies; several threads may use one."""

    def __init__(
        self,
        client: ReadClient,
        clockwork: Clockwork,
        *,
        seen: Seen,
    ) -> None:
        self._client = client
        self._clockwork = clockwork
        self._seen = seen

    def match(
        self, realm: str, declared: Sequence[DesiredStrategy], booked: Booked
    ) -> tuple[Match, ...]:
        """Find the Strategies that are declared or bound in the journal."""
        matches, _ = self._until_fresh(
            lambda: match_strategies(realm, declared, booked, self._strategies()),
            missing_strategies,
            self._clockwork.monotonic() + REREADING_SECONDS_MAX,
        )
        return matches

    def read(self, realm: str, match: Match, booked: Booked) -> StrategyRead:
        """One Strategy's Operations, Traders, accounts, and the Executions nobody booked."""
        if match.record is None:
            return StrategyRead(_bare(match))
        try:
            return self._read(realm, match, match.record, booked)
        except (BadResponse, NotFound, RequestRefused) as error:
            problem = match.problem or f"E_READ: {error.summary}"
            return StrategyRead(_shown(match, match.record, (), problem))

    def unbooked(self, realm: str, match: Match, booked: Booked) -> Unbooked:
        """One Strategy's Operations, and the Executions nobody booked. No Traders, no accounts."""
        record = match.record
        if record is None:
            return Unbooked(_bare(match))
        deadline = self._clockwork.monotonic() + REREADING_SECONDS_MAX
        committed = [b for b in booked.operations if b.strategy_id == record.id]
        found, doubt = self._until_fresh(
            lambda: self._operations(record.id, match.name),
            lambda found: staleness(found, committed),
            deadline,
        )
        open_slots = [o.slot for o in booked.open_intents if o.strategy_id == record.id]
        chain = assign_slots(realm, record.id, found, open_slots)
        known = _known(booked, record.id)
        quiet = {o.id for o in chain.operations if o.terminal}
        counts = tuple(self._counts(record, chain.operations, known, quiet, deadline))
        problem = match.problem or doubt or chain.problem
        return Unbooked(_shown(match, record, chain.operations, problem), counts)

    def _read(
        self, realm: str, match: Match, record: wire.StrategyRecord, booked: Booked
    ) -> StrategyRead:
        deadline = self._clockwork.monotonic() + REREADING_SECONDS_MAX
        committed = [b for b in booked.operations if b.strategy_id == record.id]
        before, doubt = self._until_fresh(
            lambda: self._operations(record.id, match.name),
            lambda found: staleness(found, committed),
            deadline,
        )
        traders = self._traders(record.id, match.name)
        accounts = self._accounts(record.id, match.name)
        # Listed again at the end, so that what began while Traders were read is seen as well.
        after, doubt = self._until_fresh(
            lambda: self._operations(record.id, match.name),
            lambda found: doubt or staleness(found, committed) or went_backwards(before, found),
            deadline,
        )
        open_slots = [o.slot for o in booked.open_intents if o.strategy_id == record.id]
        chain = assign_slots(realm, record.id, after, open_slots)
        known = _known(booked, record.id)
        quiet = {o.id for o in before if STATUS_RANK.get(o.status) == STATUS_RANK["settled"]}
        unbooked = self._count_unbooked(record, chain.operations, known, quiet, deadline)
        problems = (match.problem, doubt, chain.problem, unbooked.problem)
        return StrategyRead(
            strategy=_shown(
                match, record, chain.operations, next((each for each in problems if each), "")
            ),
            traders=traders,
            accounts=accounts,
            counted=unbooked.rows,
            warnings=_warnings(match.name, chain.operations, unbooked.rebuilt_sells),
        )

    def _count_unbooked(
        self,
        record: wire.StrategyRecord,
        operations: Sequence[LiveOperation],
        known: set[str],
        quiet: set[str],
        deadline: float,
    ) -> Count:
        """Count the Operations that the journal did not book."""
        counts = [count for _, count in self._counts(record, operations, known, quiet, deadline)]
        return Count(
            merged(row for count in counts for row in count.rows),
            next((count.problem for count in counts if count.problem), ""),
            sum(count.rebuilt_sells for count in counts),
        )

    def _counts(
        self,
        record: wire.StrategyRecord,
        operations: Sequence[LiveOperation],
        known: set[str],
        quiet: set[str],
        deadline: float,
    ) -> Iterator[tuple[LiveOperation, Count]]:
        """Each Operation that the journal did not book, oldest first, and what it moved.

        ``known`` are ids of those it did; ``quiet`` those that were finished before the read.
        """
        is_known = {o.id: bool(known & {o.id, o.request_id}) for o in operations}
        newest_known = max((o.created_at for o in operations if is_known[o.id]), default="")
        for operation in operations:
            if is_known[operation.id]:
                continue
            executions, doubt = self._executions(record.id, operation, deadline)
            in_flight = operation.id not in quiet
            count = count_operation(
                operation, executions, record.quoted_currency, in_flight=in_flight
            )
            older = operation.created_at < newest_known
            # The journal's word on who is out is newer than an Operation from before its last.
            rows = [replace(row, exited=None) if older else row for row in count.rows]
            yield operation, replace(count, rows=tuple(rows), problem=doubt or count.problem)

    def _until_fresh(
        self, read: Callable[[], Found], doubt: Callable[[Found], str], deadline: float
    ) -> tuple[Found, str]:
        """Read until nothing speaks against it; the doubt that stays comes back with it."""
        waits = iter(REREAD_SECONDS)
        while True:
            found = read()
            why = doubt(found)
            seconds = next(waits, None)
            if not why or seconds is None or self._clockwork.monotonic() + seconds > deadline:
                return found, why
            self._clockwork.sleep(seconds)

    def _strategies(self) -> list[wire.StrategyRecord]:
        seen = partial(self._seen, "strategies")
        pages = cursor_pages(self._client, "/strategies", {}, STRATEGIES, seen)
        return list({record.id: record for page in pages for record in page}.values())

    def _operations(self, strategy_id: str, name: str) -> list[wire.OperationRecord]:
        seen = partial(self._seen, f"{name} operations")
        wanted = {"strategy_id": strategy_id}
        path = "/strategies/operations"
        found: dict[str, wire.OperationRecord] = {}
        for page in cursor_pages(self._client, path, wanted, OPERATIONS, seen):
            check_filter([record.strategy_id for record in page], strategy_id, "Strategy")
            found.update((record.id, record) for record in page)
        return list(found.values())

    def _traders(self, strategy_id: str, name: str) -> tuple[wire.TraderColumns, ...]:
        seen = partial(self._seen, f"{name} traders")
        wanted = {"strategy_id": strategy_id}
        path = "/strategies/traders"
        pages = tuple(cursor_pages(self._client, path, wanted, TRADERS, seen))
        for page in pages:
            check_column(page.strategy_id, strategy_id, "Strategy")
        return pages

    def _accounts(self, strategy_id: str, name: str) -> tuple[wire.AccountColumns, ...]:
        seen = partial(self._seen, f"{name} holdings")
        wanted = {"account_label": strategy_id, "account_type": "available"}
        pages = numbered_pages(self._client, "/accounts", wanted, ACCOUNTS, seen)
        for page in pages:
            check_column(page.label, strategy_id, "label")
            check_column(page.type, "available", "type")
        return pages

    def _executions(
        self, strategy_id: str, operation: LiveOperation, deadline: float
    ) -> tuple[tuple[Execution, ...], str]:
        """An Operation's Executions, and why they may still not be all of them.

        Nobody else tells who should be in them, so that of a finished Operation of ours two
        reads must agree. An unfinished one is read once: waiting for it is for another plan.
        """

        def listed() -> tuple[Execution, ...]:
            return read_executions(self._client, strategy_id, operation.id)

        if not operation.terminal:
            return listed(), ""
        reads = 2 if operation.slot is not None else 1
        found, _ = self._until_fresh(
            lambda: [listed() for _ in range(reads)],
            lambda found: (
                _disagreement(operation, found)
                or incompleteness(operation, found[0])
                or _lateness(operation, found[0])
            ),
            deadline,
        )
        return found[0], _disagreement(operation, found)


def read_executions(
    client: ReadClient, strategy_id: str, operation_id: str, *, beside: Executor | None = None
) -> tuple[Execution, ...]:
    """All Executions of one Operation; ``beside`` as in ``cursor_pages``. Raises BadResponse and
    what ReadClient.get raises."""
    wanted = {"strategy_id": strategy_id, "operation_id": operation_id}
    found: dict[str, Execution] = {}
    for page in cursor_pages(client, "/strategies/executions", wanted, EXECUTIONS, beside=beside):
        check_filter([one.operation_id for one in page], operation_id, "Operation")
        found.update((one.id, one) for one in page)
    return tuple(found.values())


def _known(booked: Booked, strategy_id: str) -> set[str]:
    """Request and Operation ids of what the journal counts."""
    committed = [b for b in booked.operations if b.strategy_id == strategy_id]
    known = {b.request_id for b in committed} | {b.operation_id for b in committed}
    # An intent that surely was not carried out is not among the journal's pending totals.
    known |= {
        o.request_id
        for o in booked.open_intents
        if o.strategy_id == strategy_id and o.signed_last is not None
    }
    return known - {""}


def _disagreement(operation: LiveOperation, reads: Sequence[Sequence[Execution]]) -> str:
    ids = [{execution.id for execution in read} for read in reads]
    if all(each == ids[0] for each in ids):
        return ""
    return f"E_STALE_READ: two reads of the Executions of {operation.id} disagree"


def _lateness(operation: LiveOperation, executions: Sequence[Execution]) -> str:
    """A finished Operation with an Execution that waits: read again, then that row is busy."""
    late = any(execution.status == "awaiting_execution" for execution in executions)
    return f"E_STALE_READ: {operation.id} is done and an Execution of it waits" if late else ""


def _shown(
    match: Match,
    record: wire.StrategyRecord,
    operations: tuple[LiveOperation, ...],
    problem: str,
) -> LiveStrategy:
    return LiveStrategy(
        id=record.id,
        name=match.name,
        request_id=record.request_id,
        quoted_currency=record.quoted_currency,
        metadata_json=record.metadata_json,
        updated_at=record.updated_at,
        operations=operations,
        problem=problem,
    )


def _bare(match: Match) -> LiveStrategy:
    """A Strategy that must exist and that the provider does not list."""
    return LiveStrategy(
        id=match.bound_id,
        name=match.name,
        request_id="",
        quoted_currency="",
        metadata_json=None,
        updated_at="",
        operations=(),
        problem=match.problem,
    )


def _warnings(
    name: str, operations: Sequence[LiveOperation], rebuilt_sells: int
) -> tuple[Diagnostic, ...]:
    warnings = [
        Diagnostic(
            "W_UNKNOWN_STATUS",
            "the provider shows a value that it does not document",
            f"{name}: operation {operation.id} has the status {operation.status!r}",
            "it is treated as unfinished",
            severity=Severity.WARNING,
        )
        for operation in operations
        if operation.status not in STATUS_RANK
    ]
    if rebuilt_sells:
        warnings.append(
            Diagnostic(
                "W_SELLS_REBUILT",
                "amounts of partial sells are known from their proceeds only",
                f"{name}: {count(rebuilt_sells, 'partial sell')} without an entry in the journal",
                "plan with the journal that sent them",
                severity=Severity.WARNING,
            )
        )
    return tuple(warnings)
