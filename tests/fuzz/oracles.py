"""What must be true of whatever a reader answers. Each promise is broken on purpose in a test."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

import yaml

from stratctl.core.diagnostic import Diagnostic, Severity, Span
from stratctl.documents import SUMMARIES, Items, Node
from stratctl.documents.grammar import source_text
from stratctl.view import github, junit, sarif
from stratctl.view.diagnostics import text

FINDINGS_MAX = 1_000
"""Each file and each check stops at a hundred or so; this is for all of a small project."""

Lines = Mapping[str, Sequence[str]]
"""File -> its lines, for every file that was read."""


class Wrong(AssertionError):
    """An answer that breaks a promise."""


def demand(kept: object, promise: str, seen: object = "") -> None:
    """Raise Wrong with the promise and what was seen, unless the promise is kept."""
    if not kept:
        raise Wrong(f"{promise}: {seen!r}"[:2_000])


# --- findings --------------------------------------------------------------------------------


def findings_are_sound(found: Sequence[Diagnostic], lines: Lines, *, column_min: int = 0) -> None:
    """Each finding has a known code, its fixed summary, a way out and a place that exists.

    ``column_min`` is 0 where a finding may be about a row, which has a line and no column.
    """
    demand(len(found) <= FINDINGS_MAX, "findings are few enough to read", len(found))
    for finding in found:
        demand(finding.code in SUMMARIES, "a code is documented", finding)
        demand(finding.summary == SUMMARIES[finding.code], "a summary never changes", finding)
        demand(finding.hint, "a finding names the way out", finding)
        demand(finding.span is not None and finding.span.file, "a finding has a place", finding)
        if finding.span is not None and finding.span.line:
            _place_exists(finding.span, lines.get(finding.span.file, ()), column_min)
        else:
            demand(finding.span and not finding.span.column, "a column has a line", finding)
    shown_safely(found, lines)


def _place_exists(span: Span, lines: Sequence[str], column_min: int) -> None:
    demand(1 <= span.line <= len(lines), "a line of the file", (span, len(lines)))
    length = len(lines[span.line - 1])
    demand(column_min <= span.column <= length + 1, "a column of the line", (span, length))


_ACTING = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Characters that move the cursor, reorder what is read, or cannot be seen."""


def shown_safely(found: Sequence[Diagnostic], lines: Lines) -> None:
    """Nothing from a file acts on whoever reads about it, in whatever format."""
    nothing_acts(text(found, lines))
    nothing_acts(github.commands(found))
    commands = github.commands(found).splitlines()
    demand(len(commands) == len(found), "an annotation for each finding", commands)
    demand(all(line.startswith("::") for line in commands), "a command per line", commands)
    results = json.loads(sarif.log(found, command="validate", version="1", help_texts={}))["runs"][
        0
    ]["results"]
    demand(len(results) == len(found), "a SARIF result for each finding", results)
    cases = ElementTree.fromstring(junit.report(found, command="validate")).iter("testcase")
    demand(len(list(cases)) == max(1, len(found)), "a JUnit case for each finding", found)


def nothing_acts(shown: str) -> None:
    """A text has lines, and no other control or invisible character."""
    acting = {hex(ord(char)) for char in shown if unicodedata.category(char) in _ACTING} - {"0xa"}
    demand(not acting, "what is shown holds nothing that acts", acting)


def answered(made: object, found: Sequence[Diagnostic]) -> None:
    """Nothing is ever both empty and without a finding, and nothing wrong goes on."""
    errors = [finding for finding in found if finding.severity is Severity.ERROR]
    demand(made or errors, "something, or at least one finding", found)


# --- YAML ------------------------------------------------------------------------------------


def same_as_a_plain_reader(documents: Sequence[Node], content: str) -> None:
    """What was read without a finding is what stands there, pair by pair, as another reader says.

    Pairs, because a mapping would forget the first of two equal keys on both sides.
    """
    plain = [_pairs(node) for node in yaml.compose_all(content, Loader=yaml.CBaseLoader)]
    mine = [_bare(document) for document in documents]
    demand(mine == plain, "the texts of another reader", (mine, plain))


def _pairs(node: Any) -> Any:
    """What PyYAML composed, as ``_bare`` says it."""
    if isinstance(node, yaml.MappingNode):
        return {"pairs": [(_pairs(key), _pairs(value)) for key, value in node.value]}
    if isinstance(node, yaml.SequenceNode):
        return [_pairs(inner) for inner in node.value]
    return node.value


def _bare(value: Any) -> Any:
    """Mappings as pairs, lists, and the texts that stood in the file."""
    if isinstance(value, Node):
        return {"pairs": [(key, _bare(inner)) for key, inner in value.items()]}
    if isinstance(value, Items):
        return [_bare(inner) for inner in value]
    found = source_text(value)
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found)


def places_are_complete(document: Node, lines: Sequence[str]) -> None:
    """Each key, value and item has a place in the file."""
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Node):
            demand(value.keys() <= value.value_places.keys(), "a place for each value", value)
            demand(value.keys() <= value.key_places.keys(), "a place for each key", value)
            waiting += value.values()
            known = [value.place, *value.key_places.values(), *value.value_places.values()]
        elif isinstance(value, Items):
            demand(len(value) == len(value.places), "a place for each item", value)
            waiting += value
            known = [value.place, *value.places]
        else:
            continue
        for line, column in known:
            demand(1 <= line <= len(lines), "a line of the file", line)
            demand(1 <= column <= len(lines[line - 1]) + 1, "a column of the line", column)


