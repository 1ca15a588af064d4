"""A plan as JSON values: one shape for the plan file, for machines that read it, and its schema.

Money is decimal text with its currency beside it, never a JSON number, because most readers of
JSON turn numbers into binary floats. What an approval covers is under ``binding``; everything
under ``advisory`` explains. Rows travel as columns: a plan file keeps them in Parquet members, and
a view may add them to the document under the names that the schema lists as optional.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stratctl.core.described import described
from stratctl.core.diagnostic import Diagnostic, Severity, Span
from stratctl.core.errors import PlanFileError
from stratctl.core.money import (
    WEIGHT_ONE_E18,
    NotExact,
    format_amount,
    format_units,
    format_weight,
    parse_amount,
    parse_units,
    parse_weight,
)
from stratctl.core.plan import (
    FORMAT_VERSION,
    Acknowledgement,
    Call,
    CallTotal,
    Certificate,
    CohortDrift,
    Fence,
    FloatNeed,
    GuardFinding,
    Impact,
    Plan,
)
from stratctl.core.plan_words import PLAN_WORDS
from stratctl.core.slots import REALMS, SLOT_MAX
from stratctl.core.state import TransitionStep, Vector, Verb, WeightProvenance, WeightSource
from stratctl.core.tables import Table
from stratctl.core.windows import Opening

Json = dict[str, Any]


@dataclass(frozen=True)
class PlanTables:
    """The columns of a plan, which travel beside its document."""

    rows: Table
    blocked: Table
    satisfied: Table
    forfeits: Table


# --- a plan as a document ------------------------------------------------------------------


def document(plan: Plan, digest: str) -> Json:
    """Everything of a plan but its rows. ``digest`` is the plan's own, computed once."""
    return {
        "format_version": FORMAT_VERSION,
        "digest": digest,
        "binding": {
            "realm": plan.realm,
            "environment": plan.environment,
            "configuration": plan.configuration,
            "commit": plan.commit,
            "generation": plan.generation,
            "fences": [_fence(fence) for fence in plan.fences],
            "calls": [_call(call) for call in plan.calls],
            "acknowledgements": [_acknowledgement(one) for one in plan.acknowledgements],
        },
        "advisory": {
            "as_of": plan.as_of,
            "expires_at": plan.expires_at,
            "complete": plan.complete,
            "stopped": plan.stopped,
            "predicted_ids": [
                {"call": call.number, "slot": call.slot, "request_id": plan.request_id(call)}
                for call in plan.calls
            ],
            "findings": [_finding(finding) for finding in plan.findings],
            "impacts": [_impact(impact) for impact in plan.impacts],
            "certificates": [_certificate(certificate) for certificate in plan.certificates],
            "floats": [_float(need) for need in plan.floats],
            "prices": [
                {"asset": asset, "currency": currency, "price": price}
                for asset, currency, price in plan.prices
            ],
            "unmanaged": plan.unmanaged,
            "weights": [provenance(strategy, found) for strategy, found in plan.weights],
            "warnings": [diagnostic(warning) for warning in plan.warnings],
            "notes": list(plan.notes),
            # Most plans share nothing, and say nothing about it.
            **({"totals": [_total(total) for total in plan.totals]} if plan.totals else {}),
            **({"cohorts": [_cohort(one) for one in plan.cohorts]} if plan.cohorts else {}),
            **({"window": window(plan.window)} if plan.window else {}),
        },
    }


