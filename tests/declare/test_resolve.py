"""What documents come to: targets, totals, flags, guards, in exact values."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from stratctl.core.diagnostic import Severity, Span
from stratctl.core.money import WEIGHT_ONE_E18
from stratctl.core.settings import GUARD_RULES, Configuration
from stratctl.core.state import DESIRED_KEY, DESIRED_ROWS
from stratctl.view.weights import text
from tests.declare.world import BASE, ROOT, Project, declared

STRATEGY = "kind: Strategy\nversion: 1\nname: {name}\nquoted_currency: USD\n{body}\n"
COHORT = "kind: Cohort\nversion: 1\nname: {name}\nstrategy: {strategy}\n{body}\n"


def strategy(name: str, body: str) -> str:
    """A Strategy document."""
    return STRATEGY.format(name=name, body=body)


def cohort(name: str, body: str, of: str = "blue-chip") -> str:
    """A Cohort document."""
    return COHORT.format(name=name, strategy=of, body=body)


def declare(tmp_path: Path, *documents: str, **files: str) -> Configuration:
    """A project with these documents beside the base."""
    return Project(
        tmp_path, {**files, "strategies/more.yaml": "---\n".join(documents)} if documents else {}
    ).declare()


def vectors(configuration: Configuration) -> dict[str, str]:
    """Strategy -> its own vector as text."""
    return {found.name: found.targets[0].vector.text for found in configuration.desired.strategies}


def said(configuration: Configuration, name: str, day: str = "2026-11-21") -> str:
    """Where a Strategy's weights come from, as a plan of a day would say it."""
    strategies = configuration.desired.on(day).strategies
    (found,) = (found for found in strategies if found.name == name)
    provenance = found.targets[0].provenance
    assert provenance
    return text(provenance)


def rows(configuration: Configuration) -> list[dict[str, object]]:
    """Desired rows by column name."""
    table = configuration.desired.rows
    assert table.schema == DESIRED_ROWS
    unproved = replace(table, keys=frozenset())
    assert table.keys == {DESIRED_KEY}
    assert not unproved.duplicates(DESIRED_KEY)
    return [dict(zip(DESIRED_ROWS, row, strict=True)) for row in table.rows()]


# --- the example set -------------------------------------------------------------------------


def test_the_example_set_declares_three_strategies_and_five_thousand_participants() -> None:
    """The project of this repository, whole, without a warning."""
    configuration = declared(ROOT)
    assert configuration.desired.warnings == ()
    assert list(vectors(configuration)) == ["blue-chip", "core-and-theme", "defi"]
    table = configuration.desired.rows
    sql = f"SELECT count(*), count(DISTINCT participant_code), count(DISTINCT file) FROM {table}"
    assert table.workspace.one(sql) == (5_000, 5_000, 4)


def test_every_leg_of_the_example_set_is_worth_a_trade() -> None:
    """The smallest contribution times the smallest weight is above the smallest leg."""
    configuration = declared(ROOT)
    table = configuration.desired.rows
    for found in configuration.desired.strategies:
        (least,) = table.workspace.one(
            f"SELECT min(contributed_minor) FROM {table} WHERE strategy = ?", [found.name]
        )
        weight = min(weight for _, weight in found.targets[0].vector.weights_e18)
        leg_e8 = Fraction(least * 10**6 * weight, WEIGHT_ONE_E18)
        assert leg_e8 > configuration.policy.minimum_leg_default_e8


def test_the_policy_of_the_repository_says_the_defaults_but_for_one() -> None:
    """policy.yaml writes the defaults out; only ``cash_in`` is another."""
    written = declared(ROOT).policy
    differing = {
        guard.rule: guard.limit
        for guard in written.guards
        if guard.limit != DEFAULT_GUARDS[guard.rule]
    }
    assert differing == {"cash_in": 12_500_000}


