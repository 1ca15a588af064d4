"""Faults on demand: what networks and edges do to a request or to its answer."""

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stratctl.sandbox.messages import Request, Response, json_response, parse_json, to_json
from stratctl.sandbox.paging import FIRST_PAGE_TOKEN

KINDS: dict[str, str] = {
    "timeout_before": "no answer; the request was never processed",
    "timeout_after": "no answer; the request was processed",
    "late": "no answer; the request arrives `seconds` later, whatever came in between",
    "reset_before": "the connection breaks; the request was never processed",
    "reset_after": "the connection breaks in the middle of the answer; it was processed",
    "401": "authentication refused",
    "403": "authorization refused",
    "408": "request timeout, never processed",
    "409": "internal lock not acquired, never processed",
    "429": "Too Many Requests; `retry_after` adds the header",
    "500_before": "internal error, never processed",
    "500_after": "internal error after it was processed",
    "502_before": "edge error page, never processed",
    "502_after": "edge error page after it was processed",
    "503": "Service Unavailable with zh-allow-retry: true, never processed",
    "504_before": "edge timeout page, never processed",
    "504_after": "edge timeout page after it was processed",
    "1020": "the edge's page for an address that is not allowed",
    "malformed": "processed; the body is not JSON",
    "html": "processed; status 200 with a web page",
    "truncated": "processed; half of the body",
    "short_page": "a list loses half of its rows and its next page",
    "drop_item": "a list loses its first row",
    "repeat_token": "a cursor-paged list's next page is the same page again",
    "replace": "in the body, `find` is replaced by `with`",
}

_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_HTML = {"content-type": "text/html; charset=UTF-8"}
_ERROR_TEXTS = {
    "401": {"error": True, "message": "Invalid signature"},
    "403": {
        "error": True,
        "message": "This api key does not have write permission to this endpoint",
    },
    "408": {"error": "Request Timeout"},
    "409": {"error": "Conflict"},
    "500": {"error": "Internal Server Error"},
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: which requests it meets, how many to let pass, how many to spoil."""

    kind: str
    method: str = ""
    path: str = ""
    skip: int = 0
    count: int = 1
    seconds: int = 0
    retry_after: str = ""
    find: str = ""
    with_: str = ""

    @property
    def before(self) -> bool:
        """Whether the request is never processed (or not yet)."""
        spoils_answer = self.kind.endswith("_after") or self.kind in _SPOILERS
        return not spoils_answer

    def meets(self, request: Request) -> bool:
        """Whether this request is one of those."""
        return (not self.method or request.method == self.method) and self.path in request.target


_SPOILERS = (
    "malformed",
    "html",
    "truncated",
    "short_page",
    "drop_item",
    "repeat_token",
    "replace",
)


def make_fault(wanted: dict[str, Any]) -> Fault:
    """A fault from a control body. Raises ValueError."""
    fields = {**wanted, "kind": str(wanted.get("kind", ""))}
    if "with" in fields:
        fields["with_"] = fields.pop("with")
    if fields["kind"] not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}; not {fields['kind']!r}")
    for name, value in fields.items():
        known = Fault.__dataclass_fields__.get(name)
        if known is None:
            raise ValueError(f"a fault has no {name!r}")
        if type(value) is not type(known.default) and name != "kind":
            raise ValueError(f"{name} is not {type(known.default).__name__}: {value!r}")
    return Fault(**fields)


class Faults:
    """The faults that wait for their requests, in the order they were set."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Forget all faults."""
        self._waiting.clear()

    def waiting(self) -> list[Fault]:
        """The faults that have not happened yet."""
        return list(self._waiting)

    def take(self, request: Request) -> Fault | None:
        """The fault that this request meets, if any; it is used up by one."""
        for index, fault in enumerate(self._waiting):
            if not fault.meets(request):
                continue
            if fault.skip:
                self._waiting[index] = replace(fault, skip=fault.skip - 1)
                continue
            if fault.count > 1:
                self._waiting[index] = replace(fault, count=fault.count - 1)
            else:
                del self._waiting[index]
            return fault
        return None


def answer_instead(fault: Fault) -> Response:
    """What the caller gets when the answer is not the provider's own."""
    name = fault.kind.partition("_")[0]
    if name in ("timeout", "late"):
        return Response(0, interruption="timeout")
    if name == "reset":
        return Response(0, interruption="reset")
    if name == "429":
        headers = {"content-type": "text/plain; charset=utf-8"}
        if fault.retry_after:
            headers["retry-after"] = fault.retry_after
        return Response(429, headers, b"Too Many Requests")
    if name == "503":
        answer = json_response(503, {"error": "Service Unavailable"})
        return replace(answer, headers={**answer.headers, "zh-allow-retry": "true"})
    if name in ("502", "504"):
        title = "502 Bad Gateway" if name == "502" else "504 Gateway Time-out"
        return Response(int(name), _HTML, _PAGE.format(title).encode())
    if name == "1020":
        return Response(403, _HTML, _PAGE.format("Error 1020: Access denied").encode())
    return json_response(int(name), _ERROR_TEXTS[name])


def spoil(fault: Fault, request: Request, answer: Response) -> Response:
    """What is left of a processed request's answer."""
    if fault.kind == "reset_after":
        return replace(answer, interruption="reset")
    if fault.kind not in _SPOILERS:
        return answer_instead(fault)
    if fault.kind == "malformed":
        return replace(answer, body=b'{"message":{"id":')
    if fault.kind == "html":
        return Response(200, _HTML, _PAGE.format("Welcome").encode())
    if fault.kind == "truncated":
        return replace(answer, body=answer.body[: len(answer.body) // 2])
    if fault.kind == "replace":
        return replace(answer, body=answer.body.replace(fault.find.encode(), fault.with_.encode()))
    return _spoil_page(fault, request, answer)


def _spoil_page(fault: Fault, request: Request, answer: Response) -> Response:
    """A page by cursor or by number; what is no page stays as it is."""
    document = parse_json(answer.body) if answer.body else None
    if not isinstance(document, dict):
        return answer
    page = document.get("message", document)
    if isinstance(page, list) and "total_pages" in document:
        document["message"] = _fewer(fault, page)
        if fault.kind == "short_page":
            document["total_pages"] = document["page"]
    elif isinstance(page, dict) and "next_page_token" in page:
        name = next(key for key in page if key != "next_page_token")
        page[name] = _fewer(fault, page[name])
        if fault.kind == "short_page":
            page["next_page_token"] = ""
        if fault.kind == "repeat_token":
            asked = parse_qs(urlsplit(request.target).query).get("page_token", [""])[0]
            page["next_page_token"] = asked or FIRST_PAGE_TOKEN
    return replace(answer, body=to_json(document).encode())


def _fewer(fault: Fault, rows: list[Any]) -> list[Any]:
    if fault.kind == "short_page":
        return rows[: len(rows) // 2]
    return rows[1:] if fault.kind == "drop_item" else rows


def describe(fault: Fault) -> dict[str, Any]:
    """A fault as the control API prints it."""
    fields = {name: getattr(fault, name) for name in Fault.__dataclass_fields__}
    fields["with"] = fields.pop("with_")
    return dict(json.loads(json.dumps(fields)))
