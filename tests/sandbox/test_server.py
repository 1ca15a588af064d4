"""The server over a real socket, as people start it."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stratctl.sandbox import Sandbox, open_sandbox
from stratctl.sandbox.auth import Credential
from stratctl.sandbox.server import Face
from tests.sandbox import contract
from tests.sandbox.platform import BASKET, allocations, signed_headers

ROOT = Path(__file__).parents[2]
Start = Callable[..., "Running"]


class Running:
    """A server process and a client for it."""

    def __init__(self, process: "subprocess.Popen[str]", facts: dict[str, Any]) -> None:
        self.process = process
        self.facts = facts
        self.client = httpx.Client(base_url=facts["endpoint"], timeout=5)

    def credential(self, role: str) -> Credential:
        """A key from the credentials file."""
        lines = Path(self.facts["credentials"]).read_text().splitlines()
        values = dict(line.split("=", 1) for line in lines)
        key, secret, passphrase = (
            values[f"STRATCTL_{role}_{part}"] for part in ("KEY", "SECRET", "PASSPHRASE")
        )
        return Credential(key, secret, passphrase, role == "WRITE")

    def call(
        self, method: str, target: str, body: Any = None, request_id: str = ""
    ) -> httpx.Response:
        """One signed request, held to the contract."""
        content = b"" if body is None else json.dumps(body).encode()
        wall_ms = time.time_ns() // 1_000_000
        headers = signed_headers(self.credential("WRITE"), wall_ms, method, target, content)
        if request_id:
            headers["X-REQUEST-ID"] = request_id
        response = self.client.request(method, target, content=content, headers=headers)
        contract.check(method, target, response.status_code, response.json())
        return response

    def control(self, name: str, body: Any = None) -> Any:
        """One control call."""
        path = f"/_sandbox/{name}"
        answer = self.client.get(path) if body is None else self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Stop the process; its return code and what it said on standard error."""
        self.client.close()
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers that are stopped at the end."""
    running: list[Running] = []

    def start(*options: str) -> Running:
        command = [sys.executable, "-m", "stratctl.sandbox", "--port", "0", *options]
        command += ["--credentials", str(tmp_path / "credentials"), "--project", str(tmp_path)]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate()[1])
        running.append(Running(process, json.loads(line)))
        return running[-1]

    yield start
    for server in running:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)
        server.client.close()


def enroll(server: Running, code: str, request_id: str, strategy: str) -> httpx.Response:
    """An enrollment of one participant."""
    row = {"participant_code": code, "amount": "10.00", "auto_rebalance": True}
    body = {"allocations": allocations(BASKET), "participants": [row]}
    return server.call("POST", f"/strategies/{strategy}/enroll", body, request_id)


def create(server: Running) -> str:
    """A Strategy."""
    body = {"quoted_currency": "USD"}
    request_id = "de35c49b-2b38-45c7-b17c-c698bc817fa0"
    return str(server.call("POST", "/strategies", body, request_id).json()["message"]["id"])


def test_a_stranger_can_use_it(start: Start, tmp_path: Path) -> None:
    """It says where it is, hands out keys, settles an enrollment, and stops cleanly."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"BTC": "50000.00"}')
    server = start("--participants", "40", "--prices", str(prices), "--switch", "envelope=wrapped")
    found_by = tmp_path / ".stratctl" / "sandbox.json"
    assert json.loads(found_by.read_text()) == server.facts
    assert server.facts["pid"] == server.process.pid
    credentials = Path(server.facts["credentials"])
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    strategy = create(server)
    operation = enroll(server, "P00013", "7c334f56-9211-4ed2-9d16-3a2efc6668bb", strategy)
    name = operation.json()["message"]["id"]
    assert operation.headers["x-request-id"] == "7c334f56-9211-4ed2-9d16-3a2efc6668bb"
    server.control("advance", {"seconds": 2})
    settled = server.call("GET", f"/strategies/operations/{name}").json()["message"]
    assert settled["status"] == "settled"
    executions = server.call("GET", f"/strategies/executions?operation_id={name}").json()
    legs = executions["message"]["executions"][0]["instructions"]
    assert legs[0]["price"] == "50000.00"
    assert server.control("books")["balanced"] is True
    assert server.stop() == (0, "")
    assert not found_by.exists()


def test_an_operation_settles_by_itself_within_a_second(start: Start) -> None:
    """Sandbox time follows the wall clock."""
    server = start("--participants", "1")
    operation = enroll(
        server, "P00001", "7c334f56-9211-4ed2-9d16-3a2efc6668bb", create(server)
    ).json()["message"]["id"]
    deadline = time.monotonic() + 5
    status = ""
    while status != "settled" and time.monotonic() < deadline:
        time.sleep(0.05)
        status = server.call("GET", f"/strategies/operations/{operation}").json()["message"][
            "status"
        ]
    assert status == "settled"