DEFAULT_GUARDS = {
    "liquidations": Fraction(0),
    "asset_exits": Fraction(0),
    "removals": Fraction(5),
    "removals_share": Fraction(1, 10),
    "cash_in": Fraction(100_000),
    "turnover": Fraction(1, 5),
    "avoidable_sells": Fraction(25, 10_000),
    "partial_sell_share": Fraction(9, 10),
}


# --- weights ---------------------------------------------------------------------------------


def test_declared_weights_are_never_rounded(tmp_path: Path) -> None:
    """Eighteen decimals arrive as eighteen decimals; trailing zeros mean nothing."""
    made = declare(
        tmp_path,
        strategy("fine", "allocations: {BTC: 0.333333333333333333, ETH: 0.666666666666666667}"),
        strategy("zeros", 'allocations: {ETH: "0.500", BTC: 0.5}'),
    )
    assert vectors(made)["fine"] == "BTC 0.333333333333333333, ETH 0.666666666666666667"
    assert vectors(made)["zeros"] == "BTC 0.5, ETH 0.5"


def test_equal_weights_are_rounded_once_and_add_up(tmp_path: Path) -> None:
    """One third has no end; the missing hundred-millionth goes to one asset."""
    made = declare(tmp_path, strategy("three", "equal_weight: [SOL, BTC, ETH]"))
    assert vectors(made)["three"] == "BTC 0.33333334, ETH 0.33333333, SOL 0.33333333"
    assert said(made, "three") == "equal weight of 3 assets (strategies/more.yaml:5:1)"


def test_a_blend_takes_the_rounded_weights_of_a_computed_source(tmp_path: Path) -> None:
    """Because those are what it holds."""
    made = declare(
        tmp_path,
        strategy("three", "equal_weight: [SOL, BTC, ETH]"),
        strategy("half", "blend: {three: 0.5, bitcoin: 0.5}"),
        strategy("bitcoin", "allocations: {BTC: 1}"),
    )
    assert vectors(made)["half"] == "BTC 0.66666667, ETH 0.16666667, SOL 0.16666666"
    assert said(made, "half") == "blend of bitcoin 0.5 + three 0.5 (strategies/more.yaml:11:1)"


def test_a_mirror_is_the_same_weights_with_exits_of_its_own(tmp_path: Path) -> None:
    """Not even rounded."""
    made = declare(
        tmp_path,
        strategy("fine", "allocations: {BTC: 0.333333333333333333, ETH: 0.666666666666666667}"),
        strategy("copy", "mirror: fine\nexits: [SOL, DOGE]"),
    )
    copy = next(found for found in made.desired.strategies if found.name == "copy")
    assert copy.targets[0].vector.text == vectors(made)["fine"]
    assert copy.targets[0].exits == ("DOGE", "SOL")
    assert said(made, "copy") == "mirror of fine (strategies/more.yaml:11:1)"


def test_a_cap_shares_out_the_rest_in_proportion(tmp_path: Path) -> None:
    """What the capped asset loses, the others gain by their weights, again and again."""
    made = declare(
        tmp_path,
        strategy("base", "allocations: {BTC: 0.8, ETH: 0.15, SOL: 0.05}"),
        strategy("capped", "mirror: base\ncap: 0.5"),
        strategy("tight", "mirror: base\ncap: 0.4"),
    )
    assert vectors(made)["capped"] == "BTC 0.5, ETH 0.375, SOL 0.125"
    assert vectors(made)["tight"] == "BTC 0.4, ETH 0.4, SOL 0.2"
    assert said(made, "tight") == (
        "mirror of base (strategies/more.yaml:18:1), capped at 0.4 (strategies/more.yaml:19:1): "
        "BTC capped from 0.8, ETH raised to it from 0.15; the others gain in proportion"
    )


