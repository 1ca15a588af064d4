"""Named contributions and payouts: what each says, whatever the way it is written."""

from __future__ import annotations

from collections.abc import Mapping

from stratctl.core.diagnostic import Span
from stratctl.core.state import ENTRY_MEMBERS, EntryContent, NamedEntry
from stratctl.core.tables import Table

ENTRY_AMOUNTS = {
    "key": "VARCHAR",
    "kind": "VARCHAR",
    "strategy": "VARCHAR",
    "participant_code": "VARCHAR",
    "amount_minor": "BIGINT",
}
"""One row per participant of a named entry."""


def named_entries(amounts: Table, spans: Mapping[str, Span]) -> tuple[NamedEntry, ...]:
    """Every entry with the digest of its content, ascending by key.

    The digest is over canonical text: the kind, then each participant with its minor units, in
    the order of the codes, a line each. The order of rows, the files that they stand in, blanks,
    quotes and trailing zeros are no part of it.
    """
    return tuple(
        NamedEntry(strategy, EntryContent(key, kind, digest, rows, amount_minor), spans[key])
        for key, kind, strategy, digest, rows, amount_minor in amounts.workspace.rows(
            f"""
            SELECT key, kind, strategy,
                sha256(kind || chr(10) || string_agg(
                    participant_code || ' ' || amount_minor || chr(10),
                    '' ORDER BY participant_code)),
                count(*), sum(amount_minor)
            FROM {amounts} GROUP BY key, kind, strategy ORDER BY key
            """
        )
    )


def entry_members(amounts: Table) -> Table:
    """ENTRY_MEMBERS: whose money each entry is."""
    return amounts.workspace.select(
        "entry_members", ENTRY_MEMBERS, f"SELECT key, participant_code FROM {amounts}"
    )
