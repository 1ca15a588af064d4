"""The two clients: one that reads and retries, and one that writes and never does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx

from stratctl.core.errors import (
    AccessRefused,
    BadResponse,
    NotFound,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    RequestRefused,
)
from stratctl.core.secret import Secret
from stratctl.live import wire
from stratctl.live.auth import Credentials, sign
from stratctl.live.clockwork import Clockwork
from stratctl.live.limiter import Limiter
from stratctl.live.transport import Endpoint, GetOnlyTransport, RawAnswer, Reads, exchange

ATTEMPTS_MAX = 6
RETRY_SECONDS_MAX = 330.0
"""No new attempt of a read begins after this much time."""
BACKOFF_SECONDS = 0.25
BACKOFF_SECONDS_MAX = 8.0
COOL_DOWN_SECONDS = 11.0
COOL_DOWN_SECONDS_MAX = 300.0
"""The provider blocks an address for 10 s after a 429; we wait a little longer than that."""
CLOCK_SECONDS_MAX = 20.0
"""The provider accepts signatures within 60 s of its own clock; we stop well before that."""

Decoded = TypeVar("Decoded")


class _TryLater(ProviderError):
    """An answer that a read may ask for again: 429 after ``cool_down`` seconds, 5xx and kin."""

    def __init__(self, summary: str, *, status: int, cool_down: float = 0.0) -> None:
        super().__init__(summary, status=status)
        self.cool_down = cool_down


class ReadClient:
    """Signed GETs, and nothing else, from any number of threads.

    Retries live here and in no layer above: transport errors, 429, 5xx and answers that cannot be
    trusted are asked for again, with exponential back-off and full jitter.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        credentials: Credentials,
        transport: Reads | httpx.BaseTransport,
        clockwork: Clockwork,
        limiter: Limiter,
    ) -> None:
        self._path = endpoint.path
        self._credentials = credentials
        self._transport: Reads = (
            GetOnlyTransport(transport, endpoint, clockwork)
            if isinstance(transport, httpx.BaseTransport)
            else transport
        )
        self._clockwork = clockwork
        self._limiter = limiter
        self._date_seen = ""

    @property
    def requests(self) -> int:
        """How many requests were let through so far, for people."""
        return self._limiter.taken

    def get(
        self,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        decode: Callable[[Any], Decoded],
    ) -> Decoded:
        """One resource, parsed and decoded. Raises what ``read`` does."""
        return self.read(path, parameters or {}, lambda body: decode(wire.parse(body)))

    def read(
        self, path: str, parameters: Mapping[str, str], read: Callable[[bytes], Decoded]
    ) -> Decoded:
        """What ``read`` makes of the body of one resource or page; BadResponse asks for it again.

        Raises NotSent, AccessRefused, NotFound, RequestRefused, BadResponse, or a plain
        ProviderError when no attempt got an answer.
        """
        target = target_of(path, parameters)
        deadline = self._clockwork.monotonic() + RETRY_SECONDS_MAX
        attempt = 1
        while True:
            try:
                return read(self._ask(target).body)
            except (NotSent, OutcomeUnknown, BadResponse, _TryLater) as error:
                failure = _for_a_reader(error)
                seconds = self._patience(error, attempt)
            if attempt == ATTEMPTS_MAX or self._clockwork.monotonic() + seconds > deadline:
                raise failure
            self._clockwork.sleep(seconds)
            attempt += 1

    def check_clock(self) -> None:
        """Compare this machine's clock with ``GET /time``, which needs no signature.

        Raises AccessRefused when they are more than 20 s apart.
        """
        before = self._clockwork.wall()
        theirs = self.get("/time", decode=wire.time_seconds)
        self._compare_clocks(ours=(before + self._clockwork.wall()) / 2, theirs=theirs)

    def _ask(self, target: str) -> RawAnswer:
        """One attempt. Raises for every answer but a 200."""
        self._limiter.take()
        route = self._path + target
        timestamp = int(self._clockwork.wall())
        headers = sign(self._credentials, timestamp, "GET", route)
        answer = self._transport.get(route, headers)
        self._check_date(answer.headers.get("date", ""))
        if answer.status != 200:
            raise _refusal(answer, self._clockwork)
        return answer

    def _patience(self, error: ProviderError, attempt: int) -> float:
        """Seconds until the next attempt; a pause of the whole address when it was a 429."""
        if isinstance(error, _TryLater) and error.cool_down:
            self._limiter.pause(error.cool_down)
            return error.cool_down
        ceiling = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2.0**attempt)
        return self._clockwork.random() * ceiling

    def _check_date(self, date: str) -> None:
        """Every answer says what time it is; one look per second of it is enough."""
        if not date or date == self._date_seen:
            return
        self._date_seen = date
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return  # A date that is no date is no evidence against our clock.
        self._compare_clocks(ours=self._clockwork.wall(), theirs=theirs)

    def _compare_clocks(self, *, ours: float, theirs: float) -> None:
        if abs(ours - theirs) > CLOCK_SECONDS_MAX:
            direction = "ahead of" if ours > theirs else "behind"
            raise AccessRefused(
                f"this machine's clock is {abs(ours - theirs):.0f} s {direction} the provider's",
                hint="set the clock; requests signed more than 60 s off are refused",
            )


