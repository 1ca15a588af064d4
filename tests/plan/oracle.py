"""A second planner: dictionaries and fractions, written from the rules and not from the SQL.

It answers the same question as the diff and the plan together, one participant after another,
and is compared with them on generated worlds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from hashlib import sha256
from math import ceil

from stratctl.core.money import WEIGHT_ONE_E18
from stratctl.core.plan import Plan
from stratctl.core.state import DesiredStrategy, Target, Verb
from tests.plan.provider import worth
from tests.worlds import Declared, Holder, World

Key = tuple[str, str]
CENT = Fraction(1, 100)
UNPARKING = {"trader_not_enrolled", "trader_already_enrolled"}


@dataclass
class Answer:
    """What is to be done, as sets that do not depend on any order."""

    error: str = ""
    sent: set[tuple[str, str, str, str, int | None, bool | None]] = field(default_factory=set)
    """(strategy, verb, vector, participant, amount_minor, flag)"""
    late: set[Key] = field(default_factory=set)
    """Whose partial sell stands behind its rebalance."""
    blocked: set[tuple[str, str, str]] = field(default_factory=set)
    satisfied: set[tuple[str, str, str, int]] = field(default_factory=set)
    forfeits: set[tuple[str, str, int, int]] = field(default_factory=set)
    created: set[str] = field(default_factory=set)
    removed: set[Key] = field(default_factory=set)
    unmanaged: int = 0


def said_by(plan: Plan, removed: set[Key]) -> Answer:
    """A real plan in the oracle's words."""
    calls = {call.number: call for call in plan.calls}
    answer = Answer(removed=removed, unmanaged=plan.unmanaged)
    for number, code, amount, flag, *_ in plan.rows.rows():
        call = calls[number]
        vector = call.vector.text if call.vector else ""
        answer.sent.add((call.strategy, call.verb.value, vector, code, amount, flag))
        if call.after_rebalance:
            answer.late.add((call.strategy, code))
    answer.blocked = {(row[0], row[1], row[2]) for row in plan.blocked.rows()}
    answer.satisfied = {(row[0], row[1], row[2], row[3]) for row in plan.satisfied.rows()}
    answer.forfeits = {(row[0], row[1], row[2], row[3]) for row in plan.forfeits.rows()}
    answer.created = {call.strategy for call in plan.calls if call.verb is Verb.CREATE}
    return answer


@dataclass
class _Case:
    """One managed participant beside its live row."""

    strategy: DesiredStrategy
    want: Declared
    has: Holder
    in_minor: int
    out_minor: int
    rebalances: bool
    live: bool = False
    """Whether it is a Trader or has bookings."""
    reason: str = ""
    stopped: str = ""

    @property
    def key(self) -> Key:
        return self.strategy.name, self.want.code

    @property
    def target(self) -> Target:
        return self.strategy.targets[self.want.target]

    @property
    def leaving(self) -> bool:
        return self.want.exited and self.has.trader and not self.has.exited


def answer(world: World) -> Answer:
    """Plan a world the slow way."""
    strategies = {s.name: _of_its_day(s, world.as_of) for s in world.strategies}
    live = {(h.strategy, h.code): h for h in world.holders if h.strategy not in world.absent}
    managed = _managed(world, strategies, live)
    found = Answer()
    for key, want in managed.items():
        has = live.get(key)
        if has and "funding" in want.manages and not _touched(want, has):
            for said, moved in (
                (want.contributed, has.contributed),
                (want.withdrawn, has.withdrawn),
            ):
                if Fraction(said) < Fraction(moved) - Fraction(has.tolerance):
                    return Answer(error="E_DECLARED_BACKWARDS")
    cases = [_case(world, strategies[key[0]], want, live.get(key)) for key, want in managed.items()]
    before = {k for k, h in live.items() if h.target is not None and h.trader and not h.exited}
    found.removed = before - set(managed)
    found.unmanaged = sum(1 for k, h in live.items() if h.trader and k not in managed)
    funded = {k for k, h in live.items() if _funded(h)} - set(managed)
    if _moved(cases, found.removed | funded):
        return Answer(error="E_PARTICIPANT_MOVED")
    if any(_dropped(case) for case in cases):
        return Answer(error="E_ASSET_DROPPED")
    held = _waits_for_its_stage(world, cases) if world.stages.staged else {}
    for case in cases:
        if case.key in held and case.reason in DECLARED:
            case.reason = ""
            if held[case.key]:
                found.blocked.add((*case.key, "rollout"))
        _decide(world, case, found)
    for strategy in world.strategies:
        if strategy.name in world.absent and not strategy.hold:
            found.created.add(strategy.name)
    return found


