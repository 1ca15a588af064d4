"""The published schemas: made from the models, and of one mind with them."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from stratctl.core.settings import GUARD_RULES
from stratctl.documents import KINDS, Items, Places, schemas
from stratctl.documents.kinds import Guards, WidenedRules
from stratctl.load.check import check, has_broken, model
from stratctl.load.members import suspicious
from stratctl.load.tables import AMOUNTS, MEMBERS
from stratctl.load.yaml import read_yaml
from tests.declare.world import ROOT

INPUTS = sorted(
    path
    for folder in ("tests/cases/declare", "strategies")
    for path in (ROOT / folder).rglob("*.yaml")
)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_checked_in_schemas_are_what_the_models_say(name: str) -> None:
    """What an editor checks is what runs."""
    written = (ROOT / "schemas" / name).read_text("utf-8")
    assert json.loads(written) == schemas()[name]


@pytest.mark.parametrize("name", sorted(schemas()))
def test_schemas_are_valid_and_describe_every_property(name: str) -> None:
    """2020-12, closed, and a sentence for each key that an editor completes."""
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    for part in (schema, *schema.get("$defs", {}).values()):
        assert part["description"]
        assert part["additionalProperties"] is False
        assert all(found.get("description") for found in part["properties"].values()), part["title"]


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_schema_and_model_give_the_same_verdict(path: Path) -> None:
    """On every document of every case and example."""
    for root in read_yaml(path.read_bytes(), path.name).documents:
        kind = root.get("kind")
        if isinstance(kind, str) and kind in KINDS and not has_broken(root):
            places = Places(path.name, root)
            _, by_schema = check(kind, root, places)
            _, by_model = model(kind, root, places)
            assert bool(by_schema) == bool(by_model), (by_schema, by_model)


# fmt: off
SCALARS = st.sampled_from(
    [
        "1", "0", "0.5", "1.5", "010", "1e3", "true", "false", "NO", "~", "CUST01", "'000123'",
        "'a'", "BTC", "live", "change", "2026-01-02", "-1", "''", "blue-chip", "USD", "exited",
        "[]", "{}", "[a]", "{a: b}", "[BTC, BTC]", "{BTC: 1}", "[membership]", "{file: a.csv}",
    ]
)
# fmt: on
KEYS = sorted({key for kind in KINDS.values() for key in kind.model_fields} - {"kind", "version"})


@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(KEYS), SCALARS, max_size=8),
)
def test_schema_and_model_agree_on_any_document(kind: str, fields: dict[str, str]) -> None:
    """Nothing is let through by one and refused by the other."""
    base = {"Strategy": {"name": "a", "quoted_currency": "USD"}, "Policy": {}}.get(kind, {})
    lines = [f"{key}: {text}" for key, text in {**base, **fields}.items()]
    text = "\n".join([f"kind: {kind}", "version: 1", *lines]) + "\n"
    for root in read_yaml(text.encode(), "f.yaml").documents:
        places = Places("f.yaml", root)
        _, by_schema = check(kind, root, places)
        _, by_model = model(kind, root, places)
        assert bool(by_schema) == bool(by_model), (text, by_schema, by_model)


ROWS = st.dictionaries(
    st.sampled_from(sorted({*MEMBERS.schema, *AMOUNTS.schema, "x"})),
    SCALARS,
    max_size=5,
)


@cache
def row_validator(name: str) -> Draft202012Validator:
    """The published schema of one row, with standard keywords only."""
    return Draft202012Validator(schemas()["cohort.schema.json"]["$defs"][name])


@given(st.lists(ROWS, min_size=1, max_size=4), st.booleans())
def test_rows_that_are_waved_through_keep_to_the_schema(
    rows: list[dict[str, str]], funding: bool
) -> None:
    """The quick look never accepts what the schema refuses, and doubts what it refuses."""
    text = "".join(
        "  - {" + ", ".join(f"{key}: {value}" for key, value in row.items()) + "}\n" for row in rows
    )
    (document,) = read_yaml(f"participants:\n{text}".encode(), "f.yaml").documents
    listed: Items = document["participants"]
    sheet = AMOUNTS if funding else MEMBERS
    validator = row_validator("FundedParticipant" if funding else "Participant")
    doubted = suspicious(listed, sheet)
    for place, row in enumerate(listed):
        if place not in doubted:
            plain = json.loads(json.dumps(row, default=float))
            assert validator.is_valid(plain)


def test_a_model_that_disagrees_with_its_schema_is_reported_and_not_raised() -> None:
    """Should the two ever differ, a person still gets a finding with a place."""
    (root,) = read_yaml(b"kind: Cohort\nversion: 1\n", "f.yaml").documents
    document, problems = model("Cohort", root, Places("f.yaml", root))
    assert document is None
    assert {found.code for found in problems} == {"E_VALUE"}


def test_every_guard_can_be_set_and_widened() -> None:
    """The rules of acknowledgements are the guards', and two that have no setting."""
    assert set(WidenedRules.model_fields) == set(GUARD_RULES)
    assert set(Guards.model_fields) == set(GUARD_RULES) - {"float", "parked"}


def test_unknown_keys_are_refused_by_every_model() -> None:
    """A closed model at every level: a mistyped limit must not vanish."""
    for kind in KINDS.values():
        with pytest.raises(ValidationError, match="Extra inputs"):
            kind.model_validate({"surprise": 1})


@pytest.mark.parametrize(
    "path",
    [ROOT / "stratctl.yaml", ROOT / "policy.yaml", *sorted((ROOT / "strategies").glob("*.yaml"))],
    ids=lambda path: path.name,
)
def test_examples_name_their_schema_and_pass_it_as_an_editor_sees_them(path: Path) -> None:
    """Editors read YAML in their own way; the standard keywords must accept that too."""
    text = path.read_text("utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    schema: Any = json.loads((path.parent / named[1]).read_text("utf-8"))
    for document in yaml.load_all(text, Loader=_EditorLoader):
        Draft202012Validator(schema).validate(document)


class _EditorLoader(yaml.SafeLoader):
    """YAML 1.2 as editors read it: on and off are text, dates too."""


_EditorLoader.yaml_implicit_resolvers = {
    first: [
        (tag, test) for tag, test in found if tag.rpartition(":")[2] in {"int", "float", "null"}
    ]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_EditorLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))
