"""What a search found: told apart, made small, written down, and played back.

    python -m tests.fuzz.findings TARGET FILE...

plays files back and says what is wrong with them; the exit code is 1 when something is. With
``--smaller`` first, the files are made as small as their trouble allows.
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.declare.world import ROOT
from tests.fuzz.limits import Costly
from tests.fuzz.oracles import Wrong
from tests.fuzz.targets import TARGETS, Target

CORPUS = ROOT / "tests" / "fuzz" / "corpus"
"""Inputs that were found once, and some that reach far; ``make test`` plays them back."""
WORK = ROOT / "build" / "fuzz"
"""What a search keeps for the next one, and what it found. Nothing in it is checked in."""

MINIMISE_SECONDS = 20


@dataclass(frozen=True)
class Trouble:
    """What is wrong with an input. Inputs with the same ``name`` are taken for the same mistake."""

    name: str
    said: str


def trouble(target: Target, data: bytes) -> Trouble | None:
    """What is wrong with the answer to an input, if anything is."""
    try:
        target.check(data)
    except Exception as error:  # noqa: BLE001 - whatever escapes a reader is what is looked for
        return Trouble(_name(error), f"{type(error).__name__}: {error}")
    return None


def _name(error: Exception) -> str:
    """The broken promise; for what escaped, its type and the innermost function that it left."""
    if isinstance(error, Costly):
        words = "costly"
    elif isinstance(error, Wrong):
        words = str(error).partition(":")[0]
    else:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/stratctl/" in frame.filename]
        last = ours[-1] if ours else frames[-1]
        words = f"{type(error).__name__} {Path(last.filename).stem} {last.name}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:60]


def minimised(target: Target, data: bytes, name: str) -> bytes:
    """A smaller input with the same trouble: parts are left out while it stays."""
    deadline = time.monotonic() + MINIMISE_SECONDS
    size = max(1, len(data) // 2)
    while size:
        for smaller in _without_a_part(data, size):
            if time.monotonic() > deadline:
                return data
            found = trouble(target, smaller)
            if found is not None and found.name == name:
                data = smaller
                break
        else:
            size //= 2
    return data


def _without_a_part(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[:start] + data[start + size :]


def keep(target: Target, name: str, data: bytes) -> Path:
    """Write an input down where the search reports from, under the name of its trouble."""
    path = WORK / "found" / target.name / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def main(arguments: list[str]) -> int:
    """Play files back."""
    smaller = arguments[0] == "--smaller"
    name, *files = arguments[smaller:]
    target, troubles = TARGETS[name], 0
    for file in map(Path, files):
        found = trouble(target, file.read_bytes())
        troubles += found is not None
        if found and smaller:
            file.write_bytes(minimised(target, file.read_bytes(), found.name))
        print(f"{file}: {found.said if found else 'nothing is wrong'}")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