def _of_its_day(strategy: DesiredStrategy, as_of: str) -> DesiredStrategy:
    """With the weights of the last day that has begun at midnight UTC."""
    now = datetime.fromisoformat(as_of)
    begun = [t for day, t in strategy.course if not day or midnight(day) <= now]
    own = begun[-1:] or strategy.targets[:1]
    return replace(strategy, targets=(*own, *strategy.targets[1:]))


def midnight(day: str) -> datetime:
    """When a day begins."""
    return datetime.combine(date.fromisoformat(day), time(), UTC)


def above_caps(
    world: World, sent: Iterable[tuple[str, str, int | None]], calls: Iterable[tuple[str, int]]
) -> set[tuple[str, str, Fraction]]:
    """(rule, in or out, amount) of every cap that money is above.

    ``sent``: (verb, participant, amount in minor units); ``calls``: (verb, amount).
    """
    ways = {"enroll": "into", "top_up": "into", "partial_sell": "out"}
    moved = [(ways[verb], code, amount * CENT) for verb, code, amount in sent if amount]
    before = {
        "into": sum(came for _, came, _ in world.sent_lately) * CENT,
        "out": sum(went for _, _, went in world.sent_lately) * CENT,
    }
    found = set()
    for way in sorted({way for way, _, _ in moved}):
        amounts = [(code, amount) for each, code, amount in moved if each == way]
        whole = sum((amount for _, amount in amounts), Fraction(0))
        people = {code: sum(a for c, a in amounts if c == code) for code, _ in amounts}
        figures = {
            "cap_participant": max(people.values()),
            "cap_call": max(amount * CENT for verb, amount in calls if ways.get(verb) == way),
            "cap_run": whole,
            "cap_day": whole + before[way],
        }
        for rule, figure in figures.items():
            if rule in world.guards and figure > Fraction(str(world.guards[rule])):
                found.add((rule, way, Fraction(figure)))
    return found


def _managed(
    world: World, strategies: dict[str, DesiredStrategy], live: dict[Key, Holder]
) -> dict[Key, Declared]:
    managed = {(d.strategy, d.code): d for d in world.declared}
    for (name, code), has in live.items():
        claim = strategies[name].live_cohort
        if claim is None or (name, code) in managed or not has.trader or has.exited:
            continue
        manages_flags = claim.flags and claim.flag is not None
        managed[name, code] = Declared(
            code,
            contributed="0",
            flag=bool(claim.flag) if manages_flags else has.flag,
            overrides_flag=claim.overrides_flag,
            target=claim.target,
            strategy=name,
            held=claim.held,
            manages=tuple(
                word
                for word, on in (("allocations", claim.allocations), ("flags", manages_flags))
                if on
            ),
        )
    return managed


def _case(world: World, strategy: DesiredStrategy, want: Declared, live: Holder | None) -> _Case:
    has = live or Holder(want.code, contributed="0", target=None, trader=False, flag=False)
    tolerance = Fraction(has.tolerance)
    more_in = Fraction(want.contributed) - Fraction(has.contributed)
    more_out = Fraction(want.withdrawn) - Fraction(has.withdrawn)
    funded = "funding" in want.manages
    case = _Case(
        strategy,
        want,
        has,
        in_minor=int(more_in / CENT) if funded and more_in > tolerance else 0,
        out_minor=int(more_out / CENT) if funded and more_out > tolerance else 0,
        live=live is not None,
        rebalances=(want.flag if "flags" in want.manages else has.flag) or want.overrides_flag,
    )
    case.reason = _reason(case)
    case.stopped = _stopped(world, case)
    return case


def _reason(case: _Case) -> str:
    """Why the allocations may need work, or nothing."""
    want, has, strategy = case.want, case.has, case.strategy
    if want.exited or not has.trader or "allocations" not in want.manages:
        return ""
    if has.exited and not case.in_minor:
        return ""
    if has.parked == "trader_not_enrolled" and case.in_minor:
        return ""
    if strategy.rebalance_on == "never" or not case.rebalances:
        return ""
    if has.standing and case.out_minor:
        return ""
    if has.target is None:
        return "unknown"
    if strategy.rebalance_epoch > has.epoch:
        return "epoch"
    if has.target != case.target.vector.text:
        return "changed"
    return "watch" if strategy.rebalance_on == "drift" else ""


