"""Written before sent, and an id never carries two bodies."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from stratctl.core.event import Attempt, Event, Intent, Receipt
from stratctl.journal.directory import _LocalFile
from stratctl.journal.store import Journal
from tests.e2e.machines import Machines
from tests.e2e.test_once import begin, change, changed, converge, forked, rise, some
from tests.e2e.world import Project


class Notary:
    """Checks, at every intent, that it is on the disk and that nothing was sent under its id."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.sent: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Attempt):
            # Attempts of one id may repeat; the first must come before its first request.
            assert event.request_id in self.sent, "an attempt without an intent"
        if not isinstance(event, Intent):
            return
        assert event.body_sha256 in self.project.journal.read_text(encoding="utf-8"), "not written"
        known = {entry["request_id"] for entry in self.project.sandbox.log()}
        assert event.request_id not in known, "sent before it was written"
        assert self.sent.setdefault(event.request_id, event.body) == event.body, "two bodies"


def test_every_request_is_written_before_it_is_sent(project: Project) -> None:
    """At each intent of an apply with every verb: it is on the disk, and was not sent."""
    codes = begin(project)
    notary = Notary(project)
    assert project.apply(watch=notary).exit_code == 0
    change(project, codes)
    assert project.apply(watch=notary).exit_code == 0
    changed(project, codes)
    mutations = {
        entry["request_id"]
        for entry in project.sandbox.log()
        if entry["method"] != "GET" and entry["request_id"] in notary.sent
    }
    assert mutations == set(notary.sent)


def test_canary_a_journal_that_lies_is_caught(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a write is acknowledged and kept back, the notary notices: the law can fail."""
    begin(project)
    kept: list[bytes] = []
    write = _LocalFile.write

    def later(file: _LocalFile, data: bytes) -> int:
        if kept:
            write(file, kept.pop())
        kept.append(data)
        return len(data)

    monkeypatch.setattr(_LocalFile, "write", later)
    with pytest.raises(AssertionError, match="not written"):
        project.apply(watch=Notary(project))


def test_a_receipt_for_another_body_stops_everything(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent on a receipt that does not carry the body's own digest."""
    begin(project)
    append_all = Journal.append_all

    def other(journal: Journal, events: Sequence[Event]) -> tuple[Receipt, ...]:
        return tuple(Receipt(r.seq, r.digest[::-1]) for r in append_all(journal, events))

    monkeypatch.setattr(Journal, "append_all", other)
    before = project.sandbox.mutations()
    with pytest.raises(Exception, match="another body"):
        project.apply()
    assert project.sandbox.mutations() == before


@pytest.mark.parametrize(
    ("position", "amounts"),
    some(
        [
            ("replay", ("150.00", "180.00")),
            ("400", ("180.00", "150.00")),
            ("replay", ("180.00", "150.00")),
            ("422", ("180.00", "150.00")),
            ("409", ("150.00", "180.00")),
        ],
        one_in=3,
    ),
)
def test_same_id_with_another_body_is_caught(
    project: Project, warm: Machines, position: str, amounts: tuple[str, str]
) -> None:
    """Two machines with two configurations and no lock meet in one slot, and one notices.

    Whatever the provider answers to the second body, money never exceeds a total."""
    codes = begin(project)
    project.settle()
    rise(project, codes, amounts[0])
    other = forked(project, "other")
    rise(other, codes, amounts[1])
    with project.sandbox.switched(same_id_other_body=position):
        with warm.paused(project, 1) as release:
            assert warm.apply(other).code == 0
            ended = release()
        assert ended.code in (4, 5), ended
        assert {code for code, _ in ended.problems} & {"E_SLOT_CONFLICT", "E_PLAN_STALE"}, ended
        bought = project.witness("core").moved[codes[0]].bought
        assert bought == Decimal(amounts[1])
        newest = project if Decimal(amounts[0]) > Decimal(amounts[1]) else other
        converge(newest, warm)
    found = project.witness("core")
    assert found.moved[codes[0]].bought == Decimal("180.00")
    assert found.moved[codes[3]].bought == Decimal("70.00")
