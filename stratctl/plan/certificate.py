"""The certificate: how many calls there are beside the fewest there could be, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from stratctl.core.plan import Certificate
from stratctl.core.state import VERB_ORDER, Verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratctl.core.plan import Call, CallTotal

SHARING_VERBS = (Verb.PARTIAL_SELL, Verb.TOP_UP, Verb.REBALANCE)
"""What flows that share vectors need: themselves, and the rebalances that follow."""


Bounds = Mapping[tuple[str, Verb], tuple[int, str]]
"""(Strategy, verb) -> the fewest calls of it that any plan has, and why, where flows share."""


def certificates(
    calls: Sequence[Call], per_call: int, shared: Bounds | None = None
) -> tuple[Certificate, ...]:
    """One per Strategy and verb.

    A call has one vector and one endpoint. Where each flow is sent at its own declared target,
    each distinct vector needs its rows divided by the size of a call, rounded up; where flows
    share vectors, ``shared`` says how few groups there could be. Flags have an endpoint per Trader.
    """

    def strategy_and_verb(call: Call) -> tuple[str, int]:
        return call.strategy, VERB_ORDER.index(call.verb)

    return tuple(
        _certificate(strategy, VERB_ORDER[verb], list(group), per_call, shared or {})
        for (strategy, verb), group in groupby(
            sorted(calls, key=strategy_and_verb), strategy_and_verb
        )
    )


def call_totals(calls: Sequence[Call], totals: Sequence[CallTotal]) -> tuple[CallTotal, ...]:
    """The totals with the calls that the plan really has."""
    return tuple(
        replace(
            total,
            calls=sum(
                call.strategy == total.strategy and call.verb in SHARING_VERBS for call in calls
            ),
        )
        for total in totals
    )


def _certificate(
    strategy: str, verb: Verb, calls: Sequence[Call], per_call: int, shared: Bounds
) -> Certificate:
    requests = sum(call.requests for call in calls)
    if (strategy, verb) in shared:
        least, because = shared[strategy, verb]
        return Certificate(strategy, verb, calls=requests, least=least, because=because)
    rows_by_vector: dict[str, int] = {}
    for call in calls:
        key = call.vector.text if call.vector else ""
        rows_by_vector[key] = rows_by_vector.get(key, 0) + call.rows
    if verb in (Verb.CREATE, Verb.METADATA):
        least, because = 1, "one Strategy"
    elif verb is Verb.FLAGS:
        least = sum(rows_by_vector.values())
        because = "one request per Trader"
    else:
        least = sum(-(-rows // per_call) for rows in rows_by_vector.values())
        people = _counted(sum(rows_by_vector.values()), "participant")
        because = f"{people}, at most {per_call} a call"
        if verb is not Verb.LIQUIDATE:
            because = f"{_counted(len(rows_by_vector), 'vector')}, {because}"
        if len({call.after_rebalance for call in calls}) > 1:
            because += "; nobody waits for a rebalance who can be paid before it"
    return Certificate(strategy, verb, calls=requests, least=least, because=because)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
