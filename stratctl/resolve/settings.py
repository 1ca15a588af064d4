"""The environment, the policy and the acknowledgements as exact values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from stratctl.core.diagnostic import Diagnostic, Span
from stratctl.core.money import PRICE_DIGITS, parse_units, parse_weight
from stratctl.core.plan import Acknowledgement as Widening
from stratctl.core.settings import (
    AT_ONCE,
    CAP_RULES,
    GUARD_RULES,
    Cooldown,
    Environment,
    Guard,
    Policy,
    Rollout,
)
from stratctl.core.state import Drift
from stratctl.core.windows import Window, Windows, window_of
from stratctl.core.words import count
from stratctl.documents import (
    Acknowledgement,
    Places,
    Project,
    ProjectEnvironment,
    Read,
    problem,
)
from stratctl.documents import Policy as WrittenPolicy
from stratctl.documents.kinds import Rollout as WrittenRollout

HOSTS = {
    "prod": "api.zerohash.com",
    "prod-eu": "api.zerohash.eu",
    "cert": "api.cert.zerohash.com",
    "cert-eu": "api.cert.zerohash.eu",
}
"""The provider's documented host of each realm."""


def environment_of(project: Read[Project], name: str, problems: list[Diagnostic]) -> Environment:
    """One environment of the project file."""
    document, places = project.document, project.places
    written = document.environments[name]
    for other, settings in document.environments.items():
        mismatch = _mismatch(settings)
        if mismatch:
            span = places.value("environments", other, "endpoint")
            problems.append(problem("E_ENV_MISMATCH", mismatch[0], span, mismatch[1]))
    return Environment(
        name=name,
        realm=written.realm,
        endpoint=written.endpoint,
        platform_code=written.platform_code,
        funding_model=written.funding_model,
        float_account=_float_account(written),
        journal_directory=document.journal.directory,
        journal_persistent=document.journal.persistent,
        journal_git=(git.remote, git.branch) if (git := document.journal.git) else None,
        generation=document.generation,
    )


def _mismatch(environment: ProjectEnvironment) -> tuple[str, str] | None:
    """Why a realm must not be reached at an endpoint: the journal would record the wrong one."""
    endpoint, realm = environment.endpoint, environment.realm
    here = endpoint == "sandbox" or endpoint.startswith("http://")
    if here != (realm == "sandbox"):
        allowed = "sandbox or an address of this machine" if realm == "sandbox" else HOSTS[realm]
        return f"realm {realm} at {endpoint}", f"realm {realm} belongs to {allowed}"
    host = endpoint.removeprefix("https://").partition(":")[0]
    owner = next((known for known, address in HOSTS.items() if address == host), realm)
    if owner != realm:
        return f"{host} is realm {owner}, not {realm}", f"use https://{HOSTS[realm]}"
    return None


def _float_account(environment: ProjectEnvironment) -> tuple[str, str, str]:
    """The account that pays, as the provider documents it for each funding model."""
    account, platform = environment.float_account, environment.platform_code
    if account is not None:
        return (account.owner, account.group, account.label)
    house = "ZHDSEU" if environment.realm.endswith("-eu") else "00SCXM"
    if environment.funding_model == "standard":
        return (platform, house, "general")
    owner = house if environment.funding_model == "novated" else ""
    return (owner, platform, "general")


# --- policy ----------------------------------------------------------------------------------


def policy_of(read: Read[WrittenPolicy] | None, problems: list[Diagnostic]) -> Policy:
    """The policy; the defaults where it could not be read, which is an error already."""
    written = read.document if read else WrittenPolicy(kind="Policy", version=1)
    leg = {"default": "5.00", **written.minimums.leg}
    return Policy(
        drift=Drift(
            Fraction(written.drift.absolute),
            Fraction(written.drift.relative),
            Fraction(written.drift.portfolio),
            hysteresis_of(read.places if read else None, written.drift.hysteresis, problems),
        ),
        minimum_leg_default_e8=parse_units(leg.pop("default"), PRICE_DIGITS),
        minimum_leg_e8=tuple(
            (asset, parse_units(amount, PRICE_DIGITS)) for asset, amount in sorted(leg.items())
        ),
        minimum_account_e8=parse_units(written.minimums.account, PRICE_DIGITS),
        price_max_age_seconds=written.prices.max_age_seconds,
        price_max_move=Fraction(written.prices.max_move),
        price_max_deviation=Fraction(written.prices.max_deviation),
        guards=tuple(
            Guard(rule, Fraction(str(getattr(written.guards, rule))), _setting(read, rule))
            for rule in GUARD_RULES
            if hasattr(written.guards, rule)
        )
        + tuple(_caps(read)),
        participants_per_call=written.calls.participants,
        cash_flow=written.cash_flow,
        destination=written.destination,
        both_directions=written.both_directions,
        cooldown=Cooldown(written.cooldown.hours, Fraction(written.cooldown.bypass)),
        rollout=_rollout(read, written.rollout, problems),
        sides=tuple(
            (asset, rule.side)
            for asset, rule in sorted(written.assets.items())
            if rule.side != "both"
        ),
        asset_caps=tuple(
            (asset, parse_weight(rule.cap))
            for asset, rule in sorted(written.assets.items())
            if rule.cap is not None
        ),
        windows=Windows(
            _windows(read, "allow", written.windows.allow, problems),
            _windows(read, "blackout", written.windows.blackout, problems),
        ),
        settings=read.places.settings() if read else (),
    )


