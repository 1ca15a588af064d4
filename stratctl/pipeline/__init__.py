"""The program: one function per verb. Only here is the order of the stages known.

::

    declare ── load ──► resolve ──► Configuration ─┐
                                                   ├─► diff ──► make_plan ──► Plan ──► apply
    provider ── reader ──► Live (with the journal) ┘

Each verb imports its own stages: whoever shows a plan need not wait for what applies one.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratctl import planfile
from stratctl.core.errors import PlanFileError
from stratctl.core.tables import Workspace, holding

if TYPE_CHECKING:
    from stratctl.core.diagnostic import Diagnostic
    from stratctl.core.explanation import Explained
    from stratctl.core.ledgers import Reconciliation
    from stratctl.core.plan import Acknowledgement, Plan
    from stratctl.core.report import (
        Adoption,
        Applied,
        AuditReport,
        Formatted,
        Progress,
        Resolved,
        Status,
        Strangers,
        TrailRow,
        Watcher,
    )
    from stratctl.core.settings import Configuration

__all__ = [
    "adopt",
    "apply",
    "audit_export",
    "audit_head",
    "audit_log",
    "audit_reconcile",
    "audit_reconcile_live",
    "audit_totals",
    "audit_trail",
    "audit_verify",
    "fmt",
    "fmt_bytes",
    "halt",
    "lint",
    "plan",
    "plan_explained",
    "read_plan",
    "recover",
    "recover_from_server",
    "resume",
    "snapshot",
    "status",
    "unlock",
    "validate",
    "write_plan",
]


def validate(root: Path, *, environment: str | None) -> Configuration:
    """Everything that needs no network, for every environment or for one.

    Raises InputError with every problem of every file, UsageError for an unknown environment.
    """
    from stratctl.pipeline.configuring import configure, resolve_every_environment

    if environment is None:
        return resolve_every_environment(root)
    return configure(root, environment, Workspace())


def fmt(root: Path | None, paths: Sequence[Path], *, writes: bool) -> list[Formatted]:
    """Every document that is meant in its canonical layout; written back, where ``writes``.

    A file that cannot be read is left as it is, and has findings. Raises UsageError.
    """
    from stratctl.pipeline.formatting import format_file, targets, write

    results = []
    for target in targets(root, paths):
        result = format_file(target)
        if writes and result.changed:
            write(target, result.after)
        results.append(result)
    return results


def fmt_bytes(data: bytes, name: str) -> Formatted:
    """The same for what is in no file."""
    from stratctl.pipeline.formatting import format_bytes

    return format_bytes(data, name)


def lint(
    root: Path,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    snapshot: Path | None = None,
    live: bool = False,
    progress: Progress,
) -> tuple[Diagnostic, ...]:
    """What is allowed and probably not meant, for every environment or for one.

    Without ``snapshot`` and ``live`` it needs no network. Raises what ``validate`` raises; nobody
    is warned about what is wrong anyway.
    """
    from stratctl.pipeline.linting import lint_project
    from stratctl.pipeline.session import Session

    if not (snapshot or live):
        return lint_project(root, environment, Workspace())
    with Session(root, environment, environ) as session:
        configuration = session.configuration
        if snapshot:
            found = session.read_snapshot(snapshot)
        else:
            booked = session.read_journal().booked(session.workspace)
            found = session.read_live(configuration, booked, progress)
        return lint_project(root, configuration.environment.name, session.workspace, found)


def plan(
    root: Path,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    snapshot: Path | None = None,
    target: Sequence[str] = (),
    exclude: Sequence[str] = (),
    acknowledgements: Sequence[Acknowledgement] = (),
    progress: Progress,
) -> Plan:
    """Diff and plan. Holds a GET-only transport, takes no lock and writes nothing anywhere."""
    return plan_explained(
        root,
        environment=environment,
        environ=environ,
        snapshot=snapshot,
        target=target,
        exclude=exclude,
        acknowledgements=acknowledgements,
        progress=progress,
    )[0]


def plan_explained(
    root: Path,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    snapshot: Path | None = None,
    target: Sequence[str] = (),
    exclude: Sequence[str] = (),
    acknowledgements: Sequence[Acknowledgement] = (),
    participants: Sequence[str] = (),
    calls: Sequence[int] = (),
    progress: Progress,
) -> tuple[Plan, Explained]:
    """The same plan, with why it does what it does to these participants and in these calls.

    Raises UsageError for a participant that nobody knows and for a call that the plan has not.
    """
    from stratctl.pipeline.configuring import narrowed
    from stratctl.pipeline.planning import PlanInput, work_out
    from stratctl.pipeline.session import Session
    from stratctl.plan.explain import explained

    with Session(root, environment, environ, acknowledgements) as session:
        configuration = narrowed(session.configuration, target=target, exclude=exclude)
        booked = session.read_journal().booked(session.workspace)
        live = (
            session.read_snapshot(snapshot)
            if snapshot
            else session.read_live(configuration, booked, progress)
        )
        workings = work_out(
            PlanInput(
                configuration=configuration,
                live=live,
                booked=booked,
                provenance=session.provenance,
                complete=not (target or exclude),
            )
        )
        return workings.plan, explained(workings, participants, calls)


def write_plan(plan: Plan, path: Path) -> None:
    """Save a plan; the file appears whole or not at all."""
    with tempfile.TemporaryDirectory() as scratch:
        data = planfile.to_bytes(plan, scratch)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)


def read_plan(path: Path) -> Plan:
    """Read a saved plan, stale ones too. Raises PlanFileError or PlanStale (its own digest)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PlanFileError(f"{path} cannot be read: {error.strerror}") from error
    with tempfile.TemporaryDirectory() as scratch:
        return planfile.from_bytes(data, Workspace(), scratch)


