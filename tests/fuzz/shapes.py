"""Inputs in the shape of what people write, for Hypothesis: one strategy for each target."""

from __future__ import annotations

import json

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from stratctl.documents import KINDS
from stratctl.load.tables import AMOUNTS, MEMBERS
from tests.fuzz.targets import ONE_PERSON, ONE_STRATEGY, as_input

# fmt: off
SCALARS = st.sampled_from(
    [
        "1", "0", "0.50", "1.5", "010", "1e3", "1_000", "true", "false", "NO", "~", "", "-1", "''",
        "CUST01", "'000123'", "BTC", "ETH", "live", "change", "never", "2026-01-02", "blue-chip",
        "founders", "USD", "exited", "active", "default", "sandbox", "*a", "&a b", "!!str x", "<<",
        "\"a\\u202eb\"", "'\u00e9'", "|\n  x", "x.csv", "../x.csv", "x" * 70, "{", "]", "a: b",
    ]
)
# fmt: on
KEYS = sorted({key for kind in KINDS.values() for key in kind.model_fields})
WORDS = st.sampled_from(
    [*KEYS, "participant_code", "contributed", "withdrawn", "file", "BTC", "on"]
)


def _flow(inner: SearchStrategy[str]) -> SearchStrategy[str]:
    pairs = st.lists(st.tuples(WORDS, inner), max_size=4)
    mappings = pairs.map(lambda p: "{" + ", ".join(f"{key}: {value}" for key, value in p) + "}")
    lists = st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]")
    return mappings | lists


VALUES = st.recursive(SCALARS, _flow, max_leaves=8)


def _document(kind: str, fields: list[tuple[str, str]]) -> str:
    lines = [f"kind: {kind}", "version: 1", *(f"{key}: {value}" for key, value in fields)]
    return "\n".join(lines) + "\n"


DOCUMENTS = st.builds(
    _document, st.sampled_from([*KINDS, "Nothing"]), st.lists(st.tuples(WORDS, VALUES), max_size=8)
)
YAML_TEXT = st.text(" \n:-{}[],#&*!|>'\"%@`a1?<=~.\t\u2028\u00e9\U0001f600", max_size=80)
YAML = st.one_of(
    st.lists(DOCUMENTS, min_size=1, max_size=3).map("---\n".join),
    YAML_TEXT,
    st.builds("{}{}".format, DOCUMENTS, YAML_TEXT),
).map(str.encode) | st.binary(max_size=60)

ALLOCATIONS = st.dictionaries(
    st.sampled_from(["BTC", "ETH", "SOL", "AAVE.ETH", "btc"]),
    st.sampled_from(["0.5", "0.25", "0.50", "1", "0", "0.333333333333333333", "'0.5'", "1.5"]),
    min_size=1,
    max_size=4,
).map(lambda shares: "{" + ", ".join(f"{key}: {value}" for key, value in shares.items()) + "}")
CODES = st.sampled_from(
    ["CUST01", "CUST02", "CUST03", "'000123'", "cust01", "CUST1", "\u0421UST01"]
)
MONEY = st.from_regex(r"[0-9]{1,16}(\.[0-9]{1,9})?", fullmatch=True) | st.sampled_from(
    ["15000.00", "250", "0", "0.01", "1e3", "-1", "1,5", "", " 7", "NaN", "1_000", "\uff11"]
)
MEMBERS_INLINE = st.lists(
    st.builds(
        "  - {{participant_code: {}, contributed: {}{}}}\n".format,
        CODES,
        MONEY,
        st.sampled_from(["", ", withdrawn: 1", ", status: exited", ", auto_rebalance: false"]),
    ),
    max_size=4,
).map("".join)
STRATEGIES = st.builds(
    "kind: Strategy\nversion: 1\nname: {}\nquoted_currency: {}\n{}: {}\n".format,
    st.sampled_from(["blue-chip", "two", "three"]),
    st.sampled_from(["USD", "EUR", "JPY"]),
    st.sampled_from(["allocations", "blend", "cap", "exits"]),
    ALLOCATIONS | st.sampled_from(["[BTC]", "{blue-chip: 0.5, two: 0.5}", "0.5"]),
)
COHORTS = st.builds(
    "kind: Cohort\nversion: 1\nname: {}\nstrategy: {}\nparticipants:\n{}{}".format,
    st.sampled_from(["founders", "second"]),
    st.sampled_from(["blue-chip", "two", "none"]),
    MEMBERS_INLINE,
    st.sampled_from(
        [
            *("", "source: {file: x.csv}\n", "hold: true\n", "manages: [flags]\n"),
            *("environments: [x]\n", "payouts:\n  - {key: p, file: y.csv}\n"),
            "funding:\n  - {key: k, participants: [{participant_code: CUST01, amount: 1.5}]}\n",
            "allocations: {BTC: 1}\nexits: [ETH]\n",
        ]
    ),
)


