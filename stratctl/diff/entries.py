"""Named contributions and payouts: those that the journal has bound stay as they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stratctl.core.diagnostic import Diagnostic
from stratctl.core.errors import InputError
from stratctl.core.money import format_amount
from stratctl.core.words import count

if TYPE_CHECKING:
    from stratctl.core.state import BoundEntry, Desired, EntryContent, Live


def refuse_changed_entries(desired: Desired, live: Live, bound: Sequence[BoundEntry]) -> None:
    """An entry keeps its Strategy and its content from its first intent on.

    Raises InputError with every entry that was edited, deleted or moved since. A Strategy is told
    by the provider's id, so that a rename changes nothing. Where no cohort of a Strategy manages
    funding any more, its entries need not stay.
    """
    if not bound:
        return
    declared = {entry.content.key: entry for entry in desired.entries}
    by_id = {strategy.id: strategy for strategy in live.strategies}
    ids = {strategy.name: strategy.id for strategy in live.strategies}
    spans = {strategy.name: strategy.span for strategy in desired.strategies}
    funded = _funded(desired)
    problems = []
    for was in bound:
        now = declared.get(was.content.key)
        holder = by_id.get(was.strategy_id)
        if now is None:
            if holder is not None and holder.name in funded:
                detail = f"{_applied(was)}; it is not declared any more"
                span = spans[holder.name]
                problems.append(Diagnostic("E_KEY_DELETED", _GONE, detail, _PUT_BACK, span))
        elif ids.get(now.strategy) != was.strategy_id:
            detail = f"{_applied(was)}; now it is declared for {now.strategy}"
            hint = (
                f"leave it where it was and fund {now.strategy} under a new key; if"
                f" {was.strategy} was renamed, say previously: [{was.strategy}]"
            )
            problems.append(Diagnostic("E_KEY_MOVED", _MOVED, detail, hint, now.span))
        elif now.content != was.content:
            detail = f"{_applied(was)}; now it says {_said(now.content, was.currency)}"
            problems.append(Diagnostic("E_KEY_EDITED", _EDITED, detail, _PUT_BACK, now.span))
    if problems:
        raise InputError(problems)


_GONE = "a named entry was deleted after it was applied"
_MOVED = "a named entry stands in another Strategy than the one it was applied to"
_EDITED = "a named entry was edited after it was applied"
_PUT_BACK = (
    "put it back as it was; to add money, add an entry with a new key; to take money back, add"
    " payouts with a new key"
)


def _funded(desired: Desired) -> set[str]:
    """Strategies of which some cohort manages funding."""
    rows = desired.rows.workspace.rows(
        f"SELECT DISTINCT strategy FROM {desired.rows} WHERE manages_funding"
    )
    return {name for (name,) in rows}


def _applied(was: BoundEntry) -> str:
    commit = f" at commit {was.commit[:12]}" if was.commit else ""
    return (
        f"{was.content.key} was applied to {was.strategy} by run {was.run}{commit} ({was.at}):"
        f" {_said(was.content, was.currency)}"
    )


def _said(content: EntryContent, currency: str) -> str:
    """Its size, and the beginning of its digest for those that differ in single rows only."""
    people = count(content.rows, "participant")
    total = f"{currency} {format_amount(content.amount_minor, currency)} in all"
    return f"{content.kind} for {people}, {total}, content {content.digest[:12]}"
