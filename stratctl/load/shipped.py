"""Files that travel with the package: the schemas, the page about findings, and the verifier
of evidence.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from stratctl.core.errors import StratctlError


def shipped(name: str) -> str:
    """The text of such a file, from the installed package or from the top of the repository.
    Raises StratctlError."""
    packaged = resources.files("stratctl") / name
    try:
        if packaged.is_file():
            return packaged.read_text("utf-8")
        return (Path(__file__).resolve().parents[2] / name).read_text("utf-8")
    except OSError as error:
        raise StratctlError(
            f"a file that stratctl came with cannot be read: {name}: {error.strerror}",
            hint="too many files may be open; or install stratctl again",
        ) from error
