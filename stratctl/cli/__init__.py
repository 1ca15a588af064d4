"""The command line. Only here does anything talk to people.

Everything at the top of these modules is click and the standard library: ``stratctl --help`` must
answer at once, so whatever is heavier is imported inside the function that needs it.
"""

from __future__ import annotations

from stratctl.cli.running import main

__all__ = ["main"]
