"""The laws of formatting, on untidy documents that are made up and on every document there is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given

import stratctl.fmt.layout
import stratctl.fmt.quoting
import stratctl.fmt.syntax
from stratctl import fmt
from stratctl.cli.init import FILES as SCAFFOLDED
from stratctl.fmt.order import Shape
from stratctl.load.yaml import read_yaml
from tests.fmt.generate import DAMAGED, FILES, untidy
from tests.fmt.witness import astray, comments, meaning

ROOT = Path(__file__).resolve().parents[2]


def texts(heard: list[tuple[int, str]]) -> list[str]:
    """Comments without their places, ascending."""
    return sorted(comment for _, comment in heard)


def broken_laws(text: str) -> Iterator[str]:
    """The names of the laws that formatting a text breaks."""
    formatted = fmt.formatted(text)
    if read_yaml(formatted.encode(), "file.yaml").problems:
        yield "readable"
    elif meaning(formatted) != meaning(text):
        yield "meaning"
    elif fmt.formatted(formatted) != formatted:
        yield "idempotent"
    if texts(comments(formatted)) != texts(comments(text)):
        yield "comments"
    if astray(formatted):
        yield "neighbours"
    if re.search(r"[ \t]$|\A\n|\n\n\n|\n\n\Z|[^\n]\Z", formatted, re.MULTILINE):
        yield "tidy"


@given(FILES)
def test_every_law_holds_for_untidy_documents(made: tuple[str, list[str]]) -> None:
    """The same documents, scalars and comments in their places; formatting again changes nothing.

    The comments are those that the generator wrote, so that no listener has to be believed.
    """
    text, written = made
    assert texts(comments(text)) == sorted(written)
    assert fmt.comments(text) == sorted(written)
    assert not astray(text)
    assert list(broken_laws(text)) == []


@given(DAMAGED)
def test_every_law_holds_for_whatever_the_reader_accepts(text: str) -> None:
    """Damage makes what nobody would generate; comments are those of the formatter's own ears."""
    if not read_yaml(text.encode(), "file.yaml").problems:
        formatted = fmt.formatted(text)
        assert meaning(formatted) == meaning(text)
        assert fmt.formatted(formatted) == formatted
        assert fmt.comments(formatted) == fmt.comments(text)


def documents() -> Iterator[tuple[str, str]]:
    """(name, text) of every YAML text in the repository that the reader accepts."""
    found = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for pattern in ("*.yaml", "strategies/**/*.yaml", "tests/cases/**/*.y*ml")
        for path in sorted(ROOT.glob(pattern))
    }
    found |= {f"init/{name}": text.encode() for name, text in SCAFFOLDED.items()}
    for page in ("docs/diagnostics.md", "README.md"):
        blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.M | re.S)
        found |= {f"{page}/{n}": block.encode() for n, block in enumerate(blocks)}
    for name, data in found.items():
        if not read_yaml(data, name).problems:
            yield name, data.decode().replace("\r\n", "\n")


def test_every_law_holds_for_every_document_of_the_repository() -> None:
    """Examples, cases, the pages' examples and what init writes."""
    checked = dict(documents())
    assert len(checked) > 200
    broken = {name: laws for name, text in checked.items() if (laws := list(broken_laws(text)))}
    assert not broken


def test_what_people_copy_is_formatted_already() -> None:
    """The examples and what init writes are in the layout that fmt gives them."""
    copied = {
        name: text
        for name, text in documents()
        if name.startswith(("init/", "strategies/")) or name in {"stratctl.yaml", "policy.yaml"}
    }
    assert len(copied) > 10
    assert copied == {name: fmt.formatted(text) for name, text in copied.items()}


def test_ten_thousand_participants_are_formatted_in_seconds() -> None:
    """A long cohort takes no longer than a blink or two of a person who waits."""
    rows = "".join(
        f"- contributed: {n}.50 # {n}\n  participant_code: P{n:05}\n" for n in range(10_000)
    )
    text = f"participants:\n{rows}kind: Cohort\n"
    before = time.process_time()
    formatted = fmt.formatted(text)
    assert time.process_time() - before < 5
    assert formatted.count(" # ") == 10_000


# --- canaries --------------------------------------------------------------------------------

Plant = Callable[[pytest.MonkeyPatch], None]


def loses_comments_between_key_and_value(patch: pytest.MonkeyPatch) -> None:
    """A comment between a key and its value is forgotten."""
    patch.setattr(stratctl.fmt.syntax._Builder, "_lift", lambda self, entry: self._pending.clear())


def unquotes_codes(patch: pytest.MonkeyPatch) -> None:
    """Quotes go wherever the parser does not need them, as around 000123."""
    patch.setattr(stratctl.fmt.quoting, "is_text", bool)


def unquotes_punctuation(patch: pytest.MonkeyPatch) -> None:
    """Quotes go wherever the text is text, as around "a: b"."""
    patch.setattr(stratctl.fmt.quoting, "_HARMLESS", re.compile(r".+"))


def sorts_rows(patch: pytest.MonkeyPatch) -> None:
    """Items of a list are put in another order."""
    patch.setattr(Shape, "ordered", lambda self, collection: collection.entries[::-1])


def forgets_where_blocks_end(patch: pytest.MonkeyPatch) -> None:
    """A comment at the end of a block moves to whatever follows it."""
    patch.setattr(stratctl.fmt.syntax, "_level", lambda closing, *rest: len(closing))


def tidies_digits(patch: pytest.MonkeyPatch) -> None:
    """0.50 becomes 0.5, which is the same number and not what the author wrote."""
    inline = stratctl.fmt.quoting.inline
    patch.setattr(
        stratctl.fmt.layout, "inline", lambda scalar: re.sub(r"(\.\d+)0$", r"\1", inline(scalar))
    )


def spreads_out(patch: pytest.MonkeyPatch) -> None:
    """A blank line is added above whatever has a comment."""
    spaced = stratctl.fmt.layout._spaced
    patch.setattr(
        stratctl.fmt.layout,
        "_spaced",
        lambda lines, **rest: ["", *spaced(lines, **rest)] if lines else [],
    )


@pytest.mark.parametrize(
    ("plant", "law"),
    [
        (loses_comments_between_key_and_value, "comments"),
        (unquotes_codes, "meaning"),
        (unquotes_punctuation, "readable"),
        (sorts_rows, "meaning"),
        (forgets_where_blocks_end, "neighbours"),
        (tidies_digits, "meaning"),
        (spreads_out, "tidy"),
    ],
)
def test_a_planted_bug_breaks_a_law(
    plant: Plant, law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to spoil a document is noticed by the law that is there for it."""
    plant(monkeypatch)
    assert any(law in broken_laws(untidy(seed, 8)[0]) for seed in range(300))
