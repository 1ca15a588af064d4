"""An apply in a process of its own, with a real journal, against a real server, that may die.

The credentials are in the environment. ``die_at`` names the durable step at which it kills itself,
if it does: ``7:torn`` (the seventh entry is half written), ``7:written`` (it is on the disk and
nobody was told) or ``7:next`` (the step after it was taken and not yet written down).
"""

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stratctl.apply import (
    Breaker,
    CallWork,
    Pace,
    StrategyWork,
    apply_strategy,
    drive,
    recover,
)
from stratctl.core.event import Answer, Intent, IntentRow, Outcome
from stratctl.core.plan import Call
from stratctl.core.state import Vector, Verb
from stratctl.journal.directory import LocalDisk
from stratctl.journal.store import Journal, open_journal
from stratctl.journal.verify import totals_of
from stratctl.live.auth import credentials_from
from stratctl.live.client import ReadClient, WriteClient
from stratctl.live.clockwork import real_clockwork
from stratctl.live.connections import ReadingTransport
from stratctl.live.limiter import Limiter
from stratctl.live.transport import Endpoint, real_transport
from stratctl.live.writer import Writer

REALM = "sandbox"
ENVIRONMENT = "dev"
VECTOR = Vector((("BTC", 5 * 10**17), ("ETH", 3 * 10**17), ("SOL", 2 * 10**17)))
PACE = Pace(poll_first=0.03, poll_step=0.03, poll_max=0.2, backoff=0.05)

FIRST = {"P00001": (100_000, 0), "P00002": (50_000, 0)}
SECOND = {"P00001": (100_000, 40_000), "P00002": (80_000, 0), "P00003": (20_000, 0)}
PHASES: Mapping[str, Mapping[str, tuple[int, int]]] = {"first": FIRST, "second": SECOND}
"""participant_code -> (contributed, withdrawn) in minor units, over all time"""


def run(endpoint: str, directory: str, name: str, phase: str, die_at: str) -> str:
    """One apply, from opening the journal to closing it. How many requests it sent."""
    with journal_in(Path(directory), die_at) as journal, a_writer(endpoint, os.environ) as writer:
        return str(apply_once(journal, writer, name, phase))


def journal_in(directory: Path, die_at: str = "") -> Journal:
    """The program's journal."""
    return open_journal(
        directory,
        ENVIRONMENT,
        REALM,
        clock=lambda: datetime.now(UTC),
        run=f"{os.getpid()}",
        disk=MortalDisk(die_at),
    )


def apply_once(journal: Journal, writer: Writer, name: str, phase: str) -> int:
    """Recover, plan from the journal, resume, send. How many requests it took."""
    recovered = drive(recover(journal.unfinished(), writer, pace=PACE), journal.append)
    strategy_id = strategy_id_of(journal)
    work = StrategyWork(
        strategy=name,
        strategy_id=strategy_id,
        realm=REALM,
        currency="USD",
        head_slot=head_slot(journal),
        calls=planned(journal, name, strategy_id, PHASES[phase]),
        resume=recovered.open[0] if recovered.open else None,
    )
    late = [each for each in work.calls if each.call.verb is Verb.REBALANCE]
    steps = apply_strategy(
        work,
        writer,
        breaker=Breaker(),
        stopping=lambda: False,
        replan=lambda: late,
        pace=PACE,
    )
    result = drive(steps, journal.append)
    assert not result.problems, result.problems
    return result.requests


