"""The plan file: what goes in comes out, and nothing else is believed."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl import planfile
from stratctl.core.errors import PlanFileError, PlanStale, StratctlError
from stratctl.core.plan import Plan
from stratctl.core.state import Verb
from stratctl.core.tables import Table, Workspace
from tests.plans import Row, call, empty_plan, plan_of, rich_plan, small_plan

PLANS = {"empty": empty_plan, "small": small_plan, "rich": rich_plan}


def values(plan: Plan) -> dict[str, Any]:
    """Everything that a plan says, tables as rows."""
    found = {field.name: getattr(plan, field.name) for field in fields(plan)}
    return {
        name: (value.rows(), value.schema) if isinstance(value, Table) else value
        for name, value in found.items()
    }


def members(data: bytes) -> dict[str, bytes]:
    """The members of a plan file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forge(data: bytes, **changed: bytes) -> bytes:
    """The file with some members changed and every digest of its members made to fit again."""
    parts = members(data)
    parts.update({name.replace("_", "."): content for name, content in changed.items()})
    manifest = json.loads(parts["manifest.json"])
    if "manifest_json" not in changed:
        manifest["members"] = {
            name: hashlib.sha256(content).hexdigest()
            for name, content in parts.items()
            if name != "manifest.json"
        }
        parts["manifest.json"] = canonical(manifest)
    return planfile._pack(parts)


def canonical(value: object) -> bytes:
    """JSON as the plan file writes it."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def refusal(data: bytes, scratch: Path) -> StratctlError:
    """Why a file is refused."""
    with pytest.raises((PlanFileError, PlanStale)) as caught:
        planfile.from_bytes(data, Workspace(), str(scratch))
    return caught.value


@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS.keys())
def test_a_plan_comes_back_as_it_went(make: Callable[[Workspace], Plan], tmp_path: Path) -> None:
    """Every value, every row and the digest survive the way into a file and out of it."""
    plan = make(Workspace())
    data = planfile.to_bytes(plan, str(tmp_path))
    back = planfile.from_bytes(data, Workspace(), str(tmp_path))
    assert values(back) == values(plan)
    assert back.digest == plan.digest


@pytest.fixture(scope="module")
def one_workspace() -> Workspace:
    """One engine for many small examples, because starting it is what takes the time."""
    return Workspace(threads=1)


codes = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=6, max_size=6)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
amounts = st.none() | st.integers(0, 10**14)


@settings(max_examples=settings().max_examples // 10)  # each writes and reads four tables
@given(
    st.dictionaries(
        codes,
        st.tuples(amounts, st.none() | st.booleans(), texts, texts, st.integers(0, 10**20)),
        max_size=6,
    )
)
def test_any_rows_come_back_as_they_went(
    one_workspace: Workspace,
    tmp_path_factory: pytest.TempPathFactory,
    given_rows: dict[str, tuple[int | None, bool | None, str, str, int]],
) -> None:
    """I33: no amount, flag or text changes in a file, and written again it is the same bytes."""
    scratch = tmp_path_factory.getbasetemp()
    rows = [
        Row(1, code, amount, flag, reason, cohort, moved_e8=moved)
        for code, (amount, flag, reason, cohort, moved) in given_rows.items()
    ]
    plan = plan_of(one_workspace, [call(1, Verb.TOP_UP, rows)], rows)
    data = planfile.to_bytes(plan, str(scratch))
    back = planfile.from_bytes(data, one_workspace, str(scratch))
    assert values(back) == values(plan)
    assert planfile.to_bytes(back, str(scratch)) == data


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    """No clock, order or workspace leaks into the file."""
    first = planfile.to_bytes(rich_plan(Workspace(threads=2)), str(tmp_path))
    second = planfile.to_bytes(rich_plan(Workspace(threads=1)), str(tmp_path))
    assert first == second


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    """No single bit of a plan file can change unnoticed."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    workspace, accepted = Workspace(threads=1), []
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            try:
                planfile.from_bytes(bytes(changed), workspace, str(tmp_path))
            except (PlanFileError, PlanStale):
                continue
            accepted.append((position, bit))
    assert accepted == []


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    """A file that lost its end, or everything, is not a plan."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    for length in (0, 1, 22, len(data) // 2, len(data) - 1):
        assert isinstance(refusal(data[:length], tmp_path), PlanFileError)


def test_bytes_around_the_members_are_refused(tmp_path: Path) -> None:
    """Nothing hides before, after or between the members."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    assert "belong to none" in str(refusal(b"#!/bin/sh\n" + data, tmp_path))
    assert isinstance(refusal(data + b"x", tmp_path), PlanFileError)


