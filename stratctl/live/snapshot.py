"""The live State in one local file, for plans that must not or cannot reach the provider.

A zip of ``live.json`` (Strategies, prices, floats) and one Parquet file per table. Column types
are checked on the way in: a column that some other tool turned into a binary float is refused.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from stratctl.core.diagnostic import Diagnostic, Severity, Span
from stratctl.core.errors import UsageError
from stratctl.core.state import (
    HOLDINGS_KEY,
    HOLDINGS_ROWS,
    LIVE_KEY,
    LIVE_ROWS,
    PARTICIPANT_KEY,
    PARTICIPANT_ROWS,
    Float,
    Live,
    LiveOperation,
    LiveStrategy,
    Price,
)
from stratctl.core.tables import Schema, Table, Workspace, literal

FORMAT_VERSION = "2.0"
MEMBER_BYTES_MAX = 8 * 2**30
_DOCUMENT = "live.json"


def write_snapshot(live: Live, path: Path) -> None:
    """Write a snapshot. The file appears whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive,
    ):
        archive.writestr(_DOCUMENT, json.dumps(_document(live), indent=1, sort_keys=True))
        for name, table in _tables(live).items():
            member = Path(folder) / f"{name}.parquet"
            table.workspace.run(
                f"COPY {table} TO {literal(str(member))} (FORMAT parquet, COMPRESSION zstd)"
            )
            archive.write(member, member.name)
    unfinished.replace(path)


def read_snapshot(path: Path, workspace: Workspace) -> Live:
    """Read a snapshot into a workspace. Raises UsageError when the file is not one."""
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            members = _members(archive)
            document = json.loads(archive.read(_DOCUMENT), parse_float=_no_fraction)
            version = str(document["format_version"])
            if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
                raise ValueError(f"its format is {version}, this program reads {FORMAT_VERSION}")
            tables = {
                name: _table(workspace, archive.extract(f"{name}.parquet", folder), name)
                for name in _SCHEMAS
                if f"{name}.parquet" in members
            }
            return _live(document, tables)
    except (
        OSError,
        zipfile.BadZipFile,
        duckdb.Error,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise UsageError(f"{path} is not a snapshot that can be read ({reason})") from None


_SCHEMAS: Mapping[str, tuple[Schema, tuple[str, ...]]] = {
    "rows": (LIVE_ROWS, LIVE_KEY),
    "holdings": (HOLDINGS_ROWS, HOLDINGS_KEY),
    "participants": (PARTICIPANT_ROWS, PARTICIPANT_KEY),
}
"""Columns and key of each table."""


def _tables(live: Live) -> dict[str, Table]:
    tables = {"rows": live.rows, "holdings": live.holdings}
    return tables if live.participants is None else {**tables, "participants": live.participants}


def _members(archive: zipfile.ZipFile) -> frozenset[str]:
    """Names of the members, each stored as it is: nothing to decompress, nothing to bomb with."""
    for info in archive.infolist():
        stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
        if not stored or info.file_size > MEMBER_BYTES_MAX:
            raise ValueError(f"{info.filename!r} is compressed, encrypted or too large")
    return frozenset(archive.namelist())


def _no_fraction(text: str) -> Any:
    raise ValueError(f"{text} is no whole number")


def _table(workspace: Workspace, file: str, name: str) -> Table:
    schema, key = _SCHEMAS[name]
    source = f"read_parquet({literal(file)})"
    shown = {row[0]: row[1] for row in workspace.rows(f"DESCRIBE SELECT * FROM {source}")}
    if shown != dict(schema):
        raise ValueError(f"the columns of {name} are {shown}, not {dict(schema)}")
    columns = ", ".join(schema)
    table = workspace.select(f"snapshot_{name}", schema, f"SELECT {columns} FROM {source}")
    twice = table.duplicates(key)
    if twice:
        raise ValueError(f"{name} lists one thing twice: {', '.join(map(str, twice[0]))}")
    return table.keyed(*key)


def _document(live: Live) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "as_of": live.as_of,
        "strategies": [asdict(strategy) for strategy in live.strategies],
        "prices": [asdict(price) for price in live.prices],
        "floats": [asdict(each) for each in live.floats],
        "precisions": live.precisions,
        "warnings": [asdict(warning) for warning in live.warnings],
        "requests": live.requests,
    }


def _live(document: Mapping[str, Any], tables: Mapping[str, Table]) -> Live:
    return Live(
        as_of=str(document["as_of"]),
        strategies=tuple(_strategy(each) for each in document["strategies"]),
        rows=tables["rows"],
        holdings=tables["holdings"],
        prices=tuple(Price(**each) for each in document["prices"]),
        floats=tuple(Float(**each) for each in document["floats"]),
        precisions=tuple((str(asset), int(digits)) for asset, digits in document["precisions"]),
        warnings=tuple(_warning(each) for each in document["warnings"]),
        requests=int(document["requests"]),
        participants=tables.get("participants"),
    )


def _strategy(shown: Mapping[str, Any]) -> LiveStrategy:
    operations = tuple(_operation(each) for each in shown["operations"])
    return LiveStrategy(**{**shown, "operations": operations})


def _operation(shown: Mapping[str, Any]) -> LiveOperation:
    allocations = tuple((str(asset), str(weight)) for asset, weight in shown["allocations"])
    return LiveOperation(**{**shown, "allocations": allocations})


def _warning(shown: Mapping[str, Any]) -> Diagnostic:
    span = Span(**shown["span"]) if shown["span"] else None
    return Diagnostic(**{**shown, "span": span, "severity": Severity(shown["severity"])})
