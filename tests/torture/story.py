"""What is declared in two steps, and what must have happened then: this, and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from tests.e2e.world import LEG, Project, Witness

SHORT = "core"
FROM_NOTHING = {"enrollment": 2}
EVERY_VERB = {"enrollment": 3, "liquidation": 1, "partial_sell": 1, "top_up": 1, "rebalance": 1}


def begin(project: Project) -> list[str]:
    """A Strategy that does not exist yet, with three participants in two calls."""
    codes = project.sandbox.participants(4)
    project.policy["calls"] = {"participants": 2}
    project.strategy(SHORT)
    project.cohort("members", SHORT, dict.fromkeys(codes[:3], "100.00"), auto_rebalance=False)
    project.save()
    return codes


def change(project: Project, codes: list[str]) -> None:
    """Every other verb: metadata, an exit, a partial sell, a top-up, an enrolment, new weights and
    so a rebalance, and flags."""
    one, two, three, new = codes
    project.line("members", one)["contributed"] = "150.00"
    project.line("members", two)["withdrawn"] = "40.00"
    project.line("members", three)["status"] = "exited"
    members = project.documents["members"]
    members["participants"].append({"participant_code": new, "contributed": "70.00"})
    members["auto_rebalance"] = True
    metadata = {"label": project.name(SHORT), "note": "changed"}
    weights = {"BTC": "0.6", "ETH": "0.4"}
    project.strategy(SHORT, weights, exits=["SOL"], metadata=metadata)
    project.save()


def rise(project: Project, codes: list[str]) -> None:
    """A top-up of one participant and the enrolment of another."""
    project.line("members", codes[0])["contributed"] = "150.00"
    lines = project.documents["members"]["participants"]
    lines.append({"participant_code": codes[3], "contributed": "70.00"})
    project.save()


def began(seen: Witness, codes: list[str]) -> None:
    """What ``begin`` declares was done."""
    _bought(seen, dict.fromkeys(codes[:3], "100.00"))
    assert _counted(seen) == FROM_NOTHING, seen.types()


def risen(seen: Witness, codes: list[str]) -> None:
    """What ``begin`` and ``rise`` declare was done."""
    _bought(seen, dict(zip(codes, ("150.00", "100.00", "100.00", "70.00"), strict=True)))


def changed(seen: Witness, codes: list[str]) -> None:
    """What ``begin`` and ``change`` declare was done."""
    one, two, three, new = codes
    _bought(seen, {one: "150.00", two: "100.00", three: "100.00", new: "70.00"})
    assert abs(seen.moved[two].sold - Decimal("40.00")) <= 2 * LEG, seen.moved[two].sold
    assert not any(seen.moved[code].sold for code in (one, three, new))
    assert seen.moved[three].settled == {"enrollment": 1, "liquidation": 1}
    for code in (one, two):
        assert seen.moved[code].settled["rebalance"] >= 1, "it holds what was exited"
    assert seen.moved[two].settled["partial_sell"] == 1


def _bought(seen: Witness, expected: dict[str, str]) -> None:
    assert seen.strategies == 1, seen.strategies
    bought = {code: moved.bought for code, moved in seen.moved.items()}
    assert bought == {code: Decimal(amount) for code, amount in expected.items()}, bought


def _counted(seen: Witness) -> dict[str, int]:
    types = seen.types()
    return {kind: types.count(kind) for kind in sorted({*types})}


@dataclass(frozen=True)
class Phase:
    """A declaration that is to be carried out whatever happens."""

    declare: Callable[[Project, list[str]], None]
    judge: Callable[[Witness, list[str]], None]


PHASES = {
    "begin": Phase(lambda project, codes: None, began),
    "change": Phase(change, changed),
    "rise": Phase(rise, risen),
}
"""``begin`` is where all begin; the others follow on it."""