def _stopped(world: World, case: _Case) -> str:
    if world.problems.get(case.strategy.name):
        return "strategy_stopped"
    if case.want.held or case.strategy.hold:
        return "hold"
    if case.has.busy:
        return case.has.busy
    if _touched(case.want, case.has):
        return "foreign_operation"
    if case.has.parked and case.has.parked not in UNPARKING:
        return "parked"
    if case.has.standing and not case.leaving and not case.out_minor:
        return "standing"
    return ""


def _touched(want: Declared, has: Holder) -> bool:
    """Others moved money of a row whose money is ours to manage."""
    return "funding" in want.manages and (has.foreign or has.busy == "foreign_operation")


def _funded(has: Holder) -> bool:
    """Money of ours stands in a Strategy, or is on its way, whatever is known of targets."""
    ours = has.busy == "pending" or (has.trader and not has.foreign)
    return bool(Fraction(has.contributed)) and not has.exited and ours


def _moved(cases: list[_Case], left: set[Key]) -> bool:
    """Money still stands in one Strategy while another would be funded."""
    leaving = {c.key for c in cases if c.leaving and not c.stopped}
    for case in cases:
        if not case.in_minor or case.want.exited:
            continue
        if any(code == case.want.code for _, code in left):
            return True
        if not case.has.trader and any(code == case.want.code for _, code in leaving):
            return True
    return False


def _dropped(case: _Case) -> bool:
    if case.reason not in ("changed", "epoch") or case.has.target is None:
        return False
    last = {part.split(" ")[0] for part in case.has.target.split(", ")}
    return bool((last & set(case.has.holds)) - set(case.target.rebalance_vector.assets))


DECLARED = ("changed", "epoch", "unknown")


def stage_of(code: str, shares: tuple[Fraction, ...], salt: str) -> int:
    """The first stage that the participant's hash, as a fraction of 1, lies below."""
    number = int(sha256(f"{salt}\n{code}".encode()).hexdigest()[:15], 16)
    return next(stage for stage, share in enumerate(shares, 1) if number < share * 16**15)


def _waits_for_its_stage(world: World, cases: list[_Case]) -> dict[Key, bool]:
    """Who stands in a stage that is not reached, and whether a rebalance waits for that."""
    rollout = world.stages
    at_once = Answer()
    for case in cases:
        _decide(world, case, at_once)
    wanted = {
        case.key
        for case in cases
        if case.reason in DECLARED
        and any(
            row[:2] == (case.key[0], "rebalance") and row[3] == case.key[1] for row in at_once.sent
        )
    }
    soaked = datetime.fromisoformat(world.as_of) - timedelta(minutes=rollout.soak_minutes)
    reached: dict[str, int] = {}
    for name in {case.key[0] for case in cases}:
        reached[name] = rollout.stage
        for stage in range(rollout.stage - 1, 0, -1):
            inside = [
                case
                for case in cases
                if case.key[0] == name
                and case.live
                and stage_of(case.want.code, rollout.stages, rollout.salt) <= stage
            ]
            if not _passed(inside, wanted, rollout.halt_on_rejects, soaked):
                reached[name] = stage
    return {
        case.key: case.key in wanted
        for case in cases
        if case.key[0] not in world.absent
        and stage_of(case.want.code, rollout.stages, rollout.salt) > reached[case.key[0]]
    }


def _passed(inside: list[_Case], wanted: set[Key], refusals: Fraction, soaked: datetime) -> bool:
    """Nobody of a stage is to come, the last one soaked, and few were refused."""
    there = [
        datetime.fromisoformat(case.has.rebalanced)
        for case in inside
        if case.has.rebalanced
        and case.has.target == case.target.vector.text
        and case.has.epoch >= case.strategy.rebalance_epoch
    ]
    declared = [case for case in inside if case.reason in DECLARED]
    refused = sum(case.stopped == "parked" for case in declared)
    if refused > refusals * (refused + len(there)):
        return False
    if any(case.stopped == "pending" or case.key in wanted for case in declared):
        return False
    return all(moment <= soaked for moment in there)


