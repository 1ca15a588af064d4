"""The provider's two kinds of lists, read to the end and distrusted on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from stratctl.core.errors import BadResponse
from stratctl.live.client import ReadClient
from stratctl.live.wire import PAGE_SIZE, Lines, NumberedPage, Page, parse_list, values

PAGES_MAX = 200_000
NUMBERED_READS_MAX = 5

Items = TypeVar("Items")
Seen = Callable[[int], None]
"""Called after each page with the number of rows so far; what it raises ends the reading."""


def cursor_pages(
    client: ReadClient,
    path: str,
    filters: Mapping[str, str],
    decode: Callable[[Any], Page[Items]],
    seen: Seen | None = None,
) -> Iterator[Items]:
    """Pages of a cursor-paged list, in the order of the cursor.

    Raises BadResponse when a page token comes back or a page is larger than what was asked for.
    An item may still come twice, when others were inserted meanwhile: the caller tells by its id.
    """
    token, tokens, rows = "", {""}, 0
    for _ in range(PAGES_MAX):
        parameters = {**filters, "page_size": str(PAGE_SIZE)}
        if token:
            parameters["page_token"] = token
        page = client.get(path, parameters, decode=decode, parse=parse_list)
        if page.count > PAGE_SIZE:
            raise BadResponse(f"E_PAGING: a page of {page.count} where {PAGE_SIZE} were asked for")
        rows += page.count
        if seen:
            seen(rows)
        yield page.items
        token = page.next_token
        if not token:
            return
        if token in tokens:
            raise BadResponse(f"E_PAGING: the list {path} runs in a circle")
        tokens.add(token)
    raise BadResponse(f"E_PAGING: the list {path} has no end")


def numbered_pages(
    client: ReadClient,
    path: str,
    filters: Mapping[str, str],
    decode: Callable[[Any], NumberedPage[Items]],
    seen: Seen | None = None,
) -> tuple[Items, ...]:
    """Every page of a page-numbered list.

    The number of pages is the only sign that such a list changed under the reader: when it does,
    the list is read again. Raises BadResponse when it never holds still.
    """
    for _ in range(NUMBERED_READS_MAX):
        pages: list[Items] = []
        total, rows = 1, 0
        while len(pages) < total:
            parameters = {**filters, "page": str(len(pages) + 1)}
            page = client.get(path, parameters, decode=decode, parse=parse_list)
            if pages and page.total_pages != total:
                break
            total = page.total_pages
            if total > PAGES_MAX:
                raise BadResponse(f"E_PAGING: the list {path} claims {total} pages")
            pages.append(page.items)
            rows += page.count
            if seen:
                seen(rows)
        else:
            return tuple(pages)
    raise BadResponse(f"E_PAGING: the list {path} changed its length each time it was read")


def check_filter(shown: Iterable[str], wanted: str, what: str) -> None:
    """Raise BadResponse when a list holds rows that its filter excludes."""
    others = {*shown} - {wanted}
    if others:
        raise BadResponse(f"E_PAGING: asked for {what} {wanted}, got {min(others)!r} as well")


def check_column(shown: Lines, wanted: str, what: str) -> None:
    """``check_filter`` of a column of a page."""
    if shown != f"{wanted}\n" * shown.count("\n"):
        check_filter(values(shown), wanted, what)
