"""Double-entry books: every change has its counterpart, and every asset adds up to zero.

Accounts belong to five books:

    participants   what belongs to Traders
    float          the account that pays for buys and takes the proceeds of sells
    fees           what trades cost
    market         the other side of every trade; may be negative
    outside        the counterpart of deposits and withdrawals by hand

Per asset the sum over all five is zero, so participants + float + fees + market changes only
when somebody moves money by hand. Sums are kept as postings are made, checked after every
posting, and recomputed in full on demand.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stratctl.sandbox.ids import derive
from stratctl.sandbox.store import Store

PROVIDER = "00SCXM"
BOOKS = ("participants", "float", "fees", "market", "outside")
MAY_BE_NEGATIVE = ("market", "outside")


class BooksError(AssertionError):
    """The books do not add up: a mistake in the sandbox itself, never a client's."""


class Account(NamedTuple):
    """The identity of an account, as documented, and the book it belongs to."""

    book: str
    owner: str
    group: str
    label: str
    asset: str
    type: str = "available"


def market_account(asset: str) -> Account:
    """The provider's own inventory."""
    return Account("market", PROVIDER, PROVIDER, "inventory", asset)


def fees_account(asset: str) -> Account:
    """What the provider keeps of a trade."""
    return Account("fees", PROVIDER, PROVIDER, "fees", asset)


def outside_account(asset: str) -> Account:
    """Where deposits come from and withdrawals go."""
    return Account("outside", PROVIDER, PROVIDER, "outside", asset)


@dataclass(slots=True)
class Posting:
    """Movements that belong together and must add up to zero per asset."""

    run: int
    at_ms: int
    kind: str = "final_settlement"
    entries: list[tuple[Account, int, int | None]] = field(default_factory=list)

    def move(self, account: Account, change: int, trade_seq: int | None = None) -> None:
        """Change one account by `change` units of its asset."""
        self.entries.append((account, change, trade_seq))


