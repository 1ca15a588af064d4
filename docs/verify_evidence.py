"""Verify a bundle of evidence without stratctl: python3 verify_evidence.py BUNDLE.zip [PUBLIC_KEY]

BUNDLE.zip comes from `stratctl audit export`; docs/journal.md tells its format. PUBLIC_KEY is the
Ed25519 key, in base64, whose signature the head must carry. Needs Python 3.11 or newer and nothing
else. Ends with 0 when everything in the bundle is proven, else with 1.
"""

import base64
import json
import sys
import zipfile
from hashlib import sha256, sha512
from typing import Any

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
PLACE = {"enroll": 0, "top_up": 0, "partial_sell": 1}
Point = tuple[int, int]


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


def proven(leaf: bytes, place: int, size: int, path: list[str]) -> str:
    """The head of a tree of so many leaves that the audit path leads to from this one."""
    found, steps, last = sha256(b"\0" + leaf).digest(), [bytes.fromhex(s) for s in path], size - 1
    while last and 0 <= place <= last:
        if place ^ 1 <= last:
            other = steps.pop(0) if steps else b""
            found = sha256(b"\1" + (other + found if place & 1 else found + other)).digest()
        place, last = place >> 1, last >> 1
    return "" if steps or last else found.hex()


def added(one: Point, other: Point) -> Point:
    """Two points of Ed25519's curve, RFC 8032, section 5.1."""
    (x1, y1), (x2, y2) = one, other
    dxy = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + dxy, -1, P)
    return x % P, (y1 * y2 + x1 * x2) * pow(1 - dxy, -1, P) % P


def times(factor: int, point: Point) -> Point:
    """A point, so many times."""
    result = (0, 1)
    while factor:
        result = added(result, point) if factor & 1 else result
        point, factor = added(point, point), factor >> 1
    return result


def point_of(data: bytes) -> Point:
    """A point from its 32 bytes."""
    y = int.from_bytes(data, "little") & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    if len(data) != 32 or y >= P or x * x % P != square or (not x and data[31] >> 7):
        raise Broken("the head's key or signature is no point of the curve")
    return (P - x if x & 1 != data[31] >> 7 else x), y


def signature_holds(key: bytes, signature: bytes, message: bytes) -> bool:
    """Ed25519, RFC 8032, section 5.1.7."""
    scalar = int.from_bytes(signature[32:], "little")
    hashed = int.from_bytes(sha512(signature[:32] + key + message).digest(), "little") % ORDER
    base = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    right = added(point_of(signature[:32]), times(hashed, point_of(key)))
    return scalar < ORDER and len(signature) == 64 and times(scalar, base) == right


def check_head(head: dict[str, Any], asked: str) -> str:
    """What the signature of the head proves."""
    if not head["signature"] and not asked:
        return "nobody signed the head: compare its digest with one that you trust"
    if asked and head["key"] != asked:
        raise Broken(f"the head is signed with {head['key'] or 'no key'}")
    message = b"stratctl/head/v1\0" + canonical({k: head[k] for k in head if k != "signature"})
    keys = base64.b64decode(head["key"]), base64.b64decode(head["signature"])
    if not signature_holds(*keys, message):
        raise Broken("the signature of the head does not fit it")
    return f"the head is signed with {head['key']}" + ("" if asked else ", which is yours to know")


def check_entry(said: dict[str, Any], head: dict[str, Any]) -> list[Any]:
    """That an entry is in the journal of this head, and each shown row in the entry: the rows."""
    entry = said["entry"]
    covered = {key: entry[key] for key in entry if key not in ("h", "rows", "body")}
    what = f"entry {entry['seq']}"
    if entry["h"] != sha256(canonical(covered)).hexdigest():
        raise Broken(f"{what} does not say what its hash says")
    root = proven(entry["h"].encode(), entry["seq"] - 1, head["entries"], said["proof"])
    if root != head["root"]:
        raise Broken(f"{what} is not proven to be in the journal")
    if "body" in entry and entry["body_sha256"] != sha256(entry["body"].encode()).hexdigest():
        raise Broken(f"{what} has another body")
    if "rows" in entry:
        if tree([canonical(row) for row in entry["rows"]]).hex() != entry["rows_root"]:
            raise Broken(f"{what} has other rows")
        return list(entry["rows"])
    for row in said.get("rows", ()):
        found = proven(canonical(row["row"]), row["place"], said["size"], row["proof"])
        if found != entry["rows_root"]:
            raise Broken(f"a row is not proven to be in {what}")
    shown = {row["place"]: row["row"] for row in said.get("rows", ())}
    if len(shown) != len(said.get("rows", ())):
        raise Broken(f"a row of {what} is shown twice")
    return list(shown.values())


def check(bundle: zipfile.ZipFile, asked: str = "") -> list[str]:
    """Everything in a bundle; what it proves, in lines. Raises Broken."""
    try:
        head, about = (json.loads(bundle.read(name)) for name in ("head.json", "bundle.json"))
        lines = [check_head(head, asked)]
        lines.append(f"realm {head['realm']}, environment {head['environment']}")
        lines.append(f"{head['entries']} entries at {head['at']}, the last {head['digest']}")
        moved: dict[tuple[str, str], list[int]] = {}
        before: dict[str, Any] = {}
        whole, first = True, 0
        ended: set[str] = set()
        for said in map(json.loads, bundle.read("entries.jsonl").splitlines()):
            entry, rows = said["entry"], check_entry(said, head)
            # What may be left out of an entry is fixed by a digest that stays in it.
            parts = {"rows_root": "rows", "body_sha256": "body"}
            shown = all(parts[key] in entry for key in parts if key in entry)
            whole = whole and shown and entry["prev"] == before.get("h", entry["prev"])
            if (about["complete"] and not whole) or entry["seq"] <= before.get("seq", 0):
                raise Broken(f"entry {entry['seq']} does not follow the one before it, whole")
            before, first = entry, first or entry["seq"]
            words = (str(entry.get(key, "")) for key in ("seq", "t", "type", "strategy", "verb"))
            lines += [" ".join(filter(None, (*words, canonical(row).decode()))) for row in rows]
            # An outcome may be written twice, and an adoption names no call.
            ends = entry["type"] in ("outcome", "adopted")
            ends = ends and entry.get("request_id") not in ended
            ended |= {entry["request_id"]} if entry["type"] == "outcome" else set()
            for row in rows if ends else ():
                sums = moved.setdefault((entry["strategy"], row["participant_code"]), [0, 0])
                if row.get("result") == "settled" and entry["verb"] in PLACE:
                    sums[PLACE[entry["verb"]]] += row["amount_minor"] or 0
                sums[0] += row.get("contributed_minor", 0)
                sums[1] += row.get("withdrawn_minor", 0)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise Broken(f"the bundle is not whole: {type(error).__name__} {error}") from error
    if whole and first:
        lines.append(f"every entry from {first} to {before.get('seq')}, whole")
    else:
        lines.append("some entries, or parts of them: there may be more about the same")
    for (strategy, code), (came, went) in sorted(moved.items()):
        lines.append(f"moved for {code} in {strategy}: {came} in, {went} out, in minor units")
    return [*lines, "everything in the bundle is proven"]


if __name__ == "__main__":
    try:
        with zipfile.ZipFile(sys.argv[1]) as file:
            # Nothing in a bundle may act on a terminal.
            print("\n".join(ascii(line)[1:-1] for line in check(file, *sys.argv[2:3])))
    except (Broken, zipfile.BadZipFile) as broken:
        sys.exit(f"BROKEN: {ascii(str(broken))[1:-1]}")
