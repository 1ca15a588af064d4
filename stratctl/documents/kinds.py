"""The kinds of documents: Project, Policy, Strategy, Cohort, Acknowledgement.

Amounts, weights and fractions stay the exact text that was written. A rule that needs more than
one document, a currency or arithmetic is not here but in ``resolve``, so that model and schema
always give the same verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from stratctl.core.settings import GUARD_RULES
from stratctl.documents.grammar import (
    NAME_SCHEMA,
    PATTERN_SCHEMA,
    QUERY_SCHEMA,
    SHA256_SCHEMA,
    AccountLabel,
    Allocations,
    Amount,
    AssetCode,
    Assets,
    Blend,
    Count,
    CurrencyCode,
    Date,
    Endpoint,
    Flag,
    FreeText,
    GitName,
    Metadata,
    Name,
    Names,
    ParticipantCode,
    Path,
    Pattern,
    PlatformCode,
    ProviderIds,
    Query,
    Ratio,
    SettingKey,
    Sha256,
    SomeAssets,
    SomeNames,
    Version,
    Weight,
    listed,
)

MANAGEABLE = ("membership", "funding", "allocations", "flags")
WEIGHT_SOURCES = ("allocations", "equal_weight", "blend", "mirror")

_KIND = "What this document declares."


class Part(BaseModel):
    """A closed mapping: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_null(cls, written: Any) -> Any:
        """What is not said is left out: an empty value is no way of leaving it to its default."""
        if isinstance(written, Mapping) and any(value is None for value in written.values()):
            raise ValueError("a value is missing")
        return written


class Document(Part):
    """One YAML document; ``kind`` and ``version`` say how to read it."""

    kind: str = Field(description=_KIND)
    version: Version = Field(description="Version of this kind of document.", examples=[1])


# --- Strategy --------------------------------------------------------------------------------


class DriftBands(Part):
    """Bands around the target weights. A breach is strictly above any of them."""

    absolute: Ratio = Field(
        default="0.05", description="Distance from a target weight, of the whole."
    )
    relative: Ratio = Field(
        default="0.25", description="Distance from a target weight, of that weight."
    )
    portfolio: Ratio = Field(default="0.07", description="Half the sum of all distances.")
    hysteresis: Weight = Field(
        default="0.125",
        description="With destination: edge, how far inside its band a rebalance ends, of that"
        " band. Above 0; at 1 it ends at the target.",
    )


class DriftOverrides(Part):
    """Bands of one Strategy; what is not said here is as the policy has it."""

    absolute: Ratio | None = Field(
        default=None, description="Distance from a target weight, of the whole."
    )
    relative: Ratio | None = Field(
        default=None, description="Distance from a target weight, of itself."
    )
    portfolio: Ratio | None = Field(default=None, description="Half the sum of all distances.")
    hysteresis: Weight | None = Field(
        default=None, description="How far inside its band a rebalance to the edge ends."
    )


class PolicyOverrides(Part):
    """What a Strategy may set otherwise than the policy."""

    drift: DriftOverrides = Field(
        default=DriftOverrides(), description="Drift bands of this Strategy."
    )


class Rebalance(Part):
    """When this Strategy is rebalanced."""

    on: Literal["change", "drift", "never"] = Field(
        default="change",
        description="change: when the target changes; drift: also when a band is breached; never.",
    )
    epoch: Count = Field(
        default=0, description="Raise it to ask for one more rebalance of everybody."
    )


class Transition(Part):
    """Steps of one size by which the weights of a Strategy move from old ones to its own.

    A step holds for everybody from its first day on, at midnight UTC.
    """

    before: Allocations = Field(
        description="The weights before the first step. They add up to exactly 1.",
        examples=[{"BTC": "0.70", "ETH": "0.20", "SOL": "0.10"}],
    )
    begins: Date = Field(description="The day of the first step (UTC).", examples=["2026-12-01"])
    steps: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        default=4, description="How many; the last one ends at the Strategy's weights."
    )
    every_days: Annotated[int, Field(strict=True, ge=1, le=366)] = Field(
        default=7, description="Days from one step to the next."
    )


