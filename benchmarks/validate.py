"""How long validating takes beside the bare engine's read of the same file, and its memory.

=================  ======================================================  =====================
line               what runs                                               floor, in the same run
=================  ======================================================  =====================
parquet            validate, 1,000,000 members: code, two amounts, status  ``CREATE TABLE … AS
                   (DECIMAL(18,2) and text)                                SELECT *`` from it
parquet, as text   the same, every column text                             the same
csv                the same as CSV                                         the same, all VARCHAR
parquet, 10 M      ``stratctl validate`` as a whole process                -
inline             10,000 members in YAML                                  ``yaml.compose_all``
                                                                           with the C loader
=================  ======================================================  =====================

A floor and its measurement alternate, each in a process of its own that has imported what it needs
and run once on a small project, so that the engine is there; what is timed is reading, checking and
resolving, including the digest of the file. The floor materialises the columns with the same engine
and threads, and checks nothing. Memory is what a process grew by at its peak; the columns
themselves are what the floor grew by. Medians; exits with 1 when a limit is missed.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RUNS = 15
MEMBERS = 1_000_000
MANY = 10_000_000
INLINE = 10_000
BYTES_PER_ROW_MAX = 150
MANY_SECONDS_MAX = 30
MANY_GIB_MAX = 4

CODE = "upper(lpad(to_base(n * 1000000007 % 2176782336, 36), 6, '0'))"
"""Six characters, each code once and in no order."""

HEAD = "kind: Cohort\nversion: 1\nname: members\nstrategy: book\n"
STRATEGY = (
    "kind: Strategy\nversion: 1\nname: book\nquoted_currency: USD\n"
    "allocations: {BTC: 0.50, ETH: 0.30, SOL: 0.20}\n---\n"
)
PROJECT = (
    "kind: Project\nversion: 1\nenvironments:\n  sandbox: {realm: sandbox, endpoint: sandbox, "
    "platform_code: PLAT01, funding_model: novated}\n"
)


@dataclass(frozen=True)
class Case:
    """A project of one cohort, and how its file is read without stratctl."""

    name: str
    limit: float
    rows: int
    make: Callable[[Path], Path]
    floor: str


def main() -> None:
    """Measure everything, print one line each, and fail when a limit is missed."""
    if len(sys.argv) > 1:
        measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
        return
    met = True
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(CASES):
            met &= compared(case, Path(folder) / str(number))
        met &= many(Path(folder) / "many")
    sys.exit(not met)


def compared(case: Case, root: Path) -> bool:
    """One line: validating beside its floor."""
    file = case.make(root)
    floors, runs = [], []
    for _ in range(RUNS):
        floors.append(run(case.floor, file))
        runs.append(run("validate", root))
    floor, seconds = (statistics.median(one[0] for one in these) for these in (floors, runs))
    grown, columns = (statistics.median(one[1] for one in these) for these in (runs, floors))
    beyond = (grown - columns) / case.rows
    met = seconds <= case.limit * floor and (case.rows < MEMBERS or beyond <= BYTES_PER_ROW_MAX)
    memory = f"{grown / case.rows:4.0f} bytes a row, {beyond:4.0f} beyond the columns"
    print(
        f"{case.name:18} {seconds:6.3f} s, floor {floor:6.3f} s:"
        f" {seconds / floor:4.2f} x (limit {case.limit:g} x)"
        f"  {memory if case.rows >= MEMBERS else ''}{'' if met else '  MISSED'}",
        flush=True,
    )
    return met


def many(root: Path) -> bool:
    """The command itself on ten million members: its time and its peak memory."""
    in_parquet(root, MANY, text=False)
    began = time.perf_counter()
    command = [sys.executable, "-m", "stratctl", "validate"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=root, env=environ, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds, gib = time.perf_counter() - began, usage.ru_maxrss / 2**20
    process.returncode = os.waitstatus_to_exitcode(status)
    met = not status and seconds <= MANY_SECONDS_MAX and gib <= MANY_GIB_MAX
    print(
        f"{'parquet, 10 M':18} {seconds:6.1f} s (limit {MANY_SECONDS_MAX} s), {gib:.2f} GiB"
        f" (limit {MANY_GIB_MAX} GiB), whole process{'' if met else '  MISSED'}"
    )
    return met


def run(what: str, path: Path) -> tuple[float, float]:
    """Seconds and bytes of one measurement in a process of its own."""
    with tempfile.TemporaryDirectory() as small:
        inline(Path(small), 1)
        answer = subprocess.run(
            [sys.executable, __file__, what, str(path), small], check=True, capture_output=True
        )
    seconds, grown = answer.stdout.split()
    return float(seconds), float(grown)


# --- inside a process of its own -------------------------------------------------------------


def measure(what: str, path: Path, small: str) -> None:
    """Print the seconds of one read and by how many bytes the process grew at its peak."""
    once = validating if what == "validate" else FLOORS[what]
    once(Path(small) if what == "validate" else None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    kept = once(path)
    seconds = time.perf_counter() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert kept is not None
    print(seconds, grown * 1024)


def validating(root: Path | None) -> object:
    """Everything that ``stratctl validate`` does before it shows what it found."""
    from stratctl import pipeline

    assert root is not None
    return pipeline.validate(root, environment=None)


@cache
def running_engine() -> DuckDBPyConnection:
    """The engine of a floor. Like that of a workspace it is there before anything is read."""
    import duckdb

    return duckdb.connect(":memory:")


def by_engine(source: str) -> Callable[[Path | None], object]:
    """A floor: all columns of a file as they are, or as text."""

    def read(path: Path | None) -> object:
        engine = running_engine()
        name, rows = ("members", source.format(path)) if path else ("few", "range(10)")
        engine.execute(f"CREATE TABLE {name} AS SELECT * FROM {rows}")
        return engine

    return read


def by_loader(path: Path | None) -> object:
    """A floor: the nodes of a YAML document."""
    import yaml

    return list(yaml.compose_all(path.read_text("utf-8") if path else "{}", yaml.CLoader))


FLOORS: dict[str, Callable[[Path | None], object]] = {
    "parquet": by_engine("read_parquet('{}')"),
    "csv": by_engine("read_csv('{}', all_varchar = true)"),
    "yaml": by_loader,
}


# --- projects ---------------------------------------------------------------------------------


def project(root: Path, cohort: str) -> Path:
    """A project of one Strategy and one cohort; the file of both."""
    (root / "strategies" / "cohorts").mkdir(parents=True)
    (root / "stratctl.yaml").write_text(PROJECT, "utf-8")
    (root / "policy.yaml").write_text("kind: Policy\nversion: 1\n", "utf-8")
    book = root / "strategies" / "book.yaml"
    book.write_text(STRATEGY + HEAD + cohort, "utf-8")
    return book


def in_table(root: Path, rows: int, suffix: str, how: str, *, text: bool) -> Path:
    """A project whose members stand in a table, in no order, as a query would export them."""
    import duckdb

    project(root, f"source: {{file: cohorts/members.{suffix}}}\n")
    file = root / "strategies" / "cohorts" / f"members.{suffix}"
    kind = "VARCHAR" if text else "DECIMAL(18,2)"
    with duckdb.connect(":memory:") as engine:
        engine.execute(
            f"""
            COPY (
                SELECT {CODE} AS participant_code,
                    CAST(CAST(n % 100000 + 10.25 AS DECIMAL(18,2)) AS {kind}) AS contributed,
                    CAST(CAST(n % 7 AS DECIMAL(18,2)) AS {kind}) AS withdrawn,
                    CASE WHEN n % 100 = 0 THEN 'exited' ELSE 'active' END AS status
                FROM (SELECT range AS n FROM range({rows}))
            ) TO '{file}' ({how})
            """
        )
    return file


def in_parquet(root: Path, rows: int = MEMBERS, *, text: bool) -> Path:
    """Members in Parquet."""
    return in_table(root, rows, "parquet", "FORMAT parquet", text=text)


def in_csv(root: Path) -> Path:
    """Members in CSV."""
    return in_table(root, MEMBERS, "csv", "FORMAT csv, HEADER", text=True)


def inline(root: Path, members: int = INLINE) -> Path:
    """Members in the document."""
    rows = "".join(
        f"  - {{participant_code: P{number:05d}, contributed: {number % 900 + 100}.50}}\n"
        for number in range(members)
    )
    return project(root, f"participants:\n{rows}")


CASES = (
    Case("parquet", 3, MEMBERS, lambda root: in_parquet(root, text=False), "parquet"),
    Case("parquet, as text", 3, MEMBERS, lambda root: in_parquet(root, text=True), "parquet"),
    Case("csv", 4, MEMBERS, in_csv, "csv"),
    Case("inline, 10,000", 1.5, INLINE, inline, "yaml"),
)


if __name__ == "__main__":
    main()
