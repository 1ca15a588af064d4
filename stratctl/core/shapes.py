"""Whether JSON fits a schema: a quick yes, for what is large and nearly always right.

The keywords of a schema become functions, once. Their yes is certain. Where they say no the value
may fit all the same, as 1.0 fits an integer: whoever asks lets the library decide that knows the
standard, and that says what is wrong and where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]
Fits = Callable[[Any], bool]
Of = Callable[[Schema], Fits]

_WORDS = frozenset({"$defs", "$id", "$schema", "description", "examples", "title"})
"""Keywords that refuse nothing."""
_KINDS: Mapping[str, type] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "object": dict,
    "string": str,
}


def surely_fits(schema: Schema) -> Fits:
    """What is true only of values that fit the schema, and of nearly all of those.

    The values are JSON as it was parsed. Raises KeyError for a keyword that is not known here.
    """
    named = schema.get("$defs", {})

    def of(part: Schema) -> Fits:
        if "$ref" in part:
            assert part.keys() - _WORDS == {"$ref"}, part
            return of(named[part["$ref"].removeprefix("#/$defs/")])
        rules = [_RULES[keyword](part[keyword], part, of) for keyword in part.keys() - _WORDS]
        return rules[0] if len(rules) == 1 else lambda value: all(fits(value) for fits in rules)

    return of(schema)


# --- one keyword each: no to what it refuses, and yes to whatever it is not about ----------------


def _type(names: str | list[str], _part: Schema, _of: Of) -> Fits:
    kinds = {_KINDS[name] for name in ([names] if isinstance(names, str) else names)}
    return lambda value: type(value) in kinds


def _properties(parts: Mapping[str, Schema], _part: Schema, of: Of) -> Fits:
    known = {name: of(part) for name, part in parts.items()}
    return lambda value: (
        type(value) is not dict
        or all(name not in known or known[name](inner) for name, inner in value.items())
    )


def _required(names: list[str], _part: Schema, _of: Of) -> Fits:
    wanted = frozenset(names)
    return lambda value: type(value) is not dict or value.keys() >= wanted


def _additional(part: Schema | bool, beside: Schema, of: Of) -> Fits:
    known = frozenset(beside.get("properties", ()))
    fits = of(part) if isinstance(part, Mapping) else lambda _: part
    return lambda value: (
        type(value) is not dict or all(fits(value[name]) for name in value.keys() - known)
    )


def _items(part: Schema, _part: Schema, of: Of) -> Fits:
    fits = of(part)
    return lambda value: type(value) is not list or all(fits(inner) for inner in value)


def _any_of(parts: list[Schema], _part: Schema, of: Of) -> Fits:
    ways = [of(part) for part in parts]
    return lambda value: any(fits(value) for fits in ways)


def _enum(values: list[str], _part: Schema, _of: Of) -> Fits:
    known = frozenset(values)
    return lambda value: type(value) is str and value in known


def _const(wanted: bool | str, _part: Schema, _of: Of) -> Fits:
    return lambda value: type(value) is type(wanted) and value == wanted


def _pattern(pattern: str, _part: Schema, _of: Of) -> Fits:
    search = re.compile(pattern).search
    return lambda value: type(value) is not str or search(value) is not None


def _max_length(most: int, _part: Schema, _of: Of) -> Fits:
    return lambda value: type(value) is not str or len(value) <= most


def _minimum(least: int, _part: Schema, _of: Of) -> Fits:
    return lambda value: type(value) not in (int, float) or value >= least


def _maximum(most: int, _part: Schema, _of: Of) -> Fits:
    return lambda value: type(value) not in (int, float) or value <= most


_RULES: Mapping[str, Callable[[Any, Schema, Of], Fits]] = {
    "additionalProperties": _additional,
    "anyOf": _any_of,
    "const": _const,
    "enum": _enum,
    "items": _items,
    "maxLength": _max_length,
    "maximum": _maximum,
    "minimum": _minimum,
    "pattern": _pattern,
    "properties": _properties,
    "required": _required,
    "type": _type,
}
