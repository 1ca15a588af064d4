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
from operator import itemgetter
from typing import Any, Generic, TypeVar

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


def _untrusted(why: str) -> BadResponse:
    return BadResponse(f"the provider's answer cannot be trusted: {why}")


# --- fields ----------------------------------------------------------------------------------

_UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE
)
_BARE_UUID = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)
_CODE = re.compile(r"[A-Z0-9]{1,6}", re.ASCII)
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)


def uuid_text(value: Any, field: str) -> str:
    """Any UUID, of any version, as lower-case dashed text."""
    if isinstance(value, str):
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
    if type(value) is str and _PLAIN.fullmatch(value):
        return value
    raise _untrusted(f"{field} is {_shown(value)}, which is no decimal text")


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
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    raise _untrusted(f"{field} is {_shown(value)}, which is no whole number")


def _shown(value: Any) -> str:
    """A value for a message: short, on one line, and never a whole document."""
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "an object"
    return "absent" if value is None else repr(value)[:60]


# --- columns: taken and checked as a whole, which is faster than one value after another -------

_UUIDS = re.compile(
    r"(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\n)*", re.ASCII
)
_CODES = re.compile(r"(?:[A-Z0-9]{1,6}\n)*", re.ASCII)
_WHOLES = re.compile(r"(?:[0-9]{1,18}\n)*", re.ASCII)


def _column(records: Sequence[Mapping[str, Any]], field: str, absent: Any) -> list[Any]:
    """One field of every record."""
    try:
        return list(map(itemgetter(field), records))
    except KeyError:
        return [record.get(field, absent) for record in records]


def _all_match(lines: re.Pattern[str], column: Iterable[str]) -> bool:
    """Whether each value is a line of the pattern: one match instead of one per value.

    The line breaks are counted, because a value with one inside would pass as two values.
    """
    values = set(column)
    joined = "\n".join((*values, ""))
    return joined.count("\n") == len(values) and lines.fullmatch(joined) is not None


def _texts(records: Sequence[Mapping[str, Any]], field: str) -> list[str]:
    column = _column(records, field, "")
    if set(map(type, column)) <= {str}:
        return column
    return [text(record, field) for record in records]


def _uuids(records: Sequence[Mapping[str, Any]], field: str) -> list[str]:
    column = _texts(records, field)
    if _all_match(_UUIDS, column):
        return column
    return [uuid_text(value, field) for value in column]


def _wholes(records: Sequence[Mapping[str, Any]], field: str) -> list[int]:
    column = _column(records, field, "0")
    if set(map(type, column)) == {Number} and _all_match(_WHOLES, column):
        return list(map(int, column))
    return [_whole(value, field) for value in column]


def _codes(records: Sequence[Mapping[str, Any]], field: str) -> list[str]:
    column = _texts(records, field)
    if _all_match(_CODES, column):
        return column
    wrong = next(value for value in column if not _CODE.fullmatch(value))
    raise _untrusted(f"{field} is {_shown(wrong)}, which is no participant code")


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

    id: list[str]
    strategy_id: list[str]
    participant_code: list[str]
    auto_rebalance: list[bool | None]
    updated_at: list[str]


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
    columns = _traders([_record(unwrap(document), "the Trader")])
    return TraderRecord(
        id=columns.id[0],
        strategy_id=columns.strategy_id[0],
        participant_code=columns.participant_code[0],
        auto_rebalance=columns.auto_rebalance[0],
        updated_at=columns.updated_at[0],
    )


def _traders(records: list[dict[str, Any]]) -> TraderColumns:
    flags = _column(records, "auto_rebalance", None)
    if not set(map(type, flags)) <= {bool, type(None)}:
        raise _untrusted("auto_rebalance is neither true nor false")
    return TraderColumns(
        id=_uuids(records, "id"),
        strategy_id=_uuids(records, "strategy_id"),
        participant_code=_codes(records, "participant_code"),
        auto_rebalance=flags,
        updated_at=_texts(records, "updated_at"),
    )


def _executions(records: list[dict[str, Any]]) -> tuple[Execution, ...]:
    return tuple(_execution(record) for record in records)


def _execution(record: dict[str, Any]) -> Execution:
    (code,) = _codes((record,), "participant_code")
    legs = record.get("instructions") or []
    return Execution(
        uuid_text(record.get("id"), "id"),
        uuid_text(record.get("operation_id"), "operation_id"),
        code,
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
    """A page of accounts as columns; ``balance`` is exact plain text."""

    account_id: list[str]
    owner: list[str]
    label: list[str]
    type: list[str]
    asset: list[str]
    balance: list[str]
    last_update: list[int]


@dataclass(frozen=True, slots=True)
class ParticipantColumns:
    """A page of participants as columns."""

    participant_code: list[str]
    status: list[str]
    reason_code: list[str]


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """An asset as the provider lists it. ``precision`` is its decimals."""

    symbol: str
    type: str
    precision: int


_BALANCES = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\n)*", re.ASCII)


def _accounts(records: list[dict[str, Any]]) -> AccountColumns:
    balances = _texts(records, "balance")
    if not _all_match(_BALANCES, balances):
        balances = [decimal_text(value, "balance") for value in balances]
    return AccountColumns(
        account_id=_uuids(records, "account_id"),
        owner=_codes(records, "account_owner"),
        label=_texts(records, "account_label"),
        type=_texts(records, "account_type"),
        asset=_texts(records, "asset"),
        balance=balances,
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
