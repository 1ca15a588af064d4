"""The check of documents: it ends early on hostile ones, and says each mistake once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stratctl.load.project import BYTES_TOTAL_MAX
from stratctl.load.yaml import BYTES_MAX
from tests.declare.world import Project

HEAD = "kind: Strategy\nversion: 1\nname: blue-chip\nquoted_currency: USD\n"
ASSETS = ", ".join(f"A{number}" for number in range(20_000))


@pytest.mark.parametrize(
    "text",
    [
        f"allocations: {{BTC: 1}}\nexits: [{ASSETS}, A1]\n",
        f"allocations: {{BTC: 1}}\nexits: [{ASSETS}, [], {{}}]\n",
        "allocations: {BTC: 1}\n" + "".join(f"key-{number}: 1\n" for number in range(20_000)),
        "allocations: {BTC: 1}\n" + "k" * 1000 + ": 1\n",
    ],
    ids=["one-repeat", "no-order", "unknown-keys", "long-key"],
)
def test_hostile_documents_are_answered_quickly_and_briefly(tmp_path: Path, text: str) -> None:
    """A list of many thousands is not compared each with each; a hundred findings are enough."""
    project = Project(tmp_path, {"strategies/blue-chip.yaml": HEAD + text})
    begun = time.process_time()
    found = project.says()
    assert time.process_time() - begun < 2.0
    assert 1 <= len(found) <= 101
    assert max(len(finding.detail) for finding in found) < 300


def test_all_yaml_files_together_have_a_limit(tmp_path: Path) -> None:
    """Exactly at the limit everything is read; one byte more, and the file that adds it is said."""
    project = Project(tmp_path)
    rest = BYTES_TOTAL_MAX - sum(path.stat().st_size for path in tmp_path.rglob("*.yaml"))
    for number in range(15):
        project.write(f"strategies/z{number:02d}.yaml", b"#" * BYTES_MAX)
    last = project.write("strategies/z15.yaml", b"#" * (rest - 15 * BYTES_MAX))
    assert "E_FILE_SIZE" not in project.codes()
    last.write_bytes(last.read_bytes() + b"#")
    (found,) = (finding for finding in project.says() if finding.code == "E_FILE_SIZE")
    assert str(found.span) == "strategies/z15.yaml"
    assert "16,777,217 bytes" in found.detail