def planned(
    journal: Journal, name: str, strategy_id: str | None, declared: Mapping[str, tuple[int, int]]
) -> tuple[CallWork, ...]:
    """What is declared and neither booked nor pending, and one rebalance of the second phase."""
    moved = {code: totals for (_, code), totals in totals_of(journal.entries()).items()}
    rows: dict[Verb, list[IntentRow]] = defaultdict(list)
    for code, (contributed, withdrawn) in sorted(declared.items()):
        came, went, coming, going, *_ = moved.get(code, (0,) * 6)
        if contributed - came - coming:
            verb = Verb.TOP_UP if came else Verb.ENROLL
            flag = True if verb is Verb.ENROLL else None
            rows[verb].append(IntentRow(code, contributed - came - coming, flag))
        if withdrawn - went - going:
            rows[Verb.PARTIAL_SELL].append(IntentRow(code, withdrawn - went - going))
    sent = {e.event.verb for e in journal.entries() if isinstance(e.event, Outcome)}
    sent |= {left.intent.verb for left in journal.unfinished()}
    if declared is SECOND and Verb.REBALANCE not in sent:
        rows[Verb.REBALANCE] = [IntentRow("P00002")]
    calls = [a_call(name, strategy_id, verb, rows[verb]) for verb in Verb if rows[verb]]
    if strategy_id is None:
        calls.insert(0, a_call(name, None, Verb.CREATE, []))
    return tuple(calls)


def a_call(name: str, strategy_id: str | None, verb: Verb, rows: list[IntentRow]) -> CallWork:
    """A call, numbered by its verb."""
    call = Call(
        number=list(Verb).index(verb),
        strategy=name,
        strategy_id=strategy_id,
        currency="USD",
        verb=verb,
        vector=None if verb is Verb.CREATE else VECTOR,
        target_text="second" if verb is Verb.REBALANCE else "",
        target_epoch=0,
        rows=len(rows),
        amount_minor=sum(row.amount_minor or 0 for row in rows),
        slot=None,
        body_json='{"quoted_currency":"USD"}' if verb is Verb.CREATE else "",
    )
    return CallWork(call, tuple(rows))


def strategy_id_of(journal: Journal) -> str | None:
    """The Strategy that this journal created."""
    events = [entry.event for entry in journal.entries()]
    creates = {e.request_id for e in events if isinstance(e, Intent) and e.verb is Verb.CREATE}
    answers = [e for e in events if isinstance(e, Answer) and e.request_id in creates]
    return next((answer.resource_id for answer in answers if answer.resource_id), None)


def head_slot(journal: Journal) -> int:
    """The highest slot with an outcome."""
    events = [entry.event for entry in journal.entries()]
    return max((event.slot for event in events if isinstance(event, Outcome)), default=0)


@contextlib.contextmanager
def a_writer(endpoint: str, environ: Mapping[str, str]) -> Iterator[Writer]:
    """The real writer over real sockets."""
    clockwork = real_clockwork()
    place = Endpoint.parse(endpoint)
    shared: dict[str, Any] = {
        "endpoint": place,
        "clockwork": clockwork,
        "limiter": Limiter(clockwork),
    }
    with (
        real_transport(place, clockwork.monotonic) as writing,
        contextlib.closing(ReadingTransport(place, clockwork.monotonic)) as reading,
    ):
        write = credentials_from(environ, "STRATCTL_WRITE")
        read = credentials_from(environ, "STRATCTL_READ")
        yield Writer(
            WriteClient(credentials=write, transport=writing, **shared),
            ReadClient(credentials=read, transport=reading, **shared),
            clockwork,
        )


class MortalDisk(LocalDisk):
    """A disk of a machine that dies at one step."""

    def __init__(self, die_at: str) -> None:
        place, _, self.how = die_at.partition(":")
        self.left = int(place or 0)

    def append(self, path: Path) -> Any:
        """Open for appending."""
        return MortalFile(super().append(path), self)


class MortalFile:
    """Its file."""

    def __init__(self, file: Any, disk: MortalDisk) -> None:
        self.file, self.disk = file, disk
        self.close = file.close

    def write(self, data: bytes) -> int:
        """Write, or die before it, or half way."""
        self.disk.left -= 1
        if self.disk.left == 0 and self.disk.how == "torn":
            self.file.write(data[: len(data) // 2])
            die()
        if self.disk.left == -1 and self.disk.how == "next":
            die()
        written: int = self.file.write(data)
        return written

    def sync(self) -> None:
        """Make it durable, and maybe die right after."""
        self.file.sync()
        if self.disk.left == 0 and self.disk.how == "written":
            die()


def die() -> None:
    """As by kill -9: no handler, no clean-up."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
