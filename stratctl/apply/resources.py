"""Calls that change a resource and trade nothing: they have no slot, and are read back.

A Strategy is created, its metadata is replaced, a Trader's flag is set.
"""

from __future__ import annotations

from stratctl.apply.body import create_intent, flag_intent, metadata_intent
from stratctl.apply.calls import Ending, Said, abandon
from stratctl.apply.standing import Standing
from stratctl.apply.words import CallWork
from stratctl.core.errors import ProviderError
from stratctl.core.event import Intent, Unfinished


def create(at: Standing, each: CallWork) -> Said[None]:
    """Create the Strategy, and take it as ours when it reads back as it was declared."""
    yield from create_with(at, create_intent(at.work, each.call), None)
    at.finish(each.call.number)


def create_with(at: Standing, intent: Intent, before: Unfinished | None) -> Said[None]:
    """The same with an intent of an earlier run."""
    ending = yield from at.caller.send(intent, before)
    if ending.refused:
        yield from _refused(at, intent, ending)
        at.stopped = True
    elif not ending.committed:
        yield from at.leave_open(intent, ending)
    else:
        assert ending.answer is not None
        yield from _adopt(at, intent, ending.answer.resource_id)


def replace_metadata(at: Standing, each: CallWork) -> Said[None]:
    """Replace the Strategy's metadata as it is now."""
    try:
        live = at.caller.writer.strategy(at.id, name=at.work.strategy)
    except ProviderError as error:
        yield from at.stop(at.problem("E_READ_FAILED", error.summary))
        return
    intent = metadata_intent(
        at.work,
        each.call,
        strategy_id=at.id,
        updated_at=live.updated_at,
        head_slot=at.head_slot,
    )
    yield from _patch(at, intent)
    at.finish(each.call.number)


def set_flags(at: Standing, each: CallWork) -> Said[None]:
    """Set each Trader's flag, one request after the other."""
    for row, trader in zip(each.rows, each.traders, strict=True):
        if at.stopped or at.asked_to_stop():
            return
        intent = flag_intent(
            at.work,
            each.call,
            row,
            trader,
            strategy_id=at.id,
            head_slot=at.head_slot,
        )
        yield from _patch(at, intent)
    at.finish(each.call.number)


def _adopt(at: Standing, intent: Intent, strategy_id: str) -> Said[None]:
    try:
        live = at.caller.writer.strategy(strategy_id, name=at.work.strategy)
    except ProviderError as error:
        yield from at.stop(at.problem("E_READ_FAILED", error.summary))
        return
    if (live.request_id, live.quoted_currency) != (intent.request_id, intent.currency):
        why = f"Strategy {strategy_id} reads back as {live.quoted_currency} {live.request_id}"
        yield from at.stop(at.problem("E_READ_BACK", why))
        return
    at.strategy_id, at.head_slot = strategy_id, 0


def _patch(at: Standing, intent: Intent) -> Said[None]:
    ending = yield from at.caller.send(intent)
    if ending.refused:
        yield from _refused(at, intent, ending)
        return
    if not ending.committed:
        yield from at.leave_open(intent, ending)
        return
    try:
        shown = at.caller.writer.look_up(intent)
    except ProviderError as error:
        yield from at.say(at.problem("E_READ_FAILED", error.summary, intent.rows))
        return
    if shown is None:
        why = f"{intent.path} was answered and does not show the new value"
        yield from at.say(at.problem("E_READ_BACK", why, intent.rows))


def _refused(at: Standing, intent: Intent, ending: Ending) -> Said[None]:
    yield from abandon(intent, ending.reason)
    yield from at.say(at.problem("E_CALL_REFUSED", ending.reason, intent.rows))
