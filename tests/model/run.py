"""``make model``: the id scheme in large worlds, and the schemes that must fail.

    python -m tests.model.run

Prints how many states each world has. The exit code is 1 when the scheme in use fails, or one
that must fail does not.
"""

from __future__ import annotations

import resource
import sys
import time

from tests.model.explore import explore, shortest
from tests.model.schemes import CARELESS, JOURNALED, NAIVE, SLOT
from tests.model.tell import counted, story, verdict
from tests.model.world import moved_too_much, stuck, two_bodies
from tests.model.worlds import LARGE, SMALL


def main() -> int:
    """Explore everything; say what was found."""
    wrong = 0
    for scheme in (*NAIVE, *CARELESS):
        found = shortest(scheme, SMALL, moved_too_much)
        print(f"{scheme.name}: {verdict(found)}", flush=True)
        wrong += not found.failure
    states = 0
    for title, bounds in LARGE:
        for scheme in (SLOT, JOURNALED):
            judges = [moved_too_much, stuck, *([two_bodies] if scheme.shares_journal else [])]
            began = time.process_time()
            found = explore(scheme, bounds, judges)
            seconds = time.process_time() - began
            states += found.states
            wrong += bool(found.failure)
            print(f"{scheme.name}; {title}: {verdict(found)}, {seconds:.0f} s of CPU", flush=True)
            for line in story(found):
                print(line)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{counted(states)} in all, {memory:,} MiB at most")
    print(f"{wrong} not as it must be" if wrong else "every scheme is as it must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
