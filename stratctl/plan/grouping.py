"""Which participants share a call, and who is rebalanced afterwards: the fewest calls, then sells.

A plan for the flows of one Strategy is a set of targets whose participants may be rebalanced after
their flows, and a partition of the inflows and of the outflows into groups that share a vector.
Who is rebalanced accepts every vector that can be carried out and leaves something to trade: a sell
and a buy that reach their minimum. Everybody else accepts a box.

::

    calls = groups of inflows + groups of outflows + targets with a rebalance
    order = within the guard on avoidable sells, then fewest calls, then least sells, then text

A rebalance that is needed anyway takes further participants for nothing, so skewing flows never
saves a call there, only sells. Without one, groups are worth as many calls as rebalances would
cost. For few distinct boxes every partition is tried, and for very few every choice of who is
rebalanced as well; beyond, the widest boxes are joined first, and the lower bound says how far
from proven that is. The bound asks nothing of what a rebalance can trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from heapq import heappop, heappush
from itertools import combinations, product

from stratctl.core.money import WEIGHT_ONE_E18
from stratctl.plan.boxes import (
    Box,
    Portfolio,
    Pull,
    Shares,
    cheapest_face,
    rounded,
    waterfill,
)

EXACT_CALLS_MAX = 12
"""Up to so many distinct boxes the fewest groups are found by trying every partition."""

EXACT_SELLS_MAX = 6
"""Up to so many, every choice of who is rebalanced is tried as well."""

PARTS_MAX = 400
"""So many parts of a box are looked into for a vector that leaves everybody something to trade."""

GROUPS_MAX = 4
"""More calls of one verb than this are not spent on sharing, unless flows need them."""

_OPTIONAL_TARGETS_MAX = 4


@dataclass(frozen=True)
class Vintage:
    """Participants that are alike: same target, same ratios held, same flow beside what is held."""

    key: int
    target: int
    members: int
    may_rebalance: bool
    """Whether a rebalance may follow for whoever is not in band after the flow."""
    accepts: Box
    """Vectors after which nothing more is needed."""
    carries: Box
    """Vectors that can be carried out: no leg below its minimum, none larger than the holding."""
    knees: Shares
    """Per asset the share that lands exactly on target, cut to what a share can be."""
    over: Shares
    """Per asset the share from which on a rebalance has a leg of one kind that is worth sending."""
    under: Shares
    """Per asset the share up to which it has one of the other kind."""
    flow_e8: int
    buying: bool
    sold_anyway_e8: int
    """What a rebalance after the flow sells whatever the vector is."""
    held_e8: tuple[int, ...]
    wanted_e8: tuple[int, ...]
    """What the target asks for after the flow."""

    @property
    def pull(self) -> Pull:
        """The cost of vectors that miss the target, in sells of the rebalance that follows."""
        if self.buying:
            return Pull(self.knees, above_e8=self.flow_e8, below_e8=0)
        return Pull(self.knees, above_e8=0, below_e8=self.flow_e8)

    def missed_e8(self, shares: Shares) -> int:
        """What a rebalance after this vector sells."""
        return self.sold_anyway_e8 + self.pull.cost_e8(shares)

    @cached_property
    def must_rebalance(self) -> bool:
        """No vector that can be carried out ends in band."""
        return self.may_rebalance and not self.accepts.meet(self.carries).feasible

    def can_trade(self, shares: Shares) -> bool:
        """Whether a rebalance after this vector has a sell and a buy that reach their minimum."""
        return any(map(int.__ge__, shares, self.over)) and any(map(int.__le__, shares, self.under))

    @property
    def may_strand(self) -> bool:
        """Whether there may be a vector after which a rebalance has nothing to trade."""
        return min(self.over) > 0 or max(self.under) < WEIGHT_ONE_E18

    @cached_property
    def trading(self) -> tuple[Box, ...]:
        """All vectors that can be carried out and leave a rebalance something to trade."""
        assets, carries = range(len(self.over)), self.carries
        if not self.may_strand:
            return (carries,) if carries.feasible else ()
        parts = (
            replace(
                carries,
                low=tuple(self.over[i] if i == more else 0 for i in assets),
                high=tuple(
                    min(carries.high[i], self.under[i]) if i == less else carries.high[i]
                    for i in assets
                ),
            )
            for more in assets
            for less in assets
            if more != less and self.over[more] <= carries.high[more] and self.under[less] >= 0
        )
        return tuple(part for part in parts if part.feasible)

    @property
    def helped(self) -> bool:
        """Whether some vector ends in band, or where a rebalance can bring it there."""
        return self.accepts.meet(self.carries).feasible or (
            self.may_rebalance and bool(self.trading)
        )

    def sent_at(self, weights: Shares) -> Vintage | None:
        """Who accepts these weights alone and is left where it is then.

        Where they cannot be carried out, another vector can if there is any: money moves rather
        than waits. None: there is none, or nobody asked for more than the weights.
        """
        resigned = replace(self, may_rebalance=False, accepts=Box.at(weights))
        if self.carries.holds(weights):
            return resigned
        nearest = _cheapest_anyhow((self,), (self,), self.carries) if self.may_rebalance else None
        return replace(resigned, accepts=Box.at(nearest.shares)) if nearest else None


@dataclass(frozen=True, slots=True)
class Group:
    """Vintages that share one vector."""

    vintages: tuple[Vintage, ...]
    shares: Shares
    rebalanced: tuple[Vintage, ...]
    sells_e8: int
    """Of the rebalances that follow."""

    @property
    def stranded(self) -> tuple[Vintage, ...]:
        """Those that end out of band, where no rebalance can trade."""
        return tuple(v for v in self.rebalanced if not v.can_trade(self.shares))

    @property
    def members(self) -> int:
        return sum(vintage.members for vintage in self.vintages)


@dataclass(frozen=True, slots=True)
class Partition:
    """The groups of one verb."""

    groups: tuple[Group, ...]
    calls: int
    kept: bool = False
    """Whether it sends vectors that were approved before."""

    @property
    def sells_e8(self) -> int:
        return sum(group.sells_e8 for group in self.groups)

    @property
    def text(self) -> tuple[Shares, ...]:
        return tuple(sorted(group.shares for group in self.groups))


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be grouped, for one Strategy."""

    inflows: tuple[Vintage, ...]
    outflows: tuple[Vintage, ...]
    rebalanced: tuple[tuple[int, int], ...]
    """(target, participants) of those that are rebalanced without a flow of their own."""
    per_call: int
    sells_allowed_e8: int
    """How many avoidable sells the guard lets pass."""
    kept_inflows: tuple[Shares, ...] = ()
    kept_outflows: tuple[Shares, ...] = ()
    """Vectors that were approved: they stay as long as everybody still accepts them."""
    kept_targets: frozenset[int] = frozenset()
    """Targets whose rebalance was approved as well: others may not come to need one."""
    whole_boxes: bool = True
    """Whether the boxes are all that is accepted. Narrower ones prove what can be shared, and
    nothing about what cannot."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to send the flows, with what it costs."""

    inflows: Partition
    outflows: Partition
    rebalances: int
    sells_e8: int
    avoidable_e8: int
    """Sells beyond the least with which each flow could be sent alone."""

    @property
    def calls(self) -> int:
        return self.inflows.calls + self.outflows.calls + self.rebalances


