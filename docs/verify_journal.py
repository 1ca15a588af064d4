"""Verify a journal of stratctl without stratctl: python3 verify_journal.py FOLDER

FOLDER holds the files of one environment: journal.jsonl and the closed segments beside it. From a
Git branch they come with: git archive BRANCH | tar -x -C FOLDER. docs/journal.md tells the format.
Needs Python 3.11 or newer and nothing else. Ends with 0 when the journal holds, else with 1.
"""

import gzip
import json
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

REFUSED = {"refused", "access_refused", "not_found", "not_sent"}
COMMITTED = {"committed", "slot_taken"}
PLACE = {"enroll": 0, "top_up": 0, "partial_sell": 1}
Entry = dict[str, Any]
Totals = dict[tuple[str, str], list[int]]


class Broken(Exception):
    """What is wrong, and where."""


def canonical(value: object) -> bytes:
    """The one way in which a value is written."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode()


def tree(leaves: list[bytes]) -> bytes:
    """The head of a tree as in RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return sha256(b"\0" + leaves[0] if leaves else b"").digest()
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + tree(leaves[:middle]) + tree(leaves[middle:])).digest()


def lines_of(folder: Path) -> list[bytes]:
    """The lines of all segments; a tail that was cut short is no entry."""
    try:
        closed = [gzip.decompress(path.read_bytes()) for path in sorted(folder.glob("*.jsonl.gz"))]
    except (OSError, EOFError, zlib.error) as error:
        raise Broken(f"a closed segment cannot be read: {error}") from error
    for opened in [path.read_bytes() for path in folder.glob("journal.jsonl")]:
        closed += [] if any(one.startswith(opened) for one in closed) else [opened]
    *lines, tail = b"".join(closed).split(b"\n")
    if tail:
        print(f"{len(tail)} bytes at the end are not a whole line and count for nothing")
    return lines


def checked(lines: list[bytes]) -> Iterator[Entry]:
    """Each line against the line before it and against its own digests."""
    prev = "0" * 64
    for seq, line in enumerate(lines, start=1):
        try:
            said = json.loads(line.decode("ascii"))
            covered = {key: said[key] for key in said if key not in ("h", "rows", "body")}
            fits = canonical(said) == line and said["h"] == sha256(canonical(covered)).hexdigest()
            follows = (said["v"], said["seq"], said["prev"]) == (1, seq, prev)
            if "rows" in said:
                root = tree([canonical(row) for row in said["rows"]]).hex()
                fits = fits and said["rows_root"] == root
            if "body" in said:
                fits = fits and said["body_sha256"] == sha256(said["body"].encode()).hexdigest()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Broken(f"line {seq} is no entry") from error
        if not fits or not follows or (seq == 1) != (said["type"] == "genesis"):
            raise Broken(f"line {seq} does not {'follow' if fits else 'say what its hash says'}")
        prev = said["h"]
        yield said


def slot_id(realm: str, strategy_id: str, slot: int) -> str:
    """The request id of a slot: a hash of these three and of nothing else."""
    hashed = b"stratctl/op-slot/v1\0"
    for part in (realm.encode("ascii"), UUID(strategy_id).bytes, slot.to_bytes(8, "big")):
        hashed += len(part).to_bytes(2, "big") + part
    return str(UUID(bytes=sha256(hashed).digest()[:16], version=4))


def totals_of(entries: list[Entry]) -> Totals:
    """What moved, and what may have, per participant; what is said of an id must fit together."""
    calls: dict[str, list[Entry]] = defaultdict(list)
    totals: Totals = defaultdict(lambda: [0, 0, 0, 0])
    for said in entries:
        kind, story = said["type"], calls[said.get("request_id", "")]
        committed = any(one.get("answer") in COMMITTED for one in story)
        fits = bool(story)
        if kind == "adopted":
            for row in said["rows"]:
                sums = totals[said["strategy_id"], row["participant_code"]]
                sums[0] += row["contributed_minor"]
                sums[1] += row["withdrawn_minor"]
        elif kind == "takeover":
            for lost in calls.values():
                lost.append(said)
        elif kind == "intent":
            id_ = said["slot"] and slot_id(entries[0]["realm"], said["strategy_id"], said["slot"])
            same = not story or story[0]["body_sha256"] == said["body_sha256"]
            fits = not id_ or (said["request_id"] == id_ and same)
        elif kind == "outcome":
            ends = [one["rows"] for one in story if one["type"] == kind]
            fits = committed and said["rows"] in (ends or [said["rows"]])
        elif kind == "abandoned":
            fits = fits and not committed
        if kind in ("intent", "attempt", "answer", "outcome", "abandoned"):
            if not fits:
                raise Broken(
                    f"line {said['seq']}: {kind} of {said['request_id']} cannot stand here"
                )
            story.append(said)
        if kind == "abandoned":
            del calls[said["request_id"]]
    for story in calls.values():
        count(story, totals)
    return totals


def count(story: list[Entry], totals: Totals) -> None:
    """Settled rows count as moved; until the outcome, every row that may have moved as pending."""
    end = next((one for one in story if one["type"] == "outcome"), None)
    verb = (end or story[0]).get("verb") if story else None
    proven = {one["number"] for one in story if one.get("answer") in REFUSED}
    tried = {one["number"] for one in story if one["type"] == "attempt"}
    known = any(one["type"] == "takeover" or one.get("answer") in COMMITTED for one in story)
    if verb in PLACE and (known or tried - proven):
        for row in (end or story[0])["rows"]:
            more = {None: 2, "mixed": 2, "settled": 0}.get(row.get("result"))
            if more is not None:
                key = (story[0]["strategy_id"], row["participant_code"])
                totals[key][more + PLACE[verb]] += row["amount_minor"] or 0


if __name__ == "__main__":
    try:
        found = list(checked(lines_of(Path(sys.argv[1]))))
        moved = totals_of(found)
    except Broken as broken:
        sys.exit(f"BROKEN: {broken}")
    print(f"{len(found)} entries hold together; head {found[-1]['h'] if found else '-'}")
    for (strategy, participant), sums in sorted(moved.items()):
        print(strategy, participant, *sums)