def test_weights_on_their_way_are_those_of_the_day(tmp_path: Path) -> None:
    """An exit is one from the last step on; a cohort with weights of its own stays at them."""
    made = declare(
        tmp_path,
        strategy(
            "base",
            "allocations: {BTC: 0.5, ETH: 0.5}\nexits: [SOL]\n"
            "transition: {before: {BTC: 0.7, SOL: 0.3}, begins: 2026-12-30, steps: 2}",
        ),
        "kind: Cohort\nversion: 1\nname: own\nstrategy: base\nallocations: {ETH: 0.5, BTC: 0.5}\n"
        "exits: [SOL]\nparticipants: [{participant_code: CUST02, contributed: 100}]\n",
    )
    (base,) = (found for found in made.desired.strategies if found.name == "base")
    assert base.assets == {"BTC", "ETH", "SOL"}
    days = ("2026-12-29", "2026-12-30", "2027-01-05", "2027-01-06", "2999-01-01")
    own, *others = zip(
        *([(target.vector.text, target.exits) for target in base.on(day).targets] for day in days),
        strict=True,
    )
    last = ("BTC 0.5, ETH 0.5", ("SOL",))
    step = ("BTC 0.6, ETH 0.25, SOL 0.15", ())
    assert own == (("BTC 0.7, SOL 0.3", ()), step, step, last, last)
    assert others == [(last,) * 5]
    (moving,) = made.desired.rows.workspace.rows(
        f"SELECT target FROM {made.desired.rows} WHERE participant_code = 'CUST02'"
    )
    assert moving == (1,)
    assert said(made, "base", "2026-12-31") == (
        "declared weights (strategies/more.yaml:5:1); step 1 of 2 from BTC 0.7, SOL 0.3 to BTC 0.5,"
        " ETH 0.5 (strategies/more.yaml:7:1): BTC 0.6, ETH 0.25, SOL 0.15; the next on 2027-01-06"
    )


def test_a_cohort_may_have_weights_and_exits_of_its_own(tmp_path: Path) -> None:
    """Equal ones share a target; the Strategy's own is the first."""
    own = (
        "allocations: {BTC: 1}\nexits: [ETH]\n"
        "participants: [{participant_code: %s, contributed: 5}]"
    )
    made = declare(
        tmp_path,
        cohort("a", own % "CUST02"),
        cohort("b", own % "CUST03"),
        cohort("c", (own % "CUST04").replace("\nexits: [ETH]", "")),
    )
    (found,) = made.desired.strategies
    assert [(target.vector.text, target.exits) for target in found.targets] == [
        ("BTC 0.5, ETH 0.3, SOL 0.2", ()),
        ("BTC 1", ("ETH",)),
        ("BTC 1", ()),
    ]
    assert {row["participant_code"]: row["target"] for row in rows(made)} == {
        "CUST01": 0,
        "CUST02": 1,
        "CUST03": 1,
        "CUST04": 2,
    }


# --- participants ----------------------------------------------------------------------------


def test_totals_are_declared_amounts_plus_everything_under_a_key(tmp_path: Path) -> None:
    """In minor units, in one row per participant, with the place where it stands."""
    text = cohort(
        "founders",
        "participants:\n"
        "  - {participant_code: CUST01, contributed: 100.50, withdrawn: 1}\n"
        "  - {participant_code: CUST02}\n"
        "funding:\n"
        "  - {key: one, file: funding/one.csv}\n"
        "  - {key: two, participants: [{participant_code: CUST01, amount: 0.50}]}\n"
        "payouts:\n"
        "  - {key: out, participants: [{participant_code: CUST02, amount: 3}]}\n",
    )
    files: dict[str, str | bytes] = {
        "strategies/founders.yaml": text,
        "strategies/funding/one.csv": "amount,participant_code\n10.5,CUST02\n1.00,CUST01\n",
    }
    made = rows(Project(tmp_path, files).declare())
    totals = [
        (row["participant_code"], row["contributed_minor"], row["withdrawn_minor"], row["line"])
        for row in made
    ]
    assert totals == [("CUST01", 10_200, 100, 6), ("CUST02", 1_050, 300, 7)]
    assert made[0]["file"] == "strategies/founders.yaml"


