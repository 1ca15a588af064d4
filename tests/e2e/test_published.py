"""The schemas that are published describe what is really saved."""

import io
import json
import zipfile
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator

from stratctl import planfile
from stratctl.core.plan import Plan
from stratctl.view import json as json_view
from tests.e2e.test_once import begin
from tests.e2e.world import Project

SCHEMAS = Path(__file__).parents[2] / "schemas"


@cache
def validator(name: str) -> Draft202012Validator:
    """A schema as it is checked in."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    return Draft202012Validator(schema)


def documents(plan: Plan, scratch: Path) -> list[object]:
    """A plan as its file holds it, and as ``--format json`` shows it."""
    with zipfile.ZipFile(io.BytesIO(planfile.to_bytes(plan, str(scratch)))) as archive:
        return [json.loads(archive.read(planfile.DOCUMENT)), json.loads(json_view.plan(plan))]


def test_plans_and_journal_fit_their_schemas(project: Project, tmp_path: Path) -> None:
    """Through a life: created, enrolled, topped up, sold in part, exited and rebalanced."""
    codes = begin(project)
    plans = [project.plan()]
    project.settle()
    project.line("members", codes[0])["contributed"] = "150.00"
    project.line("members", codes[1])["withdrawn"] = "40.00"
    project.line("members", codes[2])["status"] = "exited"
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.acknowledge("leave", liquidations=1, asset_exits=1)
    project.save()
    plans.append(project.plan())
    project.apply()
    for plan in plans:
        for document in documents(plan, tmp_path):
            validator("plan").validate(document)
    lines = [json.loads(line) for line in project.journal.read_bytes().splitlines()]
    for line in lines:
        validator("journal").validate(line)
    said = {line["type"] for line in lines}
    assert {"genesis", "run", "intent", "attempt", "answer", "outcome", "applied"} <= said
    assert {call.verb.value for plan in plans for call in plan.calls} >= {
        *("create", "enroll", "top_up", "partial_sell", "liquidate", "rebalance"),
    }
