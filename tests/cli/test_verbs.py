"""The verbs against a running sandbox: approval, formats and exit codes."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stratctl.cli.exits import Exit
from stratctl.journal.store import open_journal
from tests.cli.conftest import ROOT, World

FORMATS = ("text", "markdown", "json")


def test_the_exit_code_is_the_same_for_every_format(world: World) -> None:
    """Changes, a stopped plan and no changes have their codes, however they are shown."""
    assert world("plan").code == Exit.DONE
    for shown in FORMATS:
        assert world(f"plan --format {shown} --detailed-exitcode").code == Exit.CHANGES
    world.edit("policy.yaml", "cash_in: 100000.00", "cash_in: 100.00")
    assert world("plan --detailed-exitcode").code == Exit.REFUSED
    for shown in FORMATS:
        stopped = world(f"plan --format {shown}")
        assert stopped.code == Exit.REFUSED
        assert "20000.00" in stopped.out.replace(",", "")
    world.edit("policy.yaml", "cash_in: 100.00", "cash_in: 100000.00")
    assert world("apply --auto-approve").code == Exit.DONE
    for shown in FORMATS:
        done = world(f"plan --format {shown} --detailed-exitcode")
        assert done.code == Exit.DONE
        assert "No changes. Live matches the configuration." in done.out


def test_a_plan_explains_somebody_and_a_call(world: World) -> None:
    """--explain stands in the place of the plan, names lines, and leaves the exit code alone."""
    why = world("plan --explain P00001 --explain call:2 --detailed-exitcode")
    assert why.code == Exit.CHANGES
    assert "USD 15,000.00 is declared, USD 0.00 has moved" in why.out
    assert "strategies/founders.yaml:" in why.out
    assert "limit 100000 (policy.yaml:" in why.out
    assert "Call 2: enroll in blue-chip, 2 participants, USD 20,000.00" in why.out
    assert "Digest:" not in why.out
    assert "\x1b" not in why.out
    document = json.loads(world("plan --explain P00001 --json").out)
    assert [row["amount"] for row in document["participants"][0]["rows"]] == ["15000.00"]
    nobody = world("plan --explain P0001")
    assert (nobody.code, nobody.out) == (Exit.USAGE, "")
    assert "did you mean P00001?" in nobody.err
    for wrong in ("call:x", "call:", "verb:3", "call:²"):
        refused = world(f"plan --explain {wrong}")
        assert refused.code == Exit.USAGE
        assert "as call:3" in refused.err
    assert world("plan --explain P00001 --format markdown").code == Exit.USAGE


def test_a_saved_plan_is_shown_and_applied(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What plan saves, show shows in every format, and apply sends without asking."""
    outputs = tmp_path / "outputs"
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    planned = world("plan --out plan.zip")
    digest = re.findall(r"[0-9a-f]{64}", planned.err)[0]
    assert f"Digest: {digest}" in planned.out
    assert f"\nplan_digest={digest}\n" in outputs.read_text()
    for shown in FORMATS:
        assert digest in world(f"show plan.zip --format {shown}").out
    assert json.loads(world("show plan.zip --json").out)["digest"] == digest
    wrong = world(f"apply plan.zip --expect-digest {'0' * 64}")
    assert wrong.code == Exit.STALE
    applied = world(f"apply plan.zip --expect-digest {digest}")
    assert applied.code == Exit.DONE
    assert (
        "Applied: 1 Strategy created, 2 enrolled.\n"
        "Cash in USD 20,000.00; 2 participants; 2 calls.\n"
    ) in applied.out
    assert "Next:" not in applied.out
    assert re.fullmatch(
        r"\+ blue-chip: create\n"
        r"  blue-chip: created( in \d\.\d s)?\n"
        r"\+ blue-chip: enroll 2 participants, USD 20,000\.00\n"
        r"  blue-chip: 2 enrolled( in \d\.\d s)?\n",
        applied.err,
    )


def test_json_keeps_standard_output_to_itself(world: World) -> None:
    """An apply for a machine prints one JSON document; the plan and the events go elsewhere."""
    applied = world("apply --auto-approve --json")
    result = json.loads(applied.out)
    assert (applied.code, result["exit_code"]) == (Exit.DONE, Exit.DONE)
    assert [tally["amount"] for tally in result["tallies"]] == ["0.00", "20000.00"]
    assert "Plan: 1 Strategy to create, 2 to enroll." in applied.err


