"""The YAML reader: exact scalars, exact places, and nothing that YAML means by them."""

from __future__ import annotations

import time
import unicodedata
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stratctl.documents import Node, Places
from stratctl.documents.grammar import Doubtful, source_text
from stratctl.documents.scalars import plain_scalar
from stratctl.load.text import FORBIDDEN
from stratctl.load.yaml import BYTES_MAX, DEPTH_MAX, NODES_MAX, read_yaml

PRINTABLE = st.one_of(
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=30),
    st.text("0123456789_.:eE+-xobTZ~<=nyNYOFtrusalif", max_size=12),
)


# fmt: off
DOUBTFUL = [
    "010", "0o17", "0x1F", "0b11", "0O17", "0X1F", "0B11", "1_000", "1e3", "1E5", ".5", "1.",
    "+1", "-1", ".inf",
    "-.INF", ".nan", "12:30", "12:30:00", "1:20.5", "2026-01-02", "2026-1-2", "~", "null",
    "Null", "NULL", "yes", "No", "ON", "off", "y", "N", "True", "FALSE", "=", "<<", "000123",
    "123456789E5", "00", "-0",
]
# fmt: on


def value_of(text: str) -> object:
    """What the reader makes of one value."""
    (document,) = read_yaml(f"key: {text}\n".encode(), "f.yaml").documents
    return document["key"]


@given(st.integers(0, 10**15 - 1), st.text("0123456789", max_size=18))
def test_a_plain_decimal_keeps_its_text(whole: int, fraction: str) -> None:
    """What is written is what arrives, to the last trailing zero."""
    text = f"{whole}.{fraction}" if fraction else str(whole)
    assert source_text(value_of(text)) == text


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=40))
def test_quoted_text_arrives_as_it_is(text: str) -> None:
    """Quotes make anything text, and the text is not touched."""
    reading = read_yaml(f"key: '{text.replace(chr(39), chr(39) * 2)}'\n".encode(), "f.yaml")
    if not reading.problems:
        assert reading.documents[0]["key"] == text
        assert not isinstance(reading.documents[0]["key"], Doubtful)


@given(PRINTABLE)
def test_unquoted_text_is_certain_only_where_the_usual_reader_agrees(text: str) -> None:
    """Whatever the most widespread reader takes for more than text is never plain text here."""
    resolver: Any = yaml.SafeLoader("")
    tag = resolver.resolve(yaml.ScalarNode, text, (True, False))
    if tag.rpartition(":")[2] not in {"str", "yaml"}:  # yaml: * & !, which begin no text
        assert type(plain_scalar(text)) is not str


@pytest.mark.parametrize("text", DOUBTFUL)
def test_what_any_yaml_reads_as_more_than_text_is_doubtful(text: str) -> None:
    """Each of these is a number, boolean, date or null to YAML 1.1 or 1.2."""
    assert isinstance(plain_scalar(text), Doubtful)


def test_only_true_and_false_are_booleans_and_exact_decimals_are_numbers() -> None:
    """Everything else that is plain stays text."""
    assert plain_scalar("true") is True
    assert plain_scalar("false") is False
    assert plain_scalar("1000") == 1000
    assert plain_scalar("0.50") == Decimal("0.50")
    assert str(plain_scalar("0.50")) == "0.50"
    assert plain_scalar("CUST01") == "CUST01"
    assert plain_scalar("9" * 41) == "9" * 41
    assert isinstance(plain_scalar("9" * 41), Doubtful)


def test_a_loader_that_parses_floats_would_be_caught() -> None:
    """The canary: an ordinary loader loses cents and zeros that this one keeps."""
    text = "12345678901234567.89"
    assert str(yaml.safe_load(f"a: {text}")["a"]) != text
    assert source_text(value_of(text)) == text
    assert yaml.safe_load("a: 010")["a"] == 8
    assert value_of("010") == "010"


