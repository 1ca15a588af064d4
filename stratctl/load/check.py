"""Documents against their schema, then their model; every finding with its place.

The checked-in schema is what really runs, so that an editor and this program say the same. Two
keywords know more than the standard: ``type`` refuses unquoted text that some YAML reads as
something else, and ``pattern`` reads a plain number's text, which loses nothing.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators
from pydantic import ValidationError as ModelError

from stratctl.core.diagnostic import Diagnostic
from stratctl.documents import KINDS, MANAGEABLE, Document, Items, Node, Places, problem
from stratctl.documents.grammar import Doubtful, is_date, source_text
from stratctl.load.yaml import Broken

FINDINGS_MAX = 100
"""Findings in one document, after which the rest of it is not looked at."""

_READS_TEXT = frozenset({"amount", "weight", "ratio", "date"})
"""Formats that are read from the source text: what YAML might think of it does not matter."""


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


def nearest(word: str, known: list[str]) -> str:
    """``did you mean …?``, or the known words when none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


# --- the validator ---------------------------------------------------------------------------


@cache
def _validator(kind: str) -> Draft202012Validator:
    schema = json.loads(_schema_text(f"{kind.lower()}.schema.json"))
    extended = validators.extend(  # type: ignore[no-untyped-call]  # it has no annotations
        Draft202012Validator,
        {"type": _type, "pattern": _pattern, "format": _format, "uniqueItems": _unique},
        type_checker=Draft202012Validator.TYPE_CHECKER.redefine("string", _is_text),
    )
    made: Draft202012Validator = extended(schema)
    return made


def _schema_text(name: str) -> str:
    """The schema from the installed package, or from the top of the repository."""
    packaged = resources.files("stratctl") / "schemas" / name
    if packaged.is_file():
        return packaged.read_text("utf-8")
    return (Path(__file__).resolve().parents[2] / "schemas" / name).read_text("utf-8")


def _is_text(_: Any, instance: Any) -> bool:
    """What is doubtful or refused is text to no keyword but ``type``, which says so once."""
    return isinstance(instance, str) and not isinstance(instance, Doubtful | Broken)


def _type(validator: Any, types: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    wanted = [types] if isinstance(types, str) else types
    if isinstance(instance, Doubtful):
        quoted = schema.get("format", "date") not in _READS_TEXT
        fits = "string" in wanted and not quoted
    else:
        fits = any(validator.is_type(instance, name) for name in wanted)
    if not fits and not isinstance(instance, Broken):
        yield ValidationError(f"not {' or '.join(wanted)}")


def _pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    text = source_text(instance) if schema.get("format") in _READS_TEXT else instance
    if isinstance(text, Broken) or not isinstance(text, str):
        return
    if isinstance(text, Doubtful) and schema.get("format") not in _READS_TEXT:
        return
    if not re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text, re.ASCII):
        yield ValidationError("does not fit the grammar")