def test_without_a_yes_nothing_is_sent(world: World) -> None:
    """No terminal, or --no-input, means nobody said yes, and the provider hears nothing."""
    for line in ("apply", "apply --no-input", "apply --json"):
        refused = world(line)
        assert refused.code == Exit.APPROVAL
        assert "Plan: 1 Strategy to create, 2 to enroll." in refused.out + refused.err
    digest = re.findall(r"Digest: ([0-9a-f]{64})", world("plan").out)[0]
    assert world(f"apply --expect-digest {digest}").code == Exit.APPROVAL
    methods = {request["method"] for request in world.control("requests")["requests"]}
    assert methods == {"GET"}


def test_a_digest_only_ever_narrows(world: World) -> None:
    """--expect-digest refuses another plan, with --auto-approve too."""
    refused = world(f"apply --auto-approve --expect-digest {'0' * 64}")
    assert refused.code == Exit.STALE
    assert "was expected" in refused.err


def test_a_guard_holds_against_auto_approve(world: World) -> None:
    """--auto-approve answers the question and widens nothing; --ack names the number."""
    world.edit("policy.yaml", "cash_in: 100000.00", "cash_in: 100.00")
    refused = world("apply --auto-approve")
    assert refused.code == Exit.REFUSED
    assert "--ack cash_in=20000.00" in refused.out
    assert world("apply --auto-approve --ack cash_in=19999.99 --reason tiny").code == Exit.REFUSED
    done = world("apply --auto-approve --ack cash_in=20000.00 --reason founders")
    assert done.code == Exit.DONE


def test_a_rejected_participant_makes_it_a_part(world: World) -> None:
    """Somebody whom the provider refuses is named, and the code says that it was a part."""
    barred = {
        "participant_code": "P00002",
        "status": "approved",
        "reason_code": "",
        "jurisdiction_code": "US-NY",
        "blocked_assets": ["SOL"],
    }
    world.control("participants", {"participants": [barred]})
    applied = world("apply --auto-approve")
    assert applied.code == Exit.PARTIAL
    assert "(P00002)" in applied.out


def test_an_open_outcome_has_its_own_code_until_it_is_known(world: World) -> None:
    """A call whose end cannot be read is 6; the next apply finds out and sends nothing twice."""
    no_answers = {"kind": "403", "method": "GET", "path": "/strategies/operations/"}
    world.control("fault", no_answers)
    opened = world("apply --auto-approve")
    assert opened.code == Exit.INDETERMINATE
    assert "! blue-chip: E_ACCESS_REFUSED: enroll of 2 participants" in opened.out
    assert "Not finished: 1 open outcome. Apply again to find out" in opened.out
    assert "! 1 call has no known end\nNext: stratctl apply" in world("status").out
    found = world("apply --auto-approve")
    assert found.code == Exit.DONE, found.out + found.err
    enrolments = [
        one
        for one in world.control("requests")["requests"]
        if one["method"] == "POST" and one["target"].endswith("/enroll")
    ]
    assert len(enrolments) == 1
    assert "No changes." in world("plan").out


def test_a_halt_stops_apply_until_resume(world: World) -> None:
    """halt is obeyed by apply and lifted by resume; status says so."""
    assert world("halt --reason prices").code == Exit.DONE
    assert "halted: nothing is sent" in world("status").out
    assert world("apply --auto-approve").code == Exit.REFUSED
    assert world("resume --reason fine").code == Exit.DONE
    assert world("apply --auto-approve").code == Exit.DONE
    assert world("halt --exits-only --reason no-new-money").code == Exit.DONE
    assert json.loads(world("status --json").out)["journal"]["halted"] == "exits_only"


def test_a_second_apply_waits_outside(world: World) -> None:
    """While one apply holds the journal, another ends with its own code."""
    held = open_journal(
        world.root / ".stratctl" / "journal",
        "sandbox",
        "sandbox",
        clock=lambda: datetime.now(UTC),
        run="another",
    )
    try:
        assert world("apply --auto-approve").code == Exit.LOCKED
    finally:
        held.close()


