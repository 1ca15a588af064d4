"""Everything as JSON for machines: sorted keys, ASCII, money as decimal text, no floats."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stratctl.core import plan_json
from stratctl.core.diagnostic import Diagnostic, Severity
from stratctl.core.errors import InputError, StratctlError
from stratctl.core.event import Problem
from stratctl.core.money import PRICE_DIGITS, WEIGHT_DIGITS, format_amount, format_units
from stratctl.core.plan import Plan
from stratctl.core.report import (
    Adoption,
    Applied,
    AuditReport,
    Difference,
    Formatted,
    OpenCall,
    Resolved,
    Status,
    StrategyStatus,
    Tally,
)
from stratctl.view.diagnostics import plain, tally, way_out
from stratctl.view.impact import largest, prices, reasons
from stratctl.view.summary import summarise

Json = dict[str, Any]

FORMAT_VERSION = "1.0"
"""Of findings and errors: minor versions add, major versions break."""


def text(value: object) -> str:
    """JSON text with a line feed at its end. Non-ASCII characters are escaped."""
    return json.dumps(value, ensure_ascii=True, indent=2, sort_keys=True) + "\n"


def line(value: object) -> str:
    """The same on one line."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True) + "\n"


def plan(plan: Plan) -> str:
    """The plan document with its rows and a summary; its schema is plan.schema.json.

    On one line: a plan may have a million rows, and indenting them takes longer than planning.
    """
    document = plan_json.document(plan, plan.digest)
    currencies = {call.number: call.currency for call in plan.calls}
    rows = plan.rows.workspace.rows(
        "SELECT call, participant_code, amount_minor, auto_rebalance, reason, cohort, file, line, "
        f"moved_e8 FROM {plan.rows} ORDER BY call, participant_code"
    )
    document["binding"]["rows"] = [
        {
            "call": call,
            "participant_code": code,
            "amount": None if amount is None else format_amount(amount, currencies[call]),
            "auto_rebalance": flag,
        }
        for call, code, amount, flag, *_ in rows
    ]
    document["advisory"]["rows"] = [
        {
            "call": call,
            "participant_code": code,
            "reason": reason,
            "cohort": cohort,
            "file": file,
            "line": line,
            "moved_estimate": None
            if moved_e8 is None
            else format_units(int(moved_e8), PRICE_DIGITS, least=2),
        }
        for call, code, _, _, reason, cohort, file, line, moved_e8 in rows
    ]
    document["binding"]["forfeits"] = [
        {
            "strategy": strategy,
            "participant_code": code,
            "forfeited_in_minor": str(came_in),
            "forfeited_out_minor": str(went_out),
        }
        for strategy, code, came_in, went_out in plan.forfeits.rows()
    ]
    document["advisory"]["blocked"] = _objects(plan.blocked.schema, plan.blocked.rows())
    document["advisory"]["satisfied"] = [
        {"strategy": strategy, "participant_code": code, "target": target, "target_epoch": epoch}
        for strategy, code, target, epoch in plan.satisfied.rows()
    ]
    document["summary"] = _summary(plan)
    return line(document)


def _objects(names: Iterable[str], rows: Iterable[Sequence[Any]]) -> list[Json]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _summary(plan: Plan) -> Json:
    summary = summarise(plan)
    return {
        "headline": summary.headline,
        "has_changes": not summary.empty,
        "participants": summary.participants,
        "calls": summary.calls,
        "verbs": {verb.value: number for verb, number in summary.verbs},
        "cash_in": _amounts(summary.cash_in_minor),
        "cash_out": _amounts(summary.cash_out_minor),
        "turnover_estimate": _amounts(summary.turnover_minor),
        "reasons": [
            {"strategy": strategy, "verb": verb.value, "reason": reason, "participants": rows}
            for strategy, verb, reason, rows in reasons(plan)
        ],
        "prices": [{**asdict(one), "verb": one.verb.value} for one in prices(plan)],
        "largest": [
            {
                "strategy": one.strategy,
                "currency": one.currency,
                "verb": one.verb.value,
                "participant_code": one.code,
                "moved_estimate": format_amount(one.moved_minor, one.currency),
            }
            for one in largest(plan)
        ],
    }


def _amounts(sums: Iterable[tuple[str, int]]) -> dict[str, str]:
    return {currency: format_amount(amount_minor, currency) for currency, amount_minor in sums}


