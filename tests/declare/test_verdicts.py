"""Editor, model and loader are of one mind about every document.

The schema alone, as any editor runs it, judges what YAML 1.2 makes of a text; the model judges the
same values; the loader judges the text itself. The loader may refuse more, for what is lost when
text becomes values; TEXT_ALONE lists all of it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema import ValidationError as Refused
from pydantic import ValidationError

from stratctl.cli.init import FILES
from stratctl.documents import DECLARED, KINDS, Items, Node, Places, schemas
from stratctl.load.check import check, model
from stratctl.load.members import suspicious
from stratctl.load.tables import AMOUNTS, MEMBERS
from stratctl.load.yaml import read_yaml
from tests.declare.test_diagnostics import ENTRIES
from tests.declare.world import BASE, ROOT

TEXT_ALONE = {
    "E_TYPE_STRING_REQUIRED": "unquoted, and some YAML reads it as no text: NO, 12:30, 2026-12-31",
    "E_AMOUNT_SYNTAX": "a plain number with a sign, an exponent, another base or many decimals",
    "E_RATIO_SYNTAX": "the same",
    "E_WEIGHT_SYNTAX": "the same",
    "E_WEIGHT_RANGE": "a plain number with more decimals than a weight has",
    "E_TYPE": "a whole number that is written with a point, a sign or in another base",
    "E_VERSION": "the same",
    "E_YAML_BOOL": "a boolean with capitals: True",
}
"""Why the loader may refuse what the schema accepts. What a file may not hold at all (anchors,
tags, duplicate keys, hidden characters …) is refused before there is a document to judge."""


class Editor(yaml.CSafeLoader):
    """YAML as editors read it: the core schema of YAML 1.2."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the parent class declares it this way


NUMBER = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
for tag, pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": NUMBER,
}.items():
    Editor.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"({pattern})$"), None)


def whole(loader: Any, node: yaml.ScalarNode) -> int | float:
    """010 is ten here, and 0o10 is eight; what is long is no longer exact."""
    base = {"0o": 8, "0x": 16}.get(node.value[:2])
    if base is not None:
        return int(node.value[2:], base)
    return int(node.value) if len(node.value) < 16 else float(node.value)


def fraction(loader: Any, node: yaml.ScalarNode) -> float:
    """Binary floating point, because that is what editors have."""
    return float(re.sub(r"\.(?=[in])", "", node.value.lower()))


Editor.add_constructor("tag:yaml.org,2002:int", whole)
Editor.add_constructor("tag:yaml.org,2002:float", fraction)


def fits(_: Any, pattern: str, value: Any, schema: Any) -> Iterator[Refused]:
    """``$`` is the end, as JSON Schema has it; in Python it also stands before a last newline."""
    ended = re.sub(r"\$$", r"\\Z", pattern)
    if isinstance(value, str) and not re.search(ended, value):
        yield Refused(f"does not fit {pattern}")


EditorValidator = validators.extend(Draft202012Validator, {"pattern": fits})  # type: ignore[no-untyped-call]  # it has no annotations


@cache
def validator(name: str) -> Draft202012Validator:
    """The published schema with the standard's keywords only, formats asserted."""
    made: Draft202012Validator = EditorValidator(
        schemas()[f"{name}.schema.json"], format_checker=FormatChecker()
    )
    return made


def refused_by_model(kind: str, values: Any) -> list[tuple[str | int, ...]]:
    """Where the model finds a mistake. A number is its shortest decimal, and 1.0 is 1."""
    try:
        KINDS[kind].model_validate(_exact(values))
    except ValidationError as error:
        return [found["loc"] for found in error.errors()]
    return []


