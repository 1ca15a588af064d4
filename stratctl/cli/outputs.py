"""What a workflow's later steps read: $GITHUB_OUTPUT."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def write_outputs(outputs: Mapping[str, str]) -> None:
    """Append to the file that $GITHUB_OUTPUT names; without it, do nothing."""
    target = os.environ.get("GITHUB_OUTPUT")
    if not target:
        return
    with Path(target).open("a", encoding="utf-8") as file:
        for name, value in outputs.items():
            file.write(_assignment(name, value))


def _assignment(name: str, value: str) -> str:
    """One output. No value can end itself and set another one.

    A value of several lines stands between two marks that nobody can guess.
    """
    if len(value.splitlines()) <= 1 and not value.endswith(("\r", "\n")):
        return f"{name}={value}\n"
    mark = f"end-{secrets.token_hex(16)}"
    return f"{name}<<{mark}\n{value}\n{mark}\n"
