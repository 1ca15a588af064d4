"""Everything that the provider leaves open, as switches with one documented default each.

The table is the whole list: it is served at `/_sandbox/switches`, and the client is tested
against every position of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switch:
    """One open question: its positions (empty for a number or a list), the default, the why."""

    name: str
    default: str
    positions: tuple[str, ...]
    meaning: str
    form: str = "choice"


def _choice(name: str, positions: str, meaning: str) -> Switch:
    """A switch whose first position is the default."""
    options = tuple(positions.split())
    return Switch(name, options[0], options, meaning)


def _number(name: str, default: int, meaning: str) -> Switch:
    return Switch(name, str(default), (), meaning, "number")


def _text(name: str, default: str, meaning: str) -> Switch:
    return Switch(name, default, (), meaning, "text")


SWITCHES: tuple[Switch, ...] = (
    # Requests, replays and shapes
    _choice(
        "same_id_other_body",
        "replay 400 409 422",
        "Answer to a request id that was used with another body.",
    ),
    _choice("idempotency_scope", "strategy type", "Whether the verb is part of the key."),
    _choice("replay_status", "200 original", "Status of a replay: 200, or what it was at first."),
    _number("key_retention_seconds", 0, "How long request ids are remembered; 0 is for good."),
    _choice("envelope", "wrapped bare bare_create", "Whether resources come inside `message`."),
    _choice(
        "executed_at_unset", "empty null absent", "executed_at of an Instruction before it is."
    ),
    _choice("time_shape", "seconds milliseconds", "Shape of GET /time."),
    _choice("auth_failure", "401 403", "Status of a failed authentication."),
    _choice("not_found_body", "json empty", "Body of a 404 on an id."),
    _choice("trader_id_version", "4 3", "Version digit of Trader ids."),
    _choice("list_order", "oldest_first newest_first", "Order of the cursor-paged lists."),
    _choice(
        "page_token_kind",
        "keyset offset",
        "What a page token remembers; an offset shows rows twice when others are inserted.",
    ),
    _choice("rate_limit", "off on", "Enforce 2,000 requests per rolling 10 s, then block 10 s."),
    # Bodies
    _number("participants_max", 0, "Most participants in one call; 0 is no limit."),
    _choice("participants_max_status", "400 413", "Status of a call with too many participants."),
    _number("weight_decimals_max", 18, "Most decimals of a weight."),
    _choice("zero_weight", "ignored 400", "A weight of 0 outside a rebalance."),
    _choice("unknown_asset", "400 rejected", "An asset that the provider does not trade."),
    _choice("duplicate_participant", "400 each", "A participant twice in one call."),
    _choice(
        "rebalance_empty_list", "default_scope none 400", "An empty participants list in rebalance."
    ),
    # Operations over time
    _number("validating_ms", 150, "Milliseconds in `validating`."),
    _number("pricing_ms", 150, "Milliseconds in `pricing`."),
    _number("settling_ms", 200, "Milliseconds in `settling`."),
    _choice("rebalance_queue", "serial none", "Rebalances of one Strategy wait for each other."),
    _choice("executions_listed", "validating terminal", "From when on Executions are listed."),
    _number("executions_lag_seconds", 0, "Seconds by which the Executions' listing is late."),
    _number("operations_lag_seconds", 0, "Seconds until an Operation appears in the list."),
    _number("accounts_lag_seconds", 0, "Seconds by which GET /accounts is behind."),
    _choice("no_executions_status", "skipped settled failed", "Status with `no_executions`."),
    _choice("partial_success_status", "settled failed", "Status with `partial_success`."),
    _choice(
        "unknown_operation_status",
        "off settling terminal",
        "Print a status that is in no enum in place of this one.",
    ),
    _choice("unknown_execution_status", "off on", "Print `under_review` for settled Executions."),
    _number("latency_ms", 0, "Milliseconds that the server waits before each answer."),
    # Money
    _choice("funding_model", "novated direct standard", "Which account pays and is paid."),
    _choice("float_reserved_at", "validating settling", "When the credit check takes its money."),
    _choice("proceeds_to", "float label", "Where the fiat of sells lands."),
    _choice("leg_rounding", "lrm floor half_even", "How an amount is cut into legs."),
    _number("spread_bps", 0, "Customer price against the middle, each side, in basis points."),
    _number("fee_bps", 0, "Fee on each trade in basis points."),
    _text("instrument_minimum", "", "One minimum notional for all instruments, as a decimal."),
    _choice(
        "buy_below_minimum",
        "reject skip",
        "A leg of an enrollment or top-up under the instrument's minimum.",
    ),
    _choice(
        "partial_sell_below_minimum",
        "execution_rejected instruction_rejected",
        "A slice of a partial sell under the instrument's minimum.",
    ),
    _choice("rebalance_below_minimum", "skip reject", "A delta under the instrument's minimum."),
    _choice("exit_below_minimum", "sell skip", "A full exit under the instrument's minimum."),
    _choice(
        "oversell",
        "insufficient_funds credit_check_text clamp",
        "A slice of a partial sell that is larger than the holding.",
    ),
    _choice("index_value", "hourly_mean price", "Whether GET /index lags behind the price."),
    _number("price_age_seconds", 0, "How old the timestamp in symbol_data is."),
    _choice("label_cash", "kept invested", "Whether a rebalance invests fiat in the label."),
    _text("failing_assets", "", "Assets whose legs fail at the market, separated by commas."),
    _choice("failed_leg_execution", "settled rejected", "An Execution with a failed leg."),
    # Traders
    _choice("buys_take_holds", "no yes", "Whether enroll and top-up hold a Trader's balances."),
    _choice("missing_trader", "trader_not_found trader_not_enrolled", "No such Trader."),
    _choice("reenroll_after_liquidation", "reject accept", "Enrolling a liquidated Trader."),
    _choice("topup_after_liquidation", "accept reject", "Topping up a liquidated Trader."),
    _choice(
        "rebalance_default_scope",
        "flag_and_balances flag",
        "Traders of a rebalance that lists no participants.",
    ),
    _choice("closing_only_may_sell", "yes no", "Sells of a participant in closing-only status."),
)

_BY_NAME: Mapping[str, Switch] = {switch.name: switch for switch in SWITCHES}
_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)


class UnknownSwitch(ValueError):
    """No such switch, or no such position of it."""


class Switches:
    """The positions that are set now. Reading one that is not set gives its default."""

    def __init__(self, positions: Mapping[str, str] | None = None) -> None:
        self._set: dict[str, str] = {}
        for name, value in (positions or {}).items():
            self.set(name, value)

    def set(self, name: str, value: str) -> None:
        """Turn one switch. Raises UnknownSwitch."""
        switch = _BY_NAME.get(name)
        if switch is None:
            raise UnknownSwitch(f"there is no switch {name!r}")
        if switch.positions and value not in switch.positions:
            raise UnknownSwitch(f"{name} is one of {', '.join(switch.positions)}; not {value!r}")
        if switch.form == "number" and not _NUMBER.fullmatch(value):
            raise UnknownSwitch(f"{name} is a whole number; not {value!r}")
        self._set[name] = value

    def __getitem__(self, name: str) -> str:
        value = self._set.get(name)
        return _BY_NAME[name].default if value is None else value

    def number(self, name: str) -> int:
        """A switch that is a whole number."""
        return int(self[name])
