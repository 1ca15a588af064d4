"""Participants and their standing at the provider."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stratctl.sandbox.store import Store

STATUSES = (
    "submitted",
    "pending_approval",
    "approved",
    "rejected",
    "locked",
    "pending_unlock",
    "pending_disable",
    "disabled",
    "divested",
    "closed",
)
_DIGITS = "0123456789ACDEFGHJKMNPQRTUVWXY"
"""No letter that looks like a digit, so that no two codes of the sequence look alike."""
_CODE = re.compile(r"[A-Z0-9]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a participant may do."""

    status: str
    reason_code: str
    blocked_assets: frozenset[str]

    @property
    def may_trade(self) -> bool:
        """Documented: only `approved` participants may do everything."""
        return self.status == "approved"

    @property
    def may_close(self) -> bool:
        """Documented: locked or pending_disable by the user's own request may close positions."""
        return self.status in ("locked", "pending_disable") and self.reason_code == "user_request"


def code_of(number: int) -> str:
    """The n-th participant code, from 1: `P` and n in base 30, padded to five places.

    The digits are 0-9 and the letters without B, I, L, O, S and Z.
    """
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    if len(digits) > 5:
        raise ValueError("there are no more than 24,299,999 participant codes")
    return "P" + digits.rjust(5, "0")


class Participants:
    """The participants, in the store. `version` rises with every change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.version = 0

    def create(self, count: int, now_ms: int) -> None:
        """Approve the first `count` codes; those that exist stay as they are."""
        self.version += 1
        self._store.write_many(
            "INSERT OR IGNORE INTO participant (code, status, reason_code, jurisdiction,"
            " blocked_assets, updated_ms) VALUES (?, 'approved', '', 'US-IL', '', ?)",
            ((code_of(number), now_ms) for number in range(1, count + 1)),
        )

    def put(self, wanted: dict[str, Any], now_ms: int) -> None:
        """Create or change one participant. Raises ValueError on a bad code or status."""
        code = wanted.get("participant_code")
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise ValueError(f"not a participant code: {code!r}")
        status = wanted.get("status", "approved")
        if status not in STATUSES:
            raise ValueError(f"not a participant status: {status!r}")
        self.version += 1
        self._store.write(
            "INSERT INTO participant (code, status, reason_code, jurisdiction, blocked_assets,"
            " updated_ms) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (code) DO UPDATE SET"
            " status = excluded.status, reason_code = excluded.reason_code,"
            " jurisdiction = excluded.jurisdiction, blocked_assets = excluded.blocked_assets,"
            " updated_ms = excluded.updated_ms",
            (
                code,
                status,
                str(wanted.get("reason_code", "")),
                str(wanted.get("jurisdiction_code", "US-IL")),
                ",".join(wanted.get("blocked_assets", [])),
                now_ms,
            ),
        )

    def standings(self, codes: Iterable[str]) -> dict[str, Standing]:
        """The standing of those participants that exist."""
        rows = self._store.rows(
            "SELECT code, status, reason_code, blocked_assets FROM participant"
            " WHERE code IN (SELECT value FROM json_each(?))",
            (json.dumps(list(codes)),),
        )
        return {
            row[0]: Standing(row[1], row[2], frozenset(filter(None, row[3].split(","))))
            for row in rows
        }