class Strategy(Document):
    """A multi-asset basket: its currency, its target weights and when it is rebalanced."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [source]} for source in WEIGHT_SOURCES],
            "dependentSchemas": {"cap": {"not": {"required": ["allocations"]}}},
            "examples": [
                {
                    "kind": "Strategy",
                    "version": 1,
                    "name": "blue-chip",
                    "quoted_currency": "USD",
                    "allocations": {"BTC": "0.50", "ETH": "0.30", "SOL": "0.20"},
                }
            ],
        }
    )

    kind: Literal["Strategy"] = Field(description=_KIND)
    name: Name = Field(description="The identity of the Strategy. It never changes.")
    quoted_currency: CurrencyCode = Field(description="Currency in which its participants pay.")
    metadata: Metadata | None = Field(
        default=None,
        description="Keys of the provider's metadata that are kept at these values. Others stay.",
        examples=[{"platform_label": "Blue Chip Crypto"}],
    )
    allocations: Allocations | None = Field(
        default=None,
        description="Target weights per asset. They add up to exactly 1.",
        examples=[{"BTC": "0.50", "ETH": "0.30", "SOL": "0.20"}],
    )
    equal_weight: SomeAssets | None = Field(
        default=None,
        description="Assets that all have the same weight.",
        examples=[["BTC", "ETH", "SOL"]],
    )
    blend: Blend | None = Field(
        default=None,
        description="Other Strategies and the share of each. The shares add up to exactly 1.",
        examples=[{"blue-chip": "0.6", "defi": "0.4"}],
    )
    mirror: Name | None = Field(
        default=None, description="The Strategy whose weights this one takes."
    )
    cap: Ratio | None = Field(
        default=None,
        description="Largest weight of one asset; the rest is shared out in proportion. For "
        "equal_weight, blend and mirror.",
        examples=["0.25"],
    )
    transition: Transition | None = Field(
        default=None,
        description="Steps by which the weights above are reached, on set days; at once when not"
        " said.",
        examples=[{"before": {"BTC": "0.70", "ETH": "0.30"}, "begins": "2026-12-01", "steps": 4}],
    )
    exits: Assets = Field(
        default=(),
        description="Assets to sell in full. Leaving one out of the weights does not sell it.",
    )
    rebalance: Rebalance = Field(
        default=Rebalance(), description="When participants are rebalanced."
    )
    policy: PolicyOverrides = Field(
        default=PolicyOverrides(), description="What differs from the policy."
    )
    hold: Flag = Field(
        default=False, description="Freeze it: nothing is planned for this Strategy."
    )
    environments: SomeNames | None = Field(
        default=None,
        description="Where it exists; everywhere when not said.",
        examples=[["prod"]],
    )
    previously: Names = Field(default=(), description="Earlier names of this Strategy.")
    provider_ids: ProviderIds = Field(
        default={},
        description="Per environment, the provider's id of a Strategy that was made elsewhere.",
    )

    @model_validator(mode="after")
    def _weights_in_one_way(self) -> Strategy:
        given = [source for source in WEIGHT_SOURCES if getattr(self, source) is not None]
        if len(given) != 1 or (self.cap is not None and self.allocations is not None):
            raise ValueError("weights must be given in exactly one way")
        return self

    @property
    def weight_source(self) -> str:
        """Which of allocations, equal_weight, blend and mirror gives the weights."""
        (source,) = (name for name in WEIGHT_SOURCES if getattr(self, name) is not None)
        return source


# --- Cohort ----------------------------------------------------------------------------------


class Participant(Part):
    """One member of a cohort, with its two totals over all time."""

    participant_code: ParticipantCode = Field(description="The provider's code: A-Z and 0-9.")
    contributed: Amount | None = Field(
        default=None, description="All money ever paid in. It only rises; a rise is a top-up."
    )
    withdrawn: Amount | None = Field(
        default=None,
        description="All money ever taken out. It only rises; a rise is a partial sell.",
    )
    status: Literal["active", "exited"] | None = Field(
        default=None, description="exited: sell everything this participant holds in the Strategy."
    )
    auto_rebalance: Flag | None = Field(
        default=None, description="As the cohort has it when not said."
    )


class FundedParticipant(Part):
    """One amount of a named contribution or payout."""

    participant_code: ParticipantCode = Field(description="A member of the cohort.")
    amount: Amount = Field(description="Added to the total, once.")


class Funding(Part):
    """A named contribution or payout: it adds to the totals and is never edited afterwards."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["file"]}, {"required": ["participants"]}],
            "dependentRequired": {"sha256": ["file"]},
        }
    )

    key: Name = Field(
        description="Unique for good; what was paid under it is never paid again.",
        examples=["2026-11-savings"],
    )
    file: Pattern | None = Field(
        default=None,
        description="Table with participant_code and amount, relative to this file: csv, jsonl or "
        "parquet. A * in the name of the file stands for any letters.",
        examples=["funding/2026-11-savings.csv"],
    )
    participants: tuple[FundedParticipant, ...] | None = Field(
        default=None, min_length=1, description="Amounts inline."
    )
    sha256: Sha256 | None = Field(default=None, description=SHA256_SCHEMA["description"])

    @model_validator(mode="after")
    def _from_one_place(self) -> Funding:
        if (self.file is None) == (self.participants is None):
            raise ValueError("exactly one of file and participants")
        if self.file is None and self.sha256 is not None:
            raise ValueError("sha256 is the digest of a file")
        return self


