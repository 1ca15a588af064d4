"""Checks of request bodies: all mistakes at once, in the documented `body/…` style."""

import re
from dataclasses import dataclass
from typing import Any, TypeGuard

from stratctl.sandbox.amounts import CENTS, parse_units
from stratctl.sandbox.market import Market
from stratctl.sandbox.messages import ApiError, bad_request, parse_json, to_json
from stratctl.sandbox.switches import Switches

WEIGHT_SCALE = 40
"""Weights are compared as integers of 10**-40: exact for every text that is accepted."""

QUOTED_CURRENCIES = ("USD", "EUR")
AMOUNT_DIGITS_MAX = 15
_CODE = re.compile(r"[A-Z0-9]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """One participant of a call. `amount` is in cents; both may be absent."""

    participant: str
    amount: int | None = None
    auto_rebalance: bool | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A checked body of one of the five verbs. `participants` None means not given."""

    allocations: tuple[tuple[str, str], ...]
    participants: tuple[Row, ...] | None


FIELDS = {
    "enrollment": ("allocations", "participants", "amount", "auto_rebalance"),
    "top_up": ("allocations", "participants", "amount"),
    "partial_sell": ("allocations", "participants", "amount"),
    "rebalance": ("allocations",),
    "liquidation": ("participants",),
}
"""Required members of each verb's body, those of a participant included."""


def parse_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises ApiError 400."""
    try:
        value = parse_json(body)
    except ValueError as problem:
        raise bad_request("body must be valid JSON") from problem
    if not isinstance(value, dict):
        raise bad_request("body must be object")
    return value


def check_new_strategy(body: dict[str, Any]) -> tuple[str, str | None]:
    """Quoted currency, and metadata as JSON text. Raises ApiError 400."""
    errors = []
    currency = body.get("quoted_currency")
    if currency is None:
        errors.append("body/quoted_currency is required")
    elif not isinstance(currency, str):
        errors.append("body/quoted_currency must be string")
    elif currency not in QUOTED_CURRENCIES:
        errors.append("body/quoted_currency must be equal to one of the allowed values")
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        errors.append("body/metadata must be object")
    if errors:
        raise bad_request(*errors)
    return str(currency), None if metadata is None else to_json(metadata)


def check_metadata(body: dict[str, Any]) -> str:
    """The new metadata as JSON text; it replaces the old as a whole. Raises ApiError 400."""
    if "metadata" not in body:
        raise bad_request("body/metadata is required")
    if not isinstance(body["metadata"], dict):
        raise bad_request("body/metadata must be object")
    return to_json(body["metadata"])


def check_flag(body: dict[str, Any]) -> bool:
    """The new auto_rebalance. Raises ApiError 400."""
    if "auto_rebalance" not in body:
        raise bad_request("body/auto_rebalance is required")
    flag = body["auto_rebalance"]
    if not isinstance(flag, bool):
        raise bad_request("body/auto_rebalance must be boolean")
    return flag


def check_order(kind: str, body: dict[str, Any], market: Market, switches: Switches) -> Order:
    """A body of one of the five verbs. Raises ApiError 400 (or 413)."""
    errors: list[str] = []
    required = FIELDS[kind]
    allocations: tuple[tuple[str, str], ...] = ()
    if "allocations" in required:
        allocations = _allocations(kind, body.get("allocations"), market, switches, errors)
    participants = _participants(kind, body, switches, errors)
    if errors:
        raise bad_request(*errors)
    return Order(allocations, participants)


def weight_units(weight: str) -> int:
    """A checked weight as an integer of 10**-40."""
    units = parse_units(weight, WEIGHT_SCALE)
    assert units is not None, f"not a checked weight: {weight!r}"
    return units


def _allocations(
    kind: str, value: Any, market: Market, switches: Switches, errors: list[str]
) -> tuple[tuple[str, str], ...]:
    path = "body/allocations"
    if not _is_list(value, path, errors):
        return ()
    if not value:
        errors.append(f"{path} must NOT have fewer than 1 items")
    found: dict[str, str] = {}
    before = len(errors)
    for index, item in enumerate(value):
        here = f"{path}/{index}"
        if not isinstance(item, dict):
            errors.append(f"{here} must be object")
            continue
        asset, weight = item.get("underlying_currency"), item.get("weight")
        if not _is_text(asset, f"{here}/underlying_currency", errors):
            continue
        if asset in found:
            errors.append(f"{here}/underlying_currency must be unique")
        if not market.tradable(asset) and switches["unknown_asset"] == "400":
            errors.append(f"{here}/underlying_currency must be a supported asset")
        if _is_weight(kind, weight, f"{here}/weight", switches, errors):
            found[asset] = str(weight)
    total = sum(map(weight_units, found.values()))
    if value and len(errors) == before and total != 10**WEIGHT_SCALE:
        errors.append(f"{path} weights must sum to 1")
    return tuple(found.items())


def _is_weight(kind: str, weight: Any, path: str, switches: Switches, errors: list[str]) -> bool:
    if not _is_text(weight, path, errors):
        return False
    units = parse_units(weight, min(switches.number("weight_decimals_max"), WEIGHT_SCALE))
    if units is None:
        errors.append(f"{path} must be a decimal string")
        return False
    exact = weight_units(weight)
    if exact > 10**WEIGHT_SCALE:
        errors.append(f"{path} must be <= 1")
        return False
    if exact == 0 and kind != "rebalance" and switches["zero_weight"] == "400":
        errors.append(f"{path} must be > 0")
        return False
    return True


def _participants(
    kind: str, body: dict[str, Any], switches: Switches, errors: list[str]
) -> tuple[Row, ...] | None:
    path = "body/participants"
    optional = "participants" not in FIELDS[kind]
    value = body.get("participants")
    if value is None and optional:
        return None
    if not _is_list(value, path, errors):
        return ()
    if not value:
        empty = switches["rebalance_empty_list"]
        if optional and empty != "400":
            return None if empty == "default_scope" else ()
        errors.append(f"{path} must NOT have fewer than 1 items")
    most = switches.number("participants_max")
    if most and len(value) > most:
        message = f"{path} must NOT have more than {most} items"
        raise ApiError(int(switches["participants_max_status"]), {"errors": [message]})
    rows = []
    seen: set[str] = set()
    once = switches["duplicate_participant"] == "400"
    for index, item in enumerate(value):
        row = _participant(kind, item, f"{path}/{index}", errors)
        if row is None:
            continue
        if once and row.participant in seen:
            errors.append(f"{path}/{index}/participant_code must be unique")
        seen.add(row.participant)
        rows.append(row)
    return tuple(rows)


def _participant(kind: str, item: Any, path: str, errors: list[str]) -> Row | None:
    if not isinstance(item, dict):
        errors.append(f"{path} must be object")
        return None
    before = len(errors)
    code, amount, flag = item.get("participant_code"), None, None
    if _is_text(code, f"{path}/participant_code", errors) and not _CODE.fullmatch(code):
        errors.append(f'{path}/participant_code must match pattern "^[A-Z0-9]{{6}}$"')
    if "amount" in FIELDS[kind]:
        amount = _amount(item.get("amount"), f"{path}/amount", errors)
    if "auto_rebalance" in FIELDS[kind]:
        flag = item.get("auto_rebalance")
        if flag is None:
            errors.append(f"{path}/auto_rebalance is required")
        elif not isinstance(flag, bool):
            errors.append(f"{path}/auto_rebalance must be boolean")
    return Row(str(code), amount, flag) if len(errors) == before else None


def _amount(value: Any, path: str, errors: list[str]) -> int | None:
    if not _is_text(value, path, errors):
        return None
    cents = parse_units(value, CENTS)
    if cents is None or len(str(cents)) > AMOUNT_DIGITS_MAX:
        errors.append(f"{path} must be a decimal string with at most 2 decimal places")
        return None
    if cents == 0:
        errors.append(f"{path} must be > 0")
    return cents


def _is_list(value: Any, path: str, errors: list[str]) -> TypeGuard[list[Any]]:
    if value is None:
        errors.append(f"{path} is required")
    elif not isinstance(value, list):
        errors.append(f"{path} must be array")
    return isinstance(value, list)


def _is_text(value: Any, path: str, errors: list[str]) -> TypeGuard[str]:
    if value is None:
        errors.append(f"{path} is required")
    elif not isinstance(value, str):
        errors.append(f"{path} must be string")
    return isinstance(value, str)
