"""Real processes, real sockets, a real disk: killed at each durable step, then applied again."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stratctl.core.event import Attempt, Intent
from stratctl.core.money import parse_amount
from stratctl.core.slots import call_id
from stratctl.journal.store import read_journal
from stratctl.live.writer import Writer
from tests.apply.program import (
    ENVIRONMENT,
    PHASES,
    REALM,
    a_writer,
    apply_once,
    journal_in,
)
from tests.warm import Warm

ROOT = Path(__file__).parents[2]
ENTRIES = {"first": 8, "second": 16}
"""How many entries an undisturbed apply writes; the first phase's begin with the genesis."""

ATTEMPTS = {"first": (3, 6), "second": (2, 6, 10, 14)}
STEPS = [
    (phase, f"{place}:{how}")
    for phase, count in ENTRIES.items()
    for place in range(1, count + 1)
    for how in ("torn", "written", "next")
    # Between a written entry and the next one something happens only after an attempt.
    if how != "next" or place in ATTEMPTS[phase]
]


@dataclass(frozen=True)
class Server:
    """A running sandbox."""

    endpoint: str
    environ: dict[str, str]
    program: Warm

    def apply(self, directory: Path, name: str, phase: str) -> int:
        """The same apply in this process; how many requests it sent."""
        with journal_in(directory) as journal, a_writer(self.endpoint, self.environ) as writer:
            return apply_once(journal, writer, name, phase)

    def run(self, directory: Path, name: str, phase: str, die_at: str = "") -> int | None:
        """Run the program; how many requests it sent, or None when it was killed."""
        code, said = self.program(self.endpoint, str(directory), name, phase, die_at)
        if code == -signal.SIGKILL:
            return None
        assert code == 0
        return int(said)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A sandbox in a process of its own, whose Operations take no time to speak of."""
    credentials = tmp_path_factory.mktemp("sandbox") / "credentials"
    switches = [f"--switch={name}_ms=5" for name in ("validating", "pricing", "settling")]
    process = subprocess.Popen(
        [
            *[sys.executable, "-m", "stratctl.sandbox", "--port", "0", "--participants", "10"],
            *["--credentials", str(credentials), *switches],
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    endpoint = json.loads(process.stdout.readline())["endpoint"]
    environ = dict(line.split("=", 1) for line in credentials.read_text().splitlines())
    with Warm("tests.apply.program", environ) as program:
        yield Server(endpoint, environ, program)
    process.terminate()
    process.wait(timeout=10)
    process.stdout.close()


def carried_out(server: Server, directory: Path) -> tuple[dict[str, list[int]], int]:
    """Per participant what the provider was asked to buy and to sell, and how many Operations."""
    with a_writer(server.endpoint, server.environ) as writer:
        return _carried_out(writer, directory)


def _carried_out(writer: Writer, directory: Path) -> tuple[dict[str, list[int]], int]:
    entries = read_journal(directory, ENVIRONMENT, REALM).entries()
    events = [entry.event for entry in entries]
    trades = {e.request_id: e for e in events if isinstance(e, Intent) and e.slot}
    moved: dict[str, list[int]] = {}
    for intent in trades.values():
        found = writer.look_up(intent)
        assert found is not None, "every intent that ended is known to the provider"
        assert found.answer == "committed"
        for execution in writer.executions(intent.strategy_id, found.resource_id):
            # Nothing to rebalance is fine; a flow must have moved.
            assert execution.status == "settled" or intent.path.endswith("rebalance"), execution
            totals = moved.setdefault(execution.participant_code, [0, 0])
            if intent.path.endswith(("enroll", "top-up")):
                legs = [parse_amount(leg.amount, "USD") for leg in execution.instructions]
                totals[0] += sum(legs)
            if intent.path.endswith("partial-sell"):
                (asked,) = (
                    row.amount_minor
                    for row in intent.rows
                    if row.participant_code == execution.participant_code
                )
                totals[1] += asked or 0
    last = max(trades.values(), key=lambda intent: intent.slot or 0)
    assert sorted(intent.slot or 0 for intent in trades.values()) == [*range(1, len(trades) + 1)]
    beyond = call_id(REALM, last.strategy_id, len(trades) + 1)
    assert writer.look_up(replace(last, request_id=beyond)) is None
    return moved, len(trades)


@pytest.mark.parametrize(("phase", "die_at"), STEPS)
def test_a_process_that_is_killed_at_any_step_moves_everything_once(
    phase: str, die_at: str, server: Server, tmp_path: Path
) -> None:
    """The second apply finishes what the first one left, and the third sends nothing."""
    name = f"{phase}-{die_at.replace(':', '-')}"
    if phase == "second":
        assert server.apply(tmp_path, name, "first") == 2
    assert server.run(tmp_path, name, phase, die_at) is None
    server.run(tmp_path, name, phase)
    assert server.apply(tmp_path, name, phase) == 0
    moved, operations = carried_out(server, tmp_path)
    assert moved == {code: list(totals) for code, totals in PHASES[phase].items()}
    assert operations == {"first": 1, "second": 5}[phase]


@pytest.mark.parametrize("phase", ["first", "second"])
def test_an_undisturbed_apply_writes_as_many_entries_as_are_tried(
    phase: str, server: Server, tmp_path: Path
) -> None:
    """So that no durable step is left out above."""
    server.apply(tmp_path, f"calm-{phase}", "first")
    count = 0
    if phase == "second":
        count = len(read_journal(tmp_path, ENVIRONMENT, REALM).entries())
        server.apply(tmp_path, "calm-second", "second")
    entries = read_journal(tmp_path, ENVIRONMENT, REALM).entries()
    assert len(entries) - count == ENTRIES[phase]
    attempts = [
        place
        for place, entry in enumerate(entries[count:], start=1)
        if isinstance(entry.event, Attempt)
    ]
    assert tuple(attempts) == ATTEMPTS[phase]
