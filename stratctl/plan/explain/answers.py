"""Why a flow, an exit, a rebalance or a flag happens to one participant, or does not.

The planner's verdict is given; what is added here are the settings that led to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stratctl.core.explanation import Answer, Membership, Rule
from stratctl.core.money import PRICE_DIGITS, format_ratio, format_units
from stratctl.core.state import Verb
from stratctl.plan.explain.rules import FLOW_VERBS, bands, rule, to_the_edge

if TYPE_CHECKING:
    from stratctl.core.settings import Policy
    from stratctl.core.state import DesiredStrategy

Row = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """What the tables of a plan say about one participant in one Strategy."""

    fact: Row
    """FACT_ROWS"""
    strategy: DesiredStrategy
    policy: Policy
    verbs: Mapping[Verb, Membership]
    """Its rows in the plan."""
    flows_held: Sequence[Row]
    """BLOCKED_ROWS of flows and exits only."""
    held: Sequence[Row]
    """BLOCKED_ROWS of the whole plan."""
    stopped: tuple[str, str] | None
    """(reason, detail) of what stops everything about it."""
    verdict: str | None
    """On its rebalance, where it was a candidate."""


def answers(known: Known) -> Iterator[Answer]:
    """One answer about money, or one for each way, one about a rebalance, one about the flag."""
    yield from (_exit(known),) if known.fact["exited"] else _flows(known)
    yield _rebalance(known)
    yield _flag(known)


def _exit(known: Known) -> Answer:
    if Verb.LIQUIDATE in known.verbs:
        return Answer("exit", True, "exited", known.verbs[Verb.LIQUIDATE].reason, ())
    return _not_sent(known, "exit", "has_left" if known.fact["has_left"] else "not_enrolled")


def _flows(known: Known) -> Iterator[Answer]:
    sent = [known.verbs[verb] for verb in FLOW_VERBS if verb in known.verbs]
    for row in sent:
        named = [("cash_flow", known.policy.cash_flow)] * (row.aimed or row.call.after_rebalance)
        named += [("both_directions", known.policy.both_directions)] * (len(sent) > 1)
        rules = _policy(known, *named)
        yield Answer("flow", True, row.call.verb.value, row.reason, rules)
    if sent:
        return
    if not known.fact["manages_funding"]:
        yield Answer("flow", False, "funding_not_managed", "", ())
        return
    yield _not_sent(known, "flow", "in_step")


def _not_sent(known: Known, about: str, otherwise: str) -> Answer:
    """What held a flow or an exit back; ``otherwise``: nothing did, there was none."""
    fact = known.fact
    wanted = fact["more_in_minor"] or fact["more_out_minor"] or fact["leaving"]
    for row in (*known.flows_held, *(known.held if wanted else ())):
        return _held_back(known, about, row["reason"], row["detail"])
    return Answer(about, False, otherwise, "", ())


def _rebalance(known: Known) -> Answer:
    fact, strategy = known.fact, known.strategy
    on = rule("rebalance.on", strategy.rebalance_on, strategy.settings)
    drift = bands(strategy, known.policy.settings)
    if Verb.REBALANCE in known.verbs:
        row = known.verbs[Verb.REBALANCE]
        epoch = rule("rebalance.epoch", str(strategy.rebalance_epoch), strategy.settings)
        asked = {"epoch": (epoch,), "changed": _step(known), "unknown": drift}
        decided = asked.get(fact["retarget"], (on, *drift))
        edge = to_the_edge(strategy, known.policy.settings) if row.aimed else ()
        return Answer("rebalance", True, fact["retarget"], row.reason, (*decided, *edge))
    if Verb.ENROLL in known.verbs:
        return Answer("rebalance", False, "enrolled_at_target", "", ())
    if fact["has_left"] and known.verbs.keys().isdisjoint(FLOW_VERBS):
        return Answer("rebalance", False, "has_left", "", ())
    if fact["not_rebalanced"] is not None:
        rules = (on,) if fact["not_rebalanced"] == "never" else ()
        detail = fact["standing"] if fact["not_rebalanced"] == "standing" else ""
        return Answer("rebalance", False, fact["not_rebalanced"], detail, rules)
    if fact["retarget"] is None:
        return Answer("rebalance", False, "target_satisfied", "", (on,))
    if known.stopped is not None:
        return _held_back(known, "rebalance", *known.stopped)
    if known.verdict == "satisfied":
        if fact["retarget"] in ("changed", "epoch"):
            return Answer("rebalance", False, "within_minimum", "", _minimums(known))
        return Answer("rebalance", False, "in_band", "", (on, *drift))
    for held in known.held:
        if held["reason"] in (known.verdict, "rollout"):
            return _held_back(known, "rebalance", held["reason"], held["detail"])
    if known.verdict is None and known.policy.rollout.staged:
        # Who is not reached is not judged, and nobody waits whom the change would leave as it is.
        return _held_back(known, "rebalance", "rollout", "")
    return Answer("rebalance", False, "held_back", "", ())


def _flag(known: Known) -> Answer:
    fact = known.fact
    if Verb.FLAGS in known.verbs:
        return Answer("flag", True, "differs", known.verbs[Verb.FLAGS].reason, ())
    if Verb.ENROLL in known.verbs:
        return Answer("flag", True, "enrolled_with", "", ())
    if not fact["manages_flags"]:
        return Answer("flag", False, "flags_not_managed", "", ())
    if fact["trader_id"] is None:
        return Answer("flag", False, "not_enrolled", "", ())
    if not fact["flag_differs"]:
        return Answer("flag", False, "as_declared", "", ())
    return _held_back(known, "flag", *(known.stopped or ("held_back", "")))


# --- settings that decided ---------------------------------------------------------------------


def _held_back(known: Known, about: str, why: str, detail: str) -> Answer:
    """With the settings that hold it back, where some do."""
    strategy, policy = known.strategy, known.policy
    rules: tuple[Rule, ...] = ()
    if why == "below_leg_minimum":
        rules = _minimums(known)
    elif why == "below_account_minimum":
        least = format_units(policy.minimum_account_e8, PRICE_DIGITS, least=2)
        rules = _policy(known, ("minimums.account", least))
    elif why == "partial_sell_infeasible":
        rules = _policy(known, ("cash_flow", policy.cash_flow))
    elif why == "cooldown":
        hours, bypass = str(policy.cooldown.hours), format_ratio(policy.cooldown.bypass)
        rules = _policy(known, ("cooldown.hours", hours), ("cooldown.bypass", bypass))
    elif why == "side_forbids":
        named = strategy.targets[known.fact["target"]].rebalance_vector.assets
        sides = [(f"assets.{asset}.side", side) for asset, side in policy.sides if asset in named]
        rules = _policy(known, *sides)
    elif why == "rollout":
        rules = _stages(known)
    elif why == "hold" and strategy.hold:
        rules = (Rule("hold", "true", dict(strategy.settings).get("hold", strategy.span)),)
    return Answer(about, False, why, detail, rules)


def _step(known: Known) -> tuple[Rule, ...]:
    """The step that changed a target, where its weights move by dates."""
    found = known.strategy.targets[known.fact["target"]].provenance
    if found is None or found.step is None:
        return ()
    step = found.step
    return (Rule("transition", f"step {step.number} of {step.steps}", step.span),)


def _stages(known: Known) -> tuple[Rule, ...]:
    rollout = known.policy.rollout
    return _policy(
        known,
        ("rollout.stages", ", ".join(map(format_ratio, rollout.stages))),
        ("rollout.stage", str(rollout.stage)),
        ("rollout.salt", rollout.salt),
    )


def _policy(known: Known, *named: tuple[str, str]) -> tuple[Rule, ...]:
    return tuple(rule(name, value, known.policy.settings) for name, value in named)


def _minimums(known: Known) -> tuple[Rule, ...]:
    """The smallest legs of a target's assets, by the lines that set them."""
    written = {name for name, _ in known.policy.settings}
    named: dict[str, str] = {}
    for asset in known.strategy.targets[known.fact["target"]].rebalance_vector.assets:
        own = f"minimums.leg.{asset}"
        amount = format_units(known.policy.leg_minimum_e8(asset), PRICE_DIGITS, least=2)
        named[own if own in written else "minimums.leg.default"] = amount
    return _policy(known, *named.items())
