"""A plan as the bytes of one file, and back: nothing is believed on the way in.

The file is a zip of ``plan.json`` (everything but rows), one Parquet member per table, and
``manifest.json`` (digests of the members, of the canonical rows and of the plan). Members are
stored without compression, which makes the container itself canonical: what a reader takes apart
and writes again must give the same bytes. So there are no bombs, no paths, no double or hidden
members and no unused bits in it, and one comparison proves all of that.

What an approval approves is the plan's digest, which covers canonical rows and not this container.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from stratctl.core.canonical import canonical, canonical_rows
from stratctl.core.errors import PlanFileError, PlanStale
from stratctl.core.plan import (
    BLOCKED_ROWS,
    FORFEIT_ROWS,
    FORMAT_VERSION,
    PLAN_ROWS,
    SATISFIED_ROWS,
    Plan,
)
from stratctl.core.plan_json import PlanTables, document, plan_from, schema
from stratctl.core.tables import Schema, Table, Workspace, literal

FILE_BYTES_MAX = 2 * 1024**3
TEXT_MEMBER_BYTES_MAX = 64 * 1024**2
ROWS_MAX = 20_000_000
TEXT_CHARACTERS_MAX = 4 * 1024**3
"""Characters in all text columns of one table, which a few compressed bytes can stand for."""

MANIFEST = "manifest.json"
DOCUMENT = "plan.json"
TABLES: Mapping[str, Schema] = {
    "participants": PLAN_ROWS,
    "blocked": BLOCKED_ROWS,
    "satisfied": SATISFIED_ROWS,
    "forfeits": FORFEIT_ROWS,
}
MEMBERS = (MANIFEST, DOCUMENT, *(f"{name}.parquet" for name in TABLES))


def to_bytes(plan: Plan, scratch: str) -> bytes:
    """The plan as the bytes of a file.

    ``scratch`` is an existing directory of the caller's, in which the engine writes its Parquet
    files; the caller removes it.
    """
    tables = PlanTables(plan.rows, plan.blocked, plan.satisfied, plan.forfeits)
    digest, digests = _digests(plan)
    members = {DOCUMENT: _json_bytes(document(plan, digest))}
    for name, table in zip(TABLES, _in_order(tables), strict=True):
        members[f"{name}.parquet"] = _parquet(table, scratch)
    manifest = {
        "format_version": FORMAT_VERSION,
        "plan_digest": digest,
        "tables": {
            name: {"rows": len(table), "sha256": digests[name]}
            for name, table in zip(TABLES, _in_order(tables), strict=True)
        },
        "members": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    }
    return _pack({MANIFEST: _json_bytes(manifest), **members})


def from_bytes(data: bytes, workspace: Workspace, scratch: str) -> Plan:
    """The plan that a file holds, its tables in ``workspace``.

    ``scratch`` as for ``to_bytes``. Raises PlanFileError when the file is not exactly what
    ``to_bytes`` writes, is of a newer format, or contradicts itself; PlanStale (E_PLAN_DIGEST)
    when what it holds is not what its digest says.
    """
    members = _unpack(data)
    manifest = _manifest(members)
    _expect_known_format(manifest)
    for name in MEMBERS[1:]:
        if hashlib.sha256(members[name]).hexdigest() != manifest["members"].get(name):
            raise PlanFileError(f"{name} in the plan file is not what its manifest says")
    described = _document(members[DOCUMENT])
    tables = PlanTables(
        *(
            _table(workspace, name, members[f"{name}.parquet"], manifest["tables"][name], scratch)
            for name in TABLES
        )
    )
    plan = plan_from(described, tables)
    _expect_rows_fit_calls(plan)
    _expect_digests(plan, described, manifest)
    return plan


# --- the container ---------------------------------------------------------------------------

_NOT_A_ZIP = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)
"""What the standard reader raises for bytes that are no zip, or one that it does not know."""


def _pack(members: Mapping[str, bytes]) -> bytes:
    """A zip of the members in order, stored, with the same date on each: same in, same out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in members:
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o600 << 16
            archive.writestr(info, members[name])
    return buffer.getvalue()