def test_amounts_follow_the_minor_unit_of_the_currency(tmp_path: Path) -> None:
    """The yen has none, so half a yen is one decimal too many."""
    yen = strategy("yen", "allocations: {BTC: 1}").replace("USD", "JPY")
    members = "participants: [{{participant_code: CUST09, contributed: {}}}]"
    made = declare(tmp_path / "a", yen, cohort("savers", members.format("5000"), "yen"))
    assert rows(made)[1]["contributed_minor"] == 5_000
    project = Project(
        tmp_path / "b",
        {"strategies/more.yaml": f"{yen}---\n{cohort('savers', members.format('0.5'), 'yen')}"},
    )
    assert project.codes() == ["E_AMOUNT_SCALE"]


def test_lists_inside_documents_keep_to_their_cohort_and_its_currency(tmp_path: Path) -> None:
    """Whatever stands beside them: another cohort, another currency, another entry."""
    made = declare(
        tmp_path,
        strategy("yen", "allocations: {BTC: 1}").replace("USD", "JPY"),
        cohort(
            "savers",
            "participants: [{participant_code: CUST01, contributed: 5000}]\n"
            "payouts: [{key: out, participants: [{participant_code: CUST01, amount: 30}]}]",
            "yen",
        ),
        cohort(
            "more",
            "participants: [{participant_code: CUST02, contributed: 5000}]\nfunding:\n"
            "- {key: one, participants: [{participant_code: CUST02, amount: 0.07}]}\n"
            "- {key: two, participants: [{participant_code: CUST02, amount: 0.10}]}",
        ),
    )
    table = made.desired.rows
    found = table.workspace.rows(
        f"SELECT cohort, participant_code, contributed_minor, withdrawn_minor FROM {table} "
        "ORDER BY ALL"
    )
    assert found == [
        ("founders", "CUST01", 1_500_000, 0),
        ("more", "CUST02", 500_017, 0),
        ("savers", "CUST01", 5_000, 30),
    ]


def test_flags_status_and_holds(tmp_path: Path) -> None:
    """A row says it, else its cohort, else true; a hold comes from either side."""
    made = declare(
        tmp_path,
        cohort(
            "a",
            "auto_rebalance: false\nrebalance_opted_out: true\nhold: true\nparticipants:\n"
            "  - {participant_code: CUST02, contributed: 1}\n"
            "  - {participant_code: CUST03, contributed: 1, auto_rebalance: true, "
            "status: exited}\n",
        ),
    )
    by_code = {row["participant_code"]: row for row in rows(made)}
    assert [by_code[code]["auto_rebalance"] for code in ("CUST01", "CUST02", "CUST03")] == [
        True,
        False,
        True,
    ]
    assert [by_code[code]["exited"] for code in ("CUST01", "CUST02", "CUST03")] == [
        False,
        False,
        True,
    ]
    assert by_code["CUST02"]["held"] is True
    assert by_code["CUST02"]["overrides_flag"] is True
    assert by_code["CUST01"]["held"] is False


def test_a_held_strategy_holds_its_cohorts(tmp_path: Path) -> None:
    """Freezing the Strategy freezes everybody in it."""
    text = BASE["strategies/blue-chip.yaml"] + "hold: true\n"
    made = Project(tmp_path, {"strategies/blue-chip.yaml": text}).declare()
    assert rows(made)[0]["held"] is True
    assert made.desired.strategies[0].hold


def test_manages_is_said_per_row_and_defaults_to_everything(tmp_path: Path) -> None:
    """A basket for participants that an app enrolls: neither amounts nor flags."""
    body = "manages: [allocations]\nparticipants: [{participant_code: CUST02}]"
    made = rows(declare(tmp_path, cohort("app", body)))
    managed = [
        [row[f"manages_{part}"] for part in ("membership", "funding", "allocations", "flags")]
        for row in made
    ]
    assert managed == [[True] * 4, [False, False, True, False]]
    assert made[1]["contributed_minor"] == 0