def hysteresis_of(
    places: Places | None, written: str, problems: list[Diagnostic], *above: str
) -> Fraction:
    """How far inside its band a rebalance ends. At its very edge the next one would follow at the
    next cent. ``above``: the keys around ``drift``."""
    hysteresis = Fraction(written)
    if not hysteresis:
        assert places is not None, "the default is right"
        span = places.value(*above, "drift", "hysteresis")
        detail = f"hysteresis {written} leaves nothing between a rebalance and the next one"
        problems.append(problem("E_VALUE", detail, span, "write for example 0.125"))
    return hysteresis


def _windows(
    read: Read[WrittenPolicy] | None, key: str, texts: Sequence[str], problems: list[Diagnostic]
) -> tuple[Window, ...]:
    """The windows that can be understood; the others become problems."""
    windows = []
    for index, text in enumerate(texts):
        try:
            windows.append(window_of(text))
        except ValueError as error:
            assert read is not None, "the defaults are understood"
            span = read.places.value("windows", key, index)
            problems.append(problem("E_WINDOW", str(error), span, WINDOW_HINT))
    return tuple(windows)


def _rollout(
    read: Read[WrittenPolicy] | None, written: WrittenRollout, problems: list[Diagnostic]
) -> Rollout:
    """The stages; everybody at once where they do not lead there, which is an error already."""
    stages = tuple(Fraction(stage) for stage in written.stages)
    rising = all(low < high for low, high in pairwise((Fraction(0), *stages)))
    wrong = (
        ("stages", not rising, "the stages do not rise from above 0"),
        ("stages", stages[-1] != 1, "the last stage is not everybody"),
        (
            "stage",
            (written.stage or 1) > len(stages),
            f"there {'is' if len(stages) == 1 else 'are'} {count(len(stages), 'stage')}",
        ),
        ("stages", len(stages) > 1 and written.salt is None, "stages need a salt"),
    )
    found = [(key, detail) for key, is_wrong, detail in wrong if is_wrong]
    for key, detail in found:
        assert read is not None, "the defaults are right"
        span = read.places.value("rollout", key)
        hint = 'write stages: [0.01, 0.10, 1], salt: "2026Q4", and a stage from 1 to 3 or none'
        problems.append(problem("E_ROLLOUT", detail, span, hint))
    if found:
        return AT_ONCE
    return Rollout(
        stages=stages,
        stage=written.stage or len(stages),
        salt=written.salt or "",
        soak_minutes=written.soak_minutes,
        halt_on_rejects=Fraction(written.halt_on_rejects),
    )


WINDOW_HINT = (
    "write Mon-Fri 09:00-17:00 America/New_York, or a span of dates in quotes:"
    ' "2026-12-24 to 2026-12-26 UTC"'
)


def _setting(read: Read[WrittenPolicy] | None, rule: str) -> Span | None:
    if read is None or not read.places.written("guards", rule):
        return None
    return read.places.value("guards", rule)


def _caps(read: Read[WrittenPolicy] | None) -> Iterator[Guard]:
    """The caps that are set; without one there is no limit."""
    if read is None:
        return
    for rule in CAP_RULES:
        what = rule.removeprefix("cap_")
        amount = getattr(read.document.caps, what)
        if amount is not None:
            yield Guard(rule, Fraction(amount), read.places.value("caps", what))


def acknowledgements(found: Sequence[Read[Acknowledgement]]) -> tuple[Widening, ...]:
    """Acknowledgements in the order of their names."""
    return tuple(
        Widening(
            name=read.document.name,
            rules=read.document.rules.written,
            reason=read.document.reason,
            expires=read.document.expires,
            span=read.span,
        )
        for read in sorted(found, key=lambda read: read.document.name)
    )
