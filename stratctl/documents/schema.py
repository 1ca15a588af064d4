"""The published JSON Schemas (2020-12), made from the models."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from stratctl.documents.kinds import DECLARED, KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Json = dict[str, Any]


def schemas() -> dict[str, Json]:
    """File name in ``schemas/`` -> schema: one per kind of document, and one for any of them."""
    made = {name.lower(): {"$schema": DIALECT, **_of_kind(name)} for name in KINDS}
    return {
        f"{name}.schema.json": schema
        for name, schema in {**made, "document": _of_any_declaration()}.items()
    }


def identity(name: str) -> str:
    """The ``$id`` of a schema: a name for good, which nothing ever looks up on a network."""
    return f"urn:stratctl:{name}:1"


def _of_kind(name: str) -> Json:
    """The head first and the definitions last, because people read these files too."""
    made = KINDS[name].model_json_schema(schema_generator=_Generator)
    head = {"$id": identity(name.lower()), "title": name}
    last = {"$defs": made.pop("$defs")} if "$defs" in made else {}
    return {**head, "description": made.pop("description"), **made, **last}


def _of_any_declaration() -> Json:
    """What may stand under ``strategies/``, so that an editor can ask for the kind first.

    The schemas of the kinds are inside, so that it is whole without its neighbours.
    """
    return {
        "$schema": DIALECT,
        "$id": identity("document"),
        "title": "Document",
        "description": "What a document under strategies/ may be: "
        + ", ".join(name for name in DECLARED[:-1])
        + f" or {DECLARED[-1]}.",
        "type": "object",
        "properties": {
            "kind": {"description": "What this document declares.", "enum": list(DECLARED)}
        },
        "required": ["kind"],
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": identity(name.lower())},
            }
            for name in DECLARED
        ],
        "$defs": {name: _of_kind(name) for name in DECLARED},
    }


class _Generator(GenerateJsonSchema):
    """Leaves out what nobody may write: null, and titles that repeat a key."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        """Keys keep the order of the models, which is the order for readers."""
        return value

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        return _said(super().encode_default(dft))

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Every key must fit the grammar; patternProperties alone would let others pass."""
        made: JsonSchemaValue = {
            "type": "object",
            "propertyNames": self.generate_inner(schema["keys_schema"]),
            "additionalProperties": self.generate_inner(schema["values_schema"]),
        }
        if "min_length" in schema:
            made["minProperties"] = schema["min_length"]
        return made


def _said(value: Any) -> Any:
    """A default without the parts that stand for not having been said."""
    if isinstance(value, dict):
        return {key: _said(part) for key, part in value.items() if part is not None}
    return value
