"""Codes of findings: each is on docs/diagnostics.md, in the words that people see."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "diagnostics.md").read_text("utf-8")
ENTRIES = dict(re.findall(r"^### (\w+): (.+)$", PAGE, re.MULTILINE))
CODE = re.compile(r"[EW]_[A-Z_]+")


def sources() -> Iterator[ast.Module]:
    """Every module but the sandbox, whose words are the provider's."""
    for path in sorted((ROOT / "stratctl").rglob("*.py")):
        if "sandbox" not in path.parts:
            yield ast.parse(path.read_text("utf-8"))


def strings(node: ast.AST) -> Iterator[str]:
    """Every text that stands in it."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def test_every_code_that_people_can_meet_is_explained() -> None:
    """No code without an entry, and no entry about a code that nothing says."""
    said = {text for module in sources() for text in strings(module) if CODE.fullmatch(text)}
    assert said == set(ENTRIES)
    assert len(said) > 90


def test_a_code_has_one_summary_wherever_it_is_said() -> None:
    """Findings that are made apart from the registry use the words of the page as well."""
    found = [pair for module in sources() for pair in said_apart(module)]
    assert len(found) >= 12
    assert found == [(code, ENTRIES[code]) for code, _ in found]


def said_apart(module: ast.Module) -> Iterator[tuple[str, str]]:
    """(code, summary) of each finding that a module makes itself; a name stands for its text."""
    named = {
        target.id: text
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
        for text in strings(node.value)
    }
    for call in ast.walk(module):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Diagnostic":
            given = [*call.args, *(keyword.value for keyword in call.keywords)][:2]
            words = [
                named.get(getattr(one, "id", ""), "") or "".join(strings(one)) for one in given
            ]
            if len(words) == 2 and CODE.fullmatch(words[0]):
                yield words[0], words[1]


def test_what_has_no_example_says_what_to_do() -> None:
    """An entry is either shown wrong and right, or says the way out."""
    for part in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        examples = all(f"**{word}**\n" in part for word in ("Wrong", "Right"))
        assert examples != ("**What to do:** " in part), part.partition(":")[0]
