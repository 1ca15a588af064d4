"""Plan cannot write: whatever it is asked, only GETs leave it, and it holds nothing else."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from stratctl import pipeline
from stratctl.live import client
from stratctl.live.transport import GetOnlyTransport, WriteAttempted, real_transport
from stratctl.pipeline import session
from stratctl.pipeline.session import Session
from tests.e2e.world import Project, Sandbox, silent, verbs


@pytest.fixture
def busy(project: Project, sandbox: Sandbox) -> Project:
    """A project with something to do for every reader: live, drifted, and changed."""
    codes = sandbox.participants(4)
    project.strategy("core")
    project.cohort("members", "core", dict.fromkeys(codes[:3], "100.00"))
    project.save()
    project.settle()
    project.line("members", codes[0])["contributed"] = "200.00"
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.strategy("new", {"BTC": "1"})
    project.cohort("others", "new", {codes[3]: "50.00"})
    project.save()
    return project


def read_everything(project: Project, folder: Path) -> None:
    """Every verb that has no business writing."""
    pipeline.validate(project.root, environment=None)
    assert verbs(project.plan())
    project.status()
    path = folder / "snapshot.zip"
    pipeline.snapshot(
        project.root,
        environment=None,
        environ=project.environ,
        path=path,
        progress=silent,
    )
    assert verbs(project.plan(snapshot=path)) == verbs(project.plan())
    list(pipeline.audit_log(project.root, environment=None))
    assert pipeline.audit_verify(project.root, environment=None).holds


def test_only_gets_arrive(busy: Project, tmp_path: Path) -> None:
    """The provider sees nothing but GETs, and the journal stays as it is.

    That holds for validate, plan, status, snapshot and audit."""
    before, journal = busy.sandbox.mutations(), busy.journal.read_bytes()
    with busy.sandbox.recorded() as heard:
        read_everything(busy, tmp_path)
    assert {entry["method"] for entry in heard} == {"GET"}
    assert busy.sandbox.mutations() == before
    assert busy.journal.read_bytes() == journal


def test_plan_asks_for_no_write_key(busy: Project, tmp_path: Path) -> None:
    """Plan works where no key that may write exists at all."""
    for name in [name for name in busy.environ if "_WRITE_" in name]:
        del busy.environ[name]
    read_everything(busy, tmp_path)


def test_a_write_through_the_reader_is_a_crash(busy: Project) -> None:
    """What the plan's client holds has no word for a POST and lets none in: nothing arrives."""
    before = busy.sandbox.mutations()
    with Session(busy.root, None, busy.environ) as opened:
        with pytest.raises(AttributeError):
            post(opened.reads, busy.sandbox.endpoint)
        with pytest.raises(AssertionError):
            opened.reads._transport.get("/time HTTP/1.1\r\nHost: x\r\n\r\nPOST /strategies", {})
    assert busy.sandbox.mutations() == before


def post(reader: client.ReadClient, endpoint: str) -> None:
    """What a client that could write would do with its transport."""
    way: Any = reader._transport
    way.handle_request(httpx.Request("POST", f"{endpoint}/strategies", content=b"{}")).close()


def test_canary_a_writing_plan_is_caught(
    busy: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a guard, over a transport that writes, a POST is seen: the law can fail."""
    ask = client.ReadClient._ask

    def careless(reader: client.ReadClient, target: str) -> object:
        post(reader, busy.sandbox.endpoint)
        return ask(reader, target)

    monkeypatch.setattr(client.ReadClient, "_ask", careless)
    with pytest.raises(AttributeError, match="ReadingTransport"):
        test_only_gets_arrive(busy, tmp_path)
    monkeypatch.setattr(session, "ReadingTransport", real_transport)
    with pytest.raises(WriteAttempted):
        test_only_gets_arrive(busy, tmp_path)
    monkeypatch.setattr(
        GetOnlyTransport,
        "handle_request",
        lambda guard, request: guard._transport.handle_request(request),
    )
    with pytest.raises(AssertionError, match="POST"):
        test_only_gets_arrive(busy, tmp_path)