def apply(
    root: Path,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    approved: Plan | None,
    expect_digest: str | None,
    acknowledgements: Sequence[Acknowledgement],
    approve: Callable[[Plan], None],
    progress: Progress,
    watch: Watcher,
    stopping: Callable[[], bool],
) -> Applied:
    """Send what is approved and still needed, each call exactly once.

    With ``approved`` that plan is a ceiling, row by row; without it a fresh plan is made and
    ``approve`` is asked for it. Raises PlanStale, GuardRefused, ApprovalMissing,
    LockHeld, JournalError, ProviderError and InputError, all before the first request; what goes
    wrong afterwards is in the report.
    """
    from stratctl.pipeline.applying import Conversation, apply_plan
    from stratctl.pipeline.session import Session

    bound = approved.acknowledgements if approved else ()
    said = Conversation(approve=approve, progress=progress, watch=watch, stopping=stopping)
    known = (*acknowledgements, *bound)
    with (
        _frugally(approved),
        Session(root, environment, environ, known, applies=True) as session,
    ):
        return apply_plan(session, approved, expect_digest=expect_digest, conversation=said)


LARGE_ROWS = 100_000
"""A plan of this many rows is carried out with an engine that holds no more than it must."""

LARGE_MEBIBYTES = 384
"""For a million enrolments to fit into a gibibyte with all that is beside the engine."""


def _frugally(approved: Plan | None) -> AbstractContextManager[None]:
    """What a large plan is carried out within. Whoever applies without a file plans as freely as
    ``plan`` does."""
    if approved is None or len(approved.rows) < LARGE_ROWS:
        return nullcontext()
    return holding(mebibytes=LARGE_MEBIBYTES, folder=_scratch())


@cache
def _scratch() -> str:
    """Where this process keeps what its engine may not hold; for its own user alone, and gone with
    the process."""
    folder = tempfile.mkdtemp(prefix="stratctl-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def recover(
    root: Path,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    wait: bool,
    progress: Progress,
    watch: Watcher,
    stopping: Callable[[], bool],
) -> Resolved:
    """Find out what became of calls without an end. Plans nothing and sends nothing.

    What the provider does not know is given up when its quarantine is over; ``wait`` waits for
    that. Raises LockHeld, JournalError and ProviderError.
    """
    from stratctl.pipeline.recovering import resolve_open_calls
    from stratctl.pipeline.session import Session

    with Session(root, environment, environ, applies=True) as session:
        return resolve_open_calls(
            session, wait=wait, progress=progress, watch=watch, stopping=stopping
        )


