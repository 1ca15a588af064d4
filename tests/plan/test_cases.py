"""Worked examples: a world, what is planned for it, and why. Compared whole.

Each folder of tests/cases/plan holds ``world.json`` (the question), ``plan.txt`` (the answer,
rewritten by ``pytest --update-golden``) and ``why.md`` (the reason that the case exists).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from stratctl.core.diagnostic import Span
from stratctl.core.errors import InputError
from stratctl.core.money import format_amount
from stratctl.core.plan import Acknowledgement, Plan
from stratctl.core.state import Drift, LiveCohort, Target
from stratctl.core.tables import Workspace
from tests.worlds import (
    OPEN_GUARDS,
    Declared,
    Entry,
    Holder,
    World,
    holdings_worth,
    strategy,
    vector,
)

CASES = Path(__file__).parents[1] / "cases" / "plan"
PRICES = {"BTC": "50000", "ETH": "2500", "SOL": "125", "XRP": "0.5"}


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_case_is_planned_as_written(case: str, golden: Callable[[Path, str], None]) -> None:
    """The whole plan, or the errors in its place, is the checked-in text."""
    folder = CASES / case
    world = read(json.loads((folder / "world.json").read_text(encoding="utf-8")))
    assert (folder / "why.md").read_text(encoding="utf-8").startswith("# ")
    golden(folder / "plan.txt", "\n".join(told(world)) + "\n")


def read(said: dict[str, Any]) -> World:
    """A world from its JSON; holdings are given by value."""
    strategies = [_strategy(**one) for one in said.pop("strategies", [{}])]
    declared = [
        Declared(**{**one, "manages": tuple(one["manages"])} if "manages" in one else one)
        for one in said.pop("declared", [])
    ]
    holders = [
        Holder(**{**one, "holds": holdings_worth(PRICES, **one.get("holds", {}))})
        for one in said.pop("holders", [])
    ]
    entries = [Entry(**one) for one in said.pop("entries", [])]
    applied = [Entry(**one) for one in said.pop("applied", [])]
    acknowledgements = tuple(
        Acknowledgement(name, tuple(rules.items()), "reviewed", "2026-12-31")
        for name, rules in said.pop("acknowledgements", {}).items()
    )
    guards = {**OPEN_GUARDS, **said.pop("guards", {})}
    prices = {asset: PRICES[asset] for asset in said.pop("priced", PRICES)}
    absent = tuple(said.pop("absent", ()))
    return World(
        declared=declared,
        holders=holders,
        strategies=strategies,
        guards=guards,
        prices=prices,
        absent=absent,
        entries=entries,
        acknowledgements=acknowledgements,
        applied=applied,
        undeclared=tuple(said.pop("undeclared", ())),
        **said,
    )


def _strategy(**said: Any) -> Any:
    if "targets" in said:
        said["targets"] = tuple(
            Target(vector(**one["vector"]), tuple(one.get("exits", ()))) for one in said["targets"]
        )
    if "course" in said:
        said["course"] = tuple(
            (day, Target(vector(**one["vector"]), tuple(one.get("exits", ()))))
            for day, one in said["course"].items()
        )
        said["targets"] = (said["course"][-1][1], *said.get("targets", ()))
    if "drift" in said:
        said["drift"] = Drift(**{band: Fraction(text) for band, text in said["drift"].items()})
    if "live_cohort" in said:
        base = {
            "cohort": "app",
            "target": 0,
            "flag": None,
            "allocations": True,
            "flags": False,
            "held": False,
            "overrides_flag": False,
            "span": Span("strategies/app.yaml", 3, 1),
        }
        said["live_cohort"] = LiveCohort(**{**base, **said["live_cohort"]})
    return strategy(**said)


def told(world: World) -> Iterator[str]:
    """A plan as lines of text, everything that people could ask about included."""
    try:
        plan = world.plan(Workspace())
    except InputError as error:
        for problem in error.diagnostics:
            yield f"error {problem.code} at {problem.span}: {problem.detail}"
            yield f"  {problem.hint}"
        return
    yield from _calls(plan)
    for name, code, reason, detail, file, line, _ in plan.blocked.rows():
        yield f"blocked {code} in {name}: {reason}" + (f" ({detail})" if detail else "")
        yield f"  {file}:{line}"
    for name, code, text, epoch in plan.satisfied.rows():
        yield f"satisfied {code} in {name}: {text}, epoch {epoch}"
    for name, code, money_in, money_out in plan.forfeits.rows():
        lost = f"in {format_amount(money_in, 'USD')}, out {format_amount(money_out, 'USD')}"
        yield f"forfeited {code} in {name}: {lost}"
    for found in plan.findings:
        verdict = "stops" if found.stops else f"acknowledged by {found.acknowledged_by}"
        yield f"guard {found.rule}: {found.measured} > {found.limit}, {verdict} ({found.subject})"
    for one in plan.certificates:
        number = f"{one.calls} of {one.least}"
        yield f"certificate {one.verb} in {one.strategy}: {number} ({one.because})"
    for total in plan.totals:
        runner_up = f"{total.runner_up_calls} selling {total.runner_up_sells_minor}"
        yield (
            f"total in {total.strategy}: {total.calls} of {total.least} selling"
            f" {total.sells_minor}; next best {runner_up}"
        )
    for impact in plan.impacts:
        cash = (impact.cash_in_minor, impact.cash_out_minor, impact.turnover_minor)
        cash_in, cash_out, turnover = (format_amount(minor, "USD") for minor in cash)
        yield f"impact on {impact.strategy}: in {cash_in}, out {cash_out}, turnover {turnover}"
    yield f"unmanaged {plan.unmanaged}"


def _calls(plan: Plan) -> Iterator[str]:
    if plan.empty:
        yield "no changes"
    for call in plan.calls:
        slot = f"slot {call.slot}" if call.slot else "no slot"
        yield f"{call.number}. {call.verb.value} {call.strategy} ({slot})" + (
            f": {call.vector.text}" if call.vector else ""
        )
        for number, code, amount, flag, _, _, reason, *_ in plan.rows.rows():
            if number == call.number:
                money = "" if amount is None else f" {format_amount(amount, 'USD')}"
                said = "" if flag is None else f" auto_rebalance {str(flag).lower()}"
                yield f"   {code}{money}{said} because {reason}"
        if call.body_json:
            yield f"   {call.body_json}"
