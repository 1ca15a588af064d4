"""docs/planning.md: every example is planned, every formula is computed, every picture is sound.

An example is a block of YAML and, below it, a block of text: what the planner makes of it. The
text is rewritten by ``pytest --update-golden``.
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from stratctl.core.explanation import Explanation, Holdings, Membership, share_e18
from stratctl.core.money import format_amount, parse_amount
from stratctl.core.plan import Plan
from stratctl.core.state import Course, Drift, Target, Vector, Verb
from stratctl.core.tables import Workspace
from stratctl.plan.explain import explained
from stratctl.resolve.proportions import stepped
from stratctl.view.because import because, points
from stratctl.view.summary import fewest
from stratctl.view.text import WORDS, digits, wrapped
from tests.worlds import OPEN_GUARDS, Declared, Holder, World, holdings_worth, strategy, vector

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "planning.md"
PRICES = {"BTC": "50000", "ETH": "2500", "SOL": "125", "XRP": "0.5", "ADA": "0.5"}
_EXAMPLE = re.compile(r"(```yaml\n(.*?)```\n+```text\n)(.*?)(```)", re.DOTALL)


def test_every_example_is_planned_as_it_says(golden: Callable[[Path, str], None]) -> None:
    """The whole page is what it is with the planner's own answers written into it."""
    page = PAGE.read_text(encoding="utf-8")
    space = Workspace()
    space.run("PRAGMA disable_optimizer")

    def answered(match: re.Match[str]) -> str:
        told = "\n".join(answer(world_of(match[2]), space))
        return f"{match[1]}{told}\n{match[4]}"

    answers = _EXAMPLE.sub(answered, page)
    assert page.count("```yaml") == page.count("```text") == len(_EXAMPLE.findall(page)) >= 12
    golden(PAGE, answers)


def test_every_formula_comes_to_what_it_says() -> None:
    """The page's Python is run in order, as one session."""
    results = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert results.attempted >= 10
    assert results.failed == 0


PICTURES = sorted(path.name for path in (DOCS / "planning").glob("*.svg"))


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_named_and_readable_on_black_and_white(name: str) -> None:
    """Each picture is well-formed, says in words what it shows, and knows both schemes."""
    text = (DOCS / "planning" / name).read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.get("viewBox")
    assert root.findtext("{http://www.w3.org/2000/svg}title")
    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text
    assert len(text) < 5_000
    assert f"](planning/{name})" in PAGE.read_text(encoding="utf-8")


# --- an example ------------------------------------------------------------------------------


def world_of(text: str) -> World:
    """A world from the short form of the page; every scalar is text."""
    said: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)
    shares = said.pop("target")
    target = Target(vector(**shares), tuple(said.pop("exits", ())))
    course = course_of(target, **said.pop("transition")) if "transition" in said else ()
    policy = said.pop("policy", {})
    bands = {"absolute": "0.05", "relative": "0.25", "portfolio": "0.07", **policy.pop("drift", {})}
    declared, holders = [], []
    for code, person in said.pop("people").items():
        holds = person.pop("holds", {})
        before = sum((Fraction(value) for value in holds.values()), Fraction(0))
        contributed = parse_amount(person.pop("in", "0"), "USD") + int(before * 100)
        declared.append(
            Declared(
                code,
                contributed=format_amount(contributed, "USD"),
                withdrawn=person.pop("out", "0"),
                exited=person.pop("status", "") == "exited",
                flag=person.pop("auto_rebalance", "true") == "true",
            )
        )
        if holds:
            holders.append(
                Holder(
                    code,
                    holdings_worth(PRICES, **holds),
                    contributed=format_amount(int(before * 100), "USD"),
                    target=vector(**person.pop("was", shares)).text,
                    rebalanced=person.pop("rebalanced", None),
                )
            )
        assert not person, person
    world = World(
        declared=declared,
        holders=holders,
        strategies=[
            strategy(
                targets=(target,),
                course=course,
                rebalance_on=said.pop("on", "drift"),
                drift=Drift(**{band: Fraction(text) for band, text in bands.items()}),
            )
        ],
        prices=PRICES,
        guards={**OPEN_GUARDS, **policy.pop("guards", {})},
        minimum_leg=policy.pop("minimum_leg", "5"),
        minimum_account=policy.pop("minimum_account", "25"),
        cash_flow=policy.pop("cash_flow", "off"),
        destination=policy.pop("destination", "target"),
    )
    assert not {**said, **policy}, (said, policy)
    return world