@pytest.mark.parametrize(
    ("body", "flag", "allocations", "flags"),
    [
        ("source: live", None, True, False),
        ("source: live\nauto_rebalance: false", False, True, True),
        ("source: live\nmanages: [flags]\nauto_rebalance: true", True, False, True),
        ("source: live\nmanages: [allocations]", None, True, False),
    ],
)
def test_a_live_cohort_takes_allocations_and_says_flags_or_leaves_them(
    tmp_path: Path, body: str, flag: bool | None, allocations: bool, flags: bool
) -> None:
    """Nobody's own choice in the app is overwritten because a key was left out."""
    (found,) = declare(tmp_path, cohort("app", body)).desired.strategies
    live = found.live_cohort
    assert live is not None
    assert (live.cohort, live.flag, live.allocations, live.flags) == (
        "app",
        flag,
        allocations,
        flags,
    )


# --- settings --------------------------------------------------------------------------------


def test_a_strategy_carries_its_settings(tmp_path: Path) -> None:
    """Metadata in canonical form, bands over those of the policy, ids per environment."""
    body = (
        "allocations: {BTC: 1}\nmetadata: {b: two, a: one}\nrebalance: {on: drift, epoch: 3}\n"
        "policy: {drift: {absolute: 0.08}}\npreviously: [older]\n"
        "provider_ids: {sandbox: 9ba5e569-a966-42a9-a7ad-666b0a5300f3}"
    )
    found = declare(tmp_path, strategy("a", body)).desired.strategies[0]
    assert found.metadata_json == '{"a":"one","b":"two"}'
    assert (found.rebalance_on, found.rebalance_epoch) == ("drift", 3)
    assert (found.drift.absolute, found.drift.relative) == (Fraction(2, 25), Fraction(1, 4))
    assert found.provider_id == "9ba5e569-a966-42a9-a7ad-666b0a5300f3"
    assert found.previously == ("older",)
    assert found.span == Span("strategies/more.yaml", 3, 7)
    places = dict(found.settings)
    assert places["policy.drift.absolute"] == Span("strategies/more.yaml", 8, 28)
    assert "policy.drift.relative" not in places
    assert found.targets[0].span == Span("strategies/more.yaml", 5, 1)


def test_the_policy_is_exact_and_knows_where_it_was_set(tmp_path: Path) -> None:
    """A guard that was written points at its line; one that was not is the default."""
    text = (
        "kind: Policy\nversion: 1\nguards:\n  liquidations: 3\n  cash_in: 250000.50\n"
        "minimums: {leg: {BTC: 1.00}, account: 30}\ncalls: {participants: 500}\n"
        "prices: {max_move: 0.01}\n"
    )
    policy = Project(tmp_path, {"policy.yaml": text}).declare().policy
    assert policy.guard("liquidations").limit == 3
    assert policy.guard("liquidations").setting == Span("policy.yaml", 4, 17)
    assert policy.guard("cash_in").limit == Fraction("250000.50")
    assert policy.guard("turnover").setting is None
    assert dict(policy.settings)["guards.liquidations"] == Span("policy.yaml", 4, 17)
    assert "guards.turnover" not in dict(policy.settings)
    assert {guard.rule: guard.limit for guard in policy.guards} == {
        **DEFAULT_GUARDS,
        "liquidations": 3,
        "cash_in": Fraction("250000.50"),
    }
    assert policy.leg_minimum_e8("BTC") == 100_000_000
    assert policy.leg_minimum_e8("ETH") == 500_000_000
    assert policy.minimum_account_e8 == 3_000_000_000
    assert policy.participants_per_call == 500
    assert policy.price_max_move == Fraction(1, 100)


def test_caps_are_limits_of_who_asks_for_them(tmp_path: Path) -> None:
    """Without a word there is none; one that is written is exact and points at its line."""
    assert Project(tmp_path / "none").declare().policy.caps == {}
    text = "kind: Policy\nversion: 1\ncaps: {day: 500000.00, participant: 0}\n"
    policy = Project(tmp_path, {"policy.yaml": text}).declare().policy
    assert policy.caps == {"cap_participant": 0, "cap_day": 500_000}
    assert policy.guard("cap_day").setting == Span("policy.yaml", 3, 13)


