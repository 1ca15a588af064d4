"""What goes in and out of the core: requests, responses, errors, JSON without floats."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json; charset=utf-8"}

Interruption = Literal["timeout", "reset"]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `target` is the path with its query, exactly as sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    def header(self, name: str) -> str:
        """A header by its lower-case name, or an empty string."""
        for key, value in self.headers.items():
            if key.lower() == name:
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. An interruption tells the face to break the connection instead."""

    status: int
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)
    body: bytes = b""
    interruption: Interruption | None = None
    delay_ms: int = 0


class ApiError(Exception):
    """An error that the provider documents, with its status and body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def bad_request(*errors: str) -> ApiError:
    """400 in the documented shape: a list of texts that name the field."""
    return ApiError(400, {"errors": list(errors)})


def not_found() -> ApiError:
    """404 as the general schema prints it."""
    return ApiError(404, {"error": "Not Found"})


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number with a fraction, kept as its text so that no binary float ever appears."""

    text: str


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_json(body: bytes) -> Any:
    """Decode JSON; numbers with a fraction become `Number`. Raises ValueError."""
    return json.loads(body.decode("utf-8"), parse_float=Number, parse_constant=_refuse_constant)


def to_json(value: Any) -> str:
    """Encode compactly; `Number` prints the very digits it was read from."""
    try:
        return _COMPACT.encode(value)
    except TypeError:  # somewhere in it is a `Number`, which only we can write
        return _with_numbers(value)


_COMPACT = json.JSONEncoder(separators=(",", ":"))


def _with_numbers(value: Any) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        members = (f"{json.dumps(key)}:{_with_numbers(item)}" for key, item in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_with_numbers, value)) + "]"
    return json.dumps(value)


def json_response(status: int, value: Any) -> Response:
    """A JSON response."""
    return Response(status, JSON_HEADERS, to_json(value).encode())
