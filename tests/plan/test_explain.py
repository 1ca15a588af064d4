"""Explanations agree with the plan that they explain, and say so in text and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stratctl.core.diagnostic import Span
from stratctl.core.errors import InputError, UsageError
from stratctl.core.explanation import Explained, Explanation
from stratctl.core.settings import GUARD_RULES
from stratctl.core.state import PARTICIPANT_ROWS, VERB_ORDER, Drift, Target, Verb
from stratctl.core.tables import Workspace
from stratctl.core.windows import Opening
from stratctl.plan.explain import explained
from stratctl.plan.explain.rules import COUNTED_BY
from stratctl.plan.workings import Workings
from stratctl.view import explanation, explanation_json
from tests.plan.generate import worlds
from tests.plan.planned import Bench, dice, law
from tests.plan.test_cases import CASES, read
from tests.worlds import Declared, Holder, World, holdings_worth, strategy, vector

GOLDEN = Path(__file__).parent / "golden" / "explain"
EVERY = 8
"""One world of so many is explained: its plan is made anew, because explaining reads tables."""

_bench = Bench()

VERBS = {
    "flow": {Verb.PARTIAL_SELL, Verb.TOP_UP, Verb.ENROLL},
    "exit": {Verb.LIQUIDATE},
    "rebalance": {Verb.REBALANCE},
    "flag": {Verb.FLAGS, Verb.ENROLL},
}


def everybody(world: World) -> list[str]:
    """Everybody whom a world names."""
    return sorted({said.code for said in world.declared} | {has.code for has in world.holders})


def agrees(world: World, workings: Workings, found: Explained) -> None:
    """What is explained is what is planned, row by row and call by call."""
    plan = workings.plan
    calls = {call.number: call for call in plan.calls}
    people = {(one.strategy, one.participant_code): one for one in found.participants}
    assert {key for key, one in people.items() if one.standing == "declared"} >= {
        (said.strategy, said.code) for said in world.declared
    }
    told = {
        (row.call.number, one.participant_code, row.amount_minor, row.auto_rebalance, row.reason)
        for one in found.participants
        for row in one.memberships
    }
    assert told == {
        (number, code, amount, flag, reason)
        for number, code, amount, flag, _, _, reason, *_ in plan.rows.rows()
    }
    for one in people.values():
        verbs = {row.call.verb for row in one.memberships}
        for answer in one.answers:
            assert answer.happens == bool(verbs & VERBS[answer.about]), answer
            assert answer.happens or answer.why != "held_back", answer
        told_flows = [a.why for a in one.answers if a.about == "flow" and a.happens]
        assert sorted(told_flows) == sorted(verb.value for verb in verbs & VERBS["flow"])
        assert bool(one.answers) == (one.standing == "declared")
    held = {
        (one.strategy, one.participant_code, row.reason)
        for one in people.values()
        for row in one.held
    }
    assert held == {(name, code, reason) for name, code, reason, *_ in plan.blocked.rows()}
    satisfied = {key for key, one in people.items() if one.satisfied}
    assert satisfied == {(name, code) for name, code, *_ in plan.satisfied.rows()}
    assert {key for key, one in people.items() if one.forfeited} == {
        (name, code) for name, code, *_ in plan.forfeits.rows()
    }
    assert [one.call for one in found.calls] == list(calls.values())
    for each in found.calls:
        assert sum(rows for _, rows in each.reasons) == each.call.rows


def bands_decide(found: Explained) -> None:
    """Who is rebalanced for its drift is shown outside a band, and who is in band inside all."""
    for one in found.participants:
        held = one.holdings
        if held is None:
            continue
        breached = any(each.breached for each in held.positions)
        drifted = (held.drift_after_e18 or 0) > held.portfolio_e18
        for answer in one.answers:
            if answer.about == "rebalance" and answer.why == "watch":
                assert breached or drifted
            if answer.about == "rebalance" and answer.why == "in_band":
                assert not breached


def flows_add_up(found: Explained) -> None:
    """What is held after a flow is what is held now and the flow, but for what is cut."""
    for one in found.participants:
        held = one.holdings
        flow_e8 = sum(
            (row.amount_minor or 0) * (-1 if row.call.verb is Verb.PARTIAL_SELL else 1) * 10**6
            for row in one.memberships
            if not row.call.after_rebalance
        )
        if held and held.now_e8 is not None and held.after_e8 is not None:
            if any(row.call.verb is Verb.LIQUIDATE for row in one.memberships):
                assert held.after_e8 == 0
            else:
                assert 0 <= held.now_e8 + flow_e8 - held.after_e8 <= len(held.positions)


@law(worlds)
def test_explanations_agree_with_the_plan(world: World) -> None:
    """In a call exactly if the explanation says so, with the same amounts; nobody is left out.

    The same with vectors that are shared and with rebalances to the edge."""
    random = dice(world)
    if random.randrange(EVERY):
        return
    cash_flow, destination = random.choice(("off", "shared")), random.choice(("target", "edge"))
    world = replace(world, cash_flow=cash_flow, destination=destination)
    try:
        workings = world.workings(_bench.space())
    except InputError:
        return
    numbers = [call.number for call in workings.plan.calls]
    found = explained(workings, everybody(world), numbers)
    agrees(world, workings, found)
    flows_add_up(found)
    bands_decide(found)
    text, document = explanation.text(found), json.loads(shown(workings, found))
    for one, told in zip(found.participants, document["participants"], strict=True):
        assert f"{one.participant_code} in {one.strategy}" in text
        assert [row["call"] for row in told["rows"]] == [row.call.number for row in one.memberships]


def shown(workings: Workings, found: Explained) -> str:
    """As JSON."""
    return explanation_json.text_of(workings.plan, found)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(
            lambda one: replace(one, memberships=one.memberships[:-1]), id="a row is left out"
        ),
        pytest.param(
            lambda one: replace(
                one, answers=tuple(replace(a, happens=not a.happens) for a in one.answers)
            ),
            id="it says the opposite",
        ),
    ],
)
def test_canary_an_explanation_that_disagrees_is_caught(
    wrong: Callable[[Explanation], Explanation],
) -> None:
    """The law fails for explanations that say something else than the plan."""
    world = World(declared=[Declared("P1")])
    workings = world.workings(_bench.space())
    found = explained(workings, ["P1"], [1])
    agrees(world, workings, found)
    mistaken = replace(found, participants=tuple(map(wrong, found.participants)))
    with pytest.raises(AssertionError):
        agrees(world, workings, mistaken)


# --- what it looks like ------------------------------------------------------------------------

SHOWN = (
    "shared-vintage",
    "edge-one-vintage",
    "edge-hysteresis",
    "band-edge",
    "hold-on-strategy",
    "side-freeze",
    "exit-and-forfeit",
    "partial-sell-infeasible",
    "partial-sell-behind-its-rebalance",
    "both-totals-sent",
    "small-enrolment",
    "parked",
    "no-price",
    "cooldown",
    "rollout",
    "removal",
    "source-live-flags",
    "split-by-size",
)


@pytest.mark.parametrize("case", SHOWN)
def test_an_explanation_looks_as_it_did(case: str, golden: Callable[[Path, str], None]) -> None:
    """Everybody and every call of a worked example, as text, is the checked-in page."""
    world = read(json.loads((CASES / case / "world.json").read_text(encoding="utf-8")))
    workings = world.workings(_bench.space())
    numbers = [call.number for call in workings.plan.calls]
    golden(GOLDEN / f"{case}.txt", explanation.text(explained(workings, everybody(world), numbers)))


def test_json_says_what_the_text_says(golden: Callable[[Path, str], None]) -> None:
    """Every fact of an explanation is there for machines, beside the sentence."""
    world = read(json.loads((CASES / "shared-vintage" / "world.json").read_text(encoding="utf-8")))
    workings = world.workings(_bench.space())
    golden(GOLDEN / "shared-vintage.json", shown(workings, explained(workings, ["P1"], [1])))


@pytest.mark.parametrize("width", [80, 100])
def test_an_explanation_fits_the_page(width: int) -> None:
    """No line of words is wider than the page; colours change no letter."""
    world = read(json.loads((CASES / "shared-vintage" / "world.json").read_text(encoding="utf-8")))
    workings = world.workings(_bench.space())
    found = explained(workings, ["P1"], [1, 2])
    plain = explanation.text(found, width=width)
    assert all(len(line) <= width or line.startswith("      ") for line in plain.splitlines())
    colored = explanation.text(found, width=width, color=True)
    assert "\x1b[" in colored
    assert "\x1b[" not in plain


def test_a_closed_window_is_why_nothing_is_sent_now() -> None:
    """What a plan may not send now is said once, after everything that was asked about."""
    workings = World(declared=[Declared("P1")]).workings(_bench.space())
    found = explained(workings, ["P1"], [])
    closed = Opening(open=False, changes_at="2026-11-23T09:00:00Z", because="")
    text = explanation.text(found, window=closed)
    assert text.splitlines()[-1].startswith("window: apply refuses now (exit code 3)")
    plan = replace(workings.plan, window=closed)
    assert "refuses now" in json.loads(explanation_json.text_of(plan, found))["plan"]["window"]


# --- who is asked about ------------------------------------------------------------------------


def test_somebody_unknown_is_told_who_is_near() -> None:
    """A code that nobody has is a usage error that names the one most like it."""
    workings = World(declared=[Declared("CUST01")]).workings()
    with pytest.raises(UsageError) as refused:
        explained(workings, ["CUTS01"], [])
    assert refused.value.hint == "did you mean CUST01?"
    with pytest.raises(UsageError) as refused:
        explained(workings, ["zzzzzz"], [])
    assert "as the provider writes them" in refused.value.hint


def test_letters_in_the_wrong_case_are_near() -> None:
    """Who types in small letters is understood, and not obeyed: codes are exact."""
    workings = World(declared=[Declared("CUST01")]).workings()
    with pytest.raises(UsageError) as refused:
        explained(workings, ["cust01"], [])
    assert refused.value.hint == "did you mean CUST01?"


def test_a_narrowed_plan_says_that_it_is() -> None:
    """Who stands only in a Strategy that was left out is not simply unknown."""
    workings = World(declared=[Declared("CUST01")]).workings()
    narrowed = replace(workings, plan=replace(workings.plan, complete=False))
    with pytest.raises(UsageError) as refused:
        explained(narrowed, ["OTHER9"], [])
    assert "leaves out some Strategies" in refused.value.hint


@pytest.mark.parametrize(
    ("declared", "has"), [([], "it has none"), ([Declared("P1")], "it has calls 1 to 1")]
)
def test_a_call_that_is_not_there_is_an_error(declared: list[Declared], has: str) -> None:
    """The error says which calls there are."""
    with pytest.raises(UsageError) as refused:
        explained(World(declared=declared).workings(_bench.space()), [], [7])
    assert refused.value.hint == has


def test_people_that_nothing_declares_are_explained() -> None:
    """Removed, unmanaged and unused people are told apart, and nothing happens to them."""
    world = World(
        declared=[Declared("P1")],
        holders=[Holder("P1"), Holder("P2"), Holder("P3", target=None)],
    )
    space = Workspace()
    workings = world.workings(space)
    listed = space.table("platform", PARTICIPANT_ROWS, [["P1", "P2", "P3", "P4"], ["approved"] * 4])
    workings = replace(workings, live=replace(workings.live, participants=listed))
    found = explained(workings, ["P2", "P3", "P4"], [])
    assert [one.standing for one in found.participants] == ["removed", "unmanaged", "unused"]
    assert {check.rule for check in found.participants[0].guards} == {"removals", "removals_share"}
    text = explanation.text(found)
    assert "Omission is not a sale" in text
    assert "No cohort names it" in text
    assert "The platform knows it" in text
    assert [one["because"] != "" for one in json.loads(shown(workings, found))["participants"]]
    with pytest.raises(UsageError) as refused:
        explained(workings, ["P44"], [])
    assert refused.value.hint == "did you mean P4?"


def test_somebody_in_two_strategies_is_explained_in_both() -> None:
    """One code, one explanation for each Strategy."""
    world = World(
        declared=[Declared("P1"), Declared("P1", strategy="red")],
        strategies=[strategy(), strategy("red")],
    )
    found = explained(world.workings(_bench.space()), ["P1", "P1"], [])
    assert [one.strategy for one in found.participants] == ["blue", "red"]


# --- what decided ------------------------------------------------------------------------------


def test_what_is_a_hair_out_of_band_is_shown_with_digits_that_tell() -> None:
    """Two shares that round to the same text get as many digits as tell them apart."""
    held = holdings_worth({"BTC": "50000", "ETH": "2500"}, BTC="550.01", ETH="449.99")
    half = vector(BTC="0.5", ETH="0.5")
    world = World(
        declared=[Declared("P1")],
        holders=[Holder("P1", held, target=half.text)],
        strategies=[strategy(targets=(Target(half, ()),), rebalance_on="drift")],
        prices={"BTC": "50000", "ETH": "2500"},
    )
    text = " ".join(explanation.text(explained(world.workings(_bench.space()), ["P1"], [])).split())
    assert "BTC is at 55.001 %, 5.001 points above 50.00 %, and its band is 5.000 points" in text


def test_a_setting_that_decided_is_named_with_its_line() -> None:
    """A Strategy's own setting before the policy's, and the default where nobody wrote any."""
    half = vector(BTC="0.5", ETH="0.5")
    world = World(
        declared=[Declared("P1")],
        holders=[Holder("P1", holdings_worth(BTC="600", ETH="400"), target=half.text)],
        strategies=[
            strategy(
                targets=(Target(half, ()),),
                rebalance_on="drift",
                settings=(
                    ("rebalance.on", Span("strategies/blue.yaml", 9, 7)),
                    ("policy.drift.absolute", Span("strategies/blue.yaml", 11, 20)),
                ),
            )
        ],
    )
    workings = world.workings(_bench.space())
    policy = replace(
        workings.configuration.policy,
        settings=tuple(
            (f"drift.{band}", Span("policy.yaml", 4)) for band in ("absolute", "relative")
        ),
    )
    configured = replace(workings.configuration, policy=policy)
    found = explained(replace(workings, configuration=configured), ["P1"], [])
    assert (
        "by rebalance.on drift (strategies/blue.yaml:9), drift.absolute 0.05"
        " (strategies/blue.yaml:11), drift.relative 0.25 (policy.yaml:4), drift.portfolio 0.07"
        " (the default)"
    ) in " ".join(explanation.text(found).split())


def test_a_band_below_the_smallest_leg_says_so() -> None:
    """Where the minimum leg is wider than the band, the minimum decides and is named."""
    half = vector(BTC="0.5", ETH="0.5")
    world = World(
        declared=[Declared("P1")],
        holders=[Holder("P1", holdings_worth(BTC="52", ETH="48"), target=half.text)],
        strategies=[
            strategy(
                targets=(Target(half, ()),),
                rebalance_on="drift",
                drift=Drift(*(replace(strategy().drift).absolute / 5 for _ in range(3))),
            )
        ],
    )
    text = explanation.text(explained(world.workings(_bench.space()), ["P1"], []))
    assert "its smallest leg is as wide as 5.00 points" in " ".join(text.split())


def test_drift_that_no_leg_can_repair_is_not_called_inside() -> None:
    """A portfolio too small to trade is above its band, and that is what is said."""
    half = vector(BTC="0.5", ETH="0.5")
    world = World(
        declared=[Declared("P1")],
        holders=[Holder("P1", holdings_worth(BTC="24", ETH="16"), target=half.text)],
        strategies=[strategy(targets=(Target(half, ()),), rebalance_on="drift")],
    )
    text = explanation.text(explained(world.workings(_bench.space()), ["P1"], []))
    assert "no leg reaches its minimum" in text
    assert "no band is breached" not in text


def test_who_is_not_reached_and_would_stay_is_told_of_its_stage() -> None:
    """A change that is not judged yet is explained by the stage that is not reached."""
    even, uneven = vector(BTC="0.5", ETH="0.5"), vector(BTC="0.52", ETH="0.48")
    world = World(
        declared=[Declared(code) for code in ("P1", "P2", "P3")],
        holders=[
            Holder(code, holdings_worth(BTC="520", ETH="480"), target=even.text)
            for code in ("P1", "P2", "P3")
        ],
        strategies=[strategy(targets=(Target(uneven, ()),))],
        rollout=(("0.01", "1"), 1, "b"),
    )
    found = explained(world.workings(_bench.space()), everybody(world), [])
    answers = [one for who in found.participants for one in who.answers if one.about == "rebalance"]
    assert {answer.why for answer in answers} == {"rollout"}
    assert "its stage of the rollout is not reached" in " ".join(explanation.text(found).split())


def test_every_verb_has_guards_and_every_guard_is_known() -> None:
    """No verb that trades is without a guard, and no guard is named that there is not."""
    trading = [verb for verb in VERB_ORDER if verb not in (Verb.CREATE, Verb.METADATA, Verb.FLAGS)]
    assert sorted(COUNTED_BY) == sorted(trading)
    assert {rule for rules in COUNTED_BY.values() for rule in rules} <= set(GUARD_RULES)
