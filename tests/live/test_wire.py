"""The provider's JSON is text until somebody asks, and hostile until it is proven fine."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl.core.errors import BadResponse
from stratctl.live import wire
from stratctl.live.wire import BODY_BYTES_MAX, Number

ID = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
OTHER = "bd92c25a-eaf8-3e95-ab7a-59f3e2275234"
OPERATION = {
    "id": ID,
    "strategy_id": ID,
    "request_id": ID,
    "type": "enrollment",
    "status": "settled",
    "status_reason": "",
    "allocations": [{"underlying_currency": "BTC", "weight": "0.50"}],
    "created_at": "2026-04-17T10:00:00Z",
}
EXECUTION = {**OPERATION, "operation_id": ID, "participant_code": "CUST01"}
NO_LIST = {"underlying_currency": "BTC", "trade_ids": "x"}
TRADER = {
    "id": OTHER,
    "strategy_id": ID,
    "participant_code": "CUST01",
    "account_label": ID,
    "auto_rebalance": True,
    "updated_at": "2026-04-17T10:00:00Z",
}


def body(document: object) -> bytes:
    """JSON bytes."""
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "text",
    [
        "12345678901234567.89",
        "12345678901234567890.12",
        "0.1",
        "-0.000000000000000000000001",
        "1e5",
        "100000000000000000000000000001",
    ],
)
def test_numbers_keep_their_exact_text(text: str) -> None:
    """No digit of a JSON number passes through a binary float."""
    (number,) = wire.parse(f"[{text}]".encode())
    assert isinstance(number, Number)
    assert number == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=0, max_value=10**15))
def test_any_number_survives(value: Decimal) -> None:
    """Text in, the same value out, whatever its digits."""
    text = format(value, "f")
    (number,) = wire.parse(f"[{text}]".encode())
    assert Decimal(wire.plain_number(number, "n")) == value


@given(st.integers(0, 10**20), st.integers(0, 999_999), st.integers(-40, 40))
def test_an_exponent_is_written_out_exactly(whole: int, fraction: int, exponent: int) -> None:
    """Plain text of a number with an exponent has exactly its value."""
    shown = f"{whole}.{fraction}e{exponent}"
    plain = wire.plain_number(Number(shown), "n")
    assert "e" not in plain
    assert Decimal(plain) == Decimal(shown)
    assert wire.plain_number(plain, "n") == plain


@pytest.mark.parametrize("text", ["", "-1", "1e999", "abc", "1e+", "NaN", "1_0", " 1", "٣"])
def test_what_is_no_price_is_refused(text: str) -> None:
    """Signs, words and absurd exponents are no prices."""
    with pytest.raises(BadResponse, match="which is no number"):
        wire.plain_number(text, "value")
    with pytest.raises(BadResponse):
        wire.plain_number(None, "value")


HOSTILE = {
    "duplicate key": b'{"id":1,"id":2}',
    "nested duplicate key": b'[{"a":{"id":1,"id":1}}]',
    "NaN": b'{"x":NaN}',
    "Infinity": b'{"x":-Infinity}',
    "huge exponent": b'{"x":1e400}',
    "small exponent": b'{"x":1e-400}',
    "5,000 digits": b'{"x":' + b"9" * 5_000 + b"}",
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "lone surrogate": b'{"x":"\\ud800"}',
    "lone surrogate in a key": b'{"\\uDC00":1}',
    "not UTF-8": b'{"x":"\xff"}',
    "UTF-16": '{"x":1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"x":1}',
    "empty": b"",
    "HTML": b"<html></html>",
    "truncated": b'{"message":{"id":',
    "trailing data": b"{} {}",
    "too large": b'"' + b"x" * BODY_BYTES_MAX + b'"',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_refused(name: str) -> None:
    """Each with a reason, and none with another exception than ours."""
    with pytest.raises(BadResponse, match="cannot be trusted"):
        wire.parse(HOSTILE[name])


def test_a_pair_of_surrogates_is_text() -> None:
    """Escaped emoji are fine."""
    assert wire.parse(b'["\\ud83d\\ude00"]') == ["😀"]


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    """Garbage is BadResponse or a value."""
    with suppress(BadResponse):
        wire.parse(raw)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_are_refused_in_the_same_words(name: str) -> None:
    """The quick way through plain pages is no way round a refusal."""
    for page in (b"%b", b'{"message":[{"x":%b}]}', b'{"traders":[],"message":%b}'):
        raw = page % HOSTILE[name][:BODY_BYTES_MAX]
        assert outcome(wire.parse_list, raw) == outcome(wire.parse, raw)
    with pytest.raises(BadResponse, match="cannot be trusted"):
        wire.parse_list(HOSTILE[name])


def outcome(read: Callable[..., Any], *found: Any) -> tuple[str, Any]:
    """What is said against something that is read, or else the values."""
    try:
        return "", numbered(read(*found))
    except BadResponse as error:
        return error.summary, None


def numbered(value: Any) -> Any:
    """A parsed value with every number as its text, marked as one."""
    if isinstance(value, dict):
        return {key: numbered(each) for key, each in value.items()}
    if isinstance(value, list):
        return [numbered(each) for each in value]
    if type(value) is int or isinstance(value, Number):
        return ("number", str(value))
    return value


blanks = st.sampled_from(["", "", "", " ", "\n", "\t\r\n "])
scalars = st.one_of(
    st.sampled_from(["true", "false", "null", "0", "-0", "-1", "1", "01", "1.0", "1e5", "NaN"]),
    st.sampled_from(
        ["9" * 18, "9" * 19, "9" * 64, "9" * 65, '"a:b"', '"\\":"', '":"', '"', '" :"']
    ),
    st.text(max_size=4).map(json.dumps),
    st.text(max_size=4).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(['[{"a":[1]},{"b:":2}]', '[{"a":1,"a":1}]', '[{"a":[{}]}]', '[[{"a":1}]]']),
    st.sampled_from(['"\\ud800"', "[]", "{}", "[1]", "[-0]", '["a:"]', '{"a":1}', "[[]]", "[{}]"]),
)


@st.composite
def objects(draw: st.DrawFn, inside: st.SearchStrategy[str]) -> str:
    """The text of an object, whose keys may occur twice."""
    names = st.sampled_from(["a", "b", "c", "d:", "\\u0061", "id", "e", "f", "g", "h"])
    keys = draw(st.lists(names, max_size=3) | st.lists(names, max_size=3, unique=True))
    members = [f'"{key}"{draw(blanks)}:{draw(blanks)}{draw(inside)}' for key in keys]
    return "{" + ",".join(members) + "}"


records = st.lists(objects(scalars), max_size=4).map(lambda each: f"[{','.join(each)}]")
pages = objects(records | scalars | objects(records | scalars)).filter(lambda text: text != "{}")


@given(pages.map(str.encode), st.data())
def test_a_page_is_read_quickly_only_as_it_is_read_carefully(
    raw: bytes, data: st.DataObject
) -> None:
    """The same values or the same refusal, of pages well made and pages with one byte changed."""
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw = raw[:place] + data.draw(st.binary(max_size=1)) + raw[place + 1 :]
    assert outcome(wire.parse_list, raw) == outcome(wire.parse, raw)


def test_a_plain_page_is_read_quickly() -> None:
    """Whole numbers are int then, which is how one can tell; a 0, a fraction or a twin is not."""
    plain = b'{"message":[{"id":"a:b","n":12, "l":[1,null]},{}],"page":2}'
    assert wire.parse_list(plain) == {
        "message": [{"id": "a:b", "n": 12, "l": [1, None]}, {}],
        "page": 2,
    }
    for number in (b"0", b"-0", b"1.0", b"1e2", b"1" + b"0" * 18):
        page = plain.replace(b"12", number)
        assert wire.parse_list(page)["message"][0]["n"] == Number(number.decode())
    with pytest.raises(BadResponse, match="occurs twice"):
        wire.parse_list(plain.replace(b'"n"', b'"id"'))
    legs = b'{"executions":[{"legs":[{"at":"9:00","n":12,"ids":["a"]},{"n":1}]},{"legs":[]}]}'
    (first, _) = wire.parse_list(legs)["executions"]
    assert first["legs"] == [{"at": "9:00", "n": 12, "ids": ["a"]}, {"n": 1}]
    assert type(first["legs"][0]["n"]) is int
    with pytest.raises(BadResponse, match="occurs twice"):
        wire.parse_list(legs.replace(b'"n":12', b'"at":1'))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=20,
)
DECODERS: list[Callable[[Any], object]] = [
    wire.strategy,
    wire.operation,
    wire.trader,
    wire.strategies_page,
    wire.operations_page,
    wire.traders_page,
    wire.executions_page,
    wire.accounts_page,
    wire.participants_page,
    wire.assets,
    wire.index_price,
    wire.time_seconds,
    lambda document: wire.symbol_price(document, "BTC", "USD"),
]
shapes = st.sampled_from(
    [
        {"message": OPERATION},
        {"message": {"operations": [OPERATION], "next_page_token": ""}},
        {"message": {"traders": [TRADER]}},
        {"message": {"executions": [{**OPERATION, "participant_code": "CUST01"}]}},
        {"message": [{"account_id": ID, "account_owner": "CUST01", "balance": "1.5"}]},
        [["BTC", {"marketDataMap": [["USD", {"price": {"value": "1"}}]]}]],
        {"epoch": 1_700_000_000},
    ]
)


@given(st.data())
def test_decoders_raise_nothing_but_ours(data: st.DataObject) -> None:
    """Any JSON, and documented shapes with any one value replaced by any other."""
    document = json.loads(json.dumps(data.draw(shapes | json_values)))
    place = document
    while isinstance(place, (dict, list)) and place:
        key = data.draw(
            st.sampled_from(range(len(place)) if isinstance(place, list) else sorted(place))
        )
        if data.draw(st.booleans()):
            place[key] = data.draw(json_values)
            break
        place = place[key]
    parsed, listed = wire.parse(body(document)), wire.parse_list(body(document))
    for decode in DECODERS:
        assert outcome(decode, listed) == outcome(decode, parsed)


@given(st.data())
def test_executions_are_read_together_as_they_are_one_by_one(data: st.DataObject) -> None:
    """Well made, or with any one value replaced, or left out: the same, or the same refusal."""
    leg = {**dict.fromkeys(wire._INSTRUCTION_FIELDS, "1"), "trade_ids": [ID, OTHER]}
    records = [
        {**EXECUTION, "status": "settled", "status_reason": "", "instructions": [leg, {**leg}]},
        {**EXECUTION, "status": "", "status_reason": "a\nb", "instructions": []},
    ]
    assert len(wire._plain_executions(records)) == len(records)
    records = json.loads(json.dumps(records))
    place: Any = data.draw(st.sampled_from([*records, *records[0]["instructions"]]))
    place = data.draw(st.sampled_from([place, place.get("trade_ids", place)]))
    key = data.draw(st.sampled_from([0, 1] if isinstance(place, list) else sorted(place)))
    place[key] = data.draw(json_values | st.sampled_from([ID, ID.upper(), "CUST01\n", "", [], {}]))
    if isinstance(place, dict) and data.draw(st.booleans()):
        del place[key]
    careful = outcome(lambda: tuple(map(wire._execution, records)))
    assert outcome(wire._executions, records) == careful


@pytest.mark.parametrize("wrapped", [True, False])
def test_resources_come_wrapped_or_bare(wrapped: bool) -> None:
    """Both documented envelopes decode alike."""

    def enveloped(document: object) -> object:
        return wire.parse(body({"message": document} if wrapped else document))

    assert wire.operation(enveloped(OPERATION)).allocations == (("BTC", "0.50"),)
    assert wire.trader(enveloped(TRADER)).participant_code == "CUST01"
    page = wire.traders_page(enveloped({"traders": [TRADER], "next_page_token": "t"}))
    assert (page.count, page.next_token, wire.values(page.items.id)) == (1, "t", [OTHER])
    assert wire.time_seconds(enveloped({"epoch": 1_715_459_200_000})) == 1_715_459_200
    assert wire.time_seconds(enveloped({"epoch": 1_550_174_574})) == 1_550_174_574


def test_fields_may_be_absent_and_enums_open() -> None:
    """An Operation of an unknown type and status, without allocations and reason, is shown."""
    found = wire.operation(
        wire.parse(body({"id": ID, "strategy_id": ID, "type": "swap", "status": "under_review"}))
    )
    assert (found.type, found.status, found.status_reason) == ("swap", "under_review", "")
    assert found.allocations is None
    assert found.request_id == ""


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        (OTHER, OTHER),
        (ID.upper(), ID),
        (ID.replace("-", ""), ID),
        ("a1b2c3d4-e5f6-7890-abcd-ef0123456789", "a1b2c3d4-e5f6-7890-abcd-ef0123456789"),
        ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_ids_of_any_version_are_normalised(shown: str, read: str) -> None:
    """The provider's own ids are not all version 4; ours is lower case with dashes."""
    assert wire.trader(wire.parse(body({**TRADER, "id": shown}))).id == read


