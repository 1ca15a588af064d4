"""How soon an apply sends again after a crash, with 1,000 finished calls behind it.

An apply is killed with -9 where it would send its next request, after so many calls that have
their outcome, and is started again on the same disk. Measured is, as a whole process, from start to
its first POST: the journal is verified and booked, the call that was left open is looked up, what
is live is read again, the plan is made again and held against the approved one. Calls have ten
participants, because everything that is live is read at the pace of the provider's limit, which
would be measured otherwise.

``python benchmarks/apply_resume.py 100`` has that many calls. Exits with 1 when it is over 5 s.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.apply_book import applied, provided, run
from benchmarks.made.book import POLICY

CALLS = 1_000
PARTICIPANTS = 10
MORE = 5
"""Calls that are left to send."""
SECONDS_MAX = 5.0
SMALL_CALLS = f"{POLICY}calls: {{participants: {PARTICIPANTS}}}\n"


def main() -> None:
    """Crash, resume, and fail when that takes too long."""
    calls = int(sys.argv[1]) if sys.argv[1:] else CALLS
    with provided((calls + MORE) * PARTICIPANTS, SMALL_CALLS) as (root, environ):
        run(["plan", "--out", "plan.zip"], root, environ)
        # One more is the request that creates the Strategy.
        applied(root, environ, posts_max=calls + 1)
        said = applied(root, environ)
    print(
        f"resumed after {calls:,} finished calls of {PARTICIPANTS}: the first POST after"
        f" {said['before']:.2f} s (limit {SECONDS_MAX:g} s); peak {said['mib']:.0f} MiB"
    )
    sys.exit(said["before"] > SECONDS_MAX)


if __name__ == "__main__":
    main()