def test_other_members_are_refused(tmp_path: Path) -> None:
    """A member too many, too few, twice, or with a path for a name is not a plan's."""
    parts = members(planfile.to_bytes(small_plan(Workspace()), str(tmp_path)))
    for names in (
        [*parts, "extra.txt"],
        [name for name in parts if name != "forfeits.parquet"],
        [name.replace("plan.json", "../plan.json") for name in parts],
    ):
        forged = planfile._pack({name: parts.get(name, b"") for name in names})
        assert "members of a plan" in str(refusal(forged, tmp_path))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in parts:
            archive.writestr(name, parts[name])
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("plan.json", parts["plan.json"])
    assert "members of a plan" in str(refusal(buffer.getvalue(), tmp_path))


def test_a_compressed_member_is_refused(tmp_path: Path) -> None:
    """A zip bomb is turned away by its header, before a byte of it is inflated."""
    parts = members(planfile.to_bytes(small_plan(Workspace()), str(tmp_path)))
    parts["participants.parquet"] = bytes(50_000_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert "compressed" in str(refusal(buffer.getvalue(), tmp_path))


def test_size_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a member of text or a table that is too large is refused, not loaded."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(planfile, "FILE_BYTES_MAX", len(data) - 1)
        assert "larger than" in str(refusal(data, tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(planfile, "TEXT_MEMBER_BYTES_MAX", 100)
        assert "too large" in str(refusal(data, tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(planfile, "TEXT_CHARACTERS_MAX", 10)
        assert "too much text" in str(refusal(data, tmp_path))


def test_a_changed_member_is_refused(tmp_path: Path) -> None:
    """A member that its manifest does not describe is refused before it is parsed."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    parts = {**members(data), "plan.json": b"{}"}
    assert "manifest says" in str(refusal(planfile._pack(parts), tmp_path))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["binding"].update(environment="prod"), "E_PLAN_DIGEST"),
        (lambda d: d["binding"].update(realm="prod"), "E_PLAN_DIGEST"),
        (lambda d: d["binding"]["fences"][0].update(head_slot=7), "E_PLAN_DIGEST"),
        (lambda d: d.update(digest="0" * 64), "E_PLAN_DIGEST"),
        (lambda d: d["binding"]["calls"][0].update(amount="20000.01"), "do not add up"),
        (lambda d: d["binding"]["calls"][0].update(rows=3), "do not add up"),
        (lambda d: d["binding"]["calls"][0].update(number=2), "other calls"),
        (lambda d: d["binding"]["calls"][0].update(amount="20000.001"), "bad number"),
        (lambda d: d["binding"]["calls"][0].update(amount=20000), "not of type"),
        (lambda d: d["binding"]["calls"][0].update(verb="sell_everything"), "is not one of"),
        (lambda d: d["binding"]["calls"][0]["allocations"].pop(), "not canonical"),
        (lambda d: d["binding"]["calls"][0]["allocations"].reverse(), "not canonical"),
        (lambda d: d["binding"].pop("fences"), "required property"),
        (lambda d: d.update(more=1), "unexpected"),
        (lambda d: d["advisory"]["predicted_ids"].clear(), "other calls"),
        (lambda d: d["advisory"]["predicted_ids"][0].update(request_id="x"), "do not follow"),
        (lambda d: d["advisory"].update(stopped=True), "do not follow"),
        (lambda d: d["binding"].update(realm="moon"), "is not one of"),
        (lambda d: d["binding"]["calls"].append(d["binding"]["calls"][0]), "same number"),
    ],
)
def test_a_forged_document_is_refused(
    change: Callable[[Any], object], says: str, tmp_path: Path
) -> None:
    """A document that was edited, with the manifest made to fit, is still not believed."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    described = json.loads(members(data)["plan.json"])
    change(described)
    assert says in str(refusal(forge(data, plan_json=canonical(described)), tmp_path))


def test_a_digest_mismatch_is_stale(tmp_path: Path) -> None:
    """What is not what was approved is a stale plan, for the exit code too."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    described = json.loads(members(data)["plan.json"])
    described["binding"]["commit"] = None
    error = refusal(forge(data, plan_json=canonical(described)), tmp_path)
    assert isinstance(error, PlanStale)
    assert error.exit_code == 4


@pytest.mark.parametrize("text", [b"", b"[1,", b'{"a": 1}', b'{"a":1,"a":1}', b"\xff", b"1e400"])
def test_only_canonical_json_is_read(text: bytes, tmp_path: Path) -> None:
    """Broken, spaced or ambiguous JSON is refused."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    assert isinstance(refusal(forge(data, plan_json=text), tmp_path), PlanFileError)


def test_deep_json_is_refused(tmp_path: Path) -> None:
    """JSON that is nested to exhaust the reader is refused like any other."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    deep = b"[" * 100_000 + b"]" * 100_000
    assert isinstance(refusal(forge(data, plan_json=deep), tmp_path), PlanFileError)


@pytest.mark.parametrize("version", ["2.0", "1.1", "0.9"])
def test_another_format_is_refused(version: str, tmp_path: Path) -> None:
    """A file of another format says which one it has and which one is read."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    manifest = json.loads(members(data)["manifest.json"])
    manifest["format_version"] = version
    error = refusal(forge(data, manifest_json=canonical(manifest)), tmp_path)
    assert f"format {version}" in str(error)
    assert "this stratctl reads format 1.0" in str(error)


def test_a_manifest_of_another_shape_is_refused(tmp_path: Path) -> None:
    """A manifest without the digests of the tables is not a plan's."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    assert "manifest.json" in str(refusal(forge(data, manifest_json=b"{}"), tmp_path))


def parquet(sql: str, scratch: Path) -> bytes:
    """Parquet bytes of a query."""
    path = scratch / "forged.parquet"
    Workspace().run(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT * REPLACE (amount_minor::DOUBLE AS amount_minor)", "other columns"),
        ("SELECT * REPLACE (moved_e8::DOUBLE AS moved_e8)", "other columns"),
        ("SELECT * EXCLUDE (line)", "other columns"),
        ("SELECT * REPLACE (amount_minor + 1 AS amount_minor)", "do not add up"),
        ("SELECT * REPLACE (9 AS call)", "do not add up"),
        ("SELECT * REPLACE ('CUST09' AS participant_code)", "participant twice"),
        ("SELECT * REPLACE (false AS auto_rebalance)", "E_PLAN_DIGEST"),
        ("SELECT * REPLACE (participant_code || 'X' AS participant_code)", "E_PLAN_DIGEST"),
    ],
)
def test_forged_rows_are_refused(sql: str, says: str, tmp_path: Path) -> None:
    """Rows with other types, amounts or people are refused, though every member digest fits."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    original = tmp_path / "original.parquet"
    original.write_bytes(members(data)["participants.parquet"])
    forged = parquet(f"{sql} FROM read_parquet('{original}')", tmp_path)
    parts = members(forge(data, **{"participants_parquet": forged}))
    assert says in str(refusal(planfile._pack(parts), tmp_path))


def test_too_many_rows_are_refused(tmp_path: Path) -> None:
    """A table that holds more rows than its manifest says is refused before it is loaded."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    original = tmp_path / "original.parquet"
    original.write_bytes(members(data)["participants.parquet"])
    doubled = parquet(
        f"SELECT * FROM read_parquet('{original}') UNION ALL FROM read_parquet('{original}')",
        tmp_path,
    )
    assert "holds 4 rows" in str(refusal(forge(data, participants_parquet=doubled), tmp_path))


def test_garbage_for_parquet_is_refused(tmp_path: Path) -> None:
    """A member that is no Parquet is a bad plan file, not an error of the engine."""
    data = planfile.to_bytes(small_plan(Workspace()), str(tmp_path))
    for garbage in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        assert "cannot be read" in str(refusal(forge(data, blocked_parquet=garbage), tmp_path))