class Books:
    """All accounts. `version` rises with every posting, for those who remember pages."""

    def __init__(self, store: Store, *, seed: int, platform: str) -> None:
        self._store = store
        self._seed = seed
        self._platform = platform
        self.version = 0

    def balance(self, account: Account) -> int:
        """Units in an account; one that was never used is empty."""
        row = self._store.row(
            "SELECT balance FROM account WHERE label = ? AND owner = ? AND asset = ?"
            " AND type = ? AND grp = ?",
            (account.label, account.owner, account.asset, account.type, account.group),
        )
        return 0 if row is None else int(row[0])

    def named(self, *, owner: str, group: str, label: str, asset: str, type: str) -> Account:
        """The account with this identity; a new one belongs to the participants."""
        row = self._store.row(
            "SELECT book FROM account WHERE label = ? AND owner = ? AND asset = ? AND type = ?"
            " AND grp = ?",
            (label, owner, asset, type, group),
        )
        book = "participants" if row is None else str(row[0])
        return Account(book, owner, group, label, asset, type)

    def holdings(self, label: str, owners: Iterable[str]) -> dict[str, dict[str, int]]:
        """Per owner, the non-zero balances under one label."""
        found: dict[str, dict[str, int]] = {}
        for owner, asset, balance in self._store.rows(
            "SELECT owner, asset, balance FROM account WHERE label = ? AND type = 'available'"
            " AND owner IN (SELECT value FROM json_each(?)) AND balance <> '0'",
            (label, json.dumps(list(owners))),
        ):
            found.setdefault(owner, {})[asset] = int(balance)
        return found

    def post(self, posting: Posting) -> None:
        """Write a posting and check the books. Raises BooksError when they do not add up."""
        changes: dict[Account, int] = {}
        for account, change, _ in posting.entries:
            changes[account] = changes.get(account, 0) + change
        known = self._open(changes, posting.at_ms)
        self._store.write_many(
            "INSERT INTO movement (account_seq, run, trade_seq, type, change, at_ms)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (known[account][0], posting.run, trade, posting.kind, str(change), posting.at_ms)
                for account, change, trade in posting.entries
            ],
        )
        balances = []
        for account, change in changes.items():
            seq, before = known[account]
            after = before + change
            if after < 0 and account.book not in MAY_BE_NEGATIVE:
                raise BooksError(f"{account} would become {after}")
            balances.append((str(after), posting.at_ms, seq))
        self._store.write_many(
            "UPDATE account SET balance = ?, updated_ms = ? WHERE seq = ?", balances
        )
        self._add_to_sums(changes)
        self.check()
        self.version += 1

    def check(self) -> None:
        """Compare the running sums: every asset adds up to zero. Raises BooksError."""
        for asset, sums in self.sums().items():
            if sum(sums.values()) != 0:
                raise BooksError(f"the books of {asset} add up to {sum(sums.values())}: {sums}")

    def sums(self) -> dict[str, dict[str, int]]:
        """The running sums: asset to book to units."""
        sums: dict[str, dict[str, int]] = {}
        for asset, book, total in self._store.rows("SELECT asset, book, total FROM book_sum"):
            sums.setdefault(asset, dict.fromkeys(BOOKS, 0))[book] = int(total)
        return sums

    def verify(self) -> dict[str, Any]:
        """Recompute everything from accounts and movements. Raises BooksError."""
        recomputed: dict[str, dict[str, int]] = {}
        accounts = {}
        for seq, book, asset, balance in self._store.rows(
            "SELECT seq, book, asset, balance FROM account"
        ):
            accounts[seq] = int(balance)
            sums = recomputed.setdefault(asset, dict.fromkeys(BOOKS, 0))
            sums[book] += int(balance)
            if int(balance) < 0 and book not in MAY_BE_NEGATIVE:
                raise BooksError(f"account {seq} in {book} is negative: {balance}")
        moved = dict.fromkeys(accounts, 0)
        movements = 0
        for seq, change in self._store.rows("SELECT account_seq, change FROM movement"):
            moved[seq] += int(change)
            movements += 1
        if moved != accounts:
            wrong = [seq for seq in accounts if moved[seq] != accounts[seq]]
            raise BooksError(f"accounts {wrong[:5]} do not equal the sum of their movements")
        if recomputed != self.sums():
            raise BooksError(f"sums were {self.sums()}, recomputed {recomputed}")
        self.check()
        return {"accounts": len(accounts), "movements": movements, "sums": recomputed}

    def _open(self, wanted: Iterable[Account], at_ms: int) -> dict[Account, tuple[int, int]]:
        """The row number and balance of each account; the missing ones are created."""
        by_label: dict[str, list[Account]] = {}
        for account in wanted:
            by_label.setdefault(account.label, []).append(account)
        known: dict[Account, tuple[int, int]] = {}
        missing: list[Account] = []
        for label, accounts in by_label.items():
            owners = json.dumps(sorted({account.owner for account in accounts}))
            rows = self._store.rows(
                "SELECT seq, balance, owner, grp, asset, type FROM account WHERE label = ?"
                " AND owner IN (SELECT value FROM json_each(?))",
                (label, owners),
            )
            found = {row[2:]: (row[0], int(row[1])) for row in rows}
            for account in accounts:
                here = found.get((account.owner, account.group, account.asset, account.type))
                if here is None:
                    missing.append(account)
                else:
                    known[account] = here
        self._create(missing, known, at_ms)
        return known

    def _create(
        self, missing: list[Account], known: dict[Account, tuple[int, int]], at_ms: int
    ) -> None:
        first = self._store.next_seq("account")
        rows = []
        for seq, account in enumerate(missing, start=first):
            known[account] = (seq, 0)
            visible = self._platform in (account.owner, account.group)
            book, owner, group, label, asset, kind = account
            name = derive(self._seed, "account", seq)
            rows.append((seq, name, book, owner, group, label, kind, asset, visible, "0", at_ms))
        self._store.write_many("INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _add_to_sums(self, changes: dict[Account, int]) -> None:
        sums = self.sums()
        touched: dict[tuple[str, str], int] = {}
        for account, change in changes.items():
            key = (account.asset, account.book)
            touched[key] = touched.get(key, 0) + change
        self._store.write_many(
            "INSERT OR REPLACE INTO book_sum VALUES (?, ?, ?)",
            [
                (asset, book, str(sums.get(asset, {}).get(book, 0) + change))
                for (asset, book), change in touched.items()
            ],
        )