def diagnostic(finding: Diagnostic) -> Json:
    """A diagnostic as JSON values."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "summary": finding.summary,
        "detail": finding.detail,
        "hint": finding.hint,
        "span": _span(finding.span),
    }


def _span(span: Span | None) -> Json | None:
    if span is None:
        return None
    return {"file": span.file, "line": span.line, "column": span.column}


def _fence(fence: Fence) -> Json:
    return {
        "strategy": fence.strategy,
        "strategy_id": fence.strategy_id,
        "head_slot": fence.head_slot,
        "foreign": list(fence.foreign),
    }


def _call(call: Call) -> Json:
    return {
        "number": call.number,
        "strategy": call.strategy,
        "strategy_id": call.strategy_id,
        "verb": call.verb.value,
        "currency": call.currency,
        "amount": format_amount(call.amount_minor, call.currency),
        "rows": call.rows,
        "allocations": call.vector and _allocations(call.vector),
        "target": call.target_text,
        "target_epoch": call.target_epoch,
        "body": call.body_json,
        **({"after_rebalance": True} if call.after_rebalance else {}),
    }


def _allocations(vector: Vector) -> list[Json]:
    return [
        {"asset": asset, "weight": format_weight(weight)} for asset, weight in vector.weights_e18
    ]


def _acknowledgement(one: Acknowledgement) -> Json:
    return {
        "name": one.name,
        "rules": [{"rule": rule, "number": number} for rule, number in one.rules],
        "reason": one.reason,
        "expires": one.expires,
        "span": _span(one.span),
    }


def _finding(finding: GuardFinding) -> Json:
    return {
        "rule": finding.rule,
        "measured": finding.measured,
        "limit": finding.limit,
        "subject": finding.subject,
        "setting": _span(finding.setting),
        "acknowledged_by": finding.acknowledged_by,
        "hint": finding.hint,
    }


def _impact(impact: Impact) -> Json:
    def money(amount_minor: int) -> str:
        return format_amount(amount_minor, impact.currency)

    return {
        "strategy": impact.strategy,
        "currency": impact.currency,
        "cash_in": money(impact.cash_in_minor),
        "cash_out": money(impact.cash_out_minor),
        "turnover_estimate": money(impact.turnover_minor),
        "value_estimate": money(impact.value_minor),
        "participants": impact.participants,
        "largest_estimate": money(impact.largest_minor),
        "assets": [
            {"asset": asset, "bought_estimate": money(bought), "sold_estimate": money(sold)}
            for asset, bought, sold in impact.turnover_by_asset
        ],
        "unpriced": list(impact.unpriced),
    }


def _certificate(certificate: Certificate) -> Json:
    return {
        "strategy": certificate.strategy,
        "verb": certificate.verb.value,
        "calls": certificate.calls,
        "least": certificate.least,
        "because": certificate.because,
    }


def window(opening: Opening) -> Json:
    """Whether apply may send, and until or from when."""
    return {
        "open": opening.open,
        "changes_at": opening.changes_at or None,
        "because": opening.because,
    }


def _total(total: CallTotal) -> Json:
    runner_up = total.runner_up_sells_minor
    return {
        "strategy": total.strategy,
        "currency": total.currency,
        "calls": total.calls,
        "least": total.least,
        "sells_estimate": format_amount(total.sells_minor, total.currency),
        "runner_up_calls": total.runner_up_calls,
        "runner_up_sells_estimate": None
        if runner_up is None
        else format_amount(runner_up, total.currency),
    }


def _cohort(one: CohortDrift) -> Json:
    return {
        "strategy": one.strategy,
        "currency": one.currency,
        "cohort": one.cohort,
        "participants": one.participants,
        "drift_before_estimate": format_units(one.before_e6, _DRIFT_DIGITS),
        "drift_after_estimate": format_units(one.after_e6, _DRIFT_DIGITS),
        "deposit_estimate": format_amount(one.deposit_minor, one.currency),
        "beyond_deposits": one.beyond_deposits,
    }


_DRIFT_DIGITS = 6


def _float(need: FloatNeed) -> Json:
    available = need.available_minor
    return {
        "currency": need.currency,
        "needed": format_amount(need.needed_minor, need.currency),
        "available": None if available is None else format_amount(available, need.currency),
        "account": need.account,
    }


def provenance(strategy: str, found: WeightProvenance) -> Json:
    """How the weights of a Strategy were computed."""
    return {
        "strategy": strategy,
        "rule": found.rule,
        "span": _span(found.span),
        "sources": [
            {
                "strategy": source.strategy,
                "share": format_weight(source.share_e18),
                "span": _span(source.span),
                "allocations": _allocations(source.vector),
            }
            for source in found.sources
        ],
        "uncapped": _allocations(found.uncapped),
        "cap": None if found.cap_e18 is None else format_weight(found.cap_e18),
        "cap_span": _span(found.cap_span),
        "allocations": _allocations(found.vector),
        "transition": None if found.step is None else _step(found.step),
    }


def _step(step: TransitionStep) -> Json:
    return {
        "step": step.number,
        "steps": step.steps,
        "before": _allocations(step.before),
        "after": _allocations(step.after),
        "next_on": step.next_on,
        "span": _span(step.span),
    }


# --- a document as a plan ------------------------------------------------------------------


def plan_from(document: Json, tables: PlanTables) -> Plan:
    """The plan that a document and its tables are. The document must fit ``schema()``.

    Raises PlanFileError for values that fit the schema and still make no sense: money with too
    many decimals, weights that do not sum to 1.
    """
    try:
        return _plan_from(document, tables)
    except NotExact as error:
        raise PlanFileError(f"the plan file holds a bad number: {error}") from error


def _plan_from(document: Json, tables: PlanTables) -> Plan:
    binding, advisory = document["binding"], document["advisory"]
    predicted = {one["call"]: one for one in advisory["predicted_ids"]}
    if set(predicted) != {call["number"] for call in binding["calls"]}:
        raise PlanFileError("the plan file predicts ids of other calls than it holds")
    return Plan(
        realm=binding["realm"],
        environment=binding["environment"],
        configuration=binding["configuration"],
        commit=binding["commit"],
        generation=binding["generation"],
        fences=tuple(
            Fence(f["strategy"], f["strategy_id"], f["head_slot"], tuple(f["foreign"]))
            for f in binding["fences"]
        ),
        calls=tuple(_call_from(call, predicted[call["number"]]) for call in binding["calls"]),
        rows=tables.rows,
        acknowledgements=tuple(_acknowledgement_from(a) for a in binding["acknowledgements"]),
        as_of=advisory["as_of"],
        expires_at=advisory["expires_at"],
        blocked=tables.blocked,
        findings=tuple(_finding_from(finding) for finding in advisory["findings"]),
        impacts=tuple(_impact_from(impact) for impact in advisory["impacts"]),
        certificates=tuple(_certificate_from(one) for one in advisory["certificates"]),
        floats=tuple(_float_from(need) for need in advisory["floats"]),
        prices=tuple((p["asset"], p["currency"], p["price"]) for p in advisory["prices"]),
        satisfied=tables.satisfied,
        forfeits=tables.forfeits,
        unmanaged=advisory["unmanaged"],
        weights=tuple((one["strategy"], _provenance_from(one)) for one in advisory["weights"]),
        complete=advisory["complete"],
        warnings=tuple(_diagnostic_from(warning) for warning in advisory["warnings"]),
        notes=tuple(advisory["notes"]),
        totals=tuple(_total_from(one) for one in advisory.get("totals", ())),
        cohorts=tuple(_cohort_from(one) for one in advisory.get("cohorts", ())),
        window=_window_from(advisory["window"]) if "window" in advisory else None,
    )


def _call_from(call: Json, predicted: Json) -> Call:
    return Call(
        number=call["number"],
        strategy=call["strategy"],
        strategy_id=call["strategy_id"],
        currency=call["currency"],
        verb=Verb(call["verb"]),
        vector=None if call["allocations"] is None else _vector_from(call["allocations"]),
        target_text=call["target"],
        target_epoch=call["target_epoch"],
        rows=call["rows"],
        amount_minor=_amount_from(call["amount"], call["currency"]),
        slot=predicted["slot"],
        body_json=call["body"],
        after_rebalance=call.get("after_rebalance", False),
    )


def _vector_from(allocations: list[Json]) -> Vector:
    weights = tuple((one["asset"], parse_weight(one["weight"])) for one in allocations)
    assets = [asset for asset, _ in weights]
    whole = sum(weight for _, weight in weights) == WEIGHT_ONE_E18
    if not whole or assets != sorted(set(assets)):
        raise PlanFileError("the plan file holds allocations that are not canonical")
    return Vector(weights)


def _acknowledgement_from(one: Json) -> Acknowledgement:
    return Acknowledgement(
        name=one["name"],
        rules=tuple((rule["rule"], rule["number"]) for rule in one["rules"]),
        reason=one["reason"],
        expires=one["expires"],
        span=_span_from(one["span"]),
    )


def _finding_from(finding: Json) -> GuardFinding:
    return GuardFinding(**{**finding, "setting": _span_from(finding["setting"])})


def _impact_from(impact: Json) -> Impact:
    currency = impact["currency"]
    return Impact(
        strategy=impact["strategy"],
        currency=currency,
        cash_in_minor=_amount_from(impact["cash_in"], currency),
        cash_out_minor=_amount_from(impact["cash_out"], currency),
        turnover_minor=_amount_from(impact["turnover_estimate"], currency),
        value_minor=_amount_from(impact["value_estimate"], currency),
        participants=impact["participants"],
        largest_minor=_amount_from(impact["largest_estimate"], currency),
        turnover_by_asset=tuple(
            (
                one["asset"],
                _amount_from(one["bought_estimate"], currency),
                _amount_from(one["sold_estimate"], currency),
            )
            for one in impact["assets"]
        ),
        unpriced=tuple(impact["unpriced"]),
    )


def _certificate_from(one: Json) -> Certificate:
    return Certificate(**{**one, "verb": Verb(one["verb"])})


def _window_from(one: Json) -> Opening:
    return Opening(one["open"], one["changes_at"] or "", one["because"])


def _total_from(one: Json) -> CallTotal:
    currency, runner_up = one["currency"], one["runner_up_sells_estimate"]
    return CallTotal(
        strategy=one["strategy"],
        currency=currency,
        calls=one["calls"],
        least=one["least"],
        sells_minor=_amount_from(one["sells_estimate"], currency),
        runner_up_calls=one["runner_up_calls"],
        runner_up_sells_minor=None if runner_up is None else _amount_from(runner_up, currency),
    )


def _cohort_from(one: Json) -> CohortDrift:
    return CohortDrift(
        strategy=one["strategy"],
        currency=one["currency"],
        cohort=one["cohort"],
        participants=one["participants"],
        before_e6=parse_units(one["drift_before_estimate"], _DRIFT_DIGITS),
        after_e6=parse_units(one["drift_after_estimate"], _DRIFT_DIGITS),
        deposit_minor=_amount_from(one["deposit_estimate"], one["currency"]),
        beyond_deposits=one["beyond_deposits"],
    )


def _float_from(need: Json) -> FloatNeed:
    available, currency = need["available"], need["currency"]
    return FloatNeed(
        currency=currency,
        needed_minor=_amount_from(need["needed"], currency),
        available_minor=None if available is None else _amount_from(available, currency),
        account=need["account"],
    )


def _provenance_from(one: Json) -> WeightProvenance:
    return WeightProvenance(
        rule=one["rule"],
        span=Span(**one["span"]),
        sources=tuple(
            WeightSource(
                strategy=source["strategy"],
                share_e18=parse_weight(source["share"]),
                vector=_vector_from(source["allocations"]),
                span=Span(**source["span"]),
            )
            for source in one["sources"]
        ),
        uncapped=_vector_from(one["uncapped"]),
        cap_e18=None if one["cap"] is None else parse_weight(one["cap"]),
        cap_span=_span_from(one["cap_span"]),
        vector=_vector_from(one["allocations"]),
        step=None if one["transition"] is None else _step_from(one["transition"]),
    )


def _step_from(one: Json) -> TransitionStep:
    return TransitionStep(
        number=one["step"],
        steps=one["steps"],
        before=_vector_from(one["before"]),
        after=_vector_from(one["after"]),
        next_on=one["next_on"],
        span=Span(**one["span"]),
    )


def _diagnostic_from(finding: Json) -> Diagnostic:
    return Diagnostic(
        **{
            **finding,
            "severity": Severity(finding["severity"]),
            "span": _span_from(finding["span"]),
        }
    )


def _span_from(span: Json | None) -> Span | None:
    return None if span is None else Span(**span)


def _amount_from(text: str, currency: str) -> int:
    """The inverse of format_amount, which also writes what is owed: -12.00."""
    if text.startswith("-"):
        return -parse_amount(text[1:], currency)
    return parse_amount(text, currency)


# --- the schema ----------------------------------------------------------------------------


def schema() -> Json:
    """The JSON Schema (2020-12) of a plan document, with or without its rows."""
    optional_binding = {"rows": _many(_row_schema()), "forfeits": _many(_forfeit_schema())}
    optional_advisory = {
        "rows": _many(_row_advice_schema()),
        "blocked": _many(_blocked_schema()),
        "satisfied": _many(_satisfied_schema()),
        "totals": _many(_total_schema()),
        "cohorts": _many(_cohort_schema()),
        "window": _object({"open": _FLAG, "changes_at": _MAYBE_TEXT, "because": _TEXT}),
    }
    made: Json = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:stratctl:plan:1",
        "title": "Plan",
        "description": "What stratctl would send, and why. An approval covers `binding`, whose "
        "sha256 is `digest`; `advisory` explains. Minor versions add, major versions break.",
        **_object(
            {
                "format_version": {"type": "string", "pattern": r"^1\.[0-9]+$"},
                "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "binding": _object(_binding_schema(), optional=optional_binding),
                "advisory": _object(_advisory_schema(), optional=optional_advisory),
            },
            optional={"summary": _summary_schema()},
        ),
        "$defs": {
            "amount": {
                "description": "Exact decimal text in the currency that stands beside it.",
                "type": "string",
                "maxLength": 40,
                "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$",
            },
            "span": _object({"file": _TEXT, "line": _COUNT, "column": _COUNT}),
            "verb": {"enum": [verb.value for verb in Verb]},
            "strategy": {"type": "string", "maxLength": 64, "pattern": "^[a-z0-9-]+$"},
            "strategy_id": {
                "description": "Null where the Strategy does not exist yet.",
                "type": ["string", "null"],
                "maxLength": 36,
                "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
            },
        },
    }
    return described(made, PLAN_WORDS)


_TEXT: Json = {"type": "string"}
_MAYBE_TEXT: Json = {"type": ["string", "null"]}
_COUNT: Json = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: Json = {"type": ["integer", "null"], "minimum": 0}
_FLAG: Json = {"type": "boolean"}
_MAYBE_FLAG: Json = {"type": ["boolean", "null"]}
_AMOUNT: Json = {"$ref": "#/$defs/amount"}
_MINOR: Json = {"type": "string", "maxLength": 40, "pattern": "^(0|[1-9][0-9]*)$"}
_MAYBE_AMOUNT: Json = {"anyOf": [_AMOUNT, {"type": "null"}]}
_SPAN: Json = {"$ref": "#/$defs/span"}
_MAYBE_SPAN: Json = {"anyOf": [_SPAN, {"type": "null"}]}
_VERB: Json = {"$ref": "#/$defs/verb"}
_STRATEGY: Json = {"$ref": "#/$defs/strategy"}
_STRATEGY_ID: Json = {"$ref": "#/$defs/strategy_id"}
_MAYBE_SLOT: Json = {"type": ["integer", "null"], "minimum": 1, "maximum": SLOT_MAX}


def _object(properties: Json, optional: Json | None = None) -> Json:
    """An object that holds all of ``properties``, perhaps ``optional``, and nothing else."""
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def _many(items: Json) -> Json:
    return {"type": "array", "items": items}


_ALLOCATIONS: Json = _many(_object({"asset": _TEXT, "weight": _AMOUNT}))


def _binding_schema() -> Json:
    return {
        "realm": {"enum": list(REALMS)},
        "environment": _TEXT,
        "configuration": _TEXT,
        "commit": _MAYBE_TEXT,
        "generation": _MAYBE_COUNT,
        "fences": _many(
            _object(
                {
                    "strategy": _STRATEGY,
                    "strategy_id": _STRATEGY_ID,
                    "head_slot": _COUNT,
                    "foreign": _many(_TEXT),
                }
            )
        ),
        "calls": _many(
            _object(
                {
                    "number": _COUNT,
                    "strategy": _STRATEGY,
                    "strategy_id": _STRATEGY_ID,
                    "verb": _VERB,
                    "currency": _TEXT,
                    "amount": _AMOUNT,
                    "rows": _COUNT,
                    "allocations": {"anyOf": [_ALLOCATIONS, {"type": "null"}]},
                    "target": _TEXT,
                    "target_epoch": _COUNT,
                    "body": _TEXT,
                },
                optional={"after_rebalance": {"const": True}},
            )
        ),
        "acknowledgements": _many(
            _object(
                {
                    "name": _TEXT,
                    "rules": _many(_object({"rule": _TEXT, "number": _TEXT})),
                    "reason": _TEXT,
                    "expires": _TEXT,
                    "span": _MAYBE_SPAN,
                }
            )
        ),
    }


def _advisory_schema() -> Json:
    return {
        "as_of": _TEXT,
        "expires_at": _TEXT,
        "complete": _FLAG,
        "stopped": _FLAG,
        "predicted_ids": _many(
            _object({"call": _COUNT, "slot": _MAYBE_SLOT, "request_id": _MAYBE_TEXT})
        ),
        "findings": _many(
            _object(
                {
                    "rule": _TEXT,
                    "measured": _TEXT,
                    "limit": _TEXT,
                    "subject": _TEXT,
                    "setting": _MAYBE_SPAN,
                    "acknowledged_by": _TEXT,
                    "hint": _TEXT,
                }
            )
        ),
        "impacts": _many(_impact_schema()),
        "certificates": _many(
            _object(
                {
                    "strategy": _STRATEGY,
                    "verb": _VERB,
                    "calls": _COUNT,
                    "least": _COUNT,
                    "because": _TEXT,
                }
            )
        ),
        "floats": _many(
            _object(
                {
                    "currency": _TEXT,
                    "needed": _AMOUNT,
                    "available": _MAYBE_AMOUNT,
                    "account": _TEXT,
                }
            )
        ),
        "prices": _many(_object({"asset": _TEXT, "currency": _TEXT, "price": _TEXT})),
        "unmanaged": _COUNT,
        "weights": _many(_provenance_schema()),
        "warnings": _many(
            _object(
                {
                    "code": _TEXT,
                    "severity": {"enum": [severity.value for severity in Severity]},
                    "summary": _TEXT,
                    "detail": _TEXT,
                    "hint": _TEXT,
                    "span": _MAYBE_SPAN,
                }
            )
        ),
        "notes": _many(_TEXT),
    }


def _total_schema() -> Json:
    return _object(
        {
            "strategy": _STRATEGY,
            "currency": _TEXT,
            "calls": _COUNT,
            "least": _COUNT,
            "sells_estimate": _AMOUNT,
            "runner_up_calls": _MAYBE_COUNT,
            "runner_up_sells_estimate": _MAYBE_AMOUNT,
        }
    )


def _cohort_schema() -> Json:
    """Drift of those whom a plan touches, by cohort; where it repairs any."""
    return _object(
        {
            "strategy": _STRATEGY,
            "currency": _TEXT,
            "cohort": _TEXT,
            "participants": _COUNT,
            "drift_before_estimate": _AMOUNT,
            "drift_after_estimate": _AMOUNT,
            "deposit_estimate": _AMOUNT,
            "beyond_deposits": _COUNT,
        }
    )


def _provenance_schema() -> Json:
    source = {"strategy": _STRATEGY, "share": _AMOUNT, "span": _SPAN, "allocations": _ALLOCATIONS}
    step = {
        "step": _COUNT,
        "steps": _COUNT,
        "before": _ALLOCATIONS,
        "after": _ALLOCATIONS,
        "next_on": _MAYBE_TEXT,
        "span": _SPAN,
    }
    return _object(
        {
            "strategy": _STRATEGY,
            "rule": {"enum": ["allocations", "equal_weight", "blend", "mirror"]},
            "span": _SPAN,
            "sources": _many(_object(source)),
            "uncapped": _ALLOCATIONS,
            "cap": _MAYBE_AMOUNT,
            "cap_span": _MAYBE_SPAN,
            "allocations": _ALLOCATIONS,
            "transition": {"anyOf": [_object(step), {"type": "null"}]},
        }
    )


def _impact_schema() -> Json:
    assets = _object({"asset": _TEXT, "bought_estimate": _AMOUNT, "sold_estimate": _AMOUNT})
    return _object(
        {
            "strategy": _STRATEGY,
            "currency": _TEXT,
            "cash_in": _AMOUNT,
            "cash_out": _AMOUNT,
            "turnover_estimate": _AMOUNT,
            "value_estimate": _AMOUNT,
            "participants": _COUNT,
            "largest_estimate": _AMOUNT,
            "assets": _many(assets),
            "unpriced": _many(_TEXT),
        }
    )


def _row_schema() -> Json:
    return _object(
        {
            "call": _COUNT,
            "participant_code": _TEXT,
            "amount": _MAYBE_AMOUNT,
            "auto_rebalance": _MAYBE_FLAG,
        }
    )


def _row_advice_schema() -> Json:
    return _object(
        {
            "call": _COUNT,
            "participant_code": _TEXT,
            "reason": _MAYBE_TEXT,
            "cohort": _MAYBE_TEXT,
            "file": _MAYBE_TEXT,
            "line": _MAYBE_COUNT,
            "moved_estimate": _MAYBE_AMOUNT,
        }
    )


def _forfeit_schema() -> Json:
    return _object(
        {
            "strategy": _STRATEGY,
            "participant_code": _TEXT,
            "forfeited_in_minor": _MINOR,
            "forfeited_out_minor": _MINOR,
        }
    )


def _blocked_schema() -> Json:
    return _object(
        {
            "strategy": _STRATEGY,
            "participant_code": _TEXT,
            "reason": _TEXT,
            "detail": _MAYBE_TEXT,
            "file": _MAYBE_TEXT,
            "line": _MAYBE_COUNT,
            "waiting_since": _MAYBE_TEXT,
        }
    )


def _satisfied_schema() -> Json:
    return _object(
        {"strategy": _STRATEGY, "participant_code": _TEXT, "target": _TEXT, "target_epoch": _COUNT}
    )


def _summary_schema() -> Json:
    amounts = {"type": "object", "additionalProperties": _AMOUNT}
    return _object(
        {
            "headline": _TEXT,
            "has_changes": _FLAG,
            "participants": _COUNT,
            "calls": _COUNT,
            "verbs": {"type": "object", "additionalProperties": _COUNT},
            "cash_in": amounts,
            "cash_out": amounts,
            "turnover_estimate": amounts,
            "reasons": _many(
                _object(
                    {
                        "strategy": _STRATEGY,
                        "verb": _VERB,
                        "reason": _TEXT,
                        "participants": _COUNT,
                    }
                )
            ),
            "prices": _many(
                _object(
                    {
                        "strategy": _STRATEGY,
                        "cohort": _TEXT,
                        "verb": _VERB,
                        "participants": _COUNT,
                        "prices": _COUNT,
                    }
                )
            ),
            "largest": _many(
                _object(
                    {
                        "strategy": _STRATEGY,
                        "currency": _TEXT,
                        "verb": _VERB,
                        "participant_code": _TEXT,
                        "moved_estimate": _AMOUNT,
                    }
                )
            ),
        }
    )
