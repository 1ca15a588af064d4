"""Worlds for the laws: small, strange, and priced so that every value is an exact decimal."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from stratctl.core.diagnostic import Span
from stratctl.core.money import format_units, parse_units
from stratctl.core.state import DesiredStrategy, LiveCohort, Target, Vector
from tests.worlds import (
    OPEN_GUARDS,
    Declared,
    Holder,
    World,
    holdings_worth,
    strategy,
    vector,
)

PRICES = {"BTC": "50000", "ETH": "2500", "SOL": "125", "XRP": "0.5"}
"""Their reciprocals are short decimals, so quantities and values are exact on both sides."""

VECTORS = (
    vector(BTC="0.5", ETH="0.3", SOL="0.2"),
    vector(BTC="0.55", ETH="0.25", SOL="0.2"),
    vector(BTC="0.6", ETH="0.4"),
    vector(BTC="0.25", ETH="0.25", SOL="0.25", XRP="0.25"),
    vector(XRP="1"),
)
MIXES: tuple[dict[str, str], ...] = (
    {"BTC": "500", "ETH": "300", "SOL": "200"},
    {"BTC": "550", "ETH": "250", "SOL": "200"},
    {"BTC": "550.01", "ETH": "249.99", "SOL": "200"},
    {"BTC": "700", "ETH": "200", "SOL": "100"},
    {"BTC": "600", "ETH": "400"},
    {"BTC": "30", "ETH": "4", "SOL": "4", "XRP": "4"},
    {"BTC": "497", "ETH": "303", "SOL": "200"},
    {"BTC": "250", "ETH": "250", "SOL": "250", "XRP": "250"},
    {"XRP": "1000"},
    {},
)
CAPS = (
    ("cap_participant", "500"),
    ("cap_call", "530.00"),
    ("cap_run", "1000"),
    ("cap_day", "1130"),
)
SIDES = (
    (("SOL", "freeze"),),
    (("SOL", "buy"), ("XRP", "sell")),
    (("BTC", "sell"), ("SOL", "freeze")),
    (("ETH", "buy"), ("XRP", "freeze")),
)
MANAGES = (
    ("membership", "funding", "allocations", "flags"),
    ("membership", "funding", "allocations", "flags"),
    ("allocations", "flags"),
    ("allocations",),
    ("membership", "funding"),
    ("funding", "allocations"),
)
RESTED = ("2026-11-20T11:59:59Z", "2026-11-20T12:00:00Z", "2026-11-20T12:00:01Z")
"""A second more than a day before worlds are planned, a day, and a second less."""
ROLLOUTS = ((("0.5", "1"), 2, "a"), (("0.2", "0.6", "1"), 3, "b"), (("0.4", "1"), 1, "c"))
CODES = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8")


@lru_cache(maxsize=None, typed=True)
def often(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual value three times out of four."""
    return st.sampled_from((usual,) * (3 * len(others)) + others)


@lru_cache(maxsize=None, typed=True)
def among(*values: Any) -> st.SearchStrategy[Any]:
    """One of the values; made once, because making a strategy takes longer than drawing."""
    return st.sampled_from(values)


ANY_MIX = st.sampled_from(MIXES)
DUST = st.sampled_from(({}, {"BTC": "4.99"}, {"ETH": "0.01", "XRP": "4"}))
ANY_MANAGED = st.sampled_from(MANAGES)
YES_OR_NO = st.booleans()


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """A vector, and usually every other asset as a named exit."""
    chosen: Vector = draw(st.sampled_from(VECTORS))
    others = tuple(asset for asset in PRICES if asset not in chosen.assets)
    return Target(chosen, draw(often(others, (), others[:1])))


@st.composite
def declared_strategies(draw: st.DrawFn, name: str) -> DesiredStrategy:
    """A Strategy with one or two targets and sometimes a cohort of live Traders."""
    count = draw(often(1, 2))
    claim = LiveCohort(
        cohort="app",
        target=draw(among(*range(count))),
        flag=draw(among(None, True, False)),
        allocations=True,
        flags=draw(YES_OR_NO),
        held=draw(often(False, True)),
        overrides_flag=draw(YES_OR_NO),
        span=Span("strategies/app.yaml", 1, 1),
    )
    return strategy(
        name,
        targets=tuple(draw(targets()) for _ in range(count)),
        rebalance_on=draw(among("change", "drift", "drift", "never")),
        rebalance_epoch=draw(often(0, 1)),
        hold=draw(often(False, False, False, True)),
        live_cohort=draw(often(None, claim)),
    )