def test_places_point_at_keys_values_and_items() -> None:
    """Lines and columns count from 1 and survive several documents."""
    text = b"a: 1\n---\n# comment\nkey:\n  - {x: 1, y: two}\n"
    second = read_yaml(text, "f.yaml").documents[1]
    places = Places("f.yaml", second)
    assert str(places.key("key")) == "f.yaml:4:1"
    assert str(places.value("key", 0)) == "f.yaml:5:5"
    assert str(places.value("key", 0, "y")) == "f.yaml:5:15"
    assert str(places.key("key", 0, "y")) == "f.yaml:5:12"
    assert str(places.value("key", 0, "missing")) == "f.yaml:5:5"
    assert places.written("key", 0, "x")
    assert not places.written("key", 1)


def test_a_duplicate_key_names_both_places() -> None:
    """The first value is not used either: nobody knows which one was meant."""
    (found,) = read_yaml(b"a: 1\nb: 2\na: 3\n", "f.yaml").problems
    assert found.code == "E_YAML_DUPKEY"
    assert "line 1, column 1" in found.detail
    assert str(found.span) == "f.yaml:3:1"


@pytest.mark.parametrize(
    ("accepted", "refused", "code"),
    [
        (b"#" * BYTES_MAX, b"#" * (BYTES_MAX + 1), "E_FILE_SIZE"),
        (
            b"a: " + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1),
            b"a: " + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX,
            "E_YAML_DEPTH",
        ),
        (
            b"a: [" + b"1," * (NODES_MAX - 3) + b"]",
            b"a: [" + b"1," * (NODES_MAX - 2) + b"]",
            "E_YAML_NODES",
        ),
    ],
    ids=["bytes", "depth", "values"],
)
def test_a_limit_is_what_it_says(accepted: bytes, refused: bytes, code: str) -> None:
    """What is exactly at a limit is read; one more is not, and the finding says how many."""
    assert code not in [found.code for found in read_yaml(accepted, "f.yaml").problems]
    reading = read_yaml(refused, "f.yaml")
    (found,) = reading.problems
    assert found.code == code
    assert not reading.complete


def test_the_parser_is_told_apart_from_its_caps() -> None:
    """The limits are those that the documentation of findings names."""
    assert (BYTES_MAX, DEPTH_MAX, NODES_MAX) == (1_048_576, 20, 200_000)


