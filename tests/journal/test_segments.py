"""Closed segments of a journal: what a writer leaves that dies while it closes one."""

import contextlib
import gzip
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from stratctl.core.errors import JournalTampered, JournalUnavailable
from stratctl.journal import directory
from stratctl.journal.chain import read
from stratctl.journal.directory import Directory
from stratctl.journal.merkle import root
from stratctl.journal.segments import close, join
from stratctl.journal.store import Journal, open_journal, read_journal
from tests.journal.story import ENVIRONMENT, REALM, Clock, everything
from tests.journal.test_store import FailingDisk


def opened(at: Path, **more: FailingDisk) -> Journal:
    """The journal, locked."""
    return open_journal(at, ENVIRONMENT, REALM, clock=Clock(), run="r", **more)


@pytest.mark.parametrize("how", ["error", "short"])
@pytest.mark.parametrize("fail_at", range(4, 14))
def test_whatever_fails_while_a_segment_is_closed_nothing_is_lost(
    fail_at: int, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each entry that had a receipt is read once, in its place, and the journal goes on."""
    told = everything()
    with opened(tmp_path) as journal:
        journal.append_all(told[:20])
    monkeypatch.setattr(directory, "SEGMENT_BYTES", 1000)
    kept = 20
    journal = opened(tmp_path, disk=FailingDisk(fail_at, how))
    with contextlib.suppress(JournalUnavailable):
        for event in told[20:23]:
            journal.append(event)
            kept += 1
    journal.close()
    before = [e.event for e in read_journal(tmp_path, ENVIRONMENT).entries()[1:]]
    assert before in (told[:kept], told[: kept + 1])
    with opened(tmp_path) as journal:
        journal.append_all(told[len(before) :])
    assert [e.event for e in read_journal(tmp_path, ENVIRONMENT).entries()[1:]] == told


def test_a_tail_is_torn_off_the_open_segment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many bytes are closed before it."""
    monkeypatch.setattr(directory, "SEGMENT_BYTES", 1000)
    told = everything()
    with opened(tmp_path) as journal:
        for event in told[:10]:
            journal.append(event)
    home = tmp_path / ENVIRONMENT
    whole = Directory(home).read()
    with (home / "journal.jsonl").open("ab") as file:
        file.write(b'{"torn')
    with opened(tmp_path) as journal:
        assert [w.code for w in journal.warnings] == ["W_TORN_TAIL"]
    assert Directory(home).read() == whole
    (home / "journal.jsonl").write_bytes(b"")
    closed = sorted(home.glob("*.gz"))
    closed[-1].write_bytes(close(gzip.decompress(closed[-1].read_bytes())[:-9]))
    with pytest.raises(JournalTampered, match="closed segment is torn"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
        lambda data: b"plain",
        lambda data: data + b"more",
    ],
    ids=["short", "flipped", "not compressed", "longer"],
)
def test_a_closed_segment_that_was_changed_is_tampering(change: Callable[[bytes], bytes]) -> None:
    """Unless its lines still stand in the open one."""
    first, second = b"1\n2\n", b"3\n"
    assert join([close(first), close(second)], b"4\n") == ([first, second], b"4\n")
    with pytest.raises(JournalTampered, match=r"00000001\.jsonl\.gz cannot be read"):
        join([change(close(first)), close(second)], b"4\n")
    with pytest.raises(JournalTampered, match=r"00000001\.jsonl\.gz cannot be read"):
        join([change(close(first))], b"")
    assert join([change(close(first))], first) == ([], first)
    assert join([close(first)], first) == ([first], b"")


def test_a_segment_that_is_lacking_is_tampering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain does not go on over the gap."""
    monkeypatch.setattr(directory, "SEGMENT_BYTES", 1000)
    with opened(tmp_path) as journal:
        for event in everything()[:10]:
            journal.append(event)
    (tmp_path / ENVIRONMENT / "00000001.jsonl.gz").unlink()
    with pytest.raises(JournalTampered):
        read(Directory(tmp_path / ENVIRONMENT).read())


@pytest.mark.parametrize("size", range(1, 18))
def test_the_digest_of_rows_is_the_tree_of_rfc_6962(size: int) -> None:
    """As its section 2.1 defines it, by recursion."""
    leaves = [bytes([number]) for number in range(size)]

    def head(part: list[bytes]) -> bytes:
        if len(part) == 1:
            return sha256(b"\0" + part[0]).digest()
        middle = 1 << ((len(part) - 1).bit_length() - 1)
        return sha256(b"\1" + head(part[:middle]) + head(part[middle:])).digest()

    assert root(leaves) == head(leaves).hex()
    assert root([]) == sha256(b"").hexdigest()
