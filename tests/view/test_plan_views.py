"""A plan as text, Markdown and JSON: whole golden texts, honest lengths, harmless strings."""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stratctl.core import plan_json
from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.errors import InputError, PlanStale
from stratctl.core.plan import Certificate, Plan
from stratctl.core.state import Vector, Verb
from stratctl.core.tables import Workspace
from stratctl.view import human, markdown
from stratctl.view import json as json_view
from stratctl.view.human import Level
from stratctl.view.summary import described, fewest, summarise
from stratctl.view.text import UNSAFE, safe
from tests.plans import Row, call, empty_plan, impact, plan_of, rich_plan, small_plan

GOLDEN = Path(__file__).parent / "golden"
PLANS = {"empty": empty_plan, "small": small_plan, "rich": rich_plan}

VIEWS: dict[str, Callable[[Plan], str]] = {
    "txt": human.plan,
    "summary.txt": lambda plan: human.plan(plan, level=Level.SUMMARY),
    "full.txt": lambda plan: human.plan(plan, level=Level.FULL),
    "color.txt": lambda plan: human.plan(plan, color=True),
    "md": markdown.plan,
    "json": lambda plan: json_view.text(json.loads(json_view.plan(plan))),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", PLANS)
def test_a_plan_looks_as_it_did(name: str, view: str, golden: Callable[[Path, str], None]) -> None:
    """Each view of each plan is the checked-in text, whole."""
    golden(GOLDEN / f"{name}.{view}", VIEWS[view](PLANS[name](Workspace())))


# --- the headline ----------------------------------------------------------------------------


def test_the_headline_has_its_documented_shape() -> None:
    """The summary line counts participants, money and calls in the documented words."""
    rows = [
        *(Row(1, f"LIQD{n:02d}") for n in range(1)),
        *(Row(2, f"TOPU{n:02d}", 50_000) for n in range(3)),
        *(Row(3, f"NEWC{n:02d}", 500_000, True) for n in range(12)),
        *(Row(4, f"REBA{n:02d}") for n in range(40)),
    ]
    verbs = (Verb.LIQUIDATE, Verb.TOP_UP, Verb.ENROLL, Verb.REBALANCE)
    calls = [call(number, verb, rows) for number, verb in enumerate(verbs, start=1)]
    plan = replace(
        plan_of(Workspace(), calls, rows), impacts=(impact("blue-chip", turnover_minor=1_824_000),)
    )
    summary = summarise(plan)
    assert summary.headline == (
        "Plan: 12 to enroll, 3 to top up, 40 to rebalance, 1 to liquidate. "
        "Cash in USD 61,500.00; turnover USD 18,240.00 (estimate); 56 participants; 4 calls."
    )
    assert summary.total == "79,740.00"


def test_an_empty_plan_says_so_in_fixed_words() -> None:
    """Nothing to do is one sentence, the same every time."""
    summary = summarise(empty_plan(Workspace()))
    assert summary.headline == "No changes. Live matches the configuration."


def test_an_empty_plan_does_not_hide_what_is_blocked() -> None:
    """Live does not match the configuration while somebody is blocked."""
    plan = replace(empty_plan(Workspace()), blocked=rich_plan(Workspace()).blocked)
    assert summarise(plan).headline == "No changes to send. 6 participants are blocked."
    assert "BLOK01" in human.plan(plan)


def test_a_part_of_a_plan_does_not_speak_for_the_whole() -> None:
    """An empty plan that was narrowed says that it is a part."""
    plan = replace(empty_plan(Workspace()), complete=False)
    assert summarise(plan).headline == (
        "No changes. Live matches the configuration, in the part that was planned."
    )


def test_each_currency_has_its_own_total() -> None:
    """Money of two currencies is never added up."""
    rows = [Row(1, "CUST01", 100, True), Row(2, "CUST01", 2_000, True)]
    calls = [call(1, Verb.ENROLL, rows), call(2, Verb.ENROLL, rows, strategy="euro")]
    plan = plan_of(Workspace(), [calls[0], replace(calls[1], currency="EUR")], rows)
    summary = summarise(plan)
    assert summary.total == "EUR 20.00 USD 1.00"
    assert "Cash in EUR 20.00 and USD 1.00;" in summary.headline
    assert "1 participant;" in summary.headline


# --- the text --------------------------------------------------------------------------------


@pytest.mark.parametrize("level", Level)
def test_no_level_hides_money_or_guards(level: Level) -> None:
    """Amounts, counts and guard findings are there at every level."""
    text = human.plan(rich_plan(Workspace()), level=level)
    for said in ("USD 61,800.06", "59 participants", "guard liquidations", "short by"):
        assert said in text


def test_full_lists_every_participant() -> None:
    """The full view leaves nobody out, the default view says how many it leaves out."""
    plan = rich_plan(Workspace())
    codes = {
        code for (code,) in plan.rows.workspace.rows(f"SELECT participant_code FROM {plan.rows}")
    }
    assert all(code in human.plan(plan, level=Level.FULL) for code in codes)
    assert "… 36 more, which -v lists …" in human.plan(plan)


def test_every_liquidation_is_listed_by_default() -> None:
    """Nobody is sold out behind a count."""
    rows = [Row(1, f"EXIT{n:02d}") for n in range(50)]
    plan = plan_of(Workspace(), [call(1, Verb.LIQUIDATE, rows)], rows)
    text = human.plan(plan)
    assert all(row.participant_code in text for row in rows)


def test_many_calls_of_a_kind_are_one_line() -> None:
    """Calls that were split only by size are one group that says how many calls it is."""
    rows = [Row(number, f"NEW{number:03d}", 100, True) for number in range(1, 101)]
    calls = [call(number, Verb.ENROLL, rows) for number in range(1, 101)]
    text = human.plan(plan_of(Workspace(), calls, rows))
    assert (
        "+ enroll  100 participants  USD 100.00  in 100 calls  to BTC 0.5, ETH 0.3, SOL 0.2" in text
    )
    assert text.count("enroll  100") == 1


MANY = Vector(tuple((f"ASSET{n}.ETH", 10**17) for n in range(10)))


@pytest.mark.parametrize("width", [80, 100])
def test_a_plan_fits_the_page(width: int) -> None:
    """No line of a plan is wider than the page, and no weight is torn from its asset."""
    plan = rich_plan(Workspace())
    calls = [replace(one, vector=MANY) if one.vector else one for one in plan.calls]
    text = human.plan(replace(plan, calls=tuple(calls), warnings=()), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "ASSET9.ETH 0.1\n" in text
    assert not re.search(r"ETH$", text, re.MULTILINE)


def test_what_everybody_has_is_said_once() -> None:
    """A reason that all rows share stands above them; reasons that differ stand beside each."""
    rows = [Row(1, f"NEW{n:03d}", 100, n > 0, "new" if n else "back") for n in range(4)]
    same = rows[1:]
    text = human.plan(plan_of(Workspace(), [call(1, Verb.ENROLL, same)], same))
    assert text.count("new") == 1
    assert "      new; auto_rebalance true\n" in text
    mixed = human.plan(plan_of(Workspace(), [call(1, Verb.ENROLL, rows)], rows))
    assert "      3 new, 1 back; auto_rebalance true for 3, false for 1\n" in mixed
    assert re.search(r"NEW000 .* auto_rebalance false  back  strategies", mixed)


def test_an_exit_of_an_asset_is_said_in_words() -> None:
    """A weight of zero is easily overlooked, so that the sale has a line of its own."""
    assert "      sold in full: SOL\n" in human.plan(rich_plan(Workspace()))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            '{"metadata":{"platform_label":"Blue Chip"},"quoted_currency":"USD"}',
            'USD, platform_label "Blue Chip"',
        ),
        ('{"metadata":{"nested":{"a":[1]}},"other":"x"}', 'other "x", nested {"a": [1]}'),
        ("not JSON", "not JSON"),
        ("[1]", "[1]"),
    ],
)
def test_what_a_creation_sets_is_said_in_words(body: str, said: str) -> None:
    """Bodies are read to people, and shown as they are where they cannot be."""
    assert described(body) == said


