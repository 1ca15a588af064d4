"""A bundle of evidence: some entries of a journal with proofs that they are in it, and no others.

::

    README.txt            what it is, in plain words
    head.json             the journal's head
    bundle.json           what was asked for, and what was left out
    entries.jsonl         {"entry": …, "proof": […]} on each line, oldest first
    verify_evidence.py    checks all of it, with Python alone

``proof`` is the audit path of an entry's ``h`` to the ``root`` of the head (RFC 6962). For one
participant an entry is shown without its body and its rows, which ``h`` covers by their digests,
and ``rows`` holds the participant's own, each with its place and its audit path to ``rows_root``.
"""

from __future__ import annotations

import io
import re
import textwrap
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from stratctl.core.words import count
from stratctl.journal.heads import Head
from stratctl.journal.merkle import Tree
from stratctl.journal.record import BESIDE, NO_PREVIOUS, Entry, canonical, document, encode
from stratctl.journal.trail import Wanted, participants_of, trail

VERIFIER = "verify_evidence.py"
_CODE = re.compile(rb"(?=([A-Z0-9]{6}))")
"""Where a participant's code may stand; they may overlap."""


def bundle(entries: Sequence[Entry], head: Head, wanted: Wanted, verifier: str) -> bytes | None:
    """The bundle as a zip, the same bytes for the same journal, head and question; None where
    nothing is asked for that is there. ``entries`` are those of the head."""
    digests = Tree(entry.digest.encode() for entry in entries)
    shown, left_out = (
        _for_somebody(entries, wanted) if wanted.participant else (_of_a_time(entries, wanted), 0)
    )
    if not shown:
        return None
    about = {
        "v": 1,
        "participant": wanted.participant,
        "since": wanted.since,
        "until": wanted.until,
        "entries": len(shown),
        "left_out": left_out,
        "complete": not wanted.participant,
    }
    lines = [said | {"proof": digests.path(said["entry"]["seq"] - 1)} for said in shown]
    files = {
        "README.txt": _readme(head, about).encode(),
        "head.json": head.line(),
        "bundle.json": canonical(about) + b"\n",
        "entries.jsonl": b"".join(canonical(line) + b"\n" for line in lines),
        VERIFIER: verifier.encode(),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _of_a_time(entries: Sequence[Entry], wanted: Wanted) -> list[dict[str, Any]]:
    """Whole entries, from the first one of that time to the last one, and all between them."""
    places = [entry.seq for entry, _, _ in trail(entries, wanted)]
    chosen = entries[places[0] - 1 : places[-1]] if places else ()
    return [{"entry": _document(entries, entry)} for entry in chosen]


def _for_somebody(entries: Sequence[Entry], wanted: Wanted) -> tuple[list[dict[str, Any]], int]:
    """Entries about a participant without anything about others; how many could not be shown so."""
    asked, found = list(trail(entries, wanted)), []
    everybody: set[bytes] = set()
    for entry, call, _ in trail(entries, Wanted()):
        everybody |= {code.encode() for code in participants_of(entry.event, call)}
    others = everybody - {wanted.participant.encode()}
    for entry, _, _ in asked:
        whole = _document(entries, entry)
        said = {key: value for key, value in whole.items() if key not in BESIDE}
        if others.isdisjoint(_CODE.findall(canonical(said))):
            found.append({"entry": said} | _own_rows(whole.get("rows"), wanted.participant))
    left_out = len(asked) - len(found)
    begins = [{"entry": _document(entries, entries[0])}] if found else []
    return [*begins, *found], left_out


def _own_rows(rows: Sequence[Any] | None, participant: str) -> dict[str, Any]:
    if rows is None:
        return {}
    proofs = Tree(map(canonical, rows))
    return {
        "size": len(rows),
        "rows": [
            {"place": place, "proof": proofs.path(place), "row": row}
            for place, row in enumerate(rows)
            if _whose(row) == participant
        ],
    }


def _whose(row: Any) -> str:
    code = row["participant_code"] if isinstance(row, Mapping) else row[0]
    return str(code)


def _document(entries: Sequence[Entry], entry: Entry) -> dict[str, Any]:
    prev = entries[entry.seq - 2].digest if entry.seq > 1 else NO_PREVIOUS
    line = encode(entry.event, seq=entry.seq, prev=prev, at=entry.at, run=entry.run)
    return document(line[:-1], seq=entry.seq)


# --- in plain words ----------------------------------------------------------------------------


def _readme(head: Head, about: Mapping[str, Any]) -> str:
    """What somebody reads who was sent the bundle and knows nothing of it."""
    shown = count(about["entries"], "entry", "entries")
    if about["participant"]:
        what = (
            f"It holds {shown} of that journal: everything about participant"
            f" {about['participant']}{_when(about)}, and the journal's first line, which says whose"
            " it is. Of calls that concerned others too, only this participant's rows are shown;"
            " that the others' are missing changes no proof."
        )
        if about["left_out"]:
            more = count(about["left_out"], "more entry", "more entries")
            what += f" Left out: {more}, which would show who else was concerned."
        not_said = (
            "It does not prove that there is nothing more about this participant: for that, the"
            " whole journal must be read."
        )
    else:
        what = (
            f"It holds {shown} of that journal, whole: all that was written{_when(about)}, from the"
            " first to the last."
        )
        not_said = (
            "Each entry names the one before it, so that none between the first and the last is"
            " missing. What came before and after is not in it."
        )
    signed = (
        f"The head is signed with the Ed25519 key {head.key}. Compare that key with the one that"
        " was published to you by another way than this bundle."
        if head.signature
        else "Nobody signed the head. It proves something only if you know it from elsewhere:"
        " compare its digest with one that was kept by somebody you trust."
    )
    parts = (
        "Evidence from a journal",
        "This bundle was made by stratctl, which sends instructions to zerohash for portfolio"
        " strategies. It writes into a journal what it means to send before it sends it, what was"
        " answered, and what became of each participant. Nothing in that journal can be changed"
        " without changing its head.",
        what,
        f"The head is in head.json: {count(head.entries, 'entry', 'entries')}, looked at"
        f" {head.at}, realm {head.realm}, environment {head.environment}, digest of the last entry"
        f" {head.digest}. {signed}",
        "To check all of it you need Python 3.11 or newer and nothing else:",
        f"    python3 {VERIFIER} BUNDLE.zip [PUBLIC_KEY]",
        f"{VERIFIER} is a short text that you can read; whoever does not trust the copy in this"
        " bundle takes it from the documentation of stratctl. It proves that each entry is in the"
        " journal of the head at the place that it says, and that each row is in its entry"
        " (Merkle audit paths, RFC 6962), and adds up what moved.",
        f"{not_said} Amounts are in minor units of the currency that the intent of a call names:"
        " 1500 in USD are 15.00 dollars. An intent is what was asked for; an outcome is what became"
        " of it, decided from the provider's Executions, whose ids are in it.",
    )
    return (
        "\n\n".join(
            part if part.startswith("    ") else textwrap.fill(part, 96, break_long_words=False)
            for part in parts
        )
        + "\n"
    )


def _when(about: Mapping[str, Any]) -> str:
    since = f" from {about['since']} on" if about["since"] else ""
    until = f" until {about['until']}" if about["until"] else ""
    return since + until