# --- reports ---------------------------------------------------------------------------------


def applied(result: Applied, exit_code: int) -> str:
    """What an apply did."""
    return text(
        {
            "environment": result.environment,
            "plan_digest": result.plan_digest,
            "exit_code": exit_code,
            "interrupted": result.interrupted,
            "journal_head": result.journal_head,
            "participants": result.participants,
            "tallies": _tallies(result.tallies),
            "problems": _problems(result.problems),
            "rejected": _objects(("strategy", "participant_code", "reason"), result.rejected),
            "not_needed": _objects(("strategy", "verb", "participant_code"), result.not_needed),
            "left_for_next": _objects(
                ("strategy", "verb", "participant_code"), result.left_for_next
            ),
        }
    )


def resolved(result: Resolved, exit_code: int) -> str:
    """What a recovery found out."""
    return text(
        {
            "environment": result.environment,
            "exit_code": exit_code,
            "interrupted": result.interrupted,
            "journal_head": result.journal_head,
            "found": result.found,
            "tallies": _tallies(result.tallies),
            "abandoned": _open_calls(result.abandoned),
            "open": _open_calls(result.open),
            "problems": _problems(result.problems),
            "rejected": _objects(("strategy", "participant_code", "reason"), result.rejected),
        }
    )


def adoption(result: Adoption, exit_code: int) -> str:
    """What was booked from the provider's own record."""
    return text(
        {
            "environment": result.environment,
            "exit_code": exit_code,
            "interrupted": result.interrupted,
            "journal_head": result.journal_head,
            "requests": result.requests,
            "totals": asdict(result.opened) if result.opened else None,
            "strategies": [
                {
                    "strategy": one.strategy,
                    "currency": one.currency,
                    "operations": _objects(("type", "id"), one.operations),
                    "participants": one.participants,
                    "contributed": format_amount(one.contributed_minor, one.currency),
                    "withdrawn": format_amount(one.withdrawn_minor, one.currency),
                    "differences": [_difference(each, one.currency) for each in one.differences],
                }
                for one in result.strategies
            ],
            "problems": _problems(result.problems),
        }
    )


def _difference(each: Difference, currency: str) -> dict[str, str]:
    return {
        "participant_code": each.participant_code,
        "declared_contributed": format_amount(each.declared_in_minor, currency),
        "moved_contributed": format_amount(each.moved_in_minor, currency),
        "declared_withdrawn": format_amount(each.declared_out_minor, currency),
        "moved_withdrawn": format_amount(each.moved_out_minor, currency),
    }


def _open_calls(calls: Sequence[OpenCall]) -> list[dict[str, Any]]:
    return [
        {
            "strategy": one.strategy,
            "verb": one.verb.value,
            "slot": one.slot,
            "request_id": one.request_id,
            "participants": one.participants,
        }
        for one in calls
    ]


def _tallies(tallies: Sequence[Tally]) -> list[dict[str, Any]]:
    return [
        {
            "strategy": one.strategy,
            "verb": one.verb.value,
            "currency": one.currency,
            "calls": one.calls,
            "settled": one.settled,
            "skipped": one.skipped,
            "rejected": one.rejected,
            "amount": format_amount(one.amount_minor, one.currency),
        }
        for one in tallies
    ]


