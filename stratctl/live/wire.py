"""The provider's JSON, read strictly as text and leniently as documents.

Strictly: bytes are UTF-8 of a bounded size, keys are unique, numbers keep their exact text and
never become a binary float. Leniently: resources come inside ``message`` or bare, fields may be
absent, enums may carry values that nobody documented, and ids may be UUIDs of any version; the
provider's own pages disagree on all of these.

Everything here raises BadResponse and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from stratctl.core.errors import BadResponse
from stratctl.core.event import Execution, Instruction

BODY_BYTES_MAX = 20 * 2**20
PAGE_SIZE = 200
"""The largest page that the provider documents for cursor-paged lists."""

_NUMBER_TEXT_MAX = 64
_EXPONENT_MAX = 40
_METADATA_DEPTH_MAX = 64

Item = TypeVar("Item")


class Number(str):
    """A JSON number as its exact source text; a different thing from a JSON string."""

    __slots__ = ()


# --- text -> values --------------------------------------------------------------------------


def parse(body: bytes) -> Any:
    """JSON bytes -> dicts, lists, str, Number, bool, None."""
    if len(body) > BODY_BYTES_MAX:
        raise _untrusted(f"it is larger than {BODY_BYTES_MAX} bytes")
    try:
        document = _DECODER.decode(body.decode("utf-8"))
        if b"\\ud" in body or b"\\uD" in body:
            # An escaped lone surrogate is no text: it cannot be encoded again. Paired ones can.
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeError:
        raise _untrusted("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise _untrusted(f"it is not JSON ({error.msg} at character {error.pos})") from None
    except RecursionError:
        raise _untrusted("it is nested too deeply") from None
    return document


def parse_list(body: bytes) -> Any:
    """What ``parse`` makes of a page of a list, in a third of its time where the page is plain.

    Whole numbers may come as int, and nothing else is different: what is not plain, or not proven
    to be free of keys that occur twice, is read by ``parse``, which says what is wrong with it.
    """
    try:
        document = _PLAIN_PAGE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return parse(body)
    # The text of every member has a colon, and that is behind a quote or a blank. Where there are
    # no more colons than members were read, none was dropped for another of the same key.
    members = _members(document)
    # Whether there is a second bracket at all takes no time to see, and most pages have one.
    if body.find(b"[") != body.rfind(b"[") and body.count(b"[{") > 1:
        members += _members_within(document)
    proven = body.count(b":") == members or members == sum(
        body.count(mark + b":") for mark in _BEFORE_A_COLON if mark in body
    )
    return document if proven and len(body) <= BODY_BYTES_MAX else parse(body)


def token_in(body: bytes) -> str:
    """The token of the page behind this one, as far as a glance can tell; empty for none.

    Good enough to ask for that page ahead. What this page says only ``parse_list`` decides.
    """
    try:
        page = _PAGE_END.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return (page.message or page).next_page_token or ""


def unwrap(document: Any) -> Any:
    """The resource inside ``message``, or the document itself when it comes bare."""
    if isinstance(document, dict) and isinstance(document.get("message"), (dict, list)):
        return document["message"]
    return document


def canonical(value: Any) -> str:
    """Canonical JSON text of a parsed value: sorted keys, no blanks, numbers as they came."""
    return _canonical(value, _METADATA_DEPTH_MAX)


def _canonical(value: Any, depth: int) -> str:
    if not depth:
        raise _untrusted("it is nested too deeply")
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        members = (f"{json.dumps(k)}:{_canonical(value[k], depth - 1)}" for k in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_canonical(item, depth - 1) for item in value) + "]"
    return json.dumps(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _untrusted(f"the key {twice[:40]!r} occurs twice in one object")
    return found


def _number(text: str) -> Number:
    _, exponent_mark, exponent = text.lower().partition("e")
    if len(text) > _NUMBER_TEXT_MAX or (exponent_mark and abs(int(exponent)) > _EXPONENT_MAX):
        raise _untrusted(f"the number {text[:20]}… is out of any range")
    return Number(text)


def _integer(text: str) -> Number:
    if len(text) > _NUMBER_TEXT_MAX:
        raise _untrusted(f"the number {text[:20]}… is out of any range")
    return Number(text)


def _no_constant(text: str) -> Any:
    raise _untrusted(f"{text} is no number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_number,
    parse_int=_integer,
    parse_constant=_no_constant,
)


_Scalar = str | Annotated[int, msgspec.Meta(ge=1, lt=10**18)] | bool | None
"""No fraction, which would become a binary float, and no 0, which may have been written ``-0``."""

_Leg = dict[str, _Scalar | list[_Scalar]]
_List = list[dict[str, _Scalar | list[_Scalar | _Leg]]]
_PLAIN_PAGE = msgspec.json.Decoder(
    dict[str, _Scalar | _List | dict[str, _Scalar | _List]]  # bare, or inside ``message``
)


class _PageEnd(msgspec.Struct):
    next_page_token: str | None = None
    message: _PageEnd | None = None


_PAGE_END = msgspec.json.Decoder(_PageEnd)
_BEFORE_A_COLON = (b'"', b" ", b"\t", b"\n", b"\r")


def _members(value: Any) -> int:
    """How many members the objects of a plain page have together, but for those in its records."""
    if isinstance(value, list):
        return sum(map(len, value))
    inside = [inner for inner in value.values() if isinstance(inner, (dict, list))]
    return len(value) + sum(map(_members, inside))


def _members_within(value: Any) -> int:
    """How many the objects have that are in lists within its records, such as legs."""
    if isinstance(value, dict):
        return sum(map(_members_within, value.values()))
    if not isinstance(value, list):
        return 0
    lists = [inner for record in value for inner in record.values() if type(inner) is list]
    return sum([len(leg) for legs in lists for leg in legs if type(leg) is dict])


def _untrusted(why: str) -> BadResponse:
    return BadResponse(f"the provider's answer cannot be trusted: {why}")


# --- fields ----------------------------------------------------------------------------------

_UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE
)
_BARE_UUID = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)
_CODE = re.compile(r"[A-Z0-9]{1,6}+", re.ASCII)
_DECIMAL = re.compile(r"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)
_WHOLE_END = 10**18


def uuid_text(value: Any, field: str) -> str:
    """Any UUID, of any version, as lower-case dashed text."""
    if type(value) is str:
        if _UUID.fullmatch(value):
            return value.lower()
        if _BARE_UUID.fullmatch(value):
            low = value.lower()
            return "-".join((low[:8], low[8:12], low[12:16], low[16:20], low[20:]))
    raise _untrusted(f"{field} is {_shown(value)}, which is no UUID")


def text(record: Mapping[str, Any], field: str) -> str:
    """A text field; absent and null read as empty. A number is not text."""
    value = record.get(field)
    if value is None:
        return ""
    if type(value) is not str:
        raise _untrusted(f"{field} is {_shown(value)}, which is no text")
    return value


def decimal_text(value: Any, field: str) -> str:
    """Plain decimal text (a sign is allowed, an exponent is not) of a JSON string."""
    if type(value) is str and _DECIMAL.fullmatch(value):
        return value
    raise _untrusted(f"{field} is {_shown(value)}, which is no decimal text")


def code_text(value: Any, field: str) -> str:
    """A participant code: one to six capitals and digits."""
    if type(value) is str and _CODE.fullmatch(value):
        return value
    raise _untrusted(f"{field} is {_shown(value)}, which is no participant code")


def plain_number(value: Any, field: str) -> str:
    """Plain decimal text of a JSON number or decimal string, an exponent written out exactly."""
    match = _SCIENTIFIC.fullmatch(value) if isinstance(value, str) else None
    if match is None or len(match[3] or "") > 3 or abs(int(match[3] or 0)) > _EXPONENT_MAX:
        raise _untrusted(f"{field} is {_shown(value)}, which is no number")
    whole, fraction, exponent = match[1], match[2] or "", int(match[3] or 0)
    point = len(whole) + exponent
    digits = (whole + fraction).rjust(len(whole + fraction) + max(0, -point), "0")
    point = max(point, 0)
    digits = digits.ljust(point, "0")
    cut = digits[:point].lstrip("0") or "0"
    rest = digits[point:].rstrip("0")
    return f"{cut}.{rest}" if rest else cut


_SCIENTIFIC = re.compile(r"([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?", re.ASCII)


def _record(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _untrusted(f"{what} is {_shown(value)}, which is no object")
    return value


def _records(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not set(map(type, value)) <= {dict}:
        raise _untrusted(f"{what} is no list of objects")
    return value


def _whole(value: Any, field: str) -> int:
    if type(value) is int and 0 <= value < _WHOLE_END:
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    raise _untrusted(f"{field} is {_shown(value)}, which is no whole number")


def _shown(value: Any) -> str:
    """A value for a message: short, on one line, and never a whole document."""
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "an object"
    if type(value) is int:
        value = str(value)  # as Number is shown
    return "absent" if value is None else repr(value)[:60]


# --- columns: a field of every record, as lines of text ----------------------------------------

Lines = str
"""A column of a page: one value a line, each with its line break. It is checked as a whole, and
reaches the engine as one value, which takes a fraction of the time that its values would take."""

# What was matched is never tried otherwise (``+``), which takes half of the time.
are_codes = re.compile(f"(?:{_CODE.pattern}\n)++", re.ASCII).fullmatch
are_decimals = re.compile(f"(?:{_DECIMAL.pattern}\n)++", re.ASCII).fullmatch
_FLAGS = {True: "true\n", False: "false\n", None: "\n"}


def values(lines: Lines) -> list[str]:
    """The values of a column."""
    return lines.split("\n")[:-1]


def _lines(
    records: Sequence[Mapping[str, Any]],
    field: str,
    fits: Callable[[Lines], object],
    careful: Callable[[Any, str], str],
) -> Lines:
    """A field of every record: all of it when it ``fits``, else ``careful`` with each value."""
    try:
        column: list[Any] = list(map(itemgetter(field), records))
    except KeyError:
        column = [record.get(field) for record in records]
    if set(map(type, column)) == {str}:
        lines = "\n".join(column) + "\n"
        # A value with a line break in it would pass as two values.
        if lines.count("\n") == len(column) and fits(lines):
            return lines
    return "".join([careful(value, field) + "\n" for value in column])


def _texts(records: Sequence[Mapping[str, Any]], field: str) -> Lines:
    """Absent and null are empty lines."""
    return _lines(records, field, lambda lines: True, _line)


def _line(value: Any, field: str) -> str:
    if value is None:
        return ""
    if type(value) is not str or "\n" in value:
        raise _untrusted(f"{field} is {_shown(value)}, which is no line of text")
    return value


def _uuids(records: Sequence[Mapping[str, Any]], field: str) -> Lines:
    return _lines(records, field, are_uuids, uuid_text)


_UUID_LINE = b"00000000-0000-0000-0000-000000000000\n"
_HEX_TO_ZERO = bytes.maketrans(b"123456789abcdef", b"0" * 15)


def are_uuids(lines: Lines) -> bool:
    """Whether each line is a UUID in lower case: what they look like when every hexadecimal digit
    is a zero, which takes a fifth of the time of a pattern."""
    shape = _UUID_LINE * (len(lines) // len(_UUID_LINE))
    return lines.encode().translate(_HEX_TO_ZERO) == shape


def _codes(records: Sequence[Mapping[str, Any]], field: str) -> Lines:
    return _lines(records, field, are_codes, code_text)


def _decimals(records: Sequence[Mapping[str, Any]], field: str) -> Lines:
    return _lines(records, field, are_decimals, decimal_text)


def _wholes(records: Sequence[Mapping[str, Any]], field: str) -> list[int]:
    """Whole numbers; absent is 0."""
    column = [record.get(field, 0) for record in records]
    if set(map(type, column)) == {int} and min(column) >= 0 and max(column) < _WHOLE_END:
        return column
    return [_whole(value, field) for value in column]


def _flags(records: Sequence[Mapping[str, Any]], field: str) -> Lines:
    """``true``, ``false``, or nothing where the provider shows neither."""
    return flag_lines([_flag(record.get(field), field) for record in records])


def flag_lines(flags: Iterable[bool | None]) -> Lines:
    """A column of flags, of which an absent one is an empty line."""
    return "".join([_FLAGS[flag] for flag in flags])


def _flag(value: Any, field: str) -> bool | None:
    if value is True or value is False or value is None:
        return value
    raise _untrusted(f"{field} is {_shown(value)}, which is neither true nor false")


# --- pages -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a cursor-paged list. ``next_token`` is empty on the last one."""

    items: Item
    count: int
    next_token: str


