"""What an environment and its policy say, resolved to exact values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import ceil

from stratctl.core.diagnostic import Settings, Span
from stratctl.core.money import PRICE_DIGITS, WEIGHT_ONE_E18, minor_digits
from stratctl.core.plan import Acknowledgement
from stratctl.core.state import Desired, Drift, Vector
from stratctl.core.windows import ALWAYS, Windows

CAP_RULES = ("cap_participant", "cap_call", "cap_run", "cap_day")
"""Limits of money that nobody has who does not ask for them; in the policy under ``caps``."""

GUARD_RULES = (
    "liquidations",
    "asset_exits",
    "removals",
    "removals_share",
    "cash_in",
    *CAP_RULES,
    "turnover",
    "avoidable_sells",
    "partial_sell_share",
    "float",
    "parked",
    "stale_flows",
)
"""Every rule that ``--ack RULE=N`` or an Acknowledgement may widen, in the order of reports.
``float`` has no limit in the policy: its limit is what the funding account has available. Nor have
``parked`` and ``stale_flows``: rows that the provider refused, and flows that waited for more than
a week, stay until an acknowledgement names how many there are."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment of the project file."""

    name: str
    realm: str
    """One of slots.REALMS; fixed for good in the journal."""
    endpoint: str
    """A base URL, or ``sandbox`` for the one that is running."""
    platform_code: str
    funding_model: str
    """novated | direct | standard: whose account pays for buys."""
    float_account: tuple[str, str, str]
    """(account_owner, account_group, account_label) of the float."""
    journal_directory: str
    """Relative to the project root; holds one journal per environment."""
    journal_persistent: bool
    journal_git: tuple[str, str] | None
    """(remote, branch) when it is kept on a Git branch, and not in that directory."""
    generation: int | None

    @property
    def production(self) -> bool:
        return self.realm.startswith("prod")


@dataclass(frozen=True, slots=True)
class Guard:
    """A limit that stops a plan when the measure is strictly above it."""

    rule: str
    limit: Fraction
    """A count, a share of 1, or an amount in whole currency units, as the rule says."""
    setting: Span | None
    """Where it is set; None when it is the default."""


@dataclass(frozen=True, slots=True)
class Cooldown:
    """How long a participant rests after a rebalance before drift is repaired again."""

    hours: int
    """0: nobody rests."""
    bypass: Fraction
    """Portfolio drift strictly above this is repaired all the same."""

    def rests_after(self, as_of: str) -> int:
        """Who was rebalanced later than this (Unix seconds) rests at ``as_of`` (RFC 3339)."""
        return int(datetime.fromisoformat(as_of).timestamp()) - self.hours * 3600


@dataclass(frozen=True, slots=True)
class Rollout:
    """Stages by which declared changes of targets reach participants."""

    stages: tuple[Fraction, ...]
    """Shares of everybody, rising to 1."""
    stage: int
    """The last one that may be reached, from 1."""
    salt: str
    soak_minutes: int
    halt_on_rejects: Fraction

    @property
    def staged(self) -> bool:
        """Whether anybody ever waits."""
        return len(self.stages) > 1


AT_ONCE = Rollout((Fraction(1),), 1, "", 30, Fraction(2, 100))


@dataclass(frozen=True, slots=True)
class Policy:
    """The resolved policy."""

    drift: Drift
    minimum_leg_default_e8: int
    minimum_leg_e8: tuple[tuple[str, int], ...]
    minimum_account_e8: int
    price_max_age_seconds: int
    price_max_move: Fraction
    price_max_deviation: Fraction
    guards: tuple[Guard, ...]
    """Of CAP_RULES, only those that are set."""
    participants_per_call: int
    cash_flow: str = "off"
    """off: flows at declared weights | shared: at vectors that also repair drift."""
    destination: str = "target"
    """Where a breached band is rebalanced to: target | edge."""
    cooldown: Cooldown = Cooldown(168, Fraction(1, 10))
    both_directions: str = "refuse"
    """Both totals of one participant rise: refuse | send both flows."""
    sides: tuple[tuple[str, str], ...] = ()
    """(asset, buy | sell | freeze) of assets that are never sold, never bought, or neither."""
    asset_caps: tuple[tuple[str, int], ...] = ()
    """(asset, largest weight in 10⁻¹⁸)."""
    windows: Windows = ALWAYS
    rollout: Rollout = AT_ONCE
    settings: Settings = ()
    """Where each setting stands that is not a default."""

    @property
    def caps(self) -> dict[str, Fraction]:
        """The caps that are set, by rule, in whole currency units."""
        return {guard.rule: guard.limit for guard in self.guards if guard.rule in CAP_RULES}

    def guard(self, rule: str) -> Guard:
        (found,) = (guard for guard in self.guards if guard.rule == rule)
        return found

    def leg_minimum_e8(self, asset: str) -> int:
        """Smallest leg worth sending, in 10⁻⁸ of the Strategy's currency."""
        return dict(self.minimum_leg_e8).get(asset, self.minimum_leg_default_e8)

    def flow_least_minor(self, vector: Vector, currency: str) -> int:
        """The smallest flow whose every leg reaches its minimum, in minor units."""
        least_e8 = max(
            Fraction(self.leg_minimum_e8(asset) * WEIGHT_ONE_E18, weight_e18)
            for asset, weight_e18 in vector.weights_e18
        )
        return ceil(least_e8 / _minor_e8(currency))

    def account_least_minor(self, currency: str) -> int:
        """The smallest amount that may be enrolled, in minor units."""
        return ceil(Fraction(self.minimum_account_e8, _minor_e8(currency)))


def _minor_e8(currency: str) -> int:
    """One minor unit in 10⁻⁸ of the currency."""
    return int(10 ** (PRICE_DIGITS - minor_digits(currency)))


@dataclass(frozen=True)
class Configuration:
    """Everything that the project's files say for one environment."""

    environment: Environment
    policy: Policy
    desired: Desired
    acknowledgements: tuple[Acknowledgement, ...]
    checked: tuple[str, ...] = ()
    """The environments that were resolved to find every problem, ascending."""
