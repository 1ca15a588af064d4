"""The import linter on another tree, in a process that has not imported ours."""

from __future__ import annotations

import contextlib
import io
import os

from importlinter.cli import lint_imports


def run(folder: str) -> str:
    """What the linter says about a tree; nothing is kept for the next one."""
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        lint_imports(no_cache=True, no_logo=True)
    return said.getvalue()
