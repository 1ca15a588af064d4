"""What a broken keyword of a schema means to a person: code, reason with its numbers, way out."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import ValidationError

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.documents import MANAGEABLE, Items, Node, Places, problem
from stratctl.documents.grammar import Doubtful, source_text
from stratctl.load.text import quoted, shown, strange_character
from stratctl.load.yaml import Broken

READS_TEXT = frozenset({"amount", "weight", "ratio", "date"})
"""Formats that are read from the source text: what YAML might think of it does not matter."""

_NOTHING = "nothing is written"


def explain(error: ValidationError, places: Places) -> Iterator[Diagnostic]:
    """Findings for one broken keyword of the schema."""
    path = tuple(error.absolute_path)
    keyword = str(error.validator)
    if isinstance(error.instance, Broken) and keyword != "required":
        return
    special = _BY_KEYWORD.get(keyword)
    if special is not None:
        yield from special(error, path, places)
    elif "propertyNames" in error.absolute_schema_path:
        yield _of_value(error, error.instance, places.key(*path, str(error.instance)))
    elif path and path[0] == "manages" and keyword in {"contains", "enum"} and _legal(error):
        yield problem(
            "E_MANAGES",
            "membership and funding go together, and source: live manages allocations and flags",
            places.value(*path),
            "legal: allocations, flags, or both, and membership with funding beside them",
        )
    elif path and path[-1] == "participants" and keyword == "type" and _is_null(error.instance):
        yield from _empty(error, path, places)
    else:
        yield _of_value(error, error.instance, places.value(*path))


def nearest(word: str, known: list[str]) -> str:
    """``did you mean …?``, or the known words when none is near; capitals make no distance."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return f"did you mean {names[close[0]]}?" if close else f"known here: {', '.join(known)}"


# --- keywords that speak of keys, lists and what stands beside each other ---------------------


def _legal(error: Any) -> bool:
    """Whether each word is one of the four, so that it is their combination that is wrong."""
    return error.validator == "contains" or error.instance in MANAGEABLE


def _around(path: Any) -> str:
    return ".".join(step for step in path if isinstance(step, str)) or "the document"


