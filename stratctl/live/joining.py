"""Traders, bookings, rebuilt figures and standing, joined into the rows of the live State."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stratctl.core.state import (
    BOOKED_ROWS,
    HOLDINGS_KEY,
    HOLDINGS_ROWS,
    LIVE_ROWS,
    PARTICIPANT_KEY,
    PARTICIPANT_ROWS,
)
from stratctl.core.tables import Schema, Table, Workspace
from stratctl.live.accounting import Counted
from stratctl.live.wire import AccountColumns, Lines, ParticipantColumns, TraderColumns

TRADER_ROWS = {
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "trader_id": "VARCHAR",
    "auto_rebalance": "BOOLEAN",
    "trader_updated_at": "VARCHAR",
}

COUNTED_ROWS = {
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "contributed_minor": "BIGINT",
    "withdrawn_minor": "BIGINT",
    "tolerance_minor": "BIGINT",
    "has_foreign": "BOOLEAN",
    "busy": "VARCHAR",
    "exited": "BOOLEAN",
    "rebalanced_at": "BIGINT",
}

ACCOUNT_ROWS = {
    "strategy_id": "VARCHAR",
    "participant_code": "VARCHAR",
    "asset": "VARCHAR",
    "balance": "VARCHAR",
    "account_id": "VARCHAR",
}


def traders_table(workspace: Workspace, pages: Sequence[TraderColumns]) -> Table:
    """TRADER_ROWS. A Trader that came on two pages is taken once, as it was last changed."""
    raw = _end_to_end(
        workspace,
        "listed_traders",
        TRADER_ROWS,
        [
            (
                page.strategy_id,
                page.participant_code,
                page.id,
                page.auto_rebalance,
                page.updated_at,
            )
            for page in pages
        ],
    )
    if not raw.duplicates(("strategy_id", "trader_id")):
        return raw
    return workspace.select(
        "traders",
        TRADER_ROWS,
        f"""
        SELECT * FROM {raw}
        QUALIFY row_number() OVER (
            PARTITION BY strategy_id, trader_id ORDER BY trader_updated_at DESC, auto_rebalance
        ) = 1
        """,
    )


def one_trader_each(traders: Table) -> tuple[Table, Mapping[str, str]]:
    """Traders with one per participant, and the Strategies where the provider shows more."""
    problems = {
        strategy_id: f"E_TRADER_DUPLICATE: {code} is several Traders of one Strategy"
        for strategy_id, code in reversed(traders.duplicates(("strategy_id", "participant_code")))
    }
    if not problems:
        return traders, {}
    unique = traders.workspace.select(
        "unique_traders",
        TRADER_ROWS,
        f"""
        SELECT * FROM {traders}
        QUALIFY row_number() OVER (
            PARTITION BY strategy_id, participant_code ORDER BY trader_id
        ) = 1
        """,
    )
    return unique, problems


def missing_traders(traders: Table, booked: Table) -> Mapping[str, str]:
    """Strategies whose list of Traders lacks somebody who bought: Traders are never removed."""
    rows = traders.workspace.rows(
        f"""
        SELECT strategy_id, count(*), min(participant_code)
        FROM {booked} ANTI JOIN {traders} USING (strategy_id, participant_code)
        WHERE contributed_minor > 0
        GROUP BY strategy_id ORDER BY strategy_id
        """
    )
    return {
        strategy_id: f"E_STALE_READ: {count} who bought are not listed as Traders, {code} first"
        for strategy_id, count, code in rows
    }


def counted_table(workspace: Workspace, counted: Mapping[str, Sequence[Counted]]) -> Table:
    """COUNTED_ROWS of every Strategy: one row per participant."""
    rows = [(strategy_id, row) for strategy_id in sorted(counted) for row in counted[strategy_id]]
    return workspace.table(
        "counted",
        COUNTED_ROWS,
        (
            [strategy_id for strategy_id, _ in rows],
            [row.participant_code for _, row in rows],
            [row.contributed_minor for _, row in rows],
            [row.withdrawn_minor for _, row in rows],
            [row.tolerance_minor for _, row in rows],
            [row.foreign for _, row in rows],
            [row.busy for _, row in rows],
            [row.exited for _, row in rows],
            [row.rebalanced_at for _, row in rows],
        ),
    )


def participants_table(workspace: Workspace, pages: Sequence[ParticipantColumns]) -> Table:
    """PARTICIPANT_ROWS. A code that came on two pages, as others moved, is taken once."""
    schema = {**PARTICIPANT_ROWS, "reason_code": "VARCHAR"}
    raw = _end_to_end(
        workspace,
        "listed_participants",
        schema,
        [(page.participant_code, page.status, page.reason_code) for page in pages],
    )
    # Of two statuses of one participant the less favourable counts: "approved" sorts first.
    return workspace.select(
        "participants",
        PARTICIPANT_ROWS,
        f"""
        SELECT participant_code,
               max(CASE WHEN standing = 'approved' OR reason_code = '' THEN standing
                        ELSE standing || ':' || reason_code END) AS standing
        FROM {raw} GROUP BY participant_code ORDER BY participant_code
        """,
    ).keyed(*PARTICIPANT_KEY)


def live_rows(
    workspace: Workspace,
    *,
    strategy_ids: Sequence[str],
    traders: Table,
    booked: Table,
    counted: Table,
    participants: Table,
) -> Table:
    """LIVE_ROWS: totals are booked (settled, pending in full, forfeited) plus rebuilt ones."""
    assert dict(booked.schema) == BOOKED_ROWS, "the journal's bookings have another shape"
    return workspace.select(
        "live_rows",
        LIVE_ROWS,
        f"""
        WITH booked AS (SELECT * FROM {booked} WHERE list_contains($1, strategy_id)),
        unapproved AS (SELECT * FROM {participants} WHERE standing <> 'approved')
        SELECT
            strategy_id,
            participant_code,
            traders.trader_id,
            traders.auto_rebalance,
            traders.trader_updated_at,
            (coalesce(booked.contributed_minor + booked.pending_in_minor
                      + booked.forfeited_in_minor, 0::BIGINT)
             + coalesce(counted.contributed_minor, 0::BIGINT))::BIGINT AS contributed_minor,
            (coalesce(booked.withdrawn_minor + booked.pending_out_minor
                      + booked.forfeited_out_minor, 0::BIGINT)
             + coalesce(counted.withdrawn_minor, 0::BIGINT))::BIGINT AS withdrawn_minor,
            coalesce(counted.tolerance_minor, 0::BIGINT) AS tolerance_minor,
            coalesce(counted.has_foreign, false) AS has_foreign,
            CASE WHEN counted.busy = 'mixed_outcome' THEN counted.busy
                 WHEN booked.busy THEN 'pending'
                 ELSE counted.busy END AS busy,
            booked.target_text,
            booked.target_epoch,
            coalesce(counted.exited, booked.exited, false) AS exited,
            booked.parked,
            unapproved.standing,
            greatest(counted.rebalanced_at, booked.rebalanced_at) AS rebalanced_at
        FROM {traders} AS traders
        FULL JOIN booked USING (strategy_id, participant_code)
        FULL JOIN {counted} AS counted USING (strategy_id, participant_code)
        LEFT JOIN unapproved USING (participant_code)
        ORDER BY strategy_id, participant_code
        """,
        [list(strategy_ids)],
    )


def accounts_table(workspace: Workspace, pages: Sequence[AccountColumns]) -> Table:
    """ACCOUNT_ROWS. An account that came on two pages is taken once, as it was last updated."""
    shown = [(page.label, page.owner, page.asset, page.balance, page.account_id) for page in pages]
    raw = _end_to_end(workspace, "listed_accounts", ACCOUNT_ROWS, shown)
    if not raw.duplicates(("account_id",)):
        return raw
    # Only now does the engine need to know which one was the last.
    named = _end_to_end(
        workspace,
        "named_accounts",
        {**ACCOUNT_ROWS, "last_update": "BIGINT"},
        [
            (*columns, "".join(f"{each}\n" for each in page.last_update))
            for columns, page in zip(shown, pages, strict=True)
        ],
    )
    return workspace.select(
        "accounts",
        ACCOUNT_ROWS,
        f"""
        SELECT {", ".join(ACCOUNT_ROWS)} FROM {named}
        QUALIFY row_number() OVER (
            PARTITION BY account_id ORDER BY last_update DESC, balance
        ) = 1
        """,
    )


def impossible_holdings(accounts: Table) -> Mapping[str, str]:
    """Strategies with a balance that nobody can hold: below zero, or past the widest column."""
    rows = accounts.workspace.rows(
        f"""
        SELECT strategy_id, min(participant_code), min(balance) FROM {accounts}
        WHERE balance LIKE '-%' OR length(split_part(balance, '.', 1)) > 14
        GROUP BY strategy_id ORDER BY strategy_id
        """
    )
    return {
        strategy_id: f"E_HOLDING: {code} holds {balance}" for strategy_id, code, balance in rows
    }


def holdings(workspace: Workspace, accounts: Table, traders: Table, fiat: Sequence[str]) -> Table:
    """HOLDINGS_ROWS of Traders: crypto only, zero left out, exact to 24 decimals.

    Balances are plain decimal text, checked when they were read, so that cutting and padding the
    digits is exact; a cast of the text to a decimal would round silently.
    """
    quantity, together = "quantity_e24", ""
    if accounts.duplicates(HOLDINGS_KEY):
        quantity = "sum(quantity_e24)::DECIMAL(38,0) AS quantity_e24"
        together = "GROUP BY strategy_id, participant_code, asset ORDER BY ALL"
    return workspace.select(
        "holdings",
        HOLDINGS_ROWS,
        f"""
        WITH units AS MATERIALIZED (  -- or the digits are cut and padded for each mention
            SELECT strategy_id, participant_code, asset,
                   left(replace(balance, '.', '') || repeat('0', 24),
                        strpos(balance || '.', '.') - 1 + 24)::DECIMAL(38,0) AS quantity_e24
            FROM {accounts}
            WHERE NOT list_contains($1, asset) AND NOT balance LIKE '-%'
              AND strpos(balance || '.', '.') - 1 <= 14
        )
        SELECT strategy_id, participant_code, asset, {quantity}
        FROM units
        SEMI JOIN {traders} USING (strategy_id, participant_code)
        WHERE quantity_e24 > 0
        {together}
        """,
        [sorted(fiat)],
    ).keyed(*HOLDINGS_KEY)


def _end_to_end(
    workspace: Workspace, name: str, schema: Schema, pages: Iterable[Sequence[Lines]]
) -> Table:
    """The rows of many pages, of which each brings its columns as lines in the schema's order.

    A page is one row until the engine takes it apart. An empty line is NULL where the column is
    not text.
    """
    columns = zip(*(page for page in pages if page[0]), strict=True)
    whole = workspace.table(
        f"{name}_pages",
        dict.fromkeys(schema, "VARCHAR"),
        # What is between the line breaks counts, and behind the last one there is nothing.
        [[lines[:-1] for lines in column] for column in columns],
    )
    unnested = ", ".join(
        f"{value} AS {column}" if kind == "VARCHAR" else f"nullif({value}, '')::{kind} AS {column}"
        for column, kind in schema.items()
        for value in [f"unnest(string_split({column}, chr(10)))"]
    )
    rows = workspace.select(name, schema, f"SELECT {unnested} FROM {whole}")
    workspace.run(f"DROP TABLE {whole}")
    return rows