class TableSource(Part):
    """A table of members: a file, several files of one pattern, or what a database answers."""

    file: Pattern | None = None
    sha256: Sha256 | None = None
    sql: Query | None = None
    connection: Name | None = Field(
        default=None,
        description="Name of a connection in stratctl.yaml; its address is in the environment, as "
        "STRATCTL_CONNECTION_ and the name in capitals.",
        examples=["warehouse"],
    )

    @model_validator(mode="after")
    def _from_one_place(self) -> TableSource:
        if (self.file is None) == (self.sql is None):
            raise ValueError("exactly one of file and sql")
        if self.file is None and self.sha256 is not None:
            raise ValueError("sha256 is the digest of a file")
        if (self.sql is None) != (self.connection is None):
            raise ValueError("sql and connection go together")
        return self


def _described(part: type[Part], key: str) -> str:
    return part.model_fields[key].description or ""


Source = Annotated[
    Literal["live"] | TableSource,
    WithJsonSchema(
        {
            "if": {"type": "object"},
            "then": {
                "type": "object",
                "properties": {
                    "file": PATTERN_SCHEMA,
                    "sha256": SHA256_SCHEMA,
                    "sql": QUERY_SCHEMA,
                    "connection": {
                        **NAME_SCHEMA,
                        "description": _described(TableSource, "connection"),
                        "examples": ["warehouse"],
                    },
                },
                "oneOf": [{"required": ["file"]}, {"required": ["sql"]}],
                "dependentRequired": {
                    "sha256": ["file"],
                    "sql": ["connection"],
                    "connection": ["sql"],
                },
                "additionalProperties": False,
            },
            "else": {"const": "live"},
        }
    ),
]


def _manages_together(manages: tuple[str, ...]) -> bool:
    return bool(manages) and ("membership" in manages) == ("funding" in manages)


_BOTH_OR_NEITHER: dict[str, Any] = {
    "if": {"contains": {"enum": ["membership", "funding"]}},
    "then": {"allOf": [{"contains": {"const": "membership"}}, {"contains": {"const": "funding"}}]},
}
_LIVE: dict[str, Any] = {"properties": {"source": {"const": "live"}}, "required": ["source"]}


