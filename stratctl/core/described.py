"""Sentences for the properties of a JSON Schema, kept in a table beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def described(schema: Json, words: Mapping[str, str], owner: str = "") -> Json:
    """The schema with a description for each property.

    A property ``key`` inside a property ``owner`` is described by ``words["owner.key"]``, else by
    ``words["key"]``; one that the table does not know stays without. Lists are looked through.
    """
    made = dict(schema)
    if "properties" in schema:
        made["properties"] = {
            key: _property(inner, words, owner, key) for key, inner in schema["properties"].items()
        }
    if "$defs" in schema:
        made["$defs"] = {
            key: described(inner, words, key) for key, inner in schema["$defs"].items()
        }
    for keyword in ("anyOf", "oneOf", "prefixItems"):
        if keyword in schema:
            made[keyword] = [described(inner, words, owner) for inner in schema[keyword]]
    if isinstance(schema.get("items"), dict):
        made["items"] = described(schema["items"], words, owner)
    return made


def _property(schema: Json, words: Mapping[str, str], owner: str, key: str) -> Json:
    sentence = words.get(f"{owner}.{key}") or words.get(key)
    inner = described(schema, words, key)
    return {"description": sentence, **inner} if sentence else inner
