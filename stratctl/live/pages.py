"""Pages of lists, from their bytes to their columns: at once where nothing is in doubt.

Three lists grow with the number of participants. A page of theirs whose rows have exactly the
documented fields, each of them once, takes half of the time that it takes to look at whatever a row
may be. A page of which that is not proven is read with care, and it is there that what is unknown,
absent or odd is tolerated or refused, in the words for it: nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from stratctl.live import wire
from stratctl.live.wire import (
    BODY_BYTES_MAX,
    AccountColumns,
    Lines,
    NumberedPage,
    Page,
    ParticipantColumns,
    TraderColumns,
)

Read = TypeVar("Read")
Shape = TypeVar("Shape")


class InDoubt(Exception):
    """A page that must be read with care. It never leaves this file."""


@dataclass(frozen=True, slots=True)
class PagesOf(Generic[Read]):
    """How the pages of one list are read."""

    with_care: Callable[[Any], Read]
    """From a document, whatever the provider put into it."""
    at_once: Callable[[bytes], Read] | None = None
    """From bytes that are exactly as documented. Raises InDoubt."""

    def read(self, body: bytes) -> Read:
        """The page. Raises BadResponse."""
        if self.at_once is not None:
            try:
                return self.at_once(body)
            except InDoubt:
                pass
        return self.with_care(wire.parse_list(body))


# --- the documented shapes ---------------------------------------------------------------------

# No fraction, which would become a binary float, and no 0, which may have been written ``-0``.
_Whole = Annotated[int, msgspec.Meta(ge=1, lt=10**18)]


class _Documented(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An object with all of its fields and no others."""


class _Account(_Documented):
    asset: str
    account_owner: str
    account_type: str
    account_group: str
    account_label: str
    balance: str
    account_id: str
    last_update: _Whole


class _Accounts(_Documented):
    message: list[_Account]
    page: _Whole
    total_pages: _Whole


class _Participant(_Documented):
    participant_code: str
    participant_name: str
    email: str
    status: str
    reason_code: str
    jurisdiction_code: str
    limits: list[str]
    updated_at: _Whole


class _Participants(_Documented):
    message: list[_Participant]
    page: _Whole
    page_size: _Whole
    total_pages: _Whole
    count: _Whole


class _Trader(_Documented):
    id: str
    strategy_id: str
    participant_code: str
    account_label: str
    auto_rebalance: bool
    created_at: str
    updated_at: str


class _Traders(_Documented):
    traders: list[_Trader]
    next_page_token: str


class _TradersMessage(_Documented):
    message: _Traders


_ACCOUNTS_DECODER = msgspec.json.Decoder(_Accounts)
_PARTICIPANTS_DECODER = msgspec.json.Decoder(_Participants)
_TRADERS_DECODER = msgspec.json.Decoder(_TradersMessage)


# --- from them to columns ----------------------------------------------------------------------


def _accounts(body: bytes) -> NumberedPage[AccountColumns]:
    page = _decoded(_ACCOUNTS_DECODER, body)
    rows = page.message
    _prove_plain(body, len(_Accounts.__struct_fields__), rows)
    columns = AccountColumns(
        account_id=_lines([row.account_id for row in rows], wire.are_uuids),
        owner=_lines([row.account_owner for row in rows], wire.are_codes),
        label=_lines([row.account_label for row in rows]),
        type=_lines([row.account_type for row in rows]),
        asset=_lines([row.asset for row in rows]),
        balance=_lines([row.balance for row in rows], wire.are_decimals),
        last_update=[row.last_update for row in rows],
    )
    return NumberedPage(columns, len(rows), page.total_pages)


def _participants(body: bytes) -> NumberedPage[ParticipantColumns]:
    page = _decoded(_PARTICIPANTS_DECODER, body)
    rows = page.message
    _prove_plain(body, len(_Participants.__struct_fields__), rows)
    columns = ParticipantColumns(
        participant_code=_lines([row.participant_code for row in rows], wire.are_codes),
        status=_lines([row.status for row in rows]),
        reason_code=_lines([row.reason_code for row in rows]),
    )
    return NumberedPage(columns, len(rows), page.total_pages)


def _traders(body: bytes) -> Page[TraderColumns]:
    page = _decoded(_TRADERS_DECODER, body).message
    rows = page.traders
    times = ["".join([row.created_at for row in rows]), "".join([row.updated_at for row in rows])]
    outside = len(_TradersMessage.__struct_fields__) + len(_Traders.__struct_fields__)
    _prove_plain(body, outside, rows, *times, page.next_page_token)
    columns = TraderColumns(
        id=_lines([row.id for row in rows], wire.are_uuids),
        strategy_id=_lines([row.strategy_id for row in rows], wire.are_uuids),
        participant_code=_lines([row.participant_code for row in rows], wire.are_codes),
        auto_rebalance=wire.flag_lines([row.auto_rebalance for row in rows]),
        updated_at=_lines([row.updated_at for row in rows]),
    )
    return Page(columns, len(rows), page.next_page_token)


def _decoded(decoder: msgspec.json.Decoder[Shape], body: bytes) -> Shape:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InDoubt from None


def _prove_plain(body: bytes, outside: int, rows: Sequence[_Documented], *spoken: str) -> None:
    """Raise InDoubt unless nothing is escaped and no key occurs twice in one object.

    Of twins all but one are dropped. There is a colon in the text of each member, and others only
    within texts: ``outside`` is the number of members beside those of the rows, ``spoken`` are the
    texts that may have some. What is dropped has one more, and nothing makes up for it: no text has
    more colons than its source, where none are escaped.
    """
    fields = len(rows[0].__struct_fields__) if rows else 0
    colons = outside + fields * len(rows) + sum(text.count(":") for text in spoken)
    if b"\\" in body or body.count(b":") != colons or len(body) > BODY_BYTES_MAX:
        raise InDoubt


def _lines(column: Sequence[str], fit: Callable[[Lines], object] = lambda lines: True) -> Lines:
    # No value is two lines: the source of a line break is an escape, and nothing is escaped.
    lines = "\n".join(column) + "\n"
    if not fit(lines):
        raise InDoubt
    return lines


ACCOUNTS = PagesOf(wire.accounts_page, _accounts)
PARTICIPANTS = PagesOf(wire.participants_page, _participants)
TRADERS = PagesOf(wire.traders_page, _traders)
STRATEGIES = PagesOf(wire.strategies_page)
OPERATIONS = PagesOf(wire.operations_page)
EXECUTIONS = PagesOf(wire.executions_page)