def test_ctrl_c_stops_it_cleanly(start: Start, tmp_path: Path) -> None:
    """Like SIGTERM: code 0, no traceback, no file left."""
    server = start()
    server.client.get("/time")
    assert server.stop(signal.SIGINT) == (0, "")
    assert not (tmp_path / ".stratctl" / "sandbox.json").exists()


def test_it_survives_being_killed(start: Start, tmp_path: Path) -> None:
    """kill -9 loses nothing that was answered, and the keys stay the same."""
    state = str(tmp_path / "state.db")
    first = start("--state", state, "--participants", "2")
    strategy = create(first)
    accepted = enroll(first, "P00001", "7c334f56-9211-4ed2-9d16-3a2efc6668bb", strategy)
    key = first.credential("WRITE")
    first.stop(signal.SIGKILL)
    second = start("--state", state)
    assert second.credential("WRITE") == key
    again = enroll(second, "P00001", "7c334f56-9211-4ed2-9d16-3a2efc6668bb", strategy)
    assert again.status_code == 200
    assert again.json()["message"]["id"] == accepted.json()["message"]["id"]
    second.control("advance", {"seconds": 5})
    assert second.control("books")["balanced"] is True


def test_broken_connections_break_on_the_wire(start: Start) -> None:
    """A timeout says nothing, a reset breaks off, before or in the middle."""
    server = start()
    server.control("fault", {"kind": "timeout_before"})
    with pytest.raises(httpx.ReadTimeout):
        server.client.get("/time", timeout=0.3)
    server.control("fault", {"kind": "reset_before"})
    with pytest.raises(httpx.RemoteProtocolError):
        server.client.get("/time")
    server.control("fault", {"kind": "reset_after"})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        server.client.get("/time")
    server.control("fault", {"kind": "truncated"})
    assert server.client.get("/time").text == '{"epoch":1'
    assert server.client.get("/time").status_code == 200


def test_a_stop_does_not_wait_for_silent_connections(start: Start) -> None:
    """A timeout fault that is still being silent does not keep the server alive."""
    server = start()
    server.control("fault", {"kind": "timeout_before"})
    with pytest.raises(httpx.ReadTimeout):
        server.client.get("/time", timeout=0.2)
    began = time.monotonic()
    assert server.stop()[0] == 0
    assert time.monotonic() - began < 5


def test_latency_is_waited_for(start: Start) -> None:
    """Each answer takes at least that long."""
    server = start("--switch", "latency_ms=150")
    began = time.monotonic()
    server.client.get("/time")
    assert time.monotonic() - began >= 0.15


def test_the_credentials_file_replaces_what_was_there(start: Start, tmp_path: Path) -> None:
    """A file that others could read does not stay readable."""
    path = tmp_path / "credentials"
    path.write_text("old")
    path.chmod(0o644)
    server = start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "old" not in path.read_text()
    assert server.credential("READ").key


def test_the_last_to_start_is_found(start: Start, tmp_path: Path) -> None:
    """A sandbox that stops does not remove the file of one that started later."""
    found_by = tmp_path / ".stratctl" / "sandbox.json"
    first, second = start(), start()
    first.stop()
    assert json.loads(found_by.read_text()) == second.facts
    found_by.unlink()
    assert second.stop() == (0, "")


def answers(sandbox: Sandbox, path: bytes, client: tuple[str, int] | None) -> list[dict[str, Any]]:
    """What the face sends to a caller from some address."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "raw_path": path,
        "query_string": b"",
        "headers": [],
        "client": client,
    }
    asyncio.run(Face(sandbox.provider, sandbox.clock)(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("client", "status"),
    [(("10.0.0.7", 5000), 404), (("127.0.0.1", 5000), 200), (("::1", 5000), 200), (None, 404)],
)
def test_control_is_for_this_machine_only(client: tuple[str, int] | None, status: int) -> None:
    """A caller from elsewhere is told that there is no such thing."""
    with open_sandbox() as sandbox:
        assert answers(sandbox, b"/_sandbox/time", client)[0]["status"] == status


def test_broken_books_are_told() -> None:
    """A mistake in the sandbox itself is a 500 that says what does not add up."""
    with open_sandbox() as sandbox:
        sandbox.control("time")
        store = sandbox.provider.world.store
        with store.transaction():
            store.write("UPDATE book_sum SET total = '1' WHERE book = 'float'")
        start, body = answers(sandbox, b"/_sandbox/books", ("127.0.0.1", 1))
        assert start["status"] == 500
        assert b"recomputed" in body["body"]


def test_a_port_that_is_taken_is_an_error() -> None:
    """The process ends with a reason and says no address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "stratctl.sandbox", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Address already in use" in done.stderr


def test_importing_the_package_is_light() -> None:
    """Nothing heavy is loaded until a sandbox is opened."""
    code = (
        "import sys, stratctl.sandbox; heavy = {'httpx', 'starlette', 'uvicorn', 'sqlite3'};"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