def recover_from_server(
    root: Path,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    totals: Path | None = None,
    public_key: str = "",
    head: Path | None = None,
    progress: Progress,
    stopping: Callable[[], bool],
) -> Adoption:
    """Book from the provider what a lost journal knew. Sends nothing. Raises what ``recover``
    raises, InputError, PlanStale, and GuardRefused while a call of the journal has no end.

    With ``totals``, which ``public_key`` signed, only what is newer is read; they may not be older
    than ``head``. Raises UsageError and JournalError for others.
    """
    from stratctl.pipeline.adopting import rebuild
    from stratctl.pipeline.keeping import opening_totals
    from stratctl.pipeline.session import Session

    with Session(root, environment, environ, applies=True) as session:
        opening = opening_totals(session, totals, public_key, head) if totals else None
        return rebuild(session, opening, progress=progress, stopping=stopping)


def adopt(
    root: Path,
    operation_id: str,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    approve: Callable[[Strangers], None],
    progress: Progress,
) -> Adoption:
    """Book somebody else's Operation, once the declared totals contain it; ``approve`` is asked for
    those whom no cohort declares. Sends nothing. Raises UsageError, GuardRefused, ApprovalMissing,
    InputError, PlanStale, LockHeld, JournalError and ProviderError."""
    from stratctl.pipeline.adopting import adopt as adopt_operation
    from stratctl.pipeline.session import Session

    with Session(root, environment, environ, applies=True) as session:
        return adopt_operation(session, operation_id, approve=approve, progress=progress)


def unlock(root: Path, nonce: str, *, environment: str | None) -> str | None:
    """Open a journal whose holder was lost to the next writer; the holder, or None where nobody was
    kept out. Raises LockHeld for another lock than that one."""
    from stratctl.pipeline.session import Session

    with Session(root, environment, {}) as session:
        return session.journal_place.unlock(nonce)


def status(
    root: Path, *, environment: str | None, environ: Mapping[str, str], progress: Progress
) -> Status:
    """A summary of live beside what is declared. Read-only."""
    from stratctl.pipeline.session import Session
    from stratctl.pipeline.statusing import status_of

    with Session(root, environment, environ) as session:
        reading = session.read_journal()
        booked = reading.booked(session.workspace)
        live = session.read_live(session.configuration, booked, progress)
        return status_of(
            session.configuration,
            live,
            booked,
            entries=len(reading.entries()),
            unfinished=len(reading.unfinished()),
        )


def snapshot(
    root: Path,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    path: Path,
    progress: Progress,
) -> None:
    """Write a local copy of live, for plans without credentials."""
    from stratctl.live.snapshot import write_snapshot
    from stratctl.pipeline.session import Session

    with Session(root, environment, environ) as session:
        booked = session.read_journal().booked(session.workspace)
        write_snapshot(session.read_live(session.configuration, booked, progress), path)


def audit_log(
    root: Path,
    *,
    environment: str | None,
    participant: str = "",
    strategy: str = "",
    run: str = "",
    request_id: str = "",
) -> Iterator[dict[str, Any]]:
    """The journal's entries, oldest first, after the chain has been verified: all of them, or those
    that are about somebody or something. Runs and calls are known by how their ids begin."""
    from stratctl.journal.trail import Wanted, trail
    from stratctl.pipeline.session import Session

    wanted = Wanted(participant, strategy, run, request_id)
    with Session(root, environment, {}) as session:
        reading = session.read_journal()
        chosen = {entry.seq for entry, _, _ in trail(reading.entries(), wanted)}
        yield from (said for said in reading.documents() if said["seq"] in chosen)


