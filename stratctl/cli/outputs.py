"""What a workflow's later steps read: $GITHUB_OUTPUT."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def write_outputs(outputs: Mapping[str, str]) -> None:
    """Append to the file that $GITHUB_OUTPUT names; without it, do nothing.

    Each value stands between two lines that nobody can guess, so that no value can end itself
    and set another output.
    """
    target = os.environ.get("GITHUB_OUTPUT")
    if not target:
        return
    with Path(target).open("a", encoding="utf-8") as file:
        for name, value in outputs.items():
            mark = f"end-{secrets.token_hex(16)}"
            file.write(f"{name}<<{mark}\n{value}\n{mark}\n")