def test_the_journal_can_be_read_and_verified(world: World) -> None:
    """audit log lists every entry, audit verify notices a changed byte."""
    assert world("apply --auto-approve").code == Exit.DONE
    entries = [json.loads(line) for line in world("audit log --json").out.splitlines()]
    assert entries[0]["type"] == "genesis"
    assert len(world("audit log").out.splitlines()) == len(entries)
    verified = world("audit verify")
    assert (verified.code, "holds" in verified.out) == (Exit.DONE, True)
    (journal,) = (world.root / ".stratctl" / "journal").rglob("*.jsonl")
    journal.write_bytes(journal.read_bytes().replace(b"1500000", b"1500001", 1))
    broken = world("audit verify --json")
    assert broken.code == Exit.ERROR
    assert json.loads(broken.out)["findings"]


def test_a_snapshot_plans_without_credentials(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan against a saved copy of live is the plan against live."""
    live = json.loads(world("plan --json").out)
    assert "error" not in live, live
    assert world("snapshot --out live.snapshot").code == Exit.DONE
    world.edit("strategies/founders.yaml", "P00001", "P0X001")
    world.edit("strategies/founders.yaml", "P00002", "P0X002")
    assert "founders names 2, and PLAT01 has none of them" in world("lint --live").out
    strange = world("lint --snapshot live.snapshot --strict")
    assert (strange.code, strange.out.count("W_NO_MEMBERS")) == (Exit.ERROR, 1)
    world.edit("strategies/founders.yaml", "P0X001", "P00001")
    world.edit("strategies/founders.yaml", "P0X002", "P00002")
    for name in list(os.environ):
        if name.startswith("STRATCTL_"):
            monkeypatch.delenv(name)
    saved = json.loads(world("plan --json --snapshot live.snapshot").out)
    assert "error" not in saved, saved
    assert saved["binding"] == live["binding"]


def test_a_part_of_a_plan_says_so(world: World) -> None:
    """--exclude hides a Strategy, and the plan does not claim to be whole."""
    hidden = world("plan --exclude blue-chip")
    assert "in the part that was planned" in hidden.out
    assert "this plan is not complete" in hidden.out


# --- at a terminal ---------------------------------------------------------------------------


def at_a_terminal(world: World, answer: bytes, *program: str) -> tuple[int, str]:
    """Run apply in a terminal of its own and type an answer at its question."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*(program or (world.program,)), "apply"],
        cwd=world.root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(follower)
    shown, waiting = b"", [answer]
    try:
        while True:
            ready, _, _ = select.select([leader], [], [], 60)
            assert ready, shown
            try:
                read = os.read(leader, 65536)
            except OSError:  # the last process that had the terminal is gone
                break
            shown += read
            if waiting and shown.rstrip().endswith(b">"):
                os.write(leader, waiting.pop(0))
    finally:
        os.close(leader)  # hangs up on a process that still runs
        code = process.wait(timeout=30)
    return code, shown.decode()


def test_the_total_has_to_be_typed(world: World) -> None:
    """At a terminal apply shows the plan and asks; the total, typed, is the approval."""
    code, shown = at_a_terminal(world, b"20,000.00\n")
    assert "Type the total (cash in + cash out + turnover) to apply: 20,000.00" in shown
    assert code == Exit.DONE
    assert "Applied: 1 Strategy created, 2 enrolled." in shown
    assert "\x1b[" in shown


@pytest.mark.parametrize("answer", [b"yes\n", b"\n", b"20000.01\n", b"\x04"])
def test_anything_else_is_a_no(world: World, answer: bytes) -> None:
    """A yes, a blank, another number or the end of input approve nothing."""
    code, shown = at_a_terminal(world, answer)
    assert code == Exit.APPROVAL
    assert "the total was not typed" in shown
    assert world.control("stats")


def test_ctrl_c_at_the_question_ends_it(world: World) -> None:
    """One Ctrl-C at the prompt is enough, and nothing is sent."""
    code, _ = at_a_terminal(world, b"\x03", sys.executable, "-m", "stratctl")
    assert code == Exit.INTERRUPTED
    assert {one["method"] for one in world.control("requests")["requests"]} == {"GET"}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)]
)
def test_a_signal_stops_an_apply_between_requests(
    world: World, number: signal.Signals, code: Exit
) -> None:
    """An apply that is told to stop says so, ends with the signal's code, and can be finished."""
    world.control("lag", {"latency_ms": 150})
    process = world.spawn("apply", "--auto-approve")
    assert process.stderr
    for line in process.stderr:
        if "created" in line:
            break
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert "Stopping after the current answer." in said
    assert process.returncode == code
    world.control("lag", {"latency_ms": 0})
    assert world("apply --auto-approve").code == Exit.DONE
    assert "No changes." in world("plan").out
