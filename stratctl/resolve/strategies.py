"""Strategies and the targets, flags and holds that their cohorts put on top."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.money import MINOR_DIGITS, format_weight
from stratctl.core.settings import Policy
from stratctl.core.state import Course, DesiredStrategy, Drift, LiveCohort, Target
from stratctl.documents import Cohort, Members, Places, Read, Strategy, problem, warning
from stratctl.resolve.declared import declared_target
from stratctl.resolve.settings import hysteresis_of

DOCUMENTED_CURRENCIES = ("CAD", "EUR", "GBP", "JPY", "MXN", "USD")
"""Currencies that the provider's documentation names anywhere."""

ODD_CURRENCIES = frozenset(
    {
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
        "BHD",
        "IQD",
        "JOD",
        "KWD",
        "LYD",
        "OMR",
        "TND",
    }
)
"""Currencies of ISO 4217 whose minor unit is not a hundredth."""


@dataclass(frozen=True)
class CohortPlan:
    """What holds for every member of a cohort that names its members."""

    members: Members
    target: int
    """Index into the targets of its Strategy."""
    held: bool


@dataclass(frozen=True)
class Declared:
    """Strategies as declared, and the cohorts that name members of them."""

    strategies: tuple[DesiredStrategy, ...]
    cohorts: tuple[CohortPlan, ...]


def resolve_strategies(
    strategies: Sequence[Read[Strategy]],
    cohorts: Sequence[Members],
    weights: Mapping[str, Course],
    policy: Policy,
    environment: str,
    problems: list[Diagnostic],
) -> Declared:
    """Strategies ascending by name. One without a valid target is left out, as are its cohorts."""
    made: list[DesiredStrategy] = []
    named: list[CohortPlan] = []
    cohorts_of: dict[str, list[Members]] = {}
    for members in cohorts:
        cohorts_of.setdefault(members.read.document.strategy, []).append(members)
    for read in sorted(strategies, key=lambda read: (read.document.name, read.span)):
        _check_currency(read, problems)
        own = cohorts_of.pop(read.document.name, [])  # once, also where a name is used twice
        course = weights.get(read.document.name, ())
        targets = [target for _, target in course[-1:]]
        _check_caps(read.places, course, policy, problems)
        live: LiveCohort | None = None
        for members in sorted(own, key=lambda found: found.read.document.name):
            index = _target_of(members.read, targets, course, policy, problems)
            _check_managed(members.read, problems)
            held = members.read.document.hold or read.document.hold
            if members.read.document.live:
                live = live or _live(members.read, index, held)
            else:
                named.append(CohortPlan(members, index, held))
        if targets:
            path = course if len(course) > 1 else ()
            made.append(_strategy(read, tuple(targets), path, live, policy, environment, problems))
    return Declared(tuple(made), tuple(named))


def _strategy(
    read: Read[Strategy],
    targets: tuple[Target, ...],
    course: Course,
    live: LiveCohort | None,
    policy: Policy,
    environment: str,
    problems: list[Diagnostic],
) -> DesiredStrategy:
    written = read.document
    bands = written.policy.drift
    return DesiredStrategy(
        name=written.name,
        quoted_currency=written.quoted_currency,
        metadata_json=None
        if written.metadata is None
        else json.dumps(written.metadata, sort_keys=True, separators=(",", ":")),
        targets=targets,
        rebalance_on=written.rebalance.on,
        rebalance_epoch=written.rebalance.epoch,
        drift=Drift(
            policy.drift.absolute if bands.absolute is None else Fraction(bands.absolute),
            policy.drift.relative if bands.relative is None else Fraction(bands.relative),
            policy.drift.portfolio if bands.portfolio is None else Fraction(bands.portfolio),
            policy.drift.hysteresis
            if bands.hysteresis is None
            else hysteresis_of(read.places, bands.hysteresis, problems, "policy"),
        ),
        hold=written.hold,
        provider_id=written.provider_ids.get(environment),
        previously=written.previously,
        live_cohort=live,
        span=read.span,
        settings=read.places.settings(),
        course=course,
    )


