"""A whole sandbox inside this process, for tests and simulation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratctl.sandbox.auth import Credential
from stratctl.sandbox.clock import Clock, SystemClock
from stratctl.sandbox.messages import Request
from stratctl.sandbox.provider import Provider
from stratctl.sandbox.store import Store
from stratctl.sandbox.transport import InProcessTransport
from stratctl.sandbox.world import FLOAT_DEFAULT, Settings


@dataclass(frozen=True, slots=True)
class Credentials:
    """The two keys of a sandbox: `read` is refused on writes."""

    read: Credential
    write: Credential


class Sandbox:
    """A provider with its clock, its keys and its control API."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self.provider = provider
        self.clock = clock
        self.credentials = Credentials(provider.read_credential, provider.write_credential)

    def transport(self) -> InProcessTransport:
        """A transport for httpx.Client(transport=…); any host name will do."""
        return InProcessTransport(self.provider, self.clock)

    def control(self, name: str, body: Mapping[str, Any] | None = None, *, method: str = "") -> Any:
        """One call of /_sandbox/NAME: a GET without a body, a POST with one.

        Raises ValueError with the reason when the sandbox refuses it.
        """
        content = b"" if body is None else json.dumps(body).encode()
        verb = method or ("GET" if body is None else "POST")
        answer = self.provider.handle(Request(verb, f"/_sandbox/{name}", {}, content), self.clock)
        result = json.loads(answer.body)
        if answer.status != 200:
            raise ValueError("; ".join(result["errors"]))
        return result

    def advance(self, seconds: float | int | str) -> None:
        """Move sandbox time forward; at most three decimals."""
        self.control("advance", {"seconds": seconds})

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the state file."""
        self.provider.close()


def open_sandbox(
    *,
    state: str | Path = ":memory:",
    seed: int = 0,
    participants: int = 0,
    prices: Mapping[str, str] | None = None,
    switches: Mapping[str, str] | None = None,
    platform: str = "PLAT01",
    float_balance: str = FLOAT_DEFAULT,
    clock: Clock | None = None,
) -> Sandbox:
    """Open a sandbox over a state file or in memory.

    `float_balance` is a decimal with two places, the opening balance of each float. Raises
    UnknownSwitch for a switch or position that does not exist.
    """
    settings = Settings(
        seed=seed,
        platform=platform,
        participants=participants,
        prices=dict(prices or {}),
        switches=dict(switches or {}),
        float_balance=float_balance,
    )
    provider = Provider(Store(str(state)), settings)
    return Sandbox(provider, clock or SystemClock())