@dataclass(slots=True)
class SignedRequest:
    """A mutation with its signature, to be sent once. The signature dies after 60 s."""

    method: str
    url: httpx.URL
    body: str
    request_id: str
    signed_at: int
    headers: dict[str, Secret | str] = field(repr=False)
    sent: bool = False


class WriteClient:
    """Signed mutations: signed once, sent once, never retried, redirected or signed again."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        credentials: Credentials,
        transport: httpx.BaseTransport,
        clockwork: Clockwork,
        limiter: Limiter,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._transport = transport
        self._clockwork = clockwork
        self._limiter = limiter

    def sign(self, *, method: str, path: str, body: str, request_id: str) -> SignedRequest:
        """Wait for the rate limit, then sign exactly these bytes.

        The wait comes first, so that no signature grows old in it.
        """
        self._limiter.take()
        url = self._endpoint.at(path)
        signed_at = int(self._clockwork.wall())
        target = url.raw_path.decode("ascii")
        headers: dict[str, Secret | str] = {
            **sign(self._credentials, signed_at, method, target, body),
            "X-REQUEST-ID": request_id,
            "Content-Type": "application/json",
        }
        return SignedRequest(method, url, body, request_id, signed_at, headers)

    def send(self, request: SignedRequest) -> RawAnswer:
        """Send it, once. Raises NotSent, OutcomeUnknown or BadResponse; any status is an answer."""
        assert not request.sent, "a signed request is sent once"
        request.sent = True
        answer = exchange(
            self._transport,
            self._clockwork,
            method=request.method,
            url=request.url,
            headers=request.headers,
            body=request.body,
        )
        if answer.status == 429:
            self._limiter.pause(_cool_down(answer, self._clockwork))
        return answer


def target_of(path: str, parameters: Mapping[str, str]) -> str:
    """Path and query as they are signed and sent: every reserved character escaped."""
    query = urlencode(parameters, quote_via=quote, safe="")
    return f"{path}?{query}" if query else path


def _refusal(answer: RawAnswer, clockwork: Clockwork) -> ProviderError:
    """The name of an answer to a read that is not a 200."""
    status = answer.status
    said = wire.refusal_text(answer.body)
    detail = f"HTTP {status}" + (f": {said}" if said else "")
    if status in (401, 403):
        return AccessRefused(
            f"the provider does not let us in ({detail})",
            status=status,
            hint="check that the key is approved, its rights, and that this address is allowed",
        )
    if status == 404:
        return NotFound(f"the provider knows no such thing ({detail})", status=status)
    if status == 400:
        return RequestRefused(wire.documented_errors(answer.body) or (said or "no reason given",))
    if status == 429:
        cool_down = _cool_down(answer, clockwork)
        return _TryLater(f"too many requests ({detail})", status=status, cool_down=cool_down)
    if status >= 500 or status in (408, 409):
        return _TryLater(f"the provider failed ({detail})", status=status)
    if 300 <= status < 400:
        return ProviderError(f"a redirect, which is never followed ({detail})", status=status)
    return ProviderError(f"an answer that is not documented ({detail})", status=status)


def _cool_down(answer: RawAnswer, clockwork: Clockwork) -> float:
    """At least 11 s and a little more by chance; more when Retry-After asks for it, up to 300 s."""
    asked = answer.headers.get("retry-after", "")
    seconds = float(asked) if asked.isascii() and asked.isdigit() else 0.0
    least = max(COOL_DOWN_SECONDS, seconds) + clockwork.random()
    return min(least, COOL_DOWN_SECONDS_MAX)


def _for_a_reader(error: ProviderError) -> ProviderError:
    """A read that got no answer has no unknown outcome: nothing was asked to change."""
    if isinstance(error, (OutcomeUnknown, _TryLater)):
        return ProviderError(f"a read failed: {error.summary}", status=error.status)
    return error