def audit_trail(
    root: Path,
    *,
    environment: str | None,
    participant: str = "",
    strategy: str = "",
    run: str = "",
    request_id: str = "",
) -> Iterator[TrailRow]:
    """The same as rows of a table: one for each participant of an entry."""
    from stratctl.journal.trail import Wanted, rows_of, trail
    from stratctl.pipeline.session import Session

    wanted = Wanted(participant, strategy, run, request_id)
    with Session(root, environment, {}) as session:
        for found in trail(session.read_journal().entries(), wanted):
            yield from rows_of(*found, participant)


def audit_verify(
    root: Path, *, environment: str | None, heads: Sequence[Path] = (), public_key: str = ""
) -> AuditReport:
    """Verify the chain, its meaning, and the totals by a second reckoning; and that the journal
    goes on from each of these heads, which were kept. Raises UsageError."""
    from stratctl.journal.store import audit
    from stratctl.pipeline.keeping import kept_heads
    from stratctl.pipeline.session import Session

    with Session(root, environment, {}) as session:
        held = kept_heads(heads, public_key)
        report = audit(session.journal_place, session.environment.name, held)
        return replace(report, heads=len(heads))


def audit_head(root: Path, *, environment: str | None, environ: Mapping[str, str]) -> bytes:
    """The journal's head as it is kept, signed where a key is in the environment. Raises
    UsageError for a key that is none, and for a journal that has not begun."""
    from stratctl.pipeline.keeping import head_now
    from stratctl.pipeline.session import Session

    with Session(root, environment, environ) as session:
        return head_now(session).line()


def audit_totals(root: Path, *, environment: str | None, environ: Mapping[str, str]) -> bytes:
    """What the journal books, signed, for a machine that will have lost it. Raises UsageError
    without a key, and for a journal that has nothing."""
    from stratctl.pipeline.keeping import totals_now
    from stratctl.pipeline.session import Session

    with Session(root, environment, environ) as session:
        return totals_now(session)


def audit_reconcile(root: Path, *, environment: str | None, ledger: Path) -> Reconciliation:
    """The journal beside a platform's own ledger of participants: CSV or Parquet. Raises InputError
    with every mistake in that file, and UsageError."""
    from stratctl.pipeline.reconciling import with_ledger
    from stratctl.pipeline.session import Session

    with Session(root, environment, {}) as session:
        return with_ledger(session, ledger)


def audit_reconcile_live(
    root: Path, *, environment: str | None, environ: Mapping[str, str], progress: Progress
) -> Reconciliation:
    """The journal beside the provider's Operations and Executions, all of which are read again.
    Sends nothing. Raises ProviderError and InputError."""
    from stratctl.pipeline.reconciling import with_live
    from stratctl.pipeline.session import Session

    with Session(root, environment, environ) as session:
        return with_live(session, progress)


def audit_export(
    root: Path,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    participant: str = "",
    since: str = "",
    until: str = "",
    head: Path | None = None,
) -> bytes:
    """A bundle of evidence about a participant or a time, proven against a head that was kept, or
    against the one of now. Raises UsageError, also where nothing is there that is asked for."""
    from stratctl.journal.trail import Wanted
    from stratctl.pipeline.keeping import evidence
    from stratctl.pipeline.session import Session

    wanted = Wanted(participant=participant, since=since, until=until)
    with Session(root, environment, environ) as session:
        return evidence(session, wanted, head)


def halt(
    root: Path,
    *,
    environment: str | None,
    environ: Mapping[str, str],
    exits_only: bool,
    reason: str,
) -> None:
    """Write a record that every apply obeys."""
    from stratctl.journal.record import Halt
    from stratctl.pipeline.session import Session

    with Session(root, environment, environ) as session, session.open_journal() as journal:
        journal.append(Halt(exits_only=exits_only, reason=reason))


def resume(root: Path, *, environment: str | None, environ: Mapping[str, str], reason: str) -> None:
    """Lift a halt."""
    from stratctl.journal.record import Resume
    from stratctl.pipeline.session import Session

    with Session(root, environment, environ) as session, session.open_journal() as journal:
        journal.append(Resume(reason=reason))
