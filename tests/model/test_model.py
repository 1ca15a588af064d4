"""The id scheme, in every world of a size: what is used never fails, and what is naive does.

A model in which nothing fails proves nothing, so that seven other schemes, and the one in use
without what it needs beside it, must be found out by it, each in the fewest steps.
"""

import doctest
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stratctl.journal.bindings import Contradiction
from tests.model.explore import Explored, explore, shortest
from tests.model.judges import judges, moved_too_much, stuck, two_bodies
from tests.model.schemes import (
    CARELESS,
    JOURNALED,
    NAIVE,
    SCHEMES,
    SLOT,
    admit,
    head_of,
    intent_after,
)
from tests.model.tell import lines, story
from tests.model.world import (
    SETTLED,
    Bounds,
    Operation,
    Request,
    Scheme,
)
from tests.model.worlds import LARGE, SMALL, WHOLE

PAGE = Path(__file__).parents[2] / "docs" / "exactly-once.md"
PICTURES = sorted(path.name for path in PAGE.with_suffix("").glob("*.svg"))

STEPS = {
    "random id kept in a local file": 4,
    "hash of the body": 5,
    "hash of body and commit": 5,
    "each participant's total from → to": 5,
    "each participant's total from, in batches": 5,
    "slot and digest of the body": 5,
    "slots, the next before the last is acknowledged": 5,
    "slot only, what is pending not counted": 4,
    "slot only, Executions taken as complete": 5,
}
"""How few steps it takes until more moves than is declared."""

STUCK = {
    "hash of the body": 3,
    "hash of body and commit": 3,
    "each participant's total from → to": 3,
    "each participant's total from, in batches": 3,
    "slots, the next before the last is acknowledged": 5,
}
"""How few steps it takes until money that is declared can never move."""


BY_NAME = {scheme.name: scheme for scheme in SCHEMES}
_BLOCK = re.compile(r"(<!-- model: ([^\n]+) -->\n```text\n)(.*?)(```)", re.DOTALL)


@cache
def whole(scheme: Scheme) -> Explored:
    """Everything that can happen to a scheme that must hold."""
    return explore(scheme, WHOLE, judges(scheme))


@cache
def nearest(scheme: Scheme) -> Explored:
    """The shortest way to move more than is declared."""
    return shortest(scheme, SMALL, moved_too_much)


def named(scheme: Scheme) -> str:
    """Tests are told apart by the scheme's name."""
    return scheme.name


@pytest.mark.parametrize("scheme", [SLOT, JOURNALED], ids=named)
def test_the_slot_moves_nothing_twice_and_leaves_nothing_behind(scheme: Scheme) -> None:
    """No lock, and with or without a journal: in no reachable state anything is wrong."""
    found = whole(scheme)
    assert not found.failure, "\n".join(story(found))
    assert found.states > 15_000


@pytest.mark.parametrize("scheme", [*NAIVE, *CARELESS], ids=named)
def test_every_other_scheme_moves_money_twice(scheme: Scheme) -> None:
    """Each is found out, by a trace that cannot be shorter."""
    found = nearest(scheme)
    assert "declared are" in found.failure
    assert len(found.trace) == STEPS[scheme.name]


@pytest.mark.parametrize(
    "scheme", [scheme for scheme in SCHEMES if scheme.name in STUCK], ids=named
)
def test_ids_that_say_what_is_moved_are_used_up(scheme: Scheme) -> None:
    """After a reject the same change has the same id; a chain that is sent at once tears."""
    found = shortest(scheme, SMALL, stuck)
    assert "will never move" in found.failure
    assert len(found.trace) == STUCK[scheme.name]


def test_one_id_carries_two_bodies_where_no_journal_binds_them() -> None:
    """The slot alone keeps money safe; that an id never carries two bodies is the journal's."""
    found = explore(SLOT, WHOLE, [two_bodies])
    assert found.failure == "one request id carries two bodies"
    assert len(found.trace) == 3


def test_one_request_moves_nothing_twice() -> None:
    """Every failure takes two machines, or one that forgot: no scheme fails alone."""
    world = Bounds(WHOLE.versions, sends=1)
    for scheme in NAIVE:
        assert not explore(scheme, world, [moved_too_much]).failure


def test_the_story_of_a_failure_is_told_in_plain_words() -> None:
    """Whoever reads it needs nothing else."""
    assert list(story(nearest(NAIVE[0]))) == [
        " 1. A runs version 1 and sends 100 for P as (r0)",
        " 2. B runs version 1 and sends 100 for P as (r1)",
        " 3. the provider keeps 100 for P as (r0)",
        " 4. the provider keeps 100 for P as (r1)",
        "    P gets 200, declared are 100",
    ]


def test_the_model_asks_the_program_itself() -> None:
    """A list with a hole has no head, and the program's journal refuses another body."""
    first, second = (intent_after(head, (("P", 100),)) for head in (0, 1))
    used = Operation(second.request_id, (("P", 100),), SETTLED)
    assert head_of(()) == 0
    assert head_of((used,)) is None
    bound = (Request(first.request_id, (("P", 100),)),)
    with pytest.raises(Contradiction, match="bound to another body"):
        admit(bound, intent_after(0, (("P", 150),)))


# --- docs/exactly-once.md ----------------------------------------------------------------------


def test_the_page_shows_what_the_model_finds(golden: Callable[[Path, str], None]) -> None:
    """Every trace and every verdict on the page is the model's own."""
    page = PAGE.read_text(encoding="utf-8")

    def answered(match: re.Match[str]) -> str:
        told = "".join(f"{line}\n" for line in shown(match[2]))
        return f"{match[1]}{told}{match[4]}"

    answers = _BLOCK.sub(answered, page)
    assert page.count("```text") == page.count("<!-- model: ") == len(_BLOCK.findall(page)) >= 12
    golden(PAGE, answers)


def shown(what: str) -> list[str]:
    """What stands in the block of that name."""
    if what == "verdicts":
        return list(
            lines(
                [
                    *((scheme.name, nearest(scheme)) for scheme in (*NAIVE, *CARELESS)),
                    *((scheme.name, whole(scheme)) for scheme in (SLOT, JOURNALED)),
                ]
            )
        )
    if what == "two bodies":
        return list(story(explore(SLOT, WHOLE, [two_bodies])))
    if what.startswith("stuck "):
        return list(story(shortest(BY_NAME[what.removeprefix("stuck ")], SMALL, stuck)))
    return list(story(nearest(BY_NAME[what])))


def test_the_page_counts_the_large_worlds() -> None:
    """Each has its row of numbers; that they are right is for make model to say."""
    rows = re.findall(r"^\| (.+?) \| [\d,]+ \| [\d,]+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [title for title, _ in LARGE]


def test_the_ids_on_the_page_are_what_it_says() -> None:
    """Its Python is run in order, as one session."""
    results = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert results.attempted >= 10
    assert results.failed == 0


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_named_and_readable_on_black_and_white(name: str) -> None:
    """Each picture is well-formed, says in words what it shows, and knows both schemes."""
    text = (PAGE.with_suffix("") / name).read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.get("viewBox")
    assert root.findtext("{http://www.w3.org/2000/svg}title")
    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text
    assert len(text) < 5_000
    assert f"](exactly-once/{name})" in PAGE.read_text(encoding="utf-8")