def _problems(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    return [
        {
            "strategy": one.strategy,
            "code": one.code,
            "detail": one.detail,
            "participants": list(one.participants),
            "indeterminate": one.indeterminate,
        }
        for one in problems
    ]


def status(status: Status) -> str:
    """The live summary."""
    return text(
        {
            "environment": status.environment,
            "realm": status.realm,
            "as_of": status.as_of,
            "window": plan_json.window(status.window) if status.window else None,
            "strategies": [_strategy(one) for one in status.strategies],
            "floats": [
                {
                    "currency": one.currency,
                    "available": format_amount(one.available_minor, one.currency),
                    "account": one.account,
                }
                for one in status.floats
            ],
            "journal": {
                "entries": status.journal_entries,
                "head": status.journal_head,
                "open_intents": status.open_intents,
                "halted": status.halted,
            },
        }
    )


def _strategy(one: StrategyStatus) -> Json:
    return {
        "name": one.name,
        "id": one.id,
        "currency": one.currency,
        "traders": one.traders,
        "declared": one.declared,
        "unmanaged": one.unmanaged,
        "value_estimate": format_amount(one.value_minor, one.currency),
        "outside_band": one.outside_band,
        "outside_opted_out": one.outside_opted_out,
        "drift_largest": format_units(one.drift_largest_e18, WEIGHT_DIGITS),
        "in_flight": _objects(("operation_id", "type", "status"), one.in_flight),
        "weights": plan_json.provenance(one.name, one.weights) if one.weights else None,
        "parked": one.parked,
        "problem": one.problem,
    }


def audit(report: AuditReport) -> str:
    """Whether the journal holds."""
    return text(
        {
            "environment": report.environment,
            "holds": report.holds,
            "entries": report.entries,
            "head": report.head,
            "intents": report.intents,
            "outcomes": report.outcomes,
            "findings": list(report.findings),
            "repaired": report.repaired,
            "opening": report.opening,
            "kept_heads": {"given": report.heads, "found": list(report.kept)},
        }
    )


def diagnostics(found: Sequence[Diagnostic], exit_code: int) -> str:
    """Findings in reading order, and how many; its schema is diagnostics.schema.json."""
    errors = sum(one.severity is Severity.ERROR for one in found)
    return text(
        {
            "format_version": FORMAT_VERSION,
            "exit_code": exit_code,
            "errors": errors,
            "warnings": len(found) - errors,
            "summary": tally(found),
            "diagnostics": _diagnostics(found),
        }
    )


def formatting(results: Sequence[Formatted], exit_code: int) -> str:
    """Every file that was looked at and whether formatting changes it, with findings."""
    return text(
        {
            "format_version": FORMAT_VERSION,
            "exit_code": exit_code,
            "files": [{"file": one.file, "changed": one.changed} for one in results],
            "diagnostics": _diagnostics(found for one in results for found in one.problems),
        }
    )


def error(error: StratctlError, exit_code: int) -> str:
    """Why a command failed; findings have the same shape as those of ``validate``."""
    said: Json = {
        "kind": type(error).__name__,
        "summary": error.summary,
        "hint": way_out(error),
        "exit_code": exit_code,
    }
    if isinstance(error, InputError):
        said["diagnostics"] = _diagnostics(error.diagnostics)
    return text({"format_version": FORMAT_VERSION, "error": said})


def _diagnostics(found: Iterable[Diagnostic]) -> list[Json]:
    return [plan_json.diagnostic(plain(one)) for one in found]


def entry(entry: Mapping[str, Any]) -> str:
    """A line of the journal as it stands."""
    return line(entry)


def diagnostics_schema() -> Json:
    """The JSON Schema (2020-12) of what ``validate --format json`` prints."""
    text_, count_ = {"type": "string"}, {"type": "integer", "minimum": 0}
    place = _closed(
        {
            "file": {"description": "Relative to the project.", **text_},
            "line": {"description": "From 1; 0 means the whole file, a Parquet table.", **count_},
            "column": {"description": "In characters from 1; 0 means the whole line.", **count_},
        }
    )
    span = {
        "description": "Where it stands. Null when no file is meant.",
        "anyOf": [place, {"type": "null"}],
    }
    finding = _closed(
        {
            "code": {"description": "Stable.", "type": "string", "pattern": "^[EW]_[A-Z_]+$"},
            "severity": {
                "description": "An error stops every plan, a warning stops none.",
                "enum": [severity.value for severity in Severity],
            },
            "summary": {"description": "The same words for every finding of a code.", **text_},
            "detail": {"description": "The particulars, with the numbers.", **text_},
            "hint": {"description": "The way out.", **text_},
            "span": span,
        }
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:stratctl:diagnostics:1",
        "title": "Diagnostics",
        "description": "What is wrong with a configuration, by file and line. Minor versions add, "
        "major versions break.",
        **_closed(
            {
                "format_version": {
                    "description": "Of this document.",
                    "type": "string",
                    "pattern": r"^1\.[0-9]+$",
                },
                "exit_code": {"description": "The command's own.", **count_},
                "errors": {"description": "How many.", **count_},
                "warnings": {"description": "How many.", **count_},
                "summary": {"description": "What was found, in one line.", **text_},
                "diagnostics": {
                    "description": "Every finding, by file and line.",
                    "type": "array",
                    "items": finding,
                },
            }
        ),
    }


def _closed(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