def _exact(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _exact(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_exact(part) for part in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else Decimal(repr(value))
    return value


def at(values: Any, path: tuple[str | int, ...]) -> Any:
    """What stands at a path."""
    for step in path:
        values = values[step]
    return values


def refused_by_schema(kind: str, values: Any) -> bool:
    """The verdict of an editor. The schema for any document agrees with that of the kind."""
    refused = not validator(kind.lower()).is_valid(values)
    if kind in DECLARED:
        assert validator("document").is_valid(values) is not refused
    return refused


def verdicts(text: str) -> Iterator[tuple[bool, set[str]]]:
    """Per document of a text: whether the schema refuses it, and the loader's codes.

    That schema and model agree is asserted on the way. Texts that are not plain YAML, and documents
    of no known kind, have no verdict.
    """
    reading = read_yaml(text.encode(), "f.yaml")
    if reading.problems:
        return
    for root, values in zip(reading.documents, yaml.load_all(text, Editor), strict=True):
        kind = root.get("kind")
        if isinstance(kind, str) and kind in KINDS:
            by_schema = refused_by_schema(kind, values)
            by_model = refused_by_model(kind, values)
            assert bool(by_model) or not by_schema, values
            assert by_schema or all(is_inexact(at(values, path)) for path in by_model), values
            yield by_schema, loaded(kind, root)


def is_inexact(value: Any) -> bool:
    """Whether a schema cannot judge a plain number: it has lost digits, or stands at a bound."""
    return type(value) is float or value in {10**6, 10**15}


def loaded(kind: str, root: Node) -> set[str]:
    """The codes of the loader, whose schema and model never differ."""
    places = Places("f.yaml", root)
    _, by_check = check(kind, root, places)
    _, by_model = model(kind, root, places)
    assert bool(by_check) == bool(by_model), (by_check, by_model)
    return {found.code for found in by_check}


def same(text: str) -> int:
    """Assert that all agree about a text; the number of its documents."""
    documents = 0
    for by_schema, codes in verdicts(text):
        documents += 1
        assert codes if by_schema else codes <= TEXT_ALONE.keys(), (text, codes)
    return documents


def texts_of_cases() -> Iterator[str]:
    """Every YAML file of every case that is text."""
    for path in sorted((ROOT / "tests/cases/declare").rglob("input/**/*.y*ml")):
        yield path.read_text("utf-8", errors="replace")


EXAMPLES = [ROOT / "stratctl.yaml", ROOT / "policy.yaml", *(ROOT / "strategies").glob("*.yaml")]


def texts_that_are_right() -> Iterator[str]:
    """What this repository declares, what init writes, and what the documentation calls right."""
    yield from (path.read_text("utf-8") for path in EXAMPLES)
    yield from BASE.values()
    yield from FILES.values()
    for entry in ENTRIES:
        yield from (text for language, _, text in entry.right if language == "yaml")


def test_cases_get_the_same_verdict() -> None:
    """On every document of every case."""
    assert sum(same(text) for text in texts_of_cases()) >= 250


def test_wrong_examples_get_the_same_verdict() -> None:
    """On every document that the documentation calls wrong."""
    wrong = [text for entry in ENTRIES for language, _, text in entry.wrong if language == "yaml"]
    assert sum(same(text) for text in wrong) >= 60


def test_right_documents_are_right_for_everybody() -> None:
    """Editor, model and loader accept them, exactly as they are written."""
    found = [verdict for text in texts_that_are_right() for verdict in verdicts(text)]
    assert len(found) >= 80
    assert not [codes for by_schema, codes in found if by_schema or codes]


def test_each_allowed_difference_is_one() -> None:
    """What is listed as refused for its text alone happens, and schema and model accept it."""
    strategy = "kind: Strategy\nversion: 1\nname: a\nquoted_currency: USD\nallocations: {BTC: 1}\n"
    cohort = "kind: Cohort\nversion: 1\nname: a\nstrategy: b\nparticipants:\n"
    policy = "kind: Policy\nversion: 1\n"
    texts = {
        "E_TYPE_STRING_REQUIRED": strategy + "exits: [NO]\n",
        "E_AMOUNT_SYNTAX": cohort + "  - {participant_code: CUST01, contributed: 1e3}\n",
        "E_RATIO_SYNTAX": policy + "drift: {absolute: .5}\n",
        "E_WEIGHT_SYNTAX": strategy.replace("BTC: 1", "BTC: 1e0"),
        "E_WEIGHT_RANGE": strategy.replace("BTC: 1", "BTC: 1." + 19 * "0"),
        "E_TYPE": policy + "calls: {participants: 10.0}\n",
        "E_VERSION": "kind: Policy\nversion: 1.0\n",
        "E_YAML_BOOL": strategy + "hold: True\n",
    }
    assert texts.keys() == TEXT_ALONE.keys()
    for code, text in texts.items():
        assert list(verdicts(text)) == [(False, {code})]


# --- any document ----------------------------------------------------------------------------

# fmt: off
SCALARS = st.sampled_from(
    [
        "1", "0", "0.5", "1.5", "010", "1e3", "true", "false", "NO", "~", "CUST01", "'000123'",
        "'a'", "BTC", "live", "change", "2026-01-02", "-1", "''", "blue-chip", "USD", "exited",
        "[]", "{}", "[a]", "{a: b}", "[BTC, BTC]", "{BTC: 1}", "[membership]", "{file: a.csv}",
        "1.0", "+1", "0x10", "True", "12:30", "0.123456789",
    ]
)
# fmt: on
KEYS = sorted({key for kind in KINDS.values() for key in kind.model_fields} - {"kind", "version"})


@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(KEYS), SCALARS, max_size=8),
)
def test_any_document_gets_the_same_verdict(kind: str, fields: dict[str, str]) -> None:
    """However its values are written."""
    base = {"Strategy": {"name": "a", "quoted_currency": "USD"}, "Policy": {}}.get(kind, {})
    lines = [f"{key}: {text}" for key, text in {**base, **fields}.items()]
    assert same("\n".join([f"kind: {kind}", "version: 1", *lines]) + "\n") == 1


