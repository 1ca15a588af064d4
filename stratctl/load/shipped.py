"""Files that travel with the package: the schemas, the page about findings, and the verifier
of evidence.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def shipped(name: str) -> str:
    """The text of such a file, from the installed package or from the top of the repository."""
    packaged = resources.files("stratctl") / name
    if packaged.is_file():
        return packaged.read_text("utf-8")
    return (Path(__file__).resolve().parents[2] / name).read_text("utf-8")
