"""What the journal says and whether it holds, for people and for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stratctl.core.money import format_amount
from stratctl.core.report import AuditReport, TrailRow
from stratctl.view.text import BLOCKED, WIDTH, Paint, columns, count, digits, safe, wrapped

# --- its entries -------------------------------------------------------------------------------


def journal_line(entry: Mapping[str, Any]) -> str:
    """One entry of the journal on one line: place, time, what, and what it says.

    What only machines compare is left to --format json.
    """
    order = {key: place for place, key in enumerate(_FIRST)}
    about = {
        key: entry[key]
        for key in sorted(entry, key=lambda key: (order.get(key, len(order)), key))
        if key not in _ENVELOPE | _LONG and entry[key] not in ("", None, [], {})
    }
    named = [_said(about.pop(key)) for key in _NAMES if key in about]
    rest = [f"{safe(key)}={_said(value)}" for key, value in about.items()]
    said = " ".join((*named, *rest))
    return f"{entry['seq']:>6}  {safe(str(entry['t']))}  {safe(str(entry['type'])):<9}  {said}"


_ENVELOPE = frozenset({"v", "seq", "prev", "t", "run", "type", "h"})
_LONG = frozenset({"body", "body_sha256", "rows_root", "method", "path", "strategy_id", "currency"})
_NAMES = ("strategy", "verb")
_FIRST = (*_NAMES, "slot", "rows", "status", "answer", "number", "request_id")


def _said(value: object) -> str:
    """A value on one line; a list of rows is its length, and --format json has all of it."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return f"[{count(len(value), 'row')}]"
    if isinstance(value, dict):
        inner = (f"{key}={value[key]}" for key in sorted(value) if value[key] not in ("", None, []))
        return f"({safe(','.join(inner), longest=120)})"
    if isinstance(value, list):
        return safe(",".join(map(str, value)), longest=120)
    return safe(str(value), longest=120)


def journal_table(rows: Sequence[TrailRow]) -> str:
    """The entries as a table for a terminal: one line for each participant of each."""
    if not rows:
        return ""
    cells = [
        (
            str(row.seq),
            safe(row.at),
            row.type,
            safe(row.strategy),
            row.verb,
            "" if row.slot is None else str(row.slot),
            safe(row.participant_code),
            _digits(row.in_minor, row.currency),
            _digits(row.out_minor, row.currency),
            safe(row.currency) if (row.in_minor, row.out_minor) != (None, None) else "",
            safe(row.result, longest=20),
            safe(row.reason, longest=70),
        )
        for row in rows
    ]
    return "\n".join(columns([_TABLE, *cells], right=frozenset({0, 5, 7, 8}))) + "\n"


_TABLE = (
    *("entry", "time", "type", "strategy", "verb", "slot", "participant"),
    *("in", "out", "", "result", "why"),
)


def _digits(amount_minor: int | None, currency: str) -> str:
    return "" if amount_minor is None else digits(amount_minor, currency)


def journal_csv(rows: Iterable[TrailRow]) -> Iterator[str]:
    """The same with everything in it, a line at a time, as CSV."""
    yield csv_line(_CSV)
    for row in rows:
        yield csv_line(
            (
                str(row.seq),
                row.at,
                row.run,
                row.type,
                row.strategy,
                row.verb,
                "" if row.slot is None else str(row.slot),
                row.request_id,
                row.operation_id,
                row.participant_code,
                *(
                    "" if amount is None else format_amount(amount, row.currency)
                    for amount in (row.in_minor, row.out_minor)
                ),
                row.currency,
                row.result,
                row.reason,
            )
        )


_CSV = (
    *("entry", "time", "run", "type", "strategy", "verb", "slot", "request_id", "operation_id"),
    *("participant_code", "money_in", "money_out", "currency", "result", "reason"),
)


def csv_line(cells: Iterable[str]) -> str:
    """One line. A spreadsheet would execute a text that begins like a formula: such a text stands
    behind an apostrophe, as spreadsheets themselves write it."""
    line = io.StringIO()
    guarded = ("'" + cell if cell.startswith(_FORMULA) else cell for cell in cells)
    csv.writer(line, lineterminator="\n").writerow(guarded)
    return line.getvalue()


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


# --- whether it holds ----------------------------------------------------------------------------


UNSEEN = (
    "Without a kept head nobody can see here that entries were cut off cleanly from the end, nor "
    "that all of it was written anew."
)


def verified(report: AuditReport, *, color: bool = False, width: int = WIDTH) -> str:
    """Whether the journal holds, everything that does not, and what was not looked at."""
    paint = Paint(color)
    lines = [f"{paint('red', BLOCKED)} {safe(finding)}" for finding in report.findings]
    if report.repaired:
        lines.append(f"repaired: {safe(report.repaired)}")
    for kept in report.kept:
        lines += wrapped(safe(kept), width, rest="  ")
    if report.opening:
        lines += wrapped(f"opened: {safe(report.opening)}", width, rest="  ")
    figures = (
        f"{count(report.entries, 'entry', 'entries')}, {count(report.intents, 'intent')}, "
        f"{count(report.outcomes, 'outcome')}"
    )
    verdict = (
        "holds" if report.holds else f"does not hold: {count(len(report.findings), 'finding')}"
    )
    lines.append(paint("bold", f"The journal of {safe(report.environment)} {verdict} ({figures})."))
    if not report.heads:
        lines += wrapped(UNSEEN, width)
    if report.head:
        lines.append(f"Head: {safe(report.head)}")
    return "\n".join(lines) + "\n"