def course_of(
    target: Target, before: dict[str, str], begins: str, steps: str, every_days: str = "7"
) -> Course:
    """The steps of a transition, by the arithmetic that resolves it."""
    old, new = dict(vector(**before).weights_e18), dict(target.vector.weights_e18)
    days = [
        str(date.fromisoformat(begins) + timedelta(days=int(every_days) * step))
        for step in range(int(steps))
    ]
    weights = [stepped(old, new, step, int(steps)) for step in range(int(steps) + 1)]
    return tuple(
        (day, Target(Vector(tuple(sorted(each.items()))), ()))
        for day, each in zip(("", *days), weights, strict=True)
    )


def answer(world: World, space: Workspace) -> Iterator[str]:
    """The calls, then everybody, then how many calls there could be."""
    workings = world.workings(space)
    found = explained(workings, [said.code for said in world.declared], []).participants
    for call in workings.plan.calls:
        to = f" at {call.vector.text}" if call.vector else ""
        yield f"call {call.number}  {WORDS[call.verb]}{to}"
        for one in found:
            yield from (
                f"        {one.participant_code}{_money(row)}"
                for row in one.memberships
                if row.call is call
            )
    for one in found:
        yield from _told(one)
    yield from _verdict(workings.plan)


def _money(row: Membership) -> str:
    if row.amount_minor is not None:
        return f" {digits(row.amount_minor, 'USD')}"
    return f" sells {digits(row.moved_e8 // 10**6, 'USD')}" if row.moved_e8 else ""


def _told(one: Explanation) -> Iterator[str]:
    """What somebody holds before and after its flow, and why it is in no call."""
    held = one.holdings
    shares = _shares(held) if held and held.after_e8 else "holds nothing"
    yield from wrapped(f"{one.participant_code}    {shares}", 100, rest=" " * 8)
    flows = any(row.amount_minor for row in one.memberships)
    for each in one.answers:
        said = None
        if not each.happens and any(row.reason == each.why for row in one.held):
            said = "not rebalanced: " if each.about == "rebalance" else ""
        if each.about == "rebalance" and each.why in ("in_band", "watch"):
            said = "rebalanced: " if each.happens else "left alone: "
        if flows and each.why == "in_band":
            yield "        in band"
        elif said is not None and not flows:
            yield from wrapped(f"{said}{because(each, one)}", 100, first=" " * 8, rest=" " * 10)


def _shares(held: Holdings) -> str:
    parts = [
        f"{each.asset} {_change(before, after)}"
        for each in held.positions
        for before, after in [
            (_part(each.now_e8, held.now_e8), _part(each.after_e8, held.after_e8))
        ]
    ]
    drift = _change(held.drift_now_e18, held.drift_after_e18)
    return f"{', '.join(parts)} %{f'; drift {drift} %' if drift else ''}"


def _part(value_e8: int | None, whole_e8: int | None) -> int | None:
    """A share, where there is one."""
    return share_e18(value_e8 or 0, whole_e8) if whole_e8 else None


def _change(before_e18: int | None, after_e18: int | None) -> str:
    texts = [points(share) for share in (before_e18, after_e18) if share is not None]
    return " -> ".join(dict.fromkeys(texts))


def _verdict(plan: Plan) -> Iterator[str]:
    for finding in plan.findings:
        verdict = "stops the plan" if finding.stops else "acknowledged"
        yield f"guard {finding.rule}: {finding.measured} measured, limit {finding.limit}, {verdict}"
    if not plan.calls:
        yield "no calls"
        return
    yield from wrapped(fewest(plan.certificates, plan.totals), 100, rest="    ")
    sold = sum(impact.turnover_minor for impact in plan.impacts)
    paid = sum(call.amount_minor for call in plan.calls if call.verb is Verb.PARTIAL_SELL)
    out = f", {digits(paid, 'USD')} of it paid out" if paid else ""
    yield f"sells {digits(sold, 'USD')}{out}"