@dataclass(frozen=True, slots=True)
class NumberedPage(Generic[Item]):
    """One page of a page-numbered list."""

    items: Item
    count: int
    total_pages: int


def cursor_page(name: str, decode: Callable[[Any], Item]) -> Callable[[Any], Page[Item]]:
    """A decoder of pages ``{name: […], next_page_token}``, wrapped or bare."""

    def decode_page(document: Any) -> Page[Item]:
        inside = _record(unwrap(document), "the page")
        if name not in inside:
            # An absent list must not read as an empty one: nothing enrolled is a strong claim.
            raise _untrusted(f"the page has no {name}")
        records = _records(inside[name] or [], name)
        return Page(decode(records), len(records), text(inside, "next_page_token"))

    return decode_page


def numbered_page(decode: Callable[[Any], Item]) -> Callable[[Any], NumberedPage[Item]]:
    """A decoder of pages ``{message: […], page, total_pages}``."""

    def decode_page(document: Any) -> NumberedPage[Item]:
        outside = _record(document, "the page")
        records = _records(outside.get("message"), "message")
        total = outside.get("total_pages")
        return NumberedPage(
            decode(records), len(records), 1 if total is None else _whole(total, "total_pages")
        )

    return decode_page


# --- Strategies ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StrategyRecord:
    """A Strategy as the provider shows it."""

    id: str
    request_id: str
    quoted_currency: str
    metadata_json: str | None
    """Canonical JSON; None when the provider shows null or nothing."""
    updated_at: str


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """An Operation as the provider shows it; it tells neither participants nor amounts."""

    id: str
    strategy_id: str
    request_id: str
    type: str
    status: str
    status_reason: str
    allocations: tuple[tuple[str, str], ...] | None
    """(asset, weight text); None when the answer has no such field."""
    created_at: str