@pytest.mark.parametrize(
    "shown", ["", None, 7, "x", f"{{{ID}}}", f"urn:uuid:{ID}", ID + "\n", ID[1:]]
)
def test_what_is_no_id_is_refused(shown: object) -> None:
    """An id is the one field that nothing works without."""
    with pytest.raises(BadResponse, match="id is"):
        wire.trader(wire.parse(body({**TRADER, "id": shown})))


@pytest.mark.parametrize(
    "code", ["", "cust01", "CUST01\n", "CUST0001", "\u0421UST01", "CUST 1", None, 123456]
)
def test_what_is_no_participant_code_is_refused(code: object) -> None:
    """Codes are capitals and digits, so that nothing else reaches a body or a terminal."""
    with pytest.raises(BadResponse):
        wire.trader(wire.parse(body({**TRADER, "participant_code": code})))


def test_a_line_break_does_not_make_two_values_of_one() -> None:
    """Columns are checked as joined lines, and a value that is two lines is still one value."""
    two = f"{ID}\n{OTHER}"
    for field, value in (("id", two), ("strategy_id", two), ("participant_code", "A\nB")):
        with pytest.raises(BadResponse):
            wire.traders_page({"traders": [TRADER, {**TRADER, field: value}]})
    account = {"account_id": ID, "account_owner": "CUST01", "asset": "BTC", "balance": "1\n2"}
    with pytest.raises(BadResponse):
        wire.accounts_page({"message": [account]})