class Cohort(Document):
    """A named set of participants of one Strategy."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": ["participants"]}, {"required": ["source"]}],
            "dependentRequired": {"exits": ["allocations"]},
            "if": _LIVE,
            "then": {
                "properties": {
                    "manages": {"items": {"enum": ["allocations", "flags"]}},
                    "participants": {"not": {}},
                    "funding": {"not": {}},
                    "payouts": {"not": {}},
                }
            },
            "examples": [
                {
                    "kind": "Cohort",
                    "version": 1,
                    "name": "founders",
                    "strategy": "blue-chip",
                    "participants": [{"participant_code": "CUST01", "contributed": "15000.00"}],
                }
            ],
        }
    )

    kind: Literal["Cohort"] = Field(description=_KIND)
    name: Name = Field(description="The identity of the cohort.", examples=["founders"])
    strategy: Name = Field(description="Name of the Strategy that its members take part in.")
    manages: (
        Annotated[
            tuple[Literal["membership", "funding", "allocations", "flags"], ...],
            WithJsonSchema(listed({"enum": list(MANAGEABLE)}, minItems=1) | _BOTH_OR_NEITHER),
        ]
        | None
    ) = Field(
        default=None,
        description="What is kept as declared; the rest is left to others. All four when not said. "
        "membership and funding go together. With source: live only allocations and flags.",
        examples=[["allocations"], ["membership", "funding", "allocations", "flags"]],
    )
    hold: Flag = Field(
        default=False, description="Freeze it: nothing is planned for these members."
    )
    auto_rebalance: Flag | None = Field(
        default=None,
        description="The flag of members that do not say it themselves: true when not said. With "
        "source: live, flags are left alone when not said.",
    )
    rebalance_opted_out: Flag = Field(
        default=False, description="Also rebalance members whose auto_rebalance is false."
    )
    allocations: Allocations | None = Field(
        default=None, description="Target weights of these members, instead of the Strategy's."
    )
    exits: Assets | None = Field(
        default=None, description="Assets to sell in full, with allocations."
    )
    environments: SomeNames | None = Field(
        default=None,
        description="Where it exists; everywhere when not said.",
        examples=[["prod"]],
    )
    previously: Names = Field(default=(), description="Earlier names of this cohort.")
    source: Source | None = Field(
        default=None,
        description="A table of members, or live: the Traders that exist and that no other cohort "
        "names.",
        examples=["live", {"file": "cohorts/founders.parquet"}],
    )
    participants: tuple[Participant, ...] | None = Field(
        default=None, min_length=1, description="Members inline."
    )
    funding: tuple[Funding, ...] = Field(
        default=(), description="Named contributions, added to totals."
    )
    payouts: tuple[Funding, ...] = Field(
        default=(), description="Named withdrawals, added to totals."
    )

    @model_validator(mode="after")
    def _whole(self) -> Cohort:
        if self.participants is None and self.source is None:
            raise ValueError("participants or source")
        if self.exits is not None and self.allocations is None:
            raise ValueError("exits need allocations")
        if self.manages is not None and not (
            _manages_together(self.manages) and len(set(self.manages)) == len(self.manages)
        ):
            raise ValueError("membership and funding go together")
        if self.live:
            written = self.model_fields_set
            if written & {"participants", "funding", "payouts"}:
                raise ValueError("source: live names nobody and funds nobody")
            if {"membership", "funding"} & set(self.manages or ()):
                raise ValueError("source: live manages allocations and flags only")
        return self

    @property
    def live(self) -> bool:
        """Whether it takes the Traders that exist instead of naming its members."""
        return self.source == "live"

    @property
    def managed(self) -> tuple[str, ...]:
        """What it manages, said or not."""
        if self.manages is not None:
            return self.manages
        if self.live:
            return ("allocations",) if self.auto_rebalance is None else ("allocations", "flags")
        return MANAGEABLE


# --- Policy ----------------------------------------------------------------------------------


class Cooldown(Part):
    """How long a participant rests after a rebalance before drift is repaired again.

    A changed target and a raised epoch ignore it.
    """

    hours: Count = Field(
        default=168, description="Hours since our last rebalance of the participant. 0: no rest."
    )
    bypass: Ratio = Field(
        default="0.10", description="Portfolio drift above this is repaired all the same."
    )


class Minimums(Part):
    """Amounts that are too small to be worth a trade."""

    leg: dict[SettingKey, Amount] = Field(
        default={"default": "5.00"},
        description="Smallest leg worth sending, in the Strategy's currency: per asset, else "
        "default (5.00).",
        examples=[{"default": "5.00", "BTC": "1.00"}],
    )
    account: Amount = Field(default="25.00", description="Smallest value worth rebalancing.")


class Prices(Part):
    """How far prices are trusted."""

    max_age_seconds: Count = Field(default=300, description="Older prices stop what needs them.")
    max_move: Ratio = Field(default="0.03", description="Largest move since the plan was made.")
    max_deviation: Ratio = Field(
        default="0.05", description="Largest distance between the two sources."
    )


class Guards(Part):
    """Limits that stop a plan when it measures strictly more."""

    liquidations: Count = Field(default=0, description="Participants liquidated.")
    asset_exits: Count = Field(default=0, description="Assets sold in full by name.")
    removals: Count = Field(default=5, description="Participants that stand in no cohort any more.")
    removals_share: Ratio = Field(
        default="0.10", description="The same, as a share of the Strategy."
    )
    cash_in: Amount = Field(
        default="100000.00", description="Enrolments and top-ups, per currency."
    )
    turnover: Ratio = Field(
        default="0.20", description="One-way sells as a share of managed value."
    )
    avoidable_sells: Ratio = Field(
        default="0.0025", description="Sells that a better plan would avoid."
    )
    partial_sell_share: Ratio = Field(
        default="0.90", description="Share of a holding sold partially."
    )


class Caps(Part):
    """The most money that may move, in the Strategy's currency, each currency by itself.

    Enrolments and top-ups are money in, partial sells are money out. Both are held to the cap,
    one beside the other and never netted. What a liquidation sells is no declared amount; the
    guard liquidations counts those.
    """

    participant: Amount | None = Field(
        default=None,
        description="Of one participant in one plan, over all Strategies.",
        examples=["5000.00"],
    )
    call: Amount | None = Field(
        default=None, description="Of all participants of one call.", examples=["100000.00"]
    )
    run: Amount | None = Field(default=None, description="Of one plan.", examples=["250000.00"])
    day: Amount | None = Field(
        default=None,
        description="Of a plan and everything that the journal says was sent in the 24 hours"
        " before it.",
        examples=["500000.00"],
    )


class Calls(Part):
    """The size of one request."""

    participants: Annotated[int, Field(strict=True, ge=1, le=100_000)] = Field(
        default=1000, description="Participants per request."
    )


class Windows(Part):
    """When apply may send. A window is weekly (``Mon-Fri 09:00-17:00 America/New_York``) or a span
    of dates (``2026-12-24 to 2026-12-26 UTC``), always with its zone.
    """

    allow: tuple[FreeText, ...] = Field(
        default=(),
        description="Only then. Empty: always.",
        examples=[["Mon-Fri 09:00-17:00 America/New_York"]],
    )
    blackout: tuple[FreeText, ...] = Field(
        default=(),
        description="Never then, allowed or not.",
        examples=[["2026-12-24 18:00 to 2026-12-27 America/New_York", "Sat 23:00-03:00 UTC"]],
    )


class Rollout(Part):
    """Stages by which a changed target or a raised epoch reaches participants."""

    stages: tuple[Ratio, ...] = Field(
        default=("1.0",), min_length=1, description="Shares of everybody, rising to 1."
    )
    stage: Annotated[int, Field(strict=True, ge=1, le=100)] | None = Field(
        default=None, description="The last stage that may be reached, from 1. Default: the last."
    )
    salt: FreeText | None = Field(
        default=None,
        description="Shuffles who is in which stage; another one for each rollout.",
        examples=["2026Q4"],
    )
    soak_minutes: Count = Field(
        default=30, description="Rest after the last rebalance of a stage, before the next one."
    )
    halt_on_rejects: Ratio = Field(
        default="0.02", description="A larger share of refused participants halts what follows."
    )


class AssetRule(Part):
    """Limits of one asset."""

    cap: Ratio | None = Field(
        default=None,
        description="Largest weight that may be declared or computed for it.",
        examples=["0.25"],
    )
    side: Literal["both", "buy", "sell", "freeze"] = Field(
        default="both",
        description="buy: never sold. sell: never bought. freeze: neither. What would trade it the"
        " other way is not sent, and is listed.",
    )


class Policy(Document):
    """Limits and bands for everything that is planned. Every setting has a default."""

    kind: Literal["Policy"] = Field(description=_KIND)
    drift: DriftBands = Field(default=DriftBands(), description="Bands around target weights.")
    destination: Literal["target", "edge"] = Field(
        default="target",
        description="Where a rebalance goes that a breached band asked for. edge: only so far"
        " that everybody is inside the bands again, by one vector for all.",
    )
    cash_flow: Literal["off", "shared"] = Field(
        default="off",
        description="off: flows at target weights. shared: at weights that also repair drift,"
        " where that is proven for everybody in the call.",
    )
    both_directions: Literal["refuse", "send"] = Field(
        default="refuse",
        description="When contributed and withdrawn of one participant rise in one plan. refuse:"
        " neither moves. send: the partial sell, then the top-up, each with its whole amount.",
    )
    cooldown: Cooldown = Field(
        default=Cooldown(),
        description="Rest between two rebalances for drift.",
        examples=[{"hours": 24, "bypass": "0.15"}],
    )
    minimums: Minimums = Field(default=Minimums(), description="Amounts too small to trade.")
    prices: Prices = Field(default=Prices(), description="Trust in prices.")
    guards: Guards = Field(default=Guards(), description="Limits that stop a plan.")
    caps: Caps = Field(default=Caps(), description="The most money that may move. None by default.")
    calls: Calls = Field(default=Calls(), description="Size of requests.")
    assets: dict[AssetCode, AssetRule] = Field(
        default={},
        description="Limits per asset.",
        examples=[{"SOL": {"side": "freeze"}, "BTC": {"cap": "0.60"}}],
    )
    windows: Windows = Field(default=Windows(), description="When apply may send.")
    rollout: Rollout = Field(
        default=Rollout(),
        description="Stages of a change of targets.",
        examples=[{"stages": ["0.01", "0.10", "1"], "salt": "2026Q4"}],
    )
    transition: Literal["immediate"] = Field(
        default="immediate",
        description="How the weights of a Strategy change that says no transition of its own: at"
        " once.",
    )


# --- Acknowledgement -------------------------------------------------------------------------


class WidenedRules(Part):
    """Guards of the policy, each with the number that it may reach this once."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    liquidations: Count | None = Field(default=None, description="Participants liquidated.")
    asset_exits: Count | None = Field(default=None, description="Assets sold in full by name.")
    removals: Count | None = Field(default=None, description="Participants that left all cohorts.")
    removals_share: Ratio | None = Field(default=None, description="The same, as a share.")
    cash_in: Amount | None = Field(
        default=None, description="Enrolments and top-ups, per currency."
    )
    cap_participant: Amount | None = Field(
        default=None, description="Money of one participant, in or out."
    )
    cap_call: Amount | None = Field(default=None, description="Money of one call, in or out.")
    cap_run: Amount | None = Field(default=None, description="Money of this plan, in or out.")
    cap_day: Amount | None = Field(default=None, description="Money of 24 hours, in or out.")
    turnover: Ratio | None = Field(default=None, description="One-way sells as a share of value.")
    avoidable_sells: Ratio | None = Field(
        default=None, description="Sells a better plan would avoid."
    )
    partial_sell_share: Ratio | None = Field(default=None, description="Share of a holding sold.")
    float: Amount | None = Field(default=None, description="What the funding account lacks.")
    parked: Count | None = Field(
        default=None, description="Rows that the provider refused, to be tried again."
    )
    stale_flows: Count | None = Field(
        default=None, description="Flows that waited for more than 7 days, to be sent now."
    )

    @model_validator(mode="after")
    def _some(self) -> WidenedRules:
        if not self.model_fields_set:
            raise ValueError("name at least one rule")
        return self

    @property
    def written(self) -> tuple[tuple[str, str], ...]:
        """(rule, number as it was written), in the order of GUARD_RULES."""
        numbers = ((rule, getattr(self, rule)) for rule in GUARD_RULES)
        return tuple((rule, str(number)) for rule, number in numbers if number is not None)


