"""Boxes: which weights one call may carry for many participants, and which of them are best.

A call carries one vector of shares ``a`` with ``sum(a) = 1``. What a participant accepts is an
interval per asset, so a group of participants accepts a box, and a vector for all of them exists
exactly when the box holds a point whose shares add up to 1:

    low_i = max over participants of low_pi        high_i = min over participants of high_pi
    feasible  <=>  low <= high  and  sum(low) <= 1 <= sum(high)                 (shared-vector test)

A leg below the instrument's minimum is not placed, so each asset also has a smallest share that
may be sent, unless none of it is sent. That makes a box a union of closed boxes, one for each set
of assets that is traded.

Every share is an integer of 10⁻¹⁸ and every value one of 10⁻⁸ of the currency. There is no
tolerance anywhere: what is proven here is proven.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from stratctl.core.money import WEIGHT_DIGITS, WEIGHT_ONE_E18

Shares = tuple[int, ...]
"""One share (10⁻¹⁸) per asset, in an order of assets that everybody agrees on."""

SENT_DIGITS = 8
"""Decimals of computed weights. Finer ones are sent only where these miss the box."""

_OPTIONAL_MAX = 10
"""Up to so many assets every set of traded ones is tried; beyond, the costliest are dropped."""


@dataclass(frozen=True, slots=True)
class Box:
    """What is accepted: ``low <= a <= high`` per asset, and none of an asset or ``least`` of it."""

    low: Shares
    high: Shares
    least: Shares

    @classmethod
    def at(cls, shares: Shares) -> Box:
        """The box that holds one vector."""
        return cls(low=shares, high=shares, least=(0,) * len(shares))

    def meet(self, other: Box) -> Box:
        """What both accept."""
        return Box(
            low=tuple(map(max, self.low, other.low)),
            high=tuple(map(min, self.high, other.high)),
            least=tuple(map(max, self.least, other.least)),
        )

    def holds(self, shares: Shares) -> bool:
        """Whether it accepts this vector."""
        return all(
            low <= share <= high and (share == 0 or share >= least)
            for share, low, high, least in zip(shares, self.low, self.high, self.least, strict=True)
        )

    @property
    def width(self) -> int:
        """How much room it leaves, over all assets."""
        return sum(max(0, high - low) for low, high in zip(self.low, self.high, strict=True))

    @property
    def feasible(self) -> bool:
        """The shared-vector test."""
        return next(self.closed(), None) is not None

    @property
    def hull(self) -> tuple[Shares, Shares] | None:
        """(low, high) of the box whatever the minimums are; None: not even that holds a vector."""
        high = tuple(
            0 if least > most and not low else most
            for low, most, least in zip(self.low, self.high, self.least, strict=True)
        )
        fits = all(low <= most for low, most in zip(self.low, self.high, strict=True))
        if not fits or not sum(self.low) <= WEIGHT_ONE_E18 <= sum(high):
            return None
        return self.low, high

    def closed(self) -> Iterator[tuple[Shares, Shares]]:
        """(low, high) of each closed box in it that holds a vector, those of most assets first."""
        if self.hull is None:
            return
        assets = range(len(self.low))
        always = {i for i in assets if self.low[i] > 0}
        if any(self.least[i] > self.high[i] for i in always):
            return
        tradable = [i for i in assets if max(self.low[i], self.least[i], 1) <= self.high[i]]
        for dropped in _droppings([i for i in tradable if i not in always], self.least):
            traded = set(tradable) - set(dropped)
            low = tuple(max(self.low[i], self.least[i]) if i in traded else 0 for i in assets)
            high = tuple(self.high[i] if i in traded else 0 for i in assets)
            if sum(low) <= WEIGHT_ONE_E18 <= sum(high):
                yield low, high


def _droppings(optional: Sequence[int], least: Shares) -> Iterator[tuple[int, ...]]:
    """Sets of assets to leave untraded, small sets first."""
    if len(optional) <= _OPTIONAL_MAX:
        for size in range(len(optional) + 1):
            yield from combinations(optional, size)
        return
    costliest = sorted(optional, key=lambda asset: (-least[asset], asset))
    for size in range(len(optional) + 1):
        yield tuple(costliest[:size])


# --- the cheapest part of a box -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pull:
    """What it costs to miss the ``knees``: value per whole share above and below, in 10⁻⁸.

    =============  ======================  ===========================  =========================
    of             knee                    above it                     below it
    =============  ======================  ===========================  =========================
    a top-up       what is missing / f     bought to be sold again: f   nothing
    a partial      what is too much / g    nothing                      left to be sold later: g
    a rebalance    the share held          bought by others' sells: V   sold: V
    =============  ======================  ===========================  =========================
    """

    knees: Shares
    above_e8: int
    below_e8: int

    def cost_e8(self, shares: Shares) -> int:
        """What this vector costs, rounded up to a whole 10⁻⁸."""
        missed = sum(
            self.above_e8 * (share - knee) if share > knee else self.below_e8 * (knee - share)
            for share, knee in zip(shares, self.knees, strict=True)
        )
        cost_e8: int = -(-missed // WEIGHT_ONE_E18)
        return cost_e8


def cheapest_face(low: Shares, high: Shares, pulls: Sequence[Pull]) -> tuple[Shares, Shares]:
    """The part of a closed box in which every vector costs the least.

    The cost is a sum of convex functions of one asset each, so filling the flattest pieces first
    is exact: pieces flatter than the last one used are full, steeper ones are empty, and pieces of
    that very slope may be filled in any way, which is a box again.
    """
    pieces = [
        (slope, asset, start, end)
        for asset in range(len(low))
        for slope, start, end in _pieces(asset, low[asset], high[asset], pulls)
    ]
    missing = WEIGHT_ONE_E18 - sum(low)
    at_least, at_most = list(low), list(low)
    for slope in sorted({piece[0] for piece in pieces}):
        alike = [piece for piece in pieces if piece[0] == slope]
        room = sum(end - start for _, _, start, end in alike)
        for _, asset, _, end in alike:
            at_most[asset] = end
        if room >= missing:
            break
        missing -= room
        for _, asset, _, end in alike:
            at_least[asset] = end
    return tuple(at_least), tuple(at_most)


def _pieces(
    asset: int, low: int, high: int, pulls: Sequence[Pull]
) -> Iterator[tuple[int, int, int]]:
    """(slope, start, end) of the cost along one asset, ascending in both."""
    bends: dict[int, int] = {}
    slope = -sum(pull.below_e8 for pull in pulls)
    for pull in pulls:
        knee, bend = pull.knees[asset], pull.above_e8 + pull.below_e8
        if knee <= low:
            slope += bend
        elif knee < high:
            bends[knee] = bends.get(knee, 0) + bend
    start = low
    for knee in sorted(bends):
        yield slope, start, knee
        start, slope = knee, slope + bends[knee]
    if start < high:
        yield slope, start, high


# --- one vector of a closed box -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The sum of what a group holds and should hold after its flows, in 10⁻⁸ per asset."""

    held_e8: tuple[int, ...]
    wanted_e8: tuple[int, ...]
    flow_e8: int
    buying: bool


