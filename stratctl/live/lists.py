"""The provider's two kinds of lists, read to the end and distrusted on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Generic, TypeVar

from stratctl.core.errors import BadResponse, ProviderError
from stratctl.live.client import ReadClient
from stratctl.live.pages import PagesOf
from stratctl.live.wire import PAGE_SIZE, Lines, NumberedPage, Page, token_in, values

PAGES_MAX = 200_000
NUMBERED_READS_MAX = 5

Items = TypeVar("Items")
Looked = TypeVar("Looked")
Seen = Callable[[int], None]
"""Called after each page with the number of rows so far; what it raises ends the reading."""


def cursor_pages(
    client: ReadClient,
    path: str,
    filters: Mapping[str, str],
    pages_of: PagesOf[Page[Items]],
    seen: Seen | None = None,
    *,
    beside: Executor | None = None,
) -> Iterator[Items]:
    """Pages of a cursor-paged list, in the order of the cursor.

    ``beside``: who looks at a page while the next one is fetched. Raises BadResponse when a page
    token comes back or a page is larger than what was asked for. An item may still come twice, when
    others were inserted meanwhile: the caller tells by its id.
    """
    pages = (
        _Pages(client, path, filters, pages_of)
        if beside is None
        else _PagesAhead(client, path, filters, pages_of, beside)
    )
    token, tokens, rows = "", {""}, 0
    for _ in range(PAGES_MAX):
        page = pages.at(token)
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


class _Pages(Generic[Items]):
    """The pages of a cursor-paged list, one by one."""

    def __init__(
        self,
        client: ReadClient,
        path: str,
        filters: Mapping[str, str],
        pages_of: PagesOf[Page[Items]],
    ) -> None:
        self._client = client
        self._path = path
        self._filters = filters
        self._look = pages_of.read

    def at(self, token: str) -> Page[Items]:
        """The page that a token stands for; the first one for none."""
        return self._get(token, self._look)

    def _get(self, token: str, look: Callable[[bytes], Looked]) -> Looked:
        parameters = {**self._filters, "page_size": str(PAGE_SIZE)}
        if token:
            parameters["page_token"] = token
        return self._client.read(self._path, parameters, look)


class _PagesAhead(_Pages[Items]):
    """The same, each looked at while the next one is fetched, for who waits for both.

    Which one is next is guessed. A page that was fetched for nothing is forgotten.
    """

    def __init__(
        self,
        client: ReadClient,
        path: str,
        filters: Mapping[str, str],
        pages_of: PagesOf[Page[Items]],
        beside: Executor,
    ) -> None:
        super().__init__(client, path, filters, pages_of)
        self._beside = beside
        self._ahead: dict[str, bytes | ProviderError] = {}

    def at(self, token: str) -> Page[Items]:
        body = self._ahead.get(token) or self._fetched(token)
        if isinstance(body, ProviderError):
            raise body
        following = token_in(body)
        try:
            if not following:
                return self._look(body)
            looked = self._beside.submit(self._look, body)
            # This thread fetches, not the other one: it lets go of the interpreter when it waits.
            self._ahead = {following: self._fetched(following)}
            return looked.result()
        except BadResponse:
            return super().at(token)

    def _fetched(self, token: str) -> bytes | ProviderError:
        """What came of asking for a page; a failure counts only if that page is wanted."""
        try:
            return self._get(token, _as_it_is)
        except ProviderError as error:
            return error


def _as_it_is(body: bytes) -> bytes:
    return body


def numbered_pages(
    client: ReadClient,
    path: str,
    filters: Mapping[str, str],
    pages_of: PagesOf[NumberedPage[Items]],
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
            page = client.read(path, parameters, pages_of.read)
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
