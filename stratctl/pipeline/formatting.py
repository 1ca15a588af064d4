"""From files to their canonical text and back; nothing is written that says something else."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratctl import fmt
from stratctl.core.diagnostic import Span
from stratctl.core.errors import UsageError
from stratctl.core.report import Formatted
from stratctl.documents import Node
from stratctl.documents.grammar import Doubtful, source_text
from stratctl.load import document_files, find_root
from stratctl.load.files import Folder, Refused
from stratctl.load.yaml import read_yaml


@dataclass(frozen=True)
class Target:
    """A file to format: the folder that it must not leave, its name there, and how it is shown."""

    folder: Path
    name: str
    shown: str


def targets(root: Path | None, paths: Sequence[Path]) -> Iterator[Target]:
    """The files that are meant, each once: every document of the project when nothing is named.

    A folder means the documents of its project that are in it, because other tools keep YAML of
    their own beside them; a file means itself. Raises UsageError.
    """
    if not paths:
        assert root is not None, "without paths there is a project"
        paths = [root]
    seen: set[Path] = set()
    for path in paths:
        for folder, name in _within(path) if path.is_dir() else [_alone(path, root)]:
            file = folder / name
            if file not in seen:
                seen.add(file)
                yield Target(folder, name, name if folder == root else str(path))


def _within(path: Path) -> list[tuple[Path, str]]:
    root, top = find_root(path), path.resolve()
    names = [name for name in document_files(root) if (root / name).is_relative_to(top)]
    if not names:
        hint = f"documents of {root} are its project file, its policy, and strategies/**/*.yaml"
        raise UsageError(f"no document of a project is in {path}", hint=hint)
    return [(root, name) for name in names]


def _alone(path: Path, root: Path | None) -> tuple[Path, str]:
    folder = path.parent.resolve()
    if root and folder.is_relative_to(root):
        return root, (folder / path.name).relative_to(root).as_posix()
    return folder, path.name


def format_file(target: Target) -> Formatted:
    """One file and its canonical text; findings, when it cannot be read."""
    try:
        data = Folder(target.folder).read(target.name)
    except Refused as refused:
        return Formatted(target.shown, problems=(refused.at(Span(target.shown)),))
    return format_bytes(data, target.shown)


def format_bytes(
    data: bytes, name: str, *, formatted: Callable[[str], str] = fmt.formatted
) -> Formatted:
    """The canonical text of some bytes; findings, when they cannot be read.

    What comes out is read back: a formatter that changed a value or lost a comment is a bug, and
    its text goes nowhere.
    """
    reading = read_yaml(data, name)
    if reading.problems:
        return Formatted(name, problems=tuple(reading.problems))
    before = data.decode("utf-8")
    plain = before.replace("\r\n", "\n")
    after = formatted(plain)
    again = read_yaml(after.encode(), name)
    if [found.code for found in again.problems] == ["E_FILE_SIZE"]:
        return Formatted(name, problems=tuple(again.problems))
    if _meaning(reading.documents) != _meaning(again.documents):
        raise AssertionError(f"formatting {name} would change what it says")
    if fmt.comments(plain) != fmt.comments(after):
        raise AssertionError(f"formatting {name} would lose a comment")
    return Formatted(name, before, after)


def _meaning(value: Any) -> Any:
    """What a value says to everything that reads it, without its place."""
    if isinstance(value, Node):
        return {key: _meaning(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_meaning(inner) for inner in value]
    return type(value), source_text(value), value.reading if isinstance(value, Doubtful) else ""


def write(target: Target, text: str) -> None:
    """Put a text in the place of a file, whole or not at all; its mode stays. Raises UsageError."""
    path = (target.folder / target.name).resolve()
    try:
        descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(path, partial)
            os.replace(partial, path)
        finally:
            Path(partial).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{target.shown} cannot be written: {error.strerror}",
            hint="it is as it was; see to its folder, then run again",
        ) from error
