"""Findings in every format: the same facts, whatever characters are in them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from junitparser import Error, Failure, JUnitXml, TestCase

from stratctl.cli.running import run
from stratctl.core.diagnostic import Diagnostic, Severity, Span
from stratctl.view import diagnostics, github, junit, sarif
from stratctl.view import json as json_view
from stratctl.view.text import safe
from tests.declare.world import Project

ROOT = Path(__file__).parents[2]
COMMAND = "stratctl validate"

Fact = tuple[str, int, int, str, str, str, str, str]
"""File as it is shown, line, column, code, severity, summary, detail, hint."""


def fact(found: Diagnostic) -> Fact:
    """What every format must carry of a finding."""
    one = diagnostics.plain(found)
    span = one.span or Span("")
    words = (one.code, one.severity.value, one.summary, one.detail, one.hint)
    return (safe(span.file), span.line, span.column, *words)


# --- reading the formats back ------------------------------------------------------------------

HEADING = re.compile(r"(?:(.+?)(?::(\d+):(\d+))?: )?(error|warning) ([EW]_[A-Z_]+): (.+)")


def from_heading(line: str, detail: str, hint: str) -> Fact:
    """``file:line:col: error E_CODE: summary``, taken apart."""
    found = HEADING.fullmatch(line)
    assert found, line
    file, number, column, severity, code, summary = found.groups(default="")
    place = (file, int(number or 0), int(column or 0))
    return (*place, code, severity, summary, detail, hint)


def from_text(shown: str) -> Iterator[Fact]:
    """Blocks between empty lines; source lines and carets carry a bar."""
    *blocks, tally = shown.removesuffix("\n").split("\n\n")
    assert re.fullmatch(r"(\d+ errors?)?(, )?(\d+ warnings?)?\.", tally)
    for block in blocks:
        heading, *rest = block.split("\n")
        while rest and re.match(r" {4}[ \d]+ \| ", rest[0]):
            rest = rest[1:]
        words = [line.removeprefix("    ") for line in rest]
        hint = words.pop().removeprefix("hint: ") if words[-1].startswith("hint: ") else ""
        yield from_heading(heading, "\n".join(words), hint)


def from_json(shown: str) -> Iterator[Fact]:
    """The documented shape."""
    document = json.loads(shown)
    Draft202012Validator(json_view.diagnostics_schema()).validate(document)
    for one in document["diagnostics"]:
        span = one["span"] or {"file": "", "line": 0, "column": 0}
        words = (one["code"], one["severity"], one["summary"], one["detail"], one["hint"])
        yield (safe(span["file"]), span["line"], span["column"], *words)


def unescaped(value: str) -> str:
    """A value of a workflow command, as the runner reads it."""
    escapes = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
    for escape, character in escapes:
        value = value.replace(escape, character)
    return value


def from_github(shown: str) -> Iterator[Fact]:
    """One workflow command a line."""
    for line in shown.removesuffix("\n").split("\n"):
        _, command, message = line.split("::", 2)
        severity, _, listed = command.partition(" ")
        given_ = dict(one.split("=", 1) for one in listed.split(","))
        properties = {name: unescaped(value) for name, value in given_.items()}
        assert properties.get("endLine") == properties.get("line")
        code, _, summary = properties["title"].partition(": ")
        detail, _, hint = unescaped(message).partition("\nhint: ")
        numbers = int(properties.get("line", 0)), int(properties.get("col", 0))
        yield (properties.get("file", ""), *numbers, code, severity, summary, detail, hint)


@cache
def sarif_schema() -> Draft202012Validator:
    """The schema of the standard."""
    text = (ROOT / "tests" / "vendored" / "sarif-2.1.0.schema.json").read_text("utf-8")
    return Draft202012Validator(
        json.loads(text), format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def from_sarif(shown: str) -> Iterator[Fact]:
    """Results, with their rules."""
    document = json.loads(shown)
    sarif_schema().validate(document)
    (one_run,) = document["runs"]
    rules = one_run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in one_run["results"]:
        rule = rules[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        file, line, column = "", 0, 0
        for location in result.get("locations", ()):
            place = location["physicalLocation"]
            assert place["artifactLocation"]["uriBaseId"] in one_run["originalUriBaseIds"]
            file = safe(unquote(place["artifactLocation"]["uri"], errors="surrogateescape"))
            region = place.get("region", {"startLine": 0, "startColumn": 0})
            line, column = region["startLine"], region["startColumn"]
        words = result["properties"]
        said = (words["summary"], words["detail"], words["hint"])
        assert all(word in result["message"]["text"] for word in said)
        yield (file, line, column, rule["id"], result["level"], *said)


def from_junit(shown: str) -> Iterator[Fact]:
    """Test cases, as a library reads them that CI tools are made with."""
    report = JUnitXml.fromstring(shown.encode())
    (suite,) = list(report)
    cases: list[TestCase] = list(suite)
    assert suite.tests == report.tests == len(cases)
    failures = [one for case in cases for one in case.result]
    assert all(isinstance(one, Failure) and not isinstance(one, Error) for one in failures)
    assert suite.failures == report.failures == len(failures)
    for case in cases:
        body = case.result[0].text if case.result else case.system_out
        if body is None:
            continue
        heading, detail, *hint = body.split("\n")
        yield from_heading(heading, detail, "".join(hint).removeprefix("hint: "))


READERS: dict[str, Callable[[str], Iterator[Fact]]] = {
    "text": from_text,
    "json": from_json,
    "github": from_github,
    "sarif": from_sarif,
    "junit": from_junit,
}


# --- the law -----------------------------------------------------------------------------------

ODD = "aB0 <>&\"'%,:;=|^`~$\\/[]{}()#@!\t\r\n\x00\x1b\x85\u00a0\u00ad\u202e\u2028\ufffe日é\u0301😀"

words = st.one_of(
    st.sampled_from(
        ["::error::x", "a\n::stop-commands::t", "%0A::add-mask::x", ",b=c", "]]>", "<!--", "&#0;"]
    ),
    st.text(ODD, min_size=1, max_size=30),
)
files = st.text(ODD + "\udcff", min_size=1, max_size=20).map("strategies/{}.yaml".format)
spans = st.none() | st.builds(
    lambda file, line, column: Span(file, line, column if line else 0),
    files,
    st.integers(0, 9),
    st.integers(0, 99),
)
findings = st.builds(
    Diagnostic,
    st.sampled_from(["E_ONE", "E_TWO", "W_THREE"]),
    st.just("always the same words"),
    words.map("particulars {}".format),
    st.just("") | words,
    spans,
    st.sampled_from(Severity),
)


def logged(
    found: list[Diagnostic], *, help_texts: dict[str, str] | None = None, prefix: str = ""
) -> str:
    """The findings as SARIF."""
    return sarif.log(
        found, command=COMMAND, version="1.0.0", help_texts=help_texts or {}, prefix=prefix
    )


def written(found: list[Diagnostic]) -> dict[str, str]:
    """The findings in every format."""
    return {
        "text": diagnostics.text(found, {}),
        "json": json_view.diagnostics(found, 1),
        "github": github.commands(found),
        "sarif": logged(found),
        "junit": junit.report(found, command=COMMAND),
    }


@given(st.lists(findings, min_size=1, max_size=4))
def test_every_format_carries_the_same_facts(found: list[Diagnostic]) -> None:
    """Whatever is in a finding, reading any format back gives every fact of it."""
    told = sorted(map(fact, found))
    for name, shown in written(found).items():
        assert sorted(READERS[name](shown)) == told, name


@given(words, files)
def test_no_text_becomes_a_workflow_command(text: str, file: str) -> None:
    """Whatever the configuration says, one finding is one command with the same properties."""
    shown = github.commands([Diagnostic(text, text, text, text, Span(file, 3, 4))])
    assert shown.count("\n") == 1
    assert shown.startswith("::error ")
    assert "\r" not in shown
    properties = shown.removeprefix("::error ").split("::", 1)[0]
    names = [one.split("=", 1)[0] for one in properties.split(",")]
    assert names == ["file", "line", "endLine", "col", "title"]
    assert ":" not in properties


# --- each format -------------------------------------------------------------------------------

WHOLE = Diagnostic("E_X", "summary", "detail", "", Span("a b.parquet"))
WARNING = Diagnostic("W_Y", "careful", "maybe", "look", Span("a.yaml", 2, 3), Severity.WARNING)


def test_the_worst_annotation_comes_first() -> None:
    """GitHub shows about ten of a kind, so errors stand before warnings."""
    assert github.commands([WARNING, WHOLE]).splitlines() == [
        "::error file=a b.parquet,title=E_X%3A summary::detail",
        "::warning file=a.yaml,line=2,endLine=2,col=3,title=W_Y%3A careful::maybe%0Ahint: look",
    ]


def test_an_annotation_may_have_no_place() -> None:
    """A finding about nothing in particular has no file."""
    assert github.commands([Diagnostic("E_X", "S", "d")]) == "::error title=E_X%3A S::d\n"


def test_a_warning_fails_no_test_case() -> None:
    """CI counts failures; a warning is output of a case that passes."""
    root = ElementTree.fromstring(junit.report([WARNING, WHOLE], command=COMMAND))
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    passed, failed = root.iter("testcase")
    assert (passed.find("failure"), failed.find("system-out")) == (None, None)
    odd = Diagnostic("E_X", "s", "é日😀")
    assert junit.report([odd], command=COMMAND).isascii()


def test_without_findings_one_test_case_passes() -> None:
    """Some CI systems take a report without a case for a run that broke."""
    assert junit.report([], command=COMMAND) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<testsuites name="stratctl validate" tests="1" failures="0" errors="0" skipped="0" '
        'time="0">\n'
        '  <testsuite name="stratctl validate" tests="1" failures="0" errors="0" skipped="0" '
        'time="0">\n'
        '    <testcase classname="stratctl validate" name="the configuration" time="0" />\n'
        "  </testsuite>\n"
        "</testsuites>\n"
    )
    sarif_schema().validate(
        json.loads(sarif.log([], command=COMMAND, version="1.0.0", help_texts={}))
    )
    assert github.commands([]) == ""


def test_files_count_from_the_top_of_the_repository() -> None:
    """GitHub knows nothing of where in it the project lies."""
    shown = github.commands([WARNING], prefix="books/a,b/")
    assert shown.startswith("::warning file=books/a%2Cb/a.yaml,")
    log = json.loads(
        sarif.log([WHOLE], command=COMMAND, version="1.0.0", help_texts={}, prefix="bücher/")
    )
    (result,) = log["runs"][0]["results"]
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == "b%C3%BCcher/a%20b.parquet"


def test_a_rule_is_explained_by_its_entry() -> None:
    """What docs/diagnostics.md says of a code is the help of its rule."""
    page = "# D\n\n### E_X: summary\n\nMeans.\n\n## More\n\n### E_Z: other\n\nElse.\n"
    assert sarif.explanations(page) == {"E_X": "Means.", "E_Z": "Else."}
    (one_run,) = json.loads(logged([WHOLE], help_texts={"E_X": "Means."}))["runs"]
    (rule,) = one_run["tool"]["driver"]["rules"]
    assert rule["help"] == {"text": "Means.", "markdown": "Means."}
    assert rule["name"] == "X"


@pytest.mark.parametrize("command", ["validate", "lint"])
def test_reports_are_called_after_their_command(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code scanning keeps one log per command, and CI shows two reports side by side."""
    Project(tmp_path)
    said = {}
    for name in ("sarif", "junit"):
        assert run(["--chdir", str(tmp_path), command, "--format", name]) == 0
        said[name] = capsys.readouterr().out
    (one_run,) = json.loads(said["sarif"])["runs"]
    assert one_run["automationDetails"] == {"id": f"stratctl/{command}/"}
    assert ElementTree.fromstring(said["junit"]).get("name") == f"stratctl {command}"


