"""Inputs that a search once found, or that reach far: each is answered as promised, every time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.fuzz.findings import CORPUS
from tests.fuzz.shapes import SHAPES
from tests.fuzz.targets import TARGETS

FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())

EXAMPLES = {
    "yaml": 60,
    "fmt": 60,
    "amount": 100,
    "csv": 30,
    "json-lines": 30,
    "project": 8,
    "grown-yaml": 3,
    "grown-csv": 3,
    "grown-json-lines": 3,
}
"""As many as cost a second or less; ``make fuzz`` tries as many as it is given time for."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_an_input_of_the_corpus_is_answered_as_promised(path: Path) -> None:
    """No crash, a second and half a gibibyte at most, and every promise about the answer kept."""
    TARGETS[path.parent.name].check(path.read_bytes())


def test_every_target_has_a_shape_and_a_corpus() -> None:
    """Nothing is searched by one of the two searches only, and nothing found is left out."""
    assert SHAPES.keys() == TARGETS.keys() == EXAMPLES.keys()
    assert {path.parent.name for path in FILES} == TARGETS.keys()
    assert all(path.stat().st_size <= TARGETS[path.parent.name].length_max for path in FILES)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_inputs_in_the_shape_of_what_people_write_are_answered_as_promised(name: str) -> None:
    """A few of them, the same every time."""
    check = settings(max_examples=EXAMPLES[name], derandomize=True, deadline=None)(
        given(SHAPES[name])(TARGETS[name].check)
    )
    check()
