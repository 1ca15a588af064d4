"""Two ways of paging, as documented: opaque cursors for strategies, page numbers elsewhere."""

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stratctl.sandbox.messages import bad_request
from stratctl.sandbox.store import Row, Store
from stratctl.sandbox.switches import Switches

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 200
_TOKEN = re.compile(r"(after|offset)=([0-9]{1,18})", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(slots=True)
class Filter:
    """Conditions of a query and their arguments."""

    conditions: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def add(self, condition: str, *arguments: Any) -> None:
        """One more condition that every row must meet."""
        self.conditions.append(condition)
        self.arguments.extend(arguments)

    def where(self) -> str:
        """The conditions as SQL."""
        return " AND ".join(self.conditions) or "1"


def cursor_page(
    store: Store, switches: Switches, select: str, wanted: Filter, query: Mapping[str, str]
) -> tuple[list[Row], str]:
    """One page of rows and the token of the next; the first column is the row number.

    Raises ApiError 400 when the token or the size is not one of ours.
    """
    size = _page_size(query.get("page_size"))
    newest_first = switches["list_order"] == "newest_first"
    by_offset = switches["page_token_kind"] == "offset"
    kind, position = _position(query.get("page_token", ""))
    where, arguments, skip = wanted.where(), list(wanted.arguments), 0
    if kind == "offset":
        skip = position
    elif kind == "after":
        where += f" AND t.seq {'<' if newest_first else '>'} ?"
        arguments.append(position)
    rows = store.rows(
        f"{select} WHERE {where} ORDER BY t.seq {'DESC' if newest_first else 'ASC'}"
        f" LIMIT {size + 1} OFFSET {skip}",
        arguments,
    )
    if len(rows) <= size:
        return rows, ""
    page = rows[:size]
    return page, _token("offset", skip + size) if by_offset else _token("after", page[-1][0])


def _page_size(text: str | None) -> int:
    if text is None or text == "":
        return PAGE_SIZE_DEFAULT
    if not _NUMBER.fullmatch(text):
        raise bad_request("query/page_size must be integer >= 1")
    if int(text) > PAGE_SIZE_MAX:
        raise bad_request(f"query/page_size must be <= {PAGE_SIZE_MAX}")
    return int(text)


def _token(kind: str, position: int) -> str:
    return base64.urlsafe_b64encode(f"{kind}={position}".encode()).decode().rstrip("=")


FIRST_PAGE_TOKEN = _token("after", 0)
"""A token that a list in its usual order answers with its first page."""


def _position(token: str) -> tuple[str, int]:
    if not token:
        return "", 0
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError) as problem:
        raise bad_request("query/page_token is invalid") from problem
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise bad_request("query/page_token is invalid")
    return match[1], int(match[2])


class NumberedPages:
    """One resource's pages by number, over rows that change between requests.

    Counting and skipping rows is slow, so the row where the next page starts is remembered
    until the rows change; what a page shows is the same either way.
    """

    def __init__(self, store: Store, size: int) -> None:
        self._store = store
        self.size = size
        self._version: Any = None
        self._starts: dict[tuple[Any, ...], int] = {}
        self._counts: dict[tuple[Any, ...], int] = {}

    def page(
        self, select: str, count: str, wanted: Filter, *, number: int, version: Any
    ) -> tuple[list[Row], int]:
        """The rows of one page, and how many rows there are in all."""
        if version != self._version:
            self._version = version
            self._starts.clear()
            self._counts.clear()
        where, key = wanted.where(), (select, wanted.where(), *wanted.arguments)
        if key not in self._counts:
            self._counts[key] = self._store.value(f"{count} WHERE {where}", wanted.arguments)
        arguments, skip = list(wanted.arguments), (number - 1) * self.size
        start = self._starts.get((*key, number))
        if start is not None:
            where, skip = f"{where} AND t.seq > ?", 0
            arguments.append(start)
        rows = self._store.rows(
            f"{select} WHERE {where} ORDER BY t.seq LIMIT {self.size} OFFSET {skip}", arguments
        )
        if rows:
            self._starts[(*key, number + 1)] = rows[-1][0]
        return rows, self._counts[key]


class Pages:
    """The resources that are paged by number, with their documented or usual page sizes."""

    def __init__(self, store: Store) -> None:
        self.accounts = NumberedPages(store, 200)
        self.movements = NumberedPages(store, 200)
        self.trades = NumberedPages(store, 100)
        self.participants = NumberedPages(store, 100)


def page_number(query: Mapping[str, str]) -> int:
    """The `page` of a request, from 1. Raises ApiError 400."""
    text = query.get("page", "") or "1"
    if not _NUMBER.fullmatch(text):
        raise bad_request("query/page must be number >= 1")
    return int(text)


def total_pages(count: int, size: int) -> int:
    """How many pages there are."""
    return math.ceil(count / size)


def add_timestamps(wanted: Filter, query: Mapping[str, str], name: str, column: str) -> None:
    """The documented `name[gt]`, `[gte]`, `[e]`, `[lt]`, `[lte]`; ms, or ns by their size.

    Raises ApiError 400.
    """
    for suffix, operator in (("gt", ">"), ("gte", ">="), ("e", "="), ("lt", "<"), ("lte", "<=")):
        text = query.get(f"{name}[{suffix}]")
        if text is None:
            continue
        if not text.isascii() or not text.isdigit() or len(text) > 19:
            raise bad_request(f"query/{name}[{suffix}] must be number")
        wanted.add(f"{column} {operator} ?", int(text) // (10**6 if len(text) > 16 else 1))


def one_of(query: Mapping[str, str], name: str, allowed: Sequence[str]) -> str | None:
    """A filter with a documented list of values, or None. Raises ApiError 400."""
    value = query.get(name)
    if value is None or value == "":
        return None
    if value not in allowed:
        raise bad_request(f"query/{name} must be equal to one of the allowed values")
    return value
