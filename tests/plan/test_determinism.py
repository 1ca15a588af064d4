"""The same input gives the same bytes in every process, zone, locale and hash order."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from stratctl.core.tables import Workspace
from tests.worlds import Declared, Holder, World, holdings_worth, strategy

ROOT = Path(__file__).parents[2]
PROGRAM = """
from tests.plan.test_determinism import mixed
print(mixed().plan().binding_text(), end="")
"""
AMBIENTS = {
    "another seed, zone and locale": {
        "PYTHONHASHSEED": "4242",
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "tr_TR.UTF-8",
    },
    "any hash seed": {"PYTHONHASHSEED": "random"},
}


def mixed() -> World:
    """A world with every verb, two Strategies and split calls."""
    target = holdings_worth(BTC="500", ETH="300", SOL="200")
    skewed = holdings_worth(BTC="700", ETH="200", SOL="100")
    return World(
        declared=[
            *(Declared(f"P{n}") for n in range(7)),
            Declared("Q1", "1500"),
            Declared("Q2", withdrawn="100"),
            Declared("Q3", exited=True),
            Declared("Q4", strategy="red"),
        ],
        holders=[
            Holder("Q1", target),
            Holder("Q2", target),
            Holder("Q3", target),
            Holder("Q4", skewed, target="BTC 0.7, ETH 0.2, SOL 0.1", strategy="red", flag=False),
        ],
        strategies=[strategy("blue", metadata_json='{"a":1}'), strategy("red")],
        per_call=2,
    )


@pytest.mark.parametrize("ambient", AMBIENTS.values(), ids=AMBIENTS.keys())
def test_the_process_around_a_plan_decides_nothing(ambient: dict[str, str]) -> None:
    """Hash seed, time zone and locale leave every binding line as it is."""
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, **ambient},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == mixed().plan().binding_text()


def test_the_digest_is_that_of_the_binding_lines() -> None:
    """What an approval names is sha256 of the text, of nothing more and nothing less."""
    plan = mixed().plan()
    assert plan.digest == sha256(plan.binding_text().encode()).hexdigest()


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_decide_nothing(threads: int) -> None:
    """One thread or two, planned once or again in a used workspace: the same digest."""
    space = Workspace(threads=threads)
    assert {mixed().plan(space).digest, mixed().plan(space).digest} == {mixed().plan().digest}