@dataclass(frozen=True, slots=True)
class Answer:
    """The best choice, the next best, and how few calls there could be at all."""

    best: Choice
    runner_up: Choice | None
    least_calls: int
    least_inflows: int
    least_outflows: int
    least_rebalances: int


def best_choice(question: Question) -> Answer:
    """The choice that comes first in the order of the module's text."""
    search = _Search(question)
    choices = sorted(search.choices(), key=search.rank)
    best = choices[0]
    other = (c for c in choices if (c.calls, c.sells_e8) != (best.calls, best.sells_e8))
    least_in, least_out, least_rebalances, least = search.least_calls()
    return Answer(best, next(other, None), least, least_in, least_out, least_rebalances)


class _Search:
    def __init__(self, question: Question) -> None:
        self.question = question
        self.every = question.inflows + question.outflows
        self.waiting = dict(question.rebalanced)

    def rank(self, choice: Choice) -> tuple[object, ...]:
        """What was approved first; then, above the guard, sells before calls: spending calls is
        how the guard is met."""
        new = not choice.inflows.kept, not choice.outflows.kept
        above = choice.avoidable_e8 > self.question.sells_allowed_e8
        sells = choice.sells_e8
        text = choice.inflows.text, choice.outflows.text
        return (new, above, sells if above else 0, choice.calls, sells, choice.rebalances, text)

    def choices(self) -> Iterator[Choice]:
        question = self.question
        for free in self.free_targets:
            inflows = list(self._partitions(question.inflows, free, question.kept_inflows))
            outflows = list(self._partitions(question.outflows, free, question.kept_outflows))
            for one, other in product(inflows, outflows):
                yield self._choice(one, other)

    @cached_property
    def forced_targets(self) -> frozenset[int]:
        """Targets with somebody whom only a rebalance brings into band."""
        return frozenset(self.waiting) | {v.target for v in self.every if v.must_rebalance}

    @cached_property
    def free_targets(self) -> tuple[frozenset[int], ...]:
        """Sets of targets whose participants may be rebalanced."""
        optional = sorted({v.target for v in self.every if v.may_rebalance} - self.forced_targets)
        sizes: Iterable[int] = range(len(optional) + 1)
        if len(optional) > _OPTIONAL_TARGETS_MAX:
            sizes = (0, 1, len(optional))
        return tuple(
            self.forced_targets | set(chosen)
            for size in sizes
            for chosen in combinations(optional, size)
        )

    def _choice(self, inflows: Partition, outflows: Partition) -> Choice:
        rebalanced = dict(self.waiting)
        for group in inflows.groups + outflows.groups:
            for vintage in group.rebalanced:
                rebalanced[vintage.target] = rebalanced.get(vintage.target, 0) + vintage.members
        sells_e8 = inflows.sells_e8 + outflows.sells_e8
        return Choice(
            inflows=inflows,
            outflows=outflows,
            rebalances=sum(self._calls(members) for members in rebalanced.values()),
            sells_e8=sells_e8,
            avoidable_e8=sells_e8 - self._least_sells_e8,
        )

    @cached_property
    def _least_sells_e8(self) -> int:
        return sum(group.sells_e8 for v in self.every for group in _formed((v,), None))

    def _calls(self, members: int) -> int:
        return -(-members // self.question.per_call)

    def _partitions(
        self, side: tuple[Vintage, ...], free: frozenset[int], kept: tuple[Shares, ...]
    ) -> Iterator[Partition]:
        """Partitions worth comparing: of each number of groups the one with the fewest sells."""
        as_kept = _as_kept(side, free & self.question.kept_targets, kept)
        if as_kept is not None:
            yield Partition(as_kept, self._calls_of(as_kept), kept=True)
            return
        # The widest choice of rebalances has the fewest groups; these are sent however many.
        most = len(side) if free == self.free_targets[-1] else _groups_max(side)
        for groups in _groupings(side, free, most):
            yield Partition(groups, self._calls_of(groups))

    def _calls_of(self, groups: tuple[Group, ...]) -> int:
        return sum(self._calls(group.members) for group in groups)

    def least_calls(self) -> tuple[int, int, int, int]:
        """Lower bounds: of inflow calls, outflow calls, rebalances, and all of them together."""
        inflows, outflows = self.question.inflows, self.question.outflows
        if not self.question.whole_boxes:
            sides = [self._calls(sum(v.members for v in side)) for side in (inflows, outflows)]
            rebalances = sum(map(self._calls, self.waiting.values()))
            return sides[0], sides[1], rebalances, sum(sides) + rebalances
        bounds = [
            (
                self._least_side(inflows, free),
                self._least_side(outflows, free),
                sum(self._calls(self.waiting.get(target, 1)) for target in free),
            )
            for free in self.free_targets
        ]
        each = (min(bound[place] for bound in bounds) for place in range(3))
        return (*each, min(map(sum, bounds)))  # type: ignore[return-value]  # three and one

    def _least_side(self, side: tuple[Vintage, ...], free: frozenset[int]) -> int:
        """A call has one vector and at most so many participants.

        Who is rebalanced can be paid out behind it, where the target's weights fit whatever was
        held, so outflows that may be rebalanced prove nothing about vectors before it.
        """
        early = tuple(v for v in side if v.buying or not (v.may_rebalance and v.target in free))
        return max(_least_groups(early, free), self._calls(sum(v.members for v in side)))


def _as_kept(
    side: tuple[Vintage, ...], free: frozenset[int], kept: tuple[Shares, ...]
) -> tuple[Group, ...] | None:
    """Everybody at an approved vector, where these still serve all of them."""
    if not kept:
        return None
    members: dict[Shares, list[Vintage]] = {}
    for vintage in side:
        fits = [(_sells_e8(vintage, s), s) for s in kept if _serves(s, vintage, free)]
        if not fits:
            return None
        members.setdefault(min(fits)[1], []).append(vintage)
    return tuple(_group_at(tuple(found), shares) for shares, found in sorted(members.items()))


def _groupings(
    side: tuple[Vintage, ...], free: frozenset[int], most: int
) -> Iterator[tuple[Group, ...]]:
    if not side:
        yield ()
    elif len(side) <= EXACT_SELLS_MAX:
        yield from _cheapest_partitions(side, free, most)
    else:
        # Either everybody is rebalanced who may be, or only those whom nothing else brings into
        # band: the fewest groups, and the fewest sells.
        sparing = tuple(v if v.must_rebalance else replace(v, may_rebalance=False) for v in side)
        real = {v.key: v for v in side}
        for asked, limit in ((side, most), (sparing, _groups_max(side))):
            grouped = _fewest_groups(asked, free)
            if grouped is None:
                continue
            parts = [tuple(real[v.key] for v in part) for part in grouped]
            # One vector that leaves many something to trade may sell a lot for it.
            for form in (_formed, _peeled) if any(v.may_strand for v in side) else (_formed,):
                groups = tuple(group for part in parts for group in form(part, free))
                if len(groups) <= limit:
                    yield groups


# --- one group ------------------------------------------------------------------------------------


def _formed(vintages: tuple[Vintage, ...], free: frozenset[int] | None) -> Iterator[Group]:
    """The cheapest vector for all of them; several where each leaves somebody nothing to trade.

    ``free``: targets that may be rebalanced; None: all.
    """
    found = _cheapest(vintages, free)
    if found is not None:
        yield found
    else:
        yield from _peeled(vintages, free)


def _peeled(vintages: tuple[Vintage, ...], free: frozenset[int] | None) -> Iterator[Group]:
    """The cheapest vector for those whom it leaves something to trade, and others for the rest."""
    alone = len(vintages) == 1
    found = _cheapest(vintages, free, parts_max=PARTS_MAX if alone else 1)
    assert found is not None, "a group is formed only where the shared-vector test passed"
    stranded = found.stranded
    keys = {v.key for v in stranded}
    served = tuple(v for v in vintages if v.key not in keys)
    if served:
        yield _group_at(served, found.shares)
    else:
        assert not alone, "who is grouped has a vector at least alone"
        half = len(vintages) // 2
        yield from _formed(vintages[:half], free)
        stranded = vintages[half:]
    if stranded:
        yield from _formed(stranded, free)


def _cheapest(
    vintages: tuple[Vintage, ...], free: frozenset[int] | None, *, parts_max: int = PARTS_MAX
) -> Group | None:
    """The cheapest group over every choice of who is held in band; None: no vector for all.

    With many, those whom the others leave room for are held in band one after another, most sells
    first, instead of trying every subset.
    """
    loose = [v for v in vintages if _is_free(v, free) and not v.must_rebalance]
    tight = [v for v in vintages if not _is_free(v, free)]
    if len(loose) <= EXACT_SELLS_MAX:
        held = [
            list(chosen)
            for size in range(len(loose), -1, -1)
            for chosen in combinations(loose, size)
        ]
    else:
        held = [loose, _joined(vintages, tight, loose), []]
    best: Group | None = None
    for chosen in held:
        group = _priced(vintages, tight + chosen, parts_max=parts_max)
        if group and (
            best is None or (group.sells_e8, group.shares) < (best.sells_e8, best.shares)
        ):
            best = group
        if best and best.sells_e8 == 0:
            break
    return best


def _joined(
    vintages: tuple[Vintage, ...], tight: list[Vintage], loose: list[Vintage]
) -> list[Vintage]:
    carried = reduce(Box.meet, (v.carries for v in vintages))
    box = reduce(Box.meet, (v.accepts for v in tight), carried)
    joined = []
    for vintage in sorted(loose, key=lambda v: (-v.flow_e8, v.key)):
        narrower = box.meet(vintage.accepts)
        if narrower.feasible:
            box = narrower
            joined.append(vintage)
    return joined


def _priced(
    vintages: tuple[Vintage, ...], held: Sequence[Vintage], *, parts_max: int
) -> Group | None:
    """The cheapest vector with which everybody in ``held`` is in band, and everybody else is or
    can trade; None: none was found.

    What can trade is many boxes. So the cheapest vector is looked for as if everybody could, and
    where it strands somebody, in each part of the box that does not; the cheapest of all parts is
    looked into first, so the first vector that serves is the best. ``parts_max`` of one asks for
    the cheapest vector whomever it strands.
    """
    carried = reduce(Box.meet, (v.carries for v in vintages))
    keys = {v.key for v in held}
    loose = [v for v in vintages if v.key not in keys]
    seen: set[Box] = set()
    parts: list[tuple[int, Shares, int, Group, Box]] = []

    def look_into(box: Box) -> None:
        if box not in seen:
            seen.add(box)
            group = _cheapest_anyhow(vintages, loose, box)
            if group is not None:
                heappush(parts, (group.sells_e8, group.shares, len(seen), group, box))

    look_into(reduce(Box.meet, (v.accepts for v in held), carried))
    while parts and len(seen) <= parts_max:
        *_, group, box = heappop(parts)
        stranded = group.stranded
        if not stranded or parts_max == 1:
            return group
        for part in (stranded[0].accepts, *stranded[0].trading):
            look_into(box.meet(part))
    return None


def _cheapest_anyhow(
    vintages: tuple[Vintage, ...], loose: Sequence[Vintage], box: Box
) -> Group | None:
    """The cheapest vector of a box, whatever it leaves the ``loose`` ones to trade."""
    if box.hull is None:
        return None
    whatever_the_minimums = _cheapest_in(vintages, loose, box.hull)
    if box.holds(whatever_the_minimums.shares):
        return whatever_the_minimums
    bound_e8 = sum(v.missed_e8(whatever_the_minimums.shares) for v in loose)
    best: Group | None = None
    for closed in box.closed():
        group = _cheapest_in(vintages, loose, closed)
        if best is None or group.sells_e8 < best.sells_e8:
            best = group
        if best.sells_e8 <= bound_e8:
            break
    return best


def _cheapest_in(
    vintages: tuple[Vintage, ...], loose: Sequence[Vintage], closed: tuple[Shares, Shares]
) -> Group:
    """The vector of a closed box that makes rebalances of the ``loose`` ones sell the least."""
    face = cheapest_face(*closed, [vintage.pull for vintage in loose])
    exact = waterfill(*face, _together(vintages))
    return _group_at(vintages, rounded(exact, *closed))


def _group_at(vintages: tuple[Vintage, ...], shares: Shares) -> Group:
    rebalanced = tuple(v for v in vintages if not v.accepts.holds(shares))
    return Group(
        vintages=vintages,
        shares=shares,
        rebalanced=rebalanced,
        sells_e8=sum(_sells_e8(v, shares) for v in rebalanced),
    )


def _sells_e8(vintage: Vintage, shares: Shares) -> int:
    return 0 if vintage.accepts.holds(shares) else vintage.missed_e8(shares)


def _together(vintages: Sequence[Vintage]) -> Portfolio:
    return Portfolio(
        held_e8=tuple(map(sum, zip(*(v.held_e8 for v in vintages), strict=True))),
        wanted_e8=tuple(map(sum, zip(*(v.wanted_e8 for v in vintages), strict=True))),
        flow_e8=sum(v.flow_e8 for v in vintages),
        buying=vintages[0].buying,
    )


def _is_free(vintage: Vintage, free: frozenset[int] | None) -> bool:
    return vintage.may_rebalance and (free is None or vintage.target in free)


def _serves(shares: Shares, vintage: Vintage, free: frozenset[int]) -> bool:
    """Whether a vintage ends in band with this vector, or a rebalance that follows can trade."""
    return _required(vintage, free).holds(shares) and (
        vintage.accepts.holds(shares) or vintage.can_trade(shares)
    )


def _required(vintage: Vintage, free: frozenset[int]) -> Box:
    """The box around what a vector must fulfil: wider where a rebalance may follow."""
    if _is_free(vintage, free):
        return vintage.carries
    return vintage.carries.meet(vintage.accepts)


# --- partitions -----------------------------------------------------------------------------------


def _groups_max(side: Sequence[Vintage]) -> int:
    return max(GROUPS_MAX, len({vintage.target for vintage in side}))


def _cheapest_partitions(
    side: tuple[Vintage, ...], free: frozenset[int], groups_max: int
) -> Iterator[tuple[Group, ...]]:
    """For each number of groups, the partition with the fewest sells; by trying all of them."""
    whole = (1 << len(side)) - 1
    priced = {
        mask: _cheapest(tuple(v for i, v in enumerate(side) if mask >> i & 1), free)
        for mask in range(1, whole + 1)
    }
    best: dict[int, tuple[Group, ...]] = {0: ()}
    for _ in range(min(groups_max, len(side))):
        grown: dict[int, tuple[Group, ...]] = {}
        for mask, groups in best.items():
            rest = whole & ~mask
            for part in _parts(rest):
                group = priced[part]
                if group is None:
                    continue
                candidate = (*groups, group)
                known = grown.get(mask | part)
                if known is None or _order(candidate) < _order(known):
                    grown[mask | part] = candidate
        best = grown
        if whole in best:
            yield best[whole]


def _order(groups: tuple[Group, ...]) -> tuple[object, ...]:
    return sum(group.sells_e8 for group in groups), tuple(sorted(g.shares for g in groups))


def _parts(rest: int) -> Iterator[int]:
    """Subsets of a mask that hold its lowest bit, so that each partition is met once."""
    lowest = rest & -rest
    others = part = rest & ~lowest
    while rest:
        yield part | lowest
        if not part:
            return
        part = (part - 1) & others


def _fewest_groups(
    side: tuple[Vintage, ...], free: frozenset[int]
) -> tuple[tuple[Vintage, ...], ...] | None:
    """A partition into few groups with a vector each; None: somebody has none even alone."""
    if _meet(side, free).feasible:
        return (side,)
    return _exactly_fewest(side, free) if len(side) <= EXACT_CALLS_MAX else _first_fit(side, free)


def _exactly_fewest(
    side: tuple[Vintage, ...], free: frozenset[int]
) -> tuple[tuple[Vintage, ...], ...] | None:
    """Over all subsets: the fewest groups that cover one are one more than those of a part."""
    whole = (1 << len(side)) - 1
    boxes = {1 << i: _required(v, free) for i, v in enumerate(side)}
    for mask in range(1, whole + 1):
        lowest = mask & -mask
        if mask != lowest:
            boxes[mask] = boxes[lowest].meet(boxes[mask & ~lowest])
    together = {mask for mask, box in boxes.items() if box.feasible}
    fewest: dict[int, tuple[int, ...]] = {0: ()}
    for mask in range(1, whole + 1):
        found = [
            (part, *fewest[mask & ~part])
            for part in _parts(mask)
            if part in together and mask & ~part in fewest
        ]
        if found:
            fewest[mask] = min(found, key=len)
    if whole not in fewest:
        return None
    return tuple(tuple(v for i, v in enumerate(side) if part >> i & 1) for part in fewest[whole])


def _first_fit(
    side: tuple[Vintage, ...], free: frozenset[int]
) -> tuple[tuple[Vintage, ...], ...] | None:
    """Narrow boxes open groups, wide ones join the first that has room; then groups merge."""
    boxes: list[Box] = []
    groups: list[list[Vintage]] = []
    for vintage in sorted(side, key=lambda v: (_required(v, free).width, v.key)):
        asked = _required(vintage, free)
        if not asked.feasible:
            return None
        for place, box in enumerate(boxes):
            met = box.meet(asked)
            if met.feasible:
                boxes[place] = met
                groups[place].append(vintage)
                break
        else:
            boxes.append(asked)
            groups.append([vintage])
    for first in range(len(groups)):
        for second in range(len(groups) - 1, first, -1):
            met = boxes[first].meet(boxes[second])
            if met.feasible:
                boxes[first] = met
                groups[first] += groups.pop(second)
                boxes.pop(second)
    return tuple(map(tuple, groups))


def _least_groups(side: tuple[Vintage, ...], free: frozenset[int]) -> int:
    """No partition has fewer groups: exact for few boxes, else how many pairwise exclude."""
    if not side or _meet(side, free).feasible:
        return 1 if side else 0
    if len(side) <= EXACT_CALLS_MAX:
        grouped = _exactly_fewest(side, free)
        return len(grouped) if grouped else len(side)
    apart: list[Box] = []
    for vintage in sorted(side, key=lambda v: (_required(v, free).width, v.key)):
        asked = _required(vintage, free)
        if not any(asked.meet(other).feasible for other in apart):
            apart.append(asked)
    return max(1, len(apart))


def _meet(side: Sequence[Vintage], free: frozenset[int]) -> Box:
    return reduce(Box.meet, (_required(v, free) for v in side))
