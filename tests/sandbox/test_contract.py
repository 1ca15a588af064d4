"""The contract itself: complete, sound, and kept on a busy day."""

import pytest
from jsonschema import Draft202012Validator

from stratctl.sandbox.participants import code_of
from stratctl.sandbox.routes import Routes
from tests.sandbox import contract
from tests.sandbox.platform import Platform, allocations, open_platform

EXAMPLE = "b1c2d3e4-f5a6-4789-bcde-f01234567890"


@pytest.mark.parametrize("name", sorted(contract.schemas()))
def test_schemas_are_sound(name: str) -> None:
    """Valid 2020-12 schemas with their own names, whose references lead somewhere."""
    schema = contract.schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"{name}.json"
    assert schema["title"]
    list(contract.validator(name).iter_errors({}))


def test_every_schema_is_used() -> None:
    """By an endpoint, an error, a request, or another schema."""
    schemas = contract.schemas()
    text = "".join(str(schema) for schema in schemas.values())
    used = {*contract.ANSWERS.values(), *contract.ERRORS.values()}
    for name in schemas:
        assert name in used or name.endswith(".request") or f"'{name}.json'" in text, name


def test_the_contract_and_the_routes_agree() -> None:
    """Every endpoint of the contract exists."""
    routes = Routes()
    for method, path in contract.ANSWERS:
        found = routes.find(method, path.replace("{}", EXAMPLE))
        assert found is not None, (method, path)
        assert found[0] == path


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/time", {"epoch": "1"}),
        ("/strategies", {"message": {"strategies": [{}], "next_page_token": ""}}),
        ("/accounts", {"message": [], "page": 1}),
        ("/strategies/traders", {"traders": [], "next_page_token": ""}),
    ],
)
def test_a_broken_answer_is_noticed(target: str, body: object) -> None:
    """The helper that all tests rely on does fail."""
    with pytest.raises(AssertionError):
        contract.check("GET", target, 200, body)


def test_answers_keep_the_contract_on_a_busy_day() -> None:
    """Several Strategies, hundreds of Traders, every verb, read at every stage, page by page."""
    with open_platform(participants=240) as platform:
        strategies = [platform.strategy(n=n) for n in range(3)]
        codes = [code_of(number) for number in range(1, 241)]
        for strategy in strategies:
            platform.start(strategy, "enroll", dict.fromkeys(codes, "120.00"))
        read_everything(platform)
        platform.settle()
        platform.start(strategies[0], "top-up", dict.fromkeys(codes[:50], "9.99"))
        platform.start(strategies[0], "partial-sell", dict.fromkeys(codes[50:99], "0.05"))
        platform.start(strategies[1], "rebalance", codes[:80], {"BTC": "0.2", "NEAR": "0.8"})
        platform.start(strategies[2], "liquidate", codes[:80])
        for _ in range(4):
            platform.sandbox.advance("0.15")
            read_everything(platform)
        platform.settle()
        read_everything(platform)
        body = {"allocations": allocations({"BTC": "1"})}
        platform.post(f"/strategies/{strategies[1]}/rebalance", body)
        platform.settle()
        assert len(platform.all_rows("/strategies/executions", page_size=200)) > 900


def read_everything(platform: Platform) -> None:
    """A page of every list; each answer is held to the contract on the way."""
    for path in ("", "/operations", "/traders", "/executions"):
        platform.get(f"/strategies{path}", page_size=200)
    for path in ("/assets", "/participants", "/accounts", "/trades"):
        platform.get(path)
    platform.get("/trades", page=3)
    platform.get("/accounts", page=2)
    platform.get("/accounts/net_delivery_obligations")