def _csv(header: list[str], rows: list[list[str]], end: str) -> bytes:
    return (end.join([",".join(header), *map(",".join, rows)]) + end).encode()


CELLS = st.one_of(
    CODES,
    MONEY,
    st.sampled_from(["active", "exited", "true", "=1", '"a"', '"', "a,b", "\u200b", "1-Jan"]),
)
HEADERS = st.sampled_from(
    [
        ["participant_code", "contributed"],
        ["contributed", "participant_code", "withdrawn"],
        [*MEMBERS.columns],
        [*AMOUNTS.columns],
        ["participant_code", "participant_code"],
        ["participant_code;contributed"],
    ]
)
GOOD_ROWS = st.lists(
    st.tuples(st.sampled_from(["CUST01", "CUST02", "000123"]), MONEY).map(list), max_size=4
)
CSV = st.builds(
    _csv,
    HEADERS,
    GOOD_ROWS | st.lists(st.lists(CELLS, max_size=5), max_size=4),
    st.sampled_from(["\n", "\r\n", "\n\n", "\r"]),
) | st.binary(max_size=80)

JSON_VALUES = st.one_of(
    CODES.map(json.dumps),
    MONEY,
    MONEY.map(json.dumps),
    st.sampled_from(
        ["null", "true", '"exited"', '"active"', "[]", "{}", '"\\ud800"', "NaN", "1e3"]
    ),
)
JSON_KEYS = st.sampled_from([*MEMBERS.columns, "amount", "more", "c\\u006fntributed"])


def _json_row(pairs: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{key}": {value}' for key, value in pairs) + "}"


JSON_ROWS = st.one_of(
    st.builds(
        '{{"participant_code": "{}", "contributed": {}}}'.format,
        st.sampled_from(["CUST01", "000123"]),
        MONEY.filter(bool),
    ),
    st.lists(st.tuples(JSON_KEYS, JSON_VALUES), max_size=5).map(_json_row),
)
JSON_LINES = st.builds(
    lambda rows, end: (end.join(rows) + end).encode(),
    st.lists(JSON_ROWS, max_size=4),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
) | st.binary(max_size=80)

PROJECTS = st.builds(
    lambda first, documents, table, noise: as_input(
        {
            "strategies/blue-chip.yaml": first.encode(),
            "strategies/more.yaml": "---\n".join(documents).encode(),
            "strategies/x.csv": table,
            "strategies/y.csv": table,
            **noise,
        }
    ),
    STRATEGIES,
    st.lists(STRATEGIES | COHORTS | DOCUMENTS, max_size=4),
    CSV,
    st.dictionaries(st.sampled_from(["policy.yaml", "stratctl.yaml"]), YAML, max_size=1),
)

AMOUNTS_TEXT = st.one_of(
    MONEY,
    st.from_regex(r"[1-9][0-9]{0,9}\.[0-9]{2}", fullmatch=True),
    st.text("0123456789.eE+-_ ,\n\u0661\uff11", max_size=70),
    st.from_regex(r"[01](\.[0-9]{0,26})?", fullmatch=True),
).map(str.encode)

PARTS = st.sampled_from(
    [
        *(
            b"kind: Cohort\n",
            b"participants:\n",
            b"- ",
            b"a",
            b"\x1f",
            b"[",
            b"{",
            b"}",
            b",",
            b"\n",
        ),
        *(b": ", b"'", b'"', b"? ", b"---\n", b"&a ", b"*a ", b"!t ", b"#", b"|\n ", b"- {}\n"),
        *(b"key\x1f: 1\n", b"[a, 1]", b"\xc3\xa9", b"\t", b"CUST01", b"=", b";", b"x: {y: z}\n"),
    ]
)
RUNS = st.lists(PARTS, max_size=4).map(b"".join)
SOUND = st.lists(
    st.sampled_from(
        [
            b"---\n" + ONE_STRATEGY,
            b"---\n" + ONE_PERSON.replace(b"NAME", b"blue-chip"),
            b"---\n" + ONE_PERSON.replace(b"NAME", b"s\x1f"),
        ]
    ),
    min_size=1,
    max_size=2,
).map(b"".join)
GROWN = st.builds(
    b"%s\x1e%s\x1e%s".__mod__,
    st.tuples(RUNS, RUNS, RUNS) | st.tuples(st.just(b""), SOUND, st.just(b"")),
)

GROWN_TABLES = st.builds(
    b"%s\x1e%s\x1e%s".__mod__,
    st.tuples(st.sampled_from([b"", b"participant_code,contributed\n", b"{"]), RUNS, RUNS),
)

SHAPES: dict[str, SearchStrategy[bytes]] = {
    "yaml": YAML,
    "fmt": YAML,
    "project": PROJECTS,
    "csv": CSV,
    "json-lines": JSON_LINES,
    "amount": AMOUNTS_TEXT,
    "grown-yaml": GROWN,
    "grown-csv": GROWN_TABLES,
    "grown-json-lines": GROWN_TABLES,
}
"""Target -> inputs for it."""