# --- the command -------------------------------------------------------------------------------

BROKEN = {
    "stratctl.yaml": (
        "kind: Project\nversion: 1\ndefault_environment: sandbx\nenvironments:\n"
        "  sandbox: {realm: sandbox, endpoint: sandbox, platform_code: PLAT01,"
        " funding_model: novated}\n"
        "  cert: {realm: cert, endpoint: 'https://api.zerohash.com', platform_code: PLAT01,"
        " funding_model: novated}\n"
    ),
    "policy.yaml": "kind: Policy\nversion: 1\nguards: {liquidatons: 1, 'a,b:%0A<&>\"': 2}\n",
    'strategies/wéird & <x>, 100% "q" [b].yaml': (
        "kind: Strategy\nversion: 1\nname: ab\nquoted_currency: SEK\n"
        "allocations: {BTC: 0.5, 'E<TH&': 0.4, '日本': .1}\n"
        "---\nkind: Strategy\nversion: 1\nname: sek\nquoted_currency: SEK\n"
        "allocations: {BTC: 0.55, ETH: 0.5}\n"
    ),
    "strategies/founders.yaml": (
        "kind: Cohort\nversion: 1\nname: founders\nstrategy: skek\nenvironments: [cert]\n"
        "source: {file: cohorts/m.csv}\n"
    ),
    "strategies/cohorts/m.csv": (
        'participant_code,contributed,status\nCUST01,"1,000.00",\nCUST02,5.00,Actïve\n'
        "=CUST3,5,exited\n"
    ),
    "strategies/escape.yaml": "kind: Cohort # \x1b[31m\u202e\n",
    "strategies/tabs.yaml": "kind: Strategy\n\tversion: 1\n",
}


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with many mistakes, below the top of a repository."""
    for name, text in BROKEN.items():
        path = tmp_path / "books" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "books" / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "books")
    return tmp_path


def validated(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``validate`` prints in a format; it ends with 1 and prints nothing else."""
    assert run(["validate", "--format", name]) == 1
    said = capsys.readouterr()
    assert name == "text" or re.fullmatch(r"\d+ errors, 1 warning\.\n", said.err)
    return said.out