@dataclass(frozen=True, slots=True)
class TraderRecord:
    """One Trader, for reading back a change of its flag."""

    id: str
    strategy_id: str
    participant_code: str
    auto_rebalance: bool | None
    updated_at: str


@dataclass(frozen=True, slots=True)
class TraderColumns:
    """A page of Traders as columns."""

    id: Lines
    strategy_id: Lines
    participant_code: Lines
    auto_rebalance: Lines
    updated_at: Lines


def strategy(document: Any) -> StrategyRecord:
    """One Strategy, wrapped or bare."""
    record = _record(unwrap(document), "the Strategy")
    metadata = record.get("metadata")
    return StrategyRecord(
        id=uuid_text(record.get("id"), "id"),
        request_id=_lower_id(record),
        quoted_currency=text(record, "quoted_currency"),
        metadata_json=None if metadata is None else canonical(metadata),
        updated_at=text(record, "updated_at"),
    )


def operation(document: Any) -> OperationRecord:
    """One Operation, wrapped or bare."""
    record = _record(unwrap(document), "the Operation")
    allocations = record.get("allocations")
    return OperationRecord(
        id=uuid_text(record.get("id"), "id"),
        strategy_id=uuid_text(record.get("strategy_id"), "strategy_id"),
        request_id=_lower_id(record),
        type=text(record, "type"),
        status=text(record, "status"),
        status_reason=text(record, "status_reason"),
        allocations=None if allocations is None else _allocations(allocations),
        created_at=text(record, "created_at"),
    )