@cache
def right_documents() -> list[Any]:
    """The values of every document that is right, each once."""
    made = [value for text in texts_that_are_right() for value in yaml.load_all(text, Editor)]
    return [value for place, value in enumerate(made) if value not in made[:place]]


# fmt: off
VALUES: list[Any] = [
    True, False, 0, 1, 2, -1, 0.5, 1.5, -0.5, 10**6 + 1, 10**9, 10**9 + 1, 10**15 + 1, 10**16,
    "", "x", "X", "0", "1", "0.5", "1.0", "01", "-1", "1e3", "0.123456789", "BTC", "btc", "NO",
    "USD", "live", "exited", "change", "CUST01", "blue-chip", "a" * 65, "A" * 34, "b" * 1001,
    "2026-12-31", "2026-02-30", "cohorts/a.csv", "sandbox", "http://example.org", "é",
    [], {}, [[]], ["BTC"], ["BTC", "BTC"], ["a", "b"], [1], {"BTC": "1"}, {"default": "1"},
    {"file": "a.csv"}, {"on": "drift"}, {"surprise": 1}, [{"participant_code": "CUST01"}],
    [{"key": "a", "file": "a.csv"}], ["membership"], ["flags"], ["membership", "funding"],
]
# fmt: on
ANYTHING = st.none() | st.sampled_from(VALUES).map(copy.deepcopy)


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """A document that was right, after one or two changes anywhere in it."""
    document = copy.deepcopy(draw(st.sampled_from(right_documents())))
    for _ in range(draw(st.integers(1, 2))):
        places = sorted(paths(document), key=str)
        if not places:
            break
        path = draw(st.sampled_from(places))
        inside: Any = at(document, path[:-1])
        last: Any = path[-1]
        how = draw(st.sampled_from(["leave out", "replace", "rename", "say twice", "add"]))
        if how == "replace":
            inside[last] = draw(ANYTHING)
        elif isinstance(inside, list):
            inside.insert(0, inside[last]) if how == "say twice" else inside.pop(last)
        elif how == "add":
            key = draw(st.sampled_from([*KEYS, "surprise"]))
            inside[key] = draw(ANYTHING)
        else:
            value = inside.pop(last)
            if how == "rename":
                inside[draw(st.sampled_from([*KEYS, "BTC", "Btc"]))] = value
    return document


def paths(values: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document, but for its kind, which says what to hold it to."""
    inside = values.items() if isinstance(values, dict) else enumerate(values)
    for step, value in inside:
        if (*path, step) != ("kind",):
            yield (*path, step)
            if isinstance(value, dict | list):
                yield from paths(value, (*path, step))


@given(changed())
def test_a_changed_document_gets_the_same_verdict(document: Any) -> None:
    """As JSON nothing is left to the text, so there is no difference at all."""
    for by_schema, codes in verdicts(json.dumps(document)):
        assert by_schema is bool(codes), codes


# --- rows ------------------------------------------------------------------------------------

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
    keeper = row_validator("FundedParticipant" if funding else "Participant")
    doubted = suspicious(listed, sheet)
    for place, row in enumerate(listed):
        if place not in doubted:
            plain = json.loads(json.dumps(row, default=float))
            assert keeper.is_valid(plain)


def test_a_model_that_disagrees_with_its_schema_is_reported_and_not_raised() -> None:
    """Should the two ever differ, a person still gets a finding with a place."""
    (root,) = read_yaml(b"kind: Cohort\nversion: 1\n", "f.yaml").documents
    document, problems = model("Cohort", root, Places("f.yaml", root))
    assert document is None
    assert {found.code for found in problems} == {"E_VALUE"}
