"""The network between one machine and the provider, and everything that it may do.

A request passes a port before it arrives and another before its answer does, so that other
machines, deaths and pauses come in between.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx

from stratctl.sandbox.faults import Fault
from stratctl.sandbox.messages import Request, Response
from tests.sim.faults import GET_FAULTS, POST_FAULTS, NetFault
from tests.sim.history import ANSWERED, ASKED, SENT

if TYPE_CHECKING:
    from tests.sim.machine import Machine

TIMEOUT_MS = 30_000
CLOSED_MS = 300


class Net(httpx.BaseTransport):
    """One run's way to the provider: the transport under the real clients."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange, or what is left of it."""
        machine, world = self._machine, self._machine.world
        received = Request(
            method=request.method,
            target=request.url.raw_path.decode("ascii"),
            headers=dict(request.headers.items()),
            body=request.read(),
        )
        machine.requests += 1
        machine.port(f"> {received.method} {received.target}")
        if world.closed_until_ms > world.now_ms:
            world.reached("clog", machine)
            machine.sleep_ms(CLOSED_MS)
            raise httpx.ConnectError("connection refused", request=request)
        fault = self._fault(received)
        about = _about(received)
        if received.method != "GET":
            world.invariants.leaves(machine, received)
            world.history.add(SENT, received.target, machine, about, bytes(received.body))
        else:
            world.history.add(ASKED, received.method, machine, about)
        if fault is not None:
            world.reached(fault.name, machine, about)
        answer = self._answer(received, fault)
        if answer.status == 400 and world.invariants.in_doubt(machine, received):
            world.reached("refused_in_doubt", machine, about)
        world.history.add(ANSWERED, str(answer.status or answer.interruption), machine, about)
        machine.sleep_ms(world.latency_ms())
        machine.port(f"< {answer.status} {answer.interruption} {fault.name if fault else ''}")
        return self._received(request, answer)

    def _fault(self, received: Request) -> NetFault | None:
        """The fault that this exchange meets, if any."""
        wanted = GET_FAULTS if received.method == "GET" else POST_FAULTS
        fitting = [fault for fault in wanted if fault.path in received.target]
        # More often than disks and machines fail, so that every fault of an answer is met; and most
        # often where money moves, because few requests do.
        often = 4 if received.method == "GET" else 12
        return self._machine.world.fault("net", fitting, often=often)

    def _answer(self, received: Request, fault: NetFault | None) -> Response:
        world = self._machine.world
        if fault is None:
            return world.handle(received)
        if fault.instead is not None:
            status, said = fault.instead
            body = json.dumps(said).encode()
            return Response(status, {"content-type": "application/json"}, body)
        if fault.sandbox == "":
            raise AssertionError(f"{fault.name} does nothing")
        world.provider.faults.add(
            Fault(
                fault.sandbox,
                seconds=fault.seconds and fault.seconds + world.chance.below(30),
                retry_after=fault.retry_after,
                find=fault.find,
                with_=fault.with_,
            )
        )
        return world.handle(received)

    def _received(self, request: httpx.Request, answer: Response) -> httpx.Response:
        if answer.interruption == "timeout":
            self._machine.sleep_ms(TIMEOUT_MS)
            raise httpx.ReadTimeout("timed out", request=request)
        if answer.interruption:
            raise httpx.ReadError("connection reset by peer", request=request)
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)


def _about(request: Request) -> str:
    """What an exchange is about: the request id of one that changes something, else its target."""
    if request.method == "GET":
        return request.target
    return str(request.headers.get("x-request-id", ""))