def test_calls_that_could_be_spared_are_said() -> None:
    """The certificate is one line: the fewest, or how many less there could be and where."""
    tight = Certificate("blue-chip", Verb.ENROLL, 3, 3, "why")
    assert fewest([tight]) == "3 calls, the fewest there can be"
    loose = Certificate("defi", Verb.REBALANCE, 2, 1, "two opposite drifts")
    assert fewest([tight, loose]) == (
        "5 calls, where 4 could do: defi, rebalance: 2 calls, the fewest would be 1 "
        "(two opposite drifts)"
    )


def test_who_approved_it_is_not_told_to_review_it() -> None:
    """What apply shows of a saved plan is how much, the digest and the guards, nothing else."""
    plan = rich_plan(Workspace())
    text = human.approved(plan)
    assert text.endswith(f"59 participants; 9 calls.\nDigest: {plan.digest}\n")
    assert "guard asset_exits: 1 measured" in text
    assert "Next:" not in text
    assert "Next:" not in human.plan(plan, then="")
    assert "stratctl apply plan.zip; live" in human.next_step(small_plan(Workspace()), "plan.zip")


def test_a_guard_names_the_exact_flag() -> None:
    """Measure, limit, where it is set and the flag to widen it stand together."""
    text = human.plan(rich_plan(Workspace()))
    assert '--ack liquidations=1 --reason "…"' in text
    assert "limit 0 (policy.yaml:9:30), acknowledged by quarterly-exit" in text


