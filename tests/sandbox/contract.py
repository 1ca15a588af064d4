"""The provider's contract: which schema each answer has to meet."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

FOLDER = Path(__file__).parents[2] / "schemas" / "provider"

ANSWERS = {
    ("GET", "/time"): "time.response",
    ("GET", "/index"): "index.response",
    ("GET", "/market_data/symbol_data"): "symbol-data.response",
    ("GET", "/assets"): "assets.response",
    ("GET", "/participants"): "participants.response",
    ("GET", "/accounts"): "accounts.response",
    ("GET", "/accounts/net_delivery_obligations"): "obligations.response",
    ("GET", "/accounts/{}"): "account.response",
    ("GET", "/accounts/{}/movements"): "movements.response",
    ("GET", "/trades"): "trades.response",
    ("GET", "/trades/{}"): "trade.response",
    ("POST", "/strategies"): "strategy.response",
    ("GET", "/strategies"): "strategies.response",
    ("GET", "/strategies/{}"): "strategy.response",
    ("PATCH", "/strategies/{}"): "strategy.response",
    ("POST", "/strategies/{}/enroll"): "operation.response",
    ("POST", "/strategies/{}/top-up"): "operation.response",
    ("POST", "/strategies/{}/partial-sell"): "operation.response",
    ("POST", "/strategies/{}/rebalance"): "operation.response",
    ("POST", "/strategies/{}/liquidate"): "operation.response",
    ("GET", "/strategies/operations"): "operations.response",
    ("GET", "/strategies/operations/{}"): "operation.response",
    ("GET", "/strategies/traders"): "traders.response",
    ("GET", "/strategies/traders/{}"): "trader.response",
    ("PATCH", "/strategies/traders/{}"): "trader.response",
    ("GET", "/strategies/executions"): "executions.response",
    ("GET", "/strategies/executions/{}"): "execution.response",
}
"""Every endpoint of the sandbox, and the schema of its success."""

ERRORS = {
    400: "error-400",
    401: "error-auth",
    403: "error-auth",
    404: "error-404",
    500: "error-500",
    503: "error-503",
}


def schemas() -> dict[str, Any]:
    """All schemas of the contract by name."""
    return {
        path.name.removesuffix(".json"): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(FOLDER.glob("*.json"))
    }


@cache
def _registry() -> Registry[Any]:
    resources = [
        (f"{name}.json", Resource.from_contents(schema)) for name, schema in schemas().items()
    ]
    empty: Registry[Any] = Registry()
    return empty.with_resources(resources)


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of one schema, its references resolved."""
    return Draft202012Validator(schemas()[name], registry=_registry())


def endpoint(method: str, path: str) -> tuple[str, str] | None:
    """The endpoint in the table above that a path belongs to."""
    parts = path.split("/")
    for wanted in ANSWERS:
        pattern = wanted[1].split("/")
        if wanted == (method, path):
            return wanted
        if method == wanted[0] and len(pattern) == len(parts):
            pairs = zip(pattern, parts, strict=True)
            if all(p in ("{}", part) for p, part in pairs) and (method, path) not in ANSWERS:
                return wanted
    return None


def check(method: str, target: str, status: int, body: Any) -> None:
    """Raises AssertionError when an answer breaks the contract."""
    found = endpoint(method, target.partition("?")[0])
    if status < 300:
        assert found is not None, f"no contract for {method} {target}"
        name = ANSWERS[found]
    elif status in ERRORS:
        if status == 404 and body is None:
            return
        name = ERRORS[status]
    else:
        return
    errors = list(validator(name).iter_errors(body))
    assert not errors, f"{method} {target}: {errors[0].json_path} {errors[0].message}"