class Acknowledgement(Document):
    """A reviewed widening of guards by a number. It is used up by the first call that needs it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "Acknowledgement",
                    "version": 1,
                    "name": "close-three-accounts",
                    "rules": {"liquidations": 3},
                    "reason": "three customers closed their accounts, ticket 4711",
                    "expires": "2026-12-31",
                }
            ]
        }
    )

    kind: Literal["Acknowledgement"] = Field(description=_KIND)
    name: Name = Field(
        description="The identity of the acknowledgement.", examples=["close-three-accounts"]
    )
    rules: WidenedRules = Field(
        description="Guard -> the number it may reach.", examples=[{"liquidations": 3}]
    )
    reason: FreeText = Field(
        description="Why, for those who read the log later.",
        examples=["three customers closed their accounts, ticket 4711"],
    )
    expires: Date = Field(description="The last day on which it counts (UTC).")


# --- Project ---------------------------------------------------------------------------------


class FloatAccount(Part):
    """The provider's account that pays for buys."""

    owner: PlatformCode = Field(description="account_owner")
    group: PlatformCode = Field(description="account_group")
    label: AccountLabel = Field(default="general", description="account_label")


class ProjectEnvironment(Part):
    """One platform at the provider that this project is applied to."""

    realm: Literal["prod", "prod-eu", "cert", "cert-eu", "sandbox"] = Field(
        description="The provider's environment. It is fixed for good in the journal."
    )
    endpoint: Endpoint = Field(description="Base address, or sandbox for the one that is running.")
    platform_code: PlatformCode = Field(description="Your platform's code.", examples=["PLAT01"])
    funding_model: Literal["novated", "direct", "standard"] = Field(
        description="Whose account pays for buys."
    )
    float_account: FloatAccount | None = Field(
        default=None,
        description="The account that pays; the documented one of the model when not said.",
    )


