"""Draw ``docs/plan.svg``: ``python -m tests.demo.picture``.

It is a real plan of the demo's change, made at a terminal of 100 columns. Two Strategies and what
changes from run to run (prices, digest, expiry) are cut out, and the picture says so.
"""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.demo.run import CHANGE, PROJECT, STRATCTL, Demo

PICTURE = PROJECT / "docs" / "plan.svg"
WIDTH = 100
TITLE = "$ stratctl plan"
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def main() -> None:
    """Apply the example set, bring the change, plan it, and draw what the terminal shows."""
    with tempfile.TemporaryDirectory(prefix="stratctl-picture-") as folder:
        demo = Demo(Path(folder))
        with contextlib.redirect_stdout(io.StringIO()):
            demo.copy_examples()
            sandbox = demo.start_sandbox()
        try:
            quietly(demo, "apply", "--auto-approve")
            demo.git("apply", str(CHANGE))
            demo.git("add", "--all")
            demo.git("commit", "--quiet", "--message", "November: SOL leaves, forty join")
            shown = at_a_terminal(demo, "plan")
        finally:
            sandbox.send_signal(signal.SIGTERM)
            sandbox.wait(timeout=30)
    PICTURE.write_text(drawn(cut(shown.splitlines())), encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(PROJECT)}")


def quietly(demo: Demo, *words: str) -> None:
    """Run a command that nobody watches; it has to succeed."""
    quiet = subprocess.DEVNULL
    subprocess.run(
        (*STRATCTL, *words), cwd=demo.root, env=demo.environ, stdout=quiet, stderr=quiet, check=True
    )


def at_a_terminal(demo: Demo, *words: str) -> str:
    """What a command writes to a terminal, colours included."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        (*STRATCTL, *words),
        cwd=demo.root,
        env={**demo.environ, "COLUMNS": str(WIDTH), "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.DEVNULL,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            read = os.read(leader, 65_536)
        except OSError:  # the command is done, and its terminal is gone
            break
        if not read:
            break
        shown += read
    os.close(leader)
    assert process.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def cut(lines: list[str]) -> list[str]:
    """The first Strategy, the guards and the headline, and how much is left out between them."""
    words = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    first_ends = words.index("")
    guards = next(n for n, line in enumerate(words) if line.startswith("= guard"))
    prices = next(n for n, line in enumerate(words) if line.startswith("prices as of"))
    prices_end = next(n for n in range(prices + 1, len(words)) if not words[n].startswith(" "))
    digest = next(n for n, line in enumerate(words) if line.startswith("Digest: "))
    return [
        *lines[: first_ends + 1],
        dim(f"⋮ {guards - first_ends - 2} lines about two other Strategies are not shown here"),
        "",
        *lines[guards:prices],
        *lines[prices_end:digest],
        dim("⋮ nor are prices, digest and expiry"),
    ]


def dim(text: str) -> str:
    """Words of the picture, not of the plan."""
    return f"\x1b[2m{text}\x1b[0m"


def drawn(lines: list[str]) -> str:
    """The lines as a picture that needs no font from anywhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    picture = console.export_svg(title=TITLE, unique_id="plan")
    picture = re.sub(r"<!--.*?-->|@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    picture = picture.replace("Fira Code, monospace", FONTS)
    return "\n".join(line.rstrip() for line in picture.splitlines() if line.strip()) + "\n"


if __name__ == "__main__":
    main()