def test_characters_that_nobody_can_see_are_refused() -> None:
    """Every control, format and separator character but tab, newline and visible Arabic marks."""
    visible = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    hidden = {
        code
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Zl", "Zp"}
    }
    accepted = {code for code in hidden if not FORBIDDEN.match(chr(code))}
    assert accepted - visible == {ord("\t"), ord("\n")}


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ('a: "b\nc: d\n', "1:4", "close the quote"),
        ("a: 1\nb: {c: [d\n\n", "2:8", "close the bracket"),
        ("a: 1\nb\nc: 2\n", "2:1", "a colon and a blank after the key"),
        ("a: 1\nb:\xa01\nc: 2\n", "2:1", "U+00A0 only looks like a blank"),
        ("a: {b: 1 # }\nc: 2\n", "2:1", "a # after a blank begins a comment"),
        ("a: {b: 1\nc: 2\n", "2:2", "close the bracket"),
        ("a: b: c\n", "1:5", "put text with a colon in quotes"),
        ("a:\n\t- b\n", "2:1", "indent with blanks, not tabs"),
        ("a: %b\n", "1:4", "begins with % @ or `"),
        ("a: *\n", "1:5", "begins with * or &"),
        ('a: "C:\\d"\n', "1:7", "in single quotes"),
        ('a: "\\ud800"\n', "1:7", "the character itself"),
        ("a: 1\n b: 2\n", "2:3", "line the keys up"),
        ("a:\n  - b\n  c: 1\n", "3:3", "line the dashes up"),
        ("a: 1}\n...\nb\n", "3:1", "begin every further document with ---"),
        ("a: !<x\n", "1:7", "check blanks, colons, brackets"),
    ],
)
def test_broken_syntax_names_the_place_to_look_at_and_a_way_out(
    text: str, place: str, hint: str
) -> None:
    """The parser notices late; the finding stands where a person has to change something."""
    (found,) = read_yaml(text.encode(), "f.yaml").problems
    assert found.code == "E_YAML_SYNTAX"
    assert str(found.span) == f"f.yaml:{place}", found
    assert hint in found.hint


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("{a: 1,000}", ["E_YAML_KEY"]),
        ("{a:1, b: 2}", ["E_YAML_KEY"]),
        ("{a, b: 2}", ["E_YAML_KEY"]),
        ("{? a}", ["E_YAML_KEY"]),
        ("?\n: a", ["E_YAML_KEY"]),
        ("{a: , b: }", []),
        ("{a:\n, b: 1}", []),
        ("? a\n: b", []),
        ("{010: 1}", ["E_TYPE_STRING_REQUIRED"]),
        ("? 010\n: 1", ["E_TYPE_STRING_REQUIRED"]),
        ("? 010 # c\n: 1", ["E_TYPE_STRING_REQUIRED"]),
        ("{? 010 # c\n: 1}", ["E_TYPE_STRING_REQUIRED"]),
    ],
)
def test_a_key_without_a_colon_is_told_apart_from_a_key_without_a_value(
    text: str, codes: list[str]
) -> None:
    """``1,000`` in braces is a value and a lonely key; what it is worth must not be guessed."""
    assert [found.code for found in read_yaml(text.encode(), "f.yaml").problems] == codes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"a: " + b"[" * 1500, "E_YAML_DEPTH"),
        (b"a: [" + b"1," * 200_001 + b"]", "E_YAML_NODES"),
        (b"#" * (2**20 + 1), "E_FILE_SIZE"),
        (b"a: &x [1]\nb: [" + b"*x," * 5000 + b"]", "E_YAML_ALIAS"),
        (b"a: [" + b"*x," * 100 + b"}", "E_YAML_SYNTAX"),
        (b"a: [" + b'"\\u200b",' * 5000 + b"]", "E_UNICODE_CONTROL"),
        (b"---\n" * 5000, "E_EMPTY_CONFIG"),
    ],
)
def test_hostile_files_end_early(text: bytes, code: str) -> None:
    """Limits end the reading with a finding, at most a hundred of them, within a second."""
    begun = time.process_time()
    reading = read_yaml(text, "f.yaml")
    assert time.process_time() - begun < 1.0
    assert code in [found.code for found in reading.problems]
    assert len(reading.problems) <= 101
    assert not reading.complete


def test_ten_thousand_inline_participants_fit() -> None:
    """The limits leave room for the largest list that anybody should write by hand."""
    rows = "".join(
        f"  - {{participant_code: P{n:05d}, contributed: {n}.50, status: active}}\n"
        for n in range(10_000)
    )
    reading = read_yaml(f"participants:\n{rows}".encode(), "f.yaml")
    assert reading.problems == []
    assert len(reading.documents[0]["participants"]) == 10_000


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    """Every file is read or answered; documents are mappings with a place for every key."""
    reading = read_yaml(data, "f.yaml")
    assert reading.documents or reading.problems
    for document in reading.documents:
        assert isinstance(document, Node)
        assert document.keys() <= document.value_places.keys()


@given(st.text(" \n:-{}[],#&*!|>'\"%@`a1?<=~.", max_size=60))
def test_no_yaml_like_text_makes_the_reader_raise(text: str) -> None:
    """The same for text that is made of YAML's own characters."""
    reading = read_yaml(text.encode(), "f.yaml")
    assert reading.documents or reading.problems


def test_what_is_missing_after_the_last_line_is_missing_there() -> None:
    """A finding never stands in a line that the file does not have."""
    (found,) = read_yaml(b"more: 1\nkey: [", "f.yaml").problems
    assert str(found.span) == "f.yaml:2:7"
    (document,) = read_yaml(b"?", "f.yaml").documents
    assert document.value_places == {"": (1, 2)}


@pytest.mark.parametrize("tag", ["", "!tag "])
def test_a_broken_document_takes_no_other_with_it(tag: str) -> None:
    """Only the document that could not be read is forgotten, whatever it begins with."""
    reading = read_yaml(f"a: 1\n--- {tag}\nb: [\n".encode(), "f.yaml")
    assert reading.documents == [{"a": 1}]
    assert reading.problems[-1].code == "E_YAML_SYNTAX"
    assert not reading.complete