def test_validate_says_the_same_in_every_format(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Many mistakes in many files, with odd characters: five formats, one set of facts."""
    told = {name: list(read(validated(name, capsys))) for name, read in READERS.items()}
    facts = told["json"]
    assert len(facts) == len(set(facts)) >= 12
    assert {one[4] for one in facts} == {"error", "warning"}
    for name, found in told.items():
        assert sorted(found) == sorted(facts), name
        if name != "github":
            assert [one[:3] for one in found] == sorted(one[:3] for one in found), name
    assert all(detail and hint for *_, detail, hint in facts)


def test_validate_explains_its_rules(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every rule of a log has the entry of the page, with a wrong and a right example."""
    document: Any = json.loads(validated("sarif", capsys))
    for rule in document["runs"][0]["tool"]["driver"]["rules"]:
        assert "**Wrong**" in rule["help"]["markdown"], rule["id"]
        assert "**Right**" in rule["help"]["markdown"], rule["id"]


def test_validate_finds_the_top_of_the_repository(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the top of a repository, the formats of GitHub name files from there."""
    (broken / "books" / ".git").rename(broken / ".git")
    assert all(line.split("file=")[1].startswith("books/") for line in github_lines(capsys))
    assert '"uri": "books/policy.yaml"' in validated("sarif", capsys)
    assert "\npolicy.yaml:3:" in "\n" + validated("text", capsys)
    (broken / ".git").rmdir()
    assert not any("file=books/" in line for line in github_lines(capsys))


def github_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The annotations of the project."""
    return validated("github", capsys).splitlines()