def trader(document: Any) -> TraderRecord:
    """One Trader, wrapped or bare."""
    record = _record(unwrap(document), "the Trader")
    return TraderRecord(
        id=uuid_text(record.get("id"), "id"),
        strategy_id=uuid_text(record.get("strategy_id"), "strategy_id"),
        participant_code=code_text(record.get("participant_code"), "participant_code"),
        auto_rebalance=_flag(record.get("auto_rebalance"), "auto_rebalance"),
        updated_at=text(record, "updated_at"),
    )


def _traders(records: list[dict[str, Any]]) -> TraderColumns:
    return TraderColumns(
        id=_uuids(records, "id"),
        strategy_id=_uuids(records, "strategy_id"),
        participant_code=_codes(records, "participant_code"),
        auto_rebalance=_flags(records, "auto_rebalance"),
        updated_at=_texts(records, "updated_at"),
    )


def _executions(records: list[dict[str, Any]]) -> tuple[Execution, ...]:
    return _plain_executions(records) or tuple(map(_execution, records))


def _plain_executions(records: list[dict[str, Any]]) -> tuple[Execution, ...]:
    """All of them, checked together, field by field; none where one of them must be looked at by
    itself."""
    try:
        legs = [list(map(_LEG, record["instructions"])) for record in records]
        heads: list[Any] = list(zip(*map(_HEAD, records), strict=True))
    except (KeyError, TypeError):
        return ()
    fields: list[Any] = list(zip(*chain.from_iterable(legs), strict=True)) or [()] * _LEG_FIELDS
    *texts, lists = fields
    if set(map(type, chain(*heads, *texts))) != {str} or not set(map(type, lists)) <= {list}:
        return ()
    trade_ids = list(chain.from_iterable(lists))
    if not set(map(type, trade_ids)) <= {str}:
        return ()
    ids, operation_ids, codes, *_ = heads
    if not (
        _fits_each([*trade_ids, *ids, *operation_ids], are_uuids) and _fits_each(codes, are_codes)
    ):
        return ()
    flat = map(Instruction, *texts, map(tuple, lists))
    own = [tuple(islice(flat, len(each))) for each in legs]
    return tuple(map(Execution, *heads, own))


