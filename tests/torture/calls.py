"""The n-th system call of a kind fails, or is the last one of its process."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tests.replaced import replaced

T = TypeVar("T")

ERRORS = {
    "write": errno.ENOSPC,
    "short": 0,
    "fsync": errno.EIO,
    "rename": errno.EACCES,
    "open": errno.EMFILE,
}
"""What may fail, and how it says so; a short write says nothing and writes the half."""


class Counted:
    """Counts the calls of one kind, and lets one of them fail."""

    def __init__(self, kind: str, number: int) -> None:
        self.kind = kind
        self.number = number
        self.count = 0

    def meets(self, kind: str) -> bool:
        """Count one more; whether it is the one."""
        self.count += kind == self.kind
        return kind == self.kind and self.count == self.number

    def failing(self, kind: str, call: Callable[..., T]) -> Callable[..., T]:
        """The same function, which fails once."""

        def counted(*given: Any, **named: Any) -> T:
            if self.meets(kind):
                raise OSError(ERRORS[kind], os.strerror(ERRORS[kind]))
            return call(*given, **named)

        return counted

    def writing(self, call: Callable[..., int]) -> Callable[..., int]:
        """The same for what writes: it may also write the half and say so."""

        def counted(where: Any, data: bytes, *given: Any) -> int:
            data = bytes(data)
            if self.meets("short"):
                return call(where, data[: len(data) // 2], *given)
            return write(where, data, *given)

        write = self.failing("write", call)
        return counted


@contextlib.contextmanager
def failing(kind: str, number: int, told: str) -> Iterator[None]:
    """In this context the ``number``-th call of a kind fails. How many there were until the end is
    written into the file ``told``."""
    counted = Counted(kind, number)
    raw_write = counted.writing(io.FileIO.write)
    real_open = io.open

    class Raw(io.FileIO):
        def write(self, data: Any, /) -> int:
            return raw_write(self, data)

    def opened(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        """As Python opens files, but what is written goes through ``Raw``."""
        if "b" in mode and mode.strip("b") in ("w", "x", "a"):
            return io.BufferedWriter(Raw(file, mode.replace("b", "")))
        return real_open(file, mode, *given, **named)

    failing_open = counted.failing("open", opened)

    def opens(file: Any, *given: Any, **named: Any) -> Any:
        """A number is of a file that was opened before."""
        return (opened if isinstance(file, int) else failing_open)(file, *given, **named)

    with contextlib.ExitStack() as stack:
        # Pushed first and so done last, when nothing is counted any more.
        stack.callback(lambda: _tell(told, counted.count))
        for owner, name, value in (
            (os, "write", counted.writing(os.write)),
            (os, "pwrite", counted.writing(os.pwrite)),
            (os, "fsync", counted.failing("fsync", os.fsync)),
            (os, "rename", counted.failing("rename", os.rename)),
            (os, "replace", counted.failing("rename", os.replace)),
            (os, "open", counted.failing("open", os.open)),
            (io, "open", opens),
            (builtins, "open", opens),
        ):
            stack.enter_context(replaced(owner, name, value))
        yield


@contextlib.contextmanager
def dying(how: str, number: int) -> Iterator[None]:
    """Die at the ``number``-th append to the journal, counted from 1: half way (``torn``), when it
    is durable (``written``), or when what follows from it was done and is not yet written down
    (``next``)."""
    write, sync = os.write, os.fsync
    count = 0

    def dies(moment: str) -> None:
        if (how, number) == (moment, count):
            os.kill(os.getpid(), signal.SIGKILL)

    def dying_write(file: int, data: bytes) -> int:
        nonlocal count
        dies("next")
        count += 1
        if (how, number) == ("torn", count):
            write(file, data[: len(data) // 2])
            dies("torn")
        return write(file, data)

    def dying_sync(file: int) -> None:
        sync(file)
        dies("written")

    with replaced(os, "write", dying_write), replaced(os, "fsync", dying_sync):
        yield


def _tell(told: str, count: int) -> None:
    Path(told).write_text(str(count), encoding="ascii")