ACCOUNT = {
    "account_id": ID,
    "account_owner": "CUST01",
    "account_label": ID,
    "account_type": "available",
    "asset": "BTC",
    "balance": "-12.50",
    "last_update": Number("1715459200000"),
}
odd_values: st.SearchStrategy[object] = st.one_of(
    st.sampled_from([ID.upper(), OTHER.replace("-", ""), "", "x\ny", "\n", "12\n", "A", "ABCDEFG"]),
    st.sampled_from(["0" * 36, "0.1", "01", "1e5", "٣", Number("7"), Number("1" * 32)]),
    st.sampled_from([None, True, 0, 7, -1, 10**18, [], {}]),
)
account_pages = st.lists(
    st.builds(
        lambda odd, gone: {k: v for k, v in (ACCOUNT | odd).items() if k not in gone},
        st.dictionaries(st.sampled_from(sorted(ACCOUNT)), odd_values, max_size=1),
        st.sets(st.sampled_from(sorted(ACCOUNT)), max_size=1),
    ),
    max_size=4,
)


@given(account_pages)
def test_columns_are_what_their_fields_are_one_by_one(found: list[dict[str, Any]]) -> None:
    """A page is refused where one value would be, and nothing is moved, lost or made up."""

    def line(record: dict[str, Any], field: str) -> str:
        if "\n" in wire.text(record, field):
            raise BadResponse("two lines")
        return wire.text(record, field)

    def whole(value: object) -> str:
        digits = str(value) if type(value) in (int, str, Number) else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            raise BadResponse("no whole number")
        return str(int(digits))

    def one(record: dict[str, Any]) -> tuple[object, ...]:
        return (
            wire.uuid_text(record.get("account_id"), "account_id"),
            wire.code_text(record.get("account_owner"), "account_owner"),
            line(record, "account_label"),
            line(record, "account_type"),
            line(record, "asset"),
            wire.decimal_text(record.get("balance"), "balance"),
            int(whole(record.get("last_update", 0))),
        )

    def columns() -> list[tuple[object, ...]]:
        page = wire.accounts_page({"message": found}).items
        shown = [getattr(page, field.name) for field in fields(page)]
        lists = [wire.values(each) if isinstance(each, str) else each for each in shown]
        return list(zip(*lists, strict=True))

    assert outcome(columns)[1] == outcome(lambda: list(map(one, found)))[1]


