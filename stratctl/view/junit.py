"""Findings as a JUnit report, which CI systems show as tests: a finding is a test that failed."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from stratctl.core.diagnostic import Diagnostic, Severity
from stratctl.view.diagnostics import heading, plain
from stratctl.view.text import safe


def report(diagnostics: Sequence[Diagnostic], *, command: str) -> str:
    """One suite, called after the command: a test case for each finding, or one that passes.

    An error is a failure. A warning passes, with its words as the case's output. What XML cannot
    hold is spelled out, as in every format.
    """
    found = [plain(one) for one in diagnostics]
    failures = sum(one.severity is Severity.ERROR for one in found)
    counts = {
        "tests": str(max(1, len(found))),
        "failures": str(failures),
        "errors": "0",
        "skipped": "0",
        "time": "0",
    }
    root = ElementTree.Element("testsuites", {"name": command, **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": command, **counts})
    for one in found:
        _case(suite, one, command)
    if not found:
        passed = {"classname": command, "name": "the configuration", "time": "0"}
        ElementTree.SubElement(suite, "testcase", passed)
    ElementTree.indent(root)
    # ASCII with references is the same in whatever encoding standard output has.
    text = ElementTree.tostring(root, encoding="us-ascii").decode()
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _case(suite: ElementTree.Element, found: Diagnostic, command: str) -> None:
    where = {"classname": command, "name": f"{found.code}: {found.summary}", "time": "0"}
    if found.span:
        file = safe(found.span.file)
        where |= {"classname": file, "name": heading(found), "file": file}
        if found.span.line:
            where["line"] = str(found.span.line)
    case = ElementTree.SubElement(suite, "testcase", where)
    if found.severity is Severity.ERROR:
        said = {"type": found.code, "message": found.summary}
        body = ElementTree.SubElement(case, "failure", said)
    else:
        body = ElementTree.SubElement(case, "system-out")
    hint = [f"hint: {found.hint}"] if found.hint else []
    body.text = "\n".join([heading(found), found.detail, *hint])
