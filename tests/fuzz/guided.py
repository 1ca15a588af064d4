"""One target under the coverage-guided fuzzer, which mutates what reached something new.

    python -m tests.fuzz.guided TARGET [FOLDER]... [-FLAG=VALUE]...

Folders and flags are those of libFuzzer. A finding is written down, and the search goes on; what
never ends, or takes too much memory, ends the process and is left by libFuzzer.
"""

from __future__ import annotations

import importlib
import sys


def main(arguments: list[str]) -> None:
    """Search until the time is over. The process is ended by libFuzzer."""
    name, *flags = arguments
    atheris = importlib.import_module("atheris")
    # Only what is imported in here reports which of its branches an input took.
    with atheris.instrument_imports(include=["stratctl"]):
        findings = importlib.import_module("tests.fuzz.findings")
        limits = importlib.import_module("tests.fuzz.limits")
    target = findings.TARGETS[name]
    known: set[str] = set()

    def one(data: bytes) -> None:
        found = findings.trouble(target, data)
        if found is not None and found.name not in known:
            known.add(found.name)
            findings.keep(target, found.name, data)

    # The baseline of the memory: everything imported, the engine started, one input read.
    one(next(target.seeds()))
    memory = (limits.peak_kib() >> 10) + limits.MEMORY_MAX_MIB
    limiting = [f"-timeout={limits.UNENDING_SECONDS}", f"-rss_limit_mb={memory}"]
    atheris.Setup([sys.argv[0], *flags, *limiting, f"-max_len={target.length_max}"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
