"""What is fuzzed: each target reads one input and holds the answer to every promise.

An input is a file, as bytes. Two kinds are more than that: a *project* is several files, each after
a line ``### its/name``; a *grown* file is ``head RS unit RS tail`` (RS is the byte 1E, which no
reader accepts), where the unit is repeated up to a quarter of a mebibyte and each byte 1F in it is
the number of its turn. Growing finds what is slow or large only in bulk.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from zlib import crc32

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.errors import InputError, UsageError
from stratctl.core.money import (
    WEIGHT_ONE_E18,
    NotExact,
    format_amount,
    format_units,
    format_weight,
    minor_digits,
    parse_amount,
    parse_units,
    parse_weight,
    truncate_units,
)
from stratctl.core.settings import Configuration
from stratctl.core.tables import Table, Workspace
from stratctl.documents import KINDS, Documents, Node, Places, problem
from stratctl.documents.grammar import AMOUNT, RATIO, WEIGHT, source_text
from stratctl.documents.scalars import plain_scalar
from stratctl.load import read_project
from stratctl.load.check import check, has_broken, model
from stratctl.load.files import Folder
from stratctl.load.tables import AMOUNTS, MEMBERS, Sheet, read_table
from stratctl.load.yaml import read_yaml
from stratctl.pipeline.formatting import format_bytes
from stratctl.resolve import resolve
from tests.declare.world import BASE, ROOT
from tests.fuzz.limits import within_limits
from tests.fuzz.oracles import (
    AnotherReader,
    Lines,
    Row,
    answered,
    demand,
    findings_are_sound,
    places_are_complete,
    plain_decimal,
    rows_of_csv,
    rows_of_json_lines,
    same_as_a_plain_reader,
    written_out,
)


@dataclass(frozen=True)
class Target:
    """One thing to fuzz. ``check`` raises AssertionError, or whatever escaped from a reader."""

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    length_max: int


# --- YAML ------------------------------------------------------------------------------------


def yaml_file(data: bytes) -> None:
    """One YAML file: its texts, its places, its findings; then each document by its schema."""
    reading = within_limits(lambda: read_yaml(data, "f.yaml"))
    answered(reading.documents, reading.problems)
    lines = {"f.yaml": reading.lines or _lines(data)}
    findings_are_sound(reading.problems, lines, column_min=1)
    demand(reading == read_yaml(data, "f.yaml"), "reading twice gives the same", data)
    demand(reading.complete or reading.problems, "what is not read is said", data)
    for document in reading.documents:
        places_are_complete(document, reading.lines)
        _document(document, lines)
    if not reading.problems:
        same_as_a_plain_reader(reading.documents, data.decode())


def _document(root: Node, lines: Lines) -> None:
    """The schema and the model give the same verdict, and the findings are sound."""
    kind = root.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return
    places = Places("f.yaml", root)
    document, found = within_limits(lambda: check(kind, root, places))
    answered(document or has_broken(root), found)
    findings_are_sound(found, lines, column_min=1)
    if not has_broken(root):
        made, refused = model(kind, root, places)
        demand(bool(found) == bool(refused), "schema and model agree", (found, refused))
        demand(document == made, "a document is what its model says", (document, made))


def formatting(data: bytes) -> None:
    """The canonical text of a YAML file: it says the same, which the formatter itself asserts."""
    made = within_limits(lambda: format_bytes(data, "f.yaml"))
    answered(made.after, made.problems)
    findings_are_sound(made.problems, {"f.yaml": _lines(data)}, column_min=1)
    if made.after:
        again = format_bytes(made.after.encode(), "f.yaml")
        demand(not again.problems, "what is formatted can be read", (made, again))
        demand(again.after == made.after, "formatting again changes nothing", (made, again))


# --- projects --------------------------------------------------------------------------------

_FILE = re.compile(rb"^### ([a-z0-9][a-z0-9._/-]{0,80})\n", re.MULTILINE)
_FIRST = "strategies/fuzzed.yaml"


def project(data: bytes) -> None:
    """A whole project, read and resolved."""
    _project(files_of(data))


def files_of(data: bytes) -> Mapping[str, bytes]:
    """The files of a project input; what stands before the first name is a file of its own."""
    first, *named = _FILE.split(data)
    files = {_FIRST: first} if first else {}
    for name, content in zip(named[::2], named[1::2], strict=True):
        if ".." not in PurePosixPath(name.decode()).parts:
            files[name.decode()] = content
    return files


def as_input(files: Mapping[str, bytes]) -> bytes:
    """A project input that holds these files."""
    return b"".join(b"### %s\n%s" % (name.encode(), files[name]) for name in sorted(files))


def _project(files: Mapping[str, bytes]) -> None:
    with _folder({**{name: text.encode() for name, text in BASE.items()}, **files}) as root:
        if root is None:  # two of the names cannot stand beside each other
            return
        read = _validated(root)
        # Reading again costs as much as the first time, so one project in four has to show it.
        again = _validated(root) if crc32(as_input(files)) % 4 == 0 else read
        lines = {
            str(path.relative_to(root)): _lines(path.read_bytes())
            for path in root.rglob("*")
            if path.is_file()
        }
    answered(read.accepted, read.found)
    findings_are_sound(read.found, lines)
    demand(read == again, "reading twice gives the same", (read, again))


@dataclass(frozen=True)
class _Answer:
    """What a project says: findings, and the totals of each participant when it is accepted."""

    accepted: bool
    found: tuple[Diagnostic, ...]
    digest: str = ""
    rows: tuple[tuple[object, ...], ...] = ()


def _validated(root: Path) -> _Answer:
    """What validating does."""
    try:
        documents, made = within_limits(lambda: _resolved(root))
    except InputError as error:
        return _Answer(False, error.diagnostics)
    except UsageError as error:
        demand(error.summary and error.hint, "an error says why, and the way out", error)
        span = Span("stratctl.yaml")
        # Which environment is meant is the command line's business and no finding.
        stand_in = problem("E_UNKNOWN_ENVIRONMENT", error.summary, span, error.hint)
        return _Answer(False, (stand_in,))
    _totals_are_exact(documents, made)
    rows = made.desired.rows.rows("strategy, participant_code")
    return _Answer(True, made.desired.warnings, made.desired.digest, tuple(rows))


def _resolved(root: Path) -> tuple[Documents, Configuration]:
    workspace = Workspace()
    documents = read_project(root, None, workspace)
    return documents, resolve(documents, None, workspace)


def _totals_are_exact(documents: Documents, made: Configuration) -> None:
    """What goes in for a currency comes out for it, added up by Python and by the engine."""
    digits = {one.name: minor_digits(one.quoted_currency) for one in made.desired.strategies}
    summed: dict[str, int] = dict.fromkeys(digits, 0)
    shared: dict[tuple[str, str], dict[int | None, list[str]]] = {}
    for members in documents.cohorts:
        strategy = members.read.document.strategy
        flows = [(1, "contributed", source) for source in members.entries]
        flows += [(-1, "withdrawn", source) for source in members.entries]
        flows += [(1, "amount", source) for _, source in members.funding]
        flows += [(-1, "amount", source) for _, source in members.payouts]
        for sign, column, source in flows:
            key = (source.rows.name, column)
            if key not in shared:
                shared[key] = _cells(source.rows, column)
            for text in shared[key].get(source.part, ()):
                summed[strategy] += sign * parse_units(text, digits[strategy])
    rows = made.desired.rows
    totals = rows.workspace.rows(
        f"SELECT strategy, sum(contributed_minor - withdrawn_minor) FROM {rows} GROUP BY strategy"
    )
    found = dict.fromkeys(digits, 0) | {name: int(total or 0) for name, total in totals}
    demand(found == summed, "nothing is lost or made", (summed, found))


def _cells(rows: Table, column: str) -> dict[int | None, list[str]]:
    """What each part of a table says in a column, as text."""
    part = "part" if "part" in rows.schema else "NULL"
    cells: dict[int | None, list[str]] = {}
    for number, text in rows.workspace.rows(
        f"SELECT {part}, CAST({column} AS VARCHAR) FROM {rows} WHERE {column} IS NOT NULL"
    ):
        cells.setdefault(number, []).append(text)
    return cells


# --- tables ----------------------------------------------------------------------------------


def csv_file(data: bytes) -> None:
    """One CSV file: the rows of another reader, or findings."""
    _table("f.csv", data, rows_of_csv)


def json_lines_file(data: bytes) -> None:
    """One file of JSON lines, likewise."""
    _table("f.jsonl", data, rows_of_json_lines)


def _table(name: str, data: bytes, another: AnotherReader) -> None:
    """One table: its rows or its findings, and everything that must hold."""
    sheet = AMOUNTS if b"amount" in data.partition(b"\n")[0] else MEMBERS
    with _folder({name: data}) as root:
        assert root is not None
        rows, found = within_limits(lambda: _read(root, name, sheet))
        again = _read(root, name, sheet)
    answered(rows, found)
    demand(rows is None or not found, "rows are accepted without a finding", found)
    findings_are_sound(found, {name: _lines(data)})
    demand((rows, found) == again, "reading twice gives the same", (rows, found, again))
    others = another(data.decode("utf-8", "replace"), sheet.columns)
    demand(rows == others, "the rows of another reader", (rows, others, found[:3]))


def _read(root: Path, name: str, sheet: Sheet) -> tuple[list[Row] | None, list[Diagnostic]]:
    """The rows in the order of the file, and the findings."""
    workspace = Workspace()
    entries, found = read_table(Folder(root), name, sheet, workspace, Span("f.yaml", 1, 1))
    if entries is None:
        return None, found
    return workspace.rows(f"SELECT * FROM {entries.rows} ORDER BY line"), found


# --- amounts ---------------------------------------------------------------------------------


def amount(data: bytes) -> None:
    """A text as an amount, a weight, a fraction and a quantity: exactly, or not at all."""
    within_limits(lambda: _amount(data))


def _amount(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    value = plain_decimal(text)
    whole, _, decimals = text.partition(".")
    _grammar(AMOUNT, text, value is not None and len(whole) <= 15 and len(decimals) <= 8)
    _grammar(RATIO, text, value is not None and len(whole) <= 6 and len(decimals) <= 18)
    _grammar(WEIGHT, text, value is not None and value <= 1 and len(decimals) <= 18)
    for digits in (0, 2, 8, 18, 24):
        _units(text, value, digits)
    _minor_units(text, "USD")
    _minor_units(text, "JPY")
    weight = _exact(lambda: parse_weight(text), text)
    demand(weight is None or 0 <= weight <= WEIGHT_ONE_E18, "a weight is at most 1", weight)
    if weight is not None:
        demand(parse_weight(format_weight(weight)) == weight, "a weight comes back", text)
    scalar = plain_scalar(text)
    if value is not None and not isinstance(scalar, str):
        demand(source_text(scalar) == text, "a number keeps its text", (text, scalar))
    demand(not isinstance(scalar, float), "no binary float", text)


def _minor_units(text: str, currency: str) -> None:
    minor = _exact(lambda: parse_amount(text, currency), text)
    units = _exact(lambda: parse_units(text, minor_digits(currency)), text)
    demand(minor == units, "an amount is its minor units", (text, currency, minor, units))
    if minor is not None:
        demand(parse_amount(format_amount(minor, currency), currency) == minor, "it returns", text)


def _grammar(pattern: str, text: str, good: bool) -> None:
    matches = re.fullmatch(pattern, text, re.ASCII) is not None
    demand(matches == good, f"the grammar {pattern} is the rule", text)


def _units(text: str, value: Fraction | None, digits: int) -> None:
    units = _exact(lambda: parse_units(text, digits), text)
    cut = _exact(lambda: truncate_units(text, digits), text)
    if value is None:
        demand(units is None and cut is None, "only plain decimals are read", text)
        return
    scaled = value * 10**digits
    fits = len(text) <= 64 and value < 10**15 and scaled.denominator == 1
    demand((units is not None) == fits, "what fits is read, and nothing else", (text, digits))
    demand(cut is None or cut == scaled.numerator // scaled.denominator, "cut off", (text, cut))
    if units is not None:
        demand(units == scaled == cut, "exactly what is written", (text, units, cut))
        written_out(units, digits, format_units(units, digits))
        demand(parse_units(format_units(units, digits), digits) == units, "it comes back", text)


def _exact(parse: Callable[[], int], text: str) -> int | None:
    try:
        return parse()
    except NotExact as error:
        # What is too large is named without the decimals that were cut off.
        demand(text.startswith(error.text), "an error names the text", error)
        demand(error.reason in {"syntax", "scale", "size"}, "a reason is known", error)
        return None


# --- files that are grown ----------------------------------------------------------------------

GROWN_BYTES = 1 << 18
"""A quarter of what a YAML file may have: enough for whatever takes the square of its size."""


def grown(data: bytes) -> bytes:
    """``head RS unit RS tail`` with the unit repeated up to GROWN_BYTES."""
    head, _, rest = data.partition(b"\x1e")
    unit, _, tail = rest.partition(b"\x1e")
    if not unit:
        return head + tail
    room = GROWN_BYTES - len(head) - len(tail)
    # A turn with five digits has five bytes: there are never more turns than five digits count, so
    # each has the same length. A code is a letter and the number.
    turns = max(0, room // len(unit.replace(b"\x1f", b"00000")))
    middle = b"".join(unit.replace(b"\x1f", b"%05d" % turn) for turn in range(turns))
    return head + middle + tail


def grown_yaml(data: bytes) -> None:
    """A YAML file as large as the reader takes, within the limits."""
    _project({_FIRST: grown(data)})


def grown_csv(data: bytes) -> None:
    """A large CSV file, within the limits."""
    csv_file(grown(data))


def grown_json_lines(data: bytes) -> None:
    """A large file of JSON lines, within the limits."""
    json_lines_file(grown(data))


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\n")


# --- how they are run --------------------------------------------------------------------------


@contextmanager
def _folder(files: Mapping[str, bytes]) -> Iterator[Path | None]:
    """A folder with these files, or None where one name is a folder of another."""
    with tempfile.TemporaryDirectory(prefix="stratctl-fuzz-") as name:
        root = Path(name).resolve()
        for file, content in files.items():
            path = root / file
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except OSError:
                yield None
                return
        yield root


# --- seeds -------------------------------------------------------------------------------------

_CASES = ROOT / "tests" / "cases" / "declare"


def _seed_files(suffix: str) -> Iterator[bytes]:
    for folder in (ROOT / "strategies", _CASES):
        for path in sorted(folder.rglob(f"*{suffix}")):
            if path.is_file() and path.stat().st_size < 4_000:
                yield path.read_bytes()


def _seed_projects() -> Iterator[bytes]:
    for case in sorted(_CASES.iterdir()):
        files = {
            str(path.relative_to(case / "input")): path.read_bytes()
            for path in sorted((case / "input").rglob("*"))
            if path.is_file() and not path.is_symlink()
        }
        if sum(map(len, files.values())) < 4_000:
            yield as_input(files)


def _seed_amounts() -> Iterator[bytes]:
    texts = "0 1 0.5 15000.00 250.1 010 1e3 1_000 -1 +1 .5 1. 1,5 NaN 0.333333333333333333 1.0 1.1"
    yield from (text.encode() for text in texts.split())


ONE_MEMBER = b"- {participant_code: CUST02, contributed: 1}\n"
ONE_ENTRY = b"- {key: k\x1f, participants: [{participant_code: CUST02, amount: 1}]}\n"
ONE_PERSON = (
    b"{kind: Cohort, version: 1, name: c\x1f, strategy: NAME, "
    b"participants: [{participant_code: C\x1f, contributed: 1}]}\n"
)
ONE_STRATEGY = (
    b"{kind: Strategy, version: 1, name: s\x1f, quoted_currency: USD, allocations: {BTC: 1}}\n"
)


def _seed_grown_yaml() -> Iterator[bytes]:
    cohort = b"kind: Cohort\nversion: 1\nname: c\nstrategy: blue-chip\n"
    members = cohort + b"participants:\n"
    strategy = b"kind: Strategy\nversion: 1\nname: s\nquoted_currency: USD\n"
    for head, unit, tail in (
        (members, b"- {participant_code: C\x1f, contributed: 1}\n", b""),
        (b"", b"---\n" + ONE_PERSON.replace(b"NAME", b"blue-chip"), b""),
        (b"", b"---\n" + ONE_STRATEGY + b"---\n" + ONE_PERSON.replace(b"NAME", b"s\x1f"), b""),
        (members + ONE_MEMBER + b"funding:\n", ONE_ENTRY, b""),
        (members, b"- {participant_code: CUST01, contributed: x}\n", b""),
        (members, b"- {}\n", b""),
        (cohort, b"key\x1f: 1\n", b""),
        (cohort + b"environments: [", b"a\x1f,", b"a]"),
        (cohort + b"environments: [", b"a\x1f,\x1f,", b"a]"),
        (strategy + b"allocations: {", b"A\x1f: 0.1, ", b"B: 0.1}"),
        (b"", b"---\nkind: Cohort\n", b""),
        (b"a: ", b"[", b""),
        (b"", b"? ", b""),
        (b"a: '", b"''", b"'"),
        (b"a: ", b"x", b""),
    ):
        yield head + b"\x1e" + unit + b"\x1e" + tail


def _seed_json_lines() -> Iterator[bytes]:
    yield from _seed_files(".jsonl")
    row = b'{"participant_code": "CUST01", "contributed": '
    yield row + b'"15000.00", "withdrawn": null}\n' + row + b"1.50}\n"
    yield row + b'1e3, "status": "exited", "auto_rebalance": true}\n'
    yield b'{"participant_code": "CUST01", "amount": 12.5}\n'


def _seed_grown_csv() -> Iterator[bytes]:
    head = b"participant_code,contributed\n\x1e"
    for unit in (b"CUST01,1\n", b"CUST01,x\n", b",\n", b'"', b"=", b"C\x1f,1,\n", b'"\n",1\n'):
        yield head + unit + b"\x1e"
    yield b"\x1ec\x1f,\x1e\n"


def _seed_grown_json_lines() -> Iterator[bytes]:
    for unit in (
        b'{"participant_code": "CUST01", "contributed": 1}\n',
        b'{"participant_code": 7}\n',
        b"{}\n",
        b"[",
        b'"\\ud800"\n',
    ):
        yield b"\x1e" + unit + b"\x1e"
    yield b'{\x1e"k\x1f": 1,\x1e}'
    yield b'{"participant_code": "CUST01", "contributed": \x1e9\x1e}'


TARGETS = {
    target.name: target
    for target in (
        Target("yaml", yaml_file, lambda: _seed_files(".yaml"), 2_000),
        Target("fmt", formatting, lambda: _seed_files(".yaml"), 2_000),
        Target("project", project, _seed_projects, 4_000),
        Target("csv", csv_file, lambda: _seed_files(".csv"), 1_000),
        Target("json-lines", json_lines_file, _seed_json_lines, 1_000),
        Target("amount", amount, _seed_amounts, 80),
        Target("grown-yaml", grown_yaml, _seed_grown_yaml, 300),
        Target("grown-csv", grown_csv, _seed_grown_csv, 300),
        Target("grown-json-lines", grown_json_lines, _seed_grown_json_lines, 300),
    )
}
"""Every target, by name."""
