"""Names and references: unique where they identify, known where they point."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.documents import (
    Acknowledgement,
    Cohort,
    Documents,
    Members,
    Places,
    Read,
    Strategy,
    problem,
)

Placed = TypeVar("Placed", Strategy, Cohort, Acknowledgement)


def within(found: Iterable[Read[Placed]], environment: str) -> list[Read[Placed]]:
    """The documents that exist in an environment; without ``environments`` it is in all."""
    return [read for read in found if in_environment(read.document, environment)]


def in_environment(document: Strategy | Cohort | Acknowledgement, environment: str) -> bool:
    """Whether a document exists in an environment."""
    named = getattr(document, "environments", None)
    return named is None or environment in named


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(names[:20])}" if names else "none is declared"


def check_names(
    documents: Documents,
    strategies: Sequence[Read[Strategy]],
    cohorts: Sequence[Members],
    environment: str,
    problems: list[Diagnostic],
) -> None:
    """Findings about names and references, appended to ``problems``."""
    members = [cohort.read for cohort in cohorts]
    _unique("Strategy", [(read.document.name, read) for read in strategies], problems)
    _unique("Cohort", [(read.document.name, read) for read in members], problems)
    said = [(read.document.name, read) for read in documents.acknowledgements]
    _unique("Acknowledgement", said, problems)
    _earlier_names("Strategy", strategies, problems)
    _earlier_names("Cohort", members, problems)
    _environments(documents, problems)
    _references(documents, strategies, members, problems)
    _one_live_cohort(members, problems)
    _funding_keys(members, problems)
    _adopted_once(strategies, environment, problems)


def _unique(
    kind: str,
    named: Sequence[tuple[str, Read[Strategy] | Read[Cohort] | Read[Acknowledgement]]],
    problems: list[Diagnostic],
) -> None:
    first: dict[str, str] = {}
    for name, read in sorted(named, key=lambda item: item[1].span):
        if name in first:
            detail = f"{kind} {name} is declared at {first[name]} already"
            problems.append(problem("E_DUP_NAME", detail, read.span, "rename or delete one"))
        else:
            first[name] = str(read.span)


def _earlier_names(
    kind: str,
    found: Sequence[Read[Strategy] | Read[Cohort]],
    problems: list[Diagnostic],
) -> None:
    """A name that was given up must be free, or two documents would claim one history."""
    taken = {read.document.name: str(read.span) for read in found}
    for read in sorted(found, key=lambda read: read.span):
        for index, name in enumerate(read.document.previously):
            span = read.places.value("previously", index)
            if name in taken:
                detail = f"the earlier name {name} belongs to the {kind} at {taken[name]}"
                problems.append(problem("E_DUP_NAME", detail, span, "each name has one owner"))
            else:
                taken[name] = str(span)


def _environments(documents: Documents, problems: list[Diagnostic]) -> None:
    known = documents.environments
    project = documents.project
    default = project.document.default_environment
    if default is not None and default not in known:
        span = project.places.value("default_environment")
        problems.append(_unknown_environment(default, span, known))
    for read in documents.strategies:
        _listed_environments(read.document.environments, read.places, known, problems)
        for name in read.document.provider_ids:
            if name not in known:
                span = read.places.key("provider_ids", name)
                problems.append(_unknown_environment(name, span, known))
    for members in documents.cohorts:
        cohort = members.read
        _listed_environments(cohort.document.environments, cohort.places, known, problems)


def _unknown_environment(name: str, span: Span, known: Sequence[str]) -> Diagnostic:
    detail = f"stratctl.yaml declares no {name!a}"
    return problem("E_UNKNOWN_ENVIRONMENT", detail, span, nearest(name, known))


def _listed_environments(
    named: Sequence[str] | None,
    places: Places,
    known: Sequence[str],
    problems: list[Diagnostic],
) -> None:
    for index, name in enumerate(named or ()):
        if name not in known:
            span = places.value("environments", index)
            problems.append(_unknown_environment(name, span, known))


def unknown_strategy(
    documents: Documents, name: str, known: Iterable[str]
) -> tuple[str, str] | None:
    """(detail, hint) when no Strategy has this name; None when one of those that have problems
    may be the one."""
    if documents.broken is None or name in documents.broken:
        return None
    elsewhere = any(read.document.name == name for read in documents.strategies)
    if elsewhere:
        return f"{name} does not exist in this environment", "add the environment to the Strategy"
    return f"{name} is not declared", nearest(name, known)


def _references(
    documents: Documents,
    strategies: Sequence[Read[Strategy]],
    cohorts: Sequence[Read[Cohort]],
    problems: list[Diagnostic],
) -> None:
    known = {read.document.name for read in strategies}
    for cohort in cohorts:
        name = cohort.document.strategy
        if name not in known and (said := unknown_strategy(documents, name, known)):
            span = cohort.places.value("strategy")
            problems.append(problem("E_UNKNOWN_STRATEGY", said[0], span, said[1]))


def _one_live_cohort(cohorts: Sequence[Read[Cohort]], problems: list[Diagnostic]) -> None:
    first: dict[str, Read[Cohort]] = {}
    for cohort in sorted(cohorts, key=lambda read: read.span):
        if not cohort.document.live:
            continue
        taken = first.setdefault(cohort.document.strategy, cohort)
        if taken is not cohort:
            detail = (
                f"{taken.document.name} at {taken.span} takes the live Traders of "
                f"{cohort.document.strategy} already"
            )
            span = cohort.places.value("source")
            problems.append(problem("E_LIVE_TWICE", detail, span, "keep one of them"))


def _funding_keys(cohorts: Sequence[Read[Cohort]], problems: list[Diagnostic]) -> None:
    """A key names one payment for good, so it may stand in one place only."""
    first: dict[str, str] = {}
    for cohort in sorted(cohorts, key=lambda read: read.span):
        for label in ("funding", "payouts"):
            for index, entry in enumerate(getattr(cohort.document, label)):
                span = cohort.places.value(label, index, "key")
                if entry.key in first:
                    detail = f"{entry.key} is used at {first[entry.key]} already"
                    hint = "give every contribution and payout a key of its own"
                    problems.append(problem("E_DUP_KEY", detail, span, hint))
                else:
                    first[entry.key] = str(span)


def _adopted_once(
    strategies: Sequence[Read[Strategy]], environment: str, problems: list[Diagnostic]
) -> None:
    first: dict[str, str] = {}
    for read in sorted(strategies, key=lambda read: read.span):
        provider_id = read.document.provider_ids.get(environment)
        if provider_id is None:
            continue
        span = read.places.value("provider_ids", environment)
        if provider_id in first:
            detail = f"{provider_id} stands at {first[provider_id]} already"
            problems.append(problem("E_DUP_ADOPTED", detail, span, "keep one of them"))
        else:
            first[provider_id] = str(span)
