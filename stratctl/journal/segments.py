"""A journal's bytes as files: closed segments, compressed, and the open one.

::

    00000001.jsonl.gz  00000002.jsonl.gz  …  journal.jsonl

Their contents one behind the other are the journal. A segment is closed between two entries, so
each of them is lines too. Where a store cannot close one in a single step, the open file stays
until the closed one is complete: then both hold the same entries, which count once.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence

from stratctl.core.errors import JournalTampered

FILE = "journal.jsonl"
"""The open segment."""

SEGMENT_BYTES = 1 << 20
"""An open segment of this size is closed before the next entry."""


def name_of(number: int) -> str:
    """The file of a closed segment, from 1."""
    return f"{number:08d}.jsonl.gz"


def close(lines: bytes) -> bytes:
    """What is in the file of a closed segment: the same bytes for the same lines."""
    # An apply waits for it, and most of a line are ids, which more effort does not make smaller.
    return gzip.compress(lines, compresslevel=1, mtime=0)


def join(closed: Sequence[bytes], opened: bytes) -> tuple[list[bytes], bytes]:
    """The lines of each closed segment, and those of the open one that are not among them.

    Raises JournalTampered for a closed segment that cannot be read and whose lines are not still
    open.
    """
    lines: list[bytes] = []
    for number, data in enumerate(closed, start=1):
        try:
            lines.append(gzip.decompress(data))
        except (OSError, EOFError, zlib.error) as error:
            if number == len(closed) and data and opened:
                # Not complete when its writer died: the open file still has all of it.
                break
            raise JournalTampered(
                f"the journal was changed: {name_of(number)} cannot be read",
                hint="restore the journal from a copy; nothing is applied with a changed journal",
            ) from error
    if opened and any(one.startswith(opened) for one in lines):
        # Closed while it was read, or by a writer that died before it emptied the open file.
        opened = b""
    return lines, opened
