"""Whether Strategies are applied side by side: many take as long as one.

Each Operation of the sandbox takes half a second, and a Strategy has eight calls, one after the
other, so that nearly all of the time is waited. Measured is an apply as a whole process, from its
first POST to its end, of one Strategy and of many; they alternate, and the medians are compared.
What is left of a difference is work: the client's, and the sandbox's, which is one process.

``python benchmarks/apply_side_by_side.py 4`` has that many Strategies. Exits with 1 when they take
more than half as long again as one.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.apply_book import applied, provided, run
from benchmarks.made.book import POLICY
from stratctl.sandbox.participants import code_of

STRATEGIES = 12
CALLS = 8
RUNS = 3
RATIO_MAX = 1.5
TAKING_TIME = ("validating_ms=150", "pricing_ms=150", "settling_ms=200")
ONE_A_CALL = f"{POLICY}calls: {{participants: 1}}\n"


def main() -> None:
    """Apply one and many in turn, and fail when many take much longer."""
    many = int(sys.argv[1]) if sys.argv[1:] else STRATEGIES
    took: dict[int, list[float]] = {1: [], many: []}
    for _ in range(RUNS):
        for strategies, seconds in took.items():
            seconds.append(sending(strategies))
    one, all_of_them = (statistics.median(seconds) for seconds in took.values())
    print(
        f"{many} Strategies of {CALLS} calls each: {all_of_them:.1f} s from the first POST, one"
        f" alone {one:.1f} s: {all_of_them / one:.2f} x (limit {RATIO_MAX:g} x)"
    )
    sys.exit(all_of_them > one * RATIO_MAX)


def sending(strategies: int) -> float:
    """Seconds from the first POST to the end."""
    with provided(strategies * CALLS, ONE_A_CALL, TAKING_TIME) as (root, environ):
        documents = "---\n".join(map(document, range(strategies)))
        (root / "strategies" / "book.yaml").write_text(documents, encoding="utf-8")
        run(["plan", "--out", "plan.zip"], root, environ)
        said = applied(root, environ)
    return said["wall"] - said["before"]


def document(number: int) -> str:
    """A Strategy and its participants."""
    codes = [code_of(number * CALLS + place) for place in range(1, CALLS + 1)]
    members = "".join(f"  - {{participant_code: {c}, contributed: 100.00}}\n" for c in codes)
    return (
        f"kind: Strategy\nversion: 1\nname: book-{number}\nquoted_currency: USD\n"
        "allocations: {BTC: 1}\n---\n"
        f"kind: Cohort\nversion: 1\nname: members-{number}\nstrategy: book-{number}\n"
        f"participants:\n{members}"
    )


if __name__ == "__main__":
    main()
