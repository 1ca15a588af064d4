"""What people see in an editor: yaml-language-server reads the schemas and the settings of init.

It is the server behind the YAML extensions of most editors, from its npm package. Where there is
no node the tests are skipped; where CI has node, the package must be there too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from stratctl.cli.init import FILES
from stratctl.cli.running import run
from stratctl.documents import KINDS
from tests.editor.client import CURSOR, Editor

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SERVER = HERE / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
CI = "CI" in os.environ

EXAMPLES = [
    ROOT / "stratctl.yaml",
    ROOT / "policy.yaml",
    *sorted((ROOT / "strategies").glob("*.yaml")),
]


@dataclass(frozen=True)
class Opened:
    """An editor in which a project made by init is open, and where that is."""

    editor: Editor
    project: Path


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The server with the settings that init wrote, and no way to any network."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node, which yaml-language-server runs on")
    if not SERVER.is_file():
        assert not CI, f"{SERVER.relative_to(ROOT)} is missing: run make editor"
        pytest.skip("yaml-language-server is not installed: make editor does that")
    project = tmp_path_factory.mktemp("project")
    assert run(["-q", "init", str(project)]) == 0
    settings = json.loads((project / ".vscode" / "settings.json").read_text("utf-8"))
    offline = {"http.proxy": "http://127.0.0.1:9"}
    with Editor([node, str(SERVER), "--stdio"], project, settings | offline) as editor:
        yield Opened(editor, project)


def surprised(texts: Mapping[Path, str]) -> dict[Path, str]:
    """The same files, each with a key at its end that no schema knows."""
    return {path: f"{text.rstrip()}\nsurprise: 1\n" for path, text in texts.items()}


def holds(opened: Opened, texts: Mapping[Path, str]) -> None:
    """Every file is right, and a surprise in it is found: so its schema is the right one."""
    assert opened.editor.problems(texts) == {path: [] for path in texts}
    for path, found in opened.editor.problems(surprised(texts)).items():
        assert len(found) == 1, path
        assert "surprise" in found[0]


def test_the_examples_are_right(opened: Opened) -> None:
    """The schema that each names in its first line is found, and has no complaint."""
    holds(opened, {path: path.read_text("utf-8") for path in EXAMPLES})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_completed_and_each_key_of_it_explained(opened: Opened, path: Path) -> None:
    """A new line at the end offers the keys that are not said yet; over the others stands why."""
    text = path.read_text("utf-8")
    (kind,) = re.findall(r"^kind: (\w+)$", text, re.MULTILINE)
    fields = KINDS[kind].model_fields
    written = re.findall(r"^(\w+):", text, re.MULTILINE)
    offered = set(opened.editor.offers(path, text + CURSOR))
    assert offered & fields.keys() == fields.keys() - set(written)
    hovered = re.sub(r"^(\w)(?=\w*:)", rf"\1{CURSOR}", text, flags=re.MULTILINE)
    for key, explained in zip(written, opened.editor.explains(path, hovered), strict=True):
        assert fields[key].description
        assert str(fields[key].description) in explained


@pytest.mark.parametrize("first_line", [True, False], ids=["by its first line", "by the settings"])
def test_a_new_project_is_checked_right_after_init(opened: Opened, first_line: bool) -> None:
    """A schema is found by the first line of a file, and by the settings when it has none."""
    texts = {opened.project / name: (opened.project / name).read_text("utf-8") for name in FILES}
    if not first_line:
        texts = {path: text.partition("\n")[2] for path, text in texts.items()}
    holds(opened, texts)


STRATEGY = "kind: Strategy\nversion: 1\nname: a\nquoted_currency: USD\n"
COHORT = "kind: Cohort\nversion: 1\nname: b\nstrategy: a\n"


def test_several_documents_of_several_kinds_may_share_a_file(opened: Opened) -> None:
    """Each is held to the schema of its own kind, and each is completed by it."""
    path = opened.project / "strategies" / "both.yaml"
    both = f"{STRATEGY}allocations: {{BTC: 1}}\n---\n{COHORT}source: live\n"
    assert opened.editor.problems({path: both}) == {path: []}
    (found,) = opened.editor.problems({path: f"{both}quoted_currency: USD\n"})[path]
    assert "quoted_currency" in found
    assert "rebalance_opted_out" in opened.editor.offers(path, both + CURSOR)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind: Strtegy\nversion: 1\n", "Strategy"),
        (f"{STRATEGY}allocations: {{BTC: 1.5}}\n", "maximum of 1"),
        (f"{STRATEGY}allocations: {{btc: 1}}\n", "pattern"),
        (f"{STRATEGY}", "allocations"),
        (f"{STRATEGY}mirror: b\nrebalance: {{on: sometimes}}\n", "drift"),
        (f"{STRATEGY}mirror: b\nhold: maybe\n", "boolean"),
        (f"{COHORT}participants: [{{contributed: 1}}]\n", "participant_code"),
        (f"{COHORT}participants: [{{participant_code: 123456}}]\n", "string"),
        (f"{COHORT}participants: []\n", "items"),
        ("kind: Acknowledgement\nversion: 1\nname: a\nreason: b\nexpires: 2026-12-31\n", "rules"),
    ],
)
def test_a_mistake_is_underlined(opened: Opened, text: str, complaint: str) -> None:
    """What the schema refuses is said while it is typed, with what would be right."""
    path = opened.project / "strategies" / "new.yaml"
    found = opened.editor.problems({path: text})[path]
    assert any(complaint in message for message in found), found


@pytest.mark.parametrize(
    ("name", "text", "offered"),
    [
        ("strategies/new.yaml", CURSOR, {"kind"}),
        ("strategies/new.yaml", f"kind: {CURSOR}", {"Strategy", "Cohort", "Acknowledgement"}),
        ("strategies/new.yaml", f"{STRATEGY}rebal{CURSOR}\n", {"rebalance"}),
        ("strategies/new.yaml", f"{STRATEGY}rebalance:\n  {CURSOR}\n", {"on", "epoch"}),
        (
            "strategies/new.yaml",
            f"{STRATEGY}rebalance:\n  on: {CURSOR}\n",
            {"change", "drift", "never"},
        ),
        (
            "strategies/new.yaml",
            f"{COHORT}participants:\n  - participant_code: CUST01\n    {CURSOR}\n",
            {"contributed", "withdrawn", "status", "auto_rebalance"},
        ),
        (
            "strategies/new.yaml",
            f"{COHORT}participants:\n  - participant_code: CUST01\n    status: {CURSOR}\n",
            {"active", "exited"},
        ),
        (
            "strategies/new.yaml",
            f"{COHORT}manages:\n  - {CURSOR}\n",
            {"membership", "funding", "allocations", "flags"},
        ),
        ("policy.yaml", f"kind: Policy\nversion: 1\nguards:\n  {CURSOR}\n", {"liquidations"}),
        (
            "stratctl.yaml",
            f"kind: Project\nversion: 1\nenvironments:\n  prod:\n    realm: {CURSOR}\n",
            {"prod", "prod-eu", "cert", "cert-eu", "sandbox"},
        ),
    ],
)
def test_keys_and_values_are_completed(
    opened: Opened, name: str, text: str, offered: set[str]
) -> None:
    """At the place of a key the schema's keys are offered, at that of a value its values."""
    assert offered <= set(opened.editor.offers(opened.project / name, text))