def _format(_: Any, name: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if name == "date" and isinstance(instance, str) and not is_date(instance):
        yield ValidationError("no such day")


def _unique(_: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, Items) and any(_repeats(instance)):
        yield ValidationError("the same text twice")


def _repeats(items: Items) -> Iterator[tuple[int, int]]:
    """Places of texts that stand in a list before, and where; what is no text is wrong anyway."""
    first: dict[str, int] = {}
    for place, item in enumerate(items):
        if isinstance(item, str) and not isinstance(item, Broken):
            before = first.setdefault(item, place)
            if before != place:
                yield place, before


def has_broken(value: Any) -> bool:
    """Whether something in a document was refused already when it was read."""
    if isinstance(value, Node):
        return any(has_broken(inner) for inner in value.values())
    if isinstance(value, Items):
        return any(has_broken(inner) for inner in value)
    return isinstance(value, Broken)


# --- what an error means to a person ---------------------------------------------------------


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
        yield _of_text(error, error.instance, places.key(*path, str(error.instance)))
    elif path and path[0] == "manages" and keyword in {"contains", "enum"} and _legal(error):
        yield problem(
            "E_MANAGES",
            "membership and funding go together, and source: live manages allocations and flags",
            places.value(*path),
            "legal: allocations, flags, or both, and membership with funding beside them",
        )
    else:
        yield _of_text(error, error.instance, places.value(*path))


def _legal(error: Any) -> bool:
    """Whether each word is one of the four, so that it is their combination that is wrong."""
    return error.validator == "contains" or error.instance in MANAGEABLE


def _around(path: Any) -> str:
    return ".".join(step for step in path if isinstance(step, str)) or "the document"


def _unknown_keys(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    known = list(error.schema.get("properties", {}))
    for key in error.instance:
        if key not in known:
            where = _around(path)
            span = places.key(*path, key)
            yield problem("E_UNKNOWN_KEY", f"{key!r} in {where}", span, nearest(key, known))


def _missing_keys(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    for key in error.validator_value:
        if key not in error.instance:
            where = _around(path)
            detail = f"{key!r} in {where}"
            yield problem("E_MISSING_KEY", detail, places.value(*path), f"add {key}:")


def _one_of(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    choices = [choice["required"][0] for choice in error.validator_value]
    given = [choice for choice in choices if choice in error.instance]
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


def _repeated(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    for place, before in _repeats(error.instance):
        line = places.value(*path, before).line
        detail = f"{error.instance[place]!s} stands in line {line} already"
        yield problem("E_DUP_ITEM", detail, places.value(*path, place), "keep one of them")


def _exits_alone(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    hint = "give the cohort allocations, or name the exits in its Strategy"
    detail = "a cohort has exits of its own only beside allocations of its own"
    yield problem("E_EXITS_WITHOUT_ALLOCATIONS", detail, places.key(*path, "exits"), hint)


def _not_beside(error: Any, path: Any, places: Places) -> Iterator[Diagnostic]:
    yield from (_forbidden if path else _capped)(path, places)


def _capped(path: Any, places: Places) -> Iterator[Diagnostic]:
    hint = "write the capped weights into allocations"
    detail = "cap is for equal_weight, blend and mirror"
    yield problem("E_WEIGHT_SOURCE", detail, places.key(*path, "cap"), hint)


def _forbidden(path: Any, places: Places) -> Iterator[Diagnostic]:
    hint = "use two cohorts"
    detail = f"source: live names nobody and funds nobody, so {path[-1]} cannot stand beside it"
    yield problem("E_MANAGES", detail, places.key(*path), hint)


_BY_KEYWORD: dict[str, Callable[[Any, Any, Places], Iterator[Diagnostic]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_keys,
    "oneOf": _one_of,
    "anyOf": _nobody,
    "minItems": _empty,
    "minProperties": _empty,
    "uniqueItems": _repeated,
    "dependentRequired": _exits_alone,
    "not": _not_beside,
}


def _of_text(error: Any, value: Any, span: Any) -> Diagnostic:
    """The finding about a single value, by the grammar that it broke."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    said = _shown(value)
    keyword = error.validator
    name = schema.get("format", "")
    if name in _READS_TEXT:
        return _of_number(name, value, said, span)
    if isinstance(schema.get("const"), int):
        return problem("E_VERSION", f"{said} is not {schema['const']}", span, "write version: 1")
    if "enum" in schema:
        allowed = [str(choice) for choice in schema["enum"]]
        return problem("E_VALUE", f"{said} is not accepted", span, nearest(str(value), allowed))
    if keyword == "const":
        hint = f"use {error.validator_value}"
        return problem("E_VALUE", f"{said} is not accepted", span, hint)
    if keyword == "type" and schema.get("type") == "boolean":
        return problem("E_YAML_BOOL", f"{said} is not a boolean", span, "write true or false")
    if keyword == "type":
        return _of_type(schema, value, said, span)
    if keyword in {"minimum", "maximum"}:
        low, high = schema.get("minimum"), schema.get("maximum")
        detail = f"{said} is not between {low} and {high}"
        return problem("E_VALUE", detail, span, "write a number between them")
    return _of_grammar(name, value, said, span)


def _of_type(schema: dict[str, Any], value: Any, said: str, span: Any) -> Diagnostic:
    if schema.get("type") == "string" and not isinstance(value, Node | Items):
        reading = value.reading if isinstance(value, Doubtful) else _kind_of(value)
        text = source_text(value)
        written = ("true" if text else "false") if isinstance(text, bool) else str(text)
        if not written:
            return problem("E_TEXT", "it is empty", span, "write it, or delete the key")
        detail = f"{said} can be read as {reading}"
        return problem("E_TYPE_STRING_REQUIRED", detail, span, f'quote it: "{written}"')
    wanted = {"object": "a mapping", "array": "a list", "integer": "a whole number"}
    needed = wanted.get(str(schema.get("type")), "text")
    found = said if isinstance(value, Node | Items) else f"{said} is {_kind_of(value)}"
    return problem("E_TYPE", found, span, f"write {needed}")


def _of_number(name: str, value: Any, said: str, span: Any) -> Diagnostic:
    text = source_text(value)
    if name == "date":
        return problem("E_DATE_SYNTAX", f"{said} is not a day", span, "write it as 2026-12-31")
    if not isinstance(text, str):
        found = said if isinstance(value, Node | Items) else f"{said} is {_kind_of(value)}"
        return problem("E_TYPE", found, span, "write a number")
    plain = "digits with at most one point: no sign, exponent, blank, separator or currency"
    if name == "amount":
        if not text or (isinstance(text, Doubtful) and text.reading == "null"):
            return problem("E_AMOUNT_MISSING", "nothing is written", span, "write the amount")
        return problem("E_AMOUNT_SYNTAX", f"{said} is not accepted", span, plain)
    if name == "ratio":
        return problem("E_RATIO_SYNTAX", f"{said} is not accepted", span, plain)
    if re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?", text, re.ASCII):
        hint = "weights are fractions of 1 with at most 18 decimals"
        return problem("E_WEIGHT_RANGE", f"{said} is not accepted", span, hint)
    return problem("E_WEIGHT_SYNTAX", f"{said} is not accepted", span, plain)


_BY_FORMAT = {
    "participant-code": ("E_CODE_SYNTAX", "a code is six characters of A-Z and 0-9"),
    "asset-code": ("E_ASSET_SYNTAX", "as the provider lists it: BTC, AAVE.ETH"),
    "currency-code": ("E_CURRENCY", "three letters: USD"),
    "name": ("E_NAME_SYNTAX", "lower-case letters, digits and dashes"),
    "uuid": ("E_UUID_SYNTAX", "lower case with dashes, as the provider shows it"),
    "endpoint": ("E_ENDPOINT", "sandbox, or https:// and a host name in lower case"),
}


def _of_grammar(name: str, value: Any, said: str, span: Any) -> Diagnostic:
    code, hint = _BY_FORMAT.get(name, ("E_TEXT", "shorten it, or keep to the documented form"))
    return problem(code, f"{said}{strange_character(str(value))} is not accepted", span, hint)


def strange_character(text: str) -> str:
    """Names a character that looks like another one, which nobody could see otherwise."""
    strange = next((c for c in text if not c.isascii() or not c.isprintable()), None)
    return "" if strange is None else f" (with U+{ord(strange):04X})"


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


def _shown(value: Any) -> str:
    """A value in a sentence: short, in quotes when it is text."""
    if isinstance(value, Node | Items):
        return _kind_of(value)
    text = source_text(value)
    if isinstance(text, bool):
        return "true" if text else "false"
    shown = str(text) if len(str(text)) <= 60 else f"{str(text)[:57]}..."
    return ascii(shown) if isinstance(value, str) else shown