def _fits_each(found: Sequence[str], fits: Callable[[Lines], object]) -> bool:
    lines = "\n".join(found) + "\n"
    return lines.count("\n") == len(found) and bool(fits(lines))


def _execution(record: dict[str, Any]) -> Execution:
    legs = record.get("instructions") or []
    return Execution(
        uuid_text(record.get("id"), "id"),
        uuid_text(record.get("operation_id"), "operation_id"),
        code_text(record.get("participant_code"), "participant_code"),
        text(record, "status"),
        text(record, "status_reason"),
        tuple(map(_instruction, _records(legs, "instructions"))) if legs else (),
    )


_INSTRUCTION_FIELDS = (
    "underlying_currency",
    "side",
    "amount",
    "amount_type",
    "status",
    "status_reason",
    "price",
    "quantity",
    "total_notional",
)
"""The provider's names, in the order of Instruction's own."""
_LEG: Callable[[Any], Any] = itemgetter(*_INSTRUCTION_FIELDS, "trade_ids")
_LEG_FIELDS = len(_INSTRUCTION_FIELDS) + 1
_HEAD: Callable[[Any], Any] = itemgetter(
    "id", "operation_id", "participant_code", "status", "status_reason"
)


def _instruction(record: dict[str, Any]) -> Instruction:
    trade_ids = record.get("trade_ids") or []
    if not isinstance(trade_ids, list):
        raise _untrusted("trade_ids is no list")
    fields: list[Any] = [record.get(field) for field in _INSTRUCTION_FIELDS]
    if set(map(type, fields)) != {str}:
        fields = [text(record, field) for field in _INSTRUCTION_FIELDS]
    fields.append(tuple([uuid_text(trade_id, "trade_ids") for trade_id in trade_ids]))
    return Instruction(*fields)