@st.composite
def people(
    draw: st.DrawFn, code: str, name: str, count: int
) -> tuple[Declared | None, Holder | None]:
    """One participant of one Strategy: declared, live, both or neither."""
    counted_in = draw(among("1000", "0", "2000.5"))
    counted_out = draw(often("0", "100"))
    more_in = draw(often("0", "0.01", "10", "30", "500", "1234.56"))
    more_out = draw(often("0", "10", "100", "450"))
    person = draw(among("both", "both", "both", "named", "live"))
    trader = draw(often(True, False))
    exited = draw(often(False, True))
    foreign = draw(often(False, False, True))
    # Who was sold in full holds dust, unless others traded since.
    mix = draw(DUST if exited and not foreign else ANY_MIX)
    holder = Holder(
        code,
        holdings_worth(PRICES, **mix) if trader else {},
        contributed=counted_in,
        withdrawn=counted_out,
        target=draw(among(None, *(v.text for v in VECTORS[:3]))),
        flag=draw(often(True, False)),
        trader=trader,
        exited=exited,
        busy=draw(often(None, None, "pending", "foreign_operation")),
        parked=draw(often(None, "trader_not_enrolled", "trader_already_enrolled", "refused")),
        standing=draw(often(None, None, "locked")),
        foreign=foreign,
        tolerance=draw(often("0", "0.01")),
        strategy=name,
        rebalanced=draw(often(None, *RESTED)),
    )
    if person == "named":
        counted_in = counted_out = "0"
    declared = Declared(
        code,
        contributed=_plus(counted_in, more_in),
        withdrawn=_plus(counted_out, more_out),
        exited=draw(often(False, True)),
        flag=draw(often(True, False)),
        overrides_flag=draw(often(False, True)),
        target=draw(among(*range(count))),
        strategy=name,
        held=draw(often(False, False, False, True)),
        manages=draw(ANY_MANAGED),
    )
    return (
        None if person == "live" else declared,
        None if person == "named" else holder,
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """At most eight participants, four assets and two Strategies, in every kind of state."""
    names = draw(among(("blue",), ("blue",), ("blue", "red")))
    strategies = [draw(declared_strategies(name)) for name in names]
    absent = draw(often((), names[-1:]))
    declared, holders = [], []
    for code in CODES[: draw(st.integers(3, len(CODES)))]:
        for chosen in draw(st.sampled_from((strategies[:1], strategies[-1:], strategies))):
            said, live = draw(people(code, chosen.name, len(chosen.targets)))
            declared += [said] if said else []
            holders += [live] if live and chosen.name not in absent else []
    return World(
        declared=declared,
        holders=holders,
        strategies=strategies,
        absent=absent,
        prices={a: p for a, p in PRICES.items() if a != draw(often("", "", "SOL", "XRP"))},
        per_call=draw(among(1, 2, 1000)),
        minimum_leg=draw(often("5", "0")),
        guards={**OPEN_GUARDS, **dict(draw(often((), CAPS)))},
        both_directions=draw(among("refuse", "send")),
        sides=draw(often((), (), *SIDES)),
        sent_lately=draw(among((), (("USD", 600_00, 350_00),))),
        rollout=draw(often(None, *ROLLOUTS)),
        cooldown=draw(among((24, "0.10"), (24, "0.12"), (24, "0"), (0, "0.10"))),
    )


GROWING, PAYING, SILENT = "growing", "paying", "silent"


@st.composite
def quiet_worlds(draw: st.DrawFn) -> World:
    """Three Strategies side by side, none of which has a reason to buy from or sell to old people.

    In one only membership grows; in one people are only paid out or leave; in one nothing is
    declared any more.
    """
    grown_declared, grown_holders, grown = draw(_growing())
    paid_declared, paid_holders, paid = draw(_paying())
    silent = draw(declared_strategies(SILENT))
    left = [draw(people(f"S{code}", SILENT, 1))[1] for code in CODES[:3]]
    return World(
        declared=[*grown_declared, *paid_declared],
        holders=[*grown_holders, *paid_holders, *(holder for holder in left if holder)],
        strategies=[grown, paid, replace(silent, live_cohort=None)],
        prices=dict(PRICES),
        per_call=draw(among(2, 1000)),
        # Who is paid out behind a rebalance of everything sells what it has just bought as well.
        guards={**OPEN_GUARDS, "turnover": 2, "removals": 0, "removals_share": 0},
    )


@st.composite
def _growing(draw: st.DrawFn) -> tuple[list[Declared], list[Holder], DesiredStrategy]:
    """Settled people in band, and at least one new one beside them."""
    chosen = draw(st.sampled_from(VECTORS[:3]))
    codes = [f"G{code}" for code in CODES[: draw(st.integers(1, 5))]]
    new = draw(st.lists(st.sampled_from(codes), min_size=1, unique=True))
    amounts = {code: draw(among("25", "1000", "33.34", "7000.01")) for code in codes}
    inside = {VECTORS[0]: (MIXES[0], MIXES[6]), VECTORS[1]: (MIXES[1],), VECTORS[2]: (MIXES[4],)}
    return (
        [Declared(code, amounts[code], strategy=GROWING) for code in codes],
        [
            Holder(
                code,
                holdings_worth(PRICES, **draw(st.sampled_from(inside[chosen]))),
                contributed=amounts[code],
                target=chosen.text,
                strategy=GROWING,
            )
            for code in codes
            if code not in new
        ],
        strategy(
            GROWING,
            targets=(Target(chosen, ()),),
            rebalance_on=draw(among("change", "drift")),
        ),
    )


@st.composite
def _paying(draw: st.DrawFn) -> tuple[list[Declared], list[Holder], DesiredStrategy]:
    """Everything is contributed; withdrawals rise and people leave."""
    paying = draw(declared_strategies(PAYING))
    every = tuple(
        replace(target, exits=tuple(a for a in PRICES if a not in target.vector.assets))
        for target in paying.targets
    )
    declared, holders = [], []
    for code in CODES[: draw(st.integers(1, 5))]:
        said, live = draw(people(f"Q{code}", PAYING, len(every)))
        if said and live:
            declared.append(replace(said, contributed=live.contributed))
        if live:
            holders.append(live)
    return declared, holders, replace(paying, targets=every)


def _plus(first: str, second: str) -> str:
    return format_units(parse_units(first, 2) + parse_units(second, 2), 2)
