"""docs/policy.md: its examples are policies, and its settings are those of the schema."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stratctl.documents.kinds import Policy
from tests.declare.world import Project

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
_PARTS = re.split(r"^### (.+)\n", PAGE, flags=re.MULTILINE)[1:]
ENTRIES = dict(zip(_PARTS[::2], _PARTS[1::2], strict=True))


@pytest.mark.parametrize("setting", ENTRIES)
def test_an_entry_is_a_setting_with_its_default_and_an_example(
    setting: str, tmp_path: Path
) -> None:
    """Every example is a policy without a finding that says this setting, or a Strategy."""
    top, _, below = setting.partition(".")
    assert top in Policy.model_fields
    assert "Default: " in ENTRIES[setting]
    examples = re.findall(r"```yaml\n(.*?)```", ENTRIES[setting], re.DOTALL)
    assert examples
    for example in examples:
        if example.startswith("kind: Strategy"):
            Project(tmp_path, {"strategies/blue-chip.yaml": example}).declare()
            continue
        assert example.startswith(f"{top}:")
        assert below.rpartition(".")[2] in example
        text = f"kind: Policy\nversion: 1\n{example}"
        assert Project(tmp_path, {"policy.yaml": text}).declare().policy.settings