def test_a_hint_that_names_the_flag_is_shown_as_it_is() -> None:
    """What the planner says about the way out is not said twice."""
    plan = rich_plan(Workspace())
    finding = replace(plan.findings[1], hint="--ack liquidations=1 --reason …, or a document")
    text = human.plan(replace(plan, findings=(finding,)), width=200)
    assert text.count("--ack") == 1
    assert "or a document" in text


def test_a_float_that_nobody_could_read_is_said() -> None:
    """An unknown balance is unknown, not zero."""
    plan = rich_plan(Workspace())
    unknown = replace(plan, floats=(replace(plan.floats[0], available_minor=None),))
    assert "balance of float of ACME01 is not known" in human.plan(unknown)
    enough = replace(plan, floats=(replace(plan.floats[0], available_minor=10**9),))
    assert "short" not in human.plan(enough)


# --- JSON ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS.keys())
def test_the_json_fits_its_schema(make: Callable[[Workspace], Plan]) -> None:
    """The document is what the published schema says, and the schema is a schema."""
    jsonschema.Draft202012Validator.check_schema(plan_json.schema())
    jsonschema.validate(json.loads(json_view.plan(make(Workspace()))), plan_json.schema())


def test_the_json_has_no_floats_and_keeps_the_digest() -> None:
    """No number of the document is binary, and its digest is the plan's."""
    plan = rich_plan(Workspace())
    text = json_view.plan(plan)
    document = json.loads(text, parse_float=lambda found: pytest.fail(f"a float: {found}"))
    assert document["digest"] == plan.digest
    assert text == json_view.line(document)


def test_an_error_is_json_too() -> None:
    """Machines get kind, summary, hint and exit code, and every diagnostic."""
    found = Diagnostic("E_X", "Summary", "detail", "hint", Span("a.yaml", 1, 2))
    error = json.loads(json_view.error(InputError([found]), 1))["error"]
    assert error["kind"] == "InputError"
    assert error["diagnostics"][0]["span"] == {"file": "a.yaml", "line": 1, "column": 2}
    stale = json.loads(json_view.error(PlanStale("moved", hint="plan again"), 4))["error"]
    assert stale == {"kind": "PlanStale", "summary": "moved", "hint": "plan again", "exit_code": 4}


# --- Markdown --------------------------------------------------------------------------------

