"""Files that commands write for people: schemas, a new project."""

from __future__ import annotations

from pathlib import Path


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file, and make the folders above it. Raises UsageError."""
    from stratctl.core.errors import UsageError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="name a folder of your own"
        ) from error
