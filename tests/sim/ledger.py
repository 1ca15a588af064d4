"""A journal as somebody sees it who keeps an eye on its bytes, and shares no code with it.

Each whole line is read once, when it has become durable: it must follow the line before it and say
what its hash says, and nothing that stood there may ever be gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

Line = dict[str, Any]

REFUSALS = ("refused", "access_refused", "not_found", "not_sent")
COMMITS = ("committed", "slot_taken")
TRADING = ("enroll", "top_up", "partial_sell", "rebalance", "liquidate")


class Broken(Exception):
    """What is wrong with a journal, and in which line."""


@dataclass
class Call:
    """What a journal says of one intent, from its binding to its end."""

    intent: Line
    run: str
    attempts: dict[int, int] = field(default_factory=dict)
    """number -> signed at"""
    answers: dict[int, str] = field(default_factory=dict)
    operation_id: str = ""
    outcome: Line | None = None
    abandoned: Line | None = None

    @property
    def digest(self) -> str:
        return str(self.intent["body_sha256"])

    @property
    def in_doubt(self) -> bool:
        return any(self.answers.get(number) not in REFUSALS for number in self.attempts)

    @property
    def ended(self) -> bool:
        """RESULT, REFUSED or ABANDONED. What only sets a value ends with its answer."""
        if self.outcome is not None or self.abandoned is not None:
            return True
        verb = self.intent["verb"]
        return bool(self.operation_id) if verb not in TRADING else False


class Ledger:
    """The durable lines of one journal."""

    def __init__(self) -> None:
        self.data = b""
        self.lines: list[Line] = []
        self.calls: dict[str, list[Call]] = {}
        """request id -> its bindings, the newest last"""
        self.adopted: set[str] = set()
        self.recorded: dict[str, str] = {}
        """execution id -> the request id whose outcome recorded it"""
        self.halted = False
        self._whole = 0
        self._prev = "0" * 64

    def follow(self, data: bytes) -> list[Line]:
        """The lines that have become durable since the last look. Raises Broken."""
        if data is self.data:
            return []
        if data[: self._whole] != self.data[: self._whole]:
            raise Broken(f"{self._whole} durable bytes are not there any more")
        fresh = []
        while (end := data.find(b"\n", self._whole)) >= 0:
            fresh.append(self._take(data[self._whole : end]))
            self._whole = end + 1
        self.data = data
        return fresh

    def __iter__(self) -> Iterator[Call]:
        for bindings in self.calls.values():
            yield from bindings

    def call(self, request_id: str) -> Call | None:
        """The newest binding of an id."""
        return self.calls[request_id][-1] if request_id in self.calls else None

    def knows(self, request_id: str) -> bool:
        """Whether an Operation with this id has an intent or an adoption here."""
        return request_id in self.calls or request_id in self.adopted

    def _take(self, raw: bytes) -> Line:
        seq = len(self.lines) + 1
        try:
            line: Line = json.loads(raw)
            covered = {key: line[key] for key in line if key not in ("h", "rows", "body")}
            fits = line["h"] == sha256(_canonical(covered)).hexdigest() and raw == _canonical(line)
            follows = (line["seq"], line["prev"]) == (seq, self._prev)
        except (ValueError, KeyError, TypeError) as error:
            raise Broken(f"line {seq} is no entry") from error
        if not fits or not follows:
            raise Broken(f"line {seq} does not {'follow' if fits else 'say what its hash says'}")
        self._prev = line["h"]
        self.lines.append(line)
        self._hear(line)
        return line

    def _hear(self, line: Line) -> None:
        kind, request_id = line["type"], line.get("request_id", "")
        if kind == "intent":
            bindings = self.calls.setdefault(request_id, [])
            last = bindings[-1] if bindings else None
            again = last is not None and last.abandoned is None and last.intent["slot"] is not None
            if not again and not (last is not None and not last.ended):
                bindings.append(Call(line, line["run"]))
        elif kind == "adopted":
            for each in line["operations"]:
                self.adopted |= {each["request_id"], each["operation_id"]} - {""}
        elif kind in ("halt", "resume"):
            self.halted = kind == "halt" and not line["exits_only"]
        elif request_id in self.calls and kind in ("attempt", "answer", "outcome", "abandoned"):
            self._tell(self.calls[request_id][-1], kind, line)

    def _tell(self, call: Call, kind: str, line: Line) -> None:
        if kind == "attempt":
            call.attempts[line["number"]] = line["signed_at"]
        elif kind == "answer":
            if line["answer"] in COMMITS:
                call.operation_id = line["resource_id"]
            if line["number"]:
                call.answers[line["number"]] = line["answer"]
        elif kind == "abandoned":
            call.abandoned = line
        else:
            call.outcome = call.outcome or line


def _canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode()
