"""The published JSON Schemas (2020-12), made from the models."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from stratctl.documents.kinds import KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """File name in ``schemas/`` -> schema, one per kind of document."""
    return {
        f"{name.lower()}.schema.json": {
            "$schema": DIALECT,
            "title": name,
            **kind.model_json_schema(schema_generator=_Generator),
        }
        for name, kind in KINDS.items()
    }


class _Generator(GenerateJsonSchema):
    """Leaves out what nobody may write: null, and titles that repeat a key."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

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
