"""The main job, watched: ``make demo``.

Works on a copy of the example set in a temporary directory, against a real local provider on a
free port, with the commands that anybody would type. Each command is shown before it runs. Exits
with 1 at the first thing that does not go as it says.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CHANGE = Path(__file__).with_name("change.patch")
STRATCTL = (sys.executable, "-m", "stratctl")
CREDENTIALS = Path(".stratctl", "credentials")
PARTICIPANTS = 5_040
"""What the example set and the change name together."""


class Demo:
    """One run, in one copy of the examples, beside one sandbox."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STRATCTL_", "GIT_")) and name != "CI"
        }
        self.environ |= {
            "GIT_AUTHOR_NAME": "A reviewer",
            "GIT_AUTHOR_EMAIL": "reviewer@example.com",
            "GIT_COMMITTER_NAME": "A reviewer",
            "GIT_COMMITTER_EMAIL": "reviewer@example.com",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    def run(self) -> None:
        """The whole story."""
        self.say("Declared are three Strategies and 5,000 participants: YAML, CSV and Parquet.")
        self.stratctl("validate")

        self.say("Plan: what would happen, in calls and in money. Planning cannot write.")
        self.stratctl("plan", "--out", "plan.zip", expect=2, flags=("--detailed-exitcode",))

        self.say("Apply exactly that plan. Every call is written down before it is sent.")
        self.stratctl("apply", "plan.zip")

        self.say("Plan again: live is as declared, so there is nothing to do.")
        self.stratctl("plan", "--detailed-exitcode")

        self.say(
            "A change, as a pull request would bring it: new weights that let SOL go, forty new",
            "participants, a payroll for 250, three exits, and the acknowledgement they need.",
        )
        self.git("apply", str(CHANGE))
        self.git("add", "--all")
        self.show("git", "diff", "--cached", "--stat")
        self.git("commit", "--quiet", "--message", "November: SOL leaves, forty join")

        self.say("Plan the difference, and nothing but the difference.")
        self.stratctl("plan", "--out", "plan.zip", expect=2, flags=("--detailed-exitcode",))

        self.say("Apply it: exits, top-ups and enrolments first, then, on fresh reads, rebalances.")
        self.stratctl("apply", "plan.zip")

        self.say("Plan again: nothing to do. The three exits and SOL are gone.")
        self.stratctl("plan", "--detailed-exitcode")
        self.stratctl("status")

        self.say("The audit log: every intent, answer and trade, in a chain that shows tampering.")
        self.stratctl("audit", "verify")

    def say(self, *lines: str) -> None:
        """Plain words about what comes next."""
        print("\n" + "\n".join(f"# {line}" for line in lines), flush=True)

    def copy_examples(self) -> None:
        """The project's own examples, as somebody's repository."""
        shutil.copytree(PROJECT / "strategies", self.root / "strategies")
        for name in ("stratctl.yaml", "policy.yaml", ".gitignore"):
            shutil.copy(PROJECT / name, self.root / name)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Three Strategies, 5,000 participants")

    def stratctl(self, *words: str, expect: int = 0, flags: tuple[str, ...] = ()) -> None:
        """Show and run one command; its exit code is part of the story."""
        self.show(*STRATCTL, *words, *flags, expect=expect, shown=("stratctl", *words, *flags))

    def show(self, *command: str, expect: int = 0, shown: tuple[str, ...] | None = None) -> None:
        """Run a command where everybody can see it."""
        print("\n$ " + " ".join(shown or command), flush=True)
        done = subprocess.run(command, cwd=self.root, env=self.environ, check=False)
        if done.returncode != expect:
            sys.exit(f"exited with {done.returncode}, not with {expect}")

    def git(self, *words: str) -> None:
        """Git without a show."""
        subprocess.run(("git", *words), cwd=self.root, env=self.environ, check=True)

    def start_sandbox(self) -> subprocess.Popen[str]:
        """The local provider, on a free port, ready when this returns."""
        options = {"port": 0, "participants": PARTICIPANTS, "credentials": CREDENTIALS}
        words = ["sandbox"]
        for name, value in options.items():
            words += [f"--{name}", str(value)]
        print("$ " + " ".join(["stratctl", *words]) + " &", flush=True)
        sandbox = subprocess.Popen(
            (*STRATCTL, *words),
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert sandbox.stdout is not None
        line = sandbox.stdout.readline()
        print(f"the sandbox listens on {json.loads(line)['endpoint']}")
        for line in (self.root / CREDENTIALS).read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            self.environ[name] = value
        return sandbox


def main() -> None:
    """Run the story between starting and stopping the sandbox."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stratctl-demo-") as folder:
        demo = Demo(Path(folder))
        demo.copy_examples()
        demo.say("A local provider that behaves like zerohash, in a process of its own.")
        sandbox = demo.start_sandbox()
        try:
            demo.run()
        finally:
            sandbox.send_signal(signal.SIGTERM)
            sandbox.wait(timeout=30)
    demo.say(
        "Done: 5,040 people were enrolled, 250 topped up, three sold out and two baskets moved",
        "to new weights, each exactly once, and the log says so. The sandbox is stopped, its",
        f"directory is gone, and this took {time.monotonic() - began:.0f} seconds.",
    )


if __name__ == "__main__":
    main()
