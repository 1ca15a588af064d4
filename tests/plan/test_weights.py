"""Where computed weights come from is said when it is news, and decides nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stratctl.core.diagnostic import Span
from stratctl.core.plan import Plan
from stratctl.core.state import Target, WeightProvenance
from stratctl.core.tables import Workspace
from tests.worlds import Declared, Holder, World, holdings_worth, strategy, vector

COMPUTED = vector(BTC="0.5", ETH="0.5")
PROVENANCE = WeightProvenance(
    rule="equal_weight",
    span=Span("strategies/blue.yaml", 5, 1),
    sources=(),
    uncapped=COMPUTED,
    cap_e18=None,
    cap_span=None,
    vector=COMPUTED,
)
HELD = holdings_worth(BTC="500", ETH="500")


def planned(
    satisfied: str, provenance: WeightProvenance | None = PROVENANCE, absent: bool = False
) -> Plan:
    """One participant who last satisfied a target, and pays in 500.00 more."""
    target = Target(COMPUTED, (), provenance)
    return World(
        declared=[Declared("P00001", contributed="1500")],
        holders=[] if absent else [Holder("P00001", HELD, target=satisfied)],
        strategies=[strategy(targets=(target,))],
        absent=("blue",) if absent else (),
    ).plan(Workspace())


def test_weights_that_changed_say_where_they_come_from() -> None:
    """Somebody satisfied other weights last, so the rule that gave these is news."""
    assert planned("BTC 0.6, ETH 0.4").weights == (("blue", PROVENANCE),)


def test_a_created_strategy_says_where_its_weights_come_from() -> None:
    """Nobody has seen them yet."""
    assert planned("", absent=True).weights == (("blue", PROVENANCE),)


def test_weights_that_stay_say_nothing() -> None:
    """A top-up at the weights that are held already is no news of weights."""
    unchanged = planned("BTC 0.5, ETH 0.5")
    assert unchanged.calls
    assert unchanged.weights == ()


@pytest.mark.parametrize("absent", [False, True])
def test_provenance_decides_nothing(absent: bool) -> None:
    """The same weights written down by hand are the same plan, digest and all."""
    elsewhere = replace(PROVENANCE, rule="mirror", span=Span("strategies/other.yaml", 9, 9))
    digests = {
        planned("BTC 0.6, ETH 0.4", found, absent).digest for found in (PROVENANCE, elsewhere, None)
    }
    assert len(digests) == 1
    assert planned("BTC 0.6, ETH 0.4", None, absent).weights == ()