HOSTILE = [
    "</details><script>alert(1)</script>",
    "<!-- ",
    "--> <img src=x onerror=1>",
    "| a | b |",
    "`x` ``` ~~~",
    "[x](javascript:1) ![x](http://x/y.png)",
    "@everyone @org/team",
    "https://example.com www.example.com mailto:a@example.com",
    "#1 GH-12 org/repo#3",
    "**bold** _it_ ~~no~~ $x$ \\",
    "line\nbreak\r\n\n# heading\n- list",
    "\u202emoc.live\u2066\u200b\x1b[31m\x00\u2028",
    "&lt;b&gt; &#60;b&#62; &amp;",
    "::error file=x::y",
    "    code",
    "1. one",
    "x" * 5_000,
]
hostile = (
    st.sampled_from(HOSTILE)
    | st.text(min_size=1, max_size=60)
    | st.text("<>|`@[]()!#*_~&;:/.\n\\- w$", min_size=1, max_size=60)
)
UNLIMITED = 1_000_000
RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def with_text(text: str, plan: Plan) -> Plan:
    """The plan with this in place of every text that a file or the provider chooses."""
    workspace = plan.rows.workspace
    blocked = workspace.select(
        "hostile",
        plan.blocked.schema,
        "SELECT ? AS strategy, ? AS participant_code, ? AS reason, ? AS detail, ? AS file, line, "
        f"? AS waiting_since FROM {plan.blocked} LIMIT 1",
        [text] * 6,
    )
    satisfied, forfeits = (
        workspace.select(
            "hostile", table.schema, f"SELECT * REPLACE (? AS strategy) FROM {table}", [text]
        )
        for table in (plan.satisfied, plan.forfeits)
    )
    rows = workspace.select(
        "hostile",
        plan.rows.schema,
        f"SELECT * REPLACE (? AS reason, ? AS cohort, ? AS file) FROM {plan.rows}",
        [text] * 3,
    )
    calls = tuple(
        replace(one, strategy=text, currency=text, body_json=text, strategy_id=None)
        for one in plan.calls
    )
    return replace(
        plan,
        environment=text,
        as_of=text,
        expires_at=text,
        calls=calls,
        rows=rows,
        blocked=blocked,
        satisfied=satisfied,
        forfeits=forfeits,
        findings=tuple(
            replace(one, rule=text, measured=text, limit=text, subject=text, hint=text)
            for one in plan.findings
        ),
        impacts=tuple(
            replace(one, strategy=text, turnover_by_asset=((text, 1, 2),), unpriced=(text,))
            for one in plan.impacts
        ),
        certificates=tuple(replace(one, strategy=text, because=text) for one in plan.certificates),
        floats=tuple(replace(one, account=text) for one in plan.floats),
        prices=((text, text, text),),
        warnings=(Diagnostic(text, text, text, text, Span(text, 1, 1)),),
        notes=(text,),
    )


def skeleton(text: str) -> list[str]:
    """What Markdown makes of a text: its structure, without its words."""
    found = []
    for token in RENDERER.parse(text):
        found.append(token.type if token.type != "html_block" else token.content)
        for child in token.children or ():
            if child.type != "text":
                found.append(child.type if child.type != "html_inline" else child.content)
    return found


@pytest.fixture(scope="module")
def base() -> Plan:
    """One plan for many examples, because starting an engine is what takes the time."""
    return rich_plan(Workspace())


@pytest.fixture(scope="module")
def harmless(base: Plan) -> Plan:
    """The plan whose every text is one word."""
    return with_text("word", base)


@pytest.fixture(scope="module")
def harmless_skeleton(harmless: Plan) -> list[str]:
    """What Markdown makes of the harmless plan."""
    return skeleton(markdown.plan(harmless))


@pytest.fixture(scope="module")
def harmless_lines(harmless: Plan) -> int:
    """How many lines the harmless plan takes in a terminal."""
    return human.plan(harmless, width=UNLIMITED).count("\n")


@settings(max_examples=30)  # each example renders two whole plans
@given(hostile)
def test_no_text_becomes_markup(base: Plan, harmless_skeleton: list[str], text: str) -> None:
    """A hostile text gives the same structure as a harmless word in its place."""
    shown = markdown.plan(with_text(text, base))
    assert skeleton(shown) == harmless_skeleton
    assert set(map(unicodedata.category, shown)) & UNSAFE <= {"Cc"}
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", shown)