def _decide(world: World, case: _Case, found: Answer) -> None:
    name, code = case.key
    flow = _flow_verb(case)
    halves: tuple[str, ...] = (flow,)
    enrolled = case.has.trader and case.has.parked != "trader_not_enrolled"
    if flow == "both" and world.both_directions == "send" and enrolled:
        halves = ("partial_sell", "top_up")
    held_back = next((why for half in halves if (why := _held_back(world, case, half))), "")
    sent = flow if flow and not held_back else ""
    if flow and held_back:
        found.blocked.add((name, code, held_back))
    for half in halves if sent else ():
        vector = "" if half == "liquidate" else case.target.vector.text
        amount = {
            "liquidate": None,
            "partial_sell": case.out_minor,
            "top_up": case.in_minor,
            "enroll": case.in_minor,
        }[half]
        flag = case.want.flag if half == "enroll" else None
        found.sent.add((name, half, vector, code, amount, flag))
    if held_back == "side_forbids" and case.leaving:
        return  # the flag and the account of flows wait for the sale
    _decide_flag(case, flow, found)
    forfeited = case.want.exited and (case.in_minor or case.out_minor)
    if forfeited and not case.stopped:
        found.forfeits.add((name, code, case.in_minor, case.out_minor))
    if forfeited and case.stopped and not case.leaving:
        found.blocked.add((name, code, case.stopped))
    if case.reason and not case.leaving:
        _decide_rebalance(world, case, sent, bool(flow), found)
    rebalance = (name, "rebalance", case.target.rebalance_vector.text, code, None, None)
    infeasible = flow == "partial_sell" and held_back == "partial_sell_infeasible"
    if infeasible and rebalance in found.sent and _fits_after(world, case):
        found.blocked.discard((name, code, held_back))
        found.sent.add((name, flow, case.target.vector.text, code, case.out_minor, None))
        found.late.add(case.key)


def _fits_after(world: World, case: _Case) -> bool:
    """Whether the rebalance leaves as much of everything as the partial sell takes."""
    values, shares = worth(case.has, world.prices), _shares(case.target)
    whole = sum(values.values(), Fraction(0))
    legs = {
        asset: shares.get(asset, Fraction(0)) * whole - values.get(asset, Fraction(0))
        for asset in {*shares, *values}
    }
    sent = {asset: leg for asset, leg in legs.items() if abs(leg) >= Fraction(world.minimum_leg)}
    bought = sum(max(leg, Fraction(0)) for leg in sent.values())
    paid = min(Fraction(1), sum(max(-leg, Fraction(0)) for leg in sent.values()) / (bought or 1))
    left = {
        asset: value + min(sent.get(asset, Fraction(0)) * paid, sent.get(asset, Fraction(0)))
        for asset, value in {**dict.fromkeys(shares, Fraction(0)), **values}.items()
    }
    return all(case.out_minor * CENT * share <= left[asset] for asset, share in shares.items())


def _flow_verb(case: _Case) -> str:
    if case.leaving:
        return "liquidate"
    if case.want.exited:
        return ""
    if case.in_minor and case.out_minor:
        return "both"
    if case.out_minor:
        return "partial_sell"
    if not case.in_minor:
        return ""
    if case.has.parked == "trader_not_enrolled":
        return "enroll"
    return "top_up" if case.has.trader or case.has.parked == "trader_already_enrolled" else "enroll"


def _held_back(world: World, case: _Case, verb: str) -> str:
    if not verb:
        return ""
    if case.stopped:
        return case.stopped
    if verb == "both":
        return "both_totals_rise"
    if verb == "partial_sell" and not case.has.trader:
        return "no_trader"
    if verb in ("liquidate", "enroll") and "membership" not in case.want.manages:
        return "membership_not_managed"
    sold = set(case.has.holds) if verb == "liquidate" else set(case.target.vector.assets)
    if any(not _may(world, asset, buy=verb in ("top_up", "enroll")) for asset in sold):
        return "side_forbids"
    if verb == "liquidate":
        return ""
    amount = (case.out_minor if verb == "partial_sell" else case.in_minor) * CENT
    if verb == "enroll" and amount < Fraction(world.minimum_account):
        return "below_account_minimum"
    shares = _shares(case.target)
    if any(ceil(Fraction(world.minimum_leg) / w / CENT) * CENT > amount for w in shares.values()):
        return "below_leg_minimum"
    if verb == "partial_sell":
        values = worth(case.has, world.prices)
        for asset, share in shares.items():
            unpriced = asset in case.has.holds and asset not in values
            if share and not unpriced and amount * share > values.get(asset, Fraction(0)):
                return "partial_sell_infeasible"
    return ""


def _may(world: World, asset: str, *, buy: bool) -> bool:
    """Whether the policy lets an asset be bought, or be sold."""
    return dict(world.sides).get(asset, "both") in ("both", "buy" if buy else "sell")


