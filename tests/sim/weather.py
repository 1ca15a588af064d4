"""What happens to the world while machines apply, whoever is to blame."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from stratctl.sandbox.auth import sign
from stratctl.sandbox.messages import Request
from stratctl.sandbox.provider import Provider
from stratctl.sandbox.world import Settings
from tests.worlds import PRICES

if TYPE_CHECKING:
    from tests.sim.world import Universe

SECONDS = (5, 20, 60, 150)
"""Between one event and the next."""


class Weather:
    """Merges, prices, people, foreigners, restarts: drawn one after another."""

    def __init__(self, world: Universe) -> None:
        self.world = world
        self.foreign: dict[str, str] = {}
        """Request ids that are not ours -> whom they move money for."""
        self._events: tuple[tuple[str, Callable[[], None]], ...] = (
            ("merge", self.merge),
            ("merge", self.merge),
            ("price", self.price),
            ("person_closed", self.close_a_person),
            ("float_low", self.float_low),
            ("foreign", self.foreign_operation),
            ("restart", self.restart),
            ("unknown_status", self.unknown_status),
            ("failing_asset", self.failing_asset),
            ("clog", self.clog),
            ("skew", self.skew),
            ("calendar", self.days_pass),
            ("bit_flip", self.flip_a_bit),
        )

    def blow(self) -> None:
        """The task."""
        world = self.world
        for _ in range(3 + world.chance.below(5)):
            world.scheduler.sleep(world.chance.pick(SECONDS) * 1000)
            name, event = self._events[world.chance.below(len(self._events))]
            if name != "merge":
                if world.faults_left <= 0:
                    continue
                world.faults_left -= 1
            world.scheduler.note(f"* {name}")
            if name != "foreign":
                world.reached(name)
            event()

    def merge(self) -> None:
        """The next configuration is merged."""
        self.world.merged = min(self.world.merged + 1, len(self.world.shape.versions))

    def price(self) -> None:
        """Half as much again, or half."""
        factor = self.world.chance.pick((3, 1))
        self.world.sandbox.control("price", {"BTC": str(int(PRICES["BTC"]) * factor // 2)})

    def close_a_person(self) -> None:
        """A participant may trade no more."""
        code = self.world.chance.pick(self.world.shape.codes)
        wanted = {"participant_code": code, "status": "locked", "reason_code": "compliance"}
        self.world.sandbox.control("participants", {"participants": [wanted]})

    def float_low(self) -> None:
        """Money for about one enrolment is left, if nothing is in flight."""
        try:
            self.world.sandbox.control("float", {"currency": "USD", "balance": "1500.00"})
        except ValueError:
            return  # Running Operations need more; the provider keeps it.

    def foreign_operation(self, chosen: str = "") -> None:
        """Somebody else tops a participant up: this one, or any."""
        rows = self.world.provider.world.store.rows(
            "SELECT s.id, t.participant FROM trader t JOIN strategy s ON s.seq = t.strategy_seq"
            " WHERE t.liquidated = 0 ORDER BY t.seq"
        )
        if not rows:
            return
        named = [row for row in rows if row[1] == chosen]
        strategy_id, code = self.world.chance.pick(named or rows)
        name = str(uuid.UUID(int=len(self.foreign) + 1, version=4))
        self.foreign[name] = code
        self.world.reached("foreign", about=code)
        body = {
            "participants": [{"participant_code": code, "amount": "77.00"}],
            "allocations": [{"underlying_currency": "BTC", "weight": "1"}],
        }
        self.world.handle(self._signed(f"/strategies/{strategy_id}/top-up", body, name))

    def restart(self) -> None:
        """The provider forgets what it had not committed."""
        world = self.world
        old = world.provider
        world.provider = Provider(old.world.store, Settings())
        world.sandbox.provider = world.provider
        world.provider.open(world.clock)

    def unknown_status(self) -> None:
        """Statuses that nobody documented, or the usual ones again."""
        position = self.world.chance.pick(("settling", "terminal", "off"))
        execution = self.world.chance.pick(("on", "off"))
        self.world.sandbox.control(
            "switches",
            {"unknown_operation_status": position, "unknown_execution_status": execution},
        )

    def failing_asset(self) -> None:
        """Legs of one asset fail at the market."""
        chosen = {"failing_assets": self.world.chance.pick(("SOL", "BTC,ETH,SOL"))}
        chosen["failed_leg_execution"] = self.world.chance.pick(("settled", "rejected"))
        self.world.sandbox.control("switches", chosen)

    def clog(self) -> None:
        """Nobody reaches the provider for a while."""
        seconds = self.world.chance.pick((10, 60, 400))
        self.world.closed_until_ms = self.world.now_ms + seconds * 1000

    def skew(self) -> None:
        """A machine's clock jumps."""
        machine = self.world.chance.pick(self.world.machines)
        machine.skew_ms = self.world.chance.pick((-30_000, 30_000, 90_000, -90_000, 86_400_000))

    def flip_a_bit(self) -> None:
        """Somewhere in a journal one bit is another one, and the disk does not say so."""
        machine = self.world.chance.pick(self.world.machines)
        file = machine.journal
        in_use = any(each.running for each in self.world.machines if each.journal is file)
        if file.synced and not in_use and not file.spoiled and not self.world.on_a_branch:
            self.world.reached("bit_flipped", machine)
            file.spoil(self.world.chance.below(len(file.synced) - 1))

    def days_pass(self) -> None:
        """Everybody goes home."""
        self.world.scheduler.sleep(self.world.chance.pick((5, 30, 80)) * 3_600_000)

    def _signed(self, path: str, body: object, request_id: str) -> Request:
        key = self.world.provider.write_credential
        data = json.dumps(body).encode()
        timestamp = str(self.world.now_ms // 1000)
        return Request(
            "POST",
            path,
            {
                "x-scx-api-key": key.key,
                "x-scx-signed": sign(key.secret, timestamp, "POST", path, data),
                "x-scx-timestamp": timestamp,
                "x-scx-passphrase": key.passphrase,
                "x-request-id": request_id,
                "content-type": "application/json",
            },
            data,
        )
