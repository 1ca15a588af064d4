"""A quick yes is the library's yes; and a plan as it is written gets one."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratctl import planfile
from stratctl.core.plan_json import document, schema
from stratctl.core.shapes import surely_fits
from stratctl.core.tables import Workspace
from tests.plans import rich_plan

WANTED = json.loads(json.dumps(schema()))
QUICK = surely_fits(WANTED)
LIBRARY = jsonschema.Draft202012Validator(WANTED)
VALUES = (
    st.sampled_from([None, True, False, 0, 1, -1, 1.0, 1.5, 10**19, [], [1], {}, {"a": 1}])
    | st.sampled_from(["", "1", "-1.50", "01", "x" * 65, "prod\n", "enroll"])
    | st.uuids().map(str)
)


@pytest.fixture(scope="module")
def whole() -> str:
    """A plan with something of everything, as text."""
    plan = rich_plan(Workspace())
    return json.dumps(document(plan, plan.digest))


def test_a_plan_as_it_is_written_surely_fits(whole: str) -> None:
    """So the library is not asked, nor even imported."""
    assert QUICK(json.loads(whole))


@given(st.data())
def test_a_quick_yes_is_certain(whole: str, data: st.DataObject) -> None:
    """Some value anywhere is exchanged, left out, or gets a neighbour nobody knows."""
    changed = json.loads(whole)
    holder: Any = changed
    while True:
        keys = sorted(holder) if isinstance(holder, dict) else range(len(holder))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(holder[key], dict | list) or not holder[key] or data.draw(_RARELY):
            break
        holder = holder[key]
    match data.draw(st.sampled_from(["exchange", "leave out", "add"])):
        case "exchange":
            holder[key] = data.draw(VALUES)
        case "leave out":
            del holder[key]
        case _ if isinstance(holder, dict):
            holder["novelty"] = data.draw(VALUES)
        case _:
            holder.append(data.draw(VALUES))
    fits = LIBRARY.is_valid(changed)
    assert fits or not QUICK(changed)
    if fits and "1.0" not in json.dumps(changed):
        assert QUICK(changed)


_RARELY = st.integers(0, 9).map(lambda drawn: drawn == 9)


def test_the_manifest_of_a_plan_surely_fits(tmp_path: Path) -> None:
    """Its members and tables are named in no schema, and their digests look like digests."""
    quick = surely_fits(planfile._MANIFEST_SCHEMA)
    digests = dict.fromkeys(planfile.MEMBERS, "0" * 64)
    tables = {key: {"rows": 1, "sha256": "0" * 64} for key in planfile.TABLES}
    said = {"format_version": "1.0", "plan_digest": "0" * 64, "tables": tables, "members": digests}
    assert quick(said)
    assert not quick(said | {"members": {"x": "0"}})
    assert not quick(said | {"tables": tables | {"x": {"rows": -1, "sha256": "0" * 64}}})


def test_a_keyword_that_is_not_known_is_an_error() -> None:
    """Rather than a yes that is not certain."""
    with pytest.raises(KeyError, match="multipleOf"):
        surely_fits({"multipleOf": 2})
