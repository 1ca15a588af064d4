"""docs/diagnostics.md: complete, and every example in it does what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stratctl.core.diagnostic import Span, in_reading_order
from stratctl.documents import SUMMARIES, problem
from tests.declare.world import BASE, ROOT, Project

PAGE = (ROOT / "docs" / "diagnostics.md").read_text("utf-8")

WITHOUT_EXAMPLE = ["E_FILE_CHANGED", "W_NO_MEMBERS"]
"""They need a second writer, and a provider; test_files.py and test_lint.py are those."""


def emitted(*folders: str) -> set[str]:
    """Every code that stands in the source of these parts."""
    source = "\n".join(
        path.read_text("utf-8")
        for folder in folders
        for path in sorted((ROOT / "stratctl" / folder).rglob("*.py"))
    )
    return set(re.findall(r'"([EW]_[A-Z_]+)"', source))


LINTS = emitted("lint")
"""What only lint says."""


@dataclass
class Entry:
    """One entry of the page: its summary, and its blocks as (language, file, text)."""

    code: str
    summary: str
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    right: list[tuple[str, str, str]] = field(default_factory=list)


def blocks(text: str) -> list[tuple[str, str, str]]:
    """(language, file, text) of each fenced block; the file is named in the line above."""
    pattern = r"(?:^`([^`\n]+)`\n\n)?^```(\w+)\n(.*?)^```\n"
    found = re.finditer(pattern, text, re.MULTILINE | re.DOTALL)
    return [(match[2], match[1] or "", match[3]) for match in found]


def entries() -> list[Entry]:
    """Every entry of the page about what people write."""
    made = []
    written = PAGE.partition("\n## While planning and applying\n")[0]
    for part in re.split(r"^### ", written, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        code, _, summary = heading.partition(": ")
        _, _, examples = body.partition("**Wrong**")
        wrong, _, right = re.split(r"^## ", examples, flags=re.MULTILINE)[0].partition("**Right**")
        made.append(Entry(code, summary, blocks(wrong), blocks(right)))
    return made


ENTRIES = entries()
EXAMPLES = [entry for entry in ENTRIES if entry.code not in WITHOUT_EXAMPLE]


def project(root: Path, example: list[tuple[str, str, str]]) -> Project:
    """The page's small project with an example laid over it."""
    made = Project(root)
    for language, name, text in example:
        if language == "python":
            made.run(text)
        else:
            made.write(name, text)
    return made


def codes(entry: Entry, example: Project) -> list[str]:
    """What an example is answered with, by the command that finds what the entry is about."""
    if entry.code in LINTS:
        return [found.code for found in example.lints()]
    return example.codes()


def test_the_page_has_one_entry_per_code_with_its_summary() -> None:
    """A code is documented exactly once, in the words that people see."""
    assert [entry.code for entry in ENTRIES] == list(dict.fromkeys(entry.code for entry in ENTRIES))
    assert {entry.code: entry.summary for entry in ENTRIES} == SUMMARIES


def test_the_page_begins_with_the_project_that_examples_are_laid_over() -> None:
    """A reader can build every example from the page alone."""
    head = PAGE.partition("\n## ")[0]
    assert {name: text for _, name, text in blocks(head)} == {
        name: re.sub(r"^(  sandbox: )", r"\1", text, flags=re.MULTILINE)
        for name, text in BASE.items()
    }


def test_every_code_of_the_source_is_registered_and_used() -> None:
    """No finding without an entry, and no entry that nothing can emit."""
    assert emitted("load", "resolve", "lint") == set(SUMMARIES)


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.code)
def test_the_wrong_example_is_answered_with_its_code(entry: Entry, tmp_path: Path) -> None:
    """What the page calls wrong is found."""
    assert entry.wrong
    assert entry.code in codes(entry, project(tmp_path, entry.wrong))


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.code)
def test_the_right_example_is_answered_with_nothing(entry: Entry, tmp_path: Path) -> None:
    """What the page calls right has no finding at all."""
    assert entry.right
    assert codes(entry, project(tmp_path, entry.right)) == []


def test_more_findings_alike_than_anybody_reads_are_counted() -> None:
    """Two hundred of one code in one file; another file, or another code, has its own."""
    many = [problem("E_KIND", "there is no kind", Span("a.yaml", n + 1, 1)) for n in range(250)]
    other = [problem("E_KIND", "there is no kind", Span("b.yaml", n + 1, 1)) for n in range(200)]
    shown = in_reading_order([*other, *many])
    assert [found.span.file for found in shown if found.span] == ["a.yaml"] * 200 + ["b.yaml"] * 200
    assert shown[199].detail == "there is no kind; and 50 more like it"
    assert shown[399] == other[-1]
    assert in_reading_order(shown) == shown
