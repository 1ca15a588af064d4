"""A snapshot comes back as it was written, and what is none is refused."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from stratctl.core.diagnostic import Diagnostic, Severity, Span
from stratctl.core.errors import UsageError
from stratctl.core.state import HOLDINGS_KEY, LIVE_KEY, PARTICIPANT_KEY, Live, Verb
from stratctl.core.tables import Workspace
from stratctl.live.snapshot import read_snapshot, write_snapshot
from tests.live.worlds import World, call


@pytest.fixture
def live() -> Live:
    """A State with Operations, holdings, prices and warnings."""
    world = World()
    strategy_id = world.create(metadata={"label": "Blue \u00e9"})
    world.commit(call(Verb.ENROLL, strategy_id, 1, {"P00001": "100.00", "P00002": "60.00"}))
    warning = Diagnostic("W_X", "s", "d", "h", Span("a.yaml", 1, 2), Severity.WARNING)
    return replace(world.read(), warnings=(warning, replace(warning, span=None)))


def test_it_comes_back_whole(live: Live, tmp_path: Path) -> None:
    """Every value and every row of every table, with its exact types."""
    path = tmp_path / "live.snapshot"
    write_snapshot(live, path)
    found = read_snapshot(path, Workspace())
    for name in ("rows", "holdings", "participants"):
        before, after = getattr(live, name), getattr(found, name)
        assert after.rows() == before.rows()
        assert after.schema == before.schema
    # Tables are equal only to themselves; their rows were compared above.
    tables = replace(live, rows=found.rows, holdings=found.holdings, participants=None)
    assert replace(found, participants=None) == tables
    assert sorted(each.name for each in tmp_path.iterdir()) == ["live.snapshot"]


def test_participants_may_be_missing(live: Live, tmp_path: Path) -> None:
    """A State whose participants were not read comes back as one."""
    path = tmp_path / "live.snapshot"
    write_snapshot(replace(live, participants=None), path)
    assert read_snapshot(path, Workspace()).participants is None


def rewritten(path: Path, name: str, data: bytes | None, **options: int) -> Path:
    """A copy of a snapshot with one member changed, or left out."""
    changed = path.with_name("changed.snapshot")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w", **options) as new:  # type: ignore[call-overload]  # options by case
        for each in old.namelist():
            if each != name:
                new.writestr(each, old.read(each))
        if data is not None:
            new.writestr(name, data)
    return changed


def refusal(path: Path) -> str:
    """Why a file is refused."""
    with pytest.raises(UsageError, match="is not a snapshot that can be read") as caught:
        read_snapshot(path, Workspace())
    return caught.value.summary


def test_what_is_no_snapshot_is_refused(live: Live, tmp_path: Path) -> None:
    """A missing file, no zip, a member left out, spoiled or of other types, a newer format."""
    path = tmp_path / "live.snapshot"
    write_snapshot(live, path)
    assert "FileNotFoundError" in refusal(tmp_path / "none")
    (tmp_path / "text").write_text("no zip")
    assert "BadZipFile" in refusal(tmp_path / "text")
    assert "KeyError" in refusal(rewritten(path, "live.json", None))
    assert "KeyError" in refusal(rewritten(path, "rows.parquet", None))
    assert "JSONDecodeError" in refusal(rewritten(path, "live.json", b"{"))
    assert "InvalidInput" in refusal(rewritten(path, "rows.parquet", b"no parquet file"))
    with zipfile.ZipFile(path) as archive:
        document = json.loads(archive.read("live.json"))
    for change, reason in (
        ({"format_version": "1.0"}, "its format is 1.0"),
        ({"format_version": "3.0"}, "its format is 3.0"),
        ({"prices": [{"no": "price"}]}, "TypeError"),
        ({"floats": [{**document["floats"][0], "available_minor": 1.5}]}, "no whole number"),
    ):
        data = json.dumps({**document, **change}).encode()
        assert reason in refusal(rewritten(path, "live.json", data))
    assert "compressed" in refusal(
        rewritten(path, "live.json", b"{}", compression=zipfile.ZIP_DEFLATED)
    )


def test_a_column_that_became_a_float_is_refused(live: Live, tmp_path: Path) -> None:
    """Exact quantities that some tool rewrote as DOUBLE do not come in."""
    path = tmp_path / "live.snapshot"
    write_snapshot(live, path)
    file = tmp_path / "holdings.parquet"
    live.holdings.workspace.run(
        f"COPY (SELECT * REPLACE (quantity_e24::DOUBLE AS quantity_e24) FROM {live.holdings}) "
        f"TO '{file}' (FORMAT parquet)"
    )
    assert "DOUBLE" in refusal(rewritten(path, "holdings.parquet", file.read_bytes()))


@pytest.mark.parametrize(
    ("name", "key"),
    [("rows", LIVE_KEY), ("holdings", HOLDINGS_KEY), ("participants", PARTICIPANT_KEY)],
)
def test_a_row_that_stands_twice_is_refused(
    name: str, key: tuple[str, ...], live: Live, tmp_path: Path
) -> None:
    """A join on its key would multiply money; what came in has the proof that none does."""
    path = tmp_path / "live.snapshot"
    write_snapshot(live, path)
    assert getattr(read_snapshot(path, Workspace()), name).keys == {key}
    table = getattr(live, name)
    file = tmp_path / f"{name}.parquet"
    table.workspace.run(
        f"COPY (FROM {table} UNION ALL (FROM {table} ORDER BY ALL LIMIT 1)) TO '{file}'"
        " (FORMAT parquet)"
    )
    reason = refusal(rewritten(path, file.name, file.read_bytes()))
    assert f"{name} lists one thing twice" in reason
    assert "P00001" in reason


def test_a_snapshot_appears_whole_or_not_at_all(live: Live, tmp_path: Path) -> None:
    """An old one stays as it is while a new one cannot be finished."""
    path = tmp_path / "live.snapshot"
    write_snapshot(live, path)
    before = path.read_bytes()
    shutil.copy(path, tmp_path / "copy")
    live.rows.workspace.run(f"DROP TABLE {live.rows}")
    with pytest.raises(Exception, match="rows"):
        write_snapshot(live, path)
    assert path.read_bytes() == before
