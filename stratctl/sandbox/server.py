"""The HTTP face: the provider behind Starlette on uvicorn, for people and demos."""

import asyncio
import contextlib
import ipaddress
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stratctl.sandbox.auth import credentials_lines
from stratctl.sandbox.books import BooksError
from stratctl.sandbox.clock import Clock, SystemClock
from stratctl.sandbox.control import PREFIX
from stratctl.sandbox.messages import Request, Response, json_response
from stratctl.sandbox.provider import Provider
from stratctl.sandbox.store import Store
from stratctl.sandbox.world import Settings

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
SILENCE_SECONDS = 300
"""How long a timeout fault keeps a connection open without a word."""

FOUND_BY = Path(".stratctl") / "sandbox.json"


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    state: str = ":memory:",
    seed: int = 0,
    participants: int = 0,
    prices: Mapping[str, str] | None = None,
    credentials: Path | str | None = None,
    switches: Mapping[str, str] | None = None,
    platform: str = "PLAT01",
    announce: Callable[[dict[str, object]], None],
    project_root: Path | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Port 0 takes a free one. When it is ready, `announce` gets the endpoint, the process id
    and the path of the credentials file (mode 0600), and the same is written to
    `.stratctl/sandbox.json` under the project root, until a clean stop removes it. Raises
    OSError when the port is taken or a file cannot be written, UnknownSwitch, and ValueError
    when a price is not a positive decimal.
    """
    settings = Settings(
        seed=seed,
        platform=platform,
        participants=participants,
        prices=dict(prices or {}),
        switches=dict(switches or {}),
    )
    provider = Provider(Store(state), settings)
    clock = SystemClock()
    provider.open(clock)
    with contextlib.closing(_listen(host, port)) as listening:
        address, taken_port = listening.getsockname()[:2]
        facts: dict[str, object] = {
            "endpoint": f"http://{address}:{taken_port}",
            "pid": os.getpid(),
            "credentials": None,
        }
        if credentials is not None:
            facts["credentials"] = str(_write_credentials(Path(credentials), provider))
        found_by = None if project_root is None else project_root / FOUND_BY
        line = json.dumps(facts) + "\n"
        config = uvicorn.Config(
            _application(provider, clock),
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )

        def ready() -> None:
            if found_by is not None:
                _write_whole(found_by, line)
            announce(facts)

        try:
            _Server(config, ready).run(sockets=[listening])
        finally:
            if found_by is not None:
                _remove_own(found_by, line)
            provider.close()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections answer at once (TCP_NODELAY is inherited)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    listening.listen(128)
    return listening


def _write_credentials(path: Path, provider: Provider) -> Path:
    """Write both keys so that nobody else on the machine can read them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(credentials_lines(provider.read_credential, provider.write_credential))
    return path.absolute()


def _write_whole(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _remove_own(path: Path, text: str) -> None:
    """Remove the file unless it is gone, or a later sandbox has made it its own."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == text:
            path.unlink()


class _Server(uvicorn.Server):
    """A server that says when it is ready and returns when it is told to stop."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then say so."""
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal means a clean stop; it is not raised again, so that `serve` can tidy up."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _application(provider: Provider, clock: Clock) -> Starlette:
    """One endpoint for every path: the provider knows its own."""
    return Starlette(routes=[Route("/{path:path}", Face(provider, clock), methods=METHODS)])


class Face:
    """Between ASGI and the provider."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._provider = provider
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = scope["raw_path"].decode("ascii", "replace")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("ascii", "replace")
        if target.startswith(PREFIX) and not _is_loopback(scope):
            await _send(send, Response(404, body=b'{"error":"Not Found"}'))
            return
        request = Request(
            method=scope["method"],
            target=target,
            headers={
                name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
            },
            body=await HttpRequest(scope, receive).body(),
        )
        try:
            answer = self._provider.handle(request, self._clock)
        except BooksError as problem:
            answer = json_response(500, {"error": "Internal Server Error", "books": str(problem)})
        if answer.delay_ms:
            await asyncio.sleep(answer.delay_ms / 1000)
        if answer.interruption == "timeout":
            await _stay_silent(receive)
        await _send(send, answer)


def _is_loopback(scope: Scope) -> bool:
    """Whether the caller is on this machine."""
    client = scope.get("client")
    return client is not None and ipaddress.ip_address(client[0]).is_loopback


async def _stay_silent(receive: Receive) -> None:
    """Keep the connection open without an answer until the caller gives up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SILENCE_SECONDS):
            while (await receive())["type"] != "http.disconnect":
                pass


async def _send(send: Send, answer: Response) -> None:
    """Send an answer; one that is interrupted promises more than it sends."""
    body = answer.body[: len(answer.body) // 2] if answer.interruption else answer.body
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    promised = len(answer.body) + 1 if answer.interruption else len(answer.body)
    headers.append((b"content-length", str(promised).encode()))
    await send({"type": "http.response.start", "status": answer.status or 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": bool(answer.interruption)})
