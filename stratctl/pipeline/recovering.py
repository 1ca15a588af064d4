"""Recover: what the next apply would do first, and nothing after it. Asks, and sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stratctl.apply import Recovered, drive, recover
from stratctl.core.event import Abandoned, Event, Intent, Receipt
from stratctl.core.report import OpenCall, Resolved
from stratctl.live.writer import Writer
from stratctl.pipeline.reporting import currencies_of, outcome_tallies, rejected_of, summed

if TYPE_CHECKING:
    from stratctl.core.report import Progress, Watcher
    from stratctl.pipeline.session import Session


def resolve_open_calls(
    session: Session,
    *,
    wait: bool,
    progress: Progress,
    watch: Watcher,
    stopping: Callable[[], bool],
) -> Resolved:
    """Bring every call without an end to one, where that can be had without sending.

    No call is kept for being wanted: who asks for it plans afterwards, and what was given up is
    planned again under the slot that it leaves free.
    """
    with session.open_journal() as journal:
        unfinished = journal.unfinished()
        intents = {one.intent.request_id: one.intent for one in unfinished}
        abandoned: list[OpenCall] = []

        def append(event: Event) -> Receipt:
            receipt = journal.append(event)
            watch(event)
            if isinstance(event, Abandoned):
                abandoned.append(_shown(intents[event.request_id]))
            return receipt

        recovered = Recovered((), (), ())
        # Where nothing is open the provider need not even be there.
        if unfinished:
            lookout = _Lookout(session, progress)
            steps = recover(
                unfinished, lookout, wanted=lambda _: False, wait=wait, stopping=stopping
            )
            recovered = drive(steps, append)
        return Resolved(
            environment=session.environment.name,
            found=len(unfinished),
            tallies=summed(outcome_tallies(recovered.outcomes, currencies_of(journal.entries()))),
            abandoned=tuple(abandoned),
            open=tuple(_shown(one.intent) for one in journal.unfinished()),
            problems=recovered.problems,
            rejected=rejected_of(recovered.outcomes),
            interrupted=stopping(),
            journal_head=journal.head,
        )


class _Lookout(Writer):
    """Has nothing to send with, and says how long it has been waiting."""

    def __init__(self, session: Session, progress: Progress) -> None:
        super().__init__(None, session.reads, session.clockwork)
        self._progress = progress
        self._waited = 0.0

    def wait(self, seconds: float) -> None:
        """Let time pass, and tell."""
        self._waited += seconds
        self._progress("seconds waited for what may be under way", int(self._waited), None)
        super().wait(seconds)


def _shown(intent: Intent) -> OpenCall:
    return OpenCall(intent.strategy, intent.verb, intent.slot, intent.request_id, len(intent.rows))
