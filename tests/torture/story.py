"""What is declared in two steps, and what must have happened then: this, and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from tests.e2e.world import LEG, Project, Witness

SHORT = "core"


class MovedWrong(AssertionError):
    """Another sum moved than is declared."""


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


@dataclass(frozen=True)
class Phase:
    """A declaration that is to be carried out whatever happens."""

    declare: Callable[[Project, list[str]], None]
    bought: tuple[str, ...]
    """For whom, in the order of the codes, how much is declared in all."""
    sold: str = "0.00"
    """Of the second of them."""

    def at_most(self, seen: Witness, codes: list[str]) -> None:
        """At any moment. Raises MovedWrong."""
        for code, moved in seen.moved.items():
            may = Decimal(dict(zip(codes, self.bought, strict=False)).get(code, "0.00"))
            sells = Decimal(self.sold) + 2 * LEG if code == codes[1] else Decimal(0)
            if moved.bought > may or moved.sold > sells:
                raise MovedWrong(code, moved)
        if seen.strategies > 1:
            raise MovedWrong(seen.strategies)

    def exactly(self, seen: Witness, codes: list[str]) -> None:
        """When nothing is left. Raises MovedWrong."""
        self.at_most(seen, codes)
        bought = {code: moved.bought for code, moved in seen.moved.items()}
        expected = dict(zip(codes, map(Decimal, self.bought), strict=False))
        if bought != expected or seen.moved[codes[1]].sold < Decimal(self.sold) - 2 * LEG:
            raise MovedWrong(bought, seen.moved[codes[1]].sold)
        if self.declare is change:
            self._changed(seen, codes)

    def _changed(self, seen: Witness, codes: list[str]) -> None:
        """What moves no declared money was done too."""
        one, two, three, _ = codes
        assert seen.moved[three].settled == {"enrollment": 1, "liquidation": 1}
        assert seen.moved[two].settled["partial_sell"] == 1
        for code in (one, two):
            assert seen.moved[code].settled["rebalance"] >= 1, "it holds what was exited"


PHASES = {
    "begin": Phase(lambda project, codes: None, ("100.00", "100.00", "100.00")),
    "change": Phase(change, ("150.00", "100.00", "100.00", "70.00"), "40.00"),
    "rise": Phase(rise, ("150.00", "100.00", "100.00", "70.00")),
}
"""``begin`` is where all begin; the others follow on it."""
