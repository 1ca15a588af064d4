"""``make fuzz``: every target under both searches for a given time, and what came of it.

    python -m tests.fuzz.run SECONDS [TARGET]...

A finding is played back in a process of its own; what is confirmed joins the corpus, where
``make test`` plays it back until it is repaired and for ever after. The exit code is then 1. What
reached something new is kept in build/fuzz for the next run.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stratctl.core.words import count
from tests.declare.world import ROOT
from tests.fuzz.findings import CORPUS, WORK
from tests.fuzz.targets import TARGETS, Target

# fmt: off
TOKENS = (
    "---\n", ": ", "- ", "? ", "|\n", ">\n", "&a ", "*a", "!!str ", "<<: ", "%YAML 1.2\n",
    "\\u202e", "\r\n", "true", "false", "null", "~", "0.50", "1e3", "010", "# ", '","', '": "',
    "participant_code,contributed\n", "CUST01,1.00\n", '{"participant_code": "CUST01"}\n',
    '{"', '"}\n', "### strategies/x.csv\n", "### policy.yaml\n", "\x1e", "\x1f",
)
# fmt: on


@dataclass(frozen=True)
class Search:
    """How one search went."""

    target: str
    how: str
    executions: int
    seconds: float
    coverage: str = "-"
    ended: str = ""
    """What a search says when it ends before its time."""

    def row(self) -> str:
        """The line that is printed."""
        rate = self.executions / max(self.seconds, 0.1)
        figures = f"{self.executions:>10,} {rate:>9,.0f}"
        return f"{self.target:<16} {self.how:<7} {figures}  {self.coverage}"


def guided(target: Target, seconds: int) -> Search:
    """The coverage-guided search."""
    folder = WORK / target.name
    seeds, reached = folder / "seeds", folder / "reached"
    shutil.rmtree(seeds, ignore_errors=True)
    for path in (seeds, reached, CORPUS / target.name):
        path.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (seeds / f"{number:03d}").write_bytes(data)
    (WORK / "words").write_text(words())
    flags = [f"-max_total_time={seconds}", f"-dict={WORK / 'words'}", "-print_final_stats=1"]
    folders = [str(reached), str(CORPUS / target.name), str(seeds)]
    command = [sys.executable, "-m", "tests.fuzz.guided", target.name, *folders, *flags]
    command.append(f"-artifact_prefix={folder}/")
    with (folder / "log").open("w") as log:
        subprocess.run(command, cwd=ROOT, stderr=log, check=False)
    return as_logged(target.name, (folder / "log").read_text(errors="replace"))


def as_logged(target: str, log: str) -> Search:
    """What libFuzzer wrote about its search."""
    figures = [tuple(map(int, found)) for found in re.findall(r"cov: (\d+) ft: (\d+)", log)]
    done = re.search(r"Done (\d+) runs in (\d+) second", log)
    ended = re.search(r"ERROR: libFuzzer: .*", log)
    if done is None or not figures:
        said = ended[0] if ended else f"it did not start: {log.strip().splitlines()[-1:]}"
        return Search(target, "guided", 0, 0, "-", said)
    (first, reached_first), (last, reached) = figures[0], figures[-1]
    coverage = f"{first:,} -> {last:,} branches, {reached_first:,} -> {reached:,} features"
    return Search(target, "guided", int(done[1]), float(done[2]), coverage)


def shaped(target: Target, seconds: int) -> Search:
    """The search by Hypothesis."""
    command = [sys.executable, "-m", "tests.fuzz.shaped", target.name, str(seconds)]
    run = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        lines = run.stderr.strip().splitlines()
        unending = (line for line in lines if line.startswith("Timeout"))
        return Search(target.name, "shaped", 0, 0, "-", next(unending, lines[-1]))
    return Search(target.name, "shaped", int(run.stdout), seconds)


def words() -> str:
    """libFuzzer's dictionary: the words of the schemas, and what YAML and tables are made of."""
    known = set(TOKENS)
    for path in sorted((ROOT / "schemas").glob("*.schema.json")):
        waiting = [json.loads(path.read_text("utf-8"))]
        while waiting:
            part = waiting.pop()
            if isinstance(part, dict):
                known |= {f"{key}: " for key in part.get("properties", {})}
                known |= {word for word in part.get("enum", []) if isinstance(word, str)}
                waiting += part.values()
            elif isinstance(part, list):
                waiting += part
    return "".join(f'"{_escaped(word)}"\n' for word in sorted(known))


def _escaped(word: str) -> str:
    return "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\x{byte:02x}"
        for byte in word.encode()
    )


def confirmed() -> tuple[list[tuple[Path, str]], int]:
    """What was found and is found again by a process of its own, which makes it small: it joins the
    corpus. And how many were not, as a reading that only took long under the fuzzer.

    Of the inputs with one trouble, which both searches may have found, the smallest is enough.
    """
    troubles = []
    smallest: dict[tuple[str, str], Path] = {}
    for path in sorted((WORK / "found").glob("*/*"), key=lambda path: -path.stat().st_size):
        smallest[path.parent.name, path.name.rpartition("-")[0]] = path
    for (target, _), path in sorted(smallest.items()):
        command = [sys.executable, "-m", "tests.fuzz.findings", "--smaller"]
        run = subprocess.run(
            [*command, target, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if run.returncode:
            joined = CORPUS / target / path.name
            shutil.copy(path, joined)
            said = run.stdout.strip().partition(": ")[2] or run.stderr.strip()
            troubles.append((joined.relative_to(ROOT), said))
    return troubles, len(smallest) - len(troubles)


def main(arguments: list[str]) -> int:
    """Run every search, one after the other, and say what was found."""
    seconds, *names = arguments
    targets = [TARGETS[name] for name in names or TARGETS]
    how = [guided, shaped] if importlib.util.find_spec("atheris") else [shaped]
    share = max(1, int(seconds) // (len(targets) * len(how)))
    shutil.rmtree(WORK / "found", ignore_errors=True)
    print(f"{len(targets)} targets, {len(how)} searches, {share} s each", flush=True)
    print(f"{'target':<16} {'search':<7} {'executions':>10} {'a second':>9}  coverage", flush=True)
    ended = []
    for target in targets:
        for search in how:
            result = search(target, share)
            print(result.row(), flush=True)
            if result.ended:
                ended.append(f"{target.name} {result.how}: {result.ended}")
    troubles, vanished = confirmed()
    for path, said in troubles:
        again = f".venv/bin/python -m tests.fuzz.findings {path.parent.name} {path}"
        print(f"\n{path}\n  {said}\n  again: {again}")
    for line in ended:
        print(f"\n{line}\n  what it read last is in {(WORK / line.split()[0]).relative_to(ROOT)}")
    print(
        f"\n{count(len(troubles), 'finding')}; {vanished} not found again; "
        f"{count(len(ended), 'search', 'searches')} ended early."
    )
    return 1 if troubles or ended else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
