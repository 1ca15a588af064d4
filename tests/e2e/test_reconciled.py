"""The journal beside the provider: whoever rewrote it whole, hashes and all, is found out."""

from collections.abc import Callable
from dataclasses import replace

from stratctl import pipeline
from stratctl.core.event import Answer, Event, Intent, IntentRow, Outcome
from stratctl.core.ledgers import LiveDifference, Reconciliation
from stratctl.core.surroundings import Surroundings
from stratctl.journal.chain import read
from stratctl.journal.record import NO_PREVIOUS, Adopted, Word, encode
from stratctl.pipeline.reconciling import with_live
from stratctl.pipeline.session import Session
from tests.e2e.test_ceiling import by_hand
from tests.e2e.test_once import begin
from tests.e2e.world import Project, silent

NOWHERE = "5f6f1e7c-6f0b-4a52-8a0a-0b6b0a3c9d11"
"""An Operation that the provider does not have."""


def reconciled(project: Project) -> Reconciliation:
    """What audit reconcile --live finds, without its waits; it only reads."""
    before = project.sandbox.mutations()
    with Session(project.root, None, Surroundings(project.environ)) as session:
        session.clockwork = replace(session.clockwork, sleep=lambda seconds: None)
        found = with_live(session, silent)
    assert project.sandbox.mutations() == before
    return found


def rewrite(project: Project, change: Callable[[Event | Word], Event | Word]) -> None:
    """Write the whole journal anew, so that it holds."""
    lines, prev = b"", NO_PREVIOUS
    for entry in read(project.journal.read_bytes()).entries:
        event = change(entry.event)
        line = encode(event, seq=entry.seq, prev=prev, at=entry.at, run=entry.run)
        lines, prev = lines + line, read_digest(line)
    project.journal.write_bytes(lines)
    read(lines)


def read_digest(line: bytes) -> str:
    """``h`` of a line."""
    return line.partition(b'"h":"')[2][:64].decode()


def changed_rows(**more: object) -> Callable[[Event | Word], Event | Word]:
    """What says something else of everybody in an outcome."""

    def change(event: Event | Word) -> Event | Word:
        if not isinstance(event, Outcome):
            return event
        rows = tuple(replace(row, **more) for row in event.rows)  # type: ignore[arg-type]  # any field
        return replace(event, rows=rows)

    return change


def details(found: Reconciliation) -> list[str]:
    """What is told, without whom it is about."""
    return [one.detail.partition(": ")[2] for one in found.live]


def test_an_honest_journal_agrees_and_a_rewritten_one_does_not(project: Project) -> None:
    """Amounts, results, Executions and Operations: each is held against the provider."""
    codes = begin(project)
    project.settle()
    honest = project.journal.read_bytes()
    found = reconciled(project)
    assert (found.agrees, found.compared) == (True, 2)
    for change, says in (
        (
            changed_rows(amount_minor=9900),
            "settled USD 99.00 in the journal, settled USD 100.00 at the provider",
        ),
        (changed_rows(execution_id="another"), "Execution another in the journal, Execution "),
        (changed_rows(trade_ids=()), "Execution "),
        (changed_rows(reason="so"), "Execution "),
    ):
        project.journal.write_bytes(honest)
        rewrite(project, change)
        found = reconciled(project)
        assert {one.participant_code for one in found.live} == set(codes[:3])
        assert {one.kind for one in found.live} == {"different"}
        assert all(detail.startswith(says) for detail in details(found)), details(found)
    project.journal.write_bytes(honest)
    rewrite(project, lambda e: replace(e, status="failed") if isinstance(e, Outcome) else e)
    assert details(reconciled(project)) == ["failed in the journal, settled at the provider"] * 2
    project.journal.write_bytes(honest)

    def one_more(event: Event | Word) -> Event | Word:
        if isinstance(event, Intent) and event.rows:
            return replace(event, rows=(*event.rows, IntentRow(codes[3], 10000)))
        if isinstance(event, Outcome):
            invented = replace(event.rows[0], participant_code=codes[3])
            return replace(event, rows=(*event.rows, invented))
        return event

    project.journal.write_bytes(honest)
    rewrite(project, one_more)
    doubts = details(reconciled(project))
    assert (
        doubts
        == [f"its end is in doubt again: 1 participant without an Execution, the first {codes[3]}"]
        * 2
    )
    project.journal.write_bytes(honest)
    first = project.witness("core").operations[0]["id"]

    def elsewhere(event: Event | Word) -> Event | Word:
        if isinstance(event, Outcome) and event.operation_id == first:
            return replace(event, operation_id=NOWHERE)
        if isinstance(event, Answer) and event.resource_id == first:
            return replace(event, resource_id=NOWHERE)
        return event

    rewrite(project, elsewhere)
    (missing, *_) = reconciled(project).live
    assert (missing.kind, missing.operation_id) == ("missing", NOWHERE)
    assert "the provider does not know this Operation" in missing.detail


def test_what_the_journal_does_not_know_is_extra(project: Project) -> None:
    """Somebody else's Operation, until it is adopted; then it is held against its Executions."""
    codes = begin(project)
    project.settle()
    rows = [{"participant_code": codes[1], "amount": "33.00"}]
    by_hand(project, "top-up", {"participants": rows})
    foreign = project.witness("core").operations[-1]["id"]
    (extra,) = reconciled(project).live
    assert extra == LiveDifference(
        "extra",
        project.name("core"),
        foreign,
        "",
        "top_up, settled, 1 participant, USD 33.00 in, 0.00 out: the journal does not know"
        " this Operation",
    )
    project.line("members", codes[1])["contributed"] = "133.00"
    project.save()
    asked: list[object] = []
    pipeline.adopt(
        project.root,
        foreign,
        environment=None,
        environ=Surroundings(project.environ),
        approve=asked.append,
        progress=silent,
    )
    assert asked == [], "a cohort declares them"
    found = reconciled(project)
    assert (found.agrees, found.compared) == (True, 3)
    honest = project.journal.read_bytes()

    def more(event: Event | Word) -> Event | Word:
        if not isinstance(event, Adopted):
            return event
        rows = tuple(replace(row, contributed_minor=3400) for row in event.rows)
        return replace(event, rows=rows)

    rewrite(project, more)
    (one,) = reconciled(project).live
    assert (one.participant_code, one.detail) == (
        codes[1],
        "adopted: USD 34.00 in, 0.00 out in the journal, 33.00 in, 0.00 out at the provider",
    )
    project.journal.write_bytes(honest)

    def elsewhere(event: Event | Word) -> Event | Word:
        if not isinstance(event, Adopted):
            return event
        (operation,) = event.operations
        return replace(event, operations=(replace(operation, operation_id=NOWHERE),))

    rewrite(project, elsewhere)
    assert "adopted: the provider does not know this Operation" in {
        one.detail for one in reconciled(project).live
    }
