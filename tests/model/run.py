"""``make model``: the id scheme in large worlds, and the schemes that must fail.

    python -m tests.model.run

Prints how many states each world has. The exit code is 1 when the scheme in use fails, or one
that must fail does not, or docs/exactly-once.md shows
other numbers.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from tests.model.explore import explore, shortest
from tests.model.judges import judges, moved_too_much
from tests.model.schemes import CARELESS, JOURNALED, NAIVE, SLOT
from tests.model.tell import story, verdict
from tests.model.worlds import LARGE, SMALL

PAGE = Path(__file__).parents[2] / "docs" / "exactly-once.md"


def main() -> int:
    """Explore everything; say what was found, and where docs/exactly-once.md says otherwise."""
    wrong = 0
    for scheme in (*NAIVE, *CARELESS):
        found = shortest(scheme, SMALL, moved_too_much)
        print(f"{scheme.name}: {verdict(found)}", flush=True)
        wrong += not found.failure
    page = PAGE.read_text(encoding="utf-8")
    states = 0
    for title, bounds in LARGE:
        row = [title]
        for scheme in (SLOT, JOURNALED):
            began = time.process_time()
            found = explore(scheme, bounds, judges(scheme))
            seconds = time.process_time() - began
            print(f"{scheme.name}; {title}: {verdict(found)}, {seconds:.0f} s of CPU", flush=True)
            for line in story(found):
                print(line)
            states += found.states
            wrong += bool(found.failure)
            row.append(f"{found.states:,}")
        if f"| {' | '.join(row)} |" not in page:
            print(f"{PAGE.name} does not say so")
            wrong += 1
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{states:,} states in all, {memory:,} MiB at most")
    print(f"{wrong} not as it must be" if wrong else "every scheme is as it must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
