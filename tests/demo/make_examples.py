"""Writes the tables of the example set: ``python tests/demo/make_examples.py [DIRECTORY]``.

Everything follows from the participant's number, so the same tables come out every time. The codes
are those of the sandbox's sequence: the n-th participant is ``P`` and n in base 30, whose digits
leave out the letters that look like a number.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

FOUNDERS = range(1, 13)
"""They stand in strategies/founders.yaml."""
BLUE_CHIP = range(13, 2_501)
DEFI = range(2_501, 4_001)
CORE_AND_THEME = range(4_001, 5_001)

_DIGITS = "0123456789ACDEFGHJKMNPQRTUVWXY"
_TIERS = ((50, 50_00, 500_00), (80, 500_00, 2_500_00), (95, 2_500_00, 10_000_00))
_TOP_TIER = (10_000_00, 25_000_00)


def participant_code(number: int) -> str:
    """The n-th code of the sandbox's sequence."""
    text = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return f"P{text:0>5}"


def contributed(number: int, least_minor: int = 50_00) -> str:
    """An amount between 50.00 and 25,000.00: many small accounts, few large ones."""
    draw = int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:8], "big")
    percent, draw = draw % 100, draw // 100
    low, high = next(((low, high) for edge, low, high in _TIERS if percent < edge), _TOP_TIER)
    amount = max(low, least_minor) + draw % (high - max(low, least_minor) + 1)
    return f"{amount // 100}.{amount % 100:02d}"


def auto_rebalance(number: int) -> str:
    """One in forty decides for itself when to rebalance."""
    return "false" if number % 40 == 0 else "true"


def members(numbers: range, least_minor: int = 50_00) -> Iterator[tuple[str, str, str]]:
    """(participant_code, contributed, auto_rebalance) of each participant."""
    for number in numbers:
        yield participant_code(number), contributed(number, least_minor), auto_rebalance(number)


def write_csv(path: Path, rows: Iterator[tuple[str, str, str]]) -> None:
    """A table that people review line by line."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("participant_code", "contributed", "auto_rebalance"))
        writer.writerows(rows)


def write_parquet(path: Path, rows: Iterator[tuple[str, str, str]]) -> None:
    """A table as a data warehouse writes it: exact decimals, booleans."""
    connection = duckdb.connect(":memory:")
    connection.execute("CREATE TABLE rows (code VARCHAR, amount VARCHAR, flag VARCHAR)")
    connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", list(rows))
    connection.execute(
        "COPY (SELECT code AS participant_code, CAST(amount AS DECIMAL(18, 2)) AS contributed, "
        "flag = 'true' AS auto_rebalance FROM rows ORDER BY code) "
        f"TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
    )
    connection.close()


def write_all(directory: Path) -> None:
    """Every table of ``strategies/cohorts``."""
    directory.mkdir(parents=True, exist_ok=True)
    write_parquet(directory / "blue-chip-members.parquet", members(BLUE_CHIP))
    write_csv(directory / "defi-members.csv", members(DEFI))
    # Its smallest weight is about 0.057, so 100.00 keeps every leg above the minimum of 5.00.
    write_csv(directory / "core-and-theme-members.csv", members(CORE_AND_THEME, 100_00))


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else root / "strategies" / "cohorts")
