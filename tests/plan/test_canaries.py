"""Planted bugs: the laws fail when the planner is wrong, each on a world that shows the bug.

A bug is a change of the SQL on its way to the engine, or of one function; without it the same
world keeps every law.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import pytest

from stratctl.core.state import Target
from stratctl.pipeline import ceiling
from stratctl.plan import caps
from tests.plan import laws, planned
from tests.plan.generate import PRICES
from tests.plan.planted import planted
from tests.plan.replaying import replayed
from tests.plan.scaling import scale_free
from tests.worlds import OPEN_GUARDS, Declared, Holder, World, holdings_worth, strategy, vector

HALF = vector(BTC="0.5", ETH="0.5")
EVEN = holdings_worth(PRICES, BTC="500", ETH="500")
FUNDED = ("membership", "funding", "allocations")


def world(*people: tuple[Declared | None, Holder | None], **changes: Any) -> World:
    """A world of these participants in one Strategy of two equal halves."""
    base = World(
        declared=[said for said, _ in people if said],
        holders=[has for _, has in people if has],
        strategies=[strategy(targets=(Target(HALF, ("SOL", "XRP")),))],
        prices=dict(PRICES),
    )
    return replace(base, **changes)


def settled(code: str, **changes: Any) -> Holder:
    """A Trader that holds the declared target."""
    return replace(Holder(code, EVEN, target=HALF.text), **changes)


def drifting(on: str = "drift") -> dict[str, Any]:
    """The Strategy of these worlds with another trigger."""
    return {"strategies": [strategy(targets=(Target(HALF, ()),), rebalance_on=on)]}


@dataclass(frozen=True)
class Bug:
    """A wrong text in the place of a right one, and a world in which that matters."""

    right: str
    wrong: str
    shows: World


FOREIGN = {**EVEN, **holdings_worth(PRICES, SOL="50")}
SKEWED = holdings_worth(PRICES, BTC="600", ETH="400")
AT_BAND = holdings_worth(PRICES, BTC="550", ETH="450")
OLD = "BTC 0.6, ETH 0.4"
RESTING = holdings_worth(PRICES, BTC="580", ETH="420")
LATE = world(
    (
        Declared("P1", withdrawn="300"),
        settled("P1", holds=holdings_worth(PRICES, BTC="900", ETH="100"), target=OLD),
    )
)
"""P1 has too little ETH to be paid out of, until it was rebalanced."""
NEARLY = {"BTC": "454", "ETH": "446", "SOL": "100"}
"""The leg of BTC to one half is 46."""
UNPAID = {"BTC": "400", "ETH": "500", "SOL": "60", "XRP": "40"}
"""Of the sells that pay for BTC the one of XRP is 40."""
YESTERDAY = "2026-11-20T12:00:00Z"
"""A day before these worlds are planned."""

BUGS = {
    "a value without a price becomes zero": Bug(
        "CASE\n        WHEN price_e8 IS NOT NULL THEN greatest(0,",
        "CASE\n        WHEN true THEN greatest(0,",
        world(
            (Declared("P1"), settled("P1", target=None, holds=SKEWED)),
            **drifting(),
            prices={"BTC": "50000"},
        ),
    ),
    "pending money is not counted": Bug(
        "coalesce(live.contributed_minor, 0) AS counted_in_minor",
        "0 AS counted_in_minor",
        world((Declared("P1"), settled("P1"))),
    ),
    "an asset that nobody named is sold": Bug(
        "WHEN whole.foreign_asset IS NOT NULL THEN 'foreign_asset'",
        "WHEN false THEN 'foreign_asset'",
        world((Declared("P1"), settled("P1", target=None, holds=FOREIGN)), **drifting()),
    ),
    "the declared flag is ignored": Bug(
        "coalesce(CASE WHEN manages_flags THEN auto_rebalance ELSE live_flag END, false)",
        "true",
        world(
            (Declared("P1", flag=False), settled("P1", target=None, flag=False, holds=SKEWED)),
            **drifting(),
        ),
    ),
    "the live flag is ignored": Bug(
        "live.auto_rebalance AS live_flag",
        "true AS live_flag",
        world(
            (
                Declared("P1", manages=FUNDED),
                settled("P1", target=None, flag=False, holds=SKEWED),
            ),
            **drifting(),
        ),
    ),
    "a band is breached at its edge": Bug(
        "bool_or(size_e8 > greatest(band_e8, minimum_e8))",
        "bool_or(size_e8 >= greatest(band_e8, minimum_e8))",
        world((Declared("P1"), settled("P1", holds=AT_BAND)), **drifting()),
    ),
    "who rests is rebalanced again": Bug(
        "THEN 'cooldown'",
        "THEN 'send'",
        world((Declared("P1"), settled("P1", holds=RESTING, rebalanced=YESTERDAY)), **drifting()),
    ),
    "a rest ends a second late": Bug(
        "rebalanced_at > ",
        "rebalanced_at >= ",
        world(
            (Declared("P1"), settled("P1", holds=RESTING, rebalanced=YESTERDAY)),
            **drifting(),
            cooldown=(24, "0.10"),
        ),
    ),
    "drift far outside rests as well": Bug(
        "AND sizes_e8 <= ",
        "AND 0 <= ",
        world(
            (Declared("P1"), settled("P1", holds=SKEWED, rebalanced=YESTERDAY)),
            **drifting(),
            cooldown=(168, "0.09"),
        ),
    ),
    "a changed target rests": Bug(
        "WHEN retarget IN ('changed', 'epoch') THEN 'send'",
        "WHEN retarget = 'epoch' THEN 'send'",
        world(
            (
                Declared("P1"),
                settled("P1", holds=SKEWED, target="BTC 0.6, ETH 0.4", rebalanced=YESTERDAY),
            ),
            **drifting(),
        ),
    ),
    "a later stage does not wait": Bug(
        "stage > reached",
        "false",
        world(
            *((Declared(f"P{n}"), settled(f"P{n}", holds=SKEWED, target=OLD)) for n in range(1, 6)),
            rollout=(("0.5", "1"), 2, "d"),
        ),
    ),
    "who is in flight holds no later stage": Bug(
        "OR change.stopped = 'pending'",
        "OR false",
        world(
            (Declared("P1"), settled("P1", holds=SKEWED, target=OLD, busy="pending")),
            (Declared("P2"), settled("P2", holds=SKEWED, target=OLD)),
            rollout=(("0.5", "1"), 2, "d"),
        ),
    ),
    "refusals halt nothing": Bug(
        "FILTER (change.stopped = 'parked'",
        "FILTER (false",
        world(
            (Declared("P1"), settled("P1", holds=SKEWED, target=OLD, parked="refused")),
            (Declared("P2"), settled("P2", holds=SKEWED, target=OLD)),
            rollout=(("0.5", "1"), 2, "d"),
        ),
    ),
    "stages hang on the order of people": Bug(
        "participant_code), 15) <",
        "strategy), 15) <",
        world(
            *((Declared(f"P{n}"), settled(f"P{n}", holds=SKEWED, target=OLD)) for n in range(1, 6)),
            rollout=(("0.5", "1"), 1, "d"),
        ),
    ),
    "a call takes one participant too many": Bug(
        ") - 1) // 2 END AS part",
        ")) // 3 END AS part",
        world(*((Declared(f"P{n}"), None) for n in range(1, 8)), per_call=2),
    ),
    "exits are forgotten in the rebalance": Bug(
        "WHEN verb = 'rebalance' THEN rebalance_text",
        "WHEN verb = 'rebalance' THEN target_text",
        world((Declared("P1"), settled("P1", target=None, holds={"SOL": "8"}))),
    ),
    "holdings are joined without their Strategy": Bug(
        "AS holding USING (strategy_id, participant_code)\n),\nnamed",
        "AS holding USING (participant_code)\n),\nnamed",
        world(
            (Declared("P1"), settled("P1", holds=EVEN)),
            (Declared("P1", strategy="red"), settled("P1", strategy="red", holds=SKEWED)),
            strategies=[
                strategy(name, targets=(Target(HALF, ()),), rebalance_on="drift")
                for name in ("blue", "red")
            ],
        ),
    ),
    "a payout counts as a purchase": Bug(
        "WHEN 'partial_sell' THEN -flow.amount_minor",
        "WHEN 'partial_sell' THEN flow.amount_minor",
        world(
            (
                Declared("P1", withdrawn="700"),
                settled("P1", holds=holdings_worth(PRICES, BTC="518", ETH="482")),
            ),
            **drifting(),
        ),
    ),
    "a parked participant is sent again": Bug(
        "AND parked NOT IN ('trader_not_enrolled', 'trader_already_enrolled')",
        "AND false",
        world((Declared("P1", "1100"), settled("P1", parked="refused"))),
    ),
    "a difference within the tolerance is sent": Bug(
        "contributed_minor - counted_in_minor > tolerance_minor",
        "contributed_minor - counted_in_minor > 0",
        world(
            (Declared("P1", "1000.02"), settled("P1", tolerance="0.02")),
            minimum_leg="0",
            minimum_account="0",
        ),
    ),
    "a liquidated Trader is liquidated again": Bug(
        "exited AND trader_id IS NOT NULL AND NOT has_left AS leaving",
        "exited AND trader_id IS NOT NULL AS leaving",
        world((Declared("P1", exited=True), settled("P1"))),
    ),
    "an exit forgets to close its account of flows": Bug(
        "CASE WHEN exited THEN more_in_minor ELSE 0 END AS forfeited_in_minor",
        "0::BIGINT AS forfeited_in_minor",
        world((Declared("P1", "1500", exited=True), settled("P1"))),
    ),
    "a leg below its minimum is sent": Bug(
        "WHEN amount_minor < flow_least_minor THEN 'below_leg_minimum'",
        "WHEN false THEN 'below_leg_minimum'",
        world((Declared("P1", "1004"), settled("P1"))),
    ),
    "a payout may sell more than is held": Bug(
        "WHEN short.asset IS NOT NULL THEN 'partial_sell_infeasible'",
        "WHEN false THEN 'partial_sell_infeasible'",
        world(
            (
                Declared("P1", withdrawn="300"),
                settled("P1", holds=holdings_worth(PRICES, BTC="900", ETH="100")),
            )
        ),
    ),
    "a sell behind a rebalance is sent before it": Bug(
        "(fitting.strategy IS NOT NULL) AS after_rebalance",
        "false AS after_rebalance",
        LATE,
    ),
    "a leg below its minimum is thought to bring what is sold": Bug(
        "ELSE 0 END AS leg_e8",
        "ELSE delta_e8 END AS leg_e8",
        world(
            (
                Declared("P1", withdrawn="950"),
                settled("P1", holds=holdings_worth(PRICES, **NEARLY), target=OLD),
            ),
            minimum_leg="50",
        ),
    ),
    "a sell below its minimum is thought to pay for a buy": Bug(
        "CASE WHEN leg_e8 > 0 THEN (",
        "CASE WHEN leg_e8 < 0 THEN (",
        world(
            (
                Declared("P1", withdrawn="960"),
                settled("P1", holds=holdings_worth(PRICES, **UNPAID), target=OLD),
            ),
            minimum_leg="50",
        ),
    ),
    "money of one participant in two Strategies is capped apart": Bug(
        "sum(amount_minor)::HUGEINT AS moved_minor",
        "max(amount_minor)::HUGEINT AS moved_minor",
        world(
            (Declared("P1", "1300"), settled("P1")),
            (Declared("P1", "1300", strategy="red"), settled("P1", strategy="red")),
            strategies=[strategy(name, targets=(Target(HALF, ()),)) for name in ("blue", "red")],
            guards={**OPEN_GUARDS, "cap_participant": "500"},
        ),
    ),
    "money out is netted with money in": Bug(
        "AND NOT second THEN flow_out_minor",
        "AND NOT second THEN flow_out_minor - flow_in_minor",
        world((Declared("P1", "1100", withdrawn="300"), settled("P1")), both_directions="send"),
    ),
    "one of two flows goes although the other is held back": Bug(
        "max(nullif(held_back, 'stale_flow')) OVER each",
        "NULL",
        world((Declared("P1", "1500", withdrawn="4"), settled("P1")), both_directions="send"),
    ),
    "a flow buys what may only be sold": Bug(
        "WHEN forbidden.side_detail IS NOT NULL THEN 'side_forbids'",
        "WHEN false THEN 'side_forbids'",
        world((Declared("P1", "1500"), settled("P1")), sides=(("ETH", "sell"),)),
    ),
    "a rebalance sells what may only be bought": Bug(
        "WHEN side_detail IS NOT NULL THEN 'side_forbids'",
        "WHEN false THEN 'side_forbids'",
        world((Declared("P1"), settled("P1", holds=SKEWED)), **drifting(), sides=(("BTC", "buy"),)),
    ),
    "a frozen asset counts as drift": Bug(
        "WHERE side IS DISTINCT FROM 'freeze' AND rest_e18 > 0",
        "WHERE true",
        world(
            (Declared("P1"), settled("P1", holds=SKEWED)), **drifting(), sides=(("ETH", "freeze"),)
        ),
    ),
    "the flag goes off although the exit is held back": Bug(
        "reason IN ('stale_flow', 'side_forbids')",
        "reason = 'stale_flow'",
        world((Declared("P1", exited=True), settled("P1")), sides=(("BTC", "buy"),)),
    ),
    "a raised epoch is not noticed": Bug(
        "WHEN epoch > live_epoch THEN 'epoch'",
        "WHEN false THEN 'epoch'",
        world(
            (Declared("P1"), settled("P1", holds=SKEWED)),
            strategies=[strategy(targets=(Target(HALF, ()),), rebalance_epoch=1)],
        ),
    ),
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_the_laws_notice_a_planted_bug(bug: Bug) -> None:
    """Every law holds on the world; with the bug planted at least one does not."""
    check(bug.shows)
    with planted(bug.right, bug.wrong), pytest.raises(AssertionError):
        check(bug.shows)


DRIFTED = world((Declared("P1"), settled("P1", holds=SKEWED)), **drifting())
SMALL = world((Declared("P1", "1008"), settled("P1")), minimum_leg="4")


@pytest.mark.parametrize(
    ("right", "wrong", "shown", "dearer", "richer"),
    [
        ("WHEN price_e8 IS NOT NULL THEN", "WHEN price_e8 > 10000e8 THEN", DRIFTED, 5, 1),
        ("amount_minor < flow_least_minor", "amount_minor < 2000", SMALL, 1, 4),
    ],
    ids=["cheap assets count for nothing", "a minimum that is a number"],
)
def test_the_law_of_units_notices_a_number_in_a_unit(
    right: str, wrong: str, shown: World, dearer: int, richer: int
) -> None:
    """A threshold that is written down in one unit is another one in the next."""
    scale_free(shown, Fraction(dearer), richer)
    with planted(right, wrong), pytest.raises(AssertionError):
        scale_free(shown, Fraction(dearer), richer)


def test_the_laws_notice_rows_that_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check of keys a participant that stands twice would be funded twice."""
    twice = world((Declared("P1"), None), (Declared("P1"), None))
    planned.forget()
    assert isinstance(planned.answer_of(twice), planned.Refused)
    monkeypatch.setattr("stratctl.diff.scope._refuse_duplicates", lambda rows: None)
    planned.forget()
    with pytest.raises(AssertionError):
        check(twice)
    planned.forget()


def test_the_law_of_one_use_notices_an_approval_that_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted: what has its result already is still approved."""
    twice = planned.plan_of(world((Declared("P1"), None), (Declared("P2"), None), per_call=1))
    replayed(twice, 1)
    monkeypatch.setattr(ceiling, "_without", lambda allowed, done: allowed)
    with pytest.raises(AssertionError):
        replayed(twice, 1)


def test_the_laws_notice_a_day_that_forgets_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cap of a day counts the calls of the journal, not this plan alone."""
    full = world(
        (Declared("P1", "1300"), settled("P1")),
        guards={**OPEN_GUARDS, "cap_day": "1000"},
        sent_lately=(("USD", 800_00, 0),),
    )
    planned.forget()
    check(full)
    measure = caps.cap_measures
    monkeypatch.setattr(
        "stratctl.plan.cap_measures", lambda caps, calls, rows, _: measure(caps, calls, rows, ())
    )
    planned.forget()
    with pytest.raises(AssertionError):
        check(full)
    planned.forget()


def check(shown: World) -> None:
    """Every law of one world."""
    for law in laws.LAWS:
        law(shown)