# --- tables ----------------------------------------------------------------------------------

Row = tuple[object, ...]
"""A row as the sheet has it: code, exact amounts, exited, auto_rebalance, line."""

AnotherReader = Callable[[str, Sequence[str]], list[Row] | None]
"""The rows of a text with these columns; None where anything in it is wrong.

Python's own readers, and grammars written out by hand: no pattern and no engine is shared with what
is tested.
"""


def rows_of_csv(content: str, columns: Sequence[str]) -> list[Row] | None:
    """The rows of a CSV text; an empty cell says nothing."""
    try:
        reader = csv.reader(io.StringIO(content.rstrip("\r\n"), newline=""), strict=True)
        numbered = [(reader.line_num, cells) for cells in reader]
    except csv.Error:
        return None
    header = numbered[0][1] if numbered else []
    known = set(header) <= set(columns) and len(set(header)) == len(header)
    if not known or "\r" in content.replace("\r\n", ""):
        return None
    if any(len(cells) != len(header) for _, cells in numbered):
        return None
    body = [
        (line, {name: cell or None for name, cell in zip(header, cells, strict=True)})
        for line, cells in numbered[1:]
    ]
    flags = {"true": True, "false": False, None: None}
    if any(row.get("auto_rebalance") not in flags for _, row in body):
        return None
    flagged = [
        (line, {**row, "auto_rebalance": flags[row.get("auto_rebalance")]}) for line, row in body
    ]
    return _good_rows(flagged, columns, header)


def rows_of_json_lines(content: str, columns: Sequence[str]) -> list[Row] | None:
    """The rows of a text with an object in each line; null says nothing."""
    body: list[tuple[int, dict[str, Any]]] = []
    written: set[str] = set()
    if "\r" in content.replace("\r\n", ""):
        return None
    for line, text_of_line in enumerate(content.rstrip("\r\n").split("\n"), start=1):
        try:
            pairs = _PAIRS.decode(text_of_line.removesuffix("\r"))
        except (ValueError, RecursionError):
            return None
        flat = isinstance(pairs, _Pairs) and not any(isinstance(v, list) for _, v in pairs)
        if not flat or len(text_of_line) > 4_096:
            return None
        row = dict(pairs)
        if len(row) < len(pairs) or not set(row) <= set(columns):
            return None
        if not isinstance(row.get("auto_rebalance"), bool | None):
            return None
        written |= set(row)
        body.append((line, row))
    return _good_rows(body, columns, [name for name in columns if name in written])


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with every pair of it."""


class _NumberText(str):
    """A number of JSON as it was written."""

    __slots__ = ()


_PAIRS = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=_NumberText, parse_float=_NumberText)


def _good_rows(
    body: Sequence[tuple[int, Mapping[str, Any]]], columns: Sequence[str], written: Sequence[str]
) -> list[Row] | None:
    """Rows whose cells all keep to their grammars; a column that is written asks every row."""
    needed = {"participant_code"} | ({"amount"} & set(columns))
    if not body or not needed <= set(written):
        return None
    rows: list[Row] = []
    for line, row in body:
        if not all(_is_good(name, row.get(name)) for name in written):
            return None
        made = {**row, "line": line}
        made["status"] = None if row.get("status") is None else row["status"] == "exited"
        for name in _AMOUNTS & set(columns):
            made[name] = None if row.get(name) is None else Decimal(row[name])
        rows.append(tuple(made.get(name) for name in (*columns, "line")))
    return rows


_AMOUNTS = {"contributed", "withdrawn", "amount"}


def _is_good(column: str, cell: object) -> bool:
    """Whether a cell keeps to the grammar of its column; None says nothing."""
    if column == "auto_rebalance":
        return isinstance(cell, bool | None)
    if cell is None:
        return column in {"withdrawn", "status"}
    if not isinstance(cell, str) or (isinstance(cell, _NumberText) and column not in _AMOUNTS):
        return False
    if column == "participant_code":
        return len(cell) == 6 and set(cell) <= _CODE
    if column == "status":
        return cell in {"active", "exited"}
    whole, _, decimals = cell.partition(".")
    return plain_decimal(cell) is not None and len(whole) <= 15 and len(decimals) <= 8


_DIGITS = frozenset("0123456789")
_CODE = _DIGITS | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


# --- amounts ---------------------------------------------------------------------------------


def plain_decimal(written: str) -> Fraction | None:
    """The value of ASCII digits with at most one point between digits and no leading zero."""
    whole, point, decimals = written.partition(".")
    if not whole or not set(whole + decimals) <= _DIGITS or (point and not decimals):
        return None
    if len(whole) > 1 and whole[0] == "0":
        return None
    return Fraction(int(whole + decimals), 10 ** len(decimals))


def written_out(units: int, digits: int, shown: str) -> None:
    """A text is exactly an integer of 10 to the minus ``digits`` units, plainly written."""
    value = plain_decimal(shown)
    demand(value is not None, "plain decimal text", shown)
    demand(value == Fraction(units, 10**digits), "exactly the same", (units, digits, shown))
    demand(value == Fraction(Decimal(shown)), "the same to another reader", shown)
