"""Named entries as they are declared: what they add up to, and what their content is."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratctl.core.state import EntryContent
from tests.declare.world import Project

CODES = ("CUST01", "CUST02", "CUST03", "CUST04")
AMOUNTS = st.integers(1, 10**12)
ENTRIES = st.dictionaries(
    st.sampled_from(("a", "b", "c", "d-2026")),
    st.tuples(
        st.sampled_from(("funding", "payouts")),
        st.dictionaries(st.sampled_from(CODES), AMOUNTS, min_size=1),
    ),
    max_size=4,
)
FEW = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def written(minor: int, form: int) -> str:
    """An amount in one of the ways that mean the same."""
    exact = f"{minor // 100}.{minor % 100:02d}"
    short = exact.rstrip("0").rstrip(".") if form % 3 == 1 else exact
    return f'"{short}"' if form >= 3 else short


def declared(
    root: Path, entries: dict[str, tuple[str, dict[str, int]]], *, form: int = 0
) -> Project:
    """A cohort of four who contributed 1.00 each, with these entries; inline or in files."""
    lines = ["kind: Cohort", "version: 1", "name: founders", "strategy: blue-chip", "participants:"]
    lines += [f"  - {{participant_code: {code}, contributed: 1.00}}" for code in CODES]
    project = Project(root)
    for label in ("funding", "payouts"):
        chosen = [(key, rows) for key, (kind, rows) in entries.items() if kind == label]
        lines += [f"{label}:"] if chosen else []
        for key, rows in reversed(chosen) if form % 2 else chosen:
            ordered = sorted(rows.items(), reverse=form % 2 == 1)
            if form == 2:
                text = "".join(f"{minor // 100}.{minor % 100:02d},{c}\n" for c, minor in ordered)
                project.write(f"strategies/funding/{key}.csv", "amount,participant_code\n" + text)
                lines.append(f"  - {{key: {key}, file: funding/{key}.csv}}")
                continue
            lines += [f"  - key: {key}", "    participants:"]
            lines += [
                f"      - {{participant_code: {code}, amount: {written(minor, form)}}}"
                for code, minor in ordered
            ]
    project.write("strategies/founders.yaml", "\n".join(lines) + "\n")
    return project


def contents(project: Project) -> dict[str, EntryContent]:
    """Key -> content."""
    return {entry.content.key: entry.content for entry in project.declare().desired.entries}


@given(ENTRIES)
@FEW
def test_totals_are_what_is_written_and_what_was_named(
    tmp_path: Path, entries: dict[str, tuple[str, dict[str, int]]]
) -> None:
    """contributed = inline + every funding; withdrawn = inline + every payout; to the cent."""
    table = declared(tmp_path, entries).declare().desired.rows
    found = table.workspace.rows(
        f"SELECT participant_code, contributed_minor, withdrawn_minor FROM {table} ORDER BY 1"
    )
    sums = {
        (code, kind): sum(rows.get(code, 0) for label, rows in entries.values() if label == kind)
        for code in CODES
        for kind in ("funding", "payouts")
    }
    assert found == [(c, 100 + sums[c, "funding"], sums[c, "payouts"]) for c in CODES]


@given(ENTRIES, st.integers(1, 5))
@FEW
def test_how_an_entry_is_written_is_no_part_of_its_content(
    tmp_path: Path, entries: dict[str, tuple[str, dict[str, int]]], form: int
) -> None:
    """The order of entries and rows, zeros, quotes, or a file in place of lines change nothing."""
    plain = contents(declared(tmp_path / "a", entries))
    assert contents(declared(tmp_path / "b", entries, form=form)) == plain
    for key, (kind, rows) in entries.items():
        text = kind + "\n" + "".join(f"{code} {rows[code]}\n" for code in sorted(rows))
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert plain[key] == EntryContent(key, kind, digest, len(rows), sum(rows.values()))


@given(
    st.dictionaries(st.sampled_from(CODES), AMOUNTS, min_size=1),
    st.sampled_from(CODES),
    st.integers(-1, 1),
    st.sampled_from(("funding", "payouts")),
)
@FEW
def test_whatever_an_entry_says_is_part_of_its_content(
    tmp_path: Path, rows: dict[str, int], code: str, change: int, kind: str
) -> None:
    """A cent, a participant or the direction of the money makes another content."""
    others = {**rows, code: rows.get(code, 0) + change}
    others = {each: minor for each, minor in others.items() if minor > 0}
    same = (kind, others) == ("funding", rows)
    if not others:
        return
    before = contents(declared(tmp_path / "a", {"key": ("funding", rows)}))["key"]
    after = contents(declared(tmp_path / "b", {"key": (kind, others)}))["key"]
    assert (before == after) is same
    assert (before.digest == after.digest) is same


def test_an_entry_points_at_its_key(tmp_path: Path) -> None:
    """Where people look for it."""
    project = declared(tmp_path, {"a": ("funding", {"CUST01": 100})})
    (entry,) = project.declare().desired.entries
    assert str(entry.span) == "strategies/founders.yaml:11:10"
    assert entry.strategy == "blue-chip"