@given(hostile)
def test_no_text_becomes_a_link_on_github(text: str) -> None:
    """Mentions, issue numbers and addresses are broken after rendering, when it matters."""
    (inline,) = RENDERER.parseInline(markdown.escape("x " + text))
    rendered = "".join(child.content for child in inline.children or ())
    for linked in (r"@[0-9A-Za-z]", r"://", r"www\.", r"#[0-9]", r"GH-[0-9]"):
        assert not re.search(linked, rendered, re.IGNORECASE), linked


@settings(max_examples=30)  # each example renders two whole plans
@given(hostile)
def test_no_text_acts_on_a_terminal(base: Plan, harmless_lines: int, text: str) -> None:
    """The text view never passes on what moves a cursor, hides or reorders."""
    shown = human.plan(with_text(text, base), width=UNLIMITED)
    assert not [char for char in shown if char != "\n" and unicodedata.category(char) in UNSAFE]
    assert shown.count("\n") == harmless_lines
    narrow = human.plan(with_text(text, base))
    assert narrow.split() == shown.split()


def test_invisible_text_is_shown_as_its_code_point() -> None:
    """A reader sees that something was there."""
    assert safe("a\u202eb\nc") == "a\\u202eb\\u000ac"
    assert safe("x" * 500, longest=3) == "xxx… (497 more characters)"


def test_a_long_plan_is_cut_honestly() -> None:
    """A plan that does not fit lists fewer participants and says how many are not listed."""
    rows = [Row(1, f"N{n:05d}", 100, True, "new") for n in range(5_000)]
    plan = plan_of(Workspace(), [call(1, Verb.ENROLL, rows)], rows)
    text = markdown.plan(plan, limit=8_000)
    assert len(text) <= 8_000
    assert "5,000 to enroll" in text
    listed = len(re.findall(r"\| N\d{5} \|", text))
    assert f"{5_000 - listed:,} more participants: see the plan file." in text


def test_many_strategies_are_cut_honestly() -> None:
    """Strategies that do not fit are counted, and the headline still covers them."""
    rows = [Row(number, f"N{number:05d}", 100, True) for number in range(1, 301)]
    calls = [call(n, Verb.ENROLL, rows, strategy=f"strategy-{n:03d}") for n in range(1, 301)]
    text = markdown.plan(plan_of(Workspace(), calls, rows), limit=20_000)
    assert len(text) <= 20_000
    assert "300 to enroll" in text
    shown = text.count("\n#### strategy-")
    assert shown
    assert f"**{300 - shown} Strategies not shown here for length.**" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_never_make_it_too_long(text: str) -> None:
    """Escaping swells a text; the limit holds all the same, and balance too."""
    plan = with_text(text[:1] * 400, rich_plan(Workspace()))
    crowded = replace(
        plan,
        findings=plan.findings * 100,
        warnings=plan.warnings * 100,
        notes=plan.notes * 100,
        prices=plan.prices * 500,
    )
    shown = markdown.plan(crowded)
    assert len(shown) <= markdown.LENGTH_MAX
    assert shown.count("<details>") == shown.count("</details>")
    assert "Stopped by 100 guards" in shown


def test_findings_stand_in_for_a_plan_that_is_not_there() -> None:
    """A configuration with mistakes gives a comment that lists them."""
    found = [
        Diagnostic("E_X", "Bad", f"detail {n}", "fix", Span("a.yaml", n, 1)) for n in range(120)
    ]
    text = markdown.diagnostics(found)
    assert "**120 errors.**" in text
    assert "20 more are in the output" in text
    assert "a.yaml:0" not in text
    assert "no plan" in markdown.error("the journal is locked", "wait")


def test_any_value_of_the_document_is_a_plan_value(tmp_path: Path) -> None:
    """The document is plain JSON values, so that no view meets a type it cannot write."""
    document: Any = plan_json.document(rich_plan(Workspace()), "0" * 64)
    assert json.loads(json.dumps(document)) == document
