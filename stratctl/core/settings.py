"""What an environment and its policy say, resolved to exact values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from stratctl.core.diagnostic import Span
from stratctl.core.plan import Acknowledgement
from stratctl.core.state import Desired, Drift

GUARD_RULES = (
    "liquidations",
    "asset_exits",
    "removals",
    "removals_share",
    "cash_in",
    "turnover",
    "avoidable_sells",
    "partial_sell_share",
    "float",
    "parked",
)
"""Every rule that ``--ack RULE=N`` or an Acknowledgement may widen, in the order of reports.
``float`` has no limit in the policy: its limit is what the funding account has available. Nor has
``parked``: a row that the provider refused waits until an acknowledgement names how many there
are."""


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
    participants_per_call: int

    def guard(self, rule: str) -> Guard:
        (found,) = (guard for guard in self.guards if guard.rule == rule)
        return found

    def leg_minimum_e8(self, asset: str) -> int:
        """Smallest leg worth sending, in 10⁻⁸ of the Strategy's currency."""
        return dict(self.minimum_leg_e8).get(asset, self.minimum_leg_default_e8)


@dataclass(frozen=True)
class Configuration:
    """Everything that the project's files say for one environment."""

    environment: Environment
    policy: Policy
    desired: Desired
    acknowledgements: tuple[Acknowledgement, ...]
    checked: tuple[str, ...] = ()
    """The environments that were resolved to find every problem, ascending."""
