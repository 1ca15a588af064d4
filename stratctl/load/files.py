"""The project's folder: which files count, how each is opened, and what was in it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.errors import UsageError
from stratctl.documents import problem

PROJECT_FILE = "stratctl.yaml"
STRATEGIES = "strategies"
YAML_SUFFIXES = (".yaml", ".yml")

_PLAIN_PATH = re.compile(r"[^\x00-\x1f\\:*?\[\]{}~%$|<>\"']+")
"""No drive, URL, home, escape, variable or pattern: only the name of a file."""


def find_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds a project file. Raises UsageError."""
    resolved = start.resolve()
    for folder in (resolved, *resolved.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise UsageError(
        f"there is no {PROJECT_FILE} in {resolved} or above it",
        hint="stratctl init makes one",
    )


def listing(root: Path, names: Iterable[str]) -> frozenset[str]:
    """Every file under ``strategies/`` and beside the named ones, as the folders spell them.

    What begins with a dot is left out, and links to folders are not entered.
    """
    folders = {str(PurePosixPath(name).parent) for name in names}
    for folder, below, _ in os.walk(root / STRATEGIES):
        below[:] = [name for name in below if not name.startswith(".")]
        folders.add(Path(folder).relative_to(root).as_posix())
    return frozenset(
        str(PurePosixPath(folder) / entry.name)
        for folder in folders
        for entry in _entries(root / folder)
        if not entry.name.startswith(".") and entry.is_file()
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return list(found)


class Refused(Exception):
    """A file that is not read, and why; it becomes a finding where the file was named."""

    def __init__(self, code: str, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint

    def at(self, span: Span) -> Diagnostic:
        return problem(self.code, self.detail, span, self.hint)


@dataclass(frozen=True)
class Held:
    """A file while it is held: its path for an engine, its bytes for whoever checks them."""

    path: Path
    stream: BinaryIO


class Folder:
    """The files under one project root. Each is read once; ``digests`` remembers what was in it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.digests: dict[str, str] = {}

    def documents(self) -> list[str]:
        """Every YAML file under ``strategies/``, ascending; what begins with a dot is left out."""
        found: list[str] = []
        for folder, folders, files in os.walk(self.root / STRATEGIES):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            # A linked folder is not entered; it is listed, so that it is refused and not forgotten.
            linked = [name for name in folders if (Path(folder) / name).is_symlink()]
            within = PurePosixPath(Path(folder).relative_to(self.root).as_posix())
            found.extend(
                str(within / name)
                for name in files
                if name.endswith(YAML_SUFFIXES) and not name.startswith(".")
            )
            found.extend(str(within / name) for name in linked)
        return sorted(found)

    def named(self, path: str, by: str, *, pattern: bool = False) -> str:
        """The file that a document names, relative to the root. Raises Refused.

        ``by`` is the file that names it: paths are relative to that. With ``pattern`` there may be
        a * in its name.
        """
        pure = PurePosixPath(path)
        plain = f"{pure.parent}/{pure.name.replace('*', 'x')}" if pattern else path
        if pure.is_absolute() or not _PLAIN_PATH.fullmatch(plain):
            hint = "name a file under the project, relative to this file, with / between folders"
            raise Refused("E_INCLUDE_OUTSIDE", f"{path!a} is not a plain relative path", hint)
        steps: list[str] = []
        for step in (*PurePosixPath(by).parent.parts, *pure.parts):
            if step != "..":
                steps.append(step)
            elif steps:
                steps.pop()
            else:
                hint = "copy the file into the project"
                raise Refused("E_INCLUDE_OUTSIDE", f"{path!a} climbs out of the project", hint)
        if not steps:
            hint = "name a file, relative to this one"
            raise Refused("E_INCLUDE_NOT_REGULAR", f"{path!a} is the project's folder", hint)
        return "/".join(steps)

    def matching(self, path: str, by: str) -> list[str]:
        """The files that a document names, ascending: one, or those that a * in its name matches.

        What begins with a dot is never meant. Raises Refused, also where nothing matches.
        """
        within, _, last = self.named(path, by, pattern=True).rpartition("/")
        if "*" not in last:
            return [f"{within}/{last}" if within else last]
        wanted = re.compile(".*".join(map(re.escape, last.split("*"))), re.DOTALL)
        try:
            names = os.listdir(self._real(within))
        except OSError as error:
            detail, hint = f"{within}: {error.strerror}", "name a folder that is there"
            raise Refused("E_FILE_MISSING", detail, hint) from error
        found = [name for name in names if wanted.fullmatch(name) and not name.startswith(".")]
        if not found:
            hint = "a source that matches nothing is a mistake, never an empty one"
            raise Refused("E_FILE_MISSING", f"no file in {within or '.'} matches {last}", hint)
        for name in found:
            if not name.isprintable():
                detail = f"{name!a} has letters that nobody can see"
                raise Refused("E_INCLUDE_OUTSIDE", detail, "rename it, or match fewer files")
        return [self.named(name, f"{within}/{last}") for name in sorted(found)]

    def read(self, name: str, bytes_max: int = -1) -> bytes:
        """The bytes of a file, or the first ``bytes_max`` of them. Raises Refused."""
        with self._opened(name) as descriptor, os.fdopen(os.dup(descriptor), "rb") as stream:
            data = stream.read(bytes_max)
        self.digests[name] = hashlib.sha256(data).hexdigest()
        return data

    @contextmanager
    def held(self, name: str) -> Iterator[Held]:
        """A file that another reader opens by its path; Refused if it changes meanwhile."""
        with self._opened(name) as descriptor:
            before = os.fstat(descriptor)
            path = self._real(name)
            with os.fdopen(os.dup(descriptor), "rb") as stream:
                self.digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
                stream.seek(0)
                yield Held(path, stream)
            if _identity(path.stat()) != _identity(before):
                hint = "run again when nobody writes to it"
                raise Refused("E_FILE_CHANGED", f"{name} is not what it was a moment ago", hint)

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        try:
            # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
            descriptor = os.open(self._real(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError as error:
            hint = _otherwise_spelt(self.root / name)
            hint = hint or "paths are relative to the file that names them"
            raise Refused("E_FILE_MISSING", f"there is no {name}", hint) from error
        except OSError as error:
            detail, hint = f"{name}: {error.strerror}", "put a plain, readable file there"
            raise Refused("E_INCLUDE_NOT_REGULAR", detail, hint) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                detail, hint = f"{name} is not a regular file", "put a plain file there"
                raise Refused("E_INCLUDE_NOT_REGULAR", detail, hint)
            yield descriptor
        finally:
            os.close(descriptor)

    def _real(self, name: str) -> Path:
        """Where a name leads when every link is followed; never out of the project."""
        try:
            real = (self.root / name).resolve()
        except (RuntimeError, OSError) as error:
            detail, hint = f"{name} is a link that leads nowhere", "put a plain file there"
            raise Refused("E_INCLUDE_NOT_REGULAR", detail, hint) from error
        if not real.is_relative_to(self.root):
            hint = "copy the file into the project"
            raise Refused("E_INCLUDE_OUTSIDE", f"{name} is a link that leaves the project", hint)
        return real


def _otherwise_spelt(path: Path) -> str:
    """A hint when the file is there under another case, as systems that ignore case would find."""
    if not path.parent.is_dir():
        return ""
    names = sorted(entry.name for entry in _entries(path.parent))
    there = [name for name in names if name.casefold() == path.name.casefold()]
    return f"there is {there[0]}: upper and lower case count" if there else ""


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