def _target_of(
    cohort: Read[Cohort],
    targets: list[Target],
    course: Course,
    policy: Policy,
    problems: list[Diagnostic],
) -> int:
    """The place of the cohort's target among its Strategy's; its own is added.

    Weights of its own stay where those of the Strategy move, also when they will be the same.
    """
    written = cohort.document
    if written.allocations is None:
        return 0
    own = declared_target(written.allocations, written.exits or (), cohort.places, problems)
    if own is not None:
        _check_caps(cohort.places, (("", own),), policy, problems)
    if own is None or not targets:
        return 0
    fixed = 1 if len(course) > 1 else 0
    if own not in targets[fixed:]:
        targets.append(own)
    return targets.index(own, fixed)


def _check_caps(places: Places, course: Course, policy: Policy, problems: list[Diagnostic]) -> None:
    """No weight of any day, declared or computed, is above the cap that the policy has for its
    asset. Each asset is told once: of the last day, or else of the first that has too much."""
    caps, settings = dict(policy.asset_caps), dict(policy.settings)
    told = set()
    for _, target in (*course[-1:], *course[:-1]):
        for asset, weight_e18 in target.vector.weights_e18:
            if asset in told or weight_e18 <= caps.get(asset, weight_e18):
                continue
            told.add(asset)
            cap, where = format_weight(caps[asset]), settings[f"assets.{asset}.cap"]
            weight = format_weight(weight_e18)
            detail = f"{asset} has {weight}; assets.{asset}.cap is {cap} ({where})"
            span, way = _cause(places, target, asset, cap)
            hint = f"{way}, or raise assets.{asset}.cap"
            problems.append(problem("E_WEIGHT_CAP", detail, span, hint))


def _cause(places: Places, target: Target, asset: str, cap: str) -> tuple[Span, str]:
    """Where the weight of an asset comes from, and what to do to lower it."""
    found = target.provenance
    if found is None:
        return places.value("allocations", asset), "lower the weight"
    if found.step is not None and found.step.number < found.step.steps:
        return places.value("transition", "before", asset), "lower the weight before"
    if found.rule == "allocations":
        return places.value("allocations", asset), "lower the weight"
    return found.span, f"write cap: {cap} beside the rule"


def _live(cohort: Read[Cohort], target: int, held: bool) -> LiveCohort:
    written = cohort.document
    flags = "flags" in written.managed
    return LiveCohort(
        cohort=written.name,
        target=target,
        flag=written.auto_rebalance if flags else None,
        allocations="allocations" in written.managed,
        flags=flags,
        held=held,
        overrides_flag=written.rebalance_opted_out,
        span=cohort.span,
    )


def _check_managed(cohort: Read[Cohort], problems: list[Diagnostic]) -> None:
    """What a cohort says about something that it does not manage would never come true."""
    written, managed = cohort.document, cohort.document.managed
    said = {
        "allocations": ("allocations", written.allocations is not None),
        "auto_rebalance": ("flags", written.auto_rebalance is not None),
        "funding": ("funding", bool(written.funding)),
        "payouts": ("funding", bool(written.payouts)),
    }
    for key, (needed, is_said) in said.items():
        if is_said and needed not in managed:
            detail = f"{key} is given, but {written.name} does not manage {needed}"
            hint = f"add {needed} to manages, or delete {key}"
            problems.append(problem("E_MANAGES", detail, cohort.places.key(key), hint))
    if written.live and "flags" in managed and written.auto_rebalance is None:
        hint = "say auto_rebalance: true or false, or leave flags out"
        detail = f"{written.name} manages flags without saying which"
        problems.append(problem("E_MANAGES", detail, cohort.places.key("manages"), hint))


def _check_currency(read: Read[Strategy], problems: list[Diagnostic]) -> None:
    currency = read.document.quoted_currency
    span = read.places.value("quoted_currency")
    known = ", ".join(DOCUMENTED_CURRENCIES)
    if currency in ODD_CURRENCIES and currency not in MINOR_DIGITS:
        detail = f"the minor unit of {currency} is not a hundredth, and is not known here"
        problems.append(problem("E_CURRENCY", detail, span, f"documented: {known}"))
    elif currency not in DOCUMENTED_CURRENCIES:
        detail = f"the provider's documentation does not name {currency}"
        problems.append(warning("W_CURRENCY", detail, span, f"documented: {known}"))
