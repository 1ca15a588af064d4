"""Who pays: the funding account of each model, and the credit check."""

from stratctl.sandbox.books import PROVIDER, Account, Books
from stratctl.sandbox.legs import Ends
from stratctl.sandbox.store import Store
from stratctl.sandbox.switches import Switches


class Funding:
    """The three documented models.

    novated     00SCXM / platform / general      the platform's float
    direct      participant / platform / general
    standard    platform / 00SCXM / general
    """

    def __init__(self, store: Store, switches: Switches, books: Books, platform: str) -> None:
        self._store = store
        self._switches = switches
        self._books = books
        self._platform = platform

    def account(self, participant: str, currency: str) -> Account:
        """The account that buys are paid from and sells are paid to."""
        model = self._switches["funding_model"]
        if model == "direct":
            return Account("participants", participant, self._platform, "general", currency)
        if model == "standard":
            return Account("float", self._platform, PROVIDER, "general", currency)
        return Account("float", PROVIDER, self._platform, "general", currency)

    def balance(self, participant: str, currency: str) -> int:
        """Cents in the funding account."""
        return self._books.balance(self.account(participant, currency))

    def reserved(self, participant: str, currency: str) -> int:
        """Cents that running buys have taken from the funding account but not yet spent.

        Without a participant: of all of them.
        """
        if self._switches["funding_model"] == "direct" and participant:
            found = self._store.value(
                "SELECT sum(e.amount) FROM operation o JOIN strategy s ON s.seq = o.strategy_seq"
                " JOIN execution e ON e.operation_seq = o.seq"
                " WHERE o.due_ms IS NOT NULL AND o.reserved > 0 AND s.quoted_currency = ?"
                " AND e.participant = ? AND e.status = 'awaiting_execution'",
                (currency, participant),
            )
        else:
            found = self._store.value(
                "SELECT sum(o.reserved) FROM operation o JOIN strategy s ON s.seq = o.strategy_seq"
                " WHERE o.due_ms IS NOT NULL AND s.quoted_currency = ?",
                (currency,),
            )
        return int(found or 0)

    def purse(self, currency: str) -> "Purse":
        """The credit check for one Operation."""
        shared = self._switches["funding_model"] != "direct"
        return Purse(self, currency, shared=shared)


class Purse:
    """The credit check of one Operation: first come, first served in the order of the body."""

    def __init__(self, funding: Funding, currency: str, *, shared: bool) -> None:
        self._funding = funding
        self._currency = currency
        self._shared = shared
        self._left: dict[str, int] = {}

    def take(self, participant: str, cents: int) -> None:
        """Raises Ends when the funding account does not have the money."""
        whose = "" if self._shared else participant
        if whose not in self._left:
            balance = self._funding.balance(whose, self._currency)
            self._left[whose] = balance - self._funding.reserved(whose, self._currency)
        if self._left[whose] < cents:
            raise Ends("rejected", "insufficient_funds")
        self._left[whose] -= cents
