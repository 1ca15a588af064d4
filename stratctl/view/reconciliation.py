"""Where the journal and another record differ, for people, programs and spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stratctl.core.ledgers import LedgerDifference, LiveDifference, Reconciliation
from stratctl.core.money import PRICE_DIGITS, format_amount, format_units, minor_digits
from stratctl.view import json
from stratctl.view.audit import csv_line
from stratctl.view.text import BLOCKED, WIDTH, Paint, count, money, safe, wrapped

SHOWN = 20
"""Differences that are told one by one; all of them with -v, as JSON and as CSV."""


def as_text(
    found: Reconciliation, *, color: bool = False, verbose: bool = False, width: int = WIDTH
) -> str:
    """Each difference with its amounts, and one line that sums them up."""
    paint = Paint(color)
    texts = [_ledger_text(one) for one in found.ledger] + [_live_text(one) for one in found.live]
    lines: list[str] = []
    for text in texts if verbose else texts[:SHOWN]:
        lines += wrapped(text, width, first=f"{paint('red', BLOCKED)} ", rest="    ")
    if len(texts) > SHOWN and not verbose:
        lines.append(f"and {len(texts) - SHOWN:,} more: all of them with -v, or --format csv")
    lines += [paint("bold", line) for line in wrapped(_summary(found), width, rest="      ")]
    lines += wrapped(_sums(found.ledger), width) if found.ledger else []
    if found.head:
        lines.append(f"Head: {safe(found.head)}")
    return "\n".join(lines) + "\n"


def _summary(found: Reconciliation) -> str:
    what = safe(found.against) or "The provider"
    compared = (
        count(found.compared, "participant of a Strategy", "participants of Strategies")
        if found.against
        else count(found.compared, "Operation")
    )
    if found.agrees:
        return f"{what} agrees with the journal of {safe(found.environment)}: {compared}."
    kinds = [one.kind for one in found.differences]
    there = "in the ledger" if found.against else "at the provider"
    parts = [
        f"{kinds.count(kind):,} {word}"
        for kind, word in (
            ("missing", f"missing {there}"),
            ("extra", f"extra {there}"),
            ("different", "different"),
        )
        if kind in kinds
    ]
    return (
        f"{what} does not agree with the journal of {safe(found.environment)}: {', '.join(parts)};"
        f" {compared} compared."
    )


def _sums(differences: Sequence[LedgerDifference]) -> str:
    """What the ledger has more or less in all, by currency."""
    parts = []
    for currency in sorted({one.currency for one in differences}):
        those = [one for one in differences if one.currency == currency]
        came = sum(one.ledger_in_e8 - one.journal_in_e8 for one in those)
        went = sum(one.ledger_out_e8 - one.journal_out_e8 for one in those)
        parts += [
            f"{_amount(abs(total), currency)} {'more' if total > 0 else 'less'} {word}"
            for total, word in ((came, "contributed"), (went, "withdrawn"))
            if total
        ]
    return f"In all the ledger has {' and '.join(parts) or 'the same sums'}."


def _ledger_text(one: LedgerDifference) -> str:
    pairs = (
        ("contributed", one.journal_in_e8, one.ledger_in_e8),
        ("withdrawn", one.journal_out_e8, one.ledger_out_e8),
    )
    if one.kind == "different":
        said = "; ".join(
            f"{word} {_amount(journal, one.currency)} in the journal, "
            f"{_amount(ledger, one.currency)} in the ledger"
            for word, journal, ledger in pairs
            if journal != ledger
        )
    else:
        amounts = (
            f"{_amount(journal + ledger, one.currency)} {word}"
            for word, journal, ledger in pairs
            if journal != ledger
        )
        said = f"{one.kind} in the ledger: {' and '.join(amounts)}"
    for word, pending in (("in", one.pending_in_minor), ("out", one.pending_out_minor)):
        if pending:
            said += f"; {money(pending, one.currency)} {word} is under way"
    return f"{safe(one.participant_code)} in {safe(one.strategy)}, {said}"


def _live_text(one: LiveDifference) -> str:
    operation = f", Operation {safe(one.operation_id)}" if one.operation_id else ""
    who = f", {safe(one.participant_code)}" if one.participant_code else ""
    return f"{safe(one.strategy)}{operation}{who}: {safe(one.detail)}"


def _amount(units_e8: int, currency: str) -> str:
    digits = format_units(units_e8, PRICE_DIGITS, least=minor_digits(currency))
    whole, point, fraction = digits.partition(".")
    return f"{safe(currency)} {int(whole):,}{point}{fraction}".strip()


def as_json(found: Reconciliation, exit_code: int) -> str:
    """All of it."""
    return json.text(
        {
            "exit_code": exit_code,
            "environment": found.environment,
            "agrees": found.agrees,
            "against": found.against or "provider",
            "journal_head": found.head,
            "compared": found.compared,
            "differences": [_cells(one) for one in found.differences],
        }
    )


def as_csv(found: Reconciliation) -> Iterator[str]:
    """A line for each difference, below the names of the columns."""
    rows = [_cells(one) for one in found.differences]
    yield csv_line(_LEDGER_COLUMNS if found.against else _LIVE_COLUMNS)
    for row in rows:
        yield csv_line(row.values())


_LEDGER_COLUMNS = (
    *("kind", "participant_code", "strategy", "currency", "contributed_in_journal"),
    *("contributed_in_ledger", "withdrawn_in_journal", "withdrawn_in_ledger"),
    *("pending_in", "pending_out"),
)
_LIVE_COLUMNS = ("kind", "strategy", "operation_id", "participant_code", "detail")


def _cells(one: LedgerDifference | LiveDifference) -> dict[str, str]:
    """Every column by its name, amounts as decimal text."""
    if isinstance(one, LiveDifference):
        live = (one.kind, one.strategy, one.operation_id, one.participant_code, one.detail)
        return dict(zip(_LIVE_COLUMNS, live, strict=True))
    amounts = (one.journal_in_e8, one.ledger_in_e8, one.journal_out_e8, one.ledger_out_e8)
    least = minor_digits(one.currency)
    cells = (
        one.kind,
        one.participant_code,
        one.strategy,
        one.currency,
        *(format_units(amount, PRICE_DIGITS, least=least) for amount in amounts),
        format_amount(one.pending_in_minor, one.currency),
        format_amount(one.pending_out_minor, one.currency),
    )
    return dict(zip(_LEDGER_COLUMNS, cells, strict=True))
