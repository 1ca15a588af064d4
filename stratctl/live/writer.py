"""Sending intents, each attempt once, and asking what became of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stratctl.core.errors import BadResponse, NotSent, OutcomeUnknown
from stratctl.core.event import Answer, AnswerClass, Execution, Intent
from stratctl.core.state import LiveOperation, LiveStrategy, Verb
from stratctl.live import wire
from stratctl.live.answers import answer, classify, judge, judge_operation, judge_strategy
from stratctl.live.client import ReadClient, SignedRequest, WriteClient
from stratctl.live.clockwork import Clockwork
from stratctl.live.identity import live_operation
from stratctl.live.lists import cursor_pages
from stratctl.live.pages import OPERATIONS, STRATEGIES
from stratctl.live.strategies import read_executions

SIGNATURE_SECONDS_MAX = 50
"""The provider refuses signatures after 60 s; one that is almost that old is not worth sending."""

LOOKING_AT_ONCE = 2
"""Pages that are looked at beside the threads that fetch them. Not of the clockwork: nothing waits
there, and nothing can be seen of it but that it takes less time."""


@dataclass(frozen=True, slots=True)
class Signed:
    """An attempt, signed and not yet sent. It shows no header."""

    intent: Intent
    request: SignedRequest

    @property
    def request_id(self) -> str:
        return self.intent.request_id

    @property
    def signed_at(self) -> int:
        """Unix seconds in the signature, for the journal's ATTEMPT."""
        return self.request.signed_at


class Writer:
    """The only thing in the program that can change anything at the provider.

    It never retries: a further attempt is a decision, and it is journaled before it is sent.
    Without a client that writes it can only look up.
    """

    def __init__(self, write: WriteClient | None, read: ReadClient, clockwork: Clockwork) -> None:
        self._write = write
        self._read = read
        self._clockwork = clockwork
        self._beside = ThreadPoolExecutor(LOOKING_AT_ONCE, "looking")

    def sign(self, intent: Intent) -> Signed:
        """Wait for the rate limit, then sign the intent's exact bytes."""
        assert self._write is not None, "whoever only looks up signs nothing"
        request = self._write.sign(
            method=intent.method,
            path=intent.path,
            body=intent.body,
            request_id=intent.request_id,
        )
        return Signed(intent, request)

    def send(self, signed: Signed, number: int) -> Answer:
        """Send an attempt and say what its answer proves. Every way it can go is an Answer."""
        assert self._write is not None, "whoever only looks up sends nothing"
        intent = signed.intent
        age = self._clockwork.wall() - signed.signed_at
        if not 0 <= age + 1 <= SIGNATURE_SECONDS_MAX:
            detail = f"the signature is {age:.0f} s old and was not sent"
            return answer(intent, number, AnswerClass.NOT_SENT, detail=detail)
        try:
            raw = self._write.send(signed.request)
        except NotSent as error:
            return answer(intent, number, AnswerClass.NOT_SENT, detail=error.summary)
        except (OutcomeUnknown, BadResponse) as error:
            return answer(
                intent, number, AnswerClass.UNKNOWN, status=error.status, detail=error.summary
            )
        return classify(intent, number, raw)

    def look_up(self, intent: Intent) -> Answer | None:
        """What the provider knows under the intent's request id; None when it knows nothing.

        None is no proof that nothing will come: a request may still be on its way until its
        signature dies. Raises ProviderError and its kin when it cannot be asked.
        """
        if intent.verb is Verb.CREATE:
            return self._look_up_strategy(intent)
        if intent.verb in (Verb.METADATA, Verb.FLAGS):
            return self._read_back(intent)
        wanted = {"request_id": intent.request_id}
        pages = cursor_pages(self._read, "/strategies/operations", wanted, OPERATIONS)
        found = [each for page in pages for each in page if each.request_id == intent.request_id]
        if not found:
            return None
        judged = [judge_operation(intent, each) for each in found]
        # An id belongs to one Strategy; should it be known twice, ours is the one that fits.
        resource_id, difference = min(judged, key=lambda each: (bool(each[1]), each[0]))
        kind = AnswerClass.SLOT_TAKEN if difference else AnswerClass.COMMITTED
        return answer(intent, 0, kind, status=200, resource_id=resource_id, detail=difference)

    def operation(self, operation_id: str, *, slot: int | None = None) -> LiveOperation:
        """One Operation as it is now; ``slot`` is what the caller knows of it."""
        path = f"/strategies/operations/{operation_id}"
        return live_operation(self._read.get(path, decode=wire.operation), slot)

    def executions(self, strategy_id: str, operation_id: str) -> tuple[Execution, ...]:
        """All Executions of one Operation that the provider lists now."""
        return read_executions(self._read, strategy_id, operation_id, beside=self._beside)

    def strategy(self, strategy_id: str, *, name: str) -> LiveStrategy:
        """One Strategy as it is now, without its Operations."""
        record = self._read.get(f"/strategies/{strategy_id}", decode=wire.strategy)
        return LiveStrategy(
            id=record.id,
            name=name,
            request_id=record.request_id,
            quoted_currency=record.quoted_currency,
            metadata_json=record.metadata_json,
            updated_at=record.updated_at,
            operations=(),
        )

    def trader(self, trader_id: str) -> wire.TraderRecord:
        """One Trader as it is now."""
        return self._read.get(f"/strategies/traders/{trader_id}", decode=wire.trader)

    def wait(self, seconds: float) -> None:
        """Let time pass before the next look or attempt."""
        self._clockwork.sleep(seconds)

    def now(self) -> int:
        """Unix seconds, on the clock that signs."""
        return int(self._clockwork.wall())

    def _look_up_strategy(self, intent: Intent) -> Answer | None:
        """Strategies have no filter by request id, so that the whole list is read."""
        pages = cursor_pages(self._read, "/strategies", {}, STRATEGIES)
        found = [each for page in pages for each in page if each.request_id == intent.request_id]
        if not found:
            return None
        resource_id, difference = judge_strategy(intent, found[0])
        kind = AnswerClass.SLOT_TAKEN if difference else AnswerClass.COMMITTED
        return answer(intent, 0, kind, status=200, resource_id=resource_id, detail=difference)

    def _read_back(self, intent: Intent) -> Answer | None:
        """A PATCH is known by its effect: the resource shows the value, or it does not."""
        judged = self._read.get(intent.path, decode=lambda document: judge(intent, 0, document))
        return judged if judged.answer is AnswerClass.COMMITTED else None