def test_a_number_is_not_text() -> None:
    """Where the provider documents decimal text, a JSON number is refused."""
    account = {"account_id": ID, "account_owner": "CUST01", "asset": "BTC", "balance": "1.5"}
    page = wire.accounts_page(wire.parse(body({"message": [account], "total_pages": 1})))
    assert wire.values(page.items.balance) == ["1.5"]
    for wrong in (1.5, 1, "1e5", "", "1.", "+1", "1_0", "NaN", None):
        raw = body({"message": [{**account, "balance": wrong}], "total_pages": 1})
        with pytest.raises(BadResponse):
            wire.accounts_page(wire.parse(raw))


def test_an_absent_list_is_not_an_empty_one() -> None:
    """A page must have its list, though the list may be empty or null."""
    assert wire.traders_page({"traders": []}).count == 0
    assert wire.traders_page({"traders": None}).count == 0
    with pytest.raises(BadResponse, match="no traders"):
        wire.traders_page({"message": {}})
    with pytest.raises(BadResponse):
        wire.accounts_page({"total_pages": Number("1")})


def test_prices_come_out_of_nested_tuples() -> None:
    """The documented shape, an unknown pair, and a JSON number for the index."""
    quotes = {"price": {"value": "60000.12345678901"}, "median": {"value": "1"}}
    document = [["BTC", {"marketDataMap": [["EUR", {}], ["USD", quotes]]}]]
    parsed = wire.parse(body(document))
    assert wire.symbol_price(parsed, "BTC", "USD") == "60000.12345678901"
    assert wire.symbol_price(parsed, "ETH", "USD") is None
    assert wire.symbol_price(parsed, "BTC", "EUR") is None
    raw = b'{"index":"BTC/USD","value":12345678901234567.89}'
    assert wire.index_price(wire.parse(raw)) == "12345678901234567.89"
    assert wire.index_price(wire.parse(b"{}")) is None