@pytest.mark.parametrize(
    ("kind", "name", "text", "path"),
    [
        (
            "Strategy",
            "strategies/new.yaml",
            f"{STRATEGY}equal_{CURSOR}weight: [BTC]\n",
            "equal_weight",
        ),
        ("Cohort", "strategies/new.yaml", f"{COHORT}man{CURSOR}ages: [flags]\n", "manages"),
        (
            "Policy",
            "policy.yaml",
            f"kind: Policy\nversion: 1\ndest{CURSOR}ination: edge\n",
            "destination",
        ),
        (
            "Project",
            "stratctl.yaml",
            f"kind: Project\nversion: 1\ngener{CURSOR}ation: 1\n",
            "generation",
        ),
    ],
)
def test_a_key_is_explained(opened: Opened, kind: str, name: str, text: str, path: str) -> None:
    """Over a key stands the sentence that its model says about it."""
    said = KINDS[kind].model_fields[path].description
    assert said
    (explained,) = opened.editor.explains(opened.project / name, text)
    assert said in explained


def test_values_inside_are_explained_too(opened: Opened) -> None:
    """Deeper keys and entries of mappings have their sentence as well."""
    path = opened.project / "strategies" / "new.yaml"
    text = (
        f"{STRATEGY}allocations: {{B{CURSOR}TC: 1}}\nrebalance: {{on: drift, ep{CURSOR}och: 1}}\n"
    )
    entry, inside = opened.editor.explains(path, text)
    assert "A weight between 0 and 1" in entry
    assert "one more rebalance" in inside
