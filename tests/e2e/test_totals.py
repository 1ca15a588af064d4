"""A machine that lost the journal goes on from signed totals, and reads only what is newer."""

import base64
import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stratctl.cli.exits import Exit
from stratctl.cli.running import run
from stratctl.core.secret import Secret
from stratctl.core.slots import call_id
from stratctl.core.tables import Workspace
from stratctl.journal.heads import public_key_of
from stratctl.journal.record import Entry, Genesis
from stratctl.journal.store import read_journal
from stratctl.journal.totals import read_totals
from stratctl.live import strategies
from tests.e2e import test_recover
from tests.e2e.test_once import begin, change
from tests.e2e.world import Project, verbs
from tests.journal.test_totals import changed

KEY = Secret(base64.b64encode(bytes(range(32))).decode())
PUBLIC = public_key_of(KEY)

recover = test_recover.recover
at_once = test_recover.at_once

World = tuple[Project, list[str], list[Path]]


@pytest.fixture
def world(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A Strategy with something of everything, and the totals that its applies left."""
    project.environ["STRATCTL_HEAD_KEY"] = KEY.reveal()
    monkeypatch.setenv("STRATCTL_HEAD_KEY", KEY.reveal())
    codes = begin(project)
    project.settle()
    left = [kept(project, tmp_path / "first.jsonl.gz")]
    change(project, codes)
    project.line("members", codes[0])["contributed"] = "150.03"
    project.save()
    while verbs(project.plan()):
        project.settle()
        left.append(kept(project, tmp_path / f"{len(left)}.jsonl.gz"))
    return project, codes, left


def kept(project: Project, path: Path) -> Path:
    """The totals as somebody keeps them elsewhere."""
    shutil.copy(project.root / ".stratctl" / "totals" / "local.jsonl.gz", path)
    return path


def entries(project: Project, environment: str = "local") -> tuple[Entry, ...]:
    """The journal as it is."""
    return read_journal(project.journal.parent.parent, environment).entries()


def booked(project: Project) -> list[tuple[Any, ...]]:
    """What it books, to the last column."""
    space = Workspace()
    found = read_journal(project.journal.parent.parent, "local").booked(space)
    return list(space.rows(f"SELECT * FROM {found.rows} ORDER BY ALL"))


def money(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Strategy, participant, money in and money out."""
    return [row[:4] for row in rows]


@pytest.mark.usefixtures("at_once")
def test_a_cold_machine_reads_only_what_is_newer(
    world: World, recover: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """It books what the lost journal did, asks for no older Execution, and says whence it has that.

    With older totals it reads more, and without any all of them; the money is the same.
    """
    project, codes, left = world
    totals = left[-1]
    older = {operation["id"] for operation in project.witness("core").operations}
    project.line("members", codes[1])["contributed"] = "125.00"
    project.save()
    project.settle()
    newer = {one["id"] for one in project.witness("core").operations} - older
    lost = booked(project)
    project.journal.unlink()

    with project.sandbox.recorded() as heard:
        code, said = recover("--from-server", "--totals", str(totals), "--public-key", PUBLIC)
    assert (code, said["problems"], said["requests"]) == (Exit.DONE, [], len(heard))
    assert (said["totals"]["operations"], len(newer)) == (len(older), 1)
    (strategy,) = said["strategies"]
    assert {one["id"] for one in strategy["operations"]} == newer
    read = re.findall(r"operation_id=([0-9a-f-]+)", " ".join(one["target"] for one in heard))
    assert set(read) == newer
    assert booked(project) == lost
    openings = [line.event.opening for line in entries(project) if hasattr(line.event, "opening")]
    assert [one.key if one else "" for one in openings] == [PUBLIC, ""]
    for command in (["verify"], ["log"], ["log", "--format", "csv"], ["reconcile", "--live"]):
        assert run(["--chdir", str(project.root), "audit", *command]) == Exit.DONE
    told = capsys.readouterr().out
    for words in ("goes on from the signed totals of", "opening=(at=", "signed totals of 3"):
        assert words in told
    project.assert_nothing_left()
    code, again = recover("--from-server", "--totals", str(totals), "--public-key", PUBLIC)
    assert (code, again["error"]["summary"][:27]) == (Exit.REFUSED, "the journal is not lost: it")

    for path in left[:-1]:
        project.journal.unlink()
        code, said = recover("--from-server", "--totals", str(path), "--public-key", PUBLIC)
        read_again = 4 * (len(older) - said["totals"]["operations"])
        assert (code, said["requests"] - len(heard), money(booked(project))) == (
            Exit.DONE,
            read_again,
            money(lost),
        )
    project.journal.unlink()
    _, cold = recover("--from-server")
    assert (cold["totals"], money(booked(project))) == (None, money(lost))
    assert cold["requests"] - len(heard) == 4 * len(older)


@pytest.mark.usefixtures("at_once")
def test_totals_that_do_not_fit_open_nothing(
    project: Project,
    recover: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are refused by name, and nothing is booked; what the last run left stays where it is.

    Forged, of another environment, older than the head, or not what the provider shows.
    """
    monkeypatch.setattr(strategies, "REREAD_SECONDS", ())
    project.environ["STRATCTL_HEAD_KEY"] = KEY.reveal()
    monkeypatch.setenv("STRATCTL_HEAD_KEY", KEY.reveal())
    codes = begin(project)
    project.settle()
    totals = kept(project, tmp_path / "kept.jsonl.gz")
    project.line("members", codes[1])["contributed"] = "125.00"
    project.save()
    project.settle()
    head = project.root / ".stratctl" / "heads" / "local.json"
    project.project["environments"]["other"] = project.environment
    project.save()
    project.journal.unlink()
    newest = kept(project, tmp_path / "newest.jsonl.gz").read_bytes()
    forged = tmp_path / "forged.jsonl.gz"
    forged.write_bytes(totals.read_bytes()[:-20])
    unsigned = tmp_path / "unsigned.json"
    unsigned.write_text(json.dumps(json.loads(head.read_bytes()) | {"signature": ""}))

    def refused(path: Path, *more: str, key: str = PUBLIC) -> tuple[int, str]:
        words = ("--from-server", "--totals", str(path), "--public-key", key, "-e", "local", *more)
        code, said = recover(*words)
        return code, said["error"]["summary"] if "error" in said else said["problems"][0]["code"]

    for found, code, why in (
        (refused(totals, "--head", str(head)), 1, "are older than the kept head"),
        (refused(totals, key="A" * 43 + "="), 1, f"they are signed with the key {PUBLIC}"),
        (refused(forged), 1, "what they say is not what was signed"),
        (refused(totals, "-e", "other"), 1, "the totals are of environment 'local', not 'other'"),
        (refused(head), 64, "they are no totals"),
        (refused(tmp_path / "none"), 64, "cannot be read: No such file"),
        (refused(totals, "--head", str(totals)), 64, "it is no head"),
        (refused(totals, "--head", str(unsigned)), 64, "nobody signed it"),
        (refused(totals, key="A"), 64, "the public key is not 32 bytes in base64"),
    ):
        assert (found[0], why in found[1]) == (code, True), found
    assert not project.journal.exists()

    strategy = project.strategy_id("core")
    content = gzip.decompress(totals.read_bytes()).partition(b"\n")[2]
    first = call_id("sandbox", strategy, 1).encode()
    (known,) = re.findall(rb'"operation_id":"([^"]+)","request_id":"' + first, content)
    beyond = content.replace(b'"slot":1,', b'"slot":99,').replace(
        first, call_id("sandbox", strategy, 99).encode()
    )
    for lie, why in (
        (beyond, "E_OPERATION_DIVERGED"),
        (beyond.replace(known, known[::-1]), "E_STALE_READ"),
        (content.replace(known, known[::-1]), "E_OPERATION_DIVERGED"),
    ):
        forged.write_bytes(changed(from_=totals.read_bytes(), content=lie, sign=True))
        assert refused(forged) == (Exit.INDETERMINATE, why)
        assert [type(entry.event) for entry in entries(project)] == [Genesis]
    words = ["recover", "--from-server", "--totals", str(forged), "--public-key", PUBLIC]
    assert run(["--chdir", str(project.root), "-e", "local", *words]) == Exit.INDETERMINATE
    assert "recover without them" in capsys.readouterr().out
    assert kept(project, tmp_path / "left.jsonl.gz").read_bytes() == newest


def test_totals_are_written_by_request(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key alone, of a journal that has something."""
    out = tmp_path / "totals.jsonl.gz"

    def written() -> int:
        return run(["--chdir", str(project.root), "audit", "totals", "--out", str(out)])

    begin(project)
    monkeypatch.setenv("STRATCTL_HEAD_KEY", KEY.reveal())
    assert written() == Exit.USAGE
    project.settle()
    monkeypatch.delenv("STRATCTL_HEAD_KEY")
    assert written() == Exit.USAGE
    assert not out.exists()
    monkeypatch.setenv("STRATCTL_HEAD_KEY", KEY.reveal())
    assert written() == Exit.DONE
    found = read_totals(out.read_bytes(), PUBLIC)
    assert (found.operations, found.participants) == (2, 3)