def _unpack(data: bytes) -> dict[str, bytes]:
    """The members of a zip that ``_pack`` wrote; anything else is refused."""
    if len(data) > FILE_BYTES_MAX:
        raise PlanFileError(f"the plan file is larger than {FILE_BYTES_MAX} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if tuple(entry.filename for entry in entries) != MEMBERS:
                raise PlanFileError("the plan file does not hold the members of a plan")
            # Sizes are checked before a byte is inflated; what is stored cannot grow.
            if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
                raise PlanFileError("the plan file holds a compressed member")
            members = {entry.filename: archive.read(entry) for entry in entries}
    except _NOT_A_ZIP as error:
        raise PlanFileError(f"the plan file is not a zip of a plan: {error}") from error
    if _pack(members) != data:
        raise PlanFileError("the plan file holds bytes that belong to none of its members")
    return members


def _json_bytes(value: object) -> bytes:
    return canonical(value).encode()


def _read_json(name: str, data: bytes) -> Any:
    """JSON exactly as ``_json_bytes`` writes it, so that no two texts mean the same plan."""
    if len(data) > TEXT_MEMBER_BYTES_MAX:
        raise PlanFileError(f"{name} in the plan file is too large")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PlanFileError(f"{name} in the plan file is not JSON: {error}") from error
    if _json_bytes(value) != data:
        raise PlanFileError(f"{name} in the plan file is not canonical JSON")
    return value


# --- manifest and document -------------------------------------------------------------------


def _manifest(members: Mapping[str, bytes]) -> Any:
    manifest = _read_json(MANIFEST, members[MANIFEST])
    _expect_fits(MANIFEST, manifest, _MANIFEST_SCHEMA)
    return manifest


def _document(data: bytes) -> Any:
    described = _read_json(DOCUMENT, data)
    _expect_fits(DOCUMENT, described, schema())
    return described


def _expect_fits(name: str, value: object, wanted: Mapping[str, Any]) -> None:
    import jsonschema

    problem = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(wanted).iter_errors(value)
    )
    if problem is not None:
        raise PlanFileError(f"{name} in the plan file, {problem.json_path}: {problem.message}")


def _expect_known_format(manifest: Mapping[str, Any]) -> None:
    """A newer minor version is refused too: its digest covers what this version cannot see."""
    if manifest["format_version"] != FORMAT_VERSION:
        raise PlanFileError(
            f"the plan file has format {manifest['format_version']}, this stratctl "
            f"reads format {FORMAT_VERSION}",
            hint="plan again with this version, or use the version that wrote the file",
        )


_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_MANIFEST_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["format_version", "plan_digest", "tables", "members"],
    "properties": {
        "format_version": {"type": "string", "maxLength": 16},
        "plan_digest": _SHA256,
        "tables": {
            "type": "object",
            "required": list(TABLES),
            "additionalProperties": {
                "type": "object",
                "required": ["rows", "sha256"],
                "properties": {
                    "rows": {"type": "integer", "minimum": 0, "maximum": ROWS_MAX},
                    "sha256": _SHA256,
                },
            },
        },
        "members": {"type": "object", "additionalProperties": _SHA256},
    },
}


# --- tables ----------------------------------------------------------------------------------


def _in_order(tables: PlanTables) -> tuple[Table, ...]:
    """The tables in the order of TABLES."""
    return (tables.rows, tables.blocked, tables.satisfied, tables.forfeits)


def _parquet(table: Table, scratch: str) -> bytes:
    """The Parquet bytes of a table, its rows in canonical order."""
    path = literal(f"{scratch}/{table}.parquet")
    workspace = table.workspace
    workspace.run(
        f"COPY (SELECT * FROM {table} ORDER BY ALL) TO {path} (FORMAT parquet, COMPRESSION zstd)"
    )
    data: bytes = workspace.one(f"SELECT content FROM read_blob({path})")[0]
    return data