def _decide_flag(case: _Case, flow: str, found: Answer) -> None:
    name, code = case.key
    flag = case.want.flag and not case.want.exited
    if "flags" not in case.want.manages or not case.has.trader or case.has.flag == flag:
        return
    if not case.stopped:
        found.sent.add((name, "flags", "", code, None, flag))
    elif not flow:
        found.blocked.add((name, code, case.stopped))


def _decide_rebalance(world: World, case: _Case, sent: str, has_flow: bool, found: Answer) -> None:
    name, code = case.key
    if case.stopped:
        if case.reason in ("changed", "epoch") and not has_flow:
            found.blocked.add((name, code, case.stopped))
        return
    if sent == "enroll" or (case.has.exited and not sent):
        return
    shares = _shares(case.target)
    named = {asset: shares.get(asset, Fraction(0)) for asset in case.target.rebalance_vector.assets}
    if set(case.has.holds) - set(named):
        found.blocked.add((name, code, "foreign_asset"))
        return
    needed = {asset for asset, share in named.items() if share} | set(case.has.holds)
    if needed - set(world.prices):
        found.blocked.add((name, code, "no_price"))
        return
    flow = {
        "top_up": case.in_minor * CENT,
        "partial_sell": -case.out_minor * CENT,
        "both": (case.in_minor - case.out_minor) * CENT,
    }.get(sent, Fraction(0))
    values = worth(case.has, world.prices)
    after = {a: max(Fraction(0), values.get(a, Fraction(0)) + flow * w) for a, w in named.items()}
    frozen = {asset for asset in named if dict(world.sides).get(asset) == "freeze"}
    if case.reason in ("watch", "unknown") and frozen:
        rest = 1 - sum(named[asset] for asset in frozen)
        traded = {a: share / rest for a, share in named.items() if a not in frozen} if rest else {}
        own = {asset: named[asset] for asset in traded}
        verdict = _verdict(world, case, traded, after, own)
    else:
        verdict = _verdict(world, case, named, after, named)
    whole = sum(after.values(), Fraction(0))
    moves = {asset: share * whole - after[asset] for asset, share in named.items()}
    if verdict in ("send", "cooldown") and any(
        move and not _may(world, asset, buy=move > 0) for asset, move in moves.items()
    ):
        verdict = "side_forbids"
    if verdict == "send":
        text = case.target.rebalance_vector.text
        found.sent.add((name, "rebalance", text, code, None, None))
    elif verdict in ("below_leg_minimum", "side_forbids", "cooldown"):
        found.blocked.add((name, code, verdict))
    elif case.reason != "watch" and not flow:
        epoch = case.strategy.rebalance_epoch
        found.satisfied.add((name, code, case.target.vector.text, epoch))


def _verdict(
    world: World,
    case: _Case,
    named: dict[str, Fraction],
    after: dict[str, Fraction],
    declared: dict[str, Fraction],
) -> str:
    """``declared``: the weights whose bands count, where ``named`` are those of a part."""
    least = Fraction(world.minimum_leg)
    whole = sum((after[asset] for asset in named), Fraction(0))
    legs = {asset: share * whole - after[asset] for asset, share in named.items()}
    worth_it = {asset: leg for asset, leg in legs.items() if leg and abs(leg) >= least}
    if not worth_it:
        return "satisfied"
    if case.reason in ("changed", "epoch"):
        return "send"
    drift = case.strategy.drift
    breached = any(
        abs(leg) > max(min(drift.absolute, drift.relative * declared[asset]) * whole, least)
        for asset, leg in legs.items()
    )
    portfolio = sum(map(abs, legs.values())) / 2
    if not breached and portfolio <= drift.portfolio * whole:
        return "satisfied"
    both_sides = any(leg < 0 for leg in worth_it.values()) and any(
        leg > 0 for leg in worth_it.values()
    )
    if not both_sides and case.reason == "watch":
        return "below_leg_minimum"
    hours, bypass = world.cooldown
    if case.has.rebalanced and portfolio <= Fraction(bypass) * whole:
        end = datetime.fromisoformat(case.has.rebalanced) + timedelta(hours=hours)
        if datetime.fromisoformat(world.as_of) < end:
            return "cooldown"
    return "send"


def _shares(target: Target) -> dict[str, Fraction]:
    return {asset: Fraction(w, WEIGHT_ONE_E18) for asset, w in target.vector.weights_e18}