def _allocations(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple(
        (text(record, "underlying_currency"), decimal_text(record.get("weight"), "weight"))
        for record in _records(value, "allocations")
    )


def _lower_id(record: Mapping[str, Any]) -> str:
    """The request id of a resource; empty when the answer does not show one."""
    shown = record.get("request_id")
    return uuid_text(shown, "request_id") if shown else ""


strategies_page = cursor_page("strategies", lambda found: tuple(strategy(one) for one in found))
operations_page = cursor_page("operations", lambda found: tuple(operation(one) for one in found))
executions_page = cursor_page("executions", _executions)
traders_page = cursor_page("traders", _traders)


# --- accounts, participants, assets, prices, time ----------------------------------------------


@dataclass(frozen=True, slots=True)
class AccountColumns:
    """A page of accounts as columns; ``balance`` is exact plain text, ``last_update`` Unix
    milliseconds."""

    account_id: Lines
    owner: Lines
    label: Lines
    type: Lines
    asset: Lines
    balance: Lines
    last_update: Sequence[int]


@dataclass(frozen=True, slots=True)
class ParticipantColumns:
    """A page of participants as columns."""

    participant_code: Lines
    status: Lines
    reason_code: Lines


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """An asset as the provider lists it. ``precision`` is its decimals."""

    symbol: str
    type: str
    precision: int


def _accounts(records: list[dict[str, Any]]) -> AccountColumns:
    return AccountColumns(
        account_id=_uuids(records, "account_id"),
        owner=_codes(records, "account_owner"),
        label=_texts(records, "account_label"),
        type=_texts(records, "account_type"),
        asset=_texts(records, "asset"),
        balance=_decimals(records, "balance"),
        last_update=_wholes(records, "last_update"),
    )


def _participants(records: list[dict[str, Any]]) -> ParticipantColumns:
    return ParticipantColumns(
        participant_code=_codes(records, "participant_code"),
        status=_texts(records, "status"),
        reason_code=_texts(records, "reason_code"),
    )


accounts_page = numbered_page(_accounts)
participants_page = numbered_page(_participants)


def assets(document: Any) -> tuple[AssetRecord, ...]:
    """Every asset that the provider lists with a precision."""
    return tuple(
        AssetRecord(
            symbol=text(record, "symbol"),
            type=text(record, "type"),
            precision=_whole(record["precision"], "precision"),
        )
        for record in _records(unwrap(document), "assets")
        if record.get("precision") is not None
    )


def symbol_price(document: Any, asset: str, currency: str) -> str | None:
    """The price in ``symbol_data``'s nested tuples, as plain text; None when it is not there."""
    for _, data in _tuples(document, asset):
        market = _record(data, "market data").get("marketDataMap")
        for _, quotes in _tuples(market, currency):
            price = _record(quotes, "quotes").get("price")
            if price is not None:
                return plain_number(_record(price, "price").get("value"), "price")
    return None


def index_price(document: Any) -> str | None:
    """The value of ``/index``, which is a JSON number, as exact plain text."""
    value = _record(unwrap(document), "the index").get("value")
    return None if value is None else plain_number(value, "value")


def time_seconds(document: Any) -> int:
    """The provider's clock in Unix seconds; the documented shapes use seconds and milliseconds."""
    epoch = _whole(_record(unwrap(document), "the time").get("epoch"), "epoch")
    return epoch // 1000 if epoch >= 10**11 else epoch


def _tuples(value: Any, key: str) -> Iterable[tuple[str, Any]]:
    pairs = value if isinstance(value, list) else []
    return ((p[0], p[1]) for p in pairs if isinstance(p, list) and len(p) == 2 and p[0] == key)


# --- refusals ----------------------------------------------------------------------------------


def documented_errors(body: bytes) -> tuple[str, ...]:
    """The texts of a 400 in the documented shape ``{"errors": ["…"]}``; empty when it is not."""
    try:
        document = parse(body)
    except BadResponse:
        return ()
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list) or not set(map(type, errors)) <= {str}:
        return ()
    return tuple(error[:500] for error in errors)


def refusal_text(body: bytes) -> str:
    """What an answer that refuses says for itself, in whatever shape, short and on one line."""
    try:
        document = parse(body)
    except BadResponse:
        return ""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    said = [*(errors if isinstance(errors, list) else []), document.get("message")]
    said.append(document.get("error"))
    words = "; ".join(word for word in said if type(word) is str)
    return "".join(letter for letter in " ".join(words.split()) if letter.isprintable())[:500]