def _unknown_keys(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    known = list(error.schema.get("properties", {}))
    for key in error.instance:
        if key not in known and not isinstance(key, Broken):
            detail = f"{shown(key)}{strange_character(key)} in {_around(path)}"
            yield problem("E_UNKNOWN_KEY", detail, places.key(*path, key), nearest(key, known))


def _missing_keys(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    if any(isinstance(key, Broken) for key in error.instance):
        return  # what is missing may be what was refused
    for key in error.validator_value:
        if key not in error.instance:
            detail = f"{key!r} in {_around(path)}"
            yield problem("E_MISSING_KEY", detail, places.value(*path), f"add {key}:")


def _one_of(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    if not isinstance(error.instance, Node):
        return  # what has no keys is of the wrong type, which is said
    choices = [choice["required"][0] for choice in error.validator_value]
    given = [choice for choice in choices if choice in error.instance]
    if not given and any(isinstance(key, Broken) for key in error.instance):
        return
    found = ", ".join(given) if given else "none of them"
    detail = f"found {found}; exactly one of {', '.join(choices)} is needed"
    code = "E_MISSING_KEY" if "file" in choices else "E_WEIGHT_SOURCE"
    span = places.key(*path, given[-1]) if given else places.value(*path)
    yield problem(code, detail, span, "keep one of them" if given else "add one of them")


def _nobody(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    hint = "list participants, name a source, or use source: live"
    detail = "neither participants nor source"
    yield problem("E_EMPTY_COHORT", detail, places.value("name"), hint)


def _empty(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    if path and path[-1] == "participants":
        hint = "to sell what they hold, say status: exited for each"
        yield problem("E_EMPTY_COHORT", "the list is empty", places.value(*path), hint)
    else:
        yield problem("E_VALUE", "it is empty", places.value(*path), "delete it or fill it")


def repeats(items: Items) -> Iterator[tuple[int, int]]:
    """Places of texts that stand in a list before, and where; what is no text is wrong anyway."""
    first: dict[str, int] = {}
    for place, item in enumerate(items):
        if isinstance(item, str) and not isinstance(item, Broken):
            before = first.setdefault(item, place)
            if before != place:
                yield place, before


def _repeated(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    for place, before in repeats(error.instance):
        line = places.value(*path, before).line
        detail = f"{error.instance[place]!s} stands in line {line} already"
        yield problem("E_DUP_ITEM", detail, places.value(*path, place), "keep one of them")


def _alone(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    """A key that stands without another that it needs beside it."""
    for key, needed in error.validator_value.items():
        missing = [other for other in needed if other not in error.instance]
        if key in error.instance and key == "exits" and missing:
            yield _exits_alone(path, places)
        elif key in error.instance and missing:
            detail = f"{key!r} without {missing[0]!r}"
            yield problem(
                "E_MISSING_KEY", detail, places.key(*path, key), f"add {missing[0]}, or delete it"
            )


def _exits_alone(path: Any, places: Places) -> Diagnostic:
    hint = "give the cohort allocations, or name the exits in its Strategy"
    detail = "a cohort has exits of its own only beside allocations of its own"
    return problem("E_EXITS_WITHOUT_ALLOCATIONS", detail, places.key(*path, "exits"), hint)


def _not_beside(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    if not path:
        yield _capped(path, places)
    elif path[0] == "journal":
        yield _second_place(path, places)
    else:
        yield _forbidden(path, places)


def _second_place(path: Any, places: Places) -> Diagnostic:
    hint = "keep it where it is, and delete the other: a journal elsewhere begins empty"
    detail = f"git keeps it on a branch, so that {path[-1]} would say nothing"
    return problem("E_JOURNAL_PLACE", detail, places.key(*path), hint)


def _capped(path: Any, places: Places) -> Diagnostic:
    hint = "write the capped weights into allocations"
    detail = "cap is for equal_weight, blend and mirror"
    return problem("E_WEIGHT_SOURCE", detail, places.key(*path, "cap"), hint)


def _forbidden(path: Any, places: Places) -> Diagnostic:
    hint = "use two cohorts"
    detail = f"source: live names nobody and funds nobody, so {path[-1]} cannot stand beside it"
    return problem("E_MANAGES", detail, places.key(*path), hint)


_BY_KEYWORD: dict[str, Callable[[Any, Any, Places], Iterator[Diagnostic]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_keys,
    "oneOf": _one_of,
    "anyOf": _nobody,
    "minItems": _empty,
    "minProperties": _empty,
    "uniqueItems": _repeated,
    "dependentRequired": _alone,
    "not": _not_beside,
}


# --- single values ---------------------------------------------------------------------------


def _of_value(error: Any, value: Any, span: Span) -> Diagnostic:
    """The finding about a single value, by the grammar that it broke."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    said = _said(value)
    keyword = error.validator
    name = schema.get("format", "")
    if name in READS_TEXT:
        return _of_number(name, value, said, span)
    if schema.get("const") == 1:
        if type(value) is str:
            return problem("E_VERSION", f"{said} is text", span, "write version: 1, unquoted")
        found = _refused(value) if _is_null(value) else f"{said} is not 1"
        return problem("E_VERSION", found, span, "write version: 1")
    if "enum" in schema:
        allowed = [str(choice) for choice in schema["enum"]]
        return problem("E_VALUE", _refused(value), span, nearest(str(value), allowed))
    if keyword == "const":
        return problem("E_VALUE", _refused(value), span, f"use {error.validator_value}")
    if keyword == "type" and schema.get("type") == "boolean":
        return _of_flag(value, said, span)
    if keyword == "type":
        return _of_type(schema, value, said, span)
    if keyword in {"minimum", "maximum"}:
        detail = f"{said} is not between {schema.get('minimum'):,} and {schema.get('maximum'):,}"
        return problem("E_VALUE", detail, span, "write a number between them")
    return _of_grammar(schema, value, span)


def _of_flag(value: Any, said: str, span: Span) -> Diagnostic:
    hint = "write true or false"
    if _is_null(value):
        return problem("E_YAML_BOOL", _refused(value), span, f"{hint}, or delete the key")
    if type(value) is str and value in {"true", "false"}:
        return problem("E_YAML_BOOL", f"{said} is text", span, f"write {value} without quotes")
    return problem("E_YAML_BOOL", f"{said} is not a boolean", span, hint)


def _of_type(schema: dict[str, Any], value: Any, said: str, span: Span) -> Diagnostic:
    wanted = str(schema.get("type"))
    if wanted == "string" and not isinstance(value, Node | Items):
        return _unquoted(schema, value, said, span)
    if _is_null(value):
        found = _refused(value)
    elif isinstance(value, Node | Items):
        found = said
    elif wanted == "integer" and not isinstance(value, bool) and type(value) is not str:
        found = f"{said} is not a plain whole number"
    else:
        found = f"{said} is {_kind_of(value)}"
    return problem("E_TYPE", found, span, _wanted(schema, value))


def _wanted(schema: dict[str, Any], value: Any) -> str:
    wanted = schema.get("type")
    if wanted == "integer":
        return f"write a whole number from {schema['minimum']:,} to {schema['maximum']:,}"
    if wanted == "object" and isinstance(value, str) and re.search(r"[^ ]:[^ ]", value):
        return "write a mapping, with a blank after each colon"
    if wanted == "array" and type(value) is str and re.fullmatch(r"[\w.-]{1,40}", value):
        return f"write a list: [{value}]"
    form = {"object": "a mapping", "array": "a list"}.get(str(wanted), "text")
    for example in schema.get("examples", ()):
        if not isinstance(example, str):
            return f"write {form} like {_flow(example)}"
    keys = ", ".join(list(schema.get("properties", {}))[:3])
    return f"write {form} with keys such as {keys}" if keys else f"write {form}"


def _flow(example: Any) -> str:
    """A short example as people write it."""
    return re.sub(r'"([A-Za-z][\w-]*|[0-9.]+)"', r"\1", json.dumps(example))


def _unquoted(schema: dict[str, Any], value: Any, said: str, span: Span) -> Diagnostic:
    """Text that is none to some YAML. Quotes are the way out only where they are enough."""
    code, form = _BY_FORMAT.get(schema.get("format", ""), _FREE)
    text = source_text(value)
    written = ("true" if text else "false") if isinstance(text, bool) else str(text)
    if not written:
        return problem(code, _NOTHING, span, form)
    reading = value.reading if isinstance(value, Doubtful) else _kind_of(value)
    fits = re.fullmatch(schema.get("pattern", ".*"), written, re.ASCII)
    hint = f"quote it: {quoted(written)}" if fits else form
    return problem("E_TYPE_STRING_REQUIRED", f"{said} can be read as {reading}", span, hint)


_PLAIN = "digits with at most one point: no sign, exponent, blank, separator or currency"
_NUMBERS = {
    "amount": ("E_AMOUNT_SYNTAX", "E_AMOUNT_SYNTAX", "write the amount", 15, 8),
    "ratio": ("E_RATIO_SYNTAX", "E_RATIO_SYNTAX", "write the fraction", 6, 18),
    "weight": ("E_WEIGHT_SYNTAX", "E_WEIGHT_RANGE", "write the weight", 6, 18),
}
"""Format -> code of the form, code of the size, what to write, and the most digits before and
behind the point. A weight of more than 1 is refused by its size whatever its digits."""


def _of_number(name: str, value: Any, said: str, span: Span) -> Diagnostic:
    text = source_text(value)
    if name == "date":
        found = _refused(value) if _is_null(value) else f"{said} is not a day"
        return problem("E_DATE_SYNTAX", found, span, "write it as 2026-12-31")
    form, size, wanted, whole_max, decimals_max = _NUMBERS[name]
    if _is_null(value) or text == "":
        missing = "E_AMOUNT_MISSING" if name == "amount" else form
        return problem(missing, _refused(value), span, wanted)
    if not isinstance(text, str):
        found = said if isinstance(value, Node | Items) else f"{said} is {_kind_of(value)}"
        return problem("E_TYPE", found, span, "write a number")
    number = re.fullmatch(r"([-+]?)([0-9]+)(?:\.([0-9]+))?", text, re.ASCII)
    if not number:
        percent = name != "amount" and text.endswith("%")
        hint = "write a fraction of 1: 0.25 for 25%" if percent else _PLAIN
        return problem(form, _refused(value) + strange_character(text), span, hint)
    sign, whole, decimals = number[1], number[2], number[3] or ""
    hint = "weights are fractions of 1 with at most 18 decimals" if name == "weight" else _PLAIN
    outside = problem(size, _refused(value), span, hint)
    if sign:
        return outside
    if len(whole) > 1 and whole.startswith("0"):
        return problem(form, _refused(value), span, "delete the zeros in front")
    if len(whole) > whole_max:
        detail = f"{said} has {len(whole):,} digits before the point"
        return problem(size, detail, span, f"at most {whole_max} are accepted")
    if len(decimals) > decimals_max:
        detail = f"{said} has {len(decimals):,} decimals"
        hint = f"at most {decimals_max} are accepted; nothing is rounded here"
        return problem(size, detail, span, hint)
    return outside


_FREE = ("E_TEXT", "write it, or delete the key")
_BY_FORMAT = {
    "participant-code": ("E_CODE_SYNTAX", "a code is six characters of A-Z and 0-9"),
    "asset-code": ("E_ASSET_SYNTAX", "as the provider lists it: BTC, AAVE.ETH"),
    "currency-code": ("E_CURRENCY", "three letters: USD"),
    "name": ("E_NAME_SYNTAX", "lower-case letters, digits and dashes"),
    "uuid": ("E_UUID_SYNTAX", "lower case with dashes, as the provider shows it"),
    "endpoint": ("E_ENDPOINT", "sandbox, or https:// and a host name in lower case"),
    "platform-code": ("E_TEXT", "a platform code is six characters of A-Z and 0-9"),
    "sha256": ("E_TEXT", "64 digits and letters a to f, as sha256sum prints it"),
    "account-label": ("E_TEXT", "letters, digits, _ and -"),
    "git-name": (
        "E_TEXT",
        "a name: letters, digits, _ and -; points and slashes between",
    ),
}


def _of_grammar(schema: dict[str, Any], value: Any, span: Span) -> Diagnostic:
    code, hint = _BY_FORMAT.get(schema.get("format", ""), _FREE)
    text = str(value)
    least, most = schema.get("minLength", 0), schema.get("maxLength", 0)
    said = _refused(value)
    if least == most != len(text) and text and code != "E_UUID_SYNTAX":
        said = f"{_said(value)} has {len(text):,} characters, not {most}"
    elif len(text) > most > least:
        said = f"{_said(value)} has {len(text):,} characters; at most {most:,} are accepted"
        hint = "shorten it" if code == "E_TEXT" else hint
    return problem(code, said + strange_character(text), span, hint)


def _is_null(value: Any) -> bool:
    return isinstance(value, Doubtful) and value.reading == "null"


def _refused(value: Any) -> str:
    """That a value is not accepted; that there is none where none was written."""
    if isinstance(value, str) and not value:
        return _NOTHING
    return f"{_said(value)} means nothing" if _is_null(value) else f"{_said(value)} is not accepted"


def _kind_of(value: Any) -> str:
    if isinstance(value, Node):
        return "a mapping"
    if isinstance(value, Items):
        return "a list"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, Doubtful):
        return str(value.reading)
    return "text" if isinstance(value, str) else "a number"


def _said(value: Any) -> str:
    """A value in a sentence: short, in quotes when it is text."""
    if isinstance(value, Node | Items):
        return _kind_of(value)
    text = source_text(value)
    if isinstance(text, bool):
        return "true" if text else "false"
    return shown(value) if isinstance(value, str) else shown(str(text)).strip("'")
