"""Findings as SARIF 2.1.0, which code scanning and editors read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stratctl.core.diagnostic import Diagnostic, Severity, Span
from stratctl.view.diagnostics import plain

Json = dict[str, Any]

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "%SRCROOT%"
"""What consumers agree to call the top of the repository."""


def log(
    diagnostics: Sequence[Diagnostic],
    *,
    command: str,
    version: str,
    help_texts: Mapping[str, str],
    prefix: str = "",
) -> str:
    """One run with a result for each finding and a rule for each code that was found.

    ``help_texts``: code -> its explanation in Markdown. ``prefix`` leads from the top of the Git
    repository, which GitHub takes for the base of every file, to the project.
    """
    found = [plain(one) for one in diagnostics]
    first = {one.code: one for one in reversed(found)}
    codes = sorted(first)
    rules = [_rule(first[code], help_texts.get(code, "")) for code in codes]
    run = {
        "tool": {"driver": {"name": "stratctl", "semanticVersion": version, "rules": rules}},
        # A newer log replaces the older one of the same command.
        "automationDetails": {"id": f"{command.replace(' ', '/')}/"},
        # Text is counted by characters, as people and editors do.
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "the top of the repository"}}},
        "results": [_result(one, codes.index(one.code), prefix) for one in found],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, ensure_ascii=True, indent=2, sort_keys=True) + "\n"


def explanations(page: str) -> dict[str, str]:
    """Code -> its entry in docs/diagnostics.md, from the sentence below its heading on."""
    entries = re.split(r"^### (\w+): .*\n", page, flags=re.MULTILINE)[1:]
    bodies = (re.split(r"^## ", body, flags=re.MULTILINE)[0].strip() for body in entries[1::2])
    return dict(zip(entries[::2], bodies, strict=True))


def _rule(found: Diagnostic, explained: str) -> Json:
    said = explained or found.summary
    return {
        "id": found.code,
        "name": "".join(word.capitalize() for word in found.code.split("_")[1:]),
        "shortDescription": {"text": found.summary},
        "fullDescription": {"text": found.summary},
        "help": {"text": said, "markdown": said},
        "defaultConfiguration": {"level": _level(found)},
    }


def _result(found: Diagnostic, rule: int, prefix: str) -> Json:
    hint = f"\nhint: {found.hint}" if found.hint else ""
    result: Json = {
        "ruleId": found.code,
        "ruleIndex": rule,
        "level": _level(found),
        "message": {"text": f"{found.summary}: {found.detail}{hint}"},
        # The same facts once more, apart: nobody should have to take a message to pieces.
        "properties": {"summary": found.summary, "detail": found.detail, "hint": found.hint},
    }
    if found.span:
        result["locations"] = [{"physicalLocation": _place(found.span, prefix)}]
    return result


def _place(span: Span, prefix: str) -> Json:
    place: Json = {"artifactLocation": {"uri": percent(prefix + span.file), "uriBaseId": ROOT}}
    if span.line:
        place["region"] = {"startLine": span.line, "startColumn": span.column}
    return place


def _level(found: Diagnostic) -> str:
    return "error" if found.severity is Severity.ERROR else "warning"


_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def percent(path: str) -> str:
    """A relative path as a URI reference (RFC 3986), whatever bytes the file's name has."""
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
        for byte in path.encode("utf-8", "surrogateescape")
    )