def test_acknowledgements_keep_their_numbers_as_written(tmp_path: Path) -> None:
    """What was reviewed is what is bound into the plan."""
    text = (
        "kind: Acknowledgement\nversion: 1\nname: close\nreason: agreed\nexpires: 2026-12-31\n"
        "rules: {cash_in: 250000.00, liquidations: 3, float: 10.50}\n"
    )
    (found,) = declare(tmp_path, text).acknowledgements
    assert found.rules == (("liquidations", "3"), ("cash_in", "250000.00"), ("float", "10.50"))
    assert (found.name, found.reason, found.expires) == ("close", "agreed", "2026-12-31")
    assert all(rule in GUARD_RULES for rule, _ in found.rules)


@pytest.mark.parametrize(
    ("realm", "model", "account"),
    [
        ("cert", "novated", ("00SCXM", "PLAT01", "general")),
        ("cert-eu", "novated", ("ZHDSEU", "PLAT01", "general")),
        ("cert", "standard", ("PLAT01", "00SCXM", "general")),
        ("cert", "direct", ("", "PLAT01", "general")),
    ],
)
def test_the_float_account_follows_the_funding_model(
    tmp_path: Path, realm: str, model: str, account: tuple[str, str, str]
) -> None:
    """The provider's documented account of each model; direct has one per participant."""
    host = "api.cert.zerohash.eu" if realm == "cert-eu" else "api.cert.zerohash.com"
    text = (
        f"kind: Project\nversion: 1\nenvironments:\n  e: {{realm: {realm}, platform_code: PLAT01, "
        f'endpoint: "https://{host}", funding_model: {model}}}\n'
    )
    made = Project(tmp_path, {"stratctl.yaml": text}).declare()
    assert made.environment.float_account == account


def test_warnings_stop_nothing(tmp_path: Path) -> None:
    """They travel with the desired state."""
    text = BASE["strategies/blue-chip.yaml"].replace("USD", "CHF")
    (found,) = Project(tmp_path, {"strategies/blue-chip.yaml": text}).declare().desired.warnings
    assert (found.code, found.severity) == ("W_CURRENCY", Severity.WARNING)


# --- order -----------------------------------------------------------------------------------


def test_the_same_project_in_another_order_is_the_same_desired_state(tmp_path: Path) -> None:
    """Whatever file a document stands in, and in whatever order files, keys and rows come."""
    first = declare(
        tmp_path / "a",
        strategy("b", "allocations: {BTC: 0.4, ETH: 0.6}"),
        cohort("x", "participants: [{participant_code: CUST02, contributed: 1}]", "b"),
        cohort("w", "participants: [{participant_code: CUST03, contributed: 2}]", "b"),
    )
    second = Project(
        tmp_path / "b",
        {
            "strategies/0.yaml": cohort(
                "w", "participants: [{contributed: 2, participant_code: CUST03}]", "b"
            ),
            "strategies/z.yaml": cohort(
                "x", "participants: [{participant_code: CUST02, contributed: 1.00}]", "b"
            )
            + "---\n"
            + strategy("b", "allocations: {ETH: 0.60, BTC: 0.40}"),
        },
    ).declare()
    assert vectors(first) == vectors(second)
    places = ("file", "line")
    assert [{k: v for k, v in row.items() if k not in places} for row in rows(first)] == [
        {k: v for k, v in row.items() if k not in places} for row in rows(second)
    ]


def test_a_long_sum_is_not_written_out(tmp_path: Path) -> None:
    """Of many weights the total is said, not each term."""
    weights = ", ".join(f"A{number}: 0.01" for number in range(25))
    head = BASE["strategies/blue-chip.yaml"].partition("allocations")[0]
    written = f"{head}allocations: {{{weights}}}\n"
    project = Project(tmp_path, {"strategies/blue-chip.yaml": written})
    assert [found.detail for found in project.says()] == ["the sum of 25 weights = 0.25"]
