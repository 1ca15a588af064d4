"""An apply of a large book as a whole process: what it takes besides the provider and the network.

A sandbox without latency, whose Operations end at once, serves over loopback from a process of its
own. Everybody is new, in one Strategy of three assets, in calls of 1,000. The plan is saved first,
in another process; measured is ``stratctl apply plan.zip`` from start to end.

*Outside the server and the network* is the time of that process in which no request was under way:
neither being written, nor waited for, nor being read. A request is under way from when it is given
to the HTTP library until the last byte of its answer was read. Limits: a quarter of all the time,
and 1 GiB.

``python benchmarks/apply_book.py 1000000`` enrols a million. Exits with 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.live_pages import serving
from benchmarks.made.book import POLICY, PROJECT, STRATEGY

ENROLMENTS = 20_000
CALL = 1_000
OUTSIDE_MAX = 0.25
MIB_MAX = 1_024
INSTANT = ("validating_ms=0", "pricing_ms=0", "settling_ms=0")


def main() -> None:
    """Apply, print what it took, and fail when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("enrolments", type=int, nargs="?", default=ENROLMENTS)
    options = parser.parse_args()
    sys.exit(not whole(options.enrolments))


def whole(enrolments: int) -> bool:
    """One apply of everybody, from start to end."""
    with provided(enrolments) as (root, environ):
        run(["plan", "--out", "plan.zip"], root, environ)
        said = applied(root, environ)
    outside = 1 - said["waited"] / said["wall"]
    before = said["before"] - said["waited_before"]
    print(
        f"{enrolments:,} enrolments: {said['wall']:.1f} s, {said['cpu']:.1f} s of CPU,"
        f" {said['requests']:,} requests; outside the server and the network {outside:.0%} (limit"
        f" {OUTSIDE_MAX:.0%}), of which {before:.1f} s before the first POST;"
        f" peak {said['mib']:.0f} MiB (limit {MIB_MAX:,}), {said['mib_before']:.0f} MiB before it",
        flush=True,
    )
    return bool(outside <= OUTSIDE_MAX and said["mib"] <= MIB_MAX)


def applied(root: Path, environ: dict[str, str], *, posts_max: int = 0) -> dict[str, float]:
    """What was observed of an apply of the plan, in a process of its own.

    With ``posts_max`` it is killed with -9 where it would send one request more to change
    something, and nothing is observed.
    """
    seen = root / "seen.json"
    command = [sys.executable, "-m", "benchmarks.made.observed", str(seen), str(posts_max)]
    process = subprocess.run(command, cwd=root, env=environ, check=False, capture_output=True)
    if posts_max and process.returncode == -signal.SIGKILL:
        return {}
    if process.returncode or posts_max:
        sys.exit(process.stderr.decode() + process.stdout.decode())
    said: dict[str, float] = json.loads(seen.read_text(encoding="utf-8"))
    return said


@contextmanager
def provided(
    participants: int, policy: str = POLICY, switches: Sequence[str] = INSTANT
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A project in which all participants of a sandbox are to be enrolled, and its keys."""
    options = [f"--switch={each}" for each in switches]
    with (
        tempfile.TemporaryDirectory() as folder,
        serving("--participants", str(participants), *options) as (address, keys),
    ):
        root = Path(folder)
        (root / "strategies" / "cohorts").mkdir(parents=True)
        project = PROJECT.replace("endpoint: sandbox", f"endpoint: '{address}'")
        (root / "stratctl.yaml").write_text(project, encoding="utf-8")
        (root / "policy.yaml").write_text(policy, encoding="utf-8")
        (root / "strategies" / "book.yaml").write_text(STRATEGY, encoding="utf-8")
        cohort = root / "strategies" / "cohorts" / "members.parquet"
        subprocess.run([sys.executable, "-c", COHORT, str(cohort), str(participants)], check=True)
        environ = {k: v for k, v in os.environ.items() if not k.startswith("STRATCTL_")}
        environ.pop("CI", None)
        yield root, environ | keys | {"PYTHONPATH": str(ROOT)}


COHORT = """
import sys
from pathlib import Path
from stratctl.core.tables import Workspace
from stratctl.sandbox.participants import code_of
space, path = Workspace(), sys.argv[1]
codes = [code_of(number) for number in range(1, int(sys.argv[2]) + 1)]
table = space.table("codes", {"participant_code": "VARCHAR"}, [codes])
space.run(
    f"COPY (SELECT participant_code, 100::DECIMAL(18,2) AS contributed FROM {table})"
    f" TO '{path}' (FORMAT parquet)"
)
"""


def run(command: list[str], root: Path, environ: dict[str, str]) -> None:
    """A command of ours, to its end. A failure ends the benchmark."""
    words = [sys.executable, "-m", "stratctl", *command]
    said = subprocess.run(words, cwd=root, env=environ, check=False, capture_output=True)
    if said.returncode:
        sys.exit(said.stderr.decode())


if __name__ == "__main__":
    main()