def waterfill(low: Shares, high: Shares, portfolio: Portfolio) -> tuple[Fraction, ...]:
    """The vector of a closed box that raises the lowest ratio of held to wanted first.

    At a level L an inflow f buys ``a_i = (L * wanted_i - held_i) / f`` of each asset, an outflow g
    sells ``a_i = (held_i - L * wanted_i) / g``, both clamped to the box. Every share only grows as
    the level rises (for outflows: falls), in straight lines between the levels at which one meets
    a bound, so the vector that spends the whole flow lies on one of these lines.
    """
    signed = portfolio.flow_e8 if portfolio.buying else -portfolio.flow_e8
    pairs = list(zip(portfolio.held_e8, portfolio.wanted_e8, strict=True))

    def at(level: Fraction) -> tuple[Fraction, ...]:
        exact = [(level * wanted - held) * WEIGHT_ONE_E18 / signed for held, wanted in pairs]
        return tuple(
            min(Fraction(most), max(Fraction(least), share))
            for share, least, most in zip(exact, low, high, strict=True)
        )

    levels = {
        (Fraction(bound * signed, WEIGHT_ONE_E18) + held) / wanted
        for bounds in (low, high)
        for bound, (held, wanted) in zip(bounds, pairs, strict=True)
        if wanted
    }
    rising = map(at, sorted(levels, reverse=not portfolio.buying))
    return _whole([tuple(map(Fraction, low)), *rising, tuple(map(Fraction, high))])


def nearest(low: Shares, high: Shares, declared: Shares) -> tuple[Fraction, ...]:
    """A vector of a closed box that leaves the declared shares only where it has to."""
    corners = (low, tuple(map(max, low, map(min, high, declared))), high)
    return _whole([tuple(map(Fraction, corner)) for corner in corners])


def _whole(path: Sequence[tuple[Fraction, ...]]) -> tuple[Fraction, ...]:
    """Where a path of straight lines, on which every share only grows, adds up to one."""
    before = after = path[0]
    for after in path:
        if sum(after) >= WEIGHT_ONE_E18:
            break
        before = after
    if before == after:
        return after
    part = (WEIGHT_ONE_E18 - sum(before)) / (sum(after) - sum(before))
    return tuple(one + (other - one) * part for one, other in zip(before, after, strict=True))


def rounded(exact: Sequence[Fraction], low: Shares, high: Shares) -> Shares:
    """The shares as they are sent: whole units of 10⁻⁸ by largest remainder, inside the box.

    Where no such vector lies in the box, units of 10⁻¹⁸ do, because its bounds are such. An asset
    that is not bought gets nothing of what is left over.
    """
    for digits in (SENT_DIGITS, WEIGHT_DIGITS):
        unit = 10 ** (WEIGHT_DIGITS - digits)
        least = [-(-bound // unit) for bound in low]
        most = [bound // unit if share else 0 for bound, share in zip(high, exact, strict=True)]
        shares = [
            min(top, max(bottom, share.numerator // (share.denominator * unit)))
            for share, bottom, top in zip(exact, least, most, strict=True)
        ]
        left = WEIGHT_ONE_E18 // unit - sum(shares)
        step = 1 if left > 0 else -1
        bounds = most if left > 0 else least
        by_claim = sorted(
            range(len(shares)), key=lambda i: (step * (shares[i] * unit - exact[i]), -exact[i], i)
        )
        # One unit each, and where bounds leave nobody else to take them, as many as there is room.
        for most_each in (1, abs(left)):
            for asset in by_claim:
                moved = min(abs(left), most_each, abs(bounds[asset] - shares[asset]))
                shares[asset] += step * moved
                left -= step * moved
        fits = all(b <= s <= t for s, b, t in zip(shares, least, most, strict=True))
        if left == 0 and fits:
            return tuple(share * unit for share in shares)
    raise AssertionError("a closed box that passed the shared-vector test holds a vector")