class GitJournal(Part):
    """A journal on a Git branch."""

    remote: GitName = Field(
        default="origin", description="Name of a remote of this repository, never an address."
    )
    branch: GitName = Field(
        default="stratctl-journal",
        description="Each environment has a branch below this name: stratctl-journal/prod.",
    )


class Journal(Part):
    """Where the record of what was sent is kept: in a directory, or on a Git branch."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentSchemas": {
                "git": {"properties": {"directory": {"not": {}}, "persistent": {"not": {}}}}
            }
        }
    )

    directory: Path = Field(default=".stratctl/journal", description="Relative to the project.")
    persistent: Flag = Field(
        default=False, description="true: this directory survives, also where CI is set."
    )
    git: GitJournal | None = Field(default=None, description="On a Git branch instead.")

    @model_validator(mode="after")
    def _in_one_place(self) -> Journal:
        if self.git is not None and self.model_fields_set & {"directory", "persistent"}:
            raise ValueError("a journal is in a directory or on a branch")
        return self


class Project(Document):
    """The project file: environments, journal and policy."""

    kind: Literal["Project"] = Field(description=_KIND)
    default_environment: Name | None = Field(
        default=None,
        description="The one that is meant when none is named.",
        examples=["sandbox"],
    )
    environments: Annotated[dict[Name, ProjectEnvironment], Field(min_length=1)] = Field(
        description="Name -> environment."
    )
    journal: Journal = Field(default=Journal(), description="Where the journal is kept.")
    policy: Path = Field(default="policy.yaml", description="Path of the policy.")
    connections: Names = Field(
        default=(),
        description="Databases that cohorts may be read from. The address of each is in the "
        "environment, as STRATCTL_CONNECTION_ and the name in capitals, and nowhere else.",
        examples=[["warehouse"]],
    )
    generation: Count | None = Field(
        default=None,
        description="Outside Git: raise it with every change, so that no old copy can act.",
    )


KINDS: dict[str, type[Document]] = {
    "Strategy": Strategy,
    "Cohort": Cohort,
    "Policy": Policy,
    "Acknowledgement": Acknowledgement,
    "Project": Project,
}

DECLARED = ("Strategy", "Cohort", "Acknowledgement")
"""The kinds that stand under ``strategies/``, several in one file if one likes."""
