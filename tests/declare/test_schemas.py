"""The published schemas: made from the models, complete, and of use to people in editors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel, ValidationError

from stratctl.cli.schema import all_schemas
from stratctl.core.settings import CAP_RULES, GUARD_RULES
from stratctl.documents import KINDS
from stratctl.documents.kinds import Caps, Guards, WidenedRules
from tests.declare.world import ROOT

Json = dict[str, Any]

SCHEMAS: Mapping[str, Any] = all_schemas()


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_checked_in_schemas_are_what_the_models_say(name: str) -> None:
    """What an editor checks is what runs."""
    written = (ROOT / "schemas" / name).read_text("utf-8")
    assert json.loads(written) == SCHEMAS[name]


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_is_of_2020_12_and_says_what_it_is(name: str) -> None:
    """It fits the dialect's own schema, and has a name for good, a title and a description."""
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:stratctl:{name.partition('.')[0]}:1"
    assert schema["title"]
    assert schema["description"]


def parts(schema: Any) -> Iterator[Json]:
    """A schema and those within it. What merely narrows another one declares nothing."""
    if isinstance(schema, dict):
        yield schema
        for keyword, inner in schema.items():
            if keyword in {"properties", "$defs"}:
                for one in inner.values():
                    yield from parts(one)
            elif keyword in {"items", "additionalProperties", "propertyNames"} or (
                keyword == "then" and "required" in inner
            ):
                yield from parts(inner)
            elif keyword in {"anyOf", "oneOf", "prefixItems"}:
                for one in inner:
                    yield from parts(one)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_property_is_described_and_every_object_is_closed(name: str) -> None:
    """A sentence for each key that an editor completes, and no room for mistyped ones."""
    objects = [part for part in parts(SCHEMAS[name]) if "properties" in part]
    assert objects
    for part in objects:
        assert part.get("additionalProperties") is False or name == "document.schema.json"
        silent = [key for key, said in part["properties"].items() if not said.get("description")]
        assert not silent, part.get("title")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_written_as_text_has_an_example(kind: str) -> None:
    """Where the choices are not listed, people see how a value looks."""
    for part in parts(SCHEMAS[f"{kind.lower()}.schema.json"]):
        for key, said in part.get("properties", {}).items():
            if "string" in said.get("type", ()) and not {"enum", "const"} & said.keys():
                assert said.get("examples") or "default" in said, key


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_examples_and_defaults_are_right_themselves(kind: str) -> None:
    """Nothing is proposed that would be refused."""
    schema = SCHEMAS[f"{kind.lower()}.schema.json"]
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    shown = 0
    for part in parts(schema):
        bare = {key: value for key, value in part.items() if key != "$id"}
        proposed = [*part.get("examples", ()), *([part["default"]] if "default" in part else ())]
        for value in proposed:
            validator.evolve(schema=bare).validate(value)
            shown += 1
    assert shown


@pytest.mark.parametrize(
    "path",
    [ROOT / "stratctl.yaml", ROOT / "policy.yaml", *sorted((ROOT / "strategies").glob("*.yaml"))],
    ids=lambda path: path.name,
)
def test_the_first_line_of_an_example_leads_to_its_schema(path: Path) -> None:
    """An editor finds the schema from the file alone, relative to it."""
    text = path.read_text("utf-8")
    first = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    kind = re.search(r"^kind: (\w+)$", text, re.MULTILINE)
    assert first
    assert kind
    assert json.loads((path.parent / first[1]).read_text("utf-8"))["title"] == kind[1]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_default_is_the_model_s(kind: str) -> None:
    """What is shown as the default of a setting is what the model takes when it is not said."""
    said = SCHEMAS[f"{kind.lower()}.schema.json"]["properties"]
    for name, field in KINDS[kind].model_fields.items():
        if field.is_required() or field.default is None:
            assert "default" not in said[name]
        else:
            taken = field.default
            plain = taken.model_dump(mode="json", exclude_none=True) if is_part(taken) else taken
            assert json.loads(json.dumps(plain)) == said[name]["default"]


def is_part(value: object) -> TypeGuard[BaseModel]:
    """Whether a default is a group of settings."""
    return isinstance(value, BaseModel)


def test_every_guard_can_be_set_and_widened() -> None:
    """The rules of acknowledgements are the guards', and three that have no setting."""
    assert set(WidenedRules.model_fields) == set(GUARD_RULES)
    unset = {"float", "parked", "stale_flows", *CAP_RULES}
    assert set(Guards.model_fields) == set(GUARD_RULES) - unset
    assert [f"cap_{name}" for name in Caps.model_fields] == list(CAP_RULES)


def test_unknown_keys_are_refused_by_every_model() -> None:
    """A closed model at every level: a mistyped limit must not vanish."""
    for kind in KINDS.values():
        with pytest.raises(ValidationError, match="Extra inputs"):
            kind.model_validate({"surprise": 1})
