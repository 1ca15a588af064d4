"""Bugs that must be found: money moves twice with each of them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4
from zlib import crc32

from stratctl.core import slots
from stratctl.core.event import Intent
from stratctl.live.writer import Signed, Writer
from tests.replaced import replaced

FIRST = 3
"""The slots before it are what every case begins with."""


@contextlib.contextmanager
def own_ids(machine: str) -> Iterator[None]:
    """Ids that are not slots: two machines do not agree on them, though each does with itself."""
    call_id = slots.call_id

    def own(realm: str, strategy_id: str, slot: int) -> str:
        return call_id(realm, strategy_id, slot + (crc32(machine.encode()) if slot >= FIRST else 0))

    with contextlib.ExitStack() as stack:
        for module in [*sys.modules.values()]:
            if vars(module).get("call_id") is call_id:
                stack.enter_context(replaced(module, "call_id", own))
        yield


@contextlib.contextmanager
def new_ids(machine: str) -> Iterator[None]:
    """Another id for each attempt that follows a first one: what may have arrived is sent anew."""
    sign = Writer.sign
    seen: set[str] = set()

    def signed(writer: Writer, intent: Intent) -> Signed:
        again = intent.request_id in seen
        seen.add(intent.request_id)
        return sign(writer, replace(intent, request_id=str(uuid4())) if again else intent)

    with replaced(Writer, "sign", signed):
        yield