def test_assets_without_a_precision_are_left_out() -> None:
    """A precision that is not shown is not known."""
    listed = wire.parse(
        b'{"message":[{"symbol":"BTC","type":"crypto","precision":8},{"symbol":"X"}]}'
    )
    assert wire.assets(listed) == (wire.AssetRecord("BTC", "crypto", 8),)


def test_metadata_is_canonical_and_keeps_its_numbers() -> None:
    """Key order and blanks do not matter; the digits of a number do."""
    raw = b'{"id":"%b","metadata":{"b": [1.50, true, null], "a": "\\u00e9"}}' % ID.encode()
    assert wire.strategy(wire.parse(raw)).metadata_json == '{"a":"\\u00e9","b":[1.50,true,null]}'
    deep = b'{"id":"%b","metadata":%b1%b}' % (ID.encode(), b"[" * 80, b"]" * 80)
    with pytest.raises(BadResponse, match="nested"):
        wire.strategy(wire.parse(deep))


@pytest.mark.parametrize(
    ("raw", "errors", "said"),
    [
        (b'{"errors":["a","b"]}', ("a", "b"), "a; b"),
        (b'{"errors":[]}', (), ""),
        (b'{"errors":[1]}', (), ""),
        (b'{"errors":"a"}', (), ""),
        (b'{"error":true,"message":"no rights"}', (), "no rights"),
        (b'{"error":"Not Found"}', (), "Not Found"),
        (b'{"error":"a\\n\\u001b[31mb"}', (), "a [31mb"),
        (b"[]", (), ""),
        (b"", (), ""),
        (b"<html>", (), ""),
    ],
)
def test_refusals_are_read_leniently(raw: bytes, errors: tuple[str, ...], said: str) -> None:
    """The documented 400 is told from every other shape; each says what it can."""
    assert wire.documented_errors(raw) == errors
    assert wire.refusal_text(raw) == said


@pytest.mark.parametrize(
    ("decode", "document"),
    [
        (wire.accounts_page, {"message": [], "total_pages": "many"}),
        (wire.time_seconds, {"epoch": Number("1.5")}),
        (wire.traders_page, {"traders": [{**TRADER, "auto_rebalance": "true"}]}),
        (wire.executions_page, {"executions": [{**EXECUTION, "instructions": [NO_LIST]}]}),
    ],
)
def test_fields_of_another_type_are_refused(
    decode: Callable[[Any], object], document: object
) -> None:
    """A count that is no number, a flag that is text, trade ids that are no list."""
    with pytest.raises(BadResponse):
        decode(document)


def test_a_leg_may_lack_what_it_does_not_have_yet() -> None:
    """Price and quantity come with the execution; until then they are null or absent."""
    leg = {"underlying_currency": "BTC", "side": "sell", "amount": "0.5", "price": None}
    (execution,) = wire.executions_page(
        {"executions": [{**EXECUTION, "instructions": [leg]}]}
    ).items
    (found,) = execution.instructions
    assert (found.asset, found.amount, found.price, found.trade_ids) == ("BTC", "0.5", "", ())