def _write(workspace: Workspace, path: str, data: bytes) -> None:
    """Bytes as a file. As a parameter of a statement they would be copied over and over."""
    whole = workspace.table("bytes", {"data": "BLOB"}, [[data]])
    workspace.run(f"COPY {whole} TO {path} (FORMAT blob)")
    workspace.run(f"DROP TABLE {whole}")


def _table(
    workspace: Workspace, name: str, data: bytes, expected: Mapping[str, Any], scratch: str
) -> Table:
    """Parquet bytes as a Table, after its types, its rows and the size of its text are checked."""
    import duckdb

    path = literal(f"{scratch}/{name}.read.parquet")
    try:
        _write(workspace, path, data)
        described = workspace.rows(f"DESCRIBE SELECT * FROM read_parquet({path})")
        if {row[0]: row[1] for row in described} != dict(TABLES[name]):
            raise PlanFileError(f"{name}.parquet in the plan file has other columns than a plan")
        rows = workspace.one(f"SELECT num_rows FROM parquet_file_metadata({path})")[0]
        if rows != expected["rows"]:
            raise PlanFileError(
                f"{name}.parquet in the plan file holds {rows} rows, "
                f"its manifest says {expected['rows']}"
            )
        texts = [column for column, kind in TABLES[name].items() if kind == "VARCHAR"]
        sizes = " + ".join(f"coalesce(sum(strlen({column})), 0)" for column in texts)
        if workspace.one(f"SELECT {sizes} FROM read_parquet({path})")[0] > TEXT_CHARACTERS_MAX:
            raise PlanFileError(f"{name}.parquet in the plan file holds too much text")
        return workspace.select(name, TABLES[name], f"SELECT * FROM read_parquet({path})")
    except duckdb.Error as error:
        raise PlanFileError(f"{name}.parquet in the plan file cannot be read: {error}") from error


# --- does it hold together? ------------------------------------------------------------------


def _expect_rows_fit_calls(plan: Plan) -> None:
    """Every row belongs to a call, and each call counts and sums its own rows."""
    found = {
        number: (rows, amount)
        for number, rows, amount in plan.rows.workspace.rows(
            "SELECT call, count(*), sum(coalesce(amount_minor, 0))::DECIMAL(38,0)::VARCHAR "
            f"FROM {plan.rows} GROUP BY call ORDER BY call"
        )
    }
    said = {call.number: (call.rows, str(call.amount_minor)) for call in plan.calls}
    if len(said) != len(plan.calls):
        raise PlanFileError("two calls of the plan file have the same number")
    for number in said.keys() | found.keys():
        if said.get(number, (0, "0")) != found.get(number, (0, "0")):
            raise PlanFileError(f"the rows of call {number} in the plan file do not add up")
    if plan.rows.duplicates(("call", "participant_code")):
        raise PlanFileError("a call of the plan file names a participant twice")


def _expect_digests(plan: Plan, described: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    digest, digests = _digests(plan)
    canonical = {name: one["sha256"] for name, one in manifest["tables"].items()}
    if not digest == described["digest"] == manifest["plan_digest"] or digests != canonical:
        raise PlanStale(
            "E_PLAN_DIGEST: the plan file does not hold the plan that its digest names",
            hint="take the file from the run that made it, or plan again",
        )
    if document(plan, digest) != described:
        raise PlanFileError("the plan file says things about itself that do not follow from it")


def _digests(plan: Plan) -> tuple[str, dict[str, str]]:
    """The plan's digest and those of each table's canonical rows."""
    return plan.digest, {
        "participants": plan.digests["row"],
        "blocked": _rows_digest(plan.blocked),
        "satisfied": _rows_digest(plan.satisfied),
        "forfeits": plan.digests["forfeit"],
    }


def _rows_digest(table: Table) -> str:
    hasher = hashlib.sha256()
    for lines in canonical_rows(table, tuple(table.schema)):
        hasher.update(lines)
    return hasher.hexdigest()
