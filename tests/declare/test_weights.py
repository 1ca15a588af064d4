"""Computed weights: laws over any Strategies that take weights from each other, with an oracle."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.money import WEIGHT_ONE_E18, format_weight, split_exactly
from stratctl.core.state import Course, Target
from stratctl.documents import Documents, Node, Places, Policy, Project, Read, Strategy
from stratctl.resolve.circles import circles, in_order
from stratctl.resolve.proportions import UNIT_E18, capped, exceeds, rounded
from stratctl.resolve.weights import resolve_weights

ONE = 10**8
RATIOS = st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(1, 10**6), min_size=1)

# --- Strategies without files ----------------------------------------------------------------


def read(name: str, **written: object) -> Read[Strategy]:
    """A Strategy as if it had been read; its file is called like it."""
    document = Strategy(
        kind="Strategy",
        version=1,
        name=name,
        quoted_currency="USD",
        **written,  # type: ignore[arg-type]  # checked by the model
    )
    return Read(document, Places(f"{name}.yaml", Node((1, 1))))


def resolved(strategies: Sequence[Read[Strategy]]) -> tuple[dict[str, Target], list[Diagnostic]]:
    """The targets of Strategies whose weights stay, and what is wrong."""
    found, problems = courses(strategies)
    return {name: target for name, ((_, target),) in found.items()}, problems


def courses(strategies: Sequence[Read[Strategy]]) -> tuple[dict[str, Course], list[Diagnostic]]:
    """The targets by days, and what is wrong."""
    problems: list[Diagnostic] = []
    project = Project(
        kind="Project",
        version=1,
        environments={
            "sandbox": {  # type: ignore[dict-item]  # checked by the model
                "realm": "sandbox",
                "endpoint": "sandbox",
                "platform_code": "PLAT01",
                "funding_model": "novated",
            }
        },
    )
    documents = Documents(
        environment="sandbox",
        project=Read(project, Places("stratctl.yaml", Node((1, 1)))),
        policy=Read(Policy(kind="Policy", version=1), Places("policy.yaml", Node((1, 1)))),
        strategies=tuple(strategies),
        cohorts=(),
        acknowledgements=(),
        digests={},
        shared_files=(),
        problems=(),
        broken=frozenset(),
    )
    return resolve_weights(strategies, documents, problems), problems


@st.composite
def weights(draw: st.DrawFn, names: Sequence[str], digits: int = 18) -> dict[str, str]:
    """Weights of some of the names as text, above 0, adding up to exactly 1."""
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=6, unique=True))
    ratios = [(name, draw(st.integers(1, 1_000))) for name in chosen]
    unit = 10 ** (18 - digits)
    shares = split_exactly(WEIGHT_ONE_E18 // unit - len(ratios), ratios)
    return {name: format_weight((share + 1) * unit) for name, share in shares.items()}


@st.composite
def baskets(draw: st.DrawFn) -> list[Read[Strategy]]:
    """Strategies that take weights from those before them, in any order of reading."""
    made = [read("s0", allocations=draw(weights("ABCDEFGH")))]
    for number in range(1, draw(st.integers(2, 5))):
        earlier = [strategy.document.name for strategy in made]
        rule = draw(st.sampled_from(["allocations", "equal_weight", "blend", "blend", "mirror"]))
        written: object
        if rule == "allocations":
            written = draw(weights("ABCDEFGH", 3))
        elif rule == "equal_weight":
            written = sorted(draw(st.sets(st.sampled_from("ABCDEFGH"), min_size=1)))
        elif rule == "blend":
            written = draw(weights(earlier))
        else:
            written = draw(st.sampled_from(earlier))
        also: dict[str, object] = {rule: written}
        if rule != "allocations" and draw(st.booleans()):
            also["cap"] = format_weight(draw(st.integers(12, 100)) * 10**16)
        made.append(read(f"s{number}", **also))
    return list(draw(st.permutations(made)))


# --- laws ------------------------------------------------------------------------------------


@given(baskets())
@settings(max_examples=150)
def test_every_weight_is_that_of_the_oracle(strategies: list[Read[Strategy]]) -> None:
    """Fractions, another way of capping and another way of rounding come to the same units."""
    targets, problems = resolved(strategies)
    expected = oracle({found.document.name: found.document for found in strategies})
    assert {name: dict(target.vector.weights_e18) for name, target in targets.items()} == expected
    assert {found.code for found in problems} <= {"E_CAP", "E_WEIGHT_RANGE"}
    assert bool(problems) == (len(targets) < len(strategies))


@given(baskets())
@settings(max_examples=50)
def test_no_order_matters(strategies: list[Read[Strategy]]) -> None:
    """Neither of documents, nor of assets, nor of the sources of a blend."""
    turned = []
    for found in reversed(strategies):
        said = found.document.model_dump(exclude_none=True, exclude_defaults=True)
        for rule in ("allocations", "blend"):
            if rule in said:
                said[rule] = dict(reversed(said[rule].items()))
        if "equal_weight" in said:
            said["equal_weight"] = list(reversed(said["equal_weight"]))
        del said["version"], said["kind"], said["name"], said["quoted_currency"]
        turned.append(read(found.document.name, **said))
    assert resolved(turned)[0] == resolved(strategies)[0]


@given(weights("ABCDEFGH"), st.integers(50, 100))
@settings(max_examples=50)
def test_where_there_is_nothing_to_compute_nothing_is_rounded(
    written: dict[str, str], percent: int
) -> None:
    """A mirror, a blend of one, and a cap that nothing is above: 18 decimals stay 18."""
    highest = max(Fraction(weight) for weight in written.values())
    cap = "1" if highest > Fraction(percent, 100) else f"{percent // 100}.{percent % 100:02d}"
    targets, problems = resolved(
        [
            read("source", allocations=written),
            read("mirror", mirror="source"),
            read("one", blend={"source": "1"}),
            read("under", mirror="source", cap=cap),
        ]
    )
    assert not problems
    assert {target.vector for target in targets.values()} == {targets["source"].vector}


@given(RATIOS, st.integers(1, ONE))
def test_a_cap_holds_and_keeps_ratios(ratios: dict[str, int], cap_units: int) -> None:
    """All is given out, none is above the cap, and the others keep proportions up to a unit."""
    cap_units = max(cap_units, -(-ONE // len(ratios)))
    made = {asset: weight // UNIT_E18 for asset, weight in capped(ratios, cap_units).items()}
    assert sum(made.values()) == ONE
    assert max(made.values()) <= cap_units
    whole = sum(ratios.values())
    exact = water_filled(
        {a: Fraction(r, whole) for a, r in ratios.items()}, Fraction(cap_units, ONE)
    )
    assert all(abs(made[asset] - exact[asset] * ONE) < 1 for asset in ratios)
    for (one, less), (other, more) in itertools.combinations(ratios.items(), 2):
        assert (less <= more) or made[one] + 1 >= made[other]
        assert (more <= less) or made[other] + 1 >= made[one]


@given(RATIOS, st.integers(1, ONE))
def test_a_cap_that_nothing_is_above_changes_nothing(
    ratios: dict[str, int], cap_units: int
) -> None:
    """And one that something is above changes something."""
    cap_units = max(cap_units, -(-ONE // len(ratios)))
    if exceeds(ratios, cap_units):
        assert max(rounded(ratios).values()) >= cap_units * UNIT_E18
    else:
        assert capped(ratios, cap_units) == rounded(ratios)


# --- circles ---------------------------------------------------------------------------------

GRAPHS = st.integers(1, 6).flatmap(
    lambda size: st.fixed_dictionaries(
        {
            name: st.lists(st.sampled_from("abcdef"[:size]), unique=True, max_size=3)
            for name in "abcdef"[:size]
        }
    )
)


@given(GRAPHS)
def test_every_use_that_closes_a_circle_is_in_a_named_one(graph: dict[str, list[str]]) -> None:
    """Named circles are real, none is told twice, and together they hold all that closes one."""
    named = list(circles(graph))
    steps = [set(itertools.pairwise(circle)) for circle in named]
    for circle, walked in zip(named, steps, strict=True):
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        assert all(to in graph[came] for came, to in walked)
    assert all(one != other for one, other in itertools.combinations(steps, 2))
    closing = {(name, one) for name in graph for one in graph[name] if name in reach(graph, one)}
    assert closing == set().union(*steps)


@given(GRAPHS)
def test_everything_before_the_circles_has_its_order(graph: dict[str, list[str]]) -> None:
    """What uses nothing on a circle comes, once, after everything that it uses."""
    order = list(in_order(graph))
    lost = {
        name for name in graph if any(one in reach(graph, one, 1) for one in reach(graph, name))
    }
    assert sorted(order) == sorted(set(graph) - lost)
    for place, name in enumerate(order):
        assert set(graph[name]) <= set(order[:place])


def test_a_chain_of_any_length_is_followed() -> None:
    """Ten thousand mirrors of mirrors need no stack."""
    length = 10_000
    chain = {str(n): [str(n + 1)] if n < length else [] for n in range(length + 1)}
    assert next(iter(in_order(chain))) == str(length)
    assert not list(circles(chain))
    ring = chain | {str(length): ["0"]}
    ((*circle,),) = circles(ring)
    assert len(circle) == length + 2


def reach(graph: Mapping[str, Sequence[str]], start: str, least: int = 0) -> set[str]:
    """Everything that a name uses in ``least`` steps or more."""
    found: set[str] = set() if least else {start}
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(graph[name])
    return found


# --- the oracle ------------------------------------------------------------------------------


def oracle(written: Mapping[str, Strategy]) -> dict[str, dict[str, int]]:
    """Strategy -> weights, by recursion and fractions; without those that cannot be had."""
    made: dict[str, dict[str, int] | None] = {}

    def of(name: str) -> dict[str, int] | None:
        if name not in made:
            made[name] = computed(written[name])
        return made[name]

    def computed(strategy: Strategy) -> dict[str, int] | None:
        if strategy.allocations is not None:
            return {a: int(Fraction(w) * WEIGHT_ONE_E18) for a, w in strategy.allocations.items()}
        blend = {strategy.mirror: "1"} if strategy.mirror else strategy.blend
        if blend is None:
            assets = strategy.equal_weight or ()
            exact = {asset: Fraction(1, len(assets)) for asset in assets}
        else:
            exact = {}
            for name, share in blend.items():
                source = of(name)
                if source is None:
                    return None
                for asset, weight in source.items():
                    part = Fraction(share) * Fraction(weight, WEIGHT_ONE_E18)
                    exact[asset] = exact.get(asset, Fraction(0)) + part
        cap = Fraction(strategy.cap or 1)
        if cap * len(exact) < 1:
            return None
        poured = water_filled(exact, cap)
        if blend is not None and len(blend) == 1 and poured == exact:
            return {asset: int(weight * WEIGHT_ONE_E18) for asset, weight in exact.items()}
        units = hamilton(poured, exact)
        return units if all(units.values()) else None

    return {name: weights for name in written if (weights := of(name)) is not None}


def water_filled(exact: Mapping[str, Fraction], cap: Fraction) -> dict[str, Fraction]:
    """The one level at which ``min(cap, level * weight)`` adds up to 1."""
    ranked = sorted(exact.values(), reverse=True)
    for full in range(len(ranked)):
        level = (1 - full * cap) / sum(ranked[full:])
        if level * ranked[full] <= cap:
            return {asset: min(cap, level * weight) for asset, weight in exact.items()}
    raise AssertionError("the cap can be kept")


def hamilton(exact: Mapping[str, Fraction], claims: Mapping[str, Fraction]) -> dict[str, int]:
    """Largest remainder, one unit at a time; ties go to the larger claim, then the smaller name."""
    units = {asset: int(weight * ONE) for asset, weight in exact.items()}
    while sum(units.values()) < ONE:
        neediest = min(
            units, key=lambda asset: (units[asset] - exact[asset] * ONE, -claims[asset], asset)
        )
        units[neediest] += 1
    return {asset: share * UNIT_E18 for asset, share in units.items()}
