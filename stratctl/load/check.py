"""Documents against their schema, then their model; every finding with its place.

The checked-in schema is what really runs, so that an editor and this program say the same. Two
keywords know more than the standard: ``type`` refuses unquoted text that some YAML reads as
something else, and ``pattern`` reads a plain number's text, which loses nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators
from pydantic import ValidationError as ModelError

from stratctl.core.diagnostic import Diagnostic
from stratctl.documents import KINDS, Document, Items, Node, Places, problem
from stratctl.documents.grammar import Doubtful, is_date, source_text
from stratctl.load.explain import READS_TEXT, explain, repeats
from stratctl.load.shipped import shipped
from stratctl.load.yaml import Broken

FINDINGS_MAX = 100
"""Findings in one document, after which the rest of it is not looked at."""


def check(kind: str, root: Node, places: Places) -> tuple[Document | None, list[Diagnostic]]:
    """The model of a document, or why it cannot be one."""
    errors = _validator(kind).iter_errors(root)
    problems = _distinct(found for error in errors for found in explain(error, places))
    if problems or has_broken(root):
        return None, problems
    return model(kind, root, places)


def _distinct(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each finding once, up to the limit: a file of one mebibyte can hold 70,000 unknown keys."""
    kept: dict[Diagnostic, None] = {}
    for one in found:
        kept[one] = None
        if len(kept) > FINDINGS_MAX:
            *others, last = kept
            detail = f"{last.detail}; what else is wrong in this document is not looked for"
            return [*others, replace(last, detail=detail)]
    return list(kept)


def model(kind: str, root: Node, places: Places) -> tuple[Document | None, list[Diagnostic]]:
    """The model's own verdict, which is the schema's; it holds what the schema let through."""
    try:
        return KINDS[kind].model_validate(root), []
    except ModelError as error:
        return None, [
            problem("E_VALUE", found["msg"], places.value(*found["loc"]))
            for found in error.errors(include_url=False)
        ]


# --- the validator ---------------------------------------------------------------------------


@cache
def _validator(kind: str) -> Draft202012Validator:
    schema = json.loads(shipped(f"schemas/{kind.lower()}.schema.json"))
    extended = validators.extend(  # type: ignore[no-untyped-call]  # it has no annotations
        Draft202012Validator,
        {
            "type": _type,
            "pattern": _pattern,
            "format": _format,
            "uniqueItems": _unique,
            "properties": _properties,
            "items": _items,
        },
        type_checker=Draft202012Validator.TYPE_CHECKER.redefine("string", _is_text),
    )
    made: Draft202012Validator = extended(_inlined(schema, schema.get("$defs", {})))
    return made


def _inlined(schema: Any, named: dict[str, Any]) -> Any:
    """The schema with every part in the places that name it, which are many times looked up else.

    No part of these schemas holds itself, and beside a name stand words for editors alone.
    """
    if isinstance(schema, list):
        return [_inlined(one, named) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        assert schema.keys() <= {"$ref", "description", "default", "examples"}, schema
        return _inlined(named[schema["$ref"].removeprefix("#/$defs/")], named)
    return {key: _inlined(one, named) for key, one in schema.items() if key != "$defs"}


def _properties(
    validator: Any, properties: dict[str, Any], instance: Any, _: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, Node):
        for name, schema in properties.items():
            if name in instance and not _fits(validator, instance[name], schema):
                yield from validator.descend(instance[name], schema, path=name, schema_path=name)


def _items(validator: Any, schema: Any, instance: Any, whole: Any) -> Iterator[ValidationError]:
    assert "prefixItems" not in whole, whole
    if isinstance(instance, Items):
        for place, value in enumerate(instance):
            if not _fits(validator, value, schema):
                yield from validator.descend(value, schema, path=place)


def _fits(validator: Any, instance: Any, schema: dict[str, Any]) -> bool:
    """Whether nothing is wrong with a part, which is what is true of nearly every part.

    To say what is wrong and where, a validator is made anew for every part of a document, at half
    the cost of reading it. Without names in the schema any validator can tell whether.
    """
    for keyword, value in schema.items():
        rule = validator.VALIDATORS.get(keyword)
        if rule is not None and any(True for _ in rule(validator, value, instance, schema) or ()):
            return False
    return True


def _is_text(_: Any, instance: Any) -> bool:
    """What is doubtful or refused is text to no keyword but ``type``, which says so once."""
    return isinstance(instance, str) and not isinstance(instance, Doubtful | Broken)


def _type(validator: Any, types: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    wanted = [types] if isinstance(types, str) else types
    if isinstance(instance, Doubtful):
        quoted = schema.get("format", "date") not in READS_TEXT
        fits = "string" in wanted and not quoted
    else:
        fits = any(validator.is_type(instance, name) for name in wanted)
    if not fits and not isinstance(instance, Broken):
        yield ValidationError(f"not {' or '.join(wanted)}")


def _pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    text = source_text(instance) if schema.get("format") in READS_TEXT else instance
    if isinstance(text, Broken) or not isinstance(text, str):
        return
    if isinstance(text, Doubtful) and schema.get("format") not in READS_TEXT:
        return
    if not re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text, re.ASCII):
        yield ValidationError("does not fit the grammar")


def _format(_: Any, name: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if name == "date" and isinstance(instance, str) and not is_date(instance):
        yield ValidationError("no such day")


def _unique(_: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, Items) and any(repeats(instance)):
        yield ValidationError("the same text twice")


def has_broken(value: Any) -> bool:
    """Whether something in a document was refused already when it was read."""
    if isinstance(value, Node):
        return any(has_broken(inner) for inner in value.values())
    if isinstance(value, Items):
        return any(has_broken(inner) for inner in value)
    return isinstance(value, Broken)
